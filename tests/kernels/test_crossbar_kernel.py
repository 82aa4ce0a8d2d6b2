"""The crossbar kernel against published random numbers, integer arithmetic, a normal per device, and its NumPy twin."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from neuroemu import kernels
from neuroemu.kernels import _crossbar_base as base
from neuroemu.kernels import crossbar_reference as twin

BUILDS = [base]
if base.cpu_has_v3():
    from neuroemu.kernels import _crossbar_v3

    BUILDS.append(_crossbar_v3)

# Random123 1.14, tests/kat_vectors: threefry4x32, 20 rounds: counter, key, output.
KNOWN_ANSWERS = [
    ("00000000 " * 4, "00000000 " * 4, "9c6ca96a e17eae66 fc10ecd4 5256a7d8"),
    ("ffffffff " * 4, "ffffffff " * 4, "2a881696 57012287 f6c7446e a16a6732"),
    (
        "243f6a88 85a308d3 13198a2e 03707344",
        "a4093822 299f31d0 082efa98 ec4e6c89",
        "59cd1dbb b8879579 86b5d00c ac8b6d84",
    ),
]


@pytest.fixture(params=BUILDS, ids=lambda build: build.__name__.rsplit("_", 1)[-1])
def kernel(request):
    return request.param


def product(kernel, mean, variance, sigma, tile_rows, x, *, threads=1, **settings):
    """What twin.mvm returns, from a compiled build."""
    packed = kernel.pack(mean, variance, sigma, tile_rows)
    out = np.full((*x.shape[:2], mean.shape[1]), np.nan)
    clipped = np.zeros(packed.n_row_tiles, np.int64)
    dac_clipped, driven = kernel.mvm(packed, x, out, threads=threads, clipped=clipped, **settings)
    return twin.Product(out, clipped, dac_clipped, driven)


def problem(seed, images, patches, rows, columns, tile_rows):
    """Random inputs, weights, noise and converters in the range of an 8-bit layer."""
    rng = np.random.default_rng(seed)
    tiles = -(-rows // tile_rows)
    x = rng.normal(0, 60, (images, patches, rows)).astype(np.float32)
    mean = rng.normal(0, 7, (rows, columns)).astype(np.float32)
    variance, sigma = rng.random((2, rows, columns), np.float32)
    converters = {
        "dac_scale": 0.9,
        "dac_limit": 127.0,
        "adc_step": rng.uniform(20, 60, (tiles, columns)).astype(np.float32),
        "adc_offset": rng.normal(0, 1, (tiles, columns)).astype(np.float32),
        "adc_limit": 127.0,
    }
    return mean, variance, sigma, x, converters


# Random numbers


@pytest.mark.parametrize("counter, key, expected", KNOWN_ANSWERS)
def test_threefry_known_answers(kernel, counter, key, expected):
    counter, key, expected = ([int(word, 16) for word in text.split()] for text in (counter, key, expected))
    key = {"seed": key[0] | key[1] << 32, "stream": key[2] | key[3] << 32}
    words = np.array([counter] * 35, np.uint32)
    assert (twin.threefry(words, **key) == expected).all()
    kernel.threefry(words, **key)
    assert (words == expected).all()


@pytest.mark.parametrize("offset", [0, 5, 16 * 2**30 - 70, 2**63 + 3])
def test_normals_have_the_bits_of_the_twin(kernel, offset):
    z = np.empty(1003, np.float32)
    kernel.normals(z, 2**40 + 3, 2**63 + 5, offset)
    np.testing.assert_array_equal(z, twin.normals(z.size, seed=2**40 + 3, stream=2**63 + 5, offset=offset))


def test_normals_are_normal(kernel):
    z = np.empty(1 << 20, np.float32)
    kernel.normals(z, 1, 2)
    z = z.astype(np.float64)
    error = 1 / np.sqrt(z.size)
    assert abs(z.mean()) < 4 * error
    assert abs(z.var() - 1) < 4 * np.sqrt(2) * error
    assert abs(stats.skew(z)) < 4 * np.sqrt(6) * error
    assert abs(stats.kurtosis(z)) < 4 * np.sqrt(24) * error
    assert stats.kstest(z, "norm").pvalue > 1e-3
    for limit in (3, 4):
        expected = z.size * 2 * stats.norm.sf(limit)
        assert abs(np.count_nonzero(np.abs(z) > limit) - expected) < 4 * np.sqrt(expected)
    for lag in (1, 2, 3, 4, 8, 16, 64):
        assert abs(np.mean(z[lag:] * z[:-lag])) < 4.5 * error
        assert abs(np.mean(z[lag:] ** 2 * z[:-lag] ** 2) - 1) < 4.5 * np.sqrt(8) * error


def test_normals_differ_by_seed_and_stream(kernel):
    draws = np.empty((5, 1 << 16), np.float32)
    for row, (seed, stream) in zip(draws, [(0, 0), (1, 0), (0, 1), (1 << 32, 0), (0, 1 << 32)], strict=True):
        kernel.normals(row, seed, stream)
    correlation = np.corrcoef(draws)[np.triu_indices(5, 1)]
    assert np.abs(correlation).max() < 4.5 / np.sqrt(draws.shape[1])


def test_noise_depends_on_all_that_names_a_read(kernel):
    mean, variance, _, x, _ = problem(0, 1, 1, 40, 33, 40)
    zero = {"seed": 0, "stream": 0, "image_offset": 0, "patch_offset": 0, "read_number": 0}
    settings = [zero] + [{**zero, name: 1} for name in zero]
    noise = [product(kernel, mean * 0, variance, None, 40, x, **each).out.ravel() for each in settings]
    noise.append(product(kernel, mean * 0, None, np.sqrt(variance), 40, x, slow_stream=0).out.ravel())
    noise.append(product(kernel, mean * 0, None, np.sqrt(variance), 40, x, slow_stream=1).out.ravel())
    x2 = np.concatenate([x * 0, x], axis=2)  # the same sums, one row tile later
    noise.append(product(kernel, np.tile(mean * 0, (2, 1)), np.tile(variance, (2, 1)), None, 40, x2).out.ravel())
    values = np.stack(noise)
    same = (values[:, None] == values[None]).sum(axis=-1) - 33 * np.eye(len(values), dtype=int)
    assert same.max() == 0


# Exact arithmetic

shapes = {
    "images": st.integers(1, 9),
    "patches": st.integers(1, 30),
    "rows": st.integers(1, 70),
    "columns": st.integers(1, 70),
    "tile_rows": st.integers(1, 80),
    "seed": st.integers(0, 2**32 - 1),
}


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.__name__.rsplit("_", 1)[-1])
@settings(deadline=None, max_examples=80)
@given(**shapes)
def test_integers_are_exact(build, images, patches, rows, columns, tile_rows, seed):
    rng = np.random.default_rng(seed)
    x = rng.integers(-127, 128, (images, patches, rows))
    weights = rng.integers(-127, 128, (rows, columns))
    found = product(build, weights.astype(np.float32), None, None, tile_rows, x.astype(np.float32))
    np.testing.assert_array_equal(found.out, x @ weights)
    assert found.driven == np.count_nonzero(x)


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.__name__.rsplit("_", 1)[-1])
@settings(deadline=None, max_examples=80)
@given(**shapes, step=st.sampled_from([1, 2, 4]), limit=st.integers(1, 400))
def test_converters_are_exact(build, images, patches, rows, columns, tile_rows, seed, step, limit):
    """Steps of a power of two put many sums on the half, where rounding must go to the even code."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-9, 10, (images, patches, rows))
    weights = rng.integers(-9, 10, (rows, columns))
    tiles = -(-rows // tile_rows)
    back = rng.integers(1, 5, (tiles, columns))
    offset = rng.integers(-3, 4, (tiles, columns))
    driven = np.clip(np.rint(x / 2), -3, 3)
    expected, clipped = np.zeros((images, patches, columns)), []
    for t in range(tiles):
        part = slice(t * tile_rows, (t + 1) * tile_rows)
        code = driven[..., part] @ weights[part] / step + offset[t]
        clipped.append(np.count_nonzero(np.abs(code) > limit + 0.5))
        expected += back[t] * np.clip(np.rint(code), -limit, limit)
    full = np.full((tiles, columns), step, np.float32)
    found = product(
        build, weights.astype(np.float32), None, None, tile_rows, x.astype(np.float32), dac_scale=0.5, dac_limit=3.0,
        adc_step=full, adc_offset=offset.astype(np.float32), adc_limit=float(limit), adc_back=back.astype(np.float32),
    )  # fmt: skip
    np.testing.assert_array_equal(found.out, expected)
    assert found.clipped.tolist() == clipped
    assert found.dac_clipped == np.count_nonzero(np.abs(x / 2) > 3.5)
    assert found.driven == np.count_nonzero(driven)


def test_sums_over_tiles_are_exact_beyond_float32(kernel):
    weights = np.full((600, 3), 127, np.float32)
    x = np.full((1, 1, 600), 255, np.float32)
    x[0, 0, ::7] = 254
    found = product(kernel, weights, None, None, 256, x, adc_back=np.full((3, 3), 4097, np.float32))
    assert (found.out == int(x.sum()) * 127 * 4097).all() and found.out.max() > 2**35


# One normal per column against one per device

noise_cases = {
    "fresh": (True, False, False, 0.0),
    "fresh, ADC": (True, False, True, 0.0),
    "fresh, ADC and its noise": (True, False, True, 0.7),
    "ADC noise alone": (False, False, True, 0.7),
    "slow": (False, True, False, 0.0),
    "fresh and slow, ADC": (True, True, True, 0.3),
}


@pytest.mark.parametrize("fresh, slow, adc, adc_noise", noise_cases.values(), ids=noise_cases)
def test_same_distribution_as_a_normal_per_device(kernel, fresh, slow, adc, adc_noise):
    reads, rows, columns, tile_rows = 3000, 50, 20, 32
    rng = np.random.default_rng(5)
    mean = rng.normal(0, 7, (rows, columns)).astype(np.float32)
    variance = rng.uniform(0, 4, (rows, columns)).astype(np.float32) if fresh else None
    sigma = rng.uniform(0, 2, (rows, columns)).astype(np.float32) if slow else None
    x = np.tile(rng.integers(-20, 21, rows).astype(np.float32), (reads, 1, 1))
    converters = {}
    if adc:
        step = rng.uniform(8, 16, (2, columns)).astype(np.float32)
        converters = {"adc_step": step, "adc_limit": 63.0, "adc_back": step, "adc_noise": adc_noise}
    found = product(kernel, mean, variance, sigma, tile_rows, x, seed=11, **converters).out[:, 0]
    truth = twin.mvm_per_device(mean, variance, sigma, tile_rows, x, rng=rng, **converters).out[:, 0]
    error = np.sqrt((found.var(axis=0) + truth.var(axis=0)) / reads)
    scores = (found.mean(axis=0) - truth.mean(axis=0)) / error
    assert np.abs(scores).max() < 4.2
    ratio = found.var(axis=0) / truth.var(axis=0)
    assert np.abs(np.log(ratio)).max() < 4.2 * np.sqrt(4 / reads)
    assert abs(np.log(ratio).mean()) < 4.2 * np.sqrt(4 / reads / columns)
    assert min(stats.ks_2samp(f, t).pvalue for f, t in zip(found.T, truth.T, strict=True)) > 2e-4
    across = np.corrcoef(found.T)[np.triu_indices(columns, 1)]  # columns are independent
    assert np.abs(across).max() < 4.5 / np.sqrt(reads)


def test_slow_noise_lasts_for_one_image(kernel):
    images, patches, rows, columns = 800, 3, 40, 18
    mean, _, sigma, x, _ = problem(3, images, 1, rows, columns, 24)
    x[:] = x[0]
    out = product(kernel, mean, None, sigma, 24, np.repeat(x, patches, axis=1)).out
    assert (out == out[:, :1]).all()
    noise = out[:, 0] - x[0, 0].astype(np.float64) @ mean
    expected = x[0, 0].astype(np.float64) ** 2 @ sigma.astype(np.float64) ** 2
    ratio = (noise**2).mean(axis=0) / expected
    assert np.abs(ratio - 1).max() < 4.2 * np.sqrt(2 / images)
    assert abs(ratio.mean() - 1) < 4.2 * np.sqrt(2 / images / columns)
    successive = (noise[1:] * noise[:-1]).mean(axis=0) / expected
    assert np.abs(successive).max() < 4.2 / np.sqrt(images)


# The same bits however the work is cut

kinds = pytest.mark.parametrize("fresh, slow", [(False, False), (True, False), (False, True), (True, True)])


def large_case(fresh, slow):
    """More than the work below which the kernel stays on one thread."""
    mean, variance, sigma, x, converters = problem(8, 11, 23, 300, 310, 128)
    settings = {**converters, "adc_noise": 0.2, "seed": 3}
    return mean, variance if fresh else None, sigma if slow else None, 128, x, settings


@kinds
def test_bits_do_not_depend_on_threads(kernel, fresh, slow):
    *case, settings = large_case(fresh, slow)
    one = product(kernel, *case, threads=1, **settings)
    for threads in (2, 3, 4):
        many = product(kernel, *case, threads=threads, **settings)
        np.testing.assert_array_equal(many.out, one.out)
        assert many.clipped.tolist() == one.clipped.tolist() and one.clipped.all()
        assert (many.dac_clipped, many.driven) == (one.dac_clipped, one.driven)


@kinds
def test_bits_do_not_depend_on_the_batch(kernel, fresh, slow):
    *weights, x, settings = large_case(fresh, slow)
    whole = product(kernel, *weights, x, **settings)
    for cuts in ([1], [4, 5], range(1, 11)):
        parts = [
            product(kernel, *weights, part, image_offset=offset, **settings)
            for offset, part in zip([0, *cuts], np.split(x, cuts), strict=True)
        ]
        np.testing.assert_array_equal(np.concatenate([part.out for part in parts]), whole.out)
        assert sum(part.clipped for part in parts).tolist() == whole.clipped.tolist()
        assert sum(part.driven for part in parts) == whole.driven
    patches = [
        product(kernel, *weights, np.ascontiguousarray(part), patch_offset=offset, **settings).out
        for offset, part in zip([0, 1, 9], np.split(x, [1, 9], axis=1), strict=True)
    ]
    np.testing.assert_array_equal(np.concatenate(patches, axis=1), whole.out)


def test_one_row_has_the_bits_of_a_row_of_many(kernel):
    mean, variance, _, x, converters = problem(9, 200, 1, 300, 145, 128)
    many = product(kernel, mean, variance, None, 128, x, **converters).out
    for b in (0, 95, 96, 199):
        one = product(kernel, mean, variance, None, 128, x[b : b + 1], image_offset=b, **converters).out
        np.testing.assert_array_equal(one[0], many[b])


def test_a_column_has_the_same_noise_beside_any_others(kernel):
    mean, variance, _, x, _ = problem(10, 5, 2, 60, 50, 60)
    all_columns = product(kernel, mean, variance, None, 60, x).out
    few = product(kernel, mean[:, :21].copy(), variance[:, :21].copy(), None, 60, x).out
    np.testing.assert_array_equal(few, all_columns[:, :, :21])


# Kernel, twin and builds


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.__name__.rsplit("_", 1)[-1])
@settings(deadline=None, max_examples=60)
@given(**shapes, fresh=st.booleans(), slow=st.booleans(), adc_noise=st.sampled_from([0.0, 0.4]))
def test_within_one_code_of_the_twin(
    build, images, patches, rows, columns, tile_rows, seed, fresh, slow, adc_noise
):  # fmt: skip
    mean, variance, sigma, x, converters = problem(seed, images, patches, rows, columns, tile_rows)
    case = (mean, variance if fresh else None, sigma if slow else None, tile_rows, x)
    settings = {**converters, "adc_noise": adc_noise, "seed": seed, "stream": 7, "image_offset": 5, "patch_offset": 2}
    expected = twin.mvm(*case, **settings)
    found = product(build, *case, **settings)
    tiles = len(expected.clipped)
    wrong = np.abs(found.out - expected.out)
    assert wrong.max() <= tiles  # one code of each conversion
    assert wrong.sum() <= 1 + 1e-3 * tiles * wrong.size
    assert (found.dac_clipped, found.driven) == (expected.dac_clipped, expected.driven)
    assert np.abs(found.clipped - expected.clipped).max() <= 1


@kinds
def test_images_of_many_patches_match_the_twin(kernel, fresh, slow):
    """An image with more patches than a block of rows has, in several row tiles."""
    mean, variance, sigma, x, converters = problem(12, 2, 220, 50, 21, 20)
    case = (mean, variance if fresh else None, sigma if slow else None, 20, x)
    wrong = np.abs(product(kernel, *case, seed=1, **converters).out - twin.mvm(*case, seed=1, **converters).out)
    assert wrong.max() <= 1 and np.count_nonzero(wrong) < 1e-3 * wrong.size


@pytest.mark.skipif(len(BUILDS) < 2, reason="this CPU has one build")
@kinds
def test_builds_agree_within_one_code(fresh, slow):
    *case, settings = large_case(fresh, slow)
    one, other = (product(build, *case, **settings).out for build in BUILDS)
    wrong = np.abs(one - other)
    assert wrong.max() <= 1 and np.count_nonzero(wrong) < 1e-3 * wrong.size
    sums = [product(build, *case, seed=3).out for build in BUILDS]
    np.testing.assert_allclose(*sums, atol=0.05)


# Doors


def test_refuses_shapes_that_do_not_fit(kernel):
    weights, x, out = np.zeros((6, 4), np.float32), np.zeros((2, 1, 6), np.float32), np.zeros((2, 1, 4))
    packed = kernel.pack(weights, None, None, 4)
    assert (packed.K, packed.M, packed.tile_rows, packed.n_row_tiles) == (6, 4, 4, 2)
    for bad in (
        lambda: kernel.pack(weights, None, None, 0),
        lambda: kernel.pack(weights, weights[:5], None, 4),
        lambda: kernel.pack(weights, None, weights[:, :3], 4),
        lambda: kernel.mvm(packed, x[:, :, :5].copy(), out),
        lambda: kernel.mvm(packed, x, out[:1]),
        lambda: kernel.mvm(packed, x, out, adc_step=weights[:1]),
        lambda: kernel.mvm(packed, x, out, clipped=np.zeros(1, np.int64)),
    ):
        with pytest.raises(ValueError):
            bad()


def test_no_images_is_no_work(kernel):
    packed = kernel.pack(np.ones((6, 4), np.float32), None, None, 4)
    assert kernel.mvm(packed, np.zeros((0, 3, 6), np.float32), np.zeros((0, 3, 4))) == (0, 0)


BEST = "v4" if base.cpu_has_v4() else "v3" if base.cpu_has_v3() else "base"
V3 = "base" if BEST == "base" else "v3"


@pytest.mark.parametrize(
    "wish, expected, crossbar, events",
    [("base",) * 4, ("v3", V3, V3, V3), ("v4", BEST, V3, BEST), ("", BEST, V3, BEST), ("sse", "", "", "")],
)
def test_environment_chooses_the_build(wish, expected, crossbar, events, tmp_path):
    built = "print(*(k.__getattr__(n).__name__.rsplit('_')[-1] for n in ('crossbar', 'events')))"
    code = f"from neuroemu import kernels as k; print(k.isa(), k.openmp_enabled()); {built}"
    environment = {**os.environ, "NEUROEMU_ISA": wish}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    if expected:
        assert done.stdout.split() == [expected, str(kernels.openmp_enabled()), crossbar, events]
    else:
        assert done.returncode != 0 and "NEUROEMU_ISA" in done.stderr.splitlines()[-1]
