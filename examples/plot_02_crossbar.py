"""
A crossbar alone: bits, drift and compensation
==============================================

What limits an analog chip? Here the converters, the time since programming and the digital compensation of one preset
are varied, with everything else as it is.
"""

from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure

import neuroemu as ne
from neuroemu.crossbar import (
    Adc,
    ColumnAffine,
    NoCompensation,
    TileGain,
)

network = ne.datasets.mnist_network()
quantized = ne.quantize(network, samples=network.samples)
x, y = ne.datasets.mnist_test(200)

# %%
# The layers on tiles of 256 x 256 cells.
placement = ne.place(quantized, ne.chips.HERMES)
print(placement.table())
ne.plot.tiles(placement)


# %%
# What each imperfection adds to the error of each layer, one hour after programming.
budget = ne.crossbar.noise_budget(quantized, ne.chips.HERMES, x[:50])
print(budget)
ne.plot.noise_budget(budget)


# %%
# Accuracy over the bits of the ADC. Ranges are calibrated on training images for each setting.
def accuracy(chip, trials=2):
    return ne.run(quantized, chip, x, labels=y, trials=trials).scores.by_trial


bits = range(3, 10)
by_bits = [accuracy(replace(ne.chips.HERMES, adc=Adc(bits=b)), trials=2) for b in bits]

# %%
# Accuracy over the time since programming, with three ways to compensate drift.
times = np.logspace(1, 7, 5)
by_time = {
    mode: [accuracy(replace(ne.chips.HERMES, seconds=float(t), compensation=mode), trials=2) for t in times]
    for mode in (NoCompensation(), TileGain(), ColumnAffine())
}

# %%
figure = Figure(figsize=(9, 3.6), layout="constrained")
left, right = figure.subplots(1, 2, sharey=True)
left.plot(bits, 100 * np.mean(by_bits, axis=1), "o-", color=ne.plot.COLOURS[0])
left.set(xlabel="ADC bits", ylabel="accuracy (%)")
for (mode, values), colour in zip(by_time.items(), ne.plot.COLOURS, strict=False):
    right.plot(times, 100 * np.mean(values, axis=1), "o-", color=colour, label=f"compensation: {mode}")
right.set(xscale="log", xlabel="seconds since programming")
right.legend(frameon=False, fontsize=8)
for axes in (left, right):
    axes.grid(alpha=0.3)
print("ADC bits ", dict(zip(bits, np.mean(by_bits, axis=1).round(3).tolist(), strict=True)))

# %%
# Without a compensation, drift moves the sums out of the range that the next layer expects.
figure  # noqa: B018 - shown by a notebook and the gallery
