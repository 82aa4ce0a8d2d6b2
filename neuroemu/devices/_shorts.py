"""Shorted lines of an array with ideal wires: what the periphery sees is an average, exactly.

Word lines that touch, driven by drivers of equal output resistance, all carry the mean of their voltages. A column then
gathers sum_r g_r mean(v) = sum_r v_r mean(g): each of the rows acts as if it held the mean of their conductances.
Bit lines that touch, read by virtual grounds of equal input resistance, share their current evenly: each column acts as
if it held the mean of their conductances. So both are an average of conductances, over rows or over columns.

A line is known by a label; lines with the same label touch.
"""

from collections.abc import Mapping

import numpy as np

WORD, BIT = "word line", "bit line"  # labels of the lines that a cell hangs on, in Cells.state


def draw_labels(broken: np.ndarray, share: float, generator: np.random.Generator) -> np.ndarray:
    """Labels (..., n) of lines of which each touches the next with probability `share`, unless one is `broken`."""
    touching = generator.random((*broken.shape[:-1], max(broken.shape[-1] - 1, 0))) < share
    touching &= ~(broken[..., 1:] | broken[..., :-1])
    labels = np.zeros(broken.shape, np.int32)
    labels[..., 1:] = np.cumsum(~touching, axis=-1)
    return labels


def touching_lines(labels: np.ndarray) -> np.ndarray:
    """Bool (..., n): lines whose label another one of them has."""
    found = np.zeros(labels.shape, bool)
    for place in np.ndindex(labels.shape[:-1]):
        _, back, counts = np.unique(labels[place], return_inverse=True, return_counts=True)
        found[place] = counts[back] > 1
    return found


def touching_cells(state: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """Cells on a line that touches another; None where no shorts were asked for."""
    if WORD not in state:
        return None
    rows = touching_lines(state[WORD][..., 0])
    return rows[..., None] | touching_lines(state[BIT][..., 0, :])[..., None, :]


def averaged(values: np.ndarray, state: Mapping[str, np.ndarray], *, power: int = 1) -> np.ndarray:
    """`values` of cells (..., R, C), those on lines that touch averaged; variances with power 2: sum / count^2."""
    if WORD not in state or not values.size:
        return values
    labels = np.broadcast_to(state[WORD][..., 0], values.shape[:-1])
    along_rows = _averaged(np.swapaxes(values, -1, -2), labels, power)
    labels = np.broadcast_to(state[BIT][..., 0, :], (*values.shape[:-2], values.shape[-1]))
    return _averaged(np.swapaxes(along_rows, -1, -2), labels, power)


def _averaged(values, labels, power: int):
    """Over the last axis of `values`, whose lines have `labels`; leading axes are arrays."""
    result = np.array(values)
    for place in np.ndindex(labels.shape[:-1]):
        _, back, counts = np.unique(labels[place], return_inverse=True, return_counts=True)
        for group in np.flatnonzero(counts > 1):
            lines = back == group
            total = result[place][..., lines].sum(axis=-1, keepdims=True)
            result[place][..., lines] = total / counts[group] ** power
    return result
