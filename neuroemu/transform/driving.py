"""Integer weights of one stage, and what its neurons receive in every step on the sample inputs.

A spike at every step of a source neuron means the real number `unit`. With real weights W, each spike adds W * unit to
a neuron; codes on one step for all branches of the stage hold it, since a neuron has one threshold.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..network import layers as L
from ..network import ops
from ..network.grids import Grid
from .firing import Firing
from .stages import Branch, Stage

CORRECTIONS = 3  # times that the mean error is taken off; neurons at rest do not answer, so once is not enough
LEAST_EXACT = 4  # a skip of at least so many codes is made exact: the step grows by a fifth at most


@dataclass(frozen=True, eq=False)
class Train:
    """Spikes of a tensor on the samples, bool (T, B, ...), and the real value of a spike at every step.

    `unit` is a number, or an array in the shape of the tensor (without batch) where channels of several sources meet.
    """

    spikes: np.ndarray
    unit: float | np.ndarray


@dataclass(frozen=True, eq=False)
class Driven:
    """A stage in integers; S steps, B samples.

    Attributes
    ----------
    layers : the weighted layers with codes, without biases
    drive : float32 (S, B, ...), what each neuron receives in each step, bias included, in codes
    bias : float64 (channels,), in codes
    per_code : real value of one code at every step
    worst : largest sum of the sizes of all codes into one neuron
    """

    layers: tuple[L.Weighted, ...]
    drive: np.ndarray
    bias: np.ndarray
    per_code: float
    worst: int


def driven(stage: Stage, trains: Mapping[str, Train], firing: Firing, *, bits: int) -> Driven:
    """The stage with codes of `bits` bits, driven by the spikes of what its branches read."""
    real = [_per_spike(branch, trains[branch.layer.inputs[0]].unit) for branch in stage.branches]
    step = _step(stage.branches, real, bits)
    layers, drive, worst = [], 0.0, 0
    bias = np.zeros(len(real[0]))
    for branch, weight in zip(stage.branches, real, strict=True):
        layer, train = branch.layer, trains[branch.layer.inputs[0]]
        codes = Grid(scale=step, bits=bits).encode(weight)
        # Where all spikes mean the same, the grid decodes the codes to the weights of the layer.
        grid = Grid(scale=step / (branch.gain * train.unit) if np.ndim(train.unit) == 0 else step, bits=bits)
        layers.append(replace(layer, weight=codes, weight_grid=grid, bias=None))
        drive = drive + _received(layer, codes, train.spikes)
        bias += 0.0 if layer.bias is None else layer.bias / step
        worst += int(np.abs(codes.astype(np.int64)).reshape(len(codes), -1).sum(axis=1).max())
    per_place = bias if drive.ndim == 3 else ops.along_channels(bias, 4)
    drive = firing.current(drive)
    drive += per_place.astype(np.float32)
    return Driven(tuple(layers), drive, bias, step, worst)


def corrected(found: Driven, goal: np.ndarray, level: float, gain: float, firing: Firing) -> Driven:
    """The stage with biases that take the mean error of each channel on the samples away.

    Reference: Y. Li et al., "A Free Lunch From ANN", ICML 2021, arXiv:2106.06984, section 4.2 (bias shift).
    """
    for _ in range(CORRECTIONS):
        value = firing.values(firing.fire(found.drive, level, level * firing.start))
        found = shifted(found, channel_means(goal - gain * value))
    return found


def shifted(found: Driven, bias: np.ndarray) -> Driven:
    """The stage with something added to its biases."""
    per_place = ops.along_channels(bias.astype(np.float32), found.drive.ndim - 1)
    return replace(found, drive=found.drive + per_place, bias=found.bias + bias)


def channel_means(values: np.ndarray) -> np.ndarray:
    """(B, channels, ...) -> (channels,)."""
    return values.mean(axis=(0, *range(2, values.ndim)))


def _per_spike(branch: Branch, unit) -> np.ndarray:
    """What one spike at every step adds, in real numbers: float64 in the shape of the weights."""
    weight = branch.layer.weight.astype(np.float64) * branch.gain
    if np.ndim(unit) == 0:
        return weight * unit
    if isinstance(branch.layer, L.Dense):
        return weight * unit
    groups = branch.layer.groups
    grouped = weight.reshape(groups, len(weight) // groups, *weight.shape[1:])
    return (grouped * unit[:, 0, 0].reshape(groups, 1, -1, 1, 1)).reshape(weight.shape)


def _step(branches, real: list[np.ndarray], bits: int) -> float:
    """The step of the codes: the largest weight takes the largest code; a skip gets a whole number of steps."""
    top = (1 << (bits - 1)) - 1
    largest = max(float(np.abs(weight).max()) for weight in real)
    step = largest / top if largest else 1.0
    for branch, weight in zip(branches, real, strict=True):
        value = float(np.abs(weight).max())
        codes = int(value / step + 1e-9)
        if branch.skip and np.isin(np.abs(weight), (0.0, value)).all() and codes >= LEAST_EXACT:
            return value / codes
    return step


def _received(layer: L.Weighted, codes: np.ndarray, spikes: np.ndarray) -> np.ndarray:
    weight = codes.astype(np.float32)
    return np.stack(
        [ops.weighted_sum(layer, s.astype(np.float32), weight, ops.exact_product).astype(np.float32) for s in spikes]
    )
