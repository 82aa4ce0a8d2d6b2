"""A wave of voltages through one memristor or a whole array: currents and states over time."""

import numpy as np

from ... import _checks
from ...errors import ArgumentTypeError, InputError
from .base import Memristor


def simulate(model, voltage, dt, state, *, largest_move=0.25, threads=None):
    """Currents and states under voltages that are held for `dt` each.

    Parameters
    ----------
    model : Memristor
        All devices have its parameters.
    voltage : array (T, ...), volts
        (T,) drives all devices alike; the axes behind the first broadcast with the state: (T, R, C) drives each device
        of an array, (T, R, 1) its rows.
    dt : float, or array of the state's shape, seconds
        How long each voltage is held, as by a DAC; an array gives each device its own.
    state : array (...), in the model's `state_unit`
        `model.initial_state((R, C))`, or what an earlier call returned last.
    largest_move : float, 0 to 1
        Largest share of its range that a state may move in one step. A loop sampled too coarsely is refused, not drawn
        wrongly; for square pulses, where a full switch in one step is right, give 1.
    threads : int, optional
        All cores if left out; the bits do not depend on it.

    Returns
    -------
    currents : float64 (T, ...), amperes
        At the start of each step: the state before the step, the voltage of the step.
    states : float64 (T + 1, ...)
        states[0] is `state`, states[t + 1] follows step t; a run is continued from states[-1] with the same bits.

    Raises
    ------
    InputError
        As in `Memristor.step`, and if a state moves by more than `largest_move` of its range in a step.

    Notes
    -----
    For a held voltage the states are exact or under error control. A smooth wave that is sampled at the start of the
    steps gives states of first order in dt; sampled in the middle of the steps, of second order.
    """
    if not isinstance(model, Memristor):
        raise ArgumentTypeError(f"simulate: model must be a Memristor such as VTEAM, got {type(model).__name__}")
    name = type(model).__name__
    largest_move = _checks.real(largest_move, who="simulate", name="largest_move", low=0.0, high=1.0)
    voltage = np.asarray(voltage)
    if voltage.ndim == 0:
        raise InputError("simulate: voltage is one number; give an array whose first axis is time")
    shape, x, v = model._arrays(state, voltage)
    if np.ndim(dt):
        dt = _checks.finite_array(dt, who="simulate", name="dt", dtype=np.float64)
        dt = np.ascontiguousarray(np.broadcast_to(dt, shape)).reshape(-1)
    currents = np.empty((len(v), x.size))
    states = np.concatenate([x[np.newaxis], model._advance(x, v, dt, currents, threads)])
    low, high = model.state_range
    if largest_move < 1.0 and len(v) and x.size:
        moves = np.abs(np.diff(states, axis=0)).max(axis=1) / (high - low)
        if moves.max() > largest_move:
            raise InputError(
                f"{name}: in step {int(moves.argmax())} a state moves by {100 * moves.max():.0f} % of its range, more "
                f"than {100 * largest_move:.0f} %: the loop would depend on dt; lower dt, or give largest_move=1 "
                "for square pulses"
            )
    return currents.reshape(len(v), *shape), states.reshape(len(v) + 1, *shape)
