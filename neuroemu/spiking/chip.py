"""SpikingChip: cores on a mesh that run a spiking network in the integer arithmetic of one chip.

Enter a network from `to_spiking` and inputs; leave outputs, counted events and times. The kernel's own spikes give the
outputs, and the counts come from those spikes, the weights and the placement.

Time: each step lasts as long as the busiest core takes for its neurons and synaptic operations, plus the barrier
between steps. A presentation takes the network's steps plus one for each layer. Not modelled: contention on the mesh,
the time that messages travel, the management processors, the host.
"""

from dataclasses import dataclass

import numpy as np

from .. import _checks
from ..chip import Chip, Execution, Progress, Site, silent
from ..energy import Counts
from ..errors import PlacementError
from ..kernels.events_reference import COUNT_NAMES
from ..network import layers as L
from ..network.graph import Network
from . import cores as C
from . import engine
from .arithmetic import Convention
from .cores import CoreLimits
from .populations import Population, populations

BATCH = 32  # images at a time: bounds the memory for spikes, changes no result
THRESHOLD_UNIT, THRESHOLD_MANTISSA = 64, (1 << 17) - 1
BIAS_MANTISSA, BIAS_EXPONENT = 4095, 7


@dataclass(frozen=True, kw_only=True)
class Seconds:
    """Times of the step model, in seconds."""

    synaptic_op: float
    neuron_update_active: float
    neuron_update_inactive: float
    barrier_one_tile: float
    barrier_all_tiles: float


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
    """

    convention: Convention
    limits: CoreLimits = CoreLimits()
    cores: int = 128
    cores_per_tile: int = 4
    mesh: tuple[int, int] = (8, 4)
    compartments_to_subtract: int | None = 2
    step_times: Seconds

    def __post_init__(self):
        who = f"SpikingChip '{self.name}'"
        _checks.integer(self.cores, who=who, name="cores", low=1)
        _checks.integer(self.cores_per_tile, who=who, name="cores_per_tile", low=1)

    def place(self, network: Network) -> tuple[Site, ...]:
        """One site a core."""
        found = self._populations(network)
        allocated = C.allocate(found, self.limits, self.compartments, self.name)
        n = sum(map(len, allocated))
        if n > self.cores:
            worst = max(found, key=lambda p: len(allocated[found.index(p)]))
            raise PlacementError(
                f"{self.name}: network '{network.name}' needs {n} cores, the chip has {self.cores}; layer "
                f"'{worst.name}' takes {len(allocated[found.index(worst)])}: shrink or prune it"
            )
        return tuple(
            self._site(found, core, unit) for unit, core in enumerate(core for group in allocated for core in group)
        )

    def compartments(self, population: Population) -> int:
        """Compartments of one neuron of a population; 0 where spikes come from outside."""
        neuron = population.neuron
        if isinstance(neuron, L.Encode) and neuron.coding == "poisson":
            return 0
        if neuron.reset == "subtract" and not (isinstance(neuron, L.Lif) and neuron.threshold is None):
            if self.compartments_to_subtract is None:
                raise PlacementError(
                    f"{self.name}: layer '{population.name}' resets by subtraction, the chip to zero; use reset='zero'"
                )
            return self.compartments_to_subtract
        return 1

    def execute(self, network, sites, x, *, seed, trials, threads, progress: Progress = silent) -> Execution:
        found = self._populations(network)
        meter = _Meter(self, found, _cores_of(found, sites), network.steps)
        codes = engine.input_codes(network, x)
        random = found[0].neuron.coding == "poisson"
        runs = trials if random else 1  # nothing else is drawn: every trial would be the same
        outputs = np.empty((runs, len(x), found[-1].size), np.float32)
        for trial in range(runs):
            for first in range(0, len(x), BATCH):
                part = slice(first, min(first + BATCH, len(x)))
                potentials, activity = engine.run_batch(
                    found,
                    codes[part],
                    network.steps,
                    self.convention,
                    seed=seed,
                    trial=trial,
                    first=first,
                    threads=threads,
                )
                outputs[trial, part] = potentials * np.float32(found[-1].neuron.scale)
                meter.add(activity, part.stop - part.start)
                progress(f"{network.name} on {self.name}", trial * len(x) + part.stop, runs * len(x))
        meter.check(self.convention)
        latency = meter.seconds() / meter.images
        return Execution(
            outputs=outputs,
            counts=meter.event_counts(runs),
            latency=latency,
            interval=latency,
            traces={
                "spikes per image": {p.name: n / meter.images for p, n in zip(found, meter.spikes_out, strict=True)},
                "steps": network.steps,
            },
            warnings=meter.warnings(),
        )

    def _populations(self, network: Network) -> tuple[Population, ...]:
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
            lif.threshold % THRESHOLD_UNIT or not 0 < lif.threshold <= THRESHOLD_MANTISSA * THRESHOLD_UNIT
        ):
            raise PlacementError(
                f"{who}: threshold {lif.threshold} is not 64 times a mantissa of 1..{THRESHOLD_MANTISSA}; round it"
            )
        if isinstance(lif, L.Encode):
            if lif.code_max > BIAS_MANTISSA:
                raise PlacementError(
                    f"{who}: input codes up to {lif.code_max}; the bias mantissa holds {BIAS_MANTISSA}"
                )
            return
        if not -1 <= lif.weight_shift - 7 <= 7:
            raise PlacementError(
                f"{who}: weight_shift {lif.weight_shift} needs wgtExp {lif.weight_shift - 7}; use 6..14"
            )
        bias = lif.bias.astype(np.int64)
        exponents = np.arange(BIAS_EXPONENT + 1)[:, None]
        holds = (bias % (1 << exponents) == 0) & (np.abs(bias) <= BIAS_MANTISSA << exponents)
        if not holds.any(axis=0).all():
            bad = int(bias[~holds.any(axis=0)][0])
            raise PlacementError(
                f"{who}: bias {bad} is not a mantissa of up to {BIAS_MANTISSA} times 2^(0..7); round it"
            )

    def _site(self, found, core: C.Core, unit: int) -> Site:
        population = found[core.population]
        shares = core.shares(self.limits)
        scarcest = max(shares, key=shares.get)
        position = C.mesh_position(unit, self.cores_per_tile, self.mesh[0])
        details = {
            "compartments": core.compartments, "input axons": core.input_axons, "output axons": core.output_axons,
            "synapses": core.synapses, "synaptic kbit": round(core.synaptic_bits / 1024), "scarcest": scarcest,
            "tile": f"{position[0]},{position[1]}",
        }  # fmt: skip
        return Site(
            layer=population.name, unit=unit, rows=(core.first, core.stop), columns=(0, core.input_axons),
            utilisation=shares[scarcest], details=details,
        )  # fmt: skip


def _cores_of(found, sites) -> list[list[Site]]:
    return [[s for s in sites if s.layer == population.name] for population in found]


class _Meter:
    """Adds up events while batches run: the kernel's counts, messages over the mesh, and the time of the steps."""

    def __init__(self, chip: SpikingChip, found, sites, steps: int):
        self.chip, self.found, self.sites = chip, found, sites
        self.steps, self.total_steps = steps, steps + len(found) - 1
        self.images = 0
        self.spikes_out = [0] * len(found)
        self.counts = [dict.fromkeys(COUNT_NAMES, 0) for _ in found]
        self.messages = [np.zeros(3, np.int64) for _ in found]  # deliveries, hops east-west, hops north-south
        self.synapses = [0] * len(found)  # operations on stored synapses; a zero weight is not stored
        self.busy = 0.0  # seconds of synaptic work of the busiest core, summed over steps and images
        self.routes = [self._routes(index) for index in range(len(found))]
        self.fan = [self._fan(index) for index in range(len(found))]

    def _routes(self, index) -> np.ndarray | None:
        """(neurons, 3): deliveries and hops of one spike of each neuron; None where spikes leave no core."""
        if index + 1 == len(self.found) or not self.sites[index]:
            return None
        following = self.sites[index + 1]
        ranges = [C.Core(0, *site.rows, 0, 0, 0, 0, 0) for site in following]
        reach = C.destinations(self.found[index + 1].weights, ranges)
        reach = np.pad(reach, ((0, self.found[index].size - len(reach)), (0, 0)))
        place = [self._position(site) for site in following]
        routes = np.zeros((self.found[index].size, 3), np.int64)
        for site in self.sites[index]:
            mine, own = slice(*site.rows), self._position(site)
            hops = np.array([[1, abs(x - own[0]), abs(y - own[1])] for x, y in place])
            routes[mine] = reach[mine].astype(np.int64) @ hops
        return routes

    def _position(self, site):
        return C.mesh_position(site.unit, self.chip.cores_per_tile, self.chip.mesh[0])

    def _fan(self, index) -> np.ndarray | None:
        """(inputs, cores) float32: synapses from each input into each core of a population."""
        weights = self.found[index].weights
        if weights is None:
            return None
        fan = np.stack([C.synapses_into(weights, *site.rows) for site in self.sites[index]], axis=1).astype(np.float32)
        return np.pad(fan, ((0, self.found[index - 1].size - len(fan)), (0, 0)))

    def add(self, activity, images: int):
        """Count one batch."""
        self.images += images
        work = np.zeros((images, self.steps), np.float32)  # synaptic operations of the busiest core in each step
        for index, happened in enumerate(activity):
            self.spikes_out[index] += happened.counts["output_spikes"]
            for name, n in happened.counts.items():
                self.counts[index][name] += n
            fired = happened.spikes.sum(axis=(0, 1), dtype=np.int64)  # by neuron
            if self.routes[index] is not None:
                self.messages[index] += fired @ self.routes[index]
            if index + 1 < len(activity):
                fan = self.fan[index + 1]
                self.synapses[index + 1] += int(fired @ fan.sum(axis=1).astype(np.int64))
                np.maximum(work, (happened.spikes.astype(np.float32) @ fan).max(axis=2), out=work)
        self.busy += float(work.sum(dtype=np.float64)) * self.chip.step_times.synaptic_op

    def _idle(self, index) -> int:
        """Updates of neurons that wait for their layer's window or have left it, over all images."""
        if not self.sites[index]:
            return 0
        return self.found[index].size * (len(self.found) - 1) * self.images

    def event_counts(self, runs: int) -> Counts:
        """Events of all images of one trial."""
        pairs = []
        for index, population in enumerate(self.found):
            name, seen = population.name, self.counts[index]
            each = self.chip.compartments(population)
            if not self.sites[index]:
                pairs.append((name, "input_spike", seen["output_spikes"]))
                continue
            deliveries, east_west, north_south = map(int, self.messages[index])
            pairs += [
                (name, "neuron_update_active", each * seen["active_updates"]),
                (name, "neuron_update_inactive", each * (seen["inactive_updates"] + self._idle(index))),
                (name, "synaptic_op", self.synapses[index]),
                (name, "spike_within_tile", deliveries),
                (name, "hop_east_west", east_west),
                (name, "hop_north_south", north_south),
            ]
        pairs.append((self.found[0].name, "barrier_sync", self.total_steps * self.images))
        return Counts.mean([Counts.from_pairs(pairs)] + [Counts()] * (runs - 1))

    def seconds(self) -> float:
        """Time of all images: busiest core's synaptic work, its neuron updates, and a barrier each step."""
        times, chip = self.chip.step_times, self.chip
        updates = 0.0  # seconds a step of the core with the most neurons
        for index, population in enumerate(self.found):
            each, seen = chip.compartments(population), self.counts[index]
            total = max(1, seen["active_updates"] + seen["inactive_updates"] + self._idle(index))
            active = seen["active_updates"] / total
            mean = active * times.neuron_update_active + (1 - active) * times.neuron_update_inactive
            largest = max((s.rows[1] - s.rows[0] for s in self.sites[index]), default=0)
            updates = max(updates, each * largest * mean)
        tiles = -(-sum(map(len, self.sites)) // chip.cores_per_tile)
        whole = max(2, chip.mesh[0] * chip.mesh[1])
        barrier = times.barrier_one_tile + (times.barrier_all_tiles - times.barrier_one_tile) * (tiles - 1) / (
            whole - 1
        )
        return self.busy + self.images * self.total_steps * (updates + barrier)

    def check(self, convention: Convention):
        """Refuse results of numbers that outgrew the kernel where the convention sets no limit."""
        for population, seen in zip(self.found, self.counts, strict=True):
            who = f"{self.chip.name}: layer '{population.name}'"
            convention.check_overflow(seen["q_wraps"], seen["u_wraps"], seen["v_clips"], who=who)

    def warnings(self) -> tuple[str, ...]:
        """One line for each layer whose numbers left their range."""
        found = []
        for population, seen in zip(self.found, self.counts, strict=True):
            bad = {key: seen[key] for key in ("q_wraps", "u_wraps", "v_clips") if seen[key]}
            if bad:
                text = ", ".join(f"{n:,} {key.replace('_', ' ')}" for key, n in bad.items())
                found.append(
                    f"layer '{population.name}': {text}; its weights or biases are too large for the registers"
                )
        if self.spikes_out[-1]:
            n = f"{self.spikes_out[-1]:,}"
            found.append(
                f"layer '{self.found[-1].name}': the read-out passed the largest threshold {n} times and was reset"
            )
        return tuple(found)
