"""Digital baselines: a systolic array and a roofline processor, with exact arithmetic and modelled time."""

from .roofline import Roofline, roofline_seconds
from .systolic import SystolicArray, scale_sim_cycles

__all__ = ["Roofline", "SystolicArray", "roofline_seconds", "scale_sim_cycles"]
