"""The embedded network as spikes on crossbars, beside the same weights as numbers and on a spiking core.

    python benchmarks/snn_crossbar.py [--images 10000] [--sweep-images 1000] [--chips 3]
                                        [--threads 1] [--only chips|flaws]

Cells of HERMES (phase change, one hour after programming) and of NeuRRAM (ReRAM, a second after), with digital neurons
behind the chips' own converters and with analog ones in their place. Then what comparators and capacitors may do, on
the first images of the test set and several programmed chips. Thresholds, ranges and compensation come from training
images. Prints markdown tables; a line names images and chips.
"""

import argparse
import time
from dataclasses import replace

import neuroemu as ne

NETWORK = ne.datasets.mnist_network()
QUANTIZED = ne.quantize(NETWORK, samples=NETWORK.samples)
NUMBERS = {"numbers, HERMES": ne.chips.HERMES, "numbers, NeuRRAM": ne.chips.NEURRAM}
SPIKES = {
    "spikes, Loihi cores": ne.chips.LOIHI,
    "spikes, HERMES cells, digital neurons": ne.chips.HERMES,
    "spikes, HERMES cells, analog neurons": ne.chips.PCM_NEURONS,
    "spikes, NeuRRAM cells, digital neurons": ne.chips.NEURRAM,
    "spikes, NeuRRAM cells, analog neurons": ne.chips.RERAM_NEURONS,
}
FLAWS = {
    "none": {},
    "offset 50 mV": {"offset": 0.05},
    "offset 100 mV": {"offset": 0.1},
    "offset 200 mV": {"offset": 0.2},
    "noise 50 mV": {"noise": 0.05},
    "noise 100 mV": {"noise": 0.1},
    "noise 200 mV": {"noise": 0.2},
    "capacitors 10 %": {"capacitance_spread": 0.1},
    "leak, 0.1 ms": {"leak_seconds": 1e-4},
    "leak, 0.03 ms": {"leak_seconds": 3e-5},
    "leak, 0.015 ms": {"leak_seconds": 1.5e-5},
}


def spiking(steps: int, reset: str = "subtract"):
    return ne.to_spiking(QUANTIZED, steps=steps, samples=NETWORK.samples, reset=reset)


def row(what, network, chip, x, y, *, threads: int, trials: int = 1):
    """A line of the table, and the result."""
    start, used = time.perf_counter(), time.process_time()
    found = ne.run(network, chip, x, labels=y, trials=trials, threads=threads)
    wall, used = time.perf_counter() - start, time.process_time() - used
    low, high = found.chip_interval or found.accuracy_interval
    cells = (
        what, f"{100 * found.accuracy:.2f} %", f"{100 * low:.2f} to {100 * high:.2f}",
        f"{1e6 * found.energy_per_inference:.3g}", f"{1e6 * found.latency_per_inference:.3g}", f"{used:.0f}",
        f"{wall:.0f}",
    )  # fmt: skip
    print("| " + " | ".join(cells) + " |", flush=True)
    return found


def head(what, spread):
    print(f"\n| {what} | accuracy | 95 % over {spread} | uJ an inference | latency, us | CPU s | s |")
    print("|---|---|---|---|---|---|---|", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--sweep-images", type=int, default=1_000)
    parser.add_argument("--chips", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", choices=("chips", "flaws"))
    wanted = parser.parse_args()
    if wanted.only != "flaws":
        compare_chips(wanted.images, wanted.threads)
    if wanted.only != "chips":
        compare_flaws(wanted.sweep_images, wanted.chips, wanted.threads)


def compare_chips(images: int, threads: int):
    x, y = ne.datasets.mnist_test(images)
    print(f"{images:,} test images, one chip, seed 0, {threads} threads")
    head("8-bit weights as", "images")
    for what, chip in NUMBERS.items():
        row(what, QUANTIZED, chip, x, y, threads=threads)
    for steps in (32, 64):
        network = spiking(steps)
        for what, chip in SPIKES.items():
            row(f"{what}, {steps} steps", network, chip, x, y, threads=threads)


def compare_flaws(images: int, chips: int, threads: int):
    x, y = ne.datasets.mnist_test(images)
    print(f"\nanalog neurons on HERMES cells, 32 steps: {images:,} test images, {chips} chips, threshold 0.5 V")
    for reset in ("subtract", "zero"):
        head(f"flaw, reset {reset}", "chips")
        network, chip = spiking(32, reset), ne.chips.PCM_NEURONS
        for what, flaw in FLAWS.items():
            flawed = replace(chip, neurons=replace(chip.neurons, **flaw))
            row(what, network, flawed, x, y, threads=threads, trials=chips)


if __name__ == "__main__":
    main()
