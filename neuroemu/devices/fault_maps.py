"""Fault maps: which cells of an array are stuck, alone or in clusters, and which rows and columns are open.

Enter a shape and shares; leaves an array of fault codes. Shares are probabilities: an array of n cells has binomially
many faults, not a fixed number.
"""

from enum import IntEnum
from math import log1p, sqrt

import numpy as np

from .. import _checks
from ..errors import ArgumentTypeError, InputError
from . import _parameters

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
    alpha: float | None = None,
) -> np.ndarray:
    """Draw which cells of an array are faulty, and how.

    Alone (cluster_size 1), each cell is stuck with probability p = the sum of the stuck shares. In clusters, stuck
    cells come in rectangles, with rows and columns geometric of mean sqrt(cluster_size), thrown at -ln(1 - p) /
    cluster_size a cell: then too each cell is stuck with probability p, up to the array's edge. A rectangle is of one
    kind; where two overlap, the later one holds. Open lines go over stuck cells.

    With `alpha`, arrays differ: the stuck shares are multiplied by one number for the whole map, drawn from a gamma
    distribution of mean 1 and variance 1 / alpha. Of many arrays of n cells and few faults, a share of
    (1 + n p / alpha)^-alpha has none: the negative binomial yield of Stapper [1]_.

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
    alpha : float, > 0, or None
        Stapper's clustering parameter, the smaller the more arrays differ; None: all arrays have the same shares.

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
    as one kind is asked for. Cut at a stuck share of 1, the gamma draw has a mean below 1 where p or 1 / alpha is
    large. Not modelled: faults that appear with time or use (see Endurance), neighbours of a broken line. For shorted
    lines, see Faulty.

    References
    ----------
    .. [1] C. H. Stapper, F. M. Armstrong and K. Saji, "Integrated circuit yield statistics", Proc. IEEE 71 (1983),
       doi:10.1109/PROC.1983.12619.
    """
    shares = stuck_shares(stuck_on, stuck_off, stuck_at)
    check_lines(open_rows, open_columns, cluster_size, sum(shares))
    if len(shape) < 2 and (open_rows or open_columns or cluster_size > 1):
        raise InputError(
            f"fault_map: shape is {tuple(shape)}; open lines and clusters need rows and columns, (..., R, C)"
        )
    if alpha is not None:
        _parameters.positive(alpha, who="fault_map", name="alpha")
        most = 1 - 1e-12 if cluster_size > 1 else 1.0
        factor = generator.gamma(alpha) / alpha
        shares = [share * min(factor, most / sum(shares)) for share in shares] if sum(shares) else shares
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


def stuck_shares(stuck_on, stuck_off, stuck_at, *, who: str = "fault_map") -> list[float]:
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


def check_lines(open_rows, open_columns, cluster_size, stuck: float, *, who: str = "fault_map") -> None:
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
