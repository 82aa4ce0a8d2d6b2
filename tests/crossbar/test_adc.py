"""ADCs: static errors of every converter, capacitor mismatch against its theory, and rules for ranges."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroemu import chips, quantize, run, run_integer
from neuroemu.crossbar import (
    Adc,
    ColumnAffine,
    CrossbarChip,
    GivenRange,
    IdealAdc,
    IdealDac,
    MinMaxRange,
    MseRange,
    NoCompensation,
    OffsetColumn,
    PercentileRange,
    Sar,
)
from neuroemu.crossbar.building import build_engine
from neuroemu.crossbar.sar import code_edges, codes_of
from neuroemu.devices import HermesPcm, Ideal
from neuroemu.errors import ArgumentTypeError, InputError
from neuroemu.network import Dense, sequential

UNIT = 0.2 / 255 * 25e-6 / 127  # amperes of one column-sum unit, with an ideal DAC


def chip(**fields):
    given = {"name": "test", "costs": chips.HERMES.costs, "read_event": "core_read_1phase", "device": Ideal()}
    return CrossbarChip(**(given | {"dac": IdealDac()} | fields))


def dense(rows=60, columns=40, seed=0, low=0.0):
    random = np.random.default_rng(seed)
    net = sequential([Dense(name="fc", weight=random.normal(0, 0.3, (columns, rows)))], input_shape=(rows,))
    return quantize(net, samples=random.uniform(low, 1, (128, rows)))


def inputs(n, rows=60, seed=1, low=0.0):
    return np.random.default_rng(seed).uniform(low, 1, (n, rows)).astype(np.float32)


def engine_of(net, machine, *, trial=0, seed=0):
    sampled = machine.sampled_rows(net).get("fc")
    return build_engine(machine, net, net.layers[0], index=0, sampled=sampled, seed=seed, trial=trial, threads=1)


def by_search(volts, bank):
    """Code of one input in raw steps, bit after bit, as the converter's logic works."""
    n = len(bank) - 1
    kept = code = 0
    for bit in range(n - 1, -1, -1):
        weight = bank[1 + bit] * 2**n / bank.sum()
        if volts >= kept + weight:
            kept, code = kept + weight, code | 1 << bit
    return code


@pytest.mark.parametrize("bits", [2, 5, 8, 10])
def test_without_mismatch_a_sar_rounds_to_the_nearest_code(bits):
    limit = (1 << (bits - 1)) - 1
    edges = code_edges(np.random.default_rng(0).normal(size=(3, bits + 1)), 0.0)
    np.testing.assert_array_equal(edges, np.broadcast_to(np.arange(-limit, limit) + 0.5, (3, 2 * limit)))
    steps = np.random.default_rng(1).uniform(-1.5 * limit, 1.5 * limit, (500, 3))
    np.testing.assert_array_equal(codes_of(steps, edges), np.clip(np.rint(steps), -limit, limit))


def test_strong_mismatch_loses_codes():
    """So that the next test sees missing codes: a middle step of 1 +- 2.3 is often negative, and is cut to nothing."""
    edges = code_edges(np.random.default_rng(0).standard_normal((200, 8)), 0.2)
    lost = (np.diff(edges, axis=1) == 0).any(axis=1)
    assert lost.mean() > 0.3


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 7), st.sampled_from([0.0, 0.03, 0.1, 0.2]))
def test_edges_say_what_the_bitwise_search_finds(seed, bits, sigma):
    """Also where mismatch makes codes disappear."""
    random = np.random.default_rng(seed)
    normals = random.standard_normal((2, bits + 1))
    units = np.concatenate([[1.0], 2.0 ** np.arange(bits)])
    edges = code_edges(normals, sigma)
    assert (np.diff(edges, axis=1) >= 0).all()
    limit = (1 << (bits - 1)) - 1
    steps = random.uniform(-limit - 2, limit + 2, (60, 2))
    found = codes_of(steps, edges)
    for c in range(2):
        bank = units + sigma * np.sqrt(units) * normals[c]
        raw = [by_search(v, bank) for v in steps[:, c] + limit + 1.5]
        np.testing.assert_array_equal(found[:, c], np.maximum(np.array(raw) - limit - 1, -limit))


def test_nonlinearity_follows_the_theory_of_mismatch():
    """Saberi 2011: sigma of the INL of code k is s sqrt(k (2^n - k) / 2^n), and the middle step's s sqrt(2^n - 1)."""
    n, sigma = 8, 0.01
    edges = code_edges(np.random.default_rng(0).standard_normal((20_000, n + 1)), sigma)
    k = np.arange(2, 1 << n)
    inl = edges - (k - 2 ** (n - 1) - 0.5)
    np.testing.assert_allclose(inl.std(axis=0), sigma * np.sqrt(k * (2**n - k) / 2**n), rtol=0.03)
    assert inl.std(axis=0).max() == pytest.approx(sigma * 2 ** (n / 2) / 2, rel=0.02)
    middle = np.diff(edges, axis=1)[:, 2 ** (n - 1) - 3]
    assert middle.std() == pytest.approx(sigma * np.sqrt(2**n - 1), rel=0.02)
    assert abs(middle.mean() - 1) < 0.005


def test_every_converter_has_capacitors_of_its_own():
    net = dense()
    machine = chip(rows=30, columns=20, adc=Adc(kind=Sar(0.05)))
    edges = np.concatenate([engine_of(net, machine, trial=t).tables.edges.reshape(80, -1) for t in range(2)])
    assert len(np.unique(edges[:, 126])) == 160  # 2 row tiles x 40 columns x 2 chips: no two alike
    spread = (edges - edges.mean(axis=0))[:, 20:230:30]
    correlation = np.corrcoef(spread.reshape(2, 80, -1).transpose(1, 0, 2).reshape(80, -1))
    assert abs(correlation[np.triu_indices(80, 1)].mean()) < 0.05


def test_offsets_and_gains_have_the_spread_that_was_asked_for():
    net = dense(columns=200)
    machine = chip(adc=Adc(bits=16, offset_spread=40.0, gain_spread=0.03))
    x = inputs(50).astype(np.float32) * 255
    offsets, gains = [], []
    for trial in range(5):
        engine = engine_of(net, machine, trial=trial)
        nominal = engine.tables.back[0]
        zero = engine.read(np.zeros((1, 1, 60), np.float32), 0)[0, 0] / nominal
        sums, exact = engine.read(x[:, None], 0)[:, 0] - zero * nominal, x @ engine.layout.levels
        offsets.append(zero)
        gains.append((sums * exact).sum(axis=0) / (exact * exact).sum(axis=0) - 1)
    assert np.std(offsets) == pytest.approx(40.0, rel=0.1) and abs(np.mean(offsets)) < 5
    assert np.std(gains) == pytest.approx(0.03, rel=0.1) and abs(np.mean(gains)) < 0.004
    assert abs(np.corrcoef(np.ravel(offsets), np.ravel(gains))[0, 1]) < 0.15


def test_one_static_error_does_not_move_the_others():
    net = dense()
    alone = engine_of(net, chip(adc=Adc(offset_spread=1.0))).tables
    both = engine_of(net, chip(adc=Adc(offset_spread=1.0, gain_spread=0.02, kind=Sar(0.01)))).tables
    np.testing.assert_array_equal(alone.offset, both.offset)
    assert not np.array_equal(alone.step, both.step)


def test_static_errors_stay_with_a_chip():
    net, x = dense(), inputs(30)
    machine = chip(rows=30, columns=16, adc=Adc(offset_spread=2.0, gain_spread=0.05, kind=Sar(0.05)))
    twice = run(net, machine, np.concatenate([x, x]), seed=4, trials=2)
    np.testing.assert_array_equal(twice.trial_outputs[:, :30], twice.trial_outputs[:, 30:])
    assert not np.array_equal(*twice.trial_outputs)
    np.testing.assert_array_equal(run(net, machine, x, seed=4, threads=2).outputs, twice.trial_outputs[0, :30])
    assert not np.array_equal(run(net, machine, x, seed=5).outputs, twice.trial_outputs[0, :30])


@pytest.mark.parametrize("rows", [60, 17])
def test_codes_from_edges_equal_codes_of_the_kernel(rows):
    """With all but perfect capacitors the look-up gives what the kernel's own rounding gives, clips included."""
    net, x = dense(), inputs(200)
    plain = chip(rows=rows, columns=16, adc=Adc(bits=7, range=PercentileRange(90.0)))
    looked_up = replace(plain, adc=replace(plain.adc, kind=Sar(1e-9)))
    expected, found = run(net, plain, x), run(net, looked_up, x)
    assert (found.outputs != expected.outputs).mean() < 0.002  # sums within 2^-20 of half a step
    clips = expected.counts.total("adc_clip")
    assert clips > 100 and abs(found.counts.total("adc_clip") - clips) <= 0.001 * clips


def test_noise_is_the_same_in_front_of_edges():
    net = dense(rows=40, columns=8)
    x = np.repeat(inputs(1, rows=40) * 255, 3000, axis=0)[:, None].astype(np.float32)
    spread = []
    for mismatch in (0.0, 1e-9):
        machine = chip(rows=20, device=HermesPcm(programming_noise=False), image_seconds=1e3, session_seconds=1e4)
        engine = engine_of(net, replace(machine, adc=Adc(bits=10, noise=1.5, kind=Sar(mismatch))))
        spread.append(engine.read(x, 0).std(axis=0))
    np.testing.assert_allclose(spread[0], spread[1], rtol=0.06)


def test_affine_compensation_takes_offset_and_gain_out():
    net, x = dense(), inputs(300)
    reference = run_integer(net, x)
    bad = chip(adc=Adc(bits=10, offset_spread=20.0, gain_spread=0.05))
    good = run(net, replace(bad, adc=Adc(bits=10)), x).outputs - reference
    raw = run(net, bad, x).outputs - reference
    repaired = run(net, replace(bad, compensation=ColumnAffine()), x).outputs - reference
    assert raw.std() > 4 * good.std() and repaired.std() < 1.5 * good.std()


def test_mismatch_adds_its_nonlinearity_to_the_rounding_error():
    """The INL's s sqrt(k (2^n - k) / 2^n) at the codes in use, beside 1 / sqrt(12)."""
    net = dense(columns=100)
    x = inputs(400) * np.float32(255)
    engine = engine_of(net, chip(adc=Adc(bits=10, range=MinMaxRange("column"), kind=Sar(0.05))))
    steps = (x @ engine.layout.levels) / engine.tables.back[0]
    error = engine.read(x[:, None], 0)[:, 0] / engine.tables.back[0] - steps
    inside, k = np.abs(steps) < 500, steps + 512  # inputs may go beyond the samples
    expected = np.sqrt(1 / 12 + np.mean(0.05**2 * (k * (1024 - k) / 1024)[inside]))
    assert np.sqrt(np.mean(error[inside] ** 2)) == pytest.approx(expected, rel=0.1)


def test_mse_range_finds_the_optimal_step_for_a_normal_distribution():
    """J. Max, IRE Trans. Inf. Theory 6, 7 (1960), doi:10.1109/TIT.1960.1057548, Table II: 0.3352 sigma, 16 levels."""
    sums = np.abs(np.random.default_rng(0).normal(0, 1000.0, 200_000))
    limit = Adc(bits=4).limit
    step = MseRange().full_scale(sums, levels=limit, current_unit=1.0) / limit
    assert 0.3352 * 0.95 < step / 1000 < 0.3352 * 16 / 15 * 1.05
    assert MinMaxRange().full_scale(sums, levels=limit, current_unit=1.0) == sums.max()
    cut = PercentileRange(90.0).full_scale(sums, levels=limit, current_unit=1.0)
    assert cut == pytest.approx(1644.9, rel=0.01)  # two-sided 90 % of a normal


@pytest.mark.parametrize("rule", [MinMaxRange, PercentileRange, MseRange])
def test_scopes_say_who_shares_a_range(rule):
    net = dense()
    steps = {
        scope: engine_of(net, chip(rows=30, columns=20, adc=Adc(range=rule(scope=scope)))).tables.step
        for scope in ("layer", "tile", "column")
    }
    assert len(np.unique(steps["layer"])) == 1
    assert len(np.unique(steps["tile"])) == 4  # 2 x 2 tiles
    assert np.ptp(steps["tile"][:, :20], axis=1).max() == 0
    assert len(np.unique(steps["column"])) > 20 and steps["column"].shape == (2, 40)
    if rule is MinMaxRange:
        assert steps["layer"].max() == steps["tile"].max() == steps["column"].max()


def test_a_range_for_each_column_loses_less():
    net, x = dense(), inputs(300)
    reference = run_integer(net, x)
    errors = {
        scope: np.abs(run(net, chip(adc=Adc(bits=5, range=MseRange(scope))), x).outputs - reference).mean()
        for scope in ("layer", "column")
    }
    assert errors["column"] < 0.9 * errors["layer"]


def test_ranges_come_from_samples_and_not_from_the_run():
    net = dense()
    quiet = run(net, chip(adc=Adc(range=MinMaxRange())), inputs(20) * 0.1)
    both = run(net, chip(adc=Adc(range=MinMaxRange())), np.concatenate([inputs(20) * 0.1, inputs(20)]))
    np.testing.assert_array_equal(quiet.outputs, both.outputs[:20])


def test_conversions_of_the_calibration_are_not_counted():
    net, x = dense(), inputs(10)
    narrow = Adc(range=GivenRange(1e-12))
    plain, fitted = (
        run(net, chip(adc=narrow, compensation=mode), x).counts for mode in (NoCompensation(), ColumnAffine())
    )
    assert 0 < fitted.total("adc_clip") == plain.total("adc_clip") <= plain.total("adc_conversion") == 400


def test_given_current_is_the_largest_code():
    net = dense()
    machine = chip(adc=Adc(bits=8, range=GivenRange(1000 * UNIT)))
    engine = engine_of(net.replace(samples=None), machine)
    np.testing.assert_allclose(engine.tables.step, 1000 / 127, rtol=1e-6)


def test_currents_of_one_sign_use_all_codes():
    """An offset column on inputs >= 0 halves the step; on signed inputs it cannot."""
    for low, levels in ((0.0, 254), (-1.0, 127)):
        net = dense(low=low)
        engine = engine_of(net, chip(mapping=OffsetColumn(), adc=Adc(range=GivenRange(5e-5 * 20))))
        unit = engine_of(net, chip(mapping=OffsetColumn(), adc=IdealAdc())).dac.v_read / (255 if low == 0 else 128)
        np.testing.assert_allclose(engine.tables.step, 1e-3 / (unit * 25e-6 / 254) / levels, rtol=0.01)
        np.testing.assert_array_equal(engine.read(np.zeros((2, 1, 60), np.float32), 0), 0.0)
        fine = chip(mapping=OffsetColumn(), adc=Adc(bits=16, range=MinMaxRange("column")))
        error = np.abs(run(net, fine, net.samples).outputs - run_integer(net, net.samples))
        assert error.max() <= 1.01 * net.grids["fc"].scale


@pytest.mark.parametrize(
    "make, says",
    [
        (lambda: PercentileRange(10), "50.0 to 100.0"),
        (lambda: GivenRange(0.0), "amperes"),
        (lambda: MseRange("chip"), "choose from 'layer', 'tile', 'column'"),
        (lambda: MinMaxRange(scope="row"), "choose from"),
        (lambda: Adc(offset_spread=-1.0), "offset_spread"),
        (lambda: Adc(gain_spread=0.5), "0.0 to 0.2"),
        (lambda: Adc(kind=Sar(0.5)), "capacitor_mismatch"),
        (
            lambda: Adc(bits=13, kind=Sar(0.01)),
            "bits is 13; Sar keeps a table of 2.bits edges for each converter, allowed: 2 to 12",
        ),
    ],
)
def test_bad_settings(make, says):
    with pytest.raises(InputError, match=says):
        make()


@pytest.mark.parametrize("make", [lambda: Adc(bits=None), lambda: Adc(range=99.9), lambda: Adc(noise="1")])
def test_wrong_kinds(make):
    with pytest.raises(ArgumentTypeError):
        make()
