"""Runs of Loihi programs: spikes in, spikes and probes of every population out, step by step as on the chip.

Enter a LoihiProgram and input spikes (T, B, N); leave a LoihiRun. A spike of a compartment in step t arrives in step
t + 1, later by its synaptic delay; an input spike in row t arrives in step t, later by its delay.

Populations that do not reach back to themselves run whole, one after the other, all images in one call of the kernel.
Those that do - recurrent synapses, dendrites - and those with noise go step by step, through the kernel's cores.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from .. import _checks
from ..kernels.events_reference import COUNT_NAMES
from .arithmetic import LOIHI1, Convention
from .program import Compartments, LoihiProgram
from .program_checks import check_size, checked_biases, input_spikes, probes_of
from .program_steps import PROBES, Steps


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
    biases = checked_biases(program, biases or {})
    spikes = input_spikes(program, inputs or {}, steps, next((len(b) for b in biases.values()), None))
    images = next((len(found) for found in (*spikes.values(), *biases.values())), 1)
    probes = probes_of(program, probe)
    check_size(program, probes, steps, images)
    run = Steps(program, convention, steps, images, seed, probes, spikes, noise_draws or {}, biases)
    for group in _order(program):
        if len(group) == 1 and _whole(program, group[0], convention):
            run.whole(group[0], _checks.threads(threads, who="run_loihi"))
        else:
            run.stepwise(group)
    return _result(run)


def _whole(program: LoihiProgram, part: Compartments, convention: Convention) -> bool:
    into = [s for s in program.synapses if s.target == part.name]
    itself = any(s.source == part.name for s in into)
    waits = part.start and any(np.any(s.delay) for s in into)  # what is under way when the population starts
    shifted = convention.shifts_sums and any(s.exponent < 0 for s in into)
    return not (itself or waits or shifted or part.noise is not None or part.dendrite is not None)


def _result(run: Steps) -> LoihiRun:
    turned = {name: np.ascontiguousarray(s.transpose(1, 0, 2)).astype(bool) for name, s in run.spikes.items()}
    u, v = ({n: np.ascontiguousarray(p.transpose(1, 0, 2)) for n, p in run.probed[k].items()} for k in PROBES)
    counts = {}
    for part in run.program.compartments:
        found = dict(zip(COUNT_NAMES, map(int, run.counts[part.name]), strict=True)) | run.deliveries(part.name)
        wraps = (found[key] for key in ("q_wraps", "u_wraps", "v_clips"))
        run.convention.check_overflow(*wraps, who=f"run_loihi: '{part.name}'")
        counts[part.name] = found
    return LoihiRun(run.program, turned, u, v, counts)


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
