"""Result: what one network did on one chip: outputs, accuracy, counts, energy and time."""

import html
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import sqrt
from typing import Any

import numpy as np

from . import _checks
from ._counts import Counts, si
from ._statistics import wilson
from .area import Area
from .energy import Energy
from .errors import InputError
from .pipeline import Pipeline
from .usage import Usage


@dataclass(frozen=True)
class Scores:
    """Accuracy against labels, with the two uncertainties kept apart.

    by_trial: accuracy of each programmed chip. image_interval: 95 % Wilson interval of the mean accuracy over the
    images. chip_interval: 95 % Student interval of the mean over chips; None with one trial.
    """

    by_trial: tuple[float, ...]
    image_interval: tuple[float, float]
    chip_interval: tuple[float, float] | None

    @property
    def accuracy(self) -> float:
        return float(np.mean(self.by_trial))

    @classmethod
    def of(cls, predictions: np.ndarray, labels: np.ndarray) -> "Scores":
        """Scores of predictions (trials, B) against labels (B,)."""
        by_trial = (predictions == labels).mean(axis=1)
        mean = float(by_trial.mean())
        return cls(tuple(map(float, by_trial)), wilson(mean, len(labels)), _student(by_trial))


def _student(values: np.ndarray) -> tuple[float, float] | None:
    if len(values) < 2:
        return None
    from scipy.special import stdtrit

    half = float(stdtrit(len(values) - 1, 0.975) * values.std(ddof=1) / sqrt(len(values)))
    return float(values.mean()) - half, float(values.mean()) + half


@dataclass(frozen=True, kw_only=True)
class Form:
    """In what form a network computed, for comparisons that should be fair.

    kind: "float", "quantized", "spiking", or "graded" where spikes carry integers. weight_bits, activation_bits: the
    widest weights, and the widest values that weighted layers read, but for the first; None in floating point, and
    where spikes in time stand for values. steps: presentation time of a spiking network. macs: multiply-accumulates
    of one inference of the dense network, zeros included; for a spiking one those of one step, all inputs spiking.
    """

    kind: str
    weight_bits: int | None
    activation_bits: int | None
    steps: int | None
    macs: int

    @property
    def matched_bits(self) -> int | None:
        """Activation bits that hold as many levels as spikes in `steps` steps, ceil(log2(steps + 1)).

        Reference: Yan 2024, arXiv:2409.08290.
        """
        return None if self.steps is None else (self.steps).bit_length()


@dataclass(frozen=True, eq=False, kw_only=True)
class Result:
    """What a network did on a chip.

    Attributes
    ----------
    network_name, chip_name : str
    outputs : (B, K) float32
        Of the first trial; `trial_outputs` (trials, B, K) has all.
    predictions : (B,) int
        Index of the largest output, first trial.
    scores : Scores or None
        None without labels.
    n_images, n_trials : int
    batch : int
        Inferences launched together; 1 unless the chip batches.
    counts : Counts
        Events of all images of one trial, by layer and kind, as the engine counted them.
    energy : Energy
        Joules of all images of one trial, line by line.
    latency_per_inference : float, s
        From input to output, of a whole batch where there is one.
    throughput : float, inferences / s
    n_units : int
        Tiles, cores or arrays in use.
    utilisation : float, 0 to 1
    traces : mapping
        What the substrate recorded besides.
    warnings : tuple of str
        What should worry the user: clipping, overflow, inputs outside the calibrated range.
    notes : tuple of str
        Settings and assumptions that the figures rest on.
    seed : int
    versions : mapping
    data_hash : str
        Digest of inputs and labels.
    form : Form
        Whether the network was float, quantized or spiking, its bits and steps.
    usage : Usage or None
        Shares of units, cells, time and work in use; None for measured machines.
    area : Area
        Areas of the chip and of its units, as published.
    pipeline : Pipeline or None
        The layers at work, where each has arrays of its own and is not spiking.
    """

    network_name: str
    chip_name: str
    outputs: np.ndarray
    predictions: np.ndarray
    scores: Scores | None
    n_images: int
    n_trials: int
    batch: int
    counts: Counts
    energy: Energy
    latency_per_inference: float
    throughput: float
    n_units: int
    utilisation: float
    traces: Mapping[str, Any]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    seed: int
    versions: Mapping[str, str]
    data_hash: str
    trial_outputs: np.ndarray
    form: Form
    usage: Usage | None = None
    area: Area = field(default=Area())
    pipeline: Pipeline | None = None

    @property
    def accuracy(self) -> float | None:
        """Mean accuracy over trials, 0 to 1; None without labels."""
        return None if self.scores is None else self.scores.accuracy

    @property
    def accuracy_interval(self) -> tuple[float, float] | None:
        """95 % Wilson interval over images."""
        return None if self.scores is None else self.scores.image_interval

    @property
    def chip_interval(self) -> tuple[float, float] | None:
        """95 % Student interval of the mean over programmed chips; None with one trial or without labels."""
        return None if self.scores is None else self.scores.chip_interval

    @property
    def boundary(self) -> str:
        """What the static part of the energy covers: used cores, powered chip, or board."""
        return self.energy.boundary

    @property
    def energy_per_inference(self) -> float:
        """Joules; NaN where no price is public."""
        return self.energy.per_inference

    @property
    def used_mm2(self) -> float | None:
        """Area of the units in use, mm2; None where that of one unit is not known."""
        return self.area.used_mm2(self.n_units)

    @property
    def chip_mm2(self) -> float | None:
        """Area of the dies that the units lie on, mm2; None where it is not known."""
        if self.area.chip_mm2 is None:
            return None
        return self.area.chip_mm2 * (1 if self.usage is None else self.usage.chips)

    @property
    def energy_delay_product(self) -> float:
        """Joules of an inference times its latency, J s."""
        return self.energy_per_inference * self.latency_per_inference

    def row(self) -> dict[str, Any]:
        """A flat dict for a CSV file; the column names are stable.

        network, chip, accuracy, accuracy_low, accuracy_high (over images), chips_low, chips_high (over trials),
        energy_per_inference_J, energy_low_J, energy_high_J (5 % and 95 % of the draws from the bands of the prices),
        dynamic_J, static_J (all per inference), latency_s, energy_delay_Js, throughput_per_s, units, utilisation,
        boundary, batch, images, trials, seed, version, data_hash, units_present, busy, work (shares, as in `Usage`),
        used_mm2 (of the units in use), chip_mm2 (of the dies). Unknown values are None.
        """
        low, high = self.accuracy_interval or (None, None)
        chips_low, chips_high = self.chip_interval or (None, None)
        least, _, most = self.energy.spread()
        return {
            "network": self.network_name,
            "chip": self.chip_name,
            "accuracy": self.accuracy,
            "accuracy_low": low,
            "accuracy_high": high,
            "chips_low": chips_low,
            "chips_high": chips_high,
            "energy_per_inference_J": _known(self.energy_per_inference),
            "energy_low_J": _known(least / self.n_images),
            "energy_high_J": _known(most / self.n_images),
            "dynamic_J": _known(self.energy.dynamic / self.n_images),
            "static_J": _known(self.energy.static / self.n_images),
            "latency_s": self.latency_per_inference,
            "energy_delay_Js": _known(self.energy_delay_product),
            "throughput_per_s": self.throughput if np.isfinite(self.throughput) else None,
            "units": self.n_units,
            "utilisation": self.utilisation,
            "boundary": self.boundary,
            "batch": self.batch,
            "images": self.n_images,
            "trials": self.n_trials,
            "seed": self.seed,
            "version": self.versions["neuroemu"],
            "data_hash": self.data_hash,
            "units_present": None if self.usage is None else self.usage.present,
            "busy": None if self.usage is None else self.usage.busy,
            "work": None if self.usage is None else self.usage.work,
            "used_mm2": self.used_mm2,
            "chip_mm2": self.chip_mm2,
        }

    def __repr__(self):
        lines = [f"{self.network_name} on {self.chip_name}"]
        lines += [f"  {name:<12}{text}" for name, text in _facts(self).items()]
        lines += [f"  warning: {text}" for text in self.warnings]
        return "\n".join(lines)

    def _repr_html_(self):
        cells = "".join(f"<tr><th>{html.escape(k)}</th><td>{html.escape(v)}</td></tr>" for k, v in _facts(self).items())
        warned = "".join(f"<p>warning: {html.escape(w)}</p>" for w in self.warnings)
        caption = f"{html.escape(self.network_name)} on {html.escape(self.chip_name)}"
        return f"<table><caption>{caption}</caption>{cells}</table>{warned}"


@dataclass(frozen=True)
class ChipYield:
    """Share of programmed chips that are good enough, with its 95 % Wilson interval over chips."""

    minimum_accuracy: float
    share: float
    interval: tuple[float, float]
    n_chips: int

    def __repr__(self):
        return (
            f"{percent_interval(self.share, self.interval)} of {self.n_chips} chips reach "
            f"{100 * self.minimum_accuracy:g} %"
        )


def chip_yield(result: Result, minimum_accuracy: float) -> ChipYield:
    """Share of the programmed chips (the trials of `result`) whose accuracy is at least `minimum_accuracy`.

    Parameters
    ----------
    result : Result
        With labels; each trial is a chip.
    minimum_accuracy : float, 0 to 1

    Returns
    -------
    ChipYield

    Raises
    ------
    ArgumentTypeError, InputError
        No Result, one without labels, or a minimum outside 0 to 1.

    Notes
    -----
    The accuracy of a chip is that on the images of the run: near the minimum, few images blur the yield.
    """
    _checks.instance(result, Result, who="chip_yield", name="result")
    least = _checks.real(minimum_accuracy, who="chip_yield", name="minimum_accuracy", low=0.0, high=1.0)
    if result.scores is None:
        raise InputError("chip_yield: the result has no accuracy; run with labels=")
    chips = np.array(result.scores.by_trial)
    share = float(np.mean(chips >= least - 1e-12))
    return ChipYield(least, share, wilson(share, len(chips)), len(chips))


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value


def percent_interval(middle, interval) -> str:
    return f"{100 * middle:.2f} % [{100 * interval[0]:.2f}, {100 * interval[1]:.2f}]"


def _facts(result: Result) -> dict[str, str]:
    facts = {}
    if result.scores is not None:
        facts["accuracy"] = (
            percent_interval(result.accuracy, result.accuracy_interval) + f" over {result.n_images:,} images"
        )
    if result.chip_interval is not None:
        facts["over chips"] = percent_interval(result.accuracy, result.chip_interval) + f" over {result.n_trials} chips"
    per = result.n_images
    facts["energy"] = (
        f"unknown: {result.energy.unknown}"
        if result.energy.unknown
        else (
            f"{si(result.energy_per_inference, 'J')} an inference: dynamic {si(result.energy.dynamic / per, 'J')}, "
            f"static {si(result.energy.static / per, 'J')} (boundary: {result.boundary})"
        )
    )
    facts["latency"] = (
        f"{si(result.latency_per_inference, 's')} (batch {result.batch}), {result.throughput:,.0f} inferences/s"
    )
    facts["placed on"] = (
        f"{result.n_units} units, {result.utilisation:.0%} used" if result.usage is None else str(result.usage)
    )
    if result.pipeline is not None:
        facts["pipeline"] = _pipeline(result.pipeline)
    facts["area"] = _area(result)
    facts["seed"] = f"{result.seed}, neuroemu {result.versions['neuroemu']}"
    return facts


def _pipeline(pipeline: Pipeline) -> str:
    """Pace, the layer that sets it, and copies."""
    copies = ", ".join(f"{name} x{n}" for name, n in pipeline.copies.items() if n > 1)
    return f"{si(pipeline.interval, 's')} an image, set by '{pipeline.bottleneck.name}'; copies: {copies or 'none'}"


def _area(result: Result) -> str:
    """Area of the used units, and of the whole die; never of one told by the other."""
    used, area = result.used_mm2, result.area
    parts = ["of the units unknown" if used is None else f"{used:.3g} mm2 of {area.unit}s in use"]
    parts.append("of the die unknown" if area.chip_mm2 is None else f"die {area.chip_text()} mm2")
    return ", ".join(parts)
