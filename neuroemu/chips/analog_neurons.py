"""Two designs with analog neurons at their columns: cells of HERMES (phase change) and of NeuRRAM (ReRAM).

Nobody has built them. Cells, array sizes and drift are those of the two chips; converters are gone, and each column
pair ends in a capacitor with a comparator. Thresholds, rails and pulses are assumed; comparators are ideal, so that the
user's `replace(chip, neurons=AnalogNeurons(offset=..., noise=...))` says what is not. NeuRRAM's own neurons sense
voltages, which is not modelled here.
"""

from dataclasses import replace

from ..area import Area
from ..crossbar import AnalogNeurons, TileGain
from .hermes import HERMES
from .neuron_costs import analog_neuron_costs
from .neurram import NEURRAM
from .neurram_costs import INTEGRATE, STEP

PCM_PULSE_SECONDS = 10e-9  # assumed

PCM_NEURONS = replace(
    HERMES,
    name="HERMES cells, analog neurons",
    neurons=AnalogNeurons(pulse_seconds=PCM_PULSE_SECONDS, compare_seconds=PCM_PULSE_SECONDS),
    compensation=TileGain(),
    read_event="spike_read",
    costs=analog_neuron_costs(v_read=HERMES.dac.v_read, pulse_seconds=PCM_PULSE_SECONDS, readout_bits=10),
    area=Area(),  # of no design
)

RERAM_NEURONS = replace(
    NEURRAM,
    name="NeuRRAM cells, analog neurons",
    neurons=AnalogNeurons(pulse_seconds=INTEGRATE, compare_seconds=STEP),
    compensation=TileGain(),
    read_event="spike_read",
    costs=analog_neuron_costs(v_read=NEURRAM.dac.v_read, pulse_seconds=INTEGRATE, readout_bits=10),
    area=Area(),  # of no design
)
