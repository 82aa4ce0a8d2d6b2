"""Folding, pruning and quantization keep what they promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroemu import MinMax, Percentile, calibrate, fold, prune, quantize, run_float, run_integer
from neuroemu.errors import ArgumentTypeError, InputError
from neuroemu.network import (
    AveragePool2d,
    BatchNorm,
    Conv2d,
    Dense,
    Flatten,
    MaxPool2d,
    Scale,
    Softmax,
    relu,
    sequential,
)
from neuroemu.transform.quantize import grid_for


def small_net(seed=0, head=()):
    random = np.random.default_rng(seed)
    return sequential(
        [
            Scale(name="pixels", scale=1 / 255),
            Conv2d(name="conv", weight=random.normal(0, 0.4, (6, 2, 3, 3)), bias=random.normal(0, 0.1, 6), padding=1),
            relu(name="relu"),
            MaxPool2d(name="pool", size=2),
            AveragePool2d(name="mean", size=2),
            Flatten(name="flat"),
            Dense(name="fc", weight=random.normal(0, 0.4, (5, 24)), bias=random.normal(0, 0.1, 5)),
            *head,
        ],
        input_shape=(2, 8, 8),
    )


def pixels(n, seed=1):
    return np.random.default_rng(seed).integers(0, 256, (n, 2, 8, 8)).astype(np.float32)


def test_the_error_halves_with_each_bit():
    net, x = small_net(), pixels(200)
    real = run_float(net, x)
    errors = [
        np.sqrt(np.mean((run_integer(quantize(net, weight_bits=b, activation_bits=b, samples=x), x) - real) ** 2))
        for b in (4, 5, 6, 7)  # beyond, the 8 bits of the output take over
    ]
    assert errors[-1] < 0.05 * real.std()
    ratios = np.array(errors[:-1]) / errors[1:]
    assert (ratios > 1.3).all() and np.exp(np.log(ratios).mean()) == pytest.approx(2, rel=0.25)


def test_grids_of_a_quantized_network():
    net, x = small_net(head=[Softmax(name="soft")]), pixels(100)
    q = quantize(net, weight_bits=4, activation_bits=4, samples=x)
    assert (q.grids["input"].scale, q.grids["input"].zero_point) == (1.0, -128)  # pixels pass unchanged
    assert q.grids["pixels"].scale == pytest.approx(1 / 255)
    assert q.grids["conv"] == q.grids["relu"] == q.grids["pool"] == q.grids["mean"]
    assert (q.grids["relu"].bits, q.grids["fc"].bits) == (4, 8)
    assert "soft" not in q.grids  # after the output grid
    np.testing.assert_allclose(run_integer(q, x).sum(axis=1), 1.0, rtol=1e-5)
    for layer in q.weighted:
        assert layer.weight.dtype == np.int8
        assert (np.abs(layer.weight.reshape(len(layer.weight), -1).astype(int)).max(axis=1) == 7).all()


def test_one_step_per_layer_on_request():
    q = quantize(small_net(), samples=pixels(50), per_channel=False)
    assert np.ndim(q.layer("conv").weight_grid.scale) == 0
    assert abs(int(q.layer("conv").weight.max())) == 127 or int(q.layer("conv").weight.min()) == -127


def test_percentile_calibration_ignores_outliers():
    net, x = small_net(), pixels(100)
    x[0] = 25_500.0  # one absurd image
    wide, narrow = (quantize(net, samples=x, calibration=c).grids["relu"].scale for c in (MinMax(), Percentile(98)))
    assert wide > 20 * narrow


@settings(max_examples=60, deadline=None)
@given(st.floats(-100, 100), st.floats(0, 200), st.integers(2, 8))
def test_grids_hold_zero_and_reach_both_ends(low, span, bits):
    grid = grid_for(low, low + span, bits=bits)
    assert grid.decode(np.array([grid.zero_point]))[0] == 0.0
    ends = np.array([min(low, 0.0), max(low + span, 0.0)])
    assert np.abs(grid.decode(grid.encode(ends)) - ends).max() <= grid.scale * 0.51 + 1e-6


def test_fold_keeps_the_function():
    random = np.random.default_rng(0)

    def norm(name, n):
        return BatchNorm(
            name=name, gamma=random.normal(1, 0.2, n), beta=random.normal(0, 0.2, n), mean=random.normal(0, 1, n),
            variance=random.uniform(0.5, 2, n),
        )  # fmt: skip

    net = sequential(
        [
            norm("first", 2),
            Conv2d(name="conv", weight=random.normal(0, 0.4, (6, 2, 3, 3))),
            norm("bn", 6),
            Scale(name="scale", scale=2.0, offset=0.5),
            relu(name="relu"),
            Flatten(name="flat"),
            Dense(name="fc", weight=random.normal(0, 0.1, (5, 216)), bias=random.normal(0, 0.1, 5)),
            norm("last", 5),
        ],
        input_shape=(2, 8, 8),
    )
    folded = fold(net)
    assert [layer.name for layer in folded.layers] == ["first", "conv", "relu", "flat", "fc"]
    assert isinstance(folded.layers[0], Scale)
    x = random.normal(0, 1, (7, 2, 8, 8)).astype(np.float32)
    np.testing.assert_allclose(run_float(folded, x), run_float(net, x), rtol=1e-4, atol=1e-4)


def test_fold_leaves_a_layer_alone_that_others_read():
    from neuroemu.network import Add

    net = sequential(
        [Dense(name="fc", weight=np.eye(3)), Scale(name="double", scale=2.0), Add(name="sum", inputs=("fc", "double"))],
        input_shape=(3,),
    )
    folded = fold(net)
    np.testing.assert_allclose(run_float(folded, np.ones((1, 3))), 3.0)


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 1), st.integers(0, 100))
def test_prune_keeps_the_largest_weights(density, seed):
    net = small_net(seed)
    pruned = prune(net, density=density)
    for before, after in zip(net.weighted, pruned.weighted, strict=True):
        kept = after.weight != 0
        assert kept.sum() == round(density * before.weight.size)
        np.testing.assert_array_equal(after.weight[kept], before.weight[kept])
        if kept.any() and not kept.all():
            assert np.abs(before.weight[kept]).min() >= np.abs(before.weight[~kept]).max()


def test_prune_judges_real_magnitudes_of_codes():
    x = pixels(50)
    q = quantize(small_net(), samples=x)
    pruned = prune(q, density=0.5)
    for before, after in zip(q.weighted, pruned.weighted, strict=True):
        real = np.abs(before.weight_grid.decode(before.weight))
        kept = after.weight != 0
        assert real[kept].min() >= np.median(real) * 0.999
    assert run_integer(pruned, x).shape == (50, 5)


def test_calibrate_attaches_samples():
    q = quantize(small_net(), samples=pixels(300)).replace(samples=None)
    assert calibrate(q, pixels(300)).samples.shape == (128, 2, 8, 8)


@pytest.mark.parametrize(
    "options, error, says",
    [
        ({"weight_bits": 1}, InputError, "2 to 8"),
        ({"weight_bits": 9}, InputError, "2 to 8"),
        ({"activation_bits": True}, ArgumentTypeError, "integer"),
        ({"calibration": "minmax"}, ArgumentTypeError, r"MinMax\(\)"),
        ({"samples": np.zeros((3, 4))}, InputError, "takes"),
        ({"samples": np.zeros((0, 2, 8, 8))}, InputError, "no inputs"),
        ({"samples": np.full((1, 2, 8, 8), np.nan)}, InputError, "NaN"),
    ],
)
def test_bad_arguments_of_quantize(options, error, says):
    with pytest.raises(error, match=says):
        quantize(small_net(), **({"samples": pixels(10)} | options))


def test_other_bad_arguments():
    q = quantize(small_net(), samples=pixels(10))
    with pytest.raises(InputError, match="quantized already"):
        quantize(q, samples=pixels(10))
    with pytest.raises(InputError, match="fold the float network"):
        fold(q)
    with pytest.raises(InputError, match=r"0\.0 to 1\.0"):
        prune(q, density=1.5)
    with pytest.raises(InputError, match=r"50.0 to 100.0"):
        Percentile(20)


def test_fold_leaves_a_dense_layer_over_several_rows_alone():
    """A BatchNorm scales axis 0 after the batch; the outputs of a Dense on (S, in) are its last axis."""
    random = np.random.default_rng(0)
    norm = BatchNorm(
        name="bn", gamma=random.normal(1, 0.3, 4), beta=random.normal(0, 1, 4), mean=np.zeros(4), variance=np.ones(4)
    )
    net = sequential([Dense(name="fc", weight=random.normal(0, 1, (4, 3))), norm], input_shape=(4, 3))
    x = random.normal(0, 1, (5, 4, 3))
    np.testing.assert_allclose(run_float(fold(net), x), run_float(net, x), rtol=1e-5, atol=1e-5)
    doubled = sequential([Dense(name="fc", weight=np.ones((2, 3))), Scale(name="s", scale=2.0)], input_shape=(4, 3))
    assert [layer.name for layer in fold(doubled).layers] == ["fc"]


@pytest.mark.parametrize("weight", [0.0, 1e-20])
def test_channels_without_weights_keep_their_bias(weight):
    net = sequential([Dense(name="fc", weight=[[0.5, -0.25], [weight, weight]], bias=[0.1, 0.4])], input_shape=(2,))
    x = np.random.default_rng(0).uniform(0, 255, (50, 2))
    out = run_integer(quantize(net, samples=x), x)
    assert out[:, 1] == pytest.approx(0.4, abs=0.5)  # half an output step
    lone = sequential([Dense(name="fc", weight=[[weight, weight]], bias=[0.4])], input_shape=(2,))
    np.testing.assert_allclose(run_integer(quantize(lone, samples=x), x), 0.4, rtol=0.01)
    np.testing.assert_allclose(run_integer(quantize(prune(lone, density=0.0), samples=x), x), 0.4, rtol=0.01)
