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

/* The first `lanes` of EV_I numbers, the others 0; all of them where `lanes` is the constant EV_I. */
EV_INLINE ev_i ev_get(const int32_t *from, int64_t lanes)
{
    if (lanes == EV_I) return *(const ev_i *)from;
#if defined(__AVX512BW__)
    return (ev_i)_mm512_maskz_loadu_epi32((__mmask16)((1u << lanes) - 1), from);
#else
    ev_i some = {0};
    memcpy(&some, from, (size_t)lanes * sizeof(int32_t));
    return some;
#endif
}

EV_INLINE void ev_put(int32_t *to, int64_t lanes, ev_i x)
{
    if (lanes == EV_I) {
        *(ev_i *)to = x;
        return;
    }
#if defined(__AVX512BW__)
    _mm512_mask_storeu_epi32(to, (__mmask16)((1u << lanes) - 1), (__m512i)x);
#else
    memcpy(to, &x, (size_t)lanes * sizeof(int32_t));
#endif
}

/* The first `lanes` sums, which are set to zero. */
EV_INLINE ev_i ev_take_sums(int16_t *sums, int64_t lanes)
{
    if (lanes == EV_I) {
        const ev_i wide = ev_widen(sums);
        *(ev_h *)sums = (ev_h){0};
        return wide;
    }
#if defined(__AVX512BW__)
    const __mmask16 mask = (__mmask16)((1u << lanes) - 1);
    const __m256i narrow = _mm256_maskz_loadu_epi16(mask, sums);
    _mm256_mask_storeu_epi16(sums, mask, _mm256_setzero_si256());
    return (ev_i)_mm512_cvtepi16_epi32(narrow);
#else
    int16_t some[EV_I] = {0};
    memcpy(some, sums, (size_t)lanes * sizeof(int16_t));
    memset(sums, 0, (size_t)lanes * sizeof(int16_t));
    return ev_widen(some);
#endif
}

/* One byte a lane, 1 where the mask is set (GCC's own conversion takes the lanes out one by one). */
EV_INLINE void ev_put_spikes(uint8_t *to, int64_t lanes, ev_i fired)
{
#if defined(__AVX512BW__)
    const __m128i bytes = _mm_maskz_set1_epi8(_mm512_movepi32_mask((__m512i)fired), 1);
    if (lanes != EV_I) {
        _mm_mask_storeu_epi8(to, (__mmask16)((1u << lanes) - 1), bytes);
        return;
    }
#elif defined(__SSE2__)
    __m128i part[EV_BYTES / 16];
    memcpy(part, &fired, sizeof part);
    __m128i words = _mm_packs_epi32(part[0], part[EV_BYTES / 16 - 1]);
    const __m128i bytes = _mm_and_si128(_mm_packs_epi16(words, words), _mm_set1_epi8(1));
#else
    uint8_t bytes[EV_I];
    for (int k = 0; k < EV_I; k++) bytes[k] = (uint8_t)(-fired[k]);
#endif
    memcpy(to, &bytes, lanes == EV_I ? EV_I : (size_t)lanes);
}

/* A register of each neuron; with `same`, one number for all of them, which stays where it is from vector to vector. */
EV_INLINE ev_i ev_register(const int32_t *from, int64_t mask, int same, int64_t i, int64_t lanes)
{
    if (same) return (ev_i){0} + from[0];
    return ev_get(from + (i & mask), lanes);
}

/* Neurons i .. i+lanes-1. The masks are added to the tallies (a true lane is -1). A lane that is absent is 0 all over: it
   never fires and counts nowhere. */
EV_INLINE void ev_update_vector(const ev_layer *layer, const ev_step *step, int64_t i, int64_t lanes, int narrow,
                                int same, int has_u, int has_v, int has_r, int subtract, ev_i tally[5])
{
    const int q_up = layer->shift + 31 - layer->q_bits, u_up = 31 - layer->u_bits;
    const ev_i limit = (ev_i){0} + layer->v_limit, zero = {0};
    ev_i bias = ev_get(step->bias + (i & step->bias_mask), lanes), v = ev_get(step->v + i, lanes), raw;
    ev_i threshold = ev_register(layer->threshold, layer->threshold_mask, same, i, lanes);
    if (narrow) {
        raw = ev_take_sums(step->sums + i, lanes);
    } else {
        raw = ev_get(step->q + i, lanes);
        ev_put(step->q + i, lanes, zero);
    }
    ev_i q = (ev_i)((ev_u)raw << q_up) >> (31 - layer->q_bits);
    ev_i sum = q;
    if (has_u) sum += ev_decay(ev_get(step->u + i, lanes), ev_register(layer->du, layer->du_mask, same, i, lanes));
    ev_i u = (ev_i)((ev_u)sum << u_up) >> u_up;
    ev_i level = u + bias + (has_v ? ev_decay(v, ev_register(layer->dv, layer->dv_mask, same, i, lanes)) : v);
    ev_i clipped = ev_clip(level, limit), busy = raw | u | v | bias, counter = zero, frozen = zero;
    if (has_r) {
        counter = ev_get(step->counter + i, lanes);
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
        ev_i period = ev_get(layer->refractory + (i & layer->refractory_mask), lanes);
        ev_put(step->counter + i, lanes, ev_select(fired, period - 1, counter));
    }
    if (step->u) ev_put(step->u + i, lanes, u);
    ev_put(step->v + i, lanes, after);
    if (step->probe_u) ev_put(step->probe_u + i, lanes, u);
    if (step->probe_v) ev_put(step->probe_v + i, lanes, after);
    ev_put_spikes(step->spikes + i, lanes, fired);
    tally[0] += fired;
    tally[1] += busy != 0;
}

EV_INLINE void ev_update_as(const ev_layer *layer, const ev_step *step, ev_i tally[5], int narrow, int same, int has_u,
                            int has_v, int has_r, int subtract)
{
    int64_t i = 0;
    const ev_layer here = *layer; /* copies: the stores below cannot change them */
    const ev_step now = *step;
    ev_i seen[5];
    memcpy(seen, tally, sizeof seen);
    for (; i + EV_I <= here.n; i += EV_I)
        ev_update_vector(&here, &now, i, EV_I, narrow, same, has_u, has_v, has_r, subtract, seen);
    if (i < here.n) ev_update_vector(&here, &now, i, here.n - i, narrow, 0, has_u, has_v, has_r, subtract, seen);
    memcpy(tally, seen, sizeof seen);
}

/* One loop for each combination of what the layer has, so that what it has not costs nothing. */
#define EV_UPDATE(NARROW, SAME, U, V, R)                                                \
    if (layer->subtract) ev_update_as(layer, step, tally, NARROW, SAME, U, V, R, 1);    \
    else ev_update_as(layer, step, tally, NARROW, SAME, U, V, R, 0);                    \
    break
static void ev_update(const ev_layer *layer, const ev_step *step, ev_i tally[5])
{
    const int same = !(layer->du_mask | layer->dv_mask | layer->threshold_mask) && step->sums;
    const int has = (layer->has_u ? 1 : 0) | (layer->has_v ? 2 : 0) | (step->sums ? 4 : 0) | (same ? 8 : 0);
    switch (layer->has_refractory ? (step->sums ? 17 : 16) : has) {
    case 0: EV_UPDATE(0, 0, 0, 0, 0);
    case 1: EV_UPDATE(0, 0, 1, 0, 0);
    case 2: EV_UPDATE(0, 0, 0, 1, 0);
    case 3: EV_UPDATE(0, 0, 1, 1, 0);
    case 4: EV_UPDATE(1, 0, 0, 0, 0);
    case 5: EV_UPDATE(1, 0, 1, 0, 0);
    case 6: EV_UPDATE(1, 0, 0, 1, 0);
    case 7: EV_UPDATE(1, 0, 1, 1, 0);
    case 12: EV_UPDATE(1, 1, 0, 0, 0);
    case 13: EV_UPDATE(1, 1, 1, 0, 0);
    case 14: EV_UPDATE(1, 1, 0, 1, 0);
    case 15: EV_UPDATE(1, 1, 1, 1, 0);
    case 16: EV_UPDATE(0, 0, 1, 1, 1);
    default: EV_UPDATE(1, 0, 1, 1, 1);
    }
}

/* Adds what the lanes counted to the totals, and clears the lanes. A lane counts up to n / EV_I a step. */
static void ev_gather(ev_i tally[5], ev_tally *total)
{
    int64_t sums[5] = {0, 0, 0, 0, 0};
    for (int which = 0; which < 5; which++) {
        for (int k = 0; k < EV_I; k++) sums[which] -= tally[which][k];
        tally[which] = (ev_i){0};
    }
    total->spikes += sums[0];
    total->active += sums[1];
    total->q_wraps += sums[2];
    total->u_wraps += sums[3];
    total->v_clips += sums[4];
}

/* One step alone. */
static void ev_update_once(const ev_layer *layer, const ev_step *step, ev_tally *total)
{
    ev_i tally[5] = {{0}, {0}, {0}, {0}, {0}};
    ev_update(layer, step, tally);
    ev_gather(tally, total);
}
#endif
