"""Program and verify: a cell is pulsed and read until it reads within a tolerance of its target.

    for at most max_pulses:  pulse;  r = G + sigma_verify N;  stop when |r - target| <= tolerance

Enter a device and how its pulses act (a scheme of pulses.py); leave cells, and a report of what they took. With a
scheme whose pulses are independent draws, as Iterative, and an error e of each draw, the number of pulses of a cell is
geometric of p = P(|e + sigma_verify N| <= tolerance), its mean 1 / p when max_pulses does not cut it.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from .. import _checks
from ..errors import InputError
from . import _parameters
from .base import Cells, Device
from .faults import Faulty
from .measured import MeasuredTable
from .pulses import Iterative, PulseScheme

MOST_PULSES = 100_000


@dataclass(frozen=True, eq=False)
class ProgrammingReport:
    """What programming an array took, and what it left; made by `write_verify`.

    Parameters
    ----------
    cells : Cells
        As programmed.
    target : array, siemens
    pulses, reads : int arrays of the same shape
        Pulses and verify reads of each cell.
    accepted : bool array of the same shape
        Cells whose last verify read was within the tolerance. Because that read is noisy, some of them are outside.
    tolerance : float, siemens
    seconds_one_by_one : float or None, seconds
        sum(pulses) pulse_seconds + sum(reads) read_seconds: one cell after the other. None without pulse_seconds.
    seconds_all_at_once : float or None, seconds
        The same for the cell that took longest: all cells in parallel. A chip lies between the two.
    energy : float or None, joules
        sum(pulses) pulse_energy + sum(reads) read_energy, at the caller's prices. None without pulse_energy.
    """

    cells: Cells = field(repr=False)
    target: np.ndarray = field(repr=False)
    pulses: np.ndarray = field(repr=False)
    reads: np.ndarray = field(repr=False)
    accepted: np.ndarray = field(repr=False)
    tolerance: float
    seconds_one_by_one: float | None = None
    seconds_all_at_once: float | None = None
    energy: float | None = None

    @property
    def error(self) -> np.ndarray:
        """Conductance minus target right after programming, siemens."""
        return self.cells.conductance - self.target

    @property
    def open_cells(self) -> int:
        """Cells given up: no verify read was within the tolerance."""
        return int(np.count_nonzero(~self.accepted))

    @property
    def outside_tolerance(self) -> int:
        """Cells whose conductance, not its noisy read, is further than the tolerance from the target."""
        return int(np.count_nonzero(np.abs(self.error) > self.tolerance))

    @property
    def mean_error(self) -> float:
        """Mean of the error, siemens."""
        return float(self.error.mean())

    @property
    def std_error(self) -> float:
        """Standard deviation of the error, siemens."""
        return float(self.error.std())

    def error_quantiles(self, probabilities=(0.01, 0.25, 0.5, 0.75, 0.99)) -> np.ndarray:
        """Quantiles of the error, siemens, at `probabilities`, each 0 to 1."""
        levels = _checks.finite_array(probabilities, who="ProgrammingReport", name="probabilities", dtype=np.float64)
        if levels.size and (levels.min() < 0 or levels.max() > 1):
            raise InputError(f"ProgrammingReport: probabilities span {levels.min()} to {levels.max()}; give 0 to 1")
        return np.quantile(self.error, levels)

    def table(self) -> str:
        """The figures as text, one a line."""
        cells = self.target.size
        rows = [
            ("cells", f"{cells:,}"),
            ("pulses a cell", f"{self.pulses.mean():.2f} mean, {self.pulses.max()} most"),
            ("verify reads a cell", f"{self.reads.mean():.2f} mean"),
            ("given up", f"{self.open_cells:,} cells"),
            ("outside tolerance", f"{self.outside_tolerance:,} cells of +-{self.tolerance * 1e6:.3g} uS"),
            ("error", f"{self.mean_error * 1e6:+.3g} uS mean, {self.std_error * 1e6:.3g} uS standard deviation"),
            ("error, 1 % to 99 %", " to ".join(f"{q * 1e6:+.3g}" for q in self.error_quantiles((0.01, 0.99))) + " uS"),
        ]
        if self.seconds_one_by_one is not None:
            apart, together = self.seconds_one_by_one, self.seconds_all_at_once
            rows.append(("time", f"{apart:.3g} s one by one, {together:.3g} s all at once"))
        if self.energy is not None:
            rows.append(("energy", f"{self.energy:.3g} J"))
        return "\n".join(f"{name:20} {value}" for name, value in rows)


@dataclass(frozen=True)
class WriteVerified(Device):
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
        A number outside these limits, or a device that cannot be verified: Faulty (wrap the other way round, as
        Faulty(WriteVerified(device, ...))), MeasuredTable and WriteVerified (both verify already).

    Notes
    -----
    The published spreads of HermesPcm, RramWan2022, RramMilo2021 and RramCmo are what their chips' own write-verify
    left. To verify on top of them says what a finer loop would gain if its last pulse scattered as theirs: rosy.
    A pulse draws all of a cell anew, its drift exponent, relaxation and traps included. Read noise slower than the
    verify read is not seen by it, and comes on top later. Not modelled: relaxation between pulse and read, endurance,
    disturb of other cells in the row or column, stuck cells that use up max_pulses, dynamic memristors.
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
        if isinstance(self.device, Faulty):
            raise InputError(f"{who}: a fault stays from pulse to pulse; wrap as Faulty(WriteVerified(device, ...))")
        if isinstance(self.device, MeasuredTable | WriteVerified):
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

    @property
    def g_min(self):
        return self.device.g_min

    @property
    def g_max(self):
        return self.device.g_max

    def program(self, target, generator):
        report = write_verify(self, target, generator)
        return replace(report.cells, state={**report.cells.state, "pulses": report.pulses})

    def conductance(self, cells, seconds):
        return self.device.conductance(cells, seconds)

    def read_sigma(self, cells, seconds):
        return self.device.read_sigma(cells, seconds)

    def read_shares(self, seconds, *, image_seconds, session_seconds, cells=None):
        return self.device.read_shares(
            seconds, image_seconds=image_seconds, session_seconds=session_seconds, cells=cells
        )

    def _fast_share(self) -> float:
        """Share of the read variance that is faster than a verify read."""
        span = self.read_seconds
        return self.device.read_shares(0.0, image_seconds=span, session_seconds=span).fresh

    def verify(self, cells: Cells, generator: np.random.Generator) -> np.ndarray:
        """One verify read of every cell, siemens."""
        sigma = self.device.read_sigma(cells, 0.0) * np.sqrt(self._fast_share())
        return cells.conductance + sigma * generator.standard_normal(np.shape(cells.conductance))


def write_verify(device: WriteVerified, target, generator: np.random.Generator) -> ProgrammingReport:
    """Program cells towards `target` and report what it took; `WriteVerified.program` does the same.

    Parameters
    ----------
    device : WriteVerified
    target : array of any shape, siemens, >= 0, at least one cell
    generator : numpy Generator

    Returns
    -------
    ProgrammingReport

    Raises
    ------
    InputError
        No cells, or targets that are negative or not finite.
    """
    _checks.instance(device, WriteVerified, who="write_verify", name="device")
    target = _parameters.target(device, target)
    if not target.size:
        raise InputError("write_verify: target is empty; give at least one cell")
    cells, first = device.scheme.start(device.device, target, generator)
    pulses = np.full(target.shape, first, np.int64)
    read = np.array(device.verify(cells, generator))
    going = np.array(np.abs(read - target) > device.tolerance)
    for _ in range(first, device.max_pulses):
        if not going.any():
            break
        wanted = target[going]
        pulsed = device.scheme.pulse(device.device, taken(cells, going), wanted, read[going], generator)
        cells = put(cells, going, pulsed)
        pulses[going] += 1
        now = device.verify(pulsed, generator)
        read[going] = now
        going[going] = np.abs(now - wanted) > device.tolerance
    return _report(device, cells, target, pulses, pulses + (1 - first), ~going)


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
