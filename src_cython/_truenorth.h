/* TrueNorth cores: take the slot of this tick, integrate, draw, update the neurons, send the spikes.

   Everything is integers, so the bits do not depend on the width of the vectors. Rows of bits are read as words and
   expect a little-endian machine.
*/
#ifndef NEUROEMU_TRUENORTH_H
#define NEUROEMU_TRUENORTH_H

#include "_truenorth_mail.h"
#include "_truenorth_synapses.h"
#include <time.h>
#if defined(_WIN32)
#include <windows.h>
#endif

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
            const int weight = chip->weight[(now->core * TN_TYPES + type) * TN_SIZE + j];
            now->wide[j] += tn_chance(weight, (int)tn_draw(state, 8));
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
    tn_copy(bits, slot);
    if (bits[0] | bits[1] | bits[2] | bits[3] || plan->busy) {
        memset(slot, 0, TN_ROW);
        now.core = core, now.tick = tick, now.n_listed = 0, now.n_active = 0;
        for (int word = 0; word < 4; word++) now.n_active += __builtin_popcountll(bits[word]);
        tn_copy(now.active, bits);
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
#if TN_512
        if (!tn_plain(chip, plan, &now)) {
            tn_update(chip, plan, &now);
            if (plan->plain) tn_make_room(chip, plan, core);
        }
#else
        tn_update(chip, plan, &now);
#endif
        plan->busy = (uint8_t)now.busy;
        counts[TN_ACTIVE_CORES]++;
        counts[TN_NEURON_UPDATES] += TN_SIZE;
        counts[TN_SATURATIONS] += now.saturations;
        tn_send(chip, plan, mail, &now, counts);
        if (record >= 0) tn_copy(chip->spikes_out + (t * chip->recorded_rows + record) * TN_ROW, now.fired);
    } else if (record >= 0) {
        memset(chip->spikes_out + (t * chip->recorded_rows + record) * TN_ROW, 0, TN_ROW);
    }
    if (probe >= 0)
        memcpy(chip->probe_out + (t * chip->probed_rows + probe) * TN_SIZE, chip->potential + core * TN_SIZE,
               TN_SIZE * sizeof(int32_t));
}

/* Adds the events of cores of one group, and forgets them; merges were given to their group as they happened. */
static void tn_book(const tn_chip *chip, int32_t group, int64_t *events, int64_t *counts)
{
    int64_t *row = chip->group ? chip->by_group + (int64_t)group * TN_COUNTS : 0;
    for (int k = 0; k < TN_COUNTS; k++) {
        if (chip->atomic) __atomic_fetch_add(counts + k, events[k], __ATOMIC_RELAXED);
        else counts[k] += events[k];
        if (row && k != TN_MERGES) {
            if (chip->atomic) __atomic_fetch_add(row + k, events[k], __ATOMIC_RELAXED);
            else row[k] += events[k];
        }
        events[k] = 0;
    }
}

static __attribute__((noinline)) void tn_cores(const tn_chip *chip, int64_t first, int64_t stop, int64_t t,
                                               int64_t tick, int64_t *counts)
{
    int64_t local[TN_COUNTS] = {0}, *mine = chip->atomic || chip->group ? local : counts;
    int32_t group = chip->group ? chip->group[first] : 0;
    tn_mail mail;
#if !TN_512
    mail.core = first;
#endif
    mail.n_spikes = mail.n_bits = 0;
    for (int64_t core = first; core < stop; core++) {
        if (chip->group && chip->group[core] != group) {
            tn_flush(chip, &mail, tick, local);
            tn_book(chip, group, local, counts);
            group = chip->group[core];
        }
        if (core + TN_AHEAD < stop) tn_ask(chip, core + TN_AHEAD, tick);
        tn_core(chip, core, t, tick, &mail, mine);
    }
    tn_flush(chip, &mail, tick, mine);
    if (mine == local) tn_book(chip, group, local, counts);
}

/* ---------------------------------------------------------------- all ticks, by any number of threads

   A piece is one block of cores in one tick; pieces are numbered tick by tick and each thread takes the next one. A
   piece starts when all pieces of the tick before are done, whoever did them: a thread that the machine does not run
   delays the others by the piece that it holds, and never because it has not come to a meeting point. On a busy machine
   that is still too much: where all together take longer for a piece than the first thread alone, it goes on alone.
*/
#define TN_SPINS 2000        /* some 30 us of waiting awake: less than a piece takes */
#define TN_NAP_NANOSECONDS 20000
#define TN_TRIAL 16 /* ticks before the first thread compares */

typedef struct {
    const int32_t *inputs; /* (n_inputs, 3), ticks ascending */
    int64_t *counts;       /* (ticks, TN_COUNTS) */
    int64_t n_inputs, ticks, first_tick, blocks, block, read;
    TN_ALIGNED int64_t taken; /* pieces, each counter in a cache line of its own */
    TN_ALIGNED int64_t done;
    TN_ALIGNED int64_t opened; /* ticks whose spikes from outside are set */
    int64_t alone; /* helpers go home */
} tn_work;

static double tn_seconds(void)
{
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void tn_wait(const int64_t *counter, int64_t least)
{
    for (int turn = 0; __atomic_load_n(counter, __ATOMIC_ACQUIRE) < least; turn++) {
        if (turn < TN_SPINS) {
#if defined(__SSE2__)
            _mm_pause();
#endif
        } else {
#if defined(_WIN32)
            SwitchToThread();
#else
            /* Sleeping, not yielding: the machine then runs this thread at once when it wakes. */
            const struct timespec nap = {0, TN_NAP_NANOSECONDS};
            nanosleep(&nap, NULL);
#endif
        }
    }
}

/* Spikes from outside of tick t. Rows outside the chip, or out of order, end all input: not all of it is read. */
static void tn_open(const tn_chip *chip, tn_work *work, int64_t t)
{
    if (work->read >= 0) {
        const int64_t n = tn_inputs(chip, work->inputs + 3 * work->read, work->n_inputs - work->read, (int32_t)t,
                                    work->first_tick + t, work->counts + t * TN_COUNTS);
        work->read = n < 0 ? -1 : work->read + n;
    }
    __atomic_store_n(&work->opened, t + 1, __ATOMIC_RELEASE);
}

/* What one thread does; worker 0 is never a helper. */
static void tn_run(const tn_chip *chip, tn_work *work, int worker)
{
    const int watches = worker == 0;
    if (!chip->atomic) {
        for (int64_t t = 0; t < work->ticks; t++) {
            tn_open(chip, work, t);
            tn_cores(chip, 0, chip->cores, t, work->first_tick + t, work->counts + t * TN_COUNTS);
        }
        return;
    }
    const double start = watches ? tn_seconds() : 0;
    double busy = 0; /* seconds of this thread in pieces, those included in which the machine ran something else */
    for (int64_t mine = 1; !(worker && __atomic_load_n(&work->alone, __ATOMIC_RELAXED)); mine++) {
        const int64_t piece = __atomic_fetch_add(&work->taken, 1, __ATOMIC_RELAXED);
        const int64_t t = piece / work->blocks, first = piece % work->blocks * work->block;
        const int64_t stop = first + work->block < chip->cores ? first + work->block : chip->cores;
        if (t >= work->ticks) return;
        if (first == 0) {
            tn_wait(&work->done, t * work->blocks);
            tn_open(chip, work, t);
        } else {
            tn_wait(&work->opened, t + 1);
        }
        const double begin = watches ? tn_seconds() : 0;
        tn_cores(chip, first, stop, t, work->first_tick + t, work->counts + t * TN_COUNTS);
        __atomic_fetch_add(&work->done, 1, __ATOMIC_RELEASE);
        if (!watches) continue;
        const double now = tn_seconds();
        busy += now - begin;
        if (t >= TN_TRIAL && (now - start) * (double)mine > busy * (double)piece)
            __atomic_store_n(&work->alone, 1, __ATOMIC_RELAXED);
    }
}

/* Sums over ticks. */
static void tn_totals(const int64_t *counts, int64_t ticks, int64_t *totals)
{
    for (int64_t t = 0; t < ticks; t++)
        for (int k = 0; k < TN_COUNTS; k++) totals[k] += counts[t * TN_COUNTS + k];
}

/* (tick, core, neuron) of each set bit of 256; writes up to 63 rows more. Returns how many. */
TN_INLINE int64_t tn_list_row(const uint8_t *packed, int32_t tick, int32_t core, int32_t *out)
{
    uint64_t bits[4];
    memcpy(bits, packed, TN_ROW);
#if TN_512
    return tn_rows(bits, tick, core, out);
#else
    int64_t n = 0;
    for (int word = 0; word < 4; word++)
        for (; bits[word]; bits[word] &= bits[word] - 1, n++) {
            out[3 * n] = tick, out[3 * n + 1] = core;
            out[3 * n + 2] = 64 * word + __builtin_ctzll(bits[word]);
        }
    return n;
#endif
}

/* (tick, core, neuron) of each set bit of packed spikes (ticks, rows, 32), as far as `room` goes. Returns how many. */
static int64_t tn_list(const uint8_t *packed, int64_t ticks, int64_t rows, const int64_t *cores, int32_t *out,
                       int64_t room)
{
    int64_t found = 0;
    for (int64_t t = 0; t < ticks; t++)
        for (int64_t row = 0; row < rows; row++, packed += TN_ROW) {
            const int64_t n = tn_bits_set(packed, 4);
            if (n && found + n + 63 < room) tn_list_row(packed, (int32_t)t, (int32_t)cores[row], out + 3 * found);
            found += n;
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
    plan.plain = plan.one_mode && !(plan.has_reversal | plan.has_eta);
    plan.plain &= !(plan.has_stochastic_leak | plan.has_stochastic_synapse);
    plan.same = plan.plain && !(plan.threshold_mask | plan.negative_mask | plan.leak_mask | plan.reset_mask);
    plan.one_threshold = alpha[0], plan.one_negative = beta[0];
    plan.one_leak = leak[0], plan.one_reset = chip->reset[base];
    int32_t most_reset = 0;
    for (int j = 0; j < TN_SIZE; j++) {
        const int type = chip->axon_type[base + j], size = leak[j] < 0 ? -leak[j] : leak[j];
        const int32_t reset = chip->reset[base + j] < 0 ? -chip->reset[base + j] : chip->reset[base + j];
        plan.most_leak = size > plan.most_leak ? size : plan.most_leak;
        most_reset = reset > most_reset ? reset : most_reset;
        plan.type_bits[0][j / 64] |= (uint64_t)(type & 1) << (j & 63);
        plan.type_bits[1][j / 64] |= (uint64_t)(type >> 1) << (j & 63);
        plan.leaving[j / 64] |= (uint64_t)(chip->route[base + j] < 0) << (j & 63);
    }
    for (int g = 0; g < TN_TYPES; g++) {
        plan.same &= !plan.weight_mask[g];
        plan.one_weight[g] = weight[g * TN_SIZE];
        plan.most_weight = plan.largest[g] > plan.most_weight ? plan.largest[g] : plan.most_weight;
    }
    plan.most_room = chip->reset_mode[base] & 3 ? TN_HALF - 1 : TN_HALF - 1 - most_reset;
    plan.room = -1; /* not known */
#if TN_512
    plan.paired = chip->pairs && tn_pair(chip, core);
#endif
    chip->plan[core] = plan;
}
#endif
