"""Networks in floating point, compiled: exactly `neuroemu.kernels.floating_reference`, which is the specification.

The C headers hold the loops; here are shapes and bounds. The calls release the interpreter's lock, so blocks of images
run side by side. Array letters: T steps, B images, I inputs, N neurons, E synapses, W columns of a panel.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t

cdef extern from "_floating.h" nogil:
    enum: FL_ROWS, FL_COUPLED
    ctypedef struct fl_lines:
        const char *data
        int64_t step_stride, image_stride, images, lines, n
        int32_t kind
    ctypedef struct fl_dense:
        const float *panels
        int64_t n_in, n, width, count
    ctypedef struct fl_sparse:
        const int32_t *indptr
        const int32_t *target
        const float *weight
        int64_t n
    ctypedef struct fl_axis:
        const int32_t *first
        const int32_t *tap
        const int32_t *out
        int64_t size, taps
    ctypedef struct fl_convolution:
        const float *table
        fl_axis down, across
        int64_t per_group, length, channels, wide, n
    ctypedef struct neurons_d "fl_neurons_d":
        const double *table
        int64_t n
        int32_t rule, spikes, early, subtract
        const fl_dense *loop
        const float *loop_bias
        const int32_t *place
    ctypedef struct neurons_f "fl_neurons_f":
        const float *table
        int64_t n
        int32_t rule, spikes, early, subtract
        const fl_dense *loop
        const float *loop_bias
        const int32_t *place
    int64_t fl_dense_d(const fl_dense *, const fl_lines *, const float *, float *)
    int64_t fl_dense_f(const fl_dense *, const fl_lines *, const float *, float *)
    int64_t fl_scattered_d(const fl_sparse *, const fl_convolution *, const fl_lines *, const float *, float *)
    int64_t fl_scattered_f(const fl_sparse *, const fl_convolution *, const fl_lines *, const float *, float *)
    int64_t fl_run_d(const neurons_d *, const fl_lines *, double *, double *, const fl_lines *, const fl_lines *,
                     const fl_lines *)
    int64_t fl_run_f(const neurons_f *, const fl_lines *, float *, float *, const fl_lines *, const fl_lines *,
                     const fl_lines *)
    int fl_check_sparse(const fl_sparse *, int64_t, int64_t)
    int fl_check_axis(const fl_axis *, int64_t, int64_t)

ctypedef fused real:
    float
    double

ctypedef fused given:
    uint8_t
    float

ctypedef fused number:
    float
    double

ctypedef fused output:
    uint8_t
    float
    double


cdef int _need(bint fine, str what) except -1:
    if not fine:
        raise ValueError(f"floating kernel: {what}")
    return 0


cdef int _panels(fl_dense *d, const float[:, :, ::1] panels, int64_t inputs, int64_t n) except -1:
    cdef int64_t width = panels.shape[2]
    _need(width in (16, 32, 64) and panels.shape[1] == inputs and (panels.shape[0] - 1) * width < n
          and n <= panels.shape[0] * width and inputs > 0,
          f"panels must be (ceil(N / W), I = {inputs}, W = 16, 32, 64)")
    d.panels = &panels[0, 0, 0]
    d.n_in, d.n, d.width, d.count = inputs, n, width, panels.shape[0]
    return 0


cdef int _axis(fl_axis *a, axis, int64_t taps, int64_t outputs) except -1:
    cdef const int32_t[::1] first = axis[0], tap = axis[1], out = axis[2]
    _need(first.shape[0] > 1 and tap.shape[0] == out.shape[0],
          "an axis is (first, tap, out): positions + 1, taps, taps")
    a.first, a.size, a.taps = &first[0], first.shape[0] - 1, taps
    a.tap = &tap[0] if tap.shape[0] else NULL
    a.out = &out[0] if out.shape[0] else NULL
    _need(not fl_check_axis(a, tap.shape[0], outputs), "an axis reaches outside the taps or the outputs")
    return 0


cdef fl_lines _lines(const output[:, :, :] x) noexcept:
    """Lines of (T, B, N); the last axis is contiguous."""
    cdef fl_lines found
    found.data = <const char *>&x[0, 0, 0]
    found.step_stride, found.image_stride = x.strides[0], x.strides[1]
    found.images, found.lines, found.n = x.shape[1], x.shape[0] * x.shape[1], x.shape[2]
    found.kind = 0 if output is uint8_t else 1 if output is float else 2
    return found


cdef int _same(object x, object drive, int64_t neurons) except -1:
    """Steps and images of inputs and outputs agree, nothing is empty, and the last axes are contiguous."""
    _need(x.shape[0] == drive.shape[0] and x.shape[1] == drive.shape[1] and drive.shape[2] == neurons
          and min(x.shape) > 0 and neurons > 0,
          f"shapes {tuple(x.shape)} and {tuple(drive.shape)} do not fit {neurons} neurons")
    _need(x.shape[2] == 1 or x.strides[2] == x.itemsize, "the last axis must be contiguous")
    _need(neurons == 1 or drive.strides[2] == drive.itemsize, "the last axis must be contiguous")
    return 0


cdef int64_t _additions(int64_t made) except -1:
    if made < 0:
        raise MemoryError("floating kernel: no memory for the lists of inputs")
    return made


def dense_sums(const given[:, :, :] x, *, const float[:, :, ::1] panels, const float[::1] bias=None, bint wide,
               float[:, :, ::1] drive):
    """Sums through a dense matrix; see `neuroemu.kernels.floating_reference.dense_sums`."""
    cdef fl_dense d
    cdef fl_lines lines
    cdef int64_t made
    cdef const float *shift = NULL
    _same(x, drive, drive.shape[2])
    _panels(&d, panels, x.shape[2], drive.shape[2])
    if bias is not None:
        _need(bias.shape[0] == d.n, f"bias needs {d.n} entries")
        shift = &bias[0]
    lines = _lines[given](x)
    with nogil:
        if wide:
            made = fl_dense_d(&d, &lines, shift, &drive[0, 0, 0])
        else:
            made = fl_dense_f(&d, &lines, shift, &drive[0, 0, 0])
    return _additions(made)


def sparse_sums(const given[:, :, :] x, *, const int32_t[::1] indptr, const int32_t[::1] target,
                const float[::1] weight, const float[::1] bias=None, bint wide, float[:, :, ::1] drive):
    """Sums through single synapses; see `neuroemu.kernels.floating_reference.sparse_sums`."""
    cdef fl_sparse s
    cdef fl_lines lines
    cdef int64_t made, edges = target.shape[0]
    cdef const float *shift = NULL
    _same(x, drive, drive.shape[2])
    _need(indptr.shape[0] == x.shape[2] + 1 and weight.shape[0] == edges, "indptr needs I + 1 entries, weight E")
    s.indptr, s.n = &indptr[0], drive.shape[2]
    s.target = &target[0] if edges else NULL
    s.weight = &weight[0] if edges else NULL
    _need(not fl_check_sparse(&s, x.shape[2], edges), "indptr must rise from 0 to E, targets lie in 0..N-1")
    if bias is not None:
        _need(bias.shape[0] == s.n, f"bias needs {s.n} entries")
        shift = &bias[0]
    lines = _lines[given](x)
    with nogil:
        if wide:
            made = fl_scattered_d(&s, NULL, &lines, shift, &drive[0, 0, 0])
        else:
            made = fl_scattered_f(&s, NULL, &lines, shift, &drive[0, 0, 0])
    return _additions(made)


def convolution_sums(const given[:, :, :] x, *, const float[:, :, :, ::1] table, down, across, int groups, size,
                     const float[::1] bias=None, bint wide, float[:, :, ::1] drive):
    """Sums through a kernel that moves; see `neuroemu.kernels.floating_reference.convolution_sums`."""
    cdef fl_convolution v
    cdef fl_lines lines
    cdef int64_t made
    cdef const float *shift = NULL
    v.length, v.channels, v.wide = table.shape[3], table.shape[3] * groups, size[1]
    v.n = v.channels * size[0] * size[1]
    _same(x, drive, v.n)
    _need(groups > 0 and min(table.shape[0], table.shape[1], table.shape[2], table.shape[3]) > 0
          and table.shape[0] % groups == 0, "table must be (channels, taps down, taps across, outputs of a group)")
    v.table, v.per_group = &table[0, 0, 0, 0], table.shape[0] // groups
    _axis(&v.down, down, table.shape[1], size[0])
    _axis(&v.across, across, table.shape[2], size[1])
    _need(x.shape[2] == table.shape[0] * v.down.size * v.across.size, "x needs channels x positions entries")
    if bias is not None:
        _need(bias.shape[0] == v.n, f"bias needs {v.n} entries")
        shift = &bias[0]
    lines = _lines[given](x)
    with nogil:
        if wide:
            made = fl_scattered_d(NULL, &v, &lines, shift, &drive[0, 0, 0])
        else:
            made = fl_scattered_f(NULL, &v, &lines, shift, &drive[0, 0, 0])
    return _additions(made)


def run_neurons(const number[:, :, :] drive, *, int rule, const real[:, ::1] table, bint early=False,
                bint subtract=False, real[:, ::1] v, real[:, ::1] current, output[:, :, :] out,
                real[:, :, :] trace=None, const int32_t[::1] place=None, const float[:, :, ::1] panels=None,
                const float[::1] loop_bias=None, output[:, ::1] last=None):
    """Steps of one layer of neurons; see `neuroemu.kernels.floating_reference.run_neurons`."""
    cdef int64_t i, n = table.shape[1], images = drive.shape[1]
    cdef fl_dense loop
    cdef fl_lines lines, written, traced, before
    cdef neurons_d wide
    cdef neurons_f narrow
    cdef int64_t made
    cdef const float *shift = NULL
    cdef const int32_t *where = NULL
    _same(drive, out, n)
    _need(table.shape[0] == FL_ROWS and 0 <= rule <= FL_COUPLED, f"table needs {FL_ROWS} rows, rule 0..{FL_COUPLED}")
    _need(v.shape[0] == images and v.shape[1] == n and current.shape[0] == images and current.shape[1] == n,
          f"v and current need the shape {(images, n)}")
    _need(output is uint8_t or output is real, "outputs are bytes, or potentials of the type of the table")
    lines, written = _lines[number](drive), _lines[output](out)
    before.data = traced.data = NULL
    if trace is not None:
        _same(drive, trace, n)
        traced = _lines[real](trace)
    if place is not None:
        _need(place.shape[0] == n and panels is None, f"place needs {n} entries, and neurons without a loop")
        for i in range(n):
            _need(0 <= place[i] < n, "place outside 0..N-1")
        where = &place[0]
    if panels is not None:
        _need(last is not None and last.shape[0] == images and last.shape[1] == n, "a loop needs last, (B, N)")
        _panels(&loop, panels, n, n)
        if loop_bias is not None:
            _need(loop_bias.shape[0] == n, f"loop_bias needs {n} entries")
            shift = &loop_bias[0]
        before = _lines[output](last[None])
    if real is double:
        wide.table, wide.n, wide.rule, wide.spikes = &table[0, 0], n, rule, output is uint8_t
        wide.early, wide.subtract, wide.place = early, subtract, where
        wide.loop, wide.loop_bias = &loop if panels is not None else NULL, shift
        with nogil:
            made = fl_run_d(&wide, &lines, &v[0, 0], &current[0, 0], &before, &written, &traced)
    else:
        narrow.table, narrow.n, narrow.rule, narrow.spikes = &table[0, 0], n, rule, output is uint8_t
        narrow.early, narrow.subtract, narrow.place = early, subtract, where
        narrow.loop, narrow.loop_bias = &loop if panels is not None else NULL, shift
        with nogil:
            made = fl_run_f(&narrow, &lines, &v[0, 0], &current[0, 0], &before, &written, &traced)
    return _additions(made)
