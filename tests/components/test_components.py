"""Component prices against the figures of their sources, then what is refused."""

from itertools import pairwise
from math import exp, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroemu import components as P
from neuroemu.components import adc, arithmetic, converters, isaac, links, memory
from neuroemu.energy import Cost, CostTable, Counts, price
from neuroemu.errors import ArgumentTypeError, InputError, PriceError

LAWS = (P.SurveyEnvelope(), P.Andrulis(), P.SaberiTable(), P.PowerOfTwo(), P.LinearBits())


def picojoules(cost):
    return cost.value * 1e12


def isaac_like(model, bits):
    return picojoules(P.adc_energy(bits, node_nm=32, rate=1.2e9, model=model))


# --- converters -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bits, node, rate, expected",
    [(8, 32, 1e8, 1.71), (8, 32, 1.28e9, 1.93), (8, 14, 1e6, 0.362), (6, 14, 1e6, 0.225), (10, 14, 1e6, 0.698),
     (10, 14, 1e9, 2.94), (8, 65, 1e6, 6.5), (8, 130, 1e6, 23.9)],
)  # fmt: skip
def test_andrulis_energies(bits, node, rate, expected):
    cost = P.adc_energy(bits, node_nm=node, rate=rate, model=P.Andrulis())
    assert picojoules(cost) == pytest.approx(expected, rel=5e-3)
    assert cost.band == pytest.approx((0.345, 20), rel=2e-3)


def test_andrulis_area_of_isaacs_converter():
    square_microns = P.Andrulis().area(8, node_nm=32, rate=1.28e9) * 1e12
    assert square_microns == pytest.approx(6467, rel=1e-3)
    by_hand = exp(1.3462 + 0.9933 * log(32) + 0.1807 * log(1.28e9) + 0.2991 * log(1.9268))
    assert square_microns == pytest.approx(by_hand, rel=1e-4)


def test_laws_from_isaacs_converter_meet_at_8_bits_and_part_elsewhere():
    table = {4: (0.79, 0.10, 0.83), 6: (1.20, 0.42, 1.25), 8: (1.67, 1.67, 1.67), 10: (2.38, 6.68, 2.09)}
    for bits, expected in table.items():
        found = [isaac_like(model, bits) for model in LAWS[2:]]
        assert found == pytest.approx(expected, rel=0.05)
    assert isaac_like(P.SaberiTable(), 4) / isaac_like(P.PowerOfTwo(), 4) == pytest.approx(8, rel=0.1)
    assert isaac_like(P.PowerOfTwo(), 10) / isaac_like(P.LinearBits(), 10) == pytest.approx(3.2, rel=0.01)
    assert P.SaberiTable().area(8, node_nm=32, rate=1e9) == pytest.approx(1200e-12)
    assert P.SurveyEnvelope().area(8, node_nm=32, rate=1e9) is None


@pytest.mark.parametrize(
    "bits, least, middle",
    [(5, 0.78, 3.2), (6, 1.46, 5.1), (7, 1.11, 3.6), (8, 4.6, 21), (9, 5.2, 29), (10, 2.2, 19), (11, 6.5, 31),
     (12, 6.3, 163)],
)  # fmt: skip
def test_survey_is_the_default_and_its_envelope(bits, least, middle):
    cost = P.adc_energy(12, enob=bits, node_nm=28, rate=1e9)
    assert picojoules(cost) == pytest.approx(middle, rel=0.025)
    assert adc.SURVEY_MINIMUM_PICOJOULES[bits] == pytest.approx(least, rel=0.02)
    assert adc.SURVEY_MINIMUM_PICOJOULES[bits] < picojoules(cost) * cost.band[0] < picojoules(cost)
    assert cost.evidence == "silicon" and cost.band[1] > 3


@given(st.sampled_from(LAWS), st.integers(5, 10), st.floats(100e6, 1.2e9))
def test_every_law_names_event_source_and_band(model, bits, rate):
    cost = P.adc_energy(bits, node_nm=32, rate=rate, model=model)
    assert isinstance(cost, Cost) and cost.event == "adc_conversion" and cost.bits == bits
    assert cost.part == "converters" and cost.unit == "J" and cost.source
    assert cost.band[0] < 1 or cost.band[1] > 1


@pytest.mark.parametrize("model", LAWS[1:3])
def test_more_bits_cost_more(model):
    found = [isaac_like(model, bits) for bits in range(4, 11)]
    assert all(later > earlier for earlier, later in pairwise(found))


def test_fewer_effective_bits_cost_less():
    full, real = (P.adc_energy(8, node_nm=32, rate=1.2e9, enob=e, model=P.Andrulis()).value for e in (None, 6.24))
    assert real < full / 2


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"bits": 8, "node_nm": 14, "rate": 1e9, "model": P.SaberiTable()}, "use model=Andrulis"),
        ({"bits": 8, "node_nm": 32, "rate": 2e9, "model": P.PowerOfTwo()}, "use model=Andrulis"),
        ({"bits": 12, "node_nm": 32, "rate": 1e9, "model": P.LinearBits()}, "4 to 10"),
        ({"bits": 8, "node_nm": 32, "rate": 1e6}, "use model=Andrulis"),
        ({"bits": 4, "node_nm": 32, "rate": 1e9}, "5 to 12"),
        ({"bits": 8, "node_nm": 32, "rate": 1e9, "enob": 9.0}, "enob"),
    ],
)
def test_converters_outside_of_a_law_are_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        P.adc_energy(arguments.pop("bits"), **arguments)


def test_a_name_is_no_law():
    with pytest.raises(ArgumentTypeError, match="AdcModel"):
        P.adc_energy(8, node_nm=32, rate=1e9, model="andrulis")


def test_row_driver_sample_and_shift():
    assert picojoules(P.dac_energy(1)) == pytest.approx(0.391, rel=3e-3)  # 4 mW x 100 ns / 1024
    assert P.dac_energy(4).value == pytest.approx(8 * P.dac_energy(1).value)
    assert picojoules(P.dac_energy(1)) * P.dac_energy(1).band[1] == pytest.approx(0.417, rel=3e-3)
    assert P.SAMPLE_AND_HOLD.value == pytest.approx(0.98e-15, rel=5e-3)
    assert picojoules(P.SHIFT_ADD) == pytest.approx(0.021, rel=0.01)
    neurram = (converters.NEURRAM_ADC_STEP, converters.NEURRAM_SAMPLE, converters.NEURRAM_INTEGRATE)
    assert [picojoules(cost) for cost in neurram] == pytest.approx([0.3, 1.2, 0.25])
    with pytest.raises(InputError, match="1 to 4"):
        P.dac_energy(5)


# --- arithmetic and nodes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "operation, node, expected",
    [("int8_add", 45, 0.03), ("int32_multiply", 45, 3.1), ("fp32_multiply", 45, 3.7), ("fp32_add", 45, 0.9),
     ("int8_multiply", 7, 0.070), ("int32_add", 7, 0.030), ("int32_multiply", 40, 12.68), ("int8_mac", 7, 0.084),
     ("accumulate", 22, 0.05448)],
)  # fmt: skip
def test_published_operations(operation, node, expected):
    cost = P.operation_energy(operation, node_nm=node)
    assert picojoules(cost) == pytest.approx(expected) and cost.node_nm == node and cost.part == "compute"


def test_ratio_of_multiply_accumulate_to_accumulate_depends_on_the_width():
    def at_45(*names):
        return sum(P.operation_energy(name, node_nm=45).value for name in names)

    assert at_45("fp32_multiply", "fp32_add") / at_45("fp32_add") == pytest.approx(5.1, rel=5e-3)
    assert at_45("int8_multiply", "int32_add") / at_45("int32_add") == pytest.approx(3.0)
    assert at_45("int8_multiply", "int8_add") / at_45("int8_add") == pytest.approx(7.7, rel=5e-3)


def test_factors_between_nodes():
    published = {130: 3.07, 90: 1.90, 65: 1.24, 32: 0.659, 20: 0.221, 16: 0.174, 14: 0.139, 10: 0.118, 7: 0.094}
    assert {n: P.energy_factor(45, n) for n in published} == pytest.approx(published, rel=5e-3)
    assert 0.30 * P.energy_factor(45, 7, from_volts=0.9) == pytest.approx(0.023, rel=0.01)  # published at 7 nm: 0.10
    assert P.energy_factor(45, 7) * P.energy_factor(7, 45) == pytest.approx(1)


def test_scaling_is_asked_for_and_flagged():
    with pytest.raises(PriceError, match=r"no figure at 14 nm, only at 7 nm, 45 nm; .*allow_scaling"):
        P.operation_energy("int8_multiply", node_nm=14)
    cost = P.operation_energy("fp16_add", node_nm=14, allow_scaling=True)
    assert picojoules(cost) == pytest.approx(0.4 * 0.139, rel=5e-3)
    assert cost.evidence == "estimate" and cost.band == pytest.approx((1 / 3, 3)) and "scaled from 45 nm" in cost.note
    near = P.operation_energy("int8_multiply", node_nm=10, allow_scaling=True)
    assert "scaled from 7 nm" in near.note  # not from 45 nm
    known = P.operation_energy("int8_add", node_nm=45)
    assert P.scaled(known, node_nm=45) is known
    with pytest.raises(PriceError, match="allow_scaling"):
        P.operation_energy("int8_mac", node_nm=5, allow_scaling=True)
    with pytest.raises(PriceError, match="no price for 'int4_add'; choose from"):
        P.operation_energy("int4_add", node_nm=45)
    with pytest.raises(InputError, match="to_nm"):
        P.energy_factor(45, 5)


def test_memories_and_converters_are_not_scaled_by_the_logic_law():
    for cost in (P.DRAM, P.EDRAM, P.adc_energy(8, node_nm=32, rate=1e9, model=P.SaberiTable()), P.HYPERTRANSPORT):
        with pytest.raises(PriceError, match="published at the node"):
            P.scaled(cost, node_nm=7)


# --- memories and links -----------------------------------------------------------------------------------------


def test_memory_accesses():
    assert picojoules(P.sram_read(8192, node_nm=45)) == 10 and picojoules(P.sram_read(32768, node_nm=45)) == 20
    assert picojoules(P.sram_read(4 * 2**20, node_nm=7)) == pytest.approx(0.249)
    assert picojoules(P.EDRAM) / 32 == pytest.approx(0.64, rel=2e-3)  # a byte
    assert picojoules(P.EDRAM) / 32 * P.EDRAM.band[1] == pytest.approx(2.02, rel=0.02)
    assert [picojoules(P.DRAM) * end for end in P.DRAM.band] == pytest.approx([1000, 2000])
    assert picojoules(P.HBM["HBM2, DRAM side"]) == pytest.approx(3.97)
    assert picojoules(P.HBM["A100"]) == 13.11 and P.HBM["A100"].evidence == "silicon"


def test_sizes_in_between_follow_the_depth_law_if_asked():
    cost = P.sram_read(16384, node_nm=45, allow_scaling=True)
    assert picojoules(cost) == pytest.approx(10 * 2**0.78) and cost.band[1] == 3 and cost.evidence == "estimate"
    assert P.sram_read(8192, node_nm=45, allow_scaling=True) is memory.SRAM[8192, 45]
    with pytest.raises(PriceError, match="allow_scaling"):
        P.sram_read(16384, node_nm=45)
    with pytest.raises(PriceError, match="choose from 7, 45 nm"):
        P.sram_read(8192, node_nm=28, allow_scaling=True)


def test_links():
    assert picojoules(P.BUS_BIT) == pytest.approx(0.054) and picojoules(P.ROUTER_FLIT) == pytest.approx(20.74)
    assert picojoules(P.CHIP_LINK) == 26 and picojoules(P.SPIKE_HOP) == pytest.approx(2.3)
    assert P.HYPERTRANSPORT.unit == "W" and P.HYPERTRANSPORT.value == 10.4


def test_parts_of_isaac_beside_its_crossbars():
    tile = sum(part.watts for part in isaac.TILE_PARTS)
    assert tile == pytest.approx(40.85e-3) and isaac.tile_mm2() == pytest.approx(0.372, rel=2e-3)
    assert isaac.MACS == 8 * 128 * 16
    assert sum(part.watts for part in isaac.UNIT_PARTS) == pytest.approx(1.47e-3)


def test_a_machine_of_components_is_a_price_list():
    costs = (P.dac_energy(1), P.adc_energy(6, node_nm=32, rate=1e9, model=P.SaberiTable()), P.HYPERTRANSPORT)
    counts = Counts({("conv", "dac_drive"): 128, ("conv", "adc_conversion"): 100})
    energy = price(counts, CostTable(costs=costs), seconds=1e-6, inferences=1, units={"chip": 1})
    assert energy.dynamic == pytest.approx(128 * 0.39e-12 + 100 * 1.20e-12) and energy.static == pytest.approx(10.4e-6)
    assert energy.high > energy.total >= energy.low


def test_every_price_has_a_source_that_can_be_found():
    loose = [cost for module in (converters, links, memory) for cost in vars(module).values() if isinstance(cost, Cost)]
    tables = [*P.OPERATIONS.values(), *P.SRAM.values(), *P.HBM.values(), *P.ISAAC_PERIPHERY.costs]
    assert len(loose) >= 12
    for cost in (*loose, *tables):
        assert any(word in cost.source for word in ("doi:", "arXiv:", "accelforge", "hwcomponents", "SC '25")), cost
        assert "memory" not in cost.source.replace("scaling", "")
    assert not any(operation.startswith("int16_multiply") for operation, _ in arithmetic.OPERATIONS)
