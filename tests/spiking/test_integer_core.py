"""Continuous neurons in the registers of an integer core: the chip's own trace, networks that lose nothing, bounds."""

from dataclasses import replace

import numpy as np
import pytest

from neuroemu import chips, load, run, run_spiking
from neuroemu.errors import ArgumentTypeError, InputError, UnsupportedError
from neuroemu.network import AveragePool2d, Conv2d, Dense, Flatten, Network, SumPool2d
from neuroemu.network import neurons as N
from neuroemu.network.neuron_steps import EULER, EXACT, LAVA, SPYX, Method
from neuroemu.spiking import LOIHI1, check_range, check_shift, core_report, spike_agreement, to_integer_core
from neuroemu.spiking.populations import populations
from neuroemu.spiking.probing import as_neurons, probed

SUBTRACT = Method(decay="euler", gain="euler", reset="subtract")
RNG = np.random.default_rng(0)


def spikes(steps, batch, *shape, rate=0.3):
    return np.random.default_rng(1).random((steps, batch, *shape)) < rate


def neurons(kind, *shape, **values):
    """Neurons that are alike, or not where a value is an array."""
    usual = {"r": 1.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0, "w_in": 1.0}
    fields = {f: np.broadcast_to((usual | values)[f], shape).astype(float) for f in kind.PARAMETERS}
    return kind(name=values.get("name", "neurons"), **fields)


def whole(*shape, most=127):
    """Whole weights, the largest of each row `most`."""
    weight = RNG.integers(-most, most + 1, shape).astype(np.float32)
    weight.reshape(len(weight), -1)[:, 0] = most
    return weight


def probe_of_one(network, x):
    return probed(populations(network)[1], [as_neurons(x, x.shape[2:])], LOIHI1)


# -- the chip itself ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("platform, after_a_spike", [("loihi", 128), ("cpu", 0)])
def test_one_neuron_on_loihi_and_in_its_simulator_from_the_nir_file(test_data, platform, after_a_spike):
    """The NIR paper's neuron: threshold 0.1 as mantissa 25, 1e-4 s / 2.5e-3 s as 163 of 4096, as Lava rounds it.

    Right after a spike the register of the chip reads 128, the simulator's 0.
    """
    given, v, s = np.loadtxt(test_data / "nir" / "lif" / f"lif_lava_{platform}_fixed.csv", delimiter=",").T
    x = (given != 0)[:, None, None]
    network = load(test_data / "nir" / "models" / "lif_norse.nir")
    integer = to_integer_core(network, samples=x, threshold_mantissa=25, decay_rounding="down")
    assert integer.layer("1").voltage_decay == 163
    probe = probe_of_one(integer, x)
    late = np.flatnonzero(probe.spikes) + 1  # input takes a step to arrive
    np.testing.assert_array_equal(late, np.flatnonzero(s))
    ours = np.where(probe.spikes, after_a_spike, probe.v)[0, :-1, 0]
    np.testing.assert_array_equal(ours, v[1:])


def test_registers_chosen_from_samples_keep_the_spike_times(test_data):
    x = (np.loadtxt(test_data / "nir" / "lif" / "lif_lava_cpu_float.csv", delimiter=",")[:, 0] != 0)[:, None, None]
    network = load(test_data / "nir" / "models" / "lif_norse.nir")
    integer = to_integer_core(network, samples=x, method=LAVA)
    report = core_report(network, integer, LOIHI1, x, method=LAVA)
    assert report.layers[0].chain == 1.0 and report.layers[0].spikes == 4
    result = run(integer, chips.LOIHI, x.swapaxes(0, 1))
    assert result.traces["spikes per image"]["0"] == 4


# -- networks whose numbers need no rounding --------------------------------------------------------------------------


def exact_networks():
    scale = np.float32([1, 2, 4, 0.5, 1, 8, 1])  # thresholds of neurons in one layer, and weights with them
    yield (
        "dense",
        [
            Dense(name="w", weight=whole(7, 9) * scale[:, None], bias=np.float32([2, 0, 0, 4, -2, 0, 1]) * scale),
            neurons(N.IF, 7, v_threshold=200 * scale, name="a"),
            Dense(name="x", weight=whole(5, 7)),
            neurons(N.IF, 5, r=0.5, v_threshold=64, name="b"),
        ],
    )
    yield (
        "pools",
        [
            Conv2d(name="w", weight=whole(4, 2, 3, 3), padding=1),
            neurons(N.IF, 4, 8, 8, v_threshold=256, name="a"),
            SumPool2d(name="p", size=2),
            Conv2d(name="x", weight=whole(3, 4, 3, 3), padding=1, stride=2),
            neurons(N.IF, 3, 2, 2, v_threshold=384, name="b"),
            AveragePool2d(name="q", size=2),
            Flatten(name="f"),
            Dense(name="y", weight=whole(5, 3)),
            neurons(N.IF, 5, v_threshold=32, name="c"),
        ],
    )
    yield (
        "rest",
        [
            Dense(name="w", weight=whole(6, 9)),
            neurons(N.LIF, 6, tau=1.0, v_leak=3.0, v_reset=3.0, v_threshold=131.0, name="a"),  # forgets at once
            Dense(name="x", weight=whole(5, 6)),
            neurons(N.Integrator, 5, name="b"),
        ],
    )


@pytest.mark.parametrize("method", [EULER, SUBTRACT])
@pytest.mark.parametrize("name, layers", list(exact_networks()), ids=lambda p: p if isinstance(p, str) else "")
def test_networks_that_need_no_rounding_are_equal_to_the_last_spike(name, layers, method):
    shape = (2, 8, 8) if name == "pools" else (9,)
    network = Network(layers=tuple(layers), input_shape=shape)
    x = spikes(24, 5, *shape, rate=0.4 if name == "dense" else 0.15)
    integer = to_integer_core(network, samples=x, dt=1.0, method=method)
    report = core_report(network, integer, LOIHI1, x, dt=1.0, method=method)
    assert [(one.chain, one.alone, one.weight_error, one.bias_error) for one in report.layers] == [
        (1.0, 1.0, 0.0, 0.0)
    ] * len(report.layers)
    assert all(one.spikes > 20 for one in report.layers if integer.layer(one.name).threshold)
    if name == "rest":
        want = run_spiking(network, x, dt=1.0, method=method)[-1]
        np.testing.assert_allclose(run(integer, chips.LOIHI, x.swapaxes(0, 1)).outputs, want, rtol=1e-6)


# -- what rounding costs ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind, taus", [(N.LI, {"tau": 0.01}), (N.CubaLI, {"tau_mem": 0.008, "tau_syn": 0.002})])
def test_potentials_stay_within_the_bound_of_the_decay(kind, taus):
    """Weights and decays (dt / tau = 41/4096 ...) fit exactly; what is left is rounding toward zero, 1 unit a step."""
    dt, weight = 41 * 0.01 / 4096, whole(6, 9, most=127 if kind is N.LI else 31)
    taus = {name: dt * 4096 / round(4096 * dt / tau) for name, tau in taus.items()}
    network = Network(layers=(Dense(name="w", weight=weight), neurons(kind, 6, **taus)), input_shape=(9,))
    x = spikes(400, 3, 9)
    integer = to_integer_core(network, samples=x, dt=dt)
    one = core_report(network, integer, LOIHI1, x, dt=dt).layers[0]
    assert one.weight_error < 1e-6 and abs(one.voltage_decay.error) < 1e-9
    off = np.abs(run(integer, chips.LOIHI, x.swapaxes(0, 1)).outputs - run_spiking(network, x, dt=dt, method=EULER)[-1])
    lif = integer.layer("neurons")
    bound = one.truncation * 127 * 2**lif.weight_shift * lif.scale
    if kind is N.CubaLI:  # what u loses counts again in each step that v remembers
        bound = bound * 4096 / one.voltage_decay.register
    assert bound / 40 < off.max() < bound


def test_a_layer_of_weights_that_need_rounding_has_the_error_that_was_predicted():
    network = Network(
        layers=(Dense(name="w", weight=RNG.normal(size=(60, 90))), neurons(N.LIF, 60, tau=2e-3, v_threshold=0.4)),
        input_shape=(90,),
    )
    x = spikes(200, 4, 90, rate=0.1)
    report = core_report(network, to_integer_core(network, samples=x), LOIHI1, x)
    one = report.layers[0]
    assert one.weight_error == pytest.approx(one.weight_predicted, rel=0.05)
    assert one.largest_code == 127
    assert one.voltage_decay.wanted == pytest.approx(204.8) and one.voltage_decay.register == 205
    assert one.voltage_decay.error == pytest.approx(205 / 204.8 - 1)
    assert 0.7 < one.chain < one.chain_near and one.chain_near > 0.9
    assert one.name in str(report) and "205" in str(report)


def test_decays_of_a_current_based_layer():
    layers = (Dense(name="w", weight=whole(3, 4)), neurons(N.CubaLIF, 3, tau_mem=1e-3, tau_syn=4e-4, v_threshold=9.0))
    network = Network(layers=layers, input_shape=(4,))
    x = spikes(50, 2, 4)
    lif = to_integer_core(network, samples=x).layer("neurons")
    assert (lif.current_decay, lif.voltage_decay) == (1024 - 1, round(409.6))  # the chip adds 1 to the first
    lif = to_integer_core(network, samples=x, method=EXACT).layer("neurons")
    assert (lif.current_decay, lif.voltage_decay) == (
        round(4096 * (1 - np.exp(-0.25))) - 1,
        round(4096 * (1 - np.exp(-0.1))),
    )


def test_a_bias_behind_a_synapse_charges_to_the_same_level():
    layer = Dense(name="w", weight=np.float32([[1.0]]), bias=np.float32([0.5]))
    network = Network(
        layers=(layer, neurons(N.CubaLI, 1, tau_mem=1e-3, tau_syn=1e-3, r=3.0, v_leak=0.25)), input_shape=(1,)
    )
    x = np.zeros((200, 1, 1), bool)
    x[0] = True
    integer = to_integer_core(network, samples=x)
    out = run(integer, chips.LOIHI, x.swapaxes(0, 1)).outputs
    np.testing.assert_allclose(out, 0.25 + 3.0 * 0.5, rtol=2e-3)


def test_agreement_of_spikes():
    a, b = np.zeros((9, 2), bool), np.zeros((9, 2), bool)
    a[[2, 5], 0] = b[[2, 6], 0] = b[0, 1] = True
    assert spike_agreement(a, b) == pytest.approx(2 / 5)
    assert spike_agreement(a, b, steps=1) == pytest.approx(4 / 5)
    assert spike_agreement(a, a) == spike_agreement(a & False, a & False) == 1.0


# -- ranges and shifts ------------------------------------------------------------------------------------------------


def driven(weight, threshold, **more):
    """One layer of integrating neurons that 5 inputs drive in every step, in integers."""
    weights = Dense(name="w", weight=np.full((1, 5), weight, np.float32))
    network = Network(layers=(weights, neurons(N.IF, 1, v_threshold=threshold, **more)), input_shape=(5,))
    return network, to_integer_core(network, samples=np.ones((4, 1, 5), bool), dt=1.0)


def test_largest_numbers_by_hand():
    _, integer = driven(1.0, 8.0)
    lif = integer.layer("neurons")
    code = int(integer.layer("w").weight[0, 0]) << lif.weight_shift
    layer = check_range(integer, chips.LOIHI, np.ones((2, 4, 5))).layers[1]
    assert layer.largest == {"q": 5 * code, "u": 5 * code, "v": 10 * code}  # v: 5, 10 and a spike, 5, 10 and a spike
    assert layer.head_room["v"] == pytest.approx(np.log2((2**23 - 1) / (10 * code)))
    assert layer.head_room["v"] >= 1.0
    biased = [replace(a, bias=np.array([640])) if a.name == "neurons" else a for a in integer.layers]
    layer = check_range(integer.replace(layers=tuple(biased)), chips.LOIHI, np.ones((2, 4, 5))).layers[1]
    assert layer.largest == {"q": 5 * code, "u": 5 * code, "v": 10 * code + 2 * 640}


def test_a_neuron_that_is_held_has_no_potential_to_count():
    """Two of five spikes pass the threshold; the five of the next step find the neuron refractory."""
    _, integer = driven(1.0, 1.5)
    held = [replace(a, refractory=2) if a.name == "neurons" else a for a in integer.layers]
    code = int(integer.layer("w").weight[0, 0]) << integer.layer("neurons").weight_shift
    train = np.zeros((1, 4, 5))
    train[0, 0, :2] = train[0, 1] = 1
    layer = check_range(integer.replace(layers=tuple(held)), chips.LOIHI, train).layers[1]
    assert layer.largest == {"q": 5 * code, "u": 5 * code, "v": 2 * code}


def test_numbers_that_wrap_are_counted_and_their_true_size_is_shown():
    _, integer = driven(1.0, 8.0)
    layers = [
        replace(layer, weight_shift=14, threshold=64) if layer.name == "neurons" else layer for layer in integer.layers
    ]
    layers[1] = replace(layers[1], weight=np.full((1, 5), 127, np.int8))
    check = check_range(integer.replace(layers=tuple(layers)), LOIHI1, np.ones((3, 4, 5)))
    layer = check.layers[1]
    assert layer.largest["q"] == 5 * 127 << 14 and layer.events["q"] == 3 * 4
    assert layer.head_room["q"] == pytest.approx(np.log2((2**21 - 1) / (5 * 127 << 14))) and not check.fits
    assert "numbers leave their range" in str(check)


def test_a_shift_without_decays_is_coherent_until_a_register_ends():
    network = Network(
        layers=(Dense(name="w", weight=whole(7, 9)), neurons(N.IF, 7, v_threshold=300.0, name="a")), input_shape=(9,)
    )
    x = spikes(30, 4, 9)
    integer, train = to_integer_core(network, samples=x, dt=1.0), x.swapaxes(0, 1)
    up = check_shift(integer, LOIHI1, train, bits=1)
    assert up.coherent and up.layers[0].deviation == 0 and up.layers[0].spikes > 50
    assert up.network.layer("a").threshold == 2 * integer.layer("a").threshold
    far = check_shift(integer, LOIHI1, train, bits=5)
    assert not far.coherent and far.layers[0].events > 0 and "wraps or clips" in str(far)
    mantissa = integer.layer("a").threshold // 64
    lossless = min((mantissa & -mantissa).bit_length() - 1, integer.layer("a").weight_shift - 6)
    assert lossless >= 1
    assert check_shift(integer, LOIHI1, train, bits=-lossless).coherent
    lost = check_shift(integer, LOIHI1, train, bits=-lossless - 1)
    assert any(lost.layers[0].lost.values()) and not lost.coherent
    codes = integer.layer("w").weight.astype(int)
    down = integer.layer("a").weight_shift - 6 + 2  # two bits more than the exponent takes
    assert check_shift(integer, LOIHI1, train, bits=-down).layers[0].lost["weights"] == (codes % 4 != 0).sum()


def test_biases_that_a_shift_changes_are_counted():
    _, integer = driven(1.0, 8.0)
    lif = replace(integer.layer("neurons"), bias=np.array([4 * 2001]))
    integer = integer.replace(layers=tuple(lif if a.name == "neurons" else a for a in integer.layers))
    train = np.ones((2, 4, 5))
    for bits, lost in ((-2, 0), (-3, 1), (3, 0)):
        (layer,) = check_shift(integer, LOIHI1, train, bits=bits).layers
        assert layer.lost["biases"] == lost and layer.coherent == (not lost and not layer.events)


def test_a_shift_changes_what_decays_lose():
    network = Network(
        layers=(Dense(name="w", weight=whole(7, 9)), neurons(N.LIF, 7, tau=1e-3, v_threshold=40.0, name="a")),
        input_shape=(9,),
    )
    x = spikes(40, 4, 9)
    check = check_shift(to_integer_core(network, samples=x), LOIHI1, x.swapaxes(0, 1), bits=1)
    (layer,) = check.layers
    assert 0 < layer.deviation < 1e-3 and layer.coherent and "decays round otherwise" in layer.verdict


# -- refusals ---------------------------------------------------------------------------------------------------------


def refused(*layers, shape=(4,), **more):
    x = spikes(6, 2, *shape)
    return to_integer_core(Network(layers=layers, input_shape=shape), **{"samples": x} | more)


W = Dense(name="w", weight=whole(3, 4))
CONV = Conv2d(name="c", weight=whole(1, 1, 1, 1))


@pytest.mark.parametrize(
    "make, says",
    [
        (lambda: refused(W, replace(neurons(N.IF, 3), recurrent_weight=np.eye(3))), "feeds back"),
        (lambda: refused(W, neurons(N.LIF, 3, tau=[1e-3, 2e-3, 1e-3])), "one decay register"),
        (lambda: refused(W, neurons(N.IF, 3, v_reset=0.5)), "resets to another potential"),
        (lambda: refused(W, neurons(N.IF, 3, v_threshold=[1, 1, -1])), "must be above 0"),
        (lambda: refused(W, neurons(N.Integrator, 3), Dense(name="x", weight=whole(2, 3)), neurons(N.IF, 2, name="b")),
         "only the last layer may"),
        (lambda: refused(W), "does not end with neurons"),
        (lambda: refused(W, Dense(name="x", weight=whole(2, 3)), neurons(N.IF, 2)), "merge the two"),
        (lambda: refused(SumPool2d(name="p", size=3), CONV, neurons(N.IF, 1, 1, 1), shape=(1, 4, 4)), "divides the"),
        (lambda: refused(CONV, neurons(N.IF, 1, 2, 2, v_threshold=[[1, 1], [1, 2]]), shape=(1, 2, 2)), "a channel"),
        (lambda: refused(W, neurons(N.IF, 3), method=SPYX), "early_test"),
    ],
)  # fmt: skip
def test_what_the_core_cannot_hold_is_refused(make, says):
    with pytest.raises(UnsupportedError) as error:
        make()
    assert says in str(error.value)


@pytest.mark.parametrize(
    "change, says",
    [
        ({"samples": np.zeros((5, 2, 4))}, "no spike"),
        ({"samples": np.full((5, 2, 4), 0.5)}, "other numbers than 0 and 1"),
        ({"samples": np.ones((2, 4))}, "give spikes (steps, batch, 4)"),
        ({"dt": 0.0}, "dt is 0 s"),
        ({"threshold_mantissa": 1 << 17}, "allowed: 1 to 131071"),
        ({"decay_rounding": "up"}, "choose from"),
    ],
)
def test_bad_arguments(change, says):
    with pytest.raises(InputError) as error:
        refused(W, neurons(N.IF, 3, v_threshold=100.0), **change)
    assert says in str(error.value)


def test_numbers_that_fit_no_register_are_named():
    with pytest.raises(InputError, match=r"'w' fits no registers: a bias of .* is beyond 4095 x 2\^7"):
        refused(replace(W, bias=np.float32([0, 0, 1e10])), neurons(N.IF, 3))


def test_bad_partners():
    network, integer = driven(1.0, 8.0)
    x = np.ones((4, 1, 5), bool)
    with pytest.raises(ArgumentTypeError, match="give a SpikingChip"):
        check_range(integer, "loihi", x.swapaxes(0, 1))
    with pytest.raises(InputError, match="computes with numbers"):
        check_shift(network, LOIHI1, x, bits=1)
    with pytest.raises(InputError, match="runs 4"):
        core_report(network, integer, LOIHI1, x[:3], dt=1.0)
    renamed = Network(layers=(network.layers[0], replace(network.layers[1], name="other")), input_shape=(5,))
    with pytest.raises(InputError, match="was not made of the other one"):
        core_report(renamed, integer, LOIHI1, x, dt=1.0)
