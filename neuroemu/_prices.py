"""Prices: what one event or one second costs, where that is known from, and which prices may not be added."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations, permutations
from types import MappingProxyType

from . import _checks
from .errors import ArgumentTypeError, InputError, PriceError

KINDS = {"marginal": "J", "average": "J", "static": "W", "leakage": "W"}
EVIDENCE = ("silicon", "spice", "model", "vendor", "estimate", "fitted", "assumed")
PARTS = (
    "array", "core", "converters", "synapse", "neuron", "network", "memory", "off_chip", "compute", "chip", "host",
    "writing",
)  # fmt: skip
BOUNDARIES = {  # what a part belongs to when machines are set side by side
    "array": "array",
    "core": "core, not split",  # one measured price that holds array, converters and digital units
    "converters": "converters",
    "synapse": "digital",
    "neuron": "digital",
    "compute": "digital",
    "network": "on-chip memory and network",
    "memory": "on-chip memory and network",
    "off_chip": "off-chip",
    "chip": "chip, not split",
    "host": "host",
    "writing": "writing",  # programming and refreshing cells, shared out among inferences
}
SCOPES = ("core", "chip", "board")
IN_A_CORE = {"array", "converters"}  # what a price of part "core" holds by definition
BESIDE_A_CHIP = {"chip", "host", "off_chip", "writing"}  # what a price of part "chip" does not hold


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The price of one kind of event, or one static power, with where it comes from.

    Parameters
    ----------
    event : str
        Kind of event as engines count it; for a static power, a name for it.
    value : float, >= 0
        Joules per event, or watts per powered unit.
    kind : {"marginal", "average", "static", "leakage"}
        "marginal": what one more event adds (J). "average": all the power at one operating point divided by the rate of
        events there, so it holds a share of the static power (J). "static": power without events (W), "leakage" the
        part of it that remains with the clock stopped (W).
    device : str
        What was measured. An average and a static power of one device never meet in one table.
    source : str
        Author, year, DOI, table or figure.
    evidence : {"silicon", "spice", "model", "vendor", "estimate", "fitted", "assumed"}
    part : str
        Part of the machine, one of `PARTS`. "core" and "chip" are prices of a whole that no source splits.
    scope : {"core", "chip", "board"} or None
        For watts: the unit that burns them, with all that is inside it. None for joules.
    band : (float, float)
        Factors 0 < low <= 1 <= high on `value`; (1, 1) says that no spread is known, not that there is none.
    node_nm, voltage, bits, ops_per_mac : optional
        Technology node (nm), supply (V), operand bits, and how many operations the source calls one MAC.
    note : str

    Raises
    ------
    InputError, ArgumentTypeError
        A field is out of range, or unit and scope do not fit `kind`.
    """

    event: str
    value: float
    kind: str
    device: str
    source: str
    evidence: str
    part: str
    scope: str | None = None
    band: tuple[float, float] = (1.0, 1.0)
    node_nm: float | None = None
    voltage: float | None = None
    bits: int | None = None
    ops_per_mac: int | None = None
    note: str = ""

    def __post_init__(self):
        for name in ("event", "device", "source"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name).strip():
                raise ArgumentTypeError(f"Cost: {name} must be a non-empty string, got {getattr(self, name)!r}")
        who = f"Cost '{self.event}'"
        object.__setattr__(self, "value", _checks.real(self.value, who=who, name="value", low=0))
        for name, options in (("kind", tuple(KINDS)), ("evidence", EVIDENCE), ("part", PARTS)):
            _checks.choice(getattr(self, name), options, who=who, name=name)
        scopes = SCOPES if self.unit == "W" else (None,)
        _checks.choice(self.scope, scopes, who=who, name=f"scope of a price in {self.unit}")
        if len(self.band) != 2:
            raise InputError(f"{who}: band is {self.band}; give (low, high), two factors")
        low = _checks.real(self.band[0], who=who, name="band low", low=0, high=1)
        high = _checks.real(self.band[1], who=who, name="band high", low=1)
        object.__setattr__(self, "band", (low, high))

    @property
    def unit(self) -> str:
        """Joules per event ("J") or watts per powered unit ("W")."""
        return KINDS[self.kind]

    @property
    def boundary(self) -> str:
        """What its part belongs to when machines are set side by side, one of `BOUNDARIES`."""
        return BOUNDARIES[self.part]


@dataclass(frozen=True, kw_only=True)
class CostTable:
    """The prices of one machine.

    Parameters
    ----------
    costs : tuple of Cost
        An event may have several marginal prices, one for each part; an average is its event's only price.
    covered : mapping from str to str or tuple of str
        Counted kinds that cost nothing extra because the measured price of another kind holds them:
        {"adc_conversion": "core_read"}. A tuple names alternatives, one of which must have been counted in the layer.
    free : mapping from str to str
        Counted kinds without a price, and the reason; counted for information, charged nothing.
    excludes : tuple of str
        What no price of this table holds; printed with every result.
    unpriced : str
        Why events without a price are no mistake: none is public. They are then listed as missing and the energy of a
        run that has some is unknown, NaN; "" makes them an error.

    Raises
    ------
    PriceError
        Prices that do not add (`refuse_sum`); two prices for one event and part; a kind that is both priced and free or
        covered; a covering kind without a price.
    """

    costs: tuple[Cost, ...] = ()
    covered: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    free: Mapping[str, str] = field(default_factory=dict)
    excludes: tuple[str, ...] = ()
    unpriced: str = ""

    def __post_init__(self):
        if not all(isinstance(cost, Cost) for cost in self.costs):
            raise ArgumentTypeError("CostTable: costs must be Cost objects")
        covered = {k: (v,) if isinstance(v, str) else tuple(v) for k, v in self.covered.items()}
        object.__setattr__(self, "costs", tuple(self.costs))
        object.__setattr__(self, "covered", MappingProxyType(covered))
        object.__setattr__(self, "free", MappingProxyType(dict(self.free)))
        refuse_sum(self.costs, who="CostTable")
        self._refuse_doubles()

    def __reduce__(self):
        return _table, (self.costs, dict(self.covered), dict(self.free), self.excludes, self.unpriced)

    def of(self, event: str) -> tuple[Cost, ...]:
        """The prices per event of kind `event`, joules; empty when there is none."""
        return tuple(c for c in self.costs if c.unit == "J" and c.event == event)

    def static(self, scope: str) -> tuple[Cost, ...]:
        """The static powers of one scope, watts per unit."""
        return tuple(c for c in self.costs if c.unit == "W" and c.scope == scope)

    def with_costs(self, *costs: Cost) -> "CostTable":
        """The same table with more prices; events that were free or covered so far are so no longer."""
        priced = {cost.event for cost in costs if isinstance(cost, Cost)}
        left = [{k: v for k, v in found.items() if k not in priced} for found in (self.covered, self.free)]
        return replace(self, costs=(*self.costs, *costs), covered=left[0], free=left[1])

    def _refuse_doubles(self):
        seen = set()
        for cost in self.costs:
            key = (cost.event, cost.part, cost.scope)
            if key in seen or (cost.kind == "average" and len(self.of(cost.event)) > 1):
                raise PriceError(f"CostTable: '{cost.event}' is priced twice ({cost.part}); keep one price")
            seen.add(key)
            if cost.unit == "J" and (cost.event in self.covered or cost.event in self.free):
                raise PriceError(f"CostTable: '{cost.event}' is priced and also covered or free; keep one of them")
        for kind, covering in self.covered.items():
            unpriced = [k for k in covering if not self.of(k)]
            if unpriced or not covering or kind in self.free:
                raise PriceError(
                    f"CostTable: '{kind}' is covered by {covering}, but {unpriced or 'it'} has no price or is free; "
                    "price each covering kind and state each covered kind once"
                )


def refuse_sum(costs: Iterable[Cost], *, who: str):
    """Raise PriceError where prices hold a part of each other, so that their joules do not add.

    - an average and a static power of one device: the average holds a share of the static power;
    - static and leakage power of one device and scope: leakage is a part of static power;
    - power of a whole chip and of a part of it, of one device and scope;
    - a price of part "core", which holds arrays and converters, beside prices of these;
    - a price per event of part "chip", which holds all of the chip, beside any but those of the host, of memory off the
      chip (of another device) and of writing.

    Devices are told apart by their names, whatever the case of the letters.
    """
    costs = tuple(dict.fromkeys(costs))
    watts, joules = (tuple(cost for cost in costs if cost.unit == unit) for unit in ("W", "J"))
    averages = {_device(cost): cost for cost in joules if cost.kind == "average"}
    for cost in watts:
        if _device(cost) in averages:
            raise PriceError(
                f"{who}: '{averages[_device(cost)].event}' of '{cost.device}' is an average at an operating "
                f"point, which holds the static power '{cost.event}' ({cost.value} W) already; drop one of the "
                "two, or use a marginal price"
            )
    for cost, other in combinations(watts, 2):
        if (_device(cost), cost.scope) != (_device(other), other.scope):
            continue
        if {cost.kind, other.kind} == {"static", "leakage"}:
            _refuse(who, cost, other, "leakage is the part of a static power that remains with the clock stopped")
        if (cost.part == "chip") != (other.part == "chip"):
            _refuse(who, cost, other, "a power of part 'chip' is that of all its parts")
    for cost, other in permutations(joules, 2):
        if cost.part == "core" and other.part in IN_A_CORE:
            _refuse(who, cost, other, "a price of part 'core' holds arrays and converters")
        own = {"off_chip"} if _device(cost) == _device(other) else set()
        if cost.part == "chip" and other.part not in BESIDE_A_CHIP - own:
            _refuse(who, cost, other, "a price of part 'chip' holds all of the chip")


def _refuse(who: str, cost: Cost, other: Cost, why: str):
    raise PriceError(
        f"{who}: '{cost.event}' ({cost.part}, {cost.kind}) and '{other.event}' ({other.part}, {other.kind}) do not "
        f"add: {why}; drop one of the two and name its event in covered or free"
    )


def _device(cost: Cost) -> str:
    return " ".join(cost.device.casefold().split())


def _table(costs, covered, free, excludes, unpriced) -> CostTable:
    return CostTable(costs=costs, covered=covered, free=free, excludes=excludes, unpriced=unpriced)
