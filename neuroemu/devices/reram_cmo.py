"""ReRAM of a conductive metal oxide on HfOx (CMO/HfOx): write-verify within an acceptance range, drift and 1/f noise.

G(0) = max(0, target + sigma_prog N),     sigma_prog = a + b target
G(t) = max(0, G(0) - 0.0890 uS ln t + (0.0420 ln t + 0.4118) uS N'),   t in s, from 1 s on
sigma_read = 0.0277 uS log10(G / uS) sqrt(ln((t + t_read) / (2 t_read)))
"""

from dataclasses import dataclass
from math import log, sqrt

import numpy as np

from .. import _checks
from . import _parameters
from ._arrays import by_blocks
from ._relaxing import RelaxingDevice
from .base import ReadShares

MICRO = 1e-6

# All constants: ReRamCMONoiseModel of aihwkit 1.2.0 (noise/reram.py), from Falcone 2025.
PROGRAMMING = {  # acceptance range in %: (uS, uS per uS of target)
    0.2: (0.00081107, 0.00106879),
    2: (0.0112185391, 0.01129027418),
}
SHIFT = -0.08900206  # uS for each e-fold of t / 1 s
SPREAD = (0.41183342, 0.04201137)  # uS at 1 s, and for each e-fold of t / 1 s
READ = 0.0277316483  # uS for each decade of G / 1 uS


@dataclass(frozen=True)
class RramCmo(RelaxingDevice):
    """CMO/HfOx ReRAM, from 1 s to 10 years after programming.

    Parameters
    ----------
    acceptance : {0.2, 2}, %
        Range around the target at which write-verify stops. Nothing else was measured, and nothing else is accepted.
    g_min, g_max : float, siemens, 0 <= g_min < g_max
        9 uS to 88.2 uS were measured.
    t_read : float, seconds, > 0
        One read; the 1/f noise gathers from 2 t_read on.
    programming_noise, drift, read_noise : bool
        Each effect on or off.
    white : bool
        All read noise fresh at each read, instead of split by time scale.

    Raises
    ------
    InputError
        Another acceptance range, or a range or time outside these limits.

    Notes
    -----
    The fit of the read noise turns negative below 1 uS: there it is 0. Between 0 s and 1 s, where the fit of the drift
    does not hold, a cell has already relaxed as it has at 1 s. Unlike the source's code, values are cut at 0 only, not
    at g_min and g_max. Not modelled: dependence of the drift on G, temperature, nonlinear I-V, the resistance of the
    access transistor.

    References
    ----------
    D. F. Falcone et al., "All-in-One Analog AI Accelerator: On-Chip Training and Inference with Conductive-Metal-Oxide
    /HfOx ReRAM Devices", arXiv (2025), doi:10.48550/arXiv.2502.04524.
    """

    acceptance: float = 2
    g_min: float = 9e-6  # default of aihwkit 1.2.0's converter for this device
    g_max: float = 88.199997e-6  # likewise
    t_read: float = 1e-6  # likewise, of its read noise
    programming_noise: bool = True
    drift: bool = True
    read_noise: bool = True
    white: bool = False

    def __post_init__(self):
        _checks.choice(self.acceptance, tuple(PROGRAMMING), who="RramCmo", name="acceptance (%)")
        _parameters.conductance_range(self)
        _parameters.positive(self.t_read, who="RramCmo", name="t_read")

    @property
    def last_seconds(self):
        return None

    def shift(self, target, seconds):
        return np.full_like(target, SHIFT * log(max(seconds, 1.0)) * MICRO if seconds > 0 else 0.0)

    def sigma(self, target, seconds):
        offset, slope = PROGRAMMING[self.acceptance]
        programming = offset * MICRO + slope * np.asarray(target)
        if seconds == 0:
            return programming
        return np.sqrt(programming**2 + ((SPREAD[0] + SPREAD[1] * log(max(seconds, 1.0))) * MICRO) ** 2)

    def read_sigma(self, cells, seconds):
        now = self.conductance(cells, seconds)
        gathered = (seconds + self.t_read) / (2 * self.t_read)
        if not self.read_noise or gathered <= 1:  # not one correlation time has passed
            return np.zeros_like(now)
        size = READ * MICRO * sqrt(log(gathered))
        return by_blocks(lambda g: size * np.log10(np.maximum(g / MICRO, 1.0)), now)

    def read_shares(self, seconds, *, image_seconds, session_seconds, cells=None):
        """1/f between 2 t_read and t + t_read; all fresh when `white`."""
        _parameters.spans("RramCmo", image_seconds, session_seconds, read_seconds=self.t_read)
        if self.white:
            return ReadShares(1.0, 0.0, 0.0)
        return _parameters.flicker_shares(2 * self.t_read, seconds + self.t_read, image_seconds, session_seconds)
