"""Operating points: small currents beside the cells of a solved circuit. Enter drives and changes of the conductances;
leave the column currents that the changes add, to first order.

A change dG of a cell acts as a current dG u beside it, u the voltage across the cell without the change. Both maps are
linear and fixed by the array: from drives to the voltages across all cells, and from currents beside the cells to the
column currents. By reciprocity the second is the voltages across the cells with 1 V at the end of one bit line. Where
there is room they are computed once, and a read is two matrix products; else each vector takes conjugate gradients.

Array letters: B vectors, R rows, C columns.
"""

from dataclasses import dataclass

import numpy as np

from .. import kernels
from .wires import Wires, solve_each

TOLERANCE = 1e-6  # of conjugate gradients, relative; far below what is left out beyond first order


@dataclass(frozen=True, eq=False)
class OperatingPoint:
    """One array g (R, C), siemens, without noise. `across` and `sensed` are packed operators, or None."""

    g: np.ndarray
    wires: Wires
    across: object = None  # (R, R C), the voltages across the cells
    sensed: object = None  # (R C, C), the currents of the columns

    def added(self, drive: np.ndarray, change: np.ndarray, *, threads: int) -> np.ndarray:
        """Currents (B, C) that changes (B, R, C), float32, of the conductances add under drives (B, R)."""
        change = np.maximum(change, -self.g.astype(np.float32))
        if self.across is None:
            each = {"threads": threads, "tolerance": TOLERANCE}
            drop = solve_each(self.g[None], drive, self.wires, drops=True, **each)
            return solve_each(self.g[None], np.zeros_like(drive), self.wires, source=change * drop, **each)
        beside = change.reshape(len(drive), -1)
        beside *= product(self.across, drive, threads)
        return product(self.sensed, beside, threads)


def operating_point(g: np.ndarray, wires: Wires, *, dense: bool, threads: int) -> OperatingPoint:
    """The point of one array; `dense`: with both operators, in `bytes_of(g.shape)` of memory."""
    rows, columns = g.shape
    if not dense:
        return OperatingPoint(g, wires)
    across = solve_each(g[None], np.eye(rows), wires, threads=threads, drops=True, tolerance=TOLERANCE)
    turned = Wires(
        wires.bit_line, wires.word_line, wires.sense, wires.source,
        "both" if wires.readout == "both" else "left", "both" if wires.drive == "both" else "bottom",
    )  # fmt: skip
    back = np.ascontiguousarray(g[::-1, ::-1].T)
    sensed = solve_each(back[None], np.eye(columns), turned, threads=threads, drops=True, tolerance=TOLERANCE)
    sensed = sensed[::-1, ::-1, ::-1].transpose(2, 1, 0).reshape(-1, columns)
    return OperatingPoint(g, wires, packed(across.reshape(rows, -1)), packed(sensed))


def bytes_of(shape: tuple[int, int]) -> int:
    """Memory of both operators of an array."""
    rows, columns = shape
    return 4 * rows * columns * (rows + columns)


def packed(matrix: np.ndarray):
    """A matrix (K, M) for `product`."""
    return kernels.crossbar.pack(np.ascontiguousarray(matrix, np.float32), None, None, len(matrix))


def product(matrix, vectors: np.ndarray, threads: int) -> np.ndarray:
    """Vectors (B, K) times a packed matrix (K, M); the bits of a vector do not depend on those beside it."""
    out = np.empty((len(vectors), 1, matrix.M))
    kernels.crossbar.mvm(matrix, np.ascontiguousarray(vectors, np.float32)[:, None], out, threads=threads)
    return out[:, 0]
