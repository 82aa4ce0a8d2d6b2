"""Network in, Network out: fold, equalize, quantize, prune, calibrate, to_spiking, to_truenorth. Pure functions."""

from .calibration import Entropy, MinMax, Mse, Percentile
from .equalize import Pair, equalize, layer_pairs
from .fold import fold
from .grouping import group_channels
from .prune import prune
from .quantize import calibrate, quantize
from .spiking import to_spiking
from .truenorth import to_truenorth

__all__ = [
    "Entropy",
    "MinMax",
    "Mse",
    "Pair",
    "Percentile",
    "calibrate",
    "equalize",
    "fold",
    "group_channels",
    "layer_pairs",
    "prune",
    "quantize",
    "to_spiking",
    "to_truenorth",
]
