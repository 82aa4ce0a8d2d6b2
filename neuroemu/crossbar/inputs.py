"""Input schemes: how drive steps reach the rows. Whole drive steps enter, the planes of one input leave.

A plane is what the rows are driven with during one read; the digital side adds the planes' codes up with their weights.
Inputs of both signs are driven with both polarities in one read, or in two reads, a phase for each sign.

References
----------
.. [1] A. Shafiee et al., "ISAAC: a convolutional neural network accelerator with in-situ analog arithmetic in
   crossbars", ISCA 2016, doi:10.1109/ISCA.2016.12 (one bit of all inputs at a time, one conversion a bit).
.. [2] M. Le Gallo et al., "A 64-core mixed-signal in-memory compute chip based on phase-change memory for deep neural
   network inference", Nat. Electron. 6, 680 (2023), doi:10.1038/s41928-023-01010-1 (reads in one phase and in four).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from .. import _checks

SIGNS = ("polarity", "phases")


class InputScheme(ABC):
    """Abstract: how rows are driven. Final classes: Amplitude, PulseWidth, BitSerial."""

    holds_voltage = False  # whether every driven row sees the full read voltage, of either sign
    signs: str  # how inputs of both signs are told apart

    @property
    @abstractmethod
    def splits(self) -> bool:
        """Whether an input takes planes of whole drive steps."""

    @abstractmethod
    def planes(self, largest: int) -> int:
        """Reads of one input whose drive steps are within +-`largest`."""

    @abstractmethod
    def split(self, steps: np.ndarray, count: int) -> Iterator[np.ndarray]:
        """What planes 0 ... count - 1 drive, signed, of whole drive steps; float32 of the same shape."""

    @abstractmethod
    def weight(self, number: int) -> float:
        """Weight of plane `number` in the digital sum."""

    @abstractmethod
    def full_drive(self, largest: int) -> int:
        """Largest drive of one plane, in its own steps; it takes the full read voltage."""

    @property
    def phases(self) -> int:
        """Reads of one plane of the magnitude. Planes 0, 2, ... then carry positive inputs, 1, 3, ... negative ones."""
        return 2 if self.signs == "phases" else 1

    def of_layer(self, *, signed: bool) -> "InputScheme":
        """The scheme as a layer uses it: a phase for negative inputs only where there can be any."""
        return self if signed or self.phases == 1 else replace(self, signs="polarity")


@dataclass(frozen=True)
class _OneRead(InputScheme):
    """The drive itself, in one read or in one for each sign."""

    signs: str = "polarity"

    def __post_init__(self):
        _checks.choice(self.signs, SIGNS, who=type(self).__name__, name="signs")

    @property
    def splits(self):
        return self.phases == 2

    def planes(self, largest):
        return self.phases

    def split(self, steps, count):
        for number in range(count):
            yield steps if self.phases == 1 else np.maximum(steps if number == 0 else -steps, np.float32(0))

    def weight(self, number):
        return -1.0 if number else 1.0

    def full_drive(self, largest):
        return largest


@dataclass(frozen=True)
class Amplitude(_OneRead):
    """Rows are driven with a voltage proportional to the input: V = v_read d / d_max.

    Parameters
    ----------
    signs : {"polarity", "phases"}
        "polarity": negative inputs drive their rows with a negative voltage, in the same read. "phases": layers whose
        inputs can be negative are read twice, first with the positive inputs and then with the magnitudes of the
        negative ones; both reads are converted, and subtracted digitally:

            sum = ADC(sum_r max(d_r, 0) W_r) - ADC(sum_r max(-d_r, 0) W_r)

    Notes
    -----
    Chips without rows of both polarities read in phases; HERMES has a mode that takes one phase for each sign of input
    and weight, and one that takes all at once [2]_. Phases of the weights' signs are not modelled here. Ranges and
    compensation are computed on the phases, fresh noise is drawn for each, and currents of one sign
    (`OffsetColumn`) keep all codes. Each phase is a counted read of `CrossbarChip.read_event`, so the price and
    `read_seconds` must be those of one phase.
    """


@dataclass(frozen=True)
class PulseWidth(_OneRead):
    """Rows are driven with `v_read` for a time proportional to the input, and columns integrate the charge.

    The same sums as `Amplitude` on ohmic cells; other cells give their current at `v_read` all along. A current is the
    charge over the longest pulse. `CrossbarChip.read_seconds` holds the longest pulse.

    Parameters
    ----------
    signs : {"polarity", "phases"}
        As in `Amplitude`: both polarities of `v_read` in one read, or a read for each.

    Notes
    -----
    Not modelled: edges and jitter of the pulses, and read noise that averages out within a long pulse.
    """

    holds_voltage = True


@dataclass(frozen=True)
class BitSerial(InputScheme):
    """Planes of the magnitude, the lowest first: one read and one ADC conversion a plane, shifted and added digitally.

        |d| = sum_p 2^(p b) d_p,   0 <= d_p <= 2^b - 1,   sum = sum_p 2^(p b) ADC(sum_r sign(d_r) d_pr W_r)

    The scheme of ISAAC [1]_. A negative input drives its row with the opposite polarity in each plane. Read noise that
    lasts for an image or longer is shared by the planes of an input; the fresh share and the converter's noise are
    drawn for each plane. Planes that happen to be empty are read and counted too.

    Parameters
    ----------
    bits_per_step : int, 1 to 8
        b; a layer whose largest drive has n bits takes ceil(n / b) planes.
    signs : {"polarity", "phases"}
        As in `Amplitude`; in phases each plane is read for positive inputs, then for negative ones.
    """

    bits_per_step: int = 1
    signs: str = "polarity"
    splits = True

    def __post_init__(self):
        _checks.integer(self.bits_per_step, who="BitSerial", name="bits_per_step", low=1, high=8)
        _checks.choice(self.signs, SIGNS, who="BitSerial", name="signs")

    @property
    def holds_voltage(self):
        return self.bits_per_step == 1

    def planes(self, largest):
        return self.phases * max(1, -(-int(largest).bit_length() // self.bits_per_step))

    def split(self, steps, count):
        magnitude, signed = np.abs(steps).astype(np.int32), steps.min(initial=0) < 0
        for number in range(count):
            digit = magnitude >> (self.bits_per_step * (number // self.phases))
            digit &= (1 << self.bits_per_step) - 1
            plane = digit.astype(np.float32)
            if self.phases == 2:
                yield plane * (steps < 0 if number % 2 else steps > 0)
            else:
                yield np.copysign(plane, steps) if signed else plane

    def weight(self, number):
        plane, negative = divmod(number, self.phases)
        return float(1 << (self.bits_per_step * plane)) * (-1.0 if negative else 1.0)

    def full_drive(self, largest):
        return (1 << self.bits_per_step) - 1
