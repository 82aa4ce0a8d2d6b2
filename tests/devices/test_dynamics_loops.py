"""Dynamic memristors in use: hysteresis loops, order of convergence, arrays, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from neuroemu.devices import dynamics as dy
from neuroemu.errors import ArgumentTypeError, InputError

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


def starts(periods, steps, amplitude=1.0):
    """A sine as it is at the start of each step; `steps` in a period."""
    return amplitude * np.sin(2 * np.pi * np.arange(int(periods * steps)) / steps)


def middles(periods, steps, amplitude=1.0):
    return amplitude * np.sin(2 * np.pi * (np.arange(int(periods * steps)) + 0.5) / steps)


# volts, hertz: as in the gallery
LOOPS = {
    "free": (1.0, 0.6),
    "joglekar": (1.0, 15.0),
    "biolek": (1.0, 12.0),
    "prodromakis": (1.5, 0.5),
    "vteam": (1.0, 5e6),
    "yakopcic_a": (0.45, 100.0),
    "yakopcic_b": (1.0, 100.0),
    "stanford": (1.5, 1e5),
    "data_2017": (1.5, 1e3),
    "data_2021": (1.5, 1e4),
    "knowm": (0.5, 100.0),
    "umich": (1.0, 1.0),
    "volatile": (1.0, 1.0),
}


@pytest.mark.parametrize("name", ALL)
def test_the_loop_is_pinched_and_open(name):
    model, (amplitude, frequency), steps = ALL[name], LOOPS[name], 4000
    voltage = starts(2, steps, amplitude)
    voltage[[0, steps // 2, steps, 3 * steps // 2]] = 0.0
    currents, states = dy.simulate(model, voltage, 1 / frequency / steps, model.initial_state(), largest_move=1)
    assert not currents[voltage == 0].any() and not model.current(states, 0.0).any()
    assert (currents * voltage >= 0).all()  # passive
    low, high = model.state_range
    assert states.min() >= low and states.max() <= high and np.ptp(states) > 0.01 * (high - low)
    up, down = currents[steps + 300], currents[steps + steps // 2 - 300]  # the same voltage twice in the second period
    assert abs(up - down) > 0.01 * max(abs(up), abs(down)), "no hysteresis"


@pytest.mark.parametrize("name", ["free", "joglekar", "biolek", "umich"])
def test_lobes_shrink_with_frequency(name):
    model, (amplitude, frequency), steps = ALL[name], LOOPS[name], 2000
    areas = []
    for factor in (3, 30, 300):
        voltage = middles(0.5, steps, amplitude)
        currents, _ = dy.simulate(model, voltage, 1 / frequency / factor / steps, model.initial_state())
        areas.append(abs(np.trapezoid(currents, voltage)))
    assert areas[1] < 0.4 * areas[0]
    assert areas[2] == pytest.approx(areas[1] / 10, rel=0.1)  # at high frequency as 1 / f


# ---- time


@pytest.mark.parametrize("sampled, order", [(starts, 1), (middles, 2)])
@pytest.mark.parametrize("name", ["free", "biolek", "knowm", "umich"])
def test_order_of_convergence_under_a_smooth_wave(name, sampled, order):
    model, (amplitude, frequency) = ALL[name], LOOPS[name]
    ends = []
    for steps in (400, 800, 1600):
        voltage = sampled(0.4, steps, amplitude)
        ends.append(dy.simulate(model, voltage, 0.5 / frequency / steps, model.initial_state())[1][-1])
    assert abs((ends[1] - ends[0]) / (ends[2] - ends[1])) == pytest.approx(2**order, rel=0.06)


@pytest.mark.parametrize("name", ALL)
def test_a_held_voltage_is_the_same_in_one_piece_or_many(name):
    model, (amplitude, frequency) = ALL[name], LOOPS[name]
    low, high = model.state_range
    start = low + np.linspace(0.05, 0.95, 9) * (high - low)
    for voltage in (amplitude, -amplitude):
        whole = model.step(start, voltage, 0.1 / frequency)
        pieces = start
        for _ in range(7):
            pieces = model.step(pieces, voltage, 0.1 / frequency / 7)
        np.testing.assert_allclose(pieces, whole, rtol=0, atol=2e-9 * (high - low))


def test_arrays_of_devices_are_devices():
    """Rows driven apart, all cells of (R, C) at once: each cell as it would be alone; a run continues from its end."""
    model, rng = dy.YAKOPCIC_B, np.random.default_rng(0)
    state, voltage = rng.random((3, 5)), rng.uniform(-1, 1, (20, 3, 1))
    currents, states = dy.simulate(model, voltage, 1e-5, state)
    assert currents.shape == (20, 3, 5) and states.shape == (21, 3, 5)
    alone = dy.simulate(model, voltage[:, 2, 0], 1e-5, state[2, 4])
    np.testing.assert_array_equal(alone[0], currents[:, 2, 4])
    np.testing.assert_array_equal(alone[1], states[:, 2, 4])
    second = dy.simulate(model, voltage[8:], 1e-5, states[8])
    np.testing.assert_array_equal(second[1], states[8:])
    by_column = dy.simulate(model, np.broadcast_to(voltage[:, :1, 0], (20, 5)), 1e-5, state)
    np.testing.assert_array_equal(by_column[1][:, 0], states[:, 0])  # (T, C): the last axes line up
    np.testing.assert_array_equal(model.step(state, voltage[0], 1e-5, threads=2), states[1])
    np.testing.assert_array_equal(model.current(state, voltage[0]), currents[0])


# ---- errors


def test_a_loop_that_is_sampled_too_coarsely_is_refused():
    with pytest.raises(InputError, match=r"in step \d+ a state moves by .* lower dt"):
        dy.simulate(dy.VTEAM, starts(2, 200), 1e-9, dy.VTEAM.initial_state())
    dy.simulate(dy.VTEAM, starts(2, 2000), 1e-10, dy.VTEAM.initial_state())
    dy.simulate(dy.VTEAM, starts(2, 200), 1e-9, dy.VTEAM.initial_state(), largest_move=1)
    with pytest.raises(InputError, match="too coarse"), np.errstate(all="ignore"):
        replace(dy.ION_DRIFT_JOGLEKAR, mobility=1e300).step(0.5, 1e10, 1.0)


@pytest.mark.parametrize(
    "wrong, match",
    [
        (lambda: dy.VTEAM.step(4e-9, 0.1, 1e-9), "state 4e-09 at index"),
        (lambda: dy.KNOWM_MMS.current(0.5, np.array([0.1, np.nan])), "NaN"),
        (lambda: dy.KNOWM_MMS.step(0.5, 0.1, -1.0), "dt is -1.0"),
        (lambda: dy.KNOWM_MMS.step(np.zeros(3), np.zeros(2), 1.0), "do not fit"),
        (lambda: dy.UMICH.current(0.5, 1000.0), "overflows"),
        (lambda: dy.UMICH.conductance(0.5, 0.0), "other than 0"),
        (lambda: dy.UMICH.initial_state((-1,)), "shape"),
        (lambda: dy.simulate(dy.UMICH, 1.0, 1.0, 0.0), "first axis is time"),
        (lambda: dy.simulate(dy.UMICH, np.zeros(3), 1.0, 0.0, largest_move=2), "largest_move"),
        (lambda: replace(dy.ION_DRIFT_HP, r_off=50.0), "above r_on"),
        (lambda: replace(dy.VTEAM, x_off=0.0), "above x_on"),
        (lambda: replace(dy.VTEAM, v_on=0.2), "v_on"),
        (lambda: replace(dy.STANFORD_PKU, initial=5e-9), "initial"),
        (lambda: replace(dy.STANFORD_PKU, r_off=10.0), "above r_on"),
        (lambda: replace(dy.YAKOPCIC_A, eta=0), "eta"),
        (lambda: replace(dy.DATA_DRIVEN_2017, k_n=1.0), "overflows"),
        (lambda: replace(dy.DATA_DRIVEN_2021, t_p=0.0), "t_p"),
        (lambda: replace(dy.DATA_DRIVEN_2021, reach_p=(1.0, 2.0, 3.0)), "two numbers"),
        (lambda: dy.Joglekar(0), "p is 0"),
        (lambda: dy.Prodromakis(-1.0), "p is -1.0"),
    ],
)
def test_bad_input_is_one_line(wrong, match):
    with pytest.raises(InputError, match=match) as caught:
        wrong()
    assert "\n" not in str(caught.value)


def test_wrong_types_are_refused():
    with pytest.raises(ArgumentTypeError, match="must be a Memristor"):
        dy.simulate("VTEAM", np.zeros(3), 1.0, 0.0)
    with pytest.raises(ArgumentTypeError, match="window"):
        replace(dy.ION_DRIFT_HP, window="joglekar")
    with pytest.raises(ArgumentTypeError, match="p must be an integer"):
        dy.Biolek(1.5)
    assert dy.UMICH.step(np.zeros((0, 4)), 1.0, 1.0).shape == (0, 4)
