"""The TrueNorth kernel against its scalar twin, closed forms, another emulator, and itself cut and threaded."""

import importlib
import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neuroemu import kernels
from neuroemu.kernels import truenorth_reference as twin

BUILDS = kernels.builds("truenorth")
MODULES = [importlib.import_module(f"neuroemu.kernels._truenorth_{build}") for build in BUILDS]
RUNS = [twin.run_chip] + [module.run_chip for module in MODULES]
each_run = pytest.mark.parametrize("function", RUNS, ids=["twin", *BUILDS])
COUNT = {name: column for column, name in enumerate(twin.COUNT_NAMES)}
STATE = {"potential": np.int32, "ring": np.uint8, "register": np.uint32}
DTYPES = {
    "axon_type": np.uint8, "stochastic_synapse": np.uint8, "leak": np.int16, "leak_mode": np.uint8,
    "threshold": np.int32, "negative_threshold": np.int32, "reset": np.int32, "reset_mode": np.uint8,
    "threshold_bits": np.uint8, "route": np.int32,
}  # fmt: skip


def chip(cores=1, *, crossbar=False, weight=1, potential=0, seed=1, lfsr=False, position=None, **registers):
    """All arguments but inputs and ticks; registers not given are off. crossbar is bool, spread to (C, 256, 256)."""
    registers = {"threshold": 2**18 - 1, "negative_threshold": 2**18 - 1, "route": -1} | registers
    full = {n: np.array(np.broadcast_to(registers.get(n, 0), (cores, 256)), d) for n, d in DTYPES.items()}
    bits = np.packbits(np.broadcast_to(crossbar, (cores, 256, 256)), axis=2, bitorder="little")
    position = np.zeros((cores, 2)) if position is None else position
    return full | {
        "crossbar": bits, "weight": np.array(np.broadcast_to(weight, (cores, 4, 256)), np.int16),
        "position": np.asarray(position, np.int16), "seed": seed, "core_seed": np.arange(cores, dtype=np.uint32),
        "lfsr": lfsr, "potential": np.array(np.broadcast_to(potential, (cores, 256)), np.int32),
        "ring": np.zeros((16, cores, 32), np.uint8), "register": np.arange(1, cores + 1, dtype=np.uint32) * 999_983,
    }  # fmt: skip


def run(function, given, inputs=(), *, ticks, group=None, **more):
    """Everything that the run writes, from copies of its state; spikes as bool (T, C, 256)."""
    cores = len(given["crossbar"])
    state = {name: given[name].copy() for name in STATE}
    out = {
        "spikes_out": np.full((ticks, cores, 32), 9, np.uint8), "probe_out": np.full((ticks, cores, 256), -9, np.int32),
        "counts": np.zeros((ticks, len(COUNT)), np.int64),
    }  # fmt: skip
    rows = np.arange(cores, dtype=np.int32)
    inputs = np.array(inputs, np.int32).reshape(-1, 3)
    if group is not None:
        out["group_counts"] = np.zeros((int(group.max()) + 1, len(COUNT)), np.int64)
        more["group"] = group
    function(inputs, ticks=ticks, recorded=rows, probed=rows, **(given | state | out), **more)
    spikes = np.unpackbits(out["spikes_out"], axis=2, bitorder="little").astype(bool)
    return out | state | {"spikes": spikes}


def total(result, name):
    return int(result["counts"][:, COUNT[name]].sum())


def same(first, second):
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def random_chip(rng, cores, *, modes=None, size=300, lfsr=False, density=0.3, uniform=0.5):
    """Random cores; `modes` fixes registers, `size` bounds thresholds, resets and potentials."""

    def draw(low, high, each=(256,)):
        one = rng.random() < uniform
        return np.broadcast_to(
            rng.integers(low, high, (cores, *(1 for _ in each)) if one else (cores, *each)), (cores, *each)
        )

    target = rng.integers(0, cores, (cores, 256)) << 12 | draw(0, 256) << 4 | draw(1, 16)
    registers = {
        "axon_type": draw(0, 4), "stochastic_synapse": draw(0, 16), "leak": draw(-256, 256) * rng.integers(0, 2),
        "leak_mode": draw(0, 4), "threshold": draw(0, size), "negative_threshold": draw(0, size),
        "reset": draw(1 - size, size), "reset_mode": draw(0, 3) | draw(0, 2) << 2, "threshold_bits": draw(0, 18),
        "route": np.where(rng.random((cores, 256)) < 0.9, target, -1),
    } | (modes or {})  # fmt: skip
    return chip(
        cores, crossbar=rng.random((cores, 256, 256)) < density, weight=rng.integers(-256, 256, (cores, 4, 256)),
        potential=draw(-size, size), seed=int(rng.integers(2**63)), lfsr=lfsr,
        position=rng.integers(0, 200, (cores, 2)), **registers,
    )  # fmt: skip


def random_inputs(rng, cores, ticks, n):
    return np.stack([np.sort(rng.integers(0, ticks, n)), rng.integers(0, cores, n), rng.integers(0, 256, n)], axis=1)


# ---------------------------------------------------------------- against the twin

MODES = list(itertools.product((0, 1, 2), (0, 4), (0, 1, 2, 3), (0, 15), (0, 5)))


@pytest.mark.parametrize("lfsr", [False, True])
@pytest.mark.parametrize("gamma, kappa, leak_mode, stochastic, bits", MODES)
def test_every_mode_equals_the_twin(gamma, kappa, leak_mode, stochastic, bits, lfsr):
    rng = np.random.default_rng([gamma, kappa, leak_mode, stochastic, bits])
    modes = {"reset_mode": gamma | kappa, "leak_mode": leak_mode, "stochastic_synapse": stochastic}
    modes |= {"threshold_bits": bits, "leak": rng.integers(-40, 41, 256)}
    given = random_chip(rng, 1, modes=modes, size=60, lfsr=lfsr, density=0.1, uniform=0)
    inputs = random_inputs(rng, 1, 4, 60)
    want = run(twin.run_chip, given, inputs, ticks=4)
    assert want["spikes"].any() and not want["spikes"].all()
    for module in MODULES:
        same(want, run(module.run_chip, given, inputs, ticks=4))


relaxed = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@relaxed
@given(st.integers(0, 2**32), st.sampled_from([2, 300, 2**18]), st.booleans(), st.sampled_from([0, 1, 20, 400]))
def test_equals_the_twin_for_mixed_modes_and_pieces(key, size, lfsr, active):
    rng = np.random.default_rng(key)
    cores, ticks = int(rng.integers(1, 4)), 5
    quiet = (
        {} if rng.random() < 0.5 else {"leak": 0, "threshold_bits": 0, "threshold": size, "negative_threshold": size}
    )
    density, uniform = rng.choice([0.02, 0.5, 1.0]), rng.choice([0, 0.5, 1])
    given = random_chip(rng, cores, modes=quiet, size=size, lfsr=lfsr, density=density, uniform=uniform)
    inputs = random_inputs(rng, cores, ticks, active * cores)
    start = int(rng.integers(2**40))
    group = rng.integers(0, 2, cores, np.int32)
    want = run(twin.run_chip, given, inputs, ticks=ticks, first_tick=start, group=group)
    for module in MODULES:
        same(want, run(module.run_chip, given, inputs, ticks=ticks, first_tick=start, group=group))
        cut = int(rng.integers(1, ticks))
        early = inputs[:, 0] < cut
        first = run(module.run_chip, given, inputs[early], ticks=cut, first_tick=start)
        state = {name: first[name] for name in STATE}
        later = inputs[~early] - (cut, 0, 0)
        last = run(module.run_chip, given | state, later, ticks=ticks - cut, first_tick=start + cut)
        joined = {name: np.concatenate((first[name], last[name])) for name in ("spikes", "probe_out", "counts")}
        same({name: want[name] for name in joined} | {n: want[n] for n in STATE}, joined | {n: last[n] for n in STATE})


@pytest.mark.parametrize("reset_mode", [0, 1, 2, 4, 5, 6])
@pytest.mark.parametrize("uniform, leak", [(0, 0), (0, -3), (1, 0), (1, 2)])
def test_neurons_without_chance_equal_the_twin(reset_mode, uniform, leak):
    """The loops for plain cores: same or different registers, settled or not, few axons, many, all; near 20 bits."""
    rng = np.random.default_rng([reset_mode, uniform, leak + 9])
    modes = {"reset_mode": reset_mode, "leak_mode": 0, "stochastic_synapse": 0, "threshold_bits": 0, "leak": leak}
    given = random_chip(rng, 3, modes=modes, size=3000, density=0.5, uniform=uniform)
    given["weight"][0] = rng.integers(-128, 128, (4, 256))
    given["weight"][1] = rng.integers(-20, 21, (4, 1)) if uniform else rng.integers(-20, 21, (4, 256))
    if not uniform:
        given["weight"][1, reset_mode % 4, 7] = rng.choice([-129, 128])  # the only one beyond 8 bits
    given["potential"][2] = rng.choice([-(2**19), -(2**19) + 9, 2**19 - 300, 2**19 - 1, 0], 256)
    rows = [
        (t, core, axon)
        for t, n in enumerate((0, 1, 13, 40, 256))
        for core in range(3)
        for axon in rng.permutation(256)[:n]
    ]
    want = run(twin.run_chip, given, rows, ticks=6)
    for module in MODULES:
        same(want, run(module.run_chip, given, rows, ticks=6))


@pytest.mark.parametrize("module", MODULES, ids=BUILDS)
@pytest.mark.parametrize("lfsr", [False, True])
def test_threads_change_nothing(module, lfsr):
    rng = np.random.default_rng(3)
    given = random_chip(rng, 300, modes={"stochastic_synapse": 0, "leak": 1}, lfsr=lfsr, density=0.1)
    inputs = random_inputs(rng, 300, 20, 20_000)
    want = run(module.run_chip, given, inputs, ticks=20, threads=1)
    assert total(want, "merges") > 1000
    group = (np.arange(300, dtype=np.int32) // 7) % 5
    by_group = run(module.run_chip, given, inputs, ticks=20, group=group)["group_counts"]
    np.testing.assert_array_equal(by_group.sum(axis=0), want["counts"].sum(axis=0))
    for threads in (2, 3):
        same(want, run(module.run_chip, given, inputs, ticks=20, threads=threads))
        again = run(module.run_chip, given, inputs, ticks=20, threads=threads, group=group)
        same(want | {"group_counts": by_group}, again)


# ---------------------------------------------------------------- closed forms and hand-made traces


@each_run
@pytest.mark.parametrize(
    "mode, after",
    [
        (0, [[0, 7, 5, -7, -9]]), (1, [[2, 0, 5, -1, -9]]), (2, [[12, 10, 5, -11, -9]]),
        (4, [[7, 7, 5, -10, -9]]), (5, [[2, 0, 5, -10, -9]]), (6, [[12, 10, 5, -10, -9]]),
    ],
)  # fmt: skip
def test_the_six_reset_modes(function, mode, after):
    """alpha = beta = 10, R = 7: V = 12, 10, 5, -11, -9 in one tick without input."""
    start = np.zeros(256, int)
    start[:5] = 12, 10, 5, -11, -9
    out = run(function, chip(threshold=10, negative_threshold=10, reset=7, reset_mode=mode, potential=start), ticks=1)
    after = [[7 if mode in (0, 4) else after[0][0], *after[0][1:]]]
    assert out["probe_out"][0, :, :5].tolist() == after
    assert out["spikes"][0, 0, :5].tolist() == [True, True, False, False, False]


@each_run
def test_leaks(function):
    """Added as it is; with reversal towards or away from 0, at rest at 0, and overshooting it as the equation says."""
    start = np.zeros(256, int)
    start[:4] = 7, -7, 0, 2
    plain = run(function, chip(leak=-3, potential=start), ticks=3)["probe_out"][:, 0, :4]
    assert plain.T.tolist() == [[4, 1, -2], [-10, -13, -16], [-3, -6, -9], [-1, -4, -7]]
    down = run(function, chip(leak=-3, leak_mode=2, potential=start), ticks=4)["probe_out"][:, 0, :4]
    assert down.T.tolist() == [[4, 1, -2, 1], [-4, -1, 2, -1], [0, 0, 0, 0], [-1, 2, -1, 2]]
    away = run(function, chip(leak=3, leak_mode=2, potential=start), ticks=2)["probe_out"][:, 0, :4]
    assert away.T.tolist() == [[10, 13], [-10, -13], [0, 0], [5, 8]]


@each_run
def test_saturation_at_20_bits_is_counted(function):
    top, bottom = 2**19 - 1, -(2**19)
    start = np.zeros(256, int)
    start[:3] = top - 10, bottom + 10, top
    weight = np.zeros((4, 256), int)
    weight[:, :2] = 255, -256
    given = chip(crossbar=True, weight=weight, leak=-5, potential=start, reset_mode=2)
    out = run(function, given, [(0, 0, 3)], ticks=1)
    assert out["probe_out"][0, 0, :4].tolist() == [top - 5, bottom, top - 5, -5]
    assert total(out, "saturations") == 3  # the sums of neurons 0 and 1, and the leak of neuron 1


@each_run
@pytest.mark.parametrize("mode", [0, 4])
def test_a_reset_near_20_bits_saturates_in_each_later_tick(function, mode):
    given = chip(crossbar=True, weight=20, threshold=30, reset=2**19 - 5, reset_mode=mode)
    out = run(function, given, [(t, 0, 3) for t in range(5)], ticks=5)
    assert out["counts"][:, COUNT["saturations"]].tolist() == [0, 0, 256, 256, 256]


@each_run
def test_axon_types_weights_and_events(function):
    """Neuron j hears the axons below j; axon a has type a % 4 and adds 10^type."""
    weight = np.array([1, 10, 100, 255])[:, None]
    given = chip(crossbar=np.triu(np.ones((256, 256), bool), 1), axon_type=np.arange(256) % 4, weight=weight)
    out = run(function, given, [(0, 0, a) for a in range(256)], ticks=1)
    count = np.stack([(np.arange(256) + 3 - g) // 4 for g in range(4)])
    assert out["probe_out"][0, 0].tolist() == (count * weight).sum(0).tolist()
    assert total(out, "synaptic_events") == 256 * 255 // 2


@each_run
def test_delays_reach_their_tick_only(function):
    """Neuron j fires in tick 0, with delay 1 + j % 15, at axon j of core 1; that core's neuron j hears axon j."""
    j = np.arange(256)
    route = np.stack([1 << 12 | j << 4 | (1 + j % 15), np.full(256, -1)])
    given = chip(2, crossbar=np.eye(256, dtype=bool), route=route, threshold=1, potential=[[1] * 256, [0] * 256])
    out = run(function, given, ticks=20)
    tick, neuron = np.nonzero(out["spikes"][:, 1])
    assert sorted(zip(neuron, tick, strict=True)) == [(n, 1 + n % 15) for n in range(256)]
    assert out["counts"][:, COUNT["active_cores"]].tolist() == [1] + 15 * [1] + 4 * [0]
    assert total(out, "output_spikes") == 256


@each_run
def test_merges_and_settled_cores(function):
    """All 256 neurons of core 0 send to one axon: one event there, 255 merges; then nothing is left to do."""
    given = chip(2, crossbar=True, route=[[1 << 12 | 7 << 4 | 2], [-1]], threshold=1, potential=[[1], [0]], weight=0)
    out = run(function, given, [(2, 1, 7)], ticks=6)
    assert total(out, "merges") == 256  # one more: the spike from outside met them
    assert total(out, "synaptic_events") == 256
    assert out["counts"][:, COUNT["active_cores"]].tolist() == [1, 0, 1, 0, 0, 0]
    assert total(out, "neuron_updates") == 512


@each_run
def test_hops_along_x_then_y_and_over_chips(function):
    place = [(0, 0), (5, 63), (70, 2)]
    route = np.full((3, 256), -1)
    route[0, :2] = 1 << 12 | 1, 2 << 12 | 1
    route[1, 0], route[2, :2] = 2 << 12 | 1, (0 << 12 | 1, 2 << 12 | 1)
    start = np.zeros((3, 256), int)
    start[0, :2] = start[1, :3] = start[2, :2] = 1
    out = run(function, chip(3, route=route, position=place, threshold=1, potential=start), ticks=1)
    east, west, north, south = (total(out, f"hops_{name}") for name in ("east", "west", "north", "south"))
    assert (east, west, north, south) == (5 + 70 + 65, 70, 63 + 2, 61 + 2)
    assert total(out, "chip_crossings") == 3 and total(out, "output_spikes") == 2


# ---------------------------------------------------------------- random modes against probabilities

TICKS = 40
SIGMAS = 5


def close(share, probability, n):
    assert abs(share - probability) <= SIGMAS * np.sqrt(probability * (1 - probability) / n) + 1e-12, (
        share,
        probability,
    )


statistics = pytest.mark.parametrize("lfsr", [False, True], ids=["counters", "register"])
fast = pytest.mark.parametrize("function", RUNS[-1:], ids=BUILDS[-1:])


@fast
@statistics
@pytest.mark.parametrize("size", [0, 1, 100, -100, 255, -256])
def test_stochastic_leak_and_synapse_act_with_their_probability(function, lfsr, size):
    chance = min(1, (abs(size) + 1) / 256) if size else 0
    leaking = run(function, chip(leak=size, leak_mode=1, lfsr=lfsr), ticks=TICKS)["potential"]
    close(np.sign(size) * leaking.mean() / TICKS, chance, 256 * TICKS)
    inputs = [(t, 0, a) for t in range(TICKS) for a in (3, 130, 200)]
    given = chip(crossbar=True, weight=size, stochastic_synapse=15, lfsr=lfsr)
    hearing = run(function, given, inputs, ticks=TICKS)["potential"]
    close(np.sign(size) * hearing.mean() / TICKS / 3, chance, 256 * TICKS * 3)


@fast
@statistics
@pytest.mark.parametrize("bits", [1, 4, 17])
def test_random_thresholds_are_uniform(function, lfsr, bits):
    """V stands at a quarter of the range: it passes alpha + eta where eta is not above that."""
    quarter = (1 << bits) // 4
    given = chip(threshold=0, negative_threshold=0, threshold_bits=bits, reset_mode=2, potential=quarter, lfsr=lfsr)
    spikes = run(function, given, ticks=TICKS)["spikes"]
    close(spikes.mean(), (quarter + 1) / (1 << bits), spikes.size)
    below = run(
        function,
        given
        | {
            "potential": np.full((1, 256), -quarter - 1, np.int32),
            "reset_mode": np.zeros((1, 256), np.uint8),
            "reset": np.full((1, 256), -1, np.int32),
        },
        ticks=1,
    )
    close((below["potential"] == 1).mean(), (quarter + 1) / (1 << bits), 256)


@fast
def test_draws_differ_between_ticks_neurons_cores_and_seeds(function):
    given = chip(3, leak=127, leak_mode=1)
    one = np.diff(run(function, given, ticks=64)["probe_out"], axis=0).reshape(63, -1)
    other = np.diff(run(function, given | {"seed": 2}, ticks=64)["probe_out"], axis=0).reshape(63, -1)
    for first, second in (
        (one[1:], one[:-1]),
        (one[:, 1:], one[:, :-1]),
        (one[:, :256], one[:, 256:512]),
        (one, other),
    ):
        close((first == second).mean(), 0.5, first.size)


def test_the_shift_register_has_full_length():
    """x^32 + x^22 + x^2 + x + 1 is primitive: x has order 2^32 - 1 modulo it."""
    polynomial = 1 << 32 | 1 << 22 | 1 << 2 | 1 << 1 | 1

    def power(exponent):
        result, base = 1, 2
        while exponent:
            if exponent & 1:
                result = multiply(result, base)
            base, exponent = multiply(base, base), exponent >> 1
        return result

    def multiply(a, b):
        product = 0
        for i in range(32):
            product ^= a << i if b >> i & 1 else 0
        for i in range(63, 31, -1):
            product ^= polynomial << (i - 32) if product >> i & 1 else 0
        return product

    assert power(2**32 - 1) == 1
    assert all(power((2**32 - 1) // prime) != 1 for prime in (3, 5, 17, 257, 65537))
    registers = np.array([1], np.uint32)
    bits = [twin.ShiftRegister(registers, 0).draw(1) for _ in range(200)]  # its reciprocal
    assert all(bits[t] == bits[t - 1] ^ bits[t - 2] ^ bits[t - 22] ^ bits[t - 32] for t in range(32, 200))


# ---------------------------------------------------------------- what could leave memory


@pytest.mark.parametrize("module", MODULES, ids=BUILDS)
@pytest.mark.parametrize(
    "change, message",
    [
        ({"axon_type": np.full((1, 256), 4, np.uint8)}, "axon_type"),
        ({"threshold_bits": np.full((1, 256), 18, np.uint8)}, "threshold_bits"),
        ({"route": np.full((1, 256), 1 << 12 | 1, np.int32)}, "route outside"),
        ({"route": np.zeros((1, 256), np.int32)}, "delay 0"),
        ({"leak": np.zeros((1, 255), np.int16)}, "leak has shape"),
        ({"ring": np.zeros((15, 1, 32), np.uint8)}, "ring has shape"),
        ({"group": np.ones(1, np.int32), "group_counts": np.zeros((1, 13), np.int64)}, "group outside"),
    ],
)
def test_arrays_that_would_leave_memory_are_refused(module, change, message):
    with pytest.raises(ValueError, match=message):
        run(module.run_chip, chip() | change, ticks=2)


@pytest.mark.parametrize("module", MODULES, ids=BUILDS)
@pytest.mark.parametrize("wrong", [(2, 0, 0), (0, 1, 0), (0, 0, 256), (0, 0, -1), (-1, 0, 0), (0, -1, 0)])
def test_inputs_outside_are_refused(module, wrong):
    for rows in ([wrong], [(0, 0, 3)] * 40 + [wrong], [(0, 0, 3), wrong] + [(0, 0, 3)] * 40, [(1, 0, 0), (0, 0, 0)]):
        with pytest.raises(ValueError, match="an input"):
            run(module.run_chip, chip(), rows, ticks=2)


@pytest.mark.parametrize("module", MODULES, ids=BUILDS)
def test_spikes_are_listed(module):
    """Against numpy, for rows of no spike, few and all; without room it only counts."""
    rng = np.random.default_rng(1)
    bits = rng.random((9, 5, 256)) < rng.choice([0, 0.01, 0.2, 1], (9, 5, 1))
    packed, cores = np.packbits(bits, axis=2, bitorder="little"), np.array([1, 3, 4, 70, 5000])
    want = np.argwhere(bits)
    want[:, 1] = cores[want[:, 1]]
    out = np.full((len(want) + 64, 3), -1, np.int32)
    assert module.count_spikes(packed) == len(want) == module.list_spikes(packed, cores, out)
    np.testing.assert_array_equal(out[: len(want)], want)
    assert module.list_spikes(packed, cores, out[:0]) == len(want)
    counts = rng.integers(0, 9, (4, 13))
    assert module.total_counts(counts) == counts.sum(axis=0).tolist()
    narrow = np.empty((2, 3), np.int32)
    assert module.narrow_inputs(np.arange(6).reshape(2, 3), narrow) and narrow.ravel().tolist() == [*range(6)]
    for wrong in (-1, 2**31, 2**32):
        assert not module.narrow_inputs(np.full((2, 3), wrong), narrow)


# ---------------------------------------------------------------- another emulator


@each_run
def test_two_cores_of_ranc(function):
    """Both reset modes of RANC's C++ emulator over 1,000 ticks, recorded by golden/make_ranc_golden.py."""
    with np.load(Path(__file__).parents[1] / "golden" / "ranc_two_cores.npz") as golden:
        g = dict(golden)
    inputs = np.unpackbits(g["inputs"]).reshape(1000, 256)
    want = np.unpackbits(g["spikes"]).reshape(1000, 2, 256)[:, :, 1::2].astype(bool)
    other = np.array([[1], [0]]) << 12
    route = np.where(np.arange(256) % 2 == 0, other | g["axon"].astype(int) << 4 | g["delay"], -1)
    given = chip(
        2, crossbar=np.unpackbits(g["crossbar"]).reshape(2, 256, 256).astype(bool), axon_type=g["axon_types"],
        weight=g["weights"], potential=g["potential"], route=route,
        **{name: g[name] for name in ("leak", "threshold", "negative_threshold", "reset", "reset_mode")},
    )  # fmt: skip
    ticks = 40 if function is twin.run_chip else 1001  # RANC's bus shows a tick when the next one begins
    tick, axon = np.nonzero(inputs[:ticks])
    out = run(function, given, np.stack([tick, np.zeros_like(tick), axon], axis=1), ticks=ticks)
    np.testing.assert_array_equal(out["spikes"][:1000, :, 1::2], want[:ticks])
    if ticks > 1000:
        assert total(out, "merges") == g["merges"] > 1000
