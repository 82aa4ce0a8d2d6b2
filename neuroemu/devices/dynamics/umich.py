"""Chang's model of the University of Michigan's WOx cell: Schottky and tunnel currents side by side, fading memory."""

from dataclasses import dataclass, replace
from math import inf
from typing import ClassVar

import numpy as np

from ... import _checks
from ...kernels.memristors_reference import Model
from .base import Memristor


@dataclass(frozen=True)
class Umich(Memristor):
    """I = (1 - x) alpha (1 - e^(-beta V)) + x gamma sinh(delta V);   dx/dt = drive (eta_1 sinh(eta_2 V) - x / tau).

    x is held within 0..1. Under a held voltage x goes exponentially, at the rate drive / tau, to
    tau eta_1 sinh(eta_2 V): this is how a step is computed.

    Parameters
    ----------
    alpha : float, amperes
    beta : float, 1 / volt
        Schottky barrier, the device with x = 0.
    gamma : float, amperes
    delta : float, 1 / volt
        Tunnelling, the device with x = 1.
    drive : float
        lambda of the paper.
    eta_1 : float, 1 / second
    eta_2 : float, 1 / volt
    tau : float, seconds
        Memory fades at the rate drive / tau; infinite: it stays.
    initial : float, 0 to 1
        x of a new device.

    Notes
    -----
    State: x, a bare number in 0..1. The SPICE file gives no units; these are the choice that its time axis in seconds
    implies. Not modelled: the stretched-exponential tail of the fading memory.

    References
    ----------
    T. Chang et al., Appl. Phys. A 102, 857 (2011), doi:10.1007/s00339-011-6296-1.
    """

    alpha: float
    beta: float
    gamma: float
    delta: float
    drive: float
    eta_1: float
    eta_2: float
    tau: float = inf
    initial: float = 0.0
    state_unit: ClassVar[str] = "1"
    _straight: ClassVar[np.ufunc] = np.positive

    def __post_init__(self):
        for name in ("alpha", "beta", "gamma", "delta", "drive", "eta_1", "eta_2"):
            _checks.real(getattr(self, name), who="Umich", name=name, low=1e-30)
        if self.tau != inf:
            _checks.real(self.tau, who="Umich", name="tau", low=1e-30)
        _checks.real(self.initial, who="Umich", name="initial", low=0.0, high=1.0)

    @property
    def voltage_limit(self):
        return 700.0 / max(self.beta, self.delta, self.eta_2)

    def _kernel(self):
        return Model.UMICH, (
            *(0.0, 1.0, self.alpha, self.beta, self.gamma, self.delta),
            *(self.drive * self.eta_1, self.eta_2, self.drive / self.tau),
        )


# memristor_umich.sub of github.com/knowm/memristor-models-4-all, where drift_bit = 0 switches the fading off.
UMICH = Umich(alpha=0.5e-6, beta=0.5, gamma=4e-6, delta=2.0, drive=4.5, eta_1=0.004, eta_2=4.0)
# The same with drift_bit = 1.
UMICH_VOLATILE = replace(UMICH, tau=10.0)
