"""Weights of a float network in the forms that the floating kernel takes.

Enter Dense and Conv2d layers; leave panels of columns, lists of single synapses where most weights are zero, or the
table of a kernel that moves, whose positions are computed and not listed. All three make the same bits.
"""

from dataclasses import dataclass
from math import prod

import numpy as np

from .. import kernels
from . import layers as L

PANEL = 64  # columns worked on side by side; 64 float32 sums fill the vector registers of AVX2
SPARSE = 1 / 16  # share of weights that are not zero below which single synapses were measured to be faster


@dataclass(frozen=True, eq=False)
class Synapses:
    """Weights of one layer, for `kernels.floating`."""

    form: str  # "dense", "sparse" or "convolution"
    arrays: dict  # arguments of the kernel
    inputs: int
    outputs: int
    places: np.ndarray | None = None  # int32: place in the tensor of each sum, where they do not stand in order


def synapses(layer: L.Weighted, read: tuple[int, ...], written: tuple[int, ...]) -> Synapses:
    """Synapses of a layer that reads and writes tensors of these shapes.

    A Dense layer works on the last axis; its leading axes count as further lines.
    """
    if isinstance(layer, L.Conv2d):
        return _convolution(layer, read, written)
    bias = {} if layer.bias is None else {"bias": layer.bias}
    if np.count_nonzero(layer.weight) < SPARSE * layer.weight.size:
        return Synapses("sparse", single_synapses(layer.weight) | bias, *layer.weight.shape[::-1])
    return Synapses("dense", {"panels": panels(layer.weight)} | bias, *layer.weight.shape[::-1])


def sums(found: Synapses, x: np.ndarray, drive: np.ndarray, *, wide: bool) -> int:
    """Write the sums of lines x (T, B, inputs) into drive (T, B, outputs), float32; the additions made."""
    kernel = getattr(kernels.floating, f"{found.form}_sums")
    return kernel(x, **found.arrays, wide=wide, drive=drive)


def panels(weight: np.ndarray) -> np.ndarray:
    """A matrix (out, in) as panels of columns (ceil(out / W), in, W), float32, filled up with zeros."""
    outputs, inputs = weight.shape
    width = PANEL if outputs > PANEL // 2 else PANEL // 2 if outputs > PANEL // 4 else PANEL // 4
    count = -(-outputs // width)
    padded = np.zeros((count * width, inputs), np.float32)
    padded[:outputs] = weight
    return np.ascontiguousarray(padded.reshape(count, width, inputs).transpose(0, 2, 1))


def single_synapses(weight: np.ndarray) -> dict[str, np.ndarray]:
    """The weights of a matrix (out, in) that are not zero, by input."""
    source, target = np.nonzero(weight.T)
    indptr = np.zeros(weight.shape[1] + 1, np.int32)
    np.cumsum(np.bincount(source, minlength=weight.shape[1]), out=indptr[1:])
    return {"indptr": indptr, "target": target.astype(np.int32), "weight": weight.T[source, target].astype(np.float32)}


def _convolution(layer: L.Conv2d, read, written) -> Synapses:
    out, per_group, high, wide = layer.weight.shape
    length = out // layer.groups
    grouped = layer.weight.reshape(layer.groups, length, per_group, high, wide).transpose(0, 2, 3, 4, 1)
    table = np.ascontiguousarray(grouped).reshape(layer.groups * per_group, high, wide, length)
    lines = [
        axis_taps(read[1 + a], written[1 + a], layer.weight.shape[2 + a], layer.stride[a], layer.dilation[a], before)
        for a, (before, _) in enumerate(layer.padding)
    ]
    arrays = {"table": table, "down": lines[0], "across": lines[1], "groups": layer.groups, "size": written[1:]}
    if layer.bias is not None:
        arrays["bias"] = np.tile(layer.bias, prod(written[1:]))
    places = np.arange(prod(written), dtype=np.int32).reshape(written).transpose(1, 2, 0).ravel()
    return Synapses("convolution", arrays, prod(read), prod(written), places)


def axis_taps(size: int, out: int, taps: int, stride: int, dilation: int, before: int):
    """(first, tap, out): the taps of a kernel that each position of an axis meets, and the output positions there."""
    position, tap = np.meshgrid(np.arange(size), np.arange(taps), indexing="ij")
    reached = position + before - tap * dilation
    meets = (reached >= 0) & (reached % stride == 0) & (reached // stride < out)
    first = np.zeros(size + 1, np.int32)
    np.cumsum(meets.sum(axis=1), out=first[1:])
    return first, tap[meets].astype(np.int32), (reached // stride)[meets].astype(np.int32)
