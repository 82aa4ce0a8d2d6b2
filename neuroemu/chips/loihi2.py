"""LOIHI2: Intel's second Loihi, 128 programmable cores of up to 8,192 neurons, graded spikes with integer payloads.

References: Intel, "Taking Neuromorphic Computing to the Next Level with Loihi 2", technology brief, 2021 (cores, 8,192
neurons and 192 kB a core, steps of the whole chip under 200 ns; the brief itself was not read, its figures are as
others quote them); open-neuromorphic.org, "Loihi 2" (128 neuron cores, 6 embedded processors, 120 million synapses).

Assumed: 8-bit weights stored once each, 32-bit words of state, nothing else in the memory of a core. No energy of any
event is public, so the energy of a run is unknown; `replace(LOIHI2, costs=LOIHI.costs)` charges Loihi 1's prices, which
is an assumption of the user's. The mesh is not modelled.
"""

from ..area import Area
from ..energy import CostTable
from ..spiking.graded_chip import GradedChip
from ..spiking.graded_cores import GradedLimits

LOIHI2 = GradedChip(
    name="LOIHI2",
    costs=CostTable(unpriced="no energy per event of Loihi 2 is public; give costs= to assume some"),
    limits=GradedLimits(neurons=8192, memory_bytes=192 * 1024, weight_bits=8),
    cores=128,
    step_seconds=200e-9,
    area=Area(chip_mm2=31.0, source="en.wikichip.org, intel/loihi_2", unit="core"),
)
