"""Layout: tensors (M, C, H, W) beside arrays (M, N) in the order of neurons, which is channel last."""

import numpy as np


def neurons_last(tensor: np.ndarray) -> np.ndarray:
    """(M, C, H, W) as (M, H, W, C), the order of neurons; other tensors as they are."""
    return tensor.transpose(0, 2, 3, 1) if tensor.ndim == 4 else tensor


def as_tensor(values: np.ndarray, shape) -> np.ndarray:
    """(M, N) in the order of neurons as a tensor of `shape`."""
    if len(shape) != 4:
        return values.reshape(shape)
    m, channels, high, wide = shape
    return values.reshape(m, high, wide, channels).transpose(0, 3, 1, 2)
