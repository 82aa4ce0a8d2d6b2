/* Spikes from outside, and what is asked of memory ahead of its use. */
#ifndef NEUROEMU_TRUENORTH_NETWORK_H
#define NEUROEMU_TRUENORTH_NETWORK_H

#include "_truenorth_512.h"

#define TN_AHEAD (2 - TN_512) /* cores between asking for memory and using it: the faster of 1, 2, 4 and 8 */
#define TN_ASKED 8 /* rows that are asked for, of each 64 */

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

/* Sets the axons of the rows (tick, core, axon) that lie first and are of the tick and core of the first row. Returns how
   many these are, or -1 where an axon is outside. */
TN_INLINE int64_t tn_set_alike(uint8_t *slot, const int32_t *rows, int64_t n)
{
    int64_t first, this, k = 0;
    uint32_t axons = 0;
    memcpy(&first, rows, 8);
#if defined(__AVX2__)
    /* A shift by 32 or more, also a negative one, gives 0: each axon has its bit in one of eight words. */
    const __m256i start = _mm256_set_epi32(224, 192, 160, 128, 96, 64, 32, 0), one = _mm256_set1_epi32(1);
    __m256i set = _mm256_loadu_si256((const __m256i *)slot);
    do {
        axons |= (uint32_t)rows[3 * k + 2];
        set = _mm256_or_si256(set, _mm256_sllv_epi32(one, _mm256_sub_epi32(_mm256_set1_epi32(rows[3 * k + 2]), start)));
        if (++k < n) memcpy(&this, rows + 3 * k, 8);
    } while (k < n && this == first);
    _mm256_storeu_si256((__m256i *)slot, set);
#else
    uint64_t words[4];
    tn_copy(words, slot);
    do {
        const uint32_t axon = (uint32_t)rows[3 * k + 2];
        axons |= axon;
        words[axon / 64 % 4] |= (uint64_t)1 << (axon % 64);
        if (++k < n) memcpy(&this, rows + 3 * k, 8);
    } while (k < n && this == first);
    tn_copy(slot, words);
#endif
    return axons < TN_SIZE ? k : -1;
}

/* Sets the axons of the rows of tick t that lie first; returns how many there are, or -1 for a row outside. */
static __attribute__((noinline)) int64_t tn_inputs(const tn_chip *chip, const int32_t *rows, int64_t n, int32_t t,
                                                   int64_t tick, int64_t *counts)
{
    int64_t k = 0, merges = 0;
    while (k < n && rows[3 * k] == t) {
        const int32_t core = rows[3 * k + 1];
        if ((uint32_t)core >= (uint64_t)chip->cores) return -1;
        uint8_t *slot = tn_slot(chip, tick, core);
        const int64_t before = tn_bits_set(slot, 4), found = tn_set_alike(slot, rows + 3 * k, n - k);
        const int64_t met = before + found - tn_bits_set(slot, 4);
        if (found < 0) return -1;
        k += found, merges += met;
        if (!chip->group) continue;
        chip->by_group[chip->group[core] * TN_COUNTS + TN_INPUT_SPIKES] += found;
        chip->by_group[chip->group[core] * TN_COUNTS + TN_MERGES] += met;
    }
    counts[TN_MERGES] += merges;
    counts[TN_INPUT_SPIKES] += k;
    return k;
}

/* Asks for the rows and weights of a core with something to do; potentials follow each other and come by themselves. */
TN_INLINE void tn_ask(const tn_chip *chip, int64_t core, int64_t tick)
{
    const uint8_t *rows = chip->crossbar + core * TN_SIZE * TN_ROW, *slot = tn_slot(chip, tick, core);
    const tn_plan *plan = chip->plan + core;
    uint64_t bits[4];
    tn_copy(bits, slot);
    if (!(bits[0] | bits[1] | bits[2] | bits[3] | plan->busy)) return;
#if TN_512
    uint8_t list[TN_SIZE + 64];
    const int n = tn_numbers(bits, 0, list), most = n < 4 * TN_ASKED ? n : 4 * TN_ASKED;
    for (int k = 0; k < most; k++) __builtin_prefetch(rows + list[k] * TN_ROW);
#else
    for (int word = 0; word < 4; word++)
        for (int most = TN_ASKED; bits[word] && most; bits[word] &= bits[word] - 1, most--)
            __builtin_prefetch(rows + (64 * word + __builtin_ctzll(bits[word])) * TN_ROW);
#endif
    for (int g = 0; g < TN_TYPES && !plan->same; g++)
        for (int k = 0; k < TN_SIZE && plan->weight_mask[g]; k += 32)
            __builtin_prefetch(chip->weight + (core * TN_TYPES + g) * TN_SIZE + k);
}
#endif
