"""Networks made for TrueNorth cores: rates follow activations, registers hold, and what does not fit is refused."""

import numpy as np
import pytest

from neuroemu import chips, group_channels, place, quantize, run, run_float, run_integer, to_truenorth
from neuroemu.errors import InputError, PlacementError, UnsupportedError
from neuroemu.network import Add, AveragePool2d, Conv2d, Dense, Fire, Flatten, MaxPool2d, relu, sequential


def blobs(n, seed=0):
    random = np.random.default_rng(seed)
    return (random.uniform(0, 255, (n, 2, 8, 8)) * (random.random((n, 2, 8, 8)) < 0.5)).astype(np.float32)


def net(*middle, fan_in=64, channels=4, seed=0):
    random = np.random.default_rng(seed)
    kernel = random.normal(0.001, 0.004, (channels, 2, 3, 3))
    layers = [Conv2d(name="conv", weight=kernel, bias=random.normal(0, 0.1, channels), stride=2, padding=1)]
    layers += [relu(name="relu"), *middle, Flatten(name="flat")]
    layers.append(Dense(name="fc", weight=random.normal(0.1, 0.2, (5, fan_in)), bias=random.normal(0, 0.1, 5)))
    return sequential(layers, input_shape=(2, 8, 8))


def correlation(network, made, x):
    real = np.maximum(run_float(network, x), 0)
    return np.corrcoef(real.ravel(), run(made, chips.TRUENORTH, x).outputs.ravel())[0, 1]


def test_counts_follow_activations():
    """More ticks and more bits come nearer to the float network."""
    network, x = net(), blobs(40)
    made = {
        (steps, bits): to_truenorth(network, steps=steps, samples=blobs(100, 1), weight_bits=bits)
        for steps, bits in ((4, 4), (64, 4), (64, 2))
    }
    found = {key: correlation(network, value, x) for key, value in made.items()}
    assert found[64, 4] > 0.97 and found[64, 4] > found[4, 4] and found[64, 4] > found[64, 2] > 0.7
    codes = {int(c) for layer in made[64, 4].weighted for c in np.unique(layer.weight)}
    assert codes <= set(range(-7, 8)) and all(isinstance(made[64, 4].layer(n), Fire) for n in ("relu", "fc/fire"))


@pytest.mark.parametrize("options", [{"coding": "poisson"}, {"reset": "zero"}])
def test_other_codings_and_resets(options):
    network, x = net(), blobs(30)
    assert correlation(network, to_truenorth(network, steps=64, samples=blobs(100, 1), **options), x) > 0.9


def test_pooling_and_quantized_networks():
    network, x = net(AveragePool2d(name="pool", size=2), fan_in=16), blobs(30)
    eight = quantize(network, samples=blobs(100, 1))
    made = to_truenorth(eight, steps=64, samples=blobs(100, 1))
    counts = run(made, chips.TRUENORTH, x).outputs
    assert np.corrcoef(np.maximum(run_integer(eight, x), 0).ravel(), counts.ravel())[0, 1] > 0.93
    assert set(made.layer("pool/sum").weight.ravel()) == {1}  # the factor of all codes is in the step


def test_what_does_not_fit_says_what_to_do():
    wide = net(
        Conv2d(name="wide", weight=np.random.default_rng(1).normal(0, 0.1, (4, 32, 3, 3))),
        relu(name="r2"),
        fan_in=16,
        channels=32,
    )
    made = to_truenorth(wide, steps=4, samples=blobs(50), weight_bits=3)
    with pytest.raises(PlacementError, match=r"'wide'.*one neuron needs .* axons.*group the channels"):
        place(made, chips.TRUENORTH)
    cut = to_truenorth(group_channels(wide, "wide", 4), steps=4, samples=blobs(50), weight_bits=3)
    assert len(place(cut, chips.TRUENORTH).sites) > 3


def test_grouped_channels_keep_their_weights():
    """Outputs equal those of the whole convolution with the other weights set to 0."""
    weight = np.random.default_rng(0).normal(size=(6, 4, 3, 3)).astype(np.float32)
    whole = sequential([Conv2d(name="c", weight=weight)], input_shape=(4, 5, 5))
    kept = weight * ((np.arange(6) // 3)[:, None] == np.arange(4) // 2)[:, :, None, None]
    x = np.random.default_rng(1).normal(size=(3, 4, 5, 5)).astype(np.float32)
    want = run_float(sequential([Conv2d(name="c", weight=kept)], input_shape=(4, 5, 5)), x)
    two = group_channels(whole, "c", 2)
    np.testing.assert_allclose(run_float(two, x), want, atol=1e-5)
    assert two.layer("c").groups == 2 and np.array_equal(
        group_channels(two, "c", 2).layer("c").weight, two.layer("c").weight
    )
    with pytest.raises(InputError, match="4 groups must be a multiple of that and divide both"):
        group_channels(whole, "c", 4)


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"weight_bits": 5}, InputError, "weight_bits is 5"),
        ({"samples": -blobs(9)}, InputError, "spikes carry no sign"),
        ({"samples": 0 * blobs(9)}, InputError, "give some above it"),
        ({"reset": "forget"}, InputError, "choose from 'subtract', 'zero'"),
    ],
)
def test_arguments_are_checked(change, error, message):
    with pytest.raises(error, match=message):
        to_truenorth(net(), **{"steps": 4, "samples": blobs(9)} | change)


def test_layers_without_a_spiking_form():
    with pytest.raises(UnsupportedError, match="MaxPool2d"):
        to_truenorth(net(MaxPool2d(name="max", size=2), fan_in=16), steps=4, samples=blobs(9))


def test_residual_networks_are_refused():
    layers = [Dense(name="a", weight=np.eye(4)), relu(name="r"), Dense(name="b", weight=np.eye(4))]
    layers += [Add(name="sum", inputs=("b", "r")), relu(name="r2"), Dense(name="c", weight=np.eye(4))]
    with pytest.raises(UnsupportedError, match="'r2' reads r, r; only chains of layers convert"):
        to_truenorth(sequential(layers, input_shape=(4,)), steps=4, samples=np.ones((9, 4)))
