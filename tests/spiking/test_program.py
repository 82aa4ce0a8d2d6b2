"""Programs for Loihi: forms that must agree, noise, dendrites, and what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroemu import chips, datasets, run, spiking, to_spiking
from neuroemu.errors import ArgumentTypeError, InputError
from neuroemu.network import Conv2d, ops
from neuroemu.spiking import (
    LOIHI1,
    Compartments,
    Dendrite,
    InputAxons,
    LoihiProgram,
    Noise,
    SharedKernel,
    Synapses,
    engine,
    program_inputs,
    program_of,
    run_loihi,
)
from neuroemu.spiking.arithmetic import decay
from neuroemu.spiking.populations import populations

# -- forms that must agree --------------------------------------------------------------------------------------------


def small(rng, mantissa, n_in, n, **fields):
    return LoihiProgram(
        compartments=(
            Compartments(
                name="a", n=n, threshold_mantissa=rng.integers(20, 200, n), current_decay=rng.integers(0, 4096, n),
                voltage_decay=rng.integers(0, 1000, n), bias_mantissa=rng.integers(-30, 60, n),
                refractory=rng.integers(1, 4, n),
            ),
        ),
        synapses=(Synapses(source="in", target="a", mantissa=mantissa, **fields),),
        inputs=(InputAxons(name="in", n=n_in),),
    )  # fmt: skip


def same(a, b):
    np.testing.assert_array_equal(a.spikes["a"], b.spikes["a"])
    np.testing.assert_array_equal(a.u["a"], b.u["a"])
    np.testing.assert_array_equal(a.v["a"], b.v["a"])
    assert a.counts["a"] == b.counts["a"]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), data=st.data())
def test_dense_sparse_shared_and_stepwise_agree(seed, data):
    from scipy import sparse

    rng = np.random.default_rng(seed)
    channels, groups = data.draw(st.sampled_from([(2, 1), (2, 2), (4, 2)]))
    stride, dilation = data.draw(st.sampled_from([(1, 1), (2, 1)])), data.draw(st.sampled_from([(1, 1), (1, 2)]))
    kernel = rng.integers(-100, 120, (4, channels // groups, 2, 3))
    shared = SharedKernel(
        mantissa=kernel, input_shape=(channels, 5, 7), stride=stride, dilation=dilation, padding=((1, 0), (0, 2)),
        groups=groups,
    )  # fmt: skip
    # The same convolution of unit inputs, by the executor of real networks.
    shape, out = shared.input_shape, shared.output_shape
    layer = Conv2d(name="c", weight=kernel, stride=stride, dilation=dilation, padding=shared.padding, groups=groups)
    inputs, outputs = int(np.prod(shape)), int(np.prod(out))
    units = np.eye(inputs, dtype=np.float32).reshape(inputs, *shape)
    sums = ops.weighted_sum(layer, units, layer.weight).reshape(inputs, outputs)
    order_in, order_out = (np.arange(np.prod(s)).reshape(s).transpose(1, 2, 0).ravel() for s in (shape, out))
    dense = np.rint(sums[order_in][:, order_out]).astype(int)
    delay = data.draw(st.sampled_from([0, 3]))
    spikes = {"in": rng.random((25, 2, inputs)) < 0.2}
    seeds = [np.random.default_rng(seed + 1) for _ in range(4)]
    forms = [shared, dense, sparse.csr_array(dense), dense]
    programs = [small(r, m, inputs, outputs, delay=delay) for r, m in zip(seeds, forms, strict=True)]
    silent = Synapses(source="a", target="a", mantissa=np.zeros((outputs, outputs), int))  # makes it go step by step
    programs[3] = LoihiProgram(
        compartments=programs[3].compartments, synapses=(*programs[3].synapses, silent), inputs=programs[3].inputs
    )
    first, *rest = (run_loihi(program, spikes, steps=25, probe="a") for program in programs)
    for other in rest[:2]:
        same(first, other)
    stepped = rest[2]
    assert stepped.counts["a"].pop("input_spikes") == spikes["in"].sum() + stepped.spikes["a"].sum()
    assert first.counts["a"].pop("input_spikes") == spikes["in"].sum()
    same(first, stepped)


@pytest.mark.parametrize(
    "coding, reset", [("direct", "zero"), ("direct", "subtract"), ("poisson", "zero"), ("first_spike", "zero")]
)
def test_the_program_of_a_network_does_what_the_chip_does(coding, reset):
    net = datasets.mnist_network()
    snn = to_spiking(net, steps=10, samples=net.samples, coding=coding, reset=reset)
    x, _ = datasets.mnist_test(3)
    found, names = populations(snn), [p.name for p in populations(snn)]
    potentials, activity = engine.run_batch(
        found, engine.input_codes(snn, x), 10, LOIHI1, seed=0, trial=0, first=0, threads=1
    )
    program = program_of(snn)
    done = run_loihi(program, **program_inputs(snn, x), probe={names[-1]: "v"})
    for population, happened in zip(found, activity, strict=True):
        window = slice(population.level, population.level + 10)
        if population.name in done.counts:
            sent = done.spikes[population.name][window].transpose(1, 0, 2)
        else:  # what arrives a step later
            sent = done.spikes[population.name][1:11].transpose(1, 0, 2)
        np.testing.assert_array_equal(sent, happened.spikes.astype(bool))
    np.testing.assert_array_equal(done.v[names[-1]][found[-1].level + 9], potentials)
    outputs = run(snn, chips.LOIHI, x).outputs
    np.testing.assert_allclose(potentials * found[-1].neuron.scale, outputs, rtol=1e-6)


@pytest.mark.parametrize("single", [False, True])
def test_synapses_of_several_sources_add_up(single):
    from scipy import sparse

    rng = np.random.default_rng(4)
    first, second = rng.integers(-100, 120, (6, 5)), rng.integers(-100, 120, (3, 5))
    spikes = {"x": rng.random((40, 2, 6)) < 0.3, "y": rng.random((40, 2, 3)) < 0.3}
    neurons = Compartments(name="a", n=5, threshold_mantissa=90, current_decay=2000, voltage_decay=300)
    apart = LoihiProgram(
        compartments=(neurons,),
        synapses=(
            Synapses(source="x", target="a", mantissa=first),
            Synapses(source="y", target="a", mantissa=sparse.csr_array(second) if single else second, delay=2),
        ),
        inputs=(InputAxons(name="x", n=6), InputAxons(name="y", n=3)),
    )
    delay = np.repeat([[0], [2]], [6, 3], axis=0) * np.ones((9, 5), int)
    together = LoihiProgram(
        compartments=(neurons,),
        synapses=(Synapses(source="xy", target="a", mantissa=np.vstack([first, second]), delay=delay),),
        inputs=(InputAxons(name="xy", n=9),),
    )
    found = run_loihi(apart, spikes, steps=40, probe="a")
    joint = run_loihi(together, {"xy": np.concatenate([spikes["x"], spikes["y"]], axis=2)}, steps=40, probe="a")
    assert found.spikes["a"].sum() > 20
    same(found, joint)


def test_images_do_not_see_one_another_and_noise_follows_the_seed():
    rng = np.random.default_rng(0)
    noisy = LoihiProgram(
        compartments=(Compartments(name="a", n=6, threshold_mantissa=40, bias_mantissa=90, noise=Noise(exponent=9)),)
    )
    biases = rng.integers(0, 200, (3, 6))
    whole = run_loihi(noisy, steps=60, biases={"a": biases}, seed=4)
    assert (run_loihi(noisy, steps=60, biases={"a": biases}, seed=4).spikes["a"] == whole.spikes["a"]).all()
    assert (run_loihi(noisy, steps=60, biases={"a": biases}, seed=5).spikes["a"] != whole.spikes["a"]).any()
    one = run_loihi(noisy, steps=60, biases={"a": biases[:1]}, seed=4)
    np.testing.assert_array_equal(one.spikes["a"][:, 0], whole.spikes["a"][:, 0])


def test_noise_has_its_mean_and_range():
    program = LoihiProgram(
        compartments=(
            Compartments(name="v", n=50, threshold_mantissa=131071, noise=Noise(exponent=8, offset=1)),
            Compartments(name="u", n=50, threshold_mantissa=131071, noise=Noise(exponent=8, target="current")),
        )
    )
    found = run_loihi(program, steps=2000, probe=("u", "v"))
    steps = np.diff(found.v["v"][:, 0], axis=0)
    assert steps.min() == 2 * (64 - 127) and steps.max() == 2 * (64 + 127)  # (r + 64) 2^(8-7)
    assert steps.mean() == pytest.approx(128, abs=5 * 2 * 73.6 / np.sqrt(steps.size))
    assert abs(found.u["u"]).max() == 254 and (found.u["v"] == 0).all()


def test_a_population_waits_for_its_start():
    for delay in (0, 5):
        program = LoihiProgram(
            compartments=(Compartments(name="a", n=1, threshold_mantissa=1000, start=4, bias_mantissa=1),),
            synapses=(Synapses(source="in", target="a", mantissa=[[64]], delay=delay),),
            inputs=(InputAxons(name="in", n=1),),
        )
        spikes = np.zeros((12, 1), int)
        spikes[[2, 5]] = 1
        v = run_loihi(program, {"in": spikes}, steps=12, probe="a").v["a"][:, 0, 0]
        arrivals = [t + delay for t in (2, 5) if 4 <= t + delay < 12]
        expected = [sum(4096 * (a <= t) for a in arrivals) + max(0, t - 3) for t in range(12)]
        assert v.tolist() == expected


def test_dendrites_hand_over_their_state_in_the_same_step():
    spikes = np.random.default_rng(2).random((40, 1, 3)) < 0.5
    for join in ("add", "pass", "block"):
        program = LoihiProgram(
            compartments=(
                Compartments(name="soma", n=1, threshold_mantissa=300, current_decay=1000, voltage_decay=100),
                Compartments(name="twig", n=1, threshold_mantissa=60, voltage_decay=500, bias_mantissa=3,
                             dendrite=Dendrite(of="soma", join=join)),
            ),
            synapses=(
                Synapses(source="in", target="soma", mantissa=[[20], [30], [-10]]),
                Synapses(source="in", target="twig", mantissa=[[10], [-20], [40]]),
            ),
            inputs=(InputAxons(name="in", n=3),),
        )  # fmt: skip
        found = run_loihi(program, {"in": spikes}, steps=40, probe=("soma", "twig"))
        u = v = 0
        for t in range(40):
            u = int(decay(u, 1001)) + 64 * int(spikes[t, 0] @ [20, 30, -10])
            twig_v, twig_s = int(found.v["twig"][t, 0, 0]), bool(found.spikes["twig"][t, 0, 0])
            taken = {"add": u + twig_v, "pass": u * twig_s, "block": u * (not twig_s)}[join]
            v = int(decay(v, 100)) + taken
            assert bool(found.spikes["soma"][t, 0, 0]) == (v > 300 * 64)
            v = 0 if v > 300 * 64 else v
            assert (found.u["soma"][t, 0, 0], found.v["soma"][t, 0, 0]) == (u, v)
        assert (found.spikes["twig"].any() and found.spikes["soma"].any()) or join != "add"


# -- errors -----------------------------------------------------------------------------------------------------------


def one(**fields):
    return Compartments(**({"name": "a", "n": 2, "threshold_mantissa": 5} | fields))


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: one(threshold_mantissa=131072), "threshold_mantissa has 131072; allowed: 0 to 131071"),
        (lambda: one(bias_exponent=[1, 2, 3]), r"bias_exponent has shape \(3,\); give one number or 2"),
        (lambda: Synapses(source="a", target="a", mantissa=[[255]]), "mantissa in sign mode 'mixed' has 255"),
        (lambda: Synapses(source="a", target="a", mantissa=[[1]], delay=63), "delay has 63; allowed: 0 to 62"),
        (lambda: Synapses(source="a", target="a", mantissa=[[1]], delay=[1, 2]), r"delay has shape \(2,\)"),
        (lambda: LoihiProgram(compartments=(one(), one())), "two populations are called 'a'"),
        (lambda: LoihiProgram(compartments=(one(dendrite=Dendrite(of="a")),)), "must be another population of 2"),
        (
            lambda: LoihiProgram(
                compartments=(one(),), synapses=(Synapses(source="b", target="a", mantissa=[[1, 1]]),)
            ),
            "no such population; there are a",
        ),
        (
            lambda: LoihiProgram(
                compartments=(one(),), synapses=(Synapses(source="a", target="a", mantissa=[[1, 1]]),)
            ),
            r"weights are for \(1, 2\), the populations have \(2, 2\)",
        ),
        (lambda: run_loihi(LoihiProgram(compartments=(one(),)), steps=5, probe="b"), "no population 'b' to probe"),
        (lambda: run_loihi(LoihiProgram(compartments=(one(),)), {"in": [[0]]}, steps=1), "no input axons 'in'"),
        (
            lambda: run_loihi(LoihiProgram(compartments=(one(),)), steps=3, biases={"a": [[1, 2, 3]]}),
            r"biases of 'a' have shape \(1, 3\); give \(B, 2\)",
        ),
        (lambda: run_loihi(LoihiProgram(compartments=(one(n=10**6),)), steps=10**6, probe="a"), "the limit is"),
        (lambda: program_of(datasets.mnist_network()), "is not spiking"),
    ],
)
def test_bad_programs(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_wrong_types():
    with pytest.raises(ArgumentTypeError, match="compartments must be Compartments"):
        LoihiProgram(compartments=("a",))
    with pytest.raises(ArgumentTypeError, match="program"):
        run_loihi("program", steps=3)
    assert spiking.LoihiProgram is LoihiProgram
