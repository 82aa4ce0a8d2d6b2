"""Weights by name into a network: `with_weights` fills the layers of a network with arrays of PyTorch, Keras or Flax.

An array's own name says which framework's order it is in. "weight" is PyTorch's: (out, in/groups, height, width) and
(out, in). "kernel" is that of Keras and Flax: (height, width, in/groups, out), (height, width, channels, multiplier)
for kernels by channel, and (in, out). Numbers are Keras 3's positions. A "kernel" whose layer reads a flattened image
has its rows in the order (H, W, C) of these frameworks; they are brought to the network's.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from .. import _checks
from ..errors import ArgumentTypeError, InputError
from . import layers as L
from ._build import Value
from ._orders import dense_order
from .arrays import flat
from .graph import Network

# Tables that frameworks put around a model's own names, and after them.
_AROUND = ("params", "batch_stats", "model_weights", "layers")
_IGNORED = ("num_batches_tracked", "seed_generator_state")
_WEIGHTED = {
    "weight": ("weight",), "kernel": ("kernel", "depthwise_kernel", "0"), "bias": ("bias", "1"),
}  # fmt: skip
_NORM = {
    "gamma": ("gamma", "scale", "weight", "0"), "beta": ("beta", "bias", "1"),
    "mean": ("mean", "moving_mean", "running_mean", "2"), "variance": ("var", "moving_variance", "running_var", "3"),
}  # fmt: skip


def with_weights(
    network: Network, arrays: Mapping, *, names: Mapping[str, str] | None = None, partial: bool = False
) -> Network:
    """A copy of a float network whose layers hold the given arrays.

    Parameters
    ----------
    network : Network
        Float; its weights give the shapes, zeros will do.
    arrays : mapping from name to array, nested or not
        What `read_arrays` gives, a state dict of PyTorch, or the variables of a Flax model.
    names : mapping from layer name to the name in `arrays`, or None
        "Conv_0" or "layer1.0.conv1": the part before ".weight" or "/kernel", without the outer "params", "batch_stats",
        "layers" or "model_weights". Layers that are not listed have their own names.
    partial : bool, default False
        Whether layers that have no arrays keep their weights; otherwise they are an error.

    Returns
    -------
    Network

    Raises
    ------
    InputError
        A layer without arrays, arrays of another shape, names that are unknown, or a quantized network.
    ArgumentTypeError
        `network` is not a Network or `arrays` no mapping.
    """
    _checks.instance(network, Network, who="with_weights", name="network")
    if not isinstance(arrays, Mapping):
        raise ArgumentTypeError(f"with_weights: arrays must be a mapping, got {type(arrays).__name__}")
    if network.quantized or network.spiking:
        raise InputError(f"with_weights: network '{network.name}' is quantized or spiking; fill the float network")
    names, groups = dict(names or {}), _grouped(flat(arrays))
    layers, filled = [], set()
    for layer in network.layers:
        if not isinstance(layer, L.Weighted | L.BatchNorm):
            layers.append(layer)
            continue
        group = groups.get(_parts(names.get(layer.name, layer.name)))
        if group is None and (layer.name in names or not partial):
            known = ", ".join(sorted("/".join(parts) for parts in groups))
            raise InputError(
                f"with_weights: no arrays '{names.get(layer.name, layer.name)}' for layer '{layer.name}'; give "
                f"names={{'{layer.name}': ...}}, one of {known[:400]}"
            )
        filled.add(layer.name)
        layers.append(layer if group is None else _filled(network, layer, group))
    if unknown := sorted(set(names) - filled):
        raise InputError(f"with_weights: names has {unknown}, which are no layers with weights of '{network.name}'")
    return network.replace(layers=tuple(layers))


def _parts(name: str) -> tuple[str, ...]:
    """A name in parts, without the tables around it."""
    parts, around = [p.removesuffix(":0") for p in re.split(r"[./]", str(name)) if p], set()
    while parts and parts[0] in _AROUND:
        around.add(parts.pop(0))
    if "layers" in around:  # Keras 3: layers/conv2d/vars/0
        parts = [p for p in parts if p != "vars"]
    if parts and ("model_weights" in around or str(name).endswith(":0")):  # Keras's old files: conv/model/conv/kernel:0
        parts = [parts[0], parts[-1]][: len(parts)]
    return tuple(parts)


def _grouped(arrays) -> dict[tuple[str, ...], dict[str, tuple[str, np.ndarray]]]:
    """Arrays by what stands before their last part: last part -> (whole name, array)."""
    found: dict[tuple[str, ...], dict[str, tuple[str, np.ndarray]]] = {}
    for name, array in arrays.items():
        parts = _parts(name)
        if not parts or parts[-1] in _IGNORED:
            continue
        group = found.setdefault(parts[:-1], {})
        if parts[-1] in group:
            raise InputError(f"with_weights: arrays '{name}' and '{group[parts[-1]][0]}' have one name; leave one out")
        group[parts[-1]] = (name, array)
    return found


def _filled(network: Network, layer, group: dict) -> L.Layer:
    roles = _WEIGHTED if isinstance(layer, L.Weighted) else _NORM
    if unknown := [name for last, (name, _) in group.items() if not any(last in known for known in roles.values())]:
        raise InputError(
            f"with_weights: array '{unknown[0]}' has no place in {type(layer).__name__} '{layer.name}'; it takes "
            f"{', '.join(sorted(n for known in roles.values() for n in known))}"
        )
    given = {role: group[n] for role, known in roles.items() for n in known if n in group}
    fields = _weighted(network, layer, given) if isinstance(layer, L.Weighted) else _norm(layer, given)
    return replace(layer, **fields)


def _norm(layer: L.BatchNorm, given) -> dict:
    """Fields of a BatchNorm; Keras 3 leaves out what is switched off, so that positions need all four."""
    if missing := {"mean", "variance"} - set(given):
        raise InputError(f"with_weights: BatchNorm '{layer.name}' has no {sorted(missing)[0]} among its arrays")
    size = layer.mean.shape
    plain = {"gamma": np.ones(size), "beta": np.zeros(size)}
    return {role: _fitting(layer, *given[role], size) if role in given else plain[role] for role in _NORM}


def _weighted(network: Network, layer: L.Weighted, given) -> dict:
    if ("weight" in given) == ("kernel" in given):
        raise InputError(f"with_weights: {type(layer).__name__} '{layer.name}' needs one array 'weight' or 'kernel'")
    name, array = given.get("weight") or given["kernel"]
    array = np.asarray(array, np.float32)
    if "kernel" in given:
        array = _from_channels_last(network, layer, array)
    elif isinstance(layer, L.Conv2d) and array.ndim == 3:  # a kernel of sequences
        array = array[:, :, None]
    bias = given.get("bias")
    return {
        "weight": _fitting(layer, name, array, layer.weight.shape),
        "bias": None if bias is None else _fitting(layer, *bias, layer.weight.shape[:1]),
    }


def _from_channels_last(network: Network, layer: L.Weighted, kernel: np.ndarray) -> np.ndarray:
    """A kernel of Keras or Flax in the network's order; one that does not fit stays as it is."""
    if isinstance(layer, L.Dense):
        flat_of = _flattened_image(network, layer)
        turned = kernel.T
        fits = kernel.ndim == 2 and turned.shape == layer.weight.shape
        return dense_order(Value("", (), flat_of=flat_of))(turned) if fits else turned
    if kernel.ndim == 3:
        kernel = kernel[None]
    if kernel.ndim != 4:
        return kernel
    turned = kernel.transpose(3, 2, 0, 1)
    if turned.shape == layer.weight.shape or kernel.shape[2] != layer.groups:
        return turned
    return kernel.transpose(2, 3, 0, 1).reshape(-1, 1, *kernel.shape[:2])  # by channel


def _flattened_image(network: Network, layer: L.Layer) -> tuple[int, ...] | None:
    """(C, H, W) if the layer reads, through what keeps the order, a flattened image in the network's own order."""
    writers = {x.name: x for x in network.layers}
    at = writers.get(layer.inputs[0])
    while isinstance(at, L.Clip):
        at = writers.get(at.inputs[0])
    if not isinstance(at, L.Flatten | L.Reshape):
        return None
    shape, before = network.shapes[at.inputs[0]], writers.get(at.inputs[0])
    turned = isinstance(before, L.Transpose) and before.axes == (1, 2, 0)
    return shape if len(shape) == 3 and len(network.shapes[at.name]) == 1 and not turned else None


def _fitting(layer: L.Layer, name: str, array, shape) -> np.ndarray:
    array = np.asarray(array, np.float32)
    if array.shape != tuple(shape):
        raise InputError(
            f"with_weights: {type(layer).__name__} '{layer.name}': array '{name}' becomes shape {array.shape}; the "
            f"layer has {tuple(shape)}"
        )
    return array
