"""Kinds of column converters: where a converter's codes change. Enter a width and a random stream, leave code edges.

An edge is the input, in steps, at which the code grows by one; a converter is the ascending table of its edges. Each
kind draws its own imperfections once for each programmed chip. Here are what all kinds have in common, the converter
with equal steps, and the one that is known by measurement; Sar, Ramp, Cco and Flash have modules of their own.

References
----------
.. [1] IEEE Std 1241-2010, "Terminology and test methods for analog-to-digital converters",
   doi:10.1109/IEEESTD.2011.5692956 (code transition levels and integral nonlinearity).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from .. import _checks
from ..errors import InputError


class AdcKind(ABC):
    """Abstract: what a converter is made of. Final classes: Uniform, Sar, Ramp, Cco, Flash, Measured."""

    bits: int | None = None  # the only width that it has; None: any
    integration_seconds: float = 0.0  # time of a conversion that no clock sets, s

    @property
    @abstractmethod
    def uniform(self) -> bool:
        """Whether all steps are equal, so that no table of edges is kept."""

    @abstractmethod
    def cycles(self, bits: int) -> int | None:
        """Clock cycles of a conversion; None where no clock sets its time."""

    @abstractmethod
    def edges(self, bits: int, converters: int, generator: np.random.Generator, *, one_signed: bool) -> np.ndarray:
        """Edges of all converters of one tile.

        Parameters
        ----------
        bits, converters : int
        generator : numpy Generator
            The tile's own stream; every call draws the same number of normals, whichever imperfections are in use.
        one_signed : bool
            Whether the lowest code stands for zero current; otherwise the middle one does.

        Returns
        -------
        (converters, 2^bits - 2) float64
            Ascending inputs, in steps, at which codes -L + 1 ... L begin; L = 2^(bits-1) - 1. Equal steps have their
            edges at -L + 1/2 ... L - 1/2.
        """


@dataclass(frozen=True)
class Uniform(AdcKind):
    """Equal steps: the nearest code, halves to the even one. No circuit is meant, so no number of clock cycles."""

    uniform = True

    def cycles(self, bits):
        return None

    def edges(self, bits, converters, generator, *, one_signed):
        return from_transitions(np.broadcast_to(np.arange(1.0, 1 << bits), (converters, (1 << bits) - 1)), bits)


@dataclass(frozen=True, eq=False, repr=False)
class Measured(AdcKind):
    r"""Converters known by their measured integral nonlinearity.

    .. math:: T_k = k + \mathrm{INL}_k, \qquad k = 1 \ldots 2^{bits} - 1

    Parameters
    ----------
    inl : (2^bits - 1,) or (n, 2^bits - 1) array, steps
        INL of the transitions into codes 1, 2, ... of 2^bits codes, offset and gain taken out, as IEEE Std 1241 [1]_
        defines it; one table for all converters, or n tables.
    assignment : {"in order", "random"}
        Who has which of n tables. "in order": converter c of every tile has table c. "random": each converter of each
        programmed chip has one drawn from the n, so that a few measured converters stand for a population.

    Raises
    ------
    InputError
        A length that is no 2^bits - 1, transitions that fall, or "in order" with fewer tables than converters.

    Notes
    -----
    The lowest transition is not used: 2^bits - 1 codes are, so that plus and minus have equally many. A step's number
    counts from the bottom of the range, which is minus full scale, or zero where no current can be negative.
    """

    inl: np.ndarray
    assignment: str = "in order"

    def __post_init__(self):
        table = _checks.finite_array(self.inl, who="Measured", name="inl", dtype=np.float64)
        count = table.shape[-1] if table.ndim in (1, 2) and table.size else 0
        if count < 3 or count & (count + 1):
            raise InputError(
                f"Measured: inl has shape {table.shape}; give 2^bits - 1 transitions (3, 7, ... 4095), or n such rows"
            )
        table = table.reshape(-1, table.shape[-1]).copy()
        if (np.diff(table, axis=1) < -1 - 1e-9).any():
            row, k = np.argwhere(np.diff(table, axis=1) < -1 - 1e-9)[0]
            raise InputError(
                f"Measured: inl of table {row} falls by more than a step after transition {k + 1}, so that transitions "
                "are out of order; sort the transition levels before computing the INL"
            )
        _checks.choice(self.assignment, ("in order", "random"), who="Measured", name="assignment")
        table.flags.writeable = False
        object.__setattr__(self, "inl", table)

    def __repr__(self):
        return f"Measured(<{len(self.inl)} x {self.inl.shape[1]} transitions>, assignment={self.assignment!r})"

    @property
    def uniform(self):
        return not self.inl.any()

    @property
    def bits(self):
        return int(self.inl.shape[1]).bit_length()

    def cycles(self, bits):
        return None

    def edges(self, bits, converters, generator, *, one_signed):
        picked = generator.integers(0, len(self.inl), converters)
        if len(self.inl) == 1:
            picked = np.zeros(converters, int)
        elif self.assignment == "in order":
            if converters > len(self.inl):
                raise InputError(
                    f"Measured: a tile has {converters} converters and inl has {len(self.inl)} tables; give more, or "
                    "assignment='random'"
                )
            picked = np.arange(converters)
        return from_transitions(np.arange(1.0, 1 << bits) + self.inl[picked], bits)


def from_transitions(transitions: np.ndarray, bits: int) -> np.ndarray:
    """Edges of converters whose 2^bits codes begin at `transitions` (converters, 2^bits - 1), in steps from the bottom.

    Transitions at 1, 2, ... are equal steps. The code below the first transition is not used. A transition that is
    lower than one before it is raised to it, which leaves the rising ones as they are.
    """
    rising = np.maximum.accumulate(np.asarray(transitions, np.float64), axis=1)
    return rising[:, 1:] - (2.0 ** (bits - 1) + 0.5)
