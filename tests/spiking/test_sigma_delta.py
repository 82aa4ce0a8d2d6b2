"""Sigma-delta networks: equal to the integer reference frame by frame, and to a chip simulated step by step."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroemu import datasets, load, quantize, run_integer, to_sigma_delta
from neuroemu.errors import InputError, UnsupportedError
from neuroemu.network import (
    Add,
    AveragePool2d,
    Concat,
    Conv2d,
    Delta,
    Dense,
    Flatten,
    GlobalAveragePool,
    Grid,
    MaxPool2d,
    Network,
    Scale,
    Softmax,
    Transpose,
    relu,
    sequential,
)
from neuroemu.network import codes as C
from neuroemu.network.integer import _writer
from neuroemu.network.layers import Weighted
from neuroemu.network.ops import exact_product, pool_sum, weighted_sum
from neuroemu.spiking import run_frames
from neuroemu.spiking.graded_populations import graded_populations


def frames(n=3, steps=5, seed=0):
    """Slowly changing images (B, T, 2, 8, 8)."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 255, (n, 1, 2, 8, 8)) + np.cumsum(
        rng.normal(0, 40, (n, steps, 2, 8, 8)) * (rng.random((n, steps, 2, 8, 8)) < 0.2), axis=1
    )
    return np.clip(x, 0, 255).astype(np.float32)


def branched(seed=0, rounding="half_even", head=()):
    """Two residual paths of unequal length, a projection, a concatenation and three kinds of pooling, quantized."""
    rng = np.random.default_rng(seed)

    def conv(name, source, out, into, size=3, **settings):
        weight = rng.normal(0, 1.2 / (into * size * size) ** 0.5, (out, into, size, size))
        settings = {"padding": size // 2, **settings}
        return Conv2d(name=name, inputs=(source,), weight=weight, bias=rng.normal(0, 0.1, out), **settings)

    layers = (
        Scale(name="pixels", scale=1 / 255),
        conv("c1", "pixels", 4, 2),
        relu(name="r1"),
        conv("c2", "r1", 4, 4),
        relu(name="r2"),
        conv("c3", "r2", 4, 4),
        Add(name="a1", inputs=("c3", "r1")),
        relu(name="r3"),
        MaxPool2d(name="max", size=2),
        conv("c4", "max", 6, 4),
        conv("c5", "max", 6, 4, size=1),
        Add(name="a2", inputs=("c4", "c5")),
        relu(name="r4"),
        AveragePool2d(name="mean", inputs=("r1",), size=3, stride=2, padding=1),
        Concat(name="join", inputs=("r4", "mean")),
        GlobalAveragePool(name="gap", keep_dims=False, inputs=("join",)),
        Transpose(name="turn", inputs=("r4",), axes=(1, 2, 0)),
        Flatten(name="flat"),
        Concat(name="all", inputs=("gap", "flat")),
        Dense(name="fc", weight=rng.normal(0, 0.2, (5, 10 + 96)), bias=rng.normal(0, 0.1, 5)),
        *head,
    )
    net = Network(layers=layers, input_shape=(2, 8, 8))
    return replace(quantize(net, samples=frames(8, 1, seed=9)[:, 0]), rounding=rounding)


@pytest.mark.parametrize("rounding", ["half_even", "tflite"])
@pytest.mark.parametrize("head", [(), (Softmax(name="softmax"),)])
def test_every_frame_is_the_integer_reference(rounding, head):
    net, x = branched(rounding=rounding, head=head), frames()
    result = run_frames(to_sigma_delta(net), x)
    want = run_integer(net, x.reshape(-1, 2, 8, 8)).reshape(result.outputs.shape)
    np.testing.assert_array_equal(result.outputs, want)
    assert np.ptp(want) > 0


@given(st.integers(0, 10_000))
@settings(max_examples=8, deadline=None)
def test_random_networks_settle_to_the_integer_reference(seed):
    net, x = branched(seed=seed), frames(2, 2, seed=seed)
    np.testing.assert_array_equal(run_frames(to_sigma_delta(net), x).outputs[:, -1], run_integer(net, x[:, -1]))


class PlainChip:
    """A chip stepped in its own time: messages arrive one step after they were sent, or later with a delay.

    Layers are computed in (C, H, W) order from what has arrived; nothing is taken from the engine but the levels, which
    say in which step a population starts and how long a synapse delays.
    """

    def __init__(self, network, x):
        self.network, self.x = network, x
        self.level = {p.tensor: p.level for p in graded_populations(network)}
        self.of = {}  # population of each layer that is computed inside neurons
        for layer in reversed(network.layers):
            readers = [self.of[r.name] for r in network.readers(layer.name) if not isinstance(r, Delta)]
            sender = [r.name for r in network.readers(layer.name) if isinstance(r, Delta)]
            inside = [r for r in readers if not isinstance(layer, Delta)]
            self.of[layer.name] = layer.name if isinstance(layer, Delta) else (sender + inside + [network.output])[0]
        self.known, self.sent, self.flying, self.log, self.heard, self.active = {}, {}, [], {}, {}, {}
        for layer in network.layers:
            if isinstance(layer, Delta):
                shape = (len(x), *network.shapes[layer.name])
                self.sent[layer.name] = np.full(shape, network.grids[layer.name].zero_point, np.int64)

    def through(self, name, payload):
        """What a message adds at each layer that reads it, rearrangements between them applied."""
        for reader in self.network.readers(name):
            shape = self.network.shapes[reader.name]
            if isinstance(reader, Flatten):
                yield from self.through(reader.name, payload.reshape(len(payload), *shape))
            elif isinstance(reader, Transpose):
                yield from self.through(reader.name, payload.transpose(0, *(a + 1 for a in reader.axes)))
            elif isinstance(reader, Scale):
                yield from self.through(reader.name, payload)
            else:
                yield reader, name, payload

    def step(self, t):
        for when, sender, payload in [f for f in self.flying if f[0] <= t]:
            for reader, tensor, part in self.through(sender, payload):
                late = when + self.level[self.of[reader.name]] - self.level[sender] - 1
                if late == t:
                    key = (reader.name, tensor)
                    self.known[key] = self.known.get(key, 0) + part
                    self.hear(reader, tensor, part)
        tensors = {}
        for layer in self.network.layers:
            if isinstance(layer, Delta):
                start = self.level[layer.name]
                if 0 <= t - start < self.x.shape[1]:
                    now = self.input(t) if layer.inputs == ("input",) else tensors[layer.inputs[0]].astype(np.int64)
                    change = now - self.sent[layer.name]
                    payload = np.where(np.abs(change) >= layer.threshold, change, 0)
                    self.sent[layer.name] = self.sent[layer.name] + payload
                    self.flying.append((t + 1, layer.name, payload))
                    self.log.setdefault(layer.name, []).append(np.count_nonzero(payload))
                    self.count(layer.name, payload != 0)
            elif not isinstance(layer, Flatten | Transpose | Scale):
                tensors[layer.name] = self.compute(layer, tensors)
        self.count(self.network.output, False)
        return tensors[self.network.output]

    def hear(self, reader, tensor, part):
        """Note to which neurons something came; a weighted sum of zero is nothing."""
        if isinstance(reader, Weighted):
            came = weighted_sum(reader, part.astype(np.float32), reader.weight.astype(np.float32), exact_product) != 0
        elif isinstance(reader, Concat):
            parts = [np.zeros((len(part), *self.network.shapes[i]), bool) for i in reader.inputs]
            parts[reader.inputs.index(self.tensor_of(reader, tensor))] = part != 0
            came = np.concatenate(parts, axis=reader.axis + 1)
        elif isinstance(reader, GlobalAveragePool):
            came = (part != 0).any(axis=(2, 3))
        elif isinstance(reader, AveragePool2d | MaxPool2d):
            came = pool_sum(reader, (part != 0).astype(np.float32)) > 0
        else:
            came = part != 0
        home = self.of[reader.name]
        self.heard[home] = came | self.heard.get(home, False)

    def tensor_of(self, reader, tensor):
        """The input of `reader` that holds what `tensor` sent, rearranged or not."""
        return tensor if tensor in reader.inputs else next(i for i in reader.inputs if i in ("flat", "turn"))

    def count(self, home, sent):
        came = self.heard.pop(home, False)
        self.active[home] = self.active.get(home, 0) + np.count_nonzero(came | sent)

    def input(self, t):
        return self.network.grids["input"].encode(self.x[:, t]).astype(np.int64)

    def compute(self, layer, tensors):
        grids, shape = self.network.grids, self.network.shapes[layer.name]
        values = []
        for name in layer.inputs:
            if name in tensors:
                values.append(tensors[name])
                continue
            arrived = self.known.get((layer.name, name), 0)
            values.append(np.zeros((len(self.x), *self.network.shapes[name]), np.int64) + arrived)
        if isinstance(layer, Weighted):
            product = weighted_sum(layer, values[0].astype(np.float32), layer.weight.astype(np.float32), exact_product)
            return _writer(self.network, layer)(product)
        reads = [grids[name] for name in layer.inputs]
        whole = [
            v if name in tensors else (v + g.zero_point).astype(np.int8)
            for v, g, name in zip(values, reads, layer.inputs, strict=True)
        ]
        return C.compute(layer, shape, whole, reads, grids[layer.name], self.network.rounding)


@pytest.mark.parametrize("threshold", [0, 6])
def test_a_chip_simulated_step_by_step(threshold):
    network, x = to_sigma_delta(branched(seed=4), threshold=threshold), frames(2, 4, seed=4)
    result, chip = run_frames(network, x), PlainChip(network, x)
    shown = [chip.step(t) for t in range(x.shape[1] + result.depth)]
    want = np.stack(shown[result.depth :], axis=1)
    np.testing.assert_array_equal(result.outputs, network.grids[network.output].decode(want))
    by_tensor = {p.tensor: result.counts[p.name].by_step.tolist() for p in graded_populations(network)}
    assert {name: by_tensor[name] for name in chip.log} == chip.log
    active = {p.tensor: result.counts[p.name].active for p in graded_populations(network)}
    assert active == chip.active


def test_counts_are_those_of_the_messages():
    """Synaptic operations: each message reaches the weights that are not zero, as a product of 0s and 1s says."""
    rng = np.random.default_rng(0)
    weight = rng.normal(0, 0.2, (4, 2, 3, 3)) * (rng.random((4, 2, 3, 3)) < 0.5)
    fc = rng.normal(0, 0.2, (3, 64)) * (rng.random((3, 64)) < 0.5)
    net = sequential(
        [Conv2d(name="conv", weight=weight, stride=2, padding=1), relu(name="r"), Flatten(name="f"),
         Dense(name="fc", weight=fc)],
        input_shape=(2, 8, 8),
    )  # fmt: skip
    net = quantize(net, samples=frames(6, 1)[:, 0])
    x = frames(4, 1, seed=2) * (np.random.default_rng(3).random((4, 1, 2, 8, 8)) < 0.4)
    result = run_frames(to_sigma_delta(net), x)
    _, kept = run_integer(net, x[:, 0], keep=["r"])
    sent = [net.grids["input"].encode(x[:, 0]) != net.grids["input"].zero_point, kept["r"] != net.grids["r"].zero_point]
    for name, mask, layer in (("conv", sent[0], "conv"), ("fc", sent[1].reshape(4, -1), "fc")):
        stored = net.layer(layer).weight != 0
        reached = weighted_sum(net.layer(layer), mask.astype(np.float32), stored.astype(np.float32), exact_product)
        assert result.counts[name].synaptic_operations == int(reached.sum())
        assert result.counts[name].active <= result.counts[name].updates
    assert [int(result.counts[n].messages.sum()) for n in ("input", "conv")] == [int(s.sum()) for s in sent]
    assert result.counts["fc"].messages.sum() == 0
    assert result.messages == sum(int(s.sum()) for s in sent)
    assert result.counts["input"].largest_payload == int(np.abs(np.rint(x / net.grids["input"].scale)).max())


def test_what_does_not_change_sends_nothing():
    net = to_sigma_delta(branched())
    x = np.repeat(frames(3, 1), 6, axis=1)
    x[:, 4:] = x[::-1, 4:]
    result = run_frames(net, x)
    for name, counts in result.counts.items():
        assert counts.by_step[[1, 2, 3, 5]].tolist() == [0, 0, 0, 0]
        assert counts.by_step[0] > 0 or name == "fc"
    assert (result.settled[[0, 2]] == 5 + result.depth).all()  # changed in step 4, whose output shows `depth` later
    assert result.settled[1] == 1 + result.depth
    np.testing.assert_array_equal(result.outputs[:, 3], result.outputs[:, 0])


def test_thresholds_save_messages_and_cost_a_bounded_error():
    net, x = branched(seed=2), frames(4, 12, seed=2)
    exact = run_frames(to_sigma_delta(net), x)
    one = run_frames(to_sigma_delta(net, threshold=1), x)
    np.testing.assert_array_equal(one.outputs, exact.outputs)
    messages, errors = [exact.messages], [0.0]
    for threshold in (4, 16, 64):
        coarse = run_frames(to_sigma_delta(net, threshold=threshold), x)
        messages.append(coarse.messages)
        errors.append(float(np.abs(coarse.outputs - exact.outputs).mean()))
    assert messages == sorted(messages, reverse=True) and messages[-1] < messages[0] / 2
    assert errors == sorted(errors) and errors[1] > 0
    some = to_sigma_delta(net, threshold={"r2": 200})
    assert {d.name: d.threshold for d in some.layers if isinstance(d, Delta)}["r2/delta"] == 200
    assert run_frames(some, x).counts["c2"].messages.sum() < exact.counts["c2"].messages.sum()
    assert run_frames(some, x).counts["c1"].messages.sum() == exact.counts["c1"].messages.sum()


def test_threads_and_batches_change_nothing(monkeypatch):
    net, x = to_sigma_delta(branched(), threshold=3), frames(9, 3)
    first = run_frames(net, x, threads=1)
    monkeypatch.setattr("neuroemu.spiking.sigma_delta.BYTES_AT_ONCE", 4000)
    second = run_frames(net, x, threads=3)
    np.testing.assert_array_equal(first.outputs, second.outputs)
    np.testing.assert_array_equal(first.settled, second.settled)
    for name, counts in first.counts.items():
        for field in ("messages", "by_step", "synaptic_operations", "active", "updates", "largest_payload"):
            np.testing.assert_array_equal(getattr(counts, field), getattr(second.counts[name], field))


def test_every_digit_of_the_test_set():
    net = datasets.mnist_network()
    quantized = quantize(net, samples=net.samples)
    x, labels = datasets.mnist_test()
    result = run_frames(to_sigma_delta(quantized), x[:, None])
    want = run_integer(quantized, x)
    assert len(x) == 10_000 and int((result.outputs[:, 0] == want).all(axis=1).sum()) == 10_000
    assert (result.outputs[:, 0].argmax(axis=1) == labels).mean() > 0.99
    assert (result.settled <= 1 + result.depth).all()


def test_embedded_network_on_digits_that_move():
    net = datasets.mnist_network()
    quantized = quantize(net, samples=net.samples)
    digits, labels = datasets.mnist_test(60)
    x = np.stack([digits, digits, np.roll(digits, 1, axis=3)], axis=1)
    result = run_frames(to_sigma_delta(quantized), x)
    np.testing.assert_array_equal(result.outputs[:, 0], run_integer(quantized, digits))
    np.testing.assert_array_equal(result.outputs[:, 2], run_integer(quantized, x[:, 2]))
    assert (result.outputs[:, 0].argmax(axis=1) == labels).mean() > 0.95
    assert result.depth == 4 and "conv2" in result.table()
    assert result.counts["conv1"].synaptic_operations < 0.3 * 3 * 60 * quantized.macs["conv1"]


@pytest.mark.parametrize("name", ["pretrainedResnet_quant", "kws_ref_model"])
def test_published_networks_equal_the_integer_reference(test_data, name):
    net = load(test_data / "mlperf_tiny" / f"{name}.tflite")
    x = np.random.default_rng(0).uniform(0, 255, (3, 1, *net.input_shape)).astype(np.float32)
    result = run_frames(to_sigma_delta(net), x)
    np.testing.assert_array_equal(result.outputs[:, 0], run_integer(net, x[:, 0]))


def test_a_tensor_added_to_itself_and_a_join_along_width():
    rng = np.random.default_rng(0)
    conv = Conv2d(name="c", weight=rng.normal(0, 0.3, (3, 2, 3, 3)), padding=1)
    layers = (
        conv, Add(name="twice", inputs=("c", "c")), relu(name="r"), MaxPool2d(name="m", size=2, inputs=("twice",)),
        AveragePool2d(name="half", size=2, inputs=("r",)), Concat(name="wide", inputs=("m", "half"), axis=2),
        Flatten(name="f"), Dense(name="d", weight=rng.normal(0, 0.1, (3, 96))),
    )  # fmt: skip
    net = quantize(Network(layers=layers, input_shape=(2, 8, 8)), samples=frames(6, 1)[:, 0])
    x = frames(3, 3, seed=5)
    result = run_frames(to_sigma_delta(net), x)
    np.testing.assert_array_equal(result.outputs[:, 2], run_integer(net, x[:, 2]))
    assert result.counts["twice"].synaptic_operations == 2 * result.counts["c"].messages.sum()
    wide = next(p for p in graded_populations(to_sigma_delta(net)) if p.name == "wide")
    reached = np.concatenate([w.rows.target for w in wide.wirings])
    assert sorted(reached) == list(range(96))


def test_what_follows_the_last_grid_is_left_to_the_host():
    net = branched(head=(relu(name="real"), Scale(name="twice", scale=2.0)))
    net = net.replace(grids={n: g for n, g in net.grids.items() if n not in ("fc", "real", "twice")})
    x = frames(2, 2)
    result = run_frames(to_sigma_delta(net), x)
    np.testing.assert_array_equal(result.outputs[:, 1], run_integer(net, x[:, 1]))
    assert np.ptp(result.outputs) > 0 and "real/delta" not in to_sigma_delta(net).shapes
    assert list(result.counts)[-1] == "fc"


def test_additions_take_their_feeders_inside():
    found = {p.name: p for p in graded_populations(to_sigma_delta(branched()))}
    assert set(found) == {"input", "c1", "c2", "a1", "max", "a2", "mean", "join", "gap", "all", "fc"}
    assert [w.layer.name for w in found["a1"].wirings] == ["c3", "a1"]
    assert [w.layer.name for w in found["a2"].wirings] == ["c4", "c5"]
    assert (found["c1"].words, found["a1"].words, found["max"].words, found["join"].words) == (2, 3, 5, 2)
    levels = {name: p.level for name, p in found.items()}
    assert levels["input"] == 0 and levels["a1"] == 3 and levels["join"] == levels["a2"] + 1


def test_what_cannot_be_is_refused():
    net = branched()
    with pytest.raises(InputError, match="is not quantized"):
        to_sigma_delta(datasets.mnist_network())
    with pytest.raises(InputError, match="no tensor called 'c3' is sent; choose from"):
        to_sigma_delta(net, threshold={"c3": 2})
    with pytest.raises(InputError, match="threshold of 'r1' is 256"):
        to_sigma_delta(net, threshold={"r1": 256})
    with pytest.raises(InputError, match="sends no graded spikes; call to_sigma_delta"):
        run_frames(net, frames())
    with pytest.raises(InputError, match=r"takes \(B, T, 2, 8, 8\)"):
        run_frames(to_sigma_delta(net), frames()[:, 0])
    with pytest.raises(InputError, match="is not quantized"):
        run_integer(to_sigma_delta(net), frames()[:, 0])
    soft = sequential([Dense(name="a", weight=np.eye(3)), Softmax(name="s"), Dense(name="b", weight=np.eye(3))],
                      input_shape=(3,))  # fmt: skip
    grids = dict.fromkeys(("input", "a", "s", "b"), Grid(0.1))
    coded = [
        replace(n, weight=np.eye(3, dtype=np.int8), weight_grid=Grid(1.0)) if isinstance(n, Dense) else n
        for n in soft.layers
    ]
    with pytest.raises(UnsupportedError, match="Softmax 's' is read by other layers"):
        to_sigma_delta(soft.replace(layers=tuple(coded), grids=grids))
    wide = Network(
        layers=(Dense(name="w", weight=np.full((1, 70_000), 127, np.int8), weight_grid=Grid(1.0)),),
        input_shape=(70_000,), grids={"input": Grid(1.0), "w": Grid(1.0)},
    )  # fmt: skip
    with pytest.raises(UnsupportedError, match=r"layer 'w': sums of up to .* need more than 32 bits"):
        run_frames(to_sigma_delta(wide), np.zeros((1, 1, 70_000)))
