"""LOIHI2: placement under its limits, counts of real messages, an energy that is not known, coding in time."""

import pickle
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from neuroemu import (
    chips,
    compare,
    datasets,
    load,
    place,
    plot,
    quantize,
    run,
    run_integer,
    save,
    sweep,
    to_graded,
    to_sigma_delta,
)
from neuroemu.errors import InputError, PlacementError, UnsupportedError
from neuroemu.network import (
    Add,
    AveragePool2d,
    Concat,
    Conv2d,
    Dense,
    Flatten,
    GlobalAveragePool,
    Grid,
    MaxPool2d,
    Network,
    Programmed,
    relu,
    sequential,
)
from neuroemu.network.ops import exact_product, weighted_sum
from neuroemu.network.programs import NeuronProgram, SigmaDelta, SigmaProgram, run_program, zeros
from neuroemu.network.spiking_programs import Accumulate, IntegrateFire, ResonateFire
from neuroemu.spiking import GradedLimits, run_frames


@pytest.fixture(scope="module")
def digits():
    return datasets.mnist_test(100)


@pytest.fixture(scope="module")
def quantized():
    net = datasets.mnist_network()
    return quantize(net, samples=net.samples)


def test_a_run_is_the_integer_reference_and_its_counts_add_up(quantized, digits):
    x, labels = digits
    result = run(to_sigma_delta(quantized), chips.LOIHI2, x, labels=labels, seed=0)
    np.testing.assert_array_equal(result.outputs, run_integer(quantized, x))
    frames = run_frames(to_sigma_delta(quantized), x[:, None])
    counts = result.counts.by_layer()
    for name, seen in frames.counts.items():
        assert counts[name]["synaptic_op"] == seen.synaptic_operations
        assert counts[name]["neuron_update_active"] == seen.active
        updates = counts[name]["neuron_update_active"] + counts[name]["neuron_update_inactive"]
        assert updates == len(seen.messages) * 100 * 5  # every neuron in every step: 1 + depth 4
        assert result.traces["messages per image"][name] == pytest.approx(seen.messages.sum() / 100)
    assert counts["input"]["barrier_sync"] == 100 * 5
    # One core a layer, so a message that has a synapse is delivered once.
    assert counts["conv3"]["spike_within_tile"] == frames.counts["conv3"].messages.sum()
    assert result.traces["steps"] == 5 == result.traces["steps until settled"]
    assert result.latency_per_inference == pytest.approx(5 * 200e-9)
    assert any("lower bounds" in note for note in result.notes)
    assert (result.form.kind, result.form.activation_bits, result.form.steps) == ("graded", 8, 1)


def test_energy_is_unknown_until_prices_are_assumed(quantized, digits, tmp_path):
    x, labels = digits
    sigma = to_sigma_delta(quantized)
    result = run(sigma, chips.LOIHI2, x, labels=labels)
    assert np.isnan(result.energy.total) and np.isnan(result.energy.dynamic) and np.isnan(result.energy.low)
    assert result.row()["energy_per_inference_J"] is None and result.row()["static_J"] is None
    for text in (repr(result), repr(compare([result])), result.energy.table(), result.energy.report()):
        assert "unknown" in text and "no energy per event of Loihi 2 is public" in text
    assert "NaN" not in compare([result]).to_json() and "nan" not in compare([result]).to_csv()
    with pytest.raises(InputError, match="an unknown one"):
        plot.energy_accuracy([result])
    swept = sweep(lambda t: (to_sigma_delta(quantized, threshold=t), chips.LOIHI2), (0, 9), x, labels=labels)
    assert repr(swept).count("unknown") == 2
    assert pickle.loads(pickle.dumps(chips.LOIHI2.costs)) == chips.LOIHI2.costs
    assumed = run(sigma, replace(chips.LOIHI2, costs=chips.LOIHI.costs), x, labels=labels)
    table = chips.LOIHI.costs
    want = sum(n * table.of(kind)[0].value for (_, kind), n in assumed.counts.items() if table.of(kind))
    assert assumed.energy.dynamic == pytest.approx(want) and want > 0


def test_placement_under_both_limits(quantized):
    sigma = to_sigma_delta(quantized)
    sites = place(sigma, chips.LOIHI2).sites
    assert [(s.layer, s.rows) for s in sites] == [
        ("input", (0, 784)), ("conv1", (0, 3136)), ("conv2", (0, 1372)), ("conv3", (0, 576)), ("dense", (0, 10)),
    ]  # fmt: skip
    few = replace(chips.LOIHI2, limits=GradedLimits(neurons=1000))
    assert [s.rows for s in place(sigma, few).sites if s.layer == "conv1"] == [
        (0, 1000), (1000, 2000), (2000, 3000), (3000, 3136),
    ]  # fmt: skip
    dense = quantized.layer("dense").weight
    stored = np.count_nonzero(dense, axis=1)
    tight = replace(chips.LOIHI2, limits=GradedLimits(memory_bytes=20_000))
    cut = {name: [s for s in place(sigma, tight).sites if s.layer == name] for name in ("conv1", "conv3", "dense")}
    # conv1: 8 bytes of state a neuron beside 399 bytes of kernel; conv3's kernel of 16,020 bytes on each core.
    kernels = [np.count_nonzero(quantized.layer(name).weight) for name in ("conv1", "conv3")]
    assert cut["conv1"][0].rows[1] == (20_000 - kernels[0]) // 8
    assert cut["conv3"][0].rows[1] == (20_000 - kernels[1]) // 8 and len(cut["conv3"]) == 2
    assert sum(s.details["weights"] for s in cut["dense"]) == stored.sum()
    with pytest.raises(PlacementError, match=r"one neuron of layer 'conv3' takes 16,\d+ bytes, a core has 4,096"):
        place(sigma, replace(chips.LOIHI2, limits=GradedLimits(memory_bytes=4096)))
    with pytest.raises(PlacementError, match="needs 5 cores, the chip has 4"):
        place(sigma, replace(chips.LOIHI2, cores=4))
    with pytest.raises(PlacementError, match="sends no graded spikes; call to_sigma_delta"):
        place(quantized, chips.LOIHI2)


def test_more_cores_more_deliveries(quantized, digits):
    x, _ = digits
    sigma = to_sigma_delta(quantized)
    split = replace(chips.LOIHI2, limits=GradedLimits(neurons=5))
    two = run(sigma, replace(split, cores=2000), x[:5]).counts.by_layer()
    one = run(sigma, chips.LOIHI2, x[:5]).counts.by_layer()
    assert two["conv3"]["spike_within_tile"] == 2 * one["conv3"]["spike_within_tile"]  # dense lies on two cores
    assert two["conv1"]["spike_within_tile"] > 2 * one["conv1"]["spike_within_tile"]
    assert two["conv3"]["synaptic_op"] == one["conv3"]["synaptic_op"]


def test_a_sigma_delta_network_survives_a_file(quantized, digits, tmp_path):
    sigma = to_sigma_delta(quantized, threshold=3, steps=2)
    save(sigma, tmp_path / "sd.npz")
    again = load(tmp_path / "sd.npz")
    x, _ = digits
    a, b = (run(n, chips.LOIHI2, x[:4]) for n in (sigma, again))
    np.testing.assert_array_equal(a.outputs, b.outputs)
    assert a.counts == b.counts and again.steps == 2
    with pytest.raises(UnsupportedError, match="Programmed 'encode' holds a program"):
        save(to_graded(quantized, steps=8), tmp_path / "p.npz")


# Coding in time


def plain_codes(network, quantized, x):
    """A chain of `to_graded` layers stepped in int64 with plain products; the read-out's potential."""
    steps = network.steps
    grid = quantized.grids["input"]
    drive = np.repeat((grid.encode(x).astype(np.int64) - grid.zero_point)[None], steps, axis=0)
    v = None
    for layer in network.layers:
        if isinstance(layer, Programmed):
            p, v, sent = layer.program, 0, []
            v = np.zeros(drive.shape[1:], np.int64) + getattr(p, "initial", 0)
            for d in drive:
                v = v + (d << p.shift) + p.bias
                n = np.zeros_like(v) if isinstance(p, Accumulate) else np.clip(v // p.threshold, 0, p.largest)
                v = v - n * getattr(p, "threshold", 0)
                sent.append(n)
            drive = np.array(sent)
        elif isinstance(layer, Flatten):
            drive = drive.reshape(steps, len(x), -1)
        else:
            weight = layer.weight.astype(np.float32)
            drive = np.array([weighted_sum(layer, d.astype(np.float32), weight, exact_product) for d in drive]).astype(
                np.int64
            )
    return v


@pytest.mark.parametrize("coding", ["rate", "burst"])
def test_spikes_in_time_against_a_plain_simulation(quantized, digits, coding):
    x, _ = digits
    network = to_graded(quantized, steps=6, coding=coding)
    v = plain_codes(network, quantized, x[:5])
    outputs = run(network, chips.LOIHI2, x[:5]).outputs
    np.testing.assert_array_equal(outputs, (v * network.layers[-1].scale).astype(np.float32))


def test_bursts_say_in_few_steps_what_single_spikes_say_in_many(quantized, digits):
    x, labels = (part[:30] for part in digits)
    want = run_integer(quantized, x)

    def error(coding, steps):
        result = run(to_graded(quantized, steps=steps, coding=coding), chips.LOIHI2, x, labels=labels)
        return float(np.abs(result.outputs - want).mean()), result.accuracy

    rate, burst, phase = (error(coding, 16) for coding in ("rate", "burst", "phase"))
    assert burst[0] < 0.3 * rate[0] and burst[1] >= 0.99
    assert error("burst", 4)[0] < rate[0]
    assert error("phase", 32)[0] < phase[0] and phase[1] >= 0.95
    assert error("rate", 32)[0] < 0.7 * rate[0]


def test_one_unit_in_every_coding():
    """y = 0.5 relu(x - 1): the potential comes to the value, within what a neuron may still hold."""
    net = sequential(
        [Dense(name="a", weight=[[1.0]], bias=[-1.0]), relu(name="r"), Dense(name="b", weight=[[0.5]])],
        input_shape=(1,),
    )
    samples = np.linspace(0, 5, 50, dtype=np.float32)[:, None]
    quantized = quantize(net, samples=samples)
    want = run_integer(quantized, samples)
    # A phase neuron cannot take back what it sent before the whole of its input was known.
    for coding, steps, most in (("rate", 256, 0.02), ("burst", 64, 0.02), ("phase", 64, 0.1)):
        outputs = run(to_graded(quantized, steps=steps, coding=coding), chips.LOIHI2, samples).outputs
        assert np.abs(outputs - want).max() < most, coding
    few = run(to_graded(quantized, steps=16, coding="rate"), chips.LOIHI2, samples).outputs
    assert abs((few - want).mean()) < 0.25 * 2.0 / 16  # half a threshold at the start takes the rounding's bias out
    one = run(to_graded(quantized, steps=8, coding="burst", largest=1), chips.LOIHI2, samples)
    rate = run(to_graded(quantized, steps=8, coding="rate"), chips.LOIHI2, samples)
    np.testing.assert_array_equal(one.outputs, rate.outputs)


def test_a_network_that_ends_with_a_convolution():
    rng = np.random.default_rng(0)
    net = sequential(
        [Conv2d(name="c", weight=rng.normal(0, 0.3, (4, 1, 8, 8))), relu(name="r"),
         Conv2d(name="d", weight=rng.normal(0, 0.5, (3, 4, 1, 1)), bias=[0.5, 0, -0.5]), Flatten(name="f")],
        input_shape=(1, 8, 8),
    )  # fmt: skip
    x = rng.uniform(0, 1, (30, 1, 8, 8)).astype(np.float32)
    quantized = quantize(net, samples=x)
    for coding, most in (("burst", 0.05), ("phase", 0.2)):
        outputs = run(to_graded(quantized, steps=64, coding=coding), chips.LOIHI2, x).outputs
        assert np.abs(outputs - run_integer(quantized, x)).max() < most * np.ptp(outputs)


def test_average_pools_become_neurons():
    rng = np.random.default_rng(0)
    net = sequential(
        [Conv2d(name="c", weight=rng.normal(0, 0.3, (4, 1, 3, 3)), padding=1), relu(name="r"),
         AveragePool2d(name="mean", size=2), GlobalAveragePool(name="gap", keep_dims=False),
         Dense(name="d", weight=rng.normal(0, 0.5, (3, 4)))],
        input_shape=(1, 8, 8),
    )  # fmt: skip
    x = rng.uniform(0, 1, (30, 1, 8, 8)).astype(np.float32)
    quantized = quantize(net, samples=x)
    result = run(to_graded(quantized, steps=64, coding="burst"), chips.LOIHI2, x)
    assert np.abs(result.outputs - run_integer(quantized, x)).max() < 0.1 * np.ptp(result.outputs)
    assert set(result.counts.by_layer()) == {"encode", "r", "mean", "gap", "d/potential"}


def test_what_does_not_convert_is_refused(quantized):
    def coded(*layers, shape=(1, 8, 8), low=0.0):
        x = np.random.default_rng(0).uniform(low, 1, (20, *shape)).astype(np.float32)
        return quantize(Network(layers=layers, input_shape=shape), samples=x)

    conv = Conv2d(name="c", weight=np.ones((1, 1, 3, 3)), padding=1)
    tail = (Flatten(name="f"), Dense(name="d", weight=np.ones((2, 64))))
    with pytest.raises(UnsupportedError, match=r"MaxPool2d 'm' has no form .* use to_sigma_delta"):
        to_graded(coded(conv, relu(name="r"), MaxPool2d(name="m", size=1), *tail), steps=8)
    with pytest.raises(UnsupportedError, match="Add 'a' branches or joins"):
        to_graded(coded(conv, relu(name="r"), Add(name="a", inputs=("r", "r")), *tail), steps=8)
    with pytest.raises(UnsupportedError, match="Conv2d 'c' has no ReLU behind it"):
        to_graded(coded(conv, *tail), steps=8)
    with pytest.raises(InputError, match="'input' goes down to -1"):
        to_graded(coded(conv, relu(name="r"), *tail, low=-1.0), steps=8)
    with pytest.raises(InputError, match="multiple of the period, 8"):
        to_graded(quantized, steps=12, coding="phase")
    with pytest.raises(InputError, match="coding is 'time'"):
        to_graded(quantized, steps=12, coding="time")
    with pytest.raises(InputError, match="is not quantized"):
        to_graded(datasets.mnist_network(), steps=8)


# Programs of a user


@dataclass(frozen=True, eq=False, kw_only=True)
class Edge(NeuronProgram):
    """A user's program: sends the drive itself, once, when it first passes a level."""

    WORDS: ClassVar[int] = 1

    level: int

    def start(self, shape):
        return zeros(shape, "done")

    def step(self, state, drive, t):
        first = (drive > self.level) & (state["done"] == 0)
        return {"done": state["done"] | first}, np.where(first, drive, 0)


def programmed(*layers, shape=(3,), steps=4):
    return Network(layers=layers, input_shape=shape, grids={"input": Grid(1.0)}, steps=steps)


def test_a_network_of_a_users_program():
    weight = np.array([[2, 0, -1], [0, 3, 1]], np.int8)
    network = programmed(
        Programmed(name="edge", program=Edge(level=10)),
        Dense(name="mix", weight=weight, weight_grid=Grid(1.0), bias=np.array([1, 0], np.int32)),
        Programmed(name="sum", program=SigmaProgram(), scale=0.5),
    )
    x = np.array([[5, 20, 30], [11, 12, 4]], np.float32)
    result = run(network, chips.LOIHI2, x)
    sent = np.where(x > 10, x, 0)
    np.testing.assert_array_equal(result.outputs, 0.5 * (sent @ weight.T + 4 * np.array([1, 0])))
    counts = result.counts.by_layer()
    assert counts["sum"]["spike_within_tile"] == 0 == result.traces["messages per image"]["sum"]  # read out, not sent
    assert counts["edge"]["spike_within_tile"] == 4  # input 0 goes to one neuron, all to the one core
    assert counts["sum"]["synaptic_op"] == int(((sent > 0) @ (weight != 0).T.astype(int)).sum())
    frames = np.stack([x * 0, x, x], axis=1)
    late = run_frames(network, frames)
    np.testing.assert_array_equal(late.outputs[:, 0], 0.5 * (sent @ weight.T + 3 * np.array([1, 0])))
    assert late.counts["edge"].by_step.tolist() == [0, 4, 0]


def test_ports_and_sums_of_programs():
    """A resonator reads real and imaginary sums; an addition joins two paths."""
    rng = np.random.default_rng(0)
    one, two = (rng.integers(-9, 9, (4, 3)).astype(np.int8) for _ in range(2))
    dense = {"inputs": ("in",), "weight_grid": Grid(1.0)}
    source = Programmed(name="in", program=IntegrateFire(threshold=30, largest=3))
    ends = (
        Dense(name="re", weight=one, **dense), Dense(name="im", weight=two, **dense),
        Concat(name="both", inputs=("re", "im")),
        Programmed(name="rf", program=ResonateFire.of(period=8, decay=0.1, threshold=20), scale=1.0),
    )  # fmt: skip
    x = rng.integers(0, 99, (5, 3)).astype(np.float32)
    result = run_frames(programmed(source, *ends), np.repeat(x[:, None], 20, axis=1))
    sent, _ = run_program(source.program, np.repeat(x[:, None].astype(np.int32), 20, axis=1))
    parts = np.stack([sent @ w.T.astype(np.int32) for w in (one, two)])
    _, state = run_program(ends[-1].program, parts)
    np.testing.assert_array_equal(result.outputs[:, 0], state["real"])
    assert np.ptp(result.outputs) > 0
    joined = (
        Dense(name="p", weight=one, **dense), Dense(name="q", weight=two, **dense), Add(name="plus", inputs=("p", "q")),
        Programmed(name="end", program=SigmaDelta(rectified=False)),
    )  # fmt: skip
    both = Dense(name="s", weight=(one + two), **dense)
    single = run_frames(programmed(source, both, joined[-1]), x[:, None])
    np.testing.assert_array_equal(run_frames(programmed(source, *joined), x[:, None]).outputs, single.outputs)


def test_networks_of_programs_that_cannot_run():
    dense = Dense(name="d", weight=np.ones((2, 3), np.int8), weight_grid=Grid(1.0))
    end = Programmed(name="end", program=SigmaProgram())
    x = np.full((1, 4, 3), 100, np.float32)
    with pytest.raises(UnsupportedError, match="Dense 'd': it needs integer codes and must read what neurons send"):
        run_frames(programmed(dense, end), x)
    first = Programmed(name="first", program=SigmaProgram())
    with pytest.raises(InputError, match="Edge: its state has no 'v' to read out; define read"):
        run_frames(programmed(first, dense, Programmed(name="end", program=Edge(level=1))), x)
    with pytest.raises(UnsupportedError, match="its last neurons must be a Programmed layer"):
        run_frames(programmed(first, dense), x)
    with pytest.raises(UnsupportedError, match="Clip 'r': no place between neurons"):
        run_frames(programmed(first, dense, relu(name="r"), end), x)
    loud = Programmed(name="first", program=IntegrateFire(threshold=1, largest=2**30, bias=2**29))
    deep = Dense(name="d", weight=np.full((2, 3), 127, np.int8), weight_grid=Grid(1.0))
    with pytest.raises(InputError, match="could make sums of more than 32 bits"):
        run_frames(programmed(loud, deep, Programmed(name="sum", program=Accumulate())), x)
