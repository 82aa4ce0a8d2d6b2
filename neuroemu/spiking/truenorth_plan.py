"""Plan: what each TrueNorth core holds for one copy of a network - neurons, axons, types, targets - without its bits.

A neuron has one target axon. One that must reach several axons goes through a splitter: an axon of a core of relays,
each of which repeats its spikes to one axon a tick later. Then all spikes of that group are timed to arrive together.
A group is what the neurons of one Fire layer are called here.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..errors import PlacementError
from .truenorth_axons import digits, shared_types
from .truenorth_cutting import TooManyAxons, cut
from .truenorth_network import FireChain, FireGroup
from .truenorth_program import AXONS, NEURONS, TYPES


@dataclass(frozen=True, eq=False)
class CorePlan:
    """One core of one copy.

    `sources` are neurons of the group before (or inputs) by axon, `neurons` those of the group by column. A splitter
    belongs to the group whose spikes it repeats; both its arrays name neurons of that group.
    """

    group: int
    splits: bool
    neurons: np.ndarray  # int (n,)
    sources: np.ndarray  # int (a,)
    types: np.ndarray  # uint8 (a,)
    weights: np.ndarray  # int (4, n)


@dataclass(frozen=True, eq=False)
class Lines:
    """Axons that each neuron of a group, or each input, must reach: of neuron s, first[s]..first[s + 1] - 1."""

    first: np.ndarray  # int (neurons + 1,)
    core: np.ndarray  # int (lines,)
    axon: np.ndarray  # int (lines,)

    @property
    def fan_out(self) -> np.ndarray:
        return np.diff(self.first)


@dataclass(frozen=True, eq=False)
class Plan:
    """Cores of one copy and how their spikes travel."""

    chain: FireChain
    cores: tuple[CorePlan, ...]
    masks: tuple[np.ndarray | None, ...]  # by group: bits of the types of each weight -256..255; None: shared types
    lines: tuple[Lines, ...]  # of the inputs, then of each group but the last
    split: tuple[bool, ...]  # by group: whether its spikes go through splitters

    @property
    def latency(self) -> int:
        """Ticks from an input spike to the spikes of the last group that it causes."""
        return sum(2 if split else 1 for split in self.split[:-1])

    @cached_property
    def position(self) -> dict[tuple[int, bool], np.ndarray]:
        """(core, row or column) of each neuron by (group, splits): its column, or its axon on a splitter; else -1."""
        found = {}
        for index, core in enumerate(self.cores):
            group, size = core.group, self.chain.groups[core.group].size
            places = found.setdefault((group, core.splits), np.full((size, 2), -1))
            members = core.sources if core.splits else core.neurons
            places[members] = np.stack([np.full(len(members), index), np.arange(len(members))], axis=1)
        return found


def plan(chain: FireChain, who: str) -> Plan:
    """Cut a chain into cores.

    Raises
    ------
    PlacementError
        A neuron needs more axons than a core has, or weights that four axon types do not make, or more splitters than
        a core holds.
    """
    alive = _alive(chain)
    if not all(there.any() for there in alive):
        raise PlacementError(f"{who}: network '{chain.name}' has no way from a neuron to an output; all weights are 0")
    cores: list[CorePlan] = []
    masks, lines, split = [], [], []
    for index, group in enumerate(chain.groups):
        sources = chain.inputs if index == 0 else chain.groups[index - 1].size
        planned, mask = _group_cores(index, group, alive[index], f"{who}: layer '{group.name}'")
        before = len(cores)
        splitters = []
        reached = _lines(planned, sources)
        if index and (reached.fan_out > 1).any():
            splitters = _splitters(index - 1, reached.fan_out, f"{who}: layer '{chain.groups[index - 1].name}'")
        if index:
            split.append(bool(splitters))
        cores += [*splitters, *planned]
        lines.append(Lines(reached.first, reached.core + before + len(splitters), reached.axon))
        masks.append(mask)
    return Plan(chain, tuple(cores), tuple(masks), tuple(lines), (*split, False))


def _alive(chain: FireChain) -> list[np.ndarray]:
    """Neurons that reach an output; the others are left out."""
    found = [chain.votes >= 0]
    for group in chain.groups[:0:-1]:
        size = chain.groups[len(chain.groups) - 1 - len(found)].size
        kept = found[0][group.target]
        found.insert(0, np.bincount(group.source[kept], minlength=size) > 0)
    return found


def _group_cores(index, group: FireGroup, alive, who):
    """Cores of one group, and the types of each weight where they are digits."""
    kept = alive[group.target]
    source, target, weight = group.source[kept], group.target[kept], group.weight[kept]
    low, high = np.floor(weight).astype(np.int64), np.ceil(weight).astype(np.int64)
    runs = group.neuron.cores
    if runs is not None and sum(runs) != group.size:
        raise PlacementError(f"{who}: cores name {sum(runs)} neurons, the layer has {group.size}")
    nominal = np.where(low < 0, low, high)
    if ((low == high) | (low == 0) | (high == 0)).all():  # one value beside 0 for each synapse
        cores = _shared(index, group, alive, (source, target, nominal), runs)
        if cores is not None:
            return cores, None
    values = tuple(sorted({*map(int, np.unique(low)), *map(int, np.unique(high))} - {0}))
    found = digits(values)
    if found is None:
        raise PlacementError(
            f"{who}: weights take {len(values)} values from {values[0]} to {values[-1]}; four axon types make 15 at "
            "most (-8 to 7 by 1, 2, 4, -8): take 4 bits or fewer"
        )
    base, known = found
    mask = np.zeros(512, np.uint8)
    for value, bits in known.items():
        mask[value + 256] = bits
    types = mask[low + 256] | mask[high + 256]
    return _in_digits(index, group, alive, (source, target, types), base, runs, who), mask


def _shared(index, group, alive, synapses, runs) -> list[CorePlan] | None:
    """Cores with one axon an input, or None."""
    source, target, nominal = synapses
    try:
        cut_cores = cut(group.size, alive, target, source, runs)
    except TooManyAxons:
        return None  # digits need more axons still; they tell what is wrong
    found, column = [], np.full(group.size, -1)
    for neurons in cut_cores:
        column[:] = -1
        column[neurons] = np.arange(len(neurons))
        here = column[target] >= 0
        sources, row = np.unique(source[here], return_inverse=True)
        matrix = np.zeros((len(sources), len(neurons)), np.int64)
        matrix[row, column[target[here]]] = nominal[here]
        fitted = shared_types(matrix)
        if fitted is None:
            return None
        found.append(CorePlan(index, False, neurons, sources, *fitted))
    return found


def _in_digits(index, group, alive, synapses, base, runs, who) -> list[CorePlan]:
    source, target, types = synapses
    digit, entry = np.nonzero((types >> np.arange(TYPES, dtype=np.uint8)[:, None]) & 1)
    neuron, line = target[entry], source[entry].astype(np.int64) * TYPES + digit
    try:
        cut_cores = cut(group.size, alive, neuron, line, runs)
    except TooManyAxons as error:
        n, axons = error.args
        what = "one neuron needs" if n == 1 else f"{n} neurons need"
        raise PlacementError(
            f"{who}: {what} {axons} axons, with {len(base)} axon types for weights {base}; a core has {AXONS} for "
            f"{NEURONS} neurons: group the channels, prune, or take weights of fewer values"
        ) from None
    found, mine = [], np.full(group.size, -1)
    for number, neurons in enumerate(cut_cores):
        mine[neurons] = number
        lines = np.unique(line[mine[neuron] == number])
        weights = np.zeros((TYPES, len(neurons)), np.int64)
        weights[: len(base)] = np.array(base)[:, None]
        found.append(CorePlan(index, False, neurons, lines // TYPES, (lines % TYPES).astype(np.uint8), weights))
    return found


def _lines(cores: list[CorePlan], sources: int) -> Lines:
    """Axons by source, cores counted from the first of the list."""
    source = np.concatenate([core.sources for core in cores])
    core = np.repeat(np.arange(len(cores)), [len(c.sources) for c in cores])
    axon = np.concatenate([np.arange(len(c.sources)) for c in cores])
    order = np.argsort(source, kind="stable")
    first = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=sources))])
    return Lines(first, core[order], axon[order])


def _splitters(group, fan_out, who) -> list[CorePlan]:
    """Cores of relays for the neurons that must reach several axons; column by column, one relay for each axon."""
    if fan_out.max() > NEURONS:
        raise PlacementError(
            f"{who}: a neuron must reach {fan_out.max()} axons, a splitter core has {NEURONS} neurons: group the "
            "channels of the next layer, or take weights of fewer values"
        )
    found, first = [], 0
    many = np.flatnonzero(fan_out > 1)
    ends = np.cumsum(fan_out[many])
    while first < len(many):
        room = NEURONS + (ends[first - 1] if first else 0)
        stop = min(int(np.searchsorted(ends, room, side="right")), first + AXONS)
        members = many[first:stop]
        relays = np.repeat(members, fan_out[members])
        weights = np.zeros((TYPES, len(relays)), np.int64)
        weights[0] = 1
        found.append(CorePlan(group, True, relays, members, np.zeros(len(members), np.uint8), weights))
        first = stop
    return found
