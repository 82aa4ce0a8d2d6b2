"""VTEAM: a state that moves only beyond two threshold voltages, at a speed that is a power of the excess."""

from dataclasses import dataclass
from math import inf
from typing import ClassVar

import numpy as np

from ... import _checks
from ...errors import InputError
from ...kernels.memristors_reference import Model
from .base import Memristor


@dataclass(frozen=True)
class Vteam(Memristor):
    """dx/dt = k_off (V / v_off - 1)^a_off for V >= v_off,  k_on (V / v_on - 1)^a_on for V <= v_on,  else 0.

    R = r_on + (r_off - r_on) (x - x_on) / (x_off - x_on); x is held within [x_on, x_off]. Under a held voltage x moves
    linearly, so a step is exact.

    Parameters
    ----------
    r_on, r_off : float, ohms
        Resistance at x_on and at x_off.
    x_on, x_off : float, metres
        Bounds of the state, x_on < x_off.
    v_on, v_off : float, volts
        Thresholds, v_on < 0 < v_off.
    k_on, k_off : float, metres / second
        Speeds, k_on < 0 < k_off.
    a_on, a_off : float
        Exponents, 0 to 64.
    initial : float, metres
        State of a new device.

    Notes
    -----
    State: x in metres. The source of the set VTEAM gives no units; metres, volts and metres per second are the choice
    that makes its 3 nm and its 0.1 ns steps consistent. Not modelled: the windows f_on(x), f_off(x) and the
    exponential I-V of the paper.

    References
    ----------
    S. Kvatinsky et al., IEEE Trans. Circuits Syst. II 62, 786 (2015), doi:10.1109/TCSII.2015.2433536.
    """

    r_on: float
    r_off: float
    x_on: float
    x_off: float
    v_on: float
    v_off: float
    k_on: float
    k_off: float
    a_on: float
    a_off: float
    initial: float = 0.0
    state_unit: ClassVar[str] = "m"
    _straight: ClassVar[np.ufunc] = np.reciprocal

    def __post_init__(self):
        for name in ("r_on", "v_off", "k_off"):
            _checks.real(getattr(self, name), who="Vteam", name=name, low=1e-30)
        for name in ("v_on", "k_on"):
            _checks.real(getattr(self, name), who="Vteam", name=name, high=-1e-30)
        for name in ("a_on", "a_off"):
            _checks.real(getattr(self, name), who="Vteam", name=name, low=0.0, high=64.0)
        for low, high in (("r_on", "r_off"), ("x_on", "x_off")):
            bottom, top = (_checks.real(getattr(self, name), who="Vteam", name=name) for name in (low, high))
            if top <= bottom:
                raise InputError(f"Vteam: {high} is {top}; it must be above {low}, {bottom}")
        _checks.real(self.initial, who="Vteam", name="initial", low=self.x_on, high=self.x_off)

    @property
    def voltage_limit(self):
        return inf

    def _kernel(self):
        return Model.VTEAM, (
            *(self.x_on, self.x_off, self.r_on, self.r_off, self.v_on, self.v_off),
            *(self.k_on, self.k_off, self.a_on, self.a_off),
        )


# Defaults of MemTorch 1.1.6, bh/memristor/VTEAM.py. A held -1 V takes 5 ps for a full SET, a held +1 V 0.12 us for a
# RESET.
VTEAM = Vteam(
    r_on=50.0,
    r_off=1e3,
    x_on=0.0,
    x_off=3e-9,
    v_on=-0.2,
    v_off=0.02,
    k_on=-10.0,
    k_off=5e-4,
    a_on=3.0,
    a_off=1.0,
    initial=0.0,
)
