"""to_spiking: a network of clipped linear units becomes one of integrate-and-fire neurons, in integers.

A unit's activation a in [0, lambda] becomes a firing rate a / lambda over the presentation. With incoming rates r, a
neuron adds sum_j w_j lambda_in r_j + b per step and fires when that passes lambda; dividing by lambda_in and the
weight step gives integer codes, an integer threshold and an integer bias.

Thresholds are balanced layer by layer on sample inputs: of several candidates around the largest activation, the one
whose rates, computed from the spikes that really arrive, come closest to the float activations.

References
----------
P. U. Diehl et al., IJCNN 2015, doi:10.1109/IJCNN.2015.7280696 (threshold balancing).
B. Rueckauer et al., Front. Neurosci. 2017, doi:10.3389/fnins.2017.00682 (rates, biases, reset by subtraction).
T. Bu et al., ICLR 2022, arXiv:2303.04347 (initial potential of half a threshold).
Y. Li et al., ICML 2021, arXiv:2106.06984 (bias shift).
B. Rueckauer and S.-C. Liu, ISCAS 2018, doi:10.1109/ISCAS.2018.8351295 (time to first spike).
"""

from dataclasses import replace

import numpy as np

from .. import _checks
from ..errors import InputError
from ..network import layers as L
from ..network import ops
from ..network.floating import run_float
from ..network.graph import INPUT, Network
from ..network.grids import Grid
from ..network.shapes import output_shape
from .balance import Balance, MseBalance
from .calibration import KEPT_SAMPLES, check_samples
from .driving import Train
from .firing import Firing
from .forming import INPUT_MAX, MOST_REFRACTORY, How, encoder, hidden, pool_of_any, read_out, renamed
from .pooling import MaxPooling
from .quantize import grid_for
from .stages import Stage, decoded, stages_of

BALANCE_SAMPLES, BALANCE_WORK = 256, 2048  # samples used: at most the first, and at most the second over the steps
FEWEST_SAMPLES = 8
CODINGS = ("direct", "poisson", "first_spike")


def to_spiking(
    network: Network,
    *,
    steps: int,
    samples: np.ndarray,
    coding: str = "direct",
    reset: str = "zero",
    balance: Balance | None = None,
    correct_bias: bool = False,
    max_pooling: MaxPooling | None = None,
    name: str | None = None,
) -> Network:
    """Spiking version of a network of weighted layers with ReLU-like clips.

    Parameters
    ----------
    network : Network
        Float or quantized. Weights become 8-bit codes with one step per layer, since a layer has one threshold.
        Average pooling becomes a layer of neurons. Additions convert where a ReLU follows: both paths drive the same
        neurons, and a path that skips becomes weights from one neuron to one. Concatenations convert behind ReLUs.
    steps : int, 1 to 4096
        Presentation time.
    samples : ``(S, *input_shape)`` array
        Training inputs; thresholds are balanced on the first 2,048 / steps of them, 8 to 256.
    coding : {"direct", "poisson", "first_spike"}
        "direct": a compartment per input integrates the input value and fires at a steady rate. "poisson": an
        independent spike each step with probability input / largest input. "first_spike": inputs as in "direct", but
        every neuron fires at most once and means more the earlier it fires; a spike adds its weight to a current that
        lasts. It takes at most 64 steps, the longest refractory time of a neuron; `reset` has no part in it.
    reset : {"zero", "subtract"}
        What a spike does to the potential. Loihi 1 resets to zero; subtraction takes two compartments a neuron there.
    balance : MaxBalance, PercentileBalance, MseBalance or QcfsBalance, default MseBalance()
        How thresholds follow from the activations on the samples.
    correct_bias : bool
        Take out of each bias what the spikes shift the mean of its channel by, as measured on the samples. Deep
        networks gain. With first spikes it is always done: a neuron answers before its late inputs arrive, which
        shifts every layer.
    max_pooling : OrPooling or AveragePooling, optional
        The rule that stands in for max pooling; without one it is refused.
    name : str, optional

    Returns
    -------
    Network
        With Encode and Lif layers; the last Lif has no threshold and its final potential is the output.

    Raises
    ------
    UnsupportedError
        A layer that has no spiking form, named with the remedy.
    InputError
        Arguments out of range, samples that do not fit, or inputs below zero.
    """
    if max_pooling is not None:
        _checks.instance(max_pooling, MaxPooling, who="to_spiking", name="max_pooling")
    how = _checked(network, steps, coding, reset, balance, correct_bias)
    samples = check_samples(samples, network, who="to_spiking")
    real = decoded(network)
    plan = stages_of(real, max_pooling)
    top = _input_top(network, samples)
    used = min(BALANCE_SAMPLES, max(FEWEST_SAMPLES, BALANCE_WORK // steps))
    layers = _convert(real, plan, samples[:used], top, how)
    return Network(
        layers=tuple(layers),
        input_shape=network.input_shape,
        name=name or f"{network.name} ({steps} steps, {'first spike' if how.firing.once else reset})",
        grids={INPUT: Grid(scale=top / INPUT_MAX, zero_point=-128)},
        samples=samples[:KEPT_SAMPLES],
        steps=steps,
    )


def _checked(network, steps, coding, reset, balance, correct_bias) -> How:
    who = "to_spiking"
    _checks.instance(network, Network, who=who, name="network")
    _checks.integer(steps, who=who, name="steps", low=1, high=4096)
    _checks.choice(coding, CODINGS, who=who, name="coding")
    _checks.choice(reset, L.RESETS, who=who, name="reset")
    balance = MseBalance() if balance is None else balance
    _checks.instance(balance, Balance, who=who, name="balance")
    _checks.instance(correct_bias, bool, who=who, name="correct_bias")
    if network.spiking:
        raise InputError(f"to_spiking: network '{network.name}' is spiking already")
    once = coding == "first_spike"
    if once and steps > MOST_REFRACTORY:
        raise InputError(
            f"to_spiking: coding 'first_spike' with {steps} steps; a neuron stays silent for {MOST_REFRACTORY} steps "
            "after its spike, so use no more"
        )
    return How(steps, coding, Firing("zero" if once else reset, once), balance, correct_bias or once)


def _input_top(network: Network, samples) -> float:
    """The input value that fires at every step: the top of the input grid, or the largest sample."""
    if samples.min() < 0:
        raise InputError(
            f"to_spiking: samples go down to {samples.min():.4g}; spikes carry no sign: shift the inputs to start at 0"
        )
    if not samples.any():
        raise InputError("to_spiking: samples are all zero; thresholds need inputs that drive the network")
    grid = network.grids.get(INPUT) or grid_for(0.0, float(samples.max()), bits=8)
    return float(grid.scale * (grid.high - grid.zero_point))


def _convert(network, plan, samples, top, how: How) -> list[L.Layer]:
    """Encode, then for each stage its weighted layers and its Lif, balanced in order."""
    items, after = plan
    stages = [item for item in items if isinstance(item, Stage)]
    _, targets = run_float(network, samples, keep=[stage.activation for stage in stages])
    encode, train = encoder(samples / top * INPUT_MAX, top, how)
    layers: list[L.Layer] = [encode]
    trains = {INPUT: train}
    for item in items:
        if not isinstance(item, Stage):
            layers.append(renamed(item))
            trains[item.name] = _moved(item, [trains[name] for name in item.inputs])
        elif item.last:
            layers += read_out(item, trains, targets[item.activation], how)
        else:
            form = pool_of_any if item.any_spike else hidden
            added, trains[item.activation] = form(item, trains, targets[item.activation], how)
            layers += added
    for mover in after:
        layers.append(replace(mover, inputs=(layers[-1].name,)))
    return layers


def _moved(layer: L.Layer, trains: list[Train]) -> Train:
    """The spikes behind a rearrangement or a join."""
    if isinstance(layer, L.Concat):
        spikes = np.concatenate([train.spikes for train in trains], axis=2 + layer.axis)
        units = [np.broadcast_to(train.unit, train.spikes.shape[2:]) for train in trains]
        return Train(spikes, np.concatenate(units, axis=layer.axis))
    (train,) = trains
    shape = output_shape(layer, [train.spikes.shape[2:]])
    unit = train.unit if np.ndim(train.unit) == 0 else ops.rearrange(layer, train.unit[None], shape)[0]
    return Train(np.stack([ops.rearrange(layer, s, shape) for s in train.spikes]), unit)
