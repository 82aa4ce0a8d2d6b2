"""Cell physics: what a memory cell holds after programming, how it drifts, and how noisy it reads.

Conductances are in siemens, times in absolute seconds since programming.
"""

from .base import Cells, Device, ReadShares
from .ideal import Ideal
from .pcm import HermesPcm, Pcm

__all__ = ["Cells", "Device", "HermesPcm", "Ideal", "Pcm", "ReadShares"]
