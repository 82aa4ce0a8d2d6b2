"""Grids of weights: real weights enter, a Grid leaves, with a step for each layer, channel or group of inputs.

Codes are symmetric, -(2^(bits-1) - 1) to 2^(bits-1) - 1: with 2 bits -1, 0 and 1.
"""

from dataclasses import dataclass

import numpy as np

from .. import _checks
from ..errors import ArgumentTypeError, UnsupportedError
from ..network.graph import Network
from ..network.grids import Grid
from .calibration import Calibration, MinMax, Mse

# Ends of the range that Mse tries, as shares of the largest weight: 1/16 octave apart, down to a sixteenth of it.
SHARES = 2.0 ** -(np.arange(65) / 16)


@dataclass(frozen=True)
class Groups:
    """Weights in groups of inputs with a step of their own: the step of the channel times a whole factor.

        real = scale[m] * factor[m, k // size] * code[m, k]

    A sum is the sum over groups of factor times the group's integer sum, so that it stays an integer, exactly, and
    one multiplier a channel turns it into a code as before. Groups run along the inputs of a row: channel slowest,
    then kernel row and column. Factors are rounded up, so that rounding them clips nothing.

    Parameters
    ----------
    size : int, 1 or more
        Inputs of a group; the last one may be shorter.
    factor_bits : int, 1 to 8
        Factors are 1 to 2^factor_bits - 1. More bits follow the groups closer and make sums longer.

    References
    ----------
    S. Dai et al., "VS-Quant: Per-vector Scaled Quantization for Accurate Low-Precision Neural Network Inference",
    MLSys 2021, arXiv:2102.04503.
    """

    size: int
    factor_bits: int = 6

    def __post_init__(self):
        _checks.integer(self.size, who="Groups", name="size", low=1)
        _checks.integer(self.factor_bits, who="Groups", name="factor_bits", low=1, high=8)


def check_weight_calibration(calibration) -> Calibration:
    """MinMax or Mse; others judge activations only."""
    calibration = MinMax() if calibration is None else calibration
    if not isinstance(calibration, MinMax | Mse):
        raise ArgumentTypeError(f"quantize: weight_calibration is {calibration!r}; give MinMax() or Mse()")
    return calibration


def refuse_groups(network: Network, *, who: str) -> None:
    """UnsupportedError where groups of inputs have weight steps of their own."""
    for layer in network.weighted:
        if layer.in_groups:
            raise UnsupportedError(
                f"{who}: layer '{layer.name}' has a weight step for each group of inputs, a neuron has one; use "
                "quantize(..., groups=None)"
            )


def weight_grid(
    weight: np.ndarray,
    *,
    bits: int,
    per_channel: bool,
    bias: np.ndarray | None = None,
    groups: Groups | None = None,
    calibration: Calibration | None = None,
) -> Grid:
    """Symmetric grid of a weight (M, ...): largest code at max|w|, or where `Mse` finds the smallest squared error.

    `bias`, in units of weight times input code, keeps the step of a channel with tiny weights wide enough for its bias
    to fit 31 bits, and gives a channel without weights a step that resolves its bias to 20 bits.
    """
    top = (1 << (bits - 1)) - 1
    rows = np.abs(weight.astype(np.float64)).reshape(len(weight), -1)
    ends = _best_ends if isinstance(calibration, Mse) else _largest
    bias = np.zeros(len(weight)) if bias is None else bias
    if groups is not None:
        return _grouped(rows, groups, ends, bias, bits=bits, top=top)
    if not per_channel:
        rows, bias = rows.reshape(1, -1), bias.max(keepdims=True)
    scale = _with_bias(ends(rows, top) / top, bias)
    return Grid(scale=scale, bits=bits, axis=0) if per_channel else Grid(scale=float(scale[0]), bits=bits)


def encode(grid: Grid, weight: np.ndarray) -> np.ndarray:
    """Codes (int8) of real weights, each rounded to the nearest, none below -grid.high."""
    return np.maximum(grid.encode(weight), -grid.high).astype(np.int8)


def _with_bias(step: np.ndarray, bias: np.ndarray) -> np.ndarray:
    without = np.where(bias > 0, bias / 2**20, 1.0)
    return np.where(step > 0, np.maximum(step, bias / 2**30), without)


def _grouped(rows, groups: Groups, ends, bias, *, bits: int, top: int) -> Grid:
    outputs, fan_in = rows.shape
    count, most = -(-fan_in // groups.size), (1 << groups.factor_bits) - 1
    padded = np.zeros((outputs, count * groups.size))
    padded[:, :fan_in] = rows
    steps = (ends(padded.reshape(-1, groups.size), top) / top).reshape(outputs, count)
    scale = _with_bias(steps.max(axis=1) / most, bias)
    factors = np.clip(np.ceil(steps / scale[:, None] * (1 - 1e-12)), 1, most)
    return Grid(scale=scale, bits=bits, axis=0, group=groups.size, factors=factors)


def _largest(rows: np.ndarray, top: int) -> np.ndarray:
    return rows.max(axis=1)


def _best_ends(rows: np.ndarray, top: int) -> np.ndarray:
    """For each row of magnitudes, the end of the range with the smallest squared error of rounding and clipping."""
    largest = rows.max(axis=1)
    best, least = largest.copy(), np.full(len(rows), np.inf)
    for share in SHARES:
        step = np.where(largest > 0, share * largest / top, 1.0)[:, None]
        error = ((rows - step * np.minimum(np.rint(rows / step), top)) ** 2).sum(axis=1)
        better = error < least
        best[better], least[better] = share * largest[better], error[better]
    return best
