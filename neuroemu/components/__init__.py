"""Prices of components by node, size and precision: converters, arithmetic, memories, links. Each returns a Cost.

Put them into a `CostTable` of your own machine. Every price names its source; what was only remembered is left out:
the area of arithmetic at 45 nm, 1 MB SRAM at 45 nm, SRAM at 7 nm, GDDR6.
"""

from .adc import AdcModel, Andrulis, LinearBits, PowerOfTwo, SaberiTable, SurveyEnvelope, adc_energy
from .arithmetic import OPERATIONS, operation_energy
from .cells import CELL_HEAT, PCM_WRITE, RRAM_WRITE
from .converters import SAMPLE_AND_HOLD, SHIFT_ADD, dac_energy
from .isaac import ISAAC_PERIPHERY
from .links import BUS_BIT, CHIP_LINK, HYPERTRANSPORT, MESH_HOP_BIT, ROUTER_FLIT, SPIKE_HOP
from .memory import DRAM, EDRAM, HBM, SRAM, sram_read
from .scaling import at_voltage, energy_factor, scaled

__all__ = [
    "BUS_BIT",
    "CELL_HEAT",
    "CHIP_LINK",
    "DRAM",
    "EDRAM",
    "HBM",
    "HYPERTRANSPORT",
    "ISAAC_PERIPHERY",
    "MESH_HOP_BIT",
    "OPERATIONS",
    "PCM_WRITE",
    "ROUTER_FLIT",
    "RRAM_WRITE",
    "SAMPLE_AND_HOLD",
    "SHIFT_ADD",
    "SPIKE_HOP",
    "SRAM",
    "AdcModel",
    "Andrulis",
    "LinearBits",
    "PowerOfTwo",
    "SaberiTable",
    "SurveyEnvelope",
    "adc_energy",
    "at_voltage",
    "dac_energy",
    "energy_factor",
    "operation_energy",
    "scaled",
    "sram_read",
]
