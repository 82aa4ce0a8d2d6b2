"""Yakopcic's generalised model: sinh conduction, exponential motion beyond two thresholds, slower near the bounds."""

from dataclasses import dataclass, replace
from math import exp
from typing import ClassVar

import numpy as np

from ... import _checks
from ...kernels.memristors_reference import Model
from .base import Memristor


@dataclass(frozen=True)
class Yakopcic(Memristor):
    """I = a1 x sinh(b V) for V >= 0, a2 x sinh(b V) below;   dx/dt = eta g(V) f(V, x).

    g = A_p (e^V - e^v_p) for V > v_p,  -A_n (e^-V - e^v_n) for V < -v_n,  else 0 (V in volts).
    f = exp(-alpha_p (x - x_p)) (1 - x) / (1 - x_p) for x >= x_p, else 1, where eta V >= 0;
    f = exp(alpha_n (x + x_n - 1)) x / (1 - x_n) for x <= 1 - x_n, else 1, where eta V < 0.

    Parameters
    ----------
    a1, a2 : float, amperes
        Size of the current for V >= 0 and V < 0.
    b : float, 1 / volt
    v_p, v_n : float, volts, 0 or more
        Thresholds.
    rate_p, rate_n : float, 1 / second
        A_p and A_n of the paper.
    x_p, x_n : float, 0 to below 1
        Where the motion begins to slow.
    alpha_p, alpha_n : float
        How fast it slows.
    eta : 1 or -1
        Direction of the state relative to the voltage.
    initial : float, 0 to 1
        x of a new device.

    Notes
    -----
    State: x, a bare number in 0..1. The SPICE files give no units; these make their loops those of the paper.
    Not modelled: an off current at x = 0, where the device is open.

    References
    ----------
    C. Yakopcic et al., IEEE Electron Device Lett. 32, 1436 (2011), doi:10.1109/LED.2011.2163292.
    """

    a1: float
    a2: float
    b: float
    v_p: float
    v_n: float
    rate_p: float
    rate_n: float
    x_p: float
    x_n: float
    alpha_p: float
    alpha_n: float
    eta: int = 1
    initial: float = 0.11
    state_unit: ClassVar[str] = "1"
    _straight: ClassVar[np.ufunc] = np.positive

    def __post_init__(self):
        for name in ("a1", "a2", "b"):
            _checks.real(getattr(self, name), who="Yakopcic", name=name, low=1e-30)
        for name in ("v_p", "v_n"):
            _checks.real(getattr(self, name), who="Yakopcic", name=name, low=0.0, high=100.0)
        for name in ("rate_p", "rate_n", "alpha_p", "alpha_n"):
            _checks.real(getattr(self, name), who="Yakopcic", name=name, low=0.0)
        for name in ("x_p", "x_n"):
            _checks.real(getattr(self, name), who="Yakopcic", name=name, low=0.0, high=0.999999)
        _checks.choice(self.eta, (1, -1), who="Yakopcic", name="eta")
        _checks.real(self.initial, who="Yakopcic", name="initial", low=0.0, high=1.0)

    @property
    def voltage_limit(self):
        return min(300.0, 700.0 / self.b)

    def _kernel(self):
        return Model.YAKOPCIC, (
            *(0.0, 1.0, self.a1, self.a2, self.b, self.v_p, self.v_n),
            *(self.rate_p * exp(self.v_p), self.rate_n * exp(self.v_n)),
            *(self.x_p, self.x_n, self.alpha_p, self.alpha_n, float(self.eta)),
        )


# Set A: the Xyce netlist (memristor level=3) of github.com/knowm/memristor-models-4-all, and the commented set of its
# memristor_yakopcic.sub by C. Yakopcic.
YAKOPCIC_A = Yakopcic(
    a1=0.17,
    a2=0.17,
    b=0.05,
    v_p=0.16,
    v_n=0.15,
    rate_p=4000.0,
    rate_n=4000.0,
    x_p=0.3,
    x_n=0.5,
    alpha_p=1.0,
    alpha_n=5.0,
)
# Set B: the active set of memristor_yakopcic.sub, the same but for the thresholds.
YAKOPCIC_B = replace(YAKOPCIC_A, v_p=0.65, v_n=0.56)
