"""Speed of the TrueNorth kernel: one core beside a plain numpy core, and the whole chip, in one process.

One core: 50 % crossbar, 10 % of the axons active in a tick, four axon types, every register of every neuron its own
value. The numpy core does one float32 256 x 256 matrix-vector product a tick, and leak, threshold and reset; it is
checked to give the same spikes. All are timed in turns in CPU time of the thread; the ratio is the median of turns.
The kernel alone writes spikes as bits, as the numpy core does as bools, each into an array made before; run_truenorth
also makes its arrays and the list of spikes.

Whole chip: 4,096 cores, 128 synapses a row, 20 Hz in the mean, targets anywhere on the chip, delays of 1 to 15 ticks;
deterministic, or with random thresholds in every neuron (--random). Ticks a second in CPU time on one thread.
Usage: python benchmarks/bench_truenorth.py [--ticks 200] [--cores 4096] [--random]
"""

import argparse
import os
import resource
import time

import numpy as np
from threadpoolctl import threadpool_limits

from neuroemu import kernels
from neuroemu.spiking import NeuronParameters, TrueNorthCoreProgram, TrueNorthProgram, run_truenorth
from neuroemu.spiking.truenorth import start_state

SIZE = 256
CORE_TICKS, TURNS = 20_000, 9


def one_core(rng):
    """A program of one core that leaks and fires, its spikes from outside, and the same core as float32 matrices."""
    crossbar, types = rng.random((SIZE, SIZE)) < 0.5, rng.integers(0, 4, SIZE)
    weights = rng.integers(-100, 110, (4, SIZE))
    registers = {"leak": rng.integers(-9, 0, SIZE), "threshold": rng.integers(2000, 4000, SIZE)}
    registers["negative_threshold"] = rng.integers(2000, 4000, SIZE)
    neurons = NeuronParameters(weights=weights, reset_mode=1, **registers)
    program = TrueNorthProgram(cores=[TrueNorthCoreProgram(crossbar=crossbar, axon_types=types, neurons=neurons)])
    spikes = rng.random((CORE_TICKS, SIZE)) < 0.1
    tick, axon = np.nonzero(spikes)
    events = np.stack([tick, np.zeros_like(tick), axon], axis=1, dtype=np.int32, casting="same_kind")
    product = (crossbar * weights[types]).astype(np.float32)
    return program, events, spikes.astype(np.float32), product, {n: v.astype(np.float32) for n, v in registers.items()}


def numpy_core(spikes, product, fired, *, leak, threshold, negative_threshold):
    """The same core in float32: spikes (T, 256), written to `fired`."""
    v = np.zeros(SIZE, np.float32)
    for t in range(len(spikes)):
        v += spikes[t] @ product
        v += leak
        fired[t] = v >= threshold
        v += negative_threshold * (v < -negative_threshold) - threshold * fired[t]
    return fired


def kernel_alone(program, events):
    """A function that runs the kernel on arrays made here."""
    rows, none = np.zeros(1, np.int32), np.full(1, -1, np.int32)
    out = {
        "spikes_out": np.zeros((CORE_TICKS, 1, SIZE // 8), np.uint8),
        "probe_out": np.empty((CORE_TICKS, 0, SIZE), np.int32), "counts": np.zeros((CORE_TICKS, 13), np.int64),
    }  # fmt: skip

    def call():
        state = start_state(program, 0)
        kernels.truenorth.run_chip(
            events, ticks=CORE_TICKS, **program.arrays, seed=1, potential=state.potential, ring=state.ring,
            register=state.register, recorded=rows, probed=none, **out,
        )  # fmt: skip

    return call, out["spikes_out"]


def thread_seconds(function):
    start = time.thread_time()
    function()
    return time.thread_time() - start


def compare_core():
    """Prints microseconds a core-tick of both, and the ratio."""
    program, events, spikes, product, registers = one_core(np.random.default_rng(0))
    run = run_truenorth(program, events, CORE_TICKS, threads=1)
    alone, packed = kernel_alone(program, events)
    fired = np.zeros(spikes.shape, bool)
    numpy_core(spikes, product, fired, **registers)
    alone()
    same = np.array_equal(run.spikes[:, [0, 2]], np.argwhere(fired))
    if not same or not np.array_equal(np.packbits(fired, axis=1, bitorder="little"), packed[:, 0]):
        raise SystemExit("the numpy core gives other spikes")

    def multiply():
        for one in spikes:
            one @ product

    ours, kernel, theirs, products = [], [], [], []
    for _ in range(TURNS):
        ours.append(thread_seconds(lambda: run_truenorth(program, events, CORE_TICKS, threads=1)))
        kernel.append(thread_seconds(alone))
        theirs.append(thread_seconds(lambda: numpy_core(spikes, product, fired, **registers)))
        products.append(thread_seconds(multiply))
    ours, kernel, theirs, products = (np.array(x) / CORE_TICKS * 1e6 for x in (ours, kernel, theirs, products))
    events_a_tick = run.counts["synaptic_events"] / CORE_TICKS
    print(f"one core, {events_a_tick:.0f} synaptic events and {len(run.spikes) / CORE_TICKS:.1f} spikes a tick:")
    print(f"  numpy core {np.median(theirs):.2f} us a tick, of which the product {np.median(products):.2f} us")
    for name, found in (
        (f"kernel ({kernels.builds('truenorth')[-1]})", kernel),
        ("run_truenorth, lists included", ours),
    ):
        times = f"{np.median(theirs / found):.0f} times the numpy core"
        print(f"  {name} {np.median(found):.3f} us, {times}, {np.median(products / found):.0f} times the product alone")


def whole_chip(rng, n, random):
    """All cores: two axon types that pull up and two that pull down, a leak that fires each neuron at 20 Hz."""
    targets = np.stack([rng.integers(0, n, (n, SIZE)), rng.integers(0, SIZE, (n, SIZE))], axis=2)
    delays, types = rng.integers(1, 16, (n, SIZE, 1)), np.arange(SIZE) % 4
    noise = {"threshold_bits": 6} if random else {}
    neurons = NeuronParameters(
        weights=[1, -1, 2, -2], leak=2, threshold=100 - 32 * random, negative_threshold=100, saturate=True,
        reset_mode=1, **noise,
    )  # fmt: skip
    cores = []
    for k in range(n):
        crossbar = np.argsort(rng.random((SIZE, SIZE)), axis=1) < SIZE // 2
        places = np.concatenate([targets[k], delays[k]], axis=1)
        core = {"crossbar": crossbar, "axon_types": types, "targets": places, "potential": rng.integers(0, 100, SIZE)}
        cores.append(TrueNorthCoreProgram(neurons=neurons, **core))
    return TrueNorthProgram(cores=cores)


def time_chip(n, ticks, random):
    program = whole_chip(np.random.default_rng(1), n, random)
    state = run_truenorth(program, [], 20, threads=1).state  # fills the delay ring
    found = []
    for _ in range(3):
        start = time.thread_time()
        run = run_truenorth(program, [], ticks, threads=1, state=state)
        found.append(ticks / (time.thread_time() - start))
    walls = []
    for threads in (1, 2):
        start = time.perf_counter()
        again = run_truenorth(program, [], ticks, threads=threads, state=state)
        walls.append(time.perf_counter() - start)
        if not np.array_equal(run.state.potential, again.state.potential):
            raise SystemExit("the number of threads changes the result")
    counts = {name: value / ticks for name, value in run.counts.items()}
    rate = counts["spikes"] / (n * SIZE) * 1000
    print(f"chip of {n:,} cores{', random thresholds' if random else ''}: {rate:.1f} Hz, by tick:", end=" ")
    print(f"{counts['synaptic_events']:,.0f} synaptic events, {counts['active_cores']:,.0f} active cores, ", end="")
    print(f"{counts['spikes']:,.0f} spikes, {counts['merges']:,.0f} merges")
    print(f"  {np.median(found):.0f} ticks/s on one thread (CPU time; {', '.join(f'{x:.0f}' for x in found)})")
    print(f"  2 threads over 1 (wall): {walls[0] / walls[1]:.2f} at load {os.getloadavg()[0]:.1f}")
    print(f"  {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB at most in this process")


def gemm():
    """Milliseconds of a 1,024-cube float32 product: how loaded the machine is."""
    a = np.ones((1024, 1024), np.float32)
    seconds = [thread_seconds(lambda: a @ a) for _ in range(5)]
    print(f"1024 x 1024 x 1024 float32 product: {1e3 * np.median(seconds):.0f} ms of thread time")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ticks", type=int, default=200)
    parser.add_argument("--cores", type=int, default=4096)
    parser.add_argument("--random", action="store_true")
    arguments = parser.parse_args()
    with threadpool_limits(1):
        gemm()
        compare_core()
    time_chip(arguments.cores, arguments.ticks, arguments.random)


if __name__ == "__main__":
    main()
