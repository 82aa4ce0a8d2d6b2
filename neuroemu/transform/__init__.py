"""Network in, Network out: fold, equalize, quantize, prune, to_spiking, to_sigma_delta. Pure, nothing in place."""

from .calibration import Entropy, MinMax, Mse, Percentile
from .equalize import Pair, equalize, layer_pairs
from .fold import fold
from .graded import to_graded
from .prune import prune
from .quantize import calibrate, quantize
from .sigma_delta import to_sigma_delta
from .spiking import to_spiking

__all__ = [
    "Entropy",
    "MinMax",
    "Mse",
    "Pair",
    "Percentile",
    "calibrate",
    "equalize",
    "fold",
    "layer_pairs",
    "prune",
    "quantize",
    "to_graded",
    "to_sigma_delta",
    "to_spiking",
]
