"""check_range: how near the numbers of a spiking network come to the limits of its core, layer by layer.

On Loihi the synaptic sum q and the current u wrap around, and the potential v saturates; a network that does either
computes something else than was meant. Head-room is what the largest number on the given inputs leaves, in bits.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from .. import _checks
from .._counts import aligned
from ..errors import ArgumentTypeError
from ..network import layers as L
from ..network.graph import Network
from .arithmetic import Convention
from .chip import SpikingChip
from .probing import Batch, batches, checked, limits, magnitudes, probed

EVENTS = {"q": "q_wraps", "u": "u_wraps", "v": "v_clips"}


@dataclass(frozen=True)
class LayerRange:
    """Largest numbers of one layer.

    Attributes
    ----------
    largest, limit : mapping of "q", "u", "v" -> int
        The largest |value|, wrapping and saturation left out, and what the core holds.
    events : mapping of "q", "u", "v" -> int
        Wraps of q and u and saturations of v, counted by the kernel.
    """

    name: str
    largest: Mapping[str, int]
    limit: Mapping[str, int]
    events: Mapping[str, int]

    @property
    def head_room(self) -> dict[str, float]:
        """log2(limit / largest) in bits; infinite where nothing happened."""
        return {
            key: float(np.log2(self.limit[key] / self.largest[key])) if self.largest[key] else np.inf
            for key in self.largest
        }


@dataclass(frozen=True)
class RangeCheck:
    """What `check_range` found; print it."""

    network_name: str
    convention_name: str
    n_inputs: int
    layers: tuple[LayerRange, ...]

    @property
    def fits(self) -> bool:
        """Whether nothing wrapped and nothing saturated."""
        return not any(n for layer in self.layers for n in layer.events.values())

    def table(self) -> str:
        """One line a layer: largest |q|, |u|, |v| and the head-room of each in bits; below 0: it left its range."""
        rows = [("layer", "|q|", "bits", "|u|", "bits", "|v|", "bits", "wraps of q", "of u", "clips of v")]
        for layer in self.layers:
            cells = [layer.name]
            for key, room in layer.head_room.items():
                cells += [f"{layer.largest[key]:,}", "-" if np.isinf(room) else f"{room:.1f}"]
            rows.append((*cells, *(f"{n:,}" for n in layer.events.values())))
        return aligned(rows)

    def __str__(self):
        answer = "every number keeps its range" if self.fits else "numbers leave their range"
        head = f"{self.network_name} in the arithmetic of {self.convention_name}, {self.n_inputs} inputs: {answer}"
        return f"{head}\n{self.table()}"


def check_range(network: Network, chip: SpikingChip | Convention, x, *, seed: int = 0, threads=None) -> RangeCheck:
    """Largest sums, currents and potentials of every layer on some inputs.

    Parameters
    ----------
    network : Network
        Spiking, from `to_spiking` or `to_integer_core`.
    chip : SpikingChip or Convention
    x : ``(B, *input_shape)`` array
        Calibration inputs; the check speaks for these alone.
    seed, threads
        As in `run`; one random draw of the input.

    Returns
    -------
    RangeCheck
    """
    convention = convention_of(chip, who="check_range")
    x = checked(x, network, who="check_range")
    threads = _checks.threads(threads, who="check_range")
    found: dict[str, LayerRange] = {}
    n = 0
    for batch in batches(network, x, convention, seed=seed, threads=threads):
        n += len(batch.spikes[0])
        for row in (_encoder(batch, convention), *_ranges(batch, convention)):
            found[row.name] = _joined(found[row.name], row) if row.name in found else row
    return RangeCheck(network.name, convention.name, n, tuple(found.values()))


def convention_of(chip, *, who: str) -> Convention:
    """The integer arithmetic of a chip, or the one given."""
    if isinstance(chip, SpikingChip):
        return chip.convention
    if isinstance(chip, Convention):
        return chip
    raise ArgumentTypeError(f"{who}: chip is a {type(chip).__name__}; give a SpikingChip or a Convention")


def _encoder(batch: Batch, convention) -> LayerRange:
    """The input neurons: their potential stays below the threshold and one more input."""
    neuron = batch.populations[0].neuron
    most = neuron.threshold + neuron.code_max * L.POTENTIAL_UNIT if neuron.coding == "direct" else 0
    return LayerRange(
        batch.populations[0].name, {"q": 0, "u": 0, "v": most}, limits(convention), dict.fromkeys(EVENTS, 0)
    )


def _ranges(batch: Batch, convention: Convention):
    for index in range(1, len(batch.populations)):
        probe = batch.probe(index)
        events = {key: probe.counts[name] for key, name in EVENTS.items()}
        measured = convention
        if any(events.values()):  # the true size of what wrapped: the same layer on the same spikes without limits
            measured = replace(convention, accumulator_bits=None, current_bits=None, voltage_limit=None)
            probe = probed(batch.populations[index], batch.arriving(index), measured, batch.threads)
        yield LayerRange(probe.name, magnitudes(batch.populations[index], probe, measured), limits(convention), events)


def _joined(a: LayerRange, b: LayerRange) -> LayerRange:
    return LayerRange(
        a.name,
        {key: max(a.largest[key], b.largest[key]) for key in a.largest},
        a.limit,
        {key: a.events[key] + b.events[key] for key in a.events},
    )
