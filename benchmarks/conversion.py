"""From trained networks to spikes: accuracy of every way to convert, on the emulated chip.

    python benchmarks/conversion.py [--images 10000] [--cifar 1500] [--only resets balances ...]

MNIST: the embedded network, 512 training images to convert, the 10,000 test images to judge. ResNet-8 of MLPerf Tiny
and the CIFAR-10 images where NEUROEMU_TEST_DATA names the test data: images 1,500 to 1,999 of the training set to
convert, 0 to 1,499 to judge (no test image is in the data). Everything runs on LOIHI with seed 0; ResNet-8 needs more
cores than that chip has, so it gets a mesh of several, whose links between chips have no price. Prints markdown tables.
"""

import argparse
import os
import time
from dataclasses import replace
from pathlib import Path

from robustness import resnet

import neuroemu as ne
from neuroemu import MaxBalance, MseBalance, PercentileBalance, QcfsBalance

LOIHI = ne.chips.LOIHI
COLUMNS = ("case", "accuracy", "points off", "spikes an image", "cores", "energy", "latency")


class Judge:
    """Prints one line for each conversion, beside the reference that it should reach."""

    def __init__(self, x, y, samples, chip=LOIHI):
        self.x, self.y, self.samples, self.chip = x, y, samples, chip

    def reference(self, what, network):
        run = ne.run_integer if network.quantized else ne.run_float
        self.target = float((run(network, self.x).argmax(axis=-1) == self.y).mean())
        line(what, f"{100 * self.target:.2f} %", "", "", "", "", "")

    def spiking(self, what, network, **how):
        start = time.perf_counter()
        snn = ne.to_spiking(network, samples=self.samples, **how)
        result = ne.run(snn, self.chip, self.x, labels=self.y, progress=False)
        spikes = sum(result.traces["spikes per image"].values())
        line(
            what, f"{100 * result.accuracy:.2f} %", f"{100 * (result.accuracy - self.target):+.2f}", f"{spikes:,.0f}",
            result.n_units, f"{1e6 * result.energy_per_inference:.0f} uJ",
            f"{1e6 * result.latency_per_inference:.0f} us",
        )  # fmt: skip
        for warning in result.warnings:
            print(f"<!-- {what}: {warning} -->")
        print(f"<!-- {time.perf_counter() - start:.0f} s -->", flush=True)


def line(*cells):
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def table(title):
    print(f"\n### {title}\n")
    line(*COLUMNS)
    line(*["---"] * len(COLUMNS))


def mnist(images):
    network = ne.datasets.mnist_network()
    x, y = ne.datasets.mnist_test(images)
    return network, Judge(x, y, network.samples)


def resets(images):
    """Reset by subtraction, in two compartments, beside reset to zero, and first spikes beside rates."""
    network, judge = mnist(images)
    quantized = ne.quantize(network, samples=network.samples)
    table("Embedded network: resets and first spikes")
    judge.reference("integer reference, 8 bits", quantized)
    for steps in (32, 64):
        for reset in ("subtract", "zero"):
            judge.spiking(f"reset {reset}, {steps} steps", quantized, steps=steps, reset=reset)
        judge.spiking(f"first spike, {steps} steps", quantized, steps=steps, coding="first_spike")


def balances(images):
    """Rules for thresholds, reset by subtraction, 32 steps."""
    network, judge = mnist(images)
    quantized = ne.quantize(network, samples=network.samples)
    table("Embedded network: thresholds, reset by subtraction, 32 steps")
    judge.reference("integer reference, 8 bits", quantized)
    for balance in (MaxBalance(), PercentileBalance(99.9), MseBalance()):
        for correct in (False, True):
            judge.spiking(
                f"{balance}, biases {'corrected' if correct else 'as trained'}", quantized, steps=32, reset="subtract",
                balance=balance, correct_bias=correct,
            )  # fmt: skip


def levels(images):
    """Activations of L levels above zero: thresholds are their upper bounds, biases as trained."""
    network, judge = mnist(images)
    table("Embedded network: activations of L levels above zero, thresholds at their upper bounds")
    for bits in (2, 3, 4):
        top = 2**bits - 1
        quantized = ne.quantize(
            network, activation_bits=bits, per_channel=False, samples=network.samples, calibration=ne.Mse()
        )
        judge.reference(f"quantized network, L = {top}", quantized)
        for times in (1, 2, 4):
            judge.spiking(
                f"T = {times} L = {times * top}", quantized, steps=times * top, reset="subtract",
                balance=QcfsBalance(), correct_bias=False,
            )  # fmt: skip


def pooling(images):
    """Rules in place of max pooling, on the network of the ONNX model collection."""
    path = Path(os.environ.get("NEUROEMU_TEST_DATA") or "/nowhere") / "onnx" / "mnist.onnx"
    if not path.exists():
        print("no data for max pooling, left out")
        return
    network = ne.load(path)
    x, y = ne.datasets.mnist_test(images)
    samples = ne.datasets.mnist_network().samples
    judge = Judge(x.reshape(-1, *network.input_shape), y, samples.reshape(-1, *network.input_shape))
    table("Network of the ONNX model collection: rules in place of max pooling")
    judge.reference("float", network)
    for rule in (ne.OrPooling(), ne.AveragePooling()):
        for coding, steps in (("direct", 64), ("first_spike", 64)):
            judge.spiking(
                f"{rule}, {coding}, {steps} steps", network, steps=steps, reset="subtract", coding=coding,
                max_pooling=rule, correct_bias=True,
            )  # fmt: skip


def residual(images):
    """ResNet-8 with reset by subtraction, on as many chips as it takes."""
    found = resnet(images)
    if found is None:
        print("no data for ResNet-8, left out")
        return
    _, samples, x, y = found
    network = ne.load(Path(os.environ["NEUROEMU_TEST_DATA"]) / "mlperf_tiny" / "pretrainedResnet_quant.tflite")
    judge = Judge(x, y, samples, replace(LOIHI, cores=512, mesh=(16, 8)))
    table(f"ResNet-8, {len(x):,} images, reset by subtraction")
    judge.reference("integer reference, 8 bits", network)
    judge.spiking("128 steps, biases corrected", network, steps=128, reset="subtract", correct_bias=True)


PARTS = {part.__name__: part for part in (resets, balances, levels, pooling, residual)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--cifar", type=int, default=1500)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    wanted = parser.parse_args()
    print(f"{wanted.images:,} MNIST test images, {wanted.cifar:,} CIFAR-10 images, seed 0")
    for name in wanted.only:
        PARTS[name](wanted.cifar if name == "residual" else wanted.images)


if __name__ == "__main__":
    main()
