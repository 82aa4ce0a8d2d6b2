"""Wired: cells read through wires that have resistance. Enter programmed tiles; leave weights, and reads with noise.

Without read noise a tile with its wires is a linear operator (`wires.transfer`), and its weights are that operator: a
read costs what it costs without wires. Noise that lasts for the session moves the conductances before that. Noise that
is fresh at each read, or lasts for an image, moves the operator at each read: each vector is a circuit of its own.

    "exact"         the circuit with the conductances of this read, solved for each vector
    "first_order"   I = V T + what currents dG u beside the cells add, see `operating_point`

G+ and G- are arrays of their own, each with its own wires, as large as what the tile holds of the layer, at the corner
next to the drivers and the sense amplifiers. Rows are numbered away from the far end: the last row is next to the sense
amplifiers, the first column next to the drivers. A row that is not driven is at 0 V.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .. import _streams, kernels
from ..devices import Device
from .operating_point import OperatingPoint, bytes_of, operating_point, packed, product
from .programming import ProgrammedTile, Weights, cells_read
from .wires import Wires, solve_each, transfer

NOISES = ("exact", "first_order")
CHUNK_BYTES = 1 << 23  # of the circuits that are solved together
OPERATOR_BYTES = 1 << 27  # a layer, of the operators of its operating points; tiles beyond it do without
TOLERANCE = 1e-9  # of the exact mode, relative; sums are rounded to float32 later


@dataclass(frozen=True, eq=False)
class WiredTile:
    """One tile: conductances g (P, R, C) of all devices of a crossing, and the deviations of their noise, siemens.

    fresh and slow are float32. `mean` is the packed operator without noise, in levels, and `points` are the operating
    points of the P arrays, both for reads to first order.
    """

    rows: slice
    columns: slice
    row_tile: int
    g: np.ndarray
    fresh: np.ndarray
    slow: np.ndarray
    mean: object
    points: tuple[OperatingPoint, ...] = ()


@dataclass(frozen=True, eq=False)
class Wired:
    """Reads of one layer in which each vector is a circuit of its own.

    `unit` is the conductance of one level of a crossing, siemens; T row tiles of C physical columns.
    """

    tiles: tuple[WiredTile, ...]
    wires: Wires
    unit: float
    columns: int
    rows_per_tile: int
    seed: int
    threads: int

    def sums(self, drive: np.ndarray, row_tiles: slice, streams, first: int, plane: tuple[int, int]) -> np.ndarray:
        """Column sums (B, P, T C), in level-times-drive units, of drive steps (B, P, rows of those row tiles).

        `plane` is (number, count), of the reads of one vector.
        """
        count = row_tiles.stop - row_tiles.start
        sums = np.zeros((*drive.shape[:2], count, self.columns))
        for index, tile in enumerate(self.tiles):
            if not row_tiles.start <= tile.row_tile < row_tiles.stop:
                continue
            start = tile.rows.start - row_tiles.start * self.rows_per_tile
            part = drive[:, :, start : start + tile.g.shape[1]].astype(np.float64)
            keys = [_streams.stream_word(self.seed, "read", word & 0xFFFFFFFF, index) for word in streams[:2]]
            sums[:, :, tile.row_tile - row_tiles.start, tile.columns] = self._read(tile, part, keys, first, plane)
        return sums.reshape(*drive.shape[:2], count * self.columns)

    def unmixed(self, row_tiles: slice):
        """Packed weights that hand the sums on to the converters as they are."""
        count = row_tiles.stop - row_tiles.start
        return kernels.crossbar.pack(
            np.tile(np.eye(self.columns, dtype=np.float32), (count, 1)), None, None, self.columns
        )

    def _read(self, tile: WiredTile, drive: np.ndarray, keys, first: int, plane) -> np.ndarray:
        images, patches, rows = drive.shape
        vectors = drive.reshape(-1, rows)
        out = np.empty((len(vectors), tile.g.shape[2]))
        step = max(1, CHUNK_BYTES // (8 * tile.g.size))
        for start in range(0, len(vectors), step):
            numbers = np.arange(start, min(start + step, len(vectors))) + first * patches
            chunk = slice(start, start + len(numbers))
            out[chunk] = self._currents(tile, vectors[chunk], keys, numbers, patches, plane)
        return out.reshape(images, patches, -1)

    def _currents(self, tile, drive, keys, numbers, patches: int, plane) -> np.ndarray:
        """Sums of vectors whose numbers in the run are given."""
        if not (tile.fresh.any() or tile.slow.any()):
            return product(tile.mean, drive, self.threads)
        if tile.fresh.any():
            change = self._normals(tile, keys[0], numbers * plane[1] + plane[0])
            change *= tile.fresh
        else:
            change = np.zeros((len(drive), *tile.g.shape), np.float32)
        if tile.slow.any():
            images, which = np.unique(numbers // patches, return_inverse=True)
            change += (tile.slow * self._normals(tile, keys[1], images))[which]
        arrays = zip(change.swapaxes(0, 1), (1.0, -1.0), strict=False)
        if not tile.points:
            return sum(sign * self._solved(g, moved, drive) for g, (moved, sign) in zip(tile.g, arrays, strict=True)
                       ) / self.unit  # fmt: skip
        noise = sum(
            sign * point.added(drive, moved, threads=self.threads)
            for point, (moved, sign) in zip(tile.points, arrays, strict=True)
        )
        return product(tile.mean, drive, self.threads) + noise / self.unit

    def _solved(self, g, change, drive):
        noisy = np.maximum(g + change, 0.0)
        return solve_each(noisy, drive, self.wires, threads=self.threads, tolerance=TOLERANCE)

    def _normals(self, tile, key: int, numbers: np.ndarray) -> np.ndarray:
        """Standard normals for the cells of a tile, (N, P, R, C), of reads or images with these rising numbers."""
        out = np.empty((len(numbers), tile.g.size), np.float32)
        if numbers[-1] - numbers[0] == len(numbers) - 1:  # neighbours in the sequence
            kernels.crossbar.normals(out.reshape(-1), self.seed, key, int(numbers[0]) * tile.g.size)
        else:
            for values, number in zip(out, numbers, strict=True):
                kernels.crossbar.normals(values, self.seed, key, int(number) * tile.g.size)
        return out.reshape(-1, *tile.g.shape)


def wired_weights(
    programmed: Sequence[ProgrammedTile], shape, top: int, device: Device, *, seconds: float,
    spans: tuple[float, float], key, wires: Wires, noise: str, rows_per_tile: int, threads: int,
) -> tuple[Weights, Wired | None, float]:  # fmt: skip
    """Weights with wires `seconds` after programming, reads with noise (None if there is none), and the loss.

    The loss is the share of the column currents, of G+ and G- together, that the wires take away when all rows are
    driven alike. Arguments are those of `programming.effective_weights`.
    """
    mean, tiles = np.zeros(shape, np.float32), []
    ideal = wired = 0.0
    room = OPERATOR_BYTES
    for index, held in enumerate(programmed):
        generator = _streams.generator(key[0], "read", *key[1:], index)
        g, fresh, slow = cells_read(held.cells, device, seconds, spans, generator)
        operators = transfer(g, wires, threads=threads)
        ideal, wired = ideal + g.sum(), wired + operators.sum()
        copies = held.cells.conductance.shape[1] if held.cells.conductance.ndim == 4 else 1
        unit = (device.g_max - device.g_min) / top * copies
        difference = operators[0] - operators[1] if len(operators) > 1 else operators[0]
        mean[held.tile.rows, held.tile.columns] = difference / unit
        points: tuple[OperatingPoint, ...] = ()
        if noise == "first_order" and (fresh.any() or slow.any()):
            needed = len(g) * bytes_of(g.shape[1:])
            dense = needed <= room
            room -= needed if dense else 0
            points = tuple(operating_point(array, wires, dense=dense, threads=threads) for array in g)
        sigmas = fresh.astype(np.float32), slow.astype(np.float32)
        where = held.tile.rows, held.tile.columns, held.tile.row_tile
        tiles.append(WiredTile(*where, g, *sigmas, packed(difference / unit), points))
    weights = Weights(mean, None, None)
    loss = float(1.0 - wired / ideal) if ideal > 0 else 0.0
    if not any(tile.fresh.any() or tile.slow.any() for tile in tiles):
        return weights, None, loss
    reads = Wired(tuple(tiles), wires, unit, shape[1], rows_per_tile, key[0], threads)
    return weights, reads, loss
