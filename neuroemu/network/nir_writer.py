"""Writes NIR files, the Neuromorphic Intermediate Representation, of float networks.

An Add becomes several edges into the nodes that read it. What NIR has no node for is refused: codes and registers,
rectifiers, maxima, scaling, and every setting below that a node of it does not hold.
"""

from functools import singledispatch
from importlib import metadata
from math import prod
from pathlib import Path

import numpy as np

from .. import _checks
from .._files import replacing
from ..errors import UnsupportedError
from . import layers as L
from . import neurons as N
from ._build import NO_PADDING, same_padding
from ._hdf5 import h5py
from .graph import INPUT, Network

_KINDS = {kind: name for name, kind in N.KINDS.items()}


def write_nir(network: Network, path: str | Path) -> None:
    """Write a float network to a .nir file, whole or not at all.

    `read_nir` reads it back as the same network, up to the names of Add layers and the order of branches. Files with
    grouped convolutions or kernels that are not square are right, but `nir.read` of release 1.0.8 needs
    ``type_check=False`` for them, since it computes other shapes.

    Raises
    ------
    UnsupportedError
        NIR cannot express the network; the message names the layer and a remedy.
    InputError
        The folder does not exist or cannot be written.
    MissingDependencyError
        Package `h5py` is not installed.
    """
    _checks.instance(network, Network, who="write_nir", name="network")
    nodes, edges = _graph(network)
    library = h5py(".nir", "nir")
    with replacing(path) as temporary, library.File(temporary, "w") as file:
        text = library.string_dtype()
        file.create_dataset("version", data=_version(), dtype=text)
        root = file.create_group("node")
        root.create_dataset("type", data="NIRGraph", dtype=text)
        root.create_dataset("edges", data=edges, dtype=text)
        group = root.create_group("nodes")
        for name, fields in nodes.items():
            node = group.create_group(name)
            for field, value in fields.items():
                if isinstance(value, str):
                    node.create_dataset(field, data=value, dtype=text)
                else:
                    packed = {"compression": "gzip"} if np.ndim(value) else {}
                    node.create_dataset(field, data=value, **packed)


def _version() -> str:
    """Release of the format: that of the package which defines it."""
    try:
        return metadata.version("nir")
    except metadata.PackageNotFoundError:
        return "1.0"


def _graph(network: Network) -> tuple[dict[str, dict], list[tuple[str, str]]]:
    """Fields of each node by name, and edges."""
    if network.quantized or network.spiking:
        raise UnsupportedError(
            f"write_nir: network '{network.name}' holds integer codes or registers; NIR has real numbers: write the "
            "float network"
        )
    nodes = {INPUT: _fields("Input", shape=np.array(network.input_shape))}
    edges: list[tuple[str, str]] = []
    tensors = {INPUT: (INPUT,)}  # the nodes whose outputs add up to a tensor
    around = _sequences(network)
    for layer in network.layers:
        arriving = tuple(source for name in layer.inputs for source in tensors[name])
        if isinstance(layer, L.Add) or layer.name in around["dropped"]:
            tensors[layer.name] = arriving
            continue
        fields = around["fields"].get(layer.name) or _node(layer, network)
        _put(nodes, layer.name, fields)
        edges += _into(layer.name, arriving)
        tensors[layer.name] = (layer.name,)
        if isinstance(layer, N.Neuron) and layer.recurrent_weight is not None:
            loop = layer.recurrent_name or N.recurrent_name(layer.name)
            _put(nodes, loop, _linear(layer.recurrent_weight, layer.recurrent_bias))
            edges += [(layer.name, loop), (loop, layer.name)]
    end = "output"
    while end in nodes:
        end += "_"
    _put(nodes, end, _fields("Output", shape=np.array(network.output_shape)))
    return nodes, edges + _into(end, tensors[network.output])


def _put(nodes, name, fields):
    if name in nodes:
        raise UnsupportedError(
            f"write_nir: two nodes would be called '{name}'; rename the layer or the recurrent weights"
        )
    if "/" in name or name == "." or "\0" in name:
        raise UnsupportedError(f"write_nir: layer {name!r}: names in HDF5 hold no '/' and are not '.'; rename it")
    nodes[name] = fields


def _into(name, sources) -> list[tuple[str, str]]:
    if len(set(sources)) < len(sources):
        raise UnsupportedError(
            f"write_nir: '{name}' reads a sum with the same tensor twice; double its weights instead"
        )
    return [(source, name) for source in sources]


def _fields(kind: str, **fields) -> dict:
    return {"type": kind} | fields


def _linear(weight, bias) -> dict:
    return _fields("Linear", weight=weight) if bias is None else _fields("Affine", weight=weight, bias=bias)


@singledispatch
def _node(layer: L.Layer, network: Network) -> dict:
    """The fields of the node for a layer."""
    hint = "; fold(network) first" if isinstance(layer, L.BatchNorm | L.Scale) else ""
    hint = hint or "; NIR describes neurons: put IF or LIF layers in its place" * isinstance(layer, L.Clip)
    raise _refused(layer, f"NIR has no node for it{hint or '; take it out'}")


def _refused(layer, why) -> UnsupportedError:
    return UnsupportedError(f"write_nir: {type(layer).__name__} '{layer.name}': {why}")


@_node.register
def _(layer: N.Neuron, network):
    return _fields(_KINDS[type(layer)], **{field: getattr(layer, field) for field in layer.PARAMETERS})


@_node.register
def _(layer: L.Dense, network):
    if len(network.shapes[layer.inputs[0]]) != 1:
        raise _refused(layer, "it reads more than one axis, a Linear node reads one; put a Flatten before it")
    return _linear(layer.weight, layer.bias)


@_node.register
def _(layer: L.Conv2d, network):
    size = network.shapes[layer.inputs[0]][1:]
    return _convolution("Conv2d", layer, size, slice(None)) | {"input_shape": np.array(size)}


def _convolution(kind, layer: L.Conv2d, size, axes: slice) -> dict:
    """Fields of a convolution over some of the two spatial axes, `size` of them."""
    stride, dilation, sides = (getattr(layer, f)[axes] for f in ("stride", "dilation", "padding"))
    window = layer.weight.shape[2:][axes]
    if all(a == b for a, b in sides):
        padding = np.array([a for a, _ in sides])
    elif set(stride) == {1} and sides == same_padding(size, window, stride, dilation):
        padding = "same"
    else:
        raise _refused(layer, f"padding {sides} differs from side to side; make it the same on both")
    bias = np.zeros(len(layer.weight), np.float32) if layer.bias is None else layer.bias
    weight = layer.weight if kind == "Conv2d" else layer.weight[:, :, 0]
    return _fields(
        kind, weight=weight, bias=bias, stride=np.array(stride), dilation=np.array(dilation), padding=padding,
        groups=layer.groups,
    )  # fmt: skip


@_node.register(L.SumPool2d)
@_node.register(L.AveragePool2d)
def _(layer, network):
    if any(a != b for a, b in layer.padding):
        raise _refused(layer, f"padding {layer.padding} differs from side to side; make it the same on both")
    average = isinstance(layer, L.AveragePool2d)
    if average and layer.padding != NO_PADDING and not layer.count_padding:
        raise _refused(layer, "its divisor leaves padding out, NIR's does not; use padding 0 or count_padding=True")
    return _fields(
        "AvgPool2d" if average else "SumPool2d", kernel_size=np.array(layer.size), stride=np.array(layer.stride),
        padding=np.array([a for a, _ in layer.padding]),
    )  # fmt: skip


@_node.register(L.Flatten)
@_node.register(L.Reshape)
def _(layer, network):
    before, after = network.shapes[layer.inputs[0]], network.shapes[layer.name]
    for first in range(len(after)):
        last = first + len(before) - len(after)
        if last >= first and (*before[:first], prod(before[first : last + 1]), *before[last + 1 :]) == after:
            whole = isinstance(layer, L.Flatten)
            return _fields("Flatten", start_dim=first, end_dim=-1 if whole else last, input_type=np.array(before))
    raise _refused(layer, f"shape {before} to {after} is no flattening of axes side by side; take it out")


def _sequences(network: Network) -> dict:
    """Convolutions of sequences: Reshape to one row, Conv2d, Reshape back, which are one Conv1d node together."""
    found = {"dropped": set(), "fields": {}}
    for layer in network.layers:
        if not isinstance(layer, L.Conv2d) or layer.weight.shape[2] != 1 or layer.inputs[0] == INPUT:
            continue
        before, readers = network.layer(layer.inputs[0]), network.readers(layer.name)
        if not isinstance(before, L.Reshape) or len(readers) != 1 or not isinstance(readers[0], L.Reshape):
            continue
        read, written = network.shapes[before.inputs[0]], network.shapes[layer.name]
        one_row = layer.stride[0] == layer.dilation[0] == 1 and layer.padding[0] == (0, 0) and written[1] == 1
        fits = len(read) == 2 and network.shapes[before.name] == (read[0], 1, read[1])
        if one_row and fits and network.shapes[readers[0].name] == (written[0], written[2]):
            fields = _convolution("Conv1d", layer, read[1:], slice(1, 2))
            found["fields"][layer.name] = {**fields, "input_shape": read[1]}
            found["dropped"] |= {readers[0].name}
            if len(network.readers(before.name)) == 1:
                found["dropped"] |= {before.name}
    return found


WRITTEN = tuple(kind for kind in _node.registry if kind not in (object, L.Layer))
