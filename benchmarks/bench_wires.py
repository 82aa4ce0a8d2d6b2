"""Speed, accuracy and memory of crossbars with wire resistance, in one process.

    python benchmarks/bench_wires.py [largest size, default 1024]

Arrays of n x n devices of 10 to 100 kOhm, 2 Ohm wires. Medians of CPU time of one thread, the contenders taking turns,
so that other load on the machine hits all alike. "one vector" is conjugate gradients through the public `solve`, and
"sinh cell" the same with device=Sinh(3.0) and up to 1 V; the matrix products are NumPy's, for scale; "sparse LU" is one
vector by scipy.sparse.linalg.spsolve on the same network, up to 256. The error is that of I = V @ T beside the
reference (sparse LU with the residual corrected in extended precision), relative to the largest current, up to 256;
above, beside conjugate gradients. Memory is the growth of the largest resident size by one `transfer` in a process of
its own (Linux). The last column is the wall time of T with one thread over that with two, only meaningful on idle
cores.
"""

import os
import platform
import subprocess
import sys
import time

import numpy as np
from threadpoolctl import threadpool_limits

from neuroemu import kernels
from neuroemu.crossbar import Sinh, Wires, solve, transfer
from neuroemu.crossbar.wires import _circuit
from neuroemu.kernels import wires_reference

WIRES = Wires(2.0, 2.0)
SIZES = (32, 64, 128, 256, 512, 1024)
LARGEST_LU = 256
HEADINGS = (
    "n",
    "T",
    "one vector",
    "sinh cell / that",
    "float64 n x n x n",
    "T / that",
    "T / float32 1024",
    "sparse LU",
    "error",
    "ideal product is wrong by",
    "memory",
    "2 threads",
)
MEMORY = """
import numpy as np
from neuroemu.crossbar import Wires, transfer
wires, rng = Wires(2.0, 2.0), np.random.default_rng(0)
transfer(rng.uniform(1e-5, 1e-4, (64, 64)), wires, threads=1)
g = rng.uniform(1e-5, 1e-4, ({n}, {n}))
def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
before = peak()
transfer(g, wires, threads=1)
print(peak() - before)
"""


def medians(calls, repeats, clock=time.thread_time):
    samples = [[] for _ in calls]
    for call in calls:
        call()
    for _ in range(repeats):
        for call, times in zip(calls, samples, strict=True):
            start = clock()
            call()
            times.append(clock() - start)
    return [float(np.median(times)) * 1e3 for times in samples]


def sparse_lu(g, volts):
    """One vector by sparse LU: the network assembled and solved as a user of SciPy would."""
    from scipy import sparse
    from scipy.sparse import linalg

    a, b, c = wires_reference.edges(*_circuit(g, WIRES, np.ones(len(g), bool)).arguments())
    n, inner = 2 * g.size + sum(g.shape), 2 * g.size
    laplacian = sparse.csc_matrix((np.r_[c, c, -c, -c], (np.r_[a, b, a, b], np.r_[a, b, b, a])), shape=(n, n))
    drive = laplacian[:inner, inner : inner + len(g)] @ volts
    return linalg.spsolve(laplacian[:inner, :inner], -drive, permc_spec="MMD_AT_PLUS_A")


def row(n, unit):
    rng = np.random.default_rng(n)
    g = 1 / rng.uniform(1e4, 1e5, (n, n))
    volts, single = rng.uniform(0, 1, (1, n)), g.astype(np.float32)
    calls = [
        lambda: transfer(g, WIRES, threads=1),
        lambda: solve(g, volts, WIRES, threads=1),
        lambda: solve(g, volts, WIRES, device=Sinh(3.0), threads=1),
        lambda: g @ g,
        lambda: single @ single,
    ]
    operator, vector, curved, double, _ = medians(calls, max(3, min(31, 2**24 // n**2 // 8)))
    lu, currents = "", solve(g, volts, WIRES)
    if n <= LARGEST_LU:
        lu = f"{medians([lambda: sparse_lu(g, volts[0])], 1)[0]:.0f}"
        currents = wires_reference.solve(*_circuit(g, WIRES, np.ones(n, bool)).arguments(), volts)[0]
    error = abs(volts @ transfer(g, WIRES) - currents).max() / abs(currents).max()
    ideal = abs(volts @ g - currents).max() / abs(currents).max()
    memory = "-"
    if os.path.exists("/proc/self/status"):
        code = [sys.executable, "-c", MEMORY.format(n=n)]
        memory = f"{int(subprocess.run(code, capture_output=True, text=True, check=True).stdout) / 1024:.0f}"
    two = medians([lambda k=k: transfer(g, WIRES, threads=k) for k in (1, 2)], 3, time.perf_counter)
    cells = [n, *(f"{x:.3g}" for x in (operator, vector)), f"{curved / vector:.1f}", f"{double:.3g}"]
    cells += [f"{operator / double:.0f}", f"{operator / unit:.2g}", lu, f"{error:.0e}", f"{ideal:.0%}", memory]
    return "| " + " | ".join(map(str, [*cells, f"{two[0] / two[1]:.2f}"])) + " |"


def main():
    largest = int(sys.argv[1]) if len(sys.argv) > 1 else SIZES[-1]
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(
        f"{platform.machine()}, {os.cpu_count()} cpus{load}; Python {platform.python_version()}, numpy "
        f"{np.__version__}; kernels {kernels.isa()}, OpenMP {kernels.openmp_enabled()}"
    )
    with threadpool_limits(1):
        unit_matrix = np.random.default_rng(0).random((1024, 1024), np.float32)
        unit = medians([lambda: unit_matrix @ unit_matrix], 9)[0]
        print(f"A float32 product of 1024 x 1024: {unit:.1f} ms. Times in milliseconds, memory in MB.\n")
        print("| " + " | ".join(HEADINGS) + " |\n" + "|---" * len(HEADINGS) + "|")
        for n in SIZES:
            if n <= largest:
                print(row(n, unit), flush=True)


if __name__ == "__main__":
    main()
