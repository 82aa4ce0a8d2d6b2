"""Crossbars whose word lines or bit lines have no resistance: a line is one node, and nothing is divided by 0 ohm.

All arguments are conductances in siemens, as in `neuroemu.kernels.wires_reference`; infinity is no resistance.
"""

import numpy as np

from .. import kernels
from ..errors import InputError
from ..kernels import wires_reference


def transfer(g, word, bit, left, right, bottom, top, *, who: str, threads: int = 1) -> np.ndarray:
    """T (R, C) of a crossbar (R, C) with infinite `word` or `bit`."""
    if np.isfinite(bit):
        return _rigid_words(g, bit, left + right, bottom, top, threads)
    if np.isfinite(word):  # turned by half a turn and transposed, bit lines become word lines; T is reciprocal
        turned, senses, lefts, rights = (
            np.ascontiguousarray(a) for a in (g[::-1, ::-1].T, (bottom + top)[::-1], left[::-1], right[::-1])
        )
        return _rigid_words(turned, word, senses, lefts, rights, threads).T[::-1, ::-1]
    return _rigid_lines(g, left + right, bottom + top, who, threads)


def solve(g, word, bit, left, right, bottom, top, drive, *, who: str):
    """Currents, voltages and supply currents by the reference; see `wires_reference.solve`."""
    try:
        return wires_reference.solve(g, word, bit, left, right, bottom, top, drive)
    except ValueError as error:
        raise _joined(who) from error


def _joined(who):
    return InputError(
        f"{who}: shorted devices join two drivers or sense amplifiers without any resistance, so that no current is "
        "defined; give source, sense or the wires a resistance, or the device a finite conductance"
    )


def _eliminate(between, drivers, amplifiers, threads):
    out = np.empty((drivers.shape[1], amplifiers.shape[1]))
    arrays = (np.ascontiguousarray(a) for a in (between, drivers, amplifiers))
    kernels.wires.eliminate(*arrays, out, threads=threads)
    return out


def _rigid_words(g, bit, ends, bottom, top, threads):
    """A word line is one node, at conductance `ends` to its driver; bit lines are chains."""
    ideal = np.isinf(ends)
    sensed = np.empty(g.shape)
    if ideal.all():
        kernels.wires.chains(g, bit, bottom, top, sensed)
        return sensed
    lower = np.zeros((len(g), len(g)))
    kernels.wires.chains(g, bit, bottom, top, sensed, lower)
    between = lower + lower.T
    drivers = np.where(ideal, between, np.diag(np.where(ideal, 0, ends)))
    return np.where(ideal[:, None], sensed, 0) + _eliminate(
        between[~ideal][:, ~ideal], drivers[~ideal], sensed[~ideal], threads
    )


def _rigid_lines(g, drivers, amplifiers, who, threads):
    """All lines are single nodes; shorts and ends without resistance join them."""
    from scipy import sparse
    from scipy.sparse import csgraph

    rows, columns = g.shape
    lines = rows + columns
    i, j = np.nonzero(g)
    a = np.concatenate([i, np.arange(lines)])
    b = np.concatenate([rows + j, lines + np.arange(lines)])
    c = np.concatenate([g[i, j], drivers, amplifiers])
    joined = np.isinf(c)
    count, node = csgraph.connected_components(
        sparse.coo_matrix((np.ones(joined.sum()), (a[joined], b[joined])), shape=(2 * lines, 2 * lines)), directed=False
    )
    ends = node[lines:]
    if len(np.unique(ends)) != lines:
        raise _joined(who)
    keep = ~joined & (node[a] != node[b])
    a, b, c = node[a[keep]], node[b[keep]], c[keep]
    network = sparse.csr_matrix((np.r_[c, c], (np.r_[a, b], np.r_[b, a])), shape=(count, count))
    inner = np.setdiff1d(np.arange(count), ends)
    source, sense = ends[:rows], ends[rows:]
    direct = network[source][:, sense].toarray()
    if not len(inner):
        return direct
    rest = network[inner]
    parts = (rest[:, inner].toarray(), rest[:, source].toarray(), rest[:, sense].toarray())
    return direct + _eliminate(*parts, threads)
