"""Write-verify against the geometric law of its pulses and the truncated law of its errors."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

import neuroemu as ne
from neuroemu import chips, datasets
from neuroemu.devices import (
    Cells,
    Device,
    Generic,
    HermesPcm,
    Ideal,
    NormalNoise,
    Pcm,
    ReadShares,
    RramCmo,
    RramWan2022,
    Sonos,
    TelegraphNoise,
    WhiteNoise,
    WithReadNoise,
)
from neuroemu.devices.faults import Faulty
from neuroemu.devices.pulses import IncrementalPulses, Iterative, exact
from neuroemu.devices.verified import WriteVerified, put, taken, write_verify
from neuroemu.errors import ArgumentTypeError, InputError

SIGMA, MIDDLE, CELLS = 1e-6, 12.5e-6, 100_000
NOISY = Generic(noise=NormalNoise(SIGMA))


def rng(seed=0):
    return np.random.default_rng(seed)


def middle(n=CELLS):
    return np.full(n, MIDDLE)


@pytest.mark.parametrize("tolerance", [0.3e-6, 1e-6])
def test_pulses_are_geometric(tolerance):
    report = write_verify(WriteVerified(NOISY, tolerance, max_pulses=1000), middle(), rng())
    p = 2 * stats.norm.cdf(tolerance / SIGMA) - 1
    standard_error = np.sqrt(1 - p) / p / np.sqrt(CELLS)
    assert report.pulses.mean() == pytest.approx(1 / p, abs=3 * standard_error)
    assert np.mean(report.pulses == 1) == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / CELLS))
    assert report.open_cells == report.outside_tolerance == 0 and report.accepted.all()
    np.testing.assert_array_equal(report.reads, report.pulses)


def test_errors_follow_the_truncated_normal():
    tolerance = 0.8e-6
    report = write_verify(WriteVerified(NOISY, tolerance, max_pulses=1000), middle(), rng(1))
    law = stats.truncnorm(-tolerance / SIGMA, tolerance / SIGMA, scale=SIGMA)
    assert stats.kstest(report.error, law.cdf).pvalue > 1e-3
    assert report.mean_error == pytest.approx(0, abs=4 * law.std() / np.sqrt(CELLS))
    assert report.std_error == pytest.approx(law.std(), rel=0.01)
    np.testing.assert_allclose(report.error_quantiles((0.1, 0.9)), law.ppf([0.1, 0.9]), rtol=0.02)


@pytest.mark.parametrize("most", [2, 5])
def test_max_pulses_leaves_the_share_that_theory_leaves(most):
    tolerance = 0.3e-6
    report = write_verify(WriteVerified(NOISY, tolerance, max_pulses=most), middle(), rng(2))
    q = 2 * stats.norm.sf(tolerance / SIGMA)
    left = q**most
    assert report.open_cells / CELLS == pytest.approx(left, abs=4 * np.sqrt(left * (1 - left) / CELLS))
    assert report.pulses.max() == most and (report.pulses[~report.accepted] == most).all()
    assert (np.abs(report.error[~report.accepted]) > tolerance).all()


def test_a_noisy_verify_widens_what_is_accepted():
    read_sigma, tolerance = 0.8e-6, 0.5e-6
    device = WithReadNoise(NOISY, (WhiteNoise(read_sigma),))
    report = write_verify(WriteVerified(device, tolerance, max_pulses=1000), middle(), rng(3))
    p = 2 * stats.norm.cdf(tolerance / np.hypot(SIGMA, read_sigma)) - 1
    assert report.pulses.mean() == pytest.approx(1 / p, abs=3 * np.sqrt(1 - p) / p / np.sqrt(CELLS))
    assert report.open_cells == 0 and report.outside_tolerance > 0.2 * CELLS
    # Error e given |e + r| <= tolerance, by a histogram of plain draws.
    e, r = SIGMA * rng(4).standard_normal(10 * CELLS), read_sigma * rng(5).standard_normal(10 * CELLS)
    assert stats.ks_2samp(report.error, e[np.abs(e + r) <= tolerance]).pvalue > 1e-3


def test_only_noise_faster_than_the_verify_read_is_in_it():
    """1/f noise: its variance gathers per e-fold of time from 2 t_read on, and nothing is there before."""
    device = Pcm(programming_noise=False)
    cells = device.program(middle(), rng())
    for read_seconds in (0.5e-6, 10e-6, 1e-3):
        verified = WriteVerified(device, 1e-6, read_seconds=read_seconds)
        noise = verified.verify(cells, rng(6)) - cells.conductance
        q = 0.0088 / 0.5**0.65
        expected = MIDDLE * q * np.sqrt(np.log(read_seconds / 0.5e-6))
        assert noise.std() == pytest.approx(expected, rel=0.01, abs=1e-20)


def test_a_slow_trap_is_not_in_the_verify_read():
    """Each cell's noise is split by its own time constant."""
    device = WithReadNoise(Ideal(), (TelegraphNoise(0.1, fastest=1e-9, slowest=1e9),))
    cells = device.program(middle(), rng(1))
    noise = WriteVerified(device, 1e-6).verify(cells, rng(2)) - cells.conductance
    fast, slow = cells.state["0.tau"] < 1e-8, cells.state["0.tau"] > 1e-1
    assert noise[fast].std() == pytest.approx(0.05 * MIDDLE, rel=0.03) and noise[slow].std() < 1e-3 * MIDDLE


@pytest.mark.parametrize("device", [NOISY, Pcm(), HermesPcm(), RramWan2022(), RramCmo(), Sonos(), Ideal()])
def test_one_pulse_is_the_device_itself(device):
    targets = np.linspace(device.g_min, device.g_max, 999).reshape(27, 37)
    verified = WriteVerified(device, 1e-9, max_pulses=1)
    own, cells = device.program(targets, rng(7)), verified.program(targets, rng(7))
    for seconds in (0.0, 3600.0):
        np.testing.assert_array_equal(verified.conductance(cells, seconds), device.conductance(own, seconds))
        np.testing.assert_array_equal(verified.read_sigma(cells, seconds), device.read_sigma(own, seconds))
    spans = {"image_seconds": 1e-5, "session_seconds": 0.1}
    assert verified.read_shares(60.0, **spans) == device.read_shares(60.0, **spans)


@pytest.mark.parametrize("device", [Pcm(), RramWan2022(), WithReadNoise(Sonos(), (TelegraphNoise(0.02),))])
@pytest.mark.parametrize("incremental", [False, True])
def test_cells_keep_what_belongs_together(device, incremental):
    """After many rounds of part of the cells, each still drifts and reads as its own state says."""
    span = device.g_max - device.g_min
    scheme = IncrementalPulses(0.04 * span, 0.04 * span, 0.3) if incremental else Iterative()
    verified = WriteVerified(device, 0.02 * span, max_pulses=200, scheme=scheme)
    targets = np.linspace(0.2, 0.8, 600).reshape(20, 30) * span
    cells = verified.program(targets, rng(8))
    assert cells.state["pulses"].max() > 1
    later = verified.conductance(cells, 86_400.0)
    one = taken(cells, np.arange(600).reshape(20, 30) == 333)
    np.testing.assert_array_equal(device.conductance(one, 86_400.0), later.ravel()[333])
    np.testing.assert_array_equal(verified.conductance(cells, 0.0), cells.conductance)
    if "error" in cells.state:
        np.testing.assert_allclose(cells.state["target"] + cells.state["error"], cells.conductance, atol=1e-15)
    else:
        np.testing.assert_allclose(later, cells.conductance * (86_420 / 20) ** -cells.drift_exponent)
    assert np.std(later / cells.conductance) > 0


def test_a_row_put_back_changes_only_its_cells():
    cells = RramWan2022().program(middle(6), rng())
    where = np.array([True, False, True, False, False, False])
    other = RramWan2022().program(np.full(2, 30e-6), rng(1))
    after = put(cells, where, other)
    for name in ("target", "error", "relaxation"):
        np.testing.assert_array_equal(after.state[name][where], other.state[name])
        np.testing.assert_array_equal(after.state[name][~where], cells.state[name][~where])
    np.testing.assert_array_equal(after.conductance[~where], cells.conductance[~where])


@pytest.mark.parametrize("tolerance", [0.55e-6, 0.9e-6])
def test_steps_without_variation_are_counted(tolerance):
    targets = rng(20).uniform(0.0, 25e-6, 5000)
    scheme = IncrementalPulses(1e-6, 1e-6)
    report = write_verify(WriteVerified(NOISY, tolerance, max_pulses=100, scheme=scheme), targets, rng())
    expected = np.maximum(np.ceil((targets - tolerance) / 1e-6), 0)
    np.testing.assert_array_equal(report.pulses, expected)
    np.testing.assert_allclose(report.cells.conductance, expected * 1e-6, atol=1e-18)
    np.testing.assert_array_equal(report.reads, report.pulses + 1)
    assert report.open_cells == 0


def test_steps_scatter_from_cycle_to_cycle():
    k, step, variation = 9, 1e-6, 0.4
    scheme = IncrementalPulses(step, step, variation)
    report = write_verify(WriteVerified(Ideal(), 1e-9, max_pulses=k, scheme=scheme), np.full(CELLS, 24e-6), rng(9))
    # 9 SET pulses to a target far above: normal steps, with g_min out of reach of all but a few first ones.
    assert report.cells.conductance.mean() == pytest.approx(k * step, rel=0.005)
    assert report.cells.conductance.std() == pytest.approx(variation * step * np.sqrt(k), rel=0.01)
    assert report.open_cells == CELLS


def test_an_overshoot_is_answered_by_reset():
    wide = IncrementalPulses(4e-6, 0.5e-6)
    report = write_verify(WriteVerified(Ideal(), 0.3e-6, max_pulses=50, scheme=wide), np.array([10e-6]), rng())
    # 4, 8, 12 uS by SET; 11.5, 11, 10.5, 10 by RESET.
    assert report.pulses == 7 and report.cells.conductance[0] == pytest.approx(10e-6)
    erasing = IncrementalPulses(4e-6, 30e-6)
    report = write_verify(WriteVerified(Ideal(), 0.3e-6, max_pulses=8, scheme=erasing), np.array([10e-6]), rng())
    # Three up, erased to g_min, three up, erased: it never arrives, and says so.
    assert report.cells.conductance[0] == 0.0 and report.open_cells == 1 and report.pulses == 8


def test_incremental_pulses_leave_errors_within_the_tolerance():
    scheme = IncrementalPulses(1e-6, 1e-6, 0.5)
    verified = WriteVerified(Pcm(read_noise=False), 0.25e-6, max_pulses=500, scheme=scheme)
    report = write_verify(verified, np.linspace(1e-6, 24e-6, 20_000), rng(10))
    assert report.open_cells == report.outside_tolerance == 0
    assert 0.1e-6 < report.std_error <= 0.25e-6


def test_time_and_energy_are_sums_over_pulses_and_reads():
    prices = {"pulse_seconds": 1e-7, "read_seconds": 2e-6, "pulse_energy": 3e-12, "read_energy": 5e-13}
    verified = WriteVerified(NOISY, 0.5e-6, max_pulses=50, **prices)
    report = write_verify(verified, middle(1000), rng(11))
    n = report.pulses.sum()
    assert report.seconds_one_by_one == pytest.approx(n * 2.1e-6)
    assert report.seconds_all_at_once == pytest.approx(report.pulses.max() * 2.1e-6)
    assert report.energy == pytest.approx(n * 3.5e-12)
    scheme = IncrementalPulses(1e-6, 1e-6)
    report = write_verify(replace(verified, scheme=scheme, tolerance=0.6e-6), middle(1000), rng())
    assert report.energy == pytest.approx(1000 * (12 * 3e-12 + 13 * 5e-13))  # 12 pulses reach 12 of 12.5 uS
    silent = write_verify(WriteVerified(NOISY, 1e-6), middle(10), rng())
    assert silent.energy is silent.seconds_one_by_one is silent.seconds_all_at_once is None
    assert "J" in report.table() and "time" not in silent.table() and "given up" in silent.table()


def test_same_seed_same_bits_and_any_shape():
    verified = WriteVerified(HermesPcm(), 0.3e-6, max_pulses=30)
    targets = np.linspace(0, 20e-6, 60)
    flat, square = verified.program(targets, rng(12)), verified.program(targets.reshape(6, 10), rng(12))
    np.testing.assert_array_equal(flat.conductance, square.conductance.ravel())
    np.testing.assert_array_equal(flat.drift_exponent, square.drift_exponent.ravel())
    assert not np.array_equal(flat.conductance, verified.program(targets, rng(13)).conductance)
    assert verified.program(np.array(5e-6), rng()).conductance.shape == ()
    assert (targets == np.linspace(0, 20e-6, 60)).all()


class Stubborn(Device):
    """A user's device whose noise has no switch."""

    g_min, g_max = 0.0, 25e-6

    def program(self, target, generator):
        return Cells(target + 1e-7 * generator.standard_normal(target.shape))

    def conductance(self, cells, seconds):
        return cells.conductance

    def read_sigma(self, cells, seconds):
        return np.zeros_like(cells.conductance)

    def read_shares(self, seconds, *, image_seconds, session_seconds, cells=None):
        return ReadShares(1.0, 0.0, 0.0)


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"tolerance": 0.0}, "tolerance is 0"),
        ({"tolerance": -1e-6}, "tolerance"),
        ({"tolerance": float("nan")}, "tolerance"),
        ({"max_pulses": 0}, "max_pulses is 0"),
        ({"max_pulses": 100_001}, "max_pulses"),
        ({"read_seconds": 0.0}, "read_seconds"),
        ({"device": HermesPcm(), "read_seconds": 1e-9}, "read_seconds is 1e-09, too short"),
        ({"pulse_seconds": -1.0}, "pulse_seconds"),
        ({"pulse_energy": -1e-12}, "pulse_energy"),
        ({"read_energy": float("inf")}, "read_energy"),
        ({"device": Faulty(Pcm(), stuck_on=0.1)}, "wrap as Faulty"),
        ({"device": WriteVerified(Pcm(), 1e-6)}, "verifies already"),
        ({"device": Stubborn(), "scheme": IncrementalPulses(1e-6, 1e-6)}, "Stubborn cannot be switched off"),
    ],
)
def test_bad_settings_are_refused_in_one_line(settings, said):
    with pytest.raises(InputError, match=said) as caught:
        WriteVerified(**({"device": NOISY, "tolerance": 1e-6} | settings))
    assert "\n" not in str(caught.value)


def test_bad_schemes_and_targets_are_refused():
    for bad in ((0.0, 1e-6), (1e-6, -1e-6), (1e-6, 1e-6, -0.1)):
        with pytest.raises(InputError, match="IncrementalPulses"):
            IncrementalPulses(*bad)
    with pytest.raises(ArgumentTypeError, match="scheme must be a PulseScheme"):
        WriteVerified(NOISY, 1e-6, scheme="iterative")
    with pytest.raises(ArgumentTypeError, match="device must be a Device"):
        WriteVerified("pcm", 1e-6)
    with pytest.raises(InputError, match="empty"):
        write_verify(WriteVerified(NOISY, 1e-6), [], rng())
    with pytest.raises(InputError, match="WriteVerified"):
        write_verify(WriteVerified(NOISY, 1e-6), [-1e-6], rng())
    with pytest.raises(InputError, match="0 to 1"):
        write_verify(WriteVerified(NOISY, 1e-6), [1e-6], rng()).error_quantiles((1.5,))


def test_a_users_device_is_verified_too():
    report = write_verify(WriteVerified(Stubborn(), 0.1e-6, max_pulses=50), middle(1000), rng())
    assert report.open_cells == 0 and report.pulses.mean() == pytest.approx(1 / 0.6827, rel=0.1)
    assert exact(Stubborn()).g_max == 25e-6


def test_a_tight_tolerance_helps_the_embedded_network():
    plain = datasets.mnist_network()
    network = ne.quantize(plain, samples=plain.samples)
    x, y = datasets.mnist_test(200)
    rough = Generic(noise=NormalNoise(8e-6))
    chip = replace(chips.HERMES, device=rough)
    verified = replace(chip, device=WriteVerified(rough, 1e-6, max_pulses=200))
    before = ne.run(network, chip, x, labels=y, trials=2).accuracy
    after = ne.run(network, verified, x, labels=y, trials=2)
    assert after.accuracy > 0.95 and before < after.accuracy - 0.1
    one, part = ne.run(network, verified, x), ne.run(network, verified, x[:30], threads=2)
    np.testing.assert_array_equal(part.outputs, one.outputs[:30])
