"""Codes: the integer arithmetic of the digital steps, and of layers without weights. Codes in, codes out.

What is a function of one code, or of two, is computed once for all codes and then looked up by the compiled kernel.
"""

from functools import lru_cache, singledispatch

import numpy as np

from .. import kernels
from ..errors import UnsupportedError
from . import fixed_point, floating, ops
from . import layers as L
from .grids import Grid

RULES = {"half_even": 0, "half_away": 1, "tflite": 2}  # rounding rules by their numbers in kernels.integer.requantize
CODES = np.arange(-128, 128, dtype=np.int8)  # in the order of tables


def requantize(accumulator: np.ndarray, factor, grid: Grid, rounding: str) -> np.ndarray:
    """int32 accumulators to int8 codes: round(accumulator * factor) + zero_point, saturated."""
    if rounding == "tflite":
        steps = fixed_point.multiply_by_real(accumulator, factor)
    elif rounding == "half_away":
        steps = fixed_point.nearest(accumulator * np.asarray(factor, np.float64))
    else:
        steps = np.rint(accumulator.astype(np.float32) * np.asarray(factor, np.float32)).astype(np.int64)
    return np.clip(steps + grid.zero_point, grid.low, grid.high).astype(np.int8)


def rescale(codes: np.ndarray, old: Grid, new: Grid, rounding: str) -> np.ndarray:
    """Codes on one grid to codes on another."""
    if old == new:
        return codes
    codes = np.ascontiguousarray(codes)
    out = np.empty_like(codes)
    kernels.integer.lookup(codes.reshape(-1), _rescaled(old, new, rounding), out.reshape(-1))
    return out


@lru_cache(maxsize=256)
def _rescaled(old: Grid, new: Grid, rounding: str) -> np.ndarray:
    """All codes of one grid on another."""
    return requantize(CODES.astype(np.int32) - old.zero_point, old.scale / new.scale, new, rounding)


@singledispatch
def compute(layer: L.Layer, shape, inputs, grids, grid: Grid, rounding: str) -> np.ndarray:
    """One layer without weights: codes in, codes out."""
    raise UnsupportedError(
        f"{type(layer).__name__} '{layer.name}': no integer arithmetic for it; fold or convert it first"
    )


@compute.register(L.Flatten)
@compute.register(L.Reshape)
@compute.register(L.Transpose)
def _(layer, shape, inputs, grids, grid, rounding):
    return rescale(ops.rearrange(layer, inputs[0], shape), grids[0], grid, rounding)


@compute.register
def _(layer: L.MaxPool2d, shape, inputs, grids, grid, rounding):
    return rescale(ops.pool_max(layer, inputs[0]), grids[0], grid, rounding)


@compute.register
def _(layer: L.Clip, shape, inputs, grids, grid, rounding):
    codes = rescale(inputs[0], grids[0], grid, rounding)
    return np.clip(codes, _code_of_bound(layer.low, grid), _code_of_bound(layer.high, grid))


@lru_cache(maxsize=1024)
def _code_of_bound(bound: float, grid: Grid) -> np.int8:
    steps = np.rint(np.clip(bound, -1e30, 1e30) / grid.scale) + grid.zero_point
    return np.int8(np.clip(steps, grid.low, grid.high))


@compute.register
def _(layer: L.SumPool2d, shape, inputs, grids, grid, rounding):
    zero = grids[0].zero_point  # padding too: the code of real zero
    sums = ops.pool_sum(layer, inputs[0], value=zero, dtype=np.int32) - layer.size[0] * layer.size[1] * zero
    return requantize(sums, grids[0].scale / grid.scale, grid, rounding)


@compute.register
def _(layer: L.AveragePool2d, shape, inputs, grids, grid, rounding):
    # Zero padding is the code of real zero.
    sums = ops.pool_sum(layer, inputs[0], value=grids[0].zero_point, dtype=np.int32)
    counts = ops.pool_counts(layer, inputs[0].shape[2:])
    if not layer.count_padding:
        full = layer.size[0] * layer.size[1]
        sums = sums - np.rint((full - counts) * grids[0].zero_point).astype(np.int32)
    if rounding == "tflite":
        return rescale(fixed_point.rounded_mean(sums, counts).astype(np.int8), grids[0], grid, rounding)
    return _mean_codes(sums, counts, grids[0], grid)


@compute.register
def _(layer: L.GlobalAveragePool, shape, inputs, grids, grid, rounding):
    count = inputs[0].shape[2] * inputs[0].shape[3]
    sums = inputs[0].sum(axis=(2, 3), dtype=np.int32)
    if rounding == "tflite":
        codes = fixed_point.mean_codes(sums, count, grids[0], grid)
    else:
        codes = _mean_codes(sums, count, grids[0], grid)
    return codes.reshape(len(codes), *shape)


def _mean_codes(sums, counts, old: Grid, new: Grid):
    """Codes of means, round half to even; `sums` are sums of codes over `counts` values."""
    factor = np.float32(old.scale / new.scale) / np.asarray(counts, np.float32)
    centred = (sums - np.asarray(counts, np.int64) * old.zero_point).astype(np.float32)
    return np.clip(np.rint(centred * factor) + new.zero_point, new.low, new.high).astype(np.int8)


@compute.register
def _(layer: L.Add, shape, inputs, grids, grid, rounding):
    first, second = (np.ascontiguousarray(codes) for codes in inputs)
    out = np.empty_like(first)
    table = _added(*grids, grid, rounding)
    kernels.integer.lookup_pairs(first.reshape(-1), second.reshape(-1), table, out.reshape(-1))
    return out


@lru_cache(maxsize=64)
def _added(first: Grid, second: Grid, grid: Grid, rounding: str) -> np.ndarray:
    """Codes of all sums of two codes, (256, 256)."""
    inputs, grids = (CODES[:, None], CODES[None, :]), (first, second)
    if rounding == "tflite":
        return fixed_point.add_codes(inputs, grids, grid)
    reals = [
        (c.astype(np.float32) - g.zero_point) * np.float32(g.scale / grid.scale)
        for c, g in zip(inputs, grids, strict=True)
    ]
    return np.clip(np.rint(reals[0] + reals[1]) + grid.zero_point, grid.low, grid.high).astype(np.int8)


@compute.register
def _(layer: L.Concat, shape, inputs, grids, grid, rounding):
    same = [rescale(c, g, grid, rounding) for c, g in zip(inputs, grids, strict=True)]
    return np.concatenate(same, axis=layer.axis + 1)


@compute.register(L.Softmax)
@compute.register(L.Scale)
def _(layer, shape, inputs, grids, grid, rounding):
    if isinstance(layer, L.Scale) and is_relabelling(layer, grids[0], grid):
        return inputs[0]
    return grid.encode(floating.compute(layer, shape, grids[0].decode(inputs[0])))


def is_relabelling(layer: L.Scale, old: Grid, new: Grid) -> bool:
    """Whether codes pass a Scale unchanged because the grids differ by just its factor."""
    if layer.scale.ndim or layer.offset.any() or (old.zero_point, old.bits) != (new.zero_point, new.bits):
        return False
    return abs(old.scale * float(layer.scale) - new.scale) <= 1e-8 + 1e-6 * abs(new.scale)
