/* Small matrix products for the crossbar kernel, in float32, in float64, and of float64 inputs with float32 weights: a
 * few rows of inputs by a panel of sixteen columns.
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
typedef __m256 gemm_vector_float;
typedef __m256d gemm_vector_double;
#define GEMM_ROWS 6
#define GEMM_VECTORS_FLOAT 2
#define GEMM_VECTORS_DOUBLE 2
#define gemm_fma_float(a, b, c) _mm256_fmadd_ps(a, b, c)
#define gemm_fma_double(a, b, c) _mm256_fmadd_pd(a, b, c)
#elif defined(__aarch64__) && defined(__ARM_NEON)
#include <arm_neon.h>
typedef float32x4_t gemm_vector_float;
typedef float64x2_t gemm_vector_double;
#define GEMM_ROWS 6
#define GEMM_VECTORS_FLOAT 4
#define GEMM_VECTORS_DOUBLE 4
#define gemm_fma_float(a, b, c) vfmaq_f32(c, a, b)
#define gemm_fma_double(a, b, c) vfmaq_f64(c, a, b)
#else
/* Sixteen 128-bit registers hold a block of four rows by two vectors, so a panel takes several passes. */
typedef float gemm_vector_float __attribute__((vector_size(16)));
typedef double gemm_vector_double __attribute__((vector_size(16)));
#define GEMM_ROWS 4
#define GEMM_VECTORS_FLOAT 2
#define GEMM_VECTORS_DOUBLE 2
#define gemm_fma_float(a, b, c) ((a) * (b) + (c))
#define gemm_fma_double(a, b, c) ((a) * (b) + (c))
#endif

#define GEMM_PANEL 16
#define GEMM_STREAMS 4
#define GEMM_INLINE static inline __attribute__((always_inline))

#define GEMM(name) name##_float
#define GEMM_NUMBER float
#define GEMM_WEIGHT float
#define GEMM_VECTORS GEMM_VECTORS_FLOAT
#include "_gemm_panel.h"
#undef GEMM
#undef GEMM_NUMBER
#undef GEMM_WEIGHT
#undef GEMM_VECTORS

#define GEMM(name) name##_double
#define GEMM_NUMBER double
#define GEMM_WEIGHT double
#define GEMM_VECTORS GEMM_VECTORS_DOUBLE
#include "_gemm_panel.h"
#undef GEMM
#undef GEMM_WEIGHT

typedef gemm_vector_double gemm_vector_mixed;
#define gemm_fma_mixed gemm_fma_double
#define GEMM(name) name##_mixed
#define GEMM_WEIGHT float
#include "_gemm_panel.h"

#endif
