"""PyTorch modules without torch: golden programs with torch's own outputs, and hand-made ones for what is refused."""

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import neuroemu as ne
from neuroemu.errors import FileFormatError, MissingDependencyError, UnsupportedError
from neuroemu.network import layers as L
from neuroemu.network import run_float, run_integer
from neuroemu.network._torch_calls import translated
from neuroemu.network._torch_program import Call, Program, Ref
from neuroemu.network.torch_reader import network_of_program

GOLDEN = Path(__file__).parents[1] / "golden" / "torch_programs.npz"
CASES = ("operations", "residual", "sequence", "eager_fbgemm", "eager_qnnpack", "pt2e_xnnpack", "pt2e_x86")


def helper(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


programs = helper("torch_programs")


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN) as archive:
        return dict(archive)


def inputs(program, count=32):
    rng = np.random.default_rng(5)  # as torch_modules.inputs
    return rng.normal(size=(count, *program.input_shape[1:])).astype(np.float32)


def case(golden, name):
    program = programs.unpacked(golden, name)
    return network_of_program(program, name), inputs(program), golden[f"{name}/output"]


def test_cases_are_those_of_the_golden_file(golden):
    assert tuple(json.loads(golden["header"].tobytes())) == CASES


@pytest.mark.parametrize("name", ["operations", "residual", "sequence"])
def test_float_modules_compute_what_torch_computes(golden, name):
    network, x, want = case(golden, name)
    np.testing.assert_allclose(run_float(network, x), want, rtol=0, atol=1e-6 * np.abs(want).max())


def test_layers_are_named_after_the_modules(golden):
    network, _, _ = case(golden, "residual")
    names = [layer.name for layer in network.layers]
    assert names[:4] == ["stem", "bn", "r", "pool"]
    assert {"layer1.c1", "layer2.down", "layer2.r2", "mean", "fc"} <= set(names)
    network, _, _ = case(golden, "operations")  # a layer called as the input is
    assert network.layer("x_1").weight.shape == (8, 3, 3, 4)


# Differences from torch, all by its own arithmetic. qnnpack rounds biases as we do: no code differs. The engines for
# x86 add the bias as a real number (1 code in 1,000 differs by one), and their pools add the zero point before they
# round, so that a tie at an odd zero point goes the other way. pt2e modules compute in float32.
def test_eager_codes_of_qnnpack_are_equal(golden):
    network, x, want = case(golden, "eager_qnnpack")
    got, kept = run_integer(network, x, keep=("layer1.r2", "layer2.r2", "mean"))
    np.testing.assert_array_equal(np.rint(got / network.grids[network.output].scale), _steps(network, want))
    for layer, codes in kept.items():
        np.testing.assert_array_equal(codes, golden[f"eager_qnnpack/codes/{layer}"])


def test_eager_codes_of_fbgemm_differ_by_one_where_biases_tie(golden):
    network, x, _ = case(golden, "eager_fbgemm")
    _, kept = run_integer(network, x, keep=("layer1.r2", "layer2.r2"))
    for layer, codes in kept.items():
        difference = np.abs(codes.astype(int) - golden[f"eager_fbgemm/codes/{layer}"])
        assert difference.max() <= 1 and np.count_nonzero(difference) <= 0.004 * codes.size


def test_pools_of_fbgemm_round_after_the_zero_point(golden):
    network, _, _ = case(golden, "eager_fbgemm")
    zero = network.grids["mean"].zero_point
    codes, mean = (golden[f"eager_fbgemm/codes/{n}"].astype(int) for n in ("layer2.r2", "mean"))
    exact = codes.mean(axis=(2, 3))
    np.testing.assert_array_equal(np.rint(exact), mean[:, :, 0, 0])  # theirs, half to even of the code itself
    ours = np.rint(exact - zero) + zero
    ties = np.abs(exact - np.floor(exact)) == 0.5
    assert zero % 2 and ties.any()
    np.testing.assert_array_equal((ours != mean[:, :, 0, 0]), ties)


def test_pt2e_codes_differ_by_one(golden):
    network, x, want = case(golden, "pt2e_xnnpack")
    difference = np.abs(np.rint(run_integer(network, x) / network.grids[network.output].scale) - _steps(network, want))
    assert difference.max() <= 1 and np.count_nonzero(difference) <= 0.1 * want.size


def test_pt2e_grids_of_seven_bits_end_where_torch_ends(golden):
    network, x, want = case(golden, "pt2e_x86")
    assert any(layer.name.endswith(".range") for layer in network.layers)
    got = run_integer(network, x)
    assert np.abs(got - want).max() <= 0.005 * np.abs(want).max()
    assert (got.argmax(1) == want.argmax(1)).all()
    layer = next(layer.name for layer in network.layers if layer.name.endswith("_1.range"))
    wild = run_integer(network, 100 * x[:2], keep=(layer,))[1][layer]
    assert wild.max() == 127 - 128  # codes 0..127 of uint8


def _steps(network, reals):
    return np.rint(reals / network.grids[network.output].scale)


def test_quantized_networks_keep_the_modules_grids(golden):
    program = programs.unpacked(golden, "eager_fbgemm")
    first = next(c for c in program.calls if c.kind == "aten.fake_quantize_per_tensor_affine")
    network = network_of_program(program, "n")
    assert network.grids["input"].scale == first.arguments["scale"]
    assert network.grids["input"].zero_point == first.arguments["zero_point"] - 128
    assert network.rounding == "half_even" and network.layer("stem").weight_grid.axis == 0


# -- hand-made programs ---------------------------------------------------------------------------------------------


def program(*calls, shape=(1, 2, 6, 6), **constants):
    return Program(tuple(calls), constants, "x", shape, calls[-1].name)


def call(kind, shape, *, name="y", layer="block.part", layer_kind="torch.nn.modules.some.Kind", **arguments):
    return Call(name, f"aten.{kind}", layer, layer_kind, arguments, tuple(shape))


X = Ref("x")
REFUSED = {
    "an unknown operation": (call("gelu", (1, 2, 6, 6), self=X), "aten.gelu.*not supported; replace it by one of"),
    "a product of activations": (call("matmul", (1, 2, 6, 6), self=X, other=X), "attention has no layer"),
    "the batch moved": (call("view", (2, 36), self=X, size=[2, 36]), "batch axis must stay in front"),
    "a permuted batch": (call("permute", (2, 1, 6, 6), self=X, dims=[1, 0, 2, 3]), "batch axis must stay"),
    "a mean over channels": (call("mean", (1, 6, 6), self=X, dim=[1], keepdim=False), "only over height and width"),
    "a mean of all": (call("mean", (), self=X, dim=None), "name the axes"),
    "reflection": (call("pad", (1, 2, 8, 8), self=X, pad=[1, 1, 1, 1], mode="reflect"), "pad with zeros"),
    "a padded channel": (call("pad", (1, 3, 6, 6), self=X, pad=[0, 0, 0, 0, 1, 0], mode="constant"), "channels"),
    "a divisor": (
        call("avg_pool2d", (1, 2, 3, 3), self=X, kernel_size=[2, 2], stride=[], padding=[0, 0], ceil_mode=False,
             count_include_pad=True, divisor_override=3),
        "divisor_override",
    ),
    "uneven windows": (call("adaptive_avg_pool2d", (1, 2, 4, 4), self=X, output_size=[4, 4]), "windows of one size"),
    "a dilated pool": (
        call("max_pool2d", (1, 2, 4, 4), self=X, kernel_size=[2, 2], stride=[], padding=[0, 0], dilation=[2, 2],
             ceil_mode=False),
        "dilat",
    ),
    "a softmax over channels": (call("softmax", (1, 2, 6, 6), self=X, dim=1), "only over the last axis"),
    "a logarithm": (call("log_softmax", (1, 2, 6, 6), self=X, dim=-1), "leave it out"),
    "a cut": (call("slice", (1, 1, 6, 6), self=X, dim=1, start=0, end=1), "only whole tensors"),
    "a scaled sum": (call("add", (1, 2, 6, 6), self=X, other=X, alpha=2), "with a factor"),
    "dropout in training": (call("dropout", (1, 2, 6, 6), input=X, p=0.5, train=True), "training"),
    "integers": (call("_to_copy", (1, 2, 6, 6), self=X, dtype="int64"), "float types"),
    "activations by channel": (
        Call("y", "quantized_decomposed.dequantize_per_channel", "q", "Q",
             {"input": X, "scales": X, "zero_points": X, "axis": 1, "dtype": "int8"}, (1, 2, 6, 6)),
        "per tensor",
    ),
    "wide codes": (
        call("fake_quantize_per_tensor_affine", (1, 2, 6, 6), self=X, scale=0.1, zero_point=0, quant_min=-32768,
             quant_max=32767),
        "int8 or uint8",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_name_the_layer_and_the_remedy(name):
    made, reason = REFUSED[name]
    with pytest.raises((UnsupportedError, FileFormatError), match=reason) as caught:
        network_of_program(program(made), "n")
    assert made.layer in str(caught.value)


def test_batch_norm_without_statistics_is_refused():
    made = call("batch_norm", (1, 2, 6, 6), input=X, weight=None, bias=None, running_mean=None, running_var=None,
                training=True, eps=1e-5)  # fmt: skip
    with pytest.raises(UnsupportedError, match=r"module\.eval"):
        network_of_program(program(made), "n")


def test_quantized_and_float_layers_do_not_mix(golden):
    """A quantized convolution whose sum is added before it is rounded, as x86 Inductor's quantizer does it."""
    found = programs.unpacked(golden, "pt2e_xnnpack")
    rounded = next(c for c in found.calls if c.kind.endswith(".quantize_per_tensor") and c.ref("input") == "layer1.c2")
    back = next(c for c in found.calls if c.ref("input") == rounded.name)
    calls = [c for c in found.calls if c not in (rounded, back)]
    calls = [
        replace(c, arguments={k: Ref("layer1.c2") if v == Ref(back.name) else v for k, v in c.arguments.items()})
        for c in calls
    ]
    with pytest.raises(UnsupportedError, match="quantize the whole network"):
        network_of_program(replace(found, calls=tuple(calls)), "n")


def test_a_quantized_convolution_of_sequences_keeps_its_codes():
    rng = np.random.default_rng(2)
    weight, scale = rng.normal(size=(4, 3, 3)).astype(np.float32), np.array([0.01, 0.02, 0.03, 0.04], np.float32)
    steps = {"quant_min": -128, "quant_max": 127}
    made = program(
        call("fake_quantize_per_tensor_affine", (1, 3, 9), name="q", self=X, scale=0.02, zero_point=5, **steps),
        call("fake_quantize_per_channel_affine", (4, 3, 3), name="w", self=Ref("weight"), scale=Ref("scale"),
             zero_point=Ref("zero"), axis=0, **steps),
        call("conv1d", (1, 4, 5), name="c", input=Ref("q"), weight=Ref("w"), bias=None, stride=[2], padding=[1],
             dilation=[1], groups=1),
        call("fake_quantize_per_tensor_affine", (1, 4, 5), self=Ref("c"), scale=0.1, zero_point=-3, **steps),
        shape=(1, 3, 9), weight=weight, scale=scale, zero=np.zeros(4, np.int32),
    )  # fmt: skip
    network = network_of_program(made, "n")
    codes = np.clip(np.rint(weight / scale[:, None, None]), -128, 127)
    np.testing.assert_array_equal(network.layer("c.image").weight[:, :, 0], codes)
    x = rng.normal(size=(2, 3, 9)).astype(np.float32)
    rounded = np.pad((np.clip(np.rint(x / 0.02) + 5, -128, 127) - 5) * 0.02, ((0, 0), (0, 0), (1, 1)))
    windows = np.stack([rounded[:, :, 2 * i : 2 * i + 3] for i in range(5)], axis=3)
    real = np.einsum("bikt,oik->bot", windows, codes * scale[:, None, None])
    want = (np.clip(np.rint(real / 0.1) - 3, -128, 127) + 3) * 0.1
    np.testing.assert_allclose(run_integer(network, x), want, atol=1e-5)


def test_a_node_is_named_after_its_layer():
    made = call("relu", (1, 2, 6, 6), self=X)
    (node,) = translated(program(made)).nodes
    assert str(node) == "layer 'block.part' (Kind, aten.relu)"


def test_clip_of_a_ceiling_only():
    made = call("clamp_max", (1, 2, 6, 6), self=X, max=3)
    (layer,) = network_of_program(program(made), "n").layers
    assert isinstance(layer, L.Clip) and (layer.low, layer.high) == (-np.inf, 3.0)


def test_without_torch_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingDependencyError, match=r"neuroemu\[torch\]"):
        ne.from_torch(object())
