"""AEDAT 4.0: packets of a stream number, a size and a FlatBuffer, packed by LZ4 or Zstandard.

Enter the bytes of a file; leave the events of its one stream of events. The few tables are read here directly, every
offset and size checked; what unpacks is stopped at a limit. The library `aedat` (2.3.0) does neither: a changed offset
in the header ends in a panic, and a packet of 67 kB took 3 GB; `dv-processing` brings 54 MB of compiled code.

References
----------
https://docs.inivation.com/software/software-advanced-usage/file-formats/aedat-4.0.html; tables IOHeader (compression,
data table position, info) and EventPacket (elements; 16 bytes each: time int64, x int16, y int16, on bool);
https://flatbuffers.dev/internals/ for the layout of tables and vectors.
"""

import io
import struct

import numpy as np

from ..errors import FileFormatError, MissingDependencyError, UnsupportedError
from ._reading import MAX_EVENTS, MAX_PACKETS, Events, check_count, checked

MAGIC = b"#!AER-DAT4.0\r\n"
EVENT = np.dtype([("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("on", "u1"), ("pad", "V3")])
NONE, LZ4, LZ4_HIGH, ZSTD, ZSTD_HIGH = range(5)
MAX_PACKET = 1 << 26  # bytes of one packet; those of DV have some thousand events, or a frame
MAX_UNPACKED = MAX_EVENTS * EVENT.itemsize * 2  # bytes of all packets
_PIECE = 1 << 20  # bytes unpacked at a time
_WINDOW = 1 << 27  # bytes that Zstandard may look back


def parse(content: bytes) -> Events:
    """Events of a file's bytes."""
    if not content.startswith(MAGIC):
        raise FileFormatError("its first line is not that of AEDAT 4.0")
    (size,) = struct.unpack_from("<I", content, len(MAGIC))
    start = len(MAGIC) + 4
    header = _Table(_cut(content, start, size))
    compression, end = header.number(0, "<i", NONE), header.number(1, "<q", -1)
    unpack = _unpacker(compression)
    start, end = start + size, len(content) if end < 0 else end
    if end > len(content):
        raise FileFormatError("its table of packets lies beyond the end; the file is cut")
    found: dict[int, list[np.ndarray]] = {}
    count, left = 0, MAX_UNPACKED
    for _ in range(MAX_PACKETS):
        if start >= end:
            break
        stream, size = struct.unpack_from("<iI", content, start)
        packet = _whole(unpack(_cut(content, start + 8, size)), min(left, MAX_PACKET))
        start, left = start + 8 + size, left - len(packet)
        if packet[8:12] == b"EVTS":
            found.setdefault(stream, []).append(_Table(_cut(packet, 4, len(packet) - 4)).elements(0, EVENT))
            count += len(found[stream][-1])
            check_count(count)
    else:
        raise FileFormatError(f"more than {MAX_PACKETS:,} packets; cut the recording")
    if len(found) > 1:
        raise FileFormatError(f"{len(found)} streams of events, {sorted(found)[:8]}; keep one of them")
    events = np.concatenate(next(iter(found.values()), [np.empty(0, EVENT)]))
    return checked(events["x"], events["y"], events["on"], events["t"])


def _cut(content, start: int, size: int):
    """A part that must be there whole."""
    if size < 0 or start + size > len(content):
        raise FileFormatError(f"a part of {size:,} bytes reaches beyond the end; the file is cut or damaged")
    return memoryview(content)[start : start + size]


class _Table:
    """The root table of a FlatBuffer, its offsets checked."""

    def __init__(self, content):
        self.content = content
        self.place = self._unpack("<I", 0)
        self.fields = self.place - self._unpack("<i", self.place)

    def _unpack(self, kind: str, at: int):
        if not 0 <= at <= len(self.content) - struct.calcsize(kind):
            raise FileFormatError("a table points beyond its end; the file is damaged")
        return struct.unpack_from(kind, self.content, at)[0]

    def _field(self, index: int) -> int:
        """Where a field stands; 0 if the table has it not."""
        at = 4 + 2 * index
        offset = self._unpack("<H", self.fields + at) if at < self._unpack("<H", self.fields) else 0
        return self.place + offset if offset else 0

    def number(self, index: int, kind: str, default: int) -> int:
        at = self._field(index)
        return self._unpack(kind, at) if at else default

    def elements(self, index: int, dtype: np.dtype) -> np.ndarray:
        """A vector of structures."""
        at = self._field(index)
        if not at:
            return np.empty(0, dtype)
        at += self._unpack("<I", at)
        count = self._unpack("<I", at)
        return np.frombuffer(_cut(self.content, at + 4, count * dtype.itemsize), dtype)


def _unpacker(compression: int):
    """The function (packed) -> pieces of bytes for a way of packing."""
    if compression == NONE:
        return lambda packed: iter([packed])
    if compression in (LZ4, LZ4_HIGH):
        frame = _library("lz4.frame", "lz4")

        def pieces(packed):
            decompressor = frame.LZ4FrameDecompressor()
            yield decompressor.decompress(packed, _PIECE)
            while not decompressor.eof:
                if decompressor.needs_input:
                    raise FileFormatError("a packet is cut or damaged")
                yield decompressor.decompress(b"", _PIECE)

        return pieces
    if compression in (ZSTD, ZSTD_HIGH):
        zstandard = _library("zstandard", "zstandard")

        def pieces(packed):
            decompressor = zstandard.ZstdDecompressor(max_window_size=_WINDOW)
            try:
                with decompressor.stream_reader(io.BytesIO(packed)) as stream:
                    yield from iter(lambda: stream.read(_PIECE), b"")
            except zstandard.ZstdError as error:
                raise FileFormatError(f"a packet is damaged: {error}") from None

        return pieces
    raise UnsupportedError(f"packing number {compression} is unknown; let DV write it with LZ4")


def _whole(pieces, most: int) -> bytes:
    """The pieces joined, up to `most` bytes."""
    kept, size = [], 0
    for piece in pieces:
        size += len(piece)
        if size > most:
            raise FileFormatError(
                f"a packet unpacks to more than {most:,} bytes; one may take {MAX_PACKET:,}, all {MAX_UNPACKED:,}: cut "
                "the recording"
            )
        kept.append(piece)
    return b"".join(kept)


def _library(module: str, package: str):
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError:
        raise MissingDependencyError(
            f'it is packed with {package}; pip install {package}, or "neuroemu[events]"'
        ) from None
