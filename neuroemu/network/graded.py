"""Layers of networks that send graded spikes: messages that carry an integer, as on Loihi 2.

`Delta` sends what changed of a quantized tensor: `transform.to_sigma_delta` puts one where neurons send. `Programmed`
is a population of neurons that run a program of their own: see `programs`.
"""

from dataclasses import dataclass

import numpy as np

from .. import _checks
from .layers import Layer
from .programs import NeuronProgram


@dataclass(frozen=True, eq=False, kw_only=True)
class Delta(Layer):
    """Sends the change of each code since what was sent last, where it is large enough.

    d = code - sent;  where |d| >= threshold: a message with payload d, and sent = sent + d

    Its readers add up what arrives, so what they know of its input is `sent`: that is what it writes. Before the first
    message `sent` is the code of real zero. `threshold` counts in codes; 0 and 1 send every change.
    """

    threshold: int = 0

    def __post_init__(self):
        _checks.integer(self.threshold, who=f"Delta '{self.name}'", name="threshold", low=0, high=255)


@dataclass(frozen=True, eq=False, kw_only=True)
class Programmed(Layer):
    """Neurons that run a program on the integers that arrive in each step.

    What it reads has the shape of the neurons, or `program.PORTS` times as many channels: one block for each port. A
    weighted layer in front of it adds its bias in every step. What it writes are the payloads of its messages. The last
    one of a network sends nothing: what its program reads out after the last step, times `scale` (a number, or one for
    each neuron), is the output.
    """

    program: NeuronProgram
    scale: float | np.ndarray = 1.0

    def __post_init__(self):
        who = f"Programmed '{self.name}'"
        _checks.instance(self.program, NeuronProgram, who=who, name="program")
        scale = _checks.finite_array(self.scale, who=who, name="scale", dtype=np.float64)
        scale.flags.writeable = False
        object.__setattr__(self, "scale", scale)
