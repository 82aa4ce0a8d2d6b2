"""Events of sensors, and spike trains of them.

An `Events` is one recording as plain arrays, whatever file it came from (`event_files.read_events`). Binned to steps it
is a spike train: `Events.to_steps` for one recording, `to_trains` for several side by side as `run_spiking` takes them;
for `run` on a chip the batch goes first, ``trains.swapaxes(0, 1)``.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .. import _checks, _files
from ..errors import ArgumentTypeError, InputError

MAX_VALUES = 1 << 30  # of one train
MICROSECOND = 10**6  # in picoseconds
FIELDS = ("x", "y", "polarity", "microseconds")


@dataclass(frozen=True, eq=False)
class Events:
    """Events of one recording, in the order of the file; arrays of one length."""

    x: np.ndarray  # int64, column
    y: np.ndarray  # int64, row
    polarity: np.ndarray  # int64, 0 OFF, 1 ON
    microseconds: np.ndarray  # int64

    def __len__(self):
        return len(self.x)

    @classmethod
    def from_steps(cls, train, *, dt: float) -> "Events":
        """Events of a spike train: one for each spike, at the first whole microsecond of its step.

        `to_steps` with the same dt gives the train back. `spiking.run_loihi` and `run_spiking` make such trains.

        Parameters
        ----------
        train : (T, N), (T, H, W) or (T, P, H, W) array of 0 and 1
            Of one image. N neurons are columns of one row, without P the polarity is 1.
        dt : float, >= 1e-6
            Seconds a step.

        Raises
        ------
        InputError
            Another shape or other numbers, or a step shorter than a microsecond.
        """
        who = "Events.from_steps"
        dt = _checks.real(dt, who=who, name="dt", low=1e-6)
        train = np.asarray(train)
        if train.ndim not in (2, 3, 4) or not np.isin(train, (0, 1)).all():
            raise InputError(f"{who}: train has shape {train.shape}; give spikes (T, N), (T, H, W) or (T, P, H, W)")
        whole = train.reshape(len(train), *(1,) * (4 - train.ndim), *train.shape[1:])
        step, polarity, y, x = np.nonzero(whole)
        if train.ndim < 4:
            polarity = np.ones_like(x)
        each, rest = divmod(_picoseconds(dt), MICROSECOND)
        return cls(x, y, polarity, step * each - (-step * rest // MICROSECOND))

    def to_steps(
        self, *, dt: float, steps: int, shape: tuple[int, int, int] = (2, 34, 34), start: int | None = 0
    ) -> np.ndarray:
        """Spikes of each step: whether any event of that polarity fell on that pixel.

        Parameters
        ----------
        dt : float
            Seconds a step. An event at time t belongs to step floor((t - start) / dt).
        steps : int
            Events of later times are left out, and those before `start`.
        shape : (int, int, int)
            Polarities, height and width; N-MNIST has (2, 34, 34). With one polarity, both count as the same.
        start : int or None
            Microseconds at which step 0 begins; None: the time of the earliest event, for files that count from a date.

        Returns
        -------
        ``(steps, *shape)`` bool
            Stack several along a new axis 1 for `run_spiking`, or see `to_trains`.

        Raises
        ------
        InputError
            An event outside `shape`, or an argument out of range.
        """
        who = "Events.to_steps"
        steps, dt, shape = _check_train(who, steps, dt, shape, trains=1)
        planes, high, wide = shape
        if len(self) and (self.x.max() >= wide or self.y.max() >= high):
            raise InputError(
                f"{who}: events reach column {self.x.max()} and row {self.y.max()}; shape {tuple(shape)} has fewer"
            )
        if len(self) and min(self.x.min(), self.y.min(), self.polarity.min(), 1 - self.polarity.max()) < 0:
            raise InputError(f"{who}: columns and rows count from 0, polarities are 0 and 1; these events have others")
        if start is None:
            start = self.microseconds.min() if len(self) else 0
        else:
            start = _checks.integer(start, who=who, name="start", low=-(1 << 62), high=1 << 62)
        length = _picoseconds(dt)
        last = min(-(-steps * length // MICROSECOND), 1 << 62)  # later events are left out: products stay small
        since = np.clip(self.microseconds - start, -1, last)
        if steps * length >= 1 << 62:
            since = since.astype(object)  # of months: Python's integers have no limit
        step = (since * MICROSECOND // length).astype(np.int64)
        kept = (step >= 0) & (step < steps)
        train = np.zeros((steps, planes, high, wide), bool)
        plane = self.polarity if planes == 2 else np.zeros_like(self.polarity)
        train[step[kept], plane[kept], self.y[kept], self.x[kept]] = True
        return train


def _picoseconds(dt: float) -> int:
    """dt in whole picoseconds: in floating point, events on the border of two steps would move."""
    return round(dt * 1e12)


def to_trains(
    recordings: Sequence[Events], *, dt: float, steps: int, shape: tuple[int, int, int], start: int | None = 0
) -> np.ndarray:
    """Spike trains of several recordings, each binned by `Events.to_steps`.

    Returns
    -------
    ``(steps, recordings, *shape)`` bool
        As `run_spiking` takes it; `run` on a chip takes ``swapaxes(0, 1)`` of it.

    Raises
    ------
    InputError
        As `Events.to_steps`, no recordings, or more than 2^30 values in all.
    """
    who = "to_trains"
    if isinstance(recordings, Events):
        raise ArgumentTypeError(f"{who}: recordings is one Events; give a list, or use its to_steps")
    recordings = [_checks.instance(found, Events, who=who, name="recordings") for found in recordings]
    if not recordings:
        raise InputError(f"{who}: recordings is empty; give at least one")
    steps, dt, shape = _check_train(who, steps, dt, shape, trains=len(recordings))
    trains = np.empty((steps, len(recordings), *shape), bool)
    for at, events in enumerate(recordings):
        trains[:, at] = events.to_steps(dt=dt, steps=steps, shape=shape, start=start)
    return trains


def save_events(events: Events, path: str | os.PathLike) -> None:
    """Write events to an .npz file with the arrays x, y, polarity and microseconds; `read_events` reads it back.

    Raises
    ------
    InputError
        The path does not end in .npz or cannot be written.
    """
    _checks.instance(events, Events, who="save_events", name="events")
    if not str(path).lower().endswith(".npz"):
        raise InputError(f"save_events: path '{path}' must end in .npz")
    with _files.replacing(path) as temporary:
        np.savez_compressed(temporary, **{name: getattr(events, name) for name in FIELDS})


def _check_train(who, steps, dt, shape, trains) -> tuple[int, float, tuple[int, int, int]]:
    steps = _checks.integer(steps, who=who, name="steps", low=1, high=1 << 20)
    dt = _checks.real(dt, who=who, name="dt", low=1e-6)
    if np.ndim(shape) != 1 or len(shape) != 3:
        raise InputError(f"{who}: shape is {shape!r}; give (polarities, height, width)")
    planes, high, wide = (_checks.integer(n, who=who, name="shape", low=1) for n in shape)
    if planes > 2 or trains * steps * planes * high * wide > MAX_VALUES:
        raise InputError(
            f"{who}: {trains} trains of {steps} steps of shape {tuple(shape)}; use 1 or 2 polarities, {MAX_VALUES:,} "
            "values at most"
        )
    return steps, dt, (planes, high, wide)
