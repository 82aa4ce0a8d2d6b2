"""V5 on a random network: SANA-FE's spikes, priced and timed by our ledger, give its energies and times.

golden/sanafe_random.npz, by make_sanafe_golden.py: edges (n, 2) source and target neuron; cores (N, 2) tile and core of
each; synapse (N,) kind at the target; fired (steps, N); energies by part and simple time of each step.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from neuroemu import chips
from neuroemu.chip import Site
from neuroemu.energy import Counts, price
from neuroemu.spiking import Compartments, LoihiProgram, MessageSeconds, Synapses, place_program, step_seconds
from neuroemu.validation.spiking import SANA_FE_SECONDS as T
from neuroemu.validation.spiking import sana_fe_table

MESH_HEIGHT = 4  # tile t stands at x = t // 4, y = t % 4
PARTS = {"neuron": "soma", "synapse": "synapse", "network": "network"}


@pytest.fixture(scope="module")
def golden():
    with np.load(Path(__file__).parents[1] / "golden" / "sanafe_random.npz") as stored:
        return dict(stored)


def messages(golden, step):
    """(source core, target core, {kind: synapses}) of every message of a step; a spike sends one to each core."""
    cores = [tuple(place) for place in golden["cores"].tolist()]
    found = {}
    for source, target in golden["edges"].tolist():
        if golden["fired"][step, source]:
            kinds = found.setdefault((source, cores[target]), {})
            kind = str(golden["synapse"][target])
            kinds[kind] = kinds.get(kind, 0) + 1
    return [(cores[source], core, kinds) for (source, core), kinds in found.items()]


def counts(golden, step):
    neurons, spikes = golden["fired"].shape[1], int(golden["fired"][step].sum())
    events = [("soma_access", neurons), ("soma_update", neurons), ("soma_spike", spikes)]
    for (here, _), (there, _), kinds in messages(golden, step):
        events += [("axon_out", 1), *((f"synapse_{kind}", n) for kind, n in kinds.items())]
        events.append(("hop_east_west", abs(here // MESH_HEIGHT - there // MESH_HEIGHT)))
        events.append(("hop_north_south", abs(here % MESH_HEIGHT - there % MESH_HEIGHT)))
    return Counts.from_pairs(("net", kind, n) for kind, n in events)


def seconds(golden, step):
    """Busiest core, sending or receiving, and the barrier of three tiles, which takes the entry of two."""
    sending, receiving = {}, {}
    for place, fired in zip(golden["cores"].tolist(), golden["fired"][step], strict=True):
        time = T["soma_access"] + T["soma_update"] + fired * T["soma_spike"]
        sending[tuple(place)] = sending.get(tuple(place), 0.0) + time
    for source, target, kinds in messages(golden, step):
        sending[source] += T["axon_out"]
        time = T["axon_in"] + sum(n * T[f"synapse_{kind}"] for kind, n in kinds.items())
        receiving[target] = receiving.get(target, 0.0) + time
    return max(*sending.values(), *receiving.values()) + T["sync_2_tiles"]


def test_energy_by_part_of_every_step(golden):
    total = Counts()
    for step in range(len(golden["fired"])):
        events = counts(golden, step)
        energy = price(events, sana_fe_table(), seconds=0, inferences=1)
        for part, joules in energy.by_part().items():
            assert joules == pytest.approx(golden[f"{PARTS[part]}_joules"][step], rel=1e-9)
        assert energy.total == pytest.approx(golden["total_joules"][step], rel=1e-9)
        total = total + events
    whole = price(total, sana_fe_table(), seconds=0, inferences=1)
    assert whole.total == pytest.approx(float(golden["energy"]), rel=1e-9)
    assert all(total.total(kind) > 0 for kind in total.kinds()) and len(total.kinds()) == 9


def test_simple_time_of_every_step(golden):
    ours = [seconds(golden, step) for step in range(len(golden["fired"]))]
    np.testing.assert_allclose(ours, golden["seconds"], rtol=1e-9)


def test_a_placed_program_takes_the_same_time(golden):
    """The same network as a LoihiProgram on the same cores: messages found by our placement."""
    first, sizes = {"a": 0, "b": 24, "c": 64}, {"a": 24, "b": 40, "c": 16}
    kinds = {name: str(golden["synapse"][start]) for name, start in first.items()}
    synapses = []
    for source, target in ("ab", "bc", "bb", "ac", "ca"):
        matrix = np.zeros((sizes[source], sizes[target]), np.int64)
        for i, j in golden["edges"].tolist():
            if 0 <= i - first[source] < sizes[source] and 0 <= j - first[target] < sizes[target]:
                matrix[i - first[source], j - first[target]] = 2
        synapses.append(Synapses(source=source, target=target, mantissa=matrix))
    parts = tuple(Compartments(name=name, n=n, threshold_mantissa=9) for name, n in sizes.items())
    placed = place_program(LoihiProgram(compartments=parts, synapses=tuple(synapses)), chips.LOIHI)
    unit = golden["cores"][:, 0] * 4 + golden["cores"][:, 1]
    sites = [
        Site(layer=name, unit=int(core), rows=span, columns=(0, 0), utilisation=0.0)
        for name in sizes for core, span in pieces(unit[first[name] : first[name] + sizes[name]])
    ]  # fmt: skip
    times = MessageSeconds(
        update=T["soma_access"] + T["soma_update"], spike=T["soma_spike"], message_out=T["axon_out"],
        message_in=T["axon_in"], synapse={n: T[f"synapse_{kind}"] for n, kind in kinds.items()},
        barrier=T["sync_2_tiles"],
    )  # fmt: skip
    spikes = {name: golden["fired"][:, start : start + sizes[name]] for name, start in first.items()}
    ours = step_seconds(replace(placed, sites=tuple(sites)), spikes, times)
    np.testing.assert_allclose(ours, golden["seconds"], rtol=1e-9)
    batched = {name: np.stack([train, train[::-1]], axis=1) for name, train in spikes.items()}
    both = step_seconds(replace(placed, sites=tuple(sites)), batched, times)
    np.testing.assert_allclose(both, np.stack([ours, ours[::-1]], axis=1), rtol=1e-12)


def pieces(units):
    """(core, (first, stop)) of each run of neighbouring neurons on one core."""
    starts = [0, *(np.flatnonzero(np.diff(units)) + 1).tolist()]
    return [(units[a], (a, b)) for a, b in zip(starts, [*starts[1:], len(units)], strict=True)]
