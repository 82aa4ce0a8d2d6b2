"""Steps of Loihi programs: populations run whole through the kernel, or step by step through its cores.

Enter a checked program with its inputs as arrays (B, T, N); leave spikes, probes and counts of each population.
"""

import numpy as np

from .. import _streams, kernels
from ..kernels.events_reference import COUNT_NAMES, decay
from ..network import layers as L
from . import wiring
from .arithmetic import Convention
from .program import Compartments

PROBES = ("u", "v")
RING = 64  # slots of input under way: delays 0 .. 62, and the step in hand


class Steps:
    """Spikes (B, T, N) and probes as they come, population after population."""

    def __init__(self, program, convention, steps, images, seed, probes, spikes, draws, biases):
        self.program, self.convention, self.steps, self.images, self.seed = program, convention, steps, images, seed
        self.spikes, self.draws, self.biases = dict(spikes), draws, biases
        inner = {part.name: part.n for part in program.compartments}
        self.probed = {
            kind: {name: np.zeros((images, steps, inner[name]), np.int32) for name in inner if kind in probes[name]}
            for kind in PROBES
        }
        self.counts: dict[str, np.ndarray] = {}
        self.wired: dict[int, wiring.Edges] = {}

    def into(self, name: str):
        """Synapses into a population."""
        return [s for s in self.program.synapses if s.target == name]

    def edges(self, part) -> wiring.Edges:
        """The wired form of some synapses, made once."""
        if id(part) not in self.wired:
            self.wired[id(part)] = wiring.edges_of(part, self.convention, self.program.size(part.source))
        return self.wired[id(part)]

    def received(self, source: str, image: int | slice = slice(None)) -> np.ndarray:
        """Spikes of a source at the step in which they arrive, without synaptic delay."""
        sent = self.spikes[source][image]
        if any(axons.name == source for axons in self.program.inputs):
            return sent
        late = np.zeros_like(sent)
        late[..., 1:, :] = sent[..., :-1, :]
        return late

    def whole(self, part: Compartments, threads: int):
        """One population over all steps."""
        found = self.into(part.name)
        steps, first = max(0, self.steps - part.start), part.start
        if found:
            edges = wiring.joined([self.edges(s) for s in found])
            arrives = [self.received(s.source)[:, first:] for s in found]
            wired, spikes_in = edges.kernel_arguments(), np.ascontiguousarray(np.concatenate(arrives, axis=2))
        else:
            empty = np.zeros(0, np.int32)
            wired = {
                "indptr": np.zeros(1, np.int32),
                "target": empty,
                "row": empty,
                "weights": np.zeros((1, 1), np.int16),
            }
            spikes_in = np.zeros((self.images, steps, 0), np.uint8)
        spikes = np.zeros((self.images, steps, part.n), np.uint8)
        counts = np.zeros((self.images, len(COUNT_NAMES)), np.int64)
        probes = {f"probe_{k}": np.zeros(spikes.shape, np.int32) for k in PROBES if part.name in self.probed[k]}
        kernels.events.run_layer(
            spikes_in, **wired, **self.convention.limits, **_registers(part, self.convention),
            bias=self.biases.get(part.name, part.bias[None]),
            initial_voltage=part.initial_voltage, spikes_out=spikes, counts=counts, threads=threads, **probes,
        )  # fmt: skip
        self.spikes[part.name] = _placed(spikes, first, self.steps)
        for kind in PROBES:
            if part.name in self.probed[kind]:
                self.probed[kind][part.name][:, first:] = probes[f"probe_{kind}"]
        self.counts[part.name] = counts.sum(axis=0)

    def stepwise(self, group: list[Compartments]):
        """Populations that reach one another, one step at a time."""
        for part in group:
            self.spikes[part.name] = np.zeros((self.images, self.steps, part.n), np.uint8)
            self.counts[part.name] = np.zeros(len(COUNT_NAMES), np.int64)
        for image in range(self.images):
            cores = {part.name: Core(part, self, image) for part in group}
            for t in range(self.steps):
                for core in cores.values():
                    core.update(t, cores)
                for core in cores.values():
                    core.deliver(t, cores)

    def noise(self, part: Compartments, image: int) -> np.ndarray | None:
        """(T, N) int32 that noise adds to a population."""
        if part.noise is None:
            return None
        if part.name in self.draws:
            draws = np.asarray(self.draws[part.name])[:, image]
        else:
            index = [other.name for other in self.program.compartments].index(part.name)
            generator = _streams.generator(self.seed, "neuron", index, image)
            draws = generator.integers(-127, 128, (self.steps, part.n))
        return part.noise.of(draws)

    def deliveries(self, name: str) -> dict[str, int]:
        """Input spikes and synaptic operations, from the spikes sent and the synapses that are there."""
        came = operations = 0
        for part in self.into(name):
            edges = self.edges(part)
            there = np.count_nonzero(edges.table, axis=1)[edges.row]
            totals = np.concatenate([[0], np.cumsum(there)])
            fan = totals[edges.indptr[1:]] - totals[edges.indptr[:-1]]
            sent = self.spikes[part.source].sum(axis=(0, 1), dtype=np.int64)
            came, operations = came + int(sent.sum()), operations + int(sent @ fan)
        return {"input_spikes": came, "synaptic_operations": operations}


class Core:
    """One population and one image, stepped through the kernel."""

    def __init__(self, part: Compartments, run: Steps, image: int):
        self.part, self.run, self.image, n = part, run, image, part.n
        self.ring, self.extra = np.zeros((RING, n), np.int32), np.zeros(n)
        self.u, self.v = np.zeros(n, np.int32), part.initial_voltage.copy()
        self.steady = run.biases[part.name][image] if part.name in run.biases else part.bias
        self.bias, self.listed = self.steady.copy(), np.zeros(n + 1, np.int32)
        self.noise = run.noise(part, image)
        registers = _registers(part, run.convention)
        self.du = registers["du"]
        self.counts = np.zeros(len(COUNT_NAMES), np.int64)
        self.kernel = kernels.events.Core(
            ring=self.ring, extra=self.extra, u=self.u, v=self.v, counter=np.zeros(n, np.int32), **registers,
            bias=self.bias, spikespace=self.listed, counts=self.counts, **run.convention.limits,
        )  # fmt: skip
        self.children = [p for p in run.program.compartments if p.dendrite is not None and p.dendrite.of == part.name]
        self.wires, self.outside = {}, {}
        for synapses in run.into(part.name):
            edges = run.edges(synapses)
            connection = kernels.events.Connection(**edges.kernel_arguments(), n=n, depth=RING)
            self.wires.setdefault(synapses.source, []).append((connection, edges.sum_shift))
            self.outside.setdefault(synapses.source, run.received(synapses.source, image))
        self.unused = np.zeros(len(COUNT_NAMES), np.int64)

    def update(self, t: int, cores: dict[str, "Core"]):
        """Take what arrives in step t, update, record."""
        for source, connections in self.wires.items():
            if source not in cores:  # it has run already, or is an input
                self._take(self.outside[source][t], connections, t)
        head = t % RING
        if t < self.part.start:
            self.ring[head] = 0
            return
        added = self._added(t, head, cores)
        if added is not None:
            np.add(self.steady, added, out=self.bias, casting="unsafe")
        if self.noise is not None and self.part.noise.target == "current":
            self.extra += self.noise[t]
        self.kernel.step(head)
        fired = self.listed[: self.listed[-1]]
        self.run.spikes[self.part.name][self.image, t, fired] = 1
        for kind, state in (("u", self.u), ("v", self.v)):
            if self.part.name in self.run.probed[kind]:
                self.run.probed[kind][self.part.name][self.image, t] = state
        if t == self.run.steps - 1:
            self.run.counts[self.part.name] += self.counts

    def deliver(self, t: int, cores: dict[str, "Core"]):
        """Send the spikes of step t to the other cores of the group, for step t + 1."""
        if t < self.part.start:
            return
        for core in cores.values():
            core.receive(self.listed, core.wires.get(self.part.name, ()), t + 1)

    def _take(self, spikes: np.ndarray, connections, t: int):
        found = np.flatnonzero(spikes)
        listed = np.zeros(len(spikes) + 1, np.int32)
        listed[: len(found)], listed[-1] = found, len(found)
        self.receive(listed, connections, t)

    def receive(self, listed: np.ndarray, connections, t: int):
        """Add what the listed spikes bring, from step t on, to the ring."""
        for connection, lost in connections:
            if not lost:
                connection.deliver(listed, self.ring, t % RING, 0, self.unused)
                continue
            apart = np.zeros_like(self.ring)
            connection.deliver(listed, apart, t % RING, 0, self.unused)
            self.ring += (apart // L.POTENTIAL_UNIT >> lost) * L.POTENTIAL_UNIT

    def _added(self, t: int, head: int, cores) -> np.ndarray | None:
        """What is added to v beside u and the bias: noise, and what dendrites hand over."""
        if not self.children and (self.noise is None or self.part.noise.target == "current"):
            return None
        added = np.zeros(self.part.n, np.int64)
        if self.noise is not None and self.part.noise.target == "voltage":
            added += self.noise[t]
        for child in self.children:
            core = cores[child.name]
            if child.dendrite.join == "add":
                added += core.v
                continue
            open_ = np.zeros(self.part.n, bool)
            if t >= child.start:
                open_[core.listed[: core.listed[-1]]] = True
            if child.dendrite.join == "block":
                open_ = ~open_
            added -= np.where(open_, 0, self._next_u(head, t))
        return added

    def _next_u(self, head: int, t: int) -> np.ndarray:
        """The u that this step will compute; wraps left aside, which are counted."""
        drawn = self.noise[t] if self.noise is not None and self.part.noise.target == "current" else 0
        return decay(self.u, self.du) + self.ring[head] + drawn


def _registers(part: Compartments, convention: Convention) -> dict:
    return {
        "du": np.minimum(part.current_decay + np.int32(convention.current_decay_offset), 4096).astype(np.int32),
        "dv": np.minimum(part.voltage_decay + np.int32(convention.voltage_decay_offset), 4096).astype(np.int32),
        "threshold": (part.threshold_mantissa * np.int32(L.POTENTIAL_UNIT)).astype(np.int32),
        "refractory": part.refractory,
        "subtract_reset": part.reset == "subtract",
    }


def _placed(spikes: np.ndarray, first: int, steps: int) -> np.ndarray:
    if not first:
        return spikes
    whole = np.zeros((len(spikes), steps, spikes.shape[2]), np.uint8)
    whole[:, first:] = spikes[:, : max(0, steps - first)]
    return whole
