"""Measuring: the same network on the user's own machine, timed through onnxruntime and metered where that can be done.

Enter a float or a quantized network and inputs; leave times, and joules from counters of the machine itself: Linux
powercap (RAPL) for processors, nvidia-smi for NVIDIA cards. So one baseline of a comparison is measured, not modelled.

Idle power is read first, with the process asleep. What the run draws beyond it is the energy of the work; idle power
times the time of an inference is its static energy. A package counter holds all cores, whatever else runs on them.

Reference: K. Khan et al., "RAPL in Action", ACM TOMPECS 2018, doi:10.1145/3177754 (what the counters hold, how exact).
"""

import os
import platform
import shutil
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from . import _checks
from ._counts import si
from .energy import Cost, CostTable, Counts, price
from .errors import InputError, MissingDependencyError, PriceError
from .network.graph import Network
from .result import Result, Scores
from .running import data_hash, form_of
from .versions import versions

POWERCAP = Path("/sys/class/powercap")
SAMPLE_SECONDS = 0.1  # between two readings of a card's power
WARM_UP = 3  # batches before the clock starts


class Rapl:
    """Energy counters of the processor packages and, where they are apart, of their memory."""

    name = "RAPL"

    def __init__(self, root: Path = POWERCAP):
        self.domains = []
        for folder in sorted(root.glob("intel-rapl*")):
            try:
                name = (folder / "name").read_text().strip()
                if name.startswith("package") or name == "dram":
                    int((folder / "energy_uj").read_text())
                    self.domains.append((folder / "energy_uj", int((folder / "max_energy_range_uj").read_text())))
            except (OSError, ValueError):
                continue
        if not self.domains:
            raise OSError(f"no readable energy counter under {root} (they need root on many systems)")

    def start(self):
        return [int(path.read_text()) for path, _ in self.domains]

    def joules(self, before) -> float:
        """Since `start`; a counter that came round once is taken as one round further."""
        after = self.start()
        spent = [b - a if b >= a else b - a + most for a, b, (_, most) in zip(before, after, self.domains, strict=True)]
        return 1e-6 * sum(spent)


class NvidiaSmi:
    """Power of all NVIDIA cards, read again and again and summed over time."""

    name = "nvidia-smi"

    def __init__(self):
        if shutil.which("nvidia-smi") is None:
            raise OSError("nvidia-smi is not installed")
        self._watts()

    def _watts(self) -> float:
        query = ["nvidia-smi", "--query-gpu=power.draw", "--format=csv,noheader,nounits"]
        try:
            told = subprocess.run(query, capture_output=True, text=True, check=True, timeout=10).stdout
            return sum(float(line) for line in told.split())
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            raise OSError(f"nvidia-smi tells no power: {error}") from None

    def start(self):
        stop, samples = threading.Event(), [(time.perf_counter(), self._watts())]

        def sample():
            while not stop.wait(SAMPLE_SECONDS):
                samples.append((time.perf_counter(), self._watts()))

        thread = threading.Thread(target=sample, daemon=True)
        thread.start()
        return stop, thread, samples

    def joules(self, before) -> float:
        """Trapezoids over the samples since `start`."""
        stop, thread, samples = before
        stop.set()
        thread.join()
        samples.append((time.perf_counter(), self._watts()))
        times, watts = np.array(samples).T
        return float(np.trapezoid(watts, times))


@dataclass(frozen=True, eq=False, kw_only=True)
class Measured:
    """What a network took on this machine; made by `measure_baseline`.

    machine : processor. runtime : what ran, its provider and threads. batch_seconds : (n,) times of the batches, s.
    joules : of all inferences, None without a meter; idle_watts likewise. meter : what was read, or why nothing was.
    """

    network_name: str
    machine: str
    runtime: str
    outputs: np.ndarray
    batch: int
    batch_seconds: np.ndarray
    inferences: int
    joules: float | None
    idle_watts: float | None
    meter: str
    scores: Scores | None
    _facts: dict

    @property
    def latency(self) -> float:
        """Median seconds of a batch."""
        return float(np.median(self.batch_seconds))

    @property
    def throughput(self) -> float:
        """Inferences a second over the whole run."""
        return self.inferences / float(self.batch_seconds.sum())

    @property
    def energy_per_inference(self) -> float | None:
        """Joules, idle power included."""
        return None if self.joules is None else self.joules / self.inferences

    @property
    def result(self) -> Result:
        """As a Result, to stand in a comparison.

        Raises
        ------
        PriceError
            No meter could be read.
        """
        if self.joules is None:
            raise PriceError(f"measure_baseline on {self.machine}: no energy: {self.meter}; times are in `latency`")
        seconds = float(self.batch_seconds.sum())
        fixed = {"device": self.machine, "evidence": "silicon", "source": f"{self.meter}, measured by this run"}
        work = max(0.0, self.joules - self.idle_watts * seconds) / self.inferences
        idle = Cost(event="idle", value=self.idle_watts, kind="static", part="host", scope="chip", **fixed)
        table = CostTable(
            costs=(idle, Cost(event="inference", value=work, kind="marginal", part="host", **fixed)),
            excludes=("what the counters do not hold: board, power supply, cooling",),
        )
        images = len(self.outputs)
        how = f"measured: {len(self.batch_seconds)} batches of {self.batch}, {self.runtime}, {self.meter}"
        counts = Counts({("network", "inference"): images})
        energy = price(counts, table, seconds=images / self.throughput, inferences=images, units={"chip": 1})
        return Result(
            network_name=self.network_name, chip_name=self.machine, outputs=self.outputs,
            predictions=self.outputs.argmax(axis=-1), scores=self.scores, n_images=images, n_trials=1, batch=self.batch,
            counts=counts, energy=energy, latency_per_inference=self.latency, throughput=self.throughput, n_units=1,
            utilisation=1.0, traces={"batch_seconds": self.batch_seconds}, warnings=(),
            notes=(how,), seed=0,
            versions=versions(), trial_outputs=self.outputs[None], **self._facts,
        )  # fmt: skip

    def __repr__(self):
        low, high = np.quantile(self.batch_seconds, (0.05, 0.95))
        lines = [
            f"{self.network_name} on {self.machine}, {self.runtime}",
            f"  latency     {si(self.latency, 's')} a batch of {self.batch} (5 % to 95 %: {si(float(low), 's')} to "
            f"{si(float(high), 's')}), {self.throughput:,.0f} inferences/s",
        ]
        if self.joules is None:
            return "\n".join([*lines, f"  energy      not measured: {self.meter}"])
        energy = f"{si(self.energy_per_inference, 'J')} an inference, idle {self.idle_watts:.3g} W ({self.meter})"
        return "\n".join([*lines, f"  energy      {energy}"])


def measure_baseline(
    network: Network,
    x: np.ndarray,
    *,
    labels=None,
    batch: int = 1,
    seconds: float = 2.0,
    threads: int | None = None,
    provider: str = "CPUExecutionProvider",
    meter=None,
) -> Measured:
    """Run a network on this machine through onnxruntime, timed and metered.

    Parameters
    ----------
    network : Network
        Float or quantized (in the QDQ form); see `save`.
    x : ``(B, *input_shape)`` array
        All of it runs once; then it runs again until `seconds` have passed.
    labels : (B,) integers, optional
    batch : int, >= 1
        Inputs of a launch; what is left over at the end of `x` is a smaller one.
    seconds : float, > 0
        Time to measure for. Half as long goes to the idle power, if there is a meter. Counters change about once a
        millisecond: 1 s and more.
    threads : int, optional
        Of onnxruntime. Default: the cores that this process may use.
    provider : str
        Execution provider of onnxruntime, such as "CUDAExecutionProvider".
    meter : object with `start()` and `joules(started)`, optional
        Default: `Rapl`, or `NvidiaSmi` for providers other than the CPU's.

    Returns
    -------
    Measured
        Without energy, and with the reason, where no meter can be read.

    Raises
    ------
    MissingDependencyError
        onnxruntime or onnx is not installed.
    """
    who = "measure_baseline"
    _checks.instance(network, Network, who=who, name="network")
    x = network.check_input(x, who=who)
    _checks.integer(batch, who=who, name="batch", low=1)
    seconds = _checks.real(seconds, who=who, name="seconds", low=0.0)
    threads = _checks.threads(threads, who=who)
    if labels is not None:
        labels = _checks.labels(labels, n=len(x), classes=network.output_shape[0], who=who)
    meter, told = _meter(meter, provider)
    session, runtime = _session(network, threads, provider)
    parts = [np.ascontiguousarray(x[i : i + batch], np.float32) for i in range(0, len(x), batch)]
    for part in parts[:WARM_UP]:
        session.run(None, {"input": part})
    idle = None if meter is None else _idle_watts(meter, seconds / 2)
    started = None if meter is None else meter.start()
    outputs, times, inferences = _timed(session, parts, seconds)
    joules = None if meter is None else meter.joules(started)
    return Measured(
        network_name=network.name, machine=_processor(), runtime=f"{runtime}, {threads} threads", outputs=outputs,
        batch=min(batch, len(x)), batch_seconds=times, inferences=inferences, joules=joules, idle_watts=idle,
        meter=told, scores=None if labels is None else Scores.of(outputs.argmax(axis=-1)[None], labels),
        _facts={"data_hash": data_hash(x, labels), "form": form_of(network)},
    )  # fmt: skip


def _timed(session, parts, seconds: float):
    """Outputs of all parts, seconds of each launch, and how many inferences they were."""
    outputs, times, inferences, turn = [], [], 0, 0
    end = time.perf_counter() + seconds
    while turn < len(parts) or time.perf_counter() < end:
        part = parts[turn % len(parts)]
        before = time.perf_counter()
        (found,) = session.run(None, {"input": part})
        times.append(time.perf_counter() - before)
        inferences += len(part)
        if turn < len(parts):
            outputs.append(found)
        turn += 1
    return np.concatenate(outputs), np.array(times), inferences


def _idle_watts(meter, seconds: float) -> float:
    started, before = meter.start(), time.perf_counter()
    time.sleep(seconds)
    return meter.joules(started) / (time.perf_counter() - before)


def _meter(meter, provider: str):
    """The meter, or None, and what to say of it."""
    if meter is not None:
        return meter, getattr(meter, "name", type(meter).__name__)
    try:
        found = Rapl() if provider == "CPUExecutionProvider" else NvidiaSmi()
    except OSError as error:
        return None, str(error)
    return found, found.name


def _session(network: Network, threads: int, provider: str):
    try:
        import onnxruntime
    except ImportError:
        raise MissingDependencyError("measure_baseline: needs onnxruntime; pip install neuroemu[measure]") from None
    from .network.onnx_writer import onnx_model

    if provider not in onnxruntime.get_available_providers():
        known = ", ".join(onnxruntime.get_available_providers())
        raise InputError(f"measure_baseline: this onnxruntime has no '{provider}'; choose from {known}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    model = onnx_model(network).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=[provider])
    return session, f"onnxruntime {onnxruntime.__version__} ({provider})"


def _processor() -> str:
    """Name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration, IndexError):
        return platform.processor() or platform.machine() or os.name
