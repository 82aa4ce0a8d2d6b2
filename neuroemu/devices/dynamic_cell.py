"""Dynamic memristors as cells of a crossbar: programmed by voltage pulses that move their state, and verified.

    r = I(x, v_read) / v_read;   stop when |r - target| <= tolerance, or after max_pulses
    x <- x + integral of dx/dt over a SET pulse when r < target, over a RESET pulse when r > target

The n-th pulse in a row of one direction may be higher or longer than the first. The energy of a pulse is the integral
of V I(x, V) dt along the path of the state, as the model has it: no price is assumed.
"""

from dataclasses import dataclass, field

import numpy as np

from .. import _checks
from ..errors import InputError
from . import _parameters
from ._arrays import blocks, normals
from .base import Cells, ReadShares, held_if_stuck
from .dynamics import Memristor, simulate
from .report import ProgrammingReport, PulsedDevice

MOST_PULSES = 100_000
PARTS = 8  # of a pulse, between whose ends its energy is integrated
TOGETHER = 4096  # cells whose path through a pulse stays in cache
SIMPSON = np.array([1, 4, 2, 4, 2, 4, 2, 4, 1]) / 3


@dataclass(frozen=True)
class Pulse:
    """A square pulse: volts, of either sign, for seconds."""

    volts: float
    seconds: float

    def __post_init__(self):
        if _checks.real(self.volts, who="Pulse", name="volts") == 0:
            raise InputError("Pulse: volts is 0; a pulse needs a voltage")
        _parameters.positive(self.seconds, who="Pulse", name="seconds")


@dataclass(frozen=True)
class PulseGrowth:
    """What each further pulse in a row of one direction adds: volts to its magnitude, seconds to its width, >= 0.

    A pulse of the other direction starts again with the first.
    """

    volts: float = 0.0
    seconds: float = 0.0

    def __post_init__(self):
        for name in ("volts", "seconds"):
            _checks.real(getattr(self, name), who="PulseGrowth", name=name, low=0.0)


@dataclass(frozen=True)
class Spread:
    """Differences between devices and between pulses: standard deviations of natural logarithms, each 0 to 1.

    Parameters
    ----------
    threshold, cycle_threshold : float
        A state moves as if the voltage were V / e^(sigma N): all voltages of the model's motion scale, its thresholds
        among them. Drawn once a device, and once a pulse.
    speed, cycle_speed : float
        A state moves e^(sigma N) times as fast.
    size : float
        A device conducts e^(sigma N) times the model's current, at the same state. Drawn once a device.
    """

    threshold: float = 0.0
    speed: float = 0.0
    size: float = 0.0
    cycle_threshold: float = 0.0
    cycle_speed: float = 0.0

    def __post_init__(self):
        for name in self.__dataclass_fields__:
            _checks.real(getattr(self, name), who="Spread", name=name, low=0.0, high=1.0)


@dataclass(frozen=True)
class DynamicCell(PulsedDevice):
    """A dynamic memristor that is programmed by pulses and verified.

    Conductance is I / V at `v_read`. `Cells.state` holds each cell's "memristor" (the model's state), its "speed" and
    "size", and "pulses".

    Parameters
    ----------
    model : Memristor
        As VTEAM, YAKOPCIC_A or STANFORD_PKU of `neuroemu.devices.dynamics`.
    set, reset : Pulse
        The first pulse that raises the conductance, and the first that lowers it.
    tolerance : float, siemens, > 0
        Largest distance of a verify read from the target that is accepted.
    v_read : float, volts, > 0
    max_pulses : int, 1 to 100,000
    growth : PulseGrowth
    spread : Spread
    read_seconds : float, seconds, >= 0
        A verify read: it counts in the time, and as v_read^2 G read_seconds in the energy. It does not move the state.
    g_min, g_max : float or None, siemens
        Range that weights are mapped to; None: what the model's bounds of the state give at v_read.
    start : float or None, siemens
        Conductance of every cell (of size 1) before its first pulse; None: the model's new device.

    Raises
    ------
    InputError
        A number outside these limits, a range beyond the model's, pulses that move the conductance the wrong way, or
        that grow beyond the model's voltage limit.

    Notes
    -----
    Without spread, a VTEAM cell moves its resistance by the same step at each pulse, so it takes ceil(distance / step)
    of them. A step above twice the tolerance may jump over the target for ever. The energy is integrated by Simpson's
    rule over 8 parts of a pulse: exact for a state at rest, within 2e-5 for one that halves its resistance evenly, and
    worse when a state reaches its bound within a pulse. A state that moves without a voltage, as those of KNOWM_MMS
    and UMICH_VOLATILE, goes on doing so after programming; all others stay. In a crossbar the cell is ohmic, with its
    conductance at v_read: exact for models with a linear I-V, and at v_read for inputs that are PulseWidth() or
    BitSerial(1). Not modelled: noise of reads (compose with WithReadNoise; a verify read stays exact), fading between
    pulses, series resistance, wear and disturb (see Endurance and HalfSelectDisturb).
    """

    model: Memristor
    set: Pulse
    reset: Pulse
    tolerance: float
    v_read: float = 0.1
    max_pulses: int = 100
    growth: PulseGrowth = field(default_factory=PulseGrowth)
    spread: Spread = field(default_factory=Spread)
    read_seconds: float = 0.0
    g_min: float | None = None
    g_max: float | None = None
    start: float | None = None

    def __post_init__(self):
        who = "DynamicCell"
        for name, kind in (("model", Memristor), ("set", Pulse), ("reset", Pulse)):
            _checks.instance(getattr(self, name), kind, who=who, name=name)
        _checks.instance(self.growth, PulseGrowth, who=who, name="growth")
        _checks.instance(self.spread, Spread, who=who, name="spread")
        _parameters.positive(self.tolerance, who=who, name="tolerance")
        _parameters.positive(self.v_read, who=who, name="v_read")
        _checks.integer(self.max_pulses, who=who, name="max_pulses", low=1, high=MOST_PULSES)
        _checks.real(self.read_seconds, who=who, name="read_seconds", low=0.0)
        low, high = sorted(map(float, self.model.conductance(np.array(self.model.state_range), self.v_read)))
        for name, bound in (("g_min", low), ("g_max", high)):
            if getattr(self, name) is None:
                object.__setattr__(self, name, bound)
        _parameters.conductance_range(self, low=low, high=high)
        self._start()
        self._check_pulses()

    def _start(self) -> float:
        """State before the first pulse."""
        return self.model.initial if self.start is None else float(self.model.state_for(self.start, self.v_read))

    def _check_pulses(self) -> None:
        name, middle = type(self.model).__name__, self.model.state_for((self.g_min + self.g_max) / 2, self.v_read)
        before = self.model.conductance(middle, self.v_read)
        for which, sign in (("set", 1), ("reset", -1)):
            pulse = getattr(self, which)
            highest = abs(pulse.volts) + self.growth.volts * (self.max_pulses - 1)
            if highest > self.model.voltage_limit:
                raise InputError(
                    f"DynamicCell: {which} pulses grow to {highest:.4g} V; {name} holds up to "
                    f"{self.model.voltage_limit:.4g} V; lower max_pulses or growth"
                )
            after = self.model.conductance(self.model.step(middle, pulse.volts, pulse.seconds), self.v_read)
            if (after - before) * sign < 0:
                verb = "lowers" if sign > 0 else "raises"
                raise InputError(
                    f"DynamicCell: the {which} pulse of {pulse.volts:g} V {verb} the conductance of {name}; set must "
                    "raise it and reset lower it; swap them or their signs"
                )

    def write(self, target, generator):
        wanted, scales = target.reshape(-1), self._drawn(target.size, generator)
        state, row, rising = np.full(wanted.size, self._start()), np.zeros(wanted.size, int), np.zeros(wanted.size, int)
        read = self._read(state, scales["size"])
        pulses, spent = np.zeros(wanted.size, np.int64), np.full(wanted.size, self.read_seconds)
        energy = self._read_energy(read)
        going = np.flatnonzero(np.abs(read - wanted) > self.tolerance)
        for _ in range(self.max_pulses):
            if not going.size:
                break
            direction = np.where(read[going] < wanted[going], 1, -1)
            row[going] = np.where(direction == rising[going], row[going] + 1, 0)
            rising[going] = direction
            volts, seconds = self._next(direction > 0, row[going])
            own = {name: scale[going] for name, scale in scales.items()}
            state[going], joules = self._pulsed(state[going], volts, seconds, own, generator)
            read[going] = self._read(state[going], own["size"])
            pulses[going] += 1
            spent[going] += seconds + self.read_seconds
            energy[going] += joules + self._read_energy(read[going])
            going = going[np.abs(read[going] - wanted[going]) > self.tolerance]
        kept = {"memristor": state, "speed": scales["speed"], "size": scales["size"]}
        return self._report(target, read, kept, pulses, spent, energy)

    def _report(self, target, read, kept, pulses, spent, energy) -> ProgrammingReport:
        shape, within = target.shape, np.abs(read - target.reshape(-1)) <= self.tolerance
        cells = Cells(read.reshape(shape), state={name: array.reshape(shape) for name, array in kept.items()})
        return ProgrammingReport(
            cells, target, pulses.reshape(shape), pulses.reshape(shape) + 1, within.reshape(shape), self.tolerance,
            seconds_one_by_one=float(spent.sum()), seconds_all_at_once=float(spent.max()), energy=float(energy.sum()),
        )  # fmt: skip

    def _drawn(self, n: int, generator) -> dict[str, np.ndarray]:
        """Factors of each device: threshold, speed and size."""
        return {name: _factors(getattr(self.spread, name), n, generator) for name in ("threshold", "speed", "size")}

    def _next(self, up: np.ndarray, row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Volts and seconds of the next pulse of each cell, number `row` of a row."""
        volts = np.where(up, self.set.volts, self.reset.volts)
        volts = volts + np.sign(volts) * self.growth.volts * row
        return volts, np.where(up, self.set.seconds, self.reset.seconds) + self.growth.seconds * row

    def _pulsed(self, state, volts, seconds, own, generator) -> tuple[np.ndarray, np.ndarray]:
        """States after a pulse each, and its joules."""
        n, limit = len(state), self.model.voltage_limit
        threshold = own["threshold"] * _factors(self.spread.cycle_threshold, n, generator)
        duration = seconds * own["speed"] * _factors(self.spread.cycle_speed, n, generator) / PARTS
        felt = np.clip(volts / threshold, -limit, limit)
        after, charge = np.empty(n), np.empty(n)
        for here in blocks(n, TOGETHER):
            after[here], charge[here] = self._passed(state[here], volts[here], felt[here], duration[here])
        return after, own["size"] * volts * charge * (seconds / PARTS)

    def _passed(self, state, volts, felt, duration) -> tuple[np.ndarray, np.ndarray]:
        """States after PARTS steps of `duration` that are moved by `felt` volts, and the sum of the currents of `volts`
        with Simpson's weights."""
        wave = np.broadcast_to(felt, (PARTS, len(state)))
        currents, path = simulate(self.model, wave, duration, state, largest_move=1)
        if np.array_equal(felt, volts):
            currents = np.concatenate([currents, self.model.current(path[-1:], volts)])
        else:
            currents = self.model.current(path, volts)
        return path[-1], (SIMPSON[:, np.newaxis] * currents).sum(axis=0)  # in one order, unlike a product by BLAS

    def _read(self, state, size) -> np.ndarray:
        return size * self.model.conductance(state, self.v_read)

    def _read_energy(self, read) -> np.ndarray:
        return self.v_read**2 * read * self.read_seconds

    def conductance(self, cells, seconds):
        seconds = _parameters.seconds(self, seconds)
        state, speed, size = _parameters.kept(self, cells, "memristor", "speed", "size")
        faded = self.model.step(state, 0.0, seconds * speed)
        moved = self._read(faded, size) - self._read(state, size)
        return held_if_stuck(cells, np.maximum(cells.conductance + moved, 0.0))

    def read_sigma(self, cells, seconds):
        return np.zeros_like(self.conductance(cells, seconds))

    def read_shares(self, seconds, *, image_seconds, session_seconds, cells=None):
        _parameters.spans("DynamicCell", image_seconds, session_seconds)
        return ReadShares(1.0, 0.0, 0.0)


def _factors(sigma: float, n: int, generator) -> np.ndarray:
    """e^(sigma N) for n devices."""
    return np.exp(sigma * normals(generator, (n,)).astype(np.float64)) if sigma else np.ones(n)
