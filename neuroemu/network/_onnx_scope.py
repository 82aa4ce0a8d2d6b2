"""What the handlers of ONNX operators work on: names of the file bound to tensors of the network or to constants."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ..errors import FileFormatError, NeuroemuError, UnsupportedError
from ._build import NO_PADDING, Builder, Value
from ._onnx_file import Graph, Node
from ._onnx_fold import Constant
from .grids import Grid

Handler = Callable[["Scope", Node], Value | Constant]
HANDLERS: dict[tuple[str, str], Handler] = {}


def handles(*kinds: str, domain: str = "") -> Callable[[Handler], Handler]:
    """Register a function for operators of these kinds."""

    def register(function: Handler) -> Handler:
        HANDLERS.update({(domain, kind): function for kind in kinds})
        return function

    return register


class Scope:
    """Bindings while a graph is read; `build` collects the layers."""

    def __init__(self, graph: Graph, name: str):
        self.graph, self.opset = graph, graph.opset
        self.build = Builder(input_shape=graph.input_shape, name=name)
        self.values: dict[str, Value] = {graph.input: self.build.input}
        self.constants: dict[str, Constant] = {k: Constant(v) for k, v in graph.constants.items()}
        self.folded = 0  # bytes of constants computed while reading

    def value(self, node: Node, position: int = 0) -> Value:
        """The activation at an input position."""
        tensor = self.tensor(node, position)
        if tensor in self.constants:
            raise UnsupportedError(f"{node}: its input {position} '{tensor}' is a constant; fold it before reading")
        if tensor not in self.values:
            raise UnsupportedError(
                f"{node}: reads '{tensor}', a second output of an operator; only first outputs are supported"
            )
        return self.values[tensor]

    def image(self, node: Node, position: int = 0) -> Value:
        """The activation, which must be (C, H, W)."""
        value = self.value(node, position)
        if len(value.shape) != 3:
            raise UnsupportedError(
                f"{node}: input of shape {value.shape}; only images (C, H, W) are supported, reshape to those"
            )
        return value

    def tensor(self, node: Node, position: int) -> str:
        if position >= len(node.inputs) or not node.inputs[position]:
            raise FileFormatError(f"{node}: its input {position} is missing")
        return node.inputs[position]

    def constant(self, node: Node, position: int) -> Constant | None:
        """The constant at an input position; None when the input is absent."""
        if position >= len(node.inputs) or not node.inputs[position]:
            return None
        tensor = node.inputs[position]
        if tensor not in self.constants:
            raise UnsupportedError(
                f"{node}: its input {position} '{tensor}' must be a constant; freeze the model before export"
            )
        return self.constants[tensor]

    def need(self, node: Node, position: int) -> Constant:
        """The constant at an input position, which must be there."""
        self.tensor(node, position)
        return self.constant(node, position)

    def numbers(self, node: Node, position: int) -> list[int]:
        """A constant as a list of ints."""
        return [int(n) for n in np.atleast_1d(self.need(node, position).array).reshape(-1)]

    def fixed(self, node: Node) -> list[int]:
        """Input positions that are constants."""
        return [i for i, tensor in enumerate(node.inputs) if tensor in self.constants]

    def names(self, value: Value) -> set[str]:
        """What the file calls `value`; more than one name where operators pass it on unchanged."""
        return {tensor for tensor, other in self.values.items() if other.name == value.name}

    def add(self, node: Node, kind, inputs, *, grid: Grid | None = None, **fields) -> Value:
        """Append the layer that `node` stands for, named as the tensor it writes."""
        return self.build.add(kind, inputs, name=node.outputs[0], grid=grid, **fields)

    def grid(self, node: Node, scale_at: int, zero_at: int) -> Grid:
        """The grid of an activation from a scale and a zero point; uint8 codes are shifted by 128 to int8."""
        scale, zero = self.need(node, scale_at).array, self.constant(node, zero_at)
        if scale.size != 1:
            raise UnsupportedError(f"{node}: {scale.size} steps for an activation; quantize activations per tensor")
        dtype = np.dtype(np.uint8) if zero is None else zero.array.dtype
        if dtype not in (np.uint8, np.int8):
            raise UnsupportedError(f"{node}: codes of type {dtype}; quantize to int8 or uint8")
        point = (0 if zero is None else int(zero.array.reshape(-1)[0])) - (128 if dtype == np.uint8 else 0)
        return make_grid(node, float(scale.reshape(-1)[0]), point)


def make_grid(node: Node, scale, zero_point: int = 0, axis: int | None = None) -> Grid:
    """A Grid from a file's numbers; a bad one is the file's fault."""
    try:
        return Grid(scale, zero_point, axis=axis)
    except NeuroemuError as error:
        raise FileFormatError(f"{node}: {error}") from None


def bare(value: Value) -> Value:
    """`value` once the layer that reads it has taken over its padding."""
    return replace(value, padding=NO_PADDING)


def axis_of(node: Node, axis: int, rank: int) -> int:
    """An axis counted from the front, the batch axis being 0."""
    if not -rank <= axis < rank:
        raise FileFormatError(f"{node}: axis {axis} of a tensor with {rank} axes")
    return axis % rank
