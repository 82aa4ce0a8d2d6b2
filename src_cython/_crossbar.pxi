# The crossbar product: codes in, DAC, analog column sums of each row tile, read noise, ADC, digital sum over row tiles.
#
# Read noise that is Gaussian and independent for each device and read adds up to one normal per column and read, with
# variance sum_r d_r^2 V[r, m]. So two small matrix products and one normal replace a normal per device, exactly.
# neuroemu/kernels/crossbar_reference.py is the specification: every function here has a NumPy twin there.

from cython.parallel cimport prange, threadid
from libc.math cimport fabs, frexp
from libc.stddef cimport size_t
from libc.stdlib cimport free
from libc.string cimport memset

include "_crossbar_steps.pxi"

cdef extern from * nogil:
    """
    #include <stdlib.h>
    #if defined(__x86_64__)
    static int cpu_supports_v3(void)
    {
        __builtin_cpu_init();
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
    }
    #else
    static int cpu_supports_v3(void) { return 0; }
    #endif
    #ifdef _OPENMP
    static const int built_with_openmp = 1;
    #else
    static const int built_with_openmp = 0;
    #endif
    """
    const int built_with_openmp
    int cpu_supports_v3() noexcept
    void *aligned_alloc(size_t alignment, size_t size) noexcept

cdef enum:
    ALIGNMENT = 64
    GRID_BITS = 20  # of exact sums: weights are multiples of 2^-20, variances have 20 bits below the largest
    DRIVE_BITS = 8  # drives with errors are multiples of 2^-8, and so are their squares
    EXACT_BITS = 53  # of a float64's mantissa

cdef double FARTHEST = 7.0  # no normal of the generator is beyond 6.7


def cpu_has_v3():
    """Whether this CPU runs the AVX2 + FMA build of the kernels."""
    return bool(cpu_supports_v3())


def openmp_enabled():
    """Whether this module was built with OpenMP."""
    return bool(built_with_openmp)


cdef void *new_block(Py_ssize_t size) except NULL:
    cdef void *block = aligned_alloc(ALIGNMENT, round_up(max(size, 1), ALIGNMENT))
    if block == NULL:
        raise MemoryError(f"{size} bytes for a crossbar product")
    return block


cdef inline int bits_of(double x) noexcept nogil:
    """Smallest e >= 0 with |x| < 2^e."""
    cdef int e = 0
    frexp(x, &e)
    return max(e, 0)


cdef class Packed:
    """Weights of one crossbar layer in the order in which the kernel reads them; made by pack()."""

    cdef float *mean
    cdef float *variance
    cdef float *column_variance
    cdef float *sigma
    cdef readonly Py_ssize_t K, M, tile_rows, n_row_tiles
    cdef readonly bint exact
    cdef Py_ssize_t panels, depth  # depth: rows reserved for each tile
    cdef double largest  # magnitude of a weight with its slow noise

    def __dealloc__(self):
        free(self.mean)
        free(self.variance)
        free(self.column_variance)
        free(self.sigma)

    @property
    def has_fresh_noise(self):
        return self.variance != NULL or self.column_variance != NULL

    @property
    def has_column_noise(self):
        """Whether the fresh noise has the same variance in all rows of a tile."""
        return self.column_variance != NULL

    @property
    def has_slow_noise(self):
        return self.sigma != NULL

    @property
    def nbytes(self):
        """Bytes of the packed arrays."""
        arrays = 1 + (self.variance != NULL) + self.has_slow_noise
        columns = self.n_row_tiles * self.panels * UNIT * sizeof(float)
        return (arrays * self.depth + self.has_column_noise) * columns

    def exact_bits(self, double largest_drive, bint errors=False):
        """Bits that exact sums take for drives up to a magnitude; errors: whether drivers have noise or a table."""
        rows = int(self.depth - 1).bit_length()
        sums = bits_of(largest_drive) + DRIVE_BITS * errors + bits_of(self.largest) + GRID_BITS + rows
        if not self.has_fresh_noise:
            return sums
        squares = 2 * bits_of(largest_drive) + rows
        if self.has_column_noise:
            return max(sums, squares + 2 * DRIVE_BITS * errors)
        return max(sums, squares + DRIVE_BITS * errors + GRID_BITS)

    cdef float *arrange(self, const float[:, :] source, Py_ssize_t depth, double grid) except NULL:
        """[tile][panel][depth][16] of a matrix with depth rows a tile; exact: rounded to multiples of grid, if any.

        A float32 that is rounded to a power of two stays a float32.
        """
        cdef Py_ssize_t size = self.n_row_tiles * self.panels * depth * UNIT * sizeof(float)
        cdef float *packed = <float *>new_block(size)
        cdef Py_ssize_t k, m, place
        cdef double value
        cdef bint rounds = self.exact and grid > 0
        with nogil:
            memset(packed, 0, size)
            for k in range(source.shape[0]):
                for m in range(source.shape[1]):
                    value = source[k, m]
                    if rounds:
                        value = rounded(value / grid) * grid
                    place = (k // depth * self.panels + m // UNIT) * depth + k % depth
                    packed[place * UNIT + m % UNIT] = <float>value
        return packed


cdef double largest_of(const float[:, :] mean, const float[:, :] sigma) noexcept:
    cdef double largest = 0
    cdef Py_ssize_t k, m
    for k in range(mean.shape[0]):
        for m in range(mean.shape[1]):
            largest = max(largest, fabs(mean[k, m]) + (FARTHEST * sigma[k, m] if sigma is not None else 0))
    return largest


def pack(
    const float[:, :] mean,
    const float[:, :] fresh_variance,
    const float[:, :] slow_sigma,
    Py_ssize_t tile_rows,
    *,
    const float[:, :] column_variance=None,
    bint exact=False,
):
    """Arrange weights for mvm().

    mean: (K, M), effective signed weight in code units. fresh_variance: (K, M) or None, variance of the read noise
    drawn for each read. slow_sigma: (K, M) or None, standard deviation of the noise drawn once for each image.
    tile_rows: rows of a tile; the last tile may have fewer. column_variance: (row tiles, M), in place of fresh_variance
    where that is the same for all rows of a tile; one matrix product less. exact: sums in float64 of weights rounded to
    2^-20 and variances rounded to 2^-20 of the largest's power of two, the same bits on every machine.
    """
    cdef Packed packed = Packed.__new__(Packed)
    if tile_rows < 1 or mean.shape[0] < 1 or mean.shape[1] < 1:
        raise ValueError(f"pack: needs at least one row, column and row per tile, got {mean.shape[0]}, "
                         f"{mean.shape[1]}, {tile_rows}")
    if fresh_variance is not None and column_variance is not None:
        raise ValueError("pack: got both fresh_variance and column_variance; give one")
    packed.K = mean.shape[0]
    packed.M = mean.shape[1]
    packed.tile_rows = tile_rows
    packed.n_row_tiles = (packed.K + tile_rows - 1) // tile_rows
    packed.panels = (packed.M + UNIT - 1) // UNIT
    packed.depth = min(tile_rows, packed.K)
    packed.exact = exact
    check_shape(fresh_variance, "fresh_variance", packed.K, packed.M)
    check_shape(slow_sigma, "slow_sigma", packed.K, packed.M)
    check_shape(column_variance, "column_variance", packed.n_row_tiles, packed.M)
    packed.largest = largest_of(mean, slow_sigma)
    packed.mean = packed.arrange(mean, packed.depth, 2.0**-GRID_BITS)
    if fresh_variance is not None:
        packed.variance = packed.arrange(fresh_variance, packed.depth, variance_grid(fresh_variance))
    if column_variance is not None:
        packed.column_variance = packed.arrange(column_variance, 1, 0)
    if slow_sigma is not None:
        packed.sigma = packed.arrange(slow_sigma, packed.depth, 0)
    return packed


cdef int check_shape(const float[:, :] array, str name, Py_ssize_t rows, Py_ssize_t columns) except -1:
    if array is not None and (array.shape[0] != rows or array.shape[1] != columns):
        raise ValueError(f"pack: {name} has shape {(array.shape[0], array.shape[1])}; give {(rows, columns)}")
    return 0


cdef double variance_grid(const float[:, :] variance):
    cdef int e = 0
    frexp(largest_of(variance, None), &e)
    return 2.0 ** (e - GRID_BITS)


cdef int64_t[::1] execute(Job *job, int threads, int64_t[::1] counts):
    """Run all tasks; counts: (threads, tiles + 2), zero."""
    cdef Scratch unused
    cdef Py_ssize_t task, tasks = (job.rows + job.task_rows - 1) // job.task_rows * job.strips
    cdef Py_ssize_t size = round_up(lay_out(job, NULL, &unused), UNIT), span = job.tiles + 2
    cdef void *memory = new_block(threads * size * (sizeof(double) if job.exact else sizeof(float)))
    try:
        if job.exact:
            for task in prange(tasks, nogil=True, schedule="dynamic", num_threads=threads):
                run_task(job, <double *>memory + threadid() * size, &counts[threadid() * span], task)
        else:
            for task in prange(tasks, nogil=True, schedule="dynamic", num_threads=threads):
                run_task(job, <float *>memory + threadid() * size, &counts[threadid() * span], task)
    finally:
        free(memory)
    return counts


cdef const float *table(const float[:, ::1] values, str name, Job *job) except? NULL:
    if values is None:
        return NULL
    if values.shape[0] != job.tiles or values.shape[1] != job.outputs:
        raise ValueError(f"mvm: {name} has shape {(values.shape[0], values.shape[1])}; give (row tiles, columns) = "
                         f"{(job.tiles, job.outputs)}")
    return &values[0, 0]


cdef int set_edges(const float[:, :, ::1] edges, Job *job) except -1:
    job.adc_edges = NULL
    if edges is None:
        return 0
    if (job.adc_step == NULL or edges.shape[0] != job.tiles or edges.shape[1] != job.outputs
            or edges.shape[2] != 2 * <Py_ssize_t>job.adc_limit or edges.shape[2] == 0):
        raise ValueError(f"mvm: adc_edges has shape {(edges.shape[0], edges.shape[1], edges.shape[2])}; give adc_step, "
                         f"and (row tiles, columns, 2 adc_limit) = {(job.tiles, job.outputs, 2 * job.adc_limit)}")
    job.adc_edges = &edges[0, 0, 0]
    job.edges = <int>edges.shape[2]
    return 0


cdef int set_drivers(const float[:, ::1] levels, Job *job) except -1:
    job.dac_table = NULL
    if levels is None:
        return 0
    if not job.dac_scale > 0 or levels.shape[0] != job.inputs or levels.shape[1] != 2 * <Py_ssize_t>job.dac_limit + 1:
        raise ValueError(f"mvm: dac_table has shape {(levels.shape[0], levels.shape[1])}; give dac_scale, and "
                         f"(inputs, 2 dac_limit + 1) = {(job.inputs, 2 * job.dac_limit + 1)}")
    job.dac_table = &levels[0, 0]
    job.dac_codes = <int>levels.shape[1]
    return 0


cdef int check_exact(Packed packed, Job *job) except -1:
    """Refuse what float64 sums would round."""
    cdef double largest = job.dac_limit
    cdef Py_ssize_t i
    errors = job.dac_noise > 0 or job.dac_table != NULL
    if job.dac_table != NULL:
        for i in range(job.inputs * job.dac_codes):
            largest = max(largest, fabs(job.dac_table[i]))
    if not job.dac_scale > 0:
        largest = 0
        for i in range(job.rows * job.inputs):
            largest = max(largest, fabs(job.x[i]))
            if rounded(job.x[i]) != job.x[i]:
                raise ValueError(f"mvm: exact sums need whole drives, got {job.x[i]}; give dac_scale")
    bits = packed.exact_bits(largest + FARTHEST * job.dac_noise, errors)
    if bits > EXACT_BITS:
        raise ValueError(f"mvm: exact sums take {bits} bits, float64 has 53; use fewer rows, or drives and weights of "
                         "fewer bits")
    return 0


def mvm(
    Packed packed not None,
    const float[:, :, ::1] x not None,
    double[:, :, ::1] out not None,
    *,
    float dac_scale=0,
    float dac_limit=0,
    float dac_noise=0,
    const float[:, ::1] dac_table=None,
    const float[:, ::1] adc_step=None,
    const float[:, ::1] adc_offset=None,
    float adc_limit=0,
    const float[:, ::1] adc_back=None,
    float adc_noise=0,
    const float[:, :, ::1] adc_edges=None,
    uint64_t seed=0,
    uint64_t stream=0,
    uint64_t slow_stream=1,
    uint64_t dac_stream=2,
    uint64_t image_offset=0,
    uint64_t patch_offset=0,
    uint32_t read_number=0,
    int threads=1,
    bint accumulate=False,
    int64_t[::1] clipped=None,
):
    """out[b, p, m] = sum over row tiles of back * ADC(DAC(x) . weights + noise).

    x: (B, P, K) inputs less their zero point. out: (B, P, M), overwritten, or added to (accumulate). dac_scale > 0 rounds x * dac_scale and clips
    it to +-dac_limit, which gives whole drive codes. dac_table: (K, 2 dac_limit + 1), what the driver of each row puts
    out for each code. dac_noise: noise of each driver and read, in steps. adc_step, adc_offset, adc_back: (row tiles, M): the code is rint(y / step + offset), clipped to
    +-adc_limit, and counts back * code; without adc_step there is no ADC. adc_noise: in codes, needs adc_step.
    adc_edges: (row tiles, M, 2 adc_limit), ascending: the code is the number of edges <= y / step + offset, less
    adc_limit, in place of rounding.
    clipped: (row tiles,), increased by the conversions that clipped. Returns (inputs clipped by the DAC, inputs that
    are not zero after it). Limits must be below 2^22. See crossbar_reference.mvm.
    """
    cdef Job job
    cdef Py_ssize_t thread, tile
    if x.shape[2] != packed.K or out.shape[2] != packed.M or out.shape[0] != x.shape[0] or out.shape[1] != x.shape[1]:
        raise ValueError(f"mvm: x is {(x.shape[0], x.shape[1], x.shape[2])}, out is "
                         f"{(out.shape[0], out.shape[1], out.shape[2])}, weights are {(packed.K, packed.M)}")
    if clipped is not None and clipped.shape[0] != packed.n_row_tiles:
        raise ValueError(f"mvm: clipped has {clipped.shape[0]} entries; there are {packed.n_row_tiles} row tiles")
    job.rows = x.shape[0] * x.shape[1]
    if job.rows == 0:
        return 0, 0
    job.mean, job.variance, job.sigma = packed.mean, packed.variance, packed.sigma
    job.column_variance = packed.column_variance
    job.x = &x[0, 0, 0]
    job.out = &out[0, 0, 0]
    job.patches, job.inputs, job.outputs = x.shape[1], packed.K, packed.M
    job.tiles, job.tile_rows = packed.n_row_tiles, packed.tile_rows
    job.depth, job.panels = packed.depth, packed.panels
    job.dac_scale, job.dac_limit, job.dac_noise = dac_scale, dac_limit, dac_noise
    set_drivers(dac_table, &job)
    job.adc_limit, job.adc_noise = adc_limit, adc_noise
    job.adc_step = table(adc_step, "adc_step", &job)
    job.adc_offset = table(adc_offset, "adc_offset", &job)
    job.adc_back = table(adc_back, "adc_back", &job)
    set_edges(adc_edges, &job)
    job.key = make_key(seed, stream)
    job.slow_key = make_key(seed, slow_stream)
    job.dac_key = make_key(seed, dac_stream)
    job.first_image, job.first_patch, job.read = <uint32_t>image_offset, <uint32_t>patch_offset, read_number
    job.converts = adc_step is not None
    job.noisy = packed.has_fresh_noise or (job.converts and adc_noise > 0)
    job.exact, job.accumulate = packed.exact, accumulate
    if job.exact:
        check_exact(packed, &job)
    threads = plan(&job, max(1, threads))
    cdef int64_t[::1] counts = memoryview(bytearray(8 * threads * (job.tiles + 2))).cast("q")
    execute(&job, threads, counts)
    cdef int64_t dac_clipped = 0, driven = 0
    for thread in range(threads):
        dac_clipped += counts[thread * (job.tiles + 2) + job.tiles]
        driven += counts[thread * (job.tiles + 2) + job.tiles + 1]
        if clipped is not None:
            for tile in range(job.tiles):
                clipped[tile] += counts[thread * (job.tiles + 2) + tile]
    return dac_clipped, driven


def normals(float[::1] out not None, uint64_t seed, uint64_t stream, uint64_t offset=0):
    """Fill out with standard normals number offset, offset + 1 ... of a sequence of 2^68."""
    cdef Key key = make_key(seed, stream)
    cdef Counters counters
    cdef float block[BLOCK]
    cdef uint64_t unit = offset // UNIT
    cdef Py_ssize_t skip = offset % UNIT, i, n, done = 0
    cdef int u
    counters.last = 0
    with nogil:
        while done < out.shape[0]:
            for u in range(UNITS):
                counters.group[u] = <uint32_t>(unit + u) & <uint32_t>0x3FFFFFFF
                counters.second[u] = <uint32_t>((unit + u) >> 30)
                counters.third[u] = <uint32_t>((unit + u) >> 62)
            draw_block(&key, &counters, block)
            n = min(BLOCK - skip, out.shape[0] - done)
            for i in range(n):
                out[done + i] = block[skip + i]
            done += n
            unit += UNITS
            skip = 0


def threefry(uint32_t[:, ::1] words not None, uint64_t seed, uint64_t stream):
    """Replace each row of words (n, 4), a counter, by its random words under the key (seed, stream)."""
    cdef Key key = make_key(seed, stream)
    cdef Words w
    cdef Py_ssize_t block, first, lane, j, n
    for block in range((words.shape[0] + LANES - 1) // LANES):
        first = block * LANES
        n = min(<Py_ssize_t>LANES, words.shape[0] - first)
        memset(&w, 0, sizeof(w))
        for lane in range(n):
            for j in range(4):
                w.word[j][lane] = words[first + lane, j]
        threefry_lanes(&key, &w)
        for lane in range(n):
            for j in range(4):
                words[first + lane, j] = w.word[j][lane]
