"""Probing: what every neuron of a spiking network does in every step - spikes, currents, potentials - and how near the
largest numbers come to the limits of the core.

The compiled kernel that whole test sets use writes the probes; nothing is computed a second way, but for the sums q and
the potentials before a reset, which follow from them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .. import _checks
from ..errors import InputError
from ..kernels.events_reference import decay
from ..network.graph import Network
from . import engine
from .arithmetic import Convention
from .populations import Population, neuron_numbers, populations

BATCH = 32  # inputs at a time
PROBED = 1 << 22  # numbers of the largest population at a time; both bound the memory and change no result


@dataclass(frozen=True, eq=False)
class Probe:
    """One population over a run of B inputs, T steps, N neurons (numbered as `populations` does)."""

    name: str
    spikes: np.ndarray  # uint8 (B, T, N)
    u: np.ndarray  # int32 (B, T, N), current at the end of each step
    v: np.ndarray  # int32 (B, T, N), potential at the end of each step, after the reset
    counts: dict[str, int]


@dataclass(frozen=True, eq=False)
class Batch:
    """All populations over the inputs from `first` on; probes are made when they are asked for."""

    first: int
    populations: tuple[Population, ...]
    spikes: tuple[np.ndarray, ...]  # uint8 (B, T, N) of each population
    potentials: np.ndarray  # int32 (B, N), final ones of the last population
    convention: Convention
    threads: int

    def arriving(self, index: int) -> list[np.ndarray]:
        """What population `index` reads."""
        return [self.spikes[projection.source] for projection in self.populations[index].projections]

    def probe(self, index: int) -> Probe:
        """What population `index` does."""
        return probed(self.populations[index], self.arriving(index), self.convention, self.threads)


def batches(network: Network, x, convention: Convention, *, seed: int = 0, threads: int = 1) -> Iterator[Batch]:
    """A whole network on checked inputs (B, *input_shape), some at a time."""
    found = populations(network)
    for part in parts(len(x), max(population.size for population in found) * network.steps):
        codes = engine.input_codes(network, x[part])
        settings = {"seed": seed, "trial": 0, "first": part.start, "threads": threads}
        potentials, activity = engine.run_batch(found, codes, network.steps, convention, **settings)
        yield Batch(part.start, found, tuple(a.spikes for a in activity), potentials, convention, threads)


def parts(inputs: int, numbers: int) -> Iterator[slice]:
    """Slices of so many inputs that their `numbers` each stay within bounds."""
    at_once = max(1, min(BATCH, PROBED // max(1, numbers)))
    for first in range(0, inputs, at_once):
        yield slice(first, min(first + at_once, inputs))


def checked(x, network: Network, *, who: str) -> np.ndarray:
    """`x` as float32 (B, *input_shape), or one clear error."""
    _checks.instance(network, Network, who=who, name="network")
    if not network.spiking:
        raise InputError(f"{who}: network '{network.name}' computes with numbers; use to_spiking or to_integer_core")
    return network.check_input(x, who=who)


def probed(population: Population, arriving: list[np.ndarray], convention: Convention, threads: int = 1) -> Probe:
    """One population, driven by spikes (B, T, N) of what it reads."""
    shape = (*arriving[0].shape[:2], population.size)
    u, v = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
    happened, _ = engine._run(population, arriving, convention, threads, probe_u=u, probe_v=v)
    return Probe(population.name, happened.spikes, u, v, happened.counts)


def magnitudes(population: Population, probe: Probe, convention: Convention) -> dict[str, int]:
    """The largest |q|, |u| and |v| of a run whose numbers did not wrap; v before its reset and its clip."""
    lif = population.neuron
    q = probe.u - decay(_before(probe.u, 0), lif.current_decay + convention.current_decay_offset)
    kept = decay(_before(probe.v, lif.initial_voltage), lif.voltage_decay + convention.voltage_decay_offset)
    level = kept + probe.u + population.bias
    level[held(probe.spikes, lif.refractory)] = 0
    return {"q": _largest(q), "u": _largest(probe.u), "v": _largest(level)}


def _before(values: np.ndarray, start: int) -> np.ndarray:
    """Values of the step before."""
    return np.concatenate([np.full_like(values[:, :1], start), values[:, :-1]], axis=1)


def held(spikes: np.ndarray, refractory: int) -> np.ndarray:
    """Where a neuron is refractory: bool (B, T, N)."""
    found = np.zeros(spikes.shape, bool)
    for late in range(1, refractory):
        found[:, late:] |= spikes[:, : spikes.shape[1] - late] != 0
    return found


def limits(convention: Convention) -> dict[str, int]:
    """The largest q, u and v that a core holds."""
    kernel = convention.limits
    return {"q": (1 << kernel["q_bits"]) - 1, "u": (1 << kernel["u_bits"]) - 1, "v": kernel["v_limit"]}


def closest_to_limit(population: Population, probe: Probe, convention: Convention) -> tuple[float, str]:
    """(share of its limit, name) of the number that comes nearest to it; infinite if one left its range."""
    for name, event in (("q", "q_wraps"), ("u", "u_wraps"), ("v", "v_clips")):
        if probe.counts[event]:
            return np.inf, name
    most = limits(convention)
    shares = {name: value / most[name] for name, value in magnitudes(population, probe, convention).items()}
    worst = max(shares, key=shares.get)
    return shares[worst], worst


def as_neurons(spikes: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Spikes (T, B, *shape) as the engine takes them: uint8 (B, T, N) in the order of the neurons."""
    flat = np.empty((spikes.shape[1], spikes.shape[0], int(np.prod(shape))), np.uint8)
    flat[:, :, neuron_numbers(shape).ravel()] = spikes.swapaxes(0, 1).reshape(*flat.shape)
    return flat


def as_tensor(spikes: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The other way: (T, B, *shape) of what the engine gives, (B, T, N)."""
    return spikes[:, :, neuron_numbers(shape).ravel()].reshape(*spikes.shape[:2], *shape).swapaxes(0, 1)


def checked_spikes(x, network: Network, *, who: str) -> np.ndarray:
    """`x` as bool (T, B, *input_shape), or one clear error."""
    x = np.asarray(x)
    if x.dtype.kind not in "biuf" or x.ndim != 2 + len(network.input_shape) or x.shape[2:] != network.input_shape:
        raise InputError(
            f"{who}: got {x.dtype} of shape {x.shape}; give spikes (steps, batch, "
            f"{', '.join(map(str, network.input_shape))})"
        )
    if not ((x == 0) | (x == 1)).all():
        raise InputError(f"{who}: spikes hold other numbers than 0 and 1; put factors into the first weights")
    if not x.any():
        raise InputError(f"{who}: there is no spike; give inputs that drive the network")
    return x != 0


def _largest(array: np.ndarray) -> int:
    return int(np.abs(array).max(initial=0))
