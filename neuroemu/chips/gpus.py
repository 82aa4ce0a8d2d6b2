"""T4, V100 SXM2 and H100 SXM (NVIDIA) as rooflines. Rates are dense, without structured sparsity.

NVIDIA's own sheets were not at hand; each figure names the page that reproduces it. Idle powers are readings of
nvidia-smi that users posted. None was found for the T4. The V100 multiplies codes of 8 bits at the rate of fp16.
"""

from ..area import Area
from ..digital import Roofline
from ..energy import Cost, CostTable
from ._power import FREE, IN_OPERATIONS, idle, operations

FLOOR = "NVIDIA developer forum, thread 233645: 3 us for an empty kernel, taken from another card"
CALL = "arXiv:2602.21548, section 5.2: 5 to 7 us, on another card"
PCIE3 = "microway.com, Tesla P100 PCI-E up close: 11.7 GB/s from pinned memory over PCIe 3.0 x16"
ENERGY_SC25 = "Benchmark-Driven Models for Energy Analysis, SC '25, Table 3: 11.68 pJ/bit, control and datapath, GH200"
EXCLUDES = ("host processor and its memory, board, power supply, cooling",)

T4_SHEET = "T4: networkoutlet.com (130 and 65 Tops/s, 70 W), heise.de 4164684 (8.1 Tflops fp32, 320 GB/s)"
T4_PEAKS, T4_WATTS = {8: 130e12, 16: 65e12, 32: 8.1e12}, 70.0
V100_SHEET = (
    "V100: huggingface.co/RajBhope/gpu-runtime-predictor, gpu_catalog.json (125 and 15.7 Tflops, 900 GB/s, 300 W)"
)
V100_PEAKS, V100_WATTS, V100_IDLE = {8: 125e12, 16: 125e12, 32: 15.7e12}, 300.0, 53.0
H100_SHEET = "H100: glennklockwood.com/garden/processors/h100 and hpctech.co.jp (989 and 1979 Tops/s, 3.35 TB/s, 700 W)"
H100_PEAKS, H100_WATTS, H100_IDLE = {8: 1979e12, 16: 989e12}, 700.0, 140.0
H100_BANDWIDTH, H100_JOULES_PER_BIT = 3.35e12, 11.68e-12
H100_HBM_WATTS = 8 * H100_BANDWIDTH * H100_JOULES_PER_BIT  # 313 W at the full bandwidth


def _memory(device: str, joules_per_bit: float, **fields) -> Cost:
    return Cost(
        event="memory_byte", value=8 * joules_per_bit, kind="marginal", device=device, part="off_chip", **fields
    )


def _gpu(name: str, costs, peaks, bandwidth: float, sheet: str, host: tuple[float, str], die, free=FREE) -> Roofline:
    return Roofline(
        name=name, costs=CostTable(costs=costs, free=free, excludes=EXCLUDES), peak_ops=peaks, bandwidth=bandwidth,
        utilisation=(0.1, 0.5, 0.9), launch_floor=3e-6, host_bandwidth=host[0], host_call=6e-6, batch=1,
        area=Area(chip_mm2=die[0], source=die[1]),
        sources={
            "peak_ops": sheet, "bandwidth": sheet, "utilisation": "assumed", "launch_floor": FLOOR,
            "host_bandwidth": host[1], "host_call": CALL,
        },
    )  # fmt: skip


T4 = _gpu(
    "T4", operations("T4", T4_PEAKS, rated=T4_WATTS, idle_watts=0.0, source=T4_SHEET, node_nm=12), T4_PEAKS, 320e9,
    T4_SHEET, (11.7e9, PCIE3), (545.0, "sysrqmts.com, Tesla T4: TU104"), FREE | IN_OPERATIONS,
)  # fmt: skip

V100 = _gpu(
    "V100 SXM2",
    (
        idle(
            "V100", V100_IDLE, band=(43.955 / V100_IDLE, 56.58 / V100_IDLE), node_nm=12,
            source="nvidia-smi in github.com/zai-org/GLM-130B issue 32 (53 W, a model loaded, 0 % busy)",
            note="band: 44.0 W (pastebin.com/AaFUPNi5) and 56.6 W (NVIDIA/nvidia-docker issue 1076) without a process",
        ),
        *operations("V100", V100_PEAKS, rated=V100_WATTS, idle_watts=V100_IDLE, source=V100_SHEET, node_nm=12),
    ),
    V100_PEAKS, 900e9, V100_SHEET, (11.7e9, PCIE3),
    (815.0, "sysrqmts.com, A100 PCIe beside Tesla V100: GV100, without its memory"), FREE | IN_OPERATIONS,
)  # fmt: skip

H100 = _gpu(
    "H100 SXM",
    (
        idle(
            "H100", H100_IDLE, band=(0.5, 145 / H100_IDLE), node_nm=4,
            source="nvidia-smi in github.com/wilicc/gpu-burn issue 114 (140 and 145 W, memory full, 0 to 4 % busy)",
            note="low end assumed: bare cards without a process take about half",
        ),
        *operations(
            "H100", H100_PEAKS, rated=H100_WATTS, idle_watts=H100_IDLE, source=H100_SHEET, node_nm=4,
            least=(H100_WATTS - H100_IDLE - H100_HBM_WATTS) / (H100_WATTS - H100_IDLE),  # memory at its full rate too
        ),
        _memory("H100", H100_JOULES_PER_BIT, source=ENERGY_SC25, evidence="silicon", node_nm=4),
    ),
    H100_PEAKS, H100_BANDWIDTH, H100_SHEET, (50e9, "assumed, of 64 GB/s nominal (PCIe 5.0 x16)"),
    (814.0, "tweaktown.com 86032: GH100, without its memory"),
)  # fmt: skip
