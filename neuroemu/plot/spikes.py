"""Pictures of spikes: rasters, membranes, rates."""

import numpy as np
from matplotlib.figure import Figure

from ..errors import ArgumentTypeError, InputError
from .drawing import COLOURS, colours_of, figure_of


def raster(spikes, *, image: int = 0) -> Figure:
    """Every spike of one image as a dot: steps to the right, populations one above the other, the first at the top.

    Below: the share of the neurons of each population that spike in a step.

    Parameters
    ----------
    spikes : LoihiRun, mapping from name to array, or array
        (T, N) or (T, B, N) of 0 and 1.
    image : int
    """
    trains = _trains(spikes, "plot.raster", image)
    sizes = [train.shape[1] for train in trains.values()]
    tops = np.concatenate([[0], np.cumsum(sizes)])
    figure = figure_of(8.5, 6.0)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    dot = float(np.clip(2400 / tops[-1], 1.2, 3.5))
    for (name, train), top, colour in zip(trains.items(), tops[:-1], colours_of(len(trains)), strict=True):
        step, neuron = np.nonzero(train)
        upper.plot(step, top + neuron, marker="o", ms=dot, mew=0, lw=0, color=colour, rasterized=len(step) > 20_000)
        upper.axhline(top - 0.5, color="0.8", lw=0.6)
        lower.plot(100 * train.mean(axis=1), color=colour, lw=1.1, drawstyle="steps-mid", label=name)
    steps = len(next(iter(trains.values())))
    names = [f"{name} ({size:,})" for name, size in zip(trains, sizes, strict=True)]
    upper.set_yticks((tops[:-1] + tops[1:] - 1) / 2, names, fontsize=8)
    upper.set(xlim=(-0.5, steps - 0.5), ylim=(tops[-1] - 0.5, -0.5))
    lower.set(xlabel="step", ylabel="spiking (%)", ylim=(0, None))
    lower.grid(alpha=0.3)
    return figure


def membrane(run, population: str, *, neurons=(0, 1, 2), image: int = 0) -> Figure:
    """Potentials of some neurons of a probed run, their thresholds (dashed) and spikes (triangles).

    Parameters
    ----------
    run : LoihiRun
        Of `run_loihi` with ``probe=[population]``; the potential is that after each step, so after a reset.
    population : str
    neurons : numbers of neurons, at most 8
    image : int

    Raises
    ------
    ArgumentTypeError, InputError
        Something else, a population that was not probed, or a number that it does not have.
    """
    if not hasattr(run, "v") or not hasattr(run, "program"):
        raise ArgumentTypeError(f"plot.membrane: got {type(run).__name__}; give a LoihiRun, as run_loihi returns it")
    if population not in run.v:
        known = ", ".join(run.v) or "none"
        raise InputError(f"plot.membrane: '{population}' has no potentials ({known} has); run with probe=[...]")
    potentials = run.v[population]
    neurons = [neurons] if np.ndim(neurons) == 0 else list(neurons)
    most = potentials.shape[2]
    if not 0 < len(neurons) <= len(COLOURS) or not all(0 <= n < most for n in neurons):
        raise InputError(f"plot.membrane: neurons {neurons}; give up to {len(COLOURS)} numbers of 0 to {most - 1}")
    if not 0 <= image < potentials.shape[1]:
        raise InputError(f"plot.membrane: image {image}; the run has {potentials.shape[1]}")
    part = next(part for part in run.program.compartments if part.name == population)
    figure = figure_of(8.5, 1.2 + 1.4 * len(neurons))
    rows = np.atleast_1d(figure.subplots(len(neurons), 1, sharex=True))
    for axes, neuron, colour in zip(rows, neurons, COLOURS, strict=False):
        values, threshold = potentials[:, image, neuron], 64 * int(part.threshold_mantissa[neuron])
        fired = np.flatnonzero(run.spikes[population][:, image, neuron])
        axes.plot(values, color=colour, lw=1.1)
        if len(fired):
            axes.axhline(threshold, color="0.4", lw=0.8, ls="--")
        axes.plot(fired, np.full(len(fired), threshold), marker="v", ms=5, lw=0, color=colour)
        axes.set_ylabel(f"v of {neuron}", fontsize=8)
        axes.grid(alpha=0.3)
    rows[-1].set_xlabel("step")
    rows[0].set_title(f"{population}, image {image}", fontsize=9)
    return figure


def rates(spikes, *, image: int | None = None) -> Figure:
    """How often neurons spike: a histogram of their rates by population, and the rate of each population over time.

    Parameters
    ----------
    spikes : LoihiRun, mapping from name to array, or array
        (T, N) or (T, B, N) of 0 and 1.
    image : int, optional
        Default: all images together.
    """
    trains = _trains(spikes, "plot.rates", image)
    figure = figure_of(10.0, 3.8)
    left, right = figure.subplots(1, 2)
    means = {name: train.reshape(len(train), -1, train.shape[-1]).mean(axis=(0, 1)) for name, train in trains.items()}
    edges = np.linspace(0, max(1e-9, *(float(mean.max()) for mean in means.values())), 31)
    for (name, train), colour in zip(trains.items(), colours_of(len(trains)), strict=True):
        shares = np.histogram(means[name], edges)[0] / len(means[name])
        left.stairs(100 * shares, edges, color=colour, lw=1.3, label=f"{name}: {means[name].mean():.3g} in the mean")
        right.plot(train.reshape(len(train), -1).mean(axis=1), color=colour, lw=1.2, label=name)
    left.set(xlabel="spikes a neuron and step", ylabel="neurons (%)", yscale="log")
    right.set(xlabel="step", ylabel="spikes a neuron and step", ylim=(0, None))
    left.legend(fontsize=8, frameon=False)
    for axes in (left, right):
        axes.grid(alpha=0.3)
    return figure


def _trains(spikes, who: str, image: int | None) -> dict[str, np.ndarray]:
    """Spikes by population: (T, N) of one image, (T, B, N) of all."""
    given = getattr(spikes, "spikes", spikes)
    given = given if hasattr(given, "items") else {"spikes": given}
    found = {}
    for name, values in given.items():
        train = np.asarray(values)
        if train.ndim not in (2, 3) or not train.size or train.dtype.kind not in "biuf":
            raise ArgumentTypeError(f"{who}: '{name}' has shape {train.shape}; give spikes (T, N) or (T, B, N)")
        train = train[:, None] if train.ndim == 2 else train
        if image is not None and not 0 <= image < train.shape[1]:
            raise InputError(f"{who}: image {image}; '{name}' has {train.shape[1]}")
        found[name] = (train if image is None else train[:, image]) != 0
    if len({len(train) for train in found.values()}) != 1:
        raise InputError(f"{who}: populations have different numbers of steps; give one run")
    return found
