"""SAR converters: mismatched capacitors become a table of code edges. Enter a mismatch, leave edges.

A successive-approximation converter compares its input with sums of binary-weighted capacitors, from the largest down.
A capacitor of 2^i units is off by a relative sigma / sqrt(2^i), as the mean of 2^i units is. Every converter has a bank
of its own.

References
----------
.. [1] M. Saberi et al., "Analysis of power consumption and linearity in capacitive digital-to-analog converters used in
   successive approximation ADCs", IEEE Trans. Circuits Syst. I 58, 1736 (2011), doi:10.1109/TCSI.2011.2107214.
"""

from dataclasses import dataclass

import numpy as np

from .. import _checks
from .kinds import AdcKind


@dataclass(frozen=True)
class Sar(AdcKind):
    r"""Successive approximation with a binary-weighted bank of capacitors; `code_edges` has the equation [1]_.

    To first order the INL of transition k has the standard deviation sigma sqrt(k (2^n - k) / 2^n), sigma 2^(n/2) / 2
    in the middle, and the middle step sigma sqrt(2^n - 1).

    Parameters
    ----------
    capacitor_mismatch : float, 0 to 0.2
        sigma: relative standard deviation of a unit capacitor.

    Notes
    -----
    Every converter has a bank of its own. A conversion takes `bits` clock cycles, without the one that samples. Not
    modelled: settling, redundant bits, a split bank with a bridge capacitor, calibration of the bank.
    """

    capacitor_mismatch: float = 0.0

    def __post_init__(self):
        _checks.real(self.capacitor_mismatch, who="Sar", name="capacitor_mismatch", low=0.0, high=0.2)

    @property
    def uniform(self):
        return not self.capacitor_mismatch

    def cycles(self, bits):
        return bits

    def edges(self, bits, converters, generator, *, one_signed):
        return code_edges(generator.standard_normal((converters, bits + 1)), self.capacitor_mismatch)


def code_edges(normals: np.ndarray, unit_sigma: float) -> np.ndarray:
    r"""Inputs, in steps, at which a converter's code changes.

    .. math:: C_i = 2^i (1 + \sigma z_i / \sqrt{2^i}), \qquad
              V_k = 2^n \frac{\sum_{i \in k} C_i}{C_d + \sum_i C_i}, \qquad e_k = V_k - 2^{n-1} - 1/2

    with a dummy unit C_d that makes the bank 2^n units. The search decides bit after bit, so an edge of a lower bit
    that lies outside what the upper bits left is moved to the nearest of their edges: that code is missing, and codes
    never fall when the input rises. Without mismatch e_k = k - 2^{n-1} - 1/2, which is rounding to the nearest code.

    Parameters
    ----------
    normals : (converters, n + 1) array
        Standard normals: the dummy unit, then bits 0 ... n - 1.
    unit_sigma : float
        Relative standard deviation of a unit capacitor.

    Returns
    -------
    (converters, 2^n - 2) float64
        Edges into the codes -(2^(n-1) - 1) + 1 ... 2^(n-1) - 1, ascending. The code -2^(n-1) is not used.
    """
    converters, n = len(normals), normals.shape[1] - 1
    units = np.concatenate([[1.0], 2.0 ** np.arange(n)])
    bank = units + unit_sigma * np.sqrt(units) * normals
    volts = bank[:, 1:] * (2.0**n / bank.sum(axis=1, keepdims=True))
    edges = np.empty((converters, 1 << n))
    kept, low, high = np.zeros((converters, 1)), np.full((converters, 1), -np.inf), np.full((converters, 1), np.inf)
    for bit in range(n - 1, -1, -1):
        threshold = np.clip(kept + volts[:, bit, None], low, high)
        edges[:, 1 << bit :: 2 << bit] = threshold
        kept = _interleaved(kept, kept + volts[:, bit, None])
        low, high = _interleaved(low, threshold), _interleaved(threshold, high)
    return edges[:, 2:] - (2.0 ** (n - 1) + 0.5)


def codes_of(steps: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Codes of inputs (N, C) in steps, by converters whose edges are (C, 2 L): float64 within +-L."""
    limit = edges.shape[1] // 2
    codes = np.empty(steps.shape)
    for column, table in enumerate(edges):
        codes[:, column] = np.searchsorted(table, steps[:, column], side="right") - limit
    return codes


def _interleaved(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.stack([left, right], axis=2).reshape(len(left), -1)
