"""Endurance against the Weibull law."""

import numpy as np
import pytest
from scipy import stats

from neuroemu.devices import (
    Endurance,
    Faulty,
    Generic,
    Ideal,
    NormalNoise,
    Pcm,
    RramWan2022,
    WhiteNoise,
    WithReadNoise,
    WriteVerified,
)
from neuroemu.errors import ArgumentTypeError, InputError

N, SCALE, SHAPE = 40_000, 1e6, 1.7


def rng(seed=0):
    return np.random.default_rng(seed)


def aged(used, device=None, **settings):
    settings = settings or {"stuck_on": 0.3, "stuck_off": 0.7}
    return Endurance(device or Ideal(), SCALE, SHAPE, used, **settings)


def test_cycles_to_failure_are_weibull():
    cells = aged(0.0).program(np.full(N, 10e-6), rng())
    law = stats.weibull_min(SHAPE, scale=SCALE)
    assert stats.kstest(cells.state["cycles to failure"], law.cdf).pvalue > 1e-3
    np.testing.assert_allclose(aged(0.0).failed_share([1e5, 1e6, 3e6]), law.cdf([1e5, 1e6, 3e6]))
    assert aged(0.0).failed_share(SCALE) == pytest.approx(1 - np.exp(-1))


@pytest.mark.parametrize("used", [0.0, 3e5, 1e6, 5e6])
def test_shares_of_failed_cells(used):
    cells = aged(used).program(np.full(N, 10e-6), rng(1))
    failed = stats.weibull_min(SHAPE, scale=SCALE).cdf(used)
    worn, g = cells.state["worn"], cells.conductance
    for code, share, value in ((0, 1 - failed, 10e-6), (1, 0.3 * failed, 25e-6), (2, 0.7 * failed, 0.0)):
        assert np.mean(worn == code) == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / N))
        assert (g[worn == code] == value).all()


def test_cells_stay_dead():
    early, late = (aged(used).program(np.full(N, 10e-6), rng(2)).state["worn"] for used in (3e5, 1e6))
    assert (late[early > 0] == early[early > 0]).all() and (early > 0).sum() < (late > 0).sum()
    noisy = Generic(noise=NormalNoise(1e-6))
    fresh, old = (aged(used, noisy).program(np.full(N, 10e-6), rng(2)) for used in (0.0, 1e6))
    alive = old.state["worn"] == 0
    np.testing.assert_array_equal(fresh.conductance[alive], old.conductance[alive])  # wear touches no noise of others


def test_a_narrow_window_clips_targets():
    device = aged(1e9, window=(0.2, 0.6), stuck_off=0.25)
    targets = np.linspace(0, 25e-6, N)
    cells = device.program(targets, rng(3))
    worn = cells.state["worn"]
    assert set(np.unique(worn)) == {2, 3} and np.mean(worn == 2) == pytest.approx(0.25, abs=0.01)
    np.testing.assert_allclose(cells.conductance[worn == 3], np.clip(targets, 5e-6, 15e-6)[worn == 3])
    assert not cells.conductance[worn == 2].any()


@pytest.mark.parametrize("inner", [Pcm(), RramWan2022(), WithReadNoise(Pcm(), (WhiteNoise(1e-6),))])
def test_stuck_cells_hold_and_others_live(inner):
    device = aged(1e6, inner)
    target = np.full(5000, 10e-6)
    cells = device.program(target, rng(4))
    stuck = cells.state["worn"] > 0
    for seconds in (0.0, 86_400.0):
        now, sigma = device.conductance(cells, seconds), device.read_sigma(cells, seconds)
        assert set(now[stuck]) == {0.0, inner.g_max} and not sigma[stuck].any()
        np.testing.assert_array_equal(now[~stuck], inner.conductance(inner.program(target, rng(4)), seconds)[~stuck])
        np.testing.assert_array_equal(sigma[~stuck], inner.read_sigma(cells, seconds)[~stuck])
    spans = {"image_seconds": 1e-5, "session_seconds": 0.1}
    assert device.read_shares(60.0, **spans) == inner.read_shares(60.0, **spans)


def test_it_goes_round_write_verify_and_under_faults():
    device = Faulty(aged(5e5, WriteVerified(Generic(noise=NormalNoise(1e-6)), 0.3e-6, max_pulses=200)), stuck_on=0.1)
    cells = device.program(np.full((100, 100), 10e-6), rng(5))
    fine = (cells.state["worn"] == 0) & (cells.state["fault"] == 0)
    assert np.abs(cells.conductance[fine] - 10e-6).max() <= 0.3e-6
    assert (cells.conductance[cells.state["fault"] > 0] == 25e-6).all()
    with pytest.raises(InputError, match=r"wrap as Endurance\(WriteVerified"):
        WriteVerified(aged(1.0), 1e-6)
    with pytest.raises(InputError, match=r"wrap as Endurance\(WithReadNoise"):
        WithReadNoise(aged(1.0), (WhiteNoise(1e-6),))
    with pytest.raises(InputError, match=r"wrap as Faulty\(WithReadNoise"):
        WithReadNoise(Faulty(Pcm()), (WhiteNoise(1e-6),))


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"characteristic_cycles": 0.0}, "characteristic_cycles"),
        ({"shape": -1.0}, "shape"),
        ({"used_cycles": -1.0}, "used_cycles"),
        ({"stuck_on": 0.5}, "sum to 0.5"),
        ({"stuck_on": 1.5}, "stuck_on"),
        ({"stuck_on": 0.7, "stuck_off": 0.7}, "sum to 1.4"),
        ({"window": (0.5, 0.5)}, "low end"),
        ({"window": (-0.1, 0.5)}, "window"),
        ({"device": Faulty(Pcm())}, "give one of each"),
    ],
)
def test_bad_settings_are_refused_in_one_line(settings, said):
    given = {"device": Pcm(), "characteristic_cycles": 1e6, "shape": 1.0, "used_cycles": 0.0, "stuck_on": 1.0}
    with pytest.raises(InputError, match=said) as caught:
        Endurance(**(given | settings))
    assert "\n" not in str(caught.value)


def test_wrong_types_are_refused():
    with pytest.raises(ArgumentTypeError, match="window"):
        aged(1.0, window=0.5)
    with pytest.raises(ArgumentTypeError, match="device must be a Device"):
        Endurance("pcm", 1.0, 1.0, 0.0, stuck_on=1.0)
    with pytest.raises(InputError, match="program them with this Endurance"):
        aged(1.0).conductance(Pcm().program(np.zeros(3), rng()), 0.0)
