"""Record: what the populations of a network with graded spikes sent and did, added up while batches run.

In: payloads (B, T, N) of each population, and which neurons heard something. Out: messages, synaptic operations,
updates and the step in which the last message went out.
"""

import threading
from dataclasses import dataclass

import numpy as np

from .graded_populations import GradedPopulation, fan_out, sources_of


@dataclass(frozen=True, eq=False, kw_only=True)
class PopulationCounts:
    """Events of one population, of all images together.

    Attributes
    ----------
    messages : int64 (N,)
        Graded spikes sent, by neuron.
    by_step : int64 (T,)
        Graded spikes sent in each step of the population's own window, which starts `level` steps late.
    synaptic_operations : int
        One for each message and stored synapse that it reached.
    active : int
        Updates of neurons to which something came, or that sent something.
    updates : int
        All updates in the window.
    largest_payload : int
    """

    messages: np.ndarray
    by_step: np.ndarray
    synaptic_operations: int
    active: int
    updates: int
    largest_payload: int

    @property
    def payload_bits(self) -> int:
        """Bits of the largest payload, with its sign; 0 if nothing was sent."""
        return self.largest_payload.bit_length() + 1 if self.largest_payload else 0


class Record:
    """Adds up the events of one run; called from several threads."""

    def __init__(self, populations: tuple[GradedPopulation, ...], images: int, steps: int):
        self.populations = populations
        self._messages = {p.tensor: np.zeros(p.size, np.int64) for p in populations}
        self._by_step = {p.tensor: np.zeros(steps, np.int64) for p in populations}
        self._active = {p.tensor: 0 for p in populations}
        self._updates = {p.tensor: 0 for p in populations}
        self._largest = {p.tensor: 0 for p in populations}
        self.last_message = np.full(images, -1, np.int64)  # step of the whole chip, by image; -1: none
        self._lock = threading.Lock()

    def add(self, population: GradedPopulation, payload: np.ndarray | None, heard: np.ndarray, first: int):
        """Count one batch: payloads (B, T, N), None where a read-out sends nothing; `heard` as the payloads."""
        tensor = population.tensor
        if payload is None:
            with self._lock:
                self._active[tensor] += int(np.count_nonzero(heard))
                self._updates[tensor] += heard.size
            return
        sent = payload != 0
        any_sent = sent.any(axis=2)
        last = np.where(any_sent.any(axis=1), any_sent.shape[1] - 1 - any_sent[:, ::-1].argmax(axis=1), -1)
        with self._lock:
            self._messages[tensor] += sent.sum(axis=(0, 1))
            self._by_step[tensor] += sent.sum(axis=(0, 2))
            self._active[tensor] += int(np.count_nonzero(sent | heard))
            self._updates[tensor] += sent.size
            if payload.size:
                self._largest[tensor] = max(self._largest[tensor], int(payload.max()), -int(payload.min()))
            part = self.last_message[first : first + len(sent)]
            np.maximum(part, np.where(last >= 0, last + population.level, -1), out=part)

    def counts(self) -> dict[str, PopulationCounts]:
        """Events by the name of the population."""
        listeners, operations = sources_of(self.populations), dict.fromkeys(self._messages, 0)
        for source, found in listeners.items():
            for population, wiring in found:
                fan = fan_out(wiring, len(self._messages[source]))
                operations[population.tensor] += int(self._messages[source] @ fan)
        return {
            p.name: PopulationCounts(
                messages=self._messages[p.tensor],
                by_step=self._by_step[p.tensor],
                synaptic_operations=operations[p.tensor],
                active=self._active[p.tensor],
                updates=self._updates[p.tensor],
                largest_payload=self._largest[p.tensor],
            )
            for p in self.populations
        }
