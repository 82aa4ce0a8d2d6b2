"""SCALE-Sim's systolic arrays as formulas: cycles and on-chip accesses of one matrix product, exact integers.

A product (T, K) x (K, M) runs on R x C multipliers. One operand stays in the grid, the fold, while the others pass by;
two of the three sizes are cut into folds of R and C, and the third takes time:

| stationary | folds                  | cycles of a fold |
|------------|------------------------|------------------|
| "weight"   | ceil(K / R) ceil(M / C) | 2 R + C + T - 2 |
| "input"    | ceil(K / R) ceil(T / C) | 2 R + C + M - 2 |
| "output"   | ceil(T / R) ceil(M / C) | R + C + K - 2   |

The stationary operand takes R cycles to load, the skew of the others R - 1 + C - 1; sums that stay where they are need
no load. Not in the formulas: stalls on memory, and the unloading of the sums of the output-stationary array, which
SCALE-Sim does not charge either.

Reference: A. Samajdar et al., arXiv:1811.02883; equal to scalesim 3.0.0, scalesim/compute/systolic_compute_*.py.
"""

from dataclasses import dataclass
from math import ceil

from .. import _checks

STATIONARY = ("weight", "input", "output")


@dataclass(frozen=True, kw_only=True)
class Accesses:
    """Words that pass between the array and its on-chip memory."""

    input_reads: int
    weight_reads: int
    output_writes: int  # partial sums included; of a product cut along K, each fold writes its own


@dataclass(frozen=True)
class Folds:
    """How one product is cut: `count` folds, each of `load` cycles to fill the grid and `time` to pass through it."""

    count: int
    load: int
    time: int
    down: int  # folds along the rows of the array
    across: int  # and along its columns


def scale_sim_cycles(
    rows: int, columns: int, fan_in: int, outputs: int, positions: int, *, stationary: str = "weight"
) -> int:
    """Cycles of one product without double buffering; the table of the module has the formulas.

    Parameters
    ----------
    rows, columns : int, >= 1
        R, C of the array.
    fan_in, outputs, positions : int, >= 1
        K, M and T of the product (T, K) x (K, M).
    stationary : {"weight", "input", "output"}
        The operand that stays in the array.
    """
    cut = folds(rows, columns, fan_in, outputs, positions, stationary)
    return cut.count * (cut.load + rows + columns + cut.time - 2)


def scale_sim_accesses(
    rows: int, columns: int, fan_in: int, outputs: int, positions: int, *, stationary: str = "weight"
) -> Accesses:
    """Words read and written on chip for one product; the arguments are those of `scale_sim_cycles`.

    An operand is read once for each fold of the size that it does not have: inputs T K, weights K M, sums T M.
    """
    cut = folds(rows, columns, fan_in, outputs, positions, stationary)
    again = {  # how often (inputs, weights, sums) pass
        "weight": (cut.across, 1, cut.down),
        "input": (1, cut.across, cut.down),
        "output": (cut.across, cut.down, 1),
    }[stationary]
    return Accesses(
        input_reads=positions * fan_in * again[0],
        weight_reads=fan_in * outputs * again[1],
        output_writes=positions * outputs * again[2],
    )


def folds(rows: int, columns: int, fan_in: int, outputs: int, positions: int, stationary: str) -> Folds:
    """The folds of one product; the arguments are those of `scale_sim_cycles`."""
    sizes = {"rows": rows, "columns": columns, "fan_in": fan_in, "outputs": outputs, "positions": positions}
    for name, value in sizes.items():
        _checks.integer(value, who="scale_sim", name=name, low=1)
    _checks.choice(stationary, STATIONARY, who="scale_sim", name="stationary")
    down, across, time, load = {
        "weight": (fan_in, outputs, positions, rows),
        "input": (fan_in, positions, outputs, rows),
        "output": (positions, outputs, fan_in, 0),
    }[stationary]
    n_down, n_across = ceil(down / rows), ceil(across / columns)
    return Folds(count=n_down * n_across, load=load, time=time, down=n_down, across=n_across)
