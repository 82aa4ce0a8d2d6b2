"""Engine: one programmed layer as the function that multiplies. Enter drives, leave digitised sums and event counts.

The path of a sum: DAC - planes - rows of each tile - noisy column sum - ADC - digital gain and offset - sum over row
tiles - sum over planes and slices. The hot loop is kernels.crossbar.mvm; here are only the tables that it reads. Cells
of two levels driven by bits take a path of their own where that is exact, see `binary`.
Nonlinear converters are looked up behind it, in codes that the kernel rounds 2^20 / L times finer.
"""

from dataclasses import dataclass, field

import numpy as np

from .. import kernels
from ..network import layers as L
from . import mapping
from .binary import BinaryPart
from .cells import Layout
from .converters import ColumnConverter, RowDriver
from .inputs import InputScheme
from .programming import Weights
from .sar import codes_of
from .tables import Tables

FINE = 1 << 20  # kernel codes from zero to full scale in front of a table of edges; its limit is four times that


@dataclass(eq=False)
class Tally:
    """Events of one layer, added up while it runs."""

    drives: int = 0  # rows driven in one array of each row tile and plane, times the allocated arrays of that row tile
    adc_clips: int = 0
    vectors: int = 0


@dataclass(frozen=True, eq=False)
class Part:
    """Row tiles that one kernel call reads."""

    packed: object
    rows: slice
    tiles: slice
    streams: tuple[int, int]  # of the fresh and of the slow read noise


@dataclass(frozen=True, eq=False)
class LayerEngine:
    """A layer on its tiles, ready to read. `multiply` is its only verb."""

    layer: L.Weighted
    shape: tuple[int, ...]  # of the layer's output
    layout: Layout
    parts: tuple[Part, ...] | tuple[BinaryPart]
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
    correction: tuple[np.ndarray, np.ndarray] | None = None  # digital gain and offset of each output channel
    tally: Tally = field(default_factory=Tally)

    def multiply(self, drive: np.ndarray, first: int) -> np.ndarray:
        """Weighted sums (B, *shape) of `drive`, whose first input has index `first` in the run."""
        x = mapping.drive_rows(self.layer, drive)
        self.tally.vectors += x.shape[0] * x.shape[1]
        return self.corrected(mapping.from_columns(self.layer, self.read(x, first) / self.dac_scale, self.shape))

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
        total = self._read_planes(x, first)
        if self.known is not None:
            starts = np.arange(0, x.shape[-1], self.rows_per_tile)
            driven = np.add.reduceat(self.dac.steps(x, self.dac_scale), starts, axis=-1, dtype=np.float64)
            for row_tile, known in enumerate(self.known):
                total -= driven[..., row_tile, None] * known
        return total

    def _read_planes(self, x: np.ndarray, first: int) -> np.ndarray:
        """Outputs before the digital side subtracts what it knows."""
        if isinstance(self.parts[0], BinaryPart):
            return self.parts[0].read(self, x, first)
        if not self.inputs.splits:
            return self.layout.outputs(self._read_plane(x, first, 0))
        total = np.zeros((*x.shape[:2], self.layout.terms.shape[1]))
        steps = self.dac.steps(x, self.dac_scale)
        for number, plane in enumerate(self.inputs.split(steps, self.planes)):
            total += self.layout.outputs(self._read_plane(plane, first, number)) * self.inputs.weight(number)
        return total

    def convert(self, part: Part, tables: Tables, x: np.ndarray, first: int, number: int) -> np.ndarray:
        """Sums over the row tiles of `part`, (B, P, C) in column-sum units, of its rows' drive x (B, P, rows)."""
        out = np.empty((*x.shape[:2], tables.back.shape[1]))
        clipped = np.zeros(part.packed.n_row_tiles, np.int64)
        _, driven = kernels.crossbar.mvm(
            part.packed, np.ascontiguousarray(x, np.float32), out, **self._driver(), **self._converter(tables),
            seed=self.seed, stream=part.streams[0], slow_stream=part.streams[1], image_offset=first,
            read_number=number, threads=self.threads, clipped=clipped,
        )  # fmt: skip
        if tables.edges is not None:
            out, clipped = self._looked_up(out, tables)
        self.tally.adc_clips += int(clipped.sum())
        arrays = self.arrays[part.tiles]
        even = (arrays == arrays[0]).all()
        self.tally.drives += driven * int(arrays[0]) if even else self._drives(x)
        return out

    def _read_plane(self, x: np.ndarray, first: int, number: int) -> np.ndarray:
        """Compensated sums (B, P, C) of one read."""
        total = self.tables.constant
        for part in self.parts:
            whole = len(self.parts) == 1
            tables = self.tables if whole else self.tables.of_row_tile(part.tiles.start)
            total = self.convert(part, tables, x if whole else x[:, :, part.rows], first, number) + total
        return total

    def _drives(self, x: np.ndarray) -> int:
        """DAC conversions that are not zero, each array's rows counted apart, where row tiles have unequal arrays."""
        live = np.abs(x) * np.float32(self.dac_scale) > 0.5 if self._driver() else x != 0
        by_row = np.count_nonzero(live.reshape(-1, x.shape[-1]), axis=0)
        return int(np.add.reduceat(by_row, np.arange(0, x.shape[-1], self.rows_per_tile)) @ self.arrays)

    def _driver(self) -> dict:
        """The kernel rounds inputs to drive steps, unless they come as planes of whole steps."""
        if self.inputs.splits or self.dac.limit is None:
            return {}
        return {"dac_scale": self.dac_scale, "dac_limit": self.dac.limit}

    def _converter(self, tables: Tables) -> dict:
        if tables.step is None:
            return {"adc_back": tables.back}
        if tables.edges is None:
            given = {"adc_step": tables.step, "adc_back": tables.back, "adc_limit": self.adc.limit}
            return given | {"adc_noise": self.adc.noise, "adc_offset": tables.offset}
        finer = np.float32(FINE // (self.adc.limit + 1))
        given = {"adc_step": tables.step / finer, "adc_offset": tables.offset * finer, "adc_limit": 4 * FINE - 1}
        return given | {"adc_noise": self.adc.noise * float(finer)}

    def _looked_up(self, fine: np.ndarray, tables: Tables) -> tuple[np.ndarray, np.ndarray]:
        """Values of codes by the converters' edges, and how many conversions were out of range."""
        steps = fine.reshape(-1, fine.shape[-1]) / (FINE // (self.adc.limit + 1))
        clipped = np.count_nonzero((np.abs(steps) > self.adc.limit + 0.5) & (tables.back[0] != 0))
        return (codes_of(steps, tables.edges[0]) * tables.back[0]).reshape(fine.shape), np.array([clipped])


def part_of(weights: Weights, rows: slice, tiles: slice, rows_per_tile: int, streams) -> Part:
    """The rows of a layer's weights in the kernel's order."""

    def cut(array):
        return None if array is None else np.ascontiguousarray(array[rows])

    packed = kernels.crossbar.pack(
        cut(weights.mean), cut(weights.fresh_variance), cut(weights.slow_sigma), rows_per_tile
    )
    return Part(packed, rows, tiles, streams)
