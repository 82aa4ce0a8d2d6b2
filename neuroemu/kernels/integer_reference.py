"""NumPy twins of the integer kernel: patches of images and tables of codes.

The kernel's third part, from accumulators to codes, has its specification where the rounding rules are:
network/codes.py (`requantize`) and network/fixed_point.py. All twins give the same bits as the kernel.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def windows(x: np.ndarray, *, kernel, stride, dilation, padding) -> np.ndarray:
    """All windows of images (B, C, H, W), zeros around them, as a read-only view (B, C, H', W', kH, kW)."""
    reach = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True))
    view = sliding_window_view(np.pad(x, ((0, 0), (0, 0), *padding)), reach, axis=(2, 3))
    return view[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]


def patches(x: np.ndarray, *, kernel, stride, dilation, padding) -> np.ndarray:
    """What each position of a convolution reads: (B, H'*W', C*kH*kW), channel slowest."""
    view = windows(x, kernel=kernel, stride=stride, dilation=dilation, padding=padding)
    batch, _, high, wide = view.shape[:4]
    return np.ascontiguousarray(view.transpose(0, 2, 3, 1, 4, 5)).reshape(batch, high * wide, -1)


def lookup(codes: np.ndarray, table: np.ndarray) -> np.ndarray:
    """table[codes + 128] for int8 codes of any shape; the table has 256 entries."""
    return table[codes.astype(np.intp) + 128]


def lookup_pairs(first: np.ndarray, second: np.ndarray, table: np.ndarray) -> np.ndarray:
    """table[first + 128, second + 128] for int8 codes of one shape; the table is 256 x 256."""
    return table[first.astype(np.intp) + 128, second.astype(np.intp) + 128]
