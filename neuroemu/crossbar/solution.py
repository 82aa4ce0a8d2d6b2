"""The circuit of a crossbar in numbers, and its solution: what `crossbar.wires` hands out.

In: conductances of devices, wires and line ends, and node voltages. Out: currents of the drivers and where the power
goes.

Array letters: B vectors, R rows, C columns.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Solution:
    """The circuit under each vector; the first axis is absent if `voltages` was one vector.

    Power balance: power_supply = power_devices + power_wires + power_ends. A word line that is not driven and has no
    device is at 0 V here.

    Attributes
    ----------
    currents : (B, C), amperes, into the sense amplifiers
    supply_currents : (B, R), amperes, out of the drivers
    word_voltages, bit_voltages : (B, R, C), volts, at the cross-points
    power_supply : (B,), watts, delivered by the drivers
    power_devices, power_wires, power_ends : (B,), watts, turned into heat; the ends are `source` and `sense`
    """

    currents: np.ndarray
    supply_currents: np.ndarray
    word_voltages: np.ndarray
    bit_voltages: np.ndarray
    power_supply: np.ndarray
    power_devices: np.ndarray
    power_wires: np.ndarray
    power_ends: np.ndarray


@dataclass(frozen=True, eq=False)
class Circuit:
    """Conductances in siemens: g (R, C), a wire of each kind, and the ends of the lines; infinity is no resistance."""

    g: np.ndarray
    word: float
    bit: float
    left: np.ndarray
    right: np.ndarray
    bottom: np.ndarray
    top: np.ndarray

    def arguments(self):
        return self.g, self.word, self.bit, self.left, self.right, self.bottom, self.top


def supply_currents(circuit, drive, words, bits):
    """Currents out of the drivers: of a line's devices if these are weak, else of its ends; either has its digits."""
    weak = circuit.g.max(axis=1) <= circuit.word
    devices = np.einsum("ij,bij->bi", np.where(weak[:, None], circuit.g, 0), words - bits)
    ends = circuit.left * (drive - words[:, :, 0]) + circuit.right * (drive - words[:, :, -1])
    return np.where(weak & (circuit.left > 0), devices, ends)


def powers(circuit, wires, drive, words, bits, supply, devices):
    """Power of the supply, in the devices, in the wires and in the ends, (B,) each."""
    along = np.zeros(len(drive))
    for conductance, voltages, axis in ((circuit.word, words, 2), (circuit.bit, bits, 1)):
        if np.isfinite(conductance):
            along += conductance * (np.diff(voltages, axis=axis) ** 2).sum((1, 2))
    ends = np.zeros(len(drive))
    for conductance, drop, wire, end in (
        (circuit.left, drive - words[:, :, 0], wires.word_line, wires.source),
        (circuit.right, drive - words[:, :, -1], wires.word_line, wires.source),
        (circuit.bottom, bits[:, -1], wires.bit_line, wires.sense),
        (circuit.top, bits[:, 0], wires.bit_line, wires.sense),
    ):
        squares = (np.where(np.isinf(conductance), 0, conductance) * drop) ** 2
        along += wire * squares.sum(1)
        ends += end * squares.sum(1)
    return (supply * drive).sum(1), devices, along, ends
