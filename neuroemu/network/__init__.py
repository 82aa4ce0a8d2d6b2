"""The model: what a network is, how it is computed in floating point and in integers, and how files become one."""

from . import neuron_steps, neurons, programs, spiking_programs
from .files import load, save
from .floating import run_float
from .graded import Delta, Programmed
from .graph import Network, sequential
from .grids import Grid
from .integer import run_integer
from .layers import (
    Add,
    AveragePool2d,
    BatchNorm,
    Clip,
    Concat,
    Conv2d,
    Dense,
    Encode,
    Flatten,
    GlobalAveragePool,
    Lif,
    MaxPool2d,
    Reshape,
    Scale,
    Softmax,
    SumPool2d,
    Transpose,
    relu,
    relu6,
)
from .stepping import run_spiking

__all__ = [
    "Add",
    "AveragePool2d",
    "BatchNorm",
    "Clip",
    "Concat",
    "Conv2d",
    "Delta",
    "Dense",
    "Encode",
    "Flatten",
    "GlobalAveragePool",
    "Grid",
    "Lif",
    "MaxPool2d",
    "Network",
    "Programmed",
    "Reshape",
    "Scale",
    "Softmax",
    "SumPool2d",
    "Transpose",
    "load",
    "neuron_steps",
    "neurons",
    "programs",
    "relu",
    "relu6",
    "run_float",
    "run_integer",
    "run_spiking",
    "save",
    "sequential",
    "spiking_programs",
]
