"""Grids in PyTorch's exported graphs: the pairs of pt2e, and the fake quantization of eager-mode modules."""

import numpy as np

from ..errors import UnsupportedError
from ._torch_program import Call
from ._torch_scope import Translation, codes_of, reads

_DTYPES = {"int8": np.int8, "uint8": np.uint8, "int32": np.int32}
_SPACES = ("quantized_decomposed", "torchao")


def _both(name: str) -> tuple[str, ...]:
    return tuple(f"{space}.{name}" for space in _SPACES)


@reads("aten.fake_quantize_per_tensor_affine")
def _fake(scope: Translation, call: Call):
    codes = _codes(scope, call)
    source = scope.tensor(call)
    scope.on_grid(call, source, call.name, codes)
    if source not in scope.constants:
        scope.codes[call.name] = codes


@reads("aten.fake_quantize_per_channel_affine")
def _fake_channels(scope: Translation, call: Call):
    source, scale, zero = _channel_steps(scope, call, np.int8 if call.arguments["quant_min"] < 0 else np.uint8)
    steps, axis = (scale, zero), call.arguments["axis"]
    rounded = scope.emit(call, "QuantizeLinear", (source, *steps), output=scope.inner(call, "codes"), axis=axis)
    scope.emit(call, "DequantizeLinear", (rounded, *steps), axis=axis)


@reads("quantized_decomposed.quantize_per_tensor")
def _quantize(scope: Translation, call: Call):
    scope.quantized(call, scope.tensor(call), call.name, _codes(scope, call))


@reads("quantized_decomposed.dequantize_per_tensor")
def _dequantize(scope: Translation, call: Call):
    codes, source = _codes(scope, call), scope.tensor(call)
    steps = scope.constant(codes.scale, np.float64), scope.constant(codes.zero_point, _dtype(call))
    scope.emit(call, "DequantizeLinear", (source, *steps))


@reads("quantized_decomposed.quantize_per_channel", "quantized_decomposed.dequantize_per_channel")
def _channels(scope: Translation, call: Call):
    source, scale, zero = _channel_steps(scope, call, _dtype(call))
    kind = "QuantizeLinear" if ".quantize" in call.kind else "DequantizeLinear"
    scope.emit(call, kind, (source, scale, zero), axis=call.arguments["axis"])


def _codes(scope: Translation, call: Call):
    scale, zero = scope.number(call, "scale"), scope.number(call, "zero_point")
    return codes_of(call, scale, zero, call.arguments["quant_min"], call.arguments["quant_max"])


def _dtype(call: Call):
    if call.arguments["dtype"] not in _DTYPES:
        raise UnsupportedError(f"{call}: codes of type {call.arguments['dtype']}; quantize to int8 or uint8")
    return _DTYPES[call.arguments["dtype"]]


def _channel_steps(scope: Translation, call: Call, dtype) -> tuple[str, str, str]:
    """Names of the tensor, its steps and its zero points, along one axis of a constant."""
    source = scope.tensor(call)
    scale, zero = (call.ref(n) or call.ref(f"{n}s") for n in ("scale", "zero_point"))
    if source not in scope.constants and not source.endswith(".codes"):
        raise UnsupportedError(f"{call}: an activation with steps per channel; quantize activations per tensor")
    if scale not in scope.constants or zero not in scope.constants:
        raise UnsupportedError(f"{call}: its steps are not constants; convert the module first")
    return source, scope.constant(scope.constants[scale], np.float64), scope.constant(scope.constants[zero], dtype)
