"""Runs of Loihi programs: spikes in, spikes and probes of every population out, step by step as on the chip.

Enter a LoihiProgram and input spikes (T, B, N); leave a LoihiRun. A spike of a compartment in step t arrives in step
t + 1, later by its synaptic delay; an input spike in row t arrives in step t, later by its delay.

Populations that do not reach back to themselves run whole, one after the other, all images in one call of the kernel.
Those that do - recurrent synapses, dendrites - and those with noise go step by step, through the kernel's cores.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from .. import _checks, _streams, kernels
from ..errors import ArgumentTypeError, InputError
from ..kernels.events_reference import COUNT_NAMES, decay
from ..network import layers as L
from . import wiring
from .arithmetic import LOIHI1, Convention, whole_array
from .program import Compartments, LoihiProgram

PROBES = ("u", "v")
RING = 64  # slots of input under way: delays 0 .. 62, and the step in hand
MOST_BYTES = 1 << 33  # of spikes and probes of one run


@dataclass(frozen=True, eq=False)
class LoihiRun:
    """What a program did.

    Attributes
    ----------
    spikes : mapping from population to (T, B, N) bool
    u, v : mapping from population to (T, B, N) int32
        Of the probed populations, after each step.
    counts : mapping from population to mapping
        Events of all images: input_spikes, synaptic_operations (synapses of the spikes that came in), output_spikes,
        active_updates, inactive_updates, q_wraps, u_wraps, v_clips.
    """

    program: LoihiProgram
    spikes: Mapping[str, np.ndarray]
    u: Mapping[str, np.ndarray]
    v: Mapping[str, np.ndarray]
    counts: Mapping[str, Mapping[str, int]]

    @property
    def steps(self) -> int:
        return next(iter(self.spikes.values())).shape[0]


def run_loihi(
    program: LoihiProgram,
    inputs: Mapping[str, np.ndarray] | None = None,
    *,
    steps: int,
    probe: Mapping[str, Iterable[str]] | Iterable[str] = (),
    convention: Convention = LOIHI1,
    seed: int = 0,
    threads: int | None = None,
    biases: Mapping[str, np.ndarray] | None = None,
    noise_draws: Mapping[str, np.ndarray] | None = None,
) -> LoihiRun:
    """Run a program for some steps.

    Parameters
    ----------
    program : LoihiProgram
    inputs : mapping from the name of input axons to (T, B, N) or (T, N) array of 0 and 1
        T is `steps`; missing inputs stay silent. Without a batch axis B is 1.
    steps : int, >= 1
    probe : names of populations, or mapping from name to "u", "v" or both
        Names alone probe both.
    convention : Convention
        How the chip, or an emulator, does its arithmetic: LOIHI1, LOIHI2, BRIAN2LOIHI, LAVA, NENGO.
    seed : int
        Of the noise.
    threads : int, optional
        Images side by side in populations that run whole; no result depends on it.
    biases : mapping from population to (B, N) integers, optional
        Bias of each image, mantissa times power of two, in place of that of the program.
    noise_draws : mapping from population to (T, B, N) integers -127 .. 127, optional
        In place of drawn ones, to repeat another emulator's run.

    Returns
    -------
    LoihiRun

    Raises
    ------
    InputError, ArgumentTypeError
        Inputs or probes that do not fit the program; a number that outgrew a convention without limits.
    """
    _checks.instance(program, LoihiProgram, who="run_loihi", name="program")
    _checks.instance(convention, Convention, who="run_loihi", name="convention")
    steps = _checks.integer(steps, who="run_loihi", name="steps", low=1)
    _checks.integer(seed, who="run_loihi", name="seed", low=0)
    biases = _checked_biases(program, biases or {})
    spikes = _input_spikes(program, inputs or {}, steps, next((len(b) for b in biases.values()), None))
    images = next((len(found) for found in (*spikes.values(), *biases.values())), 1)
    probes = _probes(program, probe)
    _check_size(program, probes, steps, images)
    run = _Run(program, convention, steps, images, seed, probes, spikes, noise_draws or {}, biases)
    for group in _order(program):
        if len(group) == 1 and _whole(program, group[0]):
            run.whole(group[0], _checks.threads(threads, who="run_loihi"))
        else:
            run.stepwise(group)
    return run.result()


def _whole(program: LoihiProgram, part: Compartments) -> bool:
    into = [s for s in program.synapses if s.target == part.name]
    itself = any(s.source == part.name for s in into)
    waits = part.start and any(np.any(s.delay) for s in into)  # what is under way when the population starts
    return not (itself or waits or part.noise is not None or part.dendrite is not None)


class _Run:
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
            cores = {part.name: _Core(part, self, image) for part in group}
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

    def result(self) -> LoihiRun:
        turned = {name: np.ascontiguousarray(s.transpose(1, 0, 2)).astype(bool) for name, s in self.spikes.items()}
        u, v = ({n: np.ascontiguousarray(p.transpose(1, 0, 2)) for n, p in self.probed[k].items()} for k in PROBES)
        counts = {}
        for part in self.program.compartments:
            counts[part.name] = dict(zip(COUNT_NAMES, map(int, self.counts[part.name]), strict=True))
            counts[part.name] |= self._deliveries(part.name)
            wraps = (counts[part.name][key] for key in ("q_wraps", "u_wraps", "v_clips"))
            self.convention.check_overflow(*wraps, who=f"run_loihi: '{part.name}'")
        return LoihiRun(self.program, turned, u, v, counts)

    def _deliveries(self, name: str) -> dict[str, int]:
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


class _Core:
    """One population and one image, stepped through the kernel."""

    def __init__(self, part: Compartments, run: _Run, image: int):
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
            wired = run.edges(synapses).kernel_arguments()
            connection = kernels.events.Connection(**wired, n=n, depth=RING)
            self.wires.setdefault(synapses.source, []).append(connection)
            self.outside.setdefault(synapses.source, run.received(synapses.source, image))
        self.unused = np.zeros(len(COUNT_NAMES), np.int64)

    def update(self, t: int, cores: dict[str, "_Core"]):
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

    def deliver(self, t: int, cores: dict[str, "_Core"]):
        """Send the spikes of step t to the other cores of the group, for step t + 1."""
        if t < self.part.start:
            return
        for core in cores.values():
            for connection in core.wires.get(self.part.name, ()):
                connection.deliver(self.listed, core.ring, (t + 1) % RING, 0, core.unused)

    def _take(self, spikes: np.ndarray, connections, t: int):
        found = np.flatnonzero(spikes)
        listed = np.zeros(len(spikes) + 1, np.int32)
        listed[: len(found)], listed[-1] = found, len(found)
        for connection in connections:
            connection.deliver(listed, self.ring, t % RING, 0, self.unused)

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


def _checked_biases(program: LoihiProgram, biases) -> dict[str, np.ndarray]:
    """Biases as int32 (B, N)."""
    found = {}
    for name, given in biases.items():
        part = next((p for p in program.compartments if p.name == name), None)
        if part is None:
            raise InputError(f"run_loihi: biases for '{name}', which is no population of compartments")
        most = L.BIAS_MANTISSA << L.BIAS_EXPONENT
        values = whole_array(given, who="run_loihi", name=f"biases of '{name}'", low=-most - 128, high=most)
        if values.ndim != 2 or values.shape[1] != part.n:
            raise InputError(f"run_loihi: biases of '{name}' have shape {values.shape}; give (B, {part.n})")
        found[name] = np.ascontiguousarray(values, np.int32)
    if len({len(values) for values in found.values()}) > 1:
        raise InputError("run_loihi: biases are of different numbers of images")
    return found


def _input_spikes(program: LoihiProgram, inputs, steps: int, images: int | None) -> dict[str, np.ndarray]:
    """Inputs as uint8 (B, T, N)."""
    known = {axons.name: axons.n for axons in program.inputs}
    found = {}
    if not isinstance(inputs, Mapping):
        raise ArgumentTypeError(f"run_loihi: inputs is {type(inputs).__name__}; give a mapping from name to spikes")
    for name, given in inputs.items():
        if name not in known:
            raise InputError(f"run_loihi: no input axons '{name}'; there are {', '.join(known) or 'none'}")
        train = np.asarray(given)
        train = train[:, None] if train.ndim == 2 else train
        if train.ndim != 3 or train.shape[0] != steps or train.shape[2] != known[name]:
            raise InputError(
                f"run_loihi: input '{name}' has shape {np.shape(given)}; give (T, B, N) or (T, N) with T = {steps}, "
                f"N = {known[name]}"
            )
        if not np.isin(train, (0, 1)).all():
            raise InputError(f"run_loihi: input '{name}' holds other numbers than 0 and 1")
        if images not in (None, train.shape[1]):
            raise InputError(f"run_loihi: input '{name}' has {train.shape[1]} images, another {images}")
        images = train.shape[1]
        found[name] = np.ascontiguousarray(train.transpose(1, 0, 2), np.uint8)
    for name, n in known.items():
        found.setdefault(name, np.zeros((images or 1, steps, n), np.uint8))
    return found


def _probes(program: LoihiProgram, probe) -> dict[str, tuple[str, ...]]:
    """The states probed of each population."""
    names = [part.name for part in program.compartments]
    wanted = dict(probe) if isinstance(probe, Mapping) else {name: PROBES for name in _listed(probe)}
    for name, states in wanted.items():
        if name not in names:
            raise InputError(f"run_loihi: no population '{name}' to probe; there are {', '.join(names)}")
        for state in _listed(states):
            _checks.choice(state, PROBES, who="run_loihi", name=f"probe of '{name}'")
    return {name: tuple(_listed(wanted.get(name, ()))) for name in names}


def _listed(names) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


def _check_size(program, probes, steps: int, images: int):
    sizes = [program.size(axons.name) for axons in program.inputs]
    sizes += [part.n * (1 + 4 * len(probes[part.name])) for part in program.compartments]
    needed = sum(sizes) * steps * images
    if needed > MOST_BYTES:
        raise InputError(
            f"run_loihi: spikes and probes of {steps} steps and {images} images take {needed / 1e9:.0f} GB, the limit "
            f"is {MOST_BYTES / 1e9:.0f}; run fewer images, or probe less"
        )


def _order(program: LoihiProgram) -> list[list[Compartments]]:
    """Groups of populations that reach one another, each after those it reads; dendrites stand before their parents."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    parts = list(program.compartments)
    index = {part.name: i for i, part in enumerate(parts)}
    pairs = [(index[s.source], index[s.target]) for s in program.synapses if s.source in index]
    for part in parts:
        if part.dendrite is not None:  # one tree is one group
            ends = index[part.name], index[part.dendrite.of]
            pairs += [ends, ends[::-1]]
    starts, ends = np.array(pairs, int).reshape(-1, 2).T
    graph = csr_array((np.ones(len(pairs)), (starts, ends)), shape=(len(parts),) * 2)
    _, label = connected_components(graph, directed=True, connection="strong")
    before = {g: {int(label[a]) for a, b in pairs if label[b] == g and label[a] != g} for g in set(label.tolist())}
    done, groups = set(), []
    while len(done) < len(before):
        ready = sorted(g for g in before if g not in done and before[g] <= done)
        for g in ready:
            members = [part for part in parts if label[index[part.name]] == g]
            groups.append(sorted(members, key=lambda part: -_depth(program, part)))
            done.add(g)
    return groups


def _depth(program: LoihiProgram, part: Compartments) -> int:
    """Dendrites between a compartment and its soma."""
    depth = 0
    while part.dendrite is not None:
        part = next(other for other in program.compartments if other.name == part.dendrite.of)
        depth += 1
    return depth
