"""Inputs of both signs read in two phases: the same sums, twice the conversions, and what cancels between phases."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroemu import chips, quantize, run, run_integer
from neuroemu.crossbar import (
    Adc,
    Amplitude,
    BitSerial,
    BitSliced,
    ColumnAffine,
    CrossbarChip,
    Dac,
    DifferentialPair,
    GivenRange,
    IdealAdc,
    IdealDac,
    MinMaxRange,
    OffsetColumn,
    PulseWidth,
    Sar,
)
from neuroemu.crossbar.building import build_engine
from neuroemu.devices import Generic, HermesPcm, Ideal
from neuroemu.errors import InputError
from neuroemu.network import Conv2d, Dense, Flatten, relu, sequential

PHASES = [Amplitude(signs="phases"), PulseWidth(signs="phases"), BitSerial(3, signs="phases")]


def chip(**fields):
    given = {"name": "test", "costs": chips.HERMES.costs, "read_event": "core_read_1phase", "device": Ideal()}
    return CrossbarChip(**(given | {"dac": IdealDac(), "adc": IdealAdc()} | fields))


def dense(rows=50, columns=30, seed=0, low=-1.0):
    random = np.random.default_rng(seed)
    net = sequential([Dense(name="fc", weight=random.normal(0, 0.3, (columns, rows)))], input_shape=(rows,))
    return quantize(net, samples=random.uniform(low, 1, (64, rows)))


def conv(seed=0, low=-1.0):
    random = np.random.default_rng(seed)
    net = sequential(
        [
            Conv2d(name="conv", weight=random.normal(0, 0.4, (6, 4, 3, 3)), stride=2),
            relu(name="relu"),
            Flatten(name="flat"),
            Dense(name="fc", weight=random.normal(0, 0.2, (5, 24)), bias=random.normal(0, 0.1, 5)),
        ],
        input_shape=(4, 6, 6),
    )
    return quantize(net, samples=random.uniform(low, 1, (32, 4, 6, 6)))


def inputs(*shape, seed=1, low=-1.0):
    return np.random.default_rng(seed).uniform(low, 1, shape).astype(np.float32)


def engine_of(net, machine, seed=0):
    sampled = machine.sampled_rows(net).get("fc")
    return build_engine(machine, net, net.layers[0], index=0, sampled=sampled, seed=seed, trial=0, threads=1)


@given(st.lists(st.integers(-40_000, 40_000), min_size=1, max_size=30), st.sampled_from(PHASES), st.booleans())
def test_phases_add_up_to_the_input(values, scheme, signed):
    """Each drives rows in one direction only, and no row in both of its phases."""
    steps = np.array(values if signed else np.abs(values), np.float32)
    scheme = scheme.of_layer(signed=signed)
    largest = int(np.abs(steps).max())
    planes = list(scheme.split(steps, scheme.planes(largest)))
    np.testing.assert_array_equal(sum(p * scheme.weight(i) for i, p in enumerate(planes)), steps)
    assert min(p.min() for p in planes) >= 0 and max(p.max() for p in planes) <= scheme.full_drive(largest)
    if signed:
        assert all(not (one * other).any() for one, other in zip(planes[::2], planes[1::2], strict=True))
    else:
        assert scheme.signs == "polarity"


@pytest.mark.parametrize("scheme", PHASES, ids=str)
@pytest.mark.parametrize("mapping", [DifferentialPair(), OffsetColumn(), BitSliced(2)], ids=str)
@settings(max_examples=8, deadline=None)
@given(st.integers(1, 40), st.integers(2, 16), st.sampled_from([0.0, -1.0, -0.2]), st.integers(0, 50))
def test_ideal_parts_equal_the_integer_reference(mapping, scheme, rows, columns, low, seed):
    net, x = conv(seed, low), inputs(5, 4, 6, 6, seed=seed, low=low)
    machine = chip(rows=rows, columns=columns, mapping=mapping, inputs=scheme)
    np.testing.assert_array_equal(run(net, machine, x, threads=1).outputs, run_integer(net, x))


@pytest.mark.parametrize("bits", [5, 8])
def test_a_coarse_dac_rounds_alike(bits):
    net, x = conv(), inputs(20, 4, 6, 6)
    one, *others = (run(net, chip(dac=Dac(bits=bits), inputs=s), x).outputs for s in (Amplitude(), *PHASES))
    for other in others:
        np.testing.assert_array_equal(one, other)


def test_only_layers_with_negative_inputs_take_two_reads():
    """Their conversions, reads and times double; rows are driven as often, and the second read is subtracted."""
    net, x = conv(), inputs(10, 4, 6, 6)
    plain = chip(rows=20, columns=16, adc=Adc(), inputs=Amplitude())
    one, two = (run(net, replace(plain, inputs=scheme), x) for scheme in (Amplitude(), PHASES[0]))
    for event in ("core_read_1phase", "adc_conversion"):
        assert two.counts["conv", event] == 2 * one.counts["conv", event]
        assert two.counts["fc", event] == one.counts["fc", event]
    assert two.counts["conv", "dac_drive"] == one.counts["conv", "dac_drive"]
    more = two.counts["conv", "digital_accumulate"] - 2 * one.counts["conv", "digital_accumulate"]
    assert more == 10 * 4 * 6  # images, positions, outputs
    assert two.latency_per_inference == pytest.approx(9 / 5 * one.latency_per_inference)  # 4 positions and 1
    positive = conv(low=0.0)
    first, second = (run(positive, replace(plain, inputs=scheme), np.abs(x)) for scheme in (Amplitude(), PHASES[0]))
    assert first.counts == second.counts
    np.testing.assert_array_equal(first.outputs, second.outputs)


def test_planes_and_phases_multiply():
    net, x = dense(), inputs(6, 50)
    counts = run(net, chip(adc=Adc(), inputs=BitSerial(2, signs="phases")), x).counts
    assert counts.total("adc_conversion") == 6 * 30 * 2 * 4  # magnitudes to 128 have 8 bits: 4 planes


def test_currents_of_one_sign_keep_all_codes():
    """With polarity an offset column carries both signs; each phase carries one, and codes start at zero."""
    net = dense()
    steps, zero = {}, np.zeros((2, 1, 50), np.float32)
    for signs in ("polarity", "phases"):
        machine = chip(mapping=OffsetColumn(), adc=Adc(range=GivenRange(1e-3)), inputs=Amplitude(signs=signs))
        engine = engine_of(net, machine)
        steps[signs] = engine.tables.step[0, 0]
        np.testing.assert_array_equal(engine.read(zero, 0), 0.0)
    assert steps["polarity"] == pytest.approx(2 * steps["phases"], rel=1e-6)
    fine = chip(mapping=OffsetColumn(), adc=Adc(bits=16, range=MinMaxRange("column")), inputs=PHASES[0])
    error = np.abs(run(net, fine, net.samples).outputs - run_integer(net, net.samples))
    assert error.max() <= 1.01 * net.grids["fc"].scale


def test_offsets_of_converters_cancel_and_their_noise_adds():
    net = dense(rows=20, columns=200)
    x = np.repeat(np.round(inputs(1, 20) * 127), 2000, axis=0)[:, None].astype(np.float32)
    adc = Adc(bits=16, noise=30.0, offset_spread=500.0, range=MinMaxRange())
    found = {}
    for signs in ("polarity", "phases"):
        engine = engine_of(net, chip(adc=adc, inputs=Amplitude(signs=signs)))
        codes = (engine.read(x, 0)[:, 0] - x[:, 0] @ engine.layout.levels) / engine.tables.back[0]
        found[signs] = codes.mean(axis=0).std(), codes.std(axis=0).mean()
    assert found["polarity"] == (pytest.approx(500, rel=0.15), pytest.approx(30, rel=0.02))
    assert found["phases"] == (pytest.approx(0, abs=2), pytest.approx(30 * np.sqrt(2), rel=0.02))


def test_read_noise_of_the_cells_stays_the_same():
    """Each row is driven in one phase only, so the variances of its cells add up as in one read."""
    net = dense(rows=40, columns=30)
    x = np.repeat(np.round(inputs(1, 40) * 127), 3000, axis=0)[:, None].astype(np.float32)
    device = Generic(g_min=0.0, g_max=25e-6, read_noise=0.05)
    spread = [
        engine_of(net, chip(device=device, inputs=scheme)).read(x, 0)[:, 0].std(axis=0)
        for scheme in (Amplitude(), Amplitude(signs="phases"))
    ]
    np.testing.assert_allclose(spread[0], spread[1], rtol=0.08)
    assert spread[0].min() > 100


def test_ranges_and_compensation_are_those_of_phases():
    net, x = dense(), inputs(200, 50)
    reference = run_integer(net, x)
    bad = chip(inputs=PHASES[0], adc=Adc(bits=10, gain_spread=0.1))
    before, after = (
        (run(net, machine, x, trials=3).trial_outputs - reference).std()
        for machine in (bad, replace(bad, compensation=ColumnAffine()))
    )
    assert after < 0.2 * before
    clean = run(net, chip(inputs=PHASES[0], adc=Adc(bits=8)), x).outputs - reference
    assert clean.std() < 2.5 * net.grids["fc"].scale


@pytest.mark.parametrize("scheme", PHASES, ids=str)
def test_same_bits_for_any_threads_and_batches(scheme):
    net, x = conv(), inputs(60, 4, 6, 6)
    adc = Adc(bits=8, noise=0.3, offset_spread=1.0, gain_spread=0.02, kind=Sar(0.03), columns_per_converter=3)
    noisy = chip(
        rows=20, columns=24, device=HermesPcm(), seconds=3600.0, mapping=OffsetColumn(), inputs=scheme, dac=Dac(),
        compensation=ColumnAffine(), adc=adc,
    )  # fmt: skip
    whole = run(net, noisy, x, seed=2, threads=1).outputs
    np.testing.assert_array_equal(whole, run(net, noisy, x, seed=2, threads=2).outputs)
    np.testing.assert_array_equal(whole[:25], run(net, noisy, x[:25], seed=2).outputs)


@pytest.mark.parametrize("make", [Amplitude, PulseWidth, BitSerial])
def test_bad_settings(make):
    with pytest.raises(InputError, match=f"{make.__name__}: signs is 'both'; choose from 'polarity', 'phases'"):
        make(signs="both")
