"""Layer by layer: each layer's codes are chosen on the inputs that arrive from the layers before as already quantized.

Enter a network of nearest codes and the float network it was made from; leaves one with the codes of a `Rounding`.
"""

from dataclasses import replace

import numpy as np

from ..network import layers as L
from ..network.graph import Network
from .moments import Moments, groups_of, moments_of
from .rounding import Problem, Rounding

_INT32 = np.iinfo(np.int32)


def rounded(codes: Network, real: Network, samples: np.ndarray, rounding: Rounding, *, correct_bias: bool) -> Network:
    """The quantized network with the codes that `rounding` chooses, layer after layer.

    With `correct_bias` the codes are chosen on moments about the mean, and the bias then takes up what the mean of
    each channel is off by: b' = b + W mean(x) - V mean(a).
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):  # the bits of BLAS depend on the number of its threads
        for layer in real.weighted:
            found = moments_of(real, codes, layer.name, samples)
            new = _rounded(codes.layer(layer.name), layer, found, rounding, centred=correct_bias)
            if correct_bias:
                new = _with_mean(new, layer, found, codes.grids[layer.inputs[0]].scale)
            codes = codes.replace(layers=tuple(new if x.name == new.name else x for x in codes.layers))
    return codes


def _rounded(layer: L.Weighted, real: L.Weighted, found: tuple[Moments, ...], rounding, *, centred: bool):
    """The layer with new codes."""
    grid, rows = layer.weight_grid, (len(layer.weight), -1)
    steps = np.broadcast_to(grid.steps_of(layer.weight.shape), layer.weight.shape).reshape(rows)
    weight = real.weight.astype(np.float64).reshape(rows)
    parts = []
    for moments, these in zip(found, _split(np.arange(len(weight)), layer), strict=True):
        moments = moments.centred() if centred else moments
        parts.append(rounding.codes(Problem(weight[these], steps[these], grid.high, moments)))
    return replace(layer, weight=np.concatenate(parts).astype(np.int8).reshape(layer.weight.shape))


def _with_mean(layer: L.Weighted, real: L.Weighted, found: tuple[Moments, ...], in_scale: float) -> L.Weighted:
    """The layer with the bias that gives each channel its mean, in steps of the accumulator."""
    shape = (len(layer.weight), -1)
    wanted, got = real.weight.astype(np.float64).reshape(shape), layer.weight_steps.reshape(shape)
    unit = np.broadcast_to(np.asarray(layer.weight_grid.scale), len(layer.weight)) * in_scale
    bias = 0.0 if real.bias is None else real.bias.astype(np.float64)
    mean = np.concatenate([wanted[m] @ f.mean for f, m in zip(found, _split(np.arange(shape[0]), layer), strict=True)])
    sums = [
        got[m] @ (f.mean_arriving / in_scale) for f, m in zip(found, _split(np.arange(shape[0]), layer), strict=True)
    ]
    steps = np.rint((bias + mean) / unit - np.concatenate(sums))
    return replace(layer, bias=np.clip(steps, _INT32.min, _INT32.max).astype(np.int32))


def _split(outputs: np.ndarray, layer: L.Weighted) -> list[np.ndarray]:
    """Outputs of each group of a layer."""
    return np.split(outputs, groups_of(layer))
