"""core_report: what the registers of an integer network cost, beside the continuous neurons that it came from.

Predicted, from the two networks alone: what rounding does to weights, biases and decays, and what the decay loses by
rounding toward zero. Measured, on spikes: how many spikes come in the same step as in the float run - of each layer
alone, driven by the spikes of the float run, and in the chain, driven by what the integer layers before it make.
"""

from dataclasses import dataclass, replace

import numpy as np

from .. import _checks
from .._counts import aligned
from ..errors import InputError
from ..network import layers as L
from ..network.graph import Network
from ..network.neuron_steps import EULER, Method
from ..network.stepping import run_spiking
from .discretize import CODE_MAX, Ideal, ideal_of
from .populations import populations
from .probing import as_neurons, as_tensor, checked_spikes, probed
from .ranges import convention_of
from .sections import Section, sections_of

WHO = "core_report"


@dataclass(frozen=True)
class Rounded:
    """A decay: the share that a step should lose, and what its register does."""

    wanted: float  # 1/4096
    register: int  # offset of the chip included

    @property
    def error(self) -> float:
        """Relative error of the share; 0 where nothing is to be lost."""
        return self.register / self.wanted - 1.0 if self.wanted else float(self.register != 0)


@dataclass(frozen=True)
class CoreLayer:
    """One layer of a `CoreReport`.

    Attributes
    ----------
    weight_predicted, weight_error : float
        Rounding of the weights, root mean square beside that of the weights: step / sqrt(12), and as it is.
    largest_code : int
        Of 127; small ones waste bits.
    bias_error : float
        Largest rounding of a bias, in thresholds a step.
    threshold_error : float
        Rounding of the threshold, relative: what the scale of the potential leaves, mostly 0.
    current_decay, voltage_decay : Rounded
    truncation : float
        Bound of what rounding toward zero takes from a potential, in thresholds: 4096 / register units.
    spikes, integer_spikes : int
        Of the float run and of the integer layer in the chain.
    alone, chain, chain_near : float
        Share of the spikes of both runs that have their match: in the same step, layer alone; in the same step, in the
        chain; at most one step apart, in the chain. For neurons that do not spike: 1 - rms error / rms potential.
    """

    name: str
    weight_predicted: float
    weight_error: float
    largest_code: int
    bias_error: float
    threshold_error: float
    current_decay: Rounded
    voltage_decay: Rounded
    truncation: float
    spikes: int
    integer_spikes: int
    alone: float
    chain: float
    chain_near: float


@dataclass(frozen=True)
class CoreReport:
    """What `core_report` found; print it."""

    network_name: str
    convention_name: str
    dt: float  # s
    steps: int
    n_inputs: int
    layers: tuple[CoreLayer, ...]

    def table(self) -> str:
        """One line a layer: predicted errors, and the share of spikes that agree."""
        rows = [
            ("layer", "weights", "predicted", "largest code", "bias", "threshold", "du", "error", "dv", "error",
             "truncation", "spikes", "integer", "alone", "chain", "+-1 step")
        ]  # fmt: skip
        for one in self.layers:
            du, dv = one.current_decay, one.voltage_decay
            rows.append((
                one.name, f"{one.weight_error:.2%}", f"{one.weight_predicted:.2%}", str(one.largest_code),
                f"{one.bias_error:.1e}", f"{one.threshold_error:.1e}", str(du.register), f"{du.error:+.2%}",
                str(dv.register), f"{dv.error:+.2%}", f"{one.truncation:.1e}", f"{one.spikes:,}",
                f"{one.integer_spikes:,}", f"{one.alone:.2%}", f"{one.chain:.2%}", f"{one.chain_near:.2%}",
            ))  # fmt: skip
        return aligned(rows)

    def __str__(self):
        head = f"{self.network_name} in the arithmetic of {self.convention_name}"
        return f"{head}: {self.n_inputs} inputs, {self.steps} steps of {self.dt:g} s\n{self.table()}"


def core_report(
    network: Network, integer: Network, chip, x, *, dt: float = 1e-4, method: Method = EULER, threads=None
) -> CoreReport:
    """Errors of an integer network beside the continuous one, layer by layer.

    Parameters
    ----------
    network : Network
        Of continuous neurons.
    integer : Network
        What `to_integer_core` made of it, with the same dt and method.
    chip : SpikingChip or Convention
    x : ``(T, B, *input_shape)`` array
        Spikes, as `run_spiking` takes them; T is that of the integer network.
    dt, method
        As in `to_integer_core`. A delay of inputs is left out on both sides: windows of layers are aligned.

    Returns
    -------
    CoreReport
    """
    convention = convention_of(chip, who=WHO)
    for value, name in ((network, "network"), (integer, "integer")):
        _checks.instance(value, Network, who=WHO, name=name)
    x = checked_spikes(x, network, who=WHO)
    sections = sections_of(network)
    pairs = _pairs(integer, sections)
    if len(x) != integer.steps:
        raise InputError(f"{WHO}: x has {len(x)} steps, network '{integer.name}' runs {integer.steps}")
    method = replace(method, input_delay=0)
    names = [section.neuron.name for section in sections]
    _, floats = run_spiking(network, x, dt=dt, method=method, keep=names)
    found, threads = populations(integer), _checks.threads(threads, who=WHO)
    arriving = [as_neurons(x, network.input_shape)]
    arriving += [as_neurons(floats[name], network.shapes[name]) for name in names[:-1]]
    layers, chain = [], arriving[0]
    for index, (section, pair) in enumerate(zip(sections, pairs, strict=True)):
        alone = probed(found[index + 1], [arriving[index]], convention, threads)
        follows = probed(found[index + 1], [chain], convention, threads) if index else alone
        chain = follows.spikes
        predicted = _predicted(section, pair, ideal_of(section, dt, method), convention)
        measured = _measured(floats[section.neuron.name], alone, follows, pair[1], network.shapes)
        layers.append(CoreLayer(name=section.neuron.name, **predicted, **measured))
    return CoreReport(network.name, convention.name, dt, integer.steps, x.shape[1], tuple(layers))


def _pairs(integer: Network, sections: list[Section]) -> list[tuple[L.Weighted, L.Lif]]:
    """The weighted layer and the Lif of each section."""
    weighted = [layer for layer in integer.layers if isinstance(layer, L.Weighted)]
    neurons = [layer for layer in integer.layers if isinstance(layer, L.Lif)]
    if [n.name for n in neurons] != [section.neuron.name for section in sections] or len(weighted) != len(neurons):
        raise InputError(
            f"{WHO}: network '{integer.name}' was not made of the other one: its neurons are called "
            f"{', '.join(n.name for n in neurons)}"
        )
    return list(zip(weighted, neurons, strict=True))


def _predicted(section: Section, pair, ideal: Ideal, convention) -> dict:
    weighted, lif = pair
    step = weighted.weight_grid.scale.reshape(-1, *(1,) * (weighted.weight.ndim - 1))
    real = section.weighted.weight * np.sign(ideal.gain).reshape(step.shape)
    rms = float(np.sqrt((real**2).mean())) or 1.0
    s = 2.0**lif.weight_shift / (weighted.weight_grid.scale * np.where(ideal.gain == 0, 1.0, np.abs(ideal.gain)))
    whole = lif.threshold or CODE_MAX * 2.0**lif.weight_shift
    bias = 0.0 if section.weighted.bias is None else section.weighted.bias * ideal.bias_gain * s
    bias = bias + s * ideal.rest * ideal.voltage_decay
    missed = 0.0 if ideal.level is None else float(np.abs(lif.threshold / (s * ideal.level) - 1.0).max())
    du = Rounded(4096 * ideal.current_decay, lif.current_decay + convention.current_decay_offset)
    dv = Rounded(4096 * ideal.voltage_decay, lif.voltage_decay + convention.voltage_decay_offset)
    return {
        "weight_predicted": float(np.sqrt((step**2 / 12 + 0 * real).mean())) / rms,
        "weight_error": float(np.sqrt(((weighted.weight * step - real) ** 2).mean())) / rms,
        "largest_code": int(np.abs(weighted.weight.astype(int)).max()),
        "bias_error": float(np.abs(lif.bias - bias).max()) / whole,
        "threshold_error": 0.0 if missed < 1e-12 else missed,
        "current_decay": du,
        "voltage_decay": dv,
        "truncation": sum(4096 / d.register / whole for d in (du, dv) if d.register and d.register < 4096),
    }


def _measured(wanted: np.ndarray, alone, chain, lif: L.Lif, shapes) -> dict:
    shape = shapes[lif.name]
    if lif.threshold is None:
        found = [_closeness(wanted, as_tensor(probe.v, shape) * lif.scale) for probe in (alone, chain)]
        return {"spikes": 0, "integer_spikes": 0, "alone": found[0], "chain": found[1], "chain_near": found[1]}
    ours = [as_tensor(probe.spikes, shape) != 0 for probe in (alone, chain)]
    return {
        "spikes": int(wanted.sum()),
        "integer_spikes": int(ours[1].sum()),
        "alone": spike_agreement(wanted, ours[0]),
        "chain": spike_agreement(wanted, ours[1]),
        "chain_near": spike_agreement(wanted, ours[1], steps=1),
    }


def spike_agreement(a: np.ndarray, b: np.ndarray, *, steps: int = 0) -> float:
    """Share of the spikes of two runs (T, ...) that have one in the other run, at most `steps` steps apart; 0 to 1.

    Two runs without a spike agree: 1.
    """
    total = int(a.sum()) + int(b.sum())
    if not total:
        return 1.0
    return float((a & _widened(b, steps)).sum() + (b & _widened(a, steps)).sum()) / total


def _widened(spikes: np.ndarray, steps: int) -> np.ndarray:
    """Where a spike is at most `steps` steps away."""
    found = spikes.copy()
    for late in range(1, min(steps, len(spikes) - 1) + 1):
        found[late:] |= spikes[:-late]
        found[:-late] |= spikes[late:]
    return found


def _closeness(wanted: np.ndarray, ours: np.ndarray) -> float:
    rms = float(np.sqrt((wanted**2).mean()))
    return 1.0 - float(np.sqrt(((ours - wanted) ** 2).mean())) / rms if rms else float(not ours.any())
