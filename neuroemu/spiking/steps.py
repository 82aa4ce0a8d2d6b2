"""steps_curve and calibrate_stop: what a spiking network answers after each of its steps, all from one run.

The answer after t steps of the read-out is the one that a presentation of t steps would have given: layers before have
run ahead, but nothing of that has arrived. It leaves the chip after t + depth steps.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .. import _checks
from .._counts import aligned
from ..errors import InputError
from ..network.graph import Network
from .probing import batches, checked
from .ranges import convention_of
from .stopping import StopWhenSure, lead, outputs_by_step

SAFETY = 2.0  # factor on a margin that few samples gave; see the notes of `calibrate_stop`


@dataclass(frozen=True, eq=False)
class StepsCurve:
    """Answers of B inputs after each of T steps; draw it with `plot.steps`.

    Attributes
    ----------
    predictions : (T, B) int
        The class with the largest output after each step.
    leads : (T, B) float64
        How far it leads the second, in units of the output, summed up so far: see `StopWhenSure`.
    labels : (B,) int or None
    depth : int
        Steps from the input to the read-out; an answer after t steps leaves the chip after t + depth.
    """

    network_name: str
    predictions: np.ndarray
    leads: np.ndarray
    labels: np.ndarray | None
    depth: int

    @property
    def steps(self) -> np.ndarray:
        """1 .. T."""
        return np.arange(1, len(self.predictions) + 1)

    @cached_property
    def accuracy(self) -> np.ndarray | None:
        """(T,) share of right answers, 0 to 1; None without labels."""
        return None if self.labels is None else (self.predictions == self.labels).mean(axis=1)

    @cached_property
    def agreement(self) -> np.ndarray:
        """(T,) share of answers that are those after the last step."""
        return (self.predictions == self.predictions[-1]).mean(axis=1)

    def stopped(self, rule: StopWhenSure) -> "Stopped":
        """What a rule would do with these inputs."""
        steps = rule.steps(self.leads.T)
        answers = self.predictions[steps - 1, np.arange(len(steps))]
        right = None if self.labels is None else float((answers == self.labels).mean())
        return Stopped(rule, steps, float((answers == self.predictions[-1]).mean()), right)

    def table(self) -> str:
        """Steps 1, 2, 4 ... T: accuracy, agreement with the last answer, and steps of the chip."""
        last = len(self.predictions)
        rows = [("steps", "accuracy", "agreement", "steps of the chip")]
        for t in [*(1 << n for n in range(last.bit_length()) if 1 << n < last), last]:
            right = "-" if self.accuracy is None else f"{self.accuracy[t - 1]:.2%}"
            rows.append((str(t), right, f"{self.agreement[t - 1]:.2%}", str(t + self.depth)))
        return aligned(rows)

    def __str__(self):
        return f"{self.network_name}, {self.predictions.shape[1]} inputs\n{self.table()}"


@dataclass(frozen=True, eq=False)
class Stopped:
    """What stopping early does: steps (B,) of each input, agreement with the last step, and accuracy or None."""

    rule: StopWhenSure
    steps: np.ndarray
    agreement: float
    accuracy: float | None

    def __str__(self):
        right = "" if self.accuracy is None else f", accuracy {self.accuracy:.2%}"
        return (
            f"lead {self.rule.margin:.4g}: {self.steps.mean():.2f} steps in the mean, {self.agreement:.2%} of the "
            f"answers those of the last step{right}"
        )


def steps_curve(network: Network, chip, x, *, labels=None, seed: int = 0, threads=None) -> StepsCurve:
    """Answers after each step of the presentation, from one run.

    Parameters
    ----------
    network : Network
        Spiking.
    chip : SpikingChip or Convention
    x : ``(B, *input_shape)`` array
    labels : (B,) integers, optional
    seed, threads
        As in `run`.

    Returns
    -------
    StepsCurve
    """
    who = "steps_curve"
    convention, x = convention_of(chip, who=who), checked(x, network, who=who)
    if len(network.output_shape) != 1:
        shape = network.output_shape
        raise InputError(f"{who}: network '{network.name}' gives outputs of shape {shape}; add a Flatten")
    if labels is not None:
        labels = _checks.labels(labels, n=len(x), classes=network.output_shape[0], who=who)
    _checks.integer(seed, who=who, name="seed", low=0, high=2**63 - 1)
    threads = _checks.threads(threads, who=who)
    predictions, leads = [], []
    for batch in batches(network, x, convention, seed=seed, threads=threads):
        by_step = outputs_by_step(batch.populations, batch.spikes, convention, threads)
        predictions.append(by_step.argmax(axis=2).T)
        leads.append(lead(by_step).T)
    joined = [np.concatenate(parts, axis=1) for parts in (predictions, leads)]
    return StepsCurve(network.name, *joined, labels, batch.populations[-1].level)


def calibrate_stop(
    network: Network,
    chip,
    samples=None,
    *,
    agreement: float = 0.999,
    safety: float = SAFETY,
    first: int = 1,
    seed: int = 0,
    threads=None,
) -> StopWhenSure:
    """The rule that stops as early as it can with a wanted agreement on training samples, times a factor of safety.

    Parameters
    ----------
    network : Network
        Spiking.
    chip : SpikingChip or Convention
    samples : ``(S, *input_shape)`` array, optional
        Training inputs; those that the network keeps unless given.
    agreement : float, 0 to 1
        Share of the samples whose answer is to be that of the last step, for this margin and every larger one. With
        fewer than 1 / (1 - agreement) samples none may differ.
    safety : float, >= 1
        Factor on that margin, since few samples miss the rare inputs whose lead is lost again; 1 with thousands.
    first : int
        Fewest steps of the read-out.
    seed, threads
        As in `run`.

    Returns
    -------
    StopWhenSure
        ``run(network, replace(chip, stop=rule), x)`` stops by it.

    Notes
    -----
    Of the first 2,000 MNIST test images, the embedded network at 32 steps (reset by subtraction) and 64 (to zero)
    leaves 99.0 and 95.1 % their answer with safety 1 and an agreement of 0.999 on the 512 training images that it
    keeps; with 5,000 training images in their place 99.65 and 99.8 %; with the 512 and safety 2, 100 and 99.9 %.
    """
    who = "calibrate_stop"
    _checks.instance(network, Network, who=who, name="network")
    _checks.real(agreement, who=who, name="agreement", low=0.0, high=1.0)
    safety = _checks.real(safety, who=who, name="safety", low=1.0)
    if samples is None and network.samples is None:
        raise InputError(f"{who}: network '{network.name}' keeps no samples; give training inputs")
    samples = network.samples if samples is None else samples
    curve = steps_curve(network, chip, samples, seed=seed, threads=threads)
    first = _checks.integer(first, who=who, name="first", low=1, high=len(curve.predictions))
    margin = _smallest_margin(curve.predictions[first - 1 :], curve.leads[first - 1 :], 1.0 - agreement)
    return StopWhenSure(margin=safety * margin, first=first)


def _smallest_margin(predictions: np.ndarray, leads: np.ndarray, share: float) -> float:
    """The smallest margin that, like every larger one, stops at most a share of the inputs with a wrong answer.

    A margin m stops an input in step t if the lead reaches it there and did not before: m in (leads before, lead].
    """
    before = np.maximum.accumulate(np.concatenate([np.full((1, leads.shape[1]), -np.inf), leads[:-1]]), axis=0)
    wrong = (predictions != predictions[-1]) & (leads > before)
    below, up_to = np.sort(before[wrong]), np.sort(leads[wrong])
    at_each = len(up_to) - np.searchsorted(up_to, up_to) - (len(below) - np.searchsorted(below, up_to))
    too_many = up_to[at_each > share * leads.shape[1] + 1e-9]
    return float(np.nextafter(too_many[-1], np.inf)) if too_many.size else 0.0
