r"""Drivers: errors of the row drivers of one layer on one chip. Enter a Dac and a key, leave tables of drives.

Every row of every row tile has a driver of its own, which the arrays side by side in that row tile share. A driver of n
steps a polarity turns on k of its n equal elements for a drive of k, and the same ones for -k with the other polarity.
Elements differ, relatively, by a standard deviation sigma_u, so that

.. math::
    D(k) = k + \sigma_u \left(\sum_{i \le k} z_i - \frac{k}{n} \sum_{i \le n} z_i\right), \qquad D(-k) = -D(k), \qquad
    \mathrm{std}\,D(k) = \sigma_u \sqrt{k (n - k) / n}

to first order in sigma_u: a Brownian bridge, zero at both ends, as the full scale is trimmed to the read voltage [1]_.

References
----------
.. [1] M. Heydenreich, R. van der Hofstad and G. Radulov, "Functionals of Brownian bridges arising in the current
   mismatch in D/A-converters", arXiv:math/0606584 (thermometer-coded converters).
"""

from dataclasses import dataclass

import numpy as np

from .. import _streams


@dataclass(frozen=True, eq=False)
class Drivers:
    """What the row drivers of a layer put out.

    Attributes
    ----------
    noise : float
        Standard deviation, in drive steps of a read, drawn for each driver and read.
    limit : int
        Largest drive F of a read, in its own steps.
    levels : (K, 2 F + 1) float32 or None
        Drive of each row for codes -F ... F; None: the codes themselves.
    """

    noise: float
    limit: int
    levels: np.ndarray | None


def drivers_of(dac, full_drive: int, rows: int, rows_per_tile: int, *, key: tuple[int, int, int]) -> Drivers | None:
    """Drivers of a layer with `rows` inputs; `key` is the (seed, trial, layer) of the chip. None where they are exact.

    A read drives up to `full_drive` steps: the DAC's own for amplitudes, fewer for planes. Noise is a voltage, so it is
    noise * full_drive / limit in steps of the read. Planes are driven by full_drive elements with the same sigma_u as
    the DAC's; a plane of one bit has one element, and no nonlinearity.
    """
    if dac.limit is None or not (dac.noise or dac.inl):
        return None
    seed, *rest = key
    levels = None
    if dac.inl and full_drive > 1:
        draws = [
            _streams.generator(seed, "dac", *rest, tile).standard_normal((min(rows_per_tile, rows - start), full_drive))
            for tile, start in enumerate(range(0, rows, rows_per_tile))
        ]
        levels = drive_levels(np.concatenate(draws), dac.element_sigma)
    return Drivers(dac.noise * full_drive / dac.limit, full_drive, levels)


def drive_levels(normals: np.ndarray, element_sigma: float) -> np.ndarray:
    """Drives (rows, 2 n + 1), float32, for codes -n ... n, of drivers whose elements deviate by normals (rows, n)."""
    n = normals.shape[1]
    walk = np.cumsum(normals, axis=1)
    k = np.arange(1, n + 1)
    upper = k + element_sigma * (walk - k / n * walk[:, -1:])
    return np.concatenate([-upper[:, ::-1], np.zeros((len(upper), 1)), upper], axis=1).astype(np.float32)
