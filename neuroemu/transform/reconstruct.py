"""reconstruct: the weights that pruning left make up for those that it took, by least squares on samples.

Layer after layer, on the inputs a that arrive from the layers before as already pruned and reconstructed; x are the
inputs in the network before pruning.
"""

from dataclasses import dataclass, replace

import numpy as np

from .. import _checks
from ..network import layers as L
from ..network.graph import Network
from .moments import Moments, groups_of, moments_of


@dataclass(frozen=True)
class LeastSquares:
    """Weights left in a row m, with their places S, and the bias are fitted anew::

        min over v, b' of  mean (W_m x + b - v a_S - b')^2 + d |v - w_S|^2,

    which has the solution (A_SS + d) v = (C^T W_m)_S + d w_S with the moments about the mean A of a and C of x and a,
    and b' = b + W_m mean(x) - v mean(a)_S. d is `damping` times the mean diagonal of A.

    Parameters
    ----------
    damping : float, 0 to 1
        How strongly the weights are held where they were. The default was chosen on training images of the embedded
        network, with 256 to 1,024 samples; with more of them 0.01 did as well.

    References
    ----------
    Y. He et al., "Channel Pruning for Accelerating Very Deep Neural Networks", ICCV 2017, arXiv:1707.06168, section 3.1
    (least squares for the weights that are left).
    """

    damping: float = 0.1

    def __post_init__(self):
        _checks.real(self.damping, who="LeastSquares", name="damping", low=1e-9, high=1.0)


def reconstructed(pruned: Network, real: Network, samples: np.ndarray, rule: LeastSquares) -> Network:
    """The pruned network, of the same shapes as `real`, with its weights and biases fitted anew; zeros stay.

    An output without weights keeps its bias.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):
        for layer in real.weighted:
            found = moments_of(real, pruned, layer.name, samples)
            new = _fitted(pruned.layer(layer.name), layer, found, rule)
            pruned = pruned.replace(layers=tuple(new if x.name == new.name else x for x in pruned.layers))
    return pruned


def _fitted(layer: L.Weighted, real: L.Weighted, found: tuple[Moments, ...], rule: LeastSquares) -> L.Weighted:
    shape = (len(layer.weight), -1)
    left, whole = (x.weight.astype(np.float64).reshape(shape) for x in (layer, real))
    bias = np.zeros(len(left)) if real.bias is None else real.bias.astype(np.float64)
    weight = np.zeros_like(left)
    for moments, rows in zip(found, np.split(np.arange(len(left)), groups_of(layer)), strict=True):
        weight[rows] = _solved(left[rows], whole[rows], moments.centred(), rule.damping)
        bias[rows] += whole[rows] @ moments.mean - weight[rows] @ moments.mean_arriving
    none = ~left.any(axis=1)
    bias[none] = 0.0 if layer.bias is None else layer.bias[none]
    return replace(layer, weight=weight.reshape(layer.weight.shape).astype(np.float32), bias=bias.astype(np.float32))


def _solved(left: np.ndarray, whole: np.ndarray, moments: Moments, damping: float) -> np.ndarray:
    """Rows of weights on the places where `left` is not zero; rows with the same places are solved together."""
    damped = moments.damped(damping)
    wanted = whole @ moments.cross + left * (damped - moments.arriving).diagonal()
    solved = np.zeros_like(left)
    places, which = np.unique(left != 0, axis=0, return_inverse=True)
    for number, place in enumerate(places):
        rows = np.flatnonzero(which.ravel() == number)
        if place.any():
            solved[np.ix_(rows, place)] = np.linalg.solve(damped[np.ix_(place, place)], wanted[np.ix_(rows, place)].T).T
    return solved
