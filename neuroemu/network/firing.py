"""Fire: integrate-and-fire neurons in whole numbers, with the registers of a TrueNorth core.

`layers.Lif` has the registers of Loihi. The two differ where the chips do: here a neuron spikes where V >= threshold,
V stops at a floor, the bias is a leak of 9 bits, and a weight is a whole number of units of V.
"""

from dataclasses import dataclass

import numpy as np

from .. import _checks
from ..errors import InputError
from . import _fields
from .layers import Layer

RESETS = ("zero", "subtract", "forget")
THRESHOLD_MAX = 2**18 - 1
BIAS_MIN, BIAS_MAX = -256, 255


@dataclass(frozen=True, eq=False, kw_only=True)
class Fire(Layer):
    """Neurons that count: V += W s + bias in each step, and a spike where V >= threshold.

    Weights are those of the Dense or Conv2d before it, codes times the step of their grid, in units of V. A weight
    that is no whole number is a synapse by chance: a chip sets it to one of its two neighbours when it is programmed,
    to the upper one with the probability of the rest. So a weight of 0.3 is 1 with probability 0.3, and else 0.

    Parameters
    ----------
    threshold : int, 1 to 262,143
    bias : int, or one for each channel (first axis), -256 to 255
        Added in each step.
    reset : {"zero", "subtract", "forget"}
        After a spike V is 0, or loses the threshold. "forget": V is 0 after every step, spike or not, so that a step
        depends on its own input only, and inputs can follow one another without a pause.
    floor : int, 0 to 262,143
        V stops at -floor. Unused by "forget".
    initial : int, within -floor and the threshold
        V before the first step. Unused by "forget".
    cores : tuple of int, optional
        How many neurons, in order, share a core; the chip chooses if it is left out.
    """

    threshold: int = 1
    bias: np.ndarray | int = 0
    reset: str = "forget"
    floor: int = THRESHOLD_MAX
    initial: int = 0
    cores: tuple[int, ...] | None = None

    def __post_init__(self):
        who = f"Fire '{self.name}'"
        _checks.choice(self.reset, RESETS, who=who, name="reset")
        _checks.integer(self.threshold, who=who, name="threshold", low=1, high=THRESHOLD_MAX)
        _checks.integer(self.floor, who=who, name="floor", low=0, high=THRESHOLD_MAX)
        _checks.integer(self.initial, who=who, name="initial", low=-self.floor, high=THRESHOLD_MAX)
        bias = np.atleast_1d(_checks.finite_array(self.bias, who=who, name="bias", dtype=np.float64))
        if bias.ndim > 1 or (bias != np.rint(bias)).any():
            raise InputError(f"{who}: bias must be whole numbers, one or one for each channel")
        if bias.size and not (BIAS_MIN <= bias.min() and bias.max() <= BIAS_MAX):
            raise InputError(f"{who}: bias spans {bias.min():.0f}..{bias.max():.0f}; allowed: {BIAS_MIN} to {BIAS_MAX}")
        bias = bias.astype(np.int32)
        bias.flags.writeable = False
        object.__setattr__(self, "bias", bias)
        if self.cores is not None:
            object.__setattr__(self, "cores", _fields.integers(self.cores, who, "cores", low=1))
