"""noise_budget: how much each imperfection of a chip adds to the error of each layer, one at a time and together.

Enter a quantized network, a chip and inputs; leave, by layer and effect, the root mean square error of the layer's sums
over the root mean square of the exact sums. Every layer is driven by the exact activations of the integer reference, so
that errors of earlier layers do not mix in.
"""

from dataclasses import dataclass, replace

import numpy as np

from .. import _checks
from .._counts import aligned
from ..devices import Cells, Device, Wrapper
from ..errors import PlacementError
from ..network.graph import Network
from ..network.integer import exact_multiply, run_integer
from .building import engines_of, program_cells
from .chip import CrossbarChip, ideal
from .compensation import NoCompensation

CURVE, WIRES = "I-V curve", "wires"  # told apart only for cells that have one


@dataclass(frozen=True, eq=False)
class NoiseBudget:
    """Relative errors of one chip.

    Attributes
    ----------
    chip_name : str
    errors : dict layer -> dict effect -> float
        Root mean square error over root mean square of the exact sums. "together" has all effects without a digital
        compensation, "compensated" all with the one of the chip. "I-V curve" is there for cells that are not ohmic.
    n_inputs, n_trials : int
    """

    chip_name: str
    errors: dict[str, dict[str, float]]
    n_inputs: int
    n_trials: int

    def __repr__(self):
        rows = [("layer", *next(iter(self.errors.values())))]
        rows += [(name, *(f"{100 * error:.2f} %" for error in row.values())) for name, row in self.errors.items()]
        return f"{self.chip_name}, {self.n_inputs} inputs, {self.n_trials} chips\n{aligned(rows)}"


def noise_budget(
    network: Network, chip: CrossbarChip, x: np.ndarray, *, seed: int = 0, trials: int = 3, threads: int | None = None
) -> NoiseBudget:
    """Relative error of each layer's sums from each imperfection alone, and from all.

    Parameters
    ----------
    network : Network
        Quantized, with samples where the chip calibrates on them.
    chip : CrossbarChip
    x : ``(B, *network.input_shape)`` array
        A hundred inputs are plenty.
    seed : int
    trials : int
        Programmed chips to average over, in the mean square.
    threads : int, optional

    Returns
    -------
    NoiseBudget

    Raises
    ------
    ArgumentTypeError, InputError, PlacementError
        As `run`.
    """
    who = "noise_budget"
    _checks.instance(network, Network, who=who, name="network")
    _checks.instance(chip, CrossbarChip, who=who, name="chip")
    _checks.integer(trials, who=who, name="trials", low=1, high=10_000)
    _checks.integer(seed, who=who, name="seed", low=0)
    threads = _checks.threads(threads, who=who)
    if network.spiking:
        raise PlacementError(f"{who}: network '{network.name}' computes with spikes; give the quantized network")
    if not chip.place(network):
        raise PlacementError(f"{who}: network '{network.name}' has only zero weights; there is nothing to measure")
    sampled = chip.sampled_rows(network)
    variants = _variants(chip)
    total = {layer.name: dict.fromkeys(("exact", *variants), 0.0) for layer in network.weighted}
    for trial in range(trials):
        for effect, variant in variants.items():
            cells = program_cells(variant, network, seed=seed, trial=trial)
            keys = {"made": (seed, trial), "seed": seed, "trial": trial}
            engines = engines_of(variant, network, cells, sampled, threads=threads, **keys)

            def measure(layer, drive, first, engines=engines, effect=effect, count=trial == 0):
                exact = exact_multiply(layer, drive, first).astype(np.float64)
                error = engines[layer.name].multiply(drive, first) - exact
                total[layer.name][effect] += float((error**2).sum()) / trials
                if effect == "together" and count:
                    total[layer.name]["exact"] += float((exact**2).sum())
                return exact

            run_integer(network, x, multiply=measure)
    errors = {
        name: {effect: float(np.sqrt(row[effect] / row["exact"])) if row["exact"] else 0.0 for effect in variants}
        for name, row in total.items()
    }
    return NoiseBudget(chip.name, errors, len(x), trials)


def _variants(chip: CrossbarChip) -> dict[str, CrossbarChip]:
    """A chip for each effect."""
    perfect = replace(ideal(chip), seconds=chip.seconds)
    curve = {} if chip.device.iv is None else {CURVE: replace(perfect, device=_Part(chip.device, curve=True))}
    wires = {} if chip.wires is None else {WIRES: replace(perfect, device=_Part(chip.device), wires=chip.wires)}
    return {
        "programming": replace(perfect, device=_Part(chip.device, programming=True)),
        "drift": replace(perfect, device=_Part(chip.device, drift=True)),
        "read noise": replace(perfect, device=_Part(chip.device, read_noise=True)),
        **curve,
        **wires,
        "DAC": replace(perfect, dac=chip.dac),
        "ADC": replace(perfect, adc=chip.adc),
        "together": replace(chip, compensation=NoCompensation()),
        "compensated": chip,
    }


@dataclass(frozen=True)
class _Part(Wrapper):
    """A device with only some of its imperfections."""

    device: Device
    programming: bool = False
    drift: bool = False
    read_noise: bool = False
    curve: bool = False

    @property
    def iv(self):
        return self.device.iv if self.curve else None

    def program(self, target, generator) -> Cells:
        cells = self.device.program(target, generator)
        return cells if self.programming else replace(cells, conductance=np.asarray(target, np.float64))

    def conductance(self, cells, seconds):
        at_once = self.device.conductance(cells, 0.0)  # with what cells keep apart, as disturb, and lines that touch
        if self.programming:
            return at_once
        if not self.drift:
            return cells.conductance
        return np.maximum(cells.conductance + (self.device.conductance(cells, seconds) - at_once), 0.0)

    def read_sigma(self, cells, seconds):
        return self.device.read_sigma(cells, seconds) if self.read_noise else np.zeros_like(cells.conductance)
