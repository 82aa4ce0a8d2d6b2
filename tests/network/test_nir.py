"""NIR files: the package `nir` writes and reads them too, and is the arbiter; published models; hostile files."""

import dataclasses
import itertools
import sys

import numpy as np
import pytest
import scipy.signal

from neuroemu.errors import FileFormatError, InputError, MissingDependencyError, NeuroemuError, UnsupportedError
from neuroemu.network import layers as L
from neuroemu.network import neurons as N
from neuroemu.network.files import load, save
from neuroemu.network.graph import Network
from neuroemu.network.grids import Grid
from neuroemu.network.neuron_steps import EULER
from neuroemu.network.nir_reader import read_nir
from neuroemu.network.stepping import run_spiking

h5py = pytest.importorskip("h5py")
nir = pytest.importorskip("nir")

RNG = np.random.default_rng(0)
MODELS = ["lif_norse", "cnn_sinabs", "braille_noDelay_bias_zero", "braille_noDelay_noBias_subtract"]


def floats(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def positive(*shape):
    return RNG.uniform(1e-3, 2e-2, shape)


def neuron(kind, name, *shape, **more):
    fields = {f: positive(*shape) for f in kind.PARAMETERS}
    return kind(name=name, **fields, **more)


def assert_same(a: Network, b: Network):
    assert a.input_shape == b.input_shape
    assert [x.name for x in a.layers] == [x.name for x in b.layers]
    for one, other in zip(a.layers, b.layers, strict=True):
        assert type(one) is type(other)
        for field in dataclasses.fields(one):
            np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name), err_msg=field.name)


def assert_same_graph(a, b):
    assert set(a.nodes) == set(b.nodes)
    assert sorted(a.edges) == sorted(b.edges)
    for name, node in a.nodes.items():
        one, other = node.to_dict(), b.nodes[name].to_dict()
        assert set(one) == set(other)
        for field in one:
            np.testing.assert_array_equal(one[field], other[field], err_msg=f"{name}.{field}")


def write(tmp_path, nodes, edges, **more):
    """A file that the package `nir` writes."""
    path = tmp_path / "m.nir"
    nir.write(path, nir.NIRGraph(nodes=nodes, edges=edges, **more))
    return path


def chain(tmp_path, *nodes, input_shape, output_shape):
    """Nodes one after the other, called a, b, c ..."""
    names = ["input", *"abcdefgh"[: len(nodes)], "output"]
    ends = (nir.Input(np.array(input_shape)), *nodes, nir.Output(np.array(output_shape)))
    edges = list(itertools.pairwise(names))
    return write(tmp_path, dict(zip(names, ends, strict=True)), edges, type_check=False)


def ones(*shape):
    return np.ones(shape)


# -- published models ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_published_models_go_in_and_out(test_data, tmp_path, name):
    path = test_data / "nir" / "models" / f"{name}.nir"
    network = load(path)
    save(network, tmp_path / "again.nir")
    assert_same(load(tmp_path / "again.nir"), network)
    assert_same_graph(nir.read(path), nir.read(tmp_path / "again.nir"))
    save(network, tmp_path / "own.npz")
    assert_same(load(tmp_path / "own.npz"), network)


def test_a_model_that_the_package_itself_refuses(test_data):
    """Rockpool gave its Output the shape (time, batch, 1)."""
    path = test_data / "nir" / "models" / "lif_rockpool.nir"
    with pytest.raises(ValueError):
        nir.read(path)
    assert load(path).output_shape == (1,)


@pytest.mark.parametrize("engine", ["compiled", "numpy"])
def test_the_nmnist_network_computes_what_its_arrays_say(test_data, engine):
    """Sinabs has no unit of time: dt = 1. Convolutions by scipy, neurons by hand, on random events."""
    network = load(test_data / "nir" / "models" / "cnn_sinabs.nir")
    graph = nir.read(test_data / "nir" / "models" / "cnn_sinabs.nir").nodes
    x = RNG.random((12, 1, 2, 34, 34)) < 0.15
    got, kept = run_spiking(network, x, dt=1.0, keep=["3", "10"], engine=engine)
    v = {name: 0.0 for name in ("1", "3", "6", "10", "12")}
    found = {name: [] for name in v}

    def convolve(name, s):
        node = graph[name]
        s = np.pad(s, ((0, 0), (1, 1), (1, 1)))
        sums = [sum(scipy.signal.correlate(c, k, "valid") for c, k in zip(s, row, strict=True)) for row in node.weight]
        return np.stack(sums)[:, :: node.stride[0], :: node.stride[1]]

    def fire(name, current):
        v[name] = v[name] + current
        spikes = v[name] > 1
        v[name] = np.where(spikes, 0, v[name])
        found[name].append(spikes)
        return spikes.astype(float)

    def pool(s):
        return s.reshape(len(s), s.shape[1] // 2, 2, s.shape[2] // 2, 2).sum(axis=(2, 4))

    for frame in x[:, 0].astype(float):
        s = fire("3", convolve("2", fire("1", convolve("0", frame))))
        s = pool(fire("6", convolve("5", pool(s)))).ravel()
        fire("12", graph["11"].weight @ fire("10", graph["9"].weight @ s))
    for name, spikes in {"3": kept["3"], "10": kept["10"], "12": got}.items():
        assert spikes.any() and not spikes.all()
        np.testing.assert_array_equal(spikes[:, 0], found[name], err_msg=name)


@pytest.mark.parametrize("engine", ["compiled", "numpy"])
@pytest.mark.parametrize("name", MODELS[2:])
def test_braille_networks_follow_the_equations_they_were_trained_with(test_data, name, engine):
    """snnTorch: I = alpha I + x + recurrence, v = beta v + I, v = 0 after a spike; NIR's tau hold alpha and beta."""
    path = test_data / "nir" / "models" / f"{name}.nir"
    network, nodes = load(path), nir.read(path).nodes
    x = RNG.random((60, 1, 12)) < 0.2
    got = run_spiking(network, x, dt=1e-4, method=EULER, engine=engine)

    def affine(name, s):
        node = nodes[name]
        return node.weight @ s + getattr(node, "bias", 0.0)

    def fire(name, state, drive):
        node = nodes[name]
        state[0] = (1 - 1e-4 / node.tau_syn) * state[0] + drive
        state[1] = (1 - 1e-4 / node.tau_mem) * state[1] + state[0]
        s = (state[1] > 1).astype(float)
        state[1] = state[1] * (1 - s)
        return s

    first, second, s, want = [0, 0], [0, 0], np.zeros(len(nodes["fc1"].weight)), []
    for frame in x[:, 0].astype(float):
        s = fire("lif1.lif", first, affine("fc1", frame) + affine("lif1.w_rec", s))
        want.append(fire("lif2", second, affine("fc2", s)))
    assert 0 < np.mean(want) < 1
    np.testing.assert_array_equal(got[:, 0], np.array(want) != 0)


# -- round trips --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", N.KINDS.values(), ids=N.KINDS)
def test_neurons_go_in_and_out(tmp_path, kind):
    loop = {"recurrent_weight": floats(3, 3), "recurrent_bias": floats(3), "recurrent_name": "back"}
    layers = (
        L.Dense(name="w", weight=floats(3, 5)),
        neuron(kind, "n1", 3),
        neuron(kind, "n2.lif", 3, recurrent_weight=floats(3, 3)),
        neuron(kind, "n3", 3, **loop),
    )
    network = Network(layers=layers, input_shape=(5,))
    save(network, tmp_path / "m.nir")
    assert_same(load(tmp_path / "m.nir"), network)
    save(network, tmp_path / "m.npz")
    assert_same(load(tmp_path / "m.npz"), network)
    nodes = nir.read(tmp_path / "m.nir").nodes
    assert {"n2.w_rec", "back"} < set(nodes)
    for field in kind.PARAMETERS:
        np.testing.assert_array_equal(getattr(nodes["n1"], field), getattr(layers[1], field))


def test_layers_go_in_and_out(tmp_path):
    layers = (
        L.Conv2d(name="c1", weight=floats(4, 2, 3, 3), bias=floats(4), padding=1, stride=2),
        L.AveragePool2d(name="p1", size=2, stride=1, padding=1, count_padding=True),
        L.Conv2d(name="same", weight=floats(4, 4, 2, 2), padding=((0, 1), (0, 1))),
        L.SumPool2d(name="p2", size=(2, 1)),
        L.Reshape(name="rows", shape=(4, -1)),
        L.Reshape(name="c.rows", shape=(4, 1, 15)),
        L.Conv2d(name="c", weight=floats(3, 4, 1, 4), bias=floats(3), stride=(1, 2), padding=((0, 0), (2, 2))),
        L.Reshape(name="c.sequence", shape=(3, 8)),
        L.Flatten(name="f"),
        L.Dense(name="d", weight=floats(6, 24)),
        L.Dense(name="e", weight=floats(6, 6), bias=floats(6)),
    )
    network = Network(layers=layers, input_shape=(2, 9, 8))
    save(network, tmp_path / "m.nir")
    back = load(tmp_path / "m.nir")
    x = floats(3, 2, 2, 9, 8)
    np.testing.assert_array_equal(run_spiking(back, x), run_spiking(network, x))
    rows = dataclasses.replace(layers[4], shape=(4, 15))
    assert_same(back, network.replace(layers=(*layers[:4], rows, *layers[5:])))
    graph = nir.read(tmp_path / "m.nir", type_check=False)
    assert [type(graph.nodes[n]).__name__ for n in ("c", "same", "rows", "d", "e")] == [
        "Conv1d", "Conv2d", "Flatten", "Linear", "Affine"
    ]  # fmt: skip
    assert graph.nodes["same"].padding == "same"


def test_branches_are_sums_of_edges(tmp_path):
    layers = (
        L.Dense(name="a", weight=floats(3, 3)),
        L.Dense(name="b", weight=floats(3, 3), inputs=("input",)),
        L.Add(name="ab", inputs=("a", "b")),
        L.Add(name="all", inputs=("ab", "input")),
        L.Dense(name="end", weight=floats(2, 3)),
    )
    network = Network(layers=layers, input_shape=(3,))
    save(network, tmp_path / "m.nir")
    assert sorted(nir.read(tmp_path / "m.nir").edges) == sorted(
        [("input", "a"), ("input", "b"), ("a", "end"), ("b", "end"), ("input", "end"), ("end", "output")]
    )
    x = floats(2, 2, 3)
    np.testing.assert_allclose(run_spiking(load(tmp_path / "m.nir"), x), run_spiking(network, x), rtol=1e-5)


def test_same_network_same_bytes(tmp_path):
    network = Network(layers=(neuron(N.LIF, "l", 3),), input_shape=(3,))
    for name in "ab":
        save(network, tmp_path / f"{name}.nir")
    assert (tmp_path / "a.nir").read_bytes() == (tmp_path / "b.nir").read_bytes()


# -- files that `nir` writes --------------------------------------------------------------------------------------


def test_sequences_are_convolved(tmp_path):
    weight, bias = floats(2, 3, 4), floats(2)
    node = nir.Conv1d(input_shape=9, weight=weight, stride=2, padding=1, dilation=1, groups=1, bias=bias)
    network = load(chain(tmp_path, node, input_shape=(3, 9), output_shape=(2, 4)))
    x = floats(1, 1, 3, 9)
    padded = np.pad(x[0, 0], ((0, 0), (1, 1)))
    want = [sum(np.correlate(c, k, "valid") for c, k in zip(padded, w, strict=True))[::2] for w in weight]
    np.testing.assert_allclose(run_spiking(network, x)[0, 0], np.array(want) + bias[:, None], rtol=1e-5)


@pytest.mark.parametrize("first, last, shape", [(0, -1, (24,)), (0, 1, (6, 4)), (1, -1, (2, 12)), (-2, 2, (2, 12))])
def test_flatten_takes_a_range_of_axes(tmp_path, first, last, shape):
    node = nir.Flatten(input_type=np.array([2, 3, 4]), start_dim=first, end_dim=last)
    assert load(chain(tmp_path, node, input_shape=(2, 3, 4), output_shape=shape)).output_shape == shape


def test_graphs_within_graphs(tmp_path):
    li = nir.LI(tau=ones(2), r=ones(2), v_leak=ones(2))
    inner = nir.NIRGraph.from_list(nir.Linear(floats(2, 3)), li)
    nodes = {"input": nir.Input(np.array([3])), "block": inner, "output": nir.Output(np.array([2]))}
    network = load(write(tmp_path, nodes, [("input", "block"), ("block", "output")], type_check=False))
    assert [layer.name for layer in network.layers] == ["block.linear", "block.li"]


def test_early_files_have_no_reset_and_a_number_for_w_in(tmp_path):
    values = {f: ones(2) for f in ("tau_mem", "tau_syn", "r", "v_leak", "v_threshold")}
    path = chain(tmp_path, nir.CubaLIF(**values), input_shape=(2,), output_shape=(2,))
    with h5py.File(path, "r+") as file:
        del file["node/nodes/a/v_reset"], file["node/nodes/a/w_in"]
        file["node/nodes/a/w_in"] = 0.5
    (layer,) = load(path).layers
    np.testing.assert_array_equal([layer.v_reset, layer.w_in], [[0, 0], [0.5, 0.5]])


# -- refusals -----------------------------------------------------------------------------------------------------


def linear(n=2):
    return nir.Linear(ones(n, n))


def looped(*edges):
    nodes = {"input": nir.Input(np.array([2])), "output": nir.Output(np.array([2]))}
    neurons = {f: ones(2) for f in ("tau", "r", "v_leak", "v_threshold")}
    kinds = {"w": linear, "u": linear, "x": linear, "n": lambda: nir.LIF(**neurons), "m": lambda: nir.LIF(**neurons)}
    nodes |= {name: kinds[name]() for name in sorted({e for pair in edges for e in pair} & set(kinds))}
    return nodes, list(edges)


@pytest.mark.parametrize(
    "edges, says",
    [
        ([("input", "n"), ("n", "n"), ("n", "output")], "a loop passes"),
        ([("input", "n"), ("n", "m"), ("m", "w"), ("w", "n"), ("m", "output")], "a loop passes"),
        ([("input", "w"), ("w", "u"), ("u", "w"), ("u", "output")], "a loop passes"),
        ([("input", "n"), ("n", "w"), ("w", "n"), ("n", "u"), ("u", "n"), ("n", "output")], "through 2 nodes"),
        ([("input", "n"), ("w", "n"), ("n", "output")], "nothing leads to it"),
        ([("input", "n"), ("w", "output")], "nothing leads to it"),
    ],
)
def test_graphs_that_a_network_cannot_hold(tmp_path, edges, says):
    nodes, edges = looped(*edges)
    with pytest.raises(NeuroemuError) as error:
        load(write(tmp_path, nodes, edges, type_check=False))
    assert says in str(error.value) and "m.nir" in str(error.value)


@pytest.mark.parametrize(
    "nodes, shapes, says",
    [
        ([nir.Delay(ones(2))], ((2,), (2,)), "Delay): not supported; replace it by one of Affine, AvgPool2d"),
        ([nir.Linear(ones(2, 2, 2))], ((2,), (2,)), "only matrices"),
        ([linear()], ((2, 2), (2, 2)), "put a Flatten before it"),
        ([linear()], ((2,), (3,)), "it says shape (3,), what arrives has (2,)"),
        ([linear(3)], ((2,), (3,)), "do not fit together"),
        ([nir.LI(tau=-ones(2), r=ones(2), v_leak=ones(2))], ((2,), (2,)), "above 0"),
        ([nir.Flatten(np.array([2, 2, 2]), 3, -1)], ((2, 2, 2), (8,)), "axes 3 to -1"),
        (
            [nir.Conv2d((4, 4), ones(1, 1, 2, 2), 2, "same", 1, 1, ones(1))],
            ((1, 4, 4), (1, 2, 2)),
            "'same' with stride",
        ),
        ([nir.SumPool2d(ones(3), ones(2), ones(2))], ((1, 4, 4), (1, 2, 2)), "kernel_size"),
        ([nir.SumPool2d(2 * ones(2), 0.5 * ones(2), ones(2))], ((1, 4, 4), (1, 2, 2)), "whole numbers"),
    ],
)
def test_nodes_that_are_refused(tmp_path, nodes, shapes, says):
    with pytest.raises(NeuroemuError) as error:
        load(chain(tmp_path, *nodes, input_shape=shapes[0], output_shape=shapes[1]))
    assert says in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "layer, says",
    [
        (L.relu(name="r"), "put IF or LIF layers"),
        (L.MaxPool2d(name="m", size=2), "no node for it"),
        (L.Scale(name="s", scale=2.0), "fold(network) first"),
        (L.Dense(name="d", weight=floats(2, 4)), "put a Flatten before it"),
        (L.Conv2d(name="c", weight=floats(2, 2, 2, 2), padding=((1, 0), (0, 0))), "differs from side to side"),
        (L.AveragePool2d(name="p", size=2, padding=1), "count_padding=True"),
        (L.Reshape(name="r", shape=(4, 8)), "no flattening of axes"),
        (L.Add(name="a", inputs=("input", "input")), "the same tensor twice"),
        (L.Flatten(name="a/b"), "hold no '/'"),
    ],
)
def test_layers_that_cannot_be_written(tmp_path, layer, says):
    with pytest.raises(UnsupportedError) as error:
        save(Network(layers=(layer,), input_shape=(2, 4, 4)), tmp_path / "m.nir")
    assert says in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_codes_and_missing_folders_cannot_be_written(tmp_path):
    coded = L.Dense(name="d", weight=np.ones((1, 1), np.int8), weight_grid=Grid(1.0))
    with pytest.raises(UnsupportedError, match="write the float network"):
        save(Network(layers=(coded,), input_shape=(1,), grids={"input": Grid(1.0)}), tmp_path / "m.nir")
    with pytest.raises(InputError, match="cannot be written"):
        save(Network(layers=(neuron(N.LI, "l", 1),), input_shape=(1,)), tmp_path / "no" / "m.nir")


def test_without_the_library(tmp_path, monkeypatch):
    path = chain(tmp_path, linear(), input_shape=(2,), output_shape=(2,))
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingDependencyError, match=r"neuroemu\[nir\]"):
        load(path)


# -- hostile files ------------------------------------------------------------------------------------------------


@pytest.fixture
def good(tmp_path):
    return chain(tmp_path, linear(), input_shape=(2,), output_shape=(2,))


def damaged(path, change):
    with h5py.File(path, "r+") as file:
        change(file, file["node/nodes/a"])
    return path


def replace_weight(**how):
    def change(file, node):
        del node["weight"]
        node.create_dataset("weight", **how)

    return change


def virtual(file, node):
    del node["weight"]
    layout = h5py.VirtualLayout((2, 2), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "w", (2, 2))
    node.create_virtual_dataset("weight", layout)


def external(file, node):
    del node["weight"]
    node.create_dataset("weight", (2, 2), "f4", external=[("/etc/passwd", 0, 16)])


def linked(link):
    def change(file, node):
        del node["weight"]
        node["weight"] = link

    return change


def circle(file, node):
    del file["node/nodes/a"]
    file["node/nodes/a"] = file["node"]


def crowded(file, node):
    for i in range(10_001):
        node.create_group(str(i))


def without(name):
    def change(file, node):
        del file[name]

    return change


@pytest.mark.parametrize(
    "change, says",
    [
        (virtual, "another file"),
        (external, "another file"),
        (linked(h5py.SoftLink("/node/nodes/a/type")), "link to another place"),
        (linked(h5py.ExternalLink("other.h5", "/w")), "link to another place"),
        (circle, "more than 8 deep"),
        (crowded, "more than 10,000"),
        (replace_weight(shape=(1 << 20, 1 << 9), dtype="f4"), "and stores 0"),
        (replace_weight(shape=(1 << 20, 1 << 9), dtype="f4", chunks=(1024, 1)), "and stores 0"),
        (replace_weight(shape=(1, 1), maxshape=(None, None), dtype="f8", chunks=(1 << 14, 1 << 14)), "may take"),
        (replace_weight(data="text", dtype=h5py.string_dtype()), "is the text 'text'"),
        (replace_weight(data=np.zeros(2, "c8")), "only numbers"),
        (replace_weight(shape=(2,), dtype=h5py.vlen_dtype("f4")), "only numbers"),
        (replace_weight(data="x" * 5000, dtype=h5py.string_dtype()), "a text of 5,000 characters"),
        (replace_weight(data=np.bytes_(b"x" * 5000)), "texts of 5,000 characters"),
        (without("node/nodes/a/weight"), "it has no weight"),
        (without("node/nodes/a/type"), "type is missing"),
        (without("node/edges"), "edges"),
        (without("node/nodes"), "no group 'nodes'"),
        (without("node"), "no group 'node'"),
    ],
)
def test_hostile_structures(good, change, says):
    with pytest.raises(FileFormatError) as error:
        load(damaged(good, change))
    assert says in str(error.value) and str(error.value).startswith(str(good)) and "\n" not in str(error.value)


def test_a_damaged_heap_of_texts(good):
    """The HDF5 library itself hangs on the first of these and takes gigabytes on the second."""
    content = bytearray(good.read_bytes())
    heap = content.find(b"GCOL")
    for at, value in ((heap + 16 + 8, b"\xff\0\0\0\0\0\0\0"), (heap + 8, b"\xff" * 8), (heap, b"HEAP")):
        changed = bytearray(content)
        changed[at : at + len(value)] = value
        good.write_bytes(changed)
        with pytest.raises(FileFormatError):
            read_nir(good)


def test_truncated_and_changed_files_end_in_one_error(good):
    rng = np.random.default_rng(1)
    content = good.read_bytes()
    for _ in range(150):
        changed = bytearray(content[: rng.integers(8, len(content))] if rng.random() < 0.3 else content)
        for at in rng.integers(8, len(changed), rng.choice([1, 4, 30])):
            changed[at] = rng.choice([0, 255, rng.integers(256)])
        good.write_bytes(changed)
        try:
            load(good)
        except NeuroemuError as error:
            assert "\n" not in str(error) and len(str(error)) < 700


def test_other_content_is_told(tmp_path):
    (tmp_path / "m.nir").write_bytes(b"not HDF5 at all")
    with pytest.raises(FileFormatError, match=r"not a \.nir file"):
        load(tmp_path / "m.nir")
    with pytest.raises(FileFormatError, match="No such file"):
        read_nir(tmp_path / "none.nir")
    with pytest.raises(FileFormatError, match="not a NIR file"):
        read_nir(tmp_path / "m.nir")
