/* The list of the inputs that spike in a step: what every event-driven kernel starts with. */
#ifndef NEUROEMU_EVENTS_LIST_H
#define NEUROEMU_EVENTS_LIST_H

#include <stdint.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#define EV_PAD 64 /* slack, in elements, behind every scratch row */
#define EV_INLINE static inline __attribute__((always_inline))

/* Indices of the non-zero bytes; events has room for n + EV_PAD.
   Four candidates are written whether they exist or not: a mispredicted branch costs more than the four stores. */
static int64_t ev_list(const uint8_t *spikes, int64_t n, int32_t *events)
{
    int64_t found = 0, j = 0;
#if defined(__AVX512VBMI2__)
    static const uint8_t lanes[64] = {
        0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
        22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43,
        44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63};
    const __m512i lane = _mm512_loadu_si512(lanes);
    for (; j + 64 <= n; j += 64) {
        const __m512i bytes = _mm512_loadu_si512(spikes + j), first = _mm512_set1_epi32((int32_t)j);
        const uint64_t mask = _mm512_test_epi8_mask(bytes, bytes);
        const int64_t after = found + __builtin_popcountll(mask);
        __m512i numbers = _mm512_maskz_compress_epi8(mask, lane);
        for (;;) { /* sixteen at a time; more of them are rare */
            const __m512i wide = _mm512_cvtepu8_epi32(_mm512_castsi512_si128(numbers));
            _mm512_storeu_si512(events + found, _mm512_add_epi32(wide, first));
            if (found + 16 >= after) break;
            found += 16;
            numbers = _mm512_alignr_epi32(numbers, numbers, 4);
        }
        found = after;
    }
#elif defined(__SSE2__)
    for (; j + 32 <= n; j += 32) {
        const __m128i zero = _mm_setzero_si128();
        __m128i low = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(spikes + j)), zero);
        __m128i high = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(spikes + j + 16)), zero);
        uint64_t mask = (uint32_t)~((uint32_t)_mm_movemask_epi8(low) | (uint32_t)_mm_movemask_epi8(high) << 16);
        if (!mask) continue;
        int64_t after = found + __builtin_popcountll(mask);
        for (; found < after; found += 4)
            for (int k = 0; k < 4; k++) {
                events[found + k] = (int32_t)(j + __builtin_ctzll(mask | (uint64_t)1 << 63)); /* ctz(0) is undefined */
                mask &= mask - 1;
            }
        found = after;
    }
#endif
    for (; j < n; j++) {
        events[found] = (int32_t)j;
        found += spikes[j] != 0;
    }
    return found;
}
#endif
