"""Flash converters: a comparator for every transition. Enter mismatches, leave edges as a ones counter sorts them.

A ladder of 2^bits resistors gives the reference of each of 2^bits - 1 comparators, and the code is the number of
comparators whose reference is below the input. Where offsets put references out of order, the thermometer code has a
bubble; counting the ones gives the code that the sorted references would give.

References
----------
.. [1] M. J. M. Pelgrom, "Analog-to-Digital Conversion", 2nd ed., Springer 2013 (resistor ladders, flash converters).
"""

from dataclasses import dataclass

import numpy as np

from .. import _checks
from .kinds import AdcKind, from_transitions


@dataclass(frozen=True)
class Flash(AdcKind):
    r"""Flash converter: resistor ladder, comparators with offsets of their own, and a ones counter [1]_.

    .. math:: T_k = 2^n \frac{\sum_{i \le k} R_i}{\sum_i R_i} + \sigma_c z_k, \qquad R_i = 1 + \sigma_R z'_i

    The edges are the sorted T_k. To first order the ladder's share of the INL has the standard deviation
    sigma_R sqrt(k (2^n - k) / 2^n): a sum of k parts, the ends held. Two neighbouring references are out of order with
    probability Phi(-1 / (sqrt(2) sigma_c)).

    Parameters
    ----------
    resistor_mismatch : float, 0 to 0.2
        sigma_R: relative standard deviation of one resistor.
    comparator_offset : float, steps, >= 0
        sigma_c: standard deviation of a comparator's offset.

    Notes
    -----
    Every converter has a ladder of its own. A conversion takes one clock cycle. Not modelled: comparator noise other
    than `Adc.noise`, which is common to the comparators of a conversion; metastability; current drawn from the ladder;
    encoders that turn a bubble into a gross error.
    """

    resistor_mismatch: float = 0.0
    comparator_offset: float = 0.0

    def __post_init__(self):
        _checks.real(self.resistor_mismatch, who="Flash", name="resistor_mismatch", low=0.0, high=0.2)
        _checks.real(self.comparator_offset, who="Flash", name="comparator_offset", low=0.0)

    @property
    def uniform(self):
        return not (self.resistor_mismatch or self.comparator_offset)

    def cycles(self, bits):
        return 1

    def edges(self, bits, converters, generator, *, one_signed):
        return from_transitions(np.sort(self.references(bits, converters, generator), axis=1), bits)

    def references(self, bits: int, converters: int, generator: np.random.Generator) -> np.ndarray:
        """T_k of each comparator, not sorted: (converters, 2^bits - 1), steps from the bottom of the range."""
        count = 1 << bits
        ladder = np.cumsum(1.0 + self.resistor_mismatch * generator.standard_normal((converters, count)), axis=1)
        taps = ladder[:, :-1] * (count / ladder[:, -1:])
        return taps + self.comparator_offset * generator.standard_normal(taps.shape)
