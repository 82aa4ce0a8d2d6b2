"""Ranges of ADCs: each rule against a search through the sampled sums, for every scope and shared converters."""

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroemu import chips, place, quantize, run
from neuroemu.crossbar import (
    Adc,
    Amplitude,
    BitSerial,
    BitSliced,
    CrossbarChip,
    DifferentialPair,
    GivenRange,
    IdealDac,
    MinMaxRange,
    MseRange,
    OffsetColumn,
    PercentileRange,
)
from neuroemu.crossbar.building import build_engine
from neuroemu.devices import Ideal
from neuroemu.errors import ArgumentTypeError, InputError
from neuroemu.network import Dense, relu, sequential

SCHEMES = [Amplitude(), Amplitude(signs="phases"), BitSerial(3), BitSerial(3, signs="phases")]
MAPPINGS = [DifferentialPair(), OffsetColumn(), BitSliced(3)]
scopes = st.sampled_from(["layer", "tile", "column"])
cases = st.tuples(
    st.integers(5, 30),
    st.integers(3, 14),
    st.integers(1, 6),
    st.sampled_from(SCHEMES),
    st.sampled_from(MAPPINGS),
    st.sampled_from([0.0, -1.0]),
    st.integers(0, 20),
)


def chip(**fields):
    given = {"name": "test", "costs": chips.HERMES.costs, "read_event": "core_read_1phase", "device": Ideal()}
    return CrossbarChip(**(given | {"dac": IdealDac()} | fields))


def dense(low=0.0, seed=0, rows=25, columns=11):
    random = np.random.default_rng(seed)
    net = sequential([Dense(name="fc", weight=random.normal(0, 0.3, (columns, rows)))], input_shape=(rows,))
    return quantize(net, samples=random.uniform(low, 1, (30, rows)))


def engine_of(net, machine):
    sampled = machine.sampled_rows(net).get("fc")
    return build_engine(machine, net, net.layers[0], index=0, sampled=sampled, seed=0, trial=0, threads=1)


def drives_of(net, scheme):
    """What the rows see of the samples, read by read, as the definitions of the schemes say."""
    grid = net.grids["input"]
    codes = grid.encode(net.samples).astype(int) - grid.zero_point
    signed = grid.low < grid.zero_point
    parts = [codes]
    if scheme.signs == "phases" and signed:
        parts = [np.maximum(codes, 0), np.maximum(-codes, 0)]
    if isinstance(scheme, BitSerial):
        parts = [np.sign(p) * (np.abs(p) >> shift & 7) for p in parts for shift in (0, 3, 6)]
    return np.concatenate(parts)


def sharers(scope, per, engine, tiles):
    """(row tile, column) of all converters' columns, by who shares a range."""
    groups = defaultdict(list)
    for tile in tiles:
        for c in range(*tile.columns):
            row_tile = tile.rows[0] // engine.rows_per_tile
            kind = int(engine.layout.slices[c])
            key = {
                "layer": kind,
                "tile": (tile.unit, kind),
                "column": (tile.unit, (c - tile.columns[0]) // per, kind),
            }[scope]
            groups[key].append((row_tile, c))
    return groups.values()


def sampled_groups(rule, rows, columns, per, scheme, mapping, low, seed):
    """(full scale of the engine, magnitudes of its sampled sums, levels) of each group; the sums one by one."""
    net = dense(low, seed)
    adc = Adc(bits=6, range=rule, columns_per_converter=per)
    machine = chip(rows=rows, columns=columns, inputs=scheme, mapping=mapping, adc=adc)
    engine = engine_of(net, machine)
    levels = 31 if engine.tables.pedestal is None else 62
    drives, high = drives_of(net, scheme), engine.rows_per_tile
    drives = drives[drives.any(axis=1)]  # a read that drives no row says nothing about ranges
    for group in sharers(rule.scope, per, engine, machine.place(net)):
        full = {float(engine.tables.step[t, c]) * levels for t, c in group}
        assert len(full) == 1
        sums = [
            drives[:, t * high : (t + 1) * high] @ engine.layout.levels[t * high : (t + 1) * high, c] for t, c in group
        ]
        yield full.pop(), np.abs(np.concatenate(sums)), levels


@settings(max_examples=25, deadline=None)
@given(scopes, cases)
def test_min_max_is_the_largest_sampled_sum(scope, case):
    for full, sums, _ in sampled_groups(MinMaxRange(scope), *case):
        assert full == pytest.approx(max(sums.max(), 1.0), rel=1e-5)


@settings(max_examples=25, deadline=None)
@given(scopes, cases)
def test_a_percentile_covers_its_share(scope, case):
    for full, sums, _ in sampled_groups(PercentileRange(90.0, scope), *case):
        if full > 1.001:
            covered = (sums <= full * (1 + 1e-5)).mean()
            assert 0.9 - 1 / len(sums) <= covered and (sums < full * (1 - 1e-5)).mean() <= 0.9 + 1 / len(sums)


@settings(max_examples=25, deadline=None)
@given(scopes, cases)
def test_the_mean_squared_error_is_the_smallest_of_41_candidates(scope, case):
    """Between 1/32 of the largest sum and all of it, at equal ratios."""

    def error(full, sums, levels):
        step = full / levels
        return np.mean((np.minimum(np.rint(sums / step), levels) * step - sums) ** 2)

    for full, sums, levels in sampled_groups(MseRange(scope), *case):
        largest = max(sums.max(), 1.0)
        errors = [error(max(largest * 32 ** (k / 40 - 1), 1.0), sums, levels) for k in range(41)]
        assert error(full, sums, levels) <= min(errors) * (1 + 1e-3) + 1e-9


def test_nothing_that_was_sampled_clips_within_min_max():
    net = dense(-1.0)
    for scheme in SCHEMES:
        for mapping in MAPPINGS:
            adc = Adc(range=MinMaxRange("column"), columns_per_converter=3)
            machine = chip(rows=9, columns=7, inputs=scheme, mapping=mapping, adc=adc)
            assert run(net, machine, net.samples).counts.total("adc_clip") == 0
            half = replace(machine, adc=replace(adc, range=PercentileRange(50.0, "column")))
            result = run(net, half, net.samples)
            share = result.counts.total("adc_clip") / result.counts.total("adc_conversion")
            assert 0.1 < share < 0.55  # half of those that are not empty
            assert result.traces["adc clipped share"]["fc"] == pytest.approx(share)
            assert any("conversions clipped" in line for line in result.warnings)


def test_phases_use_the_range_of_a_phase():
    """Inputs that cancel in one read do not in two: the phases' sums are larger, and so is their range."""
    net = dense(-1.0)
    one, two = (
        engine_of(net, chip(inputs=scheme, adc=Adc(range=MinMaxRange("layer")))).tables.step.max()
        for scheme in SCHEMES[:2]
    )
    drives = drives_of(net, Amplitude(signs="phases"))
    levels = engine_of(net, chip(adc=Adc(range=MinMaxRange()))).layout.levels
    assert two * 127 == pytest.approx(np.abs(drives @ levels).max(), rel=1e-5)
    assert one != two


def two_layers():
    random = np.random.default_rng(0)
    layers = [
        Dense(name="one", weight=random.normal(0, 0.3, (20, 25))),
        relu(name="relu"),
        Dense(name="two", weight=random.normal(0, 0.3, (5, 20))),
    ]
    return quantize(sequential(layers, input_shape=(25,)), samples=random.uniform(0, 1, (30, 25)))


def test_a_current_for_each_layer():
    net = two_layers()
    x = net.samples[:10]
    currents = {"one": 3e-5, "two": 1e-5}
    machine = chip(adc=Adc(range=GivenRange(currents)))
    found = run(net.replace(samples=None), machine, x)
    assert not np.array_equal(found.outputs, run(net, chip(adc=Adc(range=GivenRange(3e-5))), x).outputs)
    for index, name in ((0, "one"), (2, "two")):
        steps = [
            build_engine(
                chip(adc=Adc(range=GivenRange(given))), net, net.layers[index], index=0, sampled=None, seed=0, trial=0,
                threads=1,
            ).tables.step
            for given in (currents, currents[name])
        ]  # fmt: skip
        np.testing.assert_array_equal(*steps)
    with pytest.raises(InputError, match="no current for layer 'two'; amperes has 'one'"):
        place(net, chip(adc=Adc(range=GivenRange({"one": 1e-5}))))


@pytest.mark.parametrize(
    "amperes, says",
    [({"one": 0.0}, "amperes of layer 'one' is 0.0; allowed: 1e-15 or more"), (-1.0, "amperes is -1.0")],
)
def test_bad_currents(amperes, says):
    with pytest.raises(InputError, match=says):
        GivenRange(amperes)
    with pytest.raises(ArgumentTypeError):
        GivenRange({"one": "1e-5"})
