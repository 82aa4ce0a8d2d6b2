"""Integer spiking layers and cores, compiled: exactly `neuroemu.kernels.events_reference`, which is the specification.

Two doors to one arithmetic: `run_layer` runs one layer over a batch of images, `Core` and `Connection` run one core
step by step (for Brian2). The C header holds the loops; here are shapes, bounds and threads. No policy, no defaults of
physics. Array letters: B images, T steps, I inputs, N neurons, E edges, L weights in a row, D slots of the delay ring.
"""

from cython.parallel cimport prange
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t
from libc.stdlib cimport free, malloc

from numpy import arange, asarray, zeros

cdef extern from "_events.h" nogil:
    enum: EV_COUNTS
    enum: EV_SYNAPTIC_OPS, EV_INPUT_SPIKES, EV_OUTPUT_SPIKES, EV_ACTIVE_UPDATES, EV_INACTIVE_UPDATES
    enum: EV_Q_WRAPS, EV_U_WRAPS, EV_V_CLIPS
    enum: EV_DENSE, EV_SCATTER16, EV_SCATTER32
    ctypedef struct ev_layer:
        const int32_t *indptr
        const int32_t *target
        const int32_t *row
        const uint8_t *delay
        const int16_t *weights
        int64_t n_in, length, stride
        int32_t shift, depth, path
        int64_t chunk
        int32_t bytes
        const int32_t *du
        const int32_t *dv
        const int32_t *threshold
        const int32_t *refractory
        int64_t du_mask, dv_mask, threshold_mask, refractory_mask, n
        int32_t has_u, has_v, has_refractory, subtract, q_bits, u_bits, v_limit
    ctypedef struct ev_image:
        const uint8_t *spikes_in
        const int32_t *bias
        int32_t *u
        int32_t *v
        int32_t *counter
        int32_t *ring
        uint8_t *spikes_out
        int32_t *probe_u
        int32_t *probe_v
        int64_t *counts
    ctypedef struct ev_step:
        int16_t *sums
        int32_t *q
        const int32_t *bias
        int64_t bias_mask
        int32_t *u
        int32_t *v
        int32_t *counter
        int32_t *probe_u
        int32_t *probe_v
        uint8_t *spikes
    ctypedef struct ev_tally:
        int64_t spikes, active, q_wraps, u_wraps, v_clips
    int ev_prepare(ev_layer *, int64_t, int64_t, const int16_t *)
    int ev_sums_fit(const ev_layer *, int64_t, const int16_t *)
    void *ev_pack(ev_layer *, int64_t)
    int64_t ev_rows(const ev_layer *, const int32_t *, int64_t, const void **)
    void ev_dense_into(const ev_layer *, const void *const *, int64_t, int, int16_t *, int32_t *)
    void ev_add_rows(const void *const *, int64_t, int64_t, int, int16_t *)
    int ev_run_image(const ev_layer *, const ev_image *, int64_t)
    void ev_scatter32(const ev_layer *, const int32_t *, int64_t, int32_t *, int64_t, int64_t, int)
    int64_t ev_operations(const ev_layer *, const int32_t *, int64_t)
    void ev_update_once(const ev_layer *, const ev_step *, ev_tally *)
    int64_t ev_varies(const int32_t *, int64_t)
    int64_t ev_list(const uint8_t *, int64_t, int32_t *)
    int64_t ev_take_whole(double *, int32_t *, int64_t)

COUNT_NAMES = ("input_spikes", "synaptic_operations", "output_spikes", "active_updates", "inactive_updates",
               "q_wraps", "u_wraps", "v_clips")
_PROBLEMS = ("", "indptr must rise from 0 to the number of edges", "target outside 0..n-L",
             "row outside the weight table", "delay beyond the ring", "weight -32768: use -32767..32767")


cdef int _need(object array, tuple shape, str name) except -1:
    if array is not None and tuple(array.shape) != shape:
        raise ValueError(f"events kernel: {name} has shape {tuple(array.shape)}, needs {shape}")
    return 0


cdef int _connect(ev_layer *layer, const int32_t[::1] indptr, const int32_t[::1] target, const int32_t[::1] row,
                  const uint8_t[::1] delay, const int16_t[:, ::1] weights, int shift, int depth, int64_t n) except -1:
    """Fill and check the connectivity part."""
    cdef int64_t n_edges = target.shape[0]
    cdef int problem
    if indptr.shape[0] < 1 or row.shape[0] != n_edges or (delay is not None and delay.shape[0] != n_edges):
        raise ValueError("events kernel: indptr needs I+1 entries; target, row and delay need one entry an edge")
    if weights.shape[1] < 1 or not 0 <= shift <= 20 or depth < 1:
        raise ValueError("events kernel: L and depth must be 1 or more, shift 0..20")
    layer.indptr = &indptr[0]
    layer.target = &target[0] if n_edges else NULL
    layer.row = &row[0] if n_edges else NULL
    layer.delay = &delay[0] if delay is not None and n_edges else NULL
    layer.weights = &weights[0, 0] if weights.shape[0] else NULL
    layer.n_in, layer.n = indptr.shape[0] - 1, n
    layer.length = layer.stride = weights.shape[1]
    layer.shift, layer.depth = shift, depth
    problem = ev_prepare(layer, n_edges, weights.shape[0], layer.weights)
    if problem:
        raise ValueError(f"events kernel: {_PROBLEMS[problem]}")
    return 0


cdef int _neurons(ev_layer *layer, const int32_t[::1] du, const int32_t[::1] dv, const int32_t[::1] threshold,
                  const int32_t[::1] refractory, bint subtract_reset, int q_bits, int u_bits, int v_limit) except -1:
    """Fill the neuron part; what no neuron has is left out of the loops."""
    cdef int64_t i, n = layer.n
    if min(du.shape[0], dv.shape[0], threshold.shape[0], refractory.shape[0]) != n or n < 1 or max(
            du.shape[0], dv.shape[0], threshold.shape[0], refractory.shape[0]) != n:
        raise ValueError(f"events kernel: du, dv, threshold and refractory need {n} entries, at least one")
    if not (layer.shift <= q_bits <= 29 and 1 <= u_bits <= 29 and 0 < v_limit < 2**29):
        raise ValueError("events kernel: q_bits shift..29, u_bits 1..29, v_limit below 2^29")
    layer.du, layer.dv, layer.threshold, layer.refractory = &du[0], &dv[0], &threshold[0], &refractory[0]
    layer.du_mask, layer.dv_mask = ev_varies(&du[0], n), ev_varies(&dv[0], n)
    layer.threshold_mask, layer.refractory_mask = ev_varies(&threshold[0], n), ev_varies(&refractory[0], n)
    layer.has_u = layer.has_v = layer.has_refractory = 0
    for i in range(n):
        layer.has_u |= du[i] < 4096
        layer.has_v |= dv[i] > 0
        layer.has_refractory |= refractory[i] > 1
    layer.subtract, layer.q_bits, layer.u_bits, layer.v_limit = subtract_reset, q_bits, u_bits, v_limit
    return 0


def run_layer(const uint8_t[:, :, :] spikes_in, *, const int32_t[::1] indptr, const int32_t[::1] target,
              const int32_t[::1] row, const uint8_t[::1] delay=None, const int16_t[:, ::1] weights, int shift=0,
              const int32_t[::1] du, const int32_t[::1] dv, const int32_t[::1] threshold, const int32_t[:, ::1] bias,
              const int32_t[::1] refractory, bint subtract_reset=False, int q_bits, int u_bits, int v_limit,
              uint8_t[:, :, ::1] spikes_out, int64_t[:, ::1] counts, const int32_t[::1] initial_voltage=None,
              int32_t[:, ::1] u=None, int32_t[:, ::1] v=None, int32_t[:, ::1] counter=None,
              int32_t[:, :, ::1] ring=None, int32_t[:, :, ::1] probe_u=None, int32_t[:, :, ::1] probe_v=None,
              int threads=1):
    """Run one layer over a batch; see `neuroemu.kernels.events_reference.run_layer` for the arguments."""
    cdef int64_t b, i, images = spikes_in.shape[0], steps = spikes_in.shape[1], n = spikes_out.shape[2]
    cdef int64_t edges = target.shape[0], shared = bias.shape[0] == 1
    cdef int depth, deepest = 0, fits = 1, failed = 0
    cdef ev_layer layer
    cdef void *packed = NULL
    cdef const int16_t *given
    if delay is not None and ring is None:
        for i in range(delay.shape[0]):
            deepest = max(deepest, delay[i])
        ring = zeros((images, deepest + 1, n), "int32")
    depth = 1 if ring is None else ring.shape[1]
    u = zeros((images, n), "int32") if u is None else u
    counter = zeros((images, n), "int32") if counter is None else counter
    if v is None:
        v = zeros((images, n), "int32")
        if initial_voltage is not None:
            _need(initial_voltage, (n,), "initial_voltage")
            v[:] = initial_voltage
    _need(spikes_out, (images, steps, n), "spikes_out")
    _need(spikes_in, (images, steps, indptr.shape[0] - 1), "spikes_in")
    if steps and indptr.shape[0] > 1 and (spikes_in.strides[2] != 1 or spikes_in.strides[1] != spikes_in.shape[2]):
        raise ValueError("events kernel: the steps of an image in spikes_in must lie one behind the other")
    _need(counts, (images, EV_COUNTS), "counts")
    _need(bias, (1 if shared else images, n), "bias")
    for array, name in ((u, "u"), (v, "v"), (counter, "counter")):
        _need(array, (images, n), name)
    _need(ring, (images, depth, n), "ring")
    for array, name in ((probe_u, "probe_u"), (probe_v, "probe_v")):
        _need(array, (images, steps, n), name)
    _connect(&layer, indptr, target, row, delay, weights, shift, depth, n)
    _neurons(&layer, du, dv, threshold, refractory, subtract_reset, q_bits, u_bits, v_limit)
    for b in range(images):  # a neuron may come in frozen although its own refractory period is 1
        for i in range(n):
            layer.has_refractory |= counter[b, i] > 0
    if ring is not None:  # the fast paths bypass the ring
        layer.path = EV_SCATTER32
    if images == 0 or steps == 0:
        return
    given = layer.weights
    if images * steps * (n + layer.n_in + edges * layer.length // 64) < 4_000_000:
        threads = 1  # about a millisecond: not worth waking threads
    with nogil:
        if layer.path == EV_SCATTER16:
            fits = ev_sums_fit(&layer, edges, given)
            if fits == 0:
                layer.path = EV_SCATTER32
        if fits >= 0 and layer.path == EV_DENSE:
            packed = ev_pack(&layer, weights.shape[0])
            if packed == NULL:
                fits = -1
        if fits >= 0:
            for b in prange(images, schedule="dynamic", num_threads=threads):
                failed += 1 - _image(&layer, b, shared, spikes_in, bias, u, v, counter, ring, spikes_out,
                                     probe_u, probe_v, counts)
        free(packed)
    if fits < 0 or failed:
        raise MemoryError("events kernel: no memory for the scratch arrays")


cdef int _image(const ev_layer *layer, int64_t b, bint shared, const uint8_t[:, :, :] spikes_in,
                const int32_t[:, ::1] bias, int32_t[:, ::1] u, int32_t[:, ::1] v, int32_t[:, ::1] counter,
                int32_t[:, :, ::1] ring, uint8_t[:, :, ::1] spikes_out, int32_t[:, :, ::1] probe_u,
                int32_t[:, :, ::1] probe_v, int64_t[:, ::1] counts) noexcept nogil:
    cdef ev_image image
    image.spikes_in = &spikes_in[b, 0, 0]
    image.bias = &bias[0 if shared else b, 0]
    image.u, image.v, image.counter = &u[b, 0], &v[b, 0], &counter[b, 0]
    image.ring = &ring[b, 0, 0] if ring is not None else NULL
    image.spikes_out = &spikes_out[b, 0, 0]
    image.probe_u = &probe_u[b, 0, 0] if probe_u is not None else NULL
    image.probe_v = &probe_v[b, 0, 0] if probe_v is not None else NULL
    image.counts = &counts[b, 0]
    return ev_run_image(layer, &image, spikes_in.shape[1])


def add_rows(const int16_t[:, ::1] weights, const int32_t[::1] chosen):
    """Sums (N,) modulo 2^16 of the chosen rows (R,) of weights (I, N), again and again the same row where it is listed
    so: the inner loop of a dense layer and nothing else, which benchmarks take for its bound."""
    cdef int64_t k, n_in = weights.shape[0], n = weights.shape[1], count = chosen.shape[0]
    cdef ev_layer layer
    cdef void *packed
    cdef const void **rows
    every = arange(n_in + 1, dtype="int32")
    cdef const int32_t[::1] indptr = every, row = every[:n_in], target = zeros(n_in, "int32")
    for k in range(count):
        if not 0 <= chosen[k] < n_in:
            raise ValueError("events kernel: a chosen row outside the weight table")
    _connect(&layer, indptr, target, row, None, weights, 0, 1, n)
    packed = ev_pack(&layer, n_in)
    rows = <const void **> malloc((count + 1) * sizeof(void *))
    if packed == NULL or rows == NULL:
        free(packed)
        free(rows)
        raise MemoryError("events kernel: no memory for the scratch arrays")
    cdef int16_t[::1] sums = zeros(layer.stride, "int16")
    with nogil:
        ev_rows(&layer, &chosen[0], count, rows)
        ev_add_rows(rows, count, layer.stride, layer.bytes, &sums[0])
        free(packed)
        free(rows)
    return asarray(sums)[:n]


cdef class Connection:
    """Block rows prepared once, for delivery into the ring of one core; arguments as in `run_layer`.

    `lag` is a delay of all edges, in place of one for each. The core may stand for `copies` of n neurons, one behind the
    other, and the source for as many of I inputs; with `spread` the source is one of I inputs, for all copies.
    """

    cdef ev_layer layer
    cdef object keep
    cdef void *packed
    cdef const void **rows
    cdef int32_t[::1] events
    cdef int16_t[::1] sums
    cdef int64_t copies
    cdef int lag
    cdef bint spread
    cdef readonly int depth  # slots that a ring needs at least
    cdef readonly int64_t n_in, n

    def __init__(self, *, const int32_t[::1] indptr, const int32_t[::1] target, const int32_t[::1] row,
                 const uint8_t[::1] delay=None, const int16_t[:, ::1] weights, int shift, int n, int depth, int lag=0,
                 int copies=1, bint spread=False):
        if not 0 <= lag < depth or (lag and delay is not None) or copies < 1:
            raise ValueError("events kernel: lag 0..depth-1 and no delay beside it, copies 1 or more")
        _connect(&self.layer, indptr, target, row, delay, weights, shift, depth, n)
        self.keep = (indptr, target, row, delay, weights)
        self.depth, self.n, self.n_in = lag + 1 if delay is None else max(delay) + 1, n, self.layer.n_in
        self.lag, self.copies, self.spread = lag, copies, spread
        self.events = zeros(self.n_in + 1, "int32")
        if self.layer.path == EV_DENSE:
            free(self.packed)
            free(self.rows)
            self.packed = ev_pack(&self.layer, weights.shape[0])
            self.rows = <const void **> malloc((self.n_in + 1) * sizeof(void *))
            if self.packed == NULL or self.rows == NULL:
                raise MemoryError("events kernel: no memory for the packed weights")
        self.sums = zeros(self.layer.stride, "int16")

    def __dealloc__(self):
        free(self.packed)
        free(self.rows)

    def deliver(self, const int32_t[::1] spikespace, int32_t[:, ::1] ring, int head, int first, int64_t[::1] counts):
        """Add the rows of the spiking inputs to ring slots (head + delay) % D and count them.

        `spikespace` holds the indices of the spiking neurons and, last, their number; the inputs are the neurons
        first .. first + copies * I - 1, others are skipped.
        """
        cdef int64_t k, one, copy, found = 0, current = 0, n_spikes = spikespace[spikespace.shape[0] - 1]
        cdef int64_t n_in = self.n_in, most = n_in if self.spread else n_in * self.copies
        if (ring.shape[0] < self.depth or ring.shape[1] != self.n * self.copies or not 0 <= head < ring.shape[0]
                or n_spikes >= spikespace.shape[0] or counts.shape[0] != EV_COUNTS):
            raise ValueError("events kernel: ring, spikes or counts do not belong to this connection")
        self.layer.depth = ring.shape[0]
        head = (head + self.lag) % self.layer.depth
        for k in range(n_spikes):
            one = spikespace[k] - first
            if not 0 <= one < most:
                continue
            if found == n_in or not 0 <= one - current * n_in < n_in:
                self._add(current, found, ring, head, counts)
                found, current = 0, one // n_in
            self.events[found] = <int32_t> (one - current * n_in)
            found += 1
        if not self.spread:
            self._add(current, found, ring, head, counts)
            return
        for copy in range(self.copies):
            self._add(copy, found, ring, head, counts)

    cdef void _add(self, int64_t copy, int64_t found, int32_t[:, ::1] ring, int head, int64_t[::1] counts) noexcept:
        """The first `found` events into one copy."""
        cdef int64_t n_rows
        if found == 0:
            return
        counts[EV_INPUT_SPIKES] += found
        if self.packed != NULL:
            n_rows = ev_rows(&self.layer, &self.events[0], found, self.rows)
            ev_dense_into(&self.layer, self.rows, n_rows, self.layer.shift, &self.sums[0], &ring[head, copy * self.n])
            counts[EV_SYNAPTIC_OPS] += n_rows * self.layer.length
            return
        ev_scatter32(&self.layer, &self.events[0], found, &ring[0, copy * self.n], self.n * self.copies, head, 1)
        counts[EV_SYNAPTIC_OPS] += ev_operations(&self.layer, &self.events[0], found)


cdef class Core:
    """One core that is stepped from outside: arrays (N,) as in `run_layer`, changed in place by each step.

    `ring` (D, N) is in units of v; `extra` (N) is input from elsewhere, whole numbers that a step consumes;
    `spikespace` (N + 1) receives the indices of the spiking neurons and, last, their number; `counts` (8) is added to.
    """

    cdef ev_layer layer
    cdef ev_step arrays
    cdef object keep
    cdef int32_t[:, ::1] ring
    cdef double[::1] extra
    cdef uint8_t[::1] fired
    cdef int32_t[::1] spikespace
    cdef int64_t[::1] counts

    def __init__(self, *, int32_t[:, ::1] ring, double[::1] extra, int32_t[::1] u, int32_t[::1] v,
                 int32_t[::1] counter, const int32_t[::1] du, const int32_t[::1] dv, const int32_t[::1] threshold,
                 const int32_t[::1] bias, const int32_t[::1] refractory, bint subtract_reset, int q_bits, int u_bits,
                 int v_limit, int32_t[::1] spikespace, int64_t[::1] counts):
        cdef int64_t n = u.shape[0]
        for array, name in ((v, "v"), (counter, "counter"), (bias, "bias"), (extra, "extra")):
            _need(array, (n,), name)
        _need(ring, (ring.shape[0], n), "ring")
        _need(spikespace, (n + 1,), "spikespace")
        _need(counts, (EV_COUNTS,), "counts")
        self.layer.n, self.layer.shift = n, 0
        _neurons(&self.layer, du, dv, threshold, refractory, subtract_reset, q_bits, u_bits, v_limit)
        self.ring, self.extra, self.spikespace, self.counts = ring, extra, spikespace, counts
        self.fired = zeros(n, "uint8")
        self.keep = (u, v, counter, du, dv, threshold, bias, refractory)
        self.arrays.sums, self.arrays.bias, self.arrays.bias_mask = NULL, &bias[0], -1
        self.arrays.u, self.arrays.v, self.arrays.counter = &u[0], &v[0], &counter[0]
        self.arrays.probe_u, self.arrays.probe_v, self.arrays.spikes = NULL, NULL, &self.fired[0]

    def step(self, int head):
        """Consume ring slot `head` and `extra`, update, list the spikes.

        Returns how many entries of `extra` were no whole numbers within int32; they are dropped, the caller raises.
        """
        cdef ev_tally tally
        cdef int64_t bad, n = self.layer.n
        if not 0 <= head < self.ring.shape[0]:
            raise ValueError("events kernel: head outside the ring")
        bad = ev_take_whole(&self.extra[0], &self.ring[head, 0], n)
        self.arrays.q = &self.ring[head, 0]
        tally.spikes = tally.active = tally.q_wraps = tally.u_wraps = tally.v_clips = 0
        ev_update_once(&self.layer, &self.arrays, &tally)
        self.spikespace[n] = <int32_t> ev_list(&self.fired[0], n, &self.spikespace[0])
        self.counts[EV_OUTPUT_SPIKES] += tally.spikes
        self.counts[EV_ACTIVE_UPDATES] += tally.active
        self.counts[EV_INACTIVE_UPDATES] += n - tally.active
        self.counts[EV_Q_WRAPS] += tally.q_wraps
        self.counts[EV_U_WRAPS] += tally.u_wraps
        self.counts[EV_V_CLIPS] += tally.v_clips
        return bad
