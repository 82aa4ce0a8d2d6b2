"""Significance: a weight as several pairs of fixed factors, summed digitally. Codes enter, a Layout leaves.

With `correct` the pairs of a weight are programmed in turn (see `correction`), so that each absorbs the programming
errors of those before it, which multi-device cells of phase-change chips do.

References
----------
.. [1] C. Mackin et al., "Optimised weight programming for analogue memory-based deep neural networks", Nature
   Communications 13, 3765 (2022), doi:10.1038/s41467-022-31405-1 (a weight of two pairs, W = F (G+ - G-) + g+ - g-).
"""

from dataclasses import dataclass

import numpy as np

from .. import _checks
from ..devices import Device
from ..errors import ArgumentTypeError, InputError
from .cells import CellMapping, DifferentialPair, Layout, even_share


@dataclass(frozen=True)
class Significance(CellMapping):
    """Differential pairs of given factors for each weight: the pair of factor f_n counts f_n times.

        w = sum_n f_n w_n,   |w_n| <= top,   output = sum_n f_n column_n

    Digits are balanced, and chosen from the largest factor down: w_n = round(rest / f_n) within +-top (half to even),
    and the pair of factor 1 holds what is left. `top`, the smallest with which every code fits, is the larger of
    w_max / sum f_n and of (f_n / 2) / (sum of the factors below f_n) for each n: 15 for 8-bit weights and (1, 8). Each
    pair has a column and a converter of its own, and all columns of a weight are on one array. An error of pair n
    weighs f_n, so without `correct` the largest factor spoils what several devices would gain.

    Parameters
    ----------
    factors : tuple of 2 to 8 int, ascending from 1, each 1 to 4096
        F of [1]_ is the ratio of two factors; there both pairs share one converter, here the sum is digital.
    correct : bool
        Program the largest factor first, read it, and set the next digit to what is really left; the last one takes a
        level between the whole ones. Errors of the factors above 1 remain only where the rest exceeds `top`, and
        what drifts or is noisy later is not corrected. The read is taken right after programming, without read noise
        (long averages). Ranges of the converters and the compensation then follow the levels of each chip. Devices
        whose cells act along lines (open rows, shorts, spares, disturb) are refused.
    """

    factors: tuple[int, ...] = (1, 8)
    correct: bool = False

    def __post_init__(self):
        if not isinstance(self.factors, tuple) or not isinstance(self.correct, bool):
            raise ArgumentTypeError(
                f"Significance: got factors={self.factors!r}, correct={self.correct!r}; give a tuple and True or False"
            )
        for factor in self.factors:
            _checks.integer(factor, who="Significance", name="factors", low=1, high=4096)
        if not 2 <= len(self.factors) <= 8 or self.factors[0] != 1 or list(self.factors) != sorted(self.factors):
            raise InputError(f"Significance: factors are {self.factors}; give 2 to 8, ascending from 1, as (1, 8)")

    @property
    def in_turn(self):
        return self.correct

    def top(self, largest):
        below = np.cumsum(self.factors)
        tops = [-(-largest // int(below[-1]))]
        tops += [-(-(factor // 2) // int(lower)) for factor, lower in zip(self.factors[1:], below, strict=False)]
        return max(tops)

    def layout(self, codes, largest, device: Device, columns):
        count, outputs = len(self.factors), codes.shape[1]
        if columns < count:
            raise InputError(
                f"Significance: arrays have {columns} columns; a weight of {count} pairs needs {count}; use "
                "replace(chip, columns=...) or fewer factors"
            )
        wide = even_share(outputs, columns // count)  # outputs of one block
        starts = np.arange(0, outputs, wide)
        sizes = np.minimum(starts + wide, outputs) - starts
        first, size = np.repeat(starts, sizes), np.repeat(sizes, sizes)  # of the block of each output
        terms = np.stack([(count - 1) * first + n * size + np.arange(outputs) for n in range(count)])
        levels = np.empty((len(codes), count * outputs), np.float32)
        rest, top = codes.astype(np.float64), self.top(largest)
        for n in reversed(range(count)):
            levels[:, terms[n]] = digit(rest, self.factors[n], top)
            rest -= self.factors[n] * levels[:, terms[n]]
        slices = np.empty(count * outputs, int)
        slices[terms] = np.arange(count)[:, None]
        blocks = tuple((int(count * a), int(count * (a + n))) for a, n in zip(starts, sizes, strict=True))
        return Layout(levels, levels != 0, blocks, slices, terms, np.array(self.factors, np.float64))

    def targets(self, levels, top, device):
        return DifferentialPair().targets(levels, top, device)


def digit(rest: np.ndarray, factor: float, top: int) -> np.ndarray:
    """Level of a pair of `factor` that `rest` is left for: whole, but for factor 1, and within +-top."""
    return np.clip(rest if factor == 1 else np.rint(rest / factor), -top, top)
