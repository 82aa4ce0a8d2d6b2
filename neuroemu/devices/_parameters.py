"""Checks that all devices share. Each returns the value, or raises one line that names the device."""

from math import log

import numpy as np

from .. import _checks
from ..errors import InputError
from .base import Cells, Device, ReadShares


def positive(value, *, who: str, name: str) -> float:
    """A finite number above zero."""
    value = _checks.real(value, who=who, name=name)
    if value <= 0:
        raise InputError(f"{who}: {name} is {value:g}; it must be above 0")
    return value


def conductance_range(device: Device, *, low: float = 0.0, high: float | None = None) -> None:
    """low <= g_min < g_max <= high, siemens. `low` and `high` are the range that the device was measured in."""
    who = type(device).__name__
    g_min = _checks.real(device.g_min, who=who, name="g_min")
    g_max = positive(device.g_max, who=who, name="g_max")
    slack = 1 + 1e-9  # a range computed from microsiemens may be off in the last digit
    if g_min * slack < low:
        raise InputError(f"{who}: g_min is {g_min:g} S; allowed: {low:g} S or more")
    if high is not None and g_max > high * slack:
        raise InputError(f"{who}: g_max is {g_max:g} S; measured up to {high:g} S")
    if g_max <= g_min:
        raise InputError(f"{who}: g_max is {g_max:g} S and g_min {g_min:g} S; g_max must be above g_min")


def target(device: Device, value) -> np.ndarray:
    """Target conductances: finite, 0 siemens or more, float64."""
    who = type(device).__name__
    array = _checks.finite_array(value, who=who, name="target", dtype=np.float64)
    if array.size and array.min() < 0:
        raise InputError(f"{who}: a target is {array.min():g} S; give conductances of 0 S or more")
    return array


def seconds(device: Device, value, *, high: float | None = None) -> float:
    """A time since programming, up to `high`: the end of the device's measurements."""
    who = type(device).__name__
    value = _checks.real(value, who=who, name="seconds", low=0.0)
    if high is not None and value > high:
        raise InputError(f"{who}: seconds is {value:g}; its measurements end at {high:g} s")
    return value


def spans(who: str, image_seconds: float, session_seconds: float, *, read_seconds: float = 0.0) -> None:
    """read_seconds <= image_seconds <= session_seconds."""
    if not read_seconds <= image_seconds <= session_seconds:
        raise InputError(
            f"{who}: image_seconds {image_seconds} and session_seconds {session_seconds} must rise from the read time "
            f"{read_seconds}"
        )


def kept(device: Device, cells: Cells, *names: str) -> list[np.ndarray]:
    """What `device` keeps of each cell, by name."""
    missing = [name for name in names if name not in cells.state]
    if missing:
        who = type(device).__name__
        raise InputError(f"{who}: these cells hold no {', '.join(missing)}; program them with this {who}")
    return [cells.state[name] for name in names]


def flicker_shares(first: float, last: float, image_seconds: float, session_seconds: float) -> ReadShares:
    """Shares of a 1/f spectrum whose time scales reach from `first` to `last`.

    Every decade holds the same variance, so a share is the logarithm of its span over that of all.
    """
    if last <= first:
        return ReadShares(1.0, 0.0, 0.0)
    edges = (min(max(edge, first), last) for edge in (image_seconds, session_seconds))
    fresh, known = (log(edge / first) / log(last / first) for edge in edges)
    return ReadShares(fresh=fresh, slow=known - fresh, frozen=1 - known)


def as_fabricated(generator: np.random.Generator) -> np.random.Generator:
    """A stream for what a cell is made with and no write changes, as its faults.

    It depends on how `generator` was seeded, not on what has been drawn from it, and leaves its draws alone: the same
    chip, programmed again, has the same faults, and its sound cells are those of the device without faults.
    """
    return generator.spawn(1)[0]
