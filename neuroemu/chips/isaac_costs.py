"""Prices of ISAAC-CE from the powers of its Table I, 32 nm, and the 100 ns in which each part works once.

J per event = W of the part / how many of them / how often each works in 100 ns
"""

from ..energy import Cost, CostTable

SOURCE = "Shafiee 2016, doi:10.1109/ISCA.2016.12, Table I (version of October 2016), a unit of 8 crossbars"
CYCLE = 100e-9  # seconds, section V


def _event(event: str, joules: float, part: str, note: str) -> Cost:
    return Cost(
        event=event, value=joules, kind="marginal", device="ISAAC-CE", source=SOURCE, evidence="model", part=part,
        node_nm=32, ops_per_mac=2, note=note,
    )  # fmt: skip


ISAAC_COSTS = CostTable(
    costs=(
        _event("array_read", 2.4e-3 / 8 * CYCLE, "array", "30 pJ: 2.4 mW, 8 crossbars, whatever is driven"),
        _event("dac_drive", 4e-3 / (8 * 128) * CYCLE, "converters", "0.39 pJ: 4 mW, 8 x 128 drivers of 1 bit"),
        _event("word_line_pulse", 4e-3 / (8 * 128) * CYCLE, "converters", "0.39 pJ: the same driver, of one bit"),
        _event(
            "adc_conversion",
            (16e-3 / 8 + 10e-6 / 8) * CYCLE / 128,
            "converters",
            "1.56 pJ: 16 mW, 8 ADCs of 8 bits, 128 conversions each; 1 fJ of it sample and hold (10 uW)",
        ),
        _event(
            "digital_accumulate",
            0.2e-3 / 4 * CYCLE / (8 * 128 / 4),
            "compute",
            "0.02 pJ: 0.2 mW, 4 shift-and-add units for 8 x 128 columns",
        ),
    ),
    covered={"array_attojoule": "array_read"},
    free={
        "adc_clip": "a diagnostic: conversions that hit the end of the range, each priced as a conversion",
        "neuron_update": "not in the design: it has no spiking neurons",
        "activation_op": "not priced apart: 0.52 mW of sigmoid units and 0.4 mW of max pooling a tile",
        "cell_write": "not published: the weights of the design are written once",
    },
    excludes=(
        "input and output registers, eDRAM, bus and routers: 55 of the 330 mW of a tile",
        "the 10.4 W of the links between chips",
        "static power: the table holds power while working only",
    ),
)
