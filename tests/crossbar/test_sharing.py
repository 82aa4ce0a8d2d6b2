"""Converters that serve several columns: what they share, what stays each column's own, and how long it takes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroemu import chips, quantize, run
from neuroemu.crossbar import (
    Adc,
    BitSerial,
    BitSliced,
    Cco,
    CrossbarChip,
    Flash,
    IdealAdc,
    IdealDac,
    MinMaxRange,
    OffsetColumn,
    Ramp,
    Sar,
)
from neuroemu.crossbar.building import build_engine
from neuroemu.crossbar.describing import describe
from neuroemu.devices import Ideal
from neuroemu.errors import InputError
from neuroemu.network import Conv2d, Dense, Flatten, sequential


def chip(**fields):
    given = {"name": "test", "costs": chips.HERMES.costs, "read_event": "core_read_1phase", "device": Ideal()}
    return CrossbarChip(**(given | {"dac": IdealDac()} | fields))


def dense(rows=60, columns=40, seed=0):
    random = np.random.default_rng(seed)
    net = sequential([Dense(name="fc", weight=random.normal(0, 0.3, (columns, rows)))], input_shape=(rows,))
    return quantize(net, samples=random.uniform(0, 1, (64, rows)))


def inputs(n, rows=60, seed=1):
    return np.random.default_rng(seed).uniform(0, 1, (n, rows)).astype(np.float32)


def engine_of(net, machine, *, trial=0, seed=0):
    sampled = machine.sampled_rows(net).get("fc")
    return build_engine(machine, net, net.layers[0], index=0, sampled=sampled, seed=seed, trial=trial, threads=1)


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 12), st.integers(3, 20), st.integers(0, 99))
def test_columns_that_share_a_converter_share_its_errors(shared, columns, seed):
    """And no others do; groups begin anew in each tile, and the last of a tile may be smaller."""
    net = dense(columns=23)
    adc = Adc(bits=6, offset_spread=1.0, gain_spread=0.05, kind=Sar(0.1), columns_per_converter=shared)
    machine = chip(rows=30, columns=columns, adc=replace(adc, range=MinMaxRange("layer")))
    engine = engine_of(net, machine, seed=seed)
    wide = -(-23 // -(-23 // columns))  # columns are shared evenly over tiles
    group = np.array([(c // wide, (c % wide) // shared) for c in range(23)]) @ [100, 1]
    for tile_row in range(2):
        tables = engine.tables
        for values in (tables.offset[tile_row], tables.step[tile_row], tables.edges[tile_row, :, 30]):
            same = values[:, None] == values[None]
            np.testing.assert_array_equal(same, group[:, None] == group[None])


def test_noise_is_drawn_for_each_conversion():
    net = dense(rows=20, columns=8)
    engine = engine_of(net, chip(adc=Adc(bits=12, noise=5.0, columns_per_converter=4)))
    sums = engine.read(np.repeat(inputs(1, rows=20) * 255, 3000, axis=0)[:, None].astype(np.float32), 0)[:, 0]
    correlation = np.corrcoef(sums.T)[np.triu_indices(8, 1)]
    assert np.abs(correlation).max() < 0.08
    np.testing.assert_allclose(sums.std(axis=0) / engine.tables.back[0], 5.0, rtol=0.06)


def test_a_shared_offset_leaves_with_the_reference_column():
    """One converter for all columns of a tile: its offset is in the reference too, and the difference is without."""
    net = dense(columns=12)
    x = np.zeros((1, 1, 60), np.float32)
    spread = {}
    for shared in (1, 16):
        adc = Adc(bits=10, offset_spread=20.0, columns_per_converter=shared)
        spread[shared] = engine_of(net, chip(columns=16, mapping=OffsetColumn(), adc=adc)).read(x + 1, 0)
    assert spread[16].std() < 0.3 * spread[1].std()


def test_counts_stay():
    net, x = dense(), inputs(10)
    one, eight = (run(net, chip(rows=30, columns=16, adc=Adc(columns_per_converter=n)), x) for n in (1, 8))
    np.testing.assert_array_equal(one.outputs, eight.outputs)  # nothing is shared that is not perfect
    assert one.counts == eight.counts and one.latency_per_inference == eight.latency_per_inference


def by_schedule(tile_widths, shared, arrays, conversion):
    """A read, one conversion after the other in every converter of every tile; the last to finish counts."""
    ends = []
    for width in tile_widths:
        clocks = {}
        for column in range(width):
            clocks[column // shared] = clocks.get(column // shared, arrays) + conversion
        ends += clocks.values()
    return max(ends)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 30), st.integers(2, 45), st.integers(1, 50))
def test_conversions_of_one_converter_follow_one_another(shared, columns, outputs):
    net = dense(columns=outputs)
    adc = Adc(columns_per_converter=shared, conversion_seconds=3e-9)
    machine = chip(columns=columns, read_seconds=1e-7, adc=adc)
    widths = [site.columns[1] - site.columns[0] for site in machine.place(net)]
    expected = by_schedule(widths, shared, 1e-7, 3e-9)
    assert run(net, machine, inputs(1)).latency_per_inference == pytest.approx(expected, rel=1e-12)


def machine_notes(machine, net, x):
    return machine.execute(net, machine.place(net), x, seed=0, trials=1, threads=1).notes


def test_every_read_of_every_layer_waits_for_its_conversions():
    random = np.random.default_rng(0)
    layers = [
        Conv2d(name="conv", weight=random.normal(0, 0.4, (6, 1, 3, 3))),
        Flatten(name="flat"),
        Dense(name="fc", weight=random.normal(0, 0.2, (3, 96))),
    ]
    net = sequential(layers, input_shape=(1, 6, 6))
    net = quantize(net, samples=random.uniform(0, 1, (32, 1, 6, 6)))
    x = random.uniform(0, 1, (2, 1, 6, 6))
    adc = Adc(bits=8, kind=Sar(0.01), columns_per_converter=4, clock=1e9)
    machine = chip(read_seconds=1e-7, adc=adc, inputs=BitSerial(2), mapping=BitSliced(4))
    result = run(net, machine, x)
    conv, fc = 16 * 4 * (100e-9 + 4 * 8e-9), 4 * (100e-9 + 4 * 8e-9)  # 12 and 6 columns: 4 in a converter
    assert result.latency_per_inference == pytest.approx(conv + fc)
    assert result.throughput == pytest.approx(1 / conv)
    assert machine_notes(machine, net, x)[1:] == ("up to 4 conversions of 8.00 ns follow a read: 8 clock cycles each",)
    assert len(machine_notes(replace(machine, adc=Adc()), net, x)) == 1
    assert "up to 4 conversions of 8.00 ns" in describe(machine)
    assert run(net, replace(machine, adc=IdealAdc()), x).latency_per_inference == pytest.approx(68 * 100e-9)


def test_kinds_know_their_cycles():
    """n, 2^n and one cycle; an oscillator counts for a time of its own."""
    assert Adc(bits=6, kind=Sar(), clock=2e9).seconds_of_conversion == pytest.approx(3e-9)
    assert Adc(bits=6, kind=Ramp(), clock=2e9).seconds_of_conversion == pytest.approx(32e-9)
    assert Adc(bits=6, kind=Flash(), clock=2e9).seconds_of_conversion == pytest.approx(0.5e-9)
    assert Adc(bits=8, kind=Cco(integration_seconds=76.8e-9)).seconds_of_conversion == 76.8e-9
    assert Adc(conversion_seconds=4e-9).seconds_of_conversion == 4e-9
    assert Adc().seconds_of_conversion == Adc(kind=Cco()).seconds_of_conversion == 0.0


@pytest.mark.parametrize(
    "make, says",
    [
        (lambda: Adc(columns_per_converter=0), "columns_per_converter is 0; allowed: 1 to 4096"),
        (lambda: Adc(conversion_seconds=-1.0), "conversion_seconds"),
        (lambda: Adc(kind=Sar(), clock=1e9, conversion_seconds=1e-9), "clock and conversion_seconds both say"),
        (
            lambda: Adc(kind=Cco(integration_seconds=1e-9), conversion_seconds=1e-9),
            "conversion_seconds and kind.integration_seconds both",
        ),
        (lambda: Adc(clock=1e9), "clock is 1e.09; Uniform has no number of cycles"),
        (lambda: Adc(kind=Cco(), clock=1e9), "Cco has no number of cycles"),
        (lambda: Adc(kind=Sar(), clock=0.0), "clock is 0.0"),
    ],
)
def test_bad_settings(make, says):
    with pytest.raises(InputError, match=says):
        make()
