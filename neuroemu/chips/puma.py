"""PUMA: a programmable design of memristor crossbars, 128 x 128 cells of 2 bits, one bit of every input at a time.

References: A. Ankit et al., "PUMA: a programmable ultra-efficient memristor-based accelerator for machine learning
inference", ASPLOS 2019, doi:10.1145/3297858.3304049. The numbers are those of its simulator (puma-simulator,
include/config.py and include/constants.py); the paper was not read. The crossbar, DAC and ADC powers are ISAAC's, so
that the two are not independent. A design, never made in silicon; cells are ideal here, as in its simulator.

What differs from the design: weights and inputs have the network's bits (16 there); two ADCs serve the eight crossbars
of a matrix; the instruction set, memories and network are not modelled.
"""

from ..crossbar import Adc, BitSerial, BitSliced, CrossbarChip, IdealDac, MinMaxRange
from ..devices import Ideal
from .puma_costs import PUMA_COSTS

PUMA = CrossbarChip(
    name="PUMA",
    costs=PUMA_COSTS,
    rows=128,  # xbar_size
    columns=128,
    cores=168 * 8 * 2 * 8,  # num_tile_max x num_ima x num_matrix x crossbars of a matrix (16 bits of weight over 2)
    device=Ideal(g_max=20e-6),  # assumed, it scales currents and not results
    mapping=BitSliced(2),  # xbar_bits; the sign by pairs of cells is assumed
    inputs=BitSerial(1),  # dac_res
    dac=IdealDac(v_read=0.2),  # the voltage is assumed
    adc=Adc(bits=8, range=MinMaxRange(), columns_per_converter=128),  # adc_res
    read_event="array_read",
    read_seconds=100e-9,  # constants.py: a crossbar of 128 takes 100 ns
)
