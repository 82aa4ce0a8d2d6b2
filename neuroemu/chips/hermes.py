"""HERMES: IBM's 64-core phase-change chip, 14 nm, 256 x 256 unit cells of 4 devices a core, 8-bit inputs and outputs.

Reference: M. Le Gallo et al., "A 64-core mixed-signal in-memory compute chip based on phase-change memory for deep
neural network inference", Nat. Electron. 6, 680 (2023), doi:10.1038/s41928-023-01010-1.

The two presets differ in read time and price only: one phase reads all signs of input and weight at once, four phases
read them one after the other. The lower precision of the one-phase read is not modelled. Copies of a layer, if wanted,
lie on cores that would else be idle; images then need routing that the published runs do not show.
"""

from dataclasses import replace

from ..area import Area
from ..crossbar import Adc, ColumnAffine, CrossbarChip, Dac, PercentileRange
from ..devices import HermesPcm
from .hermes_costs import HERMES_COSTS, HERMES_READ_SECONDS

CORE_MM2 = 63.1 / 1.55 / 64  # Le Gallo 2023, as quoted: 63.1 TOPS at 1.55 TOPS/mm2, one phase, 64 cores

HERMES = CrossbarChip(
    name="HERMES",
    costs=HERMES_COSTS,
    rows=256,
    columns=256,
    cores=64,
    device=HermesPcm(devices=2),
    dac=Dac(bits=8, v_read=0.2),  # bits: Le Gallo 2023; v_read assumed, it scales currents and not results
    adc=Adc(bits=8, range=PercentileRange(99.99)),  # bits: Le Gallo 2023; ranges are calibrated, the rule is ours
    seconds=3600.0,  # one hour after programming
    compensation=ColumnAffine(),  # the chip's digital units scale and shift each column; the fit is ours
    read_event="core_read_1phase",
    read_seconds=HERMES_READ_SECONDS["core_read_1phase"],
    area=Area(
        unit_mm2=CORE_MM2,
        unit="core",
        unit_source="Le Gallo 2023, as quoted: 63.1 TOPS at 1.55 TOPS/mm2 over 64 cores; what it counts is not said",
    ),
)

HERMES_4PHASE = replace(
    HERMES,
    name="HERMES (4 phases)",
    read_event="core_read_4phase",
    read_seconds=HERMES_READ_SECONDS["core_read_4phase"],
)
