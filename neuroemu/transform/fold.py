"""fold: batch normalisation and constant scaling disappear into the weights of the layer they follow."""

from dataclasses import replace

import numpy as np

from .. import _checks
from ..errors import InputError
from ..network import layers as L
from ..network.graph import Network


def fold(network: Network) -> Network:
    """Remove every BatchNorm, and every Scale that directly follows a weighted layer.

    W' = factor * W and b' = factor * b + offset, per output channel, computed in float64. A BatchNorm that follows
    something else becomes a Scale.

    Raises
    ------
    InputError
        The network is quantized already.
    """
    _checks.instance(network, Network, who="fold", name="network")
    if network.quantized or network.spiking:
        raise InputError(f"fold: network '{network.name}' is quantized; fold the float network before quantizing")
    layers: dict[str, L.Layer] = {}
    renamed: dict[str, str] = {}
    for layer in network.layers:
        alone = len(network.readers(layer.inputs[0])) == 1
        layer = replace(layer, inputs=tuple(renamed.get(i, i) for i in layer.inputs))
        source = layers.get(layer.inputs[0])
        fits = isinstance(source, L.Weighted) and _same_channels(layer, source, network.shapes[layer.name])
        if isinstance(layer, L.BatchNorm | L.Scale) and alone and fits:
            del layers[source.name]  # goes to the end of the list, where its last part stood
            layers[source.name] = _absorb(source, *_factor(layer))
            renamed[layer.name] = source.name
        elif isinstance(layer, L.BatchNorm):
            factor, offset = layer.as_scale()
            layers[layer.name] = L.Scale(name=layer.name, inputs=layer.inputs, scale=factor, offset=offset)
        else:
            layers[layer.name] = layer
    return network.replace(layers=tuple(layers.values()))


def _same_channels(layer, source, shape) -> bool:
    """Whether the channels that `layer` scales are the outputs of `source`: a Dense has them on its last axis."""
    single = isinstance(layer, L.Scale) and not layer.scale.ndim and not layer.offset.ndim
    return isinstance(source, L.Conv2d) or len(shape) == 1 or single


def _factor(layer):
    if isinstance(layer, L.BatchNorm):
        return layer.as_scale()
    return np.asarray(layer.scale, np.float64), np.asarray(layer.offset, np.float64)


def _absorb(source: L.Weighted, factor, offset) -> L.Weighted:
    channels = source.weight.shape[0]
    factor = np.broadcast_to(factor, (channels,))
    weight = source.weight * factor.reshape(-1, *(1,) * (source.weight.ndim - 1))
    bias = np.zeros(channels) if source.bias is None else source.bias
    return replace(source, weight=weight.astype(np.float32), bias=(bias * factor + offset).astype(np.float32))
