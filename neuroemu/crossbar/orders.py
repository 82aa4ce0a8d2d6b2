"""Row orders: which input drives which row of the arrays. Strengths of rows enter, a permutation leaves.

The strength of a row is the sum of the magnitudes of its levels, to which its current is proportional. A network's
results are the same in every order on ideal parts; ranges, clips and wires see the difference.
"""

import heapq
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .. import _checks
from ..errors import ArgumentTypeError, InputError


class RowOrder(ABC):
    """Abstract: how rows are dealt. Final classes: GivenRows, BalancedRows, HeavyRows, ExplicitRows,
    OccupiedRows.
    """

    named: tuple[str, ...] = ()  # layers that the rule names
    leaves_out = False  # whether inputs without weights get no row

    @abstractmethod
    def deal(self, strengths: np.ndarray, rows_per_tile: int, layer: str) -> np.ndarray | None:
        """Input (K,) of each row, tile after tile, for strengths (K,) of the inputs; None leaves them as they are."""


@dataclass(frozen=True)
class GivenRows(RowOrder):
    """Row k is input k."""

    def deal(self, strengths, rows_per_tile, layer):
        return None


@dataclass(frozen=True)
class BalancedRows(RowOrder):
    """Every row tile gets nearly the same share of the summed levels; its rows stay in the order given.

    Rows are dealt from the strongest down, each to the tile that has the smallest sum and a free row. Column sums of
    the tiles are then of one size, so that a range shared by tiles suits them all.
    """

    def deal(self, strengths, rows_per_tile, layer):
        count = len(strengths)
        free = [min(rows_per_tile, count - start) for start in range(0, count, rows_per_tile)]
        if len(free) == 1:
            return None
        dealt: list[list[int]] = [[] for _ in free]
        tiles = [(0.0, tile) for tile in range(len(free))]
        for row in np.argsort(-strengths, kind="stable"):
            total, tile = heapq.heappop(tiles)
            dealt[tile].append(int(row))
            if len(dealt[tile]) < free[tile]:
                heapq.heappush(tiles, (total + float(strengths[row]), tile))
        return np.concatenate([np.sort(rows) for rows in dealt])


@dataclass(frozen=True)
class HeavyRows(RowOrder):
    """Within each row tile the strongest rows lie at one end.

    Parameters
    ----------
    end : {"last", "first"}
        "last": next to where columns are sensed if that is behind the last row; the largest currents then pass the
        least of the column's wire. "first": the other way round.
    """

    end: str = "last"

    def __post_init__(self):
        _checks.choice(self.end, ("last", "first"), who="HeavyRows", name="end")

    def deal(self, strengths, rows_per_tile, layer):
        rising = strengths if self.end == "last" else -strengths
        starts = range(0, len(strengths), rows_per_tile)
        return np.concatenate([s + np.argsort(rising[s : s + rows_per_tile], kind="stable") for s in starts])


@dataclass(frozen=True)
class ExplicitRows(RowOrder):
    """Rows as listed.

    Parameters
    ----------
    orders : dict of layer name -> sequence of int
        Input of each row, a permutation of 0 ... K - 1. Layers that are not named keep their order; the groups of a
        convolution that is named are not packed apart.
    """

    orders: Mapping[str, tuple[int, ...]]

    def __post_init__(self):
        if not isinstance(self.orders, Mapping):
            raise ArgumentTypeError(
                f"ExplicitRows: orders is {type(self.orders).__name__}; give a dict of layer name -> permutation"
            )
        lists = {name: np.asarray(order) for name, order in self.orders.items()}
        for name, order in lists.items():
            if order.ndim != 1 or order.dtype.kind not in "iu":
                raise ArgumentTypeError(f"ExplicitRows: the order of layer '{name}' must be a list of integers")
        object.__setattr__(self, "orders", {name: tuple(order.tolist()) for name, order in lists.items()})

    @property
    def named(self):
        return tuple(self.orders)

    def deal(self, strengths, rows_per_tile, layer):
        if layer not in self.orders:
            return None
        order = np.array(self.orders[layer])
        if not np.array_equal(np.sort(order), np.arange(len(strengths))):
            raise InputError(
                f"ExplicitRows: the order of layer '{layer}' is not a permutation of its {len(strengths)} rows; give "
                f"each of 0 to {len(strengths) - 1} once"
            )
        return order


@dataclass(frozen=True)
class OccupiedRows(RowOrder):
    """Only inputs with a weight get a row; the others are never driven. For networks pruned by `Rows()` or `Blocks`.

    A layer without any weight keeps one row. Groups of a convolution that are laid out apart leave out their own.

    Parameters
    ----------
    order : RowOrder
        How the rows that are left are dealt; not `ExplicitRows`, which lists all of them.
    """

    order: RowOrder = GivenRows()
    leaves_out = True

    def __post_init__(self):
        _checks.instance(self.order, RowOrder, who="OccupiedRows", name="order")
        if self.order.named or self.order.leaves_out:
            raise InputError(f"OccupiedRows: order is {self.order}; give GivenRows(), BalancedRows() or HeavyRows()")

    def deal(self, strengths, rows_per_tile, layer):
        return self.order.deal(strengths, rows_per_tile, layer)


def check_names(order: RowOrder, layers, *, who: str) -> None:
    """Refuse an order that names layers which are not there."""
    for name in order.named:
        if name not in layers:
            raise InputError(
                f"{who}: row_order names layer '{name}'; the weighted layers are {', '.join(map(repr, layers))}"
            )
