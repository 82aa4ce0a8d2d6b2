"""freed: what pruning left of a network, layer by layer."""

import numpy as np

from .. import _checks
from ..errors import InputError
from ..network.graph import Network
from .moments import groups_of


def freed(before: Network, after: Network) -> str:
    """A table of each weighted layer before and after pruning.

    Inputs count those with any weight, per group added up; outputs likewise. "weights" are those that are not zero,
    "products" the multiply-accumulates of one inference with weights that are not zero. What this frees on a chip is
    in `place(after, chip).layers()`.

    Raises
    ------
    InputError
        The networks have other layers.
    """
    for name, network in (("before", before), ("after", after)):
        _checks.instance(network, Network, who="freed", name=name)
    names = [layer.name for layer in after.weighted]
    if names != [layer.name for layer in before.weighted]:
        raise InputError(f"freed: '{before.name}' and '{after.name}' have other weighted layers; give two forms of one")
    rows = [("layer", "inputs", "outputs", "weights", "products")]
    totals = np.zeros((2, 2), np.int64)
    for name in names:
        first, second = (_held(network, name) for network in (before, after))
        totals += np.array([first[2:], second[2:]])
        rows.append((name, *(f"{a:,} -> {b:,}" for a, b in zip(first, second, strict=True))))
    rows.append(("all", "", "", *(f"{a:,} -> {b:,}" for a, b in totals.T)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def _held(network: Network, name: str) -> tuple[int, int, int, int]:
    """Inputs and outputs with any weight, weights that are not zero, and products of one inference."""
    layer = network.layer(name)
    some = (layer.weight != 0).reshape(len(layer.weight), -1)
    inputs = sum(int(part.any(axis=0).sum()) for part in np.split(some, groups_of(layer)))
    positions = int(np.prod(network.shapes[name])) // len(layer.weight)
    return inputs, int(some.any(axis=1).sum()), int(some.sum()), int(some.sum()) * positions
