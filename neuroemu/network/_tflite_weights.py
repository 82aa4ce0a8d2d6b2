"""Kernels and biases of TFLite operators: real ones, and integer codes with their grids."""

from collections.abc import Callable

import numpy as np

from ..errors import FileFormatError, UnsupportedError
from ._tflite_file import Operator, Tensor
from ._tflite_scope import Reader, make_grid


def kernel(reader: Reader, op: Operator, arrange: Callable, quantized_axis: int) -> dict:
    """Fields weight, weight_grid and bias; `arrange` brings the weight to the network's order."""
    weight, bias = reader.constant(op, 1), reader.constant(op, 2)
    if weight is None:
        raise FileFormatError(f"{op}: it has no weight")
    quantized = reader.tensors[op.inputs[0]].dtype in ("INT8", "UINT8")
    if not quantized:
        return {
            "weight": arrange(decoded(weight, op)),
            "bias": None if bias is None else decoded(bias, op).reshape(-1),
        }
    if weight.dtype != "INT8" or weight.scale is None or weight.zero_point.any():
        raise UnsupportedError(
            f"{op}: weights of type {weight.dtype}; convert to full int8 with symmetric weights (zero point 0)"
        )
    per_channel = weight.scale.size > 1
    if per_channel and (weight.axis != quantized_axis or weight.scale.size != weight.shape[quantized_axis]):
        raise UnsupportedError(
            f"{op}: weight steps run along axis {weight.axis}; they must run along the output channels"
        )
    grid = make_grid(weight.scale if per_channel else weight.scale[0], 0, weight, axis=0 if per_channel else None)
    if bias is not None and bias.dtype != "INT32":
        raise UnsupportedError(f"{op}: bias of type {bias.dtype}; int32 is supported")
    codes = None if bias is None else bias.data.reshape(-1).astype(np.int32)
    return {"weight": arrange(weight.data).astype(np.int8), "weight_grid": grid, "bias": codes}


def decoded(tensor: Tensor, op: Operator) -> np.ndarray:
    """A constant as float32."""
    if tensor.dtype in ("FLOAT32", "FLOAT16"):
        return tensor.data.astype(np.float32)
    if tensor.dtype not in ("INT8", "UINT8", "INT32") or tensor.scale is None:
        raise UnsupportedError(f"{op}: {tensor} has type {tensor.dtype} in a float network; convert it to float32")
    shape = [1] * tensor.data.ndim
    if tensor.scale.size > 1:
        if not 0 <= tensor.axis < tensor.data.ndim or tensor.scale.size != tensor.shape[tensor.axis]:
            raise FileFormatError(f"{op}: {tensor} has {tensor.scale.size} steps along axis {tensor.axis}")
        shape[tensor.axis] = -1
    steps = tensor.data.astype(np.float64) - tensor.zero_point.reshape(shape)
    return (steps * tensor.scale.astype(np.float64).reshape(shape)).astype(np.float32)
