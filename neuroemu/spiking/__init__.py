"""Spiking cores: integer neurons, event-driven engines, cores with limits, and the same cores inside Brian2."""

from .activity import PopulationActivity, SpikeStatistics, spike_statistics
from .arithmetic import BRIAN2LOIHI, LAVA, LOIHI1, LOIHI2, NENGO, Convention, encode_weights
from .boards import Board, board
from .brian_float import BrianNetwork, to_brian2
from .chip import SpikingChip
from .compiling import program_inputs, program_of
from .core_report import CoreLayer, CoreReport, Rounded, core_report, spike_agreement
from .cores import CoreLimits
from .discretize import to_integer_core
from .graded_chip import GradedChip
from .graded_cores import GradedLimits
from .graded_record import PopulationCounts
from .graded_run import GradedRun
from .meter import Seconds
from .placers import FewestHops, Placer, RowByRow
from .program import Compartments, Dendrite, InputAxons, LoihiProgram, Noise, SharedKernel, Synapses
from .program_placement import ProgramPlacement, place_program
from .program_run import LoihiRun, run_loihi
from .ranges import LayerRange, RangeCheck, check_range
from .shifting import LayerShift, ShiftCheck, check_shift
from .sigma_delta import run_frames
from .steps import StepsCurve, Stopped, calibrate_stop, steps_curve
from .stopping import StopWhenSure
from .timing import MessageSeconds, step_seconds
from .traffic import Links, spike_counts
from .truenorth import NeuronParameters, TrueNorthCoreProgram, TrueNorthProgram, TrueNorthRun, run_truenorth
from .truenorth_chip import TrueNorthChip

__all__ = [
    "BRIAN2LOIHI",
    "LAVA",
    "LOIHI1",
    "LOIHI2",
    "NENGO",
    "Board",
    "BrianNetwork",
    "Compartments",
    "Convention",
    "CoreLayer",
    "CoreLimits",
    "CoreReport",
    "Dendrite",
    "FewestHops",
    "GradedChip",
    "GradedLimits",
    "GradedRun",
    "InputAxons",
    "LayerRange",
    "LayerShift",
    "Links",
    "LoihiCore",
    "LoihiProgram",
    "LoihiRun",
    "MessageSeconds",
    "NeuronParameters",
    "Noise",
    "Placer",
    "PopulationActivity",
    "PopulationCounts",
    "ProgramPlacement",
    "RangeCheck",
    "Rounded",
    "RowByRow",
    "Seconds",
    "SharedKernel",
    "ShiftCheck",
    "SpikeStatistics",
    "SpikingChip",
    "StepsCurve",
    "StopWhenSure",
    "Stopped",
    "Synapses",
    "TrueNorthChip",
    "TrueNorthCore",
    "TrueNorthCoreProgram",
    "TrueNorthProgram",
    "TrueNorthRun",
    "board",
    "calibrate_stop",
    "check_range",
    "check_shift",
    "core_report",
    "encode_weights",
    "place_program",
    "program_inputs",
    "program_of",
    "run_frames",
    "run_loihi",
    "run_truenorth",
    "spike_agreement",
    "spike_counts",
    "spike_statistics",
    "step_seconds",
    "steps_curve",
    "to_brian2",
    "to_integer_core",
]


def __getattr__(name):
    # Brian2 takes seconds to import, so the classes that need it are made on first use.
    if name == "LoihiCore":
        from .brian import LoihiCore

        return LoihiCore
    if name == "TrueNorthCore":
        from .brian_truenorth import TrueNorthCore

        return TrueNorthCore
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
