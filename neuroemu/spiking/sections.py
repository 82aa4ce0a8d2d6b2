"""Sections: a network of continuous neurons as pairs of a weighted layer and the neurons that it drives.

Pools that add up spikes before a weighted layer are linear, so they become part of its kernel: a sum over 2x2 places
and a 3x3 kernel are one 6x6 kernel with stride 2. What has no place in such a chain is refused with its remedy.
"""

from dataclasses import dataclass, replace

import numpy as np

from ..errors import UnsupportedError
from ..network import layers as L
from ..network import neurons as N
from ..network.graph import INPUT, Network

WHO = "to_integer_core"
MOVERS = (L.Flatten, L.Reshape, L.Transpose)


@dataclass(frozen=True, eq=False)
class Section:
    """A weighted layer in real numbers, the neurons behind it, and the rearrangements before it."""

    weighted: L.Weighted
    neuron: N.Neuron
    before: tuple[L.Layer, ...] = ()


def sections_of(network: Network, *, who: str = WHO, recurrent: bool = False) -> list[Section]:
    """The sections of a float network, in order; `recurrent`: neurons may feed back to themselves.

    Raises
    ------
    UnsupportedError
        A layer or a connection that the chain has no place for.
    """
    found: list[Section] = []
    source, weighted, before, pools = INPUT, None, [], []
    for layer in network.layers:
        what = f"{who}: {type(layer).__name__} '{layer.name}'"
        if layer.inputs != (source,):
            raise UnsupportedError(f"{what} branches or joins; only chains of layers are taken")
        if isinstance(layer, N.Neuron):
            if layer.recurrent_weight is not None and not recurrent:
                raise UnsupportedError(f"{what} feeds back to itself; integer layers have no recurrent weights yet")
            if weighted is None:
                weighted = _one_to_one(layer, pools, what)
            found.append(Section(weighted, layer, tuple(before)))
            weighted, before, pools = None, [], []
        elif weighted is not None:
            raise UnsupportedError(f"{what} follows '{weighted.name}' without neurons between them; merge the two")
        elif isinstance(layer, L.Weighted):
            weighted, pools = _pooled(layer, before, pools, network, what), []
        elif isinstance(layer, L.SumPool2d | L.AveragePool2d) and not before:
            pools.append(layer)
        elif isinstance(layer, MOVERS):
            before.append(layer)
        else:
            raise UnsupportedError(f"{what} has no place there; use Dense, Conv2d, sum pooling and neurons")
        source = layer.name
    if weighted is not None or before or pools or not found:
        raise UnsupportedError(f"{who}: network '{network.name}' does not end with neurons; add LIF, IF, LI or I")
    return found


def _one_to_one(layer: N.Neuron, pools, what) -> L.Dense:
    """Neurons that read their input without weights: each gets a weight of 1."""
    if pools or len(layer.shape) != 1:
        raise UnsupportedError(f"{what} reads no weighted layer; put a Dense or a Conv2d before it")
    return L.Dense(name=f"{layer.name}/weight", weight=np.eye(layer.shape[0], dtype=np.float32))


def _pooled(layer: L.Weighted, before, pools, network: Network, what) -> L.Weighted:
    """The layer with the pools before it in its kernel."""
    if not pools:
        return layer
    size, gain = (1, 1), 1.0
    for pool in pools:
        high, wide = network.shapes[pool.inputs[0]][1:]
        plain = pool.stride == pool.size and pool.padding == ((0, 0), (0, 0))
        if not plain or high % pool.size[0] or wide % pool.size[1]:
            raise UnsupportedError(
                f"{what} reads {type(pool).__name__} '{pool.name}': windows overlap, or do not cover ({high}, {wide}) "
                "exactly; use stride = size, no padding, and a size that divides the image"
            )
        size = (size[0] * pool.size[0], size[1] * pool.size[1])
        gain = gain / (pool.size[0] * pool.size[1]) if isinstance(pool, L.AveragePool2d) else gain
    if isinstance(layer, L.Conv2d) and not before:
        if layer.dilation != (1, 1):
            raise UnsupportedError(f"{what} is dilated and reads a pool; use dilation 1")
        (top, bottom), (left, right) = layer.padding
        weight = layer.weight.repeat(size[0], axis=2).repeat(size[1], axis=3) * np.float32(gain)
        return replace(
            layer, weight=weight, stride=(layer.stride[0] * size[0], layer.stride[1] * size[1]),
            padding=((top * size[0], bottom * size[0]), (left * size[1], right * size[1])),
        )  # fmt: skip
    flat = len(before) == 1 and isinstance(before[0], L.Flatten)
    if not (isinstance(layer, L.Dense) and flat):
        raise UnsupportedError(f"{what} reads a pool through {len(before)} rearrangements; use one Flatten")
    channels, high, wide = network.shapes[pools[-1].name]
    weight = layer.weight.reshape(len(layer.weight), channels, high, wide)
    weight = weight.repeat(size[0], axis=2).repeat(size[1], axis=3) * np.float32(gain)
    return replace(layer, weight=weight.reshape(len(layer.weight), -1))
