"""Fuzz the readers of files: python tests/fuzz_readers.py --seconds 600 --processes 2 --out /tmp/fuzz

Each changed file must give a value or one NeuroemuError of one line, within SECONDS and BYTES; what was read is used
once, since damage that is let in may break what comes next. Workers run one reader each, under a limit of memory; a
worker that dies or hangs leaves its last file behind. Finds lie in the folder `out`, one file each, with a report.

With `--engine atheris` the changes are guided by the lines that are reached (pip install atheris); else they are
drawn at random from the seeds and from what came of them. Not collected by pytest: it is run for minutes, at times.
"""

import argparse
import contextlib
import functools
import hashlib
import importlib
import io
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fuzz_mutations import mutate

HERE = Path(__file__).parent

SECONDS, BYTES = 8.0, 1 << 30  # a file of at most 4 MB may keep a reader busy, and take, no more
ADDRESS_SPACE = 8 << 30
POOL = 300  # changed files that are changed further


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
    import tempfile

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


AEDAT = ("none.aedat4", "lz4.aedat4", "zstd.aedat4", "dvs128.aedat", "davis346.aedat", "dvs128_3.aedat")
TABLES = [b"x,y,p,t\n1,2,1,30\n4,5,0,1600000000000007\n", b"t x y p\n0 1 2 1\n5 3 4 -1\n"]
TARGETS = {
    "onnx": Target(".onnx", _onnx_seeds, _load),
    "tflite": Target(".tflite", _tflite_seeds, _load),
    "nir": Target(".nir", _nir_seeds, _load),
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


def _save_arrays(path):
    from neuroemu import datasets

    datasets.save_events(datasets.Events(*np.ones((4, 9), np.int64)), path)


INSTRUMENTED = [
    *(f"neuroemu.{name}" for name in ("_archive", "sweeps", "crossbar.programmed_files")),
    *(f"neuroemu.network.{name}" for name in ("files", "onnx_reader", "tflite_reader", "nir_reader")),
    *(
        f"neuroemu.network._{name}"
        for name in ("build", "onnx_file", "tflite_file", "nir_file", "hdf5_heap", "nir_text")
    ),
    *(f"neuroemu.datasets.{name}" for name in ("aedat", "_aedat4", "prophesee", "shd", "event_files", "_reading")),
]


class _TooLong(BaseException):
    pass


def _stop(*_):
    raise _TooLong


class Trial:
    """Reads one file after another, and keeps what goes wrong."""

    def __init__(self, name: str, out: Path):
        self.name, self.target, self.out = name, TARGETS[name], out
        shared = Path("/dev/shm")
        folder = (shared if shared.is_dir() else out) / f"fuzz-{os.getppid()}-{name}"
        folder.mkdir(exist_ok=True)
        self.path = folder / f"file{self.target.ending}"
        self.seen: set[str] = set()
        self.runs = self.accepted = 0
        signal.signal(signal.SIGALRM, _stop)

    def __call__(self, content: bytes) -> bool:
        """Whether the reader took the file."""
        from neuroemu.errors import NeuroemuError

        self.path.write_bytes(content)
        self.runs += 1
        _reset_peak()
        before, started = _peak(), time.process_time()
        signal.setitimer(signal.ITIMER_REAL, 3 * SECONDS)
        taken = False
        try:
            self.target.read(self.path)
            taken = True
        except NeuroemuError as error:
            if "\n" in str(error) or not str(error).isprintable():
                self.keep(content, "a message of several lines or unprintable", error)
        except _TooLong as error:
            self.keep(content, "hangs", error)
        except BaseException as error:
            self.keep(content, type(error).__name__, error)
        signal.setitimer(signal.ITIMER_REAL, 0)
        if time.process_time() - started > SECONDS:
            self.keep(content, f"slow: {time.process_time() - started:.0f} s", None)
        if _peak() - before > BYTES:
            self.keep(content, f"memory: {(_peak() - before) >> 20} MiB", None)
        self.accepted += taken
        return taken

    def keep(self, content: bytes, what: str, error) -> None:
        frames = traceback.extract_tb(error.__traceback__) if error is not None else []
        place = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames[-4:]))
        key = what.split(":")[0] + place
        if key in self.seen:
            return
        self.seen.add(key)
        stem = f"{self.name}-{hashlib.sha256(key.encode()).hexdigest()[:10]}"
        (self.out / f"{stem}{self.target.ending}").write_bytes(content)
        (self.out / f"{stem}.report").write_text(f"{what}: {str(error)[:300]!r}\n{place}\n", encoding="utf-8")


def _reset_peak():
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    """Largest memory since the reset, in bytes."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def _seeds(name: str) -> list[bytes]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return TARGETS[name].seeds()


def work(name: str, seconds: float, seed: int, out: Path, engine: str) -> None:
    """One worker: one reader for some seconds."""
    warnings.simplefilter("ignore")
    os.nice(10)
    if engine == "atheris":
        _instrumented()
    seeds, rng = _seeds(name), random.Random(seed)
    trial = Trial(name, out)
    for content in seeds:
        trial(content)
    if engine == "atheris":
        _guided(trial, seeds, seconds, out, rng)
        return
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    pool, end = list(seeds), time.monotonic() + seconds
    while time.monotonic() < end:
        content = mutate(rng.choice(pool if rng.random() < 0.5 else seeds), seeds, rng)
        if trial(content) and len(content) < 1 << 17:
            pool[len(seeds) + rng.randrange(POOL) :] = [content]
    print(
        json.dumps({"reader": name, "files": trial.runs, "taken": trial.accepted, "finds": len(trial.seen)}), flush=True
    )


def _instrumented() -> None:
    """The modules that read, imported so that the lines they reach are known."""
    import atheris

    with atheris.instrument_imports(include=INSTRUMENTED):
        for name in INSTRUMENTED:
            importlib.import_module(name)


def _guided(trial, seeds, seconds, out, rng) -> None:
    """Atheris in place of the loop; it ends the process."""
    import atheris

    corpus = out / f"corpus-{trial.name}"
    corpus.mkdir(exist_ok=True)
    for at, content in enumerate(seeds):
        (corpus / f"seed{at}").write_bytes(content)

    def change(data, most, seed):
        rng.seed(seed)
        return (mutate(bytes(data), seeds, rng) if rng.random() < 0.7 else atheris.Mutate(data, most))[:most]

    def one(data):
        if time.monotonic() > end:
            print(json.dumps({"reader": trial.name, "files": trial.runs, "taken": trial.accepted,
                              "finds": len(trial.seen)}), flush=True)  # fmt: skip
            os._exit(0)
        trial(bytes(data))

    end = time.monotonic() + seconds
    arguments = [f"-max_total_time={int(seconds) + 60}", "-rss_limit_mb=0", "-timeout=600", "-max_len=300000",
                 "-verbosity=0", "-print_final_stats=0", str(corpus)]  # fmt: skip
    atheris.Setup([sys.argv[0], *arguments], one, custom_mutator=change)
    atheris.Fuzz()


def supervise(names, seconds: float, processes: int, out: Path, engine: str, seed: int) -> int:
    """Workers for all readers; the number of finds."""
    each = seconds * processes / len(names)
    waiting = [(name, each, seed + at) for at, name in enumerate(names)]
    running: dict[subprocess.Popen, tuple] = {}
    while waiting or running:
        while waiting and len(running) < processes:
            name, left, number = waiting.pop(0)
            command = [sys.executable, __file__, "--worker", name, "--seconds", str(left), "--seed", str(number),
                       "--out", str(out), "--engine", engine]  # fmt: skip
            running[subprocess.Popen(command)] = (name, left, number, time.monotonic())
        time.sleep(1)
        for worker, (name, left, number, started) in list(running.items()):
            file = Path("/dev/shm" if Path("/dev/shm").is_dir() else out) / f"fuzz-{os.getpid()}-{name}"
            file = file / f"file{TARGETS[name].ending}"
            hangs = file.exists() and time.time() - file.stat().st_mtime > 8 * SECONDS
            if worker.poll() is None and not hangs:
                continue
            if worker.poll() is None:
                worker.kill()
                worker.wait()
            del running[worker]
            if worker.returncode:
                content = file.read_bytes()
                stem = f"{name}-died-{hashlib.sha256(content).hexdigest()[:10]}"
                (out / f"{stem}{file.suffix}").write_bytes(content)
                (out / f"{stem}.report").write_text(f"{'hangs' if hangs else 'dies'}: {worker.returncode}\n")
                left -= time.monotonic() - started
                if left > 2:
                    waiting.append((name, left, number + 1000))
            file.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                file.parent.rmdir()
    finds = sorted(out.glob("*.report"))
    for find in finds:
        print(f"{find.name}: {find.read_text(encoding='utf-8').strip()}")
    return len(finds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600, help="in all, per process")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True, help="folder for finds")
    parser.add_argument("--engine", choices=("random", "atheris"), default="random")
    parser.add_argument("--readers", nargs="+", choices=TARGETS, default=list(TARGETS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--worker", choices=TARGETS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    if given.worker:
        work(given.worker, given.seconds, given.seed, given.out, given.engine)
        return 0
    return 1 if supervise(given.readers, given.seconds, given.processes, given.out, given.engine, given.seed) else 0


if __name__ == "__main__":
    sys.exit(main())
