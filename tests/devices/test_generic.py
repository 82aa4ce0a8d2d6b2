"""The generic cell: each shape of programming noise against its distribution, drift against the power law."""

import numpy as np
import pytest
from scipy.stats import kstest

from neuroemu.devices import Generic, LognormalNoise, NormalNoise, ProportionalNoise, UniformNoise
from neuroemu.errors import ArgumentTypeError, InputError

TARGET = 10e-6


@pytest.mark.parametrize(
    "noise, law, parameters",
    [
        (NormalNoise(1e-6), "norm", (TARGET, 1e-6)),
        (ProportionalNoise(0.05), "norm", (TARGET, 0.05 * TARGET)),
        (LognormalNoise(0.3), "lognorm", (0.3, 0.0, TARGET)),
        (UniformNoise(2e-6), "uniform", (TARGET - 2e-6, 4e-6)),
    ],
)
def test_programming_noise_has_the_stated_distribution(noise, law, parameters):
    cells = Generic(noise=noise).program(np.full(1_000_000, TARGET), np.random.default_rng(11))
    assert kstest(cells.conductance, law, args=parameters).pvalue > 1e-3


def test_relative_noise_leaves_zero_alone_and_normal_noise_is_cut_there():
    zero = np.zeros(1000)
    for noise in (ProportionalNoise(0.1), LognormalNoise(0.5)):
        assert not Generic(noise=noise).program(zero, np.random.default_rng(0)).conductance.any()
    cut = Generic(noise=NormalNoise(1e-6)).program(zero, np.random.default_rng(0)).conductance
    assert cut.min() == 0 and 0.4 < (cut > 0).mean() < 0.6


def test_drift_follows_its_exponents():
    device = Generic(drift_exponent=0.05, drift_spread=0.01, t0=2.0)
    cells = device.program(np.full(200_000, TARGET), np.random.default_rng(1))
    assert kstest(cells.drift_exponent, "norm", args=(0.05, 0.01)).pvalue > 1e-3
    np.testing.assert_allclose(device.conductance(cells, 198.0), TARGET * 100.0**-cells.drift_exponent)
    np.testing.assert_array_equal(device.conductance(cells, 0.0), TARGET)
    assert Generic(drift_spread=0.1).program(np.zeros(1000), np.random.default_rng(0)).drift_exponent.min() == 0


def test_read_noise_is_relative_and_fresh():
    device = Generic(read_noise=0.02, drift_exponent=0.1)
    cells = device.program(np.array([0.0, TARGET]), np.random.default_rng(0))
    np.testing.assert_allclose(device.read_sigma(cells, 99.0), [0.0, 0.02 * TARGET * 100**-0.1])
    assert device.read_shares(1.0, image_seconds=1e-5, session_seconds=0.1).fresh == 1.0


def test_the_default_is_exact():
    target = np.linspace(0, 25e-6, 9)
    cells = Generic().program(target, np.random.default_rng(0))
    np.testing.assert_array_equal(Generic().conductance(cells, 1e9), target)


@pytest.mark.parametrize(
    "make",
    [
        lambda: NormalNoise(-1e-6),
        lambda: ProportionalNoise(float("nan")),
        lambda: LognormalNoise(float("inf")),
        lambda: UniformNoise(-1.0),
        lambda: Generic(read_noise=-0.1),
        lambda: Generic(drift_spread=-0.1),
        lambda: Generic(drift_exponent=float("nan")),
        lambda: Generic(t0=0.0),
        lambda: Generic(g_min=5e-6, g_max=5e-6),
    ],
)
def test_bad_parameters_are_refused(make):
    with pytest.raises(InputError) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_noise_is_an_object():
    with pytest.raises(ArgumentTypeError, match="NormalNoise"):
        Generic(noise="normal")
