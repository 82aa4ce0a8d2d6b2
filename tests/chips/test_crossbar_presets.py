"""Crossbar presets: they run the embedded network, their prices come back to the published totals."""

from dataclasses import replace

import numpy as np
import pytest

from neuroemu import chips, datasets, quantize, run, run_integer
from neuroemu.crossbar import IdealAdc, ideal

PRESETS = (chips.HERMES, chips.IBM34, chips.ISAAC, chips.NEURRAM, chips.PUMA)


@pytest.fixture(scope="module")
def network():
    net = datasets.mnist_network()
    return quantize(net, samples=net.samples)


@pytest.fixture(scope="module")
def images():
    return datasets.mnist_test(60)


@pytest.mark.parametrize("chip", PRESETS, ids=lambda chip: chip.name)
def test_presets_run_and_are_priced(network, images, chip):
    x, y = images
    result = run(network, chip, x, labels=y)
    assert result.accuracy > 0.93
    assert 0 < result.energy_per_inference < 1e-3 and 0 < result.latency_per_inference < 0.1
    assert chip.describe().startswith("chip")


@pytest.mark.parametrize("chip", PRESETS, ids=lambda chip: chip.name)
def test_without_imperfections_they_give_the_reference(network, images, chip):
    x = images[0][:10]
    np.testing.assert_array_equal(run(network, ideal(chip), x).outputs, run_integer(network, x))


def test_isaac_converters_lose_nothing_but_steps(network, images):
    """Cells are ideal, so that the ADC alone separates ISAAC from the reference."""
    x = images[0][:10]
    exact = run(network, replace(chips.ISAAC, adc=IdealAdc()), x).outputs
    np.testing.assert_array_equal(exact, run_integer(network, x))


def test_isaac_unit_power_is_that_of_its_table():
    """Eight crossbars that work in every cycle: 24.08 mW less the registers (1.24 + 0.23 mW), Table I."""
    price = {cost.event: cost.value for cost in chips.ISAAC.costs.costs}
    arrays = 8
    cycle = arrays * price["array_read"] + arrays * 128 * (
        price["dac_drive"] + price["adc_conversion"] + price["digital_accumulate"]
    )
    assert cycle / 100e-9 == pytest.approx(24.08e-3 - 1.47e-3, rel=0.01)
    assert chips.ISAAC.cores == 16128


def test_puma_shares_isaacs_parts():
    """Its simulator took them over; the two are not independent."""
    isaac, puma = ({c.event: c.value for c in chip.costs.costs} for chip in (chips.ISAAC, chips.PUMA))
    for event in ("array_read", "dac_drive", "adc_conversion"):
        assert puma[event] == pytest.approx(isaac[event], rel=0.01)


def test_ibm34_read_is_the_published_efficiency():
    (cost,) = chips.IBM34.costs.costs
    assert 2 * 512 * 512 / cost.value == pytest.approx(12.4e12)
    assert chips.IBM34.cores * 512 * 512 * 4 == pytest.approx(35e6, rel=0.03)  # "35 million" devices


def test_neurram_read_time_adds_up():
    assert chips.NEURRAM.read_seconds == pytest.approx(0.27e-6 + 0.3e-6 + 128 * 0.3e-6)
