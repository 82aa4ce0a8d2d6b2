/* Vectors of doubles and the elementary functions that the memristor models need, without libm.

   Only +, -, *, /, square root and bit operations are used and the build forbids contraction, so every lane has the
   same bits whatever the width of the vector: the portable and the AVX2 build agree bit for bit. Largest errors found
   in 4 million random arguments each, in units of the last place: mm_exp 1.1, mm_expm1 2.0, mm_sinh 2.3, mm_log 0.9,
   mm_log1p 1.5.
*/
#ifndef NEUROEMU_MEMRISTORS_MATH_H
#define NEUROEMU_MEMRISTORS_MATH_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX2__)
#include <immintrin.h>
#define MM_BYTES 32
#else
#define MM_BYTES 16
#endif
#define MM_LANES (MM_BYTES / 8)
#define MM_INLINE static inline __attribute__((always_inline))

typedef double mm_d __attribute__((vector_size(MM_BYTES)));
typedef int64_t mm_i __attribute__((vector_size(MM_BYTES)));
typedef uint64_t mm_u __attribute__((vector_size(MM_BYTES)));
typedef double mm_memory __attribute__((vector_size(MM_BYTES), may_alias, aligned(8)));

#define MM_MAGIC 6755399441055744.0 /* 1.5 * 2^52: adding it rounds to an integer, kept in the low bits */
#define MM_MAGIC_BITS 0x4338000000000000LL
#define MM_LN2_HIGH 6.93147180369123816490e-01 /* 32 trailing zeros: n * high is exact for |n| < 2^11 */
#define MM_LN2_LOW 1.90821492927058770002e-10

MM_INLINE mm_d mm_load(const double *p) { return *(const mm_memory *)p; }
MM_INLINE void mm_store(double *p, mm_d x) { *(mm_memory *)p = x; }
MM_INLINE mm_d mm_all(double x) { return x - (mm_d){0}; }

/* The same on every path, also for NaN: a where the comparison holds, else b. */
#if defined(__AVX2__)
MM_INLINE mm_d mm_select(mm_i mask, mm_d yes, mm_d no) { return _mm256_blendv_pd(no, yes, (mm_d)mask); }
MM_INLINE mm_d mm_min(mm_d a, mm_d b) { return _mm256_min_pd(a, b); }
MM_INLINE mm_d mm_max(mm_d a, mm_d b) { return _mm256_max_pd(a, b); }
#else
MM_INLINE mm_d mm_select(mm_i mask, mm_d yes, mm_d no) { return (mm_d)((mask & (mm_i)yes) | (~mask & (mm_i)no)); }
MM_INLINE mm_d mm_min(mm_d a, mm_d b) { return mm_select(a < b, a, b); }
MM_INLINE mm_d mm_max(mm_d a, mm_d b) { return mm_select(a > b, a, b); }
#endif

MM_INLINE mm_d mm_clip(mm_d x, double low, double high) { return mm_min(mm_max(x, mm_all(low)), mm_all(high)); }
MM_INLINE mm_d mm_abs(mm_d x) { return (mm_d)((mm_i)x & 0x7FFFFFFFFFFFFFFFLL); }

MM_INLINE int mm_any(mm_i mask)
{
    int64_t all = 0;
    for (int k = 0; k < MM_LANES; k++) all |= mask[k];
    return all != 0;
}

MM_INLINE mm_d mm_sqrt(mm_d x)
{
    for (int k = 0; k < MM_LANES; k++) x[k] = sqrt(x[k]);
    return x;
}

/* exp(r) - 1 with x = n ln 2 + r, and 2^n. x is held within +-708, where 2^n is a normal number. Taylor to r^13: the
   first term left out is below 5e-18 at |r| = ln(2) / 2. */
MM_INLINE mm_d mm_reduced_expm1(mm_d x, mm_d *scale)
{
    x = mm_clip(x, -708.0, 708.0);
    mm_d shifted = x * 1.4426950408889634 + MM_MAGIC, n = shifted - MM_MAGIC;
    mm_d r = (x - n * MM_LN2_HIGH) - n * MM_LN2_LOW, r2 = r * r, r4 = r2 * r2;
    mm_d a = (1.0 / 2 + r * (1.0 / 6)) + r2 * (1.0 / 24 + r * (1.0 / 120));
    mm_d b = (1.0 / 720 + r * (1.0 / 5040)) + r2 * (1.0 / 40320 + r * (1.0 / 362880));
    mm_d c = (1.0 / 3628800 + r * (1.0 / 39916800)) + r2 * (1.0 / 479001600 + r * (1.0 / 6227020800.0));
    *scale = (mm_d)(((mm_u)shifted << 52) + (1023ULL << 52));
    return r + r2 * (a + r4 * (b + r4 * c));
}

MM_INLINE mm_d mm_exp(mm_d x)
{
    mm_d scale, small = mm_reduced_expm1(x, &scale);
    return scale * (1.0 + small);
}

MM_INLINE mm_d mm_expm1(mm_d x)
{
    mm_d scale, small = mm_reduced_expm1(x, &scale);
    return scale * small + (scale - 1.0);
}

/* (e + e / (e + 1)) / 2 with e = exp(|x|) - 1: no cancellation near zero. */
MM_INLINE mm_d mm_sinh(mm_d x)
{
    mm_d e = mm_expm1(mm_abs(x)), size = 0.5 * (e + e / (e + 1.0));
    return (mm_d)((mm_i)size | ((mm_i)x & INT64_MIN));
}

/* ln x for normal x > 0: x = 2^k m with m in sqrt(1/2) .. sqrt(2), then the polynomial of fdlibm's log. */
MM_INLINE mm_d mm_log(mm_d x)
{
    const int64_t root = 0x3FE6A09E667F3BCDLL; /* sqrt(1/2) */
    mm_i bits = (mm_i)x - root;
    mm_i exponent = (mm_i)(((mm_u)bits + (1024ULL << 52)) >> 52) - 1024;
    mm_d k = (mm_d)(exponent + MM_MAGIC_BITS) - MM_MAGIC;
    mm_d f = (mm_d)((bits & 0xFFFFFFFFFFFFFLL) + root) - 1.0;
    mm_d s = f / (2.0 + f), z = s * s, w = z * z, half = 0.5 * f * f;
    mm_d even = w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01));
    mm_d odd = z * (6.666666666666735130e-01 + w * (2.857142874366239149e-01
                    + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01)));
    return k * MM_LN2_HIGH - ((half - (s * (half + (even + odd)) + k * MM_LN2_LOW)) - f);
}

/* ln(1 + x) for x > -1: the rounding of 1 + x is given back. */
MM_INLINE mm_d mm_log1p(mm_d x)
{
    mm_d one = 1.0 + x;
    return mm_log(one) + (x - (one - 1.0)) / one;
}

/* Whole exponents up to 64, the usual ones, need no logarithm. */
MM_INLINE int mm_is_whole(double exponent)
{
    return exponent >= 0.0 && exponent <= 64.0 && exponent == (double)(int)exponent;
}

/* base^exponent for base >= 0. */
MM_INLINE mm_d mm_power(mm_d base, double exponent)
{
    if (mm_is_whole(exponent)) {
        mm_d result = mm_all(1.0);
        for (int left = (int)exponent; left; left >>= 1, base *= base)
            if (left & 1) result *= base;
        return result;
    }
    mm_d safe = mm_max(base, mm_all(1e-300));
    return mm_select(base > 0.0, mm_exp(exponent * mm_log(safe)), mm_all(0.0));
}

/* 1 - (1 - u)^exponent for 0 <= u <= 1, with all its digits where u is small. Whole exponents are built from
   lost(m + n) = lost(m) + lost(n) (1 - lost(m)), where nothing cancels. */
MM_INLINE mm_d mm_lost(mm_d u, double exponent)
{
    if (mm_is_whole(exponent)) {
        mm_d result = mm_all(0.0);
        for (int left = (int)exponent; left; left >>= 1, u += u * (1.0 - u))
            if (left & 1) result += u * (1.0 - result);
        return result;
    }
    return -mm_expm1(exponent * mm_log1p(-mm_min(u, mm_all(1.0 - 0x1p-53))));
}
#endif
