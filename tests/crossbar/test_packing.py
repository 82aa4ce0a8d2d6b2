"""Packing: exact on tiles of any shape and in any row order, groups on the diagonal, counts by hand, what it gains."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroemu import chips, place, quantize, run, run_integer
from neuroemu.crossbar import (
    Adc,
    Averaged,
    BalancedRows,
    BitSliced,
    ColumnAffine,
    ColumnGain,
    CrossbarChip,
    DifferentialPair,
    ExplicitRows,
    GivenRows,
    HeavyRows,
    IdealAdc,
    IdealDac,
    MinMaxRange,
    NoCompensation,
    OffsetColumn,
    ReferenceColumns,
    Significance,
)
from neuroemu.crossbar.building import build_engine
from neuroemu.crossbar.mapping import drive_rows, matrix_of, tiles_of
from neuroemu.devices import HermesPcm, Ideal
from neuroemu.network import Conv2d, Dense, Flatten, relu, sequential

MAPPINGS = [
    DifferentialPair(),
    DifferentialPair(sided="two", scaling="column"),
    OffsetColumn(),
    BitSliced(3),
    Significance((1, 8)),
    Significance((1, 2), correct=True),
    Averaged(2, OffsetColumn(scaling="column")),
]
ORDERS = [GivenRows(), BalancedRows(), HeavyRows()]
each_mapping = pytest.mark.parametrize("mapping", MAPPINGS, ids=str)


def chip(**fields):
    given = {"name": "test", "costs": chips.HERMES.costs, "read_event": "core_read_1phase", "device": Ideal()}
    return CrossbarChip(**(given | {"dac": IdealDac(), "adc": IdealAdc()} | fields))


def conv_net(channels=4, outputs=8, groups=1, size=6, kernel=3, seed=0):
    """A convolution and a head."""
    random = np.random.default_rng(seed)
    weight = random.normal(0, 0.4, (outputs, channels // groups, kernel, kernel))
    side = size - kernel + 1
    net = sequential(
        [
            Conv2d(name="conv", weight=weight, groups=groups),
            relu(name="relu"),
            Flatten(name="flat"),
            Dense(name="fc", weight=random.normal(0, 0.2, (5, outputs * side * side))),
        ],
        input_shape=(channels, size, size),
    )
    return quantize(net, samples=random.uniform(0, 1, (16, channels, size, size)))


def driven(net, x):
    """Inputs of the convolution that are not zero, counted for each row of its matrix."""
    grid = net.grids["input"]
    drive = grid.encode(x).astype(np.float32) - np.float32(grid.zero_point)
    rows = drive_rows(net.layer("conv"), drive)
    return np.count_nonzero(rows.reshape(-1, rows.shape[-1]), axis=0)


def sites_of(net, machine, name="conv"):
    return [site for site in place(net, machine).sites if site.layer == name]


@each_mapping
@settings(max_examples=15, deadline=None)
@given(
    st.sampled_from([(1, 2), (3, 5), (4096, 4096), (7, 4), (20, 11), (37, 1024)]),
    st.sampled_from([1, 2, 4]),
    st.sampled_from(ORDERS),
    st.integers(0, 20),
)
def test_exact_on_tiles_of_any_shape(mapping, shape, groups, order, seed):
    """With every row order; each weight is on one tile for each slice, and tiles keep to the array."""
    net = conv_net(groups=groups, seed=seed)
    x = np.random.default_rng(seed).uniform(0, 1, (3, 4, 6, 6)).astype(np.float32)
    machine = chip(rows=shape[0], columns=shape[1], mapping=mapping, row_order=order)
    np.testing.assert_array_equal(run(net, machine, x, threads=1).outputs, run_integer(net, x))
    for site in place(net, machine).sites:
        assert 0 < np.diff(site.rows) <= shape[0] and 0 < np.diff(site.columns) <= shape[1]
    layout = machine.layout(net.layer("conv"))
    held = sum(site.details["nonzero weights"] for site in sites_of(net, machine))
    assert held == np.count_nonzero(layout.holds)
    inputs = np.arange(36) if layout.order is None else layout.order
    assert sorted(inputs[inputs >= 0]) == list(range(36))
    assert all((inputs[tile.rows] >= 0).all() for tile in tiles_of(layout))


def test_arrays_of_one_crossing():
    net, x = conv_net(), np.random.default_rng(0).uniform(0, 1, (2, 4, 6, 6)).astype(np.float32)
    small = chip(rows=1, columns=1)
    np.testing.assert_array_equal(run(net, small, x).outputs, run_integer(net, x))
    assert len(sites_of(net, small)) == np.count_nonzero(net.layer("conv").weight)


def test_a_depthwise_layer_before_and_after():
    """64 channels of 3x3 on 256x256: 22, 22 and 20 whole channels a tile instead of 192 rows of all 64 columns."""
    net, x = conv_net(64, 64, groups=64, size=5), np.random.default_rng(1).uniform(0, 1, (2, 64, 5, 5))
    x = x.astype(np.float32)
    packed = chip(adc=Adc())
    plain = replace(packed, row_order=ExplicitRows({"conv": range(576)}))  # rows as listed: groups are not packed
    before, after = sites_of(net, plain), sites_of(net, packed)
    assert [(s.rows, s.columns) for s in before] == [((0, 192), (0, 64)), ((192, 384), (0, 64)), ((384, 576), (0, 64))]
    assert [(s.rows, s.columns) for s in after] == [((0, 198), (0, 22)), ((198, 396), (22, 44)), ((396, 576), (44, 64))]
    per_crossing = [sum(s.details["nonzero weights"] for s in sites) / 65536 for sites in (before, after)]
    assert per_crossing[0] == per_crossing[1]
    assert before[0].utilisation == 192 * 64 / 65536 and after[0].utilisation == 198 * 22 / 65536
    conversions, additions = [], []
    positions = 2 * 9
    for machine in (plain, packed):
        result = run(net, machine, x)
        np.testing.assert_array_equal(run(net, replace(machine, adc=IdealAdc()), x).outputs, run_integer(net, x))
        counts = result.counts.by_layer()["conv"]
        assert counts["core_read_1phase"] == positions * 3
        assert counts["dac_drive"] == driven(net, x).sum()
        conversions.append(counts["adc_conversion"])
        additions.append(counts.get("digital_accumulate", 0))
    assert conversions == [positions * 192, positions * 64]
    assert additions == [positions * 128, 0]


BY_HAND = {
    "one group fills a tile": (2, (18, 8), [((0, 18), (0, 4)), ((18, 36), (4, 8))]),
    "two of four fit the rows": (4, (20, 8), [((0, 18), (0, 4)), ((18, 36), (4, 8))]),
    "two of four fit the columns": (4, (35, 5), [((0, 18), (0, 4)), ((18, 36), (4, 8))]),
    "all fit": (4, (36, 8), [((0, 36), (0, 8))]),
    "no group fits the columns": (
        2,
        (18, 3),
        [((18 * g, 18 * g + 18), (4 * g + c, 4 * g + c + 2)) for g in (0, 1) for c in (0, 2)],
    ),
    "groups of 9 rows in 5 and 4": (
        4,
        (8, 8),
        [((10 * g + r, 10 * g + r + n), (2 * g, 2 * g + 2)) for g in range(4) for r, n in ((0, 5), (5, 4))],
    ),
    "rectangles convert no more and need fewer tiles": (
        2,
        (256, 3),
        [((0, 36), (c, min(c + 3, 8))) for c in (0, 3, 6)],
    ),
}


@pytest.mark.parametrize("groups, shape, spans", BY_HAND.values(), ids=BY_HAND)
def test_groups_by_hand(groups, shape, spans):
    """36 x 8 weights on arrays of that shape; a row of padding is numbered, but neither built nor driven."""
    net, x = conv_net(groups=groups), np.random.default_rng(0).uniform(0, 1, (6, 4, 6, 6)).astype(np.float32)
    machine = chip(rows=shape[0], columns=shape[1], adc=Adc())
    sites = sites_of(net, machine)
    assert sorted((s.rows, s.columns) for s in sites) == spans
    assert [s.utilisation * np.prod(shape) for s in sites] == [np.diff(s.rows) * np.diff(s.columns) for s in sites]
    counts = run(net, machine, x).counts.by_layer()["conv"]
    converted = sum(last - first for _, (first, last) in spans)
    assert counts["core_read_1phase"] == 6 * 16 * len(spans)
    assert counts["adc_conversion"] == 6 * 16 * converted
    assert counts.get("digital_accumulate", 0) == 6 * 16 * (converted - 8)
    copies = len(spans) // len({rows for rows, _ in spans})  # tiles that share their rows
    assert counts["dac_drive"] == driven(net, x).sum() * copies


@pytest.mark.parametrize("groups, shape, spans", BY_HAND.values(), ids=BY_HAND)
def test_an_offset_adds_up_the_rows_that_are_there(groups, shape, spans):
    """The digital side adds 36 drive steps and subtracts from 8 outputs, padding or not."""
    net, x = conv_net(groups=groups), np.random.default_rng(0).uniform(0, 1, (6, 4, 6, 6)).astype(np.float32)
    pairs, offset = (
        run(net, chip(rows=shape[0], columns=shape[1], mapping=mapping), x).counts.by_layer()["conv"]
        for mapping in (DifferentialPair(), OffsetColumn("digital"))
    )
    assert offset["digital_accumulate"] - pairs.get("digital_accumulate", 0) == 6 * 16 * (36 - 1 + 8)


def test_slices_of_a_group_lie_on_its_tile():
    """Depthwise in 2-bit cells: 22 channels of 4 slices are 88 columns of one tile, so nothing is converted twice."""
    net = conv_net(64, 64, groups=64, size=4)
    sites = sites_of(net, chip(mapping=BitSliced(2)))
    assert [s.columns for s in sites] == [(0, 88), (88, 176), (176, 256)] and sites[0].details["slices"] == "0-3"
    narrow = sites_of(net, chip(columns=32, mapping=BitSliced(2)))
    assert {np.diff(s.columns)[0] for s in narrow} == {32} and len(narrow) == 8


@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_noise_and_compensation_follow_the_order(order):
    """The same cells in another place: errors of programming and drift are as large, and compensation repairs them."""
    net = conv_net(groups=2)
    x = np.random.default_rng(0).uniform(0, 1, (40, 4, 6, 6)).astype(np.float32)
    exact = run_integer(net, x)
    aged = {"device": HermesPcm(), "seconds": 1e5, "rows": 10, "row_order": order}
    before, after = (
        (run(net, chip(compensation=mode, adc=Adc(bits=12), **aged), x, trials=2).trial_outputs - exact).std()
        for mode in (NoCompensation(), ColumnAffine())
    )
    assert after < 0.7 * before
    sample = chip(adc=Adc(bits=16, range=MinMaxRange()), row_order=order, rows=10)
    result = run(net, sample, net.samples)
    assert result.counts.by_layer()["conv"].get("adc_clip", 0) == 0
    assert np.abs(result.outputs - run_integer(net, net.samples)).max() <= 1.01 * net.grids["fc"].scale


def test_same_bits_for_any_threads_and_batches():
    net = conv_net(groups=4)
    x = np.random.default_rng(0).uniform(0, 1, (40, 4, 6, 6)).astype(np.float32)
    noisy = chip(
        rows=8, columns=24, device=HermesPcm(), seconds=3600.0, mapping=Significance((1, 4), correct=True),
        compensation=ColumnGain(), adc=Adc(bits=8, noise=0.3, offset_spread=1.0), row_order=BalancedRows(),
    )  # fmt: skip
    whole = run(net, noisy, x, seed=2, threads=1).outputs
    np.testing.assert_array_equal(whole, run(net, noisy, x, seed=2, threads=2).outputs)
    np.testing.assert_array_equal(whole[:15], run(net, noisy, x[:15], seed=2).outputs)


def test_padding_is_read_as_nothing():
    """The engine takes the layer's inputs and drives padding rows with zero, whatever the last input is."""
    net = conv_net(groups=4)
    machine = chip(rows=8, columns=8)
    engine = build_engine(machine, net, net.layers[0], index=0, sampled=None, seed=0, trial=0, threads=1)
    assert (engine.layout.order < 0).sum() == 3  # after each group but the last
    rows = engine.read(np.eye(36, dtype=np.float32)[:, None] * 3, 0)[:, 0]
    np.testing.assert_array_equal(rows, 3 * matrix_of(net.layers[0]))


def test_groups_leave_room_for_reference_columns():
    """22 channels would fit 22 columns; one is a reference, so 64 channels take 4 tiles of 16."""
    net = conv_net(64, 64, groups=64, size=4)
    machine = chip(columns=22, compensation=ReferenceColumns())
    assert [s.columns for s in sites_of(net, machine)] == [(0, 16), (16, 32), (32, 48), (48, 64)]
    assert len(sites_of(net, replace(machine, compensation=NoCompensation()))) == 3
