"""Wire resistance beside badcrossbar 1.1.0, in one process, one thread: exact vectors, and T with many vectors.

    pip install --no-deps badcrossbar && pip install pandas sigfig pathvalidate   # its compute path needs no more
    python benchmarks/bench_badcrossbar.py

Square arrays of 10 to 100 kOhm with wires of 2 ohm; CPU time, medians of turns. badcrossbar assembles and solves a
sparse system at each call; here the operator T is computed once and each further vector is a row of one product.
"""

import logging
import os
import time

import numpy as np
from threadpoolctl import threadpool_limits

from neuroemu.crossbar import Wires, solve, transfer

SIZES = (64, 128, 256)
BATCH = 64
WIRE = 2.0  # ohm


def seconds_of(call, turns: int, least: float = 2e-2) -> float:
    """Median CPU time of one call."""
    found = []
    for _ in range(turns):
        start, count = time.process_time(), 0
        while count == 0 or time.process_time() - start < least:
            call()
            count += 1
        found.append((time.process_time() - start) / count)
    return float(np.median(found))


def row(n: int) -> tuple[str, ...]:
    """Times of one size, milliseconds, and how many times faster ours are."""
    import badcrossbar

    rng = np.random.default_rng(n)
    ohms = rng.uniform(1e4, 1e5, (n, n))
    volts = rng.uniform(0, 0.5, (BATCH, n))
    wires = Wires(WIRE, WIRE)

    def theirs(vectors):
        return badcrossbar.compute(vectors.T, ohms, WIRE, node_voltages=False, all_currents=False)

    found = np.asarray(theirs(volts[:1]).currents.output).ravel()
    ours = solve(1 / ohms, volts[0], wires, threads=1)
    error = np.abs(found - ours).max() / np.abs(ours).max()
    one_theirs, many_theirs = (seconds_of(lambda v=v: theirs(v), 3) for v in (volts[:1], volts))
    one_ours = seconds_of(lambda: solve(1 / ohms, volts[0], wires, threads=1), 5)
    operator = transfer(1 / ohms, wires, threads=1)
    many_ours = seconds_of(lambda: volts @ transfer(1 / ohms, wires, threads=1), 5)
    further_ours = seconds_of(lambda: volts @ operator, 5) / BATCH
    further_theirs = (many_theirs - one_theirs) / (BATCH - 1)
    return (
        str(n), f"{one_theirs * 1e3:.0f}", f"{one_ours * 1e3:.2f}", f"{one_theirs / one_ours:.0f}",
        f"{many_theirs * 1e3:.0f}", f"{many_ours * 1e3:.2f}", f"{many_theirs / many_ours:.0f}",
        f"{further_theirs / further_ours:.0f}", f"{one_theirs / further_ours:.0f}", f"{error:.0e}",
    )  # fmt: skip


def main():
    try:
        import badcrossbar  # noqa: F401
    except ImportError:
        print("badcrossbar is not installed; see the first lines of this file")
        return
    logging.disable(logging.INFO)  # it reports each call
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    print(f"load {load}; times in ms. Goals: one vector 250 times faster, T and {BATCH} vectors 30 times; from 128 on")
    print(
        "each further vector 2,000 times faster than in a batch there, and 5,000 times than a call of its own there.\n"
    )
    names = ("n", "one vector, theirs", "ours", "times", f"{BATCH} vectors, theirs", f"T and {BATCH}, ours", "times",
             "further vector, times", "times a call of its own", "difference")  # fmt: skip
    print("| " + " | ".join(names) + " |")
    print("|" + "---|" * len(names))
    with threadpool_limits(1):
        for n in SIZES:
            print("| " + " | ".join(row(n)) + " |", flush=True)


if __name__ == "__main__":
    main()
