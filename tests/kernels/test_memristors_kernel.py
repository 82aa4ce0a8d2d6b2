"""The memristors kernel against its NumPy twin, its two builds against each other, and against itself cut in pieces."""

import dataclasses
import importlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroemu import kernels
from neuroemu.devices import dynamics
from neuroemu.kernels import memristors_reference as reference

BUILDS = kernels.builds("memristors")
MODULES = [importlib.import_module(f"neuroemu.kernels._memristors_{build}") for build in BUILDS]

# Each model with a time in which its state moves by a few per cent at about 1 V.
MODELS = {
    "free": (dynamics.ION_DRIFT_HP, 1e-2),
    "joglekar": (dynamics.ION_DRIFT_JOGLEKAR, 1e-3),
    "biolek": (dynamics.ION_DRIFT_BIOLEK, 1e-3),
    "prodromakis": (dataclasses.replace(dynamics.ION_DRIFT_HP, window=dynamics.Prodromakis(2.5, 1.2)), 1e-2),
    "thresholds": (dataclasses.replace(dynamics.ION_DRIFT_BIOLEK, v_positive=0.55, v_negative=-0.5), 1e-3),
    "vteam": (dynamics.VTEAM, 1e-12),
    "yakopcic_a": (dynamics.YAKOPCIC_A, 1e-5),
    "yakopcic_b": (dataclasses.replace(dynamics.YAKOPCIC_B, eta=-1), 1e-5),
    "stanford": (dynamics.STANFORD_PKU, 1e-9),
    "data_2017": (dynamics.DATA_DRIVEN_2017, 1e-6),
    "data_2021": (dynamics.DATA_DRIVEN_2021, 1e-7),
    "knowm": (dynamics.KNOWM_MMS, 1e-5),
    "umich": (dynamics.UMICH, 0.1),
    "volatile": (dynamics.UMICH_VOLATILE, 0.1),
}
# Scaled, these would leave the state's range without the initial state, or are whole numbers.
FIXED = {"r_on", "r_off", "i_0", "g_0", "v_0", "initial", "eta", "x_on", "x_off"}


def varied(model, rng):
    """The model with its other parameters scaled by 0.8 to 1.25 each."""
    changes = {}
    for field in dataclasses.fields(model):
        value = getattr(model, field.name)
        if field.name not in FIXED and isinstance(value, float) and np.isfinite(value):
            changes[field.name] = value * rng.uniform(0.8, 1.25)
    return dataclasses.replace(model, **changes)


def inputs(model, rng, n, steps, largest=1.5):
    """States with many at and near the bounds; voltages with exact zeros."""
    low, high = model.state_range
    share = rng.random(n)
    near = rng.random(n) < 0.3
    share[near] = rng.choice([0.0, 1.0, 1e-12, 1 - 1e-12, 1e-6], near.sum())
    state = np.clip(low + (high - low) * share, low, high)
    voltage = rng.uniform(-largest, largest, (steps, n))
    voltage[rng.random((steps, n)) < 0.1] = 0.0
    return state, voltage


def run(module, model, state, voltage, dt, **more):
    number, parameters = model._kernel()
    states = np.full((len(voltage), state.size), np.nan)
    currents = np.full((len(voltage), state.size), np.nan)
    failed = module.step(number, np.array(parameters), state, voltage, dt, states, currents, **more)
    assert not failed
    return states, currents


def close(model, first, second):
    """1e-12 of the state's range, 1e-12 of a current and of the largest current for those that cancel."""
    low, high = model.state_range
    np.testing.assert_allclose(first[0], second[0], rtol=0, atol=1e-12 * (high - low))
    np.testing.assert_allclose(first[1], second[1], rtol=1e-12, atol=1e-13 * np.abs(second[1]).max())


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=12, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32), n=st.integers(1, 60), steps=st.integers(1, 4), scale=st.floats(-2, 1.5))
def test_kernel_is_its_twin(name, seed, n, steps, scale):
    rng = np.random.default_rng(seed)
    model, dt = MODELS[name]
    model = varied(model, rng)
    state, voltage = inputs(model, rng, n, steps)
    expected = run(reference, model, state, voltage, dt * 10**scale)
    for module in MODULES:
        close(model, run(module, model, state, voltage, dt * 10**scale), expected)


@pytest.mark.parametrize("name", MODELS)
def test_builds_threads_and_pieces_have_the_same_bits(name):
    model, dt = MODELS[name]
    state, voltage = inputs(model, np.random.default_rng(1), 1003, 21)
    whole = run(MODULES[0], model, state, voltage, dt, threads=1)
    for module in MODULES:
        np.testing.assert_array_equal(run(module, model, state, voltage, dt, threads=1), whole)
        np.testing.assert_array_equal(run(module, model, state, voltage, dt, threads=4), whole)
        first = run(module, model, state, voltage[:9], dt)
        second = run(module, model, first[0][-1], voltage[9:], dt)
        np.testing.assert_array_equal(np.concatenate([first, second], axis=1), whole)
        alone = slice(501, 502)  # no device feels its neighbours in the vector
        one = run(module, model, state[alone], np.ascontiguousarray(voltage[:, alone]), dt)
        np.testing.assert_array_equal(one, np.array(whole)[:, :, alone])


@pytest.mark.parametrize("name", MODELS)
def test_each_device_may_have_a_step_of_its_own(name):
    model, dt = MODELS[name]
    rng = np.random.default_rng(4)
    state, voltage = inputs(model, rng, 37, 3)
    durations = dt * 10 ** rng.uniform(-2, 1, 37)
    durations[5] = 0.0
    own = [run(module, model, state, voltage, 1e9, durations=durations) for module in MODULES]
    close(model, own[0], run(reference, model, state, voltage, 1e9, durations=durations))
    for other in own[1:]:
        np.testing.assert_array_equal(other, own[0])
    np.testing.assert_array_equal(own[0][0][:, 5], state[5])
    for device in (0, 5, 36):
        alone = (state[[device]], np.ascontiguousarray(voltage[:, [device]]), float(durations[device]))
        close(model, run(MODULES[0], model, *alone), (own[0][0][:, [device]], own[0][1][:, [device]]))
    with pytest.raises(ValueError, match="durations"):
        run(MODULES[0], model, state, voltage, dt, durations=durations[:-1])


@pytest.mark.parametrize("module", MODULES, ids=BUILDS)
def test_elementary_functions(module):
    """exp, expm1, sinh, log and powers of the kernel, through models that are nothing else, within 1e-14."""
    voltage = np.concatenate([np.geomspace(1e-18, 690, 3000), -np.geomspace(1e-18, 690, 3000)])[np.newaxis]
    ones, out = np.ones(voltage.size), np.empty(voltage.shape)
    umich = np.array([0, 1, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0])
    module.current(reference.Model.UMICH, umich, ones, voltage, out)  # sinh(V) alone
    np.testing.assert_allclose(out, np.sinh(voltage), rtol=1e-14)
    module.current(reference.Model.UMICH, umich, 0 * ones, voltage, out)  # 1 - exp(-V) alone
    np.testing.assert_allclose(out, -np.expm1(-voltage), rtol=1e-14)
    stanford = np.array([-700, 700, 1.0, 1.0, 1.0])
    state = np.linspace(-700, 700, voltage.size)
    module.current(reference.Model.STANFORD_PKU, stanford, state, np.array([[1.0]]), out)
    np.testing.assert_allclose(out[0], np.sinh(1.0) * np.exp(-state), rtol=1e-14)
    for power in (0.5, 1.0, 2.0, 3.0, 5.7, 63.0):
        vteam = np.array([0, 1e300, 1, 2, -1.0, 1.0, -1.0, 1.0, 1.0, power])
        base = np.geomspace(1e-4, 1e4, voltage.size)
        module.step(reference.Model.VTEAM, vteam, 0 * ones, base[np.newaxis] + 1, 1.0, out)
        np.testing.assert_allclose(out[0], ((base + 1) - 1) ** power, rtol=3e-14)


@pytest.mark.parametrize("module", [reference, *MODULES])
def test_a_device_that_does_not_finish_is_reported(module, monkeypatch):
    monkeypatch.setattr(reference, "MAX_SUBSTEPS", 100)
    number, parameters = dynamics.ION_DRIFT_JOGLEKAR._kernel()
    voltage = np.array([[1.0, 1.0, 1e305, 1.0, 1.0]])  # an infinite rate: no substep is small enough
    with np.errstate(all="ignore"):
        assert module.step(number, np.array(parameters), np.full(5, 0.5), voltage, 1e-3, np.empty((1, 5))) > 0


@pytest.mark.parametrize("module", MODULES, ids=BUILDS)
def test_wrong_shapes_do_not_reach_memory(module):
    parameters, state = np.array(dynamics.UMICH._kernel()[1]), np.zeros(5)
    for model, voltage, states in (
        (10, (2, 4), (2, 5)),
        (10, (2, 5), (1, 5)),
        (10, (2, 5), (2, 4)),
        (11, (2, 5), (2, 5)),
    ):
        with pytest.raises(ValueError, match="memristors kernel"):
            module.step(model, parameters, state, np.zeros(voltage), 1.0, np.zeros(states))
    with pytest.raises(ValueError, match="memristors kernel"):
        module.current(10, parameters, state, np.zeros((1, 5)), np.zeros((1, 4)))
    module.step(10, parameters, np.zeros(0), np.zeros((3, 0)), 1.0, np.zeros((3, 0)))
