"""Every device, unchanged, in a crossbar that runs the embedded network; and the laws that all devices obey."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neuroemu as ne
from neuroemu import chips, datasets
from neuroemu.devices import (
    WAN_CROSSSIM,
    Endurance,
    Faulty,
    FlickerNoise,
    Generic,
    HalfSelectDisturb,
    HermesPcm,
    Ideal,
    Levels,
    LognormalNoise,
    MeasuredTable,
    NormalNoise,
    Pcm,
    ProportionalNoise,
    RramCmo,
    RramMilo2021,
    RramWan2022,
    ShotNoise,
    Sonos,
    TelegraphNoise,
    ThermalNoise,
    UniformNoise,
    UpdateTable,
    WithReadNoise,
    WriteVerified,
)

LEVELS = np.array([1e-6, 11e-6, 21e-6])
STEPS = UpdateTable(LEVELS, np.array([0.0, 1.0]), np.array([[0.0] * 3, [0.8e-6] * 3]))
BACK = UpdateTable(LEVELS, np.array([0.0, 1.0]), np.array([[-0.8e-6] * 3, [0.0] * 3]))
PARTS = (ThermalNoise(1e7, 0.2), ShotNoise(1e7, 0.2), FlickerNoise(0.005), TelegraphNoise(0.02, trapped=0.3))
DEVICES = {
    "Ideal": Ideal(),
    "Pcm": Pcm(),
    "Pcm white": Pcm(white=True),
    "HermesPcm": HermesPcm(),
    "RramWan2022": RramWan2022(),
    "RramWan2022 CrossSim": RramWan2022(fit=WAN_CROSSSIM),
    "RramCmo 0.2 %": RramCmo(acceptance=0.2),
    "RramCmo 2 %": RramCmo(),
    "RramMilo2021": RramMilo2021(),
    "Sonos": Sonos(),
    "Generic normal": Generic(noise=NormalNoise(0.5e-6), read_noise=0.02, drift_exponent=0.05, drift_spread=0.01),
    "Generic proportional": Generic(noise=ProportionalNoise(0.05)),
    "Generic lognormal": Generic(noise=LognormalNoise(0.1)),
    "Generic uniform": Generic(noise=UniformNoise(0.5e-6)),
    "MeasuredTable": MeasuredTable(STEPS, BACK, tolerance=0.02, read_noise=0.1e-6),
    "WithReadNoise": WithReadNoise(RramWan2022(), PARTS),
    "Faulty": Faulty(Pcm(), stuck_off=0.01, open_rows=0.002, spare_columns=2, repair="assignment"),
    "Endurance": Endurance(Pcm(), 1e6, 1.5, 1e4, stuck_on=0.2, window=(0.1, 1.0)),
    "HalfSelectDisturb": HalfSelectDisturb(RramWan2022(), 1e-5, spread=0.2),
    "Levels": Levels(WriteVerified(Pcm(), 0.5e-6, max_pulses=100), 33),
}
each_device = pytest.mark.parametrize("device", DEVICES.values(), ids=DEVICES)


@pytest.fixture(scope="module")
def network():
    plain = datasets.mnist_network()
    return ne.quantize(plain, samples=plain.samples)


@pytest.fixture(scope="module")
def images():
    return datasets.mnist_test(50)


@each_device
def test_runs_the_embedded_network(device, network, images):
    x, y = images
    chip = replace(chips.HERMES, device=device)
    result = ne.run(network, chip, x, labels=y)
    assert result.accuracy >= 0.94  # the exact network has all 50 right
    assert np.isfinite(result.outputs).all()
    exact = ne.run(network, replace(chip, device=Ideal(g_max=device.g_max)), x)
    same = np.array_equal(result.outputs, exact.outputs)
    assert same == isinstance(device, Ideal)  # every other device leaves a trace
    np.testing.assert_array_equal(ne.run(network, chip, x[:20], threads=2).outputs, result.outputs[:20])


@each_device
@given(
    g=st.lists(st.floats(0.0, 1.0), min_size=1, max_size=20),
    times=st.lists(st.floats(0.0, 172_000.0), min_size=2, max_size=4),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=15, deadline=None)
def test_laws_of_all_devices(device, g, times, seed):
    target = device.g_min + np.array(g)[:, None] * (device.g_max - device.g_min)
    before = target.copy()
    cells = device.program(target, np.random.default_rng(seed))
    again = device.program(target, np.random.default_rng(seed))
    np.testing.assert_array_equal(target, before)
    np.testing.assert_array_equal(cells.conductance, again.conductance)
    for seconds in (0.0, *times):
        now, sigma = device.conductance(cells, seconds), device.read_sigma(cells, seconds)
        assert now.shape == sigma.shape == target.shape
        assert np.isfinite(now).all() and (now >= 0).all() and np.isfinite(sigma).all() and (sigma >= 0).all()
        # Time is absolute: cells that were looked at earlier are at the same place as untouched ones.
        np.testing.assert_array_equal(now, device.conductance(again, seconds))
        np.testing.assert_array_equal(now, device.conductance(cells, seconds))
        shares = device.read_shares(seconds, image_seconds=1e-5, session_seconds=0.1)
        parts = [shares.fresh, shares.slow, shares.frozen]
        assert min(parts) >= 0 and sum(parts) == pytest.approx(1.0)
    np.testing.assert_array_equal(device.conductance(cells, 0.0), cells.conductance)


@each_device
def test_cells_hold_what_they_were_told_in_the_middle_of_the_range(device):
    middle = (device.g_min + device.g_max) / 2
    cells = device.program(np.full((200, 100), middle), np.random.default_rng(1))
    assert np.median(cells.conductance) == pytest.approx(middle, rel=0.02)
