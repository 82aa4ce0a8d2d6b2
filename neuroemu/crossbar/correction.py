"""Correction: the slices of a weight are programmed in turn, each set to what those before it left. Tiles enter, cells
leave, and from those a layout with the levels that add up to the weights.

From the largest factor down, with W the weight code and g_n what the cells of slice n hold right after programming, in
levels:  w_n = digit(W - sum of f_j g_j over the slices before n),  as in `significance.digit`. What the slices add up
to is W where the last one holds w_n and all others g_n: those are the sums that a compensation has to restore.
"""

from dataclasses import replace

import numpy as np

from .. import _streams
from ..devices import Cells, Device
from .cells import CellMapping, Layout
from .mapping import Tile
from .programming import ProgrammedTile, levels_read, program_tile
from .significance import digit


def program_in_turn(
    layout: Layout, tiles, top: int, device: Device, *, mapping: CellMapping, seed: int, trial: int, layer: int
) -> tuple[ProgrammedTile, ...]:
    """Program every tile slice by slice; it must hold all slices of its outputs side by side, and factors ascend."""
    programmed = []
    for index, tile in enumerate(tiles):
        generator = _streams.generator(seed, "program", trial, layer, index)
        rest, held = _wanted(layout, tile), []
        for factor in reversed(layout.factors):
            part = program_tile(tile, digit(rest, factor, top), top, device, mapping, generator).cells
            rest = rest - factor * levels_read(part, top, device, seconds=0.0)
            held.insert(0, part)
        programmed.append(ProgrammedTile(tile, _side_by_side(held)))
    return tuple(programmed)


def layout_in_turn(layout: Layout, programmed: tuple[ProgrammedTile, ...], top: int, device: Device) -> Layout:
    """`layout` with the levels that its columns should add up, given what was programmed."""
    levels = layout.levels.copy()
    for held in programmed:
        found = levels_read(held.cells, top, device, seconds=0.0)
        parts = np.split(found, len(layout.factors), axis=1)
        rest = _wanted(layout, held.tile) - sum(
            factor * part for factor, part in zip(layout.factors[1:], parts[1:], strict=True)
        )
        aimed = np.concatenate([digit(rest, layout.factors[0], top), *parts[1:]], axis=1)
        levels[held.tile.rows, held.tile.columns] = aimed
    return replace(layout, levels=levels)


def aimed_in_turn(layout: Layout, held: ProgrammedTile, top: int, device: Device) -> np.ndarray:
    """Levels (rows, columns) that the cells of a tile were programmed to, each slice after those before it."""
    parts = np.split(levels_read(held.cells, top, device, seconds=0.0), len(layout.factors), axis=1)
    rest, aimed = _wanted(layout, held.tile), []
    for factor, part in zip(reversed(layout.factors), reversed(parts), strict=True):
        aimed.insert(0, digit(rest, factor, top))
        rest = rest - factor * part
    return np.concatenate(aimed, axis=1)


def _wanted(layout: Layout, tile: Tile) -> np.ndarray:
    """Weight codes (rows, outputs) of a tile."""
    nominal = layout.levels[tile.rows, tile.columns].astype(np.float64)
    parts = np.split(nominal, len(layout.factors), axis=1)
    return sum(factor * part for factor, part in zip(layout.factors, parts, strict=True))


def _side_by_side(parts: list[Cells]) -> Cells:
    """Cells of neighbouring columns as one."""

    def joined(values):
        shaped = [np.broadcast_to(v, part.conductance.shape) for v, part in zip(values, parts, strict=True)]
        return np.concatenate(shaped, axis=-1)

    stuck = None
    if any(part.stuck is not None for part in parts):
        stuck = joined([False if part.stuck is None else part.stuck for part in parts])
    return Cells(
        joined([part.conductance for part in parts]), joined([part.drift_exponent for part in parts]), stuck,
        {name: joined([part.state[name] for part in parts]) for name in parts[0].state},
    )  # fmt: skip
