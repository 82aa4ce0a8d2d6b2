"""Random telegraph noise: one trap a cell that is full or empty, and shifts the conductance by a fixed amount.

    G = mean + a G (s - p),   s in {0, 1},   P(s = 1) = p,   <s(0) s(t)> - p^2 = p (1 - p) exp(-|t| / tau)

tau is the correlation time, 1 / tau = 1 / (time full) + 1 / (time empty). Each trapped cell draws an amplitude a and a
tau of its own when it is programmed.
"""

from dataclasses import dataclass

import numpy as np

from .. import _checks
from ..errors import InputError
from . import _parameters
from .base import ReadShares, Trap
from .read_noise import FRESH, ReadNoise


@dataclass(frozen=True)
class TelegraphNoise(ReadNoise):
    """Two-state noise with amplitude and time constant of its own in each cell.

    Of the variance p (1 - p) (a G)^2, the part that survives averaging over a window T is

        r(T / tau),   r(x) = 2 (x - 1 + exp(-x)) / x^2,

    so 1 - r(image / tau) of it is fresh, r(session / tau) frozen, and the rest slow.

    Parameters
    ----------
    amplitude : float, relative to G, >= 0
        Median over the trapped cells of the shift between the two states.
    spread : float, >= 0
        Standard deviation of ln a over them.
    fastest, slowest : float, seconds, 0 < fastest <= slowest
        Correlation times are log-uniform between them.
    occupancy : float, 0 < p < 1
        Share of time that a trap is full.
    trapped : float, 0 to 1
        Share of the cells that have a trap.
    white : bool
        All of it fresh at each read.

    Raises
    ------
    InputError
        A parameter outside these limits.

    Notes
    -----
    In a crossbar the frozen share has two levels: a trap slower than the session is full or empty throughout; one that
    switches now and then has them closer, by sqrt(r), where its mean over a session is really spread between them.
    Fresh and slow shares are drawn as normal, as a column sums many cells and, in time, many switches. `trace` gives
    the two-level signal itself. Not modelled: several traps a cell, and the dependence of tau and p on voltage and
    temperature. The parameters are the user's: no source is assumed.

    References
    ----------
    S. Machlup, J. Appl. Phys. 25, 341 (1954), doi:10.1063/1.1721637.
    """

    amplitude: float
    spread: float = 0.0
    fastest: float = 1e-6
    slowest: float = 1.0
    occupancy: float = 0.5
    trapped: float = 1.0
    white: bool = False

    def __post_init__(self):
        who = "TelegraphNoise"
        _checks.real(self.amplitude, who=who, name="amplitude", low=0.0)
        _checks.real(self.spread, who=who, name="spread", low=0.0)
        _checks.real(self.trapped, who=who, name="trapped", low=0.0, high=1.0)
        fastest = _parameters.positive(self.fastest, who=who, name="fastest")
        _checks.real(self.slowest, who=who, name="slowest", low=fastest)
        if not 0 < _checks.real(self.occupancy, who=who, name="occupancy") < 1:
            raise InputError(f"{who}: occupancy is {self.occupancy}; it must lie between 0 and 1")

    def draw(self, shape, generator):
        amplitude = self.amplitude * np.exp(self.spread * generator.standard_normal(shape))
        places = generator.random((2, *shape))
        tau = self.fastest * (self.slowest / self.fastest) ** places[0]
        return {"amplitude": np.where(places[1] < self.trapped, amplitude, 0.0), "tau": tau}

    def variance(self, conductance, kept, seconds):
        p = self.occupancy
        return p * (1 - p) * (kept["amplitude"] * conductance) ** 2

    def shares(self, kept, seconds, *, image_seconds, session_seconds):
        _parameters.spans("TelegraphNoise", image_seconds, session_seconds)
        if self.white:
            return FRESH
        beyond_image = surviving(image_seconds / kept["tau"])
        frozen = surviving(session_seconds / kept["tau"])
        traps = (Trap(frozen, self.occupancy),)
        return ReadShares(fresh=1 - beyond_image, slow=beyond_image - frozen, frozen=frozen, traps=traps)

    def trace(self, tau, times, generator: np.random.Generator) -> np.ndarray:
        """States s of traps at `times`, exact for any spacing.

        Parameters
        ----------
        tau : array, seconds, > 0
            Correlation time of each trap, as the cells' state holds it.
        times : (T,) array, seconds, rising
        generator : numpy Generator

        Returns
        -------
        (T, *tau.shape) bool array; True where a trap is full. The first state is drawn from the stationary one.
        """
        tau = _checks.finite_array(tau, who="TelegraphNoise", name="tau", dtype=np.float64)
        times = _checks.finite_array(times, who="TelegraphNoise", name="times", dtype=np.float64, ndim=1)
        if (tau.size and tau.min() <= 0) or (np.diff(times) < 0).any():
            raise InputError("TelegraphNoise: trace needs time constants above 0 and times that rise")
        states = np.empty((len(times), *tau.shape), bool)
        for step, time in enumerate(times):
            full = self.occupancy  # chance of being full now, given the state before
            if step:
                memory = np.exp(-(time - times[step - 1]) / tau)
                full = self.occupancy + (states[step - 1] - self.occupancy) * memory
            states[step] = generator.random(tau.shape) < full
        return states


def surviving(x) -> np.ndarray:
    """r(x) = 2 (x - 1 + exp(-x)) / x^2: variance of the mean over a window of x correlation times."""
    x = np.asarray(x, np.float64)
    safe = np.maximum(x, 1e-4)  # below, the series is exact to 1e-9 and the quotient is not
    return np.where(x < 1e-4, 1 - x / 3, 2 * (safe + np.expm1(-safe)) / safe**2)
