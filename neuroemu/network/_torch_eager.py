"""Eager-mode quantized modules (torch.ao.quantization, prepare and convert) as modules that torch.export can follow.

Their layers hold packed weights, which torch.export refuses. Each is replaced, in a copy of the module, by a float
layer on the same grids: weights and results pass a fake quantization with the module's own scales and zero points.
"""

import copy

import torch
from torch import nn
from torch.nn import functional as F

from ..errors import UnsupportedError
from ._torch_program import EAGER_LAYERS

_QUANTIZED = ("torch.ao.nn.quantized", "torch.ao.nn.intrinsic.quantized", "torch.nn.quantized")
_OTHER = ("FloatFunctional", "FXFloatFunctional", "LinearPackedParams")  # in those rooms, but no layers of codes
_RANGES = {torch.quint8: (0, 255), torch.qint8: (-128, 127)}


def is_quantized(module) -> bool:
    """Whether the class is one of torch's quantized layers."""
    kind = type(module)
    return kind.__module__.startswith(_QUANTIZED) and kind.__name__ not in _OTHER


def plain(module: nn.Module) -> tuple[nn.Module, bool]:
    """The module, or a copy of it without packed weights; and whether it was quantized in eager mode."""
    if isinstance(module, torch.fx.GraphModule) and any(
        n.target is torch.quantize_per_tensor for n in module.graph.nodes
    ):
        raise UnsupportedError("a module quantized in FX graph mode: quantize it by pt2e, or in eager mode")
    found = [m for m in module.modules() if is_quantized(m)]
    if not found:
        return module, False
    dtypes = {m.dtype for m in found if type(m).__name__ == "Quantize"} or {torch.quint8}
    if len(dtypes) != 1 or not dtypes <= set(_RANGES):
        raise UnsupportedError(f"activations of types {sorted(map(str, dtypes))}; use quint8 or qint8 for all")
    limits = _RANGES[dtypes.pop()]
    holder = nn.ModuleDict({"module": copy.deepcopy(module)})
    for path, child in list(holder.named_modules()):
        if is_quantized(child):
            parent, _, name = path.rpartition(".")
            setattr(
                holder.get_submodule(parent), name, _replaced(path.removeprefix("module").lstrip("."), child, limits)
            )
    return holder["module"].eval(), True


def _replaced(path: str, child, limits):
    kind = type(child).__name__
    if kind not in EAGER_LAYERS:
        raise UnsupportedError(
            f"layer '{path}' (quantized {kind}): not supported; replace it by one of {', '.join(EAGER_LAYERS)} "
            "and quantize again"
        )
    return _KINDS[kind](path, child, limits)


class Gridded(nn.Module):
    """Puts what it is given on the grid of a quantized layer's result."""

    def __init__(self, child, limits):
        super().__init__()
        self.scale, self.zero_point, self.limits = float(child.scale), int(child.zero_point), limits

    def on_grid(self, x):
        return torch.fake_quantize_per_tensor_affine(x, self.scale, self.zero_point, *self.limits)


class Quantize(Gridded):
    """A QuantStub after conversion."""

    def forward(self, x):
        return self.on_grid(x)


class Dequantize(nn.Module):
    """A DeQuantStub after conversion; its copy marks where codes end."""

    def forward(self, x):
        return x.clone()


class Weighted(Gridded):
    """A convolution or a linear layer, with the ReLU that is fused into it."""

    def __init__(self, path, child, limits, rectify):
        super().__init__(child, limits)
        packed = child.weight()
        if packed.dtype != torch.qint8:
            raise UnsupportedError(f"layer '{path}': weights of type {packed.dtype}; quantize weights to qint8")
        self.axis = None
        if packed.qscheme() in (torch.per_channel_affine, torch.per_channel_symmetric):
            self.axis = packed.q_per_channel_axis()
            self.register_buffer("weight_scale", packed.q_per_channel_scales().to(torch.float32))
            self.register_buffer("weight_zero_point", packed.q_per_channel_zero_points().to(torch.int32))
        else:
            self.step = packed.q_scale(), packed.q_zero_point()
        self.register_buffer("weight", packed.dequantize())
        bias = child.bias()
        self.register_buffer("bias", None if bias is None else bias.detach().to(torch.float32))
        self.rectify = rectify

    def kernel(self):
        if self.axis is None:
            return torch.fake_quantize_per_tensor_affine(self.weight, *self.step, -128, 127)
        return torch.fake_quantize_per_channel_affine(
            self.weight, self.weight_scale, self.weight_zero_point, self.axis, -128, 127
        )

    def finish(self, x):
        return self.on_grid(F.relu(x) if self.rectify else x)


class Conv2d(Weighted):
    """A quantized Conv2d."""

    def __init__(self, path, child, limits, rectify):
        super().__init__(path, child, limits, rectify)
        if child.padding_mode != "zeros":
            raise UnsupportedError(
                f"layer '{path}' (quantized Conv2d): padding_mode {child.padding_mode!r}; use 'zeros'"
            )
        self.settings = (child.stride, child.padding, child.dilation, child.groups)

    def forward(self, x):
        return self.finish(F.conv2d(x, self.kernel(), self.bias, *self.settings))


class Linear(Weighted):
    """A quantized Linear."""

    def forward(self, x):
        return self.finish(F.linear(x, self.kernel(), self.bias))


class Functional(Gridded):
    """A FloatFunctional after conversion."""

    def __init__(self, path, child, limits):
        super().__init__(child, limits)
        self.path = path

    def add(self, x, y):
        return self.on_grid(torch.add(x, y))

    def add_relu(self, x, y):
        return self.on_grid(F.relu(torch.add(x, y)))

    def cat(self, tensors, dim=0):
        return self.on_grid(torch.cat(tensors, dim))

    def __getattr__(self, name):
        if name in ("mul", "matmul", "add_scalar", "mul_scalar"):
            raise UnsupportedError(f"layer '{self.path}' (quantized {name}): not supported; use add, add_relu or cat")
        return super().__getattr__(name)


_KINDS = {
    "Quantize": lambda path, child, limits: Quantize(child, limits),
    "DeQuantize": lambda path, child, limits: Dequantize(),
    "Conv2d": lambda path, child, limits: Conv2d(path, child, limits, False),
    "ConvReLU2d": lambda path, child, limits: Conv2d(path, child, limits, True),
    "Linear": lambda path, child, limits: Linear(path, child, limits, False),
    "LinearReLU": lambda path, child, limits: Linear(path, child, limits, True),
    "QFunctional": lambda path, child, limits: Functional(path, child, limits),
    "Dropout": lambda path, child, limits: nn.Identity(),
    "ReLU6": lambda path, child, limits: nn.ReLU6(),
}
