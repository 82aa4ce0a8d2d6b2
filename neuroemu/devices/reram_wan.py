"""ReRAM of the NeuRRAM chip: spread of the conductance after write-verify, and its growth over two days.

    G(t) = max(0, target + sigma N),   sigma a polynomial of the target (see WanFit)

Two fits of the same figure are in use and differ by about half at 40 uS; name the one that is meant.
"""

from dataclasses import dataclass

import numpy as np

from .. import _checks
from ..errors import ArgumentTypeError, InputError
from . import _parameters
from ._arrays import polynomial
from ._relaxing import RelaxingDevice
from .base import ReadShares

MICRO = 1e-6
DAY = 86_400.0


@dataclass(frozen=True)
class WanFit:
    """Spread of the conductance as polynomials, one for each time.

    Parameters
    ----------
    name : str
    times : tuple of float, seconds, rising
    coefficients : tuple of tuples, uS, ascending powers
        Of target / `reference` when that is given, else of the target in uS.
    reference : float or None, siemens
        The g_max that was fitted; for another g_max the spread scales along. None: the spread depends on the target
        alone.
    highest : float or None, siemens
        Largest g_max that the fit covers.
    """

    name: str
    times: tuple[float, ...]
    coefficients: tuple[tuple[float, ...], ...]
    reference: float | None = None
    highest: float | None = None

    def __post_init__(self):
        who = f"WanFit '{self.name}'"
        if not self.times or len(self.times) != len(self.coefficients):
            raise InputError(f"{who}: {len(self.times)} times and {len(self.coefficients)} polynomials; give one each")
        _parameters.positive(self.times[0], who=who, name="times[0]")
        if any(b <= a for a, b in zip(self.times, self.times[1:], strict=False)):
            raise InputError(f"{who}: times are {self.times}; they must rise")
        for index, powers in enumerate(self.coefficients):
            _checks.finite_array(powers, who=who, name=f"coefficients[{index}]", dtype=np.float64, ndim=1)


WAN_AIHWKIT = WanFit(
    name="aihwkit",  # ReRamWan2022NoiseModel of aihwkit 1.2.0 (noise/reram.py), from figures of Wan 2022
    times=(1.0, DAY, 2 * DAY),
    coefficients=(
        (0.348, 16.030, -43.853, 45.393, -16.815),  # 1 s
        (0.701, 22.086, -50.773, 47.095, -16.458),  # 1 day
        (0.782, 20.274, -43.507, 37.062, -11.934),  # 2 days
    ),
    reference=40e-6,  # the same file
)
WAN_CROSSSIM = WanFit(
    name="CrossSim",  # RRAM_Wan.py of CrossSim 3.2.0, from Extended Data Fig. 3 of Wan 2022, 1 s
    times=(1.0,),
    coefficients=((1.053, 2.374e-1, -1.167e-2, 1.536e-4),),
    highest=39.26e-6,  # the same file
)


@dataclass(frozen=True)
class RramWan2022(RelaxingDevice):
    """HfOx ReRAM of NeuRRAM, as programmed and up to two days later.

    Between the times of the fit, the variance is interpolated linearly in ln t; up to the first time it is that of
    the first. A fit of one time says nothing of relaxation, and the cells then stay as programmed.

    Parameters
    ----------
    fit : WanFit
        WAN_AIHWKIT (1 s, 1 day, 2 days; 0 to 40 uS) or WAN_CROSSSIM (1 s; 0 to 39.26 uS).
    g_min, g_max : float or None, siemens, 0 <= g_min < g_max
        g_max None: 40 uS or 39.26 uS, the end of the fit.
    programming_noise, drift : bool
        Each effect on or off; `drift` is the growth of the spread.

    Raises
    ------
    InputError
        A range outside these limits, or a time beyond the last of a fit that has several.

    Notes
    -----
    Not modelled: read noise (its source gives no more than about 1 % of g_max at short times: compose with
    WithReadNoise(device, (WhiteNoise(0.4e-6),))), a mean drift, the tails of write-verify, temperature, nonlinear I-V.

    References
    ----------
    W. Wan et al., Nature 608, 504 (2022), doi:10.1038/s41586-022-04992-8, Extended Data Fig. 3.
    """

    fit: WanFit = WAN_AIHWKIT
    g_min: float = 0.0
    g_max: float | None = None
    programming_noise: bool = True
    drift: bool = True

    def __post_init__(self):
        if not isinstance(self.fit, WanFit):
            raise ArgumentTypeError(f"RramWan2022: fit is {self.fit!r}; give WAN_AIHWKIT, WAN_CROSSSIM or a WanFit")
        if self.g_max is None:
            object.__setattr__(self, "g_max", self.fit.reference or self.fit.highest)
        if self.g_max is None:
            raise InputError(f"RramWan2022: fit '{self.fit.name}' names no g_max; give g_max")
        _parameters.conductance_range(self, high=self.fit.highest)

    @property
    def last_seconds(self):
        return self.fit.times[-1] if len(self.fit.times) > 1 else None

    def shift(self, target, seconds):
        return np.zeros_like(target)

    def sigma(self, target, seconds):
        fits = self.fit.coefficients
        place = np.interp(np.log(max(seconds, self.fit.times[0])), np.log(self.fit.times), np.arange(len(fits)))
        before = int(place)
        share = float(place - before)
        if not share:
            return self._fitted(target, fits[before])
        earlier, later = (self._fitted(target, fits[index]) ** 2 for index in (before, before + 1))
        return np.sqrt(earlier + share * (later - earlier))

    def _fitted(self, target, coefficients):
        reference = self.fit.reference
        argument = np.asarray(target) / (self.g_max if reference else MICRO)
        sigma = np.maximum(polynomial(argument, coefficients), 0.0)
        return sigma * (MICRO * (self.g_max / reference if reference else 1.0))

    def read_sigma(self, cells, seconds):
        return np.zeros_like(self.conductance(cells, seconds))

    def read_shares(self, seconds, *, image_seconds, session_seconds, cells=None):
        _parameters.spans("RramWan2022", image_seconds, session_seconds)
        return ReadShares(1.0, 0.0, 0.0)
