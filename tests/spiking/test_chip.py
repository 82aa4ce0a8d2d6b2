"""The spiking chip: whole networks against a plain integer simulation, limits of cores, and counts from real spikes."""

from dataclasses import replace

import numpy as np
import pytest

from neuroemu import chips, place, run, to_spiking
from neuroemu.errors import ArgumentTypeError, InputError, PlacementError
from neuroemu.network import Conv2d, Dense, Encode, Flatten, Grid, Lif, Network, Transpose, relu, sequential
from neuroemu.network.ops import exact_product, weighted_sum
from neuroemu.spiking import FewestHops, RowByRow
from neuroemu.spiking.cores import CoreLimits, allocate, synapses_into
from neuroemu.spiking.meter import _by_neuron
from neuroemu.spiking.populations import populations

STEPS = 12


def spiking_net(seed=0, groups=1, reset="zero", transposed=False, encode_reset="zero"):
    """Encode - convolution - Lif - (Transpose) - Dense - Lif - Dense - read-out, with random integers."""
    random = np.random.default_rng(seed)

    def codes(*shape):
        return random.integers(-60, 90, shape).astype(np.int8)

    moved = [Transpose(name="turn", axes=(1, 2, 0))] if transposed else []
    layers = [
        Encode(name="encode", coding="direct", code_max=255, threshold=254 * 64, reset=encode_reset),
        Conv2d(
            name="conv", weight=codes(4, 2 // groups, 3, 3), weight_grid=Grid(0.01), stride=2, padding=1, groups=groups
        ),
        Lif(
            name="lif1",
            threshold=64 * 500,
            bias=4 * random.integers(-500, 2000, 4),
            initial_voltage=64,
            reset=reset,
            weight_shift=7,
        ),
        *moved,
        Flatten(name="flat"),
        Dense(name="hidden", weight=codes(7, 36), weight_grid=Grid(0.01)),
        Lif(
            name="lif2",
            threshold=64 * 900,
            bias=0,
            weight_shift=8,
            refractory=2,
            reset=reset,
            voltage_decay=100,
            current_decay=2000,
        ),
        Dense(name="out", weight=codes(3, 7), weight_grid=Grid(0.01)),
        Lif(name="potential", threshold=None, bias=random.integers(-500, 500, 3), weight_shift=6),
    ]
    return Network(layers=tuple(layers), input_shape=(2, 6, 6), grids={"input": Grid(1.0, -128)}, steps=STEPS)


def inputs(n=5, seed=1):
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (n, 2, 6, 6)).astype(np.float32)


def tz(x, d):
    return np.sign(x) * ((np.abs(x) * (4096 - d)) >> 12)


def plain_run(network, x):
    """The network in (C, H, W) order, layer by layer in int64; returns final potentials and spikes by population."""
    fired = {}
    encode = network.layers[0]
    v = np.zeros(x.shape, np.int64)
    spikes = []
    for _ in range(network.steps):
        v += x.astype(np.int64) * 64
        s = v > encode.threshold
        v = np.where(s, v - encode.threshold if encode.reset == "subtract" else 0, v)
        spikes.append(s)
    fired[encode.name] = np.array(spikes)
    current = fired[encode.name]
    weighted = None
    for layer in network.layers[1:]:
        if isinstance(layer, Flatten):
            current = current.reshape(*current.shape[:2], -1)
        elif isinstance(layer, Transpose):
            current = current.transpose(0, 1, *(a + 2 for a in layer.axes))
        elif isinstance(layer, Lif):
            sums = np.array(
                [
                    weighted_sum(weighted, s.astype(np.float32), weighted.weight.astype(np.float32), exact_product)
                    for s in current
                ]
            ).astype(np.int64)
            bias = layer.bias.reshape(-1, *(1,) * (sums.ndim - 3))
            u, v = np.zeros(sums.shape[1:], np.int64), np.full(sums.shape[1:], layer.initial_voltage, np.int64)
            wait, spikes = np.zeros(sums.shape[1:], np.int64), []
            for q in sums << layer.weight_shift:
                u = tz(u, layer.current_decay + 1) + q
                held = wait > 0
                v = np.where(held, v, tz(v, layer.voltage_decay) + u + bias)
                s = ~held & (v > (layer.threshold or 1 << 40))
                wait = np.where(s, layer.refractory - 1, np.maximum(wait - 1, 0))
                v = np.where(s, v - (layer.threshold or 0) if layer.reset == "subtract" else 0, v)
                spikes.append(s)
            current = fired[weighted.name] = np.array(spikes)
        else:
            weighted = layer
    return v, fired


@pytest.mark.parametrize("reset", ["zero", "subtract"])
@pytest.mark.parametrize("groups, transposed", [(1, False), (2, False), (1, True)])
def test_whole_networks_equal_a_plain_integer_simulation(reset, groups, transposed):
    for seed in range(3):
        net, x = spiking_net(seed, groups, reset, transposed, encode_reset=reset), inputs(seed=seed)
        potentials, fired = plain_run(net, x)
        result = run(net, chips.LOIHI, x)
        np.testing.assert_array_equal(result.outputs, potentials.astype(np.float32))
        rates = {name: s.sum() / len(x) for name, s in fired.items()}
        assert result.traces["spikes per image"] == pytest.approx(rates)
        assert 0 < rates["hidden"] < 7 * STEPS


def test_counts_follow_from_the_spikes():
    net, x = spiking_net(), inputs()
    _, fired = plain_run(net, x)
    counts = run(net, chips.LOIHI, x).counts.by_layer()
    hidden = net.layer("hidden").weight
    into_hidden = fired["conv"].reshape(STEPS, len(x), -1).sum(axis=(0, 1))
    assert counts["hidden"]["synaptic_op"] == into_hidden @ np.count_nonzero(hidden, axis=0)
    assert counts["out"]["synaptic_op"] == fired["hidden"].sum(axis=(0, 1)) @ np.count_nonzero(
        net.layer("out").weight, axis=0
    )
    updates = counts["hidden"]["neuron_update_active"] + counts["hidden"]["neuron_update_inactive"]
    assert updates == 7 * (STEPS + 3) * len(x)  # steps plus depth
    assert counts["encode"]["barrier_sync"] == (STEPS + 3) * len(x)


def test_one_weight_changes_the_counts():
    net, x = spiking_net(), inputs()
    weight = net.layer("hidden").weight.copy()
    weight[0, 0] = 0
    layers = tuple(replace(a, weight=weight) if a.name == "hidden" else a for a in net.layers)
    _, fired = plain_run(net, x)
    first = fired["conv"].reshape(STEPS, len(x), -1).sum(axis=(0, 1))[0]
    before, after = (
        run(n, chips.LOIHI, x).counts.by_layer()["hidden"]["synaptic_op"] for n in (net, net.replace(layers=layers))
    )
    assert first > 0 and before - after == first


def test_subtraction_takes_two_compartments_or_is_refused():
    x = inputs()
    zero, subtract = spiking_net(), spiking_net(reset="subtract")
    plan = {site.layer: site.details["compartments"] for site in place(subtract, chips.LOIHI).sites}
    assert plan == {"encode": 72, "conv": 72, "hidden": 14, "out": 3}
    assert {s.layer: s.details["compartments"] for s in place(zero, chips.LOIHI).sites}["conv"] == 36
    counts = run(subtract, chips.LOIHI, x).counts.by_layer()["conv"]
    assert counts["neuron_update_active"] + counts["neuron_update_inactive"] == 2 * 36 * (STEPS + 3) * len(x)
    with pytest.raises(PlacementError, match="use reset='zero'"):
        place(subtract, replace(chips.LOIHI, compartments_to_subtract=None))


def test_messages_and_hops_follow_the_placement():
    """Two cores of the source on tile (0,0), targets on cores 2 and 3 of the same tile and 4, 5 of the next."""
    net, x = spiking_net(), inputs()
    tight = replace(chips.LOIHI, limits=CoreLimits(compartments=40), cores_per_tile=4, mesh=(2, 16))
    sites = place(net, tight).sites
    assert [(s.layer, s.rows) for s in sites] == [
        ("encode", (0, 40)), ("encode", (40, 72)), ("conv", (0, 36)), ("hidden", (0, 7)), ("out", (0, 3)),
    ]  # fmt: skip
    _, fired = plain_run(net, x)
    counts = run(net, tight, x).counts.by_layer()
    assert counts["conv"]["spike_within_tile"] == fired["conv"].sum()
    assert counts["conv"]["hop_east_west"] == 0
    assert counts["hidden"]["hop_east_west"] == fired["hidden"].sum()  # core 3 of tile 0 to core 4 of tile 1


@pytest.mark.parametrize(
    "limits",
    [
        CoreLimits(compartments=5),
        CoreLimits(input_axons=40),
        CoreLimits(synaptic_bits=9000),
        CoreLimits(output_axons=9),
    ],
)
def test_every_core_keeps_every_limit(limits):
    found = populations(spiking_net())
    cores = allocate(found, limits, lambda p: 1, "test")
    for population, group in zip(found, cores, strict=True):
        assert [c.first for c in group] == [0, *(c.stop for c in group[:-1])] and group[-1].stop == population.size
        for core in group:
            assert max(core.shares(limits).values()) <= 1
    assert sum(map(len, cores)) > 4
    # synapses are neither lost nor doubled
    for population, group in zip(found[1:], cores[1:], strict=True):
        assert (
            sum(c.synapses for c in group) == synapses_into(population.projections[0].weights, 0, population.size).sum()
        )


def test_memory_of_a_dense_layer_as_published():
    """784 axons of 256 8-bit synapses: 4 blocks of 576 bits each, 1.8 Mbit, more than one core."""
    weight = np.ones((256, 784), np.int8)
    layers = (
        Encode(name="e", coding="direct", code_max=255, threshold=254 * 64),
        Dense(name="fc", weight=weight, weight_grid=Grid(0.1)),
        Lif(name="lif", threshold=None),
    )
    net = Network(layers=layers, input_shape=(784,), grids={"input": Grid(1.0, -128)}, steps=4)
    found = populations(net)
    (core,) = allocate(found, CoreLimits(synaptic_bits=10**9), lambda p: 1, "test")[1]
    assert core.synaptic_bits == 784 * 4 * 576
    assert len(place(net, chips.LOIHI).sites) == 1 + 2


def test_a_network_that_does_not_fit_is_refused_with_the_remedy():
    net = spiking_net()
    with pytest.raises(PlacementError, match="needs 4 cores, the chip has 3; layer"):
        place(net, replace(chips.LOIHI, cores=3))
    with pytest.raises(PlacementError, match=r"one neuron of layer 'hidden' takes .* input axons; prune"):
        place(net, replace(chips.LOIHI, limits=CoreLimits(input_axons=20)))
    with pytest.raises(PlacementError, match="call to_spiking"):
        place(sequential([Dense(name="d", weight=np.ones((2, 2)))], input_shape=(2,)), chips.LOIHI)


@pytest.mark.parametrize(
    "fields, says",
    [
        ({"threshold": 100}, "64 times a mantissa"),
        ({"threshold": (64 << 17) - 1}, "64 times a mantissa"),
        ({"bias": [4095 * 128 + 128] * 4}, "bias 524288 is not"),
        ({"bias": [0, 0, 4096 + 1, 0]}, "bias 4097 is not"),
        ({"weight_shift": 15}, "wgtExp 8"),
    ],
)
def test_registers_are_checked(fields, says):
    net = spiking_net()
    layers = tuple(replace(a, **fields) if a.name == "lif1" else a for a in net.layers)
    with pytest.raises(PlacementError, match=says):
        place(net.replace(layers=layers), chips.LOIHI)


def test_pruning_saves_energy_and_memory():
    random = np.random.default_rng(0)
    net = sequential(
        [
            Dense(name="a", weight=random.normal(0.05, 0.1, (64, 40))),
            relu(name="r"),
            Dense(name="b", weight=random.normal(0, 0.1, (4, 64))),
        ],
        input_shape=(40,),
    )
    from neuroemu import prune

    x = random.integers(0, 255, (10, 40)).astype(np.float32)
    full, half = (to_spiking(n, steps=16, samples=x) for n in (net, prune(net, density=0.3)))
    assert (
        run(half, chips.LOIHI, x).energy.by_part()["synapse"]
        < 0.6 * run(full, chips.LOIHI, x).energy.by_part()["synapse"]
    )


@pytest.mark.parametrize(
    "limits, placer",
    [
        (CoreLimits(), RowByRow()),
        (CoreLimits(compartments=5), RowByRow()),
        (CoreLimits(compartments=40), RowByRow(pack=True)),
        (CoreLimits(compartments=20), FewestHops(moves=200, pack=True)),
    ],
)
def test_time_is_that_of_the_longest_core_in_each_step(limits, placer):
    """The step model, written out for each image, step and core."""
    net, x = spiking_net(), inputs(3)
    chip = replace(chips.LOIHI, limits=limits, placer=placer)
    sites, times = place(net, chip).sites, chip.step_times
    _, fired = plain_run(net, x)
    order = ["encode", "conv", "hidden", "out"]
    found = populations(net)
    result = run(net, chip, x)
    counts = result.counts.by_layer()
    spikes = {}  # (T, B, N) in the order of the neurons, channel last
    for name in order[:3]:
        s = fired[name]
        spikes[name] = s.transpose(0, 1, 3, 4, 2).reshape(STEPS, len(x), -1) if s.ndim == 5 else s
    seconds = 0.0
    for b in range(len(x)):
        for step in range(STEPS + 3):
            spent = dict.fromkeys({site.unit for site in sites}, 0.0)
            for site in sites:
                layer = order.index(site.layer)
                local, n = step - layer, site.rows[1] - site.rows[0]
                if not 0 <= local < STEPS:
                    spent[site.unit] += n * times.neuron_update_inactive
                    continue
                active = counts[site.layer]["neuron_update_active"] / (len(x) * STEPS * found[layer].size)
                spent[site.unit] += n * (
                    active * times.neuron_update_active + (1 - active) * times.neuron_update_inactive
                )
                if layer:
                    synapses = synapses_into(found[layer].projections[0].weights, *site.rows)
                    before = spikes[order[layer - 1]][local, b, : len(synapses)]
                    spent[site.unit] += (before * synapses).sum() * times.synaptic_op
            seconds += max(spent.values())
    tiles = len({site.unit // 4 for site in sites})
    barrier = times.barrier_one_tile + (times.barrier_all_tiles - times.barrier_one_tile) * (tiles - 1) / 31
    expected = seconds / len(x) + (STEPS + 3) * barrier
    assert result.latency_per_inference == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "change, says",
    [
        ({"mesh": (0, 4)}, "mesh is 0"),
        ({"mesh": None}, "width, height"),
        ({"mesh": (1, 1)}, "cores is 128; allowed: 1 to 4"),
        ({"compartments_to_subtract": 0}, "compartments_to_subtract"),
    ],
)
def test_chips_are_checked(change, says):
    with pytest.raises(InputError, match=says):
        replace(chips.LOIHI, **change)


@pytest.mark.parametrize(
    "fields, error",
    [
        ({"reset": "hard"}, InputError),
        ({"threshold": 64 << 17}, InputError),
        ({"current_decay": 9000}, InputError),
        ({"voltage_decay": -5}, InputError),
        ({"refractory": 0}, InputError),
        ({"scale": np.nan}, InputError),
        ({"bias": 1.7}, InputError),
        ({"bias": np.nan}, InputError),
        ({"initial_voltage": 2**40}, InputError),
        ({"weight_shift": "7"}, ArgumentTypeError),
    ],
)
def test_neurons_are_checked(fields, error):
    with pytest.raises(error):
        Lif(**({"name": "lif", "threshold": 64} | fields))


@pytest.mark.parametrize("fields", [{"coding": "rate"}, {"code_max": -3}, {"reset": "foo"}, {"threshold": 0}])
def test_encoders_are_checked(fields):
    with pytest.raises(InputError):
        Encode(**({"name": "e", "coding": "direct", "code_max": 255, "threshold": 64} | fields))


@pytest.mark.parametrize("steps", [0, 1, 255, 256, 600])
def test_spikes_are_counted_by_neuron_over_any_number_of_steps(steps):
    spikes = (np.random.default_rng(steps).random((3, steps, 5)) < 0.7).astype(np.uint8)
    spikes[:, :, 0] = 1
    found = _by_neuron(spikes)
    assert found.dtype == np.int64 and found.tolist() == spikes.sum(axis=(0, 1), dtype=np.int64).tolist()
