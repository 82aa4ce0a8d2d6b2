"""Weights with a factor for each group of inputs, on arrays: exact on ideal ones, tiles of one group, else refused."""

from dataclasses import replace

import numpy as np
import pytest

import neuroemu as ne
from neuroemu.crossbar import (
    BalancedRows,
    BitSerial,
    BitSliced,
    ColumnAffine,
    ColumnGain,
    HeavyRows,
    OffsetColumn,
    Significance,
    TileGain,
    ideal,
    load_programmed,
    program,
)
from neuroemu.errors import InputError, PlacementError
from neuroemu.network import Conv2d, Dense, Flatten, relu, sequential

random = np.random.default_rng(0)
NET = sequential(
    [
        Conv2d(name="conv", weight=random.normal(0, 0.4, (6, 2, 3, 3)), bias=random.normal(0, 0.2, 6)),
        relu(name="relu"),
        Flatten(name="flat"),
        Dense(name="fc", weight=random.normal(0, 0.4, (5, 96)) * np.exp(random.normal(0, 1, (5, 96)))),
    ],
    input_shape=(2, 6, 6),
)
X = random.random((40, 2, 6, 6)).astype(np.float32)
Q = ne.quantize(NET, samples=X, weight_bits=4, groups=ne.Groups(24))
CHIP = ideal(ne.chips.HERMES)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"rows": 12},
        {"mapping": BitSliced(2)},
        {"mapping": Significance((1, 4))},
        {"mapping": OffsetColumn(reference="digital")},
        {"inputs": BitSerial(1)},
        {"row_order": HeavyRows()},
        {"arithmetic": "float64"},
    ],
    ids=str,
)
def test_ideal_arrays_compute_the_integer_reference(changes):
    result = ne.run(Q, replace(CHIP, **changes), X)
    np.testing.assert_array_equal(result.outputs.reshape(40, -1), ne.run_integer(Q, X))


def test_tiles_hold_one_group():
    for rows, high in ((256, 24), (24, 24), (20, 12)):
        sites = [s for s in ne.place(Q, replace(CHIP, rows=rows)).sites if s.layer == "fc"]
        assert [site.rows for site in sites] == [(r, r + high) for r in range(0, 96, high)]


@pytest.mark.parametrize("rule", [TileGain(), ColumnGain(), ColumnAffine()], ids=repr)
def test_compensation_knows_the_factors(rule):
    """With exact cells there is nothing to correct: gains fitted against sums without the factors would not be 1."""
    outputs = ne.run(Q, replace(CHIP, compensation=rule), X).outputs.reshape(40, -1)
    np.testing.assert_array_equal(outputs, ne.run_integer(Q, X))
    noisy = ne.run(Q, replace(ne.chips.HERMES, compensation=rule), X).outputs.reshape(40, -1)
    assert np.corrcoef(noisy.ravel(), outputs.ravel())[0, 1] > 0.9


def test_what_arrays_cannot_hold_is_refused():
    for changes, message in (
        ({"row_order": BalancedRows()}, "rows of several groups"),
        ({"mapping": OffsetColumn()}, "serves outputs with different factors"),
    ):
        with pytest.raises(PlacementError, match=message):
            ne.place(Q, replace(CHIP, rows=64, **changes))
    prime = ne.quantize(NET, samples=X, weight_bits=4, groups=ne.Groups(47))
    with pytest.raises(PlacementError, match=r"fill at most 1 of 32 rows; use Groups\(32\)"):
        ne.place(prime, replace(CHIP, rows=32))
    grouped = sequential([Conv2d(name="conv", weight=np.ones((4, 1, 3, 3)), groups=2)], input_shape=(2, 6, 6))
    with pytest.raises(PlacementError, match="is a grouped convolution"):
        ne.place(ne.quantize(grouped, samples=X, groups=ne.Groups(3)), CHIP)


def test_programmed_cells_belong_to_their_groups(tmp_path):
    cells = program(Q, ne.chips.HERMES, seed=1)
    cells.save(tmp_path / "cells.npz")
    again = load_programmed(tmp_path / "cells.npz", Q, ne.chips.HERMES)
    first, second = (ne.run(Q, chip, X, seed=2).outputs for chip in (cells, again))
    np.testing.assert_array_equal(first, second)
    layers = [
        replace(n, weight_grid=replace(n.weight_grid, factors=n.weight_grid.factors + 1)) if n in Q.weighted else n
        for n in Q.layers
    ]
    other = Q.replace(layers=tuple(layers))
    with pytest.raises(PlacementError, match="not the one in its cells"):
        ne.place(other, cells)
    with pytest.raises(InputError, match="other weights"):
        load_programmed(tmp_path / "cells.npz", other, ne.chips.HERMES)
