"""Ranges of tensors, seen on sample inputs: what quantization and threshold balancing start from.

The samples are training data; the test set has no part in it.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from .. import _checks
from ..network.floating import run_float
from ..network.graph import Network

SAMPLED_VALUES = 200_000  # values kept per tensor and batch for percentiles: enough for 99.99 %
KEPT_SAMPLES = 128  # inputs that a quantized network carries along for chips to calibrate on


class Calibration(ABC):
    """Abstract: how the values of a tensor become the range that its grid covers."""

    @abstractmethod
    def range(self, values: np.ndarray) -> tuple[float, float]:
        """(low, high) of the sampled values, a flat float array."""


@dataclass(frozen=True)
class MinMax(Calibration):
    """From the smallest to the largest value seen."""

    def range(self, values):
        return float(values.min()), float(values.max())


@dataclass(frozen=True)
class Percentile(Calibration):
    """Cuts (100 - percentile) % of the values off each end.

    Parameters
    ----------
    percentile : float, 50 to 100
    """

    percentile: float = 99.99

    def __post_init__(self):
        _checks.real(self.percentile, who="Percentile", name="percentile", low=50.0, high=100.0)

    def range(self, values):
        low, high = np.percentile(values, [100 - self.percentile, self.percentile])
        return float(low), float(high)


def tensor_ranges(network: Network, samples: np.ndarray, calibration: Calibration) -> dict[str, tuple[float, float]]:
    """(low, high) of every tensor of a float network over the samples."""
    names = [layer.name for layer in network.layers]
    values: dict[str, list[np.ndarray]] = {name: [] for name in ("input", *names)}
    for start in range(0, len(samples), 128):
        part = samples[start : start + 128]
        _, kept = run_float(network, part, keep=names)
        for name, tensor in {"input": part, **kept}.items():
            values[name].append(_thinned(tensor))
    return {name: calibration.range(np.concatenate(parts)) for name, parts in values.items()}


def _thinned(tensor: np.ndarray) -> np.ndarray:
    """At most about SAMPLED_VALUES values, evenly spaced, always with the extremes."""
    flat = tensor.ravel()
    if flat.size <= SAMPLED_VALUES:
        return flat
    step = -(-flat.size // SAMPLED_VALUES)
    # A step that shares a factor with the row length would always hit the same channel.
    return np.concatenate([flat[:: step | 1], [flat.min(), flat.max()]])


def check_samples(samples, network: Network, *, who: str) -> np.ndarray:
    """The calibration inputs as a checked array."""
    return network.check_input(samples, who=f"{who} (samples)")


def names_followed_by(network: Network, kind: type) -> Iterable[tuple[str, str]]:
    """(tensor, reader) pairs where `reader`, a layer of `kind`, is all that reads `tensor`."""
    for layer in network.layers:
        if isinstance(layer, kind) and len(network.readers(layer.inputs[0])) == 1:
            yield layer.inputs[0], layer.name
