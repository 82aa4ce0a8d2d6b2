"""to_spiking: a network of clipped linear units becomes one of integrate-and-fire neurons, in integers.

A unit's activation a in [0, lambda] becomes a firing rate a / lambda over the presentation. With incoming rates r, a
neuron adds sum_j w_j lambda_in r_j + b per step and fires when that passes lambda; dividing by lambda_in and the
weight step gives integer codes, an integer threshold and an integer bias.

Thresholds are balanced layer by layer on sample inputs: of several candidates around the largest activation, the one
whose rates, computed from the spikes that really arrive, come closest to the float activations.

References
----------
P. U. Diehl et al., IJCNN 2015, doi:10.1109/IJCNN.2015.7280696 (threshold balancing).
B. Rueckauer et al., Front. Neurosci. 2017, doi:10.3389/fnins.2017.00682 (rates, biases, reset by subtraction).
T. Bu et al., ICLR 2022, arXiv:2303.04347 (initial potential of half a threshold).
"""

from dataclasses import replace

import numpy as np

from .. import _checks
from ..errors import InputError, UnsupportedError
from ..network import layers as L
from ..network import ops
from ..network.floating import run_float
from ..network.graph import INPUT, Network
from ..network.grids import Grid
from .balance import MIN_SHIFT, VOLTAGE_LIMIT, balanced_threshold, fire, integer_bias, weight_shift
from .calibration import KEPT_SAMPLES, check_samples
from .quantize import grid_for, weight_grid

CODINGS = ("direct", "poisson")
RESETS = ("zero", "subtract")
BALANCE_SAMPLES, BALANCE_WORK = 256, 2048  # samples used: at most the first, and at most the second over the steps
INPUT_UNIT = 64  # potential units per input code: biasMant = code, biasExp = 6
INPUT_MAX = 255  # largest input code


def to_spiking(
    network: Network,
    *,
    steps: int,
    samples: np.ndarray,
    coding: str = "direct",
    reset: str = "zero",
    name: str | None = None,
) -> Network:
    """Spiking version of a network of weighted layers with ReLU-like clips.

    Parameters
    ----------
    network : Network
        Float or quantized. Weights become 8-bit codes with one step per layer, since a layer has one threshold.
        Average pooling becomes a layer of neurons; max pooling and additions are refused.
    steps : int, 1 to 4096
        Presentation time.
    samples : (S, *input_shape) array
        Training inputs; thresholds are balanced on the first 2,048 / steps of them, 16 to 256.
    coding : {"direct", "poisson"}
        "direct": a compartment per input integrates the input value and fires at a steady rate. "poisson": an
        independent spike each step with probability input / largest input.
    reset : {"zero", "subtract"}
        What a spike does to the potential. Loihi 1 resets to zero; subtraction takes two compartments a neuron there.
    name : str, optional

    Returns
    -------
    Network
        With Encode and Lif layers; the last Lif has no threshold and its final potential is the output.

    Raises
    ------
    UnsupportedError
        A layer that has no spiking form, named with the remedy.
    InputError
        Arguments out of range, samples that do not fit, or inputs below zero.
    """
    _checks.integer(steps, who="to_spiking", name="steps", low=1, high=4096)
    _checks.choice(coding, CODINGS, who="to_spiking", name="coding")
    _checks.choice(reset, RESETS, who="to_spiking", name="reset")
    if network.spiking:
        raise InputError(f"to_spiking: network '{network.name}' is spiking already")
    samples = check_samples(samples, network, who="to_spiking")
    real = decoded(network)
    stages = _stages(real)
    top = _input_top(network, samples)
    used = min(BALANCE_SAMPLES, max(16, BALANCE_WORK // steps))
    layers = _convert(real, stages, samples[:used], top, steps, coding, reset)
    code_max = layers[0].code_max
    return Network(
        layers=tuple(layers),
        input_shape=network.input_shape,
        name=name or f"{network.name} ({steps} steps, {reset})",
        grids={INPUT: Grid(scale=top / code_max, zero_point=-128)},
        samples=samples[:KEPT_SAMPLES],
        steps=steps,
    )


def decoded(network: Network) -> Network:
    """The float network that computes with the real values of a quantized one's codes."""
    if not network.quantized:
        return network
    layers = []
    for layer in network.layers:
        if isinstance(layer, L.Weighted):
            bias = layer.bias
            if bias is not None:
                scale = np.asarray(layer.weight_grid.scale) * network.grids[layer.inputs[0]].scale
                bias = (bias * scale).astype(np.float32)
            layer = replace(layer, weight=layer.weight_grid.decode(layer.weight), bias=bias, weight_grid=None)
        layers.append(layer)
    return network.replace(layers=tuple(layers), grids={})


class _Stage:
    """A weighted layer in real numbers, the rearrangements before it, and the tensor that its neurons stand for."""

    def __init__(self, layer: L.Weighted, before: list[L.Layer], activation: str, gain: float, last: bool):
        self.layer, self.before, self.activation, self.gain, self.last = layer, before, activation, gain, last


def _stages(network: Network) -> list[_Stage]:
    """The chain of weighted layers, each with the clip that follows it."""
    stages, before, gain, source = [], [], 1.0, INPUT
    pending: L.Weighted | None = None
    for layer in network.layers:
        if layer.inputs != (source,):
            raise UnsupportedError(
                f"to_spiking: {type(layer).__name__} '{layer.name}' branches or joins; only chains of layers convert"
            )
        source = layer.name
        if isinstance(layer, L.Clip):
            _check_clip(layer, pending)
            stages.append(_Stage(pending, before, layer.name, gain, False))
            pending, before, gain = None, [], 1.0
        elif isinstance(layer, L.Weighted):
            _check_not_pending(pending, layer)
            pending = layer
        elif isinstance(layer, L.AveragePool2d | L.GlobalAveragePool):
            _check_not_pending(pending, layer)
            pool, after = _pool_as_conv(layer, network.shapes[layer.inputs[0]])
            stages.append(_Stage(pool, before, layer.name, gain, False))
            before, gain = after, 1.0
        elif isinstance(layer, L.Flatten | L.Reshape | L.Transpose) and pending is None:
            before = [*before, layer]
        elif isinstance(layer, L.Scale) and _is_gain(layer) and pending is None:
            gain *= float(layer.scale)
        elif isinstance(layer, L.Softmax) and layer.name == network.output:
            continue  # keeps the order of the classes
        elif not (isinstance(layer, L.Flatten | L.Reshape) and layer.name == network.output):
            raise UnsupportedError(
                f"to_spiking: {type(layer).__name__} '{layer.name}' has no spiking form here; {_remedy(layer)}"
            )
    if pending is None:
        raise UnsupportedError(
            f"to_spiking: network '{network.name}' does not end with a weighted layer, which the read-out needs"
        )
    return [*stages, _Stage(pending, before, pending.name, gain, True)]


def _remedy(layer) -> str:
    if isinstance(layer, L.MaxPool2d):
        return "train with strided convolutions or average pooling"
    if isinstance(layer, L.BatchNorm | L.Scale):
        return "call fold(network) first"
    return "use a network of Dense, Conv2d, average pooling and Clip (ReLU) layers"


def _is_gain(layer: L.Scale) -> bool:
    return not layer.scale.ndim and not layer.offset.any() and float(layer.scale) > 0


def _check_clip(layer: L.Clip, pending):
    if pending is None or layer.low != 0.0:
        raise UnsupportedError(f"to_spiking: Clip '{layer.name}' must follow a weighted layer and start at 0 (ReLU)")


def _check_not_pending(pending, layer):
    if pending is not None:
        raise UnsupportedError(
            f"to_spiking: '{layer.name}' follows '{pending.name}' without a ReLU between them; merge the two "
            "or add a Clip(low=0)"
        )


def _pool_as_conv(layer, shape) -> tuple[L.Conv2d, list[L.Layer]]:
    """Averaging as a depthwise convolution, and the rearrangement that follows it."""
    channels, high, wide = shape
    if isinstance(layer, L.GlobalAveragePool):
        size, stride, after = (high, wide), (1, 1), [] if layer.keep_dims else [L.Flatten(name=layer.name + "/flatten")]
    else:
        if layer.padding != ((0, 0), (0, 0)) and not layer.count_padding:
            raise UnsupportedError(
                f"to_spiking: AveragePool2d '{layer.name}' divides by less at the border; use padding 0"
            )
        size, stride, after = layer.size, layer.stride, []
    weight = np.full((channels, 1, *size), 1.0 / (size[0] * size[1]), np.float32)
    padding = getattr(layer, "padding", ((0, 0), (0, 0)))
    conv = L.Conv2d(name=layer.name + "/sum", weight=weight, stride=stride, padding=padding, groups=channels)
    return conv, after


def _input_top(network: Network, samples) -> float:
    """The input value that fires at every step: the top of the input grid, or the largest sample."""
    if samples.min() < 0:
        raise InputError(
            f"to_spiking: samples go down to {samples.min():.4g}; spikes carry no sign: shift the inputs to start at 0"
        )
    grid = network.grids.get(INPUT) or grid_for(0.0, float(samples.max()), bits=8)
    return float(grid.scale * (grid.high - grid.zero_point))


def _convert(network, stages, samples, top, steps, coding, reset) -> list[L.Layer]:
    """Encode, then for each stage its weighted layer and its Lif, balanced in order."""
    _, targets = run_float(network, samples, keep=[s.activation for s in stages])
    encode, spikes, gain = _encoder(samples / top * INPUT_MAX, steps, coding, reset)
    layers: list[L.Layer] = [encode]
    unit = gain * top / INPUT_MAX  # real value of one spike at every step
    for stage in stages:
        source = layers[-1].name
        for mover in stage.before:
            layers.append(replace(mover, inputs=(source,)))
            source = mover.name
            spikes = np.stack([ops.rearrange(mover, s, _after(mover, s)) for s in spikes])
        connection = replace(stage.layer, inputs=(source,))
        weighted, lif, unit, spikes = _stage_layers(
            connection, stage, unit, spikes, targets[stage.activation], steps, reset
        )
        layers += [weighted, lif]
    return layers


def _after(mover, array):
    from ..network.shapes import output_shape

    return output_shape(mover, [array.shape[1:]])


def _encoder(codes: np.ndarray, steps: int, coding: str, reset: str) -> tuple[L.Encode, np.ndarray, float]:
    """The input layer, its spikes (T, B, ...) on the samples, and the input code that one spike at every step means."""
    codes = np.rint(codes)
    if coding == "poisson":
        encode = L.Encode(
            name="encode", coding=coding, code_max=INPUT_MAX, threshold=INPUT_MAX * INPUT_UNIT, reset=reset
        )
        return encode, np.random.default_rng(0).random((steps, *codes.shape)) * INPUT_MAX < codes, INPUT_MAX
    drive = np.broadcast_to(codes * INPUT_UNIT, (steps, *codes.shape))
    level, gain = balanced_threshold(drive, codes * INPUT_UNIT, reset)
    # The comparison is strict, so an input that just reaches the threshold must be let through.
    threshold = max(1, round(level / INPUT_UNIT) - (reset == "zero")) * INPUT_UNIT
    initial = threshold // 2
    encode = L.Encode(
        name="encode", coding=coding, code_max=INPUT_MAX, threshold=threshold, initial_voltage=initial, reset=reset
    )
    return encode, fire(drive, threshold, initial, reset), gain / INPUT_UNIT


def _stage_layers(connection, stage, unit, spikes, target, steps, reset):
    """The integer layers of one stage, the real value of its spikes, and its spikes on the samples."""
    if stage.last:
        return _read_out(connection, stage, unit, spikes, steps)
    weighted, drive, bias, per_code = _driven(connection, stage, unit, spikes, bits=8)
    codes = weighted.weight
    goal = target.reshape(target.shape[0], *drive.shape[2:])
    level, gain = balanced_threshold(drive, goal / per_code, reset)
    shift = weight_shift(codes, level, steps)
    threshold = max(1, round(level * 2.0**shift / 64)) * 64
    initial = threshold // 2
    lif = L.Lif(
        name=stage.activation, threshold=threshold, bias=integer_bias(bias * 2.0**shift), weight_shift=shift,
        initial_voltage=initial, reset=reset, scale=per_code / 2.0**shift,
    )  # fmt: skip
    return weighted, lif, per_code * gain, fire(drive * 2.0**shift, threshold, initial, reset)


def _read_out(connection, stage, unit, spikes, steps):
    """The last layer: potentials that add up over the presentation with a factor 2 of room on the samples."""
    for bits in (8, 7, 6, 5, 4):
        weighted, drive, bias, per_code = _driven(connection, stage, unit, spikes, bits=bits)
        largest = float(np.abs(drive.cumsum(axis=0)).max())
        if largest * 2.0**MIN_SHIFT < VOLTAGE_LIMIT:
            break
    shift = MIN_SHIFT + (largest * 2.0 ** (MIN_SHIFT + 1) < VOLTAGE_LIMIT)
    lif = L.Lif(
        name=connection.name + "/potential", threshold=None, bias=integer_bias(bias * 2.0**shift), weight_shift=shift,
        scale=per_code / 2.0**shift / steps,
    )  # fmt: skip
    return weighted, lif, per_code, None


def _driven(connection, stage, unit, spikes, *, bits):
    """The layer with integer codes, what its neurons receive (T, B, ...), their bias, and the real value of a code."""
    grid = weight_grid(connection.weight, bits=bits, per_channel=False)
    codes = grid.encode(connection.weight)
    per_code = grid.scale * unit * stage.gain  # of a spike at every step
    bias = np.zeros(len(codes)) if connection.bias is None else connection.bias / per_code
    driven = [_sums(connection, codes, s) for s in spikes]
    drive = np.stack(driven) + _channels(bias, driven[0].ndim)
    return replace(connection, weight=codes, weight_grid=grid, bias=None), drive, bias, per_code


def _sums(connection, codes, spikes):
    return ops.weighted_sum(connection, spikes.astype(np.float32), codes.astype(np.float32), ops.exact_product)


def _channels(values, ndim):
    return ops.along_channels(np.asarray(values, np.float64), ndim) if ndim == 4 else np.asarray(values, np.float64)
