"""Make sanafe_random.npz: one random spiking network on SANA-FE's Loihi, its spikes, energies and simple times.

    python make_sanafe_golden.py        in an environment of its own with numpy and sanafe 2.2.9 (GPL-3.0), which is not
                                        needed to run the tests; only figures computed by it are stored.

Three groups on four cores of three tiles; the arrays are explained in tests/validation/test_sana_fe.py.
"""

import random
from pathlib import Path

import numpy as np
import sanafe

STEPS = 20
SIZES = {"a": 24, "b": 40, "c": 16}
CORES = {"a": [(0, 0)] * 12 + [(0, 1)] * 12, "b": [(0, 1)] * 10 + [(5, 2)] * 30, "c": [(14, 3)] * 16}  # (tile, core)
SYNAPSES = {"a": "loihi_dense_synapse", "b": "loihi_conv_synapse", "c": "loihi_sparse_synapse"}  # by target
EDGES = (("a", "b", 0.3), ("b", "c", 0.4), ("b", "b", 0.05), ("a", "c", 0.1), ("c", "a", 0.1))


def main():
    rng, first = random.Random(7), dict(zip(SIZES, np.cumsum([0, *SIZES.values()]).tolist(), strict=False))
    architecture, network = sanafe.load_loihi(), sanafe.Network()
    neuron = {"threshold": 4.0, "leak_decay": 1.0, "reset": 0.0}
    groups = {
        name: network.create_neuron_group(
            name,
            size,
            model_attributes=neuron,
            soma_hw_name="loihi_lif",
            default_synapse_hw_name=SYNAPSES[name],
            log_spikes=True,
        )
        for name, size in SIZES.items()
    }
    for name, group in groups.items():
        for member in group:
            member.set_attributes(model_attributes={"bias": float(rng.choice([1, 2, 3]) if name == "a" else 1)})
    edges = []
    for source, target, density in EDGES:
        for i, sender in enumerate(groups[source]):
            for j, receiver in enumerate(groups[target]):
                if rng.random() < density:
                    sender.connect_to_neuron(receiver, {"weight": float(rng.choice([-1, 1, 2]))})
                    edges.append((first[source] + i, first[target] + j))
    for name, group in groups.items():
        for member, (tile, core) in zip(group, CORES[name], strict=True):
            member.map_to_core(architecture.tiles[tile].cores[core])
    chip = sanafe.SpikingChip(architecture)
    chip.load(network)
    found = chip.sim(timesteps=STEPS, timing_model="simple", spike_trace=True, perf_trace=True)
    fired = np.zeros((STEPS, sum(SIZES.values())), bool)
    for step, spikes in enumerate(found["spike_trace"]):
        for address in spikes:
            fired[step, first[address.group_name] + address.neuron_offset] = True
    trace = found["perf_trace"]
    kinds = np.repeat([("dense", "conv", "sparse")[i] for i in range(3)], list(SIZES.values()))
    np.savez_compressed(
        Path(__file__).with_name("sanafe_random.npz"),
        edges=np.array(edges, np.int16),
        cores=np.array([place for name in SIZES for place in CORES[name]], np.int16),
        synapse=kinds,
        fired=fired,
        seconds=np.array(trace["sim_time"]),
        **{f"{part}_joules": np.array(trace[f"{part}_energy"]) for part in ("synapse", "soma", "network", "total")},
        energy=found["energy"]["total"],
    )


if __name__ == "__main__":
    main()
