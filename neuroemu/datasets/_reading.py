"""What the readers of event files share: bytes of a bounded file, checked events, one kind of error.

Files come from others: sizes are checked before memory is taken.
"""

import os
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from .._archive import DAMAGE
from ..errors import ArgumentTypeError, FileFormatError, NeuroemuError
from ..network._build import one_line
from .events import Events

MAX_FILE = 1 << 28  # bytes
MAX_EVENTS = 1 << 25  # of one call; as Events they take 1 GiB
MAX_PACKETS = 1 << 20  # of a file, so that none keeps a reader busy for long
MAX_PIXEL = 1 << 16  # columns and rows


@contextmanager
def reading(path: str | os.PathLike, who: str):
    """The path, checked; every error of the block names it, and damage ends in a FileFormatError."""
    if not isinstance(path, str | os.PathLike):
        raise ArgumentTypeError(f"{who}: path must be a path to a file, got {type(path).__name__}")
    path = Path(path)
    try:
        yield path
    except NeuroemuError as error:
        raise type(error)(f"{path}: {one_line(error, 500)}") from None
    except DAMAGE as error:
        if isinstance(error, OSError) and error.strerror:
            raise FileFormatError(f"{path}: cannot be read: {error.strerror}") from None
        raise FileFormatError(f"{path}: damaged: {one_line(error)}") from None


def content_of(path: Path) -> bytes:
    """The whole file, its size checked first."""
    size = path.stat().st_size
    if size > MAX_FILE:
        raise FileFormatError(f"{size:,} bytes; event files of up to {MAX_FILE:,} bytes are read, cut the recording")
    with path.open("rb") as file:
        return file.read(MAX_FILE)


def check_count(count: int) -> None:
    """Refuse more events than one call gives."""
    if count > MAX_EVENTS:
        raise FileFormatError(f"{count:,} events or more; up to {MAX_EVENTS:,} are read, cut the recording")


def checked(x, y, polarity, microseconds) -> Events:
    """Events of arrays, int64; FileFormatError where a pixel or a polarity cannot be."""
    check_count(len(x))
    found = [np.asarray(values).astype(np.int64) for values in (x, y, polarity, microseconds)]
    for name, values, most in zip(("column", "row", "polarity"), found, (MAX_PIXEL, MAX_PIXEL, 2), strict=False):
        if len(values) and (values.min() < 0 or values.max() >= most):
            raise FileFormatError(
                f"an event has {name} {values.min()} or {values.max()}; they lie in 0..{most - 1}: damaged, or of "
                "another format"
            )
    return Events(*found)
