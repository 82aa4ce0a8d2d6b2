"""Structures: what pruning removes at a time. Scores of weights enter, masks of the weights that stay leave.

Scores are squared and added up over what is removed together, so that the sum of squares that stays is the largest.
A layer's matrix has K rows, the inputs (channel slowest, then kernel row and column), and M columns, the outputs.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from .. import _checks
from ..errors import InputError
from ..network import layers as L
from .moments import groups_of


class Masking(ABC):
    """Abstract: weights become zero, layer by layer, and arrays keep their shapes. Final: Weights, Rows, Blocks."""

    @abstractmethod
    def mask(self, layer: L.Weighted, score: np.ndarray, density: float) -> np.ndarray:
        """Which weights stay, bool, in the shape of the weight."""


@dataclass(frozen=True)
class Weights(Masking):
    """Single weights: round(density * size) of each layer stay; among equals the earlier one does."""

    def mask(self, layer, score, density):
        return _largest(score.ravel(), round(density * score.size)).reshape(score.shape)


@dataclass(frozen=True)
class Rows(Masking):
    """Whole inputs of a layer, rows of its matrix: round(density * K) stay, at least one, in each group.

    Arrays keep their shapes, since other layers may read the same input. A crossbar with
    `row_order=OccupiedRows()` builds the rows that are left only; axons of spiking cores without synapses are free
    without further ado.
    """

    def mask(self, layer, score, density):
        parts = []
        for part in _by_group(layer, score):
            total = (part**2).sum(axis=0)
            stays = _largest(total, max(1, round(density * len(total))))
            parts.append(np.broadcast_to(stays, part.shape))
        return np.concatenate(parts).reshape(score.shape)


@dataclass(frozen=True)
class Blocks(Masking):
    """Blocks of a layer's matrix, cut as crossbars cut it: the fewest even parts of at most `rows` x `columns`.

    With the size of a chip's arrays, blocks are its tiles (with `DifferentialPair` and `GivenRows`), and tiles without
    weights are not built. round(density * blocks) stay, and at least one for each range of columns. The groups of a
    convolution are cut apart.

    Parameters
    ----------
    size : (int, int)
        Largest rows and columns of a block.
    """

    size: tuple[int, int]

    def __post_init__(self):
        if np.shape(self.size) != (2,):
            raise InputError(f"Blocks: size is {self.size!r}; give (rows, columns)")
        checked = tuple(_checks.integer(n, who="Blocks", name="size", low=1) for n in self.size)
        object.__setattr__(self, "size", checked)

    def mask(self, layer, score, density):
        parts = [self._part(part, density) for part in _by_group(layer, score)]
        return np.concatenate(parts).reshape(score.shape)

    def _part(self, score: np.ndarray, density: float) -> np.ndarray:
        """Of one group, (M, K)."""
        columns, rows = (_parts_of(n, most) for n, most in zip(score.shape, reversed(self.size), strict=True))
        total = np.zeros((columns[-1] + 1, rows[-1] + 1))
        np.add.at(total, (columns[:, None], rows[None]), score**2)
        best = np.zeros_like(total)
        best[np.arange(len(total)), total.argmax(axis=1)] = np.inf  # a range of columns keeps its best block
        stays = _largest((total + best).ravel(), max(len(total), round(density * total.size)))
        return stays.reshape(total.shape)[columns[:, None], rows[None]]


@dataclass(frozen=True)
class Channels:
    """Whole output channels, neurons of a Dense: round(density * channels) of each layer stay, at least one.

    Arrays of the layer and of those that read it really shrink, through pools, flattening and concatenation. Channels
    that an addition or a depthwise convolution joins go together or stay together. The network's inputs and outputs,
    and channels that a layer mixes in another way (grouped convolutions, reshapes that split a channel), stay. With
    `density` d a layer between two others keeps about d^2 of its weights.

    Batch normalisation is folded first. A channel's score is that of the weights that read it, as shares of their
    layers: with `Contribution` what the next layers would lose. On the embedded network this did better on training
    images than the weights that write it (H. Li et al., ICLR 2017, arXiv:1608.08710), alone or added.
    """


def _largest(scores: np.ndarray, count: int) -> np.ndarray:
    """Mask of the `count` largest scores; among equals the earlier one."""
    stays = np.zeros(len(scores), bool)
    stays[np.argsort(-scores, kind="stable")[:count]] = True
    return stays


def _by_group(layer: L.Weighted, score: np.ndarray) -> list[np.ndarray]:
    """Scores (M, K) of each group."""
    return np.split(score.reshape(len(score), -1), groups_of(layer))


def _parts_of(n: int, most: int) -> np.ndarray:
    """Part of each of n places, where n is shared evenly over the fewest parts of at most `most`."""
    share = -(-n // -(-n // most))
    return np.arange(n) // share
