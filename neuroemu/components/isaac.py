"""ISAAC-CE from its parts: the bottom-up table of a chip that was a model, never silicon.

Each part draws its power all the time that its tile works; by the cycle of 100 ns that is a price, watts x 100 ns, one
event for each part and cycle. A product of 16-bit operands takes 16 cycles.

Reference: A. Shafiee et al., ISCA 2016, doi:10.1109/ISCA.2016.12, Table I (version of October 2016), 32 nm.
"""

from dataclasses import dataclass

from ..energy import Cost, CostTable, Counts
from .links import HYPERTRANSPORT

SOURCE = "Shafiee 2016, doi:10.1109/ISCA.2016.12, Table I"
CYCLE = 100e-9  # s, SOURCE
CYCLES = 16  # of one product of 16-bit operands, one input bit each; SOURCE
UNITS, TILES = 12, 168  # in-situ multiply-accumulate units of a tile, tiles of a chip; SOURCE
CHIP_MM2 = 85.4  # SOURCE
MACS = 8 * 128 * (128 * 2 // 16)  # of a unit in CYCLES: 8 arrays of 128 rows and 128 columns of 2 bits, 16-bit weights


@dataclass(frozen=True)
class Part:
    """One row of the table; watts and mm2 are of all of them in one unit or tile. mm2 is 0 where none is stated."""

    name: str
    watts: float
    mm2: float
    part: str


UNIT_PARTS = (
    Part("adc", 16e-3, 0.0096, "converters"),  # 8 of 8 bits, 1.2 GS/s
    Part("dac", 4e-3, 0.00017, "converters"),  # 8 x 128 of 1 bit
    Part("sample_and_hold", 10e-6, 0.00004, "converters"),
    Part("array", 2.4e-3, 0.0002, "array"),  # 8 of 128 x 128 cells of 2 bits
    Part("shift_add", 0.2e-3, 0.00024, "compute"),
    Part("input_register", 1.24e-3, 0.0021, "memory"),
    Part("output_register", 0.23e-3, 0.00077, "memory"),
)
TILE_PARTS = (
    Part("edram", 20.7e-3, 0.083, "memory"),
    Part("bus", 7e-3, 0.090, "network"),
    Part("router", 42e-3 / 4, 0.151 / 4, "network"),  # shared by four tiles
    Part("sigmoid", 0.52e-3, 0.0, "compute"),
    Part("tile_shift_add", 0.05e-3, 0.0, "compute"),
    Part("max_pool", 0.4e-3, 0.0, "compute"),
    Part("tile_output_register", 1.68e-3, 0.0032, "memory"),
)


def _cost(part: Part) -> Cost:
    return Cost(
        event=f"{part.name}_cycle",
        value=part.watts * CYCLE,
        kind="average",
        device=f"ISAAC {part.name}",
        source=SOURCE,
        evidence="model",
        part=part.part,
        node_nm=32,
        ops_per_mac=2,
        note="busy in every cycle",
    )


ISAAC_PARTS = CostTable(
    costs=(*map(_cost, UNIT_PARTS), *map(_cost, TILE_PARTS), HYPERTRANSPORT),
    excludes=("programming the cells", "host and board"),
)


def busy_counts(cycles: int, tiles: int = TILES) -> Counts:
    """Events of `tiles` tiles that work for `cycles` cycles: one for each part and cycle."""
    events = {("chip", f"{part.name}_cycle"): tiles * UNITS * cycles for part in UNIT_PARTS}
    return Counts(events | {("chip", f"{part.name}_cycle"): tiles * cycles for part in TILE_PARTS})


def tile_mm2() -> float:
    """Area of a tile, mm2; digital parts without a stated area left out."""
    return UNITS * sum(part.mm2 for part in UNIT_PARTS) + sum(part.mm2 for part in TILE_PARTS)
