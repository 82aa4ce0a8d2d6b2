"""Fairness: what makes a comparison of results unfair, by name, and where a spiking network breaks even.

Enter results of the same inputs; leave findings: a name, the chips concerned, what is unlike and what
to do. `compare` prints them. The catalogue is that of the critics of energy claims for spiking networks:

M. Dampfhoffer et al., IEEE TETCI 2023, doi:10.1109/TETCI.2022.3214509; Y. Yan et al., 2024, arXiv:2409.08290.

Two entries of it cannot be committed here: energies are of an inference, not of an operation, so operations of other
widths and "1 MAC = 2 operations" do not enter.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ._counts import si
from .errors import ArgumentTypeError, InputError
from .result import Result

NODES_APART = 1.9  # ratio of technology nodes from which energies of arithmetic differ severalfold (Horowitz 2014)
DENSE_SHARE = 0.5  # share of the synaptic operations in the first layer that is told
PART_OF_UNIT = 0.5  # utilisation below which an average price of a whole unit is told
SPIKE_PARTS = ("synapse", "network")  # parts whose energy grows with the number of spikes


@dataclass(frozen=True)
class Unfair:
    """One finding: its name in the catalogue, the chips it concerns, and what is unlike."""

    name: str
    chips: tuple[str, ...]
    text: str

    def __str__(self):
        return f"{self.name} ({', '.join(self.chips)}): {self.text}"


def unfair(results: Sequence[Result]) -> tuple[Unfair, ...]:
    """What is unfair in setting `results` side by side; empty when nothing of the catalogue is.

    Parameters
    ----------
    results : sequence of Result

    Raises
    ------
    ArgumentTypeError
        Not results.
    """
    results = tuple(results)
    if not all(isinstance(result, Result) for result in results):
        raise ArgumentTypeError("unfair: give Results, as run(...) returns them")
    return tuple(finding for check in CATALOGUE for finding in check(results))


def _float_against_integer(results) -> Iterator[Unfair]:
    floats = [r for r in results if r.form.kind == "float"]
    if floats and len(floats) < len(results):
        text = "computes in floating point beside networks of 8 bits and fewer; quantize it too"
        yield Unfair("float against integer", _names(floats), text)


def _unmatched_precision(results) -> Iterator[Unfair]:
    dense = [r for r in results if r.form.kind == "quantized"]
    for steps in sorted({r.form.steps for r in results if r.form.kind == "spiking"}):
        spiking = [r for r in results if r.form.steps == steps and r.form.kind == "spiking"]
        bits = spiking[0].form.matched_bits
        wider = [r for r in dense if r.form.activation_bits > max(2, bits)]
        if dense and len(wider) == len(dense):
            carry = "step carries" if steps == 1 else "steps carry"
            text = (
                f"{steps} {carry} {steps + 1} levels; set them beside activations of {max(2, bits)} bits, not of "
                f"{min(r.form.activation_bits for r in dense)}"
            )
            yield Unfair("unmatched precision", _names([*spiking, *wider]), text)


def _operations_alone(results) -> Iterator[Unfair]:
    for result in results:
        parts = {line.cost.part for line in result.energy.lines}
        if "synapse" in parts and not parts & {"neuron", "core", "chip"}:
            text = "synaptic operations are priced, neuron updates and routing are not; add their prices"
            yield Unfair("synaptic operations alone", (result.chip_name,), text)
        traffic = [k for k in (*result.energy.free, *(kind for _, kind, _ in result.energy.missing)) if _fetch(k)]
        if traffic:
            text = f"{', '.join(dict.fromkeys(traffic))}: counted, not priced; the energy of memory is left out"
            yield Unfair("weight fetches left out", (result.chip_name,), text)


def _fetch(kind: str) -> bool:
    return kind in ("weight_byte", "memory_byte", "activation_read_byte")


def _dense_first_layer(results) -> Iterator[Unfair]:
    for result in results:
        if result.form.kind != "spiking":
            continue
        layers = [found["synaptic_op"] for found in result.counts.by_layer().values() if "synaptic_op" in found]
        layers = [n for n in layers if n]
        if len(layers) > 1 and layers[0] > DENSE_SHARE * sum(layers):
            text = (
                f"the first layer does {layers[0] / sum(layers):.0%} of the synaptic operations: inputs that are "
                f"dense numbers come again in each of {result.form.steps} steps"
            )
            yield Unfair("dense first layer", (result.chip_name,), text)


def _no_static(results) -> Iterator[Unfair]:
    whole = [r for r in results if r.energy.static > 0 or any(line.cost.kind == "average" for line in r.energy.lines)]
    rest = [r for r in results if r not in whole and not r.energy.unknown]
    if whole and rest:
        text = "no static power is priced; the others carry theirs. Add it, or compare Energy.dynamic of all"
        yield Unfair("dynamic against total power", _names(rest), text)


def _boundaries(results) -> Iterator[Unfair]:
    found = sorted({r.boundary for r in results})
    if len(found) > 1:
        yield Unfair("unlike boundaries", _names(results), f"static power of {', '.join(found)}; use one boundary")


def _nodes(results) -> Iterator[Unfair]:
    nodes = {r.chip_name: {line.cost.node_nm for line in r.energy.lines if line.cost.node_nm} for r in results}
    known = {name: max(found) for name, found in nodes.items() if found}
    if known and max(known.values()) > NODES_APART * min(known.values()):
        text = ", ".join(f"{node:g} nm" for node in sorted(set(known.values())))
        yield Unfair("technology nodes apart", tuple(known), f"{text}; nothing is scaled between nodes")


def _batches(results) -> Iterator[Unfair]:
    found = sorted({r.batch for r in results})
    if len(found) > 1:
        sizes = ", ".join(f"{n}" for n in found)
        yield Unfair("batch 1 against batched", _names(results), f"batches of {sizes}; batching shares weight fetches")


def _part_of_unit(results) -> Iterator[Unfair]:
    for result in results:
        averages = any(line.cost.kind == "average" for line in result.energy.lines)
        if averages and result.utilisation < PART_OF_UNIT:
            text = (
                f"its price is that of whole units, of which {result.utilisation:.0%} are used: the energy is an upper "
                "bound"
            )
            yield Unfair("price of full units", (result.chip_name,), text)


def _peak_prices(results) -> Iterator[Unfair]:
    for result in results:
        if any(line.cost.kind == "average" and line.cost.event.startswith("op_") for line in result.energy.lines):
            text = (
                "its price is rated power over the peak rate, so nothing is charged while it waits; at low load the "
                "energy is far higher"
            )
            yield Unfair("peak against sustained rate", (result.chip_name,), text)


CATALOGUE: tuple[Callable[[tuple[Result, ...]], Iterator[Unfair]], ...] = (
    _float_against_integer,
    _unmatched_precision,
    _operations_alone,
    _dense_first_layer,
    _no_static,
    _boundaries,
    _nodes,
    _batches,
    _part_of_unit,
    _peak_prices,
)


def _names(results) -> tuple[str, ...]:
    return tuple(dict.fromkeys(r.chip_name for r in results))


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
