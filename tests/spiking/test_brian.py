"""LoihiCore in Brian2 against a core in plain Brian2 equations and against the NumPy twin, step by step."""

import shutil
import subprocess
import sys
import tempfile
from types import SimpleNamespace

import numpy as np
import pytest

from neuroemu.errors import ArgumentTypeError, InputError
from neuroemu.kernels import events_reference
from neuroemu.spiking.arithmetic import BRIAN2LOIHI, LOIHI1, encode_weights, pack_weights

STEPS = 150
PARTS = ("u", "v", "spikes")


@pytest.fixture(autouse=True)
def b2():
    """brian2 with the numpy target and steps of 1 ms, as it was afterwards."""
    import brian2

    target = brian2.prefs.codegen.target
    brian2.prefs.codegen.target = "numpy"
    brian2.start_scope()
    brian2.defaultclock.dt = 1 * brian2.ms
    yield brian2
    brian2.defaultclock.dt = 0.1 * brian2.ms
    brian2.prefs.codegen.target = target


def draw(seed):
    """A recurrent network with delays: spikes (T, I), mantissas and delays in and recurrent, registers."""
    rng = np.random.default_rng(seed)
    n_in, n = rng.integers(5, 40, 2)

    def pick(low, high):
        return rng.integers(low, high, n if seed % 2 else None)

    loud = 7 if seed % 3 == 0 else 0  # some networks overflow
    return SimpleNamespace(
        n_in=n_in, n=n, spikes_in=rng.random((STEPS, n_in)) < 0.1,
        w_in=2 * rng.integers(-64, 100, (n_in, n)), w_rec=2 * rng.integers(-120, 110, (n, n)),
        delay_in=rng.integers(0, 63, (n_in, n)), delay_rec=rng.integers(0, 63, (n, n)) if seed % 4 else np.array(5),
        exponent=loud,
        registers={
            "threshold_mantissa": pick(100, 2000) if not loud else pick(60000, 131072),
            "current_decay": pick(0, 1500), "voltage_decay": pick(0, 1500), "refractory": pick(1, 6),
            "bias_mantissa": pick(-50, 90), "bias_exponent": pick(0, 7), "reset": ("zero", "subtract")[seed // 2 % 2],
        },
    )  # fmt: skip


def generator(b2, net):
    times, indices = np.nonzero(net.spikes_in)
    return b2.SpikeGeneratorGroup(net.n_in, indices, times * b2.ms, dt=1 * b2.ms)


def loihi_core(b2, net):
    """The network with our core and our connections."""
    from neuroemu.spiking.brian import LoihiCore

    source, core = generator(b2, net), LoihiCore(net.n, **net.registers)
    core.connect(source, net.w_in, delay=net.delay_in, exponent=net.exponent)
    core.connect(core, net.w_rec, delay=net.delay_rec, exponent=net.exponent)
    return core, [source, core]


def plain_core(b2, net):
    """The same in Brian2's own equations: float64 that holds whole numbers, and Brian2's own synapses."""
    register = dict(net.registers)
    bias = np.asarray(register["bias_mantissa"]) << register["bias_exponent"]
    core = b2.NeuronGroup(
        net.n,
        """u : 1
        v : 1
        q : 1
        left : 1
        held : 1
        du : 1 (constant)
        dv : 1 (constant)
        bias : 1 (constant)
        limit : 1 (constant)
        period : 1 (constant)""",
        threshold="v > limit and held < 0.5",
        reset="left = period - 1; v = " + {"zero": "0", "subtract": "v - limit"}[register["reset"]],
    )
    core.run_regularly(
        """q = q - floor((q + 2**21) / 2**22) * 2**22
        u = sign(u) * floor(abs(u) * (4096 - du) / 4096) + q
        u = u - floor((u + 2**23) / 2**24) * 2**24
        held = int(left > 0)
        level = clip(sign(v) * floor(abs(v) * (4096 - dv) / 4096) + u + bias, 1 - 2**23, 2**23 - 1)
        v = held * v + (1 - held) * level
        left = left - held
        q = 0""",
        when="groups",
    )
    core.du, core.dv, core.bias = register["current_decay"] + 1, register["voltage_decay"], bias
    core.limit, core.period = 64 * np.asarray(register["threshold_mantissa"]), register["refractory"]
    source = generator(b2, net)
    objects = [source, core]
    for group, mantissa, delay in ((source, net.w_in, net.delay_in), (core, net.w_rec, net.delay_rec)):
        objects.append(whole_synapses(b2, group, core, encode_weights(mantissa, exponent=net.exponent), delay))
    return core, objects


def whole_synapses(b2, group, core, w_act, delay):
    """Brian2's own synapses from all to all into q."""
    synapses = b2.Synapses(group, core, "w : 1", on_pre="q_post += w")
    synapses.connect()
    i, j = np.asarray(synapses.i[:]), np.asarray(synapses.j[:])
    synapses.w = w_act[i, j]
    synapses.delay = np.broadcast_to(delay, w_act.shape)[i, j] * b2.ms
    return synapses


def record(b2, core, objects, pieces=(STEPS,)):
    """u, v and spikes (T, N) of a run in pieces."""
    states, spikes = b2.StateMonitor(core, ["u", "v"], record=True, when="end"), b2.SpikeMonitor(core)
    network = b2.Network(*objects, states, spikes)
    for piece in pieces:
        network.run(piece * b2.ms)
    return seen(b2, states, spikes)


def seen(b2, states, spikes):
    fired = np.zeros(np.asarray(states.v).T.shape, bool)
    fired[np.round(spikes.t / b2.ms).astype(int), np.asarray(spikes.i[:])] = True
    return {"u": np.asarray(states.u).T, "v": np.asarray(states.v).T, "spikes": fired}


def twin(net):
    """The same with the NumPy twin: one step at a time, its own spikes being inputs of the next step."""
    w_act = encode_weights(np.vstack((net.w_in, net.w_rec)), exponent=net.exponent)
    weights, shift = pack_weights(w_act)
    n_in, n = w_act.shape

    def full(value):
        return np.array(np.broadcast_to(value, n), np.int32)

    register = net.registers
    layer = {
        "indptr": np.arange(0, n_in * n + 1, n, dtype=np.int32), "target": np.tile(np.arange(n, dtype=np.int32), n_in),
        "row": np.arange(n_in * n, dtype=np.int32), "weights": weights.reshape(-1, 1), "shift": shift,
        "delay": np.vstack((net.delay_in, np.broadcast_to(net.delay_rec, (n, n)))).astype(np.uint8).ravel(),
        "du": full(register["current_decay"] + 1), "dv": full(register["voltage_decay"]),
        "threshold": full(64 * register["threshold_mantissa"]), "refractory": full(register["refractory"]),
        "bias": full(register["bias_mantissa"] << register["bias_exponent"])[None],
        "subtract_reset": register["reset"] == "subtract", **LOIHI1.limits,
    }  # fmt: skip
    state = {name: np.zeros((1, n), np.int32) for name in ("u", "v", "counter")}
    state["ring"] = np.zeros((1, 63, n), np.int32)
    out, counts, fired = {name: [] for name in PARTS}, np.zeros((1, 8), np.int64), np.zeros((1, 1, n), np.uint8)
    late = np.vstack((np.zeros_like(net.spikes_in[:1]), net.spikes_in[:-1]))  # a spike arrives one step later
    for spikes_in in late:
        inputs = np.concatenate((spikes_in[None, None], fired), axis=2)
        fired = np.zeros((1, 1, n), np.uint8)
        events_reference.run_layer(inputs, **layer, **state, spikes_out=fired, counts=counts)
        for name, value in zip(PARTS, (state["u"], state["v"], fired[0]), strict=True):
            out[name].append(value[0].copy())
    return {name: np.array(value) for name, value in out.items()}, counts[0]


def same(first, second):
    for name in PARTS:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


@pytest.mark.parametrize("seed", range(8))
def test_core_equals_plain_equations_and_the_twin(b2, seed):
    net = draw(seed)
    want, counts = twin(net)
    core, objects = loihi_core(b2, net)
    got = record(b2, core, objects)
    same(want, got)
    same(want, record(b2, *plain_core(b2, net)))
    assert want["spikes"].sum() > 50
    assert counts[5:7].sum() > 0 or not net.exponent
    doubled = np.array([1, 1, 1, 2, 2, 1, 1, 1]) if seed // 2 % 2 else 1
    # Counted at delivery here and at arrival there: the spikes of the last step are counted here only.
    mine, last = np.array(list(core.counts.values())), net.spikes_in[-1].sum() + got["spikes"][-1].sum()
    np.testing.assert_array_equal(mine, (counts + np.array([last, last * net.n, 0, 0, 0, 0, 0, 0])) * doubled)


@pytest.mark.slow
@pytest.mark.skipif(not (shutil.which("cc") or shutil.which("gcc")), reason="Brian2's Cython target needs a C compiler")
def test_the_cython_target_gives_the_same(b2):
    net = draw(1)
    want, _ = twin(net)
    b2.prefs.codegen.target = "cython"
    same(want, record(b2, *loihi_core(b2, net)))
    same(want, record(b2, *plain_core(b2, net)))


@pytest.mark.parametrize("seed", [1, 4, 6])  # delays of each synapse; one delay; loud, with dense rows
def test_a_batch_is_that_many_cores(b2, seed):
    """Own spikes into each copy, one source for all of them, and recurrent synapses that stay within a copy."""
    from neuroemu.spiking.brian import LoihiCore

    nets = [draw(seed) for _ in range(3)]
    for k, net in enumerate(nets):
        net.spikes_in = np.random.default_rng(k).random(net.spikes_in.shape) < 0.1
    n, n_in, shared = nets[0].n, nets[0].n_in, 2 * np.random.default_rng(9).integers(-40, 60, (7, nets[0].n))
    common = np.random.default_rng(10).random((STEPS, 7)) < 0.2
    all_in = np.concatenate([net.spikes_in for net in nets], axis=1)
    source = generator(b2, SimpleNamespace(n_in=3 * n_in, spikes_in=all_in))
    beside = generator(b2, SimpleNamespace(n_in=7, spikes_in=common))
    core = LoihiCore(n, batch=3, **nets[0].registers)
    for group, mantissa, delay in ((source, nets[0].w_in, nets[0].delay_in), (beside, shared, 2)):
        core.connect(group, mantissa, delay=delay, exponent=nets[0].exponent)
    core.connect(core, nets[0].w_rec, delay=nets[0].delay_rec, exponent=nets[0].exponent)
    found = record(b2, core, [source, beside, core])
    for copy, net in enumerate(nets):
        net.spikes_in = np.concatenate([net.spikes_in, common], axis=1)
        net.w_in, net.delay_in = np.vstack([net.w_in, shared]), np.vstack([net.delay_in, np.full_like(shared, 2)])
        part = slice(copy * n, (copy + 1) * n)
        same(twin(net)[0], {name: values[:, part] for name, values in found.items()})
    delivered = all_in.sum() + 3 * common.sum() + found["spikes"].sum()
    assert core.counts["synaptic_operations"] == n * delivered and found["spikes"].sum() > 100


def test_a_connection_made_between_runs_finds_all_that_is_under_way(b2):
    """The slots of input turn as the longest delay asks; what waits in them stays in order when it grows."""
    from neuroemu.spiking.brian import LoihiCore

    early, late = (b2.SpikeGeneratorGroup(1, [0], [t] * b2.ms, dt=1 * b2.ms) for t in (3, 6))
    core = LoihiCore(**silent(3))
    core.connect(early, np.full((1, 3), 10), delay=4)
    states = b2.StateMonitor(core, "v", record=[0], when="end")
    network = b2.Network(early, late, core, states)
    network.run(6 * b2.ms)
    core.connect(late, np.full((1, 3), 40), delay=40)
    network.run(44 * b2.ms)
    v = np.asarray(states.v)[0]
    assert (np.flatnonzero(np.diff(v)) + 1).tolist() == [8, 47] and v[-1] == 50 * 64


def test_a_batch_needs_weights_that_fit_its_source(b2):
    from neuroemu.spiking.brian import LoihiCore

    core = LoihiCore(**silent(3), batch=2)
    with pytest.raises(InputError, match=r"needs \(from, to\) = \(2, 3\) or \(4, 3\)"):
        core.connect(b2.PoissonGroup(4, rates=1 * b2.Hz), np.zeros((3, 3), int))
    with pytest.raises(InputError, match=r"needs \(from, to\) = \(5, 3\)"):
        core.connect(b2.PoissonGroup(5, rates=1 * b2.Hz), np.zeros((3, 3), int))
    with pytest.raises(InputError, match="batch"):
        LoihiCore(**silent(3), batch=0)


@pytest.mark.parametrize("pieces", [(1, 62, 7, 80), (75, 75)])
def test_a_split_run_is_the_whole_run(b2, pieces):
    net = draw(1)
    same(twin(net)[0], record(b2, *loihi_core(b2, net), pieces=pieces))


def test_restore_returns_to_the_stored_moment(b2):
    net = draw(3)
    core, objects = loihi_core(b2, net)
    states, spikes = b2.StateMonitor(core, ["u", "v"], record=True, when="end"), b2.SpikeMonitor(core)
    network = b2.Network(*objects, states, spikes)
    network.run(70 * b2.ms)
    network.store()
    network.run((STEPS - 70) * b2.ms)
    first, counts = seen(b2, states, spikes), core.counts
    network.restore()
    assert core.counts != counts
    network.run((STEPS - 70) * b2.ms)
    same(first, seen(b2, states, spikes))
    same(first, twin(net)[0])
    assert core.counts == counts


def test_synapses_of_brian2_are_as_good_as_connect(b2):
    from neuroemu.spiking.brian import LoihiCore

    net = draw(5)
    source, core = generator(b2, net), LoihiCore(net.n, **net.registers)
    own = [
        whole_synapses(b2, source, core, encode_weights(net.w_in), net.delay_in),
        whole_synapses(b2, core, core, encode_weights(net.w_rec), net.delay_rec),
    ]
    same(twin(net)[0], record(b2, core, [source, core, *own]))


def silent(n, **more):
    """Registers of a core that only adds up its input."""
    return {"n": n, "threshold_mantissa": 131071, "current_decay": 4095, "voltage_decay": 0, **more}


def test_all_kinds_of_sources_and_slices(b2):
    """A Poisson group, a slice of another, a neuron group and another core, each to a core of its own."""
    from neuroemu.spiking.brian import LoihiCore

    b2.seed(1)
    poisson = b2.PoissonGroup(4, rates=300 * b2.Hz)
    many = b2.PoissonGroup(9, rates="i * 100 * Hz")
    group = b2.NeuronGroup(4, "x : 1", threshold="rand() < 0.2", reset="x += 1")
    other = LoihiCore(4, threshold_mantissa=10, current_decay=4095, voltage_decay=0, bias_mantissa=[0, 100, 200, 300])
    mantissa = 2 * np.arange(12).reshape(4, 3)
    monitors, cores = [], []
    for source in (poisson, many[2:6], group, other):
        core = LoihiCore(**silent(3))
        core.connect(source, mantissa)
        cores.append(core)
        monitors.append(b2.SpikeMonitor(source))
    slice_monitor = b2.SpikeMonitor(other[2:4])
    after = b2.NeuronGroup(2, "got : 1")
    synapses = b2.Synapses(other[2:4], after, on_pre="got_post += 1")
    synapses.connect("i == j")
    groups = [poisson, many, group, other, after, synapses]
    b2.Network(*groups, *cores, *monitors, slice_monitor).run(50 * b2.ms)
    for core, monitor in zip(cores, monitors, strict=True):
        arrived = np.bincount(monitor.i[monitor.t < 48.5 * b2.ms], minlength=4)  # one step under way
        assert arrived.sum() > 2
        assert np.asarray(core.v[:]).tolist() == (64 * arrived @ mantissa).tolist()
    # v passes 640 in every 7th, 4th and 3rd of the 50 steps
    assert slice_monitor.count[:].tolist() == after.got[:].tolist() == [12, 16]
    assert other.counts["output_spikes"] == monitors[3].num_spikes == 7 + 12 + 16


def test_a_core_has_steps_of_one_millisecond_and_sees_each_spike_of_a_faster_source_once(b2):
    from neuroemu.spiking.brian import LoihiCore

    fast = b2.SpikeGeneratorGroup(1, [0, 0, 0, 0], [0.1, 0.5, 1.0, 2.7] * b2.ms, dt=0.1 * b2.ms)
    core = LoihiCore(**silent(1))
    core.connect(fast, [[2]])
    states = b2.StateMonitor(core, "v", record=True, when="end")
    b2.Network(fast, core, states).run(5 * b2.ms)
    assert core.clock.dt == 1 * b2.ms
    # a spike at 1.0 ms is emitted in the step that starts there, and arrives in the next
    assert (np.asarray(states.v[0]) / 128).tolist() == [0, 2, 3, 4, 4]


def test_connections_take_part_without_being_added_and_show_what_they_do(b2):
    from neuroemu.spiking.brian import LoihiCore

    source = b2.SpikeGeneratorGroup(2, [0, 1], [0, 0] * b2.ms)
    core = LoihiCore(**silent(2, name="mine"))
    connection = core.connect(source, [[3, 5], [-7, 9]], delay=[[0, 1], [2, 3]])
    assert connection.w_act.tolist() == [[128, 256], [-384, 512]]
    assert connection.delay.tolist() == [[0, 1], [2, 3]]
    assert "mine" in repr(connection) and repr(core) == "<LoihiCore 'mine' with 2 neurons>"
    assert len(core) == 2
    network = b2.Network(source, core)
    network.run(3 * b2.ms)
    assert (core.v[:].tolist(), core.spikes.tolist()) == ([128, 256], [])
    network.run(3 * b2.ms)
    assert core.v[:].tolist() == [128 - 384, 256 + 512]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": 0}, "n is 0; allowed: 1"),
        ({"threshold_mantissa": 131072}, "threshold_mantissa has 131072; allowed: 0 to 131071"),
        ({"current_decay": 4096}, "current_decay has 4096; allowed: 0 to 4095"),
        ({"voltage_decay": [0, -1, 0]}, "voltage_decay has -1; allowed: 0 to 4096"),
        ({"bias_mantissa": 4096}, "bias_mantissa has 4096; allowed: -4096 to 4095"),
        ({"bias_exponent": 8}, "bias_exponent has 8; allowed: 0 to 7"),
        ({"refractory": 0}, "refractory has 0; allowed: 1 to 64"),
        ({"refractory": [1, 2]}, "refractory has shape"),
        ({"reset": "soft"}, "reset is 'soft'; choose from 'zero', 'subtract'"),
    ],
)
def test_registers_out_of_range(change, message):
    from neuroemu.spiking.brian import LoihiCore

    with pytest.raises(InputError, match=message):
        LoihiCore(**(silent(3) | change))


def test_connections_out_of_range(b2):
    from neuroemu.spiking.brian import LoihiCore

    source, core = b2.PoissonGroup(2, rates=1 * b2.Hz), LoihiCore(**silent(3))
    for mantissa, more, message in (
        (np.zeros((3, 2), int), {}, r"mantissa has shape \(3, 2\); needs \(from, to\) = \(2, 3\)"),
        (np.full((2, 3), 300), {}, "has 300"),
        (np.zeros((2, 3), int), {"delay": 63}, "delay has 63; allowed: 0 to 62"),
        (np.zeros((2, 3), int), {"delay": [1, 2, 3]}, "delay has shape"),
    ):
        with pytest.raises(InputError, match=message):
            core.connect(source, mantissa, **more)
    with pytest.raises(ArgumentTypeError, match="source"):
        core.connect("poisson", np.zeros((2, 3), int))
    with pytest.raises(InputError, match="threshold"):
        core.connect(b2.NeuronGroup(2, "x : 1"), np.zeros((2, 3), int))
    with pytest.raises(InputError, match="empty"):
        core[2:2]
    with pytest.raises(ArgumentTypeError, match="slice"):
        core[1]
    with pytest.raises(ArgumentTypeError, match="Convention"):
        LoihiCore(**silent(3, convention="loihi1"))


@pytest.mark.parametrize("w", [0.5, 1e10])
def test_input_that_is_no_whole_number_stops_the_run(b2, w):
    from neuroemu.spiking.brian import LoihiCore

    source, core = b2.SpikeGeneratorGroup(1, [0], [1] * b2.ms), LoihiCore(**silent(2))
    synapses = b2.Synapses(source, core, "w : 1", on_pre="q_post += w")
    synapses.connect()
    synapses.w = w
    with pytest.raises(InputError, match="2 neurons got a q that is no whole number"):
        b2.Network(source, core, synapses).run(5 * b2.ms)


def test_a_convention_without_limits_does_not_wrap_in_silence(b2):
    from neuroemu.spiking.brian import LoihiCore

    ticks = b2.SpikeGeneratorGroup(1, [0] * 600, np.arange(600) * b2.ms)
    for convention in (LOIHI1, BRIAN2LOIHI):
        core = LoihiCore(**silent(1, convention=convention, current_decay=0, voltage_decay=4096))
        core.connect(ticks, [[254]], exponent=7)
        if convention is LOIHI1:
            b2.Network(ticks, core).run(600 * b2.ms)
            assert core.counts["u_wraps"] > 0
        else:
            with pytest.raises(InputError, match="u went beyond 29 bits"):
                b2.Network(ticks, core).run(600 * b2.ms)
        ticks = b2.SpikeGeneratorGroup(1, [0] * 600, np.arange(600) * b2.ms)


def python(code):
    """Run code in a fresh interpreter: what it sets stays there."""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, timeout=120, cwd=tempfile.gettempdir())


def test_a_standalone_device_is_refused():
    python("""
import brian2, neuroemu.errors, neuroemu.spiking.brian as b
brian2.set_device("cpp_standalone", build_on_run=False)
try:
    b.LoihiCore(1, threshold_mantissa=1, current_decay=1, voltage_decay=1)
except neuroemu.errors.UnsupportedError as error:
    assert "runtime" in str(error)
else:
    raise SystemExit("not refused")
""")


def test_import_leaves_brian2_alone():
    python("""
import sys, neuroemu.spiking.brian as b
assert "brian2" not in sys.modules
assert b.LoihiCore is b.LoihiCore and "brian2" in sys.modules
""")
    import neuroemu.spiking.brian

    with pytest.raises(AttributeError, match="TrueNorth"):
        _ = neuroemu.spiking.brian.TrueNorth
