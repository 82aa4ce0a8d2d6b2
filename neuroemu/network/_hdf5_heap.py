"""Values of variable length in an HDF5 file, read from its bytes.

The HDF5 library hangs, or takes gigabytes, where the heap that holds such values or a value's length is damaged. So
they are looked up here instead, with every size checked. The layout is that of the HDF5 File Format Specification,
version 3.0, sections III.E (global heap) and VIII.A (a value in a dataset: length, heap address, index in the heap).
"""

import struct
from pathlib import Path

from ..errors import FileFormatError, UnsupportedError

ELEMENT = struct.Struct("<IQI")  # length, address, index
_HEAP = struct.Struct("<4sB3xQ")  # signature, version, size of the heap
_OBJECT = struct.Struct("<H6xQ")  # index, size; its bytes follow, padded to a multiple of 8
MAX_HEAP = 1 << 24  # bytes
_KEPT = 256  # heaps


class Heaps:
    """The values of one file; `left` is how many bytes of heaps may still be read."""

    def __init__(self, path: Path):
        self.path, self.size = path, path.stat().st_size
        self.left = 8 * self.size + MAX_HEAP
        self._heaps: dict[int, dict[int, memoryview]] = {}
        self._kept = 0
        start = self.read(0, 16)
        if start[13:15] != b"\x08\x08" if start[8] < 2 else start[9:11] != b"\x08\x08":
            raise UnsupportedError("its addresses have other than 8 bytes; write it with a current HDF5 library")

    def value(self, address: int, index: int, size: int) -> bytes:
        """The `size` bytes of an object in the heap at an address."""
        stored = self._heap(address).get(index, b"") if size else b""
        if len(stored) < size:
            raise FileFormatError("a value is longer than what is stored")
        return bytes(stored[:size])

    def _heap(self, address: int) -> dict[int, memoryview]:
        """The objects of the heap at an address."""
        if address in self._heaps:
            return self._heaps[address]
        signature, version, size = _HEAP.unpack(self.read(address, _HEAP.size))
        if signature != b"GCOL" or version != 1 or not _HEAP.size <= size <= MAX_HEAP:
            raise FileFormatError("a value lies in no heap")
        self.left -= size
        if self.left < 0:
            raise FileFormatError("its values jump between heaps; the file is damaged")
        content, place, objects = memoryview(self.read(address, size)), _HEAP.size, {}
        while place + _OBJECT.size <= size:
            index, length = _OBJECT.unpack_from(content, place)
            place += _OBJECT.size
            if index == 0:  # what is left is free
                break
            objects[index] = content[place : place + length]
            place += -(-length // 8) * 8
        if len(self._heaps) >= _KEPT or self._kept + size > MAX_HEAP:
            self._heaps.clear()
            self._kept = 0
        self._heaps[address], self._kept = objects, self._kept + size
        return objects

    def read(self, offset: int, count: int) -> bytes:
        """Bytes of the file."""
        if not 0 <= offset <= self.size - count:
            raise FileFormatError("an address lies beyond the end of the file")
        with self.path.open("rb") as file:
            file.seek(offset)
            return file.read(count)
