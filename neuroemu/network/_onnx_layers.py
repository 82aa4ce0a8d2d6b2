"""Handlers of ONNX's own operators: each appends a layer, or binds a name to what is there already."""

from math import prod

import numpy as np

from ..errors import FileFormatError, UnsupportedError
from . import layers as L
from ._build import NO_PADDING, Value, bias_codes, same_padding, zero_padding
from ._onnx_file import Node
from ._onnx_fold import Constant
from ._onnx_scope import Scope, axis_of, bare, handles
from ._onnx_weights import kernel


@handles("Conv")
def convolution(scope: Scope, node: Node) -> Value:
    value, weight = scope.image(node), scope.need(node, 1)
    fields = kernel(scope, node, value, weight, scope.constant(node, 2), arrange=lambda w: w, axis=0)
    return scope.add(node, L.Conv2d, [bare(value)], **fields, **conv_fields(node, value, weight.array.shape))


def conv_fields(node: Node, value: Value, shape) -> dict:
    """Stride, padding, dilation and groups of a convolution with a kernel of `shape`."""
    if len(shape) != 4 or 0 in shape:
        raise UnsupportedError(
            f"{node}: kernel of shape {tuple(shape)}; only two-dimensional convolutions are supported"
        )
    dilation = _pair(node, "dilations", (1, 1))
    stride = _pair(node, "strides", (1, 1))
    own = _own_padding(node, value, shape[2:], stride, dilation)
    groups = int(node.attributes.get("group", 1))
    return {"stride": stride, "padding": zero_padding(value, own), "dilation": dilation, "groups": groups}


def _pair(node: Node, name: str, default) -> tuple[int, int]:
    numbers = tuple(int(n) for n in node.attributes.get(name, default))
    if len(numbers) != 2 or min(numbers) < 1:
        raise UnsupportedError(f"{node}: {name} {numbers}; two numbers of 1 or more are supported")
    return numbers


def _own_padding(node, value, window, stride, dilation) -> L.Padding:
    """The padding that the node itself asks for, auto_pad resolved on the image with its explicit padding."""
    mode = node.attributes.get("auto_pad", b"NOTSET").decode("utf-8", "replace")
    if mode == "VALID":
        return NO_PADDING
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        size = [n + sum(p) for n, p in zip(value.shape[1:], value.padding, strict=True)]
        return same_padding(size, window, stride, dilation, extra_first=mode == "SAME_LOWER")
    if mode != "NOTSET":
        raise FileFormatError(f"{node}: auto_pad {mode!r}")
    pads = [int(n) for n in node.attributes.get("pads", (0, 0, 0, 0))]
    if len(pads) != 4 or min(pads) < 0:
        raise UnsupportedError(f"{node}: pads {pads}; four numbers of 0 or more are supported")
    return ((pads[0], pads[2]), (pads[1], pads[3]))


@handles("Gemm")
def gemm(scope: Scope, node: Node) -> Value:
    value, weight, bias = scope.value(node), scope.need(node, 1), scope.constant(node, 2)
    alpha, beta = float(node.attributes.get("alpha", 1.0)), float(node.attributes.get("beta", 1.0))
    if node.attributes.get("transA") or len(value.shape) != 1:
        raise UnsupportedError(f"{node}: transA or an input of shape {value.shape}; give it (batch, features)")
    if weight.codes is not None and (alpha, beta) != (1.0, 1.0):
        raise UnsupportedError(f"{node}: quantized with alpha {alpha}, beta {beta}; both must be 1")
    if weight.codes is None:
        weight = Constant(np.asarray(weight.array, np.float32) * np.float32(alpha))
        bias = None if bias is None else Constant(np.asarray(bias.array, np.float32) * np.float32(beta))
    return dense(scope, node, value, weight, bias, transposed=bool(node.attributes.get("transB")))


@handles("MatMul")
def matmul(scope: Scope, node: Node) -> Value:
    return dense(scope, node, scope.value(node), scope.need(node, 1), None, transposed=False)


def dense(scope: Scope, node: Node, value: Value, weight: Constant, bias, *, transposed: bool, grid=None) -> Value:
    """A Dense layer; the file's weight is (in, out), or (out, in) if `transposed`."""
    if weight.array.ndim != 2:
        raise UnsupportedError(f"{node}: weight of shape {weight.array.shape}; two axes are supported")
    arrange, axis = (lambda w: w, 0) if transposed else (lambda w: w.T, 1)
    fields = kernel(scope, node, value, weight, bias, arrange=arrange, axis=axis)
    return scope.add(node, L.Dense, [value], grid=grid, **fields)


@handles("MaxPool")
def max_pool(scope: Scope, node: Node) -> Value:
    value = scope.image(node)
    if value.padding != NO_PADDING:
        raise UnsupportedError(f"{node}: reads an explicit zero padding; use the pads of the pool, which never win")
    if set(node.attributes.get("dilations", (1, 1))) != {1}:
        raise UnsupportedError(f"{node}: dilated pooling; use dilation 1")
    size, stride, own = _pool_fields(node, value)
    return scope.add(node, L.MaxPool2d, [value], size=size, stride=stride, padding=own)


@handles("AveragePool")
def average_pool(scope: Scope, node: Node, grid=None) -> Value:
    value = scope.image(node)
    if set(node.attributes.get("dilations", (1, 1))) != {1}:
        raise UnsupportedError(f"{node}: dilated pooling; use dilation 1")
    counted = bool(node.attributes.get("count_include_pad", 0))
    size, stride, own = _pool_fields(node, value, ceil_counts=counted)
    if value.padding != NO_PADDING:
        if own != NO_PADDING and not counted:
            raise UnsupportedError(f"{node}: an explicit padding and pads that do not count; use one of them")
        own, counted = zero_padding(value, own), True
    return scope.add(
        node, L.AveragePool2d, [bare(value)], grid=grid, size=size, stride=stride, padding=own, count_padding=counted
    )


def _pool_fields(node: Node, value: Value, *, ceil_counts: bool = False):
    """(size, stride, padding); ceil_mode becomes padding at the end, as far as the last window starts inside."""
    size = _pair(node, "kernel_shape", ())
    stride = _pair(node, "strides", (1, 1))
    own = _own_padding(node, value, size, stride, (1, 1))
    if node.attributes.get("ceil_mode"):
        size_in = [n + sum(p) for n, p in zip(value.shape[1:], value.padding, strict=True)]
        wider = tuple(_ceil_side(n, k, s, p) for n, k, s, p in zip(size_in, size, stride, own, strict=True))
        if wider != own and ceil_counts:
            raise UnsupportedError(f"{node}: ceil_mode with count_include_pad; use explicit pads")
        own = wider
    if any(max(p) >= k for p, k in zip(own, size, strict=True)):
        raise UnsupportedError(f"{node}: padding {own} reaches the window {size}; crop the pads")
    return size, stride, own


def _ceil_side(n, k, s, padding):
    start, end = padding
    positions = -(-(n + start + end - k) // s) + 1
    if (positions - 1) * s >= n + start:  # the last window may not start in the padding at the end
        positions -= 1
    return (start, max(end, (positions - 1) * s + k - n - start))


@handles("GlobalAveragePool")
def global_average_pool(scope: Scope, node: Node, grid=None) -> Value:
    return scope.add(node, L.GlobalAveragePool, [scope.image(node)], grid=grid)


@handles("ReduceMean")
def reduce_mean(scope: Scope, node: Node) -> Value:
    value = scope.image(node)
    listed = node.attributes.get("axes")
    axes = scope.numbers(node, 1) if listed is None and len(node.inputs) > 1 and node.inputs[1] else listed
    if axes is None or sorted(axis_of(node, int(a), 4) for a in axes) != [2, 3]:
        raise UnsupportedError(f"{node}: mean over axes {axes}; only over height and width, axes 2 and 3")
    return scope.add(node, L.GlobalAveragePool, [value], keep_dims=bool(node.attributes.get("keepdims", 1)))


@handles("Relu")
def relu(scope: Scope, node: Node) -> Value:
    return scope.add(node, L.Clip, [scope.value(node)], low=0.0)


@handles("Clip")
def clip(scope: Scope, node: Node) -> Value:
    limits = []
    for position, name, default in ((1, "min", -np.inf), (2, "max", np.inf)):
        given = scope.constant(node, position)
        limits.append(float(node.attributes.get(name, default) if given is None else given.array.reshape(-1)[0]))
    huge = float(np.finfo(np.float32).max)  # how opset 6 writes "no limit"
    low, high = (-np.inf if limits[0] <= -huge else limits[0]), (np.inf if limits[1] >= huge else limits[1])
    if not low < high:
        raise UnsupportedError(f"{node}: limits {low} and {high}; the first must be below the second")
    return scope.add(node, L.Clip, [scope.value(node)], low=low, high=high)


@handles("Softmax")
def softmax(scope: Scope, node: Node) -> Value:
    value = scope.value(node)
    rank = len(value.shape) + 1
    axis = axis_of(node, int(node.attributes.get("axis", 1 if scope.opset < 13 else -1)), rank)
    if axis != rank - 1:
        raise UnsupportedError(f"{node}: over axis {axis} of {rank}; only over the last axis")
    return scope.add(node, L.Softmax, [value])


@handles("LogSoftmax")
def log_softmax(scope: Scope, node: Node) -> Value:
    raise UnsupportedError(f"{node}: not supported; leave it out, the largest output stays the same")


@handles("BatchNormalization")
def batch_normalization(scope: Scope, node: Node) -> Value:
    if node.attributes.get("training_mode") or not node.attributes.get("spatial", 1):
        raise UnsupportedError(f"{node}: in training mode, or not per channel; export the network for inference")
    gamma, beta, mean, variance = (np.asarray(scope.need(node, i).array, np.float32) for i in (1, 2, 3, 4))
    epsilon = float(node.attributes.get("epsilon", 1e-5))
    return scope.add(
        node, L.BatchNorm, [scope.value(node)], gamma=gamma, beta=beta, mean=mean, variance=variance, epsilon=epsilon
    )


@handles("Add", "Sub", "Mul", "Div", "Sum")
def arithmetic(scope: Scope, node: Node) -> Value:
    if len(node.inputs) == 1:
        return scope.value(node)
    if len(node.inputs) != 2:
        raise UnsupportedError(f"{node}: {len(node.inputs)} inputs; split it into sums of two")
    fixed = scope.fixed(node)
    if fixed:
        return _with_constant(scope, node, fixed[0])
    first, second = scope.value(node, 0), scope.value(node, 1)
    if node.kind not in ("Add", "Sum") or first.shape != second.shape:
        raise UnsupportedError(
            f"{node}: of two activations {first.shape} and {second.shape}; only the sum of equal shapes is supported"
        )
    return scope.add(node, L.Add, [first, second])


def _with_constant(scope: Scope, node: Node, position: int) -> Value:
    """A constant added becomes a bias where it can; otherwise it is a Scale."""
    value = scope.value(node, 1 - position)
    constant = np.asarray(scope.constants[node.inputs[position]].array, np.float32)
    if node.kind in ("Add", "Sum") and (folded := _as_bias(scope, node, value, constant, node.inputs[1 - position])):
        return folded
    number = _per_channel(node, value, constant)
    if node.kind in ("Add", "Sum"):
        fields = {"offset": number}
    elif node.kind == "Mul":
        fields = {"scale": number}
    elif node.kind == "Sub":
        fields = {"offset": -number} if position == 1 else {"scale": -1.0, "offset": number}
    elif position == 1 and number.all():
        fields = {"scale": 1 / number}
    else:
        raise UnsupportedError(f"{node}: a constant divided by an activation, or a division by zero; rewrite it")
    return scope.add(node, L.Scale, [value], **fields)


def _as_bias(scope, node, value: Value, constant, tensor: str) -> Value | None:
    """Put `constant` into the layer just before, when that has no bias and nobody else reads it."""
    layer, rank = scope.build.layer(value), len(value.shape) + 1
    if not isinstance(layer, L.Weighted) or layer.bias is not None or value.name in scope.build.grids:
        return None
    if len(scope.graph.readers(tensor)) != 1 or tensor == scope.graph.output or scope.names(value) != {tensor}:
        return None
    channel = rank - 1 if isinstance(layer, L.Dense) else 1
    channels = layer.weight.shape[0]
    shape = (1,) * (rank - constant.ndim) + constant.shape
    if len(shape) != rank or any(n != 1 and (a != channel or n != channels) for a, n in enumerate(shape)):
        return None
    bias = np.broadcast_to(constant.reshape(-1), (channels,)).astype(np.float32)
    if layer.weight_grid is not None:
        bias = bias_codes(bias, scope.build.grids[layer.inputs[0]], layer.weight_grid)
    return scope.build.rename(value, node.outputs[0], bias=bias)


def _per_channel(node: Node, value: Value, constant: np.ndarray) -> np.ndarray:
    """A number, or one per channel (axis 1 in the file)."""
    if constant.size == 1 and constant.ndim <= len(value.shape) + 1:
        return constant.reshape(())
    rank = len(value.shape) + 1
    shape = (1,) * (rank - constant.ndim) + constant.shape
    if len(shape) != rank or shape[1] != value.shape[0] or prod(shape) != value.shape[0]:
        raise UnsupportedError(f"{node}: constant of shape {constant.shape}; a number or one per channel is supported")
    return constant.reshape(-1)
