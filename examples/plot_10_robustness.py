"""
Six imperfections, two networks
===============================

How much does each imperfection of an analog chip cost? Each sweep varies one of them on the HERMES preset, on ten
programmed chips; shaded bands are 95 % intervals over the chips. The embedded network has four layers, ResNet-8 ten:
noise that a small network does not notice adds up in a deep one. Neither was trained for noise.

The figures below were made by ``python benchmarks/robustness.py``, which takes half an hour; one of the sweeps is run
here anew with few images.
"""

from dataclasses import replace
from pathlib import Path

import neuroemu as ne
from neuroemu.devices import Faulty, HermesPcm

network = ne.datasets.mnist_network()
quantized = ne.quantize(network, samples=network.samples)
x, y = ne.datasets.mnist_test(200)


# %%
# Stuck cells, half of them at the highest and half at the lowest conductance, on three chips.
def stuck(percent):
    device = Faulty(HermesPcm(), stuck_on=percent / 200, stuck_off=percent / 200)
    return quantized, replace(ne.chips.HERMES, device=device)


print(ne.sweep(stuck, (0.1, 1.0, 3.0, 10.0), x, labels=y, name="stuck cells (%)", trials=3))

# %%
# The stored sweeps. Images of ResNet-8 are from the training set of CIFAR-10, as no others were at hand: its absolute
# accuracy is rosy, the losses are not.
here = Path(__file__).resolve().parent if "__file__" in globals() else Path.cwd()
folder = here.parent / "docs" / "robustness"


def stored(name):
    return {label: ne.Sweep.read(folder / f"{label}_{name}.csv") for label in ("mnist_cnn", "resnet8")}


ne.plot.sweep(stored("adc_bits"))

# %%
# Bits of the weights, quantized after training.
ne.plot.sweep(stored("weight_bits"))

# %%
# The ratio of the highest to the lowest conductance of a cell.
ne.plot.sweep(stored("on_off_ratio"), logarithmic=True)

# %%
# Read noise of every device at each read, as a share of its conductance.
ne.plot.sweep(stored("read_noise"), logarithmic=True)

# %%
# Stuck cells.
ne.plot.sweep(stored("stuck_cells"), logarithmic=True)

# %%
# Time since programming, with a gain and an offset for each column fitted anew at each time.
ne.plot.ageing(stored("time"))
