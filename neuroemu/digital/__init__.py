"""Digital baselines: a systolic array and a roofline processor, with exact arithmetic and modelled time."""

from .roofline import Roofline, roofline_seconds
from .scale_sim import Accesses, scale_sim_accesses, scale_sim_cycles
from .systolic import SystolicArray

__all__ = ["Accesses", "Roofline", "SystolicArray", "roofline_seconds", "scale_sim_accesses", "scale_sim_cycles"]
