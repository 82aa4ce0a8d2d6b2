"""Statistics, pictures and files of spikes."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from neuroemu import plot
from neuroemu.datasets import Events, read_events, read_shd, save_events, save_shd
from neuroemu.errors import ArgumentTypeError, InputError
from neuroemu.spiking import Compartments, LoihiProgram, run_loihi, spike_statistics


def clocks():
    """Three neurons whose bias makes them spike every 2, 5 and 10 steps; the last one never."""
    part = Compartments(
        name="clock", n=4, threshold_mantissa=999, current_decay=4095, bias_mantissa=[4000, 1600, 800, 0],
        bias_exponent=[3, 3, 3, 0],
    )  # fmt: skip
    return run_loihi(LoihiProgram(compartments=(part,)), steps=100, probe="clock")


def test_clocks_are_regular():
    run = clocks()
    found = spike_statistics(run)["clock"]
    periods = [int(np.ceil(63_937 / bias)) for bias in (32_000, 12_800, 6_400)]
    assert found.spikes == sum(100 // period for period in periods)
    assert found.rate == found.spikes / 400 and found.silent == 0.25
    assert found.interval_variation == 0.0
    assert "clock" in spike_statistics(run).table()


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_independent_trains_have_geometric_intervals_and_no_synchrony(p):
    """Intervals of Bernoulli trains vary by sqrt(1 - p); n independent neurons have a synchrony of 1 / sqrt(n)."""
    train = np.random.default_rng(1).random((4000, 2, 50)) < p
    found = spike_statistics(train)["spikes"]
    assert found.rate == pytest.approx(p, rel=0.02)
    assert found.interval_variation == pytest.approx(np.sqrt(1 - p), rel=0.03)
    assert found.synchrony == pytest.approx(1 / np.sqrt(50), rel=0.1)
    together = np.repeat(train[:, :, :1], 7, axis=2)
    assert spike_statistics(together, window=8)["spikes"].synchrony == pytest.approx(1.0)


def test_a_window_takes_spikes_that_lie_near_as_one():
    """Two neurons that alternate are opposite step by step and the same in windows of the period."""
    train = np.zeros((64, 2), bool)
    train[::8, 0] = train[1::8, 1] = True
    assert spike_statistics(train)["spikes"].synchrony < 0.8
    assert np.isnan(spike_statistics(train, window=8)["spikes"].synchrony)  # every window holds one spike of each
    assert spike_statistics(train, window=4)["spikes"].synchrony == pytest.approx(1.0)


def test_statistics_refuse_what_is_no_spike_train():
    with pytest.raises(InputError, match="other numbers than 0 and 1"):
        spike_statistics(np.full((4, 2), 2))
    with pytest.raises(ArgumentTypeError, match=r"give spikes \(T, N\)"):
        spike_statistics(np.zeros(4))
    with pytest.raises(InputError, match="give them all the same"):
        spike_statistics({"a": np.zeros((4, 2)), "b": np.zeros((5, 2))})


@settings(max_examples=25, deadline=None)
@given(dt=st.floats(1e-6, 2e-3), seed=st.integers(0, 99), images=st.integers(1, 3))
@example(dt=0.0001388, seed=0, images=1)  # five steps are 694 us, and in floating point a little more
def test_trains_come_back_from_events_and_from_hdf5(dt, seed, images, tmp_path_factory):
    pytest.importorskip("h5py")
    train = np.random.default_rng(seed).random((40, images, 900)) < 0.02
    folder = tmp_path_factory.mktemp("spikes")
    save_shd(train, folder / "a.h5", dt=dt, labels=np.arange(images))
    recordings, labels = read_shd(folder / "a.h5")
    assert labels.tolist() == list(range(images))
    for image, events in enumerate(recordings):
        back = events.to_steps(dt=dt, steps=40, shape=(1, 1, 900))
        np.testing.assert_array_equal(back[:, 0, 0], train[:, image])
    save_events(Events.from_steps(train[:, 0], dt=dt), folder / "a.npz")
    back = read_events(folder / "a.npz").to_steps(dt=dt, steps=40, shape=(1, 1, 900))
    np.testing.assert_array_equal(back[:, 0, 0], train[:, 0])


def test_the_file_is_what_readers_of_shd_expect(tmp_path):
    h5py = pytest.importorskip("h5py")
    train = np.zeros((10, 2, 5), int)
    train[3, 0, 4] = train[7, 0, 1] = train[0, 1, 2] = 1
    save_shd(train, tmp_path / "a.h5", dt=1e-3, labels=[3, 9])
    with h5py.File(tmp_path / "a.h5") as file:
        assert [t.tolist() for t in file["spikes"]["times"][:]] == [[0.003, 0.007], [0.0]]
        assert [u.tolist() for u in file["spikes"]["units"][:]] == [[4, 1], [2]]
        assert file["labels"][:].tolist() == [3, 9]
    with pytest.raises(InputError, match=r"must end in \.h5"):
        save_shd(train, tmp_path / "a.npz", dt=1e-3)
    with pytest.raises(InputError, match="give 2 integers"):
        save_shd(train, tmp_path / "a.h5", dt=1e-3, labels=[1])


def test_events_keep_polarity_and_place():
    train = np.random.default_rng(0).random((12, 2, 5, 7)) < 0.1
    events = Events.from_steps(train, dt=1e-4)
    np.testing.assert_array_equal(events.to_steps(dt=1e-4, steps=12, shape=(2, 5, 7)), train)
    assert len(events) == train.sum()
    with pytest.raises(InputError, match="allowed"):
        Events.from_steps(train, dt=1e-7)


def test_pictures_show_every_spike():
    run = clocks()
    axes = plot.raster({"first": run.spikes["clock"], "second": run.spikes["clock"][:, :, :2]}).axes[0]
    drawn = [line.get_xydata() for line in axes.lines if line.get_marker() == "o"]
    assert sum(map(len, drawn)) == run.spikes["clock"].sum() + run.spikes["clock"][:, :, :2].sum()
    assert drawn[1][:, 1].min() == 4  # below the four neurons of the first
    upper, *_ = plot.membrane(run, "clock", neurons=(0, 3)).axes
    potential, _, marks = upper.lines
    np.testing.assert_array_equal(potential.get_ydata(), run.v["clock"][:, 0, 0])
    np.testing.assert_array_equal(marks.get_xdata(), np.flatnonzero(run.spikes["clock"][:, 0, 0]))
    assert set(marks.get_ydata()) == {64 * 999}
    left, right = plot.rates(run).axes
    assert sum(left.patches[0].get_data().values) == pytest.approx(100)
    np.testing.assert_allclose(right.lines[0].get_ydata(), run.spikes["clock"].mean(axis=(1, 2)))


def test_pictures_say_what_they_miss():
    run = clocks()
    with pytest.raises(InputError, match=r"run with probe=\[...\]"):
        plot.membrane(run, "other")
    with pytest.raises(InputError, match="numbers of 0 to 3"):
        plot.membrane(run, "clock", neurons=(4,))
    with pytest.raises(ArgumentTypeError, match="give a LoihiRun"):
        plot.membrane(run.spikes, "clock")
    with pytest.raises(InputError, match="image 1; 'clock' has 1"):
        plot.raster(run, image=1)
