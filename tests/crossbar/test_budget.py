"""The noise budget: zero where there is nothing, known errors where theory gives them, and squares that add up."""

from dataclasses import replace

import numpy as np
import pytest

from neuroemu import chips, datasets, plot, prune, quantize
from neuroemu.crossbar import (
    Adc,
    Dac,
    GivenRange,
    IdealAdc,
    IdealDac,
    NoCompensation,
    ideal,
    noise_budget,
)
from neuroemu.devices import Faulty, Generic, HalfSelectDisturb, HermesPcm, Ideal, Levels, NormalNoise
from neuroemu.errors import ArgumentTypeError, InputError, PlacementError
from neuroemu.network import Dense, sequential


@pytest.fixture(scope="module")
def network():
    net = datasets.mnist_network()
    return quantize(net, samples=net.samples)


@pytest.fixture(scope="module")
def images():
    return datasets.mnist_test(40)[0]


def test_an_ideal_chip_has_no_errors(network, images):
    budget = noise_budget(network, ideal(chips.HERMES), images, trials=1)
    assert set(budget.errors) == {"conv1", "conv2", "conv3", "dense"}
    assert all(value == 0 for row in budget.errors.values() for value in row.values())


def test_squares_of_independent_errors_add_up(network, images):
    young = replace(chips.HERMES, seconds=0.0)
    for row in noise_budget(network, young, images).errors.values():
        parts = sum(row[effect] ** 2 for effect in ("programming", "drift", "read noise", "DAC", "ADC"))
        assert row["together"] == pytest.approx(np.sqrt(parts), rel=0.25)
        assert row["drift"] == 0.0  # at time 0
        assert 0 < row["ADC"] < row["programming"]


def test_each_effect_can_be_told_apart(network, images):
    quiet = replace(chips.HERMES, device=HermesPcm(read_noise=False, programming_noise=False), dac=IdealDac())
    for row in noise_budget(network, quiet, images, trials=1).errors.values():
        assert (row["programming"], row["read noise"], row["DAC"]) == (0, 0, 0)
        assert row["drift"] > 0.05 and row["ADC"] > 0
        assert row["compensated"] < 0.5 * row["drift"]


def test_programming_error_of_a_known_cell():
    """A Dense layer of one tile: error of a sum is sigma sqrt(2 sum d^2), in steps of a weight code."""
    random = np.random.default_rng(0)
    net = sequential([Dense(name="fc", weight=random.normal(0, 1, (64, 100)))], input_shape=(100,))
    x = random.uniform(0, 1, (50, 100))
    q = quantize(net, samples=x, per_channel=False)
    from neuroemu.devices import NormalNoise

    sigma = 0.4e-6
    device = Generic(g_min=5e-6, g_max=25e-6, noise=NormalNoise(sigma))
    chip = replace(chips.HERMES, device=device, adc=IdealAdc(), dac=IdealDac(), seconds=0.0)
    row = noise_budget(q, chip, x, trials=30).errors["fc"]  # 64 columns, nearly one direction of x: within 1.6 %
    codes = q.grids["input"].encode(x).astype(float) - q.grids["input"].zero_point
    exact = codes @ q.layer("fc").weight.T.astype(float)
    step = 20e-6 / 127
    expected = np.sqrt(2 * (codes**2).sum(axis=1).mean()) * sigma / step / np.sqrt((exact**2).mean())
    assert row["programming"] == pytest.approx(expected, rel=0.06)
    assert row["together"] == row["programming"]


def test_adc_error_is_that_of_rounding(network, images):
    """A given range that clips nothing: rms error step / sqrt(12)."""
    unit = 0.2 / 255 * 25e-6 / 127
    step = 700.0
    adc = Adc(bits=12, range=GivenRange(unit * step * (2**11 - 1)))
    chip = replace(chips.HERMES, device=Ideal(), dac=IdealDac(), adc=adc, compensation=NoCompensation())
    one_row_tile = noise_budget(network, chip, images, trials=1).errors["conv2"]["ADC"]
    from neuroemu.network import run_integer
    from neuroemu.network.integer import exact_multiply

    sums = []

    def keep(layer, drive, first):
        exact = exact_multiply(layer, drive, first)
        if layer.name == "conv2":
            sums.append(exact.astype(np.float64))
        return exact

    run_integer(network, images, multiply=keep)
    expected = step / np.sqrt(12) / np.sqrt(np.mean(np.concatenate(sums) ** 2))
    assert one_row_tile == pytest.approx(expected, rel=0.05)


def test_budgets_print_and_are_drawn(network, images, tmp_path):
    budget = noise_budget(network, chips.HERMES, images[:10], trials=1)
    assert "conv3" in repr(budget) and "compensated" in repr(budget)
    plot.save(plot.noise_budget(budget), tmp_path / "budget.png")
    again = noise_budget(network, chips.HERMES, images[:10], trials=1, threads=1)
    assert again.errors == budget.errors


def test_bad_arguments(network, images):
    with pytest.raises(ArgumentTypeError, match="CrossbarChip"):
        noise_budget(network, chips.LOIHI, images)
    with pytest.raises(InputError, match="trials is 0"):
        noise_budget(network, chips.HERMES, images, trials=0)
    with pytest.raises(PlacementError, match="only zero weights"):
        noise_budget(prune(network, density=0.0), chips.HERMES, images)
    with pytest.raises(InputError, match="takes"):
        noise_budget(network, replace(chips.HERMES, dac=Dac(bits=4)), images[:, 0])
    with pytest.raises(ArgumentTypeError, match="NoiseBudget"):
        plot.noise_budget(5)


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda cell: HalfSelectDisturb(cell, step=1e-3),
        lambda cell: Faulty(cell, stuck_on=0.02, shorted_rows=0.1, shorted_columns=0.1),
        lambda cell: Levels(cell, 4),
    ],
    ids=["disturbed", "touching", "levels"],
)
def test_what_a_wrapper_does_when_it_writes_is_programming_and_not_drift(wrapped, network, images):
    steady, drifting = (Generic(noise=NormalNoise(2e-7), drift_exponent=nu) for nu in (0.0, 0.05))
    aged = replace(chips.HERMES, seconds=3600.0)
    still = noise_budget(network, replace(aged, device=wrapped(steady)), images[:5], trials=1)
    moving = noise_budget(network, replace(aged, device=wrapped(drifting)), images[:5], trials=1)
    for layer, row in still.errors.items():
        assert row["drift"] == pytest.approx(0, abs=1e-6) and row["programming"] > 0.01
        assert moving.errors[layer]["drift"] > 0.2
        assert moving.errors[layer]["programming"] == pytest.approx(row["programming"])
