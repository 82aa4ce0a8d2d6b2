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

/* Rows (tick, core, number) of the set bits of 256; writes up to 15 rows more. Returns how many. */
TN_INLINE int64_t tn_rows(const uint64_t *bits, int32_t tick, int32_t core, int32_t *out)
{
    static const TN_ALIGNED int32_t row[48] = {0,  0,  0,  1,  1,  1,  2,  2,  2,  3,  3,  3,  4,  4,  4,  5,
                                               5,  5,  6,  6,  6,  7,  7,  7,  8,  8,  8,  9,  9,  9,  10, 10,
                                               10, 11, 11, 11, 12, 12, 12, 13, 13, 13, 14, 14, 14, 15, 15, 15};
    static const __mmask16 is_tick[3] = {0x9249, 0x4924, 0x2492}, is_core[3] = {0x2492, 0x9249, 0x4924};
    uint8_t list[TN_SIZE + 64];
    const int n = tn_numbers(bits, 0, list);
    for (int k = 0; k < n; k += 16) {
        const __m512i numbers = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(list + k)));
        for (int part = 0; part < 3; part++) {
            const __m512i all = _mm512_permutexvar_epi32(_mm512_load_si512(row + 16 * part), numbers);
            _mm512_storeu_si512(out + 3 * k + 16 * part,
                                _mm512_mask_set1_epi32(_mm512_mask_set1_epi32(all, is_tick[part], tick), is_core[part],
                                                       core));
        }
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
#pragma GCC unroll 8 /* else they would be set in memory */
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
                sum[part] =
                    _mm512_mask_add_epi16(sum[part], _load_mask32((__mmask32 *)(row + 4 * part)), sum[part], one);
        } else {
#pragma GCC unroll 8
            for (int part = 0; part < 8; part++)
                sum[part] = _mm512_mask_add_epi16(sum[part], _load_mask32((__mmask32 *)(row + 4 * part)), sum[part],
                                                  _mm512_loadu_si512(w + 32 * part));
        }
    }
#pragma GCC unroll 8
    for (int part = 0; part < 8; part++) _mm512_store_si512(now->narrow + 32 * part, sum[part]);
    return events[0] + events[1] + events[2] + events[3];
}

/* counts[o] += how many of `left` rows (8 at most are looked at) hold neuron 64 o + lane, lanes as `order` says. */
TN_INLINE void tn_count_eight(const uint8_t *rows, const uint8_t *list, int left, __m512i order, __m512i *counts)
{
    const __m512i turn = _mm512_set1_epi64((long long)0x8040201008040201ull);
    const __mmask64 there = (left < 8 ? (1u << left) - 1 : 0xffu) * 0x0101010101010101ull; /* rows, by byte */
    __m512i pair[4], word[4];
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++)
        pair[k] = _mm512_inserti64x4(
            _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)(rows + list[2 * k] * TN_ROW))),
            _mm256_loadu_si256((const __m256i *)(rows + list[2 * k + 1] * TN_ROW)), 1);
    /* word[o]: eight bytes of each of the rows 0, 2, 1, 3, 4, 6, 5, 7 */
    const __m512i a = _mm512_unpacklo_epi64(pair[0], pair[1]), b = _mm512_unpacklo_epi64(pair[2], pair[3]);
    const __m512i c = _mm512_unpackhi_epi64(pair[0], pair[1]), d = _mm512_unpackhi_epi64(pair[2], pair[3]);
    word[0] = _mm512_shuffle_i64x2(a, b, 0x88), word[1] = _mm512_shuffle_i64x2(c, d, 0x88);
    word[2] = _mm512_shuffle_i64x2(a, b, 0xdd), word[3] = _mm512_shuffle_i64x2(c, d, 0xdd);
#pragma GCC unroll 4
    for (int o = 0; o < 4; o++) {
        const __m512i eight = _mm512_maskz_permutexvar_epi8(there, order, word[o]);
        counts[o] = _mm512_add_epi8(counts[o], _mm512_popcnt_epi8(_mm512_gf2p8affine_epi64_epi8(turn, eight, 0)));
    }
}

/* Sums of many active axons, fewer than 256, int16; returns the events. */
static __attribute__((noinline)) int64_t tn_sum_many(const tn_chip *chip, const tn_plan *plan, tn_now *now)
{
    const uint8_t *rows = chip->crossbar + now->core * TN_SIZE * TN_ROW;
    const tn_pairs *pairs = chip->pairs + now->core;
    const __m512i zero = _mm512_setzero_si512();
    /* Byte 8 q + k: row k, neurons 8 group(q) .. + 7, such that pairs of bytes come out in order. */
    const __m512i order = _mm512_add_epi64(_mm512_set1_epi64(0x3828302018081000ll),
                                           _mm512_mullo_epi64(_mm512_set_epi64(7, 3, 6, 2, 5, 1, 4, 0),
                                                              _mm512_set1_epi64(0x0101010101010101ll)));
    __m512i counts[TN_TYPES][4], events = zero;
    uint8_t list[TN_TYPES][TN_SIZE + 64];
    int n[TN_TYPES];
#pragma GCC unroll 4
    for (int g = 0; g < TN_TYPES; g++) n[g] = tn_numbers(now->active, plan->axons[g], list[g]);
#pragma GCC unroll 4
    for (int g = 0; g < TN_TYPES; g++) {
        counts[g][0] = counts[g][1] = counts[g][2] = counts[g][3] = zero;
        tn_count_eight(rows, list[g], n[g], order, counts[g]); /* of none: still cheaper than asking */
        for (int k = 8; k < n[g]; k += 8) tn_count_eight(rows, list[g] + k, n[g] - k, order, counts[g]);
    }
#pragma GCC unroll 4
    for (int o = 0; o < 4; o++) {
        const __m512i a = counts[0][o], b = counts[1][o], c = counts[2][o], d = counts[3][o];
        const __m512i all = _mm512_add_epi8(_mm512_add_epi8(a, b), _mm512_add_epi8(c, d));
        events = _mm512_add_epi64(events, _mm512_sad_epu8(all, zero));
        for (int half = 0; half < 2; half++) {
            const int64_t at = 64 * o + 32 * half;
            const __m512i ab = half ? _mm512_unpackhi_epi8(a, b) : _mm512_unpacklo_epi8(a, b);
            const __m512i cd = half ? _mm512_unpackhi_epi8(c, d) : _mm512_unpacklo_epi8(c, d);
            _mm512_store_si512(now->narrow + at,
                               _mm512_add_epi16(_mm512_maddubs_epi16(ab, _mm512_loadu_si512(pairs->weight[0] + at)),
                                                _mm512_maddubs_epi16(cd, _mm512_loadu_si512(pairs->weight[1] + at))));
        }
    }
    return _mm512_reduce_add_epi64(events);
}

/* Weights of a core in 8 bits, two types side by side; returns whether all fit. */
static int tn_pair(const tn_chip *chip, int64_t core)
{
    const int16_t *weight = chip->weight + core * TN_TYPES * TN_SIZE;
    for (int two = 0; two < 2; two++)
        for (int j = 0; j < TN_SIZE; j++) {
            const int16_t low = weight[2 * two * TN_SIZE + j], high = weight[(2 * two + 1) * TN_SIZE + j];
            if (low < -128 || low > 127 || high < -128 || high > 127) return 0;
            chip->pairs[core].weight[two][j] = (uint16_t)((low & 255) | (high & 255) << 8);
        }
    return 1;
}

/* Whether all sums were made, and the events of all synapses. */
TN_INLINE int tn_sum(const tn_chip *chip, const tn_plan *plan, tn_now *now, int64_t *events)
{
    if (plan->has_stochastic_synapse || now->n_active * plan->most_weight > INT16_MAX || now->n_active == TN_SIZE)
        return 0;
    const int many = now->n_active > TN_FEW && chip->pairs && plan->paired;
    *events = many ? tn_sum_many(chip, plan, now) : tn_sum_few(chip, plan, now);
    now->is_wide = 0;
    return 1;
}

/* ---------------------------------------------------------------- plain neurons */

/* V after the tick, of neurons at w; lanes of `calm` do not fire. */
TN_INLINE __m512i tn_after(__m512i w, __m512i alpha, __m512i beta, __m512i reset, int mode, __mmask16 *calm)
{
    const __m512i high = _mm512_sub_epi32(w, alpha), low = _mm512_add_epi32(w, beta);
    const __mmask16 under = _mm512_movepi32_mask(low);
    __m512i after = w;
    *calm = _mm512_movepi32_mask(high);
    if ((mode & 3) == 0) after = _mm512_mask_mov_epi32(reset, *calm, w);
    if ((mode & 3) == 1) after = _mm512_mask_mov_epi32(high, *calm, w);
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
    __m512i l = _mm512_set1_epi16((int16_t)plan->one_leak), r = _mm512_set1_epi32(plan->one_reset);
    unsigned settled = 0xffff;
    for (int word = 0; word < 4; word++) {
        uint64_t calm = 0;
#pragma GCC unroll 2
        for (int two = 0; two < 2; two++) {
            const int at = 64 * word + 32 * two;
            if (!same) l = _mm512_loadu_si512(leak + at);
            const __m512i change = _mm512_add_epi16(_mm512_load_si512(now->narrow + at), l);
#pragma GCC unroll 2
            for (int half = 0; half < 2; half++) {
                const int i = at + 16 * half;
                if (!same) {
                    a = _mm512_loadu_si512(alpha + i), b = _mm512_loadu_si512(beta + i);
                    if ((mode & 3) == 0) r = _mm512_loadu_si512(reset + i);
                }
                const __m256i some = half ? _mm512_extracti64x4_epi64(change, 1) : _mm512_castsi512_si256(change);
                const __m512i w = _mm512_add_epi32(_mm512_loadu_si512(potential + i), _mm512_cvtepi16_epi32(some));
                __mmask16 mask;
                const __m512i after = tn_after(w, a, b, r, mode, &mask);
                _mm512_storeu_si512(potential + i, after);
                calm |= (uint64_t)mask << (i & 63);
                if (settles)
                    settled &= (unsigned)_mm512_movepi32_mask(_mm512_sub_epi32(after, a)) &
                               ~(unsigned)_mm512_movepi32_mask(_mm512_add_epi32(after, b));
            }
        }
        calm = ~calm;
        memcpy(now->fired + 8 * word, &calm, 8);
    }
    now->busy = !settles || settled != 0xffff;
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
    if (!plan->plain || now->is_wide || change > plan->room || change > INT16_MAX) return 0;
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
