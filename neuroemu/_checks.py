"""Checks of arguments at the public door. Each returns the value in the form the callee wants, or raises one line."""

import numbers

import numpy as np

from .errors import ArgumentTypeError, InputError


def integer(value, *, who: str, name: str, low: int | None = None, high: int | None = None) -> int:
    """`value` as an int within [low, high]."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Integral):
        raise ArgumentTypeError(f"{who}: {name} must be an integer, got {value!r}")
    if (low is not None and value < low) or (high is not None and value > high):
        raise InputError(f"{who}: {name} is {value}; {_range(low, high)}")
    return int(value)


def real(value, *, who: str, name: str, low: float | None = None, high: float | None = None) -> float:
    """`value` as a finite float within [low, high]."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real):
        raise ArgumentTypeError(f"{who}: {name} must be a number, got {value!r}")
    if not np.isfinite(value) or (low is not None and value < low) or (high is not None and value > high):
        raise InputError(f"{who}: {name} is {value}; {_range(low, high)}")
    return float(value)


def choice(value, options, *, who: str, name: str):
    """`value` if it is one of `options`."""
    if value not in options:
        raise InputError(f"{who}: {name} is {value!r}; choose from {', '.join(map(repr, options))}")
    return value


def instance(value, kind: type, *, who: str, name: str):
    """`value` if it is an instance of `kind`."""
    if not isinstance(value, kind):
        raise ArgumentTypeError(f"{who}: {name} must be a {kind.__name__}, got {type(value).__name__}")
    return value


def finite_array(value, *, who: str, name: str, dtype=np.float32, ndim: int | None = None) -> np.ndarray:
    """`value` as a contiguous array of finite numbers."""
    try:
        raw = np.asarray(value)
        if raw.dtype == object or raw.dtype.kind not in "biuf":
            raise TypeError
        array = np.asarray(raw, dtype=dtype, order="C")  # ascontiguousarray would give a number one axis
    except (TypeError, ValueError):
        raise ArgumentTypeError(f"{who}: {name} must be an array of real numbers, got {type(value).__name__}") from None
    if ndim is not None and array.ndim != ndim:
        raise InputError(f"{who}: {name} has shape {array.shape}; give {ndim} dimensions")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = np.argwhere(~np.isfinite(array))[0]
        raise InputError(f"{who}: {name} has NaN or infinity, first at index {tuple(map(int, bad))}; remove or clip it")
    return array


def labels(value, *, n: int, classes: int, who: str) -> np.ndarray:
    """Class labels as int64 of shape (n,), each in 0..classes-1."""
    try:
        array = np.asarray(value)
    except ValueError:
        raise ArgumentTypeError(f"{who}: labels must be one integer for each input, got a ragged list") from None
    if array.dtype.kind not in "iu":
        raise ArgumentTypeError(f"{who}: labels must be integers, got dtype {array.dtype}")
    if array.shape != (n,):
        raise InputError(f"{who}: labels have shape {array.shape}; give one label for each of the {n} inputs")
    if n and (array.min() < 0 or array.max() >= classes):
        raise InputError(
            f"{who}: labels span {array.min()}..{array.max()}; the network has {classes} outputs: 0..{classes - 1}"
        )
    return array.astype(np.int64)


def threads(value, *, who: str) -> int:
    """A thread count: None means all the cores this process may use."""
    if value is None:
        import os

        return max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    return integer(value, who=who, name="threads", low=1, high=1024)


def _range(low, high) -> str:
    if low is not None and high is not None:
        return f"allowed: {low} to {high}"
    if low is not None:
        return f"allowed: {low} or more, finite"
    if high is not None:
        return f"allowed: up to {high}"
    return "it must be finite"
