"""Report: all cases as a table, the headline over those that can surprise, and what was not computed."""

import csv
import io
from dataclasses import dataclass
from statistics import median

from .._counts import aligned, si
from . import analog, digital, macros, spiking
from .case import CLASSES, HEADLINE, Case

NOT_COMPUTED = {
    "V5, detailed timing": "SANA-FE's network-on-chip schedule is not rebuilt; the simple timing is",
    "V8, energy": "HERMES, energy of one layer of ResNet-9: the number of cores in use was not published",
    "V14, part by part": "what each part of the four macros spends: the counts behind their breakdowns were not found",
}


@dataclass(frozen=True)
class Report:
    """Cases of a validation; prints as a table with its headline."""

    cases: tuple[Case, ...]

    @property
    def failures(self) -> tuple[Case, ...]:
        """Gated cases outside of their tolerance."""
        return tuple(case for case in self.cases if case.gate and not case.held)

    def of(self, *proofs: str) -> tuple[Case, ...]:
        """The cases of some classes."""
        return tuple(case for case in self.cases if case.proof in proofs)

    def headline(self) -> str:
        """How the held-out and independent cases did, one line for each class, and the gates."""
        lines = [_summary(proof, self.of(proof)) for proof in HEADLINE]
        gated = [case for case in self.cases if case.gate]
        held = len(gated) - len(self.failures)
        lines.append(f"gates: {held} of {len(gated)} within tolerance")
        lines += [f"GATE MISSED: {case.number} {case.title}" for case in self.failures]
        return "\n".join(lines)

    def table(self) -> str:
        """All cases as text, class by class, those of the headline first."""
        parts = []
        for proof in (*HEADLINE, *(name for name in CLASSES if name not in HEADLINE)):
            rows = [HEAD, *(row(case) for case in self.of(proof))]
            title = proof.upper() + (" (headline)" if proof in HEADLINE else "")
            parts.append(f"{title}: {CLASSES[proof]}\n" + aligned(rows, left=(0, 1, 6, 7, 9)))
        return "\n\n".join(parts)

    def notes(self, *, held: bool) -> list[str]:
        """What is known beside the figures of the cases that held, or missed; a note of several cases stands once."""
        told: dict[str, list[Case]] = {}
        for case in self.cases:
            if case.note and case.held == held:
                told.setdefault(case.note, []).append(case)
        return [
            f"{cases[0].number} {cases[0].title}{f' and {len(cases) - 1} more' if cases[1:] else ''}: {note}"
            for note, cases in told.items()
        ]

    def to_csv(self) -> str:
        """One row for each case; intervals of ours as two columns."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(CSV_COLUMNS)
        for case in self.cases:
            values = (case.number, case.title, case.unit, case.published, *case.span, case.error, *case.tolerance)
            told = (case.proof, case.same_paper, case.free_parameters, case.source, case.reading, case.note)
            writer.writerow((*values, "held" if case.held else "missed", case.gate, *told))
        return text.getvalue()

    def __repr__(self):
        left_out = [f"not computed: {name}: {why}" for name, why in NOT_COMPUTED.items()]
        told = ["missed, and why:", *(f"  {note}" for note in self.notes(held=False))]
        told += ["held, and what to know:", *(f"  {note}" for note in self.notes(held=True))]
        return "\n".join((self.table(), "", *told, *left_out, "", "HEADLINE", self.headline()))


HEAD = ("case", "what", "published", "ours", "error", "tolerance", "", "from the same paper", "free", "source")
CSV_COLUMNS = (
    "case", "what", "unit", "published", "ours_low", "ours_high", "error", "tolerance_low", "tolerance_high", "result",
    "gate", "class", "from_the_same_paper", "free_parameters", "source", "reading", "note",
)  # fmt: skip


def validate() -> Report:
    """Compute every case: pure arithmetic, well under a second."""
    found = (*spiking.cases(), *analog.cases(), *digital.cases(), *macros.cases())
    return Report(tuple(sorted(found, key=lambda case: int(case.number[1:]))))


def row(case: Case) -> tuple[str, ...]:
    """One case as the columns of `HEAD`."""
    ours = " to ".join(dict.fromkeys(amount(value, case.unit) for value in case.span))
    return (
        case.number,
        case.title,
        amount(case.published, case.unit),
        ours,
        percent(case.error),
        allowed(case.tolerance),
        ("held" if case.held else "MISSED") + (" *" if case.gate else ""),
        case.same_paper or "nothing",
        str(case.free_parameters),
        case.source,
    )


def amount(value: float, unit: str) -> str:
    """A figure with its unit: an SI prefix where the unit takes one, a whole number of cycles."""
    if unit == "cycles":
        return f"{value:,.0f} cycles"
    return si(value, unit) if unit in ("J", "W", "s") else f"{value:.4g} {unit}".strip()


def percent(error: float) -> str:
    """A relative error with a sign; 0 only when it is exactly 0."""
    if error == 0:
        return "0"
    return f"{error:+.1%}" if abs(error) >= 5e-4 else f"{error:+.0e}"


def allowed(tolerance: tuple[float, float]) -> str:
    """A tolerance as text."""
    low, high = tolerance
    if low == high == 0:
        return "exact"
    if -low == high:
        return f"{high:.3g}" if high < 1e-3 else f"{100 * high:g} %"
    return f"{100 * low:+.0f} to {100 * high:+.0f} %"


def _summary(proof: str, cases: tuple[Case, ...]) -> str:
    errors = [abs(case.error) for case in cases]
    worst = max(cases, key=lambda case: abs(case.error))
    return (
        f"{proof}: {sum(case.held for case in cases)} of {len(cases)} within tolerance; median error "
        f"{median(errors):.1%}, worst {worst.error:+.0%} ({worst.number} {worst.title})"
    )
