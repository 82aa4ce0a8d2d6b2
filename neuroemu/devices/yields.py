"""Yield: the share of arrays that are good enough, over the share of defects. Enter a Faulty and a shape."""

from dataclasses import dataclass, field, replace

import numpy as np

from .. import _checks, _streams
from .._statistics import wilson
from ..errors import InputError
from . import _shorts
from .fault_maps import Fault
from .faults import Faulty


@dataclass(frozen=True, eq=False)
class YieldCurve:
    """Share of arrays with at most `allowed` faulty columns left; made by `yield_curve`.

    Parameters
    ----------
    defect_shares : (S,) array
    faulty_columns : (S, arrays) int array
        Columns of each array with a faulty cell, after repair.
    replaced_columns : (S, arrays) int array
        Columns that lie in spares.
    allowed : int
    """

    defect_shares: np.ndarray
    faulty_columns: np.ndarray = field(repr=False)
    replaced_columns: np.ndarray = field(repr=False)
    allowed: int = 0

    @property
    def arrays(self) -> int:
        """Arrays drawn at each share of defects."""
        return self.faulty_columns.shape[1]

    @property
    def share(self) -> np.ndarray:
        """(S,) share of arrays that are good enough."""
        return np.mean(self.faulty_columns <= self.allowed, axis=1)

    @property
    def interval(self) -> np.ndarray:
        """(S, 2) 95 % Wilson interval of that share."""
        return np.array([wilson(float(share), self.arrays) for share in self.share]).reshape(-1, 2)

    def allowing(self, columns: int) -> "YieldCurve":
        """The same arrays, with so many faulty columns allowed."""
        return replace(self, allowed=_checks.integer(columns, who="YieldCurve", name="columns", low=0))


def yield_curve(
    faulty: Faulty, shape: tuple[int, ...], defect_shares, *, allowed: int = 0, arrays: int = 500, seed: int = 0
) -> YieldCurve:
    """Draw arrays with defects, repair them, and count the columns that still have a faulty cell.

    Parameters
    ----------
    faulty : Faulty
        Its mix of stuck shares is scaled to each defect share; lines, clusters, alpha and spares stay as they are.
    shape : (R, C), or (2, R, C) for pairs
        Cells in use; a column is faulty when it is so in any of the arrays in front. A row that is open, or touches
        another, is a fault of all columns.
    defect_shares : (S,) array, 0 to 1
        Probability that a cell is stuck.
    allowed : int, >= 0
        Faulty columns that an array may have.
    arrays : int, 1 to 1,000,000
    seed : int

    Returns
    -------
    YieldCurve

    Raises
    ------
    ArgumentTypeError, InputError
        No Faulty, or one without stuck shares or with repair="assignment"; a shape or share outside these limits.

    Notes
    -----
    Array n has the same random numbers at each share. Without clusters, alpha and line faults, columns of n cells are
    faulty with probability q = 1 - (1 - p)^n each, and with s spare columns the yield is P(B <= s + allowed), B
    binomial of C + s columns and q.
    """
    who = "yield_curve"
    _checks.instance(faulty, Faulty, who=who, name="faulty")
    _checks.integer(allowed, who=who, name="allowed", low=0)
    _checks.integer(arrays, who=who, name="arrays", low=1, high=1_000_000)
    _checks.integer(seed, who=who, name="seed", low=0)
    if not isinstance(shape, tuple) or len(shape) < 2:
        raise InputError(f"{who}: shape is {shape!r}; give (R, C), or (2, R, C) for pairs")
    for size in shape:
        _checks.integer(size, who=who, name="shape", low=1)
    if faulty.repair != "count":
        raise InputError(f"{who}: repair='{faulty.repair}' depends on targets; use repair='count'")
    shares = _checks.finite_array(defect_shares, who=who, name="defect_shares", ndim=1, dtype=np.float64)
    counted = [_counted(_scaled(faulty, float(share), who), shape, arrays, seed) for share in shares]
    left, replaced = np.moveaxis(np.array(counted, int).reshape(len(shares), arrays, 2), 2, 0)
    return YieldCurve(shares, left, replaced, allowed)


def _scaled(faulty: Faulty, share: float, who: str) -> Faulty:
    """The same mix of stuck cells, `share` in all."""
    total = faulty.stuck_on + faulty.stuck_off + sum(part for part, _ in faulty.stuck_at)
    if not total:
        raise InputError(f"{who}: faulty has no stuck shares to scale; give a mix, as Faulty(device, stuck_off=1.0)")
    factor = _checks.real(share, who=who, name="defect_shares", low=0.0, high=1.0) / total
    at = tuple((part * factor, value) for part, value in faulty.stuck_at)
    return replace(faulty, stuck_on=faulty.stuck_on * factor, stuck_off=faulty.stuck_off * factor, stuck_at=at)


def _counted(faulty: Faulty, shape, arrays: int, seed: int) -> list[tuple[int, int]]:
    """Faulty and replaced columns of each array."""
    found = []
    for array in range(arrays):
        codes, lines = faulty.fabricate(shape, _streams.generator(seed, "program", array))
        bad = codes != Fault.SOUND
        touching = _shorts.touching_cells(lines)
        bad = bad if touching is None else bad | touching
        physical = lines.get("physical column")
        replaced = 0 if physical is None else np.count_nonzero(physical.reshape(-1, shape[-1])[0] >= shape[-1])
        found.append((np.count_nonzero(bad.reshape(-1, shape[-1]).any(axis=0)), replaced))
    return found
