"""Placement on cores: shared kernels beside nengo-loihi's figures and a plain count, the other limits."""

import json
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroemu import chips, place, plot, run, to_spiking
from neuroemu.errors import ArgumentTypeError, PlacementError
from neuroemu.network import Conv2d, Dense, Flatten, relu, sequential
from neuroemu.spiking import (
    Compartments,
    Dendrite,
    FewestHops,
    InputAxons,
    Links,
    LoihiProgram,
    RowByRow,
    Synapses,
    board,
    place_program,
    program_of,
    spike_counts,
)
from neuroemu.spiking.cores import CoreLimits, allocate, packed, projected, shares
from neuroemu.spiking.memory import MOST_BASE
from neuroemu.spiking.placers import Floor
from neuroemu.spiking.placing import spans_of
from neuroemu.spiking.populations import Projection, block_rows, neuron_numbers, populations
from neuroemu.spiking.traffic import messages

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "nengo_loihi_conv.json").read_text())


def padding_of(shape, kernel, stride, padding):
    """(before, after) of each axis; "same" as nengo's convolutions have it, the smaller half first."""
    if padding == "valid":
        return ((0, 0), (0, 0))
    sides = []
    for size, k, s in zip(shape, kernel, stride, strict=False):
        whole = max((-(-size // s) - 1) * s + k - size, 0)
        sides.append((whole // 2, whole - whole // 2))
    return tuple(sides)


def convolution(shape, filters, kernel, stride, padding, weight=None):
    """The projection of a convolution and the number of its targets."""
    high, wide, channels = shape
    if weight is None:
        weight = np.ones((filters, channels, *kernel), np.int8)
    layer = Conv2d(name="conv", weight=weight, stride=tuple(stride), padding=padding)
    out = (filters, *(
        (n + sum(side) - k) // s + 1 for n, side, k, s in zip(shape, padding, kernel, stride, strict=False)
    ))  # fmt: skip
    rows = block_rows(layer, neuron_numbers((channels, high, wide)), out)
    return Projection("conv", 0, rows), int(np.prod(out))


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: str(case["input"]))
def test_shared_memory_and_axons_are_those_of_nengo_loihi(case):
    """Its rule for each channel: here an axon is one neuron, there one position. With one channel they are the same."""
    sides = padding_of(case["input"], case["kernel"], case["stride"], case["padding"])
    conv, size = convolution(case["input"], case["filters"], case["kernel"], case["stride"], sides)
    channels = case["input"][2]
    for part in ({"first": 0, "stop": size, **case["whole"]}, *case["parts"]):
        limits = CoreLimits(shared_kernels=True, index_bits=part["index_bits"], weight_bits=part["weight_bits"])
        axons, _, bits = projected(conv, part["first"], part["stop"], limits)
        assert axons == channels * part["axons"]
        assert bits == part["bits_by_channel"]
        if channels == 1:
            assert bits == part["bits"]


def plain_bits(projection, first, stop, limits):
    """The lists of synapses written out, one by one."""
    rows, lists = projection.weights, set()
    for source in range(len(rows.indptr) - 1):
        found = []
        edges = range(rows.indptr[source], rows.indptr[source + 1])
        for edge in edges:
            for column in range(rows.length):
                target = int(rows.target[edge]) + column
                if first <= target < stop:
                    found.append((target - first, int(rows.row[edge]), column, int(rows.table[rows.row[edge], column])))
        if any(weight for *_, weight in found):
            base = min(target for target, *_ in found)
            near = tuple((target - base, row, column, weight) for target, row, column, weight in found)
            lists.add((near, base // MOST_BASE))
    total = 0
    for near, _ in lists:
        n = sum(weight != 0 for *_, weight in near)
        each = limits.weight_bits + (0 if n == stop - first else limits.index_bits)
        total += sum(-(-(min(64, n - done) * each + 10) // 64) * 64 for done in range(0, n, 64))
    return total


@settings(max_examples=40, deadline=None)
@given(
    high=st.integers(3, 7), wide=st.integers(3, 7), channels=st.integers(1, 2), filters=st.integers(1, 12),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)), stride=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    pad=st.integers(0, 1), span=st.tuples(st.floats(0, 1), st.floats(0, 1)), seed=st.integers(0, 9),
)  # fmt: skip
def test_shared_memory_is_that_of_the_distinct_lists(high, wide, channels, filters, kernel, stride, pad, span, seed):
    weight = np.random.default_rng(seed).integers(-1, 2, (filters, channels, *kernel)).astype(np.int8)
    conv, size = convolution((high, wide, channels), filters, kernel, stride, ((pad, pad), (pad, pad)), weight)
    first, stop = sorted(int(share * size) for share in span)
    stop = max(stop, first + 1) if first < size else size
    first = min(first, stop - 1)
    shared, plain = CoreLimits(shared_kernels=True), CoreLimits()
    axons, synapses, bits = projected(conv, first, stop, shared)
    assert bits == plain_bits(conv, first, stop, shared)
    assert (axons, synapses) == projected(conv, first, stop, plain)[:2]
    assert bits <= projected(conv, first, stop, plain)[2]


# -- programs, tables and delays ------------------------------------------------------------------------------------


def image_network(**settings):
    """A small convolutional network made spiking."""
    random = np.random.default_rng(3)
    layers = [
        Conv2d(name="conv", weight=random.normal(0.05, 0.3, (4, 2, 3, 3)), padding=1),
        relu(name="relu"),
        Conv2d(name="second", weight=random.normal(0.05, 0.3, (6, 4, 3, 3))),
        relu(name="relu2"),
        Flatten(name="flat"),
        Dense(name="dense", weight=random.normal(0, 0.3, (5, 96))),
    ]
    x = random.integers(0, 255, (12, 2, 6, 6)).astype(np.float32)
    return to_spiking(sequential(layers, input_shape=(2, 6, 6)), steps=12, samples=x, **settings), x


@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_a_compiled_program_is_placed_as_its_network(reset):
    net, _ = image_network(reset=reset)
    chip = replace(chips.LOIHI, limits=CoreLimits(shared_kernels=True, compartments=50, synaptic_bits=30_000))
    ours, theirs = place(net, chip), place_program(program_of(net), chip)
    assert len(ours.sites) > 8
    for a, b in zip(ours.sites, theirs.sites, strict=True):
        assert (a.layer, a.unit, a.rows, a.columns, a.utilisation) == (
            b.layer,
            b.unit,
            b.rows,
            b.columns,
            b.utilisation,
        )
        assert {**a.details, "scarcest": 0} == {**b.details, "scarcest": 0}
    assert theirs.table().splitlines()[0] == ours.table().splitlines()[0]


def plain(n, **registers):
    return Compartments(name="a", n=n, threshold_mantissa=registers.pop("threshold", 100), **registers)


@pytest.mark.parametrize(
    "part, pieces",
    [
        (plain(100, threshold=np.arange(100)), [16] * 6 + [4]),
        (plain(100, threshold=np.arange(100) // 20), [100]),
        (plain(100, current_decay=np.arange(100)), [32] * 3 + [4]),
        (plain(100, refractory=1 + np.arange(100) % 40, voltage_decay=np.arange(100) % 2), [32] * 3 + [4]),
        (plain(1500), [1024, 476]),
    ],
)
def test_tables_of_a_core_bound_its_compartments(part, pieces):
    sites = place_program(LoihiProgram(compartments=(part,)), chips.LOIHI).sites
    assert [site.rows[1] - site.rows[0] for site in sites] == pieces


@pytest.mark.parametrize("delay, most", [(0, 1024), (8, 1024), (16, 512), (62, 132)])
def test_longer_delays_leave_room_for_fewer_compartments(delay, most):
    program = LoihiProgram(
        compartments=(plain(1100),), inputs=(InputAxons(name="in", n=1),),
        synapses=(Synapses(source="in", target="a", mantissa=np.full((1, 1100), 2), delay=delay),),
    )  # fmt: skip
    assert place_program(program, chips.LOIHI).sites[0].rows == (0, most)


def test_too_many_formats_are_refused_with_the_remedy():
    parts = [
        Synapses(source="in", target="a", mantissa=np.full((1, 1), 128), exponent=e, bits=b) for e in range(-1, 8)
        for b in (6, 8)
    ]  # fmt: skip
    program = LoihiProgram(compartments=(plain(1),), inputs=(InputAxons(name="in", n=1),), synapses=tuple(parts))
    with pytest.raises(
        PlacementError, match=r"'a' takes 1\.1 times a core's synapse formats; give its synapses the same"
    ):
        place_program(program, chips.LOIHI)
    fewer = replace(program, synapses=tuple(parts[:16]))
    assert len(place_program(fewer, chips.LOIHI).sites) == 1


def test_a_tree_stays_on_the_core_of_its_soma():
    parts = (
        Compartments(name="leaf", n=30, threshold_mantissa=9, dendrite=Dendrite(of="stem")),
        Compartments(name="stem", n=30, threshold_mantissa=9, dendrite=Dendrite(of="soma")),
        Compartments(name="soma", n=30, threshold_mantissa=9),
    )
    weights = np.full((30, 30), 2)
    synapses = tuple(Synapses(source="soma", target=name, mantissa=weights) for name in ("leaf", "stem"))
    chip = replace(chips.LOIHI, limits=CoreLimits(compartments=32))
    sites = place_program(LoihiProgram(compartments=parts, synapses=synapses), chip).sites
    assert [(s.layer, s.rows, s.details["compartments"]) for s in sites] == [
        ("soma", (0, 10), 30), ("soma", (10, 20), 30), ("soma", (20, 30), 30),
    ]  # fmt: skip
    assert {s.details["input axons"] for s in sites} == {60}
    assert {s.details["output axons"] for s in sites} == {10 * 2 * 3}


def test_populations_that_reach_back_keep_their_output_axons():
    random = np.random.default_rng(5)
    near = np.abs(np.arange(90)[:, None] - np.arange(90)) < 9
    program = LoihiProgram(
        compartments=(plain(90), Compartments(name="b", n=40, threshold_mantissa=9)),
        synapses=(
            Synapses(source="a", target="a", mantissa=np.where(near, 2, 0)),
            Synapses(source="a", target="b", mantissa=2 * random.integers(0, 2, (90, 40))),
            Synapses(source="b", target="a", mantissa=2 * random.integers(0, 2, (40, 90))),
        ),
    )
    chip = replace(chips.LOIHI, limits=CoreLimits(compartments=30, output_axons=70))
    placed = place_program(program, chip)
    sent = messages(placed.groups, spans_of(placed.groups, placed.sites), chip.cores, None)
    for site in placed.sites:
        assert sent[site.unit].sum() == site.details["output axons"] <= 70
    assert len(placed.sites) > 5


# -- placers and links ----------------------------------------------------------------------------------------------


SMALL = CoreLimits(compartments=30, shared_kernels=True)


@pytest.mark.parametrize("pack", [False, True])
def test_fewer_hops_and_the_same_outputs(pack):
    net, x = image_network()
    counts = spike_counts(net, chips.LOIHI, x)
    rows = replace(chips.LOIHI, limits=SMALL, cores_per_tile=2, mesh=(4, 16))
    near = replace(rows, placer=FewestHops(spikes=counts, moves=2000, pack=pack, north_south=1.0))
    a, b = run(net, rows, x), run(net, near, x)
    np.testing.assert_array_equal(a.outputs, b.outputs)
    hops = [r.counts.total("hop_east_west") + r.counts.total("hop_north_south") for r in (a, b)]
    assert hops[1] < 0.8 * hops[0]
    assert a.energy.by_part()["network"] > b.energy.by_part()["network"]
    assert (b.n_units < a.n_units) == pack
    assert [s.unit for s in place(net, near).sites] == [s.unit for s in place(net, near).sites]


def test_links_carry_the_hops_that_a_run_counts():
    net, x = image_network()
    chip = replace(chips.LOIHI, limits=SMALL, cores_per_tile=2, cores=96, mesh=(3, 16), placer=FewestHops(moves=50))
    placement = place(net, chip)
    links = chip.links(net, placement.sites, spike_counts(net, chip, x))
    counts = placement.run(x).counts
    assert links.messages == counts.total("spike_within_tile")
    assert links.hops["east"] + links.hops["west"] == counts.total("hop_east_west") > 0
    assert links.hops["south"] + links.hops["north"] == counts.total("hop_north_south") > 0
    assert links.busiest <= links.messages


def test_a_message_goes_east_first_and_then_south():
    sent = np.zeros((2, 2))
    sent[0, 1], sent[1, 0] = 5, 3
    links = Links.of(sent, np.array([[0, 1], [2, 2]]), (3, 4))
    assert links.east[1].tolist() == [5, 5] and links.south[1].tolist() == [0, 0, 5]
    assert links.west[2].tolist() == [3, 3] and links.north[1].tolist() == [3, 0, 0]
    assert links.hops == {"east": 10, "west": 6, "south": 5, "north": 3}


def test_annealing_finds_the_best_of_all_places():
    """Six cores on six tiles, all 720 ways."""
    random = np.random.default_rng(8)
    sent = random.integers(0, 100, (6, 6)) * (random.random((6, 6)) < 0.5)
    floor = Floor(6, 1, (3, 2))

    def hops(units):
        position = floor.positions(units)
        return sum(n * np.abs(position[a] - position[b]).sum() for (a, b), n in np.ndenumerate(sent))

    best = min(hops(order) for order in permutations(range(6)))
    found = FewestHops(moves=3000, north_south=1.0).units(6, lambda spikes: sent, floor)
    assert sorted(found.tolist()) == list(range(6))
    assert hops(found) == best < hops(range(6))


@pytest.mark.parametrize("limits", [SMALL, CoreLimits(synaptic_bits=9000), CoreLimits(compartments=100)])
def test_even_pieces_take_no_more_cores_and_less_time(limits):
    net, x = image_network()
    rows = replace(chips.LOIHI, limits=limits)
    even = replace(rows, placer=RowByRow(even=True))
    a, b = place(net, rows), place(net, even)
    assert len(a.sites) == len(b.sites) and all(site.utilisation <= 1 for site in b.sites)
    evened = 0
    for name in {site.layer for site in a.sites}:
        full, same = ([s.rows[1] - s.rows[0] for s in p.sites if s.layer == name] for p in (a, b))
        assert sum(full) == sum(same)
        assert same == full or max(same) - min(same) <= 1
        evened += same != full
    assert evened
    first, second = a.run(x), b.run(x)
    np.testing.assert_array_equal(first.outputs, second.outputs)
    assert second.latency_per_inference <= first.latency_per_inference


def test_packed_cores_keep_every_limit():
    net, _ = image_network()
    found = populations(net)
    cores = [core for group in allocate(found, SMALL, lambda p: 1, "test") for core in group]
    numbers = packed(cores, SMALL)
    assert max(numbers) + 1 < len(cores)
    for number in set(numbers):
        together = [core for core, other in zip(cores, numbers, strict=True) if other == number]
        assert max(shares(together, SMALL).values()) <= 1


# -- boards ---------------------------------------------------------------------------------------------------------


def test_a_board_holds_what_a_chip_cannot():
    net, x = image_network()
    small = replace(chips.LOIHI, limits=SMALL, cores=4, cores_per_tile=2, mesh=(2, 1))
    with pytest.raises(PlacementError, match="cores, the chip has 4; layer 'conv' takes"):
        place(net, small)
    with pytest.raises(PlacementError, match="cores, the board has 8; layer"):
        board(net, small, chips=2)
    spikes = spike_counts(net, small, x)
    found = board(net, small, chips=9, columns=3, spikes=spikes)
    assert (found.cores, found.chips) == (len(found.sites), -(-len(found.sites) // 4))
    # the same cores as one chip whose mesh is the joined one: every message and hop is there
    wide = replace(small, cores=36, mesh=(6, 3))
    assert found.links.messages == wide.links(net, place(net, wide).sites, spikes).messages
    assert found.hops_within_chips + found.hops_between_chips == sum(found.links.hops.values())
    # a chip has one link inside, so what stays within a chip is what crosses it
    inside = found.links.east[:, ::2].sum() + found.links.west[:, ::2].sum()
    assert found.hops_within_chips == inside > 0 and found.hops_between_chips > 0
    assert 0 < found.links_between_chips <= 2 * (2 * 3 + 2 * 6)
    nearer = replace(small, placer=FewestHops(spikes=spikes, moves=1000, north_south=1.0))
    assert sum(board(net, nearer, chips=9, columns=3, spikes=spikes).links.hops.values()) < sum(
        found.links.hops.values()
    )


def test_a_program_that_fills_pohoiki_springs():
    """768 chips of 128 cores of 1,024 compartments: 100,663,296, and not one more."""
    limits = CoreLimits(compartments=1, delay_memory=8)
    chip = replace(chips.LOIHI, limits=limits, cores=4, cores_per_tile=4, mesh=(1, 1))
    full = board(LoihiProgram(compartments=(plain(768 * 4),)), chip)
    assert (full.chips, full.cores, full.links.messages) == (768, 3072, 0)
    with pytest.raises(PlacementError, match="needs 3073 cores, the board has 3072"):
        board(LoihiProgram(compartments=(plain(768 * 4 + 1),)), chip)


def test_floor_plan_draws_cores_pieces_and_links():
    net, x = image_network()
    chip = replace(chips.LOIHI, limits=SMALL, cores=64, cores_per_tile=2, placer=RowByRow(pack=True))
    placement, spikes = place(net, chip), spike_counts(net, chip, x)
    axes = plot.floor_plan(placement, spikes=spikes).axes[0]
    colours = {patch.get_facecolor() for patch in axes.patches if patch.get_fill()}
    assert len(colours) == 1 + len({site.layer for site in placement.sites})
    links = chip.links(net, placement.sites, spikes)
    (lines,) = axes.collections
    tables = [links.east, links.west, links.south, links.north]
    assert sorted(lines.get_array()) == sorted(n for table in tables for n in table[table > 0].tolist())
    assert f"{links.hops['east']:,.0f} east" in axes.get_title()
    small = replace(chip, cores=4, mesh=(2, 1))
    plot.floor_plan(board(net, small, chips=16))
    plot.floor_plan(place_program(program_of(net), chip))
    with pytest.raises(ArgumentTypeError, match="got int; give a Placement on a SpikingChip"):
        plot.floor_plan(3)


def test_pieces_stay_as_they_are_where_even_ones_do_not_fit():
    """The last 10 of 40 compartments have 64 inputs each, the others one; a core holds the axons of 6."""
    weights = np.zeros((640, 40), int)
    weights[np.arange(30), np.arange(30)] = 2
    weights[np.arange(640), np.repeat(np.arange(30, 40), 64)] = 2
    program = LoihiProgram(
        compartments=(plain(40),), inputs=(InputAxons(name="in", n=640),),
        synapses=(Synapses(source="in", target="a", mantissa=weights),),
    )  # fmt: skip
    limits = CoreLimits(input_axons=6 * 64)
    for even in (False, True):
        sites = place_program(program, replace(chips.LOIHI, limits=limits, placer=RowByRow(even=even))).sites
        assert [site.rows for site in sites] == [(0, 36), (36, 40)]


def test_chips_of_a_board_lie_row_by_row():
    """Five chips of 2 x 1 tiles of 2 cores, three side by side."""
    floor = Floor(4, 2, (2, 1), chips=5, columns=3)
    assert floor.joined_mesh == (6, 2) and floor.all_cores == 20
    assert floor.positions([0, 1, 2, 3, 4, 8, 11, 12, 18]).tolist() == [
        [0, 0], [0, 0], [1, 0], [1, 0], [2, 0], [4, 0], [5, 0], [0, 1], [3, 1],
    ]  # fmt: skip
