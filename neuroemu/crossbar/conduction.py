"""How a cell conducts: the current of a programmed cell as a function of its voltage.

In: the programmed conductance G (siemens, at small voltage) and the voltage u from word line to bit line. Out: current
and slope dI/du >= 0. A cell may be a device in series with a selector or a transistor. `crossbar.solve` takes such an
object as `device=`. All curves are static: no hysteresis, no switching.
"""

import abc
from dataclasses import dataclass

import numpy as np

from .. import _checks
from ..errors import InputError


class Conduction(abc.ABC):
    """A monotone current-voltage curve. A class of one's own needs `branch` alone."""

    @abc.abstractmethod
    def branch(self, g: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Current (amperes) and slope (siemens, >= 0) at voltages u (B, R, C) of cells g (R, C), finite."""


@dataclass(frozen=True)
class Ohmic(Conduction):
    """I = G u."""

    def branch(self, g, u):
        return g * u, np.broadcast_to(g, u.shape)


@dataclass(frozen=True)
class Sinh(Conduction):
    """I = G sinh(k u) / k, with k in 1/V: the usual form of hopping and of tunnelling at moderate fields."""

    k: float

    def __post_init__(self):
        if _checks.real(self.k, who="Sinh", name="k", low=0) == 0:
            raise InputError("Sinh: k is 0; use Ohmic() for a straight line")

    def branch(self, g, u):
        with np.errstate(over="ignore", invalid="ignore"):
            grown = np.expm1(self.k * u)  # sinh x = (t + t / (1 + t)) / 2 with t = exp x - 1
            down = grown / (1 + grown)
            return (0.5 / self.k * g) * (grown + down), g + (0.5 * g) * (grown - down)


@dataclass(frozen=True, eq=False)
class IvTable(Conduction):
    """A measured curve, straight between its points and beyond them: I = (G / g_reference) table(u).

    Parameters
    ----------
    voltages, currents : sequences, rising; volts and amperes
        Of one cell; 0 V must lie within, and the current there must be 0.
    g_reference : float
        Programmed conductance of the measured cell, siemens.
    """

    voltages: np.ndarray
    currents: np.ndarray
    g_reference: float

    def __post_init__(self):
        for name in ("voltages", "currents"):
            values = _checks.finite_array(getattr(self, name), who="IvTable", name=name, dtype=np.float64, ndim=1)
            if len(values) < 2 or (np.diff(values) <= 0).any():
                raise InputError(f"IvTable: {name} must be at least two rising numbers")
            object.__setattr__(self, name, values)
        if len(self.voltages) != len(self.currents):
            raise InputError(f"IvTable: {len(self.voltages)} voltages and {len(self.currents)} currents; give pairs")
        _checks.real(self.g_reference, who="IvTable", name="g_reference", low=1e-30)
        zero = np.interp(0.0, self.voltages, self.currents)
        if not self.voltages[0] <= 0 <= self.voltages[-1] or abs(zero) > 1e-9 * abs(self.currents).max():
            raise InputError(f"IvTable: the current at 0 V is {zero:.3g} A; the table must pass through 0 V and 0 A")

    def branch(self, g, u):
        slopes = np.diff(self.currents) / np.diff(self.voltages)
        part = np.clip(np.searchsorted(self.voltages, u, side="right") - 1, 0, len(slopes) - 1)
        shape = self.currents[part] + slopes[part] * (u - self.voltages[part])
        return g / self.g_reference * shape, g / self.g_reference * slopes[part]


@dataclass(frozen=True)
class Resistor(Conduction):
    """The same resistance in every cell, whatever G: for `Series`, a transistor that is fully on."""

    ohm: float

    def __post_init__(self):
        _checks.real(self.ohm, who="Resistor", name="ohm", low=1e-9)

    def branch(self, g, u):
        return u / self.ohm, np.full(u.shape, 1 / self.ohm)


@dataclass(frozen=True)
class Transistor(Conduction):
    """Square-law transistor at a fixed overdrive, the same in every cell; odd in u (drain and source change places).

        I = beta (v_over - |u| / 2) u   for |u| <= v_over,   else  beta v_over^2 / 2 with the sign of u

    Parameters
    ----------
    beta : float, A/V^2
    v_over : float, volts
        Gate voltage less threshold. Channel-length modulation and the body effect are not modelled.
    """

    beta: float
    v_over: float

    def __post_init__(self):
        _checks.real(self.beta, who="Transistor", name="beta", low=1e-15)
        _checks.real(self.v_over, who="Transistor", name="v_over", low=1e-6)

    def branch(self, g, u):
        size = np.minimum(abs(u), self.v_over)
        return self.beta * (self.v_over - size / 2) * size * np.sign(u), self.beta * (self.v_over - size)


@dataclass(frozen=True)
class Selector(Conduction):
    """Threshold selector, the same in every cell: `off` ohm below the threshold, `on` ohm for what is beyond it.

    The curve is continuous, I = u / off up to |u| = threshold, and has no hysteresis.
    """

    threshold: float
    on: float
    off: float

    def __post_init__(self):
        _checks.real(self.threshold, who="Selector", name="threshold", low=0)
        for name in ("on", "off"):
            _checks.real(getattr(self, name), who="Selector", name=name, low=1e-9)

    def branch(self, g, u):
        beyond = np.maximum(abs(u) - self.threshold, 0)
        current = np.sign(u) * (np.minimum(abs(u), self.threshold) / self.off + beyond / self.on)
        return current, np.where(beyond > 0, 1 / self.on, 1 / self.off)


@dataclass(frozen=True)
class Series(Conduction):
    """Two parts in series: a device with a transistor or a selector. The current of both is the same.

    The voltage between them is found to rounding by Newton's method within a bracket that shrinks at each step.
    """

    first: Conduction
    second: Conduction

    def __post_init__(self):
        for name in ("first", "second"):
            _checks.instance(getattr(self, name), Conduction, who="Series", name=name)

    def branch(self, g, u):
        low, high = np.minimum(u, 0.0), np.maximum(u, 0.0)  # of the voltage over the first
        v, tiny = u / 2, np.finfo(float).tiny
        for _ in range(100):
            one, slope_one = self.first.branch(g, v)
            two, slope_two = self.second.branch(g, u - v)
            excess = one - two
            low, high = np.where(excess <= 0, v, low), np.where(excess >= 0, v, high)
            with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
                step = v - excess / np.maximum(slope_one + slope_two, tiny)
            inside = (step > low) & (step < high)
            after = np.where(inside, step, (low + high) / 2)
            if (abs(after - v) <= 4e-16 * abs(u)).all():
                break
            v = after
        with np.errstate(invalid="ignore"):
            slope = slope_one * (slope_two / np.maximum(slope_one + slope_two, tiny))
        # The part with the smaller slope gives the current with more digits.
        return np.where(slope_one <= slope_two, one, two), slope
