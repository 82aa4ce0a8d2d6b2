"""TrueNorth cores, compiled: exactly `neuroemu.kernels.truenorth_reference`, which is the specification.

The C headers hold the loops; here are shapes, bounds and threads. No policy, no defaults of physics. Array letters:
T ticks, C cores, S spikes from outside. Values of registers are trusted; whatever could leave memory is checked.
"""

from cython.parallel cimport prange
from libc.stddef cimport size_t
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

cdef extern from "<stdlib.h>" nogil:
    void *aligned_alloc(size_t alignment, size_t size) noexcept

cdef extern from "_truenorth.h" nogil:
    enum: TN_COUNTS, TN_SIZE, TN_ROW, TN_SLOTS, TN_TYPES
    ctypedef struct tn_plan:
        pass
    ctypedef struct tn_pairs:
        pass
    ctypedef struct tn_chip:
        int64_t cores
        const uint8_t *crossbar
        const uint8_t *axon_type
        const uint8_t *stochastic_synapse
        const uint8_t *leak_mode
        const uint8_t *reset_mode
        const uint8_t *threshold_bits
        const int16_t *weight
        const int16_t *leak
        const int16_t *position
        const int32_t *threshold
        const int32_t *negative_threshold
        const int32_t *reset
        const int32_t *route
        const int32_t *recorded
        const int32_t *probed
        const uint32_t *core_seed
        uint64_t seed
        int32_t lfsr, atomic
        int32_t *potential
        int32_t *probe_out
        uint8_t *ring
        uint8_t *spikes_out
        uint32_t *registers
        int64_t recorded_rows, probed_rows
        const int32_t *group
        int64_t *by_group
        tn_plan *plan
        tn_pairs *pairs
    ctypedef struct tn_work:
        const int32_t *inputs
        int64_t *counts
        int64_t n_inputs, ticks, first_tick, blocks, block, read, taken, done, opened, alone
    void tn_totals(const int64_t *, int64_t, int64_t *)
    int tn_narrow(const int64_t *, int32_t *, int64_t)
    int64_t tn_bits_set(const uint8_t *, int64_t)
    void tn_prepare(const tn_chip *, int64_t)
    int64_t tn_list(const uint8_t *, int64_t, int64_t, const int64_t *, int32_t *, int64_t)
    void tn_run(const tn_chip *, tn_work *, int)

cdef enum:
    BLOCK = 128  # cores that a thread takes at a time
    SHARED = 256  # a chip of fewer cores takes less time a tick than a second thread needs to come
    PAIRED = 256  # a chip of no more cores has its weights laid out again for cores with much input, 1 KB a core


cdef int _need(object array, tuple shape, str name) except -1:
    if tuple(array.shape) != shape:
        raise ValueError(f"truenorth kernel: {name} has shape {tuple(array.shape)}, needs {shape}")
    return 0


cdef int _check(int64_t cores, const uint8_t[:, ::1] axon_type, const int32_t[:, ::1] route,
                const uint8_t[:, ::1] threshold_bits, const int32_t[::1] recorded, const int32_t[::1] probed,
                int64_t recorded_rows, int64_t probed_rows) except -1:
    """What could leave memory."""
    cdef int64_t c, j
    for c in range(cores):
        if not (-1 <= recorded[c] < recorded_rows and -1 <= probed[c] < probed_rows):
            raise ValueError("truenorth kernel: recorded or probed outside the rows")
        for j in range(TN_SIZE):
            if axon_type[c, j] >= TN_TYPES or threshold_bits[c, j] > 17:
                raise ValueError("truenorth kernel: axon_type is 0..3, threshold_bits 0..17")
            if route[c, j] < -1 or route[c, j] >> 12 >= cores or (route[c, j] >= 0 and not route[c, j] & 15):
                raise ValueError("truenorth kernel: route outside the cores, or with delay 0")
    return 0


def run_chip(const int32_t[:, ::1] inputs, *, int64_t ticks, int64_t first_tick=0, const uint8_t[:, :, ::1] crossbar,
             const uint8_t[:, ::1] axon_type, const int16_t[:, :, ::1] weight,
             const uint8_t[:, ::1] stochastic_synapse, const int16_t[:, ::1] leak, const uint8_t[:, ::1] leak_mode,
             const int32_t[:, ::1] threshold, const int32_t[:, ::1] negative_threshold, const int32_t[:, ::1] reset,
             const uint8_t[:, ::1] reset_mode, const uint8_t[:, ::1] threshold_bits, const int32_t[:, ::1] route,
             const int16_t[:, ::1] position, uint64_t seed, const uint32_t[::1] core_seed, bint lfsr=False,
             int32_t[:, ::1] potential, uint8_t[:, :, ::1] ring, uint32_t[::1] register,
             const int32_t[::1] recorded, uint8_t[:, :, ::1] spikes_out, const int32_t[::1] probed,
             int32_t[:, :, ::1] probe_out, int64_t[:, ::1] counts, const int32_t[::1] group=None,
             int64_t[:, ::1] group_counts=None, int threads=1):
    """Run the chip; see `neuroemu.kernels.truenorth_reference.run_chip` for the arguments.

    Inputs out of order or outside raise ValueError when the run has come to its end; what it wrote is then of no use.
    """
    cdef int64_t c, cores = crossbar.shape[0]
    cdef int worker
    cdef tn_chip chip
    cdef tn_work work
    _need(inputs, (inputs.shape[0], 3), "inputs")
    _need(crossbar, (cores, TN_SIZE, TN_ROW), "crossbar")
    _need(weight, (cores, TN_TYPES, TN_SIZE), "weight")
    for array, name in ((axon_type, "axon_type"), (stochastic_synapse, "stochastic_synapse"), (leak, "leak"),
                        (leak_mode, "leak_mode"), (threshold, "threshold"), (reset, "reset"),
                        (negative_threshold, "negative_threshold"), (reset_mode, "reset_mode"),
                        (threshold_bits, "threshold_bits"), (route, "route"), (potential, "potential")):
        _need(array, (cores, TN_SIZE), name)
    for array, name in ((core_seed, "core_seed"), (register, "register"), (recorded, "recorded"),
                        (probed, "probed")):
        _need(array, (cores,), name)
    _need(position, (cores, 2), "position")
    _need(ring, (TN_SLOTS, cores, TN_ROW), "ring")
    _need(spikes_out, (ticks, spikes_out.shape[1], TN_ROW), "spikes_out")
    _need(probe_out, (ticks, probe_out.shape[1], TN_SIZE), "probe_out")
    _need(counts, (ticks, TN_COUNTS), "counts")
    _check(cores, axon_type, route, threshold_bits, recorded, probed, spikes_out.shape[1], probe_out.shape[1])
    chip.group, chip.by_group = NULL, NULL
    if group is not None and cores:
        _need(group, (cores,), "group")
        _need(group_counts, (group_counts.shape[0], TN_COUNTS), "group_counts")
        for c in range(cores):
            if not 0 <= group[c] < group_counts.shape[0]:
                raise ValueError("truenorth kernel: group outside the rows of group_counts")
        chip.group, chip.by_group = &group[0], &group_counts[0, 0]
    if cores == 0 or ticks == 0:
        return
    if cores < SHARED:
        threads = 1
    work.inputs, work.n_inputs = &inputs[0, 0] if inputs.shape[0] else NULL, inputs.shape[0]
    work.ticks, work.first_tick, work.counts = ticks, first_tick, &counts[0, 0]
    work.block = BLOCK if threads > 1 else cores
    work.blocks = (cores + work.block - 1) // work.block
    work.read = work.taken = work.done = work.opened = work.alone = 0
    chip.cores, chip.seed, chip.lfsr, chip.atomic = cores, seed, lfsr, threads > 1
    chip.crossbar, chip.axon_type, chip.weight = &crossbar[0, 0, 0], &axon_type[0, 0], &weight[0, 0, 0]
    chip.stochastic_synapse, chip.leak, chip.leak_mode = &stochastic_synapse[0, 0], &leak[0, 0], &leak_mode[0, 0]
    chip.threshold, chip.negative_threshold = &threshold[0, 0], &negative_threshold[0, 0]
    chip.reset, chip.reset_mode, chip.threshold_bits = &reset[0, 0], &reset_mode[0, 0], &threshold_bits[0, 0]
    chip.route, chip.position, chip.core_seed = &route[0, 0], &position[0, 0], &core_seed[0]
    chip.potential, chip.ring, chip.registers = &potential[0, 0], &ring[0, 0, 0], &register[0]
    chip.recorded, chip.probed = &recorded[0], &probed[0]
    chip.recorded_rows, chip.probed_rows = spikes_out.shape[1], probe_out.shape[1]
    chip.spikes_out = &spikes_out[0, 0, 0] if spikes_out.shape[1] else NULL
    chip.probe_out = &probe_out[0, 0, 0] if probe_out.shape[1] else NULL
    chip.plan = <tn_plan *> aligned_alloc(64, cores * sizeof(tn_plan))
    if chip.plan == NULL:
        raise MemoryError("truenorth kernel: no memory for the plan of the cores")
    chip.pairs = <tn_pairs *> malloc(cores * sizeof(tn_pairs)) if cores <= PAIRED else NULL  # does without
    with nogil:
        for c in range(cores):
            tn_prepare(&chip, c)
        if threads == 1:  # entering a parallel part costs as much as several cores
            tn_run(&chip, &work, 0)
        else:
            for worker in prange(threads, schedule="static", chunksize=1, num_threads=threads):
                tn_run(&chip, &work, worker)
        free(chip.plan)
        free(chip.pairs)
    if work.read < work.n_inputs:
        raise ValueError("truenorth kernel: an input is out of order or outside ticks, cores or axons")


def list_spikes(const uint8_t[:, :, ::1] packed, const int64_t[::1] cores, int32_t[:, ::1] out):
    """Write (tick, core, neuron) of each set bit of packed spikes (T, rows, 32); returns their number.

    `out` needs 64 rows more than that; where there are fewer, the rest is counted only.
    """
    cdef int64_t ticks = packed.shape[0], rows = cores.shape[0]
    _need(packed, (ticks, rows, TN_ROW), "packed")
    _need(out, (out.shape[0], 3), "out")
    if ticks == 0 or rows == 0:
        return 0
    return tn_list(&packed[0, 0, 0], ticks, rows, &cores[0], &out[0, 0] if out.shape[0] else NULL, out.shape[0])


def count_spikes(const uint8_t[:, :, ::1] packed):
    """Number of set bits of packed spikes (T, rows, 32)."""
    if packed.shape[0] == 0 or packed.shape[1] == 0:
        return 0
    _need(packed, (packed.shape[0], packed.shape[1], TN_ROW), "packed")
    return tn_bits_set(&packed[0, 0, 0], packed.shape[0] * packed.shape[1] * (TN_ROW // 8))


def total_counts(const int64_t[:, ::1] counts):
    """Sums of counts (T, 13) over ticks."""
    cdef int64_t[TN_COUNTS] totals
    _need(counts, (counts.shape[0], TN_COUNTS), "counts")
    memset(totals, 0, sizeof(totals))
    if counts.shape[0]:
        tn_totals(&counts[0, 0], counts.shape[0], totals)
    return [totals[k] for k in range(TN_COUNTS)]


def narrow_inputs(const int64_t[:, ::1] inputs, int32_t[:, ::1] out):
    """Copy 64-bit rows to `out`; returns whether all numbers are 0 or more and fit."""
    _need(inputs, (inputs.shape[0], 3), "inputs")
    _need(out, (inputs.shape[0], 3), "out")
    return inputs.shape[0] == 0 or bool(tn_narrow(&inputs[0, 0], &out[0, 0], 3 * inputs.shape[0]))
