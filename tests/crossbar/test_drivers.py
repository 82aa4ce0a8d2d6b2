"""Row drivers: nonlinearity against the law of mismatched elements, noise against its closed form in column sums."""

from dataclasses import replace

import numpy as np
import pytest

from neuroemu import chips, quantize, run
from neuroemu.crossbar import Adc, BitSerial, CrossbarChip, Dac, IdealAdc, IdealDac, noise_budget
from neuroemu.crossbar.building import build_engine
from neuroemu.crossbar.drivers import drive_levels, drivers_of
from neuroemu.devices import HermesPcm, Ideal
from neuroemu.errors import InputError
from neuroemu.network import Dense, sequential


def chip(**fields):
    given = {"name": "test", "costs": chips.HERMES.costs, "read_event": "core_read_1phase", "device": Ideal()}
    return CrossbarChip(**(given | {"dac": Dac(), "adc": IdealAdc()} | fields))


def dense(rows=40, columns=24, seed=0):
    random = np.random.default_rng(seed)
    net = sequential([Dense(name="fc", weight=random.normal(0, 0.3, (columns, rows)))], input_shape=(rows,))
    return quantize(net, samples=random.uniform(0, 1, (64, rows)))


def engine_of(net, machine, *, trial=0, threads=1):
    sampled = machine.sampled_rows(net).get("fc")
    return build_engine(machine, net, net.layers[0], index=0, sampled=sampled, seed=0, trial=trial, threads=threads)


def reads_of_one_input(engine, images=3000, rows=40):
    x = np.random.default_rng(3).integers(0, 256, rows).astype(np.float32)
    return x, engine.read(np.tile(x, (images, 1, 1)), 0)[:, 0]


@pytest.mark.parametrize("bits", [3, 6, 8])
def test_nonlinearity_is_that_of_mismatched_elements(bits):
    """Variance sigma^2 k (n - k) / n at code k, covariance sigma^2 j (n - k) / n of two codes: a Brownian bridge."""
    dac = Dac(bits=bits, inl=0.5)
    n = dac.limit
    levels = drive_levels(np.random.default_rng(0).standard_normal((40_000, n)), dac.element_sigma)
    np.testing.assert_array_equal(levels, -levels[:, ::-1])
    assert (levels[:, n] == 0).all()
    np.testing.assert_allclose(levels[:, -1], n, rtol=1e-6)
    k = np.arange(n + 1)
    error = levels[:, n:] - k
    sigma = 2 * 0.5 / np.sqrt(n)
    np.testing.assert_allclose(error.std(axis=0), sigma * np.sqrt(k * (n - k) / n), rtol=0.02, atol=1e-5)
    assert error.std(axis=0).max() == pytest.approx(0.5, rel=0.06)  # at the code next to half of full scale
    j, later = n // 3, 2 * n // 3
    covariance = np.mean(error[:, j] * error[:, later])
    assert covariance == pytest.approx(sigma**2 * j * (n - later) / n, rel=0.05)


def test_every_driver_of_every_chip_has_elements_of_its_own():
    dac = Dac(inl=1.0)
    tables = [drivers_of(dac, 127, 50, 20, key=(0, trial, 1)).levels for trial in range(2)]
    error = np.concatenate(tables)[:, 127 + 64] - 64
    assert len(np.unique(error)) == 100
    np.testing.assert_array_equal(tables[0], drivers_of(dac, 127, 50, 20, key=(0, 0, 1)).levels)
    more = drivers_of(replace(dac, noise=0.5), 127, 50, 20, key=(0, 0, 1))
    np.testing.assert_array_equal(tables[0], more.levels)
    assert drivers_of(Dac(), 127, 50, 20, key=(0, 0, 1)) is None
    assert drivers_of(IdealDac(), 255, 50, 20, key=(0, 0, 1)) is None


def test_nonlinear_drives_reach_the_columns():
    net = dense()
    engine = engine_of(net, chip(rows=15, columns=10, dac=Dac(inl=2.0)))
    x, sums = reads_of_one_input(engine, images=2)
    codes = np.rint(x * np.float32(127 / 255)).astype(int)
    drives = engine.drivers.levels[np.arange(40), 127 + codes]
    np.testing.assert_allclose(sums, np.tile(drives.astype(float) @ engine.layout.levels, (2, 1)), rtol=1e-5, atol=0.5)
    assert np.abs(drives - codes).max() > 2


def test_noise_of_drivers_has_its_variance_and_covariance():
    """Column sums have covariance noise^2 W^T W, for columns of different arrays of one row tile too."""
    net = dense()
    engine = engine_of(net, chip(columns=10, dac=Dac(noise=0.7)))
    _, sums = reads_of_one_input(engine, images=6000)
    weights = engine.layout.levels.astype(float)
    expected = 0.7**2 * weights.T @ weights
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    assert np.abs((np.cov(sums.T) - expected) / scale).max() < 4.8 * np.sqrt(2 / 6000)


def test_row_tiles_have_drivers_of_their_own():
    """One row tile below the other, with the same weights: noise adds up in squares."""
    weight = np.tile(np.random.default_rng(0).normal(0, 0.3, (6, 20)), 2)
    samples = np.random.default_rng(1).uniform(0, 1, (64, 40))
    net = quantize(sequential([Dense(name="fc", weight=weight)], input_shape=(40,)), samples=samples)
    engine = engine_of(net, chip(rows=20, dac=Dac(noise=0.7)))
    _, sums = reads_of_one_input(engine, images=4000)
    expected = 0.7 * np.sqrt(np.square(engine.layout.levels, dtype=float).sum(axis=0))
    np.testing.assert_allclose(sums.std(axis=0), expected, rtol=4.5 / np.sqrt(8000))


@pytest.mark.parametrize("image_seconds", [6e-7, 1e3], ids=["slow", "fresh"])
def test_noise_of_drivers_is_no_noise_of_cells(image_seconds):
    """Weights on the diagonal: with a stream in common, driver k and column k would draw the same normals."""
    samples = np.random.default_rng(1).uniform(0, 1, (64, 2, 16))  # two positions, so that slow noise stays apart
    net = quantize(sequential([Dense(name="fc", weight=np.eye(16))], input_shape=(2, 16)), samples=samples)
    cells = HermesPcm(programming_noise=False, drift=False)
    spans = {"image_seconds": image_seconds, "session_seconds": 1e4}
    x = np.full((3000, 1, 16), 100, np.float32)
    quiet, loud = (
        engine_of(net, chip(device=device, dac=dac, **spans)).read(x, 0)[:, 0]
        for device, dac in ((cells, Dac()), (Ideal(), Dac(noise=3.0)))
    )
    assert min(quiet.std(axis=0).min(), loud.std(axis=0).min()) > 0
    correlation = [np.corrcoef(q, n)[0, 1] for q, n in zip(quiet.T, loud.T, strict=True)]
    assert np.abs(correlation).max() < 4.5 / np.sqrt(3000)


def test_planes_see_the_noise_as_the_same_voltage():
    """noise steps of v_read / 127 are noise F / 127 steps of a plane of F: fresh for each of its reads."""
    net = dense()
    for bits in (1, 2):
        planes, full = -(-7 // bits), (1 << bits) - 1
        engine = engine_of(net, chip(dac=Dac(noise=0.7), inputs=BitSerial(bits)))
        assert engine.planes == planes
        _, sums = reads_of_one_input(engine)
        power = sum(4.0 ** (bits * p) for p in range(planes)) * (0.7 * full / 127) ** 2
        expected = np.sqrt(power * np.square(engine.layout.levels, dtype=float).sum(axis=0))
        np.testing.assert_allclose(sums.std(axis=0), expected, rtol=4.5 / np.sqrt(6000))


def test_planes_of_one_bit_have_no_nonlinearity():
    net = dense()
    x = np.random.default_rng(3).integers(0, 256, (5, 1, 40)).astype(np.float32)
    exact = engine_of(net, chip(inputs=BitSerial())).read(x, 0)
    np.testing.assert_array_equal(engine_of(net, chip(dac=Dac(inl=2.0), inputs=BitSerial())).read(x, 0), exact)
    coarse = engine_of(net, chip(dac=Dac(inl=2.0), inputs=BitSerial(4)))
    assert coarse.drivers.levels.shape == (40, 31)
    assert np.abs(coarse.read(x, 0) - exact).max() > 1
    error = coarse.drivers.levels[:, 15:] - np.arange(16)
    assert error[:, 8].std() == pytest.approx(2 * 2.0 / np.sqrt(127) * np.sqrt(8 * 7 / 15), rel=0.4)


def test_errors_of_drivers_stay_with_a_chip_and_noise_does_not():
    net = dense()
    x = np.random.default_rng(1).uniform(0, 1, (30, 40)).astype(np.float32)
    still = chip(rows=15, columns=16, dac=Dac(inl=3.0), adc=Adc(bits=10))
    twice = run(net, still, np.concatenate([x, x]), seed=4, trials=2).trial_outputs
    np.testing.assert_array_equal(twice[:, :30], twice[:, 30:])
    assert not np.array_equal(*twice)
    noisy = replace(still, device=HermesPcm(), seconds=3600.0, dac=Dac(inl=1.0, noise=2.0))
    for scheme in (noisy.inputs, BitSerial(3)):
        machine = replace(noisy, inputs=scheme)
        whole = run(net, machine, np.concatenate([x, x]), seed=2, threads=1).outputs
        assert not np.array_equal(whole[:30], whole[30:])
        np.testing.assert_array_equal(whole, run(net, machine, np.concatenate([x, x]), seed=2, threads=2).outputs)
        np.testing.assert_array_equal(whole[:25], run(net, machine, x[:25], seed=2).outputs)


def test_a_budget_shows_the_errors_of_drivers():
    net = dense()
    x = np.random.default_rng(1).uniform(0, 1, (50, 40)).astype(np.float32)
    wide = Dac(bits=9)
    quiet, loud = (
        noise_budget(net, chip(dac=dac), x, trials=2).errors["fc"] for dac in (wide, replace(wide, noise=4.0))
    )
    assert quiet["DAC"] == 0 and loud["programming"] == loud["ADC"] == 0
    engine = engine_of(net, chip(dac=wide))
    codes = net.grids["input"].encode(x).astype(float) + 128
    exact = codes @ engine.layout.levels
    expected = 4.0 * np.sqrt(np.square(engine.layout.levels).sum(axis=0).mean() / np.square(exact).mean())
    assert loud["DAC"] == pytest.approx(expected, rel=0.1)


def test_counts_do_not_see_the_errors():
    net = dense()
    x = np.random.default_rng(1).uniform(0, 1, (20, 40)) * (np.random.default_rng(2).random((20, 40)) < 0.5)
    exact, noisy = (run(net, chip(dac=dac), x).counts for dac in (Dac(), Dac(noise=2.0, inl=2.0)))
    assert noisy.total("dac_drive") == exact.total("dac_drive") < 500


@pytest.mark.parametrize(
    "make, says",
    [
        (lambda: Dac(noise=-0.1), "noise"),
        (lambda: Dac(inl=40.0), "0.0 to 31.75"),
        (lambda: Dac(bits=13, inl=0.1), "2 to 12"),
    ],
)
def test_bad_settings(make, says):
    with pytest.raises(InputError, match=says):
        make()
