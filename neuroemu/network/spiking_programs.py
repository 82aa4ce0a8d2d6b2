"""Programs of neurons that spike in time: integrate and fire in bursts or phases, resonance, adaptive thresholds.

In: the sums that arrived, int32. Out: payloads, 0 for none, and the new state; see `programs`. Decays are in 1/4096 a
step and round toward zero, as on Loihi.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .. import _checks
from ..kernels.events_reference import decay
from .programs import PAYLOAD_MAX, NeuronProgram, whole, zeros

UNITY = 4096  # of decays and rotations
STATE_MAX = 2**23 - 1  # of a 24-bit register, as lava-nc 0.10 has them
FEW = 8  # spikes of a burst that are taken one by one


@dataclass(frozen=True, eq=False, kw_only=True)
class IntegrateFire(NeuronProgram):
    """Leaky integrate-and-fire neuron that may send several spikes in one message: a burst.

    v = decay(v) + (drive << shift) + bias;  payload = min(largest, floor(v / threshold)) where v >= threshold
    v = v - payload * threshold

    With `largest` 1 it is a spiking neuron that resets by subtraction.

    Parameters
    ----------
    threshold : int or array, >= 1
    largest : int, >= 1
        Most spikes of one step.
    bias : int or array
    shift : int, 0 to 15
    initial : int or array
        v before the first step.
    voltage_decay : int, 0 to 4096

    References
    ----------
    Y. Li and Y. Zeng, IJCAI 2022, arXiv:2204.13271 (burst spikes).
    """

    threshold: int | np.ndarray
    largest: int = 1
    bias: int | np.ndarray = 0
    shift: int = 0
    initial: int | np.ndarray = 0
    voltage_decay: int = 0

    def __post_init__(self):
        who = "IntegrateFire"
        object.__setattr__(self, "threshold", whole(self.threshold, who=who, name="threshold", low=1))
        for name in ("bias", "initial"):
            object.__setattr__(self, name, whole(getattr(self, name), who=who, name=name))
        _checks.integer(self.largest, who=who, name="largest", low=1, high=PAYLOAD_MAX)
        _checks.integer(self.shift, who=who, name="shift", low=0, high=15)
        _checks.integer(self.voltage_decay, who=who, name="voltage_decay", low=0, high=UNITY)

    def start(self, shape):
        return {"v": np.zeros(shape, np.int64) + self.initial}

    def step(self, state, drive, t):
        v = decay(state["v"], self.voltage_decay) if self.voltage_decay else state["v"]
        v = v + (drive.astype(np.int64) << self.shift) + self.bias
        payload = np.zeros(v.shape, np.int32)
        if self.largest > FEW:
            payload = np.clip(v // self.threshold, 0, self.largest)
            return {"v": v - payload * self.threshold}, payload
        for _ in range(self.largest):  # faster than a division
            over = v >= self.threshold
            v = v - over * self.threshold
            payload += over
        return {"v": v}, payload


@dataclass(frozen=True, eq=False, kw_only=True)
class PhaseFire(NeuronProgram):
    """Integrate-and-fire neuron whose spikes weigh less from phase to phase: 2^(K-1), ..., 2, 1, and again.

    w = 2^(K - 1 - t mod K);  v = v + (drive << shift) + bias * w
    where v >= threshold * w: payload w, v = v - threshold * w

    Parameters
    ----------
    threshold : int or array, >= 1
    period : int, 1 to 24
        Phases K.
    bias : int or array
    shift : int, 0 to 15
    initial : int or array
    at_once : bool
        For inputs: what arrives counts in the first phase of each period only, so that a value below 2^K at threshold
        1 is sent as its bits.

    References
    ----------
    J. Kim et al., Neurocomputing 311, 373 (2018), doi:10.1016/j.neucom.2018.05.087 (weighted spikes).
    """

    threshold: int | np.ndarray
    period: int = 8
    bias: int | np.ndarray = 0
    shift: int = 0
    initial: int | np.ndarray = 0
    at_once: bool = False

    def __post_init__(self):
        who = "PhaseFire"
        object.__setattr__(self, "threshold", whole(self.threshold, who=who, name="threshold", low=1))
        for name in ("bias", "initial"):
            object.__setattr__(self, name, whole(getattr(self, name), who=who, name=name))
        _checks.integer(self.period, who=who, name="period", low=1, high=24)
        _checks.integer(self.shift, who=who, name="shift", low=0, high=15)

    def start(self, shape):
        return {"v": np.zeros(shape, np.int64) + self.initial}

    def step(self, state, drive, t):
        phase = t % self.period
        weight = 1 << (self.period - 1 - phase)
        v = state["v"] + self.bias * weight
        if not (self.at_once and phase):
            v = v + (drive.astype(np.int64) << self.shift)
        payload = np.where(v >= self.threshold * weight, weight, 0)
        return {"v": v - payload * self.threshold}, payload


@dataclass(frozen=True, eq=False, kw_only=True)
class Accumulate(NeuronProgram):
    """Read-out: v = v + (drive << shift) + bias * w, with w the weight of the phase, or 1; it sends nothing.

    Parameters
    ----------
    bias : int or array
    shift : int, 0 to 15
    period : int or None
        Phases of the spikes that arrive; None: they have none.
    """

    bias: int | np.ndarray = 0
    shift: int = 0
    period: int | None = None

    def __post_init__(self):
        object.__setattr__(self, "bias", whole(self.bias, who="Accumulate", name="bias"))
        _checks.integer(self.shift, who="Accumulate", name="shift", low=0, high=15)
        if self.period is not None:
            _checks.integer(self.period, who="Accumulate", name="period", low=1, high=24)

    def start(self, shape):
        return zeros(shape, "v")

    def step(self, state, drive, t):
        weight = 1 if self.period is None else 1 << (self.period - 1 - t % self.period)
        v = state["v"] + (drive.astype(np.int64) << self.shift) + self.bias * weight
        return {"v": v}, np.zeros(v.shape, np.int32)


@dataclass(frozen=True, eq=False, kw_only=True)
class ResonateFire(NeuronProgram):
    """Resonate-and-fire neuron: a state that turns and decays in the complex plane, with 24-bit registers.

    real' = tz(cos * real) - tz(sin * imag) + (drive_real << 6)
    imag' = tz(sin * real) + tz(cos * imag) + (drive_imag << 6)
    spike where real' >= 64 * threshold, imag' >= 0 and imag < 0;  tz(x) = sign(x) * (|x| >> 12); clipped at 2^23 - 1

    Parameters
    ----------
    cosine, sine : int, -4096 to 4096
        (1 - decay) * cos and sin of 2 pi / period, in 1/4096. Make them with `of`.
    threshold : int, 0 to 2^17 - 1

    Notes
    -----
    What it reads has two ports: the real parts, then the imaginary ones. Nothing is reset by a spike.

    References
    ----------
    E. M. Izhikevich, Neural Networks 14, 883 (2001), doi:10.1016/S0893-6080(01)00078-8. Arithmetic as in lava-nc 0.10,
    lava/proc/rf (BSD-3).
    """

    WORDS: ClassVar[int] = 2
    PORTS: ClassVar[int] = 2

    cosine: int
    sine: int
    threshold: int

    def __post_init__(self):
        for name in ("cosine", "sine"):
            _checks.integer(getattr(self, name), who="ResonateFire", name=name, low=-UNITY, high=UNITY)
        _checks.integer(self.threshold, who="ResonateFire", name="threshold", low=0, high=2**17 - 1)

    @classmethod
    def of(cls, *, period: float, decay: float, threshold: int) -> "ResonateFire":
        """Neurons that turn once in `period` steps, at least 2, and lose the share `decay` (0 to 1) in each."""
        period = _checks.real(period, who="ResonateFire", name="period", low=2.0)
        kept = UNITY * (1 - _checks.real(decay, who="ResonateFire", name="decay", low=0.0, high=1.0))
        turn = 2 * np.pi / period
        return cls(cosine=int(kept * np.cos(turn)), sine=int(kept * np.sin(turn)), threshold=threshold)

    def start(self, shape):
        return zeros(shape, "real", "imag")

    def step(self, state, drive, t):
        real, imag = state["real"], state["imag"]
        arrived = np.asarray(drive, np.int64) << 6
        turned = (
            _twelve_bits(self.cosine * real) - _twelve_bits(self.sine * imag) + arrived[0],
            _twelve_bits(self.sine * real) + _twelve_bits(self.cosine * imag) + arrived[1],
        )
        new_real, new_imag = (np.clip(part, -STATE_MAX, STATE_MAX) for part in turned)
        spikes = (new_real >= self.threshold << 6) & (new_imag >= 0) & (imag < 0)
        return {"real": new_real, "imag": new_imag}, spikes.astype(np.int32)

    def read(self, state):
        return state["real"]


@dataclass(frozen=True, eq=False, kw_only=True)
class AdaptiveFire(NeuronProgram):
    """Spiking neuron whose threshold and refractoriness rise with each spike and decay.

    i = decay(i, current_decay) + (drive << 6);  v = clip(decay(v, voltage_decay) + i + bias)
    theta = decay(theta - rest, threshold_decay) + rest;  r = decay(r, refractory_decay)
    spike where v - r >= theta, then r += 2 theta and theta += step

    with rest = 64 * threshold and step = 64 * threshold_step.

    Parameters
    ----------
    threshold, threshold_step : int, 0 to 2^17 - 1
    current_decay, voltage_decay, threshold_decay, refractory_decay : int, 0 to 4096
    bias : int or array

    References
    ----------
    The fixed-point model of lava-nc 0.10, lava/proc/atrlif (BSD-3), there with decays of 0 or 1 only.
    """

    WORDS: ClassVar[int] = 4

    threshold: int
    threshold_step: int = 0
    current_decay: int = UNITY
    voltage_decay: int = 0
    threshold_decay: int = 0
    refractory_decay: int = 0
    bias: int | np.ndarray = 0

    def __post_init__(self):
        for name in ("threshold", "threshold_step"):
            _checks.integer(getattr(self, name), who="AdaptiveFire", name=name, low=0, high=2**17 - 1)
        for name in ("current_decay", "voltage_decay", "threshold_decay", "refractory_decay"):
            _checks.integer(getattr(self, name), who="AdaptiveFire", name=name, low=0, high=UNITY)
        object.__setattr__(self, "bias", whole(self.bias, who="AdaptiveFire", name="bias"))

    def start(self, shape):
        return zeros(shape, "i", "v", "r") | {"theta": np.full(shape, self.threshold << 6, np.int64)}

    def step(self, state, drive, t):
        rest = self.threshold << 6
        i = decay(state["i"], self.current_decay) + (drive.astype(np.int64) << 6)
        v = np.clip(decay(state["v"], self.voltage_decay) + i + self.bias, -STATE_MAX, STATE_MAX)
        theta = decay(state["theta"] - rest, self.threshold_decay) + rest
        r = decay(state["r"], self.refractory_decay)
        spikes = v - r >= theta
        new = {"i": i, "v": v, "r": r + 2 * theta * spikes, "theta": theta + (self.threshold_step << 6) * spikes}
        return new, spikes.astype(np.int32)


def _twelve_bits(product):
    """A product with a 12-bit factor, without its last 12 bits, toward zero."""
    return np.sign(product) * (np.abs(product) >> 12)
