"""Tables of measured conductance updates: what one pulse does to a cell, as a distribution at each conductance.

Two text formats are read, both with numbers separated by commas or blanks:

1. Update table (`read_update_table`), one file for each direction, as CrossSim's dG_increasing.txt. Line 1 may be a
   heading. Then a line of C conductances (siemens, rising), a line of Q cumulative probabilities (rising, within 0..1),
   and Q lines of C changes (siemens): line q, column c is the change that a pulse at conductance c falls below with
   probability q. Empty lines are skipped.
2. Pulse trace (`read_pulse_trace`), as aihwkit's gong_et_al.csv. Line n holds two numbers, in any unit: the conductance
   read after pulse n of a series that increases it, and of one that decreases it.
"""

import itertools
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import numpy as np

from .. import _checks
from ..errors import FileFormatError, InputError
from . import _parameters

MOST_BYTES = 1 << 26
MOST_NUMBERS = 1 << 23
FEWEST_PULSES = 200  # of a trace


@dataclass(frozen=True, eq=False)
class UpdateTable:
    """Quantiles of the change of conductance by one pulse.

    Parameters
    ----------
    conductance : (C,) array, siemens, rising, C >= 2
    cumulative : (Q,) array, rising within 0..1, Q >= 2
    change : (Q, C) array, siemens

    Raises
    ------
    InputError
        Shapes that do not agree, NaN, or axes that do not rise.
    """

    conductance: np.ndarray
    cumulative: np.ndarray
    change: np.ndarray

    def __post_init__(self):
        for name, ndim in (("conductance", 1), ("cumulative", 1), ("change", 2)):
            array = _checks.finite_array(getattr(self, name), who="UpdateTable", name=name, dtype=np.float64, ndim=ndim)
            array = array.copy()
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        shape = (len(self.cumulative), len(self.conductance))
        if self.change.shape != shape or min(shape) < 2:
            raise InputError(
                f"UpdateTable: change has shape {self.change.shape}; {shape[0]} probabilities and {shape[1]} "
                f"conductances need {shape}, at least (2, 2)"
            )
        for name in ("conductance", "cumulative"):
            if (np.diff(getattr(self, name)) <= 0).any() or getattr(self, name)[0] < 0:
                raise InputError(f"UpdateTable: {name} must rise from 0 or more")
        if self.cumulative[-1] > 1:
            raise InputError(f"UpdateTable: cumulative ends at {self.cumulative[-1]:g}; probabilities end at 1")

    def mean(self) -> np.ndarray:
        """Mean change at each conductance, siemens (C,)."""
        weight = np.diff(np.concatenate([[0.0], (self.cumulative[1:] + self.cumulative[:-1]) / 2, [1.0]]))
        return weight @ self.change

    def draw(self, conductance: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """One pulse's change, siemens, for cells at `conductance`; bilinear between the table's points."""
        columns = np.arange(len(self.conductance))
        rows = np.arange(len(self.cumulative))
        place = np.interp(conductance, self.conductance, columns)
        level = np.interp(generator.random(np.shape(conductance)), self.cumulative, rows)
        c, q = np.minimum(place.astype(int), columns[-2]), np.minimum(level.astype(int), rows[-2])
        x, y = place - c, level - q
        below = self.change[q, c] * (1 - x) + self.change[q, c + 1] * x
        above = self.change[q + 1, c] * (1 - x) + self.change[q + 1, c + 1] * x
        return below * (1 - y) + above * y


def read_update_table(path: str | Path) -> UpdateTable:
    """One direction's table from a file of format 1.

    Raises
    ------
    FileFormatError
        The file is missing, damaged, too large, or of another format.
    """
    lines = _numbers(path)
    if len(lines) < 4:
        raise FileFormatError(
            f"{path}: {len(lines)} lines of numbers; an update table has conductances, probabilities and 2 or more "
            "lines of changes"
        )
    wide = len(lines[0])
    for index, line in enumerate(lines[2:]):
        if len(line) != wide:
            raise FileFormatError(f"{path}: line {index + 1} of changes has {len(line)} numbers; {wide} conductances")
    try:
        return UpdateTable(np.array(lines[0]), np.array(lines[1]), np.array(lines[2:]))
    except InputError as error:
        raise FileFormatError(f"{path}: not an update table ({error})") from None


def read_pulse_trace(
    path: str | Path, *, g_min: float, g_max: float, segments: int = 5
) -> tuple[UpdateTable, UpdateTable, float]:
    """Tables of both directions, and the read noise, from a file of format 2.

    The series are cut into `segments`; the slope of a segment is its mean step. What a pulse writes stays, what a read
    adds does not: of the series without its trend, the variance of G(n + L) - G(n) is 2 r^2 + s^2 L, beyond the few
    pulses that slow read noise lasts. A line over L gives s, of a step, and r, of a read. Steps are taken as normal.

    Parameters
    ----------
    path : str or Path
    g_min, g_max : float, siemens, 0 <= g_min < g_max
        What the lowest and the highest mean conductance of the trace are scaled to.
    segments : int, 2 or more, at most a tenth of the pulses; few where reads are noisy

    Returns
    -------
    (increasing, decreasing, sigma) : UpdateTable, UpdateTable, float
        sigma is the standard deviation of a read, siemens.

    Raises
    ------
    InputError
        A range or number outside these limits.
    FileFormatError
        The file is missing, damaged, too large, of another format, or a series does not rise and fall.
    """
    who = "read_pulse_trace"
    low = _checks.real(g_min, who=who, name="g_min", low=0.0)
    span = _parameters.positive(_checks.real(g_max, who=who, name="g_max") - low, who=who, name="g_max - g_min")
    lines = _numbers(path)
    if len(lines) < FEWEST_PULSES or any(len(line) != 2 for line in lines):
        raise FileFormatError(f"{path}: not a pulse trace; give {FEWEST_PULSES} or more lines of two numbers")
    _checks.integer(segments, who=who, name="segments", low=2, high=len(lines) // 10)
    trace = np.array(lines)
    parts = [np.array_split(series, segments) for series in trace.T]
    means = np.array([[part.mean() for part in series] for series in parts])
    unit = means.max() - means.min()
    if not unit > 0:
        raise FileFormatError(f"{path}: the conductance does not change")
    scaled = [[low + (part - means.min()) / unit * span for part in series] for series in parts]
    noises = [_step_noise(series / unit * span) for series in trace.T]
    tables = [_table_of(series, noise[0], path) for series, noise in zip(scaled, noises, strict=True)]
    return *tables, float(np.sqrt(np.mean([noise[1] for noise in noises])))


def _step_noise(series: np.ndarray) -> tuple[float, float]:
    """(standard deviation of steps, variance of reads) of one series."""
    n = np.linspace(-1.0, 1.0, len(series))
    rest = series - np.polynomial.polynomial.polyval(n, np.polynomial.polynomial.polyfit(n, series, 3))
    lags = np.unique(np.linspace(len(series) // 100, len(series) // 20, 32).astype(int))
    variances = [np.mean((rest[lag:] - rest[:-lag]) ** 2) for lag in lags]
    slope, offset = np.polyfit(lags, variances, 1)
    if slope <= 0:
        slope, offset = 0.0, np.mean(variances)
    return float(np.sqrt(slope)), max(float(offset), 0.0) / 2


def _table_of(parts, sigma: float, path) -> UpdateTable:
    """A table from segments of a series: their mean conductance, their slope, and normal steps of `sigma`."""
    places = np.array([part.mean() for part in parts])
    slopes = np.array([np.polyfit(np.arange(len(part)), part, 1)[0] for part in parts])
    order = np.argsort(places)
    rising = order[np.concatenate([[True], np.diff(places[order]) > 0])]
    if len(rising) < 2:
        raise FileFormatError(f"{path}: a series of the trace stays at one conductance")
    cumulative = np.linspace(0.005, 0.995, 100)
    deviates = np.array([NormalDist().inv_cdf(p) for p in cumulative])
    return UpdateTable(places[rising], cumulative, slopes[rising] + sigma * deviates[:, None])


def _numbers(path) -> list[list[float]]:
    """The lines of numbers of a text file; a first line of words is skipped."""
    try:
        with open(path, "rb") as file:
            raw = file.read(MOST_BYTES + 1)
        if len(raw) > MOST_BYTES:
            raise FileFormatError(f"{path}: more than {MOST_BYTES >> 20} MiB; give fewer lines")
        text = raw.decode("utf-8")
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise FileFormatError(f"{path}: not a text file; give numbers separated by commas") from None
    filled = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip(" \t,")]
    if filled and not _is_number(filled[0][1].replace(",", " ").split()[0]):
        filled = filled[1:]
    found, total = [], 0
    for n, line in filled:
        try:
            found.append([float(word) for word in line.replace(",", " ").split()])
        except ValueError:
            raise FileFormatError(f"{path}: line {n} holds something that is not a number") from None
        total += len(found[-1])
        if total > MOST_NUMBERS:
            raise FileFormatError(f"{path}: more than {MOST_NUMBERS} numbers; give fewer")
    if not np.isfinite(np.fromiter(itertools.chain.from_iterable(found), np.float64, total)).all():
        raise FileFormatError(f"{path}: holds NaN or infinity; remove those lines")
    return found


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
