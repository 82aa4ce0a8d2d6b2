"""HfO2 ReRAM of Milo 2021: spread after write-verify, and a nonlinear I-V.

G = max(0, target + sigma N),   sigma = max(4.782 uS - 0.009107 target, 0)
I = G V + N2 V^2 + N3 V^3,      N2 and N3 polynomials of log10(G / S)
"""

from dataclasses import dataclass

import numpy as np

from . import _parameters
from ._arrays import normals, polynomial
from .base import Cells, CurrentVoltage, Device, ReadShares

MICRO = 1e-6
HIGHEST_VOLTS = 0.5  # RRAM_Milo.py of CrossSim 3.2.0, the end of the measured I-V curves
SIGMA = (4.782321, -0.009107)  # uS, uS per uS; the same file, from Fig. 4 of the paper (IGVVA-100)
SECOND = (0.007063, 0.005711, 0.001541, 0.0001388)  # A/V^2, powers of log10 G; the same file, from Fig. 1
THIRD = (1.2968e-3, 6.7919e-4, 8.8710e-5)  # A/V^3, likewise


@dataclass(frozen=True)
class MiloCurve(CurrentVoltage):
    """Second and third coefficient as polynomials of log10(G / S), up to 0.5 V."""

    powers = (2, 3)
    highest_volts = HIGHEST_VOLTS

    def coefficients(self, conductance):
        conducting = conductance > 0
        decade = np.log10(np.where(conducting, conductance, 1.0))
        return tuple(np.where(conducting, polynomial(decade, powers), 0.0) for powers in (SECOND, THIRD))


@dataclass(frozen=True)
class RramMilo2021(Device):
    """HfO2 ReRAM programmed by gate-controlled write-verify (IGVVA-100).

    Parameters
    ----------
    g_min, g_max : float, siemens, 50 uS <= g_min < g_max <= 225 uS
    programming_noise : bool

    Raises
    ------
    InputError
        A range outside these limits.

    Notes
    -----
    The I-V rests on curves of 62.5 uS to 110 uS and on the assumption that it is linear at 225 uS. In a crossbar it is
    exact for each row's voltage. Not modelled: drift and relaxation, read noise (compose with WithReadNoise),
    temperature.

    References
    ----------
    V. Milo et al., "Optimized programming algorithms for multilevel RRAM in hardware neural networks", IRPS (2021),
    doi:10.1109/IRPS46558.2021.9405119, Figs. 1 and 4. Coefficients as in CrossSim 3.2.0.
    """

    g_min: float = 50e-6
    g_max: float = 225e-6
    programming_noise: bool = True
    iv = MiloCurve()

    def __post_init__(self):
        _parameters.conductance_range(self, low=50e-6, high=225e-6)

    def programming_sigma(self, target):
        """Standard deviation of programming, siemens, at `target` siemens."""
        return np.maximum(SIGMA[0] * MICRO + SIGMA[1] * np.asarray(target, np.float64), 0.0)

    def current(self, conductance, voltage) -> np.ndarray:
        """Current through a cell, amperes.

        Parameters
        ----------
        conductance : array, siemens, > 0
            At small voltage. 0 siemens is an open cell and carries no current.
        voltage : array that broadcasts with it, volts, -0.5 to 0.5

        Raises
        ------
        InputError
            A voltage beyond the measured curves, or a negative conductance.
        """
        return self.iv.current(conductance, voltage)

    def program(self, target, generator):
        target = _parameters.target(self, target)
        noise = self.programming_sigma(target) * normals(generator, target.shape)
        return Cells(np.maximum(target + noise, 0.0) if self.programming_noise else target.copy())

    def conductance(self, cells, seconds):
        _parameters.seconds(self, seconds)
        return cells.conductance

    def read_sigma(self, cells, seconds):
        return np.zeros_like(self.conductance(cells, seconds))

    def read_shares(self, seconds, *, image_seconds, session_seconds, cells=None):
        _parameters.spans("RramMilo2021", image_seconds, session_seconds)
        return ReadShares(1.0, 0.0, 0.0)
