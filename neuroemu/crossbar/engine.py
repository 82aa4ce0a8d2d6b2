"""Engine: one programmed layer as the function that multiplies. Enter drives, leave digitised sums and event counts.

The path of a sum: DAC - rows of each tile - noisy column sum - ADC - digital gain and offset - sum over row tiles.
The hot loop is kernels.crossbar.mvm; here are only the tables that it reads.
"""

from dataclasses import dataclass, field

import numpy as np

from .. import _streams, kernels
from ..network import layers as L
from . import mapping
from .converters import Adc, Dac
from .programming import Weights

CALIBRATION_ROWS = 512  # row vectors of a layer that ranges and compensation are computed from


@dataclass(frozen=True, eq=False)
class Tables:
    """Numbers of the converters of one layer, by row tile and column, float32 (n_row_tiles, M)."""

    step: np.ndarray | None  # ADC step, in column-sum units; None without ADC
    back: np.ndarray | None  # digital value of one ADC step after compensation
    offset: np.ndarray  # (M,) float64, digital offset of the sum over row tiles


@dataclass(eq=False)
class Tally:
    """Events of one layer, added up while it runs."""

    drives: int = 0  # rows driven in one array of each row tile, times the allocated arrays of that row tile
    adc_clips: int = 0
    vectors: int = 0


@dataclass(frozen=True, eq=False)
class LayerEngine:
    """A layer on its tiles, ready to read. `multiply` is its only verb."""

    layer: L.Weighted
    shape: tuple[int, ...]  # of the layer's output
    packed: object
    rows_per_tile: int
    n_row_tiles: int
    dac: Dac
    dac_scale: float
    adc: Adc
    tables: Tables
    seed: int
    streams: tuple[int, int]  # of the fresh and of the slow read noise
    threads: int
    arrays: np.ndarray  # int, allocated arrays of each row tile
    tally: Tally = field(default_factory=Tally)

    def multiply(self, drive: np.ndarray, first: int) -> np.ndarray:
        """Weighted sums (B, *shape) of `drive`, whose first input has index `first` in the run."""
        x = mapping.drive_rows(self.layer, drive)
        sums = self.read(x, first)
        self.tally.drives += self._drives(x)
        self.tally.vectors += x.shape[0] * x.shape[1]
        return mapping.from_columns(self.layer, sums / self.dac_scale, self.shape)

    def read(self, x: np.ndarray, first: int) -> np.ndarray:
        """Column sums (B, P, M), in column-sum units, of row inputs (B, P, K)."""
        out = np.empty((*x.shape[:2], self.packed.M))
        clipped = np.zeros(self.n_row_tiles, np.int64)
        kernels.crossbar.mvm(
            self.packed, np.ascontiguousarray(x, np.float32), out, **self._converters(),
            seed=self.seed, stream=self.streams[0], slow_stream=self.streams[1], image_offset=first,
            threads=self.threads, clipped=clipped,
        )  # fmt: skip
        self.tally.adc_clips += int(clipped.sum())
        return out + self.tables.offset

    def _drives(self, x: np.ndarray) -> int:
        """DAC conversions that are not zero, each array's rows counted apart."""
        live = np.abs(x) * np.float32(self.dac_scale) > 0.5 if self.dac.bits is not None else x != 0
        by_row = np.count_nonzero(live.reshape(-1, x.shape[-1]), axis=0)
        return int(np.add.reduceat(by_row, np.arange(0, x.shape[-1], self.rows_per_tile)) @ self.arrays)

    def _converters(self) -> dict:
        settings = {}
        if self.dac.bits is not None:
            settings.update(dac_scale=self.dac_scale, dac_limit=self.dac.limit)
        if self.tables.step is not None:
            settings.update(
                adc_step=self.tables.step, adc_back=self.tables.back, adc_limit=self.adc.limit, adc_noise=self.adc.noise
            )
        return settings


def pack(weights: Weights, rows_per_tile: int):
    """Weights in the kernel's order."""
    return kernels.crossbar.pack(weights.mean, weights.fresh_variance, weights.slow_sigma, rows_per_tile)


def driven(x: np.ndarray, dac: Dac, scale: float) -> np.ndarray:
    """Row inputs after the DAC, float64."""
    if dac.bits is None:
        return x.astype(np.float64)
    return np.clip(np.rint(x * np.float32(scale)), -dac.limit, dac.limit).astype(np.float64)


def adc_steps(matrix, tiles, shape, sampled: np.ndarray, adc: Adc, current_unit: float) -> np.ndarray | None:
    """ADC step of every row tile and column, in column-sum units.

    `sampled` (S, K) are row inputs after the DAC; `current_unit` is the current of one column-sum unit, amperes.
    """
    if adc.bits is None:
        return None
    step = np.ones(shape, np.float32)  # 1 where there is no array; nothing is read there
    for tile in tiles:
        if adc.full_scale is not None:
            full = adc.full_scale / current_unit
        else:
            sums = sampled[:, tile.rows] @ matrix[tile.rows, tile.columns].astype(np.float64)
            full = float(np.percentile(np.abs(sums), adc.percentile)) if sums.size else 0.0
        step[tile.row_tile, tile.columns] = max(full, 1.0) / adc.limit
    return step


def compensated(engine: LayerEngine, weights: Weights, matrix, tiles, sampled_x, sampled, mode: str) -> Tables:
    """Digital gains (and offsets) that bring what the tiles read on the samples closest to the exact sums.

    Least squares of exact = gain * read (+ offset): "global" one gain per tile, "column" one per column, "affine" a
    gain and an offset per column. The reads are noisy reads of the programmed tiles, as a chip would make them.
    """
    back = engine.tables.back.copy()
    offset = np.zeros(engine.packed.M)
    for row_tile in range(engine.n_row_tiles):
        rows = slice(row_tile * engine.rows_per_tile, min((row_tile + 1) * engine.rows_per_tile, len(matrix)))
        read = _read_one_row_tile(engine, weights, rows, row_tile, sampled_x[:, rows])
        exact = sampled[:, rows] @ matrix[rows].astype(np.float64)
        for tile in (t for t in tiles if t.row_tile == row_tile):
            gain, shift = _fit(read[:, tile.columns], exact[:, tile.columns], mode)
            back[row_tile, tile.columns] *= gain
            offset[tile.columns] += shift
    return Tables(engine.tables.step, back, offset)


def scaled(weights: Weights, gain: np.ndarray, rows_per_tile: int) -> Weights:
    """Weights times a gain by row tile and column: without an ADC, the digital gain may as well act before the sum."""
    full = np.repeat(gain, rows_per_tile, axis=0)[: len(weights.mean)]
    fresh, slow = weights.fresh_variance, weights.slow_sigma
    return Weights(
        weights.mean * full, None if fresh is None else fresh * full**2, None if slow is None else slow * np.abs(full)
    )


def _read_one_row_tile(engine, weights, rows, row_tile, x) -> np.ndarray:
    def cut(array):
        return None if array is None else np.ascontiguousarray(array[rows])

    alone = Weights(cut(weights.mean), cut(weights.fresh_variance), cut(weights.slow_sigma))
    tables = engine.tables
    one = slice(row_tile, row_tile + 1)
    part = Tables(
        None if tables.step is None else np.ascontiguousarray(tables.step[one]),
        np.ascontiguousarray(tables.back[one]),
        np.zeros(engine.packed.M),
    )
    reader = LayerEngine(
        layer=engine.layer, shape=engine.shape, packed=pack(alone, len(alone.mean)), rows_per_tile=len(alone.mean),
        n_row_tiles=1, dac=engine.dac, dac_scale=engine.dac_scale, adc=engine.adc, tables=part, seed=engine.seed,
        streams=tuple(_streams.stream_word(engine.seed, "calibrate", row_tile, s & 0xFFFFFFFF) for s in engine.streams),
        threads=engine.threads, arrays=engine.arrays[one],
    )  # fmt: skip
    return reader.read(x[:, None, :], 0)[:, 0]


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
