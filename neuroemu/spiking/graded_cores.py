"""Cores for graded spikes: which neurons go to which core, under the limits on neurons and memory.

A population is cut into contiguous ranges of neurons. Memory of a core: 32-bit words of state of each neuron, and each
stored weight once, so a convolution's kernel is stored once a core. How the chip lays out synapses, axons and programs
is not public and not counted: the memory here is a lower bound.
"""

from dataclasses import dataclass, fields

import numpy as np

from .. import _checks
from ..errors import PlacementError
from ..network import layers as L
from .cores import destinations
from .graded_populations import GradedPopulation, padded_rows, sources_of

WORD_BYTES = 4


@dataclass(frozen=True)
class GradedLimits:
    """Resources of one core: neurons, bytes of memory, bits of a stored weight."""

    neurons: int = 8192
    memory_bytes: int = 192 * 1024
    weight_bits: int = 8

    def __post_init__(self):
        for field in fields(self):
            _checks.integer(getattr(self, field.name), who="GradedLimits", name=field.name, low=1)


@dataclass(frozen=True, eq=False)
class GradedCore:
    """A range of neurons of one population on one core, with what it takes there."""

    population: GradedPopulation
    first: int
    stop: int
    weights: int
    memory_bytes: int

    @property
    def neurons(self) -> int:
        return self.stop - self.first

    def shares(self, limits: GradedLimits) -> dict[str, float]:
        """Share of each limit in use."""
        return {"neurons": self.neurons / limits.neurons, "memory": self.memory_bytes / limits.memory_bytes}


def allocate_graded(
    populations: tuple[GradedPopulation, ...], limits: GradedLimits, who: str
) -> dict[str, list[GradedCore]]:
    """Cores of every population, by the tensor that it sends.

    Raises
    ------
    PlacementError
        One neuron takes more than a core.
    """
    return {population.tensor: _cut(population, limits, who) for population in populations}


def _cut(population: GradedPopulation, limits: GradedLimits, who: str) -> list[GradedCore]:
    shared, own = _weights(population)
    state = population.words * WORD_BYTES
    running = np.concatenate([[0], np.cumsum(own)])
    cores, first = [], 0
    while first < population.size:
        # What a range takes grows with it: the longest that fits is found by bisection.
        stops = np.arange(first + 1, min(population.size, first + limits.neurons) + 1)
        weights = shared + running[stops] - running[first]
        memory = (stops - first) * state + -(-weights * limits.weight_bits // 8)
        fits = int(np.searchsorted(memory, limits.memory_bytes, side="right"))
        if not fits:
            raise PlacementError(
                f"{who}: one neuron of layer '{population.name}' takes {memory[0]:,} bytes, a core has "
                f"{limits.memory_bytes:,}; prune the layer or cut its fan-in"
            )
        stop = int(stops[fits - 1])
        cores.append(GradedCore(population, first, stop, int(weights[fits - 1]), int(memory[fits - 1])))
        first = stop
    return cores


def _weights(population: GradedPopulation) -> tuple[int, np.ndarray]:
    """Stored weights that every core of a population needs, and those that each neuron brings; zeros are not stored."""
    shared, own = 0, np.zeros(population.size, np.int64)
    for wiring in population.wirings:
        if not wiring.weighted:
            continue
        if isinstance(wiring.layer, L.Dense):
            own += np.count_nonzero(wiring.rows.table, axis=0)
        else:
            shared += int(np.count_nonzero(wiring.rows.table))
    return shared, own


def deliveries(populations: tuple[GradedPopulation, ...], cores: dict[str, list[GradedCore]]) -> dict[str, np.ndarray]:
    """Cores that one message of each neuron is delivered to, int64 (N,), by the tensor sent."""
    found = {}
    for tensor, listeners in sources_of(populations).items():
        size = next(p.size for p in populations if p.tensor == tensor)
        reached: dict[str, np.ndarray] = {}
        for population, wiring in listeners:
            ranges = [(core.first, core.stop) for core in cores[population.tensor]]
            hits = destinations(padded_rows(wiring.rows, size), ranges)
            reached[population.tensor] = hits | reached.get(population.tensor, False)
        found[tensor] = sum((hits.sum(axis=1) for hits in reached.values()), np.zeros(size, np.int64))
    return found
