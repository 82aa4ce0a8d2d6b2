"""A NIR file as plain Python values: nodes with their fields, and edges. It is HDF5, read with h5py.

Nothing of the file is trusted: only plain numbers and short texts are read, from this file alone (no links to others),
and sizes are checked before memory is taken. The structure of groups and arrays is read by the HDF5 library.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import FileFormatError, UnsupportedError
from ._build import MAX_FILE, MAX_ITEMS
from ._hdf5 import MAX_DEPTH, MAX_NAME, SIGNATURE, Hdf5, damage, h5py
from ._nir_text import Texts

_METADATA = "metadata"  # free text and numbers of the file's maker


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


def load(path: Path) -> Graph:
    """The graph of a .nir file.

    Raises
    ------
    FileFormatError, UnsupportedError, MissingDependencyError
    """
    library = h5py(".nir", "nir")
    with damage("a NIR file"):
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


class _Reader(Hdf5):
    """Walks through the groups of a graph."""

    def __init__(self, library, texts: Texts):
        super().__init__(library)
        self.texts = texts

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

    def value(self, group, field, node) -> np.ndarray | str:
        """Numbers or a text."""
        where = f"node '{node}': {field}"
        data = self.child(group, field)
        if data is None:
            raise FileFormatError(f"{where} is missing")
        if (numbers := self.numbers(data, where)) is not None:
            return numbers
        if data.shape == ():
            return self.text(data, where)[0]
        raise FileFormatError(f"{where} is {data.dtype} of shape {data.shape}; only numbers and one text are read")

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
