"""Power series: cells whose current is a power series of the voltage, in a product that is linear in its rows.

    I = G V + c_2(G) V^2 + c_3(G) V^3 + ...,   V = v_read d / D  for a drive of d steps, D at full scale

Where the drive is the voltage, the column sum is linear in d, d (d / D), d (d / D)^2 ...: each power of V is a further
set of rows on the same tile, in front of the same converter, with the weights c_n v_read^(n - 1). Where every driven
row sees +-v_read (pulse widths, single bits), the current is one number for each polarity, split into its odd and even
part: the odd one adds to G, the even one goes with |d|, and where no input is negative both are one weight.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..devices import Cells, CurrentVoltage, Device
from .programming import ProgrammedTile, Weights


@dataclass(frozen=True)
class PowerSeries:
    """How the cells of one layer conduct.

    Attributes
    ----------
    iv : CurrentVoltage
    volts : float
        v_read.
    full : int
        D: the drive that takes v_read.
    held : bool
        Whether every driven row sees +-v_read.
    signed : bool
        Whether inputs may be negative.
    """

    iv: CurrentVoltage
    volts: float
    full: int
    held: bool
    signed: bool

    def parts(self, conductance: np.ndarray) -> list[np.ndarray]:
        """Conductances, siemens, of the sets of rows that `rows` drives."""
        series = zip(self.iv.powers, self.iv.coefficients(conductance), strict=True)
        scaled = {power: coefficient * self.volts ** (power - 1) for power, coefficient in series}
        if not self.held:
            return [conductance, *(scaled.get(power, np.zeros_like(conductance)) for power in self._powers())]
        odd = conductance + sum(part for power, part in scaled.items() if power % 2)
        even = sum(part for power, part in scaled.items() if power % 2 == 0)
        if np.ndim(even) == 0:  # no even power
            return [odd]
        return [odd, even] if self.signed else [odd + even]

    def rows(self, drive: np.ndarray, rows_per_tile: int) -> np.ndarray:
        """What the sets of rows are driven with, (..., sets * R) for drives (..., R), tile by tile."""
        if self.held:
            sets = [drive, np.abs(drive)][: self._count()]
        else:
            relative = drive * np.float32(1 / self.full)
            sets = [drive, *(drive * relative ** (power - 1) for power in self._powers())]
        return stacked(sets, rows_per_tile, axis=-1)

    def of(self, programmed: Sequence[ProgrammedTile], weights: Weights, device: Device, *, seconds, step) -> Weights:
        """`weights` with the whole curve; `step` is the conductance of one level, siemens.

        Read noise stays that of G at small voltage.
        """
        mean = weights.mean.copy()
        further = [np.zeros_like(mean) for _ in range(self._count() - 1)]
        for held in programmed:
            place = (held.tile.rows, held.tile.columns)
            for cells, sign in ((held.plus, 1), (held.minus, -1)):
                if cells is not None:
                    first, *others = self._read(cells, device, seconds)
                    mean[place] += sign * first / step
                    for whole, part in zip(further, others, strict=True):
                        whole[place] += sign * part / step
        return replace(weights, mean=mean, further=tuple(further))

    def _read(self, cells: Cells, device: Device, seconds: float) -> list[np.ndarray]:
        """Parts of each crossing, the first less G; averages over devices in parallel."""
        conductance = device.conductance(cells, seconds)
        first, *others = self.parts(conductance)
        parts = [first - conductance, *others]
        return [part if part.ndim == 2 else part.mean(axis=0) for part in parts]

    def _powers(self) -> range:
        """Powers of V behind the first; missing ones between them have no weight."""
        return range(2, max(self.iv.powers) + 1)

    def _count(self) -> int:
        """Sets of rows."""
        return len(self.parts(np.ones(1)))


def stacked(sets: Sequence[np.ndarray], rows_per_tile: int, *, axis: int) -> np.ndarray:
    """Arrays of R rows each as one, the sets of each tile behind one another."""
    if len(sets) == 1:
        return sets[0]
    cuts = range(rows_per_tile, sets[0].shape[axis], rows_per_tile)
    tiles = zip(*(np.split(array, cuts, axis=axis) for array in sets), strict=True)
    return np.concatenate([part for tile in tiles for part in tile], axis=axis)
