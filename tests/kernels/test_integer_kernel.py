"""The integer kernel against its NumPy twins and the rounding rules of the integer reference, to the last bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from neuroemu.kernels._crossbar_base import cpu_has_v3

from neuroemu.kernels import _integer_base as base
from neuroemu.kernels import integer_reference as twin
from neuroemu.network import codes, fixed_point
from neuroemu.network.grids import Grid

BUILDS = [base]
if cpu_has_v3():
    from neuroemu.kernels import _integer_v3

    BUILDS.append(_integer_v3)
builds = pytest.mark.parametrize("kernel", BUILDS, ids=lambda build: build.__name__.rsplit("_", 1)[-1])
INT32 = 2**31


# Accumulators to codes


def codes_of(kernel, sums, bias, factor, grid, rounding, out=None):
    """Codes (B, P, M) of the compiled kernel."""
    factor = np.atleast_1d(np.asarray(factor, np.float64))
    multiplier, shift = fixed_point.quantize_multiplier(factor)
    out = np.full(sums.shape, 99, np.int8) if out is None else out
    kernel.requantize(
        sums, bias, out, rule=codes.RULES[rounding], factor=factor, multiplier=multiplier, shift=shift,
        zero_point=grid.zero_point, low=grid.low, high=grid.high,
    )  # fmt: skip
    return out


def expected_codes(sums, bias, factor, grid, rounding):
    total = np.rint(sums.astype(np.float64)) + (0.0 if bias is None else bias)
    return codes.requantize(np.clip(total, -INT32, INT32 - 1).astype(np.int32), factor, grid, rounding)


@builds
@pytest.mark.parametrize("rounding", codes.RULES)
@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(1, 3), st.integers(1, 60), st.integers(1, 40)),
    spread=st.sampled_from([3.0, 300.0, 1e5, 1e9, 1e13]),
    scale=st.floats(2.0**-40, 8.0),
    bits=st.integers(2, 8),
    settings_=st.tuples(st.booleans(), st.booleans(), st.booleans(), st.integers(0, 10**6)),
)
def test_requantize_has_the_bits_of_the_rules(kernel, rounding, size, spread, scale, bits, settings_):
    with_bias, by_channel, short, seed = settings_
    random = np.random.default_rng(seed)
    sums = random.normal(0, spread, size).astype(np.float32 if short else np.float64)
    bias = random.integers(-INT32, INT32, size[2]).astype(np.float64) // 2**16 if with_bias else None
    factor = scale * random.uniform(0.3, 1.0, size[2]) if by_channel else np.array(scale)
    grid = Grid(1.0, zero_point=int(random.integers(-(1 << bits - 1), 1 << bits - 1)), bits=bits)
    want = expected_codes(sums, bias, factor, grid, rounding)
    np.testing.assert_array_equal(codes_of(kernel, sums, bias, factor, grid, rounding), want)


@builds
@pytest.mark.parametrize("rounding", codes.RULES)
@pytest.mark.parametrize("factor", [2.0**-33, 2.0**-31, 2.0**-8, 0.25, 0.5, 1.0, 1.5, 2.0, 96.0, 2.0**31, 0.0])
def test_requantize_on_ties_and_at_the_ends_of_int32(kernel, rounding, factor):
    near = np.arange(-700, 700) / 4  # halves of sums are ties of the first rounding, quarters of codes of the second
    ends = np.array([-INT32, 1 - INT32, INT32 - 1, INT32, -(2.0**40), 2.0**40, -(2.0**60), 2.0**60])
    sums = np.concatenate([near, ends, ends / 2, ends / 2 + 1, np.arange(-12, 12) * 2.0**29]).reshape(1, -1, 1)
    for grid in (Grid(1.0), Grid(1.0, zero_point=-128), Grid(1.0, zero_point=127)):
        for bias in (None, np.array([float(1 - INT32)]), np.array([float(INT32 - 1)])):
            want = expected_codes(sums, bias, factor, grid, rounding)
            np.testing.assert_array_equal(codes_of(kernel, sums, bias, factor, grid, rounding), want)


@builds
@pytest.mark.parametrize("channels", [1, 6, 300])
def test_requantize_takes_any_strides(kernel, channels):
    random, grid = np.random.default_rng(channels), Grid(1.0, 5)
    sums, factor = random.normal(0, 3000, (2, channels, 37)), random.uniform(0.001, 0.04, channels)
    views = [sums.transpose(0, 2, 1), np.ascontiguousarray(sums.transpose(0, 2, 1)), sums[:, :, ::3].transpose(0, 2, 1)]
    for view in views:
        want = expected_codes(view, None, factor, grid, "half_even")
        channels_first = np.empty((2, channels, view.shape[1]), np.int8)
        codes_of(kernel, view, None, factor, grid, "half_even", channels_first.transpose(0, 2, 1))
        np.testing.assert_array_equal(channels_first, want.transpose(0, 2, 1))
        np.testing.assert_array_equal(codes_of(kernel, view, None, factor, grid, "half_even"), want)


@builds
def test_requantize_refuses_what_would_read_beyond(kernel):
    sums, grid = np.zeros((1, 2, 3)), Grid(1.0)
    with pytest.raises(ValueError, match="one bias for each channel"):
        codes_of(kernel, sums, np.zeros(2), 1.0, grid, "half_even")
    with pytest.raises(ValueError, match="shape of sums"):
        codes_of(kernel, sums, None, 1.0, grid, "half_even", np.zeros((1, 2, 4), np.int8))
    with pytest.raises(ValueError, match="one bias for each channel, and one factor"):
        codes_of(kernel, sums, None, [1.0, 1.0], grid, "half_even")


# Patches

geometries = st.fixed_dictionaries(
    {
        "kernel": st.tuples(st.integers(1, 4), st.integers(1, 9)),
        "stride": st.tuples(st.integers(1, 3), st.integers(1, 3)),
        "dilation": st.tuples(st.integers(1, 2), st.integers(1, 2)),
        "padding": st.tuples(
            st.tuples(st.integers(0, 2), st.integers(0, 3)), st.tuples(st.integers(0, 3), st.integers(0, 2))
        ),
    }
)


@builds
@settings(max_examples=60, deadline=None)
@given(geometry=geometries, channels=st.integers(1, 4), channels_last=st.booleans())
def test_patches_are_those_of_the_twin(kernel, geometry, channels, channels_last):
    x = np.random.default_rng(0).normal(0, 1, (3, channels, 8, 17)).astype(np.float32)
    if channels_last:
        x = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    want = twin.patches(x, **geometry)
    high, wide = twin.windows(x, **geometry).shape[2:4]
    got = np.full_like(want, np.nan)
    kernel.patches(x, got, size=(high, wide), **geometry)
    np.testing.assert_array_equal(got, want)


@builds
def test_patches_beyond_the_image_are_refused(kernel):
    geometry = {"kernel": (3, 3), "stride": (1, 1), "dilation": (1, 1), "padding": ((0, 0), (0, 0))}
    x = np.zeros((1, 1, 5, 5), np.float32)
    for size, shape in (((3, 4), (1, 12, 9)), ((4, 3), (1, 12, 9)), ((3, 3), (1, 9, 8)), ((3, 3), (2, 9, 9))):
        with pytest.raises(ValueError, match="patches"):
            kernel.patches(x, np.zeros(shape, np.float32), size=size, **geometry)


# Tables


@builds
def test_lookups_are_those_of_the_twin(kernel):
    random = np.random.default_rng(1)
    first, second = (np.concatenate([random.permutation(256), [0]]).astype(np.uint8).view(np.int8) for _ in range(2))
    table, pairs = (random.integers(-128, 128, shape).astype(np.int8) for shape in (256, (256, 256)))
    out = np.empty_like(first)
    kernel.lookup(first, table, out)
    np.testing.assert_array_equal(out, twin.lookup(first, table))
    kernel.lookup_pairs(first, second, pairs, out)
    np.testing.assert_array_equal(out, twin.lookup_pairs(first, second, pairs))
    for wrong in (lambda: kernel.lookup(first, table[:255], out), lambda: kernel.lookup(first, table, out[:9])):
        with pytest.raises(ValueError, match="256 entries"):
            wrong()
