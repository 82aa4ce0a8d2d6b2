"""Constant folding: the small ONNX operators that files apply to weights and shapes, computed once while reading."""

from dataclasses import dataclass, replace
from math import prod

import numpy as np

from ..errors import FileFormatError, UnsupportedError
from ._build import one_line
from ._onnx_file import Node

MAX_FOLDED = 1 << 26  # values of one constant that is computed while reading
_DTYPES = {
    1: np.float32,
    2: np.uint8,
    3: np.int8,
    6: np.int32,
    7: np.int64,
    9: np.bool_,
    10: np.float16,
    11: np.float64,
}


@dataclass(frozen=True)
class Constant:
    """A constant of the file: `array` holds real numbers, or integers such as shapes and raw codes.

    For a constant that the file dequantizes, `codes`, `scale`, `zero_point` and `axis` keep where it came from.
    """

    array: np.ndarray
    codes: np.ndarray | None = None
    scale: np.ndarray | None = None
    zero_point: np.ndarray | None = None
    axis: int | None = None


def fold(node: Node, inputs: list[Constant | None]) -> Constant:
    """What `node` makes of constants.

    Raises
    ------
    UnsupportedError
        The operator is not one of those that are folded.
    FileFormatError
        The operator does not fit its inputs.
    """
    if node.kind not in _FOLDED or node.domain:
        raise UnsupportedError(
            f"{node}: computes on constants only and is not folded; simplify the model before reading"
        )
    first = inputs[0] if inputs else None
    try:
        _bound(node, inputs)
        array = np.asarray(_FOLDED[node.kind](node, *(None if c is None else c.array for c in inputs)))
        if first is not None and first.codes is not None and node.kind in _MOVES:
            return _moved(node, first, inputs, array)
        return Constant(array)
    except (ValueError, TypeError, IndexError, KeyError, AttributeError, OverflowError) as error:
        raise FileFormatError(f"{node}: it does not fit its constants: {one_line(error)}") from None


def _bound(node, inputs):
    """Only joining, picking and broadcasting make much out of little."""
    arrays = [c.array for c in inputs if c is not None]
    if node.kind in _ARITHMETIC:
        size = prod(np.broadcast_shapes(*(a.shape for a in arrays)))
    elif node.kind == "Gather":
        size = arrays[0].size * arrays[1].size
    else:
        size = sum(a.size for a in arrays)
    if size > MAX_FOLDED:
        raise ValueError(f"up to {size:,} values; {MAX_FOLDED:,} at most")


def _moved(node, first: Constant, inputs, array) -> Constant:
    """A dequantized constant whose values changed place, not size: its codes move along."""
    codes = np.asarray(_FOLDED[node.kind](node, first.codes, *(c.array for c in inputs[1:])))
    if first.axis is None:
        return replace(first, array=array, codes=codes)
    if node.kind == "Transpose":
        return replace(first, array=array, codes=codes, axis=_axes(node, first.array.ndim).index(first.axis))
    if array.shape[: first.axis + 1] == first.array.shape[: first.axis + 1]:  # a new form behind the steps' axis
        return replace(first, array=array, codes=codes)
    return Constant(array)


def _axes(node, ndim):
    return [int(a) for a in node.attributes.get("perm", range(ndim)[::-1])]


def _reshape(node, x, shape):
    shape = [
        int(x.shape[i]) if n == 0 and not node.attributes.get("allowzero") else int(n) for i, n in enumerate(shape)
    ]
    return x.reshape(shape)


def _squeeze(node, x, axes=None):
    axes = node.attributes.get("axes", axes)
    return x.squeeze() if axes is None else x.squeeze(tuple(int(a) for a in np.atleast_1d(axes)))


def _unsqueeze(node, x, axes=None):
    return np.expand_dims(x, tuple(int(a) for a in np.atleast_1d(node.attributes.get("axes", axes))))


def _flatten(node, x):
    return x.reshape(prod(x.shape[: node.attributes.get("axis", 1)]), -1)


def _slice(node, x, starts, ends, axes=None, steps=None):
    cut = [slice(None)] * x.ndim
    axes = range(len(starts)) if axes is None else axes
    for i, axis in enumerate(axes):
        cut[int(axis)] = slice(int(starts[i]), int(ends[i]), 1 if steps is None else int(steps[i]))
    return x[tuple(cut)]


def _divide(node, a, b):
    return a // b if a.dtype.kind in "iu" else a / b


_ARITHMETIC = ("Add", "Sub", "Mul", "Div")
_MOVES = ("Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Identity")
_FOLDED = {
    "Identity": lambda node, x: x,
    "Reshape": _reshape,
    "Transpose": lambda node, x: x.transpose(_axes(node, x.ndim)),
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Flatten": _flatten,
    "Cast": lambda node, x: x.astype(_DTYPES[node.attributes["to"]]),
    "Concat": lambda node, *xs: np.concatenate(xs, axis=node.attributes["axis"]),
    "Gather": lambda node, x, indices: np.take(x, indices.astype(np.int64), axis=node.attributes.get("axis", 0)),
    "Slice": _slice,
    "Shape": lambda node, x: np.array(x.shape, np.int64),
    "Add": lambda node, a, b: a + b,
    "Sub": lambda node, a, b: a - b,
    "Mul": lambda node, a, b: a * b,
    "Div": _divide,
    "Neg": lambda node, x: -x,
    "Sqrt": lambda node, x: np.sqrt(x),
}
