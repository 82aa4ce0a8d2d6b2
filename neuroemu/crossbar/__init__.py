"""Analog crossbars: weights become conductances on tiles, codes become voltages, column currents become codes."""

from .averaged import Averaged
from .budget import NoiseBudget, noise_budget
from .cells import BitSliced, CellMapping, DifferentialPair, OffsetColumn
from .chip import CrossbarChip, ideal
from .converters import Adc, ColumnConverter, Dac, IdealAdc, IdealDac, RowDriver
from .inputs import Amplitude, BitSerial, InputScheme, PulseWidth
from .oracle import read_per_device
from .orders import BalancedRows, ExplicitRows, GivenRows, HeavyRowsFirst, RowOrder
from .ranges import AdcRange, GivenRange, MinMaxRange, MseRange, PercentileRange
from .significance import Significance

__all__ = [
    "Adc",
    "AdcRange",
    "Amplitude",
    "Averaged",
    "BalancedRows",
    "BitSerial",
    "BitSliced",
    "CellMapping",
    "ColumnConverter",
    "CrossbarChip",
    "Dac",
    "DifferentialPair",
    "ExplicitRows",
    "GivenRange",
    "GivenRows",
    "HeavyRowsFirst",
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
    "RowOrder",
    "Significance",
    "ideal",
    "noise_budget",
    "read_per_device",
]
