"""Files of programmed chips: cells and calibration as plain arrays, described by a JSON header; no pickle."""

import io
import zipfile
from pathlib import Path

import numpy as np

from .. import _archive
from .._files import check_target, replacing
from ..devices import Cells
from ..errors import FileFormatError, InputError, NeuroemuError, UnsupportedError
from ..network.graph import Network
from . import mapping as M
from .building import Calibrated
from .chip import CrossbarChip
from .programmed import ProgrammedChip, digest_of, refuse_other, written_by
from .programming import ProgrammedTile
from .tables import Tables

FORMAT = "neuroemu programmed chip"
VERSION = 1
MAX_FILE = 1 << 32  # bytes, packed and unpacked
TABLES = ("step", "back", "shift", "offset", "pedestal", "edges")
PARTS = ("cells", "reference")


def write_programmed(made: ProgrammedChip, path: Path) -> None:
    """See `ProgrammedChip.save`."""
    if path.suffix.lower() != ".npz":
        raise InputError(f"save: path '{path}' must end in .npz")
    check_target(path)
    arrays: dict[str, np.ndarray] = {}
    header = {
        "format": FORMAT,
        "version": VERSION,
        "chip": made.name,
        "network": digest_of(made.network),
        "written": written_by(made.chip),
        "made": list(made.made),
        "tiles": {
            layer: [_described(tile, f"{number}.{index}", arrays) for index, tile in enumerate(tiles)]
            for number, (layer, tiles) in enumerate(made.cells.items())
        },
        "calibration": None if made.calibration is None else _kept(made.calibration, arrays),
    }
    content = _archive.packed(header, arrays)
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def read_programmed(path: Path, network: Network, chip: CrossbarChip) -> ProgrammedChip:
    """See `load_programmed`."""
    try:
        if path.stat().st_size > MAX_FILE:
            raise FileFormatError(f"{path}: larger than {MAX_FILE >> 30} GiB, the most that is read")
        content = path.read_bytes()
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be read: {error.strerror or error}") from None
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _unpacked(archive, network, chip, path)
    except (InputError, UnsupportedError):
        raise
    except NeuroemuError as error:
        raise FileFormatError(f"{path}: {error}") from None
    except _archive.DAMAGE as error:
        raise FileFormatError(f"{path}: damaged file of a programmed chip: {str(error)!r:.160}") from None


def _described(tile: ProgrammedTile, prefix: str, arrays) -> dict:
    """A tile's cells as JSON; arrays go to `arrays`."""
    return {part: None if getattr(tile, part) is None else _cells(getattr(tile, part), f"{prefix}.{part}", arrays)
            for part in PARTS}  # fmt: skip


def _cells(cells: Cells, prefix: str, arrays) -> dict:
    found = {"conductance": cells.conductance, "drift_exponent": cells.drift_exponent}
    if cells.stuck is not None:
        found["stuck"] = cells.stuck
    found |= {f"state.{name}": value for name, value in cells.state.items()}
    for name, value in found.items():
        array = np.asarray(value)
        if array.dtype.newbyteorder("<").str not in _archive.DTYPES and array.dtype.str not in _archive.DTYPES:
            raise InputError(f"save: cells keep '{name}' as {array.dtype}; a device must keep numbers to be saved")
        arrays[f"{prefix}.{name}"] = array
    return {name: f"{prefix}.{name}" for name in found}


def _kept(calibration, arrays) -> dict:
    described = {}
    for number, (layer, kept) in enumerate(calibration.items()):
        names = {}
        for name in TABLES:
            if getattr(kept.tables, name) is not None:
                names[name] = f"{number}.{name}"
                arrays[names[name]] = getattr(kept.tables, name)
        if kept.correction is not None:
            for name, value in zip(("gain", "shift_of_output"), kept.correction, strict=True):
                names[name] = f"{number}.{name}"
                arrays[names[name]] = np.asarray(value)
        described[layer] = names
    return described


def _unpacked(archive, network: Network, chip: CrossbarChip, path: Path) -> ProgrammedChip:
    header = _archive.read_header(
        archive, kind=FORMAT, version=VERSION, most=MAX_FILE, made_by="programmed chips are written by .save(path)"
    )
    if header["network"] != digest_of(network):
        raise InputError(
            f"{path}: holds other weights than network '{network.name}'; give the network that was programmed"
        )
    refuse_other(written_by(chip), header["written"], who=str(path), held_by="the file has")
    chip.place(network)
    cells, calibration = {}, header["calibration"]
    for layer in network.weighted:
        tiles, held = M.tiles_of(chip.layout(layer)), header["tiles"][layer.name]
        if len(tiles) != len(held):
            raise FileFormatError(f"damaged file: layer '{layer.name}' has {len(held)} tiles, not {len(tiles)}")
        cells[layer.name] = tuple(
            ProgrammedTile(tile, *(_read_cells(archive, described[part], tile, part) for part in PARTS))
            for tile, described in zip(tiles, held, strict=True)
        )
    seed, trial = header["made"]
    if type(seed) is not int or type(trial) is not int or min(seed, trial) < 0:
        raise FileFormatError(f"damaged file: it was made with seed and trial {seed!r:.40}, {trial!r:.40}")
    return ProgrammedChip(
        name=chip.name, costs=chip.costs, area=chip.area, chip=chip, network=network, cells=cells, made=(seed, trial),
        calibration=None if calibration is None else {
            layer.name: _read_calibration(archive, calibration[layer.name], chip.layout(layer))
            for layer in network.weighted
        },
    )  # fmt: skip


def _read_cells(archive, described, tile, part: str) -> Cells | None:
    if described is None:
        return None
    found = {name: _archive.read_array(archive, held) for name, held in described.items()}
    conductance, nu = found["conductance"].astype(np.float64), found["drift_exponent"].astype(np.float64)
    stuck = found.get("stuck")
    shape = (tile.rows.stop - tile.rows.start, tile.columns.stop - tile.columns.start)
    fits = conductance.ndim >= 3 and conductance.shape[-2:] == shape
    if part == "reference":
        fits = conductance.ndim == 3 and conductance.shape[1] == shape[0]
    same = all(a is None or a.shape in ((), conductance.shape) for a in (nu, stuck))
    if not fits or not same:
        raise FileFormatError(f"damaged file: cells of shape {conductance.shape} for a tile of {shape}")
    if not (np.isfinite(conductance).all() and np.isfinite(nu).all()) or conductance.min(initial=0.0) < 0:
        raise FileFormatError("damaged file: a conductance or drift exponent is not a number, or is negative")
    state = {name.removeprefix("state."): array for name, array in found.items() if name.startswith("state.")}
    return Cells(conductance, nu, None if stuck is None else stuck.astype(bool), state)


def _read_calibration(archive, described, layout) -> Calibrated:
    found = {name: _archive.read_array(archive, held) for name, held in described.items()}
    if any(not np.isfinite(array).all() for name, array in found.items() if name != "edges"):
        raise FileFormatError("damaged file: a calibration has numbers that are not finite")
    height, columns = layout.levels.shape
    shape = (-(-height // layout.rows_per_tile), columns)
    if found["back"].shape != shape or any(
        found[name].shape[:2] != shape for name in ("step", "offset", "pedestal", "edges") if name in found
    ):
        raise FileFormatError(f"damaged file: a calibration of {found['back'].shape} converters, not {shape}")
    tables = Tables(**{name: found.get(name) for name in TABLES})
    return Calibrated(tables, (found["gain"], found["shift_of_output"]) if "gain" in found else None)
