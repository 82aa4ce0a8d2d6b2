"""Continuous neurons in plain Brian2 beside run_spiking: same spikes and bits; monitors, groups, store and report."""

import numpy as np
import pytest

from neuroemu import load, run_spiking
from neuroemu.errors import ArgumentTypeError, InputError, UnsupportedError
from neuroemu.network import layers as L
from neuroemu.network import neurons as N
from neuroemu.network.graph import Network
from neuroemu.network.neuron_steps import EULER, EXACT, LAVA, SINABS, SPYX, Method
from neuroemu.spiking import to_brian2

METHODS = [EXACT, EULER, SINABS, SPYX, LAVA, Method(reset="subtract", input_delay=3)]
DT = 1e-3


@pytest.fixture(autouse=True)
def b2():
    """brian2 with the numpy target, as it was afterwards."""
    import brian2

    target = brian2.prefs.codegen.target
    brian2.prefs.codegen.target = "numpy"
    brian2.start_scope()
    yield brian2
    brian2.prefs.codegen.target = target


def neurons(kind, name, shape, rng, **more):
    ranges = {
        "tau": (2.0, 9.0), "tau_mem": (2.0, 9.0), "tau_syn": (2.0, 9.0), "r": (0.5, 2.0), "v_leak": (-0.2, 0.2),
        "w_in": (0.5, 2.0), "v_threshold": (0.2, 1.0), "v_reset": (-0.3, 0.1),
    }  # fmt: skip
    values = {field: rng.uniform(*ranges[field], shape) for field in kind.PARAMETERS}
    for field in ("tau", "tau_mem", "tau_syn"):
        if field in values:
            values[field] *= DT
    if kind in (N.IF, N.Integrator):
        values["r"] /= DT
    return kind(name=name, **values, **more)


def small_network(first=N.CubaLIF, last=N.LIF):
    rng = np.random.default_rng(5)
    loop = {"recurrent_weight": rng.normal(size=(20, 20)) / 3, "recurrent_bias": rng.normal(size=20) / 9}
    return Network(
        layers=(
            L.Dense(name="a", weight=rng.normal(size=(20, 30)), bias=rng.normal(size=20) / 9),
            neurons(first, "1", (20,), rng, **loop),
            L.Dense(name="b", weight=rng.normal(size=(6, 20))),
            neurons(last, "last", (6,), rng),
        ),
        input_shape=(30,),
    )


def raster(monitor, steps, n):
    found = np.zeros((steps, n), bool)
    found[np.rint(np.asarray(monitor.t) / DT).astype(int), np.asarray(monitor.i)] = True
    return found


def assert_same(b2, network, x, method, spiking, potentials):
    """Spikes and potentials of Brian2 are those of the compiled engine, bit by bit."""
    with b2.utils.logger.catch_logs() as warnings:
        made = to_brian2(network, x, dt=DT, method=method, record=(*spiking, *(f"{n}.v" for n in potentials)))
        made.network.run(len(x) * DT * b2.second)
    assert not warnings
    keep = (*spiking, *(f"{n}.v" for n in potentials))
    kept = run_spiking(network, x[:, None], dt=DT, method=method, keep=keep, engine="compiled")[1]
    for name in spiking:
        want = kept[name].reshape(len(x), -1)
        assert 0 < want.mean() < 1, name
        np.testing.assert_array_equal(raster(made.monitors[name], *want.shape), want, err_msg=name)
    for name in potentials:
        want = kept[f"{name}.v"].reshape(len(x), -1)
        np.testing.assert_array_equal(np.asarray(made.monitors[f"{name}.v"].v).T, want, err_msg=name)
    return made


@pytest.mark.parametrize(
    "first, method",
    [*((N.CubaLIF, method) for method in METHODS), *((k, m) for k in (N.IF, N.LIF) for m in METHODS[3:5])],
)
def test_same_bits_as_the_engine(b2, first, method):
    last = {N.IF: N.LI, N.LIF: N.Integrator, N.CubaLIF: N.CubaLI}[first]
    network = small_network(first, last)
    x = np.random.default_rng(0).random((60, 30)) < 0.1
    assert_same(b2, network, x, method, ["1"], ["1", "last"])


@pytest.mark.parametrize("platform, method", [("norse", EULER), ("nengo", EXACT), ("sinabs", SINABS), ("spyx", SPYX)])
def test_one_neuron_of_the_nir_paper(b2, test_data, platform, method):
    given, _, spikes = np.loadtxt(test_data / "nir" / "lif" / f"lif_{platform}.csv", delimiter=",").T
    fields = {"tau": 2.5e-3, "r": 1.0, "v_leak": 0.0, "v_threshold": 0.1, "v_reset": 0.0}
    layer = N.LIF(name="lif", **{name: np.full(1, value) for name, value in fields.items()})
    network = Network(layers=(L.Dense(name="w", weight=np.ones((1, 1))), layer), input_shape=(1,))
    made = to_brian2(network, (given != 0)[:, None], dt=1e-4, method=method, record=["lif"])
    made.network.run(len(given) * 1e-4 * b2.second)
    np.testing.assert_array_equal(np.rint(np.asarray(made.monitors["lif"].t) / 1e-4), np.flatnonzero(spikes))


def test_the_nmnist_network(b2, test_data):
    """Convolutions, pools and a Flatten; its input is scaled so that the deeper layers spike."""
    network = load(test_data / "nir" / "models" / "cnn_sinabs.nir")
    x = np.random.default_rng(0).random((6, 2, 34, 34)) < 0.15
    made = to_brian2(network, x, dt=1.0, record=["3", "10"])
    made.network.run(6 * b2.second)
    kept = run_spiking(network, x[:, None], dt=1.0, keep=["3", "10"])[1]
    for name in ("3", "10"):
        got = np.zeros(kept[name].reshape(6, -1).shape, bool)
        got[np.rint(np.asarray(made.monitors[name].t)).astype(int), np.asarray(made.monitors[name].i)] = True
        np.testing.assert_array_equal(got, kept[name].reshape(6, -1))
        assert got.any()


@pytest.mark.parametrize("seed", range(3))
def test_groups_strides_and_rearrangements(b2, seed):
    rng = np.random.default_rng(seed)
    conv = {"stride": (2, 1), "padding": ((1, 0), (1, 1)), "dilation": (1, 2), "groups": 2}
    first = L.Conv2d(name="c", weight=rng.normal(size=(6, 2, 2, 3)), bias=rng.normal(size=6) / 9, **conv)
    shape = Network(layers=(first,), input_shape=(4, 7, 6)).output_shape
    layers = [first, neurons(N.LIF, "n", shape, rng), L.Transpose(name="t", axes=(1, 2, 0)), L.Flatten(name="f")]
    layers += [L.Dense(name="d", weight=rng.normal(size=(5, int(np.prod(shape))))), neurons(N.LIF, "m", (5,), rng)]
    network = Network(layers=tuple(layers), input_shape=(4, 7, 6))
    assert_same(b2, network, rng.random((25, 4, 7, 6)) < 0.2, EXACT, ["n", "m"], ["n", "m"])


def test_store_restore_report_and_groups_of_ones_own(b2, capsys):
    network, x = small_network(), np.random.default_rng(1).random((50, 30)) < 0.1
    made = to_brian2(network, x, dt=DT, record=["1", "last"])
    clock = made.groups["1"].clock
    own = b2.NeuronGroup(
        2, "heard : 1\nplenty : 1 (constant)", threshold="heard > plenty", reset="heard = 0", clock=clock
    )
    own.plenty = [5, 1e9]
    listens = b2.Synapses(made.groups["last"], own, on_pre="heard_post += 1")
    listens.connect()
    heard = b2.SpikeMonitor(own)
    made.network.add(own, listens, heard)
    made.network.run(20 * DT * b2.second, report="text")
    told = capsys.readouterr()
    assert "(100%) simulated" in told.out + told.err
    made.network.store()
    made.network.run(30 * DT * b2.second)
    first = [raster(made.monitors[name], 50, n) for name, n in (("1", 20), ("last", 6))]
    made.network.restore()
    made.network.run(30 * DT * b2.second)
    again = [raster(made.monitors[name], 50, n) for name, n in (("1", 20), ("last", 6))]
    want, kept = run_spiking(network, x[:, None], dt=DT, keep=["1"])
    for got, also, right in zip(first, again, (kept["1"], want), strict=True):
        np.testing.assert_array_equal(got, right[:, 0])
        np.testing.assert_array_equal(also, got)
    total = int(want.sum())
    assert heard.num_spikes > 0 and total > 5
    assert own.heard[1] == total
    assert set(np.asarray(heard.i)) == {0}


def test_a_source_of_ones_own_and_input_from_elsewhere(b2):
    """A group of the user's sends in the step in which it fires; what others add to `arrived` counts a step later."""
    network = small_network()
    source = b2.NeuronGroup(30, "left : 1", threshold="left < 0.5", reset="left = 5", dt=DT * b2.second)
    source.left = np.arange(30) % 5
    source.run_regularly("left -= 1", when="end")
    made = to_brian2(network, source=source, dt=DT, record=["last", "1.v"])
    made.network.run(40 * DT * b2.second)
    x = (np.arange(40)[:, None] - np.arange(30) % 5) % 5 == 0
    x[:5] &= np.arange(5)[:, None] >= np.arange(30) % 5
    want, kept = run_spiking(network, x[:, None], dt=DT, keep=["1.v"])
    np.testing.assert_array_equal(np.asarray(made.monitors["1.v"].v).T, kept["1.v"][:, 0])
    np.testing.assert_array_equal(raster(made.monitors["last"], 40, 6), want[:, 0])

    quiet = to_brian2(network, dt=DT, record=["1.v"])
    kick = b2.SpikeGeneratorGroup(1, [0], [3 * DT] * b2.second, dt=DT * b2.second)
    into = b2.Synapses(kick, quiet.groups["1"], on_pre="arrived_post += 1")
    into.connect(i=0, j=7)
    quiet.network.add(kick, into)
    quiet.network.run(6 * DT * b2.second)
    calm = run_spiking(network, np.zeros((6, 1, 30), bool), dt=DT, keep=["1.v"])[1]["1.v"][:, 0]
    moved = np.asarray(quiet.monitors["1.v"].v).T != calm
    assert moved[4, 7] and moved[:4].sum() == 0 and moved[4].sum() == 1


@pytest.mark.parametrize(
    "change, error, says",
    [
        ({"x": np.ones((3, 4))}, InputError, "takes (T, *(30,))"),
        ({"x": np.full((3, 30), 0.5)}, InputError, "other than 0 and 1"),
        ({"dt": 0.0}, InputError, "dt is 0"),
        ({"record": ["a"]}, InputError, "record names 'a'"),
        ({"record": ["potential.v"]}, InputError, "record names 'potential.v'"),
        ({"record": "last"}, ArgumentTypeError, "record is 'last'"),
        ({"source": "poisson"}, ArgumentTypeError, "source must be"),
        ({"network": None}, ArgumentTypeError, "network must be"),
    ],
)
def test_bad_arguments(change, error, says):
    with pytest.raises(error) as caught:
        to_brian2(**({"network": small_network(), "dt": DT} | change))
    assert says in str(caught.value)


def test_what_has_no_place():
    rng = np.random.default_rng(0)
    graded = small_network(first=N.LI)
    branch = Network(layers=(neurons(N.LIF, "a", (3,), rng), L.Add(name="b", inputs=("a", "input"))), input_shape=(3,))
    for network, says in ((graded, "LI '1' sends potentials"), (branch, "to_brian2: Add 'b' branches or joins")):
        with pytest.raises(UnsupportedError) as caught:
            to_brian2(network, dt=DT)
        assert says in str(caught.value)
