/* Integer spiking layer: deliver spikes through block rows of weights, then update the neurons.

   Everything hot is written with GCC/Clang vector types, because the auto-vectorised form of these loops was measured
   2 to 6 times slower. The vector width follows the instruction set the file is compiled for. Results are integers and
   therefore the same bits at every width.

   Left shifts and sums that may wrap are done on unsigned lanes; the right shift of signed lanes is arithmetic, as GCC
   and Clang define it.
*/
#ifndef NEUROEMU_EVENTS_H
#define NEUROEMU_EVENTS_H

#include "_events_neurons.h"
#include "_events_types.h"

/* ---------------------------------------------------------------- delivery */

/* EV_S weights as int16 lanes, from a row of int16 or of int8. */
EV_INLINE ev_s ev_wide(const void *row, int64_t column, int bytes)
{
    if (!bytes) return *(const ev_s *)((const int16_t *)row + column);
#if defined(__AVX512BW__)
    return (ev_s)_mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)((const int8_t *)row + column)));
#elif defined(__AVX2__)
    return (ev_s)_mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)((const int8_t *)row + column)));
#else
    return __builtin_convertvector(*(const ev_b *)((const int8_t *)row + column), ev_s);
#endif
}

/* out[0:width*EV_S] = sum of the same column block of all given rows, in registers; the caller proved no overflow. */
#define EV_BLOCK(WIDTH, BYTES)                                                                       \
    static __attribute__((noinline)) void ev_block_##WIDTH##_##BYTES(const void *const *rows, int64_t n_rows, \
                                                                     int64_t column, int16_t *out)   \
    {                                                                                                \
        ev_s sum[WIDTH];                                                                             \
        for (int k = 0; k < WIDTH; k++) sum[k] = (ev_s){0};                                          \
        for (int64_t r = 0; r < n_rows; r++)                                                         \
            for (int k = 0; k < WIDTH; k++) sum[k] += ev_wide(rows[r], column + k * EV_S, BYTES);    \
        for (int k = 0; k < WIDTH; k++) *(ev_s *)(out + column + k * EV_S) = sum[k];                 \
    }
EV_BLOCK(8, 0) EV_BLOCK(4, 0) EV_BLOCK(2, 0) EV_BLOCK(1, 0)
EV_BLOCK(8, 1) EV_BLOCK(4, 1) EV_BLOCK(2, 1) EV_BLOCK(1, 1)

/* All column blocks of all given rows; out has room for `stride` sums. */
static void ev_add_rows(const void *const *rows, int64_t n_rows, int64_t stride, int bytes, int16_t *out)
{
    int64_t column = 0;
#define EV_BLOCKS(WIDTH)                                                              \
    for (; column + (WIDTH) * EV_S <= stride; column += (WIDTH) * EV_S) {             \
        if (bytes) ev_block_##WIDTH##_1(rows, n_rows, column, out);                   \
        else ev_block_##WIDTH##_0(rows, n_rows, column, out);                         \
    }
    EV_BLOCKS(8) EV_BLOCKS(4) EV_BLOCKS(2) EV_BLOCKS(1)
}

/* q[i] += s[i] * 2^shift for i < n. */
static void ev_widen_add(const int16_t *s, int64_t n, int shift, int32_t *q)
{
    int64_t i = 0;
    for (; i + EV_I <= n; i += EV_I)
        *(ev_u *)(q + i) += (ev_u)ev_widen(s + i) << shift;
    for (; i < n; i++) q[i] = (int32_t)((uint32_t)q[i] + ((uint32_t)(int32_t)s[i] << shift));
}

/* Rows of the inputs that spiked; returns their number. */
static int64_t ev_rows(const ev_layer *layer, const int32_t *events, int64_t n_events, const void **rows)
{
    int64_t n_rows = 0;
    for (int64_t k = 0; k < n_events; k++) {
        rows[n_rows] = layer->first[events[k]];
        n_rows += rows[n_rows] != NULL;
    }
    return n_rows;
}

/* q[target + i] += 2^shift * sum of rows, in parts that fit int16. */
static void ev_dense_into(const ev_layer *layer, const void *const *rows, int64_t n_rows, int shift, int16_t *sums,
                          int32_t *q)
{
    for (int64_t from = 0; from < n_rows; from += layer->chunk) {
        const int64_t left = n_rows - from;
        ev_add_rows(rows + from, left < layer->chunk ? left : layer->chunk, layer->stride, layer->bytes, sums);
        ev_widen_add(sums, layer->length, shift, q + layer->target[0]);
    }
}

/* Returns 1 if the sums were left in `sums` for the update, 0 if they were added to q. */
static int ev_dense(const ev_layer *layer, const void *const *rows, int64_t n_rows, int16_t *sums, int32_t *q)
{
    const int whole = n_rows <= layer->chunk && layer->length == layer->n;
    if (whole) ev_add_rows(rows, n_rows, layer->stride, layer->bytes, sums);
    else ev_dense_into(layer, rows, n_rows, 0, sums, q);
    return whole;
}

/* Several edges an input, int16 sums in memory. The ends are exact: rows padded over their neighbours were three times
   slower, because a load that half overlaps a recent store has to wait for it. */
EV_INLINE void ev_scatter16_as(const ev_layer *layer, const int32_t *events, int64_t n_events, int16_t *sums,
                               int64_t length)
{
    const int32_t *indptr = layer->indptr, *target = layer->target, *row = layer->row;
    const int16_t *weights = layer->weights;
    for (int64_t k = 0; k < n_events; k++) {
        const int64_t last = indptr[events[k] + 1];
        if (k + 8 < n_events) { /* the edge lists are large and visited at random */
            int64_t ahead = indptr[events[k + 8]];
            __builtin_prefetch(target + ahead);
            __builtin_prefetch(row + ahead);
        }
        for (int64_t edge = indptr[events[k]]; edge < last; edge++) {
            const int16_t *from = weights + row[edge] * length;
            int16_t *to = sums + target[edge];
            int64_t c = 0;
            for (; c + EV_S <= length; c += EV_S) *(ev_s *)(to + c) += *(const ev_s *)(from + c);
            if (EV_S > 16 && c + 16 <= length) { *(ev_s16 *)(to + c) += *(const ev_s16 *)(from + c); c += 16; }
            if (EV_S > 8 && c + 8 <= length) { *(ev_s8 *)(to + c) += *(const ev_s8 *)(from + c); c += 8; }
            if (c + 4 <= length) { *(ev_s4 *)(to + c) += *(const ev_s4 *)(from + c); c += 4; }
            for (; c < length; c++) to[c] = (int16_t)(to[c] + from[c]);
        }
    }
}

static void ev_scatter16(const ev_layer *layer, const int32_t *events, int64_t n_events, int16_t *sums)
{
    switch (layer->length) { /* the usual channel numbers are unrolled */
    case 8: ev_scatter16_as(layer, events, n_events, sums, 8); break;
    case 16: ev_scatter16_as(layer, events, n_events, sums, 16); break;
    case 32: ev_scatter16_as(layer, events, n_events, sums, 32); break;
    case 64: ev_scatter16_as(layer, events, n_events, sums, 64); break;
    default: ev_scatter16_as(layer, events, n_events, sums, layer->length);
    }
}

/* Single synapses: as ev_scatter32 with one weight a row. */
static void ev_scatter_single(const ev_layer *layer, const int32_t *events, int64_t n_events, int32_t *ring,
                              int64_t slot_stride, int64_t head, int shift)
{
    const int32_t *indptr = layer->indptr, *target = layer->target, *row = layer->row;
    const int16_t *weights = layer->weights;
    const uint8_t *delay = layer->delay;
    const int64_t depth = layer->depth, stride = layer->stride;
    for (int64_t k = 0; k < n_events; k++) {
        const int64_t last = indptr[events[k] + 1];
        for (int64_t edge = indptr[events[k]]; edge < last; edge++) {
            int64_t slot = head + (delay ? delay[edge] : 0);
            slot -= depth & -(int64_t)(slot >= depth); /* not a branch: it would follow no pattern */
            int32_t *to = ring + slot * slot_stride + target[edge];
            *to = (int32_t)((uint32_t)*to + ((uint32_t)(int32_t)weights[row[edge] * stride] << shift));
        }
    }
}

/* The general form: any magnitude, any delay, exact ends. slot_stride is the distance between two slots of the ring,
   head the slot that the next update consumes. Values are multiplied by 2^shift when `scale` is set. */
static void ev_scatter32(const ev_layer *layer, const int32_t *events, int64_t n_events, int32_t *ring,
                         int64_t slot_stride, int64_t head, int scale)
{
    const int64_t length = layer->length, stride = layer->stride;
    const int shift = scale ? layer->shift : 0;
    if (length == 1) {
        ev_scatter_single(layer, events, n_events, ring, slot_stride, head, shift);
        return;
    }
    for (int64_t k = 0; k < n_events; k++)
        for (int64_t edge = layer->indptr[events[k]]; edge < layer->indptr[events[k] + 1]; edge++) {
            const int16_t *from = layer->weights + layer->row[edge] * stride;
            int64_t slot = head + (layer->delay ? layer->delay[edge] : 0), c = 0;
            if (slot >= layer->depth) slot -= layer->depth;
            int32_t *to = ring + slot * slot_stride + layer->target[edge];
            for (; c + EV_I <= length; c += EV_I) {
                ev_u wide = (ev_u)ev_widen(from + c);
                *(ev_u *)(to + c) += wide << shift;
            }
            if (EV_I > 8 && c + 8 <= length) {
                *(ev_u8 *)(to + c) += (ev_u8)__builtin_convertvector(*(const ev_s8 *)(from + c), ev_i8) << shift;
                c += 8;
            }
            for (; c < length; c++) to[c] = (int32_t)((uint32_t)to[c] + ((uint32_t)(int32_t)from[c] << shift));
        }
}

static int64_t ev_operations(const ev_layer *layer, const int32_t *events, int64_t n_events)
{
    int64_t edges = 0;
    for (int64_t k = 0; k < n_events; k++) edges += layer->indptr[events[k] + 1] - layer->indptr[events[k]];
    return edges * layer->length;
}

/* ---------------------------------------------------------------- one image */

typedef struct {
    const uint8_t *spikes_in;             /* (steps, n_in) */
    const int32_t *bias;                  /* (n,) */
    int32_t *u, *v, *counter, *ring;      /* (n,), (n,), (n,), (depth, n): in and out */
    uint8_t *spikes_out;                  /* (steps, n) */
    int32_t *probe_u, *probe_v;           /* (steps, n) or NULL */
    int64_t *counts;                      /* (EV_COUNTS,), added to */
} ev_image;

/* 0 if all n values are the same, else -1: an index mask. */
static int64_t ev_varies(const int32_t *values, int64_t n)
{
    for (int64_t i = 1; i < n; i++)
        if (values[i] != values[0]) return -1;
    return 0;
}

static void ev_run_steps(const ev_layer *layer, const ev_image *image, int64_t steps, int32_t *ring, int16_t *sums,
                         int32_t *events, const void **rows)
{
    const int64_t n = layer->n, slot_stride = n + EV_PAD, bias_mask = ev_varies(image->bias, n);
    ev_tally total = {0, 0, 0, 0, 0};
    ev_i tally[5] = {{0}, {0}, {0}, {0}, {0}};
    int64_t came = 0, done = 0; /* here, as the counts of other images, of other threads, may share a cache line */
    for (int64_t t = 0, head = 0; t < steps; t++, head = head + 1 < layer->depth ? head + 1 : 0) {
        int32_t *q = ring + head * slot_stride;
        int64_t n_events = ev_list(image->spikes_in + t * layer->n_in, layer->n_in, events);
        int64_t operations = 0;
        int narrow = layer->path == EV_SCATTER16;
        if (n_events == 0) {
        } else if (layer->path == EV_DENSE) {
            const int64_t n_rows = ev_rows(layer, events, n_events, rows);
            narrow = ev_dense(layer, rows, n_rows, sums, q);
            operations = n_rows * layer->length;
        } else if (layer->path == EV_SCATTER16) {
            ev_scatter16(layer, events, n_events, sums);
        } else {
            ev_scatter32(layer, events, n_events, ring, slot_stride, head, 0);
        }
        ev_step step = {narrow ? sums : NULL, q, image->bias, bias_mask,
                        layer->has_u || layer->has_refractory || t == steps - 1 ? image->u : NULL,
                        image->v, image->counter,
                        image->probe_u ? image->probe_u + t * n : NULL,
                        image->probe_v ? image->probe_v + t * n : NULL, image->spikes_out + t * n};
        ev_update(layer, &step, tally);
        if (t % 1024 == 1023 || t == steps - 1) ev_gather(tally, &total);
        came += n_events;
        if (layer->path != EV_DENSE) operations = ev_operations(layer, events, n_events);
        done += operations;
    }
    image->counts[EV_INPUT_SPIKES] += came;
    image->counts[EV_SYNAPTIC_OPS] += done;
    image->counts[EV_OUTPUT_SPIKES] += total.spikes;
    image->counts[EV_ACTIVE_UPDATES] += total.active;
    image->counts[EV_INACTIVE_UPDATES] += n * steps - total.active;
    image->counts[EV_Q_WRAPS] += total.q_wraps;
    image->counts[EV_U_WRAPS] += total.u_wraps;
    image->counts[EV_V_CLIPS] += total.v_clips;
}

/* Bytes of scratch one image needs. */
static size_t ev_scratch(const ev_layer *layer)
{
    const size_t row = (size_t)(layer->n + EV_PAD), n_in = (size_t)layer->n_in + EV_PAD;
    return row * (size_t)layer->depth * 4 + (row + (size_t)layer->stride) * 2 + n_in * 4 + n_in * sizeof(void *) + 256;
}

/* All steps of one image; 0 if there was no memory for the scratch. The ring leaves with the next step in slot 0. */
static int ev_run_image(const ev_layer *layer, const ev_image *image, int64_t steps)
{
    const int64_t n = layer->n, slot_stride = n + EV_PAD, depth = layer->depth;
    char *scratch = (char *)calloc(1, ev_scratch(layer));
    if (!scratch) return 0;
    const void **rows = (const void **)scratch;
    int32_t *ring = (int32_t *)(rows + layer->n_in + EV_PAD);
    int32_t *events = ring + slot_stride * depth;
    int16_t *sums = (int16_t *)(events + layer->n_in + EV_PAD);
    if (image->ring)
        for (int64_t d = 0; d < depth; d++) memcpy(ring + d * slot_stride, image->ring + d * n, (size_t)n * 4);
    ev_run_steps(layer, image, steps, ring, sums, events, rows);
    if (image->ring)
        for (int64_t d = 0; d < depth; d++)
            memcpy(image->ring + d * n, ring + ((d + steps) % depth) * slot_stride, (size_t)n * 4);
    free(scratch);
    return 1;
}

/* ---------------------------------------------------------------- preparation */

/* Checks the edges (kernels may not write out of bounds) and chooses the path. Returns an error number or 0. */
static int ev_prepare(ev_layer *layer, int64_t n_edges, int64_t n_rows, const int16_t *weights)
{
    const int64_t length = layer->length;
    int64_t largest = 0, dense = layer->delay == NULL && n_edges > 0;
    if (layer->indptr[0] != 0 || layer->indptr[layer->n_in] != n_edges) return 1;
    for (int64_t j = 0; j < layer->n_in; j++) {
        if (layer->indptr[j + 1] < layer->indptr[j]) return 1;
        if (layer->indptr[j + 1] - layer->indptr[j] > 1) dense = 0;
    }
    for (int64_t e = 0; e < n_edges; e++) {
        if (layer->target[e] < 0 || layer->target[e] + length > layer->n) return 2;
        if (layer->row[e] < 0 || layer->row[e] >= n_rows) return 3;
        if (layer->delay && layer->delay[e] >= layer->depth) return 4;
        if (layer->target[e] != layer->target[0]) dense = 0;
    }
    for (int64_t k = 0; k < n_rows * length; k++) {
        int64_t size = weights[k] < 0 ? -(int64_t)weights[k] : weights[k];
        if (size > largest) largest = size;
    }
    if (largest > 32767) return 5;
    layer->chunk = largest ? 32767 / largest : INT64_MAX / 2;
    if (dense && length >= 4 && layer->chunk >= 4) layer->path = EV_DENSE;
    else layer->path = layer->delay || length < 4 ? EV_SCATTER32 : EV_SCATTER16;
    return 0;
}

/* int16 sums are exact if no neuron can get more than 32767 in one step, an input spiking once in it. 1: proved,
   0: not, -1: no memory. */
static int ev_sums_fit(const ev_layer *layer, int64_t n_edges, const int16_t *weights)
{
    int32_t *bound = (int32_t *)calloc((size_t)layer->n + 1, sizeof *bound);
    int fits = 1;
    if (!bound) return -1;
    for (int64_t e = 0; e < n_edges; e++) {
        const int16_t *from = weights + layer->row[e] * layer->length;
        int32_t *to = bound + layer->target[e];
        for (int64_t c = 0; c < layer->length; c++) {
            int32_t next = to[c] + (from[c] < 0 ? -from[c] : from[c]);
            to[c] = next < 32768 ? next : 32768; /* saturate: a bound that failed stays failed */
        }
    }
    for (int64_t i = 0; i < layer->n; i++) fits &= bound[i] < 32768;
    free(bound);
    return fits;
}

/* What the dense path reads: rows padded with zeros to whole vectors, as int8 where all weights fit, and where the row
   of each input starts. One block of memory, which the caller frees; NULL if there was none. */
static void *ev_pack(ev_layer *layer, int64_t n_rows)
{
    const int64_t length = layer->length, stride = (length + EV_S - 1) / EV_S * EV_S, old = layer->stride;
    int bytes = EV_BYTES > 16; /* SSE2 has no load that widens bytes: there int16 is faster */
    for (int64_t r = 0; bytes && r < n_rows; r++)
        for (int64_t c = 0; c < length; c++) bytes &= layer->weights[r * old + c] == (int8_t)layer->weights[r * old + c];
    const size_t size = (size_t)(n_rows * stride) * (bytes ? 1 : 2), pointers = (size_t)layer->n_in * sizeof(void *);
    char *block = (char *)calloc(1, pointers + size + EV_BYTES);
    if (!block) return NULL;
    const void **first = (const void **)block;
    char *table = block + pointers;
    for (int64_t r = 0; r < n_rows; r++)
        for (int64_t c = 0; c < length; c++) {
            if (bytes) ((int8_t *)table)[r * stride + c] = (int8_t)layer->weights[r * old + c];
            else ((int16_t *)table)[r * stride + c] = layer->weights[r * old + c];
        }
    for (int64_t j = 0; j < layer->n_in; j++) {
        const int64_t edge = layer->indptr[j];
        if (layer->indptr[j + 1] > edge) first[j] = table + layer->row[edge] * stride * (bytes ? 1 : 2);
    }
    layer->first = first, layer->stride = stride, layer->bytes = bytes;
    return block;
}

/* Adds the whole numbers in `from` to q and clears them; returns how many were no whole numbers within int32. */
static int64_t ev_take_whole(double *from, int32_t *q, int64_t n)
{
    int64_t bad = 0;
    for (int64_t i = 0; i < n; i += 8) {
        const int64_t end = i + 8 < n ? i + 8 : n;
        uint64_t any = 0, bits[8] = {0};
        memcpy(bits, from + i, (size_t)(end - i) * sizeof(double));
        for (int k = 0; k < 8; k++) any |= bits[k];
        if (!any) continue; /* the rule, where no synapses of Brian2 add anything */
        for (int64_t k = i; k < end; k++) {
            if (from[k] >= -2147483648.0 && from[k] <= 2147483647.0 && from[k] == (double)(int32_t)from[k])
                q[k] = (int32_t)((uint32_t)q[k] + (uint32_t)(int32_t)from[k]);
            else
                bad++;
            from[k] = 0.0;
        }
    }
    return bad;
}
#endif
