"""Network files: `load` reads .onnx, .tflite, .keras, .h5, .nir and this package's own .npz; `save` writes three.

The own format is a zip of .npy arrays with a JSON text "header" (stored as bytes) that describes the layers and names
the arrays. There is no pickle in it. A round trip is exact, grids, samples and spiking layers included.
"""

import contextlib
import io
import os
import tempfile
import zipfile
from dataclasses import fields
from pathlib import Path

import numpy as np

from .. import _archive
from ..errors import ArgumentTypeError, FileFormatError, InputError, NeuroemuError, UnsupportedError
from . import firing as F
from . import layers as L
from . import neurons as N
from ._build import MAX_FILE, in_file, one_line, read_bytes
from ._keras_file import is_keras
from .arrays import refuse_pickle
from .graded import Delta, Programmed
from .graph import Network
from .grids import Grid
from .safetensors_reader import is_safetensors

HDF5 = b"\x89HDF\r\n\x1a\n"
FORMAT = "neuroemu network"
VERSION = 1

_ABSTRACT = (L.Layer, L.Weighted, L.Pool2d, N.Neuron)
LAYERS = {
    kind.__name__: kind
    for kind in (*vars(L).values(), *vars(N).values(), Delta, F.Fire)
    if isinstance(kind, type) and issubclass(kind, L.Layer) and kind not in _ABSTRACT
}


def load(path: str | os.PathLike, *, name: str | None = None) -> Network:
    """A network from an .onnx, .tflite, .keras, .h5, .nir or .npz file; the content decides, not the ending.

    Parameters
    ----------
    path : path to the file
    name : str or None
        Name of the network; None: the one in an .npz file, else the file's name without its ending.

    Returns
    -------
    Network
        Float or quantized, as the file is. It accepts x exactly as the file's own runtime takes it: ONNX images as
        (B, C, H, W), TFLite and Keras images as (B, H, W, C), always real numbers. One from NIR runs in
        `run_spiking`. A PyTorch module is no file: see `from_torch`.

    Raises
    ------
    FileFormatError
        No such file; truncated, damaged or hostile; or of another format.
    UnsupportedError
        The network uses something that is not supported; the message names it and a remedy.
    MissingDependencyError
        The library that reads this kind of file is not installed.
    """
    if not isinstance(path, str | os.PathLike):
        raise ArgumentTypeError(
            f"load: path must be a path to a file, got {type(path).__name__}; a PyTorch module goes to from_torch"
        )
    path = Path(path)
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be read: {error.strerror or error}") from None
    if start[4:8] == b"TFL3":
        from .tflite_reader import read_tflite

        return read_tflite(path, name=name)
    if (start[:4] == b"PK\x03\x04" or start[:8] == HDF5) and is_keras(path):
        from .keras_reader import read_keras

        return read_keras(path, name=name)
    if start[:4] == b"PK\x03\x04":
        return read_npz(path, name=name)
    if start[:8] == HDF5:
        from .nir_reader import read_nir

        return read_nir(path, name=name)
    if path.suffix.lower() in (".npz", ".tflite", ".nir") or len(start) < 8:
        raise FileFormatError(f"{path}: not a {path.suffix or 'network'} file; its first bytes are {start[:8]!r}")
    if is_safetensors(start):
        raise UnsupportedError(f"{path}: arrays without layers; use network.read_arrays and network.with_weights")
    from .onnx_reader import read_onnx  # ONNX has no mark at its start

    return read_onnx(path, name=name)


def save(network: Network, path: str | os.PathLike) -> None:
    """Write a network to an .npz file that `load` reads back exactly; the same network gives the same bytes.

    A path that ends in .nir makes a file for other simulators instead, of what NIR can express: see `write_nir`. One
    that ends in .onnx makes a file for other runtimes, a quantized network in the QDQ form: see `write_onnx`.
    The file appears whole or not at all: it is written beside its place and then moved there.

    Raises
    ------
    ArgumentTypeError, InputError
        Not a Network, or a path that does not end in .npz, .nir or .onnx.
    UnsupportedError
        NIR or ONNX cannot express the network.
    OSError
        The folder does not exist or cannot be written.
    """
    if not isinstance(network, Network):
        raise ArgumentTypeError(f"save: network must be a Network, got {type(network).__name__}")
    path = Path(path)
    if path.suffix.lower() == ".nir":
        from .nir_writer import write_nir

        return write_nir(network, path)
    if path.suffix.lower() == ".onnx":
        from .onnx_writer import write_onnx

        return write_onnx(network, path)
    if path.suffix.lower() != ".npz":
        raise InputError(f"save: path '{path}' must end in .npz, .nir or .onnx")
    content = _packed(network)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _umask() -> int:
    """The process's file mode mask; mkstemp ignores it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _packed(network: Network) -> bytes:
    arrays: dict[str, np.ndarray] = {}
    header = {
        "format": FORMAT,
        "version": VERSION,
        "name": network.name,
        "input_shape": list(network.input_shape),
        "rounding": network.rounding,
        "steps": network.steps,
        "samples": _plain(network.samples, arrays),
        "grids": {name: _plain(grid, arrays) for name, grid in network.grids.items()},
        "layers": [_described(layer, arrays) for layer in network.layers],
    }
    return _archive.packed(header, arrays)


def _described(layer: L.Layer, arrays) -> dict:
    """A layer as JSON; its arrays go to `arrays`."""
    if isinstance(layer, Programmed):
        raise UnsupportedError(
            f"save: Programmed '{layer.name}' holds a program, which files do not; save the network it was made from"
        )
    return {"type": type(layer).__name__} | {f.name: _plain(getattr(layer, f.name), arrays) for f in fields(layer)}


def _plain(value, arrays):
    """A field as JSON. Infinity, which JSON has not, and everything with an array become objects with one key."""
    if isinstance(value, Grid):
        grid = {
            "scale": _plain(value.scale, arrays),
            "zero_point": value.zero_point,
            "bits": value.bits,
            "axis": value.axis,
        }
        if value.factors is not None:
            grid |= {"group": value.group, "factors": _plain(value.factors, arrays)}
        return {"grid": grid}
    if isinstance(value, np.ndarray):
        name = f"a{len(arrays)}"
        arrays[name] = value
        return {"array": name}
    if isinstance(value, tuple | list):
        return [_plain(v, arrays) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return {"float": repr(value)}
    return value


def read_npz(path: str | Path, *, name: str | None = None) -> Network:
    """A network from a file that `save` wrote; see `load`."""
    path = Path(path)
    content = read_bytes(path)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            refuse_pickle(archive)
            return _unpacked(archive, name)
    except UnsupportedError as error:
        raise in_file(path, error) from None
    except NeuroemuError as error:  # what the model's own checks say of a damaged file
        raise FileFormatError(f"{path}: {one_line(error, 500)}") from None
    except _archive.DAMAGE as error:
        raise FileFormatError(f"{path}: damaged network file: {one_line(error)}") from None


def _unpacked(archive: zipfile.ZipFile, name) -> Network:
    header = _archive.read_header(
        archive, kind=FORMAT, version=VERSION, most=MAX_FILE, made_by="networks are written by save(network, path)"
    )
    return Network(
        layers=tuple(_layer(archive, description) for description in header["layers"]),
        input_shape=tuple(header["input_shape"]),
        name=name or _typed(header["name"], str, "name"),
        grids={key: _typed(_value(archive, grid), Grid, "a grid") for key, grid in header["grids"].items()},
        rounding=header["rounding"],
        samples=_value(archive, header["samples"]),
        steps=_typed(header["steps"], int | None, "steps"),
    )


def _typed(value, kind, field):
    if not isinstance(value, kind) or isinstance(value, bool):
        raise FileFormatError(f"damaged network file: {field} is {value!r:.40}")
    return value


def _layer(archive, description: dict) -> L.Layer:
    description = dict(description)
    kind = description.pop("type")
    if kind not in LAYERS:
        raise UnsupportedError(f"layer type {kind!r:.40} is unknown to this release; upgrade neuroemu")
    known = {f.name for f in fields(LAYERS[kind])}
    if set(description) != known:
        raise FileFormatError(f"damaged network file: {kind} has the fields {sorted(description)}, not {sorted(known)}")
    values = {key: _value(archive, value) for key, value in description.items()}
    _typed(values["name"], str, "a layer's name")
    if not all(isinstance(i, str) for i in values["inputs"]):
        raise FileFormatError(f"damaged network file: inputs of {kind} '{values['name']}' are {values['inputs']!r:.40}")
    if isinstance(values.get("weight_grid"), Grid | None) and isinstance(values.get("weight", np.empty(0)), np.ndarray):
        return LAYERS[kind](**values)
    raise FileFormatError(f"damaged network file: {kind} '{values['name']}' has no array of weights")


def _value(archive, value):
    """The inverse of `_plain`; JSON lists become tuples."""
    if isinstance(value, list):
        return tuple(_value(archive, v) for v in value)
    if not isinstance(value, dict):
        return value
    if len(value) != 1:
        raise FileFormatError(f"damaged network file: unknown value with the keys {sorted(value)!r:.60}")
    key, inner = next(iter(value.items()))
    if key == "array":
        return _archive.read_array(archive, _typed(inner, str, "an array's name"))
    if key == "float":
        return float(inner)
    if key == "grid":
        return Grid(**{field: _value(archive, v) for field, v in inner.items()})
    raise FileFormatError(f"damaged network file: unknown value {key!r:.40}")
