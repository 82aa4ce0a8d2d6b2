"""Pictures of results and placements. The only room that imports matplotlib; each function returns a Figure."""

from matplotlib.figure import Figure

from .._files import picture_format, replacing
from ..errors import ArgumentTypeError
from .conversions import conversion, steps
from .crossbars import ir_drop, noise_budget, tiles
from .drawing import COLOURS
from .meshes import cores, floor_plan
from .pipelines import pipeline
from .results import energy_accuracy, energy_parts, front, pareto
from .spikes import membrane, raster, rates
from .sweeps import ageing, sweep
from .treemaps import energy_treemap, treemap
from .validation import parity

__all__ = [
    "COLOURS",
    "ageing",
    "conversion",
    "cores",
    "energy_accuracy",
    "energy_parts",
    "energy_treemap",
    "floor_plan",
    "front",
    "ir_drop",
    "membrane",
    "noise_budget",
    "pareto",
    "parity",
    "pipeline",
    "raster",
    "rates",
    "save",
    "steps",
    "sweep",
    "tiles",
    "treemap",
]


def save(figure: Figure, path) -> None:
    """Write a figure as PNG, SVG or PDF, by the ending of `path`."""
    if not isinstance(figure, Figure):
        raise ArgumentTypeError(f"plot.save: got {type(figure).__name__}; give a Figure of this module")
    with replacing(path) as temporary:
        figure.savefig(temporary, format=picture_format(path), dpi=150)
