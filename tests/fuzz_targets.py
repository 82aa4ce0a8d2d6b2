"""The readers that fuzz_readers.py tries: how small good files of each are made, and what reads and uses one."""

import functools
import importlib
import io
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Target:
    """A reader: how seeds are made, and what reads and uses a file."""

    ending: str
    seeds: Callable[[], list[bytes]]
    read: Callable[[Path], object]


def _ne():
    import neuroemu

    return neuroemu


def _network(scaled=False):
    """A small float network of common layers."""
    N = importlib.import_module("neuroemu.network")
    rng = np.random.default_rng(0)

    def real(*shape):
        return rng.normal(size=shape).astype(np.float32)

    layers = [
        *([N.Scale(name="scale", scale=0.1)] if scaled else []),
        N.Conv2d(name="conv", weight=real(3, 2, 3, 3), bias=real(3), padding=1),
        N.relu(name="relu"),
        N.AveragePool2d(name="pool", size=2),
        N.Flatten(name="flat"),
        N.Dense(name="dense", weight=real(4, 12), bias=real(4)),
    ]
    return N.sequential(layers, input_shape=(2, 4, 4))


def _saved(*makers) -> list[bytes]:
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for ending, make in makers:
            path = Path(folder) / f"seed{ending}"
            make(path)
            found.append(path.read_bytes())
    return found


def _samples():
    return np.random.default_rng(1).uniform(0, 1, (16, 2, 4, 4)).astype(np.float32)


def _npz_seeds():
    ne, plain = _ne(), _network()
    quantized = ne.quantize(plain, samples=_samples())
    spiking = ne.to_spiking(plain, steps=4, samples=_samples())
    return _saved(*[(".npz", lambda p, n=n: ne.save(n, p)) for n in (_network(scaled=True), quantized, spiking)])


def _nir_seeds():
    ne, N = _ne(), importlib.import_module("neuroemu.network")
    neurons = importlib.import_module("neuroemu.network.neurons")
    folder = Path(os.environ.get("NEUROEMU_TEST_DATA", "none")) / "nir" / "models"
    rng = np.random.default_rng(0)
    layers = [
        N.Dense(name="fc", weight=rng.normal(size=(3, 4)).astype(np.float32), bias=np.zeros(3, np.float32)),
        neurons.LIF(name="lif", **{key: np.ones(3) for key in ("tau", "r", "v_leak", "v_threshold")}),
    ]
    own = _saved((".nir", lambda p: ne.save(N.sequential(layers, input_shape=(4,)), p)))
    return own + [p.read_bytes() for p in sorted(folder.glob("*.nir")) if p.stat().st_size < 300_000]


def _onnx_seeds():
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)

    def tensor(name, *shape):
        return numpy_helper.from_array(rng.normal(size=shape).astype(np.float32), name)

    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("MaxPool", ["r"], ["m"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["m"], ["f"]),
        helper.make_node("Gemm", ["f", "v"], ["g"], transB=1),
        helper.make_node("Add", ["g", "a"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", [1, 2, 4, 4]), ("y", [1, 4]))]
    weights = [tensor("w", 3, 2, 3, 3), tensor("b", 3), tensor("v", 4, 12), tensor("a", 4)]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    turned = helper.make_graph(nodes[::-1], "g", ends[:1], ends[1:], weights)  # every node reads a later one
    return [m.SerializeToString() for m in (model, helper.make_model(turned, opset_imports=model.opset_import))]


def _tflite_seeds():
    sys.path.insert(0, str(HERE / "network"))
    from tflite_maker import RELU, Maker

    found = []
    for quantized in (False, True):
        maker = Maker(np.random.default_rng(0), quantized=quantized)
        x = maker.activation((1, 6, 6, 2))
        y = maker.conv(x, 3, (3, 3), act=RELU)
        y = maker.pool(y, "MAX", (2, 2), (2, 2))
        y = maker.softmax(maker.dense(maker.reshape(y, (1, 27)), 4))
        found.append(maker.content(x, y))
    return found


@functools.cache
def _programmed():
    ne = _ne()
    return ne.quantize(_network(), samples=_samples()), ne.chips.HERMES


def _programmed_seeds():
    from neuroemu.crossbar import program

    network, chip = _programmed()
    return _saved((".npz", lambda p: program(network, chip, seed=0).save(p)))


def _read_programmed(path):
    from neuroemu.crossbar import load_programmed

    network, chip = _programmed()
    return load_programmed(path, network, chip)


def _sweep_seeds():
    ne = _ne()
    network = _programmed()[0]
    made = ne.sweep(lambda v: (network, ne.chips.TPU_V1), [1, 2], _samples()[:2], progress=False)
    return [made.to_csv().encode()]


def _read_sweep(path):
    found = _ne().Sweep.read(path)
    return repr(found), found.column("latency_s")


def _files(*names):
    folder = HERE / "golden" / "events"
    return [(folder / name).read_bytes() for name in names]


def _golden(*names):
    return [(HERE / "golden" / name).read_bytes() for name in names]


def _read_arrays(path):
    from neuroemu.network import read_arrays

    return {name: float(np.sum(array)) for name, array in read_arrays(path).items()}


def _read_events(path):
    from neuroemu import datasets

    events = datasets.read_events(path)
    return events.to_steps(dt=1e-3, steps=5, shape=(2, 300, 400), start=None)


def _read_shd(path):
    from neuroemu import datasets

    return datasets.to_trains(datasets.read_shd(path)[0], dt=0.1, steps=5, shape=(1, 1, 700))


def _use(network):
    """Run a small network once; a large one is only shown."""
    ne = _ne()
    repr(network)
    if np.prod(network.input_shape) > 1e5 or sum(network.macs.values()) > 1e7 or len(network.layers) > 100:
        return
    if max(np.prod(shape) for shape in network.shapes.values()) > 1e6 or (network.steps or 0) > 64:
        return
    x = np.ones((1, *network.input_shape), np.float32)
    if network.spiking:
        ne.run(network, ne.chips.LOIHI, x, progress=False)
    elif network.quantized:
        ne.run_integer(network, x)
    elif any(isinstance(layer, ne.network.neurons.Neuron) for layer in network.layers):
        ne.run_spiking(network, x[None], dt=1e-4)
    else:
        ne.run_float(network, x)


def _load(path):
    return _use(_ne().load(path))


def _inputs_seeds():
    buffer = io.BytesIO()
    np.savez_compressed(buffer, x=np.zeros((3, 4), np.float32), y=np.zeros(3, np.int64))
    return [buffer.getvalue()]


KERAS = ("keras_sequential.keras", "keras_sequential.h5", "keras_operations.keras")
AEDAT = ("none.aedat4", "lz4.aedat4", "zstd.aedat4", "dvs128.aedat", "davis346.aedat", "dvs128_3.aedat")
TABLES = [b"x,y,p,t\n1,2,1,30\n4,5,0,1600000000000007\n", b"t x y p\n0 1 2 1\n5 3 4 -1\n"]
TARGETS = {
    "onnx": Target(".onnx", _onnx_seeds, _load),
    "tflite": Target(".tflite", _tflite_seeds, _load),
    "nir": Target(".nir", _nir_seeds, _load),
    "keras": Target(".keras", lambda: _golden(*KERAS), _load),
    "safetensors": Target(".safetensors", lambda: _golden("flax_cnn.safetensors"), _read_arrays),
    "flax": Target(".msgpack", lambda: _golden("flax_cnn.msgpack"), _read_arrays),
    "npz": Target(".npz", _npz_seeds, _load),
    "programmed": Target(".npz", _programmed_seeds, _read_programmed),
    "sweep": Target(".csv", _sweep_seeds, _read_sweep),
    "inputs": Target(".npz", _inputs_seeds, lambda path: _ne().datasets.load_inputs(path)),
    "aedat": Target(".aedat", lambda: _files(*AEDAT), _read_events),
    "prophesee": Target(".raw", lambda: _files("cd.dat", "evt2.raw", "evt3.raw"), _read_events),
    "nmnist": Target(".bin", lambda: [bytes(range(250))], _read_events),
    "table": Target(".csv", lambda: TABLES, _read_events),
    "arrays": Target(".npz", lambda: _saved((".npz", _save_arrays)), _read_events),
    "shd": Target(".h5", lambda: _files("tables.h5", "h5py.h5"), _read_shd),
}


OTHERS = {  # readers whose seeds are the goldens of their tests, where those are there
    "keras": (".keras", ("keras_sequential.keras", "keras_operations.keras"), _load),
    "keras5": (".h5", ("keras_sequential.h5", "keras_operations.h5"), _load),
    "weights": (".h5", ("keras_sequential.weights.h5",), lambda path: _ne().network.read_arrays(path)),
    "safetensors": (".safetensors", ("flax_cnn.safetensors",), lambda path: _ne().network.read_arrays(path)),
    "msgpack": (".msgpack", ("flax_cnn.msgpack",), lambda path: _ne().network.read_arrays(path)),
}
for _name, (_ending, _files_of, _read) in OTHERS.items():
    if all((HERE / "golden" / file).exists() for file in _files_of):
        _seeds_of = functools.partial(lambda files: [(HERE / "golden" / f).read_bytes() for f in files], _files_of)
        TARGETS[_name] = Target(_ending, _seeds_of, _read)


def _save_arrays(path):
    from neuroemu import datasets

    datasets.save_events(datasets.Events(*np.ones((4, 9), np.int64)), path)
