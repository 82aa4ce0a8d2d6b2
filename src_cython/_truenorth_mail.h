/* Spikes from core to core: routes are looked up, hops counted, and bits set in the slots of the target cores.

   Routes and slots lie anywhere in memory, so each is asked for some time before its use.
*/
#ifndef NEUROEMU_TRUENORTH_MAIL_H
#define NEUROEMU_TRUENORTH_MAIL_H

#include "_truenorth_network.h"

/* Sets a bit (0..7) and returns whether it was set. */
TN_INLINE int tn_set(uint8_t *at, int number, int atomic)
{
    const uint8_t bit = (uint8_t)(1 << number);
    uint8_t before = *at;
    if (atomic) before = __atomic_fetch_or(at, bit, __ATOMIC_RELAXED);
    else *at = before | bit;
    return (before & bit) != 0;
}

/* Sets a bit of the ring; returns whether it was set, which is an event of the core that has the axon. */
TN_INLINE int tn_arrive(const tn_chip *chip, int64_t byte, int number)
{
    const int met = tn_set(chip->ring + byte, number, chip->atomic);
    if (__builtin_expect(met && chip->group, 0)) {
        int64_t *merges = chip->by_group + chip->group[byte / TN_ROW % chip->cores] * TN_COUNTS + TN_MERGES;
        if (chip->atomic) __atomic_fetch_add(merges, 1, __ATOMIC_RELAXED);
        else ++*merges;
    }
    return met;
}

#if TN_512
#define TN_BATCH 16
#define TN_WAITING 48 /* spikes that wait until some are sent on, so that all loops have a fixed length */

typedef struct {
    int n_spikes, n_bits;
    int32_t spikes[TN_WAITING + TN_SIZE + 16]; /* 256 core + neuron */
    TN_ALIGNED int32_t byte[TN_BATCH], bit[TN_BATCH]; /* of the ring, to be set */
} tn_mail;

TN_INLINE void tn_deliver(const tn_chip *chip, tn_mail *mail, int64_t *counts)
{
    int64_t merges = 0;
    for (int k = 0; k < mail->n_bits; k++) merges += tn_arrive(chip, mail->byte[k], mail->bit[k]);
    counts[TN_MERGES] += merges;
    mail->n_bits = 0;
}

/* Sum of the positive numbers. */
TN_INLINE int64_t tn_positive(__m512i x)
{
    return _mm512_reduce_add_epi32(_mm512_max_epi32(x, _mm512_setzero_si512()));
}

/* Looks up the routes of n spikes, at most 16, counts their hops, and delivers those before them. */
static __attribute__((noinline)) void tn_route(const tn_chip *chip, tn_mail *mail, const int32_t *spikes, int n,
                                               int64_t tick, int64_t *counts)
{
    const __mmask16 all = (__mmask16)((1u << n) - 1);
    const __m512i zero = _mm512_setzero_si512(), from = _mm512_maskz_loadu_epi32(all, spikes);
    const __m512i route = _mm512_mask_i32gather_epi32(zero, all, from, chip->route, 4);
    const __m512i target = _mm512_srli_epi32(route, 12);
    const __m512i axon = _mm512_and_si512(_mm512_srli_epi32(route, 4), _mm512_set1_epi32(TN_SIZE - 1));
    const __m512i here = _mm512_mask_i32gather_epi32(zero, all, _mm512_srli_epi32(from, 8), chip->position, 4);
    const __m512i there = _mm512_mask_i32gather_epi32(zero, all, target, chip->position, 4);
    const __m512i x = _mm512_srai_epi32(_mm512_slli_epi32(here, 16), 16), y = _mm512_srai_epi32(here, 16);
    const __m512i to_x = _mm512_srai_epi32(_mm512_slli_epi32(there, 16), 16), to_y = _mm512_srai_epi32(there, 16);
    const __m512i east = _mm512_sub_epi32(to_x, x), north = _mm512_sub_epi32(to_y, y);
    const __m512i chips_x = _mm512_sub_epi32(_mm512_srai_epi32(to_x, 6), _mm512_srai_epi32(x, 6)); /* TN_MESH */
    const __m512i chips_y = _mm512_sub_epi32(_mm512_srai_epi32(to_y, 6), _mm512_srai_epi32(y, 6));
    counts[TN_EAST] += tn_positive(east), counts[TN_WEST] += tn_positive(_mm512_sub_epi32(zero, east));
    counts[TN_NORTH] += tn_positive(north), counts[TN_SOUTH] += tn_positive(_mm512_sub_epi32(zero, north));
    if (_mm512_test_epi32_mask(_mm512_or_si512(chips_x, chips_y), _mm512_set1_epi32(-1)))
        counts[TN_CROSSINGS] +=
            _mm512_reduce_add_epi32(_mm512_add_epi32(_mm512_abs_epi32(chips_x), _mm512_abs_epi32(chips_y)));
    const __m512i late = _mm512_and_si512(_mm512_add_epi32(route, _mm512_set1_epi32((int)(tick & (TN_SLOTS - 1)))),
                                          _mm512_set1_epi32(TN_SLOTS - 1));
    const __m512i slot = _mm512_add_epi32(_mm512_mullo_epi32(late, _mm512_set1_epi32((int)chip->cores)), target);
    const __m512i byte = _mm512_add_epi32(_mm512_slli_epi32(slot, 5), _mm512_srli_epi32(axon, 3));
    tn_deliver(chip, mail, counts);
    _mm512_store_si512(mail->byte, byte);
    _mm512_store_si512(mail->bit, _mm512_and_si512(axon, _mm512_set1_epi32(7)));
    for (int k = 0; k < TN_BATCH; k++) __builtin_prefetch(chip->ring + mail->byte[k], 1);
    mail->n_bits = n;
}

/* Takes the spikes of a core; when many wait, the first ones go. */
TN_INLINE void tn_send(const tn_chip *chip, const tn_plan *plan, tn_mail *mail, const tn_now *now, int64_t *counts)
{
    uint8_t list[TN_SIZE + 64];
    uint64_t bits[4];
    int leaving = 0;
    tn_copy(bits, now->fired);
    for (int word = 0; word < 4; word++) {
        leaving += __builtin_popcountll(bits[word] & plan->leaving[word]);
        bits[word] &= ~plan->leaving[word];
    }
    const int n = tn_numbers(bits, 0, list);
    counts[TN_SPIKES] += n + leaving;
    counts[TN_OUTPUT_SPIKES] += leaving;
    if (!n) return;
    int32_t *to = mail->spikes + mail->n_spikes;
    for (int k = 0; k < n; k += 16)
        _mm512_storeu_si512(to + k, _mm512_add_epi32(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(list + k))),
                                                     _mm512_set1_epi32((int)(now->core * TN_SIZE))));
    for (int k = 0; k < n; k++) __builtin_prefetch(chip->route + to[k]);
    for (mail->n_spikes += n; mail->n_spikes >= TN_WAITING; mail->n_spikes -= TN_BATCH) {
        tn_route(chip, mail, mail->spikes, TN_BATCH, now->tick, counts);
        memmove(mail->spikes, mail->spikes + TN_BATCH, (size_t)(mail->n_spikes - TN_BATCH) * sizeof *mail->spikes);
    }
}

/* Sends what waits. */
static void tn_flush(const tn_chip *chip, tn_mail *mail, int64_t tick, int64_t *counts)
{
    for (int k = 0; k < mail->n_spikes; k += TN_BATCH)
        tn_route(chip, mail, mail->spikes + k, mail->n_spikes - k < TN_BATCH ? mail->n_spikes - k : TN_BATCH, tick,
                 counts);
    tn_deliver(chip, mail, counts);
    mail->n_spikes = 0;
}
#else
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
    for (int k = 0; k < mail->n_bits; k++) counts[TN_MERGES] += tn_arrive(chip, mail->byte[k] - chip->ring, mail->bit[k]);
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

/* Sends what waits. */
static void tn_flush(const tn_chip *chip, tn_mail *mail, int64_t tick, int64_t *counts)
{
    tn_deliver(chip, mail, counts);
    tn_route(chip, mail, tick, counts);
    tn_deliver(chip, mail, counts);
}
#endif
#endif
