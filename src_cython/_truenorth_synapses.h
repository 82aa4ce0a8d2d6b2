/* Synaptic sums of the TrueNorth kernel.

   The rows of the active axons of one type are added as bits: 256 counters side by side, each bit of a counter in a row
   of its own (a plane), so that one addition of a row is a few operations on 256 bits. The counts are then spread over
   lanes and multiplied by the weights, once a type.
 */
#ifndef NEUROEMU_TRUENORTH_SYNAPSES_H
#define NEUROEMU_TRUENORTH_SYNAPSES_H

#include "_truenorth_512.h"

#define TN_PARTS (TN_ROW / TN_BYTES)

typedef struct {
    TN_ALIGNED uint8_t bits[TN_PLANES][TN_ROW];
    int rows, depth;
} tn_counter;

/* Adds up the rows of the set bits in planes that stay in registers; `depth` planes hold the number of rows. */
TN_INLINE void tn_count_as(tn_counter *counter, const uint8_t *rows, const uint64_t *axons, int depth)
{
    for (int part = 0; part < TN_PARTS; part++) {
        tn_bits plane[TN_PLANES];
        for (int p = 0; p < depth; p++) plane[p] = (tn_bits){0};
        for (int word = 0; word < 4; word++)
            for (uint64_t bits = axons[word]; bits; bits &= bits - 1) {
                const uint8_t *row = rows + (64 * word + __builtin_ctzll(bits)) * TN_ROW;
                tn_bits carry = *(const tn_bits *)(row + part * TN_BYTES);
                for (int p = 0; p < depth; p++) {
                    const tn_bits both = plane[p] & carry;
                    plane[p] ^= carry;
                    carry = both;
                }
            }
        for (int p = 0; p < depth; p++) *(tn_bits *)(counter->bits[p] + part * TN_BYTES) = plane[p];
    }
}

static __attribute__((noinline)) void tn_count(tn_counter *counter, const uint8_t *rows, const uint64_t *active,
                                               const uint64_t *type)
{
    uint64_t axons[4];
    counter->rows = 0;
    for (int word = 0; word < 4; word++) {
        axons[word] = active[word] & type[word];
        counter->rows += __builtin_popcountll(axons[word]);
    }
    counter->depth = counter->rows ? 32 - __builtin_clz((unsigned)counter->rows) : 0;
    switch (counter->depth) {
    case 0: break;
    case 1: tn_count_as(counter, rows, axons, 1); break;
    case 2: tn_count_as(counter, rows, axons, 2); break;
    case 3: tn_count_as(counter, rows, axons, 3); break;
    case 4: tn_count_as(counter, rows, axons, 4); break;
    case 5: tn_count_as(counter, rows, axons, 5); break;
    case 6: tn_count_as(counter, rows, axons, 6); break;
    default: tn_count_as(counter, rows, axons, TN_PLANES), counter->depth = TN_PLANES;
    }
}

TN_INLINE int64_t tn_events(const tn_counter *counter)
{
    int64_t sum = 0;
    for (int p = 0; p < counter->depth; p++)
        for (int word = 0; word < 4; word++) {
            uint64_t bits;
            memcpy(&bits, counter->bits[p] + 8 * word, 8);
            sum += (int64_t)__builtin_popcountll(bits) << p;
        }
    return sum;
}

/* Lanes i .. i+TN_S-1 of a plane as masks. */
TN_INLINE tn_s tn_spread(const uint8_t *plane, int i)
{
#if TN_BYTES == 32
    const tn_s select = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, -32768};
    int16_t word;
    memcpy(&word, plane + i / 8, 2);
#else
    const tn_s select = {1, 2, 4, 8, 16, 32, 64, 128};
    const int16_t word = plane[i / 8];
#endif
    return (((tn_s){0} + word) & select) == select;
}

TN_INLINE tn_s tn_counts(const tn_counter *counter, int i, int depth)
{
    tn_s count = -tn_spread(counter->bits[depth - 1], i);
    for (int p = depth - 2; p >= 0; p--) count = count + count - tn_spread(counter->bits[p], i);
    return count;
}

TN_INLINE void tn_add_as(const tn_counter *counter, const int16_t *weight, int mask, int16_t *sums, int depth,
                         int first)
{
    const int64_t step = mask & TN_S;
    for (int i = 0; i < TN_SIZE; i += TN_S, weight += step) {
        const tn_s w = *(const tn_s *)weight, before = first ? (tn_s){0} : *(const tn_s *)(sums + i);
        const tn_s more = depth == 1 ? tn_spread(counter->bits[0], i) & w : tn_counts(counter, i, depth) * w;
        *(tn_s *)(sums + i) = before + more;
    }
}

TN_INLINE void tn_add_narrow(const tn_counter *counter, const int16_t *weight, int mask, int16_t *sums, int depth,
                             int first)
{
    if (first) tn_add_as(counter, weight, mask, sums, depth, 1);
    else tn_add_as(counter, weight, mask, sums, depth, 0);
}

static void tn_add_wide(const tn_counter *counter, const int16_t *weight, int32_t *sums)
{
    int16_t counts[TN_SIZE];
    for (int i = 0; i < TN_SIZE; i += TN_S) *(tn_s *)(counts + i) = tn_counts(counter, i, counter->depth);
    for (int i = 0; i < TN_SIZE; i++) sums[i] += counts[i] * weight[i];
}

static __attribute__((noinline)) void tn_add(const tn_counter *counter, const int16_t *weight, int mask, tn_now *now,
                                             int first)
{
    if (now->is_wide) {
        tn_add_wide(counter, weight, now->wide);
        return;
    }
    switch (counter->depth) { /* the usual depths are unrolled */
    case 1: tn_add_narrow(counter, weight, mask, now->narrow, 1, first); break;
    case 2: tn_add_narrow(counter, weight, mask, now->narrow, 2, first); break;
    case 3: tn_add_narrow(counter, weight, mask, now->narrow, 3, first); break;
    case 4: tn_add_narrow(counter, weight, mask, now->narrow, 4, first); break;
    default: tn_add_narrow(counter, weight, mask, now->narrow, counter->depth, first);
    }
}

/* Sums of all synapses that are not stochastic, and the number of events of all. */
static __attribute__((noinline)) int64_t tn_integrate(const tn_chip *chip, const tn_plan *plan, tn_now *now)
{
    const uint8_t *rows = chip->crossbar + now->core * TN_SIZE * TN_ROW;
    const int16_t *weight = chip->weight + now->core * TN_TYPES * TN_SIZE;
    tn_counter counter[TN_TYPES];
    int64_t events = 0, bound = 0;
#if TN_512
    if (tn_sum(chip, plan, now, &events)) return events;
#endif
    for (int g = 0; g < TN_TYPES; g++) {
        tn_count(&counter[g], rows, now->active, plan->axons[g]);
        events += tn_events(&counter[g]);
        bound += (int64_t)counter[g].rows * plan->largest[g];
    }
    now->is_wide = bound > INT16_MAX || plan->has_stochastic_synapse;
    if (now->is_wide) memset(now->wide, 0, sizeof now->wide);
    int first = 1;
    for (int g = 0; g < TN_TYPES; g++) {
        int16_t fixed[TN_SIZE];
        const int16_t *from = weight + g * TN_SIZE;
        if (!counter[g].rows) continue;
        if (plan->has_stochastic_synapse) {
            const uint8_t *stochastic = chip->stochastic_synapse + now->core * TN_SIZE;
            for (int j = 0; j < TN_SIZE; j++) fixed[j] = (int16_t)(stochastic[j] >> g & 1 ? 0 : from[j]);
            from = fixed;
        }
        tn_add(&counter[g], from, plan->has_stochastic_synapse ? -1 : plan->weight_mask[g], now, first);
        first = 0;
    }
    if (first) memset(now->narrow, 0, sizeof now->narrow);
    return events;
}
#endif
