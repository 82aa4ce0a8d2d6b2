"""How the neurons of a spiking network fire, simulated in floating point for balancing."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

KEPT = 1 - 1 / 4096  # of a current from one step to the next, with the smallest decay of Loihi (register 0)


@dataclass(frozen=True)
class Firing:
    """The rule of all neurons of a network.

    Attributes
    ----------
    reset : {"zero", "subtract"}
    once : bool
        Whether a neuron fires at most once. Its spike then lasts: it adds its weight in every later step, as a current
        that does not decay, so that an early spike means much.
    """

    reset: str
    once: bool = False

    @property
    def start(self) -> float:
        """Initial potential over the threshold: half of it rounds a rate; a first spike needs no rounding."""
        return 0.0 if self.once else 0.5

    def spread(self, steps: int) -> float:
        """What thresholds are to be multiplied by so that spikes use `steps` steps: 1 for rates.

        A steady input of the size of the threshold makes a neuron fire in the first step. On training images of the
        embedded network, steps over 20 gave most at 32 steps, of 40, 20 and 13; at 64 steps 13 gave 0.6 points more.
        """
        return max(1.0, steps / 20) if self.once else 1.0

    def current(self, received: np.ndarray) -> np.ndarray:
        """Current (T, B, ...) from what the synapses deliver; changed in place."""
        if self.once:
            for before, now in pairwise(received):
                now += np.float32(KEPT) * before
        return received

    def fire(self, drive: np.ndarray, threshold: float, initial: float) -> np.ndarray:
        """Spikes of integrate-and-fire neurons driven by `drive` (T, B, ...)."""
        spikes = np.empty(drive.shape, bool)
        v = np.full(drive.shape[1:], float(initial))
        fired = np.zeros(drive.shape[1:], bool)
        for now, step in zip(drive, spikes, strict=True):
            v += now
            np.greater(v, threshold, out=step)
            if self.once:
                step &= ~fired
                fired |= step
            elif self.reset == "subtract":
                np.subtract(v, threshold, out=v, where=step)
            else:
                v[step] = 0.0
        return spikes

    def values(self, spikes: np.ndarray) -> np.ndarray:
        """(B, ...): what the spikes stand for, in units of a spike at every step; the share of steps for one spike."""
        if not self.once:
            return spikes.mean(axis=0, dtype=np.float64)
        steps = np.arange(len(spikes), 0, -1.0).reshape(-1, *(1,) * (spikes.ndim - 1))
        return (spikes * steps).sum(axis=0) / len(spikes)
