"""Thresholds balanced on what really arrives at a layer of neurons on the sample inputs.

Enter the input of every neuron in every step and the activation that its spikes should stand for; leave the threshold
and the value of the spikes.

References
----------
P. U. Diehl et al., IJCNN 2015, doi:10.1109/IJCNN.2015.7280696 (largest activation).
B. Rueckauer et al., Front. Neurosci. 2017, doi:10.3389/fnins.2017.00682 (percentile).
T. Bu et al., ICLR 2022, arXiv:2303.04347 (clips of activations with L levels; initial potential of half a threshold).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import numpy as np

from .. import _checks
from ..errors import InputError
from .firing import Firing

# Thresholds tried, times the largest activation.
CANDIDATES = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.15, 1.3, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0)
TRIED = 1 << 16  # neurons times samples


@dataclass(frozen=True, eq=False)
class Layer:
    """What a balance sees of a layer; T steps, B samples. All but `name` in units of the potential.

    Attributes
    ----------
    name : str
    drive : float32 (T, B, ...), what the neurons receive in each step
    goal : (B, ...), the activation that their spikes should stand for
    high : float, upper bound of the activation; inf if it has none
    firing : Firing
    """

    name: str
    drive: np.ndarray
    goal: np.ndarray
    high: float
    firing: Firing


class Balance(ABC):
    """Abstract: how the threshold of a layer follows from its activations on the samples."""

    @abstractmethod
    def threshold(self, layer: Layer) -> tuple[float, float]:
        """(threshold, value): the value is the activation that a spike at every step stands for."""


@dataclass(frozen=True)
class MaxBalance(Balance):
    """The largest activation on the samples: no rate saturates there, and most rates are low."""

    def threshold(self, layer):
        return _both(float(layer.goal.max()), layer)


@dataclass(frozen=True)
class PercentileBalance(Balance):
    """A percentile of all activations on the samples: a few rates saturate, the others are finer.

    Parameters
    ----------
    percentile : float, 50 to 100
    """

    percentile: float = 99.9

    def __post_init__(self):
        _checks.real(self.percentile, who="PercentileBalance", name="percentile", low=50.0, high=100.0)

    def threshold(self, layer):
        return _both(float(np.percentile(layer.goal, self.percentile)) or float(layer.goal.max()), layer)


@dataclass(frozen=True)
class MseBalance(Balance):
    """Of 15 candidates from 0.4 to 4 times the largest activation, the one with the smallest mean squared error.

    Where neurons fire once, the candidates are larger by the steps over 20: their spikes spread over the time.

    The rates are computed from the spikes that really arrive. The value of a rate is its least-squares fit; with reset
    to zero it exceeds the threshold, because what a spike overshoots is lost. Of large layers, evenly spaced neurons
    are tried.
    """

    def threshold(self, layer):
        layer = _thinned(layer)
        goal = layer.goal
        largest = float(np.quantile(goal, 0.9999)) or float(goal.max())
        if largest <= 0:
            return _both(0.0, layer)
        found = []
        for candidate in CANDIDATES:
            threshold = candidate * largest * layer.firing.spread(len(layer.drive))
            value = layer.firing.values(layer.firing.fire(layer.drive, threshold, layer.firing.start * threshold))
            square = float((value * value).sum())
            gain = float((value * goal).sum()) / square if square else threshold
            found.append((float(np.mean((gain * value - goal) ** 2)), threshold, gain))
        return min(found)[1:]


@dataclass(frozen=True)
class QcfsBalance(Balance):
    """The upper bound of the activation, for networks whose activations have L levels between 0 and that bound.

    With half a threshold as initial potential, evenly spaced input and reset by subtraction, the rate of a neuron in
    T = L steps is its activation, rounded as the network rounds it. Spikes that arrive unevenly leave an error, which
    falls with more steps. Take a network from `quantize(..., activation_bits=...)`, or one with upper bounds in its
    Clip layers.
    """

    def threshold(self, layer):
        if layer.high == np.inf:
            raise InputError(
                f"QcfsBalance: layer '{layer.name}' has no upper bound; quantize the network, give its Clip layers a "
                "`high`, or use MseBalance()"
            )
        return layer.high, layer.high


def _thinned(layer: Layer) -> Layer:
    """The layer, or evenly spaced neurons of it, about TRIED over all samples."""
    steps, samples = layer.drive.shape[:2]
    every = -(-layer.goal.size // TRIED) | 1  # odd: it shares no factor with usual numbers of positions
    if every == 1:
        return layer
    drive = np.ascontiguousarray(layer.drive.reshape(steps, samples, -1)[:, :, ::every])
    return replace(layer, drive=drive, goal=layer.goal.reshape(samples, -1)[:, ::every])


def _both(level: float, layer: Layer) -> tuple[float, float]:
    """A threshold that is the value of its spikes; out of reach where there is no activation on the samples."""
    if level > 0:
        return level, level
    silent = 1.0 + float(np.abs(layer.drive).max())
    return silent, silent
