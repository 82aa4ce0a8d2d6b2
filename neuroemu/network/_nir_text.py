"""Texts of variable length in a NIR file, looked up in its heaps (`_hdf5_heap`)."""

from pathlib import Path

from ..errors import FileFormatError
from ._hdf5_heap import ELEMENT, Heaps


class Texts:
    """The texts of one file."""

    def __init__(self, path: Path):
        self._heaps = Heaps(path)

    def at(self, offset: int, count: int, longest: int) -> list[str]:
        """`count` texts whose lengths and addresses stand at `offset`."""
        found = []
        for length, address, index in ELEMENT.iter_unpack(self._heaps.read(offset, count * ELEMENT.size)):
            if length > longest:
                raise FileFormatError(f"a text of {length:,} characters; names have {longest:,} at most")
            found.append(self._heaps.value(address, index, length).rstrip(b"\0").decode("utf-8"))
        return found
