"""Answers step by step and stopping early: beside runs of so many steps, and counts beside a plain simulation."""

from dataclasses import replace

import numpy as np
import pytest

from neuroemu import StopWhenSure, calibrate_stop, chips, run, steps_curve
from neuroemu.errors import ArgumentTypeError, InputError
from neuroemu.network import Conv2d, Dense, Encode, Grid, Lif, Network
from neuroemu.spiking import LOIHI1, check_range, check_shift, probing
from neuroemu.spiking.stopping import lead

STEPS, DEPTH = 12, 3
SIZES = {"a": 8, "b": 7, "out": 3}


def spiking_net(reset="zero", coding="direct", threshold=None):
    """Encode - a - b - read-out, in random integers; decays in b."""
    random = np.random.default_rng(0)

    def dense(name, outputs, inputs):
        return Dense(
            name=name, weight=random.integers(-50, 90, (outputs, inputs)).astype(np.int8), weight_grid=Grid(0.01)
        )

    return Network(
        layers=(
            Encode(name="encode", coding=coding, code_max=255, threshold=254 * 64, reset=reset),
            dense("a", 8, 6),
            Lif(name="lif_a", threshold=64 * 220, bias=4 * random.integers(-300, 300, 8), initial_voltage=64,
                reset=reset),
            dense("b", 7, 8),
            Lif(name="lif_b", threshold=64 * 400, weight_shift=8, reset=reset, voltage_decay=100, current_decay=2000),
            dense("out", 3, 7),
            Lif(name="potential", threshold=threshold, bias=[40, -20, 10], weight_shift=6, scale=0.01),
        ),
        input_shape=(6,), grids={"input": Grid(1.0, -128)}, steps=STEPS,
    )  # fmt: skip


def inputs(n=5, seed=1):
    return np.random.default_rng(seed).integers(0, 256, (n, 6)).astype(np.float32)


def tz(x, d):
    return np.sign(x) * ((np.abs(x) * (4096 - d)) >> 12)


def chip_time(net, codes, margin):
    """(steps, outputs, counts) of one image: all layers side by side, step by step, until the read-out leads."""
    weights = [layer.weight.astype(np.int64) for layer in net.weighted]
    neurons = [layer for layer in net.layers if isinstance(layer, Encode | Lif)]
    n = [len(codes), *(len(w) for w in weights)]
    u = [np.zeros(k, np.int64) for k in n]
    v = [np.full(k, neuron.initial_voltage) for k, neuron in zip(n, neurons, strict=True)]
    emitted = [np.zeros(k, bool) for k in n]
    counts = {
        name: np.zeros(4, np.int64) for name in ("encode", *SIZES)
    }  # spikes, operations, active, inactive updates
    for step in range(STEPS + DEPTH):
        before = [s.copy() for s in emitted]
        for level, (name, neuron) in enumerate(zip(counts, neurons, strict=True)):
            emitted[level][:] = False
            if not level <= step < level + STEPS:
                counts[name][3] += n[level]
                continue
            if level:
                arrived = weights[level - 1] @ before[level - 1]
                counts[name][1] += np.count_nonzero(weights[level - 1], axis=0) @ before[level - 1]
                u[level] = tz(u[level], neuron.current_decay + 1) + (arrived << neuron.weight_shift)
                bias, held = neuron.bias, tz(v[level], neuron.voltage_decay)
            else:
                arrived, bias, held = 0, codes * 64, v[level]
            active = (arrived != 0) | (u[level] != 0) | (v[level] != 0) | (bias != 0)
            counts[name][2] += active.sum()
            counts[name][3] += n[level] - active.sum()
            v[level] = held + u[level] + bias
            emitted[level][:] = v[level] > (neuron.threshold or 1 << 40)
            drop = neuron.threshold if neuron.reset == "subtract" else v[level]
            v[level] = np.where(emitted[level], v[level] - drop, v[level]) if neuron.threshold else v[level]
            counts[name][0] += emitted[level].sum()
        if step >= DEPTH and lead(v[DEPTH] * 0.01) >= margin:
            break
    return step - DEPTH + 1, v[DEPTH] * 0.01, counts


def stopping(margin, **more):
    return replace(chips.LOIHI, stop=StopWhenSure(margin=margin, **more))


@pytest.mark.parametrize("coding", ["direct", "poisson"])
@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_one_run_holds_the_answers_of_shorter_ones(coding, reset):
    net, x = spiking_net(reset, coding), inputs(7)
    labels = np.array([0, 1, 2, 0, 1, 2, 0])
    curve = steps_curve(net, chips.LOIHI, x, labels=labels, seed=3)
    assert curve.depth == DEPTH and curve.predictions.shape == curve.leads.shape == (STEPS, 7)
    for t in range(1, STEPS + 1):
        result = run(net.replace(steps=t), chips.LOIHI, x, labels=labels, seed=3)
        np.testing.assert_array_equal(curve.predictions[t - 1], result.outputs.argmax(axis=1))
        np.testing.assert_allclose(curve.leads[t - 1], lead(result.outputs), rtol=1e-5, atol=1e-3)
        assert curve.accuracy[t - 1] == result.accuracy
    assert len(np.unique(curve.predictions, axis=0)) > 2 and curve.agreement[-1] == 1.0
    assert f"{STEPS + DEPTH}" in curve.table().splitlines()[-1]


def test_answers_of_neurons_that_spike_are_their_counts():
    net, x = spiking_net(threshold=64 * 60), inputs(5)
    curve, result = steps_curve(net, chips.LOIHI, x), run(net, chips.LOIHI, x)
    counts = [[chip_time(net.replace(steps=STEPS), image.astype(int), np.inf)[2]["out"][0]] for image in x]
    np.testing.assert_array_equal(result.outputs.sum(axis=1, keepdims=True), counts)
    assert result.warnings == () and len(np.unique(result.outputs)) > 3
    np.testing.assert_array_equal(curve.predictions[-1], result.outputs.argmax(axis=1))
    np.testing.assert_array_equal(curve.leads[-1], lead(result.outputs))


@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_steps_and_counts_are_those_of_a_simulation_in_chip_time(reset):
    """A layer d levels before the read-out has run d steps more when an image stops; nothing after that is counted."""
    net, x = spiking_net(reset), inputs(9)
    margin = float(np.median(steps_curve(net, chips.LOIHI, x).leads))
    result, whole = run(net, stopping(margin), x), run(net, chips.LOIHI, x)
    made = [chip_time(net, image.astype(int), margin) for image in x]
    steps = np.array([t for t, _, _ in made])
    np.testing.assert_array_equal(result.traces["steps by image"], steps)
    assert len(np.unique(steps)) > 3 and steps.max() > steps.min() + 4
    outputs = np.array([out * STEPS / t for t, out, _ in made])
    np.testing.assert_allclose(result.outputs, outputs, rtol=1e-6)
    counts = result.counts.by_layer()
    for name in ("encode", *SIZES):
        spikes, operations, active, inactive = sum(image[2][name] for image in made)
        each = 2 if reset == "subtract" and name != "out" else 1
        assert counts[name]["neuron_update_active"] == each * active
        assert counts[name]["neuron_update_inactive"] == each * inactive
        if name != "encode":
            assert counts[name]["synaptic_op"] == operations
        if name != "out":
            assert counts[name]["spike_within_tile"] == spikes > 0
    assert counts["encode"]["barrier_sync"] == (steps + DEPTH).sum()
    assert result.energy.total < whole.energy.total
    assert result.latency_per_inference < whole.latency_per_inference


def test_outputs_keep_their_size_and_counts_of_images_add_up():
    net, x = spiking_net(), inputs(6)
    margin = float(np.median(steps_curve(net, chips.LOIHI, x).leads))
    result = run(net, stopping(margin), x)
    for b, t in enumerate(result.traces["steps by image"].astype(int)):
        short = run(net.replace(steps=int(t)), chips.LOIHI, x[b : b + 1]).outputs[0]
        np.testing.assert_allclose(result.outputs[b], short * STEPS / t, rtol=1e-6)
    alone = [run(net, stopping(margin), x[b : b + 1]).counts for b in range(6)]
    assert sum(alone[1:], start=alone[0]) == result.counts


@pytest.mark.parametrize("rule", [{"margin": 1e9}, {"margin": 0.0, "first": STEPS}])
def test_a_rule_that_never_stops_changes_nothing(rule):
    net, x = spiking_net(), inputs(40)
    whole, same = run(net, chips.LOIHI, x), run(net, stopping(**rule), x)
    np.testing.assert_array_equal(whole.outputs, same.outputs)
    assert whole.counts == same.counts
    assert same.latency_per_inference == pytest.approx(whole.latency_per_inference, rel=1e-12)
    assert same.traces["mean steps"] == STEPS and same.notes


def test_bits_do_not_depend_on_threads_or_the_batch():
    net, x = spiking_net(coding="poisson"), inputs(40)
    one, two = (run(net, stopping(3.0), x, seed=2, threads=threads) for threads in (1, 2))
    tail = run(net, stopping(3.0), x[:33], seed=2)
    np.testing.assert_array_equal(one.outputs, two.outputs)
    np.testing.assert_array_equal(one.outputs[:33], tail.outputs)
    assert one.counts == two.counts
    assert 1 < one.traces["mean steps"] < STEPS


@pytest.mark.parametrize("agreement", [0.7, 0.9, 1.0])
@pytest.mark.parametrize("first", [1, 4])
def test_a_calibrated_rule_reaches_its_agreement_with_every_larger_margin_and_with_none_smaller(agreement, first):
    net, samples = spiking_net(), inputs(60)
    rule = calibrate_stop(net, chips.LOIHI, samples, agreement=agreement, first=first, safety=1)
    curve = steps_curve(net, chips.LOIHI, samples)
    for margin in [rule.margin, *np.linspace(rule.margin, curve.leads.max(), 50)]:
        assert curve.stopped(replace(rule, margin=float(margin))).agreement >= agreement
    below = np.sort(curve.leads[curve.leads < rule.margin])[-1:]
    assert not rule.margin or curve.stopped(replace(rule, margin=float(below[0]))).agreement < agreement
    assert rule.margin or agreement == 0.7
    stopped = curve.stopped(rule)
    assert stopped.steps.min() >= first and "steps in the mean" in str(stopped)


def test_no_margin_is_needed_where_anything_is_right():
    net = spiking_net()
    assert calibrate_stop(net, chips.LOIHI, inputs(20), agreement=0.0).margin == 0.0
    bare = calibrate_stop(net.replace(samples=inputs(20)), chips.LOIHI, safety=1.0)
    assert calibrate_stop(net, chips.LOIHI, inputs(20)).margin == 2 * bare.margin > 0.0


@pytest.mark.parametrize("coding", ["direct", "poisson"])
def test_fewer_inputs_at_a_time_give_the_same(monkeypatch, coding):
    net, x = spiking_net(coding=coding), inputs(7)
    whole, ranges, shifts = (
        steps_curve(net, LOIHI1, x),
        check_range(net, LOIHI1, x),
        check_shift(net, LOIHI1, x, bits=1),
    )
    monkeypatch.setattr(probing, "PROBED", 300)
    curve = steps_curve(net, LOIHI1, x)
    np.testing.assert_array_equal(curve.predictions, whole.predictions)
    np.testing.assert_array_equal(curve.leads, whole.leads)
    assert check_range(net, LOIHI1, x) == ranges
    assert check_shift(net, LOIHI1, x, bits=1).layers == shifts.layers


def test_a_lead():
    assert lead(np.array([[1.0, 5.0, 3.0], [2.0, 2.0, -1.0]])).tolist() == [2.0, 0.0]
    with pytest.raises(InputError, match="takes two or more"):
        lead(np.ones((3, 1)))


def test_bad_arguments():
    net = spiking_net()
    with pytest.raises(ArgumentTypeError, match="stop must be a StopWhenSure"):
        replace(chips.LOIHI, stop=3.0)
    with pytest.raises(InputError, match="margin is -1"):
        StopWhenSure(margin=-1)
    with pytest.raises(InputError, match="keeps no samples"):
        calibrate_stop(net, chips.LOIHI)
    with pytest.raises(InputError, match="agreement is"):
        calibrate_stop(net, chips.LOIHI, inputs(), agreement=1.5)
    with pytest.raises(InputError, match=r"safety is 0.5"):
        calibrate_stop(net, chips.LOIHI, inputs(), safety=0.5)
    with pytest.raises(InputError, match="allowed: 1 to 12"):
        calibrate_stop(net, chips.LOIHI, inputs(), first=13)
    with pytest.raises(InputError, match="labels"):
        steps_curve(net, chips.LOIHI, inputs(), labels=[1, 2])
    conv = Conv2d(name="c", weight=np.ones((2, 1, 1, 1), np.int8), weight_grid=Grid(1.0))
    layers = (net.layers[0], conv, Lif(name="lif", threshold=None))
    with pytest.raises(InputError, match="add a Flatten"):
        steps_curve(net.replace(layers=layers, input_shape=(1, 2, 3)), chips.LOIHI, inputs().reshape(5, 1, 2, 3))
