"""GradedChip: cores whose neurons run programs and send graded spikes, such as those of Loihi 2.

Enter a network from `to_sigma_delta`, or one of Programmed layers, and inputs; leave outputs, counted events and steps.
The messages give the outputs, and the counts come from the messages, the weights and the placement.

Not modelled: how long a step takes beyond the shortest one published, the mesh, the management processors, the host.
"""

from dataclasses import dataclass

import numpy as np

from .. import _checks
from .._sites import utilisation
from ..chip import Chip, Execution, Progress, Site, silent
from ..energy import Counts
from ..errors import PlacementError
from ..network.graded import Programmed
from ..network.graph import Network
from ..usage import Usage
from .graded_cores import GradedCore, GradedLimits, allocate_graded, deliveries
from .graded_populations import graded_populations
from .program_engine import run_programs
from .sigma_delta import GradedRun, is_sigma_delta, run_held


@dataclass(frozen=True, kw_only=True)
class GradedChip(Chip):
    """A chip of programmable spiking cores.

    Parameters
    ----------
    limits : GradedLimits
        What one core holds.
    cores : int
    step_seconds : float
        Shortest time of one step of the whole chip, in seconds. Latencies are steps times this: lower bounds.
    """

    limits: GradedLimits
    cores: int
    step_seconds: float

    def __post_init__(self):
        who = f"GradedChip '{self.name}'"
        _checks.instance(self.limits, GradedLimits, who=who, name="limits")
        _checks.integer(self.cores, who=who, name="cores", low=1)
        _checks.real(self.step_seconds, who=who, name="step_seconds", low=0)

    def place(self, network: Network) -> tuple[Site, ...]:
        """One site a core."""
        cores = [core for group in self._allocate(network).values() for core in group]
        if len(cores) > self.cores:
            names = [core.population.name for core in cores]
            worst = max(names, key=names.count)
            raise PlacementError(
                f"{self.name}: network '{network.name}' needs {len(cores)} cores, the chip has {self.cores}; layer "
                f"'{worst}' takes {names.count(worst)}: shrink or prune it"
            )
        return tuple(self._site(core, unit) for unit, core in enumerate(cores))

    def execute(self, network, sites, x, *, seed, trials, threads, progress: Progress = silent) -> Execution:
        run = (run_held if is_sigma_delta(network) else run_programs)(network, x, threads=threads, progress=progress)
        steps = network.steps + run.depth
        latency = steps * self.step_seconds
        return Execution(
            outputs=run.outputs[None, :, -1],
            counts=self._counts(network, run, len(x), steps),
            latency=latency,
            interval=latency,
            usage=Usage(units=len(sites), present=self.cores, cells=utilisation(sites)),
            traces=_traces(run, len(x), steps),
            notes=(f"a step takes {self.step_seconds:.3g} s, the shortest published: times are lower bounds",),
        )

    def _allocate(self, network: Network) -> dict[str, list[GradedCore]]:
        programmed = any(isinstance(layer, Programmed) for layer in network.layers)
        if network.steps is None or not (programmed or is_sigma_delta(network)):
            raise PlacementError(
                f"{self.name}: network '{network.name}' sends no graded spikes; call to_sigma_delta(network) or "
                "to_graded(network, ...) first"
            )
        return allocate_graded(graded_populations(network), self.limits, self.name)

    def _site(self, core: GradedCore, unit: int) -> Site:
        shares = core.shares(self.limits)
        scarcest = max(shares, key=shares.get)
        return Site(
            layer=core.population.name, unit=unit, rows=(core.first, core.stop), columns=(0, core.weights),
            utilisation=shares[scarcest],
            details={
                "neurons": core.neurons, "weights": core.weights, "kB": round(core.memory_bytes / 1024),
                "scarcest": scarcest,
            },
        )  # fmt: skip

    def _counts(self, network, run: GradedRun, images: int, steps: int) -> Counts:
        """Events of all images; neurons outside their window, or with nothing to do, update as inactive ones."""
        populations = graded_populations(network)
        reach = deliveries(populations, allocate_graded(populations, self.limits, self.name))
        pairs = [(populations[0].name, "barrier_sync", steps * images)]
        for population in populations:
            seen = run.counts[population.name]
            pairs += [
                (population.name, "neuron_update_active", seen.active),
                (population.name, "neuron_update_inactive", population.size * images * steps - seen.active),
                (population.name, "synaptic_op", seen.synaptic_operations),
                (population.name, "spike_within_tile", int(seen.messages @ reach[population.tensor])),
            ]
        return Counts.from_pairs(pairs)


def _traces(run: GradedRun, images: int, steps: int) -> dict:
    return {
        "messages per image": {name: int(c.messages.sum()) / images for name, c in run.counts.items()},
        "payload bits": {name: c.payload_bits for name, c in run.counts.items()},
        "steps": steps,
        "steps until settled": float(np.mean(run.settled)),
    }
