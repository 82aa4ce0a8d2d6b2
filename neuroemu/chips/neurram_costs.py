"""Prices and times of NeuRRAM, 130 nm, fitted by CiMLoop to the breakdown in Fig. 12 of the paper.

An 8-bit conversion is up to 128 steps of charge; a plane of a bit-serial input is one integration.
"""

from ..energy import Cost, CostTable

SOURCE = "hwcomponents_library neurram.py and CiMLoop wan_nature_2022 (Wan 2022, doi:10.1038/s41586-022-04992-8)"
INTEGRATE, PHASE, STEP = 0.27e-6, 0.3e-6, 0.3e-6  # seconds: one integration, between phases, one step of the ADC
SAMPLE_JOULES, INTEGRATE_JOULES, STEP_JOULES = 1.2e-12, 0.25e-12, 0.3e-12  # of a column; the step is that of the ADC
STEPS = 128  # of an 8-bit conversion with a sign
NEURRAM_READ_SECONDS = INTEGRATE + PHASE + STEPS * STEP  # each plane is converted here


def _event(event: str, joules: float, part: str, note: str) -> Cost:
    return Cost(
        event=event, value=joules, kind="marginal", device="NeuRRAM", source=SOURCE, evidence="fitted", part=part,
        node_nm=130, voltage=1.8, ops_per_mac=2, note=note,
    )  # fmt: skip


NEURRAM_COSTS = CostTable(
    costs=(
        _event(
            "adc_conversion",
            SAMPLE_JOULES + INTEGRATE_JOULES + STEPS * STEP_JOULES,
            "converters",
            "sample 1.2 pJ, integrate 0.25 pJ and 128 steps of 0.3 pJ: the most a conversion takes",
        ),
        _event("digital_accumulate", 0.1e-12, "compute", "0.1 pJ for 8 bits"),
    ),
    free={
        "plane_read": "its integration is part of each conversion's price",
        "dac_drive": "not published apart from the word lines' and inputs' share of the breakdown",
        "adc_clip": "a diagnostic: conversions that hit the end of the range, each priced as a conversion",
        "word_line_pulse": "not published apart from the word lines' and inputs' share of the breakdown",
        "neuron_update": "not published: digital neurons are no part of the chip",
        "activation_op": "not published apart: made in the neurons",
        "cell_write": "not published",
        "array_attojoule": "V^2 G t, for information: NeuRRAM senses voltages, and its columns settle",
    },
    excludes=("word lines and input drivers: about half of the energy in the published breakdown", "static power",
              "routing between cores"),
)  # fmt: skip
