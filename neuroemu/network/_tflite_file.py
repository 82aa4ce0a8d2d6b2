"""A TFLite flatbuffer as plain Python values: tensors with their constants, and operators with their options.

Nothing of the file is trusted: every offset, index and length is checked before it is used. Schema: TensorFlow Lite's
schema.fbs, version 3, through the package `tflite`.
"""

import importlib
import struct
from dataclasses import dataclass
from math import prod

import numpy as np

from ..errors import FileFormatError, MissingDependencyError, NeuroemuError, UnsupportedError
from ._build import MAX_ITEMS, one_line

MAX_LENGTH = 1000  # axes of a shape, or inputs of an operator

_DTYPES = {
    "FLOAT32": "<f4",
    "FLOAT16": "<f2",
    "INT32": "<i4",
    "UINT8": "u1",
    "INT64": "<i8",
    "INT16": "<i2",
    "INT8": "i1",
}

_OPTIONS = {
    "CONV_2D": ("Conv2DOptions", "Padding StrideW StrideH DilationWFactor DilationHFactor FusedActivationFunction"),
    "DEPTHWISE_CONV_2D": (
        "DepthwiseConv2DOptions",
        "Padding StrideW StrideH DilationWFactor DilationHFactor FusedActivationFunction",
    ),
    "FULLY_CONNECTED": ("FullyConnectedOptions", "WeightsFormat KeepNumDims FusedActivationFunction"),
    "ADD": ("AddOptions", "FusedActivationFunction"),
    "SUB": ("SubOptions", "FusedActivationFunction"),
    "MUL": ("MulOptions", "FusedActivationFunction"),
    "AVERAGE_POOL_2D": ("Pool2DOptions", "Padding StrideW StrideH FilterWidth FilterHeight FusedActivationFunction"),
    "MAX_POOL_2D": ("Pool2DOptions", "Padding StrideW StrideH FilterWidth FilterHeight FusedActivationFunction"),
    "CONCATENATION": ("ConcatenationOptions", "Axis FusedActivationFunction"),
    "SOFTMAX": ("SoftmaxOptions", "Beta"),
    "MEAN": ("ReducerOptions", "KeepDims"),
}

# What the flatbuffers runtime and numpy raise on damaged offsets, lengths and tables.
_DAMAGE = (struct.error, ValueError, IndexError, TypeError, OverflowError, AttributeError, MemoryError)


@dataclass(frozen=True)
class Tensor:
    """One tensor of the file; `data` is its constant, or None."""

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str  # name in the schema, as INT8
    data: np.ndarray | None
    scale: np.ndarray | None
    zero_point: np.ndarray | None
    axis: int

    def __str__(self):
        return f"tensor {self.index} '{self.name[:60]}'"


@dataclass(frozen=True)
class Operator:
    """One operator of the file."""

    index: int
    kind: str
    inputs: tuple[int, ...]  # -1: an optional input that is absent
    outputs: tuple[int, ...]
    options: dict

    def __str__(self):
        return f"operator {self.index} ({self.kind})"


@dataclass(frozen=True)
class Graph:
    """The only subgraph of a file."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    input: int
    output: int


def parse(content: bytes) -> Graph:
    """The graph in the bytes of a .tflite file.

    Raises
    ------
    FileFormatError
        Truncated, damaged, or not TFLite.
    UnsupportedError
        More than one subgraph, input or output; custom operators; sparse or unusual types.
    MissingDependencyError
        Package `tflite` is not installed.
    """
    try:
        import tflite
    except ImportError:
        raise MissingDependencyError('reading .tflite files needs: pip install "neuroemu[tflite]"') from None
    if content[4:8] != b"TFL3":
        raise FileFormatError("not a TFLite file: bytes 4 to 8 are not 'TFL3'")
    try:
        return _graph(tflite, tflite.Model.GetRootAs(content, 0))
    except NeuroemuError:
        raise
    except _DAMAGE as error:
        raise FileFormatError(f"damaged TFLite file: {one_line(error)}") from None


def _graph(tflite, model) -> Graph:
    if model.SubgraphsLength() != 1:
        raise UnsupportedError(
            f"the file has {model.SubgraphsLength()} subgraphs; export a network without control flow"
        )
    graph = model.Subgraphs(0)
    for count in (graph.TensorsLength(), graph.OperatorsLength(), model.BuffersLength(), model.OperatorCodesLength()):
        if count > MAX_ITEMS:
            raise FileFormatError(f"damaged TFLite file: it declares {count:,} items, {MAX_ITEMS:,} at most are read")
    types = {number: name for name, number in vars(tflite.TensorType).items() if not name.startswith("_")}
    kinds = {number: name for name, number in vars(tflite.BuiltinOperator).items() if not name.startswith("_")}
    tensors = tuple(_tensor(model, graph.Tensors(i), i, types) for i in range(graph.TensorsLength()))
    operators = tuple(
        _operator(model, graph.Operators(i), i, kinds, len(tensors)) for i in range(graph.OperatorsLength())
    )
    ends = []
    for role, indices in (("input", _ints(graph.InputsAsNumpy())), ("output", _ints(graph.OutputsAsNumpy()))):
        if len(indices) != 1:
            raise UnsupportedError(
                f"the file has {len(indices)} {role}s; networks with one input and one output are read"
            )
        ends.append(_index(indices[0], len(tensors), f"graph {role}"))
    return Graph(tensors, operators, *ends)


def _tensor(model, tensor, index, types) -> Tensor:
    name = (tensor.Name() or b"")[:200].decode("utf-8", "replace")
    shape = _ints(tensor.ShapeAsNumpy())
    dtype = types.get(tensor.Type(), str(tensor.Type()))
    if any(n < 0 for n in shape):
        raise FileFormatError(f"damaged TFLite file: tensor {index} has shape {shape}")
    if tensor.Sparsity() is not None:
        raise UnsupportedError(f"tensor {index} '{name[:60]}' is stored sparse; convert the model without sparsity")
    raw = model.Buffers(_index(tensor.Buffer(), model.BuffersLength(), "buffer"))
    if raw.Size() or raw.Offset():
        raise UnsupportedError(
            f"tensor {index} '{name[:60]}' lies outside the flatbuffer; models above 2 GB are not read"
        )
    data = _constant(raw.DataAsNumpy(), shape, dtype, index)
    scale = zero = None
    axis = 0
    if (grid := tensor.Quantization()) is not None and grid.ScaleLength():
        scale, axis = np.asarray(grid.ScaleAsNumpy()), grid.QuantizedDimension()
        zero = (
            np.asarray(grid.ZeroPointAsNumpy()) if grid.ZeroPointLength() else np.broadcast_to(np.int64(0), scale.shape)
        )
        if zero.shape != scale.shape:
            raise FileFormatError(
                f"damaged TFLite file: tensor {index} has {scale.size} scales, {zero.size} zero points"
            )
    return Tensor(index, name, shape, dtype, data, scale, zero, axis)


def _constant(raw, shape, dtype, index):
    if isinstance(raw, int) or not raw.size:
        return None
    if dtype not in _DTYPES:
        return None  # refused only where an operator reads it
    wanted = prod(shape) * np.dtype(_DTYPES[dtype]).itemsize
    if raw.nbytes != wanted:
        raise FileFormatError(
            f"damaged TFLite file: tensor {index} {shape} needs {wanted:,} bytes, its buffer has {raw.nbytes:,}"
        )
    return raw.view(_DTYPES[dtype]).reshape(shape)


def _operator(model, operator, index, kinds, n_tensors) -> Operator:
    code = model.OperatorCodes(_index(operator.OpcodeIndex(), model.OperatorCodesLength(), "operator code"))
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())  # files before schema 3a use the second alone
    kind = kinds.get(number, f"operator code {number}")
    inputs = tuple(i if i == -1 else _index(i, n_tensors, "tensor") for i in _ints(operator.InputsAsNumpy()))
    outputs = tuple(_index(i, n_tensors, "tensor") for i in _ints(operator.OutputsAsNumpy()))
    return Operator(index, kind, inputs, outputs, _options(operator, kind, index))


def _options(operator, kind, index) -> dict:
    if kind not in _OPTIONS:
        return {}
    name, fields = _OPTIONS[kind]
    types = importlib.import_module("tflite.BuiltinOptions").BuiltinOptions
    table = operator.BuiltinOptions()
    if table is None or operator.BuiltinOptionsType() != getattr(types, name):
        raise FileFormatError(f"damaged TFLite file: operator {index} ({kind}) has no {name}")
    options = getattr(importlib.import_module(f"tflite.{name}"), name)()
    options.Init(table.Bytes, table.Pos)
    return {field: getattr(options, field)() for field in fields.split()}


def _ints(vector) -> tuple[int, ...]:
    """A vector of the schema; the generated code returns 0 for an absent one."""
    if isinstance(vector, int):
        return ()
    if vector.size > MAX_LENGTH:
        raise FileFormatError(f"damaged TFLite file: a shape or a list of inputs has {vector.size:,} entries")
    return tuple(int(v) for v in vector)


def _index(i, count, what) -> int:
    if not 0 <= i < count:
        raise FileFormatError(f"damaged TFLite file: {what} {i} of {count}")
    return int(i)
