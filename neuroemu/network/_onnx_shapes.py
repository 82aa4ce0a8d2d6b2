"""Handlers of ONNX operators that move values and compute nothing: shapes, order of axes, joins, padding."""

from dataclasses import replace
from math import prod

import numpy as np

from ..errors import FileFormatError, UnsupportedError
from . import layers as L
from ._build import Value, zero_padding
from ._onnx_file import Node
from ._onnx_fold import Constant
from ._onnx_scope import Scope, axis_of, handles


@handles("Flatten")
def flatten(scope: Scope, node: Node) -> Value:
    value = scope.value(node)
    if axis_of(node, int(node.attributes.get("axis", 1)), len(value.shape) + 1) != 1:
        raise UnsupportedError(f"{node}: axis {node.attributes['axis']}; only axis 1, which keeps the batch")
    return scope.add(node, L.Flatten, [value])


@handles("Reshape")
def reshape(scope: Scope, node: Node) -> Value:
    value, target = scope.value(node), scope.numbers(node, 1)
    batch = scope.graph.batch
    if 0 in target and node.attributes.get("allowzero"):
        raise UnsupportedError(f"{node}: empty tensors; leave allowzero off")
    full = (batch or 1, *value.shape)
    if any(n == 0 and i >= len(full) for i, n in enumerate(target)) or min(target, default=1) < -1:
        raise FileFormatError(f"{node}: shape {target} does not fit {full}")
    sizes = [full[i] if n == 0 else n for i, n in enumerate(target)]
    rest = sizes[1:]
    if not sizes or sizes.count(-1) > 1:
        raise UnsupportedError(f"{node}: shape {target}; it must keep the batch axis in front")
    if -1 in rest:
        known = prod(n for n in rest if n != -1)
        rest = [prod(value.shape) // known if n == -1 and known else n for n in rest]
    if sizes[0] not in (-1, batch or 1) or prod(rest) != prod(value.shape):
        raise UnsupportedError(
            f"{node}: {full} to {target}; it must keep the batch axis in front, of size {batch or 'any'}"
        )
    return reshaped(scope, node, value, tuple(rest))


def reshaped(scope: Scope, node: Node, value: Value, shape: tuple[int, ...]) -> Value:
    """`value` with another shape, by the plainest layer."""
    if shape == value.shape:
        return value
    if len(shape) == 1:
        return scope.add(node, L.Flatten, [value])
    return scope.add(node, L.Reshape, [value], shape=shape)


@handles("Squeeze", "Unsqueeze")
def squeeze(scope: Scope, node: Node) -> Value:
    value = scope.value(node)
    listed = node.attributes.get("axes")
    if listed is None and len(node.inputs) < 2:
        raise UnsupportedError(f"{node}: without axes it could drop the batch; name the axes")
    axes = [int(a) for a in (scope.numbers(node, 1) if listed is None else listed)]
    full = [scope.graph.batch or 1, *value.shape]
    if node.kind == "Squeeze":
        axes = {axis_of(node, a, len(full)) for a in axes}
        if 0 in axes or any(full[a] != 1 for a in axes):
            raise UnsupportedError(
                f"{node}: axes {sorted(axes)} of {tuple(full)}; only axes of size 1 behind the batch"
            )
        return reshaped(scope, node, value, tuple(n for a, n in enumerate(full) if a and a not in axes))
    rank = len(full) + len(axes)
    axes = {axis_of(node, a, rank) for a in axes}
    if 0 in axes:
        raise UnsupportedError(f"{node}: a new axis before the batch; keep the batch in front")
    rest = iter(full)
    return reshaped(scope, node, value, tuple(1 if a in axes else next(rest) for a in range(rank))[1:])


@handles("Transpose")
def transpose(scope: Scope, node: Node) -> Value:
    value = scope.value(node)
    axes = [int(a) for a in node.attributes.get("perm", range(len(value.shape) + 1)[::-1])]
    if not axes or axes[0] != 0:
        raise UnsupportedError(f"{node}: permutation {axes}; the batch axis must stay in front")
    return scope.add(node, L.Transpose, [value], axes=tuple(a - 1 for a in axes[1:]))


@handles("Concat")
def concat(scope: Scope, node: Node, inputs=None, grid=None) -> Value:
    values = [scope.value(node, i) for i in (range(len(node.inputs)) if inputs is None else inputs)]
    if not values:
        raise FileFormatError(f"{node}: it joins nothing")
    axis = axis_of(node, int(node.attributes.get("axis", 1)), len(values[0].shape) + 1)
    if axis == 0:
        raise UnsupportedError(f"{node}: along the batch axis; join along another")
    return scope.add(node, L.Concat, values, grid=grid, axis=axis - 1)


@handles("Identity", "Dropout")
def identity(scope: Scope, node: Node) -> Value:
    return scope.value(node)


@handles("Cast")
def cast(scope: Scope, node: Node) -> Value:
    if node.attributes.get("to") not in (1, 10, 11):
        raise UnsupportedError(f"{node}: casts an activation to type {node.attributes.get('to')}; only float types")
    return scope.value(node)


@handles("Shape")
def shape_of(scope: Scope, node: Node) -> Constant:
    if set(node.attributes) & {"start", "end"}:
        full = np.array([scope.graph.batch or 1, *scope.value(node).shape], np.int64)
        return Constant(full[slice(node.attributes.get("start", 0), node.attributes.get("end"))])
    return Constant(np.array([scope.graph.batch or 1, *scope.value(node).shape], np.int64))


@handles("Pad")
def pad(scope: Scope, node: Node) -> Value:
    value = scope.image(node)
    pads = node.attributes.get("pads")
    pads = np.array(scope.numbers(node, 1) if pads is None else pads, np.int64)
    filling = scope.constant(node, 2)
    zero = 0
    if filling is not None and filling.array.dtype.kind in "iu":  # a padding of codes
        grid = scope.build.grids.get(value.name)
        zero = grid.zero_point + (128 if filling.array.dtype == np.uint8 else 0) if grid else 0
    number = (
        node.attributes.get("value", 0)
        if filling is None
        else filling.array.reshape(-1)[0]
        if filling.array.size
        else 0
    )
    mode = node.attributes.get("mode", b"constant").decode("utf-8", "replace")
    if mode != "constant" or number != zero:
        raise UnsupportedError(f"{node}: mode {mode!r}, value {number}; only padding with zeros is supported")
    axes = scope.numbers(node, 3) if len(node.inputs) > 3 and node.inputs[3] else range(4)
    if pads.size != 2 * len(axes) or (pads < 0).any() or (pads > 1 << 20).any():
        raise UnsupportedError(f"{node}: pads {pads.tolist()}; 0 or more for each axis are supported")
    sides = {axis_of(node, int(a), 4): (int(b), int(e)) for a, b, e in zip(axes, *pads.reshape(2, -1), strict=True)}
    if any(sides.get(a, (0, 0)) != (0, 0) for a in (0, 1)):
        raise UnsupportedError(f"{node}: it pads the batch or the channels; only height and width can be padded")
    return replace(value, padding=zero_padding(value, (sides.get(2, (0, 0)), sides.get(3, (0, 0)))))
