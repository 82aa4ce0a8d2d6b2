"""Rounding by the error of the layer: near the best of all codes, by other people's formulas, and zeros stay zeros."""

from itertools import product

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import neuroemu as ne
from neuroemu.errors import ArgumentTypeError, InputError
from neuroemu.network import Add, Conv2d, Dense, Flatten, relu, sequential
from neuroemu.transform.moments import Moments, moments_of
from neuroemu.transform.rounding import Problem

RULES = [ne.Gptq(sweeps=0), ne.Gptq(), ne.AdaRound()]


def problem(seed, outputs=2, inputs=8, high=1, zeros=0.0):
    """Correlated inputs, the same in both networks."""
    random = np.random.default_rng(seed)
    rows = random.normal(0, 1, (400, 3)) @ random.normal(0, 1, (3, inputs)) + 0.3 * random.normal(0, 1, (400, inputs))
    second = rows.T @ rows / len(rows)
    weight = random.normal(0, 1, (outputs, inputs)) * (random.random((outputs, inputs)) >= zeros)
    steps = np.full_like(weight, 1.3 if high == 1 else 0.8)
    return Problem(weight, steps, high, Moments(second, second, rows.mean(axis=0), rows.mean(axis=0)))


def error_of(p, codes, target, second):
    """E (M,) of codes."""
    away = p.steps * codes - target
    return np.einsum("mk,kl,ml->m", away, second, away)


def least(p, choices):
    """The smallest error of each row over all its codes in `choices`, by trying them all."""
    second = p.moments.damped(0.01)
    best = []
    for m in range(len(p.weight)):
        every = np.array(list(product(*choices(m))))
        away = p.steps[m] * every - p.weight[m]
        best.append(np.einsum("nk,kl,nl->n", away, second, away).min())
    return np.array(best)


def total(rule, problems):
    """Error of all rows of all problems; none may beat the best one."""
    return sum(error_of(p, rule.codes(p), p.weight, p.moments.damped(0.01)).sum() for p in problems)


def test_near_the_best_of_all_codes():
    problems = [problem(seed) for seed in range(12)]
    best = sum(least(p, lambda m: [(-1, 0, 1)] * 8).sum() for p in problems)
    ratios = {rule: total(rule, problems) / best for rule in (*RULES, ne.Nearest())}
    assert min(ratios.values()) >= 1 - 1e-9
    assert ratios[ne.Nearest()] > 5
    assert ratios[ne.Gptq(sweeps=0)] < 2.5 and ratios[ne.Gptq()] < 1.45
    assert ratios[ne.AdaRound()] < 1.8


def test_near_the_best_of_up_and_down():
    problems, best = [problem(seed, high=7) for seed in range(12)], 0.0
    for p in problems:
        best += least(p, lambda m, p=p: [(np.floor(e), np.floor(e) + 1) for e in p.weight[m] / p.steps[m]]).sum()
        assert (np.abs(ne.AdaRound().codes(p) - p.weight / p.steps) < 1).all()
    assert 1 - 1e-9 <= total(ne.AdaRound(), problems) / best < 2.3
    assert total(ne.Gptq(), problems) / best < 1.25
    assert total(ne.Nearest(), problems) / best > 5


def test_gptq_is_optimal_brain_quantization_in_a_fixed_order():
    """The elimination of B. Hassibi and D. Stork as OBQ has it: one weight at a time, the inverse updated."""
    p = problem(3, outputs=4, inputs=12, high=3)
    second = p.moments.damped(0.01)
    codes = np.zeros_like(p.weight)
    for m, weight in enumerate(p.weight):
        left, inverse, w = np.ones(12, bool), np.linalg.inv(second), weight.copy()
        for k in np.argsort(-np.diag(second), kind="stable"):
            codes[m, k] = np.clip(np.rint(w[k] / p.steps[m, k]), -3, 3)
            w = w - (w[k] - p.steps[m, k] * codes[m, k]) / inverse[k, k] * inverse[k]
            inverse = inverse - np.outer(inverse[k], inverse[k]) / inverse[k, k]
            left[k] = False
            inverse[~left] = inverse[:, ~left] = 0
    np.testing.assert_array_equal(ne.Gptq(sweeps=0).codes(p), codes)


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_pruned_weights_stay_zero_and_codes_in_range(rule):
    p = problem(0, outputs=20, inputs=15, zeros=0.6)
    codes = rule.codes(p)
    assert not codes[p.weight == 0].any()
    assert set(np.unique(codes)) <= {-1, 0, 1}
    assert np.count_nonzero(codes) > 20


def test_descent_never_makes_it_worse():
    for seed in range(20):
        p = problem(seed, outputs=3, inputs=20, high=3)
        errors = [
            error_of(p, ne.Gptq(sweeps=n).codes(p), p.weight, p.moments.damped(0.01)).sum() for n in (0, 1, 2, 20)
        ]
        assert errors == sorted(errors, reverse=True)


def test_the_target_is_ridge_regression():
    """W* against the augmented least-squares problem, solved by NumPy."""
    random = np.random.default_rng(0)
    x, noise = random.normal(0, 1, (200, 6)), random.normal(0, 0.5, (200, 6))
    a, weight = x + noise, random.normal(0, 1, (4, 6))
    found = Moments(a.T @ a / 200, x.T @ a / 200, x.mean(axis=0), a.mean(axis=0))
    ridge = np.sqrt(0.05 * np.diag(found.arriving).mean()) * np.eye(6)
    rows, wanted = np.vstack([a / np.sqrt(200), ridge]), np.vstack([x @ weight.T / np.sqrt(200), ridge @ weight.T])
    np.testing.assert_allclose(found.target(weight, 0.05), np.linalg.lstsq(rows, wanted, rcond=None)[0].T, rtol=1e-8)


def smooth(n, seed=1):
    """Images whose neighbouring pixels go together, as those of the world do."""
    random = np.random.default_rng(seed)
    coarse = np.kron(random.random((n, 3, 2, 2)), np.ones((1, 1, 4, 4)))
    return (coarse + 0.2 * random.random((n, 3, 8, 8))).astype(np.float32)


def branched(seed=0):
    """A depthwise convolution, an addition and a stride: 3 x 8 x 8 inputs."""
    random = np.random.default_rng(seed)

    def conv(name, shape, groups=1, **fields):
        return Conv2d(name=name, weight=random.normal(0, 0.4, shape), padding=1, groups=groups, **fields)

    return sequential(
        [
            conv("first", (6, 3, 3, 3)),
            relu(name="relu"),
            conv("depth", (6, 1, 3, 3), groups=6),
            Add(name="sum", inputs=("depth", "relu")),
            relu(name="relu2"),
            conv("second", (8, 6, 3, 3), stride=2),
            relu(name="relu3"),
            Flatten(name="flat"),
            Dense(name="fc", weight=random.normal(0, 0.2, (5, 128)), bias=random.normal(0, 0.1, 5)),
        ],
        input_shape=(3, 8, 8),
    )


@pytest.mark.parametrize("rule", RULES[1:], ids=repr)
def test_whole_networks_lose_less(rule):
    x = smooth(300)
    train, test = x[:200], x[200:]
    real = ne.run_float(branched(), test)

    def error(**how):
        q = ne.quantize(branched(), samples=train, weight_bits=3, weight_calibration=ne.Mse(), **how)
        assert all(np.abs(layer.weight).max() <= 3 for layer in q.weighted)
        return np.abs(ne.run_integer(q, test) - real).mean()

    for further in ({}, {"correct_bias": True}, {"groups": ne.Groups(9)}):
        assert error(rounding=rule, **further) < 0.55 * error(**further)


def test_bits_do_not_depend_on_the_threads_of_blas():
    x = smooth(100)
    found = []
    for threads in (1, 2):
        with threadpool_limits(limits=threads):
            q = ne.quantize(branched(), samples=x, weight_bits=3, rounding=ne.Gptq(), correct_bias=True)
            found.append([(layer.weight, layer.bias) for layer in q.weighted])
    for (weight, bias), (same_weight, same_bias) in zip(*found, strict=True):
        np.testing.assert_array_equal(weight, same_weight)
        np.testing.assert_array_equal(bias, same_bias)


def test_corrected_biases_bring_the_means_back():
    x = smooth(100)
    real = branched()
    q = ne.quantize(real, samples=x, weight_bits=2, rounding=ne.Gptq(), correct_bias=True)
    for layer in real.weighted:
        codes, grid = q.layer(layer.name), q.grids[layer.inputs[0]]
        for g, found in enumerate(moments_of(real, q, layer.name, x)):
            count = len(layer.weight) // len(moments_of(real, q, layer.name, x))
            these = slice(g * count, (g + 1) * count)
            wanted = layer.weight[these].reshape(count, -1) @ found.mean
            wanted = wanted + (0 if layer.bias is None else layer.bias[these])
            unit = codes.weight_grid.scale[these] * grid.scale
            got = codes.weight_steps[these].reshape(count, -1) @ (found.mean_arriving / grid.scale) + codes.bias[these]
            assert (np.abs(wanted / unit - got) <= 0.51).all()


def test_with_corrected_biases_only_what_varies_counts():
    """Inputs that stand high and vary little: the bias takes the mean, and the codes fit the rest."""
    random = np.random.default_rng(0)
    x = (5 + random.normal(0, 1, (400, 2)) @ random.normal(0, 1, (2, 12)) * 0.3).astype(np.float32)
    net = sequential([Dense(name="fc", weight=random.normal(0, 1, (30, 12)))], input_shape=(12,))
    real = ne.run_float(net, x)
    errors = []
    for correct_bias in (False, True):
        q = ne.quantize(net, samples=x, weight_bits=3, rounding=ne.Gptq(), correct_bias=correct_bias)
        errors.append((ne.run_integer(q, x) - real).std(axis=0).mean())  # about the mean of each channel
    assert errors[1] < 0.8 * errors[0]


def test_two_bits_of_the_embedded_network():
    net, (x, y) = ne.datasets.mnist_network(), ne.datasets.mnist_test(1000)
    accuracy = []
    for rounding in (None, ne.Gptq()):
        q = ne.quantize(
            net, samples=net.samples, weight_bits=2, weight_calibration=ne.Mse(), correct_bias=True, rounding=rounding
        )
        accuracy.append((ne.run_integer(q, x).argmax(axis=1) == y).mean())
    assert accuracy[1] > 0.975 and accuracy[1] > accuracy[0] + 0.05


def test_arguments_of_rounding():
    x = np.ones((2, 3, 8, 8))
    with pytest.raises(ArgumentTypeError, match="rounding must be a Rounding"):
        ne.quantize(branched(), samples=x, rounding="gptq")
    with pytest.raises(ArgumentTypeError, match="MinMax"):
        ne.quantize(branched(), samples=x, weight_calibration=ne.Entropy())
    with pytest.raises(InputError, match="iterations"):
        ne.AdaRound(iterations=2)
