"""Kernels and biases of ONNX nodes: real ones, and integer codes with their grids."""

import numpy as np

from ..errors import UnsupportedError
from ._build import Value, bias_codes
from ._onnx_file import Node
from ._onnx_fold import Constant
from ._onnx_scope import Scope, make_grid
from .grids import Grid


def kernel(
    scope: Scope, node: Node, value: Value, weight: Constant, bias: Constant | None, *, arrange, axis: int
) -> dict:
    """Fields weight, weight_grid and bias of a layer that reads `value`.

    `arrange` brings the kernel to the network's order; `axis` is the file's axis of output channels.
    """
    in_grid = scope.build.passed_grid(value)
    if weight.codes is None or in_grid is None:
        real = None if bias is None else flat_bias(node, bias, arrange(weight.array).shape[0])
        return {"weight": arrange(np.asarray(weight.array, np.float32)), "bias": real}
    scope.build.grids.setdefault(value.name, in_grid)
    codes, grid = weight_codes(node, weight, axis)
    return {
        "weight": arrange(codes),
        "weight_grid": grid,
        "bias": _bias(node, bias, grid, in_grid, arrange(codes).shape[0]),
    }


def weight_codes(node: Node, weight: Constant, axis: int) -> tuple[np.ndarray, Grid]:
    """int8 codes and their symmetric grid, its steps along output channels (axis 0 of the network's kernels)."""
    shift = 128 if weight.codes.dtype == np.uint8 else 0
    if (np.asarray(weight.zero_point, np.int64) != shift).any():
        raise UnsupportedError(
            f"{node}: weights with zero point {np.unique(weight.zero_point)[:4].tolist()}; quantize weights "
            "symmetrically (zero point 0 for int8, 128 for uint8)"
        )
    codes = (weight.codes.astype(np.int16) - shift).astype(np.int8)
    if weight.axis is None:
        return codes, make_grid(node, float(weight.scale.reshape(-1)[0]))
    if weight.axis != axis:
        raise UnsupportedError(f"{node}: weight steps along axis {weight.axis}; quantize weights per output channel")
    return codes, make_grid(node, weight.scale.astype(np.float64), axis=0)


def _bias(node, bias: Constant | None, grid: Grid, in_grid: Grid, channels: int):
    """int32 codes on the accumulator's grid."""
    if bias is None:
        return None
    step = np.asarray(grid.scale) * in_grid.scale
    if bias.array.dtype == np.int32 and bias.scale is None:
        return flat_bias(node, bias, channels, np.int32)  # QLinearConv, QGemm: codes on that grid already
    if bias.codes is not None and bias.codes.dtype == np.int32 and np.allclose(bias.scale, step, rtol=1e-5, atol=0):
        return bias.codes.reshape(-1)
    return bias_codes(flat_bias(node, bias, channels), in_grid, grid)


def flat_bias(node: Node, bias: Constant, channels: int, dtype=np.float32) -> np.ndarray:
    """One number per output channel."""
    if bias.array.size not in (1, channels):
        raise UnsupportedError(
            f"{node}: bias of shape {bias.array.shape}; give one number per output channel ({channels})"
        )
    return np.broadcast_to(bias.array.reshape(-1), (channels,)).astype(dtype)
