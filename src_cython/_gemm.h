/* Small float32 matrix products for the crossbar kernel: six rows of inputs by a panel of sixteen columns.
 *
 * The weights of a panel lie as [row][16]; the inputs are row-major. Every output is one accumulator, summed over
 * the rows in order, so its bits do not depend on which rows or panels are computed beside it. The three variants
 * below differ in vector width and in whether a product is rounded before it is added (no FMA on plain x86-64).
 */
#ifndef NEUROEMU_GEMM_H
#define NEUROEMU_GEMM_H

#include <stddef.h>

#if defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
typedef __m256 gemm_vector;
#define GEMM_ROWS 6
#define GEMM_VECTORS 2
#define gemm_fma(a, b, c) _mm256_fmadd_ps(a, b, c)
#elif defined(__aarch64__) && defined(__ARM_NEON)
#include <arm_neon.h>
typedef float32x4_t gemm_vector;
#define GEMM_ROWS 6
#define GEMM_VECTORS 4
#define gemm_fma(a, b, c) vfmaq_f32(c, a, b)
#else
/* Sixteen 128-bit registers hold a block of 4 x 8, so a panel takes two passes. */
typedef float gemm_vector __attribute__((vector_size(16)));
#define GEMM_ROWS 4
#define GEMM_VECTORS 2
#define gemm_fma(a, b, c) ((a) * (b) + (c))
#endif

#define GEMM_PANEL 16
#define GEMM_LANES ((int)(sizeof(gemm_vector) / sizeof(float)))
#define GEMM_WIDTH (GEMM_VECTORS * GEMM_LANES)
#define GEMM_STREAMS 4
#define GEMM_INLINE static inline __attribute__((always_inline))

/* The same vector type without alignment or aliasing demands, for loads and stores. */
typedef gemm_vector gemm_memory __attribute__((aligned(4), may_alias));

GEMM_INLINE gemm_vector gemm_load(const float *p) { return *(const gemm_memory *)p; }
GEMM_INLINE void gemm_store(float *p, gemm_vector v) { *(gemm_memory *)p = v; }
GEMM_INLINE gemm_vector gemm_broadcast(float x) { return x - (gemm_vector){0}; }

/* c[rows][16] = a[rows][depth] . b[depth][16], for a number of rows that is known at compile time. */
GEMM_INLINE void gemm_rows(const int rows, const float *a, ptrdiff_t stride, const float *b, ptrdiff_t depth, float *c)
{
    for (int column = 0; column < GEMM_PANEL; column += GEMM_WIDTH) {
        gemm_vector sum[GEMM_ROWS][GEMM_VECTORS];
#pragma GCC unroll 6
        for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
            for (int j = 0; j < GEMM_VECTORS; j++)
                sum[i][j] = gemm_broadcast(0.0f);
        for (ptrdiff_t k = 0; k < depth; k++) {
            gemm_vector weight[GEMM_VECTORS];
#pragma GCC unroll 4
            for (int j = 0; j < GEMM_VECTORS; j++)
                weight[j] = gemm_load(b + k * GEMM_PANEL + column + j * GEMM_LANES);
#pragma GCC unroll 6
            for (int i = 0; i < rows; i++) {
                const gemm_vector input = gemm_broadcast(a[i * stride + k]);
#pragma GCC unroll 4
                for (int j = 0; j < GEMM_VECTORS; j++)
                    sum[i][j] = gemm_fma(input, weight[j], sum[i][j]);
            }
        }
#pragma GCC unroll 6
        for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
            for (int j = 0; j < GEMM_VECTORS; j++)
                gemm_store(c + i * GEMM_PANEL + column + j * GEMM_LANES, sum[i][j]);
    }
}

/* c[rows][16] = a[rows][depth] . b[depth][16] for any number of rows. */
static void gemm_panel(ptrdiff_t rows, const float *a, ptrdiff_t stride, const float *b, ptrdiff_t depth, float *c)
{
    for (; rows >= GEMM_ROWS; rows -= GEMM_ROWS, a += GEMM_ROWS * stride, c += GEMM_ROWS * GEMM_PANEL)
        gemm_rows(GEMM_ROWS, a, stride, b, depth, c);
    switch (rows) {
#if GEMM_ROWS > 4
    case 5: gemm_rows(5, a, stride, b, depth, c); break;
    case 4: gemm_rows(4, a, stride, b, depth, c); break;
#endif
    case 3: gemm_rows(3, a, stride, b, depth, c); break;
    case 2: gemm_rows(2, a, stride, b, depth, c); break;
    case 1: gemm_rows(1, a, stride, b, depth, c); break;
    }
}

/* Four products of one input row with one panel each. A single row is bound by memory, not arithmetic: reading four
 * panels at once keeps enough additions in flight to hide their latency. */
static void gemm_streams(const float *const a[GEMM_STREAMS], const float *const b[GEMM_STREAMS], ptrdiff_t depth,
                         float *const c[GEMM_STREAMS])
{
    for (int column = 0; column < GEMM_PANEL; column += 2 * GEMM_LANES) {
        gemm_vector sum[GEMM_STREAMS][2];
#pragma GCC unroll 4
        for (int s = 0; s < GEMM_STREAMS; s++)
            sum[s][0] = sum[s][1] = gemm_broadcast(0.0f);
        for (ptrdiff_t k = 0; k < depth; k++)
#pragma GCC unroll 4
            for (int s = 0; s < GEMM_STREAMS; s++) {
                const float *weight = b[s] + k * GEMM_PANEL + column;
                const gemm_vector input = gemm_broadcast(a[s][k]);
                sum[s][0] = gemm_fma(input, gemm_load(weight), sum[s][0]);
                sum[s][1] = gemm_fma(input, gemm_load(weight + GEMM_LANES), sum[s][1]);
            }
#pragma GCC unroll 4
        for (int s = 0; s < GEMM_STREAMS; s++) {
            gemm_store(c[s] + column, sum[s][0]);
            gemm_store(c[s] + column + GEMM_LANES, sum[s][1]);
        }
    }
}

#endif
