"""Faults: cells that are stuck, and rows and columns that are open.

Enter a shape and shares; leaves an array of fault codes, or, wrapped round a device, cells with faults. Shares are
probabilities: an array of n cells has binomially many faults, not a fixed number.
"""

from dataclasses import dataclass, replace
from enum import IntEnum
from math import log1p, sqrt

import numpy as np

from .. import _checks
from ..errors import ArgumentTypeError, InputError
from .base import Cells, Device, stick

MOST_KINDS = 100  # of stuck_at, so that a code fits int8


class Fault(IntEnum):
    """Codes of a fault map. AT is the first of stuck_at, AT + 1 the second, and so on."""

    SOUND = 0
    ON = 1
    OFF = 2
    OPEN = 3
    AT = 4


def fault_map(
    shape: tuple[int, ...],
    generator: np.random.Generator,
    *,
    stuck_on: float = 0.0,
    stuck_off: float = 0.0,
    stuck_at: tuple[tuple[float, float], ...] = (),
    open_rows: float = 0.0,
    open_columns: float = 0.0,
    cluster_size: float = 1.0,
) -> np.ndarray:
    """Draw which cells of an array are faulty, and how.

    Alone (cluster_size 1), each cell is stuck with probability p = the sum of the stuck shares. In clusters, stuck
    cells come in rectangles, with rows and columns geometric of mean sqrt(cluster_size), thrown at -ln(1 - p) /
    cluster_size a cell: then too each cell is stuck with probability p, up to the array's edge. A rectangle is of one
    kind; where two overlap, the later one holds. Open lines go over stuck cells.

    Parameters
    ----------
    shape : tuple of int
        (..., R, C) where lines or clusters are asked for; else any. What stands in front are arrays that share the word
        lines, as G+ and G-: an open row is open in all of them. Columns are drawn for each index of the first axis;
        further axes in between, as devices in parallel, share them. Clusters do not reach from one array into another.
    generator : numpy Generator
    stuck_on, stuck_off : float, 0 to 1
        Probability that a cell is stuck at g_max, or at g_min.
    stuck_at : tuple of (share, siemens)
        Further values that cells are stuck at, at most 100. All stuck shares sum to 1 at most.
    open_rows, open_columns : float, 0 to 1
        Probability that a whole row (an input line), or a whole column, is open: 0 siemens.
    cluster_size : float, cells, >= 1
        Mean size of a cluster, before clusters overlap; above 1 the stuck shares must sum to less than 1.

    Returns
    -------
    int8 array of `shape`, of `Fault` codes.

    Raises
    ------
    InputError
        A share outside these limits, or a shape without rows and columns where they are needed.

    Notes
    -----
    With cluster_size 1 and the same generator, the faults of a smaller share are among those of a larger one, as long
    as one kind is asked for. Not modelled: shorted lines, faults that appear with time or use, neighbours of a broken
    line.
    """
    shares = _shares(stuck_on, stuck_off, stuck_at)
    _check_lines(open_rows, open_columns, cluster_size, sum(shares))
    if len(shape) < 2 and (open_rows or open_columns or cluster_size > 1):
        raise InputError(
            f"fault_map: shape is {tuple(shape)}; open lines and clusters need rows and columns, (..., R, C)"
        )
    codes = np.array([Fault.ON, Fault.OFF, *range(Fault.AT, Fault.AT + len(shares) - 2)], np.int8)
    if cluster_size > 1:
        found = np.zeros(shape, np.int8)
        for array in np.ndindex(shape[:-2]):
            found[array] = _clustered(shape[-2:], shares, codes, cluster_size, generator)
    else:
        kind = np.searchsorted(np.cumsum(shares), generator.random(shape), side="right")
        found = np.append(codes, np.int8(Fault.SOUND))[kind]
    if len(shape) >= 2:
        found[..., generator.random(shape[-2]) < open_rows, :] = Fault.OPEN
        opened = generator.random((*shape[:-2][:1], *(1,) * (len(shape) - 2), shape[-1])) < open_columns
        found[np.broadcast_to(opened, shape)] = Fault.OPEN
    return found


@dataclass(frozen=True)
class Faulty(Device):
    """A device some of whose cells are stuck or open; the others are the device's own.

    Faults are drawn when cells are programmed, from the generator given to `program`: one draw of it seeds them, so
    the programming noise is the same whatever the shares. A faulty cell holds its conductance: neither programming,
    drift nor read noise moves it. `Cells.state["fault"]` holds the codes of `Fault`.

    Parameters
    ----------
    device : Device
    stuck_on, stuck_off, stuck_at, open_rows, open_columns, cluster_size
        As in `fault_map`: stuck at g_max, at g_min, or at (share, siemens) of `stuck_at`; lines open at 0 siemens.

    Raises
    ------
    InputError
        A share outside its limits, or a device that is Faulty already.

    Notes
    -----
    In a crossbar G+ and G- of a tile share the word lines, so an open row is open in both, and each has its own bit
    lines. Not modelled: a fault map that stays when a chip is programmed again. Each tile's array is as large as its
    weights, so cells that no weight uses have no faults. Faulty goes outermost: read
    noise wrapped round it would move stuck cells. Not modelled: shorted lines, spare columns and remapping, and the
    pulses that write-verify spends on a stuck cell.
    """

    device: Device
    stuck_on: float = 0.0
    stuck_off: float = 0.0
    stuck_at: tuple[tuple[float, float], ...] = ()
    open_rows: float = 0.0
    open_columns: float = 0.0
    cluster_size: float = 1.0

    def __post_init__(self):
        _checks.instance(self.device, Device, who="Faulty", name="device")
        if isinstance(self.device, Faulty):
            raise InputError("Faulty: the device has faults already; give all shares at once")
        shares = _shares(self.stuck_on, self.stuck_off, self.stuck_at, who="Faulty")
        _check_lines(self.open_rows, self.open_columns, self.cluster_size, sum(shares), who="Faulty")

    @property
    def iv(self):
        return self.device.iv

    @property
    def g_min(self):
        return self.device.g_min

    @property
    def g_max(self):
        return self.device.g_max

    def program(self, target, generator):
        cells = self.device.program(target, generator)
        own = np.random.Generator(np.random.Philox(int(generator.integers(1 << 63))))
        codes = fault_map(
            np.shape(cells.conductance), own, stuck_on=self.stuck_on, stuck_off=self.stuck_off, stuck_at=self.stuck_at,
            open_rows=self.open_rows, open_columns=self.open_columns, cluster_size=self.cluster_size,
        )  # fmt: skip
        held = np.array([0.0, self.g_max, self.g_min, 0.0, *(value for _, value in self.stuck_at)])[codes]
        cells = stick(cells, codes != Fault.SOUND, held)
        return replace(cells, state={**cells.state, "fault": codes})

    def conductance(self, cells, seconds):
        return np.where(self._faults(cells), cells.conductance, self.device.conductance(cells, seconds))

    def read_sigma(self, cells, seconds):
        return np.where(self._faults(cells), 0.0, self.device.read_sigma(cells, seconds))

    def read_shares(self, seconds, *, image_seconds, session_seconds, cells=None):
        return self.device.read_shares(
            seconds, image_seconds=image_seconds, session_seconds=session_seconds, cells=cells
        )

    def _faults(self, cells: Cells) -> np.ndarray:
        if "fault" not in cells.state:
            raise InputError("Faulty: these cells hold no fault; program them with this Faulty")
        return cells.state["fault"] != Fault.SOUND


def _shares(stuck_on, stuck_off, stuck_at, *, who: str = "fault_map") -> list[float]:
    """Shares of all stuck kinds, checked."""
    pairs = isinstance(stuck_at, tuple) and all(isinstance(pair, tuple) and len(pair) == 2 for pair in stuck_at)
    if not pairs:
        raise ArgumentTypeError(f"{who}: stuck_at is {stuck_at!r}; give (share, siemens) pairs, as ((0.01, 5e-6),)")
    if len(stuck_at) > MOST_KINDS:
        raise InputError(f"{who}: stuck_at has {len(stuck_at)} values; allowed: up to {MOST_KINDS}")
    named = {"stuck_on": stuck_on, "stuck_off": stuck_off}
    named |= {f"stuck_at[{index}] share": share for index, (share, _) in enumerate(stuck_at)}
    shares = [_checks.real(share, who=who, name=name, low=0.0, high=1.0) for name, share in named.items()]
    for index, (_, value) in enumerate(stuck_at):
        _checks.real(value, who=who, name=f"stuck_at[{index}] siemens", low=0.0)
    if sum(shares) > 1 + 1e-12:
        raise InputError(f"{who}: the stuck shares sum to {sum(shares):g}; allowed: up to 1")
    return shares


def _check_lines(open_rows, open_columns, cluster_size, stuck: float, *, who: str = "fault_map") -> None:
    _checks.real(open_rows, who=who, name="open_rows", low=0.0, high=1.0)
    _checks.real(open_columns, who=who, name="open_columns", low=0.0, high=1.0)
    _checks.real(cluster_size, who=who, name="cluster_size", low=1.0)
    if cluster_size > 1 and stuck >= 1:
        raise InputError(f"{who}: the stuck shares sum to 1, which no clusters fill; use cluster_size=1")


def _clustered(shape, shares, codes, cluster_size: float, generator) -> np.ndarray:
    """Codes with stuck cells in rectangles.

    Rectangles that begin before the array's first row or column reach into it with the same geometric length, as that
    law has no memory; so starting them at 0 with chance (mean - 1) / (lines + mean - 1) leaves no bare edge.
    """
    total, mean = sum(shares), sqrt(cluster_size)
    found = np.zeros(shape, np.int8)
    if not total or not found.size:
        return found
    reach = np.array(shape) + mean - 1
    count = generator.poisson(-log1p(-total) / cluster_size * reach.prod())
    first = np.maximum(generator.random((count, 2)) * reach - (mean - 1), 0.0).astype(int)
    last = first + generator.geometric(1 / mean, (count, 2))
    bounds = np.cumsum(shares[:-1]) / total
    kind = codes[np.searchsorted(bounds, generator.random(count), side="right")]
    for (top, left), (bottom, right), code in zip(first, last, kind, strict=True):
        found[top:bottom, left:right] = code
    return found
