"""Case: one published figure beside ours, with how much the agreement proves."""

from dataclasses import dataclass

from .. import _checks
from ..errors import InputError

CLASSES = {
    "identity": "inputs and figure from one table or formula: guards the arithmetic only",
    "differential": "two programs or models agree on the same inputs",
    "fitted": "the figure helped to set the constants",
    "held out": "the constants come from the same machine, but not from this figure",
    "independent silicon": "a measured figure that no constant of the model comes from",
}
HEADLINE = ("held out", "independent silicon")
READINGS = {
    "primary": "read in the primary source, or in its data",
    "quoted": "read as a sentence or table of the primary source in another public text",
    "computed": "follows from figures that were read or quoted",
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One published figure and ours.

    Parameters
    ----------
    number : str
        "V1" to "V14".
    title : str
    unit : str
    published : float, > 0
    ours : float, or (low, high)
        What the package computes; an interval where an input was not published.
    tolerance : (low, high)
        Allowed relative errors, low <= 0 <= high.
    proof : one of `CLASSES`
    same_paper : str
        Inputs of ours that come from the paper of the published figure; "" for none.
    free_parameters : int
        Constants of the model that were fitted, by whomever, to the machine of the published figure.
    source : str
    reading : one of `READINGS`
        How the published figure was seen. Figures that were only remembered are not among the cases.
    gate : bool
        Whether a miss fails the validation; the others are reported with their band.
    note : str
    """

    number: str
    title: str
    unit: str
    published: float
    ours: float | tuple[float, float]
    tolerance: tuple[float, float]
    proof: str
    source: str
    reading: str
    same_paper: str = ""
    free_parameters: int = 0
    gate: bool = False
    note: str = ""

    def __post_init__(self):
        who = f"Case {self.number} '{self.title}'"
        _checks.choice(self.proof, tuple(CLASSES), who=who, name="proof")
        _checks.choice(self.reading, tuple(READINGS), who=who, name="reading")
        _checks.integer(self.free_parameters, who=who, name="free_parameters", low=0)
        low, high = self.span
        if not (self.published > 0 and 0 < low <= high):
            raise InputError(f"{who}: published {self.published} and ours {self.ours}; both must be positive")
        if not self.tolerance[0] <= 0 <= self.tolerance[1]:
            raise InputError(f"{who}: tolerance is {self.tolerance}; give low <= 0 <= high")

    @property
    def span(self) -> tuple[float, float]:
        """Ours as an interval."""
        return self.ours if isinstance(self.ours, tuple) else (self.ours, self.ours)

    @property
    def nearest(self) -> float:
        """The value of our interval that is nearest to the published one."""
        return min(max(self.published, self.span[0]), self.span[1])

    @property
    def error(self) -> float:
        """ours / published - 1; 0 within an interval of ours."""
        return self.nearest / self.published - 1

    @property
    def held(self) -> bool:
        """Whether the error is within the tolerance."""
        return self.tolerance[0] <= self.error <= self.tolerance[1]


def within(share: float) -> tuple[float, float]:
    """Tolerance of `share` up and down."""
    return (-share, share)


def factor(times: float) -> tuple[float, float]:
    """Tolerance of a factor: ours between published / times and published x times."""
    return (1 / times - 1, times - 1)
