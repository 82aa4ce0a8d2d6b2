"""Fixed-point arithmetic, against exact fractions and against the C code spelled out on Python integers.

Equality with TFLite's released kernels is tested through whole networks in test_tflite_reader.py.
"""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroemu.network import fixed_point as fp
from neuroemu.network.grids import Grid

INT32 = st.integers(-(2**31), 2**31 - 1)


def c_divide(a, b):
    """Integer division in C: toward zero."""
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def c_high_multiply(a, b):
    """gemmlowp's SaturatingRoundingDoublingHighMul, as it is written."""
    if a == b == -(2**31):
        return 2**31 - 1
    nudge = (1 << 30) if a * b >= 0 else 1 - (1 << 30)
    return c_divide(a * b + nudge, 1 << 31)


def c_divide_by_power(x, exponent):
    """gemmlowp's RoundingDivideByPOT, as it is written."""
    mask = (1 << exponent) - 1
    threshold = (mask >> 1) + (1 if x < 0 else 0)
    return (x >> exponent) + (1 if (x & mask) > threshold else 0)


@given(INT32, INT32)
def test_high_multiply(a, b):
    assert int(fp.high_multiply(a, b)) == c_high_multiply(a, b)


@pytest.mark.parametrize("a, b", [(-(2**31), -(2**31)), (1, -(2**30)), (-1, -(2**30)), (3, 2**30), (-3, 2**30), (0, 5)])
def test_high_multiply_at_the_edges(a, b):
    assert int(fp.high_multiply(a, b)) == c_high_multiply(a, b)


@given(INT32, st.integers(0, 31))
def test_divide_by_power(x, exponent):
    assert int(fp.divide_by_power(x, exponent)) == c_divide_by_power(x, exponent)


def test_divide_by_power_rounds_half_away_from_zero():
    assert fp.divide_by_power([-3, -2, -1, 1, 2, 3], 1).tolist() == [-2, -1, -1, 1, 1, 2]
    assert fp.divide_by_power([-6, -5, 5, 6], 2).tolist() == [-2, -1, 1, 2]


@given(st.floats(2.0**-30, 2.0**20))
def test_a_multiplier_stands_for_its_factor(factor):
    multiplier, shift = (int(v) for v in fp.quantize_multiplier(factor))
    assert 2**30 <= multiplier < 2**31
    assert abs(Fraction(multiplier) * Fraction(2) ** (shift - 31) / Fraction(factor) - 1) <= Fraction(1, 2**31)


def test_multipliers_at_the_edges():
    assert [int(v) for v in fp.quantize_multiplier(0.0)] == [0, 0]
    assert [int(v) for v in fp.quantize_multiplier(1.0)] == [2**30, 1]
    assert [int(v) for v in fp.quantize_multiplier(0.5)] == [2**30, 0]
    assert [int(v) for v in fp.quantize_multiplier(np.nextafter(1.0, 0))] == [2**30, 1], "carried to the next power"
    assert [int(v) for v in fp.quantize_multiplier(2.0**-40)] == [0, 0], "flushed"


@given(INT32, st.floats(2.0**-20, 0.999))
def test_a_product_is_within_one_of_the_real_one(x, factor):
    """Two roundings: at most half a unit each, and the multiplier's own error."""
    got = int(fp.multiply_by_real(x, factor))
    assert abs(got - x * factor) <= 0.5 + 0.5 + abs(x) * factor * 2.0**-31 + 1e-6


def test_two_roundings_are_not_one():
    """0.4999 rounds to 0 at once, but first to 0.5 and then to 1 in two steps."""
    factor = (2**31 - 1) / 2**34
    x = np.arange(-2000, 2000)
    twice = fp.multiply_by_real(x, factor)
    once = np.array([math.floor(Fraction(int(v)) * Fraction(factor) + Fraction(1, 2)) for v in x])
    assert 0 < (twice != once).sum() and np.abs(twice - once).max() == 1


def test_arrays_broadcast():
    x = np.arange(-6, 6).reshape(1, 2, 3, 2)
    factors = np.array([0.25, 0.01]).reshape(1, 2, 1, 1)
    got = fp.multiply_by_real(x * 1000, factors)
    for channel, factor in enumerate((0.25, 0.01)):
        np.testing.assert_array_equal(got[0, channel], fp.multiply_by_real(x[0, channel] * 1000, factor))


@given(st.integers(-(2**20), 2**20), st.integers(1, 400))
def test_rounded_mean(total, count):
    want = c_divide(total + count // 2, count) if total > 0 else c_divide(total - count // 2, count)
    assert int(fp.rounded_mean(total, count)) == want


def test_nearest_rounds_half_away_from_zero():
    assert fp.nearest(np.array([-2.5, -1.5, -0.5, -0.49, 0.0, 0.49, 0.5, 1.5, 2.5])).tolist() == [
        -3,
        -2,
        -1,
        0,
        0,
        0,
        1,
        2,
        3,
    ]


def test_encode_rounds_half_away_from_zero_and_saturates():
    grid = Grid(0.5, -3)
    assert fp.encode(np.array([0.25, -0.25, 0.75, 100, -100]), grid).tolist() == [-2, -4, -1, 127, -128]


@given(st.integers(-128, 127), st.integers(-128, 127))
def test_sums_are_within_a_step(a, b):
    first, second, total = Grid(0.03, -5), Grid(0.11, 17), Grid(0.09, 2)
    got = int(fp.add_codes([np.array([a], np.int8), np.array([b], np.int8)], [first, second], total)[0])
    want = (0.03 * (a + 5) + 0.11 * (b - 17)) / 0.09 + 2
    assert abs(got - np.clip(want, -128, 127)) <= 0.51


@given(st.lists(st.integers(-128, 127), min_size=1, max_size=70))
def test_means_are_within_a_step(codes):
    """Two roundings, the first of a number that is not yet divided by all: up to one step together."""
    old, new = Grid(0.05, -9), Grid(0.041, 20)
    got = int(fp.mean_codes(np.array(sum(codes)), len(codes), old, new))
    want = 0.05 * (np.mean(codes) + 9) / 0.041 + 20
    assert abs(got - np.clip(want, -128, 127)) <= 1.01
