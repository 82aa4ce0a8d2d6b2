"""Repair: which lines of an array with spares are used, once a test has found the faulty cells.

Enter a map of faulty cells of the array as fabricated; leave, for each row and column of weights, the physical line
that holds it.

References
----------
W. Shi and W. K. Fuchs, IEEE Trans. Comput.-Aided Des. Integr. Circuits Syst. 11 (1992), doi:10.1109/43.160001, for
spare rows and columns as a covering problem, which no fast algorithm solves in general.
"""

import numpy as np

from .. import _checks
from ..errors import InputError
from ._shorts import touching_lines
from .base import Cells

ROW, COLUMN = "physical row", "physical column"  # in Cells.state


def by_count(faulty, word, bit, *, rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Replace the line with the most faulty cells by the best spare, as long as that leaves fewer of them.

    Parameters
    ----------
    faulty : (A, physical rows, physical columns) bool array
        The A arrays share rows and columns: a column is replaced in all of them.
    word : (physical rows,) int array, bit : (A, physical columns) int array
        Labels of the lines; all cells of lines in use that touch count as faulty.
    rows, columns : int
        Lines to use; the others are spares.

    Returns
    -------
    (rows,) and (columns,) int arrays, physical lines

    Notes
    -----
    Each step takes the row or column whose exchange removes the most faulty cells. With spares of one kind and no
    shorts, this leaves the fewest faulty cells, and the fewest faulty lines of that kind, that any choice can; with
    both kinds it need not.
    """
    if not (touching_lines(word).any() or touching_lines(bit).any()):
        word = bit = None
    used = [np.arange(rows), np.arange(columns)]
    spare = [list(range(rows, faulty.shape[1])), list(range(columns, faulty.shape[2]))]
    while any(spare):
        swaps = [_best_swap(faulty, word, bit, used, spare, kind) for kind in (0, 1) if spare[kind]]
        gain, kind, worst, best = max(swaps, key=lambda swap: swap[0])
        if gain <= 0:
            break
        used[kind][worst] = best
        spare[kind].remove(best)
    return used[0], used[1]


def _best_swap(faulty, word, bit, used, spare, kind: int) -> tuple[int, int, int, int]:
    """(gain in cells, kind, place of the worst line in use, best spare)."""
    counts = _counts(faulty, word, bit, used, kind, used[kind])
    worst = int(np.argmax(counts))
    others = np.delete(used[kind], worst)
    left = _counts(faulty, word, bit, used, kind, np.concatenate([others, spare[kind]]))[len(others) :]
    return int(counts[worst] - left.min()), kind, worst, spare[kind][int(np.argmin(left))]


def _counts(faulty, word, bit, used, kind: int, lines) -> np.ndarray:
    """Faulty cells of `lines` of one kind (0: rows, 1: columns), where lines in use of the other kind cross them."""
    if word is None:
        return np.take(faulty, used[1 - kind], axis=2 - kind).sum(axis=(0, 2 - kind))[lines]
    rows, columns = (lines, used[1]) if kind == 0 else (used[0], lines)
    short_rows, short_columns = touching_lines(word[rows]), touching_lines(bit[:, columns])
    bad = faulty[:, rows[:, None], columns] | short_rows[:, None] | short_columns[:, None, :]
    return bad.sum(axis=(0, 2 - kind))


def by_assignment(targets, faulty, held, touching) -> np.ndarray:
    """Physical column of each column of weights, so that the sum of |target - held| over faulty cells is least.

    Parameters
    ----------
    targets : (A, R, C) array, siemens
    faulty, held : (A, R, physical columns) arrays
        Which cells are faulty, and what they hold, siemens.
    touching : (physical columns,) bool array
        Columns that touch another count as empty: at the sum of their targets.

    Returns
    -------
    (C,) int array
    """
    from scipy.optimize import linear_sum_assignment

    cost = np.zeros((targets.shape[2], faulty.shape[2]))
    for column in np.flatnonzero(faulty.any(axis=(0, 1))):
        array, row = np.nonzero(faulty[:, :, column])
        cost[:, column] = np.abs(targets[array, row] - held[array, row, column][:, None]).sum(axis=0)
    cost[:, touching] = targets.sum(axis=(0, 1))[:, None]
    return linear_sum_assignment(cost)[1]


def lines_replaced(cells: Cells) -> tuple[int, int]:
    """How many rows and columns of `cells` lie in spares; of cells that a Faulty with spares or assignment made."""
    _checks.instance(cells, Cells, who="lines_replaced", name="cells")
    if ROW not in cells.state:
        raise InputError("lines_replaced: these cells have no spares; program them with Faulty(..., spare_columns=...)")
    rows, columns = cells.state[ROW], cells.state[COLUMN]
    first = (0,) * (rows.ndim - 2)
    return (
        int(np.count_nonzero(rows[first][:, 0] >= rows.shape[-2])),
        int(np.count_nonzero(columns[first][0] >= columns.shape[-1])),
    )
