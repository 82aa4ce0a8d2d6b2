"""Writes: how many times cells were written to program a layer once. Programmed tiles enter, a count leaves.

Where a device verifies its writes (`WriteVerified`), each pulse that it really applied is a write. Elsewhere a cell
that is aimed above its lowest conductance is written once, and one that stays there is not: it is taken to be there
already. Rows that are not built do not count. Verify reads and the drivers of the writes are not counted.
"""

from dataclasses import replace

import numpy as np

from ..devices import Cells, Device
from ..energy import Writing
from ..errors import InputError
from .cells import CellMapping, Layout
from .correction import aimed_in_turn
from .programming import ProgrammedTile, reference_targets

EVENT = "cell_write"
KEPT = 1e-3  # of the highest conductance: cells that move less between the age of a read and twice that do not drift on
SAMPLE = (8, 8)


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


def writing_of(chip) -> Writing | None:
    """How often the cells of a chip are written: as its `Writing` says, or refreshed at the age of their reads."""
    rule = chip.writing
    if rule is None or not rule.leaves_refresh_open or not chip.seconds or not drifts_on(chip.device, chip.seconds):
        return rule
    return replace(rule, refresh_seconds=chip.seconds)


def drifts_on(device: Device, seconds: float) -> bool:
    """Whether cells move by more than KEPT of `g_max` between `seconds` and twice that, or nobody measured it."""
    cells = device.program(np.full(SAMPLE, device.g_max), np.random.default_rng(0))
    try:
        moved = device.conductance(cells, 2 * seconds) - device.conductance(cells, seconds)
    except InputError:  # measured tables end somewhere
        return True
    return float(np.sqrt(np.mean(np.square(moved)))) > KEPT * device.g_max
