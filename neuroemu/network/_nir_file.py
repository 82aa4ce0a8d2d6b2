"""A NIR file as plain Python values: nodes with their fields, and edges. It is HDF5, read with h5py.

Nothing of the file is trusted: only plain numbers and short texts are read, from this file alone (no links to others),
and sizes are checked before memory is taken. The structure of groups and arrays is read by the HDF5 library.
"""

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import FileFormatError, MissingDependencyError, NeuroemuError, UnsupportedError
from ._build import MAX_FILE, MAX_ITEMS, one_line
from ._nir_text import Texts

SIGNATURE = b"\x89HDF\r\n\x1a\n"
MAX_DEPTH = 8  # graphs in graphs
MAX_NAME = 1000  # characters
_PACKING = 1100  # no filter that is read makes arrays smaller by more: deflate reaches 1032
_SMALL = 1 << 16  # bytes that may always be read
_FILTERS = {1, 2, 3, 32000}  # deflate, shuffle, checksum, lzf
_METADATA = "metadata"  # free text and numbers of the file's maker
# What h5py raises on damaged or hostile bytes.
_DAMAGE = (
    OSError, ValueError, TypeError, KeyError, IndexError, RuntimeError, AttributeError, NotImplementedError,
    OverflowError, MemoryError, RecursionError, AssertionError,
)  # fmt: skip


@dataclass(frozen=True)
class Node:
    """One node; `fields` are arrays, or text."""

    name: str
    kind: str
    fields: dict[str, np.ndarray | str]

    def __str__(self):
        return f"node '{self.name}' ({self.kind})"

    def need(self, field: str) -> np.ndarray | str:
        """A field that must be there."""
        if field not in self.fields:
            raise FileFormatError(f"{self}: it has no {field}")
        return self.fields[field]

    def array(self, field: str) -> np.ndarray:
        """A field that must be numbers."""
        value = self.need(field)
        if isinstance(value, str):
            raise FileFormatError(f"{self}: {field} is the text {value!r:.40}, not numbers")
        return value

    def integers(self, field: str, most: int | None = None) -> tuple[int, ...]:
        """A field of whole numbers, at most `most` of them."""
        values = self.array(field).reshape(-1)
        if len(values) > (8 if most is None else most) or (values != np.rint(values)).any():
            raise FileFormatError(f"{self}: {field} is {values[:4]}, {len(values)} values; it needs few whole numbers")
        return tuple(int(v) for v in values)


@dataclass(frozen=True)
class Graph:
    """The graph of a file, graphs within it flattened: node "n" of graph "g" is called "g.n"."""

    nodes: dict[str, Node]
    edges: tuple[tuple[str, str], ...]


def h5py():
    """The library, or how to get it."""
    try:
        import h5py
    except ImportError:
        raise MissingDependencyError('.nir files need: pip install "neuroemu[nir]"') from None
    return h5py


def load(path: Path) -> Graph:
    """The graph of a .nir file.

    Raises
    ------
    FileFormatError, UnsupportedError, MissingDependencyError
    """
    library = h5py()
    with _damage():
        if path.stat().st_size > MAX_FILE:
            raise FileFormatError(f"{path.stat().st_size:,} bytes; files up to {MAX_FILE:,} bytes are read")
        with path.open("rb") as file:
            if file.read(len(SIGNATURE)) != SIGNATURE:
                raise FileFormatError("not a NIR file, which is HDF5 and starts with its signature")
        texts = Texts(path)
        with library.File(path, "r") as file:
            reader = _Reader(library, texts)
            root = reader.child(file, "node")
            if not isinstance(root, library.Group):
                raise FileFormatError("not a NIR file: it has no group 'node'")
            nodes, edges = reader.graph(root, "", 0)
            return Graph(nodes, tuple(edges))


@contextmanager
def _damage():
    try:
        yield
    except NeuroemuError:
        raise
    except _DAMAGE as error:
        raise FileFormatError(f"damaged or not a NIR file: {one_line(error)}") from None


class _Reader:
    """Walks through the groups; `left` is how many bytes, `items` how many objects may still be read."""

    def __init__(self, library, texts: Texts):
        self.library, self.texts, self.left, self.items = library, texts, MAX_FILE, MAX_ITEMS

    def child(self, group, name):
        """An object of this file; None if there is none of that name."""
        link = group.get(name, getlink=True)
        if link is None:
            return None
        if not isinstance(link, self.library.HardLink):
            raise FileFormatError(f"'{name:.40}' is a link to another place or file; only a file's own data are read")
        self.items -= 1
        if self.items < 0:
            raise FileFormatError(f"more than {MAX_ITEMS:,} nodes and fields")
        return group[name]

    def graph(self, group, prefix: str, depth: int):
        """Nodes and edges, those of inner graphs included."""
        if depth > MAX_DEPTH:
            raise FileFormatError(f"graphs within graphs, more than {MAX_DEPTH} deep")
        inner, edges = self.child(group, "nodes"), self.edges(group, prefix)
        if not isinstance(inner, self.library.Group):
            raise FileFormatError("it has no group 'nodes'; a NIR file holds a NIRGraph")
        nodes: dict[str, Node] = {}
        for name in self.names(inner):
            item, whole = self.child(inner, name), prefix + name
            if not isinstance(item, self.library.Group):
                raise FileFormatError(f"'{whole}' is not a node")
            kind = self.value(item, "type", whole)
            if not isinstance(kind, str):
                raise FileFormatError(f"'{whole}' has no type")
            if kind == "NIRGraph":
                found, more = self.graph(item, f"{whole}.", depth + 1)
                edges = _spliced(whole, found, edges)
                edges += more
            else:
                found = {whole: self.node(item, whole, kind)}
            if repeated := set(found) & set(nodes):
                raise FileFormatError(f"two nodes are called {sorted(repeated)[0]!r:.60}")
            nodes.update(found)
        return nodes, edges

    def node(self, group, name, kind) -> Node:
        skipped = ("type", _METADATA)
        return Node(name, kind, {f: self.value(group, f, name) for f in self.names(group) if f not in skipped})

    def names(self, group) -> list[str]:
        """Names in a group, bounded."""
        if len(group) > self.items:
            raise FileFormatError(f"more than {MAX_ITEMS:,} nodes and fields")
        names = list(group)
        for name in names:
            if not isinstance(name, str) or len(name) > MAX_NAME or not name.isprintable():
                raise FileFormatError(f"a name of {len(name)} characters, {name!r:.40}; names are short printable text")
        return names

    def value(self, group, field, node) -> np.ndarray | str:
        """Numbers or a text."""
        where = f"node '{node}': {field}"
        data = self.child(group, field)
        if data is None:
            raise FileFormatError(f"{where} is missing")
        self.check(data, where)
        if data.dtype.kind in "biuf" and data.dtype.itemsize <= 8:
            return np.asarray(data[()])
        if data.shape == ():
            return self.text(data, where)[0]
        raise FileFormatError(f"{where} is {data.dtype} of shape {data.shape}; only numbers and one text are read")

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

    def edges(self, group, prefix) -> list[tuple[str, str]]:
        """Pairs of names."""
        data = self.child(group, "edges")
        self.check(data, "edges")
        if data.size == 0:
            return []
        if len(data.shape) != 2 or data.shape[1] != 2 or len(data) > MAX_ITEMS:
            raise FileFormatError(f"edges have shape {data.shape}; a NIR file holds pairs, {MAX_ITEMS:,} at most")
        names = [prefix + name for name in self.text(data, "edges")]
        return list(zip(names[::2], names[1::2], strict=True))

    def text(self, data, where) -> list[str]:
        """The texts of a small dataset, in order."""
        kind = self.library.check_string_dtype(data.dtype)
        if kind is None:
            raise FileFormatError(f"{where} holds {data.dtype}; only numbers and text are read")
        if kind.length is not None:
            if kind.length > 4 * MAX_NAME:
                raise FileFormatError(f"{where} holds texts of {kind.length:,} characters; names are short")
            texts = [value.decode("utf-8") for value in np.asarray(data[()]).reshape(-1).tolist()]
        elif (offset := data.id.get_offset()) is not None:
            texts = self.texts.at(offset, data.size, 4 * MAX_NAME)
        else:
            raise UnsupportedError(f"{where} is stored in pieces; write texts without compression")
        for text in texts:
            if len(text) > MAX_NAME or not text.isprintable():
                raise FileFormatError(f"{where} is {text!r:.40}; a short printable text is needed")
        return texts


def _spliced(name, inner: dict[str, Node], edges) -> list[tuple[str, str]]:
    """Edges to and from the graph `name` as edges to its own Input and from its own Output."""
    ends = {}
    for kind in ("Input", "Output"):
        found = [n.name for n in inner.values() if n.kind == kind and n.name.count(".") == name.count(".") + 1]
        if len(found) != 1:
            raise UnsupportedError(f"graph '{name}' has {len(found)} {kind} nodes; give inner graphs one of each")
        ends[kind] = found[0]
    return [(ends["Output"] if a == name else a, ends["Input"] if b == name else b) for a, b in edges]
