"""Both engines of run_spiking: published networks, random graphs, batches and threads, memory, what is recorded."""

import tracemalloc
from dataclasses import dataclass, replace
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroemu import kernels
from neuroemu.errors import InputError, UnsupportedError
from neuroemu.kernels import floating_reference
from neuroemu.network import layers as L
from neuroemu.network import neurons as N
from neuroemu.network import record_spiking, run_spiking
from neuroemu.network.files import load
from neuroemu.network.graph import Network
from neuroemu.network.neuron_steps import EULER, EXACT, LAVA, SINABS, SPYX, Method

METHODS = [EXACT, EULER, SINABS, SPYX, LAVA, Method(reset="subtract", input_delay=3)]


def neurons(kind, name, shape, rng=None, **more):
    """Neurons whose potentials pass their thresholds now and then, under drives of about 1."""
    rng = rng or np.random.default_rng(0)
    ranges = {
        "tau": (2.0, 9.0), "tau_mem": (2.0, 9.0), "tau_syn": (2.0, 9.0), "r": (0.5, 2.0), "v_leak": (-0.2, 0.2),
        "w_in": (0.5, 2.0), "v_threshold": (0.2, 1.0), "v_reset": (-0.3, 0.1),
    }  # fmt: skip
    return kind(name=name, **{f: rng.uniform(*ranges[f], shape) for f in kind.PARAMETERS}, **more)


def weights(rng, *shape):
    """Weights whose sums are exact in float64, as are those of their products with small whole numbers."""
    return rng.integers(-64, 65, shape).astype(np.float32) / 64


def assert_equal_engines(network, x, **how):
    """All tensors and potentials have the same bits in both engines."""
    names = [*network.shapes, *(f"{n.name}.v" for n in network.layers if isinstance(n, N.Neuron))]
    found = [record_spiking(network, x, keep=names, engine=engine, **how) for engine in ("compiled", "numpy")]
    for name in names:
        assert found[0].kept[name].dtype == found[1].kept[name].dtype, name
        np.testing.assert_array_equal(found[0].kept[name], found[1].kept[name], err_msg=name)
    return found[0]


# -- published networks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, dt, method",
    [
        ("lif_norse", 1e-4, EULER),
        ("lif_rockpool", 1e-4, SINABS),
        ("cnn_sinabs", 1.0, EXACT),
        ("braille_noDelay_bias_zero", 1e-4, EULER),
        ("braille_noDelay_noBias_subtract", 1e-4, Method(decay="euler", gain="euler", reset="subtract")),
    ],
)
def test_published_networks_have_the_same_bits_in_both_engines(test_data, name, dt, method):
    network = load(test_data / "nir" / "models" / f"{name}.nir")
    rng = np.random.default_rng(0)
    x = rng.random((30, 2, *network.input_shape)) < 0.3
    run = record_spiking(network, x, dt=dt, method=method, keep=network.shapes)
    want = record_spiking(network, x, dt=dt, method=method, keep=network.shapes, engine="numpy")
    assert (run.engine, want.engine) == ("compiled", "numpy")
    for tensor in network.shapes:
        np.testing.assert_array_equal(run.kept[tensor], want.kept[tensor], err_msg=tensor)


# -- random networks ----------------------------------------------------------------------------------------------

KINDS = st.sampled_from(list(N.KINDS.values()))


@st.composite
def graphs(draw):
    """Networks of images, then of vectors, with branches, pools, loops and all kinds of neurons."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    groups = draw(st.sampled_from([1, 2]))
    channels = groups * draw(st.sampled_from([1, 4, 5]))
    conv = {"stride": draw(st.sampled_from([1, 2])), "padding": draw(st.sampled_from([0, 1])), "groups": groups}
    bias = weights(rng, channels) if draw(st.booleans()) else None
    first = L.Conv2d(name="conv", weight=weights(rng, channels, 2 // groups, 3, 3), bias=bias, **conv)
    shape = Network(layers=(first,), input_shape=(2, 7, 6)).output_shape
    found = [first, neurons(draw(KINDS), "n1", shape, rng)]
    if draw(st.booleans()):
        found += [
            L.Conv2d(name="side", weight=weights(rng, channels, channels, 1, 1), inputs=("n1",)),
            L.Add(name="sum", inputs=("side", "conv" if draw(st.booleans()) else "n1")),
            neurons(draw(KINDS), "n2", shape, rng),
        ]
    if draw(st.booleans()):
        found.append(L.SumPool2d(name="pool", size=2, stride=1))
    found.append(L.Flatten(name="flat"))
    size = Network(layers=tuple(found), input_shape=(2, 7, 6)).output_shape[0]
    keep = draw(st.sampled_from([0.03, 1.0]))  # few synapses are computed one by one
    found.append(L.Dense(name="dense", weight=weights(rng, 9, size) * (rng.random((9, size)) < keep)))
    spiking = draw(st.sampled_from([N.IF, N.LIF, N.CubaLIF]))
    loop = {"recurrent_weight": weights(rng, 9, 9), "recurrent_bias": weights(rng, 9)} if draw(st.booleans()) else {}
    found.append(neurons(spiking, "n3", (9,), rng, **loop))
    if draw(st.booleans()):
        found.append(neurons(draw(KINDS), "n4", (9,), rng))  # neurons behind neurons
    return Network(layers=tuple(found), input_shape=(2, 7, 6)), rng


@settings(max_examples=60, deadline=None)
@given(graphs(), st.sampled_from(METHODS), st.booleans(), st.integers(1, 4))
def test_random_networks_have_the_same_bits_in_both_engines(made, method, real, threads):
    network, rng = made
    x = rng.integers(-2, 3, (12, 3, 2, 7, 6)) * 0.5 if real else rng.random((12, 3, 2, 7, 6)) < 0.4
    drawn = [n for n in network.layers if isinstance(n, N.Neuron)]
    exact = all(n.SPIKES for n in drawn[:-1])  # a potential that is multiplied on has sums that are not exact
    if exact:
        assert_equal_engines(network, x, dt=1.0, method=method, threads=threads, batch=2)
        return
    first = f"{drawn[0].name}.v"
    found = [run_spiking(network, x, dt=1.0, method=method, keep=[first], engine=e)[1] for e in ("auto", "numpy")]
    np.testing.assert_array_equal(found[0][first], found[1][first])


@settings(max_examples=25, deadline=None)
@given(graphs(), st.sampled_from(METHODS), st.sampled_from(["float64", "float32"]))
def test_random_networks_have_the_bits_of_the_twin(made, method, precision):
    """Real numbers everywhere: the engine with the NumPy twin in place of the kernel."""
    network, rng = made
    layers = [
        replace(x, weight=rng.normal(size=x.weight.shape) * (x.weight != 0)) if isinstance(x, L.Weighted) else x
        for x in network.layers
    ]
    network = network.replace(layers=tuple(layers))
    names = [*network.shapes, *(f"{n.name}.v" for n in network.layers if isinstance(n, N.Neuron))]
    x = rng.normal(size=(4, 2, 2, 7, 6)) * (rng.random((4, 2, 2, 7, 6)) < 0.5)
    how = {"dt": 1.0, "method": method, "precision": precision, "keep": names, "threads": 1}
    found = run_spiking(network, x, **how)[1]
    with mock.patch.object(kernels, "floating", floating_reference):
        want = run_spiking(network, x, **how)[1]
    for name in names:
        np.testing.assert_array_equal(found[name], want[name], err_msg=name)


def test_potentials_go_through_weights_and_loops_to_rounding():
    """Sums of real numbers: BLAS adds in another order, so they agree to rounding."""
    rng = np.random.default_rng(1)
    network = Network(
        layers=(
            L.Dense(name="a", weight=rng.normal(size=(40, 30)) / 6),
            neurons(N.CubaLI, "n", (40,), rng, recurrent_weight=rng.normal(size=(40, 40)) / 20),
            L.Dense(name="b", weight=rng.normal(size=(6, 40)) / 6),
            neurons(N.LI, "m", (6,), rng),
        ),
        input_shape=(30,),
    )
    x = rng.normal(size=(50, 3, 30))
    found = [run_spiking(network, x, dt=1.0, engine=engine) for engine in ("compiled", "numpy")]
    assert np.abs(found[1]).max() > 0.1
    np.testing.assert_allclose(*found, rtol=0, atol=1e-5)


def test_a_dense_layer_works_on_the_last_axis():
    rng = np.random.default_rng(2)
    network = Network(
        layers=(
            L.Dense(name="w", weight=weights(rng, 4, 5), bias=weights(rng, 4)),
            neurons(N.LIF, "n", (3, 4), rng),
            L.Transpose(name="t", axes=(1, 0)),
            L.Dense(name="u", weight=weights(rng, 2, 3)),
            neurons(N.IF, "m", (4, 2), rng),
        ),
        input_shape=(3, 5),
    )
    run = assert_equal_engines(network, rng.random((20, 3, 3, 5)) < 0.4, dt=1.0)
    assert 0 < run.outputs.mean() < 1


# -- what the bits do not depend on -------------------------------------------------------------------------------


def wide_network(rng):
    loop = {"recurrent_weight": rng.normal(size=(90, 90)) / 9}
    return Network(
        layers=(
            L.Dense(name="a", weight=rng.normal(size=(150, 200)) / 5),
            neurons(N.LIF, "n", (150,), rng),
            L.Dense(name="b", weight=rng.normal(size=(90, 150)) / 5, bias=rng.normal(size=90) / 9),
            neurons(N.CubaLIF, "m", (90,), rng, **loop),
        ),
        input_shape=(200,),
    )


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("method", [EXACT, LAVA])
def test_threads_batches_and_cuts_in_time_do_not_matter(monkeypatch, precision, method):
    rng = np.random.default_rng(3)
    network, x = wide_network(rng), rng.random((60, 130, 200)) < 0.07
    how = {"dt": 1.0, "method": method, "precision": precision, "keep": ["m.v", "n"]}
    want, kept = run_spiking(network, x, threads=1, batch=130, **how)
    assert 0.01 < kept["n"].mean() < 0.6 and 0.01 < want.mean() < 0.6
    assert kept["m.v"].dtype == precision
    for threads, batch, cut in ((2, 16, 1 << 20), (4, 7, 1 << 12), (1, 1, 1)):
        monkeypatch.setattr("neuroemu.network.compiled_steps.BLOCK_BYTES", cut)
        got, also = run_spiking(network, x, threads=threads, batch=batch, **how)
        np.testing.assert_array_equal(got, want)
        np.testing.assert_array_equal(also["m.v"], kept["m.v"])


def test_bytes_floats_and_strides_are_the_same_inputs():
    rng = np.random.default_rng(4)
    network, x = wide_network(rng), rng.random((20, 6, 200)) < 0.1
    want = run_spiking(network, x, dt=1.0)
    turned = np.ascontiguousarray(x.swapaxes(0, 1)).swapaxes(0, 1)
    backward = np.ascontiguousarray(x[..., ::-1])[..., ::-1]
    for same in (x.astype(np.uint8), x.astype(np.int64), x.astype(np.float32), x.astype(float), turned, backward):
        np.testing.assert_array_equal(run_spiking(network, same, dt=1.0), want)
    np.testing.assert_array_equal(
        run_spiking(network, 3 * x.astype(np.uint8), dt=1.0), run_spiking(network, 3.0 * x, dt=1.0)
    )


def test_many_images_need_memory_for_their_outputs_only():
    rng = np.random.default_rng(5)
    network = wide_network(rng)
    x = (rng.random((40, 1000, 200)) < 0.05).astype(np.uint8)
    beyond = []
    for images in (200, 1000):
        tracemalloc.start()
        out = run_spiking(network, x[:, :images], dt=1.0, threads=1)
        beyond.append(tracemalloc.get_traced_memory()[1] - out.nbytes)
        tracemalloc.stop()
    assert out.nbytes == 40 * 1000 * 90
    assert beyond[1] < beyond[0] + 200_000 < 4_000_000  # some kilobytes for each block of images


def test_single_precision_stays_close():
    rng = np.random.default_rng(6)
    network = Network(
        layers=(L.Dense(name="w", weight=rng.normal(size=(70, 50))), neurons(N.CubaLI, "n", (70,), rng)),
        input_shape=(50,),
    )
    x = rng.random((40, 3, 50)) < 0.2
    double, single = (run_spiking(network, x, dt=1.0, precision=p) for p in ("float64", "float32"))
    assert single.dtype == np.float32
    assert 0 < np.abs(single - double).max() < 1e-5


# -- what is recorded, what is refused ----------------------------------------------------------------------------


def test_the_record_says_how_it_was_computed():
    rng = np.random.default_rng(7)
    sparse = np.zeros((30, 40), np.float32)
    sparse[np.arange(30), np.arange(30)] = 1
    network = Network(
        layers=(
            L.Dense(name="a", weight=sparse),
            L.Reshape(name="r", shape=(1, 5, 6)),
            L.SumPool2d(name="p", size=1),
            L.Conv2d(name="c", weight=weights(rng, 2, 1, 3, 3), padding=1),
            L.Flatten(name="f"),
            L.Dense(name="d", weight=weights(rng, 4, 60)),
            neurons(N.LIF, "n", (4,), rng, recurrent_weight=weights(rng, 4, 4)),
        ),
        input_shape=(40,),
    )
    x = np.zeros((5, 2, 40), bool)
    x[0, 0, 8] = x[1, 1, 39] = True  # an inner place of the image, and an input without a synapse
    run = record_spiking(network, x, dt=1.0, keep=["f"])
    assert run.engine == "compiled" and run.precision == "float64"
    assert run.how["a"] == "compiled, sparse" and run.how["c"] == "compiled, convolution"
    assert run.how["d"] == "compiled, dense" and run.how["p"] == "NumPy"
    assert {name: run.additions[name] for name in "acd"} == {
        "a": 1, "c": 9 * 2, "d": 4 * np.count_nonzero(run.kept["f"])
    }  # fmt: skip
    assert run.additions["n"] == 4 * run.outputs[:-1].sum()
    assert "additions" in str(run) and "compiled" in str(run)
    plain = record_spiking(network, x, dt=1.0, engine="numpy")
    assert (plain.engine, plain.reason, dict(plain.additions)) == ("numpy", "asked for", {})


@dataclass(frozen=True, eq=False, kw_only=True)
class _Other(N.LIF):
    """A kind of neuron of somebody else."""


def test_what_the_kernel_does_not_know_runs_in_numpy():
    layer = _Other(name="n", **{field: np.ones(2) for field in N.LIF.PARAMETERS})
    network = Network(layers=(layer,), input_shape=(2,))
    run = record_spiking(network, np.ones((3, 1, 2)), dt=0.5)
    assert run.engine == "numpy" and "_Other 'n'" in run.reason
    with pytest.raises(InputError, match="_Other 'n' is not a kind"):
        run_spiking(network, np.ones((3, 1, 2)), dt=0.5, engine="compiled")


@pytest.mark.parametrize(
    "change, says",
    [
        ({"engine": "brian2"}, "choose from"),
        ({"precision": "float16"}, "choose from"),
        ({"engine": "numpy", "precision": "float32"}, "float64 only"),
        ({"threads": 0}, "threads is 0"),
    ],
)
def test_wrong_engines(change, says):
    network = Network(layers=(neurons(N.IF, "n", (2,)),), input_shape=(2,))
    with pytest.raises(InputError) as error:
        run_spiking(network, np.ones((3, 1, 2)), dt=0.5, **change)
    assert says in str(error.value)


def test_layers_that_no_engine_computes():
    network = Network(layers=(L.Lif(name="l", threshold=3), neurons(N.IF, "n", (2,))), input_shape=(2,))
    for engine in ("compiled", "numpy"):
        with pytest.raises(UnsupportedError, match="Lif 'l'"):
            run_spiking(network, np.ones((3, 1, 2)), dt=0.5, engine=engine)


def test_method_of_ones_own_reaches_the_kernel():
    network = Network(layers=(neurons(N.LIF, "n", (2,)),), input_shape=(2,))
    x = np.ones((9, 1, 2))
    assert_equal_engines(network, x, dt=1.0, method=replace(SPYX, input_delay=2))
