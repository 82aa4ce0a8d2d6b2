"""Spiking networks with residual paths and joins: against a simulation in chip time, Brian2, and counts by hand."""

from dataclasses import replace

import numpy as np
import pytest

from neuroemu import chips, place, run
from neuroemu.errors import UnsupportedError
from neuroemu.network import Add, Concat, Conv2d, Dense, Encode, Flatten, Grid, Lif, Network, ops
from neuroemu.spiking.arithmetic import LOIHI1
from neuroemu.spiking.cores import CoreLimits, allocate, projected
from neuroemu.spiking.engine import input_codes, run_batch
from neuroemu.spiking.populations import joined, neuron_numbers, populations

STEPS = 10
LEVELS = {"encode": 0, "a": 1, "b": 2, "c": 3, "out": 4}


def residual_net(seed=0, reset="subtract"):
    """encode - a - b; c adds a convolution of b, one of the input and a itself; the read-out sees a beside c."""
    random = np.random.default_rng(seed)

    def conv(name, source, outputs, inputs, size, **more):
        weight = 2 * random.integers(-30, 45, (outputs, inputs, size, size)).astype(np.int8) + 1  # none is zero
        return Conv2d(name=name, inputs=(source,), weight=weight, weight_grid=Grid(0.01), **more)

    def lif(name, source, threshold, **more):
        bias = 2 * random.integers(-300, 900, 4)
        return Lif(name=name, inputs=(source,), threshold=64 * threshold, bias=bias, reset=reset, **more)

    skip = np.array([70, -30, 127, 1], np.int8).reshape(4, 1, 1, 1)
    layers = (
        Encode(name="encode", coding="direct", code_max=255, threshold=254 * 64, reset=reset),
        conv("to_a", "encode", 4, 2, 3, padding=1),
        lif("a", "to_a", 500, initial_voltage=64),
        conv("to_b", "a", 4, 2, 3, padding=1, groups=2),
        lif("b", "to_b", 300),
        conv("b_to_c", "b", 4, 4, 3, padding=1),
        Conv2d(name="skip", inputs=("a",), weight=skip, weight_grid=Grid(0.01), groups=4),
        conv("far", "encode", 4, 1, 1, groups=2),
        Add(name="two", inputs=("b_to_c", "skip")),
        Add(name="c_sum", inputs=("two", "far")),
        lif("c", "c_sum", 900),
        Concat(name="both", inputs=("a", "c"), axis=0),
        Flatten(name="flat"),
        Dense(name="out", weight=random.integers(-60, 90, (3, 8 * 25)).astype(np.int8), weight_grid=Grid(0.01)),
        Lif(name="potential", threshold=None, bias=random.integers(-500, 500, 3), weight_shift=6),
    )
    return Network(layers=layers, input_shape=(2, 5, 5), grids={"input": Grid(1.0, -128)}, steps=STEPS)


def inputs(n=4, seed=1):
    return np.random.default_rng(seed).integers(0, 256, (n, 2, 5, 5)).astype(np.float32)


def in_chip_time(network, x):
    """Step after step of the chip, in (C, H, W): a spike of step t arrives at t + 1, plus the delay of its path."""
    delays = {"b_to_c": 0, "skip": 1, "far": 2, "out from a": 2, "out from c": 0}
    lifs = {name: network.layer(name) for name in "abc"} | {"out": network.layer("potential")}
    v = {n: np.full((len(x), *network.shapes[p.name]), p.initial_voltage, np.int64) for n, p in lifs.items()}
    v["encode"] = np.zeros(x.shape, np.int64)
    fired = {name: {} for name in LEVELS}

    def arriving(source, t, delay=0):
        return fired[source].get(t - 1 - delay, np.zeros(v[source].shape, bool)).astype(np.float32)

    def weighted(name, s):
        layer = network.layer(name)
        return ops.weighted_sum(layer, s, layer.weight.astype(np.float32), ops.exact_product).astype(np.int64)

    for t in range(STEPS + 4):
        both = np.concatenate([arriving("a", t, delays["out from a"]), arriving("c", t, delays["out from c"])], axis=1)
        sums = {
            "a": weighted("to_a", arriving("encode", t)),
            "b": weighted("to_b", arriving("a", t)),
            "c": weighted("b_to_c", arriving("b", t)) + weighted("skip", arriving("a", t, delays["skip"]))
            + weighted("far", arriving("encode", t, delays["far"])),
            "out": weighted("out", both.reshape(len(x), -1)),
        }  # fmt: skip
        for name, level in LEVELS.items():
            if not level <= t < level + STEPS:
                continue  # waits, or has finished
            if name == "encode":
                v[name] += 64 * x.astype(np.int64)
                threshold, reset = network.layers[0].threshold, network.layers[0].reset
            else:
                lif = lifs[name]
                bias = lif.bias.reshape(-1, *(1,) * (v[name].ndim - 2))
                v[name] += (sums[name] << lif.weight_shift) + bias
                threshold, reset = lif.threshold or 1 << 40, lif.reset
            fired[name][t] = v[name] > threshold
            v[name] = np.where(fired[name][t], v[name] - threshold if reset == "subtract" else 0, v[name])
    return v["out"], {name: np.array(list(at.values())) for name, at in fired.items()}


@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_aligned_windows_equal_the_chip_step_by_step(reset):
    for seed in range(3):
        net, x = residual_net(seed, reset), inputs(seed=seed)
        potentials, fired = in_chip_time(net, x)
        result = run(net, chips.LOIHI, x)
        np.testing.assert_array_equal(result.outputs, potentials.astype(np.float32))
        found = populations(net)
        codes = input_codes(net, x)
        _, activity = run_batch(found, codes, STEPS, LOIHI1, seed=0, trial=0, first=0, threads=1)
        for population, happened, name in zip(found[:4], activity, LEVELS, strict=False):
            places = neuron_numbers(population.shape)
            np.testing.assert_array_equal(happened.spikes.transpose(1, 0, 2)[:, :, places], fired[name])
            assert 0.02 < happened.spikes.mean() < 0.98


def test_levels_and_delays():
    found = populations(residual_net())
    assert [(p.name, p.level) for p in found] == [("encode", 0), ("to_a", 1), ("to_b", 2), ("c_sum", 3), ("out", 4)]
    paths = {(p.name, found[part.source].name, part.name): part.delay for p in found for part in p.projections}
    assert paths == {
        ("to_a", "encode", "to_a"): 0, ("to_b", "to_a", "to_b"): 0, ("c_sum", "to_b", "b_to_c"): 0,
        ("c_sum", "to_a", "skip"): 1, ("c_sum", "encode", "far"): 2, ("out", "to_a", "out"): 2,
        ("out", "c_sum", "out"): 0,
    }  # fmt: skip


def dense(rows, targets):
    """Weights (inputs, targets) that block rows hold."""
    matrix = np.zeros((len(rows.indptr) - 1, targets), int)
    for source, target, row in zip(rows.source, rows.target, rows.row, strict=True):
        matrix[source, target : target + rows.length] += rows.table[row]
    return matrix


def test_joined_projections_hold_the_same_synapses():
    for population in populations(residual_net())[1:]:
        sizes = [50 if part.name in ("far", "to_a") else 100 for part in population.projections]
        parts = []
        for part, size in zip(population.projections, sizes, strict=True):
            matrix = dense(part.weights, population.size)
            parts.append(np.pad(matrix, ((0, size - len(matrix)), (0, 0))))
        np.testing.assert_array_equal(dense(joined(population, sizes), population.size), np.vstack(parts))


def test_each_path_has_axons_synapses_memory_and_messages_of_its_own():
    net, x = residual_net(), inputs()
    found = populations(net)
    skip, far = found[3].projections[1:]
    axons, synapses, bits = projected(skip, 0, 100, CoreLimits())
    assert (axons, synapses) == (100, 100)
    assert bits == 100 * 64  # 8 weight, 10 index, 1 delay and 10 header bits: one word an axon
    _, synapses, bits = projected(replace(far, delay=62), 0, 100, CoreLimits(index_bits=30))
    assert synapses == 2 * 50 and bits == 50 * 128  # 2 synapses of 8 + 30 + 6 bits and a header
    (core,) = allocate(found, CoreLimits(), lambda p: 1, "test")[3]
    assert core.input_axons == 100 + 100 + 50
    counts = run(net, chips.LOIHI, x).counts.by_layer()
    _, fired = in_chip_time(net, x)
    spikes = {name: s.sum() for name, s in fired.items()}
    assert counts["to_a"]["spike_within_tile"] == 3 * spikes["a"]  # to b, c and the read-out
    assert counts["encode"]["spike_within_tile"] == 2 * spikes["encode"]
    by_neuron = {name: s.sum(axis=(0, 1)) for name, s in fired.items()}
    taps = ops.weighted_sum(  # positions that a place of b reaches
        Conv2d(name="t", weight=np.ones((1, 1, 3, 3)), padding=1),
        np.ones((1, 1, 5, 5), np.float32),
        np.ones((1, 1, 3, 3)),
    )[0, 0]
    expected = (by_neuron["b"] * taps * 4).sum() + spikes["a"] + 2 * spikes["encode"]
    assert counts["c_sum"]["synaptic_op"] == expected
    table = place(net, chips.LOIHI).table()
    assert "skip 1 late from to_a: 100, 100" in table and "far 2 late from encode: 50, 100" in table


def chain(length):
    """A chain of single neurons whose first one reaches the last one too."""
    layers = [Encode(name="e", coding="direct", code_max=255, threshold=64)]
    one = {"weight": np.ones((1, 1), np.int8), "weight_grid": Grid(1.0)}
    for k in range(length):
        layers += [Dense(name=f"d{k}", **one), Lif(name=f"l{k}", threshold=64)]
    last = layers[-1].name
    layers += [
        Dense(name="near", inputs=(last,), **one), Dense(name="far", inputs=("e",), **one),
        Add(name="sum", inputs=("near", "far")), Lif(name="potential", threshold=None),
    ]  # fmt: skip
    return Network(layers=tuple(layers), input_shape=(1,), grids={"input": Grid(1.0, -128)}, steps=2)


def test_a_path_that_skips_more_than_a_delay_holds_is_refused():
    assert populations(chain(62))[-1].projections[1].delay == 62
    with pytest.raises(UnsupportedError, match=r"'far': its spikes skip 63 layers .* holds 62"):
        populations(chain(63))


def test_time_starts_and_ends_with_the_longest_path():
    net, x = residual_net(), inputs()
    counts = run(net, chips.LOIHI, x).counts.by_layer()
    assert counts["encode"]["barrier_sync"] == (STEPS + 4) * len(x)


def test_additions_of_spikes_need_weights():
    net = residual_net()
    at = next(k for k, layer in enumerate(net.layers) if layer.name == "b") + 1
    wrong = (*net.layers[:at], Add(name="bad", inputs=("a", "b")), *net.layers[at:])
    with pytest.raises(UnsupportedError, match="Add 'bad', which reads a, b: no place"):
        populations(net.replace(layers=wrong))
    early = (*net.layers, Flatten(name="late", inputs=("a",)))
    with pytest.raises(UnsupportedError, match="last neurons must be its output"):
        populations(net.replace(layers=early))


def test_delays_in_brian2_give_the_spikes_of_the_aligned_windows():
    """Two layers and a path that skips one of them, wired with LoihiCore and a delay of one step."""
    b2 = pytest.importorskip("brian2")
    b2.prefs.codegen.target = "numpy"
    from neuroemu.spiking.brian import LoihiCore

    random = np.random.default_rng(3)
    weights = {
        n: random.integers(-40, 90, s).astype(np.int8) for n, s in (("d1", (6, 5)), ("d2", (4, 6)), ("far", (4, 5)))
    }

    def layer(name, source):
        return Dense(name=name, inputs=(source,), weight=weights[name], weight_grid=Grid(0.1))

    layers = (
        Encode(name="e", coding="direct", code_max=255, threshold=254 * 64),
        layer("d1", "e"), Lif(name="l1", threshold=64 * 200), layer("d2", "l1"), layer("far", "e"),
        Add(name="sum", inputs=("d2", "far")), Lif(name="l2", threshold=64 * 400),
        Dense(name="out", weight=np.ones((1, 4), np.int8), weight_grid=Grid(1.0)), Lif(name="v", threshold=None),
    )  # fmt: skip
    net = Network(layers=layers, input_shape=(5,), grids={"input": Grid(1.0, -128)}, steps=30)
    x = random.integers(60, 256, (1, 5)).astype(np.float32)
    _, activity = run_batch(populations(net), input_codes(net, x), 30, LOIHI1, seed=0, trial=0, first=0, threads=1)
    times, which = np.nonzero(activity[0].spikes[0])
    source = b2.SpikeGeneratorGroup(5, which, times * b2.ms, dt=1 * b2.ms)
    one, two = (
        LoihiCore(n, threshold_mantissa=m, current_decay=4095, voltage_decay=0) for n, m in ((6, 200), (4, 400))
    )
    one.connect(source, 2 * weights["d1"].T.astype(int))
    two.connect(one, 2 * weights["d2"].T.astype(int))
    two.connect(source, 2 * weights["far"].T.astype(int), delay=1)
    monitors = [b2.SpikeMonitor(one), b2.SpikeMonitor(two)]
    b2.Network(source, one, two, *monitors).run(32 * b2.ms)
    for level, monitor in enumerate(monitors, start=1):
        seen = np.zeros((32, monitor.source.N), bool)
        seen[np.round(monitor.t / b2.ms).astype(int), np.asarray(monitor.i[:])] = True
        np.testing.assert_array_equal(seen[level : level + 30], activity[level].spikes[0])
        assert seen.any()
