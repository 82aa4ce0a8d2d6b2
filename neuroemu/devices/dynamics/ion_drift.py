"""Linear ion drift, the HP memristor: a film of thickness D, doped up to w = x D, whose boundary follows the charge."""

from dataclasses import dataclass, field
from math import inf
from typing import ClassVar

import numpy as np

from ... import _checks
from ...errors import ArgumentTypeError, InputError
from .base import Memristor
from .windows import Biolek, Joglekar, NoWindow, Window


@dataclass(frozen=True)
class IonDrift(Memristor):
    """R = r_on x + r_off (1 - x),   dx/dt = (mobility r_on / thickness^2) i f(x),   i = V / R.

    Without a window x follows the charge, x = x0 + k q with k = mobility r_on / thickness^2, and under a voltage
    R^2 = R0^2 - 2 (r_off - r_on) k flux: this is how a step is computed. With a window a step is integrated.

    Parameters
    ----------
    r_on, r_off : float, ohms
        Resistance of the film fully doped (x = 1) and undoped (x = 0); 0 < r_on < r_off.
    thickness : float, metres
        D.
    mobility : float, m^2 / (V s)
        Of the dopants.
    window : Window
        NoWindow(), Joglekar(p), Biolek(p) or Prodromakis(p, height).
    v_positive, v_negative : float, volts
        The boundary moves where V >= v_positive or V <= v_negative; 0 and 0: always. Not in the original model; some
        simulators add it.
    initial : float, 0 to 1
        x of a new device.

    Notes
    -----
    State: x, a bare number in 0..1. Not modelled: the nonlinear drift at high fields, tunnelling, heating.

    References
    ----------
    D. B. Strukov et al., Nature 453, 80 (2008), doi:10.1038/nature06932, equations 5 to 7.
    """

    r_on: float
    r_off: float
    thickness: float
    mobility: float
    window: Window = field(default_factory=NoWindow)
    v_positive: float = 0.0
    v_negative: float = 0.0
    initial: float = 0.5
    state_unit: ClassVar[str] = "1"
    _straight: ClassVar[np.ufunc] = np.reciprocal

    def __post_init__(self):
        for name in ("r_on", "thickness", "mobility"):
            _checks.real(getattr(self, name), who="IonDrift", name=name, low=1e-30)
        if _checks.real(self.r_off, who="IonDrift", name="r_off") <= self.r_on:
            raise InputError(f"IonDrift: r_off is {self.r_off} ohm; it must be above r_on, {self.r_on} ohm")
        if not isinstance(self.window, Window):
            raise ArgumentTypeError(f"IonDrift: window must be NoWindow(), Joglekar(p) ..., got {self.window!r}")
        _checks.real(self.v_positive, who="IonDrift", name="v_positive", low=0.0)
        _checks.real(self.v_negative, who="IonDrift", name="v_negative", high=0.0)
        _checks.real(self.initial, who="IonDrift", name="initial", low=0.0, high=1.0)

    @property
    def drift(self) -> float:
        """k = mobility r_on / thickness^2, per coulomb: dx = k dq."""
        return self.mobility * self.r_on / self.thickness**2

    @property
    def voltage_limit(self):
        return inf

    def _kernel(self):
        return self.window._model, (
            *(0.0, 1.0, self.r_on, self.r_off, self.drift, self.v_negative, self.v_positive),
            *(float(self.window.p), float(self.window.height)),
        )


# The TiO2 film of Strukov 2008 (D 10 nm, mobility 1e-14 m^2/Vs, r_off / r_on 160, figure 2b), r_on 100 ohm as in
# MemTorch 1.1.6 LinearIonDrift.
ION_DRIFT_HP = IonDrift(r_on=100.0, r_off=16e3, thickness=10e-9, mobility=1e-14, initial=0.1)
# memristor_joglekar2.sub of github.com/knowm/memristor-models-4-all.
ION_DRIFT_JOGLEKAR = IonDrift(r_on=100.0, r_off=10e3, thickness=12e-9, mobility=5e-14, window=Joglekar(7), initial=0.56)
# memristor_biolek.sub of the same collection.
ION_DRIFT_BIOLEK = IonDrift(r_on=100.0, r_off=1e3, thickness=16e-9, mobility=4e-14, window=Biolek(7), initial=0.076)
