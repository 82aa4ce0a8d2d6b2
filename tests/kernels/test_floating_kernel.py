"""The floating kernel: exact sums, convolutions by scipy, its NumPy twin bit by bit, both builds, wrong arguments."""

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroemu import kernels
from neuroemu.kernels import floating, floating_reference
from neuroemu.network.synapses import axis_taps, panels, single_synapses

TWINS = [floating_reference, floating]
BUILDS = [kernels._load("floating", build) for build in kernels.builds("floating")]
SEEDS = st.integers(0, 2**32 - 1)


def inputs(rng, *shape):
    """Spikes, numbers of which some are 0, or numbers that are all 0 or 1."""
    kind = rng.integers(3)
    spikes = rng.random(shape) < rng.choice([0.0, 0.1, 0.6])
    if kind == 0:
        return spikes.astype(np.uint8)
    return (spikes * (rng.normal(size=shape) if kind == 1 else 1)).astype(np.float32)


def both(name, *given_arrays, written, **arguments):
    """What kernel and twin return and write."""
    found = []
    for module in TWINS:
        arrays = {key: array.copy() for key, array in written.items()}
        found.append((getattr(module, name)(*given_arrays, **arguments, **arrays), arrays))
    (made, want), (also_made, got) = found
    assert also_made == made
    for key in want:
        np.testing.assert_array_equal(got[key], want[key], err_msg=key)
    return want


@pytest.mark.parametrize("module", TWINS)
@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("n_in, n", [(1, 1), (5, 3), (37, 64), (64, 33), (100, 130)])
def test_whole_weights_give_exact_products(module, wide, n_in, n):
    rng = np.random.default_rng(n)
    weight, bias = rng.integers(-99, 99, (n, n_in)), rng.integers(-9, 9, n).astype(np.float32)
    x = rng.integers(0, 2, (4, 3, n_in)).astype(np.uint8)
    want = x.astype(int) @ weight.T + bias
    for call, arrays, made in (
        (module.dense_sums, {"panels": panels(weight)}, n * x.sum()),
        (module.sparse_sums, single_synapses(weight), (x @ (weight != 0).T.astype(int)).sum()),
    ):
        drive = np.full(want.shape, np.nan, np.float32)
        assert call(x, **arrays, bias=bias, wide=wide, drive=drive) == made
        np.testing.assert_array_equal(drive, want)


@pytest.mark.parametrize("module", TWINS)
def test_sums_take_their_inputs_in_rising_order(module):
    """1 + 2^-53 is 1 in float64, 2^-53 + 2^-53 + 1 is more; the other way round nothing is left."""
    weight = np.float32([[2**-53, 2**-53, 1, -1], [1, 2**-53, 2**-53, -1]])
    x = np.ones((1, 1, 4), np.uint8)
    for call, arrays in (
        (module.dense_sums, {"panels": panels(weight)}),
        (module.sparse_sums, single_synapses(weight)),
    ):
        drive = np.empty((1, 1, 2), np.float32)
        call(x, **arrays, wide=True, drive=drive)
        np.testing.assert_array_equal(drive[0, 0], [2**-52, 0])


@given(SEEDS)
@settings(max_examples=40, deadline=None)
def test_dense_and_sparse_sums_as_the_twin(seed):
    rng = np.random.default_rng(seed)
    steps, images, n_in, n = (int(rng.integers(1, high)) for high in (5, 4, 70, 150))
    weight = rng.normal(size=(n, n_in)).astype(np.float32) * (rng.random((n, n_in)) < rng.choice([0.05, 1.0]))
    x, wide = inputs(rng, steps, images, n_in), bool(rng.integers(2))
    bias = rng.normal(size=n).astype(np.float32) if rng.integers(2) else None
    written = {"drive": np.empty((steps, images, n), np.float32)}
    dense = both("dense_sums", x, panels=panels(weight), bias=bias, wide=wide, written=written)
    sparse = both("sparse_sums", x, **single_synapses(weight), bias=bias, wide=wide, written=written)
    np.testing.assert_array_equal(dense["drive"], sparse["drive"])
    view = np.zeros((steps + 1, 2 * images, n_in + 1), x.dtype)[1:, ::2, 1:]  # strides of its own
    view[:] = x
    np.testing.assert_array_equal(
        both("dense_sums", view, panels=panels(weight), bias=bias, wide=wide, written=written)["drive"], dense["drive"]
    )


def convolution(rng, *, groups, whole=False):
    channels, length = groups * int(rng.integers(1, 3)), int(rng.choice([1, 3, 8, 16]))
    taps, stride, dilation = rng.integers(1, 4, 2), rng.integers(1, 4, 2), rng.integers(1, 3, 2)
    before, after = rng.integers(0, 3, 2), rng.integers(0, 3, 2)
    reach = (taps - 1) * dilation + 1
    size = np.maximum(rng.integers(1, 9, 2), reach - before - after)
    out = (size + before + after - reach) // stride + 1
    shape = (channels, *taps, length)
    table = (rng.integers(-9, 9, shape) if whole else rng.normal(size=shape)).astype(np.float32)
    lines = [axis_taps(*map(int, (size[a], out[a], taps[a], stride[a], dilation[a], before[a]))) for a in (0, 1)]
    arguments = {"table": table, "down": lines[0], "across": lines[1], "groups": groups, "size": tuple(map(int, out))}
    return arguments, size, (taps, stride, dilation, before, after)


@pytest.mark.parametrize("module", TWINS)
@pytest.mark.parametrize("seed", range(12))
def test_convolutions_as_scipy_has_them(module, seed):
    rng = np.random.default_rng(seed)
    groups = int(rng.integers(1, 3))
    arguments, size, (taps, stride, dilation, before, after) = convolution(rng, groups=groups, whole=True)
    table = arguments["table"]
    channels, length = table.shape[0], table.shape[3]
    x = rng.integers(-3, 3, (2, 1, channels, *size)).astype(np.float32)
    n = int(np.prod(arguments["size"])) * groups * length
    drive = np.empty((2, 1, n), np.float32)
    module.convolution_sums(x.reshape(2, 1, -1), **arguments, wide=True, drive=drive)
    got = drive.reshape(2, *arguments["size"], groups, length)
    spread = np.zeros((channels, *((taps - 1) * dilation + 1), length))
    spread[:, :: dilation[0], :: dilation[1]] = table
    for t, g, c in np.ndindex(2, groups, length):
        own = range(g * channels // groups, (g + 1) * channels // groups)
        padded = [np.pad(x[t, 0, i], list(zip(before, after, strict=True))) for i in own]
        want = sum(scipy.signal.correlate(p, spread[i, :, :, c], "valid") for i, p in zip(own, padded, strict=True))
        np.testing.assert_array_equal(got[t, :, :, g, c], want[:: stride[0], :: stride[1]])


@given(SEEDS)
@settings(max_examples=40, deadline=None)
def test_convolutions_as_the_twin(seed):
    rng = np.random.default_rng(seed)
    groups = int(rng.integers(1, 3))
    arguments, size, _ = convolution(rng, groups=groups)
    n = int(np.prod(arguments["size"])) * groups * arguments["table"].shape[3]
    x = inputs(rng, 3, 2, len(arguments["table"]) * int(size.prod()))
    bias = rng.normal(size=n).astype(np.float32) if rng.integers(2) else None
    written = {"drive": np.empty((3, 2, n), np.float32)}
    both("convolution_sums", x, **arguments, bias=bias, wide=bool(rng.integers(2)), written=written)


def neurons(rng, *, spikes, real, loop):
    """Arguments of a layer of neurons, and the arrays that it writes."""
    steps, images, n = (int(rng.integers(1, high)) for high in (9, 4, 90))
    table = rng.normal(size=(9, n))
    table[[1, 3]] = rng.uniform(0, 1, (2, n))  # decays
    arguments = {"rule": int(rng.integers(4)), "table": table.astype(real)}
    if spikes:
        arguments |= {"early": bool(rng.integers(2)), "subtract": bool(rng.integers(2))}
    out = np.zeros((steps, images, n), np.uint8 if spikes else real)
    written = {"out": out, "v": rng.normal(size=(images, n)).astype(real)}
    written |= {"current": rng.normal(size=(images, n)).astype(real), "trace": np.zeros(out.shape, real)}
    if loop:
        arguments["panels"] = panels(rng.normal(size=(n, n)) / n)
        arguments["loop_bias"] = rng.normal(size=n).astype(np.float32) if rng.integers(2) else None
        written["last"] = (rng.random((images, n)) < 0.3).astype(out.dtype)
    elif rng.integers(2):
        arguments["place"] = rng.permutation(n).astype(np.int32)
    drive = rng.normal(size=out.shape).astype(rng.choice([np.float32, np.float64]))
    return drive, arguments, written


@given(SEEDS)
@settings(max_examples=120, deadline=None)
def test_neurons_as_the_twin(seed):
    rng = np.random.default_rng(seed)
    kind = {
        "spikes": bool(rng.integers(2)),
        "real": rng.choice([np.float64, np.float32]),
        "loop": bool(rng.integers(2)),
    }
    drive, arguments, written = neurons(rng, **kind)
    whole = both("run_neurons", drive, **arguments, written=written)
    cut = {key: array.copy() for key, array in written.items()}
    for part in (slice(0, len(drive) // 2), slice(len(drive) // 2, None)):  # a run that is cut is the whole run
        if len(drive[part]):
            arrays = cut | {key: cut[key][part] for key in ("out", "trace")}
            floating.run_neurons(drive[part], **arguments, **arrays)
    for key, array in whole.items():
        np.testing.assert_array_equal(cut[key], array, err_msg=key)


def test_more_lines_than_are_listed_at_a_time():
    rng = np.random.default_rng(0)
    weight = rng.integers(-9, 9, (70, 30))
    x = (rng.random((100, 5, 30)) < 0.3).astype(np.uint8)
    drive = np.empty((100, 5, 70), np.float32)
    floating.dense_sums(x, panels=panels(weight), wide=True, drive=drive)
    np.testing.assert_array_equal(drive, x.astype(int) @ weight.T)


@pytest.mark.parametrize("build", BUILDS)
def test_every_build_gives_the_same_bits(build):
    for seed in range(30):
        rng = np.random.default_rng(seed)
        weight, wide = rng.normal(size=(97, 61)).astype(np.float32), bool(seed % 2)
        x, drives, traces = inputs(rng, 5, 3, 61), np.empty((2, 5, 3, 97), np.float32), []
        drive, arguments, written = neurons(
            rng, spikes=bool(seed % 3), real=(np.float32, np.float64)[seed % 2], loop=seed % 5 > 2
        )
        for module, sums in zip((floating_reference, build), drives, strict=True):
            module.dense_sums(x, panels=panels(weight), wide=wide, drive=sums)
            arrays = {key: array.copy() for key, array in written.items()}
            module.run_neurons(drive, **arguments, **arrays)
            traces.append(arrays["trace"])
        np.testing.assert_array_equal(*drives)
        np.testing.assert_array_equal(*traces)


@pytest.mark.parametrize(
    "change, told",
    [
        ({"panels": np.zeros((1, 3, 16), np.float32)}, "panels must be"),
        ({"panels": np.zeros((1, 4, 15), np.float32)}, "panels must be"),
        ({"panels": np.zeros((2, 4, 16), np.float32)}, "panels must be"),
        ({"bias": np.zeros(3, np.float32)}, "bias needs"),
        ({"drive": np.zeros((2, 2, 5), np.float32)}, "do not fit"),
        ({"x": np.zeros((1, 1, 8), np.float32)[:, :, ::2]}, "last axis"),
    ],
)
def test_wrong_dense_arguments(change, told):
    arguments = {"panels": panels(np.ones((5, 4))), "wide": True, "drive": np.zeros((1, 1, 5), np.float32)} | change
    with pytest.raises(ValueError, match=told):
        floating.dense_sums(arguments.pop("x", np.zeros((1, 1, 4), np.uint8)), **arguments)


@pytest.mark.parametrize("change", [{"indptr": [0, 2, 1]}, {"indptr": [0, 1]}, {"target": [0, 3]}, {"target": [0]}])
def test_synapses_out_of_bounds(change):
    lists = {"indptr": [0, 1, 2], "target": [0, 2]} | change
    lists = {key: np.array(value, np.int32) for key, value in lists.items()}
    drive = np.zeros((1, 1, 3), np.float32)
    with pytest.raises(ValueError, match="indptr"):
        floating.sparse_sums(
            np.ones((1, 1, 2), np.uint8), **lists, weight=np.ones(2, np.float32), wide=True, drive=drive
        )


@pytest.mark.parametrize("part, value, told", [(0, 9, "outside"), (1, 2, "outside"), (2, 4, "outside")])
def test_taps_out_of_bounds(part, value, told):
    line = [array.copy() for array in axis_taps(4, 4, 2, 1, 1, 0)]
    line[part][-1] = value
    arguments = {"table": np.ones((1, 2, 2, 1), np.float32), "across": axis_taps(4, 4, 2, 1, 1, 0), "groups": 1}
    drive = np.zeros((1, 1, 16), np.float32)
    with pytest.raises(ValueError, match=told):
        floating.convolution_sums(
            np.ones((1, 1, 16), np.uint8), down=tuple(line), size=(4, 4), wide=True, drive=drive, **arguments
        )


@pytest.mark.parametrize(
    "change, told",
    [
        ({"rule": 4}, "rule"),
        ({"table": np.ones((8, 2))}, "table needs"),
        ({"v": np.zeros((1, 3))}, "v and current"),
        ({"place": np.int32([0, 2])}, "place outside"),
        ({"panels": np.zeros((1, 2, 16), np.float32)}, "needs last"),
        ({"out": np.zeros((1, 1, 2), np.float32)}, "outputs are bytes"),
    ],
)
def test_wrong_neurons(change, told):
    state = {"v": np.zeros((1, 2)), "current": np.zeros((1, 2)), "out": np.zeros((1, 1, 2), np.uint8)}
    with pytest.raises(ValueError, match=told):
        floating.run_neurons(
            np.zeros((1, 1, 2), np.float32), **({"rule": 1, "table": np.ones((9, 2))} | state | change)
        )
