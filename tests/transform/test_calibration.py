"""Ranges from histograms: the squared error against a search over real values, the divergence against its equation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroemu import Entropy, MinMax, Mse, quantize, run_float, run_integer
from neuroemu.network import Dense, relu, sequential
from neuroemu.transform.calibration import observe
from neuroemu.transform.histogram import BINS, Histogram
from neuroemu.transform.quantize import grid_for


def histogram(values, parts=3):
    found = Histogram(low=float(values.min()), high=float(values.max()))
    for part in np.array_split(values, parts):
        found = found.plus(part)
    return found


def error(values, low, high, bits):
    grid = grid_for(low, high, bits=bits)
    return np.mean((values - (grid.encode(values) - np.float64(grid.zero_point)) * grid.scale) ** 2)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([2, 3, 4, 6, 8]), st.booleans(), st.floats(1, 300))
def test_no_range_has_a_much_smaller_squared_error(seed, bits, one_sided, outlier):
    random = np.random.default_rng(seed)
    values = np.append(random.laplace(0, 1, 1000), outlier)
    values = np.maximum(values, 0) if one_sided else values
    chosen = error(values, *Mse().range(histogram(values), bits), bits)
    low, high = min(values.min(), 0.0), values.max()
    shares = np.geomspace(0.005, 1, 25)
    others = [error(values, low * a, high * b, bits) for a in shares for b in shares]
    assert chosen <= 1.05 * min(others)


def exponential_error(top, bits):
    """Mean squared error of x with density exp(-x) on codes 0 .. 2^bits - 1 over 0 .. top, integrated."""
    step = top / (2**bits - 1)
    codes = step * np.arange(2**bits)
    edges = np.concatenate([[0.0], (codes[1:] + codes[:-1]) / 2, [60.0]])

    def integral(x):  # of (x - code)^2 exp(-x), without sign
        return np.exp(-x) * ((x - codes) ** 2 + 2 * (x - codes) + 2)

    return float((integral(edges[:-1]) - integral(edges[1:])).sum())


@pytest.mark.parametrize("bits", [2, 3, 4, 6])
def test_mse_clips_an_exponential_distribution_where_the_integral_does(bits):
    values = np.random.default_rng(0).exponential(1, 400_000)
    low, high = Mse().range(histogram(values), bits)
    tops = np.geomspace(0.5, 20, 2000)
    errors = [exponential_error(top, bits) for top in tops]
    assert low == 0.0
    assert high == pytest.approx(tops[int(np.argmin(errors))], rel=0.08)
    assert exponential_error(high, bits) < 1.01 * min(errors)


def divergence(counts, end, levels):
    """KL(P || Q) by loops; infinite where fewer than half of the values are kept."""
    p = {i: float(counts[i]) for i in range(end) if counts[i]}
    if sum(p.values()) < counts.sum() / 2:
        return np.inf
    merged = min(end, BINS - 1)
    q = {BINS - 1: p[BINS - 1]} if end == BINS else {}
    for part in range(levels):
        bins = [i for i in range(part * merged // levels, (part + 1) * merged // levels) if i in p]
        q |= {i: sum(p[j] for j in bins) / len(bins) for i in bins}
    inside = sum(p.values())
    p[max(p)] += counts[end:].sum()
    return sum(p[i] / counts.sum() * np.log(p[i] / counts.sum() * inside / q[i]) for i in p)


@pytest.mark.parametrize("one_sided", [True, False])
def test_entropy_takes_the_least_divergence(one_sided):
    values = np.append(np.random.default_rng(3).laplace(0, 1, 5000), [12.0, -14.0])
    values = np.abs(values) if one_sided else values
    low, high = Entropy().range(histogram(values), 4)
    width = np.abs(values).max() / BINS
    kept = round(high / width)
    assert low == pytest.approx(values.min() if one_sided else -high)
    counts, _ = np.histogram(np.abs(values), BINS, (0, np.abs(values).max()))
    levels = 16 if one_sided else 8
    ends = [*range(levels, BINS + 1, 41), *range(kept - 5, kept + 6)]
    assert divergence(counts, kept, levels) <= min(divergence(counts, end, levels) for end in ends) + 1e-12
    assert BINS // 20 < kept < BINS


def test_entropy_keeps_values_far_from_zero():
    values = np.random.default_rng(0).uniform(3, 5, 5000)
    assert Entropy().range(histogram(values), 8)[1] > 4.9


@pytest.mark.parametrize("bits", [3, 4, 8])
def test_entropy_keeps_the_bound_of_a_clip(bits):
    values = np.clip(np.random.default_rng(0).normal(2, 3, 20_000), 0, 6)
    assert Entropy().range(histogram(values), bits)[1] == 6.0


def test_entropy_cuts_an_outlier_that_min_max_keeps():
    values = np.abs(np.append(np.random.default_rng(0).normal(0, 1, 50_000), 40.0))
    assert Entropy().range(histogram(values), 8)[1] < 10


@pytest.mark.parametrize("rule", [Mse(), Entropy()])
@pytest.mark.parametrize("values", [np.zeros(9), np.full(9, 3.0), np.full(9, -3.0), np.array([1e-38, 5e-39, 0.0])])
def test_degenerate_values_keep_a_range(rule, values):
    low, high = rule.range(histogram(values), 4)
    assert low <= high and values.min() >= low - 1e-6 and values.max() <= high + 1e-6
    grid_for(low, high, bits=4)


def test_histograms_hold_all_values_in_fixed_memory():
    random = np.random.default_rng(0)
    net = sequential([Dense(name="fc", weight=random.normal(0, 1, (5, 4))), relu(name="relu")], input_shape=(4,))
    x = random.normal(0, 1, (300, 4)).astype(np.float32)  # three batches
    seen = observe(net, x, Mse())
    values = run_float(net, x, keep=["fc"])[1]["fc"].astype(np.float64)
    assert seen["fc"].counts.shape == (2, BINS)
    assert seen["fc"].counts.sum() == values.size and seen["relu"].counts.sum() == (values > 0).sum()
    assert seen["fc"].counts[0].sum() == (values < 0).sum()
    assert (seen["fc"].low, seen["fc"].high) == (values.min(), values.max())
    assert seen["fc"].sums.sum() == pytest.approx(values.sum())
    assert seen["fc"].squares.sum() == pytest.approx((values**2).sum())


def test_rules_of_histograms_quantize_activations_with_outliers_better():
    random = np.random.default_rng(1)
    net = sequential(
        [
            Dense(name="first", weight=random.normal(0, 1, (32, 16))),
            relu(name="relu"),
            Dense(name="last", weight=random.normal(0, 1, (4, 32))),
        ],
        input_shape=(16,),
    )
    x = random.normal(0, 1, (600, 16)).astype(np.float32)
    samples = np.concatenate([x[:300], 12 * x[:1]])  # one loud sample
    real = run_float(net, x[300:])

    def lost(rule):
        q = quantize(net, samples=samples, activation_bits=4, calibration=rule)
        assert q.grids["last"].bits == 8
        return np.mean((run_integer(q, x[300:]) - real) ** 2)

    loud = lost(MinMax())
    assert lost(Mse()) < 0.5 * loud and lost(Entropy()) < 0.8 * loud
