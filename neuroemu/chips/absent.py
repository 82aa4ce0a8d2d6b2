"""Machines without a preset: what each lacks, and what may stand for it. `chips.NAME` of one of them says so."""

from types import MappingProxyType

ABSENT = MappingProxyType({
    "ODIN": "its cores are not emulated; its prices are chips.odin_costs(clock_hz)",
    "SPINNAKER2": "programs of its processors are not emulated; prices of its test chip are chips.SPINNAKER2_COSTS",
    "SPINNAKER": "programs of its processors are not emulated; crosswalk.KERAS_SPIKING has two prices of it",
    "FINN": "binary networks; of its power only 'less than 25 W' for a whole system was read; use chips.KV260",
    "BRAINWAVE": "its number format, msfp8, is not emulated; use chips.KV260",
    "MYTHIC": "only rates and watts of product pages are public, without an operating point",
    "JETSON_XAVIER": "its memory bandwidth was not read in a source; use chips.JETSON_ORIN",
    "H200": "its energy a bit of memory and its idle power were not read in a source; use chips.H100",
    "LIGHTMATTER": "photonic products are not emulated",
})  # fmt: skip
