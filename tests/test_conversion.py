"""The conversion report: parts of errors by hand and by closed forms, rates and shares beside what a run counts."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroemu import OrPooling, chips, conversion_report, plot, quantize, run, run_float, run_integer, to_spiking
from neuroemu.conversion.tally import even_spikes, signal
from neuroemu.errors import ArgumentTypeError, InputError, UnsupportedError
from neuroemu.network import (
    Add,
    AveragePool2d,
    Concat,
    Conv2d,
    Dense,
    Flatten,
    MaxPool2d,
    Network,
    Scale,
    relu,
    sequential,
)
from neuroemu.spiking import LOIHI1
from neuroemu.transform.stages import decoded

STEPS = 40


def chain(seed=0):
    random = np.random.default_rng(seed)
    return sequential(
        [
            Dense(name="a", weight=random.normal(0, 0.2, (30, 12)), bias=random.normal(0, 0.3, 30)),
            relu(name="ra"),
            Dense(name="b", weight=random.normal(0, 0.2, (20, 30)), bias=random.normal(0, 0.1, 20)),
            relu(name="rb"),
            Dense(name="c", weight=random.normal(0, 0.3, (4, 20))),
        ],
        input_shape=(12,),
    )


def graph():
    """A residual addition, an average, and two activations joined: kernels that read spikes of unlike values."""
    random = np.random.default_rng(3)

    def conv(name, source, outputs, inputs):
        weight = random.normal(0.05, 0.2, (outputs, inputs, 3, 3))
        return Conv2d(name=name, inputs=(source,), weight=weight, bias=random.normal(0, 0.1, outputs), padding=1)

    layers = (
        Scale(name="brighter", scale=2.5),
        conv("a", "brighter", 4, 2),
        relu(name="ra"),
        conv("b", "ra", 4, 4),
        Add(name="sum", inputs=("b", "ra")),
        relu(name="rb"),
        Concat(name="both", inputs=("rb", "ra")),
        conv("c", "both", 3, 8),
        relu(name="rc"),
        AveragePool2d(name="mean", size=2),
        Flatten(name="flat"),
        Dense(name="out", weight=random.normal(0, 0.3, (4, 27))),
    )
    return Network(layers=layers, input_shape=(2, 6, 6))


def inputs(shape, n=70, seed=1):
    return np.random.default_rng(seed).random((n, *shape)).astype(np.float32)


def by_name(report):
    return {layer.name: layer for layer in report.layers}


@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_an_input_that_is_integrated_evenly_has_the_error_that_was_predicted(reset):
    net, x = chain(), inputs((12,))
    spiking = to_spiking(net, steps=STEPS, samples=x, reset=reset)
    layer = by_name(conversion_report(net, spiking, chips.LOIHI, x))["input"]
    assert layer.predicted_steps == pytest.approx(layer.steps, rel=1e-9) and layer.error == layer.steps
    assert 1e-3 < layer.error < 0.1
    codes = np.rint(x.astype(float) / spiking.grids["input"].scale) * 64
    rates = even_spikes(codes, spiking.layers[0].threshold, spiking.layers[0].initial_voltage, reset, STEPS) / STEPS
    fit = (rates * x).sum() / (rates**2).sum()  # the balanced value of a spike
    assert layer.unit == pytest.approx(fit, rel=0.01)
    assert layer.error == pytest.approx(np.sqrt(((rates * layer.unit - x) ** 2).sum() / (x**2).sum()), rel=1e-6)
    assert layer.rate == pytest.approx(rates.mean(dtype=np.float64), rel=1e-9)


def test_random_spikes_have_the_error_of_a_binomial():
    net, x = chain(), inputs((12,))
    spiking = to_spiking(net, steps=STEPS, samples=x, coding="poisson")
    layer = by_name(conversion_report(net, spiking, chips.LOIHI, x))["input"]
    assert layer.steps == pytest.approx(layer.predicted_steps, rel=0.06)
    want = np.sqrt((x * (1 - x)).sum() / STEPS / (x**2).sum())  # unit 1, about
    assert layer.predicted_steps == pytest.approx(want, rel=0.02)


@settings(max_examples=60, deadline=None)
@given(
    drive=st.integers(0, 900), threshold=st.integers(1, 400), start=st.floats(0, 0.99),
    reset=st.sampled_from(["zero", "subtract"]), steps=st.integers(1, 50),
)  # fmt: skip
def test_spikes_of_an_even_input_in_closed_form(drive, threshold, start, reset, steps):
    initial = int(start * threshold)
    v, count = initial, 0
    for _ in range(steps):
        v += drive
        if v > threshold:
            count, v = count + 1, v - threshold if reset == "subtract" else 0
    assert even_spikes(np.array([float(drive)]), threshold, initial, reset, steps)[0] == count


def test_what_rounding_costs_is_predicted_and_zero_where_codes_fit():
    net, x = chain(), inputs((12,))
    quantized = quantize(net, samples=x)
    spiking = to_spiking(quantized, steps=STEPS, samples=x, reset="subtract")
    found = by_name(conversion_report(quantized, spiking, chips.LOIHI, x))
    for name in ("ra", "rb", "c"):
        assert found[name].rounding == pytest.approx(found[name].predicted_rounding, rel=0.15)
        assert 5e-4 < found[name].rounding < 0.02
    whole = np.random.default_rng(0).integers(-127, 128, (30, 12))
    whole[0, 0] = 127
    fits = net.replace(layers=(replace(net.layers[0], weight=whole / 100, bias=None), *net.layers[1:]))
    layer = by_name(conversion_report(fits, to_spiking(fits, steps=STEPS, samples=x), chips.LOIHI, x))["ra"]
    assert layer.rounding < 1e-6 and layer.predicted_rounding < 1e-6 and layer.steps > 1e-3


def test_the_read_out_inherits_all_but_its_rounding():
    """Its potentials add up every spike, so nothing is left to finite steps; in a graph this needs every unit right."""
    for net in (chain(), graph()):
        x = inputs(net.input_shape, 20)
        for reset in ("zero", "subtract"):
            spiking = to_spiking(net, steps=STEPS, samples=x, reset=reset)
            layer = conversion_report(net, spiking, LOIHI1, x).layers[-1]
            assert layer.steps < 1e-6 and layer.rounding < 0.02 and layer.spikes == 0
            assert layer.error == pytest.approx(layer.inherited, rel=0.05)
            want = run_float(net, x)
            error = np.sqrt(((run(spiking, chips.LOIHI, x).outputs - want) ** 2).sum() / (want**2).sum())
            assert layer.error == pytest.approx(error, rel=1e-5)


def test_layers_of_a_graph():
    net = graph()
    x = inputs(net.input_shape, 20)
    spiking = to_spiking(net, steps=64, samples=x, reset="subtract")
    report = conversion_report(net, spiking, chips.LOIHI, x)
    assert [layer.name for layer in report.layers] == ["input", "ra", "rb", "rc", "mean", "out"]
    assert (report.column("rounding")[:-1] < 0.03).all() and (report.column("own") < 0.2).all()
    assert report.depth == 5
    counted = run(spiking, chips.LOIHI, x).traces["spikes per image"]
    assert sum(report.column("spikes")) == pytest.approx(sum(counted.values()))
    mean = by_name(report)["mean"]
    assert mean.rounding < 1e-6  # all weights of an average are alike


@pytest.mark.parametrize("coding", ["direct", "first_spike"])
def test_max_pooling_by_a_rule(coding):
    """With first spikes the first of a window is that of its largest value: only the value of a spike is fitted."""
    random = np.random.default_rng(5)
    net = sequential(
        [
            Conv2d(name="a", weight=random.normal(0.1, 0.3, (4, 1, 3, 3)), padding=1),
            relu(name="ra"),
            MaxPool2d(name="pool", size=2),
            Flatten(name="f"),
            Dense(name="out", weight=random.normal(0, 0.3, (4, 36))),
        ],
        input_shape=(1, 6, 6),
    )
    x = inputs((1, 6, 6), 30)
    spiking = to_spiking(net, steps=64, samples=x, coding=coding, max_pooling=OrPooling())
    report = conversion_report(net, spiking, LOIHI1, x, max_pooling=OrPooling())
    found = by_name(report)
    pool = found["pool"]
    assert pool.rounding == 0 and np.isnan(pool.predicted_steps) and " -  " in str(report)
    assert found["out"].steps < 2e-3
    if coding == "first_spike":  # its biases are corrected, which counts as rounding
        assert found["out"].rounding > 0.02
        assert pool.steps < 1.5 * abs(1 - pool.unit / found["ra"].unit)
    assert pool.error <= pool.inherited + pool.steps
    with pytest.raises(UnsupportedError, match="give max_pooling"):
        conversion_report(net, spiking, LOIHI1, x)


def test_shares_are_counted():
    net, x = chain(), inputs((12,), 50)
    bias = net.layers[0].bias.copy()
    bias[0], bias[1] = 40.0, -40.0  # one neuron far above the others, one that is never active
    net = net.replace(layers=(replace(net.layers[0], bias=bias), *net.layers[1:]))
    calm = chain()
    spiking = to_spiking(net, steps=STEPS, samples=x, reset="subtract")
    usual = to_spiking(calm, steps=STEPS, samples=x, reset="subtract")
    # The thresholds of the network without the two, so that the large one saturates.
    lif = replace(spiking.layer("ra"), bias=spiking.layer("ra").bias, threshold=64)
    loud = spiking.replace(layers=tuple(lif if a.name == "ra" else a for a in spiking.layers))
    report = by_name(conversion_report(net, loud, chips.LOIHI, x))["ra"]
    _, kept = run_float(net, x, keep=["ra"])
    active = kept["ra"] > 0
    assert report.saturated == pytest.approx((kept["ra"] > report.unit * (1 + 1e-6)).mean())
    assert report.dead == pytest.approx((~active.any(axis=0)).mean()) and report.dead >= 1 / 30
    assert report.silent >= 1 / 30 and report.always >= 1 / 30
    assert report.rate == pytest.approx(report.spikes / 30 / STEPS)
    assert by_name(conversion_report(calm, usual, chips.LOIHI, x))["ra"].always == 0.0


def test_answers_side_by_side():
    net, x = chain(), inputs((12,), 90)
    quantized = quantize(net, weight_bits=3, activation_bits=4, samples=x)
    labels = run_float(decoded(quantized), x).argmax(axis=1)
    labels[:9] = (labels[:9] + 1) % 4
    spiking = to_spiking(quantized, steps=8, samples=x)
    report = conversion_report(quantized, spiking, chips.LOIHI, x, labels=labels)
    integer, spikes = run_integer(quantized, x).argmax(axis=1), run(spiking, chips.LOIHI, x).predictions
    assert report.accuracy == {
        "float": 0.9, "integer": (integer == labels).mean(), "spiking": (spikes == labels).mean(),
    }  # fmt: skip
    assert report.agreement["integer", "spiking"] == (integer == spikes).mean() < 1
    assert set(conversion_report(net, to_spiking(net, steps=8, samples=x), LOIHI1, x).agreement) == {
        ("float", "spiking")
    }
    text = str(report)
    assert "accuracy: float 90.00%" in text and "8 steps + 3, 90 inputs" in text
    figure = plot.conversion(report)
    assert [bar.get_width() for bar in figure.axes[0].patches][:4] == pytest.approx(100 * report.column("error"))


def test_bits_do_not_depend_on_threads():
    net, x = chain(), inputs((12,), 70)
    spiking = to_spiking(net, steps=STEPS, samples=x, coding="poisson")
    one, two = (conversion_report(net, spiking, LOIHI1, x, seed=4, threads=n) for n in (1, 2))
    assert one.layers == two.layers
    assert conversion_report(net, spiking, LOIHI1, x, seed=5).layers != one.layers


def test_currents_that_last_count_in_each_step_that_is_left():
    spikes = np.zeros((1, 4, 3), np.uint8)
    spikes[0, 0, 0] = spikes[0, 3, 1] = 1
    np.testing.assert_allclose(signal(spikes, 0.0), [[0.25, 0.25, 0]])
    np.testing.assert_allclose(signal(spikes, 1.0), [[1, 0.25, 0]])
    np.testing.assert_allclose(signal(spikes, 0.5), [[(1 + 0.5 + 0.25 + 0.125) / 4, 0.25, 0]])


def test_bad_arguments():
    net, x = chain(), inputs((12,))
    spiking = to_spiking(net, steps=4, samples=x)
    other = sequential([Dense(name="z", weight=np.ones((4, 12)))], input_shape=(12,))
    with pytest.raises(InputError, match="was not made of 'network'"):
        conversion_report(other, spiking, chips.LOIHI, x)
    with pytest.raises(InputError, match="is spiking; give the one"):
        conversion_report(spiking, spiking, chips.LOIHI, x)
    with pytest.raises(InputError, match="use to_spiking"):
        conversion_report(net, net, chips.LOIHI, x)
    with pytest.raises(ArgumentTypeError, match="give a SpikingChip"):
        conversion_report(net, spiking, chips.HERMES, x)
    with pytest.raises(InputError, match="choose from"):
        conversion_report(net, spiking, chips.LOIHI, x).column("colour")
    for draw in (plot.conversion, plot.steps):
        with pytest.raises(ArgumentTypeError):
            draw("report")
