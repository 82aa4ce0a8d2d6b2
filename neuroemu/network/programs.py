"""Neuron programs: what a neuron of a programmable core does in one step, in integers, as NumPy over a population.

In: the sums of weight times payload that arrived, int32 (B, N). Out: the payload that each neuron sends, 0 for none,
and its new state. A program of one's own derives from `NeuronProgram` and defines `start` and `step`. Programs that
spike in time are in `spiking_programs`.

Array letters: B images, T steps, N neurons (the axes of their tensor; parameters broadcast against them).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .. import _checks
from ..errors import ArgumentTypeError, InputError

State = Mapping[str, np.ndarray]
PAYLOAD_MAX = 2**31 - 1  # of a graded spike: 32 bits and sign within them


@dataclass(frozen=True, eq=False, kw_only=True)
class NeuronProgram(ABC):
    """Abstract: the program of a population of neurons.

    A subclass is a frozen dataclass whose fields are its registers. It states in `WORDS` how many 32-bit words of state
    a neuron keeps, and in `PORTS` how many separate sums it receives. Its arithmetic is in int64, so that nothing wraps
    unseen; where a chip's registers are narrower, the program says what they do.

    Examples
    --------
    Neurons that send what arrives, with half of what arrived before::

        @dataclass(frozen=True, eq=False, kw_only=True)
        class Echo(NeuronProgram):
            def start(self, shape):
                return zeros(shape, "v")

            def step(self, state, drive, t):
                v = drive + (state["v"] >> 1)
                return {"v": v}, v
    """

    WORDS: ClassVar[int] = 1
    PORTS: ClassVar[int] = 1

    @abstractmethod
    def start(self, shape: tuple[int, ...]) -> State:
        """State before the first step: integer arrays of `shape` (B, N) by name, int64 unless proven small."""

    @abstractmethod
    def step(self, state: State, drive: np.ndarray, t: int) -> tuple[State, np.ndarray]:
        """State after step `t` and the payloads sent, from the sums that arrived: (B, N), or (PORTS, B, N)."""

    def read(self, state: State) -> np.ndarray:
        """What a read-out neuron shows after the last step; the state "v" unless a program says otherwise."""
        if "v" not in state:
            raise InputError(f"{type(self).__name__}: its state has no 'v' to read out; define read(state)")
        return state["v"]


def run_program(program: NeuronProgram, drive: np.ndarray) -> tuple[np.ndarray, State]:
    """Payloads (B, T, N) and the last state of a population driven by `drive` (B, T, N), or (PORTS, B, T, N).

    Raises
    ------
    ArgumentTypeError, InputError
        No NeuronProgram, drive without integers or of the wrong shape, or a payload beyond 32 bits.
    """
    _checks.instance(program, NeuronProgram, who="run_program", name="program")
    drive, who = np.asarray(drive), type(program).__name__
    if drive.dtype.kind not in "iu":
        raise ArgumentTypeError(f"run_program: drive must hold integers, got dtype {drive.dtype}")
    ports = program.PORTS
    if drive.ndim < 3 + (ports > 1) or (ports > 1 and drive.shape[0] != ports):
        wanted = f"({ports}, B, T, N)" if ports > 1 else "(B, T, N)"
        raise InputError(f"run_program: drive has shape {drive.shape}; {who} takes {wanted}")
    time = 1 + (ports > 1)
    shape = drive.shape[time - 1 : time] + drive.shape[time + 1 :]
    payload = np.empty(drive.shape[time - 1 :], np.int32)
    state = program.start(shape)
    for t in range(drive.shape[time]):
        state, sent = program.step(state, drive[(slice(None),) * time + (t,)], t)
        if sent.dtype != np.int32 and sent.size and max(int(sent.max()), -int(sent.min())) > PAYLOAD_MAX:
            raise InputError(f"{who}: a payload of step {t} leaves 32 bits; scale weights or thresholds")
        payload[:, t] = sent
    return payload, state


def zeros(shape, *names: str) -> dict[str, np.ndarray]:
    """A state of zeros, int64."""
    return {name: np.zeros(shape, np.int64) for name in names}


def whole(value, *, who: str, name: str, low: int | None = None, high: int | None = None):
    """A register: an integer, or an int64 array that broadcasts against the neurons, within [low, high]."""
    if np.ndim(value) == 0:
        return _checks.integer(
            value if not isinstance(value, np.ndarray) else value[()], who=who, name=name, low=low, high=high
        )
    array = np.asarray(value)
    if array.dtype.kind not in "iu":
        raise ArgumentTypeError(f"{who}: {name} must hold integers, got dtype {array.dtype}")
    for bound in (int(array.min()), int(array.max())):
        _checks.integer(bound, who=who, name=name, low=low, high=high)
    array = array.astype(np.int64)
    array.flags.writeable = False
    return array


@dataclass(frozen=True, eq=False, kw_only=True)
class DeltaProgram(NeuronProgram):
    """Sends changes of its drive: d = drive - sent; where |d| >= threshold: payload d, sent += d.

    Parameters
    ----------
    threshold : int, >= 0
        0 and 1 send every change.
    """

    WORDS: ClassVar[int] = 2  # the value and what was sent

    threshold: int = 0

    def __post_init__(self):
        _checks.integer(self.threshold, who="DeltaProgram", name="threshold", low=0, high=PAYLOAD_MAX)

    def start(self, shape):
        return zeros(shape, "sent")

    def step(self, state, drive, t):
        payload = _change(drive, state["sent"], self.threshold)
        return {"sent": state["sent"] + payload}, payload

    def read(self, state):
        return state["sent"]


@dataclass(frozen=True, eq=False, kw_only=True)
class SigmaProgram(NeuronProgram):
    """Adds up what arrives and sends the sum in every step: v += drive; payload v. As a last layer: shows v."""

    def start(self, shape):
        return zeros(shape, "v")

    def step(self, state, drive, t):
        v = state["v"] + drive
        return {"v": v}, v


@dataclass(frozen=True, eq=False, kw_only=True)
class SigmaDelta(NeuronProgram):
    """Sigma-delta neuron: adds up changes, applies an activation, sends its changes.

    sigma += drive;  act = max(sigma + bias, 0), or sigma + bias;  d = act - sent
    where |d| >= threshold: payload d >> state_exponent

    Parameters
    ----------
    threshold : int, >= 0
    bias : int or array
    rectified : bool
        Whether the activation is max(., 0).
    state_exponent : int, 0 to 15
        Bits that the state has below the payload.
    keep_remainder : bool
        Whether the bits that the shift drops are sent later: sent += payload << state_exponent. If not, sent += d.

    References
    ----------
    lava-nc 0.10, lava/proc/sdn (BSD-3): its fixed-point model, which does not keep remainders. Later sources of lava
    hold a second one, which does.
    """

    WORDS: ClassVar[int] = 2  # sigma and sent; the bias is a constant

    threshold: int = 0
    bias: int | np.ndarray = 0
    rectified: bool = True
    state_exponent: int = 0
    keep_remainder: bool = True

    def __post_init__(self):
        _checks.integer(self.threshold, who="SigmaDelta", name="threshold", low=0, high=PAYLOAD_MAX)
        _checks.integer(self.state_exponent, who="SigmaDelta", name="state_exponent", low=0, high=15)
        object.__setattr__(self, "bias", whole(self.bias, who="SigmaDelta", name="bias"))

    def start(self, shape):
        return zeros(shape, "sigma", "sent")

    def step(self, state, drive, t):
        sigma = state["sigma"] + drive
        act = sigma + self.bias
        if self.rectified:
            act = np.maximum(act, 0)
        change = _change(act, state["sent"], self.threshold)
        payload = change >> self.state_exponent
        gone = payload << self.state_exponent if self.keep_remainder else change
        return {"sigma": sigma, "sent": state["sent"] + gone}, payload

    def read(self, state):
        return state["sent"]


@dataclass(frozen=True, eq=False, kw_only=True)
class GradedRelu(NeuronProgram):
    """Sends what arrived in this step where it is above a threshold, and forgets it: payload = drive + bias.

    References
    ----------
    lava-nc 0.10, lava/proc/graded (BSD-3), GradedReluVec.
    """

    WORDS: ClassVar[int] = 1

    threshold: int = 0
    bias: int | np.ndarray = 0

    def __post_init__(self):
        _checks.integer(self.threshold, who="GradedRelu", name="threshold", low=0, high=PAYLOAD_MAX)
        object.__setattr__(self, "bias", whole(self.bias, who="GradedRelu", name="bias"))

    def start(self, shape):
        return zeros(shape, "v")

    def step(self, state, drive, t):
        v = drive + self.bias
        return {"v": v}, np.where(v > self.threshold, v, 0)


def _change(value, sent, threshold):
    change = value - sent
    return np.where(np.abs(change) >= threshold, change, 0) if threshold > 1 else change
