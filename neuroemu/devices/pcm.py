"""Phase-change memory: programming noise, drift and 1/f read noise, fitted on chips.

    g_prog = max(0, target + sigma_prog(target) N)
    G(t)   = g_prog ((t + t0) / t0)^-nu,   nu ~ |N(mu_nu, s_nu)| per cell
    sigma_read(t) = G(t) Q_s sqrt(ln((t + t0 + t_read) / (2 t_read)))

g = G / g_max below. The read noise is 1/f: its variance gathers evenly per decade of time between 2 t_read and t, so
only a part of it is new at each read; `read_shares` says how much. `white=True` makes all of it new at each read, which
lets averaging remove noise that a chip keeps: for comparison with simulators that do so.

sigma_prog and nu of a cell are computed in float32, to about 1e-6 of their value; the rest is float64.

Not modelled: temperature, the activation-dependent slope of the read noise, the resistance of the access transistor.
"""

from abc import abstractmethod
from dataclasses import dataclass
from math import log, sqrt

import numpy as np

from .. import _checks
from . import _parameters
from ._arrays import Normals, blocks, by_blocks, polynomial, power_law
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
        noise, wanted = Normals(generator), target.reshape(-1)
        programmed, exponent = np.empty(target.shape), np.empty(target.shape) if self.drift else 0.0
        for place in blocks(wanted.size):
            now = wanted[place]
            if self.programming_noise:
                sigma = self.programming_sigma(np.clip(self._relative(now), 0.0, 1.0))
                now = np.maximum(now + sigma * noise.block(0, place), 0.0)
            programmed.reshape(-1)[place] = now
            if self.drift:
                mu, spread = self.drift_statistics(np.maximum(self._relative(now), 1e-7))
                exponent.reshape(-1)[place] = np.abs(mu + spread * noise.block(1, place))
        return Cells(programmed, exponent)

    def _relative(self, conductance):
        """g = conductance / g_max, in float32."""
        return (conductance / self.g_max).astype(np.float32)

    def conductance(self, cells, seconds):
        seconds = _parameters.seconds(self, seconds)
        return held_if_stuck(cells, power_law(cells.conductance, cells.drift_exponent, (seconds + self.t0) / self.t0))

    def read_sigma(self, cells, seconds):
        now = self.conductance(cells, seconds)
        if not self.read_noise:
            return np.zeros_like(now)
        gathered = sqrt(log((seconds + self.t0 + self.t_read) / (2 * self.t_read)))

        def sigma(drifted, programmed):
            return drifted * self.read_factor(np.maximum(programmed / self.g_max, 1e-7)) * gathered

        return by_blocks(sigma, now, cells.conductance)

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
        sigma = polynomial(g, (0.26348, 1.9650, -1.1731))  # uS at g_max 25 uS
        return np.maximum(sigma, 0.0) * (MICRO * (self.g_max / 25e-6))

    def drift_statistics(self, g):
        fold = np.log(g)
        return np.clip(-0.0155 * fold + 0.0244, 0.049, 0.1), np.clip(-0.0125 * fold - 0.0059, 0.008, 0.045)

    def read_factor(self, g):
        return np.minimum(0.0088 / np.maximum(np.exp(0.65 * np.log(g)), 1e-3), 0.2)


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
        return np.maximum(polynomial(g, two if self.devices == 2 else one), 0.0) * MICRO

    def drift_statistics(self, g):
        fold = np.log(g)
        low, high = np.clip(-0.0387 * fold - 0.0182, 0.072, 0.13), polynomial(g, (0.0736, -0.0126, -0.0436))
        mu = np.where(g < 0.0945, low, high)
        if self.devices == 2:
            low, edge = np.clip(-0.0117 * fold - 0.0057, 0.0091, 0.04), 0.3055
            high = polynomial(g, (0.0073, 0.0093, -0.0118))
        else:
            low, edge = np.clip(-0.0120 * fold - 0.0023, 0.0124, 0.04), 0.3039
            high = polynomial(g, (0.0104, 0.0116, -0.0165))
        return mu, np.where(g < edge, low, high)

    def read_factor(self, g):
        if self.devices == 2:
            low, edge = np.clip(-0.0117 * np.log(g) - 0.0069, 0.015, 0.04), 0.16
            high = polynomial(g, (0.0123, 0.0211, -0.0280, 0.0069))
        else:
            low, edge = np.clip(-0.0078 * np.log(g) + 0.0038, 0.0179, 0.04), 0.1591
            high = polynomial(g, (0.0088, 0.0768, -0.1352, 0.0664))
        return np.where(g < edge, low, high)
