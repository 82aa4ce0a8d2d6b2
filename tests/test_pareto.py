"""The front of results, against its definition, and its picture."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neuroemu as ne
from neuroemu.errors import InputError


class Point:
    """Enough of a Result for `front`."""

    def __init__(self, energy, accuracy):
        self.energy_per_inference, self.accuracy = energy, accuracy


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 6), st.integers(0, 6)), min_size=1, max_size=12))
def test_the_front_is_what_nothing_beats(pairs):
    from neuroemu.plot import results

    points = [Point(*pair) for pair in pairs]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "priced_results", lambda points, who: tuple(points))
        found = [(p.energy_per_inference, p.accuracy) for p in results.front(points)]

    def beaten(e, a):
        return any(x <= e and b >= a and (x, b) != (e, a) for x, b in pairs)

    assert found == sorted({pair for pair in pairs if not beaten(*pair)})


@pytest.fixture(scope="module")
def results():
    net, (x, y) = ne.datasets.mnist_network(), ne.datasets.mnist_test(20)
    forms = [ne.quantize(net, samples=net.samples[:16], weight_bits=b).replace(name=f"{b} bits") for b in (2, 8)]
    return [ne.run(q, chip, x, labels=y) for q in forms for chip in (ne.chips.ISAAC, ne.chips.TPU_V1)]


def test_a_panel_for_each_chip(results):
    figure = ne.plot.pareto(results)
    assert [axes.get_title() for axes in figure.axes] == ["ISAAC", "TPU v1"]
    for axes in figure.axes:
        mine = [r for r in results if r.chip_name == axes.get_title()]
        np.testing.assert_allclose(axes.lines[0].get_xdata(), [r.energy_per_inference for r in mine])
        names = [f"{n}: {r.network_name}" for n, r in enumerate(ne.plot.front(mine), 1)]
        assert axes.texts[-1].get_text() == "\n".join(names)
        assert axes.get_xlim()[0] == 0


def test_results_without_accuracy_are_refused(results):
    x, _ = ne.datasets.mnist_test(2)
    net = ne.datasets.mnist_network()
    blind = ne.run(ne.quantize(net, samples=net.samples[:4]), ne.chips.TPU_V1, x)
    with pytest.raises(InputError, match="run with labels="):
        ne.plot.pareto([*results, blind])
