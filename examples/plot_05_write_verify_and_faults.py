"""
Write-verify and faults: pulses, tolerance and yield
====================================================

Programming pulses scatter, and some cells do not answer at all. Here a cell is pulsed until it reads within a
tolerance, by two schemes; what this costs and leaves is reported; and the embedded network runs on chips with stuck
cells and broken lines, alone, in clusters, and repaired. The pulses' time and energy are made up: give those of your
own cell.
"""

from dataclasses import replace

import numpy as np
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from scipy.stats import binom

import neuroemu as ne
from neuroemu.devices import (
    Faulty,
    Generic,
    IncrementalPulses,
    Iterative,
    NormalNoise,
    WriteVerified,
    fault_map,
    write_verify,
    yield_curve,
)

MICRO = 1e-6
rough = Generic(noise=NormalNoise(8e-6), read_noise=0.005)  # siemens, and relative to G
targets = np.full((100, 100), 12.5e-6)

# %%
# One report for each scheme. `Iterative` draws the device's own programming noise anew at each pulse;
# `IncrementalPulses` raises cells from the erased state step by step and steps back when they overshoot.
iterative = WriteVerified(
    rough, 1e-6, max_pulses=200, scheme=Iterative(), pulse_seconds=1e-7, pulse_energy=1e-11, read_energy=1e-13
)
incremental = replace(iterative, scheme=IncrementalPulses(step=1.5e-6, reset_step=1.5e-6, variation=0.3))
reports = {"Iterative": iterative, "IncrementalPulses": incremental}
reports = {name: write_verify(device, targets, np.random.default_rng(1)) for name, device in reports.items()}
for name, report in reports.items():
    print(f"{name}\n{report.table()}\n")

# %%
# How many pulses a tolerance takes, and what accuracy it buys on HERMES' array with this rough cell.
network = ne.datasets.mnist_network()
quantized = ne.quantize(network, samples=network.samples)
x, y = ne.datasets.mnist_test(200)


def accuracy(device, trials=3):
    """Accuracy of each programmed chip."""
    chip = replace(ne.chips.HERMES, device=device)
    return np.array(ne.run(quantized, chip, x, labels=y, trials=trials, progress=False).scores.by_trial)


tolerances = np.array([1, 2, 4, 6, 8, 12]) * MICRO
verified = [replace(iterative, tolerance=t, max_pulses=500) for t in tolerances]
mean_pulses = [write_verify(device, targets, np.random.default_rng(2)).pulses.mean() for device in verified]
by_tolerance = [accuracy(device) for device in verified]
unverified = accuracy(rough)
print("accuracy without verify", unverified.mean().round(3))

# %%
colours = ne.plot.COLOURS
figure = Figure(figsize=(11, 3.4), layout="constrained")
errors, pulses, gain = figure.subplots(1, 3)
for (name, report), colour in zip(reports.items(), colours, strict=False):
    errors.hist(report.error.ravel() / MICRO, np.linspace(-1.6, 1.6, 65), density=True, histtype="step", lw=1.5,
                color=colour, label=name)  # fmt: skip
    pulses.hist(report.pulses.ravel(), np.arange(0.5, 61), density=True, histtype="step", lw=1.5, color=colour)
for edge in (-1, 1):
    errors.axvline(edge, color="grey", lw=0.8, ls=":")
errors.set(xlabel="error left (uS), tolerance dotted", ylabel="density")
errors.legend(frameon=False, fontsize=8, loc="lower center")
pulses.set(xlabel="pulses of a cell", ylabel="share of the cells")
gain.semilogx(mean_pulses, 100 * np.mean(by_tolerance, axis=1), "o-", color=colours[0])
for tolerance, n, values in zip(tolerances, mean_pulses, by_tolerance, strict=True):
    gain.annotate(
        f"{tolerance / MICRO:g} uS", (n, 100 * values.mean()), (4, -11), textcoords="offset points", fontsize=8
    )
gain.axhline(100 * unverified.mean(), color="grey", lw=0.8, ls=":", label="no verify")
gain.set(xlabel="mean pulses of a cell", ylabel="accuracy (%)")
gain.legend(frameon=False, fontsize=8)
for axes in figure.axes:
    axes.grid(alpha=0.3)

# %%
# Errors of `Iterative` are the device's normal cut at the tolerance, blurred by the verify read. Steps smaller than
# twice the tolerance stop as soon as they come in from below, so their errors lean to that side.
figure  # noqa: B018 - shown by a notebook and the gallery

# %%
# Faults. Three arrays with the same share of stuck cells, and one with broken lines.
maps = {
    "alone": {"stuck_on": 0.02, "stuck_off": 0.03},
    "clusters of 16": {"stuck_on": 0.02, "stuck_off": 0.03, "cluster_size": 16.0},
    "clusters of 100": {"stuck_on": 0.02, "stuck_off": 0.03, "cluster_size": 100.0},
    "open lines": {"open_rows": 0.02, "open_columns": 0.03},
}
kinds = ListedColormap(["white", colours[1], colours[0], "0.6"])  # sound, stuck on, stuck off, open
second = Figure(figsize=(11, 3.2), layout="constrained")
for axes, (name, shares) in zip(second.subplots(1, 4), maps.items(), strict=True):
    codes = fault_map((128, 128), np.random.default_rng(3), **shares)
    image = axes.imshow(codes, cmap=kinds, norm=BoundaryNorm(np.arange(-0.5, 4), 4), interpolation="nearest")
    axes.set_title(f"{name}: {np.mean(codes > 0):.1%}", fontsize=9)
    axes.set(xticks=[], yticks=[])
bar = second.colorbar(image, ax=second.axes, ticks=range(4), shrink=0.7)
bar.ax.set_yticklabels(["sound", "stuck on", "stuck off", "open"], fontsize=8)
second  # noqa: B018 - shown by a notebook and the gallery

# %%
# Yield: accuracy over the share of faulty cells or lines, three chips each. A cell stuck off is mostly where it would
# be anyway, as most cells of differential pairs hold g_min; a cell stuck on is the largest weight there is.
shares = np.array([0.003, 0.01, 0.03, 0.1, 0.2])
curves = {
    "stuck on": lambda share: {"stuck_on": share},
    "stuck on, clusters of 16": lambda share: {"stuck_on": share, "cluster_size": 16.0},
    "stuck off": lambda share: {"stuck_off": share},
    "open rows": lambda share: {"open_rows": share},
    "open columns": lambda share: {"open_columns": share},
}
cell = ne.chips.HERMES.device
third = Figure(figsize=(6.4, 3.8), layout="constrained")
axes = third.subplots()
for (name, settings), colour in zip(curves.items(), [*colours, "black"], strict=False):
    values = 100 * np.array([accuracy(Faulty(cell, **settings(share))) for share in shares])
    axes.fill_between(100 * shares, values.min(axis=1), values.max(axis=1), color=colour, alpha=0.15, lw=0)
    axes.semilogx(100 * shares, values.mean(axis=1), "o-", ms=4, color=colour, label=name)
    print(f"{name:26}", dict(zip(shares.tolist(), values.mean(axis=1).round(1).tolist(), strict=True)))
axes.set(xlabel="share that is faulty (%)", ylabel="accuracy (%), mean and range over chips")
axes.legend(frameon=False, fontsize=8)
axes.grid(alpha=0.3)

# %%
# Every programmed chip draws its own faults. G+ and G- of a tile share the word lines, each has its own bit lines.
third  # noqa: B018 - shown by a notebook and the gallery

# %%
# Repair. Left: share of arrays of 64 x 64 pairs without a faulty column, when they are made with spare columns; lines
# are the binomial law. Right: the same on chips, where `repair="assignment"` puts each column of weights where the
# faults hurt it least. `ne.chip_yield` counts the chips that are good enough.
defects = np.geomspace(1e-5, 3e-3, 8)
spares = (0, 4, 16)
arrays = {n: yield_curve(Faulty(cell, stuck_on=1.0, spare_columns=n), (2, 64, 64), defects, arrays=120) for n in spares}
ways = {
    "no repair": {},
    "16 spare columns": {"spare_columns": 16},
    "assignment": {"repair": "assignment"},
    "assignment with 16 spares": {"repair": "assignment", "spare_columns": 16},
}
stuck = np.array([0.01, 0.03, 0.1])
fourth = Figure(figsize=(10, 3.6), layout="constrained")
left, right = fourth.subplots(1, 2)
for (n, curve), colour in zip(arrays.items(), colours, strict=False):
    fine = np.geomspace(defects[0], defects[-1], 60)
    left.semilogx(100 * fine, 100 * binom.cdf(n, 64 + n, 1 - (1 - fine) ** 128), color=colour, lw=1)
    low, high = 100 * np.abs(curve.interval.T - curve.share)
    left.errorbar(
        100 * defects, 100 * curve.share, (low, high), fmt="o", ms=4, color=colour, label=f"{n} spare columns"
    )
left.set(xlabel="cells that are stuck (%)", ylabel="good arrays (%), 95 % interval")
for (name, settings), colour in zip(ways.items(), colours, strict=False):
    devices = [Faulty(cell, stuck_on=share, **settings) for share in stuck]
    chips = [replace(ne.chips.HERMES, device=device) for device in devices]
    results = [ne.run(quantized, chip, x, labels=y, trials=3, progress=False) for chip in chips]
    right.semilogx(100 * stuck, [100 * result.accuracy for result in results], "o-", ms=4, color=colour, label=name)
    print(f"{name:26}", [ne.chip_yield(result, 0.95).share for result in results], "of the chips reach 95 %")
right.set(xlabel="cells that are stuck on (%)", ylabel="accuracy (%), mean over chips")
for axes in fourth.axes:
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8)

# %%
# Spare columns help while few columns are faulty; where all have some, it also helps to choose what they hold.
fourth  # noqa: B018 - shown by a notebook and the gallery
