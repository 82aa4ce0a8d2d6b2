"""Pictures of cores on a mesh: floor plans, and the links that messages take."""

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from ..errors import ArgumentTypeError, InputError
from .drawing import colours_of, figure_of, units_of_layer


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
    colours = dict(zip(layers, colours_of(len(layers)), strict=True))
    figure = figure_of(10.5, 4.9)
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
    handles = [Patch(color=colours[name], label=f"{name} ({units_of_layer(placement.sites, name)})") for name in layers]
    figure.legend(handles=handles, fontsize=8, frameon=False, loc="outside lower center", ncols=min(5, len(layers)))
    figure.suptitle(f"{placement.network.name} on {placement.chip.name}", fontsize=10)
    return figure


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
    colours = dict(zip(layers, colours_of(len(layers)), strict=True))
    tiles = floor.positions([site.unit for site in sites])
    high, wide = links.south.shape[0] + 1, links.east.shape[1] + 1
    used = tiles.max(axis=0) + 1
    inches = min(1.3, 11 / used[0], 9 / used[1])
    figure = figure_of(3.2 + inches * max(used[0], 3), 1.5 + inches * max(used[1], 1.5))
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
    handles = [Patch(color=colours[n], label=f"{n} ({units_of_layer(sites, n)})") for n in layers]
    figure.legend(handles=handles, fontsize=8, frameon=False, loc="outside lower center", ncols=4)
    hops = ", ".join(f"{n:,.0f} {way}" for way, n in links.hops.items())
    cores = len({site.unit for site in sites})
    axes.set_title(f"{name}: {cores} cores\n{links.messages:,.0f} messages, hops {hops}", fontsize=9)
    return figure


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
