"""
One chip over ten years: programmed, aged, recalibrated, saved
==============================================================

A chip is programmed once. Its cells then keep their conductances, drift exponents and faults, whatever is read from
them and when. Here one chip is looked at in words, aged from a second to ten years under five ways to compensate drift,
and stored in a file.
"""

import tempfile
from dataclasses import replace
from pathlib import Path

import neuroemu as ne
from neuroemu.crossbar import (
    BatchNorm,
    ColumnAffine,
    NoCompensation,
    ReferenceColumns,
    TileGain,
    load_programmed,
    program,
)

network = ne.datasets.mnist_network()
quantized = ne.quantize(network, samples=network.samples)
x, y = ne.datasets.mnist_test(300)

# %%
# What the preset is, in words and units. What is said of its cells is measured on a few thousand of them.
print(ne.chips.HERMES.describe())

# %%
# Accuracy of the same programmed cells against time. Gains and offsets are fitted on training images, at each time
# anew; reference columns need no images.
rules = {
    "no compensation": NoCompensation(),
    "a gain a tile": TileGain(),
    "reference columns": ReferenceColumns(),
    "batch norm recalibrated": BatchNorm(),
    "gain and offset a column": ColumnAffine(),
}
aged = ne.ageing(quantized, ne.chips.HERMES, x, labels=y, compensations=rules)
for label, sweep in aged.items():
    print(f"{label:26}", *(f"{100 * a:6.2f}" for a in sweep.column("accuracy")))
ne.plot.ageing(aged)

# %%
# One chip of its own: calibrated after an hour, and never again, beside the same chip calibrated where it is read.
made = program(quantized, ne.chips.HERMES, seed=7)
once = made.at(3600.0).calibrated()
year = 31_557_600.0
for label, chip in {"calibrated after an hour": once.at(year), "calibrated after a year": made.at(year)}.items():
    print(label, ne.run(quantized, chip, x, labels=y).accuracy)

# %%
# A file holds cells and calibration. How they are read is said by the chip that is given, here one with a 6-bit ADC.
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "chip7.npz"
    made.save(path)
    print(f"{path.stat().st_size / 1e6:.1f} MB")
    coarse = replace(ne.chips.HERMES, adc=ne.crossbar.Adc(bits=6))
    again = load_programmed(path, quantized, coarse)
    print(ne.run(quantized, again, x, labels=y))
