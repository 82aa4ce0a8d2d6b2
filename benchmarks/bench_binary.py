"""Speed of the popcount kernel beside a plain NumPy float32 matrix product of the same shape, in one process.

    python benchmarks/bench_binary.py [seconds for each cell, default 0.6]

One thread: medians of CPU time, with the contenders taking turns, so that other load on the machine hits all alike.
Square layers of N x N in tiles of 256 rows, 8-bit inputs that are not negative as 8 planes of one bit, weights in cells
of one bit: 8 slices of single cells (an offset, subtracted digitally), or 7 slices of pairs; an 8-bit ADC for each tile
and physical column. The last columns are the general kernel on the same bits, a call for each plane.
"""

import os
import platform
import sys
import time

import numpy as np
from bench_crossbar import TILE_ROWS, medians, processor
from threadpoolctl import threadpool_limits

from neuroemu import kernels

PLANES = 8
KINDS = {"single cells": (8, False), "pairs": (7, True)}
SHAPES = [(n, b) for n in (256, 512, 1024) for b in (1, 64)]


class Layer:
    """One layer and batch, with all that is timed on it."""

    def __init__(self, n, batch, slices, pairs, signed=False):
        rng = np.random.Generator(np.random.SFC64(0))
        self.x = rng.integers(-255 if signed else 0, 256, (batch, 1, n)).astype(np.float32)
        self.rows = self.x[:, 0].copy()
        cells = rng.integers(-1 if pairs else 0, 2, (n, slices * n))
        self.out = np.empty((batch, 1, n))
        self.plain_weights, self.plain_out = rng.random((n, n), np.float32), np.empty((batch, n), np.float32)
        minus = (cells < 0).astype(np.uint8) if pairs else None
        self.packed = kernels.binary.pack((cells > 0).astype(np.uint8), minus, slices, TILE_ROWS)
        full = np.ones((self.packed.n_row_tiles, slices * n), np.float32)
        converters = {
            "adc_step": full * np.float32(0.6),
            "adc_offset": full * np.float32(-127),
            "adc_limit": 127.0,
            "adc_back": full,
        }
        self.settings = {"planes": PLANES, "gain": full, "factors": 2.0 ** np.arange(slices)} | converters
        self.noise = {"on_variance": full * np.float32(0.01), "off_variance": full * np.float32(0.001)}
        self.planes = [(self.x.astype(int) >> p & 1).astype(np.float32) for p in range(PLANES)]
        variance = np.where(cells != 0, np.float32(0.01), np.float32(0.001))
        self.general = [
            kernels.crossbar.pack(cells.astype(np.float32), noise, None, TILE_ROWS) for noise in (None, variance)
        ]
        self.columns, self.converters = np.empty((batch, 1, slices * n)), converters

    def plain(self):
        np.matmul(self.rows, self.plain_weights, out=self.plain_out)

    def kernel(self, noisy):
        kernels.binary.mvm(self.packed, self.x, self.out, **self.settings, **(self.noise if noisy else {}))

    def by_products(self, noisy):
        for number, plane in enumerate(self.planes):
            kernels.crossbar.mvm(self.general[noisy], plane, self.columns, read_number=number, **self.converters)


def measure(n, batch, kind, seconds):
    layer = Layer(n, batch, *KINDS[kind])
    calls = [layer.plain, lambda: layer.kernel(False), lambda: layer.kernel(True)]
    calls += [lambda: layer.by_products(False), lambda: layer.by_products(True)]
    plain, quiet, noisy, *general = medians(calls, seconds, time.thread_time)
    conversions = batch * PLANES * layer.columns.shape[2] * layer.packed.n_row_tiles
    return (
        f"| {n} | {batch} | {kind} | {plain * 1e6:.1f} | {quiet / plain:.1f} | {noisy / plain:.1f} "
        f"| {quiet / conversions * 1e9:.2f} | {noisy / conversions * 1e9:.2f} "
        f"| {general[0] / plain:.1f} | {general[1] / plain:.1f} |"
    )


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 0.6
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(
        f"{processor()}, {os.cpu_count()} cpus{load}; Python {platform.python_version()}, numpy {np.__version__}; "
        f"kernels {kernels.isa()}\n"
    )
    print("Ratios of time to the plain product; ns are of one conversion.\n")
    print("| N | B | cells | plain, us | quiet | read noise | quiet, ns | noise, ns | by products | with noise |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    with threadpool_limits(1):
        for n, batch in SHAPES:
            for kind in KINDS:
                print(measure(n, batch, kind, seconds), flush=True)


if __name__ == "__main__":
    main()
