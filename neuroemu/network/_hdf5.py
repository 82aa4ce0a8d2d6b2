"""HDF5 files of others, read with h5py: their own data alone, sizes checked before memory is taken."""

from contextlib import contextmanager

import numpy as np

from .._archive import DAMAGE
from ..errors import FileFormatError, MissingDependencyError, NeuroemuError, UnsupportedError
from ._build import MAX_FILE, MAX_ITEMS, one_line

SIGNATURE = b"\x89HDF\r\n\x1a\n"
MAX_DEPTH = 8  # groups in groups
MAX_NAME = 1000  # characters
_PACKING = 1100  # no filter that is read makes arrays smaller by more: deflate reaches 1032
_SMALL = 1 << 16  # bytes that may always be read
_FILTERS = {1, 2, 3, 32000}  # deflate, shuffle, checksum, lzf
_DAMAGE = (*DAMAGE, AssertionError)  # h5py, zipfile and json on damaged or hostile bytes


def h5py(kind: str, extra: str):
    """The library, or how to get it."""
    try:
        import h5py
    except ImportError:
        raise MissingDependencyError(f'{kind} files need: pip install "neuroemu[{extra}]"') from None
    return h5py


@contextmanager
def damage(kind: str):
    """Turns what h5py raises on damaged bytes into one clear error; `kind` is "a NIR file"."""
    try:
        yield
    except NeuroemuError:
        raise
    except _DAMAGE as error:
        raise FileFormatError(f"damaged or not {kind}: {one_line(error)}") from None


class Hdf5:
    """Walks through groups; `left` is how many bytes, `items` how many objects may still be read."""

    def __init__(self, library):
        self.library, self.left, self.items = library, MAX_FILE, MAX_ITEMS

    def child(self, group, name):
        """An object of this file; None if there is none of that name."""
        link = group.get(name, getlink=True)
        if link is None:
            return None
        if not isinstance(link, self.library.HardLink):
            raise FileFormatError(f"'{name:.40}' is a link to another place or file; only a file's own data are read")
        self.items -= 1
        if self.items < 0:
            raise FileFormatError(f"more than {MAX_ITEMS:,} groups and arrays")
        return group[name]

    def names(self, group) -> list[str]:
        """Names in a group, bounded."""
        if len(group) > self.items:
            raise FileFormatError(f"more than {MAX_ITEMS:,} groups and arrays")
        names = list(group)
        for name in names:
            if not isinstance(name, str) or len(name) > MAX_NAME or not name.isprintable():
                raise FileFormatError(f"a name of {len(name)} characters, {name!r:.40}; names are short printable text")
        return names

    def is_group(self, item) -> bool:
        return isinstance(item, self.library.Group)

    def check(self, data, where):
        """That an array lies in this file and has the size that it claims."""
        if not isinstance(data, self.library.Dataset) or data.shape is None:
            raise FileFormatError(f"{where} is not an array")
        if data.is_virtual or data.external:
            raise FileFormatError(f"{where} lies in another file; only a file's own data are read")
        plist = data.id.get_create_plist()
        unknown = {plist.get_filter(i)[0] for i in range(plist.get_nfilters())} - _FILTERS
        if unknown:
            raise UnsupportedError(f"{where} is packed by filter {min(unknown)}; write it with gzip")
        size = max(data.size, int(np.prod(data.chunks, dtype=object)) if data.chunks else 0) * data.dtype.itemsize
        if data.nbytes > _SMALL and data.nbytes > _PACKING * data.id.get_storage_size():
            raise FileFormatError(f"{where} claims {data.nbytes:,} bytes and stores {data.id.get_storage_size():,}")
        self.left -= size
        if self.left < 0:
            raise FileFormatError(f"{where} claims {size:,} bytes; all arrays together may take {MAX_FILE:,}")

    def numbers(self, data, where) -> np.ndarray | None:
        """An array of plain numbers; None if it holds something else."""
        self.check(data, where)
        return np.asarray(data[()]) if data.dtype.kind in "biuf" and data.dtype.itemsize <= 8 else None

    def arrays(self, group, where: str = "", depth: int = 0) -> dict[str, np.ndarray]:
        """All arrays of numbers in a group and those within it, by path."""
        if depth > MAX_DEPTH:
            raise FileFormatError(f"'{where:.40}': groups within groups, more than {MAX_DEPTH} deep")
        found = {}
        for name in self.names(group):
            item, path = self.child(group, name), f"{where}/{name}" if where else name
            if self.is_group(item):
                found |= self.arrays(item, path, depth + 1)
            elif isinstance(item, self.library.Dataset) and (array := self.numbers(item, f"'{path}'")) is not None:
                found[path] = array
        return found
