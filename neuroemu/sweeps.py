"""sweep: the same inputs over a range of settings, as rows that can be stored, resumed, merged and drawn."""

import csv
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from ._counts import aligned
from ._files import check_target, write_text
from .chip import Chip
from .errors import ArgumentTypeError, FileFormatError, InputError
from .network.graph import Network
from .placement import run
from .running import data_hash

MAX_STORE_BYTES, MAX_COLUMNS, MAX_ROWS = 1 << 26, 1000, 100_000  # of a file
# Columns that are shown: numbers, and numbers or nothing.
KNOWN, UNKNOWN = ("energy_per_inference_J", "latency_s"), ("accuracy", "chips_low", "chips_high")
SAME = ("data_hash", "images", "trials", "seed", "version")  # a stored row is taken over only if these agree


@dataclass(frozen=True, eq=False)
class Sweep:
    """Rows of one sweep, in the order of its values.

    Attributes
    ----------
    name : str
        What was varied; the name of the first column.
    rows : tuple of dict
        `Result.row()` of each value, with the value in front.
    """

    name: str
    rows: tuple[dict[str, Any], ...]

    @property
    def values(self) -> tuple:
        """The values, as they were given, or as text where they came from a file."""
        return tuple(row[self.name] for row in self.rows)

    def column(self, name: str) -> np.ndarray:
        """One column as float64; unknown values are NaN."""
        if name not in self.rows[0]:
            raise InputError(f"Sweep '{self.name}': no column '{name}'; it has {', '.join(self.rows[0])}")
        try:
            return np.array([np.nan if row[name] in (None, "") else float(row[name]) for row in self.rows])
        except ValueError as error:
            raise InputError(f"Sweep '{self.name}': column '{name}' holds text ({str(error)!r:.80})") from None

    @classmethod
    def read(cls, path: str | Path) -> "Sweep":
        """A sweep from a file that `sweep(..., store=path)` wrote; its values are text.

        Raises
        ------
        FileFormatError
            No such file, or not one of a sweep.
        """
        path = Path(path)
        if not path.is_file():
            raise FileFormatError(f"{path}: no such file; sweep(..., store=path) writes one")
        rows = _rows_of(path)
        if not rows or any(key not in rows[0] for key in SAME):
            raise FileFormatError(f"{path}: not the store of a sweep; give another path")
        if bad := [at for at, row in enumerate(rows) if not _sound(row)]:
            raise FileFormatError(f"{path}: row {bad[0] + 1} is damaged or cut; run the sweep again to replace it")
        return cls(next(iter(rows[0])), tuple(rows))

    def to_csv(self) -> str:
        """The rows as CSV text with a header."""
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(self.rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        return text.getvalue()

    def __repr__(self):
        table = [(self.name, "accuracy", "over chips", "energy/inf", "latency")]
        for row in self.rows:
            spread = (
                "-"
                if row["chips_low"] in (None, "")
                else f"+-{50 * (float(row['chips_high']) - float(row['chips_low'])):.2f}"
            )
            accuracy = "-" if row["accuracy"] in (None, "") else f"{100 * float(row['accuracy']):.2f} %"
            known = row["energy_per_inference_J"] not in (None, "")
            energy = f"{float(row['energy_per_inference_J']):.3g} J" if known else "unknown"
            table.append((str(row[self.name]), accuracy, spread, energy, f"{float(row['latency_s']):.3g} s"))
        return aligned(table)


def sweep(
    make: Callable[[Any], tuple[Network, Chip]],
    values: Iterable,
    x: np.ndarray,
    *,
    labels=None,
    name: str = "value",
    trials: int = 1,
    seed: int = 0,
    threads: int | None = None,
    store: str | Path | None = None,
    progress=True,
) -> Sweep:
    """Run `make(value)` for each value on the same inputs.

    Parameters
    ----------
    make : callable value -> (Network, Chip)
        For example ``lambda bits: (q, replace(ne.chips.HERMES, adc=Adc(bits=bits)))``.
    values : iterable
        Numbers or short texts, each once.
    x, labels, trials, seed, threads, progress
        As in `run`.
    name : str
        What is varied; it names the column.
    store : path of a .csv file, optional
        Rows are written to it as they are made. A sweep that was interrupted goes on where it stopped: rows of the
        same inputs, trials, seed and version are taken over. The file knows nothing of `make`; use another for another.

    Returns
    -------
    Sweep

    Raises
    ------
    InputError, ArgumentTypeError
        No values, a repeated value, a name that is a column of results, or `make` that gives something else.
    FileFormatError
        `store` is no file of a sweep of this name.
    """
    values = list(values)
    if not values or len({str(v) for v in values}) != len(values):
        raise InputError(f"sweep: values are {values!r}; give at least one, each once")
    if not callable(make):
        raise ArgumentTypeError(f"sweep: make is {make!r}; give a function of a value that returns (network, chip)")
    known = _stored(store, name) if store is not None else {}
    rows = []
    for value in values:
        made = make(value)
        if not (isinstance(made, tuple) and len(made) == 2):
            raise ArgumentTypeError(
                f"sweep: make({value!r}) gave {type(made).__name__}; it must return (network, chip)"
            )
        wanted = _identity(made[0], x, labels, trials, seed)
        row = known.get(str(value))
        if row is None or any(row[key] != str(wanted[key]) for key in SAME):
            result = run(*made, x, labels=labels, trials=trials, seed=seed, threads=threads, progress=progress)
            row = {name: value, **_named(result.row(), name), "trials": trials}
        else:
            row = {**row, name: value}
        rows.append(row)
        if store is not None:
            write_text(store, Sweep(name, tuple(rows)).to_csv())
    return Sweep(name, tuple(rows))


def _named(row: dict[str, Any], name: str) -> dict[str, Any]:
    """The row, after a look that no column of it has the sweep's own name."""
    if name in row:
        raise InputError(f"sweep: name is '{name}', which is a column of every result; give another name")
    return row


def _identity(network: Network, x, labels, trials, seed) -> dict[str, Any]:
    from . import __version__

    x = network.check_input(x, who="sweep")
    digest = data_hash(x, None if labels is None else np.asarray(labels))
    return {"data_hash": digest, "images": len(x), "trials": trials, "seed": seed, "version": __version__}


def _stored(store, name: str) -> dict[str, dict[str, str]]:
    """Rows of a store by value; empty if there is no file yet."""
    path = Path(store)
    check_target(path)
    if not path.exists():
        return {}
    rows = _rows_of(path)
    if rows and (name not in rows[0] or any(key not in rows[0] for key in SAME)):
        raise FileFormatError(f"{path}: not the store of a sweep over '{name}'; give another path")
    return {row[name]: row for row in rows if _sound(row)}


def _sound(row: dict) -> bool:
    """Whether a stored row is whole, with numbers where they belong."""
    if None in row or None in row.values() or any(key not in row for key in KNOWN + UNKNOWN):
        return False
    try:
        return all(isfinite(float(row[key] or 0)) for key in UNKNOWN) and all(isfinite(float(row[k])) for k in KNOWN)
    except ValueError:
        return False


def _rows_of(path: Path) -> list[dict[str, str]]:
    """All rows of a CSV file."""
    if path.stat().st_size > MAX_STORE_BYTES:
        raise FileFormatError(f"{path}: larger than {MAX_STORE_BYTES >> 20} MiB, so not the store of a sweep")
    try:
        reader = csv.DictReader(path.read_text(encoding="utf-8").splitlines())
        if len(reader.fieldnames or ()) > MAX_COLUMNS:
            raise FileFormatError(f"{path}: more than {MAX_COLUMNS:,} columns, so not the store of a sweep")
        rows = list(islice(reader, MAX_ROWS + 1))
        if len(rows) > MAX_ROWS:
            raise FileFormatError(f"{path}: more than {MAX_ROWS:,} rows, so not the store of a sweep")
        return rows
    except (UnicodeDecodeError, csv.Error) as error:
        raise FileFormatError(f"{path}: not a CSV file of a sweep ({error}); give another path") from None
