"""Writes ONNX files: float networks as they are, quantized ones in the QDQ form that other runtimes take.

In the QDQ form a tensor with a grid passes a QuantizeLinear and a DequantizeLinear, weights and biases are codes behind
a DequantizeLinear, and a runtime fuses them to integer arithmetic. Codes of fewer than 8 bits are int8 whose values a
Clip keeps in range. Opset 17; images are (B, C, H, W), the batch is free.
"""

from functools import singledispatch
from pathlib import Path

import numpy as np

from .. import _checks
from .._files import replacing
from ..errors import MissingDependencyError, UnsupportedError
from . import layers as L
from .graph import INPUT, Network
from .grids import Grid

OPSET, IR_VERSION = 17, 8
OUTPUT = "output"


def write_onnx(network: Network, path: str | Path) -> None:
    """Write a float or a quantized network to an .onnx file, whole or not at all.

    Parameters
    ----------
    network : Network
        Not spiking. A quantized one rounds half to even, as ONNX does.
    path : path

    Raises
    ------
    UnsupportedError
        Spiking layers, continuous neurons, or TFLite's rounding, which ONNX cannot express.
    MissingDependencyError
        Package `onnx` is not installed.
    """
    model = onnx_model(network)
    with replacing(path) as temporary:
        Path(temporary).write_bytes(model.SerializeToString())


def onnx_model(network: Network):
    """The `onnx.ModelProto` of a network; see `write_onnx`."""
    _checks.instance(network, Network, who="write_onnx", name="network")
    try:
        from onnx import checker, helper
    except ImportError:
        raise MissingDependencyError("write_onnx: needs package onnx; pip install neuroemu[onnx]") from None
    if network.spiking:
        raise UnsupportedError(f"write_onnx: network '{network.name}' is spiking; write the network it was made from")
    if network.quantized and network.rounding != "half_even":
        raise UnsupportedError(
            f"write_onnx: network '{network.name}' rounds as TFLite does; ONNX rounds half to even: quantize it here"
        )
    graph = _Graph(network)
    graph.tensors[INPUT] = graph.on_grid(INPUT, INPUT)
    for layer in network.layers:
        written = _write(layer, graph, [graph.tensors[name] for name in layer.inputs])
        graph.tensors[layer.name] = graph.on_grid(layer.name, written)
    graph.nodes.append(helper.make_node("Identity", [graph.tensors[network.output]], [OUTPUT], name=OUTPUT))
    made = helper.make_graph(
        graph.nodes,
        network.name,
        [helper.make_tensor_value_info(INPUT, 1, ["batch", *network.input_shape])],
        [helper.make_tensor_value_info(OUTPUT, 1, ["batch", *network.output_shape])],
        initializer=graph.constants,
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    model.producer_name = "neuroemu"
    checker.check_model(model)
    return model


class _Graph:
    """Nodes and constants as they are written; `tensors` holds the ONNX name of each tensor of the network."""

    def __init__(self, network: Network):
        self.network, self.nodes, self.constants, self.tensors = network, [], [], {}
        self.used = {INPUT, OUTPUT}

    def add(self, kind: str, inputs: list[str], output: str, **attributes) -> str:
        from onnx import helper

        output = self._unused(output)
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name: str, value, dtype=np.float32) -> str:
        from onnx import numpy_helper

        name = self._unused(name)
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value, dtype), name))
        return name

    def _unused(self, name: str) -> str:
        while name in self.used:
            name += "'"
        self.used.add(name)
        return name

    def on_grid(self, name: str, tensor: str) -> str:
        """The tensor behind a QuantizeLinear and a DequantizeLinear, if it has a grid."""
        grid = self.network.grids.get(name)
        if grid is None:
            return tensor
        if grid.bits < 8:
            ends = [grid.scale * (code - grid.zero_point) for code in (grid.low, grid.high)]
            bounds = [self.constant(f"{name}/{end}", v) for end, v in zip(("low", "high"), ends, strict=True)]
            tensor = self.add("Clip", [tensor, *bounds], f"{name}/clipped")
        scale = self.constant(f"{name}/scale", grid.scale)
        zero = self.constant(f"{name}/zero", grid.zero_point, np.int8)
        codes = self.add("QuantizeLinear", [tensor, scale, zero], f"{name}/codes")
        return self.add("DequantizeLinear", [codes, scale, zero], f"{name}/real")

    def weights(self, layer: L.Weighted, weight: np.ndarray, bias, *, axis: int) -> list[str]:
        """Names of the weight and the bias of a layer, real or behind a DequantizeLinear."""
        if layer.weight_grid is None:
            names = [self.constant(f"{layer.name}/weight", weight)]
            return names if bias is None else [*names, self.constant(f"{layer.name}/bias", bias)]
        grid: Grid = layer.weight_grid
        if grid.factors is not None:
            raise UnsupportedError(
                f"write_onnx: {type(layer).__name__} '{layer.name}': a weight step for each group of {grid.group} "
                "inputs is not written; use quantize(..., groups=None)"
            )
        if grid.axis not in (None, 0):
            raise UnsupportedError(
                f"write_onnx: {type(layer).__name__} '{layer.name}': weights step along axis {grid.axis}; use one step "
                "for each output channel"
            )
        names = [self._decoded(f"{layer.name}/weight", weight, np.int8, grid.scale, axis)]
        if bias is not None:
            scale = np.asarray(grid.scale) * self.network.grids[layer.inputs[0]].scale
            names.append(self._decoded(f"{layer.name}/bias", bias, np.int32, scale, 0))
        return names

    def _decoded(self, name: str, codes, dtype, scale, axis: int) -> str:
        parts = [self.constant(f"{name}/codes", codes, dtype), self.constant(f"{name}/scale", scale)]
        parts.append(self.constant(f"{name}/zero", np.zeros(np.shape(scale)), dtype))
        along = {"axis": axis} if np.ndim(scale) else {}
        return self.add("DequantizeLinear", parts, name, **along)


@singledispatch
def _write(layer: L.Layer, graph: _Graph, inputs: list[str]) -> str:
    raise UnsupportedError(
        f"write_onnx: {type(layer).__name__} '{layer.name}' has no operator in ONNX; save to .npz or .nir instead"
    )


@_write.register
def _(layer: L.Dense, graph, inputs):
    if len(graph.network.shapes[layer.inputs[0]]) == 1:
        names = graph.weights(layer, layer.weight, layer.bias, axis=0)
        return graph.add("Gemm", inputs + names, layer.name, transB=1)
    names = graph.weights(layer, layer.weight.T, layer.bias, axis=1)
    if layer.bias is None:
        return graph.add("MatMul", inputs + names, layer.name)
    product = graph.add("MatMul", [*inputs, names[0]], f"{layer.name}/product")
    return graph.add("Add", [product, names[1]], layer.name)


@_write.register
def _(layer: L.Conv2d, graph, inputs):
    names = graph.weights(layer, layer.weight, layer.bias, axis=0)
    return graph.add(
        "Conv", inputs + names, layer.name, kernel_shape=layer.weight.shape[2:], strides=layer.stride,
        pads=_pads(layer), dilations=layer.dilation, group=layer.groups,
    )  # fmt: skip


@_write.register
def _(layer: L.MaxPool2d, graph, inputs):
    return graph.add("MaxPool", inputs, layer.name, **_window(layer))


@_write.register
def _(layer: L.AveragePool2d, graph, inputs):
    counted = int(layer.count_padding)
    return graph.add("AveragePool", inputs, layer.name, count_include_pad=counted, **_window(layer))


@_write.register
def _(layer: L.SumPool2d, graph, inputs):
    mean = graph.add("AveragePool", inputs, f"{layer.name}/mean", count_include_pad=1, **_window(layer))
    return graph.add("Mul", [mean, graph.constant(f"{layer.name}/size", np.prod(layer.size))], layer.name)


@_write.register
def _(layer: L.GlobalAveragePool, graph, inputs):
    if layer.keep_dims:
        return graph.add("GlobalAveragePool", inputs, layer.name)
    mean = graph.add("GlobalAveragePool", inputs, f"{layer.name}/mean")
    return graph.add("Flatten", [mean], layer.name)


@_write.register
def _(layer: L.Flatten, graph, inputs):
    return graph.add("Flatten", inputs, layer.name)


@_write.register
def _(layer: L.Reshape, graph, inputs):
    shape = graph.constant(f"{layer.name}/shape", (0, *graph.network.shapes[layer.name]), np.int64)
    return graph.add("Reshape", [*inputs, shape], layer.name)


@_write.register
def _(layer: L.Transpose, graph, inputs):
    return graph.add("Transpose", inputs, layer.name, perm=[0, *(axis + 1 for axis in layer.axes)])


@_write.register
def _(layer: L.Add, graph, inputs):
    return graph.add("Add", inputs, layer.name)


@_write.register
def _(layer: L.Concat, graph, inputs):
    return graph.add("Concat", inputs, layer.name, axis=layer.axis + 1)


@_write.register
def _(layer: L.Clip, graph, inputs):
    if (layer.low, layer.high) == (0.0, np.inf):
        return graph.add("Relu", inputs, layer.name)
    bounds = [graph.constant(f"{layer.name}/min", layer.low), graph.constant(f"{layer.name}/max", layer.high)]
    return graph.add("Clip", inputs + bounds, layer.name)


@_write.register
def _(layer: L.Softmax, graph, inputs):
    return graph.add("Softmax", inputs, layer.name, axis=-1)


@_write.register
def _(layer: L.Scale, graph, inputs):
    rank = len(graph.network.shapes[layer.name])
    tensor = inputs[0]
    for kind, field, nothing in (("Mul", "scale", 1.0), ("Add", "offset", 0.0)):
        values = getattr(layer, field)
        if (values != nothing).any():
            values = values.reshape(-1, *(1,) * (rank - 1)) if values.ndim else values
            constant = graph.constant(f"{layer.name}/{field}", values)
            tensor = graph.add(kind, [tensor, constant], f"{layer.name}/{kind}")
    return graph.add("Identity", [tensor], layer.name)


@_write.register
def _(layer: L.BatchNorm, graph, inputs):
    names = [
        graph.constant(f"{layer.name}/{field}", getattr(layer, field))
        for field in ("gamma", "beta", "mean", "variance")
    ]
    return graph.add("BatchNormalization", inputs + names, layer.name, epsilon=layer.epsilon)


def _window(layer: L.Pool2d) -> dict:
    return {"kernel_shape": layer.size, "strides": layer.stride, "pads": _pads(layer)}


def _pads(layer) -> list[int]:
    (top, bottom), (left, right) = layer.padding
    return [top, left, bottom, right]
