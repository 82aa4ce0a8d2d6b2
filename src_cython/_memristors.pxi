"""Dynamic memristors, compiled: exactly `neuroemu.kernels.memristors_reference`, which is the specification.

The C headers hold the models and the loops; here are shapes, bounds and threads. No policy, no defaults of physics.
Array letters: T steps, N devices. A voltage array with one column drives all devices alike.
"""

from cython.parallel cimport prange
from libc.math cimport expm1
from libc.stdint cimport int64_t
from libc.string cimport memset

cdef extern from "_memristors.h" nogil:
    enum: MM_PARAMETERS, MM_MODELS, MM_BLOCK, MM_SUBSTEPS
    ctypedef struct mm_job:
        double p[MM_PARAMETERS]
        double dt, relaxed
        const double *durations
        int64_t devices, steps, voltage_row, voltage_column
        const double *voltage
        const double *before
        double *after
        double *currents
    int mm_integrated(int)
    int64_t mm_block(int, const mm_job *, int64_t, int64_t)


cdef int _prepare(mm_job *job, int model, const double[::1] parameters, const double[::1] before,
                  const double[:, ::1] voltage, double dt) except -1:
    cdef int64_t i, n = before.shape[0], columns = voltage.shape[1]
    if not 0 <= model < MM_MODELS or parameters.shape[0] > MM_PARAMETERS or parameters.shape[0] < 2:
        raise ValueError(f"memristors kernel: model {model} with {parameters.shape[0]} parameters is unknown")
    if columns != 1 and columns != n:
        raise ValueError(f"memristors kernel: voltage has {columns} columns for {n} devices; give 1 or {n}")
    memset(job, 0, sizeof(mm_job))
    for i in range(parameters.shape[0]):
        job.p[i] = parameters[i]
    job.dt = job.relaxed = dt
    if model == MM_MODELS - 1 and parameters[8] > 0:  # UMich: one relaxation for all devices
        job.relaxed = -expm1(-parameters[8] * dt) / parameters[8]
    job.devices, job.steps = n, voltage.shape[0]
    job.voltage_row, job.voltage_column = columns, columns == n and n > 1
    if n and voltage.shape[0]:
        job.voltage, job.before = &voltage[0, 0], &before[0]
    return 0


cdef int64_t _run(int model, const mm_job *job, int threads) noexcept nogil:
    """All devices through all steps, in blocks. Returns how many blocks did not finish."""
    cdef int64_t b, failed = 0, blocks = (job.devices + MM_BLOCK - 1) // MM_BLOCK
    if job.devices * job.steps < (20_000 if mm_integrated(model) else 300_000):
        threads = 1  # about a millisecond: not worth waking threads
    for b in prange(blocks, schedule="dynamic", num_threads=threads):
        failed += mm_block(model, job, b * MM_BLOCK, min((b + 1) * MM_BLOCK, job.devices)) >= 0
    return failed


def current(int model, const double[::1] parameters, const double[::1] state, const double[:, ::1] voltage,
            double[:, ::1] out, *, int threads=1):
    """Currents (1, N) of the states (N) under voltage (1, N or 1)."""
    cdef mm_job job
    _prepare(&job, model, parameters, state, voltage, 0.0)
    if out.shape[0] != 1 or voltage.shape[0] != 1 or out.shape[1] != state.shape[0]:
        raise ValueError("memristors kernel: current needs one row of voltages and of results")
    if state.shape[0]:
        job.currents = &out[0, 0]
        with nogil:
            _run(model, &job, threads)


def step(int model, const double[::1] parameters, const double[::1] state, const double[:, ::1] voltage, double dt,
         double[:, ::1] states, double[:, ::1] currents=None, *, const double[::1] durations=None, int threads=1):
    """States (T, N) after each of the T steps, and the currents (T, N) at their start if wanted.

    A step lasts dt, or where given `durations` (N,) of each device.
    Returns how many blocks of devices hold one that needs more than MM_SUBSTEPS substeps.
    """
    cdef mm_job job
    cdef int64_t failed = 0, steps = voltage.shape[0], n = state.shape[0]
    _prepare(&job, model, parameters, state, voltage, dt)
    if states.shape[0] != steps or states.shape[1] != n:
        raise ValueError("memristors kernel: states need one row a step and one column a device")
    if currents is not None and (currents.shape[0] != steps or currents.shape[1] != n):
        raise ValueError("memristors kernel: currents need one row a step and one column a device")
    if durations is not None and durations.shape[0] != n:
        raise ValueError("memristors kernel: durations need one number a device")
    if n and steps:
        job.durations = &durations[0] if durations is not None else NULL
        job.after = &states[0, 0]
        job.currents = &currents[0, 0] if currents is not None else NULL
        with nogil:
            failed = _run(model, &job, threads)
    return failed
