"""
Passive arrays: reading one cell among many
===========================================

Without a transistor in each cell, a read of one cell also reads what leaks through its neighbours, and half of its
voltage reaches cells that should rest. Here: maps of the voltage that cells of a programmed tile see behind resistive
wires, and the read margin of the worst cell against the size of the array, for two ways to bias the other lines and
with a threshold selector.
"""

import numpy as np
from matplotlib.figure import Figure

import neuroemu as ne
from neuroemu.crossbar import Selector, Series, Sinh, Wires, ir_drop, program, read_margin

# %%
# The largest tile of the embedded network on HERMES' cells, with 2 ohm of wire between neighbours, all rows driven
# alike. Drivers stand at the left, sense amplifiers below.
network = ne.datasets.mnist_network()
made = program(ne.quantize(network, samples=network.samples), ne.chips.HERMES)
ne.plot.ir_drop(ir_drop(made, Wires(word_line=2.0, bit_line=2.0), layer="conv3"))

# %%
# The margin (I_on - I_off) / I_on of the cell farthest from driver and amplifier, over the worst of all-on and all-off
# data, with cells of 10 kOhm and 1 MOhm and 1 ohm wires. At 0 a read cannot tell on from off.
sizes = (2, 4, 8, 16, 32, 64)
wires, cells = Wires(1.0, 1.0), {"on": 1e-4, "off": 1e-6, "volts": 0.6}
selector = Series(Sinh(1e-3), Selector(threshold=0.35, on=1e3, off=1e8))
margins = {
    "other lines float": read_margin(sizes, wires, scheme="floating", **cells),
    "other lines at V/2": read_margin(sizes, wires, scheme="V/2", **cells),
    "other lines at V/3": read_margin(sizes, wires, scheme="V/3", **cells),
    "V/2 with a selector, 0.35 V": read_margin(sizes, wires, scheme="V/2", device=selector, **cells),
}
figure = Figure(figsize=(9, 3.6), layout="constrained")
left, right = figure.subplots(1, 2)
for (label, found), colour in zip(margins.items(), ne.plot.COLOURS, strict=False):
    left.plot(sizes, 100 * found.margin, "o-", color=colour, label=label)
    right.plot(sizes, 100 * found.disturb, "o-", color=colour)
    print(f"{label:28}", np.round(100 * found.margin, 1))
left.set(xscale="log", xlabel="rows and columns", ylabel="read margin (%)", ylim=(-110, 110))
right.set(xscale="log", xlabel="rows and columns", ylabel="largest voltage on another cell (% of V)", ylim=(0, None))
for axes in (left, right):
    axes.set_xticks(sizes, sizes)
    axes.minorticks_off()
    axes.grid(alpha=0.3)
left.legend(frameon=False, fontsize=8)

# %%
# Half of the read voltage on a resting cell is what disturbs it over many reads; a third is less, and costs more
# current in all lines.
figure  # noqa: B018 - shown by a notebook and the gallery
