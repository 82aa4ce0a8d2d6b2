"""Analog crossbars: weights become conductances on tiles, codes become voltages, column currents become codes."""

from .budget import NoiseBudget, noise_budget
from .cells import Averaged, BitSliced, CellMapping, DifferentialPair, OffsetColumn
from .chip import CrossbarChip, ideal
from .conduction import Conduction, IvTable, Ohmic, Resistor, Selector, Series, Sinh, Transistor
from .converters import Adc, ColumnConverter, Dac, IdealAdc, IdealDac, RowDriver
from .inputs import Amplitude, BitSerial, InputScheme, PulseWidth
from .oracle import read_per_device
from .ranges import AdcRange, GivenRange, MinMaxRange, MseRange, PercentileRange
from .solution import Solution
from .wires import Wires, solve, transfer

__all__ = [
    "Adc",
    "AdcRange",
    "Amplitude",
    "Averaged",
    "BitSerial",
    "BitSliced",
    "CellMapping",
    "ColumnConverter",
    "Conduction",
    "CrossbarChip",
    "Dac",
    "DifferentialPair",
    "GivenRange",
    "IdealAdc",
    "IdealDac",
    "InputScheme",
    "IvTable",
    "MinMaxRange",
    "MseRange",
    "NoiseBudget",
    "OffsetColumn",
    "Ohmic",
    "PercentileRange",
    "PulseWidth",
    "Resistor",
    "RowDriver",
    "Selector",
    "Series",
    "Sinh",
    "Solution",
    "Transistor",
    "Wires",
    "ideal",
    "noise_budget",
    "read_per_device",
    "solve",
    "transfer",
]
