"""Programmed chips: written once, read at any time, saved and loaded without loss; reference columns, batch norm."""

import zipfile
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroemu import chips, compare, quantize, run, run_integer
from neuroemu.crossbar import (
    Adc,
    BatchNorm,
    BitSliced,
    ColumnAffine,
    ColumnGain,
    CrossbarChip,
    Dac,
    IdealAdc,
    IdealDac,
    NoCompensation,
    OffsetColumn,
    ReferenceColumns,
    TileGain,
    load_programmed,
    program,
)
from neuroemu.devices import Cells, Device, Faulty, Generic, HermesPcm, Ideal, Pcm, ReadShares
from neuroemu.energy import CostTable
from neuroemu.errors import FileFormatError, InputError, NeuroemuError, PlacementError
from neuroemu.network import Conv2d, Dense, Flatten, relu, sequential

FREE = CostTable(free={k: "test" for k in ("core_read", "dac_drive", "adc_conversion", "adc_clip", "digital_accumulate",
                                           "activation_op")})  # fmt: skip


def made_network(seed=0):
    rng = np.random.default_rng(seed)
    net = sequential(
        [
            Conv2d(name="conv", weight=rng.normal(0, 0.3, (8, 3, 3, 3)).astype(np.float32), padding=((1, 1), (1, 1))),
            relu(name="r"),
            Flatten(name="f"),
            Dense(name="fc", weight=rng.normal(0, 0.1, (10, 8 * 36)).astype(np.float32)),
        ],
        input_shape=(3, 6, 6),
    )
    return quantize(net, samples=inputs(40, seed=9))


def inputs(n, seed=1):
    return np.random.default_rng(seed).normal(0, 1, (n, 3, 6, 6)).astype(np.float32)


NET = made_network()
X = inputs(12)


def chip(**fields):
    wanted = {"device": HermesPcm(), "rows": 100, "columns": 12, "seconds": 3600.0, "compensation": ColumnAffine()}
    return CrossbarChip(name="test", costs=FREE, **wanted | fields)


def test_a_programmed_chip_reads_as_the_chip_that_run_programs():
    machine = chip()
    whole = run(NET, machine, X, seed=4, trials=2).trial_outputs
    np.testing.assert_array_equal(run(NET, program(NET, machine, seed=4), X, seed=4).outputs, whole[0])
    # The second chip has other cells; its read noise, keyed by the run, is that of the first.
    second = program(NET, chip(device=HermesPcm(read_noise=False)), seed=4, trial=1)
    quiet = run(NET, chip(device=HermesPcm(read_noise=False)), X, seed=4, trials=2).trial_outputs
    np.testing.assert_array_equal(run(NET, second, X, seed=4).outputs, quiet[1])


def test_time_is_absolute_and_cells_stay():
    made = program(NET, chip(seconds=0.0), seed=1)
    later = made.at(10.0).at(1e6)
    np.testing.assert_array_equal(run(NET, later, X, seed=1).outputs, run(NET, chip(seconds=1e6), X, seed=1).outputs)
    assert later.cells is made.cells


def test_it_is_a_chip_like_others():
    made = program(NET, chip(), seed=0)
    labels = np.arange(12) % 10
    results = [run(NET, made.at(t), X, labels=labels) for t in (0.0, 1e7)]
    assert "test" in str(compare(results))
    with pytest.raises(InputError, match="trials=1"):
        run(NET, made, X, trials=2)
    with pytest.raises(PlacementError, match="not the one in its cells"):
        run(made_network(seed=3), made, X)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"device": Faulty(Pcm(), stuck_on=0.02, open_rows=0.05)},
        {"device": Faulty(Pcm(), stuck_on=0.02, shorted_rows=0.1, shorted_columns=0.1, spare_rows=2, spare_columns=2)},
        {"mapping": OffsetColumn(), "adc": Adc(bits=7, offset_spread=1.0, gain_spread=0.05)},
        {"mapping": BitSliced(2), "compensation": ReferenceColumns(2)},
        {"compensation": BatchNorm()},
    ],
)
@pytest.mark.parametrize("keep", [False, True])
def test_saved_and_loaded_without_loss(tmp_path, fields, keep):
    machine = chip(**fields)
    made = program(NET, machine, seed=5)
    made = made.calibrated(seed=8) if keep else made
    made.save(tmp_path / "chip.npz")
    back = load_programmed(tmp_path / "chip.npz", NET, machine)
    for layer, tiles in made.cells.items():
        for old, new in zip(tiles, back.cells[layer], strict=True):
            assert old.tile == new.tile
            for part in ("cells", "reference"):
                one, other = getattr(old, part), getattr(new, part)
                assert (one is None) == (other is None)
                if one is not None:
                    np.testing.assert_array_equal(one.conductance, other.conductance)
                    np.testing.assert_array_equal(one.drift_exponent, other.drift_exponent)
                    assert one.state.keys() == other.state.keys()
    for t in (0.0, 1e5):
        one, other = (run(NET, m.at(t), X, seed=2).outputs for m in (made, back))
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("mapping", [OffsetColumn("digital"), BitSliced(1, "offset")])
def test_a_kept_calibration_knows_the_offset_of_empty_columns(mapping):
    """A column without current in all samples has no gain; what zero weights would add is subtracted all the same."""
    small = chip(mapping=mapping, device=Pcm(), rows=5, columns=4, adc=IdealAdc(), compensation=ColumnGain())
    made = program(NET, small, seed=3)
    fresh = run(NET, made, X, seed=3).outputs
    np.testing.assert_array_equal(run(NET, made.calibrated(seed=3), X, seed=3).outputs, fresh)


def test_a_kept_calibration_does_not_follow_the_time():
    made = program(NET, chip(seconds=1.0, device=HermesPcm(read_noise=False)), seed=0)
    kept, late = made.calibrated().at(3e7), made.at(3e7)
    exact = run_integer(NET, X)
    stale, fresh = (np.abs(run(NET, m, X).outputs - exact).mean() for m in (kept, late))
    assert stale > 1.5 * fresh
    np.testing.assert_array_equal(run(NET, made.calibrated(), X).outputs, run(NET, made, X).outputs)


def test_the_given_chip_decides_and_must_agree(tmp_path):
    made = program(NET, chip(), seed=5)
    made.save(tmp_path / "chip.npz")
    coarse = chip(adc=Adc(bits=5), seconds=10.0)
    loaded = load_programmed(tmp_path / "chip.npz", NET, coarse)
    assert loaded.chip == coarse
    np.testing.assert_array_equal(run(NET, loaded, X).outputs, run(NET, program(NET, coarse, seed=5), X).outputs)
    np.testing.assert_array_equal(run(NET, made.read_by(coarse), X).outputs, run(NET, loaded, X).outputs)
    for other in (chip(device=HermesPcm(devices=1)), chip(rows=99), chip(mapping=OffsetColumn())):
        with pytest.raises(InputError, match=r"the file has .*the chip"):
            load_programmed(tmp_path / "chip.npz", NET, other)
        with pytest.raises(InputError, match="these cells have"):
            made.read_by(other)
    with pytest.raises(InputError, match="other weights"):
        load_programmed(tmp_path / "chip.npz", made_network(seed=3), chip())
    with pytest.raises(InputError, match="must end in"):
        made.save(tmp_path / "chip.bin")
    with pytest.raises(FileFormatError, match="cannot be read"):
        load_programmed(tmp_path / "no.npz", NET, chip())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["chip.npz"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("chips") / "chip.npz"
    program(NET, chip(), seed=5).calibrated().save(path)
    return path


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_damaged_files_are_refused_or_read(saved, tmp_path_factory, data):
    content = bytearray(saved.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(len(content) // 2, len(content)))
    path = tmp_path_factory.mktemp("damaged") / "chip.npz"
    path.write_bytes(bytes(content[:cut]))
    try:
        load_programmed(path, NET, chip())
    except NeuroemuError as error:
        assert str(error)


def test_negative_or_missing_cells_are_refused(saved, tmp_path):
    def rewritten(change):
        with zipfile.ZipFile(saved) as old, zipfile.ZipFile(tmp_path / "new.npz", "w") as new:
            for member in old.namelist():
                content = old.read(member)
                new.writestr(member, change(content) if member == "0.0.cells.conductance.npy" else content)
        return tmp_path / "new.npz"

    minus_one = np.float64(-1.0).tobytes()
    with pytest.raises(FileFormatError, match="negative"):
        load_programmed(rewritten(lambda c: c[:-8] + minus_one), NET, chip())
    with pytest.raises(FileFormatError, match="needs"):
        load_programmed(rewritten(lambda c: c[:-8]), NET, chip())


@dataclass(frozen=True)
class EvenDrift(Device):
    """Every cell loses the same share of its conductance, without any noise."""

    g_min: float = 0.0
    g_max: float = 1e-5
    floor: float = 0.0

    def program(self, target, generator):
        return Cells(np.asarray(target, np.float64))

    def conductance(self, cells, seconds):
        return cells.conductance * (1 + seconds) ** -0.05

    def read_sigma(self, cells, seconds):
        return np.zeros_like(cells.conductance)

    def read_shares(self, seconds, *, image_seconds, session_seconds, cells=None):
        return ReadShares(1.0, 0.0, 0.0)


@pytest.mark.parametrize("columns", [1, 3])
def test_reference_columns_undo_even_drift(columns):
    machine = chip(
        device=EvenDrift(), dac=IdealDac(), adc=IdealAdc(), seconds=1e6, compensation=ReferenceColumns(columns)
    )
    np.testing.assert_array_equal(run(NET, machine, X).outputs, run_integer(NET, X))
    assert np.abs(run(NET, replace(machine, compensation=NoCompensation()), X).outputs - run_integer(NET, X)).max() > 0
    widths = {site.columns[1] - site.columns[0] for site in machine.place(NET)}
    assert max(widths) <= 12 - columns


def test_reference_columns_help_real_drift_without_samples():
    bare = replace(NET, samples=None)
    aged = chip(device=Pcm(), dac=Dac(), adc=IdealAdc(), seconds=1e7, compensation=NoCompensation())
    exact = run_integer(NET, X)
    plain, helped = (
        np.abs(run(bare, replace(aged, compensation=c), X, trials=3).trial_outputs - exact).mean()
        for c in (NoCompensation(), ReferenceColumns())
    )
    assert helped < 0.6 * plain
    with pytest.raises(InputError, match="leaves no column"):
        chip(columns=2, compensation=ReferenceColumns(2))


def test_batch_norm_restores_mean_and_spread_of_every_channel():
    aged = chip(device=Pcm(), adc=IdealAdc(), seconds=1e7, compensation=NoCompensation())
    exact = run_integer(NET, X)
    plain, repaired = (
        np.abs(run(NET, replace(aged, compensation=c), X, trials=3).trial_outputs - exact).mean()
        for c in (NoCompensation(), BatchNorm())
    )
    assert repaired < 0.5 * plain
    perfect = chip(device=Ideal(), dac=IdealDac(), adc=IdealAdc(), compensation=BatchNorm())
    np.testing.assert_array_equal(run(NET, perfect, X).outputs, exact)


def test_batch_norm_statistics_come_from_samples_alone():
    made = program(NET, chip(compensation=BatchNorm(), device=HermesPcm(read_noise=False)), seed=3)
    one, other = (run(NET, made, x).outputs for x in (X, np.concatenate([X, 30 * inputs(50, seed=7)])))
    np.testing.assert_array_equal(one, other[: len(X)])


def test_hermes_can_be_programmed_and_kept(tmp_path):
    made = program(NET, chips.HERMES, seed=2)
    made.save(tmp_path / "hermes.npz")
    loaded = load_programmed(tmp_path / "hermes.npz", NET, chips.HERMES)
    np.testing.assert_array_equal(run(NET, loaded, X).outputs, run(NET, made, X).outputs)
    assert run(NET, loaded, X).energy.total == run(NET, chips.HERMES, X).energy.total > 0


@pytest.mark.parametrize("rule", [TileGain(), ColumnGain(), ColumnAffine(), BatchNorm()])
def test_columns_that_no_sample_drives_keep_their_gain(rule):
    """Their reads are noise alone: the best gain for it would be 0."""
    weight = np.zeros((4, 6), np.float32)
    weight[:, :3] = np.random.default_rng(3).uniform(0.5, 1.0, (4, 3))
    weight[0] = [0, 0, 0, 1, 1, 1]
    samples = np.zeros((30, 6), np.float32)
    samples[:, :3] = np.random.default_rng(4).normal(0, 1, (30, 3))
    samples[:, 3:] = 0.0
    net = sequential([Dense(name="fc", weight=weight)], input_shape=(6,))
    net = quantize(net, samples=np.concatenate([samples, np.ones((1, 6), np.float32)]))
    net = replace(net, samples=samples)
    noisy = chip(device=Generic(g_min=1e-6, read_noise=1e-4), dac=IdealDac(), adc=IdealAdc(), compensation=rule)
    x = np.ones((2, 6), np.float32)
    exact = run_integer(net, x)
    np.testing.assert_allclose(run(net, noisy, x).outputs, exact, atol=0.01 * np.abs(exact).max())
