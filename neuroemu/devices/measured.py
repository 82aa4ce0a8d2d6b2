"""A cell known by measurement: it is programmed pulse by pulse, each pulse drawn from tables of measured updates.

    until |target - G| <= tolerance, or most_pulses are spent:
        G <- G + (a draw of `up` at G if G < target, else of `down`), kept within g_min .. g_max

The error that remains is what write-verify with these pulses leaves: no distribution is assumed.
"""

from dataclasses import dataclass

import numpy as np

from .. import _checks
from ..errors import ArgumentTypeError, InputError
from . import _parameters
from .base import Cells, Device, ReadShares
from .update_table import UpdateTable


@dataclass(frozen=True)
class MeasuredTable(Device):
    """A cell programmed by measured pulses; g_min and g_max are the range that both tables cover.

    Every cell starts erased, at g_min exactly. `Cells.state["pulses"]` holds how many pulses each cell took.

    Parameters
    ----------
    up, down : UpdateTable
        Changes by a pulse that increases the conductance, and by one that decreases it; see read_update_table and
        read_pulse_trace.
    tolerance : float, relative to g_max - g_min, > 0
        At what distance from the target write-verify stops.
    most_pulses : int, 0 to 100,000
        At what number of pulses it gives up; the cell stays where it is.
    read_noise : float, siemens, >= 0
        Standard deviation of a read, fresh at each read. Verifying reads are exact.

    Raises
    ------
    InputError
        Tables that do not overlap or point the wrong way, or a number outside these limits.

    Notes
    -----
    Not modelled: differences between cells (one table stands for all), drift, pulses of other height or length, the
    state of the cell beyond its conductance.
    """

    up: UpdateTable
    down: UpdateTable
    tolerance: float = 0.01
    most_pulses: int = 500
    read_noise: float = 0.0

    def __post_init__(self):
        for name in ("up", "down"):
            if not isinstance(getattr(self, name), UpdateTable):
                raise ArgumentTypeError(f"MeasuredTable: {name} must be an UpdateTable; see read_update_table")
        _parameters.conductance_range(self)
        _parameters.positive(self.tolerance, who="MeasuredTable", name="tolerance")
        _checks.integer(self.most_pulses, who="MeasuredTable", name="most_pulses", low=0, high=100_000)
        _checks.real(self.read_noise, who="MeasuredTable", name="read_noise", low=0.0)
        if self.up.mean().mean() <= 0 or self.down.mean().mean() >= 0:
            raise InputError("MeasuredTable: up must increase the conductance and down decrease it; swap the tables?")

    @property
    def g_min(self):
        return float(max(self.up.conductance[0], self.down.conductance[0]))

    @property
    def g_max(self):
        return float(min(self.up.conductance[-1], self.down.conductance[-1]))

    def program(self, target, generator):
        target = _parameters.target(self, target)
        wanted = target.ravel()
        reached = np.full(wanted.shape, self.g_min)
        pulses = np.zeros(wanted.shape, np.int64)
        near = self.tolerance * (self.g_max - self.g_min)
        going = np.flatnonzero(np.abs(wanted - reached) > near)
        for _ in range(self.most_pulses):
            if not going.size:
                break
            reached[going] = self._pulse(reached[going], wanted[going], generator)
            pulses[going] += 1
            going = going[np.abs(wanted[going] - reached[going]) > near]
        return Cells(reached.reshape(target.shape), state={"pulses": pulses.reshape(target.shape)})

    def _pulse(self, now, wanted, generator):
        """Conductances after one pulse towards `wanted`."""
        after = np.empty_like(now)
        for table, where in ((self.up, now < wanted), (self.down, now >= wanted)):
            after[where] = now[where] + table.draw(now[where], generator)
        return np.clip(after, self.g_min, self.g_max)

    def conductance(self, cells, seconds):
        _parameters.seconds(self, seconds)
        return cells.conductance

    def read_sigma(self, cells, seconds):
        return np.full_like(self.conductance(cells, seconds), self.read_noise)

    def read_shares(self, seconds, *, image_seconds, session_seconds, cells=None):
        _parameters.spans("MeasuredTable", image_seconds, session_seconds)
        return ReadShares(1.0, 0.0, 0.0)
