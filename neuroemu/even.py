"""Breaking even: the rate of spikes at which a spiking network costs as much as another machine."""

from dataclasses import dataclass

from ._counts import si
from .errors import ArgumentTypeError, InputError
from .result import Result

SPIKE_PARTS = ("synapse", "network")  # parts whose energy grows with the number of spikes


@dataclass(frozen=True)
class BreakEven:
    """Where a spiking network costs as much as another machine; see `break_even`.

    rate : float
        Synaptic operations of an inference over the dense network's multiply-accumulates: spikes a synapse.
    even : float or None
        The rate at which both cost the same; None where the spiking chip costs more without any spike.
    """

    spiking: str
    other: str
    rate: float
    even: float | None

    def __str__(self):
        if self.even is None:
            return f"{self.spiking} costs more than {self.other} even without spikes"
        return f"{self.spiking} sends {self.rate:.3g} spikes a synapse; even with {self.other} at {self.even:.3g}"


def break_even(spiking: Result, other: Result) -> BreakEven:
    """Rate of spikes at which `spiking` would cost as much as `other`.

    With E_0 the energy that no spike changes (neuron updates, static power) and E_s that of synapses and network at the
    rate r of this run::

        r = synaptic operations / multiply-accumulates of the dense network,   r* = r (E_other - E_0) / E_s

    Parameters
    ----------
    spiking : Result
        Of a spiking network on a chip with prices by event.
    other : Result
        On the same inputs.

    Raises
    ------
    InputError, ArgumentTypeError
        No spiking result, other inputs, prices that do not tell spikes apart, an energy that is unknown, or static
        powers of other boundaries.

    Notes
    -----
    The time of a step, and with it static energy, is taken as that of this run; fewer spikes would shorten it a little.
    """
    for value in (spiking, other):
        if not isinstance(value, Result):
            raise ArgumentTypeError(f"break_even: got {type(value).__name__}; give two Results")
    if spiking.form.kind not in ("spiking", "graded"):
        raise InputError(f"break_even: '{spiking.network_name}' is no spiking network; give the spiking result first")
    if spiking.data_hash != other.data_hash:
        raise InputError("break_even: the results are of other inputs or labels; run both on the same")
    for result in (spiking, other):
        if result.energy.unknown:
            raise InputError(f"break_even: the energy of {result.chip_name} is unknown: {result.energy.unknown}")
    if spiking.boundary != other.boundary:
        raise InputError(
            f"break_even: {spiking.chip_name} carries the static power of a {spiking.boundary}, {other.chip_name} that "
            f"of a {other.boundary}; their joules do not compare"
        )
    per = [(line.cost.part in SPIKE_PARTS, line.joules / spiking.n_images) for line in spiking.energy.lines]
    scaled, fixed = sum(j for grows, j in per if grows), sum(j for grows, j in per if not grows)
    operations = spiking.counts.total("synaptic_op") / spiking.n_images
    if not scaled or not operations:
        raise InputError(
            f"break_even: {spiking.chip_name} prices no synaptic operations apart "
            f"({si(spiking.energy_per_inference, 'J')} an inference); give a chip with prices by event"
        )
    rate = operations / spiking.form.macs
    left = other.energy_per_inference - fixed
    return BreakEven(spiking.chip_name, other.chip_name, rate, rate * left / scaled if left > 0 else None)
