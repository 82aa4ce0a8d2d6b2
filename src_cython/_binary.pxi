# The popcount kernel: crossbars of cells with two levels, driven by single bits, all planes and slices in one call.
#
# A column whose cells of one level are alike is known by how many driven rows hold a one: that count gives the mean of
# its current and, exactly, the variance of its read noise. So packed bits and a table of popcounts replace the products.
# neuroemu/kernels/binary_reference.py is the specification.

from cython.parallel cimport prange, threadid
from libc.stdlib cimport free

include "_binary_steps.pxi"

cdef extern from "stdlib.h" nogil:
    void *aligned_alloc(size_t alignment, size_t size) noexcept


cdef void *new_block(Py_ssize_t size) except NULL:
    cdef void *block = aligned_alloc(ALIGNMENT, round_up(max(size, 1), ALIGNMENT))
    if block == NULL:
        raise MemoryError(f"{size} bytes for a product of binary cells")
    return block


cdef class Packed:
    """Binary cells of one layer in the order in which the kernel reads them; made by pack()."""

    cdef uint8_t *weights
    cdef readonly Py_ssize_t K, M, slices, tile_rows, n_row_tiles
    cdef Py_ssize_t masks, panels, depth, groups

    def __dealloc__(self):
        free(self.weights)

    @property
    def nbytes(self):
        """Bytes of the packed cells: one for four cells."""
        return self.panels * self.n_row_tiles * self.depth * self.groups * GROUP

    cdef void add(self, const uint8_t[:, :] cells, Py_ssize_t mask) noexcept:
        """Set the bits of one mask."""
        cdef Py_ssize_t lanes = self.groups * GROUP, k, c, m, row, lane, place
        with nogil:
            for k in range(self.K):
                row = k % self.tile_rows
                for c in range(self.slices * self.M):
                    m = c % self.M
                    lane = (c // self.M * self.masks + mask) * UNIT + m % UNIT
                    place = ((m // UNIT * self.n_row_tiles + k // self.tile_rows) * self.depth + row // NIBBLE) * lanes
                    self.weights[place + lane] |= <uint8_t>((cells[k, c] != 0) << (row % NIBBLE))


def pack(const uint8_t[:, :] plus not None, const uint8_t[:, :] minus, Py_ssize_t slices, Py_ssize_t tile_rows):
    """Arrange cells for mvm().

    plus: (K, slices * M), not zero where a cell holds a one; column s * M + m is slice s of output m. minus: of the
    same shape, or None: cells that count negatively, and are zero in plus. tile_rows: rows of a tile; the last tile may
    have fewer.
    """
    cdef Packed packed = Packed.__new__(Packed)
    if slices < 1 or plus.shape[0] < 1 or plus.shape[1] < 1 or plus.shape[1] % slices:
        raise ValueError(f"pack: cells are {(plus.shape[0], plus.shape[1])}; give rows and {slices} slices of columns")
    if not 1 <= tile_rows < 65536:
        raise ValueError(f"pack: tile_rows is {tile_rows}; give 1 to 65535")
    if minus is not None and (minus.shape[0] != plus.shape[0] or minus.shape[1] != plus.shape[1]):
        raise ValueError("pack: minus must have the shape of plus")
    packed.K, packed.M = plus.shape[0], plus.shape[1] // slices
    packed.slices, packed.tile_rows = slices, tile_rows
    packed.masks = 1 if minus is None else 2
    packed.n_row_tiles = (packed.K + tile_rows - 1) // tile_rows
    packed.panels = (packed.M + UNIT - 1) // UNIT
    packed.depth = (min(tile_rows, packed.K) + NIBBLE - 1) // NIBBLE
    packed.groups = (slices * packed.masks * UNIT + GROUP - 1) // GROUP
    packed.weights = <uint8_t *>new_block(packed.nbytes)
    memset(packed.weights, 0, packed.nbytes)
    packed.add(plus, 0)
    if minus is not None:
        packed.add(minus, 1)
    return packed


cdef const float *table(const float[:, ::1] values, str name, Job *job) except? NULL:
    if values is None:
        return NULL
    if values.shape[0] != job.tiles or values.shape[1] != job.slices * job.outputs:
        raise ValueError(f"mvm: {name} has shape {(values.shape[0], values.shape[1])}; give (row tiles, columns) = "
                         f"{(job.tiles, job.slices * job.outputs)}")
    return &values[0, 0]


cdef const double *vector(const double[::1] values, str name, Py_ssize_t n) except? NULL:
    if values is None:
        return NULL
    if values.shape[0] != n:
        raise ValueError(f"mvm: {name} has {values.shape[0]} entries; give {n}")
    return &values[0]


cdef int check_counts(const int64_t[::1] counts, Py_ssize_t tiles) except -1:
    if counts is not None and counts.shape[0] != tiles:
        raise ValueError(f"mvm: clipped and driven need an entry for each of {tiles} row tiles, got {counts.shape[0]}")
    return 0


cdef int64_t[::1] execute(Job *job, int threads):
    """Run all tasks; counts of each thread: clips by row tile, driven inputs by row tile, DAC clips."""
    cdef Scratch unused
    cdef int64_t[::1] counts = memoryview(bytearray(8 * threads * (2 * job.tiles + 1))).cast("q")
    cdef Py_ssize_t task, tasks = (job.rows + job.task_rows - 1) // job.task_rows * job.strips
    cdef Py_ssize_t size = lay_out(job, NULL, NULL, &unused)
    cdef char *memory = <char *>new_block(threads * size)
    try:
        for task in prange(tasks, nogil=True, schedule="dynamic", num_threads=threads):
            run_task(job, memory + threadid() * size, &counts[threadid() * (2 * job.tiles + 1)], task)
    finally:
        free(memory)
    return counts


def mvm(
    Packed packed not None,
    const float[:, :, ::1] x not None,
    double[:, :, ::1] out not None,
    *,
    int planes,
    const float[:, ::1] gain not None,
    const float[:, ::1] base=None,
    const float[:, ::1] on_variance=None,
    const float[:, ::1] off_variance=None,
    const double[::1] factors not None,
    const double[::1] constant=None,
    float dac_scale=0,
    float dac_limit=0,
    const float[:, ::1] adc_step=None,
    const float[:, ::1] adc_offset=None,
    float adc_limit=0,
    const float[:, ::1] adc_back=None,
    float adc_noise=0,
    uint64_t seed=0,
    uint64_t stream=0,
    uint64_t image_offset=0,
    uint64_t patch_offset=0,
    uint32_t read_number=0,
    int threads=1,
    int64_t[::1] clipped=None,
    int64_t[::1] driven=None,
):
    """out[b, p, m] = sum over slices of factor * (constant + sum over planes and row tiles of 2^plane * back * ADC(...)).

    x: (B, P, K) inputs less their zero point. out: (B, P, M), overwritten. planes: bits of the drive steps, 1 to 22.
    gain, base, on_variance, off_variance: (row tiles, slices * M): what a one adds to a driven cell's current, the
    current of a driven zero, and the variances of both; adc_* are tables of the same shape and mean what they mean in
    crossbar.mvm. factors: (slices,), constant: (slices * M,), added once. clipped and driven: (row tiles,), increased by the
    conversions that clipped and by the bits that drove a row. Returns the inputs clipped by the DAC. See
    binary_reference.mvm.
    """
    cdef Job job
    cdef Py_ssize_t thread, tile, stride
    cdef int64_t dac_clipped = 0
    if x.shape[2] != packed.K or out.shape[2] != packed.M or out.shape[0] != x.shape[0] or out.shape[1] != x.shape[1]:
        raise ValueError(f"mvm: x is {(x.shape[0], x.shape[1], x.shape[2])}, out is "
                         f"{(out.shape[0], out.shape[1], out.shape[2])}, cells are {(packed.K, packed.M)}")
    check_counts(clipped, packed.n_row_tiles)
    check_counts(driven, packed.n_row_tiles)
    if not 1 <= planes <= 22:
        raise ValueError(f"mvm: planes is {planes}; give 1 to 22")
    if (on_variance is None) != (off_variance is None):
        raise ValueError("mvm: give both on_variance and off_variance, or neither")
    job.rows = x.shape[0] * x.shape[1]
    if job.rows == 0:
        return 0
    job.weights = packed.weights
    job.x = &x[0, 0, 0]
    job.out = &out[0, 0, 0]
    job.patches, job.inputs, job.outputs = x.shape[1], packed.K, packed.M
    job.slices, job.masks, job.groups = packed.slices, packed.masks, packed.groups
    job.tiles, job.tile_rows, job.depth = packed.n_row_tiles, packed.tile_rows, packed.depth
    job.panels, job.planes, job.units = packed.panels, planes, planes * packed.slices * packed.n_row_tiles
    if job.panels * job.units >= 1 << 30:
        raise ValueError(f"mvm: {job.panels * job.units} units of one input; the random numbers name 2^30")
    job.dac_scale, job.dac_limit = dac_scale, dac_limit
    job.adc_limit, job.adc_noise = adc_limit, adc_noise
    job.gain = table(gain, "gain", &job)
    job.base = table(base, "base", &job)
    job.on = table(on_variance, "on_variance", &job)
    job.off = table(off_variance, "off_variance", &job)
    job.adc_step = table(adc_step, "adc_step", &job)
    job.adc_offset = table(adc_offset, "adc_offset", &job)
    job.adc_back = table(adc_back, "adc_back", &job)
    job.factors = vector(factors, "factors", job.slices)
    job.constant = vector(constant, "constant", job.slices * job.outputs)
    job.key = make_key(seed, stream)
    job.first_image, job.first_patch, job.read = <uint32_t>image_offset, <uint32_t>patch_offset, read_number
    job.converts = adc_step is not None
    job.noisy = on_variance is not None or (job.converts and adc_noise > 0)
    threads = plan(&job, max(1, threads))
    cdef int64_t[::1] counts = execute(&job, threads)
    stride = 2 * job.tiles + 1
    for thread in range(threads):
        dac_clipped += counts[thread * stride + 2 * job.tiles]
        for tile in range(job.tiles):
            if clipped is not None:
                clipped[tile] += counts[thread * stride + tile]
            if driven is not None:
                driven[tile] += counts[thread * stride + job.tiles + tile]
    return dac_clipped
