"""Ranges of ADCs: sampled column sums enter, the full scale of the converters that share a range leaves.

A range is shared by the columns of one tile that hold the same slice of the weights ("tile"), by all of them in a layer
("layer"), or belongs to one column of one tile ("column"). Where a converter serves several columns, "column" means
its columns; between columns of different slices it switches its range. A range is a property of the placed network:
every programmed chip has the same, computed from exact sums of the samples, never from the inputs of a run.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .. import _checks
from ..errors import InputError

SCOPES = ("layer", "tile", "column")
SMALLEST = 1.0  # full scale of columns that no sample drives, in column-sum units: one step of one cell level
CANDIDATES = np.geomspace(1 / 32, 1.0, 41)  # shares of the largest sum that MseRange tries: 9 % apart


class AdcRange(ABC):
    """Abstract rule for the full scale of converters that share one range."""

    scope: str
    needs_samples: bool

    @abstractmethod
    def full_scale(self, sums: np.ndarray, *, levels: int, current_unit: float) -> float:
        """Full scale in column-sum units.

        Parameters
        ----------
        sums : float64 array of any shape
            Magnitudes of sampled column sums, in column-sum units.
        levels : int
            Steps between zero and full scale.
        current_unit : float, amperes
            Current of one column-sum unit.
        """


@dataclass(frozen=True)
class MinMaxRange(AdcRange):
    """Full scale is the largest sampled magnitude: nothing that was sampled clips.

    Parameters
    ----------
    scope : {"tile", "layer", "column"}
    """

    scope: str = "tile"
    needs_samples = True

    def __post_init__(self):
        _checks.choice(self.scope, SCOPES, who="MinMaxRange", name="scope")

    def full_scale(self, sums, *, levels, current_unit):
        return max(float(sums.max(initial=0.0)), SMALLEST)


@dataclass(frozen=True)
class PercentileRange(AdcRange):
    """Full scale covers a share of the sampled magnitudes.

    Parameters
    ----------
    percentile : float, 50 to 100
        That share, in %; 100 is `MinMaxRange`.
    scope : {"tile", "layer", "column"}
    """

    percentile: float = 99.99
    scope: str = "tile"
    needs_samples = True

    def __post_init__(self):
        _checks.real(self.percentile, who="PercentileRange", name="percentile", low=50.0, high=100.0)
        _checks.choice(self.scope, SCOPES, who="PercentileRange", name="scope")

    def full_scale(self, sums, *, levels, current_unit):
        return max(float(np.percentile(sums, self.percentile)) if sums.size else 0.0, SMALLEST)


@dataclass(frozen=True)
class MseRange(AdcRange):
    """Full scale with the smallest mean squared error of the sampled sums, rounding and clipping together.

    41 candidates between 1/32 of the largest sampled magnitude and all of it, 9 % apart, are tried.

    Parameters
    ----------
    scope : {"tile", "layer", "column"}
    """

    scope: str = "tile"
    needs_samples = True

    def __post_init__(self):
        _checks.choice(self.scope, SCOPES, who="MseRange", name="scope")

    def full_scale(self, sums, *, levels, current_unit):
        largest = float(sums.max(initial=0.0))
        if largest <= SMALLEST:
            return SMALLEST
        tried = [max(largest * share, SMALLEST) for share in CANDIDATES]
        return min(tried, key=lambda full: _squared_error(sums, full, levels))


@dataclass(frozen=True)
class GivenRange(AdcRange):
    """Full scale at a given current, for the chip or for each layer; the network needs no samples.

    Parameters
    ----------
    amperes : float, 1e-15 or more, or dict layer name -> float
        Column current of the largest code.
    """

    amperes: float | Mapping[str, float]
    needs_samples = False
    scope = "layer"

    def __post_init__(self):
        if not isinstance(self.amperes, Mapping):
            _checks.real(self.amperes, who="GivenRange", name="amperes", low=1e-15)
            return
        object.__setattr__(self, "amperes", dict(self.amperes))
        for layer, current in self.amperes.items():
            _checks.real(current, who="GivenRange", name=f"amperes of layer '{layer}'", low=1e-15)

    def full_scale(self, sums, *, levels, current_unit):
        if isinstance(self.amperes, Mapping):
            raise InputError("GivenRange: amperes holds a current for each layer; take range_of(rule, layer) first")
        return self.amperes / current_unit


def range_of(rule: AdcRange, layer: str) -> AdcRange:
    """The rule for the converters of one layer."""
    if not isinstance(rule, GivenRange) or not isinstance(rule.amperes, Mapping):
        return rule
    if layer not in rule.amperes:
        raise InputError(
            f"GivenRange: no current for layer '{layer}'; amperes has {', '.join(map(repr, rule.amperes)) or 'none'}; "
            "give one for each weighted layer"
        )
    return GivenRange(rule.amperes[layer])


def _squared_error(sums: np.ndarray, full: float, levels: int) -> float:
    step = full / levels
    coded = np.minimum(np.rint(sums / step), levels) * step
    return float(np.square(coded - sums).mean())
