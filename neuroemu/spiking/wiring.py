"""Wiring: synapses of a program as edges and rows of actual weights, the form in which the kernels take them.

Enter Synapses; leave, for the sources in order, edges that each add a row of weights to neighbouring targets. Dense
weights are one edge an input, a shared kernel one edge a tap, single synapses rows of length 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from . import populations as P
from .arithmetic import Convention, encode_weights, pack_weights
from .program import SharedKernel, Synapses


@dataclass(frozen=True, eq=False)
class Edges:
    """Input j owns edges indptr[j] .. indptr[j + 1] - 1; edge e adds table[row[e]] at target[e], after delay[e]."""

    indptr: np.ndarray  # int32 (inputs + 1,)
    target: np.ndarray  # int32 (edges,)
    row: np.ndarray  # int32 (edges,)
    delay: np.ndarray  # uint8 (edges,)
    table: np.ndarray  # int32 (rows, length), actual weights
    sum_shift: int = 0  # bits that the sum of what left and arrives together loses

    @property
    def inputs(self) -> int:
        return len(self.indptr) - 1

    @property
    def length(self) -> int:
        return self.table.shape[1]

    def kernel_arguments(self) -> dict:
        """Arguments of `kernels.events`: weights as int16 and a common power of two."""
        weights, shift = pack_weights(self.table)
        delay = np.ascontiguousarray(self.delay) if self.delay.any() else None
        return {
            "indptr": self.indptr, "target": self.target, "row": self.row, "delay": delay,
            "weights": np.ascontiguousarray(weights), "shift": shift,
        }  # fmt: skip

    def matrices(self, n: int) -> dict[int, np.ndarray]:
        """Actual weights as a dense int64 (inputs, n) array for each delay."""
        found = {int(d): np.zeros((self.inputs, n), np.int64) for d in np.unique(self.delay)}
        source = np.repeat(np.arange(self.inputs), np.diff(self.indptr))
        for e, j in enumerate(source):
            found[int(self.delay[e])][j, self.target[e] : self.target[e] + self.length] += self.table[self.row[e]]
        return found


def edges_of(part: Synapses, convention: Convention, sources: int) -> Edges:
    """The edges of one group of synapses, with actual weights; `sources` is the size of the source population."""
    lost = max(0, -part.exponent) if convention.shifts_sums else 0
    return replace(_edges_of(part, convention, sources, part.exponent + lost), sum_shift=lost)


def _edges_of(part: Synapses, convention: Convention, sources: int, exponent: int) -> Edges:
    def actual(mantissa):
        return encode_weights(
            mantissa, exponent=exponent, bits=part.bits, sign_mode=part.sign_mode, convention=convention
        )

    if isinstance(part.mantissa, SharedKernel):
        return _kernel_edges(part, actual)
    if isinstance(part.mantissa, P.BlockRows):
        rows = part.mantissa
        delay = np.full(len(rows.target), part.delay, np.uint8)
        return Edges(rows.padded(sources).astype(np.int32), rows.target, rows.row, delay, actual(rows.table))
    if hasattr(part.mantissa, "indptr"):
        weights = part.mantissa
        target = weights.indices.astype(np.int32)
        delay = np.full(len(target), part.delay, np.uint8)
        return Edges(
            weights.indptr.astype(np.int32), target, np.arange(len(target), dtype=np.int32), delay,
            actual(weights.data)[:, None],
        )  # fmt: skip
    table = actual(part.mantissa)
    if part.delay.ndim == 0:
        n = len(table)
        zeros = np.zeros(n, np.int32)
        return Edges(
            np.arange(n + 1, dtype=np.int32), zeros, np.arange(n, dtype=np.int32),
            np.full(n, part.delay, np.uint8), table,
        )  # fmt: skip
    return _single(part.mantissa != 0, table, part.delay)


def _single(there: np.ndarray, table: np.ndarray, delay: np.ndarray) -> Edges:
    """One synapse an edge."""
    source, target = np.nonzero(there)
    indptr = np.concatenate([[0], np.cumsum(there.sum(axis=1))]).astype(np.int32)
    rows = np.arange(len(source), dtype=np.int32)
    return Edges(
        indptr, target.astype(np.int32), rows, delay[source, target].astype(np.uint8), table[source, target][:, None]
    )


@dataclass(frozen=True, eq=False)
class _AsLayer:
    """A shared kernel in the words of `populations`."""

    weight: np.ndarray
    stride: tuple[int, int]
    padding: tuple
    dilation: tuple[int, int]
    groups: int


def _kernel_edges(part: Synapses, actual) -> Edges:
    kernel: SharedKernel = part.mantissa
    layer = _AsLayer(actual(kernel.mantissa), kernel.stride, kernel.padding, kernel.dilation, kernel.groups)
    numbers = P.neuron_numbers(kernel.input_shape)
    rows = P.convolution_rows(layer, numbers, kernel.output_shape)
    delay = np.full(len(rows.target), part.delay, np.uint8)
    return Edges(rows.padded(numbers.size).astype(np.int32), rows.target, rows.row, delay, rows.table)


def joined(parts: Sequence[Edges]) -> Edges:
    """All edges into one population; the inputs are those of the parts, one part after the other."""
    if len({part.length for part in parts}) > 1:
        parts = [_unrolled(part) for part in parts]
    below = np.cumsum([0, *(len(part.table) for part in parts)])
    ends = [np.zeros(1, np.int32)]
    for part in parts:
        ends.append(ends[-1][-1] + part.indptr[1:])
    rows = [part.row + base for part, base in zip(parts, below, strict=False)]
    return Edges(
        np.concatenate(ends).astype(np.int32), np.concatenate([part.target for part in parts]),
        np.concatenate(rows).astype(np.int32), np.concatenate([part.delay for part in parts]),
        np.concatenate([part.table for part in parts]),
    )  # fmt: skip


def _unrolled(edges: Edges) -> Edges:
    """The same synapses, one an edge; rows are not shared any more, zeros are left out."""
    if edges.length == 1:
        return edges
    edge, column = np.nonzero(edges.table[edges.row])
    source = np.repeat(np.arange(edges.inputs), np.diff(edges.indptr))[edge]
    indptr = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=edges.inputs))]).astype(np.int32)
    return Edges(
        indptr, (edges.target[edge] + column).astype(np.int32), np.arange(len(edge), dtype=np.int32),
        edges.delay[edge], edges.table[edges.row[edge], column][:, None],
    )  # fmt: skip
