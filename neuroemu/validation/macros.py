"""Case V14: four compute-in-memory macros of SRAM, by two laws of the price lists: squares of voltages, and input bits.

One measured point of each macro gives the others by E ~ V^2 (`components.at_voltage`), or by one cycle of the array for
each bit of the input, as `crossbar.BitSerial` counts it. What each part of a macro spends is not modelled.
"""

from ..components import at_voltage
from ..energy import Cost
from .case import Case, within

READ_IN = "as in CiMLoop, github.com/mit-emze/cimloop, models/arch/1_macro"
JIA = f"Jia 2020 (JSSC), Tables I and II, {READ_IN}/jia_jssc_2020/_tests.py"
WANG = f"Wang 2022 (VLSI), Fig. 23, {READ_IN}/wang_vlsi_2022/_tests.py"
SINANGIL = f"Sinangil 2021 (JSSC), Fig. 13(b), {READ_IN}/sinangil_jssc_2021/_tests.py"
COLONNADE = f"Colonnade 2021 (JSSC), Fig. 16, {READ_IN}/colonnade_jssc_2021/_tests.py"
JIA_VOLTS = (0.85, 1.2)
JIA_PICOJOULES = {"converter": (1.79, 3.56), "column": (9.7, 20.4), "digital output": (8.3, 14.7)}  # JIA
WANG_TOPS_PER_WATT = {0.8: 22.590, 0.7: 31.998, 0.9: 18.439, 1.0: 16.376, 1.1: 15.467}  # WANG; the first is the input
SINANGIL_PICOJOULES = {  # SINANGIL; the first is the input
    0.8: 7.8125, 0.65: 5.109375, 0.7: 5.875, 0.75: 6.796875, 0.85: 9.03125, 0.9: 10.25, 0.95: 11.75, 1.0: 13.125,
}  # fmt: skip
COLONNADE_FEMTOJOULES = {4: (105.2708593, 423.4320763), 8: (144.3500315, 1169.653111), 16: (243.1891829, 3995.183881)}
COLONNADE_8_BITS = {0.8: 144.3500315, 0.6: 36.83598758}  # fJ a MAC, 1-bit inputs, 8-bit weights; COLONNADE, V: fJ


def _scaled(joules: float, volts: float, to: float, source: str) -> float:
    cost = Cost(
        event="mac", value=joules, kind="average", device="macro", source=source, evidence="silicon", part="compute",
        voltage=volts,
    )  # fmt: skip
    return at_voltage(cost, to).value


def _case(title: str, published: float, ours: float, source: str, *, unit: str = "J", given: str, note: str = ""):
    return Case(
        number="V14", title=title, unit=unit, published=published, ours=ours, tolerance=within(0.07), proof="held out",
        source=source, reading="quoted", same_paper=given, free_parameters=1, note=note,
    )  # fmt: skip


def _curve(name: str, found: dict[float, float], unit: float, source: str, note: str = "") -> list[Case]:
    (volts, first), *rest = found.items()
    return [
        _case(
            f"{name} at {to:g} V from {volts:g} V", value * unit, _scaled(first * unit, volts, to, source), source,
            given=f"its energy at {volts:g} V", note=note,
        )
        for to, value in rest
    ]  # fmt: skip


def cases() -> list[Case]:
    """V14."""
    found = []
    for part, (low, high) in JIA_PICOJOULES.items():
        points = dict(zip(JIA_VOLTS, (low, high), strict=True))
        found += _curve(f"Jia, {part}", points, 1e-12, JIA, "each part by the same law, digital logic included")
    joules = {volts: 1 / tops for volts, tops in WANG_TOPS_PER_WATT.items()}
    found += _curve("Wang, an operation", joules, 1e-12, WANG, "changes less with the supply than its square")
    found += _curve("Sinangil, a product, largest values", SINANGIL_PICOJOULES, 1e-12, SINANGIL)
    found += [
        _case(
            f"Colonnade, {bits} x {bits} bits at 0.8 V from 1 x {bits} bits", both * 1e-15, bits * one * 1e-15,
            COLONNADE, given=f"its energy with inputs of 1 bit and weights of {bits}",
        )
        for bits, (one, both) in COLONNADE_FEMTOJOULES.items()
    ]  # fmt: skip
    steep = "digital, and steeper than the square towards low supplies; clocked at 100 MHz throughout"
    return found + _curve("Colonnade, 1 x 8 bits", COLONNADE_8_BITS, 1e-15, COLONNADE, steep)
