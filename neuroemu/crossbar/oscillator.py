"""Oscillator converters: periods of a current-controlled oscillator are counted. Enter a curve, leave its code edges.

The converters of HERMES are of this kind, with circuits that linearise the oscillator and trim it [1]_. The curve here
is that of an oscillator whose period is the time to move a charge, and a delay that does not depend on the current.

References
----------
.. [1] R. Khaddam-Aljameh et al., "HERMES-Core: a 1.59-TOPS/mm2 PCM on 14-nm CMOS in-memory compute core using
   300-ps/LSB linearized CCO-based ADCs", IEEE J. Solid-State Circuits 57, 1027 (2022), doi:10.1109/JSSC.2022.3140414.
"""

from dataclasses import dataclass

import numpy as np

from .. import _checks
from .kinds import AdcKind


@dataclass(frozen=True)
class Cco(AdcKind):
    r"""Current-controlled oscillator and counter, for currents of both signs.

    .. math:: \frac{1}{f} = \frac{Q}{|I|} + t_d \;\Rightarrow\;
              |code| = \left\lfloor N \frac{(1 + c)\, i}{1 + c\, i} + \varphi \right\rfloor,
              \qquad i = \frac{|I|}{I_{full}}, \qquad c = \frac{t_d I_{full}}{Q}

    with N the largest count; the counting time is such that full scale counts N. The sign is the polarity of the
    current. c > 0 compresses large currents; c < 0 expands them, as where a constant part of the current is lost.

    Parameters
    ----------
    compression : float, -0.5 to 10
        Mean of c over converters.
    compression_spread : float, 0 to 1
        Standard deviation of c over converters; c is held at -0.9 or more, where the curve still rises.
    polarity_mismatch : float, 0 to 0.2
        Standard deviation of the relative gain of negative currents against positive ones, over converters: two
        current mirrors feed one oscillator. Without effect where no current can be negative.
    start_phase : float, 0 to 0.5
        phi: phase, in periods, at which the oscillator starts. 0: restarted at each read, whole periods count, so that
        codes are rounded towards zero; 0.5: rounded to the nearest code.
    integration_seconds : float, seconds
        Time of a conversion: how long is counted. 0: it is held in `CrossbarChip.read_seconds`, as where the columns
        are integrated while the rows are driven.

    Notes
    -----
    Gain differences between oscillators are `Adc.gain_spread`. Not modelled: jitter that grows with the count (use
    `Adc.noise`), an oscillator that runs on from read to read, frequency pulling between neighbours.
    """

    compression: float = 0.0
    compression_spread: float = 0.0
    polarity_mismatch: float = 0.0
    start_phase: float = 0.0
    integration_seconds: float = 0.0

    def __post_init__(self):
        limits = {
            "compression": (-0.5, 10.0),
            "compression_spread": (0.0, 1.0),
            "polarity_mismatch": (0.0, 0.2),
            "start_phase": (0.0, 0.5),
            "integration_seconds": (0.0, None),
        }
        for name, (low, high) in limits.items():
            _checks.real(getattr(self, name), who="Cco", name=name, low=low, high=high)

    @property
    def uniform(self):
        return self.start_phase == 0.5 and not (self.compression or self.compression_spread or self.polarity_mismatch)

    def cycles(self, bits):
        return None

    def edges(self, bits, converters, generator, *, one_signed):
        normals = generator.standard_normal((2, converters, 1))
        c = np.maximum(self.compression + self.compression_spread * normals[0], -0.9)
        limit = (1 << (bits - 1)) - 1
        if one_signed:
            return self._currents(2 * limit, c) - limit
        positive = self._currents(limit, c)
        negative = positive / np.maximum(1.0 + self.polarity_mismatch * normals[1], 0.01)
        below = np.nextafter(-negative[:, ::-1], np.inf)  # a current at the edge counts, in either polarity
        return np.concatenate([below, positive], axis=1)

    def _currents(self, largest: int, c: np.ndarray) -> np.ndarray:
        """Currents, in steps, at which counts 1 ... largest are reached: (converters, largest)."""
        counts = np.arange(1.0, largest + 1) - self.start_phase
        return counts / (1.0 + c * (1.0 - counts / largest))
