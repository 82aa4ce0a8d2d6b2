"""The integer layers of each stage: encoder, hidden neurons, pools that fire with any input, and the read-out.

Enter a stage and the spikes of what it reads on the samples; leave its weighted layers and neurons with registers that
a core holds, and its own spikes.
"""

from dataclasses import dataclass, replace

import numpy as np

from ..errors import InputError
from ..network import layers as L
from ..network.graph import INPUT
from .balance import Balance, Layer
from .driving import Train, channel_means, corrected, driven, shifted
from .firing import Firing
from .registers import MIN_SHIFT, integer_bias, weight_shift
from .stages import Stage

INPUT_MAX = 255  # largest input code
WEIGHT_BITS = (8, 7, 6, 5, 4)  # tried in turn until thresholds and biases fit their registers
READ_OUT_SHIFT = 7
MOST_REFRACTORY = 64  # steps, the longest distance of two spikes that a register can demand


@dataclass(frozen=True)
class How:
    """How a network is to be converted."""

    steps: int
    coding: str
    firing: Firing
    balance: Balance
    correct_bias: bool

    @property
    def current_decay(self) -> int:
        """Register: 0 keeps 4095/4096 of a current, 4095 nothing."""
        return 0 if self.firing.once else 4095

    @property
    def refractory(self) -> int:
        return MOST_REFRACTORY if self.firing.once else 1


def encoder(codes: np.ndarray, top: float, how: How) -> tuple[L.Encode, Train]:
    """The input layer and its spikes on the samples."""
    codes = np.rint(codes).astype(np.float32)
    if how.coding == "poisson":
        full = INPUT_MAX * L.POTENTIAL_UNIT
        encode = L.Encode(name="encode", coding=how.coding, code_max=INPUT_MAX, threshold=full, reset=how.firing.reset)
        drawn = np.random.default_rng(0).random((how.steps, *codes.shape)) * INPUT_MAX < codes
        return encode, Train(drawn, top)
    drive = np.broadcast_to(codes * L.POTENTIAL_UNIT, (how.steps, *codes.shape))
    full = float(INPUT_MAX * L.POTENTIAL_UNIT)
    level, gain = how.balance.threshold(Layer("encode", drive, codes * L.POTENTIAL_UNIT, full, how.firing))
    # The comparison is strict, so an input that just reaches the threshold must be let through.
    threshold = max(1, round(level / L.POTENTIAL_UNIT) - (how.firing.reset == "zero")) * L.POTENTIAL_UNIT
    initial = int(threshold * how.firing.start)
    encode = L.Encode(
        name="encode", coding="direct", code_max=INPUT_MAX, threshold=threshold, initial_voltage=initial,
        reset=how.firing.reset, refractory=how.refractory,
    )  # fmt: skip
    return encode, Train(how.firing.fire(drive, threshold, initial), gain / full * top)


def hidden(stage: Stage, trains, target, how: How) -> tuple[list[L.Layer], Train]:
    """The integer layers of one stage and its spikes on the samples."""
    for bits in WEIGHT_BITS:
        found = driven(stage, trains, how.firing, bits=bits)
        goal = target.reshape(len(target), *found.drive.shape[2:]) / found.per_code
        high = _highest(stage, trains) / found.per_code
        level, gain = how.balance.threshold(Layer(stage.activation, found.drive, goal, high, how.firing))
        if how.correct_bias:
            found = corrected(found, goal, level, gain, how.firing)
        shift = weight_shift(found.worst, found.bias, level, how.steps)
        if shift is not None:
            break
    else:
        raise _no_registers(stage)
    threshold = max(1, round(level * 2.0**shift / L.POTENTIAL_UNIT)) * L.POTENTIAL_UNIT
    initial = int(threshold * how.firing.start)
    lif = L.Lif(
        name=stage.activation, threshold=threshold, bias=integer_bias(found.bias * 2.0**shift), weight_shift=shift,
        initial_voltage=initial, reset=how.firing.reset, scale=found.per_code / 2.0**shift,
        current_decay=how.current_decay, refractory=how.refractory,
    )  # fmt: skip
    spikes = how.firing.fire(found.drive * np.float32(2.0**shift), threshold, initial)
    return _linked(stage, found.layers, lif), Train(spikes, found.per_code * gain)


def pool_of_any(stage: Stage, trains, target, how: How) -> tuple[list[L.Layer], Train]:
    """Neurons that fire when one of their inputs does: a spike brings twice the threshold."""
    found = driven(stage, trains, how.firing, bits=WEIGHT_BITS[0])
    threshold = found.drive.dtype.type(int(np.abs(found.layers[0].weight).max()) / 2)
    firing = Firing("zero", how.firing.once)
    spikes = firing.fire(found.drive, threshold, 0.0)
    lif = L.Lif(
        name=stage.activation, threshold=int(threshold * 2.0**MIN_SHIFT) // L.POTENTIAL_UNIT * L.POTENTIAL_UNIT,
        weight_shift=MIN_SHIFT, current_decay=how.current_decay, refractory=how.refractory,
        scale=found.per_code / 2.0**MIN_SHIFT,
    )  # fmt: skip
    value = firing.values(spikes)
    square = float((value * value).sum())
    unit = float((value * target).sum()) / square if square else float(trains[stage.branches[0].layer.inputs[0]].unit)
    return _linked(stage, found.layers, lif), Train(spikes, unit)


def _highest(stage: Stage, trains) -> float:
    """The upper bound of the activation of a stage; a mean has that of what it reads."""
    (first, *_) = stage.branches
    return first.gain * float(np.max(trains[first.layer.inputs[0]].unit)) if stage.pool else stage.high


def _linked(stage: Stage, weighted, lif: L.Lif) -> list[L.Layer]:
    """The weighted layers of a stage, the additions of their sums, and its neurons."""
    layers: list[L.Layer] = [renamed(layer) for layer in weighted]
    total = layers[0].name
    for count, layer in enumerate(layers[1:], start=2):
        name = stage.total if count == len(weighted) else f"{stage.total}/{count}"
        layers.append(L.Add(name=name, inputs=(total, layer.name)))
        total = name
    return [*layers, replace(lif, inputs=(total,))]


def read_out(stage: Stage, trains, target, how: How) -> list[L.Layer]:
    """The last layer: potentials that add up over the presentation, with a factor 2 of room on the samples."""
    for bits in WEIGHT_BITS:
        found = driven(stage, trains, how.firing, bits=bits)
        if how.correct_bias:
            goal = target.reshape(len(target), *found.drive.shape[2:]) / found.per_code
            found = shifted(found, channel_means(goal - found.drive.mean(axis=0, dtype=np.float64)))
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
        weight_shift=shift, scale=found.per_code / 2.0**shift / how.steps, current_decay=how.current_decay,
    )  # fmt: skip
    return _linked(stage, found.layers, lif)


def _no_registers(stage: Stage) -> InputError:
    return InputError(
        f"to_spiking: layer '{stage.branches[0].layer.name}': its biases or activations are too large beside its "
        "weights for the registers; scale the weights of the layer up and those after it down"
    )


def renamed(layer: L.Layer) -> L.Layer:
    """A layer that reads the encoder where it read the input."""
    return replace(layer, inputs=tuple("encode" if name == INPUT else name for name in layer.inputs))
