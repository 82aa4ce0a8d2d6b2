"""Device: the abstract memory cell. program -> Cells; conductance and noise follow from the cells and a time."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Cells:
    """Programmed cells.

    Parameters
    ----------
    conductance : array, siemens
        Right after programming, before any drift.
    drift_exponent : array of the same shape, or float
        nu of each cell.
    """

    conductance: np.ndarray
    drift_exponent: np.ndarray | float = 0.0


@dataclass(frozen=True)
class ReadShares:
    """How the variance of read noise splits by time scale; the three shares sum to 1.

    fresh: drawn anew at each read. slow: constant while one image is processed. frozen: constant over a session.
    """

    fresh: float
    slow: float
    frozen: float


class Device(ABC):
    """Abstract memory cell with conductances between `g_min` and `g_max`, in siemens."""

    g_min: float
    g_max: float

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
    def read_shares(self, seconds: float, *, image_seconds: float, session_seconds: float) -> ReadShares:
        """How the read variance splits when an image takes `image_seconds` and a test set `session_seconds`."""
