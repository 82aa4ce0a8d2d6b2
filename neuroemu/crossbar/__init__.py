"""Analog crossbars: weights become conductances on tiles, codes become voltages, column currents become codes."""

from .budget import NoiseBudget, noise_budget
from .cells import Averaged, BitSliced, CellMapping, DifferentialPair, OffsetColumn
from .chip import CrossbarChip, ideal
from .converters import Adc, ColumnConverter, Dac, IdealAdc, IdealDac, RowDriver
from .inputs import Amplitude, BitSerial, InputScheme, PulseWidth
from .oracle import read_per_device
from .ranges import AdcRange, GivenRange, MinMaxRange, MseRange, PercentileRange
from .wires import Solution, Wires, solve, transfer

__all__ = [
    "Adc",
    "AdcRange",
    "Amplitude",
    "Averaged",
    "BitSerial",
    "BitSliced",
    "CellMapping",
    "ColumnConverter",
    "CrossbarChip",
    "Dac",
    "DifferentialPair",
    "GivenRange",
    "IdealAdc",
    "IdealDac",
    "InputScheme",
    "MinMaxRange",
    "MseRange",
    "NoiseBudget",
    "OffsetColumn",
    "PercentileRange",
    "PulseWidth",
    "RowDriver",
    "Solution",
    "Wires",
    "ideal",
    "noise_budget",
    "read_per_device",
    "solve",
    "transfer",
]
