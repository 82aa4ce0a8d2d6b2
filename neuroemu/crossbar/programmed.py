"""A programmed chip: cells that keep what was written into them. Enter a network and a chip, leaves a chip to run on.

    made = program(network, chip, seed=1)      # write once
    run(network, made, x), run(network, made.at(86400.0), x)      # read now, and the same cells a day later
    made.save("chip7.npz"); made = load_programmed("chip7.npz", network, chip)

A file holds cells and, if wanted, a calibration; never a configuration. The chip that is given says how cells are read,
and what it says about how they were written must agree with the file.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path

import numpy as np

from .. import _checks
from ..chip import Chip, Progress, silent
from ..errors import InputError, PlacementError
from ..network._build import one_line
from ..network.graph import Network
from .building import Calibrated, engines_of, program_cells
from .chip import CrossbarChip
from .programming import ProgrammedTile


@dataclass(frozen=True, kw_only=True, eq=False)
class ProgrammedChip(Chip):
    """One chip with a network in its cells; made by `program` or `load_programmed`. It is a Chip: give it to `run`.

    Attributes
    ----------
    chip : CrossbarChip
        How the cells are read: converters, time, compensation.
    network : Network
        What was programmed; no other runs.
    cells : mapping of layer name -> tuple of ProgrammedTile
    made : (seed, trial)
        The draw of programming, which also fixes the converters' own errors.
    calibration : mapping of layer name -> Calibrated, or None
        Ranges, gains and offsets that are kept; None: computed anew for each run, at the time of that run.
    """

    chip: CrossbarChip
    network: Network
    cells: Mapping[str, tuple[ProgrammedTile, ...]]
    made: tuple[int, int]
    calibration: Mapping[str, Calibrated] | None = None

    def place(self, network):
        if network is not self.network and digest_of(network) != digest_of(self.network):
            raise PlacementError(
                f"{self.name}: network '{network.name}' is not the one in its cells, '{self.network.name}'; program a "
                "chip with it: program(network, chip)"
            )
        return self.chip.place(network)

    def execute(self, network, sites, x, *, seed, trials, threads, progress: Progress = silent):
        if trials != 1:
            raise InputError(f"{self.name}: trials is {trials}, and this is one programmed chip; use trials=1")
        engines = self._engines(network, seed, max(1, threads // len(x)))
        keys = {"seed": seed, "made": lambda trial: self.made, "trials": 1, "threads": threads, "progress": progress}
        return self.chip.read(network, sites, x, lambda trial: engines, **keys)

    def at(self, seconds: float) -> "ProgrammedChip":
        """The same cells `seconds` after they were programmed, s; absolute, so the order of calls does not matter."""
        return replace(self, chip=replace(self.chip, seconds=seconds))

    def read_by(self, chip: CrossbarChip) -> "ProgrammedChip":
        """The same cells read by another chip, which must agree in all that programming fixed; a calibration is lost.

        Raises
        ------
        InputError
            It differs in rows, columns, device, mapping or row order; the message says in which.
        """
        _checks.instance(chip, CrossbarChip, who="read_by", name="chip")
        refuse_other(written_by(chip), written_by(self.chip), who=f"read_by on {chip.name}", held_by="these cells have")
        return replace(self, name=chip.name, costs=chip.costs, area=chip.area, chip=chip, calibration=None)

    def calibrated(self, *, seed: int = 0, threads: int | None = None) -> "ProgrammedChip":
        """This chip with ranges, gains and offsets as they are now, kept for all later runs.

        Parameters
        ----------
        seed : int
            Of the noise of the reads that calibrate.
        threads : int, optional
        """
        _checks.integer(seed, who="calibrated", name="seed", low=0)
        from threadpoolctl import threadpool_limits

        threads = _checks.threads(threads, who="calibrated")
        with threadpool_limits(limits=1, user_api="blas"):  # as a run, so that its bits are those of a run
            engines = replace(self, calibration=None)._engines(self.network, seed, threads)
        kept = {name: Calibrated(engine.tables, engine.correction) for name, engine in engines.items()}
        return replace(self, calibration=kept)

    def save(self, path: str | os.PathLike) -> None:
        """Write cells and calibration to an .npz file that `load_programmed` reads; whole or not at all.

        Raises
        ------
        InputError
            A path that does not end in .npz or lies in no folder.
        """
        from .programmed_files import write_programmed

        write_programmed(self, Path(path))

    def _engines(self, network, seed: int, threads: int):
        sampled = {} if self.calibration is not None else self.chip.sampled_rows(network)
        return engines_of(
            self.chip, network, self.cells, sampled, made=self.made, seed=seed, trial=0, threads=threads,
            calibration=self.calibration,
        )  # fmt: skip


def program(network: Network, chip: CrossbarChip, *, seed: int = 0, trial: int = 0) -> ProgrammedChip:
    """Write `network` into the cells of one chip.

    Parameters
    ----------
    network : Network
        Quantized.
    chip : CrossbarChip
    seed, trial : int
        Which draw of programming noise, drift exponents, faults and converter errors: that of the chip number `trial`
        in `run(network, chip, x, seed=seed)`.

    Returns
    -------
    ProgrammedChip

    Raises
    ------
    PlacementError, ArgumentTypeError, InputError
        As `place`.
    """
    _checks.instance(network, Network, who="program", name="network")
    _checks.instance(chip, CrossbarChip, who="program", name="chip")
    _checks.integer(seed, who="program", name="seed", low=0, high=2**63 - 1)
    _checks.integer(trial, who="program", name="trial", low=0)
    chip.place(network)
    cells = program_cells(chip, network, seed=seed, trial=trial)
    named = {"name": chip.name, "costs": chip.costs, "area": chip.area}
    return ProgrammedChip(**named, chip=chip, network=network, cells=cells, made=(seed, trial))


def load_programmed(path: str | os.PathLike, network: Network, chip: CrossbarChip) -> ProgrammedChip:
    """A chip from a file that `ProgrammedChip.save` wrote.

    Parameters
    ----------
    path : path to the .npz file
    network : Network
        The one that was programmed; its weights are checked against the file.
    chip : CrossbarChip
        How the cells are read. Nothing of it comes from the file; rows, columns, device, mapping and reference columns
        must be those that the cells were written with. A calibration that the file holds is used: drop it with
        ``replace(loaded, calibration=None)``.

    Returns
    -------
    ProgrammedChip

    Raises
    ------
    FileFormatError
        No such file; damaged, hostile or of another format.
    InputError
        Another network's weights, or a chip that disagrees with how the cells were written.
    """
    from .programmed_files import read_programmed

    _checks.instance(network, Network, who="load_programmed", name="network")
    _checks.instance(chip, CrossbarChip, who="load_programmed", name="chip")
    return read_programmed(Path(path), network, chip)


def digest_of(network: Network) -> str:
    """A digest of what programming writes: names, shapes and codes of all weights."""
    digest = hashlib.sha256()
    for layer in network.weighted:
        codes = np.ascontiguousarray(layer.weight)
        digest.update(f"{layer.name} {codes.shape} {codes.dtype} {getattr(layer, 'groups', 1)}".encode())
        digest.update(codes.tobytes())
        if layer.in_groups:  # they decide which rows share a tile, and a calibration's gains
            digest.update(f"{layer.weight_grid.group}".encode() + layer.weight_grid.factors.tobytes())
    return digest.hexdigest()


def written_by(chip: CrossbarChip) -> dict[str, str]:
    """What of a chip its programmed cells depend on, as text."""
    return {
        "rows": str(chip.rows),
        "columns": str(chip.weight_columns),
        "device": as_text(chip.device),
        "mapping": as_text(chip.mapping),
        "row order": as_text(chip.row_order),
        "reference columns": str(chip.compensation.reference_columns),
    }


def refuse_other(given: dict[str, str], held: dict[str, str], *, who: str, held_by: str) -> None:
    """InputError where a chip would read cells that were written otherwise."""
    other = [f"{name}: {held_by} {one_line(held.get(name))}, the chip {value}" for name, value in given.items()
             if held.get(name) != value]  # fmt: skip
    if other:
        raise InputError(f"{who}: {'; '.join(other)}; give the chip that was programmed, or program this one anew")


def as_text(value) -> str:
    """An object's type and fields; the same for equal objects in every session."""
    if is_dataclass(value):
        inside = ", ".join(f"{f.name}={as_text(getattr(value, f.name))}" for f in fields(value))
        return f"{type(value).__name__}({inside})"
    if isinstance(value, np.ndarray):
        content = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()[:16]
        return f"array({value.shape}, {value.dtype}, {content})"
    if isinstance(value, tuple | list):
        return f"({', '.join(as_text(v) for v in value)})"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{k}: {as_text(v)}' for k, v in value.items())}}}"
    if isinstance(value, np.generic):
        value = value.item()
    plain = value is None or isinstance(value, bool | int | float | str)
    return repr(value) if plain else type(value).__name__
