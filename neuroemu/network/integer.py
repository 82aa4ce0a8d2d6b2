"""The integer reference executor: a quantized Network and real inputs in, real outputs out.

Between the input grid and the output grid there are integers only: int8 codes, int32 accumulators, and the network's
rounding rule from accumulator to code. Tensors after the last grid (a final softmax) are computed in float32.

Every substrate runs through this executor. It hands each weighted layer to `multiply`; the default is the exact
product, a crossbar puts its own in, and all the digital steps around it are then the same.

Sums become codes in one compiled pass, equal to `codes.requantize` to the last bit. Layers without weights are in
`codes`.
"""

from collections.abc import Callable, Iterable

import numpy as np

from .. import _checks, kernels
from ..errors import InputError
from . import codes, fixed_point, floating, ops
from . import layers as L
from .graded import Delta
from .graph import INPUT, Network
from .grids import Grid

Multiply = Callable[[L.Weighted, np.ndarray, int], np.ndarray]
Send = Callable[[Delta, np.ndarray, int], np.ndarray]


def exact_multiply(layer: L.Weighted, drive: np.ndarray, first: int) -> np.ndarray:
    """Exact weighted sum of integer inputs `drive` = codes - zero_point, float32 (B, ...), without bias.

    `first` is the index of the first input of the batch; emulated hardware keys its noise by it.
    """
    return ops.weighted_sum(layer, drive, layer.weight_steps.astype(np.float32), ops.exact_product)


def run_integer(
    network: Network,
    x: np.ndarray,
    *,
    multiply: Multiply = exact_multiply,
    send: Send | None = None,
    keep: Iterable[str] = (),
    progress=None,
    batch: int | None = None,
    threads: int = 1,
) -> np.ndarray | tuple[np.ndarray, dict[str, np.ndarray]]:
    """Outputs of a quantized network in integer arithmetic, decoded to real numbers.

    Parameters
    ----------
    network : Network
        Quantized.
    x : ``(B, *input_shape)`` array
        Real inputs; the input grid encodes them.
    multiply : callable (layer, drive, first) -> accumulators
        Computes the weighted sums; see `exact_multiply`. Results are rounded to the nearest integer.
        With several threads it is called from all of them.
    send : callable (layer, codes, first) -> codes, optional
        What the readers of a Delta layer know of its input; without it a network with such layers is refused.
    keep : names of tensors to return as well: int8 codes where the tensor has a grid, else float32.
    batch : int or None
        Inputs computed at a time; it bounds the memory, not the result. None: as many as stay in a core's cache.
    threads : int
        Batches computed side by side; no result depends on it.

    Returns
    -------
    outputs : ``(B, *output_shape)`` float32
    kept : dict of name -> array, only if `keep` names any

    Raises
    ------
    InputError
        Wrong shape, NaN, or a network without grids.
    """
    _checks.instance(network, Network, who="run_integer", name="network")
    if not network.quantized or (network.spiking and send is None):
        raise InputError(f"run_integer: network '{network.name}' is not quantized; call quantize(network, ...) first")
    if INPUT not in network.grids:
        raise InputError(f"run_integer: network '{network.name}' has no grid for 'input'")
    x = network.check_input(x, who="run_integer")
    threads = _checks.threads(threads, who="run_integer")

    writers = {layer.name: _writer(network, layer) for layer in network.weighted if layer.name in network.grids}

    def run_part(part, first):
        tensors = _run_part(network, part, first, multiply, send, writers)
        grid = network.grids.get(network.output)
        if network.output not in keep and grid is not None:
            tensors[network.output] = grid.decode(tensors[network.output])
        return tensors

    keep = tuple(keep)
    if batch is None:
        batch = max(1, min(ops.images_at_once(network), -(-len(x) // threads)))
    result = floating.in_batches(run_part, network, x, keep, progress, batch, threads)
    if network.output in keep and network.output in network.grids:
        outputs, kept = result
        return network.grids[network.output].decode(outputs), kept
    return result


def _run_part(network, x, first, multiply, send, writers):
    grid = network.grids[INPUT]
    tensors = {INPUT: fixed_point.encode(x, grid) if network.rounding == "tflite" else grid.encode(x)}
    for layer in network.layers:
        inputs = [tensors[i] for i in layer.inputs]
        grids = [network.grids.get(i) for i in layer.inputs]
        grid = network.grids.get(layer.name)
        coded = isinstance(layer, L.Weighted) and layer.weight_grid is not None
        if isinstance(layer, Delta):
            tensors[layer.name] = send(layer, inputs[0], first)
        elif grid is None and not coded:
            reals = [v if g is None else g.decode(v) for v, g in zip(inputs, grids, strict=True)]
            tensors[layer.name] = floating.compute(layer, network.shapes[layer.name], *reals)
        elif isinstance(layer, L.Weighted):
            sums = multiply(layer, _drive(inputs[0], grids[0]), first)
            tensors[layer.name] = _reals(layer, sums, grids[0]) if grid is None else writers[layer.name](sums)
        else:
            shape = network.shapes[layer.name]
            tensors[layer.name] = codes.compute(layer, shape, inputs, grids, grid, network.rounding)
    return tensors


def _drive(inputs: np.ndarray, grid: Grid) -> np.ndarray:
    """Codes less their zero point."""
    drive = inputs.astype(np.float32)
    if grid.zero_point:
        drive -= np.float32(grid.zero_point)
    return drive


def _reals(layer, sums, in_grid: Grid) -> np.ndarray:
    """Sums and bias as real numbers, where the file has no grid behind its last layer."""
    total = np.rint(sums.astype(np.float64))
    if layer.bias is not None:
        bias = layer.bias.astype(np.float64)
        total += bias if isinstance(layer, L.Dense) else ops.along_channels(bias, total.ndim)
    accumulator = np.clip(total, -(2**31), 2**31 - 1).astype(np.int32)
    return (accumulator * _multiplier(layer, in_grid, 1.0)).astype(np.float32)


def _writer(network: Network, layer: L.Weighted) -> Callable[[np.ndarray], np.ndarray]:
    """The function from a layer's weighted sums to its codes, with its numbers prepared."""
    in_grid, grid = network.grids[layer.inputs[0]], network.grids[layer.name]
    # TFLite's reference kernel for dense layers multiplies in float64, for convolutions in fixed point.
    rule = "half_away" if network.rounding == "tflite" and isinstance(layer, L.Dense) else network.rounding
    bias = None if layer.bias is None else layer.bias.astype(np.float64)
    factor = _multiplier(layer, in_grid, grid.scale).reshape(-1)
    multiplier, shift = fixed_point.quantize_multiplier(factor)
    settings = {
        "rule": codes.RULES[rule], "factor": factor, "multiplier": multiplier, "shift": shift,
        "zero_point": grid.zero_point, "low": grid.low, "high": grid.high,
    }  # fmt: skip

    def write(sums):
        if sums.dtype not in (np.float32, np.float64):
            sums = sums.astype(np.float64)
        out = np.empty(sums.shape, np.int8)
        kernels.integer.requantize(_positions_first(layer, sums), bias, _positions_first(layer, out), **settings)
        return out

    return write


def _positions_first(layer, values: np.ndarray) -> np.ndarray:
    """A layer's output as a view (B, P, M): images, positions, channels."""
    if isinstance(layer, L.Dense):
        return values.reshape(1, -1, values.shape[-1])
    return values.reshape(*values.shape[:2], -1).transpose(0, 2, 1)


def _multiplier(layer, in_grid: Grid, out_scale: float) -> np.ndarray:
    """Real factor from accumulator to output code, a number or one per output channel (aligned to broadcast)."""
    factor = np.asarray(layer.weight_grid.scale) * in_grid.scale / out_scale
    if factor.ndim and not isinstance(layer, L.Dense):
        factor = factor.reshape(1, -1, 1, 1)
    return factor
