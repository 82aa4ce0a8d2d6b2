"""Xeon E5-2699 v3 (Intel Haswell, 2014; 22 nm), one socket of 18 cores, the CPU of the TPU paper.

Reference: N. Jouppi et al., ISCA 2017, doi:10.1145/3079856.3080246 (JOUPPI below).
"""

from ..area import Area
from ..digital import Roofline
from ..energy import Cost, CostTable

JOUPPI = "Jouppi 2017, doi:10.1145/3079856.3080246"
IDLE_WATTS, BUSY_WATTS = 41.0, 145.0  # JOUPPI, Table 2, measured, one die
PEAK_OPS = {8: 2.6e12, 32: 1.3e12}  # JOUPPI, Table 2
MLP0_OPS_PER_SECOND = 5482 * 2 * 20e6  # JOUPPI, Table 4: 5,482 inferences/s at batch 16, 20 M weights


def _operation(event: str, bits: int) -> Cost:
    value = (BUSY_WATTS - IDLE_WATTS) / PEAK_OPS[bits]
    return Cost(
        event=event,
        value=value,
        kind="marginal",
        device="Xeon E5-2699 v3",
        source=f"{JOUPPI}, Table 2: busy less idle power at the peak rate",
        evidence="fitted",
        part="compute",
        band=(1.0, (BUSY_WATTS - IDLE_WATTS) / MLP0_OPS_PER_SECOND / value),
        node_nm=22,
        bits=bits,
        ops_per_mac=2,
        note="a lower bound that favours the CPU; the band ends at the same power over the rate of MLP0, fp32",
    )


XEON_COSTS = CostTable(
    costs=(
        Cost(
            event="idle",
            value=IDLE_WATTS,
            kind="static",
            device="Xeon E5-2699 v3",
            source=f"{JOUPPI}, Table 2",
            evidence="silicon",
            part="chip",
            scope="chip",
            node_nm=22,
        ),
        _operation("op_int8", 8),
        _operation("op_fp32", 32),
    ),
    free={
        "memory_byte": "not published apart: the power is given by die",
        "kernel_launch": "its time is charged at idle power",
    },
    excludes=("DRAM, board, power supply",),
)

XEON_E5_2699V3 = Roofline(
    name="Xeon E5-2699 v3",
    costs=XEON_COSTS,
    peak_ops=PEAK_OPS,
    bandwidth=51e9,  # JOUPPI, Table 2
    utilisation=(0.1, 0.5, 0.9),  # likely: MLP0 at batch 16 reads 27 of 51 GB/s of fp32 weights (JOUPPI, Table 4)
    launch_floor=2e-6,  # assumed: waking a pool of threads
    batch=1,
    area=Area(chip_mm2=662.0, source="techreport.com review 27018, 2014: Haswell-EP of 18 cores"),
    sources={
        "peak_ops": f"{JOUPPI}, Table 2",
        "bandwidth": f"{JOUPPI}, Table 2",
        "utilisation": f"estimated from MLP0, {JOUPPI}, Table 4; its ends are assumed",
        "launch_floor": "assumed",
    },
)
