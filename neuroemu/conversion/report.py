"""conversion_report: what became of each activation when a network was made spiking, layer by layer, on real inputs.

A neuron's rate times the value of a spike stands for an activation. Their difference has three parts that add up: what
the layers before hand on (inherited), what 8-bit weights and whole biases change (rounding), and what whole spikes in
finitely many steps cannot say (steps). A bias that was corrected on samples counts as rounded.

Rounding and steps are predicted without a spike: rounding from the codes and the float activations, steps from a neuron
that gets its activation evenly in every step, saturation included. Spikes that arrive unevenly come on top: the
difference between steps as measured and as predicted.

References
----------
B. Rueckauer et al., Front. Neurosci. 2017, doi:10.3389/fnins.2017.00682 (errors of rates, layer by layer).
T. Bu et al., ICLR 2022, arXiv:2303.04347 (clipping, quantization and unevenness errors).
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from .. import _checks
from .._counts import aligned
from ..errors import InputError
from ..network.floating import run_float
from ..network.graph import Network
from ..network.integer import run_integer
from ..spiking.probing import batches, checked
from ..spiking.ranges import convention_of
from ..transform.pooling import MaxPooling
from ..transform.stages import decoded
from .layers import add_batch, plan_of
from .tally import Tally

WHO = "conversion_report"


@dataclass(frozen=True)
class LayerConversion:
    """One layer of a `ConversionReport`. Errors are root mean squares beside that of the float activations.

    Attributes
    ----------
    name : str
        The activation that the neurons stand for; "input"; or the output.
    neurons : int
    unit : float
        Value of a neuron that spikes in every step; of one unit of the output for the last layer.
    error, inherited, rounding, steps : float
        The whole error, and its parts: they add up value by value, not as root mean squares.
    predicted_rounding, predicted_steps : float
        NaN where nothing predicts it: max pooling by a rule.
    saturated : float
        Share of the activations above `unit`, which no rate can say.
    silent, dead : float
        Share of the neurons that never spike on these inputs, and of those whose activation is 0 on all of them.
    always : float
        Share of the neurons that spike in every step of every input.
    rate : float
        Mean spikes a neuron and step.
    spikes : float
        Mean spikes an input.
    """

    name: str
    neurons: int
    unit: float
    error: float
    inherited: float
    rounding: float
    predicted_rounding: float
    steps: float
    predicted_steps: float
    saturated: float
    silent: float
    dead: float
    always: float
    rate: float
    spikes: float

    @property
    def own(self) -> float:
        """What this layer adds: rounding and steps, measured, as if independent."""
        return float(np.hypot(self.rounding, self.steps))

    @property
    def predicted(self) -> float:
        """The same, predicted."""
        return float(np.hypot(self.predicted_rounding, self.predicted_steps))


@dataclass(frozen=True, eq=False)
class ConversionReport:
    """What `conversion_report` found; print it, or draw it with `plot.conversion`.

    Attributes
    ----------
    network_name, spiking_name : str
    n_inputs, steps, depth : int
    layers : tuple of LayerConversion
    accuracy : mapping of "float", "integer", "spiking" -> share of right answers; empty without labels
    agreement : mapping of (form, form) -> share of inputs with the same answer
    """

    network_name: str
    spiking_name: str
    n_inputs: int
    steps: int
    depth: int
    layers: tuple[LayerConversion, ...]
    accuracy: Mapping[str, float]
    agreement: Mapping[tuple[str, str], float]

    def column(self, name: str) -> np.ndarray:
        """One field of every layer, such as "error" or "rate"."""
        known = [field.name for field in fields(LayerConversion)] + ["own", "predicted"]
        _checks.choice(name, known, who="ConversionReport.column", name="name")
        return np.array([getattr(layer, name) for layer in self.layers])

    def table(self) -> str:
        """One line a layer; errors in % of the rms activation."""
        rows = [
            ("layer", "neurons", "error", "inherited", "rounding", "predicted", "steps", "predicted", "saturated",
             "silent", "dead", "always", "rate", "spikes")
        ]  # fmt: skip
        for one in self.layers:
            errors = (
                one.error, one.inherited, one.rounding, one.predicted_rounding, one.steps, one.predicted_steps,
                one.saturated, one.silent, one.dead, one.always,
            )  # fmt: skip
            cells = ["-" if np.isnan(value) else f"{value:.2%}" for value in errors]
            rows.append((one.name, f"{one.neurons:,}", *cells, f"{one.rate:.3f}", f"{one.spikes:,.0f}"))
        return aligned(rows)

    def __str__(self):
        head = f"{self.spiking_name}: {self.steps} steps + {self.depth}, {self.n_inputs:,} inputs"
        right = "; ".join(f"{form} {value:.2%}" for form, value in self.accuracy.items())
        same = "; ".join(f"{a} and {b} {value:.2%}" for (a, b), value in self.agreement.items())
        lines = [head, self.table(), f"same answers: {same}"]
        return "\n".join([*lines, f"accuracy: {right}"] if right else lines)


def conversion_report(
    network: Network,
    spiking: Network,
    chip,
    x: np.ndarray,
    *,
    labels=None,
    max_pooling: MaxPooling | None = None,
    seed: int = 0,
    threads: int | None = None,
) -> ConversionReport:
    """Errors, saturation and rates of every layer of a converted network, beside the network that it came from.

    Parameters
    ----------
    network : Network
        Float or quantized, as it was given to `to_spiking`; if quantized, integers stand beside floats and spikes.
    spiking : Network
        What `to_spiking` made of it.
    chip : SpikingChip or Convention
        The arithmetic that the spikes are computed in.
    x : ``(B, *input_shape)`` array
    labels : (B,) integers, optional
        With them accuracies are reported.
    max_pooling : OrPooling or AveragePooling, optional
        The rule that was given to `to_spiking`. What it gets wrong counts among the steps, and is not predicted.
    seed, threads
        As in `run`.

    Returns
    -------
    ConversionReport

    Raises
    ------
    InputError
        The second network was not made of the first, or arguments that do not fit.
    """
    from threadpoolctl import threadpool_limits

    convention, x, labels = _checked(network, spiking, chip, x, labels)
    _checks.integer(seed, who=WHO, name="seed", low=0, high=2**63 - 1)
    threads = _checks.threads(threads, who=WHO)
    real = decoded(network)
    plan = plan_of(real, spiking, convention, max_pooling)
    tallies = {layer.name: Tally() for layer in plan.layers}
    answers: dict[str, list] = {"float": [], "integer": [], "spiking": []}
    with threadpool_limits(limits=1, user_api="blas"):  # sums whose bits do not depend on the machine's cores
        for batch in batches(spiking, x, convention, seed=seed, threads=threads):
            part = x[batch.first : batch.first + len(batch.potentials)]
            output, floats = run_float(real, part, keep=[layer.name for layer in plan.layers])
            answers["float"].append(output.argmax(axis=1))
            if network.quantized:
                answers["integer"].append(run_integer(network, part).argmax(axis=1))
            answers["spiking"].append(batch.potentials.argmax(axis=1))
            add_batch(plan, tallies, floats, batch)
    found = {form: np.concatenate(parts) for form, parts in answers.items() if parts}
    return ConversionReport(
        network_name=network.name, spiking_name=spiking.name, n_inputs=len(x), steps=spiking.steps,
        depth=batch.populations[-1].level,
        layers=tuple(LayerConversion(name=layer.name, **tallies[layer.name].result(layer)) for layer in plan.layers),
        accuracy={} if labels is None else {form: float((said == labels).mean()) for form, said in found.items()},
        agreement=_agreement(found),
    )  # fmt: skip


def _checked(network, spiking, chip, x, labels):
    """(convention, inputs, labels), if they fit both networks."""
    convention = convention_of(chip, who=WHO)
    _checks.instance(network, Network, who=WHO, name="network")
    if network.spiking:
        raise InputError(f"{WHO}: network '{network.name}' is spiking; give the one that it was made of, then it")
    x = checked(x, spiking, who=WHO)
    x = network.check_input(x, who=WHO)
    if labels is not None:
        labels = _checks.labels(labels, n=len(x), classes=spiking.output_shape[0], who=WHO)
    return convention, x, labels


def _agreement(found: Mapping[str, np.ndarray]) -> dict[tuple[str, str], float]:
    """Share of the inputs with the same answer, for each pair of forms."""
    forms = list(found)
    pairs = [(a, b) for place, a in enumerate(forms) for b in forms[place + 1 :]]
    return {(a, b): float((found[a] == found[b]).mean()) for a, b in pairs}
