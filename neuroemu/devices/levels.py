"""Few levels and a small window: what a cell cannot be told apart. Enter a device; leaves one with less to offer."""

from dataclasses import dataclass, fields, is_dataclass, replace

import numpy as np

from .. import _checks
from ..errors import InputError
from . import _parameters
from .base import Device, Wrapper


@dataclass(frozen=True)
class Levels(Wrapper):
    """A device that is programmed to the nearest of a few conductances; all else is the device's own.

    Parameters
    ----------
    device : Device
    levels : int, 2 to 65536
        Conductances from g_min to g_max, both included.
    spacing : {"linear", "logarithmic"}
        "linear": equal steps of G. "logarithmic": equal ratios, which needs g_min above 0.

    Raises
    ------
    ArgumentTypeError, InputError
        Something outside these limits.

    Notes
    -----
    Nearest is by conductance with both spacings. Weights stay what they are: their codes meet the levels of cells only
    where their number allows it, as 2 b-bit magnitudes on 2^b levels. Wrap WriteVerified inside, which then verifies
    against the level.
    """

    device: Device
    levels: int = 16
    spacing: str = "linear"

    def __post_init__(self):
        _checks.instance(self.device, Device, who="Levels", name="device")
        _checks.integer(self.levels, who="Levels", name="levels", low=2, high=1 << 16)
        _checks.choice(self.spacing, ("linear", "logarithmic"), who="Levels", name="spacing")
        if self.spacing == "logarithmic" and self.g_min <= 0:
            raise InputError("Levels: g_min is 0 S, which no ratio reaches; use spacing='linear' or with_on_off_ratio")

    @property
    def values(self) -> np.ndarray:
        """(levels,) conductances, siemens."""
        space = np.linspace if self.spacing == "linear" else np.geomspace
        return space(self.g_min, self.g_max, self.levels)

    def program(self, target, generator):
        target, values = _parameters.target(self, target), self.values
        return self.device.program(values[np.searchsorted((values[1:] + values[:-1]) / 2, target)], generator)


def with_on_off_ratio(device: Device, ratio: float) -> Device:
    """The device with g_min = g_max / ratio; of a device round another, the one inside.

    Parameters
    ----------
    device : Device
        With a field `g_min`, or round one that has it.
    ratio : float, > 1

    Returns
    -------
    Device

    Raises
    ------
    ArgumentTypeError, InputError
        No Device, one whose g_min is not a field, a ratio of 1 or less, or one that the device's measurements exclude.
    """
    who = "with_on_off_ratio"
    _checks.instance(device, Device, who=who, name="device")
    if _checks.real(ratio, who=who, name="ratio") <= 1:
        raise InputError(f"{who}: ratio is {ratio:g}; it must be above 1")
    names = {part.name for part in fields(device)} if is_dataclass(device) else set()
    if "g_min" in names:
        return replace(device, g_min=device.g_max / ratio)
    if "device" in names:
        return replace(device, device=with_on_off_ratio(device.device, ratio))
    raise InputError(f"{who}: g_min of {type(device).__name__} cannot be set; it follows from its measurements")
