"""Area: square millimetres of a chip and of its parts, each with where it was read.

A die holds more than its cores: links, pads, processors. So the area of a die is never split evenly among cores, and
areas of cores never stand for a die. What no public text was found to say is None.
"""

from dataclasses import dataclass

from . import _checks
from .errors import InputError

__all__ = ["UNKNOWN", "Area"]

UNKNOWN = "no public figure found"


@dataclass(frozen=True, kw_only=True)
class Area:
    """Areas of a chip, mm2.

    Parameters
    ----------
    chip_mm2 : float or None
        Of the die.
    at_most : bool
        Whether the source gives an upper bound of it.
    unit_mm2 : float or None
        Of one unit with what belongs to it alone.
    unit : str
        What a unit is: "core", "tile" ...
    holds : int, >= 1
        Units of a placement that lie on one of these: arrays of a tile; 1 where they are the same.
    parts : tuple of (name, mm2)
        Areas within one unit where `unit_mm2` is known, else within the chip; they need not add up to it. A mapping
        is taken too.
    source, unit_source : str
        Of the die, and of unit and parts. Needed where there is a figure.
    """

    chip_mm2: float | None = None
    at_most: bool = False
    unit_mm2: float | None = None
    unit: str = "unit"
    holds: int = 1
    parts: tuple[tuple[str, float], ...] = ()
    source: str = ""
    unit_source: str = ""

    def __post_init__(self):
        object.__setattr__(self, "parts", tuple(dict(self.parts).items()))
        _checks.integer(self.holds, who="Area", name="holds", low=1)
        figures = {"chip_mm2": self.chip_mm2, "unit_mm2": self.unit_mm2}
        figures |= {f"parts['{name}']": value for name, value in self.parts}
        for name, value in figures.items():
            if value is not None:
                _checks.real(value, who="Area", name=name, low=0.0)
        unit_known = self.unit_mm2 is not None or bool(self.parts)
        for known, source, name in ((self.chip_mm2 is not None, self.source, "source"),
                                    (unit_known, self.unit_source, "unit_source")):  # fmt: skip
            if known and not source:
                raise InputError(f"Area: there is a figure without a source; give {name}=")

    def used_mm2(self, units: int) -> float | None:
        """Area of the whole units that `units` of a placement lie on, mm2; None where that of one is not known."""
        return None if self.unit_mm2 is None else -(-units // self.holds) * self.unit_mm2

    def chip_text(self) -> str:
        """The area of the die in words."""
        if self.chip_mm2 is None:
            return "-"
        return f"{'<= ' if self.at_most else ''}{self.chip_mm2:,.4g}"

    def __str__(self):
        die = UNKNOWN if self.chip_mm2 is None else f"{self.chip_text()} mm2 ({self.source})"
        if self.unit_mm2 is None:
            return f"die: {die}; one {self.unit}: {UNKNOWN}"
        of = f" of {self.holds} arrays" if self.holds > 1 else ""
        return f"die: {die}; one {self.unit}{of}: {self.unit_mm2:.3g} mm2 ({self.unit_source})"
