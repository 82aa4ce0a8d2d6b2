"""to_graded: a quantized network becomes one of integrate-and-fire neurons whose spikes carry numbers.

A unit's activation a in [0, top], the range of its grid, becomes a rate of spikes a / top over the presentation. With
incoming rates r a neuron adds sum_j w_j top_in r_j + b in each step and sends for each `top` that it holds; dividing
by top_in and the weight step of the channel gives the network's own weight codes, an integer threshold and an integer
bias.

"rate": at most one spike a step. "burst": several in one message; a unit at the top of its range sends a whole burst in
each step, so the threshold is that fraction of the top. "phase": a spike of phase k in a period of K steps weighs
2^(K-1-k), so that K steps say what 2^K say at a rate.

References
----------
B. Rueckauer et al., Front. Neurosci. 2017, doi:10.3389/fnins.2017.00682 (rates, reset by subtraction).
Y. Li and Y. Zeng, IJCAI 2022, arXiv:2204.13271 (bursts of up to five spikes; their threshold is the top itself).
J. Kim et al., Neurocomputing 311, 373 (2018), doi:10.1016/j.neucom.2018.05.087 (weighted spikes, eight phases).
"""

from dataclasses import replace
from math import prod

import numpy as np

from .. import _checks
from ..errors import InputError, UnsupportedError
from ..network import layers as L
from ..network.codes import is_relabelling
from ..network.graded import Programmed
from ..network.graph import INPUT, Network
from ..network.grids import Grid
from ..network.spiking_programs import Accumulate, IntegrateFire, PhaseFire
from .weights import refuse_groups

CODINGS = ("burst", "phase", "rate")
LARGEST = 5  # spikes of a burst (Li and Zeng 2022)
PERIOD = 8  # phases (Kim 2018)
SHIFT = 6  # bits of a potential below one weight code: thresholds and biases are rounded that fine


def to_graded(
    network: Network,
    *,
    steps: int,
    coding: str = "burst",
    largest: int = LARGEST,
    period: int = PERIOD,
    name: str | None = None,
) -> Network:
    """Spiking version of a chain of layers with ReLU-like clips, for chips with graded spikes.

    Parameters
    ----------
    network : Network
        Quantized, with an input that starts at 0. Its weight codes stay as they are; the ranges of its grids become
        the thresholds. Average pooling becomes a layer of neurons; max pooling and additions are refused.
    steps : int, 1 to 4096
        Presentation time; for "phase" a multiple of `period`.
    coding : {"burst", "phase", "rate"}
    largest : int, >= 1
        Spikes in one message of "burst", at most.
    period : int, 1 to 16
        Phases of "phase".
    name : str, optional

    Returns
    -------
    Network
        With Programmed layers; the last one is read out.

    Raises
    ------
    InputError
        Not quantized, arguments out of range, or activations below zero.
    UnsupportedError
        A layer that has no form here, named with the remedy.
    """
    _checks.instance(network, Network, who="to_graded", name="network")
    if not network.quantized or network.spiking:
        raise InputError(f"to_graded: network '{network.name}' is not quantized; call quantize(network, ...) first")
    refuse_groups(network, who="to_graded")
    _checks.choice(coding, CODINGS, who="to_graded", name="coding")
    _checks.integer(steps, who="to_graded", name="steps", low=1, high=4096)
    _checks.integer(largest, who="to_graded", name="largest", low=1, high=2**15)
    _checks.integer(period, who="to_graded", name="period", low=1, high=16)
    if coding == "phase" and steps % period:
        raise InputError(f"to_graded: steps is {steps}; phases need a multiple of the period, {period}")
    make = _Neurons(coding, 1 if coding == "rate" else largest, period, steps)
    _top(network, INPUT)  # it starts at 0
    layers = [make.encoder(network.grids[INPUT])]
    layers += _converted(network, make)
    return Network(
        layers=tuple(layers), input_shape=network.input_shape, name=name or f"{network.name} ({steps} steps, {coding})",
        grids={INPUT: network.grids[INPUT]}, samples=network.samples, steps=steps,
    )  # fmt: skip


class _Neurons:
    """Makes the populations of one coding."""

    def __init__(self, coding: str, largest: int, period: int, steps: int):
        self.phases = period if coding == "phase" else None
        self.largest, self.steps = 1 if self.phases else largest, steps

    def encoder(self, grid: Grid) -> Programmed:
        """Input codes 0..span as spikes, `span` being a whole burst in every step, or all phases."""
        span = grid.high - grid.zero_point
        if self.phases is None:
            threshold = self._input_threshold(span)
            program = IntegrateFire(threshold=threshold, initial=threshold // 2, largest=self.largest, shift=SHIFT)
        else:
            threshold = 1 if span < 1 << self.phases else span
            program = PhaseFire(threshold=threshold, period=self.phases, at_once=span < 1 << self.phases)
        return Programmed(name="encode", inputs=(INPUT,), program=program)

    def encoded(self, grid: Grid) -> float:
        """Real value of one spike of the input at every step, or in every phase."""
        span = grid.high - grid.zero_point
        if self.phases is None:
            return grid.scale * self._input_threshold(span) / 2**SHIFT
        if span >= 1 << self.phases:
            return grid.scale * span
        return grid.scale * ((1 << self.phases) - 1)  # the bits of the code

    def _input_threshold(self, span: int) -> int:
        return max(1, round(span * 2**SHIFT / self.largest))

    def hidden(self, name: str, threshold, bias) -> Programmed:
        threshold = np.maximum(1, np.rint(threshold * 2**SHIFT)).astype(np.int64)
        bias = np.rint(bias * 2**SHIFT).astype(np.int64)
        start = {"threshold": threshold, "bias": bias, "shift": SHIFT, "initial": threshold // 2}
        if self.phases is None:
            return Programmed(name=name, program=IntegrateFire(**start, largest=self.largest))
        return Programmed(name=name, program=PhaseFire(**start, period=self.phases))

    def read_out(self, name: str, unit, bias) -> Programmed:
        """`unit`: real value of a potential of one weight code in each step."""
        program = Accumulate(bias=np.rint(bias * 2**SHIFT).astype(np.int64), shift=SHIFT, period=self.phases)
        weights = self.steps if self.phases is None else self.steps // self.phases * ((1 << self.phases) - 1)
        return Programmed(name=name, program=program, scale=unit / 2**SHIFT / weights)


def _converted(network: Network, make: _Neurons) -> list[L.Layer]:
    """The layers behind the encoder."""
    layers: list[L.Layer] = []
    unit, source, waiting = make.encoded(network.grids[INPUT]), INPUT, None
    last = network.weighted[-1].name
    for layer in network.layers:
        if layer.inputs != (source,):
            raise UnsupportedError(
                f"to_graded: {type(layer).__name__} '{layer.name}' branches or joins; only chains convert: use "
                "to_sigma_delta, which takes every graph"
            )
        source = layer.name
        if isinstance(layer, L.Weighted):
            if waiting is not None:
                raise _unsupported(waiting, "has no ReLU behind it; neurons send nothing negative")
            scale = np.asarray(layer.weight_grid.scale) * unit  # real value of a weight code, spikes at every step
            real_bias = 0.0 if layer.bias is None else layer.bias * _accumulator_step(network, layer)
            layers.append(replace(layer, inputs=(), bias=None))
            if layer.name == last:
                image = len(network.shapes[layer.name]) == 3
                parts = (_along(part, image) for part in (scale, real_bias / scale))
                layers.append(make.read_out(f"{layer.name}/potential", *parts))
                continue
            waiting = (layer, scale, real_bias / scale)
        elif isinstance(layer, L.Clip) and waiting is not None:
            unit = _top(network, layer.name) / make.largest
            threshold, bias = unit / waiting[1], waiting[2]
            image = len(network.shapes[layer.name]) == 3
            layers.append(make.hidden(layer.name, _along(threshold, image), _along(bias, image)))
            waiting = None
        elif isinstance(layer, L.AveragePool2d | L.GlobalAveragePool) and waiting is None:
            pooled = _pooling(network, layer)
            layers += [pooled, make.hidden(layer.name, np.float64(prod(pooled.size)), np.float64(0))]
            if isinstance(layer, L.GlobalAveragePool) and not layer.keep_dims:
                layers.append(L.Flatten(name=f"{layer.name}/flat"))
        elif isinstance(layer, L.Scale) and is_relabelling(
            layer, network.grids[layer.inputs[0]], network.grids[source]
        ):
            unit *= float(layer.scale)
        elif isinstance(layer, L.Flatten | L.Reshape | L.Transpose):
            layers.append(replace(layer, inputs=()))
        elif not isinstance(layer, L.Softmax):
            raise _unsupported(layer, "has no form with graded spikes in time; use to_sigma_delta")
    return layers


def _accumulator_step(network: Network, layer: L.Weighted) -> np.ndarray:
    return np.asarray(layer.weight_grid.scale) * network.grids[layer.inputs[0]].scale


def _along(values: np.ndarray, image: bool) -> np.ndarray:
    """A number, or one for each channel, as it broadcasts over the neurons."""
    values = np.asarray(values, np.float64)
    return values.reshape(-1, 1, 1) if image and values.ndim else values


def _pooling(network: Network, layer) -> L.SumPool2d:
    if isinstance(layer, L.GlobalAveragePool):
        return L.SumPool2d(name=f"{layer.name}/sum", size=network.shapes[layer.inputs[0]][1:])
    if layer.padding != ((0, 0), (0, 0)) and not layer.count_padding:
        raise _unsupported(layer, "divides by windows of unequal size; let its padding count")
    return L.SumPool2d(name=f"{layer.name}/sum", size=layer.size, stride=layer.stride, padding=layer.padding)


def _top(network: Network, tensor: str) -> float:
    """The largest real value of a tensor's grid, which must start at zero."""
    grid = network.grids[tensor]
    if grid.low != grid.zero_point:
        low = grid.scale * (grid.low - grid.zero_point)
        raise InputError(f"to_graded: '{tensor}' goes down to {low:.4g}; spikes carry no sign: shift it to start at 0")
    return float(grid.scale * (grid.high - grid.zero_point))


def _unsupported(layer, why: str) -> UnsupportedError:
    layer = layer[0] if isinstance(layer, tuple) else layer
    return UnsupportedError(f"to_graded: {type(layer).__name__} '{layer.name}' {why}")
