"""Rounding: which of the codes around a real weight it becomes. Real targets and moments enter, codes leave.

Rounding each weight to the nearest code is best for the weights, not for the layer, which with V = step * code is wrong
by

    E = sum over rows m of (V_m - W*_m) A (V_m - W*_m)^T,    A = mean(a a^T) of the inputs a that arrive,

in which errors of inputs that go together can cancel. Every rule below starts from nearest codes on the same grid and
keeps weights that are exactly zero at zero, so that pruned weights stay pruned.

References
----------
.. [1] M. Nagel et al., "Up or Down? Adaptive Rounding for Post-Training Quantization", ICML 2020, arXiv:2004.10568.
.. [2] E. Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers", ICLR
   2023, arXiv:2210.17323.
.. [3] K. Behdin et al., "QuantEase: Optimization-based Quantization for Language Models", arXiv:2309.01885 (descent one
   coordinate at a time).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from .. import _checks
from .moments import Moments

ZETA, GAMMA = 1.1, -0.1  # stretch of the rectified sigmoid, [1] equation 23
BETA = (20.0, 2.0)  # its exponent anneals from the first to the second, so that h ends at 0 or 1
WARM = 0.2  # share of the iterations before the regulariser sets in
ADAM = (0.9, 0.999, 1e-8)  # D. Kingma and J. Ba, ICLR 2015, arXiv:1412.6980, algorithm 1


@dataclass(frozen=True, eq=False)
class Problem:
    """One group of one layer, M outputs and K inputs, in real units."""

    weight: np.ndarray  # (M, K) float64, of the float network
    steps: np.ndarray  # (M, K): real step of each code
    high: int  # codes are -high to high
    moments: Moments

    @property
    def kept(self) -> np.ndarray:
        """(M, K) bool: weights that are not zero."""
        return self.weight != 0

    def nearest(self, target: np.ndarray) -> np.ndarray:
        """Nearest codes of real targets, as float64; zero where the weight is zero."""
        codes = np.clip(np.rint(target / self.steps), -self.high, self.high)
        return np.where(self.kept, codes, 0.0)


class Rounding(ABC):
    """Abstract: how weights become codes. Final: Nearest, Gptq, AdaRound."""

    @abstractmethod
    def codes(self, problem: Problem) -> np.ndarray:
        """Codes (M, K) of one group of a layer, whole numbers."""


@dataclass(frozen=True)
class Nearest(Rounding):
    """Each weight by itself, to the nearest code, half to even."""

    def codes(self, problem):
        return problem.nearest(problem.weight)


@dataclass(frozen=True)
class Gptq(Rounding):
    """One input after the other, each rounding error made good by the inputs not rounded yet (GPTQ), then by descent.

    With U the upper Cholesky factor of A^-1, U^T U = A^-1, input k takes its nearest code and leaves
    (w_k - v_k) / U_kk * U_k,j>k to be subtracted from the weights that follow. Inputs go in the order of falling
    mean square. Then, up to `sweeps` times, each code moves to the best one given all others, until none moves.

    Parameters
    ----------
    damping : float, 0 to 1
        Share of the mean diagonal of A that is added to its diagonal.
    sweeps : int, 0 or more
        Rounds of descent over all inputs; 0 is GPTQ alone.

    Notes
    -----
    The error is that of the layer's sums, before the activation function. Deterministic. What earlier layers get wrong
    is made good too, through W*; the original takes W itself.

    References
    ----------
    E. Frantar et al., "GPTQ", ICLR 2023, arXiv:2210.17323; descent: K. Behdin et al., "QuantEase", arXiv:2309.01885.
    """

    damping: float = 0.01
    sweeps: int = 20

    def __post_init__(self):
        _checks.real(self.damping, who="Gptq", name="damping", low=1e-9, high=1.0)
        _checks.integer(self.sweeps, who="Gptq", name="sweeps", low=0)

    def codes(self, problem):
        second = problem.moments.damped(self.damping)
        target = problem.moments.target(problem.weight, self.damping)
        return descend(problem, target, second, _one_by_one(problem, target, second), self.sweeps)


@dataclass(frozen=True)
class AdaRound(Rounding):
    """Up or down for each weight, learnt by gradient descent::

        v = step * clip(floor(w / step) + h),    h = clip(1.2 sigmoid(z) - 0.1, 0, 1),
        minimise  E / c + strength * sum(1 - |2 h - 1|^beta),

    over z, by Adam with the gradient in closed form on all samples at once; c is the mean diagonal of A times the mean
    squared step of the row, which makes one strength fit all layers. beta falls from 20 to 2 and the second term sets
    in after a fifth of the iterations, so that every h ends at 0 or 1.

    Parameters
    ----------
    iterations : int, 10 or more
    strength : float, > 0
    rate : float, > 0
        Step of Adam.
    damping : float, 0 to 1
        As in `Gptq`.

    Notes
    -----
    Three things differ from the original: the error is that of the sums, not of what the activation function leaves of
    them; each step sees all samples, through their moments, not a draw of them; and w is W*, the weight that fits the
    inputs that arrive. Deterministic.

    References
    ----------
    M. Nagel et al., "Up or Down? Adaptive Rounding for Post-Training Quantization", ICML 2020, arXiv:2004.10568.
    """

    iterations: int = 500
    strength: float = 0.1
    rate: float = 0.05
    damping: float = 0.01

    def __post_init__(self):
        _checks.integer(self.iterations, who="AdaRound", name="iterations", low=10)
        for name in ("strength", "rate", "damping"):
            _checks.real(getattr(self, name), who="AdaRound", name=name, low=1e-9, high=1.0)

    def codes(self, problem):
        second = problem.moments.damped(self.damping)
        target = problem.moments.target(problem.weight, self.damping)
        low = np.where(problem.kept, np.floor(target / problem.steps), 0.0)
        up = _learn(self, problem, target, second / np.diag(second).mean(), low)
        return np.where(problem.kept, np.clip(low + up, -problem.high, problem.high), 0.0)


def descend(problem: Problem, target, second, codes: np.ndarray, sweeps: int) -> np.ndarray:
    """Codes after up to `sweeps` rounds in which each moves to its best value given the others; E never grows."""
    codes, kept, diagonal = codes.copy(), problem.kept, np.diag(second)
    slope = (problem.steps * codes - target) @ second
    for _ in range(sweeps):
        moved = False
        for k in range(len(second)):
            step = problem.steps[:, k]
            best = np.clip(np.rint(codes[:, k] - slope[:, k] / (diagonal[k] * step)), -problem.high, problem.high)
            change = np.where(kept[:, k], best - codes[:, k], 0.0)
            rows = np.flatnonzero(change)
            if len(rows):
                slope[rows] += np.outer(change[rows] * step[rows], second[k])
                codes[rows, k] += change[rows]
                moved = True
        if not moved:
            break
    return codes


def _one_by_one(problem: Problem, target, second) -> np.ndarray:
    """GPTQ: codes (M, K)."""
    order = np.argsort(-np.diag(second), kind="stable")
    inverse = np.linalg.inv(second[np.ix_(order, order)])
    factor = np.linalg.cholesky((inverse + inverse.T) / 2).T  # upper: factor^T factor = inverse
    left, codes = target[:, order].copy(), np.zeros(target.shape)
    for place, k in enumerate(order):
        step = problem.steps[:, k]
        chosen = np.clip(np.rint(left[:, place] / step), -problem.high, problem.high)
        codes[:, k] = np.where(problem.kept[:, k], chosen, 0.0)
        wrong = (left[:, place] - step * codes[:, k]) / factor[place, place]
        left[:, place + 1 :] -= np.outer(wrong, factor[place, place + 1 :])
    return codes


def _learn(rule: AdaRound, problem: Problem, target, second, low) -> np.ndarray:
    """0 or 1 (M, K): whether each weight is rounded up."""
    steps = problem.steps / np.sqrt((problem.steps**2).mean(axis=1, keepdims=True))
    exact = target / problem.steps
    share = np.clip(exact - low, 0.01, 0.99)
    z = -np.log((ZETA - GAMMA) / (share - GAMMA) - 1)
    first, square = np.zeros_like(z), np.zeros_like(z)
    warm = int(WARM * rule.iterations)
    for t in range(rule.iterations):
        sigmoid = 1 / (1 + np.exp(-z))
        stretched = (ZETA - GAMMA) * sigmoid + GAMMA
        h = np.clip(stretched, 0, 1)
        inside = np.clip(low + h, -problem.high, problem.high)
        slope = 2 * steps * ((steps * (np.where(problem.kept, inside, 0.0) - exact)) @ second)
        slope[np.abs(low + h) > problem.high] = 0
        if t >= warm:
            beta = BETA[0] + (BETA[1] - BETA[0]) * (t - warm) / (rule.iterations - warm)
            away = 2 * h - 1
            slope -= rule.strength * 2 * beta * np.sign(away) * np.abs(away) ** (beta - 1)
        slope *= (ZETA - GAMMA) * sigmoid * (1 - sigmoid) * ((stretched > 0) & (stretched < 1))
        first += (1 - ADAM[0]) * (slope - first)
        square += (1 - ADAM[1]) * (slope**2 - square)
        size = np.sqrt(square / (1 - ADAM[1] ** (t + 1))) + ADAM[2]
        z -= rule.rate * first / (1 - ADAM[0] ** (t + 1)) / size
    return (h >= 0.5).astype(np.float64)
