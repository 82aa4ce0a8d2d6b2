"""Memristor: the abstract dynamic cell. States and voltages in, currents and new states out; nothing is kept inside.

A subclass gives its parameters to the compiled kernel and says how its conductance depends on its state; the verbs
are the same for all and stand here. Array letters: R rows, C columns of an array of devices.
"""

from abc import ABC, abstractmethod
from math import prod
from typing import ClassVar

import numpy as np

from ... import _checks, kernels
from ...errors import InputError
from ...kernels.memristors_reference import MAX_SUBSTEPS, Model


class Memristor(ABC):
    """Abstract memristor with one real number of state a device.

    I = current(x, V) and dx/dt = rate(x, V), with x held within `state_range`. A step holds V for dt. Models with a
    closed solution under a held voltage use it, so their only error is rounding; the others go in substeps of Dormand
    and Prince's 5(4) pair under error control, within about 1e-9 of the state's range for a full traverse.

    Notes
    -----
    Not modelled here, for any model: differences between devices and between cycles, noise, series resistance.
    """

    state_unit: ClassVar[str]  # "1" where the state is a bare number
    _straight: ClassVar[np.ufunc]  # the function of the conductance that is linear in the state
    initial: float  # state of a new device

    @property
    @abstractmethod
    def voltage_limit(self) -> float:
        """Largest magnitude of the voltage, volts: beyond it an exponential leaves the range of a double."""

    @abstractmethod
    def _kernel(self) -> tuple[Model, tuple[float, ...]]:
        """The model's number and its parameters, low and high of the state first."""

    @property
    def state_range(self) -> tuple[float, float]:
        """(low, high) of the state, in `state_unit`."""
        return self._kernel()[1][:2]

    def initial_state(self, shape=()) -> np.ndarray:
        """States of new devices, float64 of `shape`, each `initial`."""
        try:
            return np.full(shape, self.initial, np.float64)
        except (TypeError, ValueError):
            raise InputError(f"{type(self).__name__}: shape is {shape!r}; give a tuple of sizes, 0 or more") from None

    def current(self, state, voltage, *, threads=None) -> np.ndarray:
        """Current through each device.

        Parameters
        ----------
        state : array, in `state_unit`
            Within `state_range`.
        voltage : array or float, volts
            Broadcasts with the state; positive at the electrode that the source calls the top or plus side.
        threads : int, optional
            All cores if left out; the bits do not depend on it.

        Returns
        -------
        float64 array, amperes
            Of the common shape; 0 where the voltage is 0.

        Raises
        ------
        InputError
            If a state is out of range, a voltage beyond `voltage_limit`, or the shapes do not fit.
        """
        shape, x, v = self._arrays(state, np.asarray(voltage)[np.newaxis])
        out = np.empty((1, x.size))
        model, parameters = self._kernel()
        kernels.memristors.current(model, np.array(parameters), x, v, out, threads=self._threads(threads))
        return out.reshape(shape)[()]

    def step(self, state, voltage, dt, *, threads=None) -> np.ndarray:
        """States after the voltage was held for `dt` seconds; arguments and errors as in `current`.

        `dt` is one number, or an array that broadcasts with the states: each device's own.

        Raises
        ------
        InputError
            Also if a device needs more than 20,000 substeps: hold the voltage for a shorter time.
        """
        if np.ndim(dt):
            dt = _checks.finite_array(dt, who=type(self).__name__, name="dt", dtype=np.float64)
            state = np.broadcast_to(state, np.broadcast_shapes(np.shape(state), dt.shape))
        shape, x, v = self._arrays(state, np.asarray(voltage)[np.newaxis])
        if np.ndim(dt):
            dt = np.ascontiguousarray(np.broadcast_to(dt, shape)).reshape(-1)
        return self._advance(x, v, dt, None, threads)[0].reshape(shape)[()]

    def conductance(self, state, voltage=0.1) -> np.ndarray:
        """I / V at a read voltage (volts, not 0), in siemens."""
        voltage = _read_voltage(self, voltage)
        return self.current(state, voltage) / voltage

    def state_for(self, conductance, voltage=0.1) -> np.ndarray:
        """States in which the devices read as `conductance` (siemens) at `voltage`: the inverse of `conductance`.

        Raises
        ------
        InputError
            If a conductance is outside what the model's state range gives. Nothing is clipped in silence.
        """
        name, voltage = type(self).__name__, _read_voltage(self, voltage)
        wanted = _checks.finite_array(conductance, who=name, name="conductance", dtype=np.float64)
        low, high = self.state_range
        ends = self.conductance(np.array([low, high]), voltage)
        edges, slack = np.sort(ends), 1e-12 * np.abs(ends).max()  # 1 / r_on, rounded, is within
        outside = (wanted < edges[0] - slack) | (wanted > edges[1] + slack)
        if outside.any():
            raise InputError(
                f"{name}: conductance {wanted[outside].flat[0]:.4g} S is outside {edges[0]:.4g} to {edges[1]:.4g} S, "
                f"the range at {voltage:g} V"
            )
        first, last, here = (self._straight(g) for g in (*ends, np.clip(wanted, *edges)))
        return np.clip(low + (here - first) / (last - first) * (high - low), low, high)[()]

    def _arrays(self, state, voltage):
        """Common shape, states (N,) and voltages (T, N or 1), checked and contiguous."""
        name = type(self).__name__
        x = _checks.finite_array(state, who=name, name="state", dtype=np.float64)
        v = _checks.finite_array(voltage, who=name, name="voltage", dtype=np.float64)
        low, high = self.state_range
        if x.size and (x.min() < low or x.max() > high):
            where = np.argwhere((x < low) | (x > high))[0]
            raise InputError(
                f"{name}: state {x[tuple(where)]:.6g} at index {tuple(map(int, where))} is outside {low:.6g} to "
                f"{high:.6g} {self.state_unit}; state_for gives the state of a conductance"
            )
        if v.size and (largest := max(v.max(), -v.min())) > self.voltage_limit:
            raise InputError(
                f"{name}: voltage {largest:.4g} V is beyond {self.voltage_limit:.4g} V, where the model overflows"
            )
        try:
            shape = np.broadcast_shapes(x.shape, v.shape[1:])
        except ValueError:
            raise InputError(f"{name}: voltages of shape {v.shape[1:]} do not fit states of shape {x.shape}") from None
        n = prod(shape)
        x = np.ascontiguousarray(np.broadcast_to(x, shape)).reshape(n)
        if prod(v.shape[1:]) == 1:
            return shape, x, v.reshape(len(v), 1)
        return shape, x, np.ascontiguousarray(np.broadcast_to(_lift(v, len(shape)), (len(v), *shape))).reshape(-1, n)

    def _advance(self, x, v, dt, currents, threads):
        """States (T, N) after each of the T rows of voltages, dt one number or (N,); fills `currents` unless None."""
        name, each = type(self).__name__, np.ndim(dt) > 0
        longest = float(np.max(dt, initial=0.0)) if each else _checks.real(dt, who=name, name="dt", low=0.0)
        if each and np.min(dt, initial=0.0) < 0:
            raise InputError(f"{name}: a dt is {np.min(dt):g} s; give 0 s or more")
        states = np.empty((len(v), x.size))
        model, parameters = self._kernel()
        if kernels.memristors.step(
            model, np.array(parameters), x, v, longest, states, currents, durations=dt if each else None,
            threads=self._threads(threads),
        ):  # fmt: skip
            raise InputError(
                f"{name}: dt {longest:.4g} s is too coarse: a device needs more than {MAX_SUBSTEPS:,} substeps; lower "
                "dt"
            )
        return states

    def _threads(self, threads):
        return _checks.threads(threads, who=type(self).__name__)


def _lift(voltage, dimensions):
    """Voltages (T, ...) with axes of length 1 behind the time, so that the others line up with the devices' last."""
    return voltage.reshape(len(voltage), *(1,) * (dimensions + 1 - voltage.ndim), *voltage.shape[1:])


def _read_voltage(model, voltage):
    voltage = _checks.real(voltage, who=type(model).__name__, name="voltage")
    if voltage == 0:
        raise InputError(f"{type(model).__name__}: a conductance is read at a voltage other than 0")
    return voltage
