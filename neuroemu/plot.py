"""Pictures of results and placements. The only module that imports matplotlib; each function returns a Figure."""

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from ._files import picture_format, replacing
from .errors import ArgumentTypeError, InputError
from .result import Result, si
from .sweeps import Sweep

AGES = {
    "1 s": 1.0,
    "1 min": 60.0,
    "1 h": 3600.0,
    "1 day": 86400.0,
    "1 month": 2.62e6,
    "1 year": 3.15e7,
    "10 years": 3.15e8,
}  # s, ticks of `ageing`
PROOFS = {  # colours of the classes of `parity`
    "independent silicon": "#d1495b",
    "held out": "#1b6ca8",
    "fitted": "#edae49",
    "differential": "#2e8b57",
    "identity": "#8a8f98",
}
COLOURS = ("#1b6ca8", "#d1495b", "#2e8b57", "#edae49", "#6a4c93", "#545863", "#00798c", "#8d6a9f")


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
    results = _checked(results)
    if any(not r.energy.total > 0 for r in results):
        raise InputError(
            "energy_accuracy: a result used no energy, or an unknown one, which a log axis cannot show; leave it out"
        )
    if any(r.accuracy is None for r in results):
        raise InputError("energy_accuracy: a result has no accuracy; run with labels=")
    figure = _figure(10.5, 4.0 + 0.12 * len(results))
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
    for result, colour in zip(results, _colours(len(results)), strict=True):
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
    results = _checked(results)
    chips = list(dict.fromkeys(r.chip_name for r in results))
    figure = _figure(1.2 + 2.4 * len(chips), 4.0)
    panels = figure.subplots(1, len(chips), sharey=True, squeeze=False)[0]
    for axes, chip, colour in zip(panels, chips, _colours(len(chips)), strict=True):
        _front_of(axes, [r for r in results if r.chip_name == chip], colour)
        axes.set_title(chip, fontsize=10, color=colour)
    panels[0].set_ylabel("accuracy (%)")
    figure.supxlabel("energy of an inference (J)", fontsize=10)
    return figure


def front(results) -> tuple[Result, ...]:
    """The results that no other beats in energy and accuracy, by rising energy; among equals the first."""
    results, best = _checked(results), []
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
    _checked([result])
    table: dict[str, dict[str, float]] = {}
    for line in result.energy.lines:
        row = table.setdefault(line.layer or "static", {})
        row[line.cost.part] = row.get(line.cost.part, 0.0) + line.joules / result.n_images
    parts = list(dict.fromkeys(part for row in table.values() for part in row))
    figure = _figure(7, 0.5 + 0.4 * len(table) + 0.8)
    axes = figure.subplots()
    start = np.zeros(len(table))
    for part, colour in zip(parts, _colours(len(parts)), strict=True):
        widths = np.array([row.get(part, 0.0) for row in table.values()])
        axes.barh(list(table), widths, left=start, color=colour, label=part)
        start += widths
    axes.invert_yaxis()
    axes.set_xlabel("energy of an inference (J)")
    axes.set_title(f"{result.network_name} on {result.chip_name}", fontsize=10)
    axes.legend(fontsize=8, frameon=False)
    return figure


def energy_treemap(result: Result) -> Figure:
    """Where the joules of an inference go, as areas: a block a layer, in it a box for each part of the machine.

    Areas are shares of the energy; static power is a block of its own, grey. Boxes of less than 1 % carry no text.
    """
    _checked([result])
    if result.energy.total <= 0:
        raise InputError("energy_treemap: the result used no energy; there is nothing to draw")
    blocks: dict[str, dict[str, float]] = {}
    for line in result.energy.lines:
        block = blocks.setdefault(line.layer or "static", {})
        block[line.cost.part] = block.get(line.cost.part, 0.0) + line.joules / result.n_images
    parts = [part for part in dict.fromkeys(p for n, b in blocks.items() if n != "static" for p in b)]
    colours = dict(zip(parts, _colours(len(parts)), strict=True))
    figure = _figure(8.0, 4.8)
    axes = figure.subplots()
    total = result.energy_per_inference
    sums = {name: sum(block.values()) for name, block in blocks.items()}
    for name, corner, size in treemap(sums, (0.0, 0.0), (1.6, 1.0)):
        for part, at, box in treemap(blocks[name], corner, size):
            colour = "0.75" if name == "static" else colours[part]
            axes.add_patch(Rectangle(at, *box, facecolor=colour, edgecolor="white", lw=0.8, alpha=0.85))
            share = blocks[name][part] / total
            if share >= 0.01:
                text = f"{name}\n{part}\n{si(blocks[name][part], 'J')}, {share:.0%}"
                axes.text(at[0] + box[0] / 2, at[1] + box[1] / 2, text, ha="center", va="center", fontsize=7)
        axes.add_patch(Rectangle(corner, *size, fill=False, edgecolor="0.2", lw=1.5))
    axes.set(xlim=(0, 1.6), ylim=(1, 0), aspect="equal")
    axes.axis("off")
    axes.set_title(f"{result.network_name} on {result.chip_name}: {si(total, 'J')} an inference", fontsize=10)
    return figure


def treemap(values: dict[str, float], corner, size) -> list[tuple[str, tuple[float, float], tuple[float, float]]]:
    """(name, corner, size) of rectangles that fill one of `size` at `corner`, areas in proportion to `values`.

    Squarified: rows are filled along the shorter side as long as their boxes become less oblong. Zeros are left out.

    Reference: M. Bruls, K. Huizing, J. van Wijk, "Squarified treemaps", Data Visualization 2000,
    doi:10.1007/978-3-7091-6783-0_4.
    """
    left = sorted(((v, name) for name, v in values.items() if v > 0), reverse=True)
    scale = size[0] * size[1] / sum(v for v, _ in left) if left else 0.0
    left, (x, y), (wide, high), found = [(v * scale, name) for v, name in left], corner, size, []
    while left:
        short, row = min(wide, high), 1
        while row < len(left) and _oblong(left[: row + 1], short) <= _oblong(left[:row], short):
            row += 1
        depth, along = sum(v for v, _ in left[:row]) / short, 0.0
        for v, name in left[:row]:
            length = v / depth
            box = ((x, y + along), (depth, length)) if wide >= high else ((x + along, y), (length, depth))
            found.append((name, *box))
            along += length
        if wide >= high:
            x, wide = x + depth, wide - depth
        else:
            y, high = y + depth, high - depth
        left = left[row:]
    return found


def _oblong(row, short: float) -> float:
    """The largest ratio of sides among the boxes of a row of areas along a side."""
    depth = sum(v for v, _ in row) / short
    return max(max(depth**2 / v, v / depth**2) for v, _ in row)


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
    figure = _figure(5.2, 3.6)
    axes = figure.subplots()
    for (label, one), colour in zip(named.items(), _colours(len(named)), strict=True):
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


def noise_budget(budget) -> Figure:
    """Relative error of each layer from each imperfection of a crossbar chip, as bars."""
    if not hasattr(budget, "errors"):
        raise ArgumentTypeError(f"plot.noise_budget: got {type(budget).__name__}; give a NoiseBudget")
    layers, effects = list(budget.errors), list(next(iter(budget.errors.values())))
    figure = _figure(2.5 + 1.3 * len(layers), 3.8)
    axes = figure.subplots()
    width = 0.85 / len(effects)
    for place, (effect, colour) in enumerate(zip(effects, _colours(len(effects)), strict=True)):
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
    figure = _figure(1.2 + 4.0 * arrays, high + 1.7)
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
    colours = dict(zip(layers, _colours(len(layers)), strict=True))
    wide = max(1, int(np.ceil(np.sqrt(len(sites) * 1.8))))
    high = max(1, -(-len(sites) // wide))
    inches = min(0.62, 11 / wide)  # a side of a unit
    names = -(-len(layers) // max(4, int(inches * high / 0.2)))  # columns of the legend
    figure = _figure(1.2 + inches * wide + 1.8 * names, 0.9 + max(inches * high, 0.8))
    axes = figure.subplots()
    array = (getattr(placement.chip, "rows", None), getattr(placement.chip, "columns", None))
    for index, site in enumerate(sites):
        _unit(axes, site, (index % wide, index // wide), array, colours[site.layer], numbers=inches > 0.45)
    axes.set(xlim=(0, wide), ylim=(high, 0), aspect="equal")
    axes.axis("off")
    handles = [Patch(color=colours[name], label=f"{name} ({_count(sites, name)})") for name in layers]
    axes.legend(handles=handles, fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0), ncols=names)
    axes.set_title(f"{placement.network.name} on {placement.chip.name}: {len(sites)} units", fontsize=10)
    return figure


def cores(placement) -> Figure:
    """Floor plan of the cores in use on a mesh, one colour a layer, the fuller the darker.

    Left: the whole machine, chips outlined. Right: the part in use, the cores of the first copy in black frames.

    Parameters
    ----------
    placement : Placement on TRUENORTH or LOIHI, or a chip like them

    Raises
    ------
    ArgumentTypeError, InputError
        Not a Placement, or a chip without a mesh.
    """
    if not hasattr(placement, "sites"):
        raise ArgumentTypeError(f"plot.cores: got {type(placement).__name__}; give a Placement")
    places, extent, chip = _floor_plan(placement)
    layers = list(dict.fromkeys(site.layer for site in placement.sites))
    colours = dict(zip(layers, _colours(len(layers)), strict=True))
    figure = _figure(10.5, 4.9)
    left, right = figure.subplots(1, 2)
    low, high = places.min(axis=0), places.max(axis=0) + 1
    for axes in (left, right):
        for site, (x, y) in zip(placement.sites, places, strict=True):
            shade = 0.35 + 0.65 * site.utilisation
            axes.add_patch(Rectangle((x, y), 1, 1, facecolor=colours[site.layer], alpha=shade, lw=0))
        axes.set(aspect="equal", xlabel="east")
    for corner in np.ndindex(*(-(-n // side) for n, side in zip(extent, chip, strict=True))):
        at = [n * side for n, side in zip(corner, chip, strict=True)]
        left.add_patch(Rectangle(at, *chip, fill=False, edgecolor="0.4", lw=1))
    left.add_patch(Rectangle(low, *(high - low), fill=False, edgecolor="black", lw=0.8, ls=":"))
    left.set(xlim=(-1, extent[0] + 1), ylim=(-1, extent[1] + 1), ylabel="north")
    for site, (x, y) in zip(placement.sites, places, strict=True):
        first = site.details.get("copy", 0) == 0
        edge = {"edgecolor": "black", "zorder": 3} if first else {"edgecolor": "white"}
        right.add_patch(Rectangle((x, y), 1, 1, fill=False, lw=0.5, **edge))
    right.set(xlim=(low[0] - 0.3, high[0] + 0.3), ylim=(low[1] - 0.3, high[1] + 0.3))
    left.set_title(f"{len(places):,} of {extent[0] * extent[1]:,} cores", fontsize=9)
    right.set_title(f"the part in use, mean utilisation {placement.utilisation:.0%}", fontsize=9)
    handles = [Patch(color=colours[name], label=f"{name} ({_count(placement.sites, name)})") for name in layers]
    figure.legend(handles=handles, fontsize=8, frameon=False, loc="outside lower center", ncols=min(5, len(layers)))
    figure.suptitle(f"{placement.network.name} on {placement.chip.name}", fontsize=10)
    return figure


def floor_plan(placement, *, spikes=None) -> Figure:
    """The mesh of a placement: cores coloured by layer, links by the messages that they carry.

    A square is a tile, the small squares in it its cores, filled to their utilisation; the lines between tiles are
    links, one for each direction (east above west, south right of north), the darker and wider, the more messages.
    Thick frames are chips. Only the part in use is
    shown.

    Parameters
    ----------
    placement : Placement on LOIHI or a chip like it, ProgramPlacement or Board
    spikes : mapping from population to (N,) array, optional
        From `spiking.spike_counts`; without it each neuron spikes once. A Board has its own.

    Raises
    ------
    ArgumentTypeError
        Something else, or a chip without links.
    """
    links, floor, name = _linked(placement, spikes)
    sites = placement.sites
    layers = list(dict.fromkeys(site.layer for site in sites))
    colours = dict(zip(layers, _colours(len(layers)), strict=True))
    tiles = floor.positions([site.unit for site in sites])
    high, wide = links.south.shape[0] + 1, links.east.shape[1] + 1
    used = tiles.max(axis=0) + 1
    inches = min(1.3, 11 / used[0], 9 / used[1])
    figure = _figure(3.2 + inches * max(used[0], 3), 1.5 + inches * max(used[1], 1.5))
    axes = figure.subplots()
    for y, x in np.ndindex(min(high, used[1] + 1), min(wide, used[0] + 1)):
        axes.add_patch(Rectangle((x + 0.14, y + 0.14), 0.72, 0.72, fill=False, edgecolor="0.7", lw=0.6))
    for y, x in np.ndindex(*(-(-n // side) for n, side in zip(used[::-1], floor.mesh[::-1], strict=True))):
        corner = (x * floor.mesh[0] + 0.04, y * floor.mesh[1] + 0.04)
        chip = Rectangle(corner, floor.mesh[0] - 0.08, floor.mesh[1] - 0.08, fill=False, edgecolor="0.3", lw=1.2)
        axes.add_patch(chip)
    _core_squares(axes, sites, tiles, floor.cores_per_tile, colours)
    shades = _link_lines(axes, links, inches)
    axes.set(xlim=(0, used[0] + 0.3), ylim=(used[1] + 0.3, 0), aspect="equal", xticks=[], yticks=[])
    for side in axes.spines.values():
        side.set_visible(False)
    if shades is not None:
        figure.colorbar(shades, ax=axes, label="messages over a link", shrink=0.8)
    handles = [Patch(color=colours[n], label=f"{n} ({_count(sites, n)})") for n in layers]
    figure.legend(handles=handles, fontsize=8, frameon=False, loc="outside lower center", ncols=4)
    hops = ", ".join(f"{n:,.0f} {way}" for way, n in links.hops.items())
    cores = len({site.unit for site in sites})
    axes.set_title(f"{name}: {cores} cores\n{links.messages:,.0f} messages, hops {hops}", fontsize=9)
    return figure


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
    figure = _figure(8.5, 6.0)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    dot = float(np.clip(2400 / tops[-1], 1.2, 3.5))
    for (name, train), top, colour in zip(trains.items(), tops[:-1], _colours(len(trains)), strict=True):
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
    figure = _figure(8.5, 1.2 + 1.4 * len(neurons))
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
    figure = _figure(10.0, 3.8)
    left, right = figure.subplots(1, 2)
    means = {name: train.reshape(len(train), -1, train.shape[-1]).mean(axis=(0, 1)) for name, train in trains.items()}
    edges = np.linspace(0, max(1e-9, *(float(mean.max()) for mean in means.values())), 31)
    for (name, train), colour in zip(trains.items(), _colours(len(trains)), strict=True):
        shares = np.histogram(means[name], edges)[0] / len(means[name])
        left.stairs(100 * shares, edges, color=colour, lw=1.3, label=f"{name}: {means[name].mean():.3g} in the mean")
        right.plot(train.reshape(len(train), -1).mean(axis=1), color=colour, lw=1.2, label=name)
    left.set(xlabel="spikes a neuron and step", ylabel="neurons (%)", yscale="log")
    right.set(xlabel="step", ylabel="spikes a neuron and step", ylim=(0, None))
    left.legend(fontsize=8, frameon=False)
    for axes in (left, right):
        axes.grid(alpha=0.3)
    return figure


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
    figure = _figure(13.5, max(5.0, 1.2 + 0.155 * len(cases)))
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


def conversion(report) -> Figure:
    """A network made spiking, layer by layer: errors beside what was predicted, neurons that say nothing, and rates.

    Left: root mean square errors beside that of the float activations. Dark: the whole error; light: what the layer
    adds itself; a dot: the same as predicted. Middle: shares of neurons that never spike (those whose activation is 0
    on all inputs too in grey) or always do, and of activations that no rate can say. Right: mean spikes a neuron and
    step, and the number of spikes an input.

    Parameters
    ----------
    report : ConversionReport, as `neuroemu.conversion_report` gives it
    """
    if not (hasattr(report, "layers") and hasattr(report, "agreement") and hasattr(report, "column")):
        raise ArgumentTypeError(f"plot.conversion: got {type(report).__name__}; give a ConversionReport")
    names, place = [layer.name for layer in report.layers], np.arange(len(report.layers))
    figure = _figure(11.5, 1.9 + 0.42 * len(names))
    left, middle, right = figure.subplots(1, 3, sharey=True, width_ratios=(1.3, 1.2, 1))
    left.barh(place - 0.19, 100 * report.column("error"), 0.36, color=COLOURS[0], label="whole error")
    left.barh(place + 0.19, 100 * report.column("own"), 0.36, color=COLOURS[0], alpha=0.4, label="of the layer itself")
    left.plot(100 * report.column("predicted"), place + 0.19, "o", color=COLOURS[1], ms=5, label="predicted")
    left.set(xlabel="error (% of the rms activation)", yticks=place, yticklabels=names)
    dead = np.minimum(report.column("dead"), report.column("silent"))
    shares = {"silent": report.column("silent"), "silent, activation 0": dead, "always": report.column("always")}
    for (label, share), colour in zip(shares.items(), (COLOURS[1], "0.75", COLOURS[3]), strict=True):
        middle.barh(place - 0.19, 100 * share, 0.36, color=colour, label=label)
    middle.barh(place + 0.19, 100 * report.column("saturated"), 0.36, color=COLOURS[4], label="activations saturated")
    middle.set(xlabel="share (%)")
    right.barh(place, report.column("rate"), 0.6, color=COLOURS[2])
    for at in place[report.column("rate") > 0]:
        layer = report.layers[at]
        right.annotate(f" {layer.spikes:,.0f} an input", (layer.rate, at), va="center", fontsize=8)
    right.set(xlabel="spikes a neuron and step")
    right.margins(x=0.45)
    right.locator_params(axis="x", nbins=4)
    for axes in (left, middle):
        axes.legend(fontsize=8, frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
        axes.grid(alpha=0.3, axis="x")
        axes.set_axisbelow(True)
    left.invert_yaxis()
    found = report.accuracy or {f"{a} = {b}": share for (a, b), share in report.agreement.items()}
    text = ", ".join(f"{name} {value:.2%}" for name, value in found.items())
    figure.suptitle(f"{report.spiking_name}: {text}", fontsize=10)
    return figure


def steps(curve, *, stopped=()) -> Figure:
    """Answers against the steps of the presentation, and where inputs stop early.

    Above: accuracy after each step, or without labels the agreement with the last one; a dot for each rule, at its mean
    steps. Below: the share of the inputs that each rule stops at each step.

    Parameters
    ----------
    curve : StepsCurve, as `neuroemu.steps_curve` gives it
    stopped : what `curve.stopped(rule)` gives, one or several
    """
    if not (hasattr(curve, "predictions") and hasattr(curve, "leads")):
        raise ArgumentTypeError(f"plot.steps: got {type(curve).__name__}; give a StepsCurve")
    stopped = tuple(stopped) if hasattr(stopped, "__iter__") else (stopped,)
    figure = _figure(6.0, 4.6 if stopped else 3.4)
    if stopped:
        axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    else:
        axes = below = figure.subplots()
    right = curve.accuracy is not None
    axes.plot(curve.steps, 100 * (curve.accuracy if right else curve.agreement), color=COLOURS[0], lw=1.5)
    axes.set_ylabel("accuracy (%)" if right else "same answer as after the last step (%)")
    for one, colour in zip(stopped, _colours(len(stopped) + 1)[1:], strict=True):
        value = 100 * (one.accuracy if right else one.agreement)
        label = f"lead {one.rule.margin:.3g}: {one.steps.mean():.1f} steps, {value:.2f} %"
        axes.plot(one.steps.mean(), value, "o", color=colour, ms=7, label=label)
        share = np.bincount(one.steps, minlength=len(curve.steps) + 1)[1:] / len(one.steps)
        below.step(curve.steps, 100 * share, where="mid", color=colour, lw=1.3)
    if stopped:
        axes.legend(frameon=False, fontsize=8, loc="lower right")
        below.set_ylabel("inputs that stop (%)")
    below.set_xscale("log", base=2)
    below.xaxis.set_major_formatter("{x:g}")
    below.set_xlabel(f"steps of the read-out (+ {curve.depth} until they leave the chip)")
    for each in {axes, below}:
        each.grid(alpha=0.3)
    axes.set_title(curve.network_name, fontsize=10)
    return figure


def save(figure: Figure, path) -> None:
    """Write a figure as PNG, SVG or PDF, by the ending of `path`."""
    if not isinstance(figure, Figure):
        raise ArgumentTypeError(f"plot.save: got {type(figure).__name__}; give a Figure of this module")
    with replacing(path) as temporary:
        figure.savefig(temporary, format=picture_format(path), dpi=150)


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


def _floor_plan(placement) -> tuple[np.ndarray, tuple[int, int], tuple[int, int]]:
    """Lower left corners of the cores (N, 2), the size of the machine and that of a chip, in cores."""
    details = [site.details for site in placement.sites]
    if all("x" in found and "y" in found for found in details):  # TrueNorth: chips of 64 x 64 cores side by side
        return np.array([(found["x"], found["y"]) for found in details]), (64 * placement.chip.chips, 64), (64, 64)
    if not all("tile" in found for found in details):
        raise InputError(f"plot.cores: {placement.chip.name} has no mesh of cores; use plot.tiles")
    each = placement.chip.cores_per_tile
    side = int(np.ceil(np.sqrt(each)))
    tile = np.array([[int(n) for n in found["tile"].split(",")] for found in details])
    within = np.array([site.unit % each for site in placement.sites])
    extent = tuple(side * n for n in placement.chip.mesh)
    return tile * side + np.stack([within % side, within // side], axis=1), extent, extent


def _figure(wide: float, high: float) -> Figure:
    return Figure(figsize=(wide, high), layout="constrained")


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


def _linked(placement, spikes):
    """Links, floor and title of what can be shown as a floor plan."""
    chip = getattr(placement, "chip", None)
    if hasattr(placement, "floor"):  # a Board, which has counted its messages
        return placement.links, placement.floor, f"{placement.name} on {placement.floor.chips} {chip.name}"
    if hasattr(placement, "program"):
        return placement.links(spikes), chip.floor, f"{placement.program.name} on {chip.name}"
    if hasattr(placement, "network") and hasattr(chip, "links"):
        links = chip.links(placement.network, placement.sites, spikes)
        return links, chip.floor, f"{placement.network.name} on {chip.name}"
    raise ArgumentTypeError(
        f"plot.floor_plan: got {type(placement).__name__}{'' if chip is None else ' on ' + chip.name}; give a "
        "Placement on a SpikingChip, a ProgramPlacement or a Board"
    )


def _core_squares(axes, sites, tiles, per_tile: int, colours):
    """The cores in use; one that holds several pieces is cut into as many columns."""
    side = int(np.ceil(np.sqrt(per_tile)))
    size, held = 0.68 / side, {}
    for site, (x, y) in zip(sites, tiles.tolist(), strict=True):
        held.setdefault((site.unit, x, y), []).append(site)
    for (unit, x, y), pieces in held.items():
        row, column = divmod(unit % per_tile, side)
        left, top = x + 0.16 + column * size, y + 0.16 + row * size
        axes.add_patch(Rectangle((left, top), 0.92 * size, 0.92 * size, facecolor="0.93", edgecolor="0.7", lw=0.4))
        wide = 0.92 * size / len(pieces)
        for number, site in enumerate(pieces):
            fill = 0.92 * size * site.utilisation
            corner = (left + number * wide, top + 0.92 * size - fill)
            axes.add_patch(Rectangle(corner, wide, fill, color=colours[site.layer], lw=0))


def _link_lines(axes, links, inches: float):
    """Lines between tiles for the links that carry messages."""
    lines, loads = [], []
    for table, step, shift in (
        (links.east, (1, 0), (0, -0.06)), (links.west, (1, 0), (0, 0.06)),
        (links.south, (0, 1), (0.06, 0)), (links.north, (0, 1), (-0.06, 0)),
    ):  # fmt: skip
        for y, x in zip(*np.nonzero(table), strict=True):
            middle = np.array([x + 0.5, y + 0.5]) + shift
            lines.append([middle + 0.36 * np.array(step), middle + 0.64 * np.array(step)])
            loads.append(table[y, x])
    if not lines:
        return None
    widths = inches * (1.5 + 5 * np.array(loads) / max(loads))
    shades = LineCollection(lines, array=np.array(loads), cmap="YlOrRd", linewidths=widths, zorder=4)
    shades.set_clim(0, max(loads))
    axes.add_collection(shades)
    return shades


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


def _count(sites, layer: str) -> int:
    return sum(site.layer == layer for site in sites)


def _colours(n: int) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(n)]


def _checked(results) -> tuple[Result, ...]:
    results = getattr(results, "results", results)
    results = tuple(results) if hasattr(results, "__iter__") else (results,)
    if not results or not all(isinstance(r, Result) for r in results):
        raise ArgumentTypeError("plot: give one or more Results, as run(...) returns them")
    return results


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
    for (name, shares), colour in zip(parts.items(), _colours(len(parts)), strict=True):
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
