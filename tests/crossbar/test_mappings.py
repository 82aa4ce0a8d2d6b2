"""Weight mappings: exact with ideal parts, errors as theory says, and counts from the physical columns."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroemu import chips, place, prune, quantize, run, run_integer
from neuroemu.crossbar import (
    Adc,
    Averaged,
    BitSliced,
    ColumnAffine,
    ColumnGain,
    CrossbarChip,
    DifferentialPair,
    GivenRange,
    IdealAdc,
    IdealDac,
    MinMaxRange,
    NoCompensation,
    OffsetColumn,
    Significance,
    ideal,
)
from neuroemu.crossbar.building import build_engine
from neuroemu.devices import Cells, Device, HermesPcm, Ideal, ReadShares
from neuroemu.errors import ArgumentTypeError, InputError
from neuroemu.network import Conv2d, Dense, Flatten, relu, sequential

MAPPINGS = [
    DifferentialPair(),
    DifferentialPair(sided="two"),
    OffsetColumn(),
    OffsetColumn("digital"),
    *(BitSliced(b) for b in (1, 2, 3, 7)),
    *(BitSliced(b, signs="offset") for b in (1, 3, 8)),
    DifferentialPair(scaling="column"),
    OffsetColumn(scaling="column"),
    Significance(),
    Significance((1, 3, 7), correct=True),
    Averaged(3),
    Averaged(2, OffsetColumn()),
    Averaged(2, Significance(correct=True)),
    Averaged(2, BitSliced(4)),
    Averaged(2, BitSliced(4, "offset")),
]
each_mapping = pytest.mark.parametrize("mapping", MAPPINGS, ids=str)


@dataclass(frozen=True)
class Fuzzy(Device):
    """Every cell is off by the same normal noise, when programmed and, all of it anew, when read."""

    g_min: float = 1e-6
    g_max: float = 26e-6
    programming: float = 0.0
    reading: float = 0.0

    def program(self, target, generator):
        assert target.min() >= self.g_min * (1 - 1e-6) and target.max() <= self.g_max * (1 + 1e-6)
        return Cells(target + self.programming * generator.standard_normal(target.shape))

    def conductance(self, cells, seconds):
        return cells.conductance

    def read_sigma(self, cells, seconds):
        return np.full_like(cells.conductance, self.reading)

    def read_shares(self, seconds, *, image_seconds, session_seconds, cells=None):
        return ReadShares(1.0, 0.0, 0.0)


def chip(**fields):
    given = {"name": "test", "costs": chips.HERMES.costs, "read_event": "core_read_1phase", "device": Ideal()}
    return CrossbarChip(**(given | {"dac": IdealDac(), "adc": IdealAdc()} | fields))


def dense(rows=50, columns=30, seed=0, bits=8, spread=0.3):
    random = np.random.default_rng(seed)
    net = sequential([Dense(name="fc", weight=random.normal(0, spread, (columns, rows)))], input_shape=(rows,))
    return quantize(net, weight_bits=bits, samples=random.uniform(0, 1, (64, rows)))


def small_net(seed, groups, bits):
    random = np.random.default_rng(seed)
    net = sequential(
        [
            Conv2d(name="conv", weight=random.normal(0, 0.4, (6, 4 // groups, 3, 3)), stride=2, groups=groups),
            relu(name="relu"),
            Flatten(name="flat"),
            Dense(name="fc", weight=random.normal(0, 0.2, (5, 24)), bias=random.normal(0, 0.1, 5)),
        ],
        input_shape=(4, 6, 6),
    )
    return quantize(net, weight_bits=bits, samples=random.uniform(0, 1, (32, 4, 6, 6)))


def inputs(*shape, seed=1):
    return np.random.default_rng(seed).uniform(0, 1, shape).astype(np.float32)


def engine_of(net, machine, *, trial=0, seed=0):
    sampled = machine.sampled_rows(net).get("fc")
    return build_engine(machine, net, net.layers[0], index=0, sampled=sampled, seed=seed, trial=trial, threads=1)


def held(engine):
    """Weights that the layer's outputs show, (K, M) in weight codes, by driving one row after the other."""
    rows = len(engine.layout.levels)
    return engine.read(np.eye(rows, dtype=np.float32)[:, None], 0)[:, 0]


@each_mapping
@settings(max_examples=12, deadline=None)
@given(st.integers(1, 40), st.integers(3, 16), st.sampled_from([1, 2]), st.sampled_from([3, 4, 8]), st.integers(0, 50))
def test_ideal_parts_equal_the_integer_reference(mapping, rows, columns, groups, bits, seed):
    net, x = small_net(seed, groups, bits), inputs(5, 4, 6, 6, seed=seed)
    result = run(net, chip(rows=rows, columns=columns, mapping=mapping), x, threads=1)
    np.testing.assert_array_equal(result.outputs, run_integer(net, x))
    for site in place(net, chip(rows=rows, columns=columns, mapping=mapping)).sites:
        assert np.diff(site.rows) <= rows and np.diff(site.columns) <= columns


@each_mapping
def test_the_lowest_code_of_a_file_is_held_too(mapping):
    """-128, which `quantize` never writes but files may hold; Fuzzy asserts the range of every target."""
    net, x = dense(), inputs(20, 50)
    weight = net.layers[0].weight.copy()
    weight[3:7, 5:9] = -128
    net = net.replace(layers=(replace(net.layers[0], weight=weight),))
    np.testing.assert_array_equal(run(net, chip(mapping=mapping), x).outputs, run_integer(net, x))
    np.testing.assert_allclose(held(engine_of(net, chip(mapping=mapping, device=Fuzzy()))), weight.T, atol=3e-4)


@each_mapping
def test_a_wide_adc_is_lossless_too(mapping):
    net = dense()
    x = net.samples  # so that nothing is outside the ranges
    exact = run_integer(net, x)
    wide = chip(mapping=mapping, adc=Adc(bits=20, range=MinMaxRange()), device=Ideal(g_min=1e-6))
    found = run(net, wide, x).outputs
    assert np.abs(found - exact).max() <= 1.01 * net.grids["fc"].scale and (found == exact).mean() > 0.99


@each_mapping
def test_targets_stay_in_the_range_and_mean_the_weights(mapping):
    """Fuzzy asserts the range of every target; without noise the cells must show the codes, whatever g_min."""
    net = dense()
    weights = held(engine_of(net, chip(mapping=mapping, device=Fuzzy())))
    np.testing.assert_allclose(weights, net.layers[0].weight.T, atol=2e-4)
    codes, device = np.array([[-127, 0, 127]], np.float32), Fuzzy()
    layout = mapping.layout(codes, 127, device, 256)
    targets = [t for t in mapping.targets(layout.levels, mapping.top(127), device) if t is not None]
    lowest = device.g_min + (25e-6 / 255 if mapping == BitSliced(8, "offset") else 0)  # level 0 is for -128 alone
    assert np.max(targets) == pytest.approx(device.g_max) and np.min(targets) == pytest.approx(lowest)


@pytest.mark.parametrize(
    "mapping, factor",
    [
        (DifferentialPair(), 127 * np.sqrt(2)),
        (DifferentialPair(sided="two"), 127 * np.sqrt(2)),
        (OffsetColumn(), 254 * np.sqrt(2)),  # a cell and its reference
        (OffsetColumn("digital"), 254),
        (BitSliced(7), 127 * np.sqrt(2)),
        (BitSliced(8, "offset"), 255),
        (BitSliced(4, "offset"), 15 * np.sqrt(1 + 16**2)),
        (BitSliced(1, "offset"), np.sqrt((4**8 - 1) / 3)),
        (BitSliced(4), 15 * np.sqrt(2 * (1 + 16**2))),  # an error of slice s weighs 2^(4 s)
        (BitSliced(2), 3 * np.sqrt(2 * (1 + 4**2 + 16**2 + 64**2))),
        (Significance((1, 8)), 15 * np.sqrt(2 * (1 + 8**2))),
        (Significance((1, 4, 16)), 7 * np.sqrt(2 * (1 + 4**2 + 16**2))),  # 7 is 127 / 21, rounded up
        (BitSliced(1), np.sqrt(2 * (4**7 - 1) / 3)),
        (Averaged(4), 127 * np.sqrt(2) / 2),
        (Averaged(9), 127 * np.sqrt(2) / 3),
        (Averaged(4, BitSliced(4)), 15 * np.sqrt(2 * (1 + 16**2)) / 2),
    ],
    ids=str,
)
def test_errors_of_cells_become_errors_of_weights(mapping, factor):
    """Standard deviation of a weight, in codes, when each cell is off by sigma: programming and reading alike."""
    net = dense(rows=600, columns=30)
    span = 25e-6
    for field in ("programming", "reading"):
        engine = engine_of(net, chip(rows=600, mapping=mapping, device=Fuzzy(**{field: 0.01 * span})))
        error = held(engine) - net.layers[0].weight.T
        assert error.std() == pytest.approx(0.01 * factor, rel=0.05), field
        assert abs(error.mean()) < 5 * error.std() / np.sqrt(600)


def test_the_error_of_a_reference_column_is_common_to_its_tile():
    net = dense(rows=400, columns=30)
    engine = engine_of(net, chip(rows=400, columns=16, mapping=OffsetColumn(), device=Fuzzy(programming=0.25e-6)))
    correlation = np.corrcoef((held(engine) - net.layers[0].weight.T).T)
    inside, across = correlation[:15, :15][np.triu_indices(15, 1)], correlation[:15, 15:]
    assert inside.mean() == pytest.approx(0.5, abs=0.05) and abs(across.mean()) < 0.05


def test_each_device_of_an_average_is_drawn_on_its_own():
    """Of real cells too: HERMES programming noise, where it does not hit the end of the range."""
    net = dense(rows=120, columns=80, spread=1.0)
    device = HermesPcm(drift=False, read_noise=False)
    pair, spread = DifferentialPair(sided="two"), []
    for mapping in (pair, Averaged(4, pair)):
        spread.append(np.std(held(engine_of(net, chip(mapping=mapping, device=device))) - net.layers[0].weight.T))
    assert spread[1] / spread[0] == pytest.approx(0.5, abs=0.02)


def test_parallel_devices_add_their_currents():
    """Four devices in parallel bring four times the current to the same converter."""
    net, x = dense(), inputs(50, 50)
    one = chip(adc=Adc(bits=6, range=GivenRange(2e-5)))
    four = chip(mapping=Averaged(4), adc=Adc(bits=6, range=GivenRange(8e-5)))
    np.testing.assert_array_equal(run(net, one, x).outputs, run(net, four, x).outputs)
    starved = run(net, chip(mapping=Averaged(4), adc=Adc(bits=6, range=GivenRange(2e-5))), x)
    assert starved.counts.total("adc_clip") > run(net, one, x).counts.total("adc_clip") + 100


def test_counts_follow_the_slices():
    """50 x 30 weights of 7 bits in 2-bit cells: 4 slices, 120 physical columns, on arrays of 25 x 40."""
    net, x = dense(), inputs(10, 50)
    sliced = chip(rows=25, columns=40, mapping=BitSliced(2), adc=Adc())
    sites = place(net, sliced).sites
    assert len(sites) == 2 * 3 and {s.columns for s in sites} == {(0, 40), (40, 80), (80, 120)}
    counts = run(net, sliced, x).counts
    assert counts.total("core_read_1phase") == 10 * 6
    assert counts.total("adc_conversion") == 10 * 2 * 120
    assert counts.total("digital_accumulate") == 10 * (240 - 30)  # 240 codes become 30 outputs
    assert counts.total("dac_drive") == 3 * np.count_nonzero(net.grids["input"].encode(x) != -128)
    plain = run(net, chip(rows=25, columns=40, adc=Adc()), x)
    assert plain.counts.total("adc_conversion") == 10 * 2 * 30 and len(place(net, chip(rows=25)).sites) == 2
    energy = run(net, sliced, x).energy.total / plain.energy.total
    assert energy == pytest.approx(3, rel=0.05)  # the reads of 3 arrays instead of 1


def test_slices_of_empty_digits_are_not_allocated():
    """Weights below 16 of 127 leave the upper slice of 4 bits empty, but for the one that sets the scale."""
    net = dense(columns=20)
    weight = np.clip(net.layers[0].weight, -15, 15)
    net = net.replace(layers=(replace(net.layers[0], weight=weight),))
    machine = chip(columns=20, mapping=BitSliced(4), adc=Adc())
    (site,) = place(net, machine).sites
    assert site.columns == (0, 20) and site.details["nonzero weights"] == np.count_nonzero(weight)
    counts = run(net, machine, inputs(10, 50)).counts
    assert counts.total("adc_conversion") == 10 * 20 and counts.total("digital_accumulate") == 0


def test_offset_slices_hold_the_digits_of_shifted_codes():
    """Digits written out by hand: w + 128 in two slices of 4 bits."""
    codes = np.array([[-128, -127, -1, 0, 1, 127]], np.float32)
    layout = BitSliced(4, "offset").layout(codes, 128, Ideal(), 256)
    assert layout.levels.tolist() == [[0, 1, 15, 0, 1, 15, 0, 0, 7, 8, 8, 15]]
    assert layout.holds.tolist() == [[False, True, True, False, True, True, True, True, True, False, False, True]]
    assert layout.zero.tolist() == [0] * 6 + [8] * 6
    assert layout.outputs(layout.levels - layout.zero).tolist() == codes.tolist()
    assert BitSliced(1, "offset").layout(codes[:, 1:], 127, Ideal(), 256).levels.shape == (1, 8 * 5)
    for low, high in ((-2, 1), (-1, 1), (-8, 7)):  # slices follow the grid, not the codes that happen to be there
        layouts = [BitSliced(1, "offset").layout(np.array([[c]]), -low, Ideal(), 9) for c in (low, 0, high)]
        assert {len(layout.terms) for layout in layouts} == {(high - low).bit_length()}
        sums = [float(layout.outputs(layout.levels - layout.zero)[0, 0]) for layout in layouts]
        assert sums == [low, 0, high]


@pytest.mark.parametrize("mapping, slices", [(OffsetColumn("digital"), 1), (BitSliced(2, "offset"), 4)], ids=str)
def test_a_digital_offset_costs_additions_and_no_columns(mapping, slices):
    net, x = dense(), inputs(10, 50)
    machine = chip(rows=25, mapping=mapping, adc=Adc())
    assert {s.columns for s in place(net, machine).sites} == {(0, 30 * slices)}
    counts = run(net, machine, x).counts
    assert counts.total("adc_conversion") == 10 * 2 * 30 * slices
    combined = 30 * (2 * slices - 1)  # codes of two row tiles and all slices into outputs
    assert counts.total("digital_accumulate") == 10 * (combined + 49 + 30)  # 50 drive steps into one, 30 subtractions


@pytest.mark.parametrize("mapping", [OffsetColumn("digital"), BitSliced(1, "offset"), BitSliced(3, "offset")], ids=str)
def test_a_digital_offset_leaves_out_arrays_that_do_not_exist(mapping):
    """Row tiles and column blocks of zero weights are not allocated; the others' offsets must still cancel."""
    net, x = dense(rows=60, columns=20), inputs(10, 60)
    weight = net.layers[0].weight.copy()
    weight[:12, :20] = 0
    weight[:, 40:] = 0
    net = net.replace(layers=(replace(net.layers[0], weight=weight),))
    machine = chip(rows=20, columns=12, mapping=mapping)
    assert len(place(net, machine).sites) < len(place(dense(rows=60, columns=20), machine).sites)
    np.testing.assert_array_equal(run(net, machine, x).outputs, run_integer(net, x))
    leaky = run(net, replace(machine, device=Ideal(g_min=5e-6)), x).outputs
    assert np.abs(leaky - run_integer(net, x)).max() <= 1.01 * net.grids["fc"].scale


def test_digital_offset_of_cells_that_all_drift_is_wrong_by_their_drift():
    """A reference column drifts along; a digital offset stays nominal, so outputs fall by the offset's lost share."""
    net = dense()
    aged = chip(device=HermesPcm(programming_noise=False, read_noise=False), seconds=1e5)
    column = held(engine_of(net, replace(aged, mapping=OffsetColumn())))
    digital = held(engine_of(net, replace(aged, mapping=OffsetColumn("digital"))))
    assert digital.mean() < column.mean() - 10


@each_mapping
def test_a_layer_without_weights_reads_nothing(mapping):
    net, x = prune(dense(), density=0.0), inputs(10, 50)
    machine = chip(mapping=mapping, adc=Adc(noise=1.0), compensation=ColumnAffine())
    assert place(net, machine).sites == ()
    result = run(net, machine, x)
    np.testing.assert_array_equal(result.outputs, run_integer(net, x))
    for kind in ("core_read_1phase", "adc_conversion", "dac_drive", "adc_clip", "digital_accumulate"):
        assert result.counts.total(kind) == 0


def test_every_tile_of_an_offset_column_has_a_reference():
    net, x = dense(), inputs(10, 50)
    machine = chip(rows=25, columns=16, mapping=OffsetColumn(), adc=Adc())
    sites = place(net, machine).sites
    assert [s.columns for s in sites] == [(0, 16), (0, 16), (16, 32), (16, 32)]  # 15 weights and a reference
    counts = run(net, machine, x).counts
    assert counts.total("adc_conversion") == 10 * 4 * 16
    assert counts.total("digital_accumulate") == 10 * (32 + 30)  # over row tiles, then one subtraction an output
    with pytest.raises(InputError, match=r"OffsetColumn: arrays have 1 column; .*use replace"):
        place(net, chip(columns=1, mapping=OffsetColumn()))


def test_each_slice_of_a_tile_has_a_range_of_its_own():
    net = dense()
    step = engine_of(net, chip(mapping=BitSliced(2), adc=Adc())).tables.step[0]
    assert [len(np.unique(step[30 * s : 30 * s + 30])) for s in range(4)] == [1] * 4
    assert len(np.unique(step)) == 4


@each_mapping
def test_compensation_repairs_aged_cells_in_every_mapping(mapping):
    """Less where a reference column ages with the others."""
    net, x = dense(), inputs(200, 50)
    reference = run_integer(net, x)
    aged = {"device": HermesPcm(), "seconds": 1e6, "mapping": mapping, "adc": Adc(bits=12)}
    before, after = (
        (run(net, chip(compensation=mode, **aged), x, trials=3).trial_outputs - reference).std()
        for mode in (NoCompensation(), ColumnAffine())
    )
    assert after < (0.9 if mapping.one_signed else 0.6) * before


@each_mapping
def test_same_bits_for_any_threads_and_batches(mapping):
    net, x = dense(), inputs(60, 50)
    noisy = chip(
        rows=20, columns=24, device=HermesPcm(), seconds=3600.0, mapping=mapping, compensation=ColumnGain(),
        adc=Adc(bits=8, noise=0.3, offset_spread=1.0),
    )  # fmt: skip
    whole = run(net, noisy, x, seed=2, threads=1).outputs
    np.testing.assert_array_equal(whole, run(net, noisy, x, seed=2, threads=2).outputs)
    np.testing.assert_array_equal(whole[:25], run(net, noisy, x[:25], seed=2).outputs)
    np.testing.assert_array_equal(run(net, ideal(noisy), x).outputs, run_integer(net, x))


def test_bad_settings():
    with pytest.raises(InputError, match="choose from 'one', 'two'"):
        DifferentialPair(sided="both")
    with pytest.raises(InputError, match="choose from 'pair', 'offset'"):
        BitSliced(2, signs="both")
    with pytest.raises(InputError, match="choose from 'column', 'digital'"):
        OffsetColumn(reference="both")
    with pytest.raises(InputError, match="1 to 8"):
        BitSliced(0)
    with pytest.raises(InputError, match="2 to 64"):
        Averaged(1)
    with pytest.raises(InputError, match="product of both"):
        Averaged(2, Averaged(2))
    with pytest.raises(InputError, match="choose from 'layer', 'column'"):
        OffsetColumn(scaling="row")
    for make in (lambda: BitSliced(2.0), lambda: Averaged(2, "pair"), lambda: chip(mapping="pair")):
        with pytest.raises(ArgumentTypeError):
            make()
