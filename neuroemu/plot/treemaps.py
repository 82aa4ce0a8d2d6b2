"""A treemap of energy: areas for joules."""

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..errors import InputError
from ..result import Result, si
from .drawing import colours_of, figure_of, priced_results


def energy_treemap(result: Result) -> Figure:
    """Where the joules of an inference go, as areas: a block a layer, in it a box for each part of the machine.

    Areas are shares of the energy; static power is a block of its own, grey. Boxes of less than 1 % carry no text.
    """
    priced_results([result], who="energy_treemap")
    if result.energy.total <= 0:
        raise InputError("energy_treemap: the result used no energy; there is nothing to draw")
    blocks: dict[str, dict[str, float]] = {}
    for line in result.energy.lines:
        block = blocks.setdefault(line.layer or "static", {})
        block[line.cost.part] = block.get(line.cost.part, 0.0) + line.joules / result.n_images
    parts = [part for part in dict.fromkeys(p for n, b in blocks.items() if n != "static" for p in b)]
    colours = dict(zip(parts, colours_of(len(parts)), strict=True))
    figure = figure_of(8.0, 4.8)
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
