"""What all pictures share: figures, colours, and checks of what is drawn."""

from matplotlib.figure import Figure

from ..errors import ArgumentTypeError, InputError
from ..result import Result

COLOURS = ("#1b6ca8", "#d1495b", "#2e8b57", "#edae49", "#6a4c93", "#545863", "#00798c", "#8d6a9f")


def figure_of(wide: float, high: float) -> Figure:
    return Figure(figsize=(wide, high), layout="constrained")


def colours_of(n: int) -> list[str]:
    return [COLOURS[i % len(COLOURS)] for i in range(n)]


def checked_results(results) -> tuple[Result, ...]:
    results = getattr(results, "results", results)
    results = tuple(results) if hasattr(results, "__iter__") else (results,)
    if not results or not all(isinstance(r, Result) for r in results):
        raise ArgumentTypeError("plot: give one or more Results, as run(...) returns them")
    return results


def priced_results(results, *, who: str) -> tuple[Result, ...]:
    """Results whose energy is known."""
    results = checked_results(results)
    for result in results:
        if result.energy.unknown:
            raise InputError(
                f"{who}: the energy of {result.chip_name} is unknown ({result.energy.unknown}); leave it out"
            )
    return results


def units_of_layer(sites, layer: str) -> int:
    return sum(site.layer == layer for site in sites)
