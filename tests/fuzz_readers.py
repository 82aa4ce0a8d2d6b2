"""Fuzz the readers of files: python tests/fuzz_readers.py --seconds 600 --processes 2 --out /tmp/fuzz

Each changed file must give a value or one NeuroemuError of one line, within SECONDS and BYTES; what was read is used
once, since damage that is let in may break what comes next. Workers run one reader each, under a limit of memory; a
worker that dies or hangs leaves its last file behind. Finds lie in the folder `out`, one file each, with a report.

With `--engine atheris` the changes are guided by the lines that are reached (pip install atheris); else they are
drawn at random from the seeds and from what came of them. Not collected by pytest: it is run for minutes, at times.
"""

import argparse
import contextlib
import hashlib
import importlib
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
from pathlib import Path

from fuzz_mutations import mutate
from fuzz_targets import TARGETS

SECONDS, BYTES = 8.0, 1 << 30  # a file of at most 4 MB may keep a reader busy, and take, no more
ADDRESS_SPACE = 8 << 30
POOL = 300  # changed files that are changed further


INSTRUMENTED = [
    *(f"neuroemu.{name}" for name in ("_archive", "sweeps", "crossbar.programmed_files")),
    *(
        f"neuroemu.network.{name}"
        for name in ("files", "arrays", "flax_reader", "safetensors_reader", "onnx_reader", "tflite_reader")
    ),
    *(f"neuroemu.network.{name}" for name in ("nir_reader", "keras_reader", "_keras_file", "_keras_layers", "_hdf5")),
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
        self.path = place_of(name, out, os.getppid())
        self.path.parent.mkdir(exist_ok=True)
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
            file = place_of(name, out, os.getpid())
            hangs = file.exists() and time.time() - file.stat().st_mtime > 8 * SECONDS
            if worker.poll() is None and not hangs:
                continue
            worker.kill()
            worker.wait()
            del running[worker]
            left -= time.monotonic() - started
            if worker.returncode and _died(name, file, out, "hangs" if hangs else f"dies: {worker.returncode}"):
                waiting += [(name, left, number + 1000)] if left > 2 else []
            file.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                file.parent.rmdir()
    finds = sorted(out.glob("*.report"))
    for find in finds:
        print(f"{find.name}: {find.read_text(encoding='utf-8').strip()}")
    return len(finds)


def _died(name: str, file: Path, out: Path, what: str) -> bool:
    """Keep the file that a worker read last; False if it read none."""
    if not file.exists():
        print(f"{name}: its worker {what}, before it read a file", file=sys.stderr)
        return False
    content = file.read_bytes()
    stem = f"{name}-died-{hashlib.sha256(content).hexdigest()[:10]}"
    (out / f"{stem}{file.suffix}").write_bytes(content)
    (out / f"{stem}.report").write_text(f"{what}\n", encoding="utf-8")
    return True


def place_of(name: str, out: Path, supervisor: int) -> Path:
    """Where a worker writes the file that it reads next; in memory if it can be."""
    shared = Path("/dev/shm")
    return (shared if shared.is_dir() else out) / f"fuzz-{supervisor}-{name}" / f"file{TARGETS[name].ending}"


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
