"""Speed of the crossbar kernel beside a plain NumPy float32 matrix product of the same shape, in one process.

    python benchmarks/bench_crossbar.py [seconds for each cell, default 0.6]

One thread: medians of CPU time, with the contenders taking turns, so that other load on the machine hits all alike. Two
threads: wall time, only meaningful on idle cores. Square layers of N x N in tiles of 256 rows, 8-bit inputs, an 8-bit
ADC for each tile and column.
"""

import os
import platform
import sys
import time

import numpy as np
from threadpoolctl import threadpool_limits

from neuroemu import kernels

TILE_ROWS = 256
SHAPES = [(n, b) for n in (256, 512, 1024) for b in (1, 64, 1024)]


def medians(contenders, seconds, clock=time.perf_counter, least=5):
    """Median time of one call of each function, taking turns at least `least` times."""
    repeats, samples = [], [[] for _ in contenders]
    for call in contenders:
        call()
        start = time.perf_counter()
        call()
        repeats.append(max(1, int(2e-3 / max(time.perf_counter() - start, 1e-7))))
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(samples[0]) < least:
        for call, n, times in zip(contenders, repeats, samples, strict=True):
            start = clock()
            for _ in range(n):
                call()
            times.append((clock() - start) / n)
    return [float(np.median(times)) for times in samples]


class Layer:
    """One layer and batch, with all that is timed on it."""

    def __init__(self, n, batch):
        self.rng = np.random.Generator(np.random.SFC64(0))
        self.x = self.rng.integers(-127, 128, (batch, 1, n)).astype(np.float32)
        self.rows = self.x[:, 0].copy()
        self.mean = self.rng.normal(0, 3, (n, n)).astype(np.float32)
        self.plus, self.minus = np.maximum(self.mean, 0), np.maximum(-self.mean, 0)
        self.sigma = self.rng.random((2, n, n), np.float32)
        self.out = np.empty((batch, 1, n))
        self.plain_out = np.empty((batch, n), np.float32)
        self.quiet = kernels.crossbar.pack(self.mean, None, None, TILE_ROWS)
        self.noisy = kernels.crossbar.pack(self.mean, (self.sigma**2).sum(axis=0), None, TILE_ROWS)
        tiles = self.quiet.n_row_tiles
        self.converters = {
            "dac_scale": 1.0,
            "dac_limit": 127.0,
            "adc_step": np.full((tiles, n), 60, np.float32),
            "adc_limit": 127.0,
            "clipped": np.zeros(tiles, np.int64),
        }

    def plain(self):
        np.matmul(self.rows, self.mean, out=self.plain_out)

    def kernel(self, packed, threads=1):
        kernels.crossbar.mvm(packed, self.x, self.out, threads=threads, **self.converters)

    def per_device(self):
        """One read in plain NumPy: a normal for both devices of every weight, then the product and the ADC."""
        noise = self.sigma * self.rng.standard_normal(self.sigma.shape, np.float32)
        weights = (self.plus + noise[0]) - (self.minus + noise[1])
        for start in range(0, self.mean.shape[0], TILE_ROWS):
            rows = slice(start, start + TILE_ROWS)
            np.clip(np.rint(self.rows[0, rows] @ weights[rows] / np.float32(60)), -127, 127)


def measure(n, batch, seconds):
    layer = Layer(n, batch)
    calls = [layer.plain, lambda: layer.kernel(layer.quiet), lambda: layer.kernel(layer.noisy), layer.per_device]
    plain, quiet, noisy, read = medians(calls, seconds, time.thread_time)
    one, two = medians(
        [lambda: layer.kernel(layer.noisy), lambda: layer.kernel(layer.noisy, 2)], seconds, time.perf_counter
    )
    return (
        f"| {n} | {batch} | {plain * 1e6:.1f} | {2 * batch * n * n / plain / 1e9:.0f} | {quiet / plain:.2f} "
        f"| {noisy / plain:.2f} | {read * batch / plain:.0f} | {read * batch / noisy:.0f} | {one / two:.2f} |"
    )


def measure_normals(seconds):
    z = np.empty(1 << 18, np.float32)
    rng = np.random.Generator(np.random.SFC64(0))
    ours = lambda: kernels.crossbar.normals(z, 1, 2)  # noqa: E731
    numpy = lambda: rng.standard_normal(out=z, dtype=np.float32)  # noqa: E731
    ours, numpy = (z.size / t / 1e6 for t in medians([ours, numpy], seconds, time.thread_time))
    return f"normals: {ours:.0f} million/s; numpy SFC64 float32: {numpy:.0f} million/s; ratio {ours / numpy:.1f}"


def processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 0.6
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(
        f"{processor()}, {os.cpu_count()} cpus{load}; Python {platform.python_version()}, numpy {np.__version__}; "
        f"kernels {kernels.isa()}, OpenMP {kernels.openmp_enabled()}\n"
    )
    print("Ratios of time to the plain product; the last two columns are gains of the noisy kernel.\n")
    print("| N | B | plain, us | GFLOP/s | DAC+ADC | + read noise | numpy per device | gain on it | 2 threads |")
    print("|---|---|---|---|---|---|---|---|---|")
    with threadpool_limits(1):
        for n, batch in SHAPES:
            print(measure(n, batch, seconds), flush=True)
        print("\n" + measure_normals(seconds))


if __name__ == "__main__":
    main()
