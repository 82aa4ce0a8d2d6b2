"""The layers of a converted network beside the stages of the network that it came from, and sums of their errors.

Enter both networks, then batches of float activations and spikes; leave one Tally a layer. See `conversion` for the
parts of an error. What a stage computes is evaluated three times: with real weights on the values that arrived, with
its integer codes on the rates that arrived, and with its codes on the rates that the float activations ask for.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..network import layers as L
from ..network import ops
from ..network.graph import INPUT, Network
from ..network.shapes import output_shape
from ..spiking.arithmetic import Convention
from ..spiking.probing import Batch
from ..transform.stages import Stage, stages_of
from .tally import Tally, as_image, even_spikes, signal

WHO = "conversion_report"
SAME = 0.05  # units from the grid and from a fit that are nearer than this are the same


@dataclass(frozen=True, eq=False)
class Layer:
    """Neurons that stand for the activation `name` of the float network; `stage` is None for the input."""

    name: str
    shape: tuple[int, ...]
    neuron: L.Encode | L.Lif
    stage: Stage | None
    coded: tuple[L.Weighted, ...]  # the integer layers of the branches
    unit: float  # value of a spike in every step
    per_potential: float  # value of one unit of the potential in every step
    steps: int
    pool: L.MaxPool2d | None = None  # what the neurons stand in for, by a rule

    @property
    def last(self) -> bool:
        return self.stage is not None and self.stage.last


@dataclass(frozen=True, eq=False)
class Plan:
    """All layers in order, the rearrangements between them, and the share of a current that lasts a step."""

    items: tuple[Layer | L.Layer, ...]
    keep: float

    @property
    def layers(self) -> list[Layer]:
        return [item for item in self.items if isinstance(item, Layer)]


def plan_of(real: Network, spiking: Network, convention: Convention, max_pooling=None) -> Plan:
    """The layers of `spiking` beside the stages of the float network `real`.

    Raises
    ------
    InputError
        If one was not made of the other.
    """
    encode = spiking.layers[0]
    if not isinstance(encode, L.Encode) or encode.coding == "spikes":
        raise InputError(f"{WHO}: network '{spiking.name}' was not made by to_spiking")
    stages, _ = stages_of(real, max_pooling)
    try:
        shapes = {item.activation: real.shapes[item.activation] for item in stages if isinstance(item, Stage)}
        pairs = [(item, _coded(item, spiking)) if isinstance(item, Stage) else (item, None) for item in stages]
    except InputError:
        raise InputError(
            f"{WHO}: network '{spiking.name}' was not made of '{real.name}'; give the two together"
        ) from None
    units = _units(pairs, real, spiking)
    grid = spiking.grids[INPUT]
    first = Layer(INPUT, real.input_shape, encode, None, (), units[INPUT], grid.scale / L.POTENTIAL_UNIT, spiking.steps)
    items: list[Layer | L.Layer] = [first]
    for item, coded in pairs:
        if coded is None:
            items.append(item)
            continue
        lif, layers = coded
        scale = lif.scale * (spiking.steps if item.last else 1)
        unit = 1.0 if item.last else units[item.activation]
        pool = real.layer(item.activation)
        items.append(
            Layer(
                item.activation, shapes[item.activation], lif, item, layers, unit, scale, spiking.steps,
                pool if isinstance(pool, L.MaxPool2d) else None,
            )
        )  # fmt: skip
    decay = items[-1].neuron.current_decay + convention.current_decay_offset
    return Plan(tuple(items), 1.0 - decay / 4096)


def _coded(stage: Stage, spiking: Network) -> tuple[L.Lif, tuple[L.Weighted, ...]]:
    """The neurons and the integer layers of a stage."""
    lif = spiking.layer(stage.activation + "/potential" if stage.last else stage.activation)
    return lif, tuple(spiking.layer(branch.layer.name) for branch in stage.branches)


def _per_code(stage: Stage, lif: L.Lif, steps: int) -> float:
    """Value of one weight code times a spike in every step."""
    return lif.scale * 2.0**lif.weight_shift * (steps if stage.last else 1)


def _units(pairs, real: Network, spiking: Network) -> dict[str, float]:
    """Value of a spike in every step, by activation, from the weights that read it.

    A code times the value of a code is weight times unit; where the spikes of several layers meet in one kernel, each
    unit is the least-squares fit over its part.
    """
    names = [INPUT, *(item.activation for item, coded in pairs if coded is not None)]
    owners = {INPUT: np.zeros((1, *real.input_shape), int)}
    units: dict[str, float] = {}
    for item, coded in pairs:
        if coded is None:
            owners[item.name] = moved(item, owners)
            continue
        owners[item.activation] = np.full((1, *real.shapes[item.activation]), names.index(item.activation))
        lif, layers = coded
        for branch, layer in zip(item.branches, layers, strict=True):
            per_code = _per_code(item, lif, spiking.steps) / branch.gain
            owner = owners[branch.layer.inputs[0]][0]
            for index, unit in _units_of(branch.layer, layer, owner if owner.ndim == 1 else owner[:, 0, 0]):
                units.setdefault(names[index], per_code * unit)
    return dict.fromkeys(names, 1.0) | units


def _units_of(real: L.Weighted, coded: L.Weighted, owner: np.ndarray) -> Iterable[tuple[int, float]]:
    """(index, unit in codes) of each owner of inputs of a layer; `owner` has one index for each input channel."""
    product, square = (_by_input(real, array) for array in (coded.weight * real.weight, real.weight**2.0))
    for index in np.unique(owner).tolist():
        mine = owner == index
        if square[mine].sum():
            fit = product[mine].sum() / square[mine].sum()
            exact = 1.0 / float(np.mean(coded.weight_grid.scale))  # where all spikes mean the same
            yield index, exact if mine.all() and abs(exact / fit - 1.0) < SAME else fit


def _by_input(layer: L.Weighted, array: np.ndarray) -> np.ndarray:
    """Sums of an array in the shape of the weights, for each input channel."""
    if isinstance(layer, L.Dense):
        return array.sum(axis=0, dtype=np.float64)
    grouped = array.reshape(layer.groups, len(array) // layer.groups, *array.shape[1:])
    return grouped.sum(axis=(1, 3, 4), dtype=np.float64).ravel()


def moved(layer: L.Layer, tensors: Mapping[str, np.ndarray]) -> np.ndarray:
    """What a rearrangement or a join of (B, ...) writes."""
    inputs = [tensors[name] for name in layer.inputs]
    if isinstance(layer, L.Concat):
        return np.concatenate(inputs, axis=1 + layer.axis)
    return ops.rearrange(layer, inputs[0], output_shape(layer, [inputs[0].shape[1:]]))


def add_batch(plan: Plan, tallies: Mapping[str, Tally], floats: Mapping[str, np.ndarray], batch: Batch):
    """Add the errors of one batch of inputs to the tallies."""
    spikes = {p.neuron.name: train for p, train in zip(batch.populations, batch.spikes, strict=True)}
    rates, ideal, values = {}, {}, {}
    for item in plan.items:
        if not isinstance(item, Layer):
            for tensors in (rates, ideal, values):
                tensors[item.name] = moved(item, tensors)
            continue
        wanted = floats[item.name].reshape(-1, *item.shape).astype(np.float64)
        if item.last:
            value = as_image(batch.potentials, item.shape) * item.neuron.scale
            tallies[item.name].add(item, wanted, None, _parts(item, wanted, value, rates, ideal, values))
            continue
        train = spikes[item.neuron.name]
        rates[item.name] = as_image(signal(train, plan.keep), item.shape)
        ideal[item.name] = wanted / item.unit
        values[item.name] = rates[item.name] * item.unit
        parts = _parts(item, wanted, values[item.name], rates, ideal, values)
        unknown = np.full_like(wanted, np.nan)
        parts["predicted_steps"] = unknown if item.pool else _even(item, wanted, plan.keep) - wanted
        tallies[item.name].add(item, wanted, train, parts)


def _parts(layer: Layer, wanted, value, rates, ideal, values) -> dict[str, np.ndarray]:
    """Errors (B, ...): whole, inherited, rounding, steps, and the predicted rounding."""
    none = np.zeros_like(wanted)
    if layer.stage is None:
        return {"error": value - wanted, "inherited": none, "rounding": none, "predicted_rounding": none,
                "steps": value - wanted}  # fmt: skip
    if layer.pool is not None:  # the rule's whole error counts as one of steps
        (branch,) = layer.stage.branches
        arrived = ops.pool_max(layer.pool, branch.gain * values[branch.layer.inputs[0]])
        rounded, asked = arrived, wanted
    else:
        arrived, rounded, asked = _real(layer, values), _coded_sum(layer, rates), _coded_sum(layer, ideal)
    return {
        "error": value - wanted, "inherited": arrived - wanted, "rounding": rounded - arrived,
        "steps": value - rounded, "predicted_rounding": asked - wanted, "predicted_steps": none,
    }  # fmt: skip


def _real(layer: Layer, values) -> np.ndarray:
    """The activation that the float stage would give what arrived."""
    total = 0.0
    for branch in layer.stage.branches:
        read = branch.gain * values[branch.layer.inputs[0]]
        sums = ops.weighted_sum(branch.layer, read, branch.layer.weight.astype(np.float64))
        total = total + sums + (0.0 if branch.layer.bias is None else ops.along_channels(branch.layer.bias, sums.ndim))
    return _clipped(layer, total)


def _coded_sum(layer: Layer, rates) -> np.ndarray:
    """The activation that codes and whole biases give the rates that arrived."""
    total = 0.0
    for branch, coded in zip(layer.stage.branches, layer.coded, strict=True):
        total = total + ops.weighted_sum(coded, rates[branch.layer.inputs[0]], coded.weight.astype(np.float64))
    bias = layer.neuron.bias if layer.neuron.bias.size > 1 else layer.neuron.bias[0]
    drive = total * 2.0**layer.neuron.weight_shift + ops.along_channels(np.asarray(bias), np.ndim(total))
    return _clipped(layer, drive * layer.per_potential)


def _clipped(layer: Layer, total: np.ndarray) -> np.ndarray:
    return total if layer.last else np.clip(total, 0.0, layer.stage.high)


def _even(layer: Layer, wanted: np.ndarray, keep: float) -> np.ndarray:
    """What neurons say that get their activation in equal parts in every step."""
    neuron, steps = layer.neuron, layer.steps
    if isinstance(neuron, L.Encode):
        codes = np.clip(np.rint(wanted / (layer.per_potential * L.POTENTIAL_UNIT)), 0, neuron.code_max)
        if neuron.coding == "poisson":  # the standard deviation of a rate of independent spikes
            chance = codes / neuron.code_max
            return wanted + layer.unit * np.sqrt(chance * (1.0 - chance) / steps)
        drive = codes * L.POTENTIAL_UNIT
    else:
        drive = np.maximum(wanted, 0.0) / layer.per_potential
    if keep > 0:  # the time of the spike carries the value: steps of 1 / T
        return wanted + np.where(wanted > 0, layer.unit / steps / np.sqrt(12.0), 0.0)
    return layer.unit / steps * even_spikes(drive, neuron.threshold, neuron.initial_voltage, neuron.reset, steps)
