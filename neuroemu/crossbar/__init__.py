"""Analog crossbars: weights become conductances on tiles, codes become voltages, column currents become codes."""

from .budget import NoiseBudget, noise_budget
from .cells import Averaged, BitSliced, CellMapping, DifferentialPair, OffsetColumn
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
from .programmed import ProgrammedChip, load_programmed, program
from .ranges import AdcRange, GivenRange, MinMaxRange, MseRange, PercentileRange

__all__ = [
    "Adc",
    "AdcRange",
    "Amplitude",
    "Averaged",
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
    "GivenRange",
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
    "TileGain",
    "ideal",
    "load_programmed",
    "noise_budget",
    "program",
    "read_per_device",
]
