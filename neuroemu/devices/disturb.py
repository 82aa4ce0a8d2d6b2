"""Half-select disturb: writing one cell puts half the voltage on all others of its row and column, and moves them.

    G <- G + d (g_max - G)   a pulse towards ON         G <- G - d (G - g_min)   a pulse towards OFF

so n pulses leave (1 - d)^n of the distance to that end.
"""

from dataclasses import dataclass, replace

import numpy as np

from .. import _checks
from ..errors import InputError
from . import _parameters
from .base import Cells, Device, Wrapper
from .faults import Faulty


@dataclass(frozen=True)
class HalfSelectDisturb(Wrapper):
    """A device whose cells are moved by the writing of the cells that come after them.

    An array is written row by row from the first, each row column by column. What reached a cell before its own turn
    is written over; from then on it is half selected by each pulse to a later cell of its row or column. Cells take
    the pulses that the device inside says (`Cells.state["pulses"]`, as of WriteVerified), or one each. With n such
    pulses and d a cell's own,

        G = G_written + (1 - (1 - d)^n) (end - G_written),   d = step (1 + spread N), within 0 to 1.

    `Cells.state["disturb pulses"]` has n.

    Parameters
    ----------
    device : Device
        What writes the cells.
    step : float, 0 to 1
        Mean over the cells of d, the part of the distance to the end that a half-select pulse takes.
    towards : {"on", "off"}
        The end: g_max or g_min. Cells beyond it stay.
    spread : float, >= 0
        Standard deviation of d over the cells, relative to `step`.
    select : {"cell", "row"}
        "cell": one cell is written at a time, so its row and its column are half selected. "row": all of a row at once,
        so only columns are.

    Raises
    ------
    ArgumentTypeError, InputError
        A number or choice outside these limits; a device that is Faulty (wrap the other way round); and, when cells are
        programmed, targets without rows and columns.

    Notes
    -----
    What stands in front of rows and columns (G+ and G-, devices in parallel) shares the word lines, each with bit lines
    of its own; in a row, the first of them is written first. Drift goes on from the written value: what is left of the
    distance to the end scales with it. Read noise is that of the cell as written; to have it follow, put WithReadNoise
    round this. Step and spread are the user's: no source is assumed. Not modelled: steps that depend on the state
    otherwise, pulses of two polarities, spread from pulse to pulse, disturb by reads and by verify reads, arrays with a
    transistor in each cell (which have none of this), stuck cells that go on taking pulses.
    """

    device: Device
    step: float
    towards: str = "on"
    spread: float = 0.0
    select: str = "cell"
    uses_lines = True

    def __post_init__(self):
        who = "HalfSelectDisturb"
        _checks.instance(self.device, Device, who=who, name="device")
        if isinstance(self.device, Faulty | HalfSelectDisturb):
            name = type(self.device).__name__
            raise InputError(f"{who}: device is {name}; give one of each, as Faulty(HalfSelectDisturb(device, ...))")
        _checks.real(self.step, who=who, name="step", low=0.0, high=1.0)
        _checks.choice(self.towards, ("on", "off"), who=who, name="towards")
        _checks.real(self.spread, who=who, name="spread", low=0.0)
        _checks.choice(self.select, ("cell", "row"), who=who, name="select")

    def program(self, target, generator):
        shape = np.shape(target)
        if len(shape) < 2:
            raise InputError(f"HalfSelectDisturb: target has shape {shape}; it needs rows and columns, (..., R, C)")
        own = _parameters.as_fabricated(generator)
        cells = self.device.program(target, generator)
        pulses = later_pulses(cells.state.get("pulses", np.ones(shape, np.int64)), select=self.select)
        each = np.clip(self.step * (1 + self.spread * own.standard_normal(shape)), 0.0, 1.0)
        moved = 1 - (1 - each) ** pulses
        if cells.stuck is not None:
            moved = np.where(cells.stuck, 0.0, moved)
        state = {"written": cells.conductance, "moved": moved, "disturb pulses": pulses}
        return replace(cells, conductance=self._moved(cells.conductance, moved), state={**cells.state, **state})

    def _moved(self, conductance, moved):
        if self.towards == "on":
            return conductance + moved * np.maximum(self.g_max - conductance, 0.0)
        return conductance - moved * np.maximum(conductance - self.g_min, 0.0)

    def _written(self, cells: Cells) -> Cells:
        (written,) = _parameters.kept(self, cells, "written")
        return replace(cells, conductance=written)

    def conductance(self, cells, seconds):
        return self._moved(self.device.conductance(self._written(cells), seconds), cells.state["moved"])

    def read_sigma(self, cells, seconds):
        return self.device.read_sigma(self._written(cells), seconds)

    def read_shares(self, seconds, *, image_seconds, session_seconds, cells=None):
        cells = None if cells is None else self._written(cells)
        return self.device.read_shares(
            seconds, image_seconds=image_seconds, session_seconds=session_seconds, cells=cells
        )


def later_pulses(pulses: np.ndarray, *, select: str = "cell") -> np.ndarray:
    """Half-select pulses that each cell of an array sees after its own turn; see HalfSelectDisturb.

    Parameters
    ----------
    pulses : (..., R, C) int array
        Pulses that each cell takes.
    select : {"cell", "row"}

    Returns
    -------
    int array of the same shape
    """
    pulses = np.asarray(pulses)
    later = _after(pulses, axis=-2)
    if select == "row":
        return later
    whole = pulses.reshape(-1, *pulses.shape[-2:])
    line = np.moveaxis(whole, 1, 0).reshape(whole.shape[1], -1)  # a word line with all its cells, in order
    row = _after(line, axis=1).reshape(whole.shape[1], whole.shape[0], whole.shape[2])
    return later + np.moveaxis(row, 0, 1).reshape(pulses.shape)


def _after(values, axis: int):
    """Sum of what comes after each element."""
    return np.flip(np.cumsum(np.flip(values, axis), axis=axis), axis) - values
