"""What wires cost in a whole run: the embedded network on HERMES' cells in tiles of 128 x 128, one thread, CPU time.

    python benchmarks/bench_wired.py [--images 10000] [--noisy 20]

Without noise that is fresh or lasts for an image, the operator of each tile is computed once: the goal is 1.5 times the
run without wires. With such noise each vector is a circuit of its own; the factor is that of fewer images.
"""

import argparse
import time
from dataclasses import replace

import neuroemu as ne
from neuroemu.crossbar import Wires
from neuroemu.devices import HermesPcm


def seconds_of(network, chip, x, y):
    """CPU time of one run, and its accuracy."""
    start = time.process_time()
    result = ne.run(network, chip, x, labels=y, threads=1, progress=False)
    return time.process_time() - start, result.accuracy


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--noisy", type=int, default=20)
    wanted = parser.parse_args()
    network = ne.datasets.mnist_network()
    network = ne.quantize(network, samples=network.samples)
    x, y = ne.datasets.mnist_test(wanted.images)
    quiet = replace(ne.chips.HERMES, rows=128, columns=128, device=HermesPcm(read_noise=False))
    seconds_of(network, quiet, x[:100], y[:100])
    print("| wires, ohm | seconds | times the run without | goal | accuracy |\n|---|---|---|---|---|")
    plain, accuracy = seconds_of(network, quiet, x, y)
    print(f"| none | {plain:.2f} | 1 | - | {accuracy:.2%} |")
    for ohm in (1.0, 2.0, 5.0):
        taken, accuracy = seconds_of(network, replace(quiet, wires=Wires(ohm, ohm)), x, y)
        print(f"| {ohm:g} | {taken:.2f} | {taken / plain:.2f} | 1.5 | {accuracy:.2%} |", flush=True)
    noisy = replace(quiet, device=HermesPcm())
    few, labels = x[: wanted.noisy], y[: wanted.noisy]
    print(f"\nWith read noise, {wanted.noisy} images more, programming and calibration left out:\n")
    print("| wires | ms an image | times no wires |\n|---|---|---|")
    unit = None
    for name, chip in {
        "none": noisy,
        "2 ohm, first order": replace(noisy, wires=Wires(2.0, 2.0), noise_in_wires="first_order"),
        "2 ohm, exact": replace(noisy, wires=Wires(2.0, 2.0)),
    }.items():
        start = seconds_of(network, chip, few[:1], labels[:1])[0]
        each = (seconds_of(network, chip, few, labels)[0] - start) / (len(few) - 1)
        unit = each if unit is None else unit
        print(f"| {name} | {1e3 * each:.2f} | {each / unit:.0f} |", flush=True)


if __name__ == "__main__":
    main()
