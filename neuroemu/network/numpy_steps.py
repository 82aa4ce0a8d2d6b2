"""The NumPy path of run_spiking: layer by layer over all steps, products by BLAS.

In: a network and one batch of inputs (T, B, ...). Out: the tensors that were asked for. Layers without weights or state
are computed here for the compiled engine too.
"""

import numpy as np

from . import layers as L
from . import neurons as N
from . import ops
from .floating import compute
from .graph import INPUT, Network
from .neuron_steps import simulate

MOVERS = (L.Flatten, L.Reshape, L.Transpose)


def potential(layer: N.Neuron) -> str:
    """Name of the potential of a layer of neurons."""
    return f"{layer.name}.v"


def run_part(network: Network, x, *, dt, method, wanted) -> dict[str, np.ndarray]:
    """The tensors named in `wanted`, by name; x is bool or float32."""
    from threadpoolctl import threadpool_limits

    last = {name: at for at, layer in enumerate(network.layers) for name in layer.inputs}
    tensors = {INPUT: x}
    with threadpool_limits(limits=1, user_api="blas"):
        for at, layer in enumerate(network.layers):
            inputs = [tensors[name] for name in layer.inputs]
            if isinstance(layer, N.Neuron):
                trace = potential(layer) in wanted
                found, v = simulate(layer, inputs[0], dt=dt, method=method, potentials=trace)
                if trace:
                    tensors.setdefault(potential(layer), v)
            else:
                found = stateless(network, layer, inputs)
            tensors[layer.name] = found
            for name in layer.inputs:
                if last[name] == at and name not in wanted:
                    tensors.pop(name, None)  # nothing reads it any more
    return {name: tensors[name] for name in wanted}


def stateless(network: Network, layer: L.Layer, inputs) -> np.ndarray:
    """A layer on all steps: they are inputs like others to it."""
    steps, batch = inputs[0].shape[:2]
    shape = network.shapes[layer.name]
    flat = [value.reshape(steps * batch, *value.shape[2:]) for value in inputs]
    if isinstance(layer, MOVERS):
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
