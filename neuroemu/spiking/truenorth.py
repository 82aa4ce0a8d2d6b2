"""Runs of TrueNorth programs: spikes from outside enter; spikes, potentials and counted events leave.

The programs are in `truenorth_program`. Equations, order of events in a tick and random numbers are those of
`neuroemu.kernels.truenorth_reference`, which the compiled kernel equals bit by bit.
"""

from dataclasses import dataclass

import numpy as np

from .. import _checks, _streams, kernels
from ..errors import InputError
from ..kernels import truenorth_reference as reference
from ..kernels.truenorth_reference import COUNT_NAMES
from .truenorth_program import (
    AXONS,
    NEURONS,
    NeuronParameters,
    TrueNorthCoreProgram,
    TrueNorthProgram,
    integers,
)

__all__ = [
    "NeuronParameters",
    "TrueNorthCoreProgram",
    "TrueNorthProgram",
    "TrueNorthRun",
    "TrueNorthState",
    "run_truenorth",
]


@dataclass(frozen=True, eq=False)
class TrueNorthState:
    """Where a run stopped: ticks run, seed, V (C, 256), spikes under way (16, C, 32) and shift registers (C,)."""

    tick: int
    seed: int
    potential: np.ndarray
    ring: np.ndarray
    register: np.ndarray


@dataclass(frozen=True, eq=False)
class TrueNorthRun:
    """What a run gave.

    Parameters
    ----------
    spikes : int32 (n, 3)
        Tick of this run, core and neuron of every spike of the recorded cores, in this order.
    off_chip : bool (n,)
        Which of them left the board.
    potentials : int32 (T, P, 256)
        V after each tick in the probed cores, lowest core first.
    counts : dict
        Totals by name: spikes from outside, synaptic events, neuron updates, active cores (one a tick and core),
        spikes, those that left, merges, saturations, hops in four directions, and chip crossings. `run_chip` in
        `neuroemu.kernels.truenorth_reference` says what each one is.
    counts_by_tick : int64 (T, 13)
        The same in each tick, in the order of `counts`.
    state : TrueNorthState
        Continues the run.
    warnings : tuple of str
    counts_by_group : int64 (G, 13)
        Events of all ticks by group of cores, if the run was given groups.
    """

    spikes: np.ndarray
    off_chip: np.ndarray
    potentials: np.ndarray
    counts: dict[str, int]
    counts_by_tick: np.ndarray
    state: TrueNorthState
    warnings: tuple[str, ...]
    counts_by_group: np.ndarray | None = None


def run_truenorth(
    program: TrueNorthProgram,
    spikes,
    ticks: int,
    *,
    seed: int = 0,
    threads: int | None = None,
    record=None,
    probe=(),
    state: TrueNorthState | None = None,
    groups=None,
) -> TrueNorthRun:
    """Run a program for some ticks. The same seed gives the same bits for any number of threads.

    Parameters
    ----------
    program : TrueNorthProgram
    spikes : int (S, 3)
        Spikes from outside in any order: tick of this run (0..ticks - 1) in which the axon is active, core, axon.
    ticks : int
        1 or more.
    seed : int
        Of all random draws; each core also has its own seed. Unused with `state`, which has one.
    threads : int, optional
        Default: all cores of this machine; fewer than 256 cores of the chip run on one.
    record, probe : sequence of int
        Cores whose spikes, whose potentials are kept. Default: spikes of cores with neurons that leave the board, no
        potentials. A recorded core takes 32 bytes a tick, a probed one 1,024.
    state : TrueNorthState, optional
        End of an earlier run of the same program, to be continued. Cutting a run changes nothing.
    groups : int (C,), optional
        Group of each core, from 0: events are also counted by group (the layers of a network, say). Spikes from outside
        and merges belong to the core with the axon, hops and chip crossings to the core that sends.

    Returns
    -------
    TrueNorthRun

    Notes
    -----
    A tick: spikes from outside, then each core integrates, leaks, compares and resets, then its spikes go out. They
    arrive 1 to 15 ticks later, so the order of cores does not matter. Spikes that meet on an axon in a tick merge.
    Not modelled: the time that packets take, congestion, and the way of spikes on and off the board.
    """
    who = "run_truenorth"
    _checks.instance(program, TrueNorthProgram, who=who, name="program")
    ticks = _checks.integer(ticks, who=who, name="ticks", low=1)
    n = len(program.cores)
    if state is None:
        state = start_state(program, _checks.integer(seed, who=who, name="seed", low=0))
    elif state.potential.shape != (n, NEURONS):
        raise InputError(
            f"{who}: the state is of {len(state.potential)} cores, the program has {n}; give its own state"
        )
    leaving = program.arrays["route"] < 0
    kept = np.flatnonzero(leaving.any(axis=1)) if record is None else _cores(record, n, "record")
    probed = _cores(probe, n, "probe")
    packed = np.empty((ticks, len(kept), NEURONS // 8), np.uint8)
    potentials = np.empty((ticks, len(probed), NEURONS), np.int32)
    threads = _checks.threads(threads, who=who)
    if groups is not None:
        groups = integers(groups, who, "groups", (n,), 0, n - 1, np.int32, broadcast=False)

    def run(inputs):
        counts = np.zeros((ticks, len(COUNT_NAMES)), np.int64)
        by_group = None if groups is None else np.zeros((int(groups.max()) + 1, len(COUNT_NAMES)), np.int64)
        after = {name: getattr(state, name).copy() for name in ("potential", "ring", "register")}
        kernels.truenorth.run_chip(
            inputs, ticks=ticks, first_tick=state.tick, **program.arrays, **after, recorded=_rows(kept, n),
            seed=_streams.stream_word(state.seed, "neuron"), spikes_out=packed, probed=_rows(probed, n),
            probe_out=potentials, counts=counts, group=groups, group_counts=by_group, threads=threads,
        )  # fmt: skip
        return counts, by_group, after

    inputs = _ordered(spikes)
    try:  # the kernel finds wrong inputs while it runs, which costs nothing
        counts, by_group, after = run(_inputs(spikes, ticks, n) if inputs is None else inputs)
    except ValueError:
        counts, by_group, after = run(_inputs(spikes, ticks, n))
    found = _listed(packed, kept)
    totals = dict(zip(COUNT_NAMES, kernels.truenorth.total_counts(counts), strict=True))
    return TrueNorthRun(
        found,
        np.ones(len(found), bool) if leaving[kept].all() else leaving[found[:, 1], found[:, 2]],
        potentials,
        totals,
        counts,
        TrueNorthState(state.tick + ticks, state.seed, **after),
        warnings_of(totals),
        by_group,
    )


def start_state(program: TrueNorthProgram, seed: int) -> TrueNorthState:
    """The state before the first tick."""
    n, core_seed = len(program.cores), program.arrays["core_seed"]
    counters = np.zeros((n, 4), np.uint32)
    counters[:, 0], counters[:, 3] = core_seed, 1  # draws have 0 in the last word
    register = np.ones(n, np.uint32)
    if program.shift_register:
        word = _streams.stream_word(seed, "neuron")
        register = reference.threefry(counters, seed=word, stream=reference.KEY_WORD << 32)[:, 0]
    potential = np.stack([core.potential for core in program.cores])
    ring = np.zeros((reference.SLOTS, n, AXONS // 8), np.uint8)
    return TrueNorthState(0, seed, potential, ring, np.maximum(register, np.uint32(1)))


def _ordered(spikes) -> np.ndarray | None:
    """Spikes from outside as the kernel takes them, if they come in this form; it checks values and order."""
    if not (isinstance(spikes, np.ndarray) and spikes.ndim == 2 and spikes.shape[1] == 3 and spikes.flags.c_contiguous):
        return None
    if spikes.dtype == np.int32:
        return spikes
    found = np.empty(spikes.shape, np.int32)
    return found if spikes.dtype == np.int64 and kernels.truenorth.narrow_inputs(spikes, found) else None


def _inputs(spikes, ticks, cores) -> np.ndarray:
    """Spikes from outside, checked and in order of their ticks."""
    given = np.asarray(spikes)
    given = given.reshape(0, 3).astype(np.int32) if given.size == 0 else given
    if given.ndim != 2 or given.shape[1] != 3:
        raise InputError(f"run_truenorth: spikes has shape {given.shape}; give (S, 3): tick, core, axon")
    columns = [np.ascontiguousarray(column) for column in given.T]
    for column, name, limit in zip(columns, ("ticks", "cores", "axons"), (ticks, cores, AXONS), strict=True):
        integers(column, "run_truenorth", f"{name} of spikes", column.shape, 0, limit - 1, np.int32)
    found = np.stack(columns, axis=1, dtype=np.int32, casting="unsafe")
    late = columns[0][1:] < columns[0][:-1]
    return found[np.argsort(columns[0], kind="stable")] if late.any() else found


def _cores(value, n, name):
    found = np.atleast_1d(np.asarray(value, np.int64 if np.size(value) == 0 else None))
    found = integers(found, "run_truenorth", name, (found.size,), 0, n - 1, np.int64, broadcast=False)
    if len(np.unique(found)) < len(found):
        raise InputError(f"run_truenorth: {name} names a core twice; name each once")
    return np.sort(found)


def _rows(cores, n):
    rows = np.full(n, -1, np.int32)
    rows[cores] = np.arange(len(cores), dtype=np.int32)
    return rows


def _listed(packed, cores):
    """Packed spikes as rows (tick, core, neuron)."""
    found = np.empty((kernels.truenorth.count_spikes(packed) + 64, 3), np.int32)  # the kernel writes 64 at a time
    return found[: kernels.truenorth.list_spikes(packed, cores, found)]


def warnings_of(counts: dict[str, int]) -> tuple[str, ...]:
    """One line for each kind of loss in the counts of a run."""
    found = []
    if counts["merges"]:
        found.append(f"{counts['merges']:,} spikes met another one on an axon in the same tick and merged with it")
    if counts["saturations"]:
        found.append(f"{counts['saturations']:,} times a potential left 20 bits and was clipped")
    return tuple(found)
