"""Every price that a user is shown has a source, and no report adds what does not add: kinds, scopes, boundaries."""

import pkgutil
import re
from dataclasses import replace
from importlib import import_module
from math import fsum, isnan

import pytest

from neuroemu import chips, components, datasets, quantize, run, to_sigma_delta, to_spiking
from neuroemu.energy import Cost, CostTable
from neuroemu.errors import PriceError

SPIKING = ("LOIHI", "PCM_NEURONS", "RERAM_NEURONS")
CITED = re.compile(  # a document, a page, a file, a year, or a law of nature
    r"doi:|arXiv:|\b(19|20)\d\d\b|'\d\d\b|\w\.(com|co|org|jp|cz|cn|br|py|yaml|xlsx|json)\b|\blaw\b|heating|datasheet"
)


def costs_of_modules():
    """Prices that the modules of chips and components hold, in tables, mappings or by name."""
    for room in (chips, components):
        for found in pkgutil.iter_modules(room.__path__):
            module = import_module(f"{room.__name__}.{found.name}")
            for value in vars(module).values():
                inside = value.costs if isinstance(value, CostTable) else getattr(value, "costs", value)
                inside = inside.costs if isinstance(inside, CostTable) else inside
                inside = inside.values() if isinstance(inside, dict) else inside
                for cost in inside if isinstance(inside, tuple | list) else (value,):
                    if isinstance(cost, Cost):
                        yield f"{found.name} {cost.event}", cost


@pytest.fixture(scope="module")
def networks():
    small = datasets.mnist_network()
    small = quantize(small, samples=small.samples)
    return {
        "TRUENORTH": datasets.mnist_truenorth_network(),
        "spiking": to_spiking(small, steps=4, samples=small.samples),
        "LOIHI2": to_sigma_delta(small),
        "quantized": small,
    }


@pytest.fixture(scope="module")
def results(networks):
    images = datasets.mnist_test(2)[0]
    kind = {name: "spiking" for name in SPIKING} | {name: name for name in ("TRUENORTH", "LOIHI2")}
    return {name: run(networks[kind.get(name, "quantized")], chip, images) for name, chip in chips.ALL.items()}


def test_every_price_of_the_package_says_where_it_is_from():
    found = dict(costs_of_modules())
    assert len(found) > 80
    for name, cost in found.items():
        assert len(cost.source) > 10 and CITED.search(cost.source), (name, cost.source)
        assert "from memory" not in f"{cost.source} {cost.note}", name


@pytest.mark.parametrize("name", chips.ALL)
def test_a_report_shows_the_source_of_each_of_its_prices(results, name):
    energy = results[name].energy
    shown = energy.table()
    for line in energy.lines:
        assert line.cost.source in shown and line.cost.evidence in shown
    for kind, reason in energy.free.items():
        assert reason.strip() and f"free: {kind}, {reason}" in shown


@pytest.mark.parametrize("name", chips.ALL)
def test_a_report_adds_one_scope_and_never_an_average_to_a_static_power(results, name):
    energy = results[name].energy
    static = [line for line in energy.lines if line.cost.unit == "W"]
    assert {line.cost.scope for line in static} <= {energy.boundary}
    averages = {line.cost.device for line in energy.lines if line.cost.kind == "average"}
    assert not averages & {line.cost.device for line in static}
    if isnan(energy.total):
        assert energy.unknown
        return
    held = energy.static_by_scope.get(energy.boundary, 0.0)
    assert energy.total == pytest.approx(energy.dynamic + held, rel=1e-12, abs=0)
    for parts in (energy.by_boundary(), energy.by_layer_and_boundary(), energy.by_evidence()):
        assert fsum(parts.values()) == pytest.approx(energy.total, rel=1e-12, abs=0)
    for parts in (energy.by_part(), energy.by_layer()):
        assert fsum(parts.values()) == pytest.approx(energy.dynamic, rel=1e-12, abs=0)


@pytest.mark.parametrize("name", chips.ALL)
def test_no_joule_is_counted_twice_in_a_layer(results, name):
    """A kind that another's price holds has no line of its own, and a measured whole stands beside no part of it."""
    energy, table = results[name].energy, chips.ALL[name].costs
    priced = {line.cost.event for line in energy.lines}
    assert not priced & (set(table.covered) | set(table.free))
    boundaries = {boundary for boundary, _ in energy.by_boundary()}
    assert not {"array", "converters"} & boundaries or "core, not split" not in boundaries


@pytest.mark.parametrize("name", [name for name, chip in chips.ALL.items() if any(
    cost.kind == "average" for cost in chip.costs.costs)])  # fmt: skip
def test_static_power_cannot_be_added_to_a_chip_of_averages(name):
    table = chips.ALL[name].costs
    average = next(cost for cost in table.costs if cost.kind == "average")
    idle = replace(average, event="idle", kind="static", scope="chip")
    with pytest.raises(PriceError, match="average"):
        replace(table, costs=(*table.costs, idle))


def test_static_power_of_used_cores_is_their_share_of_the_chip(networks):
    """As docs/static.md tells: a part-filled chip burns as much as a full one."""
    images = datasets.mnist_test(2)[0]
    for copies in (1, 10):
        result = run(networks["TRUENORTH"], replace(chips.TRUENORTH, copies=copies), images)
        found = result.energy.static_by_scope
        assert found["core"] == pytest.approx(found["chip"] * result.n_units / 4096, rel=1e-12)
