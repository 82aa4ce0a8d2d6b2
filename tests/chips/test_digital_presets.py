"""Digital presets: exact outputs, rates and powers that come back to the published ones, prices with sources."""

from dataclasses import replace
from math import isnan

import numpy as np
import pytest

from neuroemu import chips, datasets, quantize, run, run_integer, unfair
from neuroemu.digital import Roofline
from neuroemu.digital.roofline import roofline_seconds
from neuroemu.errors import PlacementError

PROCESSORS = {name: chip for name, chip in chips.ALL.items() if isinstance(chip, Roofline)}
RATED = {"T4": 70.0, "V100": 300.0, "H100": 700.0, "EDGE_TPU": 2.0, "JETSON_ORIN": 60.0, "ET_SOC_1": 20.0}
RATED["KV260"] = 10.13  # measured at the board under load
PUBLISHED = {  # operations/s of int8 and bytes/s, as NVIDIA, Google, Esperanto and Samsung state them
    "T4": (130e12, 320e9), "V100": (125e12, 900e9), "H100": (1979e12, 3.35e12), "EDGE_TPU": (4e12, None),
    "JETSON_ORIN": (137.5e12, 200e9), "ET_SOC_1": (139e12, 137e9), "HBM_PIM": (1.2e12, 1.2288e12),
    "KV260": (2.46e12 / 2, 19.2e9),
}  # fmt: skip


@pytest.fixture(scope="module")
def network():
    net = datasets.mnist_network()
    return quantize(net, samples=net.samples)


@pytest.fixture(scope="module")
def images():
    return datasets.mnist_test(4)[0]


@pytest.mark.parametrize("name", [*PROCESSORS, "TPU_V1", "TPU_V4I"])
def test_outputs_are_exact_and_priced(network, images, name):
    result = run(network, chips.ALL[name], images)
    np.testing.assert_array_equal(result.outputs, run_integer(network, images))
    assert result.latency_per_inference > 0
    if name == "HBM_PIM":
        assert isnan(result.energy_per_inference) and "no energy" in result.energy.unknown
    else:
        assert 0 < result.energy_per_inference < 10


@pytest.mark.parametrize("name", RATED)
def test_at_the_peak_rate_a_processor_draws_its_rated_power(name):
    chip = chips.ALL[name]
    static = sum(cost.value for scope in ("chip", "board") for cost in chip.costs.static(scope))
    for cost in chip.costs.costs:
        if cost.event.startswith("op_"):
            assert static + cost.value * chip.peak_ops[cost.bits] == pytest.approx(RATED[name], rel=1e-9)
            assert (cost.kind == "average") == (static == 0)


@pytest.mark.parametrize("name", PUBLISHED)
def test_rates_are_the_published_ones(name):
    ops, bandwidth = PUBLISHED[name]
    assert chips.ALL[name].peak_ops[8] == pytest.approx(ops, rel=2e-3)
    assert bandwidth is None or chips.ALL[name].bandwidth == pytest.approx(bandwidth, rel=1e-3)


@pytest.mark.parametrize("name", PROCESSORS)
def test_every_figure_of_a_processor_names_its_source(name):
    chip = PROCESSORS[name]
    given = {"peak_ops", "bandwidth", "utilisation"} | {
        field for field in ("launch_floor", "host_bandwidth", "host_call") if getattr(chip, field)
    }
    assert given <= set(chip.sources) and all(chip.sources.values())


def test_h100_with_its_memory_at_full_rate_stays_within_its_rated_power():
    """The low end of the band is what is left for operations then."""
    price = {cost.event: cost for cost in chips.H100.costs.costs}
    memory = price["memory_byte"].value * chips.H100.bandwidth
    operations = price["op_fp16"].value * price["op_fp16"].band[0] * chips.H100.peak_ops[16]
    assert price["idle"].value + memory + operations == pytest.approx(700.0)


def test_tpu_v4i_multiplies_at_the_rate_of_four_arrays(network):
    assert chips.TPU_V4I.rows * chips.TPU_V4I.columns * chips.TPU_V4I.clock_hz * 2 == pytest.approx(137.6e12, rel=1e-3)
    with pytest.raises(PlacementError, match="bytes"):
        replace(chips.TPU_V4I, buffer_bytes=100).place(network)


@pytest.mark.parametrize("name", ["EDGE_TPU", "ET_SOC_1"])
def test_floats_are_refused_where_only_codes_have_a_rate(name):
    with pytest.raises(PlacementError, match="quantize"):
        chips.ALL[name].place(datasets.mnist_network())


VENDOR_IMAGES = {  # Gops an image: images/s on one thread, which uses one of two units; AMD UG1354 2.5, ZCU104
    3.627: 217.7, 4.72: 122.9, 7.34: 85.3, 19.36: 37.3, 268.9: 3.5,
}  # fmt: skip


@pytest.mark.parametrize("gops", VENDOR_IMAGES)
def test_the_fpga_takes_the_time_that_its_vendor_measured(gops):
    chip = chips.KV260
    seconds = [
        roofline_seconds(gops * 1e9, 0, peak=chip.peak_ops[8], bandwidth=chip.bandwidth, utilisation=share)
        + 2 * chip.host_call
        for share in chip.utilisation
    ]
    assert seconds[1] * VENDOR_IMAGES[gops] == pytest.approx(1.0, abs=0.25)
    assert seconds[2] < 1 / VENDOR_IMAGES[gops] < seconds[0]


def test_the_power_of_a_board_stays_that_of_a_board(network, images):
    result = run(network, chips.KV260, images)
    assert result.boundary == "board" and set(result.energy.static_by_scope) == {"board"}
    assert result.energy.static == pytest.approx(9.15 * len(images) / result.throughput)
    found = [u for u in unfair([result, run(network, chips.TPU_V1, images)]) if u.name == "unlike boundaries"]
    assert found and set(found[0].chips) == {"KV260", "TPU v1"}
