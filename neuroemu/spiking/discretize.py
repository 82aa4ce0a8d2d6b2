"""to_integer_core: a network of continuous neurons becomes registers and weight codes of an integer core.

One step of a leaky neuron is v <- d v + g r x (`network.neuron_steps`). With s units of the core's potential for each
unit above rest it is the core's step: decay register 4096 (1 - d), weight s g r w, bias s g r b. Behind a synapse the
core's current u is s g r I, so both gains go into the weight. Each neuron has its own s, chosen so that its threshold
is exactly the threshold register of its layer; the rounding that is left is that of weights, biases and decays.

How large s is: the weight codes use their full range, and the weights their largest shift with which no q, u or v of
the samples comes within a factor of 2 of its limit. Larger numbers lose less to the decay, which rounds toward zero.
Where even the smallest shift is too large, the codes leave a part of their range unused.

References
----------
M. Davies et al., IEEE Micro 38(1), 2018, doi:10.1109/MM.2018.112130359 (registers and their widths).
J. E. Pedersen et al., Nat. Commun. 15, 8122 (2024), doi:10.1038/s41467-024-52259-9 (equations of the neurons).
"""

from dataclasses import dataclass, replace

import numpy as np

from .. import _checks
from ..errors import InputError, UnsupportedError
from ..network import layers as L
from ..network import neurons as N
from ..network.graph import INPUT, Network
from ..network.grids import Grid
from ..network.neuron_steps import EULER, Method
from .arithmetic import LOIHI1, Convention
from .populations import Population, populations
from .probing import as_neurons, checked_spikes, closest_to_limit, parts, probed
from .sections import WHO, Section, sections_of

CODE_MAX = 127  # largest weight code of either sign
FEWEST = 6  # smallest shift of a weight, exponent -1: with it even mantissas still lose no bit
# (shift, largest code) to try, the largest numbers first. Below them codes leave a part of their range unused.
SIZES = [(shift, CODE_MAX) for shift in range(14, FEWEST - 1, -1)] + [(FEWEST, CODE_MAX >> n) for n in range(1, 7)]
ROUNDINGS = ("nearest", "down")
ROOM = 2.0  # factor that the samples must leave free in q, u and v


@dataclass(frozen=True, eq=False)
class Ideal:
    """What one section asks of the core in real numbers, before s is chosen.

    Arrays have one entry for each output channel, or neuron of a Dense layer.
    """

    gain: np.ndarray  # units of v, or of u, that an input of 1 adds
    bias_gain: np.ndarray  # units of v that a bias of 1 adds in each step, once the current has settled
    level: np.ndarray | None  # threshold above rest; None for neurons that do not spike
    current_decay: float  # share of u lost in a step, 0 .. 1
    voltage_decay: float
    rest: float = 0.0  # of neurons that do not spike


def to_integer_core(
    network: Network,
    *,
    samples: np.ndarray,
    dt: float = 1e-4,
    method: Method = EULER,
    convention: Convention = LOIHI1,
    threshold_mantissa: int | None = None,
    decay_rounding: str = "nearest",
    name: str | None = None,
) -> Network:
    """The integer network of a chain of continuous neurons, as read from a NIR file.

    Parameters
    ----------
    network : Network
        Float, of Dense, Conv2d, sum or average pooling and layers of `network.neurons`. Only the last layer may be one
        that does not spike.
    samples : ``(T, B, *input_shape)`` array
        Training spikes; they set the presentation to T steps and the size of the numbers.
    dt : float
        Seconds a step.
    method : Method
        How a step of the continuous equations is made, as in `run_spiking`: decay, gain and reset become registers.
        Forward Euler unless given; current-based neurons update their current first, as the core does.
    convention : Convention
    threshold_mantissa : int, 1 .. 131071, optional
        Threshold register of all layers that spike; the samples choose it unless given.
    decay_rounding : {"nearest", "down"}
        How a decay becomes its register.
    name : str, optional

    Returns
    -------
    Network
        Spiking, with an Encode of coding "spikes": it takes ``(B, T, *input_shape)``. `core_report` says what
        each rounding costs.

    Raises
    ------
    UnsupportedError
        What the core cannot hold: recurrence, time constants that differ within a layer, a reset to another value than
        the resting one, thresholds not above rest.
    InputError
        Arguments out of range, or numbers that fit no register.

    Notes
    -----
    A bias behind a synapse is added to v at its settled value from the first step on; the continuous equations let it
    rise with tau_syn. On the chip a layer works one step later than the one before; here windows are aligned.
    """
    settings = _Settings(method, convention, threshold_mantissa, decay_rounding)
    spikes = _checked(network, samples, dt, settings)
    sections = sections_of(network)
    layers: list[L.Layer] = [L.Encode(name="encode", coding="spikes")]
    arriving = as_neurons(spikes, network.input_shape)
    for index, section in enumerate(sections):
        ideal = ideal_of(section, dt, method)
        if not section.neuron.SPIKES and index + 1 < len(sections):
            raise UnsupportedError(
                f"{WHO}: {type(section.neuron).__name__} '{section.neuron.name}' writes a potential and others read "
                "it; only the last layer may"
            )
        layers += [replace(mover, inputs=()) for mover in section.before]
        pair, arriving = _fitted(network, layers, section, ideal, arriving, settings)
        layers += pair
    return _network(network, layers, len(spikes), name or f"{network.name} (integer)")


@dataclass(frozen=True)
class _Settings:
    """What the user chose."""

    method: Method
    convention: Convention
    threshold_mantissa: int | None
    decay_rounding: str


def ideal_of(section: Section, dt: float, method: Method) -> Ideal:
    """Gains, decays and threshold of a section.

    Raises
    ------
    UnsupportedError
        As `to_integer_core`.
    """
    neuron, what = section.neuron, f"{WHO}: {type(section.neuron).__name__} '{section.neuron.name}'"
    if isinstance(neuron, N.IF | N.Integrator):
        gain, keep_v, keep_u, bias = dt * neuron.r, 1.0, 0.0, 1.0
    elif isinstance(neuron, N.LIF | N.LI):
        decay, gain = method.factors(neuron.tau, dt)
        gain, keep_v, keep_u, bias = gain * neuron.r, _one(decay, "tau", what), 0.0, 1.0
    else:
        decay, gain = method.factors(neuron.tau_mem, dt)
        decay_syn, gain_syn = method.factors(neuron.tau_syn, dt)
        keep_v, keep_u = _one(decay, "tau_mem", what), _one(decay_syn, "tau_syn", what)
        gain = gain * neuron.r * gain_syn * neuron.w_in
        bias = 1.0 / (1.0 - keep_u)
    rest = getattr(neuron, "v_leak", np.zeros(neuron.shape))
    level = None
    if neuron.SPIKES:
        level = _by_channel(neuron.v_threshold - rest, what)
        if (level <= 0).any():
            raise UnsupportedError(f"{what} has thresholds down to {level.min():.4g} above rest; they must be above 0")
        if (neuron.v_reset != rest).any():
            raise UnsupportedError(f"{what} resets to another potential than its resting one; the core resets to rest")
        rest = np.zeros(1)
    gain = _by_channel(gain, what)
    return Ideal(gain, gain * bias, level, 1.0 - keep_u, 1.0 - keep_v, _one(rest, "v_leak", what))


def decay_registers(ideal: Ideal, convention: Convention, rounding: str) -> tuple[int, int]:
    """(current_decay, voltage_decay) without the offsets that the chip adds."""
    found = []
    for share, offset in (
        (ideal.current_decay, convention.current_decay_offset),
        (ideal.voltage_decay, convention.voltage_decay_offset),
    ):
        wanted = 4096 * share
        whole = int(np.rint(wanted)) if rounding == "nearest" else int(wanted + 1e-9)
        found.append(min(max(whole - offset, 0), 4096 - offset))
    return found[0], found[1]


def _checked(network, samples, dt, settings: _Settings) -> np.ndarray:
    """The samples as bool, if all arguments are in range."""
    _checks.instance(network, Network, who=WHO, name="network")
    _checks.instance(settings.method, Method, who=WHO, name="method")
    _checks.instance(settings.convention, Convention, who=WHO, name="convention")
    _checks.choice(settings.decay_rounding, ROUNDINGS, who=WHO, name="decay_rounding")
    if settings.threshold_mantissa is not None:
        most = L.THRESHOLD_MANTISSA
        _checks.integer(settings.threshold_mantissa, who=WHO, name="threshold_mantissa", low=1, high=most)
    if not _checks.real(dt, who=WHO, name="dt", low=0.0):
        raise InputError(f"{WHO}: dt is 0 s; give the length of a step, such as 1e-4")
    if network.quantized:
        raise InputError(f"{WHO}: network '{network.name}' holds integer codes already; give the float one")
    if settings.method.early_test:
        raise UnsupportedError(f"{WHO}: the core compares the potential that a step ends with; use early_test=False")
    return checked_spikes(samples, network, who=WHO)


def _one(values, field: str, what: str) -> float:
    """The number that all neurons of a layer share."""
    values = np.asarray(values)
    if np.ptp(values) > 1e-6 * np.abs(values).max():
        raise UnsupportedError(
            f"{what}: {field} gives factors from {values.min():.6g} to {values.max():.6g}; a layer has one decay "
            "register: make layers of neurons that are alike"
        )
    return float(values.flat[0])


def _by_channel(values: np.ndarray, what: str) -> np.ndarray:
    """One number for each output channel."""
    rows = values.reshape(len(values), -1)
    if (rows != rows[:, :1]).any():
        raise UnsupportedError(f"{what}: parameters differ within a channel; a kernel has one scale a channel")
    return rows[:, 0].astype(np.float64)


def _fitted(given, layers, section, ideal, arriving, settings) -> tuple[list[L.Layer], np.ndarray]:
    """The weighted layer and its Lif, with the largest shift that leaves room on the samples, and their spikes."""
    reasons = {}
    for shift, codes in SIZES:
        try:
            pair = _registers(section, ideal, shift, codes, settings)
        except _NoRegisterError as reason:
            reasons[shift, codes] = str(reason)
            continue
        trial = populations(_network(given, [*layers, *pair], arriving.shape[1], given.name))[-1]
        share, what, spikes = _on_samples(trial, arriving, settings.convention)
        if share * ROOM <= 1.0:
            return list(pair), spikes
        reasons[shift, codes] = f"{what} reaches {share:.3g} of its limit on the samples"
    why = reasons[FEWEST, CODE_MAX]
    raise InputError(
        f"{WHO}: layer '{section.weighted.name}' fits no registers: {why}; scale its weights and thresholds, "
        "or leave threshold_mantissa to the samples"
    )


def _on_samples(population: Population, arriving: np.ndarray, convention) -> tuple[float, str, np.ndarray]:
    """How near a layer comes to a limit, the name of the number that does, and its spikes (B, T, N)."""
    inputs, steps = arriving.shape[:2]
    spikes, worst = np.empty((inputs, steps, population.size), np.uint8), (0.0, "")
    for part in parts(inputs, max(population.size, arriving.shape[2]) * steps):
        probe = probed(population, [arriving[part]], convention)
        worst = max(worst, closest_to_limit(population, probe, convention))
        spikes[part] = probe.spikes
    return *worst, spikes


class _NoRegisterError(Exception):
    """A number that no register of this shift holds."""


def _registers(section: Section, ideal: Ideal, shift: int, most: int, settings: "_Settings"):
    """The weighted layer, with codes of up to `most` in steps of 2^shift, and its Lif."""
    layer = section.weighted
    real = layer.weight * _rows(ideal.gain, layer.weight.ndim)
    level = np.ones(1) if ideal.level is None else ideal.level
    # The largest weight beside the threshold is what the codes must hold; without weights, an input of 1.
    reach = float((np.abs(real).reshape(len(real), -1).max(axis=1) / level).max())
    full = most * 2.0**shift / (reach or float((np.abs(ideal.gain) / level).max()) or 1.0)
    threshold, s = None, np.full(len(real), full)
    if ideal.level is not None:
        threshold = _threshold(full, shift, most, settings.threshold_mantissa)
        s = threshold / level
    bias = np.zeros(len(real)) if layer.bias is None else layer.bias * ideal.bias_gain * s
    bias = bias + s * ideal.rest * ideal.voltage_decay
    codes = np.rint(real * _rows(s, real.ndim) / 2.0**shift)
    grid = Grid(2.0**shift / (s * np.where(ideal.gain == 0, 1.0, np.abs(ideal.gain))), axis=0)
    weighted = replace(layer, weight=codes.astype(np.int8), weight_grid=grid, bias=None, inputs=())
    du, dv = decay_registers(ideal, settings.convention, settings.decay_rounding)
    lif = L.Lif(
        name=section.neuron.name, threshold=threshold, bias=_bias_registers(bias), weight_shift=shift, current_decay=du,
        voltage_decay=dv, reset="subtract" if settings.method.reset == "subtract" else "zero",
        initial_voltage=round(float(s[0]) * ideal.rest), scale=1.0 / float(s[0]),
    )  # fmt: skip
    return weighted, lif


def _threshold(full: float, shift: int, most: int, mantissa: int | None) -> int:
    """The threshold, of up to `full` units, with which the weight codes use at least half their range."""
    chosen = mantissa or min(int(full / L.POTENTIAL_UNIT), L.THRESHOLD_MANTISSA)
    threshold = chosen * L.POTENTIAL_UNIT
    if not threshold or threshold > full * (1 + 1e-9):
        raise _NoRegisterError(f"a threshold of 64 x {max(chosen, 1)} needs weight codes beyond {most}")
    if threshold < full / 2 and shift > FEWEST:
        raise _NoRegisterError(f"a threshold of 64 x {chosen} leaves weight codes half unused")
    return threshold


def _bias_registers(values: np.ndarray) -> np.ndarray:
    """Whole biases, each a mantissa times the smallest 2^(0..7) that holds it."""
    largest = float(np.abs(values).max())
    if largest > L.BIAS_MANTISSA << L.BIAS_EXPONENT:
        raise _NoRegisterError(f"a bias of {largest:.4g} is beyond {L.BIAS_MANTISSA} x 2^{L.BIAS_EXPONENT}")
    exponent = np.ceil(np.log2(np.maximum(np.abs(values) / L.BIAS_MANTISSA, 1.0)))
    return (np.rint(values / 2.0**exponent) * 2.0**exponent).astype(np.int64)


def _rows(values: np.ndarray, ndim: int) -> np.ndarray:
    """One value for each output channel, to multiply with a kernel of `ndim` axes."""
    return values.reshape(-1, *(1,) * (ndim - 1))


def _network(given: Network, layers, steps: int, name: str) -> Network:
    shape = (steps, *given.input_shape)
    return Network(layers=tuple(layers), input_shape=shape, name=name, grids={INPUT: Grid(1.0, bits=2)}, steps=steps)
