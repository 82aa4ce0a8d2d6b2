"""The popcount kernel against integer arithmetic, the general kernel, a normal per device, and its NumPy twin."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from neuroemu import kernels
from neuroemu.kernels import _binary_base as base
from neuroemu.kernels import binary_reference as twin
from neuroemu.kernels import crossbar_reference

BUILDS = [base]
if kernels._load("crossbar", "base").cpu_has_v3():
    from neuroemu.kernels import _binary_v3

    BUILDS.append(_binary_v3)

each_build = pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.__name__.rsplit("_", 1)[-1])
shapes = {
    "images": st.integers(1, 5),
    "patches": st.integers(1, 6),
    "rows": st.integers(1, 150),
    "outputs": st.integers(1, 40),
    "slices": st.integers(1, 5),
    "tile_rows": st.integers(5, 160),
    "planes": st.integers(1, 10),
    "pairs": st.booleans(),
    "signed": st.booleans(),
    "seed": st.integers(0, 2**32 - 1),
}


def product(build, cells, slices, tile_rows, x, *, threads=1, **settings):
    """What twin.mvm returns, from a compiled build; cells are -1, 0 and 1."""
    packed = build.pack(*masks(cells), slices, tile_rows)
    out = np.full((*x.shape[:2], cells.shape[1] // slices), np.nan)
    clipped, driven = np.zeros((2, packed.n_row_tiles), np.int64)
    over = build.mvm(packed, x, out, threads=threads, clipped=clipped, driven=driven, **settings)
    return twin.BinaryProduct(out, clipped, driven, over)


def masks(cells):
    return (cells > 0).astype(np.uint8), (cells < 0).astype(np.uint8) if cells.min() < 0 else None


def problem(images, patches, rows, outputs, slices, tile_rows, planes, pairs, signed, seed):
    """Cells, inputs and all tables that change what a code is."""
    rng = np.random.default_rng(seed)
    cells = rng.integers(-1 if pairs else 0, 2, (rows, slices * outputs))
    top = 2**planes - 1
    x = rng.integers(-top if signed else 0, top + 1, (images, patches, rows)).astype(np.float32)

    def table(low, high):
        return rng.uniform(low, high, (-(-rows // tile_rows), slices * outputs)).astype(np.float32)

    given = {"planes": planes, "factors": 2.0 ** np.arange(slices), "gain": table(0.5, 1.5), "adc_step": table(0.5, 2)}
    given |= {"adc_offset": table(-1, 1), "adc_limit": 12.0, "adc_back": table(0.5, 2), "base": table(0, 0.1)}
    given |= {"constant": rng.normal(size=slices * outputs), "dac_scale": 0.8, "dac_limit": float(min(top, 90))}
    return cells, x, given, {"on_variance": table(0, 0.1), "off_variance": table(0, 0.01), "adc_noise": 0.3}


def check_equal(found, expected):
    np.testing.assert_array_equal(found.out, expected.out)
    assert found.clipped.tolist() == expected.clipped.tolist()
    assert found.driven.tolist() == expected.driven.tolist()
    assert found.dac_clipped == expected.dac_clipped


@each_build
@settings(deadline=None, max_examples=60)
@given(**shapes)
def test_sums_of_bits_are_the_product_of_codes(build, seed, **shape):
    """All planes and slices of lossless converters: x times the weights that the digits stand for."""
    cells, x, _, _ = problem(seed=seed, **shape)
    slices, planes = shape["slices"], shape["planes"]
    gain = np.ones((-(-shape["rows"] // shape["tile_rows"]), cells.shape[1]), np.float32)
    factors = 2.0 ** np.arange(slices)
    found = product(build, cells, slices, shape["tile_rows"], x, planes=planes, gain=gain, base=gain, factors=factors)
    weights = (cells.reshape(len(cells), slices, -1) * 2 ** np.arange(slices)[:, None]).sum(axis=1)
    expected = x.astype(int) @ weights + x.sum(axis=-1, keepdims=True) * (2**slices - 1)  # each cell's base is 1
    np.testing.assert_array_equal(found.out, expected)
    bits = sum(np.abs(x).astype(int) >> p & 1 for p in range(planes)).sum(axis=(0, 1))
    assert found.driven.tolist() == np.add.reduceat(bits, np.arange(0, len(bits), shape["tile_rows"])).tolist()


@each_build
@settings(deadline=None, max_examples=40)
@given(**shapes, converts=st.booleans(), noise=st.sampled_from(["none", "cells", "converters", "both"]))
def test_equals_the_twin(build, seed, converts, noise, **shape):
    cells, x, given, noises = problem(seed=seed, **shape)
    given |= {"seed": seed, "stream": 7, "image_offset": 5, "patch_offset": 2, "read_number": 3}
    given |= {k: v for k, v in noises.items() if (k == "adc_noise") == (noise == "converters") or noise == "both"}
    if noise == "none":
        given = {k: v for k, v in given.items() if k not in noises}
    if not converts:
        given = {k: v for k, v in given.items() if k not in ("adc_step", "adc_offset", "base", "dac_scale", "constant")}
    slices, tile_rows = shape["slices"], shape["tile_rows"]
    expected = twin.mvm(*masks(cells), slices, tile_rows, x, **given)
    check_equal(product(build, cells, slices, tile_rows, x, **given), expected)


@each_build
@settings(deadline=None, max_examples=40)
@given(**shapes, step=st.sampled_from([1, 2, 4]), limit=st.integers(1, 100))
def test_equals_the_general_kernel_plane_by_plane(build, seed, step, limit, **shape):
    """Levels, steps and gains of few binary digits, so that all float32 sums are exact: ties and clips must agree."""
    cells, x, _, _ = problem(seed=seed, **shape)
    slices, tile_rows = shape["slices"], shape["tile_rows"]
    rng = np.random.default_rng(seed)
    tiles = -(-len(cells) // tile_rows)
    offset, back = (rng.integers(-3, 4, (tiles, cells.shape[1])).astype(np.float32) / 2 for _ in range(2))
    converters = {"adc_step": np.full_like(back, step), "adc_offset": offset, "adc_limit": float(limit)}
    converters["adc_back"] = back
    low, high = 0.25, 1.75
    mean = np.where(cells == 0, 0 if shape["pairs"] else low, cells * high).astype(np.float32)
    packed = kernels.crossbar.pack(mean, None, None, tile_rows)
    expected, clipped, driven = np.zeros((*x.shape[:2], cells.shape[1] // slices)), np.zeros(tiles, np.int64), 0
    for plane in range(shape["planes"]):
        bits = np.sign(x) * (np.abs(x).astype(int) >> plane & 1)
        columns = np.empty((*x.shape[:2], cells.shape[1]))
        driven += kernels.crossbar.mvm(packed, bits.astype(np.float32), columns, clipped=clipped, **converters)[1]
        expected += 2**plane * (columns.reshape(*x.shape[:2], slices, -1) * 2.0 ** np.arange(slices)[:, None]).sum(2)
    levels = (high, 0) if shape["pairs"] else (high - low, low)
    gain, base = (np.full_like(back, level) for level in levels)
    settings = {"planes": shape["planes"], "factors": 2.0 ** np.arange(slices), "gain": gain, "base": base}
    found = product(build, cells, slices, tile_rows, x, **settings, **converters)
    np.testing.assert_array_equal(found.out, expected)
    assert found.clipped.tolist() == clipped.tolist() and found.driven.sum() == driven


@each_build
def test_bytes_do_not_overflow(build):
    """All rows driven and all cells on, on either side of the 252 rows that a byte can count."""
    for rows in (251, 252, 253, 256, 257, 1000):
        found = product(
            build, np.ones((rows, 3), int), 1, 2000, np.full((1, 1, rows), -3, np.float32),
            planes=2, gain=np.ones((1, 3), np.float32), factors=np.ones(1),
        )  # fmt: skip
        assert (found.out == -3 * rows).all()


# Noise against a normal per device


@each_build
@pytest.mark.parametrize("pairs", [False, True], ids=["single cells", "pairs"])
@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("converts", [False, True], ids=["no ADC", "ADC"])
def test_same_distribution_as_a_normal_per_device(build, pairs, signed, converts):
    """Two planes and two slices, whose noise must be drawn apart."""
    reads, rows, outputs, tile_rows, low, high = 2500, 45, 10, 32, 0.125, 1.0
    rng = np.random.default_rng(4)
    cells = rng.integers(-1 if pairs else 0, 2, (rows, 2 * outputs))
    x = np.tile(rng.integers(-3 if signed else 0, 4, rows).astype(np.float32), (reads, 1, 1))
    variances = (0.3, 0.05)
    mean = np.where(cells == 0, 0 if pairs else low, cells * high)
    variance = np.where(cells == 0, variances[1], variances[0])
    full = np.ones((2, 2 * outputs), np.float32)
    converters = {"adc_step": full, "adc_limit": 31.0, "adc_back": full, "adc_noise": 0.5} if converts else {}
    truth = np.zeros((reads, outputs))
    for plane in range(2):
        bits = np.sign(x) * (np.abs(x).astype(int) >> plane & 1)
        columns = crossbar_reference.mvm_per_device(mean, variance, None, tile_rows, bits, rng=rng, **converters).out
        truth += 2**plane * (columns[:, 0, :outputs] + 2 * columns[:, 0, outputs:])
    levels = (high, 0) if pairs else (high - low, low)
    given = {"gain": full * np.float32(levels[0]), "base": full * np.float32(levels[1])}
    given |= {"on_variance": full * np.float32(variances[0]), "off_variance": full * np.float32(variances[1])}
    factors = np.array([1.0, 2.0])
    found = product(build, cells, 2, tile_rows, x, planes=2, factors=factors, seed=6, **given, **converters).out[:, 0]
    error = np.sqrt((found.var(axis=0) + truth.var(axis=0)) / reads)
    assert np.abs((found.mean(axis=0) - truth.mean(axis=0)) / error).max() < 4.2
    ratio = found.var(axis=0) / truth.var(axis=0)
    assert np.abs(np.log(ratio)).max() < 4.2 * np.sqrt(4 / reads)
    assert abs(np.log(ratio).mean()) < 4.2 * np.sqrt(4 / reads / outputs)
    assert min(stats.ks_2samp(f, t).pvalue for f, t in zip(found.T, truth.T, strict=True)) > 2e-4
    across = np.corrcoef(found.T)[np.triu_indices(outputs, 1)]
    assert np.abs(across).max() < 4.5 / np.sqrt(reads)


@each_build
def test_noise_depends_on_all_that_names_a_read(build):
    """No normal is used twice: not over planes, slices, row tiles, columns, rows of the batch, reads, seeds."""
    slices, outputs, tiles, planes = 3, 18, 2, 2
    one = np.ones((tiles, slices * outputs), np.float32)
    x = np.full((2, 2, tiles), 3, np.float32)
    cells = np.ones((tiles, slices * outputs), int)
    names = (
        [{}] + [{name: 1} for name in ("seed", "stream", "read_number")] + [{"image_offset": 2}, {"patch_offset": 2}]
    )
    drawn = []
    for name in names:
        for plane in range(planes):
            for piece in range(slices):
                for tile in range(tiles):
                    part = np.where(np.arange(tiles) == tile, x, 0)
                    factors = (np.arange(slices) == piece).astype(float)
                    bits = np.where(part > 0, 1 << plane, 0).astype(np.float32)
                    noise = product(
                        build, cells, slices, 1, bits, planes=planes, gain=one * 0, on_variance=one, off_variance=one,
                        factors=factors, **name,
                    )  # fmt: skip
                    drawn.append(noise.out.ravel() / 2**plane)
    values = np.concatenate(drawn)
    assert len(np.unique(values)) > 0.999 * values.size  # float32 normals seldom meet by chance
    assert values.std() == pytest.approx(1, abs=0.03)


# The same bits however the work is cut


def large_case(pairs):
    """More than the work below which the kernel stays on one thread."""
    shape = {"images": 7, "patches": 13, "rows": 300, "outputs": 70, "slices": 3, "tile_rows": 128, "planes": 6}
    cells, x, given, noises = problem(**shape, pairs=pairs, signed=pairs, seed=8)
    return (cells, 3, 128), x, given | noises | {"seed": 3}


@each_build
@pytest.mark.parametrize("pairs", [False, True])
def test_bits_do_not_depend_on_threads_or_batch(build, pairs):
    case, x, given = large_case(pairs)
    whole = product(build, *case, x, **given)
    assert whole.clipped.all() and whole.dac_clipped == (np.abs(x * np.float32(0.8)) > 63.5).sum()
    for threads in (2, 3, 4):
        check_equal(product(build, *case, x, threads=threads, **given), whole)
    for cuts in ([1], [3, 4]):
        parts = [
            product(build, *case, part, image_offset=offset, **given)
            for offset, part in zip([0, *cuts], np.split(x, cuts), strict=True)
        ]
        np.testing.assert_array_equal(np.concatenate([part.out for part in parts]), whole.out)
        assert sum(part.clipped for part in parts).tolist() == whole.clipped.tolist()
        assert sum(part.driven for part in parts).tolist() == whole.driven.tolist()
    patches = [
        product(build, *case, np.ascontiguousarray(part), patch_offset=offset, **given).out
        for offset, part in zip([0, 1, 9], np.split(x, [1, 9], axis=1), strict=True)
    ]
    np.testing.assert_array_equal(np.concatenate(patches, axis=1), whole.out)


@each_build
def test_one_row_uses_threads_over_columns(build):
    cells, x, given, noises = problem(1, 1, 300, 1300, 4, 64, 8, False, False, 3)
    one = product(build, cells, 4, 64, x, **given, **noises)
    check_equal(product(build, cells, 4, 64, x, threads=4, **given, **noises), one)


@each_build
def test_an_output_has_the_same_noise_beside_any_others(build):
    cells, x, given, noises = problem(3, 2, 60, 50, 1, 60, 4, True, True, 10)
    few = {k: np.ascontiguousarray(v[..., :21]) if np.ndim(v) and k != "factors" else v for k, v in given.items()}
    few |= {k: np.ascontiguousarray(v[:, :21]) if np.ndim(v) else v for k, v in noises.items()}
    everything = product(build, cells, 1, 60, x, **given, **noises).out
    np.testing.assert_array_equal(product(build, cells[:, :21], 1, 60, x, **few).out, everything[:, :, :21])


@each_build
def test_refuses_what_does_not_fit(build):
    cells, x, given, noises = problem(1, 1, 20, 6, 2, 10, 3, False, False, 0)
    packed = build.pack(*masks(cells), 2, 10)
    out = np.empty((1, 1, 6))
    assert packed.nbytes == 2 * 3 * 32  # row tiles, nibbles of 10 rows, and 2 slices of 16 columns
    wrong = [
        (x[:, :, 1:].copy(), out, given, "cells are"),
        (x, out, given | {"planes": 23}, "planes is 23"),
        (x, out, given | {"gain": given["gain"][:1]}, "gain has shape"),
        (x, out, given | {"factors": np.ones(3)}, "factors has 3"),
        (x, out, given | {"on_variance": noises["on_variance"]}, "or neither"),
        (x, out, given | {"clipped": np.zeros(3, np.int64)}, "each of 2 row tiles"),
    ]
    for inputs, outputs, fields, message in wrong:
        with pytest.raises(ValueError, match=message):
            build.mvm(packed, inputs, outputs, **fields)
    for arguments, message in [((2, 0), "tile_rows"), ((5, 10), "5 slices")]:
        with pytest.raises(ValueError, match=message):
            build.pack(*masks(cells), *arguments)
    assert build.mvm(packed, x[:0], out[:0], **given) == 0
