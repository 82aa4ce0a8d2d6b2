"""The graded kernel: equal to matrix products, to convolutions and to its NumPy twin, with any threads."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroemu.kernels import graded, graded_reference

ADD = [graded_reference.add_messages, graded.add_messages]


def dense(rng, inputs, neurons):
    weights = rng.integers(-300, 300, (inputs, neurons)).astype(np.int16)
    rows = np.arange(inputs + 1, dtype=np.int32)
    return {"indptr": rows, "target": np.zeros(inputs, np.int32), "row": rows[:-1], "weights": weights}


@pytest.mark.parametrize("add", ADD)
@pytest.mark.parametrize("inputs, neurons", [(1, 1), (5, 3), (37, 64), (64, 33)])
def test_dense_layer_is_a_matrix_product(add, inputs, neurons):
    rng = np.random.default_rng(inputs)
    payload = (rng.integers(-999, 999, (7, inputs)) * (rng.random((7, inputs)) < 0.5)).astype(np.int32)
    arrays, start = dense(rng, inputs, neurons), rng.integers(-99, 99, (7, neurons)).astype(np.int32)
    sums = start.copy()
    add(payload, **arrays, sums=sums)
    np.testing.assert_array_equal(sums, start + payload.astype(np.int64) @ arrays["weights"].astype(np.int64))


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_any_wiring_as_the_twin(seed):
    rng = np.random.default_rng(seed)
    lines, inputs, neurons = rng.integers(1, 6), rng.integers(1, 20), rng.integers(1, 40)
    length, rows, edges = rng.integers(1, neurons + 1), rng.integers(1, 9), rng.integers(0, 60)
    cuts = np.sort(rng.integers(0, edges + 1, inputs - 1))
    arrays = {
        "indptr": np.concatenate(([0], cuts, [edges])).astype(np.int32),
        "target": rng.integers(0, neurons - length + 1, edges).astype(np.int32),
        "row": rng.integers(0, rows, edges).astype(np.int32),
        "weights": rng.integers(-32768, 32768, (rows, length)).astype(np.int16),
    }
    payload = (rng.integers(-255, 256, (lines, inputs)) * (rng.random((lines, inputs)) < 0.6)).astype(np.int32)
    found = []
    for add, threads in ((ADD[0], 1), (ADD[1], 1), (ADD[1], 3)):
        sums = np.full((lines, neurons), 7, np.int32)
        add(payload, **arrays, sums=sums, threads=threads)
        found.append(sums)
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_array_equal(found[2], found[0])
    bound = graded_reference.largest_sum(np.abs(payload).max(), **arrays, n=neurons)
    assert np.abs(found[0] - 7).max() <= bound


def test_bound_is_reached_by_the_worst_payloads():
    arrays = dense(np.random.default_rng(3), 9, 4)
    column = np.abs(arrays["weights"].astype(np.int64)).sum(axis=0).argmax()
    payload = (100 * np.sign(arrays["weights"][:, column])).astype(np.int32)[None]
    sums = np.zeros((1, 4), np.int32)
    graded.add_messages(payload, **arrays, sums=sums)
    assert sums.max() == graded_reference.largest_sum(100, **arrays, n=4)


def test_many_lines_on_threads():
    rng = np.random.default_rng(4)
    arrays = dense(rng, 300, 200)
    payload = rng.integers(-255, 256, (150, 300)).astype(np.int32)
    sums = np.zeros((150, 200), np.int32)
    graded.add_messages(payload, **arrays, sums=sums, threads=4)
    np.testing.assert_array_equal(sums, payload @ arrays["weights"].astype(np.int32))


@pytest.mark.parametrize(
    "change, told",
    [
        ({"indptr": np.array([0, 2, 1, 3], np.int32)}, "indptr must rise"),
        ({"target": np.array([0, 0, 3], np.int32)}, "target outside"),
        ({"row": np.array([0, 1, 9], np.int32)}, "row outside"),
        ({"row": np.array([0, 1], np.int32)}, "payload needs"),
        ({"weights": np.ones((3, 9), np.int16)}, "1..N entries"),
    ],
)
def test_wrong_wiring_is_refused(change, told):
    arrays = dense(np.random.default_rng(5), 3, 4) | change
    with pytest.raises(ValueError, match=told):
        graded.add_messages(np.ones((1, 3), np.int32), **arrays, sums=np.zeros((1, 4), np.int32))
