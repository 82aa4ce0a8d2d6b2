"""Files of one recording: `read_events` finds the format by content; N-MNIST, tables of text and .npz are read here.

Others have their own modules: `aedat`, `prophesee`, and `shd` for files of many recordings.
"""

import io
import os
import zipfile
from pathlib import Path

import numpy as np

from .. import _archive, _checks
from ..errors import FileFormatError, InputError
from . import aedat, prophesee
from ._reading import Events, check_count, checked, content_of, reading

_OVERFLOW_ROW, _OVERFLOW = 240, 1 << 13  # a mark in place of an event: all later times are this much later, in us
NAMES = {
    "x": ("x", "column", "col"),
    "y": ("y", "row"),
    "polarity": ("polarity", "p", "pol", "on"),
    "microseconds": ("microseconds", "t", "ts", "time", "timestamp", "us"),
}
_HDF5, _ZIP = b"\x89HDF\r\n\x1a\n", b"PK\x03\x04"


def read_events(path: str | os.PathLike) -> Events:
    """Events of one recording, from any format that is known; the content decides, not the ending.

    AEDAT 2.0, 3.1 and 4.0 (`read_aedat`); Prophesee DAT, EVT 2.0 and EVT 3.0 (`read_prophesee`); .npz of `save_events`,
    or with arrays x, y, p and t; .csv and .txt with a line of names (`read_event_table`); .bin of N-MNIST
    (`read_nmnist`).

    Raises
    ------
    FileFormatError
        No such file, too large, damaged, or of another format.
    UnsupportedError, MissingDependencyError
        See the reader of the format.
    """
    with reading(path, "read_events") as found:
        content, ending = content_of(found), found.suffix.lower()
        if content.startswith(aedat.MAGIC):
            return aedat.parse(content)
        if content.startswith(b"%"):
            return prophesee.parse(content)
        if content.startswith(_ZIP):
            return _arrays(content)
        if content.startswith(_HDF5):
            raise FileFormatError("HDF5; if it holds spikes/times and spikes/units, use read_shd")
        if ending in (".csv", ".txt"):
            return _table(content, None, 1e-6)
        if ending == ".bin":
            return _nmnist(content)
        raise FileFormatError(
            f"unknown content, its first bytes are {content[:8]!r}; AEDAT, Prophesee DAT and RAW, .npz, .csv, .txt and "
            ".bin of N-MNIST are read"
        )


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
    with reading(path, "read_nmnist") as found:
        return _nmnist(content_of(found))


def read_event_table(path: str | os.PathLike, *, columns: str | None = None, tick: float = 1e-6) -> Events:
    """Events of a table of text, one line an event, values apart by commas, semicolons or blanks.

    Parameters
    ----------
    path : path to the file
    columns : str or None
        The columns in order, a letter each: x, y, p (polarity), t (time), or - for one that is not read; "xypt" is
        what Prophesee's tools write. None: the first line has their names, such as ``x,y,polarity,timestamp``.
    tick : float
        Seconds a unit of the time; 1e-6 for microseconds, 1.0 for seconds.

    Returns
    -------
    Events
        A polarity of -1 or 0 is OFF, 1 is ON.

    Raises
    ------
    FileFormatError
        No such file, too large, columns missing, or a line that is not whole numbers.
    """
    tick = _checks.real(tick, who="read_event_table", name="tick", low=1e-12)
    if columns is not None and (not isinstance(columns, str) or not set("xypt") <= set(columns) <= set("xypt-")):
        raise InputError(f"read_event_table: columns is {columns!r}; name x, y, p and t once each, such as 'xypt'")
    if columns is not None and any(columns.count(name) > 1 for name in "xypt"):
        raise InputError(f"read_event_table: columns is {columns!r}; name x, y, p and t once each, such as 'xypt'")
    with reading(path, "read_event_table") as found:
        return _table(content_of(found), columns, tick)


def _nmnist(content: bytes) -> Events:
    if len(content) % 5:
        raise FileFormatError(f"{len(content):,} bytes; an N-MNIST file has 5 an event")
    check_count(len(content) // 5)
    x, y, first, second, third = np.frombuffer(content, np.uint8).reshape(-1, 5).astype(np.int64).T
    overflow = y == _OVERFLOW_ROW
    times = ((first & 127) << 16 | second << 8 | third) + _OVERFLOW * np.cumsum(overflow)
    return Events(*(values[~overflow] for values in (x, y, first >> 7, times)))


def _table(content: bytes, columns, tick) -> Events:
    check_count(content.count(b"\n"))
    start = content[: content.find(b"\n") + 1 or None][:1000].decode("utf-8", "replace").strip()
    delimiter = next((mark for mark in ",;" if mark in start), None)
    names = [name.strip().lstrip("#").strip().lower() for name in start.split(delimiter)]
    places = _places([{"p": "polarity", "t": "microseconds"}.get(c, c) for c in columns] if columns else names)
    lines = io.BytesIO(content)
    if columns is None:
        lines.readline()
    if not content[lines.tell() :].strip():
        return checked(*np.empty((4, 0), np.int64))
    values = np.loadtxt(lines, np.float64, delimiter=delimiter, usecols=places, ndmin=2, comments=None).T
    times = values[3] * (tick / 1e-6)
    if not (np.abs(times) < 1 << 62).all() or (values[:3] != np.rint(values[:3])).any():
        raise FileFormatError("a pixel or polarity that is no whole number, or a time that is no number")
    polarity = np.where(values[2] == -1, 0, values[2])
    if not (np.abs(values[:3]) < 1 << 31).all():
        raise FileFormatError("a pixel beyond 2^31")
    return checked(values[0], values[1], polarity, np.rint(times))


def _places(names: list[str]) -> list[int]:
    """Where x, y, polarity and time stand."""
    found = []
    for field, known in NAMES.items():
        at = [place for place, name in enumerate(names) if name in known]
        if len(at) != 1:
            shown = ", ".join(names)[:80]
            raise FileFormatError(f"{len(at)} columns for {field} among '{shown}'; name the columns: see columns=")
        found += at
    return found


def _arrays(content: bytes) -> Events:
    """Four arrays of one length, under any of their names."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        held = {Path(name).stem: name for name in archive.namelist() if name.endswith(".npy")}
        found = []
        for known in NAMES.values():
            names = [name for name in known if name in held]
            if len(names) != 1:
                shown = ", ".join(held)[:80]
                raise FileFormatError(f"it holds {shown}; it needs one array each for x, y, polarity and microseconds")
            check_count(archive.getinfo(f"{names[0]}.npy").file_size // 8)
            found.append(_archive.read_array(archive, names[0]))
    if len({values.shape for values in found}) != 1 or found[0].ndim != 1:
        raise FileFormatError(f"arrays of shapes {[values.shape for values in found]}; all need one length")
    if any(values.dtype.kind not in "biu" for values in found):
        raise FileFormatError(f"arrays of {[str(values.dtype) for values in found]}; whole numbers are needed")
    x, y, polarity, times = found
    if polarity.dtype.kind == "i":
        polarity = np.where(polarity == -1, 0, polarity)
    return checked(x, y, polarity, times)
