"""Pipelining: the layers of a network on a chip's tiles become stages, a pipeline, and shares of the chip.

A stage takes, for each position of its output, as many reads as the input has planes and phases; each is a read of all
its arrays at once and then, where `Adc` gives conversions a time, one conversion for each column that shares a
converter. Slices of a weight lie on columns of the same arrays and take no further reads.
"""

from dataclasses import replace

from ..chip import Site
from ..network.graph import Network
from ..pipeline import Pipeline, Stage
from ..usage import Usage
from .building import planes_of, positions
from .counting import conversions_of_read, seconds_of_read
from .neurons import AnalogNeurons


def stages_of(chip, network: Network, sites) -> tuple[Stage, ...]:
    """One stage for each weighted layer; `chip` as it reads the network."""
    found = []
    for layer in network.weighted:
        tiles = [site for site in sites if site.layer == layer.name]
        planes, one = planes_of(chip, network, layer), seconds_of_read(chip, tiles)
        conversions = conversions_of_read(chip, tiles)
        if network.spiking and isinstance(chip.neurons, AnalogNeurons):
            one, conversions = chip.neurons.pulse(chip) + chip.neurons.compare_seconds, 0
        found.append(Stage(
            name=layer.name, positions=positions(network, layer), seconds=planes * one, reads=planes,
            conversions=conversions, transit=chip.transit_seconds, units=len(tiles), copies=copies_of(tiles),
        ))  # fmt: skip
    return tuple(found)


def pipeline_of(chip, network: Network, sites) -> Pipeline:
    """The placed layers as the chip's schedule lets them work."""
    return chip.schedule.pipeline(network, stages_of(chip, network, sites))


def copied(chip, network: Network, sites: list[Site]) -> tuple[Site, ...]:
    """The sites with the number of copies that the chip makes of each."""
    copies = chip.copies.of(stages_of(chip, network, sites), chip.cores, who=chip.name)
    if all(n == 1 for n in copies.values()):
        return tuple(sites)
    return tuple(replace(site, details={**site.details, "copies": copies[site.layer]}) for site in sites)


def copies_of(tiles) -> int:
    """Copies of the layer on these tiles."""
    return tiles[0].details.get("copies", 1) if tiles else 1


def copies_note(stages: tuple[Stage, ...]) -> tuple[str, ...]:
    """A line on copies, where there are any."""
    told = ", ".join(f"{stage.name} x{stage.copies}" for stage in stages if stage.copies > 1)
    return (f"copies of layers, taken to be programmed alike: {told}",) if told else ()


def usage_of(chip, stages: tuple[Stage, ...], sites, interval: float) -> Usage:
    """Shares of the chip, with all positions of `stages` read once in each `interval`."""
    units = sum(stage.units * stage.copies for stage in stages)
    if not units:
        return Usage(units=0, present=chip.cores, cells=0.0, busy=0.0, work=0.0)
    filled = {stage.name: sum(site.utilisation for site in sites if site.layer == stage.name) for stage in stages}
    reading = {stage.name: stage.positions * stage.seconds for stage in stages}
    return Usage(
        units=units,
        present=chip.cores,
        cells=sum(filled[stage.name] * stage.copies for stage in stages) / units,
        busy=sum(stage.units * reading[stage.name] for stage in stages) / (units * interval),
        work=sum(filled[stage.name] * reading[stage.name] for stage in stages) / (units * interval),
    )
