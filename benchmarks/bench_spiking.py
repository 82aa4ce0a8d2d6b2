"""Speed of spiking cores: plain Brian2 equations, LoihiCore in Brian2, and the batched engine, in one process.

The same 784-256-10 network, weights and input spikes (6.9 % activity) run in all three; the spike counts must be equal.
Single-thread figures are medians of CPU time, so that other jobs on the machine do not count; the two-thread speed-up
is wall time and means little on a loaded machine. Brian2 runs its Cython target, compiled before the clock starts, in
one long run with a reset between images. Usage: python benchmarks/bench_spiking.py [--images 32] [--repeats 5]
"""

import argparse
import gc
import itertools
import os
import time

import brian2 as b2
import numpy as np

from neuroemu import kernels
from neuroemu.spiking.arithmetic import LOIHI1, encode_weights, pack_weights
from neuroemu.spiking.brian import LoihiCore

SIZES, STEPS, ACTIVITY = (784, 256, 10), 100, 0.069
CURRENT_DECAY, VOLTAGE_DECAY, THRESHOLD = 409, 128, (2500, 5000)  # threshold mantissas: some 5 % hidden activity


def make(images):
    """Input spikes (B, T, 784) and weight mantissas."""
    rng = np.random.default_rng(0)
    spikes = (rng.random((images, STEPS, SIZES[0])) < ACTIVITY).astype(np.uint8)
    return spikes, [2 * rng.integers(-40, 40, shape) for shape in itertools.pairwise(SIZES)]


def wire(mantissas, images):
    """Arguments of the kernel for each layer and memory for its spikes; done once a network."""
    layers = []
    for mantissa, threshold in zip(mantissas, THRESHOLD, strict=True):
        weights, shift = pack_weights(encode_weights(mantissa))
        n_in, n = weights.shape
        rows, full = np.arange(n_in + 1, dtype=np.int32), np.ones(n, np.int32)
        layers.append({
            "indptr": rows, "target": np.zeros(n_in, np.int32), "row": rows[:-1], "weights": weights, "shift": shift,
            "du": full * (CURRENT_DECAY + 1), "dv": full * VOLTAGE_DECAY, "threshold": full * 64 * threshold,
            "bias": np.zeros((1, n), np.int32), "refractory": full, **LOIHI1.limits,
            "spikes_out": np.empty((images, STEPS - 1 - len(layers), n), np.uint8),
        })  # fmt: skip
    return layers


def run_engine(spikes, layers, threads):
    """Output spikes and synaptic operations of each layer with the batched kernel.

    A spike arrives a step later, so a layer reads all steps but the last of the one before.
    """
    found, operations = [], 0
    for layer in layers:
        counts = np.zeros((len(spikes), 8), np.int64)
        kernels.events.run_layer(spikes[:, :-1], **layer, counts=counts, threads=threads)
        spikes = layer["spikes_out"]
        found.append(int(counts[:, 2].sum()))
        operations += int(counts[:, 1].sum())
    return found, operations


def generator(spikes):
    """All images one after the other, again and again."""
    image, step, index = np.nonzero(spikes)
    duration = spikes.shape[0] * STEPS * b2.ms
    return b2.SpikeGeneratorGroup(SIZES[0], index, (image * STEPS + step) * b2.ms, period=duration)


def plain_brian2(spikes, mantissas):
    """A network of ordinary groups and synapses, and its layers."""
    objects = [generator(spikes)]
    for mantissa, threshold in zip(mantissas, THRESHOLD, strict=True):
        layer = b2.NeuronGroup(
            mantissa.shape[1], "u : 1\nv : 1\nq : 1", threshold=f"v > {64 * threshold}", reset="v = 0"
        )
        layer.run_regularly(
            f"""u = sign(u) * floor(abs(u) * {4095 - CURRENT_DECAY} / 4096) + q
            v = sign(v) * floor(abs(v) * {4096 - VOLTAGE_DECAY} / 4096) + u
            q = 0""",
            when="groups",
        )
        layer.run_regularly("u = 0; v = 0; q = 0", dt=STEPS * b2.ms, when="start")
        synapses = b2.Synapses(objects[0] if len(objects) == 1 else objects[-2], layer, "w : 1", on_pre="q_post += w")
        synapses.connect()
        synapses.w = encode_weights(mantissa)[synapses.i[:], synapses.j[:]]
        objects += [layer, synapses]
    return objects, [objects[1], objects[3]]


def hybrid(spikes, mantissas):
    """The same with LoihiCore, which a Brian2 operation resets between images."""
    objects = [generator(spikes)]
    for mantissa, threshold in zip(mantissas, THRESHOLD, strict=True):
        core = LoihiCore(
            mantissa.shape[1], threshold_mantissa=threshold, current_decay=CURRENT_DECAY, voltage_decay=VOLTAGE_DECAY
        )
        core.connect(objects[-1], mantissa)
        objects.append(core)

    @b2.network_operation(dt=STEPS * b2.ms, when="start")
    def reset():
        for core in objects[1:3]:
            for name in ("u", "v", "_ring"):
                core.variables[name].get_value()[:] = 0

    return [*objects, reset], objects[1:3]


def time_brian2(build, spikes, mantissas, repeats):
    """Median CPU seconds of one pass over all images, and the spikes of each layer in one pass."""
    objects, layers = build(spikes, mantissas)
    monitors = [b2.SpikeMonitor(layer, record=False) for layer in layers]
    network = b2.Network(*objects, *monitors)
    network.run(STEPS * len(spikes) * b2.ms)  # compiles; a whole pass, so that the period starts anew
    gc.freeze()  # Network.run collects garbage each time: not what is measured
    before, seconds = [monitor.num_spikes for monitor in monitors], []
    for _ in range(repeats):
        start = time.process_time()
        network.run(STEPS * len(spikes) * b2.ms)
        seconds.append(time.process_time() - start)
    passed = [(m.num_spikes - b) / repeats for m, b in zip(monitors, before, strict=True)]
    return float(np.median(seconds)), passed


def time_engine(spikes, mantissas, repeats, threads=1, clock=time.process_time):
    seconds, layers = [], wire(mantissas)
    for _ in range(20 * repeats):
        start = clock()
        found, operations = run_engine(spikes, layers, threads)
        seconds.append(clock() - start)
    return float(np.median(seconds)), found, operations


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    b2.prefs.codegen.target = "cython"
    b2.defaultclock.dt = 1 * b2.ms
    spikes, mantissas = make(arguments.images)
    steps = arguments.images * STEPS
    engine, counts, operations = time_engine(spikes, mantissas, arguments.repeats)
    rows = []
    for name, build in (("plain Brian2, Cython target", plain_brian2), ("LoihiCore in Brian2", hybrid)):
        seconds, found = time_brian2(build, spikes, mantissas, arguments.repeats)
        if found != counts:
            raise SystemExit(f"{name}: spikes {found} differ from the engine's {counts}")
        rows.append((name, seconds))
    rows.append((f"batched engine, {kernels.isa()}, 1 thread", engine))
    many = np.tile(spikes, (8, 1, 1))  # enough work that the end of the parallel part does not show
    one, two = (time_engine(many, mantissas, 1, threads, time.perf_counter)[0] for threads in (1, 2))
    print(f"784-256-10, {arguments.images} images x {STEPS} steps, spikes {counts}; equal in all rows\n")
    print("| path | us an image-step | ratio to plain Brian2 | G synaptic operations/s |\n|---|---|---|---|")
    for name, seconds in rows:
        ratio, speed = rows[0][1] / seconds, operations / seconds / 1e9
        print(f"| {name} | {seconds / steps * 1e6:.2f} | {ratio:.1f} | {speed:.2f} |")
    print(f"\n2 threads over 1 (wall): {one / two:.2f} at load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
