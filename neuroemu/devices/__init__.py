"""Cell physics: what a memory cell holds after programming, how it drifts, and how noisy it reads.

Conductances are in siemens, times in absolute seconds since programming.
"""

from .base import Cells, CurrentVoltage, Device, ReadShares, Trap, Wrapper, stick
from .conduction import Cubic, CubicCell
from .disturb import HalfSelectDisturb
from .dynamic_cell import DynamicCell, Pulse, PulseGrowth, Spread
from .endurance import Endurance
from .fault_maps import Fault, fault_map
from .faults import Faulty
from .generic import Generic, LognormalNoise, NormalNoise, ProgrammingNoise, ProportionalNoise, UniformNoise
from .ideal import Ideal
from .levels import Levels, with_on_off_ratio
from .measured import MeasuredTable
from .pcm import HermesPcm, Pcm
from .pulses import IncrementalPulses, Iterative, PulseScheme
from .read_noise import FlickerNoise, ReadNoise, ShotNoise, ThermalNoise, WhiteNoise, WithReadNoise
from .repair import lines_replaced
from .report import ProgrammingReport, PulsedDevice, write_verify
from .reram_cmo import RramCmo
from .reram_milo import RramMilo2021
from .reram_wan import WAN_AIHWKIT, WAN_CROSSSIM, RramWan2022, WanFit
from .sonos import Sonos
from .telegraph import TelegraphNoise
from .update_table import UpdateTable, read_pulse_trace, read_update_table
from .verified import WriteVerified
from .yields import YieldCurve, yield_curve

__all__ = [
    "WAN_AIHWKIT",
    "WAN_CROSSSIM",
    "Cells",
    "Cubic",
    "CubicCell",
    "CurrentVoltage",
    "Device",
    "DynamicCell",
    "Endurance",
    "Fault",
    "Faulty",
    "FlickerNoise",
    "Generic",
    "HalfSelectDisturb",
    "HermesPcm",
    "Ideal",
    "IncrementalPulses",
    "Iterative",
    "Levels",
    "LognormalNoise",
    "MeasuredTable",
    "NormalNoise",
    "Pcm",
    "ProgrammingNoise",
    "ProgrammingReport",
    "ProportionalNoise",
    "Pulse",
    "PulseGrowth",
    "PulseScheme",
    "PulsedDevice",
    "ReadNoise",
    "ReadShares",
    "RramCmo",
    "RramMilo2021",
    "RramWan2022",
    "ShotNoise",
    "Sonos",
    "Spread",
    "TelegraphNoise",
    "ThermalNoise",
    "Trap",
    "UniformNoise",
    "UpdateTable",
    "WanFit",
    "WhiteNoise",
    "WithReadNoise",
    "Wrapper",
    "WriteVerified",
    "YieldCurve",
    "fault_map",
    "lines_replaced",
    "read_pulse_trace",
    "read_update_table",
    "stick",
    "with_on_off_ratio",
    "write_verify",
    "yield_curve",
]
