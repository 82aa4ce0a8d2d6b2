"""Few levels and small windows."""

from dataclasses import replace

import numpy as np
import pytest

import neuroemu as ne
from neuroemu.devices import (
    Endurance,
    Faulty,
    Generic,
    HalfSelectDisturb,
    HermesPcm,
    Ideal,
    Levels,
    MeasuredTable,
    NormalNoise,
    Pcm,
    RramMilo2021,
    UpdateTable,
    WriteVerified,
    with_on_off_ratio,
)
from neuroemu.errors import ArgumentTypeError, InputError


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("spacing", ["linear", "logarithmic"])
@pytest.mark.parametrize("levels", [2, 16, 100])
def test_targets_go_to_the_nearest_level(spacing, levels):
    device = Levels(Generic(g_min=1e-6, g_max=20e-6), levels, spacing)
    values = device.values
    steps = np.diff(values) if spacing == "linear" else values[1:] / values[:-1]
    np.testing.assert_allclose(steps, steps[0])
    assert (len(values), values[0], values[-1]) == (levels, 1e-6, pytest.approx(20e-6))
    targets = rng(1).uniform(0, 22e-6, 2000)
    reached = device.program(targets, rng()).conductance
    nearest = values[np.abs(targets[:, None] - values).argmin(axis=1)]
    np.testing.assert_array_equal(reached, nearest)


def test_rounding_leaves_a_uniform_error():
    """step / sqrt(12), the spread of quantization."""
    device = Levels(Ideal(), 32)
    targets = rng(2).uniform(0, 25e-6, 100_000)
    error = device.program(targets, rng()).conductance - targets
    assert error.std() == pytest.approx(25e-6 / 31 / np.sqrt(12), rel=0.01)


def test_write_verify_inside_verifies_against_the_level():
    device = Levels(WriteVerified(Generic(noise=NormalNoise(1e-6)), 0.2e-6, max_pulses=500), 4)
    cells = device.program(np.full(3000, 10e-6), rng(3))
    assert np.abs(cells.conductance - 25e-6 / 3).max() <= 0.2e-6
    with pytest.raises(InputError, match="wrap as Levels"):
        WriteVerified(Levels(Pcm()), 1e-6)


def test_one_bit_cells_cost_accuracy_and_many_levels_do_not():
    network = ne.datasets.mnist_network()
    network = ne.quantize(network, samples=network.samples)
    x, y = ne.datasets.mnist_test(100)

    def outputs(levels):
        return ne.run(network, replace(ne.chips.HERMES, device=Levels(Ideal(), levels)), x, labels=y)

    exact = ne.run(network, replace(ne.chips.HERMES, device=Ideal()), x, labels=y)
    np.testing.assert_array_equal(outputs(128).outputs, exact.outputs)  # 127 magnitudes and zero
    assert outputs(2).accuracy < exact.accuracy - 0.05 < outputs(16).accuracy


@pytest.mark.parametrize("device", [Ideal(), Pcm(), HermesPcm(), Generic(), HermesPcm(devices=1)])
def test_the_ratio_sets_g_min(device):
    small = with_on_off_ratio(device, 20.0)
    assert small.g_max == device.g_max and small.g_max / small.g_min == pytest.approx(20.0)
    assert type(small) is type(device)
    deep = with_on_off_ratio(Faulty(WriteVerified(device, 1e-6), stuck_off=1.0), 10.0)
    assert deep.program(np.zeros((2, 2)), rng()).conductance == pytest.approx(np.full((2, 2), device.g_max / 10))


def test_bad_settings_are_refused():
    table = UpdateTable(np.array([1e-6, 2e-6, 3e-6]), np.array([0.0, 1.0]), np.array([[1e-7] * 3, [1e-7] * 3]))
    down = UpdateTable(np.array([1e-6, 2e-6, 3e-6]), np.array([0.0, 1.0]), np.array([[-1e-7] * 3, [-1e-7] * 3]))
    for make, said in (
        (lambda: Levels(Pcm(), 1), "levels"),
        (lambda: Levels(Pcm(), 4, "quadratic"), "spacing"),
        (lambda: Levels(Pcm(), 4, "logarithmic"), "with_on_off_ratio"),
        (lambda: with_on_off_ratio(Pcm(), 1.0), "above 1"),
        (lambda: with_on_off_ratio(RramMilo2021(), 100.0), "g_min"),
        (lambda: with_on_off_ratio(MeasuredTable(table, down), 5.0), "cannot be set"),
    ):
        with pytest.raises(InputError, match=said) as caught:
            make()
        assert "\n" not in str(caught.value)
    for make in (lambda: Levels("pcm"), lambda: with_on_off_ratio("pcm", 5.0)):
        with pytest.raises(ArgumentTypeError, match="device must be a Device"):
            make()


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda cell: Levels(cell, 8),
        lambda cell: Endurance(cell, 1e6, 1.0, 1e5, stuck_on=1.0),
        lambda cell: HalfSelectDisturb(cell, 1e-4),
        lambda cell: Faulty(cell, stuck_on=0.1),
    ],
)
def test_wrappers_pass_the_curve_of_the_cell_on(wrapped):
    cell = RramMilo2021()
    assert cell.iv is not None and wrapped(cell).iv == cell.iv and wrapped(Pcm()).iv is None
