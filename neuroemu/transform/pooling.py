"""Pooling by neurons: means as weights, and rules that stand in for the largest value of a window.

A core adds up what arrives; it cannot let the spikes of the most active input through and hold back the others (the
gate of Rueckauer 2017, doi:10.3389/fnins.2017.00682, section 2.2.6). So max pooling converts by a rule that is named.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from ..errors import UnsupportedError
from ..network import layers as L


class MaxPooling(ABC):
    """Abstract: what takes the place of a MaxPool2d."""

    @abstractmethod
    def weights(self, layer: L.MaxPool2d, channels: int) -> L.Conv2d:
        """The layer that drives the neurons of the pool."""

    @property
    @abstractmethod
    def any_spike(self) -> bool:
        """Whether one spike makes a neuron of the pool fire; else its threshold is balanced."""


@dataclass(frozen=True)
class AveragePooling(MaxPooling):
    """The mean of the window, with threshold and value balanced against its largest value.

    It is right where all values of a window are alike, and too small where one stands out.
    """

    any_spike = False

    def weights(self, layer, channels):
        return depthwise(layer, channels, 1.0 / (layer.size[0] * layer.size[1]))


@dataclass(frozen=True)
class OrPooling(MaxPooling):
    """A neuron that fires in every step in which one of its inputs fires, and resets to zero.

    With first spikes it is exact: the first spike of the window is that of its largest value. With rates it lies
    between the largest rate, if the spikes of a window coincide, and their sum; the value of the rate is fitted to the
    largest.
    """

    any_spike = True

    def weights(self, layer, channels):
        return depthwise(layer, channels, 1.0)


def mean_weights(layer: L.AveragePool2d | L.GlobalAveragePool, shape) -> L.Conv2d:
    """Averaging as a depthwise convolution."""
    channels, high, wide = shape
    if isinstance(layer, L.GlobalAveragePool):
        layer = L.AveragePool2d(name=layer.name, size=(high, wide))
    elif layer.padding != ((0, 0), (0, 0)) and not layer.count_padding:
        raise UnsupportedError(f"to_spiking: AveragePool2d '{layer.name}' divides by less at the border; use padding 0")
    return depthwise(layer, channels, 1.0 / (layer.size[0] * layer.size[1]))


def depthwise(layer: L.Pool2d, channels: int, value: float) -> L.Conv2d:
    """The same weight from every place of a window; padding sends no spikes."""
    weight = np.full((channels, 1, *layer.size), value, np.float32)
    return L.Conv2d(
        name=layer.name + "/sum", weight=weight, stride=layer.stride, padding=layer.padding, groups=channels
    )
