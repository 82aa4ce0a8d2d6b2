"""Analog crossbars: weights become conductances on tiles, codes become voltages, column currents become codes."""

from .averaged import Averaged
from .budget import NoiseBudget, noise_budget
from .cells import BitSliced, CellMapping, DifferentialPair, OffsetColumn
from .chip import CrossbarChip, ideal
from .compensation import (
    BatchNorm,
    ColumnAffine,
    ColumnGain,
    Compensation,
    NoCompensation,
    ReferenceColumns,
    TileGain,
)
from .converters import Adc, ColumnConverter, Dac, IdealAdc, IdealDac, RowDriver
from .inputs import Amplitude, BitSerial, InputScheme, PulseWidth
from .oracle import read_per_device
from .orders import BalancedRows, ExplicitRows, GivenRows, HeavyRows, RowOrder
from .programmed import ProgrammedChip, load_programmed, program
from .ranges import AdcRange, GivenRange, MinMaxRange, MseRange, PercentileRange
from .significance import Significance

__all__ = [
    "Adc",
    "AdcRange",
    "Amplitude",
    "Averaged",
    "BalancedRows",
    "BatchNorm",
    "BitSerial",
    "BitSliced",
    "CellMapping",
    "ColumnAffine",
    "ColumnConverter",
    "ColumnGain",
    "Compensation",
    "CrossbarChip",
    "Dac",
    "DifferentialPair",
    "ExplicitRows",
    "GivenRange",
    "GivenRows",
    "HeavyRows",
    "IdealAdc",
    "IdealDac",
    "InputScheme",
    "MinMaxRange",
    "MseRange",
    "NoCompensation",
    "NoiseBudget",
    "OffsetColumn",
    "PercentileRange",
    "ProgrammedChip",
    "PulseWidth",
    "ReferenceColumns",
    "RowDriver",
    "RowOrder",
    "Significance",
    "TileGain",
    "ideal",
    "load_programmed",
    "noise_budget",
    "program",
    "read_per_device",
]
