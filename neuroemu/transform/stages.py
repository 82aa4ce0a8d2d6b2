"""Stages: what a network must be made of to become spiking, in order of computation.

A stage is a layer of neurons: the weighted branches that are added up in it, and the ReLU that follows. Branches read
the neurons of earlier stages, through rearrangements and joins of channels. A residual addition is a stage of two
branches; the path that skips is one of them, with weights from one neuron to one.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from ..errors import UnsupportedError
from ..network import layers as L
from ..network.graph import INPUT, Network
from .pooling import MaxPooling, mean_weights

MOVERS = (L.Flatten, L.Reshape, L.Transpose)


@dataclass(frozen=True, eq=False)
class Branch:
    """A weighted layer in real numbers, and the factor that Scale layers put on its inputs."""

    layer: L.Weighted
    gain: float = 1.0
    skip: bool = False  # whether it passes neurons on as they are


@dataclass(frozen=True, eq=False)
class Stage:
    """Neurons that add up their branches; `activation` is the tensor that they stand for, bounded by 0 and `high`."""

    branches: tuple[Branch, ...]
    activation: str
    total: str = ""  # name of the sum of several branches
    high: float = np.inf
    last: bool = False  # read out, without a ReLU
    pool: bool = False  # no larger than what it reads
    any_spike: bool = False  # fires whenever one of its inputs does


@dataclass(eq=False)
class _Plan:
    """What is known while a network is passed: items in order, and what its tensors are."""

    network: Network
    max_pooling: MaxPooling | None = None
    items: list[Stage | L.Layer] = field(default_factory=list)
    spikes: dict[str, tuple[str, float]] = field(default_factory=lambda: {INPUT: (INPUT, 1.0)})  # item, factor
    sums: dict[str, tuple[Branch, ...]] = field(default_factory=dict)


def decoded(network: Network) -> Network:
    """The float network that computes with the real values of a quantized one's codes, and saturates where they do."""
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
        elif isinstance(layer, L.Clip) and layer.name in network.grids:
            grid = network.grids[layer.name]
            layer = replace(layer, high=min(layer.high, float(grid.scale * (grid.high - grid.zero_point))))
        layers.append(layer)
    return network.replace(layers=tuple(layers), grids={})


def stages_of(
    network: Network, max_pooling: MaxPooling | None = None
) -> tuple[list[Stage | L.Layer], tuple[L.Layer, ...]]:
    """Stages of a float network with the rearrangements and joins between them, and the rearrangements of its output.

    Raises
    ------
    UnsupportedError
        A layer that has no spiking form, named with the remedy.
    """
    plan, tail = _Plan(network, max_pooling), _tail(network)
    for layer in network.layers[: len(network.layers) - len(tail)]:
        _add(plan, layer)
    output = tail[0].inputs[0] if tail else network.output
    if output not in plan.sums:
        raise UnsupportedError(
            f"to_spiking: network '{network.name}' does not end with a weighted layer, which the read-out needs"
        )
    plan.items.append(Stage(plan.sums[output], output, output, last=True))
    return plan.items, tuple(layer for layer in tail if not isinstance(layer, L.Softmax))


def _add(plan: _Plan, layer: L.Layer):
    """Put one layer of the network into the plan."""
    source = layer.inputs[0]
    if isinstance(layer, L.Clip):
        _check_clip(plan, layer)
        plan.items.append(Stage(plan.sums[source], layer.name, source, layer.high))
        plan.spikes[layer.name] = (layer.name, 1.0)
    elif isinstance(layer, L.Weighted):
        _check_spikes(plan, layer)
        tensor, gain = plan.spikes[source]
        plan.sums[layer.name] = (Branch(replace(layer, inputs=(tensor,)), gain),)
    elif isinstance(layer, L.Add):
        plan.sums[layer.name] = _added(plan, layer)
    elif isinstance(layer, L.AveragePool2d | L.GlobalAveragePool):
        _pool(plan, layer, mean_weights(layer, plan.network.shapes[source]))
        if isinstance(layer, L.GlobalAveragePool) and not layer.keep_dims:
            _move(plan, L.Flatten(name=layer.name + "/flatten", inputs=(layer.name,)), layer.name)
    elif isinstance(layer, L.MaxPool2d) and plan.max_pooling is not None:
        weights = plan.max_pooling.weights(layer, plan.network.shapes[source][0])
        _pool(plan, layer, weights, plan.max_pooling.any_spike)
    elif isinstance(layer, (*MOVERS, L.Concat)) and all(name in plan.spikes for name in layer.inputs):
        _move(plan, layer, layer.name)
    elif isinstance(layer, L.Scale) and _is_gain(layer) and source in plan.spikes:
        tensor, gain = plan.spikes[source]
        plan.spikes[layer.name] = (tensor, gain * float(layer.scale))
    else:
        raise UnsupportedError(f"to_spiking: {type(layer).__name__} '{layer.name}' {_remedy(layer, plan)}")


def _pool(plan: _Plan, layer: L.Layer, weights: L.Conv2d, any_spike: bool = False):
    """Add the neurons of a pooling layer."""
    _check_spikes(plan, layer)
    tensor, gain = plan.spikes[layer.inputs[0]]
    branch = Branch(replace(weights, inputs=(tensor,)), gain)
    plan.items.append(Stage((branch,), layer.name, pool=True, any_spike=any_spike))
    plan.spikes[layer.name] = (layer.name, 1.0)


def _move(plan: _Plan, layer: L.Layer, tensor: str):
    """Add a layer that rearranges or joins spikes; afterwards `tensor` means what it writes."""
    read = [plan.spikes[name] for name in layer.inputs]
    if len({gain for _, gain in read}) > 1:
        raise UnsupportedError(
            f"to_spiking: Concat '{layer.name}' joins tensors behind different Scale layers; scale what is joined"
        )
    plan.items.append(replace(layer, inputs=tuple(name for name, _ in read)))
    plan.spikes[tensor] = (layer.name, read[0][1])


def _added(plan: _Plan, layer: L.Add) -> tuple[Branch, ...]:
    """The branches of both summands; a summand of spikes is passed on by weights from one to one."""
    branches: list[Branch] = []
    for place, name in enumerate(layer.inputs):
        if name in plan.sums:
            _check_read_once(plan, name)
            branches += plan.sums[name]
        else:
            tensor, gain = plan.spikes[name]
            skip = _one_to_one(
                f"{layer.name}/skip{place if layer.inputs[0] in plan.spikes and place else ''}",
                tensor,
                plan.network.shapes[name],
            )
            branches.append(Branch(skip, gain, True))
    return tuple(branches)


def _one_to_one(name: str, tensor: str, shape) -> L.Weighted:
    """The layer that writes what it reads."""
    if len(shape) == 3:
        return L.Conv2d(name=name, inputs=(tensor,), weight=np.ones((shape[0], 1, 1, 1), np.float32), groups=shape[0])
    return L.Dense(name=name, inputs=(tensor,), weight=np.eye(shape[-1], dtype=np.float32))


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


def _remedy(layer, plan: _Plan) -> str:
    pending = next((name for name in layer.inputs if name in plan.sums), None)
    if isinstance(layer, L.MaxPool2d):
        return (
            "has no spiking form of its own; give max_pooling=OrPooling() or AveragePooling(), or train with strided "
            "convolutions or average pooling"
        )
    if isinstance(layer, L.BatchNorm | L.Scale):
        if pending is not None:
            return "follows a weighted layer; call fold(network) first"
        return "shifts its input or turns its sign; put it into the next layer's weights, so that inputs start at 0"
    if isinstance(layer, (*MOVERS, L.Concat)):
        return f"stands between '{pending}' and its ReLU; move it behind the ReLU"
    return "has no spiking form here; use Dense, Conv2d, average pooling, additions and Clip (ReLU) layers"


def _is_gain(layer: L.Scale) -> bool:
    return not layer.scale.ndim and not layer.offset.any() and float(layer.scale) > 0


def _check_clip(plan: _Plan, layer: L.Clip):
    if layer.inputs[0] not in plan.sums or layer.low != 0.0:
        raise UnsupportedError(
            f"to_spiking: Clip '{layer.name}' must follow a weighted layer or an addition and start at 0 (ReLU); "
            "replace it by one"
        )
    _check_read_once(plan, layer.inputs[0])


def _check_spikes(plan: _Plan, layer):
    if layer.inputs[0] in plan.sums:
        raise UnsupportedError(
            f"to_spiking: '{layer.name}' follows '{layer.inputs[0]}' without a ReLU between them; merge the two "
            "or add a Clip(low=0)"
        )


def _check_read_once(plan: _Plan, name: str):
    if len(plan.network.readers(name)) > 1:
        raise UnsupportedError(
            f"to_spiking: '{name}' is read by several layers before its ReLU; let all of them read the ReLU"
        )
