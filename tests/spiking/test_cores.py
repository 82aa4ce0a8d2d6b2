"""Placement on cores: shared kernels beside nengo-loihi's figures and a plain count, the other limits."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroemu.network.layers import Conv2d
from neuroemu.spiking.cores import CoreLimits, projected
from neuroemu.spiking.memory import MOST_BASE
from neuroemu.spiking.populations import Projection, block_rows, neuron_numbers

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "nengo_loihi_conv.json").read_text())


def padding_of(shape, kernel, stride, padding):
    """(before, after) of each axis; "same" as nengo's convolutions have it, the smaller half first."""
    if padding == "valid":
        return ((0, 0), (0, 0))
    sides = []
    for size, k, s in zip(shape, kernel, stride, strict=False):
        whole = max((-(-size // s) - 1) * s + k - size, 0)
        sides.append((whole // 2, whole - whole // 2))
    return tuple(sides)


def convolution(shape, filters, kernel, stride, padding, weight=None):
    """The projection of a convolution and the number of its targets."""
    high, wide, channels = shape
    if weight is None:
        weight = np.ones((filters, channels, *kernel), np.int8)
    layer = Conv2d(name="conv", weight=weight, stride=tuple(stride), padding=padding)
    out = (filters, *(
        (n + sum(side) - k) // s + 1 for n, side, k, s in zip(shape, padding, kernel, stride, strict=False)
    ))  # fmt: skip
    rows = block_rows(layer, neuron_numbers((channels, high, wide)), out)
    return Projection("conv", 0, rows), int(np.prod(out))


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: str(case["input"]))
def test_shared_memory_and_axons_are_those_of_nengo_loihi(case):
    """Its rule for each channel: here an axon is one neuron, there one position. With one channel they are the same."""
    sides = padding_of(case["input"], case["kernel"], case["stride"], case["padding"])
    conv, size = convolution(case["input"], case["filters"], case["kernel"], case["stride"], sides)
    channels = case["input"][2]
    for part in ({"first": 0, "stop": size, **case["whole"]}, *case["parts"]):
        limits = CoreLimits(shared_kernels=True, index_bits=part["index_bits"], weight_bits=part["weight_bits"])
        axons, _, bits = projected(conv, part["first"], part["stop"], limits)
        assert axons == channels * part["axons"]
        assert bits == part["bits_by_channel"]
        if channels == 1:
            assert bits == part["bits"]


def plain_bits(projection, first, stop, limits):
    """The lists of synapses written out, one by one."""
    rows, lists = projection.weights, set()
    for source in range(len(rows.indptr) - 1):
        found = []
        edges = range(rows.indptr[source], rows.indptr[source + 1])
        for edge in edges:
            for column in range(rows.length):
                target = int(rows.target[edge]) + column
                if first <= target < stop:
                    found.append((target - first, int(rows.row[edge]), column, int(rows.table[rows.row[edge], column])))
        if any(weight for *_, weight in found):
            base = min(target for target, *_ in found)
            near = tuple((target - base, row, column, weight) for target, row, column, weight in found)
            lists.add((near, base // MOST_BASE))
    total = 0
    for near, _ in lists:
        n = sum(weight != 0 for *_, weight in near)
        each = limits.weight_bits + (0 if n == stop - first else limits.index_bits)
        total += sum(-(-(min(64, n - done) * each + 10) // 64) * 64 for done in range(0, n, 64))
    return total


@settings(max_examples=40, deadline=None)
@given(
    high=st.integers(3, 7), wide=st.integers(3, 7), channels=st.integers(1, 2), filters=st.integers(1, 12),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)), stride=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    pad=st.integers(0, 1), span=st.tuples(st.floats(0, 1), st.floats(0, 1)), seed=st.integers(0, 9),
)  # fmt: skip
def test_shared_memory_is_that_of_the_distinct_lists(high, wide, channels, filters, kernel, stride, pad, span, seed):
    weight = np.random.default_rng(seed).integers(-1, 2, (filters, channels, *kernel)).astype(np.int8)
    conv, size = convolution((high, wide, channels), filters, kernel, stride, ((pad, pad), (pad, pad)), weight)
    first, stop = sorted(int(share * size) for share in span)
    stop = max(stop, first + 1) if first < size else size
    first = min(first, stop - 1)
    shared, plain = CoreLimits(shared_kernels=True), CoreLimits()
    axons, synapses, bits = projected(conv, first, stop, shared)
    assert bits == plain_bits(conv, first, stop, shared)
    assert (axons, synapses) == projected(conv, first, stop, plain)[:2]
    assert bits <= projected(conv, first, stop, plain)[2]
