"""Placement of programs: which compartments of a LoihiProgram go to which core, under the limits of the chip.

Enter a program written by hand, or compiled, and a SpikingChip; leave a table. The compartments of a dendritic tree
stay on the core of their soma. `run_loihi` computes the same wherever the compartments lie.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from .. import _checks
from .._sites import layer_table, site_table, utilisation
from ..chip import Site
from ..errors import PlacementError
from ..network import layers as L
from .chip import SpikingChip
from .placing import sites_of, spans_of
from .populations import BlockRows, Population, Projection
from .program import Compartments, LoihiProgram, Synapses
from .traffic import Links, links_of
from .wiring import edges_of


@dataclass(frozen=True, eq=False)
class ProgramPlacement:
    """A program placed on a chip; made by `place_program`.

    Attributes
    ----------
    program : LoihiProgram
    chip : SpikingChip
    sites : tuple of Site
        One record for each piece of a population; a tree of compartments bears the name of its soma.
    """

    program: LoihiProgram
    chip: SpikingChip
    sites: tuple[Site, ...]
    groups: tuple[Population, ...] = field(repr=False)

    @property
    def utilisation(self) -> float:
        """Mean share, 0 to 1, of each used core's scarcest resource."""
        return utilisation(self.sites)

    def table(self) -> str:
        """One line a site: core, population, compartments, utilisation and details."""
        return site_table(self.sites)

    def layers(self) -> str:
        """One line a population: its cores, compartments and input axons, the largest core, and what is in use."""
        return layer_table(self.sites)

    def links(self, spikes: Mapping[str, np.ndarray] | None = None) -> Links:
        """Messages over each link of the mesh; without `spikes`, (N,) by population, each neuron spikes once.

        Of a tree, `spikes` are those of all its compartments, by the name of the soma.
        """
        return links_of(self.groups, spans_of(self.groups, self.sites), self.chip.floor, spikes)

    def __repr__(self):
        cores = len({site.unit for site in self.sites})
        return f"ProgramPlacement of '{self.program.name}' on {self.chip.name}: {cores} cores"


def place_program(program: LoihiProgram, chip: SpikingChip) -> ProgramPlacement:
    """Put a program on the cores of a chip.

    Parameters
    ----------
    program : LoihiProgram
    chip : SpikingChip

    Raises
    ------
    PlacementError
        One compartment takes more than a core, or all take more than the chip; the message names the population, the
        limit and the remedy.
    """
    _checks.instance(program, LoihiProgram, who="place_program", name="program")
    _checks.instance(chip, SpikingChip, who="place_program", name="chip")
    groups, compartments = groups_of(program, chip)
    sites = sites_of(chip, groups, compartments, f"program '{program.name}'", chip.floor)
    return ProgramPlacement(program, chip, sites, groups)


def groups_of(program: LoihiProgram, chip: SpikingChip):
    """Inputs and trees of compartments as populations, and what gives the compartments of each of their members."""
    soma = {part.name: part.name for part in program.compartments}
    above = {part.name: part.dendrite.of for part in program.compartments if part.dendrite is not None}
    for name in soma:
        while soma[name] in above:
            soma[name] = above[soma[name]]
    names = [axons.name for axons in program.inputs] + [name for name in soma if soma[name] == name]
    index = {name: names.index(soma.get(name, name)) for name in (*names, *soma)}
    groups, sizes = [], {}
    for name in names:
        members = [part for part in program.compartments if soma[part.name] == name]
        into = [s for s in program.synapses if any(s.target == part.name for part in members)]
        groups.append(
            Population(
                name=name, neuron=None, shape=(program.size(name),), bias=None,
                projections=tuple(_projection(s, index[s.source], program, chip) for s in into),
                profiles=tuple(_profile(part) for part in members),
                thresholds=tuple(part.threshold_mantissa for part in members),
            )
        )  # fmt: skip
        sizes[name] = sum(_compartments(part, chip) for part in members)
    return tuple(groups), lambda group: sizes[group.name]


def _compartments(part: Compartments, chip: SpikingChip) -> int:
    """Compartments of the chip that one of a program takes; what never spikes needs no reset."""
    if part.reset != "subtract" or (part.threshold_mantissa == L.THRESHOLD_MANTISSA).all():
        return 1
    if chip.compartments_to_subtract is None:
        raise PlacementError(f"{chip.name}: '{part.name}' resets by subtraction, the chip to zero; use reset='zero'")
    return chip.compartments_to_subtract


def _projection(part: Synapses, source: int, program: LoihiProgram, chip: SpikingChip) -> Projection:
    edges = edges_of(part, chip.convention, program.size(part.source))
    lowest, highest = int(part.tag.min()), int(part.tag.max())
    return Projection(
        name=part.who, source=source, weights=BlockRows(edges.indptr, edges.target, edges.row, edges.table),
        delay=int(edges.delay.max(initial=0)), weight_bits=part.bits,
        tag_bits=max(abs(lowest), abs(highest)).bit_length() + (lowest < 0), form=(part.exponent, part.sign_mode),
    )  # fmt: skip


def _profile(part: Compartments) -> np.ndarray:
    """What the configuration of a compartment holds beside its threshold and bias, (N, 3)."""
    return np.stack([part.current_decay, part.voltage_decay, part.refractory], axis=1)
