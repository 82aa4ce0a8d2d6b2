"""Layers of a crossbar chip at work: what a layer waits for, how long it takes, and what copies of it bring."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroemu import Writing, chips, datasets, load, place, plot, quantize, run, run_float, to_spiking
from neuroemu.crossbar import (
    Adc,
    BitSerial,
    BusiestFirst,
    CrossbarChip,
    GivenCopies,
    KeepUpWith,
    LayerByLayer,
    LayerPipeline,
    OneCopy,
    RowPipeline,
    program,
)
from neuroemu.crossbar.schedules import positions_needed
from neuroemu.devices import Ideal
from neuroemu.energy import Cost, CostTable
from neuroemu.errors import ArgumentTypeError, InputError, PlacementError
from neuroemu.network import Conv2d, Dense, Flatten, Network, relu, sequential
from neuroemu.network.layers import Add, AveragePool2d, Concat, GlobalAveragePool, MaxPool2d, Reshape, Softmax
from neuroemu.pipeline import Stage

POWER = 2e-3  # W of a core
COSTS = CostTable(
    costs=(
        Cost(event="cell_write", value=1e-9, kind="marginal", device="test", source="test", evidence="assumed",
             part="writing"),
        Cost(event="static", value=POWER, kind="static", device="test", source="test", evidence="assumed", part="chip",
             scope="chip"),
        Cost(event="static", value=POWER / 8, kind="static", device="test", source="test", evidence="assumed",
             part="chip", scope="core"),
    ),
    free=dict.fromkeys(
        ("core_read", "dac_drive", "adc_conversion", "adc_clip", "digital_accumulate", "activation_op", "neuron_update",
         "word_line_pulse"),
        "not priced here",
    ),
)  # fmt: skip


def chip(**fields):
    return CrossbarChip(**({"name": "test", "costs": COSTS, "device": Ideal(), "rows": 64, "columns": 16} | fields))


def weights(*shape, seed=0):
    return np.random.default_rng(seed).uniform(0.1, 1.0, shape).astype(np.float32)


@pytest.fixture(scope="module")
def small():
    """16 and 16 positions, then 4, then 1."""
    net = sequential(
        [
            Conv2d(name="one", weight=weights(6, 2, 3, 3), padding=1, stride=2),
            relu(name="relu"),
            Conv2d(name="two", weight=weights(8, 6, 3, 3), padding=1),
            MaxPool2d(name="pool", size=2),
            Conv2d(name="three", weight=weights(4, 8, 1, 1)),
            Flatten(name="flat"),
            Dense(name="fc", weight=weights(3, 16)),
        ],
        input_shape=(2, 8, 8),
    )
    return quantize(net, samples=weights(32, 2, 8, 8, seed=1))


# --- what a layer waits for -----------------------------------------------------------------------------------------


@st.composite
def windows(draw):
    """A convolution or a pooling window on a small image."""
    side, padding, stride = st.integers(3, 8), st.integers(0, 2), st.integers(1, 3)
    shape = (1, draw(side), draw(side))
    size, dilation = (
        (draw(st.integers(1, 3)), draw(st.integers(1, 3))),
        (draw(st.integers(1, 2)), draw(st.integers(1, 2))),
    )
    fields = {"name": "layer", "stride": (draw(stride), draw(stride))}
    if draw(st.booleans()):
        most = [min(2, n - 1) for n in size]
        pads = tuple((draw(st.integers(0, n)), draw(st.integers(0, n))) for n in most)
        layer = AveragePool2d(size=size, padding=pads, **fields)
        reach = size
    else:
        pads = ((draw(padding), draw(padding)), (draw(padding), draw(padding)))
        layer = Conv2d(weight=np.ones((1, 1, *size)), padding=pads, dilation=dilation, **fields)
        reach = tuple((n - 1) * d + 1 for n, d in zip(size, dilation, strict=True))
    fits = all(n + sum(p) >= k for n, p, k in zip(shape[1:], pads, reach, strict=True))
    return sequential([relu(name="before"), layer], input_shape=shape) if fits else None


@settings(max_examples=80, deadline=None)
@given(windows().filter(lambda net: net is not None))
def test_a_window_waits_for_its_last_input_and_for_nothing_later(net):
    """By the arithmetic: inputs behind the last one change nothing, and the last one of a whole window does.

    Padded windows may end before the last input that the rule names: a row further up, or outside of the image.
    """
    first, last = positions_needed(net, net.layer("layer"), "before")
    shape, inputs = net.input_shape, shape_size(net.input_shape)
    base = np.ones((1, *shape), np.float32)
    out = run_float(net, base).ravel()
    assert last.shape == (out.size,) and 0 <= last.min() and last.max() < inputs
    touched = np.stack([run_float(net, _with(base, place)).ravel() != out for place in range(inputs)])
    needed = np.where(touched.any(axis=0), inputs - 1 - touched[::-1].argmax(axis=0), 0)
    assert (np.where(touched.any(axis=0), touched.argmax(axis=0), inputs) >= first).all()
    assert (needed <= np.maximum.accumulate(last)).all()
    assert (last[0] == needed[0]) or any(sum(p) for p in net.layer("layer").padding)
    if not any(sum(p) for p in net.layer("layer").padding):
        np.testing.assert_array_equal(last, needed)
        np.testing.assert_array_equal(first, touched.argmax(axis=0))


def shape_size(shape):
    return int(np.prod(shape))


def _with(base, place):
    changed = base.copy()
    changed.ravel()[place] += 1
    return changed


def test_a_window_of_a_same_convolution_by_hand():
    net = sequential(
        [relu(name="before"), Conv2d(name="conv", weight=weights(1, 1, 3, 3), padding=1)], input_shape=(1, 3, 4)
    )
    first, found = (at.reshape(3, 4) for at in positions_needed(net, net.layer("conv"), "before"))
    assert first.tolist() == [[0, 0, 1, 2], [0, 0, 1, 2], [4, 4, 5, 6]]
    assert found.tolist() == [[5, 6, 7, 7], [9, 10, 11, 11], [9, 10, 11, 11]]


def test_sums_and_joins_need_a_place_and_reshaping_needs_everything():
    net = Network(
        layers=(
            relu(name="a"),
            Add(name="sum", inputs=("a", "a")),
            Concat(name="join", inputs=("a", "sum")),
            Concat(name="below", inputs=("a", "sum"), axis=1),
            Softmax(name="rows", inputs=("a",)),
            GlobalAveragePool(name="mean", inputs=("a",)),
            Reshape(name="flat", inputs=("a",), shape=(-1, 4)),
            Dense(name="by_row", inputs=("flat",), weight=weights(2, 4)),
            Dense(name="on_image", inputs=("a",), weight=weights(4, 4)),
            relu(name="after", inputs=("on_image",)),
        ),
        input_shape=(2, 4, 4),
    )

    def needs(name, tensor):
        return positions_needed(net, net.layer(name), tensor)[1]

    for end in positions_needed(net, net.layer("sum"), "a"):
        np.testing.assert_array_equal(end, np.arange(16))
    np.testing.assert_array_equal(needs("join", "sum"), np.arange(16))
    np.testing.assert_array_equal(needs("by_row", "flat"), np.arange(8))
    for name, tensor in (("below", "a"), ("rows", "a"), ("mean", "a"), ("flat", "a"), ("on_image", "a"),
                         ("after", "on_image")):  # fmt: skip
        assert needs(name, tensor) is None, name


def test_rows_of_a_chain_by_hand(small):
    """Reads of 1 us: layer one stores position p at p + 1 us, layer two begins with its window of two rows and columns.

    Position (1, 1) of four rows of four is the sixth: two begins at 6 us. It then keeps step, position by position, and
    waits for the 16th, which its position 10 needs; 5 more follow.
    """
    at_work = replace(chip(read_seconds=1e-6, schedule=RowPipeline())).pipeline(small)
    one, two, three, fc = at_work.schedule(1)
    np.testing.assert_allclose(one.starts, 1e-6 * np.arange(16))
    np.testing.assert_allclose(two.starts, 1e-6 * np.arange(6, 22))
    np.testing.assert_allclose(three.starts, 1e-6 * np.array([12, 14, 20, 22]))  # after positions 5, 7, 13, 15 of two
    np.testing.assert_allclose(fc.starts, [23e-6])
    assert at_work.latency == pytest.approx(24e-6) and at_work.interval == pytest.approx(16e-6)
    assert replace(chip(), read_seconds=1e-6, schedule=LayerPipeline()).pipeline(small).latency == pytest.approx(37e-6)
    alone = chip(read_seconds=1e-6, schedule=LayerByLayer(), transit_seconds=2e-6).pipeline(small)
    assert alone.latency == alone.interval == pytest.approx(45e-6)


def test_two_branches_work_at_once():
    """A shortcut with a convolution of its own: rows need 2 x 16 reads one after the other, layer by layer 48."""
    net = Network(
        layers=(
            Conv2d(name="a", weight=weights(2, 2, 1, 1)),
            Conv2d(name="b", inputs=("a",), weight=weights(2, 2, 1, 1)),
            Conv2d(name="c", inputs=("a",), weight=weights(2, 2, 1, 1)),
            Add(name="sum", inputs=("b", "c")),
            Flatten(name="flat"),
            Dense(name="fc", weight=weights(2, 32)),
        ),
        input_shape=(2, 4, 4),
    )
    q = quantize(net, samples=weights(8, 2, 4, 4))
    pipeline = chip(read_seconds=1e-6, schedule=RowPipeline()).pipeline(q)
    starts = {work.stage.name: work.starts for work in pipeline.schedule(1)}
    np.testing.assert_array_equal(starts["b"], starts["c"])
    assert pipeline.latency == pytest.approx(18e-6)
    assert chip(read_seconds=1e-6).pipeline(q).latency == pytest.approx(49e-6)


def test_resnet8_waits_for_its_first_block(test_data):
    """Strides of 2 before the second and the third block: 16, 4 and 1 copies keep up, and shortcuts with them."""
    net = load(test_data / "mlperf_tiny" / "pretrainedResnet_quant.tflite")
    plain, kept = chips.ISAAC.pipeline(net), replace(chips.ISAAC, copies=KeepUpWith()).pipeline(net)
    assert [stage.positions for stage in plain.stages] == [1024] * 3 + [256] * 3 + [64] * 3 + [1]
    assert list(kept.copies.values()) == [16] * 3 + [4] * 3 + [1] * 4
    assert plain.interval == pytest.approx(1024 * 800e-9) and kept.interval == pytest.approx(64 * 800e-9)
    # Each of the 3 x 3 layers of stride 1 starts a row and a position after the one before it.
    starts = {work.stage.name: work.starts[0] for work in plain.schedule(1)}
    first, second, third = (starts[stage.name] for stage in plain.stages[:3])
    assert (second - first, third - second) == (pytest.approx(34 * 800e-9 + 600e-9),) * 2
    assert plain.latency < 1.11 * plain.interval


def test_buffers_of_windows_hold_two_rows_and_a_bit():
    """3 x 3 windows one after the other: two rows and what is read and written, 2 W + 3; of 8 bits and 4 channels.

    Windows of 2 x 2 behind them wait for a row and one; the last of 64 positions makes a flattened image of 256 bytes.
    """
    net = sequential(
        [
            Conv2d(name="a", weight=weights(4, 2, 3, 3), padding=1),
            Conv2d(name="b", weight=weights(4, 4, 3, 3), padding=1),
            MaxPool2d(name="pool", size=2),
            Flatten(name="flat"),
            Dense(name="fc", weight=weights(3, 4 * 64)),
        ],
        input_shape=(2, 16, 16),
    )
    found = chip(schedule=RowPipeline(), read_seconds=1e-6).pipeline(quantize(net, samples=weights(4, 2, 16, 16)))
    assert found.held()["a"] == 2 * 16 + 3 and found.buffers()["a"] == 4 * (2 * 16 + 3)
    assert found.held()["b"] == 16 + 1
    assert found.held()["pool"] == 63 and found.held()["flat"] == 1 and found.buffers()["flat"] == 256


# --- the time of a read -----------------------------------------------------------------------------------------------


def test_stages_hold_planes_phases_and_conversions(small):
    """8-bit inputs in planes of 2 bits, and up to 4 conversions of 5 ns after each read; signs cost nothing here."""
    found = chip(
        inputs=BitSerial(2, signs="phases"), adc=Adc(columns_per_converter=4, conversion_seconds=5e-9), columns=8
    ).pipeline(small)
    for stage, positions in zip(found.stages, (16, 16, 4, 1), strict=True):
        assert stage.positions == positions and stage.reads == 4  # 255 has 8 bits, and is never negative
        assert stage.seconds == pytest.approx(4 * (100e-9 + min(4, small.layer(stage.name).weight.shape[0]) * 5e-9))
        assert stage.conversions == min(4, small.layer(stage.name).weight.shape[0])
        assert stage.phases == 4 * positions
    assert [stage.units for stage in found.stages] == [1, 1, 1, 1]
    assert "conversions of a read" in found.table() and "conversions" not in chip().pipeline(small).table()


def test_isaac_pipeline_is_22_cycles_deep():
    """With 16 planes, as the paper; with the 8 bits of a network 14, and the next position follows after 8."""
    assert chips.ISAAC.transit_seconds + 16 * chips.ISAAC.read_seconds == pytest.approx(22 * 100e-9)
    net = quantize(
        sequential([Dense(name="fc", weight=weights(4, 8))], input_shape=(8,)), samples=weights(4, 8), weight_bits=8
    )
    found = chips.ISAAC.pipeline(net)
    assert found.latency == pytest.approx(14 * 100e-9) and found.interval == pytest.approx(8 * 100e-9)


def test_isaac_at_full_load_does_what_its_table_says():
    """All 16,128 arrays on one layer of 128 x 128 weights of 2 bits: 168 x 12 x 8 x 128^2 products each 100 ns.

    Its density, 478.95 GOPS/s/mm2, counts products of 16 bits: an eighth of that for weights, a sixteenth for inputs.
    """
    net = sequential([Conv2d(name="conv", weight=weights(64, 128, 1, 1))], input_shape=(128, 126, 128))
    found = quantize(net, samples=weights(1, 128, 126, 128), weight_bits=4)
    busy = replace(chips.ISAAC, copies=BusiestFirst()).pipeline(found)
    assert busy.units == 16128 and busy.stages[0].turns == 1
    products = 128 * 128 * busy.stages[0].reads * 16128  # cells x planes x positions of an image
    rate = products / busy.interval
    assert rate == pytest.approx(16128 * 128**2 / 100e-9)
    assert 2 * rate / 8 / 16 / chips.ISAAC.area.chip_mm2 / 1e9 == pytest.approx(478.95, rel=0.01)


@pytest.mark.parametrize("preset, tops", [(chips.HERMES, 63.1), (chips.HERMES_4PHASE, 16.1)], ids=["1", "4"])
def test_hermes_with_64_busy_cores_does_its_published_rate(preset, tops):
    """One layer of 2048 x 2048 weights fills the chip; one product counts as two operations."""
    net = quantize(
        sequential([Dense(name="fc", weight=weights(2048, 2048))], input_shape=(2048,)), samples=weights(2, 2048)
    )
    found = preset.pipeline(net)
    assert found.units == 64 and 2 * 2048**2 * found.throughput == pytest.approx(tops * 1e12)


# --- copies -----------------------------------------------------------------------------------------------------------


def stages_of(sizes):
    return tuple(Stage(name=f"s{k}", positions=n, seconds=t, units=u) for k, (n, t, u) in enumerate(sizes))


def best_by_trying(stages, budget):
    """Shortest interval of all choices of copies."""
    found = np.inf
    for copies in product(*(range(1, stage.positions + 1) for stage in stages)):
        if sum(stage.units * (n - 1) for stage, n in zip(stages, copies, strict=True)) <= budget:
            found = min(found, max(replace(s, copies=n).busy for s, n in zip(stages, copies, strict=True)))
    return found


@settings(max_examples=120, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(1, 4), st.integers(1, 4)), min_size=1, max_size=3),
    st.integers(0, 14),
)
def test_busiest_first_is_the_best_of_all_choices(sizes, budget):
    stages = stages_of(sizes)
    copies = BusiestFirst(spare=budget).of(stages, None, who="test")
    after = [replace(stage, copies=copies[stage.name]) for stage in stages]
    assert sum(stage.units * (stage.copies - 1) for stage in after) <= budget
    assert max(stage.busy for stage in after) == best_by_trying(stages, budget)
    fewer = [replace(s, copies=s.copies - 1) for s in after if s.copies > 1]
    assert all(s.busy > max(a.busy for a in after) for s in fewer)  # no copy is there for nothing


def test_busiest_first_fills_the_chip_and_no_more(small):
    with pytest.raises(
        InputError, match=r"BusiestFirst\(\) fills the chip, which has any number of arrays; give spare="
    ):
        place(small, chip(copies=BusiestFirst()))
    filled = chip(cores=21, copies=BusiestFirst()).pipeline(small)
    one, two, three, _ = filled.stages
    assert [s.units for s in filled.stages] == [1, 1, 1, 1]
    assert filled.copies == {"one": 8, "two": 8, "three": 2, "fc": 1} and filled.interval == pytest.approx(2e-7)
    assert filled.units == 19 and one.turns == two.turns == three.turns == 2  # 21 - 19 are too few for one turn each
    assert chip(copies=BusiestFirst(spare=0)).pipeline(small).copies == dict.fromkeys(filled.copies, 1)
    assert chip(copies=BusiestFirst(spare=1000)).pipeline(small).interval == pytest.approx(1e-7)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 300), st.integers(1, 9), st.integers(1, 3)), min_size=1, max_size=4))
def test_keeping_up_takes_the_fewest_copies_that_do(sizes):
    stages = stages_of(sizes)
    for pace in stages:
        copies = KeepUpWith(pace.name).of(stages, None, who="test")
        assert copies[pace.name] == 1
        for stage in stages:
            enough = replace(stage, copies=copies[stage.name])
            assert enough.busy <= pace.busy or (stage.seconds > pace.busy and enough.turns == 1)
            if enough.copies > 1:
                assert replace(enough, copies=enough.copies - 1).busy > pace.busy


def test_isaacs_balance_is_four_times_before_each_pooling():
    """Same convolutions with 2 x 2 pooling between them: 64, 16, 4 and 1 copies; the classifier has one position."""
    layers = []
    for k in range(4):
        layers += [Conv2d(name=f"conv{k}", weight=weights(2, 2, 3, 3), padding=1)]
        layers += [MaxPool2d(name=f"pool{k}", size=2)] if k < 3 else []
    layers += [Flatten(name="flat"), Dense(name="fc", weight=weights(2, 2 * 4 * 4))]
    net = quantize(sequential(layers, input_shape=(2, 32, 32)), samples=weights(4, 2, 32, 32))
    balanced = replace(chips.ISAAC, copies=KeepUpWith()).pipeline(net)
    assert balanced.copies == {"conv0": 64, "conv1": 16, "conv2": 4, "conv3": 1, "fc": 1}
    assert all(balanced.busy(stage) == pytest.approx(1.0) for stage in balanced.stages[:4])


def test_copies_change_time_writes_and_static_energy_and_nothing_else(small):
    x = weights(6, 2, 8, 8, seed=2)
    plain = run(small, chip(), x)
    copied = run(small, chip(copies=GivenCopies({"one": 4, "two": 2})), x)
    np.testing.assert_array_equal(plain.outputs, copied.outputs)
    assert plain.counts == copied.counts and (plain.n_units, copied.n_units) == (4, 8)
    assert plain.throughput * 2 == pytest.approx(copied.throughput)  # two: 16 positions, 2 copies
    assert copied.latency_per_inference == pytest.approx((4 + 8 + 4 + 1) * 100e-9)
    assert copied.energy.static == pytest.approx(plain.energy.static / 2)
    assert copied.energy.static == pytest.approx(6 * 8e-7 * POWER)
    assert copied.energy.static_by_scope["core"] == pytest.approx(6 * 8e-7 * 8 * POWER / 8)  # 8 arrays in place of 4
    times = {"one": 4, "two": 2, "three": 1, "fc": 1}
    for (layer, kind), n in plain.energy.writes.items():
        assert copied.energy.writes[layer, kind] == n * times[layer] > 0
    assert "800 ns an image, set by 'two'; copies: one x4, two x2" in repr(copied) and "copies: none" in repr(plain)
    assert copied.notes[-1] == "copies of layers, taken to be programmed alike: one x4, two x2"
    assert copied.pipeline.copies == times and plain.pipeline.copies == dict.fromkeys(times, 1)


def test_writes_of_copies_are_paid_for(small):
    x = weights(1, 2, 8, 8)
    writing = Writing(inferences=1)
    one = run(small, chip(writing=writing), x).energy.by_part()["writing"]
    two = run(small, chip(writing=writing, copies=GivenCopies(dict.fromkeys(("one", "two", "three", "fc"), 3))), x)
    assert two.energy.by_part()["writing"] == pytest.approx(3 * one) and one > 0


def test_placements_say_how_often_a_tile_is_built(small):
    found = place(small, chip(copies=GivenCopies({"one": 4})))
    assert found.sites[0].details["copies"] == 4 and "7 units (one 4" in repr(found)
    assert "1 x 4" in found.layers() and "copies" in found.table()
    plain = place(small, chip())
    filled = [site.utilisation for site in plain.sites]
    assert found.utilisation == pytest.approx((4 * filled[0] + sum(filled[1:])) / 7)
    assert "copies" not in plain.table()


def test_programmed_chips_keep_their_copies(small):
    x = weights(2, 2, 8, 8)
    made = program(small, chip(copies=GivenCopies({"one": 4, "two": 4}), area=chips.HERMES.area))
    found = run(small, made, x)
    assert found.throughput == pytest.approx(1 / (4 * 100e-9)) and found.used_mm2 == pytest.approx(
        10 * 63.1 / 1.55 / 64
    )


def test_copies_shorten_the_steps_of_spiking_networks():
    net = datasets.mnist_network()
    snn = to_spiking(quantize(net, samples=net.samples), steps=4, samples=net.samples)
    x = datasets.mnist_test(2)[0]
    plain, copied = (
        run(snn, replace(chips.HERMES, copies=copies), x) for copies in (OneCopy(), GivenCopies({"conv1": 2}))
    )
    np.testing.assert_array_equal(plain.outputs, copied.outputs)
    assert copied.throughput == pytest.approx(2 * plain.throughput) and plain.counts == copied.counts
    assert copied.n_units == plain.n_units + 1 and copied.pipeline is None and "conv1 x2" in copied.notes[-1]
    with pytest.raises(PlacementError, match="is spiking, and all its layers work in every step"):
        chips.HERMES.pipeline(snn)


@pytest.mark.parametrize(
    "make, error, says",
    [
        (lambda: chip(copies=GivenCopies({"eins": 2})), InputError, r"names \['eins'\]; layers with weights: one, two"),
        (lambda: chip(copies=KeepUpWith("eins")), InputError, "names 'eins'"),
        (
            lambda: chip(copies=GivenCopies({"one": 9}), cores=10),
            PlacementError,
            "take 12 arrays, the chip has 10; 'one' takes 9",
        ),
        (lambda: chip(copies=GivenCopies({"one": 0})), InputError, "copies\\['one'\\] is 0"),
        (lambda: chip(copies=BusiestFirst(spare=-1)), InputError, "spare is -1"),
        (lambda: chip(copies=3), ArgumentTypeError, "copies must be a Copies"),
        (lambda: chip(schedule="rows"), ArgumentTypeError, "schedule must be a Schedule"),
        (lambda: chip(transit_seconds=-1.0), InputError, "transit_seconds is -1"),
    ],
)
def test_what_is_refused(small, make, error, says):
    with pytest.raises(error, match=says):
        place(small, make())


# --- the picture ------------------------------------------------------------------------------------------------------


def test_picture_shows_every_turn(small, tmp_path):
    """Layer two of `test_rows_of_a_chain_by_hand` reads from 6 to 22 us, layer three in four turns with gaps."""
    at_work = chip(read_seconds=1e-6, schedule=RowPipeline(), copies=GivenCopies({"fc": 2})).pipeline(small)
    figure = plot.pipeline(at_work, images=2)
    left, right = figure.axes
    bars = [(bar.get_x(), bar.get_width()) for bar in left.patches]
    np.testing.assert_allclose(bars[:4], [(0, 16), (6, 16), (12, 11), (23, 1)], atol=1e-9)
    np.testing.assert_allclose(bars[4:], [(x + 16, wide) for x, wide in bars[:4]], atol=1e-9)
    turns = [path.get_extents() for path in left.collections[2].get_paths()]
    np.testing.assert_allclose([(t.x0, t.x1) for t in turns], [(12, 13), (14, 15), (20, 21), (22, 23)], atol=1e-9)
    assert [label.get_text() for label in left.get_yticklabels()] == ["one", "two", "three", "fc x2"]
    np.testing.assert_allclose([bar.get_width() for bar in right.patches], [100, 100, 25, 100 / 32])
    assert "latency 24.0 us, interval 16.0 us" in left.get_title() and left.get_xlabel() == "time (us)"
    plot.save(figure, tmp_path / "pipeline.png")
    result = run(small, chip(), weights(1, 2, 8, 8))
    assert plot.pipeline(result).axes[0].get_title().startswith("network on test: latency 3.70 us")


def test_pictures_of_other_things_are_refused(small):
    with pytest.raises(ArgumentTypeError, match=r"got int; give a Pipeline or a Result"):
        plot.pipeline(3)
    with pytest.raises(InputError, match="images is 0; allowed: 1 to 20"):
        plot.pipeline(chip().pipeline(small), images=0)
    with pytest.raises(InputError, match="no layers with arrays of their own"):
        plot.pipeline(run(small, chips.TPU_V1, weights(1, 2, 8, 8)))
