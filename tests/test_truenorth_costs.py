"""Prices of TrueNorth against published powers that they were not fitted on, and what may not be added."""

import numpy as np
import pytest

from neuroemu.chips import truenorth_costs as tn
from neuroemu.energy import CostTable, Counts, price
from neuroemu.errors import InputError, PriceError
from neuroemu.spiking import NeuronParameters, TrueNorthCoreProgram, TrueNorthProgram, run_truenorth


def test_the_fit():
    """By hand: 26 mW over 2^20 x 128 x 84.35 Hz."""
    assert tn.EVENT == pytest.approx(26e-3 / (2**20 * 128 * (95.93 - 11.58)))
    assert tn.EVENT == pytest.approx(2.297e-12, rel=1e-3) and pytest.approx(64.43e-3, rel=1e-3) == tn.REST
    for point in tn.FITTED:
        assert tn.power(point.events) == pytest.approx(point.watts)


@pytest.mark.parametrize(
    "point, error",
    list(zip(tn.HELD_OUT, (-0.005, -0.100, -0.106, 0.028, 0.109), strict=True)),
    ids=lambda x: f"{x.voltage} V {x.rate} Hz" if isinstance(x, tn.OperatingPoint) else "",
)
def test_held_out_operating_points(point, error):
    """Within 2 % at the voltage of the fit; elsewhere the assumed law is off by as much as stated."""
    found = tn.power(point.events, voltage=point.voltage) / point.watts - 1
    assert found == pytest.approx(error, abs=1e-3)
    assert abs(found) < (0.02 if point.voltage == tn.VOLTAGE else 0.12)


def test_the_average_cannot_stand_beside_the_power_at_rest():
    with pytest.raises(PriceError, match="average at an operating point"):
        CostTable(costs=(tn.AVERAGE, *tn.TRUENORTH_COSTS.static("chip")))
    with pytest.raises(PriceError):
        CostTable(costs=(*tn.TRUENORTH_COSTS.costs, tn.AVERAGE))


def test_other_voltages_are_marked_and_bounded():
    assert {cost.evidence for cost in tn.TRUENORTH_COSTS.costs} == {"fitted"}
    assert {cost.evidence for cost in tn.costs_at(0.75).costs} == {"assumed"}
    for voltage in (0.69, 1.06):
        with pytest.raises(InputError, match="voltage"):
            tn.costs_at(voltage)


def test_counts_of_a_run_have_prices():
    neurons = NeuronParameters(weights=[1, 1, 1, 1], threshold=2)
    program = TrueNorthProgram(cores=[TrueNorthCoreProgram(crossbar=np.ones((256, 256), bool), neurons=neurons)])
    run = run_truenorth(program, [(t, 0, 0) for t in range(10)], 10)
    counts = Counts.from_pairs([("chip", name, n) for name, n in run.counts.items()])
    energy = price(counts, tn.TRUENORTH_COSTS, seconds=10 * tn.TICK, inferences=1, units={"chip": 1})
    assert energy.dynamic == pytest.approx(2560 * tn.EVENT)
    assert energy.static == pytest.approx(0.01 * tn.REST)
