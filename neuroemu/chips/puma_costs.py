"""Prices of PUMA from the powers and times in its simulator's constants, 32 nm."""

from ..energy import Cost, CostTable

SOURCE = "puma-simulator, include/constants.py (Ankit 2019, doi:10.1145/3297858.3304049)"
CELLS = 128 * 128
WRITE_BAND = (1.0, 32.0)  # the constants divide the energy by 32 without a word on why
CYCLE = 100e-9  # seconds of one read of a 128 x 128 crossbar


def _event(event: str, joules: float, part: str, note: str, band=(1.0, 1.0)) -> Cost:
    return Cost(
        event=event, value=joules, kind="marginal", device="PUMA", source=SOURCE, evidence="model", part=part,
        node_nm=32, ops_per_mac=2, note=note, band=band,
    )  # fmt: skip


PUMA_COSTS = CostTable(
    costs=(
        _event("array_read", 0.3e-3 * CYCLE, "array", "30 pJ: 0.3 mW for a crossbar of 128"),
        _event("dac_drive", 3.9e-6 * CYCLE, "converters", "0.39 pJ: 3.9 uW a driver"),
        _event("word_line_pulse", 3.9e-6 * CYCLE, "converters", "0.39 pJ: the same driver"),
        _event(
            "adc_conversion", 2e-3 * CYCLE / 128, "converters", "1.56 pJ: 2 mW, taken to convert 128 columns in 100 ns"
        ),
        _event(
            "cell_write",
            676e-9 / 32 / CELLS,
            "writing",
            "1.29 pJ: 676 nJ / 32 for a whole crossbar of 128 x 128 with its periphery, written serially",
            WRITE_BAND,
        ),
    ),
    covered={"array_attojoule": "array_read"},
    free={
        "adc_clip": "a diagnostic: conversions that hit the end of the range, each priced as a conversion",
        "neuron_update": "not in the design: it has no spiking neurons",
        "activation_op": "not priced here: the vector units' 1.7 mW are not split by operation",
        "digital_accumulate": "not priced here: made by the vector units",
    },
    excludes=(
        "vector units, registers, memories, instruction fetch, network and the 10.4 W of links",
        "static power",
    ),
)
