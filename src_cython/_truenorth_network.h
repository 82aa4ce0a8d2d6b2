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

static __attribute__((noinline)) void tn_inputs(const tn_chip *chip, const int32_t *inputs, int64_t n, int64_t tick,
                                                int64_t *counts)
{
    counts[TN_INPUT_SPIKES] += n;
    for (int64_t k = 0; k < n; k++) {
        const int axon = inputs[3 * k + 2];
        counts[TN_MERGES] += tn_set(tn_slot(chip, tick, inputs[3 * k + 1]) + axon / 8, axon & 7, 0);
    }
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
        if (route < 0) {
            counts[TN_OUTPUT_SPIKES]++;
            continue;
        }
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
static __attribute__((noinline)) void tn_send(const tn_chip *chip, tn_mail *mail, const tn_now *now, int64_t *counts)
{
    tn_deliver(chip, mail, counts);
    tn_route(chip, mail, now->tick, counts);
    mail->core = now->core;
    for (int word = 0; word < 4; word++) {
        uint64_t bits;
        memcpy(&bits, now->fired + 8 * word, 8);
        for (; bits; bits &= bits - 1) {
            const int neuron = 64 * word + __builtin_ctzll(bits);
            __builtin_prefetch(chip->route + now->core * TN_SIZE + neuron);
            mail->spikes[mail->n_spikes++] = (uint8_t)neuron;
        }
    }
    counts[TN_SPIKES] += mail->n_spikes;
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
