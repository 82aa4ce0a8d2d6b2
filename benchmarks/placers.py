"""What shared kernels, equal pieces and placers change: cores, hops, energy and time of spiking networks on LOIHI.

    python benchmarks/placers.py [--images 100]

The embedded network, and ResNet-8 where NEUROEMU_TEST_DATA names a folder with it. Placers see the spikes of
calibration inputs, other than those that are run; outputs are the same in every row, which is checked.
"""

import argparse
import time
from dataclasses import replace

import numpy as np
from robustness import mnist, resnet

import neuroemu as ne
from neuroemu.spiking import CoreLimits, FewestHops, RowByRow, board, spike_counts

LOIHI = ne.chips.LOIHI


def rows(network, samples, x, **settings):
    """Print one line a chip."""
    snn = ne.to_spiking(ne.quantize(network, samples=samples), steps=32, samples=samples, **settings)
    spikes = spike_counts(snn, LOIHI, samples[:32])
    apart = replace(LOIHI, limits=CoreLimits(shared_kernels=False))
    found = board(snn, apart, chips=8)
    print(f"{snn.name}: without sharing {found.cores} cores of {found.chips} chips")
    variants = {
        "RowByRow, nothing shared": replace(apart, placer=RowByRow()),
        "RowByRow": LOIHI,
        "RowByRow, even": replace(LOIHI, placer=RowByRow(even=True)),
        "FewestHops": replace(LOIHI, placer=FewestHops(spikes=spikes)),
        "FewestHops, pack": replace(LOIHI, placer=FewestHops(spikes=spikes, pack=True)),
        "FewestHops, even": replace(LOIHI, placer=FewestHops(spikes=spikes, even=True)),
    }
    outputs = None
    for name, chip in variants.items():
        if "nothing shared" in name and found.cores > chip.cores:
            continue
        start = time.thread_time()
        placement = ne.place(snn, chip)
        seconds = time.thread_time() - start
        result = placement.run(x, progress=False)
        outputs = result.outputs if outputs is None else outputs
        assert np.array_equal(outputs, result.outputs)
        hops = (result.counts.total("hop_east_west") + result.counts.total("hop_north_south")) / len(x)
        network_energy = result.energy.by_part()["network"] / len(x)
        print(
            f"| {name} | {result.n_units} | {hops:,.0f} | {1e9 * network_energy:,.1f} nJ | "
            f"{1e6 * result.energy_per_inference:,.1f} uJ | {1e6 * result.latency_per_inference:,.0f} us | "
            f"{seconds:.1f} s |",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100)
    images = parser.parse_args().images
    print("| placer | cores | hops an inference | network energy | energy | latency | CPU time of placing |")
    network, samples, x, _ = mnist(images)
    for reset in ("zero", "subtract"):
        rows(network, samples[:512], x, reset=reset)
    found = resnet(min(images, 16))
    if found is not None:
        network, samples, x, _ = found
        rows(network, samples[:64], x)


if __name__ == "__main__":
    main()
