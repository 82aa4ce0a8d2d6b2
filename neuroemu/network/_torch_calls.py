"""Operations of PyTorch's exported graphs, each translated to nodes in ONNX's terms."""

import numpy as np

from ..errors import UnsupportedError
from ._onnx_file import Graph
from ._torch_program import DEQUANTIZED, Call, Program, Ref
from ._torch_scope import CALLS, Translation, reads

# In eager mode their results are put on a grid by an operation that follows: a fake quantization.
_OWN_GRID = ("aten.fake_quantize", "aten.conv", "aten.linear", "aten.add")


def translated(program: Program) -> Graph:
    """The graph of a Program.

    Raises
    ------
    UnsupportedError
        An operation that has no layer; the message names the module's layer and what it is.
    """
    scope = Translation(program)
    rounded = {r for call in program.calls if call.kind.startswith("aten.fake_quantize") for r in _refs(call)}
    for call in program.calls:
        handler = CALLS.get(call.kind)
        if handler is None:
            raise UnsupportedError(f"{call}: operation not supported; replace it by one of {', '.join(plain_names())}")
        handler(scope, call)
        if program.coded and call.name not in rounded and not call.kind.startswith(_OWN_GRID):
            _keep_codes(scope, call)
    return scope.graph()


def plain_names() -> list[str]:
    """The operations that a user may write, without torch's inner ones."""
    names = (kind.removeprefix("aten.") for kind in CALLS if kind.startswith("aten."))
    return sorted(name for name in names if not name.startswith(("_", "fake_", "lift_", "native_")))


def _keep_codes(scope: Translation, call: Call):
    """What reads codes and has no grid of its own stays on the grid that it reads, as torch's quantized tensors do."""
    codes = next((scope.codes[r] for r in _refs(call) if r in scope.codes), None)
    if codes is not None and call.layer_kind != DEQUANTIZED:
        scope.codes[call.name] = codes
        scope.alias[call.name] = scope.on_grid(call, call.name, scope.inner(call, "rounded"), codes)


def _refs(call: Call):
    for value in call.arguments.values():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, Ref):
                yield item.name


def _pads(call: Call, scope: Translation, kernel, dilation) -> list[int]:
    """Starts, then ends, as ONNX writes them."""
    axes, padding = len(kernel), call.arguments["padding"]
    if padding == "valid":
        return [0] * (2 * axes)
    if padding == "same":  # torch puts an odd zero last
        total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return [n // 2 for n in total] + [n - n // 2 for n in total]
    return list(scope.integers(call, "padding", axes)) * 2


@reads("aten.conv2d")
def _conv2d(scope: Translation, call: Call):
    weight = scope.tensor(call, "weight")
    kernel = scope.shapes[weight][2:]
    dilation = scope.integers(call, "dilation", 2)
    scope.emit(
        call,
        "Conv",
        (scope.tensor(call), weight, call.ref("bias")),
        strides=list(scope.integers(call, "stride", 2)),
        dilations=list(dilation),
        pads=_pads(call, scope, kernel, dilation),
        group=call.arguments["groups"],
    )


@reads("aten.conv1d")
def _conv1d(scope: Translation, call: Call):
    """A convolution of images that are one row high, between two reshapes."""
    source, weight = scope.tensor(call), scope.tensor(call, "weight")
    channels, length = scope.shapes[source][1:]
    (kernel,) = scope.shapes[weight][2:]
    dilation = scope.integers(call, "dilation", 1)
    start, end = _pads(call, scope, (kernel,), dilation)
    rows = _reshape(scope, call, source, (scope.batch, channels, 1, length), "rows")
    flat = _reshape(scope, call, weight, (*scope.shapes[weight][:2], 1, kernel), "kernel")
    done = scope.emit(
        call,
        "Conv",
        (rows, flat, call.ref("bias")),
        output=scope.inner(call, "image"),
        strides=[1, *scope.integers(call, "stride", 1)],
        dilations=[1, *dilation],
        pads=[0, start, 0, end],
        group=call.arguments["groups"],
    )
    _reshape(scope, call, done, call.shape)


def _reshape(scope: Translation, call: Call, source: str, shape, part: str | None = None) -> str:
    output = call.name if part is None else scope.inner(call, part)
    scope.shapes[output] = tuple(shape)
    return scope.emit(call, "Reshape", (source, scope.constant(shape, np.int64)), output=output)


@reads("aten.linear")
def _linear(scope: Translation, call: Call):
    source, weight, bias = scope.tensor(call), scope.tensor(call, "weight"), call.ref("bias")
    if len(scope.shapes[source]) == 2:
        return scope.emit(call, "Gemm", (source, weight, bias), transB=1)
    turned = scope.emit(call, "Transpose", (weight,), output=scope.inner(call, "turned"), perm=[1, 0])
    if bias is None:
        return scope.emit(call, "MatMul", (source, turned))
    product = scope.emit(call, "MatMul", (source, turned), output=scope.inner(call, "product"))
    return scope.emit(call, "Add", (product, bias))


@reads("aten.matmul", "aten.mm")
def _matmul(scope: Translation, call: Call):
    other = call.ref("other") or call.ref("mat2")
    if other not in scope.constants:
        raise UnsupportedError(
            f"{call}: product of two activations; a layer multiplies by fixed weights only (attention has no layer)"
        )
    scope.emit(call, "MatMul", (scope.tensor(call), other))


@reads("aten._native_batch_norm_legit_no_training", "aten.batch_norm")
def _batch_norm(scope: Translation, call: Call):
    if call.ref("running_mean") is None or call.arguments.get("training"):
        raise UnsupportedError(f"{call}: without running statistics, or training; call module.eval()")
    channels = scope.shapes[call.ref("running_mean")][0]
    gamma = call.ref("weight") or scope.constant(np.ones(channels))
    beta = call.ref("bias") or scope.constant(np.zeros(channels))
    inputs = (scope.tensor(call), gamma, beta, call.ref("running_mean"), call.ref("running_var"))
    scope.emit(call, "BatchNormalization", inputs, epsilon=scope.number(call, "eps"))


@reads("aten.relu", "aten.relu6", "aten.hardtanh", "aten.clamp", "aten.clamp_min", "aten.clamp_max")
def _clip(scope: Translation, call: Call):
    low, high = {
        "relu": lambda: (0.0, None),
        "relu6": lambda: (0.0, 6.0),
        "hardtanh": lambda: (call.arguments["min_val"], call.arguments["max_val"]),
    }.get(call.kind.removeprefix("aten."), lambda: (call.arguments.get("min"), call.arguments.get("max")))()
    ends = ["" if end is None else scope.constant(end) for end in (low, high)]
    scope.emit(call, "Clip", (scope.tensor(call), *ends))


@reads("aten.max_pool2d", "aten.avg_pool2d")
def _pool(scope: Translation, call: Call):
    size = scope.integers(call, "kernel_size", 2)
    stride = scope.integers(call, "stride", 2) if call.arguments["stride"] else size
    pads = list(scope.integers(call, "padding", 2)) * 2
    fields = {"kernel_shape": list(size), "strides": list(stride), "pads": pads}
    fields["ceil_mode"] = int(call.arguments["ceil_mode"])
    if call.kind == "aten.max_pool2d":
        fields["dilations"] = list(scope.integers(call, "dilation", 2))
        return scope.emit(call, "MaxPool", (scope.tensor(call),), **fields)
    if call.arguments.get("divisor_override"):
        raise UnsupportedError(f"{call}: divisor_override; leave it out and multiply by a number behind the pool")
    fields["count_include_pad"] = int(call.arguments["count_include_pad"] and any(pads))
    return scope.emit(call, "AveragePool", (scope.tensor(call),), **fields)


@reads("aten.adaptive_avg_pool2d")
def _adaptive(scope: Translation, call: Call):
    source = scope.tensor(call)
    size, wanted = scope.shapes[source][-2:], call.shape[-2:]
    if tuple(wanted) == (1, 1):
        return scope.emit(call, "GlobalAveragePool", (source,))
    if any(n % m for n, m in zip(size, wanted, strict=True)):
        raise UnsupportedError(f"{call}: {tuple(size)} to {tuple(wanted)}; only windows of one size are supported")
    window = [n // m for n, m in zip(size, wanted, strict=True)]
    return scope.emit(call, "AveragePool", (source,), kernel_shape=window, strides=window)


@reads("aten.mean")
def _mean(scope: Translation, call: Call):
    axes = call.arguments.get("dim")
    axes = axes if isinstance(axes, list) else [] if axes is None else [axes]
    if not axes:
        raise UnsupportedError(f"{call}: mean over the batch too; name the axes, height and width")
    keep = int(bool(call.arguments.get("keepdim")))
    scope.emit(call, "ReduceMean", (scope.tensor(call),), axes=axes, keepdims=keep)


@reads("aten.view", "aten.reshape", "aten._unsafe_view", "aten.flatten", "aten.squeeze", "aten.unsqueeze",
       "aten.unflatten")  # fmt: skip
def _shaped(scope: Translation, call: Call):
    source = scope.tensor(call)
    if source not in scope.constants and (not call.shape or call.shape[0] != scope.batch):
        raise UnsupportedError(
            f"{call}: {scope.shapes[source]} to {call.shape}; the batch axis must stay in front, so name the axes"
        )
    _reshape(scope, call, source, call.shape)


@reads("aten.permute", "aten.transpose", "aten.t")
def _permute(scope: Translation, call: Call):
    source = scope.tensor(call)
    rank = len(scope.shapes[source])
    if call.kind == "aten.permute":
        axes = [a % rank for a in call.arguments["dims"]]
    else:
        first, second = (call.arguments.get("dim0", 0) % rank, call.arguments.get("dim1", 1) % rank)
        axes = list(range(rank))
        axes[first], axes[second] = second, first
    scope.emit(call, "Transpose", (source,), perm=axes)


@reads("aten.clone", "aten.contiguous", "aten.dropout", "aten.detach", "aten.alias", "aten.lift_fresh_copy",
       "aten._to_copy", "aten.to", "aten.native_dropout")  # fmt: skip
def _same(scope: Translation, call: Call):
    dtype = call.arguments.get("dtype")
    if call.arguments.get("train") or (dtype is not None and dtype not in ("float32", "float64", "float16")):
        raise UnsupportedError(
            f"{call}: in training mode, or to type {dtype}; only float types in eval() are supported"
        )
    scope.emit(call, "Identity", (scope.tensor(call),))


@reads("aten.slice")
def _slice(scope: Translation, call: Call):
    source = scope.tensor(call)
    if scope.shapes[source] != call.shape:
        raise UnsupportedError(f"{call}: cuts {scope.shapes[source]} to {call.shape}; only whole tensors are passed on")
    scope.emit(call, "Identity", (source,))


@reads("aten.cat")
def _cat(scope: Translation, call: Call):
    tensors = [t.name for t in call.arguments["tensors"]]
    scope.emit(call, "Concat", tensors, axis=call.arguments["dim"])


@reads("aten.add", "aten.sub", "aten.mul", "aten.div")
def _arithmetic(scope: Translation, call: Call):
    if call.arguments.get("alpha", 1) != 1 or call.arguments.get("rounding_mode"):
        raise UnsupportedError(f"{call}: with a factor or rounding; write it as operations of its own")
    kind = {"add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div"}[call.kind.removeprefix("aten.")]
    scope.emit(call, kind, (scope.operand(call, "self"), scope.operand(call, "other")))


@reads("aten.softmax", "aten._softmax", "aten.log_softmax", "aten._log_softmax")
def _softmax(scope: Translation, call: Call):
    kind = "LogSoftmax" if "log" in call.kind else "Softmax"
    scope.emit(call, kind, (scope.tensor(call),), axis=call.arguments["dim"])


@reads("aten.pad", "aten.constant_pad_nd")
def _pad(scope: Translation, call: Call):
    mode = call.arguments.get("mode", "constant")
    if mode != "constant" or (call.arguments.get("value") or 0) != 0:
        raise UnsupportedError(f"{call}: mode {mode!r}, value {call.arguments.get('value')}; pad with zeros")
    rank, given = len(call.shape), call.arguments["pad"]
    pads = np.zeros((2, rank), np.int64)  # torch counts axes from the last
    for position in range(len(given) // 2):
        pads[:, rank - 1 - position] = given[2 * position : 2 * position + 2]
    scope.emit(call, "Pad", (scope.tensor(call), scope.constant(pads.reshape(-1), np.int64)))
