"""Histogram: the values of a tensor by sign and magnitude, in memory that does not grow with the samples."""

from dataclasses import dataclass, field, replace

import numpy as np

BINS = 2048  # for each sign, as in TensorRT (S. Migacz, "8-bit inference with TensorRT", GTC 2017, S7310)


def _empty() -> np.ndarray:
    return np.zeros((2, BINS))


@dataclass(frozen=True, eq=False, kw_only=True)
class Histogram:
    """Counts of the values that are not zero; row 0 holds negative ones, row 1 positive ones.

    Bin i holds i * width <= abs(x) < (i + 1) * width, the last bin its upper edge as well. Zeros are left out: every
    grid has a code for exactly zero, so that no range loses them.

    Parameters
    ----------
    low, high : float
        The smallest and the largest value that will be added.
    counts, sums, squares : (2, BINS) arrays, float64
        Of each bin: number of values, their sum and the sum of their squares.
    """

    low: float
    high: float
    counts: np.ndarray = field(default_factory=_empty)
    sums: np.ndarray = field(default_factory=_empty)
    squares: np.ndarray = field(default_factory=_empty)

    @property
    def width(self) -> float:
        """Width of a bin."""
        return (max(-self.low, self.high) or 1.0) / BINS

    @property
    def one_sided(self) -> bool:
        """Whether all values have one sign."""
        return self.low >= 0 or self.high <= 0

    def plus(self, values: np.ndarray) -> "Histogram":
        """A histogram that holds `values` as well, an array of any shape within low .. high."""
        flat = values.ravel()
        flat = flat[flat != 0].astype(np.float64)
        places = np.minimum(np.abs(flat) / self.width, BINS - 1).astype(np.intp) + BINS * (flat > 0)

        def tally(weights=None):
            return np.bincount(places, weights, 2 * BINS).reshape(2, BINS)

        return replace(
            self,
            counts=self.counts + tally(),
            sums=self.sums + tally(flat),
            squares=self.squares + tally(flat * flat),
        )
