"""Layers of binary cells: the engine counts where that is exact, and gives what the general path gives."""

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from neuroemu import chips, prune, quantize, run, run_integer
from neuroemu.crossbar import (
    Adc,
    Amplitude,
    Averaged,
    BalancedRows,
    BitSerial,
    BitSliced,
    ColumnAffine,
    CrossbarChip,
    Dac,
    DifferentialPair,
    GivenRange,
    GivenRows,
    IdealAdc,
    IdealDac,
    OffsetColumn,
    Sar,
    building,
)
from neuroemu.devices import Generic, HermesPcm, Ideal, NormalNoise
from neuroemu.network import Conv2d, Dense, Flatten, relu, sequential

MAPPINGS = [BitSliced(1), BitSliced(1, "offset"), Averaged(2, BitSliced(1, "offset"))]
each_mapping = pytest.mark.parametrize("mapping", MAPPINGS, ids=str)


# Cells of one level are alike; those of high levels are noisier.
NOISY = Generic(g_min=2e-6, g_max=26e-6, read_noise=0.1)


def chip(**fields):
    given = {"name": "test", "costs": chips.HERMES.costs, "read_event": "core_read_1phase", "device": Ideal()}
    given |= {"dac": IdealDac(), "adc": IdealAdc(), "inputs": BitSerial(1), "mapping": BitSliced(1, "offset")}
    return CrossbarChip(**(given | fields))


def conv(seed=0, low=-1.0, groups=1, bits=8):
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
    return quantize(net, weight_bits=bits, samples=random.uniform(low, 1, (32, 4, 6, 6)))


def dense(rows=40, columns=12, seed=0, bits=8):
    random = np.random.default_rng(seed)
    net = sequential([Dense(name="fc", weight=random.normal(0, 0.3, (columns, rows)))], input_shape=(rows,))
    return quantize(net, weight_bits=bits, samples=random.uniform(0, 1, (64, rows)))


def inputs(*shape, seed=1, low=-1.0):
    return np.random.default_rng(seed).uniform(low, 1, shape).astype(np.float32)


def engine_of(net, machine):
    sampled = machine.sampled_rows(net).get(net.layers[0].name)
    key = {"seed": 0, "trial": 0, "threads": 1}
    return building.build_engine(machine, net, net.layers[0], index=0, sampled=sampled, **key)


def counts_cells(net, machine) -> bool:
    return engine_of(net, machine).counted is not None


@contextmanager
def no_folding():
    """Lossless layers without noise otherwise take one product in place of planes and slices."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(building, "with_folded_reads", lambda engine, *_: engine)
        yield patch


def both_paths(call):
    """What `call` gives by counting, and by the general kernel."""
    with no_folding() as patch:
        counted = call()
        patch.setattr(building, "with_counted_reads", lambda engine, *_: engine)
        return counted, call()


def test_counting_is_taken_where_it_is_exact():
    net = dense()
    for machine in (
        chip(adc=Adc()),
        chip(adc=Adc(), mapping=BitSliced(1)),
        chip(adc=Adc(), mapping=Averaged(3, BitSliced(1))),
        chip(adc=Adc(noise=0.5, offset_spread=0.4, gain_spread=0.01)),
        chip(adc=Adc(), dac=Dac(bits=5)),
        chip(device=NOISY),
        chip(adc=Adc(), device=Generic(drift_exponent=0.05), seconds=1e4),
        chip(adc=Adc(), inputs=BitSerial(1, signs="phases")),
        chip(adc=Adc(), row_order=BalancedRows(), rows=13),
    ):
        assert counts_cells(net, machine), machine
    ternary = chip(adc=Adc(), mapping=DifferentialPair())  # three weights, held by one pair
    assert counts_cells(dense(bits=2), ternary)


def test_the_general_path_is_taken_elsewhere():
    net = dense()
    for fields in (
        {"mapping": BitSliced(2)},
        {"mapping": DifferentialPair()},
        {"mapping": OffsetColumn("digital")},
        {"mapping": OffsetColumn()},
        {"inputs": BitSerial(2)},
        {"inputs": Amplitude()},
        {"adc": Adc(kind=Sar(0.01))},
        {"dac": Dac(noise=0.1)},
        {"arithmetic": "float64"},
        {"device": HermesPcm(read_noise=False)},
        {"device": HermesPcm(programming_noise=False, drift=False)},  # frozen and slow shares
        {"device": replace(NOISY, noise=NormalNoise(1e-7))},
        {"device": Generic(drift_exponent=0.05, drift_spread=0.01), "seconds": 1e4},
    ):
        assert not counts_cells(net, chip(**({"adc": Adc()} | fields))), fields
    assert not counts_cells(net, chip())  # one product is faster still


@each_mapping
@settings(max_examples=15, deadline=None)
@given(
    rows=st.integers(1, 40), columns=st.integers(1, 60), groups=st.sampled_from([1, 2]), seed=st.integers(0, 50),
    bits=st.sampled_from([2, 4, 8]), signs=st.sampled_from(["polarity", "phases"]), low=st.sampled_from([-1.0, 0.0]),
)  # fmt: skip
def test_ideal_parts_equal_the_integer_reference(mapping, rows, columns, groups, bits, seed, signs, low):
    net, x = conv(seed, low, groups, bits), inputs(4, 4, 6, 6, seed=seed, low=low)
    machine = chip(rows=rows, columns=columns, mapping=mapping, inputs=BitSerial(1, signs=signs))
    with no_folding():
        assert counts_cells(net, machine)
        np.testing.assert_array_equal(run(net, machine, x, threads=1).outputs, run_integer(net, x))


converters = {
    "ideal": {},
    "ADC": {"adc": Adc(bits=5)},
    "DAC": {"dac": Dac(bits=5), "adc": Adc(bits=5)},
    "static errors": {"adc": Adc(bits=5, offset_spread=2.0, gain_spread=0.02)},
    "compensated": {"adc": Adc(bits=5, offset_spread=1.0), "compensation": ColumnAffine()},
    "phases": {"adc": Adc(bits=5, offset_spread=1.0), "inputs": BitSerial(1, signs="phases")},
}


@each_mapping
@pytest.mark.parametrize("fields", converters.values(), ids=converters)
def test_both_paths_give_the_same_outputs_and_counts(mapping, fields):
    """In several row tiles, some without cells, so that arrays are counted by row tile."""
    net, x = conv(), inputs(30, 4, 6, 6)
    weight = net.layers[0].weight.copy()
    weight[:, :2] = 0
    net = net.replace(layers=(replace(net.layers[0], weight=weight), *net.layers[1:]))
    machine = chip(rows=10, columns=20, mapping=mapping, **fields)
    counted, general = both_paths(lambda: run(net, machine, x))
    np.testing.assert_array_equal(counted.outputs, general.outputs)
    assert counted.counts == general.counts
    assert fields.get("adc") is None or counted.counts.total("adc_clip") > 0


@each_mapping
@pytest.mark.parametrize("row_order", [GivenRows(), BalancedRows()], ids=str)
def test_both_paths_agree_on_groups_and_dealt_rows(mapping, row_order):
    """Groups with tiles of their own put columns out of order; rows that pad tiles are not built."""
    net, x = conv(groups=2), inputs(30, 4, 6, 6)
    machine = chip(rows=11, columns=20, mapping=mapping, adc=Adc(bits=5, offset_spread=1.0), row_order=row_order)
    assert engine_of(net, machine).counted.columns is not None
    counted, general = both_paths(lambda: run(net, machine, x))
    np.testing.assert_array_equal(counted.outputs, general.outputs)
    assert counted.counts == general.counts


@each_mapping
def test_levels_that_are_no_whole_numbers_agree_within_rounding(mapping):
    """Cells of a g_min that is not zero: sums of float32 levels on one side, one product on the other."""
    net, x = dense(), inputs(20, 1, 40, low=0.0)
    drive = np.rint(x * 255).astype(np.float32)
    machine = chip(rows=16, mapping=mapping, device=replace(NOISY, read_noise=0.0))
    counted, general = both_paths(lambda: engine_of(net, machine).read(drive, 0))
    np.testing.assert_allclose(counted, general, atol=1e-6 * np.abs(general).max())


@each_mapping
@pytest.mark.parametrize("adc", [IdealAdc(), Adc(bits=5, noise=0.3)], ids=["no ADC", "ADC"])
def test_both_paths_have_one_distribution_with_noise(mapping, adc):
    """And, without an ADC, the variance that the devices add up to in theory."""
    net, reads = dense(rows=30, columns=5), 1500
    row = np.random.default_rng(3).integers(0, 256, 30)
    machine = chip(rows=16, mapping=mapping, device=NOISY, adc=adc)
    x = np.tile(row.astype(np.float32), (reads, 1, 1))
    counted, general = both_paths(lambda: engine_of(net, machine).read(x, 0)[:, 0])
    error = np.sqrt((counted.var(axis=0) + general.var(axis=0)) / reads)
    assert np.abs((counted.mean(axis=0) - general.mean(axis=0)) / error).max() < 4
    assert np.abs(np.log(counted.var(axis=0) / general.var(axis=0))).max() < 4 * np.sqrt(4 / reads)
    assert min(stats.ks_2samp(a, b).pvalue for a, b in zip(counted.T, general.T, strict=True)) > 1e-3
    if isinstance(adc, Adc):
        return
    layout = machine.layout(net.layers[0])
    targets = [t for t in mapping.targets(layout.levels, 1, machine.device) if t is not None]
    cells = sum((0.1 * t / 24e-6) ** 2 for t in targets) / mapping.copies  # relative to the step of a level
    planes = (row[None] >> np.arange(8)[:, None] & 1) * 4.0 ** np.arange(8)[:, None]
    columns = planes.sum(axis=0) @ cells
    expected = (columns.reshape(len(layout.factors), -1) * layout.factors[:, None] ** 2).sum(axis=0)
    np.testing.assert_allclose(counted.var(axis=0) / expected, 1, atol=4 * np.sqrt(2 / reads))


def test_planes_phases_and_positions_draw_their_own_noise():
    net = dense(rows=20, columns=6)
    engine = engine_of(net, chip(device=NOISY, inputs=BitSerial(1, signs="phases"), mapping=BitSliced(1)))
    engine = replace(engine, inputs=BitSerial(1, signs="phases"), planes=2 * engine.planes)
    x = np.full((3, 4, 20), 5, np.float32)
    noise = engine.read(x, 0) - engine.read(np.abs(x), 0).mean(axis=(0, 1))
    assert len(np.unique(noise)) == noise.size
    both = engine.read(x, 0) + engine.read(-x, 0)  # the same sums in the other phase
    assert (both != 0).all()


@each_mapping
def test_same_bits_for_any_threads_and_batches(mapping):
    net, x = conv(), inputs(40, 4, 6, 6)
    noisy = chip(rows=10, columns=20, mapping=mapping, device=NOISY, adc=Adc(bits=6, noise=0.3, offset_spread=1.0))
    whole = run(net, noisy, x, seed=2, threads=1)
    assert counts_cells(net, noisy)
    np.testing.assert_array_equal(whole.outputs, run(net, noisy, x, seed=2, threads=2).outputs)
    np.testing.assert_array_equal(whole.outputs[:15], run(net, noisy, x[:15], seed=2).outputs)
    assert (whole.outputs != run(net, noisy, x, seed=3).outputs).any()


def test_a_layer_without_weights_reads_nothing():
    net, x = prune(dense(), density=0.0), inputs(10, 40, low=0.0)
    result = run(net, chip(adc=Adc(noise=1.0, range=GivenRange(1e-5))), x)
    np.testing.assert_array_equal(result.outputs, run_integer(net, x))
    for kind in ("core_read_1phase", "adc_conversion", "dac_drive", "adc_clip", "digital_accumulate"):
        assert result.counts.total(kind) == 0
