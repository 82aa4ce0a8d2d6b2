"""Speed of networks of continuous neurons: the compiled engine, NumPy's path and plain Brian2, in one process.

    python benchmarks/bench_nir.py [--images 64] [--repeats 5]

784-256-10 and 784-1024-1024-10 with LIF neurons (exact steps), 100 steps an image, 6.9 % of the inputs active and
some 5 % of the hidden neurons. Weights are multiples of 2^-9, so that all sums are exact and the spikes must be equal
in all rows but float32's. Figures are medians of CPU seconds of one thread. Brian2 runs its Cython target on the
network of `to_brian2`, compiled before the clock starts, in one long run with a reset between images.

The bound is what a core adds when it only reads rows of float32 weights and adds them to sums in registers: a panel of
64 columns that fits the second cache, rows at random. Each addition reads four bytes; what one core reads from its
caches and from memory is printed beside it.
"""

import argparse
import gc
import itertools
import os
import time

import brian2 as b2
import numpy as np
from threadpoolctl import threadpool_limits

from neuroemu import kernels
from neuroemu.network import Dense, Network, record_spiking
from neuroemu.network.neurons import LIF
from neuroemu.network.synapses import panels
from neuroemu.spiking import to_brian2

STEPS, ACTIVITY, DT, TAU = 100, 0.069, 1e-3, 1e-2
THRESHOLDS = {(784, 256, 10): (0.42, 0.22), (784, 1024, 1024, 10): (0.42, 0.35, 0.4)}  # some 5 % activity


def make(sizes, images):
    """A network, and input spikes (T, B, 784)."""
    rng = np.random.default_rng(0)
    layers = []
    for k, (n_in, n) in enumerate(itertools.pairwise(sizes)):
        weight = np.rint(512 * rng.normal(size=(n, n_in)) * 8 / np.sqrt(n_in)) / 512
        limits = {"v_threshold": np.full(n, THRESHOLDS[sizes][k]), "v_leak": np.zeros(n)}
        layers += [
            Dense(name=f"weights{k}", weight=weight),
            LIF(name=f"lif{k}", tau=np.full(n, TAU), r=np.ones(n), **limits),
        ]
    return Network(layers=tuple(layers), input_shape=(sizes[0],)), rng.random((STEPS, images, sizes[0])) < ACTIVITY


def spikes_of(network):
    return [layer.name for layer in network.layers if isinstance(layer, LIF)]


def time_engine(network, x, repeats, clock=time.process_time, **how):
    """Median seconds, and the last run."""
    seconds = []
    for _ in range(repeats):
        start = clock()
        run = record_spiking(network, x, dt=DT, **how)
        seconds.append(clock() - start)
    return float(np.median(seconds)), run


def time_brian2(network, x, repeats):
    """Median seconds of one pass over all images, and the spikes of each layer in one pass."""
    images = x.shape[1]
    duration = images * STEPS * DT * b2.second
    image, step, index = np.nonzero(x.swapaxes(0, 1))
    clock = b2.Clock(dt=DT * b2.second)
    source = b2.SpikeGeneratorGroup(
        x.shape[2], index, (image * STEPS + step) * DT * b2.second, period=duration, clock=clock
    )
    made = to_brian2(network, source=source, dt=DT)
    for group in made.groups.values():
        group.run_regularly("v = 0", dt=STEPS * DT * b2.second, when="start")
    monitors = [b2.SpikeMonitor(group, record=False) for group in made.groups.values()]
    made.network.add(*monitors)
    for group in made.groups.values():
        made.network.add(*group.contained_objects)
    made.network.run(duration)  # compiles; a whole pass, so that the period starts anew
    gc.freeze()  # Network.run collects garbage each time: not what is measured
    before, seconds = [monitor.num_spikes for monitor in monitors], []
    for _ in range(repeats):
        start = time.process_time()
        made.network.run(duration)
        seconds.append(time.process_time() - start)
    return float(np.median(seconds)), [(m.num_spikes - b) / repeats for m, b in zip(monitors, before, strict=True)]


def bound(wide: bool) -> float:
    """Additions a second of long lists of random rows of one panel in the second cache; best of several."""
    rng = np.random.default_rng(0)
    rows = 2048  # of 256 bytes: 512 kB
    found = panels(rng.normal(size=(64, rows)))
    x, drive = (rng.random((16, 4, rows)) < 0.5).astype(np.uint8), np.empty((16, 4, 64), np.float32)
    best = 0.0
    for _ in range(30):
        start = time.thread_time()
        made = kernels.floating.dense_sums(x, panels=found, wide=wide, drive=drive)
        best = max(best, made / (time.thread_time() - start))
    return best


def bandwidth(size: int) -> float:
    """Bytes a second that one core reads, by BLAS's dot product of two arrays of together `size` bytes; the best."""
    a, b = np.ones((2, size // 8), np.float32)
    repeats, best = max(1, (1 << 26) // size), 0.0
    for _ in range(20):
        start = time.thread_time()
        for _ in range(repeats):
            a @ b
        best = max(best, repeats * size / (time.thread_time() - start))
    return best


def compare(sizes, arguments):
    network, x = make(sizes, arguments.images)
    steps = arguments.images * STEPS
    names = spikes_of(network)
    rows = [("plain Brian2, Cython target", *time_brian2(network, x, arguments.repeats))]
    kept = record_spiking(network, x, dt=DT, keep=names).kept
    if rows[0][2] != [kept[name].sum() for name in names]:
        raise SystemExit(f"Brian2: spikes {rows[0][2]} differ from the engine's")
    seconds, plain = time_engine(network, x, 1, engine="numpy")
    rows.append(("NumPy path", seconds, plain.outputs))
    for precision in ("float64", "float32"):
        seconds, run = time_engine(network, x, 3 * arguments.repeats, precision=precision, threads=1)
        if precision == "float64" and (run.outputs != plain.outputs).any():
            raise SystemExit("the engines differ")
        rows.append((f"compiled engine, {kernels.builds('floating')[-1]}, {precision}", seconds, run))
    additions = sum(run.additions.values())
    activity = ", ".join(f"{kept[name].mean():.1%}" for name in names)
    print(f"\n{'-'.join(map(str, sizes))}, {arguments.images} images, {additions / steps / 1e3:.1f} k additions a step")
    print(f"spikes of the layers: {activity}\n")
    print("| path | us an image-step | times faster than Brian2 | than NumPy | G additions/s | of the bound |")
    print("|---|---|---|---|---|---|")
    for name, seconds, _ in rows:
        speed = additions / seconds
        share = f"{speed / bound('float64' in name):.0%}" if "compiled" in name else ""
        ratios = f"{rows[0][1] / seconds:.1f} | {rows[1][1] / seconds:.1f}"
        print(f"| {name} | {seconds / steps * 1e6:.2f} | {ratios} | {speed / 1e9:.2f} | {share} |")
    one, two = (time_engine(network, x, 3, time.perf_counter, threads=n)[0] for n in (1, 2))
    print(f"\n2 threads over 1 (wall): {one / two:.2f} at load {os.getloadavg()[0]:.1f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    b2.prefs.codegen.target = "cython"
    for wide, name in ((True, "float64"), (False, "float32")):
        print(f"bound, {name}: {bound(wide) / 1e9:.1f} G additions/s, {4 * bound(wide) / 1e9:.0f} GB/s of weights")
    with threadpool_limits(1):
        for name, size in (("second cache", 1 << 19), ("third cache", 1 << 23), ("memory", 1 << 28)):
            print(f"read from the {name}: {bandwidth(size) / 1e9:.0f} GB/s")
    for sizes in THRESHOLDS:
        compare(sizes, arguments)


if __name__ == "__main__":
    main()
