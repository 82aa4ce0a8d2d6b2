"""Spiking graph: a spiking network layer by layer over all steps. Inputs enter, potentials of the read-out leave.

How a weighted layer multiplies and how a Lif layer fires are given, so that exact products and programmed tiles,
digital and analog neurons run through the same walk. A layer works on its own window of T steps, which starts when the
first spikes of the layer before arrive; nothing flows back, so layers are computed one after the other.

Spikes are bool (B, T, *shape); sums and potentials (B, T, P, M), positions before channels.
"""

from collections.abc import Callable

import numpy as np

from .. import _streams
from ..errors import InputError, PlacementError
from ..network import layers as L
from ..network import ops
from ..network.graph import INPUT, Network
from . import mapping
from .membranes import Membrane

MOVERS = (L.Flatten, L.Reshape, L.Transpose)
Multiply = Callable[[L.Weighted, np.ndarray, int], np.ndarray]
Fire = Callable[[L.Lif, np.ndarray, int], np.ndarray]


def check_graph(network: Network, *, who: str) -> None:
    """Raise PlacementError unless spikes drive every weighted layer, and sums every Lif."""
    kinds = {INPUT: "values"}
    takes = {L.Encode: ("values", "spikes"), L.Weighted: ("spikes", "sums"), L.Lif: ("sums", "spikes"),
             L.Add: ("sums", "sums")}  # fmt: skip
    for layer in network.layers:
        given = {kinds[name] for name in layer.inputs}
        wanted, made = next((v for k, v in takes.items() if isinstance(layer, k)), (None, None))
        if isinstance(layer, L.Concat):
            wanted, made = "spikes", "spikes"
        if isinstance(layer, MOVERS):
            wanted, made = ("potentials", "potentials") if given == {"potentials"} else ("spikes", "spikes")
        if isinstance(layer, L.Lif) and layer.threshold is None:
            made = "potentials"
        if given != {wanted}:
            raise PlacementError(
                f"{who}: {type(layer).__name__} '{layer.name}' has no place in a spiking network here: it reads "
                f"{' and '.join(sorted(given))}; use networks of to_spiking"
            )
        kinds[layer.name] = made
    if kinds[network.output] != "potentials":
        raise PlacementError(
            f"{who}: network '{network.name}' does not end with a Lif layer without threshold, whose potential is the "
            "output; use networks of to_spiking"
        )


def depth_of(network: Network) -> int:
    """Lif layers that a spike passes one after the other, at most."""
    depth = {INPUT: 0}
    for layer in network.layers:
        depth[layer.name] = max(depth[name] for name in layer.inputs) + isinstance(layer, L.Lif)
    return depth[network.output]


def run_spikes(
    network: Network, x: np.ndarray, first: int, *, multiply: Multiply, fire: Fire, seed: int, trial: int,
    seen: Callable[[L.Layer, np.ndarray], None],
) -> np.ndarray:  # fmt: skip
    """Outputs (B, *output_shape) float32 of inputs `x` (B, *input_shape), whose first has number `first` in the run.

    multiply(layer, spikes, first) -> sums; fire(lif, sums, first) -> spikes or potentials, (B, T or 1, P, M).
    seen(layer, spikes) is called with what each Encode and Lif layer emits.
    """
    tensors = {INPUT: x}
    last = {name: at for at, layer in enumerate(network.layers) for name in layer.inputs}
    for at, layer in enumerate(network.layers):
        inputs, shape = [tensors[name] for name in layer.inputs], network.shapes[layer.name]
        if isinstance(layer, L.Encode):
            found = encoded(network, layer, inputs[0], first, seed=seed, trial=trial)
        elif isinstance(layer, L.Weighted):
            found = multiply(layer, inputs[0], first)
        elif isinstance(layer, L.Add):
            found = sum(inputs)
        elif isinstance(layer, L.Concat):
            found = np.concatenate(inputs, axis=layer.axis + 2)
        elif isinstance(layer, L.Lif):
            found = as_image(fire(layer, inputs[0], first), shape)
            found = found if layer.threshold is not None else found * np.float32(layer.scale)
        else:
            images, steps = inputs[0].shape[:2]
            flat = inputs[0].reshape(images * steps, *inputs[0].shape[2:])
            found = ops.rearrange(layer, flat, shape).reshape(images, steps, *shape)
        if found.dtype == bool and isinstance(layer, L.Encode | L.Lif):
            seen(layer, found)
        tensors[layer.name] = found
        for name in layer.inputs:
            if last[name] == at:
                tensors.pop(name, None)
    return tensors[network.output][:, 0].astype(np.float32)


def encoded(network: Network, encode: L.Encode, x: np.ndarray, first: int, *, seed: int, trial: int) -> np.ndarray:
    """Spikes (B, T, *shape) of input values, the same as those of a spiking core; a spike train enters as it is."""
    if encode.coding == "spikes":
        if ((x != 0) & (x != 1)).any():
            bad = x[(x != 0) & (x != 1)][0]
            raise InputError(f"network '{network.name}': its input is a spike train of 0 and 1, x holds {bad:g}")
        return x.astype(bool)
    grid, steps = network.grids[INPUT], network.steps
    codes = grid.encode(x).astype(np.float64) - grid.zero_point
    if encode.coding == "poisson":
        spikes = np.empty((len(x), steps, *network.input_shape), bool)
        for b, row in enumerate(codes.astype(np.float32)):
            spikes[b] = _draws(network.input_shape, steps, seed, trial, first + b) * np.float32(encode.code_max) < row
        return spikes
    drive = np.broadcast_to(codes[:, None] * L.POTENTIAL_UNIT, (len(x), steps, *codes.shape[1:]))
    membrane = Membrane(
        threshold=encode.threshold, initial=encode.initial_voltage, subtract=encode.reset == "subtract",
        refractory=getattr(encode, "refractory", 1), limits=(-L.VOLTAGE_MAX, L.VOLTAGE_MAX),
    )  # fmt: skip
    return membrane.run(drive)[0]


def _draws(shape, steps: int, seed: int, trial: int, image: int) -> np.ndarray:
    """Uniform numbers (T, *shape) float32; images draw in the order of a spiking core's neurons, channels last."""
    generator = _streams.generator(seed, "input", trial, image)
    if len(shape) != 3:
        return generator.random((steps, *shape), np.float32)
    channels, high, wide = shape
    return generator.random((steps, high, wide, channels), np.float32).transpose(0, 3, 1, 2)


def rows_of(layer: L.Weighted, spikes: np.ndarray) -> np.ndarray:
    """What spikes (B, T, *shape) drive the rows with: (B, T, P, K) float32 of 0 and 1."""
    images, steps = spikes.shape[:2]
    drive = spikes.reshape(images * steps, *spikes.shape[2:]).astype(np.float32)
    rows = mapping.drive_rows(layer, drive)
    return rows.reshape(images, steps, *rows.shape[1:])


def as_image(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """(B, T, P, M) in the layout of a tensor (B, T, *shape)."""
    images, steps = values.shape[:2]
    if len(shape) != 3:
        return values.reshape(images, steps, *shape)
    return values.swapaxes(2, 3).reshape(images, steps, *shape)


def exact_sums(layer: L.Weighted, rows: np.ndarray) -> np.ndarray:
    """Exact sums (B, T, P, M) of rows (B, T, P, K), in weight codes."""
    return ops.exact_product(rows, mapping.matrix_of(layer)).astype(np.float64)
