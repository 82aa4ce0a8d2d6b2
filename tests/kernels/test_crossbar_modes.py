"""Modes of the crossbar kernel against exact arithmetic and against one another: noise of columns, tables of edges."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroemu.kernels import _crossbar_base as base
from neuroemu.kernels import crossbar_reference as twin

BUILDS = [base]
if base.cpu_has_v3():
    from neuroemu.kernels import _crossbar_v3

    BUILDS.append(_crossbar_v3)

each_build = pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.__name__.rsplit("_", 1)[-1])
shapes = {
    "images": st.integers(1, 9),
    "patches": st.integers(1, 30),
    "rows": st.integers(1, 70),
    "columns": st.integers(1, 70),
    "tile_rows": st.integers(1, 80),
    "seed": st.integers(0, 2**32 - 1),
}


def product(build, weights, x, *, threads=1, **settings):
    """What twin.mvm returns, from a compiled build; weights are the arguments of pack."""
    *arrays, options = weights
    packed = build.pack(*arrays, **options)
    out = np.full((*x.shape[:2], packed.M), np.nan)
    clipped = np.zeros(packed.n_row_tiles, np.int64)
    dac_clipped, driven = build.mvm(packed, x, out, threads=threads, clipped=clipped, **settings)
    return twin.Product(out, clipped, dac_clipped, driven)


# Read noise with one variance for all rows of a column


@each_build
@settings(deadline=None, max_examples=60)
@given(**shapes, slow=st.booleans())
def test_noise_of_columns_has_the_bits_of_the_two_products(
    build, images, patches, rows, columns, tile_rows, seed, slow
):
    """Drives are whole and variances whole eighths, so both sums are exact and must agree to the last bit."""
    rng = np.random.default_rng(seed)
    tiles = -(-rows // tile_rows)
    x = rng.integers(-90, 91, (images, patches, rows)).astype(np.float32)
    mean = rng.integers(-20, 21, (rows, columns)).astype(np.float32)
    sigma = rng.random((rows, columns), np.float32) if slow else None
    by_column = (rng.integers(0, 9, (tiles, columns)) / 8).astype(np.float32)
    by_row = np.repeat(by_column, tile_rows, axis=0)[:rows]
    settings = {"seed": seed, "stream": 3, "image_offset": 4, "patch_offset": 1, "read_number": 2}
    expected = product(build, (mean, by_row, sigma, tile_rows, {}), x, **settings)
    found = product(build, (mean, None, sigma, tile_rows, {"column_variance": by_column}), x, **settings)
    np.testing.assert_array_equal(found.out, expected.out)
    reference = twin.mvm(mean, None, sigma, tile_rows, x, column_variance=by_column, **settings)
    np.testing.assert_allclose(found.out, reference.out, rtol=1e-5, atol=1e-3 * np.abs(reference.out).max())


def test_noise_of_columns_has_its_variance():
    rows, reads = 50, 6000
    rng = np.random.default_rng(2)
    drive = rng.integers(-20, 21, rows)
    x = np.tile(drive.astype(np.float32), (reads, 1, 1))
    by_column = rng.uniform(0.2, 4, (2, 12)).astype(np.float32)  # 32 rows, then 18
    zero = np.zeros((rows, 12), np.float32)
    noise = product(BUILDS[-1], (zero, None, None, 32, {"column_variance": by_column}), x).out[:, 0]
    power = np.array([np.square(drive[:32]).sum(), np.square(drive[32:]).sum()])
    ratio = noise.var(axis=0) / (power @ by_column)
    assert np.abs(ratio - 1).max() < 4.2 * np.sqrt(2 / reads)


@pytest.mark.parametrize("adc_noise", [0.0, 0.4])
def test_noise_of_columns_for_any_threads_and_batches(adc_noise):
    rng = np.random.default_rng(0)
    x = rng.normal(0, 60, (11, 23, 300)).astype(np.float32)
    mean = rng.normal(0, 7, (300, 310)).astype(np.float32)
    weights = (mean, None, None, 128, {"column_variance": rng.random((3, 310), np.float32)})
    settings = {"adc_step": np.full((3, 310), 40, np.float32), "adc_limit": 127.0, "adc_noise": adc_noise}
    settings |= {"dac_scale": 0.9, "dac_limit": 127.0}
    one = product(BUILDS[-1], weights, x, **settings).out
    np.testing.assert_array_equal(product(BUILDS[-1], weights, x, threads=3, **settings).out, one)
    parts = [product(BUILDS[-1], weights, x[b : b + 1], image_offset=b, **settings).out for b in range(11)]
    np.testing.assert_array_equal(np.concatenate(parts), one)
    if len(BUILDS) > 1:
        wrong = np.abs(product(base, weights, x, **settings).out - one)
        assert wrong.max() <= 1 and np.count_nonzero(wrong) < 1e-3 * wrong.size


# Codes by edges


def some_edges(rng, shape, limit, spread):
    """Ascending tables, some with infinite ends and with edges that coincide."""
    edges = np.arange(-limit, limit) + 0.5 + rng.normal(0, spread, (*shape, 2 * limit))
    edges = np.sort(np.where(rng.random(edges.shape) < 0.2, np.round(edges), edges), axis=-1).astype(np.float32)
    cut = rng.integers(0, limit + 1, shape)[..., None]
    place = np.arange(2 * limit)
    edges = np.where(place < cut // 2, -np.inf, edges)
    return np.where(place >= 2 * limit - cut // 3, np.inf, edges).astype(np.float32)


@each_build
@settings(deadline=None, max_examples=60)
@given(**shapes, limit=st.sampled_from([1, 2, 3, 7, 31, 127]), spread=st.sampled_from([0.0, 0.3, 2.0, 40.0]))
def test_codes_are_the_number_of_edges_below(
    build, images, patches, rows, columns, tile_rows, seed, limit, spread
):  # fmt: skip
    rng = np.random.default_rng(seed)
    tiles = -(-rows // tile_rows)
    x = rng.integers(-9, 10, (images, patches, rows))
    weights = rng.integers(-9, 10, (rows, columns))
    edges = some_edges(rng, (tiles, columns), limit, spread)
    offset, back = rng.integers(-3, 4, (tiles, columns)), rng.integers(1, 5, (tiles, columns))
    step = rng.choice([1, 2, 8, 32], (tiles, columns))
    expected, clipped = np.zeros((images, patches, columns)), []
    for t in range(tiles):
        part = slice(t * tile_rows, (t + 1) * tile_rows)
        steps = x[..., part] @ weights[part] / step[t] + offset[t]
        clipped.append(np.count_nonzero(np.abs(steps) > limit + 0.5))
        expected += back[t] * ((steps[..., None] >= edges[t]).sum(axis=-1) - limit)
    settings = {
        "adc_step": step.astype(np.float32), "adc_offset": offset.astype(np.float32), "adc_limit": float(limit),
        "adc_back": back.astype(np.float32), "adc_edges": edges,
    }  # fmt: skip
    case, x = (weights.astype(np.float32), None, None, tile_rows), x.astype(np.float32)
    for found in (product(build, (*case, {}), x, **settings), twin.mvm(*case, x, **settings)):
        np.testing.assert_array_equal(found.out, expected)
        assert found.clipped.tolist() == clipped


def test_edges_half_way_between_codes_are_rounding():
    """Noise and all, but for sums on the half itself."""
    rng = np.random.default_rng(1)
    x, mean = rng.normal(0, 40, (40, 3, 90)).astype(np.float32), rng.normal(0, 7, (90, 50)).astype(np.float32)
    step, edges = np.full((3, 50), 37.3, np.float32), np.tile(np.float32(np.arange(-63, 63) + 0.5), (3, 50, 1))
    settings = {"adc_step": step, "adc_limit": 63.0, "adc_noise": 0.8, "dac_scale": 1.0, "dac_limit": 127.0}
    weights = (mean, rng.random(mean.shape, np.float32), None, 32, {})
    expected = product(BUILDS[-1], weights, x, **settings)
    for threads in (1, 3):
        found = product(BUILDS[-1], weights, x, threads=threads, adc_edges=edges, **settings)
        np.testing.assert_array_equal(found.out, expected.out)
        assert found.clipped.tolist() == expected.clipped.tolist()


# Doors


@each_build
def test_refuses_what_does_not_fit(build):
    mean, x, out = np.zeros((6, 4), np.float32), np.zeros((2, 1, 6), np.float32), np.zeros((2, 1, 4))
    packed, step = build.pack(mean, None, None, 4), np.ones((2, 4), np.float32)
    with pytest.raises(ValueError, match="both fresh_variance and column_variance"):
        build.pack(mean, mean, None, 4, column_variance=step)
    with pytest.raises(ValueError, match="column_variance must have the shape"):
        build.pack(mean, None, None, 4, column_variance=step[:1])
    for bad in (
        {"adc_edges": np.zeros((2, 4, 6), np.float32)},
        {"adc_edges": np.zeros((2, 4, 8), np.float32), "adc_step": step, "adc_limit": 3.0},
        {"adc_edges": np.zeros((1, 4, 6), np.float32), "adc_step": step, "adc_limit": 3.0},
    ):
        with pytest.raises(ValueError, match="adc_edges has shape"):
            build.mvm(packed, x, out, **bad)
