"""IBM's analog chip of 34 tiles: 512 x 512 weights a tile on four phase-change devices each, 14 nm, pulse widths.

Reference: S. Ambrogio et al., "An analog-AI chip for energy-efficient speech recognition and transcription", Nature
620, 768 (2023), doi:10.1038/s41586-023-06337-5: 35 million devices on 34 tiles; 512 inputs of 8 bits become durations.
A frame of the RNNT decoder takes "5 time steps of 300 ns each" (Extended Data Fig. 7, caption); a read is one of them.

A weight is a pair of two devices each side here, as the four devices are. That the two of a side count alike is
assumed, as is the device model, which was fitted on other phase-change arrays of the same maker.
"""

from ..crossbar import Adc, Averaged, ColumnAffine, CrossbarChip, Dac, DifferentialPair, PercentileRange, PulseWidth
from ..devices import Pcm
from .ibm34_costs import IBM34_COSTS

IBM34 = CrossbarChip(
    name="IBM 34 tiles",
    costs=IBM34_COSTS,
    rows=512,
    columns=512,
    cores=34,
    device=Pcm(),
    mapping=Averaged(2, DifferentialPair()),
    inputs=PulseWidth(),
    dac=Dac(bits=8, v_read=0.2),  # the voltage is assumed; it scales currents and not results
    adc=Adc(bits=8, range=PercentileRange(99.99)),  # 8 bits and the rule are assumed
    seconds=3600.0,
    compensation=ColumnAffine(),  # digital scale and offset of each column, assumed
    read_event="tile_read",
    read_seconds=300e-9,  # Extended Data Fig. 7, one time step
)
