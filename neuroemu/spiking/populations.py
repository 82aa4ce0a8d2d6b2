"""Populations: a spiking Network as a graph of groups of neurons and the block rows of weights between them.

A population has a projection for each layer whose sums are added up in its neurons: one in a chain, two where a
residual path ends. A projection is the synapses from one source; it waits where its source is more than a step early.

Neurons of an image-shaped layer are numbered channel last, (y * W + x) * C + c, so that the targets of one kernel tap
lie side by side and one vector addition serves them all. An input neuron owns edges; an edge adds one row of the weight
table to L neighbouring targets. Dense: one edge an input, L = outputs. Convolution: kH * kW edges, L = output channels.
"""

from dataclasses import dataclass

import numpy as np

from ..errors import UnsupportedError
from ..network import layers as L
from ..network import ops
from ..network.graph import Network

MOST_DELAY = 62  # steps that a synapse can hold a spike back (Davies 2018, doi:10.1109/MM.2018.112130359)


@dataclass(frozen=True, eq=False)
class BlockRows:
    """Weights between two populations; arrays as `kernels.events_reference.run_layer` takes them."""

    indptr: np.ndarray  # int32 (inputs + 1,)
    target: np.ndarray  # int32 (edges,), first target neuron
    row: np.ndarray  # int32 (edges,), row of the table
    table: np.ndarray  # int8 (rows, length), weight codes

    @property
    def length(self) -> int:
        return self.table.shape[1]

    @property
    def source(self) -> np.ndarray:
        """Input neuron of each edge."""
        return np.repeat(np.arange(len(self.indptr) - 1, dtype=np.int32), np.diff(self.indptr))

    def padded(self, inputs: int) -> np.ndarray:
        """indptr for all inputs; the last ones may have no edge at all."""
        return np.concatenate([self.indptr, np.full(inputs + 1 - len(self.indptr), self.indptr[-1], np.int32)])


@dataclass(frozen=True, eq=False)
class Projection:
    """Weights from one population to another, and how many steps their spikes wait on the way.

    A spike arrives one step after it was emitted, plus `delay`. The window of a population starts one step after that
    of its latest source; the spikes of an earlier source wait until then, so that all arrive for the same step of the
    presentation. The last three say how the synapses are stored, where that differs from the core's own way.
    """

    name: str  # of the weighted layer
    source: int  # index of the population
    weights: BlockRows  # of the source's neurons
    delay: int = 0  # the longest, where they differ
    weight_bits: int | None = None  # of a stored synapse; None: those of the core
    tag_bits: int = 0
    form: tuple = ()  # what else sets its format apart


@dataclass(frozen=True, eq=False)
class Population:
    """Neurons of one layer. The first has `neuron` an Encode and no projections; the others a Lif and what drives it.

    `level` is the number of steps by which its window starts after that of the input. `profiles` and `thresholds`, (N,
    ...) arrays, one for each compartment of a neuron, tell apart what needs entries of its own in the tables of a core;
    without them all neurons are alike.
    """

    name: str
    neuron: L.Encode | L.Lif
    shape: tuple[int, ...]
    projections: tuple[Projection, ...]
    bias: np.ndarray | None  # int32 (neurons,)
    level: int = 0
    profiles: tuple[np.ndarray, ...] = ()
    thresholds: tuple[np.ndarray, ...] = ()

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))


@dataclass(frozen=True, eq=False)
class _Spikes:
    """A tensor of spikes: the population (source) and the neuron (number) at each of its places."""

    source: np.ndarray
    number: np.ndarray

    def moved(self, move) -> "_Spikes":
        return _Spikes(move(self.source), move(self.number))


def populations(network: Network) -> tuple[Population, ...]:
    """The populations of a spiking network, input first, each after those it reads.

    Raises
    ------
    UnsupportedError
        A layer that has no place in a spiking network, or a path that skips more steps than a synaptic delay holds.
    """
    first, *rest = network.layers
    if not isinstance(first, L.Encode):
        raise UnsupportedError(
            f"network '{network.name}': a spiking network starts with an Encode layer; use to_spiking"
        )
    found = [Population(first.name, first, network.shapes[first.name], (), None)]
    spikes = {first.name: _spikes_of(0, found[0].shape)}  # tensors of spikes
    driven: dict[str, tuple[L.Weighted, ...]] = {}  # tensors of sums: the weighted layers that are added up there
    for layer in rest:
        if isinstance(layer, L.Weighted) and layer.inputs[0] in spikes:
            driven[layer.name] = (layer,)
        elif isinstance(layer, L.Add) and all(name in driven for name in layer.inputs):
            driven[layer.name] = tuple(part for name in layer.inputs for part in driven[name])
        elif isinstance(layer, L.Lif) and layer.inputs[0] in driven:
            found.append(_population(network, layer, driven[layer.inputs[0]], spikes, found))
            spikes[layer.name] = _spikes_of(len(found) - 1, found[-1].shape)
        elif isinstance(layer, L.Flatten | L.Reshape | L.Transpose) and layer.inputs[0] in spikes:
            shape = network.shapes[layer.name]
            spikes[layer.name] = spikes[layer.inputs[0]].moved(
                lambda a, m=layer, s=shape: ops.rearrange(m, a[None], s)[0]
            )
        elif isinstance(layer, L.Concat) and all(name in spikes for name in layer.inputs):
            parts = [spikes[name] for name in layer.inputs]
            joined = (np.concatenate([getattr(p, side) for p in parts], layer.axis) for side in ("source", "number"))
            spikes[layer.name] = _Spikes(*joined)
        else:
            raise UnsupportedError(
                f"{type(layer).__name__} '{layer.name}', which reads {', '.join(layer.inputs)}: no place in a spiking "
                "network here; use to_spiking"
            )
    if network.output not in spikes or (spikes[network.output].source != len(found) - 1).any():
        raise UnsupportedError(f"network '{network.name}': its last neurons must be its output; reorder the layers")
    return tuple(found)


def _spikes_of(index: int, shape) -> _Spikes:
    return _Spikes(np.full(shape, index), neuron_numbers(shape))


def _population(network, lif: L.Lif, layers, spikes, found) -> Population:
    """The neurons of `lif`, driven by weighted `layers`; named as the layer, or as the sum of several."""
    shape = network.shapes[lif.name]
    parts = []
    for layer in layers:
        tensor = spikes[layer.inputs[0]]
        for source in np.unique(tensor.source).tolist():
            numbers = np.where(tensor.source == source, tensor.number, -1)
            parts.append((layer.name, source, block_rows(layer, numbers, shape)))
    latest = max(found[source].level for _, source, _ in parts)
    projections = []
    for name, source, weights in parts:
        delay = latest - found[source].level
        if delay > MOST_DELAY:
            raise UnsupportedError(
                f"layer '{name}': its spikes skip {delay} layers and must wait as many steps; a synaptic delay holds "
                f"{MOST_DELAY}: shorten the path beside it"
            )
        projections.append(Projection(name, source, weights, delay, form=(lif.weight_shift,)))
    name = layers[0].name if len(layers) == 1 else lif.inputs[0]
    return Population(name, lif, shape, tuple(projections), _bias(lif, shape), latest + 1)


def joined(population: Population, sizes: list[int]) -> BlockRows:
    """All projections of a population as one: the inputs are the neurons of their sources, one source after the other.

    `sizes` are the neurons of the source of each projection. Rows of different length get the length of a whole block
    of neighbouring neurons (the channels of a position, or all neurons), filled up with zeros.
    """
    rows = [projection.weights for projection in population.projections]
    if len({part.length for part in rows}) > 1:
        block = population.shape[0] if len(population.shape) == 3 else population.size
        rows = [_widened(part, block) for part in rows]
    below = np.cumsum([0, *(len(part.table) for part in rows)])
    ends = [np.zeros(1, np.int32)]
    for part, size in zip(rows, sizes, strict=True):
        ends.append(ends[-1][-1] + part.padded(size)[1:])
    return BlockRows(
        indptr=np.concatenate(ends).astype(np.int32),
        target=np.concatenate([part.target for part in rows]),
        row=np.concatenate([part.row + base for part, base in zip(rows, below, strict=False)]).astype(np.int32),
        table=np.concatenate([part.table for part in rows]),
    )


def _widened(rows: BlockRows, block: int) -> BlockRows:
    """The same synapses with rows that fill a block of neurons; a row stands within one block."""
    start = rows.target // block * block
    pairs, row = np.unique(np.stack([rows.row, rows.target - start]), axis=1, return_inverse=True)
    table = np.zeros((pairs.shape[1], block), np.int8)
    columns = pairs[1][:, None] + np.arange(rows.length)
    np.put_along_axis(table, columns, rows.table[pairs[0]], axis=1)
    return BlockRows(rows.indptr, start.astype(np.int32), row.astype(np.int32).ravel(), table)


def neuron_numbers(shape) -> np.ndarray:
    """Number of the neuron at each place of a tensor: channel last for (C, H, W), in order otherwise."""
    count = np.arange(int(np.prod(shape)), dtype=np.int64)
    if len(shape) != 3:
        return count.reshape(shape)
    channels, high, wide = shape
    return count.reshape(high, wide, channels).transpose(2, 0, 1)


def _bias(lif: L.Lif, shape) -> np.ndarray:
    per_place = np.broadcast_to(lif.bias.reshape(-1, *(1,) * (len(shape) - 1)), shape)
    values = np.empty(per_place.size, np.int32)
    values[neuron_numbers(shape).ravel()] = per_place.ravel()
    return values


def block_rows(layer: L.Weighted, numbers: np.ndarray, shape) -> BlockRows:
    if isinstance(layer, L.Dense):
        if numbers.ndim != 1:
            raise UnsupportedError(
                f"Dense '{layer.name}': a spiking one reads a flat tensor, got {numbers.shape}; add a Flatten"
            )
        edges = np.flatnonzero(numbers >= 0)
        return sorted_rows(numbers[edges], np.zeros_like(edges), edges, np.ascontiguousarray(layer.weight.T))
    return convolution_rows(layer, numbers, shape)


def convolution_rows(layer: L.Conv2d, numbers: np.ndarray, shape) -> BlockRows:
    """The rows of a convolution: `numbers` (I, H, W) of the sources, -1 for none, and the `shape` of its output."""
    return sorted_rows(*_conv_edges(layer, numbers, shape), _conv_table(layer))


def _conv_table(layer: L.Conv2d) -> np.ndarray:
    """Rows (channel, ky, kx) of the output channels of that channel's group."""
    out, per_group, high, wide = layer.weight.shape
    grouped = layer.weight.reshape(layer.groups, out // layer.groups, per_group, high, wide)
    return np.ascontiguousarray(grouped.transpose(0, 2, 3, 4, 1)).reshape(-1, out // layer.groups)


def _conv_edges(layer: L.Conv2d, numbers, shape):
    """(source, target, row) of every kernel tap that lands inside the output; a number of -1 is no source."""
    _, high, wide = numbers.shape
    out, per_group, kernel_high, kernel_wide = layer.weight.shape
    sources, targets, rows = [], [], []
    channel = np.arange(numbers.shape[0])
    for ky in range(kernel_high):
        y_in, y_out = _taps(high, shape[1], ky * layer.dilation[0] - layer.padding[0][0], layer.stride[0])
        for kx in range(kernel_wide):
            x_in, x_out = _taps(wide, shape[2], kx * layer.dilation[1] - layer.padding[1][0], layer.stride[1])
            block = numbers[:, y_in[:, None], x_in]
            group = (channel // per_group)[:, None, None]
            first = (y_out[:, None] * shape[2] + x_out) * out + group * (out // layer.groups)
            line = (channel[:, None, None] * kernel_high + ky) * kernel_wide + kx
            real = block >= 0
            sources.append(block[real])
            targets.append(np.broadcast_to(first, block.shape)[real])
            rows.append(np.broadcast_to(line, block.shape)[real])
    return np.concatenate(sources), np.concatenate(targets), np.concatenate(rows)


def _taps(size: int, out: int, shift: int, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """Input and output positions along one axis that a kernel tap joins."""
    position = np.arange(out)
    where = position * stride + shift
    inside = (where >= 0) & (where < size)
    return where[inside], position[inside]


def sorted_rows(source, target, row, table) -> BlockRows:
    order = np.lexsort((target, source))
    n = int(source.max()) + 1 if source.size else 0
    indptr = np.zeros(n + 1, np.int32)
    np.cumsum(np.bincount(source, minlength=n), out=indptr[1:])
    return BlockRows(indptr, target[order].astype(np.int32), row[order].astype(np.int32), table)
