"""run_spiking: a float network with neurons over time. Spike trains enter, spikes or potentials leave.

Layers without a state work on all steps at once, layers of neurons step by step. Spikes cross a whole chain of layers
within their step, unless the method delays them.
"""

from collections.abc import Iterable

import numpy as np

from .. import _checks
from ..errors import ArgumentTypeError, InputError
from . import layers as L
from . import neurons as N
from . import ops
from .floating import compute
from .graph import INPUT, Network
from .neuron_steps import EXACT, Method, simulate

MAX_STEPS = 1 << 20
_MOVERS = (L.Flatten, L.Reshape, L.Transpose)


def run_spiking(
    network: Network,
    x: np.ndarray,
    *,
    dt: float = 1e-4,
    method: Method = EXACT,
    keep: Iterable[str] = (),
    batch: int = 16,
) -> np.ndarray | tuple[np.ndarray, dict[str, np.ndarray]]:
    """Outputs of a network of `neurons` layers, step by step.

    Parameters
    ----------
    network : Network
        Float; layers of `neurons` and layers of a float network.
    x : ``(T, B, *input_shape)`` array
        Spikes (bool), or real numbers, of each step.
    dt : float
        Seconds a step. Networks trained without a unit of time, as those of Sinabs are, mean dt = 1.
    method : Method
        How the neurons' equations become steps: `neuron_steps.EXACT`, `EULER`, `SINABS`, `SPYX`, `LAVA`, or your own.
    keep : names of tensors to return as well
        "lif.v" names the potential of the layer "lif" at the end of each step, after its reset.
    batch : int
        Inputs computed at a time; it bounds the memory, not the result.

    Returns
    -------
    outputs : ``(T, B, *output_shape)``
        bool if the last layer spikes; else float64 for neurons, float32 for other layers.
    kept : dict of name -> array, only if `keep` names any

    Raises
    ------
    InputError
        Wrong shape, NaN, unknown names, a quantized network, dt not above 0, or too large for the method.
    """
    who = "run_spiking"
    _checks.instance(network, Network, who=who, name="network")
    _checks.instance(method, Method, who=who, name="method")
    _checks.integer(batch, who=who, name="batch", low=1)
    dt = _checks.real(dt, who=who, name="dt", low=0.0)
    if not dt:
        raise InputError("run_spiking: dt is 0 s; give the length of a step, such as 1e-4")
    if network.quantized:
        raise InputError(f"run_spiking: network '{network.name}' holds integer codes; run it on a spiking chip")
    x, keep = _train(network, x), _names(network, keep)
    wanted = dict.fromkeys((*keep, network.output))
    parts = [
        _run_part(network, x[:, first : first + batch], dt, method, wanted) for first in range(0, x.shape[1], batch)
    ]
    joined = {name: np.concatenate([part[name] for part in parts], axis=1) for name in wanted}
    return (joined[network.output], {name: joined[name] for name in keep}) if keep else joined[network.output]


def _train(network: Network, x) -> np.ndarray:
    x = np.asarray(x)
    if x.dtype != bool:
        x = _checks.finite_array(x, who="run_spiking", name="x")
    if x.ndim != 2 + len(network.input_shape) or x.shape[2:] != network.input_shape or 0 in x.shape:
        raise InputError(
            f"run_spiking: x has shape {x.shape}; network '{network.name}' takes (steps, batch, "
            f"{', '.join(map(str, network.input_shape))}), at least one of each"
        )
    if len(x) > MAX_STEPS:
        raise InputError(f"run_spiking: x has {len(x):,} steps; up to {MAX_STEPS:,} are run")
    return x


def _names(network: Network, keep) -> tuple[str, ...]:
    if isinstance(keep, str):
        raise ArgumentTypeError(f"run_spiking: keep is {keep!r}; give a tuple of names")
    keep = tuple(keep)
    known = {*network.shapes, *(_potential(x) for x in network.layers if isinstance(x, N.Neuron))}
    if unknown := [name for name in keep if name not in known]:
        raise InputError(f"run_spiking: no tensors called {unknown}; the network has {', '.join(sorted(known))}")
    return keep


def _potential(layer: N.Neuron) -> str:
    return f"{layer.name}.v"


def _run_part(network: Network, x, dt, method, wanted) -> dict[str, np.ndarray]:
    from threadpoolctl import threadpool_limits

    last = {name: at for at, layer in enumerate(network.layers) for name in layer.inputs}
    tensors = {INPUT: x}
    with threadpool_limits(limits=1, user_api="blas"):
        for at, layer in enumerate(network.layers):
            inputs = [tensors[name] for name in layer.inputs]
            if isinstance(layer, N.Neuron):
                trace = _potential(layer) in wanted
                found, v = simulate(layer, inputs[0], dt=dt, method=method, potentials=trace)
                if trace:
                    tensors.setdefault(_potential(layer), v)
            else:
                found = _stateless(network, layer, inputs)
            tensors[layer.name] = found
            for name in layer.inputs:
                if last[name] == at and name not in wanted:
                    tensors.pop(name, None)  # nothing reads it any more
    return {name: tensors[name] for name in wanted}


def _stateless(network: Network, layer: L.Layer, inputs) -> np.ndarray:
    """A layer on all steps: they are inputs like others to it."""
    steps, batch = inputs[0].shape[:2]
    shape = network.shapes[layer.name]
    flat = [value.reshape(steps * batch, *value.shape[2:]) for value in inputs]
    if isinstance(layer, _MOVERS):
        return ops.rearrange(layer, flat[0], shape).reshape(steps, batch, *shape)
    found, at_once = np.empty((steps * batch, *shape), np.float32), ops.images_at_once(network)
    for first in range(0, len(found), at_once):
        part = slice(first, first + at_once)
        found[part] = _computed(layer, shape, [value[part].astype(np.float32) for value in flat])
    return found.reshape(steps, batch, *shape)


def _computed(layer, shape, inputs):
    if not isinstance(layer, L.Weighted):
        return compute(layer, shape, *inputs)
    sums = ops.weighted_sum(layer, inputs[0], layer.weight, ops.steady_product)
    if layer.bias is None:
        return sums
    return sums + (layer.bias if isinstance(layer, L.Dense) else ops.along_channels(layer.bias, sums.ndim))
