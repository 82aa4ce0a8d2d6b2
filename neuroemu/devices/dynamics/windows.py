"""Window functions f(x) of the ion drift: they slow the boundary between doped and undoped film near the electrodes."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ... import _checks
from ...kernels.memristors_reference import Model


class Window(ABC):
    """Abstract window; `value(x, current)` for x in 0..1, and the number by which the kernel knows it."""

    _model: ClassVar[Model]
    p: float
    height: float

    @abstractmethod
    def value(self, x, current) -> np.ndarray:
        """f(x) for the sign of the current."""


@dataclass(frozen=True)
class NoWindow(Window):
    """f = 1: the boundary moves freely between the electrodes and stops there."""

    _model: ClassVar[Model] = Model.DRIFT_FREE
    p: ClassVar[float] = 1.0
    height: ClassVar[float] = 1.0

    def value(self, x, current):
        return np.ones(np.broadcast_shapes(np.shape(x), np.shape(current)))


@dataclass(frozen=True)
class Joglekar(Window):
    """f = 1 - (2 x - 1)^(2 p), p = 1, 2, ...; f(0) = f(1) = 0.

    Notes
    -----
    A device that is exactly at a bound never leaves it: this is the model's known terminal-state problem.

    References
    ----------
    Y. N. Joglekar and S. J. Wolf, Eur. J. Phys. 30, 661 (2009), doi:10.1088/0143-0807/30/4/001.
    """

    p: int
    height: ClassVar[float] = 1.0
    _model: ClassVar[Model] = Model.DRIFT_JOGLEKAR

    def __post_init__(self):
        _checks.integer(self.p, who="Joglekar", name="p", low=1, high=1000)

    def value(self, x, current):
        return np.broadcast_to(1 - (2 * np.asarray(x) - 1) ** (2 * self.p), np.broadcast(x, current).shape)


@dataclass(frozen=True)
class Biolek(Window):
    """f = 1 - (x - stp(-i))^(2 p), p = 1, 2, ...; stp is 1 for a negative current i, else 0.

    f(1) = 0 for i > 0 and f(0) = 0 for i < 0: a device at a bound leaves it when the current turns.

    References
    ----------
    Z. Biolek, D. Biolek, V. Biolkova, Radioengineering 18, 210 (2009).
    """

    p: int
    height: ClassVar[float] = 1.0
    _model: ClassVar[Model] = Model.DRIFT_BIOLEK

    def __post_init__(self):
        _checks.integer(self.p, who="Biolek", name="p", low=1, high=1000)

    def value(self, x, current):
        return 1 - (np.asarray(x) - (np.asarray(current) < 0)) ** (2 * self.p)


@dataclass(frozen=True)
class Prodromakis(Window):
    """f = j (1 - [(x - 1/2)^2 + 3/4]^p), any p > 0; f(0) = f(1) = 0, largest j (1 - 0.75^p) at x = 1/2.

    References
    ----------
    T. Prodromakis et al., IEEE Trans. Electron Devices 58, 3099 (2011), doi:10.1109/TED.2011.2158004.
    """

    p: float
    height: float = 1.0  # j
    _model: ClassVar[Model] = Model.DRIFT_PRODROMAKIS

    def __post_init__(self):
        _checks.real(self.p, who="Prodromakis", name="p", low=1e-6, high=1000.0)
        _checks.real(self.height, who="Prodromakis", name="height", low=0.0)

    def value(self, x, current):
        return np.broadcast_to(
            self.height * (1 - ((np.asarray(x) - 0.5) ** 2 + 0.75) ** self.p), np.broadcast(x, current).shape
        )
