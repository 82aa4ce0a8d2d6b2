"""Compiler: a plan becomes the registers and crossbar bits of TrueNorth cores, one copy after the other.

Synapses by chance are drawn here, for each copy anew. Cores are numbered copy by copy in the order of the plan and lie
along a Hilbert curve on each chip, so that the cores of a copy lie together.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..errors import PlacementError
from ..kernels.truenorth_reference import MESH
from ..network.firing import BIAS_MAX, BIAS_MIN
from .truenorth_network import FireGroup
from .truenorth_plan import CorePlan, Plan
from .truenorth_program import (
    AXONS,
    CORES,
    NEURONS,
    OFF_CHIP,
    TYPES,
    NeuronParameters,
    TrueNorthCoreProgram,
    TrueNorthProgram,
)

RELAY = NeuronParameters(weights=[1, 0, 0, 0], threshold=1)  # sends on each spike of its one axon


@dataclass(frozen=True, eq=False)
class Compiler:
    """What the copies of a plan have in common: neurons, targets, and where each synapse lies."""

    plan: Plan
    neurons: tuple[NeuronParameters, ...]  # by core
    potentials: tuple[int, ...]
    targets: np.ndarray  # int (cores, 256, 3), core numbers of the first copy
    wiring: tuple[tuple[np.ndarray, np.ndarray, np.ndarray], ...]  # by group: core, column and, by type, row; or -1

    @cached_property
    def layers(self) -> tuple[str, ...]:
        """Layers that have cores, in the order of the plan; splitters of a layer stand apart as "NAME/splitters"."""
        return tuple(dict.fromkeys(map(self.layer, self.plan.cores)))

    @cached_property
    def layer_of(self) -> np.ndarray:
        """Number of the layer of each core, int32 (cores of a copy,)."""
        return np.array([self.layers.index(self.layer(core)) for core in self.plan.cores], np.int32)

    def layer(self, core: CorePlan) -> str:
        """Name of the layer of a core."""
        name = self.plan.chain.groups[core.group].name
        return f"{name}/splitters" if core.splits else name

    @cached_property
    def synapses(self) -> tuple[int, ...]:
        """Crossbar bits that a copy may set, by core; those by chance and all digits of a weight included."""
        found = [len(core.neurons) if core.splits else 0 for core in self.plan.cores]
        for group, mask, (core, _, _) in zip(self.plan.chain.groups, self.plan.masks, self.wiring, strict=True):
            bits = 1
            if mask is not None:
                low, high = (f(group.weight).astype(np.int64) + 256 for f in (np.floor, np.ceil))
                bits = np.bitwise_count(mask[low] | mask[high])
            placed = core >= 0
            for number, n in enumerate(np.bincount(core[placed], np.broadcast_to(bits, core.shape)[placed])):
                found[number] += int(n)
        return tuple(found)

    def program(self, copies: int, chips: int, draw: Callable[[int, int], np.random.Generator]) -> TrueNorthProgram:
        """A program of so many copies; `draw` gives the generator of (copy, group)."""
        found, n = [], len(self.plan.cores)
        for copy in range(copies):
            bits = self._bits(copy, draw)
            offset = np.where(self.targets[:, :, :1] >= 0, copy * n, 0) * (1, 0, 0)
            for core, target in enumerate(self.targets + offset):
                found.append(
                    TrueNorthCoreProgram(
                        crossbar=bits[core], axon_types=_padded(self.plan.cores[core].types, AXONS),
                        neurons=self.neurons[core], targets=target, potential=self.potentials[core],
                    )
                )  # fmt: skip
        return TrueNorthProgram(cores=found, positions=positions(len(found)), chips=(chips, 1))

    def _bits(self, copy, draw) -> np.ndarray:
        """Crossbars of one copy, packed, uint8 (cores, 256, 32)."""
        connected = np.zeros((len(self.plan.cores), AXONS, NEURONS), bool)
        for core, plan in enumerate(self.plan.cores):
            if plan.splits:
                axon = np.searchsorted(plan.sources, plan.neurons)
                connected[core, axon, np.arange(len(axon))] = True
        for index, (group, mask) in enumerate(zip(self.plan.chain.groups, self.plan.masks, strict=True)):
            value = _drawn(group, lambda index=index: draw(copy, index))
            types = (value != 0).astype(np.uint8) if mask is None else mask[value + 256]
            core, column, rows = self.wiring[index]
            for kind, row in enumerate(rows):
                here = ((types >> kind) & 1).astype(bool) & (core >= 0)
                connected[core[here], row[here], column[here]] = True
        return np.packbits(connected, axis=2, bitorder="little")


def compiler(plan: Plan, who: str) -> Compiler:
    """Registers, targets and places of all synapses of a plan.

    Raises
    ------
    PlacementError
        A neuron's registers cannot hold its threshold and bias.
    """
    neurons, potentials = [], []
    for core in plan.cores:
        group = plan.chain.groups[core.group]
        neurons.append(RELAY if core.splits else _registers(group, core, who))
        forgets = core.splits or group.neuron.reset == "forget"
        potentials.append(0 if forgets else _initial(group, core))
    wiring = tuple(_wiring(plan, index) for index in range(len(plan.chain.groups)))
    return Compiler(plan, tuple(neurons), tuple(potentials), _targets(plan), wiring)


def positions(n: int) -> np.ndarray:
    """(x, y) of cores 0..n-1 along a Hilbert curve of 64 x 64 cores, chip after chip to the east."""
    chip, step = np.divmod(np.arange(n), CORES)
    x, y = np.zeros(n, np.int64), np.zeros(n, np.int64)
    side = 1
    while side < MESH:
        right, up = (step // 2) & 1, (step ^ (step // 2)) & 1
        flip, turn = (up == 0) & (right == 1), up == 0
        x, y = np.where(flip, side - 1 - x, x), np.where(flip, side - 1 - y, y)
        x, y = np.where(turn, y, x), np.where(turn, x, y)
        x, y = x + side * right, y + side * up
        step, side = step // 4, 2 * side
    return np.stack([x + MESH * chip, y], axis=1).astype(np.int16)


def _drawn(group: FireGroup, generator) -> np.ndarray:
    """Whole weights, int64: those by chance are the lower neighbour or, with the probability of the rest, the upper."""
    value = np.floor(group.weight).astype(np.int64)
    chance = group.by_chance
    if chance.any():
        rest = group.weight[chance] - value[chance]
        value[chance] += generator().random(len(rest)) < rest
    return value


def _registers(group: FireGroup, core: CorePlan, who) -> NeuronParameters:
    fire, leak = group.neuron, group.bias[core.neurons].astype(np.int64)
    registers = {"threshold": fire.threshold, "negative_threshold": fire.floor, "reset_mode": fire.reset == "subtract"}
    if fire.reset == "forget":  # V >= 1 spikes, all else is set to 0: the leak carries the threshold
        leak = leak - fire.threshold + 1
        registers = {"threshold": 1, "negative_threshold": 0, "reset_mode": 0}
        if leak.size and not (BIAS_MIN <= leak.min() and leak.max() <= BIAS_MAX):
            raise PlacementError(
                f"{who}: layer '{group.name}': threshold less bias less 1 is {-leak.max()}..{-leak.min()}; with reset "
                f"'forget' it is the leak, which holds {-BIAS_MAX}..{-BIAS_MIN}: use smaller weights and thresholds"
            )
    registers["reset_mode"] = int(registers["reset_mode"])
    weights = np.zeros((TYPES, NEURONS), np.int64)
    weights[:, : len(core.neurons)] = core.weights
    # A column that is not in use has no synapse and no leak, so it never reaches its threshold of 1 or more.
    return NeuronParameters(weights=weights, leak=_padded(leak, NEURONS), saturate=True, **registers)


def _initial(group: FireGroup, core: CorePlan) -> np.ndarray:
    return _padded(np.full(len(core.neurons), group.neuron.initial), NEURONS)


def _targets(plan: Plan) -> np.ndarray:
    found = np.tile(np.array([OFF_CHIP, 0, 1]), (len(plan.cores), NEURONS, 1))
    for group, lines in enumerate(plan.lines[1:]):
        own = plan.position[group, False]
        source = np.repeat(np.arange(len(own)), lines.fan_out)
        direct = lines.fan_out[source] == 1
        core, column = own[source[direct]].T
        delay = np.full(len(core), 2 if plan.split[group] else 1)
        found[core, column] = np.stack([lines.core[direct], lines.axon[direct], delay], axis=1)
        if plan.split[group]:
            _relay(found, plan, group, lines, own)
    return found


def _relay(found, plan, group, lines, own):
    """Targets of neurons that go through splitters, and of relays: the k-th relay of a neuron serves its k-th axon."""
    at = plan.position[group, True]
    many = np.flatnonzero(lines.fan_out > 1)
    core, column = own[many].T
    found[core, column] = np.concatenate([at[many], np.ones((len(many), 1), int)], axis=1)
    for index, splitter in enumerate(plan.cores):
        if splitter.splits and splitter.group == group:
            served = np.concatenate([np.arange(lines.first[s], lines.first[s + 1]) for s in splitter.sources])
            reached = np.stack([lines.core[served], lines.axon[served], np.ones(len(served), int)], axis=1)
            found[index, : len(served)] = reached


def _wiring(plan: Plan, index: int):
    """Core and column of the neuron of each synapse of a group, and its row by axon type; core -1: left out."""
    group = plan.chain.groups[index]
    core, column = plan.position[index, False].astype(np.int32)[group.target].T
    inputs = plan.chain.inputs if index == 0 else plan.chain.groups[index - 1].size
    shared = plan.masks[index] is None
    rows = np.full((1 if shared else TYPES, len(core)), -1, np.int16)
    for number, planned in enumerate(plan.cores):
        if planned.group == index and not planned.splits:
            row = np.full((len(rows), inputs), -1, np.int16)
            kind = np.zeros_like(planned.types) if shared else planned.types
            row[kind, planned.sources] = np.arange(len(kind))
            mine = core == number
            rows[:, mine] = row[:, group.source[mine]]
    return core, column, rows


def _padded(values, size) -> np.ndarray:
    found = np.zeros(size, np.int64)
    found[: len(values)] = values
    return found
