"""Handlers of Keras layers: each appends layers to the network under construction, or passes a value on.

Keras has channels last and kernels (height, width, in, out); `_orders` turns images where it is needed.
"""

from collections.abc import Callable
from dataclasses import replace
from math import prod

import numpy as np

from ..errors import FileFormatError, UnsupportedError
from . import layers as L
from ._build import NO_PADDING, Builder, Value, same_padding, zero_padding
from ._keras_file import Layer, Model
from ._orders import Orders, dense_order

Handler = Callable[["Scope", Layer], Value]
HANDLERS: dict[str, Handler] = {}
ACTIVATIONS = {"linear": None, "relu": (0.0, np.inf), "relu6": (0.0, 6.0), "softmax": "softmax"}
_IN_TRAINING = (
    "Dropout",
    "SpatialDropout2D",
    "GaussianDropout",
    "GaussianNoise",
    "AlphaDropout",
)  # nothing at inference


def handles(*kinds: str):
    """Register a function for layers of these kinds."""

    def register(function: Handler) -> Handler:
        HANDLERS.update(dict.fromkeys(kinds, function))
        return function

    return register


class Scope:
    """The layers read so far; `values` maps a layer's name to what it writes."""

    def __init__(self, model: Model, name: str):
        self.model = model
        self.build = Builder(input_shape=model.input_shape, name=name, image_last=True)
        self.orders = Orders(self.build)
        self.values: dict[str, Value] = {}

    def value(self, layer: Layer, position: int = 0) -> Value:
        """What a layer reads."""
        if position >= len(layer.sources) or layer.sources[position] not in self.values:
            raise FileFormatError(f"{layer}: its input {position} is missing, or written by no earlier layer")
        return self.values[layer.sources[position]]

    def image(self, layer: Layer) -> Value:
        """What a layer reads, which must be an image, in the network's order."""
        value = self.value(layer)
        if len(value.shape) != 3:
            raise UnsupportedError(f"{layer}: it reads shape {value.shape}; only images (height, width, channels)")
        if layer.config.get("data_format", "channels_last") != "channels_last":
            raise UnsupportedError(f"{layer}: channels first; build the model with channels last")
        return self.orders.image(value)

    def add(self, layer: Layer, kind, inputs, *, name: str | None = None, **fields) -> Value:
        return self.build.add(kind, inputs, name=name or layer.name, **fields)

    def activated(self, layer: Layer, value: Value, name: str | None = None) -> Value:
        """`value` behind the layer's activation."""
        wanted = layer.config.get("activation", "linear") or "linear"
        if not isinstance(wanted, str) or wanted not in ACTIVATIONS:
            wanted = wanted.get("class_name", wanted) if isinstance(wanted, dict) else wanted
            raise UnsupportedError(
                f"{layer}: activation {wanted!r:.40} not supported; use one of {', '.join(sorted(ACTIVATIONS))}"
            )
        limits = ACTIVATIONS[wanted]
        if limits is None:
            return value
        name = name or f"{layer.name}.{wanted}"
        if limits == "softmax":
            return softmax(self, layer, value, name)
        return self.like(value, self.add(layer, L.Clip, [value], name=name, low=limits[0], high=limits[1]))

    def like(self, value: Value, result: Value) -> Value:
        """`result` in the order of axes of `value`."""
        return replace(result, image_last=value.image_last, flat_of=value.flat_of)

    def only_dense(self, name: str) -> bool:
        """Whether Dense layers alone read what a layer writes."""
        readers = [layer for layer in self.model.layers if name in layer.sources]
        passing = [x for x in readers if x.kind in _IN_TRAINING]
        return (
            name != self.model.output
            and all(x.kind == "Dense" or x in passing for x in readers)
            and all(self.only_dense(x.name) for x in passing)
        )


@handles("InputLayer")
def _input(scope: Scope, layer: Layer) -> Value:
    return scope.build.input


def _window(layer: Layer, value: Value, window, dilation=(1, 1)) -> dict:
    """Fields stride and padding of a convolution or pool."""
    stride = layer.pair("strides", list(window) if "pool_size" in layer.config else 1)
    mode = layer.setting("padding", str, "valid")
    if mode not in ("valid", "same"):
        raise UnsupportedError(f"{layer}: padding {mode!r:.20}; 'valid' or 'same' are supported")
    own = NO_PADDING
    if mode == "same":
        size = [n + sum(p) for n, p in zip(value.shape[1:], value.padding, strict=True)]
        own = same_padding(size, window, stride, dilation)
    return {"stride": stride, "padding": zero_padding(value, own)}


def _convolution(scope: Scope, layer: Layer, value: Value, weight, bias, groups: int, name=None) -> Value:
    if weight.ndim != 4 or 0 in weight.shape:
        raise FileFormatError(f"{layer}: kernel of shape {weight.shape}; four axes are needed")
    dilation = layer.pair("dilation_rate", 1)
    fields = _window(layer, value, weight.shape[2:], dilation)
    bare = replace(value, padding=NO_PADDING)
    return scope.add(
        layer, L.Conv2d, [bare], name=name, weight=weight, bias=bias, dilation=dilation, groups=groups, **fields
    )


def _bias(layer: Layer):
    return layer.weight("bias") if layer.setting("use_bias", bool, True) else None


def _by_channel(layer: Layer, role: str) -> np.ndarray:
    """A kernel (height, width, channels, multiplier) as one group a channel."""
    kernel = layer.weight(role)
    if kernel.ndim != 4:
        raise FileFormatError(f"{layer}: kernel of shape {kernel.shape}; four axes are needed")
    return kernel.transpose(2, 3, 0, 1).reshape(-1, 1, *kernel.shape[:2])


@handles("Conv2D")
def _conv2d(scope: Scope, layer: Layer) -> Value:
    kernel = layer.weight("kernel")
    if kernel.ndim != 4:
        raise FileFormatError(f"{layer}: kernel of shape {kernel.shape}; four axes are needed")
    groups = layer.setting("groups", int, 1)
    weight = kernel.transpose(3, 2, 0, 1)
    return scope.activated(layer, _convolution(scope, layer, scope.image(layer), weight, _bias(layer), groups))


@handles("DepthwiseConv2D")
def _depthwise(scope: Scope, layer: Layer) -> Value:
    value = scope.image(layer)
    weight = _by_channel(layer, "kernel" if "kernel" in layer.weights else "depthwise_kernel")
    return scope.activated(layer, _convolution(scope, layer, value, weight, _bias(layer), value.shape[0]))


@handles("SeparableConv2D")
def _separable(scope: Scope, layer: Layer) -> Value:
    value, point = scope.image(layer), layer.weight("pointwise_kernel")
    if point.ndim != 4 or point.shape[:2] != (1, 1):
        raise FileFormatError(f"{layer}: pointwise kernel of shape {point.shape}")
    weight = _by_channel(layer, "depthwise_kernel")
    value = _convolution(scope, layer, value, weight, None, value.shape[0], f"{layer.name}.depthwise")
    value = scope.add(layer, L.Conv2d, [value], weight=point.transpose(3, 2, 0, 1), bias=_bias(layer))
    return scope.activated(layer, value)


@handles("Dense")
def _dense(scope: Scope, layer: Layer) -> Value:
    value, kernel = scope.orders.file_order(scope.value(layer)), layer.weight("kernel")
    if kernel.ndim != 2:
        raise FileFormatError(f"{layer}: kernel of shape {kernel.shape}; two axes are needed")
    weight = dense_order(value)(kernel.T)
    result = scope.add(layer, L.Dense, [value], weight=weight, bias=_bias(layer))
    return scope.activated(layer, replace(result, image_last=value.image_last))


@handles("BatchNormalization")
def _batch_norm(scope: Scope, layer: Layer) -> Value:
    value, mean = scope.value(layer), layer.weight("moving_mean")
    axis = layer.config.get("axis", -1)
    axis = axis[0] if isinstance(axis, list) and len(axis) == 1 else axis
    if axis not in (-1, len(value.shape)) or len(value.shape) == 2:
        raise UnsupportedError(f"{layer}: over axis {axis!r:.20} of shape {value.shape}; only the channels of images")
    value = scope.orders.image(value)
    fields = {
        "gamma": layer.weight("gamma") if layer.setting("scale", bool, True) else np.ones_like(mean),
        "beta": layer.weight("beta") if layer.setting("center", bool, True) else np.zeros_like(mean),
        "mean": mean,
        "variance": layer.weight("moving_variance"),
        "epsilon": float(layer.setting("epsilon", int | float, 1e-3)),
    }
    return scope.add(layer, L.BatchNorm, [value], **fields)


@handles("Activation")
def _activation(scope: Scope, layer: Layer) -> Value:
    return scope.activated(layer, scope.value(layer), layer.name)


@handles("ReLU")
def _relu(scope: Scope, layer: Layer) -> Value:
    value, most = scope.value(layer), layer.config.get("max_value")
    if layer.config.get("negative_slope") or layer.config.get("threshold"):
        raise UnsupportedError(f"{layer}: with a slope or a threshold; only max(x, 0) with a ceiling is supported")
    high = np.inf if most is None else float(layer.setting("max_value", int | float))
    return scope.like(value, scope.add(layer, L.Clip, [value], low=0.0, high=high))


@handles("Softmax")
def _softmax(scope: Scope, layer: Layer) -> Value:
    if layer.config.get("axis", -1) not in (-1, len(scope.value(layer).shape)):
        raise UnsupportedError(f"{layer}: over axis {layer.config['axis']!r:.20}; only over the last axis")
    return softmax(scope, layer, scope.value(layer), layer.name)


def softmax(scope: Scope, layer: Layer, value: Value, name: str) -> Value:
    """A softmax over the file's last axis."""
    value = scope.orders.file_order(value)
    return scope.like(value, scope.add(layer, L.Softmax, [value], name=name))


@handles("MaxPooling2D", "AveragePooling2D")
def _pool(scope: Scope, layer: Layer) -> Value:
    value, size = scope.image(layer), layer.pair("pool_size", 2)
    kind = L.MaxPool2d if layer.kind == "MaxPooling2D" else L.AveragePool2d
    return scope.add(layer, kind, [value], size=size, **_window(layer, value, size))


@handles("GlobalAveragePooling2D")
def _global_pool(scope: Scope, layer: Layer) -> Value:
    keep = layer.setting("keepdims", bool, False)
    return scope.add(layer, L.GlobalAveragePool, [scope.image(layer)], keep_dims=keep)


@handles("Flatten")
def _flatten(scope: Scope, layer: Layer) -> Value:
    value = scope.value(layer)
    if len(value.shape) == 1:
        return value
    return scope.orders.flatten(value, permute=scope.only_dense(layer.name), name=layer.name)


@handles("Reshape")
def _reshape(scope: Scope, layer: Layer) -> Value:
    value = scope.orders.file_order(scope.value(layer))
    shape = layer.setting("target_shape", list | tuple)
    if not all(type(n) is int for n in shape) or list(shape).count(-1) > 1:
        raise FileFormatError(f"{layer}: its target_shape is {shape!r:.40}")
    rest = prod(n for n in shape if n != -1)
    shape = tuple(prod(value.shape) // max(rest, 1) if n == -1 else n for n in shape)
    if len(shape) == 1:
        return scope.add(layer, L.Flatten, [value])
    return replace(scope.add(layer, L.Reshape, [value], shape=shape), image_last=len(shape) == 3)


@handles("Permute")
def _permute(scope: Scope, layer: Layer) -> Value:
    value, axes = scope.orders.file_order(scope.value(layer)), layer.setting("dims", list | tuple)
    if sorted(axes) != list(range(1, len(value.shape) + 1)):
        raise FileFormatError(f"{layer}: its dims are {axes!r:.40}")
    return replace(scope.add(layer, L.Transpose, [value], axes=tuple(a - 1 for a in axes)), image_last=len(axes) == 3)


@handles("Add")
def _add(scope: Scope, layer: Layer) -> Value:
    values = [scope.orders.image(scope.value(layer, i)) for i in range(len(layer.sources))]
    if len(values) < 2 or len({v.shape for v in values}) != 1:
        raise UnsupportedError(f"{layer}: of shapes {[v.shape for v in values]}; only sums of equal shapes")
    total = values[0]
    for position, value in enumerate(values[1:], 1):
        last = position == len(values) - 1
        total = scope.add(layer, L.Add, [total, value], name=layer.name if last else f"{layer.name}.{position}")
    return total


@handles("Concatenate")
def _concatenate(scope: Scope, layer: Layer) -> Value:
    values = [scope.orders.image(scope.value(layer, i)) for i in range(len(layer.sources))]
    rank, axis = len(values[0].shape), layer.setting("axis", int, -1)
    axis = axis - 1 if axis > 0 else axis + rank
    if not 0 <= axis < rank:
        raise UnsupportedError(f"{layer}: along axis {layer.config['axis']}; the batch axis cannot be joined along")
    return scope.add(layer, L.Concat, values, axis={0: 1, 1: 2, 2: 0}[axis] if rank == 3 else axis)


@handles(*_IN_TRAINING)
def _nothing(scope: Scope, layer: Layer) -> Value:
    return scope.value(layer)


@handles("ZeroPadding2D")
def _zero_padding(scope: Scope, layer: Layer) -> Value:
    value, sides = scope.image(layer), layer.config.get("padding")
    whole = np.asarray(sides)
    if whole.shape != (2, 2) or whole.dtype.kind != "i" or whole.min() < 0 or whole.max() > 1 << 20:
        raise FileFormatError(f"{layer}: its padding is {sides!r:.40}; four numbers of 0 or more are needed")
    return replace(value, padding=zero_padding(value, tuple(tuple(int(n) for n in row) for row in whole)))


@handles("Rescaling")
def _rescaling(scope: Scope, layer: Layer) -> Value:
    value = scope.orders.image(scope.value(layer))
    fields = {
        name: np.asarray(layer.config.get(name, default), np.float32) for name, default in (("scale", 1), ("offset", 0))
    }
    if any(a.ndim > 1 for a in fields.values()) or (len(value.shape) == 2 and any(a.ndim for a in fields.values())):
        raise UnsupportedError(f"{layer}: only a number or one per channel is supported")
    return scope.add(layer, L.Scale, [value], **fields)
