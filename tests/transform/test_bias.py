"""Bias correction restores the mean of every channel, computed here apart from the transform."""

import numpy as np
import pytest

from neuroemu import quantize, run_float, run_integer
from neuroemu.errors import ArgumentTypeError
from neuroemu.network import Add, AveragePool2d, Conv2d, Dense, Flatten, relu, sequential


def net_of(random):
    """A residual block with a depthwise layer and layers without a bias."""
    return sequential(
        [
            Conv2d(name="first", weight=random.normal(0, 0.5, (6, 2, 3, 3)), padding=1),
            relu(name="relu"),
            Conv2d(name="depthwise", weight=random.normal(0, 0.5, (6, 1, 3, 3)), bias=np.ones(6), padding=1, groups=6),
            Add(name="sum", inputs=("relu", "depthwise")),
            relu(name="relu2"),
            AveragePool2d(name="pool", size=2),
            Flatten(name="flat"),
            Dense(name="fc", weight=random.normal(0, 0.3, (4, 54))),
        ],
        input_shape=(2, 6, 6),
    )


def sums_of(network, x):
    """Real weighted sums with bias of each layer of a quantized network."""
    found = {}

    def multiply(layer, drive, first):
        weight = layer.weight.astype(np.float64)
        if isinstance(layer, Dense):
            sums = drive.astype(np.float64) @ weight.T
        else:
            padded = np.pad(drive.astype(np.float64), ((0, 0), (0, 0), (1, 1), (1, 1)))
            windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))
            split = windows.reshape(len(x), layer.groups, -1, *windows.shape[2:])
            weight = weight.reshape(layer.groups, -1, *weight.shape[1:])
            sums = np.einsum("bgchwij,gocij->bgohw", split, weight).reshape(len(x), -1, *windows.shape[2:4])
        step = layer.weight_grid.scale * network.grids[layer.inputs[0]].scale
        bias = np.zeros(len(step)) if layer.bias is None else layer.bias
        shape = (1, -1, *(1,) * (sums.ndim - 2))
        found[layer.name] = (sums + bias.reshape(shape)) * step.reshape(shape)
        return sums

    run_integer(network, x, multiply=multiply, batch=len(x))
    return found


def mean(values):
    return values.mean(axis=tuple(a for a in range(values.ndim) if a != 1), dtype=np.float64)


@pytest.mark.parametrize("bits", [2, 3, 8])
def test_means_of_all_channels_are_restored(bits):
    random = np.random.default_rng(bits)
    net, x = net_of(random), random.uniform(0, 1, (150, 2, 6, 6)).astype(np.float32)  # two batches
    real = run_float(net, x, keep=["first", "depthwise", "fc"])[1]
    plain, corrected = (
        quantize(net, samples=x, weight_bits=bits, activation_bits=4, correct_bias=on) for on in (False, True)
    )
    before, after = sums_of(plain, x), sums_of(corrected, x)
    for layer in corrected.weighted:
        step = layer.weight_grid.scale * corrected.grids[layer.inputs[0]].scale
        left = np.abs(mean(after[layer.name]) - mean(real[layer.name]))
        assert (left <= 0.51 * step + 1e-6).all()
        assert np.abs(mean(before[layer.name]) - mean(real[layer.name])).max() > left.max()
        np.testing.assert_array_equal(layer.weight, plain.layer(layer.name).weight)
    assert plain.grids == corrected.grids


def test_correction_lowers_the_error_on_other_inputs():
    random = np.random.default_rng(5)
    net, x = net_of(random), random.uniform(0, 1, (600, 2, 6, 6)).astype(np.float32)
    real = run_float(net, x[300:])

    def lost(on):
        q = quantize(net, samples=x[:300], weight_bits=3, correct_bias=on)
        return np.mean((run_integer(q, x[300:]) - real) ** 2)

    assert lost(True) < 0.5 * lost(False)


def test_rows_of_a_dense_layer_share_their_channels():
    random = np.random.default_rng(0)
    net = sequential([Dense(name="fc", weight=random.normal(0, 1, (5, 3)))], input_shape=(4, 3))
    x = random.uniform(0, 1, (50, 4, 3)).astype(np.float32)
    q = quantize(net, samples=x, weight_bits=2, correct_bias=True)
    shift = (run_integer(q, x) - run_float(net, x)).mean(axis=(0, 1))
    assert np.abs(shift).max() < q.grids["fc"].scale / 2
    plain = quantize(net, samples=x, weight_bits=2)
    assert np.abs((run_integer(plain, x) - run_float(net, x)).mean(axis=(0, 1))).max() > 4 * np.abs(shift).max()


def test_the_option_is_true_or_false():
    net = net_of(np.random.default_rng(0))
    with pytest.raises(ArgumentTypeError, match="correct_bias must be a bool"):
        quantize(net, samples=np.zeros((3, 2, 6, 6)), correct_bias="yes")
