"""Ideal: a cell that holds exactly what it was told, for ever."""

from dataclasses import dataclass

import numpy as np

from . import _parameters
from .base import Cells, Device, ReadShares


@dataclass(frozen=True)
class Ideal(Device):
    """G(t) = target, no noise.

    Parameters
    ----------
    g_min, g_max : float, siemens
        The range that weights are mapped to; it scales currents, not results.
    """

    g_min: float = 0.0
    g_max: float = 25e-6

    def __post_init__(self):
        _parameters.conductance_range(self)

    def program(self, target, generator):
        return Cells(np.array(target, np.float64))

    def conductance(self, cells, seconds):
        return cells.conductance

    def read_sigma(self, cells, seconds):
        return np.zeros_like(cells.conductance)

    def read_shares(self, seconds, *, image_seconds, session_seconds, cells=None):
        return ReadShares(0.0, 0.0, 1.0)
