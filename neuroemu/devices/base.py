"""Device: the abstract memory cell. program -> Cells; conductance and noise follow from the cells and a time."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from .. import _checks
from ..errors import InputError


@dataclass(frozen=True, eq=False)
class Cells:
    """Programmed cells.

    Parameters
    ----------
    conductance : array, siemens
        Right after programming, before any drift.
    drift_exponent : array of the same shape, or float
        nu of each cell.
    stuck : bool array of the same shape, or None
        Cells that hold `conductance` for ever; None when no cell is stuck.
    state : mapping from names to arrays of the same shape
        What else a device keeps of each cell, as its relaxation or its traps. Other devices ignore it.
    """

    conductance: np.ndarray
    drift_exponent: np.ndarray | float = 0.0
    stuck: np.ndarray | None = None
    state: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Trap:
    """A part of the frozen noise that has two levels: full with probability `occupancy`, else empty.

    share : float or array
        Its part of the whole read variance.
    """

    share: float | np.ndarray
    occupancy: float


@dataclass(frozen=True)
class ReadShares:
    """How the variance of read noise splits by time scale; the three shares sum to 1.

    fresh: drawn anew at each read. slow: constant while one image is processed. frozen: constant over a session. Each
    is a number, or an array where cells differ. `traps` are contained in `frozen`; all else is normal.
    """

    fresh: float | np.ndarray
    slow: float | np.ndarray
    frozen: float | np.ndarray
    traps: tuple[Trap, ...] = ()


class CurrentVoltage(ABC):
    """Abstract curve: I = G V + sum over n of c_n(G) V^n, for the n of `powers`, each 2 or more.

    G is the conductance at small voltage: what `Device.conductance` gives.
    """

    powers: tuple[int, ...]
    highest_volts: float  # largest magnitude of the voltage that the curve holds for

    @abstractmethod
    def coefficients(self, conductance: np.ndarray) -> tuple[np.ndarray, ...]:
        """c_n, A / V^n, for each of `powers`, at `conductance` (siemens, >= 0); 0 where that is 0."""

    def current(self, conductance, voltage) -> np.ndarray:
        """Amperes at `conductance` (siemens, >= 0) and `voltage` (volts), which broadcast.

        Raises
        ------
        InputError
            A voltage beyond `highest_volts`, or a negative conductance.
        """
        who = type(self).__name__
        g = _checks.finite_array(conductance, who=who, name="conductance", dtype=np.float64)
        v = _checks.finite_array(voltage, who=who, name="voltage", dtype=np.float64)
        if v.size and np.abs(v).max() > self.highest_volts:
            raise InputError(f"{who}: voltage reaches {np.abs(v).max():g} V; it holds up to {self.highest_volts:g} V")
        if g.size and g.min() < 0:
            raise InputError(f"{who}: a conductance is {g.min():g} S; give 0 S or more")
        return g * v + sum(c * v**power for power, c in zip(self.powers, self.coefficients(g), strict=True))

    def effective_conductance(self, conductance, volts: float) -> np.ndarray:
        """I / V at `volts` (not 0), siemens."""
        return self.current(conductance, volts) / volts


class Device(ABC):
    """Abstract memory cell with conductances between `g_min` and `g_max`, in siemens.

    `iv` is the curve of a cell that is not ohmic. `uses_lines` says whether cells act on others of their row or column,
    so that an array is programmed in one call. A device round another is a `Wrapper`.
    """

    g_min: float
    g_max: float
    iv: CurrentVoltage | None = None
    uses_lines: bool = False

    @abstractmethod
    def program(self, target: np.ndarray, generator: np.random.Generator) -> Cells:
        """Cells programmed towards `target` (siemens); draws programming noise and drift exponents."""

    @abstractmethod
    def conductance(self, cells: Cells, seconds: float) -> np.ndarray:
        """Mean conductance `seconds` after programming; absolute, so the order of calls does not matter."""

    @abstractmethod
    def read_sigma(self, cells: Cells, seconds: float) -> np.ndarray:
        """Standard deviation of the conductance as read, all time scales together, in siemens."""

    @abstractmethod
    def read_shares(
        self, seconds: float, *, image_seconds: float, session_seconds: float, cells: Cells | None = None
    ) -> ReadShares:
        """How the read variance splits when an image takes `image_seconds` and a test set `session_seconds`.

        With `cells`, the split of each of them where they differ; without, one that stands for all.
        """


class Wrapper(Device):
    """Abstract: a device round another. What a class of this kind does not say, its `device` does."""

    device: Device

    @property
    def iv(self):
        return self.device.iv

    @property
    def g_min(self):
        return self.device.g_min

    @property
    def g_max(self):
        return self.device.g_max

    @property
    def uses_lines(self):
        return self.device.uses_lines

    def program(self, target, generator):
        return self.device.program(target, generator)

    def conductance(self, cells, seconds):
        return self.device.conductance(cells, seconds)

    def read_sigma(self, cells, seconds):
        return self.device.read_sigma(cells, seconds)

    def read_shares(self, seconds, *, image_seconds, session_seconds, cells=None):
        return self.device.read_shares(
            seconds, image_seconds=image_seconds, session_seconds=session_seconds, cells=cells
        )


def stick(cells: Cells, where: np.ndarray, conductance: np.ndarray | float) -> Cells:
    """The same cells with those at `where` (bool array) stuck at `conductance` (siemens, >= 0) for ever.

    A stuck cell neither drifts nor relaxes; it reads as noisily as a sound cell of its conductance.
    """
    where = np.asarray(where)
    if where.dtype != bool or where.shape != cells.conductance.shape:
        raise InputError(
            f"stick: where is {where.dtype} {where.shape}; give a bool array of the cells' shape "
            f"{cells.conductance.shape}"
        )
    held = _checks.finite_array(conductance, who="stick", name="conductance", dtype=np.float64)
    if held.shape not in ((), where.shape) or held.min(initial=0.0) < 0:
        raise InputError("stick: conductance must be 0 siemens or more, one number or one for each cell")
    before = np.zeros(where.shape, bool) if cells.stuck is None else cells.stuck
    return replace(cells, conductance=np.where(where, held, cells.conductance), stuck=before | where)


def held_if_stuck(cells: Cells, conductance: np.ndarray) -> np.ndarray:
    """`conductance`, but the programmed one where a cell is stuck."""
    return conductance if cells.stuck is None else np.where(cells.stuck, cells.conductance, conductance)
