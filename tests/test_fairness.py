"""Fairness: each entry of the catalogue is found where it is committed, and only there."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from neuroemu import (
    Writing,
    break_even,
    chips,
    compare,
    datasets,
    fairness,
    matched_baseline,
    plot,
    quantize,
    run,
    to_spiking,
    unfair,
)  # fmt: skip
from neuroemu._counts import si
from neuroemu.comparison import _evens
from neuroemu.energy import Cost, CostTable
from neuroemu.errors import ArgumentTypeError, InputError
from neuroemu.plot import treemap


@pytest.fixture(scope="module")
def case():
    net = datasets.mnist_network()
    x, y = datasets.mnist_test(12)
    q = quantize(net, samples=net.samples)
    return net, q, to_spiking(q, steps=16, samples=net.samples), x, y


@pytest.fixture(scope="module")
def loihi(case):
    return run(case[2], chips.LOIHI, case[3], labels=case[4])


@pytest.fixture(scope="module")
def tpu(case):
    return run(case[1], chips.TPU_V1, case[3], labels=case[4])


def names(results):
    return [finding.name for finding in unfair(results)]


def price(event, part, joules=1e-12, **fields):
    fixed = {"kind": "marginal", "device": "mine", "source": "a test", "evidence": "assumed"}
    return Cost(event=event, value=joules, part=part, **(fixed | fields))


def test_float_beside_integers(case, tpu):
    whole = run(case[0], chips.A100, case[3], labels=case[4])
    assert "float against integer" in names([whole, tpu])
    assert "float against integer" not in names([tpu]) + names([whole])


def test_a_dense_network_has_as_many_levels_as_the_spikes(case, loihi, tpu):
    assert loihi.form.matched_bits == 5 and tpu.form.activation_bits == 8
    assert "unmatched precision" in names([loihi, tpu])
    five = quantize(case[0], activation_bits=5, samples=case[0].samples)
    assert "unmatched precision" not in names([loihi, run(five, chips.TPU_V1, case[3], labels=case[4])])


def test_synaptic_operations_alone(case, loihi):
    only = CostTable(
        costs=(price("synaptic_op", "synapse", 23.6e-12),),
        free={kind: "left out" for kind in loihi.counts.kinds() if kind != "synaptic_op"},
    )
    mine = run(case[2], replace(chips.LOIHI, costs=only), case[3], labels=case[4])
    assert "synaptic operations alone" in names([mine]) and "synaptic operations alone" not in names([loihi])
    assert "dynamic against total power" in names([mine, loihi])
    assert "dynamic against total power" not in names([mine])


def test_weight_fetches_left_out(tpu, loihi):
    assert "weight fetches left out" in names([tpu]) and "weight fetches left out" not in names([loihi])


def test_batches_and_nodes(case, tpu, loihi):
    many = run(case[1], replace(chips.TPU_V1, batch=12), case[3], labels=case[4])
    assert "batch 1 against batched" in names([tpu, many]) and "batch 1 against batched" not in names([tpu, loihi])
    assert "technology nodes apart" in names([tpu, loihi]) and "technology nodes apart" not in names([tpu, many])


def test_price_of_full_units(case, tpu):
    hermes = run(case[1], chips.HERMES, case[3], labels=case[4])
    assert "price of full units" in names([hermes]) and "price of full units" not in names([tpu])


def test_prices_of_the_peak_rate(case, tpu):
    orin = run(case[1], chips.JETSON_ORIN, case[3], labels=case[4])
    assert "peak against sustained rate" in names([orin]) and "peak against sustained rate" not in names([tpu])


def test_comparison_prints_what_is_unfair(loihi, tpu):
    found = compare([loihi, tpu])
    assert [str(u) for u in found.unfair] == [str(u) for u in unfair([loihi, tpu])]
    assert "Unfair: unmatched precision (LOIHI, TPU v1): 16 steps" in repr(found)
    with pytest.raises(ArgumentTypeError, match="give Results"):
        unfair([1])


def test_break_even_is_where_both_cost_the_same(case, loihi, tpu):
    found = break_even(loihi, tpu)
    assert found.rate == loihi.counts.total("synaptic_op") / 12 / 426_880
    # Scale the energy of synapses and network to that rate, line by line: the totals meet.
    lines = loihi.energy.lines
    scaled = sum(li.joules * (found.even / found.rate if li.cost.part in ("synapse", "network") else 1) for li in lines)
    assert scaled == pytest.approx(tpu.energy.total)
    assert break_even(loihi, loihi).even == pytest.approx(found.rate)
    cheap = replace(tpu, energy=replace(tpu.energy, lines=()))
    assert break_even(loihi, cheap).even is None and "even without spikes" in str(break_even(loihi, cheap))
    with pytest.raises(InputError, match="no spiking network"):
        break_even(tpu, loihi)
    with pytest.raises(InputError, match="other inputs"):
        break_even(loihi, run(case[1], chips.TPU_V1, case[3][:5]))


def test_spread_of_one_price_is_its_band(tpu):
    line = tpu.energy.lines[0]
    cost = price("mac", "compute", 1.0, band=(0.5, 4.0))
    energy = replace(tpu.energy, lines=(replace(line, cost=cost, joules=2.0, quantity=2.0),))
    low, middle, high = energy.spread(draws=200_000)
    # A 5 % point is 0.9 of the way to the end of the lower side, in the logarithm.
    assert low == pytest.approx(2.0 * 0.5**0.9, rel=0.01) and high == pytest.approx(2.0 * 4.0**0.9, rel=0.02)
    assert middle == pytest.approx(2.0, rel=0.02)
    assert energy.spread(seed=3) == energy.spread(seed=3) != energy.spread(seed=4)


def test_lines_of_one_price_share_their_draw(tpu):
    cost = price("mac", "compute", 1.0, band=(0.5, 2.0))
    line = replace(tpu.energy.lines[0], cost=cost, quantity=1.0, joules=1.0)
    one = replace(tpu.energy, lines=(replace(line, joules=4.0, quantity=4.0),))
    four = replace(tpu.energy, lines=tuple(replace(line, layer=f"{i}") for i in range(4)))
    assert four.spread() == pytest.approx(one.spread())


def test_boundaries_add_up_to_the_total(loihi, tpu):
    for result in (loihi, tpu):
        assert sum(result.energy.by_boundary().values()) == pytest.approx(result.energy.total)
        assert sum(result.energy.by_layer_and_boundary().values()) == pytest.approx(result.energy.total)
        assert result.energy_delay_product == result.energy_per_inference * result.latency_per_inference
    text = loihi.energy.report()
    assert text.splitlines()[0].split("  ")[0] == "layer" and "on-chip memory and network" in text
    assert "not included: links between chips" in text


def test_treemap_fills_its_rectangle_in_proportion(loihi):
    values = {"a": 6.0, "b": 6.0, "c": 4.0, "d": 3.0, "e": 2.0, "f": 2.0, "g": 1.0, "none": 0.0}
    boxes = treemap(values, (0.0, 0.0), (6.0, 4.0))  # the example of Bruls 2000, figure 4
    assert {name: pytest.approx(w * h) for name, _, (w, h) in boxes} == {n: v for n, v in values.items() if v}
    assert boxes[0] == ("b", (0.0, 0.0), (3.0, 2.0)) and boxes[1] == ("a", (0.0, 2.0), (3.0, 2.0))
    covered = np.zeros((40, 60), int)
    for _, (x, y), (w, h) in boxes:
        centres = (np.arange(60) + 0.5) / 10, (np.arange(40) + 0.5) / 10
        covered += ((centres[1] > y) & (centres[1] < y + h))[:, None] & ((centres[0] > x) & (centres[0] < x + w))
    assert (covered == 1).all()
    texts = {text.get_text().split("\n")[0] for text in plot.energy_treemap(loihi).axes[0].texts}
    assert {"static", "conv1"} <= texts


# --- entries of the catalogue, one by one; docs/fairness.md has them all --------------------------------------------


def test_price_of_wider_operands(case, tpu):
    """A network of 8 bits charged at Horowitz's fp32 multiplication and addition."""
    fp32 = replace(chips.TPU_V1.costs.costs[1], value=4.6e-12, bits=32)
    wide = replace(chips.TPU_V1, costs=CostTable(costs=(fp32,), covered=chips.TPU_V1.costs.covered, free={
        **chips.TPU_V1.costs.free}))  # fmt: skip
    assert "price of wider operands" in names([run(case[1], wide, case[3])])
    assert "price of wider operands" not in names([tpu, run(case[0], chips.A100, case[3])])


def test_operations_of_a_multiply_accumulate(case):
    table = chips.EDGE_TPU.costs
    one = replace(table, costs=[replace(cost, ops_per_mac=1) for cost in table.costs])
    assert "operations of a multiply-accumulate" in names([run(case[1], replace(chips.EDGE_TPU, costs=one), case[3])])
    assert "operations of a multiply-accumulate" not in names([run(case[1], chips.EDGE_TPU, case[3])])


def test_zeros_multiplied(case, loihi, tpu):
    found = [u for u in unfair([loihi, tpu]) if u.name == "zeros multiplied"]
    assert [u.chips for u in found] == [("TPU v1",)]
    hermes = run(case[1], chips.HERMES, case[3], labels=case[4])
    assert "zeros multiplied" not in names([loihi, hermes]) + names([tpu]) + names([loihi])


def test_writing_left_out(case, loihi, tpu):
    hermes, puma = (run(case[1], chip, case[3]) for chip in (chips.HERMES, chips.PUMA))
    found = [u for u in unfair([hermes, puma, loihi, tpu]) if u.name == "writing left out"]
    assert [u.chips for u in found] == [("HERMES",)] and "x cell_write an inference" in found[0].text
    off = run(case[1], replace(chips.PUMA, writing=None), case[3])
    found = [u for u in unfair([off, puma]) if u.name == "writing left out"]
    assert [u.chips for u in found] == [("PUMA",)] and "by choice" in found[0].text
    often = run(case[1], replace(chips.TPU_V1, writing=Writing(inferences=10)), case[3])
    assert [u.chips for u in unfair([often]) if u.name == "writing left out"] == [("TPU v1",)]


def test_routing_left_out(case, loihi, tpu):
    told = {
        name: "routing left out" in names([run(case[1], chips.ALL[name], case[3])])
        for name in ("HERMES", "ISAAC", "PUMA", "NEURRAM", "IBM34", "A100")
    }
    assert told == {"HERMES": True, "ISAAC": True, "PUMA": True, "NEURRAM": True, "IBM34": False, "A100": False}
    assert "routing left out" not in names([loihi, tpu])
    routed = chips.PUMA.costs.with_costs(price("activation_op", "network"))
    assert "routing left out" not in names([run(case[1], replace(chips.PUMA, costs=routed), case[3])])


def test_host_left_out(case, tpu):
    board = run(case[1], chips.KV260, case[3], labels=case[4])
    found = [u for u in unfair([board, tpu]) if u.name == "host left out"]
    assert [u.chips for u in found] == [("TPU v1",)] and "KV260" in found[0].text
    assert "host left out" not in names([board]) + names([tpu])


def test_prices_fitted_at_the_peak_rate(case):
    assert "peak against sustained rate" in names([run(case[1], chips.KV260, case[3])])


@pytest.mark.parametrize("steps, bits", [(1, 2), (3, 2), (4, 3), (7, 3), (8, 4), (15, 4), (16, 5), (255, 8), (1000, 8)])
def test_the_matched_baseline_has_as_many_levels_as_the_spikes(case, steps, bits):
    """ceil(log2(T + 1)), within the 2 to 8 bits of quantize."""
    net = case[0]
    matched = matched_baseline(net, steps=steps, samples=net.samples[:8])
    assert {grid.bits for name, grid in matched.grids.items() if name in ("relu1", "relu2")} == {bits}
    assert bits == min(8, max(2, int(np.ceil(np.log2(steps + 1)))))


def test_the_matched_baseline_is_not_told_as_unmatched(case, loihi):
    net, _, _, x, y = case
    matched = matched_baseline(net, steps=loihi.form.steps, samples=net.samples)
    found = compare([loihi, run(matched, chips.TPU_V1, x, labels=y)])
    assert "unmatched precision" not in [u.name for u in found.unfair]
    told = [u for u in unfair([loihi, run(case[1], chips.TPU_V1, x, labels=y)]) if u.name == "unmatched precision"]
    assert "matched_baseline(network, steps=16)" in told[0].text
    with pytest.raises(InputError, match="steps"):
        matched_baseline(net, steps=0, samples=net.samples)


def test_comparison_prints_energy_delay_writing_and_break_even(case, loihi, tpu):
    found = compare([loihi, tpu, run(case[1], chips.HBM_PIM, case[3], labels=case[4])])
    text = repr(found)
    assert [(even.spiking, even.other) for even in found.break_even] == [("LOIHI", "TPU v1")]
    even = break_even(loihi, tpu)
    told = f"LOIHI sends {even.rate:.3g} spikes a synapse; it costs as much as TPU v1 at {even.even:.3g}"
    assert f"Break-even: {told}." in text
    cheap = replace(even, other="cheap", even=None)
    assert _evens((even, cheap)) == [f"{told}; it costs more than cheap even without spikes"]
    other = replace(even, rate=2 * even.rate)
    assert len(_evens((even, other, cheap))) == 2
    assert "energy x delay" in text and si(loihi.energy_delay_product, "Js") in text
    assert "LOIHI, TPU v1, HBM-PIM: writing: written once for 1,000,000 inferences." in text
    assert json.loads(found.to_json())[0]["energy"][0]["boundary"] == loihi.energy.lines[0].cost.boundary


def test_each_finding_stands_on_the_page():
    page = (Path(__file__).parents[1] / "docs" / "fairness.md").read_text(encoding="utf-8")
    source = Path(fairness.__file__).read_text(encoding="utf-8")
    found = set(re.findall(r'Unfair\("([^"]+)"', source))
    assert len(found) >= 16
    assert found == set(re.findall(r'"([a-z0-9- ]+)"', page))


def test_memory_that_another_price_holds_is_not_left_out(case, tpu):
    held = {name: run(case[1], chips.ALL[name], case[3]) for name in ("KV260", "T4", "XEON_E5_2699V3")}
    told = {name: "weight fetches left out" in names([result]) for name, result in held.items()}
    assert told == {"KV260": False, "T4": False, "XEON_E5_2699V3": True}
    text = repr(compare([run(case[1], chips.TPU_V1, case[3]), held["KV260"]]))
    assert "Static energy is that of the powered chip (KV260: board) for each" in text


def test_pictures_refuse_an_unknown_energy(case, tpu):
    unknown = run(case[1], chips.HBM_PIM, case[3], labels=case[4])
    for draw in (plot.energy_treemap, plot.energy_parts, plot.pareto, plot.front):
        with pytest.raises(InputError, match="energy of HBM-PIM is unknown"):
            draw(unknown)
    assert plot.front([tpu])
