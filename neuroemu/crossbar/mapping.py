"""Mapping: a layer's weight codes become a (K, M) matrix, cut into tiles of differential pairs.

Row k is an input of the layer (channel slowest, then kernel row and column), column m an output. A weight code w
becomes the pair  G+ = g_min + max(w, 0) step,  G- = g_min + max(-w, 0) step,  step = (g_max - g_min) / w_max.
A grouped convolution is block diagonal; a tile without any weight of the layer is not allocated.
"""

from dataclasses import dataclass

import numpy as np

from ..chip import Site
from ..devices import Device
from ..network import layers as L
from ..network import ops


@dataclass(frozen=True)
class Tile:
    """A rectangle of the layer's matrix on one array."""

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


def drive_rows(layer: L.Weighted, drive: np.ndarray) -> np.ndarray:
    """What the rows are driven with, (B, P, K): one row vector for each position of the output."""
    if isinstance(layer, L.Dense):
        return np.ascontiguousarray(drive.reshape(len(drive), -1, drive.shape[-1]))
    return ops.patches(layer, drive)


def from_columns(layer: L.Weighted, sums: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Column sums (B, P, M) in the layout of the layer's output (B, *shape)."""
    if isinstance(layer, L.Dense):
        return sums.reshape(len(sums), *shape)
    return sums.transpose(0, 2, 1).reshape(len(sums), *shape)


def tile_rows(n_rows: int, most: int) -> int:
    """Rows of a tile when the rows are shared evenly, so that no tile is left with a thin rest."""
    return -(-n_rows // -(-n_rows // most))


def tiles_of(matrix: np.ndarray, rows: int, columns: int) -> tuple[Tile, ...]:
    """The tiles that hold at least one weight, row tile fastest."""
    high, wide = tile_rows(matrix.shape[0], rows), tile_rows(matrix.shape[1], columns)
    found = []
    for c in range(0, matrix.shape[1], wide):
        for t, r in enumerate(range(0, matrix.shape[0], high)):
            tile = Tile(slice(r, min(r + high, matrix.shape[0])), slice(c, min(c + wide, matrix.shape[1])), t)
            if matrix[tile.rows, tile.columns].any():
                found.append(tile)
    return tuple(found)


def site_of(layer: L.Weighted, tile: Tile, unit: int, weights: np.ndarray, cells: int) -> Site:
    """The record of a tile for the placement table."""
    rows, columns = tile.rows, tile.columns
    used = (rows.stop - rows.start) * (columns.stop - columns.start)
    details = {"nonzero weights": int(np.count_nonzero(weights[rows, columns])), "row tile": tile.row_tile}
    span = ((rows.start, rows.stop), (columns.start, columns.stop))
    return Site(layer=layer.name, unit=unit, rows=span[0], columns=span[1], utilisation=used / cells, details=details)


def pair_targets(codes: np.ndarray, largest: int, device: Device) -> tuple[np.ndarray, np.ndarray]:
    """Target conductances (G+, G-) of weight codes, siemens."""
    step = (device.g_max - device.g_min) / largest
    codes = codes.astype(np.float64)
    return device.g_min + np.maximum(codes, 0) * step, device.g_min + np.maximum(-codes, 0) * step
