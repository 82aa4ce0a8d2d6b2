"""TrueNorth programs and runs at the public door: what they check, how they are stacked, what they return."""

import dataclasses

import numpy as np
import pytest

from neuroemu.errors import ArgumentTypeError, InputError
from neuroemu.spiking import NeuronParameters, TrueNorthCoreProgram, TrueNorthProgram, run_truenorth
from neuroemu.spiking.truenorth_program import CORES

RELAY = NeuronParameters(weights=[1, 0, 0, 0], threshold=1)  # repeats each spike


def relay(target, axon=0, delay=1, **more):
    """Neuron j repeats axon j and sends to one place."""
    return TrueNorthCoreProgram(crossbar=np.eye(256, dtype=bool), neurons=RELAY, targets=(target, axon, delay), **more)


def test_a_chain_of_cores_delays_and_hops():
    """Spikes of axon 3 go core 0 -> 1 -> 2 with delays 2 and 15, meet axon 9 there, and leave."""
    program = TrueNorthProgram(cores=[relay(1, 3, 2), relay(2, 9, 15), relay(-1)], positions=[(0, 0), (9, 4), (2, 5)])
    run = run_truenorth(program, [(4, 0, 3), (0, 0, 3)], 30, record=[2, 0], probe=[1])
    assert run.spikes.tolist() == [[0, 0, 3], [4, 0, 3], [17, 2, 9], [21, 2, 9]]
    assert run.off_chip.tolist() == [False, False, True, True]
    assert run.potentials.shape == (30, 1, 256) and not run.potentials.any()
    want = {"spikes": 6, "output_spikes": 2, "hops_east": 18, "hops_west": 14, "hops_north": 10, "hops_south": 0}
    assert {name: run.counts[name] for name in want} == want
    assert run.counts_by_tick[:, 3].sum() == run.counts["active_cores"] == 6
    assert run.warnings == ()


def test_default_record_is_what_leaves_the_board():
    run = run_truenorth(TrueNorthProgram(cores=[relay(1), relay(-1)]), [(0, 0, 5), (0, 1, 5)], 3)
    assert run.spikes.tolist() == [[0, 1, 5], [1, 1, 0]]


def test_merges_are_warned_of():
    run = run_truenorth(TrueNorthProgram(cores=[relay(-1)]), [(0, 0, 5), (0, 0, 5), (1, 0, 5)], 3)
    assert run.counts["merges"] == 1 and len(run.spikes) == 2
    assert "1 spikes met" in run.warnings[0]


@pytest.mark.parametrize("shift_register", [False, True])
def test_seeds_threads_and_pieces(shift_register):
    noisy = NeuronParameters(weights=[9, -9, 5, -5], stochastic_synapse=True, threshold=3, threshold_bits=3, leak=1)
    rng = np.random.default_rng(0)
    cores = [
        TrueNorthCoreProgram(
            crossbar=rng.random((256, 256)) < 0.1, axon_types=rng.integers(0, 4, 256), neurons=noisy,
            targets=np.stack([rng.integers(0, 2, 256), rng.integers(0, 256, 256), rng.integers(1, 16, 256)], axis=1),
        )
        for _ in range(2)
    ]  # fmt: skip
    program = TrueNorthProgram(cores=cores, shift_register=shift_register)
    whole = run_truenorth(program, [], 30, seed=5, record=[0, 1])
    assert 0 < len(whole.spikes) < 30 * 512
    first = run_truenorth(program, [], 11, seed=5, record=[0, 1], threads=2)
    last = run_truenorth(program, [], 19, state=first.state, record=[0, 1])
    assert np.array_equal(whole.spikes, np.concatenate([first.spikes, last.spikes + (11, 0, 0)]))
    assert np.array_equal(whole.state.potential, last.state.potential) and last.state.tick == 30
    assert not np.array_equal(whole.spikes, run_truenorth(program, [], 30, seed=6, record=[0, 1]).spikes)
    alike = [dataclasses.replace(cores[0], potential=4, seed=seed) for seed in (7, 7, 8)]
    run = run_truenorth(TrueNorthProgram(cores=alike, shift_register=shift_register), [], 1, record=[0, 1, 2])
    one, two, three = (run.spikes[run.spikes[:, 1] == k, 2].tolist() for k in range(3))
    assert one == two != three


def test_boards_of_chips():
    program = TrueNorthProgram(cores=[relay(1), relay(-1)], chips=(2, 1), positions=[(63, 0), (64, 0)])
    assert run_truenorth(program, [(0, 0, 0)], 2).counts["chip_crossings"] == 1
    many = TrueNorthProgram(cores=[relay(-1)] * (CORES + 1), chips=(2, 1))
    assert many.positions[[0, 1, 64, CORES]].tolist() == [[0, 0], [1, 0], [0, 1], [64, 0]]


def test_registers_spread_and_are_read_only():
    one = NeuronParameters(weights=[1, 2, 3, 4], leak=np.arange(256) - 128)
    assert one.weights.shape == (4, 256) and one.weights[:, 9].tolist() == [1, 2, 3, 4]
    with pytest.raises(ValueError, match="read-only"):
        one.leak[0] = 0
    bits = np.random.default_rng(0).random((256, 256)) < 0.5
    assert np.array_equal(TrueNorthCoreProgram(crossbar=bits, neurons=one).connections(), bits)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"weights": [256, 0, 0, 0]}, "weights spans 0..256; allowed: -256 to 255"),
        ({"weights": [1, 2, 3]}, r"weights has shape \(3,\); give \(4, 256\)"),
        ({"leak": -257}, "leak"),
        ({"threshold": 2**18}, "threshold"),
        ({"negative_threshold": -1}, "negative_threshold"),
        ({"reset_mode": 3}, "reset_mode"),
        ({"threshold_bits": 18}, "threshold_bits"),
        ({"leak": np.zeros(255, int)}, "leak has shape"),
    ],
)
def test_registers_out_of_range(wrong, message):
    with pytest.raises(InputError, match=message):
        NeuronParameters(**{"weights": [0, 0, 0, 0]} | wrong)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"target": 0, "delay": 16}, "delays spans 16..16; allowed: 1 to 15"),
        ({"target": 0, "delay": 0}, "delays"),
        ({"target": 0, "axon": 256}, "target axons"),
        ({"target": -2}, "targets"),
        ({"target": 0, "axon_types": 4}, "axon_types"),
        ({"target": 0, "potential": 2**19}, "potential"),
        ({"target": 0, "seed": 2**32}, "seed"),
    ],
)
def test_cores_out_of_range(wrong, message):
    with pytest.raises(InputError, match=message):
        relay(**wrong)


def test_programs_out_of_range():
    with pytest.raises(InputError, match="core 0 targets core 1; there are 1"):
        TrueNorthProgram(cores=[relay(1)])
    with pytest.raises(InputError, match="4,097 cores, 4,096 fit; enlarge chips"):
        TrueNorthProgram(cores=[relay(-1)] * 4097)
    with pytest.raises(InputError, match="same position"):
        TrueNorthProgram(cores=[relay(-1)] * 2, positions=[(1, 1), (1, 1)])
    with pytest.raises(InputError, match="outside the 64 x 64 mesh"):
        TrueNorthProgram(cores=[relay(-1)], positions=[(64, 0)])
    with pytest.raises(InputError, match=r"core 1, \[256 *0\] away"):
        TrueNorthProgram(cores=[relay(1), relay(-1)], positions=[(0, 0), (256, 0)], chips=(5, 1))
    with pytest.raises(ArgumentTypeError, match="weights must be integers"):
        NeuronParameters(weights=[0.5, 0, 0, 0])


@pytest.mark.parametrize(
    "arguments, message",
    [
        (([(3, 0, 0)], 3), "ticks of spikes spans 3..3; allowed: 0 to 2"),
        (([(0, 1, 0)], 3), "cores of spikes"),
        (([(0, 0, 256)], 3), "axons of spikes"),
        (([(0, 0)], 3), "spikes has shape"),
        (([], 0), "ticks"),
    ],
)
def test_runs_out_of_range(arguments, message):
    with pytest.raises(InputError, match=message):
        run_truenorth(TrueNorthProgram(cores=[relay(-1)]), *arguments)


def test_record_and_state_must_fit():
    program = TrueNorthProgram(cores=[relay(-1)])
    with pytest.raises(InputError, match="twice"):
        run_truenorth(program, [], 1, record=[0, 0])
    state = run_truenorth(program, [], 1).state
    with pytest.raises(InputError, match="the state is of 1 cores"):
        run_truenorth(TrueNorthProgram(cores=[relay(-1)] * 2), [], 1, state=state)
