"""Boards: a network on many chips, on paper - chips, cores, hops within and between chips - without running it.

Enter a spiking network or a program, a chip and how many of it there are; leave counts. The meshes of the chips are
joined to one large mesh of tiles, as Loihi extends its mesh off chip in four directions (Davies 2018,
doi:10.1109/MM.2018.112130359). Chips are filled one after the other, row by row.

Not modelled: the time and energy of links between chips, which are not published in full, and the barrier of boards.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .. import _checks
from .._sites import layer_table
from ..chip import Site
from ..errors import ArgumentTypeError
from ..network.graph import Network
from .chip import SpikingChip
from .placers import Floor
from .placing import sites_of, spans_of
from .program import LoihiProgram
from .program_placement import groups_of
from .traffic import Links, links_of

MOST_CHIPS = 768  # Pohoiki Springs, the largest machine of Loihi chips: 768 chips (Intel 2020)


@dataclass(frozen=True, eq=False)
class Board:
    """A network on several chips; made by `board`.

    Attributes
    ----------
    sites : tuple of Site
        `unit` counts the cores of all chips.
    floor : Floor
        The joined mesh.
    links : Links
        Messages over every link of the joined mesh.
    """

    name: str
    chip: SpikingChip
    sites: tuple[Site, ...]
    floor: Floor
    links: Links

    @property
    def cores(self) -> int:
        return len({site.unit for site in self.sites})

    @property
    def chips(self) -> int:
        """Chips in use."""
        return len({site.unit // self.chip.cores for site in self.sites})

    @property
    def hops_between_chips(self) -> float:
        """Hops over links that leave a chip."""
        wide, high = self.chip.mesh
        across = self.links.east + self.links.west, self.links.south + self.links.north
        return float(across[0][:, wide - 1 :: wide].sum() + across[1][high - 1 :: high].sum())

    @property
    def hops_within_chips(self) -> float:
        """Hops over links inside of a chip."""
        return sum(self.links.hops.values()) - self.hops_between_chips

    @property
    def links_between_chips(self) -> int:
        """Links that leave a chip and carry messages, each direction by itself."""
        wide, high = self.chip.mesh
        ends = [side[:, wide - 1 :: wide] for side in (self.links.east, self.links.west)]
        ends += [side[high - 1 :: high] for side in (self.links.south, self.links.north)]
        return sum(int(np.count_nonzero(end)) for end in ends)

    def layers(self) -> str:
        """One line a layer: its cores and what is in use."""
        return layer_table(self.sites)

    def __str__(self):
        return (
            f"{self.name} on {self.chip.name}: {self.cores:,} cores of {self.chips:,} chips; messages "
            f"{self.links.messages:,.0f}, hops within chips {self.hops_within_chips:,.0f}, between chips "
            f"{self.hops_between_chips:,.0f} over {self.links_between_chips:,} links\n{self.layers()}"
        )


def board(
    what: Network | LoihiProgram, chip: SpikingChip, *, chips: int = MOST_CHIPS, columns: int | None = None,
    spikes: Mapping[str, np.ndarray] | None = None,
) -> Board:  # fmt: skip
    """Put a network or a program on a board of chips.

    Parameters
    ----------
    what : Network or LoihiProgram
    chip : SpikingChip
        One of the board; its placer works on all chips.
    chips : int, 1 to 768
        Chips of the board.
    columns : int, optional
        Chips side by side; default: about as many as rows. How chips of large boards are wired is assumed.
    spikes : mapping from population to (N,) array, optional
        From `spike_counts`; without it each neuron spikes once.

    Raises
    ------
    PlacementError
        The board has too few chips, or one neuron takes more than a core.
    """
    _checks.instance(chip, SpikingChip, who="board", name="chip")
    _checks.integer(chips, who="board", name="chips", low=1, high=MOST_CHIPS)
    columns = int(np.ceil(np.sqrt(chips))) if columns is None else columns
    _checks.integer(columns, who="board", name="columns", low=1, high=chips)
    floor = Floor(chip.cores, chip.cores_per_tile, chip.mesh, chips, columns)
    if isinstance(what, LoihiProgram):
        found, compartments = groups_of(what, chip)
    elif isinstance(what, Network):
        found, compartments = chip.populations(what), chip.compartments
    else:
        raise ArgumentTypeError(f"board: got {type(what).__name__}; give a spiking Network or a LoihiProgram")
    sites = sites_of(chip, found, compartments, f"'{what.name}'", floor)
    links = links_of(found, spans_of(found, sites), floor, spikes)
    return Board(what.name, chip, sites, floor, links)
