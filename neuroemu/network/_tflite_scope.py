"""What the handlers of TFLite operators work on: tensors of the file bound to tensors of the network.

TFLite's images are (H, W, C), the network's are (C, H, W); `_orders` turns them where it is needed.
"""

from collections import Counter
from dataclasses import replace

import numpy as np

from ..errors import FileFormatError, NeuroemuError, UnsupportedError
from . import layers as L
from ._build import Builder, Value
from ._orders import Orders
from ._tflite_file import Graph, Operator, Tensor
from .grids import Grid

_ACTIVATIONS = {0: None, 1: (0.0, np.inf), 2: (-1.0, 1.0), 3: (0.0, 6.0)}  # none, RELU, RELU_N1_TO_1, RELU6


class Reader:
    """Walks through the operators; `values` maps a tensor's index to what the network calls it."""

    def __init__(self, graph: Graph, name: str):
        self.graph, self.tensors = graph, graph.tensors
        first = self.tensors[graph.input]
        if len(first.shape) < 2:
            raise UnsupportedError(
                f"input {first}: shape {first.shape} has no batch axis; export with a batch axis in front"
            )
        self.batch = first.shape[0]
        self.build = Builder(input_shape=first.shape[1:], name=name, image_last=True)
        self.values = {graph.input: self.build.input}
        self.constants = {t.index: t for t in self.tensors if t.data is not None}
        self._count = Counter()
        self.orders = Orders(self.build)
        if (grid := self.grid(first)) is not None:
            self.build.set_grid(self.build.input, grid, name="input")

    # -- tensors ------------------------------------------------------------------------------------------------

    def value(self, index: int, who) -> Value:
        """The activation `index`."""
        if index not in self.values:
            kind = "a constant" if index in self.constants else "not written by an earlier operator"
            raise FileFormatError(f"{who}: {self.tensors[index] if index >= 0 else 'an input'} is {kind}")
        return self.values[index]

    def constant(self, op: Operator, position: int) -> Tensor | None:
        """The constant at an input position, None when it is absent."""
        index = op.inputs[position] if position < len(op.inputs) else -1
        if index == -1:
            return None
        if index not in self.constants:
            raise UnsupportedError(
                f"{op}: {self.tensors[index]} must be a constant; freeze the model before converting"
            )
        return self.constants[index]

    def need(self, op: Operator, position: int) -> np.ndarray:
        """Values of a constant that must be there, as integers."""
        tensor = self.constant(op, position)
        if tensor is None:
            raise FileFormatError(f"{op}: its input {position} is missing")
        return tensor.data.astype(np.int64)

    def source(self, op: Operator, position: int = 0) -> Value:
        if position >= len(op.inputs):
            raise FileFormatError(f"{op}: its input {position} is missing")
        return self.value(op.inputs[position], op)

    def target(self, op: Operator) -> Tensor:
        if len(op.outputs) != 1:
            raise FileFormatError(f"{op}: it writes {len(op.outputs)} tensors; it should write one")
        return self.tensors[op.outputs[0]]

    def grid(self, tensor: Tensor) -> Grid | None:
        """Grid of an activation; uint8 codes are shifted by 128 to int8."""
        if tensor.dtype == "FLOAT32":
            return None
        if tensor.dtype not in ("INT8", "UINT8") or tensor.scale is None:
            raise UnsupportedError(f"{tensor}: type {tensor.dtype}; float32 and quantized int8 activations are read")
        if tensor.scale.size != 1:
            raise UnsupportedError(f"{tensor}: {tensor.scale.size} steps; activations need one step per tensor")
        shift = 128 if tensor.dtype == "UINT8" else 0
        return make_grid(tensor.scale[0], int(tensor.zero_point[0]) - shift, tensor)

    # -- orders of axes -----------------------------------------------------------------------------------------

    def image(self, value: Value) -> Value:
        """`value` in the network's own order, (C, H, W)."""
        return self.orders.image(value)

    def file_order(self, value: Value) -> Value:
        """`value` in the file's order, (H, W, C) when it has three axes."""
        return self.orders.file_order(value)

    # -- results ------------------------------------------------------------------------------------------------

    def write(self, op: Operator, kind, inputs, *, name: str, image_last=False, **fields) -> Value:
        """Append a layer for `op`, its fused activation behind it, and check the shape against the file's."""
        target = self.target(op)
        self._count[name] += 1
        name = f"{name}_{self._count[name]}"
        grid = self.grid(target)
        value = self.build.add(kind, inputs, name=name, grid=grid, **fields)
        if (limits := self.activation(op)) is not None:
            value = self.build.add(L.Clip, [value], name=f"{name}_relu", grid=grid, low=limits[0], high=limits[1])
        return self.define(op, replace(value, image_last=image_last))

    def define(self, op: Operator, value: Value) -> Value:
        """Bind `value` to the tensor that `op` writes."""
        target = self.target(op)
        shape = value.shape if value.image_last or len(value.shape) != 3 else (*value.shape[1:], value.shape[0])
        if target.shape and (self.batch, *shape) != target.shape:
            raise FileFormatError(f"{op}: computes shape {(self.batch, *shape)}, the file says {target.shape}")
        self.values[target.index] = value
        return value

    def activation(self, op: Operator):
        code = op.options.get("FusedActivationFunction", 0)
        if code not in _ACTIVATIONS:
            raise UnsupportedError(f"{op}: fused activation {code}; none, RELU, RELU6 and RELU_N1_TO_1 are supported")
        return _ACTIVATIONS[code]


def make_grid(scale, zero_point: int, who, axis: int | None = None) -> Grid:
    """A Grid from a file's numbers, with an error that names the tensor."""
    try:
        return Grid(np.asarray(scale, np.float64), zero_point, axis=axis)
    except NeuroemuError as error:
        raise FileFormatError(f"{who}: {error}") from None
