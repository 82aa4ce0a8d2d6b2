"""One layer of continuous neurons over the steps of a run, in float64.

A Method says how the equations become steps of dt. With a = dt / tau, a leaky neuron computes

    v <- v_leak + d (v - v_leak) + g r x

with d = exp(-a) or 1 - a (`decay`) and g = 1 - exp(-a) or a (`gain`). Both exponential: exact for an x that is
constant over the step. Both "euler": forward Euler. An integrator adds dt r x in all of them.

A current-based neuron updates its current first, I <- d I + g w_in x, then v with the new I in place of x. Where decay
and gain are both exponential, v follows the exact solution for the two equations instead.

The named methods reproduce the traces that the authors of NIR published of one LIF neuron, step for step:
`EXACT` Nengo, `EULER` Norse and snnTorch (and the spike times of SpiNNaker2), `SINABS` Sinabs and Rockpool, `SPYX`
Spyx, `LAVA` the float simulator of Lava. For current-based neurons and recurrence no such trace was compared.
"""

from dataclasses import dataclass

import numpy as np

from .. import _checks
from ..errors import InputError
from ..kernels.floating_reference import ROWS
from ..kernels.floating_reference import RULES as UPDATES
from . import neurons as N
from .ops import steady_product

RULES, RESETS = ("exponential", "euler"), ("value", "subtract")
_NEAR = 1e-3  # below it a power series is more precise than the quotient


@dataclass(frozen=True, kw_only=True)
class Method:
    """How the equations of a neuron become steps in time.

    Parameters
    ----------
    decay, gain : {"exponential", "euler"}
        Factors of the old state and of the input.
    reset : {"value", "subtract"}
        A spike sets v to v_reset, as NIR says, or lowers it by v_threshold - v_reset.
    early_test : bool
        The potential that the step starts with is compared to the threshold, not the one it ends with: the spike and
        the reset come one step later, and the step still integrates.
    input_delay : int
        Steps that the input of each layer of neurons is late, 0 to 64. Recurrent spikes always arrive one step later.
    """

    decay: str = "exponential"
    gain: str = "exponential"
    reset: str = "value"
    early_test: bool = False
    input_delay: int = 0

    def __post_init__(self):
        _checks.choice(self.decay, RULES, who="Method", name="decay")
        _checks.choice(self.gain, RULES, who="Method", name="gain")
        _checks.choice(self.reset, RESETS, who="Method", name="reset")
        _checks.instance(self.early_test, bool, who="Method", name="early_test")
        _checks.integer(self.input_delay, who="Method", name="input_delay", low=0, high=64)

    def factors(self, tau: np.ndarray, dt: float) -> tuple[np.ndarray, np.ndarray]:
        """(decay, gain) for time constants `tau`."""
        a = dt / tau
        decay = np.exp(-a) if self.decay == "exponential" else 1.0 - a
        return decay, -np.expm1(-a) if self.gain == "exponential" else a


EXACT = Method()
EULER = Method(decay="euler", gain="euler")
SINABS = Method(gain="euler", reset="subtract")
SPYX = Method(decay="euler", gain="euler", reset="subtract", early_test=True)
LAVA = Method(decay="euler", gain="euler", input_delay=1)


def simulate(layer: N.Neuron, x: np.ndarray, *, dt: float, method: Method, potentials: bool = False):
    """Outputs of a layer of neurons that starts at rest: v at v_leak or 0, currents at 0.

    Parameters
    ----------
    layer : Neuron
    x : ``(T, B, *layer.shape)`` array
        Input of each step; constant over the step.
    dt : float
        Seconds a step.
    method : Method
    potentials : bool
        Whether v is returned as well.

    Returns
    -------
    outputs : ``(T, B, *layer.shape)`` bool spikes, or float64 potentials of a layer that does not spike
    v : the same shape, float64, at the end of each step, after the reset; None unless asked for

    Raises
    ------
    InputError
        dt above a time constant, where Euler's factor of the old state would be negative.
    """
    found = coefficients(layer, dt, method)
    update = _updater(found)
    v, current = np.broadcast_to(found.start, x.shape[1:]), np.zeros(x.shape[1:])
    out = np.zeros(x.shape, bool if layer.SPIKES else np.float64)
    trace = np.empty(x.shape) if potentials and layer.SPIKES else None
    for t in range(len(x)):
        drive = _recurrent(layer, out[t - 1] if t else np.zeros(x.shape[1:]))
        if t >= method.input_delay:
            drive = drive + x[t - method.input_delay]
        old, (v, current) = v, update(v, current, drive)
        if layer.SPIKES:
            np.greater(old if method.early_test else v, layer.v_threshold, out=out[t])
            v = _reset(layer, v, out[t], method)
        else:
            out[t] = v
        if trace is not None:
            trace[t] = v
    return out, out if potentials and not layer.SPIKES else trace


@dataclass(frozen=True, eq=False)
class Coefficients:
    """A step of a layer's equations: the numbers of `kernels.floating_reference.run_neurons`, float64.

    `reset` is what v becomes after a spike, or what is taken away from it if the method subtracts.
    """

    rule: str  # one of `floating_reference.RULES`
    start: np.ndarray  # v before the first step
    numbers: dict[str, np.ndarray]  # by ROWS; what a rule does not use is left out

    @property
    def rule_index(self) -> int:
        return UPDATES.index(self.rule)

    def table(self) -> np.ndarray:
        """All rows, zeros where nothing is used: (9, N), neurons in the order of the tensor."""
        nothing = np.zeros(self.start.shape)
        return np.stack([self.numbers.get(name, nothing).ravel() for name in ROWS])


def coefficients(layer: N.Neuron, dt: float, method: Method) -> Coefficients:
    """What one step of `dt` seconds multiplies with; see `Method`.

    Raises
    ------
    InputError
        dt above a time constant, where Euler's factor of the old state would be negative.
    """
    _check_step(layer, dt, method)
    numbers = {}
    if layer.SPIKES:
        subtracts = method.reset == "subtract"
        numbers["threshold"] = layer.v_threshold
        numbers["reset"] = layer.v_threshold - layer.v_reset if subtracts else layer.v_reset
    if isinstance(layer, N.Integrator | N.IF):
        return Coefficients("integrate", np.zeros(layer.shape), numbers | {"gain": dt * layer.r})
    behind_synapse = isinstance(layer, N.CubaLI | N.CubaLIF)
    decay, gain = method.factors(layer.tau_mem if behind_synapse else layer.tau, dt)
    numbers |= {"leak": layer.v_leak, "decay": decay, "gain": gain * layer.r}
    if not behind_synapse:
        return Coefficients("leaky", layer.v_leak, numbers)
    decay_syn, gain_syn = method.factors(layer.tau_syn, dt)
    numbers |= {"synapse_decay": decay_syn, "synapse_gain": gain_syn * layer.w_in}
    if (method.decay, method.gain) != ("exponential", "exponential"):
        return Coefficients("stepwise", layer.v_leak, numbers)
    exact = {"gain": gain, "synapse_gain": layer.w_in, "r": layer.r, "share": _share(layer.tau_mem, layer.tau_syn, dt)}
    return Coefficients("coupled", layer.v_leak, numbers | exact)


def _reset(layer, v, spikes, method):
    if method.reset == "subtract":
        return v - spikes * (layer.v_threshold - layer.v_reset)
    return np.where(spikes, layer.v_reset, v)


def _recurrent(layer: N.Neuron, outputs):
    """What the outputs of the last step add to the input of this one."""
    if layer.recurrent_weight is None:
        return 0.0
    sums = steady_product(outputs, layer.recurrent_weight.T)
    return sums if layer.recurrent_bias is None else sums + layer.recurrent_bias


def _check_step(layer, dt, method):
    if "euler" not in (method.decay, method.gain):
        return
    for field in layer.PARAMETERS:
        if field.startswith("tau") and dt > getattr(layer, field).min():
            raise InputError(
                f"{type(layer).__name__} '{layer.name}': {field} goes down to {getattr(layer, field).min():.4g} s, the "
                f"step dt is {dt:.4g} s; Euler's method needs dt <= {field}: take a smaller dt, or EXACT"
            )


def _updater(found: Coefficients):
    """The function (v, I, x) -> (v, I) of one step."""
    c = found.numbers
    if found.rule == "integrate":
        return lambda v, current, x: (v + c["gain"] * x, current)

    def relaxed(v):
        return c["leak"] + c["decay"] * (v - c["leak"])

    if found.rule == "leaky":
        return lambda v, current, x: (relaxed(v) + c["gain"] * x, current)

    def stepwise(v, current, x):
        current = c["synapse_decay"] * current + c["synapse_gain"] * x
        return relaxed(v) + c["gain"] * current, current

    def coupled(v, current, x):
        target = c["synapse_gain"] * x
        v = relaxed(v) + c["r"] * (c["gain"] * target + c["share"] * (current - target))
        return v, target + c["synapse_decay"] * (current - target)

    return stepwise if found.rule == "stepwise" else coupled


def _share(tau_mem, tau_syn, dt):
    """What a unit of current that decays over the step adds to v.

    It is int_0^dt e^((s - dt)/tau_mem) e^(-s/tau_syn) ds / tau_mem, which equals
    dt / tau_mem * (e^(-dt/tau_syn) - e^(-dt/tau_mem)) / z with z = dt (1/tau_mem - 1/tau_syn).
    """
    z = dt / tau_mem - dt / tau_syn
    near = np.abs(z) < _NEAR
    series = np.exp(-dt / tau_mem) * (1.0 + z / 2.0 + z**2 / 6.0 + z**3 / 24.0)
    quotient = (np.exp(-dt / tau_syn) - np.exp(-dt / tau_mem)) / np.where(near, 1.0, z)
    return dt / tau_mem * np.where(near, series, quotient)
