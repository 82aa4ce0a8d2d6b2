"""Copies: how often a layer's arrays are built, so that a busy layer takes several positions at once.

Enter stages of one copy each and the arrays that a chip has; leaves the number of copies by layer. More copies cost
arrays and writes; each image takes the same reads, shared out among them. Copies are taken to be alike: their
programming errors are not drawn apart.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

from .. import _checks
from ..errors import InputError, PlacementError
from ..pipeline import Stage


class Copies(ABC):
    """Abstract: how many copies layers get. Final classes: OneCopy, GivenCopies, BusiestFirst, KeepUpWith."""

    @abstractmethod
    def of(self, stages: tuple[Stage, ...], cores: int | None, *, who: str) -> dict[str, int]:
        """Copies by layer, for a chip of `cores` arrays (None: any number)."""


@dataclass(frozen=True)
class OneCopy(Copies):
    """Every layer once."""

    def of(self, stages, cores, *, who):
        return {stage.name: 1 for stage in stages}


@dataclass(frozen=True)
class GivenCopies(Copies):
    """So many copies of each named layer; others have one.

    Parameters
    ----------
    copies : tuple of (layer name, int >= 1)
        A mapping is taken too.
    """

    copies: tuple[tuple[str, int], ...]

    def __post_init__(self):
        found = tuple(
            (name, _checks.integer(n, who="GivenCopies", name=f"copies['{name}']", low=1))
            for name, n in dict(self.copies).items()
        )
        object.__setattr__(self, "copies", found)

    def of(self, stages, cores, *, who):
        given = dict(self.copies)
        unknown = set(given) - {stage.name for stage in stages}
        if unknown:
            raise InputError(
                f"{who}: GivenCopies names {sorted(unknown)}; layers with weights: {', '.join(s.name for s in stages)}"
            )
        return _fitting({stage.name: given.get(stage.name, 1) for stage in stages}, stages, cores, who=who)


@dataclass(frozen=True)
class BusiestFirst(Copies):
    """Arrays that are left over go to the layer that is busy longest, again and again.

    Layers that are busy equally long get their next copies together, each as many as shorten its time (of n positions
    and c copies a layer takes ceil(n / c) turns), until these do not fit any more. No other choice within the budget
    has a shorter interval: one that has needs at least the copies given so far, and more for the slowest layers.

    Parameters
    ----------
    spare : int or None
        Arrays to spend beyond one copy of each layer. None: all that the chip has.
    """

    spare: int | None = None

    def __post_init__(self):
        if self.spare is not None:
            _checks.integer(self.spare, who="BusiestFirst", name="spare", low=0)

    def of(self, stages, cores, *, who):
        used = sum(stage.units for stage in stages)
        if cores is None and self.spare is None:
            raise InputError(f"{who}: BusiestFirst() fills the chip, which has any number of arrays; give spare=")
        left = min(n for n in (self.spare, None if cores is None else cores - used) if n is not None)
        now = {stage.name: stage for stage in stages}
        while True:
            longest = max(stage.busy for stage in now.values())
            slowest = [stage for stage in now.values() if stage.busy == longest]
            if any(stage.turns == 1 or not stage.units for stage in slowest):
                break
            more = [replace(stage, copies=_next(stage)) for stage in slowest]
            cost = sum(a.units * (a.copies - b.copies) for a, b in zip(more, slowest, strict=True))
            if cost > left:
                break
            left -= cost
            now |= {stage.name: stage for stage in more}
        return {name: stage.copies for name, stage in now.items()}


@dataclass(frozen=True)
class KeepUpWith(Copies):
    """As many copies of each layer as keep it from being slower than one copy of `layer`: ceil(time / its time).

    With the last layer this is the balanced pipeline of ISAAC (A. Shafiee et al., ISCA 2016), which works its way back
    from the last layer: where a layer shrinks the image by 2 x 2, the one before it is there four times.

    Parameters
    ----------
    layer : str or None
        None: the last layer with more than one position, or the last one.
    """

    layer: str | None = None

    def of(self, stages, cores, *, who):
        named = [stage for stage in stages if stage.name == self.layer]
        if self.layer is not None and not named:
            raise InputError(
                f"{who}: KeepUpWith names '{self.layer}'; layers with weights: {', '.join(s.name for s in stages)}"
            )
        pace = (named or [s for s in stages if s.positions > 1] or stages)[-1].busy
        found = {}
        for stage in stages:
            turns = max(1, int(pace / stage.seconds * (1 + 1e-9))) if stage.seconds > 0 else stage.positions
            found[stage.name] = -(-stage.positions // turns)
        return _fitting(found, stages, cores, who=who)


def _next(stage: Stage) -> int:
    """The fewest copies with fewer turns."""
    return -(-stage.positions // (stage.turns - 1))


def _fitting(copies: dict[str, int], stages: tuple[Stage, ...], cores: int | None, *, who: str) -> dict[str, int]:
    needs = {stage.name: stage.units * copies[stage.name] for stage in stages}
    if cores is not None and sum(needs.values()) > cores:
        worst = max(needs, key=needs.get)
        raise PlacementError(
            f"{who}: the copies take {sum(needs.values()):,} arrays, the chip has {cores:,}; '{worst}' takes "
            f"{needs[worst]:,}: use BusiestFirst(), or fewer copies"
        )
    return copies
