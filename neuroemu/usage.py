"""Usage: how much of a chip a run used, in the same words for every kind of chip.

`cells` looks at space, `busy` at time, `work` at both: the share of what the used units could have done, had all their
cells worked all the time. What a substrate cannot tell is None.
"""

from dataclasses import dataclass

from . import _checks

__all__ = ["Usage"]


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Shares of a chip, 0 to 1.

    Parameters
    ----------
    units : int
        Arrays, cores or tiles of weights in use, copies included.
    present : int or None
        Units that the chip has; None: as many as a network takes, or not counted in these units.
    chips : int
        Chips that they lie on.
    cells : float
        Of the used units, the share of the scarcest resource in use: crossings of an array that hold weights,
        synapses or neurons of a core, multipliers that a tile of weights fills.
    busy : float or None
        Of the time between two inferences, the share in which a used unit works, averaged over them: crossbars read,
        cores do not wait at the barrier, the multipliers of a systolic array pass operands.
    work : float or None
        Of what the used units could do in that time, the share that is done: cells that read, synaptic operations of a
        core at its fastest, multiply-accumulates of a grid or a processor at its peak rate.
    """

    units: int
    present: int | None = None
    chips: int = 1
    cells: float
    busy: float | None = None
    work: float | None = None

    def __post_init__(self):
        _checks.integer(self.units, who="Usage", name="units", low=0)
        _checks.integer(self.chips, who="Usage", name="chips", low=0)
        if self.present is not None:
            _checks.integer(self.present, who="Usage", name="present", low=1)
        for name in ("cells", "busy", "work"):
            if getattr(self, name) is not None:
                _checks.real(getattr(self, name), who="Usage", name=name, low=0.0, high=1.0 + 1e-9)

    def __str__(self):
        of = "" if self.present is None else f" of {self.present:,}"
        parts = [f"{self.units:,}{of} units, {self.cells:.0%} of them filled"]
        parts += [] if self.busy is None else [f"busy {self.busy:.1%} of the time"]
        parts += [] if self.work is None else [f"{self.work:.1%} of what they could do"]
        return ", ".join(parts)
