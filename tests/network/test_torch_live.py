"""Live PyTorch modules; collected only where torch is installed."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import neuroemu as ne
from neuroemu.errors import ArgumentTypeError, InputError, UnsupportedError

# Of torch itself: eager-mode quantization is deprecated, and export brings its own warnings.
pytestmark = pytest.mark.filterwarnings("ignore")


def helper(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


modules = helper("torch_modules")


def truth(module, x):
    with torch.no_grad():
        return module(x).numpy()


def check(module, x, **kwargs):
    want, got = truth(module, x), ne.run_float(ne.from_torch(module, x[:1], **kwargs), x.numpy())
    np.testing.assert_allclose(got, want, rtol=0, atol=2e-6 * np.abs(want).max())


@pytest.mark.parametrize("kind", [modules.Operations, modules.Residual, modules.Plain])
def test_float_modules(kind):
    check(modules.trained(kind), modules.inputs())


def test_sequences():
    check(modules.trained(modules.Sequence), modules.inputs((4, 20)))


@pytest.mark.parametrize("engine", ["fbgemm", "qnnpack"])
def test_eager_quantized(engine):
    module, x = modules.quantized_eager(engine), modules.inputs()
    network = ne.from_torch(module, x[:1])
    step = network.grids[network.output].scale
    difference = np.abs(np.rint(ne.run_integer(network, x.numpy()) / step) - np.rint(truth(module, x) / step))
    assert network.grids["input"].zero_point == int(module.quant.zero_point) - 128
    assert np.count_nonzero(difference) <= (0 if engine == "qnnpack" else 0.4 * difference.size)
    assert isinstance(module.stem, torch.ao.nn.intrinsic.quantized.ConvReLU2d)  # the user's module is as it was


def test_a_quantized_layer_that_is_not_supported_is_named():
    module = nn.Sequential(torch.ao.quantization.QuantStub(), nn.Conv2d(3, 3, 1), nn.Hardswish())
    module.eval().qconfig = torch.ao.quantization.get_default_qconfig("qnnpack")
    prepared = torch.ao.quantization.prepare(module)
    prepared(modules.inputs())
    with pytest.raises(UnsupportedError, match=r"layer '2' \(quantized Hardswish\): not supported; replace it"):
        ne.from_torch(torch.ao.quantization.convert(prepared), modules.inputs())


def pt2e_quantized():
    module, x = modules.quantized_pt2e(modules.Residual, modules.quantizers()["xnnpack"]), modules.inputs()
    network = ne.from_torch(module, x[:2])
    step = network.grids[network.output].scale
    difference = np.abs(np.rint(ne.run_integer(network, x.numpy()) / step) - np.rint(truth(module, x) / step))
    assert difference.max() <= 1 and np.count_nonzero(difference) <= 0.1 * difference.size


if importlib.util.find_spec("torchao"):  # as with torch, a test only where it can run

    def test_pt2e_quantized():
        pt2e_quantized()


def test_graph_mode_is_refused():
    from torch.ao.quantization import get_default_qconfig_mapping, quantize_fx

    x = modules.inputs()
    torch.backends.quantized.engine = "qnnpack"
    mapping = get_default_qconfig_mapping("qnnpack")
    prepared = quantize_fx.prepare_fx(modules.trained(modules.Plain), mapping, (x,))
    prepared(x)
    with pytest.raises(UnsupportedError, match="quantize it by pt2e"):
        ne.from_torch(quantize_fx.convert_fx(prepared), x)


def test_an_exported_program_is_read_as_it_is():
    module, x = modules.trained(modules.Residual), modules.inputs()
    network = ne.from_torch(torch.export.export(module, (x[:3],)), name="exported")
    assert network.name == "exported"
    np.testing.assert_allclose(ne.run_float(network, x.numpy()), truth(module, x), atol=1e-5)


def test_an_open_batch_needs_an_example():
    module, x = modules.trained(modules.Plain), modules.inputs()
    program = torch.export.export(module, (x,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    with pytest.raises(InputError, match="open batch; give an example_input"):
        ne.from_torch(program)
    network = ne.from_torch(program, x[:1])
    np.testing.assert_allclose(ne.run_float(network, x.numpy()), truth(module, x), atol=1e-5)


def test_an_array_is_an_example_and_doubles_become_floats():
    module = nn.Sequential(nn.Linear(4, 3), nn.ReLU()).eval()
    network = ne.from_torch(module, np.zeros((1, 4)))
    assert [layer.name for layer in network.layers] == ["0", "1"] and network.name == "Sequential"
    doubled = ne.from_torch(module.double(), torch.zeros(1, 4, dtype=torch.float64))
    np.testing.assert_array_equal(doubled.layer("0").weight, network.layer("0").weight)


class Branching(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


class Split(nn.Module):
    def forward(self, x):
        a, b = x.chunk(2, 1)
        return a + b


class Product(nn.Module):
    def __init__(self):
        super().__init__()
        self.quant, self.times = torch.ao.quantization.QuantStub(), nn.quantized.FloatFunctional()

    def forward(self, x):
        x = self.quant(x)
        return self.times.mul(x, x)


def test_a_quantized_product_is_refused():
    module = Product().eval()
    module.qconfig = torch.ao.quantization.get_default_qconfig("qnnpack")
    prepared = torch.ao.quantization.prepare(module)
    prepared(modules.inputs())
    with pytest.raises(UnsupportedError, match=r"layer 'times' \(quantized mul\): not supported; use add"):
        ne.from_torch(torch.ao.quantization.convert(prepared), modules.inputs())


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attend = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        return self.attend(x, x, x)[0]


@pytest.mark.parametrize(
    "module, shape, reason",
    [
        (nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 2)), (1, 4), r"layer '0' \(Dropout.*module\.eval\(\)"),
        (nn.Sequential(nn.BatchNorm2d(3)), (2, 3, 4, 4), r"BatchNorm2d.*module\.eval\(\)"),
        (nn.Sequential(nn.GELU()).eval(), (1, 4), r"layer '0' \(GELU, aten\.gelu\): operation not supported"),
        (Branching().eval(), (1, 4), "cannot follow Branching.*without branches"),
        (Attention().eval(), (1, 5, 8), r"layer 'attend' \(MultiheadAttention"),
        (Split().eval(), (1, 4), r"\(Split, aten\.(chunk|split)\): its second output.*compute the parts apart"),
        (nn.Linear(4, 2).eval(), (1, 5), "cannot follow Linear"),
    ],
)
def test_refusals(module, shape, reason):
    with pytest.raises(UnsupportedError, match=reason):
        ne.from_torch(module, torch.zeros(shape))


def test_wrong_arguments():
    with pytest.raises(ArgumentTypeError, match=r"must be an nn\.Module, got int"):
        ne.from_torch(3, torch.zeros(1, 3))
    with pytest.raises(InputError, match="example_input is missing"):
        ne.from_torch(nn.Linear(3, 2))
    with pytest.raises(InputError, match="batch axis"):
        ne.from_torch(nn.Linear(3, 2), torch.zeros(3))
    broken = nn.Linear(3, 2)
    broken.weight.data[0, 0] = float("nan")
    with pytest.raises(InputError, match="weight has NaN"):
        ne.from_torch(broken, torch.zeros(1, 3))
