"""Roofline: measured programs first, then times and counts by hand, then what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroemu.chip import silent
from neuroemu.chips.a100 import A100
from neuroemu.chips.xeon import XEON_E5_2699V3 as XEON
from neuroemu.digital import Roofline, roofline_seconds
from neuroemu.energy import CostTable, price
from neuroemu.errors import InputError, PlacementError
from neuroemu.network import layers as L
from neuroemu.network.floating import run_float
from neuroemu.network.graph import Network, sequential
from neuroemu.network.grids import Grid
from neuroemu.network.integer import run_integer

PLAIN = Roofline(
    name="plain", costs=CostTable(), peak_ops={8: 1e9, 16: 5e8}, bandwidth=1e8, utilisation=(0.25, 0.5, 1.0)
)


def quantized(*layers, input_shape):
    names = ["input", *(layer.name for layer in layers)]
    return Network(layers=layers, input_shape=input_shape, grids={name: Grid(0.5) for name in names})


def codes(*shape, seed=0):
    return np.random.default_rng(seed).integers(-7, 8, shape).astype(np.int8)


CNN = quantized(
    L.Conv2d(name="conv", weight=codes(6, 2, 3, 3), bias=np.zeros(6, np.int32), weight_grid=Grid(0.1)),
    L.relu(name="relu"),
    L.MaxPool2d(name="pool", size=(2, 2)),
    L.Flatten(name="flat"),
    L.Dense(name="head", weight=codes(5, 54), weight_grid=Grid(0.1)),
    input_shape=(2, 8, 8),
)
FLOAT = sequential(
    [L.Dense(name="head", weight=np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32))], input_shape=(7,)
)


def images(network, n, seed=1):
    return np.random.default_rng(seed).normal(size=(n, *network.input_shape)).astype(np.float32)


def run(chip, network, x):
    return chip.execute(network, chip.place(network), x, seed=0, trials=1, threads=1, progress=silent)


# --- measured programs -------------------------------------------------------------------------------------------


def test_xeon_band_holds_the_measured_rate_of_mlp0():
    """Jouppi 2017, Table 4: MLP0, 20 M fp32 weights, batch 16, 5,482 inferences/s. Fitted: it set the likely value."""
    rates = []
    for share in XEON.utilisation:
        work = {"peak": XEON.peak_ops[32], "bandwidth": XEON.bandwidth, "utilisation": share}
        rates.append(16 / roofline_seconds(2 * 20e6 * 16, 4 * 20e6, **work))
    assert rates[0] < 5482 < rates[2]
    assert rates[1] == pytest.approx(5482, rel=0.1)


def test_a100_ridge_is_where_the_datasheet_puts_it():
    """624e12 / 1.555e12 = 401 operations a byte: below it memory sets the time, above it arithmetic."""
    peak, bandwidth = A100.peak_ops[8], A100.bandwidth
    below, above = (roofline_seconds(ops, 1e9, peak=peak, bandwidth=bandwidth) for ops in (400e9, 402e9))
    assert below == 1e9 / 1.555e12 and above == 402e9 / 624e12


def test_full_speed_a100_stays_within_its_power_limit():
    """A check of plausibility: idle + arithmetic + memory at once at their full rates, against 400 W (datasheet)."""
    costs = {c.event: c.value for c in A100.costs.costs}
    arithmetic = costs["idle"] + 312e12 * costs["op_fp16"]
    assert 200 < arithmetic < 400
    assert arithmetic + 1.555e12 * costs["memory_byte"] == pytest.approx(400, rel=0.2)


# --- time --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ops, moved, floor, seconds",
    [(1e6, 10, 0, 2e-3), (10, 1e6, 0, 2e-2), (10, 10, 7e-6, 7e-6), (1e6, 1e6, 1.0, 1.0)],
)
def test_kernel_time_is_the_slowest_of_three(ops, moved, floor, seconds):
    found = roofline_seconds(ops, moved, peak=1e9, bandwidth=1e8, utilisation=0.5, floor=floor)
    assert found == pytest.approx(seconds)


def test_latency_of_a_small_network_by_hand():
    found = run(PLAIN, CNN, images(CNN, 1))
    assert found.counts["conv", "memory_byte"] == 128 + 216 + 108 + 6 * 4  # codes in and out, weights, int32 biases
    times = {
        "conv": 2 * 36 * 18 * 6 / (0.5 * 1e9),  # arithmetic rules; in the others memory does
        "pool": (216 + 54) / (0.5 * 1e8),
        "head": (54 + 5 + 270) / (0.5 * 1e8),
    }
    assert found.traces["layer_seconds"] == pytest.approx(times)
    assert found.latency == pytest.approx(sum(times.values())) == found.interval


def test_launch_floor_and_host_transfer_bound_the_latency_from_below():
    chip = replace(PLAIN, launch_floor=1e-3, host_bandwidth=1e6, host_call=1e-4)
    found = run(chip, CNN, images(CNN, 1))
    assert found.latency == pytest.approx(3 * 1e-3 + 2 * 1e-4 + (128 + 5) / 1e6)
    assert found.traces["host_seconds"] == pytest.approx(2e-4 + 133e-6)
    assert A100.latency(CNN, 1, 1.0) >= 3 * A100.launch_floor + 2 * A100.host_call


@given(st.integers(1, 64))
def test_batching_never_slows_an_input_and_band_holds_the_latency(batch):
    single, many = PLAIN.latency(CNN, 1, 0.5), PLAIN.latency(CNN, batch, 0.5)
    assert many / batch <= single * (1 + 1e-12) and many >= single * (1 - 1e-12)
    best, worst = PLAIN.latency(CNN, batch, 1.0), PLAIN.latency(CNN, batch, 0.25)
    assert best < many < worst


def test_partial_last_batch_is_timed_and_counted():
    chip, x = replace(PLAIN, batch=4), images(CNN, 10)
    found = run(chip, CNN, x)
    assert found.interval * 10 == pytest.approx(2 * chip.latency(CNN, 4, 0.5) + chip.latency(CNN, 2, 0.5))
    assert found.latency == chip.latency(CNN, 4, 0.5) and found.batch == 4
    assert found.counts["head", "kernel_launch"] == 3
    assert found.counts["head", "memory_byte"] == 10 * 59 + 3 * 270
    assert found.counts == run(chip, CNN, x[:8]).counts + run(chip, CNN, x[8:]).counts
    assert "batch 4" in found.notes[0]
    assert found.traces["latency_band"] == (chip.latency(CNN, 4, 1.0), chip.latency(CNN, 4, 0.25))


# --- counts, sites, outputs --------------------------------------------------------------------------------------


def test_counts_are_two_operations_a_multiplication():
    counts = run(PLAIN, CNN, images(CNN, 3)).counts
    assert counts["conv", "op_int8"] == 2 * 3 * CNN.macs["conv"]
    assert counts["pool", "op_int8"] == 3 * 54 * 4
    assert counts.kinds() == ("op_int8", "memory_byte", "kernel_launch")
    assert {layer for layer, _ in counts} == {"conv", "pool", "head"}  # relu and flatten are fused


def test_float_network_runs_at_the_width_of_the_widest_rate():
    found = run(PLAIN, FLOAT, images(FLOAT, 2))
    assert found.counts["head", "op_fp16"] == 2 * 2 * 35
    assert found.counts["head", "memory_byte"] == 2 * (35 + 12) * 2
    x = images(FLOAT, 2)
    np.testing.assert_allclose(found.outputs[0], run_float(FLOAT, x))
    assert run(XEON, FLOAT, x).counts["head", "op_fp32"] == 140


def test_outputs_are_those_of_the_integer_reference():
    x = images(CNN, 4)
    found = run(replace(PLAIN, batch=3), CNN, x).outputs
    assert found.shape == (1, 4, 5) and found.dtype == np.float32
    np.testing.assert_array_equal(found[0], run_integer(CNN, x))


def test_site_utilisation_is_the_share_of_the_peak_rate():
    conv, head = PLAIN.place(CNN)
    assert (conv.layer, conv.rows, conv.columns) == ("conv", (0, 18), (0, 6))
    assert conv.utilisation == pytest.approx(0.5)  # bound by arithmetic: the likely share itself
    assert head.utilisation == pytest.approx(540 / 1e9 / (329 / 0.5e8))
    assert head.details["ops_per_byte"] == pytest.approx(540 / 329)


@pytest.mark.parametrize("chip, watts", [(A100, 79.0), (XEON, 41.0)])
def test_presets_price_all_that_they_count(chip, watts):
    for network in (CNN, FLOAT):
        found = run(chip, network, images(network, 3))
        energy = price(found.counts, chip.costs, seconds=3 * found.interval, units={"chip": 1}, inferences=3)
        assert energy.missing == () and energy.static == pytest.approx(watts * 3 * found.interval)
        assert 0 < energy.dynamic and energy.low <= energy.total <= energy.high


# --- what is refused ---------------------------------------------------------------------------------------------


def test_spiking_network_is_refused_with_the_remedy():
    with pytest.raises(PlacementError, match=r"spiking.*run the quantized network"):
        PLAIN.place(CNN.replace(steps=8))


@pytest.mark.parametrize(
    "changes",
    [
        {"peak_ops": {16: 1e9}},
        {"peak_ops": {8: 0.0}},
        {"peak_ops": {8: 1e9, 12: 1e9}},
        {"bandwidth": -1.0},
        {"utilisation": (0.5, 0.4, 1.0)},
        {"utilisation": (0.0, 0.4, 1.0)},
        {"utilisation": (0.1, 0.4)},
        {"launch_floor": -1e-6},
        {"host_bandwidth": 0.0},
        {"batch": 0},
    ],
)
def test_impossible_processors_are_refused(changes):
    with pytest.raises(InputError, match="plain"):
        replace(PLAIN, **changes)
