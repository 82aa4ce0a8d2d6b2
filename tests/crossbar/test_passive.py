"""Passive arrays and IR drop: voltages of the schemes, the sneak path in closed form, margins, and maps of tiles."""

import numpy as np
import pytest

from neuroemu import datasets, plot, quantize
from neuroemu.chips import HERMES
from neuroemu.crossbar import Selector, Series, Sinh, Wires, ir_drop, program, read_margin, select, solve
from neuroemu.errors import InputError

SHORT = Wires(1e-3, 1e-3)  # as good as none
G = np.random.default_rng(0).uniform(1e-5, 1e-4, (5, 7))


@pytest.mark.parametrize(
    "scheme, word, bit",
    [("V/2", 0.5, 0.5), ("V/3", 1 / 3, 2 / 3), ("grounded", 0.0, 0.0)],
)
def test_without_resistance_cells_see_the_voltages_of_the_scheme(scheme, word, bit):
    found = select(G, (2, 3), SHORT, volts=0.3, scheme=scheme)
    words, bits = np.full(5, word), np.full(7, bit)
    words[2], bits[3] = 1.0, 0.0
    np.testing.assert_allclose(found.cell_voltages, 0.3 * (words[:, None] - bits), atol=1e-6)
    np.testing.assert_allclose(found.current, (G[:, 3] * words).sum() * 0.3, rtol=1e-5)
    np.testing.assert_allclose(found.power, (G * found.cell_voltages**2).sum(), rtol=1e-4)


@pytest.mark.parametrize("n", [2, 3, 8])
def test_floating_lines_leave_the_sneak_path_of_three_resistors(n):
    """n - 1 cells of the word line, (n - 1)^2 between the floating lines, n - 1 of the bit line, in series."""
    on, off = 1e-4, 1e-6
    g = np.full((n, n), on)
    g[0, n - 1] = off
    found = select(g, (0, n - 1), SHORT, volts=0.2, scheme="floating")
    sneak = 1 / (2 / ((n - 1) * on) + 1 / ((n - 1) ** 2 * on))
    assert found.current == pytest.approx(0.2 * (off + sneak), rel=1e-4)


def test_floating_lines_carry_no_current():
    found = select(G, (1, 4), Wires(2.0, 3.0, 10.0, 5.0), volts=0.2, scheme="floating")
    assert np.count_nonzero(found.word_currents) == np.count_nonzero(found.bit_currents) == 1
    assert found.word_currents[1] == pytest.approx(found.bit_currents[4], rel=1e-6)
    assert found.power == pytest.approx(0.2 * found.current, rel=1e-6)


def test_grounded_lines_are_the_plain_array():
    wires = Wires(2.0, 3.0, 10.0, 5.0)
    found = select(G, (2, 3), wires, volts=0.3, scheme="grounded")
    drive = np.where(np.arange(5) == 2, 0.3, 0.0)
    np.testing.assert_allclose(found.bit_currents, solve(G, drive, wires), rtol=1e-6, atol=1e-12)


def test_margins_shrink_with_size_and_selectors_bring_them_back():
    given = {"on": 1e-4, "off": 1e-6, "volts": 0.6}
    bare = read_margin((4, 16, 32), Wires(1.0, 1.0), scheme="floating", **given)
    assert bare.margin[0] > bare.margin[1] > bare.margin[2] and bare.margin[2] < 0.2
    steep = Series(Sinh(1e-3), Selector(threshold=0.35, on=1e3, off=1e8))
    chosen = read_margin((4, 32), Wires(1.0, 1.0), scheme="V/2", device=steep, **given)
    plain = read_margin((4, 32), Wires(1.0, 1.0), scheme="V/2", **given)
    assert (chosen.margin > plain.margin).all() and chosen.margin[1] > 0.8
    np.testing.assert_allclose(plain.disturb, 0.5, atol=0.05)
    np.testing.assert_allclose(read_margin((8,), SHORT, scheme="V/3", **given).disturb, 1 / 3, atol=1e-4)
    with pytest.raises(InputError, match="on > off"):
        read_margin((4,), SHORT, on=1e-6, off=1e-4, volts=0.2)


@pytest.mark.parametrize(
    "change, text",
    [
        ({"cell": (5, 0)}, "row"),
        ({"wires": Wires(0.0, 1.0)}, "0 ohm"),
        ({"volts": 0.0}, "volts is 0"),
        ({"scheme": "V/4"}, "scheme"),
        ({"conductance": np.full((5, 7), np.inf)}, "infinite"),
    ],
)
def test_bad_selections(change, text):
    given = {"conductance": G, "cell": (0, 0), "wires": SHORT, "volts": 0.2, **change}
    with pytest.raises(InputError, match=text):
        select(given.pop("conductance"), given.pop("cell"), given.pop("wires"), **given)


def test_the_drop_of_a_tile_is_that_of_its_circuit(tmp_path):
    wires = Wires(5.0, 5.0)
    drop = ir_drop(G, wires)
    solution = solve(G, np.ones(5), wires, full=True)
    np.testing.assert_allclose(drop.cells[0], solution.word_voltages - solution.bit_voltages)
    np.testing.assert_allclose(drop.columns[0], solution.currents / G.sum(axis=0))
    assert drop.cells[0, -1, 0] == drop.cells.max()  # next to the drivers and to the amplifiers
    half = ir_drop(G, wires, voltages=[0.2, 0.0, 0.2, 0.2, 0.2])
    assert np.isnan(half.cells[0, 1]).all() and np.isfinite(half.cells[0, 0]).all()
    network = datasets.mnist_network()
    made = program(quantize(network, samples=network.samples), HERMES)
    with pytest.raises(InputError, match="no wires"):
        ir_drop(made)
    pair = ir_drop(made, wires, layer="conv3", tile=0)
    assert pair.cells.shape[0] == 2 and 0 < np.nanmin(pair.cells) < np.nanmax(pair.cells) <= 1
    plot.save(plot.ir_drop(pair), tmp_path / "drop.png")
    with pytest.raises(InputError, match="no layer"):
        ir_drop(made, wires, layer="none")
    with pytest.raises(InputError, match="tile"):
        ir_drop(made, wires, tile=99)
