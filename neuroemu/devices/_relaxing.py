"""What the cells have in common whose publications give a mean and a spread of G at some times after programming.

    G(t) = max(0, target + shift(target, t) + sigma(target, 0) z + sqrt(sigma(target, t)^2 - sigma(target, 0)^2) z')

z and z' are standard normal, drawn once for each cell, so at any time G is max(0, normal) with the published mean and
spread, and a cell's path is a function of absolute time alone. Assumed, as no source says: programming error z and
relaxation z' are independent, and a cell relaxes in one direction.
"""

from abc import abstractmethod

import numpy as np

from . import _parameters
from ._arrays import Normals, blocks, by_blocks
from .base import Cells, Device, held_if_stuck


class RelaxingDevice(Device):
    """Abstract: a device given by shift(target, t) and sigma(target, t)."""

    programming_noise: bool
    drift: bool

    @property
    @abstractmethod
    def last_seconds(self) -> float | None:
        """End of the measurements; None where nothing ends the fit."""

    @abstractmethod
    def shift(self, target: np.ndarray, seconds: float) -> np.ndarray:
        """Mean of G(t) minus target, siemens."""

    @abstractmethod
    def sigma(self, target: np.ndarray, seconds: float) -> np.ndarray:
        """Standard deviation of G(t), siemens; at 0 s that of programming."""

    def program(self, target, generator):
        target = _parameters.target(self, target)
        noise, wanted = Normals(generator), target.reshape(-1)
        programmed, error, relaxation = np.empty(target.shape), np.zeros(target.shape), np.empty(target.shape)
        for place in blocks(wanted.size):
            if self.programming_noise:
                error.reshape(-1)[place] = self.sigma(wanted[place], 0.0) * noise.block(0, place)
            programmed.reshape(-1)[place] = np.maximum(wanted[place] + error.reshape(-1)[place], 0.0)
            relaxation.reshape(-1)[place] = noise.block(1, place)
        return Cells(programmed, state={"target": target.copy(), "error": error, "relaxation": relaxation})

    def conductance(self, cells, seconds):
        seconds = _parameters.seconds(self, seconds, high=self.last_seconds if self.drift else None)
        target, error, relaxation = _parameters.kept(self, cells, "target", "error", "relaxation")
        if not self.drift or seconds == 0:
            return cells.conductance

        def now(target, error, relaxation):
            grown = np.maximum(self.sigma(target, seconds) ** 2 - self.sigma(target, 0.0) ** 2, 0.0)
            return np.maximum(target + self.shift(target, seconds) + error + np.sqrt(grown) * relaxation, 0.0)

        return held_if_stuck(cells, by_blocks(now, target, error, relaxation))
