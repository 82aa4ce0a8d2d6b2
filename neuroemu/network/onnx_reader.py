"""Reads ONNX files: float networks, and quantized ones in the QDQ and the QOperator form.

The network accepts x as the file's own runtime takes it: (B, C, H, W) for images. x always holds real numbers; for a
file whose input tensor is int8 or uint8, those that its codes stand for. Codes of type uint8 are shifted by 128 to
int8. A quantized network rounds half to even, as ONNX does. A softmax at the very end is evaluated in float32 and not
put on a grid.
"""

from pathlib import Path

import numpy as np

from ..errors import FileFormatError, NeuroemuError, UnsupportedError
from . import _onnx_layers, _onnx_quantized, _onnx_shapes  # noqa: F401  they register the handlers
from ._build import Value, in_file
from ._onnx_file import Graph, Node, load
from ._onnx_fold import Constant, fold
from ._onnx_scope import HANDLERS, Scope
from .graph import Network

MAX_FOLDED_BYTES = 1 << 30  # of constants computed while reading, beyond the size of the file's own


def read_onnx(path: str | Path, *, name: str | None = None) -> Network:
    """A network from an .onnx file.

    Parameters
    ----------
    path : path to the file
    name : str or None
        Name of the network; None: the file's name without its ending.

    Raises
    ------
    FileFormatError
        Truncated, damaged, or not ONNX.
    UnsupportedError
        An operator, type or setting that is not supported; the message names the node and a remedy.
    MissingDependencyError
        Package `onnx` is not installed.
    """
    path = Path(path)
    try:
        with np.errstate(all="ignore"):  # what is not finite is refused where it is used
            return network_of(load(path), name or path.stem)
    except NeuroemuError as error:
        raise in_file(path, error) from None


def network_of(graph: Graph, name: str) -> Network:
    """The network of a graph in ONNX's terms, wherever it comes from."""
    scope = Scope(graph, name)
    scope.folded = -sum(constant.array.nbytes for constant in scope.constants.values())
    for node in graph.nodes:
        result = _read(scope, node)
        bindings = scope.values if isinstance(result, Value) else scope.constants
        bindings[node.outputs[0]] = result
    if graph.output not in scope.values:
        raise FileFormatError(f"the output '{graph.output}' is a constant, or nothing writes it")
    return scope.build.finish(scope.values[graph.output], rounding="half_even")


def _read(scope: Scope, node: Node) -> Value | Constant:
    if not node.outputs or not node.outputs[0]:
        raise FileFormatError(f"{node}: it writes nothing")
    if node.kind == "Constant" and not node.domain:
        return _constant(node)
    handler = HANDLERS.get((node.domain, node.kind))
    fixed = [tensor in scope.constants for tensor in node.inputs if tensor]
    if fixed and all(fixed) and node.kind not in ("QuantizeLinear", "DequantizeLinear"):
        made = fold(node, [scope.constants.get(tensor) for tensor in node.inputs])
        scope.folded += made.array.nbytes if made.array.base is None else 0
        if scope.folded > MAX_FOLDED_BYTES:
            raise FileFormatError(
                f"{node}: computing on constants takes too much memory; simplify the model before reading"
            )
        return made
    if handler is None:
        kinds = ", ".join(sorted({kind for _, kind in HANDLERS} - {"LogSoftmax"}))
        domain = f" of domain '{node.domain}'" if node.domain else ""
        raise UnsupportedError(f"{node}: operator{domain} not supported; replace it by one of {kinds}")
    return handler(scope, node)


def _constant(node: Node) -> Constant:
    for key in ("value", "value_float", "value_int", "value_floats", "value_ints"):
        if key in node.attributes:
            value = np.asarray(node.attributes[key])
            if value.dtype.kind not in "biuf":
                break
            return Constant(value.astype(np.float32) if value.dtype == np.float64 and key != "value" else value)
    raise UnsupportedError(f"{node}: only dense numeric constants are supported")
