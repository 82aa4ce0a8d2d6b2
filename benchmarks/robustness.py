"""Accuracy of two networks on analog chips against what is imperfect: six sweeps, several programmed chips each.

    python benchmarks/robustness.py [--images 1000] [--chips 10] [--out docs/robustness]

Networks: the embedded MNIST network (test images), and ResNet-8 of MLPerf Tiny where NEUROEMU_TEST_DATA names the test
data (its float file quantized here; CIFAR-10 images 0 to 999 of the training set to judge, as no test image is in the
data: absolute accuracy is rosy, differences are not; images 1,500 to 1,999 to calibrate). Each sweep is stored as a
.csv file as it goes and resumed when the script is run again; then the pictures are drawn from the files.
"""

import argparse
import os
from dataclasses import replace
from pathlib import Path

import numpy as np

import neuroemu as ne
from neuroemu.crossbar import Adc
from neuroemu.devices import Faulty, Generic, HermesPcm, NormalNoise

HERMES = ne.chips.HERMES


def on_off(network, ratio):
    return network[8], replace(HERMES, device=HermesPcm(g_min=20.7e-6 / ratio))


def noisy(network, relative):
    return network[8], replace(HERMES, device=Generic(g_max=20.7e-6, noise=NormalNoise(1e-9), read_noise=relative))


def stuck(network, percent):
    share = percent / 200
    return network[8], replace(HERMES, device=Faulty(HermesPcm(), stuck_on=share, stuck_off=share))


SWEEPS = {
    "adc_bits": ("ADC bits", (3, 4, 5, 6, 7, 8, 10), lambda n, b: (n[8], replace(HERMES, adc=Adc(bits=b)))),
    "weight_bits": ("weight bits", (2, 3, 4, 5, 6, 8), lambda n, b: (n[b], HERMES)),
    "on_off_ratio": ("on/off ratio", (2, 4, 8, 16, 32, 64, 128), on_off),
    "read_noise": ("read noise (share of G)", (0.003, 0.01, 0.03, 0.1, 0.3, 1.0), noisy),
    "stuck_cells": ("stuck cells (%), half on, half off", (0.01, 0.03, 0.1, 0.3, 1.0, 3.0), stuck),
}
LOGARITHMIC = {"on_off_ratio", "read_noise", "stuck_cells"}


def mnist(count):
    network = ne.datasets.mnist_network()
    x, y = ne.datasets.mnist_test(count)
    return network, network.samples, x, y


def resnet(count):
    """ResNet-8 and its images, or None without the data."""
    folder = Path(os.environ.get("NEUROEMU_TEST_DATA") or "/nowhere")
    path = folder / "mlperf_tiny" / "pretrainedResnet.tflite"
    if not path.exists():
        return None
    from matplotlib.image import imread

    rows = np.concatenate([imread(folder / "cifar10" / f"cifar10_batch_{i}.png") for i in (0, 1)])
    pixels = np.rint(255 * rows[..., :3]).astype(np.float32).reshape(2000, 32, 32, 3)
    labels = np.load(folder / "cifar10" / "labels_first4000.npy")[:2000]
    return ne.load(path), pixels[1500:], pixels[:count], labels[:count]


def quantized(network, samples):
    """The network at every weight width; 8-bit activations."""
    return {b: ne.quantize(network, weight_bits=b, activation_bits=8, samples=samples) for b in (2, 3, 4, 5, 6, 8)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--chips", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path("docs/robustness"))
    wanted = parser.parse_args()
    wanted.out.mkdir(parents=True, exist_ok=True)
    made: dict[str, dict] = {name: {} for name in (*SWEEPS, "time")}
    for label, find in (("mnist_cnn", mnist), ("resnet8", resnet)):
        found = find(wanted.images)
        if found is None:
            print(f"{label}: no data, left out")
            continue
        network, samples, x, y = found
        widths = quantized(network, samples)
        common = {"labels": y, "trials": wanted.chips}
        reference = (ne.run_integer(widths[8], x).argmax(axis=1) == y).mean()
        print(f"{label}: {len(x)} images, {wanted.chips} chips; integer reference, 8 bits: {reference:.2%}", flush=True)
        for name, (axis, values, make) in SWEEPS.items():
            store = wanted.out / f"{label}_{name}.csv"
            made[name][label] = ne.sweep(
                lambda v, m=make, w=widths: m(w, v), values, x, name=axis, store=store, **common
            )
            print(name, made[name][label], sep="\n", flush=True)
        aged = ne.ageing(widths[8], HERMES, x, store=wanted.out / f"{label}_time.csv", **common)
        made["time"][label] = next(iter(aged.values()))
        print("time", made["time"][label], sep="\n", flush=True)
    for name, sweeps in made.items():
        if name == "time":
            figure = ne.plot.ageing(sweeps)
        else:
            figure = ne.plot.sweep(sweeps, logarithmic=name in LOGARITHMIC)
        ne.plot.save(figure, wanted.out / f"{name}.png")


if __name__ == "__main__":
    main()
