"""ANN to SNN: what converts, what is refused, and registers that a chip can hold."""

import numpy as np
import pytest

from neuroemu import chips, datasets, quantize, run, run_float, to_spiking
from neuroemu.errors import InputError, UnsupportedError
from neuroemu.network import (
    Add,
    AveragePool2d,
    Clip,
    Conv2d,
    Dense,
    Encode,
    Flatten,
    GlobalAveragePool,
    Lif,
    MaxPool2d,
    Softmax,
    relu,
    sequential,
)


def blobs(n, seed=0):
    random = np.random.default_rng(seed)
    return (random.uniform(0, 255, (n, 2, 8, 8)) * (random.random((n, 2, 8, 8)) < 0.5)).astype(np.float32)


def net(*middle, seed=0, fan_in=96, head=()):
    random = np.random.default_rng(seed)
    return sequential(
        [
            Conv2d(
                name="conv",
                weight=random.normal(0.002, 0.004, (6, 2, 3, 3)),
                bias=random.normal(0, 0.02, 6),
                stride=2,
                padding=1,
            ),
            relu(name="relu"),
            *middle,
            Flatten(name="flat"),
            Dense(name="fc", weight=random.normal(0, 0.3, (5, fan_in)), bias=random.normal(0, 0.1, 5)),
            *head,
        ],
        input_shape=(2, 8, 8),
    )


def correlation(network, snn, x):
    return np.corrcoef(run_float(network, x).ravel(), run(snn, chips.LOIHI, x).outputs.ravel())[0, 1]


def test_error_falls_with_steps_when_the_threshold_is_subtracted():
    network, x = net(), blobs(60)
    real = run_float(network, x)
    errors = []
    for steps in (8, 32, 128):
        snn = to_spiking(network, steps=steps, samples=blobs(100, 1), reset="subtract")
        errors.append(np.abs(run(snn, chips.LOIHI, x).outputs - real).mean())
    assert errors[0] > 1.5 * errors[1] > 2 * errors[2]
    assert errors[2] < 0.05 * np.abs(real).mean()


@pytest.mark.parametrize("reset, least", [("subtract", 0.98), ("zero", 0.75)])
@pytest.mark.parametrize("coding", ["direct", "poisson"])
def test_outputs_follow_the_network(reset, least, coding):
    network, x = net(), blobs(60)
    snn = to_spiking(network, steps=64, samples=blobs(100, 1), reset=reset, coding=coding)
    assert correlation(network, snn, x) > least - (0.05 if coding == "poisson" else 0)


def test_average_pools_become_neurons():
    network, x = net(AveragePool2d(name="mean", size=2), fan_in=24), blobs(60)
    snn = to_spiking(network, steps=64, samples=blobs(100, 1), reset="subtract")
    assert snn.layer("mean/sum").groups == 6
    assert correlation(network, snn, x) > 0.95
    network = net(GlobalAveragePool(name="gap"), fan_in=6)
    assert correlation(network, to_spiking(network, steps=64, samples=blobs(100, 1), reset="subtract"), x) > 0.9


def test_quantized_networks_convert_and_a_last_softmax_is_dropped():
    network, x = net(head=[Softmax(name="soft")]), blobs(60)
    q = quantize(network, samples=blobs(100, 1))
    snn = to_spiking(q, steps=64, samples=blobs(100, 1), reset="subtract")
    assert not any(isinstance(layer, Softmax) for layer in snn.layers)
    reference = run_float(network, x).argmax(axis=1)
    assert (run(snn, chips.LOIHI, x).predictions == reference).mean() > 0.9


def test_registers_fit_the_chip():
    snn = to_spiking(net(), steps=32, samples=blobs(100, 1))
    encode, *others = snn.layers
    assert isinstance(encode, Encode) and encode.threshold % 64 == 0
    for layer in others:
        if isinstance(layer, Lif):
            assert 6 <= layer.weight_shift <= 14
            assert layer.threshold is None or (layer.threshold % 64 == 0 and 0 < layer.threshold <= 64 * 131071)
            assert np.abs(layer.bias).max() <= 4095 << 7


def test_no_register_overflows_on_the_embedded_network():
    network = datasets.mnist_network()
    x, y = datasets.mnist_test(64)
    for reset in ("zero", "subtract"):
        result = run(to_spiking(network, steps=32, samples=network.samples, reset=reset), chips.LOIHI, x, labels=y)
        assert result.warnings == ()


def test_poisson_spikes_depend_on_seed_and_image_only():
    snn = to_spiking(net(), steps=16, samples=blobs(50, 1), coding="poisson")
    x = blobs(70)
    whole = run(snn, chips.LOIHI, x, seed=1, threads=2)
    np.testing.assert_array_equal(whole.outputs[:5], run(snn, chips.LOIHI, x[:5], seed=1, threads=1).outputs)
    assert not np.array_equal(whole.outputs, run(snn, chips.LOIHI, x, seed=2).outputs)
    assert whole.counts.total("input_spike") > 0
    trials = run(snn, chips.LOIHI, x, seed=1, trials=2)
    assert not np.array_equal(trials.trial_outputs[0], trials.trial_outputs[1])


@pytest.mark.parametrize(
    "network, says",
    [
        (net(MaxPool2d(name="pool", size=2), fan_in=24), "strided convolutions or average pooling"),
        (net(Add(name="add", inputs=("relu", "relu"))), "behind the ReLU"),
        (net(head=[Clip(name="top", low=-1.0)]), "start at 0"),
        (net(head=[relu(name="top")]), "does not end with a weighted layer"),
        (
            net(Conv2d(name="c2", weight=np.ones((6, 6, 1, 1))), Conv2d(name="c3", weight=np.ones((6, 6, 1, 1)))),
            "without a ReLU",
        ),
        (net(AveragePool2d(name="mean", size=3, padding=1, stride=2), fan_in=24), "use padding 0"),
    ],
)
def test_what_has_no_spiking_form_is_refused(network, says):
    with pytest.raises(UnsupportedError, match=says):
        to_spiking(network, steps=8, samples=blobs(10))


@pytest.mark.parametrize(
    "options, says",
    [
        ({"steps": 0}, "1 to 4096"),
        ({"coding": "burst"}, "choose from"),
        ({"reset": "hard"}, "choose from"),
        ({"samples": -blobs(10)}, "spikes carry no sign"),
        ({"samples": np.zeros((2, 3))}, "takes"),
    ],
)
def test_bad_arguments(options, says):
    with pytest.raises(InputError, match=says):
        to_spiking(net(), **({"steps": 8, "samples": blobs(10)} | options))
    snn = to_spiking(net(), steps=8, samples=blobs(10))
    with pytest.raises(InputError, match="spiking already"):
        to_spiking(snn, steps=8, samples=blobs(10))


@pytest.mark.parametrize("steps", [1, 4, 32])
def test_large_biases_get_coarser_weights_and_are_not_clipped(steps):
    random = np.random.default_rng(0)
    net = sequential(
        [
            Dense(name="a", weight=random.uniform(0, 0.5, (3, 2)) / 255, bias=[1.0, 1.2, 1.5]),
            relu(name="r"),
            Dense(name="b", weight=random.normal(0, 1, (2, 3)), bias=[3.0, -2.0]),
        ],
        input_shape=(2,),
    )
    x = random.uniform(0, 255, (40, 2))
    snn = to_spiking(net, steps=steps, samples=x, reset="subtract")
    first = snn.layer("r")
    np.testing.assert_allclose(first.bias * first.scale, [1.0, 1.2, 1.5], rtol=0.02)
    last = snn.layers[-1]
    np.testing.assert_allclose(last.bias * last.scale * steps, [3.0, -2.0], rtol=0.02)


def test_biases_that_no_register_holds_are_refused():
    net = sequential([Dense(name="a", weight=[[1e-7, 2e-7]], bias=[3.0])], input_shape=(2,))
    with pytest.raises(InputError, match="layer 'a': its biases or activations are too large"):
        to_spiking(net, steps=8, samples=np.full((5, 2), 200.0))


def test_a_convolution_may_be_the_last_layer():
    random = np.random.default_rng(0)
    network = sequential(
        [
            Conv2d(name="a", weight=random.normal(0, 0.01, (4, 2, 3, 3))),
            relu(name="r"),
            Conv2d(name="b", weight=random.normal(0, 0.3, (3, 4, 6, 6))),
            Flatten(name="f"),
            Softmax(name="s"),
        ],
        input_shape=(2, 8, 8),
    )
    x = blobs(40)
    result = run(to_spiking(network, steps=64, samples=blobs(60, 1), reset="subtract"), chips.LOIHI, x)
    assert result.outputs.shape == (40, 3)
    assert (result.predictions == run_float(network, x).argmax(axis=1)).mean() > 0.8


def test_silent_samples_are_refused():
    with pytest.raises(InputError, match="all zero"):
        to_spiking(net(), steps=8, samples=np.zeros((4, 2, 8, 8)))
