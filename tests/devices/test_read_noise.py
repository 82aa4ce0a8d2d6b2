"""Parts of the read noise: physics by hand-computed values, time scales by simulated signals."""

import numpy as np
import pytest

from neuroemu.devices import (
    FlickerNoise,
    Generic,
    Ideal,
    Pcm,
    RramWan2022,
    ShotNoise,
    TelegraphNoise,
    ThermalNoise,
    WhiteNoise,
    WithReadNoise,
)
from neuroemu.devices._parameters import flicker_shares
from neuroemu.errors import ArgumentTypeError, InputError

SPANS = {"image_seconds": 1e-5, "session_seconds": 0.1}


def with_parts(*parts, device=None):
    return WithReadNoise(device or Ideal(), parts)


def sigma_at(conductance, *parts):
    device = with_parts(*parts)
    return device.read_sigma(device.program(np.array([conductance]), np.random.default_rng(0)), 10.0)[0]


def test_thermal_noise_of_a_known_resistor():
    # 1 kohm at 300 K has 4.07 nV/sqrt(Hz): the textbook value. As a current at 1 V read voltage: 4.07 pA/sqrt(Hz).
    assert sigma_at(1e-3, ThermalNoise(bandwidth=1.0, v_read=1.0)) == pytest.approx(4.07e-12, rel=1e-3)
    wide = ThermalNoise(bandwidth=1e6, v_read=0.1, temperature=75.0)
    assert sigma_at(1e-3, wide) == pytest.approx(4.07e-12 * 1e3 * 10 / 2, rel=1e-3)


def test_shot_noise_of_a_known_current():
    # 1 mA has 17.9 pA/sqrt(Hz): the textbook value.
    assert sigma_at(1e-3, ShotNoise(bandwidth=1.0, v_read=1.0)) == pytest.approx(17.9e-12, rel=1e-3)
    assert sigma_at(1e-3, ShotNoise(bandwidth=1e6, v_read=0.1)) == pytest.approx(17.9e-9 * 10 / np.sqrt(10), rel=1e-3)


def test_thermal_and_shot_noise_meet_at_twice_the_thermal_voltage():
    parts = [kind(bandwidth=1e6, v_read=2 * 0.025852) for kind in (ThermalNoise, ShotNoise)]  # k 300 K / q
    assert sigma_at(1e-5, parts[0]) == pytest.approx(sigma_at(1e-5, parts[1]), rel=1e-4)


def test_variances_of_parts_add_to_those_of_the_device():
    device = with_parts(WhiteNoise(0.3e-6), WhiteNoise(0.4e-6), device=Generic(read_noise=0.12))
    cells = device.program(np.array([0.0, 10e-6]), np.random.default_rng(0))
    np.testing.assert_allclose(device.read_sigma(cells, 0.0), [0.5e-6, 1.3e-6])


def test_flicker_noise_equals_that_of_a_pcm_of_the_same_strength():
    pcm = Pcm(programming_noise=False, drift=False)
    cells = pcm.program(np.array([12.5e-6]), np.random.default_rng(0))
    strength = 0.0088 / 0.5**0.65
    part = FlickerNoise(strength, t_read=250e-9, t0=20.0)
    device = with_parts(part)
    ours = device.read_sigma(device.program(np.array([12.5e-6]), np.random.default_rng(0)), 3600.0)
    np.testing.assert_allclose(ours, pcm.read_sigma(cells, 3600.0), rtol=1e-12)
    mine, theirs = device.read_shares(3600.0, **SPANS), pcm.read_shares(3600.0, **SPANS)
    np.testing.assert_allclose([mine.fresh, mine.slow, mine.frozen], [theirs.fresh, theirs.slow, theirs.frozen])


def window_variance(signal, window):
    """Variance of the means over windows of a (T, N) signal around its known mean of 0, over that of single reads."""
    means = signal[: len(signal) // window * window].reshape(-1, window, signal.shape[1]).mean(axis=1)
    return (means**2).mean() / (signal**2).mean()


@pytest.fixture(scope="module")
def signals():
    """Telegraph signals of 3,000 traps: 4,096 reads each, correlation times 1 to 10,000 reads, zero mean."""
    noise = TelegraphNoise(1.0, fastest=1.0, slowest=1e4)
    generator = np.random.default_rng(7)
    tau = noise.draw((3000,), generator)["tau"]
    return tau, noise.trace(tau, np.arange(4096.0), generator) - 0.5


FOLDS = np.log(1e4)  # of the correlation times of `signals`


@pytest.mark.parametrize("window", [16, 128, 1024])
def test_the_split_of_1_over_f_is_that_of_a_simulated_signal(signals, window):
    """Traps with log-uniform correlation times make 1/f noise; what a window's mean keeps is slower than the window.

    A mean cuts smoothly around 0.397 window: the integral of r(window / tau) over ln tau exceeds that of the split's
    sharp cut by 3/2 - gamma. White noise would keep 1 / window.
    """
    slow = 1 - flicker_shares(1.0, 1e4, window, window).fresh
    assert window_variance(signals[1], window) == pytest.approx(slow + (1.5 - np.euler_gamma) / FOLDS, abs=0.03)


def test_simulated_1_over_f_falls_in_the_logarithm_of_the_lag(signals):
    """Likewise the autocorrelation, the integral of exp(-lag / tau): it falls short of the sharp cut by gamma."""
    lags = [10, 100, 1000]
    correlation = [(signals[1][lag:] * signals[1][:-lag]).mean() / 0.25 for lag in lags]
    slow = np.array([1 - flicker_shares(1.0, 1e4, lag, lag).fresh for lag in lags])
    np.testing.assert_allclose(correlation, slow - np.euler_gamma / FOLDS, atol=0.03)


@pytest.mark.parametrize("window", [4, 64, 1024])
def test_telegraph_shares_are_those_of_its_simulated_signal(window):
    noise = TelegraphNoise(1.0, occupancy=0.3)
    tau = np.full(3000, 40.0)
    signal = noise.trace(tau, np.arange(2048.0), np.random.default_rng(3)) - 0.3
    shares = noise.shares({"tau": tau}, 0.0, image_seconds=window, session_seconds=window)
    # A read is an instant here, so a window of few reads averages a little less than a continuous mean does.
    assert window_variance(signal, window) == pytest.approx(shares.frozen[0], rel=0.03, abs=1e-3)


def test_telegraph_states_have_the_stationary_share_and_switch_at_their_rate():
    p, tau, step = 0.2, np.array([5.0, 50.0]), 2.0
    noise = TelegraphNoise(1.0, occupancy=p)
    states = noise.trace(np.repeat(tau, 4000)[None], np.arange(1000) * step, np.random.default_rng(1))[:, 0]
    states = states.reshape(1000, 2, 4000)
    np.testing.assert_allclose(states.mean(axis=(0, 2)), p, rtol=0.02)
    np.testing.assert_allclose(states[0].mean(axis=1), p, atol=0.03)  # stationary from the first read
    np.testing.assert_allclose(states.var(axis=(0, 2)), p * (1 - p), rtol=0.02)
    switched = (states[1:] != states[:-1]).mean(axis=(0, 2))
    np.testing.assert_allclose(switched, 2 * p * (1 - p) * (1 - np.exp(-step / tau)), rtol=0.03)


def test_telegraph_traces_do_not_depend_on_the_spacing_of_reads():
    noise, tau = TelegraphNoise(1.0), np.full(100_000, 1.0)
    for times in ([0.0, 1.0], [0.0, 0.25, 0.5, 1.0]):
        states = noise.trace(tau, times, np.random.default_rng(2)) - 0.5
        assert (states[0] * states[-1]).mean() / 0.25 == pytest.approx(np.exp(-1), abs=0.015)


def test_telegraph_cells_have_their_own_amplitude_and_time():
    part = TelegraphNoise(0.1, spread=0.5, fastest=1e-6, slowest=1e-2, occupancy=0.25, trapped=0.4)
    device = with_parts(part)
    cells = device.program(np.full(200_000, 10e-6), np.random.default_rng(0))
    amplitude, tau = cells.state["0.amplitude"], cells.state["0.tau"]
    trapped = amplitude > 0
    assert trapped.mean() == pytest.approx(0.4, abs=0.005)
    assert np.log(amplitude[trapped]).std() == pytest.approx(0.5, rel=0.02)
    assert np.median(amplitude[trapped]) == pytest.approx(0.1, rel=0.02)
    assert np.log10(tau).mean() == pytest.approx(-4, abs=0.02) and 1e-6 <= tau.min() and tau.max() <= 1e-2
    np.testing.assert_allclose(device.read_sigma(cells, 1.0), np.sqrt(0.25 * 0.75) * amplitude * 10e-6, rtol=1e-9)


@pytest.mark.parametrize("tau, where", [(1e-8, "fresh"), (1e-3, "slow"), (1e3, "frozen")])
def test_the_time_constant_decides_the_share(tau, where):
    shares = with_parts(TelegraphNoise(0.1, fastest=tau, slowest=tau)).read_shares(0.0, **SPANS)
    assert getattr(shares, where) > 0.97


def test_shares_of_each_cell_and_of_all():
    part = TelegraphNoise(0.1, fastest=1e-7, slowest=10.0)
    device = with_parts(part, ThermalNoise(1e6, 0.2))
    cells = device.program(np.linspace(1e-6, 25e-6, 50_000), np.random.default_rng(9))
    each = device.read_shares(0.0, **SPANS, cells=cells)
    np.testing.assert_allclose(each.fresh + each.slow + each.frozen, 1.0)
    variance = device.read_sigma(cells, 0.0) ** 2
    together = device.read_shares(0.0, **SPANS)
    for name in ("fresh", "slow", "frozen"):
        weighted = (getattr(each, name) * variance).sum() / variance.sum()
        assert getattr(together, name) == pytest.approx(weighted, abs=0.02)
    assert together == device.read_shares(0.0, **SPANS)  # no hidden draw


def test_white_is_a_named_option():
    for part in (FlickerNoise(0.01, white=True), TelegraphNoise(0.1, slowest=1e3, white=True)):
        assert with_parts(part).read_shares(0.0, **SPANS).fresh == 1.0
    assert with_parts(FlickerNoise(0.01)).read_shares(0.0, **SPANS).fresh < 0.3


def test_silent_cells_split_without_a_warning():
    device = with_parts(TelegraphNoise(0.0))
    cells = device.program(np.array([1e-6]), np.random.default_rng(0))
    assert device.read_shares(0.0, **SPANS).fresh == 1.0
    assert device.read_shares(0.0, **SPANS, cells=cells).fresh[0] == 1.0


def test_the_device_inside_keeps_its_own_ways():
    inner = RramWan2022()
    device = with_parts(TelegraphNoise(0.1), device=inner)
    assert (device.g_min, device.g_max) == (inner.g_min, inner.g_max)
    target = np.full(5, 20e-6)
    cells, alone = (d.program(target, np.random.default_rng(4)) for d in (device, inner))
    np.testing.assert_array_equal(device.conductance(cells, 1e4), inner.conductance(alone, 1e4))


@pytest.mark.parametrize(
    "make, kind",
    [
        (lambda: ThermalNoise(0.0, 0.2), InputError),
        (lambda: ThermalNoise(1e6, 0.2, temperature=-1.0), InputError),
        (lambda: ShotNoise(1e6, 0.0), InputError),
        (lambda: ShotNoise(float("nan"), 0.2), InputError),
        (lambda: WhiteNoise(-1.0), InputError),
        (lambda: FlickerNoise(-0.1), InputError),
        (lambda: FlickerNoise(0.1, t_read=0.0), InputError),
        (lambda: FlickerNoise(0.1, t0=-1.0), InputError),
        (lambda: TelegraphNoise(-0.1), InputError),
        (lambda: TelegraphNoise(0.1, fastest=1.0, slowest=0.1), InputError),
        (lambda: TelegraphNoise(0.1, fastest=0.0), InputError),
        (lambda: TelegraphNoise(0.1, occupancy=1.0), InputError),
        (lambda: TelegraphNoise(0.1, trapped=1.5), InputError),
        (lambda: TelegraphNoise(0.1).trace([0.0], [0.0, 1.0], np.random.default_rng(0)), InputError),
        (lambda: TelegraphNoise(0.1).trace([1.0], [1.0, 0.0], np.random.default_rng(0)), InputError),
        (lambda: with_parts(), ArgumentTypeError),
        (lambda: with_parts("thermal"), ArgumentTypeError),
        (lambda: WithReadNoise("pcm", (WhiteNoise(0.0),)), ArgumentTypeError),
        (lambda: with_parts(WhiteNoise(0.0), device=with_parts(WhiteNoise(0.0))), InputError),
        (lambda: with_parts(WhiteNoise(0.0)).read_shares(0.0, image_seconds=1.0, session_seconds=0.1), InputError),
    ],
)
def test_bad_parameters_are_refused(make, kind):
    with pytest.raises(kind) as caught:
        make()
    assert "\n" not in str(caught.value)
