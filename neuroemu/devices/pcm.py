"""Phase-change memory: programming noise, drift and 1/f read noise, fitted on chips.

    g_prog = max(0, target + sigma_prog(target) N)
    G(t)   = g_prog ((t + t0) / t0)^-nu,   nu ~ |N(mu_nu, s_nu)| per cell
    sigma_read(t) = G(t) Q_s sqrt(ln((t + t0 + t_read) / (2 t_read)))

g = G / g_max below. The read noise is 1/f: its variance gathers evenly per decade of time between 2 t_read and t, so
only a part of it is new at each read; `read_shares` says how much. `white=True` makes all of it new at each read, which
lets averaging remove noise that a chip keeps: for comparison with simulators that do so.

Not modelled: temperature, the activation-dependent slope of the read noise, the resistance of the access transistor.
"""

from abc import abstractmethod
from dataclasses import dataclass
from math import log

import numpy as np

from .. import _checks
from . import _parameters
from .base import Cells, Device, ReadShares, held_if_stuck

MICRO = 1e-6


class _DriftingPcm(Device):
    """Abstract: what the two fits share. Subclasses give the polynomials."""

    t0: float  # seconds between programming and the first read of the fit
    t_read: float  # seconds of one read
    programming_noise: bool
    drift: bool
    read_noise: bool
    white: bool

    def __post_init__(self):
        self._check()
        _parameters.conductance_range(self)
        _parameters.positive(self.t0, who=type(self).__name__, name="t0")
        _parameters.positive(self.t_read, who=type(self).__name__, name="t_read")

    @abstractmethod
    def _check(self) -> None:
        """Refuse parameters of the subclass's own."""

    @abstractmethod
    def programming_sigma(self, g: np.ndarray) -> np.ndarray:
        """Standard deviation of programming, siemens, at g = target / g_max."""

    @abstractmethod
    def drift_statistics(self, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(mu_nu, s_nu) at g."""

    @abstractmethod
    def read_factor(self, g: np.ndarray) -> np.ndarray:
        """Q_s at g."""

    def program(self, target, generator):
        target = _parameters.target(self, target)
        g = np.clip(target / self.g_max, 0.0, 1.0)
        noise = generator.standard_normal((2, *target.shape))
        programmed = target + self.programming_sigma(g) * noise[0] if self.programming_noise else target
        programmed = np.maximum(programmed, 0.0)
        if not self.drift:
            return Cells(programmed)
        mu, spread = self.drift_statistics(np.clip(programmed / self.g_max, 1e-7, None))
        return Cells(programmed, np.abs(mu + spread * noise[1]))

    def conductance(self, cells, seconds):
        seconds = _parameters.seconds(self, seconds)
        drifted = cells.conductance * ((seconds + self.t0) / self.t0) ** -np.asarray(cells.drift_exponent)
        return held_if_stuck(cells, drifted)

    def read_sigma(self, cells, seconds):
        now = self.conductance(cells, seconds)
        if not self.read_noise:
            return np.zeros_like(now)
        gathered = np.sqrt(log((seconds + self.t0 + self.t_read) / (2 * self.t_read)))
        return now * self.read_factor(np.clip(cells.conductance / self.g_max, 1e-7, None)) * gathered

    def read_shares(self, seconds, *, image_seconds, session_seconds, cells=None):
        """1/f between 2 t_read and t + t0 + t_read; all fresh when `white`."""
        _parameters.spans(type(self).__name__, image_seconds, session_seconds, read_seconds=self.t_read)
        if self.white:
            return ReadShares(1.0, 0.0, 0.0)
        last = seconds + self.t0 + self.t_read
        return _parameters.flicker_shares(2 * self.t_read, last, image_seconds, session_seconds)


@dataclass(frozen=True)
class Pcm(_DriftingPcm):
    """The doped-GST cell of Nandakumar and Joshi, g_max 25 uS.

    The standard deviation of programming, fitted at 25 uS, scales with g_max / 25 uS: a cell of another g_max is taken
    to be this one in parallel or in part, not this one used in a smaller range.

    Parameters
    ----------
    g_min, g_max : float, siemens, 0 <= g_min < g_max
        The fit holds from 0 to 25 uS.
    t0 : float, seconds, > 0
        Between programming and the first read of the fit.
    t_read : float, seconds, > 0
        One read; the 1/f noise gathers from 2 t_read on.
    programming_noise, drift, read_noise : bool
        Each effect on or off.
    white : bool
        All read noise fresh at each read, instead of split by time scale.

    Raises
    ------
    InputError
        A range or time outside these limits.

    References
    ----------
    S. R. Nandakumar et al., ICECS 2019, doi:10.1109/ICECS46596.2019.8964852; V. Joshi et al., Nat. Commun. 11, 2473
    (2020), doi:10.1038/s41467-020-16108-9. Coefficients as in the open model PCMLikeNoiseModel of aihwkit 1.2.0.
    """

    g_max: float = 25e-6
    g_min: float = 0.0
    t0: float = 20.0
    t_read: float = 250e-9
    programming_noise: bool = True
    drift: bool = True
    read_noise: bool = True
    white: bool = False

    def _check(self):
        """Nothing of its own."""

    def programming_sigma(self, g):
        sigma = 0.26348 + 1.9650 * g - 1.1731 * g**2  # uS at g_max 25 uS
        return np.maximum(sigma, 0.0) * MICRO * (self.g_max / 25e-6)

    def drift_statistics(self, g):
        mu = np.clip(-0.0155 * np.log(g) + 0.0244, 0.049, 0.1)
        return mu, np.clip(-0.0125 * np.log(g) - 0.0059, 0.008, 0.045)

    def read_factor(self, g):
        return np.minimum(0.0088 / np.maximum(g**0.65, 1e-3), 0.2)


@dataclass(frozen=True)
class HermesPcm(_DriftingPcm):
    """The cell of IBM's HERMES chip; two parallel devices a polarity (the chip's default) or one.

    Parameters
    ----------
    devices : 1 or 2
        Parallel devices; g_max is 10.35 uS or 20.7 uS and t0 200 s or 300 s.
    g_min : float, siemens, 0 to below g_max
    t_read : float, seconds, > 0
        One read; the 1/f noise gathers from 2 t_read on.
    programming_noise, drift, read_noise : bool
        Each effect on or off.
    white : bool
        All read noise fresh at each read, instead of split by time scale.

    Raises
    ------
    InputError
        A range, time or number of devices outside these limits.

    References
    ----------
    M. Le Gallo et al., Nat. Electron. 6, 680 (2023), doi:10.1038/s41928-023-01010-1. Coefficients as in the open
    model of aihwkit 1.2.0 (noise/hermes.py).
    """

    devices: int = 2
    g_min: float = 0.0
    t_read: float = 512e-9
    programming_noise: bool = True
    drift: bool = True
    read_noise: bool = True
    white: bool = False

    def _check(self):
        _checks.integer(self.devices, who="HermesPcm", name="devices", low=1, high=2)

    @property
    def g_max(self):
        return 20.7e-6 if self.devices == 2 else 10.35e-6

    @property
    def t0(self):
        return 300.0 if self.devices == 2 else 200.0

    def programming_sigma(self, g):
        two = (0.16603222, 4.71806468, -8.48101252, 4.68961419)
        one = (0.15781817, 2.32443916, -2.16310839, 0.68841818)
        return np.maximum(np.polynomial.polynomial.polyval(g, two if self.devices == 2 else one), 0.0) * MICRO

    def drift_statistics(self, g):
        mu = np.where(
            g < 0.0945, np.clip(-0.0387 * np.log(g) - 0.0182, 0.072, 0.13), -0.0436 * g**2 - 0.0126 * g + 0.0736
        )
        if self.devices == 2:
            low, high, edge = (
                np.clip(-0.0117 * np.log(g) - 0.0057, 0.0091, 0.04),
                -0.0118 * g**2 + 0.0093 * g + 0.0073,
                0.3055,
            )
        else:
            low, high, edge = (
                np.clip(-0.0120 * np.log(g) - 0.0023, 0.0124, 0.04),
                -0.0165 * g**2 + 0.0116 * g + 0.0104,
                0.3039,
            )
        return mu, np.where(g < edge, low, high)

    def read_factor(self, g):
        if self.devices == 2:
            low, edge = np.clip(-0.0117 * np.log(g) - 0.0069, 0.015, 0.04), 0.16
            high = 0.0069 * g**3 - 0.0280 * g**2 + 0.0211 * g + 0.0123
        else:
            low, edge = np.clip(-0.0078 * np.log(g) + 0.0038, 0.0179, 0.04), 0.1591
            high = 0.0664 * g**3 - 0.1352 * g**2 + 0.0768 * g + 0.0088
        return np.where(g < edge, low, high)
