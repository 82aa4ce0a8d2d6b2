/* Neuron update of the integer spiking kernels: q -> u -> v -> spike -> reset, one vector of neurons at a time.

   What a layer does not have (decays, refractory time) costs nothing: there is one loop for each combination.
*/
#ifndef NEUROEMU_EVENTS_NEURONS_H
#define NEUROEMU_EVENTS_NEURONS_H

#include "_events_types.h"

EV_INLINE ev_i ev_select(ev_i mask, ev_i yes, ev_i no) { return (mask & yes) | (~mask & no); }

/* What the instruction sets have and GCC does not find by itself: |x|, y with the sign of x for y >= 0 (y is 0 where x
   is), clipping, and whether any bit is set. */
#if defined(__AVX512BW__)
EV_INLINE ev_i ev_abs(ev_i x) { return (ev_i)_mm512_abs_epi32((__m512i)x); }
EV_INLINE ev_i ev_sign(ev_i y, ev_i x)
{
    return (ev_i)_mm512_mask_sub_epi32((__m512i)y, _mm512_movepi32_mask((__m512i)x), _mm512_setzero_si512(), (__m512i)y);
}
EV_INLINE ev_i ev_clip(ev_i x, ev_i limit)
{
    return (ev_i)_mm512_max_epi32(_mm512_min_epi32((__m512i)x, (__m512i)limit), (__m512i)-limit);
}
EV_INLINE int ev_any(ev_i x) { return _mm512_test_epi32_mask((__m512i)x, (__m512i)x) != 0; }
#elif defined(__AVX2__)
EV_INLINE ev_i ev_abs(ev_i x) { return (ev_i)_mm256_abs_epi32((__m256i)x); }
EV_INLINE ev_i ev_sign(ev_i y, ev_i x) { return (ev_i)_mm256_sign_epi32((__m256i)y, (__m256i)x); }
EV_INLINE ev_i ev_clip(ev_i x, ev_i limit)
{
    return (ev_i)_mm256_max_epi32(_mm256_min_epi32((__m256i)x, (__m256i)limit), (__m256i)-limit);
}
EV_INLINE int ev_any(ev_i x) { return !_mm256_testz_si256((__m256i)x, (__m256i)x); }
#else
EV_INLINE ev_i ev_abs(ev_i x) { return (x ^ x >> 31) - (x >> 31); }
EV_INLINE ev_i ev_sign(ev_i y, ev_i x) { return (y ^ x >> 31) - (x >> 31); }
EV_INLINE ev_i ev_clip(ev_i x, ev_i limit)
{
    return ev_select(x > limit, limit, ev_select(x < -limit, -limit, x));
}
EV_INLINE int ev_any(ev_i x)
{
    int64_t part[2];
    memcpy(part, &x, sizeof part);
    return (part[0] | part[1]) != 0;
}
#endif

/* sign(x) * ((|x| * (4096 - d)) >> 12) for |x| < 2^30: the product is split so that it stays in 32 bits. */
EV_INLINE ev_i ev_decay(ev_i x, ev_i d)
{
    const ev_i keep = 4096 - d, size = ev_abs(x);
    return ev_sign((size >> 12) * keep + (((size & 4095) * keep) >> 12), x);
}

/* One byte a lane, 1 where the mask is set (GCC's own conversion takes the lanes out one by one). */
EV_INLINE void ev_store_spikes(uint8_t *to, ev_i fired)
{
#if defined(__AVX512BW__)
    const __m128i bytes = _mm_maskz_set1_epi8(_mm512_movepi32_mask((__m512i)fired), 1);
    memcpy(to, &bytes, EV_I);
#elif defined(__SSE2__)
    __m128i part[EV_BYTES / 16];
    memcpy(part, &fired, sizeof part);
    __m128i words = _mm_packs_epi32(part[0], part[EV_BYTES / 16 - 1]);
    __m128i bytes = _mm_and_si128(_mm_packs_epi16(words, words), _mm_set1_epi8(1));
    memcpy(to, &bytes, EV_I);
#else
    for (int k = 0; k < EV_I; k++) to[k] = (uint8_t)(-fired[k]);
#endif
}

/* Neurons i .. i+EV_I-1. The masks are added to the tallies (a true lane is -1). */
EV_INLINE void ev_update_vector(const ev_layer *layer, const ev_step *step, int64_t i, int narrow, int has_u, int has_v,
                                int has_r, int subtract, ev_i tally[5])
{
    const int q_up = layer->shift + 31 - layer->q_bits, u_up = 31 - layer->u_bits;
    const ev_i limit = (ev_i){0} + layer->v_limit, zero = {0};
    ev_i bias = *(const ev_i *)(step->bias + (i & step->bias_mask)), v = *(const ev_i *)(step->v + i), raw;
    ev_i threshold = *(const ev_i *)(layer->threshold + (i & layer->threshold_mask));
    if (narrow) {
        raw = __builtin_convertvector(*(const ev_h *)(step->sums + i), ev_i);
        *(ev_h *)(step->sums + i) = (ev_h){0};
    } else {
        raw = *(const ev_i *)(step->q + i);
        *(ev_i *)(step->q + i) = zero;
    }
    ev_i q = (ev_i)((ev_u)raw << q_up) >> (31 - layer->q_bits);
    ev_i sum = q;
    if (has_u) sum += ev_decay(*(const ev_i *)(step->u + i), *(const ev_i *)(layer->du + (i & layer->du_mask)));
    ev_i u = (ev_i)((ev_u)sum << u_up) >> u_up;
    ev_i level = u + bias + (has_v ? ev_decay(v, *(const ev_i *)(layer->dv + (i & layer->dv_mask))) : v);
    ev_i clipped = ev_clip(level, limit), busy = raw | u | v | bias, counter = zero, frozen = zero;
    if (has_r) {
        counter = *(const ev_i *)(step->counter + i);
        frozen = counter > 0;
    }
    const ev_i lost = (q >> layer->shift) ^ raw, turned = u ^ sum, cut = (clipped ^ level) & ~frozen;
    if (__builtin_expect(ev_any(lost | turned | cut), 0)) {
        tally[2] += lost != 0;
        tally[3] += turned != 0;
        tally[4] += cut != 0;
    }
    if (has_r) {
        clipped = ev_select(frozen, v, clipped);
        busy |= counter;
        counter += frozen;
    }
    ev_i fired = (clipped > threshold) & ~frozen;
    ev_i after = subtract ? clipped - (threshold & fired) : clipped & ~fired;
    if (has_r) {
        ev_i period = *(const ev_i *)(layer->refractory + (i & layer->refractory_mask));
        *(ev_i *)(step->counter + i) = ev_select(fired, period - 1, counter);
    }
    if (step->u) *(ev_i *)(step->u + i) = u;
    *(ev_i *)(step->v + i) = after;
    if (step->probe_u) *(ev_i *)(step->probe_u + i) = u;
    if (step->probe_v) *(ev_i *)(step->probe_v + i) = after;
    ev_store_spikes(step->spikes + i, fired);
    tally[0] += fired;
    tally[1] += busy != 0;
}

EV_INLINE void ev_copy(void *to, const void *from, size_t size)
{
    if (to && from) memcpy(to, from, size);
}

/* The neurons behind the last full vector, through copies: no array needs padding. */
EV_INLINE void ev_update_tail(const ev_layer *layer, const ev_step *step, int64_t i, int narrow, int has_u, int has_v,
                              int has_r, int subtract, ev_i tally[5])
{
    int32_t q[EV_I] = {0}, bias[EV_I] = {0}, u[EV_I] = {0}, v[EV_I] = {0}, counter[EV_I] = {0};
    int32_t du[EV_I] = {0}, dv[EV_I] = {0}, threshold[EV_I], refractory[EV_I] = {0};
    int16_t sums[EV_I] = {0};
    uint8_t spikes[EV_I];
    const size_t left = (size_t)(layer->n - i), size = left * sizeof(int32_t);
    ev_layer part = *layer;
    ev_step local = {sums, q, bias, -1, u, v, counter, NULL, NULL, spikes};
    for (int k = 0; k < EV_I; k++) threshold[k] = INT32_MAX; /* an absent neuron never fires */
    part.du = du, part.dv = dv, part.threshold = threshold, part.refractory = refractory;
    part.du_mask = part.dv_mask = part.threshold_mask = part.refractory_mask = -1;
    if (narrow) memcpy(sums, step->sums + i, left * sizeof(int16_t)), memset(step->sums + i, 0, left * sizeof(int16_t));
    else memcpy(q, step->q + i, size), memset(step->q + i, 0, size);
    memcpy(bias, step->bias + i, size);
    ev_copy(u, step->u ? step->u + i : NULL, size);
    memcpy(v, step->v + i, size);
    if (has_r) memcpy(counter, step->counter + i, size);
    memcpy(du, layer->du + i, size);
    memcpy(dv, layer->dv + i, size);
    memcpy(threshold, layer->threshold + i, size);
    memcpy(refractory, layer->refractory + i, size);
    ev_update_vector(&part, &local, 0, narrow, has_u, has_v, has_r, subtract, tally);
    ev_copy(step->u ? step->u + i : NULL, u, size);
    memcpy(step->v + i, v, size);
    if (has_r) memcpy(step->counter + i, counter, size);
    ev_copy(step->probe_u ? step->probe_u + i : NULL, u, size);
    ev_copy(step->probe_v ? step->probe_v + i : NULL, v, size);
    memcpy(step->spikes + i, spikes, left);
}

EV_INLINE void ev_update_as(const ev_layer *layer, const ev_step *step, ev_tally *total, int narrow, int has_u,
                            int has_v, int has_r, int subtract)
{
    ev_i tally[5] = {{0}, {0}, {0}, {0}, {0}};
    int64_t i = 0, sums[5] = {0, 0, 0, 0, 0};
    const ev_layer here = *layer; /* copies: the stores below cannot change them */
    const ev_step now = *step;
    for (; i + EV_I <= here.n; i += EV_I)
        ev_update_vector(&here, &now, i, narrow, has_u, has_v, has_r, subtract, tally);
    if (i < here.n) ev_update_tail(&here, &now, i, narrow, has_u, has_v, has_r, subtract, tally);
    for (int which = 0; which < 5; which++)
        for (int k = 0; k < EV_I; k++) sums[which] -= tally[which][k];
    total->spikes += sums[0];
    total->active += sums[1];
    total->q_wraps += sums[2];
    total->u_wraps += sums[3];
    total->v_clips += sums[4];
}

/* One loop for each combination of what the layer has, so that what it has not costs nothing. */
#define EV_UPDATE(NARROW, U, V, R)                                                  \
    if (layer->subtract) ev_update_as(layer, step, total, NARROW, U, V, R, 1);      \
    else ev_update_as(layer, step, total, NARROW, U, V, R, 0);                      \
    break
static void ev_update(const ev_layer *layer, const ev_step *step, ev_tally *total)
{
    const int has = (layer->has_u ? 1 : 0) | (layer->has_v ? 2 : 0) | (step->sums ? 4 : 0);
    switch (layer->has_refractory ? (step->sums ? 9 : 8) : has) {
    case 0: EV_UPDATE(0, 0, 0, 0);
    case 1: EV_UPDATE(0, 1, 0, 0);
    case 2: EV_UPDATE(0, 0, 1, 0);
    case 3: EV_UPDATE(0, 1, 1, 0);
    case 4: EV_UPDATE(1, 0, 0, 0);
    case 5: EV_UPDATE(1, 1, 0, 0);
    case 6: EV_UPDATE(1, 0, 1, 0);
    case 7: EV_UPDATE(1, 1, 1, 0);
    case 8: EV_UPDATE(0, 1, 1, 1);
    default: EV_UPDATE(1, 1, 1, 1);
    }
}
#endif
