"""Ranges of tensors, seen on sample inputs: what quantization and threshold balancing start from.

The samples are training data; the test set has no part in it.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from .. import _checks
from ..network.floating import run_float
from ..network.graph import INPUT, Network
from .histogram import BINS, Histogram

SAMPLED_VALUES = 200_000  # values kept per tensor and batch for percentiles: enough for 99.99 %
KEPT_SAMPLES = 128  # inputs that a quantized network carries along for chips to calibrate on
BATCH = 128  # inputs computed at a time; it bounds the memory
# Ends of ranges that Mse tries, as shares of the largest value: down to half a bin, then finely round the best one.
COARSE = 2.0 ** -(np.arange(23) / 2)
FINE = 2.0 ** (np.arange(-8, 9) / 16)


class Calibration(ABC):
    """Abstract: how the values of a tensor become the range that its grid covers."""

    @abstractmethod
    def range(self, values: np.ndarray | Histogram, bits: int) -> tuple[float, float]:
        """(low, high) for a grid of `bits`, from the sampled values: a flat float array, or their histogram."""


class HistogramCalibration(Calibration):
    """Abstract: decides on histograms of all values; the samples are computed twice, first for the extremes."""


@dataclass(frozen=True)
class MinMax(Calibration):
    """From the smallest to the largest value seen."""

    def range(self, values, bits):
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

    def range(self, values, bits):
        low, high = np.percentile(values, [100 - self.percentile, self.percentile])
        return float(low), float(high)


@dataclass(frozen=True)
class Mse(HistogramCalibration):
    """The range whose grid has the smallest mean squared error on the samples, rounding and clipping together.

    (low, high) = argmin E[(x - decode(encode(x)))^2] with the codes of the grid, for its number of bits. Both ends are
    searched: on steps of half an octave, then of 1/16 octave round the best pair. The error is exact except in bins of
    the histogram that two codes share, which go as a whole to the code of their mean.

    References
    ----------
    M. Nagel et al., "A White Paper on Neural Network Quantization", arXiv:2106.08295.
    """

    def range(self, values, bits):
        low, high = min(values.low, 0.0), max(values.high, 0.0)
        best = _best_pair(values, low * COARSE, high * COARSE, bits)
        return _best_pair(values, np.maximum(best[0] * FINE, low), np.minimum(best[1] * FINE, high), bits)


@dataclass(frozen=True)
class Entropy(HistogramCalibration):
    """The range that loses least information, by the Kullback-Leibler divergence of histograms, as TensorRT does.

    For each number i of bins kept, P is the histogram of abs(x) up to bin i with all that lies beyond added to its last
    filled bin, and Q the histogram up to bin i, without what lies beyond, merged into as many equal parts as there are
    levels and spread evenly over the filled bins of each part. The range ends at the i with the smallest

        KL(P || Q) = sum p log(p / q)    (p, q normalised to 1).

    Three things differ from the source. What lies beyond goes there to bin i even if that is empty, which makes the
    divergence infinite wherever outliers stand apart. At least half of the values must lie within here, because P and
    Q agree when a single bin is left. And the last of all bins is not merged with others: it lies at the last code of
    the whole range, and a Clip with an upper bound (ReLU6) gathers values there.

    Levels: 2^bits for values of one sign, else 2^(bits - 1) for magnitudes; the range is symmetric but for ends that
    no value reaches. Zeros do not count, since every grid holds them exactly. With few levels the divergence weighs
    clipping little against rounding or the reverse; judge the result, or take `Mse`.

    References
    ----------
    S. Migacz, "8-bit inference with TensorRT", GPU Technology Conference 2017, S7310 (entropy calibration).
    """

    def range(self, values, bits):
        if not values.counts.any():
            return values.low, values.high
        levels = 2**bits if values.one_sided else 2 ** (bits - 1)
        end = _least_divergent(values.counts.sum(axis=0), levels) * values.width
        return max(values.low, -end), min(values.high, end)


def observe(network: Network, samples: np.ndarray, calibration: Calibration) -> dict[str, np.ndarray | Histogram]:
    """What `calibration.range` wants to know of every tensor of a float network over the samples."""
    if isinstance(calibration, HistogramCalibration):
        return _histograms(network, samples)
    values: dict[str, list[np.ndarray]] = {name: [] for name in network.shapes}
    for tensors in _batches(network, samples):
        for name, tensor in tensors.items():
            values[name].append(_thinned(tensor))
    return {name: np.concatenate(parts) for name, parts in values.items()}


def _histograms(network, samples) -> dict[str, Histogram]:
    extremes = [{n: (t.min(), t.max()) for n, t in tensors.items()} for tensors in _batches(network, samples)]
    found = {
        name: Histogram(low=float(min(e[name][0] for e in extremes)), high=float(max(e[name][1] for e in extremes)))
        for name in network.shapes
    }
    for tensors in _batches(network, samples):
        found = {name: histogram.plus(tensors[name]) for name, histogram in found.items()}
    return found


def _batches(network, samples):
    """Every tensor by name, for one batch of the samples after the other."""
    names = [layer.name for layer in network.layers]
    for start in range(0, len(samples), BATCH):
        part = samples[start : start + BATCH]
        yield {INPUT: part, **run_float(network, part, keep=names)[1]}


def scale_and_zero(low, high, bits: int):
    """Step and zero point of the grid of 2^bits codes over low .. high, numbers or arrays, with low <= 0 <= high."""
    high = np.where(high - low < 1e-30, low + 1.0, high)  # a tensor of zeros: any step will do
    scale = (high - low) / (2**bits - 1)
    bottom = -(1 << (bits - 1))
    return scale, np.clip(np.rint(bottom - low / scale), bottom, -bottom - 1)


def _best_pair(histogram: Histogram, lows, highs, bits: int) -> tuple[float, float]:
    """The pair of one of `lows` and one of `highs` with the smallest squared error."""
    lows, highs = list(dict.fromkeys(lows)), np.array(list(dict.fromkeys(highs)))
    found = []
    for low in lows:  # one at a time: memory
        errors = _squared_errors(histogram, low, highs, bits)
        place = int(errors.argmin())
        found.append((float(errors[place]), float(low), float(highs[place])))
    return min(found, key=lambda entry: entry[0])[1:]


def _squared_errors(histogram: Histogram, low: float, highs: np.ndarray, bits: int) -> np.ndarray:
    """Sum over all values of (x - decode(encode(x)))^2, for each of `highs`."""
    filled = histogram.counts > 0
    counts, sums, squares = (v[filled] for v in (histogram.counts, histogram.sums, histogram.squares))
    scale, zero = (v[:, None] for v in scale_and_zero(low, highs, bits))
    bottom = -(1 << (bits - 1))
    with np.errstate(invalid="ignore"):
        steps = np.clip(np.rint(sums / counts / scale), bottom - zero, -bottom - 1 - zero)
    real = steps * scale
    return (squares - 2 * real * sums + real * real * counts).sum(axis=1)


def _least_divergent(counts: np.ndarray, levels: int) -> int:
    """The number of bins to keep; the last bin must not be empty. Among equals the largest."""
    best, kept = np.inf, BINS
    filled = (counts > 0).astype(np.float64)
    beyond = counts.sum() - np.cumsum(counts)
    for end in range(levels, BINS + 1):
        if beyond[end - 1] > counts.sum() / 2:
            continue
        merged = min(end, BINS - 1)
        starts = np.arange(levels) * merged // levels
        mass = np.add.reduceat(counts[:merged], starts) / np.maximum(np.add.reduceat(filled[:merged], starts), 1)
        q = np.append(np.repeat(mass, np.diff(starts, append=merged)), counts[merged:end])
        some = filled[:end] > 0
        p, q = counts[:end][some], q[some]
        p[-1] += beyond[end - 1]
        p, q = p / p.sum(), q / q.sum()
        divergence = float((p * np.log(p / q)).sum())
        if divergence <= best:
            best, kept = divergence, end
    return kept


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
