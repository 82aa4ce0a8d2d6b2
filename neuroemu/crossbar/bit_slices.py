"""Bit slices: the digits of a weight in cells of few levels, added up digitally. Codes enter, a Layout leaves.

References
----------
.. [1] A. Shafiee et al., "ISAAC: a convolutional neural network accelerator with in-situ analog arithmetic in
   crossbars", ISCA 2016, doi:10.1109/ISCA.2016.12 (digital shift-and-add; a column of ones measures the offset).
"""

from dataclasses import dataclass

import numpy as np

from .. import _checks
from .cells import CellMapping, DifferentialPair, Layout, OffsetColumn, above, base_level, even_blocks


@dataclass(frozen=True)
class BitSliced(CellMapping):
    """Cells of few levels: slice s holds digit s of the weights.

        "pair":    |w| = sum_s 2^(s b) w_s,            output = sum_s 2^(s b) column_s
        "offset":  w + 2^(n-1) = sum_s 2^(s b) w_s,    output = sum_s 2^(s b) column_s - 2^(n-1) * sum of drive steps

    with 0 <= w_s <= 2^b - 1. Columns of one slice lie side by side, the lowest slice first; each has a converter of its
    own, and the sum over slices is digital. An error of slice s weighs 2^(s b).

    Parameters
    ----------
    bits_per_cell : int, 1 to 8
        b. In pairs, 8-bit weights have 7 bits of magnitude, so ceil(7 / b) slices (a weight of -128 in a file takes
        8 bits); with an offset they have n = 8 bits, so ceil(8 / b).
    signs : {"pair", "offset"}
        "pair": differential pairs, each slice with the sign of w. "offset": single cells; all currents have one sign,
        and the digital side subtracts what zero weights would give, the current of `g_min` included.

    Notes
    -----
    With "offset" a cell that holds the digit of a zero weight is no weight: a tile of nothing else is not allocated.
    ISAAC [1]_ measures the sum of the inputs with a column of ones in each array, which costs a column and a conversion
    and has errors of its own. Here it is computed from the drive steps, which the digital side knows exactly; cells
    that have drifted are still taken for nominal. ISAAC also stores columns inverted where that saves a bit of the
    converter; that is not modelled.
    """

    bits_per_cell: int
    signs: str = "pair"

    def __post_init__(self):
        _checks.integer(self.bits_per_cell, who="BitSliced", name="bits_per_cell", low=1, high=8)
        _checks.choice(self.signs, ("pair", "offset"), who="BitSliced", name="signs")

    @property
    def one_signed(self):
        return self.signs == "offset"

    def top(self, largest):
        return (1 << self.bits_per_cell) - 1

    def layout(self, codes, largest, device, columns):
        bits, outputs, zero = self.bits_per_cell, codes.shape[1], None
        if self.one_signed:
            power_of_two = largest > 1 and largest & (largest - 1) == 0
            highest = int(largest) - power_of_two  # -128 is a code of 8 bits, 128 is not
            offset = 1 << highest.bit_length()
            count = -(-(highest.bit_length() + 1) // bits)
            digits = self._digits(codes.astype(np.int64) + offset, count)
            empty = np.repeat(self._digits(np.array([offset]), count), outputs)  # digits of a zero weight
            levels, holds = np.concatenate(digits, axis=1), np.concatenate(digits, axis=1) != empty
            base = base_level(self.top(largest), device)
            levels, zero = above(levels, base), empty + base
        else:
            count = -(-int(largest).bit_length() // bits)
            sign = np.sign(codes)
            levels = np.concatenate([sign * d for d in self._digits(np.abs(codes).astype(np.int64), count)], axis=1)
            levels, holds = levels.astype(np.float32), levels != 0
        terms = np.arange(count * outputs).reshape(count, outputs)
        factors = 2.0 ** (bits * np.arange(count))
        blocks = even_blocks(levels.shape[1], columns)
        return Layout(levels, holds, blocks, np.repeat(np.arange(count), outputs), terms, factors, zero=zero)

    def targets(self, levels, top, device):
        if self.one_signed:
            return OffsetColumn().targets(levels, top, device)
        return DifferentialPair().targets(levels, top, device)

    def _digits(self, numbers: np.ndarray, count: int) -> list[np.ndarray]:
        return [(numbers >> (self.bits_per_cell * s)) & self.top(0) for s in range(count)]
