"""Reads NIR files, the Neuromorphic Intermediate Representation, into float networks with continuous neurons.

Several edges into one node mean the sum of what arrives, and become an Add. A loop from neurons through one Linear or
Affine back to the same neurons becomes their recurrent weight; other loops are refused. Metadata are not kept, and of
numbers in float64 only the neurons' parameters keep all digits. A file has no step in time and no method: both are
chosen in `run_spiking`.

The axes of size 1 that some exporters put before the shape of an Output are taken for time and batch.
"""

from collections import Counter
from pathlib import Path

import numpy as np

from ..errors import FileFormatError, NeuroemuError, UnsupportedError
from . import layers as L
from . import neurons as N
from ._build import Builder, Value, in_file
from ._nir_file import Graph, Node, load
from ._nir_layers import HANDLERS, matrix
from .graph import Network


def read_nir(path: str | Path, *, name: str | None = None) -> Network:
    """A network from a .nir file, to run with `run_spiking`.

    Parameters
    ----------
    path : path to the file
    name : str or None
        Name of the network; None: the file's name without its ending.

    Raises
    ------
    FileFormatError
        Truncated, damaged, or not NIR.
    UnsupportedError
        A node, a loop or a setting that is not supported; the message names it and a remedy.
    MissingDependencyError
        Package `h5py` is not installed.

    References
    ----------
    J. E. Pedersen et al., Nat. Commun. 15, 8122 (2024), doi:10.1038/s41467-024-52259-9.
    """
    path = Path(path)
    try:
        with np.errstate(all="ignore"):  # what is not finite is refused where it is used
            return _network(load(path), name or path.stem)
    except NeuroemuError as error:
        raise in_file(path, error) from None


def _network(graph: Graph, name: str) -> Network:
    sources = _sources(graph)
    first, last = (_only(graph, kind, sources) for kind in ("Input", "Output"))
    loops = _loops(graph, sources)
    build = Builder(input_shape=first.integers("shape"), name=name)
    values = {first.name: build.input}
    for node in _ordered(graph, sources, loops):
        if node is first:
            continue
        arriving = [values[source] for source in sources[node.name] if source not in loops]
        value = _sum(build, node, arriving)
        if node is last:
            _check_output(node, value)
            return build.finish(value, rounding="half_even")
        values[node.name] = _read(build, node, value, [graph.nodes[r] for r, n in loops.items() if n == node.name])
    raise FileFormatError(f"{last}: nothing leads from the input to it")


def _sources(graph: Graph) -> dict[str, list[str]]:
    """The nodes that each node reads."""
    sources: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for pair, times in Counter(graph.edges).items():
        if missing := [end for end in pair if end not in graph.nodes]:
            raise FileFormatError(f"an edge names '{missing[0]}', and there is no such node")
        if times > 1:
            raise FileFormatError(f"the edge from '{pair[0]}' to '{pair[1]}' stands {times} times")
        sources[pair[1]].append(pair[0])
    return sources


def _only(graph: Graph, kind: str, sources) -> Node:
    """The outermost Input or Output; inner graphs have theirs too, with edges at both ends."""
    fed = {name for found in sources.values() for name in found}
    ends = [n for n in graph.nodes.values() if n.kind == kind and not (n.name in fed and sources[n.name])]
    if len(ends) != 1:
        raise UnsupportedError(f"{len(ends)} {kind} nodes; a network has one, so join or split the graph")
    return ends[0]


def _loops(graph: Graph, sources) -> dict[str, str]:
    """Linear and Affine nodes that feed neurons back to themselves, with the name of the neurons."""
    readers: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for name, found in sources.items():
        for source in found:
            readers[source].append(name)
    loops = {}
    for node in graph.nodes.values():
        around = sources[node.name] == readers[node.name] and len(sources[node.name]) == 1
        if node.kind in ("Linear", "Affine") and around and graph.nodes[sources[node.name][0]].kind in N.KINDS:
            loops[node.name] = sources[node.name][0]
    return loops


def _ordered(graph: Graph, sources, loops) -> list[Node]:
    """Every node after those that it reads, loops left out."""
    missing = {name: sum(s not in loops for s in found) for name, found in sources.items() if name not in loops}
    readers: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for name in missing:
        for source in sources[name]:
            readers[source].append(name)
    ready = [name for name, n in missing.items() if n == 0]
    ordered = []
    while ready:
        name = ready.pop()
        ordered.append(name)
        for reader in readers[name]:
            missing[reader] -= 1
            if not missing[reader]:
                ready.append(reader)
    if len(ordered) < len(missing):
        stuck = sorted(set(missing) - set(ordered))
        raise UnsupportedError(
            f"a loop passes through or before {', '.join(stuck[:6])}; only neurons fed back to themselves through one "
            "Linear or Affine are supported: cut the loop, or unite its neurons in one node"
        )
    return [graph.nodes[name] for name in ordered]


def _sum(build: Builder, node: Node, arriving: list[Value]) -> Value:
    """What a node reads: the sum over its edges."""
    if not arriving:
        raise FileFormatError(f"{node}: nothing leads to it; the file needs an Input node before it")
    total = arriving[0]
    for value in arriving[1:]:
        total = build.add(L.Add, [total, value], name=f"{node.name}.sum")
    return total


def _read(build: Builder, node: Node, value: Value, loops: list[Node]) -> Value:
    if node.kind in ("Input", "Output"):  # of an inner graph
        return value
    handler = HANDLERS.get(node.kind)
    if handler is None:
        raise UnsupportedError(f"{node}: not supported; replace it by one of {', '.join(sorted(HANDLERS))}")
    if not loops:
        return handler(build, node, value)
    if len(loops) > 1:
        raise UnsupportedError(f"{node}: fed back through {len(loops)} nodes; add their weights up in one")
    given = {f"recurrent_{field}": array for field, array in matrix(loops[0]).items()}
    usual = N.recurrent_name(node.name) == loops[0].name
    return handler(build, node, value, recurrent_name=None if usual else loops[0].name, **given)


def _check_output(node: Node, value: Value):
    shape = node.integers("shape")
    bare = shape[next((i for i, n in enumerate(shape) if n != 1), len(shape)) :]
    if bare != value.shape[len(value.shape) - len(bare) :] or np.prod(value.shape) != np.prod(shape):
        raise FileFormatError(f"{node}: it says shape {shape}, what arrives has {value.shape}")
