"""Current over voltage of cells that are not ohmic, as a power series; and a cell given by such a series.

    I = G V + c_2(G) V^2 + c_3(G) V^3 + ...,   G the conductance at small voltage

A Device with a curve of its own says so in its field `iv`; without one (None) it is ohmic, I = G V. Crossbars take the
series into the column sums, for each row at the voltage that it is driven with.
"""

from dataclasses import dataclass

import numpy as np

from .. import _checks
from ..errors import InputError
from . import _parameters
from .base import CurrentVoltage, Device, Wrapper


@dataclass(frozen=True)
class Cubic(CurrentVoltage):
    """I = G (V + second V^2 + third V^3): the same shape at every conductance.

    Parameters
    ----------
    second : float, 1 / volt
    third : float, 1 / volt^2
    highest_volts : float, volts, > 0
        Largest magnitude of the voltage; up to there the current must rise with the voltage.

    Raises
    ------
    InputError
        A current that falls somewhere within +-highest_volts.
    """

    second: float
    third: float
    highest_volts: float
    powers = (2, 3)

    def __post_init__(self):
        _checks.real(self.second, who="Cubic", name="second")
        _checks.real(self.third, who="Cubic", name="third")
        high = _parameters.positive(self.highest_volts, who="Cubic", name="highest_volts")
        lowest = -self.second / (3 * self.third) if self.third else 0.0  # where the slope is extreme
        places = np.array([-high, high, min(max(lowest, -high), high)])
        slope = 1 + 2 * self.second * places + 3 * self.third * places**2
        if slope.min() < 0:
            raise InputError(
                f"Cubic: the current falls at {places[slope.argmin()]:.4g} V, within highest_volts {high:g}; lower "
                "highest_volts or the coefficients"
            )

    def coefficients(self, conductance):
        return self.second * conductance, self.third * conductance


@dataclass(frozen=True)
class CubicCell(Wrapper):
    """A device with a cubic I-V curve; programming, drift and read noise are the device's own.

    Parameters
    ----------
    device : Device
        Gives G, the conductance at small voltage. Its own curve must be ohmic.
    third, second : float, 1 / volt^2 and 1 / volt
        I = G (V + second V^2 + third V^3); below 0 the current saturates, above 0 it grows as that of a sinh.
    highest_volts : float, volts, > 0
        Largest read voltage of a crossbar with this cell.

    Raises
    ------
    InputError
        A current that falls within +-highest_volts, or a device with a curve already.
    """

    device: Device
    third: float
    second: float = 0.0
    highest_volts: float = 0.5

    def __post_init__(self):
        _checks.instance(self.device, Device, who="CubicCell", name="device")
        if self.device.iv is not None:
            raise InputError(f"CubicCell: {type(self.device).__name__} has an I-V curve of its own; use it as it is")
        self.iv  # noqa: B018 - checks the coefficients

    @property
    def iv(self):
        return Cubic(self.second, self.third, self.highest_volts)
