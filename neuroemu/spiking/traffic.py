"""Traffic: messages between cores, and the hops and links that carry them by dimension-order routing.

Enter what each core holds and how often each neuron spiked; leave messages from core to core, and what of them crosses
each link of the mesh. A message goes east or west first, then north or south; y counts southward. A neuron sends one
message to each core for each projection by which it reaches it, as `Meter` counts them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .. import _checks
from ..errors import InputError
from ..network.graph import Network
from .memory import destinations
from .populations import Population

Span = tuple[int, int, int]  # first and last + 1 neuron of a piece, and the number of its core
BATCH = 32  # images at a time


@dataclass(frozen=True, eq=False)
class Links:
    """Messages over the links of a mesh of W x H tiles, by direction.

    Attributes
    ----------
    east, west : (H, W - 1) array
        Between the tiles x and x + 1.
    south, north : (H - 1, W) array
        Between the tiles y and y + 1.
    messages : float
        All messages, those within a tile too.
    """

    east: np.ndarray
    west: np.ndarray
    south: np.ndarray
    north: np.ndarray
    messages: float

    @classmethod
    def of(cls, sent: np.ndarray, positions: np.ndarray, mesh: tuple[int, int]) -> "Links":
        """Links of messages (cores, cores), sender first, between cores at (cores, 2) tile positions."""
        wide, high = mesh
        east, west, south, north = (np.zeros(s) for s in ((high, wide - 1),) * 2 + ((high - 1, wide),) * 2)
        for sender, receiver in zip(*np.nonzero(sent), strict=True):
            n, (x, y), (to_x, to_y) = sent[sender, receiver], positions[sender], positions[receiver]
            east[y, x:to_x] += n
            west[y, to_x:x] += n
            south[y:to_y, to_x] += n
            north[to_y:y, to_x] += n
        return cls(east, west, south, north, float(sent.sum()))

    @property
    def hops(self) -> dict[str, float]:
        """Hops by direction."""
        return {name: float(getattr(self, name).sum()) for name in ("east", "west", "south", "north")}

    @property
    def busiest(self) -> float:
        """Messages over the link that carries most."""
        return max(float(links.max(initial=0)) for links in (self.east, self.west, self.south, self.north))


def messages(
    found: Sequence[Population], spans: Sequence[Sequence[Span]], n: int, spikes: Mapping[str, np.ndarray] | None
) -> np.ndarray:
    """Messages (n, n) from core to core; `spans` are the pieces of each population.

    Without `spikes` each neuron spikes once.
    """
    sent = np.zeros((n, n))
    for reader, population in enumerate(found):
        if not spans[reader]:
            continue
        into = [number for *_, number in spans[reader]]
        for projection in population.projections:
            source = found[projection.source]
            reach = destinations(projection.weights, [(first, stop) for first, stop, _ in spans[reader]])
            fired = np.ones(source.size) if spikes is None else _fired(spikes, source)
            for first, stop, number in spans[projection.source]:
                part = slice(first, min(stop, len(reach)))
                np.add.at(sent[number], into, fired[part] @ reach[part])
    return sent


def links_of(
    found: Sequence[Population], spans: Sequence[Sequence[Span]], floor, spikes: Mapping[str, np.ndarray] | None
) -> Links:
    """Messages over the links of a `placers.Floor`; the numbers in `spans` are those of its cores."""
    used = sorted({number for group in spans for *_, number in group})
    place = {core: number for number, core in enumerate(used)}
    counted = [[(first, stop, place[core]) for first, stop, core in group] for group in spans]
    sent = messages(found, counted, len(used), spikes)
    return Links.of(sent, floor.positions(np.array(used, np.int64)), floor.joined_mesh)


def _fired(spikes: Mapping[str, np.ndarray], population: Population) -> np.ndarray:
    found = np.asarray(spikes.get(population.name, 0), np.float64)
    if found.shape != (population.size,):
        raise InputError(
            f"spikes of '{population.name}' have shape {found.shape}, the population has {population.size} neurons; "
            "give the counts that spike_counts made of the same network"
        )
    return found


def spike_counts(network: Network, chip, x: np.ndarray, *, seed: int = 0, threads: int | None = None) -> dict:
    """How often each neuron of a network spikes on some inputs.

    Parameters
    ----------
    network : Network
        Spiking, from `to_spiking`.
    chip : SpikingChip or Convention
    x : ``(B, *input_shape)`` array
        Calibration inputs, not those that are judged.
    seed, threads
        As in `run`.

    Returns
    -------
    dict from the name of a population to (N,) int64, in the order of its neurons
    """
    from . import engine
    from .populations import populations
    from .probing import checked
    from .ranges import convention_of

    convention = convention_of(chip, who="spike_counts")
    x = checked(x, network, who="spike_counts")
    threads = _checks.threads(threads, who="spike_counts")
    found, codes = populations(network), engine.input_codes(network, x)
    totals = {population.name: np.zeros(population.size, np.int64) for population in found}
    for first in range(0, len(x), BATCH):
        _, activity = engine.run_batch(
            found, codes[first : first + BATCH], network.steps, convention,
            seed=seed, trial=0, first=first, threads=threads,
        )  # fmt: skip
        for population, happened in zip(found, activity, strict=True):
            totals[population.name] += happened.spikes.sum(axis=(0, 1), dtype=np.int64)
    return totals
