"""Neurons at the columns: the integer kernel's specification, closed forms of capacitors and comparators."""

from dataclasses import replace
from math import exp, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from neuroemu.crossbar import AnalogNeurons, DigitalNeurons, IdealAdc
from neuroemu.crossbar.membranes import Membrane
from neuroemu.crossbar.neurons import Fed
from neuroemu.errors import ArgumentTypeError, InputError
from neuroemu.kernels import events_reference
from neuroemu.network import layers as L

STEPS, INPUTS, NEURONS, IMAGES = 9, 5, 4, 2


def by_specification(lif: L.Lif, codes, spikes, bits=23):
    """Spikes (B, T, N) and last potentials of the integer kernel's NumPy twin."""
    images, steps, inputs = spikes.shape
    n = codes.shape[1]
    out, counts = np.zeros((images, steps, n), np.uint8), np.zeros((images, 8), np.int64)
    v = np.full((images, n), lif.initial_voltage, np.int32)
    events_reference.run_layer(
        spikes, indptr=np.arange(inputs + 1, dtype=np.int32), target=np.zeros(inputs, np.int32),
        row=np.arange(inputs, dtype=np.int32), weights=codes.astype(np.int16), shift=lif.weight_shift,
        du=np.full(n, lif.current_decay + 1), dv=np.full(n, lif.voltage_decay),
        threshold=np.full(n, 2**30 if lif.threshold is None else lif.threshold),
        bias=np.broadcast_to(lif.bias, (1, n)), refractory=np.full(n, lif.refractory),
        subtract_reset=lif.reset == "subtract", q_bits=29, u_bits=29, v_limit=2**bits - 1, v=v, spikes_out=out,
        counts=counts,
    )  # fmt: skip
    return out.astype(bool), v, counts


def fired(neurons, lif, sums, first=0, **fed):
    """Spikes (B, T, N), or potentials, of sums (B, T, N); and saturations."""
    out, saturated = neurons.fire(lif, sums[:, :, None].astype(float), first, Fed(**fed))
    return out[:, :, 0], saturated


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    threshold=st.one_of(st.none(), st.integers(1, 40_000)),
    shift=st.integers(0, 8),
    decays=st.tuples(st.integers(0, 4095), st.integers(0, 4096)),
    refractory=st.integers(1, 4),
    reset=st.sampled_from(L.RESETS),
    bits=st.sampled_from([13, 24]),
)
def test_digital_neurons_are_the_integer_kernel(seed, threshold, shift, decays, refractory, reset, bits):
    rng = np.random.default_rng(seed)
    codes = rng.integers(-127, 128, (INPUTS, NEURONS))
    spikes = (rng.random((IMAGES, STEPS, INPUTS)) < 0.5).astype(np.uint8)
    lif = L.Lif(
        name="n", threshold=threshold, bias=rng.integers(-300, 300, NEURONS), weight_shift=shift,
        current_decay=decays[0], voltage_decay=decays[1], refractory=refractory, reset=reset,
        initial_voltage=int(rng.integers(-2000, 2000)),
    )  # fmt: skip
    wanted, potentials, counts = by_specification(lif, codes, spikes, bits=bits - 1)
    found, saturated = fired(DigitalNeurons(bits=bits), lif, spikes.astype(int) @ codes)
    assert saturated.sum() == counts[:, 7].sum()
    if threshold is None:
        np.testing.assert_array_equal(found[:, 0], potentials)
    else:
        np.testing.assert_array_equal(found, wanted)


def test_ideal_capacitors_count_as_integers_do():
    rng = np.random.default_rng(3)
    sums = rng.integers(-200, 260, (3, 40, 6))
    for reset in L.RESETS:
        lif = L.Lif(name="n", threshold=40_000, bias=rng.integers(-90, 90, 6), initial_voltage=20_000, reset=reset)
        exact, _ = fired(DigitalNeurons(), lif, sums)
        analog, _ = fired(AnalogNeurons().ideal(), lif, sums, volts=0.5 / 40_000)
        np.testing.assert_array_equal(exact, analog)
        assert 0 < exact.mean() < 1


def test_a_leaking_capacitor_follows_its_closed_form():
    """V_n = dV (1 - d^n) / (1 - d) with d = exp(-dt / tau), read out after n steps."""
    drive, tau, dt, steps = 7.0, 3e-6, 1e-6, 12
    lif = L.Lif(name="n", threshold=None, weight_shift=0)
    neurons = AnalogNeurons(leak_seconds=tau, rails=(-1e6, 1e6), readout_bits=None)
    found, _ = fired(neurons, lif, np.full((1, steps, 1), drive), step_seconds=dt)
    d = exp(-dt / tau)
    assert found.item() == pytest.approx(drive * (1 - d**steps) / (1 - d), rel=1e-12)


@pytest.mark.parametrize("tau", [None, 4e-8, 1e-6])
def test_a_pulse_charges_for_its_time_and_leaks_meanwhile(tau):
    """Charge over current is tau (1 - exp(-t / tau)): Euler's method in small steps agrees."""

    class Chip:
        read_seconds = 1e-7

    wanted, v, h = 1e-7, 0.0, 1e-7 / 20_000
    if tau is not None:
        for _ in range(20_000):
            v += h * (1.0 - v / tau)
        wanted = v
    assert AnalogNeurons(leak_seconds=tau).integrated_seconds(Chip) == pytest.approx(wanted, rel=1e-3)


def test_first_spike_of_a_leaking_neuron():
    """A constant drive I passes the threshold in step ceil(log(1 - V_th (1 - d) / I) / log d)."""
    d, drive, threshold = exp(-0.05), 10.0, 115.5
    spikes, *_ = Membrane(threshold=threshold, keep=lambda v: v * d).run(np.full((1, 60, 1, 1), drive))
    first = np.argmax(spikes[0, :, 0, 0]) + 1
    assert first == np.ceil(log(1 - threshold * (1 - d) / drive) / log(d))


@given(drive=st.integers(1, 99), steps=st.integers(1, 200))
@settings(max_examples=40, deadline=None)
def test_charge_is_conserved_where_spikes_subtract(drive, steps):
    lif = L.Lif(name="n", threshold=100, weight_shift=0, reset="subtract")
    spikes, _ = fired(AnalogNeurons().ideal(), lif, np.full((1, steps, 1), drive), volts=1e-3)
    assert spikes.sum() == (drive * steps - 1) // 100  # the comparison is strict


def test_a_comparator_with_noise_decides_as_the_normal_distribution_says():
    volts, noise = 1e-3, 0.02
    neurons, lif = AnalogNeurons(noise=noise), L.Lif(name="n", threshold=100, weight_shift=0)
    for level in (60, 90, 100, 130):
        spikes, _ = fired(neurons, lif, np.full((1, 1, 20_000), level), volts=volts, seed=1, stream=5)
        share = norm.cdf((level - 100) * volts / noise)
        assert spikes.mean() == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / 20_000) + 1e-4)


def test_noise_is_that_of_the_image_and_the_step():
    """Images have the draws of their numbers in any batch, and steps have draws of their own."""
    neurons, lif = AnalogNeurons(noise=0.1), L.Lif(name="n", threshold=100, weight_shift=0)
    sums = np.full((6, 8, 50), 20)
    whole, _ = fired(neurons, lif, sums, volts=1e-3, seed=2, stream=9)
    part, _ = fired(neurons, lif, sums[:2], first=3, volts=1e-3, seed=2, stream=9)
    np.testing.assert_array_equal(whole[3:5], part)
    assert not np.array_equal(whole[0], whole[1])


def test_offsets_move_thresholds_and_spreads_move_capacitors():
    lif = L.Lif(name="n", threshold=100, weight_shift=0)
    draws = np.array([[-1.0, 0.0, 1.0]])
    fed = {"volts": 1e-3, "offsets": (draws, draws)}
    for level in range(80, 121):
        sums = np.full((1, 1, 3), level)
        np.testing.assert_array_equal(fired(AnalogNeurons(offset=0.01), lif, sums, **fed)[0][0, 0],
                                      level + 10 * draws[0] > 100)  # fmt: skip
        np.testing.assert_array_equal(fired(AnalogNeurons(capacitance_spread=0.1), lif, sums, **fed)[0][0, 0],
                                      level / (1 + 0.1 * draws[0]) > 100)  # fmt: skip


def test_rails_hold_the_voltage_and_are_counted():
    neurons, lif = AnalogNeurons(rails=(-0.2, 0.6)), L.Lif(name="n", threshold=500, weight_shift=0)
    sums = np.array([-300, -1, 700, 1, 700]).reshape(1, 5, 1)
    spikes, saturated = fired(neurons, lif, sums, volts=1e-3)
    assert spikes.ravel().tolist() == [False, False, False, True, True]  # at -200, -200, 500, 501 and 600 mV
    assert saturated.tolist() == [2, 1]


@pytest.mark.parametrize("bits", [4, 8])
def test_the_read_out_has_its_bits(bits):
    neurons, lif = AnalogNeurons(readout_bits=bits), L.Lif(name="n", threshold=None, weight_shift=0)
    values = np.linspace(-800, 800, 301)
    found, _ = fired(neurons, lif, values[None, None], volts=1e-3)
    step = 1800 / (2**bits - 1)
    assert np.abs(found.ravel() - values).max() <= step / 2 + 1e-9
    assert len(np.unique(found)) <= 2**bits and np.abs(found.ravel() - values).max() > step / 3


def test_ideal_neurons_have_no_error_left():
    assert DigitalNeurons(adc=IdealAdc(), bits=16).ideal() == DigitalNeurons(adc=IdealAdc(), bits=16)
    rough = AnalogNeurons(noise=0.1, offset=0.1, capacitance_spread=0.1, leak_seconds=1e-6, threshold_volts=0.3)
    assert rough.ideal() == replace(AnalogNeurons().ideal(), threshold_volts=0.3)


@pytest.mark.parametrize(
    "make, error, words",
    [
        (lambda: DigitalNeurons(adc=3), ArgumentTypeError, "DigitalNeurons: adc"),
        (lambda: DigitalNeurons(bits=4), InputError, "DigitalNeurons: bits"),
        (lambda: AnalogNeurons(noise=-1.0), InputError, "AnalogNeurons: noise"),
        (lambda: AnalogNeurons(offset=np.nan), InputError, "AnalogNeurons: offset"),
        (lambda: AnalogNeurons(leak_seconds=0.0), InputError, "AnalogNeurons: leak_seconds"),
        (lambda: AnalogNeurons(capacitance=0.0), InputError, "AnalogNeurons: capacitance"),
        (lambda: AnalogNeurons(rails=1.0), InputError, "rails is 1.0"),
        (lambda: AnalogNeurons(rails=(0.1, 0.9)), InputError, "rails must lie"),
        (lambda: AnalogNeurons(threshold_volts=1.0), InputError, "the threshold between them"),
        (lambda: AnalogNeurons(readout_bits=1), InputError, "AnalogNeurons: readout_bits"),
    ],
)
def test_settings_out_of_range(make, error, words):
    with pytest.raises(error, match=words):
        make()
