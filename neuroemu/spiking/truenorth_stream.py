"""Streams: inputs become spikes on axons, a program runs them, and its output spikes become votes.

A network that forgets takes one input after the other: input b has ticks b T to b T + T - 1, and its votes leave
`latency` ticks later. Pieces of the stream continue one another, so where it is cut changes nothing. Inputs of other
networks run alone, each from the potentials of the program.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from .. import _streams
from ..kernels.truenorth_reference import COUNT_NAMES
from ..network import layers as L
from ..network.graph import INPUT, Network
from .truenorth import run_truenorth
from .truenorth_compiler import Compiler
from .truenorth_program import NEURONS, TrueNorthProgram

MOST_EVENTS = 1 << 22  # input spikes of a piece at most, or one input: bounds the memory, changes no result
MOST_INPUTS = 1024  # inputs of a piece
AT_ONCE = 64  # inputs handed to the threads together where each runs alone


@dataclass(frozen=True, eq=False)
class Stream:
    """What runs: a program of so many copies and the presentation of an input in ticks."""

    compiled: Compiler
    program: TrueNorthProgram
    copies: int
    steps: int

    def votes(self, spikes: Callable[[int, int], np.ndarray], n: int, *, threads: int, progress: Callable[[int], None]):
        """(votes (n, K) int64, counts by layer of the compiler (G, 13) int64) of n inputs.

        Parameters
        ----------
        spikes : function (first, stop) -> bool (stop - first, T, inputs)
        threads : int
        progress : function (inputs done)
        """
        classes, latency = self._classes(), self.compiled.plan.latency
        found = np.zeros((n, self.compiled.plan.chain.classes), np.int64)
        counts = np.zeros((len(self.compiled.layers), len(COUNT_NAMES)), np.int64)
        forgets = self.compiled.plan.chain.forgets
        pieces = self._stream if forgets else self._alone
        for first, stop, run in pieces(spikes, n, threads):
            tick, core, neuron = run.spikes.T
            image, kind = first + (tick - latency) // self.steps, classes[core, neuron]
            valid = (image >= 0) & (kind >= 0) & (forgets | (tick >= latency))  # before that, only leaks have spoken
            np.add.at(found, (image[valid], kind[valid]), 1)
            counts += run.counts_by_group
            progress(stop)
        return found, counts

    def _stream(self, spikes, n, threads) -> Iterator:
        latency, state, groups = self.compiled.plan.latency, None, self._groups()
        size = self._piece()
        for first in range(0, n, size):
            stop = min(first + size, n)
            ticks = (stop - first) * self.steps + (latency if stop == n else 0)
            events = self._events(spikes(first, stop))
            run = run_truenorth(
                self.program, events, ticks, threads=threads, state=state, record=self._recorded(), groups=groups
            )
            state = run.state
            yield first, stop, run

    def _alone(self, spikes, n, threads) -> Iterator:
        ticks, recorded, groups = self.steps + self.compiled.plan.latency, self._recorded(), self._groups()

        def one(image):
            events = self._events(spikes(image, image + 1))
            return run_truenorth(self.program, events, ticks, threads=1, record=recorded, groups=groups)

        with ThreadPoolExecutor(threads) as pool:
            for first in range(0, n, AT_ONCE):  # not all at once, so that an interruption is heard
                images = range(first, min(first + AT_ONCE, n))
                for image, run in zip(images, pool.map(one, images), strict=True):
                    yield image, image + 1, run

    def _piece(self) -> int:
        plan = self.compiled.plan
        events = max(len(plan.lines[0].axon) * self.copies, plan.chain.inputs) * self.steps
        return min(MOST_INPUTS, max(1, MOST_EVENTS // events))

    def _events(self, spikes: np.ndarray) -> np.ndarray:
        """Rows (tick, core, axon) of the spikes (B, T, inputs) on all axons that they reach, in all copies."""
        lines = self.compiled.plan.lines[0]
        tick, source = np.nonzero(spikes.reshape(-1, spikes.shape[2]))
        many = lines.fan_out[source]
        start = np.repeat(lines.first[source] - np.cumsum(many) + many, many)
        line = start + np.arange(len(start))
        offset = np.arange(self.copies) * len(self.compiled.plan.cores)
        found = np.empty((len(line), self.copies, 3), np.int32)
        found[:, :, 0] = np.repeat(tick, many)[:, None]
        found[:, :, 1] = lines.core[line][:, None] + offset
        found[:, :, 2] = lines.axon[line][:, None]
        return found.reshape(-1, 3)

    def _recorded(self) -> np.ndarray:
        return np.flatnonzero((self._classes() >= 0).any(axis=1))

    def _groups(self) -> np.ndarray:
        """Number of the layer of each core."""
        return np.tile(self.compiled.layer_of, self.copies)

    def _classes(self) -> np.ndarray:
        """Class that each neuron of each core votes for, or -1."""
        plan = self.compiled.plan
        last = len(plan.chain.groups) - 1
        found = np.full((len(plan.cores), NEURONS), -1)
        place = plan.position[last, False]
        voting = place[:, 0] >= 0
        found[tuple(place[voting].T)] = plan.chain.votes[voting]
        return np.tile(found, (self.copies, 1))


def input_spikes(network: Network, x: np.ndarray, *, seed: int, trial: int) -> Callable[[int, int], np.ndarray]:
    """The function (first, stop) -> spikes (B, T, inputs) of the inputs, as the Encode layer of the network says."""
    encode: L.Encode = network.layers[0]
    grid = network.grids[INPUT]

    def spikes(first, stop):
        codes = grid.encode(x[first:stop]).astype(np.int64).reshape(stop - first, -1) - grid.zero_point
        if encode.coding == "direct":
            return _direct(encode, codes, network.steps)
        found = np.empty((len(codes), network.steps, codes.shape[1]), bool)
        for b, row in enumerate(codes):
            draws = _streams.generator(seed, "input", trial, first + b).random(found.shape[1:], np.float32)
            found[b] = draws * np.float32(encode.code_max) < row
        return found

    return spikes


def _direct(encode: L.Encode, codes, steps) -> np.ndarray:
    """An integrate-and-fire neuron for each input, computed by the host."""
    v = np.full(codes.shape, encode.initial_voltage, np.int64)
    found = np.empty((len(codes), steps, codes.shape[1]), bool)
    for t in range(steps):
        v += codes * L.POTENTIAL_UNIT
        fired = found[:, t] = v > encode.threshold
        v = v - fired * encode.threshold if encode.reset == "subtract" else np.where(fired, 0, v)
    return found
