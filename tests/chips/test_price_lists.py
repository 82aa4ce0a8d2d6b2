"""Price lists without a preset, and what is said of machines that have none."""

import runpy
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from neuroemu import chips, datasets, quantize, run, to_spiking
from neuroemu.energy import Counts, price
from neuroemu.errors import InputError

approx = partial(pytest.approx, rel=1e-9, abs=0)  # joules lie far below the default absolute tolerance

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("clock, rate, watts", [(75e6, 37.5e6, 477e-6), (1.3e6, 0.65e6, 35e-6)])
def test_odin_draws_its_two_published_powers(clock, rate, watts):
    counts = Counts({("core", "synaptic_op"): round(rate)})
    energy = price(counts, chips.odin_costs(clock), seconds=1, inferences=1, units={"chip": 1})
    assert energy.total == approx(watts, rel=0.01)


def test_its_average_is_the_published_one():
    """12.7 pJ an operation at 75 MHz, all power in."""
    counts = Counts({("core", "synaptic_op"): 37_500_000})
    energy = price(counts, chips.ODIN_COSTS, seconds=1, inferences=1, units={"chip": 1})
    assert energy.total / 37.5e6 == approx(12.7e-12, rel=5e-3)
    with pytest.raises(InputError, match="clock_hz"):
        chips.odin_costs(100e6)


@pytest.mark.parametrize("table", [chips.ODIN_COSTS, chips.SPINNAKER2_COSTS], ids=["ODIN", "SpiNNaker 2"])
def test_they_price_the_counts_of_spiking_cores(table):
    net = datasets.mnist_network()
    spiking = to_spiking(quantize(net, samples=net.samples), steps=4, samples=net.samples)
    result = run(spiking, replace(chips.LOIHI, costs=table), datasets.mnist_test(1)[0])
    operations = result.counts.total("synaptic_op")
    updates = sum(result.counts.total(f"neuron_update_{kind}") for kind in ("active", "inactive"))
    by_hand = 8.43e-12 * operations if table is chips.ODIN_COSTS else 450e-12 * operations + 2.19e-9 * updates
    assert result.energy.dynamic == approx(by_hand)


@pytest.mark.parametrize("name", ["ODIN", "SPINNAKER2", "spinnaker2", "FINN"])
def test_a_machine_without_a_preset_says_why(name):
    with pytest.raises(AttributeError, match=r"no preset .*(emulated|use chips)"):
        getattr(chips, name)
    with pytest.raises(AttributeError, match="choose from HERMES"):
        getattr(chips, name + "_OF_NOBODY")


def test_page_of_machines_is_current():
    page = runpy.run_path(str(DOCS / "make_machines.py"))["text"]()
    assert page == (DOCS / "machines.md").read_text(encoding="utf-8"), "run python docs/make_machines.py"
    for name in (*chips.ALL, *chips.ABSENT):
        assert f"| `{name}` |" in page or f"- {name}: " in page
    assert "`LOIHI2` runs, its energy is unknown" in page


def test_sana_fes_own_total_for_loihi():
    """64 neurons that fire in each of 10 steps and drive 64 others, all to all, a hop away: 1,665.344 nJ by SANA-FE."""
    events = {"neuron_update_active": 1280, "neuron_spike": 640, "synaptic_op": 40960}
    events |= {"spike_within_tile": 640, "hop_north_south": 640}
    counts = Counts({("net", event): n for event, n in events.items()})
    energy = price(counts, chips.LOIHI_SANA_FE_COSTS, seconds=0, inferences=1, units={"chip": 1})
    assert energy.total == approx(1665.344e-9)


def test_both_price_lists_of_loihi_charge_one_run():
    net = datasets.mnist_network()
    spiking = to_spiking(quantize(net, samples=net.samples), steps=8, samples=net.samples)
    x = datasets.mnist_test(2)[0]
    maker, fitted = (
        run(spiking, replace(chips.LOIHI, costs=table), x) for table in (chips.LOIHI.costs, chips.LOIHI_SANA_FE_COSTS)
    )
    assert maker.counts == fitted.counts and fitted.energy.static == approx(maker.energy.static)
    assert 1 < fitted.energy.dynamic / maker.energy.dynamic < 3
    fired = sum(maker.traces["spikes per image"][name] for name in ("conv1", "conv2", "conv3")) * 2
    assert sum(n for (layer, kind), n in maker.counts.items() if kind == "neuron_spike" and "conv" in layer) == fired
