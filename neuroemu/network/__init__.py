"""The model: what a network is, how it is computed in floating point and in integers, and how files become one."""

from . import neuron_steps, neurons, programs, spiking_programs
from .arrays import read_arrays
from .files import load, save
from .firing import Fire
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
from .named_weights import with_weights
from .stepping import SpikingRun, record_spiking, run_spiking
from .torch_reader import from_torch

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
    "Fire",
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
    "SpikingRun",
    "SumPool2d",
    "Transpose",
    "from_torch",
    "load",
    "neuron_steps",
    "neurons",
    "programs",
    "read_arrays",
    "record_spiking",
    "relu",
    "relu6",
    "run_float",
    "run_integer",
    "run_spiking",
    "save",
    "sequential",
    "spiking_programs",
    "with_weights",
]
