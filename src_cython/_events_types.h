/* Vector types, the layer, and one step's arrays of the integer spiking kernels; see _events.h. */
#ifndef NEUROEMU_EVENTS_TYPES_H
#define NEUROEMU_EVENTS_TYPES_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "_events_list.h"

#if defined(__AVX512BW__)
#define EV_BYTES 64
#elif defined(__AVX2__)
#define EV_BYTES 32
#else
#define EV_BYTES 16
#endif
#define EV_S (EV_BYTES / 2) /* int16 lanes */
#define EV_I (EV_BYTES / 4) /* int32 lanes */

typedef int16_t ev_s __attribute__((vector_size(EV_BYTES), may_alias, aligned(2)));
typedef int16_t ev_s16 __attribute__((vector_size(32), may_alias, aligned(2)));
typedef int16_t ev_s8 __attribute__((vector_size(16), may_alias, aligned(2)));
typedef int16_t ev_s4 __attribute__((vector_size(8), may_alias, aligned(2)));
typedef int16_t ev_h __attribute__((vector_size(EV_BYTES / 2), may_alias, aligned(2)));
typedef int8_t ev_b __attribute__((vector_size(EV_BYTES / 2), may_alias, aligned(1)));
typedef int32_t ev_i __attribute__((vector_size(EV_BYTES), may_alias, aligned(4)));
typedef uint32_t ev_u __attribute__((vector_size(EV_BYTES), may_alias, aligned(4)));
typedef int32_t ev_i8 __attribute__((vector_size(32), may_alias, aligned(4)));
typedef uint32_t ev_u8 __attribute__((vector_size(32), may_alias, aligned(4)));

/* EV_I int16 as int32; GCC's own conversion goes through halves. */
EV_INLINE ev_i ev_widen(const int16_t *from)
{
#if defined(__AVX512BW__)
    return (ev_i)_mm512_cvtepi16_epi32(_mm256_loadu_si256((const __m256i *)from));
#elif defined(__AVX2__)
    return (ev_i)_mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)from));
#else
    return __builtin_convertvector(*(const ev_h *)from, ev_i);
#endif
}

enum {
    EV_INPUT_SPIKES, EV_SYNAPTIC_OPS, EV_OUTPUT_SPIKES, EV_ACTIVE_UPDATES, EV_INACTIVE_UPDATES,
    EV_Q_WRAPS, EV_U_WRAPS, EV_V_CLIPS, EV_COUNTS
};
enum { EV_DENSE, EV_SCATTER16, EV_SCATTER32 };

typedef struct {
    /* connectivity: input j owns edges indptr[j] .. indptr[j+1]; edge e adds row[e] of the table at target[e] */
    const int32_t *indptr, *target, *row;
    const uint8_t *delay;   /* NULL: none */
    const int16_t *weights; /* (rows, stride), columns length .. stride-1 are zero */
    int64_t n_in, length, stride;
    int32_t shift, depth;   /* depth: slots of the delay ring, 1 without delays */
    int32_t path;           /* EV_DENSE, EV_SCATTER16, EV_SCATTER32 */
    int64_t chunk;          /* dense: rows that fit an int16 sum */
    const void *const *first; /* dense: where the row of each input starts, NULL where it has none */
    int32_t bytes;          /* dense: rows hold int8, not int16 */
    /* neurons, all (n,) except bias, which is given per call */
    const int32_t *du, *dv, *threshold, *refractory;
    int64_t du_mask, dv_mask, threshold_mask, refractory_mask; /* 0: the same value for all neurons, else -1 */
    int64_t n;
    int32_t has_u, has_v, has_refractory, subtract; /* has_u: some du < 4096; has_v: some dv > 0 */
    int32_t q_bits, u_bits, v_limit;
} ev_layer;

/* One step's arrays for the neuron update; u and the probes may be NULL where they are not wanted. */
typedef struct {
    int16_t *sums;        /* input of this step in int16, or NULL: it is in q; consumed, that is set to zero */
    int32_t *q;
    const int32_t *bias;
    int64_t bias_mask;    /* 0: the same value for all neurons, else -1 */
    int32_t *u, *v, *counter, *probe_u, *probe_v;
    uint8_t *spikes;
} ev_step;

typedef struct { int64_t spikes, active, q_wraps, u_wraps, v_clips; } ev_tally;
#endif
