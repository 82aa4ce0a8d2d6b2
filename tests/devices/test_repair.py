"""Spare lines: what repair leaves is counted by brute force on small arrays, and by order statistics."""

from dataclasses import replace
from itertools import combinations, permutations

import numpy as np
import pytest

import neuroemu as ne
from neuroemu.crossbar import DifferentialPair
from neuroemu.crossbar.mapping import Tile
from neuroemu.crossbar.programming import program
from neuroemu.devices import Fault, Faulty, Generic, Ideal, NormalNoise, lines_replaced, repair
from neuroemu.errors import InputError


def rng(seed=0):
    return np.random.default_rng(seed)


def counted(faulty, *, rows, columns):
    """by_count without shorts."""
    labels = np.arange(faulty.shape[1]), np.tile(np.arange(faulty.shape[2]), (len(faulty), 1))
    return repair.by_count(faulty, *labels, rows=rows, columns=columns)


@pytest.mark.parametrize("kind", ["columns", "rows"])
def test_spares_of_one_kind_leave_the_least_possible(kind):
    """The best choice of n lines is the n with the fewest faults."""
    for seed in range(30):
        faulty = rng(seed).random((2, 20, 26)) < rng(seed).uniform(0, 0.1)
        if kind == "rows":
            faulty = np.swapaxes(faulty, 1, 2)
        rows, columns = counted(faulty, **{"rows": faulty.shape[1], "columns": faulty.shape[2]} | {kind: 20})
        lines = faulty.sum(axis=(0, 1 if kind == "columns" else 2))
        used = columns if kind == "columns" else rows
        assert len(set(used)) == 20
        np.testing.assert_array_equal(np.sort(lines[used]), np.sort(lines)[:20])


def test_spares_of_both_kinds_are_near_the_best_of_all_choices():
    close = []
    for seed in range(40):
        faulty = rng(seed).random((1, 6, 6)) < 0.15
        rows, columns = counted(faulty, rows=5, columns=5)
        left = faulty[:, rows[:, None], columns].sum()
        best = min(
            faulty[:, np.array(r)[:, None], np.array(c)].sum()
            for r in combinations(range(6), 5)
            for c in combinations(range(6), 5)
        )
        assert best <= left <= faulty[:, :5, :5].sum()
        close.append(left == best)
    assert np.mean(close) > 0.7


def test_a_short_is_repaired_by_taking_one_line_out():
    faulty = np.zeros((1, 4, 6), bool)
    bit = np.array([[0, 1, 1, 3, 4, 5]])
    _, columns = repair.by_count(faulty, np.arange(4), bit, rows=4, columns=5)
    assert sorted(columns) in ([0, 1, 3, 4, 5], [0, 2, 3, 4, 5])


def test_lines_in_use_touch_where_they_lie():
    """Labels rise along the physical lines, wherever a weight is held; and repair takes lines that touch out first."""
    device = Faulty(Ideal(), shorted_rows=0.15, shorted_columns=0.15, spare_rows=4, spare_columns=4)
    lines = device.fabricate((2, 30, 30), rng(1))[1]
    for line, physical in (
        (lines["word line"][0, :, 0], lines["physical row"][0, :, 0]),
        (lines["bit line"][0, 0], lines["physical column"][0, 0]),
        (lines["bit line"][1, 0], lines["physical column"][0, 0]),
    ):
        order = np.argsort(physical)
        assert (np.diff(line[order]) >= 0).all() and (physical[:-1] > physical[1:]).any()
    without = Faulty(Ideal(), shorted_rows=0.15, shorted_columns=0.15).fabricate((2, 30, 30), rng(1))[1]
    shorts = [30 - len(np.unique(found["word line"][0, :, 0])) for found in (lines, without)]
    assert shorts[0] < shorts[1]


def test_a_faulty_array_uses_its_spares():
    """Lines in use carry the faults of the array as fabricated, in both polarities, and say where they lie."""
    device = Faulty(Ideal(), stuck_off=0.01, open_rows=0.02, open_columns=0.02, spare_rows=3, spare_columns=5)
    targets = rng(1).uniform(5e-6, 20e-6, (2, 40, 50))
    codes, lines = device.fabricate(targets.shape, rng(2))
    row, column = lines["physical row"][0, :, 0], lines["physical column"][0, 0]
    whole = ne.devices.fault_map((2, 43, 55), rng(2), stuck_off=0.01, open_rows=0.02, open_columns=0.02)
    np.testing.assert_array_equal(codes, whole[:, row[:, None], column])
    assert (codes > 0).sum() < 0.5 * (whole[:, :40, :50] > 0).sum()
    cells = device.program(targets, rng(4))
    assert cells.conductance.shape == targets.shape
    sound = cells.state["fault"] == Fault.SOUND
    np.testing.assert_array_equal(cells.conductance[sound], targets[sound])
    replaced = lines_replaced(cells)
    assert replaced == (
        np.sum(cells.state["physical row"][0, :, 0] >= 40),
        np.sum(cells.state["physical column"][0, 0] >= 50),
    )
    assert 0 < replaced[0] <= 3 and 0 < replaced[1] <= 5


def test_enough_spares_cure_a_few_broken_columns():
    device = Faulty(Ideal(), open_columns=0.02, spare_columns=12)
    for seed in range(5):
        cells = device.program(np.full((2, 30, 100), 1e-6), rng(seed))
        assert not cells.state["fault"].any()
    without = Faulty(Ideal(), open_columns=0.02).program(np.full((2, 30, 100), 1e-6), rng(0))
    assert without.state["fault"].any()


def test_assignment_is_the_best_of_all_permutations():
    for seed in range(10):
        targets = rng(seed).uniform(0, 25e-6, (2, 6, 4))
        faulty = rng(seed + 50).random((2, 6, 5)) < 0.3
        held = np.where(rng(seed).random((2, 6, 5)) < 0.5, 25e-6, 0.0)
        chosen = repair.by_assignment(targets, faulty, held, np.zeros(5, bool))

        def harm(columns, targets=targets, faulty=faulty, held=held):
            return (np.abs(targets - held[..., columns]) * faulty[..., columns]).sum()

        least = min(harm(list(choice)) for choice in permutations(range(5), 4))
        assert len(set(chosen)) == 4 and harm(chosen) == pytest.approx(least)


def test_a_column_that_touches_another_is_avoided():
    targets, none = np.full((1, 3, 2), 1e-6), np.zeros((1, 3, 4), bool)
    chosen = repair.by_assignment(targets, none, none * 0.0, np.array([True, True, False, False]))
    assert sorted(chosen) == [2, 3]


def test_remapping_puts_weights_where_faults_hurt_least():
    """Error of the weights that a tile holds, without spares: assignment leaves less than the order of fabrication."""
    levels = np.rint(rng(5).laplace(0, 15, (128, 96)).clip(-127, 127)).astype(np.float32)
    errors = {}
    for name in ("count", "assignment"):
        device = Faulty(Ideal(), stuck_on=0.01, stuck_off=0.05, repair=name)
        (held,) = program(
            levels,
            [Tile(slice(0, 128), slice(0, 96), 0)],
            127,
            device,
            mapping=DifferentialPair(),
            seed=3,
            trial=0,
            layer=0,
        )
        now = (held.plus.conductance - held.minus.conductance) / (25e-6 / 127)
        errors[name] = np.abs(now - levels).sum()
        if name == "assignment":
            column = held.cells.state["physical column"][0, 0]
            assert sorted(column) == list(range(96)) and lines_replaced(held.cells) == (0, 0)
    assert errors["assignment"] < 0.95 * errors["count"]


def test_repair_restores_the_accuracy_of_the_embedded_network():
    plain = ne.datasets.mnist_network()
    network = ne.quantize(plain, samples=plain.samples)
    x, y = ne.datasets.mnist_test(200)

    def accuracy(**settings):
        device = Faulty(Generic(noise=NormalNoise(0.5e-6)), open_columns=0.1, **settings)
        return ne.run(network, replace(ne.chips.HERMES, device=device), x, labels=y, trials=3).accuracy

    broken, repaired = accuracy(), accuracy(spare_columns=16)
    assert repaired > 0.97 and broken < repaired - 0.03


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"spare_rows": -1}, "spare_rows"),
        ({"spare_columns": 4097}, "spare_columns"),
        ({"repair": "best"}, "repair is 'best'"),
        ({"alpha": 0.0}, "alpha"),
    ],
)
def test_bad_settings_are_refused(settings, said):
    with pytest.raises(InputError, match=said) as caught:
        Faulty(Ideal(), **settings)
    assert "\n" not in str(caught.value)


def test_arrays_and_cells_that_do_not_fit_are_refused():
    for settings in ({"spare_rows": 1}, {"spare_columns": 1}, {"repair": "assignment"}):
        with pytest.raises(InputError, match=r"R, C\)"):
            Faulty(Ideal(), **settings).program(np.zeros(4), rng())
    with pytest.raises(InputError, match="needs targets"):
        Faulty(Ideal(), repair="assignment").fabricate((3, 4), rng())
    with pytest.raises(InputError, match="no spares"):
        lines_replaced(Faulty(Ideal()).program(np.zeros((3, 4)), rng()))
