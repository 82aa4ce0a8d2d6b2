"""A cell given by a few numbers: programming noise of a chosen shape, relative read noise, power-law drift.

G_prog = max(0, draw(target))            draw: one of the ProgrammingNoise parts below
G(t)   = G_prog ((t + t0) / t0)^-nu,     nu ~ max(0, normal(drift_exponent, drift_spread)) per cell
sigma_read = read_noise G(t)
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from .. import _checks
from ..errors import ArgumentTypeError
from . import _parameters
from ._arrays import normals, power_law
from .base import Cells, Device, ReadShares, held_if_stuck


class ProgrammingNoise(ABC):
    """Abstract: how the programmed conductance scatters around its target."""

    @abstractmethod
    def draw(self, target: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Conductances, siemens, possibly below 0; the device cuts them at 0."""


def _check_spread(noise: ProgrammingNoise, name: str) -> None:
    _checks.real(getattr(noise, name), who=type(noise).__name__, name=name, low=0.0)


@dataclass(frozen=True)
class NormalNoise(ProgrammingNoise):
    """target + sigma N; sigma in siemens, >= 0."""

    sigma: float

    def __post_init__(self):
        _check_spread(self, "sigma")

    def draw(self, target, generator):
        return target + self.sigma * normals(generator, target.shape)


@dataclass(frozen=True)
class ProportionalNoise(ProgrammingNoise):
    """target (1 + sigma N); sigma relative, >= 0. A target of 0 is met exactly."""

    sigma: float

    def __post_init__(self):
        _check_spread(self, "sigma")

    def draw(self, target, generator):
        return target * (1 + self.sigma * normals(generator, target.shape))


@dataclass(frozen=True)
class LognormalNoise(ProgrammingNoise):
    """target exp(sigma N); sigma of ln G, >= 0. The median is the target, the mean exp(sigma^2 / 2) times it."""

    sigma: float

    def __post_init__(self):
        _check_spread(self, "sigma")

    def draw(self, target, generator):
        return target * np.exp(self.sigma * normals(generator, target.shape))


@dataclass(frozen=True)
class UniformNoise(ProgrammingNoise):
    """Uniform on target +- half_width; half_width in siemens, >= 0, as write-verify of this tolerance leaves it."""

    half_width: float

    def __post_init__(self):
        _check_spread(self, "half_width")

    def draw(self, target, generator):
        return target + self.half_width * (2 * generator.random(target.shape) - 1)


@dataclass(frozen=True)
class Generic(Device):
    """A cell of the user's own numbers; by default exact.

    Parameters
    ----------
    g_min, g_max : float, siemens, 0 <= g_min < g_max
    noise : ProgrammingNoise or None
        NormalNoise, ProportionalNoise, LognormalNoise or UniformNoise. None: targets are met exactly.
    read_noise : float, relative, >= 0
        Standard deviation of G as read over G, white: fresh at each read. For other spectra, see WithReadNoise.
    drift_exponent, drift_spread : float, >= 0
        Mean and standard deviation of nu over the cells, before it is cut at 0.
    t0 : float, seconds, > 0
        Between programming and the time at which G is G_prog.

    Raises
    ------
    InputError
        A parameter outside these limits.

    Notes
    -----
    Not modelled: anything beyond the equations above, as temperature, relaxation or a nonlinear I-V.
    """

    g_min: float = 0.0
    g_max: float = 25e-6
    noise: ProgrammingNoise | None = None
    read_noise: float = 0.0
    drift_exponent: float = 0.0
    drift_spread: float = 0.0
    t0: float = 1.0

    def __post_init__(self):
        _parameters.conductance_range(self)
        if self.noise is not None and not isinstance(self.noise, ProgrammingNoise):
            raise ArgumentTypeError(f"Generic: noise is {self.noise!r}; give a ProgrammingNoise, as NormalNoise(1e-6)")
        for name in ("read_noise", "drift_exponent", "drift_spread"):
            _checks.real(getattr(self, name), who="Generic", name=name, low=0.0)
        _parameters.positive(self.t0, who="Generic", name="t0")

    def program(self, target, generator):
        target = _parameters.target(self, target)
        programmed = target.copy() if self.noise is None else np.maximum(self.noise.draw(target, generator), 0.0)
        if not self.drift_spread:
            return Cells(programmed, self.drift_exponent)
        spread = self.drift_spread * normals(generator, target.shape)
        return Cells(programmed, np.maximum(np.float64(self.drift_exponent) + spread, 0.0))

    def conductance(self, cells, seconds):
        seconds = _parameters.seconds(self, seconds)
        return held_if_stuck(cells, power_law(cells.conductance, cells.drift_exponent, (seconds + self.t0) / self.t0))

    def read_sigma(self, cells, seconds):
        return self.read_noise * self.conductance(cells, seconds)

    def read_shares(self, seconds, *, image_seconds, session_seconds, cells=None):
        _parameters.spans("Generic", image_seconds, session_seconds)
        return ReadShares(1.0, 0.0, 0.0)
