"""Handlers of TFLite operators: each appends a layer, or binds a tensor to what is there already."""

from collections.abc import Callable
from dataclasses import replace
from math import prod

import numpy as np

from ..errors import FileFormatError, UnsupportedError
from . import layers as L
from ._build import NO_PADDING, Value, same_padding, zero_padding
from ._orders import dense_order
from ._tflite_file import Operator
from ._tflite_scope import Reader
from ._tflite_weights import decoded, kernel


def _windowed(reader: Reader, op: Operator, value: Value, window, dilation=(1, 1)) -> dict:
    """Fields stride and padding of a convolution or pool."""
    options = op.options
    stride = (options["StrideH"], options["StrideW"])
    if min(*stride, *window, *dilation) < 1 or options["Padding"] not in (0, 1):
        raise FileFormatError(
            f"{op}: stride {stride}, window {tuple(window)}, dilation {dilation}; all must be 1 or more"
        )
    own = NO_PADDING
    if options["Padding"] == 0:  # SAME, reckoned on the image with its explicit padding
        size = [n + sum(p) for n, p in zip(value.shape[1:], value.padding, strict=True)]
        own = same_padding(size, window, stride, dilation)
    return {"stride": stride, "padding": zero_padding(value, own)}


def _image(reader: Reader, op: Operator) -> Value:
    value = reader.source(op)
    if len(value.shape) != 3:
        raise FileFormatError(f"{op}: its input has shape {value.shape}; it needs (H, W, C)")
    return reader.image(value)


def _bare(value: Value) -> Value:
    """`value` once the layer has taken over its padding."""
    return replace(value, padding=NO_PADDING)


def _convolution(reader: Reader, op: Operator):
    value, depthwise = _image(reader, op), op.kind == "DEPTHWISE_CONV_2D"
    weight = reader.constant(op, 1)
    if weight is None or len(weight.shape) != 4 or 0 in weight.shape:
        raise FileFormatError(f"{op}: its weight needs four axes")
    if depthwise:
        fields = kernel(reader, op, lambda w: w.transpose(3, 0, 1, 2), 3)
        groups = value.shape[0]
    else:
        fields = kernel(reader, op, lambda w: w.transpose(0, 3, 1, 2), 0)
        groups = value.shape[0] // max(1, fields["weight"].shape[1])
    dilation = (op.options["DilationHFactor"], op.options["DilationWFactor"])
    fields |= _windowed(reader, op, value, fields["weight"].shape[2:], dilation)
    name = "depthwise" if depthwise else "conv"
    reader.write(op, L.Conv2d, [_bare(value)], name=name, dilation=dilation, groups=max(1, groups), **fields)


def _dense(reader: Reader, op: Operator):
    value = reader.source(op)
    if op.options["WeightsFormat"] != 0:
        raise UnsupportedError(f"{op}: shuffled weights; convert with the default weight format")
    if len(value.shape) > 1 and not op.options["KeepNumDims"]:
        value = reader.orders.flatten(value, permute=True)
    if value.image_last or len(value.shape) != 3:
        return reader.write(
            op,
            L.Dense,
            [value],
            name="dense",
            image_last=value.image_last,
            **kernel(reader, op, dense_order(value), 0),
        )
    value = reader.file_order(value)
    return reader.write(
        op, L.Dense, [value], name="dense", image_last=True, **kernel(reader, op, dense_order(value), 0)
    )


def _reshape(reader: Reader, op: Operator):
    value, target = reader.source(op), reader.target(op)
    if len(target.shape) < 2 or target.shape[0] != reader.batch:
        raise UnsupportedError(f"{op}: it reshapes to {target.shape}; the batch axis must stay in front")
    shape = target.shape[1:]
    if prod(shape) != prod(value.shape):
        raise FileFormatError(f"{op}: {prod(value.shape)} values do not fit shape {shape}")
    if len(shape) == 1:
        users = [o for o in reader.graph.operators if target.index in o.inputs]
        only_dense = all(o.kind == "FULLY_CONNECTED" for o in users) and target.index != reader.graph.output
        if len(value.shape) == 1:
            return reader.define(op, value)
        return reader.define(op, reader.orders.flatten(value, permute=only_dense and bool(users)))
    value = reader.file_order(value)
    return reader.write(op, L.Reshape, [value], name="reshape", shape=shape, image_last=len(shape) == 3)


def _transpose(reader: Reader, op: Operator):
    value, axes = reader.file_order(reader.source(op)), reader.need(op, 1).reshape(-1).tolist()
    if not axes or axes[0] != 0:
        raise UnsupportedError(f"{op}: permutation {axes}; the batch axis must stay in front")
    axes = tuple(a - 1 for a in axes[1:])
    reader.write(op, L.Transpose, [value], name="transpose", axes=axes, image_last=len(axes) == 3)


def _pool(reader: Reader, op: Operator):
    value = _image(reader, op)
    size = (op.options["FilterHeight"], op.options["FilterWidth"])
    fields = _windowed(reader, op, value, size)
    if op.kind == "MAX_POOL_2D":
        if value.padding != NO_PADDING:
            raise UnsupportedError(
                f"{op}: it reads an explicit zero padding; use padding SAME or VALID of the pool instead"
            )
        return reader.write(op, L.MaxPool2d, [value], name="max_pool", size=size, **fields)
    explicit = value.padding != NO_PADDING
    if explicit and fields["padding"] != value.padding:
        raise UnsupportedError(f"{op}: explicit padding before padding SAME; use one of them")
    return reader.write(
        op, L.AveragePool2d, [_bare(value)], name="average_pool", size=size, count_padding=explicit, **fields
    )


def _mean(reader: Reader, op: Operator):
    value = _image(reader, op)
    axes = sorted({int(a) % 4 for a in reader.need(op, 1).reshape(-1)})
    if axes != [1, 2]:
        raise UnsupportedError(f"{op}: mean over axes {axes}; only over height and width, axes 1 and 2")
    reader.write(op, L.GlobalAveragePool, [value], name="mean", keep_dims=bool(op.options["KeepDims"]))


def _arithmetic(reader: Reader, op: Operator):
    """ADD of two activations; ADD, SUB and MUL with a constant, in float networks."""
    fixed = [i in reader.constants for i in op.inputs]
    if len(op.inputs) != 2 or all(fixed):
        raise UnsupportedError(
            f"{op}: it needs two inputs, one of them an activation; fold constants before converting"
        )
    if any(fixed):
        return _with_constant(reader, op, fixed.index(True))
    a, b = reader.source(op, 0), reader.source(op, 1)
    if op.kind != "ADD" or reader.tensors[op.inputs[0]].shape != reader.tensors[op.inputs[1]].shape:
        raise UnsupportedError(f"{op}: of two activations only the sum of equal shapes is supported")
    return reader.write(op, L.Add, [reader.image(a), reader.image(b)], name="add")


def _with_constant(reader: Reader, op: Operator, position: int):
    value, tensor = reader.image(reader.source(op, 1 - position)), reader.constant(op, position)
    if reader.grid(reader.target(op)) is not None:
        raise UnsupportedError(
            f"{op}: a quantized {op.kind} with a constant; fold it into the layer before, or use the float file"
        )
    factor = decoded(tensor, op)
    if factor.size != 1 and (factor.size != factor.shape[-1] or factor.size != value.shape[0] or len(value.shape) == 2):
        raise UnsupportedError(f"{op}: constant of shape {factor.shape}; a number or one per channel is supported")
    factor = factor.reshape(-1) if factor.size > 1 else factor.reshape(())
    if op.kind == "MUL":
        fields = {"scale": factor}
    elif op.kind == "ADD":
        fields = {"offset": factor}
    else:
        fields = {"offset": -factor} if position == 1 else {"scale": -1.0, "offset": factor}
    return reader.write(op, L.Scale, [value], name="scale", **fields)


def _concatenation(reader: Reader, op: Operator):
    if any(i in reader.constants for i in op.inputs):
        raise UnsupportedError(f"{op}: it joins a constant; only activations can be joined")
    values = [reader.image(reader.source(op, i)) for i in range(len(op.inputs))]
    rank = len(reader.target(op).shape)
    axis = op.options["Axis"] + (rank if op.options["Axis"] < 0 else 0)
    if not 1 <= axis < rank:
        raise UnsupportedError(f"{op}: axis {op.options['Axis']}; the batch axis cannot be joined along")
    axis = {1: 1, 2: 2, 3: 0}[axis] if rank == 4 else axis - 1
    reader.write(op, L.Concat, values, name="concat", axis=axis)


def _clip(reader: Reader, op: Operator):
    low, high = {"RELU": (0.0, np.inf), "RELU6": (0.0, 6.0), "RELU_N1_TO_1": (-1.0, 1.0)}[op.kind]
    value = reader.source(op)
    reader.write(op, L.Clip, [value], name="relu", low=low, high=high, image_last=value.image_last)


def _softmax(reader: Reader, op: Operator):
    if op.options["Beta"] != 1.0:
        raise UnsupportedError(f"{op}: beta {op.options['Beta']}; only 1 is supported")
    value = reader.file_order(reader.source(op))
    reader.write(op, L.Softmax, [value], name="softmax", image_last=value.image_last)


def _pad(reader: Reader, op: Operator):
    value, amounts = _image(reader, op), reader.need(op, 1)
    if amounts.shape != (4, 2) or amounts.min() < 0 or amounts.max() > 1 << 20:
        raise FileFormatError(f"{op}: paddings of shape {amounts.shape}; (4, 2) numbers of 0 or more are needed")
    if amounts[[0, 3]].any():
        raise UnsupportedError(f"{op}: it pads the batch or channel axis; only height and width can be padded")
    if reader.grid(reader.target(op)) != reader.build.grids.get(value.name):
        raise UnsupportedError(
            f"{op}: its output is on another grid than its input; convert without requantizing the padding"
        )
    own = tuple(tuple(int(n) for n in row) for row in amounts[1:3])
    target = reader.target(op)
    reader.values[target.index] = replace(value, padding=zero_padding(value, own))


def _quantize(reader: Reader, op: Operator):
    value, grid = reader.source(op), reader.grid(reader.target(op))
    if grid is None:
        raise FileFormatError(f"{op}: its output has no grid")
    reader.define(op, reader.build.set_grid(value, grid, name="requantize"))


def _dequantize(reader: Reader, op: Operator):
    target = reader.target(op)
    if op.inputs and op.inputs[0] in reader.constants:
        reader.constants[target.index] = replace(reader.constants[op.inputs[0]], index=target.index)
    else:
        reader.define(op, reader.source(op))


HANDLERS: dict[str, Callable[[Reader, Operator], object]] = {
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _convolution,
    "FULLY_CONNECTED": _dense,
    "RESHAPE": _reshape,
    "SQUEEZE": _reshape,
    "EXPAND_DIMS": _reshape,
    "TRANSPOSE": _transpose,
    "AVERAGE_POOL_2D": _pool,
    "MAX_POOL_2D": _pool,
    "MEAN": _mean,
    "ADD": _arithmetic,
    "SUB": _arithmetic,
    "MUL": _arithmetic,
    "CONCATENATION": _concatenation,
    "RELU": _clip,
    "RELU6": _clip,
    "RELU_N1_TO_1": _clip,
    "SOFTMAX": _softmax,
    "PAD": _pad,
    "QUANTIZE": _quantize,
    "DEQUANTIZE": _dequantize,
}
