"""Timing: how long each step of a placed program takes when neurons and messages are timed one by one.

Enter a placed program, its spikes and the times of one chip; leave seconds by step. The rule is the simple timing of
SANA-FE 2.2.9 (src/schedule.cpp): a step lasts as long as its busiest core, the longer of sending and
receiving, then all cores wait for one another::

    time(t) = max over cores of max(sending, receiving) + barrier
    sending = neurons * update + spikes * spike + messages out * message_out
    receiving = messages in * message_in + synapses that they reach * synapse

Not modelled: messages on their way through the mesh; cores that begin to receive before others have sent.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from .. import _checks
from ..errors import InputError
from .memory import synapses_into
from .placing import spans_of
from .program_placement import ProgramPlacement


@dataclass(frozen=True, kw_only=True)
class MessageSeconds:
    """Times of a core's parts, in seconds.

    Parameters
    ----------
    update : float
        Of each neuron in each step.
    spike : float
        Of a neuron that spikes, on top.
    message_out, message_in : float
        Of a message, at the core that sends and the one that receives it.
    synapse : float or mapping from population to float
        Of a synapse that a message reaches, by the population of the target.
    barrier : float
        Of all cores waiting for one another.
    """

    update: float
    spike: float
    message_out: float
    message_in: float
    synapse: float | Mapping[str, float] = 0.0
    barrier: float

    def __post_init__(self):
        for part in fields(self):
            value = getattr(self, part.name)
            for one in value.values() if isinstance(value, Mapping) else (value,):
                _checks.real(one, who="MessageSeconds", name=part.name, low=0)

    def of_synapse(self, population: str) -> float:
        """Time of a synapse onto a population."""
        if not isinstance(self.synapse, Mapping):
            return self.synapse
        if population not in self.synapse:
            raise InputError(f"MessageSeconds: synapse has no time for '{population}'; add it")
        return self.synapse[population]


def step_seconds(placement: ProgramPlacement, spikes: Mapping[str, np.ndarray], times: MessageSeconds) -> np.ndarray:
    """Seconds of each step.

    Parameters
    ----------
    placement : ProgramPlacement
        Of a program without dendrites, whose compartments spike one by one.
    spikes : mapping from population to (T, N) or (T, B, N) array
        Such as `LoihiRun.spikes`. Messages count in the step in which they are sent.
    times : MessageSeconds

    Returns
    -------
    (T,) or (T, B) float64
    """
    _checks.instance(placement, ProgramPlacement, who="step_seconds", name="placement")
    _checks.instance(times, MessageSeconds, who="step_seconds", name="times")
    if any(part.dendrite is not None for part in placement.program.compartments):
        raise InputError("step_seconds: the program has dendrites, which have no time of their own; leave them out")
    fired = {group.name: _fired(spikes, group) for group in placement.groups}
    spans = spans_of(placement.groups, placement.sites)
    cores = sorted({core for group in spans for *_, core in group})
    number = {core: place for place, core in enumerate(cores)}
    shape = next(iter(fired.values())).shape[:-1]
    sending, receiving = np.zeros((len(cores), *shape)), np.zeros((len(cores), *shape))
    for group, pieces in zip(placement.groups, spans, strict=True):
        for first, stop, core in pieces:
            own = fired[group.name][..., first:stop]
            sending[number[core]] += (stop - first) * times.update + own.sum(axis=-1) * times.spike
        for projection in group.projections:
            source = placement.groups[projection.source]
            for first, stop, core in pieces:
                fan = synapses_into(projection.weights, first, stop)
                _add(fired[source.name], fan, times.message_in, times.of_synapse(group.name), receiving[number[core]])
                for low, high, sender in spans[projection.source]:
                    part = fan[low:high]
                    own = fired[source.name][..., low : low + len(part)]
                    _add(own, part, times.message_out, 0.0, sending[number[sender]])
    return np.maximum(sending, receiving).max(axis=0) + times.barrier


def _add(fired: np.ndarray, fan: np.ndarray, each: float, synapse: float, total: np.ndarray):
    """Add the time of the messages of neurons with `fan` synapses on one core."""
    total += fired[..., : len(fan)] @ np.where(fan > 0, each + synapse * fan, 0.0)


def _fired(spikes: Mapping[str, np.ndarray], group) -> np.ndarray:
    found = np.asarray(spikes[group.name]) if group.name in spikes else None
    if found is None or found.ndim not in (2, 3) or found.shape[-1] != group.size:
        shape = "none" if found is None else found.shape
        raise InputError(f"step_seconds: spikes of '{group.name}': {shape}; give (T, {group.size}) or (T, B, ...)")
    return found.astype(np.float64)
