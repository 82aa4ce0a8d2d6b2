"""Accuracy after quantization to few bits, and after pruning, by method: markdown tables.

    python benchmarks/quantization.py [--data FOLDER] [--images 10000] [--samples 512] [--networks mnist_cnn resnet8]
                                      [--tables rounding pruning units]

FOLDER (or NEUROEMU_TEST_DATA) holds mnist, cifar10 and mlperf_tiny as described in its README. mnist_cnn: calibrated
on the first training images, judged on test images. ResNet-8: the 2,000 CIFAR-10 images at hand are training images of
that network; it is calibrated on the first ones of the first 1,000 and judged on the last 1,000, so that its absolute
accuracy is rosy and losses are not. Nothing is random.
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np
from matplotlib.image import imread

import neuroemu as ne

MSE = {"weight_calibration": ne.Mse()}
BIAS = MSE | {"correct_bias": True}
ROUNDINGS = {
    "nearest, min-max": {},
    "nearest, Mse": MSE,
    "nearest, Mse, bias": BIAS,
    "Gptq(sweeps=0), Mse, bias": BIAS | {"rounding": ne.Gptq(sweeps=0)},
    "Gptq(), Mse": MSE | {"rounding": ne.Gptq()},
    "Gptq(), Mse, bias": BIAS | {"rounding": ne.Gptq()},
    "AdaRound(), Mse, bias": BIAS | {"rounding": ne.AdaRound()},
    "Groups(32), nearest, Mse": MSE | {"groups": ne.Groups(32)},
    "Groups(32), Gptq(), Mse, bias": BIAS | {"groups": ne.Groups(32), "rounding": ne.Gptq()},
}
STRUCTURES = {"Weights()": ne.Weights(), "Rows()": ne.Rows(), "Blocks((64, 64))": ne.Blocks((64, 64))}
STRUCTURES["Channels()"] = ne.Channels()
FITS = {
    "Magnitude()": {},
    "Contribution()": {"criterion": ne.Contribution()},
    "Magnitude(), least squares": {"reconstruct": ne.LeastSquares()},
    "Contribution(), least squares": {"criterion": ne.Contribution(), "reconstruct": ne.LeastSquares()},
}


def cases(options):
    """(name, float network, calibration images, test images, labels) of each network."""
    if "mnist_cnn" in options.networks:
        samples, _ = ne.datasets.mnist_train(options.samples, folder=options.data / "mnist")
        yield "mnist_cnn", ne.datasets.mnist_network(), samples, *ne.datasets.mnist_test(options.images)
    if "resnet8" in options.networks:
        rows = np.concatenate([imread(options.data / "cifar10" / f"cifar10_batch_{i}.png") for i in (0, 1)])
        x = np.rint(rows[..., :3] * 255).reshape(-1, 32, 32, 3).astype(np.float32)
        y = np.load(options.data / "cifar10" / "labels_first4000.npy")[:2000]
        network = ne.load(options.data / "mlperf_tiny" / "pretrainedResnet.tflite", name="resnet8")
        yield "resnet8", network, x[: min(1000, options.samples)], x[1000:], y[1000:]


def roundings(network, samples, x, y):
    """Rows of the first table."""
    for method, how in ROUNDINGS.items():
        cells, start = [], time.process_time()
        for bits in (2, 3, 4):
            q = ne.quantize(network, samples=samples, weight_bits=bits, **how)
            cells.append(f"{100 * (ne.run_integer(q, x).argmax(axis=1) == y).mean():.2f}")
        yield f"| {method} | {' | '.join(cells)} | {time.process_time() - start:.0f} |"


def prunings(network, samples, x, y):
    """Rows of the second table."""
    for name, structure in STRUCTURES.items():
        for method, how in FITS.items():
            cells, start = [], time.process_time()
            for density in (0.75, 0.5, 0.25):
                small = ne.prune(network, density=density, structure=structure, samples=samples, **how)
                cells.append(f"{100 * (ne.run_float(small, x).argmax(axis=1) == y).mean():.2f}")
            yield f"| {name} | {method} | {' | '.join(cells)} | {time.process_time() - start:.0f} |"


def units(network, samples):
    """Rows of the third table: arrays, tiles and cores by the share of channels that stays, for chains of layers."""
    for density in (1.0, 0.75, 0.5, 0.25):
        small = ne.prune(
            network, density=density, structure=ne.Channels(), criterion=ne.Contribution(), samples=samples
        )
        q, spiking = ne.quantize(small, samples=samples), ne.to_spiking(small, steps=2, samples=samples[:8])
        placed = [ne.place(q, chip) for chip in (ne.chips.HERMES, ne.chips.ISAAC, ne.chips.TPU_V1)]
        counts = [str(len(one.sites)) for one in (*placed, ne.place(spiking, ne.chips.LOIHI))]
        yield f"| {density:.0%} | {small.n_parameters:,} | {' | '.join(counts)} |"


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--data", type=Path, default=os.environ.get("NEUROEMU_TEST_DATA", "."))
    options.add_argument("--images", type=int, default=10_000)
    options.add_argument("--samples", type=int, default=512)
    options.add_argument("--networks", nargs="+", default=["mnist_cnn", "resnet8"])
    options.add_argument("--tables", nargs="+", default=["rounding", "pruning", "units"])
    chosen = options.parse_args()
    for name, network, samples, x, y in cases(chosen):
        real = 100 * (ne.run_float(network, x).argmax(axis=1) == y).mean()
        print(f"\n{name}: {len(samples)} images to calibrate on, {len(x):,} to judge by; float {real:.2f} %")
        if "rounding" in chosen.tables:
            print("\n| weights | 2 bits | 3 bits | 4 bits | CPU s |\n|---|---|---|---|---|")
            for row in roundings(network, samples, x, y):
                print(row, flush=True)
        if "pruning" in chosen.tables:
            print("\n| structure | criterion | 75 % | 50 % | 25 % | CPU s |\n|---|---|---|---|---|---|")
            for row in prunings(network, samples, x, y):
                print(row, flush=True)
        if "units" in chosen.tables and name == "mnist_cnn":
            print("\n| channels | parameters | HERMES | ISAAC | TPU_V1 | LOIHI |\n|---|---|---|---|---|---|")
            for row in units(network, samples):
                print(row, flush=True)


if __name__ == "__main__":
    main()
