"""Correction: the slices of a weight are programmed in turn, each set to what those before it left. Tiles enter, cells
leave, and a layout with the levels that add up to the weights.

From the largest factor down, with W the weight code and g_n what the cells of slice n hold right after programming, in
levels:  w_n = digit(W - sum of f_j g_j over the slices before n),  as in `significance.digit`. What the slices add up
to is W where the last one holds w_n and all others g_n: those are the sums that a compensation has to restore.
"""

from dataclasses import replace

import numpy as np

from .. import _streams
from ..devices import Device
from .cells import CellMapping, Layout
from .mapping import Tile
from .programming import ProgrammedTile, levels_read, program_tile
from .significance import digit


def program_in_turn(
    layout: Layout, tiles, top: int, device: Device, *, mapping: CellMapping, seed: int, trial: int, layer: int
) -> tuple[tuple[ProgrammedTile, ...], Layout]:
    """Program every tile slice by slice; each tile must hold all slices of its outputs side by side, and
    factors ascend.

    Returns
    -------
    programmed : one ProgrammedTile for each slice of each tile
    layout : with those levels
    """
    levels, wanted = layout.levels.copy(), layout.outputs(layout.levels.astype(np.float64))
    programmed = []
    for index, tile in enumerate(tiles):
        generator = _streams.generator(seed, "program", trial, layer, index)
        outputs = np.flatnonzero((layout.terms[0] >= tile.columns.start) & (layout.terms[0] < tile.columns.stop))
        rest = wanted[tile.rows, outputs]
        for n in reversed(range(len(layout.factors))):
            columns = layout.terms[n, outputs]
            part = Tile(tile.rows, slice(int(columns[0]), int(columns[-1]) + 1), tile.row_tile)
            levels[part.rows, part.columns] = digit(rest, layout.factors[n], top)
            held = program_tile(part, levels[part.rows, part.columns], top, device, mapping, generator)
            programmed.append(held)
            if n:
                found = levels_read(held, top, device, seconds=0.0)
                rest = rest - layout.factors[n] * found
                levels[part.rows, part.columns] = found
    return tuple(programmed), replace(layout, levels=levels)
