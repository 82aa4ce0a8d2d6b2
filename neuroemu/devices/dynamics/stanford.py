"""Stanford-PKU: a filament of oxygen vacancies whose gap to the electrode opens and closes, heated by the current."""

from dataclasses import dataclass
from math import log, sinh
from typing import ClassVar

import numpy as np

from ... import _checks
from ...errors import InputError
from ...kernels.memristors_reference import Model
from .base import Memristor

BOLTZMANN_OVER_CHARGE = 1.380649e-23 / 1.602176634e-19  # V/K; both exact in the SI of 2019


@dataclass(frozen=True)
class StanfordPku(Memristor):
    """I = i_0 exp(-gap / g_0) sinh(V / v_0);   d gap / dt = -velocity exp(-E_a / kT) sinh(gamma (a_0 / t_ox) q V / kT).

    gamma = gamma_0 - beta (gap / 1 nm)^3, and 0 where gamma |V| / t_ox < f_min; T = t_0 + |V I| r_th, at once.

    Parameters
    ----------
    i_0 : float, amperes
    g_0 : float, metres
    v_0 : float, volts
    t_0 : float, kelvin
        Temperature of the surroundings.
    r_th : float, kelvin / watt
        Thermal resistance.
    gamma_0, beta : float
        Enhancement of the local field, and how it falls with the gap.
    a_0 : float, metres
        Hopping distance.
    t_ox : float, metres
        Thickness of the oxide.
    f_min : float, volts / metre
        Field below which the gap rests.
    velocity : float, metres / second
    activation_energy : float, electronvolts
        E_a.
    r_on, r_off : float, ohms
        Resistance at 0.1 V at the smallest and the largest gap; they set the range of the state.
    initial : float, metres
        Gap of a new device.

    Notes
    -----
    State: the gap in metres. Not modelled: the random motion of the gap (its "dynamic" variant), the heat capacity,
    the width of the filament, a compliance current.

    References
    ----------
    X. Guan, S. Yu, H.-S. P. Wong, IEEE Electron Device Lett. 33, 1405 (2012), doi:10.1109/LED.2012.2210856;
    Z. Jiang et al., SISPAD 2014, 41, doi:10.1109/SISPAD.2014.6931558; nano.stanford.edu/stanford-rram-model.
    """

    i_0: float
    g_0: float
    v_0: float
    t_0: float
    r_th: float
    gamma_0: float
    beta: float
    a_0: float
    t_ox: float
    f_min: float
    velocity: float
    activation_energy: float
    r_on: float
    r_off: float
    initial: float = 0.2e-9
    state_unit: ClassVar[str] = "m"
    _straight: ClassVar[np.ufunc] = np.log

    def __post_init__(self):
        for name in ("i_0", "g_0", "v_0", "t_0", "gamma_0", "a_0", "t_ox", "velocity", "r_on"):
            _checks.real(getattr(self, name), who="StanfordPku", name=name, low=1e-30)
        for name in ("r_th", "beta", "f_min", "activation_energy"):
            _checks.real(getattr(self, name), who="StanfordPku", name=name, low=0.0)
        if _checks.real(self.r_off, who="StanfordPku", name="r_off") <= self.r_on:
            raise InputError(f"StanfordPku: r_off is {self.r_off} ohm; it must be above r_on, {self.r_on} ohm")
        low, high = self.state_range
        _checks.real(self.initial, who="StanfordPku", name="initial", low=low, high=high)

    @property
    def voltage_limit(self):
        per_volt = self.gamma_0 * self.a_0 / self.t_ox / (BOLTZMANN_OVER_CHARGE * self.t_0)
        return min(350.0 * self.v_0, 700.0 / per_volt)

    def _gap(self, resistance, read=0.1):
        return self.g_0 * log(self.i_0 * sinh(read / self.v_0) * resistance / read)

    def _kernel(self):
        return Model.STANFORD_PKU, (
            *(self._gap(self.r_on), self._gap(self.r_off), self.i_0, self.g_0, self.v_0, self.t_0, self.r_th),
            *(self.gamma_0, self.beta, self.a_0, self.t_ox, self.f_min, self.velocity, self.activation_energy),
            BOLTZMANN_OVER_CHARGE,
        )


# Defaults of MemTorch 1.1.6, bh/memristor/Stanford_PKU.py; its smallest gap is 0.20007 nm, so a new device starts there
# and not at 0.2 nm.
STANFORD_PKU = StanfordPku(
    i_0=1e-3,
    g_0=0.25e-9,
    v_0=0.25,
    t_0=298.0,
    r_th=2.1e3,
    gamma_0=16.0,
    beta=0.8,
    a_0=0.25e-9,
    t_ox=12e-9,
    f_min=1.4e9,
    velocity=10.0,
    activation_energy=0.6,
    r_on=542.0,
    r_off=218586.0,
    initial=0.2002e-9,
)
