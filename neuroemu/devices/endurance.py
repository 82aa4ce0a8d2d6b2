"""Endurance: cells that have been written often fail, each after a number of cycles of its own.

    P(a cell has failed after n cycles) = 1 - exp(-(n / characteristic_cycles)^shape)

A failed cell is stuck, or reaches only a part of the range any more.
"""

from dataclasses import dataclass, replace

import numpy as np

from .. import _checks
from ..errors import ArgumentTypeError, InputError
from . import _parameters
from .base import Device, Wrapper, stick
from .faults import Faulty

LIVE, ON, OFF, NARROW = range(4)  # codes of Cells.state["worn"]


@dataclass(frozen=True)
class Endurance(Wrapper):
    """A device whose cells fail by a Weibull law [1]_ of the cycles that they have been through.

    Which cells fail, and after how many cycles, follows from the seed of the generator given to `program`, not from
    what is programmed; a cell that has failed is among those that have failed after more cycles.
    `Cells.state["cycles to failure"]` has the cycles, and "worn" how a cell is now: 0 alive, 1 stuck at g_max, 2 stuck
    at g_min, 3 in the narrowed window.

    Parameters
    ----------
    device : Device
    characteristic_cycles : float, > 0
        Cycles after which 1 - 1/e, 63 %, of the cells have failed.
    shape : float, > 0
        Slope of the Weibull plot. Below 1 weak cells fail early, above 1 most fail at about the same age.
    used_cycles : float, >= 0
        Cycles of each cell so far.
    stuck_on, stuck_off : float, 0 to 1
        Shares of the failed cells that are stuck at g_max, or at g_min.
    window : (low, high) or None, 0 <= low < high <= 1
        What the other failed cells still reach, in shares of the range from g_min to g_max; targets beyond it are
        programmed to its edge. None where all are stuck.

    Raises
    ------
    ArgumentTypeError, InputError
        A number outside these limits; shares that leave cells without a way to fail; a device that is Faulty (wrap the
        other way round).

    Notes
    -----
    All parameters are the user's: no published fit is assumed. For oxide cells the Weibull law was found to fit the
    statistics of forming and SET badly at high percentiles [2]_; check it on your own cycling data. Stuck cells neither
    drift nor read with noise. Not modelled: programming noise that grows with age, cycles that write-verify spends,
    cells that recover.

    References
    ----------
    .. [1] W. Weibull, "A statistical distribution function of wide applicability", J. Appl. Mech. 18, 293 (1951),
       doi:10.1115/1.4010337.
    .. [2] N. Raghavan, Microelectron. Eng. (2017), doi:10.1016/j.mee.2017.05.007.
    """

    device: Device
    characteristic_cycles: float
    shape: float
    used_cycles: float
    stuck_on: float = 0.0
    stuck_off: float = 0.0
    window: tuple[float, float] | None = None

    def __post_init__(self):
        who = "Endurance"
        _checks.instance(self.device, Device, who=who, name="device")
        if isinstance(self.device, Faulty | Endurance):
            name = type(self.device).__name__
            raise InputError(f"{who}: device is {name}; give one of each, as Faulty(Endurance(device, ...))")
        _parameters.positive(self.characteristic_cycles, who=who, name="characteristic_cycles")
        _parameters.positive(self.shape, who=who, name="shape")
        _checks.real(self.used_cycles, who=who, name="used_cycles", low=0.0)
        stuck = sum(
            _checks.real(getattr(self, name), who=who, name=name, low=0.0, high=1.0)
            for name in ("stuck_on", "stuck_off")
        )
        if stuck > 1 + 1e-12 or (self.window is None and stuck < 1 - 1e-12):
            raise InputError(
                f"{who}: stuck_on and stuck_off sum to {stuck:g}; they must sum to 1, or to less with a window"
            )
        if self.window is not None:
            self._check_window()

    def _check_window(self):
        if not isinstance(self.window, tuple) or len(self.window) != 2:
            raise ArgumentTypeError(f"Endurance: window is {self.window!r}; give (low, high), as (0.3, 1.0)")
        low, high = (_checks.real(edge, who="Endurance", name="window", low=0.0, high=1.0) for edge in self.window)
        if low >= high:
            raise InputError(f"Endurance: window is {self.window}; its low end must be below its high end")

    def failed_share(self, cycles) -> np.ndarray:
        """Probability that a cell has failed after `cycles`."""
        return -np.expm1(-((np.asarray(cycles, np.float64) / self.characteristic_cycles) ** self.shape))

    def program(self, target, generator):
        target = _parameters.target(self, target)
        own = _parameters.as_fabricated(generator)
        last = self.characteristic_cycles * own.weibull(self.shape, target.shape)
        kind = np.searchsorted([self.stuck_on, self.stuck_on + self.stuck_off], own.random(target.shape), side="right")
        if self.window is None:
            kind = np.minimum(kind, 1)  # the shares sum to 1 up to rounding
        worn = np.where(last <= self.used_cycles, np.array([ON, OFF, NARROW], np.int8)[kind], np.int8(LIVE))
        low, high = (self.g_min + edge * (self.g_max - self.g_min) for edge in self.window or (0.0, 1.0))
        cells = self.device.program(np.where(worn == NARROW, np.clip(target, low, high), target), generator)
        cells = stick(cells, (worn == ON) | (worn == OFF), np.where(worn == ON, self.g_max, self.g_min))
        return replace(cells, state={**cells.state, "cycles to failure": last, "worn": worn})

    def conductance(self, cells, seconds):
        return np.where(self._stuck(cells), cells.conductance, self.device.conductance(cells, seconds))

    def read_sigma(self, cells, seconds):
        return np.where(self._stuck(cells), 0.0, self.device.read_sigma(cells, seconds))

    def _stuck(self, cells) -> np.ndarray:
        (worn,) = _parameters.kept(self, cells, "worn")
        return (worn == ON) | (worn == OFF)
