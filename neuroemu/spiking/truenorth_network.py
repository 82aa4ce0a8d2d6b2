"""From a Network with Fire layers to neurons and single synapses, the form that is cut into TrueNorth cores.

Neurons of a layer are numbered in the order of its tensor, (c * H + y) * W + x for images. A last Dense layer without
neurons is the vote: it says which output neuron counts for which class, and is added up off the chip.
"""

from dataclasses import dataclass

import numpy as np

from ..errors import PlacementError
from ..network import layers as L
from ..network import ops
from ..network.firing import Fire
from ..network.graph import Network

WEIGHT_MIN, WEIGHT_MAX = -256, 255
NEAR = 1e-6  # a weight this near to a whole number is that number


@dataclass(frozen=True, eq=False)
class FireGroup:
    """Neurons of one Fire layer and the synapses into them, by neuron and then by source; none of weight 0."""

    name: str  # of the layer with the weights
    neuron: Fire
    size: int
    bias: np.ndarray  # int32 (size,)
    source: np.ndarray  # int32 (S,), neuron of the group before, or input
    target: np.ndarray  # int32 (S,)
    weight: np.ndarray  # float64 (S,), whole numbers where they are exact

    @property
    def by_chance(self) -> np.ndarray:
        """Which synapses are drawn when a chip is programmed, bool (S,)."""
        return self.weight != np.rint(self.weight)


@dataclass(frozen=True, eq=False)
class FireChain:
    """A whole network: the coding of its inputs, its groups, and the class of each output neuron (-1: none)."""

    name: str
    encode: L.Encode
    inputs: int
    groups: tuple[FireGroup, ...]
    votes: np.ndarray  # int32 (neurons of the last group,)
    classes: int

    @property
    def forgets(self) -> bool:
        """Whether inputs can follow one another without a pause."""
        return all(group.neuron.reset == "forget" for group in self.groups)


def fire_chain(network: Network, who: str) -> FireChain:
    """The chain of a network of Encode, Dense or Conv2d, and Fire layers.

    Raises
    ------
    PlacementError
        Another layer, a branch, or weights that no axon holds; with the remedy.
    """
    first, *rest = network.layers
    if not network.spiking or not isinstance(first, L.Encode) or not any(isinstance(x, Fire) for x in rest):
        raise PlacementError(
            f"{who}: network '{network.name}' has no Encode and Fire layers, which the cores compute; use "
            "to_truenorth(network, ...)"
        )
    numbers = np.arange(int(np.prod(network.input_shape)), dtype=np.int32).reshape(network.input_shape)
    groups, weighted, source = [], None, first.name
    for layer in rest:
        what = f"{who}: {type(layer).__name__} '{layer.name}'"
        if layer.inputs != (source,):
            raise PlacementError(f"{what} branches or joins; only chains of layers are placed")
        source = layer.name
        if isinstance(layer, L.Dense | L.Conv2d) and weighted is None:
            found = _synapses(layer, numbers, network.shapes[layer.name], what)
            weighted, entries = layer, _checked(layer, found, what)
        elif isinstance(layer, Fire) and weighted is not None:
            shape = network.shapes[layer.name]
            groups.append(_group(weighted, layer, shape, entries))
            numbers, weighted = np.arange(groups[-1].size, dtype=np.int32).reshape(shape), None
        elif isinstance(layer, L.Flatten | L.Reshape | L.Transpose) and weighted is None:
            numbers = ops.rearrange(layer, numbers[None], network.shapes[layer.name])[0]
        else:
            raise PlacementError(f"{what} has no place on the cores; each Dense or Conv2d needs a Fire after it")
    if weighted is None:
        votes, classes = numbers.ravel().argsort(), groups[-1].size
    else:
        votes, classes = _votes(weighted, entries, groups[-1].size, who), weighted.weight.shape[0]
    return FireChain(
        network.name, first, int(np.prod(network.input_shape)), tuple(groups), votes.astype(np.int32), classes
    )


def real_weights(layer: L.Weighted, codes: np.ndarray, channel: np.ndarray) -> np.ndarray:
    """Weights in units of the potential, float64, of so many codes of these output channels; whole ones are exact."""
    found = codes.astype(np.float64)
    if layer.weight_grid is not None:
        scale = np.asarray(layer.weight_grid.scale)
        found *= scale[channel] if scale.ndim else scale
    whole = np.rint(found)
    return np.where(np.abs(found - whole) < NEAR, whole, found)


def _checked(layer, entries, what):
    """The synapses of a layer, if axons hold them."""
    weight = entries[2]
    if weight.size and (np.floor(weight.min()) < WEIGHT_MIN or np.ceil(weight.max()) > WEIGHT_MAX):
        raise PlacementError(
            f"{what}: weights span {weight.min():.4g}..{weight.max():.4g}; axons hold {WEIGHT_MIN}..{WEIGHT_MAX}: "
            "take a coarser grid"
        )
    if layer.bias is not None and layer.bias.any():
        raise PlacementError(f"{what} has a bias; give it to the Fire after it, where it is the leak of the neurons")
    return entries


def _group(weighted, fire, shape, entries) -> FireGroup:
    bias = np.broadcast_to(fire.bias.reshape(-1, *(1,) * (len(shape) - 1)), shape).ravel()
    source, target, weight = entries
    key = target.astype(np.int64) * (int(source.max(initial=0)) + 1) + source
    if (key[1:] < key[:-1]).any():
        order = np.argsort(key, kind="stable")
        source, target, weight = source[order], target[order], weight[order]
    return FireGroup(weighted.name, fire, bias.size, bias, source, target, weight)


def _synapses(layer, numbers, shape, what):
    """(source, target, weight) of all synapses that are not 0."""
    if isinstance(layer, L.Dense):
        if numbers.ndim != 1:
            raise PlacementError(f"{what} reads a tensor of shape {numbers.shape}; put a Flatten before it")
        target, place = np.nonzero(layer.weight)
        weight = real_weights(layer, layer.weight[target, place], target)
        return numbers[place], target.astype(np.int32), weight
    return tuple(map(np.concatenate, zip(*_taps(layer, numbers, shape), strict=True)))


def _taps(layer: L.Conv2d, numbers, shape):
    """The synapses of each tap of a kernel, its groups included."""
    channel = np.broadcast_to(np.arange(len(layer.weight))[:, None, None, None], layer.weight.shape)
    weight = real_weights(layer, layer.weight, channel)
    out, per_group, kernel_high, kernel_wide = weight.shape
    (_, high, wide), (above, left) = shape, (layer.padding[0][0], layer.padding[1][0])
    padded = np.full(
        (numbers.shape[0], *(n + sum(p) for n, p in zip(numbers.shape[1:], layer.padding, strict=True))), -1
    )
    padded[:, above : above + numbers.shape[1], left : left + numbers.shape[2]] = numbers
    targets = np.arange(out * high * wide, dtype=np.int32).reshape(out, 1, high, wide)
    channels = (np.arange(out) // (out // layer.groups))[:, None] * per_group + np.arange(per_group)
    for ky in range(kernel_high):
        for kx in range(kernel_wide):
            y, x = ky * layer.dilation[0], kx * layer.dilation[1]
            seen = padded[:, y : y + layer.stride[0] * (high - 1) + 1 : layer.stride[0]]
            seen = seen[:, :, x : x + layer.stride[1] * (wide - 1) + 1 : layer.stride[1]][channels]
            value = np.broadcast_to(weight[:, :, ky, kx, None, None], seen.shape)
            there = (seen >= 0) & (value != 0)
            yield seen[there].astype(np.int32), np.broadcast_to(targets, seen.shape)[there], value[there]


def _votes(layer, entries, size, who) -> np.ndarray:
    """Class of each output neuron."""
    source, target, weight = entries
    if not isinstance(layer, L.Dense) or (weight != 1).any() or (np.bincount(source, minlength=size) > 1).any():
        raise PlacementError(
            f"{who}: layer '{layer.name}' has no Fire after it, so it is the vote, which adds up output spikes off the "
            "chip: a Dense of weights 0 and 1 with at most one 1 for each neuron"
        )
    votes = np.full(size, -1, np.int32)
    votes[source] = target
    return votes
