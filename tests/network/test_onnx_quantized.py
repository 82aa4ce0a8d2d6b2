"""Quantized ONNX files, both forms: onnxruntime, without its optimizations, is the arbiter of every code."""

import numpy as np
import pytest

from neuroemu.errors import UnsupportedError
from neuroemu.network import layers as L
from neuroemu.network.integer import run_integer
from neuroemu.network.onnx_reader import read_onnx

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnxruntime import quantization  # noqa: E402

MICROSOFT = "com.microsoft"


def make(nodes, constants, shape, *, opset=13, output="y"):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *shape])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def truth(model, x):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def node(kind, inputs, output, domain="", **attributes):
    return helper.make_node(kind, inputs, [output], name=f"{kind}_{output}", domain=domain, **attributes)


class Samples(quantization.CalibrationDataReader):
    def __init__(self, x):
        self.rows = iter([{"x": x[i : i + 1]} for i in range(len(x))])

    def get_next(self):
        return next(self.rows, None)


def floats(rng, *shape):
    return rng.normal(size=shape).astype(np.float32)


def small_network(rng, *, residual=True, mean=True):
    """Conv-ReLU, a residual or a concatenation, pools, a depthwise convolution, a dense end."""
    c = 8
    nodes = [
        node("Conv", ["x", "w1", "b1"], "c1", pads=[1, 1, 1, 1], strides=[2, 1]),
        node("Relu", ["c1"], "r1"),
        node("Conv", ["r1", "w2", "b2"], "c2", pads=[1, 1, 1, 1], group=c),
        node("Add" if residual else "Concat", ["c2", "r1"], "a1", **({} if residual else {"axis": 1})),
        node("Relu", ["a1"], "r2"),
        node("MaxPool", ["r2"], "p1", kernel_shape=[2, 2], strides=[2, 2]),
    ]
    width = c if residual else 2 * c
    constants = {
        "w1": floats(rng, c, 3, 3, 3) / 3,
        "b1": floats(rng, c),
        "w2": floats(rng, c, 1, 3, 3),
        "b2": floats(rng, c),
        "b3": floats(rng, 10),
    }
    nodes.append(
        node("GlobalAveragePool", ["p1"], "p2")
        if mean
        else node("AveragePool", ["p1"], "p2", kernel_shape=[3, 3], strides=[1, 1])
    )
    nodes.append(node("Flatten", ["p2"], "f"))
    shape = (3, 16, 9)
    size = truth(make(nodes, constants, shape, output="f"), floats(rng, 1, *shape)).shape[1]
    assert mean is (size == width)
    constants["w3"] = floats(rng, size, 10) / np.sqrt(size).astype(np.float32)
    nodes.append(node("Gemm", ["f", "w3", "b3"], "y"))
    return make(nodes, constants, shape), shape


def quantized(tmp_path, model, x, form, activation, per_channel):
    source, target = tmp_path / "float.onnx", tmp_path / "q.onnx"
    source.write_bytes(model.SerializeToString())
    quantization.quantize_static(
        source,
        target,
        Samples(x),
        quant_format=getattr(quantization.QuantFormat, form),
        activation_type=getattr(quantization.QuantType, activation),
        weight_type=quantization.QuantType.QInt8,
        per_channel=per_channel,
        extra_options={"WeightSymmetric": True},
    )
    return target


def compare(path, x, *, equal=0.98):
    """Outputs within one step of onnxruntime's, and mostly equal."""
    network = read_onnx(path)
    got, want = run_integer(network, x), truth(onnx.load(path), x)
    assert got.shape == want.shape
    step = network.grids[network.output].scale
    steps = np.rint((got - want) / step)
    assert np.abs(steps).max() <= 1, np.unique(steps, return_counts=True)
    assert (steps == 0).mean() >= equal
    assert len(np.unique(want)) > 20  # an output that says something
    return network


@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
@pytest.mark.parametrize("activation", ["QUInt8", "QInt8"])
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.filterwarnings("ignore")
def test_statically_quantized_networks(tmp_path, form, activation, per_channel, seed):
    rng = np.random.default_rng(seed)
    model, shape = small_network(rng, residual=seed == 0, mean=seed == 0)
    x = floats(rng, 64, *shape)
    path = quantized(tmp_path, model, x[:16], form, activation, per_channel)
    network = compare(path, x)
    assert network.quantized and network.rounding == "half_even"
    assert all(w.weight.dtype == np.int8 and w.bias.dtype == np.int32 for w in network.weighted)
    assert {layer.name for layer in network.layers} <= set(network.grids)
    if per_channel:
        assert network.weighted[0].weight_grid.axis == 0


def qdq(tensor, scale, zero, output, axis=None):
    extra = {} if axis is None else {"axis": axis}
    return [
        node("QuantizeLinear", [tensor, scale, zero], f"{output}_q", **extra),
        node("DequantizeLinear", [f"{output}_q", scale, zero], output, **extra),
    ]


def tiny(weight_zero=0, *, last=True, weight_type=np.int8):
    """x -> grid -> Gemm -> ReLU -> Gemm, written by hand; the last output with or without a grid."""
    rng = np.random.default_rng(0)
    constants = {
        "sx": np.float32(0.02), "zx": np.uint8(120), "sh": np.float32(0.05), "zh": np.uint8(3),
        "sy": np.float32(0.1), "zy": np.uint8(128), "sw": np.float32(0.01), "zw": weight_type(weight_zero),
        "w1": rng.integers(-127, 128, (12, 8)).astype(np.int8).view(weight_type),
        "w2": rng.integers(-127, 128, (8, 5)).astype(np.int8).view(weight_type),
        "b1": floats(rng, 8), "b2": floats(rng, 5),
    }  # fmt: skip
    nodes = [
        *qdq("x", "sx", "zx", "xd"),
        node("DequantizeLinear", ["w1", "sw", "zw"], "w1d"),
        node("DequantizeLinear", ["w2", "sw", "zw"], "w2d"),
        node("Gemm", ["xd", "w1d", "b1"], "g1"),
        node("Relu", ["g1"], "r1"),
        *qdq("r1", "sh", "zh", "r1d"),
        node("Gemm", ["r1d", "w2d", "b2"], "g2" if last else "y"),
        *(qdq("g2", "sy", "zy", "y") if last else []),
    ]
    return make(nodes, constants, (12,))


def write(tmp_path, model):
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def test_hand_written_pairs(tmp_path):
    x = floats(np.random.default_rng(1), 200, 12)
    network = compare(write(tmp_path, tiny()), x)
    assert network.grids["input"].zero_point == 120 - 128
    assert network.grids["g1"] == network.grids["r1"], "the rounding moves across the ReLU"


def test_real_logits_behind_the_last_grid(tmp_path):
    """Without a grid behind it, the last layer's accumulators are the real outputs."""
    x = floats(np.random.default_rng(1), 50, 12)
    model = tiny(last=False)
    network = read_onnx(write(tmp_path, model))
    assert network.output not in network.grids
    want = truth(model, x)
    close = np.abs(run_integer(network, x) - want) < 0.02 * 0.05 * 127  # a step of an input code
    assert close.mean() > 0.999 and np.abs(want).max() > 1


def test_bias_codes_beyond_float32_stay_exact(tmp_path):
    model = tiny()
    constants = {
        "bc": np.int32([(1 << 24) + 1, -(1 << 24) - 3, 5, 0, 1, 2, 3, 4]),
        "bs": np.float32(0.02) * np.float32(0.01),
    }
    for name, value in constants.items():
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    model.graph.node.insert(0, node("DequantizeLinear", ["bc", "bs"], "bd"))
    next(n for n in model.graph.node if n.output[0] == "g1").input[2] = "bd"
    assert read_onnx(write(tmp_path, model)).weighted[0].bias.tolist() == constants["bc"].tolist()


def test_weights_off_centre_are_refused(tmp_path):
    with pytest.raises(UnsupportedError, match=r"Gemm_g1.*symmetrically"):
        read_onnx(write(tmp_path, tiny(weight_zero=3)))


def test_uint8_weights_centred_on_128(tmp_path):
    compare(write(tmp_path, tiny(weight_zero=128, weight_type=np.uint8)), floats(np.random.default_rng(1), 200, 12))


def test_partly_quantized_is_refused(tmp_path):
    constants = {"s": np.float32(0.1), "z": np.int8(0), "c": np.float32(2)}
    first = [node("Mul", ["x", "c"], "m"), *qdq("m", "s", "z", "y")]
    with pytest.raises(UnsupportedError, match="from its input on"):
        read_onnx(write(tmp_path, make(first, constants, (4,))))
    both = [*qdq("x", "s", "z", "d"), node("Relu", ["d"], "r"), *qdq("r", "s", "z", "e"), node("Add", ["e", "r"], "y")]
    with pytest.raises(UnsupportedError, match="read unquantized"):
        read_onnx(write(tmp_path, make(both, constants, (4,))))
    alias = [*both[:3], node("Identity", ["r"], "i"), *qdq("i", "s", "z", "e"), node("Add", ["e", "r"], "y")]
    with pytest.raises(UnsupportedError, match="read unquantized"):
        read_onnx(write(tmp_path, make(alias, constants, (4,))))


def test_a_changed_grid_is_a_layer(tmp_path):
    constants = {"s": np.float32(0.1), "z": np.int8(0), "s2": np.float32(0.25), "z2": np.int8(-20)}
    nodes = [*qdq("x", "s", "z", "d"), *qdq("d", "s2", "z2", "y")]
    path = write(tmp_path, make(nodes, constants, (400,)))
    network = compare(path, 5 * floats(np.random.default_rng(0), 10, 400), equal=0.99)
    assert [type(x) for x in network.layers] == [L.Clip]


@pytest.mark.parametrize("count", [0, 1])
def test_average_pool_within_a_step(tmp_path, count):
    """Windows of 2 and 4 values tie at half a step, where onnxruntime's float sums fall either way."""
    constants = {"s": np.float32(0.1), "z": np.uint8(7), "s2": np.float32(0.07), "z2": np.uint8(90)}
    pool = node(
        "AveragePool", ["d"], "p", kernel_shape=[2, 3], strides=[2, 1], pads=[1, 1, 0, 1], count_include_pad=count
    )
    path = write(tmp_path, make([*qdq("x", "s", "z", "d"), pool, *qdq("p", "s2", "z2", "y")], constants, (3, 9, 8)))
    compare(path, 3 + 4 * floats(np.random.default_rng(0), 40, 3, 9, 8), equal=0.97)


def test_reading_codes_on_another_grid_is_refused(tmp_path):
    constants = {"s": np.float32(0.1), "z": np.int8(0), "s2": np.float32(0.2)}
    nodes = [node("QuantizeLinear", ["x", "s", "z"], "q"), node("DequantizeLinear", ["q", "s2", "z"], "y")]
    with pytest.raises(UnsupportedError, match="another grid"):
        read_onnx(write(tmp_path, make(nodes, constants, (4,))))


def test_a_quantizing_model_with_a_final_softmax(tmp_path):
    """The probabilities stay real: rounding them would only add ties."""
    model = tiny()
    model.graph.node[-1].output[0] = "logits"
    s = node("Softmax", ["logits"], "y", axis=1)
    model.graph.node.append(s)
    network = read_onnx(write(tmp_path, model))
    x = floats(np.random.default_rng(1), 20, 12)
    np.testing.assert_allclose(run_integer(network, x).sum(axis=1), 1, rtol=1e-5)
    assert network.output not in network.grids
