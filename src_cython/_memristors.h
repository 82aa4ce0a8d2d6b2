/* Arrays of memristors: the step-size control, and the loops over devices and time. See memristors_reference.py. */
#ifndef NEUROEMU_MEMRISTORS_H
#define NEUROEMU_MEMRISTORS_H

#include "_memristors_models.h"

#define MM_SUBSTEPS 20000 /* more than this in one step is an error */
#define MM_BLOCK 256      /* devices that go through time together */

MM_INLINE mm_d mm_rate(int model, const double *p, const mm_drive *drive, mm_d x)
{
    if (model == MM_YAKOPCIC) return mm_yakopcic_rate(drive, x);
    if (model == MM_STANFORD_PKU) return mm_stanford_rate(p, drive, x);
    return mm_drift_rate(model, p, drive, x);
}

MM_INLINE mm_drive mm_prepare(int model, const double *p, mm_d v)
{
    if (model == MM_YAKOPCIC) return mm_yakopcic_drive(p, v);
    mm_drive drive = {v, model == MM_STANFORD_PKU ? p[2] * mm_sinh(v / p[4]) : mm_drift_strength(p, v)};
    return drive;
}

/* One attempt of Dormand and Prince's 5(4) pair from x with slope k[0]; leaves the new slope in k[6]. */
MM_INLINE mm_d mm_attempt(int model, const double *p, const mm_drive *drive, mm_d x, mm_d h, mm_d k[7], mm_d *error)
{
    const double low = p[0], high = p[1];
#define MM_STAGE(to, sum) k[to] = mm_rate(model, p, drive, mm_clip(x + h * (sum), low, high))
    MM_STAGE(1, (1.0 / 5) * k[0]);
    MM_STAGE(2, (3.0 / 40) * k[0] + (9.0 / 40) * k[1]);
    MM_STAGE(3, (44.0 / 45) * k[0] - (56.0 / 15) * k[1] + (32.0 / 9) * k[2]);
    MM_STAGE(4, (19372.0 / 6561) * k[0] - (25360.0 / 2187) * k[1] + (64448.0 / 6561) * k[2] - (212.0 / 729) * k[3]);
    MM_STAGE(5, (9017.0 / 3168) * k[0] - (355.0 / 33) * k[1] + (46732.0 / 5247) * k[2] + (49.0 / 176) * k[3]
                    - (5103.0 / 18656) * k[4]);
#undef MM_STAGE
    mm_d y = mm_clip(x + h * ((35.0 / 384) * k[0] + (500.0 / 1113) * k[2] + (125.0 / 192) * k[3]
                              - (2187.0 / 6784) * k[4] + (11.0 / 84) * k[5]), low, high);
    k[6] = mm_rate(model, p, drive, y);
    *error = mm_abs(h * ((71.0 / 57600) * k[0] - (71.0 / 16695) * k[2] + (71.0 / 1920) * k[3]
                         - (17253.0 / 339200) * k[4] + (22.0 / 525) * k[5] - (1.0 / 40) * k[6]));
    return y;
}

/* Each lane has its own step size, so a device does not feel its neighbours. Returns the lanes that did not finish. */
MM_INLINE mm_i mm_integrate(int model, const double *p, mm_d *state, mm_d v, mm_d dt)
{
    const double low = p[0], high = p[1], range = high - low;
    const mm_drive drive = mm_prepare(model, p, v);
    mm_d x = *state, k[7], error, left = dt;
    k[0] = mm_rate(model, p, &drive, x);
    mm_d h = mm_min(left, 0.1 * range / mm_max(mm_abs(k[0]), mm_all(1e-300)));
    mm_i moving = left > 0.0;
    for (int count = 0;; count++) {
        mm_i resting = ((x <= low) & (k[0] <= 0.0)) | ((x >= high) & (k[0] >= 0.0)) | (k[0] == 0.0);
        moving &= ~resting & (left > 0.0);
        if (!mm_any(moving) || count == MM_SUBSTEPS) break;
        mm_d y = mm_attempt(model, p, &drive, x, h, k, &error);
        mm_d limit = mm_clip(1e-6 * mm_abs(y - x), 1e-14 * range, 1e-11 * range);
        mm_i good = error <= limit, taken = good & moving;
        x = mm_select(taken, y, x);
        k[0] = mm_select(taken, k[6], k[0]);
        left = mm_select(taken, left - h, left);
        h = mm_select(good, mm_select(error < limit * (1.0 / 64), 2.0 * h, h), 0.5 * h);
        h = mm_min(h, left);
    }
    *state = x;
    return moving;
}

/* Whether a model goes in substeps; the others have a closed solution. */
MM_INLINE int mm_integrated(int model)
{
    return model == MM_YAKOPCIC || model == MM_STANFORD_PKU || (model > MM_DRIFT_FREE && model < MM_VTEAM);
}

MM_INLINE mm_i mm_step(int model, const double *p, mm_d *state, mm_d v, mm_d dt, mm_d relaxed)
{
    mm_d x = *state, y;
    switch (model) {
    case MM_DRIFT_FREE: y = mm_drift_flow(p, x, v, dt); break;
    case MM_VTEAM: y = mm_vteam_flow(p, x, v, dt); break;
    case MM_DATA_DRIVEN_2017: y = mm_data_2017_flow(p, x, v, dt); break;
    case MM_DATA_DRIVEN_2021: y = mm_data_2021_flow(p, x, v, dt); break;
    case MM_KNOWM_MMS: y = mm_knowm_flow(p, x, v, dt); break;
    case MM_UMICH: y = mm_umich_flow(p, x, v, relaxed); break;
    default: return mm_integrate(model, p, state, v, dt);
    }
    *state = mm_clip(y, p[0], p[1]);
    return (mm_i){0};
}

/* A block of arrays: T rows of voltages, T + 1 rows of states (the first is given), T rows of currents. A NULL `after`
   asks for currents only, NULL `currents` for states only. A step lasts `durations` of each device, or `dt` for all
   where that is NULL. */
typedef struct {
    double p[MM_PARAMETERS];
    double dt, relaxed;
    const double *durations;
    int64_t devices, steps, voltage_row, voltage_column; /* strides of the voltage; 0: the same for all */
    const double *voltage, *before;
    double *after, *currents;
} mm_job;

/* (1 - exp(-rate dt)) / rate of UMich; `job->relaxed` where all devices have one dt. */
MM_INLINE mm_d mm_relaxed(int model, const double *p, const mm_job *job, mm_d dt)
{
    if (model != MM_UMICH || !job->durations) return mm_all(job->relaxed);
    return p[8] > 0.0 ? -mm_expm1(-p[8] * dt) / p[8] : dt;
}

MM_INLINE mm_i mm_lanes(int model, const double *p, const mm_job *job, const double *before, const double *voltage,
                        const double *duration, double *after, double *currents)
{
    mm_d x = mm_load(before), v = job->voltage_column ? mm_load(voltage) : mm_all(*voltage);
    mm_i failed = {0};
    if (currents) mm_store(currents, mm_current(model, p, x, v));
    if (after) {
        mm_d dt = job->durations ? mm_load(duration) : mm_all(job->dt);
        failed = mm_step(model, p, &x, v, dt, mm_relaxed(model, p, job, dt));
        mm_store(after, x);
    }
    return failed;
}

/* The devices behind the last full vector, through copies; lanes without a device repeat the last one. */
MM_INLINE int mm_tail(int model, const double *p, const mm_job *job, const double *before, const double *voltage,
                      const double *duration, double *after, double *currents, int64_t count)
{
    double x[MM_LANES], v[MM_LANES], y[MM_LANES], i[MM_LANES], dt[MM_LANES];
    for (int k = 0; k < MM_LANES; k++) {
        int64_t from = k < count ? k : count - 1;
        x[k] = before[from];
        v[k] = voltage[from * job->voltage_column];
        dt[k] = job->durations ? duration[from] : job->dt;
    }
    int failed = mm_any(mm_lanes(model, p, job, x, v, dt, after ? y : NULL, currents ? i : NULL));
    if (after) memcpy(after, y, (size_t)count * sizeof(double));
    if (currents) memcpy(currents, i, (size_t)count * sizeof(double));
    return failed;
}

MM_INLINE int64_t mm_block_of(int model, const mm_job *job, int64_t first, int64_t last)
{
    double p[MM_PARAMETERS]; /* a copy: the stores below cannot change it */
    memcpy(p, job->p, sizeof p);
    for (int64_t t = 0; t < job->steps; t++) {
        const double *before = t ? job->after + (t - 1) * job->devices : job->before;
        const double *voltage = job->voltage + t * job->voltage_row;
        double *after = job->after ? job->after + t * job->devices : NULL;
        double *currents = job->currents ? job->currents + t * job->devices : NULL;
        const double *duration = job->durations ? job->durations : &job->dt;
        int64_t i = first, column = job->voltage_column, spread = job->durations != NULL;
        mm_i failed = {0};
        for (; i + MM_LANES <= last; i += MM_LANES)
            failed |= mm_lanes(model, p, job, before + i, voltage + i * column, duration + i * spread,
                               after ? after + i : NULL, currents ? currents + i : NULL);
        if (mm_any(failed) || (i < last && mm_tail(model, p, job, before + i, voltage + i * column,
                                                   duration + i * spread, after ? after + i : NULL,
                                                   currents ? currents + i : NULL, last - i)))
            return t;
    }
    return -1;
}

/* Devices first .. last - 1 through all steps. Returns the step in which one did not finish, or -1. */
static int64_t mm_block(int model, const mm_job *job, int64_t first, int64_t last)
{
    switch (model) {
#define MM_CASE(name) case name: return mm_block_of(name, job, first, last)
    MM_CASE(MM_DRIFT_FREE);
    MM_CASE(MM_DRIFT_JOGLEKAR);
    MM_CASE(MM_DRIFT_BIOLEK);
    MM_CASE(MM_DRIFT_PRODROMAKIS);
    MM_CASE(MM_VTEAM);
    MM_CASE(MM_YAKOPCIC);
    MM_CASE(MM_STANFORD_PKU);
    MM_CASE(MM_DATA_DRIVEN_2017);
    MM_CASE(MM_DATA_DRIVEN_2021);
    MM_CASE(MM_KNOWM_MMS);
    default: return mm_block_of(MM_UMICH, job, first, last);
#undef MM_CASE
    }
}
#endif
