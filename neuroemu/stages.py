"""Stages: what a pipeline is made of - layers with arrays, tensors on their way, turns - and when turns begin."""

from dataclasses import dataclass

import numpy as np

from . import _checks

__all__ = ["Passed", "Stage", "Step", "Work", "starts_of"]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A layer with arrays of its own.

    Parameters
    ----------
    name : str
        The layer.
    positions : int, >= 1
        Row vectors of one image: positions of a convolution, rows of a Dense input.
    seconds : float, s
        For one of them: all planes and phases, read and converted.
    reads : int, >= 1
        Reads in `seconds`: planes of the input times phases.
    conversions : int, >= 0
        Conversions, one after the other, that follow each read; 0: held in its time.
    transit : float, s
        From the last read of a position until its result can be read.
    units : int, >= 0
        Arrays of one copy.
    copies : int, >= 1
    """

    name: str
    positions: int
    seconds: float
    reads: int = 1
    conversions: int = 0
    transit: float = 0.0
    units: int = 1
    copies: int = 1

    def __post_init__(self):
        who = f"Stage '{self.name}'"
        for name in ("positions", "reads", "copies"):
            _checks.integer(getattr(self, name), who=who, name=name, low=1)
        for name in ("units", "conversions"):
            _checks.integer(getattr(self, name), who=who, name=name, low=0)
        for name in ("seconds", "transit"):
            _checks.real(getattr(self, name), who=who, name=name, low=0.0)

    @property
    def phases(self) -> int:
        """Reads of one image, one after the other, were there one copy: positions x reads."""
        return self.positions * self.reads

    @property
    def turns(self) -> int:
        """Turns of one image, ceil(positions / copies)."""
        return -(-self.positions // self.copies)

    @property
    def busy(self) -> float:
        """Time that one image keeps the stage from the next, s: turns x seconds."""
        return self.turns * self.seconds

    @property
    def latency(self) -> float:
        """Time of one image in this stage alone, s."""
        return self.busy + self.transit


@dataclass(frozen=True, eq=False, kw_only=True)
class Step:
    """A tensor on its way through the chip.

    Parameters
    ----------
    name : str
    positions : int
    reads : tuple of (name of an earlier step, (positions,) int array or None)
        The last position of that step which each position needs; None: all need all of it. What comes from the input
        is there when an image enters.
    stage : Stage or None
        None: passes on in no time.
    firsts : tuple of (positions,) int array or None
        For each of `reads`, the first position that each position still needs; None, or no entry: all of them are kept
        until the last position is done.
    bytes : float
        Of one position of the result; 0 where that is not known.
    """

    name: str
    positions: int
    reads: tuple[tuple[str, np.ndarray | None], ...] = ()
    stage: Stage | None = None
    firsts: tuple[np.ndarray | None, ...] = ()
    bytes: float = 0.0


@dataclass(frozen=True, eq=False, kw_only=True)
class Work:
    """What a stage did with one image: when its turns began, s, and how long each took."""

    stage: Stage
    image: int
    starts: np.ndarray

    @property
    def end(self) -> float:
        """When the stage is free again, s."""
        return float(self.starts[-1]) + self.stage.seconds

    def spans(self) -> tuple[tuple[float, float], ...]:
        """(begin, end) of each uninterrupted run of turns, s."""
        gap = np.diff(self.starts) > self.stage.seconds * (1 + 1e-6)
        first = np.concatenate([[0], np.flatnonzero(gap) + 1])
        last = np.concatenate([first[1:] - 1, [len(self.starts) - 1]])
        return tuple(
            (float(a), float(b) + self.stage.seconds)
            for a, b in zip(self.starts[first], self.starts[last], strict=True)
        )


@dataclass(frozen=True, eq=False)
class Passed:
    """Times of one image, s: when turns begin, when inputs of positions have been read, when positions are there."""

    starts: dict[str, np.ndarray]
    read: dict[str, np.ndarray]
    there: dict[str, np.ndarray]
    finish: float


def starts_of(stage: Stage, ready: np.ndarray, free: float) -> np.ndarray:
    """(turns,) when each turn begins: start_g = max(ready_g, start_(g-1) + seconds), by a running maximum."""
    last = np.minimum(np.arange(1, stage.turns + 1) * stage.copies, len(ready)) - 1
    ahead = np.arange(stage.turns) * stage.seconds
    early = ready[last] - ahead
    early[0] = max(early[0], free)
    return np.maximum.accumulate(early) + ahead
