"""Fairness: what makes a comparison of results unfair, by name.

Enter results of the same inputs; leave findings: a name, the chips concerned, what is unlike and what
to do. `compare` prints them. The catalogue is that of the critics of energy claims for spiking networks:

M. Dampfhoffer et al., IEEE TETCI 2023, doi:10.1109/TETCI.2022.3214509; Y. Yan et al., 2024, arXiv:2409.08290.

docs/fairness.md goes through it entry by entry, with what cannot be committed here: energies are of an inference, not
of an operation, so that rates per watt of other bits, and whether a multiply-accumulate is one operation or two, do not
enter.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from .errors import ArgumentTypeError
from .result import Result

NODES_APART = 1.9  # ratio of technology nodes from which energies of arithmetic differ severalfold (Horowitz 2014)
DENSE_SHARE = 0.5  # share of the synaptic operations in the first layer that is told
PART_OF_UNIT = 0.5  # utilisation below which an average price of a whole unit is told
LOADED_OFTEN = 10_000  # inferences below which unpriced loading of weights is told; assumed
MULTIPLICATIONS = ("mac", "op_int8", "op_fp16", "op_fp32")
HELD = re.compile(r"\bholds\b")  # in the reason of a table: another price has the event in it
CROSSBAR_PARTS = {"array", "core", "converters"}
MOVES = {"network", "memory", "off_chip", "chip"}  # parts whose prices hold what moves between layers


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
                f"{min(r.form.activation_bits for r in dense)}; matched_baseline(network, steps={steps}) makes it"
            )
            yield Unfair("unmatched precision", _names([*spiking, *wider]), text)


def _operations_alone(results) -> Iterator[Unfair]:
    for result in results:
        parts = {line.cost.part for line in result.energy.lines}
        if "synapse" in parts and not parts & {"neuron", "core", "chip"}:
            text = "synaptic operations are priced, neuron updates and routing are not; add their prices"
            yield Unfair("synaptic operations alone", (result.chip_name,), text)
        free = [kind for kind, why in result.energy.free.items() if not HELD.search(why)]
        traffic = [k for k in (*free, *(kind for _, kind, _ in result.energy.missing)) if _fetch(k)]
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
        rated = [line.cost for line in result.energy.lines if line.cost.event.startswith("op_")]
        if any(cost.kind == "average" for cost in rated):
            text = (
                "its price is rated power over the peak rate, so nothing is charged while it waits; at low load the "
                "energy is far higher"
            )
            yield Unfair("peak against sustained rate", (result.chip_name,), text)
        elif any(cost.evidence == "fitted" for cost in rated):
            text = "the price of its operations is that at the peak rate; programs that reach less pay more for each"
            yield Unfair("peak against sustained rate", (result.chip_name,), text)


def _wide_prices(results) -> Iterator[Unfair]:
    for result in results:
        if result.form.kind not in ("quantized", "graded"):
            continue
        bits = max(b for b in (8, result.form.weight_bits, result.form.activation_bits) if b is not None)
        wide = {line.cost.bits for line in result.energy.lines if line.cost.event in MULTIPLICATIONS and line.cost.bits}
        if wide and max(wide) > bits:
            text = f"operands of {bits} bits are charged at a price for {max(wide)}; price what it computes with"
            yield Unfair("price of wider operands", (result.chip_name,), text)


def _operations_of_a_mac(results) -> Iterator[Unfair]:
    for result in results:
        lines = [line.cost for line in result.energy.lines if line.cost.event.startswith("op_")]
        if any(cost.ops_per_mac not in (None, 2) for cost in lines):
            text = "2 operations are counted for a multiply-accumulate, and its price is for another number of them"
            yield Unfair("operations of a multiply-accumulate", (result.chip_name,), text)


def _zeros(results) -> Iterator[Unfair]:
    events = [r for r in results if r.form.kind in ("spiking", "graded")]
    dense = [r for r in results if r not in events and any(r.counts.total(kind) for kind in MULTIPLICATIONS)]
    if events and dense:
        text = (
            "every multiplication with a zero is charged, while spikes skip them; crosswalk.neurobench(network, x) "
            "counts those that a machine which skips zeros would do"
        )
        yield Unfair("zeros multiplied", _names(dense), text)


def _writing(results) -> Iterator[Unfair]:
    measured = [r for r in results if any(line.cost.part == "host" for line in r.energy.lines)]
    results = [r for r in results if r not in measured]  # a machine of the user's, where nothing is counted
    chosen = [r for r in results if r.energy.writing is None]
    if chosen and len(chosen) < len(results):
        yield Unfair("writing left out", _names(chosen), "by choice (writing=None); the others carry their share")
    for result in results:
        energy = result.energy
        if energy.writing is None:
            continue
        kinds = [kind for kind in energy.writes.kinds() if kind in energy.free and energy.writes.total(kind)]
        often = energy.writing.inferences < LOADED_OFTEN or energy.writing.refresh_inferences is not None
        kinds = [kind for kind in kinds if kind != "weight_upload_byte" or often]
        if kinds:
            share = energy.writing.share(energy.seconds / energy.inferences)
            counted = " and ".join(f"{energy.writes.total(kind) * share:.3g} x {kind}" for kind in kinds)
            text = f"{energy.writing}: {counted} an inference are counted, not priced; add a Cost of the event"
            yield Unfair("writing left out", (result.chip_name,), text)


def _routing(results) -> Iterator[Unfair]:
    for result in results:
        parts = {line.cost.part for line in result.energy.lines}
        layers = {line.layer for line in result.energy.lines if line.cost.part in CROSSBAR_PARTS}
        if len(layers) > 1 and not parts & MOVES:
            text = f"what moves between its {len(layers)} layers has no price, on the chip or off it"
            yield Unfair("routing left out", (result.chip_name,), text)


def _host(results) -> Iterator[Unfair]:
    whole = [r for r in results if r.boundary == "board" or any(li.cost.part == "host" for li in r.energy.lines)]
    rest = [r for r in results if r not in whole and not r.energy.unknown]
    if whole and rest:
        text = f"host and board are left out; those of {', '.join(_names(whole))} are in its energy"
        yield Unfair("host left out", _names(rest), text)


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
    _wide_prices,
    _operations_of_a_mac,
    _zeros,
    _writing,
    _routing,
    _host,
)


def _names(results) -> tuple[str, ...]:
    return tuple(dict.fromkeys(r.chip_name for r in results))
