"""Placers: which core of the mesh takes which piece of a network.

Enter pieces that keep the limits of a core and the messages between them; leave the number of a core for each. Where
neurons lie changes hops, energy and time, never a spike.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from .. import _checks, _streams

COOLEST = 1e-3  # last temperature beside the first


@dataclass(frozen=True)
class Floor:
    """Cores on a mesh: of one chip, or of several whose meshes are joined.

    Parameters
    ----------
    cores : int
        Of one chip.
    cores_per_tile : int
        Cores that share a router.
    mesh : (int, int)
        Tiles of a chip as (width, height).
    chips, columns : int
        Chips in all, and side by side.
    """

    cores: int
    cores_per_tile: int
    mesh: tuple[int, int]
    chips: int = 1
    columns: int = 1

    @property
    def all_cores(self) -> int:
        return self.cores * self.chips

    @property
    def joined_mesh(self) -> tuple[int, int]:
        """Tiles of all chips as (width, height)."""
        return self.mesh[0] * self.columns, self.mesh[1] * -(-self.chips // self.columns)

    def positions(self, units) -> np.ndarray:
        """(..., 2) tile positions x, y of cores; chips, and tiles in a chip, are numbered row by row."""
        chips, inside = np.divmod(np.asarray(units, np.int64), self.cores)
        tiles = inside // self.cores_per_tile
        x = chips % self.columns * self.mesh[0] + tiles % self.mesh[0]
        return np.stack([x, chips // self.columns * self.mesh[1] + tiles // self.mesh[0]], axis=-1)


@dataclass(frozen=True, kw_only=True)
class Placer(ABC):
    """Abstract: how pieces find their cores.

    Parameters
    ----------
    pack : bool
        Put pieces of several populations on one core where all its limits allow it, the fullest first. Fewer cores
        are used; a step may take longer, since the busiest core sets its time.
    even : bool
        Cut a population into pieces of one size where that takes no more cores, in place of full cores and a rest:
        the busiest core has less to do.
    """

    pack: bool = False
    even: bool = False

    @abstractmethod
    def units(self, n: int, messages: Callable[[Mapping | None], np.ndarray], floor: Floor) -> np.ndarray:
        """Core (n,) of each of `n` fillings; `messages(spikes)` gives those between them, (n, n)."""


@dataclass(frozen=True, kw_only=True)
class RowByRow(Placer):
    """Core after core, tile after tile, row after row, in the order of the populations."""

    def units(self, n, messages, floor) -> np.ndarray:
        return np.arange(n)


@dataclass(frozen=True, kw_only=True, eq=False)
class FewestHops(Placer):
    """Simulated annealing of the hops of all messages: two cores change places, or two tiles.

    It starts from RowByRow and keeps the best found, so hops times their weights never exceed those of RowByRow on the
    spikes that it is given. As few tiles are used as RowByRow uses.

    Parameters
    ----------
    seed : int, >= 0
    moves : int, >= 1
        Changes tried; they bound the time.
    spikes : mapping from population to (N,) array, optional
        How often each neuron spikes, from `spike_counts` on calibration inputs; without it each neuron counts once.
    north_south : float, > 0
        Weight of a hop north or south beside one east or west. Default: 4.0 pJ beside 3.0 pJ (Davies 2018,
        doi:10.1109/MM.2018.112130359, Table 2).
    """

    seed: int = 0
    moves: int = 20_000
    spikes: Mapping[str, np.ndarray] | None = None
    north_south: float = 4.0 / 3.0

    def __post_init__(self):
        _checks.integer(self.seed, who="FewestHops", name="seed", low=0)
        _checks.integer(self.moves, who="FewestHops", name="moves", low=1)
        _checks.real(self.north_south, who="FewestHops", name="north_south", low=0)

    def units(self, n, messages, floor) -> np.ndarray:
        sent = messages(self.spikes)
        return _Annealing(n, sent + sent.T, floor, self.north_south).run(self.moves, _generator(self.seed))


def _generator(seed: int) -> np.random.Generator:
    return _streams.generator(seed, "calibrate", 0)


class _Annealing:
    """Slots of tiles that cores take, and mesh positions that tiles take."""

    def __init__(self, n: int, both: np.ndarray, floor: Floor, north_south: float):
        self.n, self.floor = n, floor
        self.pairs = np.nonzero(np.triu(both, 1))
        self.weight, self.north_south = both[self.pairs], north_south
        self.tiles = -(-n // floor.cores_per_tile)
        self.slots = np.arange(
            min(self.tiles * floor.cores_per_tile, floor.all_cores)
        )  # what core stands where; >= n: none
        even = floor.chips == 1 or floor.cores % floor.cores_per_tile == 0
        full = floor.all_cores // floor.cores_per_tile if even else 0  # tiles of all cores, which may change places
        self.places = np.arange(max(full, self.tiles))  # where on the mesh each tile stands
        self.movable = full if self.tiles <= full else 0

    def units(self) -> np.ndarray:
        per_tile = self.floor.cores_per_tile
        slot = np.empty(len(self.slots), np.int64)
        slot[self.slots] = np.arange(len(self.slots))
        slot = slot[: self.n]
        return self.places[slot // per_tile] * per_tile + slot % per_tile

    def cost(self) -> float:
        """Hops times their weights."""
        x, y = self.floor.positions(self.units()).T
        a, b = self.pairs
        return float(self.weight @ (np.abs(x[a] - x[b]) + self.north_south * np.abs(y[a] - y[b])))

    def change(self, random: np.random.Generator) -> tuple[np.ndarray, int, int]:
        """Exchange two cores or two tiles; what was exchanged."""
        table = self.slots
        first, most = int(random.integers(len(self.slots))), len(self.slots)
        if self.movable > 1 and random.random() < 0.5:
            table, first, most = self.places, int(random.integers(self.tiles)), self.movable
        second = int(random.integers(most))
        table[[first, second]] = table[[second, first]]
        return table, first, second

    def run(self, moves: int, random: np.random.Generator) -> np.ndarray:
        now = lowest = self.cost()
        best = self.units()
        if not lowest:
            return best
        heat = now / max(1, len(self.weight))  # of the order of what one change makes
        cooling = COOLEST ** (1 / moves)
        for _ in range(moves):
            table, first, second = self.change(random)
            cost = self.cost()
            if cost <= now or random.random() < np.exp((now - cost) / heat):
                now = cost
                if now < lowest:
                    lowest, best = now, self.units()
            else:
                table[[first, second]] = table[[second, first]]
            heat *= cooling
        return best
