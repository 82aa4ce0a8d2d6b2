"""KV260: an FPGA board (AMD Kria K26, 16 nm) with one B4096 deep-learning unit (DPUCZDX8G) at 300 MHz, 8-bit codes.

The unit is AMD's published soft core; 4,096 operations a cycle, buffers in the FPGA's own memory (144 blocks of 36 kbit
and 64 of 288 kbit, not all of them its), weights and activations in the module's DDR4. Powers were measured at the 12 V
input of the board, so that regulators, processors, memory and fan are in them: its boundary is the board, not the chip.

The unit works on one image at a time. What it draws above the idle board was measured under load without the rate of
operations, so that the price of one is taken at the peak rate, which favours it; the band reaches to a tenth of it.

Its time comes within 25 % of the vendor's images/s on one thread for plain convolutional networks of 3.6 Gops and
more; networks with depthwise convolutions, or with much software on the processors, take 2 to 20 times longer there
than here.
"""

from ..digital import Roofline
from ..energy import CostTable
from ._power import idle, operations

POWER = (
    "Gubochkin 2026, simfero.eu, What one inference costs in watts (dAIEDGE 101120726): 9.15 W idle, 10.13 W under "
    "load, at the 12 V input of a KV260"
)
IDLE_WATTS, LOADED_WATTS = 9.15, 10.13  # POWER
UNIT = "DPU-PYNQ (github.com/Xilinx/DPU-PYNQ), boards/kv260_som/dpu_conf.vh: B4096"
VENDOR = "AMD UG1354 2.5, ZCU104: two such units at 300 MHz, 2.46 Tops/s"
PEAKS = {8: 4096 * 300e6}
RATES = (39.4 * 8.6, 437.1 * 3.627, 8.0 * 268.9)  # Gops/s of two units: VENDOR, images/s x Gops an image, many threads
UTILISATION = tuple(round(rate * 1e9 / (2 * PEAKS[8]), 2) for rate in RATES)
SMALL_OPS, SMALL_SECONDS = 0.06e9, 1 / 3100.6  # VENDOR: face-quality, one thread
CALL_SECONDS = (SMALL_SECONDS - SMALL_OPS / (UTILISATION[1] * PEAKS[8])) / 2  # 124 us; two calls an image

KV260 = Roofline(
    name="KV260",
    costs=CostTable(
        costs=(
            idle(
                "KV260", IDLE_WATTS, band=(1.0, 1.0), source=POWER, node_nm=16, scope="board", evidence="silicon",
                note="the board with its processors, memory and fan; whether a network was loaded is not said",
            ),
            *operations(
                "KV260", PEAKS, rated=LOADED_WATTS, idle_watts=IDLE_WATTS, source=POWER, node_nm=16,
            ),
        ),
        free={
            "memory_byte": "not published apart: the power at the board's input holds the DDR4",
            "kernel_launch": "not published; its time is charged at idle power",
            "host_byte": "not published apart: the power at the board's input holds the DDR4 and the processors",
        },
        excludes=("the mains adapter", "loading the FPGA's configuration"),
    ),
    peak_ops=PEAKS,
    bandwidth=64 / 8 * 2.4e9,
    utilisation=UTILISATION,  # 0.14, 0.65, 0.88
    host_bandwidth=64 / 8 * 2.4e9,  # the processors share the DDR4
    host_call=CALL_SECONDS,
    batch=1,
    sources={
        "peak_ops": f"{UNIT}, 4,096 operations a cycle; {VENDOR}",
        "bandwidth": "AMD DS987 v1.1, K26: 64 bits wide, 2,400 Mb/s a pin",
        "host_bandwidth": "that of the DDR4, which the processors share",
        "host_call": f"{VENDOR}: 3,100.6 images/s of face-quality (0.06 Gops) with one thread, its own software in it",
        "utilisation": "AMD UG1354 2.5, ZCU104: that of ENet_cityscapes, chen_color_resnet18 and bcc, many threads",
    },
)  # fmt: skip
