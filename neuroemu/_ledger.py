"""The text of an Energy: its report by layer and boundary, and its ledger event by event. Enter one, leave strings."""

from math import fsum
from typing import TYPE_CHECKING

from ._counts import aligned, si
from ._prices import Cost

if TYPE_CHECKING:
    from .energy import Energy, Line


def table_of(energy: "Energy") -> str:
    """The ledger as text, one row for each event kind, with its source, then totals and what is left out."""
    return "\n".join((_rows(energy), _totals(energy)))


def report_of(energy: "Energy") -> str:
    """Joules of an inference by layer (rows) and boundary (columns), totals, spread, and what is left out."""
    cells = energy.by_layer_and_boundary()
    columns = list(dict.fromkeys(boundary for _, boundary in cells))
    layers = list(dict.fromkeys(layer for layer, _ in cells))
    rows = [("layer", *columns, "all")]
    for layer in layers:
        found = [cells.get((layer, column), 0.0) / energy.inferences for column in columns]
        rows.append((layer, *(si(joules, "J") if joules else "-" for joules in found), si(fsum(found), "J")))
    totals = [fsum(j for (_, b), j in cells.items() if b == column) / energy.inferences for column in columns]
    rows.append(("total", *(si(joules, "J") for joules in totals), si(energy.per_inference, "J")))
    low, _, high = (si(joules / energy.inferences, "J") for joules in energy.spread())
    dynamic, static = (si(joules / energy.inferences, "J") for joules in (energy.dynamic, energy.static))
    return "\n".join((
        aligned(rows),
        f"an inference: dynamic {dynamic}, static {static} (boundary '{energy.boundary}'); 90 % of the draws from the "
        f"bands of the prices: {low} to {high}; {_banded(energy):.0%} of it at prices with a band",
        *(f"no price: {layer} {kind}, {n:,} events" for layer, kind, n in energy.missing),
        *_writing(energy),
        *(f"not included: {item}" for item in energy.excludes),
    ))  # fmt: skip


def _banded(energy: "Energy") -> float:
    """Share of the joules whose price has a known spread."""
    total = energy.total
    return fsum(line.joules for line in energy.lines if line.cost.band != (1.0, 1.0)) / total if total else 0.0


def _rows(energy: "Energy") -> str:
    merged: dict[Cost, list[Line]] = {}
    for line in energy.lines:
        merged.setdefault(line.cost, []).append(line)
    rows = [("event", "quantity", "price", "joules", "kind", "evidence", "source")]
    for cost, lines in merged.items():
        quantity = sum(line.quantity for line in lines)
        amount = f"{quantity:.4g} s" if cost.unit == "W" else f"{quantity:,}"
        amount = f"{quantity:,.4g}" if isinstance(quantity, float) and cost.unit == "J" else amount
        joules = fsum(line.joules for line in lines)
        name = cost.event if cost.unit == "J" else f"{cost.event} ({cost.scope})"
        unit_price = f"{cost.value:.4g} {cost.unit}"
        rows.append((name, amount, unit_price, f"{joules:.4g}", cost.kind, cost.evidence, cost.source))
    return aligned(rows, left=(0, 4, 5, 6))


def _totals(energy: "Energy") -> str:
    scopes = ", ".join(f"{scope} {joules:.4g} J" for scope, joules in energy.static_by_scope.items())
    lines = [
        f"total {energy.total:.4g} J for {energy.inferences:,} inferences = {energy.per_inference:.4g} J each "
        f"(all prices at their band's end: {energy.low:.4g} to {energy.high:.4g} J)",
        f"dynamic {energy.dynamic:.4g} J, static {energy.static:.4g} J at boundary '{energy.boundary}' "
        f"(static by scope: {scopes or 'none priced apart'})",
    ]
    lines = [f"unknown: {energy.unknown}"] if energy.unknown else lines
    lines += [f"no price: {layer} {kind}, {n:,} events" for layer, kind, n in energy.missing]
    lines += [f"free: {kind}, {reason}" for kind, reason in energy.free.items()]
    lines += _writing(energy)
    return "\n".join(lines + [f"not included: {item}" for item in energy.excludes])


def _writing(energy: "Energy") -> list[str]:
    """How much of a writing an inference carries, priced or not."""
    if energy.writes is None:
        return []
    share, found = energy.writing.share(energy.seconds / energy.inferences), []
    for kind in energy.writes.kinds():
        total = energy.writes.total(kind)
        spent = [line.joules for line in energy.lines if line.cost.event == kind]
        priced = (
            si(fsum(spent) / energy.inferences, "J") if spent else f"not priced ({energy.free.get(kind, 'covered')})"
        )
        found.append(f"{energy.writing}: {total:,} x {kind}, {total * share:.4g} an inference, {priced}")
    return found
