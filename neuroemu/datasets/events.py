"""Events of vision sensors: files to lists of events, and those to spike trains in steps for `run_spiking`."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import _checks
from ..errors import ArgumentTypeError, FileFormatError, InputError

MAX_FILE = 1 << 28  # bytes
MAX_VALUES = 1 << 30  # of one train
_OVERFLOW_ROW, _OVERFLOW = 240, 1 << 13  # a mark in place of an event: all later times are this much later, in us


@dataclass(frozen=True, eq=False)
class Events:
    """Events of one recording, in the order of the file; arrays of one length."""

    x: np.ndarray  # int64, column
    y: np.ndarray  # int64, row
    polarity: np.ndarray  # int64, 0 OFF, 1 ON
    microseconds: np.ndarray  # int64

    def __len__(self):
        return len(self.x)

    def to_steps(self, *, dt: float, steps: int, shape: tuple[int, int, int] = (2, 34, 34)) -> np.ndarray:
        """Spikes of each step: whether any event of that polarity fell on that pixel.

        Parameters
        ----------
        dt : float
            Seconds a step. An event at time t belongs to step floor(t / dt).
        steps : int
            Events of later times are left out.
        shape : (int, int, int)
            Polarities, height and width; N-MNIST has (2, 34, 34). With one polarity, both count as the same.

        Returns
        -------
        ``(steps, *shape)`` bool
            Stack several along a new axis 1 for `run_spiking`.

        Raises
        ------
        InputError
            An event outside `shape`, or an argument out of range.
        """
        who = "Events.to_steps"
        steps = _checks.integer(steps, who=who, name="steps", low=1, high=1 << 20)
        dt = _checks.real(dt, who=who, name="dt", low=1e-6)
        if np.ndim(shape) != 1 or len(shape) != 3:
            raise InputError(f"{who}: shape is {shape!r}; give (polarities, height, width)")
        planes, high, wide = (_checks.integer(n, who=who, name="shape", low=1) for n in shape)
        if planes > 2 or steps * planes * high * wide > MAX_VALUES:
            raise InputError(
                f"{who}: {steps} steps of shape {tuple(shape)}; use 1 or 2 polarities, {MAX_VALUES:,} values at most"
            )
        if len(self) and (self.x.max() >= wide or self.y.max() >= high):
            raise InputError(
                f"{who}: events reach column {self.x.max()} and row {self.y.max()}; shape {tuple(shape)} has fewer"
            )
        # Rounded, since dt in microseconds may miss a whole number by its last bit: events on the border would move.
        step = self.microseconds // round(dt * 1e6, 6)
        kept = step < steps
        train = np.zeros((steps, planes, high, wide), bool)
        plane = self.polarity if planes == 2 else np.zeros_like(self.polarity)
        train[step[kept].astype(np.int64), plane[kept], self.y[kept], self.x[kept]] = True
        return train


def read_nmnist(path: str | os.PathLike) -> Events:
    """Events of one .bin file of N-MNIST or N-Caltech101.

    Five bytes an event: column, row, and 24 bits of which the first is the polarity and the others the time in
    microseconds. A row of 240 marks an overflow of the clock, after which 2^13 us are added to all times.

    Raises
    ------
    FileFormatError
        No such file, too large, or not a whole number of events.

    References
    ----------
    G. Orchard et al., Front. Neurosci. 9:437 (2015), doi:10.3389/fnins.2015.00437; the overflow as in the reader
    `event-Python` of the same author.
    """
    if not isinstance(path, str | os.PathLike):
        raise ArgumentTypeError(f"read_nmnist: path must be a path to a file, got {type(path).__name__}")
    path = Path(path)
    try:
        size = path.stat().st_size
        if size > MAX_FILE or size % 5:
            raise FileFormatError(f"{path}: {size:,} bytes; an N-MNIST file has 5 an event, {MAX_FILE:,} at most")
        content = np.fromfile(path, np.uint8).reshape(-1, 5).astype(np.int64)
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be read: {error.strerror or error}") from None
    x, y, first, second, third = content.T
    overflow = y == _OVERFLOW_ROW
    times = ((first & 127) << 16 | second << 8 | third) + _OVERFLOW * np.cumsum(overflow)
    return Events(*(values[~overflow] for values in (x, y, first >> 7, times)))
