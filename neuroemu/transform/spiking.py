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
from ..errors import InputError
from ..network import layers as L
from ..network import ops
from ..network.floating import run_float
from ..network.graph import INPUT, Network
from ..network.grids import Grid
from ..network.shapes import output_shape
from .balance import balanced_threshold, fire, integer_bias, weight_shift
from .calibration import KEPT_SAMPLES, check_samples
from .driving import Train, driven
from .quantize import grid_for
from .stages import Stage, decoded, stages_of

BALANCE_SAMPLES, BALANCE_WORK = 256, 2048  # samples used: at most the first, and at most the second over the steps
FEWEST_SAMPLES = 8
INPUT_MAX = 255  # largest input code
WEIGHT_BITS = (8, 7, 6, 5, 4)  # tried in turn until thresholds and biases fit their registers
READ_OUT_SHIFT = 7


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
        Average pooling becomes a layer of neurons. Additions convert where a ReLU follows: both paths drive the same
        neurons, and a path that skips becomes weights from one neuron to one. Concatenations convert behind ReLUs. Max
        pooling is refused.
    steps : int, 1 to 4096
        Presentation time.
    samples : ``(S, *input_shape)`` array
        Training inputs; thresholds are balanced on the first 2,048 / steps of them, 8 to 256.
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
    _checks.instance(network, Network, who="to_spiking", name="network")
    _checks.integer(steps, who="to_spiking", name="steps", low=1, high=4096)
    _checks.choice(coding, [c for c in L.CODINGS if c != "spikes"], who="to_spiking", name="coding")
    _checks.choice(reset, L.RESETS, who="to_spiking", name="reset")
    if network.spiking:
        raise InputError(f"to_spiking: network '{network.name}' is spiking already")
    samples = check_samples(samples, network, who="to_spiking")
    real = decoded(network)
    stages = stages_of(real)
    top = _input_top(network, samples)
    used = min(BALANCE_SAMPLES, max(FEWEST_SAMPLES, BALANCE_WORK // steps))
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


def _input_top(network: Network, samples) -> float:
    """The input value that fires at every step: the top of the input grid, or the largest sample."""
    if samples.min() < 0:
        raise InputError(
            f"to_spiking: samples go down to {samples.min():.4g}; spikes carry no sign: shift the inputs to start at 0"
        )
    if not samples.any():
        raise InputError("to_spiking: samples are all zero; thresholds need inputs that drive the network")
    grid = network.grids.get(INPUT) or grid_for(0.0, float(samples.max()), bits=8)
    return float(grid.scale * (grid.high - grid.zero_point))


def _convert(network, plan, samples, top, steps, coding, reset) -> list[L.Layer]:
    """Encode, then for each stage its weighted layers and its Lif, balanced in order."""
    items, after = plan
    stages = [item for item in items if isinstance(item, Stage)]
    _, targets = run_float(network, samples, keep=[stage.activation for stage in stages])
    encode, spikes, gain = _encoder(samples / top * INPUT_MAX, steps, coding, reset)
    layers: list[L.Layer] = [encode]
    trains = {INPUT: Train(spikes, gain * top / INPUT_MAX)}
    for item in items:
        if not isinstance(item, Stage):
            layers.append(_renamed(item))
            trains[item.name] = _moved(item, [trains[name] for name in item.inputs])
        elif item.last:
            layers += _read_out(item, trains, steps)
        else:
            added, trains[item.activation] = _hidden(item, trains, targets[item.activation], steps, reset)
            layers += added
    for mover in after:
        layers.append(replace(mover, inputs=(layers[-1].name,)))
    return layers


def _renamed(layer: L.Layer) -> L.Layer:
    """A layer that reads the encoder where it read the input."""
    return replace(layer, inputs=tuple("encode" if name == INPUT else name for name in layer.inputs))


def _moved(layer: L.Layer, trains: list[Train]) -> Train:
    """The spikes behind a rearrangement or a join."""
    if isinstance(layer, L.Concat):
        spikes = np.concatenate([train.spikes for train in trains], axis=2 + layer.axis)
        units = [np.broadcast_to(train.unit, train.spikes.shape[2:]) for train in trains]
        return Train(spikes, np.concatenate(units, axis=layer.axis))
    (train,) = trains
    shape = output_shape(layer, [train.spikes.shape[2:]])
    unit = train.unit if np.ndim(train.unit) == 0 else ops.rearrange(layer, train.unit[None], shape)[0]
    return Train(np.stack([ops.rearrange(layer, s, shape) for s in train.spikes]), unit)


def _encoder(codes: np.ndarray, steps: int, coding: str, reset: str) -> tuple[L.Encode, np.ndarray, float]:
    """The input layer, its spikes (T, B, ...) on the samples, and the input code that one spike at every step means."""
    codes = np.rint(codes).astype(np.float32)
    if coding == "poisson":
        full = INPUT_MAX * L.POTENTIAL_UNIT
        encode = L.Encode(name="encode", coding=coding, code_max=INPUT_MAX, threshold=full, reset=reset)
        return encode, np.random.default_rng(0).random((steps, *codes.shape)) * INPUT_MAX < codes, INPUT_MAX
    drive = np.broadcast_to(codes * L.POTENTIAL_UNIT, (steps, *codes.shape))
    level, gain = balanced_threshold(drive, codes * L.POTENTIAL_UNIT, reset)
    # The comparison is strict, so an input that just reaches the threshold must be let through.
    threshold = max(1, round(level / L.POTENTIAL_UNIT) - (reset == "zero")) * L.POTENTIAL_UNIT
    initial = threshold // 2
    encode = L.Encode(
        name="encode", coding=coding, code_max=INPUT_MAX, threshold=threshold, initial_voltage=initial, reset=reset
    )
    return encode, fire(drive, threshold, initial, reset), gain / L.POTENTIAL_UNIT


def _hidden(stage: Stage, trains, target, steps, reset) -> tuple[list[L.Layer], Train]:
    """The integer layers of one stage and its spikes on the samples."""
    for bits in WEIGHT_BITS:
        found = driven(stage, trains, bits=bits)
        goal = target.reshape(len(target), *found.drive.shape[2:]) / found.per_code
        level, gain = balanced_threshold(found.drive, goal, reset)
        shift = weight_shift(found.worst, found.bias, level, steps)
        if shift is not None:
            break
    else:
        raise _no_registers(stage)
    threshold = max(1, round(level * 2.0**shift / L.POTENTIAL_UNIT)) * L.POTENTIAL_UNIT
    initial = threshold // 2
    lif = L.Lif(
        name=stage.activation, threshold=threshold, bias=integer_bias(found.bias * 2.0**shift), weight_shift=shift,
        initial_voltage=initial, reset=reset, scale=found.per_code / 2.0**shift,
    )  # fmt: skip
    spikes = fire(found.drive * np.float32(2.0**shift), threshold, initial, reset)
    return _linked(stage, found.layers, lif), Train(spikes, found.per_code * gain)


def _linked(stage: Stage, weighted, lif: L.Lif) -> list[L.Layer]:
    """The weighted layers of a stage, the additions of their sums, and its neurons."""
    layers: list[L.Layer] = [_renamed(layer) for layer in weighted]
    total = layers[0].name
    for count, layer in enumerate(layers[1:], start=2):
        name = stage.total if count == len(weighted) else f"{stage.total}/{count}"
        layers.append(L.Add(name=name, inputs=(total, layer.name)))
        total = name
    return [*layers, replace(lif, inputs=(total,))]


def _read_out(stage: Stage, trains, steps) -> list[L.Layer]:
    """The last layer: potentials that add up over the presentation, with a factor 2 of room on the samples."""
    for bits in WEIGHT_BITS:
        found = driven(stage, trains, bits=bits)
        largest = float(np.abs(found.drive.cumsum(axis=0, dtype=np.float64)).max())
        # The potential needs room for what adds up, the register for the bias; coarser weights need less of both.
        room = weight_shift(found.worst, found.bias, largest, 1)
        if room is not None:
            break
    else:
        raise _no_registers(stage)
    shift = min(room, READ_OUT_SHIFT)
    lif = L.Lif(
        name=stage.activation + "/potential", threshold=None, bias=integer_bias(found.bias * 2.0**shift),
        weight_shift=shift, scale=found.per_code / 2.0**shift / steps,
    )  # fmt: skip
    return _linked(stage, found.layers, lif)


def _no_registers(stage: Stage) -> InputError:
    return InputError(
        f"to_spiking: layer '{stage.branches[0].layer.name}': its biases or activations are too large beside its "
        "weights for the registers; scale the weights of the layer up and those after it down"
    )
