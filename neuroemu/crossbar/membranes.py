"""Membranes: neurons of one layer over the steps of a presentation, driven by what the columns of its tiles give.

Enter drives (B, T, P, M) in units of the network's potential; leave spikes and the last potentials. The step is that of
the network's integer neurons (`kernels.events_reference`), in float64: on whole numbers below 2^53 it is exact, and
with real numbers it is a capacitor. Array letters: B images, T steps, P positions, M channels.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

DECAY_UNIT = 4096  # decay registers count in 1/4096 a step, as on Loihi (Davies 2018, doi:10.1109/MM.2018.112130359)


@dataclass(frozen=True, eq=False, kw_only=True)
class Membrane:
    """Settings of the neurons of one layer, in units of the potential.

    `keep` is what a step leaves of the last potential (None: all of it); `limits` are where it saturates; `bias`
    broadcasts with (P, M). `threshold` None: no spikes.
    """

    threshold: float | None
    bias: np.ndarray | float = 0.0
    initial: float = 0.0
    subtract: bool = False
    refractory: int = 1
    keep: Callable[[np.ndarray], np.ndarray] | None = None
    limits: tuple[float, float] = (-np.inf, np.inf)

    def run(
        self, drive: np.ndarray, disturbance: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Spikes (B, T, P, M), potentials (B, P, M) after the last step, and how often one met (lower, upper) limit.

            v(t) = clip(keep(v(t-1)) + drive(t) + bias, limits), held while refractory
            spike where v(t) + disturbance(t) > threshold;  then v = 0, or v - threshold

        `disturbance`, which broadcasts with the drive, is what the comparator adds: offset and noise.
        """
        images, steps, *places = drive.shape
        v = np.full((images, *places), float(self.initial))
        spikes = np.zeros(drive.shape, bool)
        rest = np.zeros(v.shape, np.int16)  # steps that a neuron is still refractory
        biased, saturated = np.any(self.bias), np.zeros(2, np.int64)
        for t in range(steps):
            new = v if self.keep is None else self.keep(v)
            new = np.add(new, drive[:, t], out=v if self.refractory == 1 else None)
            if biased:
                new += self.bias
            v = new if self.refractory == 1 else np.where(rest > 0, v, new)
            saturated += self._clip(v)
            if self.threshold is not None:
                seen = v if disturbance is None else v + disturbance[:, t]
                self._fire(v, seen, spikes[:, t], rest)
        return spikes, v, saturated

    def _clip(self, v: np.ndarray) -> tuple[int, int]:
        """Hold potentials within the limits, in place; how many were below and above."""
        found = [0, 0]
        for which, (limit, beyond, hold) in enumerate(
            zip(self.limits, (np.less, np.greater), (np.maximum, np.minimum), strict=True)
        ):
            furthest = v.max(initial=-np.inf) if which else v.min(initial=np.inf)
            if beyond(furthest, limit):
                found[which] = int(np.count_nonzero(beyond(v, limit)))
                hold(v, limit, out=v)
        return tuple(found)

    def _fire(self, v, seen, fired, rest):
        """Spikes of one step into `fired`; potentials and refractory counters change in place."""
        np.greater(seen, self.threshold, out=fired)
        if self.refractory > 1:
            fired &= rest == 0
            rest[...] = np.where(fired, self.refractory - 1, np.maximum(rest - 1, 0))
        if self.subtract:  # products, as masked operations take several times as long
            v -= fired * float(self.threshold)
        else:
            v *= ~fired


def integer_decay(register: int) -> Callable[[np.ndarray], np.ndarray] | None:
    """What a step of integer decay keeps, sign(x) floor(|x| (4096 - d) / 4096); None for d = 0."""
    if register == 0:
        return None
    share = float(DECAY_UNIT - register)
    return lambda x: np.trunc(x * share / DECAY_UNIT)


def with_memory(drive: np.ndarray, keep: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Synaptic currents u(t) = keep(u(t-1)) + drive(t)."""
    out = drive.copy()
    for t in range(1, drive.shape[1]):
        out[:, t] += keep(out[:, t - 1])
    return out
