"""Writing of cells: how many writes programming takes, and what share of them an inference carries."""

from dataclasses import replace
from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroemu import chips, datasets, quantize, run, to_sigma_delta, to_spiking
from neuroemu.crossbar import BitSliced, CrossbarChip, DifferentialPair, OffsetColumn, Significance, program
from neuroemu.crossbar.cells import CellMapping
from neuroemu.devices import Generic, Ideal, NormalNoise, Pcm, WriteVerified
from neuroemu.energy import Cost, CostTable, Counts, Writing, price
from neuroemu.errors import ArgumentTypeError, InputError
from neuroemu.network import Dense, sequential

FREE = dict.fromkeys(
    ("core_read", "dac_drive", "adc_conversion", "adc_clip", "digital_accumulate", "activation_op"), "not priced here"
)
WRITE = Cost(
    event="cell_write", value=1e-12, kind="marginal", device="test", source="made up", evidence="assumed",
    part="writing",
)  # fmt: skip
PRICED = CostTable(costs=(WRITE,), free=FREE)
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(0, 1, (8, 20)).astype(np.float32)
NET = quantize(
    sequential([Dense(name="fc", weight=RANDOM.normal(0, 0.4, (6, 20)).astype(np.float32))], input_shape=(20,)),
    samples=RANDOM.normal(0, 1, (40, 20)).astype(np.float32),
)
CODES = NET.weighted[0].weight


def chip(**fields):
    return CrossbarChip(**({"name": "test", "costs": PRICED, "device": Ideal(), "rows": 8, "columns": 4} | fields))


@given(
    st.integers(1, 10**9), st.none() | st.integers(1, 10**6), st.none() | st.floats(1e-3, 1e6), st.floats(0, 1),
    st.integers(1, 1000), st.integers(1, 10**7),
)  # fmt: skip
def test_each_inference_carries_its_share(lifetime, every, seconds, interval, images, writes):
    """Energy of writing = J a write x writes x (1 / N + 1 / every + interval / seconds), an inference."""
    often = Writing(inferences=lifetime, refresh_inferences=every, refresh_seconds=seconds)
    energy = price(
        Counts(), PRICED, seconds=interval * images, inferences=images, writes=Counts({("fc", "cell_write"): writes}),
        writing=often,
    )  # fmt: skip
    share = 1 / lifetime + (1 / every if every else 0) + (interval / seconds if seconds else 0)
    assert energy.per_inference == pytest.approx(writes * 1e-12 * share, rel=1e-9, abs=0)
    assert energy.by_boundary() == {("writing", "dynamic"): pytest.approx(energy.total)}
    assert all(line.joules == pytest.approx(line.quantity * line.cost.value, abs=0) for line in energy.lines)


def nonzero(chip):
    return np.count_nonzero(CODES)


def above_the_lowest_of_one(chip):
    return CODES.size - np.count_nonzero(CODES == -np.abs(CODES).max())


@pytest.mark.parametrize(
    "mapping, expected",
    [
        (DifferentialPair(), nonzero),
        (OffsetColumn(reference="digital"), above_the_lowest_of_one),
        (OffsetColumn(), lambda chip: above_the_lowest_of_one(chip) + 2 * 20),  # two blocks' columns of zero weights
    ],
    ids=["pair", "digital offset", "offset column"],
)
def test_a_cell_above_its_lowest_state_is_one_write(mapping: CellMapping, expected):
    result = run(NET, chip(mapping=mapping), X)
    assert result.energy.writes.total("cell_write") == expected(chip)


def test_pairs_that_move_from_the_middle_write_both_cells():
    """But for the cell of a pair that is at the lowest end."""
    result = run(NET, chip(mapping=DifferentialPair(sided="two")), X)
    full = np.count_nonzero(np.abs(CODES) == np.abs(CODES).max())
    assert result.energy.writes.total("cell_write") == 2 * CODES.size - full


def test_verified_writes_count_the_pulses_that_were_applied():
    device = WriteVerified(Generic(g_max=20e-6, noise=NormalNoise(1e-6)), tolerance=1e-6, max_pulses=10)
    made = program(NET, chip(device=device), seed=3)
    pulses = sum(int(tile.cells.state["pulses"].sum()) for tile in made.cells["fc"])
    assert pulses > 2 * CODES.size
    assert run(NET, made, X, seed=3).energy.writes.total("cell_write") == pulses
    assert run(NET, chip(device=device), X, seed=3).energy.writes.total("cell_write") == pulses
    assert run(NET, made.at(1e6), X).energy.writes.total("cell_write") == pulses


def test_slices_programmed_in_turn_count_what_each_was_aimed_at():
    """With exact cells nothing is left to correct: the same cells are written as without correction."""
    plain, turn = (Significance((1, 16), correct=correct) for correct in (False, True))
    counts = [run(NET, chip(mapping=m), X).energy.writes.total("cell_write") for m in (plain, turn)]
    assert counts[0] == counts[1] > np.count_nonzero(CODES)
    noisy = chip(mapping=turn, device=Generic(g_max=20e-6, noise=NormalNoise(1e-7)))
    found = run(NET, noisy, X).energy.writes.total("cell_write")
    assert abs(found - counts[1]) < 0.2 * counts[1]


def test_the_report_says_it_and_it_can_be_left_out():
    result = run(NET, chip(writing=Writing(inferences=1000)), X)
    n = nonzero(chip)
    assert result.energy.per_inference == pytest.approx(n * 1e-12 / 1000, abs=0)
    for text in (result.energy.report(), result.energy.table()):
        assert f"written once for 1,000 inferences: {n:,} x cell_write" in text
    off = run(NET, chip(writing=None), X).energy
    assert off.total == 0 and off.writes is None and "cell_write" not in off.report() + off.table()
    unpriced = run(NET, chip(costs=CostTable(free=FREE)), X).energy
    assert unpriced.total == 0 and "not priced" in unpriced.report() and "cell_write" in unpriced.free
    assert (
        "not published"
        in run(NET, chip(costs=CostTable(free=FREE | {"cell_write": "not published"})), X).energy.report()
    )


def test_batches_threads_and_bits_do_not_change_the_count():
    counts = {run(NET, chip(), X[:n], threads=t).energy.writes for n, t in ((1, 1), (8, 2))}
    assert len(counts) == 1
    assert run(NET, chip(mapping=BitSliced(2)), X).energy.writes.total("cell_write") > 0


@pytest.mark.parametrize("field", [{"inferences": 0}, {"refresh_inferences": 0}, {"refresh_seconds": 0.0}])
def test_bad_settings_are_refused(field):
    with pytest.raises(InputError):
        Writing(**field)
    with pytest.raises(ArgumentTypeError):
        chip(writing=5)
    assert replace(chip(), writing=None).writing is None


def test_each_copy_of_a_network_on_a_chip_is_loaded():
    net, images = datasets.mnist_truenorth_network(), datasets.mnist_test(1)[0]
    one, three = (run(net, replace(chips.TRUENORTH, copies=n), images).energy.writes for n in (1, 3))
    assert three == 3 * one and one.total("weight_upload_byte") > 0


# --- refresh against drift, and loading of other chips -------------------------------------------------------------


def test_cells_that_drift_are_refreshed_at_the_age_of_their_reads():
    """By hand: interval / age more of all writes; the accuracy is told for that age."""
    result = run(NET, chip(device=Pcm(), seconds=100.0), X)
    n, interval = result.energy.writes.total("cell_write"), 1 / result.throughput
    assert result.energy.per_inference == pytest.approx(n * 1e-12 * (1e-6 + interval / 100.0), rel=1e-9, abs=0)
    assert "refreshed every 100 s" in result.energy.report()
    for writing, told in (
        (Writing(refresh_seconds=inf), "never refreshed"),
        (Writing(refresh_inferences=7), "every 7"),
    ):
        off = run(NET, chip(device=Pcm(), seconds=100.0, writing=writing), X).energy
        share = 1e-6 + (1 / 7 if writing.refresh_inferences else 0.0)
        assert off.per_inference == pytest.approx(n * 1e-12 * share, rel=1e-9, abs=0) and told in off.report()


@pytest.mark.parametrize("fields", [{"device": Ideal(), "seconds": 100.0}, {"device": Pcm()}], ids=["ideal", "at once"])
def test_cells_that_do_not_drift_on_are_not_refreshed(fields):
    assert "refreshed" not in run(NET, chip(**fields), X).energy.report()


def test_a_programmed_chip_is_refreshed_at_the_age_at_which_it_is_read():
    made = program(NET, chip(device=Pcm(), seconds=50.0), seed=0)
    assert "refreshed every 50 s" in run(NET, made, X).energy.report()
    assert "refreshed every 1000 s" in run(NET, made.at(1000.0), X).energy.report()


LOADED = {"LOIHI": "spiking", "TRUENORTH": "ticks", "LOIHI2": "graded", "TPU_V1": "dense", "A100": "dense"}


@pytest.mark.parametrize("name", LOADED)
def test_other_chips_are_loaded_with_their_weights(name):
    """A byte a weight of 8 bits and four a bias, once in a million inferences, unless it is left out."""
    net = datasets.mnist_network()
    net = quantize(net, samples=net.samples)
    found = {"dense": net, "spiking": to_spiking(net, steps=2, samples=net.samples), "graded": to_sigma_delta(net)}
    used = datasets.mnist_truenorth_network() if name == "TRUENORTH" else found[LOADED[name]]
    images = datasets.mnist_test(1)[0]
    energy = run(used, chips.ALL[name], images).energy
    bits = [
        layer.weight.size * layer.weight_grid.bits + (0 if layer.bias is None else 32 * layer.bias.size)
        for layer in used.weighted
    ]
    assert energy.writes.total("weight_upload_byte") == sum(-(-n // 8) for n in bits)
    assert energy.writing == Writing() and "weight_upload_byte" in energy.free
    if not energy.unknown:
        assert "written once for 1,000,000 inferences" in energy.report()
    upload = Cost(
        event="weight_upload_byte", value=1e-9, kind="marginal", device="memory", source="made up", evidence="assumed",
        part="writing",
    )  # fmt: skip
    priced = run(used, replace(chips.ALL[name], costs=chips.ALL[name].costs.with_costs(upload)), images).energy
    if not energy.unknown:
        assert priced.per_inference - energy.per_inference == pytest.approx(
            1e-15 * energy.writes.total("weight_upload_byte"), rel=1e-3, abs=0
        )
    off = run(used, replace(chips.ALL[name], writing=None), images).energy
    assert off.writes is None and off.writing is None
    with pytest.raises(ArgumentTypeError, match="Writing"):
        run(used, replace(chips.ALL[name], writing=5), images)
