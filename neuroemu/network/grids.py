"""Grids: the affine map between integer codes and real numbers that a quantized tensor lives on.

    real = scale * (code - zero_point)

Reference: B. Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", CVPR 2018, doi:10.1109/CVPR.2018.00286, equation 1.

Weights may have a further factor for each group of inputs, a whole number, so that sums stay integers:

    real = scale[m] * factor[m, k // group] * code[m, k]

Reference: S. Dai et al., "VS-Quant: Per-vector Scaled Quantization for Accurate Low-Precision Neural Network
Inference", MLSys 2021, arXiv:2102.04503 (integer factors under one floating-point scale for each channel).
"""

from dataclasses import dataclass
from math import prod

import numpy as np

from .. import _checks
from ..errors import InputError

MOST_FACTOR = 255  # of a group: 8 bits


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
    group : int or None
        Inputs of a row that share a factor, counted through the row (channel slowest, then kernel row and column).
    factors : (K, G) array of whole numbers, 1 to 255, or None
        Factor of each group of each row; with `group`, `axis` 0 and zero point 0 only. The last group may be shorter.
    """

    scale: float | np.ndarray
    zero_point: int = 0
    bits: int = 8
    axis: int | None = None
    group: int | None = None
    factors: np.ndarray | None = None

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
        if (self.group is None) != (self.factors is None):
            raise InputError("Grid: group and factors belong together; give both or neither")
        if self.group is not None:
            self._own_factors()

    def _own_factors(self):
        object.__setattr__(self, "group", _checks.integer(self.group, who="Grid", name="group", low=1))
        factors = _checks.finite_array(self.factors, who="Grid", name="factors", dtype=np.float64, ndim=2)
        if self.axis != 0 or self.zero_point != 0 or len(factors) != len(self.scale):
            raise InputError(
                f"Grid: factors of shape {factors.shape} need axis 0, zero_point 0 and one step per row; "
                f"axis is {self.axis}, zero_point {self.zero_point}"
            )
        if not factors.size or (factors != np.rint(factors)).any() or factors.min() < 1 or factors.max() > MOST_FACTOR:
            raise InputError(f"Grid: factors must be whole numbers from 1 to {MOST_FACTOR}")
        factors = factors.astype(np.int32)
        factors.flags.writeable = False
        object.__setattr__(self, "factors", factors)

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
        steps = np.rint(np.asarray(real, np.float64) / self.steps_of(np.shape(real))) + self.zero_point
        return np.clip(steps, self.low, self.high).astype(np.int8)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Real numbers (float32) of codes."""
        steps = np.asarray(codes, np.float64) - self.zero_point
        return (steps * self.steps_of(steps.shape)).astype(np.float32)

    def multiples(self, shape: tuple[int, ...]) -> np.ndarray | int:
        """Factor of each code of an array of `shape`, int32; 1 without groups."""
        if self.factors is None:
            return 1
        return np.repeat(self.factors, self.group, axis=1)[:, : prod(shape[1:])].reshape(shape)

    def steps_of(self, shape: tuple[int, ...]) -> np.ndarray | float:
        """Real step of the codes of an array of `shape`, in a form that broadcasts to it."""
        if self.axis is None:
            return self.scale
        aligned = [1] * len(shape)
        aligned[self.axis] = -1
        steps = self.scale.reshape(aligned)
        return steps if self.factors is None else steps * self.multiples(shape)

    def __eq__(self, other):
        if not isinstance(other, Grid):
            return NotImplemented
        if self._plain != other._plain or not np.array_equal(self.factors, other.factors):
            return False
        return self.scale == other.scale if self.axis is None else np.array_equal(self.scale, other.scale)

    def __hash__(self):
        return hash(self._plain)

    @property
    def _plain(self):
        return self.zero_point, self.bits, self.axis, self.group
