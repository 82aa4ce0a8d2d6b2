"""Modes of the crossbar kernel against exact arithmetic and against one another: noise of columns, tables of edges,
row drivers with errors, exact sums."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

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


# Row drivers with errors


@each_build
@settings(deadline=None, max_examples=40)
@given(**shapes, limit=st.sampled_from([1, 3, 15, 127]))
def test_drives_come_from_the_table_of_their_row(
    build, images, patches, rows, columns, tile_rows, seed, limit
):  # fmt: skip
    rng = np.random.default_rng(seed)
    x = rng.integers(-2 * limit, 2 * limit + 1, (images, patches, rows))
    weights, table = rng.integers(-9, 10, (rows, columns)), rng.integers(-50, 51, (rows, 2 * limit + 1))
    codes = np.clip(x, -limit, limit)
    expected = table[np.arange(rows), codes + limit] @ weights
    settings = {"dac_scale": 1.0, "dac_limit": float(limit), "dac_table": table.astype(np.float32)}
    case, x = (weights.astype(np.float32), None, None, tile_rows), x.astype(np.float32)
    for found in (product(build, (*case, {}), x, **settings), twin.mvm(*case, x, **settings)):
        np.testing.assert_array_equal(found.out, expected)
        assert (found.dac_clipped, found.driven) == (np.count_nonzero(codes != x), np.count_nonzero(codes))


def test_noise_of_drivers_is_shared_by_columns_and_fresh_for_each_read():
    """Weights of one row and of one cell take a driver's noise apart: equal across columns, white across all else."""
    rows, images, patches = 40, 60, 50
    x = np.zeros((images, patches, rows), np.float32)
    first = np.zeros((rows, 18), np.float32)
    first[7] = np.arange(1, 19)
    settings = {"dac_scale": 1.0, "dac_limit": 7.0, "dac_noise": 0.5, "seed": 3}
    z = product(BUILDS[-1], (first, None, None, rows, {}), x, **settings).out / np.arange(1, 19)
    np.testing.assert_allclose(z, np.broadcast_to(z[..., :1], z.shape), rtol=1e-6)
    z = z[..., 0]
    single = product(BUILDS[-1], (np.eye(rows, dtype=np.float32), None, None, rows, {}), x, **settings).out
    np.testing.assert_allclose(single[..., 7], z, rtol=1e-6)
    draws = single.reshape(-1, rows)
    assert draws.std() == pytest.approx(0.5, rel=4.5 / np.sqrt(2 * draws.size))
    assert stats.kstest(draws.ravel() / 0.5, "norm").pvalue > 1e-3
    across = np.corrcoef(draws.T)[np.triu_indices(rows, 1)]
    assert np.abs(across).max() < 4.8 / np.sqrt(len(draws))
    for other in ({"seed": 4}, {"dac_stream": 9}, {"read_number": 1}, {"image_offset": 99}, {"patch_offset": 99}):
        moved = product(BUILDS[-1], (np.eye(rows, dtype=np.float32), None, None, rows, {}), x, **(settings | other))
        assert abs(np.corrcoef(moved.out.ravel(), single.ravel())[0, 1]) < 4.8 / np.sqrt(single.size)
    below = product(BUILDS[-1], (np.eye(rows, dtype=np.float32), None, None, 20, {}), x, **settings).out
    np.testing.assert_array_equal(below[..., :20], single[..., :20])  # the first tile; the second has its own
    for earlier in (single[..., :20], single[..., 20:]):
        correlation = np.corrcoef(below[..., 20:].ravel(), earlier.ravel())[0, 1]
        assert abs(correlation) < 4.8 / np.sqrt(earlier.size)


@pytest.mark.parametrize("fresh, adc", [(False, False), (True, False), (True, True)])
def test_drivers_with_errors_have_the_distribution_of_a_normal_per_device(fresh, adc):
    """Driver noise correlates columns and multiplies with read noise; both are in the oracle."""
    reads, rows, columns = 3000, 30, 8
    rng = np.random.default_rng(5)
    mean = rng.normal(5, 7, (rows, columns)).astype(np.float32)
    variance = rng.uniform(0, 9, mean.shape).astype(np.float32) if fresh else None
    table = np.cumsum(rng.uniform(0.2, 1.8, (rows, 15)), axis=1).astype(np.float32)
    table -= table[:, 7:8]
    x = np.tile(rng.integers(-7, 8, rows).astype(np.float32), (reads, 1, 1))
    settings = {"dac_scale": 1.0, "dac_limit": 7.0, "dac_noise": 1.0, "dac_table": table}
    if adc:
        step = np.full((2, columns), 9, np.float32)
        settings |= {"adc_step": step, "adc_limit": 63.0, "adc_back": step, "adc_noise": 0.4}
    found = product(BUILDS[-1], (mean, variance, None, 20, {}), x, seed=2, **settings).out[:, 0]
    truth = twin.mvm_per_device(mean, variance, None, 20, x, rng=rng, **settings).out[:, 0]
    error = np.sqrt((found.var(axis=0) + truth.var(axis=0)) / reads)
    assert np.abs((found.mean(axis=0) - truth.mean(axis=0)) / error).max() < 4.2
    ratio = np.log(found.var(axis=0) / truth.var(axis=0))
    assert np.abs(ratio).max() < 4.2 * np.sqrt(4 / reads)
    difference = np.corrcoef(found.T) - np.corrcoef(truth.T)
    assert np.abs(difference).max() < 4.2 * np.sqrt(2 / reads)
    assert np.abs(np.corrcoef(truth.T)[np.triu_indices(columns, 1)]).max() > 0.1  # columns do share their drivers


# Exact sums


def exact_case(seed, images=3, patches=7, rows=150, columns=35, tile_rows=64, fresh="rows", slow=True, errors=False):
    """Weights that are on no grid, noise of all kinds and converters with edges."""
    rng = np.random.default_rng(seed)
    tiles = -(-rows // tile_rows)
    x = rng.normal(0, 60, (images, patches, rows)).astype(np.float32)
    mean = rng.normal(0, 7, (rows, columns)).astype(np.float32)
    variance, sigma = rng.random((2, rows, columns), np.float32)
    options = {"exact": True}
    if fresh == "columns":
        options["column_variance"] = rng.random((tiles, columns), np.float32)
    weights = (mean, variance if fresh == "rows" else None, sigma if slow else None, tile_rows, options)
    edges = np.sort(np.arange(-127, 127) + 0.5 + rng.normal(0, 0.4, (tiles, columns, 254)), axis=2)
    settings = {
        "dac_scale": 0.9, "dac_limit": 127.0, "adc_step": rng.uniform(5, 9, (tiles, columns)).astype(np.float32),
        "adc_offset": rng.normal(0, 1, (tiles, columns)).astype(np.float32), "adc_limit": 127.0, "adc_noise": 0.3,
        "adc_edges": edges.astype(np.float32), "adc_back": rng.uniform(5, 9, (tiles, columns)).astype(np.float32),
        "seed": seed,
    }  # fmt: skip
    if errors:
        settings["dac_noise"] = 0.4
        settings["dac_table"] = (np.arange(-127, 128) + rng.normal(0, 0.5, (rows, 255))).astype(np.float32)
    return weights, x, settings


@settings(deadline=None, max_examples=40)
@given(
    **shapes, fresh=st.sampled_from(["rows", "columns", "none"]), slow=st.booleans(), errors=st.booleans(),
    adc=st.booleans(),
)  # fmt: skip
def test_exact_sums_have_the_same_bits_everywhere(
    images, patches, rows, columns, tile_rows, seed, fresh, slow, errors, adc
):
    """Both builds, other thread counts, and NumPy with whatever library multiplies there."""
    weights, x, settings = exact_case(seed, images, patches, rows, columns, tile_rows, fresh, slow, errors)
    if not adc:
        settings = {name: value for name, value in settings.items() if not name.startswith("adc")}
    *arrays, options = weights
    expected = twin.mvm(*arrays, x, **options, **settings)
    for build, threads in ((base, 1), (BUILDS[-1], 1), (BUILDS[-1], 3)):
        found = product(build, weights, x, threads=threads, **settings)
        np.testing.assert_array_equal(found.out, expected.out)
        assert found.clipped.tolist() == expected.clipped.tolist()


@each_build
@pytest.mark.parametrize("fresh", ["rows", "columns"])
def test_exact_sums_do_not_depend_on_the_order_of_rows(build, fresh):
    (mean, variance, _, _, options), x, settings = exact_case(1, rows=60, tile_rows=60, fresh=fresh, slow=False)
    order = np.random.default_rng(0).permutation(60)
    expected = product(build, (mean, variance, None, 60, options), x, **settings).out
    variance = None if variance is None else variance[order]
    found = product(build, (mean[order], variance, None, 60, options), x[..., order].copy(), **settings).out
    np.testing.assert_array_equal(found, expected)
    loose = {name: value for name, value in options.items() if name != "exact"}
    del settings["adc_edges"], settings["adc_step"]  # so that rounding of float32 shows
    sums = [
        product(build, (m, v, None, 60, loose), rows.copy(), **settings).out
        for m, v, rows in (
            (mean, None, x),
            (mean[order], None, x[..., order]),
        )
    ]
    assert not np.array_equal(*sums)


def test_exact_sums_are_those_of_rational_numbers():
    rng = np.random.default_rng(3)
    x = rng.integers(-127, 128, (2, 1, 90)).astype(np.float32)
    mean = rng.normal(0, 1e-3, (90, 4)).astype(np.float32)  # of which the grid keeps ten bits
    found = product(BUILDS[-1], (mean, None, None, 90, {"exact": True}), x).out[:, 0]
    grid = [[round(Fraction(float(w)) * 2**20) for w in row] for row in mean]
    for b in range(2):
        for m in range(4):
            total = sum(int(d) * row[m] for d, row in zip(x[b, 0], grid, strict=True))
            assert Fraction(found[b, m]) == Fraction(total, 2**20)


@each_build
def test_refuses_sums_that_float64_would_round(build):
    x, out = np.full((1, 1, 4096), 200, np.float32), np.empty((1, 1, 2))
    weights = np.full((4096, 2), 255, np.float32)
    packed = build.pack(weights, None, None, 4096, exact=True)
    assert packed.exact_bits(32767) == 15 + 8 + 20 + 12
    build.mvm(packed, x, out)
    with pytest.raises(ValueError, match="exact sums take 55 bits, float64 has 53"):
        build.mvm(packed, x, out, dac_scale=1.0, dac_limit=32767.0)
    with pytest.raises(ValueError, match="exact sums take 56 bits"):
        build.mvm(packed, x, out, dac_scale=1.0, dac_limit=127.0, dac_noise=9.0)
    with pytest.raises(ValueError, match=r"need whole drives, got 0\.5"):
        build.mvm(packed, np.full_like(x, 0.5), out)


# Doors


@each_build
def test_refuses_what_does_not_fit(build):
    mean, x, out = np.zeros((6, 4), np.float32), np.zeros((2, 1, 6), np.float32), np.zeros((2, 1, 4))
    packed, step = build.pack(mean, None, None, 4), np.ones((2, 4), np.float32)
    with pytest.raises(ValueError, match="both fresh_variance and column_variance"):
        build.pack(mean, mean, None, 4, column_variance=step)
    with pytest.raises(ValueError, match="column_variance has shape"):
        build.pack(mean, None, None, 4, column_variance=step[:1])
    for bad in (
        {"adc_edges": np.zeros((2, 4, 6), np.float32)},
        {"adc_edges": np.zeros((2, 4, 8), np.float32), "adc_step": step, "adc_limit": 3.0},
        {"adc_edges": np.zeros((1, 4, 6), np.float32), "adc_step": step, "adc_limit": 3.0},
    ):
        with pytest.raises(ValueError, match="adc_edges has shape"):
            build.mvm(packed, x, out, **bad)
    table = np.zeros((6, 7), np.float32)
    for bad in ({"dac_scale": 1.0, "dac_limit": 4.0}, {"dac_limit": 3.0}):
        with pytest.raises(ValueError, match="dac_table has shape"):
            build.mvm(packed, x, out, dac_table=table, **bad)


@each_build
def test_sums_may_be_added_to_what_is_there(build):
    """Also over several row tiles and in columns that do not fill a panel."""
    rng = np.random.default_rng(0)
    x, weights = rng.integers(-9, 10, (5, 3, 70)), rng.integers(-9, 10, (70, 21))
    out = np.full((5, 3, 21), 1000.0)
    packed = build.pack(weights.astype(np.float32), None, None, 32)
    for _ in range(2):
        build.mvm(packed, x.astype(np.float32), out, accumulate=True)
    np.testing.assert_array_equal(out, 1000 + 2 * (x @ weights))
    build.mvm(packed, x.astype(np.float32), out)
    np.testing.assert_array_equal(out, x @ weights)
