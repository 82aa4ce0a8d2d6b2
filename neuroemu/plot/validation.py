"""The picture of a validation: published figures against ours."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..errors import ArgumentTypeError
from .drawing import figure_of

PROOFS = {  # colours of the classes of `parity`
    "independent silicon": "#d1495b",
    "held out": "#1b6ca8",
    "fitted": "#edae49",
    "differential": "#2e8b57",
    "identity": "#8a8f98",
}


def parity(report) -> Figure:
    """Cases of a validation: published against ours, both axes logarithmic, and below it the error of each.

    Colour: how much a case proves. Each bar is the tolerance of its case; a cross is a miss. Errors beyond 100 % stand
    at the edge with their value. Cases without a unit are left out above.

    Parameters
    ----------
    report : Report, as `neuroemu.validation.validate` gives it
    """
    if not (hasattr(report, "cases") and hasattr(report, "failures")):
        raise ArgumentTypeError(f"plot.parity: got {type(report).__name__}; give a validation Report")
    proofs = [proof for proof in PROOFS if any(case.proof == proof for case in report.cases)]
    cases = [case for proof in proofs for case in report.cases if case.proof == proof]
    figure = figure_of(13.5, max(5.0, 1.2 + 0.155 * len(cases)))
    left, right = figure.subplots(1, 2, width_ratios=(1, 1))
    for case in cases:
        marker = {"marker": "o" if case.held else "X", "color": PROOFS[case.proof], "ms": 6, "alpha": 0.8, "lw": 1.5}
        if case.unit:
            left.plot([case.published] * 2, case.span, **marker)
    left.set_anchor("N")
    _parity_axes(left, [case.published for case in cases if case.unit])
    for place, case in enumerate(cases):
        _error_row(right, place, case)
    right.set_yticks(range(len(cases)), [f"{case.number} {case.title}" for case in cases], fontsize=5.5)
    right.invert_yaxis()
    right.margins(y=0.01)
    right.axvline(0, color="0.3", lw=0.8)
    right.set(xlim=(-105, 105), xlabel="error of ours (%); bar: tolerance, cross: missed")
    handles = [Line2D([], [], color=PROOFS[proof], marker="o", lw=0, label=proof) for proof in proofs]
    figure.legend(handles=handles, frameon=False, loc="outside upper left", ncols=len(handles), fontsize=9)
    return figure


def _parity_axes(axes, published: list[float]):
    ends = np.array([min(published) / 5, max(published) * 5])
    axes.plot(ends, ends, color="0.3", lw=0.8)
    axes.fill_between(ends, ends / 1.25, ends * 1.25, color="0.5", alpha=0.2, lw=0, label="25 %")
    axes.set(xscale="log", yscale="log", xlim=ends, ylim=ends, aspect="equal", xlabel="published", ylabel="ours")
    axes.set_title("J, W, s, mm2, 10^12 operations/s, cycles ..., each in its own unit", fontsize=9)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, frameon=False, loc="lower right")


def _error_row(axes, place: int, case):
    """One case of `parity`: its tolerance as a bar, its error as a mark."""
    colour = PROOFS[case.proof]
    low, high = (max(-100.0, min(100.0, 100 * end)) for end in case.tolerance)
    axes.barh(place, high - low, left=low, height=0.8, color=colour, alpha=0.18, lw=0)
    error = 100 * case.error
    axes.plot(min(error, 100.0), place, marker="o" if case.held else "X", color=colour, ms=5)
    if error > 100:
        axes.annotate(f"{error:+.0f} %", (95, place), ha="right", va="center", fontsize=6)
