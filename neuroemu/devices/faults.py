"""Faults: cells that are stuck, rows and columns that are open or touch; and spare lines to repair them.

Enter a device and shares; leaves a device some of whose cells have faults, drawn anew for each array.

Order of wrapping, from the inside: the cell, WithReadNoise, WriteVerified, Levels, HalfSelectDisturb, Endurance,
Faulty. Faulty goes outermost, as nothing may move a cell that is stuck.
"""

from dataclasses import dataclass, replace

import numpy as np

from .. import _checks
from ..errors import InputError
from . import _parameters, _shorts, repair
from .base import Cells, Device, ReadShares, Trap, Wrapper, stick
from .fault_maps import Fault, check_lines, fault_map, stuck_shares

MAPPED = ("stuck_on", "stuck_off", "stuck_at", "open_rows", "open_columns", "cluster_size", "alpha")  # of fault_map


@dataclass(frozen=True)
class Faulty(Wrapper):
    """A device some of whose cells are stuck, or on lines that are open or touch; the others are the device's own.

    Faults follow from the seed of the generator given to `program`, not from what is programmed: in a crossbar, the
    same seed, trial, layer and tile have the same faults whatever the weights, and sound cells are the device's own,
    bit for bit. A faulty cell holds its conductance: neither programming, drift nor read noise moves it.
    `Cells.state["fault"]` holds the codes of `Fault`.

    Lines that touch are read as the average of their conductances, at any time: word lines with equal drivers carry
    the mean of their voltages, and bit lines into equal virtual grounds share their current, so each of the n lines
    acts as if it held (g_1 + ... + g_n) / n. `Cells.conductance` has each cell's own.

    Parameters
    ----------
    device : Device
    stuck_on, stuck_off, stuck_at, open_rows, open_columns, cluster_size, alpha
        As in `fault_map`: stuck at g_max, at g_min, or at (share, siemens) of `stuck_at`; lines open at 0 siemens.
    shorted_rows, shorted_columns : float, 0 to 1
        Probability that a word line, or a bit line, touches the next one. An open line touches none.
    spare_rows, spare_columns : int, 0 to 4096
        Further lines that the array is fabricated with, faults and all.
    repair : {"count", "assignment"}
        "count": after a test, the lines with the most faulty cells give way to the best spares, as `repair.by_count`
        says. "assignment": then the columns of weights are spread over all physical columns so that the sum over
        faulty cells of |target - what they hold| is least, spare columns or not; the digital side puts outputs back in
        order. `Cells.state` then has "physical row" and "physical column"; see `lines_replaced`.

    Raises
    ------
    InputError
        A share outside its limits, or a device that is Faulty already.

    Notes
    -----
    In a crossbar G+ and G- of a tile share the word lines, so an open row is open in both, and each has its own bit
    lines; only lines of one polarity touch. A pair of columns is replaced together. Each tile's array is as large as
    its weights and spares, so cells that no weight uses have no faults. Lines put out of use are cut off. The test
    that finds faults is perfect. Not modelled: a fault map that was measured, lines that touch ground or a supply,
    resistance of a short, the common noise of rows that touch (it is drawn for each row), cost of spares in area and
    energy, the I-V curve of cells on lines that touch (their G is averaged), and the pulses that write-verify spends on
    a stuck cell.
    """

    device: Device
    stuck_on: float = 0.0
    stuck_off: float = 0.0
    stuck_at: tuple[tuple[float, float], ...] = ()
    open_rows: float = 0.0
    open_columns: float = 0.0
    cluster_size: float = 1.0
    alpha: float | None = None
    shorted_rows: float = 0.0
    shorted_columns: float = 0.0
    spare_rows: int = 0
    spare_columns: int = 0
    repair: str = "count"

    def __post_init__(self):
        _checks.instance(self.device, Device, who="Faulty", name="device")
        if isinstance(self.device, Faulty):
            raise InputError("Faulty: the device has faults already; give all shares at once")
        shares = stuck_shares(self.stuck_on, self.stuck_off, self.stuck_at, who="Faulty")
        check_lines(self.open_rows, self.open_columns, self.cluster_size, sum(shares), who="Faulty")
        if self.alpha is not None:
            _parameters.positive(self.alpha, who="Faulty", name="alpha")
        for name in ("shorted_rows", "shorted_columns"):
            _checks.real(getattr(self, name), who="Faulty", name=name, low=0.0, high=1.0)
        for name in ("spare_rows", "spare_columns"):
            _checks.integer(getattr(self, name), who="Faulty", name=name, low=0, high=4096)
        _checks.choice(self.repair, ("count", "assignment"), who="Faulty", name="repair")

    @property
    def uses_lines(self):
        shared = self.open_rows or self.shorted_rows or self.shorted_columns or self._replaces
        return bool(shared) or self.device.uses_lines

    @property
    def _replaces(self) -> bool:
        """Whether weights may lie on other lines than their own."""
        return self.spare_rows + self.spare_columns > 0 or self.repair == "assignment"

    def program(self, target, generator):
        own = _parameters.as_fabricated(generator)
        cells = self.device.program(target, generator)
        codes, lines = self.fabricate(np.shape(cells.conductance), own, target)
        cells = stick(cells, codes != Fault.SOUND, self._values()[codes])
        return replace(cells, state={**cells.state, "fault": codes, **lines})

    def fabricate(self, shape, generator: np.random.Generator, target=None) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Fault codes of the cells in use of an array of `shape` with spares, and its lines; see Cells.state.

        `target` (siemens, of `shape`) is what repair="assignment" looks at.
        """
        shorts = self.shorted_rows > 0 or self.shorted_columns > 0
        replaces = self._replaces
        if len(shape) < 2 and (shorts or replaces):
            raise InputError(f"Faulty: cells have shape {shape}; shorts and spares need rows and columns, (..., R, C)")
        spares = (self.spare_rows, self.spare_columns) if replaces else ()
        whole = (*shape[: len(shape) - len(spares)], *np.add(shape[-2:], spares).tolist()) if spares else shape
        codes = fault_map(whole, generator, **{name: getattr(self, name) for name in MAPPED})
        if not shorts and not replaces:
            return codes, {}
        opened = codes == Fault.OPEN
        broken = opened.all(axis=tuple(axis for axis in range(codes.ndim) if axis != codes.ndim - 2))
        word = _shorts.draw_labels(broken, self.shorted_rows, generator)
        broken = opened.all(axis=tuple(range(1, codes.ndim - 1)) if codes.ndim > 2 else 0)
        bit = _shorts.draw_labels(broken, self.shorted_columns, generator)
        rows, columns = self._used(codes, word, bit, target, shape) if replaces else map(np.arange, shape[-2:])
        lines = {}
        if shorts:
            bits = bit[..., columns].reshape(*shape[:-2][:1], *(1,) * max(len(shape) - 2, 1), shape[-1])
            lines = {_shorts.WORD: word[rows][:, None], _shorts.BIT: bits}
        if replaces:
            lines |= {repair.ROW: rows[:, None], repair.COLUMN: columns}
        return codes[..., rows[:, None], columns], {key: np.broadcast_to(line, shape) for key, line in lines.items()}

    def _used(self, codes, word, bit, target, shape):
        """Physical rows and columns in use."""
        flat = codes.reshape(-1, *codes.shape[-2:])
        bits = bit.reshape(-1, bit.shape[-1])
        bits = np.repeat(bits, len(flat) // len(bits), axis=0)
        rows, columns = repair.by_count(flat != Fault.SOUND, word, bits, rows=shape[-2], columns=shape[-1])
        if self.repair == "count":
            return rows, columns
        if target is None:
            raise InputError("Faulty: repair='assignment' needs targets; give fabricate(..., target=...)")
        found, wanted = flat[:, rows], np.reshape(target, (-1, *shape[-2:]))
        touching = _shorts.touching_lines(bits).any(axis=0)
        return rows, repair.by_assignment(wanted, found != Fault.SOUND, self._values()[found], touching)

    def _values(self) -> np.ndarray:
        """What a cell holds, by fault code; sound cells are passed over."""
        return np.array([0.0, self.g_max, self.g_min, 0.0, *(value for _, value in self.stuck_at)])

    def conductance(self, cells, seconds):
        own = np.where(self._faults(cells), cells.conductance, self.device.conductance(cells, seconds))
        return _shorts.averaged(own, cells.state)

    def read_sigma(self, cells, seconds):
        return np.sqrt(_shorts.averaged(self._variance(cells, seconds), cells.state, power=2))

    def read_shares(self, seconds, *, image_seconds, session_seconds, cells=None):
        spans = {"image_seconds": image_seconds, "session_seconds": session_seconds}
        shares = self.device.read_shares(seconds, **spans, cells=cells)
        touching = None if cells is None else _shorts.touching_cells(cells.state)
        if touching is None or not touching.any():
            return shares
        variance = self._variance(cells, seconds)
        split = [_shorts.averaged(variance * share, cells.state, power=2) for share in _split(shares)]
        total = sum(split)
        fresh = np.where(total == 0, 1.0, 0.0)  # where nothing is noisy, any split is right
        total = np.where(total == 0, 1.0, total)
        traps = tuple(Trap(np.where(touching, 0.0, trap.share), trap.occupancy) for trap in shares.traps)
        return ReadShares(fresh + split[0] / total, split[1] / total, split[2] / total, traps)

    def _variance(self, cells, seconds):
        """Of each cell's own read noise."""
        return np.where(self._faults(cells), 0.0, self.device.read_sigma(cells, seconds)) ** 2

    def _faults(self, cells: Cells) -> np.ndarray:
        if "fault" not in cells.state:
            raise InputError("Faulty: these cells hold no fault; program them with this Faulty")
        return cells.state["fault"] != Fault.SOUND


def _split(shares: ReadShares) -> tuple:
    return shares.fresh, shares.slow, shares.frozen
