"""Converters: row drivers (DAC) and column converters (ADC) as value objects; an ideal one is an object of its own.

Units inside: a drive d is a whole number of DAC steps; a column sum is in cell-level times drive-step units, which is
proportional to the column current:  I = v_read / d_max * (g_max - g_min) / level_max * sum_r d_r level_r.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace

import numpy as np

from .. import _checks
from ..errors import InputError
from .kinds import AdcKind, Uniform
from .ranges import AdcRange, PercentileRange, range_of

WIDEST_NONLINEAR = 12  # bits; a table of edges has 2^bits entries for every converter


class RowDriver(ABC):
    """Abstract: what turns input codes into drive steps. Final classes: Dac, IdealDac."""

    v_read: float
    noise: float  # standard deviation for each driver and read, in steps
    inl: float  # largest standard deviation of a driver's static error, in steps

    @abstractmethod
    def scale(self, largest: int) -> float:
        """Drive steps per input code when inputs reach +-`largest`; 1 when nothing is lost."""

    @property
    @abstractmethod
    def limit(self) -> int | None:
        """Largest number of drive steps; None without a limit."""

    def steps(self, x: np.ndarray, scale: float) -> np.ndarray:
        """Input codes as whole drive steps, clip(rint(scale x), +-limit), float32."""
        if self.limit is None:
            return np.asarray(x, np.float32)
        steps = np.asarray(x * np.float32(scale))
        np.rint(steps, out=steps)
        np.clip(steps, -self.limit, self.limit, out=steps)
        return steps.astype(np.float32, copy=False)


@dataclass(frozen=True)
class Dac(RowDriver):
    r"""Row driver: signed magnitude, L = 2^(bits-1) - 1 steps a polarity; one for each row of a row tile.

    .. math:: V_r = \frac{V_{read}}{L} (D_r(k) + \delta z), \qquad
              \mathrm{std}\,D_r(k) = 2 \iota \sqrt{k (L - k)} / L

    Parameters
    ----------
    bits : int, 2 to 16
        Input codes that fit the steps pass unchanged; wider ones are scaled so that the layer's largest possible input
        is full scale, then rounded.
    v_read : float, volts
        Read voltage at full scale.
    noise : float, steps
        delta: standard deviation of a driver's noise, fresh for each driver and read. All columns of a read see it
        alike, those of arrays side by side in one row tile too. A row at code zero has it as well.
    inl : float, 0 to L / 4, steps
        iota: standard deviation over drivers of the integral nonlinearity at half of full scale, where it is largest;
        from L equal elements that differ, drawn for each driver of each programmed chip. See `drivers`. Needs
        bits <= 12.

    Notes
    -----
    With `BitSerial`, noise is the same voltage in every plane, and planes are driven by as many elements as they have
    steps: one for planes of one bit, which then have no nonlinearity. Not modelled: offset and gain errors of a
    driver, noise that lasts longer than a read, settling.
    """

    bits: int = 8
    v_read: float = 0.2
    noise: float = 0.0
    inl: float = 0.0

    def __post_init__(self):
        most = WIDEST_NONLINEAR if self.inl else 16
        _checks.integer(self.bits, who="Dac", name="bits", low=2, high=most)
        _checks.real(self.v_read, who="Dac", name="v_read", low=1e-6, high=10.0)
        _checks.real(self.noise, who="Dac", name="noise", low=0.0, high=float(self.limit))
        _checks.real(self.inl, who="Dac", name="inl", low=0.0, high=self.limit / 4)

    @property
    def element_sigma(self) -> float:
        """Relative standard deviation of one of the L elements: 2 inl / sqrt(L)."""
        return 2.0 * self.inl / self.limit**0.5

    def scale(self, largest):
        return 1.0 if largest <= self.limit else float(np.float32(self.limit / largest))

    @property
    def limit(self):
        return (1 << (self.bits - 1)) - 1


@dataclass(frozen=True)
class IdealDac(RowDriver):
    """Row driver that passes every input code exactly; the largest one is driven with `v_read` volts."""

    v_read: float = 0.2
    noise = 0.0
    inl = 0.0

    def __post_init__(self):
        _checks.real(self.v_read, who="IdealDac", name="v_read", low=1e-6, high=10.0)

    def scale(self, largest):
        return 1.0

    @property
    def limit(self):
        return None


class ColumnConverter(ABC):
    """Abstract: what turns column currents into numbers. Final classes: Adc, IdealAdc."""

    @property
    @abstractmethod
    def needs_samples(self) -> bool:
        """Whether its range is computed on the network's samples."""

    @abstractmethod
    def of_layer(self, layer: str) -> "ColumnConverter":
        """The converters of one layer."""


@dataclass(frozen=True)
class IdealAdc(ColumnConverter):
    """Passes column sums unchanged: no steps, no range, no noise. Nothing is counted as a conversion."""

    @property
    def needs_samples(self):
        return False

    def of_layer(self, layer):
        return self


@dataclass(frozen=True)
class Adc(ColumnConverter):
    r"""Column converter of a chip, with errors of its own that never change.

    .. math:: c = \mathrm{clip}(Q((1 + \epsilon) I / \Delta + o + \eta z), \pm L), \qquad L = 2^{bits-1} - 1

    Q counts the code edges below its argument; with equal steps that is rounding to the nearest code.

    Parameters
    ----------
    bits : int, 2 to 20
        2 L + 1 codes, from minus to plus full scale; from zero to full scale where no current can be negative
        (`OffsetColumn`, and `BitSliced` with an offset, of inputs never negative or read in phases). At most 12 with
        a `kind` whose steps are not equal.
    range : AdcRange
        Rule for the full scale: `PercentileRange()`, `MinMaxRange()`, `MseRange()` or `GivenRange(amperes)`. All but
        the last are computed on the network's samples. Conversions outside the range are counted.
    noise : float, codes
        eta: standard deviation of the converter's own noise, fresh at each conversion.
    offset_spread : float, codes
        Standard deviation of o over converters.
    gain_spread : float, 0 to 0.2
        Standard deviation of the relative gain error epsilon over converters.
    kind : AdcKind
        Where the edges lie: `Uniform()`, `Sar(...)`, `Ramp(...)`, `Cco(...)`, `Flash(...)` or `Measured(inl)`.
    columns_per_converter : int, 1 to 4096
        Neighbouring columns of a tile that one converter serves, one after the other. They share its offset, gain and
        nonlinearity; noise is drawn for each conversion.
    conversion_seconds : float, seconds
        Time of one conversion. A read takes `CrossbarChip.read_seconds` and as many conversions as a converter makes.
        0: conversions are held in read_seconds.
    clock : float, hertz, optional
        Instead of conversion_seconds, for kinds whose conversion takes a known number of cycles: Sar, Ramp and Flash.

    Raises
    ------
    InputError
        A number outside these limits, two times for one conversion, or a clock for a kind without cycles.

    Notes
    -----
    Offset, gain and the kind's imperfections are drawn once for each programmed chip (`trials`), from the stream of
    each tile. Not modelled: drift with temperature, comparator hysteresis, settling, crosstalk between columns that
    share a converter, droop of what is held for it.
    """

    bits: int = 8
    range: AdcRange = field(default=PercentileRange())
    noise: float = 0.0
    offset_spread: float = 0.0
    gain_spread: float = 0.0
    kind: AdcKind = field(default=Uniform())
    columns_per_converter: int = 1
    conversion_seconds: float = 0.0
    clock: float | None = None

    def __post_init__(self):
        _checks.integer(self.bits, who="Adc", name="bits", low=2, high=20)
        _checks.instance(self.range, AdcRange, who="Adc", name="range")
        _checks.instance(self.kind, AdcKind, who="Adc", name="kind")
        for name, high in (("noise", None), ("offset_spread", None), ("gain_spread", 0.2)):
            _checks.real(getattr(self, name), who="Adc", name=name, low=0.0, high=high)
        _checks.integer(self.columns_per_converter, who="Adc", name="columns_per_converter", low=1, high=4096)
        _checks.real(self.conversion_seconds, who="Adc", name="conversion_seconds", low=0.0)
        if self.clock is not None:
            _checks.real(self.clock, who="Adc", name="clock", low=1.0)
        self._check_width()
        self._check_time()

    def _check_width(self):
        who = type(self.kind).__name__
        if not self.kind.uniform and self.bits > WIDEST_NONLINEAR:
            raise InputError(
                f"Adc: bits is {self.bits}; {who} keeps a table of 2^bits edges for each converter, allowed: 2 to "
                f"{WIDEST_NONLINEAR}; use fewer bits or Uniform()"
            )
        if self.kind.bits not in (None, self.bits):
            raise InputError(
                f"Adc: bits is {self.bits}; {who} was made for {self.kind.bits}; use bits={self.kind.bits}"
            )

    def _check_time(self):
        given = {
            "clock": self.clock is not None,
            "conversion_seconds": self.conversion_seconds > 0,
            "kind.integration_seconds": self.kind.integration_seconds > 0,
        }
        named = [name for name, here in given.items() if here]
        if len(named) > 1:
            raise InputError(f"Adc: {' and '.join(named)} both say how long a conversion takes; give one")
        if given["clock"] and self.kind.cycles(self.bits) is None:
            raise InputError(
                f"Adc: clock is {self.clock:g}; {type(self.kind).__name__} has no number of cycles; use "
                "conversion_seconds, or the kind Sar, Ramp or Flash"
            )

    @property
    def needs_samples(self):
        return self.range.needs_samples

    def of_layer(self, layer):
        rule = range_of(self.range, layer)
        return self if rule is self.range else replace(self, range=rule)

    @property
    def limit(self) -> int:
        """Largest code."""
        return (1 << (self.bits - 1)) - 1

    @property
    def seconds_of_conversion(self) -> float:
        """Time of one conversion, s."""
        if self.clock is not None:
            return self.kind.cycles(self.bits) / self.clock
        return self.conversion_seconds or self.kind.integration_seconds

    def converter_of(self, columns: int) -> np.ndarray:
        """(columns,) int: which converter of a tile serves each of its columns."""
        return np.arange(columns) // self.columns_per_converter
