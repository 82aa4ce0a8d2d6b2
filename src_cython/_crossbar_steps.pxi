# One block of rows through one row tile: DAC, slow noise, column sums, read noise, ADC, digital sum. No Python objects.
#
# Rows (one image and one patch each) are worked on in blocks; a block passes through all steps while it is in cache.
# Each output is summed in one fixed order, and noise is a function of what it belongs to: no bit depends on threads,
# blocks or batches. s names the places of a scratch, m is its memory.

from libc.math cimport sqrt

include "_crossbar_job.pxi"
include "_crossbar_drive.pxi"

cdef extern from "_gemm.h" nogil:
    void gemm_panel_float(Py_ssize_t rows, const float *a, Py_ssize_t stride, const float *b, Py_ssize_t depth,
                          float *c) noexcept
    void gemm_panel_double(Py_ssize_t rows, const double *a, Py_ssize_t stride, const double *b, Py_ssize_t depth,
                           double *c) noexcept
    void gemm_streams_float(const float **a, const float **b, Py_ssize_t depth, float **c) noexcept
    void gemm_panel_mixed(Py_ssize_t rows, const double *a, Py_ssize_t stride, const float *b, Py_ssize_t depth,
                          double *c) noexcept
    void gemm_streams_mixed(const double **a, const float **b, Py_ssize_t depth, double **c) noexcept


cdef void add_slow_noise(const Job *job, Scratch *s, real *m, Py_ssize_t tile, uint32_t image, Py_ssize_t first_panel,
                         Py_ssize_t panels, Py_ssize_t depth) noexcept nogil:
    """The weights of a strip of one tile as one image sees them."""
    cdef Counters counters
    cdef Py_ssize_t p, block, r, i, n, unit, place
    cdef float *normals = <float *>(m + s.normals)
    cdef const float *mean
    cdef const float *sigma
    cdef real *weights
    counters.last = <uint32_t>tile
    for p in range(panels):
        place = (tile * job.panels + first_panel + p) * job.depth * UNIT
        for block in range((depth + UNITS - 1) // UNITS):
            r = block * UNITS
            for unit in range(UNITS):
                counters.group[unit] = <uint32_t>(first_panel + p)
                counters.second[unit] = <uint32_t>(r + unit)
                counters.third[unit] = image
            draw_block(&job.slow_key, &counters, normals)
            mean = job.mean + place + r * UNIT
            sigma = job.sigma + place + r * UNIT
            weights = m + s.weights + (p * job.depth + r) * UNIT
            n = min(<Py_ssize_t>UNITS, depth - r) * UNIT
            for i in range(n):
                weights[i] = <real>mean[i] + <real>sigma[i] * normals[i]
            if real is double:
                for i in range(n):
                    weights[i] = on_grid(weights[i])


cdef inline void panel_product(Scratch *s, real *m, Py_ssize_t rows, const real *a, Py_ssize_t stride, const weight *b,
                               Py_ssize_t depth, real *c) noexcept nogil:
    cdef Py_ssize_t i
    if real is float:
        if weight is float:
            gemm_panel_float(rows, a, stride, b, depth, c)
    elif weight is double:
        gemm_panel_double(rows, a, stride, b, depth, c)
    elif rows < WIDENED:
        gemm_panel_mixed(rows, a, stride, b, depth, c)
    else:
        for i in range(depth * UNIT):
            m[s.wide + i] = b[i]
        gemm_panel_double(rows, a, stride, m + s.wide, depth, c)


cdef Py_ssize_t multiply_row(const Job *job, Scratch *s, real *m, const float *weights, const float *variances,
                             Py_ssize_t panels, Py_ssize_t depth) noexcept nogil:
    """Column sums of a block of one row, several panels at a time; how many panels that were."""
    cdef const real *a[STREAMS]
    cdef const float *b[STREAMS]
    cdef real *c[STREAMS]
    cdef Py_ssize_t p = 0, panel = job.depth * UNIT, i
    while p + (2 if variances != NULL else 4) <= panels:
        for i in range(STREAMS):
            if variances != NULL and i >= 2:
                a[i] = m + s.squares
                b[i] = variances + (p + i - 2) * panel
                c[i] = m + s.variance + (p + i - 2) * UNIT
            else:
                a[i] = m + s.driven
                b[i] = weights + (p + i) * panel
                c[i] = m + s.mean + (p + i) * UNIT
        if real is float:
            gemm_streams_float(a, b, depth, c)
        else:
            gemm_streams_mixed(a, b, depth, c)
        p += 2 if variances != NULL else 4
    return p


cdef void multiply(const Job *job, Scratch *s, real *m, const weight *weights, const float *variances,
                   Py_ssize_t panels, Py_ssize_t rows, Py_ssize_t depth) noexcept nogil:
    """Mean and variance of the column sums of a block for a few panels."""
    cdef Py_ssize_t p = 0, panel = job.depth * UNIT
    if weight is float:
        if rows == 1:
            p = multiply_row(job, s, m, weights, variances, panels, depth)
    while p < panels:
        panel_product(s, m, rows, m + s.driven, job.stride, weights + p * panel, depth, m + s.mean + p * rows * UNIT)
        if variances != NULL:
            panel_product(s, m, rows, m + s.squares, job.stride, variances + p * panel, depth,
                          m + s.variance + p * rows * UNIT)
        p += 1


cdef void read_converter(const Job *job, Scratch *s, real *m, Py_ssize_t unit, Py_ssize_t tile,
                         Py_ssize_t panel) noexcept nogil:
    """The ADC constants of one panel, at the place of one unit; columns that do not exist get zeros."""
    cdef Py_ssize_t j, n = min(<Py_ssize_t>UNIT, job.outputs - panel * UNIT), at = tile * job.outputs + panel * UNIT
    cdef real *inverse = m + s.inverse + unit * UNIT
    cdef real *offset = m + s.offset + unit * UNIT
    cdef real *extra = m + s.extra + unit * UNIT
    cdef real *back = m + s.back + unit * UNIT
    cdef real *column = m + s.column + unit * UNIT
    cdef real noise, one = 1
    for j in range(UNIT):
        inverse[j] = offset[j] = extra[j] = column[j] = 0
        back[j] = 1
    if job.converts:
        for j in range(n):
            inverse[j] = one / <real>job.adc_step[at + j]
            noise = <real>job.adc_noise * <real>job.adc_step[at + j]
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


cdef inline int edges_below(const float *edges, int n, real a, int guess) noexcept nogil:
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


cdef void look_up(const Job *job, Scratch *s, real *m, const real *y, Py_ssize_t units) noexcept nogil:
    """Codes of units by the edges of their converters, from those of linear converters."""
    cdef Py_ssize_t u, j, i
    cdef int half = job.edges // 2
    cdef real *code = m + s.code
    cdef const real *inverse = m + s.inverse
    cdef const real *offset = m + s.offset
    for u in range(units):
        for j in range(s.columns[u]):
            i = u * UNIT + j
            code[i] = edges_below(s.edges[u] + j * job.edges, job.edges, y[i] * inverse[i] + offset[i],
                                  <int>code[i] + half) - half


cdef void add_noise(const Job *job, Scratch *s, real *m, const real *mean, const real *variance,
                    Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    cdef const float *normals = <float *>(m + s.normals)
    cdef const real *extra = m + s.extra
    cdef real *y = m + s.analog
    if real is float:
        for i in range(n):
            y[i] = mean[i] + sqrtf(variance[i] + extra[i]) * normals[i]
    else:
        for i in range(n):
            y[i] = mean[i] + sqrt(variance[i] + extra[i]) * normals[i]


cdef void convert(const Job *job, Scratch *s, real *m, const real *mean, const real *variance, Py_ssize_t units,
                  Py_ssize_t tile) noexcept nogil:
    """Noise and ADC of up to eight units: their codes."""
    cdef Py_ssize_t i, n = units * UNIT
    cdef const real *y = mean
    cdef const real *inverse = m + s.inverse
    cdef const real *offset = m + s.offset
    cdef real *code = m + s.code
    cdef real a, limit = job.adc_limit, edge = <real>job.adc_limit + <real>0.5
    cdef int clipped = 0
    if job.noisy:
        y = m + s.analog
        add_noise(job, s, m, mean, variance, n)
    if job.converts:
        for i in range(n):
            a = y[i] * inverse[i] + offset[i]
            clipped += (a > edge) | (a < -edge)
            a = a if a < limit else limit
            a = a if a > -limit else -limit
            code[i] = rounded(a)
        s.clipped[tile] += clipped
        if job.adc_edges != NULL:
            look_up(job, s, m, y, units)
    else:
        for i in range(n):
            code[i] = y[i]


cdef void accumulate(double *out, const real *code, const real *back, Py_ssize_t n, bint first) noexcept nogil:
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


cdef void spread(const Job *job, Scratch *s, real *m, Py_ssize_t unit) noexcept nogil:
    """Variances of eight units whose columns have one variance in all rows, or none."""
    cdef Py_ssize_t u, j
    cdef real power = 0
    for u in range(UNITS):
        if job.column_variance != NULL:
            power = m[s.power + s.row[unit + u]]
        for j in range(u * UNIT, u * UNIT + UNIT):
            m[s.spread + j] = power * m[s.column + j]


cdef void finish(const Job *job, Scratch *s, real *m, Py_ssize_t units, Py_ssize_t tile, Py_ssize_t panel,
                 Py_ssize_t panels) noexcept nogil:
    """From column sums to outputs, eight units at a time."""
    cdef Counters counters
    cdef Py_ssize_t block, u, i
    cdef const real *variance = NULL
    counters.last = <uint32_t>tile | (job.read << 16)
    for block in range((units + UNITS - 1) // UNITS):
        u = block * UNITS
        if panels > 1 or block == 0:  # the units of one panel share their converters
            for i in range(UNITS):
                read_converter(job, s, m, i, tile, panel + s.panel[u + i])
        if job.noisy:
            for i in range(UNITS):
                counters.group[i] = <uint32_t>panel + s.panel[u + i]
                counters.second[i] = s.patch[u + i]
                counters.third[i] = s.image[u + i]
            draw_block(&job.key, &counters, <float *>(m + s.normals))
        if job.variance != NULL:
            variance = m + s.variance + u * UNIT
        elif job.noisy:
            variance = m + s.spread
            spread(job, s, m, u)
        convert(job, s, m, m + s.mean + u * UNIT, variance, min(<Py_ssize_t>UNITS, units - u), tile)
        for i in range(min(<Py_ssize_t>UNITS, units - u)):
            accumulate(s.out[u + i] + panel * UNIT, m + s.code + i * UNIT, m + s.back + i * UNIT,
                       job.outputs - (panel + s.panel[u + i]) * UNIT, tile == 0 and not job.accumulate)


cdef void run_task(const Job *job, real *m, int64_t *counts, Py_ssize_t task) noexcept nogil:
    """One strip of columns for one block of rows, or for all rows of one image when its weights carry slow noise."""
    cdef Scratch s
    cdef Py_ssize_t begin = task // job.strips * job.task_rows, strip = task % job.strips * job.strip_panels
    cdef Py_ssize_t end = min(begin + job.task_rows, job.rows), strip_end = min(strip + job.strip_panels, job.panels)
    cdef Py_ssize_t tile, row, rows, panel, panels, depth, place
    cdef const float *variances
    s.group_panels = 1
    lay_out(job, counts, &s)
    for tile in range(job.tiles):
        depth = min(job.tile_rows, job.inputs - tile * job.tile_rows)
        if job.sigma != NULL:
            add_slow_noise(job, &s, m, tile, job.first_image + <uint32_t>(begin // job.patches), strip,
                           strip_end - strip, depth)
        row = begin
        while row < end:
            rows = min(job.block_rows, end - row)
            if tile == 0 or end - begin > rows:  # a single block keeps its units
                name_units(job, &s, row, rows, strip_end - strip)
            drive(job, &s, m, row, rows, tile, depth, strip == 0)
            panel = strip
            while panel < strip_end:
                panels = min(s.group_panels, strip_end - panel)
                place = (tile * job.panels + panel) * job.depth * UNIT
                variances = job.variance + place if job.variance != NULL else NULL
                if job.sigma != NULL:
                    multiply(job, &s, m, m + s.weights + (panel - strip) * job.depth * UNIT, variances, panels, rows,
                             depth)
                else:
                    multiply(job, &s, m, job.mean + place, variances, panels, rows, depth)
                finish(job, &s, m, rows * panels, tile, panel, panels)
                panel += panels
            row += rows
