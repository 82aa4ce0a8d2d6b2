"""TFLite's fixed-point arithmetic: int32 accumulators in, codes out, bit for bit as its reference kernels compute them.

A real factor becomes a 31-bit multiplier and a power of two. A product is rounded twice: half up when its high half is
taken, and half away from zero at the shift. Dense layers are the exception: their reference kernel multiplies in
float64. All functions take arrays of any shape and work in int64, where no product of two int32 overflows.

References: B. Jacob et al., CVPR 2018, doi:10.1109/CVPR.2018.00286, section 2.2; TensorFlow Lite's
kernels/internal/common.cc (the double-rounding variant, which its released builds use), quantization_util.cc and
reference/integer_ops. Equality with its released interpreter is tested.
"""

import numpy as np

from .grids import Grid

ADD_SHIFT = 20  # add.cc: both terms are shifted left by this many bits before they are rescaled
_INT32_MAX = 2**31 - 1


def quantize_multiplier(factor) -> tuple[np.ndarray, np.ndarray]:
    """(multiplier, shift) with factor = multiplier * 2^(shift - 31) and multiplier in [2^30, 2^31), or 0.

    Parameters
    ----------
    factor : float or array, >= 0

    Returns
    -------
    multiplier, shift : int64 arrays of the shape of `factor`
    """
    fraction, shift = np.frexp(np.asarray(factor, np.float64))
    multiplier = np.floor(fraction * 2.0**31 + 0.5).astype(np.int64)  # half away from zero, for numbers >= 0
    shift = shift.astype(np.int64)
    carried = multiplier == 2**31
    multiplier, shift = np.where(carried, multiplier // 2, multiplier), np.where(carried, shift + 1, shift)
    tiny = shift < -31  # all bits would be shifted out
    return np.where(tiny, 0, multiplier), np.where(tiny, 0, shift)


def high_multiply(a, b) -> np.ndarray:
    """SaturatingRoundingDoublingHighMul: a * b / 2^31, rounded half up, saturated to int32."""
    product = np.asarray(a, np.int64) * np.asarray(b, np.int64)
    return np.minimum((product + (1 << 30)) >> 31, _INT32_MAX)  # only (-2^31)^2 exceeds


def divide_by_power(x, exponent) -> np.ndarray:
    """RoundingDivideByPOT: x / 2^exponent, rounded half away from zero."""
    x, exponent = np.asarray(x, np.int64), np.asarray(exponent, np.int64)
    mask = (np.int64(1) << exponent) - 1
    threshold = (mask >> 1) + (x < 0)
    return (x >> exponent) + ((x & mask) > threshold)


def multiply_by_quantized(x, multiplier, shift) -> np.ndarray:
    """MultiplyByQuantizedMultiplier: int32 `x` times multiplier * 2^(shift - 31), rounded twice."""
    shift = np.asarray(shift, np.int64)
    left = np.asarray(x, np.int64) << np.maximum(shift, 0)
    wrapped = left.astype(np.int32)  # as the compiled 32-bit product wraps
    return divide_by_power(high_multiply(wrapped, multiplier), np.maximum(-shift, 0))


def multiply_by_real(x, factor) -> np.ndarray:
    """int32 `x` times a real factor (a number or an array that broadcasts), through its fixed-point multiplier."""
    return multiply_by_quantized(x, *quantize_multiplier(factor))


def nearest(x) -> np.ndarray:
    """Real numbers rounded half away from zero, as C's round does."""
    whole = np.trunc(x)
    return (whole + np.copysign(np.abs(x - whole) >= 0.5, x)).astype(np.int64)


def encode(x, grid: Grid) -> np.ndarray:
    """QUANTIZE: codes of real numbers, divided in float32 and rounded half away from zero."""
    return _saturate(nearest(np.asarray(x, np.float32) / np.float32(grid.scale)) + grid.zero_point, grid)


def add_codes(inputs, grids, grid: Grid) -> np.ndarray:
    """Codes of the sum of two tensors on their own grids: ADD with its left shift of 20 bits."""
    largest = 2 * max(g.scale for g in grids)
    total = 0
    for codes, own in zip(inputs, grids, strict=True):
        shifted = (codes.astype(np.int64) - own.zero_point) << ADD_SHIFT
        total = total + multiply_by_real(shifted, own.scale / largest)
    steps = multiply_by_real(total, largest / (grid.scale * 2.0**ADD_SHIFT))
    return _saturate(steps + grid.zero_point, grid)


def rounded_mean(sums, counts) -> np.ndarray:
    """AVERAGE_POOL_2D: sums of codes over counts, rounded half away from zero."""
    sums, counts = np.asarray(sums, np.int64), np.asarray(counts, np.int64)
    half = counts // 2
    return np.where(sums > 0, (sums + half) // counts, -((half - sums) // counts))


def mean_codes(sums, count: int, old: Grid, new: Grid) -> np.ndarray:
    """MEAN: codes of the mean of `count` codes, the 1 / count folded into the multiplier."""
    multiplier, shift = (int(v) for v in quantize_multiplier(old.scale / new.scale))
    bits = min(count.bit_length() - 1, 32, 31 + shift)
    multiplier = (multiplier << bits) // count
    steps = multiply_by_quantized(np.asarray(sums, np.int64) - old.zero_point * count, multiplier, shift - bits)
    return _saturate(steps + new.zero_point, new)


def _saturate(steps, grid: Grid) -> np.ndarray:
    return np.clip(steps, grid.low, grid.high).astype(np.int8)
