"""Half-select disturb against a loop that writes cell by cell, and its closed form."""

import numpy as np
import pytest

from neuroemu.devices import (
    Endurance,
    Faulty,
    Generic,
    HalfSelectDisturb,
    Ideal,
    IncrementalPulses,
    NormalNoise,
    Pcm,
    RramWan2022,
    WriteVerified,
)
from neuroemu.devices.disturb import later_pulses
from neuroemu.errors import ArgumentTypeError, InputError


def rng(seed=0):
    return np.random.default_rng(seed)


def written_one_by_one(target, pulses, step, end, select):
    """Conductances (A, R, C) after writing row by row; each pulse to a cell moves the half-selected ones a step."""
    now = np.zeros_like(target)
    arrays, rows, columns = target.shape
    for r in range(rows):
        for a in range(arrays):
            for c in range(columns):
                for _ in range(pulses[a, r, c]):
                    half = np.zeros(target.shape, bool)
                    half[a, :, c] = True
                    if select == "cell":
                        half[:, r, :] = True
                    else:
                        half[:, r, :] = False
                    half[a, r, c] = False
                    now[half] += step * (end - now[half])
                now[a, r, c] = target[a, r, c]
    return now


@pytest.mark.parametrize("select", ["cell", "row"])
@pytest.mark.parametrize("towards, end", [("on", 25e-6), ("off", 0.0)])
def test_the_closed_form_is_the_loop(select, towards, end):
    target, pulses = rng(1).uniform(2e-6, 20e-6, (2, 5, 4)), rng(2).integers(0, 5, (2, 5, 4))
    expected = written_one_by_one(target, pulses, 0.01, end, select)

    class Pulsed(Generic):
        def program(self, target, generator):
            cells = super().program(target, generator)
            return type(cells)(cells.conductance, state={"pulses": pulses})

    cells = HalfSelectDisturb(Pulsed(), 0.01, towards, select=select).program(target, rng())
    np.testing.assert_allclose(cells.conductance, expected, rtol=1e-12)
    np.testing.assert_array_equal(cells.state["disturb pulses"], later_pulses(pulses, select=select))


def test_one_pulse_a_cell_counts_the_lines():
    cells = HalfSelectDisturb(Ideal(), 1e-3).program(np.full((30, 20), 5e-6), rng())
    rows, columns = np.arange(29, -1, -1)[:, None], np.arange(19, -1, -1)
    np.testing.assert_array_equal(cells.state["disturb pulses"], rows + columns)
    np.testing.assert_allclose(cells.conductance, 25e-6 - 20e-6 * 0.999 ** (rows + columns))
    row = HalfSelectDisturb(Ideal(), 1e-3, "off", select="row").program(np.full((30, 20), 5e-6), rng())
    np.testing.assert_allclose(row.conductance, np.broadcast_to(5e-6 * 0.999**rows, (30, 20)))
    np.testing.assert_array_equal(cells.conductance[-1, -1], 5e-6)  # the last one is written, and rests


def test_steps_scatter_over_the_cells():
    step, spread = 1e-3, 0.3
    cells = HalfSelectDisturb(Ideal(), step, spread=spread).program(np.zeros((201, 3000)), rng(3))
    first = cells.conductance[0, :1500]
    n = cells.state["disturb pulses"][0, :1500]
    each = 1 - (1 - first / 25e-6) ** (1 / n)
    assert each.mean() == pytest.approx(step, rel=0.03) and each.std() == pytest.approx(spread * step, rel=0.06)


def test_pulses_of_write_verify_disturb_the_others():
    scheme = IncrementalPulses(1e-6, 1e-6)
    inner = WriteVerified(Ideal(), 0.6e-6, max_pulses=100, scheme=scheme)
    targets = np.array([[10.4e-6, 0.0], [0.0, 5.4e-6]])  # 10 and 5 pulses; erased cells take none
    cells = HalfSelectDisturb(inner, 0.01).program(targets, rng())
    np.testing.assert_array_equal(cells.state["disturb pulses"], [[0, 5], [5, 0]])


@pytest.mark.parametrize("inner", [Pcm(), RramWan2022(), Generic(noise=NormalNoise(1e-6))])
def test_drift_goes_on_and_nothing_happens_without_steps(inner):
    target = np.full((20, 30), 10e-6)
    own, none = inner.program(target, rng(4)), HalfSelectDisturb(inner, 0.0).program(target, rng(4))
    np.testing.assert_array_equal(own.conductance, none.conductance)
    device = HalfSelectDisturb(inner, 0.005, "off")
    cells = device.program(target, rng(4))
    left = 0.995 ** cells.state["disturb pulses"]
    for seconds in (0.0, 3600.0):
        np.testing.assert_allclose(device.conductance(cells, seconds), left * inner.conductance(own, seconds))
        np.testing.assert_array_equal(device.read_sigma(cells, seconds), inner.read_sigma(own, seconds))
    np.testing.assert_array_equal(device.conductance(cells, 0.0), cells.conductance)


def test_cells_beyond_the_end_and_stuck_cells_stay():
    beyond = HalfSelectDisturb(Ideal(), 0.5).program(np.full((3, 3), 30e-6), rng())
    assert (beyond.conductance == 30e-6).all()
    worn = Endurance(Ideal(), 1.0, 1.0, 2.0, stuck_off=1.0)
    cells = HalfSelectDisturb(worn, 0.5).program(np.full((40, 40), 5e-6), rng())
    stuck = cells.state["worn"] > 0
    assert stuck.any() and not cells.conductance[stuck].any() and (cells.conductance[~stuck][:-1] > 5e-6).any()


@pytest.mark.parametrize(
    "make, kind, said",
    [
        (lambda: HalfSelectDisturb("pcm", 0.1), ArgumentTypeError, "device"),
        (lambda: HalfSelectDisturb(Pcm(), 1.1), InputError, "step"),
        (lambda: HalfSelectDisturb(Pcm(), 0.1, "up"), InputError, "towards"),
        (lambda: HalfSelectDisturb(Pcm(), 0.1, spread=-1.0), InputError, "spread"),
        (lambda: HalfSelectDisturb(Pcm(), 0.1, select="column"), InputError, "select"),
        (lambda: HalfSelectDisturb(Faulty(Pcm()), 0.1), InputError, "one of each"),
        (lambda: WriteVerified(HalfSelectDisturb(Pcm(), 0.1), 1e-6), InputError, "wrap as HalfSelectDisturb"),
        (lambda: HalfSelectDisturb(Pcm(), 0.1).program(np.zeros(4), rng()), InputError, "needs rows and columns"),
        (
            lambda: HalfSelectDisturb(Pcm(), 0.1).conductance(Pcm().program(np.zeros((2, 2)), rng()), 0.0),
            InputError,
            "program them with this HalfSelectDisturb",
        ),
    ],
)
def test_bad_settings_are_refused_in_one_line(make, kind, said):
    with pytest.raises(kind, match=said) as caught:
        make()
    assert "\n" not in str(caught.value)
