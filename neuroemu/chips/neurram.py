"""NeuRRAM: 48 cores of 256 x 256 ReRAM cells, 130 nm, bit-serial inputs, a converter for every column.

Reference: W. Wan et al., "A compute-in-memory chip based on resistive random-access memory", Nature 608, 504 (2022),
doi:10.1038/s41586-022-04992-8.

Cells are those of the chip one second after programming. Voltage-mode sensing, in which a column settles at an average
of its rows' voltages instead of adding currents, is not modelled: sums are those of currents. Read noise is none of the
fit; compose the device with `WithReadNoise` for some.
"""

from ..crossbar import Adc, BitSerial, ColumnGain, CrossbarChip, DifferentialPair, IdealDac, PercentileRange
from ..devices import RramWan2022
from .neurram_costs import NEURRAM_COSTS, NEURRAM_READ_SECONDS

NEURRAM = CrossbarChip(
    name="NeuRRAM",
    costs=NEURRAM_COSTS,
    rows=128,  # pairs of the 256 rows: both cells of a weight share a column (assumed)
    columns=256,
    cores=48,
    device=RramWan2022(),
    mapping=DifferentialPair(),
    inputs=BitSerial(1),
    dac=IdealDac(v_read=0.5),  # the voltage is assumed; it scales currents and not results
    adc=Adc(bits=8, range=PercentileRange(99.99)),  # the chip converts up to 10 bits; the rule is ours
    seconds=1.0,
    compensation=ColumnGain(),  # the digital scale of each column is assumed
    read_event="plane_read",
    read_seconds=NEURRAM_READ_SECONDS,
)
