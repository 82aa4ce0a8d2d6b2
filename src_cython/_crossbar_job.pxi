# What a crossbar product needs to know: the job that all tasks share, the scratch memory of a thread, and the plan that
# cuts the work. Sums are float32 or, where they must be exact, float64: every step is compiled for both.

from libc.stdint cimport int64_t

include "_rng.pxi"

cdef enum:
    ROWS = 96  # of a block: a multiple of the micro-kernel's rows and of UNITS
    STREAMS = 4
    WIDENED = 12  # rows from which weights are worth turning into float64 before the product
    SERIAL_WORK = 20000000  # multiply-accumulates below which starting threads costs more than it saves
    NORMAL_WORK = 64  # multiply-accumulates that take as long as one normal

ctypedef fused real:
    float
    double

ctypedef fused weight:
    float
    double


cdef inline Py_ssize_t round_up(Py_ssize_t n, Py_ssize_t to) noexcept nogil:
    return (n + to - 1) // to * to


cdef inline real rounded(real a) noexcept nogil:
    """a to the nearest whole number, half to even: adding and subtracting 1.5 * 2^23 (2^52) does it, as the mantissa
    has no place for less than one. |a| < 2^22 (2^51)."""
    if real is float:
        return (a + <float>12582912.0) - <float>12582912.0
    else:
        return (a + <double>6755399441055744.0) - <double>6755399441055744.0


cdef inline double on_grid(double a) noexcept nogil:
    """a to the nearest multiple of 2^-20, half to even; |a| < 2^31."""
    return (a + <double>6442450944.0) - <double>6442450944.0


cdef struct Job:  # what all tasks share; the weights of exact sums lie on a grid that float32 holds, too
    const float *mean
    const float *variance
    const float *column_variance  # [tile][panel][16], where the noise has the same variance in all rows of a tile
    const float *sigma
    const float *x
    double *out
    Py_ssize_t rows, patches, inputs, outputs, tiles, tile_rows, depth, panels
    float dac_scale, dac_limit, dac_noise
    const float *dac_table  # [input][dac_codes]
    int dac_codes
    float adc_limit, adc_noise
    const float *adc_step
    const float *adc_offset
    const float *adc_back
    const float *adc_edges  # [tile][column][edges]
    int edges
    Key key
    Key slow_key
    Key dac_key
    uint32_t first_image, first_patch, read
    bint converts, noisy, exact, accumulate
    Py_ssize_t task_rows, strips, strip_panels, block_rows, stride

cdef struct Scratch:  # one for each thread; what is not a pointer is a place in its memory, counted in numbers
    Py_ssize_t driven  # [block_rows][stride]
    Py_ssize_t squares
    Py_ssize_t power  # [ROWS], sum of the squares of a row
    Py_ssize_t codes  # [stride], drive codes of a row, float
    Py_ssize_t mean  # [units][16], units = panels of a group * rows of the block
    Py_ssize_t variance
    Py_ssize_t weights  # one tile of one image, with its slow noise
    Py_ssize_t wide  # one panel of one tile in float64
    Py_ssize_t inverse  # [BLOCK] each: the ADC of the units at hand
    Py_ssize_t offset
    Py_ssize_t extra
    Py_ssize_t back
    Py_ssize_t column  # their variance for a drive of one
    Py_ssize_t normals  # float
    Py_ssize_t spread
    Py_ssize_t analog  # sums with their noise
    Py_ssize_t code
    const float *edges[UNITS]
    int columns[UNITS]  # that exist
    int64_t *clipped  # by row tile, then DAC clips, then driven inputs
    uint32_t image[ROWS + UNITS]  # of each unit: what its row belongs to,
    uint32_t patch[ROWS + UNITS]
    uint32_t row[ROWS + UNITS]  # its row, counted within the block,
    uint32_t panel[ROWS + UNITS]  # its panel, counted within the group,
    double *out[ROWS + UNITS]  # and its outputs in the group of panels that starts at column 0
    Py_ssize_t group_panels


cdef Py_ssize_t lay_out(const Job *job, int64_t *counts, Scratch *s) noexcept nogil:
    """Give everything in a scratch its place; how many numbers that takes."""
    cdef Py_ssize_t p = 0
    s.clipped = counts
    s.driven = p
    p += job.block_rows * job.stride
    s.squares = p
    p += job.block_rows * job.stride
    s.power = p
    p += ROWS
    s.codes = p
    p += job.stride
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
    s.wide = p
    if job.exact:
        p += job.depth * UNIT
    return p


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


cdef int plan(Job *job, int threads) noexcept nogil:
    """Choose blocks and strips; the number of threads to use."""
    cdef Py_ssize_t normals = 0, row_tasks
    cdef double work
    if job.noisy:
        normals = job.rows * job.outputs * job.tiles
    if job.sigma != NULL:
        normals += job.rows // job.patches * job.inputs * job.outputs
    if job.dac_noise > 0:
        normals += job.rows * job.inputs
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
