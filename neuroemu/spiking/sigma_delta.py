"""Sigma-delta engine: sequences of inputs through a quantized network whose neurons send changes as graded spikes.

Enter a Network from `to_sigma_delta` and inputs (B, T, ...), one for each step; leave the outputs in every step and the
messages that were sent. The sums of the weighted layers come from the messages, by the compiled kernel; all other
arithmetic is that of the integer reference, in its own code. A sum of messages with weight 1, as additions and pools
make it, is what was sent: it is taken from there.

Layer l works on its own window of T steps, which starts l steps after the presentation. Where branches of unequal
length meet, the shorter one's messages wait in the delays of their synapses, so all that a neuron hears in one step
comes from the input of one step.

Every neuron starts at the code of real zero. Without a threshold a neuron sends each change whole, so that after each
step of its window it shows the code that `run_integer` computes for the input of that step.
"""

import threading
from dataclasses import replace

import numpy as np

from .. import _checks, kernels
from ..errors import InputError, UnsupportedError
from ..kernels.graded_reference import largest_sum
from ..network import layers as L
from ..network.graded import Delta, Programmed
from ..network.graph import Network
from ..network.integer import run_integer
from ..network.programs import DeltaProgram, run_program
from .graded_populations import GradedPopulation, graded_populations, padded_rows
from .graded_record import Record
from .graded_run import GradedRun
from .layout import as_tensor, neurons_last
from .program_engine import run_program_frames

BYTES_AT_ONCE = 1 << 23  # of the largest layer's int32 payloads and sums worked on at a time


def run_frames(network: Network, x: np.ndarray, *, threads: int | None = None, progress=None) -> GradedRun:
    """Sequences of inputs through a network with graded spikes, one input for each step.

    Parameters
    ----------
    network : Network
        From `to_sigma_delta`, or of Programmed layers.
    x : ``(B, T, *input_shape)`` array
        T inputs that follow one another, real numbers. State lasts over the sequence and not beyond.
    threads : int, optional
        No result depends on it. Default: the cores this process may use.
    progress : callable (what, done, total), optional

    Returns
    -------
    GradedRun
        Of a programmed network, `outputs` holds what is read out after the last step, as (B, 1, K).

    Raises
    ------
    InputError
        Wrong shape, NaN, or a network without Delta or Programmed layers.
    UnsupportedError
        A layer whose sums could leave 32 bits.
    """
    _checks.instance(network, Network, who="run_frames", name="network")
    programmed = any(isinstance(layer, Programmed) for layer in network.layers)
    if not (programmed or is_sigma_delta(network)):
        raise InputError(f"run_frames: network '{network.name}' sends no graded spikes; call to_sigma_delta(network)")
    x = _checks.finite_array(x, who="run_frames", name="x")
    if x.ndim < 2 or 0 in x.shape or x.shape[2:] != network.input_shape:
        wanted = ", ".join(map(str, ("B", "T", *network.input_shape)))
        raise InputError(f"run_frames: x has shape {x.shape}; network '{network.name}' takes ({wanted})")
    run = run_program_frames if programmed else _run
    return run(network, x, _checks.threads(threads, who="run_frames"), progress)


def run_held(network: Network, x: np.ndarray, *, threads: int, progress=None) -> GradedRun:
    """Inputs (B, ...), each held for the network's steps; see `run_frames`."""
    held = np.broadcast_to(x[:, None], (len(x), network.steps, *x.shape[1:]))
    return _run(network, held, threads, progress)


def is_sigma_delta(network: Network) -> bool:
    return any(isinstance(layer, Delta) for layer in network.layers)


def _run(network, x, threads, progress) -> GradedRun:
    images, steps = x.shape[:2]
    populations = graded_populations(network)
    traffic = _Traffic(network, populations, images, steps)
    at_once = max(1, BYTES_AT_ONCE // (4 * steps * max(p.size for p in populations)))
    at_once = max(1, min(at_once, -(-images // threads)))
    outputs = run_integer(
        network, x.reshape(images * steps, *x.shape[2:]), multiply=traffic.multiply, send=traffic.send,
        batch=at_once * steps, threads=threads, progress=progress,
    )  # fmt: skip
    return GradedRun(
        outputs=outputs.reshape(images, steps, *outputs.shape[1:]),
        counts=traffic.record.counts(),
        depth=populations[-1].level,
        settled=traffic.record.last_message + 2,
    )


class _Traffic:
    """The messages of one run: sends what changed, and makes the sums of weighted layers from what was sent."""

    def __init__(self, network: Network, populations: tuple[GradedPopulation, ...], images: int, steps: int):
        self.steps = steps
        self.grids = network.grids
        self.by_tensor = {p.tensor: p for p in populations}
        self.last = populations[-1]
        self.record = Record(populations, images, steps)
        self.weighted = {}
        for population in populations:
            for wiring in population.wirings:
                if wiring.weighted:
                    self.weighted[wiring.layer.name] = (population, wiring.source, self._synapses(wiring))
        self.under_way = threading.local()  # payloads and what was heard, of the batch that a thread works on

    def _synapses(self, wiring) -> dict[str, np.ndarray]:
        source = self.by_tensor[wiring.source]
        rows = padded_rows(wiring.rows, source.size)
        grid = self.grids[source.tensor]
        largest = grid.high - grid.low
        arrays = {
            "indptr": rows.indptr, "target": rows.target, "row": rows.row, "weights": rows.table.astype(np.int16),
        }  # fmt: skip
        population = next(p for p in self.by_tensor.values() if wiring in p.wirings)
        bound = largest_sum(largest, **arrays, n=population.size)
        if bound >= 2**31:
            raise UnsupportedError(
                f"layer '{wiring.layer.name}': sums of up to {bound:,} need more than 32 bits; split its fan-in"
            )
        return arrays

    def send(self, layer: Delta, codes: np.ndarray, first: int) -> np.ndarray:
        """What the readers of a Delta layer know after each step; the messages are kept for their sums."""
        population, batch = self.by_tensor[layer.name], self._batch(first)
        zero = self.grids[layer.name].zero_point
        values = neurons_last(codes).reshape(-1, self.steps, population.size).astype(np.int32) - zero
        alone = self.steps == 1 and layer.threshold <= 1  # the first change is the value itself
        payload = values if alone else run_program(DeltaProgram(threshold=layer.threshold), values)[0]
        batch["payload"][layer.name] = payload
        self._count(population, payload, batch, first)
        for wiring in self.last.wirings:
            if wiring.source == layer.name and not wiring.weighted:
                self._finish_one(batch, first)
        if layer.threshold <= 1:
            return codes  # every change went out
        received = (np.cumsum(payload, axis=1, dtype=np.int32) + zero).astype(np.int8)
        return as_tensor(received.reshape(len(codes), -1), codes.shape)

    def multiply(self, layer: L.Weighted, drive: np.ndarray, first: int) -> np.ndarray:
        """Weighted sums after each step, from the messages so far."""
        population, source, arrays = self.weighted[layer.name]
        batch = self._batch(first)
        payload = batch["payload"][source]
        sums = np.zeros((len(drive), population.size), np.int32)
        kernels.graded.add_messages(payload.reshape(len(drive), -1), **arrays, sums=sums)
        sums = sums.reshape(-1, self.steps, population.size)
        self._hear(batch, population, sums != 0)
        if self.steps > 1:
            np.cumsum(sums, axis=1, out=sums)
        if population is self.last:
            self._finish_one(batch, first)
        return as_tensor(sums.reshape(len(drive), -1), (len(drive), *population.shape))

    def _batch(self, first: int) -> dict:
        if getattr(self.under_way, "first", None) != first:
            fresh = {"payload": {}, "heard": {}, "missing": len(self.last.wirings)}
            self.under_way.first, self.under_way.batch = first, fresh
        return self.under_way.batch

    def _finish_one(self, batch, first):
        """One wiring of the last population has delivered; after all of them it is counted."""
        batch["missing"] -= 1
        if not batch["missing"]:
            self._count(self.last, None, batch, first)

    @staticmethod
    def _hear(batch, population, heard):
        known = batch["heard"].get(population.tensor)
        batch["heard"][population.tensor] = heard if known is None else known | heard

    def _count(self, population, payload, batch, first):
        """Record a population once it has computed; messages into layers without weights are heard here."""
        for wiring in population.wirings:
            if not wiring.weighted:
                self._hear(batch, population, _arrived(batch["payload"][wiring.source], wiring, population.size))
        heard = batch["heard"].get(population.tensor)
        if heard is None:  # nothing is wired to it: the input
            heard = np.zeros(payload.shape, bool)
        self.record.add(population, payload, heard, first // self.steps)


def _arrived(payload: np.ndarray, wiring, size: int) -> np.ndarray:
    """Whether a message came to each neuron, bool (B, T, size)."""
    images, steps, n = payload.shape
    rows = padded_rows(replace(wiring.rows, table=np.ones_like(wiring.rows.table)), n)
    sums = np.zeros((images * steps, size), np.int32)
    kernels.graded.add_messages(
        (payload != 0).astype(np.int32).reshape(-1, n), indptr=rows.indptr, target=rows.target, row=rows.row,
        weights=rows.table.astype(np.int16), sums=sums,
    )  # fmt: skip
    return sums.reshape(images, steps, size) > 0
