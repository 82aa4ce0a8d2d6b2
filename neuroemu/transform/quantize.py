"""quantize: a float Network becomes one of integer codes, by post-training quantization on sample inputs.

Weights: symmetric, per output channel, scale = max|w| / (2^(bits-1) - 1). Activations: affine, one grid per tensor.
Reference: R. Krishnamoorthi, arXiv:1806.08342, sections 3.1.1, 3.1.2 and 3.1.3.
"""

from dataclasses import replace

import numpy as np

from .. import _checks
from ..errors import ArgumentTypeError, InputError
from ..network import layers as L
from ..network.graph import INPUT, Network
from ..network.grids import Grid
from .bias import correct
from .calibration import (
    KEPT_SAMPLES,
    Calibration,
    MinMax,
    check_samples,
    names_followed_by,
    observe,
    scale_and_zero,
)
from .fold import fold

# Layers that move or select values: what they write is on the grid of what they read.
_SAME_GRID = (L.Flatten, L.Reshape, L.Transpose, L.MaxPool2d, L.AveragePool2d, L.GlobalAveragePool)


def quantize(
    network: Network,
    *,
    weight_bits: int = 8,
    activation_bits: int = 8,
    samples: np.ndarray,
    calibration: Calibration | None = None,
    per_channel: bool = True,
    correct_bias: bool = False,
) -> Network:
    """Integer version of a float network.

    Parameters
    ----------
    network : Network
        Float; batch normalisation is folded first.
    weight_bits, activation_bits : int, 2 to 8
        The input and the output tensor keep 8 bits.
    samples : ``(S, *input_shape)`` array
        Training inputs to calibrate on; some are kept in the network for chips to calibrate on.
    calibration : MinMax, Percentile, Mse or Entropy, default MinMax()
    per_channel : bool
        One weight step per output channel, or one per layer.
    correct_bias : bool
        Take out of each bias what rounding shifts the mean of its channel by, as measured on the samples; see
        `neuroemu.transform.bias.correct`.

    Returns
    -------
    Network
        With int8 weight codes, int32 biases, a grid per tensor, and rounding "half_even".

    Raises
    ------
    InputError
        Quantized already, bits out of range, or samples that do not fit.
    """
    _checks.instance(network, Network, who="quantize", name="network")
    if network.quantized or network.spiking:
        raise InputError(f"quantize: network '{network.name}' is quantized already; start from the float network")
    _checks.integer(weight_bits, who="quantize", name="weight_bits", low=2, high=8)
    _checks.integer(activation_bits, who="quantize", name="activation_bits", low=2, high=8)
    calibration = MinMax() if calibration is None else calibration
    if not isinstance(calibration, Calibration):
        raise ArgumentTypeError(
            f"quantize: calibration is {calibration!r}; give MinMax(), Percentile(...), Mse() or Entropy()"
        )
    _checks.instance(correct_bias, bool, who="quantize", name="correct_bias")
    network = fold(network)
    samples = check_samples(samples, network, who="quantize")
    grids = _grids(network, observe(network, samples, calibration), calibration, activation_bits)
    layers = tuple(
        _quantized(layer, grids[layer.inputs[0]], weight_bits, per_channel) if isinstance(layer, L.Weighted) else layer
        for layer in network.layers
    )
    codes = network.replace(layers=layers, grids=grids, rounding="half_even", samples=samples[:KEPT_SAMPLES])
    return correct(codes, network, samples) if correct_bias else codes


def calibrate(network: Network, samples: np.ndarray) -> Network:
    """The network with sample inputs attached, for chips to calibrate converters and drift compensation on.

    `quantize` does this by itself; a network that was read from a quantized file needs it. Use training inputs.
    """
    _checks.instance(network, Network, who="calibrate", name="network")
    return network.replace(samples=check_samples(samples, network, who="calibrate")[:KEPT_SAMPLES])


def _grids(network: Network, seen, calibration: Calibration, bits: int) -> dict[str, Grid]:
    """A grid for every tensor up to the last weighted layer's output, from what `observe` saw."""

    def grid(name, bits):
        return grid_for(*calibration.range(seen[name], bits), bits=bits)

    # A layer whose only reader clips shares the grid of what is left: its accumulator saturates there.
    clipped_by = dict(names_followed_by(network, L.Clip))
    last = network.weighted[-1].name if network.weighted else network.output
    outputs = _at_or_after(network, last)
    grids = {INPUT: grid(INPUT, 8)}
    for layer in network.layers:
        source = grids.get(layer.inputs[0])
        if source is None or (isinstance(layer, L.Softmax) and layer.name in outputs):
            continue  # after the output grid: real numbers
        if isinstance(layer, _SAME_GRID):
            grids[layer.name] = source
        elif isinstance(layer, L.Scale) and not layer.scale.ndim and not layer.offset.any() and layer.scale > 0:
            grids[layer.name] = replace(source, scale=source.scale * float(layer.scale))
        elif isinstance(layer, L.Clip) and clipped_by.get(layer.inputs[0]) == layer.name and layer.inputs[0] != INPUT:
            grids[layer.name] = source
        else:
            name = clipped_by.get(layer.name, layer.name)
            grids[layer.name] = grid(name, 8 if layer.name in outputs else bits)
    return grids


def _at_or_after(network, last: str) -> set[str]:
    names = [layer.name for layer in network.layers]
    return set(names[names.index(last) :])


def grid_for(low: float, high: float, *, bits: int) -> Grid:
    """The grid of 2^bits codes that covers [low, high] and has a code for exactly zero."""
    scale, zero = scale_and_zero(min(low, 0.0), max(high, 0.0), bits)
    return Grid(scale=float(scale), zero_point=int(zero), bits=bits)


def _quantized(layer: L.Weighted, in_grid: Grid, bits: int, per_channel: bool) -> L.Weighted:
    needed = None
    if layer.bias is not None:
        # The bias lives on the grid of the accumulator, whose step follows from the weights; it must fit 32 bits.
        needed = np.abs(layer.bias.astype(np.float64)) / in_grid.scale
    grid = weight_grid(layer.weight, bits=bits, per_channel=per_channel, bias=needed)
    bias = None
    if layer.bias is not None:
        steps = layer.bias.astype(np.float64) / (np.asarray(grid.scale) * in_grid.scale)
        bias = np.rint(steps).astype(np.int32)
    return replace(layer, weight=grid.encode(layer.weight), bias=bias, weight_grid=grid)


def weight_grid(weight: np.ndarray, *, bits: int, per_channel: bool, bias: np.ndarray | None = None) -> Grid:
    """Symmetric grid whose largest code is max|w|, per output channel (axis 0) or per layer.

    `bias`, in units of weight times input code, keeps the step of a channel with tiny weights wide enough for its bias
    to fit 31 bits, and gives a channel without weights a step that resolves its bias to 20 bits.
    """
    top = (1 << (bits - 1)) - 1
    largest = np.abs(weight.astype(np.float64)).reshape(len(weight), -1).max(axis=1)
    bias = np.zeros(len(weight)) if bias is None else bias
    if not per_channel:
        largest, bias = largest.max(keepdims=True), bias.max(keepdims=True)
    without = np.where(bias > 0, bias / 2**20, 1.0)
    scale = np.where(largest > 0, np.maximum(largest / top, bias / 2**30), without)
    return Grid(scale=scale, bits=bits, axis=0) if per_channel else Grid(scale=float(scale[0]), bits=bits)
