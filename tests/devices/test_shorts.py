"""Lines that touch, against the circuit that they stand for."""

import numpy as np
import pytest

from neuroemu.devices import Fault, Faulty, Generic, Ideal, Pcm, RramWan2022, TelegraphNoise, WhiteNoise, WithReadNoise
from neuroemu.errors import InputError

SPANS = {"image_seconds": 1e-5, "session_seconds": 0.1}


def rng(seed=0):
    return np.random.default_rng(seed)


def circuit(conductance, volts, word, bit, ohm=1e-3):
    """Currents of an array without wire resistance by nodal analysis; drivers and column inputs have `ohm` each.

    Lines with one label are one node: a word line is fed by all its drivers, a bit line is drained by all its inputs.
    """
    words, bits = np.unique(word, return_inverse=True)[1], np.unique(bit, return_inverse=True)[1]
    n, m = words.max() + 1, bits.max() + 1
    joined = np.zeros((n, m))
    np.add.at(joined, (words[:, None], bits), conductance)
    matrix, source = np.zeros((n + m, n + m)), np.zeros(n + m)
    matrix[:n, n:], matrix[n:, :n] = -joined, -joined.T
    drivers, inputs = np.bincount(words) / ohm, np.bincount(bits) / ohm
    np.fill_diagonal(matrix, np.concatenate([joined.sum(axis=1) + drivers, joined.sum(axis=0) + inputs]))
    np.add.at(source, words, volts / ohm)
    return np.linalg.solve(matrix, source)[n:][bits] / ohm


@pytest.mark.parametrize(
    "shares", [{"shorted_rows": 0.4}, {"shorted_columns": 0.7}, {"shorted_rows": 0.3, "shorted_columns": 0.3}]
)
def test_currents_are_those_of_the_circuit(shares):
    device = Faulty(Ideal(), stuck_on=0.1, open_rows=0.1, open_columns=0.1, **shares)
    cells = device.program(rng(1).uniform(1e-6, 25e-6, (30, 20)), rng(2))
    word, bit = cells.state["word line"][:, 0], cells.state["bit line"][0]
    assert max(np.bincount(word).max(), np.bincount(bit).max()) >= 3  # a chain of three lines at least
    volts = rng(3).uniform(-0.2, 0.2, 30)
    expected = circuit(cells.conductance, volts, word, bit)
    np.testing.assert_allclose(volts @ device.conductance(cells, 0.0), expected, rtol=1e-5, atol=1e-12)
    assert np.abs(volts @ cells.conductance - expected).max() > 1e-7


def test_lines_touch_with_their_probability_unless_open():
    device = Faulty(Ideal(), shorted_rows=0.1, shorted_columns=0.2, open_rows=0.3)
    cells = device.program(np.zeros((3000, 2000)), rng(4))
    opened = (cells.state["fault"] == Fault.OPEN).all(axis=1)
    word, bit = cells.state["word line"][:, 0], cells.state["bit line"][0]
    touching = word[1:] == word[:-1]
    assert not (touching & (opened[1:] | opened[:-1])).any()
    assert touching.mean() == pytest.approx(0.1 * 0.7**2, abs=0.012)
    assert np.mean(bit[1:] == bit[:-1]) == pytest.approx(0.2, abs=4 * np.sqrt(0.16 / 1999))


def test_polarities_share_word_lines_and_their_shorts():
    device = Faulty(Ideal(), shorted_rows=0.2, shorted_columns=0.2)
    targets = rng(5).uniform(1e-6, 25e-6, (2, 3, 50, 40))
    cells = device.program(targets, rng(6))
    now = device.conductance(cells, 0.0)
    word, bit = cells.state["word line"], cells.state["bit line"]
    assert (word == word[0, 0, :, :1]).all() and (bit == bit[:, :1, :1]).all()
    assert not np.array_equal(bit[0], bit[1])
    rows = np.flatnonzero(np.diff(word[0, 0, :, 0]) == 0)
    np.testing.assert_allclose(now[:, :, rows], now[:, :, rows + 1])
    one = np.flatnonzero(np.bincount(bit[1, 0, 0])[bit[1, 0, 0]] == 1)[0]
    free = np.flatnonzero(np.bincount(word[0, 0, :, 0])[word[0, 0, :, 0]] == 1)
    np.testing.assert_array_equal(now[1, :, free, one], targets[1, :, free, one])
    # The sum over lines that touch is kept: what one column gains another loses.
    np.testing.assert_allclose(now.sum(axis=(2, 3)), targets.sum(axis=(2, 3)))


@pytest.mark.parametrize("inner", [Pcm(), RramWan2022()])
def test_drift_goes_on_under_a_short(inner):
    device = Faulty(inner, shorted_rows=1.0)
    cells = device.program(np.full((4, 5), 10e-6), rng(7))
    for seconds in (0.0, 86_400.0):
        own = inner.conductance(cells, seconds)
        np.testing.assert_allclose(device.conductance(cells, seconds), np.broadcast_to(own.mean(axis=0), (4, 5)))


def test_noise_of_columns_that_touch_is_averaged():
    """Two cells side by side: var = (s1^2 + s2^2) / 4; its split is weighted by the variances."""
    parts = (TelegraphNoise(0.1, fastest=1e-9, slowest=1e9), WhiteNoise(1e-7))
    inner = WithReadNoise(Generic(), parts)
    device = Faulty(inner, shorted_columns=1.0, stuck_on=0.2)
    cells = device.program(rng(8).uniform(5e-6, 20e-6, (300, 2)), rng(8))
    own = np.where(cells.state["fault"] == 0, inner.read_sigma(cells, 0.0), 0.0) ** 2
    np.testing.assert_allclose(
        device.read_sigma(cells, 0.0) ** 2, np.broadcast_to(own.sum(1, keepdims=True) / 4, (300, 2))
    )
    shares, each = (d.read_shares(0.0, **SPANS, cells=cells) for d in (device, inner))
    noisy = own.any(axis=1)
    for name in ("fresh", "slow", "frozen"):
        weighted = (own * getattr(each, name)).sum(axis=1)[noisy] / own.sum(axis=1)[noisy]
        np.testing.assert_allclose(getattr(shares, name)[noisy, 0], weighted, atol=1e-12)
    np.testing.assert_allclose(shares.fresh + shares.slow + shares.frozen, 1.0)
    assert not shares.traps[0].share.any() and each.traps[0].share.any()


def test_bad_shorts_are_refused():
    for name in ("shorted_rows", "shorted_columns"):
        for bad in (-0.1, 1.1, float("nan")):
            with pytest.raises(InputError, match=name):
                Faulty(Ideal(), **{name: bad})
        with pytest.raises(InputError, match=r"R, C\)"):
            Faulty(Ideal(), **{name: 0.1}).program(np.zeros(4), rng())
    one = Faulty(Ideal(), shorted_rows=1.0, shorted_columns=1.0).program(np.full((1, 1), 1e-6), rng())
    assert Faulty(Ideal(), shorted_rows=1.0).conductance(one, 0.0) == 1e-6
