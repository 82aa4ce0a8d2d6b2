"""
Wires: the voltage that reaches a device
========================================

The wires of a crossbar have resistance. A device far from its driver and far from its sense amplifier sees less voltage
than the ideal product assumes, and a short drags down its neighbours. Here is the map of a tile, what its columns lose,
and how the loss grows with the size of the array and the resistance of a wire. All solutions are exact.
"""

from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure

import neuroemu as ne
from neuroemu.crossbar import ColumnGain, HeavyRows, NoCompensation, Wires, solve, transfer
from neuroemu.devices import HermesPcm
from neuroemu.plot import COLOURS

rng = np.random.default_rng(0)
wires = Wires(word_line=2.0, bit_line=2.0, source=50.0, sense=10.0)  # ohm
conductance = rng.uniform(1e-6, 40e-6, (128, 128))  # siemens
voltages = np.full(128, 0.2)

# %%
# Every node of the circuit, and where the power goes.
solution = solve(conductance, voltages, wires, full=True)
total = solution.power_supply
for name, part in (("devices", solution.power_devices), ("wires", solution.power_wires), ("ends", solution.power_ends)):
    print(f"{name:8} {part / total:6.1%} of {1e3 * total:.2f} mW")

shorted = conductance.copy()
shorted[40, 70] = np.inf
both = replace(wires, drive="both", readout="both")
maps = {
    "driven left, sensed below": (conductance, wires),
    "driven and sensed at both ends": (conductance, both),
    "one shorted device": (shorted, wires),
}
figure = Figure(figsize=(11, 3.6), layout="constrained")
for axes, (name, (g, w)) in zip(figure.subplots(1, 3), maps.items(), strict=True):
    s = solve(g, voltages, w, full=True)
    image = axes.imshow(100 * (s.word_voltages - s.bit_voltages) / voltages[0], vmin=0, vmax=100, cmap="viridis")
    axes.set_title(name, fontsize=10)
    axes.set(xlabel="bit line", ylabel="word line")
figure.colorbar(image, ax=figure.axes, label="voltage across the device (% of the drive)", shrink=0.85)

# %%
# Drivers stand at the left and sense amplifiers at the bottom, so the far corner is at the top right. A short takes its
# word line and its bit line to one voltage.
figure  # noqa: B018 - shown by a notebook and the gallery

# %%
# With linear devices the whole circuit is a matrix, I = V @ T. It is computed once; each further vector is a row of a
# matrix product. Rows of T tell what a device contributes through all the others.
operator = transfer(conductance, wires)
inputs = rng.uniform(0, 0.2, (500, 128))
ideal, real = inputs @ conductance, inputs @ operator
print("largest error of the ideal product:", f"{abs(ideal - real).max() / abs(real).max():.0%}")

sizes = (8, 16, 32, 64, 128, 256)
arrays = [rng.uniform(1e-6, 40e-6, (n, n)) for n in sizes]
curves = {
    "1 ohm": Wires(1.0, 1.0),
    "2 ohm": Wires(2.0, 2.0),
    "5 ohm": Wires(5.0, 5.0),
    "2 ohm, both ends": Wires(2.0, 2.0, drive="both", readout="both"),
}
second = Figure(figsize=(11, 3.6), layout="constrained")
columns, scatter, loss = second.subplots(1, 3)
columns.plot(1e6 * ideal[0], color="grey", lw=1, label="ideal product")
columns.plot(1e6 * real[0], color=COLOURS[0], lw=1, label="with wires")
columns.set(xlabel="bit line", ylabel="current (uA)", ylim=(0, None))
columns.legend(frameon=False, fontsize=8)
scatter.plot(1e6 * ideal[:100].ravel(), 1e6 * real[:100].ravel(), ",", color=COLOURS[0])
scatter.plot([0, 500], [0, 500], color="grey", lw=0.8, ls=":")
scatter.set(xlabel="ideal current (uA)", ylabel="current (uA)", xlim=(150, 420), ylim=(0, 420))
for (name, each), colour in zip(curves.items(), COLOURS, strict=False):
    lost = [1 - transfer(g, each).sum() / g.sum() for g in arrays]
    loss.loglog(sizes, 100 * np.array(lost), "o-", ms=4, color=colour, label=name, base=2)
    print(f"{name:18}", dict(zip(sizes, np.round(100 * np.array(lost), 2).tolist(), strict=True)))
loss.set(xlabel="rows and columns", ylabel="current lost, all rows driven (%)")
loss.set_yscale("log", base=10)
loss.legend(frameon=False, fontsize=8)
for axes in second.axes:
    axes.grid(alpha=0.3)

# %%
# Columns lose different shares, so one gain for the array does not mend it. The loss grows with the square of the size
# while it is small: more devices draw current, through more wires.
second  # noqa: B018 - shown by a notebook and the gallery

# %%
# A whole network on HERMES' cells, one hour after programming, with wires of 10 ohm between neighbours. What the chip
# may do about it: a gain for each column, fitted on training images after programming, or an order of the rows that
# brings those of large weights next to the sense amplifiers. One layer loses 40 % of its current: a gain for each
# column gives back most of the accuracy, the order of the rows little.
network = ne.datasets.mnist_network()
quantized = ne.quantize(network, samples=network.samples)
x, y = ne.datasets.mnist_test(500)
bare = replace(
    ne.chips.HERMES, device=HermesPcm(read_noise=False), wires=Wires(10.0, 10.0), compensation=NoCompensation()
)
cases = {
    "without wires": replace(bare, wires=None),
    "with wires": bare,
    "heavy rows near the amplifiers": replace(bare, row_order=HeavyRows(end="last")),
    "heavy rows far from them": replace(bare, row_order=HeavyRows(end="first")),
    "a gain for each column": replace(bare, compensation=ColumnGain()),
    "both": replace(bare, compensation=ColumnGain(), row_order=HeavyRows(end="last")),
}
exact = ne.run_integer(quantized, x)
for label, chip in cases.items():
    result = ne.run(quantized, chip, x, labels=y)
    lost = max(result.traces.get("current lost in wires", {"": 0.0}).values())
    error = np.abs(result.outputs - exact).mean() / np.abs(exact).mean()
    print(f"{label:32} accuracy {result.accuracy:.1%}  error {error:5.1%}  most current lost in a layer {lost:.0%}")
