"""Texts of variable length in an HDF5 file, read from its bytes.

The HDF5 library hangs, or takes gigabytes, where the heap that holds such texts or a text's length is damaged. So they
are looked up here instead, with every size checked. The layout is that of the HDF5 File Format Specification, version
3.0, sections III.E (global heap) and VIII.A (a text in a dataset: length, heap address, index in the heap).
"""

import struct
from pathlib import Path

from ..errors import FileFormatError, UnsupportedError

_ELEMENT = struct.Struct("<IQI")  # length, address, index
_HEAP = struct.Struct("<4sB3xQ")  # signature, version, size of the heap
_OBJECT = struct.Struct("<H6xQ")  # index, size; its bytes follow, padded to a multiple of 8
MAX_HEAP = 1 << 24  # bytes


class Texts:
    """The texts of one file."""

    def __init__(self, path: Path):
        self.path, self.size = path, path.stat().st_size
        self._heaps: dict[int, dict[int, bytes]] = {}
        start = self._read(0, 16)
        if start[13:15] != b"\x08\x08" if start[8] < 2 else start[9:11] != b"\x08\x08":
            raise UnsupportedError("its addresses have other than 8 bytes; write it with a current HDF5 library")

    def at(self, offset: int, count: int, longest: int) -> list[str]:
        """`count` texts whose lengths and addresses stand at `offset`."""
        found = []
        for length, address, index in _ELEMENT.iter_unpack(self._read(offset, count * _ELEMENT.size)):
            if length > longest:
                raise FileFormatError(f"a text of {length:,} characters; names have {longest:,} at most")
            stored = self._heap(address).get(index, b"") if length else b""
            if len(stored) < length:
                raise FileFormatError("a text is longer than what is stored")
            found.append(stored[:length].rstrip(b"\0").decode("utf-8"))
        return found

    def _heap(self, address: int) -> dict[int, bytes]:
        """The objects of the heap at an address."""
        if address in self._heaps:
            return self._heaps[address]
        signature, version, size = _HEAP.unpack(self._read(address, _HEAP.size))
        if signature != b"GCOL" or version != 1 or not _HEAP.size <= size <= MAX_HEAP or len(self._heaps) > 256:
            raise FileFormatError("a text lies in no heap")
        content, place, objects = self._read(address, size), _HEAP.size, {}
        while place + _OBJECT.size <= size:
            index, length = _OBJECT.unpack_from(content, place)
            place += _OBJECT.size
            if index == 0:  # what is left is free
                break
            objects[index] = content[place : place + length]
            place += -(-length // 8) * 8
        self._heaps[address] = objects
        return objects

    def _read(self, offset: int, count: int) -> bytes:
        if not 0 <= offset <= self.size - count:
            raise FileFormatError("an address lies beyond the end of the file")
        with self.path.open("rb") as file:
            file.seek(offset)
            return file.read(count)
