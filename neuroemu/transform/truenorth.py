"""to_truenorth: a network of clipped linear units becomes one of Fire neurons with weights that axon types can make.

Rates code activations, as in `to_spiking`: a / lambda over the presentation. What differs are the registers. Weights
are codes of 2 to 4 bits in units of the potential, with the step that loses least; biases become leaks, whole numbers
a tick; thresholds are whole numbers, chosen on sample inputs. The last layer fires too, and its spikes are counted.

Nothing is trained here. Few bits cost accuracy: fine-tune the network with them, or train one for the chip, as
training/train_truenorth.py of the source tree does.

References
----------
B. Rueckauer et al., Front. Neurosci. 2017, doi:10.3389/fnins.2017.00682 (rates, reset by subtraction).
"""

from dataclasses import replace

import numpy as np

from .. import _checks
from ..errors import InputError, UnsupportedError
from ..network import layers as L
from ..network import ops
from ..network.firing import BIAS_MAX, BIAS_MIN, THRESHOLD_MAX, Fire
from ..network.floating import run_float
from ..network.graph import INPUT, Network
from ..network.grids import Grid
from ..network.shapes import output_shape
from .calibration import check_samples
from .quantize import grid_for
from .stages import Stage, decoded, stages_of

INPUT_MAX = 255  # largest input code
RESETS = ("subtract", "zero")
CANDIDATES = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.15, 1.3, 1.5, 1.75, 2.0, 2.5, 3.0)  # times the largest activation
SHRINK = np.linspace(0.3, 1.0, 29)  # steps of weights that are tried, times that of the largest weight
SAMPLE_WORK = 4096  # samples times steps that thresholds are chosen on, 8 to 256 samples


def to_truenorth(
    network: Network,
    *,
    steps: int,
    samples: np.ndarray,
    weight_bits: int = 4,
    coding: str = "direct",
    reset: str = "subtract",
    name: str | None = None,
) -> Network:
    """Version of a network of weighted layers with ReLU-like clips for TrueNorth cores.

    Parameters
    ----------
    network : Network
        Float or quantized. Average pooling becomes a layer of neurons; max pooling and additions are refused.
    steps : int, 1 to 4096
        Ticks that an input is presented.
    samples : ``(S, *input_shape)`` array
        Training inputs; thresholds are chosen on the first 4,096 / steps of them, 8 to 256.
    weight_bits : int, 2 to 4
        2: weights -1, 0, 1, two axons an input where they cannot share types, so up to 128 inputs a neuron. 3: -3..3,
        three axons, 85 inputs. 4: -7..7, four axons, 64 inputs.
    coding : {"direct", "poisson"}
        Spikes of the inputs, made by the host: evenly spread, or by chance in each tick.
    reset : {"subtract", "zero"}
        What a spike does to the potential.
    name : str, optional

    Returns
    -------
    Network
        With Encode and Fire layers; its outputs are spike counts.

    Raises
    ------
    UnsupportedError
        A layer that has no spiking form, named with the remedy.
    InputError
        Arguments out of range, samples that do not fit, or inputs below zero.

    Notes
    -----
    Whether the network fits is for the chip to say: a neuron listens to 256 axons at most, see `group_channels` and
    `prune`.
    """
    who = "to_truenorth"
    _checks.instance(network, Network, who=who, name="network")
    _checks.integer(steps, who=who, name="steps", low=1, high=4096)
    _checks.integer(weight_bits, who=who, name="weight_bits", low=2, high=4)
    _checks.choice(coding, L.CODINGS, who=who, name="coding")
    _checks.choice(reset, RESETS, who=who, name="reset")
    if network.spiking:
        raise InputError(f"{who}: network '{network.name}' is spiking already")
    samples = check_samples(samples, network, who=who)[: min(256, max(8, SAMPLE_WORK // steps))]
    top = _input_top(network, samples)
    real = decoded(network)
    items, tail = stages_of(real)
    _check_chain(items)
    _, targets = run_float(real, samples, keep=[item.activation for item in items if isinstance(item, Stage)])
    encode, spikes = _encoder(samples / top * INPUT_MAX, steps, coding)
    layers, unit = [encode], top
    for item in items:
        source = (layers[-1].name,)
        if isinstance(item, Stage):
            branch = replace(item.branches[0], layer=replace(item.branches[0].layer, inputs=source))
            stage = replace(item, branches=(branch,))
            weighted, fire, unit, spikes = _stage(stage, unit, spikes, targets[item.activation], weight_bits, reset)
            layers += [weighted, fire]
        else:
            layers.append(replace(item, inputs=source))
            spikes = np.stack([ops.rearrange(item, s, output_shape(item, [s.shape[1:]])) for s in spikes])
    for mover in tail:
        layers.append(replace(mover, inputs=(layers[-1].name,)))
    return Network(
        layers=tuple(layers), input_shape=network.input_shape,
        name=name or f"{network.name} ({steps} ticks, {weight_bits} bits)",
        grids={INPUT: Grid(scale=top / INPUT_MAX, zero_point=-128)}, steps=steps,
    )  # fmt: skip


def _check_chain(items):
    """Refuse what adds up or joins several layers: an axon of a core has one source, and a rate one value."""
    source = INPUT
    for item in items:
        stage = isinstance(item, Stage)
        read = tuple(branch.layer.inputs[0] for branch in item.branches) if stage else item.inputs
        name = item.activation if stage else item.name
        if read != (source,):
            raise UnsupportedError(
                f"to_truenorth: '{name}' reads {', '.join(read)}; only chains of layers convert: use a network without "
                "additions and joins"
            )
        source = name


def _input_top(network: Network, samples) -> float:
    """The input value that spikes at every tick: the top of the input grid, or the largest sample."""
    if samples.min() < 0 or not samples.any():
        raise InputError(
            f"to_truenorth: samples span {samples.min():.4g}..{samples.max():.4g}; spikes carry no sign: shift the "
            "inputs to start at 0, and give some above it"
        )
    grid = network.grids.get(INPUT) or grid_for(0.0, float(samples.max()), bits=8)
    return float(grid.scale * (grid.high - grid.zero_point))


def _encoder(codes, steps, coding) -> tuple[L.Encode, np.ndarray]:
    """The input layer and its spikes (T, B, ...) on the samples: a rate of code / 255."""
    codes = np.rint(codes).clip(0, INPUT_MAX)
    full = INPUT_MAX * L.POTENTIAL_UNIT
    encode = L.Encode(
        name="encode", coding=coding, code_max=INPUT_MAX, threshold=full, initial_voltage=full // 2, reset="subtract"
    )
    if coding == "poisson":
        return encode, np.random.default_rng(0).random((steps, *codes.shape)) * INPUT_MAX < codes
    reached = np.arange(1, steps + 1).reshape(-1, *(1,) * codes.ndim) * codes * L.POTENTIAL_UNIT + full // 2
    counts = np.ceil(reached / full) - 1  # a spike where v > threshold, strictly
    return encode, np.diff(counts, axis=0, prepend=np.zeros((1, *codes.shape))) > 0


def _stage(stage: Stage, unit, spikes, target, bits, reset):
    """The integer layers of one stage, the real value of a spike of theirs at every tick, and their spikes."""
    layer, gain = stage.branches[0].layer, stage.branches[0].gain
    codes, step = _codes(layer.weight, bits)
    per_code = step * unit * gain
    leak = np.zeros(len(codes)) if layer.bias is None else layer.bias / per_code
    leak = np.clip(np.rint(leak), BIAS_MIN, BIAS_MAX).astype(np.int64)
    weights = codes.astype(np.float32)
    drive = np.stack([ops.weighted_sum(layer, s.astype(np.float32), weights, ops.exact_product) for s in spikes])
    drive = drive.astype(np.int64) + (leak if drive.ndim == 3 else leak[:, None, None])
    goal = np.maximum(target.reshape(len(target), *drive.shape[2:]) / per_code, 0.0)
    threshold, gain = _balanced(drive, goal, reset)
    weighted = replace(layer, weight=codes, weight_grid=Grid(1.0), bias=None)
    fire = Fire(name=_fire_name(stage), threshold=threshold, bias=leak, reset=reset, initial=threshold // 2)
    return weighted, fire, per_code * gain, _fired(drive, threshold, reset)


def _fire_name(stage: Stage) -> str:
    return f"{stage.activation}/fire" if stage.last else stage.activation


def _codes(weight, bits) -> tuple[np.ndarray, float]:
    """Codes int8 and the step between them that loses least in the mean square; a common factor goes to the step."""
    top = (1 << (bits - 1)) - 1
    largest = float(np.abs(weight).max())
    if not largest:
        return np.zeros(weight.shape, np.int8), 1.0
    steps = SHRINK * largest / top
    losses = [np.mean((np.clip(np.rint(weight / s), -top, top) * s - weight) ** 2) for s in steps]
    step = float(steps[int(np.argmin(losses))])
    codes = np.clip(np.rint(weight / step), -top, top).astype(np.int8)
    factor = max(1, int(np.gcd.reduce(codes, axis=None)))
    return codes // np.int8(factor), step * factor


def _balanced(drive, goal, reset) -> tuple[int, float]:
    """The whole threshold whose rates, times the gain, come nearest to the goal, and that gain."""
    largest = float(np.quantile(goal, 0.9999)) or float(goal.max())
    tried = {int(np.clip(np.rint(c * largest), 1, THRESHOLD_MAX)) for c in CANDIDATES}
    found = []
    for threshold in sorted(tried):
        rate = _fired(drive, threshold, reset).mean(axis=0, dtype=np.float64)
        square = float((rate * rate).sum())
        gain = float((rate * goal).sum()) / square if square else float(threshold)
        found.append((float(np.mean((gain * rate - goal) ** 2)), threshold, gain or float(threshold)))
    return min(found)[1:]


def _fired(drive, threshold, reset) -> np.ndarray:
    """Spikes of Fire neurons driven by `drive` (T, B, ...), whole numbers."""
    v, found = np.full(drive.shape[1:], threshold // 2, np.int64), np.empty(drive.shape, bool)
    for t, step in enumerate(drive):
        v += step
        found[t] = v >= threshold
        v = v - threshold * found[t] if reset == "subtract" else np.where(found[t], 0, v)
    return found
