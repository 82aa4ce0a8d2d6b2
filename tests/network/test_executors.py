"""The two reference executors against plain loops, and the properties that the substrates rely on."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroemu.errors import InputError
from neuroemu.network import (
    Add,
    AveragePool2d,
    Clip,
    Concat,
    Conv2d,
    Dense,
    Flatten,
    GlobalAveragePool,
    Grid,
    MaxPool2d,
    Network,
    Softmax,
    ops,
    run_float,
    run_integer,
    sequential,
)
from neuroemu.network.ops import exact_product


def conv_by_loops(x, layer):
    """Cross-correlation, one output at a time, in float64."""
    out_channels, per_group, kernel_high, kernel_wide = layer.weight.shape
    (top, bottom), (left, right) = layer.padding
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right))).astype(np.float64)
    high = (x.shape[2] - (kernel_high - 1) * layer.dilation[0] - 1) // layer.stride[0] + 1
    wide = (x.shape[3] - (kernel_wide - 1) * layer.dilation[1] - 1) // layer.stride[1] + 1
    y = np.zeros((len(x), out_channels, high, wide))
    per_out = out_channels // layer.groups
    for o in range(out_channels):
        for i in range(high):
            for j in range(wide):
                for c in range(per_group):
                    for ky in range(kernel_high):
                        for kx in range(kernel_wide):
                            row, col = (
                                i * layer.stride[0] + ky * layer.dilation[0],
                                j * layer.stride[1] + kx * layer.dilation[1],
                            )
                            y[:, o, i, j] += layer.weight[o, c, ky, kx] * x[:, (o // per_out) * per_group + c, row, col]
    return y


convolutions = st.fixed_dictionaries(
    {
        "groups": st.integers(1, 3),
        "per_group": st.integers(1, 2),
        "per_out": st.integers(1, 2),
        "kernel": st.tuples(st.integers(1, 3), st.integers(1, 3)),
        "stride": st.tuples(st.integers(1, 2), st.integers(1, 3)),
        "dilation": st.tuples(st.integers(1, 2), st.integers(1, 2)),
        "padding": st.tuples(
            st.tuples(st.integers(0, 2), st.integers(0, 1)), st.tuples(st.integers(0, 1), st.integers(0, 2))
        ),
        "seed": st.integers(0, 1000),
    }
)


@settings(max_examples=40, deadline=None)
@given(convolutions)
def test_convolutions_equal_plain_loops(case):
    random = np.random.default_rng(case["seed"])
    shape = (case["per_out"] * case["groups"], case["per_group"], *case["kernel"])
    layer = Conv2d(
        name="c",
        weight=random.integers(-9, 10, shape).astype(np.float32),
        groups=case["groups"],
        stride=case["stride"],
        padding=case["padding"],
        dilation=case["dilation"],
    )
    x = random.integers(-9, 10, (2, case["per_group"] * case["groups"], 7, 6)).astype(np.float32)
    net = sequential([layer], input_shape=x.shape[1:])
    np.testing.assert_array_equal(run_float(net, x), conv_by_loops(x, layer))


def quantized_conv(random, *, rounding="half_even", groups=1):
    weight = random.integers(-127, 128, (4, 6 // groups, 3, 3)).astype(np.int8)
    layer = Conv2d(
        name="conv",
        weight=weight,
        bias=random.integers(-5000, 5000, 4).astype(np.int32),
        weight_grid=Grid(random.uniform(0.001, 0.01, 4), axis=0),
        padding=1,
        groups=groups,
    )
    grids = {"input": Grid(0.02, zero_point=-7), "conv": Grid(0.4, zero_point=3)}
    return Network(layers=(layer,), input_shape=(6, 5, 5), grids=grids, rounding=rounding)


@pytest.mark.parametrize("groups", [1, 2])
def test_integer_convolution_is_the_rounded_exact_sum(groups):
    random = np.random.default_rng(groups)
    net = quantized_conv(random, groups=groups)
    layer, old, new = net.layers[0], net.grids["input"], net.grids["conv"]
    codes = random.integers(-128, 128, (3, 6, 5, 5))
    _, kept = run_integer(net, old.decode(codes), keep=["conv", "input"])
    np.testing.assert_array_equal(kept["input"], codes)
    sums = conv_by_loops(codes - old.zero_point, layer) + layer.bias[:, None, None]
    real = sums * (layer.weight_grid.scale * old.scale / new.scale)[:, None, None]
    expected = np.clip(np.rint(real) + new.zero_point, -128, 127)
    # float32 factors move a sum that lies on a tie to the other side, and nothing else
    ties = np.abs(real - np.floor(real) - 0.5) < 1e-4
    np.testing.assert_array_equal(kept["conv"][~ties], expected[~ties])
    assert ties.mean() < 0.01


def test_padding_is_the_code_of_zero():
    """A constant input at the zero point gives the bias everywhere, at the border as well."""
    net = quantized_conv(np.random.default_rng(0))
    _, kept = run_integer(net, np.zeros((1, 6, 5, 5)), keep=["conv"])
    assert all(np.unique(kept["conv"][0, c]).size == 1 for c in range(4))


def test_exact_product_is_exact_where_float32_is_not():
    a = np.full((1, 4000), 255.0, np.float32)
    b = np.full((4000, 1), 127.0, np.float32)
    b[0] = 126.0
    assert exact_product(a, b)[0, 0] == 255 * 127 * 4000 - 255


def test_residual_pools_and_softmax_in_integers():
    random = np.random.default_rng(3)
    grid = Grid(0.05, zero_point=-128)
    layers = (
        MaxPool2d(name="max", size=2, inputs=("input",)),
        AveragePool2d(name="mean", size=2, inputs=("input",)),
        Add(name="sum", inputs=("max", "mean")),
        Clip(name="clip", low=0.0, high=6.0),
        Concat(name="both", inputs=("clip", "max")),
        GlobalAveragePool(name="gap"),
        Flatten(name="flat"),
        Softmax(name="soft"),
    )
    grids = {name: grid for name in ("input", "max", "mean", "clip", "both", "gap", "flat")} | {"sum": Grid(0.1, -128)}
    net = Network(layers=layers, input_shape=(2, 4, 4), grids=grids)
    x = grid.decode(random.integers(-128, 128, (5, 2, 4, 4)))
    out, kept = run_integer(net, x, keep=["sum", "clip", "gap"])
    real, reference = run_float(net.replace(grids={}), x, keep=["sum", "gap"])
    assert np.abs(grids["sum"].decode(kept["sum"]) - reference["sum"]).max() <= 0.1
    assert kept["clip"].max() <= 6.0 / 0.05 - 128
    assert np.abs(grid.decode(kept["gap"]) - reference["gap"]).max() <= 0.1
    np.testing.assert_allclose(out.sum(axis=-1), 1.0, rtol=1e-5)
    assert np.abs(out - real).max() < 0.1


def test_batches_do_not_change_results():
    net = quantized_conv(np.random.default_rng(1))
    x = np.random.default_rng(2).normal(0, 1, (9, 6, 5, 5))
    np.testing.assert_array_equal(run_integer(net, x, batch=2), run_integer(net, x, batch=100))


def test_threads_do_not_change_results():
    net = quantized_conv(np.random.default_rng(1))
    x = np.random.default_rng(2).normal(0, 1, (23, 6, 5, 5))
    want, kept = run_integer(net, x, keep=["input"])
    seen = []
    got, same = run_integer(net, x, keep=["input"], batch=2, threads=3, progress=lambda *state: seen.append(state))
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(same["input"], kept["input"])
    assert seen == [("network", min(n, 23), 23) for n in range(2, 25, 2)]
    with pytest.raises(ZeroDivisionError):  # what goes wrong in a thread is raised by the call
        run_integer(net, x, batch=2, threads=3, multiply=lambda *_: 1 / 0)


def test_memory_is_bounded_by_bytes_not_by_images():
    """The patches of one image take 1.8 MB: those of all images at once would take 120 MB."""
    random = np.random.default_rng(0)
    weight = random.integers(-9, 10, (2, 8, 7, 7)).astype(np.int8)
    layer = Conv2d(name="conv", weight=weight, weight_grid=Grid(0.1), padding=3)
    net = Network(layers=(layer,), input_shape=(8, 34, 34), grids={"input": Grid(0.1), "conv": Grid(1.0)})
    x = random.normal(0, 1, (64, 8, 34, 34)).astype(np.float32)
    expected = run_integer(net, x, batch=5)
    tracemalloc.start()
    got = run_integer(net, x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(got, expected)
    assert peak < 4 * ops.BLOCK_BYTES


def test_executors_refuse_the_other_kind():
    net = quantized_conv(np.random.default_rng(1))
    with pytest.raises(InputError, match="is quantized"):
        run_float(net, np.zeros((1, 6, 5, 5)))
    with pytest.raises(InputError, match="call quantize"):
        run_integer(sequential([Dense(name="d", weight=np.ones((1, 1)))], input_shape=(1,)), np.zeros((1, 1)))
    with pytest.raises(InputError, match="no tensors called"):
        run_integer(net, np.zeros((1, 6, 5, 5)), keep=["nowhere"])
