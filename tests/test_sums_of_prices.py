"""No report adds what does not add: prices that hold a part of each other, scopes that hold one another, unknowns."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroemu import break_even, chips, components, datasets, quantize, run, to_sigma_delta, to_spiking
from neuroemu.energy import Cost, CostTable, Counts, Energy, Line, price
from neuroemu.errors import InputError, PriceError

# What a joule or a watt of the first is spent on that the second is spent on too, by the definitions of kinds, parts
# and scopes; written down here once more, pair by pair, and not read from the package.
KINDS = {"marginal": None, "average": None, "static": "chip", "leakage": "chip"}
PARTS = ("array", "core", "converters", "compute", "off_chip", "chip", "host", "writing")


def cost(event="a", kind="marginal", part="compute", device="machine", scope=None, value=1.0):
    return Cost(
        event=event, value=value, kind=kind, device=device, source="made up for a test", evidence="assumed", part=part,
        scope=scope,
    )  # fmt: skip


def shared(one: Cost, two: Cost) -> bool:
    same = one.device.lower() == two.device.lower()
    if one.unit == two.unit == "W":
        if not same or one.scope != two.scope:
            return False
        return one.kind != two.kind or (one.part == "chip") != (two.part == "chip")
    if one.unit != two.unit:
        event = one if one.unit == "J" else two
        return same and event.kind == "average"
    for whole, part in ((one, two), (two, one)):
        if whole.part == "core" and part.part in ("array", "converters"):
            return True
        if whole.part == "chip" and part.part not in ("chip", "host", "writing"):
            if part.part != "off_chip" or same:
                return True
    return False


any_cost = st.builds(
    lambda kind, part, device, scope: cost(kind=kind, part=part, device=device, scope=scope if KINDS[kind] else None),
    st.sampled_from(sorted(KINDS)), st.sampled_from(PARTS), st.sampled_from(("machine", "Machine ", "another")),
    st.sampled_from(("core", "chip", "board")),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(any_cost, any_cost)
def test_a_table_refuses_exactly_the_pairs_that_share_joules(one, two):
    two = replace(two, event="b", device=two.device.strip() if one.device == "another" else two.device)
    same = replace(one, device=one.device.strip()), replace(two, device=two.device.strip())
    if shared(*same):
        with pytest.raises(PriceError):
            CostTable(costs=(one, two))
    else:
        assert CostTable(costs=(one, two)).costs == (one, two)


@pytest.mark.parametrize("whole, part", tuple(product(("HERMES", "IBM34"), ("adc", "heat"))))
def test_no_part_can_be_added_to_a_core_that_was_measured_whole(whole, part):
    table = chips.ALL[whole].costs
    adc = components.adc_energy(8, node_nm=14, rate=1e9)
    with pytest.raises(PriceError, match="holds a"):
        table.with_costs(adc if part == "adc" else components.CELL_HEAT)


@pytest.mark.parametrize("name", ["T4", "EDGE_TPU", "JETSON_ORIN", "ET_SOC_1"])
def test_memory_cannot_be_added_to_rated_power(name):
    own = replace(components.HBM["A100"], device=chips.ALL[name].costs.costs[0].device, event="memory_byte")
    with pytest.raises(PriceError, match="holds all of the chip"):
        chips.ALL[name].costs.with_costs(own)


def test_leakage_is_a_part_of_static_power():
    with pytest.raises(PriceError, match="clock stopped"):
        chips.LOIHI.costs.with_costs(replace(chips.LOIHI.costs.static("chip")[0], event="leak", kind="leakage"))


def test_an_average_under_another_spelling_is_of_the_same_device():
    average = chips.HERMES.costs.costs[0]
    with pytest.raises(PriceError, match="average"):
        chips.HERMES.costs.with_costs(cost("idle", "static", "chip", "  hermes", "chip"))
    assert average.boundary == "core, not split"


def line(found: Cost, quantity=1.0):
    return Line(layer="", cost=found, quantity=quantity, joules=quantity * found.value)


def test_an_energy_made_by_hand_adds_no_scopes_either():
    core, chip = (cost(f"idle {scope}", "static", "chip", scope=scope) for scope in ("core", "chip"))
    with pytest.raises(PriceError, match="hold one another"):
        Energy(lines=(line(core), line(chip)), static_by_scope={}, boundary="chip", seconds=1, inferences=1)
    average = cost("b", "average", "core")
    with pytest.raises(PriceError, match="average"):
        Energy(lines=(line(chip), line(average)), static_by_scope={}, boundary="chip", seconds=1, inferences=1)
    with pytest.raises(PriceError, match="are not"):
        Line(layer="", cost=chip, quantity=2.0, joules=3.0)


def test_a_board_is_charged_only_where_its_power_is_known():
    """Averages hold static power of the chip, not of the board."""
    counts = Counts({("fc", "core_read_1phase"): 5})
    with pytest.raises(PriceError, match="'board'"):
        price(counts, chips.HERMES.costs, seconds=1, inferences=1, boundary="board")
    assert price(counts, chips.HERMES.costs, seconds=1, inferences=1).static == 0
    with pytest.raises(PriceError, match="'board'"):
        price(Counts(), chips.LOIHI.costs, seconds=1, inferences=1, boundary="board", units={"board": 1})


@pytest.fixture(scope="module")
def three():
    net = datasets.mnist_network()
    x = datasets.mnist_test(2)[0]
    net = quantize(net, samples=net.samples)
    spiking = to_spiking(net, steps=4, samples=net.samples)
    return run(spiking, chips.LOIHI, x), run(net, chips.TPU_V1, x), run(to_sigma_delta(net), chips.LOIHI2, x)


def test_no_break_even_with_an_unknown_energy_or_another_boundary(three):
    loihi, tpu, loihi2 = three
    assert np.isnan(loihi2.energy_per_inference)
    with pytest.raises(InputError, match="LOIHI2 is unknown"):
        break_even(loihi, loihi2)
    with pytest.raises(InputError, match="LOIHI2 is unknown"):
        break_even(loihi2, tpu)
    board = [replace(cost, scope="board") if cost.unit == "W" else cost for cost in chips.TPU_V1.costs.costs]
    table = replace(chips.TPU_V1.costs, costs=board)
    x = datasets.mnist_test(2)[0]
    net = datasets.mnist_network()
    on_board = run(quantize(net, samples=net.samples), replace(chips.TPU_V1, costs=table), x)
    assert on_board.boundary == "board" and on_board.energy.static == tpu.energy.static
    with pytest.raises(InputError, match="of a board"):
        break_even(loihi, on_board)


def test_what_has_no_price_is_told_and_not_taken_for_nothing():
    table = CostTable(costs=(cost("seen"),))
    counts = Counts({("fc", "seen"): 2, ("fc", "dark"): 5})
    told = price(counts, table, seconds=0, inferences=1, allow_missing=True)
    assert told.total == 2 and "no price: fc dark, 5 events" in told.report() and "fc dark" in told.table()
    unknown = price(counts, replace(table, unpriced="none is public"), seconds=0, inferences=1)
    for parts in (unknown.by_part(), unknown.by_layer(), unknown.by_boundary(), unknown.by_evidence()):
        assert parts and all(np.isnan(joules) for joules in parts.values())
    assert np.isnan(unknown.total) and "none is public" in unknown.report()
