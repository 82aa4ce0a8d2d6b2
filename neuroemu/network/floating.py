"""The float32 reference executor: a float Network and inputs in, outputs out. Plain numpy, no emulation."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import singledispatch

import numpy as np

from .. import _checks
from ..errors import InputError, UnsupportedError
from . import layers as L
from . import neurons as N
from . import ops
from .graph import INPUT, Network

Progress = Callable[[str, int, int], None]


def run_float(
    network: Network, x: np.ndarray, *, keep: Iterable[str] = (), progress: Progress | None = None, batch: int = 128
) -> np.ndarray | tuple[np.ndarray, dict[str, np.ndarray]]:
    """Outputs of a float network in float32.

    Parameters
    ----------
    network : Network
        Not quantized.
    x : ``(B, *input_shape)`` array
        Finite real numbers.
    keep : names of tensors to return as well
    batch : int
        Inputs computed at a time; it bounds the memory, not the result.

    Returns
    -------
    outputs : ``(B, *output_shape)`` float32
    kept : dict of name -> array, only if `keep` names any

    Raises
    ------
    InputError
        Wrong shape, NaN, or a quantized network.
    """
    _checks.instance(network, Network, who="run_float", name="network")
    if network.quantized or network.spiking:
        raise InputError(f"run_float: network '{network.name}' is quantized or spiking; give the float network")
    x = network.check_input(x, who="run_float")
    return in_batches(lambda part, _: _run_part(network, part), network, x, keep, progress, batch)


def in_batches(run_part, network: Network, x, keep, progress, batch, threads=1):
    """Call `run_part(x_part, first_index) -> {name: array}` over slices of `x` and join what is asked for.

    BLAS runs on one thread meanwhile: its bits depend on the number of threads, and its waiting threads would fight
    those of the compiled kernels. With several threads the slices are computed side by side; NumPy and the kernels
    release the interpreter's lock.
    """
    from threadpoolctl import threadpool_limits

    _checks.integer(batch, who="run", name="batch", low=1)
    keep = tuple(keep)
    unknown = [name for name in keep if name not in network.shapes]
    if unknown:
        raise InputError(f"run: no tensors called {unknown}; the network has {', '.join(network.shapes)}")
    collected: dict[str, list] = {name: [] for name in (*keep, network.output)}
    starts = range(0, len(x), batch)

    def wanted(first):
        tensors = run_part(x[first : first + batch], first)
        return [tensors[name] for name in collected]

    with threadpool_limits(limits=1, user_api="blas"), mapper(min(threads, len(starts))) as each:
        for first, tensors in zip(starts, each(wanted, starts), strict=True):
            for parts, tensor in zip(collected.values(), tensors, strict=True):
                parts.append(tensor)
            if progress is not None:
                progress(network.name, min(first + batch, len(x)), len(x))
    joined = {name: np.concatenate(parts) for name, parts in collected.items()}
    outputs = joined[network.output]
    return (outputs, {name: joined[name] for name in keep}) if keep else outputs


@contextmanager
def mapper(threads: int):
    """`map`, or one that works on several threads and gives results in order."""
    if threads == 1:
        yield map
        return
    with ThreadPoolExecutor(threads) as pool:
        yield pool.map


def _run_part(network, x):
    tensors = {INPUT: x}
    for layer in network.layers:
        tensors[layer.name] = compute(layer, network.shapes[layer.name], *(tensors[i] for i in layer.inputs))
    return tensors


@singledispatch
def compute(layer: L.Layer, shape: tuple[int, ...], *inputs: np.ndarray) -> np.ndarray:
    """One layer on float32 arrays; `shape` is that of its output."""
    raise UnsupportedError(
        f"{type(layer).__name__} '{layer.name}': not computed in floating point; run it on a spiking chip"
    )


@compute.register
def _(layer: L.Weighted, shape, x):
    y = ops.weighted_sum(layer, x, layer.weight)
    return y if layer.bias is None else y + _bias(layer, y.ndim)


@compute.register
def _(layer: L.MaxPool2d, shape, x):
    return ops.pool_max(layer, x)


@compute.register
def _(layer: L.SumPool2d, shape, x):
    return ops.pool_sum(layer, x)


@compute.register
def _(layer: N.Neuron, shape, x):
    raise UnsupportedError(f"{type(layer).__name__} '{layer.name}': neurons have a state over time; use run_spiking")


@compute.register
def _(layer: L.AveragePool2d, shape, x):
    return (ops.pool_sum(layer, x) / ops.pool_counts(layer, x.shape[2:])).astype(np.float32)


@compute.register
def _(layer: L.GlobalAveragePool, shape, x):
    return x.mean(axis=(2, 3), dtype=np.float32).reshape(len(x), *shape)


@compute.register(L.Flatten)
@compute.register(L.Reshape)
@compute.register(L.Transpose)
def _(layer, shape, x):
    return ops.rearrange(layer, x, shape)


@compute.register
def _(layer: L.Add, shape, a, b):
    return a + b


@compute.register
def _(layer: L.Concat, shape, *xs):
    return np.concatenate(xs, axis=layer.axis + 1)


@compute.register
def _(layer: L.Clip, shape, x):
    return np.clip(x, np.float32(layer.low), np.float32(layer.high))


@compute.register
def _(layer: L.Softmax, shape, x):
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


@compute.register
def _(layer: L.Scale, shape, x):
    return x * ops.along_channels(layer.scale, x.ndim) + ops.along_channels(layer.offset, x.ndim)


@compute.register
def _(layer: L.BatchNorm, shape, x):
    factor, offset = (v.astype(np.float32) for v in layer.as_scale())
    return x * ops.along_channels(factor, x.ndim) + ops.along_channels(offset, x.ndim)


def _bias(layer, ndim):
    return layer.bias if isinstance(layer, L.Dense) else ops.along_channels(layer.bias, ndim)
