"""The crossbar chip: exact where it must be, statistically right elsewhere, and every count from the arrays."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroemu import chips, place, prune, quantize, run, run_integer
from neuroemu.crossbar import (
    Adc,
    ColumnAffine,
    ColumnGain,
    CrossbarChip,
    Dac,
    GivenRange,
    IdealAdc,
    IdealDac,
    NoCompensation,
    TileGain,
    ideal,
    read_per_device,
)
from neuroemu.crossbar.building import build_engine
from neuroemu.crossbar.mapping import drive_rows, tiles_of
from neuroemu.crossbar.programming import program
from neuroemu.devices import HermesPcm, Ideal, Pcm
from neuroemu.energy import CostTable
from neuroemu.errors import ArgumentTypeError, InputError, PlacementError
from neuroemu.network import Conv2d, Dense, Flatten, relu, sequential

FREE = CostTable(
    costs=(),
    free=dict.fromkeys(
        ("core_read", "dac_drive", "adc_conversion", "adc_clip", "digital_accumulate", "activation_op"),
        "not priced here",
    ),
)


def chip(**fields):
    return CrossbarChip(**({"name": "test", "costs": FREE, "device": Ideal()} | fields))


def small_net(seed=0, groups=1):
    random = np.random.default_rng(seed)
    net = sequential(
        [
            Conv2d(
                name="conv",
                weight=random.normal(0, 0.4, (6, 4 // groups, 3, 3))[:6],
                padding=1,
                stride=2,
                groups=groups,
            ),
            relu(name="relu"),
            Flatten(name="flat"),
            Dense(name="fc", weight=random.normal(0, 0.2, (5, 96)), bias=random.normal(0, 0.1, 5)),
        ],
        input_shape=(4, 8, 8),
    )
    return quantize(net, samples=inputs(64, seed=9))


def inputs(n, seed=1):
    random = np.random.default_rng(seed)
    return random.uniform(0, 1, (n, 4, 8, 8)).astype(np.float32) * (random.random((n, 4, 8, 8)) < 0.6)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 8), st.sampled_from([1, 2]), st.integers(0, 50))
def test_ideal_cells_and_lossless_converters_equal_the_integer_reference(rows, columns, groups, seed):
    net, x = small_net(seed, groups), inputs(9, seed)
    exact = chip(rows=rows, columns=columns, dac=IdealDac(), adc=IdealAdc())
    result = run(net, exact, x, threads=1)
    np.testing.assert_array_equal(result.outputs, run_integer(net, x))


def test_a_wide_adc_is_lossless_too():
    net, x = small_net(), inputs(20)
    unit = 0.2 / 255 * 25e-6 / 127  # amperes of one column-sum unit
    wide = chip(dac=Dac(bits=9), adc=Adc(bits=20, range=GivenRange(unit * (2**19 - 1))))
    np.testing.assert_array_equal(run(net, wide, x).outputs, run_integer(net, x))


def test_coarser_adcs_lose_more():
    net, x = small_net(), inputs(100)
    reference = run_integer(net, x)
    errors = [np.abs(run(net, chip(adc=Adc(bits=b)), x).outputs - reference).mean() for b in (4, 6, 8)]
    assert errors[0] > 2 * errors[1] > 4 * errors[2] > 0


def test_one_tile_equals_the_per_device_oracle():
    """Mean and variance of many noisy reads, against a draw for every device in SI units."""
    random = np.random.default_rng(0)
    device = Pcm(drift=False)
    weight = random.normal(0, 0.3, (6, 40))
    net = quantize(
        sequential([Dense(name="fc", weight=weight)], input_shape=(40,)), samples=random.uniform(0, 1, (64, 40))
    )
    noisy = chip(device=device, dac=IdealDac(v_read=0.2), adc=IdealAdc(), image_seconds=1e9, session_seconds=1e9)
    (tile,) = place(net, noisy).sites
    assert tile.rows == (0, 40) and tile.columns == (0, 6)
    x = np.repeat(random.uniform(0, 1, (1, 40)), 4000, axis=0)
    sums = []
    engine = build_engine(noisy, net, net.layers[0], index=0, sampled=None, seed=5, trial=0, threads=1)
    grid = net.grids["input"]
    drive = (grid.encode(x) - np.float32(grid.zero_point)).astype(np.float32)
    sums = engine.multiply(drive, 0)

    layout = noisy.layout(net.layers[0])
    (held,) = program(layout.levels, tiles_of(layout), 127, device, mapping=noisy.mapping, seed=5, trial=0, layer=0)
    currents = read_per_device(
        device.conductance(held.plus, 0.0),
        device.conductance(held.minus, 0.0),
        drive * (0.2 / 255),
        sigma_plus=device.read_sigma(held.plus, 0.0),
        sigma_minus=device.read_sigma(held.minus, 0.0),
        generator=random,
    )
    expected = currents / (0.2 / 255 * 25e-6 / 127)
    error = expected.std(axis=0) * np.sqrt(2 / len(x))
    assert (np.abs(sums.mean(axis=0) - expected.mean(axis=0)) < 5 * error).all()
    np.testing.assert_allclose(sums.std(axis=0), expected.std(axis=0), rtol=0.07)


def test_same_seed_same_bits_for_any_threads_and_batches():
    net, x = small_net(), inputs(150)
    noisy = chip(device=HermesPcm(), seconds=3600.0, compensation=ColumnAffine())
    first = run(net, noisy, x, seed=3, threads=1)
    beside = run(net, noisy, x, seed=3, threads=2)
    np.testing.assert_array_equal(first.outputs, beside.outputs)
    assert first.counts == beside.counts
    np.testing.assert_array_equal(first.outputs[:40], run(net, noisy, x[:40], seed=3).outputs)
    np.testing.assert_array_equal(first.outputs[:2], run(net, noisy, x[:2], seed=3, threads=5).outputs)
    assert not np.array_equal(first.outputs, run(net, noisy, x, seed=4).outputs)


def test_trials_are_other_chips():
    net, x = small_net(), inputs(30)
    result = run(net, chip(device=HermesPcm(read_noise=False)), x, trials=3, seed=1)
    assert result.trial_outputs.shape == (3, 30, 5) and result.n_trials == 3
    assert not np.array_equal(result.trial_outputs[0], result.trial_outputs[1])
    np.testing.assert_array_equal(
        result.trial_outputs[0], run(net, chip(device=HermesPcm(read_noise=False)), x, seed=1).outputs
    )


def test_slow_noise_is_shared_by_the_positions_of_one_image():
    """With slow noise only, equal patches of one image give equal sums; those of another image differ."""
    net = small_net()
    slow = chip(
        device=HermesPcm(programming_noise=False, drift=False), adc=IdealAdc(), dac=IdealDac(),
        image_seconds=512e-9 * 2, session_seconds=1e9,
    )  # fmt: skip
    engine = build_engine(slow, net, net.layer("conv"), index=0, sampled=None, seed=0, trial=0, threads=1)
    flat = np.full((2, 4, 8, 8), 100.0, np.float32)
    sums = engine.multiply(flat, 0)[:, :, 1:, 1:]  # the inner positions see equal patches
    np.testing.assert_allclose(sums, np.broadcast_to(sums[:, :, :1, :1], sums.shape), rtol=1e-6)
    assert np.abs(sums[0] - sums[1]).max() > 1


@pytest.mark.parametrize(
    "better, worse", [(TileGain(), NoCompensation()), (ColumnGain(), TileGain()), (ColumnAffine(), ColumnGain())]
)
def test_compensation_brings_outputs_closer(better, worse):
    net, x = small_net(), inputs(150)
    reference = run_integer(net, x)
    errors = {}
    for mode in (better, worse):
        aged = chip(device=HermesPcm(), seconds=1e6, compensation=mode)
        outputs = run(net, aged, x, trials=6).trial_outputs
        errors[mode] = np.sqrt(np.mean((outputs - reference) ** 2))
    assert errors[better] < errors[worse]


def test_compensation_works_without_an_adc():
    net, x = small_net(), inputs(100)
    reference = run_integer(net, x)
    aged = chip(device=HermesPcm(), seconds=1e6, adc=IdealAdc())
    before, after = (
        np.abs(run(net, replace(aged, compensation=m), x).outputs - reference).mean()
        for m in (NoCompensation(), ColumnAffine())
    )
    assert after < 0.7 * before


def test_counts_come_from_the_arrays():
    net, x = small_net(), inputs(10)
    small = chip(rows=20, columns=4)
    result = run(net, small, x)
    per_layer = result.counts.by_layer()
    # conv: 36 rows on 2 row tiles, 6 columns on 2 column tiles, 16 positions; fc: 96 rows on 5, 5 columns on 2
    assert per_layer["conv"]["core_read"] == 10 * 16 * 4
    assert per_layer["fc"]["core_read"] == 10 * 10
    assert per_layer["conv"]["adc_conversion"] == 10 * 16 * 6 * 2
    assert per_layer["fc"]["digital_accumulate"] == 10 * 5 * 4
    _, kept = run_integer(net, x, keep=["relu"])
    # fc is driven by what the noiseless chip computed, which the 8-bit ADC may have moved
    assert abs(per_layer["fc"]["dac_drive"] / 2 - np.count_nonzero(kept["relu"] != -128)) < 0.2 * kept["relu"].size
    dark = x.copy()
    dark[:, :, 3, 3] = 0.0
    assert run(net, small, dark).counts.total("dac_drive") < result.counts.total("dac_drive")


def test_tiles_without_weights_are_not_allocated():
    net = small_net(groups=2)
    assert len(place(net, chip(rows=18, columns=3)).sites) == 2 + 6 * 2  # block diagonal: 2 of 4 tiles
    empty = prune(net, density=0.0)
    assert place(empty, chip()).sites == ()


def test_clipping_is_counted_and_warned_of():
    net, x = small_net(), inputs(20)
    result = run(net, chip(adc=Adc(bits=8, range=GivenRange(1e-9))), x)
    assert result.counts.total("adc_clip") > 0.3 * result.counts.total("adc_conversion")
    assert any("conversions clipped" in w for w in result.warnings)


def test_hermes_prices_reads_by_core():
    net, x = small_net(), inputs(10)
    result = run(net, chips.HERMES, x)
    assert result.energy.total == pytest.approx((16 + 1) * 10 * 13.43e-9, rel=2e-3)
    assert result.latency_per_inference == pytest.approx(17 * 132.9e-9, rel=1e-3)
    four = run(net, chips.HERMES_4PHASE, x)
    assert four.energy.total / result.energy.total == pytest.approx(52.85 / 13.43, rel=2e-3)


def test_ideal_version_of_a_chip():
    net, x = small_net(), inputs(10)
    np.testing.assert_array_equal(run(net, ideal(chips.HERMES), x).outputs, run_integer(net, x))


def test_what_does_not_fit_is_refused():
    net = small_net()
    with pytest.raises(
        PlacementError, match=r"needs 3 cores of 64x16, the chip has 2; use replace\(chip, cores=\.\.\.\)"
    ):
        place(net, chip(rows=64, columns=16, cores=2))
    with pytest.raises(PlacementError, match="call quantize"):
        place(sequential([Dense(name="d", weight=np.ones((2, 2)))], input_shape=(2,)), chip())
    with pytest.raises(InputError, match="carries no samples"):
        run(net.replace(samples=None), chip(), inputs(2))
    assert run(net.replace(samples=None), chip(adc=IdealAdc(), dac=IdealDac()), inputs(2)).n_images == 2


@pytest.mark.parametrize(
    "make, says",
    [
        (lambda: Dac(bits=1), "2 to 16"),
        (lambda: Adc(bits=40), "2 to 20"),
        (lambda: chip(rows=0), "1 to 4096"),
        (lambda: chip(seconds=-1.0), "seconds"),
    ],
)
def test_bad_settings(make, says):
    with pytest.raises(InputError, match=says):
        make()


def test_oracle_checks_its_arrays():
    good = {"g_plus": np.ones((3, 2)), "g_minus": np.ones((3, 2)), "voltages": np.ones((4, 3))}
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="do not agree"):
        read_per_device(**(good | {"voltages": np.ones((4, 2))}), generator=rng)
    with pytest.raises(InputError, match="negative"):
        read_per_device(**(good | {"g_plus": -np.ones((3, 2))}), generator=rng)
    with pytest.raises(InputError, match="NaN"):
        read_per_device(**(good | {"g_minus": np.full((3, 2), np.nan)}), generator=rng)


def test_counts_leave_out_arrays_that_are_not_there():
    """Depthwise, 8 channels on 18 x 2 tiles: 4 of 16 tiles hold weights."""
    weight = np.random.default_rng(0).normal(0, 1, (8, 1, 3, 3))
    net = sequential([Conv2d(name="dw", weight=weight, groups=8), Flatten(name="f")], input_shape=(8, 6, 6))
    x = np.random.default_rng(1).uniform(0.1, 1, (5, 8, 6, 6))
    q = quantize(net, samples=x)
    assert len(place(q, chip(rows=18, columns=2)).sites) == 4
    result = run(q, chip(rows=18, columns=2, dac=IdealDac(), adc=IdealAdc()), x)
    assert result.counts.total("dac_drive") == 5 * 16 * 72
    assert result.counts.total("digital_accumulate") == 0
    noisy, whole = (
        run(q, chip(rows=rows, columns=columns, adc=Adc(bits=8, noise=3.0)), x).outputs - run_integer(q, x)
        for rows, columns in ((18, 2), (72, 8))
    )
    assert noisy.std() < 1.6 * whole.std()  # no noise from arrays that are not there


def test_drives_are_counted_where_row_tiles_have_unequal_arrays():
    """36 x 6 weights on arrays of 12 x 3, two of them empty: the middle row tile feeds two arrays, the others one."""
    net, x = small_net(groups=1), inputs(10)
    weight = net.layer("conv").weight.reshape(6, 36).copy()
    weight[3:, :12] = weight[:3, 24:] = 0
    conv = replace(net.layer("conv"), weight=weight.reshape(6, 4, 3, 3))
    net = net.replace(layers=tuple(conv if layer.name == "conv" else layer for layer in net.layers))
    small = chip(rows=12, columns=3, dac=IdealDac(), adc=IdealAdc())
    assert [s.rows[0] for s in place(net, small).sites if s.layer == "conv"] == [0, 12, 12, 24]
    grid = net.grids["input"]
    drive = grid.encode(x).astype(np.float32) - np.float32(grid.zero_point)
    by_row = np.count_nonzero(drive_rows(net.layer("conv"), drive).reshape(-1, 36), axis=0)
    counted = run(net, small, x).counts.by_layer()["conv"]["dac_drive"]
    assert counted == by_row @ np.repeat([1, 2, 1], 12)


def test_a_network_without_weights_is_refused():
    net = sequential([relu(name="r"), Flatten(name="f")], input_shape=(4, 8, 8))
    with pytest.raises(PlacementError, match="no weights to place"):
        place(quantize(net, samples=inputs(5)), chip())


@pytest.mark.parametrize("fields", [{"device": None}, {"adc": None}, {"dac": 8}, {"image_seconds": "a"}])
def test_wrong_parts(fields):
    with pytest.raises(ArgumentTypeError):
        chip(**fields)
    with pytest.raises(InputError, match="read_seconds"):
        chip(read_seconds=0.0)
