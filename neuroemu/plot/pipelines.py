"""The picture of a pipeline: which layer works on which image, and when."""

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .. import pipeline as P
from .._counts import si
from ..errors import ArgumentTypeError, InputError
from ..result import Result
from .drawing import colours_of, figure_of

UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))
MOST_SPANS = 2000  # of one stage with one image, that are drawn apart


def pipeline(shown: P.Pipeline | Result, *, images: int = 3) -> Figure:
    """Layers from top to bottom over time, in a colour an image, beside the share of time in which their arrays read.

    A pale bar goes from the first to the last turn of a layer on an image, full colour where it reads; in between it
    waits for its inputs. Dashed lines: images enter. Copies of a layer stand behind its name.

    Parameters
    ----------
    shown : Pipeline or Result
        As `CrossbarChip.pipeline` gives it, or a result that has one.
    images : int, 1 to 20
        Which enter an empty pipeline one interval apart.

    Raises
    ------
    ArgumentTypeError, InputError
        Neither of them, or a result without a pipeline.
    """
    shown, title = _checked(shown)
    if not isinstance(images, int) or not 1 <= images <= 20:
        raise InputError(f"plot.pipeline: images is {images!r}; allowed: 1 to 20")
    works, stages = shown.schedule(images), shown.stages
    scale, unit = next(((s, u) for s, u in UNITS if max(work.end for work in works) >= s), UNITS[-1])
    figure = figure_of(10.0, 1.5 + 0.34 * len(stages))
    left, right = figure.subplots(1, 2, width_ratios=(4, 1), sharey=True)
    colours = colours_of(images)
    for work in works:
        _draw(left, stages.index(work.stage), work, colours[work.image], scale)
    for number in range(images):
        left.axvline(number * shown.interval / scale, color="0.6", lw=0.8, ls="--", zorder=0)
    names = [f"{stage.name} x{stage.copies}" if stage.copies > 1 else stage.name for stage in stages]
    left.set_yticks(range(len(stages)), names, fontsize=8)
    left.invert_yaxis()
    left.set_xlabel(f"time ({unit})")
    left.set_xlim(left=0)
    pace = f"latency {si(shown.latency, 's')}, interval {si(shown.interval, 's')}, {shown.throughput:,.0f} images/s"
    left.set_title(f"{title}{pace}", fontsize=9)
    right.barh(range(len(stages)), [100 * shown.busy(stage) for stage in stages], color="0.5", height=0.6)
    right.set_xlim(0, 100)
    right.set_xlabel("arrays read (% of the time)", fontsize=8)
    right.tick_params(labelleft=False)
    handles = [Line2D([], [], color=c, lw=6, label=f"image {k + 1}") for k, c in enumerate(colours)]
    figure.legend(handles=handles, frameon=False, fontsize=8, loc="outside lower center", ncols=min(images, 10))
    return figure


def _checked(shown) -> tuple[P.Pipeline, str]:
    """The pipeline to be drawn, and what it is of."""
    title = ""
    if isinstance(shown, Result):
        title = f"{shown.network_name} on {shown.chip_name}: "
        if shown.pipeline is None:
            raise InputError(
                f"plot.pipeline: {title}no layers with arrays of their own; give a result of a crossbar chip and a "
                "quantized network"
            )
        shown = shown.pipeline
    if not isinstance(shown, P.Pipeline):
        raise ArgumentTypeError(f"plot.pipeline: got {type(shown).__name__}; give a Pipeline or a Result")
    return shown, title


def _draw(axes, row: int, work: P.Work, colour: str, scale: float):
    """One layer on one image."""
    first, last = float(work.starts[0]) / scale, work.end / scale
    axes.barh(row, last - first, left=first, height=0.7, color=colour, alpha=0.25, lw=0)
    spans = work.spans()
    if len(spans) <= MOST_SPANS:
        bars = [(begin / scale, (end - begin) / scale) for begin, end in spans]
        axes.broken_barh(bars, (row - 0.35, 0.7), facecolor=colour, edgecolor=colour, lw=0.4)  # short turns stay seen
