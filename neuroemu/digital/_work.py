"""What a digital baseline computes: each weighted layer as matrix products, the others as elementwise operations.

A convolution is the product of an unrolled input (T, K) with a kernel (K, M), T output positions, K fan-in, M output
channels; a grouped one is `groups` separate products, each with K and M of one group.
"""

from dataclasses import dataclass
from math import prod

import numpy as np

from ..errors import PlacementError
from ..network import layers as L
from ..network.floating import run_float
from ..network.graph import Network
from ..network.integer import run_integer

IN_PLACE = (L.Clip, L.Scale, L.BatchNorm, L.Flatten, L.Reshape)  # done on the way out of the layer before


@dataclass(frozen=True)
class Product:
    """Matrix products of one layer for one input: `groups` times (positions, fan_in) x (fan_in, outputs)."""

    layer: str
    groups: int
    fan_in: int  # K, of one group
    outputs: int  # M, of one group
    positions: int  # T
    weights: int
    biases: int
    factors: int = 0  # of groups of weights

    @property
    def macs(self) -> int:
        """Multiply-accumulates, zeros included."""
        return self.groups * self.fan_in * self.outputs * self.positions


def products(network: Network) -> tuple[Product, ...]:
    """The matrix products of each weighted layer, in order."""
    found = []
    for layer in network.weighted:
        groups = layer.groups if isinstance(layer, L.Conv2d) else 1
        outputs, fan_in = layer.weight.shape[0], prod(layer.weight.shape[1:])
        positions = prod(network.shapes[layer.name]) // outputs
        biases = 0 if layer.bias is None else layer.bias.size
        factors = layer.weight_grid.factors.size if layer.in_groups else 0
        sizes = (groups, fan_in, outputs // groups, positions, layer.weight.size, biases, factors)
        found.append(Product(layer.name, *sizes))
    return tuple(found)


def vector_operations(network: Network) -> dict[str, int]:
    """Elementwise operations of each layer without weights, for one input.

    A pooling window counts its entries; layers that only rename or move values count 0.
    """
    found = {}
    for layer in network.layers:
        shape = network.shapes[layer.name]
        if isinstance(layer, L.Pool2d):
            found[layer.name] = prod(shape) * prod(layer.size)
        elif isinstance(layer, L.GlobalAveragePool):
            found[layer.name] = prod(network.shapes[layer.inputs[0]])
        elif isinstance(layer, L.Flatten | L.Reshape | L.Transpose | L.Concat):
            found[layer.name] = 0
        elif not isinstance(layer, L.Weighted):
            found[layer.name] = prod(shape)
    return found


def values_moved(network: Network, layer: L.Layer) -> int:
    """Activations that a layer reads and writes, for one input."""
    names = (layer.name,) if isinstance(layer, IN_PLACE) else (*layer.inputs, layer.name)
    return sum(prod(network.shapes[name]) for name in names)


def batches(n_inputs: int, batch: int) -> dict[int, int]:
    """{batch size: launches} for `n_inputs` inputs: full batches, and what is left over."""
    full, rest = divmod(n_inputs, batch)
    return {size: launches for size, launches in ((batch, full), (rest, 1)) if size and launches}


def refuse_spiking(network: Network, who: str):
    """PlacementError for a spiking network."""
    if network.spiking:
        raise PlacementError(
            f"{who}: network '{network.name}' is spiking, digital baselines run the dense one; "
            "run the quantized network from which it was made"
        )


def outputs(network: Network, x: np.ndarray, threads: int, progress) -> np.ndarray:
    """Outputs (1, B, K) float32 of the exact arithmetic that a digital machine does."""
    if network.quantized:
        return run_integer(network, x, threads=threads, progress=progress).reshape(1, len(x), -1)
    return run_float(network, x, progress=progress).reshape(1, len(x), -1)
