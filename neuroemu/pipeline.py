"""Pipeline: when the layers of a chip work on images. Enter stages and what they wait for, leave times.

A stage is a layer with arrays of its own, in one or more copies. It takes the positions of its output in raster order,
as many at a time as it has copies, and is busy for `seconds` with each such turn; `transit` later the result lies where
the next layer reads it. A turn begins when the stage is free and all that its positions need is there. Layers without
arrays (pooling, sums, activations) pass results on in no time, in raster order too. Images enter one `interval` apart,
which is the busy time of the slowest stage: with nothing but forward reads and buffers that never fill up, no schedule
is faster and this one keeps up.

Not modelled: buffers that fill up (`Pipeline.buffers` says how large they must be), links that are shared, the time of
inputs on their way onto the chip.
"""

from dataclasses import dataclass
from functools import cached_property
from math import ceil

import numpy as np

from . import _checks
from ._counts import aligned, si
from .errors import InputError
from .stages import Passed, Stage, Step, Work, starts_of

__all__ = ["Pipeline", "Stage", "Step", "Work", "chain"]

SETTLED = 1e-9  # share of the interval by which two images may differ that count as alike
IMAGES = 1000  # looked at before a pipeline is taken as it is


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
        finish = self._image(free).finish
        if not self.overlap:
            return finish
        before, interval = {}, self.interval
        for _ in range(IMAGES):
            free = {name: time - interval for name, time in free.items()}  # the next image enters at time 0
            if before and max(abs(free[name] - before[name]) for name in free) <= SETTLED * interval:
                break
            before = dict(free)
            finish = self._image(free).finish
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
            starts = self._image(free, entered=number * self.interval).starts
            found += [Work(stage=stage, image=number, starts=starts[stage.name]) for stage in self.stages]
        return tuple(found)

    def held(self) -> dict[str, int]:
        """Most positions of each step's result that wait for a reader at once, by step, in a full pipeline.

        A position is held from when it is there until the last position that needs it has been read, of all images
        on their way. Steps whose positions are read at once, or never, are left out.
        """
        images = min(IMAGES, 2 + ceil(self.latency / self.interval)) if self.overlap else 1
        free: dict[str, float] = {}
        passed = [self._image(free, entered=number * self.interval) for number in range(images)]
        found = {}
        for step in self.steps:
            readers = [(other, k) for other in self.steps for k, read in enumerate(other.reads) if read[0] == step.name]
            if readers:
                came = np.concatenate([image.there[step.name] for image in passed])
                went = [np.maximum.reduce([_kept(other, k, step, image) for other, k in readers]) for image in passed]
                found[step.name] = _most(came, np.concatenate(went), SETTLED * self.interval)
        return {name: n for name, n in found.items() if n}

    def buffers(self) -> dict[str, float]:
        """Bytes of `held`, by step whose size is known: of row pipelines."""
        sizes = {step.name: step.bytes for step in self.steps}
        return {name: n * sizes[name] for name, n in self.held().items() if sizes[name]}

    def _image(self, free: dict[str, float], entered: float = 0.0) -> Passed:
        """One image on its way; `free` is brought up to date."""
        there: dict[str, np.ndarray] = {}
        starts: dict[str, np.ndarray] = {}
        read: dict[str, np.ndarray] = {}
        for step in self.steps:
            ready = np.full(step.positions, entered)
            for name, last in step.reads:
                ready = np.maximum(ready, there[name][-1] if last is None else there[name][last])
            ready = np.maximum.accumulate(ready)
            if step.stage is None:
                there[step.name] = read[step.name] = ready
                continue
            begin = starts_of(step.stage, ready, free.get(step.name, -np.inf))
            starts[step.name] = begin
            free[step.name] = float(begin[-1]) + step.stage.seconds
            read[step.name] = np.repeat(begin + step.stage.seconds, step.stage.copies)[: step.positions]
            there[step.name] = read[step.name] + step.stage.transit
        return Passed(starts, read, there, float(there[self.steps[-1].name][-1]))

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
        reads = ((found[-1].name, None),) if found else ()
        found.append(Step(name=stage.name, positions=stage.positions, reads=reads, stage=stage))
    return tuple(found)


def _kept(reader: Step, number: int, step: Step, image: Passed) -> np.ndarray:
    """When each position of `step` is no longer needed by a reader, whose read `number` it is."""
    firsts = reader.firsts[number] if number < len(reader.firsts) else None
    read, came = image.read[reader.name], image.there[step.name]
    if firsts is None:
        return np.maximum(came, read[-1])
    rising = np.minimum.accumulate(firsts[::-1])[::-1]  # the first position that this and all later ones need
    last = np.searchsorted(rising, np.arange(step.positions), side="right") - 1
    return np.maximum(came, np.where(last < 0, came, read[np.maximum(last, 0)]))


def _most(came: np.ndarray, went: np.ndarray, near: float) -> int:
    """Most that are there at once; one that leaves as another comes, within `near`, makes room for it."""
    came, went = np.sort(came), np.sort(went)
    return int((np.arange(1, len(came) + 1) - np.searchsorted(went, came + near, side="right")).max())
