"""
Memristors: hysteresis loops of eight models
============================================

A memristor's resistance depends on what has flowed through it. Under a sine its current over voltage is a loop that is
pinched at the origin: no voltage, no current, whatever the state. Here are the loops of all dynamic models with their
published parameters, and how the loop closes when the sine gets faster than the device.
"""

import numpy as np
from matplotlib.figure import Figure

from neuroemu.devices import dynamics as dy
from neuroemu.plot import COLOURS

# %%
# Model, amplitude in volts, frequency in hertz. The devices differ by eight orders of magnitude in speed.
loops = {
    "HP, no window": (dy.ION_DRIFT_HP, 1.0, 0.6),
    "HP, Joglekar p = 7": (dy.ION_DRIFT_JOGLEKAR, 1.0, 15.0),
    "HP, Biolek p = 7": (dy.ION_DRIFT_BIOLEK, 1.0, 12.0),
    "HP, Prodromakis p = 5": (
        dy.IonDrift(r_on=100.0, r_off=16e3, thickness=10e-9, mobility=1e-14, window=dy.Prodromakis(5.0), initial=0.1),
        1.5,
        0.5,
    ),
    "VTEAM": (dy.VTEAM, 1.0, 5e6),
    "Yakopcic, set A": (dy.YAKOPCIC_A, 0.45, 100.0),
    "Yakopcic, set B": (dy.YAKOPCIC_B, 1.0, 100.0),
    "Stanford-PKU": (dy.STANFORD_PKU, 1.5, 1e5),
    "data-driven 2017": (dy.DATA_DRIVEN_2017, 1.5, 1e3),
    "data-driven 2021": (dy.DATA_DRIVEN_2021, 1.5, 1e4),
    "Knowm MMS": (dy.KNOWM_MMS, 0.5, 100.0),
    "UMich, memory fades": (dy.UMICH_VOLATILE, 1.0, 1.0),
}
steps = 20_000  # in a period


def loop(model, amplitude, frequency, periods=3):
    """Voltages and currents of a sine that begins at zero; a fast SET may move a state far in one step."""
    voltage = amplitude * np.sin(2 * np.pi * np.arange(int(periods * steps) + 1) / steps)
    currents, _ = dy.simulate(model, voltage, 1 / frequency / steps, model.initial_state(), largest_move=0.5)
    return voltage, currents


# %%
def prefix(size):
    """Scale and name that bring a current to 1..1000."""
    return next((s, n) for s, n in ((1.0, "A"), (1e3, "mA"), (1e6, "uA"), (1e9, "nA")) if size * s >= 1)


figure = Figure(figsize=(11, 7.5), layout="constrained")
for axes, (name, (model, amplitude, frequency)) in zip(figure.subplots(3, 4).flat, loops.items(), strict=True):
    voltage, currents = loop(model, amplitude, frequency)
    scale, unit = prefix(np.abs(currents).max())
    for period, colour in enumerate(COLOURS[:3]):
        part = slice(period * steps, (period + 1) * steps + 1)
        axes.plot(voltage[part], scale * currents[part], color=colour, lw=1.2, label=f"period {period + 1}")
    axes.axhline(0, color="grey", lw=0.5)
    axes.axvline(0, color="grey", lw=0.5)
    axes.set_title(f"{name}, {frequency:g} Hz", fontsize=9)
    axes.set_xlabel("V", fontsize=8)
    axes.set_ylabel(unit, fontsize=8)
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.2)
    last = slice(-steps // 2, None)  # the half period of negative voltages
    print(f"{name:22} area of the negative lobe {abs(np.trapezoid(currents[last], voltage[last])):.2e} V A")
figure.axes[0].legend(frameon=False, fontsize=7)

# %%
# Each loop passes through the origin. Periods differ where the device has not yet settled into its cycle.
figure  # noqa: B018 - shown by a notebook and the gallery

# %%
# The faster the sine, the less the state moves within it: the lobes shrink, in the end to the line of a resistor.
# The area of a lobe over the frequency tells how fast a device is.
multiples = np.array([1, 2, 5, 20])
sweep = {"HP, no window": (dy.ION_DRIFT_HP, 1.0, 0.6), "HP, Biolek p = 7": (dy.ION_DRIFT_BIOLEK, 1.0, 12.0)}
second = Figure(figsize=(10, 3.6), layout="constrained")
panels = second.subplots(1, 3)
for axes, (name, (model, amplitude, frequency)) in zip(panels, sweep.items(), strict=False):
    for multiple, colour in zip(multiples, COLOURS, strict=False):
        voltage, currents = loop(model, amplitude, frequency * multiple, periods=1)
        axes.plot(voltage, 1e3 * currents, color=colour, label=f"{frequency * multiple:g} Hz")
    axes.set(title=name, xlabel="V", ylabel="mA")
    axes.legend(frameon=False, fontsize=8)
many = np.logspace(0, 2.5, 12)
for (name, (model, amplitude, frequency)), colour in zip(sweep.items(), COLOURS, strict=False):
    areas = []
    for multiple in many:
        voltage, currents = loop(model, amplitude, frequency * multiple, periods=0.5)
        areas.append(abs(np.trapezoid(currents, voltage)))
    panels[2].loglog(frequency * many, areas, "o-", ms=3, color=colour, label=name)
panels[2].set(xlabel="frequency (Hz)", ylabel="area of a lobe (V A)")
panels[2].legend(frameon=False, fontsize=8)
for axes in panels:
    axes.grid(alpha=0.3)

# %%
# At high frequency the area falls as 1 / f.
second  # noqa: B018 - shown by a notebook and the gallery
