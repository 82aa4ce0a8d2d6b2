"""Prophesee's files of events: DAT, and RAW in the encodings EVT 2.0 and EVT 3.0.

Enter the bytes of a file; leave its contrast detection events. External triggers and vendor words are passed over.
RAW files hold what the sensor sent: words that change a state (time, row, base column) and words that are events in
that state. They are decoded here in blocks of words, with the state carried along.

References
----------
https://docs.prophesee.ai/stable/data/file_formats/dat.html and .../raw.html (headers, DAT records);
https://docs.prophesee.ai/stable/data/encoding_formats/evt2.html and .../evt3.html (words). The clock's loops, and what
stands before the first time, as in Prophesee's own sample decoders (openeb, standalone_samples).
"""

import os
import re

import numpy as np

from ..errors import FileFormatError, UnsupportedError
from ._reading import Events, check_count, checked, content_of, reading

BLOCK = 1 << 18  # words at a time
EVENT_TYPES = (0, 12)  # Event2d and EventCd, of DAT
_LOOP = 10  # units of TIME_HIGH: how near its ends the clock must be before and after a loop


def read_prophesee(path: str | os.PathLike) -> Events:
    """Events of a Prophesee .dat or .raw file.

    Times are those of the file: microseconds since the camera started. EVT 2.0 and 3.0 words are read little-endian,
    as the cameras send them. Row 0 is the upper one.

    Parameters
    ----------
    path : path to the file

    Raises
    ------
    FileFormatError
        No such file, too large, or damaged.
    UnsupportedError
        A version or encoding other than DAT 2, EVT 2.0 and EVT 3.0; the message says the remedy.
    """
    with reading(path, "read_prophesee") as found:
        return parse(content_of(found))


def parse(content: bytes) -> Events:
    """Events of a file's bytes."""
    header, start = _header(content)
    if "data file containing" in header:
        return _dat(content, header, start)
    encoding = header.get("format", "").split(";")[0].upper() or "EVT" + header.get("evt", "").removesuffix(".0")
    if encoding not in DECODERS:
        known = " and ".join(DECODERS)
        raise UnsupportedError(f"it is encoded as {encoding!r:.30}; {known} are read: convert it to one of them")
    return _decoded(content, start, DECODERS[encoding]())


def _header(content: bytes) -> tuple[dict[str, str], int]:
    """Keywords and values of the lines that start with "% ", and where the data begin."""
    found, start = {}, 0
    while content[start : start + 1] == b"%" and len(found) < 1000:
        end = content.find(b"\n", start, start + 10_000)
        if end < 0:
            break
        line = content[start + 1 : end].decode("utf-8", "replace").strip()
        start = end + 1
        if line == "end":
            break
        match = re.match(r"(?i)(data file containing|\S+)\s*(.*)", line)
        if match:
            found[match[1].lower()] = match[2].strip()
    if not found:
        raise FileFormatError("no header of lines that start with '% ', as Prophesee's files have")
    return found, start


def _dat(content, header, start) -> Events:
    """Type and size, one byte each, then (time, pixel) of 32 bits each."""
    if header.get("version", "").split(".")[0] != "2":
        raise UnsupportedError(f"DAT version {header.get('version', 'unknown')!r:.20}; version 2 is read")
    if len(content) < start + 2:
        raise FileFormatError("it ends within its header")
    kind, size = content[start], content[start + 1]
    if kind not in EVENT_TYPES or size != 8:
        raise UnsupportedError(f"events of type {kind} and {size} bytes; contrast detection events of 8 bytes are read")
    if (len(content) - start - 2) % 8:
        raise FileFormatError(f"{len(content) - start - 2:,} bytes of events; each takes 8, the file is cut")
    check_count((len(content) - start - 2) // 8)
    records = np.frombuffer(content, "<u4", offset=start + 2).reshape(-1, 2)
    time, pixel = records[:, 0], records[:, 1]
    return checked(pixel & 0x3FFF, pixel >> 14 & 0x3FFF, pixel >> 28, time)


def _decoded(content, start, decoder) -> Events:
    """All blocks of words through a decoder."""
    size = decoder.dtype.itemsize
    if (len(content) - start) % size:
        raise FileFormatError(f"{len(content) - start:,} bytes of words; each takes {size}, the file is cut")
    words = np.frombuffer(content, decoder.dtype, offset=start)
    parts, count = [np.empty((4, 0), np.int64)], 0
    for first in range(0, len(words), BLOCK):
        parts.append(decoder.block(words[first : first + BLOCK].astype(np.int64)))
        count += parts[-1].shape[1]
        check_count(count)
    return checked(*np.concatenate(parts, axis=1))


class _Clock:
    """The high part of the time, with its loops: microseconds of each TIME_HIGH word."""

    def __init__(self, bits: int, low_bits: int):
        self.span, self.low_bits = 1 << bits, low_bits
        self.last, self.loops = None, 0

    def times(self, high: np.ndarray) -> np.ndarray:
        if not len(high):
            return high
        before = np.concatenate([high[:1] if self.last is None else [self.last], high[:-1]])
        loops = self.loops + np.cumsum(before - high >= self.span - 1 - _LOOP)
        self.last, self.loops = int(high[-1]), int(loops[-1])
        return high + loops * self.span << self.low_bits


class _Evt2:
    """32-bit words: 4 bits of type; an event carries 6 bits of time, 11 of column and 11 of row."""

    dtype = np.dtype("<u4")

    def __init__(self):
        self.clock, self.base = _Clock(28, 6), -1

    def block(self, words) -> np.ndarray:
        kind = words >> 28
        is_high = kind == 8
        base = _filled(is_high, self.clock.times(words[is_high] & 0xFFFFFFF), self.base)
        self.base = base[-1]
        event = (kind <= 1) & (base >= 0)  # nothing before the first time
        chosen = words[event]
        return np.stack([chosen >> 11 & 0x7FF, chosen & 0x7FF, kind[event], base[event] + (chosen >> 22 & 63)])


class _Evt3:
    """16-bit words: 4 bits of type; time, row and base column hold until they are sent again."""

    dtype = np.dtype("<u2")

    def __init__(self):
        self.clock, self.base, self.time = _Clock(12, 12), -1, -1
        self.row, self.column, self.polarity = 0, 0, 0

    def block(self, words) -> np.ndarray:
        kind, value = words >> 12, words & 0xFFF
        is_high = kind == 8
        base = _filled(is_high, self.clock.times(value[is_high]), self.base)
        is_time = is_high | (kind == 6)
        time = _filled(is_time, (base + np.where(is_high, 0, value))[is_time], self.time)
        time[base < 0] = -1
        is_row = kind <= 1  # type 1 is the row of another kind of event, which is passed over
        row = _filled(is_row, np.where(kind == 0, value & 0x7FF, -1)[is_row], self.row)
        polarity, column = self._vectors(kind, value)
        self.base, self.time, self.row = base[-1], time[-1], row[-1]

        masks = np.select([kind == 2, kind == 4, kind == 5], [1, value, value & 0xFF], 0)
        masks[(time < 0) | (row < 0)] = 0
        at = np.flatnonzero(masks)
        word, bit = np.nonzero(masks[at, None] >> np.arange(12) & 1)
        at = at[word]
        single = kind[at] == 2
        x = np.where(single, value[at] & 0x7FF, column[at] + bit)
        return np.stack([x, row[at], np.where(single, value[at] >> 11, polarity[at]), time[at]])

    def _vectors(self, kind, value):
        """Polarity and base column of the vectors at each word; a vector moves the base on by its length."""
        is_base = kind == 3
        moved = np.cumsum(np.select([kind == 4, kind == 5], [12, 8], 0))
        before = np.concatenate([[0], moved[:-1]])
        column = _filled(is_base, ((value & 0x7FF) - before)[is_base], self.column) + before
        polarity = _filled(is_base, (value >> 11)[is_base], self.polarity)
        self.column, self.polarity = column[-1] + moved[-1] - before[-1], polarity[-1]
        return polarity, column


DECODERS = {"EVT2": _Evt2, "EVT3": _Evt3}


def _filled(mask, values, initial) -> np.ndarray:
    """At each place the last of `values`, which stand where `mask` is true; `initial` before the first."""
    return np.concatenate([[initial], values])[np.cumsum(mask)]
