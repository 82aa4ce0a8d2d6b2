"""Images of files with channels last, in a network with channels first.

A value remembers which of the two it is, and the turn from one to the other is a Transpose that is made once, where it
is needed. A flattened image that only dense layers read keeps the network's order; their columns are permuted instead.
"""

from dataclasses import replace

from ..errors import FileFormatError
from . import layers as L
from ._build import Builder, Value


class Orders:
    """Turns images of the network under construction."""

    def __init__(self, build: Builder):
        self.build = build
        self._turned: dict[tuple[str, bool], Value] = {}

    def image(self, value: Value) -> Value:
        """`value` in the network's own order, (C, H, W)."""
        return self._turn(value, (2, 0, 1), False) if value.image_last else value

    def file_order(self, value: Value) -> Value:
        """`value` in the file's order, (H, W, C) when it has three axes."""
        return self._turn(value, (1, 2, 0), True) if len(value.shape) == 3 and not value.image_last else value

    def _turn(self, value, axes, image_last):
        key = (value.name, image_last)
        if key not in self._turned:
            name = "to_nhwc" if image_last else "to_nchw"
            turned = self.build.add(L.Transpose, [value], name=name, grid=self.build.grids.get(value.name), axes=axes)
            self._turned[key] = replace(turned, image_last=image_last)
        return self._turned[key]

    def flatten(self, value: Value, *, permute: bool, name: str = "flatten") -> Value:
        """`value` with one axis; in (C, H, W) order, marked so, if `permute` and the order matters."""
        grid = self.build.grids.get(value.name)
        if len(value.shape) == 3 and not value.image_last:
            channels, high, wide = value.shape
            matters = channels > 1 and high * wide > 1
            if matters and not permute:
                value = self.file_order(value)
            flat = self.build.add(L.Flatten, [value], name=name, grid=grid)
            return replace(flat, flat_of=(channels, high, wide)) if matters and permute else flat
        return self.build.add(L.Flatten, [value], name=name, grid=grid)


def dense_order(value: Value):
    """Brings columns (out, in) from the file's order (H, W, C) to that of the flattened tensor, (C, H, W)."""
    if value.flat_of is None:
        return lambda w: w
    channels, high, wide = value.flat_of

    def permuted(w):
        if w.ndim != 2 or w.shape[1] != channels * high * wide:
            raise FileFormatError(f"a dense weight has shape {w.shape}; its input has {channels * high * wide} values")
        return w.reshape(-1, high, wide, channels).transpose(0, 3, 1, 2).reshape(w.shape)

    return permuted
