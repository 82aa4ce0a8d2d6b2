"""Continuous neurons: published traces of eight platforms, exact solutions of the equations, loops written apart."""

import dataclasses

import numpy as np
import pytest
import scipy.linalg
from hypothesis import example, given, settings
from hypothesis import strategies as st

from neuroemu.errors import ArgumentTypeError, InputError, UnsupportedError
from neuroemu.network import Conv2d, Dense, Flatten, Grid, Network, SumPool2d, run_float, run_integer, run_spiking
from neuroemu.network import neurons as N
from neuroemu.network.neuron_steps import EULER, EXACT, LAVA, SINABS, SPYX, Method, simulate
from neuroemu.network.ops import steady_product
from neuroemu.transform import quantize

TAUS = st.floats(1e-4, 1e-1)
ENGINES = ("compiled", "numpy")


def lif(n=1, *, tau=2.5e-3, r=1.0, leak=0.0, threshold=0.1, reset=0.0, **more):
    values = {"tau": tau, "r": r, "v_leak": leak, "v_threshold": threshold, "v_reset": reset}
    return N.LIF(name="lif", **{k: np.full(n, v) for k, v in values.items()}, **more)


def cuba(n=1, *, mem=2e-3, syn=1e-3, r=1.0, leak=0.0, w_in=1.0):
    values = {"tau_mem": mem, "tau_syn": syn, "r": r, "v_leak": leak, "w_in": w_in}
    return N.CubaLI(name="li", **{k: np.full(n, v) for k, v in values.items()})


def network(*layers, shape=(1,)):
    return Network(layers=layers, input_shape=shape)


# The second number is the unit of the platform's potential, the third what its arithmetic (float32; for SpiNNaker2 a
# rounded factor of the input) leaves between the traces.
@pytest.mark.parametrize(
    "platform, method, unit, tolerance",
    [
        ("norse", EULER, 1.0, 1e-7),
        ("snntorch", EULER, 0.04, 1e-7),
        ("spinnaker2", EULER, 0.04, 2.5e-5),
        ("nengo", EXACT, 0.1, 1e-8),
        ("sinabs", SINABS, 1.0, 1e-7),
        ("rockpool", SINABS, 1.0, 1e-7),
        ("spyx", SPYX, 1.0, 1e-7),
        ("lava_cpu_float", LAVA, 1.0, 1e-7),
    ],
)
@pytest.mark.parametrize("engine", ENGINES)
def test_one_neuron_on_eight_platforms(test_data, platform, method, unit, tolerance, engine):
    given_x, v, spikes = np.loadtxt(test_data / "nir" / "lif" / f"lif_{platform}.csv", delimiter=",").T
    net = network(Dense(name="w", weight=np.ones((1, 1))), lif())
    x = (given_x != 0)[:, None, None]
    out, kept = run_spiking(net, x, dt=1e-4, method=method, keep=["lif.v"], engine=engine)
    np.testing.assert_array_equal(out[:, 0, 0], spikes != 0)
    # Nengo's unit is the threshold, ten times ours; snnTorch's and SpiNNaker2's is dt / tau.
    np.testing.assert_allclose(kept["lif.v"][:, 0, 0], v * unit, rtol=0, atol=tolerance)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_exact_trace_up_to_its_first_spike(test_data, engine):
    """The solution in continuous time resets within a step; before that, EXACT gives it to all digits."""
    given_x, v, spikes = np.loadtxt(test_data / "nir" / "lif" / "lif_exact.csv", delimiter=",").T
    out, kept = run_spiking(network(lif()), given_x[:, None, None], method=EXACT, keep=["lif.v"], engine=engine)
    first = int(np.flatnonzero(spikes)[0])
    assert first == 460
    np.testing.assert_array_equal(np.flatnonzero(out), np.flatnonzero(spikes))
    np.testing.assert_allclose(kept["lif.v"][:first, 0, 0], v[:first], rtol=0, atol=1e-8)


def test_a_constant_current_charges_by_the_closed_form():
    layer = N.LI(name="li", tau=np.float64([1e-3, 4e-3]), r=np.float64([2, 3]), v_leak=np.float64([0.5, -1]))
    v, _ = simulate(layer, np.full((50, 1, 2), 0.7), dt=1e-4, method=EXACT)
    t = 1e-4 * np.arange(1, 51)[:, None]
    np.testing.assert_allclose(v[:, 0], layer.v_leak + layer.r * 0.7 * (1 - np.exp(-t / layer.tau)), rtol=1e-12)


@settings(max_examples=40, deadline=None)
@example(mem=1e-3, syn=1.0009, dt=1e-3)
@given(mem=TAUS, syn=st.one_of(st.none(), TAUS, st.floats(1 - 1e-5, 1 + 1e-5)), dt=st.floats(1e-6, 1e-1))
def test_two_coupled_equations_follow_their_matrix_exponential(mem, syn, dt):
    """Equal and nearly equal time constants included, where the usual formula divides by zero."""
    syn = mem if syn is None else mem * syn if syn > 0.5 else syn
    r, leak, w_in, x = 1.7, 0.3, 0.6, 1.3
    layer = cuba(mem=mem, syn=syn, r=r, leak=leak, w_in=w_in)
    v, _ = simulate(layer, np.full((3, 1, 1), x), dt=dt, method=EXACT)
    # d/dt (I, v, 1) = A (I, v, 1)
    flow = np.array([[-1 / syn, 0, w_in * x / syn], [r / mem, -1 / mem, leak / mem], [0, 0, 0]])
    want, state = [], np.array([0.0, leak, 1.0])
    for _ in range(3):
        state = scipy.linalg.expm(flow * dt) @ state
        want.append(state[1])
    np.testing.assert_allclose(v[:, 0, 0], want, rtol=1e-8)


@pytest.mark.parametrize("layer", [cuba(leak=0.2), lif(threshold=9.0, leak=0.2)], ids=["CubaLI", "LIF"])
@pytest.mark.parametrize("method", [EULER, Method(gain="euler")])
def test_other_methods_converge_with_the_first_order(layer, method):
    def end(n, method):
        found = simulate(layer, np.full((n, 1, 1), 1.5), dt=2e-3 / n, method=method, potentials=True)[1]
        return found[-1, 0, 0]

    errors = [abs(end(n, method) - end(n, EXACT)) for n in (100, 200, 400)]
    assert errors[0] > 1e-4
    assert 1.9 < errors[0] / errors[1] < 2.1 and 1.9 < errors[1] / errors[2] < 2.1


def test_an_integrator_fires_when_it_passes_the_threshold():
    layer = N.IF(name="if", r=np.float64([1, 2, 1]), v_threshold=np.float64([3, 3, -1]))
    x = np.ones((12, 1, 3), bool)
    spikes = run_spiking(network(layer, shape=(3,)), x, dt=1.0)[:, 0]
    # v is 1, 2, 3, 4 > 3; then 2, 4 > 3; a threshold below rest is passed at once
    np.testing.assert_array_equal(np.flatnonzero(spikes[:, 0]), [3, 7, 11])
    np.testing.assert_array_equal(np.flatnonzero(spikes[:, 1]), [1, 3, 5, 7, 9, 11])
    assert spikes[:, 2].all()
    kept = run_spiking(network(layer, shape=(3,)), x, dt=1.0, method=Method(reset="subtract"), keep=["if.v"])[1]
    np.testing.assert_array_equal(kept["if.v"][:5, 0, 0], [1, 2, 3, 1, 2])


def test_potentials_are_outputs_of_neurons_that_do_not_spike():
    net = network(N.Integrator(name="i", r=np.float64([2.0])))
    out, kept = run_spiking(net, np.ones((3, 1, 1)), dt=0.5, keep=["i.v", "input"])
    np.testing.assert_array_equal(out[:, 0, 0], [1, 2, 3])
    np.testing.assert_array_equal(kept["i.v"], out)
    assert kept["input"].dtype == np.float32


def test_recurrent_spikes_arrive_a_step_later():
    """Neuron 0 is driven once; its spike drives neuron 1, whose spike drives neuron 0. The bias counts at once."""
    ring = np.float32([[0, 2], [2, 0]])
    layer = N.IF(name="if", r=np.ones(2), v_threshold=np.ones(2), recurrent_weight=ring)
    x = np.zeros((6, 1, 2))
    x[0, 0, 0] = 2
    spikes = run_spiking(network(layer, shape=(2,)), x, dt=1.0)[:, 0]
    np.testing.assert_array_equal(spikes, np.arange(12).reshape(6, 2) % 4 % 3 == 0)
    biased = dataclasses.replace(layer, recurrent_bias=np.float32([0.6, 0]))
    spikes = run_spiking(network(biased, shape=(2,)), np.zeros((5, 1, 2)), dt=1.0)[:, 0]
    np.testing.assert_array_equal(np.flatnonzero(spikes[:, 0])[:1], [1])


@pytest.mark.parametrize("batch", [1, 3, 16])
@pytest.mark.parametrize("method", [EXACT, SPYX])
def test_bits_do_not_depend_on_the_batch(batch, method):
    rng = np.random.default_rng(0)
    layer = lif(40, recurrent_weight=rng.normal(size=(40, 40)) / 3)
    net = network(Dense(name="w", weight=rng.normal(size=(40, 300)) / 9), layer, shape=(300,))
    x = rng.random((40, 11, 300))  # with spikes, float64 sums of float32 weights are exact anyway
    whole = run_spiking(net, x, method=method, keep=["lif.v"], batch=11)
    part = run_spiking(net, x, method=method, keep=["lif.v"], batch=batch)
    assert 0.05 < whole[0].mean() < 0.95
    np.testing.assert_array_equal(whole[0], part[0])
    np.testing.assert_array_equal(whole[1]["lif.v"], part[1]["lif.v"])


def test_bits_of_a_product_do_not_depend_on_the_rows():
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=shape).astype(np.float32) for shape in ((440, 1000), (1000, 10)))
    whole = steady_product(a, b)
    np.testing.assert_allclose(whole, a.astype(float) @ b, rtol=1e-9, atol=1e-9)
    for rows in (1, 2, 17):
        np.testing.assert_array_equal(steady_product(a[:rows], b), whole[:rows])


def test_sum_pooling_adds_up_spikes():
    net = network(SumPool2d(name="s", size=2, padding=1), Flatten(name="f"), shape=(1, 2, 4))
    x = np.ones((1, 1, 1, 2, 4), bool)
    np.testing.assert_array_equal(run_spiking(net, x)[0, 0], [1, 2, 1, 1, 2, 1])
    np.testing.assert_array_equal(run_float(net, x[0]), [[1, 2, 1, 1, 2, 1]])


def test_sum_pooling_in_codes():
    rng = np.random.default_rng(0)
    weight = np.eye(2, dtype=np.float32).reshape(2, 2, 1, 1)
    net = network(Conv2d(name="c", weight=weight), SumPool2d(name="s", size=2, padding=1), shape=(2, 6, 6))
    x = rng.normal(size=(8, 2, 6, 6))
    want = run_float(net, x)
    step = np.ptp(want) / 255
    np.testing.assert_allclose(run_integer(quantize(net, samples=x), x), want, rtol=0, atol=3 * step)


@pytest.mark.parametrize(
    "change, says",
    [
        ({"x": np.ones((4, 2, 3))}, "takes (steps, batch, 1)"),
        ({"x": np.ones((0, 2, 1))}, "at least one of each"),
        ({"x": np.full((4, 2, 1), np.nan)}, "NaN"),
        ({"dt": 0.0}, "dt is 0"),
        ({"dt": -1.0}, "dt is -1"),
        ({"dt": 3e-3, "method": EULER}, "Euler's method needs dt <= tau"),
        ({"keep": ["w.v"]}, "no tensors called ['w.v']"),
    ],
)
def test_bad_arguments(change, says):
    net = network(Dense(name="w", weight=np.ones((1, 1))), lif())
    with pytest.raises(InputError) as error:
        run_spiking(net, **({"x": np.ones((4, 2, 1))} | change))
    assert says in str(error.value)


def test_bad_types():
    for change in ({"method": "exact"}, {"keep": "lif"}, {"network": None}):
        with pytest.raises(ArgumentTypeError):
            run_spiking(**({"network": network(lif()), "x": np.ones((4, 2, 1))} | change))


@pytest.mark.parametrize(
    "make, says",
    [
        (lambda: lif(tau=0.0), "time constants are above 0"),
        (lambda: lif(tau=np.inf), "infinity"),
        (lambda: N.LI(name="l", tau=np.ones(2), r=np.ones(3), v_leak=np.ones(2)), "one value for each neuron"),
        (lambda: N.LI(name="l", tau=1.0, r=1.0, v_leak=0.0), "one value for each neuron"),
        (lambda: lif(2, recurrent_weight=np.ones((2, 3))), "a square matrix"),
        (lambda: lif(2, recurrent_bias=np.ones(2)), "give all or none"),
        (lambda: lif(2, recurrent_weight=np.ones((2, 2)), recurrent_bias=np.ones(3)), "the layer has 2 neurons"),
        (lambda: network(lif(2)), "it has neurons of shape (2,)"),
        (lambda: Method(decay="Euler"), "choose from"),
        (lambda: Method(input_delay=-1), "allowed: 0 to 64"),
    ],
)
def test_bad_layers(make, says):
    with pytest.raises(InputError) as error:
        make()
    assert says in str(error.value)


def test_networks_with_neurons_run_over_time_only():
    net = network(Dense(name="w", weight=np.ones((1, 1))), lif())
    for call in (run_float, lambda n, x: quantize(n, samples=x)):
        with pytest.raises(UnsupportedError, match="run_spiking"):
            call(net, np.ones((9, 1)))
    coded = Dense(name="d", weight=np.ones((1, 1), np.int8), weight_grid=Grid(1.0))
    with pytest.raises(InputError, match="integer codes"):
        run_spiking(Network(layers=(coded,), input_shape=(1,), grids={"input": Grid(1.0)}), np.ones((1, 1, 1)))


def test_recurrent_weights_are_parameters():
    assert network(lif(3, recurrent_weight=np.ones((3, 3)), recurrent_bias=np.ones(3)), shape=(3,)).n_parameters == 12
