"""Residual and joined networks as spiking ones: what converts, how exact the skip is, how the error falls."""

import numpy as np
import pytest

from neuroemu import chips, quantize, run, run_float, to_spiking
from neuroemu.errors import UnsupportedError
from neuroemu.network import (
    Add,
    AveragePool2d,
    Concat,
    Conv2d,
    Dense,
    Flatten,
    GlobalAveragePool,
    Network,
    Scale,
    relu,
)
from neuroemu.transform.stages import Stage, stages_of


def images(n, seed=0):
    random = np.random.default_rng(seed)
    return (random.uniform(0, 255, (n, 2, 8, 8)) * (random.random((n, 2, 8, 8)) < 0.5)).astype(np.float32)


def residual(kind="identity", seed=0, scaled=False):
    """Two blocks: the first skips by identity, by a convolution or by a pool, the second adds three branches."""
    random = np.random.default_rng(seed)

    def conv(name, source, channels, reads, size=3, spread=0.15, **more):
        weight = random.normal(0.01, spread / size, (channels, reads, size, size))
        return Conv2d(name=name, inputs=(source,), weight=weight, bias=random.normal(0, 0.05, channels), **more)

    stride = {"identity": 1, "convolution": 2, "pool": 2}[kind]
    skip = {
        "identity": [],
        "convolution": [conv("aside", "r0", 6, 6, 1, stride=2)],
        "pool": [AveragePool2d(name="aside", inputs=("r0",), size=2)],
    }[kind]
    factor = [Scale(name="half", inputs=("r0",), scale=0.5)] if scaled else []
    path = "half" if scaled else "aside" if skip else "r0"
    layers = [
        conv("c0", "input", 6, 2, spread=0.02, padding=1), relu(name="r0"),
        conv("c1", "r0", 6, 6, stride=stride, padding=1), relu(name="r1"), conv("c2", "r1", 6, 6, padding=1),
        *skip, *factor, Add(name="add1", inputs=(path, "c2")), relu(name="r2"),
        conv("c3", "r2", 6, 6, padding=1), conv("c4", "r2", 6, 6, 1),
        Add(name="add2", inputs=("c3", "c4")), Add(name="add3", inputs=("add2", "r2")), relu(name="r3"),
        Concat(name="both", inputs=("r3", "r2")), GlobalAveragePool(name="mean", keep_dims=False),
        Dense(name="out", weight=random.normal(0, 0.4, (5, 12)), bias=random.normal(0, 0.1, 5)),
    ]  # fmt: skip
    return Network(layers=tuple(layers), input_shape=(2, 8, 8))


@pytest.mark.parametrize("kind", ["identity", "convolution", "pool"])
def test_error_falls_with_steps(kind):
    network, x = residual(kind), images(20)
    real = run_float(network, x)
    spread = np.abs(real - real.mean(axis=0)).mean()
    errors = []
    for steps in (8, 128):
        snn = to_spiking(network, steps=steps, samples=images(16, 1), reset="subtract")
        result = run(snn, chips.LOIHI, x)
        assert result.warnings == ()
        errors.append(np.abs(result.outputs - real).mean() / spread)
    assert errors[1] < 0.4 * errors[0] and errors[1] < 0.25


def test_a_skip_is_one_to_one_and_exact():
    """The code of the skip times the step is the value of one spike of its source, to float rounding."""
    snn = to_spiking(residual(), steps=16, samples=images(16, 1), reset="subtract")
    skip = snn.layer("add1/skip")
    assert skip.inputs == ("r0",) and skip.weight.shape == (6, 1, 1, 1) and skip.groups == 6
    np.testing.assert_allclose(skip.weight_grid.decode(skip.weight), 1.0, rtol=1e-6)
    assert (skip.weight >= 4).all()
    c2 = snn.layer("c2")
    assert np.abs(c2.weight_grid.decode(c2.weight) - residual().layer("c2").weight).max() < 0.01


def test_a_factor_on_the_skip_is_kept():
    network, x = residual(scaled=True), images(20)
    snn = to_spiking(network, steps=128, samples=images(16, 1), reset="subtract")
    real = run_float(network, x)
    assert np.corrcoef(run(snn, chips.LOIHI, x).outputs.ravel(), real.ravel())[0, 1] > 0.98
    skip = snn.layer("add1/skip")
    np.testing.assert_allclose(skip.weight_grid.decode(skip.weight), 1.0, rtol=1e-6)


def test_flat_skips_and_quantized_networks():
    random = np.random.default_rng(0)
    layers = (
        Flatten(name="flat"), Dense(name="d0", weight=random.normal(0, 0.002, (12, 128)), bias=np.full(12, 0.1)),
        relu(name="r0"), Dense(name="d1", weight=random.normal(0, 0.3, (12, 12))), Add(name="add", inputs=("d1", "r0")),
        relu(name="r1"), Dense(name="out", weight=random.normal(0, 0.3, (3, 12))),
    )  # fmt: skip
    network, x = Network(layers=layers, input_shape=(2, 8, 8)), images(40)
    real = run_float(network, x)
    for net in (network, quantize(network, samples=images(100, 1))):
        snn = to_spiking(net, steps=128, samples=images(16, 1), reset="subtract")
        assert np.count_nonzero(snn.layer("add/skip").weight) == 12
        outputs = run(snn, chips.LOIHI, x).outputs
        assert np.corrcoef(outputs.ravel(), real.ravel())[0, 1] > 0.98


def test_the_plan_of_a_residual_network():
    items, after = stages_of(residual("pool"))
    stages = {item.activation: item for item in items if isinstance(item, Stage)}
    assert list(stages) == ["r0", "r1", "aside", "r2", "r3", "mean", "out"]
    assert [(b.layer.name, b.layer.inputs[0], b.skip) for b in stages["r2"].branches] == [
        ("add1/skip", "aside", True), ("c2", "r1", False),
    ]  # fmt: skip
    assert [b.layer.name for b in stages["r3"].branches] == ["c3", "c4", "add3/skip"]
    assert stages["out"].last and after == ()


@pytest.mark.parametrize(
    "change, says",
    [
        (lambda a: [*a[:2], Conv2d(name="n", weight=np.ones((6, 6, 1, 1))), Concat(name="j", inputs=("n", "r0"))],
         "Concat 'j' stands between 'n' and its ReLU"),
        (lambda a: [*a[:5], Add(name="pre", inputs=("c2", "r0")), Add(name="next", inputs=("pre", "c2"))],
         "'c2' is read by several layers before its ReLU"),
        (lambda a: [*a[:2], Scale(name="s", inputs=("r0",), scale=0.5), Concat(name="j", inputs=("s", "r0"))],
         "joins tensors behind different Scale layers"),
        (lambda a: [*a[:2], Add(name="sum", inputs=("r0", "r0"))], "does not end|read-out"),
    ],
)  # fmt: skip
def test_what_has_no_spiking_form_is_refused(change, says):
    layers = change(list(residual().layers))
    if "read-out" in says:
        layers.append(relu(name="r"))
    with pytest.raises(UnsupportedError, match=says):
        to_spiking(Network(layers=tuple(layers), input_shape=(2, 8, 8)), steps=8, samples=images(10))
