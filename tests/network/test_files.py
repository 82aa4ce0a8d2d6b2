"""The package's own files: exact round trips, and one line of ours for everything hostile."""

import dataclasses
import io
import json
import os
import runpy
import zipfile
from pathlib import Path

import numpy as np
import pytest

from neuroemu import _archive
from neuroemu.errors import ArgumentTypeError, FileFormatError, InputError, NeuroemuError, UnsupportedError
from neuroemu.network import layers as L
from neuroemu.network.files import load, save
from neuroemu.network.floating import run_float
from neuroemu.network.graph import Network, sequential
from neuroemu.network.grids import Grid
from neuroemu.network.integer import run_integer

RNG = np.random.default_rng(0)


def floats(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def codes(*shape):
    return RNG.integers(-127, 128, shape).astype(np.int8)


def float_network():
    return Network(
        layers=(
            L.Scale(name="pixels", scale=1 / 255, offset=np.float32([0.1, -0.2])),
            L.Conv2d(name="c1", weight=floats(4, 1, 3, 2), bias=floats(4), stride=(2, 1), padding=((1, 0), (0, 2)),
                     dilation=(1, 2), groups=2),
            L.BatchNorm(name="n", gamma=floats(4), beta=floats(4), mean=floats(4), variance=np.abs(floats(4)),
                        epsilon=1e-3),
            L.relu6(name="r"),
            L.Conv2d(name="c2", weight=floats(4, 4, 1, 1), inputs=("n",)),
            L.Add(name="a", inputs=("r", "c2")),
            L.MaxPool2d(name="m", size=2, stride=(1, 1), padding=1),
            L.AveragePool2d(name="v", size=(2, 1), count_padding=True),
            L.SumPool2d(name="w", size=1),
            L.Transpose(name="t", axes=(1, 2, 0)),
            L.Reshape(name="s", shape=(-1, 4)),
            L.Reshape(name="s2", shape=(4, 1, -1)),
            L.Concat(name="k", inputs=("s2", "s2"), axis=1),
            L.GlobalAveragePool(name="g", keep_dims=False),
            L.Clip(name="l", low=-3.25),
            L.Flatten(name="f"),
            L.Dense(name="d", weight=floats(5, 4), bias=floats(5)),
            L.Softmax(name="p"),
        ),
        input_shape=(2, 9, 8),
        name="everything",
    )  # fmt: skip


def quantized_network():
    weight_grid = Grid(np.float64([0.01, 0.02, 0.03 + 1e-12]), axis=0)
    layers = (
        L.Dense(name="d", weight=codes(3, 6), bias=np.int32([1, -70000, 5]), weight_grid=weight_grid),
        L.relu(name="r"),
        L.Dense(name="e", weight=codes(2, 3) // np.int8(16), weight_grid=Grid(0.07, bits=4)),
    )
    grids = {"input": Grid(1 / 3, -5), "d": Grid(0.2, -128), "r": Grid(0.2, -128), "e": Grid(0.31, 4, bits=6)}
    samples = floats(7, 6)
    return Network(layers=layers, input_shape=(6,), name="q", grids=grids, rounding="tflite", samples=samples)


def spiking_network():
    return Network(
        layers=(
            L.Encode(name="s", coding="direct", code_max=127, threshold=8128, initial_voltage=4064, reset="subtract"),
            L.Dense(name="d", weight=codes(4, 3), weight_grid=Grid(0.5)),
            L.Lif(
                name="v", threshold=None, bias=np.int32([1, 2, -3, 4]), weight_shift=6, voltage_decay=12, refractory=2
            ),
        ),
        input_shape=(3,),
        name="spikes",
        grids={"input": Grid(0.5, zero_point=-128)},
        steps=32,
    )


NETWORKS = {"float": float_network, "quantized": quantized_network, "spiking": spiking_network}


def same(a, b) -> bool:
    """Equality to the last bit, types included."""
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, Grid):
        return a == b and type(a.scale) is type(b.scale)
    return type(a) is type(b) and a == b


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_round_trip_is_exact(tmp_path, kind):
    network = NETWORKS[kind]()
    save(network, tmp_path / "n.npz")
    back = load(tmp_path / "n.npz")
    assert [type(x) for x in back.layers] == [type(x) for x in network.layers]
    for old, new in zip(network.layers, back.layers, strict=True):
        for field in dataclasses.fields(old):
            assert same(getattr(old, field.name), getattr(new, field.name)), (old.name, field.name)
    assert dict(back.grids) == dict(network.grids)
    for field in ("input_shape", "name", "rounding", "samples", "steps", "output", "shapes"):
        assert same(getattr(network, field), getattr(back, field)), field


def test_results_are_the_same_after_a_round_trip(tmp_path):
    for kind, run in (("float", run_float), ("quantized", run_integer)):
        network = NETWORKS[kind]()
        save(network, tmp_path / "n.npz")
        x = floats(3, *network.input_shape)
        np.testing.assert_array_equal(run(load(tmp_path / "n.npz"), x), run(network, x))


def test_every_layer_type_is_covered():
    kinds = {type(layer) for make in NETWORKS.values() for layer in make().layers}
    concrete = {k for k in vars(L).values() if isinstance(k, type) and issubclass(k, L.Layer)}
    assert kinds == concrete - {L.Layer, L.Weighted, L.Pool2d}


def test_the_same_network_gives_the_same_bytes(tmp_path):
    network = quantized_network()
    save(network, tmp_path / "a.npz")
    save(load(tmp_path / "a.npz"), tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_the_name_can_be_given(tmp_path):
    save(quantized_network(), tmp_path / "n.npz")
    assert load(tmp_path / "n.npz", name="other").name == "other"
    assert load(str(tmp_path / "n.npz")).name == "q"


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "n.npz"
    save(quantized_network(), path)
    before = path.read_bytes()

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        save(float_network(), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["n.npz"], "no temporary file stays behind"


def test_wrong_arguments(tmp_path):
    with pytest.raises(ArgumentTypeError, match="must be a Network"):
        save("network", tmp_path / "n.npz")
    with pytest.raises(InputError, match=r"end in \.npz"):
        save(quantized_network(), tmp_path / "n.h5")
    with pytest.raises(ArgumentTypeError, match="path"):
        load(3)


# -- hostile files ----------------------------------------------------------------------------------------------------


def refused(path, *, match=None, error=NeuroemuError):
    with pytest.raises(error, match=match) as caught:
        load(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def test_no_file_and_wrong_content(tmp_path):
    refused(tmp_path / "none.npz", match="No such file", error=FileFormatError)
    refused(tmp_path, error=FileFormatError)
    for name, content in (("a.npz", b"hello"), ("b.tflite", b"x" * 100), ("c.onnx", b""), ("d.onnx", b"\xff" * 100)):
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name, error=FileFormatError)


def test_the_content_decides_not_the_ending(tmp_path):
    save(quantized_network(), tmp_path / "n.npz")
    (tmp_path / "n.onnx").write_bytes((tmp_path / "n.npz").read_bytes())
    assert load(tmp_path / "n.onnx").name == "q"


def test_truncated_and_damaged_files(tmp_path):
    save(float_network(), tmp_path / "n.npz")
    content = (tmp_path / "n.npz").read_bytes()
    path, rng, count = tmp_path / "bad.npz", np.random.default_rng(0), 0
    for trial in range(300):
        damaged = bytearray(content)
        if trial % 2:
            del damaged[rng.integers(len(content)) :]
        else:
            for at in rng.integers(0, len(content), 8):
                damaged[at] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            load(path)
        except NeuroemuError as error:
            assert "\n" not in str(error)
            count += 1
    assert count > 250


def repacked(path, change, *, method=zipfile.ZIP_DEFLATED):
    """A saved file whose header went through `change`; other members stay."""
    save(quantized_network(), path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    header = json.loads(np.load(io.BytesIO(members["header.npy"])).tobytes())
    change(header, members)
    text = io.BytesIO()
    np.save(text, np.frombuffer(json.dumps(header).encode(), np.uint8))
    members["header.npy"] = text.getvalue()
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def pickled(header, members):
    members["a0.npy"] = npy(np.array([{"x": 1}], dtype=object))


def lying_shape(header, members):
    name = header["layers"][0]["bias"]["array"] + ".npy"
    assert b"(3,)" in members[name]
    members[name] = members[name].replace(b"(3,)", b"(9,)")


def huge_shape(header, members):
    text = b"{'descr': '|i1', 'fortran_order': False, 'shape': (999999999, 999999999), }"
    members["a0.npy"] = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


CHANGES = {
    "pickle": pickled,
    "lying shape": lying_shape,
    "huge shape": huge_shape,
    "newer version": lambda h, m: h.update(version=99),
    "other format": lambda h, m: h.update(format="x"),
    "unknown layer": lambda h, m: h["layers"][0].update(type="System"),
    "abstract layer": lambda h, m: h["layers"][0].update(type="Weighted"),
    "missing field": lambda h, m: h["layers"][0].pop("bias"),
    "extra field": lambda h, m: h["layers"][0].update(evil=1),
    "missing array": lambda h, m: m.pop("a1.npy"),
    "no weights": lambda h, m: h["layers"][0].update(weight=None),
    "grid as list": lambda h, m: h["layers"][0].update(weight_grid=[1]),
    "grid of bits": lambda h, m: h["grids"]["d"]["grid"].update(bits=99),
    "grid of zero": lambda h, m: h["grids"]["d"]["grid"].update(scale=0),
    "grid is text": lambda h, m: h["grids"].update(d="x"),
    "layers are missing": lambda h, m: h.update(layers=[]),
    "layers are a number": lambda h, m: h.update(layers=3),
    "name is a number": lambda h, m: h.update(name=3),
    "inputs are numbers": lambda h, m: h["layers"][0].update(inputs=[3]),
    "inputs unknown": lambda h, m: h["layers"][0].update(inputs=["ghost"]),
    "shape is negative": lambda h, m: h.update(input_shape=[-6]),
    "shape is text": lambda h, m: h.update(input_shape="abc"),
    "rounding": lambda h, m: h.update(rounding="up"),
    "steps": lambda h, m: h.update(steps="many"),
    "samples": lambda h, m: h.update(samples="many"),
    "nested": lambda h, m: h.update(samples={"array": {"array": {}}}),
}


@pytest.mark.parametrize("case", CHANGES)
def test_hostile_headers_and_members(tmp_path, case):
    path = tmp_path / "n.npz"
    repacked(path, lambda header, members: None)
    load(path)  # the repacking itself is harmless
    repacked(path, CHANGES[case])
    words = {"pickle": "only numbers", "lying shape": "needs 36 bytes"}.get(case)
    newer = case in ("newer version", "unknown layer", "abstract layer")
    refused(path, match=words, error=UnsupportedError if newer else FileFormatError)


def test_a_deeply_nested_header(tmp_path):
    save(quantized_network(), tmp_path / "n.npz")
    text = np.frombuffer(b"[" * 200_000, np.uint8)
    np.savez(tmp_path / "n.npz", header=text)
    refused(tmp_path / "n.npz", error=FileFormatError)


def test_a_zip_bomb_is_refused_before_it_unpacks(tmp_path):
    """Its directory claims four gigabytes."""
    path = tmp_path / "n.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.npy", npy(np.zeros(3, np.uint8)))
        with archive.open("a0.npy", "w", force_zip64=True) as member:
            block = bytes(1 << 24)
            for _ in range(3):
                member.write(block)
    content = bytearray(path.read_bytes())
    at = content.rfind(b"PK\x01\x02")  # the last entry of the directory: claim more than is there
    content[at + 24 : at + 28] = (0xF0000000).to_bytes(4, "little")
    path.write_bytes(content)
    refused(path, match="bytes", error=FileFormatError)


def test_zeros_that_were_packed_too_well_are_refused(tmp_path, monkeypatch):
    """A megabyte of packed zeros would fill a gigabyte; what `save` writes packs nowhere near."""
    monkeypatch.setattr(_archive, "MAX_BLOWN", 1 << 18)
    many = sequential([L.Dense(name="d", weight=np.zeros((500, 400), np.float32))], input_shape=(400,))
    save(many, tmp_path / "n.npz")
    refused(tmp_path / "n.npz", match="bytes of arrays packed in", error=FileFormatError)
    weight = np.random.default_rng(0).normal(size=(500, 400)).astype(np.float32)
    save(sequential([L.Dense(name="d", weight=weight)], input_shape=(400,)), tmp_path / "n.npz")
    assert load(tmp_path / "n.npz").n_parameters == 200_000


def test_an_ordinary_npz_is_not_a_network(tmp_path):
    np.savez(tmp_path / "data.npz", x=np.zeros(3), y=np.zeros(3))
    refused(tmp_path / "data.npz", match="save", error=FileFormatError)


def test_the_page_on_readers_is_current():
    docs = Path(__file__).parents[2] / "docs"
    page = runpy.run_path(str(docs / "make_readers.py"))["text"]()
    assert page == (docs / "readers.md").read_text(encoding="utf-8"), "run python docs/make_readers.py"
    for kind in ("`Conv`", "`CONV_2D`", "`CubaLIF`", "`Lif`"):
        assert kind in page
