"""Networks of continuous neurons as plain Brian2 networks: to explore them with monitors and groups of one's own.

In: a chain of layers, such as a NIR file gives, and a rule for the steps. Out: Brian2 groups and synapses that compute
the steps of `run_spiking`, in Brian2's own equations (Stimberg et al. 2019, doi:10.7554/eLife.47314). Everything that
Brian2 has works on them: monitors, groups of the user's, `store`, `restore`, `report`. For whole test sets
`run_spiking` is the faster door.
"""

import functools
import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from .. import _checks
from ..errors import ArgumentTypeError, InputError, UnsupportedError
from ..network import layers as L
from ..network import neurons as N
from ..network import ops
from ..network.graph import Network
from ..network.neuron_steps import EXACT, Coefficients, Method, coefficients
from ..network.shapes import output_shape
from ..network.synapses import axis_taps
from .brian_group import check_source
from .sections import Section, sections_of

WHO, SLOT = "to_brian2", "thresholds"  # the whole chain runs in this slot, before Brian2's synapses
# Order in the slot, EACH apart from layer to layer; the number after THRESHOLD is left to spike monitors.
KEEP, UPDATE, THRESHOLD, SYNAPSES, LOOP, EACH = 0, 1, 2, 4, 5, 10

# One operation a line: Brian2 may put the terms of a longer sum into another order.
_RELAX = "above = v - leak\nheld = decay * above\nrelaxed = leak + held\n"
_UPDATES = {
    "integrate": "push = gain * drive\nv = v + push",
    "leaky": _RELAX + "push = gain * drive\nv = relaxed + push",
    "stepwise": _RELAX + "kept = synapse_decay * current\nfresh = synapse_gain * drive\ncurrent = kept + fresh\n"
    "push = gain * current\nv = relaxed + push",
    "coupled": _RELAX + "target = synapse_gain * drive\nmissing = current - target\nsteady = gain * target\n"
    "passing = share * missing\nboth = steady + passing\npush = r * both\nv = relaxed + push\n"
    "kept = synapse_decay * missing\ncurrent = target + kept",
}  # fmt: skip


@dataclass(frozen=True, eq=False, kw_only=True)
class BrianNetwork:
    """A network in Brian2 and its parts by the names of the layers."""

    network: Any  # brian2.Network of everything below; add your own objects to it
    source: Any  # the group whose spikes enter
    groups: MappingProxyType  # layer of neurons -> NeuronGroup; neurons in the order of the flattened tensor
    synapses: MappingProxyType  # layer of neurons -> Synapses that drive it; "name.loop" those to itself
    monitors: MappingProxyType  # "name" -> SpikeMonitor, "name.v" -> StateMonitor


def to_brian2(
    network: Network, x=None, *, dt: float = 1e-4, method: Method = EXACT, source=None, record=()
) -> BrianNetwork:
    """A plain Brian2 network that computes what `run_spiking` does, for one input.

    In each step, layer after layer, in slot "thresholds"::

        drive = single(sum of w of the spikes that arrived, plus bias), plus what the last step's spikes bring back
        v, current by the rule of the method;  spike where v > v_threshold

    The reset follows in slot "resets".

    Parameters
    ----------
    network : Network
        A chain of Dense, Conv2d, sum or average pools, rearrangements and layers of neurons that may feed back to
        themselves. Only the last neurons may be some that do not spike.
    x : ``(T, *input_shape)`` array of bool, optional
        Spikes that enter from t = 0 on. None: no spikes; `source.set_spikes` gives some later.
    dt : float
        Seconds a step.
    method : Method
        As in `run_spiking`.
    source : Brian2 group that spikes, optional
        A group of the user's in place of x, with one neuron for each input. What it sends in a step arrives in it.
    record : names
        "lif" records the spikes of that layer, "lif.v" its potentials at the end of each step.

    Returns
    -------
    BrianNetwork
        Groups have the variables v, current, drive (of the last step) and the coefficients of the step, such as
        decay, gain, v_threshold. Synapses from elsewhere add to `arrived`; they count in the next step.

    Raises
    ------
    InputError
        Shapes that do not fit, values of x other than 0 and 1, unknown names.
    UnsupportedError
        Branches, or a layer with no place in such a chain.

    Notes
    -----
    With Brian2's numpy target, spikes and potentials are those of ``run_spiking(..., engine="compiled")``, in all bits,
    but for pools, which are merged into weights: there sums must be exact. Brian2 compiles its other targets with
    -ffast-math unless told otherwise, so that last bits may differ there.

    Examples
    --------
    >>> made = to_brian2(network, x, dt=1e-4, record=("lif.v",))         # doctest: +SKIP
    >>> made.network.store()                                            # doctest: +SKIP
    >>> made.network.run(100 * ms, report="text")                       # doctest: +SKIP
    >>> plot(made.monitors["lif.v"].t, made.monitors["lif.v"].v[0])     # doctest: +SKIP
    """
    import brian2 as b2

    _checks.instance(network, Network, who=WHO, name="network")
    _checks.instance(method, Method, who=WHO, name="method")
    dt = _checks.real(dt, who=WHO, name="dt", low=0.0)
    if not dt:
        raise InputError(f"{WHO}: dt is 0 s; give the length of a step, such as 1e-4")
    found = sections_of(network, who=WHO, recurrent=True)
    for section in found[:-1]:
        if not section.neuron.SPIKES:
            kind = f"{type(section.neuron).__name__} '{section.neuron.name}'"
            raise UnsupportedError(f"{WHO}: {kind} sends potentials; synapses carry spikes: only the last may be such")
    record = _recorded(found, record)
    clock = b2.Clock(dt=dt * b2.second)
    source = _source(b2, network, x, source, clock)
    groups, synapses, before, shape = {}, {}, source, network.input_shape
    for index, section in enumerate(found):
        name, first = section.neuron.name, EACH * (index + 1)
        group = _group(b2, section, dt, method, clock, first)
        i, j, w = _weights(section, shape)
        delay = method.input_delay * dt
        synapses[name] = _synapses(b2, before, group, "arrived", i, j, w, first - EACH + SYNAPSES, delay)
        if section.neuron.recurrent_weight is not None:
            j, i = np.nonzero(section.neuron.recurrent_weight)
            w = section.neuron.recurrent_weight[j, i]
            synapses[f"{name}.loop"] = _synapses(b2, group, group, "looped", i, j, w, first + LOOP, 0.0)
        groups[name], before, shape = group, group, section.neuron.shape
    monitors = {name: _monitor(b2, name, groups, clock) for name in record}
    whole = b2.Network(source, *groups.values(), *synapses.values(), *monitors.values())
    return BrianNetwork(
        network=whole, source=source, groups=MappingProxyType(groups), synapses=MappingProxyType(synapses),
        monitors=MappingProxyType(monitors),
    )  # fmt: skip


def _source(b2, network: Network, x, source, clock):
    """The group whose spikes enter."""
    n = int(np.prod(network.input_shape))
    if source is not None:
        check_source(source, WHO)
        if x is not None or len(source) != n:
            raise InputError(f"{WHO}: source has {len(source)} neurons, network '{network.name}' {n} inputs; or drop x")
        return source
    train = np.zeros((1, *network.input_shape), bool) if x is None else np.asarray(x)
    if train.shape[1:] != network.input_shape or train.dtype.kind not in "biuf":
        raise InputError(
            f"{WHO}: x has shape {train.shape}; network '{network.name}' takes (T, *{network.input_shape})"
        )
    if ((train != 0) & (train != 1)).any():
        raise InputError(f"{WHO}: x holds numbers other than 0 and 1; Brian2's synapses carry spikes: use run_spiking")
    step, index = np.nonzero(train.reshape(len(train), n))
    return b2.SpikeGeneratorGroup(n, index, step * clock.dt, clock=clock, when=SLOT, order=0)


def _group(b2, section: Section, dt, method: Method, clock, first):
    """The neurons of a section; `first` is where their step begins in the slot."""
    layer = section.neuron
    steps = coefficients(layer, dt, method)
    limits = {"threshold": "v_threshold", "reset": "v_lost" if method.reset == "subtract" else "v_reset"}
    numbers = {limits.get(name, name): values for name, values in steps.numbers.items()}
    numbers["bias"] = _bias(section)
    spiking = {}
    if layer.SPIKES:
        spiking["threshold"] = f"{'started' if method.early_test else 'v'} > v_threshold"
        spiking["reset"] = "v = v - v_lost" if method.reset == "subtract" else "v = v_reset"
    variables = ["v", "current", "drive", "arrived", "looped", "loop_bias", "started"]
    lines = [f"{name} : 1" for name in variables] + [f"{name} : 1 (constant)" for name in numbers]
    group = b2.NeuronGroup(
        int(np.prod(layer.shape)), "\n".join(lines), **spiking, clock=clock, dtype=np.float64,
        namespace={"single": _single()}, name=_brian_name(layer.name),
    )  # fmt: skip
    for name, values in numbers.items():
        setattr(group, name, values.ravel())
    group.v = np.broadcast_to(steps.start, layer.shape).ravel()
    if layer.recurrent_bias is not None:
        group.loop_bias = layer.recurrent_bias
    if method.early_test:  # apart from the update: one that both copies and changes v has seen its own result
        group.run_regularly("started = v", when=SLOT, order=first + KEEP)
    group.run_regularly(_code(steps, layer, method), when=SLOT, order=first + UPDATE)
    if layer.SPIKES:
        group.set_event_schedule("spike", when=SLOT, order=first + THRESHOLD)
    return group


def _code(steps: Coefficients, layer: N.Neuron, method: Method) -> str:
    """The statements of one step."""
    lines = ["total = arrived + bias", "drive = single(total)"]
    if method.input_delay:
        started = f"int(t_in_timesteps >= {method.input_delay})"
        lines.append(f"drive = drive * {started}")  # no bias before the first input either
    if layer.recurrent_weight is not None:
        lines += ["back = looped + loop_bias", "drive = back + drive"]
    return "\n".join([*lines, _UPDATES[steps.rule], "arrived = 0", "looped = 0"])


@functools.cache
def _single():
    """A Brian2 function that rounds to float32, as `run_spiking` does with sums."""
    import brian2 as b2

    def single(x):
        return np.asarray(x, np.float32).astype(np.float64)

    made = b2.check_units(x=1, result=1)(single)
    made = b2.implementation("cython", "cdef double single(double x):\n    return <double>(<float>x)")(made)
    return b2.implementation("cpp", "static inline double single(double x) { return (double)(float)x; }")(made)


def _bias(section: Section) -> np.ndarray:
    """Bias of each neuron."""
    shape, weighted = section.neuron.shape, section.weighted
    if weighted.bias is None:
        return np.zeros(shape)
    return np.broadcast_to(weighted.bias.reshape(-1, *(1,) * (len(shape) - 1)), shape).astype(np.float64)


def _weights(section: Section, shape):
    """Source, target and weight of each synapse that is not 0, by source and target; `shape` is that of the sources."""
    numbers, layer = np.arange(int(np.prod(shape))).reshape(shape), section.weighted
    for mover in section.before:
        numbers = ops.rearrange(mover, numbers[None], output_shape(mover, [numbers.shape]))[0]
    if isinstance(layer, L.Dense):
        if numbers.ndim != 1:
            raise UnsupportedError(f"{WHO}: Dense '{layer.name}' reads shape {numbers.shape}; put a Flatten before it")
        i, j = np.broadcast_to(numbers, layer.weight.shape), np.arange(len(layer.weight))[:, None]
        w = layer.weight
    else:
        i, j, w = _convolution(layer, numbers, section.neuron.shape)
    i, j = (np.broadcast_to(index, w.shape)[w != 0] for index in (i, j))
    order = np.lexsort((j, i))
    return i[order], j[order], w[w != 0][order].astype(np.float64)


def _convolution(layer: L.Conv2d, numbers, written):
    """Sources, targets and weights, all over (output channel, channel of its group, place down, place across)."""
    found = []
    for axis in (0, 1):
        size, taps, (before, _) = numbers.shape[1 + axis], layer.weight.shape[2 + axis], layer.padding[axis]
        first, tap, out = axis_taps(size, written[1 + axis], taps, layer.stride[axis], layer.dilation[axis], before)
        found.append((np.repeat(np.arange(size), np.diff(first)), tap, out))
    (y, down, row), (x, across, column) = found
    outputs, per_group = layer.weight.shape[:2]
    to, of = np.arange(outputs)[:, None, None, None], np.arange(per_group)[:, None, None]
    channel = to // (outputs // layer.groups) * per_group + of
    i = numbers[channel, y[:, None], x]
    j = (to * written[1] + row[:, None]) * written[2] + column
    return i, j, layer.weight[to, of, down[:, None], across]


def _synapses(b2, before, group, variable, i, j, w, order, delay):
    made = b2.Synapses(
        before,
        group,
        "w : 1 (constant)",
        on_pre=f"{variable}_post += w",
        delay=delay * b2.second,
        dtype=np.float64,
        clock=group.clock,
    )
    made.connect(i=i, j=j)
    made.w = w
    made.pre.when, made.pre.order = SLOT, order
    return made


def _recorded(found: list[Section], record) -> tuple[str, ...]:
    """The names that are recorded, checked."""
    if isinstance(record, str):
        raise ArgumentTypeError(f"{WHO}: record is {record!r}; give a tuple of names")
    spiking = [section.neuron.name for section in found if section.neuron.SPIKES]
    potentials = [f"{section.neuron.name}.v" for section in found]
    record = tuple(record)
    if unknown := [name for name in record if name not in (*spiking, *potentials)]:
        raise InputError(f"{WHO}: record names {unknown[0]!r}; choose from {', '.join((*spiking, *potentials))}")
    return record


def _monitor(b2, name, groups, clock):
    if name in groups:
        return b2.SpikeMonitor(groups[name])
    return b2.StateMonitor(groups[name.removesuffix(".v")], "v", record=True, when="end", clock=clock)


def _brian_name(name: str) -> str:
    plain = re.sub(r"\W", "_", name)
    return f"{plain}*" if plain[0].isalpha() else f"layer_{plain}*"
