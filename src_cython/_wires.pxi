"""Crossbars with wire resistance, compiled: exactly the network of `neuroemu.kernels.wires_reference`.

The C headers hold the algorithms; here are shapes, memory and threads. No policy, no defaults of physics. All arrays
are float64, resistances have become conductances in siemens; an end of 0 S is open. Array letters: N tiles, B vectors,
R rows, C columns.
"""

from cython.parallel cimport prange, threadid
from libc.math cimport INFINITY
from libc.stdlib cimport free, malloc
from libc.string cimport memset

cdef extern from "_wires_tree.h" nogil:
    enum: WIRES_LEAF
    ctypedef struct wires_array:
        const double *g
        Py_ssize_t rows, columns, first_row, all_rows, all_columns
        int right, top
        double word, bit
        const double *left_end
        const double *right_end
        const double *top_end
        const double *bottom_end
    ctypedef struct wires_origin:
        const int *own
    ctypedef struct wires_product:
        const double *u
        Py_ssize_t u_step, depth, i0, i1, j0, j1
        int symmetric
        const wires_origin *origin
        double *out
        Py_ssize_t out_step
    int wires_transfer(const wires_array *, double *, int)
    int wires_eliminate(double *, Py_ssize_t, Py_ssize_t, Py_ssize_t, int)
    void wires_multiply(const wires_product *, int)
    Py_ssize_t wires_step(Py_ssize_t)
    double *wires_new(Py_ssize_t)

cdef extern from "_wires_rigid.h" nogil:
    enum: WIRES_CHAINS
    void wires_chains(const double *, Py_ssize_t, Py_ssize_t, double, const double *, const double *, double *,
                      double *, double *)

cdef extern from "_wires_lines.h" nogil:
    ctypedef struct wires_lines:
        const double *g
        Py_ssize_t rows, columns
        double word, bit
        const double *left_end
        const double *right_end
        const double *bottom_end
        const double *top_end
        int rigid, strong
        double *device
        double *h
        double *f
        double *e
    void wires_factor(const wires_lines *, double *)
    int wires_solve(const wires_lines *, const double *, const double *, double *, double *, double *, double, double,
                    int, double *, double *)


cdef int _check(Py_ssize_t rows, Py_ssize_t columns, const double[::1] left, const double[::1] right,
                const double[::1] bottom, const double[::1] top) except -1:
    if rows < 1 or columns < 1:
        raise ValueError(f"wires kernel: an array of {rows} x {columns} is empty")
    if left.shape[0] != rows or right.shape[0] != rows or bottom.shape[0] != columns or top.shape[0] != columns:
        raise ValueError("wires kernel: left and right need one value a row, bottom and top one a column")
    return 0


cdef int _check_nodes(const double[:, :, ::1] a, Py_ssize_t vectors, Py_ssize_t rows, Py_ssize_t columns) except -1:
    if a is not None and (a.shape[0] != vectors or a.shape[1] != rows or a.shape[2] != columns):
        raise ValueError("wires kernel: words, bits and source are (vectors, rows, columns)")
    return 0


def transfer(const double[:, :, ::1] g not None, double word, double bit, const double[::1] left not None,
             const double[::1] right not None, const double[::1] bottom not None, const double[::1] top not None,
             double[:, :, ::1] out not None, *, int threads=1):
    """out (N, R, C) = T of each tile: currents at the ends of the bit lines for 1 V at the ends of each word line.

    g: (N, R, C), 0 to infinity. word, bit: a wire between two cross-points, > 0. left, right (R,), bottom, top (C,):
    from the last cross-point to the driver or amplifier; right and top all 0 where these ends are open.
    """
    cdef wires_array a
    cdef Py_ssize_t rows = g.shape[1], columns = g.shape[2], i, tiles = g.shape[0], size = rows * columns
    cdef int failed = 0, inside, status
    cdef double scale
    _check(rows, columns, left, right, bottom, top)
    if out.shape[0] != tiles or out.shape[1] != rows or out.shape[2] != columns:
        raise ValueError("wires kernel: out must have the shape of g")
    a.rows, a.columns = rows, columns
    a.all_rows = (rows + WIRES_LEAF - 1) // WIRES_LEAF * WIRES_LEAF
    a.all_columns = (columns + WIRES_LEAF - 1) // WIRES_LEAF * WIRES_LEAF
    a.first_row = a.all_rows - rows
    a.word, a.bit = 2 * word, 2 * bit  # half a wire on each side of a cross-point
    a.right = a.top = 0
    cdef double[:, ::1] row_ends = memoryview(bytearray(16 * a.all_rows)).cast("B").cast("d", (2, a.all_rows))
    cdef double[:, ::1] column_ends = memoryview(bytearray(16 * a.all_columns)).cast("B").cast("d", (2, a.all_columns))
    for i in range(a.all_rows):
        row_ends[0, i] = row_ends[1, i] = a.word
    for i in range(a.all_columns):
        column_ends[0, i] = column_ends[1, i] = a.bit
    # What lies between the array and its end passes through the padding: equal parts in series.
    for i in range(rows):
        row_ends[0, a.first_row + i] = left[i]
        row_ends[1, a.first_row + i] = right[i] * (2 * (a.all_columns - columns) + 1)
        a.right |= right[i] > 0
    for i in range(columns):
        column_ends[0, i] = top[i] * (2 * a.first_row + 1)
        column_ends[1, i] = bottom[i]
        a.top |= top[i] > 0
    a.left_end, a.right_end = &row_ends[0, 0], &row_ends[1, 0]
    a.top_end, a.bottom_end = &column_ends[0, 0], &column_ends[1, 0]
    if tiles == 0:
        return
    inside = threads if tiles < threads else 1
    cdef const double *source = &g[0, 0, 0]
    cdef double *target = &out[0, 0, 0]
    cdef int outside = 1 if inside > 1 else threads
    for i in prange(tiles, nogil=True, schedule="dynamic", num_threads=outside):
        status = _one(&a, source + i * size, target + i * size, inside)
        failed += status
    if failed:
        raise MemoryError(f"transfer of a {rows} x {columns} array")


cdef int _one(const wires_array *shared, const double *g, double *out, int threads) noexcept nogil:
    cdef wires_array a = shared[0]
    a.g = g
    return wires_transfer(&a, out, threads)


def solve(const double[:, :, ::1] g not None, double word, double bit, const double[::1] left not None,
          const double[::1] right not None, const double[::1] bottom not None, const double[::1] top not None,
          const double[:, ::1] drive not None, double[:, ::1] currents not None, double[:, :, ::1] words=None,
          double[:, :, ::1] bits=None, *, double tolerance, int most, const double[:, :, ::1] source=None,
          bint warm=False, double enough=0, double[::1] starts=None, int threads=1):
    """currents (B, C) at the ends of the bit lines for voltages `drive` (B, R), one vector after another.

    As transfer(), except that g may be (1, R, C) or one array for each vector, and that word may be infinite, so that a
    word line is one node; then each device must be finite, and left + right too, and source None. words, bits:
    (B, R, C) or None, voltages of the nodes; with `warm`, bits holds start values. source: (B, R, C), amperes beside
    each device from its word line to its bit line. tolerance: of the residual, in the norm of the preconditioner,
    relative to that of the start values, which `starts` (B) receives; vectors where that is at most `enough` are left
    as they are. Returns (largest number of iterations, largest
    residual).
    """
    cdef wires_lines l
    cdef Py_ssize_t rows = g.shape[1], columns = g.shape[2], size = rows * columns, vectors = drive.shape[0], b, j
    cdef Py_ssize_t cells = (rows + 3) // 4 * 4 * columns, kinds = g.shape[0]
    cdef Py_ssize_t factors = 3 * cells + size, room = factors + 5 * size + 12 * columns + 64
    _check(rows, columns, left, right, bottom, top)
    if (kinds != 1 and kinds != vectors) or drive.shape[1] != rows or currents.shape[0] != vectors \
            or currents.shape[1] != columns:
        raise ValueError("wires kernel: g is (1 or vectors, rows, columns), drive (vectors, rows), currents (vectors, "
                         "columns)")
    if (words is None) != (bits is None) or (warm and bits is None):
        raise ValueError("wires kernel: give both words and bits, or neither")
    _check_nodes(words, vectors, rows, columns)
    _check_nodes(bits, vectors, rows, columns)
    _check_nodes(source, vectors, rows, columns)
    if starts is not None and starts.shape[0] != vectors:
        raise ValueError("wires kernel: starts has one value a vector")
    if vectors == 0:
        return 0, 0.0
    threads = min(threads, <int>min(vectors, 1024))
    l.rows, l.columns, l.word, l.bit, l.rigid = rows, columns, word, bit, word == INFINITY
    l.left_end, l.right_end, l.bottom_end, l.top_end = &left[0], &right[0], &bottom[0], &top[0]
    cdef double *shared = wires_new(factors + 12 * columns)
    cdef double *memory = wires_new(threads * room)
    cdef double[:, ::1] norms = memoryview(bytearray(16 * vectors)).cast("B").cast("d", (2, vectors))
    cdef int[::1] steps = memoryview(bytearray(4 * vectors)).cast("i")
    cdef double *none = NULL
    cdef const double *device = &g[0, 0, 0]
    cdef const double *beside = NULL
    if source is not None:
        beside = &source[0, 0, 0]
    cdef double *x = none if bits is None else &bits[0, 0, 0]
    cdef double *y = none if words is None else &words[0, 0, 0]
    try:
        if shared == NULL or memory == NULL:
            raise MemoryError(f"solve of a {rows} x {columns} array")
        if kinds == 1:
            with nogil:
                _factor(&l, device, shared, shared + factors)
        for b in prange(vectors, nogil=True, schedule="dynamic", num_threads=threads):
            steps[b] = _vector(&l, device + b * size if kinds > 1 else NULL, &drive[b, 0],
                               beside + b * size if beside != NULL else NULL, &currents[b, 0],
                               x + b * size if x != NULL else NULL, y + b * size if y != NULL else NULL,
                               memory + threadid() * room, warm, tolerance, enough, most, &norms[0, b], &norms[1, b])
    finally:
        free(memory)
        free(shared)
    if starts is not None:
        starts[:] = norms[1]
    return max(n if n >= 0 else -1 - n for n in steps), max(norms[0])


cdef void _factor(wires_lines *l, const double *g, double *place, double *scratch) noexcept nogil:
    cdef Py_ssize_t cells = (l.rows + 3) // 4 * 4 * l.columns, i
    l.g, l.device, l.h, l.f, l.e = g, place, place + cells, place + 2 * cells, place + 3 * cells
    l.strong = 0
    for i in range(l.rows * l.columns):
        l.strong |= g[i] > l.word
    wires_factor(l, scratch)


cdef int _vector(const wires_lines *shared, const double *g, const double *drive, const double *source,
                 double *currents, double *x, double *y, double *work, bint warm, double tolerance, double enough,
                 int most, double *residual, double *start) noexcept nogil:
    cdef wires_lines l = shared[0]
    cdef Py_ssize_t j, size = l.rows * l.columns, last = size - l.columns
    if g != NULL:
        _factor(&l, g, work, work + (l.rows + 3) // 4 * 12 * l.columns + size)
        work += (l.rows + 3) // 4 * 12 * l.columns + size
    if x == NULL:
        x = work
    if not warm:
        memset(x, 0, size * sizeof(double))
    cdef int steps = wires_solve(&l, drive, source, x, y, work + size, tolerance, enough, most, residual, start)
    for j in range(l.columns):
        currents[j] = l.bottom_end[j] * x[last + j] + l.top_end[j] * x[j]
    return steps


def chains(const double[:, ::1] g not None, double bit, const double[::1] bottom not None,
           const double[::1] top not None, double[:, ::1] sensed not None, double[:, ::1] between=None):
    """Word lines that are one node each. sensed (R, C): siemens from word line i to the ends of bit line j; between
    (R, R) or None, zero before: siemens between two word lines, lower half. bit > 0.
    """
    cdef Py_ssize_t rows = g.shape[0], columns = g.shape[1]
    _check(rows, columns, g[:, 0].copy(), g[:, 0].copy(), bottom, top)
    if sensed.shape[0] != rows or sensed.shape[1] != columns:
        raise ValueError("wires kernel: sensed must have the shape of g")
    if between is not None and (between.shape[0] != rows or between.shape[1] != rows):
        raise ValueError("wires kernel: between is (rows, rows)")
    cdef double *work = <double *>malloc((4 * WIRES_CHAINS + 1) * rows * sizeof(double))
    cdef double *none = NULL
    cdef double *c = none if between is None else &between[0, 0]
    if work == NULL:
        raise MemoryError(f"chains of a {rows} x {columns} array")
    with nogil:
        wires_chains(&g[0, 0], rows, columns, bit, &bottom[0], &top[0], &sensed[0, 0], c, work)
    free(work)


def eliminate(const double[:, ::1] between not None, const double[:, ::1] left not None,
              const double[:, ::1] right not None, double[:, ::1] out not None, *, int threads=1):
    """out (L, M): siemens between the terminals `left` and `right` once the K nodes of a network are eliminated.

    between: (K, K) siemens between two nodes, its lower half is read; left (K, L), right (K, M): from nodes to terminals.
    """
    cdef Py_ssize_t k = between.shape[0], n = left.shape[1], m = right.shape[1], nodes = (k + 3) // 4 * 4, i, j
    cdef Py_ssize_t a = (n + 3) // 4, b = (m + 3) // 4, panels = nodes // 4 + a + b, step = wires_step(nodes)
    if between.shape[1] != k or left.shape[0] != k or right.shape[0] != k or out.shape[0] != n or out.shape[1] != m:
        raise ValueError("wires kernel: between (K, K), left (K, L), right (K, M) and out (L, M) do not agree")
    cdef double *u = wires_new(panels * step)
    cdef double *t = wires_new(b * wires_step(4 * a))
    cdef int *own = <int *>malloc((a + b + 1) * sizeof(int))
    cdef wires_origin origin
    cdef wires_product p
    cdef int failed
    try:
        if u == NULL or t == NULL or own == NULL:
            raise MemoryError(f"elimination of {k} nodes")
        with nogil:
            memset(u, 0, panels * step * sizeof(double))
            for i in range(k):
                for j in range(i):
                    u[i // 4 * step + 4 * j + i % 4] = u[j // 4 * step + 4 * i + j % 4] = between[i, j]
                for j in range(n):
                    u[(nodes // 4 + j // 4) * step + 4 * i + j % 4] = left[i, j]
                for j in range(m):
                    u[(nodes // 4 + a + j // 4) * step + 4 * i + j % 4] = right[i, j]
            failed = wires_eliminate(u, step, nodes, panels, threads)
            for i in range(a + b):
                own[i] = i >= a  # no coupling between terminals is known here
            origin.own = own
            p.u, p.u_step, p.depth = u + nodes // 4 * step, step, nodes
            p.i0, p.i1, p.j0, p.j1, p.symmetric = 0, a, a, a + b, 0
            p.origin, p.out, p.out_step = &origin, t, wires_step(4 * a)
            wires_multiply(&p, threads)
            for i in range(n):
                for j in range(m):
                    out[i, j] = t[j // 4 * p.out_step + 4 * i + j % 4]
        if failed:
            raise MemoryError(f"elimination of {k} nodes")
    finally:
        free(u)
        free(t)
        free(own)
