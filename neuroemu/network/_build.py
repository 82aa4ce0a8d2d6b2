"""What the file readers share: collect layers one by one, name them, follow shapes and grids, and finish a Network.

A reader walks through the operators of a file and calls `Builder.add` for each layer; `Builder.finish` drops what the
output does not need, completes the grids of a quantized network, and checks that it can be computed in integers.
"""

from collections import Counter
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import numpy as np

from ..errors import FileFormatError, InputError, NeuroemuError, UnsupportedError
from . import layers as L
from .graph import INPUT, Network
from .grids import Grid
from .shapes import output_shape

NO_PADDING = ((0, 0), (0, 0))
MAX_VALUES = 1 << 28  # values of one activation of one input
MAX_FILE = 1 << 31  # bytes
MAX_ITEMS = 10_000  # operators, tensors: so that no file keeps a reader busy for long

# Layers that pass codes on unchanged, or that commute with rounding to a grid because they keep the order of numbers.
_ORDER_KEEPING = (L.Flatten, L.Reshape, L.Transpose, L.MaxPool2d, L.Clip)
_CODE_KEEPING = (L.Flatten, L.Reshape, L.Transpose, L.MaxPool2d)


@dataclass(frozen=True)
class Value:
    """A tensor of the network under construction."""

    name: str
    shape: tuple[int, ...]  # no batch axis
    padding: L.Padding = NO_PADDING  # zeros around (H, W) that the layer reading it has to add
    image_last: bool = False  # three axes in the order (H, W, C)
    flat_of: tuple[int, int, int] | None = None  # flattened from this (C, H, W), but the file's order is (H, W, C)


class Builder:
    """Layers in order, with the shape and the grid of each tensor."""

    def __init__(self, *, input_shape: tuple[int, ...], name: str, image_last: bool = False):
        self.name, self.layers, self.grids = name, [], {}
        self.input = Value(INPUT, check_shape(input_shape, "input"), image_last=image_last and len(input_shape) == 3)
        self._shapes = {INPUT: self.input.shape}
        self._index: dict[str, int] = {}

    def unique(self, wanted: str) -> str:
        """`wanted`, or with a number behind it when it is taken."""
        name, number = wanted or "tensor", 1
        while name in self._shapes:
            name, number = f"{wanted or 'tensor'}_{number}", number + 1
        return name

    def add(self, kind: type[L.Layer], inputs, *, name: str, grid: Grid | None = None, **fields) -> Value:
        """Append a layer that reads `inputs` (Values); the Value it writes."""
        name = self.unique(name)
        for value in inputs:
            if value.padding != NO_PADDING:
                raise UnsupportedError(
                    f"{kind.__name__} '{name}': it reads an explicit zero padding; only convolutions and average pools "
                    "can take that over, so put the padding into this operator"
                )
        try:
            layer = kind(name=name, inputs=tuple(v.name for v in inputs), **fields)
            shape = output_shape(layer, [v.shape for v in inputs])
        except InputError as error:
            raise FileFormatError(f"the file's operators do not fit together: {error}") from None
        self._index[name] = len(self.layers)
        self.layers.append(layer)
        self._shapes[name] = check_shape(shape, name)
        if grid is not None:
            self.grids[name] = grid
        return Value(name, shape)

    def set_grid(self, value: Value, grid: Grid, *, name: str) -> Value:
        """Put `value` on `grid`; when it has another one already, a layer `name` that only changes the grid."""
        if self.grids.setdefault(value.name, grid) == grid:
            return value
        return replace(
            self.add(L.Clip, [value], name=name, grid=grid), image_last=value.image_last, flat_of=value.flat_of
        )

    def passed_grid(self, value: Value) -> Grid | None:
        """The grid of `value`; without one of its own, that of what came through layers that keep codes."""
        name = value.name
        while name not in self.grids and name in self._index:
            layer = self.layers[self._index[name]]
            if not isinstance(layer, _CODE_KEEPING):
                return None
            name = layer.inputs[0]
        return self.grids.get(name)

    def layer(self, value: Value) -> L.Layer | None:
        """The layer that writes `value`, None for the input."""
        return self.layers[self._index[value.name]] if value.name in self._index else None

    def rename(self, value: Value, name: str, **changes) -> Value:
        """The layer that writes `value`, which nothing reads yet, under another name and with other fields."""
        at, shape = self._index.pop(value.name), self._shapes.pop(value.name)
        name = self.unique(name)
        self.layers[at] = replace(self.layers[at], name=name, **changes)
        self._index[name], self._shapes[name] = at, shape
        return Value(name, shape)

    def finish(self, output: Value, *, rounding: str) -> Network:
        """The network that computes `output`."""
        if output.padding != NO_PADDING:
            raise UnsupportedError(f"Network '{self.name}': its output is a padding; end it with another operator")
        layers = _needed(self.layers, output.name)
        if not layers:
            raise UnsupportedError(f"Network '{self.name}': the output is the input; it has no layers to run")
        names = {INPUT, *(layer.name for layer in layers)}
        grids = {name: grid for name, grid in self.grids.items() if name in names}
        if isinstance(layers[-1], L.Softmax):
            grids.pop(layers[-1].name, None)  # rounded probabilities would only add ties
        quantized = bool(grids) or any(isinstance(x, L.Weighted) and x.weight_grid is not None for x in layers)
        if quantized:
            grids = _complete(layers, grids)
            for layer in layers:
                _check_integer(layer, grids)
        try:
            return Network(layers=layers, input_shape=self.input.shape, name=self.name, grids=grids, rounding=rounding)
        except InputError as error:
            raise FileFormatError(f"the file's operators do not fit together: {error}") from None


def check_shape(shape, name) -> tuple[int, ...]:
    """`shape` as ints, positive and of a size that can be computed."""
    shape = tuple(int(n) for n in shape)
    if any(n < 1 for n in shape) or prod(shape) > MAX_VALUES:
        raise FileFormatError(
            f"tensor '{name}' has shape {shape}; sizes must be 1 or more, {MAX_VALUES:,} values at most"
        )
    return shape


def read_bytes(path: Path) -> bytes:
    """The whole file, its size checked first."""
    try:
        size = path.stat().st_size
        if size > MAX_FILE:
            raise FileFormatError(f"{path}: {size:,} bytes; files up to {MAX_FILE:,} bytes are read")
        return path.read_bytes()
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be read: {error.strerror or error}") from None


def one_line(error: BaseException, limit: int = 160) -> str:
    """An error as one short line; what a file brings along of line breaks and control characters is taken out."""
    text = "".join(c if c.isprintable() else " " for c in str(error)) or type(error).__name__
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 3] + "..."


def in_file(path: Path, error: NeuroemuError) -> NeuroemuError:
    """The same error with the file's path in front."""
    text = one_line(error, 500)
    return type(error)(text if text.startswith(str(path)) else f"{path}: {text}")


def _needed(layers, output) -> tuple[L.Layer, ...]:
    """The layers that `output` depends on, `output` last."""
    wanted, kept = {output}, []
    for layer in reversed(layers):
        if layer.name in wanted:
            wanted.update(layer.inputs)
            kept.append(layer)
    return tuple(reversed(kept))


def _complete(layers, grids) -> dict[str, Grid]:
    """Grids for the tensors between two quantized ones that a file leaves without.

    Rounding to a grid may be moved across a layer that keeps the order of numbers: code(max(x, 0)) is
    max(code(x), code(0)). So the result stays the same to the last bit.
    """
    grids = dict(grids)
    readers = Counter(name for x in layers for name in set(x.inputs))
    for layer in reversed(layers):
        if isinstance(layer, _ORDER_KEEPING) and layer.name in grids and readers[layer.inputs[0]] == 1:
            grids.setdefault(layer.inputs[0], grids[layer.name])
    for layer in layers:
        if isinstance(layer, _CODE_KEEPING) and layer.name not in grids and layer.inputs[0] in grids:
            grids[layer.name] = grids[layer.inputs[0]]
    return grids


def _check_integer(layer, grids):
    """A layer on codes reads codes; one clear error for files that quantize only a part."""
    who = f"{type(layer).__name__} '{layer.name}'"
    coded = isinstance(layer, L.Weighted) and layer.weight_grid is not None
    if (coded or layer.name in grids) and any(name not in grids for name in layer.inputs):
        missing = [name for name in layer.inputs if name not in grids]
        raise UnsupportedError(
            f"{who}: it is quantized but reads {missing} in floating point; quantize the whole network, "
            "from its input on, or load the float network"
        )
    if isinstance(layer, L.Weighted) and not coded and layer.name in grids:
        raise UnsupportedError(f"{who}: its output is quantized but its weights are float; quantize its weights too")
    if isinstance(layer, L.BatchNorm) and layer.name in grids:
        raise UnsupportedError(f"{who}: a quantized batch normalization; fold it into the layer before, then quantize")


def zero_padding(value: Value, own: L.Padding) -> L.Padding:
    """`own` plus the padding that `value` carries."""
    return tuple(tuple(a + b for a, b in zip(*pair, strict=True)) for pair in zip(own, value.padding, strict=True))


def same_padding(size, window, stride, dilation=(1, 1), *, extra_first: bool = False) -> L.Padding:
    """Padding that gives ceil(size / stride) positions; an odd zero goes last, or first if `extra_first`."""
    sides = []
    for n, w, s, d in zip(size, window, stride, dilation, strict=True):
        total = max((-(-n // s) - 1) * s + (w - 1) * d + 1 - n, 0)
        less, more = total // 2, total - total // 2
        sides.append((more, less) if extra_first else (less, more))
    return tuple(sides)


def bias_codes(bias, grid: Grid, weight_grid: Grid) -> np.ndarray:
    """A real bias as int32 codes on the accumulator's grid."""
    codes = np.rint(np.asarray(bias, np.float64) / (np.asarray(weight_grid.scale) * grid.scale))
    if not np.isfinite(codes).all():
        raise FileFormatError("a bias of a quantized layer is not finite")
    return np.clip(codes, -(2**31), 2**31 - 1).astype(np.int32)
