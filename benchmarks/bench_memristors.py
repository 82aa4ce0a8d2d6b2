"""Speed of the memristors kernel beside plain NumPy versions of the same step, in one process.

    python benchmarks/bench_memristors.py [seconds for each model, default 1.0]

Arrays of 256 x 256 devices in float64, one step with its own voltage for each device; medians of CPU time of one
thread, the contenders taking turns, so that other load on the machine hits all alike. The voltage is a sine, the time
step a thousandth of its period, and each device is at another moment of its hysteresis loop. "NumPy" is the kernel's
twin, the same solution written with array operations. The last column is the wall time with one thread over that with
two, only meaningful on idle cores.
"""

import os
import platform
import sys
import time
from dataclasses import replace

import numpy as np

from neuroemu import kernels
from neuroemu.devices import dynamics as dy
from neuroemu.kernels import memristors_reference

SHAPE = (256, 256)
MODELS = {  # model, amplitude in volts, frequency in hertz
    "HP, no window": (dy.ION_DRIFT_HP, 1.0, 0.6),
    "HP, Joglekar": (dy.ION_DRIFT_JOGLEKAR, 1.0, 15.0),
    "HP, Biolek": (dy.ION_DRIFT_BIOLEK, 1.0, 12.0),
    "HP, Prodromakis": (replace(dy.ION_DRIFT_HP, window=dy.Prodromakis(5.0)), 1.5, 0.5),
    "VTEAM": (dy.VTEAM, 1.0, 5e6),
    "VTEAM, exponents 2.7": (replace(dy.VTEAM, a_on=2.7, a_off=2.7), 1.0, 5e6),
    "Yakopcic": (dy.YAKOPCIC_A, 0.45, 100.0),
    "Stanford-PKU": (dy.STANFORD_PKU, 1.5, 1e5),
    "data-driven 2017": (dy.DATA_DRIVEN_2017, 1.5, 1e3),
    "data-driven 2021": (dy.DATA_DRIVEN_2021, 1.5, 1e4),
    "Knowm MMS": (dy.KNOWM_MMS, 0.5, 100.0),
    "UMich": (dy.UMICH_VOLATILE, 1.0, 1.0),
}


def medians(contenders, seconds, clock=time.thread_time):
    """Median time of one call of each function, taking turns."""
    samples = [[] for _ in contenders]
    for call in contenders:
        call()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(samples[0]) < 5:
        for call, times in zip(contenders, samples, strict=True):
            start = clock()
            call()
            times.append(clock() - start)
    return [float(np.median(times)) for times in samples]


def measure(name, model, amplitude, frequency, seconds):
    sine, dt = amplitude * np.sin(2 * np.pi * np.arange(3000) / 1000), 1e-3 / frequency
    _, states = dy.simulate(model, sine, dt, model.initial_state(), largest_move=1)
    moments = np.random.default_rng(0).integers(2000, 3000, SHAPE)
    state, voltage = states[moments], sine[moments]
    number, parameters = model._kernel()
    parameters, x, v = np.array(parameters), state.reshape(-1), voltage.reshape(1, -1)
    after, currents = np.empty(v.shape), np.empty(v.shape)
    calls = [
        lambda: kernels.memristors.step(number, parameters, x, v, dt, after),
        lambda: kernels.memristors.step(number, parameters, x, v, dt, after, currents),
        lambda: model.step(state, voltage, dt, threads=1),
    ]
    step, both, public = (t / x.size * 1e9 for t in medians(calls, seconds))
    twin = medians([lambda: memristors_reference.step(number, parameters, x, v, dt, after)], seconds)[0]
    many = np.repeat(v, 16, axis=0)
    states = np.empty(many.shape)
    threads = [
        lambda count=count: kernels.memristors.step(number, parameters, x, many, dt, states, threads=count)
        for count in (1, 2)
    ]
    one, two = medians(threads, seconds / 2, time.perf_counter)
    twin *= 1e9 / x.size
    return f"| {name} | {step:.1f} | {both:.1f} | {public:.1f} | {twin:.0f} | {twin / step:.0f} | {one / two:.2f} |"


def processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(
        f"{processor()}, {os.cpu_count()} cpus{load}; Python {platform.python_version()}, numpy {np.__version__}; "
        f"kernels {kernels.isa()}, OpenMP {kernels.openmp_enabled()}\n"
    )
    print("Nanoseconds a device and step.\n")
    print("| model | kernel: step | step and current | public step | NumPy | NumPy / kernel | 2 threads |")
    print("|---|---|---|---|---|---|---|")
    for name, (model, amplitude, frequency) in MODELS.items():
        print(measure(name, model, amplitude, frequency, seconds), flush=True)


if __name__ == "__main__":
    main()
