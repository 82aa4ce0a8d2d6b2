"""PyTorch modules that tests and goldens are made of: each kind of operation, float and quantized."""

import copy
import warnings

import numpy as np
import torch
import torch.ao.quantization as eager
from torch import nn
from torch.nn import functional as F

SHAPE = (3, 16, 16)
COUNT = 32


def inputs(shape=SHAPE, seed=5, count=COUNT) -> torch.Tensor:
    """The inputs of the goldens: NumPy's generator gives the same anywhere."""
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(count, *shape)).astype(np.float32))


class Block(nn.Module):
    """A residual block, as eager-mode quantization wants it."""

    def __init__(self, ins, outs, stride=1):
        super().__init__()
        self.c1, self.b1 = nn.Conv2d(ins, outs, 3, stride, 1, bias=False), nn.BatchNorm2d(outs)
        self.r1 = nn.ReLU()
        self.c2, self.b2 = nn.Conv2d(outs, outs, 3, 1, 1, bias=False), nn.BatchNorm2d(outs)
        self.down = nn.Conv2d(ins, outs, 1, stride) if stride != 1 or ins != outs else nn.Identity()
        self.sum = nn.quantized.FloatFunctional()
        self.r2 = nn.ReLU()

    def forward(self, x):
        y = self.b2(self.c2(self.r1(self.b1(self.c1(x)))))
        return self.r2(self.sum.add(y, self.down(x)))


class Residual(nn.Module):
    """A small residual network between stubs."""

    def __init__(self):
        super().__init__()
        self.quant, self.dequant = eager.QuantStub(), eager.DeQuantStub()
        self.stem, self.bn, self.r, self.pool = (
            nn.Conv2d(3, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.layer1, self.layer2 = Block(8, 8), Block(8, 16, 2)
        self.mean, self.drop, self.fc = nn.AdaptiveAvgPool2d(1), nn.Dropout(0.2), nn.Linear(16, 10)

    def forward(self, x):
        x = self.pool(self.r(self.bn(self.stem(self.quant(x)))))
        x = self.mean(self.layer2(self.layer1(x)))
        return self.dequant(self.fc(self.drop(torch.flatten(x, 1))))


class Plain(nn.Module):
    """Convolutions, one of them by channel, and dense layers."""

    def __init__(self):
        super().__init__()
        self.a, self.an = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.b, self.bn = nn.Conv2d(8, 8, 3, 2, 1, groups=8), nn.BatchNorm2d(8)
        self.c, self.pool = nn.Conv2d(8, 12, 1), nn.MaxPool2d(2)
        self.d, self.e = nn.Linear(12 * 16, 24), nn.Linear(24, 10)

    def forward(self, x):
        x = F.relu(self.bn(self.b(F.relu(self.an(self.a(x))))))
        x = self.pool(F.relu(self.c(x)))
        return self.e(F.relu(self.d(x.flatten(1))))


class Operations(nn.Module):
    """Every operation on images that the reader takes, in float."""

    def __init__(self):
        super().__init__()
        self.x = nn.Conv2d(3, 8, (3, 4), padding="same", dilation=(2, 1), bias=False)  # called as the input is
        self.norm = nn.BatchNorm2d(8, affine=False)
        self.group = nn.Conv2d(8, 12, 3, stride=2, padding=(2, 0), dilation=1, groups=4)
        self.act, self.six = nn.Hardtanh(-1.5, 2.0, inplace=True), nn.ReLU6()
        self.pool, self.ceil = nn.AvgPool2d(3, 2, 1), nn.MaxPool2d(3, 2, 1, ceil_mode=True)
        self.uneven = nn.AvgPool2d(3, 2, 1, count_include_pad=False)
        self.last, self.mix = nn.Linear(4, 6), nn.Linear(6, 5, bias=False)
        self.register_buffer("table", torch.randn(24, 4) / 5)

    def forward(self, x):
        x = self.six(self.norm(self.x(F.pad(x, (1, 0, 0, 1)))))
        x = self.act(self.group(x)) * 1.5 - 0.25
        y = torch.cat([self.pool(x), self.uneven(x).clamp(min=-0.2)], 1)
        c = self.ceil(x)
        y = F.adaptive_avg_pool2d(y[:, :24], 1) + F.adaptive_avg_pool2d(torch.cat([c, c], 1), (1, 1))
        z = x.mean((2, 3), keepdim=True)
        y = y + torch.cat([z, z], dim=-3)
        y = y.permute(0, 2, 3, 1).contiguous().view(-1, 1, 24)
        y = self.mix(self.last((y / 2) @ self.table)).squeeze(1)
        return F.softmax(y.unsqueeze(1).transpose(1, 2).reshape(y.size(0), 5), dim=1)


class Sequence(nn.Module):
    """A convolution of sequences."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv1d(4, 6, 5, stride=2, padding=2, groups=2), nn.BatchNorm1d(6)
        self.wide, self.fc = nn.Conv1d(6, 3, 3, padding="same", dilation=2), nn.Linear(30, 4)

    def forward(self, x):
        x = F.relu(self.wide(F.relu(self.norm(self.conv(x)))))
        return self.fc(x.reshape(len(x), -1))


def trained(kind, seed=0) -> nn.Module:
    """A module in eval mode with the statistics that training would leave."""
    torch.manual_seed(seed)
    module = kind()
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.3)
            layer.running_var.uniform_(0.5, 2)
            if layer.affine:
                layer.weight.data.uniform_(0.5, 1.5)
                layer.bias.data.normal_(0, 0.2)
    return module.eval()


def quantized_eager(engine: str) -> nn.Module:
    """The residual network quantized in eager mode for one of torch's engines."""
    torch.backends.quantized.engine = engine
    blocks = [[f"layer{i}.{name}" for name in names] for i in (1, 2) for names in (("c1", "b1", "r1"), ("c2", "b2"))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = eager.fuse_modules(trained(Residual), [["stem", "bn", "r"], *blocks])
        module.qconfig = eager.get_default_qconfig(engine)
        prepared = eager.prepare(module)
        prepared(inputs(seed=6))
        return eager.convert(prepared)


def quantized_pt2e(kind, quantizer) -> nn.Module:
    """A module quantized by pt2e."""
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    batch = {0: torch.export.Dim.AUTO}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exported = torch.export.export(trained(kind), (inputs(),), dynamic_shapes=(batch,)).module()
        prepared = prepare_pt2e(exported, copy.deepcopy(quantizer))
        prepared(inputs(seed=6))
        return convert_pt2e(prepared)


def quantizers() -> dict:
    """Quantizers of torchao by name."""
    from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86
    from torchao.testing.pt2e import _xnnpack_quantizer as xnnpack

    reduced = x86.get_default_x86_inductor_quantization_config(reduce_range=True)
    return {
        "xnnpack": xnnpack.XNNPACKQuantizer().set_global(
            xnnpack.get_symmetric_quantization_config(is_per_channel=True)
        ),
        "x86": x86.X86InductorQuantizer().set_global(reduced),
    }
