"""Counts: how often each kind of event happened in each layer, as exact integers."""

import operator
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

import numpy as np

from . import _checks
from .errors import ArgumentTypeError, InputError

Key = tuple[str, str]  # (layer, kind)


class Counts(Mapping):
    """Events by (layer, kind): an immutable mapping to Python integers, which never overflow or round.

    Parameters
    ----------
    events : mapping from (str, str) to int
        Number of events >= 0 of each (layer, kind). NumPy integers are accepted and converted.

    Raises
    ------
    ArgumentTypeError
        A key is not a pair of strings, or a count is not an integer.
    InputError
        A count is negative.

    Notes
    -----
    A zero is kept: it says that the kind was counted and did not happen. Counts of two runs add; a run done n times
    is `n * counts`.

    Examples
    --------
    >>> counts = Counts({("conv1", "mac"): 10}) + Counts({("conv1", "mac"): 5, ("conv2", "mac"): 1})
    >>> counts.total("mac")
    16
    """

    __slots__ = ("_events",)

    def __init__(self, events: Mapping[Key, int] | None = None):
        checked = {_key(key): _count(key, value) for key, value in dict(events or {}).items()}
        object.__setattr__(self, "_events", MappingProxyType(checked))

    @classmethod
    def from_pairs(cls, pairs: Iterable[tuple[str, str, int]]) -> "Counts":
        """Counts of (layer, kind, n) triples; repeated pairs of layer and kind add up."""
        events: dict[Key, int] = {}
        for layer, kind, n in pairs:
            key = _key((layer, kind))
            events[key] = events.get(key, 0) + _count(key, n)
        return cls(events)

    @classmethod
    def mean(cls, many: Iterable["Counts"]) -> "Counts":
        """Average of several counts, each rounded to the nearest integer (halves to even)."""
        many = tuple(many)
        if not many:
            raise InputError("Counts: mean of no counts; give at least one")
        total = sum(many, cls())
        return cls({key: _nearest(n, len(many)) for key, n in total.items()})

    def total(self, kind: str) -> int:
        """Number of events of `kind` over all layers; 0 when none was counted."""
        return sum(n for (_, k), n in self._events.items() if k == kind)

    def by_layer(self) -> dict[str, dict[str, int]]:
        """{layer: {kind: n}}, layers and kinds in the order in which they were counted."""
        found: dict[str, dict[str, int]] = {}
        for (layer, kind), n in self._events.items():
            found.setdefault(layer, {})[kind] = n
        return found

    def kinds(self) -> tuple[str, ...]:
        """The kinds of event, in the order in which they were counted."""
        return tuple(dict.fromkeys(kind for _, kind in self._events))

    def __getitem__(self, key: Key) -> int:
        return self._events[key]

    def __iter__(self) -> Iterator[Key]:
        return iter(self._events)

    def __len__(self) -> int:
        return len(self._events)

    def __add__(self, other: "Counts") -> "Counts":
        if not isinstance(other, Counts):
            return NotImplemented
        return Counts.from_pairs((*key, n) for part in (self, other) for key, n in part.items())

    def __mul__(self, times: int) -> "Counts":
        times = _checks.integer(times, who="Counts", name="factor", low=0)
        return Counts({key: n * times for key, n in self.items()})

    __rmul__ = __mul__

    def __hash__(self) -> int:
        return hash(frozenset(self._events.items()))

    def __setattr__(self, name, value):
        raise AttributeError(f"Counts: '{name}' cannot be set; counts are immutable, add them to get new ones")

    def __reduce__(self):
        return Counts, (dict(self._events),)

    def __repr__(self) -> str:
        layers, kinds = self.by_layer(), self.kinds()
        rows = [("layer", *kinds)]
        rows += [(layer, *(f"{row[k]:,}" if k in row else "-" for k in kinds)) for layer, row in layers.items()]
        rows.append(("total", *(f"{self.total(k):,}" for k in kinds)))
        return aligned(rows) if kinds else "Counts: no events"


def aligned(rows: list[tuple[str, ...]], *, left: tuple[int, ...] = (0,)) -> str:
    """Rows of text as columns, those in `left` to the left, the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [cell.ljust(widths[i]) if i in left else cell.rjust(widths[i]) for i, cell in enumerate(row)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _key(key) -> Key:
    if not (isinstance(key, tuple) and len(key) == 2 and all(isinstance(part, str) and part for part in key)):
        raise ArgumentTypeError(f"Counts: a key must be (layer, kind), two strings, got {key!r}")
    return key


def _count(key, value) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise ArgumentTypeError(f"Counts: {key} must be an integer, got {value!r}; events are counted") from None
    if number < 0:
        raise InputError(f"Counts: {key} is {number}; a count is 0 or more")
    return number


def _nearest(n: int, parts: int) -> int:
    whole, rest = divmod(n, parts)
    return whole + (2 * rest > parts or (2 * rest == parts and whole % 2 == 1))


def si(value: float, unit: str) -> str:
    """A number with three digits and an SI prefix: si(1.2e-6, "J") is "1.20 uJ"."""
    if value == 0 or not np.isfinite(value):
        return f"{value:g} {unit}"
    power = min(4, max(-6, int(np.floor(np.log10(abs(value)) / 3))))
    scaled = value / 10.0 ** (3 * power)
    digits = max(0, 2 - int(np.floor(np.log10(abs(scaled)))))
    return f"{scaled:.{digits}f} {'afpnum kMGT'[power + 6].strip()}{unit}"
