"""Group gains: weights with a factor for each group of inputs, on arrays. Enter a layout, leaves one with gains.

A group's rows lie on row tiles of their own, and the digital side multiplies what a converter gives by the factor of
its tile and column before it adds tiles up. Tiles are as tall as a group, or an even part of one. No event is counted
for the factor: it goes into the gain of the converter's column, which compensation sets anyway.
"""

from dataclasses import replace

import numpy as np

from ..errors import PlacementError
from ..network import layers as L
from .cells import Layout
from .mapping import groups_of


def rows_of_groups(layer: L.Weighted, rows: int, *, who: str) -> int:
    """Rows of a tile: the most of at most `rows` that divide a group of inputs evenly.

    Raises
    ------
    PlacementError
        The layer is a grouped convolution, or groups would leave most rows of the arrays empty.
    """
    group = layer.weight_grid.group
    if groups_of(layer) > 1:
        raise PlacementError(
            f"{who}: layer '{layer.name}' is a grouped convolution with a weight step for each group of {group} "
            "inputs; use quantize(..., groups=None)"
        )
    fitting = max(n for n in range(1, min(group, rows) + 1) if group % n == 0)
    if group > rows and 2 * fitting < rows:
        raise PlacementError(
            f"{who}: layer '{layer.name}' has groups of {group} inputs, which cut into even parts fill at most "
            f"{fitting} of {rows} rows; use Groups({rows}) or another multiple or divisor of the rows"
        )
    return fitting


def with_group_gains(layout: Layout, layer: L.Weighted, *, who: str) -> Layout:
    """The layout with a gain for each row tile and physical column.

    Raises
    ------
    PlacementError
        A tile holds rows of two groups, or a column serves outputs with different factors.
    """
    grid, high = layer.weight_grid, layout.rows_per_tile
    starts = range(0, len(layout.levels), high)
    order = np.arange(len(layout.levels)) if layout.order is None else layout.order
    gains = np.ones((len(starts), layout.levels.shape[1]), np.float32)
    for tile, start in enumerate(starts):
        groups = np.unique(order[start : start + high] // grid.group)
        if len(groups) > 1:
            raise PlacementError(
                f"{who}: an array would hold rows of several groups of inputs of layer '{layer.name}'; use "
                "row_order=GivenRows() or HeavyRows()"
            )
        factors = grid.factors[:, groups[0]]
        for term in layout.terms:
            gains[tile, term] = factors
        if any((gains[tile, term] != factors).any() for term in layout.terms):
            raise PlacementError(
                f"{who}: a column of layer '{layer.name}' serves outputs with different factors of their groups of "
                "inputs; use mapping=DifferentialPair() or BitSliced(...), or quantize(..., groups=None)"
            )
    return replace(layout, gains=gains)
