"""Whole arrays of cells, fast: normals from the counter-based generator, and functions computed block by block.

A block is small enough to stay in a core's cache while all steps of a function pass over it; what a cell gets does not
depend on where a block ends. Shapes are any: an array of cells is taken as one flat row of N cells.
"""

from collections.abc import Callable, Iterator, Sequence
from math import log, prod

import numpy as np

from .. import kernels

BLOCK = 1 << 15  # cells: 256 kB in float64, which a second-level cache holds


class Normals:
    """Standard normals of an array of cells, keyed by one draw of the caller's generator.

    float32 and within +-6.7: what is beyond has a probability of 2e-11. Row `kind`, cell n is always the same number
    for one key, so blocks may be drawn in any order.
    """

    def __init__(self, generator: np.random.Generator):
        self._key = int(generator.integers(0, 2**64, dtype=np.uint64))

    def block(self, kind: int, place: slice) -> np.ndarray:
        """(cells of `place`,) float32."""
        out = np.empty(place.stop - place.start, np.float32)
        kernels.crossbar.normals(out, self._key, kind, place.start)
        return out


def normals(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normals of `shape`, float32; see Normals."""
    return Normals(generator).block(0, slice(0, prod(shape))).reshape(shape)


def blocks(size: int, most: int | None = None) -> Iterator[slice]:
    """Slices of at most `most` (BLOCK) that cover 0 ... size - 1 in order."""
    most = most or BLOCK
    for first in range(0, size, most):
        yield slice(first, min(first + most, size))


def by_blocks(function: Callable[..., np.ndarray], *arrays: np.ndarray) -> np.ndarray:
    """function(*arrays), element by element, as float64; the arrays have one shape."""
    out = np.empty(np.shape(arrays[0]))
    flat, rows = out.reshape(-1), [np.reshape(array, -1) for array in arrays]
    for place in blocks(out.size):
        flat[place] = function(*(row[place] for row in rows))
    return out


def power_law(conductance: np.ndarray, exponent: np.ndarray | float, ratio: float) -> np.ndarray:
    """conductance * ratio^-exponent, in float64; `exponent` is a number, or one for each cell."""
    if np.ndim(exponent) == 0:
        return conductance * ratio**-exponent
    fold = -log(ratio)
    return by_blocks(lambda g, nu: g * np.exp(fold * nu), conductance, exponent)


def polynomial(x: np.ndarray, coefficients: Sequence[float]) -> np.ndarray:
    """sum of coefficients[n] x^n, in the precision of x."""
    *lower, value = coefficients
    for coefficient in reversed(lower):
        value = value * x + coefficient
    return value
