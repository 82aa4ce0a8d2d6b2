"""TRUENORTH: IBM's TrueNorth, 28 nm, 4,096 cores of 256 axons and 256 neurons, ticks of 1 ms.

References: P. A. Merolla et al., Science 345 (2014), doi:10.1126/science.1254642, for cores, ticks and the chip's area;
F. Akopyan et al., IEEE TCAD 34 (2015), doi:10.1109/TCAD.2015.2474396, for the area of a core. Both areas were taken
from quotations of the papers.
"""

from ..area import Area
from ..spiking.truenorth_chip import TrueNorthChip
from .truenorth_costs import TICK, TRUENORTH_COSTS

TRUENORTH = TrueNorthChip(
    name="TRUENORTH",
    costs=TRUENORTH_COSTS,
    tick=TICK,
    area=Area(
        chip_mm2=430.0,
        source="Merolla 2014, doi:10.1126/science.1254642, as quoted: 4.3 cm2",
        unit_mm2=0.240 * 0.390,
        unit="core",
        unit_source="Akopyan 2015, doi:10.1109/TCAD.2015.2474396, as quoted: 240 x 390 um, the router included",
    ),
)
