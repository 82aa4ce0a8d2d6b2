/* Neuron update of the TrueNorth kernel: sum -> leak -> thresholds -> reset, one vector of neurons at a time. */
#ifndef NEUROEMU_TRUENORTH_NEURONS_H
#define NEUROEMU_TRUENORTH_NEURONS_H

#include "_truenorth_types.h"

/* One core in one tick. */
typedef struct {
    TN_ALIGNED int16_t narrow[TN_SIZE]; /* synaptic sums, if they fit */
    TN_ALIGNED int32_t wide[TN_SIZE];   /* else; with stochastic synapses also */
    TN_ALIGNED int16_t leak[TN_SIZE];   /* drawn; only if the core has stochastic leaks */
    TN_ALIGNED int32_t eta[TN_SIZE];    /* only if the core has random thresholds */
    uint64_t active[4];                 /* axons, as bits */
    uint8_t fired[TN_ROW];
    int64_t core, tick, saturations;
    int is_wide, busy;
    int n_active;
    int n_listed;                       /* active axons in ascending order; only listed for draws */
    uint8_t listed[TN_SIZE];
} tn_now;

TN_INLINE tn_i tn_select(tn_i mask, tn_i yes, tn_i no) { return (mask & yes) | (~mask & no); }

/* Bit k set where lane k of the mask is. */
TN_INLINE int tn_lanes(tn_i mask)
{
#if defined(__AVX2__)
    return _mm256_movemask_ps((__m256)mask);
#elif defined(__SSE2__)
    return _mm_movemask_ps((__m128)mask);
#else
    int bits = 0;
    for (int k = 0; k < TN_I; k++) bits |= (mask[k] & 1) << k;
    return bits;
#endif
}

/* To 32 bits (GCC's own conversion takes the lanes out one by one). Bytes are below 128. */
TN_INLINE tn_i tn_widen_bytes(const uint8_t *from)
{
#if defined(__AVX2__)
    return (tn_i)_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)from));
#else
    return __builtin_convertvector(*(const tn_q *)from, tn_i);
#endif
}

TN_INLINE tn_i tn_widen(const int16_t *from)
{
#if defined(__AVX2__)
    return (tn_i)_mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)from));
#else
    return __builtin_convertvector(*(const tn_h *)from, tn_i);
#endif
}

TN_INLINE tn_i tn_clip(tn_i x, int64_t *clips)
{
    const tn_i low = (tn_i){0} - TN_HALF, high = (tn_i){0} + (TN_HALF - 1);
    tn_i inside = tn_select(x > high, high, tn_select(x < low, low, x));
    *clips += __builtin_popcount((unsigned)tn_lanes(inside != x));
    return inside;
}

/* The leak that acts on v: reversed where the mode says so. */
TN_INLINE tn_i tn_leak(tn_i v, tn_i leak, tn_i reversal)
{
    tn_i toward = (leak & (v > 0)) - (leak & (v < 0));
    return tn_select(reversal, toward, leak);
}

TN_INLINE void tn_update_as(const tn_chip *chip, const tn_plan *given, tn_now *now, int wide, int reversal, int eta,
                            int fixed)
{
    const tn_plan plan = *given; /* copies: the stores below cannot change them */
    const int64_t base = now->core * TN_SIZE;
    const int32_t *alpha = chip->threshold + base, *beta = chip->negative_threshold + base, *reset = chip->reset + base;
    const int16_t *leaks = plan.has_stochastic_leak ? now->leak : chip->leak + base;
    /* What is the same for all neurons is read again and again: a step of 0. */
    const int64_t leak_step = plan.has_stochastic_leak ? TN_I : plan.leak_mask & TN_I;
    const int64_t alpha_step = plan.threshold_mask & TN_I, beta_step = plan.negative_mask & TN_I;
    const int64_t reset_step = plan.reset_mask & TN_I;
    const uint8_t *modes = chip->reset_mode + base, *leak_modes = chip->leak_mode + base;
    int32_t *potential = chip->potential + base;
    const tn_i zero = {0};
    tn_i unsettled = zero;
    for (int i = 0; i < TN_SIZE; i += TN_I) {
        tn_i sum = wide ? *(const tn_i *)(now->wide + i) : tn_widen(now->narrow + i);
        tn_i leak = tn_widen(leaks), turns = zero;
        if (reversal) turns = (tn_widen_bytes(leak_modes + i) & 2) != 0;
        tn_i mode = zero + fixed;
        if (fixed < 0) mode = tn_widen_bytes(modes + i);
        tn_i linear = (mode & 3) == 1, to_reset = (mode & 3) == 0, saturates = (mode & 4) != 0;
        tn_i a = *(const tn_i *)alpha;
        tn_i b = *(const tn_i *)beta;
        tn_i r = *(const tn_i *)reset & to_reset;
        leaks += leak_step, alpha += alpha_step, beta += beta_step, reset += reset_step;
        tn_i v = *(const tn_i *)(potential + i) + sum;
        tn_i w = v + (reversal ? tn_leak(v, leak, turns) : leak);
        if (__builtin_expect(tn_lanes((((v + TN_HALF) | (w + TN_HALF)) & ~(2 * TN_HALF - 1)) != 0), 0)) {
            v = tn_clip(v, &now->saturations);
            w = tn_clip(v + (reversal ? tn_leak(v, leak, turns) : leak), &now->saturations);
        }
        tn_i noise = eta ? *(const tn_i *)(now->eta + i) : zero;
        tn_i high = a + noise, low = b + (noise & ~saturates);
        tn_i fired = w >= high, under = w < -low;
        tn_i above = (w & ~to_reset) + r - (high & linear);
        tn_i below = tn_select(saturates, -b, (w & ~to_reset) - r + (low & linear));
        tn_i after = tn_select(fired, above, tn_select(under, below, w));
        *(tn_i *)(potential + i) = after;
        now->fired[i / 8] = (uint8_t)(now->fired[i / 8] | tn_lanes(fired) << (i & 7));
        if (!plan.always_busy) unsettled |= (after >= a) | (after < -b);
        if (reversal) {
            tn_i programmed = tn_widen(chip->leak + base + i);
            unsettled |= (programmed != 0) & ((turns == 0) | (after != 0));
        }
    }
    now->busy = plan.always_busy || tn_lanes(unsettled != 0);
}

/* One loop for each combination of what the core has; `fixed` is the reset mode of all its neurons, or -1. */
TN_INLINE void tn_update_mode(const tn_chip *chip, const tn_plan *plan, tn_now *now, int wide, int reversal, int eta)
{
    switch (plan->one_mode ? chip->reset_mode[now->core * TN_SIZE] : -1) {
    case 0: tn_update_as(chip, plan, now, wide, reversal, eta, 0); break;
    case 1: tn_update_as(chip, plan, now, wide, reversal, eta, 1); break;
    case 4: tn_update_as(chip, plan, now, wide, reversal, eta, 4); break;
    case 5: tn_update_as(chip, plan, now, wide, reversal, eta, 5); break;
    default: tn_update_as(chip, plan, now, wide, reversal, eta, -1);
    }
}

static __attribute__((noinline)) void tn_update(const tn_chip *chip, const tn_plan *plan, tn_now *now)
{
    memset(now->fired, 0, TN_ROW);
    now->saturations = 0;
    switch ((now->is_wide ? 1 : 0) | (plan->has_eta ? 2 : 0) | (plan->has_reversal ? 4 : 0)) {
    case 0: tn_update_mode(chip, plan, now, 0, 0, 0); break;
    case 1: tn_update_mode(chip, plan, now, 1, 0, 0); break;
    case 2: tn_update_mode(chip, plan, now, 0, 0, 1); break;
    case 3: tn_update_mode(chip, plan, now, 1, 0, 1); break;
    case 4: tn_update_as(chip, plan, now, 0, 1, 0, -1); break;
    case 5: tn_update_as(chip, plan, now, 1, 1, 0, -1); break;
    case 6: tn_update_as(chip, plan, now, 0, 1, 1, -1); break;
    default: tn_update_as(chip, plan, now, 1, 1, 1, -1);
    }
}
#endif
