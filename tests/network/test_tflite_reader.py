"""TFLite files: the arbiter is the released interpreter with its reference kernels (OpResolverType.BUILTIN_REF)."""

import sys

import numpy as np
import pytest

from neuroemu.errors import FileFormatError, MissingDependencyError, NeuroemuError, UnsupportedError
from neuroemu.network import layers as L
from neuroemu.network.floating import run_float
from neuroemu.network.integer import run_integer
from neuroemu.network.tflite_reader import read_tflite

pytest.importorskip("tflite")
litert = pytest.importorskip("ai_edge_litert.interpreter")

GOLDEN = "tests/golden"


def interpreter(content):
    made = litert.Interpreter(
        model_content=content,
        experimental_op_resolver_type=litert.OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=True,
        num_threads=1,
    )
    made.allocate_tensors()
    return made


def truth(content, x, tensor):
    """Tensor number `tensor` for each input (as the file's input tensor wants it)."""
    made = interpreter(content)
    first, found = made.get_input_details()[0], []
    for row in x:
        made.set_tensor(first["index"], row[None].astype(first["dtype"]))
        made.invoke()
        found.append(made.get_tensor(tensor)[0].copy())
    return np.stack(found)


def read(tmp_path, content):
    path = tmp_path / "m.tflite"
    path.write_bytes(content)
    return read_tflite(path)


def check(tmp_path, maker, source, output, rng, n=3):
    """Equal codes, or float outputs within 1e-5 of the largest one."""
    content = maker.content(source, output)
    network = read(tmp_path, content)
    shape = (n, *maker.shape(source)[1:])
    if maker.quantized:
        codes = rng.integers(-128, 128, shape).astype(np.int8)
        want = truth(content, codes, output)
        _, kept = run_integer(network, network.grids["input"].decode(codes), keep=[network.output])
        got = kept[network.output]
        np.testing.assert_array_equal(got, want)
        assert len(np.unique(want)) >= 3
    else:
        x = rng.normal(size=shape).astype(np.float32)
        want, got = truth(content, x, output), run_float(network, x)
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * max(1, np.abs(want).max()))
        assert np.ptp(want) > 0.01
    assert got.shape == want.shape
    return network


def random_network(module, rng, quantized):
    """Convolutions of both kinds, a sum, a pool, and a dense end, with random settings."""
    m = module.Maker(rng, quantized=quantized)

    def pair(low, high):
        return tuple(int(v) for v in rng.integers(low, high, 2))

    x = m.activation((1, *pair(8, 13), int(rng.integers(1, 5))))
    act = int(rng.choice([0, 1, 3]))
    a = m.conv(x, 6, pair(1, 4), pair(1, 3), int(rng.integers(2)), act=act, per_channel=bool(rng.integers(2)))
    dilated = bool(rng.integers(2))
    stride, dilation = ((1, 1), pair(1, 3)) if dilated else (pair(1, 3), (1, 1))
    b = m.depthwise(a, int(rng.integers(1, 3)), (2, 2), stride, module.SAME, dilation, act=int(rng.choice([0, 1])))
    c = m.add(b, m.conv(b, m.shape(b)[3], (3, 3), act=2), act=int(rng.choice([0, 1])))
    kind = str(rng.choice(["MAX", "AVERAGE"]))
    d = m.pool(c, kind, (2, 2), pair(1, 3), int(rng.integers(2)))
    if rng.random() < 0.3:
        e = m.mean(d, bool(rng.integers(2)))
        f = m.reshape(e, (1, m.shape(e)[-1])) if len(m.shape(e)) == 4 else e
    elif rng.random() < 0.5:
        f = m.reshape(d, (1, int(np.prod(m.shape(d)))))
    else:
        f = d  # the dense layer flattens
    y = m.dense(f, 7, act=int(rng.choice([0, 1])), per_channel=bool(rng.integers(2)))
    return m, x, y


@pytest.mark.parametrize("quantized", [True, False])
@pytest.mark.parametrize("seed", range(30))
def test_random_networks_equal_the_reference_kernels(tmp_path, tflite_maker, seed, quantized):
    rng = np.random.default_rng(seed)
    m, x, y = random_network(tflite_maker, rng, quantized)
    check(tmp_path, m, x, y, rng)


def _grouped(m, x):
    return m.conv(x, 6, (3, 3), groups=2)


CASES = {
    "grouped": lambda m, x: _grouped(m, x),
    "dilated": lambda m, x: m.conv(x, 3, (3, 2), dilation=(2, 3), padding=1),
    "pad, conv": lambda m, x: m.conv(m.pad(x, [[0, 0], [1, 2], [0, 3], [0, 0]]), 3, (3, 3), (2, 2), 1),
    "pad, average": lambda m, x: m.pool(m.pad(x, [[0, 0], [1, 1], [1, 0], [0, 0]]), "AVERAGE", (2, 2), (2, 2)),
    "average same": lambda m, x: m.pool(x, "AVERAGE", (3, 3), (2, 2), 0),
    "average relu": lambda m, x: m.pool(x, "AVERAGE", (3, 2), (1, 1), 1, act=1),
    "max same": lambda m, x: m.pool(x, "MAX", (3, 3), (2, 2), 0),
    "mean": lambda m, x: m.mean(x, True),
    "mean, dropped axes": lambda m, x: m.mean(x, False),
    "relu": lambda m, x: m.unary("RELU", x),
    "relu6": lambda m, x: m.unary("RELU6", x),
    "relu n1 to 1": lambda m, x: m.unary("RELU_N1_TO_1", x),
    "add": lambda m, x: m.add(x, m.unary("RELU", x)),
    "concat channels": lambda m, x: m.concat([x, m.pool(x, "MAX", (3, 3), (1, 1), 0)], 3),
    "concat height": lambda m, x: m.concat([x, m.pool(x, "MAX", (3, 3), (1, 1), 0)], 1),
    "transpose": lambda m, x: m.transpose(x, (0, 2, 3, 1)),
    "reshape to image": lambda m, x: m.conv(m.reshape(x, (1, 4, 6, 9)), 3, (2, 2)),
    "reshape to rows": lambda m, x: m.dense(m.reshape(x, (1, 9, 24)), 5, keep=True),
    "dense on channels": lambda m, x: m.dense(m.conv(x, 5, (1, 1)), 6, keep=True),
    "flatten to output": lambda m, x: m.reshape(m.conv(x, 3, (2, 2)), (1, 9 * 6 * 3)),
    "flatten to relu": lambda m, x: m.dense(m.unary("RELU", m.reshape(m.conv(x, 3, (2, 2)), (1, 162))), 4),
    "squeeze": lambda m, x: m.dense(m.reshape(m.mean(x, True), (1, 4), "SQUEEZE"), 6),
    "wide dense": lambda m, x: m.dense(x, 40, per_channel=True),
}


@pytest.mark.parametrize("quantized", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_operators_equal_the_reference_kernels(tmp_path, tflite_maker, case, quantized):
    rng = np.random.default_rng(5)
    m = tflite_maker.Maker(rng, quantized=quantized)
    x = m.activation((1, 9, 6, 4), 0.05, 11)
    check(tmp_path, m, x, CASES[case](m, x), rng, n=6)


@pytest.mark.parametrize("case", ["ADD", "SUB", "MUL", "SUB swapped"])
def test_float_constants(tmp_path, tflite_maker, case):
    rng = np.random.default_rng(0)
    m = tflite_maker.Maker(rng, quantized=False)
    x = m.activation((1, 5, 6, 3))
    c = m.constant([0.5, -1.0, 2.0], kind=tflite_maker.FLOAT)
    inputs = (c, x) if "swapped" in case else (x, c)
    check(tmp_path, m, x, m.arithmetic(case.split()[0], *inputs, (1, 5, 6, 3)), rng)


def test_float_softmax(tmp_path, tflite_maker):
    rng = np.random.default_rng(0)
    m = tflite_maker.Maker(rng, quantized=False)
    x = m.activation((1, 12))
    check(tmp_path, m, x, m.softmax(m.dense(x, 10)), rng)


def test_a_final_softmax_is_real_and_close_to_the_rounded_one(tmp_path, tflite_maker):
    rng = np.random.default_rng(0)
    m = tflite_maker.Maker(rng, quantized=True)
    x = m.activation((1, 12))
    y = m.softmax(m.dense(x, 10))
    content = m.content(x, y)
    network = read(tmp_path, content)
    codes = rng.integers(-128, 128, (20, 12)).astype(np.int8)
    got = run_integer(network, network.grids["input"].decode(codes))
    want = (truth(content, codes, y).astype(np.float32) + 128) / 256
    assert network.output not in network.grids
    np.testing.assert_allclose(got, want, atol=1.01 / 256)


def test_float_input_and_output_around_an_integer_network(tmp_path, tflite_maker):
    """QUANTIZE and DEQUANTIZE at the ends become the input and the output grid."""
    rng = np.random.default_rng(0)
    m = tflite_maker.Maker(rng, quantized=True)
    x = m.tensor((1, 6, 6, 3), kind=tflite_maker.FLOAT)
    q = m.quantize(x)
    y = m.dequantize(m.conv(q, 4, (3, 3)))
    content = m.content(x, y)
    network = read(tmp_path, content)
    real = rng.normal(size=(8, 6, 6, 3)).astype(np.float32)
    real[0] = 0.05 * (np.arange(108).reshape(6, 6, 3) - 50.5)  # halves: TFLite rounds them away from zero
    want = truth(content, real, y)
    np.testing.assert_array_equal(run_integer(network, real), want)
    assert len(network.layers) == 3


def test_uint8_input_is_shifted(tmp_path, tflite_maker):
    rng = np.random.default_rng(0)
    m = tflite_maker.Maker(rng, quantized=True)
    x = m.tensor((1, 12), kind=tflite_maker.UINT8, scale=[1 / 255], zero=0)
    y = m.dense(m.quantize(x, 1 / 255, -128), 5)
    content = m.content(x, y)
    network = read(tmp_path, content)
    codes = rng.integers(0, 256, (30, 12))
    _, kept = run_integer(network, codes / 255, keep=[network.output])
    np.testing.assert_array_equal(kept[network.output], truth(content, codes, y))
    assert network.grids["input"].zero_point == -128


@pytest.mark.parametrize("seed", range(3))
def test_sums_of_all_pairs_of_codes(tmp_path, tflite_maker, seed):
    """A ramp plus its own transpose holds all 65,536 pairs."""
    rng = np.random.default_rng(seed)
    m = tflite_maker.Maker(rng, quantized=True)
    x = m.activation((1, 256, 256, 1), 0.05, -20)
    y = m.add(m.quantize(x, float(rng.uniform(0.02, 0.1)), int(rng.integers(-50, 50))), m.transpose(x, (0, 2, 1, 3)))
    content = m.content(x, y)
    network = read(tmp_path, content)
    codes = np.tile(np.arange(-128, 128, dtype=np.int8).reshape(1, 256, 1, 1), (1, 1, 256, 1))
    _, kept = run_integer(network, network.grids["input"].decode(codes), keep=[network.output])
    np.testing.assert_array_equal(kept[network.output], truth(content, codes, y))


def test_without_the_library(tmp_path, tflite_maker, monkeypatch):
    m = tflite_maker.Maker(np.random.default_rng(0), quantized=True)
    x = m.activation((1, 300))
    content = m.content(x, m.quantize(x))
    monkeypatch.setitem(sys.modules, "tflite", None)
    with pytest.raises(MissingDependencyError, match=r"neuroemu\[tflite\]"):
        read(tmp_path, content)


def test_a_change_of_grid_inside(tmp_path, tflite_maker):
    rng = np.random.default_rng(0)
    m = tflite_maker.Maker(rng, quantized=True)
    x = m.activation((1, 300), 0.03, -7)
    check(tmp_path, m, x, m.quantize(x, 0.041, 12), rng)


REFUSED = {
    "unknown operator": (lambda m, x: m.unary("LOGISTIC", x), "operator 0 \\(LOGISTIC\\)"),
    "tanh fused": (lambda m, x: m.conv(x, 2, (1, 1), act=4), "fused activation 4"),
    "quantized constant": (
        lambda m, x: m.arithmetic("ADD", x, m.tensor((4,), data=np.ones(4, np.int8), scale=[0.1]), (1, 9, 6, 4)),
        "constant",
    ),
    "product": (lambda m, x: m.arithmetic("MUL", x, x, (1, 9, 6, 4)), "only the sum"),
    "pad into max": (
        lambda m, x: m.pool(m.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), "MAX", (2, 2), (1, 1)),
        "SAME or VALID",
    ),
    "pad into relu": (lambda m, x: m.unary("RELU", m.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])), "padding"),
    "pad channels": (lambda m, x: m.conv(m.pad(x, [[0, 0], [0, 0], [0, 0], [1, 1]]), 2, (1, 1)), "channel"),
    "batch moved": (lambda m, x: m.transpose(x, (1, 0, 2, 3)), "batch"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_name_the_operator(tmp_path, tflite_maker, case):
    build, words = REFUSED[case]
    m = tflite_maker.Maker(np.random.default_rng(0), quantized=True)
    x = m.activation((1, 9, 6, 4))
    with pytest.raises(UnsupportedError, match=words) as caught:
        read(tmp_path, m.content(x, build(m, x)))
    assert "operator" in str(caught.value) or "Clip" in str(caught.value)


def test_weights_off_centre_are_refused(tmp_path, tflite_maker):
    m = tflite_maker.Maker(np.random.default_rng(0), quantized=True)
    x = m.activation((1, 8))
    y = m.dense(x, 4)
    m.tensors[1]["zero"] = 3
    with pytest.raises(UnsupportedError, match="symmetric"):
        read(tmp_path, m.content(x, y))


@pytest.mark.parametrize("quantized", [True, False])
def test_truncated_and_damaged_files(tmp_path, tflite_maker, quantized):
    """Any cut or flip gives a network or one line of ours, nothing else."""
    rng = np.random.default_rng(1)
    m, x, y = random_network(tflite_maker, rng, quantized)
    content = m.content(x, y)
    path = tmp_path / "bad.tflite"
    refused = 0
    for trial in range(400):
        damaged = bytearray(content)
        if trial % 4 == 0:
            del damaged[rng.integers(len(content)) :]
        else:
            for at in rng.integers(8, len(content), 10 if trial % 4 == 1 else 60):
                damaged[at] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            read_tflite(path)
        except NeuroemuError as error:
            assert "\n" not in str(error)
            refused += 1
    assert refused > 200


def test_lengths_are_checked_against_shapes(tmp_path, tflite_maker):
    m = tflite_maker.Maker(np.random.default_rng(0), quantized=False)
    x = m.activation((1, 8))
    y = m.dense(x, 4)
    m.tensors[1]["shape"] = (4, 1 << 28)
    with pytest.raises(FileFormatError, match="needs"):
        read(tmp_path, m.content(x, y))
    m.tensors[x]["shape"], m.tensors[1]["shape"] = (1, 1 << 30), (4, 8)
    with pytest.raises(FileFormatError, match="at most"):
        read(tmp_path, m.content(x, y))


def test_random_bytes_are_refused(tmp_path):
    rng = np.random.default_rng(0)
    for size in (0, 1, 7, 8, 40, 4000):
        content = bytearray(rng.integers(0, 256, size).astype(np.uint8).tobytes())
        content[4:8] = b"TFL3"[: max(0, size - 4)]
        with pytest.raises(FileFormatError):
            read(tmp_path, bytes(content))


# -- published networks ---------------------------------------------------------------------------------------------

PUBLISHED = ("pretrainedResnet_quant", "kws_ref_model")


def golden(name, request):
    return np.load(request.config.rootpath / GOLDEN / f"tflite_{name}.npz", allow_pickle=False)


def published_input(name, test_data, gold):
    """The 2,000 inputs of a golden file as the network takes them."""
    if name == "kws_ref_model":
        codes = np.random.default_rng(int(gold["seed"])).integers(-128, 128, (len(gold["codes"]), 49, 10, 1))
        return codes.astype(np.int8), lambda network: network.grids["input"].decode(codes)
    image = pytest.importorskip("PIL.Image")
    rows = [np.asarray(image.open(test_data / "cifar10" / f"cifar10_batch_{i}.png")) for i in (0, 1)]
    pixels = np.concatenate(rows).reshape(-1, 32, 32, 3)
    return (pixels.astype(np.int16) - 128).astype(np.int8), lambda network: pixels.astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_networks_equal_their_goldens(test_data, request, name):
    """All 2,000 inputs: the codes before the softmax are equal."""
    gold = golden(name, request)
    network = read_tflite(test_data / "mlperf_tiny" / f"{name}.tflite")
    _, real = published_input(name, test_data, gold)
    outputs, kept = run_integer(network, real(network), keep=["dense_1"])
    np.testing.assert_array_equal(kept["dense_1"], gold["codes"])
    assert (outputs.argmax(axis=1) == gold["codes"].argmax(axis=1)).all()
    if name == "pretrainedResnet_quant":
        labels = np.load(test_data / "cifar10" / "labels_first4000.npy")[:2000]
        assert (outputs.argmax(axis=1) == labels).sum() == 1847  # 92.35 %; TFLite's optimized kernels reach 92.70 %


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_networks_equal_the_interpreter(test_data, request, name):
    """The interpreter itself, on 20 inputs: so the goldens are its output too."""
    gold = golden(name, request)
    path = test_data / "mlperf_tiny" / f"{name}.tflite"
    codes, real = published_input(name, test_data, gold)
    want = truth(path.read_bytes(), codes[:20], int(gold["tensor"]))
    np.testing.assert_array_equal(gold["codes"][:20], want)
    network = read_tflite(path)
    _, kept = run_integer(network, real(network)[:20], keep=["dense_1"])
    np.testing.assert_array_equal(kept["dense_1"], want)


def test_published_float_network(test_data):
    path = test_data / "mlperf_tiny" / "pretrainedResnet.tflite"
    x = np.random.default_rng(0).uniform(0, 255, (10, 32, 32, 3)).astype(np.float32)
    network = read_tflite(path)
    _, kept = run_float(network, x, keep=["dense_1"])
    want = truth(path.read_bytes(), x, 36)
    np.testing.assert_allclose(kept["dense_1"], want, rtol=0, atol=1e-5 * np.abs(want).max())


def test_weights_stored_as_int8_in_a_float_network(test_data):
    """A "hybrid" file: its kernels also round activations on the fly, so agreement is only of that order."""
    path = test_data / "mlperf_tiny" / "kws_ref_model_float32.tflite"
    x = np.random.default_rng(0).normal(0, 20, (50, 49, 10, 1)).astype(np.float32)
    network = read_tflite(path)
    assert not network.quantized and all(isinstance(w, L.Weighted) for w in network.weighted)
    _, kept = run_float(network, x, keep=["dense_1"])
    want = truth(path.read_bytes(), x, 33)
    assert np.abs(kept["dense_1"] - want).max() < 0.05 * np.abs(want).max()
