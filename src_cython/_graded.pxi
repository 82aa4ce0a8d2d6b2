"""Graded messages, compiled: exactly `neuroemu.kernels.graded_reference`, which is the specification.

The C header holds the loops; here are shapes, bounds and threads. Array letters: M lines of messages (images x steps),
I inputs, N neurons, E edges, L weights in a row.
"""

from cython.parallel cimport prange
from libc.stdint cimport int16_t, int32_t, int64_t

cdef extern from "_graded.h" nogil:
    ctypedef struct gr_layer:
        const int32_t *indptr
        const int32_t *target
        const int32_t *row
        const int16_t *weights
        int64_t n_in, length, n
        int32_t dense
    int gr_prepare(gr_layer *, int64_t, int64_t)
    int gr_line(const gr_layer *, const int32_t *, int32_t *)

_PROBLEMS = ("", "indptr must rise from 0 to the number of edges", "target outside 0..n-L",
             "row outside the weight table")


def add_messages(const int32_t[:, ::1] payload, *, const int32_t[::1] indptr, const int32_t[::1] target,
                 const int32_t[::1] row, const int16_t[:, ::1] weights, int32_t[:, ::1] sums, int threads=1):
    """Add messages to the sums of their targets; see `neuroemu.kernels.graded_reference.add_messages`."""
    cdef gr_layer layer
    cdef int64_t m, lines = payload.shape[0], edges = target.shape[0]
    cdef int problem, failed = 0
    if payload.shape[1] != indptr.shape[0] - 1 or row.shape[0] != edges or sums.shape[0] != lines:
        raise ValueError("graded kernel: payload needs (M, I), indptr I+1, target and row E, sums (M, N)")
    if weights.shape[1] < 1 or sums.shape[1] < weights.shape[1]:
        raise ValueError("graded kernel: a row of weights must have 1..N entries")
    if lines == 0 or edges == 0:
        return
    layer.indptr, layer.target, layer.row = &indptr[0], &target[0], &row[0]
    layer.weights = &weights[0, 0] if weights.shape[0] else NULL
    layer.n_in, layer.length, layer.n = payload.shape[1], weights.shape[1], sums.shape[1]
    problem = gr_prepare(&layer, edges, weights.shape[0])
    if problem:
        raise ValueError(f"graded kernel: {_PROBLEMS[problem]}")
    if lines * (layer.n_in + edges * layer.length // 16) < 1_000_000:
        threads = 1  # about a millisecond: not worth waking threads
    for m in prange(lines, nogil=True, schedule="dynamic", num_threads=threads):
        failed += 1 - gr_line(&layer, &payload[m, 0], &sums[m, 0])
    if failed:
        raise MemoryError("graded kernel: no memory for the lists of messages")
