"""Wire resistance: circuit-simulator solutions, sparse LU on large and hard arrays, and the laws of circuits."""

import itertools
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroemu.crossbar import Solution, Wires, solve, transfer
from neuroemu.crossbar import wires as module
from neuroemu.errors import ArgumentTypeError, ConvergenceError, InputError, NeuroemuError
from neuroemu.kernels import wires_reference as reference

NO_WIRES = Wires(0.0, 0.0)


def truth(g, voltages, wires, driven=None):
    driven = np.ones(len(g), bool) if driven is None else driven
    circuit = module._circuit(g, wires, driven)
    return reference.solve(*circuit.arguments(), np.where(driven, voltages, 0.0))


# ---- truth from outside


def test_qucs_solutions(test_data):
    """24 arrays of badcrossbar's tests, solved by the Qucs circuit simulator."""
    data = np.load(test_data / "qucs_crossbar" / "qucs_visible.npz")
    names = sorted({key.split("/")[0] for key in data.files})
    assert len(names) == 24
    for name in names:
        case = {key: data[f"{name}/{key}"] for key in ("R", "V", "r_wl", "r_bl", "I_out", "I_dev", "V_wl", "V_bl")}
        wires, volts = Wires(float(case["r_wl"]), float(case["r_bl"])), case["V"].T
        g = 1 / case["R"]
        scale = max(abs(case["I_out"]).max(), 1e-12)
        solution = solve(g, volts, wires, full=True)
        for currents in (volts @ transfer(g, wires), solve(g, volts, wires), solution.currents):
            assert abs(currents - case["I_out"]).max() <= 1e-11 * scale, name
        np.testing.assert_allclose(solution.word_voltages[0], case["V_wl"], atol=1e-11 * abs(volts).max(), err_msg=name)
        np.testing.assert_allclose(solution.bit_voltages[0], case["V_bl"], atol=1e-11 * abs(volts).max(), err_msg=name)
        devices = g * (solution.word_voltages[0] - solution.bit_voltages[0])
        np.testing.assert_allclose(devices, case["I_dev"], atol=1e-11 * scale, err_msg=name)


def test_one_device_is_a_divider():
    for wires in (Wires(2.0, 3.0, 5.0, 7.0), Wires(0.0, 3.0, 5.0), Wires(2.0, 0.0, 0.0, 7.0), NO_WIRES):
        series = wires.word_line + wires.bit_line + wires.source + wires.sense
        assert transfer([[0.01]], wires)[0, 0] == pytest.approx(1 / (100 + series), rel=1e-15)
        if series:
            assert transfer([[np.inf]], wires)[0, 0] == pytest.approx(1 / series, rel=1e-15)
        both = replace(wires, drive="both", readout="both")
        assert transfer([[0.01]], both)[0, 0] == pytest.approx(1 / (100 + series / 2), rel=1e-15)


@pytest.mark.parametrize("shape", [(256, 256), (300, 45), (33, 512)])
def test_large_and_hard_arrays_against_sparse_lu(shape):
    """1 % shorts at 1 S and contrast 1e6; limit: 1e-11 of the largest current."""
    rng = np.random.default_rng(shape[0])
    g = np.where(rng.random(shape) < 0.01, 1.0, 10 ** rng.uniform(-9, -3, shape))
    g[rng.random(shape) < 0.01] = 0
    wires, volts = Wires(1.0, 2.0, 3.0, 4.0), rng.uniform(-1, 1, (1, shape[0]))
    expected = truth(g, volts, wires)[0]
    limit = 1e-11 * abs(expected).max()
    assert abs(volts @ transfer(g, wires) - expected).max() <= limit
    assert abs(solve(g, volts, wires) - expected).max() <= limit


CASES = list(itertools.product((0.0, 2.0), (0.0, 3.0), (0.0, 5.0), (0.0, 7.0), ("left", "both"), ("bottom", "both")))


@pytest.mark.parametrize("kind", ["plain", "shorts and opens", "open", "floating"])
def test_every_kind_of_end_and_of_missing_resistance(kind):
    rng = np.random.default_rng(len(kind))
    undefined = 0
    shapes = itertools.cycle([(1, 1), (1, 4), (6, 5), (4, 1), (9, 17), (3, 2), (2, 3)])
    for case, shape in zip(CASES * 2, shapes, strict=False):
        wires = Wires(*case)
        g = 10 ** rng.uniform(-6, -1, shape)
        if kind == "shorts and opens":
            g[rng.random(shape) < 0.1], g[rng.random(shape) < 0.2] = np.inf, 0
        g = g * 0 if kind == "open" else g
        driven = rng.random(shape[0]) < 0.6 if kind == "floating" else np.ones(shape[0], bool)
        volts = rng.uniform(-1, 1, (2, shape[0]))
        try:
            currents, words, bits, supply = truth(g, volts, wires, driven)
        except ValueError:
            undefined += 1
            for call in (lambda g=g, w=wires: transfer(g, w), lambda g=g, v=volts, w=wires: solve(g, v, w, full=True)):
                with pytest.raises(InputError, match="shorted devices join"):
                    call()
            continue
        solution = solve(g, volts, wires, full=True, driven=driven)
        limit = 1e-11 * max(abs(currents).max(), 1e-20)
        for got in (
            volts @ transfer(g, wires, driven=driven),
            solve(g, volts, wires, driven=driven),
            solution.currents,
        ):
            assert abs(got - currents).max() <= limit, (wires, shape)
        assert abs(solution.word_voltages - words).max() <= 1e-12, (wires, shape)
        assert abs(solution.bit_voltages - bits).max() <= 1e-12, (wires, shape)
        assert abs(solution.supply_currents - supply).max() <= 1e-10 * max(abs(supply).max(), 1e-6), (wires, shape)
    assert undefined == 0 or kind == "shorts and opens"


# ---- laws


resistances = st.sampled_from([0.0, 1e-3, 1.0, 4.0, 300.0])
some_wires = st.builds(
    Wires,
    *[resistances] * 4,
    drive=st.sampled_from(["left", "both"]),
    readout=st.sampled_from(["bottom", "both"]),
)


@st.composite
def arrays(draw, largest=20):
    shape = draw(st.integers(1, largest)), draw(st.integers(1, largest))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    g = 10 ** rng.uniform(-7, -2, shape)
    g[rng.random(shape) < draw(st.sampled_from([0, 0.2]))] = 0
    return g, rng


@settings(max_examples=60, deadline=None)
@given(arrays(), some_wires)
def test_transfer_is_passive_and_solve_superposes(array, wires):
    g, rng = array
    operator = transfer(g, wires)
    slack = 1 + 1e-12
    # All rows at 1 V: no bit line carries more than its devices would, nor a driver.
    assert (operator >= 0).all() and (operator.sum(0) <= slack * g.sum(0)).all()
    assert (operator.sum(1) <= slack * g.sum(1)).all()
    volts = rng.uniform(-1, 1, (3, len(g)))
    one_by_one = solve(g, volts, wires)
    many = solve(g, np.concatenate([volts] * 4), wires)
    limit = 1e-11 * max(abs(one_by_one).max(), 1e-20)
    assert abs(many[:3] - one_by_one).max() <= limit
    assert abs(solve(g, volts[0] - 2 * volts[1], wires) - (one_by_one[0] - 2 * one_by_one[1])).max() <= 10 * limit


@settings(max_examples=40, deadline=None)
@given(arrays(), some_wires)
def test_reciprocity(array, wires):
    """Driving the bit lines and sensing the word lines gives the transpose, with the array turned by half a turn."""
    g, _ = array
    drive = "both" if wires.readout == "both" else "left"
    readout = "both" if wires.drive == "both" else "bottom"
    turned = Wires(wires.bit_line, wires.word_line, wires.sense, wires.source, drive, readout)
    np.testing.assert_allclose(transfer(g[::-1, ::-1].T, turned), transfer(g, wires)[::-1, ::-1].T, rtol=1e-11)


@settings(max_examples=40, deadline=None)
@given(arrays(), some_wires, st.sampled_from(["word_line", "bit_line", "source", "sense"]))
def test_resistance_never_raises_the_total_current(array, wires, name):
    """Rayleigh's monotonicity law: all rows at one voltage, a two-pole."""
    g, _ = array
    more = replace(wires, **{name: getattr(wires, name) + 2.5})
    assert transfer(g, more).sum() <= transfer(g, wires).sum() * (1 + 1e-12)


def test_a_farther_device_loses_more():
    """One device in an empty array: T falls with each wire on the way, from the left and to the bottom."""
    wires = Wires(1.0, 2.0, 3.0, 4.0)
    for shape in ((1, 40), (40, 1), (12, 30)):
        for i, j in itertools.product(range(0, shape[0], 3), range(0, shape[1], 3)):
            g = np.zeros(shape)
            g[i, j] = 0.01
            series = 100 + 3 + 4 + (j + 1) * 1.0 + (shape[0] - i) * 2.0
            assert transfer(g, wires)[i, j] == pytest.approx(1 / series, rel=1e-13)


def test_small_resistance_tends_to_the_ideal_product():
    g = np.random.default_rng(0).uniform(1e-6, 1e-4, (30, 40))
    np.testing.assert_array_equal(transfer(g, NO_WIRES), g)
    errors = [abs(transfer(g, Wires(r, r)) - g).max() / g.max() for r in (1e-2, 1e-4, 1e-6, 1e-8)]
    np.testing.assert_allclose(errors[1:], np.divide(errors[:-1], 100), rtol=0.1)


@settings(max_examples=40, deadline=None)
@given(arrays(), some_wires, st.booleans())
def test_energy_and_charge_balance(array, wires, one):
    g, rng = array
    volts = rng.uniform(-1, 1, len(g)) if one else rng.uniform(-1, 1, (3, len(g)))
    s = solve(g, volts, wires, full=True)
    assert s.word_voltages.shape == (*volts.shape[:-1], *g.shape) and s.currents.shape == (
        *volts.shape[:-1],
        g.shape[1],
    )
    spent = s.power_devices + s.power_wires + s.power_ends
    np.testing.assert_allclose(s.power_supply, spent, rtol=1e-9, atol=1e-25)
    for part in (s.power_devices, s.power_wires, s.power_ends):
        assert np.all(part >= 0)
    flow = abs(s.supply_currents).sum(-1) + abs(s.currents).sum(-1)
    assert np.all(abs(s.supply_currents.sum(-1) - s.currents.sum(-1)) <= 1e-10 * flow + 1e-22)
    if wires.word_line and wires.bit_line:
        between = g * (s.word_voltages - s.bit_voltages)
        inward = np.diff(s.word_voltages, axis=-1) / wires.word_line  # into each node from the right
        inner = inward[..., 1:] - inward[..., :-1] - between[..., 1:-1]
        assert np.all(abs(inner) <= 1e-12 * max(1 / wires.word_line, g.max()))


def test_floating_lines_by_vector():
    """Bit-serial inputs: each vector has its own driven lines."""
    rng = np.random.default_rng(1)
    g, wires = rng.uniform(1e-5, 1e-4, (11, 13)), Wires(2.0, 3.0, 1.0)
    volts, driven = rng.uniform(0, 1, (6, 11)), rng.random((6, 11)) < 0.5
    full = solve(g, volts, wires, full=True, driven=driven)
    apart = [solve(g, v, wires, driven=d) for v, d in zip(volts, driven, strict=True)]
    np.testing.assert_allclose(solve(g, volts, wires, driven=driven), apart, rtol=1e-11)
    np.testing.assert_allclose(full.currents, apart, rtol=1e-10)
    assert (full.supply_currents[~driven] == 0).all()


# ---- the interface


def test_a_stack_of_tiles_and_threads_give_the_same_bits():
    rng = np.random.default_rng(2)
    tiles, wires = rng.uniform(0, 1e-4, (5, 24, 40)), Wires(1.0, 1.0, 2.0)
    stack = transfer(tiles, wires, threads=2)
    for tile, operator in zip(tiles, stack, strict=True):
        np.testing.assert_array_equal(transfer(tile, wires, threads=1), operator)
    for other in (wires, Wires(0.0, 1.0, 2.0)):
        assert transfer(tiles, other).shape == tiles.shape
        assert transfer(tiles[:0], other).shape == (0, 24, 40)


def test_no_vectors():
    g = np.full((3, 4), 1e-5)
    assert solve(g, np.zeros((0, 3)), Wires(1.0, 1.0)).shape == (0, 4)
    assert solve(g, np.zeros((0, 3)), Wires(1.0, 0.0), full=True).bit_voltages.shape == (0, 3, 4)
    assert {f.name for f in fields(Solution)} >= {"currents", "word_voltages", "bit_voltages", "power_devices"}


@pytest.mark.parametrize(
    "conductance, voltages, message",
    [
        ([[np.nan]], [1.0], "conductance has NaN or infinity"),
        ([[-np.inf]], [1.0], "conductance has NaN or infinity"),
        ([[1e-5, -1e-5]], [1.0], "-1e-05 S somewhere"),
        ([1e-5], [1.0], "give"),
        (np.zeros((0, 3)), [], "at least one row"),
        ([[1e-5]], [1.0, 2.0], "voltages have shape"),
        ([[1e-5]], [np.inf], "voltages has NaN or infinity"),
    ],
)
def test_wrong_arrays_are_refused(conductance, voltages, message):
    with pytest.raises(InputError, match=message):
        solve(conductance, voltages, Wires(1.0, 1.0))


@pytest.mark.parametrize("name", ["word_line", "bit_line", "source", "sense"])
@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf, 1e-12, "1"])
def test_wrong_resistances_are_refused(name, value):
    with pytest.raises((InputError, ArgumentTypeError), match=f"Wires: {name}"):
        Wires(**({"word_line": 1.0, "bit_line": 1.0} | {name: value}))


def test_other_wrong_arguments_are_refused():
    g, wires = np.full((3, 2), 1e-5), Wires(1.0, 1.0)
    for wrong in ({"drive": "right"}, {"readout": "top"}):
        with pytest.raises(InputError, match="choose from"):
            replace(wires, **wrong)
    with pytest.raises(ArgumentTypeError, match="wires must be a Wires"):
        transfer(g, 1.0)
    for mask in ([1, 0, 1], [True, False]):
        with pytest.raises(InputError, match="driven must be bool"):
            transfer(g, wires, driven=mask)
    with pytest.raises(InputError, match="driven must be bool"):
        solve(g, np.ones((2, 3)), wires, driven=np.ones((3, 3), bool))


def test_a_failed_iteration_is_told_and_currents_still_come(monkeypatch):
    monkeypatch.setattr(module, "MOST_ITERATIONS", 2)
    rng = np.random.default_rng(3)
    g, volts, wires = 10 ** rng.uniform(-1, 3, (20, 30)), np.ones((1, 20)), Wires(3.0, 3.0)
    with pytest.raises(ConvergenceError, match=r"the residual is .* after 2 iterations") as caught:
        solve(g, volts, wires, full=True)
    assert isinstance(caught.value, NeuroemuError)
    expected = truth(g, volts, wires)[0]
    assert abs(solve(g, volts, wires) - expected).max() <= 1e-12 * expected.max()
