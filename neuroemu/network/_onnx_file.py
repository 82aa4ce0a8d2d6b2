"""An ONNX file as plain Python values: nodes in an order that can be computed, constants, one input, one output.

Nothing of the file is trusted: sizes are checked before memory is taken, and external data must lie beside the file.
"""

from collections import defaultdict, deque
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path

import numpy as np

from ..errors import FileFormatError, MissingDependencyError, UnsupportedError
from ._build import MAX_FILE, MAX_ITEMS, one_line, read_bytes

OPSETS = (7, 22)
_FLOATS = {1: "float32", 10: "float16", 11: "float64"}
_CODES = {2: "uint8", 3: "int8"}
_INT_LISTS = ("strides", "pads", "dilations", "kernel_shape", "perm", "axes")
_INTS = (
    "group axis keepdims transA transB ceil_mode count_include_pad to allowzero training_mode spatial start end "
    "channels_last block_size"
).split()
_ATTRIBUTES = (
    dict.fromkeys(_INT_LISTS, (list,))
    | dict.fromkeys(_INTS, (int,))
    | dict.fromkeys(("alpha", "beta", "epsilon", "min", "max"), (float,))
    | dict.fromkeys(("auto_pad", "mode"), (bytes,))
)


@dataclass(frozen=True)
class Node:
    """One operator; `domain` is "" for ONNX's own."""

    name: str
    kind: str
    domain: str
    inputs: tuple[str, ...]  # "" for an optional input that is absent
    outputs: tuple[str, ...]
    attributes: dict

    def __str__(self):
        return f"node '{self.name or (self.outputs[0] if self.outputs else '')}' ({self.kind})"


@dataclass(frozen=True)
class Graph:
    """A file's main graph."""

    nodes: tuple[Node, ...]
    constants: dict[str, np.ndarray]
    input: str
    input_shape: tuple[int, ...]  # without the batch axis
    batch: int | None  # None: any
    output: str
    opset: int

    @cached_property
    def _readers(self) -> dict[str, list[Node]]:
        found = defaultdict(list)
        for node in self.nodes:
            for tensor in set(node.inputs):
                found[tensor].append(node)
        return dict(found)

    @cached_property
    def _writers(self) -> dict[str, str]:
        return {tensor: node.kind for node in self.nodes for tensor in node.outputs}

    def readers(self, tensor: str) -> list[Node]:
        """The nodes that read `tensor`."""
        return self._readers.get(tensor, [])

    def writer(self, tensor: str) -> str | None:
        """Kind of the node that writes `tensor`; None for the input and for constants."""
        return self._writers.get(tensor)


def load(path: Path) -> Graph:
    """The graph of an .onnx file.

    Raises
    ------
    FileFormatError
        Truncated, damaged, or not ONNX.
    UnsupportedError
        Operator set, number of inputs or outputs, or types that are not supported.
    MissingDependencyError
        Package `onnx` is not installed.
    """
    try:
        import onnx
    except ImportError:
        raise MissingDependencyError('reading .onnx files needs: pip install "neuroemu[onnx]"') from None
    model = onnx.ModelProto()
    try:
        model.ParseFromString(read_bytes(path))
    except Exception as error:  # protobuf's own DecodeError, whose class depends on its backend
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(f"damaged ONNX file: {one_line(error)}") from None
    if not model.graph.node or not model.opset_import:
        raise FileFormatError("not an ONNX file, or one without operators")
    if len(model.graph.node) > MAX_ITEMS or len(model.graph.initializer) > MAX_ITEMS:
        raise FileFormatError(f"{len(model.graph.node):,} operators; up to {MAX_ITEMS:,} are read")
    opset = _opset(model)
    constants = _constants(onnx, model.graph, path.parent)
    nodes = _ordered([_node(onnx, n, path.parent) for n in model.graph.node], constants, model.graph)
    name, shape, batch = _input(model.graph, constants)
    if len(model.graph.output) != 1:
        raise UnsupportedError(f"the file has {len(model.graph.output)} outputs; export a network with one output")
    return Graph(nodes, constants, name, shape, batch, model.graph.output[0].name, opset)


def _opset(model) -> int:
    versions = [o.version for o in model.opset_import if o.domain in ("", "ai.onnx")]
    if len(versions) != 1 or not OPSETS[0] <= versions[0] <= OPSETS[1]:
        raise UnsupportedError(f"operator set {versions}; export with an opset from {OPSETS[0]} to {OPSETS[1]}")
    return versions[0]


def _constants(onnx, graph, folder) -> dict[str, np.ndarray]:
    if len(graph.sparse_initializer):
        raise UnsupportedError("the file has sparse weights; export them dense")
    found, total = {}, 0
    for tensor in graph.initializer:
        found[tensor.name] = _array(onnx, tensor, folder)
        total += found[tensor.name].nbytes
        if total > MAX_FILE:
            raise FileFormatError(f"the file's constants take more than {MAX_FILE:,} bytes")
    return found


def _array(onnx, tensor, folder) -> np.ndarray:
    """A TensorProto as an array, its declared shape checked against the bytes that are there."""
    who = f"constant '{tensor.name}'"
    if any(n < 0 for n in tensor.dims) or prod(tensor.dims) > MAX_FILE:
        raise FileFormatError(
            f"{who}: shape {tuple(tensor.dims)}; sizes must be 0 or more, {MAX_FILE:,} values at most"
        )
    try:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            tensor.raw_data = _external(tensor, folder, who)
            tensor.data_location = onnx.TensorProto.DEFAULT
        array = onnx.numpy_helper.to_array(tensor)
    except FileFormatError:
        raise
    except Exception as error:  # to_array raises many types on damaged tensors
        raise FileFormatError(f"{who}: damaged: {one_line(error)}") from None
    if array.dtype.kind not in "biuf":
        raise UnsupportedError(f"{who}: type {array.dtype}; use float32, int8 or uint8")
    return array


def _external(tensor, folder, who) -> bytes:
    """Bytes of a tensor stored in a file of its own, which must lie in the model's folder."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    base = folder.resolve()
    path = (base / entries.get("location", "")).resolve()
    if not path.is_relative_to(base) or not path.is_file():
        raise FileFormatError(
            f"{who}: its data file {entries.get('location', '')!r} must lie in the folder of the .onnx file"
        )
    offset, size = int(entries.get("offset", 0)), path.stat().st_size
    length = int(entries.get("length", size - offset))
    if offset < 0 or length < 0 or offset + length > size or length > MAX_FILE:
        raise FileFormatError(f"{who}: bytes {offset} to {offset + length} of '{path.name}', which has {size}")
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(length)


def _node(onnx, node, folder) -> Node:
    attributes = {}
    for attribute in node.attribute:
        try:
            value = onnx.helper.get_attribute_value(attribute)
        except ValueError as error:
            raise FileFormatError(
                f"node '{node.name}': damaged attribute '{attribute.name}': {one_line(error)}"
            ) from None
        if type(value) not in _ATTRIBUTES.get(attribute.name, (type(value),)) or _mixed(attribute.name, value):
            raise FileFormatError(f"node '{node.name}': attribute '{attribute.name}' is {value!r:.60}")
        attributes[attribute.name] = _array(onnx, value, folder) if isinstance(value, onnx.TensorProto) else value
    domain = "" if node.domain == "ai.onnx" else node.domain
    return Node(node.name, node.op_type, domain, tuple(node.input), tuple(node.output), attributes)


def _mixed(name, value) -> bool:
    """Whether a list that should hold integers holds something else."""
    return name in _INT_LISTS and not all(isinstance(n, int) for n in value)


def _input(graph, constants):
    """(name, shape without batch, batch) of the only input that is not a constant."""
    inputs = [i for i in graph.input if i.name not in constants]
    if len(inputs) != 1:
        raise UnsupportedError(f"the file has {len(inputs)} inputs; export a network with one input")
    kind = inputs[0].type.tensor_type
    if kind.elem_type not in _FLOATS and kind.elem_type not in _CODES:
        raise UnsupportedError(f"input '{inputs[0].name}': element type {kind.elem_type}; export with a float32 input")
    dims = [d.dim_value if d.HasField("dim_value") else None for d in kind.shape.dim]
    if len(dims) < 2:
        raise UnsupportedError(f"input '{inputs[0].name}': shape {tuple(dims)}; export with a batch axis in front")
    if any(d is None or d < 1 for d in dims[1:]):
        raise UnsupportedError(f"input '{inputs[0].name}': shape {tuple(dims)}; only the batch axis may be left open")
    return inputs[0].name, tuple(dims[1:]), dims[0] if dims[0] is not None and dims[0] > 0 else None


def _ordered(nodes, constants, graph) -> tuple[Node, ...]:
    """The nodes such that each comes after those that write what it reads, whatever their order in the file."""
    writer = {}
    for index, node in enumerate(nodes):
        for output in filter(None, node.outputs):
            if output in writer or output in constants:
                raise FileFormatError(f"damaged ONNX file: two nodes write '{output}'")
            writer[output] = index
    given = set(constants) | {i.name for i in graph.input}
    followers, waits = [[] for _ in nodes], [0] * len(nodes)
    for index, node in enumerate(nodes):
        for tensor in {t for t in node.inputs if t and t not in given}:
            if tensor not in writer:
                raise FileFormatError(f"damaged ONNX file: {node} reads '{tensor}', which nothing writes")
            followers[writer[tensor]].append(index)
            waits[index] += 1
    ready, order = deque(i for i, n in enumerate(waits) if n == 0), []
    while ready:
        order.append(ready.popleft())
        for index in followers[order[-1]]:
            waits[index] -= 1
            if waits[index] == 0:
                ready.append(index)
    if len(order) != len(nodes):
        raise FileFormatError("damaged ONNX file: its nodes form a cycle")
    return tuple(nodes[i] for i in order)
