"""Mapping: a layer's weight codes become a (K, M) matrix, and its physical columns are cut into tiles.

Row k is an input of the layer (channel slowest, then kernel row and column), column m an output. How cells hold the
codes is said in `cells`, which rows and columns lie on one array in `packing`. A grouped convolution is block diagonal;
a tile without any weight of the layer is not allocated.
"""

from dataclasses import dataclass

import numpy as np

from ..chip import Site
from ..network import layers as L
from ..network import ops
from .cells import Layout


@dataclass(frozen=True)
class Tile:
    """A rectangle of the layer's physical rows and columns on one array, without padding."""

    rows: slice
    columns: slice
    row_tile: int


def matrix_of(layer: L.Weighted) -> np.ndarray:
    """Weight codes as float32 (K, M)."""
    weight = layer.weight.astype(np.float32)
    if isinstance(layer, L.Dense) or layer.groups == 1:
        return np.ascontiguousarray(weight.reshape(len(weight), -1).T)
    per_group = weight[0].size
    out = len(weight) // layer.groups
    matrix = np.zeros((per_group * layer.groups, len(weight)), np.float32)
    for g in range(layer.groups):
        block = weight[g * out : (g + 1) * out].reshape(out, -1).T
        matrix[g * per_group : (g + 1) * per_group, g * out : (g + 1) * out] = block
    return matrix


def groups_of(layer: L.Weighted) -> int:
    """Blocks on the diagonal of the matrix."""
    return 1 if isinstance(layer, L.Dense) else layer.groups


def largest_code(layer: L.Weighted) -> int:
    """w_max: the largest magnitude that cells must hold; 2^(bits-1) - 1, or one more where a file's weight has it."""
    return max(layer.weight_grid.high, int(np.abs(layer.weight.astype(np.int32)).max(initial=0)))


def drive_rows(layer: L.Weighted, drive: np.ndarray) -> np.ndarray:
    """What the rows are driven with, (B, P, K): one row vector for each position of the output."""
    if isinstance(layer, L.Dense):
        return np.ascontiguousarray(drive.reshape(len(drive), -1, drive.shape[-1]))
    return ops.patches(layer, drive)


def from_columns(layer: L.Weighted, sums: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Outputs (B, P, M) in the layout of the layer's output (B, *shape)."""
    if isinstance(layer, L.Dense):
        return sums.reshape(len(sums), *shape)
    return sums.transpose(0, 2, 1).reshape(len(sums), *shape)


def tiles_of(layout: Layout) -> tuple[Tile, ...]:
    """The tiles that hold at least one weight, row tile fastest. Padding is at the end of a tile."""
    height, high = len(layout.levels), layout.rows_per_tile
    found = []
    for first, last in layout.blocks:
        for t, r in enumerate(range(0, height, high)):
            real = layout.real_rows(slice(r, min(r + high, height)))
            tile = Tile(slice(r, r + real), slice(first, last), t)
            if layout.holds[tile.rows, tile.columns].any():
                found.append(tile)
    return tuple(found)


def site_of(layer: L.Weighted, tile: Tile, unit: int, layout: Layout, cells: int) -> Site:
    """The record of a tile for the placement table."""
    rows, columns = tile.rows, tile.columns
    used = (rows.stop - rows.start) * (columns.stop - columns.start)
    details = {"nonzero weights": int(np.count_nonzero(layout.holds[rows, columns])), "row tile": tile.row_tile}
    if layout.slices.any():
        held = layout.slices[columns]
        details["slices"] = str(held[0]) if held.min() == held.max() else f"{held.min()}-{held.max()}"
    span = ((rows.start, rows.stop), (columns.start, columns.stop))
    return Site(layer=layer.name, unit=unit, rows=span[0], columns=span[1], utilisation=used / cells, details=details)
