"""Speed of the crossbar kernel beside a plain NumPy float32 matrix product of the same shape, in one process.

    python benchmarks/bench_crossbar.py [seconds for each cell, default 0.6]

One thread: medians of CPU time, with the contenders taking turns, so that other load on the machine hits all alike. Two
threads: wall time, only meaningful on idle cores. Square layers of N x N in tiles of 256 rows, 8-bit inputs, an 8-bit
ADC for each tile and column. Every column names its goal, which is for batches from 64, of planes for
64; a figure that misses it is marked with *.
"""

import os
import platform
import sys
import time

import numpy as np
from threadpoolctl import threadpool_limits

from neuroemu import chips, kernels, quantize
from neuroemu.crossbar import Adc, BitSerial, CrossbarChip, IdealDac, MinMaxRange
from neuroemu.crossbar.building import build_engine
from neuroemu.devices import Ideal, ThermalNoise, WithReadNoise
from neuroemu.network import Dense, sequential

TILE_ROWS = 256
GOALS = {  # column: largest ratio, or smallest where it is a gain
    "DAC+ADC": 1.25,
    "noise, rank one": 1.6,
    "noise, two moments": 2.8,
    "edges": None,
    "edges, noise": 4.0,
    "float64 / float32": 2.0,
    "float64 / float32, noise": 2.0,
    "8 planes": 10.0,
    "8 planes, noise": 21.0,
    "gain on numpy per device": -300.0,
    "2 threads": -1.8,
}
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
        variance, pack = (self.sigma**2).sum(axis=0), kernels.crossbar.pack
        self.quiet = pack(self.mean, None, None, TILE_ROWS)
        self.noisy = pack(self.mean, variance, None, TILE_ROWS)
        self.rank_one = pack(self.mean, None, None, TILE_ROWS, column_variance=variance[::TILE_ROWS])
        self.exact = pack(self.mean, None, None, TILE_ROWS, exact=True)
        self.exact_noisy = pack(self.mean, variance, None, TILE_ROWS, exact=True)
        tiles = self.quiet.n_row_tiles
        self.converters = {
            "dac_scale": 1.0,
            "dac_limit": 127.0,
            "adc_step": np.full((tiles, n), 60, np.float32),
            "adc_limit": 127.0,
            "clipped": np.zeros(tiles, np.int64),
        }
        edges = np.arange(-127, 127) + 0.5 + self.rng.normal(0, 0.3, (tiles, n, 254))
        self.edges = np.sort(edges, axis=2).astype(np.float32)
        self.planes = self.rng.integers(0, 256, (batch, 1, n)).astype(np.float32)
        self.engines = {noise: self.bit_serial(n, noise) for noise in (False, True)}

    def bit_serial(self, n, noisy):
        """An engine that reads 8-bit inputs a bit at a time."""
        samples = self.rng.random((16, n)).astype(np.float32)
        net = quantize(sequential([Dense(name="fc", weight=self.mean)], input_shape=(n,)), samples=samples)
        device = WithReadNoise(Ideal(), (ThermalNoise(1e9, 0.2),)) if noisy else Ideal()  # white: fresh for each read
        chip = CrossbarChip(
            name="bench", costs=chips.HERMES.costs, device=device, dac=IdealDac(),
            rows=TILE_ROWS, columns=TILE_ROWS, inputs=BitSerial(), adc=Adc(range=MinMaxRange()),
        )  # fmt: skip
        sampled = chip.sampled_rows(net)["fc"]
        return build_engine(chip, net, net.layers[0], index=0, sampled=sampled, seed=0, trial=0, threads=1)

    def plain(self):
        np.matmul(self.rows, self.mean, out=self.plain_out)

    def kernel(self, packed, threads=1, **further):
        kernels.crossbar.mvm(packed, self.x, self.out, threads=threads, **self.converters, **further)

    def per_device(self):
        """One read in plain NumPy: a normal for both devices of every weight, then the product and the ADC."""
        noise = self.sigma * self.rng.standard_normal(self.sigma.shape, np.float32)
        weights = (self.plus + noise[0]) - (self.minus + noise[1])
        for start in range(0, self.mean.shape[0], TILE_ROWS):
            rows = slice(start, start + TILE_ROWS)
            np.clip(np.rint(self.rows[0, rows] @ weights[rows] / np.float32(60)), -127, 127)


def measure(n, batch, seconds):
    layer = Layer(n, batch)
    calls = {
        "plain": layer.plain,
        "quiet": lambda: layer.kernel(layer.quiet),
        "rank one": lambda: layer.kernel(layer.rank_one),
        "noisy": lambda: layer.kernel(layer.noisy),
        "edges": lambda: layer.kernel(layer.quiet, adc_edges=layer.edges),
        "noisy edges": lambda: layer.kernel(layer.noisy, adc_edges=layer.edges),
        "exact": lambda: layer.kernel(layer.exact),
        "noisy exact": lambda: layer.kernel(layer.exact_noisy),
        "planes": lambda: layer.engines[False].read(layer.planes, 0),
        "noisy planes": lambda: layer.engines[True].read(layer.planes, 0),
        "per device": layer.per_device,
    }
    times = dict(zip(calls, medians(list(calls.values()), seconds, time.thread_time), strict=True))
    both = [lambda: layer.kernel(layer.noisy), lambda: layer.kernel(layer.noisy, 2)]
    one, two = medians(both, seconds, time.perf_counter)
    plain = times["plain"]
    figures = [times[name] / plain for name in ("quiet", "rank one", "noisy", "edges", "noisy edges")]
    figures += [times["exact"] / times["quiet"], times["noisy exact"] / times["noisy"]]
    figures += [times["planes"] / plain, times["noisy planes"] / plain]
    figures += [times["per device"] * batch / times["noisy"], one / two]
    cells = []
    for value, (name, goal) in zip(figures, GOALS.items(), strict=True):
        counts = batch == 64 if "planes" in name else batch >= 64
        cells.append(marked(value, goal if counts else None))
    return f"| {n} | {batch} | {plain * 1e6:.1f} | {2 * batch * n * n / plain / 1e9:.0f} | {' | '.join(cells)} |"


def marked(value, goal):
    """A figure, with a star where it misses a goal."""
    missed = goal is not None and (value > goal if goal > 0 else value < -goal)
    return (f"{value:.0f}" if value >= 100 else f"{value:.2f}") + "*" * missed


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
    print("Ratios of time to the plain product, float64 to the same in float32; the last two columns are gains of the")
    print("kernel with two moments. Planes are read through LayerEngine. * misses its goal.\n")
    names = ["N", "B", "plain, us", "GFLOP/s", *GOALS]
    goals = ["goal", "", "", "", *("" if g is None else f"<= {g:g}" if g > 0 else f">= {-g:g}" for g in GOALS.values())]
    for cells in (names, ["---"] * len(names), goals):
        print("| " + " | ".join(cells) + " |")
    with threadpool_limits(1):
        for n, batch in SHAPES:
            print(measure(n, batch, seconds), flush=True)
        print("\n" + measure_normals(seconds))


if __name__ == "__main__":
    main()
