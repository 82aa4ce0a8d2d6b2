"""Engine: whole test sets through the populations of a spiking network, with the events that the kernel counted.

Enter populations and input codes (B, inputs), or spike trains (B, T, inputs) where the input is one; leave read-out
potentials and, by population, spikes of every neuron and the kernel's counts. A population works on its own window of T
steps, which starts one step after that of its latest source, so populations are computed one after the other over all T
steps and the result is that of a chip that runs them side by side. Spikes of an earlier source reach the window by
synaptic delays, which the windows leave out of sight.
"""

from dataclasses import dataclass

import numpy as np

from .. import _streams, kernels
from ..errors import InputError
from ..kernels.events_reference import COUNT_NAMES
from ..network import layers as L
from .arithmetic import Convention, encode_weights
from .populations import Population, joined, neuron_numbers

NEVER = L.POTENTIAL_UNIT * L.THRESHOLD_MANTISSA  # the largest threshold there is, for neurons that are only read out
MANTISSA = 2  # weight mantissa of one weight code: 8-bit weights of mixed sign are even


@dataclass(frozen=True, eq=False)
class Activity:
    """What happened in one population while a batch ran."""

    spikes: np.ndarray  # uint8 (B, T, N), output spikes
    counts: dict[str, int]  # COUNT_NAMES, all images


def input_codes(network, x: np.ndarray) -> np.ndarray:
    """Input values as codes 0..code_max in the order of the neurons, int32 (B, N); uint8 (B, T, N) of a spike train."""
    if network.layers[0].coding == "spikes":
        return _train(network, x)
    grid = network.grids["input"]
    codes = grid.encode(x).astype(np.int32) - grid.zero_point
    flat = np.empty((len(x), int(np.prod(network.input_shape))), np.int32)
    flat[:, neuron_numbers(network.input_shape).ravel()] = codes.reshape(len(x), -1)
    return flat


def _train(network, x: np.ndarray) -> np.ndarray:
    """Spikes of a train (B, T, ...) in the order of the neurons."""
    if ((x != 0) & (x != 1)).any():
        bad = x[(x != 0) & (x != 1)][0]
        raise InputError(f"network '{network.name}': its input is a spike train of 0 and 1, x holds {bad:g}")
    numbers = neuron_numbers(network.input_shape[1:]).ravel()
    flat = np.empty((*x.shape[:2], numbers.size), np.uint8)
    flat[:, :, numbers] = x.reshape(flat.shape)
    return flat


def run_batch(
    found: tuple[Population, ...],
    codes: np.ndarray,
    steps: int,
    convention: Convention,
    *,
    seed: int,
    trial: int,
    first: int,
    threads: int,
) -> tuple[np.ndarray, list[Activity]]:
    """Final potentials of the last population, int32 (B, N), and the activity of every population."""
    activity = [_encode(found[0], codes, steps, convention, seed=seed, trial=trial, first=first, threads=threads)]
    for population in found[1:]:
        happened, potentials = _run(
            population, [activity[p.source].spikes for p in population.projections], convention, threads
        )
        activity.append(happened)
    return potentials, activity


def _encode(population, codes, steps, convention, *, seed, trial, first, threads) -> Activity:
    encode = population.neuron
    if encode.coding == "spikes":
        return Activity(codes, dict.fromkeys(COUNT_NAMES, 0) | {"output_spikes": int(codes.sum())})
    if encode.coding == "poisson":
        spikes = np.empty((len(codes), steps, population.size), np.uint8)
        for b, row in enumerate(codes):
            draws = _streams.generator(seed, "input", trial, first + b).random((steps, population.size), np.float32)
            spikes[b] = draws * np.float32(encode.code_max) < row
        return Activity(spikes, dict.fromkeys(COUNT_NAMES, 0) | {"output_spikes": int(spikes.sum())})
    nothing = np.zeros((len(codes), steps, 0), np.uint8)
    empty = np.zeros(0, np.int32)
    unwired = {"indptr": np.zeros(1, np.int32), "target": empty, "row": empty, "weights": np.zeros((1, 1), np.int16)}
    bias = np.ascontiguousarray(codes * L.POTENTIAL_UNIT, np.int32)  # bias mantissa = code, exponent 6
    registers = _Registers(
        encode.threshold, bias, encode.initial_voltage, encode.reset == "subtract", refractory=encode.refractory
    )
    return _kernel(nothing, unwired, registers, convention, threads)[0]


def _run(population: Population, sources, convention, threads, **probes):
    """One population, driven by the spikes (B, T, N) of the source of each of its projections."""
    lif: L.Lif = population.neuron
    rows = joined(population, [spikes.shape[2] for spikes in sources])
    spikes = sources[0] if len(sources) == 1 else np.concatenate(sources, axis=2)
    mantissa = MANTISSA * rows.table.astype(np.int32)
    actual = encode_weights(mantissa, exponent=lif.weight_shift - 7, convention=convention)
    wired = {
        "indptr": rows.indptr,
        "target": rows.target,
        "row": rows.row,
        "weights": (actual >> lif.weight_shift).astype(np.int16),
        "shift": lif.weight_shift,
    }
    registers = _Registers(
        NEVER if lif.threshold is None else lif.threshold, population.bias[None], lif.initial_voltage,
        lif.reset == "subtract", lif.current_decay + convention.current_decay_offset,
        lif.voltage_decay + convention.voltage_decay_offset, lif.refractory,
    )  # fmt: skip
    return _kernel(spikes, wired, registers, convention, threads, **probes)


@dataclass(frozen=True, eq=False)
class _Registers:
    """What the neurons of a population are set to; one value for all of them but for the bias."""

    threshold: int
    bias: np.ndarray  # int32 (1, N) or (B, N)
    initial_voltage: int
    subtract: bool
    current_decay: int = 4096  # offsets of the chip added
    voltage_decay: int = 0
    refractory: int = 1


def _kernel(spikes_in, wired, registers: _Registers, convention, threads, **probes):
    """Activity and final potentials (B, N) of one population; `probes` are arrays that the kernel writes."""
    images, steps = spikes_in.shape[:2]
    n = registers.bias.shape[1]
    spikes, counts = np.zeros((images, steps, n), np.uint8), np.zeros((images, len(COUNT_NAMES)), np.int64)
    v = np.full((images, n), registers.initial_voltage, np.int32)
    kernels.events.run_layer(
        spikes_in, **wired, **convention.limits,
        du=_each(n, registers.current_decay), dv=_each(n, registers.voltage_decay),
        threshold=_each(n, registers.threshold), refractory=_each(n, registers.refractory), bias=registers.bias,
        subtract_reset=registers.subtract, v=v, spikes_out=spikes, counts=counts, threads=threads,
        **probes,
    )  # fmt: skip
    return Activity(spikes, dict(zip(COUNT_NAMES, map(int, counts.sum(axis=0)), strict=True))), v


def _each(n: int, value: int) -> np.ndarray:
    return np.full(n, value, np.int32)
