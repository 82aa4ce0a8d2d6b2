"""Row orders: what each rule does to tiles, that results do not depend on it, and that cells remember it."""

from dataclasses import replace

import numpy as np
import pytest

from neuroemu import Rows, Weights, chips, place, prune, quantize, run, run_integer
from neuroemu.crossbar import (
    Adc,
    BalancedRows,
    BitSliced,
    CrossbarChip,
    ExplicitRows,
    GivenRows,
    HeavyRows,
    IdealAdc,
    IdealDac,
    MinMaxRange,
    OccupiedRows,
    OffsetColumn,
    program,
)
from neuroemu.crossbar.mapping import matrix_of, tiles_of
from neuroemu.devices import HermesPcm, Ideal
from neuroemu.errors import ArgumentTypeError, InputError
from neuroemu.network import Conv2d, Dense, Flatten, sequential


def chip(**fields):
    given = {"name": "test", "costs": chips.HERMES.costs, "read_event": "core_read_1phase", "device": Ideal()}
    return CrossbarChip(**(given | {"dac": IdealDac(), "adc": IdealAdc()} | fields))


def conv_net(groups):
    random = np.random.default_rng(0)
    conv = Conv2d(name="conv", weight=random.normal(0, 0.4, (8, 4 // groups, 3, 3)), groups=groups)
    net = sequential([conv, Flatten(name="flat")], input_shape=(4, 6, 6))
    return quantize(net, samples=random.uniform(0, 1, (16, 4, 6, 6)))


def dense(rows=100, columns=20):
    """Weights that fall along the rows."""
    random = np.random.default_rng(3)
    weight = random.normal(0, 0.3, (columns, rows)) * np.geomspace(1, 0.05, rows)
    net = sequential([Dense(name="fc", weight=weight)], input_shape=(rows,))
    return quantize(net, samples=random.uniform(0, 1, (64, rows)))


def test_balanced_rows_have_equal_shares():
    net = dense()
    strengths = np.abs(matrix_of(net.layers[0])).sum(axis=1)
    shares = {}
    for order in (GivenRows(), BalancedRows()):
        layout = chip(rows=25, row_order=order).layout(net.layers[0])
        shares[order] = np.array([np.abs(layout.levels[tile.rows]).sum() for tile in tiles_of(layout)])
        assert shares[order].sum() == strengths.sum() and len(shares[order]) == 4
    assert np.ptp(shares[GivenRows()]) > strengths.sum() / 4  # the weights fall along the rows
    assert np.ptp(shares[BalancedRows()]) < strengths.min() + 1


def test_balanced_rows_gain_with_one_range_for_the_layer():
    """A few ADC bits and one range for all row tiles: equal tiles use it better."""
    net = dense(rows=400)
    x, exact = net.samples, run_integer(net, net.samples)
    given, balanced = (
        run(net, chip(rows=50, adc=Adc(bits=5, range=MinMaxRange(scope="layer")), row_order=order), x).outputs - exact
        for order in (GivenRows(), BalancedRows())
    )
    assert balanced.std() < 0.7 * given.std()


def test_heavy_rows_lie_at_one_end_of_each_tile():
    net = conv_net(groups=2)
    layout = chip(rows=9, row_order=HeavyRows(end="first")).layout(net.layer("conv"))
    strengths = np.abs(layout.levels).sum(axis=1).reshape(4, 9)
    assert (np.diff(strengths, axis=1) <= 0).all() and (strengths[:, 0] > strengths[:, -1]).all()
    other = chip(rows=9, row_order=HeavyRows()).layout(net.layer("conv"))
    np.testing.assert_array_equal(np.abs(other.levels).sum(axis=1).reshape(4, 9), strengths[:, ::-1])
    assert [set(tile) for tile in layout.order.reshape(4, 9)] == [set(range(9 * t, 9 * t + 9)) for t in range(4)]


def test_an_explicit_order_moves_rows_between_tiles():
    """Tile 0 of 50 rows gets the odd inputs: its drives are theirs."""
    net, x = dense(), np.random.default_rng(2).uniform(0, 1, (10, 100)).astype(np.float32)
    x[:, 1::2] = -0.0
    order = (*range(1, 100, 2), *range(0, 100, 2))
    machine = chip(rows=50, columns=10, row_order=ExplicitRows({"fc": order}))
    layout = machine.layout(net.layers[0])
    np.testing.assert_array_equal(layout.levels, matrix_of(net.layers[0])[list(order)])
    np.testing.assert_array_equal(run(net, machine, x).outputs, run_integer(net, x))
    assert run(net, machine, x).counts.total("dac_drive") == 2 * np.count_nonzero(net.grids["input"].encode(x) != -128)


def test_cells_keep_the_order_they_were_written_in():
    net = conv_net(groups=4)
    made = program(net, chip(rows=8, device=HermesPcm(), row_order=HeavyRows()))
    x = np.random.default_rng(0).uniform(0, 1, (4, 4, 6, 6)).astype(np.float32)
    np.testing.assert_array_equal(run(net, made, x).outputs, run(net, made.chip, x).outputs)
    with pytest.raises(InputError, match=r"row order: .* have HeavyRows\(end='last'\), the chip GivenRows\(\)"):
        made.read_by(replace(made.chip, row_order=GivenRows()))


def test_bad_orders():
    net = dense()
    with pytest.raises(InputError, match=r"order of layer 'fc' is not a permutation of its 100 rows"):
        place(net, chip(row_order=ExplicitRows({"fc": (0,) * 100})))
    with pytest.raises(InputError, match=r"row_order names layer 'fx'; the weighted layers are 'fc'"):
        place(net, chip(row_order=ExplicitRows({"fx": range(100)})))
    for make in (lambda: ExplicitRows([1, 2]), lambda: ExplicitRows({"fc": [0.5]}), lambda: chip(row_order="heavy")):
        with pytest.raises(ArgumentTypeError):
            make()
    with pytest.raises(InputError, match="choose from 'last', 'first'"):
        HeavyRows(end="top")


@pytest.mark.parametrize("mapping", [None, OffsetColumn(), OffsetColumn(reference="digital"), BitSliced(2)], ids=repr)
@pytest.mark.parametrize("groups", [1, 2])
def test_only_inputs_with_weights_get_a_row(mapping, groups):
    net = prune(conv_net(groups), density=0.4, structure=Rows())
    x = np.random.default_rng(1).uniform(0, 1, (6, 4, 6, 6))
    fields = {"rows": 10, "columns": 12} | ({} if mapping is None else {"mapping": mapping})
    every, occupied = (place(net, chip(row_order=order, **fields)) for order in (GivenRows(), OccupiedRows()))
    rows = {(site.rows, site.details["row tile"]) for site in occupied.sites}
    assert sum(stop - start for (start, stop), _ in rows) == {1: round(0.4 * 36), 2: 2 * round(0.4 * 18)}[groups]
    assert len(occupied.sites) < len(every.sites)
    results = [placed.run(x) for placed in (every, occupied)]
    np.testing.assert_array_equal(results[1].outputs.reshape(6, -1), run_integer(net, x).reshape(6, -1))
    assert results[1].counts.total("dac_drive") < results[0].counts.total("dac_drive")


def test_occupied_rows_are_dealt_by_another_rule():
    net = prune(dense(), density=0.5, structure=Rows())
    x = np.random.default_rng(1).uniform(0, 1, (6, 100))
    layout = chip(rows=25, row_order=OccupiedRows(BalancedRows())).layout(net.layers[0])
    assert sorted(layout.order) == list(np.flatnonzero(net.layers[0].weight.any(axis=0)))
    shares = [np.abs(layout.levels[tile.rows]).sum() for tile in tiles_of(layout)]
    assert np.ptp(shares) < 0.1 * sum(shares)
    noisy = chip(rows=25, row_order=OccupiedRows(HeavyRows()), device=HermesPcm())
    first, again = (run(net, noisy, x, threads=n).outputs for n in (1, 2))
    np.testing.assert_array_equal(first, again)
    for order in (OccupiedRows(), ExplicitRows({"fc": range(100)})):
        with pytest.raises(InputError, match="OccupiedRows: order is"):
            OccupiedRows(order)
    empty = prune(dense(), density=0.0, structure=Weights())
    assert chip(row_order=OccupiedRows()).layout(empty.layers[0]).levels.shape == (1, 20)
