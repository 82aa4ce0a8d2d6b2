"""Exactness: what `arithmetic="float64"` needs. Enter a chip and an engine; refuse sums that float64 would round.

A sum of numbers on one grid is exact, in any order and on any machine, as long as it fits the mantissa. Weights lie on
multiples of 2^-20 of a cell level, drives are whole steps, or multiples of 2^-8 where drivers have errors.
"""

import numpy as np

from ..errors import InputError

EXACT_BITS = 53  # of a float64's mantissa
LARGEST_NORMAL = 7.0  # no normal of the kernels is beyond 6.7


def refuse_powers(chip, *, who: str):
    """Raise InputError where a chip with exact sums has cells whose drives lie on no grid."""
    if chip.arithmetic != "float64" or chip.device.iv is None:
        return
    if not chip.inputs.holds_voltage or chip.dac.noise or chip.dac.inl:
        raise InputError(
            f"{who}: arithmetic='float64' and cells that are not ohmic: powers of the drive lie on no grid; use "
            "arithmetic='float32', or inputs of one voltage such as PulseWidth() and a Dac without errors"
        )


def refuse_rounded_sums(chip, layer, engine, largest_drive: int):
    """Raise InputError where sums would depend on their order; `largest_drive` is that of the whole input, in steps."""
    if chip.arithmetic != "float64":
        return
    drivers, largest = engine.drivers, float(engine.inputs.full_drive(largest_drive))
    if drivers is not None:
        largest = largest if drivers.levels is None else float(np.abs(drivers.levels).max())
        largest += LARGEST_NORMAL * drivers.noise
    bits = engine.part.packed.exact_bits(largest, drivers is not None)
    if bits > EXACT_BITS:
        raise InputError(
            f"{chip.name}: layer '{layer.name}' takes {bits} bits for exact sums, float64 has {EXACT_BITS}; use fewer "
            "rows, or drives and weights of fewer bits, or arithmetic='float32'"
        )
