# One block of rows through one row tile: DAC, slow noise, column sums, read noise, ADC, digital sum. No Python objects.
#
# Rows (one image and one patch each) are worked on in blocks; a block passes through all steps while it is in cache.
# Each output is summed in one fixed order, and noise is a function of what it belongs to: no bit depends on threads,
# blocks or batches.

from libc.stdint cimport int64_t

include "_rng.pxi"

cdef extern from "_gemm.h" nogil:
    void gemm_panel(Py_ssize_t rows, const float *a, Py_ssize_t stride, const float *b, Py_ssize_t depth,
                    float *c) noexcept
    void gemm_streams(const float **a, const float **b, Py_ssize_t depth, float **c) noexcept

cdef enum:
    ROWS = 96  # of a block: a multiple of the micro-kernel's rows and of UNITS
    STREAMS = 4
    SERIAL_WORK = 20000000  # multiply-accumulates below which starting threads costs more than it saves
    NORMAL_WORK = 64  # multiply-accumulates that take as long as one normal

cdef float ROUND = 12582912.0  # 1.5 * 2^23: adding and subtracting it rounds |x| < 2^22 half to even


cdef inline Py_ssize_t round_up(Py_ssize_t n, Py_ssize_t to) noexcept nogil:
    return (n + to - 1) // to * to


cdef struct Job:  # what all tasks share
    const float *mean
    const float *variance
    const float *column_variance  # [tile][panel][16], where the noise has the same variance in all rows of a tile
    const float *sigma
    const float *x
    double *out
    Py_ssize_t rows, patches, inputs, outputs, tiles, tile_rows, depth, panels
    float dac_scale, dac_limit, adc_limit, adc_noise
    const float *adc_step
    const float *adc_offset
    const float *adc_back
    const float *adc_edges  # [tile][column][edges]
    int edges
    Key key
    Key slow_key
    uint32_t first_image, first_patch, read
    bint converts, noisy
    Py_ssize_t task_rows, strips, strip_panels, block_rows, stride, scratch_floats

cdef struct Scratch:  # one for each thread
    float *driven  # [block_rows][stride]
    float *squares
    float *power  # [ROWS], sum of the squares of a row
    float *mean  # [units][16], units = panels of a group * rows of the block
    float *variance
    float *weights  # one tile of one image, with its slow noise
    float *inverse  # [BLOCK] each: the ADC of the units at hand
    float *offset
    float *extra
    float *back
    float *column  # their variance for a drive of one
    float *normals
    float *spread
    float *analog  # sums with their noise
    float *code
    const float *edges[UNITS]
    int columns[UNITS]  # that exist
    int64_t *clipped  # by row tile, then DAC clips, then driven inputs
    uint32_t image[ROWS + UNITS]  # of each unit: what its row belongs to,
    uint32_t patch[ROWS + UNITS]
    uint32_t row[ROWS + UNITS]  # its row, counted within the block,
    uint32_t panel[ROWS + UNITS]  # its panel, counted within the group,
    double *out[ROWS + UNITS]  # and its outputs in the group of panels that starts at column 0
    Py_ssize_t group_panels


cdef Py_ssize_t lay_out(const Job *job, float *memory, int64_t *counts, Scratch *s) noexcept nogil:
    """Point a scratch into memory; the number of floats it takes."""
    cdef float *p = memory
    s.clipped = counts
    s.driven = p
    p += job.block_rows * job.stride
    s.squares = p
    p += job.block_rows * job.stride
    s.power = p
    p += ROWS
    s.mean = p
    p += (ROWS + UNITS) * UNIT
    s.variance = p
    p += (ROWS + UNITS) * UNIT
    s.inverse = p
    s.offset = p + BLOCK
    s.extra = p + 2 * BLOCK
    s.back = p + 3 * BLOCK
    s.column = p + 4 * BLOCK
    s.normals = p + 5 * BLOCK
    s.spread = p + 6 * BLOCK
    s.analog = p + 7 * BLOCK
    s.code = p + 8 * BLOCK
    p += 9 * BLOCK
    s.weights = p
    if job.sigma != NULL:
        p += job.strip_panels * job.depth * UNIT
    return p - memory


cdef void name_units(const Job *job, Scratch *s, Py_ssize_t row, Py_ssize_t rows, Py_ssize_t panels) noexcept nogil:
    """Split a block of rows into units: sixteen columns of a row each. Few rows take several panels at a time."""
    cdef Py_ssize_t unit, r
    s.group_panels = min(max(<Py_ssize_t>1, ROWS // rows), panels)
    for unit in range(rows * s.group_panels + UNITS):
        s.row[unit] = <uint32_t>(unit % rows)
        r = row + s.row[unit]
        s.image[unit] = job.first_image + <uint32_t>(r // job.patches)
        s.patch[unit] = job.first_patch + <uint32_t>(r % job.patches)
        s.panel[unit] = <uint32_t>(unit // rows)
        s.out[unit] = job.out + r * job.outputs + s.panel[unit] * UNIT


cdef inline float sum_of_squares(const float *d, Py_ssize_t depth) noexcept nogil:
    """In one fixed order on every instruction set; d is zero up to the next multiple of 16."""
    cdef float partial[UNIT]
    cdef Py_ssize_t k, j
    for j in range(UNIT):
        partial[j] = 0
    for k in range((depth + UNIT - 1) // UNIT):
        for j in range(UNIT):
            partial[j] += d[k * UNIT + j] * d[k * UNIT + j]
    for j in range(1, UNIT):
        partial[0] += partial[j]
    return partial[0]


cdef void drive(const Job *job, Scratch *s, Py_ssize_t row, Py_ssize_t rows, Py_ssize_t start, Py_ssize_t depth,
                bint counting) noexcept nogil:
    """DAC: the inputs of a block for one row tile, and their squares or the sum of these."""
    cdef Py_ssize_t i, k
    cdef const float *x
    cdef float *d
    cdef float *d2
    cdef float a, scale = job.dac_scale, limit = job.dac_limit, edge = job.dac_limit + <float>0.5
    cdef int clipped = 0, nonzero = 0
    for i in range(rows):
        x = job.x + (row + i) * job.inputs + start
        d = s.driven + i * job.stride
        d2 = s.squares + i * job.stride
        if scale > 0:
            for k in range(depth):
                a = x[k] * scale
                clipped += (a > edge) | (a < -edge)
                a = a if a < limit else limit
                a = a if a > -limit else -limit
                d[k] = (a + ROUND) - ROUND
        else:
            for k in range(depth):
                d[k] = x[k]
        for k in range(depth):
            nonzero += d[k] != 0
        if job.variance != NULL:
            for k in range(depth):
                d2[k] = d[k] * d[k]
        if job.column_variance != NULL:
            for k in range(depth, round_up(depth, UNIT)):
                d[k] = 0
            s.power[i] = sum_of_squares(d, depth)
    if counting:
        s.clipped[job.tiles] += clipped
        s.clipped[job.tiles + 1] += nonzero


cdef void add_slow_noise(const Job *job, Scratch *s, Py_ssize_t tile, uint32_t image, Py_ssize_t first_panel,
                         Py_ssize_t panels, Py_ssize_t depth) noexcept nogil:
    """The weights of a strip of one tile as one image sees them."""
    cdef Counters counters
    cdef Py_ssize_t p, block, r, i, n, unit, place
    cdef const float *mean
    cdef const float *sigma
    cdef float *weights
    counters.last = <uint32_t>tile
    for p in range(panels):
        place = (tile * job.panels + first_panel + p) * job.depth * UNIT
        for block in range((depth + UNITS - 1) // UNITS):
            r = block * UNITS
            for unit in range(UNITS):
                counters.group[unit] = <uint32_t>(first_panel + p)
                counters.second[unit] = <uint32_t>(r + unit)
                counters.third[unit] = image
            draw_block(&job.slow_key, &counters, s.normals)
            mean = job.mean + place + r * UNIT
            sigma = job.sigma + place + r * UNIT
            weights = s.weights + (p * job.depth + r) * UNIT
            n = min(<Py_ssize_t>UNITS, depth - r) * UNIT
            for i in range(n):
                weights[i] = mean[i] + sigma[i] * s.normals[i]


cdef void multiply(const Job *job, Scratch *s, const float *weights, const float *variances, Py_ssize_t panels,
                   Py_ssize_t rows, Py_ssize_t depth) noexcept nogil:
    """Mean and variance of the column sums of a block for a few panels."""
    cdef const float *a[STREAMS]
    cdef const float *b[STREAMS]
    cdef float *c[STREAMS]
    cdef Py_ssize_t p = 0, panel = job.depth * UNIT, i
    if rows == 1:
        while p + (2 if variances != NULL else 4) <= panels:
            for i in range(STREAMS):
                if variances != NULL and i >= 2:
                    a[i] = s.squares
                    b[i] = variances + (p + i - 2) * panel
                    c[i] = s.variance + (p + i - 2) * UNIT
                else:
                    a[i] = s.driven
                    b[i] = weights + (p + i) * panel
                    c[i] = s.mean + (p + i) * UNIT
            gemm_streams(a, b, depth, c)
            p += 2 if variances != NULL else 4
    while p < panels:
        gemm_panel(rows, s.driven, job.stride, weights + p * panel, depth, s.mean + p * rows * UNIT)
        if variances != NULL:
            gemm_panel(rows, s.squares, job.stride, variances + p * panel, depth, s.variance + p * rows * UNIT)
        p += 1


cdef void read_converter(const Job *job, Scratch *s, Py_ssize_t unit, Py_ssize_t tile, Py_ssize_t panel) noexcept nogil:
    """The ADC constants of one panel, at the place of one unit; columns that do not exist get zeros."""
    cdef Py_ssize_t j, n = min(<Py_ssize_t>UNIT, job.outputs - panel * UNIT), at = tile * job.outputs + panel * UNIT
    cdef float *inverse = s.inverse + unit * UNIT
    cdef float *offset = s.offset + unit * UNIT
    cdef float *extra = s.extra + unit * UNIT
    cdef float *back = s.back + unit * UNIT
    cdef float noise
    cdef float *column = s.column + unit * UNIT
    for j in range(UNIT):
        inverse[j] = offset[j] = extra[j] = column[j] = 0
        back[j] = 1
    if job.converts:
        for j in range(n):
            inverse[j] = <float>1.0 / job.adc_step[at + j]
            noise = job.adc_noise * job.adc_step[at + j]
            extra[j] = noise * noise
    if job.adc_offset != NULL:
        for j in range(n):
            offset[j] = job.adc_offset[at + j]
    if job.adc_back != NULL:
        for j in range(n):
            back[j] = job.adc_back[at + j]
    if job.column_variance != NULL:
        for j in range(n):
            column[j] = job.column_variance[(tile * job.panels + panel) * UNIT + j]
    s.columns[unit] = <int>n
    if job.adc_edges != NULL:
        s.edges[unit] = job.adc_edges + at * job.edges


cdef inline int edges_below(const float *edges, int n, float a, int guess) noexcept nogil:
    """Number of ascending edges <= a. Converters are nearly linear: without a branch, four edges around the guess are
    enough; halving finds it where they are not."""
    cdef int low = guess - 2, high = n, count
    low = low if low < n - 4 else n - 4
    low = low if low > 0 else 0
    if n >= 4:
        count = (edges[low] <= a) + (edges[low + 1] <= a) + (edges[low + 2] <= a) + (edges[low + 3] <= a)
        if (count > 0 or low == 0) and (count < 4 or low + 4 == n):
            return low + count
    low = 0
    while low < high:
        guess = (low + high) >> 1
        if edges[guess] <= a:
            low = guess + 1
        else:
            high = guess
    return low


cdef void look_up(const Job *job, Scratch *s, const float *y, Py_ssize_t units) noexcept nogil:
    """Codes of units by the edges of their converters, from the nearest codes of linear ones in s.code."""
    cdef Py_ssize_t u, j, i
    cdef int half = job.edges // 2
    for u in range(units):
        for j in range(s.columns[u]):
            i = u * UNIT + j
            s.code[i] = <float>(edges_below(s.edges[u] + j * job.edges, job.edges, y[i] * s.inverse[i] + s.offset[i],
                                            <int>s.code[i] + half) - half)


cdef void convert(const Job *job, Scratch *s, const float *mean, const float *variance, Py_ssize_t units,
                  Py_ssize_t tile) noexcept nogil:
    """Noise and ADC of up to eight units: s.code."""
    cdef Py_ssize_t i, n = units * UNIT
    cdef const float *y = mean
    cdef float *code = s.code
    cdef float a, limit = job.adc_limit, edge = job.adc_limit + <float>0.5
    cdef int clipped = 0
    if job.noisy:
        y = s.analog
        if variance != NULL:
            for i in range(n):
                s.analog[i] = mean[i] + sqrtf(variance[i] + s.extra[i]) * s.normals[i]
        else:
            for i in range(n):
                s.analog[i] = mean[i] + sqrtf(s.extra[i]) * s.normals[i]
    if job.converts:
        for i in range(n):
            a = y[i] * s.inverse[i] + s.offset[i]
            clipped += (a > edge) | (a < -edge)
            a = a if a < limit else limit
            a = a if a > -limit else -limit
            code[i] = (a + ROUND) - ROUND
        s.clipped[tile] += clipped
        if job.adc_edges != NULL:
            look_up(job, s, y, units)
    else:
        for i in range(n):
            code[i] = y[i]


cdef void accumulate(double *out, const float *code, const float *back, Py_ssize_t n, bint first) noexcept nogil:
    """Digital sum over row tiles, in float64: a code times a float32 gain is exact there."""
    cdef Py_ssize_t j
    if n >= UNIT and not first:  # a constant length makes straight vector code
        for j in range(UNIT):
            out[j] += <double>code[j] * <double>back[j]
    elif n >= UNIT:
        for j in range(UNIT):
            out[j] = <double>code[j] * <double>back[j]
    elif first:
        for j in range(n):
            out[j] = <double>code[j] * <double>back[j]
    else:
        for j in range(n):
            out[j] += <double>code[j] * <double>back[j]


cdef void spread(Scratch *s, Py_ssize_t unit) noexcept nogil:
    """Variances of eight units whose columns have one variance in all rows: s.spread."""
    cdef Py_ssize_t u, j
    cdef float power
    for u in range(UNITS):
        power = s.power[s.row[unit + u]]
        for j in range(u * UNIT, u * UNIT + UNIT):
            s.spread[j] = power * s.column[j]


cdef void finish(const Job *job, Scratch *s, Py_ssize_t units, Py_ssize_t tile, Py_ssize_t panel,
                 Py_ssize_t panels) noexcept nogil:
    """From column sums to outputs, eight units at a time."""
    cdef Counters counters
    cdef Py_ssize_t block, u, i
    cdef const float *variance = NULL
    counters.last = <uint32_t>tile | (job.read << 16)
    for block in range((units + UNITS - 1) // UNITS):
        u = block * UNITS
        if panels > 1 or block == 0:  # the units of one panel share their converters
            for i in range(UNITS):
                read_converter(job, s, i, tile, panel + s.panel[u + i])
        if job.noisy:
            for i in range(UNITS):
                counters.group[i] = <uint32_t>panel + s.panel[u + i]
                counters.second[i] = s.patch[u + i]
                counters.third[i] = s.image[u + i]
            draw_block(&job.key, &counters, s.normals)
        if job.variance != NULL:
            variance = s.variance + u * UNIT
        if job.column_variance != NULL:
            variance = s.spread
            spread(s, u)
        convert(job, s, s.mean + u * UNIT, variance, min(<Py_ssize_t>UNITS, units - u), tile)
        for i in range(min(<Py_ssize_t>UNITS, units - u)):
            accumulate(s.out[u + i] + panel * UNIT, s.code + i * UNIT, s.back + i * UNIT,
                       job.outputs - (panel + s.panel[u + i]) * UNIT, tile == 0)


cdef void run_task(const Job *job, float *memory, int64_t *counts, Py_ssize_t task) noexcept nogil:
    """One strip of columns for one block of rows, or for all rows of one image when its weights carry slow noise."""
    cdef Scratch s
    cdef Py_ssize_t begin = task // job.strips * job.task_rows, strip = task % job.strips * job.strip_panels
    cdef Py_ssize_t end = min(begin + job.task_rows, job.rows), strip_end = min(strip + job.strip_panels, job.panels)
    cdef Py_ssize_t tile, row, rows, panel, panels, start, depth, place
    cdef const float *weights
    cdef const float *variances
    s.group_panels = 1
    lay_out(job, memory, counts, &s)
    for tile in range(job.tiles):
        start = tile * job.tile_rows
        depth = min(job.tile_rows, job.inputs - start)
        if job.sigma != NULL:
            add_slow_noise(job, &s, tile, job.first_image + <uint32_t>(begin // job.patches), strip, strip_end - strip,
                           depth)
        row = begin
        while row < end:
            rows = min(job.block_rows, end - row)
            if tile == 0 or end - begin > rows:  # a single block keeps its units
                name_units(job, &s, row, rows, strip_end - strip)
            drive(job, &s, row, rows, start, depth, strip == 0)
            panel = strip
            while panel < strip_end:
                panels = min(s.group_panels, strip_end - panel)
                place = (tile * job.panels + panel) * job.depth * UNIT
                variances = job.variance + place if job.variance != NULL else NULL
                weights = job.mean + place
                if job.sigma != NULL:
                    weights = s.weights + (panel - strip) * job.depth * UNIT
                multiply(job, &s, weights, variances, panels, rows, depth)
                finish(job, &s, rows * panels, tile, panel, panels)
                panel += panels
            row += rows


cdef int plan(Job *job, int threads) noexcept nogil:
    """Choose blocks and strips; the number of threads to use."""
    cdef Py_ssize_t normals = 0, row_tasks
    cdef double work
    if job.noisy:
        normals = job.rows * job.outputs * job.tiles
    if job.sigma != NULL:
        normals += job.rows // job.patches * job.inputs * job.outputs
    work = <double>job.rows * job.inputs * job.outputs + <double>normals * NORMAL_WORK
    if work < SERIAL_WORK:
        threads = 1
    job.task_rows = job.patches if job.sigma != NULL else min(<Py_ssize_t>ROWS, job.rows)
    job.block_rows = min(<Py_ssize_t>ROWS, job.task_rows)
    job.stride = round_up(job.depth, UNIT) + UNIT  # not a power of two, so that rows spread over the cache
    row_tasks = (job.rows + job.task_rows - 1) // job.task_rows
    job.strips = 1
    if threads > 1 and row_tasks < 4 * threads:
        job.strips = min(job.panels, (4 * threads + row_tasks - 1) // row_tasks)
    job.strip_panels = (job.panels + job.strips - 1) // job.strips
    job.strips = (job.panels + job.strip_panels - 1) // job.strip_panels
    return threads
