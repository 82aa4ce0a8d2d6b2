"""write_onnx: onnxruntime computes what the executors here do, and the reader gives the network back."""

import numpy as np
import onnxruntime
import pytest

from neuroemu import datasets, load, quantize, run_float, run_integer, save, to_spiking
from neuroemu.errors import InputError, UnsupportedError
from neuroemu.network import layers as L
from neuroemu.network import sequential
from neuroemu.network.graph import Network


def runtime(path, x):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {"input": x.astype(np.float32)})[0]


@pytest.fixture(scope="module")
def case():
    net = datasets.mnist_network()
    return net, datasets.mnist_test(200)[0]


def test_float_network(tmp_path, case):
    net, x = case
    save(net, tmp_path / "float.onnx")
    reference = run_float(net, x)
    np.testing.assert_allclose(runtime(tmp_path / "float.onnx", x), reference, atol=1e-4)
    np.testing.assert_array_equal(run_float(load(tmp_path / "float.onnx"), x), reference)


@pytest.mark.parametrize("bits", [(8, 8), (4, 5)])
def test_quantized_network_code_for_code(tmp_path, case, bits):
    net, x = case
    q = quantize(net, weight_bits=bits[0], activation_bits=bits[1], samples=net.samples)
    save(q, tmp_path / "q.onnx")
    step = q.grids[q.output].scale
    reference = np.rint(run_integer(q, x) / step)
    assert np.ptp(reference) > 50
    assert np.mean(np.rint(runtime(tmp_path / "q.onnx", x) / step) != reference) < 0.002  # halves, in float32 there
    again = load(tmp_path / "q.onnx")
    assert again.quantized
    np.testing.assert_array_equal(np.rint(run_integer(again, x) / step), reference)


def test_few_bits_saturate_as_they_do_here(tmp_path):
    """Calibrated on one lit input at a time; with all of them lit, sums leave the grid of 4 bits."""
    weight = np.array([[1.0, 0.5, 0.8, 0.9], [0.7, 1.0, -0.2, 0.6]])
    net = sequential(
        [L.Dense(name="a", weight=weight), L.relu(name="r"), L.Dense(name="b", weight=np.array([[1.0, -0.4]]))],
        input_shape=(4,),
    )
    q = quantize(net, activation_bits=4, samples=np.eye(4, dtype=np.float32))
    save(q, tmp_path / "few.onnx")
    x = np.vstack([np.ones(4), np.eye(4), 0.5 * np.ones(4)]).astype(np.float32)
    reference, hidden = run_integer(q, x, keep=["r"])
    assert (hidden["r"][0] == q.grids["r"].high).all()
    np.testing.assert_allclose(runtime(tmp_path / "few.onnx", x), reference, rtol=1e-6)


def all_layers():
    random = np.random.default_rng(3)

    def w(*shape):
        return random.normal(0, 0.4, shape)

    channel = {"gamma": 1 + 0.2 * w(6), "beta": w(6), "mean": w(6), "variance": 0.5 + w(6) ** 2}
    return Network(
        layers=(
            L.Scale(name="input/scale", scale=0.5, offset=w(4)),
            L.Conv2d(name="weight", weight=w(6, 2, 3, 2), bias=w(6), padding=((1, 0), (2, 1)), stride=(1, 2),
                     dilation=(1, 2), groups=2),
            L.BatchNorm(name="norm", epsilon=1e-3, **channel),
            L.Clip(name="clip", low=-0.5, high=2.0),
            L.Conv2d(name="branch", weight=w(6, 6, 1, 1)),
            L.Add(name="sum", inputs=("clip", "branch")),
            L.MaxPool2d(name="max", size=(2, 2), stride=(1, 1), padding=((1, 0), (0, 1))),
            L.AveragePool2d(name="mean", inputs=("sum",), size=(2, 2), stride=(1, 1), padding=((1, 0), (0, 1))),
            L.AveragePool2d(name="counted", inputs=("sum",), size=(2, 2), stride=(1, 1), padding=((1, 0), (0, 1)),
                            count_padding=True),
            L.SumPool2d(name="all", inputs=("sum",), size=(2, 2), stride=(1, 1), padding=((1, 0), (0, 1))),
            L.Concat(name="output", inputs=("max", "mean", "counted", "all"), axis=0),
            L.Transpose(name="turned", axes=(1, 2, 0)),
            L.Dense(name="places", weight=w(5, 24), bias=w(5)),
            L.relu(name="relu"),
            L.Transpose(name="back", axes=(2, 0, 1)),
            L.GlobalAveragePool(name="pooled", keep_dims=False),
            L.Reshape(name="reshaped", shape=(1, 5)),
            L.Flatten(name="flat"),
            L.Dense(name="last", weight=w(3, 5)),
            L.Softmax(name="softmax"),
        ),
        input_shape=(4, 6, 7),
        name="all",
    )  # fmt: skip


def test_every_layer(tmp_path):
    net, x = all_layers(), np.random.default_rng(1).normal(0, 1, (9, 4, 6, 7)).astype(np.float32)
    save(net, tmp_path / "all.onnx")
    reference = run_float(net, x)
    assert reference.std() > 0.05
    np.testing.assert_allclose(runtime(tmp_path / "all.onnx", x), reference, atol=2e-6)


def test_what_onnx_cannot_express_is_refused(tmp_path, case):
    net, _ = case
    with pytest.raises(UnsupportedError, match="is spiking"):
        save(to_spiking(net, steps=4, samples=net.samples[:8]), tmp_path / "s.onnx")
    q = quantize(net, samples=net.samples).replace(rounding="tflite")
    with pytest.raises(UnsupportedError, match="rounds as TFLite does"):
        save(q, tmp_path / "t.onnx")
    with pytest.raises(InputError, match=r"\.npz, \.nir or \.onnx"):
        save(sequential([L.Flatten(name="f")], input_shape=(2, 2, 2)), tmp_path / "x.pt")
    assert not list(tmp_path.iterdir())
