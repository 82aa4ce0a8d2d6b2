/* Graded messages: each adds its payload times a row of weights to the sums of its targets.
   neuroemu/kernels/graded_reference.py is the specification. Sums wrap as unsigned numbers do; callers prove that
   they never get there. */
#ifndef NEUROEMU_GRADED_H
#define NEUROEMU_GRADED_H

#include <stdint.h>
#include <stdlib.h>

typedef struct {
    const int32_t *indptr, *target, *row; /* input j owns edges indptr[j] .. indptr[j+1] */
    const int16_t *weights;               /* (rows, length) */
    int64_t n_in, length, n;
    int32_t dense;                        /* every input has one edge, to all neurons */
} gr_layer;

/* 0, or the number of a problem; sets `dense`. */
static int gr_prepare(gr_layer *layer, int64_t edges, int64_t rows)
{
    if (layer->indptr[0] != 0 || layer->indptr[layer->n_in] != edges) return 1;
    layer->dense = edges == layer->n_in && layer->length == layer->n;
    for (int64_t i = 0; i < layer->n_in; i++) {
        if (layer->indptr[i] > layer->indptr[i + 1]) return 1;
        layer->dense &= layer->indptr[i] == i;
    }
    for (int64_t e = 0; e < edges; e++) {
        if (layer->target[e] < 0 || layer->target[e] > layer->n - layer->length) return 2;
        if (layer->row[e] < 0 || layer->row[e] >= rows) return 3;
    }
    return 0;
}

/* The inputs that send, in order. */
static int64_t gr_list(const int32_t *payload, int64_t n, int32_t *list)
{
    int64_t found = 0;
    for (int64_t i = 0; i < n; i++) {
        list[found] = (int32_t)i;
        found += payload[i] != 0;
    }
    return found;
}

static inline void gr_add(uint32_t *restrict sums, const int16_t *restrict w, int32_t p, int64_t n)
{
    for (int64_t k = 0; k < n; k++) sums[k] += (uint32_t)p * (uint32_t)(int32_t)w[k];
}

/* Four messages to the same targets at once: a quarter of the traffic of the sums. */
static inline void gr_add4(uint32_t *restrict sums, const int16_t *restrict a, const int16_t *restrict b,
                           const int16_t *restrict c, const int16_t *restrict d, const int32_t p[4], int64_t n)
{
    const uint32_t pa = (uint32_t)p[0], pb = (uint32_t)p[1], pc = (uint32_t)p[2], pd = (uint32_t)p[3];
    for (int64_t k = 0; k < n; k++)
        sums[k] += pa * (uint32_t)(int32_t)a[k] + pb * (uint32_t)(int32_t)b[k] + pc * (uint32_t)(int32_t)c[k] +
                   pd * (uint32_t)(int32_t)d[k];
}

static void gr_dense(const gr_layer *layer, const int32_t *payload, const int32_t *list, int64_t found, uint32_t *sums)
{
    const int16_t *w = layer->weights;
    int64_t k = 0;
    for (; k + 4 <= found; k += 4) {
        const int16_t *rows[4];
        int32_t p[4];
        for (int j = 0; j < 4; j++) {
            rows[j] = w + layer->row[list[k + j]] * layer->length;
            p[j] = payload[list[k + j]];
        }
        gr_add4(sums, rows[0], rows[1], rows[2], rows[3], p, layer->length);
    }
    for (; k < found; k++) gr_add(sums, w + layer->row[list[k]] * layer->length, payload[list[k]], layer->length);
}

static void gr_scatter(const gr_layer *layer, const int32_t *payload, const int32_t *list, int64_t found,
                       uint32_t *sums)
{
    for (int64_t k = 0; k < found; k++) {
        const int32_t i = list[k], p = payload[i];
        for (int32_t e = layer->indptr[i]; e < layer->indptr[i + 1]; e++)
            gr_add(sums + layer->target[e], layer->weights + layer->row[e] * layer->length, p, layer->length);
    }
}

/* One line of messages; returns 1, or 0 without memory. */
static int gr_line(const gr_layer *layer, const int32_t *payload, int32_t *sums)
{
    int32_t *list = malloc((size_t)(layer->n_in + 1) * sizeof(int32_t));
    if (!list) return 0;
    const int64_t found = gr_list(payload, layer->n_in, list);
    if (layer->dense) gr_dense(layer, payload, list, found, (uint32_t *)sums);
    else gr_scatter(layer, payload, list, found, (uint32_t *)sums);
    free(list);
    return 1;
}
#endif
