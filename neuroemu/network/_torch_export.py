"""A live nn.Module to a Program, by torch.export. The only readers' module that works with torch.

The graph is made functional without decompositions, so that a convolution stays one operation and writing in place
becomes a new tensor. Weights are copied to float32; nothing is stored, loaded or pickled.
"""

import operator
import warnings

import numpy as np
import torch

from ..errors import ArgumentTypeError, InputError, UnsupportedError
from ._build import MAX_FILE, MAX_ITEMS, one_line
from ._torch_eager import plain
from ._torch_program import Call, Program, Ref, described

_IN_TRAINING = ("aten.dropout", "aten.feature_dropout", "aten.alpha_dropout", "aten.batch_norm")


def program_of(module, example_input) -> Program:
    """The forward pass of `module` on one input as a Program.

    Raises
    ------
    ArgumentTypeError
        Not an nn.Module or ExportedProgram.
    InputError
        No example input, or one that the module does not take.
    UnsupportedError
        torch.export cannot follow the module; it is in training mode; more than one input or output.
    """
    coded = False
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        if isinstance(module, torch.export.ExportedProgram) and example_input is None:
            exported = module
        elif isinstance(module, torch.export.ExportedProgram):
            exported = _exported(module.module(), _example(example_input))
        elif isinstance(module, torch.nn.Module):
            module, coded = plain(module)
            exported = _exported(module, _example(example_input))
        else:
            raise ArgumentTypeError(f"from_torch: module must be an nn.Module, got {type(module).__name__}")
        _refuse_training(exported.graph)
        try:
            exported = exported.run_decompositions({})
        except Exception as error:  # whatever torch raises inside
            raise UnsupportedError(f"torch cannot make the graph functional: {one_line(error)}") from None
        return _program(exported, coded)


def _example(value) -> torch.Tensor:
    if value is None:
        raise InputError("from_torch: example_input is missing; give one input with its batch axis")
    if isinstance(value, tuple | list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, torch.Tensor):
        value = torch.as_tensor(np.asarray(value, np.float32))
    if value.ndim < 2 or not value.is_floating_point():
        raise InputError(
            f"from_torch: example_input has shape {tuple(value.shape)} and type {value.dtype}; give a float tensor "
            "with a batch axis in front"
        )
    return value


def _exported(module, example):
    try:
        return torch.export.export(module, (example,))
    except (UnsupportedError, InputError):
        raise
    except Exception as error:  # torch raises many types; its reason is in the first lines
        raise UnsupportedError(
            f"torch.export cannot follow {type(module).__name__} on an input of shape "
            f"{tuple(example.shape)}: {one_line(error)}; use tensor operations only, without branches on values"
        ) from None


def _refuse_training(graph):
    for node in graph.nodes:
        kind = _kind(node)
        if node.op != "call_function" or kind.removesuffix("_") not in _IN_TRAINING:
            continue
        given = _arguments(node)
        if given.get("train") or given.get("training"):
            layer, layer_kind = _layer(node)
            raise UnsupportedError(
                f"{described(layer or node.name, layer_kind, kind)}: in training mode; call module.eval() first"
            )


def _program(exported, coded: bool) -> Program:
    graph, signature = exported.graph, exported.graph_signature
    inputs, outputs = list(signature.user_inputs), list(signature.user_outputs)
    if len(inputs) != 1 or len(outputs) != 1 or not isinstance(outputs[0], str):
        raise UnsupportedError(
            f"the module has {len(inputs)} inputs and {len(outputs)} outputs; wrap it in one with one of each"
        )
    if len(graph.nodes) > MAX_ITEMS:
        raise UnsupportedError(f"{len(graph.nodes):,} operations; up to {MAX_ITEMS:,} are read")
    places = {node.name: node for node in graph.nodes if node.op == "placeholder"}
    if not isinstance(_sizes(places[inputs[0]])[0], int):
        raise InputError("from_torch: the program was exported with an open batch; give an example_input too")
    reader = _Reader(set(places))
    for node in graph.nodes:
        reader.read(node)
    return Program(
        calls=tuple(reader.calls),
        constants=_constants(exported, {name for name, node in places.items() if node.users}),
        input=inputs[0],
        input_shape=_shape(places[inputs[0]]),
        output=reader.names.get(outputs[0], outputs[0]),
        coded=coded,
    )


def _constants(exported, used) -> dict[str, np.ndarray]:
    """Parameters, buffers and constant tensors that the graph reads."""
    signature, found, total = exported.graph_signature, {}, 0
    tables = (signature.inputs_to_parameters, signature.inputs_to_buffers, signature.inputs_to_lifted_tensor_constants)
    for name, target in [item for table in tables for item in table.items()]:
        if name not in used:
            continue
        tensor = exported.state_dict[target] if target in exported.state_dict else exported.constants[target]
        found[name] = array(tensor)
        total += found[name].nbytes
        if total > MAX_FILE:
            raise UnsupportedError(f"the weights take more than {MAX_FILE:,} bytes")
    return found


def array(tensor) -> np.ndarray:
    """A tensor as an array; real numbers become float32."""
    tensor = tensor.detach().cpu()
    if tensor.is_floating_point():
        tensor = tensor.to(torch.float32)
    return tensor.numpy().copy()


class _Reader:
    """Walks through the nodes; `names` maps the graph's names to better ones, made from the paths of the layers."""

    def __init__(self, taken: set[str]):
        self.calls: list[Call] = []
        self.names: dict[str, str] = {}
        self._taken = taken

    def read(self, node):
        if node.op == "call_function" and node.target is operator.getitem:
            if node.args[1] != 0:
                (layer, layer_kind), kind = _layer(node.args[0]), _kind(node.args[0])
                raise UnsupportedError(
                    f"{described(layer or node.name, layer_kind, kind)}: its second output is used; no layer splits "
                    "tensors, so compute the parts apart"
                )
            self.names[node.name] = self.names[node.args[0].name]
        elif node.op == "call_function":
            self.calls.append(self._call(node))
        elif node.op not in ("placeholder", "output"):
            raise UnsupportedError(f"node '{node.name}': {node.op}; only plain operations are supported")

    def _call(self, node) -> Call:
        layer, layer_kind = _layer(node)
        kind = _kind(node)
        arguments = {key: self._plain(value) for key, value in _arguments(node).items()}
        self.names[node.name] = name = self._unique(_wanted(node, kind, layer, layer_kind))
        return Call(name, kind, layer, layer_kind, arguments, _shape(node))

    def _unique(self, wanted: str) -> str:
        name, number = wanted, 1
        while name in self._taken:
            name, number = f"{wanted}_{number}", number + 1
        self._taken.add(name)
        return name

    def _plain(self, value):
        if isinstance(value, torch.fx.Node):
            return Ref(self.names.get(value.name, value.name))
        if isinstance(value, tuple | list):
            return [self._plain(v) for v in value]
        if value is None or isinstance(value, bool | int | float | str):
            return value
        return str(value).removeprefix("torch.")


def _wanted(node, kind: str, layer: str, layer_kind: str) -> str:
    """The layer's path for what is all of a layer, else the path and the operation."""
    operation = kind.rpartition(".")[2].strip("_")
    if not layer or "quantize" in operation:
        return node.name
    whole = layer_kind.startswith("torch.nn.") or operation in ("conv2d", "linear")
    return layer if whole else f"{layer}.{operation}"


def _layer(node) -> tuple[str, str]:
    """Path and class of the innermost nn.Module that the operation stems from."""
    stack = list(node.meta.get("nn_module_stack", {}).values())
    if not stack:
        return "", "Module"
    path, kind = stack[-1]
    return path, kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}"


def _kind(node) -> str:
    """ "aten.conv2d" of an operation, without the name of its overload."""
    schema = getattr(node.target, "_schema", None)
    return schema.name.replace("::", ".") if schema is not None else getattr(node.target, "__name__", str(node.target))


def _arguments(node) -> dict:
    schema = getattr(node.target, "_schema", None)
    if schema is None:
        raise UnsupportedError(f"node '{node.name}': {node.target}; only torch's own operations are supported")
    given = dict(zip((a.name for a in schema.arguments), node.args, strict=False)) | dict(node.kwargs)
    return {a.name: given[a.name] if a.name in given else a.default_value for a in schema.arguments}


def _shape(node) -> tuple[int, ...]:
    shape = _sizes(node)
    if not all(isinstance(n, int) for n in shape):
        raise UnsupportedError(f"node '{node.name}': shape {shape}; export with sizes that are fixed")
    return shape


def _sizes(node) -> tuple:
    value = node.meta.get("val")
    value = value[0] if isinstance(value, tuple | list) and value else value
    return tuple(getattr(value, "shape", ()))
