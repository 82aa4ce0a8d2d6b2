"""LOIHI: Intel's first Loihi, 14 nm, 128 cores of 1,024 compartments, integer leaky integrate-and-fire.

Reference: M. Davies et al., "Loihi: A Neuromorphic Manycore Processor with On-Chip Learning", IEEE Micro 38, 82 (2018),
doi:10.1109/MM.2018.112130359. The mesh of 8 x 4 tiles with 4 cores each is the layout of the open simulator SANA-FE.

The cores keep one copy of the weights of a convolution where axons share them, as nengo-loihi does.
A neuron that resets by subtraction takes two compartments; its arithmetic here is v - threshold.
"""

from ..area import Area
from ..spiking.arithmetic import LOIHI1
from ..spiking.chip import SpikingChip
from ..spiking.cores import CoreLimits
from ..spiking.meter import Seconds
from .loihi_costs import LOIHI_COSTS, LOIHI_SECONDS

LOIHI = SpikingChip(
    name="LOIHI",
    costs=LOIHI_COSTS,
    convention=LOIHI1,
    limits=CoreLimits(shared_kernels=True),
    cores=128,
    cores_per_tile=4,
    mesh=(8, 4),
    compartments_to_subtract=2,
    area=Area(chip_mm2=60.0, source="Davies 2018, doi:10.1109/MM.2018.112130359, as quoted", unit="core"),
    step_times=Seconds(
        synaptic_op=LOIHI_SECONDS["synaptic_op"],
        neuron_update_active=LOIHI_SECONDS["neuron_update_active"],
        neuron_update_inactive=LOIHI_SECONDS["neuron_update_inactive"],
        barrier_one_tile=LOIHI_SECONDS["barrier_sync_1_tile"],
        barrier_all_tiles=LOIHI_SECONDS["barrier_sync_32_tiles"],
    ),
)
