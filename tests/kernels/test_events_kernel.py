"""The events kernel against its NumPy twin, against hand-made arithmetic, and against itself cut into pieces."""

import importlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neuroemu import kernels
from neuroemu.kernels import events_reference

BUILDS = kernels.builds("events")
MODULES = [importlib.import_module(f"neuroemu.kernels._events_{build}") for build in BUILDS]
RUNS = [events_reference.run_layer] + [module.run_layer for module in MODULES]
LIMITS = {"q_bits": 21, "u_bits": 23, "v_limit": 2**23 - 1}
STATE = ("u", "v", "counter", "ring")


def neurons(n, *, du=4096, dv=0, threshold=1000, bias=0, refractory=1):
    """Registers of n neurons, the same for all or one a neuron."""
    given = {"du": du, "dv": dv, "threshold": threshold, "refractory": refractory}
    arrays = {name: np.array(np.broadcast_to(value, n), np.int32) for name, value in given.items()}
    bias = np.array(np.broadcast_to(bias, (np.shape(bias)[0] if np.ndim(bias) == 2 else 1, n)), np.int32)
    return {**arrays, "bias": bias, **LIMITS}


def dense(weights, **more):
    """Every input reaches every neuron: weights (I, N)."""
    weights = np.asarray(weights, np.int16)
    n_in = len(weights)
    rows = np.arange(n_in + 1, dtype=np.int32)
    return {"indptr": rows, "target": np.zeros(n_in, np.int32), "row": rows[:-1], "weights": weights, **more}


def outputs(images, steps, n):
    return {
        "spikes_out": np.full((images, steps, n), 9, np.uint8),
        "counts": np.zeros((images, 8), np.int64),
        "probe_u": np.full((images, steps, n), -9, np.int32),
        "probe_v": np.full((images, steps, n), -9, np.int32),
    }


def run(function, spikes_in, layer, **more):
    spikes_in = np.asarray(spikes_in, np.uint8)
    out = outputs(*spikes_in.shape[:2], layer["du"].size)
    function(spikes_in, **layer, **out, **more)
    return out


def same(first, second):
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def fresh_state(rng, images, depth, n):
    """A state in the middle of a run: currents, voltages, refractory counters and input under way."""
    state = {name: rng.integers(-(2**20), 2**20, (images, n)).astype(np.int32) for name in ("u", "v")}
    state["counter"] = (rng.integers(0, 4, (images, n)) * rng.integers(0, 2)).astype(np.int32)
    state["ring"] = rng.integers(-500, 500, (images, depth, n)).astype(np.int32)
    return state


@st.composite
def layers(draw):
    """A layer with all kinds of connectivity and registers, its input spikes, and the ring depth it needs."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    images, steps = draw(st.integers(1, 3)), draw(st.integers(1, 12))
    n_in, n = draw(st.integers(1, 50)), draw(st.integers(1, 70))
    largest = draw(st.sampled_from([1, 127, 2000, 32767]))
    depth = draw(st.sampled_from([0, 0, 1, 5, 63]))
    if draw(st.booleans()):
        layer = dense(rng.integers(-largest, largest + 1, (n_in, n)))
    else:
        length, rows = draw(st.integers(1, n)), draw(st.integers(1, 9))
        indptr = np.cumsum([0, *rng.integers(0, draw(st.sampled_from([2, 9])) + 1, n_in)]).astype(np.int32)
        layer = {
            "indptr": indptr,
            "target": rng.integers(0, n - length + 1, indptr[-1]).astype(np.int32),
            "row": rng.integers(0, rows, indptr[-1]).astype(np.int32),
            "weights": rng.integers(-largest, largest + 1, (rows, length)).astype(np.int16),
        }
    if depth:
        layer["delay"] = rng.integers(0, depth, layer["target"].size).astype(np.uint8)

    def one_or_all(low, high):
        return rng.integers(low, high, n if draw(st.booleans()) else 1)

    layer |= neurons(
        n,
        du=draw(st.sampled_from([0, 4096])) if draw(st.booleans()) else one_or_all(0, 4097),
        dv=draw(st.sampled_from([0, 4096])) if draw(st.booleans()) else one_or_all(0, 4097),
        threshold=one_or_all(0, draw(st.sampled_from([5000, 2**23]))),
        bias=rng.integers(-(2**19), 2**19, (images, n)) if draw(st.booleans()) else one_or_all(-300, 300),
        refractory=1 if draw(st.booleans()) else one_or_all(1, 6),
    )
    layer |= {"shift": draw(st.sampled_from([0, 6, 13])), "subtract_reset": draw(st.booleans())}
    spikes_in = rng.random((images, steps, n_in)) < draw(st.sampled_from([0.02, 0.2, 1.0]))
    return spikes_in, layer, max(depth, 1), rng


relaxed = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@relaxed
@given(layers())
def test_equals_the_twin_in_every_step(drawn):
    spikes_in, layer, _, _ = drawn
    want = run(events_reference.run_layer, spikes_in, layer)
    assert want["counts"][:, 3:5].sum(1).tolist() == [want["spikes_out"][0].size] * len(spikes_in)
    for module in MODULES:
        same(want, run(module.run_layer, spikes_in, layer))


@relaxed
@given(layers(), st.integers(0, 12))
def test_pieces_equal_the_whole(drawn, cut):
    spikes_in, layer, depth, rng = drawn
    images, steps = spikes_in.shape[:2]
    state = fresh_state(rng, images, depth, layer["du"].size)
    cut = min(cut, steps)
    whole_state = {name: value.copy() for name, value in state.items()}
    whole = run(events_reference.run_layer, spikes_in, layer, **whole_state)
    for function in RUNS:
        here = {name: value.copy() for name, value in state.items()}
        first = run(function, spikes_in[:, :cut], layer, **here)
        last = run(function, spikes_in[:, cut:], layer, **here)
        joined = {name: np.concatenate((first[name], last[name]), axis=1) for name in whole if name != "counts"}
        same(whole, joined | {"counts": first["counts"] + last["counts"]})
        same(whole_state, here)


@pytest.mark.parametrize("module", MODULES, ids=BUILDS)
def test_threads_and_batch_split_change_nothing(module):
    rng = np.random.default_rng(5)
    spikes_in = rng.random((9, 60, 700)) < 0.1  # large enough that threads are really used
    layer = dense(rng.integers(-99, 100, (700, 900)), shift=6)
    layer |= neurons(900, du=400, dv=30, threshold=40000, bias=rng.integers(-9, 10, (9, 900)), refractory=2)
    want = run(module.run_layer, spikes_in, layer, threads=1)
    for threads in (2, 4):
        same(want, run(module.run_layer, spikes_in, layer, threads=threads))
    alone = run(module.run_layer, spikes_in[4:5], layer | {"bias": layer["bias"][4:5]}, threads=1)
    same({name: value[4:5] for name, value in want.items()}, alone)


@pytest.mark.parametrize("function", RUNS)
def test_hand_computed_trace(function):
    """One synapse of 640, du = 1024 (keep 3/4), dv = 2048 (keep 1/2), one input spike: rounding toward zero."""
    spikes_in = np.zeros((1, 6, 1))
    spikes_in[0, 1] = 1
    for sign in (1, -1):
        layer = dense([[sign * 10]], shift=6) | neurons(1, du=1024, dv=2048, threshold=10**6)
        out = run(function, spikes_in, layer)
        # u: 640*3/4=480, 360, 270, 202.5 ; v: 640, 320+480, 400+360, 380+270, 325+202
        assert (sign * out["probe_u"].ravel()).tolist() == [0, 640, 480, 360, 270, 202]
        assert (sign * out["probe_v"].ravel()).tolist() == [0, 640, 800, 760, 650, 527]


@pytest.mark.parametrize("function", RUNS)
@pytest.mark.parametrize("period", [1, 2, 3, 64])
def test_refractory_period_is_the_distance_of_spikes_under_strong_drive(function, period):
    layer = dense([[1]]) | neurons(1, bias=5000, threshold=1000, refractory=period)
    spikes = run(function, np.zeros((1, 200, 1)), layer)["spikes_out"].ravel()
    assert np.flatnonzero(spikes).tolist() == list(range(0, 200, period))


@pytest.mark.parametrize("function", RUNS)
def test_threshold_is_strict_and_resets_differ(function):
    layer = dense([[1]]) | neurons(3, bias=[999, 1000, 1001], threshold=1000, dv=4096)
    layer["weights"] = np.zeros((1, 3), np.int16)
    assert run(function, np.zeros((1, 2, 1)), layer)["spikes_out"].tolist() == [[[0, 0, 1], [0, 0, 1]]]
    layer |= {"dv": np.zeros(3, np.int32)}
    zero = run(function, np.zeros((1, 3, 1)), layer)["probe_v"][0]
    less = run(function, np.zeros((1, 3, 1)), layer, subtract_reset=True)["probe_v"][0]
    assert zero.tolist() == [[999, 1000, 0], [0, 0, 0], [999, 1000, 0]]
    assert less.tolist() == [[999, 1000, 1], [998, 1000, 2], [997, 1000, 3]]


@pytest.mark.parametrize("function", RUNS)
def test_synaptic_delay_is_extra_steps(function):
    layer = {
        "indptr": np.array([0, 3], np.int32),
        "target": np.array([0, 1, 2], np.int32),
        "row": np.zeros(3, np.int32),
        "delay": np.array([0, 1, 62], np.uint8),
        "weights": np.ones((1, 1), np.int16),
    } | neurons(3)
    spikes_in = np.zeros((1, 70, 1))
    spikes_in[0, 2] = 1
    arrived = run(function, spikes_in, layer)["probe_u"][0]
    assert np.argwhere(arrived).tolist() == [[2, 0], [3, 1], [64, 2]]


@pytest.mark.parametrize("function", RUNS)
def test_overflows_wrap_clip_and_are_counted(function):
    spikes = np.ones((1, 2, 2))
    top = 32767  # times 64: the largest actual weight; two of them wrap q
    q = run(function, spikes, dense([[top], [top]], shift=6) | neurons(1, threshold=2**30 - 1))
    assert q["probe_u"].ravel().tolist() == [2 * (2**21 - 64) - 2**22] * 2
    assert q["counts"][0, 5:].tolist() == [2, 0, 0]
    steps = np.ones((1, 9, 1))
    u = run(function, steps, dense([[top]], shift=6) | neurons(1, du=0, dv=4096, threshold=2**30 - 1))
    assert u["probe_u"].ravel()[3:6].tolist() == [4 * (2**21 - 64), 5 * (2**21 - 64) - 2**24, 6 * (2**21 - 64) - 2**24]
    assert u["counts"][0, 5:].tolist() == [0, 1, 0]
    v = run(function, steps, dense([[-top]], shift=6) | neurons(1, threshold=2**30 - 1))
    assert v["probe_v"].ravel()[3:6].tolist() == [-4 * (2**21 - 64), 1 - 2**23, 1 - 2**23]
    assert v["counts"][0, 5:].tolist() == [0, 0, 5]


@pytest.mark.parametrize("function", RUNS)
@pytest.mark.parametrize("length", [1, 3, 8, 10, 40])
def test_int16_sums_never_overflow(function, length):
    """All inputs spike with weights of one sign: sums far beyond int16, in the dense and in the edge path."""
    n_in = 3000
    spikes = np.ones((1, 1, n_in))
    layer = dense(np.full((n_in, length), -127)) | neurons(length)
    assert (run(function, spikes, layer)["probe_u"] == -127 * n_in).all()
    twice = layer | {
        "indptr": 2 * np.arange(n_in // 2 + 1, dtype=np.int32),
        "row": layer["row"][:n_in],
    }
    assert (run(function, spikes[:, :, : n_in // 2], twice)["probe_u"] == -127 * n_in).all()


@pytest.mark.parametrize("function", RUNS)
def test_counts_of_a_small_convolution(function):
    """3 inputs, 2-wide kernel, 2 channels: edges differ at the border, so operations differ by input."""
    layer = {
        "indptr": np.array([0, 1, 3, 4], np.int32),
        "target": np.array([0, 0, 2, 2], np.int32),
        "row": np.array([0, 1, 0, 1], np.int32),
        "weights": np.array([[1, 2], [3, 4]], np.int16),
    } | neurons(4, threshold=3)
    spikes = np.array([[[1, 0, 0], [0, 1, 0], [0, 0, 0]]])
    out = run(function, spikes, layer)
    assert out["probe_u"][0].tolist() == [[1, 2, 0, 0], [3, 4, 1, 2], [0, 0, 0, 0]]
    # v before reset: [1 2 0 0], [4 6 1 2], [0 0 1 2]; an update without any non-zero value is inactive
    assert dict(zip(events_reference.COUNT_NAMES, out["counts"][0].tolist(), strict=True)) == {
        "input_spikes": 2, "synaptic_operations": 6, "output_spikes": 2, "active_updates": 2 + 4 + 2,
        "inactive_updates": 2 + 0 + 2, "q_wraps": 0, "u_wraps": 0, "v_clips": 0,
    }  # fmt: skip


@pytest.mark.parametrize("function", RUNS)
def test_initial_voltage_and_bias_of_each_image(function):
    layer = dense([[0, 0]]) | neurons(2, bias=np.array([[1, 2], [30, 40]]))
    out = run(function, np.zeros((2, 2, 1)), layer, initial_voltage=np.array([100, 200], np.int32))
    assert out["probe_v"].tolist() == [[[101, 202], [102, 204]], [[130, 240], [160, 280]]]


@pytest.mark.parametrize("module", MODULES, ids=BUILDS)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target": np.array([0, 1], np.int32)}, "target outside"),
        ({"target": np.array([0, -1], np.int32)}, "target outside"),
        ({"row": np.array([0, 2], np.int32)}, "row outside"),
        ({"indptr": np.array([0, 2, 1], np.int32)}, "indptr"),
        ({"indptr": np.array([0, 1, 3], np.int32)}, "indptr"),
        ({"weights": np.full((2, 3), -32768, np.int16)}, "-32768"),
        ({"delay": np.array([0, 2], np.uint8), "ring": np.zeros((1, 2, 3), np.int32)}, "delay beyond"),
        ({"q_bits": 30}, "q_bits"),
        ({"du": np.zeros(2, np.int32)}, "3 entries"),
        ({"v": np.zeros((2, 3), np.int32)}, "v has shape"),
    ],
)
def test_arrays_that_would_leave_memory_are_refused(module, change, message):
    layer = dense(np.ones((2, 3))) | neurons(3) | {"spikes_in": np.zeros((1, 4, 2), np.uint8)} | outputs(1, 4, 3)
    module.run_layer(**layer)
    with pytest.raises(ValueError, match=message):
        module.run_layer(**(layer | change))


def test_no_images_and_no_steps():
    for function in RUNS:
        for shape in ((0, 3, 2), (2, 0, 2)):
            out = run(function, np.zeros(shape), dense(np.ones((2, 3))) | neurons(3))
            assert out["counts"].sum() == 0


@pytest.mark.parametrize("module", MODULES, ids=BUILDS)
@pytest.mark.parametrize("largest", [127, 128, 32767])  # rows held as int8, and as int16
def test_rows_are_added_modulo_2_16(module, largest):
    rng = np.random.default_rng(largest)
    for n in (1, 10, 64, 129, 300):
        weights = rng.integers(-largest, largest + 1, (40, n)).astype(np.int16)
        weights[0, 0] = -128 if largest == 127 else largest
        chosen = rng.integers(0, 40, 500).astype(np.int32)
        want = weights[chosen].sum(axis=0, dtype=np.int64).astype(np.int16)
        np.testing.assert_array_equal(module.add_rows(weights, chosen), want)
    with pytest.raises(ValueError, match="outside"):
        module.add_rows(weights, np.array([40], np.int32))


@pytest.mark.parametrize("module", MODULES, ids=BUILDS)
def test_images_may_lie_apart_but_not_their_steps(module):
    spikes = (np.random.default_rng(0).random((3, 9, 5)) < 0.5).astype(np.uint8)
    layer = {**dense(np.arange(20).reshape(5, 4)), **neurons(4, threshold=60)}

    def run(read):
        out, counts = np.zeros((3, read.shape[1], 4), np.uint8), np.zeros((3, 8), np.int64)
        module.run_layer(read, **layer, spikes_out=out, counts=counts)
        return out

    np.testing.assert_array_equal(run(spikes[:, 2:8]), run(np.ascontiguousarray(spikes[:, 2:8])))
    with pytest.raises(ValueError, match="one behind the other"):
        run(spikes[:, ::2])


@pytest.mark.parametrize("run", RUNS[1:], ids=BUILDS)
@pytest.mark.parametrize("share", [0.02, 0.4, 1.0])  # up to all 64 of a block of inputs spike at once
def test_every_spike_is_found_however_many_there_are(run, share):
    rng = np.random.default_rng(int(100 * share))
    spikes = (rng.random((2, 6, 203)) < share).astype(np.uint8)
    layer = {**dense(rng.integers(-100, 100, (203, 21))), **neurons(21, threshold=200)}
    found = []
    for function in (events_reference.run_layer, run):
        out, counts = np.zeros((2, 6, 21), np.uint8), np.zeros((2, 8), np.int64)
        function(spikes, **layer, spikes_out=out, counts=counts)
        found.append((out, counts))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])
