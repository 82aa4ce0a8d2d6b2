"""Cores: which neurons go to which core, under every limit of a core at once.

A population is cut into contiguous ranges of neurons, each as long as the limits of a core allow. Populations are cut
from the last to the first: output axons depend on where the targets lie; where populations reach back, the cutting is
repeated until it agrees with itself. Each projection has axons of its own: a neuron that reaches a core by two of them
sends it two spikes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np

from .. import _checks
from ..errors import PlacementError
from .memory import destinations, projected, synapses_into
from .populations import Population

__all__ = ["Core", "CoreLimits", "allocate", "destinations", "packed", "projected", "synapses_into"]

SHORT_DELAY = 8  # steps of delay that all compartments of a core can have (Davies 2018)
ROUNDS = 20  # of cutting populations that reach back
REMEDIES = {
    "compartments": "give the chip larger cores",
    "delay memory": "shorten its delays",
    "compartment configurations": "give its compartments the same decays and refractory periods",
    "threshold configurations": "give its compartments the same threshold",
    "synapse formats": "give its synapses the same bits, exponent, sign mode and delay",
}
DEFAULT_REMEDY = "prune the layer or cut its fan-in"


@dataclass(frozen=True)
class CoreLimits:
    """Resources of one core.

    Parameters
    ----------
    compartments, input_axons, output_axons, synaptic_bits : int
        Davies 2018, doi:10.1109/MM.2018.112130359.
    weight_bits, index_bits : int
        Of a synapse; no target index is stored where an axon reaches every neuron of the core. Delays take as many
        bits as the longest of the projection needs.
    shared_kernels : bool
        Whether axons with the same synapses at shifted targets share one copy, as convolutions do; see `memory`.
    delay_memory : int
        Compartments of a core times its longest delay, at least 8 steps. Published: delays of 8 steps with all
        compartments, up to 62 with fewer (Davies 2018). That the product stays the same is assumed.
    compartment_configurations, threshold_configurations, synapse_formats : int
        Entries of the tables that compartments and synapses of a core refer to, as nengo-loihi 1.1.0 checks them
        (hardware/validate.py).

    Notes
    -----
    The block format of memory is that of nengo-loihi 1.1.0: n * (weight + index + delay + tag bits) + 10 header bits,
    rounded up to 64. Not modelled: routing tables, and axons that stand for all channels of a position.
    """

    compartments: int = 1024
    input_axons: int = 4096
    output_axons: int = 4096
    synaptic_bits: int = 16384 * 64
    weight_bits: int = 8
    index_bits: int = 10
    shared_kernels: bool = False
    delay_memory: int = 1024 * SHORT_DELAY
    compartment_configurations: int = 32
    threshold_configurations: int = 16
    synapse_formats: int = 16

    def __post_init__(self):
        for field in fields(self):
            if field.name != "shared_kernels":
                _checks.integer(getattr(self, field.name), who="CoreLimits", name=field.name, low=1)
        _checks.instance(self.shared_kernels, bool, who="CoreLimits", name="shared_kernels")


@dataclass(frozen=True, eq=False)
class Core:
    """A range of neurons of one population on one core, with what it takes there.

    Attributes
    ----------
    longest_delay : int
        Steps on top of the one that a spike always takes.
    configurations, thresholds, formats : int
        Entries of the tables of the core.
    """

    population: int
    first: int
    stop: int
    compartments: int
    input_axons: int
    output_axons: int
    synapses: int
    synaptic_bits: int
    longest_delay: int = 0
    configurations: int = 1
    thresholds: int = 1
    formats: int = 0

    def shares(self, limits: CoreLimits) -> dict[str, float]:
        """Share of each limit in use."""
        return shares([self], limits)


def shares(pieces: Sequence[Core], limits: CoreLimits) -> dict[str, float]:
    """Share of each limit that pieces of populations take together on one core."""

    def total(name):
        return sum(getattr(piece, name) for piece in pieces)

    delay = max(SHORT_DELAY, *(piece.longest_delay for piece in pieces))
    return {
        "compartments": total("compartments") / limits.compartments,
        "input axons": total("input_axons") / limits.input_axons,
        "output axons": total("output_axons") / limits.output_axons,
        "synaptic memory": total("synaptic_bits") / limits.synaptic_bits,
        "delay memory": total("compartments") * delay / limits.delay_memory,
        "compartment configurations": total("configurations") / limits.compartment_configurations,
        "threshold configurations": total("thresholds") / limits.threshold_configurations,
        "synapse formats": total("formats") / limits.synapse_formats,
    }


def allocate(
    found: tuple[Population, ...], limits: CoreLimits, compartments: Callable[[Population], int], who: str, *,
    even: bool = False,
) -> list[list[Core]]:  # fmt: skip
    """Cores of every population, in order. `compartments` gives those of one neuron; 0 means no neurons on the chip.

    `even` cuts a population into ranges of about one size where that takes no more cores.
    """
    cores: list[list[Core]] = [[] for _ in found]
    fan_out = [{} for _ in found]  # by reader: cores that each neuron reaches
    back = any(p.source >= index for index, population in enumerate(found) for p in population.projections)
    for _ in range(ROUNDS if back else 1):
        before = [[core.stop for core in group] for group in cores]
        told = [sum(parts.values()) for parts in fan_out]
        for index in range(len(found) - 1, -1, -1):
            population, each = found[index], compartments(found[index])
            if not each:
                continue
            reaches = sum(fan_out[index].values(), np.zeros(population.size, np.int64))
            cores[index] = _cut(index, population, reaches, limits, each, who)
            if even:
                cores[index] = _evened(cores[index], population, reaches, limits, each)
            spans = [(core.first, core.stop) for core in cores[index]]
            for number, projection in enumerate(population.projections):
                reach = destinations(projection.weights, spans).sum(axis=1)
                grown = np.pad(reach, (0, found[projection.source].size - len(reach)))
                fan_out[projection.source][index, number] = grown
        same = [[core.stop for core in group] for group in cores] == before
        if not back or (same and all(np.array_equal(a, sum(b.values())) for a, b in zip(told, fan_out, strict=True))):
            return cores
    raise PlacementError(
        f"{who}: output axons of populations that reach back leave no cut that agrees with itself in {ROUNDS} rounds; "
        "split the populations or prune what leads back"
    )


def packed(cores: Sequence[Core], limits: CoreLimits) -> list[int]:
    """Number of the core of each piece when pieces share cores: the fullest first, each to the first core that fits."""
    bins: list[list[Core]] = []
    numbers = [0] * len(cores)
    for index in sorted(range(len(cores)), key=lambda i: -max(cores[i].shares(limits).values())):
        fits = (i for i, pieces in enumerate(bins) if max(shares([*pieces, cores[index]], limits).values()) <= 1)
        number = next(fits, len(bins))
        if number == len(bins):
            bins.append([])
        bins[number].append(cores[index])
        numbers[index] = number
    order = {number: place for place, number in enumerate(dict.fromkeys(numbers))}  # as the populations come
    return [order[number] for number in numbers]


def _cut(index, population, fan_out, limits, each, who) -> list[Core]:
    cores, first = [], 0
    while first < population.size:
        low, high = first, min(population.size, first + max(1, limits.compartments // each))
        core = _measure(index, population, fan_out, first, high, limits, each)
        if max(core.shares(limits).values()) > 1:
            # Limits grow with the range, so bisection finds the longest range that fits. Where kernels are shared a
            # longer one may take less memory, by a cut through a row of the image; then it finds one that fits.
            fitting = None
            while high - low > 1:
                middle = (low + high) // 2
                core = _measure(index, population, fan_out, first, middle, limits, each)
                if max(core.shares(limits).values()) <= 1:
                    low, fitting = middle, core
                else:
                    high = middle
            if fitting is None:
                raise _too_big(population, core, limits, who)
            core = fitting
        cores.append(core)
        first = core.stop
    return cores


def _evened(cores: list[Core], population, fan_out, limits, each) -> list[Core]:
    """As many ranges that differ by one neuron at most, if all of them fit; else the ranges as they are."""
    ends = np.linspace(0, population.size, len(cores) + 1).astype(int).tolist()
    index, found = cores[0].population, []
    for first, stop in pairwise(ends):
        found.append(_measure(index, population, fan_out, first, stop, limits, each))
        if max(found[-1].shares(limits).values()) > 1:
            return cores
    return found


def _measure(index, population: Population, fan_out, first, stop, limits, each) -> Core:
    parts = [projected(projection, first, stop, limits) for projection in population.projections]
    axons, synapses, memory = (sum(part[k] for part in parts) for k in range(3))
    there = [p for p, part in zip(population.projections, parts, strict=True) if part[0]]
    return Core(
        population=index, first=first, stop=stop, compartments=each * (stop - first), input_axons=axons,
        output_axons=int(fan_out[first:stop].sum()), synapses=synapses, synaptic_bits=memory,
        longest_delay=max((projection.delay for projection in there), default=0),
        configurations=_distinct(population.profiles, first, stop),
        thresholds=_distinct(population.thresholds, first, stop),
        formats=len({(p.weight_bits, p.tag_bits, p.delay.bit_length(), p.form) for p in there}),
    )  # fmt: skip


def _distinct(parts: tuple[np.ndarray, ...], first: int, stop: int) -> int:
    return sum(len(np.unique(values[first:stop], axis=0)) for values in parts) if parts else 1


def _too_big(population, core, limits, who) -> PlacementError:
    name, share = max(core.shares(limits).items(), key=lambda item: item[1])
    return PlacementError(
        f"{who}: one neuron of layer '{population.name}' takes {share:.1f} times a core's {name}; "
        f"{REMEDIES.get(name, DEFAULT_REMEDY)}"
    )
