"""quantize: a float Network becomes one of integer codes, by post-training quantization on sample inputs.

Weights: symmetric, per output channel, scale = max|w| / (2^(bits-1) - 1), or as `weights` has it. Activations: affine,
one grid per tensor. Reference: R. Krishnamoorthi, arXiv:1806.08342, sections 3.1.1, 3.1.2 and 3.1.3.
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
from .layerwise import rounded
from .rounding import Nearest, Rounding
from .weights import Groups, check_weight_calibration, encode, weight_grid

__all__ = ["calibrate", "grid_for", "quantize", "weight_grid"]

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
    groups: Groups | None = None,
    weight_calibration: Calibration | None = None,
    rounding: Rounding | None = None,
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
    groups : Groups, optional
        Weight steps by group of inputs, `Groups(64)`. On crossbars a group takes row tiles of its own, so choose a
        multiple or divisor of their rows; systolic arrays, which add partial sums up unscaled, refuse.
    weight_calibration : MinMax or Mse, default MinMax()
        Range of the weights of each channel, group or layer. `Mse()` clips where that lowers the squared error; it is
        worth it below 5 bits.
    rounding : Nearest, Gptq or AdaRound, default Nearest()
        How weights become codes. The last two work on the samples, layer after layer, on the inputs that arrive from
        the layers before as quantized; with `correct_bias` each layer's bias is corrected on the way.

    Returns
    -------
    Network
        With int8 weight codes, int32 biases, a grid per tensor, and rounding "half_even".

    Raises
    ------
    InputError
        Quantized already, bits out of range, samples that do not fit, or groups whose sums could pass 32 bits.
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
    rounding = Nearest() if rounding is None else _checks.instance(rounding, Rounding, who="quantize", name="rounding")
    weight_calibration = check_weight_calibration(weight_calibration)
    if groups is not None:
        _checks.instance(groups, Groups, who="quantize", name="groups")
        if not per_channel:
            raise InputError("quantize: groups are parts of a channel; use per_channel=True")
    network = fold(network)
    samples = check_samples(samples, network, who="quantize")
    grids = _grids(network, observe(network, samples, calibration), calibration, activation_bits)
    how = {"bits": weight_bits, "per_channel": per_channel, "groups": groups, "calibration": weight_calibration}
    layers = tuple(
        _quantized(layer, grids[layer.inputs[0]], how) if isinstance(layer, L.Weighted) else layer
        for layer in network.layers
    )
    codes = network.replace(layers=layers, grids=grids, rounding="half_even", samples=samples[:KEPT_SAMPLES])
    if not isinstance(rounding, Nearest):
        codes = rounded(codes, network, samples, rounding, correct_bias=correct_bias)
    elif correct_bias:
        codes = correct(codes, network, samples)
    _refuse_long_sums(codes)
    return codes


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


def _quantized(layer: L.Weighted, in_grid: Grid, how: dict) -> L.Weighted:
    needed = None
    if layer.bias is not None:
        # The bias lives on the grid of the accumulator, whose step follows from the weights; it must fit 32 bits.
        needed = np.abs(layer.bias.astype(np.float64)) / in_grid.scale
    grid = weight_grid(layer.weight, bias=needed, **how)
    bias = None
    if layer.bias is not None:
        steps = layer.bias.astype(np.float64) / (np.asarray(grid.scale) * in_grid.scale)
        bias = np.rint(steps).astype(np.int32)
    return replace(layer, weight=encode(grid, layer.weight), bias=bias, weight_grid=grid)


def _refuse_long_sums(network: Network) -> None:
    """Factors of groups make sums longer; what could leave 32 bits is refused."""
    for layer in network.weighted:
        if not layer.in_groups:
            continue
        grid = network.grids[layer.inputs[0]]
        widest = max(grid.high - grid.zero_point, grid.zero_point - grid.low)
        steps = np.abs(layer.weight_steps.astype(np.int64)).reshape(len(layer.weight), -1).sum(axis=1)
        bias = 0 if layer.bias is None else np.abs(layer.bias.astype(np.int64))
        longest = int((widest * steps + bias).max())
        if longest >= 2**31:
            raise InputError(
                f"quantize: sums of layer '{layer.name}' could reach {longest:,}, 32 bits hold {2**31 - 1:,}; use "
                "Groups(..., factor_bits=...) with fewer bits, or fewer weight_bits"
            )
