"""prune: the smallest weights of each layer become zero."""

from dataclasses import replace

import numpy as np

from .. import _checks
from ..network import layers as L
from ..network.graph import Network


def prune(network: Network, *, density: float) -> Network:
    """Keep the `density` share of weights with the largest magnitude in each layer; biases stay.

    Parameters
    ----------
    network : Network
        Float or quantized; in a quantized one magnitudes are real values, code times step.
    density : float, 0 to 1
        round(density * size) weights of each layer survive; among equals the earlier one does.

    References
    ----------
    S. Han et al., "Learning both Weights and Connections for Efficient Neural Networks", NeurIPS 2015,
    arXiv:1506.02626.
    """
    _checks.instance(network, Network, who="prune", name="network")
    density = _checks.real(density, who="prune", name="density", low=0.0, high=1.0)
    layers = tuple(_pruned(layer, density) if isinstance(layer, L.Weighted) else layer for layer in network.layers)
    return network.replace(layers=layers)


def _pruned(layer: L.Weighted, density: float) -> L.Weighted:
    real = layer.weight if layer.weight_grid is None else layer.weight_grid.decode(layer.weight)
    keep = round(density * real.size)
    order = np.argsort(-np.abs(real), axis=None, kind="stable")
    weight = layer.weight.copy()
    weight.ravel()[order[keep:]] = 0
    return replace(layer, weight=weight)
