"""Compensation: digital gains and offsets that undo drift and programming errors, as a chip's digital units would.

Enter a programmed layer's engine and what was read of it; leave the engine with gains (and offsets) in place. Fits are
least squares of exact = gain * read (+ offset) on the network's samples, read with the noise of the programmed cells at
the time of inference. What is fitted never sees the inputs of a run.

References
----------
.. [1] V. Joshi et al., "Accurate deep neural network inference using computational phase-change memory", Nat. Commun.
   11, 2473 (2020), doi:10.1038/s41467-020-16108-9 (global drift compensation; adaptive batch normalisation statistics).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import numpy as np

from .. import _checks, _streams
from ..devices import Cells, Device
from ..network.graph import Network
from ..network.integer import exact_multiply, run_integer
from .engine import LayerEngine, Tally, part_of
from .programming import ProgrammedTile, Weights
from .tables import Tables

RECALIBRATION_IMAGES = 128  # of the samples, that BatchNorm runs through the chip at once
CALIBRATION_READS = 1 << 31  # number of the first such image, far from those of a run: its noise is its own


@dataclass(frozen=True, eq=False)
class Samples:
    """Row inputs that ranges and compensation are computed from, S of them.

    x is what an engine reads, steps the whole drive steps that this means; both (S, K). They are the same where an
    input scheme splits inputs into planes: each plane is a sample.
    """

    x: np.ndarray
    steps: np.ndarray


@dataclass(frozen=True, eq=False)
class Aged:
    """One layer's tiles at the time of inference; `key` is (seed, trial, layer)."""

    tiles: tuple[ProgrammedTile, ...]
    weights: Weights
    samples: Samples | None
    device: Device
    seconds: float
    key: tuple[int, ...]


class Compensation(ABC):
    """Abstract: how a chip corrects its column sums.

    Final classes: NoCompensation, TileGain, ColumnGain, ColumnAffine, ReferenceColumns, BatchNorm.
    """

    needs_samples = False
    reference_columns = 0  # physical columns of each array that hold no weights

    @abstractmethod
    def tables(self, engine: LayerEngine, aged: Aged) -> Tables:
        """Tables of the layer's converters with this compensation's gains."""

    def corrected(self, network: Network, engines: dict[str, LayerEngine]) -> dict[str, LayerEngine]:
        """All engines, after what can only be fitted on the network as a whole."""
        return engines


@dataclass(frozen=True)
class NoCompensation(Compensation):
    """Sums are used as read."""

    def tables(self, engine, aged):
        return engine.tables


class _LeastSquares(Compensation):
    """Abstract: exact = gain * read + offset, fitted on samples for each tile."""

    needs_samples = True

    @abstractmethod
    def fit(self, read: np.ndarray, exact: np.ndarray) -> tuple[np.ndarray | float, np.ndarray | float]:
        """Gain and offset of one tile's columns from (S, columns) sums."""

    def tables(self, engine, aged):
        tables = engine.tables
        back, shift = tables.back.copy(), tables.shift.copy()
        for row_tile in range(len(engine.arrays)):
            start = row_tile * engine.rows_per_tile
            rows = slice(start, min(start + engine.rows_per_tile, len(aged.weights.mean)))
            read = _read_one_row_tile(engine, aged.weights, rows, row_tile, aged.samples.x[:, rows])
            exact = aged.samples.steps[:, rows] @ engine.layout.levels[rows].astype(np.float64)
            for tile in (held.tile for held in aged.tiles if held.tile.row_tile == row_tile):
                wanted = exact[:, tile.columns] * engine.layout.gain(row_tile, tile.columns)
                gain, offset = self.fit(read[:, tile.columns], wanted)
                back[row_tile, tile.columns] *= gain
                shift[tile.columns] += offset
        return replace(tables, back=back, shift=shift)


@dataclass(frozen=True)
class TileGain(_LeastSquares):
    """One gain for each tile: the global drift compensation of [1]_, per array."""

    def fit(self, read, exact):
        return _overall(read, exact), 0.0


@dataclass(frozen=True)
class ColumnGain(_LeastSquares):
    """One gain for each physical column of each tile."""

    def fit(self, read, exact):
        return _slope((read * exact).sum(axis=0), (read * read).sum(axis=0), _overall(read, exact)), 0.0


@dataclass(frozen=True)
class ColumnAffine(_LeastSquares):
    """A gain and an offset for each physical column of each tile."""

    def fit(self, read, exact):
        centred, wanted = read - read.mean(axis=0), exact - exact.mean(axis=0)
        gain = _slope((centred * wanted).sum(axis=0), (centred * centred).sum(axis=0), _overall(read, exact))
        return gain, exact.mean(axis=0) - gain * read.mean(axis=0)


@dataclass(frozen=True)
class ReferenceColumns(Compensation):
    """One gain for each tile from columns that hold no weights: what they read after programming over what they read
    now.

    The cells of a tile's reference columns are programmed to conductances spread evenly over those of its weights'
    cells (the larger one of each pair), so that they drift as the weights do on average. No samples are needed. The
    columns are taken from the array's width, and their reads are not counted: a chip makes them now and then, not for
    each inference.

    Parameters
    ----------
    columns : int, 1 to 64
        Reference columns of each array.

    Notes
    -----
    Every row is driven alike when a reference is read, once after programming and once now; each read has the read
    noise of its time. Not modelled: the converter that digitises the reference.
    """

    columns: int = 1

    def __post_init__(self):
        _checks.integer(self.columns, who="ReferenceColumns", name="columns", low=1, high=64)

    @property
    def reference_columns(self):
        return self.columns

    def tables(self, engine, aged):
        back = engine.tables.back.copy()
        for index, held in enumerate(aged.tiles):
            generator = _streams.generator(aged.key[0], "reference", *aged.key[1:], index, 1)
            before, now = (_read(held.reference, aged.device, t, generator) for t in (0.0, aged.seconds))
            if now > 0:
                back[held.tile.row_tile, held.tile.columns] *= before / now
        return replace(engine.tables, back=back)


@dataclass(frozen=True)
class BatchNorm(Compensation):
    """A gain and an offset for each output channel that bring its mean and spread back to those of the exact network.

    Up to 128 of the network's samples run through the chip, layer after layer, each layer already corrected when the
    next one is measured: the statistics of a batch normalisation, recalibrated on the aged chip [1]_. Errors of earlier
    layers are seen, unlike with the other rules, and what is corrected are whole sums, not single tiles.
    """

    needs_samples = True

    def tables(self, engine, aged):
        return engine.tables

    def corrected(self, network, engines):
        picks = np.linspace(0, len(network.samples) - 1, min(len(network.samples), RECALIBRATION_IMAGES)).astype(int)
        images, engines, wanted = network.samples[picks], dict(engines), {}

        def record(layer, drive, first):
            sums = exact_multiply(layer, drive, first)
            wanted[layer.name] = _statistics(layer, sums)
            return sums

        def measure(layer, drive, first):
            sums = engines[layer.name].multiply(drive, first + CALIBRATION_READS)
            (mean, spread), (target, width) = _statistics(layer, sums), wanted[layer.name]
            gain = _slope(width, spread, 1.0)
            correction = (gain, target - gain * mean)
            engines[layer.name] = replace(engines[layer.name], correction=correction, tally=Tally())
            return engines[layer.name].corrected(sums)

        run_integer(network, images, multiply=record, batch=len(images))
        run_integer(network, images, multiply=measure, batch=len(images))
        return engines


def _statistics(layer, sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each output channel."""
    channel = LayerEngine.channel_axis(layer, sums)
    others = tuple(axis for axis in range(sums.ndim) if axis != channel)
    sums = sums.astype(np.float64)
    return sums.mean(axis=others), sums.std(axis=others)


def _read(cells: Cells, device: Device, seconds: float, generator) -> float:
    """Total conductance of reference cells in one read."""
    noise = device.read_sigma(cells, seconds) * generator.standard_normal(cells.conductance.shape)
    return float((device.conductance(cells, seconds) + noise).sum())


def _read_one_row_tile(engine: LayerEngine, weights: Weights, rows, row_tile: int, x) -> np.ndarray:
    streams = tuple(
        _streams.stream_word(engine.seed, "calibrate", row_tile, stream & 0xFFFFFFFF) for stream in engine.part.streams
    )
    tiles, exact = slice(row_tile, row_tile + 1), engine.part.packed.exact
    part = part_of(weights, rows, tiles, rows.stop - rows.start, streams, exact=exact)
    tables = engine.tables.of_row_tile(row_tile)
    return engine.convert(part, tables, x[:, None, :], 0, 0)[:, 0] + tables.constant


def _overall(read: np.ndarray, exact: np.ndarray) -> np.ndarray:
    return _slope((read * exact).sum(), (read * read).sum(), 1.0)


def _slope(product, square, fallback):
    """product / square where the samples moved the column at all; where they did not, a gain of 0 would silence it."""
    moved = (square > 1e-9) & (product != 0)
    return np.where(moved, product / np.where(moved, square, 1.0), fallback)
