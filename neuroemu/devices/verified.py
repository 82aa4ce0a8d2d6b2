"""Program and verify: a cell is pulsed and read until it reads within a tolerance of its target.

    for at most max_pulses:  pulse;  r = G + sigma_verify N;  stop when |r - target| <= tolerance

Enter a device and how its pulses act (a scheme of pulses.py); leave cells, and a report of what they took. With a
scheme whose pulses are independent draws, as Iterative, and an error e of each draw, the number of pulses of a cell is
geometric of p = P(|e + sigma_verify N| <= tolerance), its mean 1 / p when max_pulses does not cut it.
"""

from dataclasses import dataclass, field

import numpy as np

from .. import _checks
from ..errors import InputError
from . import _parameters
from ._arrays import normals
from .base import Cells, Device, Wrapper
from .disturb import HalfSelectDisturb
from .endurance import Endurance
from .faults import Faulty
from .levels import Levels
from .measured import MeasuredTable
from .pulses import Iterative, PulseScheme
from .report import ProgrammingReport, PulsedDevice, write_verify

__all__ = ["ProgrammingReport", "WriteVerified", "put", "taken", "write_verify"]

MOST_PULSES = 100_000


@dataclass(frozen=True)
class WriteVerified(PulsedDevice, Wrapper):
    """A device programmed by pulses that are verified; drift and read noise are the device's own.

    A verify read has the noise of the device 0 s after programming, and of it the share that is faster than
    `read_seconds`. A cell that is still open after `max_pulses` keeps what its last pulse left.
    `Cells.state["pulses"]` holds the pulses of each cell.

    Parameters
    ----------
    device : Device
        What gives programming noise, drift and read noise.
    tolerance : float, siemens, > 0
        Largest distance of a verify read from the target that is accepted.
    max_pulses : int, 1 to 100,000
    scheme : PulseScheme
        Iterative() or IncrementalPulses(...).
    read_seconds : float, seconds, > 0
        A verify read, from the pulse on; not shorter than a read of the device.
    pulse_seconds : float or None, seconds, >= 0
        One pulse; the caller's figure, no source is assumed. None: the report gives no time.
    pulse_energy, read_energy : float or None, joules, >= 0
        One pulse and one verify read; the caller's figures. Without pulse_energy the report gives no energy, and
        without read_energy reads are free.

    Raises
    ------
    InputError
        A number outside these limits, or a device that cannot be verified: Faulty, Endurance, HalfSelectDisturb and
        Levels (wrap the other way round, as Faulty(WriteVerified(device, ...))), MeasuredTable, DynamicCell and
        WriteVerified (they verify already).

    Notes
    -----
    The published spreads of HermesPcm, RramWan2022, RramMilo2021 and RramCmo are what their chips' own write-verify
    left. To verify on top of them says what a finer loop would gain if its last pulse scattered as theirs: rosy.
    A pulse draws all of a cell anew, its drift exponent, relaxation and traps included. Read noise slower than the
    verify read is not seen by it, and comes on top later. Not modelled: relaxation between pulse and read, stuck cells
    that use up max_pulses. For endurance and disturb, see Endurance and HalfSelectDisturb; for dynamic memristors,
    DynamicCell.
    """

    device: Device
    tolerance: float
    max_pulses: int = 20
    scheme: PulseScheme = field(default_factory=Iterative)
    read_seconds: float = 10e-6
    pulse_seconds: float | None = None
    pulse_energy: float | None = None
    read_energy: float | None = None

    def __post_init__(self):
        who = "WriteVerified"
        _checks.instance(self.device, Device, who=who, name="device")
        _checks.instance(self.scheme, PulseScheme, who=who, name="scheme")
        if isinstance(self.device, Faulty | Endurance | HalfSelectDisturb | Levels):
            outer = type(self.device).__name__
            raise InputError(f"{who}: what {outer} does is not redone at each pulse; wrap as {outer}({who}(...), ...)")
        if isinstance(self.device, MeasuredTable | PulsedDevice):
            raise InputError(f"{who}: {type(self.device).__name__} verifies already; set its own tolerance")
        _parameters.positive(self.tolerance, who=who, name="tolerance")
        _checks.integer(self.max_pulses, who=who, name="max_pulses", low=1, high=MOST_PULSES)
        _parameters.positive(self.read_seconds, who=who, name="read_seconds")
        for name in ("pulse_seconds", "pulse_energy", "read_energy"):
            if getattr(self, name) is not None:
                _checks.real(getattr(self, name), who=who, name=name, low=0.0)
        try:
            self._fast_share()
        except InputError as error:
            raise InputError(f"{who}: read_seconds is {self.read_seconds:g}, too short a read ({error})") from None
        self.scheme.check(self.device)

    def write(self, target, generator):
        cells, first = self.scheme.start(self.device, target, generator)
        pulses = np.full(target.shape, first, np.int64)
        read = np.array(self.verify(cells, generator))
        going = np.array(np.abs(read - target) > self.tolerance)
        for _ in range(first, self.max_pulses):
            if not going.any():
                break
            wanted = target[going]
            pulsed = self.scheme.pulse(self.device, taken(cells, going), wanted, read[going], generator)
            cells = put(cells, going, pulsed)
            pulses[going] += 1
            now = self.verify(pulsed, generator)
            read[going] = now
            going[going] = np.abs(now - wanted) > self.tolerance
        return _report(self, cells, target, pulses, pulses + (1 - first), ~going)

    def _fast_share(self, cells: Cells | None = None) -> float | np.ndarray:
        """Share of the read variance that is faster than a verify read: of each of `cells`, or of all."""
        span = self.read_seconds
        return self.device.read_shares(0.0, image_seconds=span, session_seconds=span, cells=cells).fresh

    def verify(self, cells: Cells, generator: np.random.Generator) -> np.ndarray:
        """One verify read of every cell, siemens."""
        sigma = self.device.read_sigma(cells, 0.0) * np.sqrt(self._fast_share(cells))
        return cells.conductance + sigma * normals(generator, np.shape(cells.conductance))


def _report(device: WriteVerified, cells, target, pulses, reads, accepted) -> ProgrammingReport:
    spent = None if device.pulse_seconds is None else pulses * device.pulse_seconds + reads * device.read_seconds
    energy = None
    if device.pulse_energy is not None:
        energy = float(pulses.sum() * device.pulse_energy + reads.sum() * (device.read_energy or 0.0))
    return ProgrammingReport(
        cells, target, pulses, reads, accepted, device.tolerance,
        seconds_one_by_one=None if spent is None else float(spent.sum()),
        seconds_all_at_once=None if spent is None else float(spent.max()),
        energy=energy,
    )  # fmt: skip


def taken(cells: Cells, where: np.ndarray) -> Cells:
    """The cells at `where` (bool array), as a row."""
    nu = np.asarray(cells.drift_exponent)
    return Cells(
        np.asarray(cells.conductance)[where],
        nu[where] if nu.shape == where.shape else cells.drift_exponent,
        None if cells.stuck is None else np.asarray(cells.stuck)[where],
        {name: np.asarray(array)[where] for name, array in cells.state.items()},
    )


def put(cells: Cells, where: np.ndarray, pulsed: Cells) -> Cells:
    """The cells with those at `where` replaced by the row `pulsed`."""

    def placed(old, new):
        whole = np.array(np.broadcast_to(old, where.shape))
        whole[where] = new
        return whole

    flags = [False if flag is None else flag for flag in (cells.stuck, pulsed.stuck)]
    return Cells(
        placed(cells.conductance, pulsed.conductance),
        placed(cells.drift_exponent, pulsed.drift_exponent),
        None if cells.stuck is None and pulsed.stuck is None else placed(*flags),
        {name: placed(array, pulsed.state[name]) for name, array in cells.state.items()},
    )
