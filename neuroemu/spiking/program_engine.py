"""Program engine: networks of Programmed layers, whose neurons run programs and send graded spikes.

Enter a Network and inputs, held or as sequences; leave the read-out and the messages. In each step the input codes, or
the sums of weight times payload, drive a population; the sums are made by the compiled kernel, for all steps at once,
since nothing feeds back. As in `sigma_delta`, layer l works l steps late and shorter branches wait in delays.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from .. import kernels
from ..errors import InputError, UnsupportedError
from ..kernels.graded_reference import largest_sum
from ..network import layers as L
from ..network import ops
from ..network.graded import Programmed
from ..network.graph import INPUT, Network
from ..network.programs import run_program
from .graded_populations import GradedPopulation, graded_populations, padded_rows
from .graded_record import Record
from .graded_run import GradedRun
from .layout import as_tensor, neurons_last

BYTES_AT_ONCE = 1 << 22  # of the largest population's int64 payloads worked on at a time


def run_programs(network: Network, x: np.ndarray, *, threads: int, progress=None) -> GradedRun:
    """Inputs (B, ...), each held for the network's steps; see `run_frames`."""
    held = np.broadcast_to(x[:, None], (len(x), network.steps, *x.shape[1:]))
    return run_program_frames(network, held, threads, progress)


def run_program_frames(network: Network, x: np.ndarray, threads: int, progress) -> GradedRun:
    """Sequences of inputs (B, T, ...) through a programmed network; outputs (B, 1, K) are those after the last step."""
    images, steps = x.shape[:2]
    last = network.layer(_read_out(network))
    populations = graded_populations(network)
    record = Record(populations, images, steps)
    synapses = _synapses(populations)
    at_once = max(1, BYTES_AT_ONCE // (8 * steps * max(p.size for p in populations)))
    outputs = np.empty((images, 1, *network.output_shape), np.float32)

    def run(first):
        part = _Part(network, populations, synapses, record, first)
        outputs[first : first + at_once, 0] = part.run(x[first : first + at_once], last)
        return min(first + at_once, images)

    with ThreadPoolExecutor(threads) as pool:
        for done in pool.map(run, range(0, images, at_once)):
            if progress is not None:
                progress(network.name, done, images)
    return GradedRun(
        outputs=outputs,
        counts=record.counts(),
        depth=populations[-1].level,
        settled=record.last_message + 2,
    )


def _read_out(network: Network) -> str:
    """The last Programmed layer; only rearrangements may follow it."""
    for layer in reversed(network.layers):
        if isinstance(layer, Programmed):
            return layer.name
        if not isinstance(layer, L.Flatten | L.Reshape | L.Transpose):
            break
    raise UnsupportedError(
        f"network '{network.name}': its last neurons must be a Programmed layer, which is read out; add one"
    )


class _Part:
    """One batch of images on its way through the layers."""

    def __init__(self, network, populations, synapses, record: Record, first: int):
        self.network, self.record, self.first = network, record, first
        self.synapses = synapses
        self.by_tensor = {p.tensor: p for p in populations}
        self.payloads: dict[str, np.ndarray] = {}  # (B, T, N) in the order of neurons, by the layer that sends

    def run(self, x: np.ndarray, last: Programmed) -> np.ndarray:
        grid = self.network.grids[INPUT]
        tensors = {INPUT: grid.encode(x).astype(np.int32) - grid.zero_point}
        for layer in self.network.layers:
            reads = [tensors[i] for i in layer.inputs]
            if isinstance(layer, Programmed):
                tensors[layer.name], shown = self._program(layer, reads[0], layer is last)
                if layer is last:
                    break
            else:
                tensors[layer.name] = self._compute(layer, *reads)
        scale = last.scale if last.scale.ndim else float(last.scale)
        return (shown * scale).astype(np.float32).reshape(len(x), *self.network.output_shape)

    def _program(self, layer: Programmed, drive, is_last: bool):
        """Payloads of a population as a tensor, and what the last one shows after the last step."""
        population, ports = self.by_tensor[layer.name], layer.program.PORTS
        if ports > 1:
            drive = np.stack(np.split(drive, ports, axis=2))
        payload, state = run_program(layer.program, drive)
        heard = _flat(drive != 0 if ports == 1 else (drive != 0).any(axis=0))
        flat = _flat(payload)
        self.payloads[layer.name] = flat
        self.record.add(population, None if is_last else flat, heard, self.first)
        return payload, layer.program.read(state) if is_last else None

    def _compute(self, layer, *reads):
        images, steps = reads[0].shape[:2]
        merged = [r.reshape(images * steps, *r.shape[2:]) for r in reads]
        shape = self.network.shapes[layer.name]
        if isinstance(layer, L.Weighted):
            found = self._sums(layer, images * steps)
        elif isinstance(layer, L.Add):
            found = merged[0] + merged[1]
        elif isinstance(layer, L.Concat):
            found = np.concatenate(merged, axis=layer.axis + 1)
        elif isinstance(layer, L.SumPool2d):
            found = ops.pool_sum(layer, merged[0])
        elif isinstance(layer, L.Flatten | L.Reshape | L.Transpose):
            found = ops.rearrange(layer, merged[0], shape)
        else:
            raise UnsupportedError(
                f"{type(layer).__name__} '{layer.name}': no place between neurons that run programs; put what it does "
                "into a program"
            )
        return found.reshape(images, steps, *shape)

    def _sums(self, layer: L.Weighted, lines: int) -> np.ndarray:
        if layer.name not in self.synapses:
            raise UnsupportedError(
                f"{type(layer).__name__} '{layer.name}': it needs integer codes and must read what neurons send"
            )
        source, arrays, bound = self.synapses[layer.name]
        payload = self.payloads[source].reshape(lines, -1)
        most = max(int(payload.max(initial=0)), -int(payload.min(initial=0)))
        if most * bound >= 2**31:
            raise InputError(
                f"layer '{layer.name}': payloads of up to {most:,} could make sums of more than 32 bits; raise the "
                "thresholds before it"
            )
        shape = self.network.shapes[layer.name]
        sums = np.zeros((lines, int(np.prod(shape))), np.int32)
        kernels.graded.add_messages(np.ascontiguousarray(payload), **arrays, sums=sums)
        if layer.bias is not None:
            sums = sums + np.resize(layer.bias, sums.shape[1])  # channel last: biases repeat
        return as_tensor(sums, (lines, *shape))


def _synapses(populations: tuple[GradedPopulation, ...]) -> dict[str, tuple]:
    """Source, kernel arrays and largest sum at payload 1 of each weighted layer."""
    found, sizes = {}, {p.tensor: p.size for p in populations}
    for population in populations:
        for wiring in population.wirings:
            if not wiring.weighted or wiring.layer.weight_grid is None:
                continue
            rows = padded_rows(wiring.rows, sizes[wiring.source])
            arrays = {
                "indptr": rows.indptr, "target": rows.target, "row": rows.row, "weights": rows.table.astype(np.int16),
            }  # fmt: skip
            reached = int(rows.target.max(initial=0)) + rows.length
            found[wiring.layer.name] = (wiring.source, arrays, largest_sum(1, **arrays, n=reached))
    return found


def _flat(values: np.ndarray) -> np.ndarray:
    """(B, T, ...) as (B, T, N) in the order of neurons."""
    images, steps = values.shape[:2]
    return neurons_last(values.reshape(images * steps, *values.shape[2:])).reshape(images, steps, -1)
