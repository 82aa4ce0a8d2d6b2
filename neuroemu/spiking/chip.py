"""SpikingChip: cores on a mesh that run a spiking network in the integer arithmetic of one chip.

Enter a network from `to_spiking` and inputs; leave outputs, counted events and times. The kernel's own spikes give the
outputs, and the counts come from those spikes, the weights and the placement.

Not modelled: contention on the mesh, the time that messages travel, the management processors, the host.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from .. import _checks
from ..chip import Chip, Execution, Progress, Site, silent
from ..errors import InputError, PlacementError
from ..network import layers as L
from ..network.graph import Network
from . import engine
from .arithmetic import Convention
from .cores import CoreLimits
from .meter import Meter, Seconds
from .placers import Floor, Placer, RowByRow
from .placing import sites_of, spans_of
from .populations import Population, populations
from .stopping import StopWhenSure, lead, outputs_by_step, read_out, stopped
from .traffic import Links, links_of

BATCH = 32  # images at a time: bounds the memory for spikes, changes no result


@dataclass(frozen=True, kw_only=True)
class SpikingChip(Chip):
    """A chip of spiking cores.

    Parameters
    ----------
    convention : Convention
        Integer arithmetic of the cores, such as LOIHI1.
    limits : CoreLimits
        What one core holds.
    cores : int
        Cores of the chip.
    cores_per_tile, mesh : int, (int, int)
        Cores that share a router, and tiles of the mesh as (width, height).
    compartments_to_subtract : int or None
        Compartments that a neuron takes when a spike subtracts the threshold; None refuses that reset.
    step_times : Seconds
    placer : Placer
        Which core takes which piece: RowByRow() or FewestHops(...).
    stop : StopWhenSure, optional
        Ends the presentation of an image as soon as its answer is sure; None shows each for all its steps.
    """

    convention: Convention
    limits: CoreLimits = CoreLimits()
    cores: int = 128
    cores_per_tile: int = 4
    mesh: tuple[int, int] = (8, 4)
    compartments_to_subtract: int | None = 2
    step_times: Seconds
    placer: Placer = field(default_factory=RowByRow)
    stop: StopWhenSure | None = None

    def __post_init__(self):
        who = f"SpikingChip '{self.name}'"
        for name, kind in (
            ("convention", Convention),
            ("limits", CoreLimits),
            ("step_times", Seconds),
            ("placer", Placer),
        ):
            _checks.instance(getattr(self, name), kind, who=who, name=name)
        if self.stop is not None:
            _checks.instance(self.stop, StopWhenSure, who=who, name="stop")
        _checks.integer(self.cores_per_tile, who=who, name="cores_per_tile", low=1)
        if np.shape(self.mesh) != (2,):
            raise InputError(f"{who}: mesh is {self.mesh!r}; give (width, height) in tiles")
        for side in self.mesh:
            _checks.integer(side, who=who, name="mesh", low=1)
        most = self.cores_per_tile * self.mesh[0] * self.mesh[1]
        _checks.integer(self.cores, who=who, name="cores", low=1, high=most)
        if self.compartments_to_subtract is not None:
            _checks.integer(self.compartments_to_subtract, who=who, name="compartments_to_subtract", low=1)

    def place(self, network: Network) -> tuple[Site, ...]:
        """One site a core."""
        return sites_of(self, self.populations(network), self.compartments, f"network '{network.name}'", self.floor)

    @property
    def floor(self) -> Floor:
        """The mesh of its cores."""
        return Floor(self.cores, self.cores_per_tile, self.mesh)

    def links(self, network: Network, sites, spikes: Mapping[str, np.ndarray] | None = None) -> Links:
        """Messages over each link of the mesh, for spikes from `spike_counts`; without them each neuron spikes once."""
        found = self.populations(network)
        return links_of(found, spans_of(found, sites), self.floor, spikes)

    def compartments(self, population: Population) -> int:
        """Compartments of one neuron of a population; 0 where spikes come from outside."""
        neuron = population.neuron
        if isinstance(neuron, L.Encode) and neuron.coding in ("poisson", "spikes"):
            return 0
        if neuron.reset == "subtract" and not (isinstance(neuron, L.Lif) and neuron.threshold is None):
            if self.compartments_to_subtract is None:
                raise PlacementError(
                    f"{self.name}: layer '{population.name}' resets by subtraction, the chip to zero; use reset='zero'"
                )
            return self.compartments_to_subtract
        return 1

    def execute(self, network, sites, x, *, seed, trials, threads, progress: Progress = silent) -> Execution:
        found = self.populations(network)
        grouped = [[s for s in sites if s.layer == population.name] for population in found]
        meter = Meter(found, grouped, [self.compartments(p) for p in found], self.floor)
        random = found[0].neuron.coding == "poisson"
        runs = trials if random else 1  # nothing else is drawn: every trial would be the same
        outputs = np.empty((runs, len(x), found[-1].size), np.float32)
        made = np.full((runs, len(x)), network.steps)  # steps of the read-out
        for trial in range(runs):
            for first in range(0, len(x), BATCH):
                part = slice(first, min(first + BATCH, len(x)))
                codes = engine.input_codes(network, x[part])
                potentials, activity = engine.run_batch(
                    found,
                    codes,
                    network.steps,
                    self.convention,
                    seed=seed,
                    trial=trial,
                    first=first,
                    threads=threads,
                )
                if self.stop is None:
                    outputs[trial, part] = read_out(found[-1], potentials, activity[-1])
                    meter.add(activity, part.stop - part.start, self.step_times)
                else:
                    outputs[trial, part], made[trial, part] = self._stopped(found, activity, codes, meter, threads)
                progress(f"{network.name} on {self.name}", trial * len(x) + part.stop, runs * len(x))
        meter.check(self.convention, self.name)
        latency = meter.seconds(self.step_times) / meter.images
        return Execution(
            outputs=outputs,
            counts=meter.event_counts(runs),
            latency=latency,
            interval=latency,
            units={"core": len({site.unit for site in sites})},
            usage=meter.usage(self.step_times, latency),
            traces={
                "spikes per image": {p.name: n / meter.images for p, n in zip(found, meter.spikes_out, strict=True)},
                "steps": network.steps,
                **({} if self.stop is None else {"steps by image": made.mean(axis=0), "mean steps": made.mean()}),
            },
            warnings=meter.warnings(),
            notes=() if self.stop is None else (_note(self.stop, made, network.steps),),
        )

    def _stopped(self, found, activity, codes, meter: Meter, threads) -> tuple[np.ndarray, np.ndarray]:
        """Outputs (B, K) of images that stop early, as large as at full presentation, and their steps (B,)."""
        by_step = outputs_by_step(found, [happened.spikes for happened in activity], self.convention, threads)
        steps = self.stop.steps(lead(by_step))
        for images, cut in stopped(found, activity, codes, steps, self.convention, threads):
            meter.add(cut, len(images), self.step_times)
        last = by_step[np.arange(len(steps)), steps - 1]
        return last * (by_step.shape[1] / steps)[:, None], steps

    def populations(self, network: Network) -> tuple[Population, ...]:
        """The populations of a network whose registers this chip has."""
        if not network.spiking:
            raise PlacementError(
                f"{self.name}: network '{network.name}' computes with numbers; call to_spiking(network, ...) first"
            )
        found = populations(network)
        for population in found:
            self._check_registers(population)
        return found

    def _check_registers(self, population: Population):
        """Refuse what the registers of a neuron cannot hold."""
        lif, who = population.neuron, f"{self.name}: layer '{population.name}'"
        if lif.threshold is not None and (
            lif.threshold % L.POTENTIAL_UNIT or not 0 < lif.threshold <= L.THRESHOLD_MANTISSA * L.POTENTIAL_UNIT
        ):
            raise PlacementError(
                f"{who}: threshold {lif.threshold} is not 64 times a mantissa of 1..{L.THRESHOLD_MANTISSA}; round it"
            )
        if isinstance(lif, L.Encode):
            if lif.code_max > L.BIAS_MANTISSA:
                raise PlacementError(
                    f"{who}: input codes up to {lif.code_max}; the bias mantissa holds {L.BIAS_MANTISSA}"
                )
            return
        if not -1 <= lif.weight_shift - 7 <= 7:
            raise PlacementError(
                f"{who}: weight_shift {lif.weight_shift} needs wgtExp {lif.weight_shift - 7}; use 6..14"
            )
        bias = lif.bias.astype(np.int64)
        exponents = np.arange(L.BIAS_EXPONENT + 1)[:, None]
        holds = (bias % (1 << exponents) == 0) & (np.abs(bias) <= L.BIAS_MANTISSA << exponents)
        if not holds.any(axis=0).all():
            bad = int(bias[~holds.any(axis=0)][0])
            raise PlacementError(
                f"{who}: bias {bad} is not a mantissa of up to {L.BIAS_MANTISSA} times 2^(0..7); round it"
            )


def _note(stop: StopWhenSure, made: np.ndarray, steps: int) -> str:
    return (
        f"images stop at a lead of {stop.margin:.4g}, after {made.mean():.1f} of {steps} steps in the mean; reading "
        "the potentials in each step is not priced"
    )
