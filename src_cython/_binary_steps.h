/* The steps of the popcount kernel around the counting: bit planes of the inputs, and conversion of counted columns. */
#ifndef NEUROEMU_BINARY_STEPS_H
#define NEUROEMU_BINARY_STEPS_H

#include <math.h>
#include "_binary.h"

#define BINARY_COLUMNS 16 /* of a unit: one slice of sixteen neighbouring outputs in one row tile */

/* The numbers of a unit's converters and cells. */
typedef struct {
    float gain[BINARY_COLUMNS], base[BINARY_COLUMNS], on[BINARY_COLUMNS], off[BINARY_COLUMNS];
    float inverse[BINARY_COLUMNS], offset[BINARY_COLUMNS], extra[BINARY_COLUMNS], back[BINARY_COLUMNS];
} binary_unit;

/* nibbles[planes][n] of magnitudes[4 n]: bit `row` of a nibble is the plane's bit of that row. words: n of scratch. */
BINARY_APART void binary_planes(const uint32_t *restrict magnitudes, ptrdiff_t n, ptrdiff_t planes, uint32_t *restrict words,
                          uint8_t *restrict nibbles)
{
    for (ptrdiff_t first = 0; first < planes; first += 8) {
        const ptrdiff_t last = first + 8 < planes ? first + 8 : planes;
        for (ptrdiff_t k = 0; k < n; k++)
            words[k] = (magnitudes[4 * k] >> first & 255) | (magnitudes[4 * k + 1] >> first & 255) << 8
                       | (magnitudes[4 * k + 2] >> first & 255) << 16 | (magnitudes[4 * k + 3] >> first & 255) << 24;
        for (ptrdiff_t plane = first; plane < last; plane++) {
            uint8_t *restrict out = nibbles + plane * n;
            const int shift = (int)(plane - first);
            for (ptrdiff_t k = 0; k < n; k++) /* the product brings bits 0, 8, 16 and 24 to 24 ... 27 */
                out[k] = (uint8_t)(((words[k] >> shift & 0x01010101u) * 0x01020408u) >> 24 & 15);
        }
    }
}

/* How many bits of n nibbles are set. */
BINARY_APART int binary_ones(const uint8_t *x, ptrdiff_t n)
{
    int sum = 0;
    for (ptrdiff_t k = 0; k < n; k++) {
        const int pairs = x[k] - (x[k] >> 1 & 5);
        sum += (pairs & 3) + (pairs >> 2);
    }
    return sum;
}

/* Eight columns at a time; a compiler left alone goes through memory for the changes of type. */
typedef int32_t binary_ints __attribute__((vector_size(32)));
typedef float binary_floats __attribute__((vector_size(32)));
typedef double binary_doubles __attribute__((vector_size(32)));
#define BINARY_EIGHT 8

#if defined(__AVX2__)
BINARY_INLINE void binary_widen(const uint16_t *from, binary_ints *to)
{
    *to = (binary_ints)_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)from));
}
BINARY_INLINE int binary_any(const binary_ints *x) { return !_mm256_testz_si256((__m256i)*x, (__m256i)*x); }
BINARY_INLINE void binary_root(binary_floats *x) { *x = _mm256_sqrt_ps(*x); }
BINARY_INLINE void binary_clip(binary_floats *x, const binary_floats *high)
{
    *x = _mm256_max_ps(_mm256_min_ps(*x, *high), -*high);
}
BINARY_INLINE void binary_double(const binary_floats *x, binary_doubles to[2])
{
    to[0] = _mm256_cvtps_pd(_mm256_castps256_ps128(*x));
    to[1] = _mm256_cvtps_pd(_mm256_extractf128_ps(*x, 1));
}
#else
BINARY_INLINE void binary_widen(const uint16_t *from, binary_ints *to)
{
    for (int j = 0; j < BINARY_EIGHT; j++)
        (*to)[j] = from[j];
}
BINARY_INLINE int binary_any(const binary_ints *x)
{
    int any = 0;
    for (int j = 0; j < BINARY_EIGHT; j++)
        any |= (*x)[j];
    return any;
}
BINARY_INLINE void binary_root(binary_floats *x)
{
    for (int j = 0; j < BINARY_EIGHT; j++)
        (*x)[j] = sqrtf((*x)[j]);
}
BINARY_INLINE void binary_clip(binary_floats *x, const binary_floats *high)
{
    const binary_floats low = -*high;
    for (int j = 0; j < BINARY_EIGHT; j++) {
        const float below = (*x)[j] < (*high)[j] ? (*x)[j] : (*high)[j];
        (*x)[j] = below > low[j] ? below : low[j];
    }
}
BINARY_INLINE void binary_double(const binary_floats *x, binary_doubles to[2])
{
    for (int j = 0; j < BINARY_EIGHT; j++)
        to[j / 4][j % 4] = (*x)[j];
}
#endif

BINARY_INLINE void binary_load(const float *from, binary_floats *to) { memcpy(to, from, sizeof(*to)); }

/* Signed sum and number of the driven cells that hold a one, eight columns. a: counts of rows driven positively,
 * [masks][16]; b: of rows driven negatively, or NULL. The second mask counts negatively. */
BINARY_INLINE void binary_join(ptrdiff_t masks, const uint16_t *a, const uint16_t *b, binary_floats *sum,
                               binary_floats *count)
{
    binary_ints s, c, more;
    binary_widen(a, &s);
    c = s;
    if (masks == 2) {
        binary_widen(a + BINARY_COLUMNS, &more);
        s -= more;
        c += more;
    }
    if (b != NULL) {
        binary_widen(b, &more);
        s -= more;
        c += more;
    }
    if (b != NULL && masks == 2) {
        binary_widen(b + BINARY_COLUMNS, &more);
        s += more;
        c += more;
    }
    *sum = __builtin_convertvector(s, binary_floats);
    *count = __builtin_convertvector(c, binary_floats);
}

/* What all units of one row and panel share. Counts lie as [plane][tile][slice][mask][16]. */
typedef struct {
    ptrdiff_t planes, slices, tiles, masks;
    ptrdiff_t lanes;           /* counts of one plane and tile */
    const uint16_t *plus;      /* counts of rows driven positively */
    const uint16_t *minus;     /* and negatively, or NULL */
    const float *driven;       /* [plane][tile][2]: signed sum and number of the driven rows */
    const float *normals;      /* [plane][slice][tile][16], or NULL without noise */
    const binary_unit *units;  /* [slice][tile] */
    const double *constant;    /* [slice][16] */
    const double *factors;     /* [slice] */
    const float *limit;        /* largest code, or NULL without ADC */
    int64_t *over;             /* [tile]: conversions out of range, added up */
} binary_reads;

/* Column sums, noise and ADC of eight columns of a unit, times the converters' gains. All pointers are at the first. */
BINARY_INLINE void binary_convert(const binary_reads *r, const uint16_t *a, const uint16_t *b, const float *driven,
                                  const binary_unit *unit, ptrdiff_t j, const float *normals, int64_t *over,
                                  binary_doubles product[2])
{
    binary_floats sum, count, code, more, other;
    binary_join(r->masks, a, b, &sum, &count);
    binary_load(unit->gain + j, &code);
    binary_load(unit->base + j, &more);
    code = sum * code + driven[0] * more;
    if (normals != NULL) {
        binary_load(unit->on + j, &more);
        binary_load(unit->off + j, &other);
        more = count * more + (driven[1] - count) * other;
        binary_load(unit->extra + j, &other);
        more += other;
        binary_root(&more);
        binary_load(normals, &other);
        code += more * other;
    }
    if (r->limit != NULL) {
        const binary_floats high = (binary_floats){0} + *r->limit, edge = high + 0.5f;
        binary_ints outside;
        binary_load(unit->inverse + j, &more);
        binary_load(unit->offset + j, &other);
        code = code * more + other;
        outside = (code > edge) | (code < -edge);
        if (binary_any(&outside))
            for (int i = 0; i < BINARY_EIGHT; i++)
                *over -= outside[i];
        binary_clip(&code, &high);
        code = (code + 12582912.0f) - 12582912.0f; /* 1.5 * 2^23: rounds half to even */
    }
    binary_doubles back[2];
    binary_load(unit->back + j, &more);
    binary_double(&more, back);
    binary_double(&code, product);
    product[0] *= back[0]; /* exact: 24 bits times 24 bits */
    product[1] *= back[1];
}

/* total[16] = sum over slices of factor * (constant + sum over planes p and tiles of 2^p * back * ADC code). */
BINARY_APART void binary_finish(const binary_reads *reads, double *total)
{
    const binary_reads copy = *reads, *const r = &copy; /* so that it does not seem to change with what is written */
    for (ptrdiff_t j = 0; j < BINARY_COLUMNS; j += BINARY_EIGHT) {
        binary_doubles sum[2] = {{0}}, product[2];
        for (ptrdiff_t slice = 0; slice < r->slices; slice++) {
            binary_doubles column[2] = {{0}};
            for (ptrdiff_t plane = 0; plane < r->planes; plane++) {
                const double weight = (double)((int64_t)1 << plane);
                for (ptrdiff_t tile = 0; tile < r->tiles; tile++) {
                    const ptrdiff_t place = plane * r->tiles + tile;
                    const ptrdiff_t at = place * r->lanes + slice * r->masks * BINARY_COLUMNS + j;
                    const ptrdiff_t drawn = (plane * r->slices + slice) * r->tiles + tile;
                    binary_convert(r, r->plus + at, r->minus == NULL ? NULL : r->minus + at, r->driven + 2 * place,
                                   r->units + slice * r->tiles + tile, j,
                                   r->normals == NULL ? NULL : r->normals + drawn * BINARY_COLUMNS + j,
                                   r->over + tile, product);
                    column[0] += product[0] * weight;
                    column[1] += product[1] * weight;
                }
            }
            for (int v = 0; v < 2; v++) {
                binary_doubles value;
                memcpy(&value, r->constant + slice * BINARY_COLUMNS + j + 4 * v, sizeof(value));
                value = (column[v] + value) * r->factors[slice];
                sum[v] = slice == 0 ? value : sum[v] + value;
            }
        }
        memcpy(total + j, sum, sizeof(sum));
    }
}
#endif
