"""The slow oracle: one read of one tile, device by device, in float64 and SI units: what the kernel stands for."""

import numpy as np

from .. import _checks
from ..errors import InputError


def read_per_device(
    g_plus: np.ndarray,
    g_minus: np.ndarray,
    voltages: np.ndarray,
    *,
    sigma_plus: np.ndarray | float = 0.0,
    sigma_minus: np.ndarray | float = 0.0,
    generator: np.random.Generator,
) -> np.ndarray:
    """Column currents of differential pairs, each device's read noise drawn anew for each read.

        I_bc = sum_r V_br [(G+_rc + s+_rc N) - (G-_rc + s-_rc N')]

    Parameters
    ----------
    g_plus, g_minus : (R, C) arrays, siemens, >= 0
    voltages : (B, R) array, volts
    sigma_plus, sigma_minus : (R, C) arrays or numbers, siemens
        Standard deviation of the conductance as read.
    generator : numpy Generator

    Returns
    -------
    (B, C) float64, amperes

    Raises
    ------
    InputError
        Shapes that do not agree, NaN, or a negative conductance.
    """
    plus = _checks.finite_array(g_plus, who="read_per_device", name="g_plus", dtype=np.float64, ndim=2)
    minus = _checks.finite_array(g_minus, who="read_per_device", name="g_minus", dtype=np.float64, ndim=2)
    volts = _checks.finite_array(voltages, who="read_per_device", name="voltages", dtype=np.float64, ndim=2)
    if plus.shape != minus.shape or volts.shape[1] != plus.shape[0]:
        raise InputError(
            f"read_per_device: g_plus {plus.shape}, g_minus {minus.shape} and voltages {volts.shape} do not agree; "
            "give (R, C), (R, C) and (B, R)"
        )
    if min(plus.min(initial=0), minus.min(initial=0)) < 0:
        raise InputError("read_per_device: a conductance is negative; give siemens >= 0")
    currents = np.empty((len(volts), plus.shape[1]))
    for b, drive in enumerate(volts):
        noisy = plus + sigma_plus * generator.standard_normal(plus.shape)
        noisy -= minus + sigma_minus * generator.standard_normal(plus.shape)
        currents[b] = drive @ noisy
    return currents
