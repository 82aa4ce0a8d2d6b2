"""ISAAC-CE beside its crossbars: the registers, memory and wires that the chip's price list leaves out, and all areas.

A part draws its power all the time that its tile works; by the cycle of 100 ns that is a price, watts x 100 ns, one
event for each part and cycle. A product of 16-bit operands takes 16 cycles. ISAAC was a model, never silicon.

Reference: A. Shafiee et al., ISCA 2016, doi:10.1109/ISCA.2016.12, Table I (version of October 2016), 32 nm.
"""

from dataclasses import dataclass

from ..energy import Cost, CostTable
from .links import HYPERTRANSPORT

SOURCE = "Shafiee 2016, doi:10.1109/ISCA.2016.12, Table I (version of October 2016)"
CYCLE = 100e-9  # s, SOURCE
CYCLES = 16  # of one product of 16-bit operands, one input bit each; SOURCE
DEPTH = 22  # cycles from fetching the inputs of such a product to storing its result; Shafiee 2016, text
WAY = DEPTH - CYCLES  # of these, without a read: fetching, converting the last bit, adding, activation, storing
UNITS, TILES = 12, 168  # in-situ multiply-accumulate units of a tile, tiles of a chip; SOURCE
ARRAYS = 8  # crossbars of a unit; SOURCE
CHIP_MM2 = 85.4  # SOURCE
LINKS_MM2 = 22.88  # of the links to other chips; puma-simulator, include/constants.py, which took it over
MACS = 8 * 128 * (128 * 2 // 16)  # of a unit in CYCLES: 8 arrays of 128 rows and 128 columns of 2 bits, 16-bit weights


@dataclass(frozen=True)
class Part:
    """One row of the table: watts of all of them in one unit or one tile."""

    name: str
    watts: float
    part: str


UNIT_PARTS = (
    Part("input_register", 1.24e-3, "memory"),
    Part("output_register", 0.23e-3, "memory"),
)
TILE_PARTS = (
    Part("edram", 20.7e-3, "memory"),
    Part("bus", 7e-3, "network"),
    Part("router", 42e-3 / 4, "network"),  # shared by four tiles
    Part("sigmoid", 0.52e-3, "compute"),
    Part("tile_shift_add", 0.05e-3, "compute"),
    Part("max_pool", 0.4e-3, "compute"),
    Part("tile_output_register", 1.68e-3, "memory"),
)
UNIT_MM2 = {  # SOURCE
    "adc": 0.0096,
    "dac": 0.00017,
    "sample_and_hold": 0.00004,
    "array": 0.0002,
    "shift_add": 0.00024,
    "input_register": 0.0021,
    "output_register": 0.00077,
}
TILE_MM2 = {"edram": 0.083, "bus": 0.090, "router": 0.151 / 4, "tile_output_register": 0.0032}  # SOURCE


def _cost(part: Part) -> Cost:
    return Cost(
        event=f"{part.name}_cycle",
        value=part.watts * CYCLE,
        kind="marginal",
        device="ISAAC-CE",
        source=SOURCE,
        evidence="model",
        part=part.part,
        node_nm=32,
        note="busy in every cycle of its tile",
    )


ISAAC_PERIPHERY = CostTable(costs=(*map(_cost, UNIT_PARTS), *map(_cost, TILE_PARTS), HYPERTRANSPORT))


def tile_mm2() -> float:
    """Area of a tile, mm2; digital parts without a stated area left out."""
    return UNITS * sum(UNIT_MM2.values()) + sum(TILE_MM2.values())
