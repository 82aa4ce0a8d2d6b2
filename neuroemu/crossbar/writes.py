"""Writes: how many times cells were written to program a layer once. Programmed tiles enter, a count leaves.

Where a device verifies its writes (`WriteVerified`), each pulse that it really applied is a write. Elsewhere a cell
that is aimed above its lowest conductance is written once, and one that stays there is not: it is taken to be there
already. Rows that are not built do not count. Verify reads and the drivers of the writes are not counted.
"""

import numpy as np

from ..devices import Cells, Device
from .cells import CellMapping, Layout
from .correction import aimed_in_turn
from .programming import ProgrammedTile, reference_targets

EVENT = "cell_write"


def writes_of(
    programmed: tuple[ProgrammedTile, ...], layout: Layout, top: int, device: Device, mapping: CellMapping
) -> int:
    """Writes of all cells of a layer, reference columns included.

    `layout` is that of the network's weights, before cells were programmed in turn.
    """
    total = 0
    for held in programmed:
        tile = held.tile
        built = slice(None) if layout.order is None else layout.order[tile.rows] >= 0
        if mapping.in_turn:
            levels = aimed_in_turn(layout, held, top, device)
        else:
            levels = layout.levels[tile.rows, tile.columns]
        targets = [target for target in mapping.targets(levels, top, device) if target is not None]
        total += _of_cells(held.cells, targets, mapping.copies, device, built)
        if held.reference is not None:
            columns = np.shape(held.reference.conductance)[-1]
            targets = reference_targets(tile, layout.levels, top, device, mapping, columns)
            total += _of_cells(held.reference, targets, 1, device, built)
    return total


def _of_cells(cells: Cells, targets, copies: int, device: Device, built) -> int:
    """Pulses of cells that say how many they took; of others, those aimed above the lowest conductance."""
    pulses = cells.state.get("pulses")
    if pulses is not None:
        return int(np.sum(np.asarray(pulses)[..., built, :], dtype=np.int64))
    lowest = device.g_min + 1e-9 * (device.g_max - device.g_min)  # but for rounding
    return copies * sum(int(np.count_nonzero(target[built] > lowest)) for target in targets)
