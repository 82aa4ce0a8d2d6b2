"""ONNX files: onnxruntime is the arbiter for every operator, shape and setting."""

import gzip
import sys

import numpy as np
import pytest

from neuroemu.errors import FileFormatError, MissingDependencyError, NeuroemuError, UnsupportedError
from neuroemu.network import layers as L
from neuroemu.network import onnx_reader
from neuroemu.network.floating import run_float
from neuroemu.network.onnx_reader import read_onnx

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402


def make(nodes, constants, shape, *, opset=13, batch="N", output="y", elem=TensorProto.FLOAT):
    """A model with one input 'x' of (batch, *shape) and one output."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", elem, [batch, *shape])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def truth(model, x):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def read(tmp_path, model, **kwargs):
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return read_onnx(path, **kwargs)


def check(tmp_path, model, x, rtol=1e-5):
    """Our float executor against onnxruntime, relative to the largest output."""
    network = read(tmp_path, model)
    want, got = truth(model, x), run_float(network, x)
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=0, atol=rtol * max(1.0, np.abs(want).max()))
    return network


def node(kind, inputs, output, **attributes):
    return helper.make_node(kind, inputs, [output], name=f"{kind}_{output}", **attributes)


def shuffled(model, rng):
    """The same network with nodes in another order and other names for all inner tensors."""
    other = onnx.ModelProto()
    other.CopyFrom(model)
    names = {}
    for n in other.graph.node:
        for o in n.output:
            names[o] = o if o == other.graph.output[0].name else f"t{rng.integers(1 << 40)}"
    for c in other.graph.initializer:
        names[c.name] = f"c{rng.integers(1 << 40)}"
        c.name = names[c.name]
    nodes = list(other.graph.node)
    for n in nodes:
        n.name = ""
        for field in (n.input, n.output):
            field[:] = [names.get(t, t) for t in field]
    order = rng.permutation(len(nodes))
    copies = []
    for i in order:
        copy = onnx.NodeProto()
        copy.CopyFrom(nodes[i])
        copies.append(copy)
    del other.graph.node[:]
    other.graph.node.extend(copies)
    return other


def floats(rng, *shape):
    return rng.normal(size=shape).astype(np.float32)


def random_network(rng):
    """Convolutions with random settings, a skip connection, pools, and a dense end."""
    channels = int(rng.integers(1, 5)) * 2
    shape = (channels, int(rng.integers(9, 16)), int(rng.integers(9, 16)))
    constants, nodes = {}, []
    groups = int(rng.choice([1, 2, channels]))
    out = groups * int(rng.integers(1, 3)) * (1 if groups > 1 else 2)
    k = [int(v) for v in rng.integers(1, 4, 2)]
    attributes = {"group": groups, "strides": [int(v) for v in rng.integers(1, 3, 2)], "dilations": [1, 1]}
    mode = rng.choice(["NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"])
    if mode == "NOTSET":
        attributes["pads"] = [int(v) for v in rng.integers(0, 3, 4)]
        attributes["dilations"] = [int(v) for v in rng.integers(1, 3, 2)]
    attributes["auto_pad"] = str(mode)
    constants |= {"w1": floats(rng, out, channels // groups, *k), "b1": floats(rng, out)}
    nodes.append(node("Conv", ["x", "w1", "b1"] if rng.random() < 0.7 else ["x", "w1"], "c1", **attributes))
    nodes.append(node("Relu", ["c1"], "r1"))
    constants |= {"w2": floats(rng, out, out, 3, 3) / 3, "b2": floats(rng, out)}
    nodes.append(node("Conv", ["r1", "w2", "b2"], "c2", pads=[1, 1, 1, 1]))
    nodes.append(node("Add", ["c2", "r1"], "a1"))
    pool = str(rng.choice(["MaxPool", "AveragePool"]))
    settings = {"kernel_shape": [2, 3], "strides": [2, 1], "pads": [int(v) for v in rng.integers(0, 2, 4)]}
    if pool == "AveragePool":
        settings["count_include_pad"] = int(rng.integers(0, 2))
    nodes.append(node(pool, ["a1"], "p1", **settings))
    nodes.append(node("Relu", ["p1"], "r2"))
    if rng.random() < 0.5:
        nodes.append(node("GlobalAveragePool", ["r2"], "p2"))
        nodes.append(node("Flatten", ["p2"], "f"))
        size = out
    else:
        nodes.append(node("Flatten", ["r2"], "f"))
        probe = make(nodes, constants, shape, output="f")
        size = truth(probe, floats(rng, 1, *shape)).shape[1]
    transposed = int(rng.integers(0, 2))
    w = floats(rng, size, 5) / np.sqrt(size).astype(np.float32)
    constants |= {"w3": w.T.copy() if transposed else w, "b3": floats(rng, 5)}
    nodes.append(node("Gemm", ["f", "w3", "b3"], "y", transB=transposed, alpha=0.5, beta=2.0))
    return make(nodes, constants, shape), shape


@pytest.mark.parametrize("seed", range(40))
def test_random_networks_agree_with_onnxruntime(tmp_path, seed):
    rng = np.random.default_rng(seed)
    model, shape = random_network(rng)
    x = floats(rng, 3, *shape)
    check(tmp_path, model, x)
    mixed = read(tmp_path, shuffled(model, rng))
    want = truth(model, x)
    np.testing.assert_allclose(run_float(mixed, x), want, rtol=0, atol=1e-5 * np.abs(want).max())


IMAGE = (4, 7, 6)
CASES = {
    "clip attributes": ([node("Clip", ["x"], "y", min=-0.5, max=0.75)], {}, 7),
    "clip inputs": ([node("Clip", ["x", "lo", "hi"], "y")], {"lo": np.float32(0), "hi": np.float32(6)}, 13),
    "clip high only": ([node("Clip", ["x", "", "hi"], "y")], {"hi": np.float32(0.25)}, 13),
    "add channels": ([node("Add", ["x", "c"], "y")], {"c": np.arange(4, dtype=np.float32).reshape(4, 1, 1)}, 13),
    "constant minus": ([node("Sub", ["c", "x"], "y")], {"c": np.float32(3)}, 13),
    "minus constant": ([node("Sub", ["x", "c"], "y")], {"c": np.float32([2.5])}, 13),
    "times": ([node("Mul", ["c", "x"], "y")], {"c": np.arange(4, dtype=np.float32).reshape(1, 4, 1, 1)}, 13),
    "divided": ([node("Div", ["x", "c"], "y")], {"c": np.float32(255)}, 13),
    "batch norm": (
        [helper.make_node("BatchNormalization", ["x", "g", "b", "m", "v"], ["y"], epsilon=1e-3)],
        {k: np.float32([0.5, 1, 1.5, 2]) for k in "gbmv"},
        14,
    ),
    "mean attribute": ([node("ReduceMean", ["x"], "y", axes=[-1, -2], keepdims=0)], {}, 13),
    "mean input": ([node("ReduceMean", ["x", "a"], "y", keepdims=1)], {"a": np.int64([2, 3])}, 18),
    "reshape": ([node("Reshape", ["x", "s"], "y")], {"s": np.int64([-1, 8, 21])}, 13),
    "reshape zeros": ([node("Reshape", ["x", "s"], "y")], {"s": np.int64([0, 0, -1])}, 13),
    "transpose": ([node("Transpose", ["x"], "y", perm=[0, 2, 3, 1])], {}, 13),
    "transpose, softmax": (
        [node("Transpose", ["x"], "t", perm=[0, 3, 2, 1]), node("Softmax", ["t"], "y", axis=3)],
        {},
        13,
    ),
    "unsqueeze, squeeze": (
        [node("Unsqueeze", ["x", "a"], "u"), node("Squeeze", ["u", "a"], "y")],
        {"a": np.int64([3])},
        13,
    ),
    "concat": ([node("Relu", ["x"], "r"), node("Concat", ["x", "r", "x"], "y", axis=-3)], {}, 13),
    "concat width": ([node("Relu", ["x"], "r"), node("Concat", ["x", "r"], "y", axis=3)], {}, 13),
    "identity, dropout": (
        [node("Identity", ["x"], "i"), node("Dropout", ["i"], "d"), node("Relu", ["d"], "y")],
        {},
        13,
    ),
    "pad into conv": (
        [node("Pad", ["x", "p"], "q"), node("Conv", ["q", "w"], "y", strides=[2, 2], auto_pad="SAME_UPPER")],
        {
            "p": np.int64([0, 0, 1, 2, 0, 0, 3, 0]),
            "w": np.linspace(-1, 1, 2 * 4 * 9, dtype=np.float32).reshape(2, 4, 3, 3),
        },
        13,
    ),
    "pad into average": (
        [node("Pad", ["x"], "q", pads=[0, 0, 1, 0, 0, 0, 1, 1]), node("AveragePool", ["q"], "y", kernel_shape=[3, 3])],
        {},
        7,
    ),
    "pad some axes": (
        [node("Pad", ["x", "p", "", "a"], "q"), node("Conv", ["q", "w"], "y")],
        {"p": np.int64([2, 1]), "a": np.int64([-1]), "w": np.ones((1, 4, 2, 2), np.float32)},
        18,
    ),
    "pool same": ([node("MaxPool", ["x"], "y", kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_LOWER")], {}, 13),
    "pool ceil": ([node("MaxPool", ["x"], "y", kernel_shape=[3, 2], strides=[3, 3], ceil_mode=1)], {}, 13),
    "pool ceil padded": (
        [node("MaxPool", ["x"], "y", kernel_shape=[2, 2], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1)],
        {},
        13,
    ),
    "average ceil": ([node("AveragePool", ["x"], "y", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)], {}, 19),
    "dense on last axis": (
        [node("MatMul", ["x", "w"], "m"), node("Add", ["m", "b"], "y")],
        {"w": np.linspace(-1, 1, 18, dtype=np.float32).reshape(6, 3), "b": np.float32([1, 2, 3])},
        13,
    ),
    "sum": ([node("Relu", ["x"], "r"), node("Sum", ["x", "r"], "y")], {}, 13),
    "torch view": (
        [
            node("Shape", ["x"], "s"),
            node("Gather", ["s", "zero"], "n", axis=0),
            node("Unsqueeze", ["n", "axes"], "n1"),
            node("Concat", ["n1", "minus"], "target", axis=0),
            node("Reshape", ["x", "target"], "y"),
        ],
        {"zero": np.int64(0), "axes": np.int64([0]), "minus": np.int64([-1])},
        13,
    ),
    "folded weight": (
        [
            node("Constant", [], "s", value=numpy_helper.from_array(np.int64([168, 2]))),
            node("Reshape", ["w", "s"], "w2"),
            node("Transpose", ["w2"], "w3", perm=[1, 0]),
            node("Transpose", ["w3"], "w4", perm=[1, 0]),
            node("Mul", ["w4", "half"], "w5"),
            node("Flatten", ["x"], "f"),
            node("MatMul", ["f", "w5"], "y"),
        ],
        {"w": np.linspace(-1, 1, 336, dtype=np.float32).reshape(4, 7, 6, 2), "half": np.float32(0.5)},
        13,
    ),
    "half precision weight": (
        [node("Cast", ["w"], "w2", to=TensorProto.FLOAT), node("Conv", ["x", "w2"], "y")],
        {"w": np.linspace(-1, 1, 16, dtype=np.float16).reshape(1, 4, 2, 2)},
        13,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_operators_agree_with_onnxruntime(tmp_path, case):
    nodes, constants, opset = CASES[case]
    check(tmp_path, make(nodes, constants, IMAGE, opset=opset), floats(np.random.default_rng(1), 3, *IMAGE))


@pytest.mark.parametrize("opset", [7, 9, 11, 13, 17, 21, 22])
def test_operator_sets(tmp_path, opset):
    rng = np.random.default_rng(opset)
    nodes = [
        node("Conv", ["x", "w", "b"], "c", pads=[1, 1, 1, 1]),
        node("Relu", ["c"], "r"),
        node("MaxPool", ["r"], "p", kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", ["p"], "f"),
        node("Gemm", ["f", "v", "d"], "g"),
        node("Softmax", ["g"], "y", axis=1),
    ]
    constants = {"w": floats(rng, 3, 4, 3, 3), "b": floats(rng, 3), "v": floats(rng, 27, 10) / 9, "d": floats(rng, 10)}
    network = check(tmp_path, make(nodes, constants, IMAGE, opset=opset), floats(rng, 2, *IMAGE))
    assert isinstance(network.layers[-1], L.Softmax)


def test_a_fixed_batch_is_dropped(tmp_path):
    model = make([node("Reshape", ["x", "s"], "y")], {"s": np.int64([4, 168])}, IMAGE, batch=4)
    network = read(tmp_path, model)
    x = floats(np.random.default_rng(0), 4, *IMAGE)
    np.testing.assert_array_equal(run_float(network, x), truth(model, x))
    assert run_float(network, x[:3]).shape == (3, 168)


def test_an_added_constant_becomes_the_bias(tmp_path):
    nodes = [node("Conv", ["x", "w"], "c"), node("Add", ["b", "c"], "y")]
    constants = {"w": np.ones((3, 4, 1, 1), np.float32), "b": np.float32([1, 2, 3]).reshape(3, 1, 1)}
    network = check(tmp_path, make(nodes, constants, IMAGE), floats(np.random.default_rng(0), 2, *IMAGE))
    assert [type(x) for x in network.layers] == [L.Conv2d]
    assert network.layers[0].bias.tolist() == [1, 2, 3]


def test_a_shared_sum_is_not_folded(tmp_path):
    """The convolution's own output is read elsewhere, so the constant may not enter its bias."""
    nodes = [
        node("Conv", ["x", "w"], "c"),
        node("Add", ["c", "b"], "d"),
        node("Add", ["c", "d"], "y"),
    ]
    constants = {"w": np.ones((3, 4, 1, 1), np.float32), "b": np.float32(5)}
    check(tmp_path, make(nodes, constants, IMAGE), floats(np.random.default_rng(0), 2, *IMAGE))


def test_a_sum_behind_a_second_name_is_not_folded(tmp_path):
    nodes = [
        node("Conv", ["x", "w"], "c"),
        node("Identity", ["c"], "i"),
        node("Add", ["i", "b"], "d"),
        node("Relu", ["c"], "r"),
        node("Add", ["r", "d"], "y"),
    ]
    constants = {"w": np.ones((3, 4, 1, 1), np.float32), "b": np.float32(5)}
    check(tmp_path, make(nodes, constants, IMAGE), floats(np.random.default_rng(0), 2, *IMAGE))


def test_constants_may_not_grow_without_limit(tmp_path):
    nodes = [node("Concat", [f"c{i}"] * 8, f"c{i + 1}", axis=0) for i in range(12)]
    nodes.append(node("Mul", ["x", "c12"], "y"))
    with pytest.raises(FileFormatError, match="at most"):
        read(tmp_path, make(nodes, {"c0": np.ones(64, np.float32)}, IMAGE))
    wide = [node("Add", ["a", "b"], "c"), node("Mul", ["x", "c"], "y")]
    constants = {"a": np.ones((1 << 15, 1), np.float32), "b": np.ones((1, 1 << 15), np.float32)}
    with pytest.raises(FileFormatError, match="at most"):
        read(tmp_path, make(wide, constants, IMAGE))


def test_unused_branches_are_dropped(tmp_path):
    nodes = [node("Relu", ["x"], "y"), node("Relu", ["y"], "dead"), node("Relu", ["dead"], "deader")]
    assert [x.name for x in read(tmp_path, make(nodes, {}, IMAGE)).layers] == ["y"]


REFUSED = {
    "unknown operator": ([node("Sigmoid", ["x"], "y")], {}, 13, "Sigmoid_y.*Sigmoid"),
    "log softmax": ([node("LogSoftmax", ["x"], "y")], {}, 13, "leave it out"),
    "foreign domain": ([helper.make_node("Foo", ["x"], ["y"], name="n1", domain="my")], {}, 13, "n1.*domain 'my'"),
    "product of activations": ([node("Mul", ["x", "x"], "y")], {}, 13, "equal shapes"),
    "pad into max": (
        [node("Pad", ["x"], "q", pads=[0, 0, 1, 1, 0, 0, 1, 1]), node("MaxPool", ["q"], "y", kernel_shape=[2, 2])],
        {},
        7,
        "padding",
    ),
    "pad into relu": (
        [node("Pad", ["x"], "q", pads=[0, 0, 1, 1, 0, 0, 1, 1]), node("Relu", ["q"], "y")],
        {},
        7,
        "padding",
    ),
    "pad with ones": ([node("Pad", ["x"], "q", pads=[0] * 8, value=1.0), node("Relu", ["q"], "y")], {}, 7, "zeros"),
    "softmax over channels": ([node("Softmax", ["x"], "y", axis=1)], {}, 13, "last axis"),
    "mean over channels": ([node("ReduceMean", ["x"], "y", axes=[1])], {}, 13, "height and width"),
    "batch moved": ([node("Transpose", ["x"], "y", perm=[1, 0, 2, 3])], {}, 13, "batch"),
    "batch merged": ([node("Reshape", ["x", "s"], "y")], {"s": np.int64([-1, 7])}, 13, "batch"),
    "batch fixed": ([node("Reshape", ["x", "s"], "y")], {"s": np.int64([2, 168])}, 13, "batch"),
    "constant per pixel": ([node("Add", ["x", "c"], "y")], {"c": np.ones((7, 6), np.float32)}, 13, "per channel"),
    "one-dimensional conv": (
        [node("Reshape", ["x", "s"], "r"), node("Conv", ["r", "w"], "y")],
        {"s": np.int64([0, 4, 42]), "w": np.ones((1, 4, 3), np.float32)},
        13,
        "images",
    ),
    "variable weight": ([node("Relu", ["x"], "w"), node("Conv", ["x", "w"], "y")], {}, 13, "constant"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_name_the_node(tmp_path, case):
    nodes, constants, opset, words = REFUSED[case]
    with pytest.raises(UnsupportedError, match=words) as caught:
        read(tmp_path, make(nodes, constants, IMAGE, opset=opset))
    assert "\n" not in str(caught.value) and "model.onnx" in str(caught.value)


def test_open_sizes_and_other_opsets_are_refused(tmp_path):
    with pytest.raises(UnsupportedError, match="only the batch axis"):
        read(tmp_path, make([node("Relu", ["x"], "y")], {}, (3, "H", "W")))
    with pytest.raises(UnsupportedError, match="opset"):
        read(tmp_path, make([node("Relu", ["x"], "y")], {}, IMAGE, opset=6))


def test_external_data_must_lie_beside_the_file(tmp_path):
    model = make([node("Conv", ["x", "w"], "y")], {"w": np.arange(16, dtype=np.float32).reshape(1, 4, 2, 2)}, IMAGE)
    x = floats(np.random.default_rng(0), 1, *IMAGE)
    want = truth(model, x)
    folder = tmp_path / "m"
    folder.mkdir()
    onnx.external_data_helper.convert_model_to_external_data(model, location="w.bin", size_threshold=0)
    onnx.save(model, folder / "model.onnx")
    np.testing.assert_allclose(run_float(read_onnx(folder / "model.onnx"), x), want, rtol=1e-5)
    for location, length in (
        ("../m/w.bin", 64),
        ("/etc/passwd", 64),
        ("../../x", 64),
        ("w.bin", 4096),
        ("none.bin", 64),
    ):
        bad = onnx.load(folder / "model.onnx", load_external_data=False)
        entries = {e.key: e for e in bad.graph.initializer[0].external_data}
        entries["location"].value, entries["length"].value = location, str(length)
        (folder / "bad.onnx").write_bytes(bad.SerializeToString())
        if location == "../m/w.bin":
            read_onnx(folder / "bad.onnx")  # still inside the folder
            continue
        with pytest.raises(FileFormatError):
            read_onnx(folder / "bad.onnx")


def test_truncated_and_damaged_files(tmp_path):
    """Any cut or flip gives a network or one line of ours, nothing else."""
    model, _ = random_network(np.random.default_rng(3))
    content = model.SerializeToString()
    path = tmp_path / "bad.onnx"
    rng = np.random.default_rng(0)
    refused = 0
    for trial in range(300):
        damaged = bytearray(content)
        if trial % 2:
            del damaged[rng.integers(len(content)) :]
        else:
            for at in rng.integers(0, len(content), 20):
                damaged[at] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            read_onnx(path)
        except NeuroemuError as error:
            assert "\n" not in str(error)
            refused += 1
    assert refused > 150


def test_many_constants_may_not_grow_either(tmp_path, monkeypatch):
    """Each sum of a column and a row is 16 kB out of 512 bytes; 256 MB each filled the memory."""
    monkeypatch.setattr(onnx_reader, "MAX_FOLDED_BYTES", 1 << 16)
    constants = {"a": np.ones((64, 1), np.float32), "b": np.ones((1, 64), np.float32)}
    for count in (4, 5):
        nodes = [*(node("Add", ["a", "b"], f"k{i}") for i in range(count)), node("Relu", ["x"], "y")]
        if count == 4:
            read(tmp_path, make(nodes, constants, IMAGE))
            continue
        with pytest.raises(FileFormatError, match="takes too much memory"):
            read(tmp_path, make(nodes, constants, IMAGE))


def test_declared_sizes_are_not_believed(tmp_path):
    model = make([node("Conv", ["x", "w"], "y")], {"w": np.ones((1, 4, 2, 2), np.float32)}, IMAGE)
    for dims in ([1 << 40, 4, 2, 2], [-1, 4, 2, 2], [1 << 20, 1 << 20], [0, 4, 2, 2]):
        model.graph.initializer[0].dims[:] = dims
        with pytest.raises(NeuroemuError):
            read(tmp_path, model)
    with pytest.raises(FileFormatError, match="at most"):
        read(tmp_path, make([node("Relu", ["x"], "y")], {}, (1 << 20, 1 << 20)))


def test_names_of_a_file_cannot_break_the_line(tmp_path):
    with pytest.raises(UnsupportedError) as caught:
        read(tmp_path, make([helper.make_node("Foo", ["x"], ["y"], name="a\nb\x1b[31m\r")], {}, IMAGE))
    assert str(caught.value).isprintable()


def test_attributes_of_a_wrong_type(tmp_path):
    for attributes in ({"strides": [1.5, 2.0]}, {"strides": 2}, {"group": [1]}, {"auto_pad": 1}):
        nodes = [node("Conv", ["x", "w"], "y", **attributes)]
        with pytest.raises(NeuroemuError, match=r"attribute|strides"):
            read(tmp_path, make(nodes, {"w": np.ones((1, 4, 2, 2), np.float32)}, IMAGE))


def test_weights_that_are_not_finite(tmp_path):
    with pytest.raises(FileFormatError, match="NaN"):
        read(tmp_path, make([node("Conv", ["x", "w"], "y")], {"w": np.full((1, 4, 2, 2), np.nan, np.float32)}, IMAGE))


def test_without_the_library(tmp_path, monkeypatch):
    path = tmp_path / "m.onnx"
    path.write_bytes(make([node("Relu", ["x"], "y")], {}, IMAGE).SerializeToString())
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingDependencyError, match=r"neuroemu\[onnx\]"):
        read_onnx(path)


def test_cycles_and_missing_tensors(tmp_path):
    cycle = [node("Add", ["x", "b"], "a"), node("Relu", ["a"], "b"), node("Relu", ["b"], "y")]
    with pytest.raises(FileFormatError, match="cycle"):
        read(tmp_path, make(cycle, {}, IMAGE))
    with pytest.raises(FileFormatError, match="nothing writes"):
        read(tmp_path, make([node("Relu", ["ghost"], "y")], {}, IMAGE))


def _mnist(test_data):
    def unpack(name, skip):
        return np.frombuffer(gzip.open(test_data / "mnist" / name).read()[skip:], np.uint8)

    images = unpack("t10k-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28).astype(np.float32)
    return images, unpack("t10k-labels-idx1-ubyte.gz", 8)


def test_mnist_agrees_with_onnxruntime(test_data):
    path = test_data / "onnx" / "mnist.onnx"
    images, _ = _mnist(test_data)
    network = read_onnx(path)
    model = onnx.load(path)
    want = np.concatenate([truth(model, images[i : i + 1]) for i in range(300)])
    np.testing.assert_allclose(run_float(network, images[:300]), want, rtol=0, atol=1e-6 * np.abs(want).max())


@pytest.mark.slow
def test_mnist_accuracy_on_all_test_images(test_data):
    images, labels = _mnist(test_data)
    network = read_onnx(test_data / "onnx" / "mnist.onnx")
    assert (run_float(network, images).argmax(axis=1) == labels).sum() == 9891
