"""TPU v1 (Google, 2015; 28 nm): 256 x 256 eight-bit multipliers, weights streamed from DDR3.

Reference: N. Jouppi et al., "In-Datacenter Performance Analysis of a Tensor Processing Unit", ISCA 2017,
doi:10.1145/3079856.3080246 (JOUPPI below). Its batches: 8 to 200; `batch` here is 1 until it is replaced.
"""

from ..area import Area
from ..digital import SystolicArray
from ..energy import Cost, CostTable

JOUPPI = "Jouppi 2017, doi:10.1145/3079856.3080246"
IDLE_WATTS, BUSY_WATTS = 28.0, 40.0  # JOUPPI, Table 2, measured, one die
CNN0_OPS_PER_SECOND = 86.0e12  # JOUPPI, Table 3, measured

TPU_V1_COSTS = CostTable(
    costs=(
        Cost(
            event="idle",
            value=IDLE_WATTS,
            kind="static",
            device="TPU v1",
            source=f"{JOUPPI}, Table 2",
            evidence="silicon",
            part="chip",
            scope="chip",
            node_nm=28,
        ),
        Cost(
            event="mac",
            value=(BUSY_WATTS - IDLE_WATTS) / (CNN0_OPS_PER_SECOND / 2),  # 0.279 pJ
            kind="marginal",
            device="TPU v1",
            source=f"{JOUPPI}, Tables 2 and 3: busy less idle power at the rate of CNN0",
            evidence="fitted",
            part="compute",
            band=(1.0, 7.0),  # the same 12 W at the 12.3 TOPS of MLP0 would be 1.95 pJ
            node_nm=28,
            bits=8,
            ops_per_mac=2,
            note="on-chip buffers and the weight path included; power at part load is known to sink less than linearly",
        ),
    ),
    covered={"activation_read_byte": "mac", "activation_write_byte": "mac"},
    free={
        "weight_byte": "not published apart: the power is given by die, whether DDR3 is in it is not said",
        "vector_op": "not published apart: the fit spreads it over the multiplications",
        "cycle": "the clock is in the idle power",
    },
    excludes=(
        "DDR3 weight memory, unless the power of the die holds it",
        "host server: 861 W rated, 290 W idle, for four dies",
    ),
)

TPU_V1 = SystolicArray(
    name="TPU v1",
    costs=TPU_V1_COSTS,
    rows=256,
    columns=256,
    clock_hz=700e6,  # JOUPPI, Table 2
    weight_bandwidth=34e9,  # JOUPPI, Table 2
    buffer_bytes=24 * 2**20,  # JOUPPI: unified buffer; 4 MiB of accumulators are apart
    double_buffered=True,  # JOUPPI
    batch=1,
    area=Area(chip_mm2=331.0, at_most=True, source=f"{JOUPPI}, Table 2"),
)
