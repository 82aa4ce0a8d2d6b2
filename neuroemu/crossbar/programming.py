"""Programming: the tiles of a layer are programmed once per chip, and read out later as effective weights.

A tile keeps its own cells. At a time t after programming they become, in cell levels, with n devices in parallel,

    mean = (average of G+(t) - G-(t) + frozen read noise) / step,
    variance of the fresh and slow shares = sum of (s+^2 + s-^2) / (n step)^2.

Each cell splits its read noise by its own time scales. The frozen share of a telegraph trap is full or empty; all other
noise is normal.
"""

from dataclasses import dataclass, replace

import numpy as np

from .. import _streams
from ..devices import Cells, Device
from .cells import CellMapping
from .mapping import Tile


@dataclass(frozen=True, eq=False)
class ProgrammedTile:
    """Cells of one tile, as programmed in one call, so that a device that knows arrays sees the lines they share.

    Arrays are (P, rows, columns), or (P, devices, rows, columns) with several devices in parallel: P is 2 where the
    mapping has pairs, G+ first, and 1 where cells stand alone. All share the word lines; each of the P has its own bit
    lines.
    """

    tile: Tile
    cells: Cells
    reference: Cells | None = None  # (1, rows, reference columns)

    @property
    def plus(self) -> Cells:
        """Cells of G+ alone."""
        return _plane(self.cells, 0)

    @property
    def minus(self) -> Cells | None:
        """Cells of G- alone; None where cells stand alone."""
        return _plane(self.cells, 1) if len(self.cells.conductance) > 1 else None


@dataclass(frozen=True, eq=False)
class Weights:
    """A layer's effective weights at one time, all float32 (K, C), in cell levels."""

    mean: np.ndarray
    fresh_variance: np.ndarray | None
    slow_sigma: np.ndarray | None
    further: tuple[np.ndarray, ...] = ()  # weights of the further sets of rows of cells that are not ohmic; conduction


def program(
    levels, tiles, top: int, device: Device, *, mapping: CellMapping, seed: int, trial: int, layer: int
) -> tuple[ProgrammedTile, ...]:
    """Program every tile of a layer; each draws from a stream of its own."""
    programmed = []
    for index, tile in enumerate(tiles):
        generator = _streams.generator(seed, "program", trial, layer, index)
        programmed.append(program_tile(tile, levels[tile.rows, tile.columns], top, device, mapping, generator))
    return tuple(programmed)


def program_tile(
    tile: Tile, levels: np.ndarray, top: int, device: Device, mapping: CellMapping, generator
) -> ProgrammedTile:
    """Program the cells of one tile to its `levels` (rows, columns)."""
    targets = [target for target in mapping.targets(levels, top, device) if target is not None]
    stacked = np.stack([_copied(target, mapping.copies) for target in targets])
    return ProgrammedTile(tile, device.program(stacked, generator))


def levels_read(cells: Cells, top: int, device: Device, *, seconds: float) -> np.ndarray:
    """Levels (rows, columns) of a tile's cells, as a long read without noise shows them."""
    return _difference(device.conductance(cells, seconds)) / ((device.g_max - device.g_min) / top)


def program_references(
    programmed, levels, top: int, device: Device, *, mapping: CellMapping, columns: int, seed: int, trial: int,
    layer: int,
) -> tuple[ProgrammedTile, ...]:  # fmt: skip
    """The same tiles with reference columns, whose targets are spread evenly over those of the tile's cells."""
    held = []
    for index, tile in enumerate(programmed):
        targets = reference_targets(tile.tile, levels, top, device, mapping, columns)
        generator = _streams.generator(seed, "reference", trial, layer, index, 0)
        held.append(replace(tile, reference=device.program(targets, generator)))
    return tuple(held)


def reference_targets(
    tile: Tile, levels: np.ndarray, top: int, device: Device, mapping: CellMapping, columns: int
) -> np.ndarray:
    """Targets (1, rows, columns), siemens, of the reference columns of a tile."""
    cells = [t for t in mapping.targets(levels[tile.rows, tile.columns], top, device) if t is not None]
    sorted_targets = np.sort(np.max(cells, axis=0), axis=None)
    count = (tile.rows.stop - tile.rows.start) * columns
    picks = np.linspace(0, sorted_targets.size - 1, count).astype(int)
    return sorted_targets[picks].reshape(columns, -1).T[None]


def effective_weights(
    programmed, shape, top: int, device: Device, *, seconds: float, spans: tuple[float, float], merge_slow: bool, key
) -> Weights:
    """Weights as read `seconds` after programming.

    spans are (image_seconds, session_seconds), which split the read noise. `merge_slow` adds the slow share to the
    fresh one, exact where an image is read once. `key` is (seed, trial, layer) of the frozen share's stream.
    """
    step = (device.g_max - device.g_min) / top
    mean, fresh, slow = (np.zeros(shape, np.float32) for _ in range(3))
    for index, held in enumerate(programmed):
        place = (held.tile.rows, held.tile.columns)
        generator = _streams.generator(key[0], "read", *key[1:], index)
        read = _read(held.cells, device, seconds, spans, generator)
        mean[place], fresh[place], slow[place] = read[0] / step, read[1] / step**2, read[2] / step**2
    if merge_slow:
        fresh, slow = fresh + slow, np.zeros_like(slow)
    return Weights(mean, fresh if fresh.any() else None, np.sqrt(slow) if slow.any() else None)


def _copied(target: np.ndarray, copies: int) -> np.ndarray:
    return target if copies == 1 else np.repeat(target[None], copies, axis=0)


def _plane(cells: Cells, index: int) -> Cells:
    nu = np.asarray(cells.drift_exponent)
    return Cells(
        cells.conductance[index],
        nu[index] if nu.ndim else cells.drift_exponent,
        None if cells.stuck is None else cells.stuck[index],
        {name: array[index] for name, array in cells.state.items()},
    )


def cells_read(cells: Cells, device: Device, seconds: float, spans, generator):
    """Conductances with their frozen noise, and deviations of the fresh and slow noise, of whole crossings (P, R, C).

    Devices in parallel add up; no conductance is below 0.
    """
    conductance, frozen, fresh, slow = _settled(cells, device, seconds, spans, generator)
    conductance = conductance + np.sqrt(frozen) * generator.standard_normal(frozen.shape)
    if conductance.ndim == 4:
        conductance, fresh, slow = conductance.sum(axis=1), fresh.sum(axis=1), slow.sum(axis=1)
    return np.maximum(conductance, 0.0), np.sqrt(fresh), np.sqrt(slow)


def _read(cells: Cells, device: Device, seconds: float, spans, generator):
    """Conductance of each crossing with its frozen noise, and the variances of its fresh and slow noise."""
    conductance, frozen, fresh, slow = _settled(cells, device, seconds, spans, generator)
    mean = _difference(conductance)
    mean = mean + np.sqrt(_summed(frozen)) * generator.standard_normal(mean.shape)
    return mean, _summed(fresh), _summed(slow)


def _settled(cells: Cells, device: Device, seconds: float, spans, generator):
    """Conductances with traps that are full or empty for the session, and variances: frozen and normal, fresh, slow."""
    variance = device.read_sigma(cells, seconds) ** 2
    shares = device.read_shares(seconds, image_seconds=spans[0], session_seconds=spans[1], cells=cells)
    conductance, normal = device.conductance(cells, seconds), variance * shares.frozen
    for trap in shares.traps:
        p, held = trap.occupancy, variance * trap.share
        full = generator.random(variance.shape) < p
        conductance = conductance + np.sqrt(held / (p * (1 - p))) * (full - p)
        normal = np.maximum(normal - held, 0.0)
    return conductance, normal, variance * shares.fresh, variance * shares.slow


def _difference(cells: np.ndarray) -> np.ndarray:
    """G+ - G- of each crossing, or G where cells stand alone; the average over devices in parallel."""
    cells = cells.mean(axis=1) if cells.ndim == 4 else cells
    return cells[0] - cells[1] if len(cells) > 1 else cells[0]


def _summed(variance: np.ndarray) -> np.ndarray:
    """Variance of that difference."""
    variance = variance.sum(axis=1) / variance.shape[1] ** 2 if variance.ndim == 4 else variance
    return variance.sum(axis=0)
