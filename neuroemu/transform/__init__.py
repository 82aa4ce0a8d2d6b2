"""Network in, Network out: fold, equalize, quantize, prune, calibrate, and the spiking forms. Pure functions."""

from .balance import Balance, MaxBalance, MseBalance, PercentileBalance, QcfsBalance
from .calibration import Entropy, MinMax, Mse, Percentile
from .criteria import Contribution, Magnitude
from .equalize import Pair, equalize, layer_pairs
from .fold import fold
from .freed import freed
from .graded import to_graded
from .grouping import group_channels
from .matching import matched_baseline
from .pooling import AveragePooling, MaxPooling, OrPooling
from .prune import prune
from .quantize import calibrate, quantize
from .reconstruct import LeastSquares
from .rounding import AdaRound, Gptq, Nearest
from .sigma_delta import to_sigma_delta
from .spiking import to_spiking
from .structures import Blocks, Channels, Rows, Weights
from .truenorth import to_truenorth
from .weights import Groups

__all__ = [
    "AdaRound",
    "AveragePooling",
    "Balance",
    "Blocks",
    "Channels",
    "Contribution",
    "Entropy",
    "Gptq",
    "Groups",
    "LeastSquares",
    "Magnitude",
    "MaxBalance",
    "MaxPooling",
    "MinMax",
    "Mse",
    "MseBalance",
    "Nearest",
    "OrPooling",
    "Pair",
    "Percentile",
    "PercentileBalance",
    "QcfsBalance",
    "Rows",
    "Weights",
    "calibrate",
    "equalize",
    "fold",
    "freed",
    "group_channels",
    "layer_pairs",
    "matched_baseline",
    "prune",
    "quantize",
    "to_graded",
    "to_sigma_delta",
    "to_spiking",
    "to_truenorth",
]
