"""Pruning in the pieces that hardware is made of: what goes, that arrays shrink exactly, and least squares after it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neuroemu as ne
from neuroemu.crossbar import ideal
from neuroemu.errors import ArgumentTypeError, InputError
from neuroemu.network import (
    Add,
    AveragePool2d,
    Concat,
    Conv2d,
    Dense,
    Flatten,
    GlobalAveragePool,
    MaxPool2d,
    Network,
    Reshape,
    Scale,
    Transpose,
    relu,
    sequential,
)
from neuroemu.transform.channels import kept_labels, labels_of, shrunk, silenced
from neuroemu.transform.criteria import Magnitude


def dense(out, inputs, seed=0, name="fc"):
    random = np.random.default_rng(seed)
    return Dense(name=name, weight=random.normal(0, 1, (out, inputs)), bias=random.normal(0, 1, out))


def conv(name, shape, seed=0, *, inputs=(), **fields):
    random = np.random.default_rng([seed, len(name), ord(name[-1])])
    return Conv2d(
        name=name, weight=random.normal(0, 0.4, shape), bias=random.normal(0, 0.2, shape[0]), inputs=inputs, **fields
    )


def joined(seed=0):
    """Everything that channels pass: additions, depthwise and pooled layers, a concatenation, transposes, reshapes."""
    layers = [
        Transpose(name="nchw", axes=(2, 0, 1)),
        conv("a1", (6, 3, 3, 3), seed, padding=1),
        relu(name="r1"),
        conv("a2", (6, 6, 3, 3), seed, padding=1),
        Add(name="sum", inputs=("a2", "r1")),
        relu(name="r2"),
        conv("b1", (12, 1, 3, 3), seed, groups=6, padding=1),
        Scale(name="gain", scale=np.linspace(0.5, 1.5, 12)),
        relu(name="r3"),
        MaxPool2d(name="max", size=2),
        conv("c1", (5, 12, 1, 1), seed, inputs=("max",)),
        conv("d1", (7, 12, 1, 1), seed, inputs=("max",)),
        Concat(name="both", inputs=("c1", "d1")),
        relu(name="r4"),
        AveragePool2d(name="mean", size=2),
        Reshape(name="again", shape=(12, 4)),
        Reshape(name="image", shape=(12, 2, 2)),
        Flatten(name="flat"),
        dense(9, 48, seed, "e1"),
        relu(name="r5"),
        dense(4, 9, seed, "e2"),
    ]
    return Network(layers=tuple(layers), input_shape=(8, 8, 3), name="joined")


IMAGES = np.random.default_rng(5).random((40, 8, 8, 3)).astype(np.float32)


@settings(max_examples=8, deadline=None)
@given(st.floats(0, 1), st.integers(0, 50))
def test_shrinking_computes_what_silencing_does(density, seed):
    net = joined(seed)
    labels = labels_of(net)
    kept = kept_labels(net, labels, Magnitude().scores(net, None), density)
    quiet, small = silenced(net, labels, kept), shrunk(net, labels, kept)
    np.testing.assert_allclose(ne.run_float(small, IMAGES), ne.run_float(quiet, IMAGES), rtol=2e-4, atol=2e-5)

    def share(n):
        return max(1, round(density * n))

    sizes = {layer.name: len(layer.weight) for layer in small.weighted}
    # An output of the depthwise layer belongs to the input it reads, which is written by a1 and a2: one decision.
    wanted = {"a1": share(6), "a2": share(6), "b1": 2 * share(6), "c1": share(5), "d1": share(7), "e1": share(9)}
    assert sizes == wanted | {"e2": 4}


def test_codes_shrink_exactly():
    q = ne.quantize(joined(), samples=IMAGES)
    labels = labels_of(q)
    kept = kept_labels(q, labels, Magnitude().scores(q, None), 0.5)
    quiet = silenced(q, labels, kept)
    np.testing.assert_array_equal(
        ne.run_integer(ne.prune(q, density=0.5, structure=ne.Channels()), IMAGES), ne.run_integer(quiet, IMAGES)
    )


def test_channels_that_are_read_least_go():
    first, second = np.arange(12.0).reshape(4, 3) + 1, np.array([[0.1, 3.0, 0.2, 2.0]] * 2)
    net = sequential(
        [Dense(name="fc", weight=first), relu(name="r"), Dense(name="out", weight=second)], input_shape=(3,)
    )
    small = ne.prune(net, density=0.5, structure=ne.Channels())
    np.testing.assert_array_equal(small.layer("fc").weight, np.float32(first[[1, 3]]))
    np.testing.assert_array_equal(small.layer("out").weight, np.float32(second[:, [1, 3]]))
    x = np.array([[1.0, 1.0, 1.0]])  # the channels are 6, 15, 24 and 33
    by_size = ne.prune(
        replace_weight(net, "out", [[0.9, 0.5, 0.0, 0.2]] * 2), density=0.5, structure=ne.Channels(), samples=x,
        criterion=ne.Contribution(),
    )  # fmt: skip
    np.testing.assert_array_equal(by_size.layer("fc").weight, np.float32(first[[1, 3]]))


def replace_weight(net, name, weight):
    layers = [replace(n, weight=np.array(weight)) if n.name == name else n for n in net.layers]
    return net.replace(layers=tuple(layers))


def test_what_cannot_be_cut_stays():
    net = Network(
        layers=(
            conv("first", (6, 2, 1, 1)),
            conv("mixed", (4, 3, 1, 1), groups=2),  # neither depthwise nor whole
            relu(name="high"),
            Scale(name="shift", offset=np.ones(4)),
            GlobalAveragePool(name="pool", keep_dims=False),
            Dense(name="fc", weight=np.ones((3, 4))),
        ),
        input_shape=(2, 4, 4),
    )
    small = ne.prune(net, density=0.1, structure=ne.Channels())
    assert [layer.weight.shape for layer in small.weighted] == [layer.weight.shape for layer in net.weighted]


@pytest.mark.parametrize("structure", [ne.Rows(), ne.Blocks((5, 3))], ids=repr)
@pytest.mark.parametrize("density", [0.1, 0.5, 1.0])
def test_whole_pieces_with_the_largest_sums_of_squares_stay(structure, density):
    net = sequential([dense(7, 23)], input_shape=(23,))
    weight = net.layer("fc").weight.T  # (K, M)
    after = ne.prune(net, density=density, structure=structure).layer("fc").weight.T
    high = 1 if isinstance(structure, ne.Rows) else 5  # 23 rows in 5 parts of at most 5, 7 columns in 3 of at most 3
    wide = 7 if isinstance(structure, ne.Rows) else 3
    cuts = [(slice(r, r + high), slice(c, c + wide)) for r in range(0, 23, high) for c in range(0, 7, wide)]
    sums = np.array([(weight[cut] ** 2).sum() for cut in cuts])
    stays = np.array([bool(after[cut].any()) for cut in cuts])
    for cut, kept in zip(cuts, stays, strict=True):
        np.testing.assert_array_equal(after[cut], weight[cut] if kept else 0)
    if isinstance(structure, ne.Rows):
        assert stays.sum() == max(1, round(density * 23)) and (stays.all() or sums[stays].min() >= sums[~stays].max())
        return
    best = np.array([max(range(c, 15, 3), key=sums.__getitem__) for c in range(3)])  # each range of columns keeps one
    assert stays.sum() == max(3, round(density * 15)) and stays[best].all()
    others = np.setdiff1d(np.arange(15), best)
    assert min(sums[others[stays[others]]], default=np.inf) >= max(sums[others[~stays[others]]], default=0)


def test_blocks_of_the_size_of_arrays_free_tiles():
    net = sequential([dense(150, 300), relu(name="r"), dense(10, 150, name="out")], input_shape=(300,))
    x = np.random.default_rng(0).random((20, 300)).astype(np.float32)
    chip = replace(ideal(ne.chips.HERMES), rows=64, columns=64)
    before, after = (ne.quantize(ne.prune(net, density=d, structure=ne.Blocks((64, 64))), samples=x) for d in (1, 0.4))
    assert len(ne.place(before, chip).sites) == 5 * 3 + 3
    sites = ne.place(after, chip).sites
    assert len(sites) == round(0.4 * 15) + 1
    for site in sites:  # a tile is a block: all of its weights stayed
        assert site.details["nonzero weights"] > 0.95 * 60 * 50 or site.layer == "out"
    result = ne.run(after, chip, x)
    np.testing.assert_array_equal(result.outputs.reshape(20, -1), ne.run_integer(after, x))
    assert result.counts.total("core_read_1phase") == 20 * 7


def test_contribution_counts_silent_inputs_for_nothing():
    net = sequential([Dense(name="fc", weight=np.array([[1.0, 5.0, 2.0], [1.0, 9.0, 3.0]]))], input_shape=(3,))
    x = np.array([[1.0, 0.01, 1.0], [3.0, 0.01, 1.0]])
    after = ne.prune(net, density=1 / 3, structure=ne.Rows(), criterion=ne.Contribution(), samples=x)
    np.testing.assert_array_equal(after.layer("fc").weight.any(axis=0), [False, False, True])  # 13 against 10 and 0.01
    magnitude = ne.prune(net, density=1 / 3, structure=ne.Rows())
    np.testing.assert_array_equal(magnitude.layer("fc").weight.any(axis=0), [False, True, False])


@pytest.mark.parametrize("structure", [ne.Weights(), ne.Rows(), ne.Blocks((4, 2))], ids=repr)
def test_reconstruction_is_least_squares(structure):
    random = np.random.default_rng(0)
    x = (random.normal(0, 1, (300, 4)) @ random.normal(0, 1, (4, 12)) + 0.4 * random.normal(0, 1, (300, 12))).astype(
        "f4"
    )
    net = sequential([dense(5, 12)], input_shape=(12,))
    plain = ne.prune(net, density=0.5, structure=structure)
    after = ne.prune(net, density=0.5, structure=structure, samples=x, reconstruct=ne.LeastSquares(damping=1e-9))
    wanted = ne.run_float(net, x)
    for m in range(5):
        places = plain.layer("fc").weight[m] != 0
        rows = np.column_stack([x[:, places], np.ones(300)]).astype(np.float64)
        fit = np.linalg.lstsq(rows, wanted[:, m].astype(np.float64), rcond=None)[0]
        np.testing.assert_allclose(after.layer("fc").weight[m, places], fit[:-1], rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(after.layer("fc").bias[m], fit[-1], rtol=1e-4, atol=1e-3)
        assert not after.layer("fc").weight[m, ~places].any()


def test_reconstruction_helps_whole_networks():
    net, (x, y) = ne.datasets.mnist_network(), ne.datasets.mnist_test(500)
    found = []
    for how in ({}, {"samples": net.samples, "reconstruct": ne.LeastSquares()}):
        small = ne.prune(net, density=0.5, structure=ne.Channels(), **how)
        assert [layer.weight.shape[:2] for layer in small.weighted] == [(8, 1), (14, 8), (32, 14), (10, 288)]
        found.append((ne.run_float(small, x).argmax(axis=1) == y).mean())
    assert found[1] > 0.93 > found[0] + 0.2


def test_onnxruntime_computes_what_is_left(tmp_path):
    """Pruned, rounded by Gptq, written in the QDQ form: the codes of another runtime, or their neighbours."""
    runtime = pytest.importorskip("onnxruntime")
    net, (x, _) = ne.datasets.mnist_network(), ne.datasets.mnist_test(100)
    samples = net.samples[:128]
    small = ne.prune(net, density=0.6, structure=ne.Channels(), samples=samples, reconstruct=ne.LeastSquares())
    q = ne.quantize(small, samples=samples, weight_bits=4, rounding=ne.Gptq(), correct_bias=True)
    ne.save(q, tmp_path / "small.onnx")
    session = runtime.InferenceSession(tmp_path / "small.onnx")
    (theirs,) = session.run(None, {session.get_inputs()[0].name: x})
    steps = np.rint(np.abs(theirs - ne.run_integer(q, x)) / q.grids[q.output].scale)
    assert steps.max() <= 1 and (steps == 0).mean() > 0.99


def test_smaller_networks_take_fewer_cores():
    net = ne.datasets.mnist_network()
    samples = net.samples[:64]
    small = ne.prune(net, density=0.4, structure=ne.Channels(), samples=samples, reconstruct=ne.LeastSquares())
    units = {}
    for name, one in (("before", net), ("after", small)):
        q, spiking = ne.quantize(one, samples=samples), ne.to_spiking(one, steps=2, samples=samples[:8])
        placed = (ne.place(q, ne.chips.HERMES), ne.place(q, ne.chips.TPU_V1), ne.place(spiking, ne.chips.LOIHI))
        units[name] = [len(placement.sites) for placement in placed]
    assert all(after < before for after, before in zip(units["after"], units["before"], strict=True)), units


def test_freed_counts_what_is_there():
    net = sequential([dense(4, 6), relu(name="r"), dense(2, 4, name="out")], input_shape=(6,))
    table = ne.freed(net, ne.prune(net, density=0.5, structure=ne.Channels())).splitlines()
    assert table[1].split() == ["fc", "6", "->", "6", "4", "->", "2", "24", "->", "12", "24", "->", "12"]
    assert table[-1].split() == ["all", "32", "->", "16", "32", "->", "16"]
    rows = ne.freed(net, ne.prune(net, density=0.5, structure=ne.Rows())).splitlines()
    assert rows[1].split()[1:4] == ["6", "->", "3"]
    with pytest.raises(InputError, match="other weighted layers"):
        ne.freed(net, sequential([dense(2, 6, name="only")], input_shape=(6,)))


def test_arguments_of_structured_pruning():
    net = sequential([dense(4, 6)], input_shape=(6,))
    with pytest.raises(ArgumentTypeError, match="give Weights"):
        ne.prune(net, density=0.5, structure="channels")
    with pytest.raises(InputError, match=r"give \(rows, columns\)"):
        ne.Blocks(64)
    with pytest.raises(InputError, match="samples=training"):
        ne.prune(net, density=0.5, criterion=ne.Contribution())
    with pytest.raises(InputError, match="needs a float network and samples"):
        ne.prune(net, density=0.5, reconstruct=ne.LeastSquares())
    q = ne.quantize(net, samples=np.ones((2, 6)), groups=ne.Groups(2))
    with pytest.raises(InputError, match="before quantize"):
        ne.prune(q, density=0.5, structure=ne.Channels())
