"""Neurons in continuous time, in real numbers: the equations of the Neuromorphic Intermediate Representation (NIR).

They differ from `layers.Lif`, which holds the integer registers of a chip. Parameters are float64, one for each neuron,
in the shape of the tensor that the layer reads; times in seconds, potentials and currents without unit. How a step in
time is made of the equations is chosen at the run: see `neuron_steps.Method`.

A layer may feed its own spikes back through a matrix: `recurrent_weight` (N, N), out by in, and `recurrent_bias`. They
add W s + b to what the layer reads, with s its outputs of the step before. The bias counts from the first step on.

References
----------
J. E. Pedersen et al., Nat. Commun. 15, 8122 (2024), doi:10.1038/s41467-024-52259-9.
"""

from abc import ABC
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .. import _checks
from ..errors import ArgumentTypeError, InputError
from .layers import Layer


@dataclass(frozen=True, eq=False, kw_only=True)
class Neuron(Layer, ABC):
    """Abstract: neurons with a state that lasts over the steps of a run."""

    PARAMETERS: ClassVar[tuple[str, ...]] = ()
    SPIKES: ClassVar[bool] = False  # whether it writes spikes; if not, its potential

    recurrent_weight: np.ndarray | None = None
    recurrent_bias: np.ndarray | None = None
    recurrent_name: str | None = None  # what a file calls the recurrent weights; None: `recurrent_name(name)`

    def __post_init__(self):
        who = f"{type(self).__name__} '{self.name}'"
        if self.SPIKES and self.v_reset is None:
            object.__setattr__(self, "v_reset", np.zeros(np.shape(self.v_threshold)))
        shapes = {}
        for field in self.PARAMETERS:
            array = np.array(_checks.finite_array(getattr(self, field), who=who, name=field, dtype=np.float64))
            if field.startswith("tau") and (array <= 0).any():
                raise InputError(f"{who}: {field} goes down to {array.min():.4g} s; time constants are above 0")
            self._keep(field, array)
            shapes[field] = array.shape
        if len(set(shapes.values())) != 1 or not self.shape or 0 in self.shape:
            raise InputError(f"{who}: parameters have the shapes {shapes}; give one value for each neuron")
        self._own_recurrence(who)

    def _own_recurrence(self, who):
        weight, bias = self.recurrent_weight, self.recurrent_bias
        if weight is None:
            if bias is not None or self.recurrent_name is not None:
                raise InputError(f"{who}: a recurrent bias or name without recurrent_weight; give all or none")
            return
        n = int(np.prod(self.shape))
        weight = _checks.finite_array(weight, who=who, name="recurrent_weight", ndim=2).copy()
        if weight.shape != (n, n) or len(self.shape) != 1:
            raise InputError(
                f"{who}: recurrent_weight has shape {weight.shape}, the neurons {self.shape}; it takes neurons on one "
                "axis and a square matrix of that size"
            )
        self._keep("recurrent_weight", weight)
        if bias is not None:
            bias = _checks.finite_array(bias, who=who, name="recurrent_bias", ndim=1).copy()
            if bias.shape != (n,):
                raise InputError(f"{who}: recurrent_bias has shape {bias.shape}; the layer has {n} neurons")
            self._keep("recurrent_bias", bias)
        if not isinstance(self.recurrent_name, str | None):
            raise ArgumentTypeError(f"{who}: recurrent_name is {self.recurrent_name!r}; give text or None")

    def _keep(self, field, array):
        array.flags.writeable = False
        object.__setattr__(self, field, array)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the neurons, without the batch axis."""
        return getattr(self, self.PARAMETERS[0]).shape


@dataclass(frozen=True, eq=False, kw_only=True)
class Integrator(Neuron):
    """dv/dt = r x; writes v. NIR calls it I."""

    PARAMETERS = ("r",)
    r: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class LI(Neuron):
    """Leaky integrator, tau dv/dt = (v_leak - v) + r x; writes v."""

    PARAMETERS = ("tau", "r", "v_leak")
    tau: np.ndarray  # s
    r: np.ndarray
    v_leak: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class CubaLI(Neuron):
    """Leaky integrator behind a synapse: tau_syn dI/dt = w_in x - I; tau_mem dv/dt = (v_leak - v) + r I; writes v."""

    PARAMETERS = ("tau_mem", "tau_syn", "r", "v_leak", "w_in")
    tau_mem: np.ndarray  # s
    tau_syn: np.ndarray  # s
    r: np.ndarray
    v_leak: np.ndarray
    w_in: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class IF(Neuron):
    """Integrate and fire: dv/dt = r x; a spike where v > v_threshold (strict), which sets v to v_reset."""

    PARAMETERS, SPIKES = ("r", "v_threshold", "v_reset"), True
    r: np.ndarray
    v_threshold: np.ndarray
    v_reset: np.ndarray | None = None  # None: zeros


@dataclass(frozen=True, eq=False, kw_only=True)
class LIF(Neuron):
    """Leaky integrate and fire: tau dv/dt = (v_leak - v) + r x; spike and reset as IF."""

    PARAMETERS, SPIKES = ("tau", "r", "v_leak", "v_threshold", "v_reset"), True
    tau: np.ndarray  # s
    r: np.ndarray
    v_leak: np.ndarray
    v_threshold: np.ndarray
    v_reset: np.ndarray | None = None  # None: zeros


@dataclass(frozen=True, eq=False, kw_only=True)
class CubaLIF(Neuron):
    """LIF behind a synapse: tau_syn dI/dt = w_in x - I; tau_mem dv/dt = (v_leak - v) + r I; spike and reset as IF."""

    PARAMETERS, SPIKES = ("tau_mem", "tau_syn", "r", "v_leak", "w_in", "v_threshold", "v_reset"), True
    tau_mem: np.ndarray  # s
    tau_syn: np.ndarray  # s
    r: np.ndarray
    v_leak: np.ndarray
    w_in: np.ndarray
    v_threshold: np.ndarray
    v_reset: np.ndarray | None = None  # None: zeros


KINDS: dict[str, type[Neuron]] = {
    "I": Integrator, "IF": IF, "LI": LI, "LIF": LIF, "CubaLI": CubaLI, "CubaLIF": CubaLIF
}  # fmt: skip


def recurrent_name(name: str) -> str:
    """What a file calls the recurrent weights of `name`: "a.w_rec" for "a" and, as snnTorch does, for "a.lif"."""
    return f"{name.removesuffix('.lif')}.w_rec"
