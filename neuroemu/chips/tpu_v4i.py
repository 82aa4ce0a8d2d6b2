"""A TPUv4i-like systolic array at 7 nm, after the architecture file of accelforge; a model, not the machine.

Four arrays of 128 x 128 multipliers stand side by side as one of 128 x 512. The file gives no static power.
"""

from ..area import Area
from ..digital import SystolicArray
from ..energy import Cost, CostTable

SOURCE = "Accelergy-Project/accelforge, examples/arches/tpu_v4i.yaml, commit 3e605cd"
LOCAL_READ, LOCAL_WRITE = 0.249e-12, 0.293e-12  # joules a bit, 4 MB local buffer
GLOBAL_READ, GLOBAL_WRITE = 1.88e-12, 2.36e-12  # joules a bit, 128 MB global buffer


def _event(event: str, joules: float, part: str, note: str, band=(1.0, 1.0), **fields) -> Cost:
    return Cost(
        event=event, value=joules, kind="marginal", device="TPUv4i model", source=SOURCE, evidence="model", part=part,
        node_nm=7, band=band, note=note, **fields,
    )  # fmt: skip


TPU_V4I_COSTS = CostTable(
    costs=(
        _event("mac", 0.084e-12, "compute", "int8", bits=8, ops_per_mac=2),
        _event("weight_byte", 8 * 7.03e-12, "off_chip", "main memory, 7.03 pJ a bit: upper end of the paper's range"),
        _event(
            "activation_read_byte", 8 * LOCAL_READ, "memory", "local buffer, 0.249 pJ a bit; band: plus global",
            (1.0, (LOCAL_READ + GLOBAL_READ) / LOCAL_READ),
        ),
        _event(
            "activation_write_byte", 8 * LOCAL_WRITE, "memory", "local buffer, 0.293 pJ a bit; band: plus global",
            (1.0, (LOCAL_WRITE + GLOBAL_WRITE) / LOCAL_WRITE),
        ),
    ),
    free={
        "vector_op": "0 in the source: its scalar unit has no energy",
        "cycle": "0 in the source: clocks and leakage are not in it",
    },
    excludes=("static power: the source has none", "host, board"),
)  # fmt: skip

TPU_V4I = SystolicArray(
    name="TPUv4i model",
    costs=TPU_V4I_COSTS,
    rows=128,
    columns=4 * 128,
    clock_hz=1.05e9,
    weight_bandwidth=614e9,
    buffer_bytes=128 * 2**20,
    double_buffered=True,  # assumed
    batch=1,
    area=Area(
        chip_mm2=400.0,
        at_most=True,
        source="the machine's: vengineer.hatenablog.com 2021-06-28 on Jouppi 2021, doi:10.1109/ISCA52012.2021.00010",
        unit="array",
        parts={"global_buffer": 112.0, "local_buffer": 51.0, "multipliers": 8.5e-4 * 128 * 512},
        unit_source=SOURCE,
    ),
)
