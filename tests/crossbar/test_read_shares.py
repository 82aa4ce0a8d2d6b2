"""Read noise split cell by cell: what is frozen, slow and fresh in the effective weights of a tile."""

import numpy as np
import pytest

from neuroemu.crossbar import Averaged, DifferentialPair, OffsetColumn
from neuroemu.crossbar.mapping import Tile
from neuroemu.crossbar.programming import effective_weights, program
from neuroemu.devices import Ideal, Pcm, TelegraphNoise, WhiteNoise, WithReadNoise

ROWS, COLUMNS, TOP, IMAGE, SESSION = 300, 200, 127, 1e-5, 0.1
TILE = Tile(slice(0, ROWS), slice(0, COLUMNS), 0)
PAIR = DifferentialPair(sided="two")


def read(device, *, mapping=PAIR, merge_slow=False, seed=0, levels=None, seconds=0.0):
    levels = np.full((ROWS, COLUMNS), 50.0, np.float32) if levels is None else levels
    held = program(levels, [TILE], TOP, device, mapping=mapping, seed=1, trial=0, layer=0)
    weights = effective_weights(
        held,
        levels.shape,
        TOP,
        device,
        seconds=seconds,
        spans=(IMAGE, SESSION),
        merge_slow=merge_slow,
        key=(seed, 0, 0),
    )
    return held[0].cells, weights


def trapped(**settings):
    return WithReadNoise(Ideal(), (TelegraphNoise(**{"amplitude": 0.1, "fastest": 1e5, "slowest": 1e5} | settings),))


def test_a_frozen_trap_is_full_or_empty():
    """G = target + a G (s - p): a pair has four values, with the binomial weights of two traps."""
    p = 0.3
    _, weights = read(trapped(occupancy=p))
    up, down = (0.5 + 25 / TOP), (0.5 - 25 / TOP)  # G+ and G- over g_max of level 50
    error = (weights.mean - 50) / (0.1 * TOP)
    values = {(s, t): up * (s - p) - down * (t - p) for s in (0, 1) for t in (0, 1)}
    share = {0: 1 - p, 1: p}
    n, found = error.size, 0
    for (s, t), value in values.items():
        near = np.abs(error - value) < 0.01
        expected = share[s] * share[t]
        assert near.mean() == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / n))
        found += near.sum()
    assert found == n  # nothing in between
    # Sessions of another seed find the traps in other states; of the same, in the same.
    np.testing.assert_array_equal(weights.mean, read(trapped(occupancy=p))[1].mean)
    assert not np.array_equal(weights.mean, read(trapped(occupancy=p), seed=2)[1].mean)


@pytest.mark.parametrize("mapping, devices", [(PAIR, 1), (Averaged(4, PAIR), 4), (OffsetColumn(), 1)])
def test_nothing_of_the_variance_is_lost(mapping, devices):
    """Frozen noise has the frozen variance, and the three shares add up to read_sigma squared."""
    device = trapped(fastest=1e-7, slowest=1e3, spread=0.3)
    cells, weights = read(device, mapping=mapping)
    sigma = device.read_sigma(cells, 0.0) / (device.g_max / TOP)
    shares = device.read_shares(0.0, image_seconds=IMAGE, session_seconds=SESSION, cells=cells)

    def summed(variance):
        variance = variance.mean(axis=1) / devices if variance.ndim == 4 else variance
        return variance.sum(axis=0)

    np.testing.assert_allclose(weights.fresh_variance, summed(sigma**2 * shares.fresh), rtol=1e-5)
    np.testing.assert_allclose(weights.slow_sigma**2, summed(sigma**2 * shares.slow), rtol=1e-5, atol=1e-9)
    frozen = summed(sigma**2 * shares.frozen)
    assert (weights.mean - 50).std() == pytest.approx(np.sqrt(frozen.mean()), rel=0.03)


def test_each_cell_has_its_own_time_scale():
    """Traps of three speeds: fast ones are in the fresh share only, slow ones in the frozen share only."""
    device = trapped(fastest=1e-9, slowest=1e9)
    cells, weights = read(device, mapping=OffsetColumn())
    tau, sigma = cells.state["0.tau"][0], device.read_sigma(cells, 0.0)[0] / (device.g_max / TOP)
    fast, slow = tau < 1e-8, tau > 10
    middle = (tau > 1e-4) & (tau < 1e-2)
    assert min(fast.sum(), slow.sum(), middle.sum()) > 1000
    fresh, between, shift = weights.fresh_variance / sigma**2, weights.slow_sigma**2 / sigma**2, weights.mean - 50
    assert fresh[fast].min() > 0.99 and between[fast].max() < 0.01 and np.abs(shift / sigma)[fast].max() < 0.01
    assert fresh[slow].max() < 0.01 and np.abs(np.abs(shift / sigma) - 1)[slow].max() < 0.01  # p = 1/2: +-sigma
    assert between[middle].mean() > 0.8


def test_slow_noise_merges_into_the_fresh():
    device = trapped(fastest=1e-7, slowest=1e3)
    apart, merged = read(device)[1], read(device, merge_slow=True)[1]
    assert merged.slow_sigma is None
    np.testing.assert_allclose(merged.fresh_variance, apart.fresh_variance + apart.slow_sigma**2, rtol=1e-5)
    np.testing.assert_array_equal(merged.mean, apart.mean)


def test_traps_lie_on_top_of_the_noise_of_the_device():
    device = WithReadNoise(Pcm(programming_noise=False, drift=False), (TelegraphNoise(0.1, fastest=1e5, slowest=1e5),))
    cells, weights = read(device, seconds=3600.0)
    step = device.g_max / TOP
    own = Pcm().read_sigma(cells, 3600.0) / step
    frozen = Pcm().read_shares(3600.0, image_seconds=IMAGE, session_seconds=SESSION).frozen
    expected = frozen * own**2 + (0.05 * cells.conductance / step) ** 2
    assert (weights.mean - 50).std() == pytest.approx(np.sqrt(expected.sum(axis=0).mean()), rel=0.02)


def test_quiet_devices_have_no_variances():
    weights = read(Ideal())[1]
    assert weights.fresh_variance is None and weights.slow_sigma is None and (weights.mean == 50).all()
    weights = read(WithReadNoise(Ideal(), (WhiteNoise(1e-7),)))[1]
    assert weights.slow_sigma is None and (weights.fresh_variance > 0).all() and (weights.mean == 50).all()
