"""Placing: populations, of a network or of a program, as sites on the cores of a chip."""

from collections.abc import Callable, Sequence

from ..chip import Site
from ..errors import PlacementError
from .cores import Core, allocate, packed, shares
from .memory import projected
from .placers import Floor
from .populations import Population
from .traffic import Span, messages


def sites_of(
    chip, found: tuple[Population, ...], compartments: Callable[[Population], int], what: str, floor: Floor
) -> tuple[Site, ...]:
    """One site a piece of a population; several pieces share a core where the chip's placer packs them.

    `chip` has the limits of a core and the placer, `floor` the cores that there are.

    Raises
    ------
    PlacementError
        One neuron takes more than a core, or all together more than the chip.
    """
    groups = allocate(found, chip.limits, compartments, chip.name, even=chip.placer.even)
    cores = [core for group in groups for core in group]
    fillings = packed(cores, chip.limits) if chip.placer.pack else list(range(len(cores)))
    n = max(fillings, default=-1) + 1
    if n > floor.all_cores:
        worst = max(range(len(found)), key=lambda index: len(groups[index]))
        raise PlacementError(
            f"{chip.name}: {what} needs {n} cores, the {'chip' if floor.chips == 1 else 'board'} has "
            f"{floor.all_cores}; layer '{found[worst].name}' takes {len(groups[worst])}: shrink or prune it"
        )
    spans: list[list[Span]] = [[] for _ in found]
    for core, filling in zip(cores, fillings, strict=True):
        spans[core.population].append((core.first, core.stop, filling))
    units = chip.placer.units(n, lambda spikes: messages(found, spans, n, spikes), floor).tolist()
    held: list[list[Core]] = [[] for _ in range(n)]
    for core, filling in zip(cores, fillings, strict=True):
        held[filling].append(core)
    together = [shares(pieces, chip.limits) for pieces in held]
    return tuple(
        _site(chip, found, core, units[filling], together[filling], floor)
        for core, filling in zip(cores, fillings, strict=True)
    )


def spans_of(found: Sequence[Population], sites: Sequence[Site]) -> list[list[Span]]:
    """The pieces of each population, from their sites."""
    return [[(*site.rows, site.unit) for site in sites if site.layer == population.name] for population in found]


def _site(chip, found, core: Core, unit: int, together: dict[str, float], floor: Floor) -> Site:
    """`together` is what all pieces on the core take of its limits."""
    population = found[core.population]
    scarcest = max(together, key=together.get)
    x, y = floor.positions(unit).tolist()
    details = {
        "compartments": core.compartments, "input axons": core.input_axons, "output axons": core.output_axons,
        "synapses": core.synapses, "synaptic kbit": round(core.synaptic_bits / 1024), "scarcest": scarcest,
        "tile": f"{x},{y}",
    }  # fmt: skip
    if len(population.projections) > 1:
        details["axons and synapses by path"] = _paths(chip, found, population, core)
    return Site(
        layer=population.name, unit=unit, rows=(core.first, core.stop), columns=(0, core.input_axons),
        utilisation=together[scarcest], details=details,
    )  # fmt: skip


def _paths(chip, found, population: Population, core: Core) -> str:
    """What each projection of a population takes on a core, in words."""
    taken = []
    for part in population.projections:
        axons, synapses, _ = projected(part, core.first, core.stop, chip.limits)
        late = f" {part.delay} late" if part.delay else ""
        taken.append(f"{part.name}{late} from {found[part.source].name}: {axons}, {synapses}")
    return "; ".join(taken)
