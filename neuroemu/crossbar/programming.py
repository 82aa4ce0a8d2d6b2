"""Programming: the tiles of a layer are programmed once per chip, and read out later as effective weights.

A tile keeps its own cells. At a time t after programming they become, in cell levels, with n devices in parallel,

    mean = (average of G+(t) - G-(t) + frozen read noise) / step,
    variance of the fresh and slow shares = sum of (s+^2 + s-^2) / (n step)^2.
"""

from dataclasses import dataclass, replace

import numpy as np

from .. import _streams
from ..devices import Cells, Device
from .cells import CellMapping
from .mapping import Tile


@dataclass(frozen=True, eq=False)
class ProgrammedTile:
    """Cells of one tile, as programmed: G+, and G- where the mapping has pairs; and reference columns, if it has any.

    Arrays are (rows, columns), or (devices, rows, columns) with several devices in parallel.
    """

    tile: Tile
    plus: Cells
    minus: Cells | None
    reference: Cells | None = None  # (rows, reference columns)


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
        cells = [
            None if target is None else device.program(_copied(target, mapping.copies), generator)
            for target in mapping.targets(levels[tile.rows, tile.columns], top, device)
        ]
        programmed.append(ProgrammedTile(tile, *cells))
    return tuple(programmed)


def program_references(
    programmed, levels, top: int, device: Device, *, mapping: CellMapping, columns: int, seed: int, trial: int,
    layer: int,
) -> tuple[ProgrammedTile, ...]:  # fmt: skip
    """The same tiles with reference columns, whose targets are spread evenly over those of the tile's cells."""
    held = []
    for index, tile in enumerate(programmed):
        rows, where = tile.tile.rows, tile.tile.columns
        cells = [t for t in mapping.targets(levels[rows, where], top, device) if t is not None]
        sorted_targets = np.sort(np.max(cells, axis=0), axis=None)
        count = (rows.stop - rows.start) * columns
        picks = np.linspace(0, sorted_targets.size - 1, count).astype(int)
        targets = sorted_targets[picks].reshape(columns, -1).T
        generator = _streams.generator(seed, "reference", trial, layer, index, 0)
        held.append(replace(tile, reference=device.program(targets, generator)))
    return tuple(held)


def effective_weights(
    programmed, shape, top: int, device: Device, *, seconds: float, spans: tuple[float, float], merge_slow: bool, key
) -> Weights:
    """Weights as read `seconds` after programming.

    spans are (image_seconds, session_seconds), which split the read noise. `merge_slow` adds the slow share to the
    fresh one, exact where an image is read once. `key` is (seed, trial, layer) of the frozen share's stream.
    """
    step = (device.g_max - device.g_min) / top
    shares = device.read_shares(seconds, image_seconds=spans[0], session_seconds=spans[1])
    mean = np.zeros(shape, np.float32)
    total = np.zeros(shape, np.float32)  # variance of all read noise
    for index, held in enumerate(programmed):
        place = (held.tile.rows, held.tile.columns)
        difference, variance = _read(held.plus, device, seconds)
        if held.minus is not None:
            minus, more = _read(held.minus, device, seconds)
            difference, variance = difference - minus, variance + more
        generator = _streams.generator(key[0], "read", *key[1:], index)
        frozen = np.sqrt(shares.frozen * variance) * generator.standard_normal(variance.shape)
        mean[place] = (difference + frozen) / step
        total[place] = variance / step**2
    if not total.any():
        return Weights(mean, None, None)
    fresh = shares.fresh + (shares.slow if merge_slow else 0.0)
    slow = 0.0 if merge_slow else shares.slow
    return Weights(
        mean,
        total * np.float32(fresh) if fresh > 0 else None,
        np.sqrt(total * np.float32(slow)) if slow > 0 else None,
    )


def _copied(target: np.ndarray, copies: int) -> np.ndarray:
    return target if copies == 1 else np.repeat(target[None], copies, axis=0)


def _read(cells: Cells, device: Device, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """Conductance of a crossing and the variance of its read noise; the average over devices in parallel."""
    conductance, sigma = device.conductance(cells, seconds), device.read_sigma(cells, seconds)
    if conductance.ndim == 2:
        return conductance, sigma**2
    return conductance.mean(axis=0), (sigma**2).sum(axis=0) / len(sigma) ** 2
