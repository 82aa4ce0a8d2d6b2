/* Spikes on their way: from outside, from core to core; what is asked of memory ahead of its use. */
#ifndef NEUROEMU_TRUENORTH_NETWORK_H
#define NEUROEMU_TRUENORTH_NETWORK_H

#include "_truenorth_512.h"

#define TN_AHEAD 2 /* cores between asking for memory and using it */

/* Sets a bit (0..7) and returns whether it was set. */
TN_INLINE int tn_set(uint8_t *at, int number, int atomic)
{
    const uint8_t bit = (uint8_t)(1 << number);
    uint8_t before = *at;
    if (atomic) before = __atomic_fetch_or(at, bit, __ATOMIC_RELAXED);
    else *at = before | bit;
    return (before & bit) != 0;
}

TN_INLINE uint8_t *tn_slot(const tn_chip *chip, int64_t tick, int64_t core)
{
    return chip->ring + ((tick & (TN_SLOTS - 1)) * chip->cores + core) * TN_ROW;
}

/* Copies 64-bit numbers; returns whether all are 0 or more and fit. */
static int tn_narrow(const int64_t *from, int32_t *to, int64_t n)
{
    uint64_t any = 0;
    for (int64_t k = 0; k < n; k++) {
        any |= (uint64_t)from[k];
        to[k] = (int32_t)from[k];
    }
    return any <= INT32_MAX;
}

TN_INLINE int64_t tn_bits_set(const uint8_t *packed, int64_t words)
{
    int64_t n = 0;
    for (int64_t k = 0; k < words; k++) {
        uint64_t bits;
        memcpy(&bits, packed + 8 * k, 8);
        n += __builtin_popcountll(bits);
    }
    return n;
}

/* Whether a row (tick, core, axon) has this tick and core, and an axon of a core. */
TN_INLINE int tn_belongs(const int32_t *row, int32_t t, int32_t core)
{
    return row[0] == t && row[1] == core && (uint32_t)row[2] < TN_SIZE;
}

/* Sets the axons of the rows that lie first and belong to one tick and core; returns how many these are. */
TN_INLINE int64_t tn_set_alike(uint8_t *slot, const int32_t *rows, int64_t n, int32_t t, int32_t core)
{
    uint64_t words[4];
    int64_t k = 0;
    tn_copy(words, slot);
#if TN_512
    if (n >= 16 && tn_belongs(rows + 9, t, core)) k = tn_set_many(words, rows, n, t, core);
#endif
    for (; k < n && tn_belongs(rows + 3 * k, t, core); k++)
        words[rows[3 * k + 2] / 64] |= (uint64_t)1 << (rows[3 * k + 2] % 64);
    tn_copy(slot, words);
    return k;
}

/* Sets the axons of the rows of tick t that lie first; returns how many there are, or -1 for a row outside. */
static __attribute__((noinline)) int64_t tn_inputs(const tn_chip *chip, const int32_t *rows, int64_t n, int32_t t,
                                                   int64_t tick, int64_t *counts)
{
    int64_t k = 0, set = 0;
    while (k < n && rows[3 * k] == t) {
        const int32_t core = rows[3 * k + 1];
        if ((uint32_t)core >= (uint64_t)chip->cores) return -1;
        uint8_t *slot = tn_slot(chip, tick, core);
        set -= tn_bits_set(slot, 4);
        const int64_t found = tn_set_alike(slot, rows + 3 * k, n - k, t, core);
        set += tn_bits_set(slot, 4);
        if (!found) return -1;
        k += found;
    }
    counts[TN_MERGES] += k - set;
    counts[TN_INPUT_SPIKES] += k;
    return k;
}

/* Spikes on their way. Routes and target slots lie anywhere in memory, so each is asked for one core before its use. */
typedef struct {
    int64_t core;
    int n_spikes, n_bits;
    uint8_t spikes[TN_SIZE]; /* neurons of `core` that fired */
    uint8_t *byte[TN_SIZE];  /* bits to be set */
    uint8_t bit[TN_SIZE];
} tn_mail;

TN_INLINE void tn_deliver(const tn_chip *chip, tn_mail *mail, int64_t *counts)
{
    for (int k = 0; k < mail->n_bits; k++) counts[TN_MERGES] += tn_set(mail->byte[k], mail->bit[k], chip->atomic);
    mail->n_bits = 0;
}

TN_INLINE void tn_route(const tn_chip *chip, tn_mail *mail, int64_t tick, int64_t *counts)
{
    const int32_t *routes = chip->route + mail->core * TN_SIZE;
    const int16_t *here = chip->position + 2 * mail->core;
    for (int k = 0; k < mail->n_spikes; k++) {
        const int32_t route = routes[mail->spikes[k]];
        const int64_t target = route >> 12;
        const int axon = route >> 4 & 255;
        const int16_t *there = chip->position + 2 * target;
        const int x = there[0] - here[0], y = there[1] - here[1];
        counts[TN_EAST] += x > 0 ? x : 0;
        counts[TN_WEST] += x < 0 ? -x : 0;
        counts[TN_NORTH] += y > 0 ? y : 0;
        counts[TN_SOUTH] += y < 0 ? -y : 0;
        const int cx = there[0] / TN_MESH - here[0] / TN_MESH, cy = there[1] / TN_MESH - here[1] / TN_MESH;
        counts[TN_CROSSINGS] += (cx < 0 ? -cx : cx) + (cy < 0 ? -cy : cy);
        uint8_t *byte = tn_slot(chip, tick + (route & 15), target) + axon / 8;
        __builtin_prefetch(byte, 1);
        mail->byte[mail->n_bits] = byte, mail->bit[mail->n_bits++] = (uint8_t)(axon & 7);
    }
    mail->n_spikes = 0;
}

/* Takes the spikes of this core, routes those of the last one and delivers those of the one before. */
TN_INLINE void tn_send(const tn_chip *chip, const tn_plan *plan, tn_mail *mail, const tn_now *now, int64_t *counts)
{
    tn_deliver(chip, mail, counts);
    tn_route(chip, mail, now->tick, counts);
    mail->core = now->core;
    for (int word = 0; word < 4; word++) {
        uint64_t bits;
        memcpy(&bits, now->fired + 8 * word, 8);
        counts[TN_SPIKES] += __builtin_popcountll(bits);
        counts[TN_OUTPUT_SPIKES] += __builtin_popcountll(bits & plan->leaving[word]);
        for (bits &= ~plan->leaving[word]; bits; bits &= bits - 1) {
            const int neuron = 64 * word + __builtin_ctzll(bits);
            __builtin_prefetch(chip->route + now->core * TN_SIZE + neuron);
            mail->spikes[mail->n_spikes++] = (uint8_t)neuron;
        }
    }
}

/* Asks for the rows and weights of a core with input; potentials follow each other and are found by the machine. */
TN_INLINE void tn_ask(const tn_chip *chip, int64_t core, int64_t tick)
{
    const uint8_t *rows = chip->crossbar + core * TN_SIZE * TN_ROW, *slot = tn_slot(chip, tick, core);
    const tn_plan *plan = chip->plan + core;
    int any = plan->busy;
    for (int word = 0; word < 4; word++) {
        uint64_t bits;
        memcpy(&bits, slot + 8 * word, 8);
        any |= bits != 0;
        for (int most = 8; bits && most; bits &= bits - 1, most--)
            __builtin_prefetch(rows + (64 * word + __builtin_ctzll(bits)) * TN_ROW);
    }
    for (int g = 0; g < TN_TYPES; g++)
        for (int k = 0; k < TN_SIZE && any && plan->weight_mask[g]; k += 32)
            __builtin_prefetch(chip->weight + (core * TN_TYPES + g) * TN_SIZE + k);
}
#endif
