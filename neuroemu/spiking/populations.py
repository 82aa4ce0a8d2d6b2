"""Populations: a spiking Network as groups of neurons and the block rows of weights between them.

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


@dataclass(frozen=True, eq=False)
class Population:
    """Neurons of one layer. The first has `neuron` an Encode and no weights; the others a Lif and what drives it."""

    name: str
    neuron: L.Encode | L.Lif
    shape: tuple[int, ...]
    weights: BlockRows | None
    bias: np.ndarray | None  # int32 (neurons,)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))


def populations(network: Network) -> tuple[Population, ...]:
    """The chain of populations of a spiking network, input first."""
    first, *rest = network.layers
    if not isinstance(first, L.Encode):
        raise UnsupportedError(
            f"network '{network.name}': a spiking network starts with an Encode layer; use to_spiking"
        )
    found = [Population(first.name, first, network.shapes[first.name], None, None)]
    numbers = neuron_numbers(found[0].shape)  # of the source population, in the layout of the current tensor
    weighted, source = None, first.name
    for layer in rest:
        if layer.inputs != (source,):
            raise UnsupportedError(
                f"{type(layer).__name__} '{layer.name}': reads {layer.inputs}; only chains of layers are spiking"
            )
        source = layer.name
        if isinstance(layer, L.Weighted):
            weighted = layer
        elif isinstance(layer, L.Lif) and weighted is not None:
            shape = network.shapes[layer.name]
            found.append(
                Population(weighted.name, layer, shape, block_rows(weighted, numbers, shape), _bias(layer, shape))
            )
            numbers, weighted = neuron_numbers(shape), None
        elif isinstance(layer, L.Flatten | L.Reshape | L.Transpose) and weighted is None:
            numbers = ops.rearrange(layer, numbers[None], network.shapes[layer.name])[0]
        else:
            raise UnsupportedError(
                f"{type(layer).__name__} '{layer.name}': no place in a spiking network here; use to_spiking"
            )
    return tuple(found)


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
        edges = np.arange(numbers.size)
        return sorted_rows(numbers, np.zeros_like(edges), edges, np.ascontiguousarray(layer.weight.T))
    return sorted_rows(*_conv_edges(layer, numbers, shape), _conv_table(layer))


def _conv_table(layer: L.Conv2d) -> np.ndarray:
    """Rows (channel, ky, kx) of the output channels of that channel's group."""
    out, per_group, high, wide = layer.weight.shape
    grouped = layer.weight.reshape(layer.groups, out // layer.groups, per_group, high, wide)
    return np.ascontiguousarray(grouped.transpose(0, 2, 3, 4, 1)).reshape(-1, out // layer.groups)


def _conv_edges(layer: L.Conv2d, numbers, shape):
    """(source, target, row) of every kernel tap that lands inside the output."""
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
            sources.append(block.ravel())
            targets.append(np.broadcast_to(first, block.shape).ravel())
            rows.append(np.broadcast_to(line, block.shape).ravel())
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
