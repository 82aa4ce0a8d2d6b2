"""TrueNorthChip: networks of Fire layers on neurosynaptic cores, several copies at once, inputs streamed tick by tick.

Enter a network and inputs; leave votes, counted events and times. The compiled cores alone give the outputs: an output
spike counts for the class of its neuron, over all copies and all ticks of an input.

Inputs of a network that forgets follow one another without a pause: one input each `steps` ticks. Otherwise each input
runs alone for `steps` ticks and those that spikes travel. All layers run, and leak, in all of these ticks, also before
the first spike can reach them.

Events are counted by layer, over all copies; splitters of a layer stand apart. Spikes from outside and merges belong to
the layer with the axon, hops to the layer that sends. The power at rest is one part, of the chip.

Not modelled: the way of spikes on and off the chip, congestion, loading cores, and clearing potentials between inputs.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .. import _checks, _streams
from .._sites import utilisation
from ..chip import Chip, Execution, Progress, Site, silent, uploads
from ..energy import Counts
from ..errors import PlacementError
from ..kernels.truenorth_reference import COUNT_NAMES
from ..network.graph import Network
from ..usage import Usage
from .truenorth import warnings_of
from .truenorth_compiler import Compiler, compiler, positions
from .truenorth_network import fire_chain
from .truenorth_plan import plan
from .truenorth_program import AXONS, CORES, MAX_CHIPS, NEURONS, TrueNorthProgram
from .truenorth_stream import Stream, input_spikes


@dataclass(frozen=True, kw_only=True)
class TrueNorthChip(Chip):
    """Chips of TrueNorth cores, with copies of a network that vote together.

    Parameters
    ----------
    copies : int
        Copies of the network, placed side by side. All get the same input spikes; synapses by chance are drawn for
        each copy and trial anew (Esser et al., NIPS 2015).
    chips : int
        Chips in a row, each of 4,096 cores; those in use are powered.
    tick : float
        Seconds.
    """

    copies: int = 1
    chips: int = 1
    tick: float = 1e-3

    def __post_init__(self):
        who = f"TrueNorthChip '{self.name}'"
        _checks.integer(self.copies, who=who, name="copies", low=1, high=CORES * MAX_CHIPS)
        _checks.integer(self.chips, who=who, name="chips", low=1, high=MAX_CHIPS)
        _checks.real(self.tick, who=who, name="tick", low=0)

    def place(self, network: Network) -> tuple[Site, ...]:
        """One site a core, copy after copy."""
        compiled = _compiled(network, self.name)
        cores = len(compiled.plan.cores)
        n, room = cores * self.copies, CORES * self.chips
        if n > room:
            remedy = f"{room // cores} copies fit" if room >= cores else "shrink the network"
            raise PlacementError(
                f"{self.name}: network '{network.name}' takes {cores:,} cores, {self.copies} copies {n:,}; the chips "
                f"have {room:,}: {remedy}, or use more chips"
            )
        places = positions(n)
        return tuple(_site(compiled, k, places[k]) for k in range(n))

    def compile(self, network: Network, *, seed: int = 0, trial: int = 0) -> TrueNorthProgram:
        """The cores of all copies as `run_truenorth` takes them, with the synapses that this seed and trial draw."""
        self.place(network)
        return _compiled(network, self.name).program(
            self.copies, self.chips, lambda copy, layer: _streams.generator(seed, "program", trial, copy, layer)
        )

    def execute(self, network, sites, x, *, seed, trials, threads, progress: Progress = silent) -> Execution:
        compiled = _compiled(network, self.name)
        chain, latency = compiled.plan.chain, compiled.plan.latency
        random = chain.encode.coding == "poisson" or any(group.by_chance.any() for group in chain.groups)
        runs = trials if random else 1  # nothing else is drawn: every trial would be the same
        outputs = np.zeros((runs, len(x), chain.classes), np.float32)
        counts = np.zeros((len(compiled.layers), len(COUNT_NAMES)), np.int64)
        what, n = f"{network.name} on {self.name}", len(x)
        for trial in range(runs):
            stream = Stream(compiled, self.compile(network, seed=seed, trial=trial), self.copies, network.steps)
            votes, events = stream.votes(
                input_spikes(network, x, seed=seed, trial=trial), n, threads=threads,
                progress=lambda done, k=trial: progress(what, k * n + done, runs * n),
            )  # fmt: skip
            outputs[trial] = votes
            counts += events
        totals = dict(zip(COUNT_NAMES, map(int, counts.sum(axis=0)), strict=True))
        ticks, used = network.steps + latency, -(-len(sites) // CORES)
        return Execution(
            outputs=outputs,
            counts=_counts_of_one(compiled.layers, counts, runs),
            latency=ticks * self.tick,
            interval=(network.steps if chain.forgets else ticks) * self.tick,
            units={"chip": used, "core": len(sites)},
            usage=Usage(units=len(sites), present=CORES * self.chips, chips=used, cells=utilisation(sites)),
            traces={
                "copies": self.copies, "cores": len(sites), "chips": used, "latency in ticks": ticks,
                "spikes an input": totals["spikes"] / (runs * len(x)),
            },
            warnings=warnings_of(totals),
            writes=self.copies * uploads(network),
            writing=self.writing,
            notes=(self._note(len(sites)),),
        )  # fmt: skip

    def _note(self, cores) -> str:
        copies = "one copy" if self.copies == 1 else f"{self.copies} copies"
        return f"{copies} on {cores:,} cores; votes are added up off the chip"


def _counts_of_one(layers, counts, runs: int) -> Counts:
    """Mean over runs of the counts (layers, 13), rounded so that the layers add up to the rounded totals."""
    mean = np.diff(np.rint(np.cumsum(counts, axis=0) / runs), axis=0, prepend=0).astype(np.int64)
    return Counts.from_pairs(
        (layer, name, int(n))
        for layer, row in zip(layers, mean, strict=True)
        for name, n in zip(COUNT_NAMES, row, strict=True)
    )


@lru_cache(maxsize=2)
def _compiled(network: Network, who: str) -> Compiler:
    """Plan and registers of a network; networks are values, so one is planned once for place and execute."""
    return compiler(plan(fire_chain(network, who), who), who)


def _site(compiled: Compiler, unit: int, place) -> Site:
    copy, number = divmod(unit, len(compiled.plan.cores))
    core = compiled.plan.cores[number]
    axons, neurons = len(core.sources), len(core.neurons)
    details = {
        "neurons": neurons, "axons": axons, "synapses": compiled.synapses[number], "copy": copy, "x": int(place[0]),
        "y": int(place[1]),
    }  # fmt: skip
    return Site(
        layer=compiled.layer(core), unit=unit,
        rows=(int(core.neurons.min()), int(core.neurons.max()) + 1), columns=(0, axons),
        utilisation=max(axons / AXONS, neurons / NEURONS), details=details,
    )  # fmt: skip
