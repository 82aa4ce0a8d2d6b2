"""Data and networks to start with: MNIST's test images and a small trained network come with the package.

Events of sensors are read from the field's file formats (`read_events`, `read_shd`) and binned to spike trains.

The training images are downloaded on first use, with a checksum, to the user's cache folder.
"""

import gzip
import zipfile
import zlib
from importlib import resources
from pathlib import Path

import numpy as np

from .. import _checks
from ..errors import FileFormatError, InputError, NeuroemuError
from ..network import Network, load
from ..network._build import one_line
from .aedat import read_aedat
from .event_files import read_event_table, read_events, read_nmnist
from .events import Events, save_events, to_trains
from .prophesee import read_prophesee
from .shd import read_shd, save_shd
from .truenorth import mnist_truenorth_network

__all__ = [
    "Events",
    "load_inputs",
    "mnist_network",
    "mnist_test",
    "mnist_train",
    "mnist_truenorth_network",
    "read_aedat",
    "read_event_table",
    "read_events",
    "read_idx",
    "read_nmnist",
    "read_prophesee",
    "read_shd",
    "save_events",
    "save_shd",
    "to_trains",
]

TRAIN_FILES = {  # SHA-256 of the compressed files
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
}
TRAIN_URL = "https://ossci-datasets.s3.amazonaws.com/mnist/"
MOST_INPUT_BYTES = 1 << 33  # of a user's x and y, unpacked
MOST_BYTES = 1 << 26  # of an unpacked file; the training images take 47 MB


def mnist_test(n: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The first `n` of the 10,000 MNIST test images: x float32 (n, 1, 28, 28) with values 0..255, y int64 (n,)."""
    folder = resources.files(__package__)
    x = read_idx(folder / "t10k-images-idx3-ubyte.gz")
    return _first(x, read_idx(folder / "t10k-labels-idx1-ubyte.gz"), n, "mnist_test")


def mnist_train(n: int | None = None, *, folder: str | Path | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The first `n` of the 60,000 MNIST training images, as `mnist_test`.

    Parameters
    ----------
    n : int, optional
    folder : path, optional
        Where train-images-idx3-ubyte.gz and train-labels-idx1-ubyte.gz lie; without it they are downloaded once.

    Raises
    ------
    NeuroemuError
        The download failed; the message says how to give a folder.
    """
    paths = [_fetched(name) if folder is None else Path(folder) / name for name in TRAIN_FILES]
    return _first(*map(read_idx, paths), n, "mnist_train")


def mnist_network() -> Network:
    """The embedded float network: three strided convolutions and a dense layer, with 512 training images as samples.

    Trained by training/train_mnist.py of the source tree. Input: pixels 0..255, (1, 28, 28).
    """
    with resources.as_file(resources.files(__package__) / "mnist_cnn.npz") as path:
        return load(path)


def read_idx(path) -> np.ndarray:
    """An array of unsigned bytes from a gzip-compressed IDX file, or FileFormatError."""
    try:
        with path.open("rb") as raw, gzip.open(raw) as file:
            head = file.read(4)
            if len(head) < 4 or head[:3] != b"\0\0\x08" or not 1 <= head[3] <= 3:
                raise FileFormatError(f"{path}: not an IDX file of unsigned bytes")
            shape = tuple(np.frombuffer(file.read(4 * head[3]), ">u4").astype(int))
            size = int(np.prod([int(n) for n in shape]))
            if len(shape) != head[3] or size > MOST_BYTES:
                raise FileFormatError(f"{path}: it declares shape {shape}; the limit is {MOST_BYTES} bytes")
            data = file.read(size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise FileFormatError(f"{path}: cannot be read ({error}); fetch it again") from error
    if len(data) != size:
        raise FileFormatError(f"{path}: holds {len(data)} bytes where shape {shape} needs {size}; fetch it again")
    return np.frombuffer(data, np.uint8).reshape(shape)


def load_inputs(path: str | Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Arrays x and, if there, y from a user's .npz file; no pickle is ever opened."""
    try:
        with open(path, "rb") as raw:
            _check_archive(raw, path)
            with np.load(raw, allow_pickle=False) as file:
                return _checked_pair(file["x"], file["y"] if "y" in file.files else None, path)
    except NeuroemuError:
        raise
    except FileNotFoundError:
        raise FileFormatError(f"{path}: no such file") from None
    except Exception as error:  # numpy raises half a dozen types on damaged archives
        raise FileFormatError(
            f"{path}: not a readable .npz file ({one_line(error)}); write it with numpy.savez(path, x=x, y=y)"
        ) from error


def _checked_pair(x, y, path):
    """x with at least one input, y with a label for each."""
    if x.ndim < 1 or not len(x):
        raise InputError(f"{path}: x has shape {x.shape}; give at least one input along its first axis")
    if y is not None and y.shape != (len(x),):
        raise InputError(f"{path}: y has shape {y.shape}; give one label for each of the {len(x)} inputs")
    return x, y


def _check_archive(raw, path) -> None:
    """Refuse an archive without x, or one that would unpack to more than MOST_INPUT_BYTES."""
    with zipfile.ZipFile(raw) as archive:
        members = {member.filename.removesuffix(".npy"): member.file_size for member in archive.infolist()}
    raw.seek(0)
    if "x" not in members:
        held = one_line(", ".join(members)) if members else "nothing"
        raise FileFormatError(f"{path}: holds {held}; it needs an array called x, and y for labels")
    if members["x"] + members.get("y", 0) > MOST_INPUT_BYTES:
        raise FileFormatError(f"{path}: x and y unpack to more than {MOST_INPUT_BYTES >> 30} GiB; give fewer inputs")


def _first(x, y, n, who):
    n = len(x) if n is None else _checks.integer(n, who=who, name="n", low=1, high=len(x))
    return x[:n, None].astype(np.float32), y[:n].astype(np.int64)


def _fetched(name: str) -> Path:
    import pooch

    try:
        return Path(
            pooch.retrieve(TRAIN_URL + name, known_hash=TRAIN_FILES[name], fname=name, path=pooch.os_cache("neuroemu"))
        )
    except Exception as error:
        raise NeuroemuError(
            f"mnist_train: {name} could not be fetched ({error}); put the file into a folder and pass folder=..."
        ) from error
