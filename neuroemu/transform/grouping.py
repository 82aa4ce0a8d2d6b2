"""group_channels: a convolution of all channels keeps only the weights within groups, for cores with few axons."""

from dataclasses import replace

import numpy as np

from .. import _checks
from ..errors import InputError
from ..network import layers as L
from ..network.graph import Network


def group_channels(network: Network, name: str, groups: int) -> Network:
    """The network with convolution `name` cut into groups of channels; all other weights of it are dropped.

    Group g of the outputs reads group g of the inputs, so the fan-in of a neuron falls to a share of 1 / groups.

    Parameters
    ----------
    network : Network
        Float or quantized.
    name : str
        A Conv2d, which may have groups already.
    groups : int
        A multiple of the groups that it has, dividing its input and its output channels.

    Raises
    ------
    InputError
        No such convolution, or groups that do not divide its channels.

    Notes
    -----
    This costs accuracy; the network is to be trained again, or trained so from the start.
    """
    who = f"group_channels: '{name}'"
    _checks.instance(network, Network, who="group_channels", name="network")
    layer = network.layer(name)
    if not isinstance(layer, L.Conv2d):
        raise InputError(f"{who} is a {type(layer).__name__}; name a Conv2d")
    outputs, inputs = len(layer.weight), layer.weight.shape[1] * layer.groups
    _checks.integer(groups, who=who, name="groups", low=1)
    if groups % layer.groups or outputs % groups or inputs % groups:
        raise InputError(
            f"{who} has {inputs} input and {outputs} output channels in {layer.groups} groups; {groups} groups must "
            "be a multiple of that and divide both"
        )
    per_group = inputs // groups
    first = np.arange(outputs) // (outputs // groups) * per_group % layer.weight.shape[1]  # within the group it has
    kept = np.take_along_axis(layer.weight, (first[:, None] + np.arange(per_group))[:, :, None, None], axis=1)
    cut = replace(layer, weight=kept, groups=groups)
    return network.replace(layers=tuple(cut if x is layer else x for x in network.layers))
