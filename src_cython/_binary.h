/* Counting for the popcount kernel: how many rows of a tile are driven and hold a one, for many columns at once.
 *
 * Inputs and weights are cut into nibbles, four rows each. The nibbles of 32 columns (a group) lie side by side, so
 * that one table of popcount(x & w) over all w, chosen by the input's nibble x, answers 32 columns in one shuffle.
 * Counts are integers: every variant below gives the same numbers.
 */
#ifndef NEUROEMU_BINARY_H
#define NEUROEMU_BINARY_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BINARY_INLINE static inline __attribute__((always_inline))
#define BINARY_APART static __attribute__((noinline)) /* inside one large function the loops would lack registers */
#define BINARY_GROUP 32
#define BINARY_BATCH 4   /* groups counted at a time */
#define BINARY_CHUNK 63  /* nibbles whose counts, at most 4 each, fit a byte */

/* popcount(x & w) of nibbles. */
#define BINARY_ROW(x) { BINARY_AT(x, 0), BINARY_AT(x, 1), BINARY_AT(x, 2), BINARY_AT(x, 3), BINARY_AT(x, 4), \
    BINARY_AT(x, 5), BINARY_AT(x, 6), BINARY_AT(x, 7), BINARY_AT(x, 8), BINARY_AT(x, 9), BINARY_AT(x, 10), \
    BINARY_AT(x, 11), BINARY_AT(x, 12), BINARY_AT(x, 13), BINARY_AT(x, 14), BINARY_AT(x, 15) }
#define BINARY_AT(x, w) (((x) & (w) & 1) + (((x) & (w)) >> 1 & 1) + (((x) & (w)) >> 2 & 1) + (((x) & (w)) >> 3))
static const uint8_t binary_table[16][16] __attribute__((aligned(64))) = {
    BINARY_ROW(0), BINARY_ROW(1), BINARY_ROW(2), BINARY_ROW(3), BINARY_ROW(4), BINARY_ROW(5), BINARY_ROW(6),
    BINARY_ROW(7), BINARY_ROW(8), BINARY_ROW(9), BINARY_ROW(10), BINARY_ROW(11), BINARY_ROW(12), BINARY_ROW(13),
    BINARY_ROW(14), BINARY_ROW(15)};

#if defined(__AVX2__)
#include <immintrin.h>
#define BINARY_LANES 32
typedef __m256i binary_vector;
BINARY_INLINE binary_vector binary_lookup(uint8_t x, const uint8_t *w)
{
    const __m256i table = _mm256_broadcastsi128_si256(_mm_load_si128((const __m128i *)binary_table[x]));
    return _mm256_shuffle_epi8(table, _mm256_loadu_si256((const __m256i *)w));
}
BINARY_INLINE binary_vector binary_add(binary_vector a, binary_vector b) { return _mm256_add_epi8(a, b); }
#else
/* Without a shuffle of bytes: add up the bits of a nibble in pairs, then both pairs. */
#define BINARY_LANES 16
typedef uint8_t binary_vector __attribute__((vector_size(BINARY_LANES)));
BINARY_INLINE binary_vector binary_lookup(uint8_t x, const uint8_t *w)
{
    binary_vector bits;
    memcpy(&bits, w, sizeof(bits));
    bits &= (binary_vector){0} + x;
    bits -= bits >> 1 & 5;
    return (bits & 3) + (bits >> 2);
}
BINARY_INLINE binary_vector binary_add(binary_vector a, binary_vector b) { return a + b; }
#endif
#define BINARY_PARTS (BINARY_GROUP / BINARY_LANES)

/* counts[groups][32] = sum over n nibbles of popcount(x & w[n][stride]), for 1 to 4 groups. */
BINARY_INLINE void binary_count_batch(const int groups, const uint8_t *x, ptrdiff_t n, const uint8_t *w,
                                      ptrdiff_t stride, uint16_t *counts)
{
    const ptrdiff_t chunks = (n + BINARY_CHUNK - 1) / BINARY_CHUNK, share = (n + chunks - 1) / chunks;
    for (ptrdiff_t start = 0; start < n; start += share) {
        const ptrdiff_t end = start + share < n ? start + share : n;
        binary_vector sum[BINARY_BATCH * BINARY_PARTS];
#pragma GCC unroll 8
        for (int part = 0; part < groups * BINARY_PARTS; part++)
            sum[part] = (binary_vector){0};
        for (ptrdiff_t k = start; k < end; k++)
#pragma GCC unroll 8
            for (int part = 0; part < groups * BINARY_PARTS; part++)
                sum[part] = binary_add(sum[part], binary_lookup(x[k], w + k * stride + part * BINARY_LANES));
#pragma GCC unroll 8
        for (int part = 0; part < groups * BINARY_PARTS; part++) {
            uint8_t bytes[BINARY_LANES];
            uint16_t *out = counts + part * BINARY_LANES;
            memcpy(bytes, &sum[part], sizeof(bytes));
            if (start == 0)
                for (int lane = 0; lane < BINARY_LANES; lane++)
                    out[lane] = bytes[lane];
            else
                for (int lane = 0; lane < BINARY_LANES; lane++)
                    out[lane] = (uint16_t)(out[lane] + bytes[lane]);
        }
    }
}

/* counts[groups][32] for any number of groups; n > 0 nibbles. */
BINARY_APART void binary_count(const uint8_t *x, ptrdiff_t n, const uint8_t *w, ptrdiff_t groups, uint16_t *counts)
{
    const ptrdiff_t stride = groups * BINARY_GROUP;
    for (; groups > 0; groups -= BINARY_BATCH) {
        switch (groups) {
        case 1: binary_count_batch(1, x, n, w, stride, counts); break;
        case 2: binary_count_batch(2, x, n, w, stride, counts); break;
        case 3: binary_count_batch(3, x, n, w, stride, counts); break;
        default: binary_count_batch(4, x, n, w, stride, counts);
        }
        w += BINARY_BATCH * BINARY_GROUP;
        counts += BINARY_BATCH * BINARY_GROUP;
    }
}
#endif
