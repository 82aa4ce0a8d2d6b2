"""Sigma-delta and coded networks on LOIHI2: accuracy, messages and synaptic operations beside dense products.

    python benchmarks/sigma_delta.py [--images 10000] [--coded 2000] [--cifar PNG ...] [--resnet TFLITE]

The embedded network, quantized on training images, as sigma-delta network: on how many of the MNIST test images its
outputs equal those of the integer reference, bit by bit, the messages, synaptic operations and steps that took, and
the same with thresholds. Then rates, bursts and phases on the first images. Then frames that change slowly: each digit
moves by a pixel every eighth frame, with a few pixels that flicker. With --resnet, a TFLite network on its images,
(32, 32, 3) each, a row of 1,024 pixels in a picture. Times are CPU time of one thread for an image.
"""

import argparse
import time

import numpy as np
from threadpoolctl import threadpool_limits

import neuroemu as ne
from neuroemu.spiking import run_frames


def static(network, quantized, x, labels, want):
    """One row: a sigma-delta network whose inputs are held."""
    start = time.process_time()
    result = ne.run(network, ne.chips.LOIHI2, x, labels=labels, threads=1)
    seconds = time.process_time() - start
    equal = int((result.outputs == want).all(axis=1).sum())
    macs = sum(quantized.macs.values())
    operations = result.counts.total("synaptic_op") / len(x)
    messages = sum(result.traces["messages per image"].values())
    steps = f"{result.traces['steps until settled']:.2f} of {result.traces['steps']}"
    print(
        f"| {network.name} | {equal:,} of {len(x):,} | {100 * result.accuracy:.2f} | {messages:,.0f} | "
        f"{operations:,.0f} | {operations / macs:.1%} | {steps} | "
        f"{1e3 * seconds / len(x):.2f} |"
    )


def header():
    print("| network | outputs equal | accuracy, % | messages | synaptic operations | of dense | steps | ms |")
    print("|---|---|---|---|---|---|---|---|")


def coded(quantized, x, labels, want):
    print("| coding | steps | accuracy, % | mean error of an output | messages | synaptic operations | ms |")
    print("|---|---|---|---|---|---|---|")
    for coding in ("rate", "burst", "phase"):
        for steps in (8, 16, 32):
            network = ne.to_graded(quantized, steps=steps, coding=coding)
            start = time.process_time()
            result = ne.run(network, ne.chips.LOIHI2, x, labels=labels, threads=1)
            seconds = time.process_time() - start
            messages = sum(result.traces["messages per image"].values())
            print(
                f"| {coding} | {steps} | {100 * result.accuracy:.2f} | {np.abs(result.outputs - want).mean():.3f} | "
                f"{messages:,.0f} | {result.counts.total('synaptic_op') / len(x):,.0f} | {1e3 * seconds / len(x):.2f} |"
            )


def film(digits, frames=32):
    """Digits (B, T, 1, 28, 28) that move by a pixel every eighth frame, with twenty pixels that flicker by 8 of 255."""
    rng = np.random.default_rng(0)
    x = np.stack([np.roll(digits, t // 8, axis=3) for t in range(frames)], axis=1)
    place = rng.integers(0, 28 * 28, (len(x), frames, 20))
    flicker = np.zeros((len(x), frames, 28 * 28), np.float32)
    np.put_along_axis(flicker, place, rng.uniform(-8, 8, place.shape).astype(np.float32), axis=2)
    return np.clip(x + flicker.reshape(x.shape), 0, 255)


def sequences(quantized, digits):
    x = film(digits)
    want = ne.run_integer(quantized, x.reshape(-1, *digits.shape[1:])).reshape(len(x), x.shape[1], -1)
    macs = sum(quantized.macs.values())
    print(
        "| threshold, codes | frames equal | same class | messages a frame | synaptic operations a frame | of dense |"
    )
    print("|---|---|---|---|---|---|")
    for threshold in (0, 4, 8, 16):
        result = run_frames(ne.to_sigma_delta(quantized, threshold=threshold), x)
        n = x.shape[0] * x.shape[1]
        equal = (result.outputs == want).all(axis=2).mean()
        same = (result.outputs.argmax(axis=2) == want.argmax(axis=2)).mean()
        operations = result.synaptic_operations / n
        print(
            f"| {threshold} | {equal:.1%} | {same:.2%} | {result.messages / n:,.0f} | {operations:,.0f} | "
            f"{operations / macs:.1%} |"
        )


def resnet(path, pictures, labels):
    from PIL import Image

    quantized = ne.load(path)
    rows = np.concatenate([np.asarray(Image.open(p)) for p in pictures]).reshape(-1, 32, 32, 3)
    x = rows.astype(np.float32)
    labels = np.load(labels)[: len(x)] if labels else None
    want = ne.run_integer(quantized, x)
    header()
    static(ne.to_sigma_delta(quantized), quantized, x, labels if labels is not None else want.argmax(axis=1), want)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--coded", type=int, default=2000)
    parser.add_argument("--films", type=int, default=100)
    parser.add_argument("--resnet")
    parser.add_argument("--cifar", nargs="*", default=[])
    parser.add_argument("--labels")
    options = parser.parse_args()
    network = ne.datasets.mnist_network()
    quantized = ne.quantize(network, samples=network.samples)
    x, labels = ne.datasets.mnist_test(options.images)
    with threadpool_limits(1):
        want = ne.run_integer(quantized, x)
        right = want.argmax(axis=1) == labels
        n = min(options.coded, options.images)
        print(
            f"integer reference: {100 * right.mean():.2f} %, of the first {n:,} images {100 * right[:n].mean():.2f} %"
        )
        print(f"dense multiply-accumulates: {sum(quantized.macs.values()):,}")
        header()
        for threshold in (0, 4, 16, 32):
            name = f"threshold {threshold}"
            static(ne.to_sigma_delta(quantized, threshold=threshold, name=name), quantized, x, labels, want)
        coded(quantized, x[:n], labels[:n], want[:n])
        sequences(quantized, x[: options.films])
        if options.resnet:
            resnet(options.resnet, options.cifar, options.labels)


if __name__ == "__main__":
    main()
