"""Crossbars with wire resistance, exact: conductances, wires and voltages in, column currents out.

Word line i is driven at its left end through `source` and one wire; there is a wire between two cross-points; the
device G[i, j] lies between word line i and bit line j; bit line j ends at the bottom in a wire and `sense`, at 0 V. The
other ends are open, unless `drive` or `readout` is "both". With linear devices the network is a linear operator,
I = V @ T: `transfer` computes T once, by joining blocks of the array and eliminating the wires between them; `solve`
computes the currents of some vectors, or of many through T, and the voltages and powers of the whole circuit.

The elimination is the star-mesh transform, which adds and multiplies conductances and never subtracts, so each entry of
T is exact to rounding, for devices from 0 S (open) to infinity (short); see src_cython/_wires_panels.h. Not modelled:
capacitance and inductance (the currents are those of the settled circuit), resistance that changes along a line.

Array letters: N tiles, B vectors, R rows, C columns.
"""

from dataclasses import dataclass

import numpy as np

from .. import _checks, kernels
from ..errors import ConvergenceError, InputError
from . import newton, zero_wires
from .conduction import Conduction
from .solution import Circuit, Solution, powers, supply_currents

SMALLEST, LARGEST = 1e-9, 1e12  # ohm; between them no product of conductances leaves the range of float64
MOST_ITERATIONS = 5000
TOLERANCE = 1e-12  # of the residual of conjugate gradients, relative
# From so many vectors on, T and one matrix product are faster than conjugate gradients for each vector. Measured by
# benchmarks/bench_wires.py: 4 to 10 vectors for arrays of 32 x 32 to 1024 x 1024.
MANY_VECTORS = 8


@dataclass(frozen=True)
class Wires:
    """Resistances of a crossbar's wires and ends, in ohm; 0 is a wire without resistance.

    Parameters
    ----------
    word_line, bit_line : float
        One wire between two cross-points, and between the last cross-point and the end of the line.
    source, sense : float
        Output resistance of a driver, input resistance of a sense amplifier.
    drive : "left" or "both"
        "both": a driver of the same voltage at each end of a word line, each behind `source` and one wire.
    readout : "bottom" or "both"
        "both": a sense amplifier at each end of a bit line; their currents are added.
    """

    word_line: float
    bit_line: float
    source: float = 0.0
    sense: float = 0.0
    drive: str = "left"
    readout: str = "bottom"

    def __post_init__(self):
        for name in ("word_line", "bit_line", "source", "sense"):
            value = _checks.real(getattr(self, name), who="Wires", name=name, low=0, high=LARGEST)
            if 0 < value < SMALLEST:
                raise InputError(f"Wires: {name} is {value} ohm; allowed: 0, or {SMALLEST} to {LARGEST:g}")
            object.__setattr__(self, name, value)
        _checks.choice(self.drive, ("left", "both"), who="Wires", name="drive")
        _checks.choice(self.readout, ("bottom", "both"), who="Wires", name="readout")


def transfer(conductance, wires: Wires, *, driven=None, threads: int | None = None) -> np.ndarray:
    """The linear operator of a crossbar: I = V @ T, with all wire resistances.

        T[i, j] = current out of bit line j for 1 V at word line i and 0 V at all others

    Parameters
    ----------
    conductance : (R, C) or (N, R, C) array, siemens
        0 is an open device, infinity a short. Several tiles of one shape are shared among the threads.
    wires : Wires
    driven : (R,) bool, optional
        False: this word line floats, and its row of T is 0. Default: all are driven.
    threads : int, optional
        Default: all cores. The result does not depend on it.

    Returns
    -------
    (R, C) or (N, R, C) float64, siemens

    Raises
    ------
    InputError
        NaN, a negative conductance, a wrong shape, or shorts that join two drivers or two sense amplifiers without any
        resistance.

    Notes
    -----
    O(n^3) operations for an array of n x n. Without resistance, T is the conductance itself.
    """
    tiles = _conductance(conductance, "transfer", (2, 3))
    wires = _checks.instance(wires, Wires, who="transfer", name="wires")
    threads = _checks.threads(threads, who="transfer")
    rows = tiles.shape[-2]
    mask = _driven(driven, (rows,), "transfer")
    stack = tiles.reshape(-1, *tiles.shape[-2:])
    return _operators(stack, wires, mask, threads, "transfer").reshape(tiles.shape)


def solve(
    conductance,
    voltages,
    wires: Wires,
    *,
    full: bool = False,
    device: Conduction | None = None,
    driven=None,
    threads: int | None = None,
) -> "np.ndarray | Solution":
    """Currents out of the bit lines for given voltages at the word lines, with all wire resistances.

    Parameters
    ----------
    conductance : (R, C) array, siemens
        0 is an open device, infinity a short.
    voltages : (B, R) or (R,) array, volts
    wires : Wires
    full : bool
        Return a Solution: voltages of all nodes, and powers.
    device : Conduction, optional
        How a cell conducts at larger voltages: Sinh, IvTable, Series(Sinh(3.0), Transistor(...)) ... Default: I = G u.
        Then `conductance` is finite, and the wires have a resistance (or nothing has: the ideal sum).
    driven : (R,) or (B, R) bool, optional
        False: this word line floats, and its voltage is not used. Default: all are driven.
    threads : int, optional
        Default: all cores. The result does not depend on it.

    Returns
    -------
    (B, C) or (C,) float64, amperes, or a Solution

    Raises
    ------
    InputError
        As `transfer`.
    ConvergenceError
        The voltages of a full solution, or of nonlinear devices, were not found to 1e-12; the message has the residual.

    Notes
    -----
    Few vectors are solved one by one by conjugate gradients, many through T, and the last digits may differ. With
    full=True each vector is solved by itself; arrays with a word line or bit line without resistance then mostly go
    through a sparse LU, which is slow from 256 x 256 on.
    """
    g = _conductance(conductance, "solve", (2,))
    volts = _checks.finite_array(voltages, who="solve", name="voltages", dtype=np.float64)
    wires = _checks.instance(wires, Wires, who="solve", name="wires")
    threads = _checks.threads(threads, who="solve")
    if volts.ndim not in (1, 2) or volts.shape[-1] != len(g):
        raise InputError(f"solve: voltages have shape {volts.shape}; give (B, {len(g)}) or ({len(g)},)")
    drive = volts.reshape(-1, len(g))
    masks = _driven(driven, drive.shape, "solve")
    if device is not None:
        _check_nonlinear(g, wires, device)
    if masks.ndim == 1:
        answer = _answer(g, drive, wires, masks, threads, full, device)
    else:  # each set of driven lines is another circuit
        kinds, which = np.unique(masks, axis=0, return_inverse=True)
        chosen = [np.flatnonzero(which.ravel() == k) for k in range(len(kinds))]
        parts = zip(chosen, kinds, strict=True)
        answer = _gather(chosen, [_answer(g, drive[rows], wires, kind, threads, full, device) for rows, kind in parts])
    return answer if volts.ndim == 2 else _first(answer)


def solve_each(
    g, drive, wires: Wires, *, threads: int, drops: bool = False, source=None, tolerance: float = TOLERANCE
) -> np.ndarray:
    """Currents (B, C) of vectors (B, R) that each have a circuit of their own, for callers inside this package.

    g is (B, R, C), or (1, R, C) for all. `drops`: the voltages across the cells, (B, R, C), instead. `source`, of that
    shape: amperes that flow beside each cell from its word line to its bit line. `tolerance`: of the residual.
    """
    if wires.word_line > 0 and wires.bit_line > 0:
        circuit = _circuit(g[0], wires, np.ones(g.shape[1], bool))
        currents = np.empty((len(drive), g.shape[2]))
        nodes = np.empty((2, len(drive), *g.shape[1:])) if drops else None
        _, residual = kernels.wires.solve(
            g, *circuit.arguments()[1:], drive, currents, *(nodes if drops else ()), tolerance=tolerance,
            most=MOST_ITERATIONS, source=source, threads=threads,
        )  # fmt: skip
        if not residual <= tolerance:
            raise ConvergenceError(
                f"solve_each: the residual is {residual:.2g}, above {tolerance:g}; use cells that conduct less than "
                "the wires"
            )
        return nodes[0] - nodes[1] if drops else currents
    if drops or source is not None:
        raise InputError("first-order noise needs resistance in word lines and bit lines; use noise_in_wires='exact'")
    operators = _operators(g, wires, np.ones(g.shape[1], bool), threads, "solve_each")
    return np.einsum("br,brc->bc", drive, np.broadcast_to(operators, (len(drive), *g.shape[1:])))


def _answer(g, drive, wires, driven, threads, full, device):
    if device is None:
        return (_full if full else _currents)(g, drive, wires, driven, threads)
    solution = _nonlinear(g, drive, wires, driven, device)
    return solution if full else solution.currents


def _gather(chosen, answers):
    """Answers for chosen vectors, in the order of all vectors."""
    order = np.argsort(np.concatenate(chosen))
    if isinstance(answers[0], np.ndarray):
        return np.concatenate(answers)[order]
    columns = zip(*(vars(answer).values() for answer in answers), strict=True)
    return Solution(*(np.concatenate(values)[order] for values in columns))


def _first(answer):
    return answer[0] if isinstance(answer, np.ndarray) else Solution(*(value[0] for value in vars(answer).values()))


def _conductance(value, who, dimensions) -> np.ndarray:
    """Conductances as float64; infinity is allowed."""
    array = np.asarray(value)
    if array.dtype == np.float64 and array.size and array.min() >= 0:  # no NaN either
        checked = array
    else:
        shorts = np.isposinf(array) if array.dtype.kind == "f" else np.zeros(array.shape, bool)
        checked = _checks.finite_array(np.where(shorts, 0, array), who=who, name="conductance", dtype=np.float64)
        checked = np.where(shorts, np.inf, checked)
    if checked.ndim not in dimensions or 0 in checked.shape[-2:]:
        shapes = " or ".join({2: "(R, C)", 3: "(N, R, C)"}[n] for n in dimensions)
        raise InputError(
            f"{who}: conductance has shape {checked.shape}; give {shapes} with at least one row and column"
        )
    if checked.min(initial=0) < 0:
        raise InputError(f"{who}: conductance is {checked.min():.6g} S somewhere; give 0 or more, inf for a short")
    return np.ascontiguousarray(checked)


def _driven(value, shape, who) -> np.ndarray:
    if value is None:
        return np.ones(shape[-1:], bool)
    mask = np.asarray(value)
    if mask.dtype != bool or mask.shape not in (shape, shape[-1:]):
        raise InputError(f"{who}: driven must be bool of shape {shape[-1:]}, got {mask.dtype} of shape {mask.shape}")
    return mask


def _circuit(g, wires, driven) -> Circuit:
    with np.errstate(divide="ignore"):
        word, bit, source, sense = 1 / np.array(
            [wires.word_line, wires.bit_line, wires.source + wires.word_line, wires.sense + wires.bit_line]
        )
    left, bottom = np.where(driven, source, 0.0), np.full(g.shape[1], sense)
    right = left if wires.drive == "both" else np.zeros_like(left)
    top = bottom if wires.readout == "both" else np.zeros_like(bottom)
    return Circuit(g, float(word), float(bit), left, right, bottom, top)


def _operators(stack, wires, driven, threads, who) -> np.ndarray:
    """T (N, R, C) of tiles (N, R, C)."""
    out = np.empty_like(stack)
    if wires.word_line > 0 and wires.bit_line > 0 and len(stack):
        circuit = _circuit(stack[0], wires, driven)
        kernels.wires.transfer(stack, *circuit.arguments()[1:], out, threads=threads)
        return out
    for g, operator in zip(stack, out, strict=True):
        operator[:] = zero_wires.transfer(*_circuit(g, wires, driven).arguments(), who=who, threads=threads)
    return out


def _currents(g, drive, wires, driven, threads) -> np.ndarray:
    if wires.word_line > 0 and wires.bit_line > 0 and len(drive) < MANY_VECTORS:
        currents, residual = _iterate(_circuit(g, wires, driven), drive, threads)[:2]
        if residual <= TOLERANCE:
            return currents
    return drive @ _operators(g[None], wires, driven, threads, "solve")[0]


def _iterate(circuit, drive, threads, *nodes):
    """Conjugate gradients: the currents, the residual and the number of iterations. nodes: arrays for the voltages."""
    currents = np.empty((len(drive), circuit.g.shape[1]))
    steps, residual = kernels.wires.solve(
        circuit.g[None],
        *circuit.arguments()[1:],
        drive,
        currents,
        *nodes,
        tolerance=TOLERANCE,
        most=MOST_ITERATIONS,
        threads=threads,
    )
    return currents, residual, steps


def _full(g, drive, wires, driven, threads) -> Solution:
    circuit = _circuit(g, wires, driven)
    drive = np.where(driven, drive, 0.0)
    rigid = wires.word_line == 0
    if wires.bit_line > 0 and not (rigid and (wires.source == 0 or np.isinf(g).any())):
        words, bits = np.empty((2, len(drive), *g.shape))
        currents, residual, steps = _iterate(circuit, drive, threads, words, bits)
        if not residual <= TOLERANCE:
            raise ConvergenceError(
                f"solve: the residual is {residual:.2g} after {steps} iterations, above {TOLERANCE:g}; use full=False, "
                "which needs no iterations, or devices that conduct less than the wires"
            )
        supply = supply_currents(circuit, drive, words, bits)
    else:
        currents, words, bits, supply = zero_wires.solve(*circuit.arguments(), drive, who="solve")
    devices = np.einsum("ij,bij->b", np.where(np.isinf(g), 0, g), (words - bits) ** 2)
    return Solution(currents, supply, words, bits, *powers(circuit, wires, drive, words, bits, supply, devices))


def _check_nonlinear(g, wires, device):
    _checks.instance(device, Conduction, who="solve", name="device")
    if np.isinf(g).any():
        raise InputError("solve: conductance is infinite somewhere; with device= give finite conductances")
    if (wires.word_line == 0 or wires.bit_line == 0) and wires != Wires(0.0, 0.0, 0.0, 0.0, wires.drive, wires.readout):
        raise InputError(
            "solve: with device= either all resistances are 0 or neither word_line nor bit_line is; "
            f"give {SMALLEST} ohm or more"
        )


def _nonlinear(g, drive, wires, driven, device) -> Solution:
    circuit = _circuit(g, wires, driven)
    drive = np.where(driven, drive, 0.0)
    if wires.word_line == 0:
        words = np.repeat(drive[:, :, None], g.shape[1], axis=2)
        bits = np.zeros_like(words)
        cells = device.branch(g, words)[0]
        currents = cells.sum(1)
    else:
        currents, words, bits, cells = newton.solve(circuit, drive, device, iterations=MOST_ITERATIONS)
    supply = np.where(driven, cells.sum(2), 0.0)
    devices = (cells * (words - bits)).sum((1, 2))
    return Solution(currents, supply, words, bits, *powers(circuit, wires, drive, words, bits, supply, devices))
