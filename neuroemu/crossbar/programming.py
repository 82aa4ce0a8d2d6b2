"""Programming: the tiles of a layer are programmed once per chip, and read out later as effective weights.

A tile keeps its own G+ and G-. At a time t after programming they become, in weight-code units,

    mean = (G+(t) - G-(t) + frozen read noise) / step,   variance of the fresh and slow shares = (s+^2 + s-^2) / step^2.
"""

from dataclasses import dataclass

import numpy as np

from .. import _streams
from ..devices import Cells, Device
from .mapping import Tile, pair_targets


@dataclass(frozen=True, eq=False)
class ProgrammedTile:
    """G+ and G- of one tile, as programmed."""

    tile: Tile
    plus: Cells
    minus: Cells


@dataclass(frozen=True, eq=False)
class Weights:
    """A layer's effective weights at one time, all float32 (K, M), in weight-code units."""

    mean: np.ndarray
    fresh_variance: np.ndarray | None
    slow_sigma: np.ndarray | None


def program(
    codes, tiles, largest: int, device: Device, *, seed: int, trial: int, layer: int
) -> tuple[ProgrammedTile, ...]:
    """Program every tile of a layer; each draws from a stream of its own."""
    programmed = []
    for index, tile in enumerate(tiles):
        generator = _streams.generator(seed, "program", trial, layer, index)
        plus, minus = pair_targets(codes[tile.rows, tile.columns], largest, device)
        programmed.append(ProgrammedTile(tile, device.program(plus, generator), device.program(minus, generator)))
    return tuple(programmed)


def effective_weights(
    programmed,
    shape,
    largest: int,
    device: Device,
    *,
    seconds: float,
    spans: tuple[float, float],
    merge_slow: bool,
    key,
) -> Weights:
    """Weights as read `seconds` after programming.

    spans are (image_seconds, session_seconds), which split the read noise. `merge_slow` adds the slow share to the
    fresh one, exact where an image is read once. `key` is (seed, trial, layer) of the frozen share's stream.
    """
    step = (device.g_max - device.g_min) / largest
    shares = device.read_shares(seconds, image_seconds=spans[0], session_seconds=spans[1])
    mean = np.zeros(shape, np.float32)
    total = np.zeros(shape, np.float32)  # variance of all read noise
    for index, held in enumerate(programmed):
        place = (held.tile.rows, held.tile.columns)
        difference = device.conductance(held.plus, seconds) - device.conductance(held.minus, seconds)
        variance = device.read_sigma(held.plus, seconds) ** 2 + device.read_sigma(held.minus, seconds) ** 2
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
