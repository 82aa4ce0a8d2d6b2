"""Prices at another supply: the square, marked as an estimate, within what macros were measured to do."""

from dataclasses import replace
from functools import partial

import pytest

from neuroemu import components
from neuroemu.errors import InputError, PriceError
from neuroemu.validation import macros

approx = partial(pytest.approx, rel=1e-9, abs=0)  # joules lie far below the default absolute tolerance


def test_the_square_and_its_band():
    price = components.OPERATIONS["int8_add", 45]  # 0.9 V
    found = components.at_voltage(price, 0.6)
    assert found.value == approx(price.value * 4 / 9) and found.voltage == 0.6
    assert found.evidence == "estimate" and components.at_voltage(price, 0.9) == price


def test_the_band_holds_each_measured_point():
    for volts, value in macros.SINANGIL_PICOJOULES.items():
        assert 0.4 <= value / (7.8125 * (volts / 0.8) ** 2) <= 1.2
    for volts, tops in macros.WANG_TOPS_PER_WATT.items():
        assert 0.4 <= 22.590 / tops / (volts / 0.8) ** 2 <= 1.2
    assert 0.4 <= 36.83598758 / (144.3500315 * 0.75**2) <= 1.2


def test_what_follows_no_square_is_refused():
    price = components.OPERATIONS["int8_add", 45]
    for wrong in (replace(price, voltage=None), replace(price, kind="static", scope="chip")):
        with pytest.raises(PriceError, match="at_voltage"):
            components.at_voltage(wrong, 0.8)
    with pytest.raises(InputError):
        components.at_voltage(price, 0.2)
