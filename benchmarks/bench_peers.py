"""Speed of one noisy crossbar layer beside aihwkit and CrossSim, in one process, as ratios to a plain matrix product.

    python benchmarks/bench_peers.py [seconds for each cell, default 2]

Needs an environment of its own, with Python 3.12: `pip install . aihwkit==1.2.0`, and for CrossSim
`pip install git+https://github.com/sandialabs/cross-sim`. A peer that is not installed is skipped, and said so. One
thread; medians of CPU time, the contenders taking turns, so that other load on the machine hits all alike. The unit is
the NumPy float32 product of the same shape.

All have square layers of N x N in tiles of 256 x 256, 8-bit inputs and 8-bit converters, but the physics differs:

- ours: per-device read noise in proportion to each device's conductance, fresh at each read.
- aihwkit, default: its InferenceRPUConfig as it comes, Gaussian noise of one size at the outputs.
- aihwkit, PCM_READ: the same with w_noise_type PCM_READ, noise that grows with weights and inputs.
- CrossSim: a normal for each device and each read, proportional to its conductance; N = 256 only, as it keeps a copy of
  the matrix for each input vector.
"""

import importlib
import importlib.metadata
import os
import platform
import sys
import time
import tracemalloc
import warnings

import numpy as np
from bench_crossbar import SHAPES, TILE_ROWS, Layer, medians, processor
from threadpoolctl import threadpool_limits

from neuroemu import kernels

GOALS = {"aihwkit, default": 2, "aihwkit, PCM_READ": 12}  # times as fast as it, at B >= 64
CROSSSIM_BATCHES = (1, 64)  # 1,024 vectors would take tens of gigabytes
READ_NOISE = 0.02  # relative standard deviation; no speed depends on it


def aihwkit_layers(layer):
    """{name: function} of aihwkit's analog layers with the weights and inputs of a Layer."""
    import torch
    from aihwkit.nn import AnalogLinear, AnalogLinearMapped
    from aihwkit.simulator.configs import InferenceRPUConfig
    from aihwkit.simulator.parameters.enums import WeightNoiseType

    torch.set_num_threads(1)
    n = len(layer.mean)
    x = torch.from_numpy(layer.rows / 127)
    weight = torch.from_numpy(np.ascontiguousarray(layer.mean.T) / np.abs(layer.mean).max())
    calls = {}
    for name in GOALS:
        config = InferenceRPUConfig()
        config.mapping.max_input_size = config.mapping.max_output_size = TILE_ROWS
        if name.endswith("PCM_READ"):
            config.forward.w_noise_type, config.forward.w_noise = WeightNoiseType.PCM_READ, READ_NOISE
        kind = AnalogLinear if n <= TILE_ROWS else AnalogLinearMapped
        model = kind(n, n, bias=False, rpu_config=config)
        model.set_weights(weight)
        model.eval()

        def call(model=model):
            with torch.no_grad():
                model(x)

        calls[name] = call
    return calls


def crosssim_layer(layer):
    """The function of a CrossSim core with the weights and inputs of a Layer."""
    from simulator import AnalogCore, CrossSimParameters

    settings = CrossSimParameters()
    settings.core.rows_max = settings.core.cols_max = TILE_ROWS
    settings.xbar.device.read_noise.enable = True
    settings.xbar.device.read_noise.model = "NormalProportionalDevice"
    settings.xbar.device.read_noise.magnitude = READ_NOISE
    settings.xbar.adc.mvm.model, settings.xbar.dac.mvm.model = "QuantizerADC", "QuantizerDAC"
    settings.xbar.adc.mvm.bits = settings.xbar.dac.mvm.bits = 8
    settings.xbar.adc.mvm.calibrated_range = [-10, 10]  # four standard deviations of the sums
    core = AnalogCore(np.ascontiguousarray(layer.mean.T), params=settings)
    x = np.ascontiguousarray(layer.rows.T) / 127
    return lambda: core @ x


def installed(module, package):
    """Version of a peer, or None with a line that says so."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module(module)
        return importlib.metadata.version(package)
    except ImportError as error:
        print(f"{package} is skipped: it is not installed here ({error})")
        return None


def peak(call) -> float:
    """Largest memory of NumPy arrays during one call, MB."""
    tracemalloc.start()
    call()
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found / 1e6


def measure_aihwkit(seconds):
    print("\nRatios of time to the plain product; gains are times of the peer over ours.\n")
    goals = ", ".join(map(str, GOALS.values()))
    print(f"| N | B | plain, us | ours | {' | '.join(GOALS)} | gains (goals at B >= 64: {goals}) |")
    print("|---|---|---|---|" + "---|" * (len(GOALS) + 1))
    for n, batch in SHAPES:
        layer = Layer(n, batch)
        theirs = aihwkit_layers(layer)
        plain, ours, *others = medians(
            [layer.plain, lambda layer=layer: layer.kernel(layer.noisy), *theirs.values()], seconds, time.thread_time
        )
        cells = " | ".join(f"{other / plain:.1f}" for other in others)
        gains = ", ".join(f"{other / ours:.1f}" for other in others)
        print(f"| {n} | {batch} | {plain * 1e6:.1f} | {ours / plain:.2f} | {cells} | {gains} |", flush=True)


def measure_crosssim(seconds):
    print("\nN = 256, a normal for each device in CrossSim. Memory: NumPy arrays of one call.\n")
    print("| B | plain, us | ours | CrossSim | gain | ours, MB | CrossSim, MB |\n|---|---|---|---|---|---|---|")
    for batch in CROSSSIM_BATCHES:
        layer = Layer(TILE_ROWS, batch)
        call, own = crosssim_layer(layer), lambda layer=layer: layer.kernel(layer.noisy)
        plain, ours, other = medians([layer.plain, own, call], seconds, time.thread_time)
        print(
            f"| {batch} | {plain * 1e6:.1f} | {ours / plain:.2f} | {other / plain:.0f} | {other / ours:.0f} "
            f"| {(peak(own) * 1e6 + layer.out.nbytes + layer.x.nbytes) / 1e6:.3f} | {peak(call):.1f} |",
            flush=True,
        )


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    peers = {"aihwkit": installed("aihwkit", "aihwkit"), "CrossSim": installed("simulator", "CrossSim")}
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    named = ", ".join(f"{name} {version}" for name, version in peers.items() if version)
    print(
        f"{processor()}, {os.cpu_count()} cpus{load}; Python {platform.python_version()}, numpy {np.__version__}; "
        f"kernels {kernels.isa()}; {named or 'no peers'}"
    )
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if peers["aihwkit"]:
            measure_aihwkit(seconds)
        if peers["CrossSim"]:
            measure_crosssim(seconds)


if __name__ == "__main__":
    main()
