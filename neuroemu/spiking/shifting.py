"""check_shift: whether a spiking network computes the same with all its integers shifted by some bits.

Shifted by b, weights, thresholds, biases and first potentials are 2^b times as large. Without decays and without losses
every potential is then 2^b times as large too and every spike the same. What can differ, layer by layer: mantissas
that lose bits or do not fit, numbers that wrap or saturate, and decays, which round toward zero and so lose less of
larger numbers.
"""

from dataclasses import dataclass, replace

import numpy as np

from .. import _checks
from .._counts import aligned
from ..network import layers as L
from ..network.graph import Network
from .arithmetic import Convention
from .chip import SpikingChip
from .populations import Population, populations
from .probing import batches, checked, probed
from .ranges import EVENTS, convention_of

LOW, HIGH = 6, 14  # shifts of a weight code that lose nothing: weight exponents -1 .. 7


@dataclass(frozen=True)
class LayerShift:
    """One layer, driven by the same spikes before and after the shift.

    Attributes
    ----------
    lost : dict of "weights", "biases", "thresholds" -> int
        Numbers that the shift changed by more than the shift.
    events : int
        Wraps and saturations after the shift.
    spikes, spikes_changed : int
        Spikes before the shift, and places (input, step, neuron) where the two differ.
    deviation : float
        Largest difference of a potential from the shifted one before, in thresholds (in largest potentials where
        there is none). Zero: equal to the last bit.
    """

    name: str
    lost: dict[str, int]
    events: int
    spikes: int
    spikes_changed: int
    deviation: float

    @property
    def coherent(self) -> bool:
        """Whether no spike changed, no number was lost and none left its range."""
        return not (self.spikes_changed or self.events or any(self.lost.values()))

    @property
    def verdict(self) -> str:
        """In words."""
        found = [f"{n:,} {what} lose bits" for what, n in self.lost.items() if n]
        if self.events:
            found.append(f"{self.events:,} wraps or clips")
        if self.spikes_changed:
            found.append(f"{self.spikes_changed:,} spikes differ")
        if not found:
            return "the same" if not self.deviation else "the same spikes; decays round otherwise"
        return "; ".join(found)


@dataclass(frozen=True, eq=False)
class ShiftCheck:
    """What `check_shift` found; print it. `network` is the shifted network."""

    network: Network
    bits: int
    layers: tuple[LayerShift, ...]

    @property
    def coherent(self) -> bool:
        """Whether all layers are."""
        return all(layer.coherent for layer in self.layers)

    def table(self) -> str:
        """One line a layer."""
        rows = [("layer", "spikes", "that differ", "largest deviation", "answer")]
        for layer in self.layers:
            changed, off = f"{layer.spikes_changed:,}", f"{layer.deviation:.2%}"
            rows.append((layer.name, f"{layer.spikes:,}", changed, off, layer.verdict))
        return aligned(rows)

    def __str__(self):
        answer = "coherent" if self.coherent else "not coherent"
        return f"{self.network.name}: {answer}\n{self.table()}"


def check_shift(
    network: Network, chip: SpikingChip | Convention, x, *, bits: int, seed: int = 0, threads=None
) -> ShiftCheck:
    """Shift all integers of a spiking network by `bits` and compare every layer with itself.

    Parameters
    ----------
    network : Network
        Spiking, from `to_spiking` or `to_integer_core`.
    chip : SpikingChip or Convention
    x : ``(B, *input_shape)`` array
    bits : int, -20 .. 20
        Positive: larger numbers.
    seed, threads
        As in `run`.

    Returns
    -------
    ShiftCheck
        Each layer is driven by the spikes that arrive in the network before the shift, so that a layer answers for
        itself alone.
    """
    who = "check_shift"
    convention = convention_of(chip, who=who)
    _checks.integer(bits, who=who, name="bits", low=-20, high=20)
    x = checked(x, network, who=who)
    threads = _checks.threads(threads, who=who)
    moved, lost = _shifted(network, bits)
    after = populations(moved)
    found: dict[str, LayerShift] = {}
    for batch in batches(network, x, convention, seed=seed, threads=threads):
        for index in range(1, len(after)):
            before = batch.probe(index)
            probe = probed(after[index], batch.arriving(index), convention, threads)
            row = _compared(batch.populations[index], before, probe, bits, lost[after[index].neuron.name])
            found[row.name] = _joined(found[row.name], row) if row.name in found else row
    return ShiftCheck(moved, bits, tuple(found.values()))


def _compared(population: Population, before, after, bits: int, lost) -> LayerShift:
    off = np.abs(after.v * 2.0 ** max(-bits, 0) - before.v * 2.0 ** max(bits, 0)).max(initial=0)
    whole = population.neuron.threshold or int(np.abs(before.v).max(initial=0)) or 1
    return LayerShift(
        before.name, lost, sum(after.counts[name] for name in EVENTS.values()), before.counts["output_spikes"],
        int((before.spikes != after.spikes).sum()), float(off / 2.0 ** max(bits, 0) / whole),
    )  # fmt: skip


def _joined(a: LayerShift, b: LayerShift) -> LayerShift:
    return LayerShift(
        a.name, a.lost, a.events + b.events, a.spikes + b.spikes, a.spikes_changed + b.spikes_changed,
        max(a.deviation, b.deviation),
    )  # fmt: skip


def _shifted(network: Network, bits: int) -> tuple[Network, dict[str, dict[str, int]]]:
    """The shifted network and, by name of the neurons, how many numbers changed by more than the shift."""
    layers, lost = {layer.name: layer for layer in network.layers}, {}
    for lif in network.layers:
        if isinstance(lif, L.Lif):
            layers[lif.name], lost[lif.name] = _shifted_neurons(lif, bits)
            lost[lif.name]["weights"] = 0
            for layer in _driving(network, lif.inputs[0]):
                codes, n = _shifted_codes(layer, lif.weight_shift + bits - layers[lif.name].weight_shift)
                layers[layer.name] = replace(layer, weight=codes)
                lost[lif.name]["weights"] += n
    return network.replace(layers=tuple(layers.values()), name=f"{network.name} shifted by {bits}"), lost


def _driving(network: Network, tensor: str) -> list[L.Weighted]:
    """The weighted layers whose sums are added up in a tensor."""
    layer = network.layer(tensor)
    if isinstance(layer, L.Add):
        return [found for name in layer.inputs for found in _driving(network, name)]
    return [layer]


def _shifted_codes(layer: L.Weighted, bits: int) -> tuple[np.ndarray, int]:
    """Weight codes shifted by what the weight exponent cannot take, and how many of them changed their value."""
    wanted = layer.weight * 2.0**bits
    codes = np.clip(np.rint(wanted), layer.weight_grid.low, layer.weight_grid.high)
    return codes.astype(np.int8), int((codes != wanted).sum())


def _shifted_neurons(lif: L.Lif, bits: int) -> tuple[L.Lif, dict[str, int]]:
    """Registers shifted as far as they go."""
    factor = 2.0**bits
    shift = min(max(lif.weight_shift + bits, min(LOW, lif.weight_shift)), max(HIGH, lif.weight_shift))
    threshold, missed = lif.threshold, 0
    if threshold is not None:
        unit, most = L.POTENTIAL_UNIT, L.THRESHOLD_MANTISSA
        threshold = min(max(round(lif.threshold * factor / unit), 1), most) * unit
        missed = int(threshold != lif.threshold * factor)
    wanted = lif.bias * factor
    exponent = np.ceil(np.log2(np.maximum(np.abs(wanted) / L.BIAS_MANTISSA, 1.0)))
    largest = L.BIAS_MANTISSA << L.BIAS_EXPONENT
    bias = np.clip(np.rint(wanted / 2.0**exponent) * 2.0**exponent, -largest, largest)
    first = min(max(round(lif.initial_voltage * factor), -L.VOLTAGE_MAX), L.VOLTAGE_MAX)
    moved = replace(
        lif, threshold=threshold, bias=bias.astype(np.int64), weight_shift=shift, initial_voltage=first,
        scale=lif.scale / factor,
    )  # fmt: skip
    return moved, {"biases": int((bias != wanted).sum()), "thresholds": missed}
