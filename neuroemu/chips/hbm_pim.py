"""One cube of HBM-PIM (Samsung Aquabolt-XL, 2021) as a roofline: compute units at the banks, at the banks' bandwidth.

128 units of 16 lanes at 300 MHz multiply and add fp16; codes of 8 bits run at that rate. Neither an energy a bit nor
one an operation was published, so joules are unknown until prices are given.
"""

from ..digital import Roofline
from ..energy import CostTable

MAXIMUM_PC = "pocketmags.com, Maximum PC April 2021: 1.2 Tflops fp16 at 300 MHz, 4 times the bandwidth of the pins"
PINS = 1024 * 2.4e9 / 8  # bytes/s; 2.4 Gbit/s a pin (colunatech.com.br, samsung-4-16472), 1024 pins as any HBM2 cube

HBM_PIM = Roofline(
    name="HBM-PIM",
    costs=CostTable(
        free={"kernel_launch": "not published"},
        excludes=("host processor, which issues all commands",),
        unpriced="no energy a bit or an operation of HBM-PIM was published; give a CostTable of your own",
    ),
    peak_ops={8: 1.2e12, 16: 1.2e12},
    bandwidth=4 * PINS,  # 1.23 TB/s
    utilisation=(0.1, 0.5, 0.9),
    batch=1,
    sources={
        "peak_ops": MAXIMUM_PC,
        "bandwidth": f"{MAXIMUM_PC}; 2.4 Gbit/s a pin, colunatech.com.br samsung-4-16472",
        "utilisation": "assumed",
    },
)
