"""Products of two activations: writes, energies and lifetimes by hand, both ways."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from neuroemu import attention, chips, components, dynamic_product
from neuroemu.crossbar import CrossbarChip, IdealAdc, IdealDac
from neuroemu.devices import Generic, Ideal, NormalNoise, WriteVerified
from neuroemu.energy import Cost, CostTable
from neuroemu.errors import ArgumentTypeError, InputError

approx = partial(pytest.approx, rel=1e-9, abs=0)  # joules lie far below the default absolute tolerance

RANDOM = np.random.default_rng(3)
A, B = RANDOM.normal(0, 1, (12, 20)), RANDOM.normal(0, 1, (20, 6))
FREE = dict.fromkeys(("dac_drive", "adc_conversion", "adc_clip", "digital_accumulate", "activation_op"), "not priced")
READ = Cost(
    event="core_read", value=2e-9, kind="marginal", device="t", source="made up", evidence="assumed", part="array"
)
WRITE = replace(READ, event="cell_write", value=3e-12, part="writing")
EXACT = CrossbarChip(
    name="exact", costs=CostTable(costs=(READ, WRITE), free=FREE), device=Ideal(), rows=32, columns=16, dac=IdealDac(),
    adc=IdealAdc(), read_seconds=1e-7,
)  # fmt: skip


def test_both_ways_by_hand():
    """One tile: 12 reads, and 20 x 6 pairs of cells written once; 12 x 20 x 6 products, 120 bytes read once."""
    found = dynamic_product(A, B, EXACT, digital=chips.TPU_V4I, endurance=1e6)
    assert (found.vectors, found.fan_in, found.outputs) == (12, 20, 6)
    assert found.cells == found.writes == 2 * 20 * 6 and found.writes_per_cell == 1
    assert found.rewritten.total == approx(12 * 2e-9 + 240 * 3e-12) and found.writes_priced
    assert found.rewritten_seconds == approx(12 * 1e-7) and found.inferences_until_worn == 1e6
    value = {cost.event: cost.value for cost in chips.TPU_V4I.costs.costs}
    by_hand = 12 * 20 * 6 * value["mac"] + (12 * 20 + 120) * value["activation_read_byte"]
    assert found.digital.total == approx(by_hand + 12 * 6 * value["activation_write_byte"])
    assert found.rewritten_error == approx(found.digital_error) and found.digital_error < 0.02
    assert "12 x 20) x (20 x 6" in repr(found) and "1e+06 inferences" in repr(found)


def test_fewer_bits_err_more_and_fetch_less():
    eight, four = (dynamic_product(A, B, EXACT, digital=chips.TPU_V4I, bits=bits) for bits in (8, 4))
    assert four.digital_error > 4 * eight.digital_error and four.inferences_until_worn is None
    assert "endurance not given" in repr(four)
    price = {cost.event: cost.value for cost in chips.TPU_V4I.costs.costs}["activation_read_byte"]
    assert eight.digital.total - four.digital.total == approx(60 * price)


def test_pulses_of_verified_cells_wear_them():
    noisy = WriteVerified(Generic(g_max=20e-6, noise=NormalNoise(1e-6)), tolerance=1e-6, max_pulses=10)
    found = dynamic_product(A, B, replace(EXACT, device=noisy), digital=chips.A100, endurance=1e6)
    assert found.writes > found.cells == 240
    assert found.inferences_until_worn == approx(1e6 * 240 / found.writes)
    assert found.rewritten.total == approx(12 * 2e-9 + found.writes * 3e-12)


def test_unpriced_writes_are_told_and_can_be_priced():
    told = dynamic_product(A, B, chips.HERMES, digital=chips.TPU_V1)
    assert not told.writes_priced and "writes not priced" in repr(told)
    table = chips.HERMES.costs.with_costs(components.PCM_WRITE)
    priced = dynamic_product(A, B, replace(chips.HERMES, costs=table), digital=chips.TPU_V1)
    assert priced.writes_priced
    assert priced.rewritten.total - told.rewritten.total == approx(240 * 19.2e-12)


def test_attention_is_its_two_products():
    q, k, v = (RANDOM.normal(0, 1, shape) for shape in ((5, 8), (7, 8), (7, 3)))
    scores, values = attention(q, k, v, EXACT, digital=chips.TPU_V1)
    assert (scores.vectors, scores.fan_in, scores.outputs) == (5, 8, 7)
    assert (values.vectors, values.fan_in, values.outputs) == (5, 7, 3)
    assert scores.digital_error < 0.03 and values.digital_error < 0.03


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match="second size of a"):
        dynamic_product(A, B.T, EXACT, digital=chips.TPU_V1)
    with pytest.raises(ArgumentTypeError, match="CrossbarChip"):
        dynamic_product(A, B, chips.TPU_V1, digital=chips.TPU_V1)
    with pytest.raises(InputError, match="endurance"):
        dynamic_product(A, B, EXACT, digital=chips.TPU_V1, endurance=0)
