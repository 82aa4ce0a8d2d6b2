/* The memristor models: current, rate of the state, or its exact flow under a voltage that is held.

   Parameters come as a flat array; low and high are the range of the state. The order of the others is that of
   `neuroemu.kernels.memristors_reference`, which says in words what is computed here.
*/
#ifndef NEUROEMU_MEMRISTORS_MODELS_H
#define NEUROEMU_MEMRISTORS_MODELS_H

#include "_memristors_math.h"

#define MM_PARAMETERS 20
#define MM_NAME(index, name) const double name = p[index]

enum {
    MM_DRIFT_FREE, MM_DRIFT_JOGLEKAR, MM_DRIFT_BIOLEK, MM_DRIFT_PRODROMAKIS, MM_VTEAM, MM_YAKOPCIC, MM_STANFORD_PKU,
    MM_DATA_DRIVEN_2017, MM_DATA_DRIVEN_2021, MM_KNOWM_MMS, MM_UMICH, MM_MODELS
};

/* What of a rate depends on the voltage alone: computed once a step. The last four are Yakopcic's: sign * x +
   edge is the depth into the zone where motion slows, alpha how fast it slows, room one over that zone's width. */
typedef struct { mm_d voltage, strength, sign, edge, alpha, room; } mm_drive;

/* k V outside the thresholds, else 0. */
MM_INLINE mm_d mm_drift_strength(const double *p, mm_d v)
{
    MM_NAME(4, k); MM_NAME(5, v_negative); MM_NAME(6, v_positive);
    return mm_select((v >= v_positive) | (v <= v_negative), k * v, mm_all(0.0));
}

MM_INLINE mm_d mm_drift_window(int model, const double *p, mm_d v, mm_d x)
{
    MM_NAME(7, exponent); MM_NAME(8, height);
    if (model == MM_DRIFT_JOGLEKAR) return mm_lost(4.0 * x * (1.0 - x), exponent);
    if (model == MM_DRIFT_BIOLEK) return mm_lost(mm_select(v < 0.0, x, 1.0 - x), 2.0 * exponent);
    return height * mm_lost(x * (1.0 - x), exponent);
}

MM_INLINE mm_d mm_drift_rate(int model, const double *p, const mm_drive *drive, mm_d x)
{
    MM_NAME(2, r_on); MM_NAME(3, r_off);
    return drive->strength / (r_on * x + r_off * (1.0 - x)) * mm_drift_window(model, p, drive->voltage, x);
}

/* R falls as R^2 = R0^2 - 2 (Roff - Ron) k V dt; written so that a small move keeps its digits. */
MM_INLINE mm_d mm_drift_flow(const double *p, mm_d x, mm_d v, mm_d dt)
{
    MM_NAME(2, r_on); MM_NAME(3, r_off);
    mm_d before = r_on * x + r_off * (1.0 - x), flux = mm_drift_strength(p, v) * dt;
    mm_d square = before * before - 2.0 * (r_off - r_on) * flux;
    mm_d after = mm_sqrt(mm_max(square, mm_all(r_on * r_on)));
    return mm_select(square < r_on * r_on, mm_all(1.0), x + 2.0 * flux / (before + after));
}

MM_INLINE mm_d mm_vteam_flow(const double *p, mm_d x, mm_d v, mm_d dt)
{
    MM_NAME(4, v_on); MM_NAME(5, v_off); MM_NAME(6, k_on); MM_NAME(7, k_off); MM_NAME(8, a_on); MM_NAME(9, a_off);
    mm_d off = mm_max(v / v_off - 1.0, mm_all(0.0)), on = mm_max(v / v_on - 1.0, mm_all(0.0));
    mm_d rate = mm_select(v >= v_off, k_off * mm_power(off, a_off), mm_all(0.0));
    return x + dt * mm_select(v <= v_on, k_on * mm_power(on, a_on), rate);
}

MM_INLINE mm_d mm_yakopcic_strength(const double *p, mm_d v)
{
    MM_NAME(5, v_p); MM_NAME(6, v_n); MM_NAME(7, rate_p); MM_NAME(8, rate_n); MM_NAME(13, eta);
    mm_i up = v > v_p, down = v < -v_n;
    mm_d above = mm_expm1(mm_select(up, v - v_p, -v - v_n)); /* e^V - e^Vp = e^Vp (e^(V - Vp) - 1) */
    mm_d factor = mm_select(up, mm_all(eta * rate_p), mm_all(-eta * rate_n));
    return mm_select(up | down, factor * above, mm_all(0.0));
}

MM_INLINE mm_drive mm_yakopcic_drive(const double *p, mm_d v)
{
    MM_NAME(9, x_p); MM_NAME(10, x_n); MM_NAME(11, alpha_p); MM_NAME(12, alpha_n); MM_NAME(13, eta);
    mm_i up = eta * v >= 0.0;
    mm_drive drive = {v, mm_yakopcic_strength(p, v)};
    drive.sign = mm_select(up, mm_all(1.0), mm_all(-1.0));
    drive.edge = mm_select(up, mm_all(-x_p), mm_all(1.0 - x_n));
    drive.alpha = mm_select(up, mm_all(-alpha_p), mm_all(-alpha_n));
    drive.room = mm_select(up, mm_all(1.0 / (1.0 - x_p)), mm_all(1.0 / (1.0 - x_n)));
    return drive;
}

MM_INLINE mm_d mm_yakopcic_rate(const mm_drive *drive, mm_d x)
{
    mm_d depth = drive->sign * x + drive->edge, left = 0.5 + drive->sign * (0.5 - x); /* to 1, or to 0 */
    return drive->strength * mm_select(depth >= 0.0, mm_exp(drive->alpha * depth) * (left * drive->room), mm_all(1.0));
}

MM_INLINE mm_d mm_stanford_rate(const double *p, const mm_drive *drive, mm_d x)
{
    MM_NAME(3, g_0); MM_NAME(5, t_0); MM_NAME(6, r_th); MM_NAME(7, gamma_0); MM_NAME(8, beta); MM_NAME(9, a_0);
    MM_NAME(10, t_ox); MM_NAME(11, f_min); MM_NAME(12, velocity); MM_NAME(13, e_a); MM_NAME(14, k_q);
    mm_d v = drive->voltage, gap = x * 1e9;
    mm_d current = drive->strength * mm_exp(-x / g_0);
    mm_d thermal = k_q * (t_0 + mm_abs(v * current) * r_th); /* kT / q, volts */
    mm_d gamma = gamma_0 - beta * gap * gap * gap;
    mm_d rate = -velocity * mm_exp(-e_a / thermal) * mm_sinh(gamma * (a_0 / t_ox) * v / thermal);
    return mm_select(gamma * mm_abs(v) / t_ox < f_min, mm_all(0.0), rate);
}

MM_INLINE mm_d mm_data_2017_flow(const double *p, mm_d r, mm_d v, mm_d dt)
{
    MM_NAME(6, a_p); MM_NAME(7, a_n); MM_NAME(8, t_p); MM_NAME(9, t_n); MM_NAME(10, k_p); MM_NAME(11, k_n);
    MM_NAME(12, p0); MM_NAME(13, p1); MM_NAME(14, n0); MM_NAME(15, n1);
    mm_i up = v > 0.0;
    mm_d k = mm_select(up, mm_all(k_p), mm_all(k_n)), sign = mm_select(up, mm_all(1.0), mm_all(-1.0));
    mm_d speed = mm_select(up, mm_all(a_p), mm_all(-a_n)) * mm_expm1(mm_select(up, t_p * v, -t_n * v));
    mm_d edge = mm_select(up, p0 + p1 * v, n0 + n1 * v), left = sign * (edge - r);
    mm_d moved = mm_log1p(-mm_expm1(-k * speed * dt) * mm_expm1(mm_max(k * left, mm_all(0.0)))) / k;
    return mm_select((left > 0.0) & (v != 0.0), r + sign * moved, r);
}

MM_INLINE mm_d mm_data_2021_flow(const double *p, mm_d r, mm_d v, mm_d dt)
{
    MM_NAME(6, a_p); MM_NAME(7, a_n); MM_NAME(8, t_p); MM_NAME(9, t_n);
    MM_NAME(10, p0); MM_NAME(11, p1); MM_NAME(12, n0); MM_NAME(13, n1);
    mm_i up = v > 0.0;
    mm_d speed = mm_select(up, mm_all(a_p), mm_all(a_n)) * mm_expm1(mm_select(up, v / t_p, -v / t_n));
    mm_d left = mm_select(up, p0 + p1 * v, n0 + n1 * v) - r, turn = mm_max(speed * left, mm_all(0.0)) * dt;
    return r + left * (turn / (1.0 + turn));
}

MM_INLINE mm_d mm_knowm_flow(const double *p, mm_d x, mm_d v, mm_d dt)
{
    MM_NAME(4, v_on); MM_NAME(5, v_off); MM_NAME(6, tau); MM_NAME(7, thermal);
    const double inverse = 1.0 / thermal;
    mm_d a = mm_exp((v_on - v) * inverse), b = mm_exp((v + v_off) * inverse); /* on = 1 / (1 + a), off = 1 / (1 + b) */
    mm_d both = 2.0 + a + b;
    return x + (x - (1.0 + b) / both) * mm_expm1(both / ((1.0 + a) * (1.0 + b)) * (-dt / tau));
}

/* `relaxed` is (1 - exp(-rate dt)) / rate. */
MM_INLINE mm_d mm_umich_flow(const double *p, mm_d x, mm_d v, mm_d relaxed)
{
    MM_NAME(6, lambda_eta); MM_NAME(7, eta_2); MM_NAME(8, rate);
    return x + (lambda_eta * mm_sinh(eta_2 * v) - rate * x) * relaxed;
}

MM_INLINE mm_d mm_current(int model, const double *p, mm_d x, mm_d v)
{
    if (model <= MM_DRIFT_PRODROMAKIS) return v / (p[2] * x + p[3] * (1.0 - x));
    if (model == MM_VTEAM) return v / (p[2] + (p[3] - p[2]) * ((x - p[0]) / (p[1] - p[0])));
    if (model == MM_YAKOPCIC) return mm_select(v >= 0.0, mm_all(p[2]), mm_all(p[3])) * x * mm_sinh(p[4] * v);
    if (model == MM_STANFORD_PKU) return p[2] * mm_sinh(v / p[4]) * mm_exp(-x / p[3]);
    if (model == MM_DATA_DRIVEN_2017 || model == MM_DATA_DRIVEN_2021) {
        mm_i up = v > 0.0;
        return mm_select(up, mm_all(p[2]), mm_all(p[3])) / x * mm_sinh(mm_select(up, p[4] * v, p[5] * v));
    }
    if (model == MM_KNOWM_MMS) return v * (x / p[2] + (1.0 - x) / p[3]);
    return (x - 1.0) * p[2] * mm_expm1(-p[3] * v) + x * p[4] * mm_sinh(p[5] * v);
}
#endif
