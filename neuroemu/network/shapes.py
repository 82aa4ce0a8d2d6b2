"""Shapes: what a layer makes of the shapes it reads (no batch axis), with one clear error when it cannot."""

from functools import singledispatch
from math import prod

from ..errors import InputError, UnsupportedError
from . import layers as L
from . import neurons as N
from .firing import Fire
from .graded import Delta, Programmed

Shape = tuple[int, ...]


def output_shape(layer: L.Layer, shapes: list[Shape]) -> Shape:
    """Shape of the tensor that `layer` writes, without the batch axis.

    Raises
    ------
    InputError
        The input shapes do not fit the layer.
    """
    wanted = {L.Add: 2}.get(type(layer), 1)
    if isinstance(layer, L.Concat):
        wanted = max(1, len(shapes))
    if len(shapes) != wanted:
        raise InputError(f"{_who(layer)}: reads {len(shapes)} tensors; it takes {wanted}")
    return _shape(layer, *shapes)


@singledispatch
def _shape(layer, *shapes) -> Shape:
    raise UnsupportedError(f"{type(layer).__name__}: not a layer this package knows")


@_shape.register
def _(layer: L.Dense, shape):
    if not shape or shape[-1] != layer.weight.shape[1]:
        raise InputError(
            f"{_who(layer)}: weight {layer.weight.shape} needs {layer.weight.shape[1]} inputs, got shape {shape}"
        )
    return (*shape[:-1], layer.weight.shape[0])


@_shape.register
def _(layer: L.Conv2d, shape):
    _need_image(layer, shape)
    out_channels, per_group, *kernel = layer.weight.shape
    if shape[0] != per_group * layer.groups:
        raise InputError(
            f"{_who(layer)}: weight {layer.weight.shape} with {layer.groups} groups needs {per_group * layer.groups} "
            f"channels, got {shape[0]}"
        )
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, layer.dilation, strict=True)]
    return (out_channels, *_windows(layer, shape[1:], reach, layer.stride, layer.padding))


@_shape.register
def _(layer: L.Pool2d, shape):
    _need_image(layer, shape)
    return (shape[0], *_windows(layer, shape[1:], layer.size, layer.stride, layer.padding))


@_shape.register
def _(layer: L.GlobalAveragePool, shape):
    _need_image(layer, shape)
    return (shape[0], 1, 1) if layer.keep_dims else (shape[0],)


@_shape.register
def _(layer: L.Flatten, shape):
    return (prod(shape),)


@_shape.register
def _(layer: L.Reshape, shape):
    size = prod(shape)
    known = prod(n for n in layer.shape if n != -1)
    unknown = layer.shape.count(-1)
    if unknown > 1 or (unknown and (known == 0 or size % known)) or (not unknown and known != size):
        raise InputError(f"{_who(layer)}: {size} values do not fit shape {layer.shape}")
    return tuple(size // known if n == -1 else n for n in layer.shape)


@_shape.register
def _(layer: L.Transpose, shape):
    if sorted(layer.axes) != list(range(len(shape))):
        raise InputError(f"{_who(layer)}: axes {layer.axes} are not a permutation of the {len(shape)} axes of {shape}")
    return tuple(shape[a] for a in layer.axes)


@_shape.register
def _(layer: L.Add, first, second):
    if first != second:
        raise InputError(f"{_who(layer)}: shapes {first} and {second} differ")
    return first


@_shape.register
def _(layer: L.Concat, *shapes):
    axis = layer.axis
    rests = {(*s[:axis], *s[axis + 1 :]) for s in shapes}
    if len({len(s) for s in shapes}) != 1 or not 0 <= axis < len(shapes[0]) or len(rests) != 1:
        raise InputError(f"{_who(layer)}: shapes {shapes} do not join along axis {axis}")
    return (*shapes[0][:axis], sum(s[axis] for s in shapes), *shapes[0][axis + 1 :])


@_shape.register
def _(layer: N.Neuron, shape):
    if shape != layer.shape:
        raise InputError(f"{_who(layer)}: it has neurons of shape {layer.shape}, the input has shape {shape}")
    return shape


@_shape.register(L.Clip)
@_shape.register(L.Softmax)
@_shape.register(Delta)
def _(layer, shape):
    return shape


@_shape.register
def _(layer: Programmed, shape):
    ports = layer.program.PORTS
    if not shape or shape[0] % ports:
        raise InputError(f"{_who(layer)}: its program has {ports} ports, which {shape} does not divide into")
    return (shape[0] // ports, *shape[1:])


@_shape.register
def _(layer: L.Encode, shape):
    if layer.coding != "spikes":
        return shape
    if len(shape) < 2:
        raise InputError(f"{_who(layer)}: a spike train has shape (steps, neurons) or (steps, C, H, W), got {shape}")
    return shape[1:]


@_shape.register(L.Scale)
@_shape.register(L.BatchNorm)
@_shape.register(L.Lif)
@_shape.register(Fire)
def _(layer, shape):
    fields = {L.Scale: ("scale", "offset"), L.BatchNorm: ("gamma",)}.get(type(layer), ("bias",))
    for field in fields:
        size = getattr(layer, field).size
        if size != 1 and (not shape or size != shape[0]):
            raise InputError(
                f"{_who(layer)}: {field} has {size} values, the input has shape {shape}; give one per channel"
            )
    return shape


def _need_image(layer, shape):
    if len(shape) != 3:
        raise InputError(f"{_who(layer)}: needs (channels, height, width), got shape {shape}")


def _windows(layer, size, window, stride, padding):
    found = tuple((n + sum(p) - w) // s + 1 for n, w, s, p in zip(size, window, stride, padding, strict=True))
    if min(found) < 1 or any(n + sum(p) < w for n, w, p in zip(size, window, padding, strict=True)):
        raise InputError(
            f"{_who(layer)}: a window of {tuple(window)} does not fit an input of {tuple(size)} with padding {padding}"
        )
    return found


def _who(layer) -> str:
    return f"{type(layer).__name__} '{layer.name}'"
