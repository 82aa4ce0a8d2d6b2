"""Pictures of crossbar chips: error budgets, voltage drops, tiles."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from ..errors import ArgumentTypeError
from .drawing import COLOURS, colours_of, figure_of, units_of_layer


def noise_budget(budget) -> Figure:
    """Relative error of each layer from each imperfection of a crossbar chip, as bars."""
    if not hasattr(budget, "errors"):
        raise ArgumentTypeError(f"plot.noise_budget: got {type(budget).__name__}; give a NoiseBudget")
    layers, effects = list(budget.errors), list(next(iter(budget.errors.values())))
    figure = figure_of(2.5 + 1.3 * len(layers), 3.8)
    axes = figure.subplots()
    width = 0.85 / len(effects)
    for place, (effect, colour) in enumerate(zip(effects, colours_of(len(effects)), strict=True)):
        heights = [100 * budget.errors[name][effect] for name in layers]
        axes.bar(
            np.arange(len(layers)) + (place - (len(effects) - 1) / 2) * width,
            heights,
            width,
            color=colour,
            label=effect,
        )
    axes.set_xticks(range(len(layers)), layers)
    axes.set_ylabel("rms error / rms of exact sums (%)")
    axes.set_title(f"{budget.chip_name}, {budget.n_trials} chips", fontsize=10)
    figure.legend(frameon=False, fontsize=8, ncols=len(effects), loc="outside lower center")
    return figure


def ir_drop(drop) -> Figure:
    """Maps of one tile: the share of its drive that each cell sees, and below them the share of the ideal current that
    each column keeps.

    Parameters
    ----------
    drop : IrDrop, as `crossbar.ir_drop` gives it
        Several arrays, such as G+ and G-, are drawn side by side. Row 0 is at the top, drivers stand at the left and
        sense amplifiers below; word lines at 0 V are grey.
    """
    if not all(hasattr(drop, name) for name in ("name", "cells", "columns")):
        raise ArgumentTypeError(f"plot.ir_drop: got {type(drop).__name__}; give an IrDrop")
    arrays, rows, columns = drop.cells.shape
    high = 3.2 * min(2.0, max(0.4, rows / columns))
    figure = figure_of(1.2 + 4.0 * arrays, high + 1.7)
    upper, lower = figure.subplots(2, arrays, squeeze=False, sharex="col", height_ratios=(high, 1.1))
    known = drop.cells[np.isfinite(drop.cells)]
    limits = {"vmin": 100 * known.min(initial=1), "vmax": 100 * known.max(initial=0)}
    names = ("G+", "G-") if arrays == 2 else [drop.name] * arrays
    for index, name in enumerate(names):
        upper[index].set_facecolor("0.8")
        image = upper[index].imshow(100 * drop.cells[index], aspect="auto", cmap="viridis", **limits)
        upper[index].set_title(name if arrays == 1 else f"{drop.name}: {name}", fontsize=10)
        lower[index].plot(100 * drop.columns[index], color=COLOURS[0], drawstyle="steps-mid")
        lower[index].set_xlabel("bit line")
        lower[index].grid(alpha=0.3)
    upper[0].set_ylabel("word line")
    lower[0].set_ylabel("current kept (%)")
    figure.colorbar(image, ax=list(upper), label="voltage across the cell (% of the drive)")
    return figure


def tiles(placement) -> Figure:
    """The units of a placement, coloured by layer.

    On chips of arrays each square is an array and the rectangle in it the rows and columns in use, row 0 at the top;
    the darker, the more of its weights are not zero. In it: the share of the array in use, and which slices of the
    weights it holds, where there are several. On other chips a unit is filled to its utilisation. Many units are drawn
    small, without numbers.
    """
    if not hasattr(placement, "sites"):
        raise ArgumentTypeError(f"plot.tiles: got {type(placement).__name__}; give a Placement")
    sites = placement.sites
    layers = list(dict.fromkeys(site.layer for site in sites))
    colours = dict(zip(layers, colours_of(len(layers)), strict=True))
    wide = max(1, int(np.ceil(np.sqrt(len(sites) * 1.8))))
    high = max(1, -(-len(sites) // wide))
    inches = min(0.62, 11 / wide)  # a side of a unit
    names = -(-len(layers) // max(4, int(inches * high / 0.2)))  # columns of the legend
    figure = figure_of(1.2 + inches * wide + 1.8 * names, 0.9 + max(inches * high, 0.8))
    axes = figure.subplots()
    array = (getattr(placement.chip, "rows", None), getattr(placement.chip, "columns", None))
    for index, site in enumerate(sites):
        _unit(axes, site, (index % wide, index // wide), array, colours[site.layer], numbers=inches > 0.45)
    axes.set(xlim=(0, wide), ylim=(high, 0), aspect="equal")
    axes.axis("off")
    handles = [Patch(color=colours[name], label=f"{name} ({units_of_layer(sites, name)})") for name in layers]
    axes.legend(handles=handles, fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0), ncols=names)
    axes.set_title(f"{placement.network.name} on {placement.chip.name}: {len(sites)} units", fontsize=10)
    return figure


def _unit(axes, site, corner: tuple[int, int], array, colour: str, *, numbers: bool):
    """One square of `tiles`, its corner at whole coordinates."""
    x, y = corner[0] + 0.05, corner[1] + 0.05
    axes.add_patch(Rectangle((x, y), 0.9, 0.9, fill=False, edgecolor="0.6", lw=0.8 if numbers else 0.3))
    if None in array:
        fill = 0.9 * site.utilisation
        axes.add_patch(Rectangle((x, y + 0.9 - fill), 0.9, fill, color=colour, lw=0))
    else:
        rows, columns = site.rows[1] - site.rows[0], site.columns[1] - site.columns[0]
        shade = site.details.get("nonzero weights", rows * columns) / max(1, rows * columns)
        size = (0.9 * min(1.0, columns / array[1]), 0.9 * min(1.0, rows / array[0]))
        axes.add_patch(Rectangle((x, y), *size, facecolor=colour, alpha=0.25 + 0.75 * shade, lw=0))
        axes.add_patch(Rectangle((x, y), *size, fill=False, edgecolor=colour, lw=0.8 if numbers else 0.3))
    if numbers:
        slices = f"\nslice {site.details['slices']}" if "slices" in site.details else ""
        axes.text(x + 0.45, y + 0.45, f"{site.utilisation:.0%}{slices}", ha="center", va="center", fontsize=6)
