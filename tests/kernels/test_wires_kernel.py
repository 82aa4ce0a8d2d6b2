"""The wires kernel against its twin, its two builds against each other, and the elimination against Gauss."""

import importlib

import numpy as np
import pytest

from neuroemu import kernels
from neuroemu.kernels import wires_reference as reference

BUILDS = kernels.builds("wires")
MODULES = [importlib.import_module(f"neuroemu.kernels._wires_{build}") for build in BUILDS]
SHAPES = [(1, 1), (1, 9), (9, 1), (7, 3), (8, 8), (16, 9), (17, 30), (40, 66)]


def devices(kind, shape, rng):
    g = rng.uniform(1e-5, 1e-4, shape)
    if kind == "contrast":  # of 1e6, and 1 % of shorts of 1 S
        g = np.where(rng.random(shape) < 0.01, 1.0, 10 ** rng.uniform(-9, -3, shape))
    elif kind == "shorts and opens":
        g[rng.random(shape) < 0.05] = np.inf
        g[rng.random(shape) < 0.05] = 0
    elif kind == "better than wires":
        g = 10 ** rng.uniform(-3, 4, shape)
    elif kind == "open":
        g[:] = 0
    return g


def network(kind, shape, rng, *, ends):
    """Arguments of transfer and solve: ends is 1 or 2 for drivers and sense amplifiers at one end or both."""
    left, bottom = rng.uniform(0.1, 1, shape[0]), rng.uniform(0.1, 1, shape[1])
    return devices(kind, shape, rng), 0.5, 0.3, left, (ends - 1) * left / 2, bottom, (ends - 1) * bottom / 3


@pytest.mark.parametrize("kernel", MODULES, ids=BUILDS)
@pytest.mark.parametrize("kind", ["plain", "contrast", "shorts and opens", "better than wires", "open"])
@pytest.mark.parametrize("ends", [1, 2])
def test_both_algorithms_solve_the_circuit(kernel, kind, ends):
    rng = np.random.default_rng(len(kind) + ends)
    for shape in SHAPES:
        arguments = network(kind, shape, rng, ends=ends)
        drive = rng.uniform(-1, 1, (2, shape[0]))
        truth, true_words, true_bits, _ = reference.solve(*arguments, drive)
        operator, currents = np.empty((1, *shape)), np.empty_like(truth)
        words, bits = np.empty((2, 2, *shape))
        kernel.transfer(arguments[0][None], *arguments[1:], operator)
        _, residual = kernel.solve(
            arguments[0][None], *arguments[1:], drive, currents, words, bits, tolerance=1e-12, most=5000
        )
        scale = max(abs(truth).max(), 1e-300)
        assert abs(drive @ operator[0] - truth).max() <= 1e-14 * scale
        assert abs(currents - truth).max() <= 1e-12 * scale
        assert residual <= 1e-12
        assert max(abs(words - true_words).max(), abs(bits - true_bits).max()) <= 1e-12


@pytest.mark.parametrize("kernel", MODULES, ids=BUILDS)
def test_each_entry_of_the_operator_is_exact_not_only_the_large_ones(kernel):
    """The reference has errors of the largest voltage; here it gets one driver of 1 V at a time and its own scale."""
    rng = np.random.default_rng(5)
    arguments = network("better than wires", (12, 20), rng, ends=1)
    arguments = (np.where(rng.random((12, 20)) < 0.3, 1e-7, arguments[0]), 1e-3, *arguments[2:])
    operator = np.empty((1, 12, 20))
    kernel.transfer(arguments[0][None], *arguments[1:], operator)
    truth = reference.solve(*arguments, np.eye(12), rounds=6)[0]
    assert operator.min() < 1e-6 * operator.max()
    np.testing.assert_allclose(operator[0], truth, rtol=1e-12)


@pytest.mark.parametrize("kernel", MODULES, ids=BUILDS)
def test_threads_and_stacks_change_no_bit(kernel):
    rng = np.random.default_rng(2)
    stack = np.stack([devices("shorts and opens", (160, 170), rng) for _ in range(3)])
    ends = np.full(160, 0.4), np.zeros(160), np.full(170, 0.5), np.zeros(170)
    drive = rng.uniform(0, 1, (3, 160))
    alone, together, threaded = np.empty((3, *stack.shape))
    one, two = np.empty((2, 3, 170))
    for g, out in zip(stack, alone, strict=True):
        kernel.transfer(g[None], 0.5, 0.3, *ends, out[None])
    kernel.transfer(stack, 0.5, 0.3, *ends, together, threads=2)
    for g, out in zip(stack, threaded, strict=True):
        kernel.transfer(g[None], 0.5, 0.3, *ends, out[None], threads=3)
    kernel.solve(stack[:1], 0.5, 0.3, *ends, drive, one, tolerance=1e-12, most=500)
    kernel.solve(stack[:1], 0.5, 0.3, *ends, drive, two, tolerance=1e-12, most=500, threads=3)
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_array_equal(threaded, alone)
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("kernel", MODULES, ids=BUILDS)
def test_threads_within_one_large_array_change_no_bit(kernel):
    g = devices("contrast", (1, 330, 400), np.random.default_rng(6))
    ends = np.full(330, 0.4), np.zeros(330), np.full(400, 0.5), np.full(400, 0.2)
    one, many = np.empty((2, 1, 330, 400))
    kernel.transfer(g, 0.5, 0.3, *ends, one)
    kernel.transfer(g, 0.5, 0.3, *ends, many, threads=3)
    np.testing.assert_array_equal(one, many)


@pytest.mark.parametrize("nodes, drivers, amplifiers", [(1, 1, 1), (5, 3, 2), (130, 7, 201), (300, 250, 260)])
@pytest.mark.parametrize("kernel", MODULES, ids=BUILDS)
def test_elimination_is_that_of_gauss(kernel, nodes, drivers, amplifiers):
    rng = np.random.default_rng(nodes)
    between = np.tril(rng.random((nodes, nodes)), -1)
    between += between.T
    left, right = rng.random((nodes, drivers)), rng.random((nodes, amplifiers))
    out = np.empty((drivers, amplifiers))
    kernel.eliminate(between, left, right, out, threads=2)
    matrix = np.diag(between.sum(1) + left.sum(1) + right.sum(1)) - between
    np.testing.assert_allclose(out, left.T @ np.linalg.solve(matrix, right), rtol=1e-12)


@pytest.mark.parametrize("kernel", MODULES, ids=BUILDS)
def test_chains_are_bit_lines_between_word_lines_of_one_node(kernel):
    rng = np.random.default_rng(3)
    for kind in ("plain", "better than wires", "shorts and opens"):
        g = devices(kind, (6, 11), rng)
        bottom, top = rng.random(11), rng.random(11)
        sensed, between = np.empty(g.shape), np.zeros((6, 6))
        kernel.chains(g, 0.7, bottom, top, sensed, between)
        ideal = np.full(6, np.inf)
        truth, _, _, supply = reference.solve(g, np.inf, 0.7, ideal, np.zeros(6), bottom, top, np.eye(6))
        np.testing.assert_allclose(sensed, truth, rtol=1e-12, atol=1e-16)
        lower = np.tril(-supply.T, -1)  # the current that flows into one driver when another is at 1 V
        np.testing.assert_allclose(between, lower, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("kernel", MODULES, ids=BUILDS)
def test_floating_lines_take_the_voltage_of_their_devices(kernel):
    rng = np.random.default_rng(4)
    arguments = network("plain", (9, 10), rng, ends=1)
    arguments[0][3] = 0  # a floating line without a device is at 0 V
    arguments[3][2:5] = 0
    drive = rng.uniform(0.5, 1, (1, 9))
    truth, true_words, _, _ = reference.solve(*arguments, drive)
    currents, operator = np.empty((1, 10)), np.empty((1, 9, 10))
    words, bits = np.empty((2, 1, 9, 10))
    kernel.solve(arguments[0][None], *arguments[1:], drive, currents, words, bits, tolerance=1e-12, most=500)
    kernel.transfer(arguments[0][None], *arguments[1:], operator)
    np.testing.assert_allclose(words, true_words, rtol=1e-12)
    assert (words[0, 2] > 0).all() and (words[0, 3] == 0).all()
    assert (operator[0, 2:5] == 0).all()
    np.testing.assert_allclose(drive @ operator[0], truth, rtol=1e-12)


@pytest.mark.parametrize("kernel", MODULES, ids=BUILDS)
def test_wrong_shapes_are_refused(kernel):
    g, ends = np.ones((3, 4)), (np.ones(3), np.zeros(3), np.ones(4), np.zeros(4))
    for wrong in range(4):
        bad = [end[:-1] if k == wrong else end for k, end in enumerate(ends)]
        with pytest.raises(ValueError, match="one value a row"):
            kernel.transfer(g[None], 1.0, 1.0, *bad, np.empty((1, 3, 4)))
    with pytest.raises(ValueError, match="shape of g"):
        kernel.transfer(g[None], 1.0, 1.0, *ends, np.empty((1, 4, 3)))
    with pytest.raises(ValueError, match="g is"):
        kernel.solve(g[None], 1.0, 1.0, *ends, np.ones((2, 4)), np.empty((2, 4)), tolerance=1e-12, most=5)
    with pytest.raises(ValueError, match="do not agree"):
        kernel.eliminate(np.ones((2, 2)), np.ones((3, 1)), np.ones((2, 1)), np.empty((1, 1)))
