# The digital steps between weighted layers, compiled: patches of images, accumulators to codes, tables of codes.
#
# No arithmetic of its own: neuroemu/kernels/integer_reference.py says what patches and lookups give, and
# neuroemu/network/codes.py with fixed_point.py what requantize gives, to the last bit. Array letters: B images,
# C channels, P positions of a convolution, K values that a position reads, M output channels.

from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

ctypedef fused real:
    float
    double

cdef enum:
    SPREAD = 16  # values between channels, so that they do not fall on the same lines of the cache
    TOGETHER = 256  # values that a step of requantize works on, at least
    HALF_EVEN = 0
    HALF_AWAY = 1
    FIXED_POINT = 2

cdef double ROUND = 6755399441055744.0  # 1.5 * 2^52: adding and subtracting it rounds |x| < 2^51 half to even
cdef float ROUND_SHORT = 12582912.0  # 1.5 * 2^23: the same for float32 below 2^22
cdef double INT32_LOW = -2147483648.0
cdef double INT32_HIGH = 2147483647.0


# Patches

cdef struct Window:
    Py_ssize_t channels, high, wide  # of the kernel
    Py_ssize_t down, across  # stride
    Py_ssize_t row_step, column_step  # dilation
    Py_ssize_t rows, columns  # positions
    Py_ssize_t line, plane  # values of a line, and of a channel, of the padded image


cdef inline void copy_runs(const Window *w, const float *image, float *out, const Py_ssize_t wide) noexcept nogil:
    """One patch from neighbouring columns; `wide` is a constant where this is called, so that runs become registers."""
    cdef Py_ssize_t c, y, x
    cdef const float *line
    for c in range(w.channels):
        line = image + c * w.plane
        for y in range(w.high):
            for x in range(wide):
                out[x] = line[x]
            out += wide
            line += w.row_step * w.line


cdef inline void copy_apart(const Window *w, const float *image, float *out) noexcept nogil:
    """One patch of a dilated or unusually wide kernel."""
    cdef Py_ssize_t c, y, x
    for c in range(w.channels):
        for y in range(w.high):
            for x in range(w.wide):
                out[x] = image[c * w.plane + y * w.row_step * w.line + x * w.column_step]
            out += w.wide


cdef void gather(const Window *w, const float *image, float *out) noexcept nogil:
    """All patches of one padded image."""
    cdef Py_ssize_t i, j, size = w.channels * w.high * w.wide, kind = w.wide if w.column_step == 1 else 0
    cdef const float *corner
    for i in range(w.rows):
        corner = image + i * w.down * w.line
        for j in range(w.columns):
            if kind == 1:
                copy_runs(w, corner, out, 1)
            elif kind == 2:
                copy_runs(w, corner, out, 2)
            elif kind == 3:
                copy_runs(w, corner, out, 3)
            elif kind == 4:
                copy_runs(w, corner, out, 4)
            elif kind == 5:
                copy_runs(w, corner, out, 5)
            elif kind == 7:
                copy_runs(w, corner, out, 7)
            else:
                copy_apart(w, corner, out)
            corner += w.across
            out += size


def patches(const float[:, :, :, :] x not None, float[:, :, ::1] out not None, *, kernel, stride, dilation, padding,
            size):
    """out[b, p] = what position p reads of image b, channel slowest; padding is zero.

    x: (B, C, H, W). out: (B, P, C * kH * kW). kernel, stride, dilation, size: (vertical, horizontal); size is the
    number of positions. padding: ((top, bottom), (left, right)).
    """
    cdef Window w
    cdef Py_ssize_t b, c, y, k, top = padding[0][0], left = padding[1][0], high = x.shape[2], wide = x.shape[3]
    cdef Py_ssize_t full_high = high + top + padding[0][1], full_wide = wide + left + padding[1][1]
    cdef float *image
    cdef float *line
    w.channels, w.high, w.wide = x.shape[1], kernel[0], kernel[1]
    w.down, w.across = stride
    w.row_step, w.column_step = dilation
    w.rows, w.columns = size
    w.line, w.plane = full_wide, full_high * full_wide + SPREAD
    if (out.shape[0] != x.shape[0] or out.shape[1] != w.rows * w.columns or w.rows < 1 or w.columns < 1
            or out.shape[2] != w.channels * w.high * w.wide
            or (w.rows - 1) * w.down + (w.high - 1) * w.row_step >= full_high
            or (w.columns - 1) * w.across + (w.wide - 1) * w.column_step >= full_wide):
        raise ValueError("patches: out does not have the shape of all patches, or they reach beyond the padded image")
    if out.shape[0] == 0 or out.shape[2] == 0:
        return
    image = <float *>calloc(w.channels * w.plane, sizeof(float))
    if image == NULL:
        raise MemoryError("patches: no memory for one padded image")
    with nogil:
        for b in range(x.shape[0]):
            for c in range(w.channels):
                for y in range(high):
                    line = image + c * w.plane + (top + y) * w.line + left
                    for k in range(wide):
                        line[k] = x[b, c, y, k]
            gather(&w, image, &out[b, 0, 0])
    free(image)


# Accumulators to codes

cdef struct Scratch:  # of n values: whole rows of channels
    double *total
    double *bias
    double *factor
    float *short_factor
    int32_t *accumulator
    int32_t *multiplier
    uint32_t *left
    int32_t *right
    int32_t *step
    int8_t *code


cdef int reserve(Scratch *s, Py_ssize_t n) except -1:
    """One block of memory for all arrays; s.total owns it."""
    s.total = <double *>calloc(n, 3 * sizeof(double) + 6 * sizeof(float) + 1)
    if s.total == NULL:
        raise MemoryError("requantize: no memory for one row of channels")
    s.bias = s.total + n
    s.factor = s.total + 2 * n
    s.short_factor = <float *>(s.total + 3 * n)
    s.accumulator = <int32_t *>(s.short_factor + n)
    s.multiplier = s.accumulator + n
    s.left = <uint32_t *>(s.accumulator + 2 * n)
    s.right = s.accumulator + 3 * n
    s.step = s.accumulator + 4 * n
    s.code = <int8_t *>(s.accumulator + 5 * n)
    return 0


cdef void accumulate(const Scratch *s, Py_ssize_t n) noexcept nogil:
    """Rounded sum plus bias, saturated to int32. A sum too large to be rounded like this saturates all the same."""
    cdef Py_ssize_t i
    cdef double a
    for i in range(n):
        a = ((s.total[i] + ROUND) - ROUND) + s.bias[i]
        a = a if a < INT32_HIGH else INT32_HIGH
        a = a if a > INT32_LOW else INT32_LOW
        s.accumulator[i] = <int32_t>a


cdef void scale_half_even(const Scratch *s, Py_ssize_t n, float low, float high) noexcept nogil:
    """A float32 product, rounded half to even. Saturating first gives the same, as the limits are whole."""
    cdef Py_ssize_t i
    cdef float a
    for i in range(n):
        a = <float>s.accumulator[i] * s.short_factor[i]
        a = a if a < high else high
        a = a if a > low else low
        s.step[i] = <int32_t>((a + ROUND_SHORT) - ROUND_SHORT)


cdef void scale_half_away(const Scratch *s, Py_ssize_t n, double low, double high) noexcept nogil:
    """A float64 product, rounded half away from zero."""
    cdef Py_ssize_t i
    cdef double a, rest
    cdef int32_t whole
    for i in range(n):
        a = <double>s.accumulator[i] * s.factor[i]
        a = a if a < high else high
        a = a if a > low else low
        whole = <int32_t>a
        rest = a - <double>whole
        s.step[i] = whole + <int32_t>(rest >= 0.5) - <int32_t>(rest <= -0.5)


cdef void scale_fixed_point(const Scratch *s, Py_ssize_t n) noexcept nogil:
    """fixed_point.multiply_by_quantized. A multiplier is not negative, so the high product needs no saturation, and
    its lower 32 bits are the number."""
    cdef Py_ssize_t i
    cdef int32_t a, mask
    cdef int64_t product
    for i in range(n):
        a = <int32_t>((<uint32_t>s.accumulator[i]) << s.left[i])
        product = <int64_t>a * <int64_t>s.multiplier[i] + (<int64_t>1 << 30)
        a = <int32_t>(<uint32_t>((<uint64_t>product) >> 31))
        mask = <int32_t>(((<uint32_t>1) << s.right[i]) - 1)
        s.step[i] = (a >> s.right[i]) + <int32_t>((a & mask) > ((mask >> 1) + <int32_t>(a < 0)))


cdef void encode(const Scratch *s, Py_ssize_t n, int32_t zero, int32_t low, int32_t high) noexcept nogil:
    """Saturated codes of steps; `low` and `high` are limits of the steps."""
    cdef Py_ssize_t i
    cdef int32_t a
    for i in range(n):
        a = s.step[i]
        a = a if a < high else high
        a = a if a > low else low
        s.code[i] = <int8_t>(a + zero)


cdef void fetch(const Scratch *s, const real *sums, Py_ssize_t rows, Py_ssize_t channels, Py_ssize_t row_step,
                Py_ssize_t channel_step) noexcept nogil:
    cdef Py_ssize_t r, m
    if channel_step == 1 and row_step == channels:
        for m in range(rows * channels):
            s.total[m] = sums[m]
        return
    for r in range(rows):
        for m in range(channels):
            s.total[r * channels + m] = sums[r * row_step + m * channel_step]


cdef void store(const Scratch *s, int8_t *out, Py_ssize_t rows, Py_ssize_t channels, Py_ssize_t row_step,
                Py_ssize_t channel_step) noexcept nogil:
    cdef Py_ssize_t r, m
    if channel_step == 1:
        for r in range(rows):
            for m in range(channels):
                out[r * row_step + m] = s.code[r * channels + m]
        return
    for m in range(channels):
        for r in range(rows):
            out[r * row_step + m * channel_step] = s.code[r * channels + m]


cdef void convert(const Scratch *s, Py_ssize_t n, int rule, int32_t zero, int32_t low, int32_t high) noexcept nogil:
    accumulate(s, n)
    if rule == HALF_EVEN:
        scale_half_even(s, n, <float>(low - zero), <float>(high - zero))
    elif rule == HALF_AWAY:
        scale_half_away(s, n, <double>(low - zero), <double>(high - zero))
    else:
        scale_fixed_point(s, n)
    encode(s, n, zero, low - zero, high - zero)


cdef int repeat(Scratch *s, Py_ssize_t n, const double[::1] bias, const double[::1] factor,
                const int64_t[::1] multiplier, const int64_t[::1] shift) except -1:
    """Numbers of the channels, again and again; the bias may be absent, all others may be one for all channels."""
    cdef Py_ssize_t i, last = factor.shape[0]
    cdef bint gone
    if multiplier.shape[0] != last or shift.shape[0] != last:
        raise ValueError("requantize: factor, multiplier and shift need the same length")
    for i in range(n):
        s.bias[i] = 0 if bias is None else bias[i % bias.shape[0]]
        s.factor[i] = factor[i % last]
        s.short_factor[i] = <float>factor[i % last]
        if not 0 <= multiplier[i % last] < (<int64_t>1 << 31) or shift[i % last] < -31:
            raise ValueError("requantize: a multiplier must be in 0 .. 2^31 - 1, its shift -31 or more")
        gone = shift[i % last] > 31  # all 32 bits are shifted out
        s.multiplier[i] = 0 if gone else <int32_t>multiplier[i % last]
        s.left[i] = 0 if gone else <uint32_t>max(shift[i % last], 0)
        s.right[i] = <int32_t>max(-shift[i % last], 0)
    return 0


def requantize(const real[:, :, :] sums, const double[::1] bias, int8_t[:, :, :] out not None, *, int rule,
               const double[::1] factor not None, const int64_t[::1] multiplier not None,
               const int64_t[::1] shift not None, int zero_point, int low, int high):
    """out[b, p, m] = code of (rint(sums[b, p, m]) + bias[m]) * factor[m] on a grid; all strides are allowed.

    rule: 0 float32 product, half to even; 1 float64 product, half away from zero; 2 multiplier and shift in fixed
    point. factor, multiplier, shift: one number for each channel, or one for all.
    """
    cdef Scratch s
    cdef Py_ssize_t images = sums.shape[0], rows = sums.shape[1], channels = sums.shape[2], b, row, together, count
    cdef Py_ssize_t item = sizeof(real)
    if out.shape[0] != images or out.shape[1] != rows or out.shape[2] != channels:
        raise ValueError("requantize: out needs the shape of sums")
    if (bias is not None and bias.shape[0] != channels) or factor.shape[0] not in (1, channels):
        raise ValueError("requantize: give one bias for each channel, and one factor for each or for all")
    if images == 0 or rows == 0 or channels == 0:
        return
    together = min(max(<Py_ssize_t>1, TOGETHER // channels), rows)
    reserve(&s, together * channels)
    try:
        repeat(&s, together * channels, bias, factor, multiplier, shift)
        with nogil:
            for b in range(images):
                row = 0
                while row < rows:
                    count = min(together, rows - row)
                    fetch(&s, &sums[b, row, 0], count, channels, sums.strides[1] // item, sums.strides[2] // item)
                    convert(&s, count * channels, rule, zero_point, low, high)
                    store(&s, &out[b, row, 0], count, channels, out.strides[1], out.strides[2])
                    row += count
    finally:
        free(s.total)


# Tables

def lookup(const int8_t[::1] codes not None, const int8_t[::1] table not None, int8_t[::1] out not None):
    """out[i] = table[codes[i] + 128]."""
    cdef Py_ssize_t i, n = codes.shape[0]
    if table.shape[0] != 256 or out.shape[0] != n:
        raise ValueError("lookup: the table needs 256 entries, and out the size of codes")
    with nogil:
        for i in range(n):
            out[i] = table[<int32_t>codes[i] + 128]


def lookup_pairs(const int8_t[::1] first not None, const int8_t[::1] second not None,
                 const int8_t[:, ::1] table not None, int8_t[::1] out not None):
    """out[i] = table[first[i] + 128, second[i] + 128]."""
    cdef Py_ssize_t i, n = first.shape[0]
    if table.shape[0] != 256 or table.shape[1] != 256 or second.shape[0] != n or out.shape[0] != n:
        raise ValueError("lookup_pairs: the table needs 256 x 256 entries, and all others one size")
    with nogil:
        for i in range(n):
            out[i] = table[<int32_t>first[i] + 128, <int32_t>second[i] + 128]
