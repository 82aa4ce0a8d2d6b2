"""Nonlinear cells behind wires: closed forms, an independent root finder, and the laws of circuits."""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.optimize import brentq, root

from neuroemu.crossbar import (
    Conduction,
    IvTable,
    Ohmic,
    Resistor,
    Selector,
    Series,
    Sinh,
    Transistor,
    Wires,
    newton,
    solve,
)
from neuroemu.crossbar import wires as module
from neuroemu.errors import ArgumentTypeError, ConvergenceError, InputError
from neuroemu.kernels import wires_reference

WIRES = Wires(2.0, 3.0, 5.0, 7.0)
STAIR = ([-1.0, -0.5, -0.45, 0.0, 0.45, 0.5, 1.0], [-1e-2, -9.9e-3, -1e-4, 0.0, 1e-4, 9.9e-3, 1e-2])
DEVICES = {
    "stair": IvTable(*STAIR, g_reference=1e-4),  # full steps of Newton's method never end here
    "sinh": Sinh(3.0),
    "steep sinh": Sinh(20.0),
    "table": IvTable([-1.0, -0.5, 0.0, 0.5, 1.0], [-5e-5, -1e-5, 0.0, 2e-5, 1e-4], g_reference=1e-5),
    "switch": Series(Sinh(3.0), Resistor(5e3)),
    "transistor": Series(Ohmic(), Transistor(beta=1e-4, v_over=0.5)),
    "selector": Series(Ohmic(), Selector(threshold=0.3, on=1e3, off=1e8)),
    "sinh and selector": Series(Sinh(5.0), Selector(threshold=0.3, on=1e3, off=1e8)),
}


@pytest.mark.parametrize("name", DEVICES)
def test_one_cell_against_a_root_of_one_equation(name):
    device, series = DEVICES[name], 17.0
    for g, volts in ((1e-5, 0.7), (1e-3, -0.9), (1e-2, 0.05)):

        def excess(u, g=g, volts=volts):
            return device.branch(np.array([[g]]), np.array([[[u]]]))[0].item() - (volts - u) / series

        expected = (volts - brentq(excess, min(volts, 0), max(volts, 0), xtol=1e-16, rtol=1e-14)) / series
        assert solve([[g]], [volts], WIRES, device=device)[0] == pytest.approx(expected, rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("name", DEVICES)
def test_a_small_array_against_a_general_root_finder(name):
    """SciPy's hybrid method on Kirchhoff's equations of all nodes; it knows nothing of lines and tangents."""
    device, rng = DEVICES[name], np.random.default_rng(0)
    wires = Wires(200.0, 300.0, 50.0, 70.0)
    g, volts = rng.uniform(1e-5, 2e-4, (3, 4)), np.array([0.6, -0.3, 0.8])
    circuit = module._circuit(np.zeros((3, 4)), wires, np.ones(3, bool))
    a, b, c = wires_reference.edges(*circuit.arguments())

    def leaving(v):
        every = np.concatenate([v, volts, np.zeros(4)])
        out = np.zeros(len(every))
        flow = c * (every[a] - every[b])
        np.add.at(out, a, flow)
        np.subtract.at(out, b, flow)
        cells = device.branch(g, (v[:12] - v[12:]).reshape(1, 3, 4))[0].ravel()
        return 1e3 * (out[:24] + np.concatenate([cells, -cells]))

    found = root(leaving, np.concatenate([np.repeat(volts, 4), np.zeros(12)]), tol=1e-13)
    assert abs(found.fun).max() < 1e-9
    expected = found.x[12:].reshape(3, 4)[-1] / 370.0
    np.testing.assert_allclose(solve(g, volts, wires, device=device), expected, rtol=1e-7, atol=1e-11)


@pytest.mark.parametrize("name", DEVICES)
def test_kirchhoff_and_power_of_an_array(name):
    device, rng = DEVICES[name], np.random.default_rng(1)
    g, volts = rng.uniform(1e-6, 1e-4, (21, 30)), rng.uniform(-0.7, 1, (2, 21))
    s = solve(g, volts, WIRES, full=True, device=device)
    cells = device.branch(g, s.word_voltages - s.bit_voltages)[0]
    bits = np.pad(s.bit_voltages, ((0, 0), (0, 1), (0, 0))) / 3.0
    bits[:, -1] = bits[:, -2] - s.bit_voltages[:, -1] / 10.0  # below the last node: wire and sense amplifier
    down = -np.diff(bits, axis=1)
    out = cells - down
    out[:, 1:] += down[:, :-1]
    assert abs(out).max() <= 1e-10 * abs(s.currents).max()
    np.testing.assert_allclose(s.currents, s.bit_voltages[:, -1] / 10.0, rtol=1e-9)
    np.testing.assert_allclose(s.supply_currents.sum(1), s.currents.sum(1), rtol=1e-9)
    np.testing.assert_allclose(s.power_supply, s.power_devices + s.power_wires + s.power_ends, rtol=1e-9)
    np.testing.assert_array_equal(solve(g, volts[1], WIRES, device=device), s.currents[1])


def test_linear_cells_give_the_linear_solution():
    rng = np.random.default_rng(2)
    g, volts = rng.uniform(1e-6, 1e-4, (30, 20)), rng.uniform(-1, 1, (3, 30))
    g[rng.random(g.shape) < 0.1] = 0
    linear = solve(g, volts, WIRES)
    np.testing.assert_allclose(solve(g, volts, WIRES, device=Ohmic()), linear, rtol=1e-9)
    small = solve(g, volts * 1e-4, WIRES, device=Sinh(3.0))
    assert abs(small - 1e-4 * linear).max() <= 1e-7 * abs(small).max()
    with np.errstate(divide="ignore"):
        behind = 1 / (1 / g + 5e3)
    with_switch = solve(g, volts, WIRES, device=Series(Ohmic(), Resistor(5e3)))
    np.testing.assert_allclose(with_switch, solve(behind, volts, WIRES), rtol=1e-9)
    line = IvTable([-1.0, 2.0], [-2e-5, 4e-5], g_reference=2e-5)
    np.testing.assert_allclose(solve(g, volts, WIRES, device=line), linear, rtol=1e-9)


def test_floating_lines_and_ideal_wires():
    rng = np.random.default_rng(3)
    g, volts = rng.uniform(1e-6, 1e-4, (9, 7)), rng.uniform(0, 1, (4, 9))
    device, driven = Sinh(3.0), rng.random((4, 9)) < 0.6
    ideal = solve(g, volts, Wires(0.0, 0.0), device=device)
    np.testing.assert_allclose(ideal, (g * np.sinh(3 * volts[:, :, None]) / 3).sum(1), rtol=1e-12)
    np.testing.assert_allclose(solve(g, volts, Wires(1e-6, 1e-6), device=device), ideal, rtol=1e-6)
    s = solve(g, volts, WIRES, full=True, device=device, driven=driven)
    cells = device.branch(g, s.word_voltages - s.bit_voltages)[0]
    assert abs(cells.sum(2)[~driven]).max() <= 1e-10 * abs(s.currents).max()  # a floating line takes no current
    assert (s.supply_currents[~driven] == 0).all()


def test_series_parts_share_their_current():
    g, u = np.array([[1e-6, 1e-4, 1e-2, 0.0]]), np.linspace(-1.2, 1.2, 25)[:, None, None]
    for first, second in ((Sinh(4.0), Transistor(1e-4, 0.4)), (Ohmic(), Selector(0.3, 1e3, 1e9))):
        current, slope = Series(first, second).branch(g, np.broadcast_to(u, (25, 1, 4)))
        step = 1e-6
        above, below = (Series(first, second).branch(g, np.broadcast_to(u + d, (25, 1, 4)))[0] for d in (step, -step))
        smooth = abs(abs(u) - 0.3)[..., 0] > 0.02 if isinstance(second, Selector) else np.ones((25, 1), bool)
        inner = (above - below) / (2 * step)
        np.testing.assert_allclose(slope[smooth[:, 0]], inner[smooth[:, 0]], rtol=1e-3, atol=1e-9)
        assert (current[..., 3] == 0).all() and (np.diff(current, axis=0) >= 0).all()
        np.testing.assert_allclose(current, -current[::-1], atol=1e-18)
        if isinstance(second, Transistor):
            assert current.max() <= 1e-4 * 0.4**2 / 2 * (1 + 1e-12)


def test_a_cell_of_ones_own():
    @dataclass(frozen=True)
    class Cubic(Conduction):
        def branch(self, g, u):
            return g * (u + u**3), g * (1 + 3 * u**2)

    current = solve([[1e-3]], [0.5], WIRES, device=Cubic())[0]
    u = 0.5 - 17 * current
    assert current == pytest.approx(1e-3 * (u + u**3), rel=1e-10)


def test_wrong_devices_are_refused(monkeypatch):
    g, volts = np.full((2, 3), 1e-4), np.ones((1, 2))
    with pytest.raises(ArgumentTypeError, match="device must be a Conduction"):
        solve(g, volts, WIRES, device="sinh")
    with pytest.raises(InputError, match="give finite conductances"):
        solve(g * np.inf, volts, WIRES, device=Sinh(1.0))
    with pytest.raises(InputError, match="neither word_line nor bit_line"):
        solve(g, volts, Wires(0.0, 1.0), device=Sinh(1.0))
    with pytest.raises(InputError, match="no finite current at 1 V"):
        solve(g, volts, WIRES, device=Sinh(1000.0))
    monkeypatch.setattr(newton, "MOST_STEPS", 2)
    with pytest.raises(ConvergenceError, match="after 2 Newton steps"):
        solve(g, volts, WIRES, device=Sinh(10.0))


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Sinh(0.0), "k is 0"),
        (lambda: Sinh(-1.0), "k is -1"),
        (lambda: Resistor(0.0), "ohm is 0"),
        (lambda: Transistor(1e-4, 0.0), "v_over is 0"),
        (lambda: Selector(0.3, 1e3, -1.0), "off is -1"),
        (lambda: IvTable([0, 1], [0, 0], 1e-5), "currents must be at least two rising"),
        (lambda: IvTable([0, 1, 2], [0, 1], 1e-5), "give pairs"),
        (lambda: IvTable([1, 2], [1, 2], 1e-5), "pass through 0 V"),
        (lambda: IvTable([-1, 1], [-1, 2], 1e-5), "pass through 0 V"),
        (lambda: IvTable([-1, 1], [-1, 1], 0.0), "g_reference is 0"),
    ],
)
def test_wrong_parameters_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_series_takes_conductions():
    with pytest.raises(ArgumentTypeError, match="second must be a Conduction"):
        Series(Ohmic(), 5e3)
