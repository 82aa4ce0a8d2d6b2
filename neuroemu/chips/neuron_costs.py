"""Prices of analog neurons at the columns of a crossbar: integrators and comparators of NeuRRAM, cells by Ohm's law.

NeuRRAM's neurons (130 nm) sample and integrate what a column gives, then compare and move charge in steps. CiMLoop
fitted a price for each of these to the paper's breakdown; a step is taken here as one decision with its reset. Cells
burn what the really driven ones conduct, G V^2 t.
"""

from ..energy import Cost, CostTable
from .neurram_costs import INTEGRATE_JOULES, SAMPLE_JOULES, SOURCE, STEP_JOULES

OHM = "Ohm's law: G V^2 t of the driven cells, with the conductances that the mapping asks for"


def analog_neuron_costs(*, v_read: float, pulse_seconds: float, readout_bits: int) -> CostTable:
    """The cost table of a chip whose columns end in `AnalogNeurons`.

    Parameters
    ----------
    v_read : float, volts
        Of a pulse.
    pulse_seconds : float, seconds
    readout_bits : int
        Of the converter that reads the last potentials, a step of charge for each code of one sign.
    """
    conversion = SAMPLE_JOULES + (1 << (readout_bits - 1)) * STEP_JOULES
    return CostTable(
        costs=(
            Cost(
                event="array_nanosiemens", value=1e-9 * v_read**2 * pulse_seconds, kind="marginal",
                device="crossbar cells", source=OHM, evidence="model", part="array",
                note=f"pulses of {v_read:g} V and {pulse_seconds:g} s; neither was published",
            ),
            _neuron("column_integration", SAMPLE_JOULES + INTEGRATE_JOULES, "sample 1.2 pJ and integrate 0.25 pJ"),
            _neuron("comparator_decision", STEP_JOULES, "one step of the converter: comparison and charge"),
            _neuron("adc_conversion", conversion, "sample and all steps of charge: the most a conversion takes"),
        ),
        free={
            "spike_read": "its parts are priced: cells, integrations and decisions",
            "word_line_pulse": "not published apart from the word lines' and inputs' share of NeuRRAM's breakdown",
            "capacitor_reset": "part of the price of a comparator's decision",
            "neuron_update": "input neurons: values become spikes outside of the arrays, which is not priced",
            "cell_write": "not published",
        },
        excludes=("word lines and their drivers", "routing of spikes between tiles", "static power",
                  "host and board"),
    )  # fmt: skip


def _neuron(event: str, joules: float, note: str) -> Cost:
    return Cost(
        event=event, value=joules, kind="marginal", device="NeuRRAM neurons", source=SOURCE, evidence="fitted",
        part="neuron", node_nm=130, voltage=1.8, note=note,
    )  # fmt: skip
