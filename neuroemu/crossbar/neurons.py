"""Neurons: what turns the columns of a crossbar into spikes. Column sums of each step enter, spikes leave.

A spike drives its word line with one pulse of the read voltage, so that no DAC is needed. What the columns then carry
goes to digital neurons behind the column converters, or is integrated on capacitors without any converter. Either way
the thresholds, biases, resets and refractory times are those of the network's Lif layers.

References
----------
.. [1] M. Besrour et al., "Analog spiking neuron in CMOS 28 nm towards large-scale neuromorphic processors",
   arXiv:2408.07734 (a leaky integrate-and-fire neuron in silicon).
.. [2] W. Wan et al., "A compute-in-memory chip based on resistive random-access memory", Nature 608, 504 (2022),
   doi:10.1038/s41586-022-04992-8 (columns of a crossbar that end in integrators with a comparator).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import numpy as np

from .. import _checks, kernels
from ..errors import InputError, PlacementError
from ..network import layers as L
from .compensation import Compensation, NoCompensation, ReferenceColumns, TileGain
from .converters import ColumnConverter, IdealAdc
from .membranes import DECAY_UNIT, Membrane, integer_decay, with_memory


@dataclass(frozen=True, eq=False, kw_only=True)
class Fed:
    """What the neurons of one layer are connected to on one programmed chip.

    volts: of one unit of the potential (analog neurons). step_seconds: from one update of a neuron to the next.
    offsets (P, M): standard normals of this chip's comparators and capacitors. stream: key of the noise.
    """

    volts: float = 1.0
    step_seconds: float = 0.0
    offsets: tuple[np.ndarray, np.ndarray] = (0.0, 0.0)
    seed: int = 0
    stream: int = 0


class Neurons(ABC):
    """Abstract: what stands at the end of the columns when spikes run. Final: DigitalNeurons, AnalogNeurons."""

    @abstractmethod
    def converter(self, adc: ColumnConverter) -> ColumnConverter:
        """The converters of the columns, of a chip whose own ones are `adc`."""

    @abstractmethod
    def ideal(self) -> "Neurons":
        """The same neurons without any error."""

    @abstractmethod
    def check(self, chip, network) -> None:
        """Raise PlacementError for a network or a chip that these neurons cannot serve."""

    @abstractmethod
    def fire(self, lif: L.Lif, sums: np.ndarray, first: int, fed: Fed) -> tuple[np.ndarray, np.ndarray]:
        """Spikes (B, T, P, M) of column sums (B, T, P, M), or potentials (B, 1, P, M) without threshold; and
        how often a potential met its lower and its upper limit.

        `sums` are in units of weight codes and may be overwritten; `first` is the number of the first image.
        """


@dataclass(frozen=True, kw_only=True)
class DigitalNeurons(Neurons):
    """Every step, columns are converted, corrected and added up; the network's integer neurons follow.

        q = rint(2^weight_shift sum),   u(t) = decay(u(t-1)) + q,   v(t) = clip(decay(v(t-1)) + u(t) + bias)

    Parameters
    ----------
    adc : ColumnConverter or None
        None: the chip's own.
    bits : int, 8 to 48
        Of the potential with its sign; it saturates at +-(2^(bits-1) - 1). 24 are those of Loihi 1 (Davies 2018,
        doi:10.1109/MM.2018.112130359).

    Notes
    -----
    With ideal cells and converters the outputs are those of a spiking core whose registers do not overflow, bit for
    bit.
    """

    adc: ColumnConverter | None = None
    bits: int = 24

    def __post_init__(self):
        if self.adc is not None:
            _checks.instance(self.adc, ColumnConverter, who="DigitalNeurons", name="adc")
        _checks.integer(self.bits, who="DigitalNeurons", name="bits", low=8, high=48)

    def converter(self, adc):
        return adc if self.adc is None else self.adc

    def ideal(self):
        return replace(self, adc=None if self.adc is None else IdealAdc())

    def check(self, chip, network):
        pass

    def fire(self, lif, sums, first, fed):
        drive = np.rint(np.multiply(sums, 2.0**lif.weight_shift, out=sums), out=sums)
        if lif.current_decay + 1 < DECAY_UNIT:  # the register's offset, as layers.Lif says
            drive = with_memory(drive, integer_decay(lif.current_decay + 1))
        limit = float((1 << (self.bits - 1)) - 1)
        membrane = membrane_of(lif, keep=integer_decay(lif.voltage_decay), limits=(-limit, limit))
        spikes, potentials, saturated = membrane.run(drive)
        return (potentials[:, None] if lif.threshold is None else spikes), saturated


@dataclass(frozen=True, kw_only=True)
class AnalogNeurons(Neurons):
    r"""A capacitor at each column pair, charged by the column current during the pulse, and a comparator.

    .. math:: C \dot V = I^+ - I^- - C V / \tau, \qquad \text{spike where } V + o + n z > V_{th}

    Parameters
    ----------
    capacitance : float or None, farads
        Of every neuron. None: chosen for each layer, so that its threshold is `threshold_volts`; a current mirror of
        that ratio is the same to the neuron.
    threshold_volts : float, volts
        Where `capacitance` is None. Of a read-out, which has no threshold: the largest potential on the samples.
    rails : (float, float), volts
        Lowest and highest voltage of the capacitor, from its resting one; it saturates there.
    leak_seconds : float or None, seconds
        tau; None: no leak. A leak that the network asks for comes on top.
    noise : float, volts
        n: root mean square noise of the comparator, fresh at each decision.
    offset : float, volts
        Standard deviation over neurons of the comparator's offset o, drawn once for each programmed chip.
    capacitance_spread : float, 0 to 0.2
        Relative standard deviation over neurons of C, drawn once for each programmed chip.
    pulse_seconds : float or None, seconds
        Length of a pulse. None: the chip's `read_seconds`.
    compare_seconds : float, seconds
        Added to the pulse before the next one, for decision and reset. 0: it is held in the pulse.
    readout_bits : int or None
        Of the converter that reads the capacitors of the read-out once, after the last step, from rail to rail. None:
        without steps.

    Notes
    -----
    A neuron of its own for each output, also where the positions of a convolution take turns on one tile; between two
    of its pulses it leaks for as long as a step of the slowest layer takes. Row tiles of a layer add their currents on
    one summing node. Reset to zero shorts the capacitor; reset by subtraction takes the charge of one threshold. Bias
    and initial potential come from exact sources. A gain for each tile (`TileGain`, `ReferenceColumns`) is a longer
    pulse; other compensations need numbers, and are refused, as are mappings that shift and add. Not modelled: the
    finite output resistance of mirrors, settling, charge injection, kT/C noise, and droop of the threshold.
    """

    capacitance: float | None = None
    threshold_volts: float = 0.5
    rails: tuple[float, float] = (-0.9, 0.9)
    leak_seconds: float | None = None
    noise: float = 0.0
    offset: float = 0.0
    capacitance_spread: float = 0.0
    pulse_seconds: float | None = None
    compare_seconds: float = 0.0
    readout_bits: int | None = 10

    def __post_init__(self):
        who = "AnalogNeurons"
        for name, low, high in (
            ("threshold_volts", 1e-6, 100.0), ("noise", 0.0, 10.0), ("offset", 0.0, 10.0),
            ("capacitance_spread", 0.0, 0.2), ("compare_seconds", 0.0, None),
        ):  # fmt: skip
            _checks.real(getattr(self, name), who=who, name=name, low=low, high=high)
        for name, low in (("capacitance", 1e-18), ("leak_seconds", 1e-12), ("pulse_seconds", 1e-12)):
            if getattr(self, name) is not None:
                _checks.real(getattr(self, name), who=who, name=name, low=low)
        if self.readout_bits is not None:
            _checks.integer(self.readout_bits, who=who, name="readout_bits", low=2, high=20)
        if np.shape(self.rails) != (2,):
            raise InputError(f"{who}: rails is {self.rails!r}; give (lowest, highest) in volts")
        low, high = (_checks.real(rail, who=who, name="rails") for rail in self.rails)
        if not (low <= 0 < high) or (self.capacitance is None and self.threshold_volts > high):
            raise InputError(
                f"{who}: rails are {low:g} V and {high:g} V, the threshold {self.threshold_volts:g} V; rails must lie "
                "below and above the resting voltage, and the threshold between them"
            )

    def converter(self, adc):
        return IdealAdc()

    def ideal(self):
        return replace(
            self, noise=0.0, offset=0.0, capacitance_spread=0.0, leak_seconds=None, rails=(-1e9, 1e9),
            readout_bits=None,
        )  # fmt: skip

    def check(self, chip, network):
        refuse_compensation(chip)
        for layer in network.layers:
            if isinstance(layer, L.Lif) and layer.current_decay + 1 < DECAY_UNIT:
                raise PlacementError(
                    f"{chip.name}: layer '{layer.name}' keeps its synaptic current (current_decay "
                    f"{layer.current_decay}); AnalogNeurons have one capacitor; use current_decay=4095 or "
                    "DigitalNeurons()"
                )
        for layer in network.weighted:
            layout = chip.layout(layer)
            if layout.zero is not None or (np.abs(layout.factors) != 1).any():
                raise PlacementError(
                    f"{chip.name}: {chip.mapping} adds columns up with numbers, which AnalogNeurons do not have; use "
                    "DifferentialPair(), OffsetColumn() or DigitalNeurons()"
                )

    def pulse(self, chip) -> float:
        """Length of a pulse, s."""
        return chip.read_seconds if self.pulse_seconds is None else self.pulse_seconds

    def integrated_seconds(self, chip) -> float:
        """Charge over current: tau (1 - exp(-t / tau)) of a pulse t, or t without leak."""
        pulse = self.pulse(chip)
        return pulse if self.leak_seconds is None else -self.leak_seconds * float(np.expm1(-pulse / self.leak_seconds))

    def fire(self, lif, sums, first, fed):
        drive = np.multiply(sums, 2.0**lif.weight_shift, out=sums)
        share = 1.0 - lif.voltage_decay / DECAY_UNIT
        if self.leak_seconds is not None:
            share *= float(np.exp(-fed.step_seconds / self.leak_seconds))
        limits = (self.rails[0] / fed.volts, self.rails[1] / fed.volts)
        membrane = membrane_of(lif, keep=None if share == 1.0 else lambda v: v * share, limits=limits)
        if self.capacitance_spread:
            gain = 1.0 / np.maximum(1.0 + self.capacitance_spread * fed.offsets[1], 0.01)
            drive *= gain
            membrane = replace(membrane, bias=membrane.bias * gain)
        spikes, potentials, saturated = membrane.run(drive, self._disturbance(drive.shape, first, fed))
        if lif.threshold is not None:
            return spikes, saturated
        return self._read_out(potentials[:, None], limits), saturated

    def _disturbance(self, shape, first: int, fed: Fed) -> np.ndarray | None:
        """Offset and noise of the comparators in units of the potential; None for none."""
        if not self.noise:
            return None if not self.offset else np.broadcast_to(self.offset / fed.volts * fed.offsets[0], shape)
        normals = np.empty(shape, np.float32)  # each image has normals of its own, steps in order
        kernels.crossbar.normals(normals.reshape(-1), fed.seed, fed.stream, first * int(np.prod(shape[1:])))
        normals *= np.float32(self.noise / fed.volts)
        if self.offset:
            normals += (self.offset / fed.volts * fed.offsets[0]).astype(np.float32)
        return normals

    def _read_out(self, potentials: np.ndarray, limits) -> np.ndarray:
        if self.readout_bits is None:
            return potentials
        step = (limits[1] - limits[0]) / ((1 << self.readout_bits) - 1)
        return limits[0] + np.rint((potentials - limits[0]) / step) * step


def membrane_of(lif: L.Lif, *, keep, limits) -> Membrane:
    """The membrane of a Lif layer with the decay and limits of its circuit."""
    return Membrane(
        threshold=lif.threshold, bias=lif.bias.astype(np.float64), initial=lif.initial_voltage,
        subtract=lif.reset == "subtract", refractory=lif.refractory, keep=keep, limits=limits,
    )  # fmt: skip


def refuse_compensation(chip) -> None:
    """Raise PlacementError for a compensation that works on numbers."""
    kinds: tuple[type[Compensation], ...] = (NoCompensation, TileGain, ReferenceColumns)
    if not isinstance(chip.compensation, kinds):
        raise PlacementError(
            f"{chip.name}: {chip.compensation} corrects numbers, and AnalogNeurons get currents; use TileGain() or "
            "ReferenceColumns(), which stretch the pulses of a tile, or NoCompensation()"
        )
