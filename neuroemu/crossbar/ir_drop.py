"""IR drop: what share of its drive each cell of an array sees. Enter conductances, or a tile of a programmed chip.

`plot.ir_drop` draws the result.
"""

from dataclasses import dataclass

import numpy as np

from .. import _checks
from ..errors import InputError
from .programmed import ProgrammedChip
from .wires import Wires, solve


@dataclass(frozen=True, eq=False)
class IrDrop:
    """Shares of one tile, P arrays of R x C.

    Attributes
    ----------
    name : str
    cells : (P, R, C)
        Voltage across a cell over the drive of its word line, which is also the cell's current over its ideal one; NaN
        in word lines at 0 V.
    columns : (P, C)
        Current of a column over its ideal one; NaN where that is 0.
    """

    name: str
    cells: np.ndarray
    columns: np.ndarray


def ir_drop(
    cells, wires: Wires | None = None, *, layer: str | None = None, tile: int = 0, voltages=None,
    threads: int | None = None,
) -> IrDrop:  # fmt: skip
    """Shares of the drive that the cells of one tile see, without read noise.

    Parameters
    ----------
    cells : (R, C) or (P, R, C) array, siemens, or ProgrammedChip
        P arrays on the same word lines, such as G+ and G-; each has wires of its own.
    wires : Wires, optional
        Default: those of the chip.
    layer : str, optional
        Of a programmed chip; default: its first.
    tile : int
        Which tile of the layer.
    voltages : (R,) array, volts, optional
        Default: all word lines at the same voltage.
    threads : int, optional

    Returns
    -------
    IrDrop

    Raises
    ------
    InputError
        A layer or tile that is not there, no wires, or as `solve`.
    """
    name = "array"
    if isinstance(cells, ProgrammedChip):
        wires = cells.chip.wires if wires is None else wires
        name, cells = _tile_of(cells, layer, tile)
    if wires is None:
        raise InputError("ir_drop: the chip has no wires; give wires=Wires(word_line, bit_line)")
    g = np.asarray(cells)
    if g.ndim not in (2, 3):
        raise InputError(f"ir_drop: cells have shape {g.shape}; give (R, C), (P, R, C) or a ProgrammedChip")
    g = g if g.ndim == 3 else g[None]
    drive = np.ones(g.shape[1]) if voltages is None else voltages
    drive = _checks.finite_array(drive, who="ir_drop", name="voltages", dtype=np.float64)
    if drive.shape != (g.shape[1],):
        raise InputError(f"ir_drop: voltages have shape {drive.shape}; give ({g.shape[1]},)")
    solutions = [solve(array, drive, wires, full=True, threads=threads) for array in g]
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = [(s.word_voltages - s.bit_voltages) / drive[:, None] for s in solutions]
        columns = [s.currents / (drive @ array) for s, array in zip(solutions, g, strict=True)]
    finite = (np.where(np.isfinite(values), values, np.nan) for values in (np.stack(shares), np.stack(columns)))
    return IrDrop(name, *finite)


def _tile_of(made: ProgrammedChip, layer: str | None, tile: int):
    """Name and conductances (P, R, C) of one tile; devices in parallel are added."""
    layer = next(iter(made.cells)) if layer is None else layer
    if layer not in made.cells:
        raise InputError(f"ir_drop: no layer '{layer}'; the weighted layers are {', '.join(map(repr, made.cells))}")
    held = made.cells[layer]
    _checks.integer(tile, who="ir_drop", name="tile", low=0, high=len(held) - 1)
    g = made.chip.device.conductance(held[tile].cells, made.chip.seconds)
    g = g.sum(axis=1) if g.ndim == 4 else g
    return f"{layer}, tile {tile}", np.maximum(g, 0.0)
