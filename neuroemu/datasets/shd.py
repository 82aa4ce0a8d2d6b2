"""The Heidelberg spiking data sets (SHD, SSC): one HDF5 file of many recordings.

Enter a file with ``spikes/times`` and ``spikes/units``, two lists of variable length for each recording, and
``labels``. Leave Events and labels. The lists are looked up in the file's heaps with every size checked, since the HDF5
library itself hangs on damaged ones.

References
----------
B. Cramer et al., IEEE Trans. Neural Netw. Learn. Syst. 33:2744 (2022), doi:10.1109/TNNLS.2020.3044364; the layout of
the file: https://zenkelab.org/resources/spiking-heidelberg-datasets-shd/.
"""

import os
from collections.abc import Sequence

import numpy as np

from .. import _checks, _files
from ..errors import FileFormatError, InputError, MissingDependencyError, UnsupportedError
from ..network import _nir_file
from ..network._hdf5_heap import ELEMENT, Heaps
from ._reading import Events, check_count, checked, reading

UNITS = 700  # channels of the artificial cochlea, in SHD and SSC
MAX_RECORDINGS = 1 << 20
MAX_PIECES = 1 << 12  # that one list of recordings is stored in; finding one takes longer the more there are


def read_shd(path: str | os.PathLike, *, samples: Sequence[int] | None = None) -> tuple[list[Events], np.ndarray]:
    """Recordings and labels of an SHD or SSC file.

    Parameters
    ----------
    path : path to the unpacked .h5 file
    samples : indices of the recordings to read, such as ``range(100)``; None: all

    Returns
    -------
    recordings : list of Events
        The unit (0..699) is the column, the row is 0, the polarity 1; so `to_steps` takes the shape (1, 1, 700). Times
        in seconds become whole microseconds.
    labels : (recordings,) int64

    Raises
    ------
    FileFormatError
        No such file, of another layout, damaged, or more than 2^25 spikes in the samples.
    InputError
        An index that the file does not have.
    MissingDependencyError
        h5py is not installed.

    Notes
    -----
    ``extra`` (speakers and the names of the classes) is not read.
    """
    with reading(path, "read_shd") as found:
        library = _library()
        with found.open("rb") as file:
            if file.read(8) != _nir_file.SIGNATURE:
                raise FileFormatError("not an HDF5 file; unpack the .gz or .zip first")
        with library.File(found, "r") as file:
            return _recordings(_File(library, file, Heaps(found)), samples)


def save_shd(trains, path: str | os.PathLike, *, dt: float, labels=None) -> None:
    """Write spike trains as an HDF5 file in the form of SHD, one recording an image; `read_shd` reads it back.

    The file has ``spikes/times`` (lists of float64 seconds, the begin of each step), ``spikes/units`` (lists of the
    numbers of neurons) and ``labels``.

    Parameters
    ----------
    trains : (T, B, N) or (T, N) array of 0 and 1
        Such as one population of `spiking.LoihiRun.spikes`.
    path : path that ends in .h5 or .hdf5
    dt : float, >= 1e-6
        Seconds a step.
    labels : (B,) integers, optional
        Default 0.

    Raises
    ------
    InputError
        Arrays of other shapes or numbers, or a path that cannot be written.
    MissingDependencyError
        h5py is not installed.
    """
    who = "save_shd"
    if not str(path).lower().endswith((".h5", ".hdf5")):
        raise InputError(f"{who}: path '{path}' must end in .h5 or .hdf5")
    trains = np.asarray(trains)
    trains = trains[:, None] if trains.ndim == 2 else trains
    if trains.ndim != 3:
        raise InputError(f"{who}: trains have shape {trains.shape}; give (T, B, N) or (T, N)")
    labels = np.zeros(trains.shape[1], np.int64) if labels is None else np.asarray(labels)
    if labels.shape != (trains.shape[1],) or labels.dtype.kind not in "iu":
        raise InputError(f"{who}: labels have shape {labels.shape}; give {trains.shape[1]} integers")
    found = [Events.from_steps(trains[:, image], dt=dt) for image in range(trains.shape[1])]
    library = _library()
    with _files.replacing(path) as temporary, library.File(temporary, "w") as file:
        lists = {
            "times": (np.float64, [e.microseconds / 1e6 for e in found]),
            "units": (np.int64, [e.x for e in found]),
        }
        for name, (kind, values) in lists.items():
            data = file.create_dataset(f"spikes/{name}", (len(found),), dtype=library.vlen_dtype(kind))
            for image, value in enumerate(values):
                data[image] = value
        file["labels"] = labels


def _library():
    try:
        import h5py
    except ImportError:
        raise MissingDependencyError('SHD files need: pip install "neuroemu[events]"') from None
    return h5py


class _File:
    """Datasets of an opened file."""

    def __init__(self, library, file, heaps: Heaps):
        self.library, self.file, self.heaps = library, file, heaps
        self._reader = _nir_file._Reader(library, None)

    def dataset(self, *names: str):
        """A dataset of one axis of the file itself, checked."""
        found, where = self.file, "/".join(names)
        for name in names:
            found = self._reader.child(found, name) if isinstance(found, self.library.Group) else None
        if found is None:
            raise FileFormatError(f"it has no '{where}'; SHD files hold spikes/times, spikes/units and labels")
        self._reader.check(found, where)
        if len(found.shape) != 1 or found.shape[0] > MAX_RECORDINGS:
            raise FileFormatError(f"'{where}' has shape {found.shape}; it needs one axis of {MAX_RECORDINGS:,} at most")
        return found

    def lists(self, *names: str) -> tuple[np.ndarray, np.dtype]:
        """(recordings, 3) length, heap and index of the lists of a dataset, and the type of their elements."""
        data = self.dataset(*names)
        kind = self.library.check_vlen_dtype(data.dtype)
        if kind is None or kind.kind not in "iuf" or kind.itemsize > 8:
            raise FileFormatError(f"'{'/'.join(names)}' holds {data.dtype}; lists of numbers are needed")
        if data.id.get_create_plist().get_nfilters():
            raise UnsupportedError(f"'{'/'.join(names)}' is packed; write it without compression")
        stored, size = np.zeros(len(data) * ELEMENT.size, np.uint8), ELEMENT.size
        for first, count, place in _pieces(data):
            piece = np.frombuffer(self.heaps.read(place, count * size), np.uint8)
            stored[first * size : (first + count) * size] = piece[: (len(data) - first) * size]
        dtype = np.dtype([("length", "<u4"), ("address", "<u8"), ("index", "<u4")])
        return stored.view(dtype), kind

    def values(self, entry, kind: np.dtype) -> np.ndarray:
        """One list."""
        length, address, index = entry.tolist()
        return np.frombuffer(self.heaps.value(address, index, length * kind.itemsize), kind)


def _pieces(data) -> list[tuple[int, int, int]]:
    """(first element, elements, place in the file) of what a dataset stores."""
    if data.chunks is None:
        offset = data.id.get_offset()
        return [] if offset is None else [(0, len(data), offset)]
    found = []
    if data.id.get_num_chunks() > MAX_PIECES:
        raise FileFormatError(
            f"stored in {data.id.get_num_chunks():,} pieces; up to {MAX_PIECES:,} are read: write it anew"
        )
    for at in range(data.id.get_num_chunks()):
        info = data.id.get_chunk_info(at)
        if not 0 <= info.chunk_offset[0] < len(data) or info.size < data.chunks[0] * ELEMENT.size:
            raise FileFormatError("a piece of it lies outside; the file is damaged")
        found.append((info.chunk_offset[0], data.chunks[0], info.byte_offset))
    return found


def _recordings(file: _File, samples) -> tuple[list[Events], np.ndarray]:
    labels = file.dataset("labels")
    if labels.dtype.kind not in "iu":
        raise FileFormatError(f"'labels' holds {labels.dtype}; whole numbers are needed")
    labels = labels[()].astype(np.int64)
    (times, time_kind), (units, unit_kind) = file.lists("spikes", "times"), file.lists("spikes", "units")
    if not len(times) == len(units) == len(labels):
        raise FileFormatError(f"{len(times)} lists of times, {len(units)} of units and {len(labels)} labels")
    chosen = _chosen(samples, len(labels))
    if (times["length"][chosen] != units["length"][chosen]).any():
        raise FileFormatError("a recording has not as many times as units")
    check_count(int(times["length"][chosen].sum()))
    found = []
    for at in chosen:
        seconds, unit = file.values(times[at], time_kind).astype(np.float64), file.values(units[at], unit_kind)
        if not (np.abs(seconds) < 1e9).all():
            raise FileFormatError(f"recording {at} has a time that is no number, or beyond 10^9 s")
        zeros = np.zeros(len(unit), np.int64)
        found.append(checked(unit, zeros, zeros + 1, np.rint(seconds * 1e6)))
    return found, labels[chosen]


def _chosen(samples, count: int) -> np.ndarray:
    """Indices that the file has."""
    if samples is None:
        return np.arange(count)
    chosen = [_checks.integer(at, who="read_shd", name="samples", low=0) for at in samples]
    if chosen and max(chosen) >= count:
        raise InputError(f"read_shd: samples ask for recording {max(chosen)}; the file has {count}, counted from 0")
    return np.array(chosen, np.int64)
