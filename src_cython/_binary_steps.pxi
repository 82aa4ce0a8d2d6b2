# One block of rows through the popcount kernel: DAC, bit planes, counts, read noise, ADC, digital sum. No Python objects.
#
# A unit is one slice of sixteen neighbouring outputs in one row tile and one plane. Each output adds up its units in one
# fixed order (slices, planes, row tiles), and noise is a function of what it belongs to: no bit depends on threads,
# blocks or batches.

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint16_t
from libc.string cimport memset

include "_rng.pxi"

cdef extern from "_binary_steps.h" nogil:
    ctypedef struct binary_unit:
        float gain[16]
        float base[16]
        float on[16]
        float off[16]
        float inverse[16]
        float offset[16]
        float extra[16]
        float back[16]
    void binary_count(const uint8_t *x, Py_ssize_t n, const uint8_t *w, Py_ssize_t groups, uint16_t *counts) noexcept
    void binary_planes(const uint32_t *magnitudes, Py_ssize_t n, Py_ssize_t planes, uint32_t *words,
                       uint8_t *nibbles) noexcept
    int binary_ones(const uint8_t *x, Py_ssize_t n) noexcept
    ctypedef struct binary_reads:
        Py_ssize_t planes, slices, tiles, masks, lanes
        const uint16_t *plus
        const uint16_t *minus
        const float *driven
        const float *normals
        const binary_unit *units
        const double *constant
        const double *factors
        const float *limit
        int64_t *over
    void binary_finish(const binary_reads *reads, double *total) noexcept

cdef enum:
    ROWS = 32  # of a block
    GROUP = 32  # lanes counted at a time: two masks or slices of sixteen columns
    NIBBLE = 4
    ALIGNMENT = 64
    SERIAL_WORK = 60000000  # looked-up nibbles below which starting threads costs more than it saves
    CONVERSION_WORK = 64  # nibbles that take as long as one conversion,
    NORMAL_WORK = 256  # and as one normal

cdef float ROUND = 12582912.0  # 1.5 * 2^23: adding and subtracting it rounds |x| < 2^22 half to even


cdef inline Py_ssize_t round_up(Py_ssize_t n, Py_ssize_t to) noexcept nogil:
    return (n + to - 1) // to * to


cdef struct Job:  # what all tasks share
    const uint8_t *weights  # [panel][tile][nibble][lanes]
    const float *x
    double *out
    Py_ssize_t rows, patches, inputs, outputs, slices, masks, tiles, tile_rows, panels
    Py_ssize_t depth, groups, planes, units  # nibbles of a tile; groups of lanes; units of an output: planes*slices*tiles
    float dac_scale, dac_limit, adc_limit, adc_noise
    const float *gain
    const float *base
    const float *on
    const float *off
    const float *adc_step
    const float *adc_offset
    const float *adc_back
    const double *factors
    const double *constant
    Key key
    uint32_t first_image, first_patch, read
    bint converts, noisy
    Py_ssize_t task_rows, strips, strip_panels

cdef struct Scratch:  # one for each thread
    binary_unit *table  # [slices][tiles] of one panel
    double *constant  # [slices][16] of one panel
    float *normals  # [units + some][16] of one row and panel
    float *driven  # [row][plane][tile][2]: signed sum and number of the driven rows
    uint32_t *magnitude  # [2][4 * depth], of rows driven positively and negatively
    uint32_t *words
    uint16_t *counts  # [2][plane][tile][lanes]
    uint8_t *nibbles  # [row][2][tile][plane][depth]
    int64_t *clipped  # by row tile; then driven inputs by row tile; then DAC clips
    bint negative[ROWS]  # whether a row is driven negatively anywhere


cdef void *take(char **place, Py_ssize_t size) noexcept nogil:
    cdef char *found = place[0]
    place[0] = found + round_up(size, ALIGNMENT)
    return found


cdef Py_ssize_t lay_out(const Job *job, char *memory, int64_t *counts, Scratch *s) noexcept nogil:
    """Point a scratch into memory; the bytes it takes."""
    cdef char *place = memory
    cdef Py_ssize_t tile_planes = job.tiles * job.planes
    s.clipped = counts
    s.table = <binary_unit *>take(&place, job.slices * job.tiles * sizeof(binary_unit))
    s.constant = <double *>take(&place, job.slices * UNIT * sizeof(double))
    s.normals = <float *>take(&place, round_up(job.units, UNITS) * UNIT * sizeof(float) if job.noisy else 0)
    s.driven = <float *>take(&place, job.task_rows * tile_planes * 2 * sizeof(float))
    s.magnitude = <uint32_t *>take(&place, 2 * job.depth * NIBBLE * sizeof(uint32_t))
    s.words = <uint32_t *>take(&place, job.depth * sizeof(uint32_t))
    s.counts = <uint16_t *>take(&place, 2 * tile_planes * job.groups * GROUP * sizeof(uint16_t))
    s.nibbles = <uint8_t *>take(&place, job.task_rows * 2 * tile_planes * job.depth)
    return place - memory


cdef bint drive(const Job *job, Scratch *s, const float *x, Py_ssize_t depth, int64_t *clipped) noexcept nogil:
    """DAC: the magnitudes of one row's inputs in one row tile; whether any is negative."""
    cdef Py_ssize_t k, reserved = job.depth * NIBBLE
    cdef uint32_t *plus = s.magnitude
    cdef uint32_t *minus = s.magnitude + reserved
    cdef float a, scale = job.dac_scale, limit = job.dac_limit, edge = job.dac_limit + <float>0.5
    cdef int over = 0, negative = 0
    for k in range(depth):
        a = x[k]
        if scale > 0:
            a = a * scale
            over += (a > edge) | (a < -edge)
            a = a if a < limit else limit
            a = a if a > -limit else -limit
            a = (a + ROUND) - ROUND
        negative |= a < 0
        plus[k] = <uint32_t><int32_t>a if a > 0 else 0
        minus[k] = <uint32_t><int32_t>(-a) if a < 0 else 0
    for k in range(depth, reserved):
        plus[k] = minus[k] = 0
    clipped[0] += over
    return negative != 0


cdef void encode(const Job *job, Scratch *s, Py_ssize_t row, Py_ssize_t place, bint counting) noexcept nogil:
    """The bit planes of one row, at a place of the block."""
    cdef Py_ssize_t tile, plane, start, size = job.planes * job.depth
    cdef uint8_t *plus = s.nibbles + place * 2 * job.tiles * size
    cdef uint8_t *minus = plus + job.tiles * size
    cdef float *driven
    cdef int64_t over = 0
    cdef int p, n
    cdef bint negative
    s.negative[place] = False
    for tile in range(job.tiles):
        start = tile * job.tile_rows
        negative = drive(job, s, job.x + row * job.inputs + start, min(job.tile_rows, job.inputs - start), &over)
        binary_planes(s.magnitude, job.depth, job.planes, s.words, plus + tile * size)
        if negative:
            if not s.negative[place]:
                memset(minus, 0, tile * size)
            binary_planes(s.magnitude + job.depth * NIBBLE, job.depth, job.planes, s.words, minus + tile * size)
            s.negative[place] = True
        elif s.negative[place]:
            memset(minus + tile * size, 0, size)
        for plane in range(job.planes):
            p = binary_ones(plus + tile * size + plane * job.depth, job.depth)
            n = binary_ones(minus + tile * size + plane * job.depth, job.depth) if negative else 0
            driven = s.driven + ((place * job.planes + plane) * job.tiles + tile) * 2
            driven[0] = <float>(p - n)
            driven[1] = <float>(p + n)
            if counting:
                s.clipped[job.tiles + tile] += p + n
    if counting:
        s.clipped[2 * job.tiles] += over


cdef void read_tables(const Job *job, Scratch *s, Py_ssize_t panel) noexcept nogil:
    """Cells and converters of one panel; columns that do not exist get zeros."""
    cdef Py_ssize_t piece, tile, j, at, width = job.slices * job.outputs
    cdef Py_ssize_t n = min(<Py_ssize_t>UNIT, job.outputs - panel * UNIT)
    cdef binary_unit *unit
    cdef float noise
    for piece in range(job.slices):
        for j in range(UNIT):
            s.constant[piece * UNIT + j] = 0
        if job.constant != NULL:
            for j in range(n):
                s.constant[piece * UNIT + j] = job.constant[piece * job.outputs + panel * UNIT + j]
        for tile in range(job.tiles):
            unit = s.table + piece * job.tiles + tile
            at = tile * width + piece * job.outputs + panel * UNIT
            memset(unit, 0, sizeof(binary_unit))
            for j in range(n):
                unit.gain[j] = job.gain[at + j]
                if job.base != NULL:
                    unit.base[j] = job.base[at + j]
                if job.on != NULL:
                    unit.on[j] = job.on[at + j]
                    unit.off[j] = job.off[at + j]
                if job.converts:
                    unit.inverse[j] = <float>1.0 / job.adc_step[at + j]
                    noise = job.adc_noise * job.adc_step[at + j]
                    unit.extra[j] = noise * noise
                if job.adc_offset != NULL:
                    unit.offset[j] = job.adc_offset[at + j]
                unit.back[j] = job.adc_back[at + j] if job.adc_back != NULL else 1


cdef void count(const Job *job, Scratch *s, Py_ssize_t place, Py_ssize_t panel) noexcept nogil:
    """Driven ones of all units of one row and panel."""
    cdef Py_ssize_t sign, tile, plane, lanes = job.groups * GROUP, size = job.planes * job.depth
    cdef const uint8_t *x
    cdef const uint8_t *w
    cdef uint16_t *counts
    for tile in range(job.tiles):
        w = job.weights + (panel * job.tiles + tile) * job.depth * lanes
        for sign in range(2 if s.negative[place] else 1):
            x = s.nibbles + ((place * 2 + sign) * job.tiles + tile) * size
            for plane in range(job.planes):
                counts = s.counts + ((sign * job.planes + plane) * job.tiles + tile) * lanes
                if s.driven[((place * job.planes + plane) * job.tiles + tile) * 2 + 1] == 0:
                    memset(counts, 0, lanes * sizeof(uint16_t))
                else:
                    binary_count(x + plane * job.depth, job.depth, w, job.groups, counts)


cdef void draw(const Job *job, Scratch *s, Py_ssize_t row, Py_ssize_t place, Py_ssize_t panel) noexcept nogil:
    """Normals of all units of one row and panel; zeros for eight units that need none."""
    cdef Counters counters
    cdef Py_ssize_t block, first, i, unit, plane, tile
    cdef float noise
    counters.last = job.read
    for i in range(UNITS):
        counters.second[i] = job.first_patch + <uint32_t>(row % job.patches)
        counters.third[i] = job.first_image + <uint32_t>(row // job.patches)
    for block in range((job.units + UNITS - 1) // UNITS):
        first = block * UNITS
        noise = job.adc_noise if job.converts else 0
        for i in range(UNITS):
            unit = min(first + i, job.units - 1)
            plane, tile = unit // (job.slices * job.tiles), unit % job.tiles
            noise += s.driven[((place * job.planes + plane) * job.tiles + tile) * 2 + 1]
            counters.group[i] = <uint32_t>(panel * job.units + first + i)
        if noise > 0:
            draw_block(&job.key, &counters, s.normals + first * UNIT)
        else:
            memset(s.normals + first * UNIT, 0, BLOCK * sizeof(float))


cdef void finish(const Job *job, Scratch *s, Py_ssize_t row, Py_ssize_t place, Py_ssize_t panel) noexcept nogil:
    """From counts to the outputs of one row and panel."""
    cdef binary_reads reads
    cdef double total[UNIT]
    cdef Py_ssize_t j
    cdef double *out = job.out + row * job.outputs + panel * UNIT
    reads.planes, reads.slices, reads.tiles, reads.masks = job.planes, job.slices, job.tiles, job.masks
    reads.lanes = job.groups * GROUP
    reads.plus = s.counts
    reads.minus = s.counts + job.planes * job.tiles * reads.lanes if s.negative[place] else NULL
    reads.driven = s.driven + place * job.planes * job.tiles * 2
    reads.normals = s.normals if job.noisy else NULL
    reads.units, reads.constant, reads.factors = s.table, s.constant, job.factors
    reads.limit = &job.adc_limit if job.converts else NULL
    reads.over = s.clipped
    if job.noisy:
        draw(job, s, row, place, panel)
    binary_finish(&reads, total)
    for j in range(min(<Py_ssize_t>UNIT, job.outputs - panel * UNIT)):
        out[j] = total[j]


cdef void run_task(const Job *job, char *memory, int64_t *counts, Py_ssize_t task) noexcept nogil:
    """One strip of panels for one block of rows."""
    cdef Scratch s
    cdef Py_ssize_t begin = task // job.strips * job.task_rows, strip = task % job.strips * job.strip_panels
    cdef Py_ssize_t rows = min(job.task_rows, job.rows - begin), i, panel
    lay_out(job, memory, counts, &s)
    for i in range(rows):
        encode(job, &s, begin + i, i, strip == 0)
    for panel in range(strip, min(strip + job.strip_panels, job.panels)):
        read_tables(job, &s, panel)
        for i in range(rows):
            count(job, &s, i, panel)
            finish(job, &s, begin + i, i, panel)


cdef int plan(Job *job, int threads) noexcept nogil:
    """Choose blocks and strips; the number of threads to use."""
    cdef Py_ssize_t row_tasks
    cdef double each = job.depth * job.masks + CONVERSION_WORK + (NORMAL_WORK if job.noisy else 0)
    if <double>job.rows * job.units * job.outputs * each < SERIAL_WORK:
        threads = 1
    job.task_rows = min(<Py_ssize_t>ROWS, job.rows)
    row_tasks = (job.rows + job.task_rows - 1) // job.task_rows
    job.strips = 1
    if threads > 1 and row_tasks < 4 * threads:
        job.strips = min(job.panels, (4 * threads + row_tasks - 1) // row_tasks)
    job.strip_panels = (job.panels + job.strips - 1) // job.strips
    job.strips = (job.panels + job.strip_panels - 1) // job.strip_panels
    return threads
