"""PUMA: a programmable design of memristor crossbars, 128 x 128 cells of 2 bits, one bit of every input at a time.

References: A. Ankit et al., "PUMA: a programmable ultra-efficient memristor-based accelerator for machine learning
inference", ASPLOS 2019, doi:10.1145/3297858.3304049. The numbers are those of its simulator (puma-simulator,
include/config.py and include/constants.py); the paper was not read. The crossbar, DAC and ADC powers are ISAAC's, so
that the two are not independent. A design, never made in silicon; cells are ideal here, as in its simulator.

What differs from the design: weights and inputs have the network's bits (16 there); two ADCs serve the eight crossbars
of a matrix; the instruction set, memories and network are not modelled. The area is that of the parts in the
simulator, with the converters and vector units of config.py and the memories of isca_results/puma_ce_sweep.py.
"""

from math import sqrt

from ..area import Area
from ..crossbar import Adc, BitSerial, BitSliced, CrossbarChip, IdealDac, MinMaxRange
from ..devices import Ideal
from .puma_costs import PUMA_COSTS

ARRAYS, CORES = 16, 8  # of a core: num_matrix x 8; cores of a tile: num_ima
CORE_MM2 = {  # constants.py, of one core
    "array": ARRAYS * 2.5e-5,
    "adc": 4 * 0.0012,
    "dac": 2 * 128 * 1.67e-7,
    "sample_and_hold": ARRAYS * 0.00004 / 8,
    "shift_add": ARRAYS * 0.00006,
    "vector_units": 4 * 0.00567 * 32 / 45,
    "data_memory": 0.00192,
    "instruction_memory": 0.00108 * sqrt(8),
    "registers": 2 * (0.00078 + 0.00078),
    "control": 0.00145 * 2.25,
}
TILE_MM2 = {  # constants.py, of one tile
    "edram": 0.086,
    "edram_control": 0.00145,
    "bus": 0.090,
    "tile_instruction_memory": 0.00192 * sqrt(8),
    "counters": 0.0041 * sqrt(8),
    "receive_buffer": 0.0022 * sqrt(4),
    "tile_control": 0.00145,
    "router": 0.047 / 4,  # shared by four tiles
}

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
    transit_seconds=3 * 100e-9,  # puma_ce_sweep.py: steps for the last conversion, the vector units and a table
    area=Area(
        unit_mm2=CORES * sum(CORE_MM2.values()) + sum(TILE_MM2.values()),
        unit="tile",
        holds=CORES * ARRAYS,
        parts={name: CORES * mm2 for name, mm2 in CORE_MM2.items()} | TILE_MM2,
        unit_source="puma-simulator, include/constants.py and config.py: the sum of its parts, a design",
    ),
    read_seconds=100e-9,  # constants.py: a crossbar of 128 takes 100 ns
)
