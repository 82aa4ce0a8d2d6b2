"""ageing: accuracy of one crossbar chip against the time since it was programmed, for one or several compensations."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from . import _checks
from .crossbar import Compensation, CrossbarChip
from .errors import ArgumentTypeError, InputError
from .network.graph import Network
from .sweeps import Sweep, sweep

MINUTE, HOUR, DAY, YEAR = 60.0, 3600.0, 86400.0, 31_557_600.0  # s; a Julian year of 365.25 days
AGES = (1.0, MINUTE, HOUR, DAY, YEAR / 12, YEAR, 10 * YEAR)  # s after programming


def ageing(
    network: Network,
    chip: CrossbarChip,
    x: np.ndarray,
    *,
    labels,
    seconds: Iterable[float] = AGES,
    compensations: Mapping[str, Compensation] | None = None,
    trials: int = 1,
    seed: int = 0,
    threads: int | None = None,
    store: str | Path | None = None,
    progress=True,
) -> dict[str, Sweep]:
    """Run the same programmed chips at several times after programming.

    Every time sees the same cells: a chip is one draw of programming noise and drift exponents, whatever its age.
    Compensation is fitted anew at each time, as a chip would do in the field.

    Parameters
    ----------
    network : Network
        Quantized.
    chip : CrossbarChip
    x, labels, trials, seed, threads, progress
        As in `run`; labels are needed.
    seconds : floats, s, >= 0
        Times after programming, from a second to ten years unless given.
    compensations : mapping of label -> Compensation, optional
        Default: the chip's own, under its name.
    store : path of a .csv file, optional
        As in `sweep`; with several compensations the label is added to the file's name.

    Returns
    -------
    dict of label -> Sweep over "seconds"; draw it with `plot.ageing`.

    Raises
    ------
    ArgumentTypeError, InputError
        Not a crossbar chip, no labels, no times, or a negative one; labels of compensations that would share a file.
    """
    who = "ageing"
    _checks.instance(network, Network, who=who, name="network")
    _checks.instance(chip, CrossbarChip, who=who, name="chip")
    if labels is None:
        raise InputError(f"{who}: needs labels, to say how accurate the chip is")
    times = [_checks.real(t, who=who, name="seconds", low=0.0) for t in seconds]
    if compensations is None:
        compensations = {repr(chip.compensation): chip.compensation}
    if not isinstance(compensations, Mapping) or not compensations:
        raise ArgumentTypeError(f"{who}: compensations is {compensations!r}; give a dict label -> Compensation")
    stores = _stores(store, [str(label) for label in compensations])
    found = {}
    for label, rule in compensations.items():
        _checks.instance(rule, Compensation, who=who, name=f"compensations[{label!r}]")

        def aged(t, rule=rule):
            return network, replace(chip, seconds=t, compensation=rule)

        found[str(label)] = sweep(
            aged, times, x, labels=labels, name="seconds", trials=trials, seed=seed, threads=threads, progress=progress,
            store=stores[str(label)],
        )  # fmt: skip
    return found


def _stores(store, labels: list[str]) -> dict[str, Path | None]:
    """The file of each label."""
    if store is None or len(labels) == 1:
        return dict.fromkeys(labels, store)
    plain = ["".join(c if c.isalnum() else "-" for c in label).strip("-") for label in labels]
    if len(set(plain)) < len(labels):
        raise InputError(
            f"ageing: compensations {', '.join(map(repr, labels))} would share a file of the store; give labels that "
            "differ in letters or digits"
        )
    path = Path(store)
    return {label: path.with_stem(f"{path.stem}-{name}") for label, name in zip(labels, plain, strict=True)}


def refresh_time(found: Sweep, *, minimum_accuracy: float) -> float:
    """Longest measured age, in seconds, up to which a chip stays accurate enough: when to write it anew.

    Give it to the chip that is charged for its refreshes: ``replace(chip, seconds=t, writing=Writing(...,
    refresh_seconds=t))`` with t this time.

    Parameters
    ----------
    found : Sweep
        Over "seconds", of one compensation, as `ageing` gives it.
    minimum_accuracy : float, 0 to 1

    Raises
    ------
    InputError
        No accuracies over "seconds", or the chip is not accurate enough at the first age.

    Notes
    -----
    Nothing is interpolated: the age is one of the sweep, and all ages before it were accurate enough. Where none fails
    it is the last one: nobody looked further.
    """
    _checks.instance(found, Sweep, who="refresh_time", name="found")
    least = _checks.real(minimum_accuracy, who="refresh_time", name="minimum_accuracy", low=0.0, high=1.0)
    if found.name != "seconds":
        raise InputError(f"refresh_time: the sweep is over '{found.name}'; give one of ageing(...), over seconds")
    ages = found.column("seconds")
    order = np.argsort(ages, kind="stable")
    good = np.nan_to_num(found.column("accuracy")[order], nan=-1.0) >= least - 1e-12
    lasting = int(np.argmin(good)) if not good.all() else len(good)
    if not lasting:
        raise InputError(
            f"refresh_time: {100 * least:g} % is not reached {ages[order[0]]:g} s after programming; ask for less, or "
            "compensate"
        )
    return float(ages[order[lasting - 1]])
