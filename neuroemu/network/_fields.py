"""Checks of the fields of layers, shared by their constructors."""

import numpy as np

from .. import _checks
from ..errors import ArgumentTypeError, InputError
from .grids import Grid


def require_codes(who, name, array, dtype):
    """Refuse an array that is not of the integer type that codes have."""
    if np.asarray(array).dtype != dtype:
        raise InputError(
            f"{who}: {name} has a grid, so it must hold {np.dtype(dtype)} codes, got {np.asarray(array).dtype}"
        )


def check_weight_grid(who, codes, grid: Grid):
    """Weights are symmetric, with one step per output channel or one per layer, and codes that the bits hold."""
    if grid.zero_point != 0 or grid.axis not in (None, 0):
        raise InputError(
            f"{who}: weight_grid has zero_point {grid.zero_point} and axis {grid.axis}; use 0, and 0 or None"
        )
    if grid.axis == 0 and len(grid.scale) != len(codes):
        raise InputError(f"{who}: weight_grid has {len(grid.scale)} steps, the layer has {len(codes)} output channels")
    if grid.factors is not None:
        groups = -(-codes[0].size // grid.group)
        if grid.factors.shape[1] != groups:
            raise InputError(
                f"{who}: weight_grid has {grid.factors.shape[1]} factors a row; {codes[0].size} inputs in groups of "
                f"{grid.group} need {groups}"
            )
    if codes.min() < grid.low or codes.max() > grid.high:
        raise InputError(
            f"{who}: weight codes span {codes.min()}..{codes.max()}; {grid.bits} bits hold {grid.low}..{grid.high}"
        )


def integers(values, who, name, *, low) -> tuple[int, ...]:
    """A tuple of integers, each at least `low`."""
    if np.ndim(values) != 1:
        raise InputError(f"{who}: {name} is {values!r}; give a tuple of integers")
    return tuple(_checks.integer(int(v) if v == int(v) else v, who=who, name=name, low=low) for v in values)


def number(value, who, name) -> float:
    """A float, infinity allowed."""
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ArgumentTypeError(f"{who}: {name} must be a number, got {value!r}") from None


def pair(value, who, name, *, low):
    """(height, width) of one number or two."""
    if np.ndim(value) > 1 or isinstance(value, str):
        raise InputError(f"{who}: {name} is {value!r}; give one number or (height, width)")
    pair = (value, value) if np.ndim(value) == 0 else tuple(value)
    if len(pair) != 2:
        raise InputError(f"{who}: {name} is {value}; give one number or (height, width)")
    return tuple(_checks.integer(v, who=who, name=name, low=low, high=1 << 20) for v in pair)


def padding(value, who) -> tuple[tuple[int, int], tuple[int, int]]:
    """((top, bottom), (left, right)) of one number or four."""
    if np.ndim(value) == 0:
        value = ((value, value), (value, value))
    pairs = isinstance(value, tuple | list | np.ndarray) and all(np.ndim(row) == 1 and len(row) == 2 for row in value)
    if not pairs or len(value) != 2 or any(isinstance(v, str) for row in value for v in row):
        raise InputError(f"{who}: padding is {value}; give one number or ((top, bottom), (left, right))")
    return tuple(tuple(_checks.integer(v, who=who, name="padding", low=0, high=1 << 20) for v in row) for row in value)
