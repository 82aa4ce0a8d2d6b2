"""Converters: DAC and ADC as value objects, and the numbers that the kernel needs of them for one layer.

Units inside: a drive d is a whole number of DAC steps; a column sum is in weight-code times drive-step units, which is
proportional to the column current:  I = v_read / d_max * (g_max - g_min) / w_max * sum_r d_r w_r.
"""

from dataclasses import dataclass

import numpy as np

from .. import _checks


@dataclass(frozen=True)
class Dac:
    """Row driver: signed magnitude, 2^(bits-1) - 1 steps a polarity.

    Parameters
    ----------
    bits : int, 2 to 16, or None
        None drives every input code exactly. Otherwise codes that fit the steps pass unchanged, and wider ones are
        scaled so that the layer's largest possible input is full scale, then rounded.
    v_read : float, volts
        Read voltage at full scale.
    """

    bits: int | None = 8
    v_read: float = 0.2

    def __post_init__(self):
        if self.bits is not None:
            _checks.integer(self.bits, who="Dac", name="bits", low=2, high=16)
        _checks.real(self.v_read, who="Dac", name="v_read", low=1e-6, high=10.0)

    def scale(self, largest: int) -> float:
        """DAC steps per input code when inputs reach +-`largest`; 1 when nothing is lost."""
        if self.bits is None or largest <= self.limit:
            return 1.0
        return float(np.float32(self.limit / largest))

    @property
    def limit(self) -> int:
        """Largest number of steps."""
        return (1 << (self.bits - 1)) - 1 if self.bits is not None else 1 << 22


@dataclass(frozen=True)
class Adc:
    """Column converter: code = clip(round(I / step), +-(2^(bits-1) - 1)), one range per tile.

    Parameters
    ----------
    bits : int, 2 to 20, or None
        None passes column sums unchanged.
    full_scale : float, amperes, or None
        Current of the largest code. None calibrates it, tile by tile, on the network's samples.
    percentile : float, 50 to 100
        Share of the sampled column currents, in %, that a calibrated range covers.
    noise : float, steps
        Standard deviation of the converter's own noise, fresh at each conversion.
    """

    bits: int | None = 8
    full_scale: float | None = None
    percentile: float = 99.99
    noise: float = 0.0

    def __post_init__(self):
        if self.bits is not None:
            _checks.integer(self.bits, who="Adc", name="bits", low=2, high=20)
        if self.full_scale is not None:
            _checks.real(self.full_scale, who="Adc", name="full_scale", low=1e-15)
        _checks.real(self.percentile, who="Adc", name="percentile", low=50.0, high=100.0)
        _checks.real(self.noise, who="Adc", name="noise", low=0.0)

    @property
    def limit(self) -> int:
        """Largest code."""
        return (1 << (self.bits - 1)) - 1
