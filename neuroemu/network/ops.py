"""Numeric primitives that both reference executors share: patches, pools, exact integer products.

Arrays are (B, C, H, W) unless said otherwise.
"""

from math import prod

import numpy as np

from .. import kernels
from ..kernels import integer_reference
from . import layers as L

BLOCK_BYTES = (
    1 << 22
)  # of the largest layer of the images worked on at a time: more spills the caches, less gains nothing
STEADY_ROWS = 16  # a multiple of the rows that BLAS kernels work on side by side
MOST_IMAGES = 1024  # at a time, where layers are tiny


def images_at_once(network) -> int:
    """How many images to work on at a time, so that no layer's arrays take more than about BLOCK_BYTES."""
    return max(1, min(MOST_IMAGES, BLOCK_BYTES // max(_bytes_of(network, layer) for layer in network.layers)))


def _bytes_of(network, layer: L.Layer) -> int:
    """Bytes of a layer's float32 patches and float64 sums for one image, or of its values."""
    written = prod(network.shapes[layer.name])
    if not isinstance(layer, L.Weighted):
        return 4 * (written + sum(prod(network.shapes[name]) for name in layer.inputs))
    positions = written // layer.weight.shape[0]
    groups = layer.groups if isinstance(layer, L.Conv2d) else 1
    return 4 * positions * layer.weight[0].size * groups + 8 * written


def patches(layer: L.Conv2d, x: np.ndarray, channels: slice = slice(None)) -> np.ndarray:
    """What each output position of a convolution reads: (B, H'*W', C*kH*kW), channel slowest."""
    images = x[:, channels]
    geometry = {
        "kernel": layer.weight.shape[2:],
        "stride": layer.stride,
        "dilation": layer.dilation,
        "padding": layer.padding,
    }
    if images.dtype != np.float32:
        return integer_reference.patches(images, **geometry)
    size = _image_size(layer, x)
    out = np.empty((len(x), size[0] * size[1], images.shape[1] * prod(layer.weight.shape[2:])), np.float32)
    kernels.integer.patches(images, out, size=size, **geometry)
    return out


def weighted_sum(layer: L.Weighted, x: np.ndarray, weight: np.ndarray, product=np.matmul) -> np.ndarray:
    """Dense or convolution of `x` with `weight`, without bias; `product(a, b)` multiplies (..., K) by (K, M)."""
    if isinstance(layer, L.Dense):
        return product(x, weight.T)
    groups, per_group = layer.groups, weight.shape[1]
    out = weight.shape[0] // groups
    parts = []
    for g in range(groups):
        rows = patches(layer, x, slice(g * per_group, (g + 1) * per_group))
        # One large product is faster than one for each image.
        flat = product(rows.reshape(-1, rows.shape[-1]), weight[g * out : (g + 1) * out].reshape(out, -1).T)
        parts.append(flat.reshape(*rows.shape[:2], out))
    merged = parts[0] if groups == 1 else np.concatenate(parts, axis=-1)
    high, wide = _image_size(layer, x)
    return merged.transpose(0, 2, 1).reshape(len(x), weight.shape[0], high, wide)


def exact_product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Product of integer-valued float32 arrays, exact, as float64 or float32.

    A float32 sum is exact while every partial sum stays below 2^24, a float64 sum below 2^53. The bound used is
    K * max|a| * max|b|, so BLAS may add in any order.
    """
    if a.shape[-1] * _largest(a) * _largest(b) < 2**24:
        return np.matmul(a, b)
    return np.matmul(a.astype(np.float64), b.astype(np.float64))


def steady_product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Product of (..., K) by (K, M) in float64 whose bits do not depend on how many rows there are.

    BLAS takes other routines for other sizes, so rows go in blocks of STEADY_ROWS, the last one filled with zeros.
    """
    rows = a.reshape(-1, a.shape[-1])
    n = len(rows)
    blocks = np.zeros((-(-n // STEADY_ROWS) * STEADY_ROWS, a.shape[-1]))
    blocks[:n] = rows
    product = np.matmul(blocks.reshape(-1, STEADY_ROWS, a.shape[-1]), b.astype(np.float64))
    return product.reshape(-1, b.shape[-1])[:n].reshape(*a.shape[:-1], b.shape[-1])


def _largest(values: np.ndarray) -> float:
    return max(float(values.max(initial=0)), -float(values.min(initial=0)))


def pool_counts(layer: L.AveragePool2d, size: tuple[int, int]) -> np.ndarray:
    """How many values each window averages: (H', W')."""
    value = 1.0 if layer.count_padding else 0.0
    return pool_sum(layer, np.ones((1, 1, *size)), value=value)[0, 0]


def pool_sum(layer: L.Pool2d, x: np.ndarray, value=0, dtype=None) -> np.ndarray:
    """Sum of each window; padding counts as `value`."""
    return _pooled(layer, x if dtype is None else x.astype(dtype), value, np.add)


def pool_max(layer: L.Pool2d, x: np.ndarray) -> np.ndarray:
    """Largest value of each window; padding never wins."""
    return _pooled(layer, x, -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min, np.maximum)


def _pooled(layer: L.Pool2d, x: np.ndarray, value, combine) -> np.ndarray:
    """Rows of each window combined, then columns: whole slices at a time, one for each place in the window."""
    if layer.padding != ((0, 0), (0, 0)):
        x = np.pad(x, ((0, 0), (0, 0), *layer.padding), constant_values=value)
    for axis, window, stride in zip((2, 3), layer.size, layer.stride, strict=True):
        before, end = (slice(None),) * axis, x.shape[axis] - window + 1
        combined = x[(*before, slice(0, end, stride))].copy()
        for place in range(1, window):
            combine(combined, x[(*before, slice(place, end + place, stride))], out=combined)
        x = combined
    return x


def along_channels(values: np.ndarray, ndim: int) -> np.ndarray:
    """A number, or one per channel, shaped to broadcast over (B, C, ...) of `ndim` axes."""
    return values if values.ndim == 0 else values.reshape(1, -1, *(1,) * (ndim - 2))


def rearrange(layer: L.Layer, x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Flatten, Reshape or Transpose: no arithmetic, so it serves values and codes alike."""
    if isinstance(layer, L.Transpose):
        return x.transpose(0, *(a + 1 for a in layer.axes))
    return x.reshape(len(x), *shape)


def _image_size(layer: L.Conv2d, x: np.ndarray) -> tuple[int, int]:
    sizes = []
    for axis in (0, 1):
        reach = (layer.weight.shape[2 + axis] - 1) * layer.dilation[axis] + 1
        sizes.append((x.shape[2 + axis] + sum(layer.padding[axis]) - reach) // layer.stride[axis] + 1)
    return tuple(sizes)
