"""Networks on TrueNorth cores against a plain NumPy evaluation of the same network, in spikes and counted events."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroemu import chips, datasets, load, place, quantize, run, save, to_spiking
from neuroemu.chips.truenorth_costs import EVENT
from neuroemu.errors import ArgumentTypeError, InputError, PlacementError
from neuroemu.kernels.truenorth_reference import COUNT_NAMES
from neuroemu.network import Conv2d, Dense, Encode, Fire, Flatten, Grid, Lif, Network, Transpose, sequential
from neuroemu.spiking import CoreLimits, truenorth_chip, truenorth_stream
from neuroemu.spiking.truenorth_axons import digits
from neuroemu.spiking.truenorth_compiler import positions

TRUENORTH = chips.TRUENORTH


def network(*layers, shape=(6,), steps=3, encode=None):
    first = encode or Encode(name="encode", coding="direct", code_max=255, threshold=254 * 64, reset="subtract")
    return Network(layers=(first, *layers), input_shape=shape, grids={"input": Grid(1.0, -128)}, steps=steps)


def dense(name, weight, scale=1.0, **fire):
    weight = np.asarray(weight, np.int8)
    return Dense(name=name, weight=weight, weight_grid=Grid(scale)), Fire(name=name + "/fire", **fire)


def input_train(net, x):
    """Spikes (T, B, inputs) of an integrate-and-fire neuron for each input, in plain integers."""
    encode, v, found = net.layers[0], np.full(x.shape, net.layers[0].initial_voltage, np.int64), []
    for _ in range(net.steps):
        v = v + x.astype(np.int64) * 64
        fired = v > encode.threshold
        v = np.where(fired, v - encode.threshold if encode.reset == "subtract" else 0, v)
        found.append(fired)
    return np.array(found)


def matrix_of(layer, shape):
    """A layer as a matrix (outputs, inputs), made by feeding unit tensors to plain loops."""
    if isinstance(layer, Dense):
        return layer.weight.astype(np.int64)
    o, per_group, kh, kw = layer.weight.shape
    (c, h, w), ((top, bottom), (left, right)) = shape, layer.padding
    high, wide = (h + top + bottom - kh) // layer.stride[0] + 1, (w + left + right - kw) // layer.stride[1] + 1
    found = np.zeros((o, high, wide, c, h, w), np.int64)
    for index in np.ndindex(o, high, wide, per_group, kh, kw):
        out, y, x, channel, ky, kx = index
        iy, ix = y * layer.stride[0] + ky - top, x * layer.stride[1] + kx - left
        if 0 <= iy < h and 0 <= ix < w:
            found[out, y, x, out // (o // layer.groups) * per_group + channel, iy, ix] = layer.weight[
                out, channel, ky, kx
            ]
    return found.reshape(o * high * wide, -1)


def plain_run(net, x, delays):
    """Spike counts of the last layer: each layer runs in all ticks and sees spikes `delays` ticks old."""
    train = input_train(net, x)
    ticks = net.steps + sum(delays)
    spikes = np.concatenate([train, np.zeros((ticks - net.steps, *x.shape), bool)])
    numbers = np.arange(x[0].size).reshape(x.shape[1:])
    spikes, weighted, depth = spikes.reshape(ticks, len(x), -1), None, 0
    for layer in net.layers[1:]:
        if isinstance(layer, Transpose):
            numbers = numbers.transpose(layer.axes)
        elif isinstance(layer, Flatten):
            numbers = numbers.reshape(-1)
        elif isinstance(layer, Fire):
            seen = spikes[:, :, numbers.ravel()]
            drive = seen.astype(np.int64) @ matrix_of(weighted, numbers.shape).T
            shape = net.shapes[layer.name]
            bias = np.broadcast_to(layer.bias.reshape(-1, *(1,) * (len(shape) - 1)), shape).ravel()
            if depth:
                late = np.zeros_like(drive)
                late[delays[depth - 1] :] = drive[: ticks - delays[depth - 1]]
                drive = late
            spikes = fire(layer, drive + bias)
            numbers, depth = np.arange(bias.size).reshape(shape), depth + 1
        else:
            weighted = layer
    return spikes[sum(delays) :].sum(axis=0)


def fire(layer, drive):
    forgets = layer.reset == "forget"
    v, found = np.full(drive.shape[1:], 0 if forgets else layer.initial, np.int64), []
    for step in drive:
        v = v + step
        fired = v >= layer.threshold
        after = v - layer.threshold if layer.reset == "subtract" else 0
        v = np.zeros_like(v) if forgets else np.where(fired, after, np.maximum(v, -layer.floor))
        found.append(fired)
    return np.array(found)


def delays_of(net, chip=TRUENORTH):
    """1 tick from each layer to the next, 2 where its spikes go through splitters."""
    layers = [layer.name for layer in net.layers if isinstance(layer, Dense | Conv2d)]
    split = {site.layer for site in place(net, chip).sites}
    return [2 if f"{name}/splitters" in split else 1 for name in layers[:-1]]


def check(net, x):
    result = run(net, TRUENORTH, x)
    np.testing.assert_array_equal(result.outputs, plain_run(net, x, delays_of(net)))
    assert result.counts.total("merges") == 0 and result.warnings == ()
    return result


@st.composite
def fires(draw, channels):
    reset = draw(st.sampled_from(["zero", "subtract", "forget"]))
    bias = draw(st.lists(st.integers(-3, 3), min_size=channels, max_size=channels))
    extra = {} if reset == "forget" else {"floor": draw(st.integers(0, 9)), "initial": 0}
    return {"reset": reset, "threshold": draw(st.integers(1, 9)), "bias": bias, **extra}


@settings(max_examples=40, deadline=None)
@given(st.data(), st.integers(0, 2**32 - 1), st.sampled_from([(-1, 1), (0, 1), (-2, 5), (-8, 7)]), st.integers(1, 4))
def test_networks_of_whole_weights_equal_plain_numpy(data, seed, span, steps):
    """Three layers, any resets: shared types or digits, splitters or none, all the same spike counts."""
    rng, sizes = np.random.default_rng(seed), [9, 20, 12, 4]
    layers = [Flatten(name="flat")]
    for k in range(3):
        weight = rng.integers(span[0], span[1] + 1, (sizes[k + 1], sizes[k])) * (rng.random((1, sizes[k])) < 0.9)
        weight[:, 0] = 1
        layers += dense(f"l{k}", weight, **data.draw(fires(sizes[k + 1])))
    net = network(*layers, shape=(1, 3, 3), steps=steps)
    check(net, rng.integers(0, 256, (3, 1, 3, 3)).astype(np.float32))


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("reset", ["subtract", "forget"])
def test_convolutions_and_transposes_equal_plain_numpy(groups, reset):
    rng = np.random.default_rng(groups)
    kernel = rng.integers(-3, 4, (8, 2 // groups, 3, 3)).astype(np.int8)
    conv = Conv2d(
        name="conv", weight=kernel, weight_grid=Grid(1.0), stride=(2, 1), padding=((1, 0), (2, 1)), groups=groups
    )
    second = Conv2d(name="second", weight=rng.integers(-1, 2, (4, 8, 2, 2)).astype(np.int8), weight_grid=Grid(1.0))
    layers = [conv, Fire(name="f1", threshold=4, bias=rng.integers(-2, 3, 8), reset=reset)]
    layers += [second, Fire(name="f2", threshold=2, reset=reset), Transpose(name="turn", axes=(1, 2, 0))]
    size = 4 * 2 * 6
    layers += [Flatten(name="flat"), *dense("out", rng.integers(-1, 2, (7, size)), reset=reset, threshold=2)]
    result = check(network(*layers, shape=(2, 6, 6), steps=4), rng.integers(0, 256, (4, 2, 6, 6)).astype(np.float32))
    assert result.n_units > 4 and 0 < result.outputs.mean() < 4


def test_synaptic_events_by_hand():
    """Six inputs share four types, so a synapse is a bit; of 3 = 1 + 2 in digits there are two."""
    weight = np.array([[1, -1, 0, 1, -1, 0], [0, -1, 1, 1, 1, 1], [-1, 0, -1, 1, 1, 0]])
    net, x = network(*dense("a", weight), steps=1), np.array([[255.0, 0, 255, 255, 0, 255]])
    counts = run(net, TRUENORTH, x).counts.by_layer()["a"]
    assert counts["synaptic_events"] == np.count_nonzero(weight[:, [0, 2, 3, 5]]) and counts["input_spikes"] == 4
    weight[0, 5] = 1
    more = run(network(*dense("a", weight), steps=1), TRUENORTH, x).counts.by_layer()["a"]
    assert more["synaptic_events"] == counts["synaptic_events"] + 1
    mixed = np.random.default_rng(0).choice([1, 2, 3], (40, 20))  # no four types for all: 1 and 2 for all neurons
    digits = run(network(*dense("a", mixed), shape=(20,), steps=1), TRUENORTH, np.full((1, 20), 255.0)).counts
    assert digits["a", "synaptic_events"] == mixed.size + np.count_nonzero(mixed == 3)
    assert digits["a", "input_spikes"] == 2 * 20


def test_one_axon_an_input_where_types_can_be_shared():
    """Four types, each with a weight of its own for each neuron: no second axon for either sign."""
    rng = np.random.default_rng(0)
    types, by_type = rng.integers(0, 4, 256), rng.integers(1, 40, (4, 256)) * rng.choice([-1, 1], (4, 256))
    weight = (by_type[types] * (rng.random((256, 256)) < 0.4)).T
    net = network(*dense("full", weight, threshold=9), shape=(256,), steps=1)
    (site,) = place(net, TRUENORTH).sites
    assert (site.details["axons"], site.details["neurons"], site.utilisation) == (256, 256, 1.0)
    check(net, rng.integers(0, 256, (5, 256)).astype(np.float32))


def test_splitters_repeat_spikes_to_all_axons_in_time():
    """Forty neurons feed two cores with two signs, up to four axons each: a relay an axon, and a tick more for all."""
    rng = np.random.default_rng(1)
    layers = [*dense("a", rng.integers(-1, 2, (40, 30)), threshold=2)]
    layers += dense("b", rng.integers(-1, 2, (300, 40)), threshold=2)
    net = network(*layers, shape=(30,), steps=2)
    sites = place(net, TRUENORTH).sites
    (relay,) = (site.details for site in sites if site.layer == "a/splitters")
    axons = [site.details["axons"] for site in sites if site.layer == "b"]
    assert len(axons) == 2 and 150 < sum(axons) == relay["neurons"] and relay["axons"] == 40 and delays_of(net) == [2]
    result = check(net, rng.integers(0, 256, (6, 30)).astype(np.float32))
    assert result.latency_per_inference == pytest.approx(4e-3) and result.throughput == pytest.approx(500)


def test_synapses_by_chance_have_their_probability():
    """0.3 is 1 in 30 % of 20,000 synapses, -1.75 is -2 in 75 % of 10,000; other copies and trials draw others."""
    weight = np.full((200, 150), 0.3, np.float32)
    weight[:, 100:] = -1.75
    net = network(Dense(name="a", weight=weight), Fire(name="f"), shape=(150,), steps=1)
    program = replace(TRUENORTH, copies=2).compile(net, seed=3)
    found = [programmed(net, program, copy)[0] for copy in range(2)]
    assert not np.array_equal(*found)
    for matrix in found:
        assert set(matrix[:, :100].ravel()) == {0, 1} and set(matrix[:, 100:].ravel()) == {-1, -2}
        assert matrix[:, :100].sum() == pytest.approx(0.3 * 20_000, abs=4 * np.sqrt(20_000 * 0.21))
        assert matrix[:, 100:].sum() == pytest.approx(-1.75 * 10_000, abs=4 * np.sqrt(10_000 * 0.1875))
    again, other = (TRUENORTH.compile(net, seed=3, trial=k).cores[0].crossbar for k in (0, 1))
    assert np.array_equal(again, program.cores[0].crossbar) and not np.array_equal(again, other)


def chancy(steps=1):
    rng = np.random.default_rng(5)
    layers = [*dense("a", rng.integers(-3, 4, (30, 40)), scale=1 / 3), *dense("b", rng.integers(-3, 4, (8, 30)), 1 / 3)]
    vote = np.zeros((2, 8), np.int8)
    vote[np.arange(8) % 2, np.arange(8)] = 1
    layers.append(Dense(name="vote", weight=vote, weight_grid=Grid(1.0)))
    return network(*layers, shape=(40,), steps=steps), rng.integers(0, 256, (50, 40)).astype(np.float32)


def programmed(net, program, copy):
    """Weights (outputs, inputs) of each layer as the crossbars of one copy hold them."""
    compiled = truenorth_chip._compiled(net, TRUENORTH.name)
    cores, chain = compiled.plan.cores, compiled.plan.chain
    sizes = [chain.inputs, *(group.size for group in chain.groups)]
    found = [np.zeros((n, m), int) for m, n in pairwise(sizes)]
    for core, loaded in zip(cores, program.cores[copy * len(cores) :], strict=False):
        if not core.splits:
            real = (loaded.connections() * loaded.neurons.weights[loaded.axon_types]).T
            for axon, source in enumerate(core.sources):
                found[core.group][core.neurons, source] += real[: len(core.neurons), axon]
    return found


def test_copies_vote_and_trials_differ():
    """The votes are those of the drawn weights of all copies, computed in numpy."""
    net, x = chancy()
    chip = replace(TRUENORTH, copies=3)
    result = run(net, chip, x, trials=2)
    assert result.n_trials == 2 and not np.array_equal(*result.trial_outputs)
    assert result.n_units == 3 * len(place(net, TRUENORTH).sites)
    for trial in range(2):
        program, votes = chip.compile(net, trial=trial), np.zeros((50, 2))
        for copy in range(3):
            spikes = input_train(net, x)[0]
            for weight in programmed(net, program, copy):
                spikes = spikes @ weight.T >= 1
            votes += spikes.reshape(50, 4, 2).sum(axis=1)
        np.testing.assert_array_equal(result.trial_outputs[trial], votes)


def test_where_the_stream_is_cut_and_threads_change_nothing(monkeypatch):
    """Leaks make neurons spike in every tick, so ticks that a piece adds would be counted."""
    net, x = chancy(steps=2)
    net = net.replace(layers=tuple(replace(a, bias=1) if a.name == "a/fire" else a for a in net.layers))
    chip = replace(TRUENORTH, copies=2)
    whole = run(net, chip, x, seed=1, threads=1)
    monkeypatch.setattr(truenorth_stream, "MOST_INPUTS", 7)
    cut = run(net, chip, x, seed=1, threads=2)
    np.testing.assert_array_equal(whole.outputs, cut.outputs)
    assert whole.counts == cut.counts
    np.testing.assert_array_equal(run(net, chip, x[:9], seed=1).outputs, whole.outputs[:9])


def test_bernoulli_inputs():
    """A pixel of 64 spikes in a quarter of 400 ticks; each trial draws others."""
    encode = Encode(name="encode", coding="poisson", code_max=255, threshold=64)
    net = network(*dense("a", np.eye(3)), shape=(3,), steps=400, encode=encode)
    result = run(net, TRUENORTH, np.array([[0.0, 64, 255]] * 3), trials=2)
    assert result.outputs[:, 0].max() == 0 and result.outputs[:, 2].min() == 400
    assert result.outputs[:, 1] == pytest.approx(100, abs=4 * np.sqrt(75))
    assert len({*result.outputs[:, 1]}) > 1 and not np.array_equal(*result.trial_outputs)


def test_energy_time_and_area():
    net, x = chancy()
    result = run(net, replace(TRUENORTH, copies=4), x)
    events = result.counts.total("synaptic_events")
    assert result.energy.dynamic == pytest.approx(events * 2.2966e-12, rel=1e-4)
    assert result.energy.static == pytest.approx(50 * 1e-3 * 64.43e-3, rel=1e-3)
    area = result.used_mm2
    assert area == pytest.approx(result.n_units * 0.24 * 0.39) and result.chip_mm2 == 430


def test_counts_and_joules_by_layer():
    """By hand: every neuron fires in every tick, so a neuron makes as many events as it has synapses."""
    halves = np.repeat(np.eye(2, dtype=int), 150, axis=1)  # of 300 neurons, which take two cores
    layers = [*dense("a", np.ones((6, 4))), *dense("b", np.ones((300, 6))), *dense("c", halves)]
    net, copies, inputs = network(*layers, shape=(4,), steps=5), 2, 3
    result = run(net, replace(TRUENORTH, copies=copies), np.full((inputs, 4), 255.0))
    ticks = copies * inputs * net.steps
    layers = result.counts.by_layer()
    assert {name: kinds["spikes"] / ticks for name, kinds in layers.items()} == {
        "a": 6, "a/splitters": 12, "b": 300, "c": 2,
    }  # fmt: skip
    events = {name: kinds["synaptic_events"] for name, kinds in layers.items()}
    assert events == {"a": 24 * ticks, "a/splitters": 12 * ticks, "b": 1800 * ticks, "c": 300 * ticks}
    assert [name for name in layers if layers[name]["input_spikes"]] == ["a"]
    assert {site.layer for site in place(net, TRUENORTH).sites} == {*layers}
    joules = result.energy.by_layer()
    assert joules == pytest.approx({name: n * EVENT for name, n in events.items()}, rel=1e-12)
    assert sum(joules.values()) == pytest.approx(result.energy.dynamic, rel=1e-12)
    assert result.energy.by_layer_and_boundary()["static", "chip, not split"] == result.energy.static


def test_layers_add_up_to_rounded_means_over_trials():
    net, x = chancy()
    chip, trials = replace(TRUENORTH, copies=3), 4
    compiled, counts = truenorth_chip._compiled(net, chip.name), 0
    for trial in range(trials):
        stream = truenorth_stream.Stream(compiled, chip.compile(net, seed=7, trial=trial), 3, net.steps)
        spikes = truenorth_stream.input_spikes(net, x, seed=7, trial=trial)
        counts = counts + stream.votes(spikes, len(x), threads=1, progress=lambda done: None)[1]
    found = run(net, chip, x, seed=7, trials=trials).counts
    assert len(found.by_layer()) == len(counts) > 1
    for name, events in zip(COUNT_NAMES, counts.T, strict=True):
        assert found.total(name) == np.rint(events.sum() / trials)
        by_layer = [kinds[name] for kinds in found.by_layer().values()]
        np.testing.assert_allclose(by_layer, events / trials, atol=1)


def test_files_keep_fire_layers(tmp_path):
    net, x = chancy()
    layers = tuple(replace(a, cores=(20, 10)) if a.name == "a/fire" else a for a in net.layers)
    save(net.replace(layers=layers), tmp_path / "net.npz")
    again = load(tmp_path / "net.npz")
    assert again.layer("a/fire").cores == (20, 10)
    np.testing.assert_array_equal(run(again, TRUENORTH, x).outputs.shape, (50, 2))
    assert [site.details["neurons"] for site in place(again, TRUENORTH).sites if site.layer == "a"] == [20, 10]


def test_neurons_that_reach_nothing_are_left_out():
    weight = np.ones((4, 6), np.int8)
    silent = np.array([[1, 0, 0, 1]])
    net = network(*dense("a", weight), *dense("b", silent), steps=1)
    assert [site.details["neurons"] for site in place(net, TRUENORTH).sites] == [2, 1]
    check(net, np.full((2, 6), 255.0, np.float32))


LIF = (Dense(name="d", weight=np.ones((2, 6), np.int8), weight_grid=Grid(1.0)), Lif(name="l", threshold=64))
MANY = np.random.default_rng(0).integers(0, 21, (60, 9))
TWO_VOTES = Dense(name="v", weight=np.ones((2, 2), np.int8), weight_grid=Grid(1.0))


@pytest.mark.parametrize(
    "layers, shape, message",
    [
        (LIF, (6,), "no Encode and Fire layers, which the cores compute; use to_truenorth"),
        (dense("a", np.tile([3, -2, 1], (1, 60))), (180,), None),
        (dense("a", MANY - 10), (9,), "20 values from -10 to 10; four axon types make 15"),
        (dense("a", np.where(MANY > 9, 3, -2)), (9,), None),
        (dense("a", np.tile(MANY % 3, (1, 20)), cores=(60,)), (180,), "60 neurons need 360 axons, with 2 axon types"),
        (dense("a", np.ones((2, 300))), (300,), "one neuron needs 300 axons.*group the channels"),
        (dense("a", np.ones((2, 6)), threshold=300), (6,), "is the leak, which holds"),
        (dense("a", np.ones((2, 6)), cores=(3,)), (6,), "cores name 3 neurons, the layer has 2"),
        (dense("a", np.zeros((2, 6))), (6,), None),
        ((*dense("a", np.ones((2, 6))), *dense("b", np.zeros((2, 2)))), (6,), "no way from a neuron to an output"),
        ((*dense("a", np.ones((2, 6))), TWO_VOTES), (6,), "at most one 1 for each neuron"),
        (dense("a", np.ones((2, 6)), scale=100.0, threshold=1), (6,), None),
        (dense("a", np.ones((2, 6)), scale=300.0), (6,), "weights span 300..300; axons hold -256..255"),
    ],
)
def test_what_fits_and_what_is_refused(layers, shape, message):
    net = network(*layers, shape=shape)
    if message is None:
        place(net, TRUENORTH)
    else:
        with pytest.raises(PlacementError, match=message):
            place(net, TRUENORTH)


def test_copies_that_do_not_fit():
    net, _ = chancy()
    cores = len(place(net, TRUENORTH).sites)
    with pytest.raises(PlacementError, match=f"{4096 // cores} copies fit, or use more chips"):
        place(net, replace(TRUENORTH, copies=4096 // cores + 1))
    assert len(place(net, replace(TRUENORTH, copies=4096 // cores + 1, chips=2)).sites) > 4096 - cores


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"threshold": 0}, "threshold is 0"),
        ({"bias": 256}, "bias spans 256..256; allowed: -256 to 255"),
        ({"bias": 0.5}, "whole numbers"),
        ({"reset": "never"}, "choose from 'zero', 'subtract', 'forget'"),
        ({"reset": "zero", "floor": 3, "initial": -4}, "initial is -4"),
    ],
)
def test_fire_layers_out_of_range(wrong, message):
    with pytest.raises(InputError, match=message):
        Fire(name="f", **wrong)


def test_the_floor_plan_shows_each_core_where_it_lies():
    from neuroemu import plot

    net, _ = chancy()
    placement = place(net, replace(TRUENORTH, copies=40, chips=2))
    whole, part = plot.cores(placement).axes
    filled = [patch for patch in whole.patches if patch.get_fill()]
    assert [(p.get_x(), p.get_y()) for p in filled] == [(s.details["x"], s.details["y"]) for s in placement.sites]
    frames = [patch.get_bbox().bounds for patch in whole.patches if not patch.get_fill()]
    assert frames[:2] == [(0, 0, 64, 64), (64, 0, 64, 64)] and len(part.patches) == 2 * len(filled)
    assert len({p.get_facecolor()[:3] for p in filled}) == len({site.layer for site in placement.sites})
    small = sequential([Dense(name="d", weight=np.ones((40, 9)))], input_shape=(9,))
    spiking = to_spiking(small, steps=2, samples=np.ones((4, 9)))
    crowded = place(spiking, replace(chips.LOIHI, limits=CoreLimits(compartments=1)))
    drawn = [p for p in plot.cores(crowded).axes[0].patches if p.get_fill()]
    assert [(p.get_x() // 2, p.get_y() // 2) for p in drawn] == [(s.unit // 4 % 8, s.unit // 32) for s in crowded.sites]
    with pytest.raises(InputError, match="has no mesh of cores"):
        plot.cores(place(quantize(small, samples=np.ones((4, 9))), chips.A100))
    with pytest.raises(ArgumentTypeError, match="give a Placement"):
        plot.cores(5)


def test_cores_lie_along_a_path_of_neighbours():
    """Each core beside the last one, no place twice, and a power of 4 of cores fills a square."""
    found = positions(4096 + 64)
    steps = np.abs(np.diff(found[:4096].astype(int), axis=0)).sum(axis=1)
    assert (steps == 1).all() and len(np.unique(found, axis=0)) == len(found)
    assert found[:64].max() == 7 and found[4096:, 0].min() == 64


def test_the_network_that_comes_along():
    """Thirty full cores, none of its spikes through splitters, and most of 500 images right."""
    net = datasets.mnist_truenorth_network()
    x, y = datasets.mnist_test(500)
    result = run(net, TRUENORTH, x, labels=y)
    assert result.n_units == 30 and result.utilisation > 0.99 and result.accuracy > 0.94
    assert result.latency_per_inference == pytest.approx(4e-3) and result.throughput == pytest.approx(1000)


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(-9, 9).filter(bool), min_size=1, max_size=7), st.integers(1, 20))
def test_digits_add_up_to_each_value(values, unit):
    values = tuple(unit * v for v in sorted(values))
    found = digits(values)
    if found is None:
        assert len(values) > 4
        return
    base, masks = found
    assert len(base) <= 4 and all(sum(b for k, b in enumerate(base) if masks[v] >> k & 1) == v for v in values)


@pytest.mark.parametrize(
    "values, base",
    [((-1, 1), 2), (tuple(v for v in range(-8, 8) if v), 4), (tuple(v for v in range(-7, 8) if v), 4), ((30,), 1)],
)
def test_digits_are_as_few_as_possible(values, base):
    assert len(digits(values)[0]) == base
    assert digits(tuple(v for v in range(-8, 9) if v)) is None
