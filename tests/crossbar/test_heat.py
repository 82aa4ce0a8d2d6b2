"""Heat of the cells: counted attojoules against a sum over every device, image and read."""

from dataclasses import replace

import numpy as np
import pytest

from neuroemu import components, quantize, run
from neuroemu.crossbar import (
    Amplitude,
    Averaged,
    BitSerial,
    CrossbarChip,
    Dac,
    DifferentialPair,
    OffsetColumn,
    PulseWidth,
    ReferenceColumns,
    program,
)
from neuroemu.devices import HermesPcm, Ideal
from neuroemu.energy import CostTable
from neuroemu.network import Dense, sequential

KINDS = ("core_read", "dac_drive", "adc_conversion", "adc_clip", "digital_accumulate", "activation_op", "cell_write")
PRICED = CostTable(costs=(components.CELL_HEAT,), free=dict.fromkeys(KINDS, "test"))
RANDOM = np.random.default_rng(2)
X = RANDOM.normal(0, 1, (9, 20)).astype(np.float32)
NET = quantize(
    sequential([Dense(name="fc", weight=RANDOM.normal(0, 0.4, (6, 20)).astype(np.float32))], input_shape=(20,)),
    samples=RANDOM.normal(0, 1, (40, 20)).astype(np.float32),
)


def chip(**fields):
    wanted = {"device": HermesPcm(), "rows": 8, "columns": 4, "seconds": 3600.0, "read_seconds": 2e-7}
    return CrossbarChip(name="test", costs=PRICED, **wanted | fields)


def drives():
    """Input codes less their zero point, as the rows get them, and the largest that the grid allows."""
    grid = NET.grids[NET.weighted[0].inputs[0]]
    codes = np.clip(np.rint(X.astype(np.float64) / float(grid.scale)) + grid.zero_point, grid.low, grid.high)
    return codes - grid.zero_point, max(grid.high - grid.zero_point, grid.zero_point - grid.low)


def reads(machine):
    """(volts, seconds) of every row in every read, by the words of the input schemes."""
    d, largest = drives()
    if machine.dac.limit is not None and largest > machine.dac.limit:
        d = np.clip(np.rint(d * machine.dac.limit / largest), -machine.dac.limit, machine.dac.limit)
    full, volts, seconds = machine.dac.limit or largest, machine.dac.v_read, machine.read_seconds
    if machine.inputs == PulseWidth():
        return [(volts * (d != 0), seconds * abs(d) / full)]
    if isinstance(machine.inputs, Amplitude):
        return [(volts * d / full, seconds)]
    bits, found = machine.inputs.bits_per_step, []
    for shift in range(0, int(full).bit_length(), bits):
        digit = (abs(d).astype(int) >> shift) & ((1 << bits) - 1)
        found.append((volts * digit / ((1 << bits) - 1), seconds))
    return found


def summed(machine, seed):
    """Joules over all devices of all arrays, one by one."""
    total = 0.0
    for tile in program(NET, machine, seed=seed).cells["fc"]:
        for cells in (tile.cells, tile.reference):
            if cells is None:
                continue
            conductance = machine.device.conductance(cells, machine.seconds)
            for device in conductance.reshape(-1, *conductance.shape[-2:]):
                for volts, seconds in reads(machine):
                    squared = (volts**2 * seconds)[:, tile.tile.rows]
                    total += float(np.sum(squared[:, :, None] * device[None]))
    return total


CASES = {
    "amplitudes": {},
    "offset column": {"mapping": OffsetColumn(), "device": Ideal()},
    "several devices": {"mapping": Averaged(2)},
    "two-sided pairs": {"mapping": DifferentialPair(sided="two"), "dac": Dac(bits=8, v_read=0.35)},
    "pulse widths": {"inputs": PulseWidth()},
    "bits": {"inputs": BitSerial(1)},
    "two bits at once": {"inputs": BitSerial(2)},
    "phases": {"inputs": Amplitude(signs="phases")},
    "bits in phases": {"inputs": BitSerial(1, signs="phases")},
    "reference columns": {"compensation": ReferenceColumns(1)},
}


@pytest.mark.parametrize("name", CASES)
def test_heat_is_that_of_every_device(name):
    machine = chip(**CASES[name])
    energy = run(NET, machine, X, seed=5).energy
    assert energy.total == pytest.approx(summed(machine, 5), rel=1e-6, abs=0)
    assert energy.by_boundary() == {("array", "dynamic"): energy.total}


def test_neither_batches_nor_threads_change_a_digit():
    whole = run(NET, chip(), X, threads=2).counts
    for cut in (1, 4):
        parts = [run(NET, chip(), x, threads=1).counts.total("array_attojoule") for x in (X[:cut], X[cut:])]
        assert abs(sum(parts) - whole.total("array_attojoule")) <= 1  # two roundings to whole attojoules
    assert run(NET, chip(), X, threads=1).counts == whole


def test_heat_follows_drive_voltage_time_and_drift():
    base = run(NET, chip(device=Ideal()), X).energy.total
    twice = replace(chip(device=Ideal()), dac=replace(chip().dac, v_read=2 * chip().dac.v_read))
    assert run(NET, twice, X).energy.total == pytest.approx(4 * base, rel=1e-6, abs=0)
    assert run(NET, chip(device=Ideal(), read_seconds=6e-7), X).energy.total == pytest.approx(3 * base, rel=1e-6, abs=0)
    assert run(NET, chip(seconds=1e7), X).energy.total < run(NET, chip(), X).energy.total
    assert run(NET, chip(), np.zeros_like(X)).energy.total == 0


def test_a_table_that_does_not_name_it_does_not_count_it():
    plain = run(NET, chip(), X)
    free = replace(chip(), costs=CostTable(free=dict.fromkeys(KINDS, "test")))
    without = run(NET, free, X)
    assert "array_attojoule" not in without.counts.kinds()
    np.testing.assert_array_equal(without.outputs, plain.outputs)
