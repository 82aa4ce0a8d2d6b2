"""A100 SXM4 40 GB (NVIDIA, 2020; 7 nm) as a roofline, and the host link that feeds it.

Rates are the vendor's, without structured sparsity. Energy is measured per operation and per byte of memory, on top of
the idle power of a card that holds a loaded model.
"""

from ..area import Area
from ..digital import Roofline
from ..energy import Cost, CostTable

DATASHEET = "NVIDIA A100 datasheet, SXM4 40 GB, dense"
# "Benchmark-Driven Models for Energy Analysis and Attribution of GPU-Accelerated Supercomputing", SC '25
MEASURED = "Benchmark-Driven Models for Energy Analysis, SC '25, Table 3"
JOULES_PER_OP = (0.37 + 0.33) * 1e-12  # MEASURED: control + datapath, fp16 matrix operations
BARE_IDLE_WATTS = 53.0  # four A100-SXM4-40GB read 52.5 to 54.3 W by NVML with no process, UCLA PLUS Lab log, 2025-07-03
CONTEXT_WATTS = 26.0  # arXiv:2605.23918: an open CUDA context adds 26 to 50 W on cards with HBM
IDLE_WATTS = BARE_IDLE_WATTS + CONTEXT_WATTS

_common = {"device": "A100", "node_nm": 7}
A100_COSTS = CostTable(
    costs=(
        Cost(
            event="idle",
            value=IDLE_WATTS,
            kind="static",
            source="NVML log of 4 idle cards, UCLA PLUS Lab 2025, plus an open CUDA context, arXiv:2605.23918",
            evidence="estimate",
            part="chip",
            scope="chip",
            band=(BARE_IDLE_WATTS / IDLE_WATTS, (BARE_IDLE_WATTS + 50.0) / IDLE_WATTS),
            note="card with its HBM; sum of two sources, the lower end of the second",
            **_common,
        ),
        Cost(
            event="op_fp16",
            value=JOULES_PER_OP,
            kind="marginal",
            source=MEASURED,
            evidence="estimate",
            part="compute",
            bits=16,
            ops_per_mac=2,
            note="matrix units, control 0.37 + datapath 0.33 pJ; taken for the A100, the paper measured several GPUs",
            **_common,
        ),
        Cost(
            event="op_int8",
            value=JOULES_PER_OP,
            kind="marginal",
            source=f"that of fp16, as an upper bound; {MEASURED}",
            evidence="assumed",
            part="compute",
            band=(0.25, 1.0),
            bits=8,
            ops_per_mac=2,
            **_common,
        ),
        Cost(
            event="memory_byte",
            value=8 * 13.11e-12,
            kind="marginal",
            source=f"{MEASURED}: 13.11 pJ/bit, control and datapath",
            evidence="silicon",
            part="off_chip",
            **_common,
        ),
    ),
    free={
        "kernel_launch": "not published; its time is charged at idle power",
        "host_byte": "not published; its time is charged at idle power",
    },
    excludes=("host processor and its memory, board, power supply, cooling",),
)

A100 = Roofline(
    name="A100",
    costs=A100_COSTS,
    peak_ops={8: 624e12, 16: 312e12},  # DATASHEET
    bandwidth=1.555e12,  # DATASHEET
    utilisation=(0.1, 0.5, 0.9),  # assumed
    launch_floor=3e-6,  # NVIDIA developer forum, thread 233645: empty kernels, recent hardware
    host_bandwidth=25e9,  # assumed: 32 GB/s nominal, PCIe 4.0 x16 (DATASHEET)
    host_call=6e-6,  # arXiv:2602.21548, section 5.2: 5 to 7 us a copy call
    batch=1,
    area=Area(chip_mm2=826.0, source="sysrqmts.com, A100 PCIe beside Tesla V100: GA100, without its memory"),
    sources={
        "peak_ops": DATASHEET,
        "bandwidth": DATASHEET,
        "utilisation": "assumed",
        "launch_floor": "NVIDIA developer forum, thread 233645: 3 us for an empty kernel",
        "host_bandwidth": "assumed, of 32 GB/s nominal (PCIe 4.0 x16)",
        "host_call": "arXiv:2602.21548, section 5.2: 5 to 7 us",
    },
)
