"""
A cell of your own: a device in 30 lines
========================================

A device is a class with four methods: what programming leaves, where the conductance is some seconds later, how noisy
a read is, and how that noise splits by time scale. Here is one that no paper describes: it is programmed with a
relative error, and each cell forgets, at a pace of its own, towards a conductance where it rests. All its numbers are
made up; put those of your measurements in their place.
"""

from dataclasses import dataclass, replace

import numpy as np
from matplotlib.figure import Figure

import neuroemu as ne
from neuroemu.crossbar import ColumnAffine, NoCompensation
from neuroemu.devices import Cells, Device, Faulty, ReadShares


# %%
# Conductances are in siemens, times in seconds since programming. `target` has any shape; what a cell must remember
# goes into `Cells.state`, in arrays of that shape. All that is random comes from the generator that is handed in, so
# the seed of a run decides it.
@dataclass(frozen=True)
class Forgetful(Device):
    """G(t) = rest + (G_0 - rest) exp(-t / tau),  G_0 = target (1 + error N),  tau = mean_tau exp(spread N')."""

    g_min: float = 1e-6
    g_max: float = 50e-6
    error: float = 0.05
    rest: float = 8e-6
    mean_tau: float = 1e6
    spread: float = 1.0
    read_noise: float = 0.01  # relative to G

    def program(self, target, generator):
        error, pace = generator.standard_normal((2, *target.shape))
        conductance = np.maximum(target * (1 + self.error * error), 0.0)
        return Cells(conductance, state={"tau": self.mean_tau * np.exp(self.spread * pace)})

    def conductance(self, cells, seconds):
        return self.rest + (cells.conductance - self.rest) * np.exp(-seconds / cells.state["tau"])

    def read_sigma(self, cells, seconds):
        return self.read_noise * self.conductance(cells, seconds)

    def read_shares(self, seconds, *, image_seconds, session_seconds, cells=None):
        return ReadShares(fresh=0.4, slow=0.2, frozen=0.4)  # anew at each read, for an image, for a session


# %%
# It goes wherever a device goes: into a preset chip, or under the wrappers that add faults, read noise or write-verify.
network = ne.datasets.mnist_network()
quantized = ne.quantize(network, samples=network.samples)
x, y = ne.datasets.mnist_test(500)
chip = replace(ne.chips.HERMES, device=Forgetful(), seconds=0.0)
print(ne.run(quantized, chip, x, labels=y, progress=False))
faulty = replace(chip, device=Faulty(Forgetful(), stuck_off=0.05))
print("with 5 % of the cells stuck off:", ne.run(quantized, faulty, x, labels=y, progress=False).accuracy)

# %%
# What it does to the network over time, with and without gains and offsets fitted on training images at that time.
times = np.array([1e4, 1e5, 2e5, 4e5, 1e6, 2e6])
rules = {"no compensation": NoCompensation(), "gain and offset a column": ColumnAffine()}
accuracy = {
    name: [
        ne.run(quantized, replace(chip, seconds=float(t), compensation=rule), x, labels=y, progress=False).accuracy
        for t in times
    ]
    for name, rule in rules.items()
}

# %%
device, colours = chip.device, ne.plot.COLOURS
levels = np.array([2e-6, 20e-6, 45e-6])
cells = device.program(np.tile(levels, (500, 1)), np.random.default_rng(1))
later = np.geomspace(1e4, 1e7, 81)
paths = np.stack([device.conductance(cells, t) for t in later]) * 1e6  # (times, cells, levels)

figure = Figure(figsize=(10, 3.6), layout="constrained")
left, right = figure.subplots(1, 2)
for index, level in enumerate(levels):
    low, middle, high = np.quantile(paths[:, :, index], (0.1, 0.5, 0.9), axis=1)
    left.fill_between(later, low, high, color=colours[index], alpha=0.2, lw=0)
    left.semilogx(later, middle, color=colours[index], label=f"{level * 1e6:g} uS")
left.axhline(device.rest * 1e6, color="grey", lw=0.8, ls=":")
left.set(xlabel="time after programming (s)", ylabel="conductance (uS)", title="median and 80 % of 500 cells")
left.legend(frameon=False, fontsize=8, title="programmed to", title_fontsize=8)
for (name, values), colour in zip(accuracy.items(), colours, strict=False):
    right.semilogx(times, 100 * np.array(values), "o-", ms=4, color=colour, label=name)
right.set(xlabel="time after programming (s)", ylabel="accuracy (%)", ylim=(0, 101))
right.legend(frameon=False, fontsize=8, loc="lower left")
for axes in (left, right):
    axes.grid(alpha=0.3)

# %%
# Gains can undo what all cells of a column lose alike. What each cell loses at a pace of its own they cannot.
figure  # noqa: B018 - shown by a notebook and the gallery
