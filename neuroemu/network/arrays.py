"""Arrays by name, from files that hold weights and no layers; `with_weights` puts them into a network.

Read are safetensors, Flax's msgpack, Keras's .weights.h5 and .keras, other HDF5, and .npz. The content decides, not the
ending. There is no pickle: torch's .pt and .pth files are refused, with the remedy.
"""

import io
import os
import zipfile
from pathlib import Path

import numpy as np

from .. import _archive
from ..errors import ArgumentTypeError, FileFormatError, NeuroemuError, UnsupportedError
from ._build import MAX_FILE, in_file, one_line
from ._hdf5 import SIGNATURE, Hdf5, damage, h5py
from ._keras_file import MEMBERS, member
from .flax_reader import read_flax
from .safetensors_reader import is_safetensors, read_safetensors


def read_arrays(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Arrays by name from a .safetensors, .msgpack, .h5, .keras or .npz file.

    Parameters
    ----------
    path : path to the file

    Returns
    -------
    dict of name -> array
        Names are the file's own; parts of nested ones are joined by "/".

    Raises
    ------
    FileFormatError
        No such file; truncated, damaged or hostile; or of another format.
    UnsupportedError
        An array of a type that is not read, or a file of pickled objects.
    MissingDependencyError
        Package `h5py` is not installed.
    """
    if not isinstance(path, str | os.PathLike):
        raise ArgumentTypeError(f"read_arrays: path must be a path to a file, got {type(path).__name__}")
    path = Path(path)
    try:
        with path.open("rb") as file:
            start = file.read(9)
        if path.stat().st_size > MAX_FILE:
            raise FileFormatError(f"files up to {MAX_FILE:,} bytes are read")
        if start[:8] == SIGNATURE:
            return _hdf5(path)
        if start[:4] == b"PK\x03\x04":
            return _zip(path)
        return read_safetensors(path) if is_safetensors(start) else flat(read_flax(path))
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be read: {error.strerror or error}") from None
    except NeuroemuError as error:
        raise in_file(path, error) from None


def flat(tables, path: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
    """Nested tables of arrays as one, names joined by "/"; what is no array or number is left out."""
    found = {}
    for name, value in tables.items():
        where = (*path, str(name))
        if hasattr(value, "items"):
            found |= flat(value, where)
        elif isinstance(value, np.ndarray | np.generic | int | float) or hasattr(value, "__array__"):
            found["/".join(where)] = np.asarray(value)
    return found


def refuse_pickle(archive: zipfile.ZipFile) -> None:
    """UnsupportedError if an archive is one of torch's."""
    if any(name.rpartition("/")[2] == "data.pkl" for name in archive.namelist()):
        raise UnsupportedError(
            "a file of torch, which holds pickled objects that could run anything; load it in torch and give the "
            "module to from_torch, or save its weights by safetensors.torch.save_file"
        )


def _hdf5(source) -> dict[str, np.ndarray]:
    library = h5py("HDF5", "keras")
    with damage("an HDF5 file"), library.File(source, "r") as file:
        return Hdf5(library).arrays(file)


def _zip(path: Path) -> dict[str, np.ndarray]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if MEMBERS[1] in names:
                return _hdf5(io.BytesIO(member(archive, MEMBERS[1])))
            refuse_pickle(archive)
            total = sum(info.file_size for info in archive.infolist())
            if total > MAX_FILE or len(names) > _archive.MAX_MEMBERS:
                raise FileFormatError(f"{len(names):,} arrays of {total:,} bytes; up to {MAX_FILE:,} bytes are read")
            plain = [name.removesuffix(".npy") for name in names if name.endswith(".npy")]
            return {name: _archive.read_array(archive, name) for name in plain}
    except NeuroemuError:
        raise
    except _archive.DAMAGE as error:
        raise FileFormatError(f"damaged archive: {one_line(error)}") from None
