"""What the translation of a PyTorch Program works on: operations of torch in, nodes in ONNX's terms out.

The handlers of ONNX operators then make layers of the nodes, grids and rounding included, so that both readers follow
the same rules. A node knows the layer of the module that it stems from, and errors name that.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import UnsupportedError
from ._onnx_file import Graph, Node
from ._torch_program import Call, Program, Ref

Handler = Callable[["Translation", Call], None]
CALLS: dict[str, Handler] = {}
OPSET = 18  # the terms of ONNX that the nodes are written in
_FULL = ((0, 255), (-128, 127))


def reads(*kinds: str) -> Callable[[Handler], Handler]:
    """Register a function for operations of these kinds."""

    def register(function: Handler) -> Handler:
        CALLS.update(dict.fromkeys(kinds, function))
        return function

    return register


@dataclass(frozen=True)
class LayerNode(Node):
    """A node that stems from a layer of a module."""

    source: str = ""

    def __str__(self):
        return self.source


@dataclass(frozen=True)
class Codes:
    """A grid as torch gives it: real = scale * (code - zero_point), codes from low to high."""

    scale: float
    zero_point: int
    low: int
    high: int


class Translation:
    """Nodes and constants of the graph under construction, and the shape of each tensor."""

    def __init__(self, program: Program):
        self.program = program
        self.constants = dict(program.constants)
        self.shapes = {program.input: program.input_shape} | {k: v.shape for k, v in program.constants.items()}
        self.nodes: list[Node] = []
        self.codes: dict[str, Codes] = {}  # in eager mode: the grid that a tensor of codes is on
        self.alias: dict[str, str] = {}  # tensors that are read as another, once they are on their grid
        self._count = 0

    @property
    def batch(self) -> int:
        """The batch size of the example input."""
        return self.program.input_shape[0]

    def graph(self) -> Graph:
        """The finished graph."""
        program = self.program
        return Graph(
            nodes=tuple(self.nodes),
            constants=self.constants,
            input=program.input,
            input_shape=tuple(program.input_shape[1:]),
            batch=self.batch,
            output=self.alias.get(program.output, program.output),
            opset=OPSET,
        )

    def emit(self, call: Call, kind: str, inputs, *, output: str | None = None, **attributes) -> str:
        """Append a node; the name of the tensor that it writes, which is the call's unless another is given."""
        output = call.name if output is None else output
        inputs = tuple(self.alias.get(i, i) if i else "" for i in inputs)
        self.nodes.append(LayerNode(output, kind, "", inputs, (output,), attributes, source=str(call)))
        self.shapes.setdefault(output, call.shape)
        return output

    def constant(self, value, dtype=np.float32) -> str:
        """A new constant."""
        self._count += 1
        name = f"constant {self._count}"
        self.constants[name] = np.asarray(value, dtype)
        self.shapes[name] = self.constants[name].shape
        return name

    def inner(self, call: Call, part: str) -> str:
        """A name for a tensor on the way to a call's result."""
        return f"{call.name}.{part}"

    def tensor(self, call: Call, argument: str = "input") -> str:
        """Name of the tensor given as an argument, which must be there."""
        for name in (argument, "self"):
            if (found := call.ref(name)) is not None:
                return found
        raise UnsupportedError(f"{call}: its argument {argument} is no tensor; only plain operations are supported")

    def operand(self, call: Call, argument: str) -> str:
        """A tensor, or a number made a constant."""
        value = call.arguments.get(argument)
        if isinstance(value, Ref):
            return value.name
        if isinstance(value, int | float):
            return self.constant(value)
        raise UnsupportedError(f"{call}: its argument {argument} is {value!r:.40}; a tensor or a number is needed")

    def number(self, call: Call, argument: str) -> float:
        """A number, or the value of a constant of one element."""
        value = call.arguments.get(argument)
        if isinstance(value, Ref):
            value = self.constants.get(value.name)
            if value is not None and value.size == 1:
                return value.reshape(-1)[0].item()
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value
        raise UnsupportedError(f"{call}: its {argument} is not one number; quantize activations per tensor")

    def integers(self, call: Call, argument: str, count: int) -> tuple[int, ...]:
        """`count` whole numbers; one stands for all."""
        value = call.arguments.get(argument)
        value = value if isinstance(value, list) else [value]
        value = value * count if len(value) == 1 else value
        if len(value) != count or not all(isinstance(n, int) for n in value):
            raise UnsupportedError(
                f"{call}: its {argument} is {call.arguments.get(argument)!r:.40}; give {count} numbers"
            )
        return tuple(value)

    def on_grid(self, call: Call, source: str, output: str, codes: Codes) -> str:
        """Rounding to a grid and back: a QuantizeLinear and a DequantizeLinear."""
        rounded = self.quantized(call, source, f"{output}.codes", codes)
        scale, zero = self._steps(codes)
        return self.emit(call, "DequantizeLinear", (rounded, scale, zero), output=output)

    def quantized(self, call: Call, source: str, output: str, codes: Codes) -> str:
        """Rounding to a grid. A range narrower than 8 bits is a Clip at its ends, which commutes with rounding."""
        scale, zero = self._steps(codes)
        if (codes.low, codes.high) not in _FULL and source not in self.program.constants:
            source = self._clipped(call, source, f"{output}.range", codes)
        return self.emit(call, "QuantizeLinear", (source, scale, zero), output=output)

    def _clipped(self, call: Call, source: str, output: str, codes: Codes) -> str:
        ends = [(end - codes.zero_point) * codes.scale for end in (codes.low, codes.high)]
        full = _FULL[0] if codes.low >= 0 else _FULL[1]
        low = self.constant(ends[0], np.float64) if codes.low > full[0] else ""
        high = self.constant(ends[1], np.float64) if codes.high < full[1] else ""
        return self.emit(call, "Clip", (source, low, high), output=output)

    def _steps(self, codes: Codes) -> tuple[str, str]:
        return self.constant(codes.scale, np.float64), self.constant(codes.zero_point, _dtype(codes))


def _dtype(codes: Codes):
    return np.uint8 if codes.low >= 0 else np.int8


def codes_of(call: Call, scale: float, zero_point: float, low, high) -> Codes:
    """A grid from a call's numbers, 8 bits at most."""
    if not isinstance(low, int) or not isinstance(high, int) or not low < high or zero_point != int(zero_point):
        raise UnsupportedError(f"{call}: codes {low} to {high}, zero point {zero_point}; whole numbers are needed")
    limits = np.iinfo(np.uint8 if low >= 0 else np.int8)
    if low < limits.min or high > limits.max or not limits.min <= zero_point <= limits.max:
        raise UnsupportedError(
            f"{call}: codes {low} to {high}, zero point {int(zero_point)}; quantize activations to int8 or uint8"
        )
    return Codes(float(scale), int(zero_point), low, high)
