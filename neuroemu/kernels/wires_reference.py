"""Twin of the wires kernel: the specification, a network of conductances solved by sparse LU.

In: conductances of the devices, wires and line ends, and the drivers' voltages. Out: the currents at the ends of the
bit lines, the voltages of all nodes, and the drivers' currents. Nodes that are joined by infinitely good conductors
become one. The residual is computed in extended precision and corrected, so that each current is right to some units
in the last place of the largest voltage times its conductance.

Array letters: B vectors, R rows, C columns.
"""

import numpy as np


def edges(g, word, bit, left, right, bottom, top):
    """Conductors of the network, as (from, to, siemens).

    Nodes are numbered: word line nodes (R * C), bit line nodes (R * C), drivers (R), sense amplifiers (C). Arguments as
    in `solve`.
    """
    rows, columns = g.shape
    words = np.arange(rows * columns).reshape(rows, columns)
    bits = words + rows * columns
    drivers = 2 * rows * columns + np.arange(rows)
    amplifiers = drivers[-1] + 1 + np.arange(columns)
    parts = [
        (drivers, words[:, 0], left),
        (drivers, words[:, -1], right),
        (words[:, :-1], words[:, 1:], word),
        (words, bits, g),
        (bits[:-1], bits[1:], bit),
        (bits[-1], amplifiers, bottom),
        (bits[0], amplifiers, top),
    ]
    parts = [tuple(map(np.ravel, np.broadcast_arrays(*part))) for part in parts]
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def solve(g, word, bit, left, right, bottom, top, drive, *, rounds=3):
    """The circuit, solved.

    Parameters
    ----------
    g : (R, C), devices, 0 to infinity, siemens
    word, bit : number, a wire between two cross-points, siemens; infinity is no resistance
    left, right : (R,), siemens from the first and from the last cross-point of a word line to its driver; 0 is open
    bottom, top : (C,), siemens from the last and from the first cross-point of a bit line to its sense amplifier
    drive : (B, R), volts
    rounds : corrections by the residual in extended precision

    Returns
    -------
    currents (B, C) into the sense amplifiers, word and bit line voltages (B, R, C), currents (B, R) of the drivers

    Raises
    ------
    ValueError
        If infinitely good conductors join two drivers or amplifiers.
    """
    from scipy import sparse
    from scipy.sparse import csgraph, linalg

    rows, columns = g.shape
    cells, n = rows * columns, 2 * rows * columns + rows + columns
    a, b, c = edges(g, word, bit, left, right, bottom, top)

    def groups(chosen):
        matrix = sparse.coo_matrix((np.ones(chosen.sum()), (a[chosen], b[chosen])), shape=(n, n))
        return csgraph.connected_components(matrix, directed=False)

    count, node = groups(np.isinf(c))
    ends = node[2 * cells :]
    if len(np.unique(ends)) != len(ends):
        raise ValueError("conductors without resistance join two drivers or sense amplifiers")
    _, island = groups(c > 0)  # what no driver or amplifier reaches stays at 0 V
    reached = np.zeros(count, bool)
    reached[node[np.isin(island, island[2 * cells :])]] = True
    finite = (c > 0) & np.isfinite(c) & (node[a] != node[b])
    a, b, c = node[a[finite]], node[b[finite]], c[finite]
    free = reached.copy()
    free[ends] = False

    def currents_out(v):  # (B, nodes), in the precision of v
        flow = c.astype(v.dtype) * (v[:, a] - v[:, b])
        out = np.zeros_like(v)
        for row, values in zip(out, flow, strict=True):
            np.add.at(row, a, values)
            np.subtract.at(row, b, values)
        return out

    voltages = np.zeros((len(drive), count), np.longdouble)
    voltages[:, ends[:rows]] = drive
    if free.any():
        laplacian = sparse.csc_matrix(
            (np.concatenate([c, c, -c, -c]), (np.concatenate([a, b, a, b]), np.concatenate([a, b, b, a]))),
            shape=(count, count),
        )[free][:, free]
        factor = linalg.splu(laplacian, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})
        for _ in range(1 + rounds):
            residual = -currents_out(voltages)[:, free]
            voltages[:, free] += factor.solve(residual.astype(float).T).T
    out = currents_out(voltages)
    by_node = voltages[:, node].astype(float)
    words, bits = (by_node[:, k * cells : (k + 1) * cells].reshape(-1, rows, columns) for k in (0, 1))
    into, supplied = -out[:, ends[rows:]], out[:, ends[:rows]]
    return into.astype(float, order="C"), words, bits, supplied.astype(float, order="C")
