"""Stages: the chain of weighted layers that a network must be to become spiking, each with the ReLU that follows it."""

from dataclasses import dataclass, replace

import numpy as np

from ..errors import UnsupportedError
from ..network import layers as L
from ..network.graph import INPUT, Network


@dataclass(frozen=True, eq=False)
class Stage:
    """A weighted layer in real numbers and what belongs to it."""

    layer: L.Weighted
    before: tuple[L.Layer, ...]  # rearrangements between the neurons before and this layer
    activation: str  # the tensor that its neurons stand for
    gain: float  # factor that a Scale puts on its inputs
    last: bool = False
    after: tuple[L.Layer, ...] = ()  # rearrangements of the output


def decoded(network: Network) -> Network:
    """The float network that computes with the real values of a quantized one's codes."""
    if not network.quantized:
        return network
    layers = []
    for layer in network.layers:
        if isinstance(layer, L.Weighted):
            bias = layer.bias
            if bias is not None:
                scale = np.asarray(layer.weight_grid.scale) * network.grids[layer.inputs[0]].scale
                bias = (bias * scale).astype(np.float32)
            layer = replace(layer, weight=layer.weight_grid.decode(layer.weight), bias=bias, weight_grid=None)
        layers.append(layer)
    return network.replace(layers=tuple(layers), grids={})


def stages_of(network: Network) -> list[Stage]:
    """The stages of a float network.

    Raises
    ------
    UnsupportedError
        A layer that has no spiking form, named with the remedy.
    """
    stages, before, gain, source = [], (), 1.0, INPUT
    pending: L.Weighted | None = None
    tail = _tail(network)
    for layer in network.layers[: len(network.layers) - len(tail)]:
        if layer.inputs != (source,):
            what = f"{type(layer).__name__} '{layer.name}'"
            raise UnsupportedError(f"to_spiking: {what} branches or joins; only chains of layers convert")
        source = layer.name
        if isinstance(layer, L.Clip):
            _check_clip(layer, pending)
            stages.append(Stage(pending, before, layer.name, gain))
            pending, before, gain = None, (), 1.0
        elif isinstance(layer, L.Weighted):
            _check_not_pending(pending, layer)
            pending = layer
        elif isinstance(layer, L.AveragePool2d | L.GlobalAveragePool):
            _check_not_pending(pending, layer)
            pool, after = _pool_as_conv(layer, network.shapes[layer.inputs[0]])
            stages.append(Stage(pool, before, layer.name, gain))
            before, gain = after, 1.0
        elif isinstance(layer, L.Flatten | L.Reshape | L.Transpose) and pending is None:
            before = (*before, layer)
        elif isinstance(layer, L.Scale) and _is_gain(layer) and pending is None:
            gain *= float(layer.scale)
        else:
            raise UnsupportedError(f"to_spiking: {type(layer).__name__} '{layer.name}' {_remedy(layer, pending)}")
    if pending is None:
        raise UnsupportedError(
            f"to_spiking: network '{network.name}' does not end with a weighted layer, which the read-out needs"
        )
    after = tuple(layer for layer in tail if not isinstance(layer, L.Softmax))
    return [*stages, Stage(pending, before, pending.name, gain, True, after)]


def _tail(network: Network) -> tuple[L.Layer, ...]:
    """The last layers that keep the order of the classes: a softmax, and flattening of (K, 1, 1)."""
    found: list[L.Layer] = []
    for layer in reversed(network.layers):
        shape = network.shapes[layer.inputs[0]]
        flat = isinstance(layer, L.Flatten | L.Reshape) and shape[1:] in ((), (1, 1))
        if not flat and not isinstance(layer, L.Softmax):
            break
        found.insert(0, layer)
    return tuple(found)


def _remedy(layer, pending) -> str:
    if isinstance(layer, L.MaxPool2d):
        return "has no spiking form here; train with strided convolutions or average pooling"
    if isinstance(layer, L.BatchNorm | L.Scale):
        if pending is not None:
            return "follows a weighted layer; call fold(network) first"
        return "shifts its input or turns its sign; put it into the next layer's weights, so that inputs start at 0"
    if isinstance(layer, L.Flatten | L.Reshape | L.Transpose):
        return f"stands between '{pending.name}' and its ReLU; move it behind the ReLU"
    return "has no spiking form here; use Dense, Conv2d, average pooling and Clip (ReLU) layers"


def _is_gain(layer: L.Scale) -> bool:
    return not layer.scale.ndim and not layer.offset.any() and float(layer.scale) > 0


def _check_clip(layer: L.Clip, pending):
    if pending is None or layer.low != 0.0:
        raise UnsupportedError(
            f"to_spiking: Clip '{layer.name}' must follow a weighted layer and start at 0 (ReLU); replace it by one"
        )


def _check_not_pending(pending, layer):
    if pending is not None:
        raise UnsupportedError(
            f"to_spiking: '{layer.name}' follows '{pending.name}' without a ReLU between them; merge the two "
            "or add a Clip(low=0)"
        )


def _pool_as_conv(layer, shape) -> tuple[L.Conv2d, tuple[L.Layer, ...]]:
    """Averaging as a depthwise convolution, and the rearrangement that follows it."""
    channels, high, wide = shape
    if isinstance(layer, L.GlobalAveragePool):
        size, stride = (high, wide), (1, 1)
        after = () if layer.keep_dims else (L.Flatten(name=layer.name + "/flatten"),)
    else:
        if layer.padding != ((0, 0), (0, 0)) and not layer.count_padding:
            raise UnsupportedError(
                f"to_spiking: AveragePool2d '{layer.name}' divides by less at the border; use padding 0"
            )
        size, stride, after = layer.size, layer.stride, ()
    weight = np.full((channels, 1, *size), 1.0 / (size[0] * size[1]), np.float32)
    padding = getattr(layer, "padding", ((0, 0), (0, 0)))
    conv = L.Conv2d(name=layer.name + "/sum", weight=weight, stride=stride, padding=padding, groups=channels)
    return conv, after
