"""Device models against their published polynomials and by statistics of what they draw."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from neuroemu.devices import Generic, HermesPcm, Ideal, NormalNoise, Pcm, RramCmo, RramWan2022, Sonos, _arrays, stick
from neuroemu.errors import InputError

MICRO = 1e-6


def test_published_programming_noise():
    # 0.9527 uS at half of 25 uS: Joshi 2020's polynomial; a sample of the open model gave 0.951.
    assert Pcm().programming_sigma(np.array(0.5)) == pytest.approx(0.9527 * MICRO, rel=1e-3)
    assert Pcm(g_max=50e-6).programming_sigma(np.array(0.5)) == pytest.approx(2 * 0.9527 * MICRO, rel=1e-3)
    # HERMES, two devices: the sum of the coefficients at g = 1.
    assert HermesPcm().programming_sigma(np.array(1.0)) == pytest.approx(1.09269857 * MICRO, rel=1e-6)
    assert HermesPcm(devices=1).programming_sigma(np.array(1.0)) == pytest.approx(1.00756712 * MICRO, rel=1e-6)


@pytest.mark.parametrize("device", [Pcm(), HermesPcm(), HermesPcm(devices=1)])
def test_drawn_cells_follow_the_statistics(device):
    target = np.full(200_000, 0.6 * device.g_max)
    cells = device.program(target, np.random.default_rng(1))
    sigma = device.programming_sigma(np.array(0.6))
    assert cells.conductance.mean() == pytest.approx(target[0], abs=4 * sigma / np.sqrt(target.size))
    assert cells.conductance.std() == pytest.approx(sigma, rel=0.01)
    assert cells.conductance.min() >= 0
    cells = replace(device, programming_noise=False).program(target, np.random.default_rng(2))
    mu, spread = device.drift_statistics(np.array(0.6))
    assert cells.drift_exponent.mean() == pytest.approx(mu, rel=0.01)
    assert cells.drift_exponent.std() == pytest.approx(spread, rel=0.02)


@pytest.mark.parametrize("device", [Pcm(), HermesPcm(), HermesPcm(devices=1)])
@pytest.mark.parametrize("level", [0.02, 0.6])
def test_a_million_cells_are_distributed_as_the_equations_say(device, level):
    target = np.full(1_000_000, level * device.g_max)
    cells = device.program(target, np.random.default_rng(11))
    sound = cells.conductance > 0  # the normal is cut at 0
    law = stats.norm(target[0], device.programming_sigma(np.array(level)))
    assert 1 - sound.mean() == pytest.approx(law.cdf(0), abs=2e-3)
    cut = stats.truncnorm(-law.mean() / law.std(), np.inf, law.mean(), law.std())
    assert stats.kstest(cells.conductance[sound], cut.cdf).pvalue > 1e-3
    cells = replace(device, programming_noise=False).program(target, np.random.default_rng(12))
    mu, spread = (float(value) for value in device.drift_statistics(np.array(level)))
    assert stats.kstest(cells.drift_exponent, stats.foldnorm(mu / spread, scale=spread).cdf).pvalue > 1e-3


@pytest.mark.parametrize("device", [Pcm(), RramWan2022(), Generic(noise=NormalNoise(1e-6), drift_spread=0.01)])
def test_draws_of_a_cell_are_independent_of_its_other_draws_and_of_other_cells(device):
    targets = np.full((2, 400, 500), 0.6 * device.g_max)
    generator = np.random.default_rng(13)
    first, second = device.program(targets, generator), device.program(targets, generator)
    other = first.drift_exponent if np.ndim(first.drift_exponent) else first.state["relaxation"]
    neighbour, partner = np.roll(first.conductance, 1, axis=2), first.conductance[::-1]
    rows = [array.ravel() for array in (first.conductance, second.conductance, other, neighbour, partner)]
    correlation = np.corrcoef(rows)[np.triu_indices(len(rows), 1)]
    assert np.abs(correlation).max() < 5 / np.sqrt(targets.size / 2)


@pytest.mark.parametrize("device", [Pcm(), HermesPcm(), RramWan2022(), RramCmo(), Sonos()])
def test_blocks_and_shapes_do_not_change_a_bit(device, monkeypatch):
    targets = np.linspace(device.g_min, device.g_max, 3 * 50 * 7)
    read = []
    for block, shape in ((1 << 15, (-1,)), (64, (3, 50, 7)), (1000, (2, 75, 7)), (1 << 15, (7, 150))):
        monkeypatch.setattr(_arrays, "BLOCK", block)
        cells = device.program(targets.reshape(shape), np.random.default_rng(14))
        read.append((device.conductance(cells, 3600.0).ravel(), device.read_sigma(cells, 3600.0).ravel()))
    for now, sigma in read[1:]:
        np.testing.assert_array_equal(now, read[0][0])
        np.testing.assert_array_equal(sigma, read[0][1])
    turned = device.program(targets.reshape(50, 21).T, np.random.default_rng(14))  # not contiguous
    assert turned.conductance.shape == (21, 50) == device.conductance(turned, 1.0).shape


def test_drift_is_a_power_law_of_absolute_time():
    device = HermesPcm()
    cells = device.program(np.array([0.0, 5e-6, 20e-6]), np.random.default_rng(0))
    one_hour = device.conductance(cells, 3600.0)
    np.testing.assert_allclose(one_hour, cells.conductance * (3900 / 300) ** -cells.drift_exponent)
    np.testing.assert_array_equal(device.conductance(cells, 0.0), cells.conductance)
    device.conductance(cells, 1e6)
    np.testing.assert_array_equal(device.conductance(cells, 3600.0), one_hour)


def test_read_noise_is_that_of_a_1_over_f_spectrum():
    device = Pcm()
    cells = device.program(np.array([10e-6]), np.random.default_rng(0))
    now = device.conductance(cells, 100.0)
    q = min(0.0088 / (cells.conductance[0] / 25e-6) ** 0.65, 0.2)
    expected = now[0] * q * np.sqrt(np.log((100 + 20 + 250e-9) / 500e-9))
    assert device.read_sigma(cells, 100.0)[0] == pytest.approx(expected, rel=1e-9)


def test_most_of_the_read_noise_is_frozen_or_slow():
    # HERMES at its first read, 300 s: 12 % of the variance within 10 us, 59 % within 0.1 s.
    shares = HermesPcm().read_shares(0.0, image_seconds=10e-6, session_seconds=0.1)
    assert shares.fresh == pytest.approx(0.12, abs=0.005)
    assert shares.fresh + shares.slow == pytest.approx(0.59, abs=0.005)
    assert shares.fresh + shares.slow + shares.frozen == pytest.approx(1.0)


def test_shares_stay_within_zero_and_one():
    all_fresh = HermesPcm().read_shares(0.0, image_seconds=1e9, session_seconds=1e9)
    assert (all_fresh.fresh, all_fresh.slow, all_fresh.frozen) == (1.0, 0.0, 0.0)
    with pytest.raises(InputError, match="rise from"):
        HermesPcm().read_shares(0.0, image_seconds=1.0, session_seconds=0.1)


def test_each_effect_can_be_switched_off():
    quiet = HermesPcm(programming_noise=False, drift=False, read_noise=False)
    target = np.linspace(0, 20e-6, 50)
    cells = quiet.program(target, np.random.default_rng(0))
    np.testing.assert_array_equal(quiet.conductance(cells, 1e5), target)
    assert not quiet.read_sigma(cells, 1e5).any()


def test_ideal_cells_do_not_move():
    ideal = Ideal()
    cells = ideal.program(np.array([1e-6]), np.random.default_rng(0))
    assert ideal.conductance(cells, 1e9) == 1e-6 and ideal.read_sigma(cells, 1e9) == 0


def test_bad_devices_are_refused():
    with pytest.raises(InputError, match="1 to 2"):
        HermesPcm(devices=3)
    with pytest.raises(InputError, match="g_max"):
        Ideal(g_min=2e-6, g_max=1e-6)
    cells = Pcm().program(np.array([1e-6]), np.random.default_rng(0))
    with pytest.raises(InputError, match="seconds"):
        Pcm().conductance(cells, -1.0)


@pytest.mark.parametrize(
    "kind, settings, said",
    [
        (Pcm, {"g_max": -1.0}, "g_max"),
        (Pcm, {"g_max": 0.0}, "g_max"),
        (Pcm, {"g_min": 25e-6}, "above g_min"),
        (Pcm, {"g_min": -1e-6}, "g_min"),
        (Pcm, {"g_max": float("nan")}, "g_max"),
        (Pcm, {"t_read": 0.0}, "t_read"),
        (Pcm, {"t0": 0.0}, "t0"),
        (Pcm, {"t0": float("inf")}, "t0"),
        (HermesPcm, {"g_min": 21e-6}, "above g_min"),
        (HermesPcm, {"t_read": -1e-9}, "t_read"),
        (HermesPcm, {"devices": 1, "g_min": 10.35e-6}, "above g_min"),
    ],
)
def test_bad_parameters_are_refused_in_one_line(kind, settings, said):
    with pytest.raises(InputError, match=said) as caught:
        kind(**settings)
    assert "\n" not in str(caught.value) and kind.__name__ in str(caught.value)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1e-6])
def test_bad_targets_are_refused(bad):
    with pytest.raises(InputError, match="Pcm"):
        Pcm().program(np.array([1e-6, bad]), np.random.default_rng(0))


def test_white_is_all_fresh_by_name():
    shares = HermesPcm(white=True).read_shares(3600.0, image_seconds=10e-6, session_seconds=0.1)
    assert (shares.fresh, shares.slow, shares.frozen) == (1.0, 0.0, 0.0)
    cells = HermesPcm().program(np.array([10e-6]), np.random.default_rng(0))
    assert HermesPcm(white=True).read_sigma(cells, 3600.0) == HermesPcm().read_sigma(cells, 3600.0)


def test_stuck_cells_hold_and_the_rest_drifts():
    device = Pcm()
    cells = device.program(np.full(4, 10e-6), np.random.default_rng(3))
    held = stick(
        stick(cells, np.array([True, False, False, False]), 5e-6), np.array([False, True, False, False]), 25e-6
    )
    now = device.conductance(held, 1e6)
    assert now[0] == 5e-6 and now[1] == 25e-6
    np.testing.assert_array_equal(now[2:], device.conductance(cells, 1e6)[2:])
    assert (now[2:] < cells.conductance[2:]).all() and cells.stuck is None
    with pytest.raises(InputError, match="bool array"):
        stick(cells, np.array([0]), 0.0)
    with pytest.raises(InputError, match="0 siemens or more"):
        stick(cells, np.zeros(4, bool), -1e-6)
