"""SONOS charge-trap cell, 40 nm, read in subthreshold: statistics of its current over five days.

    I(t) = max(0, I_target + D_t(I_target) + sigma_t N),   sigma_t = A_t (1 - exp(-(I_target + D_t) / B_t)),   I in nA
    sigma_read = 12.58 nA (1 - exp(-I / 215.4 nA))

D_t is the mean drift, a polynomial of the target; D_t, A_t and B_t are linear in t between the days measured. The cell
has one read voltage, so a conductance is its current over that voltage.
"""

from dataclasses import dataclass

import numpy as np

from . import _parameters
from ._arrays import by_blocks, polynomial
from ._relaxing import RelaxingDevice
from .base import ReadShares

NANO = 1e-9
DAY = 86_400.0

# All constants: SONOS.py of CrossSim 3.2.0, from Figs. 10 and 11 of Agrawal 2022. One row a day, 0 to 5 days.
SPREAD = (  # A in nA, B in nA; Fig. 10(a)
    (19.88665, 176.3115),
    (25.59102, 186.85544),
    (28.72753, 193.56834),
    (31.04318, 198.90332),
    (33.76214, 204.77023),
    (34.57909, 207.34309),
)
READ = (12.58037, 215.36557)  # A and B of the read noise, nA; Fig. 11(b)
DRIFT = (  # nA, ascending powers of the target in nA; Fig. 10(b)
    (0.0,) * 11,
    (1.72684e-01, 5.72552e-02, -6.85715e-04, 3.50271e-06, -9.37682e-09, 1.40575e-11, -1.19803e-14, 5.41293e-18,
     -8.85448e-22, -1.66869e-25, 5.95180e-29),
    (2.50712e-01, 6.62195e-02, -6.83218e-04, 2.99442e-06, -6.78255e-09, 7.70482e-12, -3.04983e-15, -2.15919e-18,
     2.94617e-21, -1.23359e-24, 1.85329e-28),
    (-1.75300e-02, 9.76883e-02, -9.63791e-04, 4.55551e-06, -1.22391e-08, 1.93786e-11, -1.85899e-14, 1.07659e-17,
     -3.58211e-21, 5.96785e-25, -3.30410e-29),
    (4.03338e-02, 1.03111e-01, -1.04740e-03, 4.83961e-06, -1.28132e-08, 1.99484e-11, -1.85139e-14, 1.00008e-17,
     -2.84944e-21, 3.01008e-25, 1.18747e-29),
    (3.19927e-01, 1.06596e-01, -1.04054e-03, 4.50290e-06, -1.10352e-08, 1.56477e-11, -1.27592e-14, 5.45513e-18,
     -7.26841e-22, -2.43893e-25, 7.14608e-29),
)  # fmt: skip
HIGHEST = 3200.0  # nA, of the spread and the read noise; the same file
HIGHEST_DRIFTING = 1800.0  # nA, of the mean drift; the same file


@dataclass(frozen=True)
class Sonos(RelaxingDevice):
    """40 nm SONOS cell in subthreshold, up to five days after programming.

    Parameters
    ----------
    g_min, g_max : float, siemens, 0 <= g_min < g_max
        g_max v_read may reach 3200 nA, with `drift` 1800 nA.
    v_read : float, volts, > 0
        Drain voltage of a read.
    programming_noise, drift, read_noise : bool
        Each effect on or off; `drift` is mean drift and growth of the spread together.

    Raises
    ------
    InputError
        A range outside these limits; with `drift`, a time beyond five days.

    Notes
    -----
    Read noise is fresh at each read, as its source gives no time scale: rosy if it is 1/f. The polynomials are fits,
    and the target is that of the cell as programmed. Not modelled: temperature, the bits' disturb, gate voltages.

    References
    ----------
    V. Agrawal et al., "Subthreshold operation of SONOS analog memory to enable accurate low-power neural network
    inference", IEDM (2022), 21.7, doi:10.1109/IEDM45625.2022.10019564. Coefficients as in CrossSim 3.2.0.
    """

    g_min: float = 1.6e-12  # on/off ratio 1e7: SONOS.py of CrossSim 3.2.0
    g_max: float = 16e-6  # likewise
    v_read: float = 0.1  # assumed: 16 uS then carry 1600 nA, within the range of the drift
    programming_noise: bool = True
    drift: bool = True
    read_noise: bool = True

    def __post_init__(self):
        v_read = _parameters.positive(self.v_read, who="Sonos", name="v_read")
        highest = HIGHEST_DRIFTING if self.drift else HIGHEST
        _parameters.conductance_range(self, high=highest * NANO / v_read)

    @property
    def last_seconds(self):
        return (len(DRIFT) - 1) * DAY

    def shift(self, target, seconds):
        return self._drift(self._nanoamperes(target), seconds) * NANO / self.v_read

    def sigma(self, target, seconds):
        current = self._nanoamperes(target)
        days = np.arange(len(SPREAD))
        a, b = (np.interp(seconds / DAY, days, column) for column in np.transpose(SPREAD))
        return _saturating(current + self._drift(current, seconds), a, b) * NANO / self.v_read

    def _nanoamperes(self, conductance):
        return np.asarray(conductance, np.float64) * self.v_read / NANO

    @staticmethod
    def _drift(current, seconds):
        if seconds == 0:
            return np.zeros_like(current)
        days = np.arange(len(DRIFT))
        return polynomial(current, [float(np.interp(seconds / DAY, days, column)) for column in np.transpose(DRIFT)])

    def read_sigma(self, cells, seconds):
        now = self.conductance(cells, seconds)
        if not self.read_noise:
            return np.zeros_like(now)
        return by_blocks(lambda g: _saturating(self._nanoamperes(g), *READ) * NANO / self.v_read, now)

    def read_shares(self, seconds, *, image_seconds, session_seconds, cells=None):
        _parameters.spans("Sonos", image_seconds, session_seconds)
        return ReadShares(1.0, 0.0, 0.0)


def _saturating(current, a, b):
    """a (1 - exp(-current / b)), not below 0."""
    return np.maximum(-a * np.expm1(-current / b), 0.0)
