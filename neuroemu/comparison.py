"""compare: several results side by side, on the same inputs and labels; printed, or written as CSV or JSON."""

import csv
import html
import io
import json
from dataclasses import dataclass
from typing import Any

from ._counts import aligned
from .errors import ArgumentTypeError, InputError
from .even import BreakEven, break_even
from .fairness import Unfair, unfair
from .result import Result, percent_interval, si


@dataclass(frozen=True, eq=False)
class Comparison:
    """Results side by side; prints as a table."""

    results: tuple[Result, ...]

    @property
    def unfair(self) -> tuple[Unfair, ...]:
        """What is unfair in this comparison; see `neuroemu.unfair`."""
        return unfair(self.results)

    @property
    def break_even(self) -> tuple[BreakEven, ...]:
        """Where each spiking network with prices by event costs as much as each other machine of known energy."""
        found = []
        for spiking in self.results:
            for other in self.results:
                if spiking.form.kind in ("spiking", "graded") and other.form.kind not in ("spiking", "graded"):
                    try:
                        found.append(break_even(spiking, other))
                    except InputError:  # prices that do not tell spikes apart, or energies that do not compare
                        continue
        return tuple(found)

    def rows(self) -> list[dict[str, Any]]:
        """`Result.row()` of each."""
        return [result.row() for result in self.results]

    def to_csv(self) -> str:
        """The rows as CSV text with a header."""
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(self.rows()[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows())
        return text.getvalue()

    def to_json(self) -> str:
        """The rows with their counts, energy lines, warnings and versions as JSON text."""
        found = []
        for result in self.results:
            counts = [{"layer": layer, "event": kind, "count": n} for (layer, kind), n in result.counts.items()]
            lines = [
                {
                    "layer": line.layer, "event": line.cost.event, "quantity": line.quantity, "price": line.cost.value,
                    "unit": line.cost.unit, "joules": line.joules, "kind": line.cost.kind,
                    "evidence": line.cost.evidence, "source": line.cost.source, "device": line.cost.device,
                    "part": line.cost.part, "boundary": line.cost.boundary, "scope": line.cost.scope,
                    "band": line.cost.band, "node_nm": line.cost.node_nm, "voltage": line.cost.voltage,
                    "bits": line.cost.bits, "ops_per_mac": line.cost.ops_per_mac,
                }
                for line in result.energy.lines
            ]  # fmt: skip
            told = {"warnings": list(result.warnings), "notes": list(result.notes)}
            extra = {**told, "excludes": list(result.energy.excludes), "versions": dict(result.versions)}
            found.append({**result.row(), "counts": counts, "energy": lines, **extra})
        return json.dumps(found, indent=1, allow_nan=False)

    def _table(self) -> list[tuple[str, ...]]:
        head = (
            "network",
            "chip",
            "accuracy (95 %)",
            "over chips",
            "energy/inf",
            "static",
            "latency",
            "energy x delay",
            "inf/s",
            "units",
            "used",
            "busy",
            "mm2 used",
            "mm2 die",
            "batch",
        )
        return [head, *(_columns(result) for result in self.results)]

    def __repr__(self):
        return aligned(self._table()) + "\n" + "\n".join(self._notes())

    def _notes(self) -> list[str]:
        first = self.results[0]
        told: dict[str, list[str]] = {}  # what is said of several chips is said once
        for result in self.results:
            missing = "; ".join(result.energy.excludes)
            texts = [f"not included: {missing}"] if missing else []
            written = [f"writing: {result.energy.writing}"] if result.energy.writing is not None else []
            unknown = [f"energy unknown: {result.energy.unknown}"] if result.energy.unknown else []
            for text in [
                *unknown,
                *texts,
                *written,
                *result.notes,
                *(f"WARNING: {warning}" for warning in result.warnings),
            ]:
                chips = told.setdefault(text, [])
                if result.chip_name not in chips:
                    chips.append(result.chip_name)
        rule = (
            f"{first.n_images:,} images. Static energy is that of the powered {self._boundaries()} for each initiation "
            "interval; latency is that of a batch. mm2 are of units in use and of whole dies, which do not compare; a "
            "dash is unknown."
        )
        found = [f"Break-even: {text}." for text in _evens(self.break_even)]
        found += [f"Unfair: {finding}." for finding in self.unfair]
        return [rule, *(f"{', '.join(chips)}: {text}." for text, chips in told.items()), *found]

    def _boundaries(self) -> str:
        """The boundary of the static energies; where they differ, that of each chip."""
        found = {result.chip_name: result.boundary for result in self.results}
        most = self.results[0].boundary
        others = [f"{name}: {scope}" for name, scope in found.items() if scope != most]
        return f"{most} ({', '.join(others)})" if others else most

    def _repr_html_(self):
        head, *rows = self._table()
        top = "".join(f"<th>{html.escape(c)}</th>" for c in head)
        body = "".join("<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in row) + "</tr>" for row in rows)
        notes = "".join(f"<p>{html.escape(n)}</p>" for n in self._notes())
        return f"<table><tr>{top}</tr>{body}</table>{notes}"


def compare(results) -> Comparison:
    """Set results side by side.

    Raises
    ------
    InputError
        No results, or results of different inputs or labels.
    """
    results = (results,) if isinstance(results, Result) or not hasattr(results, "__iter__") else tuple(results)
    if not results or not all(isinstance(result, Result) for result in results):
        raise ArgumentTypeError("compare: give a list of at least one Result, as run(...) returns them")
    first = results[0]
    for other in results[1:]:
        if other.data_hash != first.data_hash:
            raise InputError(
                f"compare: '{other.network_name}' on {other.chip_name} saw other inputs or labels than "
                f"'{first.network_name}' on {first.chip_name}; run both on the same x and labels"
            )
    return Comparison(results)


def _columns(result: Result) -> tuple[str, ...]:
    scores = result.scores
    share = result.energy.static / result.energy.total if result.energy.total else 0.0
    unknown = result.energy.unknown
    return (
        result.network_name,
        result.chip_name,
        "-" if scores is None else percent_interval(scores.accuracy, scores.image_interval),
        f"+-{50 * (scores.chip_interval[1] - scores.chip_interval[0]):.2f} ({result.n_trials})"
        if result.chip_interval
        else "-",
        "unknown" if unknown else si(result.energy_per_inference, "J"),
        "-" if unknown else f"{share:.0%}",
        si(result.latency_per_inference, "s"),
        "-" if unknown else si(result.energy_delay_product, "Js"),
        f"{result.throughput:,.0f}",
        str(result.n_units),
        f"{result.utilisation:.0%}",
        "-" if result.usage is None or result.usage.busy is None else f"{result.usage.busy:.0%}",
        "-" if result.used_mm2 is None else f"{result.used_mm2:.3g}",
        result.area.chip_text(),
        str(result.batch),
    )


def _evens(found: tuple[BreakEven, ...]) -> list[str]:
    """One line for each spiking result, with all machines beside it."""
    lines = []
    for name, rate in dict.fromkeys((even.spiking, even.rate) for even in found):
        own = [even for even in found if (even.spiking, even.rate) == (name, rate)]
        line = f"{name} sends {rate:.3g} spikes a synapse"
        at = [f"{even.other} at {even.even:.3g}" for even in own if even.even is not None]
        never = [even.other for even in own if even.even is None]
        line += f"; it costs as much as {', '.join(at)}" if at else ""
        lines.append(line + (f"; it costs more than {', '.join(never)} even without spikes" if never else ""))
    return lines
