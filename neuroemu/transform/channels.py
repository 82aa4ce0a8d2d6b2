"""Channels: which channels of a network go together, and the smaller network without some of them.

Each value of each tensor gets the label of the channel that it belongs to; labels are followed through the layers and
joined where layers join channels. Label 0 stays: the network's inputs, its outputs, and all that cannot be cut.
"""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from ..network import layers as L
from ..network import ops
from ..network.graph import INPUT, Network
from ..network.grids import Grid

STAYS = 0
PASSING = (L.Clip, L.Scale)  # elementwise, where they keep zero at zero
REARRANGING = (L.Flatten, L.Reshape, L.Transpose)


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels of every value of every tensor, by name, in the tensor's shape; equal labels go together."""

    tensors: dict[str, np.ndarray]

    def outputs(self, layer: L.Weighted) -> np.ndarray:
        """Label (M,) of each output channel."""
        return _channels(self.tensors[layer.name], layer)

    def inputs(self, layer: L.Weighted) -> np.ndarray:
        """Label of each input channel (I,) of a convolution, or of each input (K,) of a Dense."""
        return _channels(self.tensors[layer.inputs[0]], layer)


def labels_of(network: Network) -> Labels:
    """Follow channels through a network."""
    joined = _Joined()
    tensors = {INPUT: np.zeros(network.input_shape, int)}
    for layer in network.layers:
        inputs = [tensors[name] for name in layer.inputs]
        tensors[layer.name] = _follow(layer, network.shapes[layer.name], inputs, joined)
    joined.join(tensors[network.output], STAYS)
    return Labels({name: joined.roots(labels) for name, labels in tensors.items()})


def families(network: Network, labels: Labels) -> list[np.ndarray]:
    """Labels that compete: those written by the same layers. Each list is sorted."""
    writers: dict[int, set[str]] = {}
    for layer in network.weighted:
        for label in labels.outputs(layer):
            writers.setdefault(int(label), set()).add(layer.name)
    found: dict[frozenset, list[int]] = {}
    for label, names in sorted(writers.items()):
        if label != STAYS:
            found.setdefault(frozenset(names), []).append(label)
    return [np.array(family) for family in found.values()]


def scores_of(network: Network, labels: Labels, scores: dict[str, np.ndarray]) -> Counter:
    """Score of each label: squares of the weights that read it, as shares of their layers."""
    total: Counter = Counter()
    for layer in network.weighted:
        share = scores[layer.name] ** 2
        read = _read(layer, share / max(float(share.sum()), 1e-300))
        for label, part in zip(labels.inputs(layer), read, strict=True):
            total[int(label)] += float(part)
    return total


def kept_labels(network: Network, labels: Labels, scores: dict[str, np.ndarray], density: float) -> np.ndarray:
    """Sorted labels that stay: of each family the round(density * size) with the largest scores, at least one."""
    total, kept = scores_of(network, labels, scores), [STAYS]
    for family in families(network, labels):
        order = np.argsort([-total[int(label)] for label in family], kind="stable")
        kept += [int(label) for label in family[order[: max(1, round(density * len(family)))]]]
    return np.sort(kept)


def silenced(network: Network, labels: Labels, kept: np.ndarray) -> Network:
    """The same shapes, with zeros for all weights and biases of channels that do not stay."""

    def silent(layer):
        if not isinstance(layer, L.Weighted):
            return layer
        out, into = (np.isin(f(layer), kept) for f in (labels.outputs, labels.inputs))
        weight = layer.weight * _aligned(out, layer.weight.ndim, 0)
        if reads_all(layer):
            weight = weight * _aligned(into, layer.weight.ndim, 1)
        bias = None if layer.bias is None else layer.bias * out
        return replace(layer, weight=weight.astype(layer.weight.dtype), bias=bias)

    return network.replace(layers=tuple(silent(layer) for layer in network.layers))


def shrunk(network: Network, labels: Labels, kept: np.ndarray) -> Network:
    """The network without the channels that do not stay."""
    alive = {name: np.isin(values, kept) for name, values in labels.tensors.items()}

    def cut(layer):
        there = alive[layer.name]
        if isinstance(layer, L.Weighted):
            return _cut_weights(layer, *(np.isin(f(layer), kept) for f in (labels.outputs, labels.inputs)))
        if isinstance(layer, L.Scale):
            return replace(
                layer, **{field: _cut_numbers(getattr(layer, field), there) for field in ("scale", "offset")}
            )
        if isinstance(layer, L.Reshape):
            first = np.count_nonzero(there.reshape(len(there), -1).any(axis=1))
            return replace(layer, shape=(first, *there.shape[1:]))
        return layer

    return network.replace(layers=tuple(cut(layer) for layer in network.layers))


def reads_all(layer: L.Weighted) -> bool:
    """Whether every output of the layer reads every input."""
    return isinstance(layer, L.Dense) or layer.groups == 1


class _Joined:
    """Labels that have been joined: a forest whose roots are the smallest labels."""

    def __init__(self):
        self.parent = np.zeros(1, int)

    def new(self, count: int) -> np.ndarray:
        first = len(self.parent)
        self.parent = np.concatenate([self.parent, np.arange(first, first + count)])
        return np.arange(first, first + count)

    def root(self, label: int) -> int:
        while self.parent[label] != label:
            label = self.parent[label]
        return label

    def join(self, a, b):
        one, other = (v.ravel() for v in np.broadcast_arrays(a, b))
        for pair in np.unique(one * len(self.parent) + other):
            low, high = sorted(self.root(int(label)) for label in divmod(pair, len(self.parent)))
            self.parent[high] = low

    def roots(self, labels: np.ndarray) -> np.ndarray:
        return np.array([self.root(label) for label in range(len(self.parent))])[labels]


def _follow(layer: L.Layer, shape, inputs: list[np.ndarray], joined: _Joined) -> np.ndarray:
    """Labels of what `layer` writes."""
    first = inputs[0]
    if isinstance(layer, L.Weighted):
        return _written(layer, shape, first, joined)
    if isinstance(layer, L.Pool2d | L.GlobalAveragePool):
        joined.join(first, first[:, :1, :1])
        return np.broadcast_to(first[:, :1, :1] if len(shape) == 3 else first[:, 0, 0], shape)
    if isinstance(layer, L.Add):
        joined.join(*inputs)
        return first
    if isinstance(layer, L.Concat):
        return np.concatenate(inputs, axis=layer.axis)
    if isinstance(layer, PASSING) and _keeps_zero(layer):
        return first
    if isinstance(layer, REARRANGING):
        moved = ops.rearrange(layer, first[None], shape)[0]
        if isinstance(layer, L.Reshape) and len(shape) > 1:  # only whole places of the first axis may go
            joined.join(moved, moved.reshape(len(moved), -1)[:, :1].reshape(-1, *(1,) * (len(shape) - 1)))
        return moved
    for labels in inputs:
        joined.join(labels, STAYS)
    return np.zeros(shape, int)


def _written(layer: L.Weighted, shape, read: np.ndarray, joined: _Joined) -> np.ndarray:
    """Labels of a weighted layer's outputs: new ones, unless its groups bind them to its inputs."""
    if isinstance(layer, L.Dense):
        joined.join(read, _channels(read, layer))
        return np.broadcast_to(joined.new(len(layer.weight)), shape)
    into = _channels(read, layer)
    joined.join(read, into[:, None, None])
    if layer.groups > 1 and layer.weight.shape[1] > 1:
        joined.join(read, STAYS)
        return np.zeros(shape, int)
    labels = joined.new(len(layer.weight))
    if layer.groups > 1:  # depthwise: an output belongs to the input that it reads
        joined.join(labels, np.repeat(into, len(labels) // len(into)))
    return np.broadcast_to(labels[:, None, None], shape)


def _keeps_zero(layer) -> bool:
    if isinstance(layer, L.Clip):
        return layer.low <= 0 <= layer.high
    return not layer.offset.any()


def _channels(labels: np.ndarray, layer: L.Weighted) -> np.ndarray:
    """Labels along the axis of channels."""
    return labels.reshape(-1, labels.shape[-1])[0] if isinstance(layer, L.Dense) else labels[:, 0, 0]


def _read(layer: L.Weighted, share: np.ndarray) -> np.ndarray:
    """Squares of the weights that read each input channel."""
    if reads_all(layer):
        return share.sum(axis=(0, *range(2, share.ndim)))
    by_group = share.reshape(layer.groups, -1, *share.shape[1:]).sum(axis=(1, 3, 4))
    return by_group.ravel()


def _aligned(mask: np.ndarray, ndim: int, axis: int) -> np.ndarray:
    shape = [1] * ndim
    shape[axis] = -1
    return mask.reshape(shape)


def _cut_weights(layer: L.Weighted, out: np.ndarray, into: np.ndarray) -> L.Weighted:
    weight = layer.weight[out]
    changes = {"bias": None if layer.bias is None else layer.bias[out]}
    if reads_all(layer):
        weight = weight[:, into]
    elif layer.weight.shape[1] == 1:
        changes["groups"] = int(into.sum())
    grid = layer.weight_grid
    if grid is not None and grid.axis is not None:
        grid = Grid(scale=grid.scale[out], bits=grid.bits, axis=0)
    return replace(layer, weight=weight, weight_grid=grid, **changes)


def _cut_numbers(values: np.ndarray, there: np.ndarray) -> np.ndarray:
    return values if values.size == 1 else values[there.reshape(len(there), -1).any(axis=1)]
