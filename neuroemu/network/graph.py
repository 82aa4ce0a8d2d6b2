"""Network: an ordered list of layers from one input tensor to one output tensor, with the grids of a quantized one.

The list is in an order in which every layer comes after the tensors it reads. A Network is a value: a transform
returns another one, and its arrays are read-only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType

import numpy as np

from .. import _checks
from ..errors import ArgumentTypeError, InputError
from . import layers as L
from .grids import Grid
from .neurons import Neuron
from .shapes import output_shape

INPUT = "input"
ROUNDINGS = ("half_even", "tflite")


@dataclass(frozen=True, eq=False, kw_only=True)
class Network:
    """A trained network.

    Parameters
    ----------
    layers : tuple of Layer
        In the order of computation; a layer without `inputs` reads the one before it. The last one is the output.
    input_shape : tuple of int
        Shape of one input, without the batch axis.
    name : str
    grids : mapping from tensor name to Grid
        Empty in a float network; in a quantized one, a grid for "input" and for each tensor up to the output grid.
    rounding : {"half_even", "tflite"}
        How an accumulator becomes a code: float32 multiplier and round half to even (ONNX), or TFLite's fixed-point
        multiplier with rounding half away from zero.
    samples : array ``(S, *input_shape)`` or None
        Inputs kept by `quantize`; chips calibrate converter ranges and drift compensation on them. Training data.
    steps : int or None
        Presentation time of a spiking network, in steps; None for others.

    Raises
    ------
    InputError
        Unknown or repeated names, or shapes that do not fit.
    """

    layers: tuple[L.Layer, ...]
    input_shape: tuple[int, ...]
    name: str = "network"
    grids: Mapping[str, Grid] = field(default_factory=dict)
    rounding: str = "half_even"
    samples: np.ndarray | None = None
    steps: int | None = None

    def __post_init__(self):
        _checks.choice(self.rounding, ROUNDINGS, who="Network", name="rounding")
        if not self.layers:
            raise InputError(f"Network '{self.name}': it has no layers; give at least one")
        if np.ndim(self.input_shape) != 1:
            raise InputError(
                f"Network '{self.name}': input_shape is {self.input_shape!r}; give a tuple, without the batch"
            )
        shape = tuple(_checks.integer(n, who="Network", name="input_shape", low=1) for n in self.input_shape)
        object.__setattr__(self, "input_shape", shape)
        object.__setattr__(self, "layers", _linked(self.layers))
        object.__setattr__(self, "grids", MappingProxyType(dict(self.grids)))
        unknown = set(self.grids) - set(self.shapes)
        if unknown:
            raise InputError(f"Network '{self.name}': grids for unknown tensors {sorted(unknown)}")
        self._check_codes()
        if self.samples is not None:
            samples = self.check_input(self.samples, who=f"Network '{self.name}'").copy()
            samples.flags.writeable = False
            object.__setattr__(self, "samples", samples)

    def _check_codes(self):
        """Codes and grids belong together: a layer with one has the other on what it reads."""
        if self.steps is not None:
            _checks.integer(self.steps, who=f"Network '{self.name}'", name="steps", low=1, high=4096)
            if INPUT not in self.grids:
                raise InputError(f"Network '{self.name}': a spiking network needs a grid for 'input'")
            self._check_train()
            return
        self._check_grids()
        for layer in self.weighted:
            if (layer.weight_grid is not None) != (layer.inputs[0] in self.grids):
                has, lacks = ("codes", "no grid") if layer.weight_grid is not None else ("real weights", "a grid")
                raise InputError(
                    f"Network '{self.name}': layer '{layer.name}' has {has}, its input '{layer.inputs[0]}' {lacks}; "
                    "quantize the whole network, or decode it"
                )

    def _check_grids(self):
        """Tensors have one step each, and what is written on a grid is computed from tensors on grids."""
        for name, grid in self.grids.items():
            if _checks.instance(grid, Grid, who=f"Network '{self.name}'", name=f"grids['{name}']").axis is not None:
                raise InputError(f"Network '{self.name}': the grid of '{name}' has a step per slice; give it one step")
        for layer in self.layers:
            missing = [name for name in layer.inputs if name not in self.grids]
            if layer.name in self.grids and missing:
                raise InputError(
                    f"Network '{self.name}': layer '{layer.name}' writes codes, what it reads, {missing}, has no grid; "
                    "give one to every tensor up to the last grid"
                )

    def _check_train(self):
        """A network whose input is a spike train takes one of as many steps as it runs."""
        first = self.layers[0]
        if isinstance(first, L.Encode) and first.coding == "spikes" and self.input_shape[0] != self.steps:
            raise InputError(
                f"Network '{self.name}': input_shape {self.input_shape} is a spike train of {self.input_shape[0]} "
                f"steps, the network runs {self.steps}; set steps={self.input_shape[0]}"
            )

    @cached_property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of every tensor, by name, without the batch axis."""
        found = {INPUT: self.input_shape}
        for layer in self.layers:
            found[layer.name] = output_shape(layer, [found[i] for i in layer.inputs])
        return MappingProxyType(found)

    @property
    def output(self) -> str:
        """Name of the output tensor."""
        return self.layers[-1].name

    @property
    def output_shape(self) -> tuple[int, ...]:
        return self.shapes[self.output]

    @property
    def quantized(self) -> bool:
        """Whether the layers hold integer codes."""
        return bool(self.grids)

    @property
    def spiking(self) -> bool:
        """Whether the network computes with spikes."""
        return self.steps is not None

    @property
    def weighted(self) -> tuple[L.Weighted, ...]:
        """The layers with weights, in order."""
        return tuple(layer for layer in self.layers if isinstance(layer, L.Weighted))

    @property
    def n_parameters(self) -> int:
        """Number of weights and biases, recurrent ones included."""
        kept = [(w.weight, w.bias) for w in self.weighted]
        kept += [(n.recurrent_weight, n.recurrent_bias) for n in self.layers if isinstance(n, Neuron)]
        return sum(array.size for pair in kept for array in pair if array is not None)

    @property
    def macs(self) -> Mapping[str, int]:
        """Multiply-accumulates of one inference, by weighted layer, zeros included."""
        found = {}
        for layer in self.weighted:
            positions = int(np.prod(self.shapes[layer.name])) // layer.weight.shape[0]
            found[layer.name] = positions * layer.weight.size
        return found

    def layer(self, name: str) -> L.Layer:
        """The layer called `name`."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise InputError(f"Network '{self.name}': no layer '{name}'; it has {', '.join(x.name for x in self.layers)}")

    def readers(self, tensor: str) -> tuple[L.Layer, ...]:
        """The layers that read `tensor`."""
        return tuple(layer for layer in self.layers if tensor in layer.inputs)

    def check_input(self, x, *, who: str) -> np.ndarray:
        """`x` as float32 ``(B, *input_shape)``, or one clear error."""
        x = _checks.finite_array(x, who=who, name="x")
        if x.shape[1:] != self.input_shape:
            raise InputError(
                f"{who}: x has shape {x.shape}; network '{self.name}' takes (batch, {_dims(self.input_shape)})"
            )
        if not len(x):
            raise InputError(f"{who}: x holds no inputs; give at least one")
        return x

    def replace(self, **changes) -> "Network":
        """A copy with some fields changed."""
        return replace(self, **changes)

    def __repr__(self):
        kind = "spiking" if self.spiking else "quantized" if self.quantized else "float"
        lines = [f"Network '{self.name}' ({kind}, input {self.input_shape}, {self.n_parameters:,} parameters)"]
        for layer in self.layers:
            lines.append(f"  {layer.name:<16} {type(layer).__name__:<18} {self.shapes[layer.name]}")
        return "\n".join(lines)


def sequential(layers, *, input_shape, name: str = "network") -> Network:
    """A network whose layers follow one another."""
    return Network(layers=tuple(layers), input_shape=tuple(input_shape), name=name)


def _linked(layers) -> tuple[L.Layer, ...]:
    """Layers with their inputs filled in; names are checked."""
    known, linked, previous = {INPUT}, [], INPUT
    if isinstance(layers, str) or not hasattr(layers, "__iter__"):
        raise ArgumentTypeError(f"Network: layers is {layers!r}; give a tuple of layers")
    for layer in layers:
        if not isinstance(layer, L.Layer):
            raise ArgumentTypeError(f"Network: {type(layer).__name__} is not a layer")
        if isinstance(layer.inputs, str) or not isinstance(layer.name, str):
            raise ArgumentTypeError(
                f"Network: layer {layer.name!r}: its name must be text, its inputs a tuple of names"
            )
        inputs = tuple(layer.inputs) or (previous,)
        missing = [i for i in inputs if i not in known]
        if missing:
            raise InputError(f"Network: layer '{layer.name}' reads {missing}, which no earlier layer writes")
        if not layer.name or layer.name in known:
            raise InputError(f"Network: two tensors are called '{layer.name}'; names must be unique and not 'input'")
        linked.append(layer if layer.inputs == inputs else replace(layer, inputs=inputs))
        known.add(layer.name)
        previous = layer.name
    return tuple(linked)


def _dims(shape) -> str:
    return ", ".join(map(str, shape))
