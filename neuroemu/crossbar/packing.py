"""Packing: a layer's weights get their place on a chip's arrays. Enter a chip and a layer, leaves a Layout.

A grouped convolution is block diagonal. Where its rows do not fit one array its groups are laid out apart: a tile takes
as many whole groups as rows and columns allow, shared evenly, and converts only the columns of its own groups; a group
too tall for one tile gets tiles of its own, the last of them padded. That takes the fewest conversions, though at times
more tiles than rectangles of the whole matrix would. Rows are dealt over the tiles of a group by the chip's
`row_order`.
"""

from bisect import bisect_left
from dataclasses import replace

import numpy as np

from ..network import layers as L
from .cells import Layout, even_share
from .group_gains import rows_of_groups, with_group_gains
from .mapping import groups_of, largest_code, matrix_of


def layout_of(chip, layer: L.Weighted) -> Layout:
    """The physical rows and columns of `layer` on `chip`."""
    codes, groups = matrix_of(layer), groups_of(layer)
    if layer.in_groups:
        high = rows_of_groups(layer, chip.rows, who=chip.name)
        return with_group_gains(_dealt(_laid_out(chip, layer, codes), high, chip, layer), layer, who=chip.name)
    if groups > 1 and len(codes) > chip.rows and layer.name not in chip.row_order.named:
        return _by_groups(chip, layer, codes, groups)
    rows = _rows_with_weights(chip, codes)
    codes = codes if rows is None else codes[rows]
    layout = _dealt(_laid_out(chip, layer, codes), even_share(len(codes), chip.rows), chip, layer)
    return layout if rows is None else replace(layout, order=rows if layout.order is None else rows[layout.order])


def _rows_with_weights(chip, codes: np.ndarray) -> np.ndarray | None:
    """Inputs that get a row; None: all of them."""
    if not chip.row_order.leaves_out:
        return None
    rows = np.flatnonzero(codes.any(axis=1))
    return rows if len(rows) else np.zeros(1, int)


def _laid_out(chip, layer, codes: np.ndarray) -> Layout:
    return chip.mapping.layout(codes, largest_code(layer), chip.device, chip.weight_columns)


def _dealt(layout: Layout, rows_per_tile: int, chip, layer) -> Layout:
    """The same columns with their rows in the chip's order."""
    order = chip.row_order.deal(np.abs(layout.levels).sum(axis=1, dtype=np.float64), rows_per_tile, layer.name)
    if order is None:
        return replace(layout, rows_per_tile=rows_per_tile)
    levels, holds = layout.levels[order], layout.holds[order]
    return replace(layout, levels=levels, holds=holds, rows_per_tile=rows_per_tile, order=order)


def _by_groups(chip, layer, codes: np.ndarray, groups: int) -> Layout:
    high, wide = len(codes) // groups, codes.shape[1] // groups
    run = even_share(groups, _groups_per_tile(chip, layer, groups, high, wide))
    rows_per_tile = even_share(run * high, chip.rows)
    parts, inputs = [], []
    for first in range(0, groups, run):
        last = min(first + run, groups)
        mine = slice(first * high, last * high)
        block = codes[mine, first * wide : last * wide]
        rows = _rows_with_weights(chip, block)
        rows = np.arange(len(block)) if rows is None else rows
        part = _dealt(_laid_out(chip, layer, block[rows]), rows_per_tile, chip, layer)
        order = rows if part.order is None else rows[part.order]
        padding = 0 if last == groups else -len(order) % rows_per_tile
        inputs.append(np.concatenate([mine.start + order, np.full(padding, -1)]))
        parts.append(part)
    order = np.concatenate(inputs)
    plain = np.array_equal(order, np.arange(len(codes)))
    return replace(_joined(parts, inputs), rows_per_tile=rows_per_tile, order=None if plain else order)


def _groups_per_tile(chip, layer, groups: int, high: int, wide: int) -> int:
    """The most groups that fit one tile; 1 where not even one does."""

    def too_wide(run):
        return len(_laid_out(chip, layer, np.zeros((1, run * wide), np.float32)).blocks) > 1

    most = min(groups, max(1, chip.rows // high))
    return max(1, bisect_left(range(1, most + 1), True, key=too_wide))


def _joined(parts: list[Layout], inputs: list[np.ndarray]) -> Layout:
    """Layouts side by side, block diagonal; `inputs` are as long as their rows with padding."""
    rows, columns = sum(map(len, inputs)), sum(part.levels.shape[1] for part in parts)
    levels, holds = np.zeros((rows, columns), np.float32), np.zeros((rows, columns), bool)
    blocks, terms = [], []
    top = left = 0
    for part, driven in zip(parts, inputs, strict=True):
        high, wide = part.levels.shape
        place = (slice(top, top + high), slice(left, left + wide))
        levels[place], holds[place] = part.levels, part.holds
        blocks += [(first + left, last + left) for first, last in part.blocks]
        terms.append(part.terms + left)
        top, left = top + len(driven), left + wide
    return Layout(
        levels, holds, tuple(blocks), np.concatenate([part.slices for part in parts]), np.concatenate(terms, axis=1),
        parts[0].factors if parts[0].factors.ndim == 1 else np.concatenate([part.factors for part in parts], axis=1),
        zero=None if parts[0].zero is None else np.concatenate([part.zero for part in parts]),
    )  # fmt: skip
