"""NumPy twin of the memristors kernel: the specification, model by model.

In: a model's number, its parameters in the order unpacked below, states and voltages. Out: currents and new states.
A voltage is held during a step. Where the equation has a closed solution under a held voltage, that is the step;
elsewhere `integrate` goes in substeps under error control. Each device goes by its own steps: no result depends on
its neighbours. The papers are named in `neuroemu.devices.dynamics`.

Array letters: T steps, N devices.
"""

import enum

import numpy as np

MAX_SUBSTEPS = 20_000


class Model(enum.IntEnum):
    """The numbers by which the kernel knows the models."""

    DRIFT_FREE = 0
    DRIFT_JOGLEKAR = 1
    DRIFT_BIOLEK = 2
    DRIFT_PRODROMAKIS = 3
    VTEAM = 4
    YAKOPCIC = 5
    STANFORD_PKU = 6
    DATA_DRIVEN_2017 = 7
    DATA_DRIVEN_2021 = 8
    KNOWM_MMS = 9
    UMICH = 10


# ---- rates: (parameters, voltage) -> function of the state; the state is then integrated


def _lost(u, exponent):
    """1 - (1 - u)^exponent, with all its digits where u is small: there a state leaves its bound."""
    return -np.expm1(exponent * np.log1p(-np.minimum(u, 1 - 2.0**-53)))


def _window(model, x, v, exponent, height):
    if model == Model.DRIFT_JOGLEKAR:  # 1 - (2 x - 1)^(2 p)
        return _lost(4 * x * (1 - x), exponent)
    if model == Model.DRIFT_BIOLEK:  # 1 - (x - stp(-i))^(2 p); the current has the sign of the voltage
        return _lost(np.where(v < 0, x, 1 - x), 2 * exponent)
    return height * _lost(x * (1 - x), exponent)  # j (1 - [(x - 1/2)^2 + 3/4]^p)


def _drift_rate(model, parameters, v):
    _, _, r_on, r_off, k, v_negative, v_positive, exponent, height = parameters
    drive = np.where((v >= v_positive) | (v <= v_negative), k * v, 0.0)
    return lambda x: drive / (r_on * x + r_off * (1 - x)) * _window(model, x, v, exponent, height)


def _yakopcic_rate(model, parameters, v):
    _, _, _, _, _, v_p, v_n, rate_p, rate_n, x_p, x_n, alpha_p, alpha_n, eta = parameters  # rate_p: A_p e^V_p
    strength = np.where(v > v_p, rate_p * np.expm1(v - v_p), np.where(v < -v_n, -rate_n * np.expm1(-v - v_n), 0.0))

    def rate(x):
        up = np.exp(-alpha_p * np.maximum(x - x_p, 0)) * np.where(x >= x_p, (1 - x) / (1 - x_p), 1.0)
        down = np.exp(alpha_n * np.minimum(x + x_n - 1, 0)) * np.where(x <= 1 - x_n, x / (1 - x_n), 1.0)
        return eta * strength * np.where(eta * v >= 0, up, down)

    return rate


def _stanford_rate(model, parameters, v):
    _, _, i_0, g_0, v_0, t_0, r_th, gamma_0, beta, a_0, t_ox, f_min, velocity, e_a, k_q = parameters
    strength = i_0 * np.sinh(v / v_0)

    def rate(gap):
        thermal = k_q * (t_0 + np.abs(v * strength * np.exp(-gap / g_0)) * r_th)  # kT / q, volts
        gamma = gamma_0 - beta * (gap * 1e9) ** 3
        moving = gamma * np.abs(v) / t_ox >= f_min
        return np.where(moving, -velocity * np.exp(-e_a / thermal) * np.sinh(gamma * a_0 / t_ox * v / thermal), 0.0)

    return rate


# ---- flows: the state after dt under a held voltage, in closed form


def _drift_flow(p, x, v, dt):
    _, _, r_on, r_off, k, v_negative, v_positive = p[:7]
    before = r_on * x + r_off * (1 - x)
    flux = np.where((v >= v_positive) | (v <= v_negative), k * v, 0.0) * dt
    square = before**2 - 2 * (r_off - r_on) * flux
    after = np.sqrt(np.maximum(square, r_on**2))
    return np.where(square < r_on**2, 1.0, x + 2 * flux / (before + after))


def _vteam_flow(p, x, v, dt):
    _, _, _, _, v_on, v_off, k_on, k_off, a_on, a_off = p
    off = k_off * np.maximum(v / v_off - 1, 0) ** a_off
    on = k_on * np.maximum(v / v_on - 1, 0) ** a_on
    return x + dt * np.where(v >= v_off, off, np.where(v <= v_on, on, 0.0))


def _data_2017_flow(p, r, v, dt):
    _, _, _, _, _, _, a_p, a_n, t_p, t_n, k_p, k_n, p0, p1, n0, n1 = p
    up = v > 0
    k, sign = np.where(up, k_p, k_n), np.where(up, 1.0, -1.0)
    speed = np.where(up, a_p, -a_n) * np.expm1(np.where(up, t_p, t_n) * np.abs(v))
    left = sign * (np.where(up, p0 + p1 * v, n0 + n1 * v) - r)  # ohms to go
    moved = np.log1p(-np.expm1(-k * speed * dt) * np.expm1(np.maximum(k * left, 0))) / k
    return np.where((left > 0) & (v != 0), r + sign * moved, r)


def _data_2021_flow(p, r, v, dt):
    _, _, _, _, _, _, a_p, a_n, t_p, t_n, p0, p1, n0, n1 = p
    up = v > 0
    speed = np.where(up, a_p, a_n) * np.expm1(np.abs(v) / np.where(up, t_p, t_n))
    left = np.where(up, p0 + p1 * v, n0 + n1 * v) - r
    turn = np.maximum(speed * left, 0) * dt
    return r + left * (turn / (1 + turn))


def _knowm_flow(p, x, v, dt):
    _, _, _, _, v_on, v_off, tau, thermal = p
    on, off = 1 / (1 + np.exp((v_on - v) / thermal)), 1 / (1 + np.exp((v + v_off) / thermal))
    return x + (x - on / (on + off)) * np.expm1(-(on + off) * dt / tau)


def _umich_flow(p, x, v, dt):
    _, _, _, _, _, _, lambda_eta, eta_2, rate = p
    relaxed = -np.expm1(-rate * dt) / rate if rate > 0 else dt
    return x + (lambda_eta * np.sinh(eta_2 * v) - rate * x) * relaxed


FLOWS = {
    Model.DRIFT_FREE: _drift_flow,
    Model.VTEAM: _vteam_flow,
    Model.DATA_DRIVEN_2017: _data_2017_flow,
    Model.DATA_DRIVEN_2021: _data_2021_flow,
    Model.KNOWM_MMS: _knowm_flow,
    Model.UMICH: _umich_flow,
}
RATES = {
    Model.DRIFT_JOGLEKAR: _drift_rate,
    Model.DRIFT_BIOLEK: _drift_rate,
    Model.DRIFT_PRODROMAKIS: _drift_rate,
    Model.YAKOPCIC: _yakopcic_rate,
    Model.STANFORD_PKU: _stanford_rate,
}


# ---- currents


def _current(model, p, x, v):
    if model <= Model.DRIFT_PRODROMAKIS:
        return v / (p[2] * x + p[3] * (1 - x))
    if model == Model.VTEAM:
        return v / (p[2] + (p[3] - p[2]) * (x - p[0]) / (p[1] - p[0]))
    if model == Model.YAKOPCIC:
        return np.where(v >= 0, p[2], p[3]) * x * np.sinh(p[4] * v)
    if model == Model.STANFORD_PKU:
        return p[2] * np.exp(-x / p[3]) * np.sinh(v / p[4])
    if model in (Model.DATA_DRIVEN_2017, Model.DATA_DRIVEN_2021):
        return np.where(v > 0, p[2], p[3]) / x * np.sinh(np.where(v > 0, p[4], p[5]) * v)
    if model == Model.KNOWM_MMS:
        return v * (x / p[2] + (1 - x) / p[3])
    return (1 - x) * p[2] * -np.expm1(-p[3] * v) + x * p[4] * np.sinh(p[5] * v)


# ---- the step-size control

# Dormand and Prince, J. Comput. Appl. Math. 6, 19 (1980), doi:10.1016/0771-050X(80)90013-3.
STAGES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
ERROR = (71 / 57600, 0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)


def _attempt(rate, x, h, slope, low, high):
    """One substep: new state, its slope, and the estimated error. States stay in their range at every stage."""
    slopes = [slope]
    for weights in STAGES:
        y = np.clip(x + h * sum(w * k for w, k in zip(weights, slopes, strict=True)), low, high)
        slopes.append(rate(y))
    return y, slopes[-1], np.abs(h * sum(w * k for w, k in zip(ERROR, slopes, strict=True)))


def integrate(rate, x, dt, low, high):
    """dx/dt = rate(x) over dt, x held within [low, high]; returns the states and whether each device finished.

    A substep is taken if its estimated error is below 1e-6 of the move itself, though not below 1e-14 nor above 1e-11
    of the range. The bound by the move keeps the digits of a state that leaves a bound slowly. The first substep
    moves by at most a tenth of the range; then steps halve and double. A device rests at a bound that its rate points
    out of, and where the rate is 0.
    """
    span = high - low
    left, slope = np.full(x.shape, dt, np.float64), rate(x)
    h = np.minimum(left, 0.1 * span / np.maximum(np.abs(slope), 1e-300))
    for count in range(MAX_SUBSTEPS + 1):
        resting = ((x <= low) & (slope <= 0)) | ((x >= high) & (slope >= 0)) | (slope == 0)
        moving = ~resting & (left > 0)
        if not moving.any() or count == MAX_SUBSTEPS:
            break
        y, slope_y, error = _attempt(rate, x, h, slope, low, high)
        limit = np.clip(1e-6 * np.abs(y - x), 1e-14 * span, 1e-11 * span)
        good = error <= limit
        x, slope = np.where(good & moving, y, x), np.where(good & moving, slope_y, slope)
        left = np.where(good & moving, left - h, left)
        h = np.minimum(np.where(good, np.where(error < limit / 64, 2 * h, h), h / 2), left)
    return x, ~moving


# ---- the kernel's two functions


def current(model, parameters, state, voltage, out, *, threads=1):
    """Fill `out` (1, N) with the currents of `state` (N,) under `voltage` (1, N or 1)."""
    out[:] = _current(Model(model), tuple(parameters), np.asarray(state), np.asarray(voltage))


def step(model, parameters, state, voltage, dt, states, currents=None, *, durations=None, threads=1):
    """Fill `states` (T, N) with the states after each step, `currents` (T, N) with the currents at its start.

    Parameters
    ----------
    model : int
        One of `Model`.
    parameters : float64 (P,)
        The range of the state, low and high, then the model's own, in the order in which this module unpacks them.
    state : float64 (N,)
        Within [low, high].
    voltage : float64 (T, N) or (T, 1), volts
        Held during each step; one column drives all devices.
    dt : float, seconds
        Length of each step.
    durations : float64 (N,), seconds, optional
        Length of each step for each device, in place of dt.

    Returns
    -------
    int
        Zero if every device finished every step within MAX_SUBSTEPS substeps.
    """
    model, parameters, x, failed = Model(model), tuple(parameters), np.array(state), 0
    low, high = parameters[:2]
    dt = dt if durations is None else durations
    for t, v in enumerate(np.asarray(voltage)):
        v = np.broadcast_to(v, x.shape)
        if currents is not None:
            currents[t] = _current(model, parameters, x, v)
        if model in FLOWS:
            x = np.clip(FLOWS[model](parameters, x, v, dt), low, high)
        else:
            x, finished = integrate(RATES[model](model, parameters, v), x, dt, low, high)
            failed += not finished.all()
        states[t] = x
    return failed
