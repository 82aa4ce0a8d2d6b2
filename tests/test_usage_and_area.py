"""Shares of chips in use, in the same words for all, and areas with their sources."""

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest

from neuroemu import chips, compare, datasets, place, quantize, run, to_spiking
from neuroemu.area import UNKNOWN, Area
from neuroemu.crossbar import BusiestFirst, CrossbarChip, RowPipeline
from neuroemu.devices import Ideal
from neuroemu.digital import SystolicArray
from neuroemu.energy import CostTable
from neuroemu.errors import InputError
from neuroemu.network import Conv2d, Dense, Flatten, sequential

FREE = dict.fromkeys(
    ("core_read", "dac_drive", "adc_conversion", "adc_clip", "digital_accumulate", "activation_op", "mac", "cycle",
     "weight_byte", "activation_read_byte", "activation_write_byte", "vector_op", "cell_write"),
    "not priced here",
)  # fmt: skip


@pytest.fixture(scope="module")
def mnist():
    net = datasets.mnist_network()
    return quantize(net, samples=net.samples)


@pytest.fixture(scope="module")
def images():
    return datasets.mnist_test(5)


@pytest.fixture(scope="module")
def results(mnist, images):
    found = [chips.HERMES, chips.ISAAC, chips.PUMA, chips.IBM34, chips.TPU_V1, chips.TPU_V4I, chips.A100]
    snn = to_spiking(mnist, steps=8, samples=mnist.samples)
    return {c.name: run(net, c, images[0]) for net, c in [*((mnist, c) for c in found), (snn, chips.LOIHI)]}


@pytest.fixture(scope="module")
def two_layers():
    """16 x 8 weights at 4 positions, then 8 x 32 at one."""
    random = np.random.default_rng(0)
    net = sequential(
        [
            Conv2d(name="conv", weight=random.uniform(0.1, 1, (8, 16, 1, 1))),
            Flatten(name="flat"),
            Dense(name="fc", weight=random.uniform(0.1, 1, (8, 32))),
        ],
        input_shape=(16, 2, 2),
    )
    return quantize(net, samples=random.uniform(0, 1, (8, 16, 2, 2)))


def test_crossbar_shares_by_hand(two_layers):
    """Two arrays of 32 x 8: one half full that reads 4 times an interval of 4 reads, one full that reads once."""
    chip = CrossbarChip(name="test", costs=CostTable(costs=(), free=FREE), rows=32, columns=8, cores=5, device=Ideal())
    usage = run(two_layers, chip, np.ones((2, 16, 2, 2))).usage
    assert (usage.units, usage.present, usage.chips) == (2, 5, 1)
    assert usage.cells == pytest.approx(3 / 4)
    assert usage.busy == pytest.approx((1 + 1 / 4) / 2)
    assert usage.work == pytest.approx((1 / 2 * 1 + 1 * 1 / 4) / 2)
    filled = run(two_layers, replace(chip, copies=BusiestFirst()), np.ones((2, 16, 2, 2))).usage
    assert filled.units == 5 and filled.busy == pytest.approx(1.0) and filled.cells == pytest.approx(3 / 5)
    assert str(usage) == "2 of 5 units, 75% of them filled, busy 62.5% of the time, 37.5% of what they could do"


def test_systolic_shares_are_those_of_scale_sim(two_layers):
    """Sr Sc T / (R C cycles), with cycles 2 R + C + T - 2 a fold; the operands of a fold pass for T of its cycles."""
    array = SystolicArray(
        name="test", costs=CostTable(costs=(), free=FREE), rows=16, columns=8, clock_hz=1e9, weight_bandwidth=1e12,
        buffer_bytes=1 << 20, double_buffered=False,
    )  # fmt: skip
    usage = run(two_layers, array, np.ones((1, 16, 2, 2))).usage
    conv, fc = 2 * 16 + 8 + 4 - 2, 2 * (2 * 16 + 8 + 1 - 2)
    assert usage.work == pytest.approx((16 * 8 * 4 + 32 * 8) / (16 * 8 * (conv + fc)))
    assert usage.busy == pytest.approx((4 + 2) / (conv + fc))
    assert usage.cells == 1.0 and usage.present is None


def test_loihi_shares_come_from_its_counts(results):
    found = results["LOIHI"]
    seconds = found.usage.units * found.latency_per_inference * found.n_images
    assert found.usage.work == pytest.approx(found.counts.total("synaptic_op") * 3.5e-9 / seconds)
    updates = (
        found.counts.total("neuron_update_active") * 8.4e-9 + found.counts.total("neuron_update_inactive") * 5.3e-9
    )
    assert found.usage.busy == pytest.approx(found.usage.work + updates / seconds, rel=1e-6)
    assert found.usage.present == 128


def test_processor_does_its_operations_at_a_share_of_its_peak(results):
    found = results["A100"]
    assert found.n_units == found.usage.units == 1
    done = found.counts.total("op_int8") / found.n_images
    assert found.usage.work == pytest.approx(done * found.throughput / 624e12)
    assert found.usage.busy is None


def test_shares_are_shares(results):
    for result in results.values():
        usage = result.usage
        assert result.utilisation == usage.cells and result.n_units == usage.units
        for share in (usage.cells, usage.busy, usage.work):
            assert share is None or 0 < share <= 1
        assert usage.busy is None or usage.work <= usage.busy


def test_a_layer_without_weights_uses_nothing(two_layers):
    empty = two_layers.replace(layers=tuple(
        replace(layer, weight=np.zeros_like(layer.weight)) if hasattr(layer, "weight") else layer
        for layer in two_layers.layers
    ))  # fmt: skip
    chip = CrossbarChip(name="test", costs=CostTable(costs=(), free=FREE), device=Ideal())
    usage = run(empty, chip, np.ones((1, 16, 2, 2))).usage
    assert (usage.units, usage.cells, usage.busy, usage.work) == (0, 0, 0, 0)


# --- area -------------------------------------------------------------------------------------------------------------


def test_used_area_is_that_of_whole_units(mnist):
    """ISAAC: twelve arrays lie on one tile of 96; 100 arrays on two. HERMES: cores one by one."""
    tile = chips.ISAAC.area
    assert tile.holds == 96 and tile.used_mm2(12) == tile.used_mm2(96) == tile.unit_mm2
    assert tile.used_mm2(97) == 2 * tile.unit_mm2 and tile.used_mm2(0) == 0
    assert tile.unit_mm2 == pytest.approx(0.372, rel=0.01)
    assert sum(mm2 for _, mm2 in tile.parts) == pytest.approx(tile.unit_mm2)
    assert sum(mm2 for _, mm2 in chips.PUMA.area.parts) == pytest.approx(chips.PUMA.area.unit_mm2)


def test_tiles_of_isaac_fill_less_than_its_die():
    """168 tiles are 62.4 of 85.4 mm2; links take 22.88 mm2, as PUMA's simulator has them after ISAAC."""
    tiles = 168 * chips.ISAAC.area.unit_mm2
    assert tiles < chips.ISAAC.area.chip_mm2 and tiles + 22.88 == pytest.approx(85.4, rel=0.01)


def test_results_carry_areas_apart(results):
    hermes, isaac, tpu, loihi = (results[name] for name in ("HERMES", "ISAAC", "TPU v1", "LOIHI"))
    assert hermes.used_mm2 == pytest.approx(6 * 0.636, rel=1e-3) and hermes.chip_mm2 is None
    assert isaac.used_mm2 == pytest.approx(0.3714, rel=1e-3) and isaac.chip_mm2 == 85.4
    assert tpu.used_mm2 is None and tpu.chip_mm2 == 331.0 and loihi.used_mm2 is None and loihi.chip_mm2 == 60.0
    assert "3.82 mm2 of cores in use, of the die unknown" in repr(hermes)
    assert "of the units unknown, die <= 331 mm2" in repr(tpu)
    row = isaac.row()
    assert (row["used_mm2"], row["chip_mm2"]) == (isaac.used_mm2, 85.4) and tpu.row()["used_mm2"] is None
    text = repr(compare(list(results.values())))
    head, hermes_line, *_ = text.splitlines()
    assert "mm2 used" in head and "mm2 die" in head and " 3.82 " in hermes_line and "<= 331" in text
    assert "which do not compare" in text


def test_every_area_has_a_source_and_variants_of_unbuilt_chips_have_none():
    known = {name for name, chip in chips.ALL.items() if chip.area.chip_mm2 or chip.area.unit_mm2}
    assert known >= {"HERMES", "ISAAC", "PUMA", "LOIHI", "LOIHI2", "TRUENORTH", "TPU_V1", "TPU_V4I", "A100", "H100"}
    assert not known & {"PCM_NEURONS", "RERAM_NEURONS", "NEURRAM", "IBM34"}
    assert UNKNOWN in chips.NEURRAM.describe() and "0.636 mm2" in chips.HERMES.describe()
    with pytest.raises(InputError, match="without a source; give source="):
        Area(chip_mm2=1.0)
    with pytest.raises(InputError, match="without a source; give unit_source="):
        Area(parts={"adc": 1.0})
    with pytest.raises(InputError, match="holds is 0"):
        Area(holds=0)
    with pytest.raises(InputError, match=r"parts\['adc'\] is -1"):
        Area(parts={"adc": -1.0}, unit_source="test")


def test_several_chips_take_several_dies(results):
    loihi = results["LOIHI"]
    assert replace(loihi, usage=replace(loihi.usage, chips=2)).chip_mm2 == 120.0
    assert replace(loihi, usage=None).chip_mm2 == 60.0 and replace(loihi, usage=None).row()["busy"] is None
    with pytest.raises(InputError, match=r"cells is 1\.5"):
        replace(loihi.usage, cells=1.5)


def test_chips_and_results_travel_between_processes(results):
    for chip in (chips.ISAAC, replace(chips.HERMES, copies=BusiestFirst(), schedule=RowPipeline())):
        assert copy.deepcopy(chip) == pickle.loads(pickle.dumps(chip)) == chip
    found = pickle.loads(pickle.dumps(results["ISAAC"].pipeline))
    assert found.latency == results["ISAAC"].latency_per_inference


def test_placement_is_not_changed_by_areas(mnist):
    assert place(mnist, replace(chips.HERMES, area=Area())).sites == place(mnist, chips.HERMES).sites
