"""Describing: a chip in words and units, and what makes its results rosier than hardware. Enter a chip, leaves text.

What is said of cells is measured: a few thousand of them are programmed with a fixed seed and looked at, so that it
holds for any device, the user's own included.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np

from .._counts import si
from ..devices import Device, Ideal
from ..errors import InputError
from ..network import layers as L
from ..network.graph import Network
from . import mapping as M
from .building import current_unit
from .converters import Adc
from .counting import notes_of

SHAPE = (64, 64)  # cells that are looked at, at each of three levels
LEVELS = {"lowest": 0.0, "middle": 0.5, "highest": 1.0}  # shares of the range from g_min to g_max
ROUNDING = 1e-12
DAY, YEAR = 86400.0, 31_557_600.0  # s
BOLTZMANN = 1.380649e-23  # J/K, exact, SI 2019
KELVIN = 300.0  # at which the thermal noise of cells is said


@dataclass(frozen=True)
class CellFacts:
    """What a device does, measured on cells at the three LEVELS; siemens.

    error: root mean square of what programming misses the target by; 0 below ROUNDING of g_max. kept: share of the
    highest level that is left after `seconds`, a day and a year, NaN where the device was not measured for so long.
    noise: standard deviation of a read at `seconds`; shares: fresh, slow, frozen.
    """

    error: tuple[float, ...]
    kept: tuple[float, float, float]
    noise: tuple[float, ...]
    shares: tuple[float, float, float]


def facts_of(device: Device, *, seconds: float, image_seconds: float, session_seconds: float) -> CellFacts:
    """Measure a device; the same numbers each time."""
    error, noise = [], []
    for share in LEVELS.values():
        target = np.full(SHAPE, device.g_min + share * (device.g_max - device.g_min))
        cells = device.program(target, np.random.default_rng(0))
        missed = float(np.sqrt(np.mean(np.square(cells.conductance - target))))
        error.append(missed if missed > ROUNDING * device.g_max else 0.0)
        noise.append(float(np.sqrt(np.mean(np.square(device.read_sigma(cells, seconds))))))
        if share == 1.0:
            kept = tuple(_kept(device, cells, t) for t in (seconds, DAY, YEAR))
    split = device.read_shares(seconds, image_seconds=image_seconds, session_seconds=session_seconds)
    shares = tuple(float(np.mean(v)) for v in (split.fresh, split.slow, split.frozen))
    return CellFacts(tuple(error), kept, tuple(noise), shares)


def _kept(device: Device, cells, seconds: float) -> float:
    """Mean conductance over that right after programming."""
    try:
        return float(np.mean(device.conductance(cells, seconds)) / np.mean(device.conductance(cells, 0.0)))
    except InputError:  # measured tables end somewhere
        return float("nan")


def describe(chip) -> str:
    """A crossbar chip in words and units, a line for each part."""
    facts = _facts(chip)
    cores = "as many cores as a network takes" if chip.cores is None else f"{chip.cores} cores"
    timing = f"{si(chip.read_seconds, 's')} a read; read noise: below {si(chip.image_seconds, 's')} fresh, beyond "
    timing += f"{si(chip.session_seconds, 's')} frozen"
    lines = [
        ("chip", f"{chip.name}: {cores} of {chip.rows} rows x {chip.columns} columns"),
        ("device", repr(chip.device)),
        ("conductance", f"{si(chip.device.g_min, 'S')} to {si(chip.device.g_max, 'S')}"),
        ("programming", _programming(facts)),
        ("drift", _drift(chip, facts)),
        ("read noise", _noise(chip, facts)),
        ("mapping", repr(chip.mapping)),
        ("row order", repr(chip.row_order)),
        ("inputs", f"{chip.inputs}, {chip.dac}"),
        ("converters", repr(chip.adc)),
        ("compensation", repr(chip.compensation)),
        ("with spikes", repr(chip.neurons)),
        *(() if chip.wires is None else (("wires", f"{chip.wires}, noise {chip.noise_in_wires}"),)),
        ("time", timing),
        ("layers", f"{chip.schedule}, {chip.copies}, {si(chip.transit_seconds, 's')} on the way between layers"),
        ("area", str(chip.area)),
        *(("conversions", text) for text in notes_of(chip)),
        *(("not priced", item) for item in chip.costs.excludes),
        *(("rosy", text) for text in _rosy_cells(chip, facts)),
    ]
    return "\n".join(f"{name:13} {text}" for name, text in lines)


def rosy(chip, network: Network, engines) -> tuple[str, ...]:
    """A line for each setting that makes a run on these engines look better than hardware would."""
    found = list(_rosy_cells(chip, _facts(chip)))
    for layer in network.weighted:
        text = _too_fine(chip, network, layer, engines[layer.name])
        if text:
            found.append(text)
    return tuple(found)


def thermal_current(chip, network: Network, layer: L.Weighted) -> float:
    """Johnson noise of a typical column, amperes: sqrt(4 k T sum(G) / (2 read_seconds)), G as the mapping asks for."""
    layout, top = chip.layout(layer), chip.mapping.top(M.largest_code(layer))
    cells = [t for t in chip.mapping.targets(layout.levels, top, chip.device) if t is not None]
    rows = min(chip.rows, len(layout.levels))
    total = sum(float(np.mean(t)) for t in cells) * rows * chip.mapping.copies
    return sqrt(4 * BOLTZMANN * KELVIN * total / (2 * chip.read_seconds))


def _rosy_cells(chip, facts: CellFacts):
    if isinstance(chip.device, Ideal):
        return
    if not any(facts.error):
        yield "cells are programmed without error; a device with programming noise shows what writing costs"
    if not any(facts.noise):
        yield "reads have no noise; give the device read noise, as WithReadNoise(device, ...) does"
    if chip.seconds == 0 and abs(facts.kept[1] - 1) > 1e-3:
        yield (
            f"cells are read 0 s after programming and drift later, to {facts.kept[1]:.1%} in a day; set seconds with "
            "replace(chip, seconds=...)"
        )


def _too_fine(chip, network, layer, engine) -> str | None:
    """A warning where an ADC step is below the thermal noise of the cells alone."""
    if isinstance(chip.device, Ideal) or not isinstance(chip.adc, Adc) or engine.tables.step is None:
        return None
    live = engine.tables.back != 0
    if not live.any():
        return None
    step = float(np.median(engine.tables.step[live])) * current_unit(chip, network, layer)
    floor = thermal_current(chip, network, layer)
    if step >= floor:
        return None
    return (
        f"layer '{layer.name}': a step of the {chip.adc.bits}-bit ADC is {si(step, 'A')}, and the thermal noise of a "
        f"column's cells {si(floor, 'A')} in a read of {si(chip.read_seconds, 's')}; use fewer bits or longer reads"
    )


def _facts(chip) -> CellFacts:
    spans = {"image_seconds": chip.image_seconds, "session_seconds": chip.session_seconds}
    return facts_of(chip.device, seconds=chip.seconds, **spans)


def _programming(facts: CellFacts) -> str:
    if not any(facts.error):
        return "exact"
    each = ", ".join(f"{si(v, 'S')} {name}" for name, v in zip(LEVELS, facts.error, strict=True))
    return f"root mean square error at the levels: {each}"


def _drift(chip, facts: CellFacts) -> str:
    left = [(facts.kept[1], "a day"), (facts.kept[2], "a year")]
    if chip.seconds:
        left.insert(0, (facts.kept[0], _duration(chip.seconds)))
    told = ", ".join(f"{share:.1%} after {t}" for share, t in left if np.isfinite(share)) or "not measured for a day"
    read = f"read {_duration(chip.seconds)} after programming" if chip.seconds else "read right after programming"
    return f"{told} (highest level); {read}"


def _duration(seconds: float) -> str:
    for length, name in ((YEAR, "years"), (DAY, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= length:
            return f"{seconds / length:.3g} {name}"
    return si(seconds, "s")


def _noise(chip, facts: CellFacts) -> str:
    if not any(facts.noise):
        return "none"
    each = ", ".join(f"{si(v, 'S')} {name}" for name, v in zip(LEVELS, facts.noise, strict=True))
    split = ", ".join(f"{v:.0%} {name}" for name, v in zip(("fresh", "slow", "frozen"), facts.shares, strict=True))
    return f"standard deviation {each}; of the variance {split}"
