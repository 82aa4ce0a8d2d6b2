"""describe() says what was built, in units; rosy settings are warned of, sound ones are not."""

from dataclasses import replace
from math import sqrt

import numpy as np
import pytest

from neuroemu import chips, datasets, quantize, run
from neuroemu.crossbar import Adc, IdealAdc, MinMaxRange, ideal
from neuroemu.crossbar.describing import facts_of, thermal_current
from neuroemu.devices import Generic, HermesPcm, Ideal, Levels, NormalNoise, Pcm, RramMilo2021, RramWan2022

SPANS = {"image_seconds": 1e-5, "session_seconds": 0.1}


@pytest.fixture(scope="module")
def network():
    net = datasets.mnist_network()
    return quantize(net, samples=net.samples)


@pytest.fixture(scope="module")
def images():
    return datasets.mnist_test(20)[0]


def test_facts_are_those_of_the_device():
    facts = facts_of(Pcm(), seconds=0.0, **SPANS)
    middle = (0.26348 + 1.9650 * 0.5 - 1.1731 * 0.25) * 1e-6  # the law that Pcm states, at half of 25 uS
    assert facts.error[1] == pytest.approx(middle, rel=0.03)
    steady = facts_of(Pcm(drift=False, read_noise=False), seconds=3600.0, **SPANS)
    assert steady.kept == (1.0, 1.0, 1.0) and steady.noise == (0.0, 0.0, 0.0)
    assert facts_of(Generic(g_min=2e-6), seconds=0.0, **SPANS).error == (0.0, 0.0, 0.0)
    coarse = facts_of(Levels(Ideal(g_max=20e-6), 2), seconds=0.0, **SPANS)  # the middle goes to one of the ends
    assert coarse.error == pytest.approx((0.0, 10e-6, 0.0))
    even = facts_of(Generic(noise=NormalNoise(2e-7), drift_exponent=0.05, t0=1.0), seconds=0.0, **SPANS)
    assert even.kept[1] == pytest.approx((86400.0 + 1) ** -0.05, rel=1e-6)


def test_a_description_names_every_part():
    text = chips.HERMES.describe()
    for part in ("64 cores of 256 rows x 256 columns", "0 S to 20.7 uS", "1 h after programming", "ColumnAffine()",
                 "bits=8", "fresh", "133 ns a read", "not priced"):  # fmt: skip
        assert part in text
    assert "rosy" not in text
    wan = replace(chips.HERMES, device=RramWan2022(), seconds=1.0).describe()  # measured for two days
    assert "a day" in wan and "a year" not in wan


def test_sound_chips_are_not_warned_of(network, images):
    assert run(network, chips.HERMES, images).warnings == ()
    assert run(network, ideal(chips.HERMES), images).warnings == ()


@pytest.mark.parametrize(
    "fields, text",
    [
        ({"device": HermesPcm(programming_noise=False)}, "programmed without error"),
        ({"device": HermesPcm(read_noise=False)}, "reads have no noise"),
        ({"device": RramMilo2021()}, "reads have no noise"),
        ({"seconds": 0.0}, "drift later, to 9"),
        ({"adc": Adc(bits=16, range=MinMaxRange())}, "thermal noise of a column's cells"),
        ({"read_seconds": 1e-12}, "thermal noise of a column's cells"),
    ],
)
def test_rosy_runs_are_warned_of(network, images, fields, text):
    if isinstance(fields.get("device"), RramMilo2021):
        from neuroemu.crossbar import PulseWidth

        fields = fields | {"inputs": PulseWidth()}
    warnings = run(network, replace(chips.HERMES, **fields), images).warnings
    assert any(text in warning for warning in warnings), warnings


def test_thermal_noise_is_johnson_noise_of_the_cells(network):
    layer = network.weighted[-1]
    chip = replace(chips.HERMES, read_seconds=1e-6, adc=IdealAdc())
    codes = np.abs(layer.weight.astype(float))
    g = chip.device.g_max / layer.weight_grid.high * codes.mean() * min(256, codes.shape[1])  # siemens of a column
    expected = sqrt(4 * 1.380649e-23 * 300 * g * 0.5e6)
    assert thermal_current(chip, network, layer) == pytest.approx(expected, rel=1e-6)
