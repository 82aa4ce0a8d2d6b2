"""Speed of whole runs: MNIST through networks on a crossbar with per-device read noise, beside a plain matrix product.

    python benchmarks/bench_network.py [--images 10000] [--repeats 3]

The unit is one NumPy float32 product of 1024 x 1024 x 1024 on one thread, in the same process. One thread: medians of
CPU time, the contenders taking turns, so that other load on the machine hits all alike. Two threads: wall time, only
meaningful on idle cores. Tiles of 256 x 256, 8-bit weights, activations, DAC and ADC; each device reads with noise of
its own, in proportion to its conductance and fresh at each read. Programming, calibration of the ADC ranges and pricing
are part of a run. The weights of the LeNet-5 are random: speed does not depend on them.
"""

import argparse
import os
import platform
import time
from dataclasses import replace

import numpy as np
from bench_crossbar import medians, processor
from threadpoolctl import threadpool_limits

import neuroemu as ne
from neuroemu import kernels
from neuroemu.crossbar import NoCompensation
from neuroemu.devices import Generic, ProportionalNoise
from neuroemu.network import Clip, Conv2d, Dense, Flatten, MaxPool2d, Scale, sequential

GOAL = 100  # products, for the LeNet-5 and 10,000 images on one thread
CHIP = replace(
    ne.chips.HERMES,
    name="crossbar",
    cores=None,
    device=Generic(noise=ProportionalNoise(0.02), read_noise=0.02),
    compensation=NoCompensation(),
    seconds=0.0,
)


def lenet5(samples):
    """The layer sizes of LeNet-5 (Y. LeCun et al., 1998, doi:10.1109/5.726791) with max pooling and ReLU, quantized."""
    rng = np.random.default_rng(0)

    def weighted(kind, name, *shape, **geometry):
        weight = rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape).astype(np.float32)
        bias = rng.normal(0, 0.05, shape[0]).astype(np.float32)
        return [kind(name=name, weight=weight, bias=bias, **geometry), Clip(name=f"relu_{name}", low=0.0)]

    layers = [
        Scale(name="pixels", scale=np.float32(1 / 255), offset=np.float32(0)),
        *weighted(Conv2d, "conv1", 6, 1, 5, 5, padding=2),
        MaxPool2d(name="pool1", size=2),
        *weighted(Conv2d, "conv2", 16, 6, 5, 5),
        MaxPool2d(name="pool2", size=2),
        Flatten(name="flat"),
        *weighted(Dense, "dense1", 120, 400),
        *weighted(Dense, "dense2", 84, 120),
        *weighted(Dense, "dense3", 10, 84)[:1],
    ]
    network = sequential(layers, input_shape=(1, 28, 28), name="LeNet-5")
    return ne.quantize(network, weight_bits=8, activation_bits=8, samples=samples)


def embedded():
    network = ne.datasets.mnist_network()
    return ne.quantize(network, weight_bits=8, activation_bits=8, samples=network.samples)


def measure(network, x, repeats):
    matrix = np.random.default_rng(0).random((1024, 1024), np.float32)
    product = np.empty_like(matrix)
    calls = [
        lambda: np.matmul(matrix, matrix, out=product),
        lambda: ne.run_integer(network, x),
        lambda: ne.run(network, CHIP, x, threads=1, progress=False),
    ]
    plain, exact, noisy = medians(calls, 0, time.thread_time, least=repeats)
    one, two = medians(
        [lambda n=n: ne.run(network, CHIP, x, threads=n, progress=False) for n in (1, 2)], 0, least=repeats
    )
    return plain, exact, noisy, one / two


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--images", type=int, default=10_000)
    options.add_argument("--repeats", type=int, default=3)
    chosen = options.parse_args()
    x, _ = ne.datasets.mnist_test(chosen.images)
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(
        f"{processor()}, {os.cpu_count()} cpus{load}; Python {platform.python_version()}, numpy {np.__version__}; "
        f"kernels {kernels.isa()}, OpenMP {kernels.openmp_enabled()}\n"
    )
    print(f"{chosen.images:,} images; products are float32, 1024 x 1024 x 1024, on one thread.\n")
    print("| network | product, ms | exact integers, s | with read noise, s | products | goal | 2 threads |")
    print("|---|---|---|---|---|---|---|")
    with threadpool_limits(1):
        for network, goal in ((lenet5(ne.datasets.mnist_network().samples), GOAL), (embedded(), "-")):
            plain, exact, noisy, gain = measure(network, x, chosen.repeats)
            print(
                f"| {network.name} | {plain * 1e3:.1f} | {exact:.2f} | {noisy:.2f} | {noisy / plain:.0f} | {goal} "
                f"| {gain:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
