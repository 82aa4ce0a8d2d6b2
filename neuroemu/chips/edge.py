"""Edge TPU (Google), Jetson AGX Orin 64 GB (NVIDIA) and ET-SoC-1 (Esperanto) as rooflines, batch 1.

No idle power was found for any of them: an operation has the rated power over the peak rate as an average price.
"""

from ..area import Area
from ..digital import Roofline
from ..energy import CostTable
from ._power import FREE, IN_OPERATIONS, operations

CORAL = "Coral Accelerator Module datasheet v1.4 (4 TOPS int8, 2 W)"
EDGE_PEAKS, EDGE_WATTS = {8: 4e12}, 2.0
ORIN = (
    "Orin: mzph.cn/web/30785 after NVIDIA's technical brief (5.3 Tflops fp32, 170 + 105 sparse Tops int8, half of it "
    "dense); forums.developer.nvidia.com 323456 (60 W)"
)
ORIN_PEAKS, ORIN_WATTS = {8: (170e12 + 105e12) / 2, 32: 5.3e12}, 60.0
ESPERANTO = "linleygroup.com newsletter 6251, 2020 (139 Tops int8 at 1 GHz, 20 W typical; before silicon)"
ESPERANTO_PEAKS, ESPERANTO_WATTS = {8: 139e12}, 20.0


def _processor(name, peaks, watts, source, *, node_nm, bandwidth, excludes, sources, **fields) -> Roofline:
    costs = operations(name, peaks, rated=watts, idle_watts=0.0, source=source, node_nm=node_nm)
    return Roofline(
        name=name, costs=CostTable(costs=costs, free=FREE | IN_OPERATIONS, excludes=excludes), peak_ops=peaks,
        bandwidth=bandwidth, utilisation=(0.1, 0.5, 0.9), batch=1, **fields,
        sources={"peak_ops": source, "utilisation": "assumed"} | sources,
    )  # fmt: skip


EDGE_TPU = _processor(
    "Edge TPU", EDGE_PEAKS, EDGE_WATTS, CORAL, node_nm=None, bandwidth=4e12, host_bandwidth=0.5e9,
    excludes=("host processor", "reloading of weights, where a network has more than 8 MB of them"),
    sources={
        "bandwidth": "assumed: a byte an operation from its SRAM, so that it never limits; none is published",
        "host_bandwidth": "Coral Accelerator Module datasheet v1.4: PCIe Gen2 x1, 500 MB/s nominal",
    },
)  # fmt: skip

JETSON_ORIN = _processor(
    "Jetson AGX Orin", ORIN_PEAKS, ORIN_WATTS, ORIN, node_nm=None, bandwidth=200e9,
    launch_floor=3e-6, excludes=("carrier board, power supply",),
    sources={
        "bandwidth": "svethardware.cz 50897, the announcement of Orin: 200 GB/s",
        "launch_floor": "NVIDIA developer forum, thread 233645: 3 us for an empty kernel, taken from another card",
    },
)  # fmt: skip

ET_SOC_1 = _processor(
    "ET-SoC-1", ESPERANTO_PEAKS, ESPERANTO_WATTS, ESPERANTO, node_nm=7, bandwidth=822e9 / 6,
    excludes=("host processor, card, power supply",),
    sources={"bandwidth": "vlsifacts.com after Hot Chips 33: 822 GB/s for a card of six chips"},
    area=Area(chip_mm2=570.0, source="golem.de 159115 and vlsifacts.com, both after Hot Chips 33"),
)  # fmt: skip
