"""Analog crossbars: weights become conductances on tiles, codes become voltages, column currents become codes."""

from .averaged import Averaged
from .bit_slices import BitSliced
from .budget import NoiseBudget, noise_budget
from .cells import CellMapping, DifferentialPair, OffsetColumn
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
from .conduction import Conduction, IvTable, Ohmic, Resistor, Selector, Series, Sinh, Transistor
from .converters import Adc, ColumnConverter, Dac, IdealAdc, IdealDac, RowDriver
from .copies import BusiestFirst, Copies, GivenCopies, KeepUpWith, OneCopy
from .flash import Flash
from .inputs import Amplitude, BitSerial, InputScheme, PulseWidth
from .ir_drop import IrDrop, ir_drop
from .kinds import AdcKind, Measured, Uniform
from .neurons import AnalogNeurons, DigitalNeurons, Neurons
from .oracle import read_per_device
from .orders import BalancedRows, ExplicitRows, GivenRows, HeavyRows, OccupiedRows, RowOrder
from .oscillator import Cco
from .passive import ReadMargin, Selection, read_margin, select
from .programmed import ProgrammedChip, load_programmed, program
from .ramp import Ramp
from .ranges import AdcRange, GivenRange, MinMaxRange, MseRange, PercentileRange
from .sar import Sar
from .schedules import LayerByLayer, LayerPipeline, RowPipeline, Schedule
from .significance import Significance
from .solution import Solution
from .wires import Wires, solve, transfer

__all__ = [
    "Adc",
    "AdcKind",
    "AdcRange",
    "Amplitude",
    "AnalogNeurons",
    "Averaged",
    "BalancedRows",
    "BatchNorm",
    "BitSerial",
    "BitSliced",
    "BusiestFirst",
    "Cco",
    "CellMapping",
    "ColumnAffine",
    "ColumnConverter",
    "ColumnGain",
    "Compensation",
    "Conduction",
    "Copies",
    "CrossbarChip",
    "Dac",
    "DifferentialPair",
    "DigitalNeurons",
    "ExplicitRows",
    "Flash",
    "GivenCopies",
    "GivenRange",
    "GivenRows",
    "HeavyRows",
    "IdealAdc",
    "IdealDac",
    "InputScheme",
    "IrDrop",
    "IvTable",
    "KeepUpWith",
    "LayerByLayer",
    "LayerPipeline",
    "Measured",
    "MinMaxRange",
    "MseRange",
    "Neurons",
    "NoCompensation",
    "NoiseBudget",
    "OccupiedRows",
    "OffsetColumn",
    "Ohmic",
    "OneCopy",
    "PercentileRange",
    "ProgrammedChip",
    "PulseWidth",
    "Ramp",
    "ReadMargin",
    "ReferenceColumns",
    "Resistor",
    "RowDriver",
    "RowOrder",
    "RowPipeline",
    "Sar",
    "Schedule",
    "Selection",
    "Selector",
    "Series",
    "Significance",
    "Sinh",
    "Solution",
    "TileGain",
    "Transistor",
    "Uniform",
    "Wires",
    "ideal",
    "ir_drop",
    "load_programmed",
    "noise_budget",
    "program",
    "read_margin",
    "read_per_device",
    "select",
    "solve",
    "transfer",
]
