"""Input schemes: how drive steps reach the rows. Whole drive steps enter, the planes of one input leave.

A plane is what the rows are driven with during one read; the digital side adds the planes' codes up with their weights.

References
----------
.. [1] A. Shafiee et al., "ISAAC: a convolutional neural network accelerator with in-situ analog arithmetic in
   crossbars", ISCA 2016, doi:10.1109/ISCA.2016.12 (one bit of all inputs at a time, one conversion a bit).
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .. import _checks


class InputScheme(ABC):
    """Abstract: how rows are driven. Final classes: Amplitude, PulseWidth, BitSerial."""

    splits: bool  # whether an input takes planes of whole drive steps
    holds_voltage = False  # whether every driven row sees the full read voltage, of either sign

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


class _OneRead(InputScheme):
    """One plane: the drive itself."""

    splits = False

    def planes(self, largest):
        return 1

    def split(self, steps, count):
        yield steps

    def weight(self, number):
        return 1.0

    def full_drive(self, largest):
        return largest


@dataclass(frozen=True)
class Amplitude(_OneRead):
    """Rows are driven with a voltage proportional to the input: V = v_read d / d_max; one read an input."""


@dataclass(frozen=True)
class PulseWidth(_OneRead):
    """Rows are driven with `v_read` for a time proportional to the input, and columns integrate the charge.

    The same sums as `Amplitude` on ohmic cells; other cells give their current at `v_read` all along. A current is the
    charge over the longest pulse. `CrossbarChip.read_seconds` holds the longest pulse.

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
    """

    bits_per_step: int = 1
    splits = True

    def __post_init__(self):
        _checks.integer(self.bits_per_step, who="BitSerial", name="bits_per_step", low=1, high=8)

    @property
    def holds_voltage(self):
        return self.bits_per_step == 1

    def planes(self, largest):
        return max(1, -(-int(largest).bit_length() // self.bits_per_step))

    def split(self, steps, count):
        magnitude, signed = np.abs(steps).astype(np.int32), steps.min(initial=0) < 0
        for number in range(count):
            digit = magnitude >> (self.bits_per_step * number)
            digit &= (1 << self.bits_per_step) - 1
            plane = digit.astype(np.float32)
            yield np.copysign(plane, steps) if signed else plane

    def weight(self, number):
        return float(1 << (self.bits_per_step * number))

    def full_drive(self, largest):
        return (1 << self.bits_per_step) - 1
