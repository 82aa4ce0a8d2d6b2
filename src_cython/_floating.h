/* Networks in floating point: sums of weights of what spikes, then neurons; neuroemu/kernels/floating_reference.py is
   the specification.

   The two halves, _floating_sums.h and _floating_neurons.h, are included twice, for double and for float. A neuron's
   sum starts at 0 and takes its inputs in rising order, one after the other; vectors run over neurons, never over
   inputs. So the bits depend neither on the vector width nor on what is computed side by side. The build must not
   contract a * b + c (-ffp-contract=off).
*/
#ifndef NEUROEMU_FLOATING_H
#define NEUROEMU_FLOATING_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "_events_list.h"

#define FL_LINES 512 /* lines whose lists of inputs are kept while a panel of weights is in the cache */

#define FL_BYTES 32 /* of a vector; narrower machines take it in two halves, wider ones were not measured faster */

typedef float fl_half __attribute__((vector_size(FL_BYTES / 2), may_alias, aligned(4)));
typedef float fl_float __attribute__((vector_size(FL_BYTES), may_alias, aligned(4)));
typedef double fl_double __attribute__((vector_size(FL_BYTES), may_alias, aligned(8)));

enum { FL_LEAK, FL_DECAY, FL_GAIN, FL_SYNAPSE_DECAY, FL_SYNAPSE_GAIN, FL_SHARE, FL_R, FL_THRESHOLD, FL_RESET, FL_ROWS };
enum { FL_INTEGRATE, FL_LEAKY, FL_STEPWISE, FL_COUPLED };

/* Lines of numbers: line m is step m / images of image m % images. */
typedef struct {
    const char *data;
    int64_t step_stride, image_stride, images, lines, n; /* strides in bytes */
    int32_t kind;                                        /* 0 bytes (spikes), 1 float, 2 double */
} fl_lines;

/* Panels of columns: (count, n_in, width); of n columns the last ones are zero. */
typedef struct {
    const float *panels;
    int64_t n_in, n, width, count;
} fl_dense;

typedef struct { /* input j owns the synapses indptr[j] .. indptr[j+1] */
    const int32_t *indptr, *target;
    const float *weight;
    int64_t n;
} fl_sparse;

/* Which taps of a kernel join position p of an axis to the output: first[p] .. first[p+1] of `tap` and `out`. */
typedef struct {
    const int32_t *first, *tap, *out;
    int64_t size, taps;
} fl_axis;

typedef struct {
    const float *table; /* (channel, vertical tap, horizontal tap, length) */
    fl_axis down, across;
    int64_t per_group, length, channels, wide, n; /* outputs: channels of all groups, positions across, all */
} fl_convolution;

EV_INLINE const char *fl_line(const fl_lines *x, int64_t m)
{
    return x->data + (m / x->images) * x->step_stride + (m % x->images) * x->image_stride;
}

#if defined(__AVX2__) /* GCC 12 makes four instructions of the general form */
#define FL_WIDEN(at) ((fl_double)_mm256_cvtps_pd(_mm_loadu_ps(at)))
#else
#define FL_WIDEN(at) __builtin_convertvector(*(const fl_half *)(at), fl_double)
#endif

/* Which of 16 floats are not 0, a bit for each. */
#if defined(__SSE2__)
EV_INLINE uint32_t fl_mask16(const float *x)
{
    const __m128 zero = _mm_setzero_ps();
    uint32_t mask = 0;
    for (int k = 0; k < 4; k++)
        mask |= (uint32_t)_mm_movemask_ps(_mm_cmpneq_ps(_mm_loadu_ps(x + 4 * k), zero)) << (4 * k);
    return mask;
}
#endif

#define REAL double
#define VECTOR fl_double
#define LANES (FL_BYTES / 8)
#define LOAD(at) FL_WIDEN(at)
#define NAME(x) fl_##x##_d
#include "_floating_sums.h"
#include "_floating_neurons.h"
#undef REAL
#undef VECTOR
#undef LANES
#undef LOAD
#undef NAME
#define REAL float
#define VECTOR fl_float
#define LANES (FL_BYTES / 4)
#define LOAD(at) (*(const fl_float *)(at))
#define NAME(x) fl_##x##_f
#include "_floating_sums.h"
#include "_floating_neurons.h"

/* 0, or the number of a problem: synapses and taps may not reach out of bounds. */
static int fl_check_sparse(const fl_sparse *s, int64_t n_in, int64_t edges)
{
    if (s->indptr[0] != 0 || s->indptr[n_in] != edges) return 1;
    for (int64_t j = 0; j < n_in; j++)
        if (s->indptr[j + 1] < s->indptr[j]) return 1;
    for (int64_t e = 0; e < edges; e++)
        if (s->target[e] < 0 || s->target[e] >= s->n) return 2;
    return 0;
}

static int fl_check_axis(const fl_axis *a, int64_t entries, int64_t outputs)
{
    if (a->first[0] != 0 || a->first[a->size] != entries) return 1;
    for (int64_t p = 0; p < a->size; p++)
        if (a->first[p + 1] < a->first[p]) return 1;
    for (int64_t e = 0; e < entries; e++)
        if (a->tap[e] < 0 || a->tap[e] >= a->taps || a->out[e] < 0 || a->out[e] >= outputs) return 2;
    return 0;
}
#endif
