"""Pictures of results: energy against accuracy, and where the energy goes."""

import numpy as np
from matplotlib.figure import Figure

from ..errors import InputError
from ..result import Result, si
from .drawing import checked_results, colours_of, figure_of, priced_results


def energy_accuracy(results) -> Figure:
    """Energy of an inference (log axis) against accuracy, and where the energy goes.

    Left: one point a result; vertical bars are 95 % intervals over images, and over chips where there are several.
    Right: energy by part, dynamic and static, stacked as shares, with the total beside the bar.

    Parameters
    ----------
    results : list of Result, or a Comparison

    Raises
    ------
    ArgumentTypeError, InputError
        Not results, or results without accuracy.
    """
    results = checked_results(results)
    if any(not r.energy.total > 0 for r in results):
        raise InputError(
            "energy_accuracy: a result used no energy, or an unknown one, which a log axis cannot show; leave it out"
        )
    if any(r.accuracy is None for r in results):
        raise InputError("energy_accuracy: a result has no accuracy; run with labels=")
    figure = figure_of(10.5, 4.0 + 0.12 * len(results))
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
    for result, colour in zip(results, colours_of(len(results)), strict=True):
        _point(left, result, colour)
    left.set_xscale("log")
    left.set_xlabel("energy of an inference (J)")
    left.set_ylabel("accuracy (%)")
    left.grid(alpha=0.3, which="major")
    left.margins(x=0.08, y=0.08)
    left.set_title("95 % intervals; wide bars: over programmed chips", fontsize=9)
    _shares(right, results)
    figure.legend(*left.get_legend_handles_labels(), fontsize=8, frameon=False, loc="outside lower center", ncols=2)
    return figure


def _point(axes, result: Result, colour: str):
    middle = 100 * result.accuracy
    interval = np.array(result.accuracy_interval) * 100
    below_above = np.maximum(0, [[middle - interval[0]], [interval[1] - middle]])
    cost = f"{si(result.energy_per_inference, 'J')}, {si(result.latency_per_inference, 's')}"
    label = f"{result.network_name} on {result.chip_name}: {cost}"
    axes.errorbar(
        [result.energy_per_inference],
        [middle],
        yerr=below_above,
        fmt="o",
        ms=8,
        color=colour,
        capsize=3,
        lw=1.2,
        label=label,
    )
    if result.chip_interval is not None:
        low, high = (100 * v for v in result.chip_interval)
        axes.plot([result.energy_per_inference] * 2, [low, high], color=colour, lw=5, alpha=0.4, solid_capstyle="butt")


def _shares(axes, results):
    names = [r.chip_name for r in results]
    parts: dict[str, np.ndarray] = {}
    for row, result in enumerate(results):
        for line in result.energy.lines:
            name = "static" if line.cost.unit == "W" else line.cost.part
            parts.setdefault(name, np.zeros(len(results)))[row] += line.joules / result.energy.total
    start = np.zeros(len(results))
    for (name, shares), colour in zip(parts.items(), colours_of(len(parts)), strict=True):
        axes.barh(
            range(len(results)),
            100 * shares,
            left=100 * start,
            color="0.75" if name == "static" else colour,
            label=name,
        )
        start += shares
    axes.set_yticks(
        range(len(results)),
        [f"{n}\n{si(r.energy_per_inference, 'J')}" for n, r in zip(names, results, strict=True)],
        fontsize=8,
    )
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("share of the energy (%)")
    axes.legend(fontsize=8, frameon=False, ncols=4, loc="lower center", bbox_to_anchor=(0.42, 1.0))


def pareto(results) -> Figure:
    """Energy of an inference against accuracy, a panel for each chip, with the results that no other beats in both.

    Energy starts at zero. The line joins the front of the chip: results for which no other of that chip has at least
    their accuracy for less energy, or more accuracy for the same. They are numbered, with the names of the networks in
    the corner; bars are 95 % intervals over images.

    Parameters
    ----------
    results : list of Result, or a Comparison

    Raises
    ------
    ArgumentTypeError, InputError
        Not results, or results without accuracy.
    """
    results = priced_results(results, who="pareto")
    chips = list(dict.fromkeys(r.chip_name for r in results))
    figure = figure_of(1.2 + 2.4 * len(chips), 4.0)
    panels = figure.subplots(1, len(chips), sharey=True, squeeze=False)[0]
    for axes, chip, colour in zip(panels, chips, colours_of(len(chips)), strict=True):
        _front_of(axes, [r for r in results if r.chip_name == chip], colour)
        axes.set_title(chip, fontsize=10, color=colour)
    panels[0].set_ylabel("accuracy (%)")
    figure.supxlabel("energy of an inference (J)", fontsize=10)
    return figure


def front(results) -> tuple[Result, ...]:
    """The results that no other beats in energy and accuracy, by rising energy; among equals the first."""
    results, best = priced_results(results, who="front"), []
    if any(r.accuracy is None for r in results):
        raise InputError("front: a result has no accuracy; run with labels=")
    for result in sorted(results, key=lambda r: (r.energy_per_inference, -r.accuracy)):
        if not best or result.accuracy > best[-1].accuracy:
            best.append(result)
    return tuple(best)


def _front_of(axes, results, colour: str):
    """One panel of `pareto`."""
    best = front(results)
    axes.plot([r.energy_per_inference for r in results], [100 * r.accuracy for r in results], "o", color="0.7", ms=4)
    middle = np.array([100 * r.accuracy for r in best])
    interval = 100 * np.array([r.accuracy_interval for r in best]).T
    axes.errorbar(
        [r.energy_per_inference for r in best], middle, yerr=np.maximum(0, np.abs(interval - middle)), fmt="o-",
        color=colour, ms=6, lw=1.2, elinewidth=0.6, capsize=2,
    )  # fmt: skip
    for number, r in enumerate(best, 1):
        point = (r.energy_per_inference, 100 * r.accuracy)
        axes.annotate(str(number), point, (6, -10), textcoords="offset points", fontsize=7, color=colour)
    names = "\n".join(f"{number}: {r.network_name}" for number, r in enumerate(best, 1))
    axes.text(0.04, 0.03, names, transform=axes.transAxes, fontsize=7, color=colour, va="bottom")
    axes.grid(alpha=0.3)
    # From zero, so that a saving looks as large as it is.
    axes.set_xlim(0, 1.15 * max(r.energy_per_inference for r in results))
    axes.ticklabel_format(axis="x", scilimits=(0, 0))
    axes.tick_params(labelsize=8)


def energy_parts(result: Result) -> Figure:
    """Energy of one result by layer and part, in joules an inference."""
    priced_results([result], who="energy_parts")
    table: dict[str, dict[str, float]] = {}
    for line in result.energy.lines:
        row = table.setdefault(line.layer or "static", {})
        row[line.cost.part] = row.get(line.cost.part, 0.0) + line.joules / result.n_images
    parts = list(dict.fromkeys(part for row in table.values() for part in row))
    figure = figure_of(7, 0.5 + 0.4 * len(table) + 0.8)
    axes = figure.subplots()
    start = np.zeros(len(table))
    for part, colour in zip(parts, colours_of(len(parts)), strict=True):
        widths = np.array([row.get(part, 0.0) for row in table.values()])
        axes.barh(list(table), widths, left=start, color=colour, label=part)
        start += widths
    axes.invert_yaxis()
    axes.set_xlabel("energy of an inference (J)")
    axes.set_title(f"{result.network_name} on {result.chip_name}", fontsize=10)
    axes.legend(fontsize=8, frameon=False)
    return figure
