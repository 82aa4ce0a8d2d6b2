"""Tables: the numbers of all converters of one layer. Enter a layout, samples and an ADC; leave arrays by row tile.

Row tile t and physical column c have a converter, of their own or shared with neighbouring columns of the tile; where
no array is, step is 1 and back 0.
"""

from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np

from .. import _streams
from .cells import Layout
from .converters import Adc, ColumnConverter


@dataclass(frozen=True, eq=False)
class Tables:
    """Numbers of the converters of one layer; T row tiles, C physical columns.

    A conversion gives  code = rint(y / step + offset),  or by edges, and counts  back * (code - pedestal).
    """

    step: np.ndarray | None  # (T, C) float32, ADC step in column-sum units with its gain error; None without ADC
    back: np.ndarray  # (T, C) float32, digital value of one ADC step after compensation
    shift: np.ndarray  # (C,) float64, digital offset of the sum over row tiles
    offset: np.ndarray | None = None  # (T, C) float32, codes
    pedestal: np.ndarray | None = None  # (T, C) float32, codes of no current
    edges: np.ndarray | None = None  # (T, C, 2 L) float32, code edges of nonlinear converters

    def of_row_tile(self, row_tile: int) -> "Tables":
        """Those of one row tile, without digital offset."""
        one = slice(row_tile, row_tile + 1)
        cut = {
            name: None if getattr(self, name) is None else np.ascontiguousarray(getattr(self, name)[one])
            for name in ("step", "back", "offset", "pedestal", "edges")
        }
        return Tables(shift=np.zeros_like(self.shift), **cut)

    @property
    def constant(self) -> np.ndarray:
        """(C,) float64: what the digital side adds to the sum of back * code over row tiles."""
        if self.pedestal is None:
            return self.shift
        return self.shift - (self.back.astype(np.float64) * self.pedestal).sum(axis=0)


def tables_of(layout: Layout, tiles, shape, samples, adc: ColumnConverter, *, one_signed: bool, unit: float) -> Tables:
    """Nominal converters: steps from the range rule, the same for every programmed chip.

    `samples` (S, K) are drive steps; `unit` is the current of one column-sum unit, amperes. `one_signed` columns carry
    no negative current, so that their codes start at zero current.
    """
    step = pedestal = None
    back = np.zeros(shape, np.float32)
    for tile in tiles:
        back[tile.row_tile, tile.columns] = layout.gain(tile.row_tile, tile.columns)
    if isinstance(adc, Adc):
        levels = 2 * adc.limit if one_signed else adc.limit
        step = np.ones(shape, np.float32)
        for tile, columns, sums in _shared_ranges(layout, tiles, samples, adc):
            step[tile.row_tile, columns] = adc.range.full_scale(sums, levels=levels, current_unit=unit) / levels
        back *= step
        pedestal = np.where(back > 0, np.float32(-adc.limit), np.float32(0)) if one_signed else None
    return Tables(step, back, np.zeros(shape[1]), offset=pedestal, pedestal=pedestal)


def with_static_errors(tables: Tables, tiles, adc: ColumnConverter, *, seed: int, trial: int, layer: int) -> Tables:
    """The converters of one programmed chip: offset, gain and kind drawn from the stream of each tile.

    Every tile draws gain, offset and what its kind needs in this order, whichever are in use, so that one setting does
    not move the others; columns that share a converter share the draw. A gain below 0.01 is held at that.
    """
    if not isinstance(adc, Adc) or (adc.kind.uniform and not (adc.offset_spread or adc.gain_spread)):
        return tables
    step = tables.step.copy()
    offset = np.zeros_like(step) if tables.offset is None else tables.offset.copy()
    edges = None if adc.kind.uniform else np.zeros((*step.shape, 2 * adc.limit), np.float32)
    for index, tile in enumerate(tiles):
        place = (tile.row_tile, tile.columns)
        own = adc.converter_of(tile.columns.stop - tile.columns.start)
        converters = int(own[-1]) + 1
        generator = _streams.generator(seed, "adc", trial, layer, index)
        step[place] /= np.maximum(1.0 + adc.gain_spread * generator.standard_normal(converters), 0.01)[own]
        offset[place] += (adc.offset_spread * generator.standard_normal(converters))[own]
        if edges is not None:
            one_signed = tables.pedestal is not None
            edges[place] = adc.kind.edges(adc.bits, converters, generator, one_signed=one_signed)[own]
    return replace(tables, step=step, offset=offset, edges=edges)


def _shared_ranges(layout: Layout, tiles, samples, adc: Adc):
    """(tile, columns, magnitudes of the sampled sums that set their range) for every group of converters."""
    if not adc.range.needs_samples:
        yield from ((tile, tile.columns, np.zeros(0)) for tile in tiles)
        return
    layer = defaultdict(list)
    for tile in tiles:
        first, kinds = tile.columns.start, layout.slices[tile.columns]
        weights = layout.levels[tile.rows, tile.columns].astype(np.float64)
        sums = np.abs(samples[:, tile.rows] @ weights)
        if adc.range.scope == "column":
            own = adc.converter_of(sums.shape[1]) * (int(kinds.max()) + 1) + kinds
            for one in np.unique(own):
                mine = np.flatnonzero(own == one)
                yield tile, first + mine, sums[:, mine]
            continue
        for kind in np.unique(kinds):
            mine = np.flatnonzero(kinds == kind)
            if adc.range.scope == "tile":
                yield tile, first + mine, sums[:, mine]
            else:
                layer[kind].append((tile, first + mine, sums[:, mine]))
    for members in layer.values():
        together = np.concatenate([sums.ravel() for _, _, sums in members])
        yield from ((tile, columns, together) for tile, columns, _ in members)
