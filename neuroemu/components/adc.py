"""Analog-digital converters: five published laws for the energy of a conversion, which differ by 8 times at 4 bits.

Enter bits, node and rate; leaves a Cost. Nominal and effective bits differ: papers on crossbars state nominal bits, the
survey and the Andrulis model know effective ones. Without `enob` the two are taken as equal, which overstates the price
of a fast converter.

| model | law | holds for |
|---|---|---|
| `SurveyEnvelope` | median of published converters, by effective bits | 100 MS/s and more; any node; the default |
| `Andrulis` | regression over published converters | node and rate enter; optimistic |
| `SaberiTable` | capacitive DAC of a SAR converter, from ISAAC's | 32 nm, up to 1.2 GS/s, 4 to 10 bits |
| `PowerOfTwo` | ISAAC's x 2^(b - 8) | the same |
| `LinearBits` | ISAAC's x b / 8 | the same |
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import ceil, exp, log

from .. import _checks
from ..energy import Cost
from ..errors import InputError

SURVEY = "Murmann, ADC Performance Survey 1997-2025, revision 2025-06-09, github.com/bmurmann/ADC-survey"
ANDRULIS = "Andrulis, accelergy-adc-plug-in, model.py and adc_data/model.yaml"
SABERI = "Saberi 2011, doi:10.1109/TCSI.2011.2107214, scaled from ISAAC in hwcomponents-library, library/isaac.py"
ISAAC = "Shafiee 2016, doi:10.1109/ISCA.2016.12, Table I: 2 mW at 1.2 GS/s, after Kull 2013"
ISAAC_JOULES = 16e-3 / (8 * 1.2e9)  # ISAAC, Table I: 8 converters of an IMA draw 16 mW; 1.667 pJ
ISAAC_NODE_NM, ISAAC_RATE, ISAAC_BITS = 32, 1.2e9, 8


class AdcModel(ABC):
    """A law for the energy of one conversion."""

    @abstractmethod
    def energy(self, bits: int, *, node_nm: float, rate: float, enob: float | None = None) -> Cost:
        """Price of one conversion at `bits` nominal bits; `adc_energy` says more."""

    def area(self, bits: int, *, node_nm: float, rate: float, enob: float | None = None) -> float | None:
        """Square metres of one converter; None where the law has none."""
        return None


@dataclass(frozen=True)
class SurveyEnvelope(AdcModel):
    """Median energy P / f_nyquist of the converters published since 2010 with at least 100 MS/s, by effective bits.

    The band runs from the 10th to the 90th percentile. Node and rate do not enter: the table mixes both.
    """

    def energy(self, bits: int, *, node_nm: float, rate: float, enob: float | None = None) -> Cost:
        _checked(bits, node_nm, rate, low=5, high=12)
        effective = round(_effective(bits, enob))
        _checks.integer(effective, who="SurveyEnvelope", name="effective bits", low=5, high=12)
        if rate < 100e6:
            raise InputError(
                f"SurveyEnvelope: rate is {rate:g} samples/s; the table holds converters from 1e8; use model=Andrulis()"
            )
        low, median, high, n = SURVEY_PICOJOULES[effective]
        return _price(
            median,
            bits,
            source=SURVEY,
            evidence="silicon",
            band=(low / median, high / median),
            note=f"median of {n} converters of {effective} effective bits, any node; band: 10th to 90th percentile",
        )


SURVEY_PICOJOULES = {  # ENOB: 10 %, 50 %, 90 % of P / f_nyquist (pJ), number; from SURVEY's column SNDR_plot
    5: (1.11, 3.26, 14.5, 29),
    6: (1.55, 5.14, 18.0, 26),
    7: (1.52, 3.64, 30.5, 17),
    8: (5.30, 21.33, 137.5, 28),
    9: (10.63, 29.29, 209.5, 28),
    10: (4.60, 19.16, 678.1, 35),
    11: (11.48, 30.72, 782.6, 24),
    12: (11.80, 162.92, 1517.0, 14),
}
SURVEY_MINIMUM_PICOJOULES = {5: 0.78, 6: 1.46, 7: 1.11, 8: 4.61, 9: 5.22, 10: 2.24, 11: 6.50, 12: 6.31}  # SURVEY


@dataclass(frozen=True)
class Andrulis(AdcModel):
    """Regression over the survey, optimistic by intent (a best possible part).

        FOM_S = min(213.78 - 2.8719 ln f, 128.31 + 3.2205 ceil(ENOB)),  SNDR = 6.02 ENOB + 1.76
        E = exp(26.0496 + 1.8800 ln node - 2.8291 ln ENOB - 1.4702) / (2 x 10^((FOM_S - SNDR) / 10))   in pJ
        ln A = 1.3462 + 0.9933 ln node + 0.1807 ln f + 0.2991 ln E                                     in um^2

    with the node in nm, f in samples/s, E in pJ. Band: on the 215 converters of its own list, model over actual is 0.05
    to 2.9 (10th and 90th percentile), 0.37 in the middle.
    """

    def energy(self, bits: int, *, node_nm: float, rate: float, enob: float | None = None) -> Cost:
        _checked(bits, node_nm, rate, low=1, high=20)
        return _price(
            self._picojoules(_effective(bits, enob), node_nm, rate),
            bits,
            source=ANDRULIS,
            evidence="model",
            band=(1 / 2.9, 1 / 0.05),
            node_nm=node_nm,
            note=f"{_effective(bits, enob):g} effective bits, {rate:g} samples/s; a best possible part",
        )

    def area(self, bits: int, *, node_nm: float, rate: float, enob: float | None = None) -> float:
        """Square metres of one converter."""
        _checked(bits, node_nm, rate, low=1, high=20)
        picojoules = self._picojoules(_effective(bits, enob), node_nm, rate)
        return 1e-12 * exp(1.3462 + 0.9933 * log(node_nm) + 0.1807 * log(rate) + 0.2991 * log(picojoules))

    def _picojoules(self, enob: float, node_nm: float, rate: float) -> float:
        merit = min(213.78 - 2.8719 * log(rate), 128.31 + 3.2205 * ceil(enob))
        excess = (merit - (6.02 * enob + 1.76)) / 10
        return exp(26.0496 + 1.8800 * log(node_nm) - 2.8291 * log(enob) - 1.4702) / (2 * 10**excess)


@dataclass(frozen=True)
class SaberiTable(AdcModel):
    """ISAAC's converter at other resolutions by Saberi's analysis of capacitive DACs: a table."""

    def energy(self, bits: int, *, node_nm: float, rate: float, enob: float | None = None) -> Cost:
        _like_isaac("SaberiTable", bits, node_nm, rate)
        picojoules = SABERI_TABLE[bits][0]
        return _price(picojoules, bits, source=SABERI, evidence="model", band=_kull(1.0), node_nm=node_nm, note=_NOTE)

    def area(self, bits: int, *, node_nm: float, rate: float, enob: float | None = None) -> float:
        """Square metres of one converter."""
        _like_isaac("SaberiTable", bits, node_nm, rate)
        return 1e-12 * SABERI_TABLE[bits][1]


SABERI_TABLE = {  # bits: pJ, um^2; SABERI
    4: (0.79, 361.0),
    5: (0.99, 477.0),
    6: (1.20, 627.0),
    7: (1.42, 845.0),
    8: (1.67, 1200.0),
    9: (1.97, 1828.0),
    10: (2.38, 3002.0),
}


@dataclass(frozen=True)
class PowerOfTwo(AdcModel):
    """ISAAC's converter x 2^(b - 8), the default law of hwcomponents-library; 8 times below Saberi's at 4 bits."""

    def energy(self, bits: int, *, node_nm: float, rate: float, enob: float | None = None) -> Cost:
        return _scaled_isaac("PowerOfTwo", bits, node_nm, rate, 2.0 ** (bits - ISAAC_BITS))


@dataclass(frozen=True)
class LinearBits(AdcModel):
    """ISAAC's converter x b / 8, the law of PUMA and Newton."""

    def energy(self, bits: int, *, node_nm: float, rate: float, enob: float | None = None) -> Cost:
        return _scaled_isaac("LinearBits", bits, node_nm, rate, bits / ISAAC_BITS)


SURVEY_ENVELOPE = SurveyEnvelope()
_NOTE = "scaled from ISAAC's 8-bit converter, itself taken over from one measured part"


def adc_energy(
    bits: int, *, node_nm: float, rate: float, enob: float | None = None, model: AdcModel = SURVEY_ENVELOPE
) -> Cost:
    """Price of one analog-digital conversion.

    Parameters
    ----------
    bits : int
        Nominal bits.
    node_nm : float, nm
    rate : float, samples/s
    enob : float or None
        Effective bits at that rate; None takes the nominal ones.
    model : AdcModel
        The law; its docstring has equation and source.

    Returns
    -------
    Cost
        Of event "adc_conversion", with the band of the law.

    Raises
    ------
    InputError
        Outside of what the law holds for.
    """
    _checks.instance(model, AdcModel, who="adc_energy", name="model")
    return model.energy(bits, node_nm=node_nm, rate=rate, enob=enob)


def _price(picojoules: float, bits: int, *, source, evidence, band, note, node_nm=None) -> Cost:
    return Cost(
        event="adc_conversion",
        value=picojoules * 1e-12,
        kind="average",  # all of the power, divided by the rate
        device="ADC",
        source=source,
        evidence=evidence,
        part="converters",
        band=band,
        node_nm=node_nm,
        bits=bits,
        note=note,
    )


def _checked(bits: int, node_nm: float, rate: float, *, low: int, high: int):
    _checks.integer(bits, who="adc_energy", name="bits", low=low, high=high)
    _checks.real(node_nm, who="adc_energy", name="node_nm", low=1, high=1000)
    _checks.real(rate, who="adc_energy", name="rate", low=1)


def _effective(bits: int, enob: float | None) -> float:
    return float(bits) if enob is None else _checks.real(enob, who="adc_energy", name="enob", low=1, high=bits)


def _like_isaac(who: str, bits: int, node_nm: float, rate: float):
    _checked(bits, node_nm, rate, low=min(SABERI_TABLE), high=max(SABERI_TABLE))
    if node_nm != ISAAC_NODE_NM or rate > ISAAC_RATE:
        raise InputError(
            f"{who}: {node_nm:g} nm at {rate:g} samples/s; the law is that of a {ISAAC_NODE_NM} nm part of "
            f"{ISAAC_RATE:g} samples/s and converters do not scale like logic; use model=Andrulis()"
        )


def _kull(factor: float) -> tuple[float, float]:
    """Band of laws that rest on ISAAC's converter: the part behind it drew 3.1 mW, ISAAC takes 2 mW."""
    return (factor, 3.1 / 2)


def _scaled_isaac(who: str, bits: int, node_nm: float, rate: float, factor: float) -> Cost:
    _like_isaac(who, bits, node_nm, rate)
    ratio = SABERI_TABLE[bits][0] * 1e-12 / (ISAAC_JOULES * factor)  # where Saberi's analysis stands
    band = (min(1.0, ratio), max(3.1 / 2, ratio))
    return _price(
        ISAAC_JOULES * factor * 1e12, bits, source=ISAAC, evidence="model", band=band, node_nm=node_nm, note=_NOTE
    )
