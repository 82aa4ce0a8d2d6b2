"""correct: the mean shift that quantization causes in each channel, measured on samples and taken out of the biases."""

from dataclasses import replace

import numpy as np

from ..network import layers as L
from ..network.floating import run_float
from ..network.graph import Network
from ..network.integer import exact_multiply, run_integer
from .calibration import BATCH

_INT32 = np.iinfo(np.int32)


def correct(codes: Network, real: Network, samples: np.ndarray) -> Network:
    """The quantized network with biases that restore the mean of each channel before its activation.

    b' = b - (E[y_q] - E[y]), per output channel: y is the weighted sum with bias of the float network, y_q that of the
    quantized one, the mean goes over samples and positions. Layers follow one another, each with the ones before it
    corrected, so that what rounding and clipping of activations shift is taken out as well. y_q is the accumulator,
    before it is rounded to a code. What is left is half a step of the accumulator, or more in a bias that leaves 32
    bits.

    Parameters
    ----------
    codes, real : Network
        The quantized network and the float one that it was made from, with the same layer names.
    samples : ``(S, *input_shape)`` array
        Each is computed once per weighted layer, up to that layer.

    References
    ----------
    M. Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019,
    doi:10.1109/ICCV.2019.00141, section 4; this is the empirical form of its appendix D.
    """
    wanted = _real_means(real, samples)
    layers = list(codes.layers)
    for place, layer in enumerate(layers):
        if isinstance(layer, L.Weighted):
            names = {"input", *(x.name for x in layers[: place + 1])}
            grids = {name: grid for name, grid in codes.grids.items() if name in names}
            part = codes.replace(layers=tuple(layers[: place + 1]), grids=grids)
            step = np.asarray(layer.weight_grid.scale) * grids[layer.inputs[0]].scale
            layers[place] = _with_mean(layer, _mean_sums(part, layer.name, samples), wanted[layer.name] / step)
    return codes.replace(layers=tuple(layers))


def _with_mean(layer: L.Weighted, sums: np.ndarray, wanted: np.ndarray) -> L.Weighted:
    """The layer with the bias that lifts its mean sums to the wanted ones, all in steps of the accumulator."""
    bias = np.clip(np.rint(wanted - sums), _INT32.min, _INT32.max).astype(np.int32)
    return replace(layer, bias=bias)


def _real_means(network: Network, samples) -> dict[str, np.ndarray]:
    """Mean of each channel of each weighted layer."""
    names = [layer.name for layer in network.weighted]
    totals = dict.fromkeys(names, 0.0)
    for start in range(0, len(samples), BATCH):
        _, kept = run_float(network, samples[start : start + BATCH], keep=names)
        for layer in network.weighted:
            totals[layer.name] = totals[layer.name] + _by_channel(layer, kept[layer.name])
    return {layer.name: totals[layer.name] / _values(network, layer, samples) for layer in network.weighted}


def _mean_sums(network: Network, name: str, samples) -> np.ndarray:
    """Mean of each channel of the last layer's weighted sums, without bias."""
    total = np.zeros(len(network.layer(name).weight))

    def multiply(layer, drive, first):
        sums = exact_multiply(layer, drive, first)
        if layer.name == name:
            total[:] += _by_channel(layer, sums)
        return sums

    run_integer(network, samples, multiply=multiply)
    return total / _values(network, network.layer(name), samples)


def _by_channel(layer: L.Weighted, values: np.ndarray) -> np.ndarray:
    """Sum over all axes but that of the channels."""
    channels = values.ndim - 1 if isinstance(layer, L.Dense) else 1
    return values.sum(axis=tuple(a for a in range(values.ndim) if a != channels), dtype=np.float64)


def _values(network: Network, layer: L.Weighted, samples) -> int:
    """How many values each channel has over the samples."""
    return len(samples) * int(np.prod(network.shapes[layer.name])) // len(layer.weight)
