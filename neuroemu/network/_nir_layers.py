"""What each NIR node becomes: handlers that add layers to the network under construction.

A handler takes the builder, the node and the value that it reads, and returns the value that it writes, which carries
the node's name. NIR's shapes have no batch axis; images are (C, H, W), sequences (C, L).
"""

from collections.abc import Callable
from math import prod

import numpy as np

from ..errors import FileFormatError, UnsupportedError
from . import layers as L
from . import neurons as N
from ._build import Builder, Value, same_padding
from ._nir_file import Node

Handler = Callable[[Builder, Node, Value], Value]
HANDLERS: dict[str, Handler] = {}
SEQUENCE_IN, SEQUENCE_OUT = "rows", "sequence"  # endings of the two Reshapes around a convolution of a sequence


def _handles(*kinds: str):
    def register(function: Handler) -> Handler:
        HANDLERS.update(dict.fromkeys(kinds, function))
        return function

    return register


def matrix(node: Node) -> dict[str, np.ndarray]:
    """Weight and bias of a Linear or Affine."""
    weight = node.array("weight")
    if weight.ndim != 2:
        raise UnsupportedError(f"{node}: weight has shape {weight.shape}; only matrices (out, in) are supported")
    return {"weight": weight, "bias": node.array("bias") if node.kind == "Affine" else None}


@_handles("Linear", "Affine")
def _dense(build: Builder, node: Node, value: Value) -> Value:
    if len(value.shape) != 1:
        raise UnsupportedError(f"{node}: it reads shape {value.shape}; put a Flatten before it")
    return build.add(L.Dense, [value], name=node.name, **matrix(node))


@_handles("Conv2d")
def _conv2d(build: Builder, node: Node, value: Value) -> Value:
    if len(value.shape) != 3:
        raise FileFormatError(f"{node}: it reads shape {value.shape}, not (channels, height, width)")
    return build.add(L.Conv2d, [value], name=node.name, **_convolution(node, value.shape[1:]))


@_handles("Conv1d")
def _conv1d(build: Builder, node: Node, value: Value) -> Value:
    """A convolution of images that are one row high, between two Reshapes."""
    if len(value.shape) != 2:
        raise FileFormatError(f"{node}: it reads shape {value.shape}, not (channels, length)")
    channels, length = value.shape
    fields = _convolution(node, (length,))
    rows = build.add(L.Reshape, [value], name=f"{node.name}.{SEQUENCE_IN}", shape=(channels, 1, length))
    conv = build.add(L.Conv2d, [rows], name=node.name, **fields)
    shape = (conv.shape[0], conv.shape[2])
    return build.add(L.Reshape, [conv], name=f"{node.name}.{SEQUENCE_OUT}", shape=shape)


def _convolution(node: Node, size: tuple[int, ...]) -> dict:
    """Fields of a Conv2d layer for the spatial `size`, one axis or two."""
    axes, weight = len(size), node.array("weight")
    if weight.ndim != axes + 2:
        raise FileFormatError(f"{node}: weight has shape {weight.shape}, not {axes + 2} axes")
    (groups,) = node.integers("groups", 1) or (1,)
    stride, dilation = (_per_axis(node, field, axes) for field in ("stride", "dilation"))
    padding = _padding(node, size, weight.shape[2:], stride, dilation)
    if axes == 1:
        weight, stride, dilation = weight[:, :, None], (1, *stride), (1, *dilation)
        padding = ((0, 0), *padding)
    fields = {"stride": stride, "dilation": dilation, "padding": padding, "groups": groups}
    bias = node.array("bias")  # NIR has no convolution without one
    return {"weight": weight, "bias": bias if bias.any() else None} | fields


def _per_axis(node: Node, field: str, axes: int) -> tuple[int, ...]:
    values = node.integers(field, axes)
    if len(values) == 1:
        return values * axes
    if len(values) != axes:
        raise FileFormatError(f"{node}: {field} has {len(values)} values; it needs 1 or {axes}")
    return values


def _padding(node: Node, size, window, stride, dilation) -> tuple[tuple[int, int], ...]:
    given = node.need("padding")
    if isinstance(given, str) and given not in ("same", "valid"):
        raise FileFormatError(f"{node}: padding is {given!r:.40}; it is 'same', 'valid' or numbers")
    if isinstance(given, str) and given == "valid":
        return ((0, 0),) * len(size)
    if isinstance(given, str):
        if set(stride) != {1}:
            raise UnsupportedError(f"{node}: padding 'same' with stride {stride}; give the padding as numbers")
        return same_padding(size, window, stride, dilation)
    return tuple((n, n) for n in _per_axis(node, "padding", len(size)))


@_handles("SumPool2d", "AvgPool2d")
def _pool(build: Builder, node: Node, value: Value) -> Value:
    fields = {"size": _per_axis(node, "kernel_size", 2), "stride": _per_axis(node, "stride", 2)}
    fields["padding"] = tuple((n, n) for n in _per_axis(node, "padding", 2))
    if node.kind == "SumPool2d":
        return build.add(L.SumPool2d, [value], name=node.name, **fields)
    return build.add(L.AveragePool2d, [value], name=node.name, count_padding=True, **fields)


@_handles("Flatten")
def _flatten(build: Builder, node: Node, value: Value) -> Value:
    rank = len(value.shape)
    ends = [(node.integers(field, 1) or (0,))[0] for field in ("start_dim", "end_dim")]
    first, last = (n + rank if n < 0 else n for n in ends)
    if not 0 <= first <= last < rank:
        raise FileFormatError(f"{node}: axes {ends[0]} to {ends[1]} of an input of shape {value.shape}")
    shape = (*value.shape[:first], prod(value.shape[first : last + 1]), *value.shape[last + 1 :])
    if len(shape) == 1:
        return build.add(L.Flatten, [value], name=node.name)
    return build.add(L.Reshape, [value], name=node.name, shape=shape)


@_handles(*N.KINDS)
def _neurons(build: Builder, node: Node, value: Value, **recurrence) -> Value:
    kind = N.KINDS[node.kind]
    optional = {"v_reset"}  # files of early releases have none; it is 0 then
    present = [f for f in kind.PARAMETERS if f in node.fields or f not in optional]
    fields = {f: node.array(f) for f in present}
    if "w_in" in fields and fields["w_in"].ndim == 0:
        fields["w_in"] = np.full(fields["r"].shape, fields["w_in"], np.float64)
    return build.add(kind, [value], name=node.name, **fields, **recurrence)
