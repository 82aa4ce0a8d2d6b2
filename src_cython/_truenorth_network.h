/* Spikes on their way: from outside, from core to core; what is asked of memory ahead of its use. */
#ifndef NEUROEMU_TRUENORTH_NETWORK_H
#define NEUROEMU_TRUENORTH_NETWORK_H

#include "_truenorth_neurons.h"

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

/* Sets the axons of the rows (t, core, axon) that lie first; returns how many there are, or -1 for a row outside. */
static __attribute__((noinline)) int64_t tn_inputs(const tn_chip *chip, const int32_t *rows, int64_t n, int32_t t,
                                                   int64_t tick, int64_t *counts)
{
    int64_t k = 0;
    uint32_t axons = 0;
    while (k < n && rows[3 * k] == t) {
        const int64_t first = k;
        const int32_t core = rows[3 * k + 1];
        uint64_t before[4], after[4];
        int64_t met = 0;
        if ((uint32_t)core >= (uint64_t)chip->cores) return -1;
        uint8_t *slot = tn_slot(chip, tick, core);
        memcpy(before, slot, TN_ROW);
#if defined(__AVX2__)
        /* A shift by 64 or more, also a negative one, gives 0: each axon has its bit in one of four words. */
        const __m256i start = _mm256_set_epi64x(192, 128, 64, 0), one = _mm256_set1_epi64x(1);
        __m256i set = _mm256_loadu_si256((const __m256i *)slot);
        do {
            const __m256i axon = _mm256_set1_epi64x(rows[3 * k + 2]);
            axons |= (uint32_t)rows[3 * k + 2];
            set = _mm256_or_si256(set, _mm256_sllv_epi64(one, _mm256_sub_epi64(axon, start)));
        } while (++k < n && rows[3 * k] == t && rows[3 * k + 1] == core);
        _mm256_storeu_si256((__m256i *)after, set);
#else
        memcpy(after, slot, TN_ROW);
        do {
            const uint32_t axon = (uint32_t)rows[3 * k + 2];
            axons |= axon;
            after[axon / 64 % 4] |= (uint64_t)1 << (axon % 64);
        } while (++k < n && rows[3 * k] == t && rows[3 * k + 1] == core);
#endif
        memcpy(slot, after, TN_ROW);
        for (int q = 0; q < 4; q++) met += __builtin_popcountll(before[q]) - __builtin_popcountll(after[q]);
        counts[TN_MERGES] += met + (k - first);
    }
    counts[TN_INPUT_SPIKES] += k;
    return axons < TN_SIZE ? k : -1;
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
