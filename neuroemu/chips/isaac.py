"""ISAAC: a design of 168 tiles of memristor crossbars, 128 x 128 cells of 2 bits, one bit of every input at a time.

Reference: A. Shafiee et al., "ISAAC: a convolutional neural network accelerator with in-situ analog arithmetic in
crossbars", ISCA 2016, doi:10.1109/ISCA.2016.12, Table I of the version corrected in October 2016 (ISAAC-CE). A design,
never made in silicon: its cells have no noise, no drift and no stated conductance, so they are ideal here; replace the
device to see what real cells would do.

A position takes a read for each bit of its inputs and six cycles on its way: 22 in all with 16 bits. Layers begin when
their first window is there, as in the paper. It balances its pipeline by copies of early layers; here that is
`replace(ISAAC, copies=KeepUpWith())`, or `BusiestFirst()` with all arrays that are left.

What differs from the design: weights and inputs have the network's bits (the paper computes with 16); the sum of the
inputs that removes the weights' offset is digital, not a column of ones; columns are not stored inverted, so the ADC's
range is calibrated instead of being exact by construction; a layer may share a tile with others.
"""

from ..area import Area
from ..components import isaac as shafiee
from ..crossbar import Adc, BitSerial, BitSliced, CrossbarChip, IdealDac, MinMaxRange, RowPipeline
from ..devices import Ideal
from .isaac_costs import ISAAC_COSTS

ISAAC = CrossbarChip(
    name="ISAAC",
    costs=ISAAC_COSTS,
    rows=128,
    columns=128,
    cores=168 * 12 * 8,  # Table I: tiles x units x crossbars
    device=Ideal(g_max=20e-6),  # the paper states no conductance; assumed, it scales currents and not results
    mapping=BitSliced(2, signs="offset"),  # section V
    inputs=BitSerial(1),
    dac=IdealDac(v_read=0.2),  # 1-bit drivers; the voltage is assumed
    adc=Adc(bits=8, range=MinMaxRange(), columns_per_converter=128),  # one ADC for each crossbar
    read_event="array_read",
    schedule=RowPipeline(),
    transit_seconds=shafiee.WAY * shafiee.CYCLE,
    area=Area(
        chip_mm2=shafiee.CHIP_MM2,
        source=f"{shafiee.SOURCE}, a design",
        unit_mm2=shafiee.tile_mm2(),
        unit="tile",
        holds=shafiee.UNITS * shafiee.ARRAYS,
        parts={name: shafiee.UNITS * mm2 for name, mm2 in shafiee.UNIT_MM2.items()} | shafiee.TILE_MM2,
        unit_source=f"{shafiee.SOURCE}: the sum of its parts, a design",
    ),
    read_seconds=100e-9,  # section V: one read of a crossbar, in which the ADC converts all 128 columns of the last one
)
