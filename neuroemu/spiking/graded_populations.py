"""Populations of neurons that send graded spikes, and the synapses between them, from a network's layers.

Enter a Network whose neurons send by Delta or Programmed layers; leave its populations in order, each with the wirings
that reach it. All layers between two senders are computed inside the neurons of the second one. Neurons of an
image-shaped tensor are numbered channel last, as in `populations`.
"""

from dataclasses import dataclass, replace

import numpy as np

from ..errors import UnsupportedError
from ..network import layers as L
from ..network import ops
from ..network.graded import Delta, Programmed
from ..network.graph import INPUT, Network
from .populations import MOST_DELAY, BlockRows, block_rows, neuron_numbers, sorted_rows


@dataclass(frozen=True, eq=False)
class Wiring:
    """Synapses from one population into a layer of another; the rows are numbered by the neurons of the source."""

    source: str
    layer: L.Layer
    rows: BlockRows
    weighted: bool  # whether the synapses hold weights; if not, they add the payload as it is


@dataclass(frozen=True, eq=False)
class GradedPopulation:
    """Neurons of one tensor that is sent, or of the output.

    `name` is the layer that they stand for, `tensor` the layer that sends, `level` the step in which they first hear of
    an input, `words` the 32-bit words of state of a neuron.
    """

    name: str
    tensor: str
    shape: tuple[int, ...]
    level: int
    words: int
    wirings: tuple[Wiring, ...]

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))


@dataclass(frozen=True, eq=False)
class _Inside:
    """What a tensor inside a population has gathered so far."""

    head: str
    words: int
    wirings: tuple[Wiring, ...]


@dataclass(frozen=True, eq=False)
class _Sent:
    """A tensor that was sent, perhaps rearranged: the number of the neuron at each place."""

    source: str
    numbers: np.ndarray


def graded_populations(network: Network) -> tuple[GradedPopulation, ...]:
    """The populations of a sigma-delta or programmed network, in order of computation.

    Raises
    ------
    UnsupportedError
        Branches so uneven that messages would have to wait more than 62 steps.
    """
    found: dict[str, GradedPopulation] = {}
    known: dict[str, _Inside | _Sent] = {INPUT: _Inside(INPUT, 1, ())}
    for layer in network.layers:
        reads, shape = [known[i] for i in layer.inputs], network.shapes[layer.name]
        if isinstance(layer, Delta | Programmed):
            inside = _inside(layer, reads, shape)
            kept = layer.program.WORDS if isinstance(layer, Programmed) else inside.words + 1
            name = layer.name if isinstance(layer, Programmed) else inside.head
            found[layer.name] = _population(name, layer.name, shape, kept, inside.wirings, found)
            known[layer.name] = _Sent(layer.name, neuron_numbers(shape))
        elif isinstance(reads[0], _Sent) and isinstance(layer, L.Flatten | L.Reshape | L.Transpose | L.Scale):
            numbers = reads[0].numbers
            moved = numbers if isinstance(layer, L.Scale) else ops.rearrange(layer, numbers[None], shape)[0]
            known[layer.name] = _Sent(reads[0].source, moved)
        else:
            known[layer.name] = _inside(layer, reads, shape)
    last = known[network.output]
    if isinstance(last, _Inside):
        shape = network.shapes[last.head]
        found[network.output] = _population(last.head, network.output, shape, last.words, last.wirings, found)
    return tuple(found.values())


def _inside(layer, reads, shape) -> _Inside:
    """A layer that is computed inside the neurons of the next sender."""
    wirings, words, head, first = (), 0, None, 0
    for part in reads:
        if isinstance(part, _Inside):
            wirings, words = wirings + part.wirings, words + part.words
            head = part.head
            continue
        wirings += (_wiring(layer, part, shape, first),)
        words += layer.size[0] * layer.size[1] if isinstance(layer, L.MaxPool2d) else 1
        first += part.numbers.shape[layer.axis] if isinstance(layer, L.Concat) else 0
    if isinstance(layer, L.Concat) and words:
        words = 1
    passive = L.Clip | L.Scale | L.Softmax | L.Flatten | L.Reshape | L.Transpose | Delta
    own = head is None or not isinstance(layer, passive)
    return _Inside(layer.name if own else head, words, wirings)


def _wiring(layer, part: _Sent, shape, first: int) -> Wiring:
    """Synapses from what was sent into a layer; `first`: where it starts in a Concat."""
    if isinstance(layer, L.Weighted):
        return Wiring(part.source, layer, block_rows(layer, part.numbers, shape), True)
    if isinstance(layer, L.Pool2d | L.GlobalAveragePool):
        return Wiring(
            part.source, layer, block_rows(_window(layer, part.numbers.shape), part.numbers, _image(shape)), False
        )
    targets = neuron_numbers(shape)
    if isinstance(layer, L.Concat):
        targets = np.take(targets, np.arange(first, first + part.numbers.shape[layer.axis]), axis=layer.axis)
    source, target = part.numbers.ravel(), targets.ravel()
    return Wiring(
        part.source, layer, sorted_rows(source, target, np.zeros_like(source), np.ones((1, 1), np.int8)), False
    )


def _window(layer, shape) -> L.Conv2d:
    """A convolution with the reach of a pooling layer."""
    pooled = isinstance(layer, L.Pool2d)
    size = layer.size if pooled else shape[1:]
    settings = {"stride": layer.stride, "padding": layer.padding} if pooled else {}
    weight = np.ones((shape[0], 1, *size), np.float32)
    return L.Conv2d(name=layer.name, weight=weight, groups=shape[0], **settings)


def _image(shape):
    return shape if len(shape) == 3 else (*shape, 1, 1)


def _population(name, tensor, shape, words, wirings, found) -> GradedPopulation:
    levels = [found[w.source].level for w in wirings]
    level = 1 + max(levels, default=-1)
    if levels and level - 1 - min(levels) > MOST_DELAY:
        raise UnsupportedError(
            f"layer '{name}': its inputs lie {level - 1 - min(levels)} steps apart and a synapse delays by up to "
            f"{MOST_DELAY}; shorten the longer branch"
        )
    return GradedPopulation(name, tensor, shape, level, words, wirings)


def sources_of(populations: tuple[GradedPopulation, ...]) -> dict[str, list[tuple[GradedPopulation, Wiring]]]:
    """The populations and wirings that listen to each sender, by the name of the tensor sent."""
    found: dict[str, list] = {p.tensor: [] for p in populations}
    for population in populations:
        for wiring in population.wirings:
            found[wiring.source].append((population, wiring))
    return found


def fan_out(wiring: Wiring, size: int) -> np.ndarray:
    """Synapses of each neuron of the source, int64 (size,); a zero weight is not stored."""
    per_edge = np.count_nonzero(wiring.rows.table, axis=1)[wiring.rows.row]
    fan = np.zeros(size, np.int64)
    np.add.at(fan, wiring.rows.source, per_edge)
    return fan


def padded_rows(rows: BlockRows, inputs: int) -> BlockRows:
    """Rows with an entry of `indptr` for all inputs; the last ones may have no edge."""
    return replace(rows, indptr=rows.padded(inputs))
