"""Data-driven ReRAM models: resistance as the state, speed and reach fitted to pulses on TiO2 devices."""

from abc import abstractmethod
from dataclasses import dataclass
from math import inf
from typing import ClassVar

import numpy as np

from ... import _checks
from ...errors import InputError
from ...kernels.memristors_reference import Model
from .base import Memristor


class _DataDriven(Memristor):
    """Abstract: what the two years share. I = (a / R) sinh(b V), with a_p, b_p for V > 0 and a_n, b_n for V <= 0."""

    state_unit: ClassVar[str] = "ohm"
    _straight: ClassVar[np.ufunc] = np.reciprocal

    @abstractmethod
    def _speed(self) -> tuple[float, ...]:
        """The parameters of dR/dt, in the kernel's order."""

    def _check(self):
        who = type(self).__name__
        for name in ("a_p", "a_n", "b_p", "b_n", "r_on"):
            _checks.real(getattr(self, name), who=who, name=name, low=1e-30)
        if _checks.real(self.r_off, who=who, name="r_off") <= self.r_on:
            raise InputError(f"{who}: r_off is {self.r_off} ohm; it must be above r_on, {self.r_on} ohm")
        for name in ("reach_p", "reach_n"):
            _checks.finite_array(getattr(self, name), who=who, name=name, dtype=np.float64, ndim=1)
            if len(getattr(self, name)) != 2:
                raise InputError(f"{who}: {name} is {getattr(self, name)}; give two numbers, ohms and ohms per volt")
        _checks.real(self.initial, who=who, name="initial", low=self.r_on, high=self.r_off)

    def _conduction(self):
        return self.r_on, self.r_off, self.a_p, self.a_n, self.b_p, self.b_n


@dataclass(frozen=True)
class DataDriven2017(_DataDriven):
    """dR/dt = speed_p (e^(t_p |V|) - 1) (e^(k_p (r - R)) - 1) for V > 0 and R < r, r = reach_p[0] + reach_p[1] V;
    dR/dt = speed_n (e^(t_n |V|) - 1) (e^(k_n (R - r)) - 1) for V < 0 and R > r, r = reach_n[0] + reach_n[1] V.

    Else R rests. Under a held voltage, with d = -|r - R| and s the size of the first two factors,
    d(t) = ln(1 + e^(-k s t) (e^(k d0) - 1)) / k: this is how a step is computed.

    Parameters
    ----------
    speed_p, speed_n : float, ohms / second
        A_p > 0 and A_n < 0 of the paper.
    t_p, t_n : float, 1 / volt
        More than 0.
    k_p, k_n : float, 1 / ohm
        More than 0.
    reach_p, reach_n : two floats, ohms and ohms / volt
        The resistance towards which R goes.
    a_p, a_n : float
    b_p, b_n : float, 1 / volt
    r_on, r_off : float, ohms
        Bounds of R.
    initial : float, ohms
        R of a new device.

    Notes
    -----
    State: R in ohms; positive voltages raise it. Not modelled: volatile changes, other directions of switching (eta).

    References
    ----------
    I. Messaris et al., "A data-driven Verilog-A ReRAM model", arXiv:1703.01167 (2017), eprints.soton.ac.uk/411693.
    """

    speed_p: float
    speed_n: float
    t_p: float
    t_n: float
    k_p: float
    k_n: float
    reach_p: tuple[float, float]
    reach_n: tuple[float, float]
    a_p: float
    a_n: float
    b_p: float
    b_n: float
    r_on: float
    r_off: float
    initial: float

    def __post_init__(self):
        for name in ("speed_p", "t_p", "t_n", "k_p", "k_n"):
            _checks.real(getattr(self, name), who="DataDriven2017", name=name, low=1e-30)
        _checks.real(self.speed_n, who="DataDriven2017", name="speed_n", high=-1e-30)
        self._check()
        if self.voltage_limit <= 0:
            raise InputError("DataDriven2017: k times the reach is beyond 700, where the model overflows; lower k")

    @property
    def voltage_limit(self):
        """Also keeps k |r - R| below 700."""
        slow = min(700.0 / self.t_p, 700.0 / self.t_n, 700.0 / self.b_p, 700.0 / self.b_n)
        for k, (offset, slope) in ((self.k_p, self.reach_p), (self.k_n, self.reach_n)):
            room = 700.0 / k - abs(offset) - self.r_off
            slow = min(slow, room / abs(slope) if slope else (inf if room > 0 else 0.0))
        return slow

    def _speed(self):
        return (
            *(self.speed_p, self.speed_n, self.t_p, self.t_n, self.k_p, self.k_n),
            *(*self.reach_p, *self.reach_n),
        )

    def _kernel(self):
        return Model.DATA_DRIVEN_2017, tuple(map(float, (*self._conduction(), *self._speed())))


@dataclass(frozen=True)
class DataDriven2021(_DataDriven):
    """dR/dt = s(V) (r(V) - R)^2 while R is on its way to r;  s = speed (e^(|V| / t) - 1),  r = reach[0] + reach[1] V.

    The set with the index p holds for V > 0, n for V < 0. R moves only towards r, that is where s (r - R) > 0. Under a
    held voltage r - R = (r - R0) / (1 + s (r - R0) t): this is how a step is computed.

    Parameters
    ----------
    speed_p, speed_n : float, 1 / (ohm second)
    t_p, t_n : float, volts
        Not 0; below 0 the speed saturates with the voltage.
    reach_p, reach_n, a_p, a_n, b_p, b_n, r_on, r_off, initial
        As in DataDriven2017.

    Notes
    -----
    State: R in ohms; with the set DATA_DRIVEN_2021 positive voltages lower it. Not modelled: volatile changes.

    References
    ----------
    S. Maheshwari et al., "Hybrid CMOS/memristor circuit design methodology", arXiv:2012.02267.
    """

    speed_p: float
    speed_n: float
    t_p: float
    t_n: float
    reach_p: tuple[float, float]
    reach_n: tuple[float, float]
    a_p: float
    a_n: float
    b_p: float
    b_n: float
    r_on: float
    r_off: float
    initial: float

    def __post_init__(self):
        for name in ("speed_p", "speed_n"):
            _checks.real(getattr(self, name), who="DataDriven2021", name=name)
        for name in ("t_p", "t_n"):
            if abs(_checks.real(getattr(self, name), who="DataDriven2021", name=name)) < 1e-6:
                raise InputError(f"DataDriven2021: {name} is {getattr(self, name)} V; its size must be 1e-6 or more")
        self._check()

    @property
    def voltage_limit(self):
        rising = [700.0 * t for t in (self.t_p, self.t_n) if t > 0]
        return min(700.0 / self.b_p, 700.0 / self.b_n, *rising)

    def _speed(self):
        return (self.speed_p, self.speed_n, self.t_p, self.t_n, *self.reach_p, *self.reach_n)

    def _kernel(self):
        return Model.DATA_DRIVEN_2021, tuple(map(float, (*self._conduction(), *self._speed())))


# Defaults of MemTorch 1.1.6, bh/memristor/Data_Driven.py.
DATA_DRIVEN_2017 = DataDriven2017(
    speed_p=743.47,
    speed_n=-68012.28374,
    t_p=6.51,
    t_n=0.31645,
    k_p=5.11e-4,
    k_n=1.17e-3,
    reach_p=(16719.0, 0.0),
    reach_n=(29304.82557, 23692.77225),
    a_p=0.24,
    a_n=0.24,
    b_p=3.0,
    b_n=3.0,
    r_on=1280.0,
    r_off=17e3,
    initial=5e3,  # assumed; MemTorch starts at r_on
)
# Defaults of MemTorch 1.1.6, bh/memristor/Data_Driven2021.py.
DATA_DRIVEN_2021 = DataDriven2021(
    speed_p=600.10075,
    speed_n=-34.5988399,
    t_p=-0.0212028,
    t_n=-0.05343997,
    reach_p=(2699.2336, -672.930205),
    reach_n=(649.413746, -1474.32358),
    a_p=0.32046175,
    a_n=0.32046175,
    b_p=2.71689828,
    b_n=2.71689828,
    r_on=1600.0,
    r_off=3000.0,
    initial=1600.0,
)
