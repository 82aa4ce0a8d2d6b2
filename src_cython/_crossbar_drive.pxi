# Row drivers: inputs of a block of rows become drives of one row tile, with the drivers' errors, and their squares.

cdef inline real sum_of_squares(const real *d, Py_ssize_t depth) noexcept nogil:
    """In one fixed order on every instruction set; d is zero up to the next multiple of 16."""
    cdef real partial[UNIT]
    cdef Py_ssize_t k, j
    for j in range(UNIT):
        partial[j] = 0
    for k in range((depth + UNIT - 1) // UNIT):
        for j in range(UNIT):
            partial[j] += d[k * UNIT + j] * d[k * UNIT + j]
    for j in range(1, UNIT):
        partial[0] += partial[j]
    return partial[0]


cdef inline int encode(const Job *job, const float *x, float *codes, Py_ssize_t depth) noexcept nogil:
    """Drive codes of the inputs of one row; how many were out of range."""
    cdef Py_ssize_t k
    cdef float a, scale = job.dac_scale, limit = job.dac_limit, edge = job.dac_limit + <float>0.5
    cdef int clipped = 0
    if not scale > 0:
        for k in range(depth):
            codes[k] = x[k]
        return 0
    for k in range(depth):
        a = x[k] * scale
        clipped += (a > edge) | (a < -edge)
        a = a if a < limit else limit
        a = a if a > -limit else -limit
        codes[k] = rounded(a)
    return clipped


cdef void add_driver_noise(const Job *job, Scratch *s, real *m, real *d, Py_ssize_t row, Py_ssize_t tile,
                           Py_ssize_t depth) noexcept nogil:
    """A normal for each driver of a tile and each read; the tile's arrays share the drivers."""
    cdef Counters counters
    cdef float *normals = <float *>(m + s.normals)
    cdef Py_ssize_t block, first, k
    cdef int u
    counters.last = <uint32_t>tile | (job.read << 16)
    for block in range((depth + BLOCK - 1) // BLOCK):
        first = block * BLOCK
        for u in range(UNITS):
            counters.group[u] = <uint32_t>(block * UNITS + u)
            counters.second[u] = s.patch[row]
            counters.third[u] = s.image[row]
        draw_block(&job.dac_key, &counters, normals)
        for k in range(min(<Py_ssize_t>BLOCK, depth - first)):
            d[first + k] += job.dac_noise * normals[k]


cdef void drive_row(const Job *job, Scratch *s, real *m, const float *codes, real *d, Py_ssize_t row, Py_ssize_t tile,
                    Py_ssize_t depth) noexcept nogil:
    """What the drivers put out for the codes of one row."""
    cdef Py_ssize_t k
    cdef const float *levels = job.dac_table + tile * job.tile_rows * job.dac_codes + job.dac_codes // 2
    if job.dac_table != NULL:
        for k in range(depth):
            d[k] = levels[k * job.dac_codes + <int>codes[k]]
    else:
        for k in range(depth):
            d[k] = codes[k]
    if job.dac_noise > 0:
        add_driver_noise(job, s, m, d, row, tile, depth)
    if real is double:
        if job.dac_noise > 0 or job.dac_table != NULL:
            for k in range(depth):
                d[k] = rounded(d[k] * 256) * 0.00390625


cdef void square_row(const Job *job, const real *d, real *squares, Py_ssize_t depth) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(depth):
        squares[k] = d[k] * d[k]
    if real is double:
        if job.dac_noise > 0 or job.dac_table != NULL:
            for k in range(depth):
                squares[k] = rounded(squares[k] * 256) * 0.00390625


cdef void drive(const Job *job, Scratch *s, real *m, Py_ssize_t row, Py_ssize_t rows, Py_ssize_t tile, Py_ssize_t depth,
                bint counting) noexcept nogil:
    """DAC: the drives of a block for one row tile, and their squares or the sum of these."""
    cdef Py_ssize_t i, k
    cdef float *codes = <float *>(m + s.codes)
    cdef real *d
    cdef int clipped = 0, nonzero = 0
    for i in range(rows):
        d = m + s.driven + i * job.stride
        if real is float:
            codes = d  # in place
        clipped += encode(job, job.x + (row + i) * job.inputs + tile * job.tile_rows, codes, depth)
        for k in range(depth):
            nonzero += codes[k] != 0
        if real is double:
            drive_row(job, s, m, codes, d, i, tile, depth)
        elif job.dac_table != NULL or job.dac_noise > 0:
            drive_row(job, s, m, codes, d, i, tile, depth)
        if job.variance != NULL:
            square_row(job, d, m + s.squares + i * job.stride, depth)
        if job.column_variance != NULL:
            for k in range(depth, round_up(depth, UNIT)):
                d[k] = 0
            m[s.power + i] = sum_of_squares(d, depth)
    if counting:
        s.clipped[job.tiles] += clipped
        s.clipped[job.tiles + 1] += nonzero
