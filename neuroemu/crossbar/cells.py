"""Weight mappings: how a matrix of weight codes is held by memory cells. Enter codes (K, M), leaves a Layout.

A layout says which level each crossing of each physical column holds, and how the digital sums of physical columns
add up to the layer's outputs. All that follows (tiles, sites, reads, conversions, energy) is counted on physical
columns. Array letters: K inputs, M outputs, R physical rows, C physical columns, N terms of an output. Further mappings
have modules of their own: `bit_slices`, `significance` and `averaged`; `packing` puts rows and groups on arrays.

References
----------
.. [1] A. Shafiee et al., "ISAAC: a convolutional neural network accelerator with in-situ analog arithmetic in
   crossbars", ISCA 2016, doi:10.1109/ISCA.2016.12 (weights with an offset, which a column of ones in each
   array measures).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import numpy as np

from .. import _checks
from ..devices import Device
from ..errors import InputError

Targets = tuple[np.ndarray, np.ndarray | None]
SCALINGS = ("layer", "column")
GAIN_STEPS = 64  # a power of 2, so that scaled levels and their sums below 2^18 stay exact in float32


@dataclass(frozen=True, eq=False)
class Layout:
    """The physical columns of one layer.

    Attributes
    ----------
    levels : (R, C) float32
        What a perfect column adds up per drive step, in cell levels.
    holds : (R, C) bool
        Crossings where a weight is not zero.
    blocks : tuple of (first, last) int
        Column ranges that lie side by side on one array.
    slices : (C,) int
        Which slice of the weights a column holds; columns of one tile and one slice share an ADC range.
    terms : (N, M) int, and factors : (N,) or (N, M) float64
        Output m = sum over n of factors[n] times column terms[n, m]. With one term of 1, columns are the outputs.
    rows_per_tile : int
        Rows that one array holds, padding included; 0 before `packing` has chosen it.
    order : (R,) int or None
        Input that drives each row, -1 for a row that pads its tile and is never built; None: row k is input k.
    zero : (C,) float64 or None
        What a column of zero weights adds up per drive step, where the digital side subtracts it: it knows the drive
        steps exactly. None where nothing is subtracted.
    gains : (T, C) float32 or None
        Whole number by which the digital side multiplies the sum of row tile t and column c; None: 1.
    """

    levels: np.ndarray
    holds: np.ndarray
    blocks: tuple[tuple[int, int], ...]
    slices: np.ndarray
    terms: np.ndarray
    factors: np.ndarray
    rows_per_tile: int = 0
    order: np.ndarray | None = None
    zero: np.ndarray | None = None
    gains: np.ndarray | None = None

    def gain(self, row_tile: int, columns: slice) -> np.ndarray | float:
        """Gains of the columns of one row tile."""
        return 1.0 if self.gains is None else self.gains[row_tile, columns]

    def driven(self, x: np.ndarray) -> np.ndarray:
        """Row inputs (..., R) of a layer's inputs (..., K)."""
        if self.order is None:
            return x
        rows = np.take(x, self.order, axis=-1)
        rows[..., self.order < 0] = 0
        return rows

    def real_rows(self, rows: slice) -> int:
        """How many of these rows are not padding."""
        return rows.stop - rows.start if self.order is None else int(np.count_nonzero(self.order[rows] >= 0))

    def outputs(self, columns: np.ndarray) -> np.ndarray:
        """Outputs (..., M) of the sums (..., C) of physical columns: the digital shift-and-add."""
        if len(self.terms) == 1 and (self.factors == 1).all():
            return columns
        total = columns[..., self.terms[0]] * self.factors[0]
        for term, factor in zip(self.terms[1:], self.factors[1:], strict=True):
            total += columns[..., term] * factor
        return total


class CellMapping(ABC):
    """Abstract: how weights are held. Final: DifferentialPair, OffsetColumn, BitSliced, Significance, Averaged."""

    one_signed = False  # whether the current of every cell has the same sign
    copies = 1  # devices in parallel, each drawn on its own
    in_turn = False  # whether slices are programmed one after the other, each with what the ones before it left

    @abstractmethod
    def top(self, largest: int) -> int:
        """Largest level of a cell, for weight codes within +-`largest`; its conductance is g_max."""

    @abstractmethod
    def layout(self, codes: np.ndarray, largest: int, device: Device, columns: int) -> Layout:
        """Physical columns for weight codes (K, M) on arrays `columns` wide."""

    @abstractmethod
    def targets(self, levels: np.ndarray, top: int, device: Device) -> Targets:
        """Target conductances (G+, G-) in siemens of `levels`; no G- where cells stand alone."""


@dataclass(frozen=True)
class DifferentialPair(CellMapping):
    """Two cells a weight, subtracted in the analog domain: G+ - G- = w (g_max - g_min) / w_max.

    Parameters
    ----------
    sided : {"one", "two"}
        "one": one cell holds |w|, the other g_min. "two", also called balanced: both move from the middle of the range
        in opposite directions, G = (g_min + g_max) / 2 +- w (g_max - g_min) / (2 w_max); the same difference, more
        current.
    scaling : {"layer", "column"}
        "layer": w_max is one for the layer. "column": the codes of each column are stretched so that its largest |w|
        takes the whole range, and the digital side divides by the gain; errors of cells and converters then weigh
        1 / gain. Gains are whole multiples of 1/64, rounded down: at most 1/64 of the range stays unused.
    """

    sided: str = "one"
    scaling: str = "layer"

    def __post_init__(self):
        _checks.choice(self.sided, ("one", "two"), who="DifferentialPair", name="sided")
        _checks.choice(self.scaling, SCALINGS, who="DifferentialPair", name="scaling")

    def top(self, largest):
        return largest

    def layout(self, codes, largest, device, columns):
        gains, outputs = _gains(codes, largest, self.scaling), codes.shape[1]
        levels = (codes * gains).astype(np.float32)
        kinds, terms = np.zeros(outputs, int), np.arange(outputs)[None]
        return Layout(levels, codes != 0, even_blocks(outputs, columns), kinds, terms, 1 / gains[None])

    def targets(self, levels, top, device):
        levels, span = levels.astype(np.float64), device.g_max - device.g_min
        if self.sided == "two":
            middle = (device.g_min + device.g_max) / 2
            return middle + levels * (span / (2 * top)), middle - levels * (span / (2 * top))
        step = span / top
        return device.g_min + np.maximum(levels, 0) * step, device.g_min + np.maximum(-levels, 0) * step


@dataclass(frozen=True)
class OffsetColumn(CellMapping):
    """One cell a weight: level w + w_max of 2 w_max; what cells of zero weights would give is subtracted digitally.

        G = g_min + (w + w_max) (g_max - g_min) / (2 w_max)

    Parameters
    ----------
    reference : {"column", "digital"}
        "column": each tile gives one of its columns to cells of zero weights, with a converter of its own:
        output = column - reference column. Its error is common to all outputs of the tile; it drifts as they do.
        "digital": output = column - (w_max + level of g_min) * sum of the drive steps, a number that the digital side
        computes from the inputs. It costs no column and adds no noise, and is wrong when the cells drift.
    scaling : {"layer", "column"}
        As in `DifferentialPair`: "column" stretches w, not the offset, and divides the difference by the gain.

    Notes
    -----
    ISAAC [1]_ holds weights in this unsigned form. It measures the sum of the inputs with a column of ones: an analog
    read and a conversion more a tile, as "column" has, but of full cells, and scaled digitally.

    Column sums hold the offset too, so on tall arrays they pass 2^24, beyond which float32 is not exact: with 8-bit
    inputs that are half full scale on average, from about 1000 rows on. `CrossbarChip(arithmetic="float64")` is exact.
    """

    reference: str = "column"
    scaling: str = "layer"
    one_signed = True

    def __post_init__(self):
        _checks.choice(self.reference, ("column", "digital"), who="OffsetColumn", name="reference")
        _checks.choice(self.scaling, SCALINGS, who="OffsetColumn", name="scaling")

    def top(self, largest):
        return 2 * largest

    def layout(self, codes, largest, device, columns):
        zero, gains = largest + base_level(self.top(largest), device), _gains(codes, largest, self.scaling)
        scaled = (codes * gains).astype(np.float32)
        if self.reference == "digital":
            plain = DifferentialPair(scaling=self.scaling).layout(codes, largest, device, columns)
            return replace(plain, levels=above(scaled, zero), zero=np.full(codes.shape[1], zero))
        if columns < 2:
            raise InputError(
                f"OffsetColumn: arrays have {columns} column; a weight and its reference need 2; use replace(chip, "
                "columns=...), OffsetColumn(reference='digital') or DifferentialPair()"
            )
        outputs = codes.shape[1]
        wide = even_share(outputs, columns - 1)
        starts = range(0, outputs, wide)
        own = np.arange(outputs) + np.arange(outputs) // wide
        last = [min(start + wide, outputs) + block for block, start in enumerate(starts)]  # the reference columns
        total = outputs + len(last)
        levels, holds = np.full((len(codes), total), zero, np.float32), np.zeros((len(codes), total), bool)
        levels[:, own] += scaled
        holds[:, own] = codes != 0
        blocks = tuple((start + block, end + 1) for block, (start, end) in enumerate(zip(starts, last, strict=True)))
        terms = np.stack([own, np.array(last)[np.arange(outputs) // wide]])
        return Layout(levels, holds, blocks, np.zeros(total, int), terms, np.stack([1 / gains, -1 / gains]))

    def targets(self, levels, top, device):
        return levels.astype(np.float64) * ((device.g_max - device.g_min) / top), None


def even_share(n: int, most: int) -> int:
    """Size of a part when n is shared evenly over the fewest parts of at most `most`, so that no thin rest is left."""
    return -(-n // -(-n // most))


def even_blocks(n: int, most: int) -> tuple[tuple[int, int], ...]:
    """(first, last) of those parts."""
    wide = even_share(n, most)
    return tuple((start, min(start + wide, n)) for start in range(0, n, wide))


def base_level(top: int, device: Device) -> float:
    """Level of the current of a cell at g_min, where cells stand alone."""
    return device.g_min * top / (device.g_max - device.g_min)


def above(levels: np.ndarray, lowest: float) -> np.ndarray:
    return (levels + lowest).astype(np.float32)


def _gains(codes: np.ndarray, largest: int, scaling: str) -> np.ndarray:
    """Gain (M,) of each column: 1, or what brings its largest code up to `largest`, in whole steps."""
    if scaling == "layer":
        return np.ones(codes.shape[1])
    peaks = np.abs(codes).max(axis=0, initial=0)
    return np.floor(GAIN_STEPS * largest / np.where(peaks > 0, peaks, largest)) / GAIN_STEPS
