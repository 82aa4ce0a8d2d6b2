"""Moments: what reaches a layer in the float network and in one that is partly quantized or pruned, as second moments.

For rows x of inputs in the float network and rows a that arrive in the other one, over samples and positions,

    arriving = mean(a a^T),   cross = mean(x a^T),   and the means of x and of a.

Least squares for the layer needs nothing else: the mean of |W x - V a|^2 is, up to a constant, the square of V - W* in
the norm of `arriving`, with W* = W cross arriving^-1.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import gcd, prod

import numpy as np

from ..network import layers as L
from ..network import ops
from ..network.floating import run_float
from ..network.graph import INPUT, Network
from ..network.integer import exact_multiply, run_integer

BATCH = 32  # samples computed at a time; bounds the memory of patches
MOST_ROWS = 1 << 16  # rows of a layer that enter its moments: of a large image not every position does


@dataclass(frozen=True, eq=False)
class Moments:
    """Moments (K, K) and means (K,) of one group of a layer's inputs, in real units."""

    arriving: np.ndarray
    cross: np.ndarray
    mean: np.ndarray  # of x
    mean_arriving: np.ndarray

    def centred(self) -> "Moments":
        """About the means: what is left where the bias takes the means out."""
        return replace(
            self,
            arriving=self.arriving - np.outer(self.mean_arriving, self.mean_arriving),
            cross=self.cross - np.outer(self.mean, self.mean_arriving),
        )

    def damped(self, damping: float) -> np.ndarray:
        """`arriving` with `damping` times its mean diagonal added to the diagonal, so that it has an inverse."""
        diagonal = np.diag(self.arriving)
        return self.arriving + np.eye(len(diagonal)) * (damping * max(float(diagonal.mean()), 1e-30))

    def target(self, weight: np.ndarray, damping: float) -> np.ndarray:
        """W* (M, K): the real weights that give most nearly W x from a, drawn to W by the damping.

        W* = argmin mean|W x - W* a|^2 + d |W* - W|^2, with d the damping times the mean diagonal of `arriving`.
        """
        damped = self.damped(damping)
        return np.linalg.solve(damped, (weight @ (self.cross + damped - self.arriving)).T).T


def rows_of(layer: L.Weighted, values: np.ndarray, group: int) -> np.ndarray:
    """Input rows (N, K) of one group of a layer, for its input tensor (B, ...), float32."""
    if isinstance(layer, L.Dense):
        return values.reshape(-1, values.shape[-1]).astype(np.float32)
    per_group = layer.weight.shape[1]
    rows = ops.patches(layer, values.astype(np.float32), slice(group * per_group, (group + 1) * per_group))
    return rows.reshape(-1, rows.shape[-1])


def groups_of(layer: L.Weighted) -> int:
    """Groups of a convolution; 1 for a Dense."""
    return layer.groups if isinstance(layer, L.Conv2d) else 1


def moments_of(real: Network, other: Network, name: str, samples: np.ndarray) -> tuple[Moments, ...]:
    """Moments of layer `name`, one for each of its groups; `other` is quantized, or float with other weights."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):  # the bits of BLAS depend on the number of its threads
        return _moments(real, _arriving(other, name), real.layer(name), samples)


def _moments(real: Network, arrive, layer: L.Weighted, samples: np.ndarray) -> tuple[Moments, ...]:
    source = layer.inputs[0]
    before = None if source == INPUT else _until(real, source)
    every = _stride(real, layer, len(samples))
    totals = None
    for start in range(0, len(samples), BATCH):
        part = samples[start : start + BATCH]
        exact = part if before is None else run_float(before, part)
        there = arrive(part)
        sums = [
            _sums(rows_of(layer, exact, g)[::every], rows_of(layer, there, g)[::every]) for g in range(groups_of(layer))
        ]
        totals = sums if totals is None else [tuple(map(np.add, a, b)) for a, b in zip(totals, sums, strict=True)]
    return tuple(Moments(*(total / count for total in rest)) for count, *rest in totals)


def _stride(network: Network, layer: L.Weighted, n_samples: int) -> int:
    """Every how manyth row is taken; prime to the positions of an image, so that no position is left out for good."""
    positions = prod(network.shapes[layer.name]) // len(layer.weight)
    every = max(1, -(-n_samples * positions // MOST_ROWS))
    while gcd(every, positions) > 1:
        every += 1
    return every


def _sums(x: np.ndarray, a: np.ndarray):
    x, a = x.astype(np.float64), a.astype(np.float64)
    return len(a), a.T @ a, x.T @ a, x.sum(axis=0), a.sum(axis=0)


def _arriving(network: Network, name: str) -> Callable[[np.ndarray], np.ndarray]:
    """The function from inputs to the real values that layer `name` reads."""
    source = network.layer(name).inputs[0]
    if not network.quantized:
        before = None if source == INPUT else _until(network, source)
        return lambda part: part if before is None else run_float(before, part)
    part_network, scale = _until(network, name), network.grids[source].scale

    def arrive(part):
        seen = []

        def multiply(layer, drive, first):
            if layer.name != name:
                return exact_multiply(layer, drive, first)
            seen.append(drive.astype(np.float64) * scale)
            return np.zeros((len(drive), *network.shapes[name]), np.float32)

        run_integer(part_network, part, multiply=multiply)
        return np.concatenate(seen)

    return arrive


def _until(network: Network, name: str) -> Network:
    """The network that ends with layer `name`."""
    place = [layer.name for layer in network.layers].index(name)
    layers = network.layers[: place + 1]
    names = {INPUT, *(layer.name for layer in layers)}
    return network.replace(layers=layers, grids={n: g for n, g in network.grids.items() if n in names}, samples=None)
