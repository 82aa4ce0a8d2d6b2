"""Numeric primitives that both reference executors share: patches, pools, exact integer products.

Arrays are (B, C, H, W) unless said otherwise.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from . import layers as L


def pad_image(x: np.ndarray, padding: L.Padding, value=0) -> np.ndarray:
    """`x` with `value` around its last two axes."""
    if padding == ((0, 0), (0, 0)):
        return x
    return np.pad(x, ((0, 0), (0, 0), *padding), constant_values=value)


def windows(x: np.ndarray, size, stride, padding, dilation=(1, 1), value=0) -> np.ndarray:
    """All windows of `x` as a read-only view (B, C, H', W', kH, kW)."""
    reach = tuple((k - 1) * d + 1 for k, d in zip(size, dilation, strict=True))
    view = sliding_window_view(pad_image(x, padding, value), reach, axis=(2, 3))
    return view[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]


def patches(layer: L.Conv2d, x: np.ndarray, channels: slice = slice(None)) -> np.ndarray:
    """What each output position of a convolution reads: (B, H'*W', C*kH*kW), channel slowest."""
    view = windows(x[:, channels], layer.weight.shape[2:], layer.stride, layer.padding, layer.dilation)
    batch, _, high, wide = view.shape[:4]
    return np.ascontiguousarray(view.transpose(0, 2, 3, 1, 4, 5)).reshape(batch, high * wide, -1)


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
    bound = a.shape[-1] * float(np.abs(a).max(initial=0)) * float(np.abs(b).max(initial=0))
    if bound < 2**24:
        return np.matmul(a, b)
    return np.matmul(a.astype(np.float64), b.astype(np.float64))


def pool_counts(layer: L.AveragePool2d, size: tuple[int, int]) -> np.ndarray:
    """How many values each window averages: (H', W')."""
    ones = np.ones((1, 1, *size))
    value = 1.0 if layer.count_padding else 0.0
    return windows(ones, layer.size, layer.stride, layer.padding, value=value).sum(axis=(-2, -1))[0, 0]


def pool_sum(layer: L.Pool2d, x: np.ndarray, value=0, dtype=None) -> np.ndarray:
    """Sum of each window."""
    return windows(x, layer.size, layer.stride, layer.padding, value=value).sum(axis=(-2, -1), dtype=dtype)


def pool_max(layer: L.Pool2d, x: np.ndarray) -> np.ndarray:
    """Largest value of each window; padding never wins."""
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    return windows(x, layer.size, layer.stride, layer.padding, value=lowest).max(axis=(-2, -1))


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
