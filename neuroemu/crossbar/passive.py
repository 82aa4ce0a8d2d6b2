"""Passive arrays: one cell is selected by the voltages of its word line and its bit line; there are no transistors.

The other lines are biased or float, and half-selected cells conduct: they add to what is sensed (sneak paths) and see a
voltage that may disturb them. A scheme gives the lines' voltages, for V at the selected word line and 0 V at the
selected bit line:

    scheme       other word lines   other bit lines
    "V/2"        V/2                V/2
    "V/3"        V/3                2 V/3
    "grounded"   0                  0
    "floating"   open               open

A bias e of a bit line's end shifts the whole line: the circuit is that of bit lines at 0 V whose cells see u - e.

References
----------
.. [1] A. Chen, "A comprehensive crossbar array model with solutions for line resistance and nonlinear device
   characteristics", IEEE Trans. Electron Devices 60, 1318 (2013), doi:10.1109/TED.2013.2246791 (schemes).
"""

from dataclasses import dataclass, replace

import numpy as np

from .. import _checks
from ..errors import InputError
from . import newton
from .conduction import Conduction, Ohmic
from .wires import MOST_ITERATIONS, Wires, _circuit, _conductance

SCHEMES = {"V/2": (1 / 2, 1 / 2), "V/3": (1 / 3, 2 / 3), "grounded": (0.0, 0.0), "floating": (None, None)}

# Of the residual, relative. Floating lines hang on cells that conduct far less than wires, and selectors are steep, so
# that rounding is felt more than in `solve`.
TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False)
class Selection:
    """The circuit while one cell is selected.

    Attributes
    ----------
    current : float, amperes, out of the selected bit line
    cell_voltages : (R, C), volts, from word line to bit line
    word_voltages, bit_voltages : (R, C), volts, at the cross-points
    word_currents, bit_currents : (R,), (C,), amperes, out of the drivers of word lines, into those of bit lines
    power : float, watts, that all drivers deliver
    """

    current: float
    cell_voltages: np.ndarray
    word_voltages: np.ndarray
    bit_voltages: np.ndarray
    word_currents: np.ndarray
    bit_currents: np.ndarray
    power: float


@dataclass(frozen=True, eq=False)
class ReadMargin:
    """Reads of the worst placed cell of square arrays, for the worst of the data.

    Attributes
    ----------
    sizes : (N,) int, rows and columns
    on, off : (N,), amperes
        Smallest current of a cell that is on, largest of one that is off, over the data of the other cells.
    margin : (N,)
        (on - off) / on; at 0 or below a read cannot tell them apart.
    selected, disturb : (N,)
        Smallest share of `volts` across the selected cell, and largest across any other.
    """

    sizes: np.ndarray
    on: np.ndarray
    off: np.ndarray
    selected: np.ndarray
    disturb: np.ndarray

    @property
    def margin(self):
        return (self.on - self.off) / self.on


@dataclass(frozen=True, eq=False)
class _Shifted(Conduction):
    """Cells whose bit lines' ends are at `bias` (C,) volts, as cells of bit lines at 0 V."""

    device: Conduction
    bias: np.ndarray

    def branch(self, g, u):
        return self.device.branch(g, u - self.bias)


def select(
    conductance, cell: tuple[int, int], wires: Wires, *, volts: float, scheme: str = "V/2",
    device: Conduction | None = None,
) -> Selection:  # fmt: skip
    """Solve the circuit of a passive array with one cell selected.

    Parameters
    ----------
    conductance : (R, C) array, siemens
        Finite; more than 0 for a device that is linear and lines that float.
    cell : (row, column)
    wires : Wires
        Word lines and bit lines have a resistance; 1e-3 ohm is as good as none.
    volts : float
        Of the selected word line; the selected bit line is at 0 V behind `sense`.
    scheme : "V/2", "V/3", "grounded" or "floating"
    device : Conduction, optional
        How a cell conducts, selector included. Default: I = G u.

    Returns
    -------
    Selection

    Raises
    ------
    InputError
        A wrong shape, infinite conductance, a cell outside the array, wires without resistance.
    ConvergenceError
        As `solve`.
    """
    g = _conductance(conductance, "select", (2,))
    _check(g, cell, wires, volts, scheme)
    device = Ohmic() if device is None else _checks.instance(device, Conduction, who="select", name="device")
    row, column = cell
    driven, sensed = (np.zeros(n, bool) for n in g.shape)
    driven[row] = sensed[column] = True
    others = SCHEMES[scheme]
    drive = np.where(driven, volts, (others[0] or 0.0) * volts)
    bias = np.where(sensed, 0.0, (others[1] or 0.0) * volts)
    floats = others[0] is None
    circuit = _circuit(g, wires, driven if floats else np.ones(len(g), bool))
    if floats:
        ends = {"bottom": np.where(sensed, circuit.bottom, 0.0), "top": np.where(sensed, circuit.top, 0.0)}
        circuit = replace(circuit, **ends)
    limits = {"iterations": MOST_ITERATIONS, "tolerance": TOLERANCE}
    _, words, bits, cells = newton.solve(circuit, drive[None], _Shifted(device, bias), **limits)
    out, into = cells[0].sum(axis=1), cells[0].sum(axis=0)
    if floats:
        out, into = np.where(driven, out, 0.0), np.where(sensed, into, 0.0)
    words, bits = words[0], bits[0] + bias
    power = float(out @ drive - into @ bias)
    return Selection(float(into[column]), words - bits, words, bits, out, into, power)


def read_margin(
    sizes, wires: Wires, *, on: float, off: float, volts: float, scheme: str = "V/2", device: Conduction | None = None
) -> ReadMargin:
    """Read margin of the cell farthest from its driver and its sense amplifier, against the size of the array.

    The other cells are all on, or all off; of the two, the smaller current counts where the selected cell is on, and
    the larger where it is off, as if nothing were known of the data. Where wires lose much, other data may be worse.

    Parameters
    ----------
    sizes : sequence of int
        Rows and columns of square arrays.
    wires : Wires
    on, off : float, siemens
        Conductance of a cell that is on, and off.
    volts, scheme, device
        As `select`.

    Returns
    -------
    ReadMargin

    Raises
    ------
    InputError, ConvergenceError
        As `select`; or `on` is not above `off`.
    """
    sizes = np.array([_checks.integer(n, who="read_margin", name="sizes", low=1, high=4096) for n in sizes], int)
    on = _checks.real(on, who="read_margin", name="on", low=0)
    off = _checks.real(off, who="read_margin", name="off", low=0)
    if not on > off:
        raise InputError(f"read_margin: on is {on:g} S and off {off:g} S; give on > off")
    rows = []
    for n in sizes:
        found = {}
        for state in (on, off):
            for data in (on, off):
                g = np.full((n, n), data)
                g[0, n - 1] = state
                found[state, data] = select(g, (0, n - 1), wires, volts=volts, scheme=scheme, device=device)
        shares = {key: np.abs(one.cell_voltages / volts) for key, one in found.items()}
        chosen = min(share[0, -1] for share in shares.values())
        for share in shares.values():
            share[0, -1] = 0.0
        rows.append(
            (
                min(found[on, data].current for data in (on, off)),
                max(found[off, data].current for data in (on, off)),
                chosen,
                max(share.max() for share in shares.values()),
            )
        )
    return ReadMargin(sizes, *np.array(rows, float).reshape(-1, 4).T)


def _check(g, cell, wires, volts, scheme):
    _checks.instance(wires, Wires, who="select", name="wires")
    _checks.choice(scheme, tuple(SCHEMES), who="select", name="scheme")
    if _checks.real(volts, who="select", name="volts") == 0:
        raise InputError("select: volts is 0; give the voltage of the selected word line")
    if len(cell) != 2:
        raise InputError(f"select: cell is {cell}; give (row, column)")
    for value, name, size in zip(cell, ("row", "column"), g.shape, strict=True):
        _checks.integer(value, who="select", name=f"{name} of the cell", low=0, high=size - 1)
    if np.isinf(g).any():
        raise InputError("select: conductance is infinite somewhere; give finite conductances")
    if wires.word_line == 0 or wires.bit_line == 0:
        raise InputError("select: word_line or bit_line is 0 ohm; give both a resistance, 1e-3 ohm is as good as none")
