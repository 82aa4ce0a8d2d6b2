"""Compensation: digital gains and offsets fitted on samples at inference time, as a chip would fit them.

Enter an engine, its weights and samples; leave tables whose gains bring the noisy reads of the programmed tiles closest
to the exact sums. Least squares of exact = gain * read (+ offset): "global" one gain per tile, "column" one per column,
"affine" a gain and an offset per column.
"""

from dataclasses import dataclass, replace

import numpy as np

from .. import _streams
from .engine import LayerEngine, part_of
from .programming import Weights
from .tables import Tables

COMPENSATIONS = ("none", "global", "column", "affine")


@dataclass(frozen=True, eq=False)
class Samples:
    """Row inputs that ranges and compensation are computed from, S of them.

    x is what an engine reads, steps the whole drive steps that this means; both (S, K). They are the same where an
    input scheme splits inputs into planes: each plane is a sample.
    """

    x: np.ndarray
    steps: np.ndarray


def compensated(engine: LayerEngine, weights: Weights, tiles, samples: Samples, mode: str) -> Tables:
    """Tables of `engine` with fitted gains and offsets."""
    tables = engine.tables
    back, shift = tables.back.copy(), tables.shift.copy()
    height = len(weights.mean)
    for row_tile in range(len(engine.arrays)):
        start = row_tile * engine.rows_per_tile
        rows = slice(start, min(start + engine.rows_per_tile, height))
        read = _read_one_row_tile(engine, weights, rows, row_tile, samples.x[:, rows])
        exact = samples.steps[:, rows] @ engine.layout.levels[rows].astype(np.float64)
        for tile in (t for t in tiles if t.row_tile == row_tile):
            gain, offset = _fit(read[:, tile.columns], exact[:, tile.columns], mode)
            back[row_tile, tile.columns] *= gain
            shift[tile.columns] += offset
    return replace(tables, back=back, shift=shift)


def _read_one_row_tile(engine: LayerEngine, weights: Weights, rows, row_tile: int, x) -> np.ndarray:
    streams = tuple(
        _streams.stream_word(engine.seed, "calibrate", row_tile, stream & 0xFFFFFFFF) for stream in engine.part.streams
    )
    part = part_of(weights, rows, slice(row_tile, row_tile + 1), rows.stop - rows.start, streams)
    tables = engine.tables.of_row_tile(row_tile)
    return engine.convert(part, tables, x[:, None, :], 0, 0)[:, 0] + tables.constant


def _fit(read: np.ndarray, exact: np.ndarray, mode: str) -> tuple[np.ndarray | float, np.ndarray | float]:
    overall = _slope((read * exact).sum(), (read * read).sum(), 1.0)
    if mode == "global":
        return overall, 0.0
    if mode == "column":
        return _slope((read * exact).sum(axis=0), (read * read).sum(axis=0), overall), 0.0
    centred, wanted = read - read.mean(axis=0), exact - exact.mean(axis=0)
    gain = _slope((centred * wanted).sum(axis=0), (centred * centred).sum(axis=0), overall)
    return gain, exact.mean(axis=0) - gain * read.mean(axis=0)


def _slope(product, square, fallback):
    """product / square where the samples moved the column at all."""
    return np.where(square > 1e-9, product / np.where(square > 1e-9, square, 1.0), fallback)
