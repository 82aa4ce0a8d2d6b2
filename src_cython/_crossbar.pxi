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
    /* What the build of setup.py needs; the compiler's check includes the operating system. */
    static int cpu_supports_v4(void)
    {
        return cpu_supports_v3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
            && __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq")
            && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi")
            && __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("avx512bitalg")
            && __builtin_cpu_supports("avx512vpopcntdq") && __builtin_cpu_supports("gfni");
    }
    #else
    static int cpu_supports_v3(void) { return 0; }
    static int cpu_supports_v4(void) { return 0; }
    #endif
    #ifdef _OPENMP
    static const int built_with_openmp = 1;
    #else
    static const int built_with_openmp = 0;
    #endif
    """
    const int built_with_openmp
    int cpu_supports_v3() noexcept
    int cpu_supports_v4() noexcept
    void *aligned_alloc(size_t alignment, size_t size) noexcept

include "_crossbar_pack.pxi"


def cpu_has_v3():
    """Whether this CPU runs the AVX2 + FMA build of the kernels."""
    return bool(cpu_supports_v3())


def cpu_has_v4():
    """Whether this CPU runs the AVX-512 build of the kernels that have one."""
    return bool(cpu_supports_v4())


def openmp_enabled():
    """Whether this module was built with OpenMP."""
    return bool(built_with_openmp)


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
