"""Cutting: which neurons of a group share a core, so that each core has at most 256 neurons and 256 axons.

A line is what takes an axon: one input with one axon type. Neurons that listen to the same lines belong together.
"""

import numpy as np

from .truenorth_program import AXONS, NEURONS


class TooManyAxons(Exception):
    """A core would need more axons than it has: (neurons, axons needed)."""


def cut(size: int, alive: np.ndarray, neuron: np.ndarray, line: np.ndarray, runs=None) -> list[np.ndarray]:
    """Neurons of each core, in ascending order.

    Parameters
    ----------
    size : int
        Neurons of the group.
    alive : bool (size,)
        Which of them are placed.
    neuron, line : int (E,)
        The lines that neurons listen to, each pair once.
    runs : tuple of int, optional
        Neurons of each core, in order, instead of a search.

    Raises
    ------
    TooManyAxons
    """
    if runs is not None:
        return _in_runs(alive, neuron, line, runs)
    _, line = np.unique(line, return_inverse=True)
    by_neuron = _grouped(neuron, line, size)
    by_line = _grouped(line, neuron, int(line.max(initial=-1)) + 1)
    lines = np.bincount(neuron, minlength=size)
    if lines.max(initial=0) > AXONS:
        raise TooManyAxons(1, int(lines.max()))
    left, cores = alive.copy(), []
    while left.any():
        cores.append(_one_core(left, lines, by_neuron, by_line))
        left[cores[-1]] = False
    return cores


def _one_core(left, lines, by_neuron, by_line) -> np.ndarray:
    """Starting with the first neuron left, the neuron that needs fewest new axons is added while there is room."""
    never = AXONS + 1
    missing = np.where(left, lines, never)  # new axons that each neuron would need
    held, used, found = np.zeros(len(by_line), bool), 0, []
    chosen = int(left.argmax())
    while len(found) < NEURONS and used + missing[chosen] <= AXONS:
        found.append(chosen)
        missing[chosen] = never
        for line in by_neuron[chosen]:
            if not held[line]:
                held[line], used = True, used + 1
                others = by_line[line]
                missing[others] -= missing[others] < never
        chosen = int(missing.argmin())
        if missing[chosen] == never:
            break
    return np.sort(np.array(found))


def _in_runs(alive, neuron, line, runs) -> list[np.ndarray]:
    cores, ends = [], np.cumsum(runs)
    for first, stop in zip(ends - runs, ends, strict=True):
        members = np.arange(first, stop)[alive[first:stop]]
        axons = len(np.unique(line[(neuron >= first) & (neuron < stop)]))
        if axons > AXONS or len(members) > NEURONS:
            raise TooManyAxons(len(members), axons)
        if len(members):
            cores.append(members)
    return cores


def _grouped(key, value, n) -> list[np.ndarray]:
    order = np.argsort(key, kind="stable")
    return np.split(value[order], np.cumsum(np.bincount(key, minlength=n))[:-1]) if n else []
