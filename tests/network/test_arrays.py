"""Arrays from files without layers, and into networks: Flax, Keras and the safetensors library are the truth."""

import io
import json
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neuroemu as ne
from neuroemu.errors import ArgumentTypeError, FileFormatError, InputError, NeuroemuError, UnsupportedError
from neuroemu.network import layers as L
from neuroemu.network import read_arrays, run_float, sequential, with_weights
from neuroemu.network.flax_reader import read_flax
from neuroemu.network.safetensors_reader import DTYPES, read_safetensors

GOLDEN = Path(__file__).parents[1] / "golden"
FILES = ("flax_cnn.msgpack", "flax_cnn.safetensors", "keras_sequential.weights.h5")
FLAX = {"a": "Conv_0", "norm": "BatchNorm_0", "b": "Conv_1", "c": "Dense_0"}


@pytest.fixture(scope="module")
def outputs():
    with np.load(GOLDEN / "flax_outputs.npz") as archive:
        return dict(archive)


def empty_cnn(**turn):
    """The layers of the golden Flax model, without its weights."""
    flat = [L.Transpose(name="turn", axes=(1, 2, 0))] if turn.get("turned") else []
    return sequential(
        [
            L.Transpose(name="to_nchw", axes=(2, 0, 1)),
            L.Conv2d(name="a", weight=np.zeros((6, 2, 3, 3)), padding=((1, 1), (1, 1))),
            L.Clip(name="a_relu", low=0.0),
            L.BatchNorm(name="norm", **{k: np.ones(6) for k in ("gamma", "beta", "mean", "variance")}),
            L.Conv2d(name="b", weight=np.zeros((12, 1, 3, 2)), groups=6),
            L.Clip(name="b_relu", low=0.0),
            L.MaxPool2d(name="pool", size=2),
            *flat,
            L.Flatten(name="flat"),
            L.Dense(name="c", weight=np.zeros((9, 108))),
            L.Clip(name="c_relu", low=0.0),
            L.Dense(name="last", weight=np.zeros((4, 9))),
        ],
        input_shape=(8, 7, 2),
    )


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("source", ["flax_cnn.msgpack", "flax_cnn.safetensors"])
def test_flax_weights_give_flax_outputs(outputs, source, turned):
    network = with_weights(empty_cnn(turned=turned), read_arrays(GOLDEN / source), names=FLAX)
    want = outputs["y"]
    np.testing.assert_allclose(run_float(network, outputs["x"]), want, rtol=0, atol=2e-6 * np.abs(want).max())


def test_nested_variables_are_taken_as_they_are(outputs):
    network = with_weights(empty_cnn(), read_flax(GOLDEN / "flax_cnn.msgpack"), names=FLAX)
    np.testing.assert_allclose(run_float(network, outputs["x"]), outputs["y"], rtol=1e-4)


@pytest.mark.parametrize(
    "source, names",
    [
        ("keras_sequential.weights.h5", {"hidden": "dense", "norm": "batch_normalization", "out": "dense_1"}),
        ("keras_sequential.keras", {"hidden": "layers/dense", "norm": "batch_normalization", "out": "dense_1"}),
        ("keras_sequential.h5", None),
    ],
)
def test_keras_weights_give_keras_outputs(source, names):
    found = read_arrays(GOLDEN / source)
    if names is None:  # the old form keeps the layers' names
        groups = sorted({name.split("/")[1] for name in found} - {"hidden"})
        names = {"norm": next(g for g in groups if "norm" in g), "out": next(g for g in groups if "dense" in g)}
    network = sequential(
        [
            L.Dense(name="hidden", weight=np.zeros((6, 7))),
            L.Clip(name="relu", low=0.0),
            L.BatchNorm(name="norm", **{k: np.ones(6) for k in ("gamma", "beta", "mean", "variance")}, epsilon=1e-3),
            L.Dense(name="out", weight=np.zeros((3, 6))),
        ],
        input_shape=(7,),
    )
    with np.load(GOLDEN / "keras_outputs.npz") as want:
        got = run_float(with_weights(network, found, names=names), want["sequential_x"])
        np.testing.assert_allclose(got, want["sequential_y"], rtol=1e-5)


def test_a_state_dict_of_torch_fills_layers_of_its_names():
    rng = np.random.default_rng(0)
    state = {
        "stem.weight": rng.normal(size=(4, 2, 3)),
        "stem.bias": rng.normal(size=4),
        "block.0.weight": rng.normal(size=4),
        "block.0.bias": rng.normal(size=4),
        "block.0.running_mean": rng.normal(size=4),
        "block.0.running_var": np.ones(4),
        "block.0.num_batches_tracked": np.array(3),
        "head.weight": rng.normal(size=(5, 8)),
    }
    network = sequential(
        [
            L.Conv2d(name="stem", weight=np.zeros((4, 2, 1, 3))),
            L.BatchNorm(name="block.0", **{k: np.ones(4) for k in ("gamma", "beta", "mean", "variance")}),
            L.Flatten(name="flat"),
            L.Dense(name="head", weight=np.zeros((5, 8)), bias=np.ones(5)),
        ],
        input_shape=(2, 1, 4),
    )
    filled = with_weights(network, state)
    np.testing.assert_array_equal(filled.layer("stem").weight[:, :, 0], state["stem.weight"].astype(np.float32))
    np.testing.assert_array_equal(filled.layer("block.0").gamma, state["block.0.weight"].astype(np.float32))
    np.testing.assert_array_equal(filled.layer("head").weight, state["head.weight"].astype(np.float32))  # (C, H, W)
    assert filled.layer("head").bias is None and network.layer("stem").weight.max() == 0


def test_a_kernel_by_channel_of_keras():
    kernel = np.random.default_rng(1).normal(size=(3, 2, 4, 2)).astype(np.float32)
    network = sequential([L.Conv2d(name="d", weight=np.zeros((8, 1, 3, 2)), groups=4)], input_shape=(4, 5, 5))
    weight = with_weights(network, {"d/depthwise_kernel:0": kernel}).layer("d").weight
    for channel, multiple in ((0, 0), (2, 1), (3, 1)):
        np.testing.assert_array_equal(weight[2 * channel + multiple, 0], kernel[:, :, channel, multiple])


def test_partial_keeps_what_has_no_arrays():
    network = sequential([L.Dense(name="a", weight=np.ones((2, 2))), L.Dense(name="b", weight=np.ones((2, 2)))],
                         input_shape=(2,))  # fmt: skip
    filled = with_weights(network, {"a": {"kernel": np.array([[1, 2], [3, 4]])}}, partial=True)
    np.testing.assert_array_equal(filled.layer("a").weight, [[1, 3], [2, 4]])
    np.testing.assert_array_equal(filled.layer("b").weight, np.ones((2, 2)))


DENSE = sequential([L.Dense(name="fc", weight=np.zeros((2, 3)))], input_shape=(3,))


@pytest.mark.parametrize(
    "arrays, names, reason",
    [
        ({"other.weight": np.ones((2, 3))}, None, "no arrays 'fc' for layer 'fc'; give names=.*one of other"),
        ({"fc.weight": np.ones((3, 2))}, None, r"array 'fc.weight' becomes shape \(3, 2\); the layer has \(2, 3\)"),
        ({"fc.kernel": np.ones((2, 3))}, None, r"'fc.kernel' becomes shape \(3, 2\)"),
        ({"fc.weight": np.ones((2, 3)), "fc.bias": np.ones(3)}, None, "'fc.bias' becomes shape"),
        ({"fc.weight": np.ones((2, 3)), "fc.lora": np.ones(3)}, None, "'fc.lora' has no place in Dense 'fc'"),
        ({"fc.bias": np.ones(2)}, None, "needs one array 'weight' or 'kernel'"),
        ({"fc.weight": np.ones((2, 3)), "fc/weight": np.ones((2, 3))}, None, "have one name"),
        ({"fc.weight": np.ones((2, 3))}, {"fd": "fc"}, r"names has \['fd'\]"),
        ({"fc.weight": np.full((2, 3), np.nan)}, None, "NaN"),
    ],
)
def test_what_does_not_fit_is_named(arrays, names, reason):
    with pytest.raises(InputError, match=reason):
        with_weights(DENSE, arrays, names=names)


def test_wrong_arguments():
    with pytest.raises(ArgumentTypeError, match="arrays must be a mapping"):
        with_weights(DENSE, [1])
    quantized = ne.quantize(DENSE, samples=np.ones((2, 3)))
    with pytest.raises(InputError, match="fill the float network"):
        with_weights(quantized, {})
    with pytest.raises(ArgumentTypeError, match="path to a file"):
        read_arrays(5)
    with pytest.raises(FileFormatError, match="cannot be read"):
        read_arrays(GOLDEN / "nowhere")


# -- safetensors ----------------------------------------------------------------------------------------------------


def test_types_are_read_as_the_library_wrote_them():
    found = read_safetensors(GOLDEN / "flax_cnn.safetensors")
    steps = np.arange(-3, 4) / np.float32(3)
    np.testing.assert_array_equal(found["kinds/f16"], steps.astype(np.float16))
    assert found["kinds/bf16"].dtype == np.float32
    np.testing.assert_allclose(found["kinds/bf16"], steps, rtol=2**-8)
    assert (found["kinds/bf16"].view(np.uint32) & 0xFFFF == 0).all()
    np.testing.assert_array_equal(found["kinds/i8"], np.arange(-3, 4, dtype=np.int8))
    np.testing.assert_array_equal(found["kinds/bool"], [False, True, True])
    assert found["kinds/empty"].shape == (2, 0)


def container(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(shape=(2,), place=(0, 8), dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(place)}


@pytest.mark.parametrize(
    "content, reason",
    [
        (container({"a": entry()}, bytes(7)), "at bytes 0 to 8 of 7"),
        (container({"a": entry((3,))}, bytes(8)), "of shape"),
        (container({"a": entry((1 << 40, 1 << 40))}, bytes(8)), "of shape"),
        (container({"a": entry((-2,))}, bytes(8)), "whole numbers"),
        (container({"a": entry((True, 2))}, bytes(8)), "whole numbers"),
        (container({"a": entry(place=(0, 4, 8))}, bytes(8)), "whole numbers"),
        (container({"a": entry(), "b": entry()}, bytes(8)), "overlap"),
        (container({"a": entry()}, bytes(12)), "leave bytes"),
        (container({"a": entry(dtype="F8_E5M2")}, bytes(8)), "type 'F8_E5M2'; store it as one of F64"),
        (container({"a": entry(dtype=["F32"])}, bytes(8)), "type"),
        (container({"a": 5}, bytes(8)), "damaged entry"),
        (container({"a": entry() | {"x": 1}}, bytes(8)), "damaged entry"),
        (container(b'{"a": '), "damaged header"),
        (container(b'{"a":' * 5000), "damaged header"),
        (struct.pack("<Q", 1 << 24) + b"{}", "claims 16,777,216 bytes"),
        (container({str(i): 0 for i in range(10_001)}), "10,001 arrays"),
    ],
)  # fmt: skip
def test_hostile_safetensors(tmp_path, content, reason):
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    with pytest.raises(NeuroemuError, match=reason) as caught:
        read_arrays(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


@given(st.dictionaries(st.text(min_size=1, max_size=8), st.lists(st.integers(0, 3), max_size=3), max_size=4), st.data())
@settings(max_examples=20, deadline=None)
def test_any_arrays_come_back(tmp_path_factory, shapes, data):
    shapes.pop("__metadata__", None)
    header, content, arrays = {}, b"", {}
    for name, shape in shapes.items():
        kind = data.draw(st.sampled_from(["F64", "F32", "F16", "I64", "U16", "I8", "BOOL"]))
        size = int(np.prod(shape)) * np.dtype(DTYPES[kind]).itemsize
        arrays[name] = np.frombuffer(bytes(i % 2 for i in range(size)), DTYPES[kind]).reshape(shape)
        header[name] = entry(shape, (len(content), len(content) + size), kind)
        content += arrays[name].tobytes()
    path = tmp_path_factory.getbasetemp() / "any.safetensors"
    path.write_bytes(container(header, content))
    found = read_safetensors(path)
    assert set(found) == set(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


# -- msgpack --------------------------------------------------------------------------------------------------------


def packed_array(shape=b"\x91\x02", kind=b"\xa7float32", content=b"\xc4\x08" + bytes(8), code=1):
    inner = b"\x93" + shape + kind + content
    return b"\x81\xa1a\xc7" + bytes([len(inner), code]) + inner


def test_a_plain_array_of_msgpack(tmp_path):
    path = tmp_path / "w.msgpack"
    path.write_bytes(packed_array())
    np.testing.assert_array_equal(read_arrays(path)["a"], np.zeros(2, np.float32))
    path.write_bytes(packed_array(kind=b"\xa8bfloat16", content=b"\xc4\x04\x80\x3f\x00\xc0"))
    np.testing.assert_array_equal(read_arrays(path)["a"], [1.0, -2.0])


@pytest.mark.parametrize(
    "content, reason",
    [
        (packed_array()[:-1], "are claimed"),
        (packed_array() + b"\x00", "not one table"),
        (b"\x05" * 12, "not one table"),
        (packed_array(shape=b"\x91\x03"), "damaged array of shape"),
        (packed_array(shape=b"\x91\xff"), "an array of shape"),
        (packed_array(kind=b"\xa6object"), "type 'object'; store it as one of"),
        (packed_array(code=2), "extension 2"),
        (packed_array(code=3, shape=b"\x90", content=b"\xc4\x04" + bytes(4)), None),
        (b"\x81\xa1a" * 60 + b"\x01", "tables in tables"),
        (b"\x81\xa1a" + b"\x91" * 9000, "tables in tables"),
        (b"\xdf\xff\xff\xff\xff", "damaged"),
        (b"\x81\xdb\xff\xff\xff\xff", "a text of 4,294,967,295"),
        (b"\x81\x05\x05", "names are texts"),
        (b"\x81\xa2\xff\xfe\x01", "damaged or not a msgpack"),
        (b"\xc1", "a value of kind 0xc1"),
        (b"\x81\xd9\x19__msgpack_chunked_array__\xc3", "in pieces"),
        (b"", "damaged"),
    ],
)
def test_hostile_msgpack(tmp_path, content, reason):
    path = tmp_path / "w.msgpack"
    path.write_bytes(content)
    if reason is None:  # a number
        assert read_arrays(path)["a"] == 0
        return
    with pytest.raises(NeuroemuError, match=reason) as caught:
        read_arrays(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


# -- all of them ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_damaged_files_end_in_one_error(tmp_path, name):
    content, rng, path = (GOLDEN / name).read_bytes(), np.random.default_rng(7), tmp_path / name
    for end in rng.integers(0, len(content) - 1000, 30):
        path.write_bytes(content[:end])
        with pytest.raises(NeuroemuError):
            read_arrays(path)
    for _ in range(100):
        damaged = bytearray(content)
        start = int(rng.integers(0, min(len(damaged), 3000)))
        damaged[start : start + 4] = rng.bytes(4)
        path.write_bytes(damaged)
        try:
            read_arrays(path)
        except NeuroemuError as error:
            assert "\n" not in str(error)


def test_arrays_of_an_npz(tmp_path):
    path = tmp_path / "w.npz"
    np.savez(path, **{"fc.weight": np.ones((2, 3), np.float32)})
    assert with_weights(DENSE, read_arrays(path)).layer("fc").weight.sum() == 6


def test_files_of_torch_are_refused_for_their_pickle(tmp_path):
    path, buffer = tmp_path / "w.pt", io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("w/data.pkl", b"cos\nsystem\n(S'true'\ntR.")
    path.write_bytes(buffer.getvalue())
    for read in (read_arrays, ne.load):
        with pytest.raises(UnsupportedError, match=r"pickled objects.*safetensors\.torch\.save_file"):
            read(path)


def test_load_says_where_arrays_and_modules_go():
    with pytest.raises(UnsupportedError, match=r"arrays without layers; use network\.read_arrays"):
        ne.load(GOLDEN / "flax_cnn.safetensors")
    with pytest.raises(ArgumentTypeError, match="a PyTorch module goes to from_torch"):
        ne.load(DENSE)
