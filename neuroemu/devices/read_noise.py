"""Read noise by its physics, as parts to compose: a device with parts is again a device.

    noisy = WithReadNoise(RramWan2022(), (ThermalNoise(...), ShotNoise(...), FlickerNoise(...), TelegraphNoise(...)))

The parts are independent, of each other and of the device's own read noise: variances add. Each says which share of its
variance is fresh at each read, which holds for an image, and which for a session.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from math import log

import numpy as np

from .. import _checks
from ..errors import ArgumentTypeError, InputError
from . import _parameters
from .base import Cells, Device, ReadShares, Trap, Wrapper
from .endurance import Endurance
from .faults import Faulty

BOLTZMANN = 1.380649e-23  # J/K, exact, SI 2019
CHARGE = 1.602176634e-19  # C, exact, SI 2019
REFERENCE_CELLS = 4096  # of the population that stands for all cells where no cells are given
FRESH = ReadShares(1.0, 0.0, 0.0)
SHARES = ("fresh", "slow", "frozen")


class ReadNoise(ABC):
    """Abstract part: the variance it adds to a read, and its time scales."""

    @abstractmethod
    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> dict[str, np.ndarray]:
        """What the part keeps of each cell, by name; drawn when the cells are programmed."""

    @abstractmethod
    def variance(self, conductance: np.ndarray, kept: dict[str, np.ndarray], seconds: float) -> np.ndarray:
        """Variance of a cell's conductance as read, siemens squared, all time scales together."""

    @abstractmethod
    def shares(self, kept, seconds: float, *, image_seconds: float, session_seconds: float) -> ReadShares:
        """How that variance splits; numbers, or arrays where it differs from cell to cell."""


def _check_electrical(noise) -> None:
    for name in noise.__dataclass_fields__:
        _parameters.positive(getattr(noise, name), who=type(noise).__name__, name=name)


@dataclass(frozen=True)
class ThermalNoise(ReadNoise):
    """Johnson-Nyquist noise: sigma_G = sqrt(4 k T G bandwidth) / V, fresh at each read.

    Parameters
    ----------
    bandwidth : float, Hz, > 0
        Of the read circuit; 1 / (2 t) for an integration of t seconds.
    v_read : float, volts, > 0
    temperature : float, kelvin, > 0

    Notes
    -----
    White up to kT/h, about 6 THz at 300 K. Not modelled: noise of the circuit itself, and of wires.

    References
    ----------
    H. Nyquist, Phys. Rev. 32, 110 (1928), doi:10.1103/PhysRev.32.110.
    """

    bandwidth: float
    v_read: float
    temperature: float = 300.0

    def __post_init__(self):
        _check_electrical(self)

    def draw(self, shape, generator):
        return {}

    def variance(self, conductance, kept, seconds):
        return 4 * BOLTZMANN * self.temperature * self.bandwidth / self.v_read**2 * conductance

    def shares(self, kept, seconds, *, image_seconds, session_seconds):
        return FRESH


@dataclass(frozen=True)
class ShotNoise(ReadNoise):
    """Full shot noise of the read current G V: sigma_G = sqrt(2 q G bandwidth / V), fresh at each read.

    Parameters
    ----------
    bandwidth : float, Hz, > 0
    v_read : float, volts, > 0

    Notes
    -----
    Holds for carriers that cross one barrier singly (tunnelling, subthreshold) at q V well above k T. A diffusive
    conductor has a third of it or none; thermal and shot noise of one barrier at low voltage are one phenomenon, and
    adding both counts up to twice.

    References
    ----------
    Ya. M. Blanter and M. Buettiker, Phys. Rep. 336, 1 (2000), doi:10.1016/S0370-1573(99)00123-4.
    """

    bandwidth: float
    v_read: float

    def __post_init__(self):
        _check_electrical(self)

    def draw(self, shape, generator):
        return {}

    def variance(self, conductance, kept, seconds):
        return 2 * CHARGE * self.bandwidth / self.v_read * conductance

    def shares(self, kept, seconds, *, image_seconds, session_seconds):
        return FRESH


@dataclass(frozen=True)
class WhiteNoise(ReadNoise):
    """The same sigma for every cell, fresh at each read.

    Parameters
    ----------
    sigma : float, siemens, >= 0
    """

    sigma: float

    def __post_init__(self):
        _checks.real(self.sigma, who="WhiteNoise", name="sigma", low=0.0)

    def draw(self, shape, generator):
        return {}

    def variance(self, conductance, kept, seconds):
        return np.full_like(conductance, self.sigma**2)

    def shares(self, kept, seconds, *, image_seconds, session_seconds):
        return FRESH


@dataclass(frozen=True)
class FlickerNoise(ReadNoise):
    """1/f noise: sigma_G = relative G sqrt(ln((t + t0 + t_read) / (2 t_read))).

    The variance gathers evenly per decade of time between 2 t_read and t + t0, and splits by the same rule.

    Parameters
    ----------
    relative : float, >= 0
        sigma_G / G for each square root of an e-fold of time.
    t_read : float, seconds, > 0
        One read.
    t0 : float, seconds, >= 0
        Age of a cell when t = 0.
    white : bool
        All of it fresh at each read: an overstatement of what averaging can remove.

    Notes
    -----
    Not modelled: a spectral exponent other than 1, the dependence on temperature.

    References
    ----------
    S. R. Nandakumar et al., ICECS 2019, doi:10.1109/ICECS46596.2019.8964852, for the law in t.
    """

    relative: float
    t_read: float = 250e-9
    t0: float = 1.0
    white: bool = False

    def __post_init__(self):
        _checks.real(self.relative, who="FlickerNoise", name="relative", low=0.0)
        _parameters.positive(self.t_read, who="FlickerNoise", name="t_read")
        _checks.real(self.t0, who="FlickerNoise", name="t0", low=0.0)

    def draw(self, shape, generator):
        return {}

    def variance(self, conductance, kept, seconds):
        folds = log(max((seconds + self.t0 + self.t_read) / (2 * self.t_read), 1.0))
        return (self.relative * conductance) ** 2 * folds

    def shares(self, kept, seconds, *, image_seconds, session_seconds):
        if self.white:
            return FRESH
        _parameters.spans("FlickerNoise", image_seconds, session_seconds, read_seconds=self.t_read)
        last = seconds + self.t0 + self.t_read
        return _parameters.flicker_shares(2 * self.t_read, last, image_seconds, session_seconds)


@dataclass(frozen=True)
class WithReadNoise(Wrapper):
    """A device with further read noise; all else is the device's own.

    Parameters
    ----------
    device : Device
    parts : tuple of ReadNoise, at least one

    Raises
    ------
    ArgumentTypeError
        A device or part of another type.
    InputError
        A device that has parts already, or whose stuck cells noise would move: Faulty and Endurance go outside.

    Notes
    -----
    `read_shares` gives one split for all cells: the variances of a fixed population of 4096 cells, programmed evenly
    from g_min to g_max, added up. With `cells=`, as a crossbar calls it, it gives the split of each cell, as arrays.
    The frozen share of a telegraph trap then has its two levels; all else is drawn as normal.
    """

    device: Device
    parts: tuple[ReadNoise, ...]

    def __post_init__(self):
        if not isinstance(self.device, Device):
            raise ArgumentTypeError(f"WithReadNoise: device is {self.device!r}; give a Device, as Pcm()")
        if isinstance(self.device, WithReadNoise):
            raise InputError("WithReadNoise: the device already has parts; give all parts in one tuple")
        if isinstance(self.device, Faulty | Endurance):
            outer = type(self.device).__name__
            raise InputError(f"WithReadNoise: noise would move stuck cells; wrap as {outer}(WithReadNoise(...), ...)")
        parts = self.parts
        if not isinstance(parts, tuple) or not parts or not all(isinstance(part, ReadNoise) for part in parts):
            raise ArgumentTypeError(f"WithReadNoise: parts is {parts!r}; give a tuple, as (WhiteNoise(4e-7),)")

    def program(self, target, generator):
        cells = self.device.program(target, generator)
        state = dict(cells.state)
        for index, part in enumerate(self.parts):
            drawn = part.draw(cells.conductance.shape, generator)
            state.update({f"{index}.{name}": array for name, array in drawn.items()})
        return replace(cells, state=state)

    def read_sigma(self, cells, seconds):
        now = self.conductance(cells, seconds)
        variance = self.device.read_sigma(cells, seconds) ** 2
        for index, part in enumerate(self.parts):
            variance = variance + part.variance(now, _of_part(cells, index), seconds)
        return np.sqrt(variance)

    def read_shares(self, seconds, *, image_seconds, session_seconds, cells=None):
        _parameters.spans("WithReadNoise", image_seconds, session_seconds)
        spans = {"image_seconds": image_seconds, "session_seconds": session_seconds}
        population = cells
        if cells is None:
            levels = np.linspace(self.g_min, self.g_max, REFERENCE_CELLS)
            population = self.program(levels, np.random.default_rng(0))
        noises = self._noises(population, seconds, spans, cells)
        split = [sum(variance * getattr(shares, name) for variance, shares in noises) for name in SHARES]
        if cells is None:
            split = [variance.mean() for variance in split]
        total = sum(split)
        silent = total == 0  # where nothing is noisy, any split is right
        total = np.where(silent, 1.0, total)
        fresh, slow, frozen = np.where(silent, 1.0, split[0] / total), split[1] / total, split[2] / total
        if cells is None:
            return ReadShares(float(fresh), float(slow), float(frozen))
        traps = [(variance * trap.share, trap.occupancy) for variance, shares in noises for trap in shares.traps]
        return ReadShares(fresh, slow, frozen, tuple(Trap(variance / total, p) for variance, p in traps))

    def _noises(self, population, seconds, spans, cells):
        """Variance and split of the device's own noise, and of each part's."""
        now = self.conductance(population, seconds)
        own = self.device.read_shares(seconds, **spans, cells=cells)
        noises = [(self.device.read_sigma(population, seconds) ** 2, own)]
        for index, part in enumerate(self.parts):
            kept = _of_part(population, index)
            noises.append((part.variance(now, kept, seconds), part.shares(kept, seconds, **spans)))
        return noises


def _of_part(cells: Cells, index: int) -> dict[str, np.ndarray]:
    prefix = f"{index}."
    return {name.removeprefix(prefix): array for name, array in cells.state.items() if name.startswith(prefix)}
