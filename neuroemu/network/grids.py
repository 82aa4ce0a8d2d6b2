"""Grids: the affine map between integer codes and real numbers that a quantized tensor lives on.

    real = scale * (code - zero_point)

Reference: B. Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", CVPR 2018, doi:10.1109/CVPR.2018.00286, equation 1.
"""

from dataclasses import dataclass

import numpy as np

from .. import _checks
from ..errors import InputError


@dataclass(frozen=True, eq=False)
class Grid:
    """An affine quantization grid, real = scale * (code - zero_point).

    Parameters
    ----------
    scale : float or (K,) array, float64, > 0
        Step between two codes; an array gives one step per slice along `axis`.
    zero_point : int, default 0
        The code of real zero. Weights are symmetric: 0.
    bits : int, 2 to 8
        Codes are signed: -2^(bits-1) .. 2^(bits-1) - 1, kept in int8.
    axis : int or None
        Axis of the array that `scale` runs along; None for one step per tensor.
    """

    scale: float | np.ndarray
    zero_point: int = 0
    bits: int = 8
    axis: int | None = None

    def __post_init__(self):
        scale = _checks.finite_array(self.scale, who="Grid", name="scale", dtype=np.float64)
        if scale.ndim > 1 or (scale.ndim == 1) != (self.axis is not None):
            raise InputError(
                f"Grid: scale has shape {scale.shape}, axis is {self.axis}; one step per slice needs an axis"
            )
        if not (scale > 0).all():
            raise InputError(f"Grid: scale has {scale.min()}; each step must be positive")
        scale.flags.writeable = False
        object.__setattr__(self, "scale", scale if scale.ndim else float(scale))
        object.__setattr__(self, "bits", _checks.integer(self.bits, who="Grid", name="bits", low=2, high=8))
        zero = _checks.integer(self.zero_point, who="Grid", name="zero_point", low=self.low, high=self.high)
        object.__setattr__(self, "zero_point", zero)

    @property
    def low(self) -> int:
        """The smallest code."""
        return -(1 << (self.bits - 1))

    @property
    def high(self) -> int:
        """The largest code."""
        return (1 << (self.bits - 1)) - 1

    def encode(self, real: np.ndarray) -> np.ndarray:
        """Codes (int8) of real numbers: round half to even, then saturate."""
        steps = np.rint(np.asarray(real, np.float64) / self._aligned(np.ndim(real))) + self.zero_point
        return np.clip(steps, self.low, self.high).astype(np.int8)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Real numbers (float32) of codes."""
        steps = np.asarray(codes, np.float64) - self.zero_point
        return (steps * self._aligned(steps.ndim)).astype(np.float32)

    def _aligned(self, ndim: int):
        if self.axis is None:
            return self.scale
        shape = [1] * ndim
        shape[self.axis] = -1
        return self.scale.reshape(shape)

    def __eq__(self, other):
        if not isinstance(other, Grid):
            return NotImplemented
        if (self.zero_point, self.bits, self.axis) != (other.zero_point, other.bits, other.axis):
            return False
        return self.scale == other.scale if self.axis is None else np.array_equal(self.scale, other.scale)

    def __hash__(self):
        return hash((self.zero_point, self.bits, self.axis))
