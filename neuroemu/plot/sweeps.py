"""Pictures of sweeps: accuracy over a setting, or over the time since programming."""

import numpy as np
from matplotlib.figure import Figure

from ..errors import ArgumentTypeError, InputError
from ..sweeps import Sweep
from .drawing import colours_of, figure_of

AGES = {
    "1 s": 1.0,
    "1 min": 60.0,
    "1 h": 3600.0,
    "1 day": 86400.0,
    "1 month": 2.62e6,
    "1 year": 3.15e7,
    "10 years": 3.15e8,
}  # s, ticks of `ageing`


def sweep(sweeps, *, logarithmic: bool = False) -> Figure:
    """Accuracy over what a sweep varied; bars are 95 % intervals over chips, or over images with one chip.

    Parameters
    ----------
    sweeps : Sweep, or dict of label -> Sweep
    logarithmic : bool
        Logarithmic horizontal axis.
    """
    named = sweeps if isinstance(sweeps, dict) else {"": sweeps}
    if not named or not all(isinstance(one, Sweep) for one in named.values()):
        raise ArgumentTypeError("plot.sweep: give a Sweep, or a dict of label -> Sweep")
    figure = figure_of(5.2, 3.6)
    axes = figure.subplots()
    for (label, one), colour in zip(named.items(), colours_of(len(named)), strict=True):
        accuracy = 100 * one.column("accuracy")
        if np.isnan(accuracy).any():
            raise InputError(f"plot.sweep: '{label or one.name}' has no accuracy; run with labels=")
        chips = not np.isnan(one.column("chips_low")).any()
        low, high = (100 * one.column(f"{'chips' if chips else 'accuracy'}_{end}") for end in ("low", "high"))
        values = [float(v) for v in one.values]
        axes.plot(values, accuracy, "o-", color=colour, label=label, ms=4)
        axes.fill_between(values, low, high, color=colour, alpha=0.2, lw=0)
    axes.set(xlabel=next(iter(named.values())).name, ylabel="accuracy (%)", xscale="log" if logarithmic else "linear")
    axes.grid(alpha=0.3)
    if any(named):
        axes.legend(frameon=False, fontsize=8)
    return figure


def ageing(sweeps) -> Figure:
    """Accuracy against the time since programming, as `neuroemu.ageing` gives it; a line for each compensation."""
    figure = sweep(sweeps, logarithmic=True)
    (axes,) = figure.axes
    named = sweeps if isinstance(sweeps, dict) else {"": sweeps}
    times = [float(v) for one in named.values() for v in one.values]
    shown = {name: t for name, t in AGES.items() if min(times) <= t <= max(times)}
    if shown:
        axes.set_xticks(list(shown.values()), list(shown), fontsize=8)
        axes.minorticks_off()
    axes.set_xlabel("time since programming")
    return figure
