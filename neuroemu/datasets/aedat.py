"""AEDAT files of events, as jAER, cAER and DV write them: versions 2.0, 3.1 and 4.0.

Enter the bytes of a file; leave its polarity events. Frames, motion sensors and triggers are passed over.

2.0: records of a 32-bit address and a 32-bit time, big-endian; what an address means depends on the camera.
3.1: packets of a header of 28 bytes and events of 8, little-endian. 4.0 is in `_aedat4`.

References
----------
https://docs.inivation.com/software/software-advanced-usage/file-formats/ (aedat-2.0, aedat-3.1, aedat-4.0);
addresses of version 2.0 as in jAER's classes DVS128, DavisChip and DavisBaseCamera (github.com/SensorsINI/jaer);
packets of version 3.1 as in libcaer's events/common.h and events/polarity.h.
"""

import os
import struct
from dataclasses import dataclass

import numpy as np

from .. import _checks
from ..errors import FileFormatError, UnsupportedError
from . import _aedat4
from ._reading import MAX_PACKETS, Events, check_count, checked, content_of, reading

MAGIC = b"#!AER-DAT"
MAX_HEADER = 1 << 24  # bytes; jAER writes all its preferences there
_PACKET = struct.Struct("<hhiiiiii")  # type, source, event size, time offset, overflow, capacity, number, valid
_POLARITY = 1  # type of a packet


@dataclass(frozen=True)
class Camera:
    """Bits of an address of AEDAT 2.0, as jAER takes it apart."""

    name: str  # in the header's line "AEChip"
    width: int  # jAER mirrors columns: x = width - 1 - bits
    x: tuple[int, int]  # shift, mask
    y: tuple[int, int]
    on: tuple[int, int]  # shift of the polarity, and its value for ON
    others: int  # bits that mark what is no polarity event


_DAVIS = {"x": (12, 0x3FF), "y": (22, 0x1FF), "on": (11, 1), "others": 1 << 31 | 1 << 10}
CAMERAS = {
    "dvs128": Camera("DVS128", 128, (1, 0x7F), (8, 0x7F), (0, 0), 1 << 31 | 1 << 15),
    "davis240": Camera("Davis240", 240, **_DAVIS),
    "davis346": Camera("Davis346", 346, **_DAVIS),
}


def read_aedat(path: str | os.PathLike, *, camera: str | None = None) -> Events:
    """Polarity events of an AEDAT file of version 2.0, 3.1 or 4.0.

    Parameters
    ----------
    path : path to the file
    camera : {"dvs128", "davis240", "davis346"} or None
        Of a file of version 2.0: whose addresses they are. None: what its header says, or DVS128 if it says nothing.

    Returns
    -------
    Events
        Times as in the file: microseconds since the camera's clock started, in version 4.0 since 1970; see `start` in
        `Events.to_steps`. Rows count from the top in 3.1 and 4.0, from the bottom in 2.0, whose x, y and polarity are
        those that jAER shows.

    Raises
    ------
    FileFormatError
        No such file, too large, damaged, or with several cameras.
    UnsupportedError
        Another version, camera or packing; the message says the remedy.
    MissingDependencyError
        The library that unpacks a file of version 4.0 is not installed.

    Notes
    -----
    In a DVS128 address of version 2.0, jAER takes bit 0 = 0 for ON and mirrors the columns; iniVation's page on the
    format says bit 0 = 1 is ON and mirrors nothing. Files of jAER are meant here. The 32-bit clock of 2.0 is not
    followed beyond its overflow after 36 minutes.
    """
    if camera is not None:
        _checks.choice(camera, tuple(CAMERAS), who="read_aedat", name="camera")
    with reading(path, "read_aedat") as found:
        return parse(content_of(found), camera)


def parse(content: bytes, camera: str | None = None) -> Events:
    """Events of a file's bytes."""
    if not content.startswith(MAGIC):
        raise FileFormatError("not an AEDAT file of version 2.0 or later; those start with '#!AER-DAT'")
    version = content[len(MAGIC) : len(MAGIC) + 3].decode("ascii", "replace")
    if version == "2.0":
        return _version2(content, camera)
    if version == "3.1":
        return _version3(content)
    if version == "4.0":
        return _aedat4.parse(content)
    raise UnsupportedError(f"AEDAT version {version!r}; 2.0, 3.1 and 4.0 are read, DV converts others to 4.0")


def _lines(content: bytes, last: bytes) -> tuple[list[str], int]:
    """Lines of the header, up to the line `last` or to where none begins with '#'; and where the data begin."""
    found, start = [], 0
    while content[start : start + 1] == b"#":
        end = content.find(b"\n", start, start + MAX_HEADER)
        if end < 0 or start > MAX_HEADER:
            raise FileFormatError("its header does not end")
        line = content[start:end]
        found.append(line.decode("utf-8", "replace").strip())
        start = end + 1
        if line.strip() == last:
            break
    return found, start


def _version2(content, camera) -> Events:
    lines, start = _lines(content, b"#End Of ASCII Header")
    if (len(content) - start) % 8:
        raise FileFormatError(f"{len(content) - start:,} bytes of events; each takes 8, the file is cut")
    check_count((len(content) - start) // 8)
    bits = _camera(lines, camera)
    records = np.frombuffer(content, ">u4", offset=start).reshape(-1, 2).astype(np.int64)
    records = records[records[:, 0] & bits.others == 0]
    address, time = records[:, 0], records[:, 1].astype(np.int32)
    if bits.name == "DVS128" and len(address) and address.max() >= 1 << 16:
        raise UnsupportedError("its addresses are wider than those of a DVS128; say which it is by camera='davis346'")
    x, y, polarity = (address >> shift & mask for shift, mask in (bits.x, bits.y, (bits.on[0], 1)))
    if len(x) and x.max() >= bits.width:
        raise UnsupportedError(f"an address in column {x.max()}; a {bits.name} has {bits.width}: give another camera")
    return checked(bits.width - 1 - x, y, polarity == bits.on[1], time)


def _camera(lines, camera) -> Camera:
    """The camera that is wished, or that the header names as "# AEChip: eu.seebetter.ini.chips.davis.Davis346"."""
    if camera is not None:
        return CAMERAS[camera]
    named = [line.split(":", 1)[1].strip() for line in lines if line[1:].strip().startswith("AEChip:")]
    if not named:
        return CAMERAS["dvs128"]
    for known in CAMERAS.values():
        if named[0].rsplit(".", 1)[-1].lower().startswith(known.name.lower()):
            return known
    known = ", ".join(CAMERAS)
    raise UnsupportedError(f"camera {named[0]!r:.60}; known are {known}: give the one with the same addresses")


def _version3(content) -> Events:
    lines, start = _lines(content, b"#!END-HEADER")
    if lines[-1] != "#!END-HEADER":
        raise FileFormatError("its header does not end with '#!END-HEADER'")
    kinds = [line.split(":", 1)[1].strip() for line in lines if line.startswith("#Format:")]
    if kinds[:1] not in ([], ["RAW"]):
        raise UnsupportedError(f"its packets are stored as {kinds[0]!r:.30}; RAW is read, let DV convert it")
    parts, sources, count = [np.empty((0, 2), "<u4")], set(), 0
    overflows = [np.empty(0, np.int64)]
    for _ in range(MAX_PACKETS):
        if start == len(content):
            break
        kind, source, size, _, overflow, capacity, number, _ = _PACKET.unpack_from(content, start)
        start += _PACKET.size
        if min(size, capacity, overflow) < 0 or not 0 <= number <= capacity or start + size * capacity > len(content):
            raise FileFormatError(f"a packet of {capacity:,} events of {size:,} bytes reaches beyond the end")
        if kind == _POLARITY:
            if size != 8:
                raise FileFormatError(f"a polarity event of {size} bytes; they have 8")
            sources.add(source)
            count += number
            check_count(count)
            parts.append(np.frombuffer(content, "<u4", 2 * number, start).reshape(-1, 2))
            overflows.append(np.full(number, overflow, np.int64))
        start += size * capacity
    else:
        raise FileFormatError(f"more than {MAX_PACKETS:,} packets; cut the recording")
    if len(sources) > 1:
        raise FileFormatError(f"events of {len(sources)} cameras, {sorted(sources)[:8]}; split the file by source")
    events, high = np.concatenate(parts), np.concatenate(overflows) << 31
    valid = events[:, 0] & 1 == 1
    data, time = events[valid, 0], events[valid, 1].astype(np.int32)
    return checked(data >> 17 & 0x7FFF, data >> 2 & 0x7FFF, data >> 1 & 1, time + high[valid])
