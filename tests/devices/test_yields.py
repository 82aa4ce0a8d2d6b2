"""Yield against its closed forms: binomial for single faults, Poisson clusters, Stapper's negative binomial."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

import neuroemu as ne
from neuroemu.devices import Faulty, Ideal, Pcm, fault_map, yield_curve
from neuroemu.errors import ArgumentTypeError, InputError

ARRAYS = 700
ALONE = Faulty(Ideal(), stuck_on=0.25, stuck_off=0.75)


def binomial_yield(shape, share, *, spares=0, allowed=0):
    cells, columns = np.prod(shape[:-1]), shape[-1]
    return stats.binom.cdf(spares + allowed, columns + spares, 1 - (1 - share) ** cells)


@pytest.mark.parametrize("shape, spares", [((20, 16), 0), ((2, 12, 16), 0), ((20, 16), 3), ((2, 12, 16), 2)])
def test_single_faults_give_the_binomial_yield(shape, spares):
    faulty = Faulty(Ideal(), stuck_on=0.1, stuck_at=((0.2, 5e-6),), spare_columns=spares)
    curve = yield_curve(faulty, shape, [0.0, 0.002, 0.01], arrays=ARRAYS)
    for allowed in (0, 1, 4):
        measured = curve.allowing(allowed).share
        for share, found in zip(curve.defect_shares, measured, strict=True):
            expected = binomial_yield(shape, share, spares=spares, allowed=allowed)
            assert found == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / ARRAYS) + 1e-9)
    assert curve.arrays == ARRAYS and (curve.replaced_columns <= spares).all()


def test_intervals_hold_the_truth_as_often_as_they_say():
    inside = []
    for seed in range(40):
        curve = yield_curve(ALONE, (10, 10), [0.005, 0.02], allowed=1, arrays=60, seed=seed)
        for share, (low, high) in zip(curve.defect_shares, curve.interval, strict=True):
            inside.append(low <= binomial_yield((10, 10), share, allowed=1) <= high)
    assert np.mean(inside) > 0.87  # 95 % of 80


@pytest.mark.parametrize("size", [4.0, 16.0])
def test_arrays_without_a_cluster_are_poisson(size):
    """No rectangle reaches the array: exp(-rate reach), of which only the reach knows the array's edge."""
    share, shape, n = 0.01, (20, 16), 1500
    curve = yield_curve(Faulty(Ideal(), stuck_off=1e-3, cluster_size=size), shape, [share], arrays=n)
    rate, mean = -np.log1p(-share) / size, np.sqrt(size)
    expected = np.exp(-rate * (shape[0] + mean - 1) * (shape[1] + mean - 1))
    assert curve.share[0] == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / n))
    assert curve.share[0] > binomial_yield(shape, share) + 0.05  # faults that come together spare other arrays


@pytest.mark.parametrize("alpha", [0.5, 2.0])
def test_arrays_that_differ_follow_the_negative_binomial(alpha):
    """Stapper: counts of faults are negative binomial, and (1 + n p / alpha)^-alpha of the arrays have none."""
    shape, share, n = (40, 50), 1e-3, 3000
    generator = np.random.default_rng(1)
    counts = np.array([np.count_nonzero(fault_map(shape, generator, stuck_on=share, alpha=alpha)) for _ in range(n)])
    mean = 2000 * share
    none = (1 + mean / alpha) ** -alpha
    assert np.mean(counts == 0) == pytest.approx(none, abs=4 * np.sqrt(none * (1 - none) / n))
    assert counts.mean() == pytest.approx(mean, abs=4 * np.sqrt(mean * (1 + mean / alpha) / n))
    law = stats.nbinom(alpha, alpha / (alpha + mean))
    np.testing.assert_allclose([np.mean(counts <= k) for k in range(8)], law.cdf(range(8)), atol=0.035)
    curve = yield_curve(Faulty(Ideal(), stuck_on=0.5, alpha=alpha), shape, [share], arrays=1000)
    assert curve.share[0] == pytest.approx(none, abs=4 * np.sqrt(none * (1 - none) / 1000))


def test_a_huge_share_times_a_gamma_draw_stays_a_share():
    for size in (1.0, 9.0):
        codes = fault_map((30, 30), np.random.default_rng(0), stuck_on=0.5, stuck_off=0.4, alpha=0.1, cluster_size=size)
        assert set(np.unique(codes)) <= {0, 1, 2}


def test_lines_are_faults_of_columns():
    assert yield_curve(Faulty(Ideal(), stuck_on=1.0, open_rows=1.0), (5, 6), [0.0], arrays=3).faulty_columns.min() == 6
    shorted = yield_curve(Faulty(Ideal(), stuck_on=1.0, shorted_columns=1.0), (5, 6), [0.0], arrays=3)
    assert (shorted.faulty_columns == 6).all()
    n, curve = 800, yield_curve(Faulty(Ideal(), stuck_on=1.0, open_columns=0.1), (2, 5, 6), [0.0], arrays=800)
    expected = 0.9**12  # G+ and G- have bit lines of their own
    assert curve.share[0] == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / n))


def test_same_seed_same_curve_and_more_defects_never_help():
    shares = [0.0, 0.001, 0.003, 0.01, 0.03]
    curve, again = (yield_curve(ALONE, (30, 20), shares, arrays=100, seed=3) for _ in range(2))
    np.testing.assert_array_equal(curve.faulty_columns, again.faulty_columns)
    assert (np.diff(curve.faulty_columns, axis=0) >= 0).all()
    other = yield_curve(ALONE, (30, 20), shares, arrays=100, seed=4)
    assert not np.array_equal(curve.faulty_columns, other.faulty_columns)


@pytest.mark.parametrize(
    "arguments, said",
    [
        ((Faulty(Pcm()), (5, 5), [0.1]), "no stuck shares"),
        ((Faulty(Pcm(), stuck_on=0.1, repair="assignment"), (5, 5), [0.1]), "depends on targets"),
        ((ALONE, (5,), [0.1]), "give \\(R, C\\)"),
        ((ALONE, (5, 0), [0.1]), "shape is 0"),
        ((ALONE, (5, 5), [1.1]), "defect_shares is 1.1"),
        ((ALONE, (5, 5), [[0.1]]), "give 1 dimensions"),
    ],
)
def test_bad_curves_are_refused(arguments, said):
    with pytest.raises(InputError, match=said) as caught:
        yield_curve(*arguments)
    assert "\n" not in str(caught.value)


def test_wrong_types_are_refused():
    with pytest.raises(ArgumentTypeError, match="faulty must be a Faulty"):
        yield_curve(Pcm(), (5, 5), [0.1])
    with pytest.raises(InputError, match="columns is -1"):
        yield_curve(ALONE, (5, 5), [0.1], arrays=2).allowing(-1)


def test_chip_yield_counts_trials():
    network = ne.datasets.mnist_network()
    network = ne.quantize(network, samples=network.samples)
    x, y = ne.datasets.mnist_test(50)
    chip = replace(ne.chips.HERMES, device=Faulty(Pcm(), stuck_on=0.05))
    result = ne.run(network, chip, x, labels=y, trials=6)
    accuracies = sorted(result.scores.by_trial)
    middle = accuracies[3]
    found = ne.chip_yield(result, middle)
    assert found.share == np.mean(np.array(accuracies) >= middle) and found.n_chips == 6
    low, high = stats.binomtest(round(6 * found.share), 6).proportion_ci(method="wilson")
    assert found.interval == pytest.approx((low, high), abs=1e-9)
    assert ne.chip_yield(result, 0.0).share == 1.0 and "of 6 chips reach" in repr(found)
    with pytest.raises(InputError, match="run with labels="):
        ne.chip_yield(ne.run(network, chip, x[:2]), 0.5)
    with pytest.raises(InputError, match="minimum_accuracy"):
        ne.chip_yield(result, 95)
