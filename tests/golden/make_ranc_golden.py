"""Record a golden from RANC's C++ emulator: two cores, both of its reset modes, 1,000 ticks. Not run by the tests.

RANC: Mack et al. 2021, doi:10.1109/TCAD.2020.3038151, https://github.com/UA-RCL/RANC (MIT licence), commit
08ae4bdddc60c6c480708f0b9298cff798fe354f. Build its folder `simulator` with cmake and make, then:
python make_ranc_golden.py path/to/ranc_sim. The recorded spikes are output of that program on inputs drawn here.

Core A lies at (0, 0), core B at (1, 0), the output bus at (0, 1). Even neurons of each core feed random axons of the
other one, odd neurons the bus. RANC counts delays from 0, and its bus shows spikes in the tick they are made in.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

TICKS, SIZE = 1000, 256
CONFIG = {
    "num_neurons": SIZE, "num_axons": SIZE, "num_cores_x": 2, "num_cores_y": 2, "num_weights": 4,
    "max_tick_offset": 16, "neuron_block_trace_verbosity": 0, "core_controller_trace_verbosity": 0,
    "scheduler_trace_verbosity": 0, "neuron_reset_type": 0,
}  # fmt: skip


def draw():
    """Registers of both cores and the input spikes of core A."""
    rng = np.random.default_rng(2021)
    shape = (2, SIZE)
    return {
        "crossbar": rng.random((2, SIZE, SIZE)) < 0.5, "axon_types": rng.integers(0, 4, shape),
        "weights": rng.integers(-60, 61, (2, 4, SIZE)), "leak": rng.integers(-20, 21, shape),
        "threshold": rng.integers(1, 900, shape), "negative_threshold": rng.integers(0, 900, shape),
        "reset": rng.integers(-90, 200, shape), "reset_mode": rng.integers(0, 2, shape),
        "potential": rng.integers(-200, 200, shape), "axon": rng.integers(0, SIZE, shape),
        "delay": rng.integers(1, 16, shape), "inputs": rng.random((TICKS, SIZE)) < 0.08,
    }  # fmt: skip


def core(g, k):
    """One core in RANC's words."""
    neurons = []
    for j in range(SIZE):
        leaves = j % 2 == 1
        away = [-k, 1] if leaves else [1 - 2 * k, 0]
        neurons.append({
            "reset_potential": int(g["reset"][k, j]), "weights": g["weights"][k, :, j].tolist(),
            "leak": int(g["leak"][k, j]), "positive_threshold": int(g["threshold"][k, j]),
            "negative_threshold": -int(g["negative_threshold"][k, j]), "destination_core_offset": away,
            "destination_axon": SIZE * k + j if leaves else int(g["axon"][k, j]),
            "destination_tick": 0 if leaves else int(g["delay"][k, j]) - 1,
            "current_potential": int(g["potential"][k, j]), "reset_mode": int(g["reset_mode"][k, j]),
        })  # fmt: skip
    wires = g["crossbar"][k].T.astype(int).tolist()
    return {"axons": g["axon_types"][k].tolist(), "neurons": neurons, "connections": wires, "coordinates": [k, 0]}


def main():
    g = draw()
    packets = [
        [{"destination_core": [0, 0], "destination_axon": int(a), "destination_tick": 0} for a in np.flatnonzero(row)]
        for row in g["inputs"]
    ]
    bus = {"coordinates": [0, 1], "num_outputs": 2 * SIZE}
    with tempfile.TemporaryDirectory() as folder:
        places = [str(Path(folder, name)) for name in ("in.json", "out.txt", "config.json")]
        Path(places[0]).write_text(
            json.dumps({"packets": packets, "output_bus": bus, "cores": [core(g, 0), core(g, 1)]})
        )
        Path(places[2]).write_text(json.dumps(CONFIG))
        ticks = str(TICKS + 1)  # the bus shows a tick when the next one begins
        command = [sys.argv[1], "-i", places[0], "-o", places[1], "-c", places[2], "--ticks", ticks]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        rows = Path(places[1]).read_text(encoding="utf-8-sig").split("\n")
    spikes = np.array([row.split() for row in rows if row.strip()], int)[1 : TICKS + 1].astype(bool)
    merges = said.count("duplicate spike")
    print(spikes.shape, spikes.sum(), "spikes on the bus,", merges, "merges,", said.count("WARNING"), "warnings")
    packed = {n: np.packbits(v) for n, v in {**g, "spikes": spikes}.items() if v.dtype == bool}
    numbers = {n: v.astype(np.int16) for n, v in g.items() if v.dtype != bool}
    np.savez_compressed(Path(__file__).with_name("ranc_two_cores.npz"), **packed, **numbers, merges=merges)


if __name__ == "__main__":
    main()
