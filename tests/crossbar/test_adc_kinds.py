"""Kinds of ADC: the statistics of their edges against closed forms, and against circuits simulated event by event."""

from dataclasses import replace
from math import erfc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroemu import chips, quantize, run
from neuroemu.crossbar import (
    Adc,
    Cco,
    CrossbarChip,
    Flash,
    GivenRange,
    IdealAdc,
    IdealDac,
    Measured,
    MinMaxRange,
    OffsetColumn,
    Ramp,
    Sar,
    Uniform,
    load_programmed,
    noise_budget,
    program,
)
from neuroemu.crossbar.building import build_engine
from neuroemu.crossbar.sar import codes_of
from neuroemu.devices import HermesPcm, Ideal
from neuroemu.errors import ArgumentTypeError, InputError
from neuroemu.network import Dense, sequential

PERFECT = [Uniform(), Sar(0.0), Ramp(), Flash(), Cco(start_phase=0.5), Measured(np.zeros(127))]
CROOKED = [
    Sar(0.1),
    Ramp(bow=3.0, bow_spread=2.0, slope_spread=0.05),
    Flash(resistor_mismatch=0.1, comparator_offset=0.8),
    Cco(compression=0.5, compression_spread=0.2, polarity_mismatch=0.05),
    Measured(np.random.default_rng(5).uniform(0, 1, (40, 127)), assignment="random"),
]


def named(kind):
    return type(kind).__name__


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


def edges_of(kind, bits=7, converters=40, seed=0, one_signed=False):
    return kind.edges(bits, converters, np.random.default_rng(seed), one_signed=one_signed)


def nonlinearity(edges):
    """Of raw transitions 2 ... 2^bits - 1, steps."""
    limit = edges.shape[1] // 2
    return edges - (np.arange(-limit, limit) + 0.5)


@pytest.mark.parametrize("kind", PERFECT, ids=named)
@pytest.mark.parametrize("one_signed", [False, True])
def test_without_imperfections_steps_are_equal(kind, one_signed):
    np.testing.assert_allclose(nonlinearity(edges_of(kind, one_signed=one_signed)), 0.0, atol=1e-13)
    assert kind.uniform


@pytest.mark.parametrize("kind", PERFECT[1:], ids=named)
def test_without_imperfections_a_run_equals_uniform_bit_for_bit(kind):
    net, x = dense(), inputs(40)
    plain = chip(rows=25, columns=16, device=HermesPcm(), adc=Adc(bits=7, noise=0.4, offset_spread=1.0))
    found = run(net, replace(plain, adc=replace(plain.adc, kind=kind)), x)
    expected = run(net, plain, x)
    np.testing.assert_array_equal(found.outputs, expected.outputs)
    assert found.counts.total("adc_clip") == expected.counts.total("adc_clip")


@pytest.mark.parametrize("kind", CROOKED, ids=named)
@settings(max_examples=15, deadline=None)
@given(st.integers(1, 20), st.integers(0, 2**31), st.booleans())
def test_codes_never_fall_when_the_input_rises(kind, converters, seed, one_signed):
    edges = edges_of(kind, 7, converters, seed, one_signed)
    assert edges.shape == (converters, 126) and edges.dtype == np.float64
    assert np.isfinite(edges).all() and (np.diff(edges, axis=1) >= 0).all()
    assert not kind.uniform


@pytest.mark.parametrize("kind", CROOKED, ids=named)
def test_converters_differ_and_stay_as_they_are(kind):
    net, x = dense(), inputs(30)
    machine = chip(rows=30, columns=20, adc=Adc(bits=7, kind=kind))
    tables = [engine_of(net, machine, trial=t).tables.edges for t in range(2)]
    assert not np.array_equal(*tables)
    if not isinstance(kind, Ramp):  # a ramp is one for a tile, see below; tables drawn from 40 repeat
        assert len(np.unique(tables[0].reshape(80, -1), axis=0)) >= (25 if isinstance(kind, Measured) else 80)
    twice = run(net, machine, np.concatenate([x, x]), seed=4, trials=2)
    np.testing.assert_array_equal(twice.trial_outputs[:, :30], twice.trial_outputs[:, 30:])
    np.testing.assert_array_equal(run(net, machine, x, seed=4, threads=2).outputs, twice.trial_outputs[0, :30])
    assert not np.array_equal(run(net, machine, x, seed=5).outputs, twice.trial_outputs[0, :30])


@pytest.mark.parametrize("kind", CROOKED, ids=named)
def test_offset_and_gain_do_not_depend_on_the_kind(kind):
    net = dense()
    plain = Adc(bits=7, offset_spread=1.0, gain_spread=0.02)
    one, other = (engine_of(net, chip(adc=replace(plain, kind=k))).tables for k in (Uniform(), kind))
    np.testing.assert_array_equal(one.offset, other.offset)
    np.testing.assert_array_equal(one.step, other.step)


def test_columns_of_a_tile_share_one_ramp():
    net = dense()
    kind = Ramp(bow_spread=2.0, slope_spread=0.01)
    edges = engine_of(net, chip(rows=30, columns=20, adc=Adc(bits=7, kind=kind))).tables.edges
    tiles = edges.reshape(2, 2, 20, -1)
    np.testing.assert_array_equal(tiles, np.broadcast_to(tiles[:, :, :1], tiles.shape))
    assert len(np.unique(tiles[:, :, 0, 60])) == 4


def test_a_bow_is_largest_in_the_middle():
    """4 b t (1 - t), and nothing at the ends; its spread is that over ramps."""
    kind = Ramp(bow=1.5, bow_spread=0.5)
    random = np.random.default_rng(0)
    inl = nonlinearity(np.concatenate([kind.edges(8, 1, random, one_signed=False) for _ in range(4000)]))
    t = np.arange(2, 256) / 256
    np.testing.assert_allclose(inl.mean(axis=0), 1.5 * 4 * t * (1 - t), rtol=0.03)
    np.testing.assert_allclose(inl.std(axis=0), 0.5 * 4 * t * (1 - t), rtol=0.05)
    slopes = [Ramp(slope_spread=0.02).edges(8, 1, random, one_signed=False) for _ in range(2000)]
    assert np.std([nonlinearity(e)[0, -1] for e in slopes]) == pytest.approx(0.02 * 255, rel=0.06)


@pytest.mark.parametrize("bow", [12.0, -12.0, 31.0])
def test_a_ramp_counts_until_it_passes_the_input(bow):
    """Codes against a ramp that rises sample by sample, 64 samples a count."""
    edges = edges_of(Ramp(bow=bow), bits=7, converters=1)
    time = np.arange(0, 128 * 64) / 64
    ramp = time + 4 * bow * (time / 128) * (1 - time / 128)
    volts = np.random.default_rng(0).uniform(1, 127, 400)
    counts = np.floor(time[np.argmax(ramp[None] > volts[:, None], axis=1)])
    codes = codes_of(volts[:, None] - 64.5, edges)[:, 0]
    near = np.abs(volts[:, None] - ramp[None, ::64]).min(axis=1) < 0.05  # within a sample of a transition
    np.testing.assert_array_equal(codes[~near], np.maximum(counts[~near], 1) - 64)
    assert near.mean() < 0.3


def test_a_bow_beyond_the_turning_point_is_held():
    for bow in (1000.0, -1000.0):
        edges = edges_of(Ramp(bow=bow), converters=1)
        assert (np.diff(edges) >= 0).all() and np.ptp(edges) > 60


def test_ladder_mismatch_is_a_bridge():
    """k of N resistors, the whole held: variance sigma^2 k (N - k) / N, covariance of j < k sigma^2 j (N - k) / N."""
    sigma, count = 0.02, 64
    taps = Flash(resistor_mismatch=sigma).references(6, 20_000, np.random.default_rng(0)) - np.arange(1, count)
    k = np.arange(1, count)
    np.testing.assert_allclose(taps.std(axis=0), sigma * np.sqrt(k * (count - k) / count), rtol=0.03)
    covariance = np.mean(taps[:, 15] * taps[:, 47])
    assert covariance == pytest.approx(sigma**2 * 16 * (count - 48) / count, rel=0.1)


@pytest.mark.parametrize("sigma", [0.3, 0.7])
def test_comparators_are_out_of_order_as_often_as_theory_says(sigma):
    """Difference of neighbours is normal, mean 1 and variance 2 sigma^2."""
    references = Flash(comparator_offset=sigma).references(6, 3000, np.random.default_rng(1))
    assert (references - np.arange(1, 64)).std() == pytest.approx(sigma, rel=0.01)
    expected = 0.5 * erfc(1 / (np.sqrt(2) * sigma) / np.sqrt(2))
    assert (np.diff(references, axis=1) < 0).mean() == pytest.approx(expected, rel=0.05)


def test_a_flash_counts_its_ones():
    """Also through bubbles: comparators one by one against the sorted edges."""
    kind = Flash(resistor_mismatch=0.1, comparator_offset=1.5)
    references = kind.references(6, 5, np.random.default_rng(2))
    assert (np.diff(references, axis=1) < 0).mean() > 0.1
    edges = edges_of(kind, 6, 5, seed=2)
    volts = np.random.default_rng(3).uniform(-2, 66, (300, 5))
    ones = (references[None] <= volts[:, :, None]).sum(axis=2)
    np.testing.assert_array_equal(codes_of(volts - 32.5, edges), np.maximum(ones, 1) - 32)


@pytest.mark.parametrize("compression", [-0.3, 0.0, 0.2, 2.0])
@pytest.mark.parametrize("one_signed", [False, True])
def test_an_oscillator_is_counted_period_by_period(compression, one_signed):
    """Each period takes Q / I and a delay; full scale completes the largest count in the counting time."""
    bits, limit = 6, 31
    largest = 2 * limit if one_signed else limit
    edges = edges_of(Cco(compression=compression), bits, 1, one_signed=one_signed)
    current = np.random.default_rng(0).uniform(0 if one_signed else -largest, largest, 400)
    charge = 1.0  # full scale is 1, so that Q / I_full = 1 and the delay is `compression`
    window = largest * (charge + compression)
    counts = []
    for one in np.abs(current) / largest:
        now, periods = 0.0, 0
        while (now := now + charge / one + compression) <= window:
            periods += 1
        counts.append(periods)
    expected = np.array(counts) - limit if one_signed else np.array(counts) * np.sign(current)
    found = codes_of((current - limit if one_signed else current)[:, None], edges)[:, 0]
    np.testing.assert_array_equal(found, expected)
    assert len(np.unique(found)) > 50


def test_whole_counts_and_both_polarities_agree():
    """At the edges themselves: k periods are complete, for k and for -k."""
    edges = edges_of(Cco(), 6, 1)
    steps = np.arange(-31.0, 32.0)[:, None]
    np.testing.assert_array_equal(codes_of(steps, edges), steps)
    np.testing.assert_array_equal(codes_of(steps * 0.999, edges), steps - np.sign(steps))


def test_compression_and_polarity_spread_over_converters():
    """To first order d(edge)/dc = -L s (1 - s) / (1 + c (1 - s))^2 at the share s of full scale."""
    c, spread, limit = 0.4, 0.02, 127
    edges = edges_of(Cco(compression=c, compression_spread=spread), 8, 8000)
    s = np.arange(1, limit + 1) / limit
    slope = limit * s * (1 - s) / (1 + c * (1 - s)) ** 2
    np.testing.assert_allclose(edges[:, limit:].std(axis=0), spread * slope, rtol=0.05, atol=1e-9)
    np.testing.assert_allclose(edges[:, :limit], -edges[:, : limit - 1 : -1], rtol=1e-12)
    np.testing.assert_allclose(edges[:, limit:].mean(axis=0), limit * s / (1 + c * (1 - s)), rtol=2e-3)
    lopsided = edges_of(Cco(polarity_mismatch=0.01), 8, 8000)
    assert (lopsided[:, 0] / lopsided[:, -1]).std() == pytest.approx(0.01, rel=0.05)
    assert np.ptp(lopsided[:, limit:], axis=0).max() == 0


def test_oscillators_compress_a_layer_and_an_affine_fit_cannot_undo_it():
    """Sums of both signs through the curve: the kernel's path gives what the formula gives."""
    net, x = dense(), inputs(50) * np.float32(255)
    kind = Cco(compression=0.5, start_phase=0.5)
    engine = engine_of(net, chip(adc=Adc(bits=10, range=MinMaxRange("column"), kind=kind)))
    steps = (x @ engine.layout.levels) / engine.tables.back[0]
    share = np.abs(steps) / 511
    expected = np.sign(steps) * 511 * 1.5 * share / (1 + 0.5 * share)
    found = engine.read(x[:, None], 0)[:, 0] / engine.tables.back[0]
    inside = share < 1
    assert np.abs(found - expected)[inside].max() < 0.51
    assert np.abs(expected - steps)[inside].max() > 30


def test_currents_of_one_sign_start_at_code_zero():
    net = dense()
    x = np.zeros((2, 1, 60), np.float32)
    for kind in (Cco(compression=1.0), Cco(compression=1.0, start_phase=0.4)):
        machine = chip(mapping=OffsetColumn(), adc=Adc(bits=7, range=GivenRange(1e-3), kind=kind))
        engine = engine_of(net, machine)
        assert engine.tables.pedestal is not None
        np.testing.assert_array_equal(engine.read(x, 0), 0.0)
        assert engine.read(x + 255, 0).any()


def test_measured_tables_give_back_the_converter_that_was_measured():
    edges = edges_of(Sar(0.1), 7, 40)
    lowest = np.minimum(nonlinearity(edges)[:, :1], 0.0)  # the first transition is not used, any that rises will do
    inl = np.concatenate([lowest, nonlinearity(edges)], axis=1)
    np.testing.assert_allclose(edges_of(Measured(inl), 7, 40), edges, atol=1e-12)
    np.testing.assert_allclose(edges_of(Measured(inl[3]), 7, 6), np.repeat(edges[3:4], 6, axis=0), atol=1e-12)
    drawn = edges_of(Measured(inl, assignment="random"), 7, 2000)
    rows = np.abs(drawn[:, None, 60] - edges[None, :, 60]).argmin(axis=1)
    np.testing.assert_allclose(drawn, edges[rows], atol=1e-12)
    assert np.bincount(rows, minlength=40).min() > 20  # 50 expected, sigma 7


@pytest.mark.parametrize("kind", CROOKED, ids=named)
def test_programmed_chips_keep_their_converters(kind, tmp_path):
    net, x = dense(), inputs(20)
    machine = chip(rows=30, columns=20, adc=Adc(bits=7, kind=kind, columns_per_converter=3))
    made = program(net, machine, seed=2)
    made.calibrated().save(tmp_path / "chip.npz")
    again = run(net, load_programmed(tmp_path / "chip.npz", net, machine), x, seed=2)
    np.testing.assert_array_equal(again.outputs, run(net, machine, x, seed=2).outputs)


def test_tables_are_not_printed():
    assert repr(CROOKED[4]) == "Measured(<40 x 127 transitions>, assignment='random')"


@pytest.mark.parametrize("kind", [Sar(0.3 / 16), Ramp(bow=3.0), Flash(comparator_offset=0.4)], ids=named)
def test_the_noise_budget_has_the_kind_in_its_adc_effect(kind):
    """Small sums around mid-scale, where the INL is largest: a code's error on top of rounding."""
    net, x = dense(), inputs(200)
    step, unit = 1000.0, 0.2 / 255 * 25e-6 / 127
    plain = Adc(bits=10, range=GivenRange(unit * step * 511))
    crooked = replace(plain, kind=kind)
    rows = [noise_budget(net, chip(adc=adc), x, trials=8).errors["fc"] for adc in (plain, crooked)]
    code = step / np.sqrt(np.mean(np.square((x * 255).round() @ engine_of(net, chip(adc=IdealAdc())).layout.levels)))
    assert rows[0]["ADC"] == pytest.approx(code / np.sqrt(12), rel=0.05)
    inl = {"Sar": 0.3, "Ramp": 3.0, "Flash": 0.4}[named(kind)]  # sigma 2^(n/2) / 2 = 16 sigma for n = 10
    assert rows[1]["ADC"] == pytest.approx(code * np.sqrt(1 / 12 + inl**2), rel=0.2)
    assert rows[1]["together"] == pytest.approx(rows[1]["ADC"], rel=1e-6)


@pytest.mark.parametrize(
    "make, says",
    [
        (lambda: Sar(0.5), "Sar: capacitor_mismatch is 0.5; allowed: 0.0 to 0.2"),
        (lambda: Ramp(bow_spread=-1.0), "Ramp: bow_spread"),
        (lambda: Flash(resistor_mismatch=0.3), "Flash: resistor_mismatch"),
        (lambda: Cco(compression=-0.9), "Cco: compression is -0.9; allowed: -0.5 to 10.0"),
        (lambda: Measured(np.zeros(8)), r"inl has shape \(8,\); give 2\^bits - 1 transitions"),
        (lambda: Measured(np.zeros((2, 2, 7))), "inl has shape"),
        (lambda: Measured([0.0, 0.0, 2.0, 0.5, 0.0, 0.0, 0.0]), "falls by more than a step after transition 3"),
        (lambda: Measured([np.nan] * 7), "NaN"),
        (lambda: Measured(np.zeros(7), assignment="best"), "choose from"),
        (lambda: edges_of(Measured(np.ones((5, 127))), 7, 6), "a tile has 6 converters and inl has 5 tables"),
        (lambda: Adc(bits=8, kind=CROOKED[4]), "bits is 8; Measured was made for 7"),
        *((lambda k=k: Adc(bits=13, kind=k), "bits is 13; .* allowed: 2 to 12; use fewer") for k in CROOKED),
    ],
)
def test_bad_settings(make, says):
    with pytest.raises(InputError, match=says):
        make()


def test_equal_steps_may_have_more_bits():
    assert [Adc(bits=20, kind=kind).limit for kind in PERFECT[:5]] == [(1 << 19) - 1] * 5


@pytest.mark.parametrize("make", [lambda: Adc(kind="sar"), lambda: Adc(kind=Sar), lambda: Measured("table")])
def test_wrong_kinds(make):
    with pytest.raises(ArgumentTypeError):
        make()
