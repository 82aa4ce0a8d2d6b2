"""Network in, Network out: fold, equalize, quantize, prune, calibrate, to_spiking. Pure functions, nothing in place."""

from .balance import Balance, MaxBalance, MseBalance, PercentileBalance, QcfsBalance
from .calibration import Entropy, MinMax, Mse, Percentile
from .equalize import Pair, equalize, layer_pairs
from .fold import fold
from .pooling import AveragePooling, MaxPooling, OrPooling
from .prune import prune
from .quantize import calibrate, quantize
from .spiking import to_spiking

__all__ = [
    "AveragePooling",
    "Balance",
    "Entropy",
    "MaxBalance",
    "MaxPooling",
    "MinMax",
    "Mse",
    "MseBalance",
    "OrPooling",
    "Pair",
    "Percentile",
    "PercentileBalance",
    "QcfsBalance",
    "calibrate",
    "equalize",
    "fold",
    "layer_pairs",
    "prune",
    "quantize",
    "to_spiking",
]
