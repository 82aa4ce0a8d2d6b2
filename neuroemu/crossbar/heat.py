r"""Heat: what the cells of a layer turned into heat while they were read. Row drives enter, attojoules leave.

.. math:: E = t \sum_{vectors} \sum_r V_r^2 \sum_c G_{rc}

over all cells of a row: both polarities, devices in parallel, reference columns. Amplitudes scale V; pulse widths scale
the time t at the full read voltage; planes of an input are reads of their own. Sums over vectors are exact integers in
drive steps, so that no order of batches or threads changes them.

Conductances are those of the run's cells at its time, without read noise; drives are what the DAC is asked for. Not in
it: what wires, transistors and drivers burn, and the charging of lines.
"""

from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock

import numpy as np

from ..devices import Device
from .inputs import InputScheme
from .programming import ProgrammedTile

EVENT = "array_attojoule"
EXACT = 1 << 24  # float32 holds integers up to here


def siemens_of_rows(programmed: tuple[ProgrammedTile, ...], rows: int, device: Device, *, seconds: float) -> np.ndarray:
    """Siemens (rows,) of all cells on each physical row of a layer, over the arrays side by side."""
    total = np.zeros(rows)
    for held in programmed:
        for cells in (held.cells, held.reference):
            if cells is not None:
                found = np.asarray(device.conductance(cells, seconds), np.float64)
                total[held.tile.rows] += found.sum(axis=tuple(range(found.ndim - 2)) + (found.ndim - 1,))
    return total


@dataclass(eq=False)
class Heat:
    """Squared drives of each row of a layer, added up while it runs, by any number of threads.

    Attributes
    ----------
    siemens : (R,) float64
    joules_per_siemens : float
        v_read^2 t of a row at full drive.
    table : (F + 1,) float32
        What a drive of 0 ... F steps adds, in units of one step, and `full` what a full drive adds in one read.
    """

    siemens: np.ndarray
    joules_per_siemens: float
    table: np.ndarray
    full: int
    sums: np.ndarray = field(init=False)
    lock: Lock = field(default_factory=Lock, repr=False)

    def __post_init__(self):
        self.sums = np.zeros(self.siemens.shape, np.int64)

    def add(self, steps: np.ndarray) -> None:
        """Count drives (B, P, R), whole steps of either sign."""
        rows = steps.reshape(-1, steps.shape[-1])
        at_once = max(1, EXACT // int(self.table[-1] or 1))
        found = np.zeros(self.sums.shape, np.int64)
        for start in range(0, len(rows), at_once):
            found += self._summed(rows[start : start + at_once]).astype(np.int64)
        with self.lock:
            self.sums += found

    def _summed(self, rows: np.ndarray) -> np.ndarray:
        """Sums (R,) of what the drives of some vectors (N, R) add; few enough for float32 to be exact."""
        if self.is_square:
            return np.einsum("nr,nr->r", rows, rows)
        added = self.table[np.abs(rows).astype(np.intp)] if self.table[-1] != len(self.table) - 1 else np.abs(rows)
        return np.einsum("nr->r", added)

    @cached_property
    def is_square(self) -> bool:
        """Whether a drive adds its square: amplitudes in one read."""
        return bool((self.table == np.arange(len(self.table), dtype=np.float32) ** 2).all())

    @property
    def attojoules(self) -> int:
        """Of all drives, to the nearest whole one."""
        return round(1e18 * self.joules_per_siemens * float(self.sums @ self.siemens) / self.full)


def heat_of(
    programmed: tuple[ProgrammedTile, ...], rows: int, chip, scheme: InputScheme, planes: int, largest: int
) -> Heat:
    """The counter of a layer whose drives have up to `largest` steps."""
    every, power = np.arange(largest + 1, dtype=np.float32), 1 if scheme.holds_voltage else 2
    table = sum(np.abs(plane) ** power for plane in scheme.split(every, planes)).astype(np.float32)
    return Heat(
        siemens_of_rows(programmed, rows, chip.device, seconds=chip.seconds),
        chip.dac.v_read**2 * chip.read_seconds, table, scheme.full_drive(largest) ** power,
    )  # fmt: skip
