"""Criteria: how much a weight matters, before any is removed. A network enters, a score of each weight leaves.

References
----------
.. [1] S. Han et al., "Learning both Weights and Connections for Efficient Neural Networks", NeurIPS 2015,
   arXiv:1506.02626.
.. [2] M. Sun et al., "A Simple and Effective Pruning Approach for Large Language Models" (Wanda), ICLR 2024,
   arXiv:2306.11695.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..network import layers as L
from ..network.graph import Network
from .moments import groups_of, moments_of


class Criterion(ABC):
    """Abstract: scores of weights. Final: Magnitude, Contribution."""

    @abstractmethod
    def scores(self, network: Network, samples: np.ndarray | None) -> dict[str, np.ndarray]:
        """Scores of the weights of each layer, not negative, float64, in the shape of the weight."""


@dataclass(frozen=True)
class Magnitude(Criterion):
    """Size of the weight in real units (Han et al. 2015, arXiv:1506.02626)."""

    def scores(self, network, samples):
        return {layer.name: np.abs(real_weight(layer)) for layer in network.weighted}


@dataclass(frozen=True)
class Contribution(Criterion):
    """Size of the weight times the root mean square of its input over the samples: of what it adds to the sum.

    As in Wanda (Sun et al. 2024, arXiv:2306.11695). It needs samples and a float network.
    """

    def scores(self, network, samples):
        if samples is None or network.quantized:
            raise InputError("Contribution: it needs a float network and prune(..., samples=training inputs)")
        return {layer.name: np.abs(real_weight(layer)) * _sizes(network, layer, samples) for layer in network.weighted}


def real_weight(layer: L.Weighted) -> np.ndarray:
    """Weights in real units, float64."""
    decoded = layer.weight if layer.weight_grid is None else layer.weight_grid.decode(layer.weight)
    return decoded.astype(np.float64)


def _sizes(network: Network, layer: L.Weighted, samples) -> np.ndarray:
    """Root mean square of the input of each weight, in the shape of the weight."""
    rows = [np.sqrt(np.diag(found.arriving)) for found in moments_of(network, network, layer.name, samples)]
    each = np.repeat(np.stack(rows), len(layer.weight) // groups_of(layer), axis=0)
    return each.reshape(layer.weight.shape)
