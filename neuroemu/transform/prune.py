"""prune: the least important weights of each layer become zero, singly or in the pieces that hardware is made of."""

from dataclasses import replace

import numpy as np

from .. import _checks
from ..errors import ArgumentTypeError, InputError
from ..network import layers as L
from ..network.graph import Network
from .calibration import check_samples
from .channels import kept_labels, labels_of, shrunk, silenced
from .criteria import Criterion, Magnitude
from .fold import fold
from .reconstruct import LeastSquares, reconstructed
from .structures import Channels, Masking, Weights


def prune(
    network: Network,
    *,
    density: float,
    structure: Masking | Channels | None = None,
    criterion: Criterion | None = None,
    samples: np.ndarray | None = None,
    reconstruct: LeastSquares | None = None,
) -> Network:
    """Keep the `density` share of each layer that matters most.

    Parameters
    ----------
    network : Network
        Float or quantized; in a quantized one magnitudes are real values, code times step.
    density : float, 0 to 1
        Share of single weights, rows, blocks or channels of each layer that stays, by `structure`.
    structure : Weights, Rows, Blocks or Channels, default Weights()
        What goes at a time. `Weights()` frees synapses of spiking cores, `Rows()` word lines and axons,
        `Blocks(size)` tiles of crossbars, `Channels()` all of these and the work of digital chips.
    criterion : Magnitude or Contribution, default Magnitude()
    samples : ``(S, *input_shape)`` array, optional
        Training inputs, for `Contribution` and `reconstruct`.
    reconstruct : LeastSquares, optional
        Fit the weights and biases that are left to what the network computed before; a float network.

    Returns
    -------
    Network
        With zeros; with `Channels()`, with smaller arrays. `freed(before, after)` says what became free.

    Raises
    ------
    InputError
        Density out of range, no samples where they are needed, or a quantized network to reconstruct.

    References
    ----------
    S. Han et al., "Learning both Weights and Connections for Efficient Neural Networks", NeurIPS 2015,
    arXiv:1506.02626.
    """
    _checks.instance(network, Network, who="prune", name="network")
    density = _checks.real(density, who="prune", name="density", low=0.0, high=1.0)
    structure = Weights() if structure is None else structure
    criterion = Magnitude() if criterion is None else criterion
    if not isinstance(structure, Masking | Channels):
        raise ArgumentTypeError(
            f"prune: structure is {structure!r}; give Weights(), Rows(), Blocks((rows, columns)) or Channels()"
        )
    _checks.instance(criterion, Criterion, who="prune", name="criterion")
    samples = _samples(network, samples, reconstruct)
    if isinstance(structure, Channels):
        return _without_channels(network, density, criterion, samples, reconstruct)
    scores = criterion.scores(network, samples)
    layers = tuple(
        _masked(layer, structure.mask(layer, scores[layer.name], density)) if isinstance(layer, L.Weighted) else layer
        for layer in network.layers
    )
    pruned = network.replace(layers=layers)
    return pruned if reconstruct is None else reconstructed(pruned, network, samples, reconstruct)


def _samples(network: Network, samples, reconstruct) -> np.ndarray | None:
    """Checked samples, or None."""
    if reconstruct is not None:
        _checks.instance(reconstruct, LeastSquares, who="prune", name="reconstruct")
        if network.quantized or samples is None:
            raise InputError(
                "prune: reconstruct needs a float network and samples=training inputs; prune before quantize"
            )
    return None if samples is None else check_samples(samples, network, who="prune")


def _masked(layer: L.Weighted, mask: np.ndarray) -> L.Weighted:
    return replace(layer, weight=np.where(mask, layer.weight, layer.weight.dtype.type(0)))


def _without_channels(network: Network, density, criterion, samples, reconstruct) -> Network:
    if network.spiking:
        raise InputError(f"prune: network '{network.name}' is spiking; prune channels before to_spiking")
    for layer in network.weighted:
        if layer.in_groups:
            raise InputError(f"prune: layer '{layer.name}' has groups of inputs; prune channels before quantize")
    network = network if network.quantized else fold(network)
    labels = labels_of(network)
    kept = kept_labels(network, labels, criterion.scores(network, samples), density)
    pruned = silenced(network, labels, kept)
    if reconstruct is not None:
        pruned = reconstructed(pruned, network, samples, reconstruct)
    return shrunk(pruned, labels, kept)
