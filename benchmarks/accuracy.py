"""Accuracy of the embedded network on the 10,000 MNIST test images, on everything that this release emulates.

    python benchmarks/accuracy.py [--images 10000] [--chips 10]

Thresholds, ranges and compensation come from 512 training images. Prints a markdown table.
"""

import argparse
import time
from dataclasses import replace

import numpy as np

import neuroemu as ne
from neuroemu.crossbar import (
    ColumnAffine,
    ColumnGain,
    NoCompensation,
    TileGain,
    ideal,
)


def rows(n_images: int, n_chips: int):
    """(what, accuracy, note) of each case."""
    network = ne.datasets.mnist_network()
    samples = network.samples
    x, y = ne.datasets.mnist_test(n_images)
    reference = {}

    def share(outputs):
        return float((outputs.argmax(axis=-1) == y).mean())

    yield "float", share(ne.run_float(network, x)), f"{network.n_parameters:,} parameters"
    for bits in (8, 4):
        quantized = ne.quantize(network, weight_bits=bits, activation_bits=bits, samples=samples)
        reference[bits] = quantized, ne.run_integer(quantized, x)
        yield f"integer reference, {bits} bits", share(reference[bits][1]), "post-training, weights and activations"
    quantized, outputs = reference[8]
    same = np.array_equal(ne.run(quantized, ideal(ne.chips.HERMES), x).outputs, outputs)
    note = "outputs equal the reference" if same else "OUTPUTS DIFFER"
    yield "ideal crossbar, 8 bits", share(outputs) if same else float("nan"), note
    for bits in (8, 4):
        for mode in (NoCompensation(), TileGain(), ColumnGain(), ColumnAffine()):
            chip = replace(ne.chips.HERMES, compensation=mode)
            result = ne.run(reference[bits][0], chip, x, labels=y, trials=n_chips)
            low, high = result.chip_interval
            worst, best = 100 * min(result.scores.by_trial), 100 * max(result.scores.by_trial)
            note = (
                f"{n_chips} chips, 1 hour: {worst:.2f} to {best:.2f}; mean's 95 % {100 * low:.2f} to {100 * high:.2f}"
            )
            yield f"HERMES, {bits} bits, compensation {mode}", result.accuracy, note
    for reset in ("zero", "subtract"):
        for steps in (8, 16, 32, 64):
            spiking = ne.to_spiking(quantized, steps=steps, samples=samples, reset=reset)
            result = ne.run(spiking, ne.chips.LOIHI, x, labels=y)
            low, middle, high = (1e6 * joules for joules in np.array(result.energy.spread()) / result.n_images)
            note = f"{result.n_units} cores; {1e6 * result.energy_per_inference:.0f} uJ, by the bands of the prices "
            note += f"{low:.0f} to {high:.0f} (middle {middle:.0f}); {1e6 * result.latency_per_inference:.0f} us"
            yield f"LOIHI, {steps} steps, reset {reset}", result.accuracy, note
    yield from truenorth_rows(x, y, n_chips)


def truenorth_rows(x, y, n_chips: int):
    """The same of the network that was trained for TrueNorth; each chip draws its synapses."""
    network = ne.datasets.mnist_truenorth_network()
    for copies in (1, 4, 16):
        trials = max(2, n_chips // copies)
        result = ne.run(network, replace(ne.chips.TRUENORTH, copies=copies), x, labels=y, trials=trials)
        worst, best = 100 * min(result.scores.by_trial), 100 * max(result.scores.by_trial)
        note = f"its own network; {result.n_units} cores; {trials} chips: {worst:.2f} to {best:.2f}"
        yield f"TRUENORTH, copies {copies}", result.accuracy, note


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--images", type=int, default=10_000)
    options.add_argument("--chips", type=int, default=10)
    chosen = options.parse_args()
    print(f"{chosen.images:,} test images, {chosen.chips} programmed chips, seed 0")
    print("| case | accuracy | | seconds |\n|---|---|---|---|")
    start = time.perf_counter()
    for what, accuracy, note in rows(chosen.images, chosen.chips):
        print(f"| {what} | {100 * accuracy:.2f} % | {note} | {time.perf_counter() - start:.1f} |", flush=True)
        start = time.perf_counter()


if __name__ == "__main__":
    main()
