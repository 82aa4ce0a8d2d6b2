"""equalize: neighbouring layers share the spread of their channels, and the float network computes what it did.

ReLU(s x) = s ReLU(x) for s > 0, so that a channel can be divided by s in one layer and multiplied by s in the next.
"""

from dataclasses import dataclass, replace

import numpy as np

from .. import _checks
from ..errors import InputError
from ..network import layers as L
from ..network.graph import INPUT, Network
from .fold import fold

MOST_ROUNDS = 100  # over all pairs; a chain of 8 layers with random ranges takes about 40
SETTLED = 1e-3  # largest relative change of a scale in the last round


@dataclass(frozen=True)
class Pair:
    """Two weighted layers, the second of which reads the first one, and why they are not equalised ("": they are)."""

    first: str
    second: str
    obstacle: str = ""


def equalize(network: Network) -> Network:
    """Cross-layer equalisation of a float network.

    For channel i between two weighted layers, with r_i = max|W| of its weights in the first (rows) and in the second
    (columns),

        s_i = sqrt(r1_i / r2_i),   W1' = W1 / s,   b1' = b1 / s,   W2' = W2 s,

    which gives both the range sqrt(r1_i r2_i). Pairs are passed until nothing changes. Batch normalisation is folded
    first. A channel without weights on either side stays. Outputs stay, within float32 rounding.

    It is made for one weight step per layer (`quantize(..., per_channel=False)`). Activations change their ranges: a
    channel of tiny weights with a usual bias becomes a large activation and can widen the grid of its tensor.

    Parameters
    ----------
    network : Network
        Float. Pairs of Conv2d or Dense are equalised with ReLU, pooling, flattening and pure factors between; other
        pairs stay as they are. A Clip with a finite upper bound (ReLU6) is one of those: its bound would have to differ
        between channels. `layer_pairs` lists each pair and its obstacle.

    Raises
    ------
    InputError
        The network is quantized already.

    References
    ----------
    M. Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019,
    doi:10.1109/ICCV.2019.00141, section 4 and appendix A.
    """
    network = _float(network, who="equalize")
    pairs = [pair for pair in _pairs(network) if not pair.obstacle]
    layers = {layer.name: layer for layer in network.weighted}
    weights = {name: layer.weight.astype(np.float64) for name, layer in layers.items()}
    scales = {name: np.ones(len(layer.weight)) for name, layer in layers.items()}
    for _ in range(MOST_ROUNDS):
        change = 0.0
        for pair in pairs:
            rows = weights[pair.first]
            columns = _columns(layers[pair.second], weights[pair.second], len(rows))
            s = _scale(rows, columns)
            rows /= s.reshape(-1, *(1,) * (rows.ndim - 1))
            columns *= s.reshape(len(columns), 1, -1, 1)
            scales[pair.first] *= s
            change = max(change, float(np.abs(s - 1).max()))
        if change < SETTLED:
            break

    def scaled(layer):
        if not isinstance(layer, L.Weighted):
            return layer
        bias = None if layer.bias is None else (layer.bias / scales[layer.name]).astype(np.float32)
        return replace(layer, weight=weights[layer.name].astype(np.float32), bias=bias)

    return network.replace(layers=tuple(scaled(layer) for layer in network.layers))


def layer_pairs(network: Network) -> tuple[Pair, ...]:
    """The pairs of weighted layers that `equalize` finds in a float network, with what hinders it."""
    return _pairs(_float(network, who="layer_pairs"))


def _float(network, *, who: str) -> Network:
    _checks.instance(network, Network, who=who, name="network")
    if network.quantized or network.spiking:
        raise InputError(f"{who}: network '{network.name}' is quantized; equalize the float network before quantizing")
    return fold(network)


def _pairs(network: Network) -> tuple[Pair, ...]:
    found = []
    for second in network.weighted:
        obstacle, name = "", second.inputs[0]
        while name != INPUT:
            layer = network.layer(name)
            obstacle = obstacle or _obstacle(network, layer)
            if isinstance(layer, L.Weighted):
                obstacle = obstacle or _rows(network, layer.name) or _rows(network, second.inputs[0], second)
                found.append(Pair(layer.name, second.name, obstacle))
                break
            name = layer.inputs[0]  # of a layer with several inputs one stands for all; the pair has an obstacle
    return tuple(found)


def _obstacle(network: Network, layer: L.Layer) -> str:
    """Why a factor for each channel cannot pass `layer`; "" if it can."""
    what = f"{type(layer).__name__} '{layer.name}'"
    if len(network.readers(layer.name)) > 1:
        return f"{what} is read by several layers"
    if isinstance(layer, L.Clip):
        if layer.high != np.inf:
            return f"{what} has the upper bound {layer.high:g}, which would differ between channels"
        return "" if layer.low in (0.0, -np.inf) else f"{what} has the lower bound {layer.low:g}; only 0 scales"
    if isinstance(layer, L.Scale):
        return f"{what} adds an offset" if layer.offset.any() else ""
    if isinstance(layer, L.Reshape) and len(network.shapes[layer.name]) > 1:
        return f"{what} moves values between channels"
    if isinstance(layer, L.Weighted | L.Pool2d | L.GlobalAveragePool | L.Flatten | L.Reshape):
        return ""
    return f"{what} lets no factor of a channel pass"


def _rows(network: Network, tensor: str, reader: L.Layer | None = None) -> str:
    """The obstacle of a Dense on several rows: its channels are the last axis, those of all others the first."""
    layer = reader or network.layer(tensor)
    several = isinstance(layer, L.Dense) and len(network.shapes[tensor]) > 1
    return f"Dense '{layer.name}' is computed on several rows" if several else ""


def _scale(first: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """s of each channel; 1 where a side has no weights."""
    r1 = np.abs(first).reshape(len(first), -1).max(axis=1)
    r2 = np.abs(columns).max(axis=(1, 3)).ravel()
    some = (r1 > 0) & (r2 > 0)
    return np.where(some, np.sqrt(np.where(some, r1, 1.0) / np.where(some, r2, 1.0)), 1.0)


def _columns(layer: L.Weighted, weight: np.ndarray, channels: int) -> np.ndarray:
    """A view of `weight` by input channel: (groups, outputs, channels of a group, rest)."""
    groups = layer.groups if isinstance(layer, L.Conv2d) else 1
    # Flattening puts the positions of a channel side by side, like the places of a kernel.
    return weight.reshape(groups, len(weight) // groups, channels // groups, -1)
