"""Thresholds balanced on what really arrives, and the integer registers that hold them.

Enter the input of every neuron in every step on the sample inputs; leave a threshold, the value of its rate, and shifts
and biases that fit the registers.
"""

import numpy as np

from ..network.layers import BIAS_EXPONENT, BIAS_MANTISSA

# Thresholds tried, times the largest activation.
CANDIDATES = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.15, 1.3, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0)

# Integer format. A weight code becomes a synaptic weight of code * 2^shift potential units; shift 7 is Loihi's even
# 8-bit mantissa (2 * code) times 2^6, and each step of wgtExp adds one. Shift 6, wgtExp -1, still loses nothing.
MIN_SHIFT, MAX_SHIFT = 6, 14
SUM_LIMIT = 1 << 21  # synaptic sums stay below Loihi's 21-bit accumulator
VOLTAGE_LIMIT = 1 << 22


def fire(inputs: np.ndarray, threshold: float, initial: float, reset: str) -> np.ndarray:
    """Spikes of integrate-and-fire neurons driven by `inputs` (T, B, ...)."""
    spikes = np.empty(inputs.shape, bool)
    v = np.full(inputs.shape[1:], float(initial))
    for t, drive in enumerate(inputs):
        v += drive
        np.greater(v, threshold, out=spikes[t])
        if reset == "subtract":
            np.subtract(v, threshold, out=v, where=spikes[t])
        else:
            v[spikes[t]] = 0.0
    return spikes


def balanced_threshold(drive: np.ndarray, goal: np.ndarray, reset: str) -> tuple[float, float]:
    """(threshold, gain): the candidate whose rates, times the gain, are nearest to `goal` in the mean square.

    `drive` (T, B, ...) is what the neurons receive each step and `goal` (B, ...) the activation that their rate should
    stand for, both in units of the potential. The gain is the least-squares value of one spike at every step; with
    reset to zero it exceeds the threshold, because what a spike overshoots is lost.
    """
    largest = float(np.quantile(goal, 0.9999)) or float(goal.max())
    if largest <= 0:
        silent = 1.0 + float(np.abs(drive).max())  # no activation on the samples
        return silent, silent
    found = []
    for candidate in CANDIDATES:
        threshold = candidate * largest
        rate = fire(drive, threshold, threshold / 2, reset).mean(axis=0, dtype=np.float64)
        square = float((rate * rate).sum())
        gain = float((rate * goal).sum()) / square if square else threshold
        found.append((float(np.mean((gain * rate - goal) ** 2)), threshold, gain))
    return min(found)[1:]


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
