"""The embedded network on the whole MNIST test set. Everything is calibrated on training images."""

from dataclasses import replace

import numpy as np
import pytest

from neuroemu import (
    calibrate_stop,
    chips,
    conversion_report,
    datasets,
    quantize,
    run,
    run_float,
    run_integer,
    to_spiking,
)
from neuroemu.crossbar import (
    ColumnAffine,
    ideal,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def network():
    return datasets.mnist_network()


@pytest.fixture(scope="module")
def images():
    return datasets.mnist_test()


@pytest.fixture(scope="module")
def eight(network):
    return quantize(network, samples=network.samples)


@pytest.fixture(scope="module")
def reference(eight, images):
    return run_integer(eight, images[0])


def accuracy(outputs, labels):
    return (outputs.argmax(axis=1) == labels).mean()


def test_eight_bits_reach_98_5_percent(reference, images):
    assert accuracy(reference, images[1]) >= 0.985


def test_four_bits_stay_within_a_point(network, reference, images):
    four = quantize(network, weight_bits=4, activation_bits=4, samples=network.samples)
    assert accuracy(run_integer(four, images[0]), images[1]) >= accuracy(reference, images[1]) - 0.01


def test_eight_bits_follow_the_float_network(network, reference, images):
    real = run_float(network, images[0])
    assert (real.argmax(axis=1) == reference.argmax(axis=1)).mean() > 0.997


def test_ideal_crossbar_equals_the_reference(eight, reference, images):
    np.testing.assert_array_equal(run(eight, ideal(chips.HERMES), images[0]).outputs, reference)


def test_hermes_after_an_hour_stays_within_a_point(eight, reference, images):
    x, y = images
    result = run(eight, chips.HERMES, x, labels=y, trials=10)
    assert chips.HERMES.seconds == 3600.0 and chips.HERMES.compensation == ColumnAffine()
    assert result.accuracy >= accuracy(reference, y) - 0.01
    assert len(set(result.scores.by_trial)) > 1  # chips differ


@pytest.mark.parametrize("reset, loss", [("subtract", 0.01), ("zero", 0.015)])
def test_loihi_at_32_steps(eight, reference, images, reset, loss):
    x, y = images
    spiking = to_spiking(eight, steps=32, samples=eight.samples, reset=reset)
    result = run(spiking, chips.LOIHI, x, labels=y)
    assert result.accuracy >= accuracy(reference, y) - loss
    assert result.warnings == ()


@pytest.mark.parametrize("reset, steps, most", [("subtract", 32, 0.3), ("zero", 64, 0.5)])
def test_images_that_stop_when_sure_save_energy_and_time(eight, images, reset, steps, most):
    x, y = (part[:500] for part in images)
    spiking = to_spiking(eight, steps=steps, samples=eight.samples, reset=reset)
    rule = calibrate_stop(spiking, chips.LOIHI, agreement=0.999)
    whole = run(spiking, chips.LOIHI, x, labels=y)
    early = run(spiking, replace(chips.LOIHI, stop=rule), x, labels=y)
    assert early.accuracy >= whole.accuracy - 0.012
    assert early.energy_per_inference < most * whole.energy_per_inference
    assert early.latency_per_inference < most * whole.latency_per_inference
    assert early.traces["mean steps"] < most * steps


def test_the_conversion_is_told_apart(eight, images):
    """Weights and biases in 8 bits cost little; finite steps cost what even input predicts, and uneven input more."""
    spiking = to_spiking(eight, steps=32, samples=eight.samples, reset="subtract")
    report = conversion_report(eight, spiking, chips.LOIHI, images[0][:100], labels=images[1][:100])
    first, *hidden, last = report.layers
    assert first.steps == pytest.approx(first.predicted_steps, rel=1e-6)
    assert (report.column("rounding") < 0.01).all() and last.steps < 1e-6
    assert hidden[0].steps == pytest.approx(hidden[0].predicted_steps, rel=0.1)
    assert all(layer.steps > 0.9 * layer.predicted_steps for layer in hidden)
    assert report.accuracy["spiking"] >= report.accuracy["integer"] - 0.02


def test_truenorth_with_one_copy_and_with_four(images):
    x, y = images
    network = datasets.mnist_truenorth_network()
    one, four = (run(network, replace(chips.TRUENORTH, copies=k), x, labels=y, trials=2) for k in (1, 4))
    assert min(one.scores.by_trial) >= 0.95 and one.n_units == 30
    assert four.accuracy > one.accuracy and four.n_units == 120
    assert one.warnings == ()
