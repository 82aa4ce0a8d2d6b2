"""Stopping early: an image is done when its largest output leads by a margin that no later step is likely to undo.

The read-out adds up from step to step, so one run holds the answer after every number of steps. The lead is the
difference of the two largest potentials as they stand, in units of the output, not divided by the steps so far: what
single spikes still add to a sum stays as large as it is, while the sum grows. An image that stops after t steps of the
read-out leaves the chip after t + depth steps; layers before have run ahead by their distance, and all that counts.

The rule is the user's, not the chip's: what reading and comparing the potentials in each step takes is not counted.
"""

from dataclasses import dataclass

import numpy as np

from .. import _checks
from ..errors import InputError
from ..kernels.events_reference import COUNT_NAMES
from . import engine
from .arithmetic import Convention
from .engine import Activity
from .populations import Population
from .probing import probed


@dataclass(frozen=True, kw_only=True)
class StopWhenSure:
    """Stop an image as soon as its largest output leads the second by `margin`.

    Parameters
    ----------
    margin : float, >= 0
        In units of the network's output at full presentation; `calibrate_stop` finds it on training samples.
    first : int, >= 1
        Fewest steps of the read-out.
    """

    margin: float
    first: int = 1

    def __post_init__(self):
        _checks.real(self.margin, who="StopWhenSure", name="margin", low=0.0)
        _checks.integer(self.first, who="StopWhenSure", name="first", low=1)

    def steps(self, leads: np.ndarray) -> np.ndarray:
        """Steps of the read-out, 1 .. T, that each image takes; `leads` (B, T) as `lead` gives them."""
        sure = leads >= self.margin
        sure[:, : min(self.first, leads.shape[1]) - 1] = False
        return np.where(sure.any(axis=1), sure.argmax(axis=1) + 1, leads.shape[1])


def lead(outputs: np.ndarray) -> np.ndarray:
    """How far the largest of the last axis is above the second; (..., K) -> (...)."""
    if outputs.shape[-1] < 2:
        raise InputError(f"stopping early: the network has {outputs.shape[-1]} output; a lead takes two or more")
    top = np.partition(outputs, -2, axis=-1)
    return top[..., -1] - top[..., -2]


def read_out(last: Population, potentials: np.ndarray, activity: Activity) -> np.ndarray:
    """Outputs (B, K): final potentials, or spikes where the last neurons spike."""
    if last.neuron.threshold is not None:
        return activity.spikes.sum(axis=1, dtype=np.float32)
    return potentials * np.float32(last.neuron.scale)


def outputs_by_step(found: tuple[Population, ...], spikes, convention: Convention, threads: int) -> np.ndarray:
    """Outputs after each step, float64 (B, T, K), from the spikes (B, T, N) of each population.

    They are what has added up so far, in units of the output.
    """
    last = found[-1]
    if last.neuron.threshold is not None:
        return spikes[-1].cumsum(axis=1, dtype=np.float64)
    arriving = [spikes[projection.source] for projection in last.projections]
    return probed(last, arriving, convention, threads).v * np.float32(last.neuron.scale)


def stopped(found, activity: list[Activity], codes, steps: np.ndarray, convention: Convention, threads: int):
    """Yield (images, activity) for each number of steps: what happened until the read-out had made its steps.

    A population that is d levels before the read-out has run d steps more. Its neurons are run again up to there, so
    that every count is of steps that were made.
    """
    whole, depth = activity[-1].spikes.shape[1], found[-1].level
    for count in np.unique(steps):
        images = np.flatnonzero(steps == count)
        cut: list[Activity] = []
        for population, happened in zip(found, activity, strict=True):
            window = min(whole, int(count) + depth - population.level)
            cut.append(_cut(population, happened, cut, codes[images], images, window, convention, threads))
        yield images, cut


def _cut(population, happened, before, codes, images, window, convention, threads) -> Activity:
    """One population over the first steps of some images."""
    if population.projections:
        arriving = [
            np.ascontiguousarray(before[projection.source].spikes[:, :window]) for projection in population.projections
        ]
        return engine._run(population, arriving, convention, threads)[0]
    if population.neuron.coding == "direct":
        return engine._encode(
            population, codes, window, convention, seed=0, trial=0, first=0, threads=threads
        )  # nothing is drawn
    spikes = happened.spikes[images, :window]
    return Activity(spikes, dict.fromkeys(COUNT_NAMES, 0) | {"output_spikes": int(spikes.sum())})
