"""Price of IBM's 34-tile chip: the published efficiency, taken as what a tile spends on one full product."""

from ..energy import Cost, CostTable

SOURCE = "Ambrogio 2023, doi:10.1038/s41586-023-06337-5, abstract: up to 12.4 TOPS/W, chip-sustained"
OPS_PER_READ = 2 * 512 * 512

IBM34_COSTS = CostTable(
    costs=(
        Cost(
            event="tile_read", value=OPS_PER_READ / 12.4e12, kind="average", device="IBM 34 tiles", source=SOURCE,
            evidence="silicon", part="chip", node_nm=14, bits=8, ops_per_mac=2,
            note="42.3 nJ: the best published point, all rows and columns in use; converters and links included",
        ),
    ),
    covered=dict.fromkeys(("dac_drive", "word_line_pulse", "adc_conversion", "array_attojoule"), "tile_read"),
    free={
        "adc_clip": "a diagnostic: conversions that hit the end of the range, each held in its tile read",
        "digital_accumulate": "not published: sums over row tiles were made beside the chip",
        "neuron_update": "not published: digital neurons are no part of the chip",
        "activation_op": "not published: activation functions were computed beside the chip",
        "cell_write": "not published",
    },
    excludes=("activation functions, pooling and sums over row tiles", "host and board"),
)  # fmt: skip
