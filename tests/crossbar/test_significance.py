"""Significance: digits of any factors, errors that weigh with them, and corrections that absorb them."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroemu import chips, place, quantize, run, run_integer
from neuroemu.crossbar import (
    Adc,
    Averaged,
    ColumnGain,
    CrossbarChip,
    IdealAdc,
    IdealDac,
    MinMaxRange,
    NoCompensation,
    Significance,
    load_programmed,
    program,
)
from neuroemu.crossbar.building import build_engine
from neuroemu.devices import (
    Cells,
    Device,
    Faulty,
    HalfSelectDisturb,
    HermesPcm,
    Ideal,
    ReadShares,
    WhiteNoise,
    WithReadNoise,
)  # fmt: skip
from neuroemu.errors import ArgumentTypeError, InputError
from neuroemu.network import Dense, sequential

WHOLE = st.lists(st.integers(1, 40), min_size=1, max_size=5).map(lambda rest: (1, *sorted(rest)))


@dataclass(frozen=True)
class Fuzzy(Device):
    """Every cell is off by the same normal noise when programmed."""

    g_min: float = 1e-6
    g_max: float = 26e-6
    sigma: float = 0.25e-6  # 1 % of the range

    def program(self, target, generator):
        assert target.min() >= self.g_min * (1 - 1e-6) and target.max() <= self.g_max * (1 + 1e-6)
        return Cells(target + self.sigma * generator.standard_normal(target.shape))

    def conductance(self, cells, seconds):
        return cells.conductance

    def read_sigma(self, cells, seconds):
        return np.zeros_like(cells.conductance)

    def read_shares(self, seconds, *, image_seconds, session_seconds, cells=None):
        return ReadShares(1.0, 0.0, 0.0)


@dataclass(frozen=True)
class Low(Fuzzy):
    """Every cell holds a share of what it should."""

    g_min: float = 0.0
    share: float = 0.9

    def program(self, target, generator):
        return Cells(self.share * target)


def chip(**fields):
    given = {"name": "test", "costs": chips.HERMES.costs, "read_event": "core_read_1phase", "device": Ideal()}
    return CrossbarChip(**(given | {"dac": IdealDac(), "adc": IdealAdc()} | fields))


def dense(rows=50, columns=30):
    random = np.random.default_rng(0)
    net = sequential([Dense(name="fc", weight=random.normal(0, 0.3, (columns, rows)))], input_shape=(rows,))
    return quantize(net, samples=random.uniform(0, 1, (64, rows)))


def engine_of(net, machine, trial=0):
    sampled = machine.sampled_rows(net).get("fc")
    return build_engine(machine, net, net.layers[0], index=0, sampled=sampled, seed=0, trial=trial, threads=1)


def error_of(net, machine):
    """Errors of the weights that the outputs show, in codes."""
    engine = engine_of(net, machine)
    eye = np.eye(net.layers[0].weight.shape[1], dtype=np.float32)
    return engine.read(eye[:, None], 0)[:, 0] - net.layers[0].weight.T


@given(WHOLE, st.integers(1, 128), st.integers(1, 40))
def test_digits_of_any_factors_add_up(factors, largest, columns):
    """Whole, within +-top, and no smaller top would hold every code."""
    codes = np.arange(-largest, largest + 1, dtype=np.float32)[None].repeat(2, axis=0)
    mapping, columns = Significance(factors), columns + len(factors)
    layout, top = mapping.layout(codes, largest, Ideal(), columns), mapping.top(largest)
    np.testing.assert_array_equal(layout.outputs(layout.levels.astype(float)), codes)
    assert np.abs(layout.levels).max() <= top and (layout.levels == np.rint(layout.levels)).all()
    assert top * sum(factors) >= largest > (top - 1) * sum(factors) or any(
        factor // 2 > (top - 1) * sum(factors[: n + 1]) for n, factor in enumerate(factors[1:])
    )
    assert sorted(layout.terms.ravel()) == list(range(layout.levels.shape[1]))
    for first, last in layout.blocks:
        inside = (layout.terms >= first) & (layout.terms < last)
        assert last - first <= columns and (inside.all(axis=0) == inside.any(axis=0)).all()


def test_digits_by_hand():
    """127 = 15 * 8 + 7; 4 / 8 rounds to even, so that 4 stays in the low pair; 12 = 2 * 8 - 4."""
    layout = Significance((1, 8)).layout(np.array([[127, 4, 12, -5, 0]], np.float32), 127, Ideal(), 256)
    np.testing.assert_array_equal(layout.levels[0, layout.terms], [[7, 4, -4, 3, 0], [15, 0, 2, -1, 0]])
    assert Significance((1, 8)).top(127) == 15 and Significance((1, 1)).top(127) == 64


@pytest.mark.parametrize("factors", [(1, 8), (1, 4, 16), (1, 1, 1), (1, 2, 4, 8)])
def test_correction_leaves_only_the_error_of_the_last_pair(factors):
    """The last pair absorbs what the others missed; what is left is its own error, of factor 1."""
    net, mapping = dense(600, 30), Significance(factors, correct=True)
    machine = chip(rows=600, mapping=mapping, device=Fuzzy())
    per_pair = 0.01 * np.sqrt(2) * mapping.top(127)
    plain = error_of(net, replace(machine, mapping=Significance(factors)))
    assert plain.std() == pytest.approx(per_pair * np.sqrt(np.square(factors).sum()), rel=0.05)
    assert error_of(net, machine).std() == pytest.approx(per_pair, rel=0.05)


def test_correction_of_parallel_devices():
    """The read is that of all devices of a crossing together."""
    net, mapping = dense(600, 30), Averaged(4, Significance((1, 8), correct=True))
    error = error_of(net, chip(rows=600, mapping=mapping, device=Fuzzy()))
    assert error.std() == pytest.approx(0.01 * np.sqrt(2) * 15 / 2, rel=0.05)


def test_a_rest_beyond_the_last_pair_stays():
    """Cells 10 % and 30 % low. The last pair takes what is left up to 15 levels, and is low itself."""
    net = dense(600, 30)
    weight = net.layers[0].weight.T.astype(float)
    for held in (0.9, 0.7):
        error = error_of(net, chip(rows=600, mapping=Significance((1, 8), correct=True), device=Low(share=held)))
        high = np.clip(np.rint(weight / 8), -15, 15)
        rest = weight - 8 * held * high
        expected = 8 * held * high + held * np.clip(rest, -15, 15) - weight
        np.testing.assert_allclose(error, expected, atol=1e-4)
    assert np.abs(rest).max() > 15


def test_ranges_and_compensation_follow_the_corrected_levels():
    """A wide lossless converter must not clip what the correction added, nor a fitted gain undo it."""
    net = dense(100, 20)
    x = net.samples
    noisy = {"device": Fuzzy(sigma=1e-6), "mapping": Significance((1, 8), correct=True)}
    exact = run_integer(net, x)
    error = {}
    for mode in (NoCompensation(), ColumnGain()):
        machine = chip(adc=Adc(bits=16, range=MinMaxRange()), compensation=mode, **noisy)
        result = run(net, machine, x)
        assert result.counts.total("adc_clip") <= 0.001 * result.counts.total("adc_conversion")
        error[type(mode)] = (result.outputs - exact).std()
    plain = (run(net, chip(**noisy), x).outputs - exact).std()
    assert error[NoCompensation] == pytest.approx(plain, rel=0.05) and error[ColumnGain] < 1.05 * plain


def test_corrected_cells_are_kept_aged_and_saved(tmp_path):
    """What a column should add up follows from the cells alone, so a loaded chip reads as the one that was saved."""
    net = dense()
    x, noisy = (
        net.samples,
        {"mapping": Significance((1, 4, 16), correct=True), "device": HermesPcm(), "seconds": 3600.0},
    )
    machine = chip(adc=Adc(bits=10), compensation=ColumnGain(), **noisy)
    made = program(net, machine, seed=3)
    np.testing.assert_array_equal(run(net, made, x, seed=3).outputs, run(net, machine, x, seed=3).outputs)
    made.save(tmp_path / "chip.npz")
    loaded = load_programmed(tmp_path / "chip.npz", net, machine)
    aged = run(net, made.at(1e6), x).outputs
    np.testing.assert_array_equal(run(net, loaded.at(1e6), x).outputs, aged)
    assert (aged != run(net, made, x).outputs).any()


def test_stuck_cells_of_slices_stay_in_their_columns():
    """All cells of the array stuck at g_min or sound, slice by slice: a stuck pair reads zero in its own column."""
    net = dense(600, 30)
    device = Faulty(Ideal(g_min=1e-6, g_max=26e-6), stuck_off=0.05)
    machine = chip(rows=600, mapping=Significance((1, 8), correct=True), device=device)
    made = program(net, machine)
    cells = made.cells["fc"][0].cells
    assert cells.stuck.shape == (2, 600, 60) and 0.03 < cells.stuck.mean() < 0.07
    assert (cells.conductance[cells.stuck] == 1e-6).all()
    high = np.clip(np.rint(net.layers[0].weight.T / 8), -15, 15)
    sound = ~cells.stuck[:, :, 30:].any(axis=0)
    read = (cells.conductance[0] - cells.conductance[1]) / 25e-6 * 15
    np.testing.assert_allclose(read[:, 30:][sound], high[sound], atol=1e-9)


def test_correction_pays_on_pcm():
    """On HERMES cells right after programming, beside the same pairs set at once."""
    net = dense(200, 30)
    device = HermesPcm(drift=False, read_noise=False)
    once, corrected = (
        error_of(net, chip(mapping=Significance((1, 4), correct=correct), device=device)).std()
        for correct in (False, True)
    )
    assert corrected < 0.4 * once


def test_counts_by_hand():
    """50 x 30 weights of two pairs on arrays of 25 x 16: blocks of up to 8 weights, all pairs of one together."""
    net, x = dense(), np.random.default_rng(1).uniform(0, 1, (10, 50)).astype(np.float32)
    machine = chip(rows=25, columns=16, mapping=Significance((1, 8)), adc=Adc())
    sites = place(net, machine).sites
    assert [s.columns for s in sites if s.rows[0] == 0] == [(0, 16), (16, 32), (32, 48), (48, 60)]
    assert len(sites) == 2 * 4 and {s.details["slices"] for s in sites} == {"0-1"}
    counts = run(net, machine, x).counts
    assert counts.total("core_read_1phase") == 10 * 8
    assert counts.total("adc_conversion") == 10 * 2 * 60
    assert counts.total("digital_accumulate") == 10 * (120 - 30)
    assert counts.total("dac_drive") == 4 * np.count_nonzero(net.grids["input"].encode(x) != -128)


def test_bad_settings():
    for factors in ((8, 1), (2, 8), (1,), (0, 1), (1, 5000)):
        with pytest.raises(InputError, match="factors"):
            Significance(factors)
    for bad in ([1, 8], (1, 2.5), 8):
        with pytest.raises(ArgumentTypeError, match="factors"):
            Significance(bad)
    with pytest.raises(ArgumentTypeError, match="correct"):
        Significance(correct=1)
    with pytest.raises(InputError, match=r"arrays have 2 columns; a weight of 3 pairs needs 3; use replace"):
        place(dense(), chip(columns=2, mapping=Significance((1, 2, 4))))


@pytest.mark.parametrize(
    "device",
    [
        Faulty(Ideal(), shorted_columns=0.01),
        Faulty(Ideal(), open_rows=0.01),
        Faulty(Ideal(), spare_columns=1),
        WithReadNoise(HalfSelectDisturb(Ideal(), step=0.01), (WhiteNoise(1e-7),)),
    ],
    ids=["shorts", "open rows", "spares", "disturb, inside"],
)
def test_slices_in_turn_are_no_whole_array(device):
    with pytest.raises(InputError, match=r"needs all cells of its lines at once; use Significance\(correct=False\)"):
        chip(device=device, mapping=Averaged(2, Significance(correct=True)))
    chip(device=device, mapping=Significance())
