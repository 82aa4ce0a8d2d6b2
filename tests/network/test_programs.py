"""Neuron programs against traces of lava and lava-dl, against closed forms, and one program of a user's own."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from neuroemu.errors import ArgumentTypeError, InputError
from neuroemu.kernels import graded
from neuroemu.network.programs import (
    DeltaProgram,
    GradedRelu,
    NeuronProgram,
    SigmaDelta,
    SigmaProgram,
    run_program,
    zeros,
)
from neuroemu.network.spiking_programs import Accumulate, AdaptiveFire, IntegrateFire, PhaseFire, ResonateFire

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="module")
def lava():
    return np.load(GOLDEN / "lava_graded.npz")


@pytest.fixture(scope="module")
def tinynet():
    return np.load(GOLDEN / "loihi_tinynet_sdnn.npz")


def train(array):
    """(..., T) of a golden as drive (1, T, ...)."""
    return np.moveaxis(np.asarray(array, np.int32), -1, 0)[None]


def test_input_layer_of_lava_dl(tinynet):
    steps = 15
    wave = np.sin(2 * np.pi * np.arange(steps) / steps)
    frames = np.trunc(tinynet["input_bias"][..., None] * wave).astype(np.int32)
    payload, _ = run_program(DeltaProgram(threshold=20 << 12), train(frames) << 12)
    np.testing.assert_array_equal(payload >> 6, train(tinynet["input"]))


def test_convolution_of_lava_dl_answers_to_its_biases(tinynet):
    neurons = SigmaDelta(
        threshold=20 << 12, bias=tinynet["layer1_bias"].astype(np.int64) << 12, state_exponent=6, keep_remainder=False
    )
    payload, _ = run_program(neurons, np.zeros((1, 16, 6, 6, 24), np.int32))
    np.testing.assert_array_equal(payload, train(tinynet["layer1"]))


def test_dense_layer_of_lava_dl(tinynet):
    weights = np.ascontiguousarray(tinynet["layer2_weight"].T)  # 864 inputs
    spikes = np.ascontiguousarray(tinynet["layer1"].reshape(-1, 16).T != 0, np.int32)  # that layer sends no payloads
    rows = np.arange(len(weights) + 1, dtype=np.int32)
    sums = np.zeros((16, 100), np.int32)
    graded.add_messages(spikes, indptr=rows, target=np.zeros_like(rows[1:]), row=rows[:-1], weights=weights, sums=sums)
    late = np.vstack((np.zeros_like(sums[:1]), sums[:-1]))  # a step on the way
    payload, _ = run_program(SigmaProgram(), late[None])
    np.testing.assert_array_equal(payload, train(tinynet["layer2"]))
    assert np.count_nonzero(payload) == 1500


@pytest.mark.parametrize("rectified", [True, False])
def test_sigma_delta_of_lava(lava, rectified):
    program = SigmaDelta(
        threshold=60 << 4, bias=lava["sigma_delta_bias"].astype(np.int64) << 4, state_exponent=4, keep_remainder=False,
        rectified=rectified,
    )  # fmt: skip
    payload, _ = run_program(program, train(lava["sigma_delta_in"]))
    np.testing.assert_array_equal(payload, train(lava["sigma_delta_relu" if rectified else "sigma_delta_unit"]))


def test_resonate_and_fire_of_lava(lava):
    program = ResonateFire.of(period=11, decay=0.05, threshold=25)
    spikes, _ = run_program(program, np.stack((train(lava["rf_real"]), train(lava["rf_imag"]))))
    np.testing.assert_array_equal(spikes, train(lava["rf_spikes"]))
    assert spikes.sum() > 100


def test_adaptive_threshold_of_lava(lava):
    program = AdaptiveFire(
        threshold=300, threshold_step=20, current_decay=1, voltage_decay=4096, refractory_decay=4096, bias=64 << 2
    )
    spikes, _ = run_program(program, train(lava["atrlif_in"]))
    np.testing.assert_array_equal(spikes, train(lava["atrlif_spikes"]))


def test_graded_relu_of_lava(lava):
    payload, _ = run_program(GradedRelu(threshold=40), train(lava["relu_in"]))
    np.testing.assert_array_equal(payload, train(lava["relu_out"]))


def test_sigma_delta_keeps_what_it_did_not_send():
    """What was sent stays within the threshold, or a lost bit, of the activation at every step."""
    rng = np.random.default_rng(0)
    drive = rng.integers(-50, 60, (4, 80, 6)).astype(np.int32)
    act = np.maximum(drive.cumsum(axis=1) + 5, 0)
    exact, _ = run_program(SigmaDelta(bias=5), drive)
    np.testing.assert_array_equal(exact.cumsum(axis=1), act)
    coarse, _ = run_program(SigmaDelta(bias=5, threshold=40), drive)
    assert np.abs(coarse.cumsum(axis=1) - act).max() < 40
    assert np.count_nonzero(coarse) < 0.7 * np.count_nonzero(exact)
    shifted, _ = run_program(SigmaDelta(bias=5, state_exponent=3), drive)
    assert np.abs((shifted.cumsum(axis=1) << 3) - act).max() < 8
    lost, _ = run_program(SigmaDelta(bias=5, state_exponent=3, keep_remainder=False), drive)
    assert np.abs((lost.cumsum(axis=1) << 3) - act).max() > 8


@pytest.mark.parametrize("drive, decay, period", [(7, 0, 100), (33, 0, 100), (250, 0, 100)])
def test_integrate_and_fire_rate(drive, decay, period):
    """Nothing is lost: after T steps at drive d, T d / threshold spikes went out, rounded down."""
    steps = 50
    program = IntegrateFire(threshold=period, largest=5, voltage_decay=decay)
    payload, state = run_program(program, np.full((1, steps, 1), drive, np.int32))
    assert payload.sum() == steps * drive // period
    assert state["v"] == steps * drive % period
    assert payload.max() == -(-drive // period)


@pytest.mark.parametrize("largest", [1, 3, 8, 9, 1000])
def test_bursts_are_limited_and_the_rest_waits(largest):
    drive = np.zeros((1, 20, 2), np.int32)
    drive[0, 0] = (95, -95)
    payload, state = run_program(IntegrateFire(threshold=10, largest=largest), drive)
    assert payload[0, 0, 0] == min(largest, 9)
    assert payload[0, :, 0].sum() == min(9, 20 * largest)
    assert not payload[0, :, 1].any() and state["v"][0, 1] == -95


def test_phases_send_the_bits_of_a_value():
    values = np.arange(256, dtype=np.int32)
    drive = np.broadcast_to(values, (1, 16, 256))
    payload, _ = run_program(PhaseFire(threshold=1, period=8, at_once=True), drive)
    bits = (values >> np.arange(7, -1, -1)[:, None]) & 1
    np.testing.assert_array_equal(payload[0, :8], bits << np.arange(7, -1, -1)[:, None])
    np.testing.assert_array_equal(payload[0, 8:], payload[0, :8])


def test_phase_neuron_passes_its_mean_on():
    """Sums of payload times threshold over whole periods differ from what arrived by what v still holds."""
    rng = np.random.default_rng(1)
    drive = rng.integers(0, 900, (2, 64, 5)).astype(np.int32)
    program = PhaseFire(threshold=900, period=8, bias=3, shift=2)
    payload, state = run_program(program, drive)
    arrived = (drive.astype(np.int64) << 2).sum(axis=1) + 3 * 255 * 8
    np.testing.assert_array_equal(arrived, 900 * payload.sum(axis=1, dtype=np.int64) + state["v"])


def test_accumulate_weighs_its_bias_by_phase():
    drive = np.ones((1, 16, 1), np.int32)
    assert run_program(Accumulate(bias=2, shift=3), drive)[1]["v"] == 16 * (8 + 2)
    payload, state = run_program(Accumulate(bias=2, period=8), drive)
    assert state["v"] == 16 + 2 * 2 * 255 and not payload.any()


def test_resonator_answers_best_to_its_own_period():
    def spikes(period):
        drive = np.zeros((2, 1, 200, 1), np.int32)
        drive[0, 0, ::period] = 20
        return run_program(ResonateFire.of(period=10, decay=0.02, threshold=60), drive)[0].sum()

    assert spikes(10) > 5 and spikes(7) == spikes(15) == 0


def test_adaptive_threshold_slows_the_neuron_down():
    drive = np.full((1, 300, 1), 3, np.int32)
    fixed = AdaptiveFire(threshold=20, voltage_decay=400, refractory_decay=200)
    rising = AdaptiveFire(threshold=20, voltage_decay=400, refractory_decay=200, threshold_step=15, threshold_decay=40)
    first, second = (run_program(p, drive)[0].ravel() for p in (fixed, rising))
    assert first.sum() > 1.5 * second.sum() > 0
    gaps = np.diff(np.flatnonzero(second))
    assert gaps[0] < gaps[-1]


@dataclass(frozen=True, eq=False, kw_only=True)
class Median(NeuronProgram):
    """A user's own program: the middle one of the last three inputs."""

    WORDS: ClassVar[int] = 2

    def start(self, shape):
        return zeros(shape, "last", "before")

    def step(self, state, drive, t):
        middle = np.median([drive, state["last"], state["before"]], axis=0).astype(np.int64)
        return {"last": drive, "before": state["last"]}, middle

    def read(self, state):
        return state["last"]


def test_program_of_a_user():
    drive = np.array([5, 900, 6, 7, -3, 8], np.int32).reshape(1, 6, 1)
    payload, state = run_program(Median(), drive)
    assert payload.ravel().tolist() == [0, 5, 6, 7, 6, 7] and state["before"].item() == -3


def test_wrong_drive_and_registers_are_refused():
    with pytest.raises(ArgumentTypeError, match="must hold integers, got dtype float64"):
        run_program(SigmaProgram(), np.zeros((1, 2, 3)))
    with pytest.raises(ArgumentTypeError, match="NeuronProgram"):
        run_program("lif", np.zeros((1, 2, 3), int))
    with pytest.raises(InputError, match=r"takes \(2, B, T, N\)"):
        run_program(ResonateFire.of(period=9, decay=0.1, threshold=1), np.zeros((1, 2, 3), int))
    with pytest.raises(InputError, match="leaves 32 bits"):
        run_program(SigmaProgram(), np.full((1, 2, 1), 2**31 - 1, np.int32))
    with pytest.raises(InputError, match="threshold is 0"):
        IntegrateFire(threshold=0)
    with pytest.raises(ArgumentTypeError, match="bias must hold integers"):
        SigmaDelta(bias=np.ones(3))
    with pytest.raises(InputError, match="period"):
        ResonateFire.of(period=1.5, decay=0.1, threshold=1)
