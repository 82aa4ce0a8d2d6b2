"""Handlers of ONNX's quantized operators, in both forms: QuantizeLinear / DequantizeLinear pairs around float operators
("QDQ"), and operators on codes ("QOperator", partly from Microsoft's domain).

A tensor of codes and the real tensor it stands for are one tensor of the network, with a grid.
"""

import numpy as np

from ..errors import FileFormatError, UnsupportedError
from . import layers as L
from ._build import Value
from ._onnx_file import Node
from ._onnx_fold import Constant
from ._onnx_layers import average_pool, conv_fields, dense, global_average_pool
from ._onnx_scope import Scope, bare, handles
from ._onnx_shapes import concat
from ._onnx_weights import kernel

_MICROSOFT = "com.microsoft"
_LINEAR = ("QuantizeLinear", "DequantizeLinear")
_PASSING = ("QuantizeLinear", "Shape", "Identity", "Dropout", "Cast")


@handles("QuantizeLinear")
@handles("QuantizeLinear", domain=_MICROSOFT)
def quantize(scope: Scope, node: Node) -> Value | Constant:
    if scope.fixed(node)[:1] == [0]:
        return _quantized_constant(scope, node)
    value = scope.value(node)
    real = {t for t in scope.names(value) if scope.graph.writer(t) not in _LINEAR}
    others = [n for t in real for n in scope.graph.readers(t) if n.kind not in _PASSING]
    if others or scope.graph.output in real:
        reader = others[0] if others else "the graph's output"
        raise UnsupportedError(
            f"{node}: '{value.name}' is also read unquantized, by {reader}; quantize the whole network"
        )
    return scope.build.set_grid(value, scope.grid(node, 1, 2), name=f"{node.outputs[0]}_requantized")


@handles("DequantizeLinear")
@handles("DequantizeLinear", domain=_MICROSOFT)
def dequantize(scope: Scope, node: Node) -> Value | Constant:
    if scope.fixed(node)[:1] == [0]:
        return _dequantized_constant(scope, node)
    value, grid = scope.value(node), scope.grid(node, 1, 2)
    if value.name not in scope.build.grids:  # an operator on codes that keeps them, or the input itself
        return scope.build.set_grid(value, grid, name=node.outputs[0])
    if scope.build.grids[value.name] != grid:
        raise UnsupportedError(f"{node}: codes of '{value.name}' are read on another grid than they were written on")
    return value


def _steps(scope: Scope, node: Node, array: np.ndarray):
    """(scale, zero point, axis or None) of a constant, shaped to broadcast over it."""
    scale, zero = scope.need(node, 1).array, scope.constant(node, 2)
    point = np.zeros(scale.shape, array.dtype if array.dtype.kind in "iu" else np.uint8) if zero is None else zero.array
    if node.attributes.get("block_size", 0):
        raise UnsupportedError(f"{node}: blocked quantization; quantize per tensor or per channel")
    if scale.size == 1:
        return scale.reshape(()), point.reshape(-1)[:1].reshape(()), None
    axis = int(node.attributes.get("axis", 1))
    axis += array.ndim if axis < 0 else 0
    if scale.ndim != 1 or not 0 <= axis < array.ndim or array.shape[axis] != scale.size or point.shape != scale.shape:
        raise FileFormatError(f"{node}: {scale.shape} steps along axis {axis} of {array.shape}")
    shape = [1] * array.ndim
    shape[axis] = -1
    return scale.reshape(shape), point.reshape(shape), axis


def _quantized_constant(scope: Scope, node: Node) -> Constant:
    array = np.asarray(scope.need(node, 0).array, np.float32)
    scale, zero, _ = _steps(scope, node, array)
    limits = np.iinfo(zero.dtype)
    codes = np.rint(array / scale.astype(np.float32)) + zero.astype(np.float64)
    return Constant(np.clip(codes, limits.min, limits.max).astype(zero.dtype))


def _dequantized_constant(scope: Scope, node: Node) -> Constant:
    return _with_grid(scope, node, scope.need(node, 0).array)


def _with_grid(scope: Scope, node: Node, codes: np.ndarray) -> Constant:
    if codes.dtype not in (np.int8, np.uint8, np.int32):
        raise UnsupportedError(f"{node}: constants of type {codes.dtype}; quantize to int8 or uint8")
    scale, zero, axis = _steps(scope, node, codes)
    real = (codes.astype(np.float64) - zero.astype(np.float64)) * scale.astype(np.float64)
    return Constant(real.astype(np.float32), codes, scale.reshape(-1), zero.reshape(-1), axis)


def _coded(scope: Scope, node: Node, at: int, axis: int) -> Constant:
    """A weight of a QOperator node: codes, scale and zero point at three positions from `at`."""
    codes, scale = scope.need(node, at).array, scope.need(node, at + 1).array
    zero = scope.constant(node, at + 2)
    point = np.zeros(1, codes.dtype) if zero is None else zero.array.reshape(-1)
    if codes.dtype not in (np.int8, np.uint8):
        raise UnsupportedError(f"{node}: weights of type {codes.dtype}; quantize to int8 or uint8")
    if scale.size not in (1, codes.shape[axis] if codes.ndim > axis else 1):
        raise UnsupportedError(f"{node}: {scale.size} weight steps; quantize per tensor or per output channel")
    return Constant(codes, codes, scale.reshape(-1), point, axis if scale.size > 1 else None)


def _check_grid(scope: Scope, node: Node, value: Value, at: int):
    """The codes must be read on the grid they were written on."""
    grid = scope.grid(node, at, at + 1)
    if scope.build.grids.setdefault(value.name, grid) != grid:
        raise UnsupportedError(f"{node}: codes of '{value.name}' are read on another grid than they were written on")


@handles("QLinearConv")
def qlinear_conv(scope: Scope, node: Node) -> Value:
    value, weight = scope.image(node), _coded(scope, node, 3, axis=0)
    _check_grid(scope, node, value, 1)
    fields = kernel(scope, node, value, weight, scope.constant(node, 8), arrange=lambda w: w, axis=0)
    grid = scope.grid(node, 6, 7)
    return scope.add(node, L.Conv2d, [bare(value)], grid=grid, **fields, **conv_fields(node, value, weight.codes.shape))


@handles("QLinearMatMul")
def qlinear_matmul(scope: Scope, node: Node) -> Value:
    value = scope.value(node)
    _check_grid(scope, node, value, 1)
    return dense(
        scope, node, value, _coded(scope, node, 3, axis=1), None, transposed=False, grid=scope.grid(node, 6, 7)
    )


@handles("QGemm", domain=_MICROSOFT)
def qgemm(scope: Scope, node: Node) -> Value:
    value, transposed = scope.value(node), bool(node.attributes.get("transB"))
    if node.attributes.get("transA") or float(node.attributes.get("alpha", 1.0)) != 1.0:
        raise UnsupportedError(f"{node}: transA or alpha; only the plain product is supported")
    _check_grid(scope, node, value, 1)
    weight = _coded(scope, node, 3, axis=0 if transposed else 1)
    grid = scope.grid(node, 7, 8) if len(node.inputs) > 7 and node.inputs[7] else None
    return dense(scope, node, value, weight, scope.constant(node, 6), transposed=transposed, grid=grid)


@handles("QLinearAdd", domain=_MICROSOFT)
def qlinear_add(scope: Scope, node: Node) -> Value:
    first, second = scope.value(node, 0), scope.value(node, 3)
    _check_grid(scope, node, first, 1)
    _check_grid(scope, node, second, 4)
    if first.shape != second.shape:
        raise UnsupportedError(
            f"{node}: sum of shapes {first.shape} and {second.shape}; only equal shapes are supported"
        )
    return scope.add(node, L.Add, [first, second], grid=scope.grid(node, 6, 7))


@handles("QLinearGlobalAveragePool", domain=_MICROSOFT)
def qlinear_global_average_pool(scope: Scope, node: Node) -> Value:
    if node.attributes.get("channels_last"):
        raise UnsupportedError(f"{node}: channels last; export with channels first")
    _check_grid(scope, node, scope.image(node), 1)
    return global_average_pool(scope, node, grid=scope.grid(node, 3, 4))


@handles("QLinearAveragePool", domain=_MICROSOFT)
def qlinear_average_pool(scope: Scope, node: Node) -> Value:
    if node.attributes.get("channels_last"):
        raise UnsupportedError(f"{node}: channels last; export with channels first")
    _check_grid(scope, node, scope.image(node), 1)
    return average_pool(scope, node, grid=scope.grid(node, 3, 4))


@handles("QLinearConcat", domain=_MICROSOFT)
def qlinear_concat(scope: Scope, node: Node) -> Value:
    positions = range(2, len(node.inputs), 3)
    for position in positions:
        _check_grid(scope, node, scope.value(node, position), position + 1)
    return concat(scope, node, positions, grid=scope.grid(node, 0, 1))


@handles("QLinearSoftmax", domain=_MICROSOFT)
def qlinear_softmax(scope: Scope, node: Node) -> Value:
    value = scope.value(node)
    _check_grid(scope, node, value, 1)
    if int(node.attributes.get("axis", -1)) not in (-1, len(value.shape)):
        raise UnsupportedError(f"{node}: over axis {node.attributes['axis']}; only over the last axis")
    return scope.add(node, L.Softmax, [value], grid=scope.grid(node, 3, 4))
