/* TrueNorth cores in vectors of 512 bits: the same sums and updates as in the other headers.

   A row of the crossbar is read as masks of lanes, so few active axons need no planes of counts. Many active axons are
   taken eight at a time: their rows are turned so that each neuron has a byte with a bit for each axon, and the set
   bits are counted.
*/
#ifndef NEUROEMU_TRUENORTH_512_H
#define NEUROEMU_TRUENORTH_512_H

#include "_truenorth_neurons.h"

#if TN_512
#define TN_FEW 12 /* active axons that are added one by one */

/* Numbers of the set bits of 256, ascending; writes up to 64 bytes more. Returns how many. */
TN_INLINE int tn_numbers(const uint64_t *bits, const uint64_t *and, uint8_t *list)
{
    static const TN_ALIGNED uint8_t lanes[64] = {
        0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
        22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43,
        44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63};
    __m512i number = _mm512_load_si512(lanes);
    int n = 0;
    for (int word = 0; word < 4; word++) {
        const uint64_t set = and ? bits[word] & and[word] : bits[word];
        _mm512_storeu_si512(list + n, _mm512_maskz_compress_epi8(set, number));
        n += __builtin_popcountll(set);
        number = _mm512_add_epi8(number, _mm512_set1_epi8(64));
    }
    return n;
}

/* Sums of few active axons, int16; returns the events. */
static __attribute__((noinline)) int64_t tn_sum_few(const tn_chip *chip, const tn_plan *plan, tn_now *now)
{
    const uint8_t *rows = chip->crossbar + now->core * TN_SIZE * TN_ROW;
    const int16_t *weight = chip->weight + now->core * TN_TYPES * TN_SIZE;
    uint8_t list[TN_SIZE + 64];
    const int n = tn_numbers(now->active, 0, list);
    __m256i events = _mm256_setzero_si256();
    __m512i sum[8];
    for (int part = 0; part < 8; part++) sum[part] = _mm512_setzero_si512();
    for (int k = 0; k < n; k++) {
        const int axon = list[k], word = axon >> 6, bit = axon & 63;
        const int type = (int)(plan->type_bits[0][word] >> bit & 1) | (int)(plan->type_bits[1][word] >> bit & 1) << 1;
        const uint8_t *row = rows + axon * TN_ROW;
        const int16_t *w = weight + type * TN_SIZE;
        events = _mm256_add_epi64(events, _mm256_popcnt_epi64(_mm256_loadu_si256((const __m256i *)row)));
        if (plan->same) {
            const __m512i one = _mm512_set1_epi16(plan->one_weight[type]);
#pragma GCC unroll 8
            for (int part = 0; part < 8; part++)
                sum[part] = _mm512_mask_add_epi16(sum[part], _load_mask32((__mmask32 *)(row + 4 * part)), sum[part], one);
        } else {
#pragma GCC unroll 8
            for (int part = 0; part < 8; part++)
                sum[part] = _mm512_mask_add_epi16(sum[part], _load_mask32((__mmask32 *)(row + 4 * part)), sum[part],
                                                  _mm512_loadu_si512(w + 32 * part));
        }
    }
    for (int part = 0; part < 8; part++) _mm512_store_si512(now->narrow + 32 * part, sum[part]);
    return events[0] + events[1] + events[2] + events[3];
}

/* counts[o] += how many of `left` rows (8 at most are looked at) hold neuron 64 o + lane. */
TN_INLINE void tn_count_eight(const uint8_t *rows, const uint8_t *list, int left, const __m512i *order, __m512i *counts)
{
    const __m512i turn = _mm512_set1_epi64((long long)0x8040201008040201ull);
    const __m512i keep = _mm512_set1_epi8((char)(left < 8 ? 0xff00 >> left : 0xff)); /* row k is bit 7 - k */
    __m512i pair[4];
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++)
        pair[k] = _mm512_inserti64x4(
            _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)(rows + list[2 * k] * TN_ROW))),
            _mm256_loadu_si256((const __m256i *)(rows + list[2 * k + 1] * TN_ROW)), 1);
#pragma GCC unroll 4
    for (int o = 0; o < 4; o++) {
        const __m512i first = _mm512_permutex2var_epi8(pair[0], order[o], pair[1]);
        const __m512i last = _mm512_permutex2var_epi8(pair[2], order[o], pair[3]);
        const __m512i eight = _mm512_mask_blend_epi8(0xF0F0F0F0F0F0F0F0ull, first, last);
        const __m512i turned = _mm512_gf2p8affine_epi64_epi8(turn, eight, 0);
        counts[o] = _mm512_add_epi8(counts[o], _mm512_popcnt_epi8(_mm512_and_si512(turned, keep)));
    }
}

/* Sums of many active axons, fewer than 256, int16; returns the events. */
static __attribute__((noinline)) int64_t tn_sum_many(const tn_chip *chip, const tn_plan *plan, tn_now *now)
{
    const uint8_t *rows = chip->crossbar + now->core * TN_SIZE * TN_ROW;
    const int16_t *weight = chip->weight + now->core * TN_TYPES * TN_SIZE;
    const __m512i zero = _mm512_setzero_si512();
    __m512i order[4], sum[8], events = zero;
    uint8_t list[TN_TYPES][TN_SIZE + 64];
    int n[TN_TYPES];
    for (int g = 0; g < TN_TYPES; g++) n[g] = tn_numbers(now->active, plan->axons[g], list[g]);
    for (int o = 0; o < 4; o++) /* byte 8 q + k of the result: row k, neurons 64 o + 8 q .. + 7 */
        order[o] = _mm512_add_epi64(_mm512_set1_epi64((long long)(0x6040200060402000ull + o * 0x0808080808080808ull)),
                                    _mm512_mullo_epi64(_mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0),
                                                       _mm512_set1_epi64(0x0101010101010101ll)));
    for (int part = 0; part < 8; part++) sum[part] = zero;
    for (int g = 0; g < TN_TYPES; g++) {
        const int16_t *w = weight + g * TN_SIZE;
        __m512i counts[4] = {zero, zero, zero, zero};
        for (int k = 0; k < n[g]; k += 8) tn_count_eight(rows, list[g] + k, n[g] - k, order, counts);
#pragma GCC unroll 4
        for (int o = 0; o < 4; o++) {
            const __m512i low = _mm512_cvtepu8_epi16(_mm512_castsi512_si256(counts[o]));
            const __m512i high = _mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64(counts[o], 1));
            events = _mm512_add_epi64(events, _mm512_sad_epu8(counts[o], zero));
            sum[2 * o] = _mm512_add_epi16(sum[2 * o], _mm512_mullo_epi16(low, _mm512_loadu_si512(w + 64 * o)));
            sum[2 * o + 1] =
                _mm512_add_epi16(sum[2 * o + 1], _mm512_mullo_epi16(high, _mm512_loadu_si512(w + 64 * o + 32)));
        }
    }
    for (int part = 0; part < 8; part++) _mm512_store_si512(now->narrow + 32 * part, sum[part]);
    return _mm512_reduce_add_epi64(events);
}

/* Whether all sums were made, and the events of all synapses. */
TN_INLINE int tn_sum(const tn_chip *chip, const tn_plan *plan, tn_now *now, int64_t *events)
{
    if (plan->has_stochastic_synapse || now->n_active * plan->most_weight > INT16_MAX || now->n_active == TN_SIZE)
        return 0;
    *events = now->n_active <= TN_FEW ? tn_sum_few(chip, plan, now) : tn_sum_many(chip, plan, now);
    now->is_wide = 0;
    return 1;
}

/* ---------------------------------------------------------------- plain neurons */

/* V after the tick, of neurons at w; `fired` is written. */
TN_INLINE __m512i tn_after(__m512i w, __m512i alpha, __m512i beta, __m512i reset, int mode, __mmask16 *fired)
{
    const __m512i high = _mm512_sub_epi32(w, alpha), low = _mm512_add_epi32(w, beta);
    const __mmask16 over = (__mmask16)~_mm512_movepi32_mask(high), under = _mm512_movepi32_mask(low);
    __m512i after = w;
    *fired = over;
    if ((mode & 3) == 0) after = _mm512_mask_mov_epi32(after, over, reset);
    if ((mode & 3) == 1) after = _mm512_mask_mov_epi32(after, over, high);
    if (mode & 4) return _mm512_mask_sub_epi32(after, under, w, low); /* -beta */
    if ((mode & 3) == 0) return _mm512_mask_sub_epi32(after, under, _mm512_setzero_si512(), reset);
    if ((mode & 3) == 1) return _mm512_mask_mov_epi32(after, under, low);
    return after;
}

TN_INLINE void tn_plain_as(const tn_chip *chip, const tn_plan *plan, tn_now *now, int same, int settles, int mode)
{
    const int64_t base = now->core * TN_SIZE;
    const int32_t *alpha = chip->threshold + base, *beta = chip->negative_threshold + base, *reset = chip->reset + base;
    const int16_t *leak = chip->leak + base;
    int32_t *potential = chip->potential + base;
    __m512i a = _mm512_set1_epi32(plan->one_threshold), b = _mm512_set1_epi32(plan->one_negative);
    __m512i l = _mm512_set1_epi32(plan->one_leak), r = _mm512_set1_epi32(plan->one_reset);
    unsigned unsettled = 0;
    for (int word = 0; word < 4; word++) {
        uint64_t bits = 0;
        for (int i = 64 * word; i < 64 * word + 64; i += 16) {
            if (!same) {
                a = _mm512_loadu_si512(alpha + i), b = _mm512_loadu_si512(beta + i);
                l = _mm512_cvtepi16_epi32(_mm256_loadu_si256((const __m256i *)(leak + i)));
                if ((mode & 3) == 0) r = _mm512_loadu_si512(reset + i);
            }
            __m512i sum = _mm512_cvtepi16_epi32(_mm256_load_si256((const __m256i *)(now->narrow + i)));
            __m512i w = _mm512_add_epi32(_mm512_add_epi32(_mm512_loadu_si512(potential + i), l), sum);
            __mmask16 fired;
            const __m512i after = tn_after(w, a, b, r, mode, &fired);
            _mm512_storeu_si512(potential + i, after);
            bits |= (uint64_t)fired << (i & 63);
            if (settles)
                unsettled |= (unsigned)(__mmask16)~_mm512_movepi32_mask(_mm512_sub_epi32(after, a)) |
                             _mm512_movepi32_mask(_mm512_add_epi32(after, b));
        }
        memcpy(now->fired + 8 * word, &bits, 8);
    }
    now->busy = !settles || unsettled;
}

TN_INLINE void tn_plain_mode(const tn_chip *chip, const tn_plan *plan, tn_now *now, int same, int settles)
{
    switch (chip->reset_mode[now->core * TN_SIZE]) {
    case 0: tn_plain_as(chip, plan, now, same, settles, 0); break;
    case 1: tn_plain_as(chip, plan, now, same, settles, 1); break;
    case 2: tn_plain_as(chip, plan, now, same, settles, 2); break;
    case 4: tn_plain_as(chip, plan, now, same, settles, 4); break;
    case 5: tn_plain_as(chip, plan, now, same, settles, 5); break;
    default: tn_plain_as(chip, plan, now, same, settles, 6);
    }
}

/* Whether all neurons were updated: those of plain cores that cannot saturate in this tick. */
static __attribute__((noinline)) int tn_plain(const tn_chip *chip, tn_plan *plan, tn_now *now)
{
    const int64_t change = (int64_t)now->n_active * plan->most_weight + plan->most_leak;
    if (!plan->plain || now->is_wide || change > plan->room) return 0;
    plan->room -= (int32_t)change;
    if (plan->room > plan->most_room) plan->room = plan->most_room;
    now->saturations = 0;
    switch (plan->same | (plan->always_busy ? 0 : 2)) {
    case 0: tn_plain_mode(chip, plan, now, 0, 0); break;
    case 1: tn_plain_mode(chip, plan, now, 1, 0); break;
    case 2: tn_plain_mode(chip, plan, now, 0, 1); break;
    default: tn_plain_mode(chip, plan, now, 1, 1);
    }
    return 1;
}

/* How far from saturation every V is after an update that looked for it. */
static void tn_make_room(const tn_chip *chip, tn_plan *plan, int64_t core)
{
    const int32_t *potential = chip->potential + core * TN_SIZE;
    int32_t most = 0;
    for (int j = 0; j < TN_SIZE; j++) {
        const int32_t size = potential[j] < 0 ? -potential[j] : potential[j];
        most = size > most ? size : most;
    }
    plan->room = TN_HALF - 1 - most;
}
#endif
#endif
