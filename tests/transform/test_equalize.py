"""Equalisation changes no output and gives both sides of a channel one range."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroemu import equalize, layer_pairs, quantize, run_float, run_integer
from neuroemu.errors import ArgumentTypeError, InputError
from neuroemu.network import (
    Add,
    AveragePool2d,
    BatchNorm,
    Clip,
    Conv2d,
    Dense,
    Flatten,
    GlobalAveragePool,
    MaxPool2d,
    Reshape,
    Scale,
    Transpose,
    relu,
    relu6,
    sequential,
)


def conv(random, name, shape, spread=1.0, **options):
    """A convolution whose channels differ by 10^+-spread."""
    factor = 10 ** random.uniform(-spread, spread, (shape[0], 1, 1, 1))
    bias = random.normal(0, 0.3, shape[0]) * factor.ravel()
    return Conv2d(name=name, weight=random.normal(0, 0.4, shape) * factor, bias=bias, **options)


def dense(random, name, out, inputs):
    return Dense(name=name, weight=random.normal(0, 0.3, (out, inputs)) * 10 ** random.uniform(-1, 1, (out, 1)))


def chain(random, pool, activation, spread=1.0):
    norm = BatchNorm(
        name="norm", gamma=random.normal(1, 0.3, 8), beta=random.normal(0, 0.3, 8), mean=random.normal(0, 0.3, 8),
        variance=random.uniform(0.5, 2, 8),
    )  # fmt: skip
    return sequential(
        [
            conv(random, "a", (8, 2, 3, 3), spread, padding=1),
            norm,
            activation(name="act"),
            conv(random, "deep", (8, 1, 3, 3), spread, groups=8, padding=1),
            relu(name="act2"),
            conv(random, "grouped", (6, 4, 1, 1), spread, groups=2),
            relu(name="act3"),
            Scale(name="gain", scale=-0.5),
            *pool,
            Flatten(name="flat"),
            dense(random, "fc1", 7, 6 * (36 if not pool else 9 if pool[0].name == "quarter" else 1)),
            Clip(name="identity"),
            dense(random, "fc2", 3, 7),
        ],
        input_shape=(2, 6, 6),
    )


POOLS = [
    [],
    [MaxPool2d(name="quarter", size=2)],
    [AveragePool2d(name="quarter", size=3, stride=2, padding=1)],
    [GlobalAveragePool(name="all")],
]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(POOLS), st.sampled_from([relu, relu6]), st.floats(0, 2))
def test_outputs_stay(seed, pool, activation, spread):
    random = np.random.default_rng(seed)
    net = chain(random, pool, activation, spread)
    x = random.normal(0, 1, (5, 2, 6, 6)).astype(np.float32)
    out, real = run_float(equalize(net), x), run_float(net, x)
    np.testing.assert_allclose(out, real, rtol=1e-4, atol=2e-6 * np.abs(real).max() + 1e-6)


def ranges(network, first, second, inputs_of):
    return (
        np.abs(network.layer(first).weight).reshape(len(network.layer(first).weight), -1).max(axis=1),
        inputs_of(np.abs(network.layer(second).weight)),
    )


def test_both_sides_of_each_channel_get_one_range():
    net = equalize(chain(np.random.default_rng(1), POOLS[1], relu))
    views = {
        ("a", "deep"): lambda w: w.max(axis=(1, 2, 3)),  # channel i reads channel i
        ("deep", "grouped"): lambda w: np.concatenate([w[:3].max(axis=(0, 2, 3)), w[3:].max(axis=(0, 2, 3))]),
        ("grouped", "fc1"): lambda w: w.max(axis=0).reshape(6, 9).max(axis=1),
        ("fc1", "fc2"): lambda w: w.max(axis=0),
    }
    for (first, second), view in views.items():
        rows, columns = ranges(net, first, second, view)
        np.testing.assert_allclose(rows, columns, rtol=0.005)


def test_two_layers_by_hand():
    """Ranges 4 and 1, then 1 and 4: s = 2 and 1/2; the dead channel stays."""
    first = Dense(name="a", weight=[[4.0], [1.0], [0.0]], bias=[1.0, 1.0, 1.0])
    net = sequential([first, relu(name="r"), Dense(name="b", weight=[[1.0, -4.0, 7.0]])], input_shape=(1,))
    found = equalize(net)
    np.testing.assert_allclose(found.layer("a").weight.ravel(), [2, 2, 0])
    np.testing.assert_allclose(found.layer("a").bias, [0.5, 2, 1])
    np.testing.assert_allclose(found.layer("b").weight.ravel(), [2, -2, 7])
    np.testing.assert_array_equal(net.layer("a").weight.ravel(), [4, 1, 0])  # nothing in place


@pytest.mark.parametrize(
    "between, says",
    [
        ([relu6(name="six")], "upper bound 6"),
        ([Clip(name="odd", low=-1.0)], "lower bound -1"),
        ([relu(name="r"), Scale(name="shift", scale=1.0, offset=0.5)], "offset"),
        ([relu(name="r"), Transpose(name="turn", axes=(0, 2, 1))], "lets no factor"),
        ([Reshape(name="cut", shape=(2, 2, 8))], "moves values"),
        ([relu(name="r"), Add(name="twice", inputs=("r", "r"))], "lets no factor"),
        ([relu(name="r"), relu(name="r2", inputs=("r",)), Add(name="skip", inputs=("r2", "r"))], "lets no factor"),
    ],
)
def test_pairs_with_an_obstacle_stay_and_are_named(between, says):
    random = np.random.default_rng(0)
    last = [Flatten(name="flat"), dense(random, "b", 3, 32)]
    net = sequential([conv(random, "a", (2, 1, 1, 1), spread=2.0), *between, *last], input_shape=(1, 4, 4))
    (pair,) = layer_pairs(net)
    assert (pair.first, pair.second) == ("a", "b") and says in pair.obstacle
    same = equalize(net)
    for layer in net.weighted:
        np.testing.assert_array_equal(same.layer(layer.name).weight, layer.weight)
    open_pairs = layer_pairs(chain(random, [], relu6))
    assert [bool(pair.obstacle) for pair in open_pairs] == [True, False, False, False]


def test_a_tensor_with_two_readers_and_rows_of_a_dense_layer_are_obstacles():
    random = np.random.default_rng(0)
    a, b, c = (dense(random, name, 4, 4) for name in "abc")
    shared = sequential([a, relu(name="r"), b, Add(name="sum", inputs=("b", "r"))], input_shape=(4,))
    assert "several layers" in layer_pairs(shared)[0].obstacle
    rows = sequential([a, relu(name="r"), c], input_shape=(4, 4))
    assert "several rows" in layer_pairs(rows)[0].obstacle
    for before in (a, conv(random, "a", (4, 4, 1, 1))):  # one side alone
        one = [before, relu(name="r"), *([Flatten(name="f"), dense(random, "b", 2, 16)] if before is a else [b])]
        shape = (4, 4) if before is a else (4, 4, 4)
        assert "several rows" in layer_pairs(sequential(one, input_shape=shape))[0].obstacle


def test_one_step_per_layer_loses_less_after_equalisation():
    random = np.random.default_rng(2)
    layers = [
        conv(random, "a", (16, 2, 3, 3), spread=1.5),
        relu(name="r"),
        Conv2d(name="b", weight=random.normal(0, 0.4, (8, 16, 3, 3)) / 10 ** random.uniform(-1.5, 1.5, (1, 16, 1, 1))),
        Flatten(name="flat"),
    ]
    net = sequential(layers, input_shape=(2, 6, 6))
    x = random.uniform(0, 1, (200, 2, 6, 6)).astype(np.float32)
    lost = [
        np.mean((run_integer(quantize(n, samples=x, weight_bits=6, per_channel=False), x) - run_float(net, x)) ** 2)
        for n in (net, equalize(net))
    ]
    assert lost[1] < 0.5 * lost[0]


def test_bad_arguments():
    net = sequential([dense(np.random.default_rng(0), "a", 2, 3)], input_shape=(3,))
    with pytest.raises(InputError, match="before quantizing"):
        equalize(quantize(net, samples=np.ones((2, 3))))
    with pytest.raises(ArgumentTypeError, match="Network"):
        layer_pairs(3)
    assert layer_pairs(net) == ()
