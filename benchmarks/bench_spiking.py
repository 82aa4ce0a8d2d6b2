"""Speed of spiking cores: Brian2, LoihiCore in Brian2 and the batched engine, in one process.

Networks of 784-256-10 and 784-1024-1024-10, the same weights and input spikes (6.9 % activity) in all paths; spike
counts must be equal. Single-thread figures are medians of CPU time, so that other jobs on the machine do not count; the
two-thread speed-up is wall time and means little on a loaded machine. Brian2 runs its Cython target, compiled before
the clock starts, in one long run with a reset between images. Where brian2-loihi can be imported it runs beside them:
one image for the spikes, and the slope between runs of 50 and 150 steps for the time. The bound is the same int8 rows,
added in registers with nothing else around, at random as events come.

Usage: python benchmarks/bench_spiking.py [--images 32] [--repeats 5]
"""

import argparse
import gc
import itertools
import os
import subprocess
import sys
import time

import brian2 as b2
import numpy as np

from neuroemu import kernels
from neuroemu.spiking.arithmetic import LOIHI1, encode_weights, pack_weights
from neuroemu.spiking.brian import LoihiCore

try:
    import brian2_loihi
except ImportError:
    brian2_loihi = None

NETWORKS = ((784, 256, 10), (784, 1024, 1024, 10))
THRESHOLDS = (2500, 5500, 5500)  # mantissas, layer by layer: some 5 % hidden activity
STEPS, ACTIVITY = 100, 0.069
CURRENT_DECAY, VOLTAGE_DECAY = 409, 128


def make(sizes, images):
    """Input spikes (B, T, 784) and weight mantissas."""
    rng = np.random.default_rng(0)
    spikes = (rng.random((images, STEPS, sizes[0])) < ACTIVITY).astype(np.uint8)
    return spikes, [2 * rng.integers(-40, 40, shape) for shape in itertools.pairwise(sizes)]


def wire(mantissas, images):
    """Arguments of the kernel for each layer and memory for its spikes; done once a network."""
    layers = []
    for mantissa, threshold in zip(mantissas, THRESHOLDS, strict=False):
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


def generator(spikes, batch=1):
    """Images one after the other, `batch` of them side by side, again and again."""
    image, step, index = np.nonzero(spikes)
    turn, copy = divmod(image, batch)
    n = spikes.shape[2]
    period = len(spikes) // batch * STEPS * b2.ms
    return b2.SpikeGeneratorGroup(batch * n, copy * n + index, (turn * STEPS + step) * b2.ms, period=period)


def plain_brian2(spikes, mantissas):
    """A network of ordinary groups and synapses, and its layers."""
    layers, source, objects = [], generator(spikes), []
    objects.append(source)
    for mantissa, threshold in zip(mantissas, THRESHOLDS, strict=False):
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
        synapses = b2.Synapses(source, layer, "w : 1", on_pre="q_post += w")
        synapses.connect()
        synapses.w = encode_weights(mantissa)[synapses.i[:], synapses.j[:]]
        objects += [layer, synapses]
        layers.append(layer)
        source = layer
    return objects, layers


def hybrid(spikes, mantissas, batch=1):
    """The same with LoihiCore, which a Brian2 operation resets between images."""
    cores, source = [], generator(spikes, batch)
    objects = [source]
    for mantissa, threshold in zip(mantissas, THRESHOLDS, strict=False):
        core = LoihiCore(
            mantissa.shape[1], batch=batch, threshold_mantissa=threshold, current_decay=CURRENT_DECAY,
            voltage_decay=VOLTAGE_DECAY,
        )  # fmt: skip
        core.connect(source, mantissa)
        cores.append(core)
        source = core

    @b2.network_operation(dt=STEPS * b2.ms, when="start")
    def reset():
        for core in cores:
            for name in ("u", "v", "_ring"):
                core.variables[name].get_value()[:] = 0

    return [*objects, *cores, reset], cores


def time_brian2(objects, layers, milliseconds, repeats):
    """Median CPU seconds of one pass over all images, and the spikes of each layer in one pass."""
    monitors = [b2.SpikeMonitor(layer, record=False) for layer in layers]
    network = b2.Network(*objects, *monitors)
    network.run(milliseconds * b2.ms)  # compiles; a whole pass, so that the period starts anew
    gc.freeze()  # Network.run collects garbage each time: not what is measured
    before, seconds = [monitor.num_spikes for monitor in monitors], []
    for _ in range(repeats):
        start = time.process_time()
        network.run(milliseconds * b2.ms)
        seconds.append(time.process_time() - start)
    passed = [(m.num_spikes - b) / repeats for m, b in zip(monitors, before, strict=True)]
    return float(np.median(seconds)), passed


def time_brian2_loihi(spikes, mantissas, repeats):
    """CPU seconds of an image-step, and the spikes of each layer for the first image."""
    step, index = np.nonzero(np.concatenate(spikes))
    source = brian2_loihi.LoihiSpikeGeneratorGroup(spikes.shape[2], index, step)
    objects, layers = [source], []
    for mantissa, threshold in zip(mantissas, THRESHOLDS, strict=False):
        registers = {"threshold_v_mant": threshold, "decay_v": VOLTAGE_DECAY, "decay_I": CURRENT_DECAY + 1}
        layer = brian2_loihi.LoihiNeuronGroup(mantissa.shape[1], refractory=1, **registers)
        mixed = brian2_loihi.synapse_sign_mode.MIXED
        synapses = brian2_loihi.LoihiSynapses(objects[0] if not layers else layers[-1], layer, sign_mode=mixed)
        synapses.connect()
        synapses.w = mantissa.ravel()
        objects += [layer, synapses]
        layers.append(layer)
    monitors = [b2.SpikeMonitor(layer, record=False) for layer in layers]
    network = brian2_loihi.LoihiNetwork(*objects, *monitors)
    network.run(STEPS - 1)  # its input is a step ahead of Brian2's
    found = [int(monitor.num_spikes) for monitor in monitors]
    gc.freeze()

    def seconds(steps):
        start = time.process_time()
        network.run(steps)
        return time.process_time() - start

    slopes = [(seconds(150) - seconds(50)) / 100 for _ in range(repeats)]
    return float(np.median(slopes)), found


def time_engine(spikes, mantissas, repeats, threads=1, clock=time.process_time):
    """Median seconds of one pass over all images, the spikes of each layer, and the synaptic operations."""
    seconds, layers = [], wire(mantissas, len(spikes))
    for _ in range(20 * repeats):
        start = clock()
        found, operations = run_engine(spikes, layers, threads)
        seconds.append(clock() - start)
    return float(np.median(seconds)), found, operations


def time_bound(mantissas, repeats):
    """Additions a second of the widest matrix' rows, which are chosen at random."""
    weights = max((pack_weights(encode_weights(m))[0] for m in mantissas), key=lambda w: w.size)
    chosen = np.random.default_rng(1).integers(0, len(weights), 200_000).astype(np.int32)
    seconds = []
    for _ in range(2 * repeats):
        start = time.process_time()
        kernels.events.add_rows(weights, chosen)
        seconds.append(time.process_time() - start)
    return chosen.size * weights.shape[1] / float(np.median(seconds))


def compare(sizes, images, repeats):
    """Prints the table of one network."""
    spikes, mantissas = make(sizes, images)
    steps = images * STEPS
    engine, counts, operations = time_engine(spikes, mantissas, repeats)
    rows = [("plain Brian2, Cython target", *time_brian2(*plain_brian2(spikes, mantissas), steps, repeats))]
    for batch in (1, images):
        seconds, found = time_brian2(*hybrid(spikes, mantissas, batch), steps, repeats)  # `batch` passes at once
        found = [n / batch for n in found]
        rows.append((f"LoihiCore in Brian2, batch {batch}", seconds / batch, found))
    for name, _, found in rows:
        if found != counts:
            raise SystemExit(f"{name}: spikes {found} differ from the engine's {counts}")
    rows.append((f"batched engine, {kernels.builds('events')[-1]}, 1 thread", engine, counts))
    if brian2_loihi is not None:
        slope, found = time_brian2_loihi(spikes, mantissas, repeats)
        first = run_engine(spikes[:1], wire(mantissas, 1), 1)[0]
        if found != first:
            raise SystemExit(f"brian2-loihi: spikes {found} of the first image differ from the engine's {first}")
        rows.append(("brian2-loihi 0.5.2", slope * steps, found))
    bound = time_bound(mantissas, repeats)
    print(f"\n{'-'.join(map(str, sizes))}, {images} images x {STEPS} steps, spikes {counts}; equal in all rows\n")
    print("| path | us an image-step | plain Brian2 over it | engine over it | G synaptic operations/s |")
    print("|---|---|---|---|---|")
    for name, seconds, _ in rows:
        ratios = f"{rows[0][1] / seconds:.2f} | {seconds / engine:.0f}"
        print(f"| {name} | {seconds / steps * 1e6:.2f} | {ratios} | {operations / seconds / 1e9:.2f} |")
    print(f"\nrows added alone: {bound / 1e9:.0f} G/s; the engine reaches {operations / engine / bound:.0%}")
    many = np.tile(spikes, (8, 1, 1))  # enough work that the end of the parallel part does not show
    one, two = (time_engine(many, mantissas, 1, threads, time.perf_counter)[0] for threads in (1, 2))
    print(f"2 threads over 1 (wall): {one / two:.2f} at load {os.getloadavg()[0]:.1f}")


def time_start():
    """Seconds from the start of Python to the first spikes of a core."""
    code = "import neuroemu; from neuroemu import kernels; kernels.events"
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    b2.prefs.codegen.target = "cython"
    b2.defaultclock.dt = 1 * b2.ms
    for sizes in NETWORKS:
        compare(sizes, arguments.images, arguments.repeats)
    print(f"\nfrom the start of Python to the loaded engine: {time_start():.2f} s (wall)")


if __name__ == "__main__":
    main()
