"""Engine: one programmed layer as the function that multiplies. Enter drives, leave digitised sums and event counts.

The path of a sum: DAC - planes - rows of each tile - noisy column sum - ADC - digital gain and offset - sum over row
tiles - sum over planes and slices. The hot loop is kernels.crossbar.mvm; here are only the tables that it reads. Cells
of two levels that are driven by bits take a path of their own where that is exact, see `binary`.
"""

from dataclasses import dataclass, field
from threading import Lock

import numpy as np

from .. import kernels
from ..network import layers as L
from . import mapping
from .binary import BinaryPart
from .cells import Layout
from .converters import ColumnConverter, RowDriver
from .drivers import Drivers
from .heat import Heat
from .inputs import InputScheme
from .power_series import PowerSeries, stacked
from .programming import Weights
from .tables import Tables
from .wired import Wired


@dataclass(eq=False)
class Tally:
    """Events of one layer, added up while it runs, by any number of threads."""

    drives: int = 0  # rows driven in one array of each row tile and plane, times the allocated arrays of that row tile
    adc_clips: int = 0
    vectors: int = 0
    lock: Lock = field(default_factory=Lock, repr=False)

    def add(self, *, vectors: int = 0, drives: int = 0, adc_clips: int = 0):
        """Count more events."""
        with self.lock:
            self.vectors += vectors
            self.drives += drives
            self.adc_clips += adc_clips


@dataclass(frozen=True, eq=False)
class Part:
    """Row tiles that one kernel call reads: all of a layer, or one where compensation is fitted."""

    packed: object
    tiles: slice
    streams: tuple[int, int, int]  # of the fresh and the slow read noise, and of the drivers' noise


@dataclass(frozen=True, eq=False)
class LayerEngine:
    """A layer on its tiles, ready to read. `multiply` is its only verb."""

    layer: L.Weighted
    shape: tuple[int, ...]  # of the layer's output
    layout: Layout
    part: Part
    rows_per_tile: int
    dac: RowDriver
    dac_scale: float
    inputs: InputScheme
    planes: int
    adc: ColumnConverter
    tables: Tables
    seed: int
    threads: int
    arrays: np.ndarray  # int, allocated arrays of each row tile
    known: np.ndarray | None = None  # (T, M), what zero weights add to outputs for each drive step of a row tile
    drivers: Drivers | None = None  # with errors
    folded: object = None  # packed weights of outputs, where planes and slices may be added before the product
    counted: BinaryPart | None = None  # where reads are exact counts
    correction: tuple[np.ndarray, np.ndarray] | None = None  # digital gain and offset of each output channel
    conduction: PowerSeries | None = None  # of cells that are not ohmic
    wired: Wired | None = None  # where each read is a circuit of its own
    wire_loss: float = 0.0  # share of the column currents that wires take away
    writes: int = 0  # of cells, in programming the layer once
    heat: Heat | None = None  # of the cells, where it is counted
    tally: Tally = field(default_factory=Tally)

    def multiply(self, drive: np.ndarray, first: int) -> np.ndarray:
        """Weighted sums (B, *shape) of `drive`, whose first input has index `first` in the run."""
        x = mapping.drive_rows(self.layer, drive)
        self.tally.add(vectors=x.shape[0] * x.shape[1])
        sums = self.read(x, first)
        if self.dac_scale != 1.0:
            sums /= self.dac_scale
        return self.corrected(mapping.from_columns(self.layer, sums, self.shape))

    def corrected(self, sums: np.ndarray) -> np.ndarray:
        """Sums (B, *shape) behind the digital gain and offset of each output channel."""
        if self.correction is None:
            return sums
        axis = self.channel_axis(self.layer, sums)
        gain, offset = (np.expand_dims(v, tuple(range(1, sums.ndim - axis))) for v in self.correction)
        return sums * gain + offset

    @staticmethod
    def channel_axis(layer: L.Weighted, sums: np.ndarray) -> int:
        """Which axis of a layer's sums (B, ...) counts its outputs."""
        return sums.ndim - 1 if isinstance(layer, L.Dense) else 1

    def read(self, x: np.ndarray, first: int) -> np.ndarray:
        """Outputs (B, P, M), in level-times-drive units, of row inputs (B, P, K)."""
        x = self.layout.driven(x)
        if self.heat is not None:
            whole = np.asarray(x, np.float32) if self.dac_scale == 1.0 else self.dac.steps(x, self.dac_scale)
            self.heat.add(whole)
        total = self._read_rows(x, first)
        if self.known is not None:
            starts = np.arange(0, x.shape[-1], self.rows_per_tile)
            driven = np.add.reduceat(self.dac.steps(x, self.dac_scale), starts, axis=-1, dtype=np.float64)
            for row_tile, known in enumerate(self.known):
                total -= driven[..., row_tile, None] * known
        return total

    def _read_rows(self, x: np.ndarray, first: int) -> np.ndarray:
        """Outputs of what drives the rows (B, P, R), before the digital side subtracts what it knows."""
        if self.counted is not None:
            return self.counted.read(self, x, first)
        if self.folded is not None:
            return self._read_folded(x, first)
        if not self.inputs.splits:
            columns, constant = self.convert(self.part, self.tables, x, first, 0), self.tables.constant
            return self.layout.outputs(np.add(columns, constant, out=columns) if constant.any() else columns)
        total = np.zeros((*x.shape[:2], self.layout.levels.shape[1]))
        steps = self.dac.steps(x, self.dac_scale)
        for number, plane in enumerate(self.inputs.split(steps, self.planes)):
            self.convert(self.part, self.tables, plane, first, number, into=total)
        total += self.tables.constant * self._weight_of_planes()
        return self.layout.outputs(total)

    @property
    def is_linear(self) -> bool:
        """Whether sums are linear in the drive steps, so that planes and slices may be added before the product."""
        lossless = self.tables.step is None and self.drivers is None and self.conduction is None and self.wired is None
        return lossless and not self.part.packed.has_fresh_noise

    def convert(
        self, part: Part, tables: Tables, x: np.ndarray, first: int, number: int, into: np.ndarray | None = None
    ) -> np.ndarray:
        """Sums over the row tiles of `part`, (B, P, C) in column-sum units, of its rows' drive x (B, P, rows).

        `into` is increased by the sums of plane `number` with its weight.
        """
        out = np.empty((*x.shape[:2], tables.back.shape[1])) if into is None else into
        weight = 1.0 if into is None else self.inputs.weight(number)
        clipped = np.zeros(part.packed.n_row_tiles, np.int64)
        driver, rows, packed = self._driver(part), x, part.packed
        if self.conduction is not None:
            driver, rows = {}, self.conduction.rows(self._put_out(part, x), self.rows_per_tile)
        if self.wired is not None:
            plane = (number, self.planes)
            driver, packed = {}, self.wired.unmixed(part.tiles)
            rows = self.wired.sums(self._put_out(part, x), part.tiles, part.streams, first, plane)
        _, driven = kernels.crossbar.mvm(
            packed, np.ascontiguousarray(rows, np.float32), out, **driver, **self._converter(tables, weight),
            seed=self.seed, stream=part.streams[0], slow_stream=part.streams[1], dac_stream=part.streams[2],
            image_offset=first, read_number=number, threads=self.threads, clipped=clipped, accumulate=into is not None,
        )  # fmt: skip
        if self.conduction is not None or self.wired is not None:
            driven = np.count_nonzero(self._codes(x))  # of the kernel's rows, some stand for the same row of the tile
        arrays = self.arrays[part.tiles]
        even = (arrays == arrays[0]).all()
        drives = driven * int(arrays[0]) if even else self._drives(self._codes(x) != 0)
        self.tally.add(adc_clips=int(clipped.sum()), drives=drives)
        return out

    def _weight_of_planes(self) -> float:
        return float(sum(map(self.inputs.weight, range(self.planes))))

    def _read_folded(self, x: np.ndarray, first: int) -> np.ndarray:
        """Outputs of one product with the whole drive steps; events are counted as those of all planes."""
        steps = self.dac.steps(x, self.dac_scale)
        out = np.empty((*x.shape[:2], self.folded.M))
        kernels.crossbar.mvm(
            self.folded, np.ascontiguousarray(steps, np.float32), out, seed=self.seed,
            slow_stream=self.part.streams[1], image_offset=first, threads=self.threads,
        )  # fmt: skip
        self.tally.add(drives=self._drives(self._reads_that_drive(steps)))
        out += self.layout.outputs(self.tables.constant * self._weight_of_planes())
        return out

    def _reads_that_drive(self, steps: np.ndarray) -> np.ndarray:
        """In how many reads each input drives its row."""
        if not self.inputs.splits:
            return steps != 0
        magnitude = np.abs(steps).astype(np.intp)
        every = np.arange(int(magnitude.max(initial=0)) + 1, dtype=np.float32)
        planes = self.inputs.split(every, self.planes)
        return sum((plane != 0).astype(np.uint8) for plane in planes)[magnitude]

    def _drives(self, reads: np.ndarray) -> int:
        """Drives (B, P, K) of rows, added up over the arrays that each row drives."""
        by_row = reads.reshape(-1, reads.shape[-1]).sum(axis=0, dtype=np.int64)
        return int(np.add.reduceat(by_row, np.arange(0, by_row.size, self.rows_per_tile)) @ self.arrays)

    def _codes(self, x: np.ndarray) -> np.ndarray:
        """Whole drive steps of what `convert` gets."""
        return x if self.inputs.splits else self.dac.steps(x, self.dac_scale)

    def _put_out(self, part: Part, x: np.ndarray) -> np.ndarray:
        """Drives of the rows of what `convert` gets, by the drivers' own levels."""
        codes = self._codes(x)
        if self.drivers is None or self.drivers.levels is None:
            return codes
        levels = self._rows_of(part, self.drivers.levels)
        return levels[np.arange(len(levels)), codes.astype(np.intp) + self.drivers.limit]

    def _rows_of(self, part: Part, table: np.ndarray) -> np.ndarray:
        return table[part.tiles.start * self.rows_per_tile : part.tiles.stop * self.rows_per_tile]

    def _driver(self, part: Part) -> dict:
        """The kernel rounds inputs to drive steps, unless they come as planes of whole steps."""
        given = {"dac_scale": self.dac_scale, "dac_limit": self.dac.limit}
        if self.inputs.splits or self.dac.limit is None:
            given = {}
        if self.drivers is None:
            return given
        whole = {"dac_scale": 1.0, "dac_limit": self.drivers.limit}  # planes fit as they are
        table = None if self.drivers.levels is None else self._rows_of(part, self.drivers.levels)
        return (given or whole) | {"dac_noise": self.drivers.noise, "dac_table": table}

    def _converter(self, tables: Tables, weight: float) -> dict:
        back = tables.back if weight == 1.0 else tables.back * np.float32(weight)
        if tables.step is None:
            return {"adc_back": back}
        given = {"adc_step": tables.step, "adc_back": back, "adc_limit": self.adc.limit}
        edges = None if tables.edges is None else np.asarray(tables.edges, np.float32)
        return given | {"adc_noise": self.adc.noise, "adc_offset": tables.offset, "adc_edges": edges}


def part_of(
    weights: Weights, rows: slice, tiles: slice, rows_per_tile: int, streams, *, exact: bool = False, idle=None
) -> Part:
    """The rows of a layer's weights in the kernel's order.

    `exact` sums are float64. `idle` (R,) marks rows that are not built and never driven, if there are any.
    """

    def cut(array):
        return None if array is None else np.ascontiguousarray(array[rows])

    mean, variance, sigma = cut(weights.mean), cut(weights.fresh_variance), cut(weights.slow_sigma)
    by_column = None
    if weights.further:
        quiet = [np.zeros_like(mean)] * len(weights.further)
        mean = stacked([mean, *(cut(part) for part in weights.further)], rows_per_tile, axis=0)
        variance, sigma = (
            None if noise is None else stacked([noise, *quiet], rows_per_tile, axis=0) for noise in (variance, sigma)
        )
    else:
        by_column = _same_in_all_rows(variance, rows_per_tile, None if idle is None else idle[rows])
    packed = kernels.crossbar.pack(
        mean, variance if by_column is None else None, sigma, rows_per_tile * (1 + len(weights.further)),
        column_variance=by_column, exact=exact,
    )  # fmt: skip
    return Part(packed, tiles, streams)


def _same_in_all_rows(variance: np.ndarray | None, rows_per_tile: int, idle: np.ndarray | None) -> np.ndarray | None:
    """Variances (T, C) of columns where each is the same in all rows of a tile that are built, or None.

    Then sum_r d_r^2 V_r = V sum_r d_r^2, and the kernel needs no second product.
    """
    if variance is None:
        return None
    found = []
    for start in range(0, len(variance), rows_per_tile):
        built = variance[start : start + rows_per_tile]
        built = built if idle is None else built[~idle[start : start + rows_per_tile]]
        if (built != built[:1]).any():
            return None
        found.append(built[0] if len(built) else np.zeros_like(variance[0]))
    return np.stack(found)
