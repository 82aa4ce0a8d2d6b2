"""Pulse schemes of write-verify: what one pulse does to a cell that is still open.

Iterative          G <- a new draw of the device around the target
IncrementalPulses  G <- G + step (1 + c N)         when the verify read is below the target (SET)
                   G <- G - reset_step (1 + c N)   when it is above it (RESET), kept within g_min .. g_max
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, is_dataclass, replace

import numpy as np

from .. import _checks
from ..errors import InputError
from . import _parameters
from ._arrays import normals
from .base import Cells, Device
from .generic import Generic
from .read_noise import WithReadNoise


class PulseScheme(ABC):
    """Abstract: where cells start, and what a pulse does."""

    @abstractmethod
    def check(self, device: Device) -> None:
        """Refuse a device that the scheme cannot pulse."""

    @abstractmethod
    def start(self, device: Device, target: np.ndarray, generator: np.random.Generator) -> tuple[Cells, int]:
        """Cells before the first verify read, and how many pulses each has had: 0 or 1."""

    @abstractmethod
    def pulse(self, device: Device, cells: Cells, target, read, generator: np.random.Generator) -> Cells:
        """Cells after one more pulse each, given what was `read` of them (siemens)."""


@dataclass(frozen=True)
class Iterative(PulseScheme):
    """Each pulse is a new draw of the device's programming around the target: the usual statistical emulation.

    With max_pulses = 1 the cells are the device's own, bit for bit.

    Notes
    -----
    Not modelled: memory of the pulse before. A real loop corrects from where it is; see IncrementalPulses.
    """

    def check(self, device):
        """Any device will do."""

    def start(self, device, target, generator):
        return device.program(target, generator), 1

    def pulse(self, device, cells, target, read, generator):
        return device.program(target, generator)


@dataclass(frozen=True)
class IncrementalPulses(PulseScheme):
    """Cells start erased, at g_min exactly; SET pulses raise them in steps, RESET pulses answer an overshoot.

    The pulses replace the device's programming noise; its drift, relaxation and read noise stay. Without variation and
    read noise a cell takes ceil((target - g_min - tolerance) / step) pulses, provided that it does not overshoot.

    Parameters
    ----------
    step, reset_step : float, siemens, > 0
        Mean change by one SET and by one RESET pulse. A reset_step of g_max - g_min or more erases the cell.
    variation : float, >= 0
        Standard deviation of a change over its mean, drawn anew at each pulse (cycle to cycle).

    Raises
    ------
    InputError
        A number outside these limits; and, when a device is wrapped, one whose programming noise cannot be switched
        off: it needs `programming_noise` among its fields, or to be Generic, Ideal or one of these WithReadNoise.

    Notes
    -----
    A step above twice the tolerance may jump over the target for ever. Not modelled: steps that depend on the state,
    pulses that grow in height or length, differences between cells, a spread of the erased state.
    """

    step: float
    reset_step: float
    variation: float = 0.0

    def __post_init__(self):
        _parameters.positive(self.step, who="IncrementalPulses", name="step")
        _parameters.positive(self.reset_step, who="IncrementalPulses", name="reset_step")
        _checks.real(self.variation, who="IncrementalPulses", name="variation", low=0.0)

    def check(self, device):
        levels = np.linspace(device.g_min, device.g_max, 5)
        programmed = exact(device).program(levels, np.random.default_rng(0)).conductance
        if not np.array_equal(programmed, levels):
            raise InputError(
                f"IncrementalPulses: the programming noise of {type(device).__name__} cannot be switched off; use "
                "Iterative(), or give the device a field programming_noise"
            )

    def start(self, device, target, generator):
        return exact(device).program(np.full_like(target, device.g_min), generator), 0

    def pulse(self, device, cells, target, read, generator):
        size = 1 + self.variation * normals(generator, target.shape)
        moved = cells.conductance + np.where(read < target, self.step, -self.reset_step) * size
        return exact(device).program(np.clip(moved, device.g_min, device.g_max), generator)


def exact(device: Device) -> Device:
    """The device without programming noise, where it has a way to say so."""
    if isinstance(device, WithReadNoise):
        return replace(device, device=exact(device.device))
    if isinstance(device, Generic):
        return replace(device, noise=None)
    if is_dataclass(device) and "programming_noise" in {part.name for part in fields(device)}:
        return replace(device, programming_noise=False)
    return device
