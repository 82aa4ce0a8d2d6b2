"""Knowm's mean metastable switch: many two-state switches that flip by thermal activation over a biased barrier."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ... import _checks
from ...kernels.memristors_reference import Model
from .base import Memristor

BOLTZMANN_OVER_CHARGE = 1.380649e-23 / 1.602176634e-19  # V/K; both exact in the SI of 2019


@dataclass(frozen=True)
class KnowmMms(Memristor):
    """I = V (x / r_on + (1 - x) / r_off);   dx/dt = (on (1 - x) - off x) / tau.

    on = 1 / (1 + e^(-(V - v_on) q / kT)),  off = 1 - 1 / (1 + e^(-(V + v_off) q / kT)). Under a held voltage x goes
    exponentially, at the rate (on + off) / tau, to on / (on + off): this is how a step is computed.

    Parameters
    ----------
    r_on, r_off : float, ohms
        Resistance with all switches on (x = 1) and all off.
    v_on, v_off : float, volts
        Barriers of the two directions.
    tau : float, seconds
        Time between two chances to flip.
    temperature : float, kelvin
    initial : float, 0 to 1
        Share of the switches that are on in a new device.

    Notes
    -----
    State: x, a bare number in 0..1. Not modelled: the scatter of a finite number of switches (this is the mean), the
    Schottky diode of the generalised model.

    References
    ----------
    M. A. Nugent and T. W. Molter, PLoS ONE 9, e85175 (2014), doi:10.1371/journal.pone.0085175.
    """

    r_on: float
    r_off: float
    v_on: float
    v_off: float
    tau: float
    temperature: float
    initial: float = 0.0
    state_unit: ClassVar[str] = "1"
    _straight: ClassVar[np.ufunc] = np.positive

    def __post_init__(self):
        for name in ("r_on", "r_off", "tau"):
            _checks.real(getattr(self, name), who="KnowmMms", name=name, low=1e-30)
        _checks.real(self.temperature, who="KnowmMms", name="temperature", low=1.0)
        for name in ("v_on", "v_off"):
            _checks.real(getattr(self, name), who="KnowmMms", name=name, low=0.0, high=300.0 * self.thermal_voltage)
        _checks.real(self.initial, who="KnowmMms", name="initial", low=0.0, high=1.0)

    @property
    def thermal_voltage(self) -> float:
        """kT / q, volts."""
        return BOLTZMANN_OVER_CHARGE * self.temperature

    @property
    def voltage_limit(self):
        return 650.0 * self.thermal_voltage - max(self.v_on, self.v_off)

    def _kernel(self):
        return Model.KNOWM_MMS, (
            *(0.0, 1.0, self.r_on, self.r_off),
            *(self.v_on, self.v_off, self.tau, self.thermal_voltage),
        )


# memristor_knowm.sub of github.com/knowm/memristor-models-4-all.
KNOWM_MMS = KnowmMms(r_on=500.0, r_off=1500.0, v_on=0.27, v_off=0.27, tau=1e-4, temperature=298.5)
