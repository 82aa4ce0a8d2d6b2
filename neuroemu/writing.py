"""Writing: what programming a chip costs each inference. Enter the events of writing it once, leave shares of them.

A chip is written once for `inferences`, and again whenever it is refreshed against drift, so that one inference carries

    writings = 1 / inferences + 1 / refresh_inferences + interval / refresh_seconds

of all that one writing counts. A share of an event is a real number; the ledger stays counts times prices.

What is written: cells of crossbars ("cell_write"), and the weights that are loaded into the memories of other chips
("weight_upload_byte"). It is charged unless a chip says `writing=None`.
"""

from dataclasses import dataclass
from math import inf

from . import _checks

__all__ = ["Writing"]


@dataclass(frozen=True, kw_only=True)
class Writing:
    """How often a chip is written.

    Parameters
    ----------
    inferences : int, >= 1
        What one programming is spread over: inferences until another network is written, or until the chip is retired.
        The default is a convention, not a measurement; state it with the result.
    refresh_inferences : int >= 1, or None
        Inferences after which all cells are written anew against drift; None: not by their number.
    refresh_seconds : float, seconds, > 0, or None
        Time after which they are. The time of an inference is that of a chip which is kept full; a chip that waits
        drifts on, and its refreshes fall on fewer inferences: give `refresh_inferences` there. None, with
        `refresh_inferences` None too: crossbars whose cells drift on are refreshed at the age at which they are read
        (`CrossbarChip.seconds`), since the accuracy holds until then; others are not. `math.inf`: never.
    """

    inferences: int = 1_000_000
    refresh_inferences: int | None = None
    refresh_seconds: float | None = None

    def __post_init__(self):
        _checks.integer(self.inferences, who="Writing", name="inferences", low=1)
        if self.refresh_inferences is not None:
            _checks.integer(self.refresh_inferences, who="Writing", name="refresh_inferences", low=1)
        if self.refresh_seconds is not None and self.refresh_seconds != inf:
            _checks.real(self.refresh_seconds, who="Writing", name="refresh_seconds", low=1e-9)

    @property
    def leaves_refresh_open(self) -> bool:
        """Whether neither a time nor a number of inferences is given, so that the chip may say."""
        return self.refresh_inferences is None and self.refresh_seconds is None

    def share(self, interval: float) -> float:
        """Writings that one inference carries, with inferences `interval` seconds apart."""
        often = 1 / self.inferences
        if self.refresh_inferences is not None:
            often += 1 / self.refresh_inferences
        if self.refresh_seconds is not None:
            often += interval / self.refresh_seconds
        return often

    def __str__(self):
        found = f"written once for {self.inferences:,} inferences"
        if self.refresh_inferences is not None:
            found += f", refreshed every {self.refresh_inferences:,}"
        if self.refresh_seconds == inf:
            found += ", never refreshed"
        elif self.refresh_seconds is not None:
            found += f", refreshed every {self.refresh_seconds:g} s"
        return found
