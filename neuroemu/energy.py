"""Energy: counted events times cited prices. The only module in which joules appear.

Enter event counts and a table of prices; leaves an Energy in which every joule names its event, its count, its price
and its source. The model is one affine ledger,

    E = sum_k n_k e_k + sum_s P_s t u_s

with n_k events of kind k at e_k joules, and static powers P_s charged for t seconds on u_s powered units. Events of
writing a chip are shared out among the inferences that it serves, so their n_k are real numbers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import fsum, isclose, nan
from typing import Any

import numpy as np

from . import _checks
from ._counts import Counts
from ._ledger import report_of, table_of
from ._prices import SCOPES, Cost, CostTable, refuse_sum
from .errors import ArgumentTypeError, PriceError
from .writing import Writing

__all__ = ["Cost", "CostTable", "Counts", "Energy", "Line", "Writing", "price"]

UNPRICED_WRITES = "no price in the table; add a Cost of this event to charge it"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One row of the ledger: joules = quantity x cost.value.

    `quantity` is a number of events, a share of a writing, or unit-seconds for a static power. `layer`
    is "" for a static power.
    """

    layer: str
    cost: Cost
    quantity: float
    joules: float

    def __post_init__(self):
        if not isclose(self.joules, self.quantity * self.cost.value, rel_tol=1e-9, abs_tol=0.0):
            each = f"{self.cost.value} {self.cost.unit}"
            raise PriceError(f"Line '{self.cost.event}': {self.joules} J are not {self.quantity} x {each}")


@dataclass(frozen=True, kw_only=True)
class Energy:
    """What the counted events and the charged time cost, line by line; made by `price`.

    Joules are those of all `inferences` together. `boundary` is the scope of the static power in `total`; all scopes
    with a price stand in `static_by_scope`. `missing` lists (layer, kind, count) of events charged nothing because
    their price is unknown; `free` those charged nothing for a stated reason. `unknown` says why the joules are not
    known at all: they are NaN then. `writes` are the events of writing the chip once, `writing` how often it is
    written; both None where that is not charged.

    Raises
    ------
    PriceError
        Lines that do not add, or static power of another scope than `boundary`.
    """

    lines: tuple[Line, ...]
    static_by_scope: Mapping[str, float]
    boundary: str
    seconds: float
    inferences: int
    missing: tuple[tuple[str, str, int], ...] = ()
    free: Mapping[str, str] = field(default_factory=dict)
    excludes: tuple[str, ...] = ()
    unknown: str = ""
    writes: Counts | None = None
    writing: Writing | None = None

    def __post_init__(self):
        refuse_sum((line.cost for line in self.lines), who="Energy")
        for line in self._lines("W"):
            if line.cost.scope != self.boundary:
                raise PriceError(
                    f"Energy: '{line.cost.event}' is the power of a {line.cost.scope}, and the boundary is "
                    f"'{self.boundary}'; a {line.cost.scope} and a {self.boundary} hold one another, so they do not add"
                )

    @property
    def dynamic(self) -> float:
        """Joules of events, writing included. An average price puts its static share here."""
        return self._known(fsum(line.joules for line in self._lines("J")))

    @property
    def static(self) -> float:
        """Joules of static power at `boundary`."""
        return self._known(fsum(line.joules for line in self._lines("W")))

    @property
    def total(self) -> float:
        """dynamic + static, joules."""
        return self._known(fsum(line.joules for line in self.lines))

    @property
    def per_inference(self) -> float:
        """total / inferences, joules."""
        return self.total / self.inferences

    @property
    def low(self) -> float:
        """Total with every price at the low end of its band, joules."""
        return self._known(fsum(line.joules * line.cost.band[0] for line in self.lines))

    @property
    def high(self) -> float:
        """Total with every price at the high end of its band, joules."""
        return self._known(fsum(line.joules * line.cost.band[1] for line in self.lines))

    def by_part(self) -> dict[str, float]:
        """Dynamic joules of each part of the machine."""
        return self._grouped(self._lines("J"), lambda line: line.cost.part)

    def by_layer(self) -> dict[str, float]:
        """Dynamic joules of each layer."""
        return self._grouped(self._lines("J"), lambda line: line.layer)

    def by_boundary(self) -> dict[tuple[str, str], float]:
        """Joules by (boundary, "dynamic" or "static"), over all layers.

        Boundaries are array, converters, digital, on-chip memory and network, off-chip, host and writing; what was
        measured as a whole stands as "core, not split" or "chip, not split".
        """
        share = {"J": "dynamic", "W": "static"}
        return self._grouped(self.lines, lambda line: (line.cost.boundary, share[line.cost.unit]))

    def by_layer_and_boundary(self) -> dict[tuple[str, str], float]:
        """Joules by (layer, boundary); the layer of a static power is "static"."""
        return self._grouped(self.lines, lambda line: (line.layer or "static", line.cost.boundary))

    def spread(self, *, draws: int = 10_000, seed: int = 0) -> tuple[float, float, float]:
        """5 %, 50 % and 95 % points of the total, joules, when every price is uncertain within its band.

        Each price is drawn on its own; all the lines that it prices share the draw. A price below its nominal value is
        as likely as one above it, log-uniform to the end of the band on either side, so its median is the nominal one.
        A band of (1, 1), no spread known, stays where it is: the spread is a lower bound.

        Parameters
        ----------
        draws : int, 100 to 10,000,000
        seed : int
        """
        _checks.integer(draws, who="Energy.spread", name="draws", low=100, high=10_000_000)
        _checks.integer(seed, who="Energy.spread", name="seed", low=0)
        if self.unknown:
            return nan, nan, nan
        joules = _grouped(self.lines, lambda line: line.cost)
        generator, total = np.random.default_rng(seed), np.zeros(draws)
        for cost, part in joules.items():
            place = generator.uniform(-1.0, 1.0, draws)
            low, high = np.log(cost.band[0]), np.log(cost.band[1])
            total += part * np.exp(np.where(place < 0, -place * low, place * high))
        return tuple(float(v) for v in np.quantile(total, (0.05, 0.5, 0.95)))

    def by_evidence(self) -> dict[str, float]:
        """Joules, static included, by the evidence behind their price."""
        return self._grouped(self.lines, lambda line: line.cost.evidence)

    def report(self) -> str:
        """Joules of an inference by layer (rows) and boundary (columns), static power in a row of its own, and totals.

        Below: what of it is dynamic and static, and the spread of the total over the bands of the prices.
        """
        return f"unknown: {self.unknown}" if self.unknown else report_of(self)

    def table(self) -> str:
        """The ledger as text, one row for each event kind, with its source."""
        return table_of(self)

    def _grouped(self, lines, key: Callable[[Line], Any]) -> dict[Any, float]:
        """Joules by `key`; NaN where not all of them are known."""
        return {name: self._known(joules) for name, joules in _grouped(lines, key).items()}

    def _known(self, joules: float) -> float:
        return nan if self.unknown else joules

    def _lines(self, unit: str) -> tuple[Line, ...]:
        return tuple(line for line in self.lines if line.cost.unit == unit)


def price(
    counts: Counts,
    costs: CostTable,
    *,
    seconds: float,
    inferences: int,
    units: Mapping[str, int] | None = None,
    boundary: str = "chip",
    allow_missing: bool = False,
    writes: Counts | None = None,
    writing: Writing | None = None,
) -> Energy:
    """Energy of counted events and charged time, E = sum_k n_k e_k + sum_s P_s t u_s.

    Parameters
    ----------
    counts : Counts
        Events of all the inferences.
    costs : CostTable
    seconds : float, >= 0
        Time charged to all the inferences together: inferences x initiation interval on a pipelined machine that is
        kept full, inferences x latency on others. The caller decides which.
    inferences : int, >= 1
    units : mapping from {"core", "chip", "board"} to int
        Powered units of each scope. "core" is the number of cores in use.
    boundary : {"core", "chip", "board"}, default "chip"
        Scope of the static power that enters the total: used cores only, whole powered chips, or the board. Compare
        machines at one boundary. A table without any static power is accepted, but for the board: its averages hold
        static power of the chip.
    allow_missing : bool
        List events without a price in `Energy.missing` and charge them nothing.
    writes, writing : Counts and Writing, optional
        Events of writing the chip once, and how often it is written. Each inference is charged its share of them. Those
        without a price are listed in `Energy.free`: few are published.

    Raises
    ------
    PriceError
        An event has no price and the table does not say that none is public; an event is covered by one that was not
        counted in its layer; the table has static powers, but none at `boundary`, or none of the board where that is
        asked for; `units` does not say how many units there are.
    """
    if not isinstance(counts, Counts) or not isinstance(costs, CostTable):
        got = f"{type(counts).__name__} and {type(costs).__name__}"
        raise ArgumentTypeError(f"price: needs Counts and a CostTable, got {got}")
    seconds = _checks.real(seconds, who="price", name="seconds", low=0)
    inferences = _checks.integer(inferences, who="price", name="inferences", low=1)
    _checks.choice(boundary, SCOPES, who="price", name="boundary")
    lines, missing = _dynamic(counts, costs)
    written = writes if writing is not None and writes else None
    if written is not None:
        lines += _of_writing(written, costs, inferences * writing.share(seconds / inferences))
    if missing and not (allow_missing or costs.unpriced):
        raise PriceError(_unpriced(missing[0], costs))
    static = _static(costs, seconds, units or {}, boundary)
    return Energy(
        lines=tuple(lines) + static.get(boundary, ()),
        static_by_scope={scope: fsum(line.joules for line in found) for scope, found in static.items()},
        boundary=boundary,
        seconds=seconds,
        inferences=inferences,
        missing=tuple(missing),
        free=_free(counts, written, costs),
        excludes=costs.excludes,
        unknown=costs.unpriced if missing else "",
        writes=written,
        writing=None if written is None else writing,
    )


def _dynamic(counts: Counts, costs: CostTable) -> tuple[list[Line], list[tuple[str, str, int]]]:
    lines, missing = [], []
    for (layer, kind), n in counts.items():
        prices = costs.of(kind)
        lines += [Line(layer=layer, cost=cost, quantity=n, joules=n * cost.value) for cost in prices]
        held = any(counts.get((layer, k), 0) for k in costs.covered.get(kind, ()))
        if n and not (prices or held or kind in costs.free):
            missing.append((layer, kind, n))
    return lines, missing


def _of_writing(writes: Counts, costs: CostTable, times: float) -> list[Line]:
    """Lines of a chip that is written `times`, which need not be whole."""
    return [
        Line(layer=layer, cost=cost, quantity=n * times, joules=n * times * cost.value)
        for (layer, kind), n in writes.items()
        for cost in costs.of(kind)
    ]


def _free(counts: Counts, writes: Counts | None, costs: CostTable) -> dict[str, str]:
    found = {kind: costs.free[kind] for kind in counts.kinds() if kind in costs.free}
    for kind in () if writes is None else writes.kinds():
        if not costs.of(kind) and kind not in costs.covered:
            found[kind] = costs.free.get(kind, UNPRICED_WRITES)
    return found


def _static(costs: CostTable, seconds: float, units: Mapping[str, int], boundary: str) -> dict[str, tuple[Line, ...]]:
    powers = {scope: costs.static(scope) for scope in SCOPES if costs.static(scope)}
    if boundary not in powers and (powers or boundary == "board"):
        raise PriceError(
            f"price: no static power is known at boundary '{boundary}'; choose from {', '.join(powers) or 'chip'}"
        )
    found = {}
    for scope, prices in powers.items():
        if scope not in units:
            if scope == boundary:
                raise PriceError(f"price: units has no '{scope}', whose static power is priced; add '{scope}': n")
            continue
        quantity = seconds * _checks.integer(units[scope], who="price", name=f"units['{scope}']", low=0)
        found[scope] = tuple(Line(layer="", cost=c, quantity=quantity, joules=quantity * c.value) for c in prices)
    return found


def _unpriced(event: tuple[str, str, int], costs: CostTable) -> str:
    layer, kind, n = event
    if kind in costs.covered:
        cause = f"is covered by {' or '.join(costs.covered[kind])}, of which the layer counted none"
    else:
        cause = "has no price"
    remedy = "add a Cost, name it in free, or use allow_missing=True"
    return f"price: layer '{layer}': '{kind}' ({n:,} events) {cause}; {remedy}"


def _grouped(lines, key: Callable[[Line], Any]) -> dict[Any, float]:
    groups: dict[Any, list[float]] = {}
    for line in lines:
        groups.setdefault(key(line), []).append(line.joules)
    return {name: fsum(joules) for name, joules in groups.items()}
