"""Write-verify on dynamic memristors against closed forms: pulses of VTEAM, energy of ohmic paths, ranges of models."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neuroemu as ne
from neuroemu import chips, datasets
from neuroemu.crossbar import load_programmed, program
from neuroemu.devices import DynamicCell, Faulty, Pulse, PulseGrowth, Spread, WriteVerified, write_verify
from neuroemu.devices import dynamics as dy
from neuroemu.errors import ArgumentTypeError, InputError

SET, RESET = Pulse(-0.25, 100e-12), Pulse(0.1, 8e-9)  # VTEAM: 15.6 pm and 16 pm of its 3 nm a pulse
VTEAM = DynamicCell(dy.VTEAM, SET, RESET, tolerance=0.1e-3, max_pulses=500)
R_ON, R_OFF = 50.0, 1e3
SET_OHMS = 10.0 * 0.25**3 * 100e-12 / 3e-9 * (R_OFF - R_ON)  # k_on (V / v_on - 1)^3 t over the range, in ohms
RESET_OHMS = 5e-4 * 4 * 8e-9 / 3e-9 * (R_OFF - R_ON)
CELLS = {
    "VTEAM": VTEAM,
    "Yakopcic": DynamicCell(dy.YAKOPCIC_A, Pulse(0.3, 50e-6), Pulse(-0.3, 50e-6), tolerance=0.1e-3, max_pulses=200),
    "Stanford-PKU": DynamicCell(
        dy.STANFORD_PKU, Pulse(1.0, 1e-9), Pulse(-1.0, 1e-9), tolerance=20e-6, growth=PulseGrowth(volts=0.01)
    ),
    "data-driven 2021": DynamicCell(
        dy.DATA_DRIVEN_2021, Pulse(0.9, 1e-6), Pulse(-0.9, 1e-6), tolerance=5e-6, growth=PulseGrowth(volts=0.01)
    ),
    "HP": DynamicCell(
        dy.ION_DRIFT_HP,
        Pulse(1.0, 1e-3),
        Pulse(-1.0, 1e-3),
        tolerance=0.1e-3,
        g_max=1e-3,
        max_pulses=300,
        growth=PulseGrowth(seconds=2e-4),
    ),
    "Knowm": DynamicCell(dy.KNOWM_MMS, Pulse(0.5, 1e-6), Pulse(-0.5, 1e-6), tolerance=1e-5, max_pulses=300),
}
each_cell = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)


def rng(seed=0):
    return np.random.default_rng(seed)


def targets(cell, n=200, low=0.2, high=0.8):
    return cell.g_min + np.linspace(low, high, n) * (cell.g_max - cell.g_min)


# ---- closed forms


@pytest.mark.parametrize("from_off", [True, False])
def test_vteam_takes_the_pulses_of_its_straight_line(from_off):
    """Its resistance moves by the same ohms a pulse: n = ceil(ohms to the near edge of the tolerance / those ohms)."""
    cell = replace(VTEAM, start=1 / R_OFF if from_off else 1 / R_ON, tolerance=0.15e-3)
    resistance = np.linspace(150.0, 600.0, 300)  # where a pulse is within twice the tolerance
    report = write_verify(cell, 1 / resistance, rng())
    if from_off:
        away, step = R_OFF - 1 / (1 / resistance - cell.tolerance), SET_OHMS
    else:
        away, step = 1 / (1 / resistance + cell.tolerance) - R_ON, RESET_OHMS
    np.testing.assert_array_equal(report.pulses, np.ceil(away / step))
    moved = R_OFF - report.pulses * step if from_off else R_ON + report.pulses * step
    np.testing.assert_allclose(report.cells.conductance, 1 / moved, rtol=1e-9)
    width = SET.seconds if from_off else RESET.seconds
    assert report.seconds_one_by_one == pytest.approx(report.pulses.sum() * width, rel=1e-12)
    assert report.seconds_all_at_once == pytest.approx(report.pulses.max() * width, rel=1e-12)
    assert report.open_cells == 0 and report.accepted.all()


def test_energy_is_the_integral_of_v_i_along_the_path():
    """R falls evenly from R0 to R1 during a pulse: the energy is V^2 t ln(R0 / R1) / (R0 - R1)."""
    cell = replace(VTEAM, start=1 / R_OFF, max_pulses=1, set=Pulse(-0.25, 1e-9))
    report = write_verify(cell, np.array([15e-3]), rng())
    left = R_OFF - 10 * SET_OHMS
    assert 1 / report.cells.conductance[0] == pytest.approx(left, rel=1e-9)
    expected = 0.25**2 * 1e-9 * np.log(R_OFF / left) / (R_OFF - left)
    assert report.energy == pytest.approx(expected, rel=1e-9)
    many = write_verify(replace(cell, max_pulses=12), np.array([15e-3]), rng())
    left = R_OFF - 120 * SET_OHMS
    assert many.pulses[0] == 12
    assert many.energy == pytest.approx(0.25**2 * 12e-9 * np.log(R_OFF / left) / (R_OFF - left), rel=1e-7)


def test_energy_of_states_at_rest_is_v_squared_g_t_for_each_pulse():
    """Below its thresholds an ohmic cell only warms: growing pulses add up V^2 G t, verify reads likewise."""
    still = replace(dy.VTEAM, v_on=-50.0, v_off=50.0, initial=1e-9)
    growth = PulseGrowth(volts=0.03, seconds=2e-9)
    cell = DynamicCell(
        still, Pulse(-0.25, 1e-9), Pulse(0.1, 8e-9), 1e-6, growth=growth, max_pulses=7, read_seconds=3e-9
    )
    g = float(still.conductance(1e-9))
    report = write_verify(cell, np.array([2 * g, 0.5 * g, g]), rng())
    n = np.arange(7)
    up = ((0.25 + 0.03 * n) ** 2 * g * (1e-9 + 2e-9 * n)).sum()
    down = ((0.1 + 0.03 * n) ** 2 * g * (8e-9 + 2e-9 * n)).sum()
    reads = 0.1**2 * g * 3e-9 * (8 + 8 + 1)
    assert report.energy == pytest.approx(up + down + reads, rel=1e-12)
    assert report.seconds_one_by_one == pytest.approx((1e-9 + 8e-9) * 7 + 2 * 2e-9 * n.sum() + 17 * 3e-9, rel=1e-12)
    np.testing.assert_array_equal(report.pulses, [7, 7, 0])
    np.testing.assert_array_equal(report.reads, [8, 8, 1])
    assert report.open_cells == 2


def test_growth_starts_again_when_the_direction_changes():
    """SET, an overshoot; RESET twice, the second 100 ps longer; SET again, as long as the first."""
    cell = DynamicCell(
        dy.VTEAM, SET, Pulse(0.1, 4e-9), tolerance=1e-9, max_pulses=4, start=1 / 500.0,
        growth=PulseGrowth(seconds=100e-12),
    )  # fmt: skip
    set_ohms, reset_ohms, aim = SET_OHMS, RESET_OHMS / 2, 500.0 + 0.04 * RESET_OHMS
    assert SET_OHMS < RESET_OHMS < 2 * SET_OHMS
    path = [500.0]
    for turn in range(4):
        down, before = path[-1] > aim, len(path) > 1 and path[-2] > aim
        row = turn and down == before and 1
        path.append(path[-1] - set_ohms * (1 + row) if down else path[-1] + reset_ohms * (1 + row / 40))
    report = write_verify(cell, np.array([1 / aim]), rng())
    assert 1 / report.cells.conductance[0] == pytest.approx(path[-1], rel=1e-9)
    assert len(set(np.round(np.abs(np.diff(path)), 6))) == 3  # RESET, a longer RESET, SET


# ---- all models


@each_cell
def test_every_model_reaches_the_tolerance(cell):
    report = write_verify(cell, targets(cell), rng())
    assert report.open_cells == report.outside_tolerance == 0
    assert np.abs(report.error).max() <= cell.tolerance
    state = report.cells.state["memristor"]
    np.testing.assert_allclose(cell.model.conductance(state, cell.v_read), report.cells.conductance, rtol=1e-12)
    low, high = np.sort(cell.model.conductance(np.array(cell.model.state_range), cell.v_read))
    assert (cell.g_min, cell.g_max) == (low, 1e-3 if cell is CELLS["HP"] else high)
    assert report.energy > 0 and report.pulses.max() > 3
    assert "J" in report.table()


@each_cell
@settings(max_examples=5, deadline=None)
@given(levels=st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12), seed=st.integers(0, 2**32))
def test_laws_of_cells(cell, levels, seed):
    cell = replace(cell, max_pulses=20, spread=Spread(0.05, 0.2, 0.05, 0.02, 0.1))
    wanted = cell.g_min + np.array(levels) * (cell.g_max - cell.g_min)
    cells, again = cell.program(wanted, rng(seed)), cell.program(wanted[:, None], rng(seed))
    np.testing.assert_array_equal(cells.conductance, again.conductance[:, 0])
    np.testing.assert_array_equal(cells.state["pulses"], again.state["pulses"][:, 0])
    for seconds in (0.0, 1.0, 1e6):
        now = cell.conductance(cells, seconds)
        assert np.isfinite(now).all() and (now >= 0).all()
        if seconds == 0.0 or cell.model is not dy.KNOWM_MMS:  # the one of these that fades without a voltage
            np.testing.assert_array_equal(now, cells.conductance)
    assert not cell.read_sigma(cells, 1.0).any()


def test_a_model_that_fades_fades_and_the_other_one_does_not():
    """UMich: dx/dt = -x / tau without a voltage, so its state is x0 e^(-t / tau), and G is linear in it."""
    pulses = {"set": Pulse(1.2, 20e-3), "reset": Pulse(-1.2, 20e-3)}
    fading = DynamicCell(dy.UMICH_VOLATILE, **pulses, tolerance=2e-7, max_pulses=300)
    cells = fading.program(targets(fading, 20, 0.1, 0.3), rng())
    state = cells.state["memristor"]
    faded = state * np.exp(-4.5 / 10.0 * 0.5)  # lambda / tau for half a second
    now = fading.conductance(cells, 0.5)
    np.testing.assert_allclose(now, dy.UMICH_VOLATILE.conductance(faded, fading.v_read), rtol=1e-9)
    assert (now < 0.95 * cells.conductance).all()
    lasting = DynamicCell(dy.UMICH, **pulses, tolerance=2e-7, max_pulses=300)
    cells = lasting.program(targets(lasting, 20, 0.1, 0.3), rng())
    np.testing.assert_array_equal(lasting.conductance(cells, 1e6), cells.conductance)


# ---- spread


def test_spread_is_that_of_the_physics():
    """VTEAM at a held pulse: speed scales the ohms a pulse, a threshold enters to the third power of the excess."""
    n, one = 40_000, replace(VTEAM, max_pulses=1, start=1 / R_OFF)
    wanted = np.full(n, 10e-3)

    def moved(spread):
        report = write_verify(replace(one, spread=spread), wanted, rng(3))
        return (R_OFF - report.cells.state["size"] / report.cells.conductance) / SET_OHMS, report

    for spread in (Spread(speed=0.3), Spread(cycle_speed=0.3)):
        steps, _ = moved(spread)
        assert np.log(steps).mean() == pytest.approx(0, abs=4 * 0.3 / np.sqrt(n))
        assert np.log(steps).std() == pytest.approx(0.3, rel=0.02)
    both, _ = moved(Spread(speed=0.3, cycle_speed=0.4))
    assert np.log(both).std() == pytest.approx(0.5, rel=0.02)
    steps, _ = moved(Spread(threshold=0.01))
    excess = np.cbrt(steps) * 0.25  # V / (v_on e^s) - 1 = 1.25 e^-s - 1
    np.testing.assert_allclose(np.std(np.log1p(excess)), 0.01, rtol=0.02)
    assert np.mean(np.log1p(excess)) == pytest.approx(np.log(1.25), abs=4e-4 / np.sqrt(n) * 100)
    steps, report = moved(Spread(size=0.2))
    np.testing.assert_allclose(steps, 1.0, rtol=1e-9)
    assert np.log(report.cells.state["size"]).std() == pytest.approx(0.2, rel=0.02)
    still, quiet = moved(Spread())[1], 0.25**2 * SET.seconds * np.log(R_OFF / (R_OFF - SET_OHMS)) / SET_OHMS
    assert still.energy == pytest.approx(n * quiet, rel=1e-9)
    assert report.energy == pytest.approx(report.cells.state["size"].sum() * quiet, rel=1e-9)


def test_a_device_keeps_its_own_from_pulse_to_pulse_and_cycles_do_not():
    wanted = np.full(20_000, 1 / (R_OFF - 8 * SET_OHMS))
    own = replace(VTEAM, start=1 / R_OFF, tolerance=1e-9, max_pulses=4, spread=Spread(speed=0.2))
    cycle = replace(own, spread=Spread(cycle_speed=0.2))
    ratio = []
    for cell in (own, cycle):
        moved = R_OFF - 1 / write_verify(cell, wanted, rng(4)).cells.conductance
        ratio.append(moved.std() / moved.mean())
    lognormal = np.sqrt(np.expm1(0.2**2))
    assert ratio[0] == pytest.approx(lognormal, rel=0.03)
    assert ratio[1] == pytest.approx(lognormal / 2, rel=0.03)  # four independent pulses


def test_spread_is_healed_by_the_loop():
    report = write_verify(replace(VTEAM, spread=Spread(0.02, 0.3, 0.1, 0.01, 0.3)), targets(VTEAM, 2000), rng(5))
    assert report.outside_tolerance < 10  # small devices fall short of the top, fast ones jump over the target there
    plain = write_verify(VTEAM, targets(VTEAM, 2000), rng(5))
    assert report.pulses.std() > plain.pulses.std()


# ---- use


def test_in_a_crossbar_in_a_file_and_under_faults(tmp_path):
    plain = datasets.mnist_network()
    network = ne.quantize(plain, samples=plain.samples)
    x, y = datasets.mnist_test(100)
    cell = replace(VTEAM, set=Pulse(-0.25, 3e-10), tolerance=0.5e-3, start=1 / R_OFF, spread=Spread(speed=0.1))
    fine, rough = (replace(chips.HERMES, device=replace(cell, max_pulses=most)) for most in (150, 3))
    result = ne.run(network, fine, x, labels=y)
    assert result.accuracy > 0.93 and ne.run(network, rough, x, labels=y).accuracy < result.accuracy - 0.1
    part = ne.run(network, fine, x[:20], threads=1)
    np.testing.assert_array_equal(part.outputs, result.outputs[:20])
    made = program(network, rough, seed=0)
    made.save(tmp_path / "chip.npz")
    again = load_programmed(tmp_path / "chip.npz", network, rough)
    np.testing.assert_array_equal(ne.run(network, again, x[:20]).outputs, ne.run(network, rough, x[:20]).outputs)
    faulty = Faulty(VTEAM, stuck_on=0.1)
    cells = faulty.program(targets(VTEAM, 500), rng(6))
    assert (faulty.conductance(cells, 1e3) == VTEAM.g_max).sum() == (cells.state["fault"] == 1).sum() > 20


@pytest.mark.parametrize(
    "change, error, said",
    [
        ({"model": "VTEAM"}, ArgumentTypeError, "model must be a Memristor"),
        ({"set": (0.1, 1e-9)}, ArgumentTypeError, "set must be a Pulse"),
        ({"set": RESET}, InputError, "set pulse of 0.1 V lowers the conductance of Vteam"),
        ({"reset": SET}, InputError, "reset pulse of -0.25 V raises"),
        ({"tolerance": 0.0}, InputError, "tolerance is 0"),
        ({"v_read": -0.1}, InputError, "v_read"),
        ({"max_pulses": 0}, InputError, "max_pulses is 0"),
        ({"read_seconds": -1.0}, InputError, "read_seconds"),
        ({"g_max": 21e-3}, InputError, "g_max is 0.021 S; measured up to 0.02"),
        ({"g_min": 0.5e-3}, InputError, "g_min"),
        ({"start": 1.0}, InputError, "outside"),
        ({"model": dy.YAKOPCIC_A, "set": Pulse(0.3, 1e-6), "reset": Pulse(-0.3, 1e-6), "g_min": None, "g_max": None,
          "growth": PulseGrowth(volts=1.0), "max_pulses": 400}, InputError, r"grow to 399\.3 V; Yakopcic holds up to"),
    ],
)  # fmt: skip
def test_bad_cells_are_refused_in_one_line(change, error, said):
    with pytest.raises(error, match=said) as caught:
        replace(VTEAM, **change)
    assert "\n" not in str(caught.value)


def test_bad_parts_are_refused():
    for bad in (
        lambda: Pulse(0.0, 1e-9),
        lambda: Pulse(1.0, 0.0),
        lambda: PulseGrowth(-0.1),
        lambda: Spread(speed=2.0),
    ):
        with pytest.raises(InputError):
            bad()
    with pytest.raises(InputError, match="DynamicCell verifies already"):
        WriteVerified(VTEAM, 1e-4)
    with pytest.raises(InputError, match="empty"):
        write_verify(VTEAM, [], rng())
    with pytest.raises(InputError, match="hold no memristor"):
        VTEAM.conductance(ne.devices.Ideal().program(np.ones(3), rng()), 0.0)
