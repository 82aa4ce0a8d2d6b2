"""Schedules: what a layer on a crossbar chip waits for. Enter a network and its stages, leaves a Pipeline.

`RowPipeline` is the way of ISAAC (A. Shafiee et al., ISCA 2016, doi:10.1109/ISCA.2016.12): a layer begins as soon as
the layer before it has stored the first window. For position (y, x) of a convolution or a pooling window with stride s,
padding p and reach k = (kernel - 1) dilation + 1 the last input in raster order is

    (min(y s_y - p_top + k_y - 1, H - 1), min(x s_x - p_left + k_x - 1, W - 1))

and, as results come in raster order, all others of the window are there before it. An elementwise layer, a sum of two
tensors and a join of channels need the same position of what they read. All else (Flatten, Reshape, Transpose, global
pooling, a softmax over an axis of an image) needs the whole tensor.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import prod

import numpy as np

from ..network import layers as L
from ..network.graph import INPUT, Network
from ..pipeline import Pipeline, Stage, Step, chain

WHOLE = (L.Flatten, L.Reshape, L.Transpose, L.GlobalAveragePool)


class Schedule(ABC):
    """Abstract: when layers work. Final classes: LayerByLayer, LayerPipeline, RowPipeline."""

    @abstractmethod
    def pipeline(self, network: Network, stages: tuple[Stage, ...]) -> Pipeline:
        """The layers of `network`, a stage each, as they work."""


@dataclass(frozen=True)
class LayerByLayer(Schedule):
    """One layer at a time, one image at a time: latency and interval are the sum over layers."""

    def pipeline(self, network, stages):
        return Pipeline(steps=chain(stages), overlap=False, rule="one layer at a time, one image at a time")


@dataclass(frozen=True)
class LayerPipeline(Schedule):
    """An image is in one layer at a time, and each layer works on another image.

    Latency is the sum over layers, the interval that of the slowest layer.
    """

    def pipeline(self, network, stages):
        return Pipeline(steps=chain(stages), rule="each layer works on another image")


@dataclass(frozen=True)
class RowPipeline(Schedule):
    """A layer begins when the inputs of its first position are there, while earlier layers work on the same image.

    The interval is that of the slowest layer, as in `LayerPipeline`; the latency follows from the rule of the module.
    """

    def pipeline(self, network, stages):
        by_name = {stage.name: stage for stage in stages}
        found: dict[str, Step] = {}
        for layer in network.layers:
            stage = by_name.get(layer.name)
            size = _positions(network.shapes[layer.name]) if stage is None else stage.positions
            names = [name for name in layer.inputs if name != INPUT]
            needed = [positions_needed(network, layer, name) for name in names]
            grid = network.grids.get(layer.name)
            found[layer.name] = Step(
                name=layer.name, positions=size, stage=stage, firsts=tuple(first for first, _ in needed),
                reads=tuple((name, last) for name, (_, last) in zip(names, needed, strict=True)),
                bytes=0.0 if grid is None else prod(network.shapes[layer.name]) // size * grid.bits / 8,
            )  # fmt: skip
        return Pipeline(steps=tuple(found.values()), rule="a layer begins when its first window is there")


def positions_needed(network: Network, layer: L.Layer, tensor: str) -> tuple[np.ndarray | None, np.ndarray | None]:
    """First and last position of `tensor` that each position of `layer` needs; (None, None): the whole."""
    shape, out = network.shapes[tensor], network.shapes[layer.name]
    if _by_row_of_image(network, network.layer(tensor)) or _by_row_of_image(network, layer):
        return None, None
    if isinstance(layer, L.Conv2d | L.Pool2d):
        window = layer.weight.shape[2:] if isinstance(layer, L.Conv2d) else layer.size
        dilation = layer.dilation if isinstance(layer, L.Conv2d) else (1, 1)
        corners = [np.arange(n) * s - p[0] for n, s, p in zip(out[1:], layer.stride, layer.padding, strict=True)]
        reach = [(k - 1) * d for k, d in zip(window, dilation, strict=True)]
        return _raster(corners, shape), _raster([c + n for c, n in zip(corners, reach, strict=True)], shape)
    whole = isinstance(layer, WHOLE) or (isinstance(layer, L.Softmax) and len(shape) == 3)
    joined = isinstance(layer, L.Concat) and (layer.axis != 0 or len(shape) != 3)
    each = None if whole or joined else np.arange(_positions(out))
    return each, each


def _raster(places: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """Positions of an image (C, H, W) at all rows and columns of `places`, which are moved into it."""
    down, across = (np.clip(at, 0, size - 1) for at, size in zip(places, shape[1:], strict=True))
    return (down[:, None] * shape[2] + across).ravel()


def _by_row_of_image(network: Network, layer: L.Layer) -> bool:
    """Whether a layer's row vectors are rows (W) of channels, not places of an image."""
    return isinstance(layer, L.Dense) and len(network.shapes[layer.name]) == 3


def _positions(shape: tuple[int, ...]) -> int:
    """Row vectors of a tensor: places of an image (C, H, W), rows of (..., K)."""
    return shape[1] * shape[2] if len(shape) == 3 else prod(shape[:-1])
