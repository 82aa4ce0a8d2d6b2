/* TrueNorth cores: take the slot of this tick, integrate, update the neurons, send the spikes.

   The rows of the active axons of one type are added as bits: 256 counters side by side, each bit of a counter in a row
   of its own (a plane), so that one addition of a row is a few operations on 256 bits. The counts are then spread over
   lanes and multiplied by the weights, once a type. Everything is integers, so the bits do not depend on the width of
   the vectors. Rows are read as words and expect a little-endian machine.
*/
#ifndef NEUROEMU_TRUENORTH_H
#define NEUROEMU_TRUENORTH_H

#include "_truenorth_neurons.h"

#define TN_PARTS (TN_ROW / TN_BYTES)

/* ---------------------------------------------------------------- the network */

/* Sets a bit (0..7) and returns whether it was set. */
TN_INLINE int tn_set(uint8_t *at, int number, int atomic)
{
    const uint8_t bit = (uint8_t)(1 << number);
    uint8_t before = *at;
    if (atomic) before = __atomic_fetch_or(at, bit, __ATOMIC_RELAXED);
    else *at = before | bit;
    return (before & bit) != 0;
}

TN_INLINE uint8_t *tn_slot(const tn_chip *chip, int64_t tick, int64_t core)
{
    return chip->ring + ((tick & (TN_SLOTS - 1)) * chip->cores + core) * TN_ROW;
}

static __attribute__((noinline)) void tn_inputs(const tn_chip *chip, const int32_t *inputs, int64_t n, int64_t tick, int64_t *counts)
{
    counts[TN_INPUT_SPIKES] += n;
    for (int64_t k = 0; k < n; k++) {
        const int axon = inputs[3 * k + 2];
        counts[TN_MERGES] += tn_set(tn_slot(chip, tick, inputs[3 * k + 1]) + axon / 8, axon & 7, 0);
    }
}

/* Spikes on their way. Routes and target slots lie anywhere in memory, so each is asked for one core before its use. */
typedef struct {
    int64_t core;
    int n_spikes, n_bits;
    uint8_t spikes[TN_SIZE]; /* neurons of `core` that fired */
    uint8_t *byte[TN_SIZE];  /* bits to be set */
    uint8_t bit[TN_SIZE];
} tn_mail;

TN_INLINE void tn_deliver(const tn_chip *chip, tn_mail *mail, int64_t *counts)
{
    for (int k = 0; k < mail->n_bits; k++) counts[TN_MERGES] += tn_set(mail->byte[k], mail->bit[k], chip->atomic);
    mail->n_bits = 0;
}

TN_INLINE void tn_route(const tn_chip *chip, tn_mail *mail, int64_t tick, int64_t *counts)
{
    const int32_t *routes = chip->route + mail->core * TN_SIZE;
    const int16_t *here = chip->position + 2 * mail->core;
    for (int k = 0; k < mail->n_spikes; k++) {
        const int32_t route = routes[mail->spikes[k]];
        if (route < 0) {
            counts[TN_OUTPUT_SPIKES]++;
            continue;
        }
        const int64_t target = route >> 12;
        const int axon = route >> 4 & 255;
        const int16_t *there = chip->position + 2 * target;
        const int x = there[0] - here[0], y = there[1] - here[1];
        counts[TN_EAST] += x > 0 ? x : 0;
        counts[TN_WEST] += x < 0 ? -x : 0;
        counts[TN_NORTH] += y > 0 ? y : 0;
        counts[TN_SOUTH] += y < 0 ? -y : 0;
        const int cx = there[0] / TN_MESH - here[0] / TN_MESH, cy = there[1] / TN_MESH - here[1] / TN_MESH;
        counts[TN_CROSSINGS] += (cx < 0 ? -cx : cx) + (cy < 0 ? -cy : cy);
        uint8_t *byte = tn_slot(chip, tick + (route & 15), target) + axon / 8;
        __builtin_prefetch(byte, 1);
        mail->byte[mail->n_bits] = byte, mail->bit[mail->n_bits++] = (uint8_t)(axon & 7);
    }
    mail->n_spikes = 0;
}

/* Takes the spikes of this core, routes those of the last one and delivers those of the one before. */
static __attribute__((noinline)) void tn_send(const tn_chip *chip, tn_mail *mail, const tn_now *now, int64_t *counts)
{
    tn_deliver(chip, mail, counts);
    tn_route(chip, mail, now->tick, counts);
    mail->core = now->core;
    for (int word = 0; word < 4; word++) {
        uint64_t bits;
        memcpy(&bits, now->fired + 8 * word, 8);
        for (; bits; bits &= bits - 1) {
            const int neuron = 64 * word + __builtin_ctzll(bits);
            __builtin_prefetch(chip->route + now->core * TN_SIZE + neuron);
            mail->spikes[mail->n_spikes++] = (uint8_t)neuron;
        }
    }
    counts[TN_SPIKES] += mail->n_spikes;
}

/* Asks for what a core with input will read. */
TN_INLINE void tn_ask(const tn_chip *chip, int64_t core, int64_t tick)
{
    const uint8_t *rows = chip->crossbar + core * TN_SIZE * TN_ROW, *slot = tn_slot(chip, tick, core);
    const tn_plan *plan = chip->plan + core;
    int any = plan->busy;
    for (int word = 0; word < 4; word++) {
        uint64_t bits;
        memcpy(&bits, slot + 8 * word, 8);
        any |= bits != 0;
        for (int most = 8; bits && most; bits &= bits - 1, most--)
            __builtin_prefetch(rows + (64 * word + __builtin_ctzll(bits)) * TN_ROW);
    }
    for (int k = 0; k < TN_SIZE && any; k += 16) __builtin_prefetch(chip->potential + core * TN_SIZE + k, 1);
    for (int g = 0; g < TN_TYPES; g++)
        for (int k = 0; k < TN_SIZE && any && plan->weight_mask[g]; k += 32)
            __builtin_prefetch(chip->weight + (core * TN_TYPES + g) * TN_SIZE + k);
}

/* ---------------------------------------------------------------- synapses */

typedef struct {
    uint8_t bits[TN_PLANES][TN_ROW];
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
                tn_bits carry = *(const tn_bits *)(rows + (64 * word + __builtin_ctzll(bits)) * TN_ROW + part * TN_BYTES);
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
    for (int i = 0; i < TN_SIZE; i += TN_S) {
        const tn_s w = *(const tn_s *)(weight + (i & mask)), before = first ? (tn_s){0} : *(const tn_s *)(sums + i);
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

static __attribute__((noinline)) void tn_add(const tn_counter *counter, const int16_t *weight, int mask, tn_now *now, int first)
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

/* ---------------------------------------------------------------- draws */

static void tn_draw_synapses(const tn_chip *chip, tn_now *now)
{
    const int64_t base = now->core * TN_SIZE;
    uint32_t words[4][TN_SIZE];
    int drawn = -1;
    for (int k = 0; k < now->n_listed; k++) {
        const int axon = now->listed[k], type = chip->axon_type[base + axon];
        const uint8_t *row = chip->crossbar + (base + axon) * TN_ROW, *stochastic = chip->stochastic_synapse + base;
        const int16_t *weight = chip->weight + (now->core * TN_TYPES + type) * TN_SIZE;
        if (axon / 16 != drawn) {
            drawn = axon / 16;
            tn_random(chip, now->core, (uint64_t)now->tick, 64 + (uint32_t)drawn, 16, TN_SIZE, words[0], TN_SIZE);
        }
        const uint32_t *word = words[axon % 16 / 4];
        for (int j = 0; j < TN_SIZE; j++) {
            const int acts = row[j / 8] >> (j & 7) & stochastic[j] >> type & 1;
            now->wide[j] += acts * tn_chance(weight[j], (int)(word[j] >> 8 * (axon % 4) & 255));
        }
    }
}

static void tn_draw_neurons(const tn_chip *chip, const tn_plan *plan, tn_now *now)
{
    const int64_t base = now->core * TN_SIZE;
    const int16_t *leak = chip->leak + base;
    uint32_t words[4][TN_SIZE / 4];
    tn_random(chip, now->core, (uint64_t)now->tick, 0, 1, TN_SIZE / 4, words[0], TN_SIZE / 4);
    for (int j = 0; j < TN_SIZE; j++) {
        const uint32_t word = words[j % 4][j / 4];
        if (plan->has_stochastic_leak)
            now->leak[j] = (int16_t)(chip->leak_mode[base + j] & 1 ? tn_chance(leak[j], word & 255) : leak[j]);
        if (plan->has_eta) now->eta[j] = (int32_t)((uint64_t)word >> (32 - chip->threshold_bits[base + j]));
    }
}

static void tn_draw_in_order(const tn_chip *chip, tn_now *now)
{
    const int64_t base = now->core * TN_SIZE;
    uint32_t *state = chip->registers + now->core;
    for (int j = 0; j < TN_SIZE; j++) {
        const int stochastic = chip->stochastic_synapse[base + j], leak = chip->leak[base + j];
        for (int k = 0; k < now->n_listed && stochastic; k++) {
            const int axon = now->listed[k], type = chip->axon_type[base + axon];
            if (!(stochastic >> type & 1 && chip->crossbar[(base + axon) * TN_ROW + j / 8] >> (j & 7) & 1)) continue;
            now->wide[j] += tn_chance(chip->weight[(now->core * TN_TYPES + type) * TN_SIZE + j], (int)tn_draw(state, 8));
        }
        now->leak[j] = (int16_t)leak;
        if (chip->leak_mode[base + j] & 1 && leak) now->leak[j] = (int16_t)tn_chance(leak, (int)tn_draw(state, 8));
        now->eta[j] = (int32_t)tn_draw(state, chip->threshold_bits[base + j]);
    }
}

/* ---------------------------------------------------------------- one core, a range of cores */

static void tn_core(const tn_chip *chip, int64_t core, int64_t t, int64_t tick, tn_mail *mail, int64_t *counts)
{
    tn_plan *plan = chip->plan + core;
    uint8_t *slot = tn_slot(chip, tick, core);
    uint64_t bits[4];
    tn_now now;
    const int64_t record = chip->recorded[core], probe = chip->probed[core];
    memcpy(bits, slot, TN_ROW);
    if (bits[0] | bits[1] | bits[2] | bits[3] || plan->busy) {
        memset(slot, 0, TN_ROW);
        now.core = core, now.tick = tick, now.n_listed = 0;
        memcpy(now.active, bits, TN_ROW);
        for (int word = 0; word < 4 && plan->has_stochastic_synapse; word++)
            for (; bits[word]; bits[word] &= bits[word] - 1)
                now.listed[now.n_listed++] = (uint8_t)(64 * word + __builtin_ctzll(bits[word]));
        counts[TN_SYNAPTIC_EVENTS] += tn_integrate(chip, plan, &now);
        const int draws = plan->has_stochastic_leak | plan->has_eta;
        if (chip->lfsr && (draws | plan->has_stochastic_synapse)) tn_draw_in_order(chip, &now);
        else {
            if (plan->has_stochastic_synapse) tn_draw_synapses(chip, &now);
            if (draws) tn_draw_neurons(chip, plan, &now);
        }
        tn_update(chip, plan, &now);
        plan->busy = (uint8_t)now.busy;
        counts[TN_ACTIVE_CORES]++;
        counts[TN_NEURON_UPDATES] += TN_SIZE;
        counts[TN_SATURATIONS] += now.saturations;
        tn_send(chip, mail, &now, counts);
        if (record >= 0) memcpy(chip->spikes_out + (t * chip->recorded_rows + record) * TN_ROW, now.fired, TN_ROW);
    } else if (record >= 0) {
        memset(chip->spikes_out + (t * chip->recorded_rows + record) * TN_ROW, 0, TN_ROW);
    }
    if (probe >= 0)
        memcpy(chip->probe_out + (t * chip->probed_rows + probe) * TN_SIZE, chip->potential + core * TN_SIZE,
               TN_SIZE * sizeof(int32_t));
}

static __attribute__((noinline)) void tn_cores(const tn_chip *chip, int64_t first, int64_t stop, int64_t t, int64_t tick, int64_t *counts)
{
    int64_t local[TN_COUNTS] = {0};
    tn_mail mail;
    mail.n_spikes = mail.n_bits = 0;
    for (int64_t core = first; core < stop; core++) {
        if (core + 1 < stop) tn_ask(chip, core + 1, tick);
        tn_core(chip, core, t, tick, &mail, local);
    }
    tn_deliver(chip, &mail, local);
    tn_route(chip, &mail, tick, local);
    tn_deliver(chip, &mail, local);
    for (int k = 0; k < TN_COUNTS; k++) counts[k] += local[k];
}

/* (tick, core, neuron) of each set bit of packed spikes (ticks, rows, 32), as far as there is room; returns their number. */
static int64_t tn_list(const uint8_t *packed, int64_t ticks, int64_t rows, const int64_t *cores, int32_t *out,
                       int64_t room)
{
    int64_t found = 0;
    for (int64_t k = 0; k < ticks * rows * 4; k++) {
        uint64_t bits;
        memcpy(&bits, packed + 8 * k, 8);
        if (found + 64 > room) {
            found += __builtin_popcountll(bits);
            continue;
        }
        for (; bits; bits &= bits - 1, found++) {
            out[3 * found] = (int32_t)(k / 4 / rows);
            out[3 * found + 1] = (int32_t)cores[k / 4 % rows];
            out[3 * found + 2] = (int32_t)(64 * (k % 4) + __builtin_ctzll(bits));
        }
    }
    return found;
}

/* 0 where all values are equal: the first ones stand for all. */
#define TN_MASK(AT) (memcmp(AT, (AT) + 1, (TN_SIZE - 1) * sizeof *(AT)) ? -1 : 0)

/* What core needs, and whether a neuron of it is unsettled. */
static void tn_prepare(const tn_chip *chip, int64_t core)
{
    const int64_t base = core * TN_SIZE;
    const int32_t *alpha = chip->threshold + base, *beta = chip->negative_threshold + base;
    const int16_t *weight = chip->weight + base * TN_TYPES, *leak = chip->leak + base;
    const uint8_t *mode = chip->leak_mode + base;
    tn_plan plan;
    memset(&plan, 0, sizeof plan);
    for (int g = 0; g < TN_TYPES; g++) {
        plan.weight_mask[g] = TN_MASK(weight + g * TN_SIZE);
        for (int j = 0; j < TN_SIZE; j++) {
            const int size = weight[g * TN_SIZE + j] < 0 ? -weight[g * TN_SIZE + j] : weight[g * TN_SIZE + j];
            if (size > plan.largest[g]) plan.largest[g] = (int16_t)size;
        }
    }
    plan.threshold_mask = TN_MASK(alpha), plan.negative_mask = TN_MASK(beta), plan.leak_mask = TN_MASK(leak);
    plan.reset_mask = TN_MASK(chip->reset + base), plan.one_mode = !TN_MASK(chip->reset_mode + base);
    for (int j = 0; j < TN_SIZE; j++) {
        plan.axons[chip->axon_type[base + j]][j / 64] |= (uint64_t)1 << (j % 64);
        const int32_t v = chip->potential[base + j];
        const int drawn_leak = mode[j] & 1 && leak[j], eta = chip->threshold_bits[base + j] != 0;
        plan.has_stochastic_leak |= drawn_leak;
        plan.has_reversal |= leak[j] && mode[j] & 2;
        plan.has_stochastic_synapse |= chip->stochastic_synapse[base + j] != 0;
        plan.has_eta |= eta;
        plan.always_busy |= (leak[j] && !(mode[j] & 2)) || (chip->lfsr && (drawn_leak || eta));
        plan.busy |= v >= alpha[j] || v < -beta[j] || (leak[j] && v);
    }
    plan.busy |= plan.always_busy;
    chip->plan[core] = plan;
}
#endif
