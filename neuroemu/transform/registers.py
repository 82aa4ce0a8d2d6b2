"""Integer registers that hold the weights, biases and thresholds of a layer of neurons."""

import numpy as np

from ..network.layers import BIAS_EXPONENT, BIAS_MANTISSA

# A weight code becomes a synaptic weight of code * 2^shift potential units; shift 7 is Loihi's even 8-bit mantissa
# (2 * code) times 2^6, and each step of wgtExp adds one. Shift 6, wgtExp -1, still loses nothing.
MIN_SHIFT, MAX_SHIFT = 6, 14
SUM_LIMIT = 1 << 21  # synaptic sums stay below Loihi's 21-bit accumulator
VOLTAGE_LIMIT = 1 << 22


def weight_shift(worst: int, bias: np.ndarray, level: float, steps: int) -> int | None:
    """The largest shift with which no sum, threshold, bias or potential can leave its register; None if there is none.

    `worst` bounds the sum of the sizes of the codes into a neuron. MIN_SHIFT is taken even where sums could leave their
    register in the worst case; the engine counts if they do.
    """
    largest_bias = float(np.abs(bias).max(initial=0.0))

    def holds(shift):
        return level * 2.0**shift < VOLTAGE_LIMIT and largest_bias * 2.0**shift <= BIAS_MANTISSA << BIAS_EXPONENT

    def fits(shift):
        return holds(shift) and worst << shift < SUM_LIMIT and worst * steps << shift < 2 * VOLTAGE_LIMIT

    if not holds(MIN_SHIFT):
        return None
    return max((shift for shift in range(MIN_SHIFT, MAX_SHIFT + 1) if fits(shift)), default=MIN_SHIFT)


def integer_bias(values: np.ndarray) -> np.ndarray:
    """Biases that fit, as mantissa * 2^exponent with one exponent (0..7) for the layer and |mantissa| <= 4095."""
    largest = float(np.abs(values).max(initial=0.0))
    exponent = 0
    while exponent < BIAS_EXPONENT and largest > BIAS_MANTISSA << exponent:
        exponent += 1
    mantissa = np.clip(np.rint(values / (1 << exponent)), -BIAS_MANTISSA, BIAS_MANTISSA)
    return (mantissa.astype(np.int64) << exponent).astype(np.int32)
