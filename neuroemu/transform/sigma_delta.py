"""to_sigma_delta: a quantized network becomes one whose neurons send only what changed, as graded spikes.

A neuron adds up the changes that arrive, weight times payload, so its sum is that of all the values it was told of;
it turns the sum into a code by the integer arithmetic of the quantized network, and sends the change of the code. What
is sent is the whole change, so with threshold 0 nothing is lost: once settled, every code is that of `run_integer`.

A convolution or dense layer whose sum goes only into an addition is computed inside the neurons that add.

References
----------
P. O'Connor and M. Welling, ICLR 2017, arXiv:1611.02024 (sigma-delta quantized networks).
S. B. Shrestha et al., arXiv:2310.03251 (sigma-delta networks on Loihi 2).
"""

from collections.abc import Mapping
from dataclasses import replace

from .. import _checks
from ..errors import InputError, UnsupportedError
from ..network import layers as L
from ..network.codes import is_relabelling
from ..network.graded import Delta
from ..network.graph import INPUT, Network
from .weights import refuse_groups

_MOVE = (L.Flatten, L.Reshape, L.Transpose)
_COMPUTE = (
    L.Weighted, L.Add, L.Concat, L.Clip, L.Scale, L.MaxPool2d, L.AveragePool2d, L.SumPool2d, L.GlobalAveragePool,
)  # fmt: skip


def to_sigma_delta(
    network: Network, *, threshold: int | Mapping[str, int] = 0, steps: int | None = None, name: str | None = None
) -> Network:
    """Sigma-delta version of a quantized network, for chips with graded spikes.

    Parameters
    ----------
    network : Network
        Quantized; weights, biases, grids and rounding stay as they are.
    threshold : int, or mapping from tensor to int, 0 to 255
        Smallest change, in codes, that is sent; 0 and 1 send every change. A mapping names the tensors to set.
    steps : int, optional
        Steps that one input is presented for. Default 1: with nothing pending between steps, a constant input settles
        in one. Sequences of inputs bring their own steps: see `spiking.run_frames`.
    name : str, optional

    Returns
    -------
    Network
        With a Delta layer behind each tensor that neurons send.

    Raises
    ------
    InputError
        Not quantized, thresholds out of range, or for tensors that are not sent.
    UnsupportedError
        A layer that has no sigma-delta form, named with the remedy.

    Notes
    -----
    Max pooling becomes neurons that keep one sum for each place of their window; no public text says how Loihi 2 would
    do it.
    """
    _checks.instance(network, Network, who="to_sigma_delta", name="network")
    if not network.quantized or network.spiking:
        raise InputError(
            f"to_sigma_delta: network '{network.name}' is not quantized; call quantize(network, ...) first"
        )
    refuse_groups(network, who="to_sigma_delta")
    steps = 1 if steps is None else _checks.integer(steps, who="to_sigma_delta", name="steps", low=1, high=4096)
    for layer in network.layers:
        _check_layer(network, layer)
    sent = [tensor for tensor in network.shapes if _is_sent(network, tensor)]
    thresholds = _thresholds(threshold, sent)
    layers, stands_for = [], {}

    def send(tensor):
        if tensor in thresholds:
            layers.append(Delta(name=f"{tensor}/delta", inputs=(tensor,), threshold=thresholds[tensor]))
            stands_for[tensor] = layers[-1].name

    send(INPUT)
    for layer in network.layers:
        layers.append(replace(layer, inputs=tuple(stands_for.get(i, i) for i in layer.inputs)))
        send(layer.name)
    grids = dict(network.grids) | {delta: network.grids[tensor] for tensor, delta in stands_for.items()}
    return network.replace(layers=tuple(layers), grids=grids, steps=steps, name=name or f"{network.name} (sigma-delta)")


def _thresholds(threshold, sent: list[str]) -> dict[str, int]:
    given = threshold if isinstance(threshold, Mapping) else dict.fromkeys(sent, threshold)
    unknown = sorted(set(given) - set(sent))
    if unknown:
        raise InputError(f"to_sigma_delta: no tensor called {unknown[0]!r} is sent; choose from {', '.join(sent)}")
    for tensor, value in given.items():
        _checks.integer(value, who="to_sigma_delta", name=f"threshold of '{tensor}'", low=0, high=255)
    return dict.fromkeys(sent, 0) | dict(given)


def _check_layer(network: Network, layer: L.Layer):
    what = f"to_sigma_delta: {type(layer).__name__} '{layer.name}'"
    if isinstance(layer, L.Softmax):
        if _is_read(network, layer.name):
            raise UnsupportedError(f"{what} is read by other layers; only a last softmax is computed, on the host")
    elif not isinstance(layer, (*_COMPUTE, *_MOVE)):
        raise UnsupportedError(f"{what} has no sigma-delta form; use Dense, Conv2d, pooling, Add, Concat and Clip")


def _moves(network: Network, layer: L.Layer) -> bool:
    """Whether a layer only rearranges what was sent, so that no neurons stand for it."""
    old, new = network.grids.get(layer.inputs[0]), network.grids.get(layer.name)
    if isinstance(layer, _MOVE):
        return old == new
    return isinstance(layer, L.Scale) and old is not None and new is not None and is_relabelling(layer, old, new)


def _is_read(network: Network, tensor: str) -> bool:
    """Whether neurons compute with a tensor, as it is or rearranged."""
    return any(
        _is_read(network, reader.name) if _moves(network, reader) else _computes(network, reader)
        for reader in network.readers(tensor)
    )


def _computes(network: Network, layer: L.Layer) -> bool:
    """Whether neurons compute a layer; a softmax, and all behind the last grid, is left to the host."""
    return isinstance(layer, L.Weighted) or (layer.name in network.grids and not isinstance(layer, L.Softmax))


def _is_sent(network: Network, tensor: str) -> bool:
    """Whether neurons send a tensor: others compute with it, and not inside the same neurons."""
    if tensor == INPUT:
        return True
    layer, readers = network.layer(tensor), network.readers(tensor)
    if _moves(network, layer) or not _is_read(network, tensor):
        return False
    if len(readers) > 1:
        return True
    inside = isinstance(readers[0], L.Clip) or (
        isinstance(readers[0], L.Add) and isinstance(layer, L.Weighted) and readers[0].inputs.count(tensor) == 1
    )
    return not inside
