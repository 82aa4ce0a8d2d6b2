"""The integer reference executor: a quantized Network and real inputs in, real outputs out.

Between the input grid and the output grid there are integers only: int8 codes, int32 accumulators, and the network's
rounding rule from accumulator to code. Tensors after the last grid (a final softmax) are computed in float32.

Every substrate runs through this executor. It hands each weighted layer to `multiply`; the default is the exact
product, a crossbar puts its own in, and all the digital steps around it are then the same.
"""

from collections.abc import Callable, Iterable
from functools import singledispatch

import numpy as np

from .. import _checks
from ..errors import InputError, UnsupportedError
from . import fixed_point, floating, ops
from . import layers as L
from .graph import INPUT, Network
from .grids import Grid

Multiply = Callable[[L.Weighted, np.ndarray, int], np.ndarray]


def exact_multiply(layer: L.Weighted, drive: np.ndarray, first: int) -> np.ndarray:
    """Exact weighted sum of integer inputs `drive` = codes - zero_point, float32 (B, ...), without bias.

    `first` is the index of the first input of the batch; emulated hardware keys its noise by it.
    """
    return ops.weighted_sum(layer, drive, layer.weight.astype(np.float32), ops.exact_product)


def run_integer(
    network: Network,
    x: np.ndarray,
    *,
    multiply: Multiply = exact_multiply,
    keep: Iterable[str] = (),
    progress=None,
    batch: int = 128,
) -> np.ndarray | tuple[np.ndarray, dict[str, np.ndarray]]:
    """Outputs of a quantized network in integer arithmetic, decoded to real numbers.

    Parameters
    ----------
    network : Network
        Quantized.
    x : ``(B, *input_shape)`` array
        Real inputs; the input grid encodes them.
    multiply : callable (layer, drive, first) -> accumulators
        Computes the weighted sums; see `exact_multiply`. Results are rounded to the nearest integer.
    keep : names of tensors to return as well: int8 codes where the tensor has a grid, else float32.

    Returns
    -------
    outputs : ``(B, *output_shape)`` float32
    kept : dict of name -> array, only if `keep` names any

    Raises
    ------
    InputError
        Wrong shape, NaN, or a network without grids.
    """
    _checks.instance(network, Network, who="run_integer", name="network")
    if not network.quantized or network.spiking:
        raise InputError(f"run_integer: network '{network.name}' is not quantized; call quantize(network, ...) first")
    if INPUT not in network.grids:
        raise InputError(f"run_integer: network '{network.name}' has no grid for 'input'")
    x = network.check_input(x, who="run_integer")

    def run_part(part, first):
        tensors = _run_part(network, part, first, multiply)
        grid = network.grids.get(network.output)
        if network.output not in keep and grid is not None:
            tensors[network.output] = grid.decode(tensors[network.output])
        return tensors

    keep = tuple(keep)
    result = floating.in_batches(run_part, network, x, keep, progress, batch)
    if network.output in keep and network.output in network.grids:
        outputs, kept = result
        return network.grids[network.output].decode(outputs), kept
    return result


def _run_part(network, x, first, multiply):
    grid = network.grids[INPUT]
    tensors = {INPUT: fixed_point.encode(x, grid) if network.rounding == "tflite" else grid.encode(x)}
    for layer in network.layers:
        inputs = [tensors[i] for i in layer.inputs]
        grids = [network.grids.get(i) for i in layer.inputs]
        grid = network.grids.get(layer.name)
        coded = isinstance(layer, L.Weighted) and layer.weight_grid is not None
        if grid is None and not coded:
            reals = [v if g is None else g.decode(v) for v, g in zip(inputs, grids, strict=True)]
            tensors[layer.name] = floating.compute(layer, network.shapes[layer.name], *reals)
        elif isinstance(layer, L.Weighted):
            drive = inputs[0].astype(np.float32) - np.float32(grids[0].zero_point)
            sums = _accumulator(layer, multiply(layer, drive, first))
            tensors[layer.name] = _written(layer, sums, grids[0], grid, network.rounding)
        else:
            shape = network.shapes[layer.name]
            tensors[layer.name] = compute(layer, shape, inputs, grids, grid, network.rounding)
    return tensors


def _accumulator(layer, sums) -> np.ndarray:
    """Weighted sums plus bias as int32."""
    total = np.rint(sums.astype(np.float64))
    if layer.bias is not None:
        bias = layer.bias.astype(np.float64)
        total += bias if isinstance(layer, L.Dense) else ops.along_channels(bias, total.ndim)
    return np.clip(total, -(2**31), 2**31 - 1).astype(np.int32)


def _written(layer, sums, in_grid: Grid, grid: Grid | None, rounding: str) -> np.ndarray:
    """Accumulators as codes, or as real numbers where the file has no grid behind its last layer."""
    if grid is None:
        return (sums * _multiplier(layer, in_grid, 1.0)).astype(np.float32)
    # TFLite's reference kernel for dense layers multiplies in float64, for convolutions in fixed point.
    rule = "half_away" if rounding == "tflite" and isinstance(layer, L.Dense) else rounding
    return requantize(sums, _multiplier(layer, in_grid, grid.scale), grid, rule)


def _multiplier(layer, in_grid: Grid, out_scale: float):
    """Real factor from accumulator to output code, a number or one per output channel (aligned to broadcast)."""
    factor = np.asarray(layer.weight_grid.scale) * in_grid.scale / out_scale
    if factor.ndim and not isinstance(layer, L.Dense):
        factor = factor.reshape(1, -1, 1, 1)
    return factor


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
    return requantize(codes.astype(np.int32) - old.zero_point, old.scale / new.scale, new, rounding)


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
    bounds = np.clip(np.array([layer.low, layer.high]), -1e30, 1e30) / grid.scale
    low, high = np.clip(np.rint(bounds) + grid.zero_point, grid.low, grid.high).astype(np.int8)
    return np.clip(codes, low, high)


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
    if isinstance(layer, L.Scale) and _is_relabelling(layer, grids[0], grid):
        return inputs[0]
    return grid.encode(floating.compute(layer, shape, grids[0].decode(inputs[0])))


def _is_relabelling(layer: L.Scale, old: Grid, new: Grid) -> bool:
    """Whether codes pass a Scale unchanged because the grids differ by just its factor."""
    if layer.scale.ndim or layer.offset.any() or (old.zero_point, old.bits) != (new.zero_point, new.bits):
        return False
    return bool(np.isclose(old.scale * float(layer.scale), new.scale, rtol=1e-6))
