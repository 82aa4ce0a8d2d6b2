"""Activity: how often, how regularly and how much together the neurons of a population spike.

Enter spikes, or the run that made them; leave rates, the irregularity of intervals and a measure of synchrony.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .. import _checks
from .._counts import aligned
from ..errors import ArgumentTypeError, InputError

FEWEST_SPIKES = 3  # of a train whose intervals vary


@dataclass(frozen=True)
class PopulationActivity:
    """Of one population.

    Attributes
    ----------
    neurons, spikes : int
        Spikes of all steps and images.
    rate : float
        Spikes a neuron and step.
    silent : float
        Share of the neurons that never spike.
    interval_variation : float
        Standard deviation of the steps between spikes by their mean, over each train of at least three spikes, then
        averaged over trains: 0 for a clock, 1 for a Poisson process of low rate. NaN without such trains.
    synchrony : float
        sqrt(variance over time of the mean of all neurons / mean of the variances of each neuron), of spikes in
        windows, averaged over images: 1 where all neurons do the same, about 1/sqrt(neurons) where they are
        independent. NaN where nothing varies.
    """

    name: str
    neurons: int
    spikes: int
    rate: float
    silent: float
    interval_variation: float
    synchrony: float


@dataclass(frozen=True)
class SpikeStatistics:
    """What `spike_statistics` found; print it."""

    steps: int
    images: int
    window: int
    populations: tuple[PopulationActivity, ...]

    def __getitem__(self, name: str) -> PopulationActivity:
        for one in self.populations:
            if one.name == name:
                return one
        raise KeyError(name)

    def table(self) -> str:
        """One line a population."""
        rows = [("population", "neurons", "spikes", "rate", "silent", "interval variation", "synchrony")]
        for one in self.populations:
            rows.append((
                one.name, f"{one.neurons:,}", f"{one.spikes:,}", f"{one.rate:.3g}", f"{one.silent:.1%}",
                f"{one.interval_variation:.2f}", f"{one.synchrony:.2f}",
            ))  # fmt: skip
        return aligned(rows)

    def __str__(self):
        return f"{self.steps} steps, {self.images} images, windows of {self.window} steps\n{self.table()}"


def spike_statistics(spikes, *, window: int = 1) -> SpikeStatistics:
    """Rates, variation of intervals and synchrony.

    Parameters
    ----------
    spikes : LoihiRun, mapping from name to array, or array
        (T, N) or (T, B, N) of 0 and 1.
    window : int, 1 to T
        Steps in which spikes count as simultaneous; a rest that fills no window is left out.

    Returns
    -------
    SpikeStatistics

    References
    ----------
    Synchrony: D. Golomb, "Neuronal synchrony measures", Scholarpedia 2(1):1347 (2007), of spikes in place of
    potentials.
    """
    trains = trains_of(spikes, who="spike_statistics")
    steps, images = next(iter(trains.values())).shape[:2]
    _checks.integer(window, who="spike_statistics", name="window", low=1, high=steps)
    found = []
    for name, train in trains.items():
        fired = train.sum(axis=(0, 1), dtype=np.int64)
        found.append(
            PopulationActivity(
                name=name, neurons=train.shape[2], spikes=int(fired.sum()), rate=float(train.mean()),
                silent=float((fired == 0).mean()), interval_variation=_interval_variation(train),
                synchrony=_synchrony(train, window),
            )
        )  # fmt: skip
    return SpikeStatistics(steps, images, window, tuple(found))


def trains_of(spikes, *, who: str) -> dict[str, np.ndarray]:
    """Spikes by population, bool (T, B, N)."""
    given = getattr(spikes, "spikes", spikes)
    given = given if isinstance(given, Mapping) else {"spikes": given}
    found, shapes = {}, set()
    for name, values in given.items():
        train = np.asarray(values)
        if train.dtype.kind not in "biuf" or train.ndim not in (2, 3) or not train.size:
            raise ArgumentTypeError(
                f"{who}: '{name}' is {type(values).__name__} of shape {train.shape}; give spikes (T, N) or (T, B, N)"
            )
        if not np.isin(train, (0, 1)).all():
            raise InputError(f"{who}: '{name}' holds other numbers than 0 and 1")
        found[name] = (train[:, None] if train.ndim == 2 else train).astype(bool)
        shapes.add(found[name].shape[:2])
    if len(shapes) != 1:
        raise InputError(f"{who}: populations have steps and images {sorted(shapes)}; give them all the same")
    return found


def _interval_variation(train: np.ndarray) -> float:
    steps = len(train)
    number, time = np.nonzero(train.reshape(steps, -1).T)
    same = np.diff(number) == 0
    interval, owner = np.diff(time)[same].astype(np.float64), number[1:][same]
    n = np.bincount(owner, minlength=train[0].size)
    enough = n >= FEWEST_SPIKES - 1
    if not enough.any():
        return float("nan")
    total = np.bincount(owner, interval, minlength=len(n))[enough]
    squares = np.bincount(owner, interval**2, minlength=len(n))[enough]
    mean = total / n[enough]
    return float((np.sqrt(np.maximum(0.0, squares / n[enough] - mean**2)) / mean).mean())


def _synchrony(train: np.ndarray, window: int) -> float:
    steps = len(train) // window * window
    counts = train[:steps].reshape(-1, window, *train.shape[1:]).sum(axis=1, dtype=np.float64)
    together, alone = counts.mean(axis=2).var(axis=0), counts.var(axis=0).mean(axis=1)
    varies = alone > 0
    return float(np.sqrt(together[varies] / alone[varies]).mean()) if varies.any() else float("nan")
