"""matched_baseline: the quantized network that a spiking one is fairly set beside."""

import numpy as np

from .. import _checks
from ..network.graph import Network
from .quantize import quantize

FEWEST, MOST = 2, 8  # bits that `quantize` makes


def matched_baseline(network: Network, *, steps: int, samples: np.ndarray, weight_bits: int = 8, **options) -> Network:
    """The network with as many activation levels as spikes in `steps` steps tell apart [1]_.

    A neuron that spikes 0 to T times has T + 1 levels, which take ceil(log2(T + 1)) bits.

    Parameters
    ----------
    network : Network
        The float network from which the spiking one was made.
    steps : int, >= 1
        T, the presentation time of the spiking network, `Network.steps`.
    samples : ``(S, *input_shape)`` array
        Training inputs to calibrate on.
    weight_bits : int, 2 to 8
        Those of the spiking network.
    options
        As in `quantize`.

    Returns
    -------
    Network
        Quantized. Two bits are the fewest there are here, and eight the most: a baseline of more than 255 steps has
        fewer levels than the spikes.

    References
    ----------
    .. [1] Y. Yan et al., 2024, arXiv:2409.08290.
    """
    _checks.instance(network, Network, who="matched_baseline", name="network")
    steps = _checks.integer(steps, who="matched_baseline", name="steps", low=1)
    bits = min(MOST, max(FEWEST, steps.bit_length()))
    return quantize(network, activation_bits=bits, weight_bits=weight_bits, samples=samples, **options)
