"""Cores: which neurons go to which core, under every limit of a core at once, and where the cores lie on the mesh.

A population is cut into contiguous ranges of neurons, each as long as compartments, input axons, synaptic memory and
output axons allow. Populations are cut from the last to the first: output axons depend on where the targets lie. Each
projection has axons of its own: a neuron that reaches a core by two of them sends it two spikes.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

from .. import _checks
from ..errors import PlacementError
from .populations import BlockRows, Population, Projection

BLOCK_SYNAPSES = 64  # synapses of a memory block; each block carries a header and is rounded up to 64-bit words
HEADER_BITS = 10
WORD_BITS = 64


@dataclass(frozen=True)
class CoreLimits:
    """Resources of one core.

    References: Davies 2018, doi:10.1109/MM.2018.112130359 (compartments, axons, memory). The block format is that of
    the open emulator nengo-loihi 1.1.0: n * (weight + index + delay bits) + 10 header bits, rounded up to 64.
    A projection with delays has as many delay bits as its delay needs. Not modelled: the memory of a core that holds
    input under way, which longer delays take from.
    """

    compartments: int = 1024
    input_axons: int = 4096
    output_axons: int = 4096
    synaptic_bits: int = 16384 * 64
    weight_bits: int = 8
    index_bits: int = 10  # target address of a synapse; not needed where an axon reaches every neuron of the core

    def __post_init__(self):
        for field in fields(self):
            _checks.integer(getattr(self, field.name), who="CoreLimits", name=field.name, low=1)


@dataclass(frozen=True, eq=False)
class Core:
    """A range of neurons of one population on one core, with what it takes there."""

    population: int
    first: int
    stop: int
    compartments: int
    input_axons: int
    output_axons: int
    synapses: int
    synaptic_bits: int

    def shares(self, limits: CoreLimits) -> dict[str, float]:
        """Share of each limit in use."""
        return {
            "compartments": self.compartments / limits.compartments,
            "input axons": self.input_axons / limits.input_axons,
            "output axons": self.output_axons / limits.output_axons,
            "synaptic memory": self.synaptic_bits / limits.synaptic_bits,
        }


def allocate(
    found: tuple[Population, ...], limits: CoreLimits, compartments: Callable[[Population], int], who: str
) -> list[list[Core]]:
    """Cores of every population, in order. `compartments` gives those of one neuron; 0 means no neurons on the chip."""
    cores: list[list[Core]] = [[] for _ in found]
    fan_out = [np.zeros(population.size, np.int64) for population in found]  # cores that each neuron reaches
    for index in range(len(found) - 1, -1, -1):
        population = found[index]
        if compartments(population):
            cores[index] = _cut(index, population, fan_out[index], limits, compartments(population), who)
            for projection in population.projections:
                reach = destinations(projection.weights, [(core.first, core.stop) for core in cores[index]])
                fan_out[projection.source][: len(reach)] += reach.sum(axis=1)
    return cores


def destinations(weights: BlockRows, ranges: list[tuple[int, int]]) -> np.ndarray:
    """Whether each input neuron reaches each range (first, stop) of targets, bool (inputs, ranges)."""
    return np.stack([synapses_into(weights, *span) > 0 for span in ranges], axis=1)


def synapses_into(weights: BlockRows, first: int, stop: int) -> np.ndarray:
    """Synapses from each input neuron to targets first..stop-1, int64 (inputs,). Zero weights take no synapse."""
    running = np.zeros((len(weights.table), weights.length + 1), np.int64)
    np.cumsum(weights.table != 0, axis=1, out=running[:, 1:])
    low = np.clip(first - weights.target, 0, weights.length)
    high = np.clip(stop - weights.target, 0, weights.length)
    per_edge = running[weights.row, high] - running[weights.row, low]
    totals = np.concatenate([[0], np.cumsum(per_edge)])
    return totals[weights.indptr[1:]] - totals[weights.indptr[:-1]]


def _cut(index, population, fan_out, limits, each, who) -> list[Core]:
    cores, first = [], 0
    while first < population.size:
        low, high = first, min(population.size, first + limits.compartments // each)
        core = _measure(index, population, fan_out, first, high, limits, each)
        if max(core.shares(limits).values()) > 1:
            # Every limit grows with the range, so bisection finds the longest range that fits.
            while high - low > 1:
                middle = (low + high) // 2
                trial = _measure(index, population, fan_out, first, middle, limits, each)
                fits = max(trial.shares(limits).values()) <= 1
                low, high, core = (middle, high, trial) if fits else (low, middle, core)
            if low == first:
                raise _too_big(population, core, limits, who)
            core = _measure(index, population, fan_out, first, low, limits, each)
        cores.append(core)
        first = core.stop
    return cores


def _measure(index, population, fan_out, first, stop, limits, each) -> Core:
    parts = [projected(projection, first, stop, limits) for projection in population.projections]
    axons, synapses, memory = (sum(part[k] for part in parts) for k in range(3))
    return Core(
        population=index, first=first, stop=stop, compartments=each * (stop - first), input_axons=axons,
        output_axons=int(fan_out[first:stop].sum()), synapses=synapses, synaptic_bits=memory,
    )  # fmt: skip


def projected(projection: Projection, first: int, stop: int, limits: CoreLimits) -> tuple[int, int, int]:
    """Input axons, synapses and bits of synaptic memory of a projection on the core of targets first..stop-1."""
    counts = synapses_into(projection.weights, first, stop)
    counts = counts[counts > 0]
    full = counts == stop - first
    bits = limits.weight_bits + projection.delay.bit_length() + np.where(full, 0, limits.index_bits)
    blocks, rest = counts // BLOCK_SYNAPSES, counts % BLOCK_SYNAPSES
    memory = blocks * _rounded(BLOCK_SYNAPSES * bits + HEADER_BITS) + np.where(
        rest > 0, _rounded(rest * bits + HEADER_BITS), 0
    )
    return len(counts), int(counts.sum()), int(memory.sum())


def _rounded(bits):
    return -(-bits // WORD_BITS) * WORD_BITS


def _too_big(population, core, limits, who) -> PlacementError:
    name, share = max(core.shares(limits).items(), key=lambda item: item[1])
    return PlacementError(
        f"{who}: one neuron of layer '{population.name}' takes {share:.1f} times a core's {name}; "
        "prune the layer or cut its fan-in"
    )


def mesh_position(core: int, cores_per_tile: int, width: int) -> tuple[int, int]:
    """(x, y) of the tile of a core; tiles are filled row by row."""
    tile = core // cores_per_tile
    return tile % width, tile // width
