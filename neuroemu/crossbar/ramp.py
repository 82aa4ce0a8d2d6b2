"""Ramp converters: one slope for all columns of a tile. Enter a bow and its spread, leave edges alike in all columns.

A counter runs while a voltage rises; each column's comparator stops at the count at which the ramp passes its input.
What is wrong with the ramp is wrong in all columns of the tile in the same way, so that it does not average out between
them; what is wrong with a comparator is one column's own.

References
----------
.. [1] T. P. Xiao et al., "Analog architectures for neural network acceleration based on non-volatile memory", Appl.
   Phys. Rev. 7, 031301 (2020), doi:10.1063/1.5143815 (ramp converters of crossbars).
"""

from dataclasses import dataclass

import numpy as np

from .. import _checks
from .kinds import AdcKind, from_transitions


@dataclass(frozen=True)
class Ramp(AdcKind):
    r"""Single-slope converter; its ramp is shared by the columns of a tile [1]_.

    .. math:: V_k = (1 + \gamma) k + 4 b\, t_k (1 - t_k), \qquad t_k = k / 2^{bits}, \qquad k = 1 \ldots 2^{bits} - 1

    in steps from the bottom of the range: gamma is the relative error of the slope, b the bow in the middle.

    Parameters
    ----------
    bow : float, steps
        Mean of b over ramps; positive: the ramp rises fast and flattens, so that codes are too small.
    bow_spread : float, steps, >= 0
        Standard deviation of b over ramps. |b| is held at (1 + gamma) 2^bits / 4, where the ramp would turn back.
    slope_spread : float, 0 to 0.2
        Standard deviation of gamma over ramps.

    Notes
    -----
    The comparators are each converter's own: their offsets are `Adc.offset_spread`, their noise is `Adc.noise`. A
    conversion takes 2^bits clock cycles; all columns of a read that have a comparator of their own share them. Not
    modelled: jitter of the ramp's start, which would be noise common to the columns of a read; steps of a ramp that a
    DAC makes; the comparators' delay, which is an offset as long as the slope is constant.
    """

    bow: float = 0.0
    bow_spread: float = 0.0
    slope_spread: float = 0.0

    def __post_init__(self):
        _checks.real(self.bow, who="Ramp", name="bow")
        _checks.real(self.bow_spread, who="Ramp", name="bow_spread", low=0.0)
        _checks.real(self.slope_spread, who="Ramp", name="slope_spread", low=0.0, high=0.2)

    @property
    def uniform(self):
        return not (self.bow or self.bow_spread or self.slope_spread)

    def cycles(self, bits):
        return 1 << bits

    def edges(self, bits, converters, generator, *, one_signed):
        slope, bow = generator.standard_normal(2)
        slope = max(1.0 + self.slope_spread * slope, 0.01)
        steepest = slope * 2.0**bits / 4
        bow = np.clip(self.bow + self.bow_spread * bow, -steepest, steepest)
        k = np.arange(1.0, 1 << bits)
        t = k / (1 << bits)
        ramp = slope * k + 4.0 * bow * t * (1.0 - t)
        return np.repeat(from_transitions(ramp[None], bits), converters, axis=0)
