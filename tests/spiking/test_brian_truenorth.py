"""TrueNorthCore in Brian2 against a core in plain Brian2 equations, the scalar twin and `run_truenorth`."""

from types import SimpleNamespace

import numpy as np
import pytest

from neuroemu import kernels
from neuroemu.errors import ArgumentTypeError, InputError
from neuroemu.kernels import truenorth_reference as twin
from neuroemu.spiking import NeuronParameters, TrueNorthCoreProgram, TrueNorthProgram, run_truenorth

TICKS = 40
SIZE = 256


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


def draw(seed, cores=2, *, random=False, lfsr=False, ticks=TICKS):
    """Cores whose neurons have all modes between them, and spikes of 60 sources onto axons with delays."""
    rng = np.random.default_rng(seed)
    j = np.arange(SIZE)
    modes = {"reset_mode": j % 3, "saturate": j // 3 % 2, "leak_reversal": j // 6 % 2}
    if random:
        modes |= {"stochastic_leak": j // 12 % 2, "threshold_bits": 5 * (j // 24 % 2)}
        modes["stochastic_synapse"] = np.tile(j // 48 % 2, (4, 1))
    made = []
    for _ in range(cores):
        neurons = NeuronParameters(
            weights=rng.integers(-120, 120, (4, SIZE)), leak=rng.integers(-30, 31, SIZE),
            threshold=rng.integers(20, 300, SIZE), negative_threshold=rng.integers(0, 300, SIZE),
            reset=rng.integers(-40, 15, SIZE), **modes,
        )  # fmt: skip
        targets = np.stack([rng.integers(-1, cores, SIZE), rng.integers(0, SIZE, SIZE), rng.integers(1, 16, SIZE)], 1)
        made.append(
            TrueNorthCoreProgram(
                crossbar=rng.random((SIZE, SIZE)) < 0.1, axon_types=rng.integers(0, 4, SIZE), neurons=neurons,
                targets=targets, potential=rng.integers(-200, 200, SIZE),
            )
        )  # fmt: skip
    program = TrueNorthProgram(cores=made, shift_register=lfsr)
    fired = np.stack(np.nonzero(rng.random((ticks, 60)) < 0.1), 1)
    axons, delays = rng.integers(0, cores * SIZE, 60), rng.integers(1, 16, 60)
    return SimpleNamespace(program=program, fired=fired, axons=axons, delays=delays, ticks=ticks)


def generator(b2, net):
    return b2.SpikeGeneratorGroup(60, net.fired[:, 1], net.fired[:, 0] * b2.ms, dt=1 * b2.ms)


def record(b2, group, objects, pieces=(TICKS,)):
    """v and spikes (T, N) of a run in pieces."""
    states, spikes = b2.StateMonitor(group, "v", record=True, when="end"), b2.SpikeMonitor(group, when="end")
    network = b2.Network(*objects, group, states, spikes)
    for piece in pieces:
        network.run(piece * b2.ms)
    return seen(b2, states, spikes)


def seen(b2, states, spikes):
    fired = np.zeros(np.asarray(states.v).T.shape, bool)
    fired[np.round(spikes.t / b2.ms).astype(int), np.asarray(spikes.i[:])] = True
    return {"v": np.asarray(states.v).T, "spikes": fired}


def kernel_run(net, seed=0):
    """The same with run_truenorth, and its counts; spikes that arrive after the end are left out."""
    tick, source = net.fired.T
    events = np.stack([tick + net.delays[source], net.axons[source] // SIZE, net.axons[source] % SIZE], 1)
    cores = range(len(net.program.cores))
    events = events[events[:, 0] < net.ticks]
    out = run_truenorth(net.program, events, net.ticks, seed=seed, record=cores, probe=cores)
    spikes = np.zeros((net.ticks, len(cores), SIZE), bool)
    spikes[tuple(out.spikes.T)] = True
    return {"v": out.potentials.reshape(net.ticks, -1), "spikes": spikes.reshape(net.ticks, -1)}, out.counts


def same(first, second):
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def brian_core(b2, net, **more):
    from neuroemu.spiking import TrueNorthCore

    source, core = generator(b2, net), TrueNorthCore(net.program, **more)
    core.connect(source, net.axons, delay=net.delays)
    return core, [source]


EQUATIONS = """v : 1
total : 1
fired : 1
leak : 1 (constant)
reversal : 1 (constant)
alpha : 1 (constant)
beta : 1 (constant)
r : 1 (constant)
gamma : 1 (constant)
kappa : 1 (constant)"""

TICK = """v = clip(v + total, -2**19, 2**19 - 1)
v = clip(v + leak * (1 - reversal + reversal * sign(v)), -2**19, 2**19 - 1)
total = 0
fired = int(v >= alpha)
low = (1 - fired) * int(v < -beta)
above = int(gamma == 0) * r + int(gamma == 1) * (v - alpha) + int(gamma == 2) * v
under = int(gamma == 0) * -r + int(gamma == 1) * (v + beta) + int(gamma == 2) * v
under = kappa * -beta + (1 - kappa) * under
v = fired * above + low * under + (1 - fired - low) * v"""


def plain_core(b2, net):
    """The same in Brian2's own equations and synapses: float64 that holds whole numbers, one group of axons.

    A tick: axons fire in 'thresholds', their synapses add up, the neurons follow in 'after_synapses', and their spikes
    leave after 'resets'.
    """
    cores = net.program.cores
    axons = b2.NeuronGroup(len(cores) * SIZE, "active : 1", threshold="active > 0.5", reset="active = 0")
    axons.resetter["spike"].when = "after_thresholds"
    neurons = b2.NeuronGroup(len(cores) * SIZE, EQUATIONS, threshold="fired > 0.5")
    neurons.run_regularly(TICK, when="after_synapses")
    neurons.set_event_schedule("spike", when="before_resets")
    names = {"leak": "leak", "reversal": "leak_reversal", "alpha": "threshold", "beta": "negative_threshold"}
    names |= {"r": "reset", "gamma": "reset_mode", "kappa": "saturate"}
    for ours, theirs in names.items():
        setattr(neurons, ours, np.concatenate([getattr(core.neurons, theirs) for core in cores]).astype(float))
    neurons.v = np.concatenate([core.potential for core in cores])
    source = generator(b2, net)
    outside = b2.Synapses(source, axons, on_pre="active_post = 1")
    outside.connect(i=np.arange(60), j=net.axons)
    outside.delay = (net.delays - 1) * b2.ms
    crossbar = b2.Synapses(axons, neurons, "w : 1", on_pre="total_post += w")
    places = [np.nonzero(core.connections()) for core in cores]
    crossbar.connect(
        i=np.concatenate([SIZE * k + a for k, (a, _) in enumerate(places)]),
        j=np.concatenate([SIZE * k + n for k, (_, n) in enumerate(places)]),
    )
    crossbar.w = np.concatenate(
        [c.neurons.weights[c.axon_types[a], n] for c, (a, n) in zip(cores, places, strict=True)]
    )
    target, axon, delay = np.concatenate([core.targets for core in cores]).T
    kept = np.flatnonzero(target >= 0)
    inside = b2.Synapses(neurons, axons, on_pre="active_post = 1")
    inside.pre.when = "after_resets"
    inside.connect(i=kept, j=(SIZE * target + axon)[kept])
    inside.delay = (delay - 1)[kept] * b2.ms
    return neurons, [axons, source, outside, crossbar, inside]


@pytest.mark.parametrize("seed", [1, 2])
def test_core_equals_plain_equations_in_every_deterministic_mode(b2, seed):
    net = draw(seed)
    want = record(b2, *plain_core(b2, net))
    core, objects = brian_core(b2, net)
    same(want, record(b2, core, objects))
    same(want, kernel_run(net)[0])
    assert want["spikes"].any(axis=0).mean() > 0.5 and (want["v"] < 0).any()
    assert core.counts["merges"] > 20


@pytest.mark.parametrize("lfsr", [False, True])
@pytest.mark.parametrize("random", [False, True])
def test_core_equals_the_twin_in_every_mode(b2, random, lfsr, monkeypatch):
    net = draw(3, cores=1, random=random, lfsr=lfsr, ticks=20)
    core, objects = brian_core(b2, net, seed=7)
    got = record(b2, core, objects, pieces=(20,))
    same(got, kernel_run(net, seed=7)[0])
    slow = SimpleNamespace(**(vars(kernels.truenorth) | {"run_chip": twin.run_chip}))
    monkeypatch.setattr(kernels, "truenorth", slow)
    same(got, kernel_run(net, seed=7)[0])
    if random:
        assert (got["v"] != kernel_run(net, seed=8)[0]["v"]).any()


def test_counts_and_warnings_are_those_of_the_run(b2):
    net = draw(4)
    net.fired = net.fired[net.fired[:, 0] < TICKS - 15]  # none under way at the end
    core, objects = brian_core(b2, net)
    record(b2, core, objects)
    assert core.counts == kernel_run(net)[1]
    assert "merged" in core.warnings[0]


def test_a_split_run_is_the_whole_run_and_restore_returns(b2):
    net = draw(5, random=True, lfsr=True)
    core, objects = brian_core(b2, net)
    states, spikes = b2.StateMonitor(core, "v", record=True, when="end"), b2.SpikeMonitor(core)
    network = b2.Network(*objects, core, states, spikes)
    network.run(13 * b2.ms)
    network.store()
    network.run((TICKS - 13) * b2.ms)
    first, counts = seen(b2, states, spikes), core.counts
    network.restore()
    assert core.counts != counts
    network.run((TICKS - 13) * b2.ms)
    same(first, seen(b2, states, spikes))
    same(first, kernel_run(net)[0])
    assert core.counts == counts


def test_synapses_of_brian2_are_as_good_as_connect(b2):
    from neuroemu.spiking import TrueNorthCore

    net = draw(6)
    source, core = generator(b2, net), TrueNorthCore(net.program)
    synapses = b2.Synapses(source, core, on_pre="axon_post += 1")
    synapses.connect(i=np.arange(60), j=net.axons)
    synapses.delay = (net.delays - 1) * b2.ms
    want, counts = kernel_run(net)
    same(want, record(b2, core, [source, synapses]))
    assert core.counts == counts


def test_two_objects_are_one_program_of_two_cores(b2):
    """Spikes of a slice of one core reach another through `connect`, as routes inside a program do."""
    from neuroemu.spiking import TrueNorthCore

    neurons = NeuronParameters(weights=[5, 0, 0, 0], threshold=5, leak=0)
    alone = TrueNorthCoreProgram(crossbar=np.eye(SIZE, dtype=bool), neurons=neurons)
    first, second = TrueNorthCore(alone), TrueNorthCore(alone)
    source = b2.SpikeGeneratorGroup(3, [0, 1, 2], [0, 0, 4] * b2.ms)
    first.connect(source, [100, 101, 99], delay=[1, 2, 3])
    second.connect(first[100:102], [7, 8], delay=15)
    spikes = b2.SpikeMonitor(second)
    b2.Network(source, first, second, spikes).run(30 * b2.ms)
    assert [(round(t / b2.ms), i) for t, i in zip(spikes.t, spikes.i, strict=True)] == [(16, 7), (17, 8)]
    assert first.counts["spikes"] == 3 and first.spikes.tolist() == []
    assert repr(second.contained_objects[0]).startswith("<TrueNorthConnection")


def test_what_is_out_of_range_is_refused(b2):
    from neuroemu.spiking import TrueNorthCore

    one = TrueNorthCoreProgram(crossbar=np.eye(SIZE, dtype=bool), neurons=NeuronParameters(weights=[1, 0, 0, 0]))
    core, source = TrueNorthCore(one), b2.SpikeGeneratorGroup(2, [0], [0] * b2.ms)
    for axons, delay, message in (
        ([0, 256], 1, "axons has 256; allowed: -1 to 255"),
        ([0, 1, 2], 1, "axons has shape"),
        (0, 16, "delay has 16; allowed: 1 to 15"),
        (0, 0, "delay has 0"),
    ):
        with pytest.raises(InputError, match=message):
            core.connect(source, axons, delay=delay)
    with pytest.raises(ArgumentTypeError, match="source"):
        core.connect("poisson", 0)
    with pytest.raises(ArgumentTypeError, match="program"):
        TrueNorthCore("program")
    with pytest.raises(InputError, match="seed"):
        TrueNorthCore(one, seed=-1)
    synapses = b2.Synapses(source, core, on_pre="axon_post += 0.5")
    synapses.connect(i=0, j=3)
    with pytest.raises(InputError, match="let on_pre add 1"):
        b2.Network(source, core, synapses).run(3 * b2.ms)
    other = TrueNorthCore(one)
    other.v = 2**19
    with pytest.raises(InputError, match="v spans"):
        b2.Network(other).run(1 * b2.ms)
