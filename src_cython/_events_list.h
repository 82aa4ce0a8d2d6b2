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
#if defined(__AVX512BW__)
    __m512i index = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    for (; j + 64 <= n; j += 64) {
        const __m512i bytes = _mm512_loadu_si512(spikes + j);
        uint64_t mask = _mm512_test_epi8_mask(bytes, bytes);
        __asm__("" : "+r"(mask)); /* in a general register: shifts and counts of mask registers take four cycles each */
        for (int part = 0; part < 64; part += 16) {
            const uint32_t here = (uint32_t)(mask >> part) & 0xffff;
            _mm512_storeu_si512(events + found, _mm512_maskz_compress_epi32((__mmask16)here, index));
            found += __builtin_popcount(here);
            index = _mm512_add_epi32(index, _mm512_set1_epi32(16));
        }
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
