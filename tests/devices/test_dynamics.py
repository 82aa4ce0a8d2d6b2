"""Dynamic memristors against closed forms, an independent solver, the published windows, and the peers' defects."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from neuroemu.devices import dynamics as dy
from neuroemu.errors import InputError

ALL = {
    "free": dy.ION_DRIFT_HP,
    "joglekar": dy.ION_DRIFT_JOGLEKAR,
    "biolek": dy.ION_DRIFT_BIOLEK,
    "prodromakis": replace(dy.ION_DRIFT_HP, window=dy.Prodromakis(5.0, 1.1)),
    "vteam": dy.VTEAM,
    "yakopcic_a": dy.YAKOPCIC_A,
    "yakopcic_b": dy.YAKOPCIC_B,
    "stanford": dy.STANFORD_PKU,
    "data_2017": dy.DATA_DRIVEN_2017,
    "data_2021": dy.DATA_DRIVEN_2021,
    "knowm": dy.KNOWM_MMS,
    "umich": dy.UMICH,
    "volatile": dy.UMICH_VOLATILE,
}
KT = 1.380649e-23 / 1.602176634e-19


def middles(periods, steps, amplitude=1.0):
    return amplitude * np.sin(2 * np.pi * (np.arange(int(periods * steps)) + 0.5) / steps)


# ---- closed forms


def test_ion_drift_follows_the_charge():
    """x = x0 + k q, and R = R0 - (r_off - r_on) k q: HP's charge-controlled memristance."""
    model, steps = dy.ION_DRIFT_HP, 20_000
    dt = 1 / steps
    voltage = middles(0.4, steps, 1.2)
    currents, states = dy.simulate(model, voltage, dt, model.initial_state())
    charge = np.cumsum((currents + model.current(states[1:], voltage)) / 2 * dt)  # trapezia of each held voltage
    k = 1e-14 * 100 / (10e-9) ** 2
    assert states[-1] > 0.3
    np.testing.assert_allclose(states[1:], 0.1 + k * charge, atol=1e-10)


def test_ion_drift_under_a_sine_is_exact():
    """R^2 = R0^2 - 2 (r_off - r_on) k flux, flux = (V / omega) (1 - cos omega t)."""
    model, steps, frequency = dy.ION_DRIFT_HP, 4000, 1.0
    _, states = dy.simulate(model, middles(1, steps), 1 / frequency / steps, model.initial_state())
    t = np.arange(steps + 1) / steps
    omega = 2 * np.pi * frequency
    before = 100 * 0.1 + 16e3 * 0.9
    resistance = np.sqrt(before**2 - 2 * 15.9e3 * model.drift * (1 - np.cos(omega * t)) / omega)
    np.testing.assert_allclose(states, (16e3 - resistance) / 15.9e3, atol=1e-7)  # the middles: second order
    # A held voltage has no error but rounding, however long it is held.
    one = model.step(0.1, 1.0, 0.3)
    assert one == pytest.approx((16e3 - np.sqrt(before**2 - 2 * 15.9e3 * model.drift * 0.3)) / 15.9e3, rel=1e-14)
    assert model.step(0.1, 1.0, 1e6) == 1.0 and model.step(0.1, -1.0, 1e6) == 0.0


def test_vteam_moves_linearly_in_time_beyond_its_thresholds():
    x = dy.VTEAM.step(1e-9, np.array([0.02, 0.1, 0.019, -0.199, -0.2, -0.5, 0.0]), 1e-13)
    moved = np.array([0.0, 5e-4 * 4, 0, 0, 0, -10 * 1.5**3, 0]) * 1e-13
    np.testing.assert_allclose(x, 1e-9 + moved, rtol=1e-14)
    times = np.array([1.0, 2.0, 5.0])
    np.testing.assert_allclose(
        [dy.VTEAM.step(1e-9, 1.0, t * 1e-9) for t in times], 1e-9 + 5e-4 * 49 * times * 1e-9, rtol=1e-13
    )
    assert dy.VTEAM.step(1e-9, -1.0, 1.0) == 0.0 and dy.VTEAM.step(1e-9, 1.0, 1.0) == 3e-9
    assert replace(dy.VTEAM, a_off=2.5).step(1e-9, 0.1, 1e-9) == pytest.approx(1e-9 + 5e-13 * 4**2.5, rel=1e-13)


@pytest.mark.parametrize("voltage, t", [(1.5, 3e-5), (0.7, 3e-5), (-0.9, 1e-3), (-1.1, 1e-4)])
def test_data_driven_2017_published_resistance_over_time(voltage, t):
    """The logarithms of arXiv:1703.01167 as printed there: not the form that the kernel evaluates."""
    before = 9000.0
    if voltage > 0:
        k, s, r = 5.11e-4, 743.47 * (np.exp(6.51 * voltage) - 1), 16719.0
        expected = np.log(np.exp(k * r) + np.exp(-k * s * t) * (np.exp(k * before) - np.exp(k * r))) / k
    else:
        k, s, r = 1.17e-3, -68012.28374 * (np.exp(0.31645 * -voltage) - 1), 29304.82557 + 23692.77225 * voltage
        inner = np.exp(-k * before + k * s * t) - np.exp(-k * r) * (np.exp(k * s * t) - 1)
        expected = -np.log(inner) / k
    if voltage == -0.9:
        assert dy.DATA_DRIVEN_2017.step(7000.0, voltage, t) == 7000.0  # already beyond the reach of this voltage
    assert abs(expected - before) > 10
    assert dy.DATA_DRIVEN_2017.step(before, voltage, t) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("voltage, before", [(1.2, 2700.0), (-1.2, 1700.0)])
def test_data_driven_2021_published_resistance_over_time(voltage, before):
    """R = (R0 + s r (r - R0) t) / (1 + s (r - R0) t), as the source writes it."""
    a, tau, (r0, r1) = (600.10075, -0.0212028, (2699.2336, -672.930205))
    if voltage < 0:
        a, tau, (r0, r1) = (-34.5988399, -0.05343997, (649.413746, -1474.32358))
    s, r, t = a * (np.exp(abs(voltage) / tau) - 1), r0 + r1 * voltage, 1e-6
    expected = (before + s * r * (r - before) * t) / (1 + s * (r - before) * t)
    assert abs(expected - before) > 10
    assert dy.DATA_DRIVEN_2021.step(before, voltage, t) == pytest.approx(expected, rel=1e-12)


def test_knowm_goes_to_its_steady_state():
    voltage = np.linspace(-0.5, 0.5, 11)
    thermal = KT * 298.5
    on = 1 / (1 + np.exp(-(voltage - 0.27) / thermal))
    off = 1 - 1 / (1 + np.exp(-(voltage + 0.27) / thermal))
    np.testing.assert_allclose(dy.KNOWM_MMS.step(0.3, voltage, 1e3), on / (on + off), rtol=1e-10, atol=1e-16)
    half = dy.KNOWM_MMS.step(0.3, 0.0, np.log(2) / (on + off)[5] * 1e-4)
    assert half == pytest.approx(0.5 * (0.3 + 0.5), rel=1e-10)


def test_umich_memory_fades_exponentially():
    times = np.array([0.1, 1.0, 5.0])
    faded = [dy.UMICH_VOLATILE.step(0.8, 0.0, t) for t in times]
    np.testing.assert_allclose(faded, 0.8 * np.exp(-4.5 * times / 10), rtol=1e-13)
    assert dy.UMICH.step(0.8, 0.0, 1e6) == 0.8
    assert dy.UMICH.step(0.0, 1.0, 1.0) == pytest.approx(4.5 * 0.004 * np.sinh(4.0), rel=1e-13)
    assert dy.UMICH_VOLATILE.step(0.5, -2.0, 10.0) == 0.0  # held at its bound, not beyond


def test_stanford_gap_stops_where_the_field_is_too_low():
    """gamma(gap) |V| / t_ox = f_min: 1.1053 V starts to move a gap of 1 nm, -1.3 V opens it to 1.567 nm."""
    pku = dy.STANFORD_PKU
    edge = 1.4e9 * 12e-9 / (16 - 0.8)
    assert pku.step(1e-9, edge * 0.9999, 1.0) == 1e-9 and pku.step(1e-9, edge * 1.0001, 1.0) < 0.99e-9
    stop = ((16 - 1.4e9 * 12e-9 / 1.3) / 0.8) ** (1 / 3) * 1e-9
    assert pku.step(1e-9, -1.3, 1.0) == pytest.approx(stop, rel=1e-9)


# ---- an independent solver: each equation written anew, in the paper's form


def drift(window):
    return lambda m, x, v: m.drift * v / (m.r_on * x + m.r_off * (1 - x)) * window(x, v)


def yakopcic(m, x, v):
    g = 4000 * (np.exp(v) - np.exp(m.v_p)) if v > m.v_p else 0.0
    g = -4000 * (np.exp(-v) - np.exp(m.v_n)) if v < -m.v_n else g
    if v >= 0:
        return g * (np.exp(-(x - 0.3)) * ((0.3 - x) / 0.7 + 1) if x >= 0.3 else 1.0)
    return g * (np.exp(5 * (x + 0.5 - 1)) * x / 0.5 if x <= 0.5 else 1.0)


def stanford(m, gap, v):
    current = 1e-3 * np.exp(-gap / 0.25e-9) * np.sinh(v / 0.25)
    kt = KT * (298 + abs(v * current) * 2.1e3)
    gamma = 16 - 0.8 * (gap / 1e-9) ** 3
    gamma = gamma if gamma * abs(v) / 12e-9 >= 1.4e9 else 0.0
    return -10 * np.exp(-0.6 / kt) * np.sinh(gamma * 0.25 / 12 * v / kt)


def data_2017(m, r, v):
    if v > 0:
        return 743.47 * (np.exp(6.51 * v) - 1) * max(np.exp(5.11e-4 * (16719 - r)) - 1, 0)
    edge = 29304.82557 + 23692.77225 * v
    return -68012.28374 * (np.exp(-0.31645 * v) - 1) * max(np.exp(1.17e-3 * (r - edge)) - 1, 0)


# model, start as a share of the range, voltage, seconds: chosen so that the state moves far and over its kinks
SOLVED = {
    "joglekar": (drift(lambda x, v: 1 - (2 * x - 1) ** 14), [(0.1, 1, 1.0), (0.01, 1.5, 4.0), (0.9, -1, 0.3)]),
    "biolek": (drift(lambda x, v: 1 - (x - (v < 0)) ** 14), [(0.0, 1, 0.02), (0.9, -1, 0.02), (1.0, -0.7, 0.03)]),
    "prodromakis": (
        drift(lambda x, v: 1.1 * (1 - ((x - 0.5) ** 2 + 0.75) ** 5)),
        [(0.05, 1, 2.0), (0.7, -1, 1.0), (1e-3, 1, 6.0)],
    ),
    "yakopcic_a": (yakopcic, [(0.11, 0.5, 5e-4), (0.9, -0.5, 1e-3), (0.5, 0.2, 1e-2)]),
    "yakopcic_b": (yakopcic, [(0.11, 1.0, 1e-3), (0.9, -1.0, 1e-3)]),
    "stanford": (stanford, [(0.9, 1.3, 1e-7), (0.5, 1.4, 1e-8), (0.0, -1.3, 1e-8)]),
    "data_2017": (data_2017, [(0.2, 1.5, 2e-5), (0.8, -1.0, 1e-2)]),
    "knowm": (
        lambda m, x, v: (
            1e4 * ((1 - x) / (1 + np.exp((0.27 - v) / KT / 298.5)) - x / (1 + np.exp((v + 0.27) / KT / 298.5)))
        ),
        [(0.2, 0.3, 1e-4), (0.9, -0.25, 2e-4)],
    ),
    "volatile": (
        lambda m, x, v: 4.5 * (0.004 * np.sinh(4 * v) - x / 10),
        [(0.2, 1.0, 1.0), (0.9, -0.5, 1.0)],
    ),
}


@pytest.mark.parametrize("name", SOLVED)
def test_a_held_voltage_agrees_with_an_independent_solver(name):
    rate, cases = SOLVED[name]
    model = ALL[name]
    low, high = model.state_range
    for share, voltage, seconds in cases:
        start = low + share * (high - low)
        solved = solve_ivp(
            lambda t, x: [rate(model, low + (high - low) * x[0], voltage) / (high - low)],  # noqa: B023
            *((0, seconds), [share]),
            **{"method": "DOP853", "rtol": 1e-12, "atol": 1e-13, "max_step": seconds / 400},
        )
        expected = min(max(solved.y[0, -1], 0.0), 1.0)
        assert abs(expected - share) > 0.02, "the case shows nothing"
        got = (model.step(start, voltage, seconds) - low) / (high - low)
        assert got == pytest.approx(expected, abs=2e-9), (share, voltage)


# ---- windows


def test_windows_at_the_bounds_and_between():
    joglekar, prodromakis, biolek = dy.Joglekar(2), dy.Prodromakis(7.0, 1.5), dy.Biolek(3)
    ends, current = np.array([0.0, 1.0]), np.array([1.0, -1.0])
    assert not joglekar.value(ends, current).any() and not prodromakis.value(ends, current).any()
    assert biolek.value(1.0, 1e-6) == 0 and biolek.value(0.0, 1e-6) == 1
    assert biolek.value(0.0, -1e-6) == 0 and biolek.value(1.0, -1e-6) == 1
    assert joglekar.value(0.25, 1) == 1 - 0.5**4 and biolek.value(0.5, -1) == 1 - 0.5**6
    assert prodromakis.value(0.5, 1) == pytest.approx(1.5 * (1 - 0.75**7), rel=1e-15)
    assert dy.NoWindow().value(0.3, 1.0) == 1


@pytest.mark.parametrize("window", [dy.Joglekar(1), dy.Joglekar(7), dy.Biolek(2), dy.Prodromakis(0.7, 2.0)], ids=str)
def test_the_step_uses_the_window_as_written(window):
    """A short step divided by the free rate is the window's value; the two are written apart."""
    model = replace(dy.ION_DRIFT_BIOLEK, window=window)
    x = np.linspace(0, 1, 41)
    for voltage in (0.5, -0.5):
        rate = (model.step(x, voltage, 1e-9) - x) / 1e-9
        free = model.drift * model.current(x, voltage)
        np.testing.assert_allclose(rate / free, window.value(x, voltage), atol=3e-6)


# ---- defects of other packages


def test_joglekar_is_zero_at_the_bound_where_a_peer_has_four():
    assert dy.Joglekar(1).value(0.0, 1.0) == 0 and (1 - (2 * 0.0 - 1)) ** 2 == 4  # the misplaced bracket
    assert dy.Prodromakis(1.0).value(0.0, 1.0) == 0  # the peer has 1.5
    stuck = replace(dy.ION_DRIFT_HP, window=dy.Joglekar(1))
    assert stuck.step(0.0, 1.0, 10.0) == 0 and stuck.step(1.0, -1.0, 10.0) == 1


@pytest.mark.parametrize("name", ALL)
def test_a_set_conductance_is_what_is_read(name):
    """A peer's x is inverted: 1 / r_on set, 6.25e-5 S read; another's gap is not updated."""
    model = ALL[name]
    for voltage in (0.1, -0.1):
        ends = model.conductance(np.array(model.state_range), voltage)
        wanted = np.linspace(*ends, 7)
        np.testing.assert_allclose(model.conductance(model.state_for(wanted, voltage), voltage), wanted, rtol=1e-12)
    with pytest.raises(InputError, match="outside"):
        model.state_for(np.array([wanted[3], 1.001 * ends.max()]))


def test_on_and_off_resistances_are_where_they_belong():
    hp = dy.ION_DRIFT_HP
    assert hp.state_for(1 / 100) == 1.0 and hp.conductance(1.0) == pytest.approx(1e-2, rel=1e-15)
    assert hp.state_for(1 / 16e3) == 0.0 and dy.VTEAM.state_for(1 / 1e3) == 3e-9
    pku = dy.STANFORD_PKU
    assert pku.state_for(1 / 542) == pku.state_range[0] and pku.state_for(1 / 218586) == pku.state_range[1]
    assert pku.state_for(1e-4) == pytest.approx(0.25e-9 * np.log(1e-3 * np.sinh(0.4) / 1e-5), rel=1e-12)
    assert pku.conductance(pku.state_range[0]) == pytest.approx(1 / 542, rel=1e-12)
