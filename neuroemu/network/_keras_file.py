"""A Keras file as plain Python values: layers with their settings, the layers they read, and their weights.

Read are the .h5 files of Keras 2 and 3 (HDF5 with the model as JSON in an attribute) and the .keras files of Keras 3 (a
zip of JSON and HDF5). Nothing of a file is run: layers that hold code are refused by their names, as all others that
have no handler. Sizes are checked before memory is taken.
"""

import io
import json
import mmap
import re
import struct
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import FileFormatError, UnsupportedError
from ._build import MAX_FILE, MAX_ITEMS, check_shape
from ._hdf5 import SIGNATURE, Hdf5, damage, h5py
from ._hdf5_heap import ELEMENT, Heaps

MAX_CONFIG = 1 << 24  # bytes of JSON
MEMBERS = ("config.json", "model.weights.h5")  # of a .keras file
_ATTRIBUTE = b"model_config\0"
_VARIABLE = 9  # class of a datatype of variable length
_DAMAGED_ZIP = "a Keras file, which is HDF5 or a zip with config.json and model.weights.h5"
# Weights of each kind of layer in Keras 3's order, with the setting that says whether they are there.
_ORDER = {
    "Conv2D": (("kernel", None), ("bias", "use_bias")),
    "DepthwiseConv2D": (("kernel", None), ("bias", "use_bias")),
    "SeparableConv2D": (("depthwise_kernel", None), ("pointwise_kernel", None), ("bias", "use_bias")),
    "Dense": (("kernel", None), ("bias", "use_bias")),
    "BatchNormalization": (("gamma", "scale"), ("beta", "center"), ("moving_mean", None), ("moving_variance", None)),
}


@dataclass(frozen=True)
class Layer:
    """One layer; `sources` are the names of the layers that it reads."""

    name: str
    kind: str
    config: dict
    sources: tuple[str, ...]
    weights: dict[str, np.ndarray] = field(default_factory=dict)

    def __str__(self):
        return f"layer '{self.name:.80}' ({self.kind:.40})"

    def weight(self, role: str) -> np.ndarray:
        """Weights that must be there."""
        if role not in self.weights:
            raise FileFormatError(f"{self}: it has no {role}")
        return np.asarray(self.weights[role], np.float32)

    def setting(self, name: str, kinds, default=None):
        """A setting of one of the given types."""
        value = self.config.get(name, default)
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in np.atleast_1d(kinds)):
            raise FileFormatError(f"{self}: its {name} is {value!r:.40}")
        return value

    def pair(self, name: str, default=None) -> tuple[int, int]:
        """A setting of two whole numbers."""
        value = self.config.get(name, default)
        value = [value, value] if isinstance(value, int) else value
        if not isinstance(value, list | tuple) or len(value) != 2 or not all(type(n) is int and n > 0 for n in value):
            raise FileFormatError(f"{self}: its {name} is {value!r:.40}; two whole numbers of 1 or more are needed")
        return tuple(value)


@dataclass(frozen=True)
class Model:
    """A model with one input and one output."""

    name: str
    input_shape: tuple[int, ...]  # without the batch axis
    layers: tuple[Layer, ...]
    output: str


def is_keras(path: Path) -> bool:
    """Whether a zip or an HDF5 file is one of Keras; of two kinds that share HDF5, NIR names its graph."""
    if path.stat().st_size > MAX_FILE:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content[: len(SIGNATURE)] != SIGNATURE:
            return content.find(MEMBERS[1].encode()) >= 0
        known = content.find(_ATTRIBUTE) >= 0 or path.suffix.lower() in (".h5", ".hdf5", ".keras")
        return known and content.find(b"NIRGraph") < 0


def load(path: Path) -> Model:
    """The model of a Keras file.

    Raises
    ------
    FileFormatError, UnsupportedError, MissingDependencyError
    """
    library = h5py("Keras", "keras")
    with damage("a Keras file"):
        if path.stat().st_size > MAX_FILE:
            raise FileFormatError(f"{path.stat().st_size:,} bytes; files up to {MAX_FILE:,} bytes are read")
        with path.open("rb") as file:
            start = file.read(len(SIGNATURE))
        return _hdf5(path, library) if start == SIGNATURE else _zip(path, library)


def _hdf5(path: Path, library) -> Model:
    text = config_text(path)
    with library.File(path, "r") as file:
        reader = Hdf5(library)
        if text is None:
            raise UnsupportedError(
                "weights without a model: save the model itself, or give them to a network by with_weights"
            )
        group = reader.child(file, "model_weights")
        if not reader.is_group(group):
            raise FileFormatError("it has no group 'model_weights'")
        arrays = reader.arrays(group)
    found: dict[str, dict[str, np.ndarray]] = {}
    for name, array in arrays.items():
        layer, _, rest = name.partition("/")
        found.setdefault(layer, {})[rest.rpartition("/")[2].removesuffix(":0")] = array
    return _model(json.loads(text), lambda index, layer: found.get(layer.name, {}))


def _zip(path: Path, library) -> Model:
    with zipfile.ZipFile(path) as archive:
        config, content = (member(archive, name) for name in MEMBERS)
    with library.File(io.BytesIO(content), "r") as file:
        reader = Hdf5(library)
        group = reader.child(file, "layers")
        arrays = reader.arrays(group) if reader.is_group(group) else {}
    names: dict[str, int] = {}

    def weights(index, layer):
        """Keras 3 names a layer's group after its class and a count, and its arrays by their order."""
        plain = _snake_case(layer.kind)
        count = names[plain] = names.get(plain, -1) + 1
        group = f"{plain}_{count}" if count else plain
        roles = [role for role, setting in _ORDER.get(layer.kind, ()) if setting is None or layer.config.get(setting)]
        return {role: arrays[at] for i, role in enumerate(roles) if (at := f"{group}/vars/{i}") in arrays}

    return _model(json.loads(config), weights)


def member(archive: zipfile.ZipFile, name: str) -> bytes:
    """The bytes of one file of the zip, their number checked first."""
    if name not in archive.namelist():
        raise FileFormatError(f"not {_DAMAGED_ZIP}: it has no {name}")
    info, most = archive.getinfo(name), MAX_CONFIG if name.endswith("json") else MAX_FILE
    if info.file_size > most:
        raise FileFormatError(f"{name} has {info.file_size:,} bytes; up to {most:,} are read")
    with archive.open(info) as file:
        content = file.read(info.file_size + 1)
    if len(content) != info.file_size:
        raise FileFormatError(f"{name} has {len(content):,} bytes of {info.file_size:,}")
    return content


def _snake_case(name: str) -> str:
    """ "re_lu" of "ReLU", as Keras writes names of classes in files."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def config_text(path: Path) -> str | None:
    """The text of the attribute that describes the model; None if the file has none.

    It is found by its name in the file's bytes: the library cannot be trusted with a damaged text of variable length.
    The layout is that of the HDF5 File Format Specification, version 3.0, section IV.A.2.m.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        place = content.find(_ATTRIBUTE)
        while place >= 0:
            for head, version in ((9, 3), (8, 2), (8, 1)):  # bytes before the name
                if place >= head and content[place - head] == version:
                    sizes = struct.unpack_from("<HHH", content, place - head + 2)
                    if sizes[0] == len(_ATTRIBUTE):
                        return _text(path, content, place, sizes, padded=version == 1)
            place = content.find(_ATTRIBUTE, place + 1)
    return None


def _text(path: Path, content, place: int, sizes, *, padded: bool) -> str:
    name, kind, space = (-(-n // 8) * 8 if padded else n for n in sizes)
    data = place + name + kind + space
    if content[place + name] & 15 != _VARIABLE:
        raise UnsupportedError("its model is not a text of variable length; save it with Keras again")
    length, address, index = ELEMENT.unpack_from(content, data)
    if length > MAX_CONFIG:
        raise FileFormatError(f"its model is a text of {length:,} bytes; up to {MAX_CONFIG:,} are read")
    return Heaps(path).value(address, index, length).rstrip(b"\0").decode("utf-8")


def _model(described, weights) -> Model:
    """A Model of Keras's JSON; `weights` gives the arrays of a layer by role."""
    if not isinstance(described, dict) or described.get("class_name") not in ("Sequential", "Functional", "Model"):
        kind = described.get("class_name") if isinstance(described, dict) else described
        raise UnsupportedError(f"a model of class {kind!r:.40}; only Sequential and Functional models are described")
    config = described["config"]
    config = {"layers": config} if isinstance(config, list) else config  # Sequential of early Keras 2
    if len(config["layers"]) > MAX_ITEMS:
        raise FileFormatError(f"{len(config['layers']):,} layers; up to {MAX_ITEMS:,} are read")
    sequential = described["class_name"] == "Sequential"
    layers: list[Layer] = []
    for item in config["layers"]:
        previous = (layers[-1].name,) if layers else ()
        layers.append(_layer(item, previous if sequential else None))
    shape = _input_shape(layers[0], config) if sequential else None
    if sequential and layers[0].kind != "InputLayer":
        layers.insert(0, Layer("keras_input", "InputLayer", {}, ()))
        layers[1] = Layer(layers[1].name, layers[1].kind, layers[1].config, ("keras_input",))
    inputs = [layer for layer in layers if layer.kind == "InputLayer"]
    outputs = [layers[-1].name] if sequential else _ends(config["output_layers"])
    if len(inputs) != 1 or len(outputs) != 1:
        raise UnsupportedError(f"the model has {len(inputs)} inputs and {len(outputs)} outputs; one of each is read")
    filled = [
        Layer(x.name, x.kind, x.config, x.sources, weights(i, x))
        for i, x in enumerate(layers)
        if x.name != "keras_input"
    ]
    return Model(
        name=str(config.get("name", "model")),
        input_shape=shape or _input_shape(inputs[0], {}),
        layers=tuple([*(x for x in layers if x.name == "keras_input"), *filled]),
        output=outputs[0],
    )


def _layer(item: dict, previous) -> Layer:
    kind, config = item["class_name"], item["config"]
    name = item.get("name") or config.get("name")
    if not isinstance(name, str) or not isinstance(kind, str) or not isinstance(config, dict) or not name.isprintable():
        raise FileFormatError(f"a layer called {name!r:.40} of class {kind!r:.40}")
    if previous is not None:
        return Layer(name, kind, config, previous)
    nodes = item.get("inbound_nodes", [])
    if len(nodes) > 1:
        raise UnsupportedError(
            f"layer '{name:.80}' ({kind:.40}): called {len(nodes)} times; give each call its own layer"
        )
    return Layer(name, kind, config, tuple(_sources(nodes[0]) if nodes else ()))


def _sources(node) -> list[str]:
    """Names of the layers that a call reads, in the forms of Keras 2 (lists) and 3 (arguments)."""
    if isinstance(node, dict):
        return [name for argument in node["args"] for name in _histories(argument)]
    return [_end(entry) for entry in node]


def _histories(argument) -> list[str]:
    if isinstance(argument, list):
        return [name for item in argument for name in _histories(item)]
    return [_end(argument["config"]["keras_history"])]


def _end(entry) -> str:
    """The layer of [name, node, tensor, ...]."""
    if not isinstance(entry[0], str) or list(entry[1:3]) != [0, 0]:
        raise UnsupportedError(f"it reads {entry!r:.60}, a second call or output of a layer; only first ones are read")
    return entry[0]


def _ends(outputs) -> list[str]:
    """Names of outputs: [name, 0, 0], or a list of such."""
    return [_end(outputs)] if outputs and isinstance(outputs[0], str) else [_end(entry) for entry in outputs]


def _input_shape(layer: Layer, config: dict) -> tuple[int, ...]:
    known = (layer.config.get("batch_shape"), layer.config.get("batch_input_shape"), config.get("build_input_shape"))
    shape = next((s for s in known if s), None)
    if shape is None:
        raise UnsupportedError("the model has no input shape; call it, or give an Input, before saving")
    if any(type(n) is not int for n in shape[1:]):
        raise UnsupportedError(f"input shape {tuple(shape)}; only the batch axis may be left open")
    return check_shape(shape[1:], "input")
