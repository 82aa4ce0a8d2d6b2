"""Pipeline: when the layers of a chip work on images. Enter stages and what they wait for, leave times.

A stage is a layer with arrays of its own, in one or more copies. It takes the positions of its output in raster order,
as many at a time as it has copies, and is busy for `seconds` with each such turn; `transit` later the result lies where
the next layer reads it. A turn begins when the stage is free and all that its positions need is there. Layers without
arrays (pooling, sums, activations) pass results on in no time, in raster order too. Images enter one `interval` apart,
which is the busy time of the slowest stage: with nothing but forward reads and buffers that never fill up, no schedule
is faster and this one keeps up.

Not modelled: buffers that fill up, links that are shared, the time of inputs on their way onto the chip.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from . import _checks
from ._counts import aligned, si
from .errors import InputError

__all__ = ["Pipeline", "Stage", "Step", "Work", "chain"]

SETTLED = 1e-9  # share of the interval by which two images may differ that count as alike
IMAGES = 1000  # looked at before a pipeline is taken as it is


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A layer with arrays of its own.

    Parameters
    ----------
    name : str
        The layer.
    positions : int, >= 1
        Row vectors of one image: positions of a convolution, rows of a Dense input.
    seconds : float, s
        For one of them: all planes and phases, read and converted.
    reads : int, >= 1
        Reads in `seconds`: planes of the input times phases.
    conversions : int, >= 0
        Conversions, one after the other, that follow each read; 0: held in its time.
    transit : float, s
        From the last read of a position until its result can be read.
    units : int, >= 0
        Arrays of one copy.
    copies : int, >= 1
    """

    name: str
    positions: int
    seconds: float
    reads: int = 1
    conversions: int = 0
    transit: float = 0.0
    units: int = 1
    copies: int = 1

    def __post_init__(self):
        who = f"Stage '{self.name}'"
        for name in ("positions", "reads", "copies"):
            _checks.integer(getattr(self, name), who=who, name=name, low=1)
        for name in ("units", "conversions"):
            _checks.integer(getattr(self, name), who=who, name=name, low=0)
        for name in ("seconds", "transit"):
            _checks.real(getattr(self, name), who=who, name=name, low=0.0)

    @property
    def phases(self) -> int:
        """Reads of one image, one after the other, were there one copy: positions x reads."""
        return self.positions * self.reads

    @property
    def turns(self) -> int:
        """Turns of one image, ceil(positions / copies)."""
        return -(-self.positions // self.copies)

    @property
    def busy(self) -> float:
        """Time that one image keeps the stage from the next, s: turns x seconds."""
        return self.turns * self.seconds

    @property
    def latency(self) -> float:
        """Time of one image in this stage alone, s."""
        return self.busy + self.transit


@dataclass(frozen=True, eq=False, kw_only=True)
class Step:
    """A tensor on its way through the chip.

    Parameters
    ----------
    name : str
    positions : int
    reads : tuple of (name of an earlier step, (positions,) int array or None)
        The last position of that step which each position needs; None: all need all of it. What comes from the input
        is there when an image enters.
    stage : Stage or None
        None: passes on in no time.
    """

    name: str
    positions: int
    reads: tuple[tuple[str, np.ndarray | None], ...] = ()
    stage: Stage | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Work:
    """What a stage did with one image: when its turns began, s, and how long each took."""

    stage: Stage
    image: int
    starts: np.ndarray

    @property
    def end(self) -> float:
        """When the stage is free again, s."""
        return float(self.starts[-1]) + self.stage.seconds

    def spans(self) -> tuple[tuple[float, float], ...]:
        """(begin, end) of each uninterrupted run of turns, s."""
        gap = np.diff(self.starts) > self.stage.seconds * (1 + 1e-6)
        first = np.concatenate([[0], np.flatnonzero(gap) + 1])
        last = np.concatenate([first[1:] - 1, [len(self.starts) - 1]])
        return tuple(
            (float(a), float(b) + self.stage.seconds)
            for a, b in zip(self.starts[first], self.starts[last], strict=True)
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Pipeline:
    """The stages of a chip in the order of computation, and what they wait for.

    Parameters
    ----------
    steps : tuple of Step
        Each after those that it reads; the last one is the output.
    overlap : bool
        Whether an image enters before the one ahead of it has left.
    rule : str
        What a layer waits for, in words.
    """

    steps: tuple[Step, ...]
    overlap: bool = True
    rule: str = ""

    def __post_init__(self):
        known: dict[str, int] = {}
        for step in self.steps:
            _checks.instance(step, Step, who="Pipeline", name="steps")
            for name, last in step.reads:
                if name not in known:
                    raise InputError(f"Pipeline: step '{step.name}' reads '{name}', which no earlier step writes")
                if last is not None and (
                    len(last) != step.positions or not 0 <= last.min() <= last.max() < known[name]
                ):
                    raise InputError(
                        f"Pipeline: step '{step.name}' with {step.positions} positions reads {len(last)} of '{name}', "
                        f"which has {known[name]}"
                    )
            known[step.name] = step.positions
        if not self.stages:
            raise InputError("Pipeline: no step has a stage; give at least one")

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The layers with arrays, in order."""
        return tuple(step.stage for step in self.steps if step.stage is not None)

    @property
    def bottleneck(self) -> Stage:
        """The stage that is busy longest."""
        return max(self.stages, key=lambda stage: stage.busy)

    @property
    def units(self) -> int:
        """Arrays of all copies of all layers."""
        return sum(stage.units * stage.copies for stage in self.stages)

    @property
    def copies(self) -> dict[str, int]:
        """Copies of each layer."""
        return {stage.name: stage.copies for stage in self.stages}

    @property
    def interval(self) -> float:
        """Time between two images, s: that of the slowest stage, or the latency where images do not overlap."""
        return self.bottleneck.busy if self.overlap else self.latency

    @property
    def throughput(self) -> float:
        """Images/s."""
        return 1 / self.interval if self.interval > 0 else float("inf")

    @cached_property
    def latency(self) -> float:
        """Time of an image from its entry until its last output, s, in a pipeline that is kept full."""
        free: dict[str, float] = {}
        finish, _ = self._image(free)
        if not self.overlap:
            return finish
        before, interval = {}, self.interval
        for _ in range(IMAGES):
            free = {name: time - interval for name, time in free.items()}  # the next image enters at time 0
            if before and max(abs(free[name] - before[name]) for name in free) <= SETTLED * interval:
                break
            before = dict(free)
            finish, _ = self._image(free)
        return finish

    def busy(self, stage: Stage) -> float:
        """Share of the interval, 0 to 1, in which the arrays of a stage read, averaged over its copies."""
        return stage.positions * stage.seconds / (stage.copies * self.interval) if self.interval > 0 else 0.0

    def schedule(self, images: int = 1) -> tuple[Work, ...]:
        """When each stage works on each of the first `images`, which enter an empty pipeline one interval apart."""
        images = _checks.integer(images, who="schedule", name="images", low=1, high=10_000)
        free: dict[str, float] = {}
        found = []
        for number in range(images):
            _, starts = self._image(free, entered=number * self.interval)
            found += [Work(stage=stage, image=number, starts=starts[stage.name]) for stage in self.stages]
        return tuple(found)

    def _image(self, free: dict[str, float], entered: float = 0.0) -> tuple[float, dict[str, np.ndarray]]:
        """When an image is done, and when the turns of each stage begin; `free` is brought up to date."""
        there: dict[str, np.ndarray] = {}
        starts: dict[str, np.ndarray] = {}
        for step in self.steps:
            ready = np.full(step.positions, entered)
            for name, last in step.reads:
                ready = np.maximum(ready, there[name][-1] if last is None else there[name][last])
            ready = np.maximum.accumulate(ready)
            if step.stage is None:
                there[step.name] = ready
                continue
            begin = _starts(step.stage, ready, free.get(step.name, -np.inf))
            starts[step.name] = begin
            free[step.name] = float(begin[-1]) + step.stage.seconds
            done = begin + step.stage.seconds + step.stage.transit
            there[step.name] = np.repeat(done, step.stage.copies)[: step.positions]
        return float(there[self.steps[-1].name][-1]), starts

    def table(self) -> str:
        """One line a layer: positions, time of one, copies, arrays, time of an image, and share of the interval."""
        told = any(stage.conversions for stage in self.stages)
        head = ("reads of one", *(("conversions of a read",) if told else ()), "time of one")
        rows = [("layer", "positions", *head, "copies", "units", "time of all", "busy")]
        for stage in self.stages:
            reads = (str(stage.reads), *((str(stage.conversions),) if told else ()), si(stage.seconds, "s"))
            sizes = (f"{stage.positions:,}", *reads, str(stage.copies))
            used = (f"{stage.units * stage.copies:,}", si(stage.busy, "s"), f"{self.busy(stage):.1%}")
            rows.append((stage.name, *sizes, *used))
        return aligned(rows)

    def __repr__(self):
        line = (
            f"an image takes {si(self.latency, 's')}, the next one comes {si(self.interval, 's')} after it "
            f"({self.throughput:,.0f}/s, set by '{self.bottleneck.name}')"
        )
        return "\n".join((self.table(), line, *((self.rule,) if self.rule else ())))


def chain(stages: tuple[Stage, ...]) -> tuple[Step, ...]:
    """Steps of layers that wait for the whole result of the one before them."""
    found: list[Step] = []
    for stage in stages:
        reads: Mapping | tuple = ((found[-1].name, None),) if found else ()
        found.append(Step(name=stage.name, positions=stage.positions, reads=reads, stage=stage))
    return tuple(found)


def _starts(stage: Stage, ready: np.ndarray, free: float) -> np.ndarray:
    """(turns,) when each turn begins: start_g = max(ready_g, start_(g-1) + seconds), by a running maximum."""
    last = np.minimum(np.arange(1, stage.turns + 1) * stage.copies, len(ready)) - 1
    ahead = np.arange(stage.turns) * stage.seconds
    early = ready[last] - ahead
    early[0] = max(early[0], free)
    return np.maximum.accumulate(early) + ahead
