"""Speed of statistical devices and of write-verify on dynamic ones, in units of a matrix product.

    OPENBLAS_NUM_THREADS=1 python benchmarks/bench_devices.py [seconds for each device, default 1.0]

Arrays of 1024 x 1024 cells on one thread: programming, conductance after an hour (drift), and standard deviation of a
read, each divided by a 1024 x 1024 x 1024 float32 product of NumPy. The contenders take turns in one process; medians
of CPU time. NumPy's transcendental functions are faster with AVX-512; NPY_DISABLE_CPU_FEATURES takes that away.

Then write-verify of 256 x 256 dynamic memristors, targets from 10 to 90 % of the range: CPU time of all threads.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy is loaded

import platform
import sys
import time

import numpy as np

from neuroemu.devices import (
    DynamicCell,
    Generic,
    HermesPcm,
    NormalNoise,
    Pcm,
    Pulse,
    PulseGrowth,
    RramCmo,
    RramMilo2021,
    RramWan2022,
    Sonos,
    write_verify,
)
from neuroemu.devices import dynamics as dy

SHAPE = (1024, 1024)
GOALS = (2.5, 1.6, None)  # program, drift, read sigma, in products
DEVICES = {
    "Pcm": Pcm(),
    "HermesPcm": HermesPcm(),
    "RramWan2022": RramWan2022(),
    "RramCmo": RramCmo(),
    "Generic": Generic(noise=NormalNoise(1e-6), read_noise=0.01, drift_exponent=0.05, drift_spread=0.01),
    "RramMilo2021": RramMilo2021(),
    "Sonos": Sonos(),
}
DYNAMIC = {
    "VTEAM": DynamicCell(dy.VTEAM, Pulse(-0.25, 1e-10), Pulse(0.1, 8e-9), tolerance=2e-4, max_pulses=300),
    "Yakopcic A": DynamicCell(dy.YAKOPCIC_A, Pulse(0.3, 5e-5), Pulse(-0.3, 5e-5), tolerance=1e-4, max_pulses=300),
    "Stanford-PKU": DynamicCell(
        dy.STANFORD_PKU, Pulse(1.0, 1e-9), Pulse(-1.0, 1e-9), tolerance=2e-5, growth=PulseGrowth(volts=0.01)
    ),
    "data-driven 2021": DynamicCell(
        dy.DATA_DRIVEN_2021, Pulse(0.9, 1e-6), Pulse(-0.9, 1e-6), tolerance=5e-6, growth=PulseGrowth(volts=0.01)
    ),
}


def medians(contenders, seconds):
    """Median CPU time of one call of each function, taking turns."""
    samples = [[] for _ in contenders]
    for call in contenders:
        call()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(samples[0]) < 5:
        for call, times in zip(contenders, samples, strict=True):
            start = time.thread_time()
            call()
            times.append(time.thread_time() - start)
    return [float(np.median(times)) for times in samples]


def measure(name, device, seconds):
    targets = device.g_min + np.random.default_rng(0).random(SHAPE) * (device.g_max - device.g_min)
    cells = device.program(targets, np.random.default_rng(1))
    matrix = np.random.default_rng(2).random(SHAPE, np.float32)
    product, *times = medians(
        [
            lambda: matrix @ matrix,
            lambda: device.program(targets, np.random.default_rng(1)),
            lambda: device.conductance(cells, 3600.0),
            lambda: device.read_sigma(cells, 3600.0),
        ],
        seconds,
    )
    parts = []
    for spent, goal in zip(times, GOALS, strict=True):
        ratio = spent / product
        verdict = "" if goal is None else f" (goal {goal}{'' if ratio <= goal else ', MISSED'})"
        parts.append(f"{1e3 * spent:.1f} ms, {ratio:.2f}{verdict}")
    return f"| {name} | {1e3 * product:.1f} ms | {' | '.join(parts)} |"


def verified(name, cell):
    share = 0.1 + 0.8 * np.random.default_rng(0).random((256, 256))
    start = time.process_time()
    report = write_verify(cell, cell.g_min + share * (cell.g_max - cell.g_min), np.random.default_rng(1))
    spent = time.process_time() - start
    each = 1e9 * spent / report.pulses.sum()
    return f"| {name} | {spent:.2f} s | {report.pulses.mean():.1f} | {each:.0f} ns | {report.outside_tolerance} |"


def processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(f"{processor()}, {os.cpu_count()} cpus{load}; Python {platform.python_version()}, numpy {np.__version__}\n")
    print("1024 x 1024 cells; time, and time over that of the product.\n")
    print("| device | product | program | drift | read sigma |")
    print("|---|---|---|---|---|")
    for name, device in DEVICES.items():
        print(measure(name, device, seconds), flush=True)
    print("\n256 x 256 dynamic cells, write-verified.\n")
    print("| model | time | pulses a cell | a pulse | outside tolerance |")
    print("|---|---|---|---|---|")
    for name, cell in DYNAMIC.items():
        print(verified(name, cell), flush=True)


if __name__ == "__main__":
    main()
