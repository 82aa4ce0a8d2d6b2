"""Network in, Network out: fold, quantize, prune, calibrate, to_spiking. Pure functions, nothing in place."""

from .calibration import MinMax, Percentile
from .fold import fold
from .prune import prune
from .quantize import calibrate, quantize
from .spiking import to_spiking

__all__ = ["MinMax", "Percentile", "calibrate", "fold", "prune", "quantize", "to_spiking"]
