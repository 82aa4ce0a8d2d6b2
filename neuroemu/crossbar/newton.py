"""Crossbars of nonlinear cells: Newton's method, each step a linear crossbar solved by conjugate gradients.

A step replaces each cell by its tangent, a conductance and a current source beside it, and starts from the voltages of
the step before. All iterates fulfil the wires' equations, so what is left to fulfil is, cell by cell, that the current
which the wires demand is the cell's own. The circuit's content (the integral of current over voltage) is convex for
monotone cells; a step that runs past its minimum is shortened.
"""

import numpy as np

from .. import kernels
from ..errors import ConvergenceError, InputError

MOST_STEPS = 100
LOOSEST, TIGHTEST = (
    1e-2,
    1e-8,
)  # each step's linear system is solved as well as the cells fit; the next corrects the rest
TOLERANCE = 1e-12  # of the residual, in the norm of the preconditioner, relative to that of unloaded wires


def solve(circuit, drive, device, *, iterations: int, tolerance: float = TOLERANCE):
    """Currents (B, C), node voltages (B, R, C) and cell currents (B, R, C); each vector is solved by itself."""
    out = np.empty((len(drive), circuit.g.shape[1])), *np.empty((3, len(drive), *circuit.g.shape))
    for b, volts in enumerate(drive):
        for whole, part in zip(out, _one(circuit, volts[None], device, iterations, tolerance), strict=True):
            whole[b] = part[0]
    return out


def _one(circuit, drive, device, iterations, tolerance):
    """From unloaded wires: every cell has its driver's voltage, and no current is demanded."""
    g, currents, residuals = circuit.g, np.empty((1, circuit.g.shape[1])), []
    bits, demand = np.zeros((2, 1, *g.shape))
    u = np.repeat(np.where(circuit.left > 0, drive, 0.0)[:, :, None], g.shape[1], axis=2)
    current, slope = _branch(device, g, u)
    first = misfit = abs(current).sum()
    for _ in range(MOST_STEPS):
        words, after, start = np.empty_like(u), bits.copy(), np.empty(1)
        kernels.wires.solve(
            np.ascontiguousarray(slope), *circuit.arguments()[1:], drive, currents, words, after,
            source=current - slope * u, warm=True, starts=start, most=iterations,
            tolerance=LOOSEST if first == 0 else min(LOOSEST, max(TIGHTEST, misfit / first)),
            enough=tolerance * residuals[0] if residuals else 0.0,
        )  # fmt: skip
        residuals.append(start[0])
        change = words - after - u
        demanded = current + slope * change
        if start[0] <= tolerance * residuals[0]:
            return currents, words, after, demanded
        share, current, slope = _shorten(device, g, u, change, current, demand, demanded)
        u = u + share * change
        bits += share * (after - bits)
        demand += share * (demanded - demand)
        misfit = abs(current - demand).sum()
    raise ConvergenceError(
        f"solve: the residual is {residuals[-1] / residuals[0]:.2g} after {MOST_STEPS} Newton steps, above "
        f"{tolerance:g}; use a smoother device, a lower voltage or wires of more resistance"
    )


def _branch(device, g, u):
    current, slope = device.branch(g, u)
    if not (np.isfinite(current).all() and np.isfinite(slope).all()):
        raise InputError(f"solve: device {device} gives no finite current at {abs(u).max():.3g} V; lower the voltages")
    return current, slope


def _shorten(device, g, u, change, current, demand, demanded):
    """Share of a step to take, and the cells' currents and slopes there."""
    downhill = abs((change * (current - demand)).sum())
    share = 1.0
    while True:
        there, slope = device.branch(g, u + share * change)
        uphill = (change * (there - demand - share * (demanded - demand))).sum()
        if uphill <= 0.5 * downhill or share < 1e-6:
            return share, there, slope
        share /= 2
