"""Programming report: how many pulses an array of cells took, how long, at what energy, and the errors it left.

`PulsedDevice` is what can give one: a device that is programmed by pulses and verifying reads.
"""

from abc import abstractmethod
from dataclasses import dataclass, field, replace

import numpy as np

from .. import _checks
from ..errors import InputError
from . import _parameters
from .base import Cells, Device


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
        All pulses and reads, one cell after the other. None where a device gives no times.
    seconds_all_at_once : float or None, seconds
        The same for the cell that took longest: all cells in parallel. A chip lies between the two.
    energy : float or None, joules
        All pulses and reads: at the caller's prices for WriteVerified (None without pulse_energy), from the model's own
        current for DynamicCell.
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


class PulsedDevice(Device):
    """Abstract: a device that is programmed by pulses and verifying reads, and can report on them.

    `Cells.state["pulses"]` holds the pulses of each cell.
    """

    @abstractmethod
    def write(self, target: np.ndarray, generator: np.random.Generator) -> ProgrammingReport:
        """Program cells towards `target` (siemens, at least one) and report."""

    def program(self, target, generator):
        report = write_verify(self, target, generator)
        return replace(report.cells, state={**report.cells.state, "pulses": report.pulses})


def write_verify(device: PulsedDevice, target, generator: np.random.Generator) -> ProgrammingReport:
    """Program cells towards `target` and report what it took; `device.program` does the same without a report.

    Parameters
    ----------
    device : WriteVerified or DynamicCell
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
    _checks.instance(device, PulsedDevice, who="write_verify", name="device")
    target = _parameters.target(device, target)
    if not target.size:
        raise InputError("write_verify: target is empty; give at least one cell")
    return device.write(target, generator)
