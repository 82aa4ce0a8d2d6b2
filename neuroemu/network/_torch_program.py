"""A PyTorch module as plain Python values: what `torch.export` wrote down, without torch.

`_torch_export` makes a Program out of a live module, `_torch_calls` makes a graph out of a Program. The second half
needs no torch, so that it can be tested where there is none.
"""

from dataclasses import dataclass

import numpy as np

# Layers of eager-mode quantization that are read.
EAGER_LAYERS = (
    "Conv2d", "ConvReLU2d", "DeQuantize", "Dropout", "Linear", "LinearReLU", "QFunctional", "Quantize", "ReLU6",
)  # fmt: skip
DEQUANTIZED = "neuroemu.network._torch_eager.Dequantize"  # the layer where codes end, in eager mode


@dataclass(frozen=True)
class Ref:
    """A tensor by its name."""

    name: str


@dataclass(frozen=True)
class Call:
    """One operation of the exported graph; `arguments` holds every argument of its schema by name."""

    name: str  # of the tensor it writes
    kind: str  # as in torch.ops: "aten.conv2d"
    layer: str  # path of the nn.Module that calls it; "" for the module itself
    layer_kind: str  # class of that nn.Module, with its Python module
    arguments: dict
    shape: tuple[int, ...]  # of its result, the batch axis included

    def __str__(self):
        return described(self.layer or self.name, self.layer_kind, self.kind)

    def ref(self, argument: str) -> str | None:
        """Name of the tensor given as an argument; None where it is left out."""
        value = self.arguments.get(argument)
        return value.name if isinstance(value, Ref) else None


def described(layer: str, layer_kind: str, kind: str) -> str:
    """ "layer 'conv1' (Conv2d, aten.conv2d)", for errors."""
    return f"layer '{layer}' ({layer_kind.rpartition('.')[2]}, {kind})"


@dataclass(frozen=True)
class Program:
    """A module's forward pass on inputs of one shape.

    `coded` marks eager-mode quantized modules, where every operation between the stubs works on codes: what keeps no
    grid of its own has the grid of what it reads.
    """

    calls: tuple[Call, ...]
    constants: dict[str, np.ndarray]
    input: str
    input_shape: tuple[int, ...]  # the batch axis included
    output: str
    coded: bool = False
