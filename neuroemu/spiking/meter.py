"""Meter: the events and the time of a spiking network on its cores, added up while batches run.

Enter spikes of every neuron and the kernel's counts; leave Counts, seconds and warnings. A step lasts as long as the
core that takes longest for its neuron updates and its synaptic operations, plus the barrier. A population of level l
works in steps l to l + T; a core whose neurons wait or have finished updates them as inactive ones and integrates
nothing. Synaptic operations count in the step in which they are integrated, also where the spike waited for it.
"""

from dataclasses import dataclass

import numpy as np

from ..chip import Site
from ..energy import Counts
from ..kernels.events_reference import COUNT_NAMES
from ..usage import Usage
from .arithmetic import Convention
from .memory import destinations, synapses_into
from .placers import Floor
from .populations import Population


@dataclass(frozen=True, kw_only=True)
class Seconds:
    """Times of the step model, in seconds."""

    synaptic_op: float
    neuron_update_active: float
    neuron_update_inactive: float
    barrier_one_tile: float
    barrier_all_tiles: float


class Meter:
    """Adds up events of one run; `sites` are those of each population, `each` the compartments of its neurons."""

    def __init__(self, found: tuple[Population, ...], sites: list[list[Site]], each: list[int], floor: Floor):
        self.found, self.sites, self.each, self.floor = found, sites, each, floor
        self.cores = sorted({site.unit for group in sites for site in group})
        self.images = 0
        self.image_steps = 0  # steps of the chip, summed over images
        self.idle = [0] * len(found)  # updates of neurons outside their window
        self.spikes_out = [0] * len(found)
        self.synapses = [0] * len(found)  # operations on stored synapses; a zero weight is not stored
        self.counts = [dict.fromkeys(COUNT_NAMES, 0) for _ in found]
        self.messages = [np.zeros(3, np.int64) for _ in found]  # deliveries, hops east-west, hops north-south
        self.busy = 0.0  # seconds of the longest core, summed over steps and images
        self.worked = 0.0  # seconds of all cores, summed likewise
        self.routes = [self._routes(index) for index in range(len(found))]
        self.fan = [self._fan(index) for index in range(len(found))]

    def _routes(self, index) -> np.ndarray | None:
        """(neurons, 3): deliveries and hops of one spike of each neuron; None where spikes leave no core."""
        if index + 1 == len(self.found) or not self.sites[index]:
            return None
        routes = np.zeros((self.found[index].size, 3), np.int64)
        for reader, population in enumerate(self.found):
            for projection in population.projections:
                if projection.source == index:
                    self._add_routes(routes, projection.weights, self.sites[index], self.sites[reader])
        return routes

    def _add_routes(self, routes, weights, own: list[Site], following: list[Site]):
        """Add the deliveries and hops of the spikes of one projection."""
        reach = destinations(weights, [site.rows for site in following])
        reach = np.pad(reach, ((0, len(routes) - len(reach)), (0, 0)))
        place = self.floor.positions([site.unit for site in following])
        for site in own:
            mine, away = slice(*site.rows), np.abs(place - self.floor.positions(site.unit))
            hops = np.concatenate([np.ones((len(place), 1), np.int64), away], axis=1)
            routes[mine] += reach[mine].astype(np.int64) @ hops

    def _fan(self, index) -> list[np.ndarray]:
        """(inputs, cores) float32 for each projection: synapses from each input into each core of a population."""
        found = []
        for projection in self.found[index].projections:
            fan = [synapses_into(projection.weights, *site.rows) for site in self.sites[index]]
            fan = np.stack(fan, axis=1).astype(np.float32)
            found.append(np.pad(fan, ((0, self.found[projection.source].size - len(fan)), (0, 0))))
        return found

    def add(self, activity, images: int, times: Seconds):
        """Count one batch, whose windows are as long as its spikes (B, T, N)."""
        self.images += images
        total = max(p.level + happened.spikes.shape[1] for p, happened in zip(self.found, activity, strict=True))
        self.image_steps += images * total
        spent = np.zeros((len(self.cores), images, total))  # seconds of each core, which may hold several populations
        fired = [_by_neuron(happened.spikes) for happened in activity]
        for index, happened in enumerate(activity):
            self.spikes_out[index] += happened.counts["output_spikes"]
            for name, n in happened.counts.items():
                self.counts[index][name] += n
            if self.routes[index] is not None:
                self.messages[index] += fired[index] @ self.routes[index]
            window = happened.spikes.shape[1]
            sources = [activity[p.source].spikes[:, :window] for p in self.found[index].projections]
            for projection, spikes, fan in zip(self.found[index].projections, sources, self.fan[index], strict=True):
                whole = spikes.shape == activity[projection.source].spikes.shape
                arrived = fired[projection.source] if whole else _by_neuron(spikes)
                self.synapses[index] += int(arrived @ fan.sum(axis=1).astype(np.int64))
            if self.sites[index]:
                self.idle[index] += self.found[index].size * (total - window) * images
                seconds = self._core_seconds(index, sources, happened, total, times)
                for number, site in enumerate(self.sites[index]):
                    spent[self.cores.index(site.unit)] += seconds[..., number]
        self.busy += float(spent.max(axis=0, initial=0.0).sum())
        self.worked += float(spent.sum())

    def _core_seconds(self, index, sources, happened, total: int, times: Seconds) -> np.ndarray:
        """(images, total steps, cores): seconds that each core spends on one population in each step."""
        images, steps, neurons = happened.spikes.shape
        size = np.array([site.rows[1] - site.rows[0] for site in self.sites[index]]) * self.each[index]
        active = happened.counts["active_updates"] / (images * steps * neurons)
        update = active * times.neuron_update_active + (1 - active) * times.neuron_update_inactive
        window = np.broadcast_to(size * update, (images, steps, len(size)))
        for spikes, fan in zip(sources, self.fan[index], strict=True):
            window = window + (spikes.astype(np.float32) @ fan) * times.synaptic_op
        seconds = np.empty((images, total, len(size)))
        seconds[:] = size * times.neuron_update_inactive
        level = self.found[index].level
        seconds[:, level : level + steps] = window
        return seconds

    def event_counts(self, runs: int) -> Counts:
        """Events of all images of one trial."""
        pairs = []
        for index, population in enumerate(self.found):
            name, seen, each = population.name, self.counts[index], self.each[index]
            if not self.sites[index]:
                pairs.append((name, "input_spike", seen["output_spikes"]))
                continue
            deliveries, east_west, north_south = map(int, self.messages[index])
            pairs += [
                (name, "neuron_update_active", each * seen["active_updates"]),
                (name, "neuron_update_inactive", each * (seen["inactive_updates"] + self.idle[index])),
                (name, "neuron_spike", seen["output_spikes"]),
                (name, "synaptic_op", self.synapses[index]),
                (name, "spike_within_tile", deliveries),
                (name, "hop_east_west", east_west),
                (name, "hop_north_south", north_south),
            ]
        pairs.append((self.found[0].name, "barrier_sync", self.image_steps))
        return Counts.mean([Counts.from_pairs(pairs)] + [Counts()] * (runs - 1))

    def seconds(self, times: Seconds) -> float:
        """Time of all images: the longest core and a barrier in each step."""
        used = len({core // self.floor.cores_per_tile for core in self.cores})
        share = (used - 1) / max(1, self.floor.mesh[0] * self.floor.mesh[1] - 1)
        barrier = times.barrier_one_tile + (times.barrier_all_tiles - times.barrier_one_tile) * share
        return self.busy + self.image_steps * barrier

    def usage(self, times: Seconds, latency: float) -> Usage:
        """Shares of the cores in use; `latency` is the time of one image."""
        units = len(self.cores)
        cells = float(np.mean([site.utilisation for group in self.sites for site in group])) if units else 0.0
        spent = units * latency * self.images
        synaptic = sum(self.synapses) * times.synaptic_op
        return Usage(
            units=units, present=self.floor.all_cores, cells=cells,
            busy=self.worked / spent if spent else 0.0, work=synaptic / spent if spent else 0.0,
        )  # fmt: skip

    def check(self, convention: Convention, who: str):
        """Refuse results of numbers that outgrew the kernel where the convention sets no limit."""
        for population, seen in zip(self.found, self.counts, strict=True):
            name = f"{who}: layer '{population.name}'"
            convention.check_overflow(seen["q_wraps"], seen["u_wraps"], seen["v_clips"], who=name)

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
        if self.found[-1].neuron.threshold is None and self.spikes_out[-1]:
            n = f"{self.spikes_out[-1]:,}"
            name = self.found[-1].name
            found.append(f"layer '{name}': the read-out passed the largest threshold {n} times and was reset")
        return tuple(found)


def _by_neuron(spikes: np.ndarray) -> np.ndarray:
    """Spikes (B, T, N) of 0 and 1, counted by neuron: int64 (N,). Up to 255 steps are added as bytes, for speed."""
    few = [spikes[:, t : t + 255].sum(axis=1, dtype=np.uint8) for t in range(0, spikes.shape[1], 255)]
    return sum((part.sum(axis=0, dtype=np.int64) for part in few), np.zeros(spikes.shape[2], np.int64))
