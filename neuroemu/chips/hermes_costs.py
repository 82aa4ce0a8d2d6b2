"""Prices and read times of the HERMES phase-change chip: 64 cores of 256 x 256 cells, 14 nm CMOS.

All prices follow from two published pairs, throughput and efficiency with every core reading:

    J per core read = ops / (ops/s/W) ;  s per core read = 64 ops / (ops/s) ;  ops = 2 x 256 x 256 (1 MAC = 2 ops)

so they are averages at that operating point: array, DACs, ADCs, local digital unit, clock and leakage are all in them.
No split by part was published; none is made here.
"""

from ..energy import Cost, CostTable

SOURCE = "Le Gallo 2023, doi:10.1038/s41928-023-01010-1, abstract"
OPS_PER_READ = 2 * 256 * 256
HERMES_READ_SECONDS = {
    "core_read_1phase": 64 * OPS_PER_READ / 63.1e12,  # 132.9 ns; 63.1 TOPS, one-phase (low-precision) mode
    "core_read_4phase": 64 * OPS_PER_READ / 16.1e12,  # 521 ns; 16.1 TOPS, four-phase (high-precision) mode
}


def _read(event: str, ops_per_joule: float) -> Cost:
    return Cost(
        event=event,
        value=OPS_PER_READ / ops_per_joule,
        kind="average",
        device="HERMES",
        source=SOURCE,
        evidence="silicon",
        part="core",
        band=(0.93, 1.0),  # the single-core chip, HERMES-Core, JSSC 2022: 10.5 TOPS/W = 12.48 nJ a read
        node_nm=14,
        bits=8,
        ops_per_mac=2,
        note="one core, one 8-bit matrix-vector product, all 256 rows and columns in use; converters included",
    )


HERMES_COSTS = CostTable(
    costs=(
        _read("core_read_1phase", 9.76e12),  # 13.43 nJ
        _read("core_read_4phase", 2.48e12),  # 52.85 nJ
    ),
    covered={
        "dac_drive": ("core_read_1phase", "core_read_4phase"),
        "word_line_pulse": ("core_read_1phase", "core_read_4phase"),  # that of 8-bit inputs: an upper bound
        "adc_conversion": ("core_read_1phase", "core_read_4phase"),
        "array_attojoule": ("core_read_1phase", "core_read_4phase"),
    },
    free={
        "adc_clip": "a diagnostic: conversions that hit the end of the range, each held in its core read",
        "digital_accumulate": "not published: sums over row tiles are made outside of the cores",
        "neuron_update": "not published: digital neurons are no part of the chip",
        "activation_op": "not published apart: activation functions run in digital units beside the cores",
        "cell_write": "not published",
    },
    excludes=(
        "routing between cores and layers (in the published runs through an FPGA)",
        "sums over row tiles, activation functions, pooling",
        "reading the cells back to verify writes and to compensate drift",
        "host and board",
    ),
)
