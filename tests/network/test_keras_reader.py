"""Keras files: Keras and a published network are the truth; damaged and hostile files end in one error."""

import io
import json
import struct
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import neuroemu as ne
from neuroemu.errors import FileFormatError, MissingDependencyError, NeuroemuError, UnsupportedError
from neuroemu.network import layers as L
from neuroemu.network import run_float
from neuroemu.network._keras_file import config_text

GOLDEN = Path(__file__).parents[1] / "golden"
SEQUENTIAL, OPERATIONS = GOLDEN / "keras_sequential.keras", GOLDEN / "keras_operations.keras"


@pytest.fixture(scope="module")
def outputs():
    with np.load(GOLDEN / "keras_outputs.npz") as archive:
        return dict(archive)


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize("name", ["operations", "sequential"])
def test_models_compute_what_keras_computes(outputs, name, ending):
    network = ne.load(GOLDEN / f"keras_{name}.{ending}")
    want = outputs[f"{name}_y"]
    got = run_float(network, outputs[f"{name}_x"])
    np.testing.assert_allclose(got, want, rtol=0, atol=3e-6 * np.abs(want).max())
    assert network.name == f"keras_{name}"


def test_the_published_residual_network_is_its_tflite_file(test_data):
    """MLPerf Tiny's ResNet-8: Keras 2.4 wrote it; the float TFLite file is made of it."""
    folder = test_data / "mlperf_tiny"
    network, other = ne.load(folder / "pretrainedResnet.h5"), ne.load(folder / "pretrainedResnet.tflite")
    rows = np.asarray(Image.open(test_data / "cifar10" / "cifar10_batch_0.png"))[:64]
    x = rows.reshape(-1, 32, 32, 3).astype(np.float32)
    np.testing.assert_allclose(run_float(network, x), run_float(other, x), rtol=0, atol=1e-5)
    assert sum(isinstance(layer, L.BatchNorm) for layer in network.layers) == 7


def test_layers_keep_their_names_and_read_each_other():
    network = ne.load(OPERATIONS)
    assert network.layer("hidden").weight.shape == (12, 64) and network.layer("first").weight.shape == (6, 3, 3, 4)
    assert network.layer("add").inputs == ("add.1", "batch_normalization")


def test_weights_alone_say_what_to_do():
    with pytest.raises(UnsupportedError, match=r"weights without a model.*with_weights"):
        ne.load(GOLDEN / "keras_sequential.weights.h5")


def test_h5py_is_named_when_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingDependencyError, match=r"neuroemu\[keras\]"):
        ne.load(SEQUENTIAL)


@pytest.mark.parametrize("listed", [False, True])
def test_sequential_models_of_keras_2(tmp_path, listed):
    """Their layers have no names beside their settings, and the first one has the input's shape."""
    h5py = pytest.importorskip("h5py")
    rng = np.random.default_rng(0)
    kernels = [rng.normal(size=shape).astype(np.float32) for shape in ((3, 3, 2, 4), (64, 5))]
    layers = [
        {"class_name": "Conv2D", "config": {"name": "c", "batch_input_shape": [None, 4, 4, 2], "padding": "same",
                                            "strides": [1, 1], "activation": "relu", "use_bias": False}},
        {"class_name": "Flatten", "config": {"name": "f"}},
        {"class_name": "Dense", "config": {"name": "d", "activation": "linear", "use_bias": True}},
    ]  # fmt: skip
    with h5py.File(tmp_path / "old.h5", "w") as file:
        config = layers if listed else {"name": "s", "layers": layers}
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": config}).encode()
        file["model_weights/c/c/kernel:0"], file["model_weights/d/d/kernel:0"] = kernels
        file["model_weights/d/d/bias:0"] = np.arange(5, dtype=np.float32)
    x = rng.normal(size=(2, 4, 4, 2)).astype(np.float32)
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    hidden = np.maximum(np.einsum("bhwcij,ijco->bhwo", windows, kernels[0]), 0)
    want = hidden.reshape(2, -1) @ kernels[1] + np.arange(5)
    np.testing.assert_allclose(run_float(ne.load(tmp_path / "old.h5"), x), want, rtol=1e-4, atol=1e-4)


# -- changed models -------------------------------------------------------------------------------------------------


def edited(tmp_path, source, change):
    """A copy of a .keras file with another config."""
    with zipfile.ZipFile(source) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    layers = {x["config"]["name"]: x for x in config["config"]["layers"]}
    change(config, layers)
    members["config.json"] = json.dumps(config).encode()
    path = tmp_path / "edited.keras"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def setting(layer, **values):
    return lambda config, layers: layers[layer]["config"].update(values)


def kind(layer, name):
    return lambda config, layers: layers[layer].update(class_name=name)


def called_twice(config, layers):
    layers["first"]["inbound_nodes"] *= 2


def two_outputs(config, layers):
    config["config"]["output_layers"] = [["dense", 0, 0], ["softmax", 0, 0]]


REFUSED = {
    "code": (kind("first", "Lambda"), r"layer 'first' \(Lambda\): not supported; replace it by one of Activation, Add"),
    "a model in a model": (kind("first", "Functional"), r"\(Functional\): not supported"),
    "an activation": (setting("hidden", activation="tanh"), "activation 'tanh' not supported; use one of linear, relu"),
    "an activation object": (setting("hidden", activation={"class_name": "Own", "config": {}}), "activation 'Own'"),
    "channels first": (setting("first", data_format="channels_first"), "channels last"),
    "a shared layer": (called_twice, "called 2 times; give each call its own layer"),
    "two outputs": (two_outputs, "2 outputs; one of each is read"),
    "a slope": (setting("re_lu", negative_slope=0.1), "slope"),
    "causal padding": (setting("first", padding="causal"), "'valid' or 'same'"),
    "normalization over rows": (setting("batch_normalization", axis=1), "only the channels"),
    "an open size": (setting("input_layer", batch_shape=[None, None, 10, 3]), "only the batch axis may be left open"),
    "no size": (setting("input_layer", batch_shape=None), "no input shape"),
    "an own class": (lambda config, layers: config.update(class_name="Mine"), "only Sequential and Functional"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_name_the_layer_and_the_remedy(tmp_path, name):
    change, reason = REFUSED[name]
    with pytest.raises(UnsupportedError, match=reason):
        ne.load(edited(tmp_path, OPERATIONS, change))


@pytest.mark.parametrize(
    "layer, values",
    [
        ("first", {"strides": [0, 1]}),
        ("first", {"strides": "abc"}),
        ("first", {"strides": [1, 2, 3]}),
        ("first", {"dilation_rate": [1e9, 1]}),
        ("first", {"groups": 5}),
        ("first", {"groups": None}),
        ("first", {"padding": 7}),
        ("zeros", {"padding": [[1, 1], [1, -4]]}),
        ("zeros", {"padding": [[1, 1], [1, 1 << 40]]}),
        ("batch_normalization", {"epsilon": "x"}),
        ("batch_normalization", {"epsilon": -50.0}),
        ("max_pooling2d", {"pool_size": [100, 100], "padding": "valid"}),
        ("reshape", {"target_shape": [-1, -1]}),
        ("reshape", {"target_shape": [5, 7]}),
        ("reshape", {"target_shape": ["a"]}),
        ("permute", {"dims": [0, 5]}),
        ("input_layer", {"batch_shape": [None, 1 << 20, 1 << 20, 3]}),
        ("input_layer", {"batch_shape": [None, 11, 10, "3"]}),
        ("rescaling", {"scale": [1, 2]}),
        ("rescaling", {"scale": {"a": 1}}),
        ("hidden", {"activation": ["relu"]}),
        ("hidden", {"use_bias": "no"}),
        ("concatenate", {"axis": 9}),
    ],
)
def test_wrong_settings_end_in_one_error(tmp_path, layer, values):
    with pytest.raises(NeuroemuError, match=r"edited\.keras") as caught:
        ne.load(edited(tmp_path, OPERATIONS, setting(layer, **values)))
    assert "\n" not in str(caught.value)


def test_hostile_structure_ends_in_one_error(tmp_path):
    for change in (
        lambda config, layers: config.update(config=5),
        lambda config, layers: config["config"].update(layers=[]),
        lambda config, layers: config["config"].update(layers=[{}] * 20_000),
        lambda config, layers: config["config"].update(output_layers=[["nowhere", 0, 0]]),
        lambda config, layers: layers["first"].update(inbound_nodes=[{"args": [[[[]]]], "kwargs": {}}]),
        lambda config, layers: layers["first"].update(inbound_nodes=[5]),
        lambda config, layers: layers["first"].update(name="a\nb"),
        lambda config, layers: layers["hidden"]["config"].update(name="a/../b"),
    ):
        try:
            ne.load(edited(tmp_path, OPERATIONS, change))
        except NeuroemuError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("name", ["keras_sequential.keras", "keras_sequential.h5"])
def test_damaged_files_end_in_one_error(tmp_path, name):
    """Cut short anywhere, or with changed bytes: an error of this package, or a network of other numbers."""
    content, rng, path = (GOLDEN / name).read_bytes(), np.random.default_rng(3), tmp_path / name
    for end in rng.integers(9, len(content) - 200, 40):
        path.write_bytes(content[:end])
        with pytest.raises(NeuroemuError):
            ne.load(path)
    for _ in range(150):
        damaged = bytearray(content)
        start = int(rng.integers(8, len(damaged)))
        damaged[start : start + int(rng.integers(1, 9))] = rng.bytes(int(rng.integers(1, 9)))
        path.write_bytes(damaged)
        try:
            assert isinstance(ne.load(path), ne.Network)
        except NeuroemuError as error:
            assert "\n" not in str(error)


def test_a_text_that_claims_gigabytes_is_not_read(tmp_path):
    content = bytearray((GOLDEN / "keras_sequential.h5").read_bytes())
    text = config_text(GOLDEN / "keras_sequential.h5")
    length = struct.pack("<I", len(text))
    place = content.find(length, content.find(b"model_config\0"))
    content[place : place + 4] = struct.pack("<I", 0xFFFFFFF0)
    path = tmp_path / "long.h5"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match="4,294,967,280 bytes"):
        ne.load(path)


def test_a_member_that_unpacks_to_gigabytes_is_not_read(tmp_path):
    path = tmp_path / "bomb.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", b" " * (1 << 25))
        archive.writestr("model.weights.h5", b"")
    with pytest.raises(FileFormatError, match=r"config\.json has 33,554,432 bytes"):
        ne.load(path)


def test_a_weight_behind_a_link_is_not_followed(tmp_path):
    h5py = pytest.importorskip("h5py")
    with zipfile.ZipFile(SEQUENTIAL) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    buffer = io.BytesIO(members["model.weights.h5"])
    with h5py.File(buffer, "r+") as file:
        del file["layers/dense/vars/0"]
        file["layers/dense/vars/0"] = h5py.ExternalLink("other.h5", "/x")
    members["model.weights.h5"] = buffer.getvalue()
    path = tmp_path / "linked.keras"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(FileFormatError, match="only a file's own data"):
        ne.load(path)
