"""Crosswalk: the figures of KerasSpiking and NeuroBench for the same network, by their own definitions.

Enter a network and inputs, or the Result of a spiking run; leave the numbers that those tools would print, so that a
published figure of theirs can be set beside a Result. They are definitions, not estimates of a machine: KerasSpiking
charges a price for each connection and neuron, NeuroBench counts operations and no energy.

References
----------
keras-spiking 0.3.0, `ModelEnergy` (https://www.nengo.ai/keras-spiking).
J. Yik et al., "NeuroBench", Nat. Commun. 16, 1545 (2025), doi:10.1038/s41467-025-56739-4; neurobench 2.3.0.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from types import MappingProxyType

import numpy as np

from . import _checks
from .errors import InputError
from .network import layers as L
from .network import ops
from .network.floating import run_float
from .network.graph import Network
from .network.integer import run_integer
from .result import Result

ACTIVATIONS = (L.Clip,)


@dataclass(frozen=True)
class DevicePrice:
    """Joules of one synaptic operation and of one neuron update, as KerasSpiking registers a device."""

    synapse: float
    neuron: float
    spiking: bool
    source: str


DEGNAN = "Degnan 2016, doi:10.1109/TVLSI.2015.2418276, as used by keras-spiking 0.3.0"
HOPPNER = "Hoeppner 2019, arXiv:1903.08941, as used by keras-spiking 0.3.0"
KERAS_SPIKING: Mapping[str, DevicePrice] = MappingProxyType({
    "cpu": DevicePrice(8.6e-9, 8.6e-9, False, DEGNAN),  # Intel i7-4960X
    "gpu": DevicePrice(0.3e-9, 0.3e-9, False, DEGNAN),  # Nvidia GTX Titan Black
    "arm": DevicePrice(0.9e-9, 0.9e-9, False, DEGNAN),  # ARM Cortex-A
    "loihi": DevicePrice(  # what the 3.5 pJ are is not said there
        (23.6 + 3.5) * 1e-12, 81e-12, True, "Davies 2018, doi:10.1109/MM.2018.112130359, as used by keras-spiking 0.3.0"
    ),
    "spinnaker": DevicePrice(13.3e-9, 26e-9, True, HOPPNER),
    "spinnaker2": DevicePrice(450e-12, 2.19e-9, True, HOPPNER),
})  # fmt: skip


@dataclass(frozen=True)
class KerasSpikingFigures:
    """What `ModelEnergy` computes, by layer of the network: connections, neurons, input rates, joules an inference."""

    device: str
    connections: Mapping[str, int]
    neurons: Mapping[str, int]
    rates: Mapping[str, float]
    synapse_joules: float
    neuron_joules: float

    @property
    def joules(self) -> float:
        """Of one inference."""
        return self.synapse_joules + self.neuron_joules


def keras_spiking(
    network: Network, x: np.ndarray, *, device: str, timesteps: int = 1, dt: float = 0.001
) -> KerasSpikingFigures:
    """Energy of an inference as `ModelEnergy(model, x).total_energy(device, timesteps, dt)` gives it.

    ``E = sum_layers e_synapse connections rate dt T + e_neuron neurons T``, with rate 1/dt and T 1 on devices that are
    not spiking; the rate of a layer is the mean absolute value of its inputs on `x`, taken as events a second.

    Parameters
    ----------
    network : Network
        Float, with convolutions, dense layers and ReLU-like clips.
    x : ``(B, *input_shape)`` array
    device : str
        One of `KERAS_SPIKING`.
    timesteps : int, >= 1
    dt : float, s

    Notes
    -----
    A convolution counts the taps that lie in its padding. Neurons are the outputs of weighted layers that an activation
    follows.
    """
    who = "keras_spiking"
    _dense_only(network, who)
    if network.quantized:
        raise InputError(
            f"{who}: network '{network.name}' is quantized; rates are real numbers, give the float network"
        )
    price = KERAS_SPIKING[_checks.choice(device, tuple(KERAS_SPIKING), who=who, name="device")]
    _checks.integer(timesteps, who=who, name="timesteps", low=1)
    dt = _checks.real(dt, who=who, name="dt", low=0.0)
    x = network.check_input(x, who=who)
    inputs = _inputs(network, x)
    connections = {
        layer.name: prod(network.shapes[layer.name]) * layer.weight[0].size for layer in network.weighted
    }  # fmt: skip
    active = {layer.inputs[0] for layer in network.layers if isinstance(layer, ACTIVATIONS)}
    neurons = {name: prod(network.shapes[name]) if name in active else 0 for name in connections}
    rates = {name: float(np.mean(np.abs(values))) for name, values in inputs.items()}
    steps = timesteps if price.spiking else 1
    events = sum(n * (rates[name] * dt if price.spiking else 1.0) for name, n in connections.items())
    return KerasSpikingFigures(
        device,
        connections,
        neurons,
        rates,
        price.synapse * events * steps,
        price.neuron * sum(neurons.values()) * steps,
    )


@dataclass(frozen=True)
class NeuroBenchFigures:
    """NeuroBench's static and workload metrics of a network on some inputs; operations are of one sample.

    footprint : bytes of the parameters, zeros included, as stored here (int8 codes are a byte).
    connection_sparsity : zero weights over all weights.
    activation_sparsity : zero activations over all, over layers, steps and samples.
    effective_macs, effective_acs : operations whose weight and input are not zero. A layer accumulates (AC) when all of
        its inputs are -1, 0 or 1.
    dense : operations when nothing is zero; taps in the padding of a convolution are not operations.
    """

    footprint: int
    connection_sparsity: float
    activation_sparsity: float
    effective_macs: float
    effective_acs: float
    dense: float


def neurobench(network: Network, x: np.ndarray) -> NeuroBenchFigures:
    """NeuroBench's figures of a network that computes with numbers.

    Parameters
    ----------
    network : Network
        Float or quantized. In a quantized one, a code at its zero point is a zero.
    x : ``(B, *input_shape)`` array
    """
    _dense_only(network, "neurobench")
    x = network.check_input(x, who="neurobench")
    effective = {True: 0.0, False: 0.0}  # by whether the layer accumulates only
    dense = 0.0
    for layer, values in zip(network.weighted, _inputs(network, x).values(), strict=True):
        binary = bool(np.isin(values, (-1.0, 0.0, 1.0)).all())
        effective[binary] += _operations(layer, values != 0, layer.weight != 0) / len(x)
        dense += _operations(layer, np.ones_like(values[:1]), np.ones_like(layer.weight))
    zeros, all_of_them = _zero_activations(network, x)
    return NeuroBenchFigures(
        *_static(network), zeros / all_of_them if all_of_them else 0.0, effective[False], effective[True], dense
    )  # fmt: skip


def neurobench_of_spiking(network: Network, result: Result) -> NeuroBenchFigures:
    """NeuroBench's figures of a spiking run: its spikes over all steps, its accumulations from the counted events.

    Parameters
    ----------
    network : Network
        The spiking network that ran.
    result : Result
        Of that run on a spiking chip.
    """
    _checks.instance(result, Result, who="neurobench_of_spiking", name="result")
    if not network.spiking or result.form.kind != "spiking":
        raise InputError("neurobench_of_spiking: give a spiking network and the Result of its run; see neurobench")
    spikes = result.traces["spikes per image"]
    sizes = {layer.name: prod(network.shapes[layer.name]) for layer in network.layers}
    firing = [layer for layer in network.layers if isinstance(layer, L.Lif) and layer.threshold is not None]
    population = {layer.name: layer.inputs[0] for layer in firing}
    fired = sum(spikes[population[layer.name]] for layer in firing)
    places = network.steps * sum(sizes[layer.name] for layer in firing)
    ones = [_operations(layer, np.ones((1, *network.shapes[layer.inputs[0]])), np.ones_like(layer.weight))
            for layer in network.weighted]  # fmt: skip
    return NeuroBenchFigures(
        *_static(network),
        1 - fired / places if places else 0.0,
        0.0,
        result.counts.total("synaptic_op") / result.n_images,
        float(network.steps * sum(ones)),
    )


def _dense_only(network: Network, who: str):
    _checks.instance(network, Network, who=who, name="network")
    if network.spiking:
        raise InputError(f"{who}: network '{network.name}' is spiking; use neurobench_of_spiking with its Result")


def _inputs(network: Network, x: np.ndarray) -> dict[str, np.ndarray]:
    """What each weighted layer reads; zero where a code is at its zero point."""
    names = list(dict.fromkeys(layer.inputs[0] for layer in network.weighted))
    kept = _kept(network, x, names)
    return {layer.name: kept[layer.inputs[0]] for layer in network.weighted}


def _kept(network: Network, x: np.ndarray, names: list[str]) -> dict[str, np.ndarray]:
    inner = [name for name in names if name != "input"]
    if not network.quantized:
        _, kept = run_float(network, x, keep=inner)
        return {"input": x, **kept}
    _, kept = run_integer(network, x, keep=inner)
    kept = {"input": network.grids["input"].encode(x), **kept}
    grids = network.grids
    return {n: v.astype(np.float32) - (grids[n].zero_point if n in grids else 0.0) for n, v in kept.items()}


def _operations(layer: L.Weighted, inputs: np.ndarray, weight: np.ndarray) -> float:
    """Products of a layer whose input and weight are both 1."""
    ones, weight = np.asarray(inputs, np.float32), np.asarray(weight, np.float32)
    return float(ops.weighted_sum(layer, ones, weight, ops.exact_product).sum(dtype=np.float64))


def _zero_activations(network: Network, x: np.ndarray) -> tuple[int, int]:
    """Zeros, and all values, of the activations."""
    names = [layer.name for layer in network.layers if isinstance(layer, ACTIVATIONS)]
    kept = [values for name, values in _kept(network, x, names).items() if name in names]
    return sum(int((v == 0).sum()) for v in kept), sum(v.size for v in kept)


def _static(network: Network) -> tuple[int, float]:
    """Bytes of the parameters, and the share of weights that are zero."""
    arrays = [a for layer in network.weighted for a in (layer.weight, layer.bias) if a is not None]
    weights = sum(layer.weight.size for layer in network.weighted)
    zeros = sum(int((layer.weight == 0).sum()) for layer in network.weighted)
    return sum(array.nbytes for array in arrays), zeros / weights
