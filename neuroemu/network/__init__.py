"""The model: what a network is, how it is computed in floating point and in integers, and how files become one."""

from . import neuron_steps, neurons
from .files import load, save
from .firing import Fire
from .floating import run_float
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
    "Dense",
    "Encode",
    "Fire",
    "Flatten",
    "GlobalAveragePool",
    "Grid",
    "Lif",
    "MaxPool2d",
    "Network",
    "Reshape",
    "Scale",
    "Softmax",
    "SumPool2d",
    "Transpose",
    "load",
    "neuron_steps",
    "neurons",
    "relu",
    "relu6",
    "run_float",
    "run_integer",
    "run_spiking",
    "save",
    "sequential",
]
