"""Faults: their shares, their clusters and lines, and that nothing moves a faulty cell."""

from dataclasses import replace

import numpy as np
import pytest

import neuroemu as ne
from neuroemu import chips, datasets
from neuroemu.crossbar import Averaged, DifferentialPair, OffsetColumn
from neuroemu.crossbar.mapping import Tile
from neuroemu.crossbar.programming import program
from neuroemu.devices import (
    Endurance,
    Generic,
    HermesPcm,
    Ideal,
    MeasuredTable,
    NormalNoise,
    Pcm,
    RramCmo,
    RramMilo2021,
    RramWan2022,
    Sonos,
    UpdateTable,
    WhiteNoise,
    WithReadNoise,
)
from neuroemu.devices.fault_maps import Fault, fault_map
from neuroemu.devices.faults import Faulty
from neuroemu.devices.verified import WriteVerified
from neuroemu.errors import ArgumentTypeError, InputError

YEAR = 365.25 * 86_400.0
SHAPE = (400, 500)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_shares_are_binomial():
    shares = {"stuck_on": 0.02, "stuck_off": 0.05, "stuck_at": ((0.01, 5e-6), (0.1, 9e-6))}
    codes = fault_map(SHAPE, rng(), **shares)
    n = codes.size
    expected = {Fault.ON: 0.02, Fault.OFF: 0.05, Fault.AT: 0.01, Fault.AT + 1: 0.1, Fault.SOUND: 0.82, Fault.OPEN: 0}
    for code, share in expected.items():
        assert np.count_nonzero(codes == code) == pytest.approx(n * share, abs=4 * np.sqrt(n * share * (1 - share)))
    assert codes.dtype == np.int8 and codes.shape == SHAPE


def test_counts_vary_as_binomial_counts_do():
    counts = [np.count_nonzero(fault_map((40, 50), rng(seed), stuck_on=0.1)) for seed in range(2000)]
    assert np.var(counts) == pytest.approx(2000 * 0.1 * 0.9, rel=4 * np.sqrt(2 / 2000))


def test_lines_are_open_as_a_whole():
    codes = fault_map((2000, 1500), rng(1), stuck_on=0.3, open_rows=0.1, open_columns=0.04)
    opened = codes == Fault.OPEN
    rows, columns = opened.all(axis=1), opened.all(axis=0)
    np.testing.assert_array_equal(opened, rows[:, None] | columns[None, :])
    assert rows.sum() == pytest.approx(200, abs=4 * np.sqrt(2000 * 0.1 * 0.9))
    assert columns.sum() == pytest.approx(60, abs=4 * np.sqrt(1500 * 0.04 * 0.96))
    assert np.mean(codes[~opened] == Fault.ON) == pytest.approx(0.3, abs=0.002)


def test_polarities_share_their_rows_and_not_their_columns():
    codes = fault_map((2, 3, 1000, 800), rng(1), stuck_on=0.05, open_rows=0.1, open_columns=0.1)
    opened = codes == Fault.OPEN
    rows, columns = opened.all(axis=(0, 1, 3)), opened.all(axis=2)
    np.testing.assert_array_equal(opened, rows[:, None] | columns[:, :, None, :])
    np.testing.assert_array_equal(columns[:, 0], columns[:, 2])  # devices in parallel hang on one bit line
    assert rows.sum() == pytest.approx(100, abs=4 * np.sqrt(1000 * 0.1 * 0.9))
    assert np.mean(columns[0, 0] & columns[1, 0]) == pytest.approx(0.01, abs=0.014)  # drawn apart
    assert np.mean(codes[0] == codes[1]) < 0.99


def test_clusters_fill_each_array():
    codes = fault_map((2, 300, 300), rng(2), stuck_off=0.1, cluster_size=9.0) == Fault.OFF
    np.testing.assert_allclose(codes.mean(axis=(1, 2)), 0.1, atol=0.02)
    assert np.mean(codes[0] & codes[1]) == pytest.approx(0.01, abs=0.005)


@pytest.mark.parametrize("size", [2.0, 9.0, 30.0])
def test_clusters_keep_the_share_everywhere(size):
    """Each cell is stuck with the same probability, at corners too; and each kind has its own."""
    trials, shape = 4000, (12, 8)
    total, on = np.zeros(shape), 0
    generator = rng(2)
    for _ in range(trials):
        codes = fault_map(shape, generator, stuck_on=0.06, stuck_off=0.14, cluster_size=size)
        total += codes != Fault.SOUND
        on += np.mean(codes == Fault.ON)
    error = np.sqrt(0.2 * 0.8 / trials)
    np.testing.assert_allclose(total / trials, 0.2, atol=4.5 * error)
    assert on / trials == pytest.approx(0.06, abs=0.005)


def test_clusters_have_the_size_asked_for():
    """Two neighbours are both sound with probability (1 - share)^(1 + 1 / sqrt(size)).

    A rectangle that covers a cell goes on to the next one with probability 1 - 1 / m, its sides being geometric of mean
    m = sqrt(size); so the rectangles that hit either cell are 1 + 1 / m times those that hit one.
    """
    share, size, shape = 0.1, 16.0, (1500, 1500)
    codes = fault_map(shape, rng(3), stuck_off=share, cluster_size=size)
    for sound in (codes == Fault.SOUND, (codes == Fault.SOUND).T):
        both = np.mean(sound[:, 1:] & sound[:, :-1])
        assert both == pytest.approx((1 - share) ** (1 + 1 / np.sqrt(size)), abs=0.002)
    alone = fault_map(shape, rng(3), stuck_off=share) == Fault.SOUND
    assert np.mean(alone[:, 1:] & alone[:, :-1]) == pytest.approx(0.81, abs=0.002)


def test_more_faults_contain_the_fewer():
    few, many = (fault_map(SHAPE, rng(4), stuck_off=share) for share in (0.01, 0.1))
    assert (many[few == Fault.OFF] == Fault.OFF).all() and np.count_nonzero(few) < np.count_nonzero(many)


LEVELS = np.array([1e-6, 11e-6, 21e-6])
STEPS = UpdateTable(LEVELS, np.array([0.0, 1.0]), np.array([[0.0] * 3, [0.8e-6] * 3]))
BACK = UpdateTable(LEVELS, np.array([0.0, 1.0]), np.array([[-0.8e-6] * 3, [0.0] * 3]))
DEVICES = [
    Ideal(), Pcm(), HermesPcm(), RramMilo2021(), Generic(read_noise=0.1, drift_exponent=0.05),
    MeasuredTable(STEPS, BACK, tolerance=0.02, read_noise=0.1e-6), WithReadNoise(Pcm(), (WhiteNoise(1e-6),)),
    WriteVerified(Pcm(), 0.3e-6), RramCmo(), RramWan2022(), Sonos(),
]  # fmt: skip


@pytest.mark.parametrize("device", DEVICES, ids=lambda device: type(device).__name__)
def test_nothing_moves_a_faulty_cell(device):
    long = {RramWan2022: 2 * 86_400.0, Sonos: 5 * 86_400.0}.get(type(device), YEAR)  # the end of their measurements
    value = 0.4 * device.g_max
    faulty = Faulty(device, stuck_on=0.1, stuck_off=0.1, stuck_at=((0.1, value),), open_rows=0.1)
    middle = (device.g_min + device.g_max) / 2
    cells = faulty.program(np.full((60, 70), middle), rng(5))
    codes = cells.state["fault"]
    held = {Fault.ON: device.g_max, Fault.OFF: device.g_min, Fault.AT: value, Fault.OPEN: 0.0}
    for seconds in (0.0, 60.0, long):
        now, sigma = faulty.conductance(cells, seconds), faulty.read_sigma(cells, seconds)
        for code, expected in held.items():
            assert (codes == code).any() and (now[codes == code] == expected).all()
            assert not sigma[codes == code].any()
        sound = codes == Fault.SOUND
        # Sound cells are the device's own.
        own = device.program(np.full((60, 70), middle), rng(5))
        np.testing.assert_array_equal(now[sound], device.conductance(own, seconds)[sound])
        np.testing.assert_array_equal(sigma[sound], device.read_sigma(own, seconds)[sound])


def test_no_faults_are_no_change_and_the_share_does_not_touch_the_programming():
    targets = np.linspace(0, 20e-6, 300)
    own = Pcm().program(targets, rng(6)).conductance
    for share in (0.0, 0.2):
        generator = rng(6)
        cells = Faulty(Pcm(), stuck_on=share).program(targets, generator)
        sound = cells.state["fault"] == Fault.SOUND
        assert sound.all() == (share == 0)
        np.testing.assert_array_equal(cells.conductance[sound], own[sound])
        assert generator.random() == next_after(targets)  # the next array draws the same


def next_after(targets):
    generator = rng(6)
    Pcm().program(targets, generator)
    return generator.random()


def test_a_chip_keeps_its_faults_when_it_is_programmed_again():
    """Write-verify draws another number of pulses for other weights; the faults of a tile stay."""
    noisy = Generic(noise=NormalNoise(1e-6))
    device = Endurance(WriteVerified(noisy, 0.5e-6), 1e6, 1.5, 1e6, stuck_on=1.0)
    device = Faulty(device, stuck_on=0.1, open_columns=0.05, spare_columns=2)
    tile = Tile(slice(0, 40), slice(0, 30), 0)
    codes, worn = [], []
    for seed, trial in ((0, 0), (0, 0), (1, 0), (0, 1)):
        levels = rng(len(codes)).integers(-127, 128, (40, 30)).astype(np.float32)
        (held,) = program(levels, [tile], 127, device, mapping=DifferentialPair(), seed=seed, trial=trial, layer=0)
        codes.append(held.cells.state["fault"])
        worn.append(held.cells.state["worn"])
    for found in (codes, worn):
        np.testing.assert_array_equal(found[0], found[1])
        assert not np.array_equal(found[0], found[2]) and not np.array_equal(found[0], found[3])


def test_same_seed_same_faults_and_pairs_differ():
    faulty = Faulty(Pcm(), stuck_on=0.2, open_columns=0.1, cluster_size=4.0)
    generator = rng(7)
    plus, minus = (faulty.program(np.zeros((30, 30)), generator) for _ in range(2))
    again = faulty.program(np.zeros((30, 30)), rng(7))
    np.testing.assert_array_equal(plus.state["fault"], again.state["fault"])
    np.testing.assert_array_equal(plus.conductance, again.conductance)
    assert not np.array_equal(plus.state["fault"], minus.state["fault"])


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"stuck_on": -0.1}, "stuck_on is -0.1"),
        ({"stuck_off": 1.1}, "stuck_off is 1.1"),
        ({"stuck_on": float("nan")}, "stuck_on"),
        ({"stuck_on": 0.6, "stuck_off": 0.5}, "sum to 1.1"),
        ({"stuck_on": 0.6, "stuck_at": ((0.5, 1e-6),)}, "sum to 1.1"),
        ({"stuck_at": ((2.0, 1e-6),)}, r"stuck_at\[0\] share"),
        ({"stuck_at": ((0.1, -1e-6),)}, r"stuck_at\[0\] siemens"),
        ({"stuck_at": ((0.0, 0.0),) * 101}, "101 values"),
        ({"open_rows": 1.5}, "open_rows"),
        ({"open_columns": -1}, "open_columns"),
        ({"cluster_size": 0.5}, "cluster_size"),
        ({"stuck_on": 1.0, "cluster_size": 4.0}, "no clusters fill"),
    ],
)
def test_bad_shares_are_refused_in_one_line(settings, said):
    for call, who in (
        (lambda **s: Faulty(Pcm(), **s), "Faulty"),
        (lambda **s: fault_map((4, 4), rng(), **s), "fault_map"),
    ):
        with pytest.raises(InputError, match=said) as caught:
            call(**settings)
        assert "\n" not in str(caught.value) and str(caught.value).startswith(who)


def test_bad_devices_shapes_and_cells_are_refused():
    with pytest.raises(ArgumentTypeError, match="device must be a Device"):
        Faulty("pcm")
    with pytest.raises(InputError, match="has faults already"):
        Faulty(Faulty(Pcm()))
    for bad in ((0.1, 1e-6), [(0.1, 1e-6)], ((0.1,),)):
        with pytest.raises(ArgumentTypeError, match="stuck_at"):
            Faulty(Pcm(), stuck_at=bad)
    for lines in ({"open_rows": 0.1}, {"open_columns": 0.1}, {"stuck_on": 0.1, "cluster_size": 2.0}):
        with pytest.raises(InputError, match=r"R, C\)"):
            Faulty(Pcm(), **lines).program(np.zeros(5), rng())
    with pytest.raises(InputError, match="program them with this Faulty"):
        Faulty(Pcm()).conductance(Pcm().program(np.zeros(5), rng()), 1.0)


def test_extreme_shares():
    assert (fault_map((9,), rng(), stuck_on=1.0) == Fault.ON).all()
    assert (fault_map((9, 9), rng(), open_rows=1.0) == Fault.OPEN).all()
    assert not fault_map((9, 9), rng(), cluster_size=5.0).any()
    assert fault_map((), rng(), stuck_off=1.0) == Fault.OFF
    assert Faulty(Pcm(), stuck_on=1.0).program(np.array(1e-6), rng()).conductance == 25e-6


def test_accuracy_falls_with_the_share_of_stuck_cells():
    plain = datasets.mnist_network()
    network = ne.quantize(plain, samples=plain.samples)
    x, y = datasets.mnist_test(200)

    def accuracy(**faults):
        chip = replace(chips.HERMES, device=Faulty(Generic(noise=NormalNoise(0.5e-6)), **faults))
        return ne.run(network, chip, x, labels=y, trials=4).accuracy

    none, some, many = (accuracy(stuck_on=share) for share in (0.0, 0.01, 0.1))
    assert none > some > many
    assert none > 0.97 and many < 0.7
    assert accuracy(open_rows=0.5) < 0.9


def test_a_row_broken_in_a_crossbar_is_broken_in_both_polarities():
    levels = rng(1).integers(-127, 128, (60, 40)).astype(np.float32)
    tile = Tile(slice(0, 60), slice(0, 40), 0)
    faulty = Faulty(Ideal(), open_rows=0.2, open_columns=0.1)
    for mapping, polarities in ((DifferentialPair(), 2), (Averaged(3), 2), (OffsetColumn(), 1)):
        levels = np.abs(levels) if polarities == 1 else levels
        (held,) = program(levels, [tile], 127, faulty, mapping=mapping, seed=0, trial=0, layer=0)
        codes = held.cells.state["fault"]
        assert len(codes) == polarities and codes.shape[-2:] == (60, 40)
        open_rows = (codes == Fault.OPEN).reshape(-1, 60, 40).all(axis=(0, 2))
        assert 0 < open_rows.sum() < 60
        assert not held.cells.conductance[..., open_rows, :].any() and (held.minus is None) == (polarities == 1)
        np.testing.assert_array_equal(held.plus.state["fault"], codes[0])
