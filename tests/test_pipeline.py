"""Pipelines against a simulation turn by turn, and against closed forms."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroemu.errors import ArgumentTypeError, InputError
from neuroemu.pipeline import Pipeline, Stage, Step, chain

UNIT = 2.0**-10  # seconds; sums of these are exact


def stage(name, positions, seconds, **fields):
    return Stage(name=name, positions=positions, seconds=seconds, **fields)


@st.composite
def stages(draw, most=5):
    numbers = st.integers(1, 12)
    return tuple(
        stage(
            f"layer{k}",
            draw(numbers),
            draw(numbers) * UNIT,
            copies=draw(st.integers(1, 5)),
            transit=draw(st.integers(0, 9)) * UNIT,
            units=draw(st.integers(1, 4)),
        )
        for k in range(draw(st.integers(1, most)))
    )


@st.composite
def flows(draw):
    """Steps with and without stages, that read any earlier ones; what a position needs never comes earlier again."""
    steps: list[Step] = []
    for k, found in enumerate(draw(stages())):
        sources = draw(st.sets(st.integers(0, k - 1), max_size=2)) if k else set()
        reads = []
        for source in sorted(sources):
            there = steps[source].positions
            last = draw(
                st.none() | st.lists(st.integers(0, there - 1), min_size=found.positions, max_size=found.positions)
            )
            reads.append((steps[source].name, None if last is None else np.array(last)))
        passes = k and draw(st.booleans())
        steps.append(
            Step(name=found.name, positions=found.positions, reads=tuple(reads), stage=None if passes else found)
        )
    return tuple(steps)


def simulated(pipeline: Pipeline, images: int):
    """{(image, layer): starts}, and when each image is done, position by position."""
    free, found, done = {}, {}, []
    for image in range(images):
        entered, there = image * pipeline.interval, {}
        for step in pipeline.steps:
            times, previous, starts = [], entered, []
            for p in range(step.positions):
                ready = [entered, previous]
                for name, last in step.reads:
                    ready.append(there[name][-1] if last is None else there[name][last[p]])
                times.append(max(ready))
                previous = times[-1]
            if step.stage is None:
                there[step.name] = times
                continue
            of = step.stage
            for first in range(0, of.positions, of.copies):
                begin = max(free.get(of.name, 0.0), *times[first : first + of.copies])
                starts.append(begin)
                free[of.name] = begin + of.seconds
                for p in range(first, min(first + of.copies, of.positions)):
                    times[p] = begin + of.seconds + of.transit
            there[step.name], found[image, of.name] = times, starts
        done.append(there[pipeline.steps[-1].name][-1])
    return found, done


@settings(max_examples=60, deadline=None)
@given(flows())
def test_schedule_is_that_of_a_simulation_turn_by_turn(steps):
    pipeline = Pipeline(steps=steps)
    found, _ = simulated(pipeline, 3)
    for work in pipeline.schedule(3):
        np.testing.assert_array_equal(work.starts, found[work.image, work.stage.name])
        assert sum(end - begin for begin, end in work.spans()) == pytest.approx(work.stage.busy, rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(flows())
def test_images_leave_one_interval_apart_and_take_the_latency(steps):
    """The slowest stage sets the pace, whatever waits for what, and a full pipeline does not fall behind."""
    pipeline = Pipeline(steps=steps)
    assert pipeline.interval == max(found.busy for found in pipeline.stages)
    _, done = simulated(pipeline, 40)
    latencies = [time - k * pipeline.interval for k, time in enumerate(done)]
    assert latencies[-1] == pytest.approx(latencies[-2], rel=1e-9)
    assert pipeline.latency == pytest.approx(latencies[-1], rel=1e-9)
    assert pipeline.latency >= latencies[0] * (1 - 1e-9)


@settings(max_examples=60, deadline=None)
@given(stages())
def test_chains_take_sums_and_maxima(found):
    """Layers that wait for whole results: the latency is a sum; so is the interval, where images do not overlap."""
    total = sum(-(-s.positions // s.copies) * s.seconds + s.transit for s in found)
    piped, single = Pipeline(steps=chain(found)), Pipeline(steps=chain(found), overlap=False)
    assert piped.latency == single.latency == single.interval == pytest.approx(total)
    assert piped.interval == max(-(-s.positions // s.copies) * s.seconds for s in found)
    assert piped.units == sum(s.units * s.copies for s in found)


@settings(max_examples=60, deadline=None)
@given(flows())
def test_starting_early_never_takes_longer_than_waiting_for_everything(steps):
    """The sum over layers bounds the time of an image that nobody is ahead of."""
    early = Pipeline(steps=steps, overlap=False)
    latest = sum(found.latency for found in early.stages)
    assert early.latency <= latest * (1 + 1e-12)


def test_two_layers_by_hand():
    """8 positions of 3 s, two at a time; then 4 of 2 s, of which each needs the next two. 1 s on the way."""
    first = stage("a", 8, 3.0, copies=2, transit=1.0)
    second = stage("b", 4, 2.0)
    reads = (("a", np.array([1, 3, 5, 7])),)
    pipeline = Pipeline(steps=(Step(name="a", positions=8, stage=first), Step(name="b", positions=4, reads=reads,
                                                                                stage=second)))  # fmt: skip
    works = pipeline.schedule(2)
    assert [tuple(work.starts) for work in works] == [(0, 3, 6, 9), (4, 7, 10, 13), (12, 15, 18, 21), (16, 19, 22, 25)]
    assert pipeline.interval == 12 and pipeline.latency == 15 and pipeline.bottleneck is first
    assert (
        works[0].spans() == ((0, 12),)
        and works[1].spans() == ((4, 6), (7, 9), (10, 12), (13, 15))
        and works[1].end == 15
    )
    assert pipeline.busy(first) == 1.0 and pipeline.busy(second) == 8 / 12
    assert pipeline.copies == {"a": 2, "b": 1} and pipeline.throughput == 1 / 12
    assert "8" in pipeline.table().splitlines()[1] and "set by 'a'" in repr(pipeline)


def test_copies_share_positions_and_the_last_turn_may_be_short():
    found = stage("a", 10, 1.0, copies=4)
    assert (found.turns, found.busy) == (3, 3.0)
    pipeline = Pipeline(steps=chain((found,)))
    assert pipeline.busy(found) == pytest.approx(10 / 12)  # in the last turn two of four copies wait
    assert replace(found, copies=5).busy == 2.0


def test_an_image_that_finds_a_stage_busy_waits_for_it():
    """b takes its first position at 1 s and the nine others at 10 s; all that is wanted is the first one."""
    a, b = stage("a", 10, 1.0), stage("b", 10, 1.0)
    burst = Step(name="b", positions=10, reads=(("a", np.array([0] + [9] * 9)),), stage=b)
    wanted = Step(name="out", positions=1, reads=(("b", np.array([0])),))
    pipeline = Pipeline(steps=(Step(name="a", positions=10, stage=a), burst, wanted))
    assert pipeline.schedule(1)[1].end == 19.0 and replace(pipeline, overlap=False).latency == 2.0
    assert pipeline.latency == 10.0  # the next image comes at 10 s, and finds b busy for another 9 s


def test_delays_of_a_full_pipeline_reach_later_stages_image_by_image():
    """As above, in three stages: c[0] is done 3, 7 and 10 s after an image came, and from then on always at 10 s.

    a works all the time. Half of b waits for the end of a, so b is free 5 s late; c waits likewise for the middle of b.
    """
    a, b, c = (stage(name, 10, 1.0) for name in "abc")
    half = Step(name="b", positions=10, reads=(("a", np.array([0] * 5 + [9] * 5)),), stage=b)
    middle = Step(name="c", positions=10, reads=(("b", np.array([0] + [4] * 9)),), stage=c)
    wanted = Step(name="out", positions=1, reads=(("c", np.array([0])),))
    pipeline = Pipeline(steps=(Step(name="a", positions=10, stage=a), half, middle, wanted))
    firsts = [work.starts[0] + 1 - 10 * work.image for work in pipeline.schedule(4) if work.stage is c]
    assert firsts == [3, 7, 10, 10] and pipeline.latency == 10.0


@settings(max_examples=60, deadline=None)
@given(stages(), st.data())
def test_what_is_held_is_what_somebody_still_needs(found, data):
    """One image: of each layer, the positions that are there and that the next layer has not read for the last time."""
    steps = [Step(name=found[0].name, positions=found[0].positions, stage=found[0], bytes=2.0)]
    for of in found[1:]:
        place = st.integers(0, steps[-1].positions - 1)
        windows = data.draw(st.lists(st.tuples(place, place), min_size=of.positions, max_size=of.positions))
        first, last = np.sort(np.array(windows), axis=1).T
        whole = data.draw(st.booleans())
        reads = ((steps[-1].name, None if whole else last),)
        firsts = (None if whole else first,)
        steps.append(Step(name=of.name, positions=of.positions, stage=of, bytes=2.0, firsts=firsts, reads=reads))
    pipeline = Pipeline(steps=tuple(steps), overlap=False)
    begin = {w.stage.name: np.repeat(w.starts, w.stage.copies)[: w.stage.positions] for w in pipeline.schedule()}
    expected = {}
    for step, reader in pairwise(steps):
        came = begin[step.name] + step.stage.seconds + step.stage.transit
        read = begin[reader.name] + reader.stage.seconds
        firsts = np.zeros(reader.positions, int) if reader.firsts[0] is None else reader.firsts[0]
        went = [max([came[i], *read[firsts <= i]]) for i in range(step.positions)]
        most = max(sum(a <= now < b for a, b in zip(came, went, strict=True)) for now in came)
        expected |= {step.name: most} if most else {}
    assert pipeline.held() == expected
    assert pipeline.buffers() == {name: 2.0 * n for name, n in expected.items()}


def test_images_on_their_way_at_once_hold_more():
    """Results of a are there at 1 s and read by c until 7.5 s, when b is done; meanwhile more images come."""
    a, b, c = stage("a", 1, 1.0), stage("b", 1, 0.5, transit=5.0), stage("c", 1, 1.0)
    steps = (
        Step(name="a", positions=1, stage=a),
        Step(name="b", positions=1, reads=(("a", None),), stage=b),
        Step(name="c", positions=1, reads=(("a", None), ("b", None)), stage=c),
    )
    pipeline = Pipeline(steps=steps)
    assert pipeline.interval == 1.0 and pipeline.latency == 7.5
    assert pipeline.held() == {"a": 7, "b": 1}  # there from 1 s to 7.5 s: at 7 s images 0 to 6
    assert Pipeline(steps=steps, overlap=False).held() == {"a": 1, "b": 1}


@pytest.mark.parametrize(
    "make, error, says",
    [
        (lambda: stage("a", 0, 1.0), InputError, "positions is 0"),
        (lambda: stage("a", 1, -1.0), InputError, "seconds is -1"),
        (lambda: stage("a", 1, 1.0, copies=0), InputError, "copies is 0"),
        (lambda: Pipeline(steps=()), InputError, "no step has a stage"),
        (lambda: Pipeline(steps=(1,)), ArgumentTypeError, "must be a Step"),
        (
            lambda: Pipeline(steps=(Step(name="a", positions=1, reads=(("b", None),), stage=stage("a", 1, 1.0)),)),
            InputError,
            "reads 'b', which no earlier step writes",
        ),
        (
            lambda: Pipeline(
                steps=(*chain((stage("a", 2, 1.0),)), Step(name="b", positions=1, reads=(("a", np.array([2])),)))
            ),
            InputError,
            "reads 1 of 'a', which has 2",
        ),
        (lambda: Pipeline(steps=chain((stage("a", 1, 1.0),))).schedule(0), InputError, "images is 0"),
    ],
)
def test_bad_pipelines(make, error, says):
    with pytest.raises(error, match=says):
        make()
