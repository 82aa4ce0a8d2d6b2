"""Spiking cores: integer neurons, event-driven engines, cores with limits, and the same cores inside Brian2."""

from .arithmetic import BRIAN2LOIHI, LOIHI1, Convention, encode_weights
from .chip import SpikingChip
from .cores import CoreLimits
from .meter import Seconds
from .truenorth import NeuronParameters, TrueNorthCoreProgram, TrueNorthProgram, TrueNorthRun, run_truenorth
from .truenorth_chip import TrueNorthChip

__all__ = [
    "BRIAN2LOIHI",
    "LOIHI1",
    "Convention",
    "CoreLimits",
    "LoihiCore",
    "NeuronParameters",
    "Seconds",
    "SpikingChip",
    "TrueNorthChip",
    "TrueNorthCoreProgram",
    "TrueNorthProgram",
    "TrueNorthRun",
    "encode_weights",
    "run_truenorth",
]


def __getattr__(name):
    # Brian2 takes seconds to import, so the class that needs it is made on first use.
    if name == "LoihiCore":
        from .brian import LoihiCore

        return LoihiCore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
